"""Where a random number stands among sorted ones, against NumPy's own search and a plain list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.tokens import Sorted, merged

TOP = 2**63 - 1
NUMBERS = st.integers(0, TOP) | st.sampled_from([0, 1, TOP, TOP - 1, 1 << 62]) | st.integers(0, 40)


@given(st.sets(NUMBERS, max_size=30), st.lists(NUMBERS, max_size=30))
def test_a_number_is_found_where_it_stands_or_nowhere(held, wanted):
    values = sorted(held)
    found = Sorted(np.array(values, np.int64)).find(np.array(wanted, np.int64)).tolist()
    assert found == [values.index(number) if number in held else -1 for number in wanted]


@pytest.mark.parametrize("spread", [63, 40, 12])
@pytest.mark.parametrize("size", [512, 5_000, 100_000])
def test_many_are_found_as_by_numpy_random_or_not(size, spread):
    """Real tokens are random over all 63 bits; numbers that crowd together only take longer."""
    drawn = np.random.default_rng(size)
    values = np.unique(drawn.integers(0, 1 << spread, size))
    wanted = np.concatenate(
        [drawn.choice(values, 3_000), drawn.integers(0, TOP, 3_000), [0, TOP, values[0], values[-1]]]
    )
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    assert Sorted(values).find(wanted).tolist() == np.where(values[at] == wanted, at, -1).tolist()


@given(st.lists(st.integers(0, 9)), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99))))
def test_merging_is_inserting(values, more):
    more = sorted((min(place, len(values)), value) for place, value in more)
    places, new = (np.array([pair[n] for pair in more], np.int64) for n in (0, 1))
    whole = np.array(values, np.int64)
    assert merged(whole, places, new).tolist() == np.insert(whole, places, new).tolist()
