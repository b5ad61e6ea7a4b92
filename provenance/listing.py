"""What a partner is told of a list of ids or names: for each row whether the person is present, and the harm; no more.

`present` means: in this build and theme, on record as somebody who offended or is suspected to have. Whoever is known
only as a victim, a witness or otherwise is answered as somebody unknown is, letter by letter, so that no list tells who
was a victim (DPA 2018 s.38(3)). An id is matched exactly, a name together with the date of birth exactly; nothing is
guessed, and where two people share both, or the figures are withheld, the answer is `unclear`. Rows are answered by
their number: no name that came in goes out, into the log or into a file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import vault
from provenance.asof import Snapshot
from provenance.errors import Malformed
from provenance.records import THEMES

PRESENT = (YES, NO, UNCLEAR) = ("yes", "no", "unclear")
COLUMNS = (("nominal_id",), ("name", "born"), ("nominal_id", "name", "born"))
RULE = (
    "present: yes, on record in this build and theme as somebody who offended or is suspected to have; no, otherwise, "
    "which is also the answer for whoever is not on record; unclear, no answer can be given from the list alone. "
    "Ids, and names with dates of birth, are matched exactly. harm is a figure of the records in which the person "
    "offended or is suspected to have; records that the harm table does not price count nothing."
)
_BATCH = 5_000  # rows asked at a time
_LONGEST = 1_000  # characters of a cell


@dataclass(frozen=True, slots=True)
class Asked:
    """One row of a list, either by id or by name and date of birth."""

    nominal: str
    name: str
    born: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one row."""

    present: str
    harm: int | None  # None where `present` is not "yes"


@dataclass(frozen=True, slots=True)
class Checked:
    """A list's answers, row by row, and the tokens of those about whom something was said."""

    answers: tuple[Answer, ...]
    nominals: tuple[int, ...]

    def as_csv(self) -> bytes:
        """`row,present,harm`, rows from 1."""
        lines = (
            f"{row},{answer.present},{'' if answer.harm is None else answer.harm}\n"
            for row, answer in enumerate(self.answers, start=1)
        )
        return ("row,present,harm\n" + "".join(lines)).encode()


def covering(heading: Mapping[str, Any], theme: str) -> str:
    """What goes with an answer, so that its reader can judge how far it can be relied on (DPA 2018 s.38(5)(b); R44)."""
    return "\n".join(
        [
            "Answer to a list",
            "",
            f"Build {heading['build']}, theme {theme}, of records entered by {heading['cut_off']}.",
            f"The build {'verifies' if heading['verified'] else 'DOES NOT VERIFY: do not use this answer'}.",
            RULE,
            "It rests on records of several source systems, some of them intelligence, which is assessed and not",
            "fact, in the grades that the force admits. Records that came in later, or were held back, are not in it.",
            "It says nothing of guilt. If it turns out to be wrong you will be told; until then do not pass it on.",
            "",
            str(heading["caveat"]),
            "",
        ]
    )


def read(handle: BinaryIO) -> Iterator[Asked]:
    """A list's rows as they are read, UTF-8 CSV with a heading. Raises Malformed, with the line and no word of it.

    Other columns than are needed are refused: what nobody asked for is not to be handed over.
    """
    try:
        lines = csv.reader((_text(line, at) for at, line in enumerate(handle, start=1)), strict=True)
        heading = tuple(next(lines, ()))
        if tuple(sorted(heading)) not in {tuple(sorted(columns)) for columns in COLUMNS}:
            raise Malformed(
                f"list has {len(heading)} columns in its heading: wanted nominal_id, or name and born, or all three"
            )
        for cells in lines:
            if len(cells) != len(heading) or any(len(cell) > _LONGEST for cell in cells):
                raise Malformed(f"list, line {lines.line_num}: found {len(cells)} cells, wanted {len(heading)}")
            said = dict.fromkeys(("nominal_id", "name", "born"), "") | dict(zip(heading, cells, strict=True))
            by_id, by_name = bool(said["nominal_id"]), bool(said["name"] and said["born"])
            if by_id == by_name or (by_id and (said["name"] or said["born"])):
                raise Malformed(f"list, line {lines.line_num}: wanted an id, or else a name with a date of birth")
            yield Asked(said["nominal_id"], said["name"], said["born"])
    except csv.Error:
        raise Malformed("list is not CSV: wanted comma-separated cells, quoted where they hold commas") from None


def check(snapshot: Snapshot, asked: Iterable[Asked], *, theme: str) -> Checked:
    """Answer a list of one build and theme, some rows at a time."""
    if theme not in THEMES:
        raise Malformed(f"no such theme: wanted one of {', '.join(THEMES)}")
    persons = snapshot.content("person", snapshot.standing("person")).select(["nominal_id", "name", "born"])
    persons = persons.filter(pc.and_(pc.not_equal(persons["name"], ""), pc.not_equal(persons["born"], "")))
    keys = pc.binary_join_element_wise(persons["name"], persons["born"], "\x1f").combine_chunks()
    answers: list[Answer] = []
    told: set[int] = set()
    batch: list[Asked] = []
    for row in asked:
        batch.append(row)
        if len(batch) == _BATCH:
            _answer(snapshot, batch, theme, persons, keys, answers, told)
            batch.clear()
    _answer(snapshot, batch, theme, persons, keys, answers, told)
    snapshot.keep_up()
    return Checked(tuple(answers), tuple(sorted(told)))


def _answer(
    snapshot: Snapshot,
    batch: Sequence[Asked],
    theme: str,
    persons: pa.Table,
    keys: pa.Array,
    answers: list[Answer],
    told: set[int],
) -> None:
    names = pa.array(sorted({f"{row.name}\x1f{row.born}" for row in batch if not row.nominal}), pa.string())
    at = np.flatnonzero(pc.is_in(keys, value_set=names).to_numpy(zero_copy_only=False))
    named: dict[str, set[str]] = {}
    for key, nominal in zip(
        keys.take(pa.array(at)).to_pylist(), persons["nominal_id"].take(pa.array(at)).to_pylist(), strict=True
    ):
        named.setdefault(key, set()).add(nominal)
    meant = [{row.nominal} if row.nominal else named.get(f"{row.name}\x1f{row.born}", set()) for row in batch]
    ids = sorted(set().union(*meant))
    stands = snapshot.stands_for(ids) if ids else {}
    figures = _figures(snapshot, sorted(set(stands.values())), theme)
    for nominals in meant:
        known = {stands[nominal] for nominal in nominals}
        of_note = [person for person in sorted(known) if person in figures]
        if not of_note:
            answers.append(Answer(NO, None))
            continue
        _, harm = figures[of_note[0]]
        told.update(figures[person][0] for person in of_note)
        answers.append(Answer(UNCLEAR, None) if len(known) > 1 or harm is None else Answer(YES, harm))


def _figures(snapshot: Snapshot, nominals: Sequence[str], theme: str) -> dict[str, tuple[int, int | None]]:
    """Token and harm of those who are on record as offending; harm None where their figures are withheld."""
    tokens = snapshot.archive.vault.tokens(vault.nominal_keys(pa.array(nominals, pa.string())))
    by_id = dict(zip(nominals, tokens.tolist(), strict=True))
    known = sorted(token for token in by_id.values() if token)
    if not known:
        return {}
    held = snapshot.content("nominal", snapshot.standing_of("nominal", known, theme))
    return {
        row["nominal"]: (by_id[row["nominal"]], row["harm"])
        for row in held.to_pylist()
        if row["nominal"] in by_id and ((row["offending"] is None and not row["victim_only"]) or row["offending"])
    }


def _text(line: bytes, at: int) -> str:
    try:
        return line.decode("utf-8-sig" if at == 1 else "utf-8")
    except UnicodeDecodeError:
        raise Malformed(f"list, line {at}: wanted UTF-8") from None
