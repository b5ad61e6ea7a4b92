"""What DVC and git carry of a rewritten file becomes the rewritten file, in every build that has it.

A disposal rewrites sealed files where they lie. The earlier form of each is an object in DVC's cache and remotes,
under its MD5; an object per folder and build names it; the dvc.lock of each tagged commit names those. `renew` writes
these names anew, moves branches and tags, and then removes precisely the objects that nothing names any more. It never
collects: `dvc gc --workspace --cloud` took the other builds with it when it was tried.

New objects, then dvc.lock, then the names in git, then the removal, and a last look that all of it is gone. Each step
can be found done or undone, so that after a crash the same call again completes the work; only the counts are then
those of the second call.

What is looked at is looked at from the remote's side. Each new object is read there and hashed, before anything goes;
in the end the remote is listed anew, and each removed object asked for by its name, a bucket for versions and uploads
too (`buckets.py`). Over SSH, that is the machine whose host key this one knows, though DVC itself would ask any.

Refused: a remote that does not answer, that DVC is told to keep versions in, that locks or replicates what it holds, or
that DVC has no means to reach; a host whose key is not known here; a tag whose folders no store has; a file without the
bytes that it must have now. Then nothing is removed that a build still needs, and the caller certifies nothing.

What stays, and why it may: older commits still name the MD5s of sealed files that exist nowhere any more, so that
such a commit, unlike each tag, is no longer pulled. DVC's own notes (`.dvc/tmp`, its site cache) hold paths and MD5s of
sealed files, git's objects, reflogs and stashes dvc.lock: never a sealed byte. What is beyond reach: versions that a
store other than S3 and its like keeps by itself, snapshots of a disk, a remote that no setting here names, and in a
cache that lies outside the archive what was never committed. There a dead box may lie on, and what keeps it shut is the
vault.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provenance import durable, pins, rows
from provenance.buckets import Bucket, Kept
from provenance.errors import Conflict, Malformed, Missing, ProvenanceError, Tampered

if TYPE_CHECKING:
    from dvc_data.hashfile.db import HashFileDB

Report = Callable[[str, int, int], None]

# A folder in dvc.lock, as DVC writes it. Read and edited as text: a lock repeats the params, a YAML parser takes fifty
# times as long, and every byte but the three that change stays.
_FOLDER = re.compile(
    r"(?P<before>\bpath: (?P<path>\S+)\n +hash: md5\n +md5: )(?P<oid>[0-9a-f]{32}\.dir)"
    r"(?P<between>\n +size: )(?P<size>\d+)$",
    re.M,
)
_NAMED = re.compile(r"^ +md5: [0-9a-f]{32}\.dir$", re.M)
_LEFT_OVER = re.compile(r"[0-9a-f]{2}\.[\w-]+\.tmp")  # a transfer of DVC's that was killed: all or part of some object
_MOVED = "A disposal moved this tag at {on}: dvc.lock names its files as they were rewritten.\n"
_COMMITTED = "disposal: dvc.lock names the files as they were rewritten\n"
_CHUNK = 1 << 20  # bytes
_SCRATCH = "refs/provenance/renewed"  # git writes commits upon a name only; gone before the stream ends


@dataclass(frozen=True, slots=True)
class Copies:
    """What was done about the copies of rewritten files."""

    carried: bool  # False: DVC does not carry this folder, so there was nothing to do
    tags: tuple[str, ...]  # moved, such as build/2026-W02
    cache: int  # objects removed from DVC's cache
    remotes: Mapping[str, int]  # objects removed, for every remote by its name


def renew(root: Path, rewritten: Mapping[str, str], *, on: str, report: Report = lambda *_: None) -> Copies:
    """Let every copy of the `rewritten` files (path within the archive: SHA-256 as it must be now) follow them.

    Takes DVC's lock, so that no push or commit runs beside it. Raises Conflict, Missing or Tampered as the module says.
    A remote gets the new form of what it has; what it never had waits for `dvc push`, as after a build.
    """
    if not (root / ".dvc").is_dir():
        return Copies(False, (), 0, {})
    root = root.resolve()
    steps = ("measure", "store", "name", "remove", "look")

    def step(name: str) -> None:
        report("Copies in DVC and git", steps.index(name), len(steps))

    step("measure")
    fresh = _measured(root, rewritten)
    with _stores(root, fresh) as (cache, remotes):
        pinned = _pinned(root)
        trees = _Trees([cache, *remotes], fresh)
        for pin in pinned:
            trees.renew(pin)
        earlier = trees.earlier(_folders_ever(root, pinned), orphans=cache)

        step("store")
        put = _store(root, cache, remotes, fresh, trees, earlier)
        for store in (cache, *remotes):  # before anything goes that a next try would have to be told of
            store.check_whole(put[store.name])
        step("name")
        tags = _name(root, pinned, trees, on=on)
        if any(pin.ref for pin in pinned):
            pins.git(root, on, "reset", "-q", "--", "dvc.lock")  # git's index follows; also after a crash just here

        step("remove")
        named = set()
        for pin in _pinned(root):
            if trees.renew(pin):
                raise Conflict(f"{pin.said} names earlier files again: something else moved it meanwhile")
            named |= trees.names(pin)
        files = {md5 for found in earlier.files.values() for md5 in found} - named
        folders = earlier.folders - named
        removed = {store.name: store.remove(files | store.left_over) for store in (cache, *remotes)}
        for store in remotes:
            removed[store.name] += store.abort()
        for store in (cache, *remotes):  # what names the files goes last: after a crash they can still be found
            removed[store.name] += store.remove(folders)
        step("look")
        for store in (cache, *remotes):
            store.check_gone(files | folders)
    report("Copies in DVC and git", len(steps), len(steps))
    return Copies(True, tags, removed.pop(cache.name), removed)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A rewritten file as it is now."""

    md5: str
    size: int


def _measured(root: Path, rewritten: Mapping[str, str]) -> dict[str, _Fresh]:
    """Two digests of each file, on two threads: hashing is most of the time that all of this takes."""
    paths = [root / name for name in sorted(rewritten)]
    for path in paths:
        if not path.is_file():
            raise Missing(f"file {path.relative_to(root).as_posix()} is not there: its copies cannot follow it")
    with ThreadPoolExecutor(2) as pool:
        md5s = pool.map(_md5, paths)
        for path, sha256 in zip(paths, pool.map(rows.digest, paths), strict=True):
            name = path.relative_to(root).as_posix()
            if sha256 != rewritten[name]:
                raise Tampered(f"file {name} has other bytes than those that it was rewritten to")
    return {
        path.relative_to(root).as_posix(): _Fresh(md5, path.stat().st_size)
        for path, md5 in zip(paths, md5s, strict=True)
    }


def _md5(path: Path) -> str:
    # DVC's name for an object, no evidence: the SHA-256 beside it was compared.
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


# -- stores ------------------------------------------------------------------------------------------------------------


@contextmanager
def _stores(root: Path, fresh: Mapping[str, _Fresh]) -> Iterator[tuple[_Store, list[_Store]]]:
    """DVC's cache and its remotes, by name, under DVC's lock. DVC is imported here: it costs most of a second."""
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    with _reached("DVC"):
        opened = Repo(str(root))
    with opened as repo:
        try:
            repo.lock.lock()
        except LockError:
            raise Conflict(
                "DVC is at work in this folder: wanted to be the only one; try again when it is done"
            ) from None
        try:
            for path, file in fresh.items():  # or the next `dvc status` reads every byte again
                repo.state.save(str(root / path), repo.fs, HashInfo("md5", file.md5))
            yield _Store.cache(repo, root), [_Store.remote(repo, name) for name in sorted(repo.config["remote"])]
        finally:
            repo.lock.unlock()


class _Store:
    """DVC's cache, or a remote: objects under their MD5, whatever holds them. `held` is as the store was found."""

    def __init__(self, said: str, name: str, odb: HashFileDB, *, own: bool) -> None:
        self.said, self.name, self.odb, self.own = said, name, odb, own
        self._bucket: Bucket | None = None
        with _reached(self.said):
            if odb.fs.protocol == "s3":
                self._bucket = Bucket(self.said, odb.fs.fs, odb.path)
            self.held = self._listed()
            self._kept = self._versions()
        self.left_over = {oid for oid in self.held | set(self._kept) if _LEFT_OVER.fullmatch(oid)}

    def _listed(self) -> set[str]:
        self.odb.fs.fs.invalidate_cache()  # listings that an earlier look left in memory
        return set(self.odb.all())

    def _versions(self) -> dict[str, list[Kept]]:
        """Of each object, whatever a bucket keeps of it, present or not; of other stores, nothing."""
        kept = self._bucket.kept() if self._bucket else {}
        return {path.replace("/", "", 1): versions for path, versions in kept.items()}

    @classmethod
    def cache(cls, repo, root: Path) -> _Store:
        """`own` when it lies in the archive, so that whatever it holds is this archive's."""
        odb = repo.cache.local
        return cls("DVC's cache", "", odb, own=Path(odb.path).resolve().is_relative_to(root))

    @classmethod
    def remote(cls, repo, name: str) -> _Store:
        """A remote that answers. Raises Conflict, which names it and never says where it is or how it is opened."""
        from dvc_objects.fs.base import ObjectFileSystem

        said = f"DVC remote {name}"
        with _reached(said):
            remote = repo.cloud.get_remote(name)
            if remote.fs.protocol == "ssh":
                # Without this, sshfs takes any machine that answers for the remote: it could say that all is gone.
                remote.fs.fs_args["known_hosts"] = ()  # asyncssh: as the user's settings for SSH say
            if remote.worktree or remote.fs.version_aware:
                raise Conflict(f"{said} keeps every version of a file: wanted a remote that forgets")
            try:
                # Listing and looking up take a failed connection for an empty folder in some of fsspec; this does not.
                remote.fs.info(remote.path)
            except FileNotFoundError:
                if not isinstance(remote.fs, ObjectFileSystem):  # there, a folder is no more than what lies in it
                    raise
            return cls(said, name, remote.odb, own=False)

    def __repr__(self) -> str:
        return f"_Store({self.said}, {len(self.held)} objects)"

    def read(self, oid: str) -> bytes:
        with _reached(self.said), self.odb.fs.open(self.odb.oid_to_path(oid), "rb") as handle:
            return handle.read()

    def sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """In bytes, of those objects that are there."""
        oids = sorted(oids)
        with _reached(self.said):
            found = self.odb.fs.info([self.odb.oid_to_path(oid) for oid in oids], return_exceptions=True)
            for one in found:
                if isinstance(one, Exception) and not isinstance(one, FileNotFoundError):
                    raise one
        return {oid: one["size"] for oid, one in zip(oids, found, strict=True) if not isinstance(one, Exception)}

    def add(self, wanted: Mapping[str, int], write: Callable[[list[str]], None]) -> None:
        """Have `write` put the objects (MD5: size) that are not there whole; they are durable when this returns."""
        there = self.sizes(wanted)
        lacking = sorted(oid for oid in wanted if there.get(oid) != wanted[oid])
        if not lacking:
            return
        with _reached(self.said):
            for oid in there.keys() & set(lacking):  # a reflink that was cut off is there, and empty
                self.odb.delete(oid)
            write(lacking)
            if self.odb.fs.protocol == "local":
                for oid in lacking:
                    path = Path(self.odb.oid_to_path(oid))
                    with open(path, "rb") as handle:
                        os.fsync(handle.fileno())
                    durable.sync_folder(path.parent)
        if self.sizes(lacking) != {oid: wanted[oid] for oid in lacking}:
            raise Conflict(f"{self.said} does not hold what was put there: wanted {len(lacking)} objects, whole")

    def remove(self, oids: Collection[str]) -> int:
        """How many of them were there; of a bucket, with whatever it keeps of them."""
        present = sorted((self.held | set(self._kept)) & set(oids))
        paths = [self.odb.oid_to_path(oid) for oid in present]
        if present and self._kept:
            with _reached(self.said):
                self._bucket.forget({version for oid in present for version in self._kept.get(oid, ())})
        elif present:
            with _reached(self.said):
                self.odb.fs.remove(paths)
                if self.odb.fs.protocol == "local":
                    for folder in {Path(path).parent for path in paths}:
                        durable.sync_folder(folder)
        return len(present)

    def abort(self) -> int:
        """Have a bucket let go of uploads that were cut off: part of what they were is there. How many there were."""
        with _reached(self.said):
            uploads = self._bucket.cut_off() if self._bucket else []
            if uploads:
                self._bucket.abort(uploads)
        return len(uploads)

    def check_gone(self, oids: Collection[str]) -> None:
        """List anew, and ask for each by its name too: a listing may be out of date."""
        with _reached(self.said):
            found = (self._listed() | set(self._versions())) & set(oids)
            uploads = self._bucket.cut_off() if self._bucket else []
        if found := found | set(self.sizes(oids)):
            raise Conflict(f"{self.said} still holds {len(found)} earlier objects of {len(oids)}: try again")
        if uploads:
            raise Conflict(f"{self.said} still holds {len(uploads)} uploads that were cut off: try again")

    def check_whole(self, oids: Collection[str]) -> None:
        """Read each where it lies. Of a folder on this machine the sizes were compared, and what was copied hashed."""
        if self.odb.fs.protocol == "local":
            return
        other = []
        for oid in sorted(oids):
            total = hashlib.md5(usedforsecurity=False)
            with _reached(self.said), self.odb.fs.open(self.odb.oid_to_path(oid), "rb") as handle:
                while part := handle.read(_CHUNK):  # not `file_digest`, which wants more of a file than some are
                    total.update(part)
            if total.hexdigest() != oid.removesuffix(".dir"):
                other.append(oid)
        with _reached(self.said):
            for oid in other:  # so that the next try puts them there again
                self.odb.delete(oid)
        if other:
            raise Conflict(f"{self.said} has other bytes than those that were put there: try again")


@contextmanager
def _reached(said: str) -> Iterator[None]:
    try:
        yield
    except ProvenanceError:
        raise
    except Exception as error:
        # The text of it may say where the remote is and with which key it is opened: only the kind is passed on.
        kind = errno.errorcode.get(getattr(error, "errno", None) or 0, type(error).__name__)
        raise Conflict(
            f"{said} does not do what is asked ({kind}): wanted to renew every copy. Make it available and try again"
        ) from None


# -- folders as DVC names them -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pin:
    """A dvc.lock that leads somewhere: the workspace's, or that of a branch or tag."""

    ref: str  # "" for the workspace
    commit: str
    tag: str  # the tag's own object; "" for a branch and for a tag without one
    lock: str

    @property
    def said(self) -> str:
        return f"git: {self.ref.removeprefix('refs/')}" if self.ref else "dvc.lock"


@dataclass(frozen=True, slots=True)
class _Tree:
    """A folder object in its new form."""

    oid: str
    data: bytes
    grown: int  # bytes that the folder's files have more than before


@dataclass(frozen=True, slots=True)
class _Earlier:
    """Objects of an earlier form."""

    files: Mapping[str, set[str]]  # MD5s by path
    folders: set[str]


def _folders(lock: str) -> set[tuple[str, str]]:
    """Paths of folders, and the objects that name what is in them."""
    found = {(match["path"], match["oid"]) for match in _FOLDER.finditer(lock)}
    if len(_FOLDER.findall(lock)) != len(_NAMED.findall(lock)):
        raise Malformed("dvc.lock is not as DVC writes it: wanted path, hash, md5, size of each folder in that order")
    return found


class _Trees:
    """Folder objects: read once, from the first store that has them whole, and made anew."""

    def __init__(self, stores: list[_Store], fresh: Mapping[str, _Fresh]) -> None:
        self._stores, self._fresh = stores, fresh
        self._read: dict[str, list[dict[str, str]] | None] = {}
        self._sizes: dict[str, int] = {}
        self.renewed: dict[tuple[str, str], _Tree] = {}

    def renew(self, pin: _Pin) -> bool:
        """Make the folders of `pin` anew that have a rewritten file in its earlier form; whether there are any."""
        any_left = False
        for path, oid in sorted(_folders(pin.lock)):
            if (path, oid) not in self.renewed and self._touched(path):
                tree = self._tree(oid)
                if tree is None:
                    raise Missing(
                        f"{pin.said} names a folder {path} that neither DVC's cache nor a remote has: "
                        "wanted to renew every copy; `dvc fetch --all-tags`, with the remote that has it"
                    )
                if any(self._stale(path, tree)):
                    self.renewed[path, oid] = self._made_anew(path, tree)
            any_left |= (path, oid) in self.renewed
        return any_left

    def lock(self, text: str) -> str:
        """A dvc.lock that names the folders in their new form."""

        def named(match: re.Match[str]) -> str:
            tree = self.renewed.get((match["path"], match["oid"]))
            if tree is None:
                return match[0]
            return f"{match['before']}{tree.oid}{match['between']}{int(match['size']) + tree.grown}"

        return _FOLDER.sub(named, text)

    def names(self, pin: _Pin) -> set[str]:
        """Every object that `pin` leads to."""
        folders = {oid for _, oid in _folders(pin.lock)}
        return folders | {entry["md5"] for oid in folders for entry in self._tree(oid) or ()}

    def earlier(self, folders: set[tuple[str, str]], *, orphans: _Store) -> _Earlier:
        """What `folders` name of the rewritten files in another form than they have now.

        And what nothing names: DVC keeps what a stage wrote before it was run again or its build failed. Objects of a
        cache that is the archive's own are its own; of any other, nobody could say whose they are.
        """
        files: dict[str, set[str]] = {path: set() for path in self._fresh}
        gone = set()
        known = {oid for _, oid in folders}
        unnamed = {oid for oid in orphans.held - known if oid.endswith(".dir")} if orphans.own else set()
        paths = {path for path, _ in folders}
        for path, oid in sorted(folders | {(path, oid) for path in paths for oid in unnamed}):
            if self._touched(path):
                for name, md5 in self._stale(path, self._tree(oid) or ()):
                    files[name].add(md5)
                    gone.add(oid)
        return _Earlier(files, gone)

    def _touched(self, path: str) -> bool:
        return any(name.startswith(f"{path}/") for name in self._fresh)

    def _stale(self, path: str, tree: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
        for entry in tree:
            name = f"{path}/{entry['relpath']}"
            if name in self._fresh and entry["md5"] != self._fresh[name].md5:
                yield name, entry["md5"]

    def _made_anew(self, path: str, tree: list[dict[str, str]]) -> _Tree:
        stale = dict(self._stale(path, tree))
        data = _written(
            [
                entry | ({"md5": self._fresh[name].md5} if (name := f"{path}/{entry['relpath']}") in stale else {})
                for entry in tree
            ]
        )
        # An earlier file that no store has any more has no size: the folder's is then left as it was.
        grown = sum(self._fresh[name].size - self._size(md5, self._fresh[name].size) for name, md5 in stale.items())
        made = _Tree(_named(data), data, grown)
        self._read[made.oid] = json.loads(data)
        return made

    def _size(self, md5: str, otherwise: int) -> int:
        if md5 not in self._sizes:
            holder = next((store for store in self._stores if md5 in store.held), None)
            self._sizes[md5] = holder.sizes([md5]).get(md5, otherwise) if holder else otherwise
        return self._sizes[md5]

    def _tree(self, oid: str) -> list[dict[str, str]] | None:
        """What a folder object says; None when no store has it whole."""
        if oid not in self._read:
            every = (store.read(oid) for store in self._stores if oid in store.held)
            # A damaged object is as good as none: what it names could be anything.
            whole = next((data for data in every if _named(data) == oid), None)
            self._read[oid] = None if whole is None else json.loads(whole)
        return self._read[oid]


def _written(entries: list[dict[str, str]]) -> bytes:
    """As DVC writes a folder object, so that its own `dvc commit` would give the same MD5."""
    return json.dumps(entries, sort_keys=True).encode()


def _named(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest() + ".dir"


# -- the order of things -----------------------------------------------------------------------------------------------


def _store(
    root: Path,
    cache: _Store,
    remotes: list[_Store],
    fresh: Mapping[str, _Fresh],
    trees: _Trees,
    earlier: _Earlier,
) -> dict[str, set[str]]:
    """Put new objects: into the cache all of them, into a remote the new form of what it has. Their names, by store.

    Sizes are compared, so that what is there whole is not sent again; what was sent is read in the end.
    """
    from dvc.fs import localfs

    put: dict[str, set[str]] = {}

    def files(store: _Store) -> None:
        carried = {path for path, md5s in earlier.files.items() if (md5s if store is cache else md5s & store.held)}
        sources = {fresh[path].md5: str(root / path) for path in sorted(carried)}

        def copied(oids: list[str]) -> None:
            paths = [sources[oid] for oid in oids]
            store.odb.add(paths, localfs, oids, hardlink=False, check_exists=False, verify=False)

        store.add({fresh[path].md5: fresh[path].size for path in carried}, copied)
        put[store.name] = set(sources)

    with ThreadPoolExecutor() as pool:  # a thread a store: copying keeps a core busy, or waits for a network
        list(pool.map(files, [cache, *remotes]))

    folders = {tree.oid: tree.data for tree in trees.renewed.values()}

    def written(oids: list[str]) -> None:
        for oid in oids:
            cache.odb.add_bytes(oid, folders[oid])
            cache.odb.protect(cache.odb.oid_to_path(oid))

    cache.add({oid: len(data) for oid, data in folders.items()}, written)
    for remote in remotes:

        def sent(oids: list[str], remote: _Store = remote) -> None:
            paths = [cache.odb.oid_to_path(oid) for oid in oids]
            remote.odb.add(paths, localfs, oids, hardlink=False, check_exists=False, verify=False)

        named = {tree.oid: len(tree.data) for (_, oid), tree in trees.renewed.items() if oid in remote.held}
        remote.add(named, sent)
        put[remote.name] |= named.keys()
    return put


def _name(root: Path, pinned: list[_Pin], trees: _Trees, *, on: str) -> tuple[str, ...]:
    """Write the workspace's dvc.lock, commit upon each named commit, move branches and tags; the tags that moved.

    One commit upon each, however many names it has, so that the last build's tag stays on its branch.
    """
    commits: dict[str, list[_Pin]] = {}
    for pin in pinned:
        if trees.lock(pin.lock) == pin.lock:
            continue
        if pin.ref:
            commits.setdefault(pin.commit, []).append(pin)
        else:
            durable.write(root / "dvc.lock", trees.lock(pin.lock).encode())
    if not commits:
        return ()
    ident = pins.git(root, on, "var", "GIT_COMMITTER_IDENT").strip()
    messages = _messages(root, [pin for found in commits.values() for pin in found if pin.tag])
    stream = [b"feature done\n"]
    for commit, found in commits.items():
        stream += [b"blob\nmark :1\n", _data(trees.lock(found[0].lock).encode())]
        stream += [f"commit {_SCRATCH}\nmark :2\ncommitter ".encode(), ident, b"\n", _data(_COMMITTED.encode())]
        stream += [f"from {commit}\nM 100644 :1 dvc.lock\n\n".encode()]
        for pin in found:
            if pin.ref.startswith("refs/heads/"):
                stream += [f"reset {pin.ref}\nfrom :2\n\n".encode()]
                continue
            stream += [f"tag {pin.ref.removeprefix('refs/tags/')}\nfrom :2\ntagger ".encode(), ident, b"\n"]
            stream += [_data(messages.get(pin.ref, b"") + _MOVED.format(on=on).encode())]
    stream += [f"reset {_SCRATCH}\nfrom {'0' * 40}\n\ndone\n".encode()]
    pins.git(root, on, "fast-import", "--quiet", fed=b"".join(stream))  # branches only move forward
    moved = [pin.ref for found in commits.values() for pin in found if pin.ref.startswith("refs/tags/")]
    return tuple(sorted(ref.removeprefix("refs/tags/") for ref in moved))


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


# -- git ---------------------------------------------------------------------------------------------------------------


def _pinned(root: Path) -> list[_Pin]:
    """The workspace's dvc.lock, and those of all branches and tags."""
    found = [_Pin("", "", "", (root / "dvc.lock").read_text("utf-8"))] if (root / "dvc.lock").exists() else []
    if not (root / ".git").exists():
        return found
    said = pins.git(
        root, "", "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", "refs/heads", "refs/tags"
    )
    names = [line.split(" ") for line in said.decode().splitlines()]
    locks = _objects(root, [f"{ref}:dvc.lock" for ref, _, _ in names])
    for (ref, held, peeled), lock in zip(names, locks, strict=True):
        if lock is not None:
            found.append(_Pin(ref, peeled or held, held if peeled else "", lock.decode()))
    return found


def _folders_ever(root: Path, pinned: Iterable[_Pin]) -> set[tuple[str, str]]:
    """What any dvc.lock named that git still knows: of all names, stashes and reflogs.

    A crash between moving a tag and removing what it named leaves no other trace of that.
    """
    locks = {pin.lock for pin in pinned}
    if (root / ".git").exists():
        said = pins.git(root, "", "rev-list", "--objects", "--all", "--reflog", "--full-history", "--", "dvc.lock")
        lines = (line.split(" ", 1) for line in said.decode().splitlines())
        every = _objects(root, [line[0] for line in lines if line[1:] == ["dvc.lock"]])
        locks |= {lock.decode() for lock in every if lock is not None}
    return {folder for lock in locks for folder in _folders(lock)}


def _messages(root: Path, tags: list[_Pin]) -> dict[str, bytes]:
    """What each tag says, by its name. A signature is left out: it is of the tag as it was."""
    said = {}
    for pin, tag in zip(tags, _objects(root, [pin.tag for pin in tags]), strict=True):
        message = (tag or b"").partition(b"\n\n")[2]
        said[pin.ref] = re.split(rb"^-----BEGIN ", message, maxsplit=1, flags=re.M)[0].rstrip(b"\n") + b"\n\n"
    return said


def _objects(root: Path, names: list[str]) -> list[bytes | None]:
    """Contents of git's objects; None for a name that leads to none."""
    if not names:
        return []
    answer = pins.git(root, "", "cat-file", "--batch", fed="".join(f"{name}\n" for name in names).encode())
    found: list[bytes | None] = []
    at = 0
    for _ in names:
        end = answer.index(b"\n", at)
        head = answer[at:end].split(b" ")
        at = end + 1
        if head[-1] in (b"missing", b"ambiguous"):
            found.append(None)
            continue
        size = int(head[-1])
        found.append(answer[at : at + size])
        at += size + 1
    return found
