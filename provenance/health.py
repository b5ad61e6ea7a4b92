"""How the archive does, in figures that a monitor may have: no name, no id, no case.

What takes a minute to find out is not asked here: who and what is due by the retention rules is told by `review due`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from provenance import backups, durable, holding, moments, witnessing
from provenance.archive import Archive

UNKNOWN = -1  # of an age or a lag: there is nothing that it could be of
_LATE = 8 * 86_400  # seconds: a week and a day, for what is due every week


@dataclass(frozen=True, slots=True)
class Feed:
    """How far behind a source is, by what it said of itself in the last extract that was received."""

    system: str
    age_seconds: int


@dataclass(frozen=True, slots=True)
class Witness:
    """How many entries the log has that a witness has not cosigned yet."""

    name: str
    behind: int


@dataclass(frozen=True, slots=True)
class Backup:
    """The newest backup in a folder of them."""

    age_seconds: int  # UNKNOWN where the folder has none of this archive
    disposals_since: int  # each closes the vaults of all backups before it


@dataclass(frozen=True, slots=True)
class Health:
    """Figures of one moment."""

    on: str
    build: str  # label of the last one; "" without any
    builds: int
    build_age_seconds: int  # since it was made; UNKNOWN without any
    failures: int  # runs that failed since
    verified: int  # the last build against the log: 1 it verifies, 0 it does not, UNKNOWN it is not known yet
    entries: int  # of the log
    feeds: tuple[Feed, ...]
    holds: int  # that stand
    holds_overdue: int
    reviews_overdue: int  # decisions to keep something whose next look is past, and nobody has looked since
    disposals_unfinished: int
    waiting: int  # restricted, with no hold left: somebody has to decide
    witnesses: tuple[Witness, ...]
    writing: int  # 1: a build, an extract or a disposal is at work
    stored_bytes: int  # of sealed rows
    free_bytes: int  # of the disk that they lie on
    backup: Backup | None  # None where nobody said where backups lie

    def faults(self, stale_days: int) -> list[str]:
        """What somebody should look at; a source counts as stale after `stale_days`."""
        said = []
        if self.verified == 0:
            said.append(f"build {self.build} does not verify")
        if self.build_age_seconds > _LATE:
            said.append(f"last build is {self.build_age_seconds // 86_400} days old")
        if self.failures:
            said.append(f"{self.failures} runs failed since the last build")
        said += [
            f"source {feed.system} is {feed.age_seconds // 86_400} days behind"
            for feed in self.feeds
            if feed.age_seconds > stale_days * 86_400
        ]
        for count, words in (
            (self.holds_overdue, "holds are overdue for review"),
            (self.reviews_overdue, "reviews are overdue"),
            (self.disposals_unfinished, "disposals are not finished"),
            (self.waiting, "restricted things wait for a decision"),
        ):
            if count:
                said.append(f"{count} {words}")
        if self.free_bytes < self.stored_bytes:
            free, stored = self.free_bytes / 1e6, self.stored_bytes / 1e6
            said.append(f"disk has {free:,.0f} MB left, and a disposal may write {stored:,.0f}")
        if self.backup:
            said += _said_of(self.backup)
        if not self.witnesses:
            said.append("no witness outside is named in log/policy")
        return said


def health(archive: Archive, *, on: str, verified: bool | None, kept: Path | None = None) -> Health:
    """The figures on `on`; whether the last build verifies is for the caller to find out, None where it has not.

    `kept` is the folder that holds the backups, each in one of its own.
    """
    history = archive.history
    last = history.builds[-1] if history.builds else None
    feeds = {feed.system: feed for held in history.extracts for feed in held.systems}
    return Health(
        on=on,
        build=last.label if last else "",
        builds=len(history.builds),
        build_age_seconds=_age(last.on, on) if last else UNKNOWN,
        failures=sum(failed.on > last.on for failed in history.failures) if last else len(history.failures),
        verified=UNKNOWN if verified is None else int(verified),
        entries=archive.log.size,
        feeds=tuple(Feed(system, _age(feed.watermark, on)) for system, feed in sorted(feeds.items())),
        holds=sum(hold.stands for hold in history.holds.values()),
        holds_overdue=len(holding.overdue(history, on)),
        reviews_overdue=_reviews_overdue(archive, moments.london_day(on)),
        disposals_unfinished=sum(each.certified is None for each in history.disposals),
        waiting=sum(not act.holds for act in history.restricted.values()),
        witnesses=tuple(
            Witness(name, archive.log.size - size) for name, size in sorted(witnessing.last_cosigned(archive).items())
        ),
        writing=int(durable.is_being_written(archive.root / "store")),
        stored_bytes=sum(path.stat().st_size for path in (archive.root / "store").rglob("*.parquet")),
        free_bytes=shutil.disk_usage(archive.root).free,
        backup=_newest(archive, kept, on) if kept else None,
    )


def _newest(archive: Archive, kept: Path, on: str) -> Backup:
    found = backups.kept(kept, archive.custody)
    if not found:
        return Backup(UNKNOWN, 0)
    _, newest = found[0]
    return Backup(_age(newest.made_on, on), len(archive.history.disposals) - newest.disposals)


def _said_of(backup: Backup) -> list[str]:
    said = []
    if backup.age_seconds == UNKNOWN:
        said.append("no backup is in the folder of backups")
    elif backup.age_seconds > _LATE:
        said.append(f"newest backup is {backup.age_seconds // 86_400} days old")
    if backup.disposals_since:
        said.append(f"{backup.disposals_since} disposals since the newest backup: its vault is closed, make another")
    return said


def _age(then: str, now: str) -> int:
    return max(int((moments.instant(now) - moments.instant(then)).total_seconds()), 0)


def _reviews_overdue(archive: Archive, day: str) -> int:
    latest: dict[str, str] = {}
    for act in archive.history.reviews:
        for token in (*act.nominals.split(), *act.records.split()):
            latest[token] = act.next_review
    gone = {f"{token:016x}" for token in archive.history.gone}
    return sum(next_review < day for token, next_review in latest.items() if token not in gone)
