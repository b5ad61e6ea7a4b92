"""What every person and network came to, where records happened and in what roles they link, by place in the index: so
that an answer need not open a theme.

Whole numbers and words that name no one (network ids, area and offence codes, roles) of the rows of all builds: never a
name or a nominal's id. Worked out from sealed rows and put away beside `figures`, a file per segment, sealed under a
secret that every disposal draws anew; where a file is missing, damaged or of another time, the rows are opened instead.
A row never changes, so neither does what is said of it here. Which rows stood in a build, and which of them may be
shown, is asked of the index each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import durable, sets, vault
from provenance.archive import Archive
from provenance.errors import Tampered
from provenance.index import Index
from provenance.sealing import opened_blob, sealed_blob

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "nominal": (
        "network", "links", "strength", "records", "offending", "victim", "witness", "other", "victim_only", "harm",
        "severity",
    ),
    "network": ("network", "members", "links", "strength", "harm", "severity", "alarm"),
    "record": ("place", "offence_code"),
    "link": ("roles",),
}  # fmt: skip
_TEXTS = ("network", "place", "offence_code", "roles")
_BESIDE = "roles"  # of both people in each record behind a link, by place among its further parents
BETWEEN = "|"  # the roles of a and those of b: roles are words of the contract, joined with +
_SUPPORTS = ("supports.system", "supports.record_id", "supports.role_a", "supports.role_b")  # which they are read from
_SHARE = 100_000  # rows opened at a time


class Words:
    """Texts that many rows have, by their codes; 0 is "no text"."""

    def __init__(self) -> None:
        self._words, self._codes = [""], {"": 0}

    def __getitem__(self, code: int) -> str:
        return self._words[code]

    def all(self) -> Sequence[str]:
        """The texts in the order of their codes."""
        return self._words

    def code(self, word: str) -> int:
        """-1 for a text that is not known."""
        return self._codes.get(word, -1)

    def coded(self, column: pa.Array) -> np.ndarray:
        """The code of each, int32; a text that was not known is from now on."""
        coded = column.dictionary_encode()
        words = coded.dictionary.to_pylist()
        for word in words:
            if word not in self._codes:
                self._codes[word] = len(self._words)
                self._words.append(word)
        codes = np.array([self._codes[word] for word in words], np.int32)
        return codes[coded.indices.to_numpy()] if len(column) else np.zeros(0, np.int32)


class Lookup:
    """Columns of one table by place in its index, texts as codes; `roles` by place among the further parents of links,
    0 for a parent that is no record."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.known = np.zeros(0, bool)
        self.tried: set[int] = set()  # segments whose file was looked for
        names = COLUMNS[index.table]
        self.columns = {name: np.zeros(0, np.int32 if name in _TEXTS else np.int64) for name in names}
        self.words = {name: Words() for name in names if name in _TEXTS}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def code(self, network: str) -> int:
        """The code of a network's id, -1 where no row that is known has it."""
        return self.words["network"].code(network)

    def places(self, network: str) -> np.ndarray:
        """Positions of the rows of all builds that are known and of that network, ascending."""
        return np.flatnonzero(self["network"] == self.code(network))

    def grow(self) -> None:
        """Make room for rows that came since."""
        self.known = _longer(self.known, len(self.index))
        for name, held in self.columns.items():
            self.columns[name] = _longer(held, len(self.index.others) if name == _BESIDE else len(self.index))

    def put(self, at: np.ndarray, content: pa.Table) -> None:
        """Take in what the rows at `at` came to, in that order."""
        for name, held in self.columns.items():
            column = content[name].combine_chunks()
            if name == _BESIDE:
                held[self.index.places_beside(at)[0]] = self.words[name].coded(column.flatten())
            else:
                held[at] = self.words[name].coded(column) if name in _TEXTS else column.to_numpy()
        self.known[at] = True

    def content(self, at: np.ndarray) -> pa.Table:
        """What the rows at `at` came to, as `put` takes it."""
        found = {}
        for name, held in self.columns.items():
            where = self.index.places_beside(at)[0] if name == _BESIDE else at
            values = pa.array(held[where])
            if name in _TEXTS:
                values = pa.array(self.words[name].all(), pa.string()).take(values)
            found[name] = _folded(self.index, at, values) if name == _BESIDE else values
        return pa.table(found)

    def fits(self, at: np.ndarray, content: pa.Table) -> bool:
        """Whether content is of these rows, as far as can be seen without opening one."""
        if content.num_rows != len(at) or _BESIDE not in self.columns:
            return content.num_rows == len(at)
        counts = self.index.ends[at + 1] - self.index.ends[at]
        return np.array_equal(pc.list_value_length(content[_BESIDE]).to_numpy(), counts)


def _longer(held: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([held, np.zeros(size - len(held), held.dtype)]) if size > len(held) else held


def _folded(index: Index, at: np.ndarray, values: pa.Array) -> pa.Array:
    """`values` of the further parents of the rows at `at`, one after the other, as a list for each row."""
    ends = np.concatenate([[0], np.cumsum(index.ends[at + 1] - index.ends[at])])
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), values)


def of(archive: Archive, table: str, at: np.ndarray) -> Lookup:
    """What the rows at `at` came to; a row is opened for it at most once.

    Rows whose boxes are gone have zeros; nobody is shown them.
    """
    index = archive.index(table)
    held: Lookup = archive.lookups.setdefault(table, Lookup(index))
    held.grow()
    unread = at[~held.known[at]]
    for segment in sets.difference(index.segment[unread], list(held.tried)).tolist():
        held.tried.add(segment)
        span = _span(index, segment)
        content = _put_away(archive, table, segment)
        if content is not None and held.fits(span, content):  # else it is of a draft that came to nothing
            held.put(span, content)
    unread = unread[~held.known[unread] & (index.died[unread] == 0)]
    shares = (index.rows(unread[start : start + _SHARE]) for start in range(0, len(unread), _SHARE))
    start = 0
    for content in archive.sealer.read(table, shares, _SUPPORTS if table == "link" else COLUMNS[table]):
        part = unread[start : start + content.num_rows]
        held.put(part, _roles(archive, index, part, content) if table == "link" else content)
        start += content.num_rows
    return held


def _roles(archive: Archive, index: Index, at: np.ndarray, links: pa.Table) -> pa.Table:
    """The roles in each record behind the links at `at`, one for each further parent, "" where that is no record."""
    lists = links["supports"].combine_chunks()
    each, owner = lists.flatten(), pc.list_parent_indices(lists).to_numpy()
    token = archive.vault.tokens(vault.record_keys(each.field("system"), each.field("record_id")))
    said = roles_of(links)
    place, beside = index.places_beside(at)
    # Each support comes directly before the parent that is its record, once both are in order of link and token.
    count = len(each)
    whose, what = np.concatenate([owner, beside]), np.concatenate([token, index.others[place]])
    order = np.lexsort((np.arange(len(what)) >= count, what, whose))
    mine = np.flatnonzero(order < count)
    parent = order[np.minimum(mine + 1, len(order) - 1)]
    support = order[mine]
    if not ((parent >= count) & (whose[parent] == whose[support]) & (what[parent] == what[support])).all():
        raise Tampered("a link names a record that it is not sealed under")
    which = np.full(len(place), -1, np.int64)
    which[parent - count] = support
    words = pc.fill_null(said.take(pa.array(which, mask=which < 0)), "")
    return pa.table({_BESIDE: _folded(index, at, words)})


def roles_of(links: pa.Table) -> pa.Array:
    """The roles in each support of links that are open, one after the other, as `roles` has them."""
    each = links["supports"].combine_chunks().flatten()
    return pc.binary_join_element_wise(each.field("role_a"), each.field("role_b"), BETWEEN)


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
                    span = _span(index, build)
                    put(archive, table, build, of(archive, table, span).content(span))


def differs(archive: Archive) -> str:
    """What is wrong with what is put away, "" when nothing is."""
    for path in sorted((archive.root / "index").glob("*.*.figures")):
        build, table = path.name.split(".")[:2]
        try:
            opened_blob(archive.vault.derived_secret, _label(table, int(build)), path.read_bytes())
        except (Tampered, ValueError):
            return f"index/{path.name} does not open: a byte of it was changed, or it is another's"
    return ""


def _put_away(archive: Archive, table: str, build: int) -> pa.Table | None:
    path = _path(archive, table, build)
    if build < 1 or not path.exists():  # heirs are of no build
        return None
    try:
        content = opened_blob(archive.vault.derived_secret, _label(table, build), path.read_bytes())
    except Tampered:
        return None
    return pa.ipc.open_stream(content).read_all()


def _span(index: Index, segment: int) -> np.ndarray:
    span = index.of_segment(segment)
    return np.arange(span.start, span.stop)


def _path(archive: Archive, table: str, build: int) -> Path:
    return archive.root / "index" / f"{build:05d}.{table}.figures"


def _label(table: str, build: int) -> str:
    return f"figures of {table} {build}"
