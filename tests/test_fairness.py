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


def test_a_share_of_too_few_is_none():
    assert rate(0, 50) == Rate(0, 50, None, None, None)
    assert rate(5, 0) == Rate(5, 0, None, None, None)
    with pytest.raises(Malformed, match="found -1 of 5"):
        rate(-1, 5)


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
