"""Whom something is about that is to be sent, and its digest: read from a pack, or from the schedule of a case."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from provenance import merkle, rows, scheduling, vault
from provenance.archive import Archive
from provenance.entries import unpacked
from provenance.errors import Malformed, Missing
from provenance.notes import decode_base64


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names and digests of its files in order, as `sha256sum` lists them."""
    if path.is_file():
        return rows.digest(path)
    lines = (
        f"{rows.digest(file)}  {file.relative_to(path).as_posix()}\n"
        for file in sorted(path.rglob("*"))
        if file.is_file()
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def subjects(
    archive: Archive,
    path: Path,
    *,
    what: str,
    case: str,
    upto: int,
    nominals: Sequence[str],
    records: Sequence[tuple[str, str]],
    separate: bool = False,
) -> tuple[set[int], set[int]]:
    """Tokens of the people and of the records that a thing is about: those named, and those that it says itself.

    Raises Missing for one that is not held, Malformed for a pack that cannot be read, or a schedule without its case.
    """
    people, crimes = set(nominals), set(records)
    if path.is_dir():
        for found in sorted(path.rglob("rows.jsonl")):
            for row in _rows(found):
                people |= {row[name] for name in ("nominal", "a", "b", "nominal_id") if row.get(name)}
                if isinstance(row.get("supports"), dict):
                    crimes |= set(zip(row["supports"]["system"], row["supports"]["record_id"], strict=True))
                elif row.get("record_id"):
                    crimes.add((row["system"], row["record_id"]))
    told = (_tokens(archive, people), _tokens(archive, crimes))
    if what == "schedule":
        if not case:
            raise Malformed("schedule is of a case: wanted its reference (--case)")
        if upto:
            scheduling.register(archive, separate=separate).item(case, upto)
        for each in scheduling.listed(archive, case, separate=separate):
            if each.item.act.item <= upto and each.said is not None:
                told[0].update(unpacked(each.item.act.nominals))
                told[1].update(unpacked(each.item.act.records))
    return told


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as handle:
        for at, line in enumerate(handle, start=1):
            place = f"{path.name}, line {at}"
            try:
                said = orjson.loads(line)
                if "entry" in said:
                    yield orjson.loads(decode_base64(place, said["entry"])[merkle.DIGEST :])
            except (ValueError, TypeError, Malformed):
                raise Malformed(f"{place}: not a row of a pack; check it first (`provenance verify`)") from None


def _tokens(archive: Archive, named: set[Any]) -> set[int]:
    if not named:
        return set()
    if isinstance(next(iter(named)), tuple):
        systems, ids = zip(*sorted(named), strict=True)
        keys = vault.record_keys(pa.array(systems, pa.string()), pa.array(ids, pa.string()))
    else:
        keys = vault.nominal_keys(pa.array(sorted(named), pa.string()))
    tokens = set(archive.vault.tokens(keys).tolist())
    if 0 in tokens:
        raise Missing("something that is to be sent is about somebody, or a record, who is not held: make it again")
    return tokens
