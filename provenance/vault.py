"""The one store that forgets: a secret and a token for every nominal and every record.

A token is the random number that stands for a parent in files; the secret is what its rows are sealed under. Both are
drawn once, kept here only, and die together. The vault is a keyring, sealed under the master key, and shards, each
sealed under a key of its own that only the keyring holds; so drawing a new master key closes every older copy of the
vault.

Who writes: one process at a time, under the folder's writer lock. If it is lost, no row can be read ever again, and
the roots still stand. A liar who could edit it could make rows unreadable, never make them say something else: opening
a row ends by comparing its leaf. The master key never lies in this folder.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import canonical, durable
from provenance.errors import Conflict, Malformed, Missing, Tampered
from provenance.sealing import SECRET, opened_blob, sealed_blob

ARCHIVE_TOKEN = 0  # stands for the archive's own secret, under which rows without a personal parent lie
_SEPARATOR = "\x1f"  # a control character, which the input contract refuses in every cell
_MOST_SHARDS = 24

_SHARD = pa.schema([("token", pa.int64()), ("secret", pa.binary(SECRET)), ("key", pa.string())])


def nominal_ids(keys: pa.Array) -> pa.Array:
    """The ids within the vault's names for nominals."""
    return pc.utf8_slice_codeunits(keys, 2)


def nominal_keys(ids: pa.Array) -> pa.Array:
    """The vault's names for nominals."""
    return pc.binary_join_element_wise("n", ids, _SEPARATOR)


def record_keys(systems: pa.Array, ids: pa.Array) -> pa.Array:
    """The vault's names for records."""
    return pc.binary_join_element_wise("r", systems, ids, _SEPARATOR)


@dataclass(frozen=True, slots=True)
class _Shard:
    name: str
    key: bytes
    rows: int


class Vault:
    """All secrets of one archive, in memory while it is open."""

    def __init__(self, folder: Path, master: bytes) -> None:
        """Open. Raises Missing or Tampered naming the file: the keyring, or the shard."""
        self.folder = folder
        self._master = master
        self._load()

    @classmethod
    def create(cls, folder: Path, master: bytes, draw: Callable[[int], bytes] = os.urandom) -> Vault:
        """An empty vault with an archive secret. Raises Conflict where one stands already."""
        with durable.one_writer(folder):
            if (folder / "keyring").exists():
                raise Conflict(f"vault {folder.name} holds a keyring already: wanted an empty folder")
            _write_keyring(folder, master, draw(SECRET), [])
        return cls(folder, master)

    def __repr__(self) -> str:
        return f"Vault({len(self._tokens)} parents)"

    @property
    def archive_secret(self) -> bytes:
        """32 bytes that no disposal touches."""
        return self._archive

    def admit(self, keys: pa.Array, draw: Callable[[int], bytes] = os.urandom) -> np.ndarray:
        """Tokens of `keys`, int64; those not yet known get a new token and secret, on disk before this returns."""
        tokens = self.tokens(keys)
        if tokens.all():
            return tokens
        with durable.one_writer(self.folder):
            self._load()  # another process may have admitted some meanwhile
            fresh = pc.unique(_whole(keys).filter(pa.array(self.tokens(keys) == 0)))
            if len(fresh):
                self._add(fresh.take(pc.sort_indices(fresh)), draw)
        return self.tokens(keys)

    def tokens(self, keys: pa.Array) -> np.ndarray:
        """Tokens of `keys`, int64; 0 where the key is not known."""
        if not len(self._keys) or not len(keys):
            return np.zeros(len(keys), np.int64)
        if len(keys) * 4 > len(self._keys):
            at = _whole(pc.fill_null(pc.index_in(keys, value_set=self._keys), -1)).to_numpy()
            return np.where(at < 0, 0, self._tokens_by_key[at])
        # Few are asked for: a hash table of those and one pass over all is ten times faster than the other way round.
        asked = pc.unique(_whole(keys))
        at = pc.index_in(self._keys, value_set=asked)
        held = pc.is_valid(at)
        found = np.zeros(len(asked), np.int64)
        found[at.filter(held).to_numpy()] = self._tokens_by_key[held.to_numpy(zero_copy_only=False)]
        return found[_whole(pc.index_in(keys, value_set=asked)).to_numpy()]

    def retained(self, tokens: np.ndarray) -> np.ndarray:
        """True where the token's secret is still held (the archive's own always is)."""
        at = np.searchsorted(self._tokens, tokens)
        at[at == len(self._tokens)] = 0
        held = self._tokens[at] == tokens if len(self._tokens) else np.zeros(len(tokens), bool)
        return held | (tokens == ARCHIVE_TOKEN)

    def secrets(self) -> tuple[np.ndarray, np.ndarray]:
        """Sorted tokens (n,) int64 and their secrets (n, 32) uint8, the archive's own first under token 0."""
        return self._all_tokens, self._all_secrets

    def keys(self, tokens: np.ndarray) -> pa.Array:
        """The names behind tokens. Raises Missing when a token is not held, without saying which."""
        if not self.retained(tokens).all() or (tokens == ARCHIVE_TOKEN).any():
            raise Missing(f"the vault holds no name for {int((~self.retained(tokens)).sum())} of {len(tokens)} tokens")
        return self._keys_by_token.take(pa.array(np.searchsorted(self._tokens, tokens)))

    def _load(self) -> None:
        while True:
            ring = _read(self.folder / "keyring", "the vault's keyring")
            try:
                return self._take(ring)
            except (
                Missing
            ):  # a shard; perhaps a writer has merged it into another meanwhile and says so in a new keyring
                if _read(self.folder / "keyring", "the vault's keyring") == ring:
                    raise

    def _take(self, ring: bytes) -> None:
        try:
            content = canonical.loads(opened_blob(self._master, "vault keyring", ring))
        except Tampered:
            raise Tampered(
                "the vault's keyring does not open: the master key is another one, "
                "or a byte of vault/keyring was changed"
            ) from None
        self._archive = bytes.fromhex(content["archive"])
        self._shards = [_Shard(s["name"], bytes.fromhex(s["key"]), s["rows"]) for s in content["shards"]]
        parts = [_read_shard(self.folder, shard) for shard in self._shards]
        whole = (pa.concat_tables(parts) if parts else _SHARD.empty_table()).combine_chunks()
        tokens = whole["token"].to_numpy()
        order = np.argsort(tokens)
        secrets = np.frombuffer(
            b"".join(chunk.buffers()[1].to_pybytes()[: len(chunk) * SECRET] for chunk in whole["secret"].chunks),
            np.uint8,
        ).reshape(-1, SECRET)
        self._tokens, self._secrets = tokens[order], secrets[order]
        self._tokens_by_key = tokens
        self._keys = _whole(whole["key"])
        self._keys_by_token = self._keys.take(pa.array(order))
        self._all_tokens = np.concatenate([[ARCHIVE_TOKEN], self._tokens]).astype(np.int64)
        self._all_secrets = np.vstack([np.frombuffer(self._archive, np.uint8)[None, :], self._secrets])

    def _add(self, keys: pa.Array, draw: Callable[[int], bytes]) -> None:
        count = len(keys)
        tokens = np.frombuffer(draw(8 * count), np.int64) & np.int64(2**63 - 1)
        while len(np.unique(tokens)) < count or np.isin(tokens, self._tokens).any() or (tokens == 0).any():
            tokens = np.frombuffer(draw(8 * count), np.int64) & np.int64(2**63 - 1)
        secrets = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(SECRET), count, [None, pa.py_buffer(draw(SECRET * count))]
        )
        merged = pa.table([pa.array(tokens), secrets, keys.cast(pa.string())], schema=_SHARD)
        kept = list(self._shards)
        # Shards double in size, so there are at most a few dozen and each secret is rewritten a few times in its life.
        while kept and (kept[-1].rows <= merged.num_rows or len(kept) >= _MOST_SHARDS):
            merged = pa.concat_tables([_read_shard(self.folder, kept.pop()), merged])
        shard = _Shard(draw(8).hex(), draw(SECRET), merged.num_rows)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, _SHARD) as writer:
            writer.write_table(merged.combine_chunks())
        durable.write(self.folder / f"{shard.name}.shard", _sealed_shard(shard, sink.getvalue()), mode=0o600)
        _write_keyring(self.folder, self._master, self._archive, [*kept, shard])
        # Also what a crash left behind: a shard that no keyring names has no key and can never be read.
        named = {f"{s.name}.shard" for s in [*kept, shard]}
        for path in sorted(self.folder.iterdir()):
            if path.suffix in (".shard", ".part") and path.name not in named:
                durable.remove(path)
        self._load()


def _whole(keys: pa.Array | pa.ChunkedArray) -> pa.Array:
    return keys if isinstance(keys, pa.Array) else pa.concat_arrays([pa.array([], keys.type), *keys.chunks])


def _sealed_shard(shard: _Shard, content: bytes) -> bytes:
    return sealed_blob(shard.key, f"vault shard {shard.name}", content)


def _read_shard(folder: Path, shard: _Shard) -> pa.Table:
    name = f"vault/{shard.name}.shard"
    sealed = _read(folder / f"{shard.name}.shard", f"shard {name}")
    try:
        content = opened_blob(shard.key, f"vault shard {shard.name}", sealed)
    except Tampered:
        raise Tampered(f"shard {name} does not open: a byte of it was changed") from None
    table = pa.ipc.open_stream(content).read_all()
    if table.num_rows != shard.rows:
        raise Malformed(f"shard {name} holds {table.num_rows} secrets: the keyring says {shard.rows}")
    return table


def _write_keyring(folder: Path, master: bytes, archive: bytes, shards: list[_Shard]) -> None:
    content = canonical.dumps(
        {"archive": archive.hex(), "shards": [{"name": s.name, "key": s.key.hex(), "rows": s.rows} for s in shards]}
    )
    durable.write(folder / "keyring", sealed_blob(master, "vault keyring", content), mode=0o600)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Missing(f"{what} is not there: wanted {path.parent.name}/{path.name}") from None
