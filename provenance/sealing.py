"""A row is read only while everything it was derived from is retained.

A row is sealed under the secrets of all its parents at once, so destroying any one of them closes it in every copy,
while its leaf stays in every published root. `docs/decisions/0002-sealing.md` has the measurements behind each choice.

    Z     = the parents' secrets, 32 bytes each, in token order
    salt  = KDF(Z, "salt" || row)
    entry = salt || row
    leaf  = SHA-256(0x00 || entry)                                            RFC 6962 2.1
    box   = AES-256-GCM(KDF(Z, "box" || leaf), nonce 0, aad leaf).encrypt(zstd(row))
    KDF(Z, what) = SHA-256(00000001 || Z || "provenance row 1" || table || 00 || what)     NIST SP 800-56C rev. 2, 4.1

The key is unique to the leaf, hence the fixed nonce. Everything is deterministic: the same row under the same secrets
gives the same leaf. So the salt need not lie in the box: opening works it out again from the row, and refuses a box
that gives another leaf than the one it is filed under. Who is shown a row and its salt learns no other salt: SHA-256
can be carried on from there only for a text that begins with the whole row, and no row is the beginning of another.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Sequence
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
_SHARE = 500  # rows that are opened at a time: what they hold stays in the processor's cache
_FORM = zstandard.FORMAT_ZSTD1_MAGICLESS  # what is in a box can be nothing else, so it need not say what it is


def seal_batch(table: str, secrets: Sequence[bytes], rows: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Leaves and boxes of `rows`; `secrets[i]` is Z of row i (at least one secret, in token order)."""
    prefix, salting, boxing = _labels(table)
    sha256, compress = hashlib.sha256, _zstandard.compressor.compress
    leaves, boxes = [], []
    for z, row in zip(secrets, rows, strict=True):
        keyed = prefix + z
        salt = sha256(keyed + salting + row).digest()
        leaf = sha256(b"\0" + salt + row).digest()
        key = sha256(keyed + boxing + leaf).digest()
        leaves.append(leaf)
        boxes.append(AESGCM(key).encrypt(_NONCE, compress(row), leaf))
    return leaves, boxes


def leaf_batch(table: str, secrets: Sequence[bytes], rows: Sequence[bytes]) -> list[bytes]:
    """The leaves alone: what a row would be filed under, to see whether it is there already."""
    prefix, salting, _ = _labels(table)
    sha256 = hashlib.sha256
    return [
        sha256(b"\0" + sha256(prefix + z + salting + row).digest() + row).digest()
        for z, row in zip(secrets, rows, strict=True)
    ]


def salted(table: str, z: bytes, row: bytes) -> bytes:
    """The entry (salt || row) of one row that is not kept: whoever is given it can hash it to its leaf."""
    prefix, salting, _ = _labels(table)
    return hashlib.sha256(prefix + z + salting + row).digest() + row


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
    salts: list[bytes] = []
    rows: list[bytes] = []
    if not len(secrets) == len(leaves) == len(boxes):
        raise ValueError("secrets, leaves and boxes are of the same rows")
    for start in range(0, len(leaves), _SHARE):
        mine = slice(start, start + _SHARE)
        found = _opened_share(table, secrets[mine], leaves[mine], boxes[mine])
        if not found:  # one of them; which, is found by asking each
            each = ((at, slice(at, at + 1)) for at in range(start, len(leaves)))
            closed = (at for at, one in each if not _opened_share(table, secrets[one], leaves[one], boxes[one]))
            raise Unopened(table, next(closed))
        salts += found[0]
        rows += found[1]
    return salts, rows


def _opened_share(
    table: str, secrets: Sequence[bytes], leaves: Sequence[bytes], boxes: Sequence[bytes]
) -> tuple[list[bytes], list[bytes]] | None:
    """Salts and rows; None when one does not open. Step by step for all of them, a tenth faster than row by row."""
    prefix, salting, boxing = _labels(table)
    sha256, decompress = hashlib.sha256, _zstandard.decompressor.decompress
    keyed = [prefix + z for z in secrets]
    keys = [sha256(z + boxing + leaf).digest() for z, leaf in zip(keyed, leaves, strict=True)]
    try:
        rows = [
            decompress(AESGCM(key).decrypt(_NONCE, box, leaf))
            for key, box, leaf in zip(keys, boxes, leaves, strict=True)
        ]
    except (InvalidTag, ValueError, zstandard.ZstdError):
        return None
    salts = [sha256(z + salting + row).digest() for z, row in zip(keyed, rows, strict=True)]
    found = [sha256(b"\0" + salt + row).digest() for salt, row in zip(salts, rows, strict=True)]
    return (salts, rows) if found == list(leaves) else None


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


def sealed_by(mac: Callable[[bytes], bytes], label: str, content: bytes) -> bytes:
    """As `sealed_blob`, under a secret that only answers: `mac` is HMAC-SHA-256 under it, of messages of some 60 bytes.

    So the secret may stay in a device. Its answers are a KDF by HMAC, NIST SP 800-108 rev. 1 with one block; what the
    device was asked first, the digest, and what it is asked then, the key, begin differently.
    """
    digest = mac(b"provenance digest 1" + label.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest + AESGCM(_key_by(mac, label, digest)).encrypt(_NONCE, content, digest)


def opened_by(mac: Callable[[bytes], bytes], label: str, sealed: bytes) -> bytes:
    """What `sealed_by` sealed. Raises Tampered naming `label` on another secret, label or a changed byte."""
    digest, box = sealed[:SECRET], sealed[SECRET:]
    try:
        content = AESGCM(_key_by(mac, label, digest)).decrypt(_NONCE, box, digest)
    except (InvalidTag, ValueError):
        raise Tampered(f"{label} does not open: the key is another one, or a byte of it was changed") from None
    wanted = mac(b"provenance digest 1" + label.encode() + b"\0" + hashlib.sha256(content).digest())
    if not hmac.compare_digest(wanted, digest):
        raise Tampered(f"{label} does not open to its own digest")
    return content


def _key_by(mac: Callable[[bytes], bytes], label: str, digest: bytes) -> bytes:
    return mac(b"\0\0\0\1provenance blob 1" + label.encode() + b"\0" + digest)


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


class _Zstandard(threading.local):
    """A compressor and a decompressor for each thread: two that use one at once get neither's rows."""

    def __init__(self) -> None:
        self.compressor = _compressor()
        self.decompressor = zstandard.ZstdDecompressor(dict_data=_dictionary(), format=_FORM)


def _compressor() -> zstandard.ZstdCompressor:
    # Rows are written once and kept for good: the shortest form that costs no more than the rest of sealing.
    form = zstandard.ZstdCompressionParameters(
        format=_FORM, write_content_size=True, write_checksum=False, write_dict_id=False,
        strategy=zstandard.STRATEGY_BTLAZY2, window_log=16, chain_log=15, hash_log=15, search_log=4, min_match=4,
        target_length=32,
    )  # fmt: skip
    return zstandard.ZstdCompressor(dict_data=_dictionary(), compression_params=form)


_zstandard = _Zstandard()
