"""Saved disclosure queries: kept by tokens, so that whoever is disposed of drops out and the rest is still asked.

    disclosure/ID.query     sealed: tokens, times, networks; and why it was asked, sealed once more under the secrets of
                            everybody it asks about, since those words may name any of them
    disclosure/ID.answer    sealed: what its answer was when it was last looked at, as digests

Who writes here: the disclosure officer's commands. If a `.query` is lost, so is what to ask; if an `.answer` is, the
next look takes everything for new. A liar who edits either is found by the digest in the log.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from provenance import canonical, durable, entries, queries, rows, vault
from provenance.archive import Archive
from provenance.errors import Conflict, Missing, Tampered
from provenance.notes import decode_base64, encode_base64
from provenance.queries import Query
from provenance.sealing import keyed_digests, open_batch, opened_blob, seal_batch, sealed_blob

_PURPOSE = "purpose"  # labels its sealing, as a table's name does


@dataclass(frozen=True, slots=True)
class Saved:
    """A query as it stands in the log, and what is left of it."""

    act: entries.Requested
    query: Query | None  # None: everybody it asked about has been disposed of
    lost: int  # subjects that have been

    @property
    def id(self) -> str:
        return self.act.query


def save(archive: Archive, query: Query, *, on: str, by: str, under: str) -> Saved:
    """Keep a query and log that it was made. Raises Missing where the archive never knew somebody it names, Conflict
    where the same one is saved already."""
    tokens = _tokens(archive, query)
    known = [token for token in tokens.values() if token]
    if len(known) < len(tokens):
        raise Missing(
            f"{len(tokens) - len(known)} of the {len(tokens)} nominals asked about are not there: never received, or "
            "disposed of since"
        )
    z = _joined(archive, known)
    (leaf,), (box,) = seal_batch(_PURPOSE, [z], [query.purpose.encode()])
    content = canonical.dumps(
        {"query": queries.stored(query, tokens), "purpose": {"leaf": leaf.hex(), "box": encode_base64(box)}}
    )
    id = keyed_digests(archive.vault.archive_secret, [f"query {on} " + hashlib.sha256(content).hexdigest()])[0].hex()[
        :16
    ]
    sealed = sealed_blob(archive.vault.archive_secret, f"query {id}", content)
    with archive.writing():
        if any(act.query == id for act in archive.acts(["Requested"]) if isinstance(act, entries.Requested)):
            raise Conflict(f"query {id} was saved in this second already: nothing is left to do")
        durable.write(_path(archive, id, "query"), sealed, mode=0o600)
        act = entries.Requested(
            on=on, by=by, under=under, query=id, case=query.case, nominals=entries.packed(known),
            sealed=hashlib.sha256(sealed).hexdigest(),
        )  # fmt: skip
        archive.append(act)
    return Saved(act, query, 0)


def every(archive: Archive) -> list[Saved]:
    """All saved queries, in the order in which they were saved."""
    archive.refresh()
    return [_read(archive, act) for act in archive.acts(["Requested"]) if isinstance(act, entries.Requested)]


def find(archive: Archive, id: str) -> Saved:
    """The query of an id, or of the first digits of it. Raises Missing."""
    archive.refresh()
    found = [
        act for act in archive.acts(["Requested"]) if isinstance(act, entries.Requested) and act.query.startswith(id)
    ]
    if len(found) != 1 or len(id) < 4:
        raise Missing(
            f"{len(found)} saved queries have an id that begins so: wanted one, see `provenance disclose status`"
        )
    return _read(archive, found[0])


def keep_answer(archive: Archive, id: str, parts: dict[str, Any]) -> str:
    """Put away the parts of an answer; the SHA-256 of the file."""
    sealed = sealed_blob(archive.vault.archive_secret, f"answer {id}", canonical.dumps(parts))
    durable.write(_path(archive, id, "answer"), sealed, mode=0o600)
    return hashlib.sha256(sealed).hexdigest()


def read_answer(archive: Archive, id: str, sha256: str) -> dict[str, Any]:
    """What `keep_answer` kept. {} where it is not there, or is of an act that was cut off before it was logged: then
    all is told as new. Raises Tampered where the archive did not write it."""
    path = _path(archive, id, "answer")
    if not path.exists():
        return {}
    sealed = path.read_bytes()
    content: dict[str, Any] = canonical.loads(opened_blob(archive.vault.archive_secret, f"answer {id}", sealed))
    return content if hashlib.sha256(sealed).hexdigest() == sha256 else {}


def _read(archive: Archive, act: entries.Requested) -> Saved:
    path = _path(archive, act.query, "query")
    try:
        sealed = path.read_bytes()
    except FileNotFoundError as error:
        raise Missing(f"file {archive.relative(path)} is missing: what a saved query asks lies in it") from error
    if hashlib.sha256(sealed).hexdigest() != act.sealed:
        raise Tampered(f"file {archive.relative(path)} is not the one that was logged: preserve it")
    content = canonical.loads(opened_blob(archive.vault.archive_secret, f"query {act.query}", sealed))
    tokens = np.array(entries.unpacked(act.nominals), np.int64)
    there = [t for t in tokens[archive.vault.retained(tokens)].tolist() if t not in archive.history.gone]
    names = vault.nominal_ids(archive.vault.keys(np.array(there, np.int64))).to_pylist()
    purpose = ""
    if len(there) == len(tokens):
        z = _joined(archive, there)
        said = content["purpose"]
        purpose = open_batch(_PURPOSE, [z], [bytes.fromhex(said["leaf"])], [decode_base64("box", said["box"])])[
            0
        ].decode()
    query, lost = queries.restored(content["query"], dict(zip(there, names, strict=True)), purpose)
    return Saved(act, query, lost)


def _tokens(archive: Archive, query: Query) -> dict[str, int]:
    people = query.people
    found = archive.vault.tokens(vault.nominal_keys(pa.array(people, pa.string())))
    gone = archive.history.gone
    return {who: 0 if token in gone else token for who, token in zip(people, found.tolist(), strict=True)}


def _joined(archive: Archive, tokens: list[int]) -> bytes:
    """Z of what is sealed under these tokens, or under the archive's own where there are none."""
    ordered = np.array(sorted(tokens) or [vault.ARCHIVE_TOKEN], np.int64)
    z: bytes = rows.joined(archive.vault.secrets_of(ordered), np.array([len(ordered)]))[0].as_py()
    return z


def _path(archive: Archive, id: str, kind: str) -> Path:
    return archive.root / "disclosure" / f"{id}.{kind}"
