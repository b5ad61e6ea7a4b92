"""The archive as the pages share it: one at a time, with what was worked out kept for the next who asks the same.

A page is kept for as long as nothing it could have shown was disposed of, restricted or released since; in memory only.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from provenance import (
    affected,
    asof,
    consulting,
    exporting,
    health,
    ledger,
    lookups,
    reporting,
    searching,
    standings,
    trail,
    vault,
    viewing,
    whereabouts,
)
from provenance.affected import Affected
from provenance.archive import Archive
from provenance.asking import THEME_VIEWS, Ask
from provenance.asof import Snapshot
from provenance.entries import Viewed, packed
from provenance.errors import Conflict, Missing, ProvenanceError, Refused
from provenance.exporting import Carried
from provenance.health import Health
from provenance.ledger import Notice
from provenance.records import THEMES
from provenance.reports import Report
from provenance.tables import TABLES
from provenance.trail import Answer, Line, Question, Reach
from provenance.viewing import Page, Replay
from provenance.web.verdicts import Verdicts

_T = TypeVar("_T")
_BUILDS = 64  # whose standing is kept
_PAGES = 2_000


class Reader:
    """What the handlers of all requests ask."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._turn = threading.RLock()  # an Archive is one reader's; its log alone takes several at once
        self._builds: OrderedDict[Hashable, Snapshot] = OrderedDict()
        self._pages: OrderedDict[Hashable, Page] = OrderedDict()
        # What `notices` found pages to have opened, for as long as nothing is settled, disposed of or restricted.
        self._reached: tuple[tuple[int, int], dict[int, dict[str, bool | None]]] = (-1, -1), {}
        self._verdicts = Verdicts(archive.root, archive.keys, self.turn)
        self._disposals = archive.vault.disposals
        # Called in `turn`, once what was in memory is forgotten, when another process disposed of something: with the
        # number of disposals by now.
        self.on_disposal: Callable[[int], None] = lambda _: None
        self._handled: OrderedDict[Hashable, frozenset[tuple[str, str]]] = OrderedDict()

    @contextmanager
    def turn(self) -> Iterator[Archive]:
        """The archive, to one at a time, with what others have logged taken in."""
        with self._turn:
            self.archive.refresh()
            if self.archive.vault.disposals != self._disposals:
                self._disposals = self.archive.vault.disposals
                self.forget()
                self.on_disposal(self._disposals)
            yield self.archive

    def forget(self) -> None:
        """Keep nothing that was read or worked out."""
        with self._turn:
            for kept in (self._builds, self._pages, self._handled):
                kept.clear()
            self.archive.forget()

    def prepare(self) -> None:
        """Have in memory what the first pages ask, and put away what they look up where a disposal removed it."""
        # While a build or a disposal is on its way, pages work it out for themselves.
        with self._turn, contextlib.suppress(Conflict):
            lookups.mend(self.archive)
        with self.turn() as archive:
            for table in TABLES:
                archive.index(table)
                archive.index(table).of()
            lookups.prepare(archive)
            whereabouts.prepare(archive)
            searching.prepare(archive)
            if archive.history.builds:
                last = self.snapshot(label=archive.history.builds[-1].label)
                for theme in THEMES:
                    standings.over_builds(last, theme)
                self._rehearse(last)
        # What is in memory by now stays: to look through it for garbage would hold pages up for a tenth of a second.
        gc.collect()
        gc.freeze()

    def _rehearse(self, last: Snapshot) -> None:
        """Work out, and show nobody, what loads most: the first who asks for figures waits for no library then."""
        at = last.standing("nominal")
        at = at[self.archive.shown("nominal", at)][:1]
        names = vault.nominal_ids(self.archive.vault.keys(self.archive.index("nominal").a[at])).to_pylist()
        with contextlib.suppress(ProvenanceError):  # what is wrong is told to whoever asks for it
            for name in names:
                self.page(last, Ask(view="figures", nominals=(name,)))
                if last.built.number > 1:
                    since = self.archive.history.builds[last.built.number - 2].label
                    self.page(last, Ask(view="nominal", nominals=(name,), since=since))

    def snapshot(self, *, when: str = "", label: str = "", case: str = "") -> Snapshot:
        """The build that was live at `when`, or of that label, kept for later requests. Raises as `asof.as_of`."""
        with self.turn() as archive:
            if label:
                built = archive.history.build(label)
                live = [p for p in archive.history.publications if p.label == label]
                fresh = Snapshot(archive, built, live[-1] if live else None, case)
            else:
                fresh = asof.as_of(archive, when, case=case)
            key = fresh.label, fresh.publication, case, fresh.acts
            held = _kept(self._builds, key, lambda: fresh, _BUILDS)
            _ = held.disposed  # every page says it, and by then the archive is another's
            return held

    def before(self, snapshot: Snapshot, since: str) -> Snapshot | None:
        """The build that changes are counted from: `since`, or the one before. Raises Missing for a later one."""
        with self.turn() as archive:
            number = snapshot.built.number
            if not since:
                return self.snapshot(label=archive.history.builds[number - 2].label) if number > 1 else None
            found = self.snapshot(label=since)
            if found.built.number >= number:
                raise Missing(f"build {since} is not earlier than build {snapshot.label}: wanted one before it")
            return found

    def page(self, snapshot: Snapshot, ask: Ask) -> Page:
        """The page, worked out or as it was kept."""

        def ask_again() -> Page:
            with self.turn():
                counted_from = self.before(snapshot, ask.since) if ask.since or ask.view == "change" else None
                base = self.snapshot(label=snapshot.label, case=snapshot.case)
                key = base.label, base.case, base.acts, counted_from and counted_from.label, ask
                return _kept(self._pages, key, lambda: viewing.page(base, counted_from, ask), _PAGES)

        return asof.whole(ask_again)

    def carried(self, snapshot: Snapshot, page: Page) -> Carried:
        """What goes with a page that is handed out; how its builds are handled is kept for who asks the same."""

        def ask_again() -> Carried:
            with self.turn():
                sides = [self.snapshot(label=snapshot.label, case=snapshot.case)]
                if page.ask.since or page.ask.view == "change":
                    sides += filter(None, [self.before(sides[0], page.ask.since)])
                scope = page.ask.theme if page.ask.view in THEME_VIEWS else page.ask
                parts = [
                    _kept(
                        self._handled, (side.label, side.case, side.acts, scope),
                        lambda side=side: exporting.handled(side, page), _PAGES,
                    )
                    for side in sides
                ]  # fmt: skip
                return exporting.carried(sides[0], page, frozenset().union(*parts))

        return asof.whole(ask_again)

    def take_away(self, page: Page, with_it: Carried, *, form: str, case: str, on: str, by: str, under: str) -> int:
        """See `exporting.log`."""
        return exporting.log(self.archive, page, with_it, form=form, case=case, on=on, by=by, under=under)

    def search(self, snapshot: Snapshot, words: str) -> list[str]:
        """See `searching.search`."""
        return asof.whole(lambda: self._searched(snapshot, words))

    def _searched(self, snapshot: Snapshot, words: str) -> list[str]:
        with self.turn():
            return searching.search(self.snapshot(label=snapshot.label, case=snapshot.case), words)

    def log(self, page: Page, *, case: str, at: str, on: str, by: str, under: str) -> int:
        """See `viewing.log`. Not in turn: those who come at once share one commit."""
        return viewing.log(self.archive, page, case=case, at=at, on=on, by=by, under=under)

    def consult(self, snapshot: Snapshot, *, on: str, by: str) -> None:
        """See `consulting.consult`."""
        with self.turn() as archive:
            consulting.consult(archive, snapshot, on=on, by=by)

    def is_verified(self, snapshot: Snapshot) -> bool | None:
        """See `Verdicts.of`."""
        return self._verdicts.of(snapshot)

    def health(self, *, on: str) -> Health:
        """See `health.health`. Whether the last build verifies is as the pages know it."""
        with self.turn() as archive:
            builds = archive.history.builds
            verified = self._verdicts.of(self.snapshot(label=builds[-1].label)) if builds else None
            return health.health(archive, on=on, verified=verified)

    def find(self, reference: str) -> tuple[int, Viewed]:
        """See `viewing.find`."""
        with self.turn() as archive:
            return viewing.find(archive, reference)

    def asked(self, act: Viewed) -> Ask:
        """See `viewing.asked`."""
        with self.turn() as archive:
            return viewing.asked(archive, act)

    def viewed(self, place: int) -> Viewed:
        """The page view at a place in the log. Raises Missing where another act stands there."""
        with self.turn() as archive:
            act = next(archive.log.acts(place, place + 1), None) if place < archive.log.size else None
            if not isinstance(act, Viewed):
                raise Missing(f"log entry {place} is no page view: wanted the number of one")
            return act

    def in_error(self, page: Page, case: str) -> list[Report]:
        """Reports by which this page was later found to be in error; see `History.in_error`."""
        labels = [page.label] + [page.ask.since] * bool(page.ask.since)
        return self.archive.history.in_error(labels, page.ask.logged(), packed(page.subjects), case)

    def report(self, view: int, **said: str) -> Report:
        """See `reporting.report`."""
        with self.turn() as archive:
            return reporting.report(archive, view, **said)

    def reported(self, number: int) -> tuple[Report, str | None]:
        """A report, and what was said in it: see `reporting.words`."""
        with self.turn() as archive:
            held = archive.history.report(number)
            return held, reporting.words(archive, held)

    def notices(self, user: str) -> list[Notice]:
        """See `ledger.shown_to`."""
        with self.turn() as archive:
            history = archive.history
            if not any(each.finding for each in history.reports):
                return []
            key = history.shifts, sum(len(each.settled) for each in history.reports)
            if self._reached[0] != key:
                self._reached = key, {}
            return ledger.shown_to(archive, user, self._reached[1])

    def acknowledge(self, name: str, *, on: str, by: str, under: str) -> Notice:
        """Log that somebody has read a notice of theirs. Raises Refused for another's, Conflict where it is told."""
        with self.turn() as archive:
            if name not in {each.name for each in ledger.shown_to(archive, by, {})}:
                raise Refused("notice is not one of yours: wanted one that is on your page of what you saw")
            return ledger.notify(archive, name, means="read on the dashboard", on=on, by=by, under=under)

    def reach(self, number: int) -> Affected:
        """See `affected.of_report`."""
        with self.turn() as archive:
            return affected.of_report(archive, archive.history.report(number))

    def of_record(self, system: str, record_id: str, **said: str) -> Reach:
        """See `trail.of_record`."""
        with self.turn() as archive:
            return trail.of_record(archive, system, record_id, **said)

    def mine(self, user: str) -> list[Line]:
        """See `trail.mine`."""
        with self.turn() as archive:
            return trail.mine(archive, user)

    def trace(self, question: Question, **said: str) -> tuple[Answer, Mapping[int, str]]:
        """See `trail.trace`, with the ids of whom its lines are about."""
        with self.turn() as archive:
            found = trail.trace(archive, question, **said)
            return found, trail.names(archive, found.lines)

    def names(self, lines: Sequence[Line]) -> Mapping[int, str]:
        """See `trail.names`."""
        with self.turn() as archive:
            return trail.names(archive, lines)

    def replay(self, act: Viewed) -> Replay:
        """Show a logged view again. Raises as `viewing.replay`."""

        def ask_again() -> Replay:
            with self.turn() as archive:
                try:
                    ask = viewing.asked(archive, act)
                    snapshot = self.snapshot(label=act.label, case=act.case)
                    shown = self.page(snapshot, ask)
                except Missing:
                    shown = None
                return viewing.replay(archive, act, shown)

        return asof.whole(ask_again)


def _kept(kept: OrderedDict[Hashable, _T], key: Hashable, make: Callable[[], _T], most: int) -> _T:
    if key in kept:
        kept.move_to_end(key)
        return kept[key]
    made = kept[key] = make()
    while len(kept) > most:
        kept.popitem(last=False)
    return made
