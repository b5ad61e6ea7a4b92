"""Grades keep their scheme; handling is the strictest; the view of an old grade is never a grade."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import grading, params
from provenance.errors import Malformed
from provenance.grading import Grading
from provenance.links import connection
from provenance.records import SCHEMES

PARAMS = params.read(Path(__file__).parent.parent / "params.yaml")
ORDER = PARAMS.grading.handling_order
TABLE = PARAMS.grading.view_conversion
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # inside Ibis 12
CON = connection(1)
CONDITIONS = ["", "consult originator", "A1; covert development", "not before trial"]


def every_grading() -> list[Grading]:
    return [
        Grading(name, source, assessment, handling, "consult originator" if handling == "C" else "")
        for name, scheme in SCHEMES.items()
        for source, assessment, handling in product(scheme.source, scheme.assessment, scheme.handling)
    ]


def test_every_grade_of_both_schemes_can_be_said_and_no_two_are_equal():
    gradings = every_grading()
    assert len(gradings) == 3 * 5 * 2 + 5 * 5 * 5 == len(set(gradings))
    assert Grading("3x5x2", "1", "A", "P").as_recorded == "1AP"
    assert Grading("5x5x5", "B", "2", "2").as_recorded == "B22"


def test_an_untested_source_is_not_a_suspected_falsehood():
    legacy, current = Grading("5x5x5", "E", "1", "1"), Grading("3x5x2", "1", "E", "P")
    assert legacy != current
    assert grading.as_3x5x2(legacy, TABLE).source == "2"  # untested
    assert grading.as_3x5x2(legacy, TABLE).assessment == "A"
    with pytest.raises(Malformed, match="3x5x2 source is one of 1, 2, 3, found A"):
        Grading("3x5x2", "E", "1", "P")


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (("3x5", "1", "A", "P"), "grading scheme is unknown: found 9a9, wanted 3x5x2 or 5x5x5"),
        (("3x5x2", "4", "A", "P"), "3x5x2 source is one of 1, 2, 3, found 9"),
        (("3x5x2", "1", "F", "P"), "3x5x2 assessment is one of A, B, C, D, E, found A"),
        (("5x5x5", "A", "1", "P"), "5x5x5 handling is one of 1, 2, 3, 4, 5, found A"),
        (("3x5x2", "1", "A", ""), "3x5x2 handling is one of P, C, found "),
        (("3x5x2", "1", "A", "C"), "handling code C states its conditions"),
        (("3x5x2", "1", "A", "P", "consult"), "handling code C states its conditions"),
    ],
)
def test_a_code_that_does_not_exist_is_refused(cells, says):
    with pytest.raises(Malformed) as caught:
        Grading(*cells)
    assert says in str(caught.value)


def test_the_view_of_every_old_grade():
    sources = {"A": "1", "B": "1", "C": params.NO_EQUIVALENT, "D": "3", "E": "2"}
    assessments = {"1": "A", "2": "A", "3": "B", "4": "D", "5": "E"}
    for old in every_grading():
        view = grading.as_3x5x2(old, TABLE)
        if old.scheme == "3x5x2":
            assert view == grading.View(old.source, old.assessment, old.handling, old.conditions, "")
            continue
        assert (view.source, view.assessment) == (sources[old.source], assessments[old.assessment])
        assert view.handling == ("P" if old.handling == "1" else "C")
        assert bool(view.conditions) == (view.handling == "C")
        assert view.version == TABLE.version
        assert view != old


def test_the_view_keeps_the_conditions_that_were_recorded():
    view = grading.as_3x5x2(Grading("5x5x5", "A", "1", "4", "ask DCI first"), TABLE)
    assert view.conditions == "5x5x5 handling 4: originating agency only; ask DCI first"


def test_one_c_makes_it_c_with_all_conditions():
    assert grading.strictest([("P", ""), ("C", "z"), ("", ""), ("C", "a"), ("C", "z")], ORDER) == ("C", "a; z")
    assert grading.strictest([("C", "a"), ("5", "refer")], ORDER) == ("5", "a; refer")
    assert grading.strictest([("P", ""), ("", "")], ORDER) == ("P", "")
    assert grading.strictest([], ORDER) == ("", "")
    with pytest.raises(Malformed, match="handling code is unknown: found A, wanted one of P, 1, 2, 3, C, 4, 5"):
        grading.strictest([("X", "")], ORDER)


part = st.tuples(st.sampled_from(["", *ORDER]), st.sampled_from(CONDITIONS))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(part, min_size=1, max_size=5), min_size=1, max_size=5))
def test_the_bulk_form_says_the_same(groups):
    rows = [{"g": number, "h": code, "c": text} for number, parts in enumerate(groups) for code, text in parts]
    table = CON.create_table("parts", pa.Table.from_pylist(rows), overwrite=True)
    bulk = table.group_by("g").agg(h=grading.strictest_handling(table.h, ORDER), c=grading.all_conditions(table.c))
    found = [(row["h"], row["c"]) for row in bulk.order_by("g").to_pyarrow().to_pylist()]
    assert found == [grading.strictest(parts, ORDER) for parts in groups]
