"""Which links make networks: by records, and by an associate whom both people share through other records."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from provenance import params, supported
from tests.force import PARAMS, Force, record

STRICT = PARAMS.networks.model_copy(update={"least_strength": 10, "least_records": 2, "shared_associate": False})
SHARED = STRICT.model_copy(update={"shared_associate": True})


def asked(links: dict[tuple[str, str], set[str]], rule: params.Networks, weak: frozenset = frozenset()) -> set:
    """Which of the links, as pairs with the records behind them, are supported; those `weak` are below the points."""
    pairs = sorted(links)
    people = sorted({name for pair in pairs for name in pair})
    records = sorted(set().union(*links.values()))
    found = supported.supported(
        np.array([people.index(a) for a, _ in pairs], np.int64),
        np.array([people.index(b) for _, b in pairs], np.int64),
        np.array([9 if pair in weak else 10 for pair in pairs], np.int64),
        np.array([len(links[pair]) for pair in pairs], np.int64),
        np.array([records.index(min(links[p])) if len(links[p]) == 1 else supported.SEVERAL for p in pairs], np.int64),
        rule,
    )
    return {pair for pair, yes in zip(pairs, found.tolist(), strict=True) if yes}


def twin(links: dict[tuple[str, str], set[str]], rule: params.Networks, weak: frozenset) -> set:
    """By the definition, one link and one associate after the other."""
    strong = {pair: behind for pair, behind in links.items() if pair not in weak}
    people = {name for pair in strong for name in pair}
    found = {pair for pair, behind in strong.items() if len(behind) >= rule.least_records}
    for a, b in strong if rule.shared_associate else ():
        for c in people - {a, b}:
            sides = [strong.get(tuple(sorted(pair))) for pair in ((a, b), (a, c), (b, c))]
            if all(sides) and not any(len(x) == 1 and x == y for x, y in combinations(sides, 2)):
                found.add((a, b))
    return found


def test_three_people_of_one_record_do_not_confirm_one_another():
    one = {("A", "B"): {"R1"}, ("A", "C"): {"R1"}, ("B", "C"): {"R1"}}
    assert asked(one, SHARED) == set()


def test_a_shared_associate_through_other_records_supports_all_three_links():
    three = {("A", "B"): {"R1"}, ("A", "C"): {"R2"}, ("B", "C"): {"R3"}, ("C", "D"): {"R4"}}
    assert asked(three, SHARED) == set(three) - {("C", "D")}
    assert asked(three, STRICT) == set()


def test_links_of_the_same_one_record_or_of_too_few_points_support_nothing():
    two = {("A", "B"): {"R1"}, ("A", "C"): {"R2"}, ("B", "C"): {"R2"}}
    assert asked(two, SHARED) == set()
    three = {("A", "B"): {"R1"}, ("A", "C"): {"R2"}, ("B", "C"): {"R3"}}
    assert asked(three, SHARED, frozenset({("B", "C")})) == set()


PAIRS = list(combinations("ABCDEFG", 2))


@given(
    st.dictionaries(st.sampled_from(PAIRS), st.sets(st.sampled_from("123"), min_size=1, max_size=3), min_size=1),
    st.frozensets(st.sampled_from(PAIRS), max_size=3),
    st.sampled_from([STRICT, SHARED, SHARED.model_copy(update={"least_records": 3})]),
)
def test_the_twin_finds_the_same(links, weak, rule):
    assert asked(links, rule, weak) == twin(links, rule, weak)


@given(
    st.dictionaries(st.sampled_from(PAIRS), st.sets(st.sampled_from("123"), min_size=1, max_size=3), min_size=1),
    st.sampled_from("ABCDEFG"),
)
def test_whoever_holds_a_link_up_is_linked_with_both_by_links_that_are_held_up_too(links, who):
    """So removing a person unmakes links of that person's network only."""
    before = asked(links, SHARED)
    left = {pair: behind for pair, behind in links.items() if who not in pair}
    if left:
        for a, b in {pair for pair in before if who not in pair} - asked(left, SHARED):
            assert tuple(sorted((a, who))) in before
            assert tuple(sorted((b, who))) in before


def test_shares_of_the_work_are_as_the_whole(monkeypatch):
    chance = np.random.default_rng(3)
    pairs = np.unique(np.sort(chance.integers(0, 200, (500, 2)), axis=1), axis=0)
    a, b = pairs[pairs[:, 0] != pairs[:, 1]].T
    many = np.full(len(a), 10), np.ones(len(a), np.int64), chance.integers(0, 40, len(a))
    whole = supported.supported(a, b, *many, SHARED)
    assert 0 < whole.sum() < len(whole)
    monkeypatch.setattr(supported, "_AT_ONCE", 50)
    assert (supported.supported(a, b, *many, SHARED) == whole).all()


def test_in_a_build_a_merged_id_beside_the_one_record_of_a_link_is_no_second_record(tmp_path):
    """One crime of three, one of whom it knew by another id; and its twin of three crimes."""
    merge = {
        "from_nominal": "OLD",
        "into_nominal": "N-1",
        "evidence": "prints",
        "by": "DI",
        "at": "2026-01-05T00:00:00Z",
    }
    rules = PARAMS.model_copy(update={"networks": SHARED.model_copy(update={"least_strength": 1})})
    force = Force(tmp_path)
    force.receive(
        record("R-1", "OLD", "N-2", "N-3"),
        record("R-2", "M-1", "M-2"), record("R-3", "M-2", "M-3"), record("R-4", "M-1", "M-3"),
        cut_off="2026-01-11T23:59:59Z", merges=[merge],
    )  # fmt: skip
    force.build("2026-01-11T23:59:59Z", rules=rules)
    people = force.as_of("2026-01-12").nominals().to_pylist()
    assert {row["nominal"] for row in people if row["network"]} == {"M-1", "M-2", "M-3"}
    force.archive.close()


def test_in_a_build_two_records_that_knew_one_person_by_the_same_other_id_are_two(tmp_path):
    """Twenty times over, for which of a row's tokens is the larger is drawn."""
    rules = PARAMS.model_copy(update={"networks": SHARED.model_copy(update={"least_strength": 1})})
    force, crimes, merges = Force(tmp_path), [], []
    for n in range(20):
        crimes += [record(f"R-{n}", f"OLD-{n}", f"B-{n}"), record(f"S-{n}", f"OLD-{n}", f"C-{n}")]
        crimes.append(record(f"T-{n}", f"B-{n}", f"C-{n}"))
        said = {"from_nominal": f"OLD-{n}", "into_nominal": f"A-{n}", "evidence": "prints", "by": "DI"}
        merges.append(said | {"at": "2026-01-05T00:00:00Z"})
    force.receive(*crimes, cut_off="2026-01-11T23:59:59Z", merges=merges)
    force.build("2026-01-11T23:59:59Z", rules=rules)
    assert force.as_of("2026-01-12").networks()["members"].to_pylist() == [3] * 20
    force.archive.close()
