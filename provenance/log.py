"""The log keeps, in order, every act.

A folder in the layout of c2sp.org/tlog-tiles: `checkpoint`, the log's signed head; `tile/entries/`, the acts in
bundles of 256; `tile/<level>/`, the tree over them, in tiles of 256 digests, where each digest of a level stands for
a whole tile of the level below. What the checkpoint does not name is not in the log.

Who writes here: one process at a time, under the folder's writer lock, which re-reads the head before it adds to it,
so the log never forks. New bundles and tiles are durable before the checkpoint that names them, and nothing that an
earlier checkpoint named is changed; after a crash the next append writes over what no checkpoint named. If the folder
is lost, so is the proof of what happened and when. A liar who could edit it could make us believe nothing: each byte
that is read is hashed up to the signed root. With the signing key as well, he could write another history, and then
the witnesses' copies of the checkpoint disagree.

Refused: a key that is not the log's, an entry over 65,535 bytes, a head that does not continue the one seen before.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from provenance import durable, entries, merkle
from provenance.entries import Act, Unknown
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.merkle import DIGEST
from provenance.notes import Checkpoint, Note, Signer, Verifier, opened_checkpoint

_WIDTH = 256  # digests in a full tile, entries in a full bundle
_HEIGHT = 8  # levels of the tree that one tile spans
_LARGEST_ENTRY = 65_535  # bytes; a bundle prefixes each entry with its length as a uint16
_ENTRIES = "entries"  # the level's name in the path of a bundle


@dataclass(frozen=True, slots=True)
class _Head:
    """One checkpoint that was verified, and the verified tiles on the tree's right edge, lowest level first."""

    note: bytes
    checkpoint: Checkpoint
    edge: tuple[bytes, ...]


class Log:
    """The log as of one head: the head at opening, or after this object's last append."""

    def __init__(self, folder: Path, vkey: Verifier) -> None:
        """As `Log.open`."""
        self.folder = folder
        self.vkey = vkey
        self._full_tile = lru_cache(maxsize=64)(self._verified_full_tile)
        self._head = self._read_head()

    @classmethod
    def create(cls, folder: Path, *, origin: str, key: Signer) -> Log:
        """An empty log under a signed head of size 0. `origin` is the name of the key. Conflict where one stands."""
        if origin != key.verifier.name:
            raise Refused(f"log origin {origin} is not the name of the key that signs: wanted {key.verifier.name}")
        with durable.one_writer(folder):
            if (folder / "checkpoint").exists():
                raise Conflict(f"log {folder.name} is there already: wanted an empty folder")
            empty = Checkpoint(origin, 0, merkle.EMPTY_ROOT)
            durable.write(folder / "checkpoint", bytes(Note.signed(empty.text, key)))
            durable.sync_folder(folder.parent)
        return cls(folder, key.verifier)

    @classmethod
    def open(cls, folder: Path, *, vkey: Verifier) -> Log:
        """Verify the head's signature and the tree's right edge against it; reads a few files, whatever the size.

        Everything else is verified when it is read. Raises Missing, or Tampered naming the file.
        """
        return cls(folder, vkey)

    def __repr__(self) -> str:
        return f"Log({self.vkey.name}, {self.size} entries)"

    @property
    def size(self) -> int:
        return self._head.checkpoint.size

    @property
    def root(self) -> bytes:
        return self._head.checkpoint.root

    @property
    def checkpoint(self) -> bytes:
        """The signed head, as it lies on disk."""
        return self._head.note

    def append(self, acts: Sequence[Act | Unknown], *, key: Signer) -> range:
        """Log the acts in this order under one new checkpoint; their indexes. All are durable on return, or none is.

        One checkpoint commits them all, so many at a time cost little more than one. Raises Refused on another key
        and on an entry that is too long, Tampered when the head on disk does not continue the one that was open.
        """
        if key.verifier != self.vkey:
            raise Refused(
                f"log {self.vkey.name} is signed by another key: {key.verifier.key_id.hex()}, "
                f"wanted {self.vkey.key_id.hex()}"
            )
        added = [entries.to_bytes(act) for act in acts]
        for place, entry in enumerate(added):
            if len(entry) > _LARGEST_ENTRY:
                raise Refused(
                    f"log entry is too long: act {place} has {len(entry)} bytes, wanted at most {_LARGEST_ENTRY}"
                )
        with durable.one_writer(self.folder):
            self.refresh()
            before = self.size
            if added:
                self._head = self._extend(added, key)
                self._remove_replaced(before)
            return range(before, self.size)

    def refresh(self) -> None:
        """Go to the head on disk. Raises Tampered unless it continues the head that was open."""
        seen, self._head = self._head, self._read_head()
        if self._head.note == seen.note:
            return
        try:
            self._full_tile.cache_clear()
            if self.size < seen.checkpoint.size:
                raise Tampered(
                    f"log was rolled back: {self.size} entries, wanted the {seen.checkpoint.size} seen before"
                )
            past = self.root_at(seen.checkpoint.size)
            if past != seen.checkpoint.root:
                raise Tampered(
                    f"log was rewritten: its first {seen.checkpoint.size} entries have root {past.hex()}, "
                    f"seen before as {seen.checkpoint.root.hex()}"
                )
        except BaseException:
            self._head = seen
            raise

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Entries `start` up to `stop` as logged, each hashed up to the root before it is handed out.

        Raises Tampered naming the entry and the file, Missing naming the file.
        """
        stop = self.size if stop is None else stop
        if not 0 <= start <= stop <= self.size:
            raise Malformed(f"log entries: {start} up to {stop}, wanted within 0 up to {self.size}")
        for number in range(start // _WIDTH, -(-stop // _WIDTH)):
            first = number * _WIDTH
            yield from self._bundle(number)[max(start - first, 0) : stop - first]

    def acts(self, start: int = 0, stop: int | None = None) -> Iterator[Act | Unknown]:
        """The entries as acts. Raises as `entries` does, and Malformed on an entry that is no act."""
        for index, entry in enumerate(self.entries(start, stop), start):
            try:
                yield entries.from_bytes(entry)
            except Malformed as error:
                raise Malformed(f"log entry is no act: entry {index}: {error}") from error

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The path from entry `index` to the root of the first `size` entries (None: all), see `merkle.root_from_path`.

        `size` may be that of an earlier head, which somebody outside has.
        """
        return merkle.inclusion_path(index, self._within(size), self._node)

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """The path from the head of `old` entries to that of `size` (None: this one), see `merkle.check_consistency`."""
        return merkle.consistency_path(old, self._within(size), self._node)

    def _within(self, size: int | None) -> int:
        if size is not None and not 0 <= size <= self.size:
            raise Malformed(f"log head of {size} entries: wanted one of at most {self.size}, which the log has")
        return self.size if size is None else size

    def root_at(self, size: int) -> bytes:
        """The root over the first `size` entries. Raises Tampered naming the tile that does not verify."""
        return merkle.range_root(0, size, self._node) if size else merkle.EMPTY_ROOT

    def verify(self) -> None:
        """Read every tile and entry again, and hash all of them up to the head on disk.

        Tiles and bundles kept for earlier heads must be the beginnings of the present ones. What lies beyond the
        head (a crash may leave it) is not in the log, and not looked at. Raises Tampered or Missing naming the file.
        """
        self.refresh()
        self._full_tile.cache_clear()
        for level in range(len(self._head.edge)):
            for number in range(-(-_count(level, self.size) // _WIDTH)):
                tile = self._tile(level, number)
                for width, path, data in self._earlier(level, number):
                    if data != tile[: width * DIGEST]:
                        raise Tampered(f"log tile of an earlier head does not verify: {self._named(path)}")
        for number in range(-(-self.size // _WIDTH)):
            bundle = self._bundle(number)
            for width, path, data in self._earlier(_ENTRIES, number):
                if data != _packed(bundle[:width]):
                    raise Tampered(f"log entries of an earlier head do not verify: {self._named(path)}")

    def _extend(self, added: list[bytes], key: Signer) -> _Head:
        size = self.size
        number, width = divmod(size, _WIDTH)
        begun = self._bundle(number) if width else []  # verified, so that nothing unverified is written again
        for place, bundle in enumerate(_chunks(begun + added, _WIDTH)):
            self._write(_ENTRIES, number + place, len(bundle), _packed(bundle))
        edge = list(self._head.edge)
        digests = b"".join(map(merkle.leaf_hash, added))
        level = 0
        while digests:  # the new digests of this level; those of the next stand for the tiles that they complete
            if level == len(edge):
                edge.append(b"")
            number = _count(level, size) // _WIDTH
            tiles = _chunks(edge[level] + digests, _WIDTH * DIGEST)
            for place, tile in enumerate(tiles):
                self._write(level, number + place, len(tile) // DIGEST, tile)
            edge[level] = tiles.pop() if len(tiles[-1]) < _WIDTH * DIGEST else b""
            digests = b"".join(map(merkle.root, tiles))
            level += 1
        checkpoint = Checkpoint(self.vkey.name, size + len(added), _root(edge))
        note = bytes(Note.signed(checkpoint.text, key))
        durable.write(self.folder / "checkpoint", note)
        return _Head(note, checkpoint, tuple(edge))

    def _write(self, level: int | str, number: int, width: int, data: bytes) -> None:
        """Make one tile or bundle durable, and the folders it is the first in.

        Narrower files of the same tile belong to earlier heads. Wider ones than this head has were left by a crash;
        they go before this append grows past them, since then they would look as if a head had named them.
        """
        path = self._path(level, number, width)
        partials = self._path(level, number, 1).parent
        begun = min(max(_count(level, self.size) - number * _WIDTH, 0), _WIDTH)
        for left in os.listdir(partials) if partials.exists() else ():
            if not left.isdigit() or int(left) > begun:
                (partials / left).unlink()
        new = list(itertools.takewhile(lambda folder: not folder.exists(), path.parents))
        for folder in reversed(new):
            folder.mkdir()
            durable.sync_folder(folder.parent)
        durable.write(path, data)

    def _remove_replaced(self, before: int) -> None:
        """Drop the partial tiles that a full one has replaced; c2sp.org/tlog-tiles lets them go from then on.

        A crash here leaves some for good. They do no harm, and `verify` reads them.
        """
        for level in (_ENTRIES, *range(len(self._head.edge))):
            for number in range(_count(level, before) // _WIDTH, _count(level, self.size) // _WIDTH):
                partials = self._path(level, number, 1).parent
                if partials.exists():
                    shutil.rmtree(partials)

    def _read_head(self) -> _Head:
        try:
            note = (self.folder / "checkpoint").read_bytes()
        except FileNotFoundError as error:
            raise Missing(f"log file is not there: {self._named(self.folder / 'checkpoint')}") from error
        try:
            checkpoint, _ = opened_checkpoint(note, self.vkey)
        except (Malformed, Tampered) as error:
            raise Tampered(f"log checkpoint does not verify: {self.folder.name}/checkpoint: {error}") from error
        edge = []
        count = checkpoint.size
        while count:
            count, width = divmod(count, _WIDTH)
            edge.append(self._read_tile(len(edge), count, width) if width else b"")
        head = _Head(note, checkpoint, tuple(edge))
        computed = _root(edge)
        if computed != checkpoint.root:
            raise Tampered(
                f"log tile does not verify: {self._suspect(head)}: the right edge has root {computed.hex()}, "
                f"sealed as {checkpoint.root.hex()}"
            )
        return head

    def _suspect(self, head: _Head) -> str:
        """The file on the right edge that disagrees with what lies below it; for an error's message only."""
        for level, tile in enumerate(head.edge):
            number, width = divmod(_count(level, head.checkpoint.size), _WIDTH)
            below = []
            try:
                if level:
                    children = range(number * _WIDTH, number * _WIDTH + width)
                    below = [merkle.root(self._read_tile(level - 1, child, _WIDTH)) for child in children]
                elif width:
                    below = [merkle.leaf_hash(entry) for entry in self._read_bundle(number, width)]
            except (Missing, Tampered):
                continue
            if b"".join(below) != tile:
                return self._named(self._path(level, number, width))
        return self._named(self.folder / "tile")

    def _node(self, level: int, index: int) -> bytes:
        """A merkle.NodeReader over verified tiles."""
        tile_level, height = divmod(level, _HEIGHT)
        number, first = divmod(index << height, _WIDTH)
        return merkle.root(self._tile(tile_level, number)[first * DIGEST : (first + (1 << height)) * DIGEST])

    def _tile(self, level: int, number: int) -> bytes:
        """A verified tile, as wide as it is under this head."""
        full = _count(level, self.size) // _WIDTH
        return self._full_tile(level, number) if number < full else self._head.edge[level]

    def _verified_full_tile(self, level: int, number: int) -> bytes:
        tile = self._read_tile(level, number, _WIDTH)
        computed, sealed = merkle.root(tile), self._node(_HEIGHT * (level + 1), number)
        if computed != sealed:
            raise Tampered(
                f"log tile does not verify: {self._named(self._path(level, number, _WIDTH))}: "
                f"its root is {computed.hex()}, sealed as {sealed.hex()}"
            )
        return tile

    def _bundle(self, number: int) -> list[bytes]:
        """The verified entries of a bundle that lie under this head."""
        tile = self._tile(0, number)
        width = len(tile) // DIGEST
        bundle = self._read_bundle(number, width)
        for place, entry in enumerate(bundle):
            computed, sealed = merkle.leaf_hash(entry), tile[place * DIGEST : (place + 1) * DIGEST]
            if computed != sealed:
                raise Tampered(
                    f"log entry does not verify: entry {number * _WIDTH + place} in "
                    f"{self._named(self._path(_ENTRIES, number, width))}: "
                    f"its leaf is {computed.hex()}, sealed as {sealed.hex()}"
                )
        return bundle

    def _read_tile(self, level: int, number: int, width: int) -> bytes:
        """The first `width` digests of a tile, not yet verified."""
        path, data = self._read(level, number, width)
        wanted = DIGEST * (_WIDTH if path == self._path(level, number, _WIDTH) else width)
        if len(data) != wanted:
            raise Tampered(f"log tile does not verify: {self._named(path)}: {len(data)} bytes, wanted {wanted}")
        return data[: width * DIGEST]

    def _read_bundle(self, number: int, width: int) -> list[bytes]:
        """The first `width` entries of a bundle, not yet verified."""
        path, data = self._read(_ENTRIES, number, width)
        wanted = _WIDTH if path == self._path(_ENTRIES, number, _WIDTH) else width
        bundle, at = [], 0
        while at < len(data):
            start = at + 2
            at = start + int.from_bytes(data[at:start], "big")
            bundle.append(data[start:at])
        if at != len(data) or len(bundle) != wanted:
            raise Tampered(
                f"log entry does not verify: entry {number * _WIDTH + min(len(bundle), wanted) - 1} in "
                f"{self._named(path)}: the bundle is not {wanted} entries, each after its length"
            )
        return bundle[:width]

    def _read(self, level: int | str, number: int, width: int) -> tuple[Path, bytes]:
        """A tile or bundle of that width, or the full one that has replaced it since."""
        for path in (self._path(level, number, width), self._path(level, number, _WIDTH)):
            try:
                return path, path.read_bytes()
            except FileNotFoundError:
                continue
        raise Missing(f"log file is not there: {self._named(self._path(level, number, width))}")

    def _earlier(self, level: int | str, number: int) -> Iterator[tuple[int, Path, bytes]]:
        """The files kept for heads under which this tile or bundle was narrower: width, path and content."""
        partials = self._path(level, number, 1).parent
        present = min(_count(level, self.size) - number * _WIDTH, _WIDTH)
        with contextlib.suppress(FileNotFoundError):  # there are none, or a writer has just dropped them
            for width in sorted(int(path.name) for path in partials.iterdir() if path.name.isdigit()):
                if width < present:
                    path = partials / str(width)
                    yield width, path, path.read_bytes()

    def _path(self, level: int | str, number: int, width: int) -> Path:
        """`tile/<L>/<N>[.p/<W>]`, where 1234067 is written x001/x234/067."""
        number, last = divmod(number, 1000)
        name = f"{last:03}"
        while number:
            number, group = divmod(number, 1000)
            name = f"x{group:03}/{name}"
        return self.folder / "tile" / str(level) / (name if width == _WIDTH else f"{name}.p/{width}")

    def _named(self, path: Path) -> str:
        return f"{self.folder.name}/{path.relative_to(self.folder).as_posix()}"


def _count(level: int | str, size: int) -> int:
    """How many digests of that level, or entries, a tree of `size` leaves has."""
    return size if level == _ENTRIES else size >> _HEIGHT * int(level)


def _root(edge: Sequence[bytes]) -> bytes:
    """Root of the tree whose right edge is these tiles, lowest level first."""
    peaks = []
    for tile in reversed(edge):
        width = len(tile) // DIGEST
        while width:
            span = 1 << width.bit_length() - 1
            start = len(tile) - width * DIGEST
            peaks.append(merkle.root(tile[start : start + span * DIGEST]))
            width -= span
    return merkle.fold(peaks) if peaks else merkle.EMPTY_ROOT


def _packed(bundle: Sequence[bytes]) -> bytes:
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in bundle)


def _chunks(whole, width: int) -> list:
    return [whole[at : at + width] for at in range(0, len(whole), width)]
