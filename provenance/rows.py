"""Sealed rows on disk: Parquet segments written once, and the spans of builds in which each row stood.

A segment holds rows of one table: the tokens of what a row speaks of (`a`, `b`), of its other parents (`others`), its
theme, its leaf and its box; nothing that names anyone. A row is never written twice. Which rows a build has is said by
change files: references (segment, row) to what it opened and what it closed. What a disposal did is said by a fate
file: references to the rows that died, with the row that took their place, and to those that were computed with what
is gone. A dead row is blanked: it keeps its place and its leaf, so that every root stands, and nothing else.

Who writes: the receive, link and networks stages and disposals, each in its own folder, before the log names the files
with their SHA-256. If a segment is lost, its rows are lost (DVC holds a copy) and the roots still commit to them. A
liar who edits one is found: the file's digest is in the log, each leaf is under a root in the log, and a box opens to
its own leaf or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance import canonical, durable, records, vault
from provenance.crew import Crew, gathered
from provenance.errors import Missing, Tampered
from provenance.sealing import LEAF, Unopened
from provenance.tables import TABLES, Table
from provenance.vault import Vault

SEGMENT = pa.schema(
    [
        ("a", pa.int64()),
        ("b", pa.int64()),
        ("others", pa.list_(pa.int64())),
        ("theme", pa.int8()),  # 0 none, else the place in records.THEMES counted from 1
        ("leaf", LEAF),
        ("box", pa.large_binary()),
    ]
)
CHANGES = pa.schema([("table", pa.string()), ("segment", pa.int32()), ("row", pa.int32()), ("opened", pa.bool_())])
FATES = pa.schema(
    [
        ("table", pa.string()),
        ("segment", pa.int32()),
        ("row", pa.int32()),
        ("fate", pa.int8()),
        ("heir", pa.int32()),  # the row in the disposal's own segment that takes a dead one's place; -1 without
    ]
)
DIED, MARKED = 1, 2  # fates: of no more use to anyone; computed with what has since been erased (R35)
_INDEXED = pa.schema([field for field in SEGMENT if field.name != "box"])
_GROUP = 4096  # rows of a row group: what one look-up has to read


@dataclass(frozen=True, slots=True)
class Sealed:
    """Rows of one table, sealed, in file order (by a, b, leaf)."""

    table: str
    rows: pa.Table  # SEGMENT


class Sealer:
    """Seals and opens whole tables for one vault."""

    def __init__(self, vault: Vault, crew: Crew) -> None:
        self.vault, self.crew = vault, crew

    def subjects(self, table: str, content: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of the things each row speaks of, first and second; new things are admitted to the vault."""
        spec = TABLES[table]
        return self._subject(spec.a, content), self._subject(spec.b, content)

    def seal(
        self, table: str, content: pa.Table, others: tuple[np.ndarray, np.ndarray] | None = None, *, filed: bool = True
    ) -> Sealed:
        """Seal `content`; `others` are further parents: (all tokens in row order, how many each row has).

        With `filed=False` the rows stay in the order of `content`.
        """
        content = _shaped(TABLES[table], content)
        a, b = self.subjects(table, content)
        owners, counts = _parents(a, b, others)
        leaves, boxes = self.crew.seal(table, self._secrets(owners, counts), canonical.rows(content))
        flat, lengths = others or (np.zeros(0, np.int64), np.zeros(len(a), np.int64))
        sealed = pa.table(
            [
                pa.array(a),
                pa.array(b),
                pa.ListArray.from_arrays(
                    pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), pa.array(flat)
                ),
                theme_codes(content),
                leaves,
                boxes,
            ],
            schema=SEGMENT,
        )
        return Sealed(table, filed_in_order(sealed) if filed else sealed)

    def leaves(self, table: str, content: pa.Table) -> pa.Array:
        """What each row of a table without further parents would be filed under, in the order of `content`."""
        content = _shaped(TABLES[table], content)
        a, b = self.subjects(table, content)
        owners, counts = _parents(a, b, None)
        return self.crew.leaves(table, self._secrets(owners, counts), canonical.rows(content))

    def open(self, table: str, rows: pa.Table) -> pa.Table:
        """The content of sealed rows, in their order. Raises Tampered naming the leaf, Missing for a lost secret."""
        if not rows.num_rows:
            return TABLES[table].columns.empty_table()
        rows = rows.combine_chunks()
        texts = self._opened(table, rows, self.crew.open)
        return canonical.table(texts, TABLES[table].columns)

    def entries(self, table: str, rows: pa.Table) -> pa.Array:
        """Salt and row of each, for a proof."""
        return self._opened(table, rows.combine_chunks(), self.crew.entries)

    def _opened(self, table: str, rows: pa.Table, opener: Callable[..., pa.Array]) -> pa.Array:
        owners, counts = parents_of(rows)
        secrets = self._secrets(owners, counts)
        try:
            return opener(table, secrets, _only(rows["leaf"]), _only(rows["box"]))
        except Unopened as error:
            leaf = rows["leaf"][error.position].as_py().hex()
            raise Tampered(f"row {leaf} of table {table} does not open to its leaf") from None

    def _subject(self, source: str, content: pa.Table) -> np.ndarray:
        if source == "record":
            return self.vault.admit(vault.record_keys(content["system"], content["record_id"]))
        if source == "order":
            nominal = pc.equal(content["what"], "nominal")
            keys = pc.if_else(
                nominal, vault.nominal_keys(content["id"]), vault.record_keys(content["system"], content["id"])
            )
            return self.vault.admit(_only(keys))
        if not source:
            return np.zeros(content.num_rows, np.int64)
        ids = content[source.removeprefix("nominal:")]
        if source == "nominal:into_nominal":  # a split names no second person
            split = pc.equal(ids, records.SPLIT)
            tokens = np.zeros(content.num_rows, np.int64)
            tokens[~split.to_numpy()] = self.vault.admit(_only(vault.nominal_keys(ids.filter(pc.invert(split)))))
            return tokens
        return self.vault.admit(_only(vault.nominal_keys(ids)))

    def _secrets(self, owners: np.ndarray, counts: np.ndarray) -> pa.Array:
        tokens, secrets = self.vault.secrets()
        at = np.searchsorted(tokens, owners)
        at[at == len(tokens)] = 0
        gone = tokens[at] != owners
        if gone.any():
            raise Missing(
                f"the vault no longer holds {len(np.unique(owners[gone]))} of the secrets that these rows need"
            )
        return gathered(secrets, at, counts)


def filed_in_order(sealed: pa.Table) -> pa.Table:
    """Sealed rows in the order of a segment: by a, b and leaf."""
    return sealed.take(pa.array(file_order(sealed)))


def file_order(sealed: pa.Table) -> np.ndarray:
    """The order in which rows are filed in a segment."""
    return pc.sort_indices(sealed, [(name, "ascending") for name in ("a", "b", "leaf")]).to_numpy()


def theme_codes(content: pa.Table) -> pa.Array:
    """The theme column as a number, 0 where the table has none."""
    if "theme" not in content.column_names:
        return pa.array(np.zeros(content.num_rows, np.int8))
    return pc.add(pc.index_in(_only(content["theme"]), pa.array(records.THEMES)), 1).cast(pa.int8())


def parents_of(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """All parents of sealed rows, in token order within each row, and how many each has."""
    others = _only(rows["others"])
    return _parents(
        rows["a"].to_numpy(),
        rows["b"].to_numpy(),
        (others.flatten().to_numpy(), pc.list_value_length(others).to_numpy()),
    )


def _parents(
    a: np.ndarray, b: np.ndarray, others: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    count = len(a)
    rows, tokens = [np.arange(count), np.arange(count)], [a, b]
    if others is not None:
        rows.append(np.repeat(np.arange(count), others[1]))
        tokens.append(others[0])
    row, token = np.concatenate(rows), np.concatenate(tokens)
    row, token = row[token != 0], token[token != 0]
    order = np.lexsort((token, row))
    row, token = row[order], token[order]
    first = np.ones(len(row), bool)
    first[1:] = (row[1:] != row[:-1]) | (token[1:] != token[:-1])
    row, token = row[first], token[first]
    counts = np.bincount(row, minlength=count)
    if (counts == 0).any():  # no personal parent: the archive's own secret
        bare = np.flatnonzero(counts == 0)
        row, token = np.concatenate([row, bare]), np.concatenate([token, np.full(len(bare), vault.ARCHIVE_TOKEN)])
        order = np.argsort(row, kind="stable")
        token = token[order]
        counts[bare] = 1
    return token, counts


def _shaped(spec: Table, content: pa.Table) -> pa.Table:
    return content.select(spec.columns.names).cast(spec.columns).combine_chunks()


def _only(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def write_segment(path: Path, sealed: Sealed) -> str:
    """Write a segment durably; returns the SHA-256 of the file."""
    return _write_parquet(path, sealed.rows)


def write_changes(path: Path, changes: pa.Table) -> str:
    """Write which rows a build opened and closed; returns the SHA-256 of the file."""
    order = pc.sort_indices(changes, [(name, "ascending") for name in CHANGES.names])
    return _write_parquet(path, changes.take(order).cast(CHANGES), compression="zstd")


def read_changes(path: Path) -> pa.Table:
    """What `write_changes` wrote."""
    return _read_parquet(path, CHANGES)


def write_fates(path: Path, fates: pa.Table) -> str:
    """Write what a disposal did to which rows; returns the SHA-256 of the file."""
    order = pc.sort_indices(fates, [(name, "ascending") for name in FATES.names])
    return _write_parquet(path, fates.take(order).cast(FATES), compression="zstd")


def read_fates(path: Path) -> pa.Table:
    """What `write_fates` wrote."""
    return _read_parquet(path, FATES)


def by_table(references: pa.Table) -> Mapping[str, pa.Table]:
    """CHANGES or FATES, parted; a table that they do not touch is not in it."""
    tables = pc.unique(references["table"]).to_pylist()
    return {name: references.filter(pc.equal(references["table"], name)).combine_chunks() for name in tables}


def write_table(path: Path, table: pa.Table) -> str:
    """Write a small table of tokens and counts durably; returns the SHA-256 of the file."""
    return _write_parquet(path, table, compression="zstd")


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """What `write_table` wrote."""
    return _read_parquet(path, schema)


def blank(source: Path, target: Path, dead: np.ndarray) -> str:
    """Write a segment again with the rows numbered `dead` blanked, a row group at a time; returns its SHA-256.

    All other rows, and every leaf, are written as they are: the same file with the same dead gives the same bytes.
    """
    with _reading(source):
        file = pq.ParquetFile(source, page_checksum_verification=True)
    dead = np.sort(dead)
    with file, durable.replacing(target) as staged:
        with pq.ParquetWriter(staged, SEGMENT, **_form("none")) as writer:
            for group in range(file.num_row_groups):
                with _reading(source):  # and no more: a disk that is full is no fault of the file that is read
                    table = _as_wanted(file.read_row_group(group), SEGMENT).combine_chunks()
                first, last = np.searchsorted(dead, [group * _GROUP, (group + 1) * _GROUP])
                writer.write_table(_blanked(table, dead[first:last] - group * _GROUP), row_group_size=_GROUP)
        return digest(staged)


def _blanked(table: pa.Table, dead: np.ndarray) -> pa.Table:
    if not len(dead):
        return table
    mask = np.zeros(table.num_rows, bool)
    mask[dead] = True
    gone = pa.array(mask)
    blanks = {"others": pa.array([[]], pa.list_(pa.int64())), "box": pa.array([b""], pa.large_binary())}
    columns = []
    for name in SEGMENT.names:
        column = _only(table[name])
        if name in blanks:
            # The row after the last stands for a blank: a list column knows no `if_else`.
            at = np.where(mask, table.num_rows, np.arange(table.num_rows))
            column = pa.concat_arrays([column, blanks[name].cast(column.type)]).take(pa.array(at))
        elif name != "leaf":
            column = pc.if_else(gone, pa.scalar(0, column.type), column)
        columns.append(column)
    return pa.table(columns, schema=SEGMENT)


def is_blank(rows: pa.Table) -> np.ndarray:
    """True for the rows that a disposal has blanked."""
    return pc.equal(pc.binary_length(_only(rows["box"])), 0).to_numpy(zero_copy_only=False)


def _write_parquet(path: Path, table: pa.Table, compression: str = "none") -> str:
    with durable.replacing(path) as staged:
        pq.write_table(
            table, staged, row_group_size=_GROUP if compression == "none" else 1_000_000, **_form(compression)
        )
        return digest(staged)


def _form(compression: str) -> dict[str, Any]:
    return {
        "compression": compression,  # boxes and tokens are random: compressing them only costs time
        "use_dictionary": False,
        "write_page_checksum": True,
        "write_statistics": ["a", "b"] if compression == "none" else False,
        "store_schema": True,
    }


def _read_parquet(path: Path, wanted: pa.Schema) -> pa.Table:
    with _reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read(columns=wanted.names)
        if table.num_rows != file.metadata.num_rows:
            raise ValueError
        return _as_wanted(table, wanted)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What a reader says of a file that is gone or damaged, in our words; what is read is whole when the block ends."""
    try:
        yield
    except FileNotFoundError:
        raise Missing(f"file {_tail(path)} is not there: fetch it with `dvc pull` or restore it") from None
    except (OSError, ValueError, KeyError, pa.ArrowException):
        raise Tampered(f"file {_tail(path)} cannot be read: its bytes are not those that were written") from None


def _as_wanted(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    if not table.schema.equals(wanted):  # page checksums cover the cells, not the names and types in the footer
        raise ValueError
    return table


def _tail(path: Path) -> str:
    parts = path.parts
    return "/".join(parts[parts.index("store") :]) if "store" in parts else path.name


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class Index:
    """Every row of one table over all builds: whom it speaks of, where it lies, and from which build until which.

    `since` and `until` count builds from 1; until 0 means it still stands. A row that comes back (a person who is in a
    taken record again) has those of its last stay, and earlier stays are kept beside. For the sources' tables the
    segment is the number of the extract that brought the row, and `replaced` the extract that took its place (0: none).
    `died` is the disposal after which nobody is shown the row (0: none), `heir` the position of the row that took its
    place (-1: none), `marked` the last disposal of something that the row was computed with. The segment of an heir is
    the number of the disposal, below zero. Arrays are parallel, in order of arrival.
    """

    def __init__(self, table: str) -> None:
        self.table = table
        self.paths: dict[int, Path] = {}
        self.a = self.b = np.zeros(0, np.int64)
        self.theme = np.zeros(0, np.int8)
        self.segment = self.row = self.since = self.until = self.replaced = np.zeros(0, np.int32)
        self.died = self.marked = np.zeros(0, np.int32)
        self.heir = np.zeros(0, np.int64)
        self.leaf = np.zeros((0, 32), np.uint8)
        self.others = np.zeros(
            0, np.int64
        )  # all further parents in row order; row i has those from ends[i] to ends[i + 1]
        self.ends = np.zeros(1, np.int64)
        self._spans = np.zeros((0, 3), np.int64)  # position, since and until of stays before the last
        self._starts: dict[int, int] = {}
        self._room: dict[str, np.ndarray] = {}  # the arrays, and space behind them

    def __len__(self) -> int:
        return len(self.a)

    def add(self, segment: int, path: Path, *, since: int) -> np.ndarray:
        """File the rows of a segment as standing from build `since` on (0: in no build); returns their positions."""
        rows = _read_parquet(path, _INDEXED).combine_chunks()
        start, count = len(self), rows.num_rows
        self.paths[segment], self._starts[segment] = path, start
        others = _only(rows["others"])
        fresh = {
            "a": rows["a"].to_numpy(),
            "b": rows["b"].to_numpy(),
            "theme": rows["theme"].to_numpy(),
            "segment": np.full(count, segment, np.int32),
            "row": np.arange(count, dtype=np.int32),
            "since": np.full(count, since, np.int32),
            **{name: np.zeros(count, np.int32) for name in ("until", "replaced", "died", "marked")},
            "heir": np.full(count, -1, np.int64),
            "leaf": leaf_matrix(rows["leaf"]),
            "others": others.flatten().to_numpy(),
            "ends": self.ends[-1] + np.cumsum(pc.list_value_length(others).to_numpy()),
        }
        for name, values in fresh.items():
            self._extend(name, values)
        return np.arange(start, start + count)

    def _extend(self, name: str, values: np.ndarray) -> None:
        """Lengthen an array, with room for more: hundreds of segments are not to be copied hundreds of times."""
        held = getattr(self, name)
        count, wanted = len(held), len(held) + len(values)
        room = self._room.get(name)
        if room is None or len(room) < wanted:
            room = np.empty((max(wanted, count * 5 // 4), *held.shape[1:]), held.dtype)
            room[:count] = held
            self._room[name] = room
        room[count:wanted] = values
        setattr(self, name, room[:wanted])

    def resting_on(self, tokens: np.ndarray) -> np.ndarray:
        """Positions of the rows that have one of `tokens` among their further parents."""
        return np.unique(np.searchsorted(self.ends, np.flatnonzero(among(self.others, tokens)), side="right") - 1)

    def positions(self, segment: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Where references (segment, row) lie in the arrays. Raises Tampered when there is no such row."""
        if not len(segment):
            return np.zeros(0, np.int64)
        starts = np.full(int(segment.max()) - int(segment.min()) + 1, len(self), np.int64)
        for number, start in self._starts.items():
            if 0 <= number - int(segment.min()) < len(starts):
                starts[number - int(segment.min())] = start
        at = starts[segment - int(segment.min())] + row
        if (at >= len(self)).any() or (self.segment[at] != segment).any() or (self.row[at] != row).any():
            raise Tampered(f"changes of table {self.table} name a row that no segment has")
        return at

    def apply(self, changes: pa.Table, build: int) -> None:
        """Let a build's changes take effect."""
        mine = changes.filter(pc.equal(changes["table"], self.table))
        at = self.positions(mine["segment"].to_numpy(), mine["row"].to_numpy())
        opened = mine["opened"].to_numpy()
        again = at[opened & (self.since[at] > 0)]
        self._spans = np.concatenate([self._spans, np.stack([again, self.since[again], self.until[again]], axis=1)])
        self.since[at[opened]], self.until[at[opened]] = build, 0
        self.until[at[~opened]] = build

    def replace(self, changes: pa.Table, extract: int) -> None:
        """Let an extract's replacements and withdrawals take effect."""
        mine = changes.filter(pc.equal(changes["table"], self.table))
        self.replaced[self.positions(mine["segment"].to_numpy(), mine["row"].to_numpy())] = extract

    def suffer(self, fates: pa.Table, disposal: int) -> None:
        """Let a disposal's fates take effect, whose heirs were added as segment `-disposal`."""
        mine = fates.filter(pc.equal(fates["table"], self.table))
        at = self.positions(mine["segment"].to_numpy(), mine["row"].to_numpy())
        dead = mine["fate"].to_numpy() == DIED
        self.died[at[dead]] = disposal
        heirs = mine["heir"].to_numpy()[dead]
        self.heir[at[dead]] = np.where(heirs < 0, -1, self._starts.get(-disposal, 0) + heirs)
        self.marked[at[~dead]] = disposal

    def living(self, positions: np.ndarray) -> np.ndarray:
        """`positions` with each dead row's heir in its place, or without it where it has none; in no order."""
        while len(dead := np.flatnonzero(self.died[positions] > 0)):
            heirs = self.heir[positions[dead]]
            positions = np.concatenate([np.delete(positions, dead), heirs[heirs >= 0]])
        return positions

    def stays(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From the first build that had each row to the last one's end (0: it stands), gaps between included."""
        since = self.since.astype(np.int64)
        if len(self._spans):
            np.minimum.at(since, self._spans[:, 0], self._spans[:, 1])
        return since[positions], self.until[positions].astype(np.int64)

    def reached(self, tokens: np.ndarray) -> np.ndarray:
        """Positions of the living rows that have one of `tokens` among their parents."""
        found = among(self.a, tokens) | among(self.b, tokens)
        found[self.resting_on(tokens)] = True
        return np.flatnonzero(found & (self.died == 0))

    def standing(self, build: int) -> np.ndarray:
        """Positions of the rows that a build has, the dead among them: what its root is over."""
        now = np.flatnonzero((self.since > 0) & (self.since <= build) & ((self.until == 0) | (self.until > build)))
        before = self._spans[(self._spans[:, 1] <= build) & (self._spans[:, 2] > build), 0]
        return np.union1d(now, before) if len(before) else now

    def rows(self, positions: np.ndarray) -> pa.Table:
        """The sealed rows (SEGMENT) at `positions`, in that order."""
        if not len(positions):
            return SEGMENT.empty_table()
        return pa.concat_tables(list(self._fetched(positions))).take(
            pa.array(np.argsort(np.argsort(self.segment[positions], kind="stable"), kind="stable"))
        )

    def _fetched(self, positions: np.ndarray) -> Iterator[pa.Table]:
        order = np.argsort(self.segment[positions], kind="stable")
        segments, starts = np.unique(self.segment[positions][order], return_index=True)
        for segment, chosen in zip(segments, np.split(order, starts[1:]), strict=True):
            yield _fetch(self.paths[int(segment)], self.row[positions[chosen]])

    def references(self, positions: np.ndarray, *, opened: bool) -> pa.Table:
        """CHANGES that name these rows."""
        count = len(positions)
        return pa.table(
            [
                pa.array([self.table] * count, pa.string()),
                pa.array(self.segment[positions], pa.int32()),
                pa.array(self.row[positions], pa.int32()),
                pa.array(np.full(count, opened)),
            ],
            schema=CHANGES,
        )


def _fetch(path: Path, wanted: np.ndarray) -> pa.Table:
    """Rows of one segment by number, in the order wanted, reading only the row groups that hold them."""
    with _reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        groups = np.unique(wanted // _GROUP)
        table = file.read_row_groups(groups.tolist()) if len(groups) < file.num_row_groups else file.read()
        groups = groups if len(groups) < file.num_row_groups else np.arange(file.num_row_groups)
        place = np.searchsorted(groups, wanted // _GROUP) * _GROUP + wanted % _GROUP
        return _as_wanted(table, SEGMENT).take(pa.array(place))


def leaf_matrix(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Leaves as (n, 32) uint8."""
    array = _only(column)
    raw = np.frombuffer(array.buffers()[1], np.uint8) if len(array) else np.zeros(0, np.uint8)
    return raw[array.offset * 32 : (array.offset + len(array)) * 32].reshape(-1, 32)


def among(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """True where a value is one of `wanted`: `np.isin` for random numbers, many times faster where few are wanted."""
    if not len(wanted):
        return np.zeros(len(values), bool)
    wanted = np.sort(wanted)
    if len(wanted) * 64 > len(values):
        return _is_one_of(values, wanted)
    # Most values are not wanted, and their last bits already tell.
    mask = (1 << max(16, 6 + len(wanted).bit_length())) - 1
    may_be = np.zeros(mask + 1, bool)
    may_be[wanted & mask] = True
    found = may_be[values & mask]
    at = np.flatnonzero(found)
    found[at] = _is_one_of(values[at], wanted)
    return found


def _is_one_of(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    at = np.searchsorted(ordered, values)
    at[at == len(ordered)] = 0
    return ordered[at] == values


def as_keys(leaves: np.ndarray) -> np.ndarray:
    """(n, 32) leaves as one comparable value each, for sorting and set operations in byte order."""
    # NumPy drops trailing zero bytes of an S value; among values of one length that loses nothing.
    return np.ascontiguousarray(leaves).view("S32").ravel()
