"""What every person and network came to, by place in the index, so that an answer about a few need not open a theme.

Whole numbers and network ids of the rows of all builds: never a name or a nominal's id. Worked out from sealed rows and
put away beside `figures`, a file per segment, sealed under a secret that every disposal draws anew; where a file is
missing, damaged or of another time, the rows are opened instead. A row never changes, so neither does what is said of
it here. Which rows stood in a build, and which of them may be shown, is asked of the index each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from provenance import durable, sets
from provenance.archive import Archive
from provenance.errors import Tampered
from provenance.sealing import opened_blob, sealed_blob

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "nominal": (
        "network", "links", "strength", "records", "offending", "victim", "witness", "other", "victim_only", "harm",
        "severity",
    ),
    "network": ("network", "members", "links", "strength", "harm", "severity", "alarm"),
}  # fmt: skip
_TEXT = "network"
_SHARE = 100_000  # rows opened at a time


class Lookup:
    """Columns of one table by place in its index; the network as a code of `words`, 0 for none."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.words: list[str] = [""]
        self.known = np.zeros(0, bool)
        self.tried: set[int] = set()  # segments whose file was looked for
        self.columns = {name: np.zeros(0, np.int32 if name == _TEXT else np.int64) for name in COLUMNS[table]}
        self._codes = {"": 0}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def code(self, network: str) -> int:
        """The code of a network's id, -1 where no row that is known has it."""
        return self._codes.get(network, -1)

    def places(self, network: str) -> np.ndarray:
        """Positions of the rows of all builds that are known and of that network, ascending."""
        return np.flatnonzero(self[_TEXT] == self.code(network))

    def grow(self, size: int) -> None:
        """Make room for rows that came since."""
        more = size - len(self.known)
        if more > 0:
            self.known = np.concatenate([self.known, np.zeros(more, bool)])
            for name, held in self.columns.items():
                self.columns[name] = np.concatenate([held, np.zeros(more, held.dtype)])

    def put(self, at: np.ndarray | slice, content: pa.Table) -> None:
        """Take in what the rows at `at` came to, in that order."""
        for name, held in self.columns.items():
            column = content[name].combine_chunks()
            held[at] = self._coded(column) if name == _TEXT else column.to_numpy()
        self.known[at] = True

    def _coded(self, column: pa.Array) -> np.ndarray:
        coded = column.dictionary_encode()
        words = coded.dictionary.to_pylist()
        for word in words:
            if word not in self._codes:
                self._codes[word] = len(self.words)
                self.words.append(word)
        codes = np.array([self._codes[word] for word in words], np.int32)
        return codes[coded.indices.to_numpy()] if len(column) else np.zeros(0, np.int32)


def of(archive: Archive, table: str, at: np.ndarray) -> Lookup:
    """What the rows at `at` of `nominal` or `network` came to; a row is opened for it at most once.

    Rows whose boxes are gone have zeros; nobody is shown them.
    """
    index = archive.index(table)
    held: Lookup = archive.lookups.setdefault(table, Lookup(table))
    held.grow(len(index))
    unread = at[~held.known[at]]
    for segment in sets.difference(index.segment[unread], list(held.tried)).tolist():
        held.tried.add(segment)
        span = index.of_segment(segment)
        if (content := _put_away(archive, table, segment, span.stop - span.start)) is not None:
            held.put(span, content)
    unread = unread[~held.known[unread] & (index.died[unread] == 0)]
    shares = (index.rows(unread[start : start + _SHARE]) for start in range(0, len(unread), _SHARE))
    start = 0
    for content in archive.sealer.read(table, shares, COLUMNS[table]):
        held.put(unread[start : start + content.num_rows], content)
        start += content.num_rows
    return held


def whole(archive: Archive, table: str) -> Lookup | None:
    """What the rows of all builds came to, if every row that may still be shown is known; see `prepare`."""
    held: Lookup | None = archive.lookups.get(table)
    index = archive.index(table)
    if held is None or len(held.known) != len(index):
        return None
    return held if held.known.all() or (held.known | (index.died > 0)).all() else None


def prepare(archive: Archive) -> None:
    """Have what every row came to in memory: for who asks often, as the dashboard does."""
    for table in COLUMNS:
        of(archive, table, np.arange(len(archive.index(table))))


def put(archive: Archive, table: str, build: int, content: pa.Table) -> None:
    """Put away what the rows came to that a build brought, in the order of its segment."""
    sink = pa.BufferOutputStream()
    content = content.select(COLUMNS[table]).combine_chunks()
    with pa.ipc.new_stream(sink, content.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(content)
    sealed = sealed_blob(archive.vault.derived_secret, _label(table, build), sink.getvalue().to_pybytes())
    durable.write(_path(archive, table, build), sealed, mode=0o600)


def mend(archive: Archive) -> None:
    """Put away what a disposal removed. Raises Conflict while somebody else writes: then it stays to be done."""
    with archive.writing():
        for table in COLUMNS:
            index = archive.index(table)
            for build in sets.distinct(index.segment[index.segment > 0]).tolist():
                if not _path(archive, table, build).exists():
                    span = index.of_segment(build)
                    held = of(archive, table, np.arange(span.start, span.stop))
                    put(archive, table, build, _content(held, span))


def differs(archive: Archive) -> str:
    """What is wrong with what is put away, "" when nothing is."""
    for path in sorted((archive.root / "index").glob("*.*.figures")):
        build, table = path.name.split(".")[:2]
        try:
            opened_blob(archive.vault.derived_secret, _label(table, int(build)), path.read_bytes())
        except (Tampered, ValueError):
            return f"index/{path.name} does not open: a byte of it was changed, or it is another's"
    return ""


def _put_away(archive: Archive, table: str, build: int, rows: int) -> pa.Table | None:
    path = _path(archive, table, build)
    if build < 1 or not path.exists():  # heirs are of no build
        return None
    try:
        content = opened_blob(archive.vault.derived_secret, _label(table, build), path.read_bytes())
    except Tampered:
        return None
    found = pa.ipc.open_stream(content).read_all()
    return found if found.num_rows == rows else None  # of a draft that came to nothing


def _content(held: Lookup, span: slice) -> pa.Table:
    words = pa.array(held.words, pa.string())
    columns = {name: pa.array(values[span]) for name, values in held.columns.items()}
    return pa.table(columns | {_TEXT: words.take(columns[_TEXT])})


def _path(archive: Archive, table: str, build: int) -> Path:
    return archive.root / "index" / f"{build:05d}.{table}.figures"


def _label(table: str, build: int) -> str:
    return f"figures of {table} {build}"
