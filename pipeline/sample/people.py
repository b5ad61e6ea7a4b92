"""Who there is: groups, and what the force would know of each person.

People are numbers. 0 to `plan.repeaters` are members of groups, each group a run of neighbouring numbers with its core
first and the people it exploits last; the rest are met by chance. A person's cells follow from the number alone, so
no list of people is ever held. A few numbers are *twins*: the same person under a second nominal id, until a merge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.sample import words
from pipeline.sample.chance import Flags, Numbers, Reals, Stream, below, generator, pick, uniform
from pipeline.sample.plan import Plan
from pipeline.sample.shapes import SORTS, activity
from provenance.records import KINDS, NOMINALS

_DAY = 86_400
_TWIN = 3  # twins are numbers of 3 modulo 8: odd, hence met once, beside an even one that comes again
_ID_PRIME, _ID_FACTOR = 1_000_000_007, 618_033_989  # n -> n * factor mod prime: one id per number, in no order


@dataclass(frozen=True, slots=True)
class Groups:
    """Every group of the force, one array element each."""

    start: Numbers  # number of its first member
    size: Numbers
    sort: Numbers  # index into shapes.SORTS
    exploited: Numbers  # how many of its last members
    area: Numbers  # where it is at home
    era: Reals  # the middle of its active time, 0 the start of history, 1 the end of the last week
    span: Reals  # half of that time
    reach: NDArray[np.float64]  # one row per kind of record: cumulative chance of coming to notice

    @classmethod
    def of(cls, plan: Plan) -> Groups:
        rng = generator(plan.seed, Stream.GROUPS, 0)
        most = plan.repeaters // 2 + len(SORTS)  # mean size is about four, so these are more than enough
        sort = pick(rng.random(most), [s.share for s in SORTS])
        sort[: len(SORTS)] = np.arange(len(SORTS))  # the smallest force has one of each
        least, top, skew = (np.array([getattr(s, name) for s in SORTS])[sort] for name in ("least", "most", "skew"))
        size = least + below(rng.random(most) ** skew, top - least + 1)
        count = int(np.searchsorted(np.cumsum(size), plan.repeaters)) + 1
        sort, size = sort[:count], size[:count]
        size[-1] -= int(size.sum()) - plan.repeaters
        weight = activity(rng.random(count), size)
        notice = np.array([s.notice for s in SORTS]).T[:, sort]  # kind x group
        return cls(
            start=np.cumsum(size) - size,
            size=size,
            sort=sort,
            exploited=np.minimum(np.ceil(np.array([s.exploited for s in SORTS])[sort] * size), size - 1).astype(int),
            area=below(rng.random(count), len(words.AREAS)),
            era=rng.random(count),
            span=np.where(rng.random(count) < 0.5, 1.0, 0.05 + 0.3 * rng.random(count)),
            reach=np.cumsum(notice * weight, axis=1),
        )

    def meet(self, rng: np.random.Generator, kind: Numbers, moment: Reals) -> Numbers:
        """A group for each record, by its kind and moment (0 to 1): those that are active then come first."""
        found = np.zeros(len(kind), dtype=np.int64)
        wanted = np.arange(len(kind))
        for _ in range(4):  # after four draws an inactive group will do: old faces do return
            u = rng.random(len(wanted))
            for code in range(len(KINDS)):
                mine = kind[wanted] == code
                reach = self.reach[code]
                found[wanted[mine]] = np.searchsorted(reach, u[mine] * reach[-1], side="right")
            wanted = wanted[np.abs(self.era[found[wanted]] - moment[wanted]) > self.span[found[wanted]]]
        return found

    def exploits(self, person: Numbers) -> Flags:
        """Whether each person is one of those whom a group exploits. Beyond the groups: nobody."""
        group = np.searchsorted(self.start, person, side="right") - 1
        end = self.start[group] + self.size[group]
        return (person < end) & (person >= end - self.exploited[group])


def nominal_id(person: Numbers) -> pa.Array:
    return pc.binary_join_element_wise("N", digits((person + 1) * _ID_FACTOR % _ID_PRIME, 10), "")


def digits(numbers: Numbers, width: int) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")


def text(vocabulary: tuple[str, ...], codes: Numbers) -> pa.Array:
    return pa.array(vocabulary, pa.string()).take(pa.array(codes))


def twins(plan: Plan, groups: Groups) -> Numbers:
    """The numbers that are a second id of the person one below, in order. At least one in the smallest force."""
    numbers = np.arange(_TWIN, plan.people, 8)
    numbers = numbers[_twin(plan, numbers)]
    group = np.searchsorted(groups.start, numbers, side="right")
    # In a group both ids belong to it; a merge across two groups would be a finding, not a correction.
    return numbers[(numbers >= plan.repeaters) | (group == np.searchsorted(groups.start, numbers - 1, side="right"))]


def _twin(plan: Plan, person: Numbers) -> Flags:
    share = max(0.02, min(1.0, 12 * 8 / plan.people))
    return (person % 8 == _TWIN) & (uniform(plan.seed, Stream.TWINS, 0, person) < share)


def render(plan: Plan, groups: Groups, person: Numbers, week: int, *, renamed: bool = False) -> pa.Table:
    """The nominals file's rows for these people as it stands at a week's cut-off, in the order given.

    `renamed` people have taken a second family name that week; everything else about them is as before.
    """

    def drawn(part: int, numbers: Numbers) -> Reals:
        return uniform(plan.seed, Stream.PERSON, part, numbers)

    twin = _twin(plan, person)
    self_ = person - twin  # the person whose cells a twin repeats
    given = text(words.GIVEN, below(drawn(0, self_), len(words.GIVEN)))
    family = text(words.FAMILY, below(drawn(1, self_), len(words.FAMILY)))
    outside = person - plan.repeaters
    early = (outside >= 0) & (outside < 192)  # met in the first block of the smallest force: each name thrice
    turn = np.where((drawn(2, person) < 0.05) | early, outside % 64, 64)
    hostile = np.where(turn < len(words.HOSTILE), turn, -1)
    family = pc.if_else(hostile >= 0, text(words.HOSTILE, np.maximum(hostile, 0)), family)
    family = pc.if_else(twin & (drawn(3, person) < 0.5), pc.binary_join_element_wise(family, "e", ""), family)
    if renamed:
        second = text(words.FAMILY, below(drawn(100 + week, person), len(words.FAMILY)))
        family = pc.binary_join_element_wise(family, second, "-")
    name = pc.binary_join_element_wise(given, family, " ")

    exploited = groups.exploits(self_)
    child = np.where(exploited, drawn(4, self_) < 0.8, (self_ >= plan.repeaters) & (self_ % 8 == 7))
    age = np.where(child, 9 + 8.4 * drawn(5, self_), 18 + 45 * drawn(5, self_) ** 1.8)
    first = int(plan.cut_off(0).timestamp()) // _DAY
    born = first - (age * 365.25).astype(np.int64)
    unknown = (drawn(6, self_) < 0.06) & ~child
    today = np.datetime64(plan.cut_off(week).date(), "D")
    eighteen = (today.astype("datetime64[M]") - 18 * 12).astype("datetime64[D]") + (
        today - today.astype("datetime64[M]")
    )
    minor = born > eighteen.astype(np.int64)
    return pa.table(
        [
            nominal_id(person),
            name,
            pc.if_else(unknown, "", pa.array(born, pa.int64()).cast(pa.int32()).cast(pa.date32()).cast(pa.string())),
            text(words.SEXES, pick(drawn(7, self_), words.SEX_WEIGHTS)),
            text(words.ETHNICITIES, pick(drawn(8, self_), words.ETHNICITY_WEIGHTS)),
            text(("0", "1", ""), np.where(unknown, 2, minor)),
        ],
        schema=NOMINALS,
    )
