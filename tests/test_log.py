"""The log: what was appended is there, in order, whole and provable, whatever was interrupted or spoilt."""

from __future__ import annotations

import functools
import itertools
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import reference
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provenance import durable, entries, merkle
from provenance.entries import Published, Unknown, Withdrawn
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.keys import SigningKey
from provenance.log import Log, _path
from provenance.notes import Verifier, decode_base64, opened_checkpoint

NAME = "force.example/log"
KEY = SigningKey(NAME, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WHO = {"on": "2026-11-22T12:00:00Z", "by": "duty analyst", "under": "weekly build instruction 4"}


@functools.cache
def act(number: int) -> Withdrawn:
    return Withdrawn(**WHO, label="2026-W47", at="2026-11-22T12:00:00Z", reason=f"act {number}")


def acts(start: int, stop: int) -> list[Withdrawn]:
    return [act(number) for number in range(start, stop)]


def logged(start: int, stop: int) -> list[bytes]:
    return [entries.to_bytes(act) for act in acts(start, stop)]


def create(folder: Path, *sizes: int) -> Log:
    """A log that grew through these sizes, one append each."""
    log = Log.create(folder, origin=NAME, key=KEY)
    for before, after in itertools.pairwise((0, *sizes)):
        assert log.append(acts(before, after), key=KEY) == range(before, after)
    return log


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def reopened(log: Log) -> Log:
    return Log.open(log.folder, vkey=KEY.verifier)


def test_an_empty_log(tmp_path):
    log = create(tmp_path / "log")
    assert (log.size, log.root) == (0, merkle.EMPTY_ROOT)
    assert log.append([], key=KEY) == range(0)
    assert log.checkpoint == (tmp_path / "log" / "checkpoint").read_bytes()
    assert list(files(tmp_path / "log")) == ["checkpoint"]
    assert list(log.acts()) == []
    log.verify()
    with pytest.raises(Conflict, match=r"^log log is there already: wanted an empty folder$"):
        Log.create(tmp_path / "log", origin=NAME, key=KEY)


def test_acts_come_back_in_order(tmp_path):
    log = create(tmp_path / "log", 3, 300, 301)
    later = Published(**WHO, label="2026-W48", at="2026-11-29T12:00:00Z")
    assert log.append([later], key=KEY) == range(301, 302)
    for view in (log, reopened(log)):
        assert list(view.acts()) == [*acts(0, 301), later]
        assert list(view.entries(299, 301)) == logged(299, 301)
        assert list(view.acts(255, 257)) == acts(255, 257)
        assert list(view.entries(300, 300)) == []
        view.verify()
    with pytest.raises(Malformed, match=r"^log entries: 0 up to 303, wanted within 0 up to 302$"):
        next(log.entries(0, 303))


@pytest.mark.parametrize("size", [*range(1, 12), 255, 256, 257, 511, 512, 513, 700])
def test_the_root_and_every_path_are_the_definition_s(tmp_path, size):
    log = create(tmp_path / "log", *sorted({size // 3, size // 2, size} - {0}))
    data = logged(0, size)
    assert log.root == reference.tree_hash(data)
    head, _ = opened_checkpoint(log.checkpoint, KEY.verifier)
    assert (head.origin, head.size, head.root) == (NAME, size, log.root)
    for index in {0, size // 2, size - 1, min(255, size - 1)}:
        assert log.inclusion(index) == reference.audit_path(index, data)
    for old in {1, size // 3, size // 2, size - 1, size} - {0}:
        assert log.consistency(old) == reference.consistency_proof(old, data)


def test_the_layout_is_tlog_tiles(tmp_path):
    log = create(tmp_path / "log", 5, 255, 256, 600)
    names = sorted(files(log.folder))
    assert names == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/1",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/88",
    ]
    content = files(log.folder)
    assert content["tile/0/001"] == b"".join(merkle.leaf_hash(entry) for entry in logged(256, 512))
    assert content["tile/1/000.p/2"] == b"".join(reference.tree_hash(logged(start, start + 256)) for start in (0, 256))
    assert content["tile/entries/002.p/88"] == b"".join(
        len(entry).to_bytes(2, "big") + entry for entry in logged(512, 600)
    )


def test_a_log_of_three_levels(tmp_path, monkeypatch):
    """65,536 entries fill a tile of level 1."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    small = [Unknown(data=b"%d" % number, act="", on="", by="", under="") for number in range(65_900)]
    log = Log.create(tmp_path / "log", origin=NAME, key=KEY)
    for start, stop in itertools.pairwise((0, 65_535, 65_536, 65_540, 65_900)):
        assert log.append(small[start:stop], key=KEY) == range(start, stop)
    leaves = [merkle.leaf_hash(act.data) for act in small]
    assert log.root == merkle.root(b"".join(leaves))
    assert (log.folder / "tile" / "0" / "257.p" / "108").stat().st_size == 108 * 32
    assert (log.folder / "tile" / "1" / "001.p" / "1").stat().st_size == 32
    assert (log.folder / "tile" / "2" / "000.p" / "1").stat().st_size == 32
    view = reopened(log)
    view.verify()
    for index in (0, 65_535, 65_536, 65_899):
        path = view.inclusion(index)
        assert merkle.root_from_path(leaves[index], index, view.size, path) == log.root
    for old in (1, 65_535, 65_536, 65_540, 65_900):
        merkle.check_consistency(old, merkle.root(b"".join(leaves[:old])), view.size, log.root, view.consistency(old))


def test_large_tile_numbers_are_written_in_groups_of_three(tmp_path):
    """The specification's own example; a log that large does not fit in a test."""
    log = create(tmp_path / "log")
    assert _path(log.folder, 0, 1234067, 256) == log.folder / "tile" / "0" / "x001" / "x234" / "067"
    assert _path(log.folder, "entries", 1000, 7) == log.folder / "tile" / "entries" / "x001" / "000.p" / "7"


def test_opening_reads_a_few_files_and_writes_none(tmp_path, monkeypatch):
    log = create(tmp_path / "log", 700)
    before = files(log.folder)
    read = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or real(path))
    reopened(log)
    assert read == ["checkpoint", "188", "2"]
    monkeypatch.undo()
    assert files(log.folder) == before


def test_the_sample_log(shared, tmp_path):
    folder = shared / "vectors" / "sample-log"
    vkey = (folder / "policy").read_text().splitlines()[0].split()[1]
    log = Log.open(folder, vkey=Verifier.parse(vkey))
    log.verify()
    data = [(folder / f"entry.{index}").read_bytes() for index in range(7)]
    assert list(log.entries()) == data
    for index in range(7):
        lines = (folder / f"{index}-of-7.tlog-proof").read_text().split("\n\n")[0].splitlines()
        assert lines[:2] == ["c2sp.org/tlog-proof@v1", f"index {index}"]
        assert log.inclusion(index) == [decode_base64("proof", line) for line in lines[2:]]
    lines = (folder / "add-checkpoint.3-7").read_text().split("\n\n")[0].splitlines()
    assert lines[0] == "old 3"
    assert log.consistency(3) == [decode_base64("proof", line) for line in lines[1:]]

    # Our own log over the same entries has the same root and, but for the signature, the same files.
    ours = Log.create(tmp_path / "log", origin=NAME, key=KEY)
    ours.append([Unknown(data=entry, act="", on="", by="", under="") for entry in data], key=KEY)
    assert ours.root == log.root
    tiles = {name: content for name, content in files(folder).items() if name.startswith("tile/")}
    assert {name: content for name, content in files(ours.folder).items() if name != "checkpoint"} == tiles


class CrashError(Exception):
    """The power went out here."""


def crashing(monkeypatch, target: object, name: str, nth: int, after: bool) -> None:
    """Let the `nth` call of a function, counted from 0, fail before or after it did its work."""
    real, calls = getattr(target, name), itertools.count()

    def failing(*args, **kwargs):
        if next(calls) != nth:
            return real(*args, **kwargs)
        if after:
            real(*args, **kwargs)
        raise CrashError

    monkeypatch.setattr(target, name, failing)


@pytest.mark.parametrize(("size", "added"), [(0, 1), (250, 10), (255, 1), (250, 600)])
@pytest.mark.parametrize(
    ("target", "name"),
    [(durable, "write"), (durable, "sync_folder"), (shutil, "rmtree")],
    ids=["write", "sync_folder", "rmtree"],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_after_a_crash_all_that_was_logged_is_there_and_nothing_half(
    tmp_path, monkeypatch, size, added, target, name, after
):
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # slow, and nothing here depends on it
    base = create(tmp_path / "base", *([size] if size else []))
    for nth in itertools.count():
        folder = tmp_path / f"crash-{nth}"
        shutil.copytree(base.folder, folder)
        log = Log.open(folder, vkey=KEY.verifier)
        with monkeypatch.context() as patched:
            crashing(patched, target, name, nth, after)
            try:
                log.append(acts(size, size + added), key=KEY)
            except CrashError:
                pass
            else:
                break
        again = Log.open(folder, vkey=KEY.verifier)
        again.verify()
        assert again.size in (size, size + added)
        assert list(again.entries()) == logged(0, again.size)

        # What was not logged is not logged later either: other acts take its place, by the very object that failed
        # and by a new one, step by step past everything that the crash left.
        held = logged(0, again.size)
        for more, writer in ((1, log), (250, again), (300, log)):
            writer.append(acts(10_000, 10_000 + more), key=KEY)
            held += logged(10_000, 10_000 + more)
            writer.verify()
        assert list(reopened(log).entries()) == held
        assert log.root == merkle.root(b"".join(map(merkle.leaf_hash, held)))
    assert nth or name == "rmtree"


def test_nothing_is_named_before_it_is_durable(tmp_path, monkeypatch):
    """At the moment a checkpoint takes its place, each other new file and each new folder was flushed to the disk."""
    log = create(tmp_path / "log", 250)
    flushed: dict[Path, int] = {}  # path: when
    moved: dict[Path, int] = {}
    clock = itertools.count()
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(handle):
        real_fsync(handle)
        flushed[Path(os.readlink(f"/proc/self/fd/{handle}"))] = next(clock)

    def replace(source, target):
        if target.name == "checkpoint":
            for path in (path for path in log.folder.rglob("*") if path.stat().st_ino not in before):
                if path.is_file() and path != source:
                    assert moved[path] < flushed[path.parent], path
                if path.is_dir():
                    assert flushed[path.parent] >= 0, path
            checked.append(target)
        assert source in flushed, source
        real_replace(source, target)
        moved[target] = next(clock)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    checked: list[Path] = []
    for more in (1, 10, 600):
        before = {path.stat().st_ino for path in log.folder.rglob("*")}
        flushed.clear()
        log.append(acts(0, more), key=KEY)
        assert flushed[log.folder] > moved[log.folder / "checkpoint"]
    assert len(checked) == 3


def spoilt(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_one_changed_bit_of_any_file_is_found_and_the_file_named(tmp_path):
    log = create(tmp_path / "log", 4, 200, 300, 555, 560)
    chance = random.Random(6962)
    whole = files(log.folder)
    assert {"tile/1/000.p/1", "tile/0/002.p/43", "tile/0/002.p/48", "tile/entries/002.p/43"} <= whole.keys()
    for name, content in whole.items():
        for bit in [0, 8 * len(content) - 1, *(chance.randrange(8 * len(content)) for _ in range(12))]:
            (log.folder / name).write_bytes(spoilt(content, bit))
            with pytest.raises(Tampered, match=rf"log/{name}\b"):
                reopened(log).verify()
        (log.folder / name).write_bytes(content)
    reopened(log).verify()


def test_a_file_that_is_gone_or_cut_short_is_named(tmp_path):
    log = create(tmp_path / "log", 300, 560)
    for name, content in files(log.folder).items():
        earlier = name in ("tile/1/000.p/1",)
        (log.folder / name).unlink()
        if not earlier:
            with pytest.raises(Missing, match=rf"^log file is not there: log/{name}$"):
                reopened(log).verify()
        for damaged in (content[:-1], content + b"\0", b""):
            (log.folder / name).write_bytes(damaged)
            with pytest.raises(Tampered, match=rf"log/{name}\b"):
                reopened(log).verify()
        (log.folder / name).write_bytes(content)


def test_a_changed_entry_is_named_by_index_and_never_handed_out(tmp_path):
    log = create(tmp_path / "log", 300)
    path = log.folder / "tile" / "entries" / "000"
    path.write_bytes(path.read_bytes().replace(b'"act 17"', b'"act 71"'))
    view = reopened(log)
    assert list(view.entries(256, 300)) == logged(256, 300)
    with pytest.raises(
        Tampered,
        match=r"^log entry does not verify: entry 17 in log/tile/entries/000: its leaf is [0-9a-f]{64}, sealed",
    ):
        next(view.entries())


def test_nothing_unverified_is_written_again(tmp_path):
    log = create(tmp_path / "log", 5)
    path = log.folder / "tile" / "entries" / "000.p" / "5"
    path.write_bytes(path.read_bytes().replace(b'"act 3"', b'"act 4"'))
    before = files(log.folder)
    with pytest.raises(Tampered, match=r"^log entry does not verify: entry 3 in log/tile/entries/000\.p/5"):
        reopened(log).append(acts(5, 6), key=KEY)
    assert files(log.folder) == before
    log.append(acts(5, 6), key=KEY)  # it wrote them itself, and goes on from what it wrote
    assert list(reopened(log).entries()) == logged(0, 6)


def test_a_log_under_another_key_does_not_open(tmp_path):
    log = create(tmp_path / "log", 5)
    other = SigningKey(NAME, Ed25519PrivateKey.generate())
    with pytest.raises(
        Tampered, match=r"^log checkpoint does not verify: log/checkpoint: signed note: no signature by"
    ):
        Log.open(log.folder, vkey=other.verifier)
    with pytest.raises(
        Refused, match=r"^log force\.example/log is signed by another key: [0-9a-f]{8}, wanted [0-9a-f]{8}$"
    ):
        log.append(acts(5, 6), key=other)
    with pytest.raises(
        Refused, match=r"^log origin other\.example is not the name of the key that signs: wanted force"
    ):
        Log.create(tmp_path / "other", origin="other.example", key=KEY)


def test_a_head_that_was_rolled_back_or_rewritten_is_seen(tmp_path):
    log = create(tmp_path / "log", 5, 300)
    seen = reopened(log)
    early = create(tmp_path / "early", 5)
    forked = Log.create(tmp_path / "forked", origin=NAME, key=KEY)
    forked.append(acts(1, 400), key=KEY)
    for other, message in (
        (early, r"^log was rolled back: 5 entries, wanted the 300 seen before$"),
        (forked, r"^log was rewritten: its first 300 entries have root [0-9a-f]{64}, seen before as [0-9a-f]{64}$"),
    ):
        shutil.rmtree(log.folder)
        shutil.copytree(other.folder, log.folder)
        before = files(log.folder)
        with pytest.raises(Tampered, match=message):
            seen.append(acts(300, 301), key=KEY)
        assert files(log.folder) == before
        assert seen.size == 300


def test_a_checkpoint_of_another_tree_does_not_open(tmp_path):
    """Signed by the right key, over a root that the tiles do not have."""
    log = create(tmp_path / "log", 5)
    other = create(tmp_path / "other", 4)
    other.append(acts(7, 8), key=KEY)
    (log.folder / "checkpoint").write_bytes(other.checkpoint)
    with pytest.raises(Tampered, match=r"^log tile does not verify: log/tile: the right edge has root"):
        reopened(log)


def test_an_entry_that_no_bundle_can_hold_is_refused(tmp_path):
    log = create(tmp_path / "log", 1)
    before = files(log.folder)
    fits, long = (Unknown(data=bytes(size), act="", on="", by="", under="") for size in (65_535, 65_536))
    with pytest.raises(Refused, match=r"^log entry is too long: act 1 has 65536 bytes, wanted at most 65535$"):
        log.append([fits, long], key=KEY)
    assert files(log.folder) == before
    log.append([fits, Unknown(data=b"", act="", on="", by="", under="")], key=KEY)
    log.verify()
    assert list(reopened(log).entries(1, 3)) == [bytes(65_535), b""]
    with pytest.raises(Malformed, match=r"^log entry is no act: entry 1: canonical JSON expected"):
        list(log.acts(1, 2))


def test_an_absent_log_is_missing_and_not_created(tmp_path):
    with pytest.raises(Missing, match=r"^log file is not there: log/checkpoint$"):
        Log.open(tmp_path / "log", vkey=KEY.verifier)
    assert not (tmp_path / "log").exists()


def test_a_reader_keeps_its_head_while_a_writer_replaces_its_tiles(tmp_path):
    log = create(tmp_path / "log", 250)
    reader = reopened(log)
    log.append(acts(250, 600), key=KEY)
    assert not (log.folder / "tile" / "0" / "000.p").exists()
    assert list(reader.entries()) == logged(0, 250)
    assert merkle.root_from_path(merkle.leaf_hash(logged(9, 10)[0]), 9, 250, reader.inclusion(9)) == reader.root
    reader.refresh()
    assert (reader.size, reader.root) == (600, log.root)


def test_sixteen_writers_in_one_process_lose_nothing(tmp_path):
    shared_log = create(tmp_path / "log")
    own = [reopened(shared_log) for _ in range(8)]

    def write(writer: int) -> list[int]:
        log = own[writer] if writer < 8 else shared_log
        return [
            index
            for turn in range(3)
            for index in log.append(acts(writer * 10 + turn, writer * 10 + turn + 2), key=KEY)
        ]

    with ThreadPoolExecutor(16) as pool:
        given = list(pool.map(write, range(16)))
    view = reopened(shared_log)
    view.verify()
    held = list(view.entries())
    assert sorted(itertools.chain(*given)) == list(range(96))
    for writer, indexes in enumerate(given):
        wanted = [entry for turn in range(3) for entry in logged(writer * 10 + turn, writer * 10 + turn + 2)]
        assert [held[index] for index in indexes] == wanted


def test_processes_never_fork_the_log(tmp_path):
    key = tmp_path / "log.pem"
    SigningKey.create(key, name=NAME)
    log = Log.create(tmp_path / "shared", origin=NAME, key=SigningKey.open(key, name=NAME))
    script = """
import sys
from pathlib import Path
from provenance.entries import Withdrawn
from provenance.keys import SigningKey
from provenance.log import Log, _path
key = SigningKey.open(Path(sys.argv[1]), name="force.example/log")
log = Log.open(Path(sys.argv[2]), vkey=key.verifier)
for turn in range(8):
    log.append([Withdrawn(on="2026-11-22T12:00:00Z", by=sys.argv[3], under="test", label="2026-W47",
                          at="2026-11-22T12:00:00Z", reason=f"act {turn}") for _ in range(5)], key=key)
"""
    writers = [subprocess.Popen([sys.executable, "-c", script, key, log.folder, str(writer)]) for writer in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    log.refresh()
    log.verify()
    held = [(act.by, act.reason) for act in log.acts()]
    assert len(held) == 120
    for writer in range(3):
        assert [reason for by, reason in held if by == str(writer)] == [f"act {t}" for t in range(8) for _ in range(5)]
