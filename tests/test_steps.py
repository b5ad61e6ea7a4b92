"""A step of a check: what it yields is counted, what it raises is its last fault; overtaken, it is taken anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provenance import steps
from provenance.archive import Overtaken
from provenance.errors import Missing


def test_a_step_counts_what_it_looked_at_and_keeps_each_fault():
    def look() -> Iterator[str]:
        yield ""
        yield "one is wrong"
        yield ""
        raise Missing("another is not there")

    assert steps.take(4, "things", look) == steps.Step(4, "things", 3, ("one is wrong", "another is not there"))


def test_a_step_that_was_overtaken_is_taken_anew_and_forgets_what_it_found():
    turns = []

    def look() -> Iterator[str]:
        turns.append(len(turns))
        yield "of before" if len(turns) < 3 else ""
        if len(turns) < 3:
            raise Overtaken("ask again")

    assert steps.take(1, "things", look, again=(Overtaken,)) == steps.Step(1, "things", 1, ())
    assert turns == [0, 1, 2]


def test_what_is_no_word_of_ours_is_not_hidden():
    def look() -> Iterator[str]:
        yield ""
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        steps.take(1, "things", look)
