"""When: London local time in, UTC within, London local time again for people to read.

Text without an offset is the wall clock of Europe/London. Twice a year that clock lies: in spring it skips an hour,
in autumn it shows one twice. A single moment that a person states (`parse`) is refused there until the offset is
said. A column of source data (`column`) has nobody to ask: a skipped time is a fault of that row, and a time shown
twice is taken as the first of the two. Refused as well: years outside 1900 to 2199, and any second that no clock shows.

The rules come from the pinned `tzdata` package, never from the machine, so that two machines agree on a date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import sets
from provenance.errors import Malformed, shape

with resources.files("tzdata.zoneinfo.Europe").joinpath("London").open("rb") as _rules:
    LONDON = ZoneInfo.from_file(_rules, key="Europe/London")

WANTED = "YYYY-MM-DDTHH:MM[:SS] with Z, +HH:MM or, for London time, nothing"
WANTED_DAY = "YYYY-MM-DD"

FIRST_YEAR, LAST_YEAR = 1900, 2199  # before: placeholder dates of old systems; after: slips of the keyboard
_LARGEST_OFFSET = 14  # hours: no place on earth is further from UTC

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"  # [0-9], since \d also takes the digits of other scripts
_MOMENT = _DAY + r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip  # not strftime: its words follow the machine's locale


def parse(text: str) -> datetime:
    """The moment that `text` states, aware and in UTC.

    Raises Malformed for another form, an impossible day or time, a London time that the clocks skip, and one that
    they show twice: then the message names the two offsets to choose from.
    """
    if not re.fullmatch(_MOMENT, text):
        raise Malformed(f"no moment: found {shape(text)}, wanted {WANTED}")
    seconds = text[17:19] if text[16:17] == ":" else "00"
    wall = _exists(text, int(text[11:13]), int(text[14:16]), int(seconds))
    zone = text[19:] if text[16:17] == ":" else text[16:]
    if zone == "Z":
        return wall.replace(tzinfo=UTC)
    if zone:
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > _LARGEST_OFFSET or minutes > 59:
            raise Malformed(f"no such offset: found {shape(text)}, wanted one from -14:59 to +14:59")
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
        return wall.replace(tzinfo=timezone(offset)).astimezone(UTC)

    first, second = wall.replace(tzinfo=LONDON), wall.replace(tzinfo=LONDON, fold=1)
    before, after = first.utcoffset(), second.utcoffset()  # PEP 495: they differ only around a change of the clocks
    if before == after:
        return first.astimezone(UTC)
    choice = f"say {_offset(before)} or {_offset(after)}"
    if before > after:
        raise Malformed(f"a time that London's clocks show twice (they went back): found {shape(text)}, {choice}")
    raise Malformed(f"a time that London's clocks skip (they went forward): found {shape(text)}, {choice}")


def instant(text: str) -> datetime:
    """As `parse`, and a bare date means 00:00 in London that day."""
    return day(text)[0] if is_date(text) else parse(text)


def is_date(text: str) -> bool:
    """Whether `text` has the form of a bare date. Whether there is such a day, `day` says."""
    return re.fullmatch(_DAY, text) is not None


def day(text: str) -> tuple[datetime, datetime]:
    """The London calendar day as UTC moments [start, end): 23, 24 or 25 hours. Raises Malformed if there is none."""
    if not is_date(text):
        raise Malformed(f"no date: found {shape(text)}, wanted {WANTED_DAY}")
    start = _exists(text)
    return (
        start.replace(tzinfo=LONDON).astimezone(UTC),
        (start + timedelta(days=1)).replace(tzinfo=LONDON).astimezone(UTC),
    )


def utc(moment: datetime) -> str:
    """The stored form `YYYY-MM-DDTHH:MM:SSZ`; fractions of a second are cut off, never rounded up."""
    if moment.tzinfo is None:
        raise Malformed("a moment without a zone: wanted an aware one")
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def stamp(seconds: float) -> str:
    """Seconds since 1970, as stored."""
    return utc(datetime.fromtimestamp(seconds, UTC))


def london(moment: datetime) -> str:
    """For people to read: `14 March 2026, 10:00 GMT`, with seconds only where there are any."""
    local = moment.astimezone(LONDON)
    seconds = f":{local.second:02d}" if local.second else ""
    clock = f"{local.hour:02d}:{local.minute:02d}{seconds} {local.tzname()}"
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}, {clock}"


def london_day(on: str) -> str:
    """The calendar day in London of an instant in the stored form."""
    return parse(on).astimezone(LONDON).date().isoformat()


def iso_week(moment: datetime) -> str:
    """The ISO 8601 week of the London calendar date: `2026-W47`. Its year may differ from the date's around January."""
    year, week, _ = moment.astimezone(LONDON).isocalendar()
    return f"{year}-W{week:02d}"


def _exists(text: str, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    year, month, number = int(text[:4]), int(text[5:7]), int(text[8:10])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Malformed(f"no such year here: found {shape(text)}, wanted {FIRST_YEAR} to {LAST_YEAR}")
    try:
        return datetime(year, month, number, hour, minute, second)
    except ValueError:
        pass  # the message of datetime quotes the number
    raise Malformed(f"no such day or time in the calendar: found {shape(text)}, wanted one that exists")


def _offset(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of moments and dates, read by the rules of `instant`; one element per row."""

    seconds: np.ndarray  # int64, since 1970 in UTC; meaningless where bad, skipped or empty
    dated: np.ndarray  # bool: a bare date; `seconds` is then its 00:00 in London
    bad: np.ndarray  # bool: not the form, or no such day or time
    skipped: np.ndarray  # bool: a London time that the clocks skip

    def text(self) -> pa.Array:
        """Each moment in the form of `utc`; what is wrong or empty comes out as some date, and is the caller's."""
        return pc.binary_join_element_wise(
            pc.replace_substring(pa.array(self.seconds).cast(pa.timestamp("s")).cast(pa.string()), " ", "T"), "Z", ""
        )


def column(texts: pa.ChunkedArray) -> Column:
    """Read a column of text; "" is neither bad nor skipped. A time shown twice is taken as the first of the two."""
    parts = [_chunk(chunk) for chunk in texts.chunks] or [_chunk(pa.array([], pa.string()))]
    return Column(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def _chunk(texts: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    formed = pc.match_substring_regex(texts, rf"\A(?:{_DAY}|{_MOMENT})\z").to_numpy(zero_copy_only=False)
    sized = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    # Every admitted form is ASCII and its length says its layout, so a matrix of bytes reads all rows at once.
    padded = _bytes(pc.ascii_rpad(pc.if_else(pa.array(formed), texts, "1970-01-01"), 25, "0")).reshape(-1, 25)
    digits = padded - np.uint8(ord("0"))
    length = np.where(formed, sized, 10)

    def number(start: int, size: int = 2) -> np.ndarray:
        value = np.zeros(len(digits), np.int64)
        for place in range(start, start + size):
            value = value * 10 + digits[:, place]
        return value

    timed, exact = length > 10, sets.among(length, (19, 20, 25))
    hour, minute = np.where(timed, number(11), 0), np.where(timed, number(14), 0)
    second = np.where(exact, number(17), 0)
    zone = np.where(length == 25, 19, 16)  # where the sign of an offset stands, if there is one
    shifted = sets.among(length, (22, 25))
    ahead = np.where(zone == 19, number(20), number(17))
    aside = np.where(zone == 19, number(23), number(20))
    sign = np.where(padded[np.arange(len(digits)), zone] == ord("-"), -1, 1)

    year, month = number(0, 4), number(5)
    possible = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (month <= 12)
    months = (np.where(possible, (year - 1970) * 12 + month - 1, 0)).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (number(8) - 1)
    possible &= days.astype("datetime64[M]") == months
    possible &= (hour < 24) & (minute < 60) & (second < 60)
    possible &= ~shifted | ((ahead <= _LARGEST_OFFSET) & (aside < 60))

    wall = days.astype(np.int64) * 86400 + hour * 3600 + minute * 60 + second
    local = ~shifted & ~sets.among(length, (17, 20))
    boundary, offset, skip_from = _changes()
    segment = np.searchsorted(boundary, wall, side="right")
    skipped = local & formed & possible & (wall >= skip_from[segment])
    shift = np.where(local, offset[segment], np.where(shifted, sign * (ahead * 3600 + aside * 60), 0))
    return wall - shift, formed & ~timed, (~formed | ~possible) & (sized > 0), skipped


def _bytes(texts: pa.Array) -> np.ndarray:
    """The characters of an array without nulls, end to end."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]


@cache
def _changes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """London's clock changes on the wall clock, in seconds as if it were UTC.

    Segment k (0 .. n) ends where the wall clock reads boundary[k], keeps offset[k], and from skip_from[k] on shows
    times that never were. The later wall reading of each change is the boundary, so what is shown twice falls to the
    earlier segment.
    """
    moment, last = datetime(FIRST_YEAR - 1, 12, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 2, 1, tzinfo=UTC)
    never = np.iinfo(np.int64).max
    offset, boundary, skip_from = [_seconds(moment)], [], []
    while moment < last:
        ahead = moment + timedelta(days=7)  # never two changes in a week: the shortest summer of double time had four
        if _seconds(ahead) != offset[-1]:
            low, high = int(moment.timestamp()), int(ahead.timestamp())
            while high - low > 1:
                middle = (low + high) // 2
                if _seconds(datetime.fromtimestamp(middle, UTC)) == offset[-1]:
                    low = middle
                else:
                    high = middle
            after = _seconds(ahead)
            boundary.append(high + max(offset[-1], after))
            skip_from.append(high + offset[-1] if after > offset[-1] else never)
            offset.append(after)
        moment = ahead
    return np.array(boundary), np.array(offset), np.array([*skip_from, never])


def _seconds(moment: datetime) -> int:
    return int(moment.astimezone(LONDON).utcoffset().total_seconds())
