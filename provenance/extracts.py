"""The door through which every record comes in: an extract is read whole, and each row is taken or named.

A fault of a whole file (missing, torn, wrong columns, counts that differ from `extract.json`) raises Malformed before
anything is decided. A fault of a row goes to the rejects: file, line, column, reason, the form of what was found, and
what was wanted. Text is taken unchanged or not at all: nothing is trimmed, repaired, guessed or re-cased. Only times,
themes and coordinates have more than one spelling, and come out in one.

Reading writes nothing. No message and no reject carries the content of a cell, and the errors of the readers beneath,
which quote rows, end here.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from provenance import moments, records
from provenance.errors import Malformed, shape
from provenance.records import TABLES, Table

Progress = Callable[[str, int, int], None]  # what is being done, how far, of about how many lines or steps
# Of "nominal" or "record", systems ("" for nominals) and ids: which were disposed of. Asked about each id once.
Gone = Callable[[str, pa.Array, pa.Array], np.ndarray]
Erased = Callable[[str], Gone]  # by the extract's cut-off
RETURNED = "returned"  # the reason for which a row is kept out that speaks of what was disposed of (R41)

REJECTS = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),  # of a CSV file, counting the header and the lines within quotes; of Parquet, the row
        ("column", pa.string()),  # "" when the row as a whole is at fault
        ("reason", pa.string()),
        ("found", pa.string()),  # the form only, see `errors.shape`
        ("wanted", pa.string()),
    ]
)

_SLICE = 16 << 20  # bytes looked at together
_BLOCK = 64 << 20  # bytes: Arrow reads no CSV row longer than its block
_SEPARATOR = "\x1f"  # between the parts of a joined key; a control character, which no accepted cell has
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]|\r(?:[^\n]|\z)"  # a CR is admitted only in a line end
_THEMES = r"\A(?:{0})(?:;(?:{0}))*\z".format("|".join(records.THEMES))
_INTEGER = r"\A-?[0-9]{1,9}\z"


@dataclass(frozen=True, slots=True)
class Stated:
    """What `extract.json` says of one system: complete up to the watermark, with so many rows."""

    watermark: str
    records: int
    involvements: int


@dataclass(frozen=True, slots=True)
class Extract:
    """One extract after reading. The tables hold accepted rows only, each once, in the order of `records.TABLES`."""

    name: str
    cut_off: str
    mode: str  # "full" or "delta"
    since: str  # of a delta: the cut-off of the extract it follows; "" when it does not say
    systems: Mapping[str, Stated]
    records: pa.Table
    involvements: pa.Table
    nominals: pa.Table
    merges: pa.Table
    disposals: pa.Table
    rejects: pa.Table  # REJECTS, by file, line, column and reason; a row may be named more than once
    offered: Mapping[str, int]  # file name -> rows read, the rejected and the repeated among them
    # The tables from which rows were kept out that speak of what was disposed of, with them; by the names above.
    whole: Mapping[str, pa.Table] = field(default_factory=dict)


def read(
    folder: Path,
    *,
    systems: Mapping[str, Collection[str]],
    erased: Erased | None = None,
    progress: Progress | None = None,
) -> Extract:
    """Read and check the extract in `folder`.

    `systems` names the known systems, each with the record kinds it may hand over, or none for any kind. Rows that
    speak of what is `erased` are rejected; an order to dispose of it once more is no news, and is left out.
    Raises Malformed for a fault of a whole file. A row in which every cell is empty is a blank line, and not a row.
    """
    tell = progress or (lambda what, done, total: None)
    statement = _statement(folder, systems)
    sheets = {name: _load(path, TABLES[name], tell) for name, path in _files(folder).items()}
    for name in ("records", "involvements"):
        _compare_counts(name, sheets[name], statement.systems)

    steps = 2 * len(TABLES)
    checks: dict[str, _Check] = {}
    for name, table in TABLES.items():
        checks[name] = check = _Check(sheets.get(name) or _Sheet.empty(table), table)
        check.cells()
        _RULES[name](check, statement, systems)
        check.repeats()
        tell("checks", len(checks), steps)
    _check_between(checks["records"], checks["involvements"])
    whole: dict[str, pa.Table] = {}
    if erased is not None:
        before = {name: (check, check.bad.copy()) for name, check in checks.items()}
        _check_returns(checks, erased(moments.utc(statement.cut_off)))
        whole = {name: check.accepted(bad) for name, (check, bad) in before.items() if (bad != check.bad).any()}

    accepted = {}
    for name, check in checks.items():
        accepted[name] = check.accepted()
        tell("checks", len(checks) + len(accepted), steps)
    rejects = pa.concat_tables([REJECTS.empty_table(), *(part for check in checks.values() for part in check.faults)])
    return Extract(
        name=folder.resolve().name,
        cut_off=moments.utc(statement.cut_off),
        mode=statement.mode,
        since=statement.since,
        systems=statement.systems,
        rejects=rejects.sort_by([(column, "ascending") for column in REJECTS.names]).combine_chunks(),
        offered=MappingProxyType({sheet.file: sheet.offered for sheet in sheets.values()}),
        **accepted,
        whole=MappingProxyType(whole),
    )


def rejects_csv(rejects: pa.Table) -> bytes:
    """The rejects as a CSV report. No cell can call a spreadsheet function: forms hold none of `=`, `+` and `@`."""
    sink = io.BytesIO()
    pyarrow.csv.write_csv(rejects, sink)
    return sink.getvalue()


# ---- extract.json ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Statement:
    cut_off: datetime
    mode: str
    since: str
    systems: Mapping[str, Stated]


def _statement(folder: Path, known: Mapping[str, Collection[str]]) -> _Statement:
    if not folder.is_dir():
        raise Malformed(f"no such extract: {folder.name} is not a folder, wanted one with extract.json in it")
    path = folder / "extract.json"
    if not path.is_file():
        raise Malformed(f"extract.json is missing in {folder.name}: wanted one beside the files")
    said = _json(path)
    if not isinstance(said, dict):
        raise Malformed(f"extract.json holds no object: found {_type(said)}")
    mode = said.get("mode")
    if mode not in ("full", "delta"):
        raise Malformed(f"extract.json: mode is {_said(mode)}, wanted full or delta")
    _keys("extract.json", said, ("cut_off", "mode", "systems"), ("since",))
    if "since" in said and mode == "full":
        raise Malformed("extract.json: since is given in a full extract, wanted in a delta only")
    cut_off = _moment("cut_off", said["cut_off"])
    since = ""
    if "since" in said:
        before = _moment("since", said["since"])
        since = moments.utc(before)
        if before >= cut_off:
            raise Malformed(
                f"extract.json: since is {since}, wanted a moment before the cut_off {moments.utc(cut_off)}"
            )
    if not isinstance(said["systems"], dict) or not said["systems"]:
        raise Malformed(f"extract.json: systems is {_type(said['systems'])}, wanted an object with at least one system")
    systems = {}
    for name, entry in sorted(said["systems"].items()):
        if name not in known:
            wanted = ", ".join(sorted(known))
            raise Malformed(f"extract.json: a system is not known: found {shape(name)}, wanted one of {wanted}")
        where = f"extract.json, system {name}"
        if not isinstance(entry, dict):
            raise Malformed(f"{where}: found {_type(entry)}, wanted an object")
        _keys(where, entry, ("watermark", "records", "involvements"))
        watermark = _moment(f"watermark of {name}", entry["watermark"])
        if watermark > cut_off:
            found, latest = moments.utc(watermark), moments.utc(cut_off)
            raise Malformed(f"{where}: watermark is {found}, wanted at most the cut_off {latest}")
        for column in ("records", "involvements"):
            count = entry[column]
            if type(count) is not int or count < 0:  # a bool is an int to isinstance
                raise Malformed(f"{where}: {column} is {_said(count)}, wanted a count of rows")
        systems[name] = Stated(moments.utc(watermark), entry["records"], entry["involvements"])
    return _Statement(cut_off, mode, since, MappingProxyType(systems))


def _json(path: Path) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        where = "the text"
    raise Malformed(f"extract.json is not JSON: the fault is in {where}, wanted UTF-8 text and each key once")


def _keys(where: str, said: dict[str, Any], wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    missing = [key for key in wanted if key not in said]
    if missing:
        raise Malformed(f"{where}: a key is missing: wanted {', '.join(missing)}")
    unknown = sorted(set(said) - {*wanted, *optional})
    if unknown:
        found, admitted = _forms(unknown), ", ".join(wanted + optional)
        raise Malformed(f"{where}: a key is not known: found {found}, wanted only {admitted}")


def _moment(what: str, said: Any) -> datetime:
    try:
        return moments.instant(said if isinstance(said, str) else "")
    except Malformed as error:
        reason = str(error)
    raise Malformed(f"extract.json: {what} is {_said(said)}: {reason}")


def _said(value: Any) -> str:
    return shape(value) if isinstance(value, str) and value else _type(value)


def _type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false"}
    return "nothing" if value in (None, "", {}) else names.get(type(value), "something else")


def _forms(names: Iterable[str]) -> str:
    """How many, and the forms of the first few."""
    names = list(names)
    return f"{len(names)} ({', '.join(shape(name) for name in names[:5])}{', …' if len(names) > 5 else ''})"


# ---- files -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One file as read: every cell text, "" where empty."""

    file: str
    rows: pa.Table
    lines: np.ndarray  # int64, per row
    ragged: tuple[tuple[int, int], ...] = ()  # line and number of cells of CSV rows that have too many or too few

    @property
    def offered(self) -> int:
        return len(self.rows) + len(self.ragged)

    @staticmethod
    def empty(table: Table) -> _Sheet:
        return _Sheet("", table.schema.empty_table(), np.zeros(0, np.int64))


def _files(folder: Path) -> dict[str, Path]:
    files, admitted = {}, {f"{name}.{suffix}" for name in TABLES for suffix in ("csv", "parquet")}
    for path in sorted(folder.iterdir()):
        # A table under another name would be left out in silence: `nominal.csv` is a slip, not an absent file.
        if path.suffix.lower() in (".csv", ".parquet") and path.name not in admitted and path.name[0] != ".":
            raise Malformed(f"a file is not known in the extract: found {shape(path.name)}, wanted {', '.join(TABLES)}")
    for name, table in TABLES.items():
        paths = [path for path in (folder / f"{name}.csv", folder / f"{name}.parquet") if path.is_file()]
        if len(paths) == 2:
            raise Malformed(f"two files for one table: found {name}.csv and {name}.parquet, wanted one of them")
        if paths:
            files[name] = paths[0]
        elif table.required:
            raise Malformed(f"a file is missing in the extract: wanted {name}.csv or {name}.parquet")
    return files


def _load(path: Path, table: Table, tell: Progress) -> _Sheet:
    sheet = (_load_csv if path.suffix == ".csv" else _load_parquet)(path, table, tell)
    blank = _numpy(pc.equal(sheet.rows[table.filled[0]], ""))
    if blank.any():
        for column in table.schema.names:
            blank = blank & _numpy(pc.equal(sheet.rows[column], ""))
        return _Sheet(sheet.file, sheet.rows.filter(pa.array(~blank)), sheet.lines[~blank], sheet.ragged)
    return sheet


def _columns(file: str, found: list[str], table: Table) -> None:
    wanted = table.schema.names
    repeated = sorted({name for name in found if found.count(name) > 1})
    unknown = [name for name in found if name not in wanted]
    missing = [name for name in wanted if name not in found]
    if unknown:
        lacking = f"; missing: {', '.join(missing)}" if missing else ""
        hint = "; is the first line the header?" if len(unknown) == len(found) else ""
        raise Malformed(
            f"a column is not known in {file}: found {_forms(unknown)}, wanted only {', '.join(wanted)}{lacking}{hint}"
        )
    if missing:
        raise Malformed(f"a column is missing in {file}: wanted {', '.join(missing)}")
    if repeated:
        raise Malformed(f"a column is repeated in {file}: found {', '.join(repeated)} more than once, wanted it once")


def _load_csv(path: Path, table: Table, tell: Progress) -> _Sheet:
    file, size = path.name, path.stat().st_size
    if not size:
        raise Malformed(f"an empty file: {file} has no bytes, wanted a header")
    total = _scan(path, size)
    with open(path, "rb") as handle:
        head = re.split(rb"[\r\n]", handle.readline(1 << 16), maxsplit=1)
    _columns(file, _header(head[0].decode("utf-8-sig", "replace")), table)
    if len(head) == 1:  # no line end after the header
        return _Sheet(file, table.schema.empty_table(), np.zeros(0, np.int64))

    ragged: list[tuple[int, int, int]] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        ragged.append((row.number - 2, row.text.count("\n"), row.actual_columns))  # the header is Arrow's row 1
        return "skip"

    def rows() -> pa.Table:
        with (
            pa.OSFile(str(path)) as source,
            pyarrow.csv.open_csv(
                source,
                read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=min(_BLOCK, size + 1)),
                # Empty lines are kept as rows, or the rows after them would be counted on the wrong line.
                parse_options=pyarrow.csv.ParseOptions(
                    newlines_in_values=True, invalid_row_handler=skip, ignore_empty_lines=False
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(table.schema.names, pa.string()),
                    include_columns=table.schema.names,
                    strings_can_be_null=False,
                ),
            ) as reader,
        ):
            batches, done = [], 0
            for batch in reader:
                batches.append(batch)
                done += len(batch)
                tell(file, done, total)
            return pa.Table.from_batches(batches, table.schema)

    read = _quietly(rows)
    if read is None:
        raise Malformed(f"a CSV file cannot be read: {file}, wanted rows of at most {_BLOCK >> 20} MiB")
    whole = np.ones(len(read) + len(ragged), bool)
    whole[[row for row, _, _ in ragged]] = False
    breaks = np.zeros(len(whole), np.int64)
    breaks[whole] = sum(_numpy(pc.count_substring(read[column], "\n")) for column in read.column_names)
    breaks[~whole] = [count for _, count, _ in ragged]
    lines = np.arange(2, len(whole) + 2) + np.cumsum(breaks) - breaks
    cells = [count for _, _, count in ragged]
    return _Sheet(file, read, lines[whole], tuple(zip(lines[~whole].tolist(), cells, strict=True)))


def _header(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return [line]


def _scan(path: Path, size: int) -> int:
    """The number of lines, after refusing what a lenient reader guesses about: no UTF-8, and quotes that are not CSV's.

    A quote opens a cell at its start and closes it at its end (RFC 4180, 2.5 and 2.7); one that strays makes rows
    vanish into a cell, or text lose its quotes. Quotes open and close in turn, so their neighbours decide.
    """
    data = np.memmap(path, np.uint8, "r")
    decoder = codecs.getincrementaldecoder("utf-8")()
    begin = 3 if data[:3].tobytes() == codecs.BOM_UTF8 else 0
    around = np.zeros(256, bool)
    around[list(b',"\r\n')] = True
    line, opened = 1, 0
    for start in range(0, size, _SLICE):
        piece = data[start : start + _SLICE]
        held = len(decoder.getstate()[0])
        broken = _undecodable(decoder, piece.tobytes(), final=start + _SLICE >= size)
        if broken is not None:
            at = line + int(np.count_nonzero(piece[: max(broken - held, 0)] == ord("\n")))
            raise Malformed(f"not UTF-8: {path.name} at line {at}, wanted UTF-8 text")
        quotes = np.flatnonzero(piece == ord('"')) + start
        opening, closing = quotes[opened::2], quotes[1 - opened :: 2]
        stray = np.concatenate(
            [
                opening[(opening > begin) & ~around[data[np.maximum(opening - 1, 0)]]],
                closing[(closing + 1 < size) & ~around[data[np.minimum(closing + 1, size - 1)]]],
            ]
        )
        if stray.size:
            at = line + int(np.count_nonzero(piece[: stray.min() - start] == ord("\n")))
            raise Malformed(f"a quote out of place: {path.name} at line {at}, wanted quotes around whole cells only")
        opened = (opened + len(quotes)) % 2
        line += int(np.count_nonzero(piece == ord("\n")))
    if opened:
        raise Malformed(f"a quote is never closed: {path.name}, wanted one at the end of the cell; is the file whole?")
    return line


def _undecodable(decoder: codecs.IncrementalDecoder, piece: bytes, *, final: bool) -> int | None:
    """Where the piece, with the bytes that the decoder holds before it, stops being UTF-8."""
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError as error:
        return error.start
    return None


def _load_parquet(path: Path, table: Table, tell: Progress) -> _Sheet:
    file = path.name
    source = _quietly(lambda: pyarrow.parquet.ParquetFile(path, page_checksum_verification=True))
    if source is None:
        raise Malformed(f"a Parquet file is torn: {file} has {path.stat().st_size} bytes, wanted a whole Parquet file")
    with source:
        schema = _quietly(lambda: source.schema_arrow)
        if schema is None:
            raise Malformed(f"a Parquet file is damaged: {file} has a schema that cannot be read")
        _columns(file, schema.names, table)
        for column in schema:
            if not _castable(column.type):
                found = re.split(r"\W", str(column.type))[0]
                raise Malformed(
                    f"a column has the wrong type in {file}: {column.name} is {found}, "
                    "wanted text, integer, date, timestamp or boolean"
                )

        def rows() -> pa.Table:
            total, parts = source.metadata.num_rows, [table.schema.empty_table()]
            for group in range(source.num_row_groups):
                part = source.read_row_group(group, columns=table.schema.names)
                part.validate(full=True)  # Arrow takes the writer's word that text is UTF-8
                parts.append(pa.table({name: _text(part[name]) for name in table.schema.names}, schema=table.schema))
                tell(file, sum(map(len, parts)), total)
            return pa.concat_tables(parts)

        read = _quietly(rows)
    if read is None:
        raise Malformed(
            f"a Parquet file is damaged: {file} cannot be read to its end, wanted whole pages of UTF-8 text"
        )
    return _Sheet(file, read, np.arange(1, len(read) + 1))


def _castable(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer, pa.types.is_date,
        pa.types.is_timestamp, pa.types.is_boolean, pa.types.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _text(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same cells as a CSV file would have them."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if pa.types.is_timestamp(cells.type):
        zone = "Z" if cells.type.tz else ""  # without one it is London's wall clock, as in CSV
        kind = pa.timestamp(cells.type.unit)
        naive = pa.chunked_array([chunk.view(kind) for chunk in cells.chunks], kind)
        seconds = pc.replace_substring_regex(naive.cast(pa.string()), r"\.0+\z", "")  # any other fraction is a bad date
        cells = pc.binary_join_element_wise(seconds, zone, "")
    elif pa.types.is_boolean(cells.type):
        cells = pc.if_else(cells, "1", "0")
    elif pa.types.is_date64(cells.type):
        cells = cells.cast(pa.date32())
    return cells.cast(pa.string()).fill_null("")


def _quietly(read: Callable[[], Any]) -> Any:
    """None where Arrow failed: its message quotes the row, so neither the text nor the error goes on from here."""
    try:
        return read()
    except (pa.ArrowException, OSError, ValueError):  # ValueError: names in a damaged Parquet footer that are not UTF-8
        return None


def _compare_counts(name: str, sheet: _Sheet, stated: Mapping[str, Stated]) -> None:
    """Rows per system against `extract.json`. A row whose system cannot be told may stand for one that is lacking."""
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(sheet.rows["system"]).to_pylist()}
    wanted = {system: getattr(entry, name) for system, entry in stated.items()}
    adrift = sheet.offered - sum(counts.get(system, 0) for system in wanted)
    for system, count in wanted.items():
        found = counts.get(system, 0)
        lacking = count - found
        if lacking < 0 or lacking > adrift:
            raise Malformed(
                f"row counts differ in {sheet.file}: found {found} of system {system}, extract.json states {count}"
            )
        adrift -= lacking


# ---- rows ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Check:
    """One table under examination: which rows are bad, and why. The rows are normalised on the way."""

    sheet: _Sheet
    table: Table
    rows: pa.Table = field(init=False)
    bad: np.ndarray = field(init=False)
    faults: list[pa.Table] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.rows = self.sheet.rows
        self.bad = np.zeros(len(self.rows), bool)
        wanted = f"{len(self.table.schema)} cells"
        for line, cells in self.sheet.ragged:
            self._name([line], "", "ragged-row", pa.array([f"{cells} cells"]), wanted)

    def reject(self, wrong: np.ndarray, column: str, reason: str, wanted: str) -> None:
        if wrong.any():
            self.bad |= wrong
            cells = self.rows[column].filter(pa.array(wrong))
            self._name(self.sheet.lines[wrong], column, reason, _shapes(cells), wanted)

    def _name(self, lines: np.ndarray | list[int], column: str, reason: str, found: pa.Array, wanted: str) -> None:
        same = [pa.repeat(text, len(found)) for text in (self.sheet.file, column, reason, wanted)]
        arrays = [same[0], pa.array(lines, pa.int64()), same[1], same[2], found, same[3]]
        self.faults.append(pa.table(arrays, schema=REJECTS))

    def equal(self, column: str, word: str) -> np.ndarray:
        return _numpy(pc.equal(self.rows[column], word))

    def replace(self, column: str, cells: pa.Array | pa.ChunkedArray) -> None:
        self.rows = self.rows.set_column(self.rows.column_names.index(column), column, cells)

    def key(self, columns: Iterable[str]) -> pa.ChunkedArray:
        parts = [self.rows[column] for column in columns]
        return pc.binary_join_element_wise(*parts, _SEPARATOR) if len(parts) > 1 else parts[0]

    def cells(self) -> None:
        """What holds for every cell, whatever it says."""
        for column in self.table.schema.names:
            cells = self.rows[column]
            wrong = _numpy(pc.match_substring_regex(cells, _CONTROL))
            self.reject(wrong, column, "control-character", "text; of control characters only tab and line ends")
            size = _numpy(pc.utf8_length(cells))
            self.reject(size > records.MAX_CELL, column, "cell-too-long", f"at most {records.MAX_CELL} characters")
            if column in self.table.ids:
                self.reject(size > records.MAX_ID, column, "id-too-long", f"at most {records.MAX_ID} characters")
                trimmed = _numpy(pc.not_equal(pc.utf8_trim_whitespace(cells), cells))
                self.reject(trimmed, column, "id-space", "no space at either end")
            if column in self.table.filled:
                self.reject(size == 0, column, "empty-cell", "a value")

    def among(self, column: str, words: Iterable[str], reason: str, where: np.ndarray | bool = True) -> None:
        """Empty cells are not looked at: whether they may be, `cells` says."""
        words = list(words)
        wrong = where & ~_numpy(pc.is_in(self.rows[column], value_set=pa.array(["", *words])))
        self.reject(wrong, column, reason, f"one of {', '.join(words)}")

    def moments(self, column: str, *, until: datetime | None, dates: bool = False) -> None:
        """Bring moments to UTC. With `dates` a bare date stays one; without, it is 00:00 in London that day."""
        read, filled = moments.column(self.rows[column]), ~self.equal(column, "")
        self.reject(read.bad, column, "bad-date", f"{moments.WANTED_DAY} or {moments.WANTED}")
        self.reject(read.skipped, column, "no-such-time", "a time that London's clocks show, or Z or +HH:MM with it")
        good = filled & ~read.bad & ~read.skipped
        if until is not None:
            late = good & (read.seconds > int(until.timestamp()))
            self.reject(late, column, "after-cut-off", "a moment not after the extract's cut_off")
        change = good & ~read.dated if dates else good
        self.replace(column, pc.if_else(pa.array(change), read.text(), self.rows[column]))

    def repeats(self) -> None:
        """Rows that share what should be unique, unless they are the same row. Nobody can say which one is right."""
        if not self.table.unique or not len(self.rows):
            return
        key = self.key(self.table.unique).combine_chunks()
        codes = key.dictionary_encode().indices.to_numpy()
        often = np.bincount(codes)[codes] > 1
        for column in self.table.unique:
            often &= ~self.equal(column, "")
        if not often.any():
            return
        shared = self.rows.filter(pa.array(often)).append_column("code", pa.array(codes[often]))
        versions = shared.group_by(shared.column_names).aggregate([])["code"].to_numpy()
        several = np.bincount(versions, minlength=codes.max() + 1) > 1
        column = self.table.unique[-1]
        self.reject(often & several[codes], column, "repeated-id", "each id once, or the same row again")

    def accepted(self, bad: np.ndarray | None = None) -> pa.Table:
        """The good rows in canonical order, each once; or those that are not `bad`."""
        rest = [column for column in self.table.schema.names if column not in self.table.order]
        keys = [(column, "ascending") for column in (*self.table.order, *rest)]
        rows = self.rows.filter(pa.array(~(self.bad if bad is None else bad))).sort_by(keys)
        if len(rows) > 1:
            same = [pc.equal(rows[column].slice(1), rows[column].slice(0, len(rows) - 1)) for column, _ in keys]
            again = np.concatenate([[False], _numpy(reduce(pc.and_, same))])
            rows = rows.filter(pa.array(~again))
        return rows.cast(self.table.schema)


def _check_records(check: _Check, statement: _Statement, systems: Mapping[str, Collection[str]]) -> None:
    check.among("system", statement.systems, "system-not-in-extract")
    check.among("kind", records.KINDS, "unknown-kind")
    known = _numpy(pc.is_in(check.rows["kind"], value_set=pa.array(records.KINDS)))
    for system in statement.systems:
        if systems[system]:
            here = known & check.equal("system", system)
            check.among("kind", systems[system], "kind-not-of-system", where=here)
    check.moments("occurred_at", until=None, dates=True)
    check.moments("recorded_at", until=statement.cut_off)
    _check_themes(check)
    _check_grades(check)
    for column in ("easting", "northing"):
        _check_coordinate(check, column)
    check.among("mopi_group", records.MOPI_GROUPS, "unknown-mopi-group")


def _check_themes(check: _Check) -> None:
    cells, empty = check.rows["themes"], check.equal("themes", "")
    wrong = ~empty & ~_numpy(pc.match_substring_regex(cells, _THEMES))
    check.reject(wrong, "themes", "unknown-theme", f"{', '.join(records.THEMES)}, joined by ;")
    names = sorted(records.THEMES)
    number = sum(_numpy(pc.match_substring(cells, name)).astype(np.int64) << bit for bit, name in enumerate(names))
    spelt = [";".join(name for bit, name in enumerate(names) if n >> bit & 1) for n in range(1 << len(names))]
    check.replace("themes", pc.if_else(pa.array(wrong), cells, pa.array(spelt).take(pa.array(number, pa.int64()))))


def _check_grades(check: _Check) -> None:
    """Codes belong to a scheme: the same letter means different things in two of them, and nothing without one."""
    check.among("grade_scheme", records.SCHEMES, "unknown-scheme")
    for name, scheme in records.SCHEMES.items():
        here = check.equal("grade_scheme", name)
        check.among("source_grade", scheme.source, "unknown-grade", where=here)
        check.among("assessment_grade", scheme.assessment, "unknown-grade", where=here)
        check.among("handling", scheme.handling, "unknown-handling", where=here)
        for column in ("source_grade", "assessment_grade"):
            check.reject(here & check.equal(column, ""), column, "grade-missing", f"both grades of {name}")
    none = check.equal("grade_scheme", "")
    for column in ("source_grade", "assessment_grade", "handling"):
        check.reject(none & ~check.equal(column, ""), column, "grade-without-scheme", "a grade_scheme beside it")


def _check_coordinate(check: _Check, column: str) -> None:
    cells = check.rows[column]
    formed = pc.match_substring_regex(cells, _INTEGER)
    check.reject(~_numpy(formed) & ~check.equal(column, ""), column, "bad-coordinate", "whole metres, as an integer")
    number = pc.if_else(formed, cells, None).cast(pa.int64()).cast(pa.string())
    check.replace(column, pc.coalesce(number, cells))


def _check_involvements(check: _Check, statement: _Statement, systems: Mapping[str, Collection[str]]) -> None:
    check.among("system", statement.systems, "system-not-in-extract")
    check.among("role", records.ROLES, "unknown-role")
    check.among("assessed", records.ASSESSED, "unknown-assessed")


def _check_nominals(check: _Check, statement: _Statement, systems: Mapping[str, Collection[str]]) -> None:
    read = moments.column(check.rows["born"])
    bad = read.bad | ~(read.dated | check.equal("born", ""))
    check.reject(bad, "born", "bad-date", moments.WANTED_DAY)
    late = ~bad & read.dated & (read.seconds > int(statement.cut_off.timestamp()))
    check.reject(late, "born", "after-cut-off", "a day not after the extract's cut_off")
    check.among("is_child", ("1", "0"), "unknown-flag")


def _check_merges(check: _Check, statement: _Statement, systems: Mapping[str, Collection[str]]) -> None:
    itself = _numpy(pc.equal(check.rows["from_nominal"], check.rows["into_nominal"]))
    check.reject(itself, "into_nominal", "merge-into-itself", f"another nominal, or {records.SPLIT}")
    check.moments("at", until=statement.cut_off)


def _check_disposals(check: _Check, statement: _Statement, systems: Mapping[str, Collection[str]]) -> None:
    check.among("what", records.DISPOSABLE, "unknown-what")
    nameless = check.equal("what", "record") & check.equal("system", "")
    check.reject(nameless, "system", "empty-cell", "the record's system")
    # Any known system, also one that hands over nothing this time: a record may be disposed of in a quiet week.
    check.among("system", systems, "unknown-system")
    check.moments("at", until=statement.cut_off)


_RULES: Mapping[str, Callable[[_Check, _Statement, Mapping[str, Collection[str]]], None]] = MappingProxyType(
    {
        "records": _check_records,
        "involvements": _check_involvements,
        "nominals": _check_nominals,
        "merges": _check_merges,
        "disposals": _check_disposals,
    }
)


def _check_between(held: _Check, involved: _Check) -> None:
    """Records and involvements against each other, each row only once its own cells are right."""
    named = ("system", "record_id")
    offered, whose = held.key(named).combine_chunks(), involved.key(named)
    there = _numpy(pc.is_in(whose, value_set=offered))
    taken = _numpy(pc.is_in(whose, value_set=offered.filter(pa.array(~held.bad))))
    good = ~involved.bad
    involved.reject(good & ~there, "record_id", "record-not-in-extract", "a record of this extract")
    involved.reject(good & there & ~taken, "record_id", "record-rejected", "a record that was not rejected itself")
    people = whose.filter(pa.array(~involved.bad)).combine_chunks()
    alone = ~held.bad & ~_numpy(pc.is_in(offered, value_set=people))
    held.reject(alone, "record_id", "nobody-in-record", "at least one accepted involvement")


def _check_returns(checks: Mapping[str, _Check], gone: Gone) -> None:
    """Last of all, so that a record stays although the only person in it is one who must not come back."""
    wanted = "nothing that was disposed of, unless a person admits it"
    for name, column in (
        ("records", "record_id"),
        ("involvements", "record_id"),
        ("involvements", "nominal_id"),
        ("nominals", "nominal_id"),
        ("merges", "from_nominal"),
        ("merges", "into_nominal"),
    ):
        check = checks[name]
        what = "record" if column == "record_id" else "nominal"
        systems = check.rows["system"] if what == "record" else None
        check.reject(~check.bad & _among_erased(gone, what, systems, check.rows[column]), column, RETURNED, wanted)
    orders = checks["disposals"]
    for what in records.DISPOSABLE:
        mine = orders.equal("what", what)
        systems = orders.rows["system"] if what == "record" else None
        orders.bad |= mine & ~orders.bad & _among_erased(gone, what, systems, orders.rows["id"])


def _among_erased(erased: Gone, what: str, systems: pa.ChunkedArray | None, ids: pa.ChunkedArray) -> np.ndarray:
    ids = pa.concat_arrays([pa.array([], pa.string()), *ids.chunks])
    none = pa.array([""] * len(ids), pa.string())
    of = none if systems is None else pa.concat_arrays([none.slice(0, 0), *systems.chunks])
    each = pa.table({"system": of, "id": ids})
    once = each.group_by(["system", "id"]).aggregate([])
    gone = once.filter(pa.array(erased(what, *(once[name].combine_chunks() for name in ("system", "id")))))
    if not gone.num_rows:
        return np.zeros(len(ids), bool)
    joined = (pc.binary_join_element_wise(t["system"], t["id"], _SEPARATOR) for t in (each, gone))
    return _numpy(pc.is_in(next(joined), value_set=next(joined)))


def _shapes(cells: pa.ChunkedArray) -> pa.Array:
    """`shape` of each cell, worked out once per distinct beginning: it looks at no more than 25 characters."""
    begun = pc.utf8_slice_codeunits(cells, 0, 25).combine_chunks().dictionary_encode()
    forms = pa.array([shape(text) for text in begun.dictionary.to_pylist()], pa.string())
    return forms.take(begun.indices)


def _numpy(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
