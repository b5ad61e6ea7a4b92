"""What links and people came to, kept so that next week's build and a comparison need not open every row again.

Derived from sealed rows and nothing else: tokens, integers, network ids and roots, sealed under a secret that every
disposal draws anew, in `index/`. The links of each build are in a file of their own, in the order of its segment, so
that a week writes what is new in it; the people are those of the last build. Where a file is missing, older than the
last build or damaged, the rows are opened instead and nothing is lost but time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from provenance import durable, lookups, sets, vault
from provenance.archive import Archive
from provenance.errors import Tampered
from provenance.index import Index
from provenance.sealing import opened_blob, sealed_blob
from provenance.supported import SEVERAL
from provenance.tables import TABLES

_PEOPLE = [name for name in TABLES["nominal"].columns.names if name != "nominal"]
_LINKS = ("strength", "records")
_UNKNOWN = -1
_SHARE = 200_000  # rows opened at a time


def of_links(archive: Archive, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strength and distinct records of the links at `positions`; a row is opened for them at most once."""
    index, known = archive.index("link"), archive.figures
    if len(known) < len(index):
        known = np.concatenate([known, np.full((len(index) - len(known), 2), _UNKNOWN, np.int64)])
    unread = positions[known[positions, 0] == _UNKNOWN]
    for build in sets.distinct(index.segment[unread]).tolist():
        if (held := _links(archive, build)) is not None:
            mine = known[index.of_segment(build)]
            unknown = mine[:, 0] == _UNKNOWN  # the file may lack what was read from the rows since it was written
            mine[unknown] = held[unknown]
    unread = unread[known[unread, 0] == _UNKNOWN]
    shares = (index.rows(unread[start : start + _SHARE]) for start in range(0, len(unread), _SHARE))
    start = 0
    for content in archive.sealer.read("link", shares, _LINKS):
        part = unread[start : start + len(content)]
        known[part] = np.stack([content[name].to_numpy() for name in _LINKS], axis=1)
        start += len(content)
    archive.figures = known
    return known[positions, 0], known[positions, 1]


def sole_records(archive: Archive, index: Index, positions: np.ndarray, records: np.ndarray) -> np.ndarray:
    """For each link at `positions` the token of the one record that it rests on, SEVERAL where `records` are more."""
    token, owner = index.parents_beside(positions)
    # Beside a link's records stand the ids by which they knew merged nominals.
    one = (records[owner] == 1) & sets.among(token, archive.index("record").a)
    sole = np.full(len(positions), SEVERAL, np.int64)
    sole[owner[one]] = token[one]
    return sole


def put_links(archive: Archive, build: int, figures: np.ndarray) -> None:
    """Put away strength and records, (n, 2) int64, of the links in the segment of a build, in its order."""
    sealed = sealed_blob(archive.vault.derived_secret, _label(build), _written(_columns(figures)))
    durable.write(_path(archive, build), sealed, mode=0o600)


def keep(archive: Archive, build: int) -> None:
    """Put away the figures of a build that was just published, and those of links that a disposal had removed."""
    people = archive.index("nominal")
    persons = people.standing(build)
    table = archive.opened("nominal", persons).select(_PEOPLE).append_column("position", pa.array(persons))
    sealed = sealed_blob(archive.vault.derived_secret, f"figures {build}", _written(table))
    durable.write(archive.root / "index" / "people.figures", sealed, mode=0o600)
    new = np.flatnonzero(people.segment[persons] == build)  # positions ascend, and so do a segment's rows
    lookups.put(archive, "nominal", build, table.take(pa.array(new)))
    networks = archive.index("network")
    span = networks.of_segment(build)
    rows_ = networks.rows(np.arange(span.start, span.stop))
    lookups.put(archive, "network", build, archive.sealer.open("network", rows_))
    index = archive.index("link")
    for number in range(1, build + 1):
        if not _path(archive, number).exists():
            of_links(archive, np.zeros(0, np.int64))
            put_links(archive, number, archive.figures[index.of_segment(number)])


def recall(archive: Archive, build: int) -> None:
    """Take up the figures of people in build number `build` again, unless they are in memory or cannot be had."""
    path = archive.root / "index" / "people.figures"
    if archive.is_remembered("nominal") or not path.exists():
        return
    try:
        people = _read(opened_blob(archive.vault.derived_secret, f"figures {build}", path.read_bytes()))
    except Tampered:  # of another build, or damaged: what it says is in the rows too
        return
    at = people["position"].to_numpy()
    names = vault.nominal_ids(archive.vault.keys(archive.index("nominal").a[at]))
    columns = TABLES["nominal"].columns
    archive.remember("nominal", at, people.append_column("nominal", names).select(columns.names).cast(columns))


def files(archive: Archive) -> list[Path]:
    """All that is put away, here and in `lookups`."""
    return sorted((archive.root / "index").glob("*.figures"))


def differs(archive: Archive) -> str:
    """What is wrong with the figures put away, "" when nothing is: those of an earlier build are only late."""
    builds = len(archive.history.builds)
    for path in files(archive):
        if "." in path.stem:  # of `lookups`
            continue
        sealed = path.read_bytes()
        if path.stem == "people":
            labels = [f"figures {build}" for build in range(builds, 0, -1)]
        else:
            labels = [_label(int(path.stem))] if path.stem.isdigit() else []
        if not any(_opens(archive, label, sealed) for label in labels):
            return (
                f"index/{path.name} does not open: a byte of it was changed, or it is of a build that the log does "
                "not have"
            )
    return lookups.differs(archive)


def _links(archive: Archive, build: int) -> np.ndarray | None:
    path = _path(archive, build)
    if build < 1 or not path.exists():  # heirs are of no build
        return None
    try:
        table = _read(opened_blob(archive.vault.derived_secret, _label(build), path.read_bytes()))
    except Tampered:
        return None
    span = archive.index("link").of_segment(build)
    held = np.stack([table[name].to_numpy() for name in _LINKS], axis=1)
    return held if len(held) == span.stop - span.start else None  # of a draft that came to nothing


def _path(archive: Archive, build: int) -> Path:
    return archive.root / "index" / f"{build:05d}.figures"


def _label(build: int) -> str:
    return f"figures of links {build}"


def _columns(figures: np.ndarray) -> pa.Table:
    return pa.table({name: pa.array(figures[:, place]) for place, name in enumerate(_LINKS)})


def _written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def _read(content: bytes) -> pa.Table:
    return pa.ipc.open_stream(content).read_all()


def _opens(archive: Archive, label: str, sealed: bytes) -> bool:
    try:
        opened_blob(archive.vault.derived_secret, label, sealed)
    except Tampered:
        return False
    return True
