"""What two reports tell, side by side: rounding, what is told again, and an attack on a year of weekly counts."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from provenance import suppression
from provenance.suppression import CROWD, Since, Told

LEAST = 5
NOW = Told(0, 1, 0, 0, 0)
NOTHING = Since(0, 0)


def told(count: int, *earlier: Told, gone: Since = NOTHING) -> int:
    return suppression.tell(count, earlier, lambda _: gone, LEAST, NOW).value


@pytest.mark.parametrize(
    ("count", "value"), [(0, 0), (1, 0), (4, 0), (5, 5), (7, 5), (8, 10), (12, 10), (13, 15), (102, 100)]
)
def test_a_first_figure_is_the_nearest_multiple_and_none_below_the_least_count(count, value):
    assert told(count) == value


def test_a_figure_is_told_again_until_the_count_has_moved_by_the_least_count():
    fifty = Told(50, 1, 0, 0, 0)
    assert [told(count, fifty) for count in (45, 46, 50, 54, 55)] == [45, 50, 50, 50, 55]


def test_what_was_disposed_of_since_moves_no_figure():
    fifty = Told(50, 1, 0, 0, 0)
    assert told(45, fifty, gone=Since(things=1, people=1)) == 50
    assert told(44, fifty, gone=Since(things=1, people=1)) == 45  # it would be given up without the one, too
    assert told(20, fifty, gone=Since(things=30, people=1)) == 50  # thirty links of one person


def test_where_a_crowd_has_gone_the_figure_follows():
    fifty = Told(50, 1, 0, 0, 0)
    crowd = CROWD * LEAST
    assert told(30, fifty, gone=Since(things=20, people=crowd - 1)) == 50
    assert told(30, fifty, gone=Since(things=20, people=crowd)) == 30


def test_of_several_reports_the_nearest_one_that_must_stay_is_told_again():
    assert told(46, Told(40, 3, 0, 0, 0), Told(50, 2, 0, 0, 0), Told(45, 1, 0, 0, 0)) == 50


def test_a_cell_that_is_gone_is_told_as_one_that_has_nobody():
    before = [{"a": Told(50, 1, 0, 0, 0), "b": Told(10, 1, 0, 0, 0)}]
    found = suppression.table_told({"a": 51}, before, lambda _: NOTHING, LEAST, NOW)
    assert {name: one.value for name, one in found.items()} == {"a": 50, "b": 0}
    kept = suppression.table_told({"a": 51}, before, lambda _: Since(10, 1), LEAST, NOW)
    assert kept["b"].value == 10


# ---- totals beside their parts ---------------------------------------------------------------------------------------


def all_of(parts: list[int], total: int | None, rest: bool) -> list[tuple[int, ...]]:
    """Every set of counts that the told parts may stand for and with which the total comes out as it was told."""
    meant = [[n for n in range(part + LEAST) if suppression.nearest(n, LEAST) == part] for part in parts]
    found = []
    for counts in itertools.product(*meant):
        beside = range(sum(counts), sum(counts) + (40 if rest else 1))
        if total is None or any(suppression.nearest(n, LEAST) == total for n in beside):
            found.append(counts)
    return found


@pytest.mark.parametrize("rest", [False, True])
def test_no_small_part_can_be_worked_out_from_a_total_and_the_other_parts(rest):
    """Tried on tables of two to four parts: of every small one, each count from 0 to 4 stays possible."""
    drawn = random.Random(20)
    beaten = moved = 0
    for _ in range(150):
        exact = [drawn.choice((0, 1, 3, 4, 7, 8, 8, 13)) for _ in range(drawn.randint(2, 4))]
        parts = [suppression.nearest(n, LEAST) for n in exact]
        small = [at for at, part in enumerate(parts) if not part]
        total = suppression.nearest(sum(exact) + (drawn.choice((0, 0, 6)) if rest else 0), LEAST)
        names = [("table", str(at), "n") for at in range(len(parts))]
        whole = suppression.Sum(("table", "all", "n"), tuple(names), rest)
        safe = suppression.total_told(total, [whole], dict(zip(names, parts, strict=True)), LEAST)
        moved += safe != total

        def open_(at: int, total: int | None, parts: list[int] = parts) -> bool:
            return {counts[at] for counts in all_of(parts, total, rest)} == set(range(LEAST))

        if total:  # a total that is told to be small itself is no total to take away from
            beaten += not all(open_(at, total) for at in small)
            assert safe is None or abs(safe - total) <= LEAST
            assert all(open_(at, safe) for at in small), (exact, parts, total, safe)
    assert beaten  # as they were rounded, some gave a small part away
    assert moved


def test_a_total_that_is_the_sum_of_others_in_two_ways_is_safe_in_both_or_not_told():
    one, other, third = (("table", str(at), "n") for at in range(3))
    ways = [
        suppression.Sum(("table", "all", "n"), (one, other)),
        suppression.Sum(("table", "all", "n"), (third, other)),
    ]
    assert suppression.total_told(25, ways[:1], {one: 20}, LEAST) == 20
    assert suppression.total_told(25, ways, {one: 20, third: 20}, LEAST) == 20
    assert suppression.total_told(25, ways, {one: 20, third: 30}, LEAST) is None
    assert suppression.total_told(25, ways, {one: 10, other: 10, third: 10}, LEAST) == 25  # nothing is small


# ---- the attack ------------------------------------------------------------------------------------------------------

GROUPS = [f"{sex} {age}" for sex in "MFX" for age in ("child", "young", "old")]


def year(seed: int, protect: bool) -> tuple[list[dict[str, int]], list[tuple[int, str]]]:
    """52 weekly tables of people by group, and who was disposed of before which week; a few come every week, too."""
    draw = random.Random(seed)
    people = draw.choices(GROUPS, weights=[20, 60, 80, 15, 30, 40, 1, 2, 3], k=draw.randrange(200, 400))
    tables: list[dict[str, Told]] = []
    gone: list[tuple[int, str]] = []
    for week in range(52):
        if week and week % 4 == 0:
            who = people.pop(draw.randrange(len(people)))
            gone.append((week, who))
        elif draw.random() < 0.5:  # in weeks without a disposal, so that the attacker has the best of cases
            people.append(draw.choice(GROUPS))
        now = Told(0, week + 1, len(gone), len(gone), 0)

        def since(one: Told, now=now) -> Since:
            return Since(now.people - one.people, now.people - one.people)

        cells = Counter(people)
        if protect:
            tables.append(suppression.table_told(cells, reversed(tables), since, LEAST, now))
        else:
            rounded = {g: (2 * n + LEAST) // (2 * LEAST) * LEAST if n >= LEAST else 0 for g, n in cells.items()}
            tables.append({g: Told(rounded.get(g, 0), 0, 0, 0, 0) for g in GROUPS})
    return [{g: t[g].value for g in GROUPS if g in t} for t in tables], gone


def accused(tables: list[dict[str, int]], week: int) -> set[str]:
    """Whom two neighbouring reports point to: the groups that fell between them."""
    before, after = tables[week - 1], tables[week]
    return {group for group in before if after.get(group, 0) < before[group]}


def test_a_year_of_weekly_reports_tells_nobody_who_was_disposed_of():
    for seed in range(40):
        tables, gone = year(seed, protect=True)
        assert len(gone) == 12
        assert [accused(tables, week) for week, _ in gone] == [set()] * 12, seed


def test_the_same_attack_finds_people_in_counts_that_are_only_rounded():
    found = 0
    for seed in range(40):
        tables, gone = year(seed, protect=False)
        found += sum(accused(tables, week) == {who} for week, who in gone)
    assert found > 40  # of 480: about one in five; a count of its own would give up every one
