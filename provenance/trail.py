"""Who was shown what, and when: the consultation log, put to one of the four purposes that the law allows (R21, R42).

DPA 2018 s.62(4): logs may be used for nothing else. Who asks says for which, and that they asked is logged before they
are told. A question about a person finds the pages about them, and every other page that opened a row of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from provenance import affected, asking, entries, ledger, moments, openings, sets, vault
from provenance.affected import Affected, Changed
from provenance.archive import Archive
from provenance.errors import Malformed, Missing, ProvenanceError

PURPOSES = {  # DPA 2018 s.62(4)(a) to (d); read 2026-11, unverified against the amended text
    "lawfulness": "to verify that processing was lawful",
    "self-monitoring": "self-monitoring by the force, internal disciplinary proceedings among it",
    "integrity": "to ensure the integrity and security of personal data",
    "criminal-proceedings": "the purposes of criminal proceedings",
}
KINDS = {"Viewed": "was shown", "Consulted": "opened for a case", "Exported": "took away"}
ABOUT, NAMED = "about", "shown on it"  # how a page has to do with who was asked about


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the trail. What is empty narrows nothing."""

    nominal: str = ""
    user: str = ""
    label: str = ""
    case: str = ""
    first_day: str = ""  # days in London
    last_day: str = ""

    def __post_init__(self) -> None:
        for name in ("first_day", "last_day"):
            if (day := getattr(self, name)) and not moments.is_date(day):
                raise Malformed(f"{name.replace('_', ' ')} is not a date: wanted one such as 2026-03-14")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise Malformed(
                f"last day {self.last_day} is before first day {self.first_day}: wanted it the same or later"
            )


@dataclass(frozen=True, slots=True)
class Line:
    """One act by which somebody was shown something."""

    place: int  # in the log
    kind: str  # of KINDS
    on: str
    by: str
    under: str
    label: str
    view: str  # "" where the act names none
    case: str
    subjects: tuple[int, ...]  # tokens of whom it was about
    how: str  # ABOUT, NAMED; "" where nobody was asked about
    rows: int | None  # that spoke of who was asked about; None where which rows it opened is not to be had any more
    shown: str  # digest of what it said, "" where the act has none


@dataclass(frozen=True, slots=True)
class Answer:
    """What the trail has to a question, in log order."""

    lines: tuple[Line, ...]
    untold: int  # acts of which nobody can tell whose rows were shown


def trace(archive: Archive, question: Question, *, purpose: str, on: str, by: str, under: str) -> Answer:
    """Answer a question, once it is logged who asks it and what for.

    Raises Malformed for a purpose that the law does not name, Missing for a nominal that the archive does not have.
    """
    _check(purpose)
    archive.refresh()
    tokens = _tokens(archive, question)
    found = _answer(archive, question, tokens)
    act = entries.Traced(
        on=on, by=by, under=under, purpose=purpose, nominals=entries.packed(tokens.tolist()), user=question.user,
        label=question.label, case=question.case, first_day=question.first_day, last_day=question.last_day,
        lines=len(found.lines),
    )  # fmt: skip
    archive.append(act)
    return found


@dataclass(frozen=True, slots=True)
class Reach:
    """What something wrong has reached, and who has it."""

    affected: Affected
    changed: Changed | None  # of a record
    sent: tuple[ledger.Entry, ...]  # items of the recipients ledger that left while it was wrong
    names: Mapping[int, str]  # ids of the ends of its links, of those that may be shown


def of_record(archive: Archive, system: str, record_id: str, *, purpose: str, on: str, by: str, under: str) -> Reach:
    """Everything that rested on a record before its source corrected or withdrew it (R15); logged as a question, whose
    tokens are the record's. Raises as `trace`."""
    _check(purpose)
    archive.refresh()
    record = affected.token(archive, system, record_id)
    how, found = affected.changed(archive, record), affected.of_record(archive, record)
    until = max((at for at, act in archive.placed(["Received"]) if act.on <= how.on), default=archive.log.size)
    sent = [each for each in ledger.to_whom(archive, [record]) if not how.extract or each.place < until]
    _ask(archive, [record], found, purpose=purpose, on=on, by=by, under=under)
    return Reach(found, how, tuple(sent), _ends(archive, found))


def of_report(archive: Archive, number: int, *, purpose: str, on: str, by: str, under: str) -> Reach:
    """Everything that spoke of what a report was found to be in error by; logged as a question. Raises as `trace`."""
    _check(purpose)
    archive.refresh()
    held = archive.history.report(number)
    found = affected.of_report(archive, held)
    sent = [each.entry for each in ledger.notices(archive) if each.entry and each.is_of_report(number)]
    _ask(archive, entries.unpacked(held.act.nominals), found, purpose=purpose, on=on, by=by, under=under)
    return Reach(found, None, tuple(sent), _ends(archive, found))


def _check(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise Malformed(f"purpose is none that DPA 2018 s.62(4) allows: wanted one of {', '.join(PURPOSES)}")


def _ask(
    archive: Archive, tokens: Sequence[int], found: Affected, *, purpose: str, on: str, by: str, under: str
) -> None:
    act = entries.Traced(
        on=on, by=by, under=under, purpose=purpose, nominals=entries.packed(tokens), user="", label="", case="",
        first_day="", last_day="", lines=len(found.shown),
    )  # fmt: skip
    archive.append(act)


def _ends(archive: Archive, found: Affected) -> Mapping[int, str]:
    return _named(archive, {token for link in found.links for token in link.ends})


def mine(archive: Archive, user: str) -> list[Line]:
    """What one person was shown, for themselves: no purpose is asked of who looks at their own."""
    archive.refresh()
    return list(_answer(archive, Question(user=user), np.zeros(0, np.int64)).lines)


def names(archive: Archive, lines: Sequence[Line]) -> Mapping[int, str]:
    """Ids behind the tokens of these lines: none for whom the archive has no more, or who is restricted."""
    return _named(archive, {token for line in lines for token in line.subjects})


def _named(archive: Archive, found: set[int]) -> Mapping[int, str]:
    tokens = np.array(sorted(found), np.int64)
    tokens = tokens[archive.vault.retained(tokens)]
    tokens = sets.difference(tokens, archive.withheld())
    return dict(zip(tokens.tolist(), vault.nominal_ids(archive.vault.keys(tokens)).to_pylist(), strict=True))


def _tokens(archive: Archive, question: Question) -> np.ndarray:
    if not question.nominal:
        return np.zeros(0, np.int64)
    tokens = archive.vault.tokens(vault.nominal_keys(pa.array([question.nominal], pa.string())))
    if not tokens.all():
        raise Missing("no nominal of that id is here: it was never received, or was disposed of")
    return tokens


def _answer(archive: Archive, question: Question, tokens: np.ndarray) -> Answer:
    start = moments.utc(moments.day(question.first_day)[0]) if question.first_day else ""
    end = moments.utc(moments.day(question.last_day)[1]) if question.last_day else "9999"
    lines, untold, counted = [], 0, {}
    for place, act in archive.placed(KINDS):
        line = _line(place, act)
        fits = (
            start <= line.on < end
            and question.user in ("", line.by)
            and question.label in ("", line.label)
            and question.case in ("", line.case)
        )
        if not fits:
            continue
        if len(tokens):
            leaves = getattr(act, "leaves", "")
            if leaves and leaves not in counted:  # many views of one page opened the same rows
                counted[leaves] = _spoken(archive, leaves, tokens)
            about = not set(tokens.tolist()).isdisjoint(line.subjects)
            rows = counted.get(leaves)
            untold += rows is None and not about
            if not about and not rows:
                continue
            line = replace(line, how=ABOUT if about else NAMED, rows=rows)
        lines.append(line)
    return Answer(tuple(lines), untold)


def _spoken(archive: Archive, leaves: str, tokens: np.ndarray) -> int | None:
    try:
        return openings.speak_of(archive, openings.read(archive, leaves), tokens)
    except ProvenanceError:  # `verify` says what is wrong with it
        return None


def _line(place: int, act: entries.Act | entries.Unknown) -> Line:
    """Of an act of another version, what this one can read of it."""
    asked = getattr(act, "asked", "")
    return Line(
        place, KINDS[getattr(act, "act", type(act).__name__)], act.on, act.by, act.under, getattr(act, "label", ""),
        asking.read_view(asked) if asked else "", getattr(act, "case", ""),
        tuple(entries.unpacked(getattr(act, "nominals", ""))), "", 0, getattr(act, "shown", ""),
    )  # fmt: skip
