"""Shares of groups: the interval against SciPy's, whole numbers, and what is said of a difference."""

from __future__ import annotations

import math

import pytest
from scipy.stats import binomtest

from provenance import fairness
from provenance.errors import Malformed
from provenance.fairness import NOT_RECORDED, Rate, age_band, rate


def test_an_interval_is_wilson_s_as_scipy_has_it_rounded_outwards():
    for among in (5, 10, 35, 140, 1000, 40_000):
        for of in sorted({1, 5, among // 3, among // 2, among - 1, among} - {0}):
            found = rate(of, among)
            bounds = binomtest(of, among).proportion_ci(0.95, method="wilson")
            assert found.low == math.floor(bounds.low * 1000 + 1e-9)
            assert found.high == min(math.ceil(bounds.high * 1000 - 1e-9), 1000)
            assert found.low <= found.rate <= found.high
            assert abs(found.rate - of * 1000 / among) <= 0.5


def test_an_interval_of_rounded_counts_holds_those_of_all_counts_that_they_may_stand_for():
    for of, among in ((5, 20), (20, 20), (50, 50), (5, 300), (150, 300)):
        found, ends = rate(of, among, 4), []
        for true_among in range(among - 4, among + 5):
            for true_of in range(max(of - 4, 1), min(of + 4, true_among) + 1):
                exact = rate(true_of, true_among)
                ends += [exact.low, exact.high]
        assert (found.low, found.high) == (min(ends), max(ends))
        assert found.rate == rate(of, among).rate
    # All of 50, as told: 46 of 54 may be meant, so that nothing is said of a group that small.
    assert rate(50, 50).against(rate(870, 1000)) == "higher"
    assert rate(50, 50, 4).against(rate(870, 1000, 4)) == "no clear difference"


def test_a_share_of_too_few_is_none():
    assert rate(0, 50) == Rate(0, 50, None, None, None)
    assert rate(5, 0) == Rate(5, 0, None, None, None)
    with pytest.raises(Malformed, match="found -1 of 5"):
        rate(-1, 5)
    with pytest.raises(Malformed, match="off by -1"):
        rate(1, 5, -1)


def test_rounded_counts_that_cross_are_all():
    assert rate(55, 50).rate == 1000


def test_a_group_differs_only_where_the_intervals_do_not_touch():
    everybody = rate(500, 1000)
    assert rate(90, 100).against(everybody) == "higher"
    assert rate(10, 100).against(everybody) == "lower"
    assert rate(55, 100).against(everybody) == "no clear difference"
    assert rate(0, 100).against(everybody) == "too few to say"


@pytest.mark.parametrize(
    ("born", "band"),
    [("2016-11-28", "10 to 17"), ("2016-11-29", "0 to 9"), ("1961-11-28", "65 and over"), ("1961-11-29", "50 to 64"),
     ("", NOT_RECORDED), ("1850-01-01", NOT_RECORDED)],
)  # fmt: skip
def test_an_age_is_that_of_the_day(born, band):
    assert age_band(born, "2026-11-28") == band
    assert band in fairness.AGE_BANDS
