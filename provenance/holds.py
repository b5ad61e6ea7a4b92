"""A hold: material that a case needs is kept, and from which day the law lets go of it.

A `Hold` is what the acts upon it say. `earliest_release` reads the events of a case against the table of the Code of
Practice under the Criminal Procedure and Investigations Act 1996 (domain facts, section 3.2), whose paragraphs and
periods are in `params.yaml`. It says which of the six rows governs, from which day on the material may be let go, and
every step that led there.

A hold follows a case, and a case may have several accused: an event is entered once for each accused whom it befalls,
and proceedings are open until each that were instituted have ended. No event cuts short what another demands; the
latest day governs. So an acquittal beside a conviction shortens nothing, and a second trial, an investigation opened
anew or an appeal lodged late lengthens. Refused as Malformed: an event in the future; one of an unknown kind; and an
end without its beginning, such as a verdict without proceedings, or a release without a sentence.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from provenance.entries import Happening, Held, Progressed, Released, unpacked
from provenance.errors import Conflict, Malformed, shape

if TYPE_CHECKING:
    from provenance.params import HoldTable

EVENTS: Mapping[str, str] = {  # in the order in which those of one day happened
    "investigation-opened": "a criminal investigation was opened, or opened again",
    "decided-no-proceedings": "it was decided that nobody, or nobody else, would be proceeded against",
    "proceedings-instituted": "proceedings were instituted against an accused; also a retrial",
    "not-proceeded-with": "the prosecutor decided not to proceed against an accused",
    "acquitted": "an accused was acquitted",
    "convicted": "an accused was convicted",
    "custody-imposed": "a custodial sentence was imposed on a convicted person",
    "hospital-order-made": "a hospital order was made for a convicted person",
    "released-from-custody": "a convicted person was released from custody",
    "discharged-from-hospital": "a convicted person was discharged from hospital",
    "appeal-lodged": "an appeal against a conviction was lodged",
    "ccrc-applied": "the Criminal Cases Review Commission began to consider a conviction",
    "ccrc-decided-not-to-refer": "the Commission decided not to refer it",
    "ccrc-referred": "the Commission referred it, which opens an appeal",
    "appeal-determined": "an appeal, or what the Commission had referred, was determined",
}
STATES: Mapping[str, str] = {  # the six rows of the table
    "investigation": "the investigation",
    "proceedings": "the proceedings",
    "custody": "convicted, with a custodial sentence or hospital order",
    "six-months": "convicted, without either",
    "appeal": "an appeal",
    "ccrc": "the Criminal Cases Review Commission",
}
REASONS: Mapping[str, str] = {  # why a hold ends
    "period-ended": "the day has come from which the table lets it go",
    "decided": "the inquiry or litigation has no more need of it; only where the basis has no table",
    "superseded": "another hold of the same case stands, holds at least as much and as long, and has all its events",
    "placed-in-error": "it should never have been placed; said by another person than who placed it",
}
# What an event ends, or needs to have come before it: as many of these, at least, by that day.
_ENDED = ("not-proceeded-with", "acquitted", "convicted")
_SENTENCED = ("custody-imposed", "hospital-order-made")
_NEEDS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (_ENDED, ("proceedings-instituted",)),
    (("custody-imposed",), ("convicted",)),
    (("hospital-order-made",), ("convicted",)),
    (("released-from-custody",), ("custody-imposed",)),
    (("discharged-from-hospital",), ("hospital-order-made",)),
    (("ccrc-decided-not-to-refer", "ccrc-referred"), ("ccrc-applied",)),
    (("appeal-determined",), ("appeal-lodged", "ccrc-referred")),
)
_NEEDS_ONE = (("appeal-lodged", "convicted"), ("ccrc-applied", "convicted"))  # however often after one conviction
_PLACE = {event: place for place, event in enumerate(EVENTS)}


def in_order(events: Iterable[Happening]) -> tuple[Happening, ...]:
    """Events as they happened: by day, and those of one day in the order of `EVENTS`."""
    return tuple(sorted(events, key=lambda e: (e.day, _PLACE.get(e.event, len(_PLACE)), e.event)))


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold as the log has it so far."""

    id: str
    case: str
    basis: str
    nominals: tuple[int, ...]  # tokens, ascending
    records: tuple[int, ...]
    networks: tuple[str, ...]
    first_day: str  # of what occurred; both or neither
    last_day: str
    everything: bool
    review_on: str
    events: tuple[Happening, ...]  # in the order of `in_order`
    placed_on: str
    by: str
    under: str
    released_on: str = ""  # "" while it stands

    @classmethod
    def placed(cls, act: Held) -> Hold:
        """The hold that `act` placed."""
        return cls(
            id=act.hold,
            case=act.case,
            basis=act.basis,
            nominals=tuple(unpacked(act.nominals)),
            records=tuple(unpacked(act.records)),
            networks=tuple(scope.network for scope in act.networks),
            first_day=act.first_day,
            last_day=act.last_day,
            everything=bool(act.everything),
            review_on=act.review_on,
            events=in_order(act.events),
            placed_on=act.on,
            by=act.by,
            under=act.under,
        )

    @property
    def stands(self) -> bool:
        """Whether it has not been released."""
        return not self.released_on

    def progressed(self, act: Progressed) -> Hold:
        """The hold with further events, and its review moved. Raises Conflict for another hold or one released."""
        self._about(act.hold)
        return replace(self, events=in_order((*self.events, *act.events)), review_on=act.review_on)

    def released(self, act: Released) -> Hold:
        """The hold at its end. Raises Conflict for another hold or one released before."""
        self._about(act.hold)
        return replace(self, released_on=act.on)

    def covers(self, other: Hold) -> bool:
        """Whether all that `other` names is named here too, and all that happened in its case is entered here.

        An event counts as often as it is entered, since each accused has their own.
        """
        within = self.first_day and self.first_day <= other.first_day and other.last_day <= self.last_day
        named = self.everything or (
            not other.everything
            and set(self.nominals) >= set(other.nominals)
            and set(self.records) >= set(other.records)
            and set(self.networks) >= set(other.networks)
            and bool(within or not other.first_day)
        )
        return named and Counter(self.events) >= Counter(other.events)

    def _about(self, hold: str) -> None:
        if hold != self.id:
            raise Conflict(f"act upon hold {hold}: found hold {self.id}")
        if not self.stands:
            raise Conflict(f"hold {self.id} was released on {self.released_on}: wanted one that stands")


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the table that the case has come to, and what follows from it."""

    state: str  # of `STATES`
    day: str  # the first day on which this row lets go; "" while it has no end
    words: str
    source: str  # instrument and paragraph, and whether the force has yet to confirm them


@dataclass(frozen=True, slots=True)
class Earliest:
    """Which row of the table governs a case, and from which day on the hold may be released."""

    state: str
    day: str  # "" while the governing row has no end
    steps: tuple[Step, ...]  # in the order of `STATES`


def earliest_release(events: Iterable[Happening], on: str, table: HoldTable) -> Earliest:
    """The row that governs, by what has happened up to the day `on`, and the first day on which it lets go.

    Six months from a conviction are calendar months, the day of the conviction not counted: they end with the day of
    the same number, or with the last day of a month that has none, and the first day after them is the one meant. Of
    several rows without an end the first in the order of `STATES` governs, of several with one the latest.

    An appeal lodged after the period had ended, while the material was still held, counts as one in progress then: the
    Code asks for less, but nobody should destroy what a court is about to ask for. Raises Malformed, see above.
    """
    steps = _steps(_checked(in_order(events), on), table)
    governs = next((step for step in steps if not step.day), None) or max(steps, key=lambda step: step.day)
    return Earliest(governs.state, governs.day, tuple(steps))


def _checked(events: Sequence[Happening], on: str) -> Mapping[str, list[str]]:
    """The days of each event, in order, once every event is known to be possible where it stands."""
    days: dict[str, list[str]] = defaultdict(list)
    for happening in events:
        event, day = happening.event, happening.day
        if event not in EVENTS:
            raise Malformed(f"event is not one this version knows: found {shape(event)}, wanted {', '.join(EVENTS)}")
        if day > on:
            raise Malformed(f"event is in the future: found {event} on {day}, wanted a day no later than {on}")
        days[event].append(day)
        for ends, begins in _NEEDS:
            found, most = (sum(len(days[code]) for code in codes) for codes in (ends, begins))
            if event in ends and found > most:
                raise Malformed(
                    f"event has no beginning: found {event} on {day}, wanted as many of {' or '.join(begins)} by that "
                    f"day as of {' or '.join(ends)}: one for each accused; there are {most} and {found}"
                )
        for later, earlier in _NEEDS_ONE:
            if event == later and not days[earlier]:
                raise Malformed(f"event has no beginning: found {event} on {day}, wanted {earlier} by that day")
    return days


def _steps(days: Mapping[str, list[str]], table: HoldTable) -> list[Step]:
    """Each row that the case has come to; never none."""
    steps: list[Step] = []

    def all_of(*codes: str) -> list[str]:
        return sorted(day for code in codes for day in days.get(code, ()))

    def came(state: str, day: str, words: str) -> None:
        row = table.rows[state]
        unsure = ", to be confirmed" if row.force_to_confirm else ""
        steps.append(Step(state, day, words, f"{row.instrument}, {row.paragraph}{unsure}"))

    def as_to_the_period(what: str, day: str) -> str:
        if not all(step.day for step in before) or day < max(step.day for step in before):
            return f"{what} on {day}, before the period ended: this lengthens nothing."
        return f"{what} on {day}: it was in progress when the period ended, or the material was still held then."

    decided, instituted = all_of("decided-no-proceedings"), all_of("proceedings-instituted")
    opened, answered = all_of("investigation-opened"), sorted(decided + instituted)
    if not answered or (opened and opened[-1] > answered[-1]):
        since = f"An investigation was opened on {opened[-1]}" if opened else "No event of the case is entered"
        came("investigation", "", f"{since}: kept until it is decided whether to institute proceedings.")
    elif decided:
        came("investigation", decided[-1], f"It was decided on {decided[-1]} to institute no proceedings.")

    ended, freed = all_of(*_ENDED), all_of("not-proceeded-with", "acquitted")
    if waiting := len(instituted) - len(ended):
        came("proceedings", "", f"Not ended: {waiting} of {len(instituted)} proceedings, the last of {instituted[-1]}.")
    elif freed:
        came("proceedings", freed[-1], f"The last acquittal or decision not to proceed was on {freed[-1]}.")

    if convicted := all_of("convicted"):
        last = _months_after(convicted[-1], table.months_from_conviction)
        after = (date.fromisoformat(last) + timedelta(days=1)).isoformat()
        months = f"{table.months_from_conviction} months from the last conviction, on {convicted[-1]}, end with {last}"
        imposed, released = all_of(*_SENTENCED), all_of("released-from-custody", "discharged-from-hospital")
        if not imposed:
            came("six-months", after, f"{months}. No custodial sentence or hospital order is entered.")
        elif waiting := len(imposed) - len(released):
            orders = f"{waiting} of {len(imposed)} custodial sentences or hospital orders"
            came("custody", "", f"Not released or discharged: {orders}. {months}: so long at the least.")
        else:
            later = "which is later" if after > released[-1] else "which is no later"
            freed_on = f"The last release or discharge was on {released[-1]}"
            came("custody", max(after, released[-1]), f"{freed_on}. {months}, {later}.")

    before = tuple(steps)
    lodged, determined = all_of("appeal-lodged", "ccrc-referred"), all_of("appeal-determined")
    if waiting := len(lodged) - len(determined):
        came("appeal", "", f"Not determined: {waiting} of {len(lodged)} appeals, the last of {lodged[-1]}.")
    elif determined:
        came("appeal", determined[-1], as_to_the_period("The last appeal was determined", determined[-1]))

    applied, declined = all_of("ccrc-applied"), all_of("ccrc-decided-not-to-refer")
    if len(applied) > len(declined) + len(all_of("ccrc-referred")):
        came("ccrc", "", f"The Commission is considering the case, the last time since {applied[-1]}.")
    elif declined:
        came("ccrc", declined[-1], as_to_the_period("The Commission decided not to refer the case", declined[-1]))
    return steps


def _months_after(day: str, months: int) -> str:
    """The day of the same number so many months on, or the last day of a month that has none."""
    start = date.fromisoformat(day)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1])).isoformat()
