"""What a wrong record, or a page found to be in error, has reached: builds, links, networks, pages, and who has them.

Two questions, one answer. Of a record that its source has corrected or withdrawn since (R15): everything that rested on
how it stood before. Of a report that was found to be in error (R43): everything that spoke of the same. Worked out from
rows, log and `seen/` each time it is asked, so that nothing is forgotten; what was shown is changed by neither.

Who was shown what is the consultation log: who asks says for which purpose, before anything is told (DPA 2018 s.62(4)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import canonical, entries, openings, propagation, sets, vault
from provenance.archive import Archive
from provenance.errors import Missing, ProvenanceError
from provenance.records import THEMES
from provenance.reports import IN_ERROR, Report, subject
from provenance.tables import DERIVED_TABLES

_OF_A_RECORD = ("record", "involvement")  # tables whose rows a source corrects with the record
_BY_TOKEN = ("person", "nominal", "link")  # tables in which what was shown of a person lies
_SHOWN = ("Viewed", "Exported", "Consulted")
CORRECTED, WITHDRAWN, STANDS = "corrected", "withdrawn", "stands as it was received"


@dataclass(frozen=True, slots=True)
class Changed:
    """How a record came to be otherwise."""

    fate: str  # CORRECTED, WITHDRAWN or STANDS
    extract: int  # the last that changed it, 0 for none
    on: str  # when that was received, "" for none
    columns: tuple[str, ...]  # of the record that are otherwise now, by name; `people` stands for its involvements


@dataclass(frozen=True, slots=True)
class Reached:
    """One link or network that was reached, and the builds between which it was."""

    theme: str
    name: str  # of a network its id, "" of a link
    ends: tuple[int, ...]  # tokens of a link's two, none of a network
    first: str  # label of the first build
    last: str


@dataclass(frozen=True, slots=True)
class Affected:
    """Everything that something wrong has reached."""

    builds: tuple[str, ...]  # labels, in order
    links: tuple[Reached, ...]
    networks: tuple[Reached, ...]
    people: int  # whose figures counted it
    shown: tuple[tuple[int, entries.Act], ...]  # pages shown and taken away that had a row of it, by place in the log
    totals: int  # further pages of these builds and its themes, whose totals may have counted it
    untold: int  # acts of which nobody can tell whether they showed it
    feeds: tuple[entries.Exported, ...]  # feeds of plain tables that were written from one of these builds
    wrong: Mapping[str, np.ndarray]  # positions of the rows, by table

    @property
    def viewers(self) -> list[str]:
        """Who was shown it or took it away, each once."""
        return sorted({act.by for _, act in self.shown})


# -- a record ----------------------------------------------------------------------------------------------------------


def token(archive: Archive, system: str, record_id: str) -> int:
    """Raises Missing for a record that is not here, or is restricted."""
    keys = vault.record_keys(pa.array([system], pa.string()), pa.array([record_id], pa.string()))
    (found,) = archive.vault.tokens(keys).tolist()
    if not found or found in archive.withheld():
        raise Missing("no record of that system and id is in view: wanted one that was received and is not restricted")
    return found


def changed(archive: Archive, record: int) -> Changed:
    """Whether a source has corrected or withdrawn a record, and in what."""
    old, new = _versions(archive, record)
    extract = max((int(archive.index(name).replaced[at].max()) for name, at in old.items() if len(at)), default=0)
    if not extract:
        return Changed(STANDS, 0, "", ())
    on = next(act.on for act in archive.history.extracts if act.extract == extract)
    if not len(new["record"]):
        return Changed(WITHDRAWN, extract, on, ())
    columns = []
    if len(old["record"]):
        before, now = (archive.opened("record", at[-1:]).to_pylist()[0] for at in (old["record"], new["record"]))
        columns = [name for name in before if name != "version" and before[name] != now[name]]
    return Changed(CORRECTED, extract, on, (*columns, *(["people"] if len(old["involvement"]) else [])))


def of_record(archive: Archive, record: int) -> Affected:
    """What rested on a record as it stood before its source corrected or withdrew it; where it never did, on the record
    as it is."""
    old, new = _versions(archive, record)
    if not any(map(len, old.values())):
        old = new
    wrong = dict(old)
    had = np.zeros(len(archive.history.builds) + 1, bool)
    for name, at in old.items():
        had |= _builds(archive, name, at)
    links = archive.index("link")
    wrong["link"] = _standing_in(archive, "link", links.reached(np.array([record], np.int64)), had)
    figures = propagation.counted_in(archive, wrong["link"], old["involvement"], record)
    wrong |= {name: _standing_in(archive, name, at, had) for name, at in figures.items()}
    return _affected(archive, wrong, had, lambda act: False, "")


def replaced_since(archive: Archive, label: str) -> np.ndarray:
    """Tokens of the records that the build before this one had, and this one otherwise or not, since their sources
    corrected or withdrew them. Raises Missing for a build that there is not."""
    number = archive.history.build(label).number
    found = [np.zeros(0, np.int64)]
    for name in _OF_A_RECORD:
        index = archive.index(name)
        gone, _ = index.between(number - 1, number)
        found.append(index.a[gone[(index.replaced[gone] > 0) & (index.died[gone] == 0)]])
    tokens = sets.distinct(np.concatenate(found))
    return sets.difference(tokens, archive.withheld())


def _versions(archive: Archive, record: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Positions of the living rows of a record that were replaced, and of those that were not, by table."""
    old, new = {}, {}
    for name in _OF_A_RECORD:
        index = archive.index(name)
        at = index.of(record)
        at = at[(index.a[at] == record) & (index.died[at] == 0)]
        old[name], new[name] = at[index.replaced[at] > 0], at[index.replaced[at] == 0]
    return old, new


# -- a report ----------------------------------------------------------------------------------------------------------


def of_report(archive: Archive, report: Report, known: dict[str, bool | None] | None = None) -> Affected:
    """What spoke of the same as the page that a report is about, in the builds that were found to be in error; nothing
    where none was. Pages count up to the finding: later ones say so themselves.

    `known` is filled with, by their roots, whether the rows that a page opened are among it, for whoever asks the same
    again before anything is settled, disposed of or restricted.
    """
    numbers = {built.label: built.number for built in archive.history.builds}
    had = np.zeros(len(numbers) + 1, bool)
    had[[numbers[label] for label in numbers if report.is_in_error(label, numbers)]] = True
    about, wrong = report.subject, {}
    if had.any() and about and about[0] == "nominals":
        tokens = entries.unpacked(about[1])
        for name in _BY_TOKEN if len(tokens) == 1 else ("link",):
            index = archive.index(name)
            at = index.of(tokens[0])
            if len(tokens) == 2:
                at = at[(index.a[at] == tokens[1]) | (index.b[at] == tokens[1])]
            wrong[name] = _standing_in(archive, name, at[index.died[at] == 0], had)
    elif had.any() and about and about[0] == "network":
        at = _standing_in(archive, "network", np.flatnonzero(archive.index("network").died == 0), had)
        named = archive.sealer.open("network", archive.index("network").rows(at))["network"]
        wrong["network"] = at[pc.equal(named, about[1]).to_numpy()]

    def same(act: entries.Viewed | entries.Exported) -> bool:
        return about is not None and subject(act.asked, act.nominals) == about

    found = [
        at for at, act in archive.placed(["Settled"])
        if isinstance(act, entries.Settled) and (act.report, act.finding) == (report.number, IN_ERROR)
    ]  # fmt: skip
    return _affected(archive, wrong, had, same, report.act.case, known, min(found, default=0))


def is_about(archive: Archive, report: Report, nominals: Iterable[int], records: Iterable[int]) -> bool:
    """Whether something about these people and records may hold what a report was found to be in error by: it is about
    all whom the page was about; or, of a page of a network or a theme, about any whose row the page opened."""
    about, named = report.subject, {*nominals, *records}
    if about and about[0] == "nominals":
        return named.issuperset(entries.unpacked(about[1]))
    shown = next(archive.log.acts(report.act.view, report.act.view + 1))
    try:
        opened = openings.parents(archive, openings.read(archive, shown.leaves))
    except ProvenanceError:  # which rows it opened is lost, as `verify` says: better one notice too many
        return True
    return not named.isdisjoint(opened.tolist())


# -- both --------------------------------------------------------------------------------------------------------------


def _affected(
    archive: Archive,
    wrong: Mapping[str, np.ndarray],
    had: np.ndarray,
    same: Callable[[entries.Viewed | entries.Exported], bool],
    case: str,
    known: dict[str, bool | None] | None = None,
    until: int | None = None,
) -> Affected:
    wrong = {name: at[archive.shown(name, at)] for name, at in wrong.items()}
    labels = [built.label for built in archive.history.builds if had[built.number]]
    within = set(labels)
    shown, digests, totals, untold, feeds = [], set(), 0, 0, []
    themes = {
        THEMES[code - 1] for name in DERIVED_TABLES for code in set(archive.index(name).theme[wrong.get(name, [])])
    }
    opened = known if known is not None else {}
    for place, act in archive.placed(_SHOWN):
        told = _told_labels(act)
        if within.isdisjoint(told) or (case and getattr(act, "case", "") != case):
            continue
        if isinstance(act, entries.Exported) and act.folder:
            feeds.append(act)
        elif until is not None and place >= until:
            continue
        elif isinstance(act, entries.Exported):
            if same(act) or act.shown in digests:  # a page is shown before it is taken away
                shown.append((place, act))
        elif isinstance(act, entries.Viewed):
            if act.leaves not in opened:  # many views of one page opened the same rows
                opened[act.leaves] = _opened_one(archive, act.leaves, wrong)
            if same(act) or opened[act.leaves]:
                shown.append((place, act))
                digests.add(act.shown)
            elif opened[act.leaves] is None:
                untold += 1
            else:
                about = subject(act.asked, act.nominals)
                totals += about is not None and about[0] == "theme" and about[1] in themes
        else:
            untold += 1
    at = {name: wrong.get(name, np.zeros(0, np.int64)) for name in DERIVED_TABLES}
    return Affected(
        tuple(labels),
        _links(archive, at["link"], had),
        _networks(archive, at["network"], had),
        len(sets.distinct(archive.index("nominal").a[at["nominal"]])),
        tuple(shown),
        totals,
        untold,
        tuple(feeds),
        wrong,
    )


def _told_labels(act: entries.Act | entries.Unknown) -> set[str]:
    """Builds that an act showed something of; with a comparison both."""
    said = canonical.loads(act.asked.encode()) if getattr(act, "asked", "").startswith("{") else {}
    return {getattr(act, "label", ""), said.get("since", "")} - {""}


def _opened_one(archive: Archive, leaves: str, wrong: Mapping[str, np.ndarray]) -> bool | None:
    try:
        found = openings.read(archive, leaves)
    except ProvenanceError:  # `verify` says what is wrong with it
        return None
    return any(len(sets.intersection(at, wrong.get(name, ()))) for name, at in found.items())


def _builds(archive: Archive, table: str, at: np.ndarray) -> np.ndarray:
    """For each build by number whether it had one of these rows; number 0 is none."""
    had = np.zeros(len(archive.history.builds) + 1, bool)
    _, since, until = archive.index(table).spans(at)
    for first, end in zip(since.tolist(), until.tolist(), strict=True):
        if first:
            had[first : end or None] = True
    return had


def _standing_in(archive: Archive, table: str, at: np.ndarray, had: np.ndarray) -> np.ndarray:
    """Those of `at` that stood in one of these builds."""
    which, since, until = archive.index(table).spans(at)
    upto = np.concatenate([[0], np.cumsum(had)])  # how many of the builds lie before each number
    end = np.where(until == 0, len(had), until)
    met = (since > 0) & (upto[end] > upto[since])
    return np.sort(at[sets.distinct(which[met])])


def _reached(archive: Archive, table: str, at: np.ndarray, had: np.ndarray) -> tuple[str, str]:
    """Labels of the first and the last of these builds that had one of the rows."""
    both = np.flatnonzero(_builds(archive, table, at) & had)
    builds = archive.history.builds
    return builds[int(both[0]) - 1].label, builds[int(both[-1]) - 1].label


def _links(archive: Archive, at: np.ndarray, had: np.ndarray) -> tuple[Reached, ...]:
    index = archive.index("link")
    grouped: dict[tuple[int, int, int], list[int]] = {}
    for place in at.tolist():
        grouped.setdefault((int(index.theme[place]), int(index.a[place]), int(index.b[place])), []).append(place)
    return tuple(
        Reached(THEMES[theme - 1], "", (a, b), *_reached(archive, "link", np.array(places), had))
        for (theme, a, b), places in sorted(grouped.items())
    )


def _networks(archive: Archive, at: np.ndarray, had: np.ndarray) -> tuple[Reached, ...]:
    index = archive.index("network")
    named = archive.sealer.open("network", index.rows(at))["network"].to_pylist() if len(at) else []
    grouped: dict[tuple[int, str], list[int]] = {}
    for place, name in zip(at.tolist(), named, strict=True):
        grouped.setdefault((int(index.theme[place]), name), []).append(place)
    return tuple(
        Reached(THEMES[theme - 1], name, (), *_reached(archive, "network", np.array(places), had))
        for (theme, name), places in sorted(grouped.items())
    )
