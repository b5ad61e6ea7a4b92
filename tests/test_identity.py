"""Merges and splits: dated judgements, undone by judgement, blocked by judgement."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import identity
from provenance.records import MERGES

EVIDENCE = "fingerprints, PNC 99/1234X"


def merges(*rows: tuple[str, ...]) -> pa.Table:
    """Rows of (from, into) with evidence and the order given as dates, or of (from, into, evidence)."""
    full = [
        {"from_nominal": row[0], "into_nominal": row[1], "evidence": row[2] if len(row) > 2 else EVIDENCE,
         "by": "DS 1", "at": f"2026-01-{day:02d}T00:00:00Z"}
        for day, row in enumerate(rows, start=1)
    ]  # fmt: skip
    return pa.Table.from_pylist(full, schema=MERGES)


def now(found: identity.Identities) -> dict[str, str]:
    return dict(zip(*(found.canonical[name].to_pylist() for name in ("nominal", "canonical")), strict=True))


def blocked(found: identity.Identities) -> list[tuple[str, str, str]]:
    return [(row["from_nominal"], row["into_nominal"], row["reason"]) for row in found.blocked.to_pylist()]


def test_chains_are_followed_to_the_end():
    found = identity.resolve(merges(("A", "B"), ("C", "A"), ("B", "D"), ("E", "F")))
    assert now(found) == {"A": "D", "B": "D", "C": "D", "E": "F"}
    assert blocked(found) == []
    assert now(identity.resolve(merges())) == {}


@pytest.mark.parametrize(("step", "end"), [(1, "N20000"), (-1, "N00000")])
def test_a_chain_of_thousands_told_from_its_start_or_its_end(step, end):
    rows = [(f"N{i:05d}", f"N{i + step:05d}") for i in range(max(0, -step), 20_000)]
    table = merges(*rows).set_column(4, "at", pa.array(["2026-01-01T00:00:00Z"] * len(rows)))
    assert set(now(identity.resolve(table)).values()) == {end}


def test_a_split_undoes_the_merge_and_blocks_it_in_both_directions():
    story = merges(("A", "B"), ("A", "split"), ("A", "B"), ("B", "A"), ("A", "C"))
    found = identity.resolve(story)
    assert now(found) == {"A": "C"}
    assert blocked(found) == [("A", "B", "split-before"), ("B", "A", "split-before")]
    assert found.blocked.select(MERGES.names).equals(story.slice(2, 2))  # as they were said, by whom and when
    assert now(identity.resolve(story.slice(0, 1))) == {"A": "B"}  # as of the first day


def test_the_day_decides_and_not_the_row():
    story = merges(("A", "B"), ("A", "split"), ("A", "C"))
    assert identity.resolve(story.take([2, 0, 1])) == identity.resolve(story)
    assert now(identity.resolve(story.take([1, 2, 0]))) == {"A": "C"}


def test_a_split_of_nothing_changes_nothing_and_a_repeat_is_no_second_merge():
    found = identity.resolve(merges(("A", "split"), ("A", "B"), ("A", "B")))
    assert now(found) == {"A": "B"}
    assert blocked(found) == []


def test_a_merge_does_not_end_another_unseen():
    found = identity.resolve(merges(("A", "B"), ("A", "C")))
    assert now(found) == {"A": "B"}
    assert blocked(found) == [("A", "C", "already-merged")]


NO_REASONS = [
    "", "  ", "-", "12345", "name and date of birth", "Name + DOB", "Same name, same d.o.b.", "identical birthday",
    "surname, forename and birth date match", "name and dob 01/01/1990",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_REASONS)
def test_name_and_birth_date_alone_merge_no_one(text):
    found = identity.resolve(merges(("A", "B", text)))
    assert now(found) == {}
    assert blocked(found) == [("A", "B", "no-evidence")]


@pytest.mark.parametrize("text", ["DNA", "name, date of birth and address", EVIDENCE, "custody photograph", "PNC id 4"])
def test_a_reason_beyond_them_merges(text):
    assert now(identity.resolve(merges(("A", "B", text)))) == {"A": "B"}


CIRCLES = [
    (["A A"], {}),
    (["A B", "B A"], {"A": "B"}),
    (["Z A", "A B", "B C", "C A"], {"Z": "C", "A": "C", "B": "C"}),
]


@pytest.mark.parametrize(("rows", "left"), CIRCLES)
def test_the_merge_that_would_close_a_circle_is_blocked_and_listed(rows, left):
    found = identity.resolve(merges(*(tuple(row.split()) for row in rows)))
    assert now(found) == left
    assert blocked(found) == [(*rows[-1].split(), "closes-a-circle")]


def twin(rows: list[tuple[str, str]]) -> dict[str, str]:
    """By the definition: replay, walking the whole chain at each merge, then walk each chain."""
    into: dict[str, str] = {}
    apart: set[tuple[str, str]] = set()
    for source, target in rows:
        if target == "split":
            if source in into:
                other = into.pop(source)
                apart |= {(source, other), (other, source)}
        elif (source, target) not in apart and source not in into:
            at = target
            while at in into:
                at = into[at]
            if at != source:
                into[source] = target
    ends = {}
    for start in into:
        at = start
        while at in into:
            at = into[at]
        ends[start] = at
    return ends


person = st.sampled_from("ABCDEF")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(person, st.sampled_from([*"ABCDEF", "split"])), max_size=12), st.randoms())
def test_as_the_slow_twin(rows, chance: random.Random):
    table = merges(*rows)
    shuffled = list(range(len(rows)))
    chance.shuffle(shuffled)
    expected = twin(rows)
    found = identity.resolve(table)
    assert now(found) == expected
    assert identity.resolve(table.take(pa.array(shuffled, pa.int64()))) == found
    assert found.canonical["nominal"].to_pylist() == sorted(expected)
