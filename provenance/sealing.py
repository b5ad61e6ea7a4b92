"""A row is read only while everything it was derived from is retained.

A row is sealed under the secrets of all its parents at once, so destroying any one of them closes it in every copy,
while its leaf stays in every published root. `docs/decisions/0002-sealing.md` has the measurements behind each choice.

    Z     = the parents' secrets, 32 bytes each, in token order
    salt  = HMAC-SHA256(KDF(Z, "salt"), row)
    entry = salt || row
    leaf  = SHA-256(0x00 || entry)                                            RFC 6962 2.1
    box   = AES-256-GCM(KDF(Z, "box" || leaf), nonce 0, aad leaf).encrypt(zstd(row))
    KDF(Z, what) = SHA-256(00000001 || Z || "provenance row 1" || table || 00 || what)     NIST SP 800-56C rev. 2, 4.1

The key is unique to the leaf, hence the fixed nonce. Everything is deterministic: the same row under the same secrets
gives the same leaf. So the salt need not lie in the box: opening works it out again from the row, and refuses a box
that gives another leaf than the one it is filed under.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from functools import cache
from importlib import resources

import pyarrow as pa
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from provenance.errors import Tampered

SECRET = 32  # bytes of a parent's secret, of a salt and of a leaf
LEAF = pa.binary(32)
_LABEL = b"provenance row 1"
_NONCE = bytes(12)
_FORM = zstandard.FORMAT_ZSTD1_MAGICLESS  # what is in a box can be nothing else, so it need not say what it is
_USUAL_ROW = 64 * 2**10  # bytes; room that costs nothing to set aside, where 64 MiB a row took ten times the opening


def seal_batch(table: str, secrets: Sequence[bytes], rows: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Leaves and boxes of `rows`; `secrets[i]` is Z of row i (at least one secret, in token order)."""
    prefix, salting, boxing = _labels(table)
    sha256, digest, compress = hashlib.sha256, hmac.digest, _compressor().compress
    leaves, boxes = [], []
    for z, row in zip(secrets, rows, strict=True):
        keyed = prefix + z
        salt = digest(sha256(keyed + salting).digest(), row, "sha256")
        leaf = sha256(b"\0" + salt + row).digest()
        key = sha256(keyed + boxing + leaf).digest()
        leaves.append(leaf)
        boxes.append(AESGCM(key).encrypt(_NONCE, compress(row), leaf))
    return leaves, boxes


def leaf_batch(table: str, secrets: Sequence[bytes], rows: Sequence[bytes]) -> list[bytes]:
    """The leaves alone: what a row would be filed under, to see whether it is there already."""
    prefix, salting, _ = _labels(table)
    sha256, digest = hashlib.sha256, hmac.digest
    return [
        sha256(b"\0" + digest(sha256(prefix + z + salting).digest(), row, "sha256") + row).digest()
        for z, row in zip(secrets, rows, strict=True)
    ]


def open_batch(table: str, secrets: Sequence[bytes], leaves: Sequence[bytes], boxes: Sequence[bytes]) -> list[bytes]:
    """The rows. Raises Unopened, with the table and the place in the batch, on the first box that does not open."""
    return _opened(table, secrets, leaves, boxes)[1]


def entry_batch(table: str, secrets: Sequence[bytes], leaves: Sequence[bytes], boxes: Sequence[bytes]) -> list[bytes]:
    """The entries (salt || row), which anyone can hash to the leaf; errors as for `open_batch`."""
    return [salt + row for salt, row in zip(*_opened(table, secrets, leaves, boxes), strict=True)]


def _opened(
    table: str, secrets: Sequence[bytes], leaves: Sequence[bytes], boxes: Sequence[bytes]
) -> tuple[list[bytes], list[bytes]]:
    """Salts and rows."""
    prefix, salting, boxing = _labels(table)
    sha256, digest, decompress = hashlib.sha256, hmac.digest, _decompressor().decompress
    salts, rows = [], []
    for z, leaf, box in zip(secrets, leaves, boxes, strict=True):
        keyed = prefix + z
        try:
            sealed = AESGCM(sha256(keyed + boxing + leaf).digest()).decrypt(_NONCE, box, leaf)
            try:
                row = decompress(sealed, max_output_size=_USUAL_ROW)
            except zstandard.ZstdError:
                row = decompress(sealed)
        except (InvalidTag, ValueError, zstandard.ZstdError):
            raise Unopened(table, len(rows)) from None
        salt = digest(sha256(keyed + salting).digest(), row, "sha256")
        if sha256(b"\0" + salt + row).digest() != leaf:
            raise Unopened(table, len(rows))
        salts.append(salt)
        rows.append(row)
    return salts, rows


class Unopened(Tampered):
    """One box of a batch did not open to its leaf."""

    def __init__(self, table: str, position: int) -> None:
        super().__init__(f"a sealed row of table {table} does not open to its leaf: number {position} of its batch")
        self.table, self.position = table, position


def sealed_blob(secret: bytes, label: str, content: bytes) -> bytes:
    """A whole file sealed under one secret, for what is derived and holds tokens and integers only, and for the vault.

    Deterministic: the key depends on a keyed digest of the content, so no two contents share key and nonce.
    """
    digest = hmac.digest(secret, label.encode() + b"\0" + content, "sha256")
    key = hashlib.sha256(b"\0\0\0\1" + secret + b"provenance blob 1" + label.encode() + b"\0" + digest).digest()
    return digest + AESGCM(key).encrypt(_NONCE, content, digest)


def opened_blob(secret: bytes, label: str, sealed: bytes) -> bytes:
    """What `sealed_blob` sealed. Raises Tampered naming `label` on another secret, label or a changed byte."""
    digest, box = sealed[:SECRET], sealed[SECRET:]
    key = hashlib.sha256(b"\0\0\0\1" + secret + b"provenance blob 1" + label.encode() + b"\0" + digest).digest()
    try:
        content = AESGCM(key).decrypt(_NONCE, box, digest)
    except (InvalidTag, ValueError):
        raise Tampered(f"{label} does not open: the key is another one, or a byte of it was changed") from None
    if not hmac.compare_digest(hmac.digest(secret, label.encode() + b"\0" + content, "sha256"), digest):
        raise Tampered(f"{label} does not open to its own digest")
    return content


def keyed_digests(key: bytes, names: Sequence[str]) -> list[bytes]:
    """HMAC-SHA-256 of each name, by which it is known again to whoever has the key, and to nobody else."""
    digest = hmac.digest
    return [digest(key, name.encode(), "sha256") for name in names]


def _labels(table: str) -> tuple[bytes, bytes, bytes]:
    name = table.encode()
    return b"\0\0\0\1", _LABEL + name + b"\0salt", _LABEL + name + b"\0box"


@cache
def _dictionary() -> zstandard.ZstdCompressionDict:
    """Text that rows have in common. Part of the box format: it never changes, a new one would come beside it."""
    return zstandard.ZstdCompressionDict(resources.files("provenance").joinpath("rows-1.zdict").read_bytes())


@cache
def _compressor() -> zstandard.ZstdCompressor:
    # Rows are written once and kept for good: the shortest form that costs no more than the rest of sealing.
    form = zstandard.ZstdCompressionParameters(
        format=_FORM, write_content_size=True, write_checksum=False, write_dict_id=False,
        strategy=zstandard.STRATEGY_BTLAZY2, window_log=16, chain_log=15, hash_log=15, search_log=4, min_match=4,
        target_length=32,
    )  # fmt: skip
    return zstandard.ZstdCompressor(dict_data=_dictionary(), compression_params=form)


@cache
def _decompressor() -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(dict_data=_dictionary(), format=_FORM)
