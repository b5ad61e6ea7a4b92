"""Published heads: one way to write a line, what a series shows by itself, and what it shows beside the log."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import notices
from provenance.errors import Malformed
from provenance.notices import KINDS, Notice

ROOT = hashlib.sha256(b"a root").digest()
LINE = "2026-W47 force.example/log 1234 gwwgGqtmI/1n3hlZCVlfTT4mlz1WVTE/uYaWS/4Rvds="


def week(number: int, first: date = date(2026, 10, 5)) -> str:
    """The label of the nth week from a Monday."""
    year, number, _ = (first + timedelta(weeks=number)).isocalendar()
    return f"{year}-W{number:02d}"


def head(label: str, size: int, *, root: bytes | None = None, origin: str = "force") -> Notice:
    return Notice(label, origin, size, hashlib.sha256(f"{size}".encode()).digest() if root is None else root)


def kinds(series) -> list[tuple[str, str]]:
    return [(finding.kind, finding.label) for finding in notices.findings(series)]


LABELS = st.builds(
    lambda day, build: "{}-W{:02d}".format(*day.isocalendar()[:2]) + (f".{build}" if build > 1 else ""),
    st.dates(date(1000, 1, 10), date(9998, 1, 1)),
    st.integers(1, 30),
)
NOTICES = st.builds(
    Notice,
    LABELS,
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,40}|Kräfte/log", fullmatch=True),
    st.integers(1, 2**53 - 1),
    st.binary(min_size=32, max_size=32),
)


@given(NOTICES)
def test_a_line_comes_back_as_it_was(notice):
    assert Notice.parse(str(notice)) == notice
    assert str(Notice.parse(str(notice))) == str(notice)


@given(st.data())
def test_there_is_one_way_to_write_a_line(data):
    """Whatever is done to a line: it is refused, or it is the one way to write another head."""
    line = str(data.draw(NOTICES))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(line)))
        stop = data.draw(st.integers(start, min(len(line), start + 2)))
        put = data.draw(st.text(st.sampled_from(" \t\r\n\v\u00a0\u2028+=/.-0179AWZaz٧\ud800"), max_size=2))
        line = line[:start] + put + line[stop:]
    try:
        parsed = Notice.parse(line)
    except Malformed:
        return
    assert str(parsed) == line


@given(st.text())
def test_any_text_is_a_head_or_malformed(text):
    said = text
    try:
        parsed = str(Notice.parse(text))
    except Malformed as error:
        said, parsed = "published head: ", str(error)[:16]
    assert parsed == said


@given(st.lists(NOTICES, max_size=5), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_a_series_comes_back_whatever_editor_kept_it(series, end, marked, commented):
    lines = [str(notice) for notice in series]
    if commented:
        lines = ["# kept since W02", "", *lines, "  "]
    data = ("\ufeff" if marked else "") + end.join(lines)
    assert notices.parse_series(data.encode()) == tuple(series)
    assert notices.parse_series((data + end).encode()) == tuple(series)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_series_or_malformed(data):
    said = "series of published heads: "
    try:
        notices.parse_series(data)
    except Malformed as error:
        said = str(error)
    assert said.startswith("series of published heads: ")


def test_the_line_as_it_is_published():
    notice = Notice("2026-W47", "force.example/log", 1234, ROOT)
    assert str(notice).split(" ")[:3] == LINE.split(" ")[:3]
    assert Notice.parse(LINE).size == 1234
    assert len(LINE) < 80


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "1 words, wanted LABEL ORIGIN SIZE ROOT with single spaces"),
        (LINE.replace(" ", "  ", 1), "5 words, wanted"),
        (" " + LINE, "5 words, wanted"),
        (LINE + " ", "5 words, wanted"),
        (LINE.replace("W47", "W54"), "no label, wanted an ISO week"),
        (LINE.replace("2026-W47", "2026-W47.1"), "no label, wanted an ISO week"),
        (LINE.replace("2026", "٢٠٢٦"), "no label, wanted an ISO week"),
        (LINE.replace("force.example/log", "a+b"), "no origin, wanted"),
        (LINE.replace("force.example/log", "a\u00a0b"), "no origin, wanted"),
        (LINE.replace(" 1234 ", " 0 "), "no size, wanted"),
        (LINE.replace(" 1234 ", " 01234 "), "not a count in plain decimal digits"),
        (LINE.replace(" 1234 ", " -1 "), "not a count in plain decimal digits"),
        (LINE.replace(" 1234 ", f" {2**53} "), "no size, wanted"),
        (LINE.replace(" 1234 ", f" {2**63} "), "not a count in plain decimal digits"),
        (LINE[:-1], "not base64"),
        (LINE[:-2] + "t=", "base64 with bits or padding beyond its bytes"),
        (LINE[:-4] + "AA==", "a root of 31 bytes, wanted 32"),
    ],
)
def test_a_line_in_another_form(line, message):
    with pytest.raises(Malformed, match=f"^published head: {message}"):
        Notice.parse(line)


def test_the_line_that_is_wrong_is_named():
    with pytest.raises(Malformed, match=r"^series of published heads: line 3: published head: 2 words"):
        notices.parse_series(f"# ours\n{LINE}\nno head\n".encode())
    with pytest.raises(Malformed, match=r"^series of published heads: byte 2 is not UTF-8$"):
        notices.parse_series(b"# \xff")
    with pytest.raises(Malformed, match=r"^series of published heads: \d+ bytes, wanted at most \d+$"):
        notices.parse_series(b"#" * (notices.LARGEST + 1))


# -- what the lines show


@given(st.integers(0, 400), st.lists(st.integers(1, 1000), min_size=1, max_size=60))
def test_week_upon_week_of_a_growing_log_shows_nothing(start, grown):
    sizes = [sum(grown[: n + 1]) for n in range(len(grown))]
    assert kinds([head(week(start + n), size) for n, size in enumerate(sizes)]) == []


def test_a_second_build_of_a_week_is_no_repetition():
    assert kinds([head("2026-W47", 5), head("2026-W47.2", 7), head("2026-W47.10", 9), head("2026-W48", 12)]) == []


def test_years_of_52_and_53_weeks_have_no_gap_between_them():
    assert kinds([head("2025-W52", 1), head("2026-W01", 2)]) == []
    assert kinds([head("2026-W52", 1), head("2026-W53", 2), head("2027-W01", 3)]) == []
    assert kinds([head("2026-W52", 1), head("2027-W01", 3)]) == [("gap", "2026-W53")]


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_each_week_that_is_missing_is_in_one_gap(present):
    held = [True, *present, True]
    series = [head(week(n), n + 1) for n, there in enumerate(held) if there]
    missing = [week(n) for n, there in enumerate(held) if not there]
    found = notices.findings(series)
    assert {finding.kind for finding in found} <= {"gap"}
    runs = [week(n) for n, there in enumerate(held) if not there and held[n - 1]]
    assert [finding.label for finding in found] == runs
    for finding in found:
        assert finding.words.startswith(f"no head for {finding.label}")
    assert sum(int(f.words.split("(")[1].split()[0]) if "(" in f.words else 1 for f in found) == len(missing)


def test_a_gap_says_whether_there_was_a_build():
    series = [head("2026-W44", 1), head("2026-W47", 4)]
    (told,) = notices.findings(series)
    assert told.words == "no head for 2026-W45 to 2026-W46 (2 weeks), between 2026-W44 and 2026-W47"
    (told,) = notices.findings(series, built=["2026-W44", "2026-W46.2", "2026-W47"])
    assert told.words.endswith("; the log has a build of 2026-W46")
    (told,) = notices.findings(series, built=["2026-W44", "2026-W47"])
    assert told.words.endswith("; the log has no build of then either")


@given(st.permutations(range(6)))
def test_out_of_order_is_said_of_each_that_comes_after_a_later_one(order):
    series = [head(week(n), n + 1) for n in order]
    late = [week(n) for place, n in enumerate(order) if any(before > n for before in order[:place])]
    assert kinds(series) == [("reordered", label) for label in late]


def test_builds_of_one_week_have_an_order_too():
    assert kinds([head("2026-W47.10", 9), head("2026-W47.2", 7)]) == [("reordered", "2026-W47.2")]
    assert kinds([head("2026-W47.2", 7), head("2026-W47", 5)]) == [("reordered", "2026-W47")]


def test_repeated():
    one, two = head("2026-W46", 3), head("2026-W47", 5)
    assert kinds([one, two, two]) == [("repeated", "2026-W47")]
    assert kinds([one, two, replace(two)]) == [("repeated", "2026-W47")]
    (told,) = notices.findings([one, two, head("2026-W47", 9)])
    assert (told.kind, told.words) == ("repeated", "2026-W47 was published twice: at 5 entries and at 9")
    assert kinds([one, two, one]) == [("repeated", "2026-W46")]


def test_rollback_and_standstill():
    assert kinds([head("2026-W45", 9), head("2026-W46", 5), head("2026-W47", 7)]) == [("rollback", "2026-W46")]
    assert kinds([head("2026-W45", 9), head("2026-W46", 8)]) == [("rollback", "2026-W46")]
    assert kinds([head("2026-W45", 9), head("2026-W46", 9)]) == [("standstill", "2026-W46")]
    # Two lines that changed places are no rollback.
    assert kinds([head("2026-W46", 9), head("2026-W45", 5)]) == [("reordered", "2026-W45")]


def test_a_fork_is_two_roots_of_one_size():
    one, other = head("2026-W46", 9), head("2026-W47", 9, root=ROOT)
    (told,) = notices.findings([one, other])
    assert (told.kind, told.label) == ("fork", "2026-W47")
    assert "2026-W46 and 2026-W47 are heads of 9 entries with different roots" in told.words
    assert kinds([one, head("2026-W46", 9, root=ROOT)]) == [("repeated", "2026-W46"), ("fork", "2026-W46")]
    assert kinds([head("2026-W45", 1), one, head("2026-W47", 20), head("2026-W48", 9, root=ROOT)]) == [
        ("fork", "2026-W48"),
        ("rollback", "2026-W48"),
    ]


def test_another_origin_is_another_log():
    series = [head("2026-W45", 9), head("2026-W46", 5, origin="other"), head("2026-W47", 12)]
    assert kinds(series) == [("origin", "2026-W46"), ("origin", "2026-W47")]


@given(st.lists(NOTICES, max_size=8))
def test_any_series_can_be_judged(series):
    for finding in notices.findings(series):
        assert finding.kind in KINDS
        assert "\n" not in finding.words
