"""The publish stage: a build's roots are computed, stated, signed, logged, and the build goes live.

New bytes first, then the entry, then the checkpoint, then anything derived: an entry never names bytes that are not
yet durable. A build that R08's thresholds block is refused until a person has confirmed it, and the refusal is logged;
so is a build that failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from provenance import durable, entries, governing, merkle, moments, rows, statements, trees
from provenance.archive import Archive
from provenance.draft import Draft
from provenance.errors import Conflict, Refused
from provenance.harm import HarmTable
from provenance.params import Params, Thresholds
from provenance.tables import DERIVED_TABLES, TABLES


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a door knows about a build and the records cannot say (R01)."""

    operator: str
    under: str
    code: str  # the commit that the code is of
    package: str  # SHA-256 over the code's files, whatever git says
    environment: str  # SHA-256 of the lock file, or of the list of what is used instead
    machine: statements.Machine
    version: str
    started_on: str  # UTC
    finished_on: str
    documents: tuple[statements.Document, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One threshold that an extract did not keep (R08)."""

    extract: int
    threshold: str
    text: str


def findings(archive: Archive, cut_off: str, params: Params) -> list[Finding]:
    """What stands against a build with this cut-off: feeds that fell, stale watermarks. Confirmed ones are left out."""
    said: list[Finding] = []
    last: dict[str, tuple[entries.Received, entries.Feed]] = {}
    fresh = _unbuilt(archive, cut_off)
    for held in archive.history.extracts:
        for feed in held.systems:
            before = last.get(feed.system)
            if held.extract in fresh and before and before[0].mode == held.mode:
                said += _drops(held, feed, before[1], params.thresholds)
            last[feed.system] = (held, feed)
    for held, feed in last.values():
        age = (moments.instant(cut_off) - moments.instant(feed.watermark)).days
        if held.extract in fresh and age > params.thresholds.stale_watermark_days:
            said.append(
                Finding(
                    held.extract,
                    "stale watermark",
                    f"{feed.system} is complete only up to {feed.watermark}, {age} days before the cut-off; "
                    f"params allow {params.thresholds.stale_watermark_days}",
                )
            )
    confirmed = {(c.extract, c.threshold) for c in archive.history.confirmations}
    return [finding for finding in said if (finding.extract, finding.threshold) not in confirmed]


def _unbuilt(archive: Archive, cut_off: str) -> set[int]:
    """Extracts that no build has taken from yet and that this one would."""
    builds = archive.history.builds
    known = builds[-1].extracts if builds else 0
    return {held.extract for held in archive.history.extracts if held.extract > known and held.cut_off <= cut_off}


def _drops(held: entries.Received, feed: entries.Feed, before: entries.Feed, limits: Thresholds) -> list[Finding]:
    found = []
    for what in ("records", "involvements"):
        was, now = getattr(before, what), getattr(feed, what)
        if was >= limits.least_rows and (was - now) * 100 > was * limits.max_drop_percent:
            found.append(
                Finding(
                    held.extract,
                    f"drop in {what}",
                    f"{feed.system} sent {now} {what}, {(was - now) * 100 // was} % fewer than the {was} before; "
                    f"params allow {limits.max_drop_percent} %",
                )
            )
    return found


def confirm(archive: Archive, found: list[Finding], *, on: str, by: str, under: str, reason: str) -> None:
    """Let the findings pass: a named person's decision, logged with the reason."""
    archive.append(
        *(
            entries.Confirmed(on=on, by=by, under=under, extract=f.extract, threshold=f.threshold, reason=reason)
            for f in found
        )
    )


def check(archive: Archive, draft: Draft, params: Params) -> None:
    """Raises Refused naming every finding that nobody has confirmed, or the papers where they are to stop a build."""
    governing.check(params.governance, draft.label, moments.london_day(draft.cut_off))
    found = findings(archive, draft.cut_off, params)
    if found:
        raise Refused(
            f"build {draft.label} is blocked until a person confirms: " + "; ".join(finding.text for finding in found)
        )


def publish(
    archive: Archive, draft: Draft, params: Params, table: HarmTable, around: Surroundings, published_at: str
) -> entries.Built:
    """State, sign, log and publish a drafted build. Raises Conflict when it would go live before the last one did."""
    live = archive.history.publications
    if live and published_at <= live[-1].start:
        raise Conflict(
            f"build {draft.label} would go live at {published_at}: build {live[-1].label} went live at {live[-1].start}"
        )
    hashed = _hashed(archive, draft)
    tables = tuple(
        entries.Table(name=name, size=held.size, root=merkle.root(held.blocks).hex()) for name, held in hashed.items()
    )
    builds = archive.history.builds
    statement = statements.Statement(
        label=draft.label,
        number=draft.number,
        cut_off=draft.cut_off,
        feeds=_feeds(archive, draft.cut_off),
        tables=tables,
        artifacts=tuple(statements.Artifact(table=name, sha256=held.sha256) for name, held in hashed.items()),
        params=params.canonical(),
        code=around.code,
        package=around.package,
        environment=around.environment,
        machine=around.machine,
        harm_tables=tuple(statements.Edition(name=held.edition, digest=held.sha256) for held in table.all),
        documents=around.documents,
        previous=builds[-1].statement if builds else "",
        builder_version=around.version,
        operator=around.operator,
        started_on=around.started_on,
        finished_on=around.finished_on,
    )
    for held in table.all:  # so that what a past build counted by can be read again, whatever becomes of harm/
        kept = archive.harm_file(held.sha256)
        if not kept.exists():
            durable.write(kept, held.content)
    path = archive.statement(draft.label)
    durable.write(path, statements.sign(statement, archive.signing_key()))
    built = entries.Built(
        on=around.finished_on,
        by=around.operator,
        under=around.under,
        label=draft.label,
        number=draft.number,
        cut_off=draft.cut_off,
        extracts=max((held.extract for held in archive.history.extracts if held.cut_off <= draft.cut_off), default=0),
        rules=draft.rules(params, table),
        statement=rows.digest(path),
        tables=tables,
        left_out=tuple(
            entries.LeftOut(
                what=f"{row['system']} {row['kind']}: {row['reason']}", records=row["records"], people=row["people"]
            )
            for row in draft.read_tallies(archive).left_out.to_pylist()
        ),
        files=_files(archive, draft),
    )
    archive.append(
        built,
        entries.Published(
            on=around.finished_on, by=around.operator, under=around.under, label=draft.label, at=published_at
        ),
    )
    with suppress(Conflict, OSError):  # the build is made: a proof works out what is not put away
        trees.keep(archive, draft.number, {name: held.blocks for name, held in hashed.items()})
    draft.clear(archive)
    return built


@dataclass(frozen=True, slots=True)
class _Hashed:
    """What there is to say of a table's leaves in byte order."""

    size: int
    blocks: bytes  # `merkle.blocks`
    sha256: str  # of all of them, laid end to end


def _hashed(archive: Archive, draft: Draft) -> Mapping[str, _Hashed]:
    found = {}
    for name in TABLES:
        leaves = archive.leaves(name, draft.number, draft)
        flat = hashlib.sha256(np.ascontiguousarray(leaves)).hexdigest()
        found[name] = _Hashed(len(leaves), archive.crew.blocks(leaves), flat)
    return found


def _files(archive: Archive, draft: Draft) -> tuple[entries.StoredFile, ...]:
    paths = [archive.changes(stage, draft.label) for stage in ("records", "links", "networks")]
    paths += [archive.segment(draft.label, name) for name in DERIVED_TABLES]
    return tuple(entries.StoredFile(path=archive.relative(path), sha256=rows.digest(path)) for path in paths)


def _feeds(archive: Archive, cut_off: str) -> tuple[entries.Feed, ...]:
    """The latest word of each system by the cut-off: its watermark and counts."""
    last: dict[str, entries.Feed] = {}
    for held in archive.history.extracts:
        for feed in held.systems:
            if held.cut_off <= cut_off or feed.system not in last:
                last[feed.system] = feed
    return tuple(last[system] for system in sorted(last))
