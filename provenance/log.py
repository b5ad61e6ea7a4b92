"""The log keeps, in order, every act.

A folder in the layout of c2sp.org/tlog-tiles: `checkpoint`, the log's signed head; `tile/entries/`, the acts in
bundles of 256; `tile/<level>/`, the tree over them, in tiles of 256 digests, where each digest of a level stands for
a whole tile of the level below. What the checkpoint does not name is not in the log.

Who writes here: one process at a time, under the folder's writer lock, which re-reads the head before it adds to it,
so the log never forks. Within a process, threads share their commits: while one is on its way to the disk, the acts
of the others gather, and the next takes them all. New bundles and tiles are durable before the checkpoint that names
them, and nothing that an earlier checkpoint named is changed; after a crash the next append writes over what no
checkpoint named. If the folder is lost, so is the proof of what happened and when. A liar who could edit it could make
us believe nothing: each byte that is read is hashed up to the signed root. With the signing key as well, he could
write another history, and then the witnesses' copies of the checkpoint disagree.

Refused: a key that is not the log's, an entry over 65,535 bytes, a head that does not continue the one seen before.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from provenance import durable, entries, merkle
from provenance.entries import Act, Unknown
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.merkle import DIGEST
from provenance.notes import Checkpoint, Note, Signer, Verifier, opened_checkpoint

_WIDTH = 256  # digests in a full tile, entries in a full bundle
_HEIGHT = 8  # levels of the tree that one tile spans
_LARGEST_ENTRY = 65_535  # bytes; a bundle prefixes each entry with its length as a uint16
_PATIENCE, _MOMENT = 5, 0.0001  # how often, and for how many seconds, a commit waits for others to join
_ENTRIES = "entries"  # the level's name in the path of a bundle


_A = TypeVar("_A", bound=Act)


@dataclass(eq=False)
class _Waiting:
    """One call of `append`, from when its acts are ready until a commit has taken them, or failed."""

    added: list[bytes]
    key: Signer
    leads: bool = False  # it is for this call to commit what has gathered
    placed: range | None = None
    error: BaseException | None = None
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class Log:
    """The log as of one head: the head at opening, after the last `refresh`, or after this object's last append.

    Threads may share it: each reads under one whole head, and their appends share commits.
    """

    def __init__(self, folder: Path, vkey: Verifier, also: Iterable[Verifier] = ()) -> None:
        """As `Log.open`."""
        self.folder = folder
        self._known = tuple(dict.fromkeys((vkey, *also)))
        # Taken after the folder's writer lock, never before it: who holds that one may refresh.
        self._turn = threading.RLock()
        self._gathering = threading.Lock()  # guards the two below, for moments
        self._queue: list[_Waiting] = []
        self._is_led = False
        self._lately = 1  # calls that were about when the last commit ended: in it, or waiting for the next
        self._view = self._opened(self._read_note())

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
    def open(cls, folder: Path, *, vkey: Verifier, also: Iterable[Verifier] = ()) -> Log:
        """Verify the head's signature and the tree's right edge against it; reads a few files, whatever the size.

        `also`: other keys whose signature will do, as while one key takes over from another. Everything else is
        verified when it is read. Raises Missing, or Tampered naming the file.
        """
        return cls(folder, vkey, also)

    def __repr__(self) -> str:
        return f"Log({self.vkey.name}, {self.size} entries)"

    @property
    def size(self) -> int:
        return self._view.checkpoint.size

    @property
    def root(self) -> bytes:
        return self._view.checkpoint.root

    @property
    def checkpoint(self) -> bytes:
        """The signed head, as it lies on disk."""
        return self._view.note

    @property
    def vkey(self) -> Verifier:
        """The key that signed this head."""
        return self._view.signer

    def trust(self, *vkeys: Verifier) -> None:
        """From now on, take a head by any one of these keys, and by no other."""
        self._known = tuple(dict.fromkeys(vkeys))

    def append(self, acts: Sequence[Act | Unknown], *, key: Signer) -> range:
        """Log the acts in this order under one new checkpoint; their indexes. All are durable on return, or none is.

        One checkpoint commits them all, so many at a time cost little more than one; the acts of threads that append
        at the same time share one too. Raises Refused on another key and on an entry that is too long, Tampered when
        the head on disk does not continue the one that was open. After an OSError they may be in the log or not, as
        after a crash: then look before you log them again.
        """
        mine = _Waiting([entries.to_bytes(act) for act in acts], key)
        for place, entry in enumerate(mine.added):
            if len(entry) > _LARGEST_ENTRY:
                raise Refused(
                    f"log entry is too long: act {place} has {len(entry)} bytes, wanted at most {_LARGEST_ENTRY}"
                )
        try:
            with self._gathering:
                self._queue.append(mine)
                if not self._is_led:
                    self._is_led = mine.leads = True
            if not mine.leads:
                mine.turn.acquire()  # until another's commit has taken these acts, or it is for this call to commit
            if mine.leads:
                self._commit(mine)
        finally:
            self._leave(mine)
        if mine.placed is None:
            raise _failure(mine)
        return mine.placed

    def insist_on(self, key: Signer) -> None:
        """Raises Refused unless `key` is the one that signed this head."""
        if key.verifier != self.vkey:
            raise self._other_key(key)

    def hand_over(self, act: Callable[[int], _A], *, key: Signer, to: Signer) -> _A:
        """Log what `act` makes of its place in the log, signed by `key`, and sign that same head again with `to`.

        The act that was logged. Cut off between the two, `sign_again` completes it. Raises as `append` does.
        """
        with durable.one_writer(self.folder), self._turn:
            self.refresh()
            self.insist_on(key)
            said = act(self.size)
            self._extend([entries.to_bytes(said)], key)
            self._sign_again(to)
            return said

    def sign_again(self, key: Signer) -> None:
        """Have `key` sign the head on disk, in the place of the key that did; where it did, nothing is written.

        Raises Refused unless `key` is one of those whose signature will do.
        """
        with durable.one_writer(self.folder), self._turn:
            self.refresh()
            self._sign_again(key)

    def refresh(self) -> None:
        """Go to the head on disk. Raises Tampered unless it continues the head that was open."""
        with self._turn:
            note = self._read_note()
            if note != self._view.note:
                self._go_to(self._opened(note))

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Entries `start` up to `stop` as logged, each hashed up to the root before it is handed out.

        Raises Tampered naming the entry and the file, Missing naming the file.
        """
        view = self._view
        stop = view.size if stop is None else stop
        if not 0 <= start <= stop <= view.size:
            raise Malformed(f"log entries: {start} up to {stop}, wanted within 0 up to {view.size}")
        for number in range(start // _WIDTH, -(-stop // _WIDTH)):
            first = number * _WIDTH
            yield from view.bundle(number)[max(start - first, 0) : stop - first]

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
        view = self._view
        return merkle.inclusion_path(index, view.within(size), view.node)

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """The path from the head of `old` entries to that of `size` (None: this); see `merkle.check_consistency`."""
        view = self._view
        return merkle.consistency_path(old, view.within(size), view.node)

    def root_at(self, size: int) -> bytes:
        """The root over the first `size` entries. Raises Tampered naming the tile that does not verify."""
        return self._view.root_at(size)

    def verify(self) -> None:
        """Read every tile and entry again, and hash all of them up to the head on disk.

        Tiles and bundles kept for earlier heads must be the beginnings of the present ones. What lies beyond the
        head (a crash may leave it) is not in the log, and not looked at. Raises Tampered or Missing naming the file.
        """
        with self._turn:
            self._go_to(self._opened(self._read_note()))
            view = self._view
        for level in range(len(view.edge)):
            for number in range(-(-_count(level, view.size) // _WIDTH)):
                tile = view.tile(level, number)
                for width, path, data in view.earlier(level, number):
                    if data != tile[: width * DIGEST]:
                        raise Tampered(f"log tile of an earlier head does not verify: {view.named(path)}")
        for number in range(-(-view.size // _WIDTH)):
            bundle = view.bundle(number)
            for width, path, data in view.earlier(_ENTRIES, number):
                if data != _packed(bundle[:width]):
                    raise Tampered(f"log entries of an earlier head do not verify: {view.named(path)}")

    # -- the one who commits -------------------------------------------------------------------------------------------

    def _commit(self, mine: _Waiting) -> None:
        """Log all that has gathered, `mine` among it, under one head; each is told its places, or what went wrong."""
        batch: list[_Waiting] = []
        try:
            self._gather()
            with self._gathering:
                batch, self._queue = self._queue, []
            with durable.one_writer(self.folder), self._turn:
                self.refresh()
                for each in batch:
                    if each.key.verifier != self.vkey:
                        each.error = self._other_key(each.key)
                fit = [each for each in batch if each.error is None]
                at = self.size
                if added := [entry for each in fit for entry in each.added]:
                    self._extend(added, fit[0].key)
                for each in fit:
                    each.placed = range(at, at + len(each.added))
                    at += len(each.added)
        except BaseException as error:
            for each in batch:
                if each.placed is None:
                    each.error = each.error or error
            raise
        finally:
            self._lately = len(batch) + len(self._queue)
            for each in batch:
                if each is not mine:
                    each.turn.release()

    def _gather(self) -> None:
        """Let those come who appended just now, for under a millisecond: writers that go on come back at once, and
        would else take turns in two halves, each waiting for the other's commit. One alone never waits.
        """
        for _ in range(_PATIENCE):
            if len(self._queue) >= self._lately:
                break
            time.sleep(_MOMENT)

    def _leave(self, mine: _Waiting) -> None:
        """A call ends, well or badly: if it was its to commit, the next one that waits takes over."""
        with self._gathering:
            if mine in self._queue:  # it was interrupted before its acts were taken
                self._queue.remove(mine)
            if mine.leads:
                self._is_led = bool(self._queue)
                if self._queue:
                    self._queue[0].leads = True
                    self._queue[0].turn.release()

    def _other_key(self, key: Signer) -> Refused:
        return Refused(
            f"log {self.vkey.name} is signed by another key: {key.verifier.key_id.hex()}, "
            f"wanted {self.vkey.key_id.hex()}"
        )

    def _extend(self, added: list[bytes], key: Signer) -> None:
        view = self._view
        size, grown = view.size, view.size + len(added)
        number, width = divmod(size, _WIDTH)
        packed = [_prefixed(entry) for entry in added]
        cuts = [0, *range(_WIDTH - width, len(packed), _WIDTH), len(packed)]
        bundles = [b"".join(packed[start:stop]) for start, stop in itertools.pairwise(cuts)]
        bundles[0] = view.begun() + bundles[0]  # verified, so that nothing unverified is written again
        for place, bundle in enumerate(bundles, start=number):
            self._write(_ENTRIES, place, min(grown - place * _WIDTH, _WIDTH), bundle)
        edge = list(view.edge)
        digests = b"".join(map(merkle.leaf_hash, added))
        level = 0
        while digests:  # the new digests of this level; those of the next stand for the tiles that they complete
            if level == len(edge):
                edge.append(b"")
            tiles = _chunks(edge[level] + digests, _WIDTH * DIGEST)
            for place, tile in enumerate(tiles, start=_count(level, size) // _WIDTH):
                self._write(level, place, len(tile) // DIGEST, tile)
            edge[level] = tiles.pop() if len(tiles[-1]) < _WIDTH * DIGEST else b""
            digests = b"".join(map(merkle.root, tiles))
            level += 1
        checkpoint = Checkpoint(key.verifier.name, grown, _root(edge))
        note = bytes(Note.signed(checkpoint.text, key))
        durable.write(self.folder / "checkpoint", note)
        self._view = _View(
            self.folder, note, key.verifier, checkpoint, tuple(edge), bundles[-1] if grown % _WIDTH else b""
        )
        self._remove_replaced(size)

    def _write(self, level: int | str, number: int, width: int, data: bytes) -> None:
        """Make one tile or bundle durable.

        Narrower files of the same tile belong to earlier heads. Those between them and this one were left by a crash;
        they go, since from this head on they would look as if an earlier head had named them.
        """
        path = _path(self.folder, level, number, width)
        partials = _path(self.folder, level, number, 1).parent
        begun = min(max(_count(level, self.size) - number * _WIDTH, 0), _WIDTH)
        left = range(begun + 1, width) if begun or partials.exists() else ()
        if sum(_is_removed(partials / str(between)) for between in left):
            durable.sync_folder(partials)
        durable.write(path, data)

    def _remove_replaced(self, before: int) -> None:
        """Drop the partial tiles that a full one has replaced; c2sp.org/tlog-tiles lets them go from then on.

        A crash here, or a disk that fails, leaves some for good. They do no harm, and `verify` reads them.
        """
        for level in (_ENTRIES, *range(len(self._view.edge))):
            for number in range(_count(level, before) // _WIDTH, _count(level, self.size) // _WIDTH):
                partials = _path(self.folder, level, number, 1).parent
                if partials.exists():
                    with contextlib.suppress(OSError):
                        shutil.rmtree(partials)

    def _sign_again(self, key: Signer) -> None:
        if key.verifier not in self._known:
            raise self._other_key(key)
        if key.verifier != self.vkey:
            view = self._view
            note = bytes(Note.signed(view.checkpoint.text, key))
            durable.write(self.folder / "checkpoint", note)
            self._view = _View(self.folder, note, key.verifier, view.checkpoint, view.edge)

    # -- from one head to the next -------------------------------------------------------------------------------------

    def _read_note(self) -> bytes:
        try:
            return (self.folder / "checkpoint").read_bytes()
        except FileNotFoundError as error:
            raise Missing(f"log file is not there: {self.folder.name}/checkpoint") from error

    def _opened(self, note: bytes) -> _View:
        """What a head on disk stands for, once its signature and the tree's right edge have verified."""
        try:
            signers = _signers(note, self._known)
            if len(signers) > 1:
                raise Tampered(f"checkpoint: signed by {len(signers)} keys of the log, wanted exactly 1")
            signer = signers[0] if signers else self._known[0]
            checkpoint, _ = opened_checkpoint(note, signer)
        except (Malformed, Tampered) as error:
            raise Tampered(f"log checkpoint does not verify: {self.folder.name}/checkpoint: {error}") from error
        return _View.of(self.folder, note, signer, checkpoint)

    def _go_to(self, view: _View) -> None:
        seen = self._view.checkpoint
        if view.size < seen.size:
            raise Tampered(f"log was rolled back: {view.size} entries, wanted the {seen.size} seen before")
        past = view.root_at(seen.size)
        if past != seen.root:
            raise Tampered(
                f"log was rewritten: its first {seen.size} entries have root {past.hex()}, "
                f"seen before as {seen.root.hex()}"
            )
        self._view = view


class _View:
    """All that lies under one verified head, read and verified when it is asked for; it never changes.

    `edge` has the verified tiles on the tree's right edge, lowest level first.
    """

    def __init__(
        self,
        folder: Path,
        note: bytes,
        signer: Verifier,
        checkpoint: Checkpoint,
        edge: tuple[bytes, ...],
        begun: bytes | None = None,
    ) -> None:
        self.folder, self.note, self.signer, self.checkpoint, self.edge = folder, note, signer, checkpoint, edge
        self._begun = begun
        self._full_tile = lru_cache(maxsize=64)(self._verified_full_tile)

    @classmethod
    def of(cls, folder: Path, note: bytes, signer: Verifier, checkpoint: Checkpoint) -> _View:
        """Read and verify the edge. Raises Missing, or Tampered naming the file."""
        view = cls(folder, note, signer, checkpoint, ())
        edge = []
        count = checkpoint.size
        while count:
            count, width = divmod(count, _WIDTH)
            edge.append(view._read_tile(len(edge), count, width) if width else b"")
        view.edge = tuple(edge)
        computed = _root(edge)
        if computed != checkpoint.root:
            raise Tampered(
                f"log tile does not verify: {view._suspect()}: the right edge has root {computed.hex()}, "
                f"sealed as {checkpoint.root.hex()}"
            )
        return view

    @property
    def size(self) -> int:
        return self.checkpoint.size

    def within(self, size: int | None) -> int:
        """`size`, or this head's. Raises Malformed beyond it."""
        if size is not None and not 0 <= size <= self.size:
            raise Malformed(f"log head of {size} entries: wanted one of at most {self.size}, which the log has")
        return self.size if size is None else size

    def root_at(self, size: int) -> bytes:
        """As `Log.root_at`."""
        return merkle.range_root(0, size, self.node) if size else merkle.EMPTY_ROOT

    def begun(self) -> bytes:
        """The verified bundle on the right edge, as it lies on disk; empty where the last one is full."""
        if self._begun is None:
            number, width = divmod(self.size, _WIDTH)
            self._begun = _packed(self.bundle(number)) if width else b""
        return self._begun

    def node(self, level: int, index: int) -> bytes:
        """A merkle.NodeReader over verified tiles."""
        tile_level, height = divmod(level, _HEIGHT)
        number, first = divmod(index << height, _WIDTH)
        return merkle.root(self.tile(tile_level, number)[first * DIGEST : (first + (1 << height)) * DIGEST])

    def tile(self, level: int, number: int) -> bytes:
        """A verified tile, as wide as it is under this head."""
        full = _count(level, self.size) // _WIDTH
        return self._full_tile(level, number) if number < full else self.edge[level]

    def bundle(self, number: int) -> list[bytes]:
        """The verified entries of a bundle that lie under this head."""
        tile = self.tile(0, number)
        width = len(tile) // DIGEST
        bundle = self._read_bundle(number, width)
        for place, entry in enumerate(bundle):
            computed, sealed = merkle.leaf_hash(entry), tile[place * DIGEST : (place + 1) * DIGEST]
            if computed != sealed:
                raise Tampered(
                    f"log entry does not verify: entry {number * _WIDTH + place} in "
                    f"{self.named(_path(self.folder, _ENTRIES, number, width))}: "
                    f"its leaf is {computed.hex()}, sealed as {sealed.hex()}"
                )
        return bundle

    def _read_tile(self, level: int, number: int, width: int) -> bytes:
        """The first `width` digests of a tile, not yet verified."""
        path, data = self._read(level, number, width)
        wanted = DIGEST * (_WIDTH if path == _path(self.folder, level, number, _WIDTH) else width)
        if len(data) != wanted:
            raise Tampered(f"log tile does not verify: {self.named(path)}: {len(data)} bytes, wanted {wanted}")
        return data[: width * DIGEST]

    def _read_bundle(self, number: int, width: int) -> list[bytes]:
        """The first `width` entries of a bundle, not yet verified."""
        path, data = self._read(_ENTRIES, number, width)
        wanted = _WIDTH if path == _path(self.folder, _ENTRIES, number, _WIDTH) else width
        bundle, at = [], 0
        while at < len(data):
            start = at + 2
            at = start + int.from_bytes(data[at:start], "big")
            bundle.append(data[start:at])
        if at != len(data) or len(bundle) != wanted:
            raise Tampered(
                f"log entry does not verify: entry {number * _WIDTH + min(len(bundle), wanted) - 1} in "
                f"{self.named(path)}: the bundle is not {wanted} entries, each after its length"
            )
        return bundle[:width]

    def _read(self, level: int | str, number: int, width: int) -> tuple[Path, bytes]:
        """A tile or bundle of that width, or the full one that has replaced it since."""
        for path in (_path(self.folder, level, number, width), _path(self.folder, level, number, _WIDTH)):
            try:
                return path, path.read_bytes()
            except FileNotFoundError:
                continue
        raise Missing(f"log file is not there: {self.named(_path(self.folder, level, number, width))}")

    def earlier(self, level: int | str, number: int) -> Iterator[tuple[int, Path, bytes]]:
        """The files kept for heads under which this tile or bundle was narrower: width, path and content."""
        partials = _path(self.folder, level, number, 1).parent
        present = min(_count(level, self.size) - number * _WIDTH, _WIDTH)
        with contextlib.suppress(FileNotFoundError):  # there are none, or a writer has just dropped them
            for width in sorted(int(path.name) for path in partials.iterdir() if path.name.isdigit()):
                if width < present:
                    path = partials / str(width)
                    yield width, path, path.read_bytes()

    def _verified_full_tile(self, level: int, number: int) -> bytes:
        tile = self._read_tile(level, number, _WIDTH)
        computed, sealed = merkle.root(tile), self.node(_HEIGHT * (level + 1), number)
        if computed != sealed:
            raise Tampered(
                f"log tile does not verify: {self.named(_path(self.folder, level, number, _WIDTH))}: "
                f"its root is {computed.hex()}, sealed as {sealed.hex()}"
            )
        return tile

    def _suspect(self) -> str:
        """The file on the right edge that disagrees with what lies below it; for an error's message only."""
        for level, tile in enumerate(self.edge):
            number, width = divmod(_count(level, self.size), _WIDTH)
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
                return self.named(_path(self.folder, level, number, width))
        return self.named(self.folder / "tile")

    def named(self, path: Path) -> str:
        return f"{self.folder.name}/{path.relative_to(self.folder).as_posix()}"


def _path(folder: Path, level: int | str, number: int, width: int) -> Path:
    """`tile/<L>/<N>[.p/<W>]`, where 1234067 is written x001/x234/067."""
    number, last = divmod(number, 1000)
    name = f"{last:03}"
    while number:
        number, group = divmod(number, 1000)
        name = f"x{group:03}/{name}"
    return folder / "tile" / str(level) / (name if width == _WIDTH else f"{name}.p/{width}")


def _is_removed(path: Path) -> bool:
    """Remove a file; whether there was one."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _signers(note: bytes, vkeys: Sequence[Verifier]) -> list[Verifier]:
    """Whose signature lines a note has, of these keys; not yet verified."""
    signatures = Note.parse(note).signatures
    return [vkey for vkey in vkeys if any(signature.by(vkey) for signature in signatures)]


def _failure(mine: _Waiting) -> BaseException:
    """What a call raises whose acts another's commit did not log: its own copy, for exceptions remember who raised."""
    if isinstance(mine.error, Refused):
        return mine.error
    if not isinstance(mine.error, Exception):
        failure: Exception = Conflict("log append was stopped with another's: look whether it is there, and try again")
    else:
        failure = copy.copy(mine.error)
    failure.__cause__ = mine.error
    return failure


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
    return b"".join(map(_prefixed, bundle))


def _prefixed(entry: bytes) -> bytes:
    return len(entry).to_bytes(2, "big") + entry


def _chunks(whole, width: int) -> list:
    return [whole[at : at + width] for at in range(0, len(whole), width)]
