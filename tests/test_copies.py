"""Every copy follows: after a rewriting neither DVC's cache, nor a remote, nor a tag leads to what a file once was.

The folder here is a real git and DVC repository with files that only look sealed: three builds, the first of which an
earlier remote has too, and a draft that DVC took in and that was made again. What is dead bears a mark.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dvc.lock
import pytest
import yaml
from dvc.data_cloud import DataCloud, Remote
from dvc.repo import Repo
from dvc_data.hashfile.db import HashFileDB
from dvc_objects.db import ObjectDB
from dvc_objects.fs.base import FileSystem, ObjectFileSystem
from dvc_objects.fs.memory import MemoryFileSystem

from provenance import copies, durable, pins
from provenance.copies import Copies
from provenance.errors import Conflict, Malformed, Missing, Tampered

ON = "2026-03-01T09:00:00Z"
MARK = b"[a dead box]"
LABELS = ("2026-W02", "2026-W03", "2026-W04")
# Two files of the first build and one of the second go; what the third adds is as it was.
REWRITTEN = (
    "store/received/0001/record.parquet",
    "store/links/2026-W02.link.parquet",
    "store/links/2026-W03.link.parquet",
)
REMOTES = """\
[core]
    remote = store
['remote "store"']
    url = ../../store
    verify = true
['remote "early"']
    url = ../../early
"""
TAGS = tuple(f"build/{label}" for label in LABELS)


def program(folder: Path, *command: str) -> str:
    """Run git or DVC as a person would; returns what it printed."""
    command = (sys.executable, "-m", *command) if command[0] == "dvc" else command
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sealed(path: Path, said: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"{path.name}: {said} ".encode() + MARK)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archive `force` and two remotes beside it, `store` with all builds and `early` with one."""
    home = tmp_path_factory.mktemp("made")
    root = home / "force"
    pins.lay_out(root)
    (root / ".dvc" / "config.local").write_text(REMOTES)
    for number, label in enumerate(LABELS, start=1):
        (root / "week.yaml").write_text(f'cut_off: "{label}"\npublished_at: ""\n')
        sealed(root / "store" / "received" / f"{number:04d}" / "record.parquet", f"{min(number, 2)}, as received")
        sealed(root / "store" / "records" / f"{label}.changes.parquet", "which records")
        sealed(root / "store" / "links" / f"{label}.link.parquet", "a draft")
        if number == 2:  # a build that failed: DVC has its output, no commit names it
            program(root, "dvc", "commit", "-q", "-f", "link")
        sealed(root / "store" / "links" / f"{label}.link.parquet", "as built")
        pins.pin(root, [label], f"build {label}", on=f"2026-01-{number:02d}T09:00:00Z")
        if number == 1:
            program(root, "dvc", "push", "-q", "-r", "early")
    program(root, "dvc", "push", "-q", "-r", "store", "--all-tags")
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "home", symlinks=True)


def configure(home: Path, settings: str) -> None:
    with (home / "force" / ".dvc" / "config.local").open("a") as config:
        config.write(settings)


def rewrite(root: Path, names: Iterable[str] = REWRITTEN) -> dict[str, str]:
    """What a disposal does to files: the dead box goes. Returns the SHA-256 that each must have then."""
    said = {}
    for name in names:
        content = (root / name).read_bytes().replace(MARK, b"")
        durable.write(root / name, content)
        said[name] = hashlib.sha256(content).hexdigest()
    return said


def renew(home: Path, names: Iterable[str] = REWRITTEN) -> Copies:
    return copies.renew(home / "force", rewrite(home / "force", names), on=ON)


def objects(store: Path) -> dict[str, bytes]:
    """What a cache or a remote in a folder holds."""
    base = store / "files" / "md5"
    return {p.relative_to(base).as_posix().replace("/", ""): p.read_bytes() for p in base.rglob("*") if p.is_file()}


def put(store: Path, content: bytes, suffix: str = "") -> str:
    """Place an object as DVC would; returns its name."""
    name = hashlib.md5(content).hexdigest() + suffix
    (store / "files" / "md5" / name[:2]).mkdir(exist_ok=True)
    (store / "files" / "md5" / name[:2] / name[2:]).write_bytes(content)
    return name


def stores(home: Path) -> dict[str, Path]:
    inside = home / "force" / ".dvc" / "cache"
    return {"cache": inside if inside.exists() else home / "cache", "store": home / "store", "early": home / "early"}


def held(home: Path) -> dict[str, dict[str, bytes]]:
    return {name: objects(path) for name, path in stores(home).items()}


@functools.cache
def outputs(lock: str) -> list[dict[str, Any]]:
    """Folders of a dvc.lock that a DVC store carries."""
    stages = yaml.load(lock, yaml.CSafeLoader)["stages"].values()
    return [out for stage in stages for out in stage["outs"] if out["path"] != "builds"]


def build(home: Path, tag: str, store: str) -> dict[str, bytes]:
    """The files of a build, by the names in its dvc.lock and in a store, the slow way: nothing of DVC has a part."""
    there, found = objects(stores(home)[store]), {}
    for out in outputs(program(home / "force", "git", "show", f"{tag}:dvc.lock")):
        listed = json.loads(there[out["md5"]])
        assert out["nfiles"] == len(listed)
        assert out["size"] == sum(len(there[entry["md5"]]) for entry in listed)
        found |= {f"{out['path']}/{entry['relpath']}": there[entry["md5"]] for entry in listed}
    return found


def folder(home: Path, tag: str, path: str) -> str:
    """The MD5 of a folder of a build."""
    lock = program(home / "force", "git", "show", f"{tag}:dvc.lock")
    return next(out["md5"] for out in outputs(lock) if out["path"] == path)


def expected(made: Path, tag: str) -> dict[str, bytes]:
    """The build as it was, without what is dead in the rewritten files."""
    return {
        name: content.replace(MARK, b"") if name in REWRITTEN else content
        for name, content in build(made, tag, "store").items()
    }


def with_mark(folder: Path, names: Iterable[str] = REWRITTEN) -> list[str]:
    """Files anywhere under a folder that still have what is dead in one of the rewritten files."""
    marks = [f"{Path(name).name}: as built ".encode() + MARK for name in names if "links" in name]
    marks += [b"2026-W03.link.parquet: a draft " + MARK]
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files if any(m in path.read_bytes() for m in marks))


def test_what_is_dead_is_nowhere_any_more(home):
    site = Path(os.environ["DVC_SITE_CACHE_DIR"])
    said = rewrite(home / "force")
    before = with_mark(home)
    assert len(before) == 6, before  # cache: two links and a draft; store: two links; early: one
    copies.renew(home / "force", said, on=ON)
    assert with_mark(home) == []
    # DVC's own notes name the files, and hold nothing of them; git has never had a byte of them.
    assert any(b"2026-W02.link.parquet" in path.read_bytes() for path in site.rglob("*") if path.is_file())
    assert not any(MARK in path.read_bytes() for path in site.rglob("*") if path.is_file())
    assert not (home / "force" / ".dvc" / "cache" / "runs").exists()
    every = subprocess.run(
        ["git", "cat-file", "--batch-all-objects", "--batch"], cwd=home / "force", capture_output=True, check=True
    ).stdout
    assert b"store/links" in every
    assert MARK not in every


def test_it_says_what_it_did_and_removes_precisely_that(home, made):
    done = renew(home)
    # Three files and the draft; the folders received and links of each build, and links as the draft had it.
    assert done == Copies(True, TAGS, 4 + 7, {"early": 2 + 2, "store": 3 + 6})
    for name, before in held(made).items():
        after = held(home)[name]
        gone = before.keys() - after.keys()
        assert len(gone) == (done.cache if name == "cache" else done.remotes[name])
        if name != "cache":  # of that, the draft is replaced by nothing
            assert len(after) == len(before)  # each got the new form of what it had, and no more
        assert {oid: before[oid] for oid in before.keys() & after.keys()} == {
            oid: after[oid] for oid in before.keys() & after.keys()
        }


@pytest.mark.parametrize("store", ["cache", "store"])
def test_each_build_is_whole_with_the_rewritten_files_in_their_new_form(home, made, store):
    renew(home)
    for tag in TAGS:
        assert build(home, tag, store) == expected(made, tag)
    assert build(home, TAGS[0], "early") == expected(made, TAGS[0])


def test_each_tag_is_pulled_into_a_fresh_clone(home, made):
    renew(home)
    clone = home / "clone"
    program(home, "git", "clone", "-q", "force", "clone")
    program(clone, "dvc", "remote", "add", "-q", "--local", "-d", "store", "../store")
    program(clone, "dvc", "config", "-q", "--local", "remote.store.verify", "true")
    for tag in TAGS:
        program(clone, "git", "checkout", "-q", tag)
        program(clone, "dvc", "pull", "-q")
        files = {p.relative_to(clone).as_posix(): p.read_bytes() for p in (clone / "store").rglob("*") if p.is_file()}
        assert files == expected(made, tag)
        assert program(clone, "git", "status", "--porcelain") == ""


def test_dvc_and_git_have_nothing_left_to_do(home):
    renew(home)
    root = home / "force"
    assert program(root, "git", "status", "--porcelain") == ""
    assert "Data and pipelines are up to date." in program(root, "dvc", "status")
    before = (root / "dvc.lock").read_bytes()
    program(root, "dvc", "commit", "-q", "-f")
    assert (root / "dvc.lock").read_bytes() == before  # as DVC itself would write it
    assert pins.edited(root) == []


def test_a_tag_moves_forward_by_one_commit_and_says_why(home):
    root = home / "force"
    former = {tag: program(root, "git", "rev-parse", f"{tag}^{{commit}}").strip() for tag in TAGS}
    renew(home)
    for tag, label in zip(TAGS, LABELS, strict=True):
        said = program(root, "git", "cat-file", "-p", tag)
        assert said.endswith(
            f"build {label}\n\nA disposal moved this tag at {ON}: dvc.lock names its files as they were rewritten.\n"
        )
        assert "1772355600 +0000" in said  # of ON, not of today
        assert program(root, "git", "rev-parse", f"{tag}^").strip() == former[tag]
        assert program(root, "git", "diff", "--name-only", former[tag], tag).split() == ["dvc.lock"]
    assert program(root, "git", "rev-parse", "HEAD") == program(root, "git", "rev-parse", f"{TAGS[-1]}^{{commit}}")
    assert program(root, "git", "symbolic-ref", "HEAD").strip() == "refs/heads/main"
    assert "provenance/renewed" not in program(root, "git", "for-each-ref")


def test_dvc_lock_changes_in_what_it_must_and_nowhere_else(home):
    lock = home / "force" / "dvc.lock"
    before = lock.read_text().splitlines()
    renew(home)
    after = lock.read_text().splitlines()
    changed = [old.split(":")[0].strip() for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ["md5", "size"] * 4  # received and links, each as an output and as what the next stage reads


def test_the_second_time_nothing_is_left_to_do(home):
    said = rewrite(home / "force")
    copies.renew(home / "force", said, on=ON)
    before = program(home / "force", "git", "for-each-ref"), held(home)
    assert copies.renew(home / "force", said, on="2026-03-02T09:00:00Z") == Copies(
        True, (), 0, {"early": 0, "store": 0}
    )
    assert (program(home / "force", "git", "for-each-ref"), held(home)) == before


def test_what_is_rewritten_twice_follows_twice(home, made):
    renew(home)
    path = home / "force" / REWRITTEN[1]
    durable.write(path, b"less still")
    said = {REWRITTEN[1]: hashlib.sha256(b"less still").hexdigest()}
    done = copies.renew(home / "force", said, on="2026-04-01T09:00:00Z")
    assert done == Copies(True, TAGS, 4, {"early": 2, "store": 4})
    assert build(home, TAGS[1], "store") == expected(made, TAGS[1]) | {REWRITTEN[1]: b"less still"}
    assert program(home / "force", "git", "cat-file", "-p", TAGS[0]).count("A disposal moved this tag") == 2


def test_what_only_a_reflog_remembers_goes_too(home):
    """A commit that was taken back named another form of a file; the cache is one that others may use."""
    root = home / "force"
    (root / ".dvc" / "cache").rename(home / "cache")
    configure(home, "[cache]\n    dir = ../../cache\n")
    former = folder(home, "HEAD", "store/links")
    listed = json.loads(objects(home / "cache")[former])
    listed[0]["md5"] = put(home / "cache", b"as it was taken back")
    another = put(home / "cache", json.dumps(listed).encode(), ".dir")
    lock = root / "dvc.lock"
    lock.write_text(lock.read_text().replace(former, another))
    program(root, "git", "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "-a", "-m", "taken back")
    program(root, "git", "reset", "-q", "--hard", "HEAD^")
    assert renew(home).cache == 3 + 6 + 2
    assert not {listed[0]["md5"], another} & objects(home / "cache").keys()


def test_what_another_file_still_is_stays(home, made):
    """0002 and 0003 are the same bytes, hence one object; only the first is rewritten."""
    names = [f"store/received/{number:04d}/record.parquet" for number in (2, 3)]
    renew(home, names[:1])
    now, before = build(home, TAGS[2], "store"), build(made, TAGS[2], "store")
    assert before[names[0]] == before[names[1]] == now[names[1]] != now[names[0]]


def test_a_file_that_no_build_has_yet_waits_for_the_next_commit(home):
    new = "store/received/0004/record.parquet"
    sealed(home / "force" / new, "not pinned yet")
    before = held(home)
    assert renew(home, [new]) == Copies(True, (), 0, {"early": 0, "store": 0})
    assert held(home) == before


def test_what_a_killed_transfer_left_goes_too(home):
    left = [store / "files" / "md5" / "ab" / ".gWqUIxBoz0h3dCVVqAbcde.tmp" for store in stores(home).values()]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(MARK)
    renew(home)
    assert not any(path.exists() for path in left)


def test_branches_and_light_tags_follow_and_a_signature_does_not(home):
    root = home / "force"
    first = program(root, "git", "rev-parse", f"{TAGS[0]}^{{commit}}").strip()
    program(root, "git", "branch", "court", first)
    program(root, "git", "tag", "light", first)
    signed = f"object {first}\ntype commit\ntag signed\ntagger x <x@y> 1 +0000\n\nas shown\n"
    signed += "-----BEGIN PGP SIGNATURE-----\nx\n-----END PGP SIGNATURE-----\n"
    tag = subprocess.run(["git", "mktag"], cwd=root, input=signed, capture_output=True, text=True, check=True).stdout
    program(root, "git", "update-ref", "refs/tags/signed", tag.strip())
    assert renew(home).tags == (*TAGS, "light", "signed")
    leads = {program(root, "git", "rev-parse", f"{name}^{{commit}}") for name in ("court", "light", "signed", TAGS[0])}
    assert len(leads) == 1
    assert leads != {first + "\n"}
    said = program(root, "git", "cat-file", "-p", "signed")
    assert "as shown\n\nA disposal moved" in said
    assert "SIGNATURE" not in said


def test_what_git_names_is_on_the_disk_before_it_is_named(home, monkeypatch):
    before = held(home)
    flushed, sync, git = set(), os.fsync, pins.git

    def noted(handle: int) -> None:
        flushed.add(os.fstat(handle).st_ino)
        sync(handle)

    def naming(root: Path, on: str, *arguments: str, **named) -> bytes:
        if arguments[0] == "fast-import":
            for name, store in stores(home).items():
                new = objects(store).keys() - before[name].keys()
                assert len(new) >= 4
                for oid in new:
                    path = store / "files" / "md5" / oid[:2] / oid[2:]
                    assert {path.stat().st_ino, path.parent.stat().st_ino} <= flushed
        return git(root, on, *arguments, **named)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(pins, "git", naming)
    assert renew(home).tags == TAGS


def test_dvc_knows_the_new_md5s_without_reading_the_files_again(home):
    renew(home)
    with Repo(str(home / "force")) as repo:
        for name in REWRITTEN:
            path = home / "force" / name
            assert repo.state.get(str(path), repo.fs)[1].value == hashlib.md5(path.read_bytes()).hexdigest()


# -- cut off at each step ----------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the process ending here."""


class Axe:
    """Lets `after` calls pass that change something, and kills at the next; `torn`: half of that one is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int, torn: bool) -> None:
        self.left, self.torn, self.fell = after, torn, ""
        monkeypatch.setattr(pins, "git", self.over(pins.git, self.half_of_git))
        monkeypatch.setattr(HashFileDB, "add", self.over(HashFileDB.add, self.half_of_add))
        monkeypatch.setattr(FileSystem, "remove", self.over(FileSystem.remove, self.half_of_remove))
        if not torn:  # these two are done or not done
            monkeypatch.setattr(durable, "write", self.over(durable.write))
            monkeypatch.setattr(ObjectDB, "add_bytes", self.over(ObjectDB.add_bytes))

    def over(self, call: Callable, half: Callable | None = None) -> Callable:
        def guarded(*arguments, **named):
            if call.__name__ == "git" and arguments[2] not in ("fast-import",) + ("reset",) * (not self.torn):
                return call(*arguments, **named)
            if self.left == 0:
                self.fell = arguments[2] if call.__name__ == "git" else call.__name__
                if self.torn:
                    half(call, *arguments, **named)
                raise Killed
            self.left -= 1
            return call(*arguments, **named)

        return guarded

    @staticmethod
    def half_of_git(call: Callable, root: Path, on: str, *arguments: str, **named) -> None:
        former = program(root, "git", "rev-parse", "refs/tags/build/2026-W03").strip()
        call(root, on, *arguments, **named)
        program(root, "git", "update-ref", "refs/tags/build/2026-W03", former)
        program(root, "git", "update-ref", "refs/provenance/renewed", "HEAD")

    @staticmethod
    def half_of_add(call: Callable, odb: HashFileDB, path: list[str], fs, oid: list[str], **named) -> None:
        call(odb, path[:1], fs, oid[:1], **named)
        whole = Path(odb.oid_to_path(oid[0]))
        whole.chmod(0o644)
        whole.write_bytes(b"")  # as a reflink is before it is one

    @staticmethod
    def half_of_remove(call: Callable, fs: FileSystem, path: list[str]) -> None:
        call(fs, path[: (len(path) + 1) // 2])


@pytest.mark.parametrize(
    ("torn", "steps"),
    [(False, {"write", "add", "add_bytes", "fast-import", "reset", "rm"}), (True, {"add", "fast-import", "rm"})],
    ids=["before a call", "within a call"],
)
def test_cut_off_anywhere_nothing_is_lost_and_the_next_run_completes_it(made, tmp_path, torn, steps):
    """The cache lies outside the archive here, so that nothing but git's history tells what there was."""

    def fresh() -> tuple[Path, dict[str, str]]:
        shutil.rmtree(tmp_path / "home", ignore_errors=True)
        home = shutil.copytree(made, tmp_path / "home", symlinks=True)
        (home / "force" / ".dvc" / "cache").rename(home / "cache")
        configure(home, "[cache]\n    dir = ../../cache\n")
        return home, rewrite(home / "force")

    home, said = fresh()
    copies.renew(home / "force", said, on=ON)
    wanted = held(home)
    (draft,) = with_mark(home)  # of a cache that others may use, what was never committed stays
    assert b"a draft" in (home / draft).read_bytes()

    fell: list[str] = []
    while True:
        home, said = fresh()
        with pytest.MonkeyPatch.context() as monkeypatch:
            axe = Axe(monkeypatch, len(fell), torn)
            with contextlib.suppress(Killed):
                copies.renew(home / "force", said, on=ON)
        at = axe.fell, len(fell)
        for tag in TAGS:  # whatever the tag leads to at this moment is there, whole
            assert build(home, tag, "store").keys() == build(home, tag, "cache").keys() != set(), at
        if not axe.fell:
            break
        fell.append(axe.fell)
        copies.renew(home / "force", said, on=ON)
        assert held(home) == wanted, at
        for tag in TAGS:
            assert build(home, tag, "store") == build(home, tag, "cache") == expected(made, tag), at
        assert program(home / "force", "git", "status", "--porcelain") == "", at
        assert "provenance/renewed" not in program(home / "force", "git", "for-each-ref"), at
    assert set(fell) == steps
    assert len(fell) > 10


# -- what is refused ---------------------------------------------------------------------------------------------------


def refused(home: Path, kind: type[Exception], message: str) -> str:
    """The call is refused with this message, and neither git nor a store is any different for it."""
    said = rewrite(home / "force")
    before = held(home), program(home / "force", "git", "for-each-ref")
    with pytest.raises(kind, match=message) as caught:
        copies.renew(home / "force", said, on=ON)
    assert (held(home), program(home / "force", "git", "for-each-ref")) == before
    return str(caught.value)


def test_a_remote_whose_folder_is_not_mounted_stops_it(home):
    (home / "early").rename(home / "elsewhere")
    said = refused(
        home, Conflict, r"^DVC remote early does not do what is asked \(ENOENT\): wanted to renew every copy"
    )
    assert str(home) not in said
    (home / "elsewhere").rename(home / "early")
    assert copies.renew(home / "force", rewrite(home / "force"), on=ON).tags == TAGS


@pytest.mark.parametrize("url", ["https://reader:pa55word@localhost:1/rows", "s3://force-bucket/rows"])
def test_a_remote_that_does_not_answer_is_named_and_never_where_it_is(home, url):
    configure(home, f"['remote \"far\"']\n    url = {url}\n")
    said = refused(home, Conflict, r"^DVC remote far does not do what is asked \(\w+\)")
    assert not any(part in said for part in ("pa55word", "localhost", "bucket", "//"))


def test_a_remote_that_keeps_versions_is_refused(home, monkeypatch):
    monkeypatch.setattr(FileSystem, "version_aware", True, raising=False)
    refused(home, Conflict, "^DVC remote early keeps every version of a file: wanted a remote that forgets$")


def test_a_remote_that_stops_answering_midway_loses_nothing_that_a_build_needs(home, made, monkeypatch):
    monkeypatch.setattr(FileSystem, "remove", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no", "/secret")))
    with pytest.raises(Conflict, match=r"^DVC's cache does not do what is asked \(EACCES\)") as caught:
        renew(home)
    assert "/secret" not in str(caught.value)
    monkeypatch.undo()
    for tag in TAGS:
        assert build(home, tag, "store") == expected(made, tag)
    assert copies.renew(home / "force", rewrite(home / "force"), on=ON).remotes == {"early": 4, "store": 9}
    assert with_mark(home) == []


def test_a_remote_that_keeps_what_it_was_told_to_remove_is_found_out(home, monkeypatch):
    remove = FileSystem.remove
    monkeypatch.setattr(FileSystem, "remove", lambda fs, paths: remove(fs, [p for p in paths if "/early/" not in p]))
    with pytest.raises(Conflict, match=r"^DVC remote early still holds 4 earlier objects of 11: try again$"):
        renew(home)


def test_a_folder_object_that_nobody_has_is_missed_by_name(home):
    oid = folder(home, TAGS[1], "store/links")
    for store in stores(home).values():
        (store / "files" / "md5" / oid[:2] / oid[2:]).unlink(missing_ok=True)
    refused(
        home, Missing, "^git: tags/build/2026-W03 names a folder store/links that neither DVC's cache nor a remote has"
    )


def test_a_folder_object_that_is_damaged_in_the_cache_is_read_from_a_remote(home, made):
    oid = folder(home, TAGS[2], "store/links")
    damaged = stores(home)["cache"] / "files" / "md5" / oid[:2] / oid[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(b"[]")
    renew(home)
    assert build(home, TAGS[2], "cache") == expected(made, TAGS[2])


def test_a_file_that_is_not_as_it_was_rewritten_is_not_spread(home):
    wrong = "0" * 64
    with pytest.raises(Tampered, match=r"^file store/links/2026-W02.link.parquet has other bytes than those"):
        copies.renew(home / "force", rewrite(home / "force") | {REWRITTEN[1]: wrong}, on=ON)
    said = rewrite(home / "force")
    (home / "force" / REWRITTEN[1]).unlink()
    with pytest.raises(Missing, match=r"^file store/links/2026-W02.link.parquet is not there"):
        copies.renew(home / "force", said, on=ON)


def test_a_lock_in_another_form_is_not_guessed_at(home):
    lock = home / "force" / "dvc.lock"
    lock.write_text(lock.read_text().replace("      hash: md5\n", "", 1))
    refused(home, Malformed, "^dvc.lock is not as DVC writes it")


def test_dvc_at_work_beside_it_is_waited_for_by_nobody(home, monkeypatch):
    monkeypatch.setattr(dvc.lock, "DEFAULT_TIMEOUT", 0)
    with Repo(str(home / "force")) as other, other.lock:
        refused(home, Conflict, "^DVC is at work in this folder: wanted to be the only one")


# -- other folders, other remotes --------------------------------------------------------------------------------------


def test_a_folder_that_dvc_does_not_carry_has_no_copies(tmp_path):
    assert copies.renew(tmp_path, {"store/links/x.parquet": "0" * 64}, on=ON) == Copies(False, (), 0, {})
    assert list(tmp_path.iterdir()) == []


def test_without_git_the_cache_and_the_remotes_follow_all_the_same(home):
    root = home / "force"
    shutil.rmtree(root / ".git")
    config = root / ".dvc" / "config"
    config.write_text(config.read_text().replace("[core]", "[core]\n    no_scm = true"))
    assert renew(home).tags == ()
    assert with_mark(home) == []
    assert "Data and pipelines are up to date." in program(root, "dvc", "status")


@pytest.mark.parametrize("hierarchical", [False, True], ids=["a bucket", "folders on a server"])
def test_a_remote_that_is_no_folder_here_follows_too(home, made, monkeypatch, hierarchical):
    """In memory, through the same interface of DVC as S3 and its like."""

    class Bucket(MemoryFileSystem if hierarchical else ObjectFileSystem):
        protocol = "memory"
        PARAM_CHECKSUM = "md5"

        def __init__(self) -> None:
            FileSystem.__init__(self, fs=MemoryFileSystem(global_store=False).fs)

    bucket = Bucket()
    for oid, content in objects(home / "store").items():
        bucket.fs.pipe_file(f"/rows/files/md5/{oid[:2]}/{oid[2:]}", content)
    configure(home, "['remote \"far\"']\n    url = s3://force-bucket/rows\n")
    local = DataCloud.get_remote
    monkeypatch.setattr(
        DataCloud,
        "get_remote",
        lambda cloud, name: Remote(name, "/rows", bucket) if name == "far" else local(cloud, name),
    )
    done = renew(home)
    assert done.remotes == {"early": 4, "far": 9, "store": 9}
    there = {
        path.removeprefix("/rows/files/md5/").replace("/", ""): bucket.fs.cat_file(path)
        for path in bucket.fs.find("/rows")
    }
    assert there == objects(home / "store")


def test_an_empty_bucket_is_no_fault_and_an_absent_folder_on_a_server_is(home, monkeypatch):
    local = DataCloud.get_remote
    for base, fault in ((ObjectFileSystem, False), (MemoryFileSystem, True)):
        fs = type("Far", (base,), {"protocol": "memory", "PARAM_CHECKSUM": "md5", "__init__": FileSystem.__init__})(
            fs=MemoryFileSystem(global_store=False).fs
        )
        monkeypatch.setattr(
            DataCloud,
            "get_remote",
            lambda cloud, name, fs=fs: Remote(name, "/rows", fs) if name == "early" else local(cloud, name),
        )
        if fault:
            refused(home, Conflict, r"^DVC remote early does not do what is asked")
        else:
            assert renew(home).remotes["early"] == 0
