"""London time in, UTC within: both changes of the clocks, every form, and the column against the single reading."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provenance import moments
from provenance.errors import Malformed

# The last Sundays of March and October (Summer Time Order 2002, SI 2002/262), written out by hand.
FORWARD = ("2019-03-31", "2024-03-31", "2025-03-30", "2026-03-29", "2027-03-28", "2038-03-28")
BACK = ("2019-10-27", "2024-10-27", "2025-10-26", "2026-10-25", "2027-10-31", "2038-10-31")


@pytest.mark.parametrize("day", FORWARD)
def test_the_hour_that_the_clocks_skip(day):
    assert moments.utc(moments.parse(f"{day}T00:59")) == f"{day}T00:59:00Z"
    assert moments.utc(moments.parse(f"{day}T02:00")) == f"{day}T01:00:00Z"
    for minute in ("01:00", "01:30", "01:59:59"):
        with pytest.raises(Malformed, match=r"^a time that London's clocks skip .*say \+00:00 or \+01:00$"):
            moments.parse(f"{day}T{minute}")
    assert moments.utc(moments.parse(f"{day}T01:30+00:00")) == f"{day}T01:30:00Z"
    assert moments.utc(moments.parse(f"{day}T01:30+01:00")) == f"{day}T00:30:00Z"
    assert _column([f"{day}T{clock}" for clock in ("00:59:59", "01:00", "01:59:59", "02:00")]) == [
        f"{day}T00:59:59Z", None, None, f"{day}T01:00:00Z",
    ]  # fmt: skip
    start, end = moments.day(day)
    assert (moments.utc(start), end - start) == (f"{day}T00:00:00Z", timedelta(hours=23))


@pytest.mark.parametrize("day", BACK)
def test_the_hour_that_the_clocks_show_twice(day):
    assert moments.parse(f"{day}T00:59") == datetime.fromisoformat(f"{day}T00:59+01:00")
    assert moments.utc(moments.parse(f"{day}T02:00")) == f"{day}T02:00:00Z"
    for minute in ("01:00", "01:30", "01:59:59"):
        with pytest.raises(Malformed, match=r"^a time that London's clocks show twice .*say \+01:00 or \+00:00$"):
            moments.parse(f"{day}T{minute}")
    assert moments.utc(moments.parse(f"{day}T01:30+01:00")) == f"{day}T00:30:00Z"
    assert moments.utc(moments.parse(f"{day}T01:30Z")) == f"{day}T01:30:00Z"
    assert moments.london(moments.parse(f"{day}T00:30Z")).endswith("01:30 BST")
    assert moments.london(moments.parse(f"{day}T01:30Z")).endswith("01:30 GMT")
    assert _column([f"{day}T{clock}" for clock in ("01:00", "01:59:59", "02:00")]) == [
        f"{day}T00:00:00Z", f"{day}T00:59:59Z", f"{day}T02:00:00Z",
    ]  # fmt: skip
    start, end = moments.day(day)
    assert (start, end - start) == (datetime.fromisoformat(f"{day}T00:00+01:00"), timedelta(hours=25))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-14T10:00", "2026-11-14T10:00:00Z"),
        ("2026-07-14T10:00", "2026-07-14T09:00:00Z"),
        ("2026-07-14 10:00", "2026-07-14T09:00:00Z"),
        ("2026-07-14T10:00:07", "2026-07-14T09:00:07Z"),
        ("2026-07-14T10:00Z", "2026-07-14T10:00:00Z"),
        ("2026-07-14T10:00:07Z", "2026-07-14T10:00:07Z"),
        ("2026-07-14T10:00-05:30", "2026-07-14T15:30:00Z"),
        ("2026-01-01T00:00+14:00", "2025-12-31T10:00:00Z"),
        ("1970-07-01T12:00", "1970-07-01T11:00:00Z"),
        ("1970-01-01T12:00", "1970-01-01T11:00:00Z"),  # summer time all year round, 1968 to 1971
        ("1944-07-01T12:00", "1944-07-01T10:00:00Z"),  # double summer time
    ],
)
def test_forms_that_are_read(text, wanted):
    assert moments.utc(moments.parse(text)) == wanted
    assert moments.parse(text).tzinfo is UTC
    assert _column([text]) == [wanted]


BAD = [
    "", "now", "2026", "2026-11", "14/11/2026", "2026-11-14T", "2026-11-14T10", "2026-11-14T10:0", "2026-11-14T10:00z",
    "2026-11-14T10:00:00.5", "2026-11-14T10:00+0100", "2026-11-14T10:00 +01:00", " 2026-11-14T10:00",
    "2026-11-14T10:00\n", "2026-11-14t10:00", "٢٠٢٦-11-14T10:00", "2026-11-14T24:00", "2026-11-14T10:60",
    "2026-11-14T10:00:60", "2026-02-29T10:00", "2026-13-01T10:00", "2026-00-10T10:00", "2026-11-00T10:00",
    "2026-11-31T10:00", "2026-11-14T10:00+15:00", "2026-11-14T10:00+01:60", "1899-12-30T00:00", "2200-01-01T00:00",
    "0026-11-14T10:00", "2026-11-14T10:00\x00", "20261-11-14T10:00",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_forms_that_are_refused(text):
    with pytest.raises(Malformed) as caught:
        moments.parse(text)
    assert caught.value.__context__ is None
    if text:
        assert text not in str(caught.value)
        assert moments.column(pa.chunked_array([[text]])).bad.tolist() == [True]


def test_a_refusal_says_what_was_found_and_wanted():
    with pytest.raises(Malformed, match=r"^no moment: found 99 Aaa 9999, wanted YYYY-MM-DDTHH:MM"):
        moments.parse("14 Nov 2026")
    with pytest.raises(Malformed, match=r"^no such day or time in the calendar: found 9999-99-99A99:99, wanted one"):
        moments.parse("2026-02-30T10:00")
    with pytest.raises(Malformed, match=r"^no such year here: found 9999-99-99A99:99, wanted 1900 to 2199$"):
        moments.parse("0226-02-20T10:00")


def test_dates():
    assert [moments.is_date(text) for text in ("2026-11-14", "2026-02-30", "2026-11-14T10:00", "2026-1-1", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    for text in ("2026-02-30", "2026-11-14T10:00", "1899-12-31"):
        with pytest.raises(Malformed):
            moments.day(text)
    assert [moments.utc(edge) for edge in moments.day("2026-07-14")] == ["2026-07-13T23:00:00Z", "2026-07-14T23:00:00Z"]
    assert moments.utc(moments.instant("2026-07-14")) == "2026-07-13T23:00:00Z"
    assert moments.utc(moments.instant("2026-07-14T00:01")) == "2026-07-13T23:01:00Z"


@settings(deadline=None)
@given(st.dates(datetime(1900, 1, 1).date(), datetime(2199, 12, 30).date()))
def test_days_meet_without_a_gap(date):
    start, end = moments.day(date.isoformat())
    assert moments.day((date + timedelta(days=1)).isoformat())[0] == end
    assert start.astimezone(moments.LONDON).date() == date
    assert (end - timedelta(seconds=1)).astimezone(moments.LONDON).date() == date


def test_for_people():
    assert moments.london(datetime(2026, 3, 14, 10, tzinfo=UTC)) == "14 March 2026, 10:00 GMT"
    assert moments.london(datetime(2026, 7, 4, 9, 5, 7, tzinfo=UTC)) == "4 July 2026, 10:05:07 BST"
    assert moments.london(datetime(2026, 7, 4, 12, tzinfo=timezone(timedelta(hours=3)))) == "4 July 2026, 10:00 BST"


def test_weeks_follow_the_london_date():
    assert moments.iso_week(moments.parse("2026-11-16T00:00")) == "2026-W47"
    assert moments.iso_week(moments.parse("2026-11-15T23:59")) == "2026-W46"
    # Monday in London, still Sunday in UTC.
    assert moments.iso_week(datetime(2026, 7, 5, 23, 30, tzinfo=UTC)) == "2026-W28"
    assert moments.iso_week(moments.parse("2027-01-03T12:00")) == "2026-W53"
    assert moments.iso_week(moments.parse("2024-12-30T12:00")) == "2025-W01"


def test_stored_form_is_cut_to_seconds_and_needs_a_zone():
    assert moments.utc(datetime(2026, 3, 14, 10, 0, 0, 999_999, tzinfo=UTC)) == "2026-03-14T10:00:00Z"
    with pytest.raises(Malformed, match=r"^a moment without a zone"):
        moments.utc(datetime(2026, 3, 14, 10))


# ---- the column against the single reading ---------------------------------------------------------------------------


def _twin(text: str) -> str | None:
    """What a column cell must come to, by `zoneinfo` and PEP 495 alone; None where it is bad or skipped."""
    london = ZoneInfo("Europe/London")
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        return None
    if wall.tzinfo is None:
        local = wall.replace(tzinfo=london, fold=0)
        if local.astimezone(UTC).astimezone(london).replace(tzinfo=None) != wall:
            return None
        wall = local
    return wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _column(texts: list[str]) -> list[str | None]:
    read = moments.column(pa.chunked_array([texts], pa.string()))
    wrong = read.bad | read.skipped
    return [None if bad else text for bad, text in zip(wrong, read.text().to_pylist(), strict=True)]


_NEAR_CHANGES = st.sampled_from([f"{day}T00:00" for day in FORWARD + BACK + ("1947-04-13", "1968-02-18")]).flatmap(
    lambda day: st.integers(-5 * 3600, 5 * 3600).map(lambda s: datetime.fromisoformat(day) + timedelta(seconds=s))
)
_WALL = st.one_of(_NEAR_CHANGES, st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)))
_OFFSET = st.sampled_from(["", "", "", "Z", "+00:00", "+01:00", "-05:30", "+14:00"])


@settings(deadline=None)
@given(st.lists(st.tuples(_WALL, st.booleans(), st.booleans(), _OFFSET), max_size=30))
def test_a_column_reads_as_zoneinfo_does(rows):
    texts = [
        wall.isoformat(sep="T" if t else " ", timespec="seconds" if seconds else "minutes") + offset
        for wall, t, seconds, offset in rows
    ]
    assert _column(texts) == [_twin(text) for text in texts]


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=30), st.sampled_from(BAD), st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")
        )
    )
)
@example(["", "2026-11-14", "2026-02-30", "1900-01-01", "2199-12-31", "1900-02-29", "2000-02-29", "2026-11-00"])
def test_a_column_refuses_what_a_single_reading_refuses(texts):
    read = moments.column(pa.chunked_array([texts[:3], texts[3:]], pa.string()))
    for place, text in enumerate(texts):
        try:
            moments.instant(text)
            refused = False
        except Malformed as error:
            refused = "twice" not in str(error)  # of which a column takes the first
        assert (read.bad[place] or read.skipped[place]) == (refused and text != "")
        assert read.dated[place] == moments.is_date(text)


def test_a_column_takes_the_first_of_two_and_names_the_skipped():
    read = moments.column(pa.chunked_array([["2026-10-25T01:30", "2026-03-29T01:30", "", "2026-07-14"]]))
    assert read.text()[0].as_py() == "2026-10-25T00:30:00Z"
    assert read.skipped.tolist() == [False, True, False, False]
    assert read.bad.tolist() == [False] * 4
    assert read.dated.tolist() == [False, False, False, True]
    assert read.text()[3].as_py() == "2026-07-13T23:00:00Z"


def test_a_sliced_and_an_empty_column():
    whole = pa.array(["bad", "2026-07-14T10:00", "2026-07-14"])
    read = moments.column(pa.chunked_array([whole.slice(1)]))
    assert (read.bad.tolist(), read.dated.tolist()) == ([False, False], [False, True])
    assert moments.column(pa.chunked_array([], pa.string())).seconds.dtype == np.int64
