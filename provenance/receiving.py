"""An extract comes in: compared with what is already held, sealed, filed and logged.

Only what is new or different is sealed. A record that changed, or whose involvements changed, is a new version of the
record; what it replaces is marked replaced, never altered. In a full extract a record of its systems that is absent is
withdrawn. The same extract twice is received once, unless the second time somebody admits what was kept out.

What was disposed of does not come back unseen: rows that speak of it are kept out where the extract is read, and
admitted only by a person who says why (R41). An order to dispose of what is not held is not kept, since it would name
it.

Refused: an extract whose cut-off runs backwards, a delta upon something that was never received, and an extract with
more rejected rows than params allow. Nothing is written until all of that is known.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import durable, rows, sets, vault
from provenance.archive import Archive
from provenance.entries import Act, Confirmed, Feed, Quarantined, Received, Rejects, StoredFile
from provenance.errors import Conflict, Malformed, Refused
from provenance.extracts import RETURNED, Erased, Extract, Gone
from provenance.merkle import root
from provenance.tables import EXTRACT_TABLES, SOURCE_TABLES

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What receiving an extract did."""

    number: int
    again: bool  # it had been received before, so nothing was written
    fresh: Mapping[str, int]  # rows sealed, per table
    replaced: Mapping[str, int]  # rows that a newer version took the place of, or that were withdrawn, per table
    rejected: int
    returned: int = 0  # of these, rows that spoke of what was disposed of


def receive(
    archive: Archive,
    extract: Extract,
    *,
    on: str,
    by: str,
    under: str,
    max_rejects_percent: int,
    admit: str = "",
    report: Report = lambda *_: None,
) -> Receipt:
    """Take an extract into custody. `admit` is the reason for which what was disposed of may come back with it.

    Raises Malformed, Conflict or Refused, before anything is written, as the module says.
    """
    with archive.writing():
        # By the clock and by the extract's own time: a clock that is ahead would make the archive forget for good.
        archive.vault.lapse(min(on, extract.cut_off)[:7], archive.custody)
        mark, back = _mark(archive, extract), _erased_keys(archive, extract, on)
        for earlier in archive.history.extracts:
            if hmac.compare_digest(earlier.keyed_digest, mark) and not len(back):
                return Receipt(earlier.extract, True, {}, {}, 0)
        _check_order(archive, extract)
        _check_rejects(extract, max_rejects_percent)
        if len(back) and not admit:
            raise Refused(
                f"extract {extract.name} brings back {len(back)} nominals or records that were disposed of: "
                "wanted an extract read with those rows kept out, or a reason to admit them"
            )
        number = len(archive.history.extracts) + 1
        folder = archive.root / "store" / "received" / f"{number:04d}"
        shutil.rmtree(folder, ignore_errors=True)  # what a crash left: the log does not know it
        if len(back):
            archive.vault.welcome(back, archive.custody)
        fresh, replaced = _compare(archive, extract, report)
        files, leaves = {}, []
        for done, (table, content) in enumerate(fresh.items()):
            report("Sealing", done, len(fresh))
            if content.num_rows:
                sealed = archive.sealer.seal(table, content)
                leaves.append(rows.leaf_matrix(sealed.rows["leaf"]))
                path = folder / f"{table}.parquet"
                files[archive.relative(path)] = rows.write_segment(path, sealed)
        changes = pa.concat_tables(
            [rows.CHANGES.empty_table()]
            + [archive.index(table).references(positions, opened=False) for table, positions in replaced.items()]
        )
        path = folder / "changes.parquet"
        files[archive.relative(path)] = rows.write_changes(path, changes)
        durable.sync_folder(folder.parent)
        every = np.concatenate(leaves) if leaves else np.zeros((0, 32), np.uint8)
        returned = _rows(extract.rejects.filter(pc.equal(extract.rejects["reason"], RETURNED)))
        said: list[Act] = []
        if returned:
            said.append(Quarantined(on=on, by=by, under=under, extract=number, rows=returned))
        if len(back):
            said.append(Confirmed(on=on, by=by, under=under, extract=number, threshold=RETURNED, reason=admit))
        archive.append(
            Received(
                on=on,
                by=by,
                under=under,
                extract=number,
                keyed_digest=mark,
                cut_off=extract.cut_off,
                mode=extract.mode,
                systems=tuple(
                    Feed(system=name, watermark=s.watermark, records=s.records, involvements=s.involvements)
                    for name, s in extract.systems.items()
                ),
                rejects=_reasons(extract.rejects),
                segment_size=len(every),
                segment_root=root(np.sort(rows.as_keys(every)).view(np.uint8)).hex(),
                files=tuple(StoredFile(path=path, sha256=sha256) for path, sha256 in files.items()),
            ),
            *said,
        )
        report("Sealing", len(fresh), len(fresh))
    return Receipt(
        number,
        False,
        {table: content.num_rows for table, content in fresh.items()},
        {table: len(positions) for table, positions in replaced.items()},
        rejected_rows(extract),
        returned,
    )


def erased(archive: Archive, *, on: str) -> Erased:
    """What `extracts.read` asks about ids: which were disposed of, and are not to come back unseen.

    Judged at `on` (UTC) or at the extract's cut-off, whichever is earlier: a clock that is ahead lets nobody in.
    """

    def by(cut_off: str) -> Gone:
        def asked(what: str, systems: pa.Array, ids: pa.Array) -> np.ndarray:
            keys = vault.nominal_keys(ids) if what == "nominal" else vault.record_keys(systems, ids)
            found = archive.vault.tokens(keys) == 0
            if found.any():  # whatever is held was not disposed of, or was admitted again
                found[found] = archive.vault.is_forgotten(keys.filter(pa.array(found)), min(on, cut_off)[:7])
            return found

        return asked

    return by


def _erased_keys(archive: Archive, extract: Extract, on: str) -> pa.Array:
    """The vault's names of what this extract would bring back."""
    named = [
        vault.record_keys(_flat(extract.records["system"]), _flat(extract.records["record_id"])),
        *(
            vault.nominal_keys(_flat(table[column]))
            for table, column in (
                (extract.involvements, "nominal_id"),
                (extract.nominals, "nominal_id"),
                (extract.merges, "from_nominal"),
                (extract.merges, "into_nominal"),
            )
        ),
    ]
    keys = pc.unique(pa.concat_arrays(named))
    keys = keys.filter(pa.array(archive.vault.tokens(keys) == 0))
    return keys.filter(pa.array(archive.vault.is_forgotten(keys, min(on, extract.cut_off)[:7])))


def _mark(archive: Archive, extract: Extract) -> str:
    """A keyed digest of what the extract says: recognises it again, and tells nobody without the vault anything.

    Rows that are kept out count too: an extract that was received before a disposal is the same extract after it.
    """
    stated = [(name, s.watermark, s.records, s.involvements) for name, s in sorted(extract.systems.items())]
    plain = hashlib.sha256(f"{extract.cut_off} {extract.mode} {extract.since} {stated}".encode())
    for name in EXTRACT_TABLES:
        table = extract.whole.get(name, getattr(extract, name)).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        plain.update(sink.getvalue())
    return hmac.digest(archive.vault.archive_secret, b"extract\0" + plain.digest(), "sha256").hex()


def _check_order(archive: Archive, extract: Extract) -> None:
    earlier = archive.history.extracts
    for system in sorted(extract.systems):
        before = [e for e in earlier if system in {feed.system for feed in e.systems}]
        if extract.mode == "delta" and not before:
            raise Conflict(
                f"delta extract {extract.name} stands on nothing: system {system} was never received; "
                "wanted a full extract first"
            )
        if before and extract.cut_off < before[-1].cut_off:
            raise Conflict(
                f"extract {extract.name} runs backwards: its cut-off is {extract.cut_off}, "
                f"{system} was last received up to {before[-1].cut_off}"
            )
        if extract.since and before and before[-1].cut_off != extract.since:
            raise Conflict(
                f"delta extract {extract.name} stands on {extract.since}, which was never received: "
                f"{system} was last received up to {before[-1].cut_off}"
            )


def _check_rejects(extract: Extract, most: int) -> None:
    faulty = extract.rejects.filter(pc.not_equal(extract.rejects["reason"], RETURNED))
    offered, rejected = sum(extract.offered.values()), _rows(faulty)
    if rejected * 100 > offered * most:
        first = faulty.slice(0, 1).to_pylist()[0]
        raise Malformed(
            f"extract {extract.name} has {rejected} rejected rows of {offered}: params let at most {most} % through. "
            f"The first: {first['file']} line {first['line']}, column {first['column']}: {first['reason']}, "
            f"found {first['found']!r}, wanted {first['wanted']}"
        )


def rejected_rows(extract: Extract) -> int:
    """How many rows were turned away; one row may be named for several reasons."""
    return _rows(extract.rejects)


def _rows(rejects: pa.Table) -> int:
    return rejects.group_by(["file", "line"]).aggregate([]).num_rows


def _reasons(rejects: pa.Table) -> tuple[Rejects, ...]:
    counted = rejects.group_by("reason").aggregate([([], "count_all")]).sort_by("reason")
    return tuple(Rejects(reason=row["reason"], count=row["count_all"]) for row in counted.to_pylist())


def _compare(archive: Archive, extract: Extract, report: Report) -> tuple[dict[str, pa.Table], dict[str, np.ndarray]]:
    """What must be sealed, and which rows held so far it replaces."""
    fresh, replaced = {}, {}
    report("Comparing with what is held", 0, 3)
    fresh["record"], fresh["involvement"], replaced["record"], replaced["involvement"] = _records(archive, extract)
    report("Comparing with what is held", 1, 3)
    fresh["person"], replaced["person"] = _persons(archive, extract)
    report("Comparing with what is held", 2, 3)
    archive.sealer.subjects("identity", extract.merges)  # an order may be about somebody whom only a merge names
    fresh["identity"] = _unseen(archive, "identity", extract.merges)
    fresh["order"] = _unseen(archive, "order", _held_orders(archive, extract.disposals))
    report("Comparing with what is held", 3, 3)
    return {table: fresh[table] for table in SOURCE_TABLES}, replaced


def _records(archive: Archive, extract: Extract) -> tuple[pa.Table, pa.Table, np.ndarray, np.ndarray]:
    held, parts = archive.index("record"), archive.index("involvement")
    record, involvement = extract.records, extract.involvements
    tokens = archive.vault.admit(vault.record_keys(record["system"], record["record_id"]))
    owners, _ = archive.sealer.subjects("involvement", involvement)

    seen, versions = np.unique(held.a[held.died == 0], return_counts=True)
    version = _looked_up(tokens, seen, versions)
    current = np.flatnonzero((held.replaced == 0) & (held.died == 0))
    standing = _looked_up(tokens, *_by_token(held.a[current], current), default=-1)

    # A record is as it was when its own row and the set of its involvements would be filed under the same leaves.
    changed = standing < 0
    same = np.flatnonzero(~changed)
    if len(same):
        ours = rows.leaf_matrix(archive.sealer.leaves("record", _versioned(record, version).take(pa.array(same))))
        changed[same] = (ours != held.leaf[standing[same]]).any(axis=1)
    known = sets.among(owners, tokens[standing >= 0])
    new_part = np.ones(len(owners), bool)
    standing_parts = (parts.replaced == 0) & (parts.died == 0)
    old = np.flatnonzero(standing_parts & sets.among(parts.a, tokens[standing >= 0]))
    ended = old
    if known.any():
        at = np.flatnonzero(known)
        ours = rows.as_keys(rows.leaf_matrix(archive.sealer.leaves("involvement", involvement.take(pa.array(at)))))
        theirs = rows.as_keys(parts.leaf[old])
        new_part[at] = ~sets.among(ours, theirs)
        ended = old[~sets.among(theirs, ours)]
    touched = np.concatenate([owners[known & new_part], parts.a[ended]])
    changed |= sets.among(tokens, touched)

    gone_records, gone_parts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    if extract.mode == "full" and len(current):
        systems = pc.list_element(pc.split_pattern(archive.vault.keys(held.a[current]), "\x1f"), 1)
        mine = pc.is_in(systems, value_set=pa.array(sorted(extract.systems))).to_numpy(zero_copy_only=False)
        gone_records = current[mine & ~sets.among(held.a[current], tokens)]
        gone_parts = np.flatnonzero(standing_parts & sets.among(parts.a, held.a[gone_records]))
    return (
        _versioned(record, version + 1).filter(pa.array(changed)),
        involvement.filter(pa.array(new_part)),
        np.concatenate([standing[changed & (standing >= 0)], gone_records]),
        np.concatenate([ended, gone_parts]),
    )


def _persons(archive: Archive, extract: Extract) -> tuple[pa.Table, np.ndarray]:
    held = archive.index("person")
    tokens, _ = archive.sealer.subjects("person", extract.nominals)
    current = np.flatnonzero((held.replaced == 0) & (held.died == 0))
    standing = _looked_up(tokens, *_by_token(held.a[current], current), default=-1)
    changed = standing < 0
    same = np.flatnonzero(~changed)
    if len(same):
        ours = rows.leaf_matrix(archive.sealer.leaves("person", extract.nominals.take(pa.array(same))))
        changed[same] = (ours != held.leaf[standing[same]]).any(axis=1)
    return extract.nominals.filter(pa.array(changed)), standing[changed & (standing >= 0)]


def _held_orders(archive: Archive, orders: pa.Table) -> pa.Table:
    """The orders that name something held; the others would only bring a name into the vault."""
    of_nominal = pc.equal(orders["what"], "nominal")
    ids, systems = _flat(orders["id"]), _flat(orders["system"])
    keys = pc.if_else(_flat(of_nominal), vault.nominal_keys(ids), vault.record_keys(systems, ids))
    return orders.filter(pa.array(archive.vault.tokens(keys) > 0))


def _unseen(archive: Archive, table: str, content: pa.Table) -> pa.Table:
    """Judgements and orders are events: they are added, never replaced."""
    held = archive.index(table)
    if not content.num_rows or not len(held):
        return content
    ours = rows.as_keys(rows.leaf_matrix(archive.sealer.leaves(table, content)))
    return content.filter(pa.array(~sets.among(ours, rows.as_keys(held.leaf[held.died == 0]))))


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column if isinstance(column, pa.Array) else pa.concat_arrays([pa.array([], column.type), *column.chunks])


def _versioned(record: pa.Table, version: np.ndarray) -> pa.Table:
    return record.append_column("version", pa.array(version, pa.int64()))


def _by_token(tokens: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(tokens, kind="stable")
    return tokens[order], values[order]


def _looked_up(tokens: np.ndarray, known: np.ndarray, values: np.ndarray, default: int = 0) -> np.ndarray:
    """The value that goes with each token; `known` is sorted."""
    if not len(known):
        return np.full(len(tokens), default, np.int64)
    at = np.searchsorted(known, tokens)
    at[at == len(known)] = 0
    return np.where(known[at] == tokens, values[at], default)
