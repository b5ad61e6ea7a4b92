"""Which rows a page opened, kept beside the log so that it can be told for as long as the archive stands.

The log has the RFC 6962 root over the leaves of those rows; `seen/` has the rows by their places in files, sealed under
the archive's own secret: no words, no token. A row that has since been disposed of keeps its place and its leaf, and
speaks of nobody any more.

Who writes here: every process that serves pages, before the entry that names what it wrote. If `seen/` is lost, so is
what a page rested on that has since lost some of it, and whose rows it showed. A liar who edits it is found by the root
in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from provenance import durable, entries, merkle, rows, sets, vault
from provenance.archive import Archive
from provenance.errors import Missing, ProvenanceError, Tampered
from provenance.sealing import opened_blob, sealed_blob
from provenance.tables import TABLES

FOLDER = "seen"
_REFERENCES = pa.schema([("table", pa.int8()), ("segment", pa.int32()), ("row", pa.int32())])
_NAMES = tuple(TABLES)
Opened = Mapping[str, np.ndarray]  # positions of the rows, ascending, per table by name


def root(archive: Archive, opened: Opened) -> bytes:
    """Over the leaves of these rows in byte order."""
    leaves = [archive.index(table).leaf[at] for table, at in opened.items()]
    whole = rows.in_byte_order(np.concatenate([np.zeros((0, 32), np.uint8), *leaves]))
    return merkle.root(np.ascontiguousarray(whole).tobytes())


def parents(archive: Archive, opened: Opened) -> np.ndarray:
    """Tokens of everything that these rows speak of, ascending; the archive's own where that is nothing."""
    sides = [getattr(archive.index(table), side)[at] for table, at in opened.items() for side in "ab"]
    tokens = sets.distinct(np.concatenate([np.zeros(0, np.int64), *sides]))
    tokens = tokens[tokens != 0]
    return tokens if len(tokens) else np.array([vault.ARCHIVE_TOKEN], np.int64)


def speak_of(archive: Archive, opened: Opened, tokens: np.ndarray) -> int:
    """How many of these rows speak of one of `tokens`, or rest on one."""
    count = 0
    for table, at in opened.items():
        index = archive.index(table)
        beside, owner = index.parents_beside(at)
        found = sets.among(index.a[at], tokens) | sets.among(index.b[at], tokens)
        found[owner[sets.among(beside, tokens)]] = True
        count += int(found.sum())
    return count


def references(archive: Archive, opened: Opened) -> bytes:
    """The rows as (table, segment, row): the same ones for as long as the archive stands."""
    parts = [_REFERENCES.empty_table()]
    for table, at in opened.items():
        index = archive.index(table)
        code = pa.array(np.full(len(at), _NAMES.index(table), np.int8))
        columns = [code, pa.array(index.segment[at], pa.int32()), pa.array(index.row[at], pa.int32())]
        parts.append(pa.table(columns, schema=_REFERENCES))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _REFERENCES, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(pa.concat_tables(parts).combine_chunks())
    return sink.getvalue().to_pybytes()


def keep(archive: Archive, leaves: str, referred: bytes) -> None:
    """Have on disk which rows have the root `leaves`, as `references` says them."""
    path = archive.root / _name(leaves)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        sealed = sealed_blob(archive.vault.archive_secret, f"seen {leaves}", referred)
        durable.write(path, sealed, mode=0o600)


def read(archive: Archive, leaves: str) -> dict[str, np.ndarray]:
    """The rows that have the root `leaves`. Raises Missing, or Tampered where those that are kept have another."""
    name = _name(leaves)
    try:
        sealed = (archive.root / name).read_bytes()
    except FileNotFoundError as error:
        raise Missing(f"file {name} is missing: which rows a page opened lies in it") from error
    content = opened_blob(archive.vault.archive_secret, f"seen {leaves}", sealed)
    told = pa.ipc.open_stream(content).read_all()
    code = told["table"].to_numpy()
    found = {}
    for number in sets.distinct(code).tolist():
        mine = np.flatnonzero(code == number)
        index = archive.index(_NAMES[number])
        segment, row = (told[name].to_numpy()[mine] for name in ("segment", "row"))
        found[_NAMES[number]] = index.positions(segment, row)
    if root(archive, found).hex() != leaves:
        raise Tampered(f"file {name} names rows of another root than the log has for them")
    return found


def faults(archive: Archive) -> Iterator[str]:
    """ "" for each page's rows that are kept as the log has them, a sentence for each that are not.

    What pages opened before a restore may be lost with the machine they were served from, and that is no fault. What a
    page that was cut off left is none either, as long as it opens to its own name.
    """
    restored = max((place for place, _ in archive.placed(["Restored"])), default=-1)
    named = {
        act.leaves for place, act in archive.placed(["Viewed"]) if isinstance(act, entries.Viewed) and place > restored
    }
    present = {path.parent.name + path.name for path in _files(archive)}
    for leaves in sorted(named | present):
        try:
            read(archive, leaves)
        except (Missing, Tampered) as error:
            yield str(error)
        except (ProvenanceError, pa.ArrowInvalid):
            yield f"file {_name(leaves)} is not as it was written"
        else:
            yield ""


def _files(archive: Archive) -> list[Path]:
    return sorted(path for path in (archive.root / FOLDER).rglob("*") if path.is_file() and path.suffix != ".part")


def _name(leaves: str) -> str:
    return f"{FOLDER}/{leaves[:2]}/{leaves[2:]}"
