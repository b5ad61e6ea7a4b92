"""The continuing duty: every saved query is asked again, and its keeper is told when the answer has changed (R22).

An answer has two halves. What was shown then, in each build that the query asks about, changes only as rows are
disposed of or restricted. What is said now of the same people and networks changes with each build, and `causes` says
why. Both are held against what they were when the query was saved, when a pack was made of it, or when a person noted
what had changed; each difference is itemised by its reason, and nothing is counted that nobody may be told of. A report
that a page about any of them is wrong is a difference too, and so is each finding about one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from provenance import asof, canonical, entries, moments, openings, saving, vault, viewing
from provenance.archive import Archive
from provenance.asking import Ask
from provenance.asof import Snapshot
from provenance.between import STEPS
from provenance.causes import causes
from provenance.errors import Missing
from provenance.history import Publication
from provenance.queries import Query
from provenance.reports import Report
from provenance.saving import Saved
from provenance.sealing import keyed_digests

DUTY = "continuing duty of disclosure, CPIA 1996 s.7A"
SAVED, CHANGED, PACK, NOTED = "saved", "changed", "pack", "noted"
_VIEWS = {"nominal": ("nominal", "figures"), "link": ("link",), "network": ("network",)}  # pages about each subject


@dataclass(frozen=True, slots=True)
class Told:
    """How a saved query stands."""

    saved: Saved
    label: str  # of the latest build
    since: str  # when it was last dealt with
    changes: dict[str, int]  # by reason, since then; {} where the answer is the same

    @property
    def is_changed(self) -> bool:
        return bool(self.changes)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One page that a query asks for."""

    label: str
    publication: Publication | None
    ask: Ask
    place: int = -1  # in the log, of the view by which somebody was shown it; -1 for one that is asked about a build


def builds(archive: Archive, query: Query) -> list[Publication]:
    """Every publication that was live at one of the query's moments or in its periods, in order, each build once."""
    found: dict[str, Publication] = {}
    for moment in query.moments:
        if moments.is_date(moment):
            live = list(asof.live_on(archive, moment))
        else:
            at = archive.history.live(moment)
            live = [at] if at else []
        found |= {one.label: one for one in live}
    for first, last in query.periods:
        found |= {one.label: one for one in archive.history.live_between(*_span(archive, first, last))}
    return [one for one in archive.history.publications if found.get(one.label) == one]


def _span(archive: Archive, first: str, last: str) -> tuple[str, str]:
    end = moments.utc(moments.day(last)[1]) if last else "9999-12-31T23:59:59Z"
    return moments.utc(moments.day(first)[0]), end


def wanted(archive: Archive, query: Query) -> list[Wanted]:
    """Every page that answers a query: of each build, of each subject; then each view by the staff it names."""
    pages = [
        Wanted(live.label, live, ask)
        for live in builds(archive, query)
        for kind, ids in query.subjects()
        for ask in asks(kind, ids)
    ]
    return pages + [Wanted(act.label, _live(archive, act), ask, place) for place, act, ask in viewed(archive, query)]


def asks(kind: str, ids: tuple[str, ...]) -> list[Ask]:
    """The pages about one subject."""
    return [
        Ask(view=view, network=ids[0]) if kind == "network" else Ask(view=view, nominals=ids) for view in _VIEWS[kind]
    ]


def _live(archive: Archive, act: entries.Viewed) -> Publication | None:
    live = [one for one in archive.history.publications if one.label == act.label]
    return live[-1] if live else None


def viewed(archive: Archive, query: Query) -> Iterator[tuple[int, entries.Viewed, Ask]]:
    """The views by the staff it names, in its periods, that were about somebody or something it names; all of theirs
    where it names nobody. Those about whom has been disposed of are left out: they cannot be shown again.
    """
    if not query.viewers:
        return
    spans = [_span(archive, first, last) for first, last in query.periods]
    wholly = not query.subjects()
    people, networks = set(query.people), set(query.networks)
    for place, act in viewing.views(archive):
        if act.by not in query.viewers or not any(start <= act.on < end for start, end in spans):
            continue
        try:
            ask = viewing.asked(archive, act)
        except Missing:
            continue
        if wholly or people & set(ask.nominals) or ask.network in networks:
            yield place, act, ask


def page(archive: Archive, one: Wanted, case: str, opened: dict[str, Snapshot]) -> viewing.Page | None:
    """A page as it can be shown now; None where its build has nothing to show of the subject."""
    snapshot = opened.get(one.label)
    if snapshot is None:
        snapshot = opened[one.label] = Snapshot(archive, archive.history.build(one.label), one.publication, case)
    before = None
    if one.ask.since or one.ask.view == "change":
        number = snapshot.built.number
        since = one.ask.since or (archive.history.builds[number - 2].label if number > 1 else "")
        before = Snapshot(archive, archive.history.build(since), None, case) if since else None
    try:
        return viewing.page(snapshot, before, one.ask)
    except Missing:
        return None


def case_of(query: Query) -> str:
    """The case for which what is restricted is shown too."""
    return query.case if query.restricted else ""


Pages = Mapping[Wanted, viewing.Page | None]


def begin(
    archive: Archive, saved: Saved, *, on: str, by: str, under: str, because: str = SAVED, reason: str = "",
    shown: Pages | None = None,
) -> None:  # fmt: skip
    """From here on a change counts: the answer as it is now is put away and logged. `shown` are pages of it that were
    worked out just now."""
    with archive.remembering():
        parts = asof.whole(lambda: _parts(archive, saved, shown=shown or {}))
    _log(archive, saved, parts, on=on, by=by, under=under, because=because, reason=reason)


def look(archive: Archive, saved: Saved, *, on: str, by: str, under: str) -> Told:
    """Ask one query again. A change that was not told before is logged."""
    logged = [
        act for act in archive.acts(["Rechecked"]) if isinstance(act, entries.Rechecked) and act.query == saved.id
    ]
    base = next((act for act in reversed(logged) if act.because != CHANGED), None)
    label = archive.history.builds[-1].label if archive.history.builds else ""
    if base is None or saved.query is None:
        gone = {"disposal: everybody it asked about": 1} if saved.query is None else {}
        return Told(saved, label, base.on if base else saved.act.on, gone)
    before = saving.read_answer(archive, saved.id, base.sealed)
    with archive.remembering():
        parts = asof.whole(lambda: _parts(archive, saved, before))
        changes = asof.whole(lambda: _differences(archive, saved, before, parts))
    answer = _digest(archive, saved, parts)
    if changes and answer not in {act.answer for act in logged if act.on >= base.on and act.because == CHANGED}:
        act = entries.Rechecked(
            on=on, by=by, under=under, query=saved.id, because=CHANGED, label=label, answer=answer,
            changes=tuple(entries.Change(what=what, count=count) for what, count in changes.items()),
            sealed=base.sealed, reason="",
        )  # fmt: skip
        archive.append(act)
    return Told(saved, label, base.on, changes)


def look_at_all(archive: Archive, *, on: str, by: str, under: str) -> list[Told]:
    """How every saved query stands, each asked again."""
    return [look(archive, saved, on=on, by=by, under=under) for saved in saving.every(archive)]


def _log(
    archive: Archive, saved: Saved, parts: dict[str, Any], *, on: str, by: str, under: str, because: str, reason: str
) -> None:
    label = archive.history.builds[-1].label
    with archive.writing():
        sealed = saving.keep_answer(archive, saved.id, parts)
        act = entries.Rechecked(
            on=on, by=by, under=under, query=saved.id, because=because, label=label,
            answer=_digest(archive, saved, parts), changes=(), sealed=sealed, reason=reason,
        )  # fmt: skip
        archive.append(act)


def _digest(archive: Archive, saved: Saved, parts: dict[str, Any]) -> str:
    named = f"answer {saved.id} " + canonical.dumps(parts).hex()
    return keyed_digests(archive.vault.archive_secret, [named])[0].hex()


def _parts(
    archive: Archive, saved: Saved, before: dict[str, Any] | None = None, shown: Pages | None = None
) -> dict[str, Any]:
    """The answer as digests: of each page then (`then`), and of each subject's first page in the latest build (`now`).

    Pages are named by their place, and by nothing that names anybody. What a past build shows is the same for as long
    as nothing was disposed of, restricted or released, so those parts are taken from `before` where that is so.
    """
    query, shifts = saved.query, archive.history.shifts
    if query is None or not archive.history.builds:
        return {"latest": "", "lost": saved.lost, "shifts": shifts, "then": {}, "now": {}, "reports": {}}
    known = before["then"] if before and before["shifts"] == shifts else {}
    opened: dict[str, Snapshot] = {}
    case, latest = case_of(query), archive.history.builds[-1].label
    then = {}
    for one in wanted(archive, query):
        name = _name(archive, f"{one.label} {one.place} {one.ask.logged()} {' '.join(one.ask.nominals)}")
        if name in known:
            then[name] = known[name]
        else:
            made = shown[one] if shown and one in shown else page(archive, one, case, opened)
            then[name] = _part(archive, made)
    now = {
        _subject(archive, kind, ids): _part(
            archive, page(archive, Wanted(latest, None, asks(kind, ids)[0]), case, opened)
        )
        for kind, ids in query.subjects()
    }
    reports = {str(report.number): len(report.settled) for report in _reports(archive, query)}
    return {"latest": latest, "lost": saved.lost, "shifts": shifts, "then": then, "now": now, "reports": reports}


def _reports(archive: Archive, query: Query) -> Iterator[Report]:
    """Reports that a page is wrong which was about somebody or something that the query asks for, or shown to one of
    its viewers in its periods; but for those that may be told to another case alone.
    """
    people = set(archive.vault.tokens(vault.nominal_keys(pa.array(query.people, pa.string()))).tolist())
    shown = {place for place, _, _ in viewed(archive, query)}
    for report in archive.history.reports:
        kind, *names = report.subject or ("nobody",)
        asked = (
            (kind == "nominals" and people & set(entries.unpacked(names[0])))
            or (kind == "network" and names[0] in query.networks)
            or report.act.view in shown
        )
        if asked and report.act.case in ("", case_of(query)):
            yield report


def _subject(archive: Archive, kind: str, ids: tuple[str, ...]) -> str:
    return _name(archive, f"{kind} {' '.join(ids)}")


def _name(archive: Archive, words: str) -> str:
    """A name of a page or subject that says nothing of whom it is about, and is the same for as long as it is."""
    return keyed_digests(archive.vault.archive_secret, [f"part {words}"])[0].hex()[:16]


def _part(archive: Archive, shown: viewing.Page | None) -> list[str]:
    if shown is None:
        return []
    openings.keep(archive, shown.leaves, shown.references)
    return [shown.digest, shown.leaves]


def _differences(archive: Archive, saved: Saved, before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """Every reason for which the answer is another, with how many rows or figures it touched."""
    found: dict[str, int] = {}

    def add(what: str, count: int = 1) -> None:
        found[what] = found.get(what, 0) + count

    if lost := after["lost"] - before.get("lost", 0):
        add("disposal: somebody asked about", lost)
    held, query = before.get("then", {}), saved.query
    assert query is not None
    case = case_of(query)
    gone: dict[str, dict[str, int]] = {}  # by root over the rows: several pages opened the same ones
    for name, part in after["then"].items():
        if name not in held:
            add("new build or view in the period")
        elif part != held[name]:
            for reason, count in _gone(archive, held[name], case, gone).items():
                add(f"gone: {reason}", count)
            if not held[name]:
                add("shown again", 1)
            elif not _gone(archive, held[name], case, gone):
                add("shown another way", 1)
    for name in held.keys() - after["then"].keys():
        reasons = _gone(archive, held[name], case, gone)
        for reason, count in (reasons or {"view cannot be shown again": 1}).items():
            add(f"gone: {reason}", count)
    for report in _reports(archive, query):
        told = before.get("reports", {}).get(str(report.number))
        if told is None:
            add("error reported")
        for settled in report.settled[told or 0 :]:
            add(f"error report settled: {settled.finding}")
    if before.get("latest") and before["latest"] != after["latest"]:
        names = {_subject(archive, kind, ids): (kind, ids) for kind, ids in query.subjects()}
        changed = [names[name] for name, part in after["now"].items() if before["now"].get(name, [])[1:] != part[1:]]
        for what, count in _causes(archive, query, before["latest"], after["latest"], changed).items():
            add(what, count)
    return dict(sorted(found.items()))


def _gone(archive: Archive, part: list[str], case: str, known: dict[str, dict[str, int]]) -> dict[str, int]:
    if not part:
        return {}
    if part[1] not in known:
        known[part[1]] = viewing.since(archive, part[1], case)[0]
    return known[part[1]]


def _causes(archive: Archive, query: Query, one: str, other: str, subjects: Any) -> dict[str, int]:
    """Why what is said of the subjects now is another than it was in the build before: figures touched, by cause."""
    if not subjects:
        return {}
    sides = [Snapshot(archive, archive.history.build(label), None, case_of(query)) for label in (one, other)]
    people = sorted({who for kind, ids in subjects if kind != "network" for who in ids})
    networks = {ids[0] for kind, ids in subjects if kind == "network"}
    changed: list[dict[str, Any]] = []
    if people:
        changed += causes(*sides, people=people).changes.to_pylist()
    if networks:
        changed += [row for row in causes(*sides).changes.to_pylist() if networks & {row["a"], row["b"]}]
    found: dict[str, int] = {}
    for row in changed:
        for step in STEPS:
            if row[step]:
                found[f"since then: {step}"] = found.get(f"since then: {step}", 0) + 1
    return found
