"""The weekly notice: the log's head in one line, published once per build and kept in a series.

    audit_reports/heads.txt     the published lines, see `notices`

A line that has been published is never changed or taken back; asked again for the same build, the answer is the line
that stands there, however much was logged since, so that there is one head per build in the world. Before a further
line is published the log is compared with all that were: a log that went back publishes nothing.

Who writes here: `publish`, as the only writer of the archive. If the file is lost, the notices themselves say what was
in it, and those are kept by others; the heads are in log/heads too. A liar who could edit it could make us believe
nothing: the log says what each line must be. It is others' copies that bind the force, never this one.

`compare` is what somebody outside does with a copy of the log: it needs no archive and no key but the log's public one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance import durable, entries, notices
from provenance.archive import Archive
from provenance.errors import Missing, ProvenanceError, Tampered
from provenance.heads import Heads
from provenance.log import Log
from provenance.notes import encode_base64
from provenance.notices import Finding, Notice
from provenance.policies import Opened, Policy

SERIES = "audit_reports/heads.txt"
_BUILT = b'"act":"Built"'  # in the canonical form; quotes within a text are escaped, so nothing else looks like it


@dataclass(frozen=True, slots=True)
class Published:
    """The line for the latest build."""

    notice: Notice
    is_new: bool  # or it had been published before
    since: int  # entries that the log has beyond it


def publish(archive: Archive) -> Published:
    """Publish the head for the latest build, unless that was done; it is in log/heads before it is in the series.

    Raises Missing when there is no build yet, Tampered when the log is not the one whose heads were published.
    """
    with archive.writing():
        log = archive.log
        label = latest_at(labels(log), log.size)
        if not label:
            raise Missing("no build to publish a head for: the log has none yet; `provenance build` makes one")
        before = series(archive)
        wrong = [*notices.findings(before), *compare(log, before)]
        if fatal := [finding.words for finding in wrong if finding.kind not in ("gap", "reordered", "repeated")]:
            raise Tampered(f"published heads do not fit the log, so no further one is published: {'; '.join(fatal)}")
        for notice in before:
            if notice.label == label:
                return Published(notice, False, log.size - notice.size)
        notice = Notice(label, log.vkey.name, log.size, log.root)
        Heads(log.folder / "heads").keep(log.checkpoint, archive.signers())
        path = archive.root / SERIES
        held = path.read_bytes() if path.exists() else b""
        if held and not held.endswith(b"\n"):  # a last line that somebody edited by hand
            held += b"\n"
        durable.write(path, held + f"{notice}\n".encode())
        return Published(notice, True, 0)


def series(archive: Archive) -> tuple[Notice, ...]:
    """What the archive has published, in that order. Raises Malformed naming the line."""
    path: Path = archive.root / SERIES
    return notices.parse_series(path.read_bytes()) if path.exists() else ()


def open_log(folder: Path, policy: Policy) -> tuple[Log, Opened]:
    """A copy of a log's folder under a policy. Raises Missing, Malformed, or Tampered naming the file."""
    try:
        note = (folder / "checkpoint").read_bytes()
    except FileNotFoundError:
        raise Missing(f"log file is not there: {folder.name}/checkpoint") from None
    opened = policy.open(note)
    return Log.open(folder, vkey=opened.log), opened


def witnessed(log: Log, policy: Policy) -> Opened | None:
    """The largest head of the log, of those that were shown outside or of now, that has the policy's quorum.

    Raises Malformed or Tampered when a head that was shown does not verify, or is not this log's.
    """
    kept = Heads(log.folder / "heads")
    for note in [log.checkpoint, *(kept.read(size) for size in reversed(kept.sizes()))]:
        opened = policy.open(note)
        head = opened.checkpoint
        if opened.quorum_met and head.size <= log.size:
            if log.root_at(head.size) != head.root:
                raise Tampered(f"head of {head.size} entries was cosigned, and the log has another root there")
            return opened
    return None


def compare(log: Log, series: Sequence[Notice]) -> list[Finding]:
    """Each published head against a log that is at hand, whose signed head was verified when it was opened.

    Every entry up to the last of these heads is read, and hashed up to the root. A fault of the log itself is a
    finding too, so that the rest of what it shows is said as well.
    """
    found = []
    for notice in series:
        try:
            fault = _disagreement(log, notice)
        except ProvenanceError as error:
            fault = Finding("log", notice.label, f"{notice.label} cannot be compared: {error}")
        if fault:
            found.append(fault)
    within = [notice for notice in series if notice.origin == log.vkey.name and notice.size <= log.size]
    try:
        built = labels(log, max((notice.size for notice in within), default=0))
    except ProvenanceError as error:
        return [*found, Finding("log", "", f"the log's entries do not verify: {error}")]
    for notice in within:
        latest = latest_at(built, notice.size)
        if latest != notice.label:
            what = f"the latest build is {latest}" if latest else "there is no build"
            found.append(Finding("label", notice.label, f"{notice.label}: in the first {notice.size:,} entries {what}"))
    return found


def labels(log: Log, stop: int | None = None) -> list[tuple[int, str]]:
    """Place and label of each build among the log's first `stop` entries. Raises as `Log.entries`."""
    return [
        (place, act.label)
        for place, entry in enumerate(log.entries(0, stop))
        if _BUILT in entry and isinstance(act := entries.from_bytes(entry), entries.Built)
    ]


def latest_at(built: Sequence[tuple[int, str]], size: int) -> str:
    """The latest build among the first `size` entries, "" when there is none."""
    before = bisect_left(built, (size, ""))
    return built[before - 1][1] if before else ""


def faults(archive: Archive) -> Iterator[str]:
    """What is wrong with the published heads, for `verify`: "" for each that the log bears out, or a sentence.

    Weeks without a head, and lines out of order, are for readers of the series to judge, and no fault of the archive.
    """
    published = series(archive)
    wrong = [*notices.findings(published), *compare(archive.log, published)]
    words: dict[str, list[str]] = {}
    for finding in wrong:
        if finding.kind not in ("gap", "reordered"):
            words.setdefault(finding.label, []).append(f"published head: {finding.words}")
    for label in dict.fromkeys([*(notice.label for notice in published), *words]):
        yield from words.get(label, [""])


def _disagreement(log: Log, notice: Notice) -> Finding | None:
    if notice.origin != log.vkey.name:
        return Finding("origin", notice.label, f"{notice.label} is a head of log {notice.origin}, and this is another")
    if notice.size > log.size:
        return Finding(
            "rollback", notice.label, f"the log has {log.size:,} entries, fewer than the {notice.size:,} of "
            f"{notice.label}: it was rolled back, or this copy is older",
        )  # fmt: skip
    root = log.root_at(notice.size)
    if root != notice.root:
        return Finding(
            "fork", notice.label, f"the log's first {notice.size:,} entries have root {encode_base64(root)}, "
            f"published for {notice.label} as {encode_base64(notice.root)}: it is not the log that was published",
        )  # fmt: skip
    return None
