"""A machine that stops at any moment leaves the archive as it was or as it was to be; the step done again completes it.

While a step runs, the disk is photographed before, within and after each durable write. Each photograph is what a
crash at that moment leaves behind; each is opened, asked and verified, and the step is done again upon it.
"""

import errno
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provenance import canonical, catalogue, durable, rows, verify
from provenance.archive import Archive
from provenance.asof import Snapshot
from tests.force import Force, record, tables, write_extract

ROOT = Path(__file__).resolve().parent.parent
WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z"]
FIRST = [record("R-1", "N-1", "N-2"), record("R-2", "N-1", "N-2"), record("R-3", "N-2", "N-3:victim", themes="SOC;CL")]
SECOND = [
    record("R-2", "N-1", "N-2", status="withdrawn"),  # a link loses a record,
    record("R-4", "N-3", "N-4"),  # another comes, with someone new,
    record("R-5", "N-1", "N-2"),  # and one gains a record
]

Tree = dict[str, bytes]


def tree(folder: Path) -> Tree:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def laid_out(held: Tree, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in held.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(data)
    return folder


def part(held: Tree, *folders: str) -> Tree:
    return {name: data for name, data in held.items() if name.split("/")[0] in folders}


def at(root: Path, keys: Path) -> Force:
    """A force of which only the disk is left."""
    force = object.__new__(Force)
    force.folder, force.root, force.keys, force._extracts = root.parent, root, keys, 0
    force.archive = Archive(root, keys)
    return force


def said(snapshot: Snapshot) -> dict[str, list]:
    return {name: table.to_pylist() for name, table in tables(snapshot).items()}


def received(archive: Archive) -> dict[str, list[bytes]]:
    """All that was ever received, opened."""
    found = {}
    for name in ("record", "involvement"):
        index = archive.index(name)
        content = archive.sealer.open(name, index.rows(rows.np.arange(len(index))))
        found[name] = sorted(canonical.slices(canonical.rows(content)))
        found[f"{name} replaced"] = [index.replaced.tolist()]
    return found


# ---- the disk, photographed ------------------------------------------------------------------------------------------


@contextmanager
def photographed(patch: pytest.MonkeyPatch, root: Path) -> Iterator[list[tuple[str, Tree]]]:
    """Every distinct state of the disk, with a word for the moment."""
    album: list[tuple[str, Tree]] = []

    def shoot(moment: str) -> None:
        now = tree(root)
        if not album or album[-1][1] != now:
            album.append((moment, now))

    replacing, remove, unlink, commit = durable.replacing, durable.remove, Path.unlink, catalogue.Session.commit

    @contextmanager
    def seen_replacing(path, **said):
        shoot(f"before {path.name}")
        with replacing(path, **said) as staged:
            yield staged
            shoot(f"within {path.name}")
        shoot(f"after {path.name}")

    def seen_remove(path):
        shoot(f"before removing {path.name}")
        remove(path)
        shoot(f"after removing {path.name}")

    def seen_unlink(path, missing_ok=False):
        unlink(path, missing_ok=missing_ok)
        if path.suffix != ".part":
            shoot(f"after unlinking {path.name}")

    def seen_commit(session):
        commit(session)
        shoot("after a commit of the catalogue")

    patch.setattr(durable, "replacing", seen_replacing)
    patch.setattr(durable, "remove", seen_remove)
    patch.setattr(Path, "unlink", seen_unlink)
    patch.setattr(catalogue.Session, "commit", seen_commit)
    yield album
    shoot("at the end")


class Story:
    """The first week published; the second received, and then built, undisturbed, with photographs of both steps."""

    def __init__(self, folder: Path) -> None:
        self.force = force = Force(folder)
        force.receive(*FIRST, cut_off=WEEK[0])
        force.build(WEEK[0])
        self.keys = force.keys
        self.extract = write_extract(
            folder / "second", SECOND, cut_off=WEEK[1], mode="delta", nominals=[{"nominal_id": "N-4", "sex": "F"}]
        )
        self.before = said(force.as_of(WEEK[1]))
        self.start, self.old = tree(force.root), received(force.archive)
        with pytest.MonkeyPatch.context() as patch, photographed(patch, force.root) as self.receiving:
            force.take(self.extract, on=WEEK[1])
        self.middle, self.new = tree(force.root), received(force.archive)
        self.logged = list(force.archive.log.entries())
        with pytest.MonkeyPatch.context() as patch, photographed(patch, force.root) as self.building:
            force.build(WEEK[1])
        self.end, self.after = tree(force.root), said(force.as_of(WEEK[1]))
        assert self.before != self.after
        assert self.old != self.new
        force.archive.close()

    def standing(self, force: Force) -> bool:
        """Whether the second week is live; the answer is wholly that of before or of after, and all of it verifies."""
        verify.insist(verify.verify(force.archive))
        snapshot = force.as_of(WEEK[1])
        done = snapshot.label == "2026-W03"
        assert snapshot.label in ("2026-W02", "2026-W03")
        assert snapshot.verified
        assert said(snapshot) == (self.after if done else self.before)
        assert said(force.as_of(WEEK[0])) == self.before
        return done


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("story"))


def test_the_photographs_show_each_step(story):
    """Control: the albums hold what they should, so that the tests below look at every moment."""
    moments = [moment for moment, _ in story.receiving]
    wanted = ["keyring", "record.parquet", "involvement.parquet", "changes.parquet", "checkpoint", "catalogue.sha256"]
    places = [moments.index(f"within {name}") for name in wanted]
    assert places == sorted(places)
    moments = [moment for moment, _ in story.building]
    wanted = ["2026-W03.tallies", "2026-W03.link.parquet", "2026-W03.nominal.parquet", "2026-W03.network.parquet"]
    wanted += ["2026-W03.json", "checkpoint", "catalogue.sha256", "people.figures"]
    places = [moments.index(f"within {name}") for name in wanted]
    assert places == sorted(places)
    for name, album in (("receiving", story.receiving), ("building", story.building)):
        assert any(name.endswith(".part") for _, held in album for name in held), name
        assert len(album) > 20


def test_a_crash_while_receiving_leaves_the_extract_wholly_in_or_out(story, tmp_path):
    """And receiving it again takes it in, once, with the same content; on the same secrets, with the same roots."""
    outcomes = []
    for moment, held in story.receiving:
        force = at(laid_out(held, tmp_path / "force"), story.keys)
        assert not story.standing(force), moment
        count = len(force.archive.history.extracts)
        assert received(force.archive) == (story.old if count == 1 else story.new), moment
        receipt = force.take(story.extract, on=WEEK[1])
        assert (receipt.number, receipt.again) == (2, count == 2), moment
        assert received(force.archive) == story.new, moment
        verify.insist(verify.verify(force.archive))
        now = tree(force.root)
        assert not force.archive.unlogged(), moment
        assert not [name for name in part(now, "vault", "store") if name.endswith(".part")], moment
        assert len([name for name in now if name.endswith(".shard")]) == len(force.archive.vault._ring.shards), moment
        if part(held, "vault") == part(story.middle, "vault"):  # the newcomers' secrets were there already
            assert part(now, "store", "vault") == part(story.middle, "store", "vault"), moment
            assert list(force.archive.log.entries()) == story.logged, moment
        outcomes.append(count)
        force.archive.close()
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {1, 2}


def test_an_extract_after_a_crash_need_not_be_the_same_extract(story, tmp_path):
    """It takes the number, and none of the files, of the one that was cut off."""
    held = dict(story.receiving)["within changes.parquet"]
    assert "store/received/0002/person.parquet" in held
    force = at(laid_out(held, tmp_path / "force"), story.keys)
    assert force.receive(record("R-6", "N-5", "N-6"), cut_off=WEEK[1], mode="delta").number == 2
    files = [name for name in tree(force.root) if name.startswith("store/received/0002/")]
    assert [name.rpartition("/")[2] for name in files] == ["changes.parquet", "involvement.parquet", "record.parquet"]
    verify.insist(verify.verify(force.reopened().archive))
    force.archive.close()


def test_an_extract_that_is_cut_off_after_a_build_that_was(story, tmp_path):
    """What both left behind is known for what it is, and the next build has none of it."""
    held = dict(story.building)["within 2026-W03.json"]
    other = write_extract(tmp_path / "other", [record("R-6", "N-5", "N-6")], cut_off=WEEK[2], mode="delta")
    for nth in range(1, 9):
        force = stopped(story, tmp_path / "force", held, lambda f: f.take(other), nth, after=True)
        assert not story.standing(force.reopened())
        left = {name for name in tree(force.root) if "2026-W03" in name or "received/0003" in name}
        if "store/received/0003/involvement.parquet" in left:
            break
        force.archive.close()
    assert "store/links/2026-W03.link.parquet" in left
    force.take(other)
    force.build(WEEK[2])
    assert not [name for name in tree(force.root) if "2026-W03" in name]
    verify.insist(verify.verify(force.reopened().archive))
    force.archive.close()


def test_a_crash_while_building_leaves_the_old_build_live_or_the_new(story, tmp_path):
    outcomes = []
    for moment, held in story.building:
        force = at(laid_out(held, tmp_path / "force"), story.keys)
        outcomes.append(story.standing(force))
        assert len(force.archive.history.builds) == 1 + outcomes[-1], moment
        force.archive.close()
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_building_again_after_a_crash_gives_the_same_bytes(story, tmp_path):
    """The log's root too. The photographs within a write are taken: they hold what was done before, and half a file."""
    again = 0
    for moment, held in story.building:
        if not moment.startswith("within"):
            continue
        force = at(laid_out(held, tmp_path / "force"), story.keys)
        if len(force.archive.history.builds) == 1:
            force.build(WEEK[1])
            again += 1
        assert story.standing(force), moment
        now = tree(force.root)
        log = [name for name in part(story.end, "log") if not name.endswith(".part")]
        assert {name: now[name] for name in log} == {name: story.end[name] for name in log}, moment
        assert part(now, "store", "builds", "vault") == part(story.end, "store", "builds", "vault"), moment
        force.archive.close()
    assert again >= 10


def test_a_week_after_a_crash_need_not_be_the_same_week(story, tmp_path):
    """What a build that was cut off left behind does not enter the next one, which has another label."""
    held = dict(story.building)["within 2026-W03.json"]
    assert "store/links/2026-W03.link.parquet" in held
    force = at(laid_out(held, tmp_path / "force"), story.keys)
    force.receive(record("R-6", "N-5", "N-6"), cut_off=WEEK[2], mode="delta")
    made = force.build(WEEK[2])
    assert made.built.label == "2026-W04"
    assert force.as_of(WEEK[1]).label == "2026-W02"
    assert force.pairs(WEEK[2]) == {
        ("N-1", "N-2"): ["R-1", "R-5"], ("N-2", "N-3"): ["R-3"], ("N-3", "N-4"): ["R-4"], ("N-5", "N-6"): ["R-6"],
    }  # fmt: skip
    assert not [name for name in tree(force.root) if "2026-W03" in name]
    verify.insist(verify.verify(force.reopened().archive))
    force.archive.close()


# ---- the disk is full, and the same process goes on ------------------------------------------------------------------


@contextmanager
def full_at(patch: pytest.MonkeyPatch, nth: int, after: bool) -> Iterator[list[str]]:
    """No space is left when the nth durable step begins, or right after it; half of what was to be written is there."""
    steps: list[str] = []
    replacing, remove = durable.replacing, durable.remove

    def count(name: str) -> bool:
        steps.append(name)
        return len(steps) == nth

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    @contextmanager
    def limited(path, **said):
        now = count(path.name)
        with replacing(path, **said) as staged:
            yield staged
            if now and not after:
                staged.write_bytes(staged.read_bytes()[: staged.stat().st_size // 2])
                full()
        if now:
            full()

    def limited_remove(path):
        now = count(f"removing {path.name}")
        if now and not after:
            full()
        remove(path)
        if now:
            full()

    patch.setattr(durable, "replacing", limited)
    patch.setattr(durable, "remove", limited_remove)
    yield steps


def stopped(
    story: Story, root: Path, start: Tree, step: Callable[[Force], object], nth: int, after: bool
) -> Force | None:
    """The force after the step was stopped, still open; None when it has fewer steps than that."""
    force = at(laid_out(start, root), story.keys)
    with pytest.MonkeyPatch.context() as patch, full_at(patch, nth, after) as steps:
        try:
            step(force)
        except OSError as error:
            found = error.errno
        else:
            assert len(steps) < nth
            force.archive.close()
            return None
    assert found == errno.ENOSPC
    assert not [name for name in tree(root).keys() - start.keys() if name.endswith(".part")]
    return force


@pytest.mark.parametrize("after", [False, True])
def test_a_full_disk_while_receiving(story, tmp_path, after):
    for nth in range(1, 40):
        force = stopped(story, tmp_path / "f", story.start, lambda f: f.take(story.extract, on=WEEK[1]), nth, after)
        if force is None:
            break
        assert not story.standing(force)
        assert force.take(story.extract, on=WEEK[1]).number == 2  # in the same process, once there is room
        assert received(force.archive) == story.new
        assert not story.standing(force.reopened())
        assert not force.archive.unlogged()
        force.archive.close()
    assert 8 < nth < 39


@pytest.mark.parametrize("after", [False, True])
def test_a_full_disk_while_building(story, tmp_path, after):
    for nth in range(1 + after, 40, 4):  # every fourth step; the photographs show them all
        force = stopped(story, tmp_path / "f", story.middle, lambda f: f.build(WEEK[1]), nth, after)
        if force is None:
            break
        story.standing(force)
        with force.archive.writing():  # what the log took in before the disk was full is taken in here too
            done = len(force.archive.history.builds) == 2
        assert story.standing(force) == done
        if not done:
            force.build(WEEK[1])
        assert story.standing(force)
        assert part(tree(force.root), "store", "builds", "vault") == part(story.end, "store", "builds", "vault")
        assert force.archive.log.checkpoint == story.end["log/checkpoint"]
        force.archive.close()
    assert 12 < nth < 39


REAL = """
import errno, json, shutil, subprocess, sys
from pathlib import Path
from sqlalchemy.exc import OperationalError
from tests.test_receiving_crash import WEEK, at, received
from provenance import verify
from tests.force import tables
source, keys, extract, disk = map(Path, sys.argv[1:])
answers = []
for room in (0, 32768, 86016):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    shutil.copytree(source, disk / "force")
    force = at(disk / "force", keys)
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
        filler.truncate(max(0, filler.tell() - room))
    stopped = ""
    try:
        force.take(extract, on=WEEK[1])
        stopped = "building"
        force.build(WEEK[1])
        stopped = ""
    except (OSError, OperationalError) as error:
        stopped = stopped or "receiving"
        assert "disk is full" in str(error) or error.errno == errno.ENOSPC
    (disk / "filler").unlink()
    force = force.reopened()
    verify.insist(verify.verify(force.archive))
    live = force.as_of(WEEK[1]).label
    force.take(extract, on=WEEK[1])
    if live == "2026-W02":
        force.build(WEEK[1])
    verify.insist(verify.verify(force.archive))
    assert not force.archive.unlogged()
    answers.append([room, stopped, live, sorted((t.name, t.size) for t in force.archive.history.builds[-1].tables)])
    answers[-1].append([[a, b, r] for (a, b), r in force.pairs(WEEK[1]).items()])
    force.archive.close()
    subprocess.run(["umount", str(disk)], check=True)
print(json.dumps(answers))
"""


def test_a_disk_that_is_really_full(story, tmp_path):
    """A small file system in memory, in a namespace of its own, with room for less and less of the week."""
    alone = ["unshare", "--map-root-user", "--mount"]
    try:
        able = subprocess.run(
            [*alone, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no `unshare` here: a small file system cannot be mounted without it")
    if able.returncode:
        pytest.skip("this user may not mount a small file system in a namespace of their own")
    source, disk = laid_out(story.start, tmp_path / "source"), tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        [*alone, sys.executable, "-c", REAL, str(source), str(story.keys), str(story.extract), str(disk)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    sizes = sorted((name, len(table)) for name, table in story.after.items())
    pairs = [[link["a"], link["b"], [s["record_id"] for s in link["supports"]]] for link in story.after["link"]]
    pairs = [pair for pair, link in zip(pairs, story.after["link"], strict=True) if link["theme"] == "SOC"]
    for room, _, live, ended, linked in answers:
        assert live in ("2026-W02", "2026-W03"), room
        assert [tuple(size) for size in ended] == sizes, room
        assert sorted(linked) == sorted(pairs), room
    assert {"receiving", "building"} <= {stop for _, stop, *_ in answers}


# ---- killed ----------------------------------------------------------------------------------------------------------

KILLED = """
import sys
from pathlib import Path
from tests.test_receiving_crash import WEEK, at
force = at(Path(sys.argv[1]), Path(sys.argv[2]))
force.build("2026-01-12T00:00:00Z")  # so that all is loaded; a build of its own
print("ready", flush=True)
force.take(Path(sys.argv[3]), on=WEEK[1])
force.build(WEEK[1])
print("done", flush=True)
"""


def test_a_process_killed_at_any_moment_leaves_the_old_answer_or_the_new(story, tmp_path):
    drawn = random.Random(time.time_ns())  # any moment must do
    span = 0.6  # seconds; about what the two steps take once all is loaded
    for turn in range(2):
        root = laid_out(story.start, tmp_path / f"force-{turn}")
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(root), str(story.keys), str(story.extract)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout.readline() == "ready\n"
        delay = drawn.uniform(turn * span / 2, (turn + 1) * span / 2)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        force = at(root, story.keys)
        verify.insist(verify.verify(force.archive))
        snapshot = force.as_of(WEEK[1])
        done = snapshot.label == "2026-W03.2"
        assert said(snapshot)["link"] == (story.after if done else story.before)["link"], delay
        assert received(force.archive) in (story.old, story.new), delay
        force.take(story.extract, on=WEEK[1])
        if not done:
            force.build(WEEK[1])
        assert said(force.as_of(WEEK[1]))["link"] == story.after["link"], delay
        verify.insist(verify.verify(force.archive))
        assert not force.archive.unlogged(), delay
        force.archive.close()
