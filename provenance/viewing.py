"""What somebody was shown: each page view is an act, and can be held to its build again for as long as that stands.

A page's digest is the leaf of what it said, salted by the secrets of everything it opened (`sealing`): whoever destroys
one of those makes the digest unguessable, as it does a row's. Beside it stands a root over the leaves of the rows that
were opened. Those leaves stay when rows are disposed of, so a later replay can tell that the rows are those that were
shown, and which of them are gone lawfully. A page that has lost some cannot be said again: what it said of them is not
checked, and it is never called the same. Which rows they were, `openings` keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from provenance import asking, canonical, entries, merkle, openings, rows, sets, subjects, themes, vault
from provenance.archive import Archive
from provenance.asking import Ask
from provenance.asof import Snapshot
from provenance.errors import Missing
from provenance.sealing import salted
from provenance.seeing import Seen
from provenance.tables import TABLES

FORM = 4  # of what pages say; a page is said the same way again only by the form that it was shown in
_TABLE = "page"  # labels the digest, as a table's name does


@dataclass(frozen=True, slots=True)
class Page:
    """What one view of one build says, and what it rests on."""

    ask: Ask
    label: str
    said: dict[str, Any]
    digest: str  # of what it said: the leaf of `entry`
    entry: bytes  # its salt and what it said, by which anybody who is given it can work the digest out
    leaves: str  # root over the leaves of the rows that were opened
    references: bytes  # to those rows; see `openings`
    subjects: tuple[int, ...]  # tokens of the nominals it was asked about

    @property
    def citation(self) -> str:
        """By which an intelligence product quotes it: build, view and digest."""
        return f"{self.label}/{self.ask.view}/{self.digest}"


def page(base: Snapshot, before: Snapshot | None, ask: Ask) -> Page:
    """Work a page out. `before` is the build that it is compared with, None where it is not.

    Raises Missing for what the build has not, and Overtaken as every question.
    """
    snapshot = Seen(base)
    with base.archive.remembering():  # the parts of a page ask for the same few rows
        if ask.view in asking.THEME_VIEWS:
            said = themes.answer(snapshot, before, ask)
        else:
            said = subjects.answer(snapshot, before, ask)
    whole = {
        "form": FORM, "view": ask.view, "build": snapshot.label, "root": snapshot.root,
        "cut_off": snapshot.built.cut_off, "case": snapshot.case, "names": int(ask.names),
        "caveat_version": snapshot.landing_page["version"], "filters": ask.parameters(), "said": said,
    }  # fmt: skip
    noted = snapshot.noted()
    tokens, leaves = openings.parents(base.archive, noted), openings.root(base.archive, noted)
    secrets = base.archive.vault.secrets_of(tokens)
    z = rows.joined(secrets, np.array([len(tokens)]))[0].as_py()
    entry = salted(_TABLE, z, canonical.dumps(whole))
    asked = base.archive.vault.tokens(vault.nominal_keys(pa.array(ask.nominals, pa.string())))
    snapshot.keep_up()
    snapshot.teach()
    return Page(
        ask, snapshot.label, whole, merkle.leaf_hash(entry).hex(), entry, leaves.hex(),
        openings.references(base.archive, noted), tuple(sorted(asked.tolist())),
    )  # fmt: skip


def log(archive: Archive, shown: Page, *, case: str, at: str, on: str, by: str, under: str) -> int:
    """Log that a page is about to be shown, before it is; its place in the log. `at` is the moment that was asked for,
    "" for a build by its label."""
    openings.keep(archive, shown.leaves, shown.references)
    act = entries.Viewed(
        on=on, by=by, under=under, label=shown.label, at=at, asked=shown.ask.logged(), case=case,
        nominals=entries.packed(shown.subjects), form=FORM, shown=shown.digest, leaves=shown.leaves,
    )  # fmt: skip
    return archive.append(act).start


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of showing a page again."""

    act: entries.Viewed
    verdict: str  # SAME, LESS, OTHER_FORM or DIFFERS
    page: Page | None  # as it is now; None where its subject is gone
    rows: int  # that were opened for it then; where all of those are left, the rows of all builds that its totals count
    gone: dict[str, int]  # of those, how many were disposed of or are restricted since, by reason
    certificates: tuple[str, ...]  # of the disposals


SAME, LESS, OTHER_FORM, DIFFERS = "same", "lawfully less", "shown in an earlier form", "differs"


def replay(archive: Archive, act: entries.Viewed, shown: Page | None) -> Replay:
    """Hold what was shown to what `shown`, the same view worked out again, says now. None: its subject is not there.

    Raises Missing or Tampered where what `seen/` has of it is not what the log says.
    """
    then = openings.read(archive, act.leaves)
    gone, certificates = _gone(archive, then, act.case)
    if shown is not None and shown.digest == act.shown and shown.leaves == act.leaves:
        return Replay(act, SAME, shown, sum(map(len, then.values())), gone, certificates)
    if not gone:  # totals and series count rows that nobody opened
        counted = _counted(archive, act)
        gone, certificates = _gone(archive, counted, act.case, since=act.on)
        then = counted if gone else then
    rows_ = sum(map(len, then.values()))
    verdict = LESS if gone else DIFFERS
    if shown is not None and not gone and act.form != FORM:
        verdict = OTHER_FORM  # the program is another one: what it says, and may open for it, is not what that one did
    return Replay(act, verdict, shown, rows_, gone, certificates)


def since(archive: Archive, leaves: str, case: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """How many of the rows that a page opened are not shown any more, by reason; and the ids of the disposals.

    Raises Missing or Tampered where `seen/` has not what the digest says.
    """
    return _gone(archive, openings.read(archive, leaves), case)


def asked(archive: Archive, act: entries.Viewed) -> Ask:
    """What was asked for. Raises Missing where somebody it asked about is gone."""
    tokens = np.array(entries.unpacked(act.nominals), np.int64)
    if not archive.vault.retained(tokens).all():
        raise Missing("page was about a nominal who has since been disposed of: it cannot be shown again")
    return asking.read(act.asked, vault.nominal_ids(archive.vault.keys(tokens)).to_pylist())


def find(archive: Archive, reference: str) -> tuple[int, entries.Viewed]:
    """The first view that a citation, `BUILD/VIEW/DIGEST` with at least 12 digits of it, names. Raises Missing."""
    label, _, rest = reference.partition("/")
    view, _, digest = rest.partition("/")
    if len(digest) >= 12:
        for place, act in views(archive):
            if act.label == label and act.shown.startswith(digest) and asking.read_view(act.asked) == view:
                return place, act
    raise Missing("no page was shown under that reference: wanted BUILD/VIEW/DIGEST, as the page gives it")


def views(archive: Archive) -> list[tuple[int, entries.Viewed]]:
    """Every page view, with its place in the log, in order."""
    archive.refresh()
    return [(place, act) for place, act in archive.placed(["Viewed"]) if isinstance(act, entries.Viewed)]


def _counted(archive: Archive, act: entries.Viewed) -> dict[str, np.ndarray]:
    """Positions of every row that the build of a page, or one before it, ever had, by table."""
    number = archive.history.build(act.label).number
    found = {}
    for table in TABLES:
        index = archive.index(table)
        found[table] = np.flatnonzero((index.since > 0) & (index.since <= number))
    return found


def _gone(
    archive: Archive, then: dict[str, np.ndarray], case: str, *, since: str = ""
) -> tuple[dict[str, int], tuple[str, ...]]:
    """How many of the rows are not shown any more, by reason; and the ids of the disposals that took some of them.

    With `since`, of what has come about from that instant on, and nothing that was so before.
    """
    reasons: dict[str, int] = {}
    disposals = set()
    late = np.array([True, *(disposal.first.on >= since for disposal in archive.history.disposals)])
    for table, at in then.items():
        index = archive.index(table)
        died = index.died[at]
        for number in died[(died > 0) & late[died]].tolist():
            first = archive.history.disposals[number - 1].first
            reasons[first.reason] = reasons.get(first.reason, 0) + 1
            disposals.add(first.disposal)
        marked = index.marked[at[died == 0]]
        for number in marked[(marked > 0) & late[marked]].tolist():
            reasons["figures withheld"] = reasons.get("figures withheld", 0) + 1
            disposals.add(archive.history.disposals[number - 1].first.disposal)
        hidden = at[died == 0]
        hidden = hidden[~archive.shown(table, hidden, case=case)]
        if since:
            hidden = hidden[~_rested_on(archive, table, hidden, since)]
        if len(hidden):
            reasons["restricted"] = reasons.get("restricted", 0) + len(hidden)
    return dict(sorted(reasons.items())), tuple(sorted(disposals))


def _rested_on(archive: Archive, table: str, at: np.ndarray, until: str) -> np.ndarray:
    """Which rows at `at` rest on something that was restricted before `until`."""
    index = archive.index(table)
    old = np.sort(np.array([t for t, act in archive.history.restricted.items() if act.on < until], np.int64))
    return sets.among(index.a[at], old) | sets.among(index.b[at], old) | sets.among(at, index.resting_on(old))
