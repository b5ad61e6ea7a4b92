"""Items of unused material entered on the schedules of a case, and moved between them, one by one (R24 to R28).

Each begins on the MG6D, with reasons for its own sensitivity. What moves it to the MG6C is a named reviewer's reason,
and a description that gives nothing away (`leaks`); no act moves a category. Highly sensitive material, and whatever
rests on a covert human source, is entered apart, and refused here (`apart`). Numbers come from the log, under the one
writer's lock: two processes never give the same one, and a crash before the entry uses none up.

Refused: an item without reasons, a move without a reviewer, a description that leaks, material that belongs apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import apart, edits, leaks, papers, rows, selection, sets, staff
from provenance.archive import Archive
from provenance.entries import TOKENS_AT_MOST, Scheduled, Sent, packed, unpacked
from provenance.errors import Conflict, Malformed, Refused
from provenance.holding import unnamed
from provenance.schedules import APART, MG6C, MG6D, SCHEDULES, WITHDRAWN, Item, Register, Said


@dataclass(frozen=True, slots=True)
class Material:
    """What an item is made of: rows of a build, and everybody and everything that they rest on, by token."""

    nominals: tuple[int, ...] = ()
    records: tuple[int, ...] = ()
    label: str = ""
    leaves: tuple[tuple[str, str], ...] = ()
    handling: str = ""  # the strictest of its contents, by the order of the build
    conditions: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """An item as a schedule may show it now."""

    item: Item
    said: Said | None  # None once it is gone
    gone: str = ""  # "disposed of", or "restricted" but for the case

    @property
    def schedule(self) -> str:
        return self.item.act.schedule

    @property
    def number(self) -> int:
        """Its number on the schedule that it stands on."""
        return self.item.act.number if self.schedule == MG6C else self.item.act.item


@dataclass(frozen=True, slots=True)
class Disclosable:
    """What of a case the defence may be shown: see `disclosable`."""

    leaves: frozenset[str]  # of the rows
    people: frozenset[int]  # by token, whom items on the MG6C name
    pairs: frozenset[frozenset[int]]
    networks: frozenset[str]
    lacking: int  # links that items on the MG6C name, and that rest on a record that is not on it


def enter(
    archive: Archive,
    *,
    case: str,
    material: Material,
    description: str,
    location: str,
    reasons: str,
    assists: str = "",
    separate: bool = False,
    on: str,
    by: str,
    under: str,
) -> Item:
    """Enter an item on the case's MG6D; with `separate`, in the register apart, of which the log tells nothing.

    Raises Malformed for an item that lacks what a schedule has to say, Refused as the module says.
    """
    said = Said(
        description=description, location=location, reasons=reasons, assists=assists, label=material.label,
        leaves=material.leaves, handling=material.handling, conditions=material.conditions,
    )  # fmt: skip
    tokens = [*material.nominals, *material.records]
    if len(set(tokens)) > TOKENS_AT_MOST:
        raise Malformed(f"item rests on too much: found {len(set(tokens)):,}, wanted at most {TOKENS_AT_MOST:,}")
    with archive.writing():
        _check_reasons(said)
        unnamed(archive, tokens, case, by, under)
        if not separate and (
            leaks.terms().speaks_of_chis(material.conditions) or _rests_on_chis(archive, material.records)
        ):
            raise Refused("material is marked as resting on a covert human source: wanted it entered apart (--apart)")
        item = register(archive, separate=separate).next_item(case)
        act = Scheduled(
            on=on, by=by, under=under, case=case, item=item, number=0, schedule=APART if separate else MG6D,
            reviewer="", nominals=packed(material.nominals), records=packed(material.records),
            paper=papers.keep(archive, papers.ITEM, tokens, said.as_json()), apart=apart.NOTHING,
        )  # fmt: skip
        return _logged(archive, act, separate=separate)


def move(
    archive: Archive,
    case: str,
    item: int,
    schedule: str,
    *,
    reviewer: str = "",
    reason: str,
    changed: Mapping[str, str] | None = None,
    systems: Iterable[str] = (),
    separate: bool = False,
    on: str,
    by: str,
    under: str,
) -> Item:
    """Put one item on a schedule: another, or the same with another text (`changed`: fields of `schedules.Said`).

    The MG6C wants a named `reviewer`. `systems` are the source systems' names, which alone describe nothing. Raises
    Missing for an item that is not there, Conflict for one that has been disposed of, Refused as the module says.
    """
    if schedule not in (MG6C, MG6D, WITHDRAWN) if not separate else schedule not in (APART, WITHDRAWN):
        raise Malformed(f"no such schedule to move to: wanted {', '.join(SCHEDULES)}; {APART} items stay apart")
    if not reason.strip():
        raise Refused(f"item {item} is moved without a reason: wanted one for this very item")
    if schedule == MG6C and not (reviewer.strip() and staff.is_telling(reviewer)):
        raise Refused(f"item {item} is moved to the MG6C without a reviewer: wanted a person's name")
    with archive.writing():
        held = register(archive, separate=separate)
        before = held.item(case, item)
        tokens = _tokens(before.act)
        said = _read(archive, before.act)
        if said is None:
            raise Conflict(f"item {item} has been disposed of: its number stays, and nothing can be said of it")
        said = replace(said, **dict(changed or {}), moved=reason)
        unnamed(archive, tokens, case, by, under, reviewer)
        if schedule == MG6C:
            check_for_defence(archive, said, tokens, item=item, systems=systems)
        elif schedule != WITHDRAWN:
            _check_reasons(said)
        number = before.act.number or (held.next_number(case) if schedule == MG6C else 0)
        act = replace(
            before.act, on=on, by=by, under=under, number=number, schedule=schedule,
            reviewer=reviewer if schedule == MG6C else "", apart=apart.NOTHING,
            paper=papers.keep(archive, papers.ITEM, tokens, said.as_json()),
        )  # fmt: skip
        return _logged(archive, act, separate=separate)


def edit(
    archive: Archive,
    case: str,
    item: int,
    table_rows: Iterable[tuple[str, str, Mapping[str, object]]],
    struck: Mapping[str, Mapping[str, str]],
    *,
    on: str,
    by: str,
    under: str,
) -> list[edits.Copy]:
    """Edited copies of an item's rows, and the edits kept with the item; the rows stay as they are (R29).

    `table_rows` are table, leaf and content; `struck` the columns and reasons by table.
    """
    copies = [edits.copied(t, leaf, row, struck[t], on=on, by=by) for t, leaf, row in table_rows if t in struck]
    if not copies:
        raise Malformed(f"item {item} has no row in what is to be edited: wanted another table")
    with archive.writing():
        before = register(archive).item(case, item)
        said = _read(archive, before.act)
        if said is None:
            raise Conflict(f"item {item} has been disposed of: its number stays, and nothing can be said of it")
        own = {leaf for _, leaf in said.leaves}
        if not own.issuperset(copy.unedited for copy in copies):
            raise Malformed(f"item {item} does not have the rows to be edited: wanted its own")
        log = tuple({"unedited": copy.unedited, **line} for copy in copies for line in copy.log)
        kept = replace(said, edits=(*said.edits, *log))
        paper = papers.keep(archive, papers.ITEM, _tokens(before.act), kept.as_json())
        _logged(archive, replace(before.act, on=on, by=by, under=under, paper=paper, apart=apart.NOTHING))
    return copies


def register(archive: Archive, *, separate: bool = False) -> Register:
    """All items of all cases, from the log; with `separate`, those apart. Raises Tampered."""
    archive.refresh()
    found = apart.acts(archive) if separate else archive.acts(["Scheduled"])
    return Register().extend(act for act in found if isinstance(act, Scheduled))


def listed(archive: Archive, case: str, *, after: int = 0, separate: bool = False) -> list[Listed]:
    """A case's items numbered above `after`, and what may be said of each: what is restricted, to a case that holds it.

    The register apart is held to the log first.
    """
    check(archive)
    withheld = archive.withheld(case)
    found = []
    for item in register(archive, separate=separate).of(case):
        if item.act.item <= after:
            continue
        if sets.among(np.array(_tokens(item.act), np.int64), withheld).any():
            found.append(Listed(item, None, "restricted"))
            continue
        said = _read(archive, item.act)
        found.append(Listed(item, said, "" if said else "disposed of"))
    return found


def disclosable(archive: Archive, case: str) -> Disclosable:
    """What a pack for the defence may show: what items on the MG6C name, and no sensitive item has.

    Whatever no item names is sensitive by default (R24); of a row that is in two items, the stricter one counts, in
    whichever register it stands in. A link says of each record behind it the number, date, roles and grade, so it is
    shown only where every one of them is itself on the MG6C.
    """
    named: set[tuple[str, str]] = set()
    closed: set[str] = set()
    for separate in (False, True):
        for each in listed(archive, case, separate=separate):
            if each.said is not None:
                edited = {line["unedited"] for line in each.said.edits}  # those are disclosed as their edited copies
                if each.schedule == MG6C:
                    named |= {row for row in _named(each.item.act, each.said) if row[1] not in edited}
                closed |= {leaf for _, leaf in each.said.leaves} if each.schedule in (MG6D, APART) else edited
    at = {
        table: rows.with_leaves(archive.index(table).leaf, {leaf for of, leaf in named if of == table} - closed)
        for table in sorted({table for table, _ in named})
    }
    at = {table: held[archive.index(table).died[held] == 0] for table, held in at.items()}
    shown = {table: held for table, held in at.items() if table != "link"}
    links = at.get("link", np.zeros(0, np.int64))
    listed_records = _versions(selection.contents(archive, "record", at["record"])) if "record" in at else set()
    behind = selection.contents(archive, "link", links)["supports"].to_pylist()
    whole = np.array([listed_records.issuperset(map(_version, supports)) for supports in behind], bool)
    shown["link"] = links[whole]
    people, pairs = archive.index("nominal"), archive.index("link")
    ends = set(zip(pairs.a[links].tolist(), pairs.b[links].tolist(), strict=True))
    networks = selection.contents(archive, "network", at["network"])["network"].to_pylist() if "network" in at else []
    return Disclosable(
        frozenset(leaf.tobytes().hex() for table, held in shown.items() for leaf in archive.index(table).leaf[held]),
        frozenset(people.a[at.get("nominal", links[:0])].tolist()) | {token for pair in ends for token in pair},
        frozenset(map(frozenset, ends)),
        frozenset(networks),
        int((~whole).sum()),
    )


def _named(act: Scheduled, said: Said) -> set[tuple[str, str]]:
    """The rows of what an item names, as table and leaf. One of a person rests on their links too, and names neither
    those at the other end nor the records behind: each link is an item of its own."""
    person = any(table == "nominal" for table, _ in said.leaves) or len(unpacked(act.nominals)) > 2
    return {(table, leaf) for table, leaf in said.leaves if not (person and table == "link")}


def _versions(records: pa.Table) -> set[tuple[str, str, int]]:
    return set(map(_version, records.select(["system", "record_id", "version"]).to_pylist()))


def _version(named: Mapping[str, object]) -> tuple[str, str, int]:
    return named["system"], named["record_id"], named["version"]  # type: ignore[return-value]


def sent_up_to(archive: Archive, case: str, *, separate: bool = False) -> int:
    """The last item that a schedule sent for this case has; 0 before the first. A continuation begins behind it."""
    found = apart.acts(archive) if separate else archive.acts(["Sent"])
    return max((act.upto for act in found if isinstance(act, Sent) and act.case == case), default=0)


def check(archive: Archive) -> None:
    """Hold the register apart to the ordinary acts of disclosure. Raises Tampered."""
    carried = [(told(act), act.apart) for act in archive.acts(["Scheduled", "Sent"])]
    apart.check(archive, carried)


def told(act: Scheduled | Sent) -> str:
    """By which the digest that an act carries is another one than each other act's."""
    if isinstance(act, Sent):
        return f"sent {act.number} {act.part}"
    return f"scheduled {act.item} {act.schedule} {act.paper} {act.on} {act.case}"


def check_for_defence(
    archive: Archive, said: Said, tokens: Iterable[int], *, item: int, systems: Iterable[str] = ()
) -> None:
    """Raises Refused, with the item and the kinds of leaks and not a word of them, where a text of the MG6C has any."""
    words = leaks.terms()
    found = set()
    for text in (said.description, said.location):
        found |= set(words.found(text, references=_references(archive, text, tokens)))
    if found:
        raise Refused(f"item {item}: its text for the MG6C gives away: {', '.join(sorted(found))}; wanted other words")
    if words.is_thin(said.description, systems=systems):
        raise Refused(
            f"item {item}: its description is thin: wanted what it is and what it says, in {words.least_words} words "
            "or more, and not only a form or a system"
        )


def _check_reasons(said: Said) -> None:
    if not said.reasons.strip():
        raise Refused("item has no reasons for sensitivity: wanted those of this very item (a category is none)")


def _logged(archive: Archive, act: Scheduled, *, separate: bool = False) -> Item:
    """Enter an act where it belongs; the item as it stands then."""
    if separate:
        apart.append(archive, act)
    else:
        archive.append(replace(act, apart=apart.commitment(archive, told(act))))
    return register(archive, separate=separate).item(act.case, act.item)


def _read(archive: Archive, act: Scheduled) -> Said | None:
    content = papers.read(archive, papers.ITEM, act.paper, _tokens(act))
    return None if content is None else Said.from_json(content)


def _tokens(act: Scheduled) -> list[int]:
    return unpacked(act.nominals) + unpacked(act.records)


def _references(archive: Archive, text: str, tokens: Iterable[int]) -> set[str]:
    """Ids of intelligence records that the text has, or that the item rests on."""
    words = {word.strip(".:-/,;()").casefold() for word in re.findall(r"[^\s,;()\"']+", text)}
    said = archive.vault.named(words - {""})
    known = sets.union(said, np.array(sorted(set(tokens)), np.int64))
    return {key.split("\x1f")[2] for key in archive.vault.keys(_intelligence(archive, known)).to_pylist()}


def _intelligence(archive: Archive, tokens: np.ndarray) -> np.ndarray:
    at = _living(archive, tokens)
    kinds = selection.contents(archive, "record", at)["kind"]
    return sets.distinct(archive.index("record").a[at][pc.equal(kinds, "intelligence").to_numpy().astype(bool)])


def _rests_on_chis(archive: Archive, records: Iterable[int]) -> bool:
    at = _living(archive, np.array(sorted(set(records)), np.int64))
    content = selection.contents(archive, "record", at)
    return any(leaks.terms().speaks_of_chis(text) for text in content["conditions"].to_pylist() if text)


def _living(archive: Archive, tokens: np.ndarray) -> np.ndarray:
    """Positions of the records of these tokens, in every version; not by looking at all."""
    index = archive.index("record")
    near = [np.zeros(0, np.int64), *(index.of(token) for token in tokens.tolist())]
    at = sets.distinct(np.concatenate(near)).astype(np.int64)
    return at[index.died[at] == 0]
