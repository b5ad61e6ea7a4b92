"""The dead rows of a disposal leave the files; their leaves stay.

New bytes first, beside the old; then the log's word for them; then they take the old ones' places. A crash at any
moment leaves each file as the log had it before or as it has it now, and doing it again completes it. A file that is
not as it was logged stops the work: what is destroyed must first be known to be what was published.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance import durable, entries, merkle, propagation, rows, sets
from provenance.archive import Archive
from provenance.errors import Missing, Tampered
from provenance.tables import TABLES

Report = Callable[[str, int, int], None]


def expunge(archive: Archive, number: int, *, on: str, by: str, under: str, report: Report) -> dict[str, str]:
    """Blank what disposal `number` left dead, and log the files' new digests; returns them by path."""
    disposal = archive.history.disposals[number - 1]
    if disposal.expunged is None:
        shutil.rmtree(_staged(archive, number), ignore_errors=True)
        staged = stage(archive, number, report)
        files = [entries.StoredFile(path=path, sha256=sha256) for path, sha256 in staged.items()]
        parts = [files[at : at + entries.FILES_AT_MOST] for at in range(0, len(files) or 1, entries.FILES_AT_MOST)]
        archive.append(
            *(entries.Expunged(on=on, by=by, under=under, number=number, files=tuple(part)) for part in parts)
        )
    swap(archive, number, report)
    expunged = archive.history.disposals[number - 1].expunged
    return {file.path: file.sha256 for file in expunged.files}


def stage(archive: Archive, number: int, report: Report) -> dict[str, str]:
    """Write each file that has dead rows again, beside the old one; the new SHA-256 by path."""
    known, files = archive.history.files, {}
    for file in archive.history.disposals[number - 1].first.files:  # what is dead is read from these
        if _found(archive, file.path) != known[file.path]:
            raise Tampered(f"file {file.path} is not as it was logged: the disposal stops before it, preserve both")
    dead = _dead(archive, number)
    tokens = np.array(sorted(_tokens(archive, number)), np.int64)
    again = [path for path in _lists(archive) if not _list(path).equals(_list_without(archive, path, tokens))]
    for done, path in enumerate([*dead, *again]):
        report("Expunging", done, len(dead) + len(again))
        name = archive.relative(path)
        if rows.digest(path) != known[name]:
            raise Tampered(f"file {name} is not as it was logged: the disposal stops before it, preserve both")
        files[name] = _write_again(archive, _beside(archive, number, path), path, dead.get(path), tokens)
    report("Expunging", len(dead) + len(again), len(dead) + len(again))
    return files


def _write_again(archive: Archive, target: Path, path: Path, dead: _Dead | None, tokens: np.ndarray) -> str:
    if dead is not None:
        return rows.blank(path, target, dead.rows)
    return rows.write_table(target, _list_without(archive, path, tokens))


def swap(archive: Archive, number: int, report: Report) -> None:
    """Put the staged files into their places."""
    expunged = archive.history.disposals[number - 1].expunged
    folders = set()
    for done, file in enumerate(expunged.files):
        report("Replacing", done, len(expunged.files))
        path = archive.root / file.path
        staged = _beside(archive, number, path)
        if not staged.exists() and rows.digest(path) != file.sha256:  # somebody cleared up in between
            tokens = np.array(sorted(_tokens(archive, number)), np.int64)
            _write_again(archive, staged, path, _dead(archive, number).get(path), tokens)
        if staged.exists():
            os.replace(staged, path)
            folders.add(path.parent)
    for folder in sorted(folders):
        durable.sync_folder(folder)
    shutil.rmtree(_staged(archive, number), ignore_errors=True)
    report("Replacing", len(expunged.files), len(expunged.files))


def catch_up(archive: Archive, report: Report) -> dict[str, str]:
    """Blank once more what an older copy of the files brought back; the files written, by path. Only for a writer.

    What is blanked is what the log says was expunged, and it comes out as the bytes that were logged then. Raises
    Missing, or Tampered where a file was never in the form that it has.
    """
    expunged = [d for d in archive.history.disposals if d.expunged]
    known = {name: archive.history.files[name] for d in expunged for name in (f.path for f in d.expunged.files)}
    behind = [name for name in sorted(known) if _found(archive, name) != known[name]]
    if not behind:
        return {}
    numbers = np.array([d.number for d in expunged])
    tokens = np.array(sorted(t for d in expunged for t in d.nominals + d.records), np.int64)
    dead: dict[str, _Dead] = {}
    for table in TABLES:
        index = archive.index(table)
        at = np.flatnonzero(sets.among(index.died, numbers))
        for segment in sets.distinct(index.segment[at]).tolist():
            of = archive.relative(index.paths[segment])
            dead[of] = _Dead(table, segment, index.row[at[index.segment[at] == segment]])
    for done, name in enumerate(behind):
        report("Expunging again", done, len(behind))
        path = archive.root / name
        staged = path.with_name(f".{path.name}.again.part")
        if _write_again(archive, staged, path, dead.get(name), tokens) != known[name]:
            durable.remove(staged)
            raise Tampered(f"file {name} is in no form that the log has for it: preserve it")
        os.replace(staged, path)
        durable.sync_folder(path.parent)
    report("Expunging again", len(behind), len(behind))
    return {name: known[name] for name in behind}


def _found(archive: Archive, name: str) -> str:
    try:
        return rows.digest(archive.root / name)
    except FileNotFoundError:
        raise Missing(f"file {name} is not there: fetch it with `dvc pull` or restore it") from None


def check(archive: Archive, number: int, report: Report) -> None:
    """The verification pass before a certificate, from the files and not from memory. Raises Tampered.

    1  the vault lacks the secrets
    2  each rewritten file has the digest that was logged
    3  in it every leaf stands where it stood, the dead rows are blank, and no other is
    4  no file of any table has a token of what was disposed of
    5  each heir opens to its leaf
    """
    disposal = archive.history.disposals[number - 1]
    tokens = np.array(sorted(_tokens(archive, number)), np.int64)
    if archive.vault.retained(tokens).any():
        raise Tampered(f"disposal {number}: the vault still holds {int(archive.vault.retained(tokens).sum())} secrets")
    dead = _dead(archive, number)
    for done, file in enumerate(disposal.expunged.files):
        report("Checking", done, len(disposal.expunged.files))
        path = archive.root / file.path
        if rows.digest(path) != file.sha256:
            raise Tampered(f"file {file.path} is not as the disposal logged it")
        if path in dead:
            _check_segment(archive, dead[path].table, dead[path].segment, path, number, tokens)
    for name in TABLES:
        if len(archive.index(name).reached(tokens)):
            raise Tampered(f"table {name} has living rows that rest on what was disposed of")
    for path in _lists(archive):
        if not _list(path).equals(_list_without(archive, path, tokens)):
            raise Tampered(f"file {archive.relative(path)} still tells of what disposal {number} destroyed")
    heirs = np.flatnonzero((archive.index("link").segment == -number) & (archive.index("link").died == 0))
    archive.sealer.open("link", archive.index("link").rows(heirs))
    report("Checking", len(disposal.expunged.files), len(disposal.expunged.files))


def roots_of(archive: Archive, number: int) -> tuple[str, str]:
    """RFC 6962 roots over `holes` and over the leaf hashes of `heirs`, hexadecimal."""
    pairs = b"".join(map(merkle.leaf_hash, heirs(archive, number)))
    return merkle.root(holes(archive, number)).hex(), merkle.root(pairs).hex()


def holes(archive: Archive, number: int) -> np.ndarray:
    """Leaves of the rows that died by a disposal, (n, 32) uint8, in byte order."""
    found = [archive.index(name).leaf[archive.index(name).died == number] for name in TABLES]
    leaves = np.sort(rows.as_keys(np.concatenate(found)))
    return np.ascontiguousarray(leaves).view(np.uint8).reshape(-1, 32)


def heirs(archive: Archive, number: int) -> list[bytes]:
    """Leaf and heir's leaf together, 64 bytes, of each row that lives on with less; in byte order."""
    index = archive.index("link")
    less = np.flatnonzero((index.died == number) & (index.heir >= 0))
    pairs = np.concatenate([index.leaf[less], index.leaf[index.heir[less]]], axis=1)
    return sorted(pair.tobytes() for pair in pairs)


def _check_segment(archive: Archive, table: str, segment: int, path: Path, number: int, tokens: np.ndarray) -> None:
    index, name = archive.index(table), archive.relative(path)
    here = np.flatnonzero(index.segment == segment)
    first = 0
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            part = file.read_row_group(group).combine_chunks()
            mine = here[first : first + part.num_rows]
            gone = (index.died[mine] > 0) & (index.died[mine] <= number)
            if len(mine) < part.num_rows or (rows.leaf_matrix(part["leaf"]) != index.leaf[mine]).any():
                raise Tampered(f"file {name} has other leaves than it had")
            if (rows.is_blank(part) != gone).any():
                raise Tampered(f"file {name} has other blank rows than those that died")
            parents = [part["a"].to_numpy(), part["b"].to_numpy(), pc.list_flatten(part["others"]).to_numpy()]
            if sets.among(np.concatenate(parents), tokens).any():
                raise Tampered(f"file {name} has a token of what was disposed of")
            first += part.num_rows
    if first != len(here):
        raise Tampered(f"file {name} has {first} rows: it had {len(here)}")


@dataclass(frozen=True, slots=True)
class _Dead:
    """The rows of one segment that died by one disposal."""

    table: str
    segment: int
    rows: np.ndarray


def _dead(archive: Archive, number: int) -> dict[Path, _Dead]:
    found = {}
    for name in TABLES:
        index = archive.index(name)
        at = np.flatnonzero(index.died == number)
        for segment in sets.distinct(index.segment[at]).tolist():
            found[index.paths[segment]] = _Dead(name, segment, index.row[at[index.segment[at] == segment]])
    return found


def _tokens(archive: Archive, number: int) -> list[int]:
    disposal = archive.history.disposals[number - 1]
    return disposal.nominals + disposal.records


def _lists(archive: Archive) -> list[Path]:
    """The files in which disposals name tokens of who and what lives on, for as long as it does."""
    return [archive.disposal_file(d.number, name) for d in archive.history.disposals for name in _NAMING]


def _list(path: Path) -> pa.Table:
    return rows.read_table(path, _NAMING[path.stem])


def _list_without(archive: Archive, path: Path, tokens: np.ndarray) -> pa.Table:
    """What a list may still say once the secrets of `tokens` are destroyed."""
    held = _list(path)
    left = held.filter(pa.array(~sets.among(held["token"].to_numpy(), tokens))).combine_chunks()
    return propagation.blurred(archive, left) if path.stem == "gaps" else left


_NAMING = {"again": propagation.AGAIN, "gaps": propagation.GAPS}


def _beside(archive: Archive, number: int, path: Path) -> Path:
    return _staged(archive, number) / archive.relative(path).replace("/", "__")


def _staged(archive: Archive, number: int) -> Path:
    return archive.root / "store" / "disposals" / f"{number:04d}" / "staged"
