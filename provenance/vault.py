"""The one store that forgets: a secret and a token for every nominal and every record.

A token is the random number that stands for a parent in files; the secret is what its rows are sealed under. Both are
drawn once, kept here only, and die together. The vault is a keyring, sealed under the master key, and shards, each
sealed under a key of its own that only the keyring holds; so drawing a new master key closes every older copy of the
vault.

For a time that params set, it also knows again what it has forgotten: keyed digests of the names, in one file per
month in which they end, each under a key that goes with it. Nothing else could tell that an erased id has come back.

Who writes: one process at a time, under the folder's writer lock. If it is lost, no row can be read ever again, and
the roots still stand. A liar who could edit it could make rows unreadable, never make them say something else: opening
a row ends by comparing its leaf. The master key never lies in this folder.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import canonical, durable, sets
from provenance.errors import Conflict, Malformed, Missing, Tampered
from provenance.keys import Master, Replaceable
from provenance.sealing import SECRET, keyed_digests, opened_blob, sealed_blob
from provenance.tokens import Sorted

ARCHIVE_TOKEN = 0  # stands for the archive's own secret, under which rows without a personal parent lie
_SEPARATOR = "\x1f"  # a control character, which the input contract refuses in every cell
_MOST_SHARDS = 24

# In the order of the names, so that one name is found by halving and all of them compress to a few bytes each.
_SHARD = pa.schema([("token", pa.int64()), ("secret", pa.binary(SECRET)), ("key", pa.string())])
_WRITTEN = pa.ipc.IpcWriteOptions(compression="zstd")
_LATELY = 50_000  # names whose tokens are remembered at most
_HALVED = 64  # names up to which halving is quicker than one pass over a shard


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


@dataclass(frozen=True, slots=True)
class _Forgotten:
    """Names that were disposed of, recognisable until `until`, a month: YYYY-MM."""

    until: str
    name: str
    key: bytes


@dataclass(frozen=True, slots=True)
class _Ring:
    """What the keyring says."""

    archive: bytes
    derived: bytes
    disposals: int
    shards: tuple[_Shard, ...]
    forgotten: tuple[_Forgotten, ...]

    @property
    def files(self) -> set[str]:
        return {f"{s.name}.shard" for s in self.shards} | {f"{f.name}.forgotten" for f in self.forgotten}

    def sealed(self, master: Master) -> bytes:
        content = {
            "archive": self.archive.hex(),
            "derived": self.derived.hex(),
            "disposals": self.disposals,
            "forgotten": [{"key": f.key.hex(), "name": f.name, "until": f.until} for f in self.forgotten],
            "shards": [{"key": s.key.hex(), "name": s.name, "rows": s.rows} for s in self.shards],
        }
        return master.seal("vault keyring", canonical.dumps(content))

    @classmethod
    def opened(cls, master: Master, sealed: bytes) -> _Ring:
        content = canonical.loads(master.open("vault keyring", sealed))
        try:
            return cls(
                bytes.fromhex(content["archive"]),
                bytes.fromhex(content["derived"]),
                content["disposals"],
                tuple(_Shard(s["name"], bytes.fromhex(s["key"]), s["rows"]) for s in content["shards"]),
                tuple(_Forgotten(f["until"], f["name"], bytes.fromhex(f["key"])) for f in content["forgotten"]),
            )
        except KeyError:
            raise Malformed(
                "the vault's keyring is of another version of this program: make the archive again"
            ) from None


class _Run:
    """One shard in memory: found by token, and by name."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows
        tokens = rows["token"].to_numpy()
        self.in_file = np.argsort(tokens)
        self.tokens = Sorted(tokens[self.in_file])
        self.by_key = np.empty(len(tokens), np.int64)  # by place in the file: place in the order of tokens
        self.by_key[self.in_file] = np.arange(len(tokens))
        chunk = rows["secret"].chunk(0)
        raw = np.frombuffer(chunk.buffers()[1], np.uint8)
        self._secrets = raw[chunk.offset * SECRET : (chunk.offset + len(chunk)) * SECRET].reshape(-1, SECRET)

    def secrets(self, at: np.ndarray) -> np.ndarray:
        """The secrets of tokens, (n, 32) uint8, by their place in `tokens`."""
        return self._secrets.take(self.in_file.take(at), axis=0)  # a tenth of the time of indexing

    def places(self, asked: pa.Array) -> np.ndarray:
        """Where in the file each name stands, int64; -1 where it does not. `asked` has no name twice."""
        keys = self.rows["key"].chunk(0)
        if len(asked) <= _HALVED:
            return np.array([_halved(keys, name) for name in asked.to_pylist()], np.int64)
        if len(asked) * 4 > len(keys):
            return pc.fill_null(pc.index_in(asked, value_set=keys), -1).to_numpy().astype(np.int64)
        # Few are asked for: a hash table of those and one pass over all is faster than the other way round.
        at = pc.index_in(keys, value_set=asked)
        held = pc.is_valid(at).to_numpy(zero_copy_only=False)
        places = np.full(len(asked), -1, np.int64)
        places[at.drop_null().to_numpy()] = np.flatnonzero(held)
        return places


def _halved(keys: pa.StringArray, name: str) -> int:
    """The place of a name among sorted ones, -1 where it is not there. Arrow sorts text by its bytes in UTF-8."""
    wanted, low, high = name.encode(), 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle].as_buffer().to_pybytes() < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(keys) and keys[low].as_py() == name else -1


class Vault:
    """All secrets of one archive, in memory while it is open."""

    def __init__(self, folder: Path, master: Master) -> None:
        """Open. Raises Missing or Tampered naming the file: the keyring, or the shard."""
        self.folder = folder
        self._master = master
        self._load()

    @classmethod
    def create(cls, folder: Path, master: Master, draw: Callable[[int], bytes] = os.urandom) -> Vault:
        """An empty vault with an archive secret. Raises Conflict where one stands already."""
        with durable.one_writer(folder):
            if (folder / "keyring").exists():
                raise Conflict(f"vault {folder.name} holds a keyring already: wanted an empty folder")
            ring = _Ring(draw(SECRET), draw(SECRET), 0, (), ())
            durable.write(folder / "keyring", ring.sealed(master), mode=0o600)
        return cls(folder, master)

    @classmethod
    def opens(cls, folder: Path, master: Master) -> bool:
        """Whether this is the master key under which the keyring lies now."""
        try:
            _Ring.opened(master, _read(folder / "keyring", "the vault's keyring"))
        except Tampered:
            return False
        return True

    def __repr__(self) -> str:
        return f"Vault({sum(len(run.tokens) for run in self._runs)} parents)"

    @property
    def archive_secret(self) -> bytes:
        """32 bytes that no disposal touches."""
        return self._ring.archive

    @property
    def derived_secret(self) -> bytes:
        """32 bytes for what is derived from rows and kept beside them: drawn anew by every disposal."""
        return self._ring.derived

    @property
    def disposals(self) -> int:
        """How many of the log's disposals were carried out upon this vault."""
        return self._ring.disposals

    @property
    def files(self) -> list[str]:
        """Names of the files that hold it, in its folder."""
        return ["keyring", *sorted(self._ring.files)]

    @property
    def is_current(self) -> bool:
        """Whether the keyring on disk is still the one that was read."""
        return _read(self.folder / "keyring", "the vault's keyring") == self._sealed

    def admit(self, keys: pa.Array, draw: Callable[[int], bytes] = os.urandom) -> np.ndarray:
        """Tokens of `keys`, int64; those not yet known get a new token and secret, on disk before this returns."""
        tokens = self.tokens(keys)
        if tokens.all():
            return tokens
        with durable.one_writer(self.folder):
            if not self.is_current:  # another process has admitted some meanwhile
                self._load()
                tokens = self.tokens(keys)
            fresh = pc.unique(_whole(keys).filter(pa.array(tokens == 0)))
            if len(fresh):
                self._add(fresh.take(pc.sort_indices(fresh)), draw)
        return self.tokens(keys)

    def drop(
        self,
        tokens: np.ndarray,
        master: Replaceable,
        *,
        disposals: int,
        until: str,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Destroy the secrets and names of `tokens`, as the log's first `disposals` disposals want it.

        A new master key closes every older copy. What the names were is recognised until the month `until` (YYYY-MM).
        Tokens that are not held, because an earlier try got as far, are passed over. When this is interrupted, the
        vault is as it was or as it is to be; `Custody.recover` tells which of the two keys is in use.
        """
        with durable.one_writer(self.folder):
            if not self.is_current:
                self._load()
            ring = self._ring
            gone = tokens[self.retained(tokens) & (tokens != ARCHIVE_TOKEN)]
            left = [
                self._without(shard, rows, gone, draw) for shard, rows in zip(ring.shards, self._parts, strict=True)
            ]
            forgotten = ring.forgotten
            if len(gone):
                forgotten = self._with_forgotten(self.keys(gone), until, draw)
            kept = [(shard, rows) for shard, rows in left if shard.rows]
            new = _Ring(ring.archive, draw(SECRET), disposals, tuple(shard for shard, _ in kept), forgotten)
            self._replace(new, master, [rows for _, rows in kept])

    def relock(self, master: Replaceable, draw: Callable[[int], bytes] = os.urandom) -> None:
        """Seal all of it anew under a new master key; every older copy of the vault is closed.

        The shards too, so that who has an old keyring open has nothing of what lies here. Secrets stay what they are:
        who has both an old vault and its key has them for good.
        """
        with durable.one_writer(self.folder):
            if not self.is_current:
                self._load()
            shards = tuple(self._write_shard(rows, draw) for rows in self._parts)
            self._replace(dataclasses.replace(self._ring, shards=shards), master, self._parts)

    def named(self, words: Collection[str]) -> np.ndarray:
        """Tokens of the nominals and records whose id is one of `words`, which are casefolded; in no order."""
        found, wanted = [np.zeros(0, np.int64)], pa.array(list(words), pa.string())
        for run in self._runs:
            ids = pc.replace_substring_regex(run.rows["key"].chunk(0), f"^.*{_SEPARATOR}", "")
            said = pc.is_in(pc.utf8_lower(ids), value_set=wanted).to_numpy(zero_copy_only=False)
            rare = np.flatnonzero(~pc.string_is_ascii(ids).to_numpy(zero_copy_only=False))  # ß is ss where it is folded
            said[rare] = [id.casefold() in words for id in ids.take(pa.array(rare)).to_pylist()]
            found.append(run.rows["token"].to_numpy()[said])
        return np.concatenate(found)

    def is_forgotten(self, keys: pa.Array, month: str) -> np.ndarray:
        """True where a name was disposed of and is still to be recognised in `month` (YYYY-MM)."""
        found = np.zeros(len(keys), bool)
        for held in (held for held in self._ring.forgotten if held.until >= month):
            known = np.frombuffer(self._known[held.name], "S32")
            found |= sets.among(np.array(keyed_digests(held.key, keys.to_pylist()), "S32"), known)
        return found

    def lapse(self, month: str, master: Replaceable) -> bool:
        """Let what was to be recognised until before `month` (YYYY-MM) go for good; True if there was any."""
        if all(held.until >= month for held in self._ring.forgotten):
            return False
        with durable.one_writer(self.folder):
            self._load()
            ring = self._ring
            kept = tuple(held for held in ring.forgotten if held.until >= month)
            new = _Ring(ring.archive, ring.derived, ring.disposals, ring.shards, kept)
            self._replace(new, master, self._parts)
        return True

    def welcome(self, keys: pa.Array, master: Replaceable, draw: Callable[[int], bytes] = os.urandom) -> None:
        """Recognise these names no longer: a person has decided that they may come back."""
        with durable.one_writer(self.folder):
            self._load()
            ring, kept = self._ring, []
            for held in ring.forgotten:
                digests = set(keyed_digests(held.key, keys.to_pylist()))
                known = self._known[held.name]
                left = [known[at : at + 32] for at in range(0, len(known), 32) if known[at : at + 32] not in digests]
                kept.append(self._write_forgotten(held.until, held.key, left, draw))
            new = _Ring(ring.archive, ring.derived, ring.disposals, ring.shards, tuple(kept))
            self._replace(new, master, self._parts)

    def _replace(self, ring: _Ring, master: Replaceable, parts: Sequence[pa.Table]) -> None:
        """Put a new keyring under a new master key in the place of the old ones, then remove what it does not name."""
        self._master = master.replace(
            lambda fresh: durable.write(self.folder / "keyring", ring.sealed(fresh), mode=0o600)
        )
        self._tidy(ring)
        self._hold(ring, _read(self.folder / "keyring", "the vault's keyring"), parts)

    def _without(
        self, shard: _Shard, rows: pa.Table, tokens: np.ndarray, draw: Callable[[int], bytes]
    ) -> tuple[_Shard, pa.Table]:
        dead = sets.among(rows["token"].to_numpy(), tokens)
        if not dead.any():
            return shard, rows
        left = rows.filter(pa.array(~dead)).combine_chunks()
        return self._write_shard(left, draw), left

    def _write_shard(self, rows: pa.Table, draw: Callable[[int], bytes]) -> _Shard:
        shard = _Shard(draw(8).hex(), draw(SECRET), rows.num_rows)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, _SHARD, options=_WRITTEN) as writer:
            writer.write_table(rows.combine_chunks())
        durable.write(self.folder / f"{shard.name}.shard", _sealed_shard(shard, sink.getvalue()), mode=0o600)
        return shard

    def _with_forgotten(self, keys: pa.Array, until: str, draw: Callable[[int], bytes]) -> tuple[_Forgotten, ...]:
        same = [held for held in self._ring.forgotten if held.until == until]
        others = tuple(held for held in self._ring.forgotten if held.until != until)
        key, known = draw(SECRET), b""
        for held in same:
            key, known = held.key, self._known[held.name]
        digests = [known[at : at + 32] for at in range(0, len(known), 32)] + keyed_digests(key, keys.to_pylist())
        return (*others, self._write_forgotten(until, key, digests, draw))

    def _write_forgotten(
        self, until: str, key: bytes, digests: list[bytes], draw: Callable[[int], bytes]
    ) -> _Forgotten:
        held = _Forgotten(until, draw(8).hex(), key)
        sealed = sealed_blob(key, f"vault forgotten {held.name}", b"".join(sorted(set(digests))))
        durable.write(self.folder / f"{held.name}.forgotten", sealed, mode=0o600)
        return held

    def _read_forgotten(self, held: _Forgotten) -> bytes:
        name = f"vault/{held.name}.forgotten"
        sealed = _read(self.folder / f"{held.name}.forgotten", f"file {name}")
        try:
            return opened_blob(held.key, f"vault forgotten {held.name}", sealed)
        except Tampered:
            raise Tampered(f"file {name} does not open: a byte of it was changed") from None

    def tokens(self, keys: pa.Array) -> np.ndarray:
        """Tokens of `keys`, int64; 0 where the key is not known."""
        if not len(keys):
            return np.zeros(0, np.int64)
        asked = pc.unique(_whole(keys))
        tokens = self._asked_lately(asked) if len(asked) <= _LATELY else self._looked_up(asked)
        return tokens if len(asked) == len(keys) else tokens[_whole(pc.index_in(keys, value_set=asked)).to_numpy()]

    def _asked_lately(self, asked: pa.Array) -> np.ndarray:
        """One piece of work asks for the same few thousand names several times over."""
        names = asked.to_pylist()
        if unknown := [name for name in names if name not in self._lately]:
            if len(self._lately) > _LATELY:
                self._lately = {}
                unknown = names
            found = self._looked_up(pa.array(unknown, pa.string())).tolist()
            self._lately.update((name, token) for name, token in zip(unknown, found, strict=True) if token)
        return np.fromiter((self._lately.get(name, 0) for name in names), np.int64, len(names))

    def _looked_up(self, asked: pa.Array) -> np.ndarray:
        tokens = np.zeros(len(asked), np.int64)
        for run in self._runs:
            at = run.places(asked)
            tokens[at >= 0] = run.tokens.values[run.by_key[at[at >= 0]]]
        return tokens

    def retained(self, tokens: np.ndarray) -> np.ndarray:
        """True where the token's secret is still held (the archive's own always is)."""
        held = tokens == ARCHIVE_TOKEN
        left = np.flatnonzero(~held)
        for run in self._runs:  # the largest first, which leaves few for the others
            here = run.tokens.find(tokens.take(left)) >= 0
            held[left[here]] = True
            left = left[~here]
            if not len(left):
                break
        return held

    def secrets_of(self, tokens: np.ndarray) -> np.ndarray:
        """The secrets of tokens, (n, 32) uint8. Raises Missing, with how many are not held."""
        found = np.empty((len(tokens), SECRET), np.uint8)
        left = np.flatnonzero(tokens != ARCHIVE_TOKEN)
        if len(left) < len(tokens):
            found[tokens == ARCHIVE_TOKEN] = np.frombuffer(self._ring.archive, np.uint8)
        for run in self._runs:
            if not len(left):
                break
            at = run.tokens.find(tokens[left])
            mine = at >= 0
            if len(left) == len(tokens) and mine.all():
                return run.secrets(at)
            found[left[mine]] = run.secrets(at[mine])
            left = left[~mine]
        if len(left):
            raise Missing(
                f"the vault no longer holds {len(sets.distinct(tokens[left]))} of the secrets that these rows need"
            )
        return found

    def secrets(self) -> tuple[np.ndarray, np.ndarray]:
        """Sorted tokens (n,) int64 and their secrets (n, 32) uint8, the archive's own first under token 0."""
        tokens = np.sort(np.concatenate([[ARCHIVE_TOKEN], *(run.tokens.values for run in self._runs)]).astype(np.int64))
        return tokens, self.secrets_of(tokens)

    def keys(self, tokens: np.ndarray) -> pa.Array:
        """The names behind tokens. Raises Missing when a token is not held, without saying which."""
        places, start = np.full(len(tokens), -1, np.int64), 0
        for run in self._runs:
            at = run.tokens.find(tokens)
            places[at >= 0] = start + run.in_file[at[at >= 0]]
            start += len(run.tokens)
        if lost := int((places < 0).sum()):
            raise Missing(f"the vault holds no name for {lost} of {len(tokens)} tokens")
        if not len(tokens):
            return pa.array([], pa.string())
        return _whole(pa.chunked_array([run.rows["key"].chunk(0) for run in self._runs]).take(pa.array(places)))

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
            opened = _Ring.opened(self._master, ring)
        except Tampered:
            raise Tampered(
                "the vault's keyring does not open: the master key is another one, "
                "or a byte of vault/keyring was changed"
            ) from None
        self._hold(opened, ring, [_read_shard(self.folder, shard) for shard in opened.shards])

    def _hold(
        self, opened: _Ring, sealed: bytes, parts: Sequence[pa.Table], lately: dict[str, int] | None = None
    ) -> None:
        """Have this in memory: a keyring, as it is and as it lies on disk, and what it names."""
        # Read with the rest, or a disposal by another process could take these files away before they are asked about.
        known = getattr(self, "_known", {})
        self._known = {held.name: known.get(held.name) or self._read_forgotten(held) for held in opened.forgotten}
        runs = {id(run.rows): run for run in getattr(self, "_runs", ())}  # a shard that stays is not sorted again
        self._runs = tuple(runs.get(id(part)) or _Run(part) for part in parts)
        self._ring, self._sealed, self._parts = opened, sealed, parts
        self._lately: dict[str, int] = lately or {}  # tokens by name

    def _add(self, keys: pa.Array, draw: Callable[[int], bytes]) -> None:
        count = len(keys)
        tokens = np.frombuffer(draw(8 * count), np.int64) & np.int64(2**63 - 1)
        while len(sets.distinct(tokens)) < count or self.retained(tokens).any():
            tokens = np.frombuffer(draw(8 * count), np.int64) & np.int64(2**63 - 1)
        secrets = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(SECRET), count, [None, pa.py_buffer(draw(SECRET * count))]
        )
        merged = pa.table([pa.array(tokens), secrets, keys.cast(pa.string())], schema=_SHARD)
        kept, parts = list(self._ring.shards), list(self._parts)
        # Shards double in size, so there are at most a few dozen and each secret is rewritten a few times in its life.
        while kept and (kept[-1].rows <= merged.num_rows or len(kept) >= _MOST_SHARDS):
            kept.pop()
            merged = pa.concat_tables([parts.pop(), merged])
        merged = merged.take(pc.sort_indices(merged["key"])).combine_chunks()
        ring = dataclasses.replace(self._ring, shards=(*kept, self._write_shard(merged, draw)))
        durable.write(self.folder / "keyring", ring.sealed(self._master), mode=0o600)
        self._tidy(ring)
        # What was known stays known, and what is new is among what is asked for next.
        lately = self._lately | dict(zip(keys.to_pylist(), tokens.tolist(), strict=True)) if len(keys) < _LATELY else {}
        self._hold(ring, _read(self.folder / "keyring", "the vault's keyring"), [*parts, merged], lately)

    def tidy(self) -> None:
        """Remove what a `drop` left that was cut off after it had taken effect, and before its last step."""
        with durable.one_writer(self.folder):
            if not self.is_current:
                self._load()
            self._tidy(self._ring)

    def _tidy(self, ring: _Ring) -> None:
        """Remove what the keyring does not name; also what a crash left: no key opens it any more."""
        for path in sorted(self.folder.iterdir()):
            if path.suffix in (".shard", ".forgotten", ".part") and path.name not in ring.files:
                durable.remove(path)


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
    table = pa.ipc.open_stream(content).read_all().combine_chunks()
    if table.num_rows != shard.rows:
        raise Malformed(f"shard {name} holds {table.num_rows} secrets: the keyring says {shard.rows}")
    return table


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Missing(f"{what} is not there: wanted {path.parent.name}/{path.name}") from None
