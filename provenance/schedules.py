"""Schedules of unused material: which items a case has, on which schedule each stands, and under which number.

An item is entered on the MG6D, always (R24): sensitive until somebody has looked at this very item. On the MG6C it gets
a number of that schedule, which it keeps; on the MG6D its own stays and says where it went. So each schedule numbers
from 1 without a gap, over every continuation, no number is ever another item's (R25), and the numbers that the defence
sees do not tell how much is sensitive. Material whose disclosure may cost a life stands in a register of its own
(`apart`), which numbers by the same rule (R28). Computed from acts, in log order; what they say in words is in papers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from provenance import entries
from provenance.errors import Malformed, Missing, Tampered

MG6C, MG6D, WITHDRAWN, APART = "mg6c", "mg6d", "withdrawn", "highly-sensitive"
SCHEDULES = {
    MG6C: "relevant, not sensitive: goes to the defence",
    MG6D: "relevant, sensitive: does not go to the defence",
    WITHDRAWN: "taken off the schedules; its numbers stay its own",
    APART: "highly sensitive, or resting on a covert human source: a register of its own",
}
_HIDING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # would show a text in another order than it has
TEXT_AT_MOST = 4_000  # characters of one text


@dataclass(frozen=True, slots=True)
class Said:
    """What a schedule says of an item, and what it is made of. Sealed: see `papers`."""

    description: str
    location: str  # where it may be inspected
    reasons: str = ""  # for sensitivity; wanted on the MG6D
    assists: str = ""  # why it may undermine the prosecution's case or assist the defence; goes on the MG6E
    copied: bool = False  # a copy was supplied with the MG6E
    moved: str = ""  # why it was moved or withdrawn
    label: str = ""  # the build that its rows are of
    leaves: tuple[tuple[str, str], ...] = ()  # its rows: table and leaf
    handling: str = ""  # the strictest of its contents
    conditions: str = ""
    edits: tuple[Mapping[str, Any], ...] = ()  # log of what was edited out of the copy that is disclosed (R29)

    def __post_init__(self) -> None:
        for name in ("description", "location", "reasons", "assists", "moved"):
            text = getattr(self, name)
            if len(text) > TEXT_AT_MOST or not all(c == "\n" or _is_shown(c) for c in text):
                raise Malformed(
                    f"item's {name}: wanted at most {TEXT_AT_MOST:,} characters, none of which hides or turns others"
                )
        for name in ("description", "location"):
            if not getattr(self, name).strip():
                raise Malformed(f"item's {name} is empty: wanted one")

    def as_json(self) -> dict[str, Any]:
        """For canonical JSON."""
        said = asdict(self)
        return said | {"leaves": [list(leaf) for leaf in self.leaves], "edits": list(map(dict, self.edits))}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Said:
        """What `as_json` made."""
        leaves = tuple((table, leaf) for table, leaf in said["leaves"])
        return cls(**{**said, "leaves": leaves, "edits": tuple(said["edits"])})


def _is_shown(character: str) -> bool:
    return ord(character) >= 32 and not 0x7F <= ord(character) < 0xA0 and ord(character) not in _HIDING | {
        0x2028, 0x2029, *range(0xD800, 0xE000), 0xFFFE, 0xFFFF
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """An item as the log has it last."""

    act: entries.Scheduled
    entered_on: str  # when it was first scheduled

    @property
    def name(self) -> str:
        """What people call it: the schedule that it stands on, and its number there."""
        return f"MG6C {self.act.number}" if self.act.schedule == MG6C else f"item {self.act.item}"


@dataclass
class Register:
    """Every case's items, in the order of their numbers."""

    cases: dict[str, list[Item]] = field(default_factory=dict)

    def extend(self, acts: Iterable[entries.Scheduled]) -> Register:
        """Take note of further acts, in log order. Raises Tampered where a number is skipped, or is another item's."""
        for act in acts:
            items = self.cases.setdefault(act.case, [])
            numbered = self.next_number(act.case)
            if not 1 <= act.item <= len(items) + 1:
                raise Tampered(f"schedule of a case goes on with item {act.item}: wanted {len(items) + 1}")
            if act.item > len(items):
                if act.schedule not in (MG6D, APART) or act.number:
                    raise Tampered(f"item {act.item} of a case begins on schedule {act.schedule}: wanted {MG6D}")
                items.append(Item(act, act.on))
                continue
            before = items[act.item - 1]
            kept = before.act.number
            wanted = kept or (numbered if act.schedule == MG6C else 0)
            if act.number != wanted:
                raise Tampered(f"item {act.item} of a case has number {act.number} on its MG6C: wanted {wanted}")
            items[act.item - 1] = replace(before, act=act)
        return self

    def next_item(self, case: str) -> int:
        """The number that the next item of a case gets."""
        return len(self.cases.get(case, ())) + 1

    def next_number(self, case: str) -> int:
        """The number that the next item gets that comes onto the MG6C."""
        return max((item.act.number for item in self.cases.get(case, ())), default=0) + 1

    def of(self, case: str) -> list[Item]:
        """The items of a case; none where nothing was ever scheduled."""
        return list(self.cases.get(case, ()))

    def item(self, case: str, number: int) -> Item:
        """One item by its running number. Raises Missing."""
        items = self.of(case)
        if not 1 <= number <= len(items):
            raise Missing(f"case has no item {number}: it has {len(items)}; `provenance schedule list` names them")
        return items[number - 1]
