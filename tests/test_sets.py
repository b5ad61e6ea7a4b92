"""Sets of numbers as arrays, against Python's own sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import rows, sets

FEW = st.lists(st.integers(-5, 30) | st.integers(-(2**63), 2**63 - 1))


def numbers(values):
    return np.array(values, np.int64)


@given(FEW, FEW)
def test_they_are_what_sets_are(one, other):
    a, b = numbers(one), numbers(other)
    assert sets.distinct(a).tolist() == sorted(set(one))
    assert sets.union(a, b).tolist() == sorted({*one, *other})
    assert sets.difference(a, b).tolist() == sorted(set(one) - set(other))
    assert sets.intersection(a, b).tolist() == sorted(set(one) & set(other))
    assert sets.among(a, b).tolist() == [value in set(other) for value in one]


@given(FEW, FEW)
def test_what_is_given_is_left_as_it_was(one, other):
    a, b = numbers(one), numbers(other)
    for asked in (sets.union, sets.difference, sets.intersection, sets.among):
        asked(a, b)
    assert (a.tolist(), b.tolist()) == (one, other)


@given(st.lists(st.integers(0, 100)), st.lists(st.integers(0, 100)), st.sampled_from([np.int8, np.int32, np.uint64]))
def test_short_numbers_are_found_among_long_ones(values, wanted, kind):
    found = sets.among(np.repeat(np.array(values, kind), 20), numbers(wanted))
    assert found.tolist() == [value in set(wanted) for value in values for _ in range(20)]


def test_a_sequence_and_a_table_of_numbers_will_do():
    assert sets.distinct([3, 1, 3]).tolist() == [1, 3]
    assert sets.distinct(numbers([[3, 1], [1, 2]])).tolist() == [1, 2, 3]
    assert sets.among(numbers([1, 2, 3]), (3, 1)).tolist() == [True, False, True]


@pytest.mark.parametrize("few", [1, 3, 400, 9_000])
def test_among_many_a_few_are_found_be_they_numbers_or_leaves(few):
    drawn = np.random.default_rng(few)
    tokens = drawn.integers(0, 2**63 - 1, 20_000)
    leaves = rows.as_keys(drawn.integers(0, 256, (20_000, 32), dtype=np.uint8))
    for values in (tokens, leaves):
        wanted = np.concatenate([drawn.choice(values, few), values[:1]])
        assert sets.among(values, wanted).tolist() == np.isin(values, wanted).tolist()
        assert sets.distinct(np.concatenate([values, wanted])).tolist() == sorted(set(values.tolist()))
