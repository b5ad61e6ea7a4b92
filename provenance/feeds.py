"""Where plain tables stand for other programs to read, and their removal once something in them may be shown no more.

A feed is a folder outside the archive with the live build's tables in the clear. The log has its place and who answers
for it. From the entry of a disposal or a restriction on, the tables of every feed written before are out of
date: `strike` removes them at once, and `feeding` writes them again. A folder that is not reached meanwhile is tried
again at each of these and by `provenance dispose resume`; the log alone says that it is behind.

Who writes in the folder: `feeding` and nobody else. A liar who edits a table is found by the keyed digest in the log,
and one who puts another folder in its place by the name of the archive in it: nothing is removed from a folder that is
not marked as ours.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from provenance import canonical, durable, entries
from provenance.archive import Archive
from provenance.errors import Conflict, Missing, Refused
from provenance.history import StandingFeed

MARK = "feed.json"  # says whose folder it is, and nothing else: it stays when the rest is removed
ABOUT, README = "about.json", "README.md"
TABLES = ("nominals", "links", "supports", "networks")
FORMS = ("parquet", "csv")
NAMES = (ABOUT, README, *(f"{table}.{form}" for table in TABLES for form in FORMS))


def place_of(archive: Archive, folder: Path) -> str:
    """A folder's place as the log has it: from the archive's folder on, so that both may be moved together.

    Raises Refused for a place in the archive's folder or its keys', whose copies would remember what is disposed of,
    and Conflict for a folder that holds anything but a feed of this archive.
    """
    real = folder.resolve()
    for kept, what in ((archive.root, "the archive's folder"), (archive.keys, "the folder of its keys")):
        if kept.resolve() in (real, *real.parents):
            raise Refused(f"feed would lie in {what}, whose copies are kept: wanted a place outside of it")
    if real.exists():
        if not real.is_dir():
            raise Conflict(f"{folder.name} is a file: wanted a folder for the feed")
        if any(real.iterdir()) and not is_ours(archive, real):
            raise Conflict(f"folder {folder.name} holds something else: wanted an empty one, or a feed of this archive")
    return Path(os.path.relpath(real, archive.root.resolve())).as_posix()


def folder_of(archive: Archive, place: str) -> Path:
    """Where a feed lies on this machine."""
    return Path(os.path.normpath(archive.root.resolve() / place))


def is_ours(archive: Archive, folder: Path) -> bool:
    """Whether a folder is there and marked as a feed of this archive. An empty mount point is not."""
    try:
        return (folder / MARK).read_bytes() == mark(archive)
    except OSError:
        return False


def mark(archive: Archive) -> bytes:
    """What `MARK` holds."""
    return (
        canonical.dumps({"archive": archive.name, "feed": "written by provenance; do not keep other files here"})
        + b"\n"
    )


def is_stale(archive: Archive, feed: StandingFeed) -> bool:
    """Whether the log has a restriction or a disposal since it was written; what a release frees is disposed of."""
    return feed.removals != archive.history.removals


def waiting(archive: Archive) -> list[str]:
    """Places of the feeds that are behind, or whose tables are not all there."""
    feeds = archive.history.feeds
    return [place for place in sorted(feeds) if is_stale(archive, feeds[place]) or _lacks(archive, feeds[place])]


def strike(archive: Archive) -> list[str]:
    """Remove what out-of-date feeds hold; returns the places of those that were not reached."""
    missed = []
    for place, feed in sorted(archive.history.feeds.items()):
        if is_stale(archive, feed) and not clear(archive, place):
            missed.append(place)
    return missed


def clear(archive: Archive, place: str) -> bool:
    """Remove the files of a feed but its mark, and what was left of writing them; whether that could be done."""
    folder = folder_of(archive, place)
    if not is_ours(archive, folder):
        return False
    try:
        for path in sorted(folder.iterdir()):
            if path.name in NAMES or (path.name.startswith(".") and path.name.endswith(".part")):
                path.unlink()
        durable.sync_folder(folder)
    except OSError:  # a share that went away, or became read-only
        return False
    return True


def recall(archive: Archive, folder: Path, *, on: str, by: str, under: str, gone: bool = False) -> bool:
    """End a feed: its files are removed, and it is logged that it is no more. Whether they were removed here.

    Raises Missing for a folder that is no feed; Conflict for one that is not reached, unless whoever keeps it answers
    for its being `gone`.
    """
    place = Path(os.path.relpath(folder.resolve(), archive.root.resolve())).as_posix()
    with archive.writing():
        if place not in archive.history.feeds:
            raise Missing(f"folder {folder.name} is no feed of this archive: `provenance feed` lists them")
        removed = clear(archive, place)
        if not removed and not gone:
            raise Conflict(
                f"feed {place} is not reached: wanted its folder, or --gone from whoever knows it is destroyed"
            )
        archive.append(entries.Recalled(on=on, by=by, under=under, folder=place, removed=int(removed)))
        if removed:
            durable.remove(folder_of(archive, place) / MARK)
    return removed


def digest(archive: Archive, files: Mapping[str, bytes]) -> str:
    """Keyed, because a feed is in the clear and its digest stays in the log."""
    made = hmac.new(archive.vault.archive_secret, b"feed\0", "sha256")
    for name in sorted(files):
        made.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return made.hexdigest()


def faults(archive: Archive) -> Iterator[str]:
    """What is wrong with each feed, "" for one that is as it was logged; one that waits to be written is no fault."""
    for place, feed in sorted(archive.history.feeds.items()):
        folder, label = folder_of(archive, place), feed.act.label
        there = is_ours(archive, folder)
        held = _held(folder) if there else {}
        if is_stale(archive, feed):
            since = feed.act.on
            if held:
                yield (
                    f"feed {place} still has rows of build {label} from before what was disposed of or restricted "
                    f"since {since}: `provenance dispose resume`"
                )
            elif not there:
                yield (
                    f"feed {place} was not reached since {since}, and may still have rows of build {label} that are "
                    "disposed of or restricted: `provenance dispose resume`"
                )
            else:
                yield ""
        elif there and not _lacks(archive, feed):
            same = digest(archive, held) == feed.act.shown
            yield "" if same else f"feed {place} has other bytes than those that were logged"


def _held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name in NAMES}


def _lacks(archive: Archive, feed: StandingFeed) -> bool:
    folder = folder_of(archive, feed.act.folder)
    wanted = (ABOUT, README, *(f"{table}.{feed.act.form}" for table in TABLES))
    return is_ours(archive, folder) and not all((folder / name).exists() for name in wanted)
