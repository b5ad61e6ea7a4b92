"""What is asked for, and how it falls into weeks, blocks and people. Integers, decided before the first draw.

Each later week brings 1 % of the records, for as long as that leaves 60 % to the first week; beyond that the later
weeks share 40 % evenly. So two weeks are a history and a 1 % delta, and 52 weeks bring 0.78 % each. It refuses sizes
that it was not measured for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from provenance.errors import Malformed

LEAST_RECORDS, MOST_RECORDS, MOST_WEEKS = 1_000, 10_000_000, 400
BLOCK = 1 << 16  # records drawn and written at a time: what bounds the memory
HISTORY = timedelta(days=8 * 365)  # the first week's extract reaches back so far
HAND_OVER = timedelta(hours=1)  # nothing is recorded in the last hour before a cut-off: watermarks fall there
LONDON = ZoneInfo("Europe/London")
CONNECT_LIVE = int(datetime(2021, 4, 1, tzinfo=LONDON).timestamp())  # until then records were made in LEGACY


@dataclass(frozen=True, slots=True)
class Plan:
    """One force: `records` distinct records over `weeks` extracts, and about half as many nominals."""

    records: int
    weeks: int
    seed: int
    monday: date  # of the first week

    def __post_init__(self) -> None:
        if not LEAST_RECORDS <= self.records <= MOST_RECORDS:
            raise Malformed(f"sample size: found {self.records} records, wanted {LEAST_RECORDS} to {MOST_RECORDS}")
        if not 1 <= self.weeks <= MOST_WEEKS:
            raise Malformed(f"sample weeks: found {self.weeks}, wanted 1 to {MOST_WEEKS}")
        if not 0 <= self.seed < 2**63:
            raise Malformed(f"sample seed: found {self.seed}, wanted 0 to 2**63 - 1")
        if self.monday.weekday() != 0:
            raise Malformed(f"sample's first week: found {self.monday}, wanted a Monday")

    @property
    def repeaters(self) -> int:
        """People 0 to here belong to groups and come again and again; the others are mostly met once or twice."""
        return self.records * 12 // 100

    @property
    def people(self) -> int:
        return self.repeaters + self.records * 39 // 100

    def first_record(self, week: int) -> int:
        """Number of the first record of a week; `first_record(weeks)` is the number of records."""
        if week == 0:
            return 0
        later = min(self.records * (self.weeks - 1) // 100, self.records * 40 // 100)
        return self.records - later + (later * (week - 1) // (self.weeks - 1) if self.weeks > 1 else 0)

    def blocks(self, week: int) -> list[tuple[int, int]]:
        """(first record, one past the last) of each block of a week."""
        first, end = self.first_record(week), self.first_record(week + 1)
        return [(start, min(start + BLOCK, end)) for start in range(first, end, BLOCK)]

    def newcomers(self, record: int) -> int:
        """How many of the people outside groups have been met before this record."""
        return record * (self.people - self.repeaters) // self.records

    def label(self, week: int) -> str:
        year, number, _ = (self.monday + timedelta(weeks=week)).isocalendar()
        return f"{year}-W{number:02d}"

    def cut_off(self, week: int) -> datetime:
        """Sunday 23:59:59 in London, in UTC."""
        sunday = self.monday + timedelta(weeks=week, days=6)
        return datetime.combine(sunday, time(23, 59, 59), LONDON).astimezone(UTC)

    def recording(self, week: int) -> tuple[int, int]:
        """Seconds since 1970: after the first and up to the second, a week's records are recorded."""
        end = self.cut_off(week)
        start = end - HISTORY if week == 0 else self.cut_off(week - 1)
        return int(start.timestamp()), int((end - HAND_OVER).timestamp())
