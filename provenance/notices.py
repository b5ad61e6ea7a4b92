"""The published head: one line for the weekly notice, by which everything before it is fixed.

    LABEL ORIGIN SIZE ROOT      2026-W47 force.example/log 1234 <base64 of 32 bytes>

LABEL is the latest build that the head commits to. Whoever keeps these lines needs nothing else of the force's to find
out later that a past was changed: a log that does not have that root at that size is another log.

A series is such lines, in the order of their publication; empty lines and those that start with # are a keeper's own.
Refused: a line that is written in any other way. What a series shows by itself, `findings` says; what a log shows of
it, needs the log (`publicising`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from provenance.entries import Count, Label
from provenance.errors import Malformed
from provenance.merkle import DIGEST
from provenance.notes import decode_base64, decode_decimal, encode_base64

LARGEST = 10_000_000  # bytes of a series: over 2,000 years
_LABEL, _COUNT = Label.__metadata__[0], Count.__metadata__[0]
_ORIGIN = re.compile(r"[^\s+\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,1000}")  # a key name of c2sp.org/signed-note

# What a series can show, and what it means; `Finding.kind` is one of these.
KINDS = {
    "gap": "a week without a published head",
    "repeated": "a build published twice",
    "reordered": "a head published after that of a later build",
    "origin": "heads of different logs in one series",
    "rollback": "the log shrank",
    "fork": "two heads of one size, or a log without a published head in it",
    "standstill": "another build, and the log did not grow",
    "label": "a head under the name of a build that is not its latest",
    "log": "a log that does not verify",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One published head."""

    label: str
    origin: str
    size: int  # entries, at least 1
    root: bytes

    def __post_init__(self) -> None:
        if not _LABEL.holds(self.label):
            raise Malformed(f"published head: no label, wanted {_LABEL.wanted}")
        if not _ORIGIN.fullmatch(self.origin):
            raise Malformed("published head: no origin, wanted the log's name without spaces or plus signs")
        if not _COUNT.holds(self.size) or self.size < 1:
            raise Malformed("published head: no size, wanted a count of entries, 1 up to 2**53")
        if len(self.root) != DIGEST:
            raise Malformed(f"published head: a root of {len(self.root)} bytes, wanted {DIGEST}")

    @classmethod
    def parse(cls, line: str) -> Notice:
        """Raises Malformed unless `line`, without its newline, is the one way to write that head."""
        parts = line.split(" ")
        if len(parts) != 4:
            raise Malformed(f"published head: {len(parts)} words, wanted LABEL ORIGIN SIZE ROOT with single spaces")
        label, origin, size, root = parts
        return cls(label, origin, decode_decimal("published head", size), decode_base64("published head", root))

    def __str__(self) -> str:
        return f"{self.label} {self.origin} {self.size} {encode_base64(self.root)}"

    @property
    def order(self) -> tuple[str, int]:
        """Later builds have a larger one: the week, then which build of that week."""
        week, _, build = self.label.partition(".")
        return week, int(build or 1)

    @property
    def week(self) -> str:
        """The ISO week: 2026-W47."""
        return self.order[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a series."""

    kind: str  # of KINDS
    label: str  # of the head, or of the first week that lacks one
    words: str


def parse_series(data: bytes) -> tuple[Notice, ...]:
    """The heads of a file, in its order. Lines may end as on any machine. Raises Malformed naming the line."""
    if len(data) > LARGEST:
        raise Malformed(f"series of published heads: {len(data)} bytes, wanted at most {LARGEST}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"series of published heads: byte {error.start} is not UTF-8") from error
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        try:
            found.append(Notice.parse(line))
        except Malformed as error:
            raise Malformed(f"series of published heads: line {number}: {error}") from error
    return tuple(found)


def findings(series: Sequence[Notice], *, built: Iterable[str] = ()) -> list[Finding]:
    """What the lines alone show to be wrong: R04's missing, repeated and reordered weeks, and heads that contradict.

    `built` are the labels of builds that the log has, if it is at hand: a gap then says whether there was a build.
    """
    return [*_placed(series), *_gaps(series, frozenset(built)), *_contradicting(series)]


def _placed(series: Sequence[Notice]) -> Iterator[Finding]:
    """Repeated, out of order, or of another log than the line before."""
    seen: dict[str, Notice] = {}
    for place, notice in enumerate(series):
        before = series[place - 1] if place else notice
        latest = max(seen.values(), key=lambda each: each.order, default=notice)
        if notice.origin != before.origin:
            yield Finding(
                "origin", notice.label, f"{notice.label} is a head of log {notice.origin}, the line before of log "
                f"{before.origin}: one series is of one log",
            )  # fmt: skip
        if notice.label not in seen:
            seen[notice.label] = notice
            if notice.order < latest.order:
                yield Finding("reordered", notice.label, f"{notice.label} stands after {latest.label}, which is later")
        elif seen[notice.label] == notice:
            yield Finding("repeated", notice.label, f"{notice.label} is there twice, the same line again")
        else:
            yield Finding(
                "repeated", notice.label,
                f"{notice.label} was published twice: at {seen[notice.label].size:,} entries and at {notice.size:,}",
            )  # fmt: skip


def _gaps(series: Sequence[Notice], built: frozenset[str]) -> Iterator[Finding]:
    """Runs of weeks without a head, between the first week and the last, whatever the order of the lines."""
    weeks = sorted({notice.week for notice in series})
    had = sorted({label.partition(".")[0] for label in built})
    for before, after in itertools.pairwise(weeks):
        first, last = _monday(before) + timedelta(weeks=1), _monday(after) - timedelta(weeks=1)
        if first > last:
            continue
        span = _week(first)
        if last > first:
            span += f" to {_week(last)} ({(last - first).days // 7 + 1} weeks)"
        words = f"no head for {span}, between {before} and {after}"
        if had:
            also = [week for week in had if before < week < after]
            words += f"; the log has a build of {', '.join(also)}" if also else "; the log has no build of then either"
        yield Finding("gap", _week(first), words)


def _contradicting(series: Sequence[Notice]) -> Iterator[Finding]:
    """Heads of one log that cannot all be its heads. Builds are taken in their order, however the lines stand."""
    for origin in dict.fromkeys(notice.origin for notice in series):
        own = list(dict.fromkeys(notice for notice in series if notice.origin == origin))
        first: dict[int, Notice] = {}
        for notice in own:
            other = first.setdefault(notice.size, notice)
            if other.root != notice.root:
                yield Finding(
                    "fork", notice.label,
                    f"{other.label} and {notice.label} are heads of {notice.size:,} entries with different roots, "
                    f"{encode_base64(other.root)} and {encode_base64(notice.root)}: the log was forked",
                )  # fmt: skip
        for before, after in itertools.pairwise(sorted(own, key=lambda notice: notice.order)):
            if after.size < before.size and after.label != before.label:
                yield Finding(
                    "rollback", after.label,
                    f"{after.label} has {after.size:,} entries, fewer than the {before.size:,} of {before.label}: "
                    "the log was rolled back",
                )  # fmt: skip
            elif (after.size, after.root) == (before.size, before.root) and after.label != before.label:
                yield Finding(
                    "standstill", after.label,
                    f"{after.label} has the head of {before.label}: a build is logged, so the log must have grown",
                )  # fmt: skip


def _monday(week: str) -> date:
    return date.fromisocalendar(int(week[:4]), int(week[6:8]), 1)


def _week(monday: date) -> str:
    year, week, _ = monday.isocalendar()
    return f"{year:04d}-W{week:02d}"
