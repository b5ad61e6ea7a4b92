"""A disposal that is cut off at any step is the old state or the new one to whoever asks, and is then completed.

While a disposal is carried out, the disk is photographed before, within and after each durable step. Each photograph is
what a crash at that moment leaves behind; each is opened, asked and completed, and what it comes to is what the
undisturbed run came to, byte for byte. Then the same with a full disk and a process that goes on, with a process that
is killed, and with others who read and write meanwhile.
"""

import errno
import fnmatch
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import provenance
from provenance import asof, comparing, disposal, holding, keys, verify
from provenance.archive import Archive
from provenance.errors import Conflict, ProvenanceError, Refused
from provenance.vault import Vault
from tests.force import PARAMS, Force, record, write_extract
from tests.test_receiving_crash import Tree, at, laid_out, tree

ROOT = Path(__file__).resolve().parent.parent
WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z"]
BEFORE, NOW = "2026-01-12T09:00:00Z", "2026-01-19T09:00:00Z"
FIRST = [
    record("R-1", "N-1", "N-2"),
    record("R-2", "N-1", "N-2"),  # a link that lives on with less when R-2 goes,
    record("R-3", "N-2", "N-3"),  # and one that dies with N-3,
    record("R-9", "N-2", "N-3"),  # although it had an heir, of R-9
    record("R-8", "N-7", "N-4", themes="SOC;CL"),
]
SECOND = [record("R-4", "N-3", "N-4"), record("R-5", "N-1", "N-4:victim"), record("R-6", "N-5", "N-6")]
MERGED = {"from_nominal": "N-7", "into_nominal": "N-2", "evidence": "prints", "by": "DI", "at": WEEK[0]}
GOING = ("N-3", "CONNECT R-2")

# Carry-out, step by step: what is renamed into place or removed, in this order. In the archive's folder, `keys` beside.
STEPS = (
    ("what it reaches is filed", "store/disposals/0002/*.parquet"),
    ("Disposed is in the log's bundle and tile", "log/tile/*"),
    ("Disposed is logged", "log/checkpoint"),
    ("the catalogue takes it in", "index/catalogue.sha256"),
    ("what is derived goes", "without index/*.figures"),
    ("shards without its secrets", "vault/*.shard"),
    ("what is known again", "vault/*.forgotten"),
    ("a new master key", "keys/master.next"),
    ("the keyring under it", "vault/keyring"),
    ("the master key is replaced", "keys/master"),
    ("old shards go", "without vault/*"),
    ("the files without its rows, staged", "store/disposals/0002/staged/*"),
    ("Expunged is in the log's bundle and tile", "log/tile/*"),
    ("Expunged is logged", "log/checkpoint"),
    ("the catalogue takes it in", "index/catalogue.sha256"),
    ("the files are swapped", "store/*.parquet"),
    ("the certificate", "audit_reports/certificates/*.json"),
    ("Certified is in the log's bundle and tile", "log/tile/*"),
    ("Certified is logged", "log/checkpoint"),
    ("the catalogue takes it in", "index/catalogue.sha256"),
)
# The same when its last hold ends, which it had waited for: what `hold release` does, in this order.
RELEASED = (
    ("Released is in the log's bundle and tile", "log/tile/*"),
    ("Released is logged", "log/checkpoint"),
    ("the catalogue takes the release in", "index/catalogue.sha256"),
)
LOGGED = 2  # the place of the step from which on there is no way back
FILED = {"fates.parquet", "again.parquet", "gaps.parquet", "left_out.parquet", "link.parquet"}
NOBODY = 2**22 + 1  # one more than Linux gives to any process


# ---- the steps -------------------------------------------------------------------------------------------------------


@contextmanager
def watched(patch: pytest.MonkeyPatch, folder: Path, seen: Callable[[str, Path, bool], None]) -> Iterator[None]:
    """`seen(step, what is renamed, whether it is done)`, before and after each rename into place and each removal."""
    replace, unlink = os.replace, os.unlink

    def named(path: str | Path) -> str:
        path = Path(path)
        if (folder / "force") in path.parents:
            return path.relative_to(folder / "force").as_posix()
        return f"keys/{path.name}" if (folder / "force.keys") in path.parents else ""

    def seen_replace(source, target, **said):
        step = named(target)
        if step:
            seen(step, Path(source), False)
        replace(source, target, **said)
        if step:
            seen(step, Path(source), True)

    def seen_unlink(path, *, dir_fd=None):
        step = "" if dir_fd is not None or Path(path).suffix == ".part" or not Path(path).exists() else named(path)
        if step and step != "index/catalogue.sha256":  # its making and unmaking is of the catalogue's own tests
            seen(f"without {step}", Path(path), False)
        unlink(path, dir_fd=dir_fd)
        if step and step != "index/catalogue.sha256":
            seen(f"without {step}", Path(path), True)

    patch.setattr(os, "replace", seen_replace)
    patch.setattr(os, "unlink", seen_unlink)
    try:
        yield
    finally:
        patch.undo()


@contextmanager
def same_draws() -> Iterator[None]:
    """Ids, secrets and keys are drawn from the same few numbers, each kind from its own, so that two runs agree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disposal.entry_id, "__defaults__", (random.Random(1).randbytes,))
        patch.setitem(Vault.drop.__kwdefaults__, "draw", random.Random(2).randbytes)
        urandom, drawn = os.urandom, random.Random(3).randbytes(32)  # the master key; others draw names, in no order
        patch.setattr(os, "urandom", lambda size: drawn if sys._getframe(1).f_globals is vars(keys) else urandom(size))
        yield


def asked(archive: Archive) -> dict[str, str]:
    """What the archive says of both weeks: all of it, of one neighbour, of one link, of the difference."""
    said = {}
    for when in WEEK[:2]:
        for nominal in (None, "N-2", "N-4"):
            said[f"{when} {nominal}"] = lambda s, n=nominal: s.answer(nominal=n)
        said[f"{when} explained"] = lambda s: s.explain("N-1", "N-2")
    answers = {
        name: canonical_json(asof.whole(lambda n=name, ask=ask: ask(asof.as_of(archive, n.split(" ")[0]))))
        for name, ask in said.items()
    }
    differed = asof.whole(lambda: comparing.difference(*(asof.as_of(archive, when) for when in WEEK[:2])).to_pylist())
    return answers | {"difference": canonical_json(differed)}


def canonical_json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def kept(held: Tree) -> Tree:
    """What is neither derived nor a lock, of the archive and its keys."""
    ours = {name: data for name, data in held.items() if name.startswith(("force/", "force.keys/"))}
    return {name: data for name, data in ours.items() if "force/index/" not in name and not name.endswith(".writer")}


class Shot(NamedTuple):
    """A photograph of the disk when a step was done, or half of its file was written."""

    step: str
    half: bool
    nth: int  # how many steps were done before this one
    held: Tree


class Story:
    """Two weeks, one record disposed of between them; then a disposal, undisturbed, with photographs of each step."""

    steps, logged = STEPS, LOGGED

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "story"
        force = Force(self.folder)
        force.receive(
            *FIRST, cut_off=WEEK[0], merges=[MERGED], nominals=[{"nominal_id": f"N-{n}", "sex": "F"} for n in (1, 2, 3)]
        )
        force.build(WEEK[0])
        force.dispose("CONNECT R-9", on=BEFORE)
        force.receive(*SECOND, cut_off=WEEK[1], mode="delta")
        force.build(WEEK[1])
        self.begin(force)
        self.old, self.start = asked(force.archive), tree(self.folder)
        subjects = disposal._tokens(force.archive, [line.request for line in self.plan.lines])
        held, secrets = force.archive.vault.secrets()
        self.secrets = {secrets[np.searchsorted(held, token)].tobytes() for token in subjects.tolist()}
        assert len(self.secrets) == 2
        self.album: list[Shot] = []

        def photograph(step: str, source: Path, done: bool) -> None:
            now, nth = tree(self.folder), sum(not shot.half for shot in self.album)
            if done:
                self.album.append(Shot(step, False, nth, now))
            elif source.suffix == ".part":  # what else is renamed was durable before
                name = source.relative_to(self.folder).as_posix()
                torn = now.pop(name)
                # Whoever comes after a crash is another process, and writes its own parts under another name.
                name = name.replace(f".{os.getpid()}.part", f".{NOBODY}.part")
                self.album.append(Shot(step, True, nth, now | {name: torn[: len(torn) // 2]}))

        with same_draws(), pytest.MonkeyPatch.context() as patch, watched(patch, self.folder, photograph):
            self.act(force)
        self.new, self.end = asked(force.archive), tree(self.folder)
        verify.insist(verify.verify(force.archive))
        force.archive.close()
        assert all(self.old[f"{when} None"] != self.new[f"{when} None"] for when in WEEK[:2])

    def begin(self, force: Force) -> None:
        """What comes before the photographs."""
        self.plan = force.plan(*GOING, on=NOW)

    def act(self, force: Force) -> list[disposal.Outcome]:
        """The disposal of this story; after a crash too, as a person would do it who finds it not yet logged."""
        return force.carry_out(self.plan, on=NOW)

    def at(self, held: Tree, folder: Path) -> Force:
        """A force of which only this is left on the disk."""
        root = laid_out(held, folder)
        return at(root / "force", root / "force.keys")

    def is_done(self, archive: Archive) -> bool:
        """Whether the disposal is in force; every answer is wholly that of before or of after."""
        answers = asked(archive)
        done = len(archive.history.disposals) == 2
        assert answers == (self.new if done else self.old)
        return done

    def complete(self, force: Force) -> list[disposal.Outcome]:
        """What a person would do who finds it so."""
        with same_draws():
            if len(force.archive.history.disposals) == 2:
                return force.finish(on=NOW)
            return self.act(force)

    def check(self, force: Force, step: str) -> None:
        """It is as the undisturbed run left it, also to whoever opens it anew, and verifies."""
        now = kept(tree(force.root.parent))
        assert now.keys() == kept(self.end).keys(), step
        assert [name for name, data in now.items() if data != self.end[name]] == [], step
        assert not list((force.root / "index").glob("*.figures"))
        force.reopened()
        assert self.is_done(force.archive)
        verify.insist(verify.verify(force.archive))
        assert not force.archive.unlogged()
        held = {secret.tobytes() for secret in force.archive.vault.secrets()[1]}
        assert not held & self.secrets

    def shots(self, place: int) -> list[Shot]:
        """Photographs of one line of the table: the first step half done, then steps that are done.

        Of what is only put beside, the first and the last; of what takes effect, each.
        """
        found = [shot for line, shot in zip(self.lines, self.album, strict=True) if line == place]
        whole = [shot for shot in found if not shot.half]
        if "staged" in self.steps[place][0] or "filed" in self.steps[place][0]:
            whole = [whole[0], whole[-1]]
        return [shot for shot in found[:1] if shot.half] + whole

    @cached_property
    def lines(self) -> list[int]:
        """For each photograph its line of the table, whose lines follow one another as the steps do."""
        found, line = [], 0
        for shot in self.album:
            line += not fnmatch.fnmatchcase(shot.step, self.steps[line][1])
            assert fnmatch.fnmatchcase(shot.step, self.steps[line][1]), f"{self.steps[line]}: found {shot.step}"
            found.append(line)
        return found

    def shot(self, step: str) -> Shot:
        """The first photograph of that step, done."""
        return next(shot for shot in self.album if shot.step == step and not shot.half)


class Waited(Story):
    """The same disposal, of what a case held: restricted at first, and carried out when the hold is released."""

    steps, logged = (*RELEASED, *STEPS), len(RELEASED) + LOGGED

    def begin(self, force: Force) -> None:
        self.hold = holding.place(
            force.archive, PARAMS, case="24/0113", basis="inquiry", nominals=["N-3"], records=[("CONNECT", "R-2")],
            review_on="2026-12-01", on=NOW, by="officer", under="a story",
        ).id  # fmt: skip
        self.plan = force.plan(*GOING, on=NOW)
        assert [outcome.restricted for outcome in force.carry_out(self.plan, on=NOW)] == [2]

    def act(self, force: Force) -> list[disposal.Outcome]:
        if force.archive.history.holds[self.hold].stands:
            said = {"on": NOW, "by": "another", "under": "a story"}
            holding.release(force.archive, PARAMS, self.hold, reason="decided", **said)
        return force.finish(on=NOW)


OF_RELEASE = range(Waited.logged + 2)  # from there on it is the other story, step by step


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("story"))


@pytest.fixture(scope="module")
def waited(tmp_path_factory):
    return Waited(tmp_path_factory.mktemp("waited"))


# ---- stopped, and opened again ---------------------------------------------------------------------------------------


def test_the_table_of_a_release_lists_every_step_in_order(waited):
    assert sorted(set(waited.lines)) == list(range(len(waited.steps)))
    torn = {waited.steps[line][0] for line, shot in zip(waited.lines, waited.album, strict=True) if shot.half}
    assert torn >= {name for name, _ in RELEASED}


def test_the_table_lists_every_step_in_order(story):
    """Control: the photographs are those of the table, all of it, in its order."""
    assert sorted(set(story.lines)) == list(range(len(STEPS)))
    torn = {STEPS[line][0] for line, shot in zip(story.lines, story.album, strict=True) if shot.half}
    whole = {"what is derived goes", "old shards go", "the master key is replaced", "the files are swapped"}
    assert torn == {name for name, _ in STEPS} - whole  # these remove, or rename what was durable before
    assert len([line for line in story.lines if STEPS[line][0] == "the files are swapped"]) == 11


@pytest.mark.parametrize("place", range(len(STEPS)), ids=[name for name, _ in STEPS])
def test_a_crash_at_any_step_leaves_the_old_state_or_the_new_and_is_completed(story, tmp_path, place):
    """To one who opens the archive, and one who asks through Python; completed, it is the undisturbed run's bytes.

    Log, certificate, segments, vault and keys; no part of a file is left.
    """
    crash(story, tmp_path, place)


@pytest.mark.parametrize("place", OF_RELEASE, ids=[Waited.steps[place][0] for place in OF_RELEASE])
def test_a_crash_at_any_step_of_a_release_leaves_what_waited_in_one_state(waited, tmp_path, place):
    """Between `Released` and `Disposed` nobody is shown what was restricted, and whoever writes next carries it out."""
    crash(waited, tmp_path, place)


def crash(story: Story, tmp_path: Path, place: int) -> None:
    for step, half, _, held in story.shots(place):
        force = story.at(held, tmp_path / "f")
        done = story.is_done(force.archive)
        assert done == (place > story.logged or (place == story.logged and not half)), step
        cut_off = disposal.is_unsettled(force.archive)
        refused = pytest.raises(Refused, match="`provenance dispose resume` first") if cut_off else nullcontext()
        with refused, provenance.open(force.root, keys=force.keys) as api:
            for when in WEEK[:2]:
                said = canonical_json(api.as_of(when).answer())
                assert said == (story.new if done else story.old)[f"{when} None"], step
        assert kept(tree(tmp_path / "f")) == kept(held), step  # whoever asks changes nothing
        story.complete(force)
        story.check(force, step)
        force.archive.close()


def test_a_disposal_that_was_not_logged_leaves_nothing(story, tmp_path):
    """What it had filed is swept by whoever writes next, and is in nobody's way: here another disposal, and a build."""
    step, half, _, held = story.shots(LOGGED)[0]
    assert (step, half) == ("log/checkpoint", True)
    for act in ("dispose", "build"):
        force = story.at(held, tmp_path / "f")
        assert len(force.archive.history.disposals) == 1
        if act == "dispose":
            assert [o.number for o in force.dispose("N-6", on=NOW)] == [2]
        else:
            force.receive(record("R-7", "N-3", "N-5"), cut_off=WEEK[2], mode="delta")
            force.build(WEEK[2])
        filed = {name: data for name, data in held.items() if "store/disposals/0002/" in name}
        now = tree(tmp_path / "f")
        assert {name.rpartition("/")[2] for name in filed} == FILED
        assert not [name for name, data in filed.items() if now.get(name) == data]
        verify.insist(verify.verify(force.reopened().archive))
        assert ("N-2", "N-3") in force.pairs(WEEK[1])
        force.archive.close()


def test_nobody_writes_upon_secrets_that_should_be_gone(story, tmp_path):
    """What came in would be sealed under one of them, and could never be certified as gone."""
    force = story.at(story.shot("without index/people.figures").held, tmp_path / "f")
    for act in (
        lambda: force.receive(record("R-20", "N-3", "N-1"), cut_off=WEEK[2], mode="delta"),
        lambda: force.build(WEEK[2]),
    ):
        with pytest.raises(Conflict, match="disposal was cut off before its secrets were destroyed: `provenance"):
            act()
    story.complete(force)
    story.check(force, "")
    assert force.receive(record("R-20", "N-3", "N-1"), cut_off=WEEK[2], mode="delta").returned == 1
    force.archive.close()


@pytest.mark.parametrize("step", ["keys/master", "store/links/2026-W02.link.parquet"])
def test_a_week_between_a_crash_and_its_completion(story, tmp_path, step):
    """Once the secrets are gone the force works on, and what is left to be done is done later."""
    force = story.at(story.shot(step).held, tmp_path / "f")
    assert force.archive.history.disposals[1].certified is None
    force.receive(record("R-7", "N-1", "N-5"), cut_off=WEEK[2], mode="delta")
    force.build(WEEK[2])
    assert ("N-1", "N-5") in force.pairs(WEEK[2])
    story.complete(force)
    assert force.archive.history.disposals[1].certified
    verify.insist(verify.verify(force.reopened().archive))
    certificate = disposal.certificate(force.archive, force.archive.history.disposals[1].first.disposal)
    assert [build.label for build in certificate.builds] == ["2026-W02", "2026-W03"]
    force.archive.close()


# ---- the disk is full, and the same process goes on ------------------------------------------------------------------


@pytest.mark.parametrize("place", range(len(STEPS)), ids=[name for name, _ in STEPS])
def test_a_full_disk_at_any_step(story, tmp_path, place):
    """Half of a file is written when no room is left; nothing stays of it, and once there is room the work goes on."""
    fill(story, tmp_path, place)


@pytest.mark.parametrize("place", OF_RELEASE, ids=[Waited.steps[place][0] for place in OF_RELEASE])
def test_a_full_disk_at_any_step_of_a_release(waited, tmp_path, place):
    fill(waited, tmp_path, place)


def fill(story: Story, tmp_path: Path, place: int) -> None:
    force = story.at(story.start, tmp_path / "f")
    step, _, nth, _ = story.shots(place)[-1]
    seen = []

    def full(found: str, source: Path, done: bool) -> None:
        if done:
            seen.append(found)
        elif len(seen) == nth:
            assert found == step
            if source.suffix == ".part":
                source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(OSError, match="No space left on device"),
        pytest.MonkeyPatch.context() as patch,
        same_draws(),
        watched(patch, tmp_path / "f", full),
    ):
        story.act(force)
    assert not [name for name in tree(tmp_path / "f") if name.endswith(".part")]
    force.archive.refresh()  # as whoever asks the next question does
    assert story.is_done(force.archive) == (place > story.logged)
    story.complete(force)
    story.check(force, step)
    force.archive.close()


# ---- killed ----------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
import pytest
from tests.test_disposal_faults import NOW, at, disposal, same_draws, watched
folder, step = Path(sys.argv[1]), sys.argv[2]
force = at(folder / "force", folder / "force.keys")
def kill(found, source, done):
    if found == step and done:
        os.kill(os.getpid(), signal.SIGKILL)
with same_draws(), pytest.MonkeyPatch.context() as patch, watched(patch, folder, kill):
    force.carry_out(disposal.read(force.archive, folder / "plan.yaml"), on=NOW)
"""


@pytest.mark.parametrize("step", ["vault/keyring", "store/networks/2026-W02.nominal.parquet"])
def test_a_process_that_is_killed(story, tmp_path, step):
    folder = tmp_path / "f"
    force = story.at(story.start, folder)
    disposal.write(force.archive, story.plan, folder / "plan.yaml")
    force.archive.close()
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), step], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    (folder / "plan.yaml").unlink()
    assert kept(tree(folder)) == kept(story.shot(step).held)
    force = at(force.root, force.keys)
    assert story.is_done(force.archive)
    story.complete(force)
    story.check(force, step)
    force.archive.close()


KILLED_AT_RELEASE = """
import os, signal, sys
from pathlib import Path
import pytest
from tests.test_disposal_faults import Waited, at, same_draws, watched
folder, hold, nth = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
story = object.__new__(Waited)
story.hold, force, seen = hold, at(folder / "force", folder / "force.keys"), []
def kill(found, source, done):
    seen.extend([found] * done)
    if done and len(seen) > nth:
        os.kill(os.getpid(), signal.SIGKILL)
with same_draws(), pytest.MonkeyPatch.context() as patch, watched(patch, folder, kill):
    story.act(force)
"""


@pytest.mark.parametrize("place", [1, 2, 3, 5], ids=[Waited.steps[place][0] for place in (1, 2, 3, 5)])
def test_a_process_that_is_killed_while_it_releases_a_hold(waited, tmp_path, place):
    folder, shot = tmp_path / "f", waited.shots(place)[-1]
    waited.at(waited.start, folder).archive.close()
    command = [sys.executable, "-c", KILLED_AT_RELEASE, str(folder), waited.hold, str(shot.nth)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert kept(tree(folder)) == kept(shot.held)
    force = at(folder / "force", folder / "force.keys")
    assert disposal.is_waiting(force.archive) == (place < waited.logged)
    assert waited.is_done(force.archive) == (place == waited.logged)
    waited.complete(force)
    waited.check(force, shot.step)
    force.archive.close()


# ---- others read and write meanwhile ---------------------------------------------------------------------------------


@contextmanager
def at_each_step(folder: Path, ask: Callable[[str, int], None]) -> Iterator[list[str]]:
    """`ask(step, which)` each time a step of the block is done; not within the catalogue's, for which readers wait."""
    steps: list[str] = []
    asking = False

    def done(step: str, _: Path, is_done: bool) -> None:
        nonlocal asking
        if is_done and not asking and not step.startswith("index/"):
            steps.append(step)
            asking = True
            ask(step, len(steps) - 1)
            asking = False

    with pytest.MonkeyPatch.context() as patch, watched(patch, folder, done):
        yield steps


def test_readers_at_every_moment_of_a_disposal(story, tmp_path):
    """One that had all in memory, and for each moment one that was opened before it and had read nothing yet.

    The one with a memory asks as the Python interface does: it takes in the log, and asks again when overtaken.
    """
    force = story.at(story.start, tmp_path / "f")
    many = len([shot for shot in story.album if not shot.half and not shot.step.startswith("index/")])
    cold = [Archive(force.root, force.keys) for _ in range(many)]
    with provenance.open(force.root, keys=force.keys) as memory:
        said: dict[str, list[bool]] = {"memory": [], "cold": []}

        def ask(step: str, which: int) -> None:
            for who, archive in (("cold", cold[which]), ("memory", memory._inner)):
                if who == "memory":
                    archive.refresh()
                answers = asked(archive)
                assert answers in (story.old, story.new), f"{who}: {step}"
                said[who].append(answers == story.new)

        assert asked(memory._inner) == story.old
        with at_each_step(tmp_path / "f", ask) as steps:
            force.carry_out(story.plan, on=NOW)
        assert len(steps) == many
        assert said["memory"] == [place > steps.index("log/checkpoint") - 1 for place in range(many)]
        assert said["cold"] == sorted(said["cold"])
        assert said["cold"][-1]
        assert canonical_json(memory.as_of(WEEK[0]).answer()) == story.new[f"{WEEK[0]} None"]
    for archive in (*cold, force.archive):
        archive.close()


def test_a_snapshot_whose_rows_were_not_looked_up_before_a_disposal(story, tmp_path):
    """Its links are in files that have changed: it says so, where it once left out those that live on with less."""
    force = story.at(story.start, tmp_path / "f")
    with provenance.open(force.root, keys=force.keys) as api:
        early = api.as_of(WEEK[0])
        force.carry_out(story.plan, on=NOW)
        with pytest.raises(asof.Overtaken, match="rows were disposed of while they were looked up: ask again"):
            early.links(nominal="N-2")
        late = api.as_of(WEEK[0]).links(nominal="N-2").to_pylist()
        found = [(x["theme"], x["a"], x["b"], x["reduced"]) for x in late]
        assert found == [("CL", "N-2", "N-4", 0), ("SOC", "N-1", "N-2", 1), ("SOC", "N-2", "N-4", 0)]
    force.archive.close()


def test_an_archive_verifies_at_every_moment_of_a_disposal(story, tmp_path):
    """Or says that a disposal is under way; it accuses nobody."""
    force = story.at(story.start, tmp_path / "f")
    said = []

    def ask(step: str, _: int) -> None:
        with Archive(force.root, force.keys) as fresh:
            for archive in (fresh, long_open):
                try:
                    verify.insist(verify.verify(archive))
                except Conflict:
                    said.append("Conflict")
                except ProvenanceError as error:
                    said.append(f"{step}: {error}")

    with Archive(force.root, force.keys) as long_open, at_each_step(tmp_path / "f", ask):
        force.carry_out(story.plan, on=NOW)
    assert set(said) <= {"Conflict"}
    force.archive.close()


def test_an_archive_that_was_cut_off_in_a_disposal_verifies(story, tmp_path):
    """What is left to be done is no fault of it."""
    faults = []
    for shot in story.album:
        if shot.half or shot.step.startswith("log/tile"):
            continue
        force = story.at(shot.held, tmp_path / "f")
        found = [fault for step in verify.verify(force.archive) for fault in step.faults]
        faults += [f"{shot.nth} {shot.step}: {fault}" for fault in found]
        force.archive.close()
    assert faults == []


def test_an_archive_that_is_open_verifies_after_a_disposal_by_another(story, tmp_path):
    force = story.at(story.start, tmp_path / "f")
    with provenance.open(force.root, keys=force.keys) as api:
        api.verify()
        force.carry_out(story.plan, on=NOW)
        api.verify()
    force.archive.close()


def test_others_who_write_meanwhile_are_told_to_try_again(story, tmp_path):
    """A second disposal, an extract, a build: Conflict at every step, and nothing of them is left."""
    force = story.at(story.start, tmp_path / "f")
    other = at(force.root, force.keys)
    extract = write_extract(tmp_path / "more", [record("R-7", "N-1", "N-5")], cut_off=WEEK[2], mode="delta")

    def ask(step: str, _: int) -> None:
        for act in (
            lambda: other.carry_out(story.plan, on=NOW),
            lambda: other.finish(on=NOW),
            lambda: other.take(extract, on=WEEK[2]),
            lambda: other.build(WEEK[2]),
        ):
            with pytest.raises(Conflict, match="another process is writing to store: wanted to be the only writer"):
                act()

    with same_draws(), at_each_step(tmp_path / "f", ask) as steps:
        force.carry_out(story.plan, on=NOW)
    assert len(steps) > 40
    story.check(force, "")
    assert [outcome.again for outcome in other.carry_out(story.plan, on=NOW)] == [True]
    assert other.take(extract, on=WEEK[2]).number == 3
    assert ("N-1", "N-5") in (other.build(WEEK[2]), other.pairs(WEEK[2]))[1]
    verify.insist(verify.verify(other.archive))
    other.archive.close()
    force.archive.close()


@pytest.mark.parametrize("moment", ["catalogue.refresh", "_decisive"])
def test_what_is_logged_while_the_log_is_read_is_taken_in_once(story, tmp_path, monkeypatch, moment):
    """The catalogue knows of it before the reader does, who once called the log rolled back, or took acts in twice."""
    force = story.at(story.start, tmp_path / "f")
    reader = Archive(force.root, force.keys)
    *inner, name = moment.split(".")
    asked_of = getattr(reader, inner[0]) if inner else reader
    ask, disposed = getattr(asked_of, name), []

    def asked_late(*said: object) -> object:
        if not disposed:
            disposed.append(force.carry_out(story.plan, on=NOW))
        return ask(*said)

    monkeypatch.setattr(asked_of, name, asked_late)
    force.receive(record("R-7", "N-1", "N-5"), cut_off=WEEK[2], mode="delta")  # something to take in
    reader.refresh()
    reader.refresh()
    assert [d.number for d in reader.history.disposals] == [1, 2]
    assert len(reader.history.timeline) == 4
    assert asked(reader) == story.new
    reader.close()
    force.archive.close()


# ---- processes at once -----------------------------------------------------------------------------------------------

CROWD = """
import json, sys, time
from pathlib import Path
import provenance
from provenance import disposal, verify
from provenance.archive import Archive
from provenance.errors import Conflict
from tests.test_disposal_faults import NOW, WEEK, asked, at, canonical_json
role, folder = sys.argv[1], Path(sys.argv[2])
root, keys, go, stop = folder / "force", folder / "force.keys", folder / "go", folder / "stop"
said = []

def tell(ask):
    try:
        said.append(ask())
    except Conflict as error:
        said.append("Conflict: " + str(error))
    except Exception as error:
        said.append(type(error).__name__ + ": " + str(error))

def answers():  # from an archive that is opened for the question, and from one that has been open all the time
    memory._inner.refresh()
    with Archive(root, keys) as anew:
        return [["anew", asked(anew)], ["memory", asked(memory._inner)]]

def checked():
    with provenance.open(root, keys=keys) as api:
        return api.verify() or "verified"

def taken(force):
    if len(force.archive.history.extracts) == 2:
        return force.take(folder / "more", on=WEEK[2]).number
    return force.build(WEEK[2]).built.label

def carried():
    plan = disposal.read(force.archive, folder / "plan.yaml")
    return ["again" if outcome.again else "done" for outcome in force.carry_out(plan, on=NOW)]

memory = provenance.open(root, keys=keys)
force = at(root, keys)
ask = {
    "reader": answers,
    "auditor": checked,
    "builder": lambda: taken(force),
    "officer": carried,
}[role]
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
while True:
    last = stop.exists() and role != "officer"
    tell(ask)
    if last or said[-1] in (["done"], ["again"], "2026-W04"):
        break
    time.sleep(0.05)
print(json.dumps(said), flush=True)
"""


@pytest.fixture(scope="module")
def crowded(story, tmp_path_factory):
    """Two who carry out the same plan at once, one who asks, one who builds, one who verifies: what they were told."""
    folder = tmp_path_factory.mktemp("crowd") / "f"
    force = story.at(story.start, folder)
    disposal.write(force.archive, story.plan, folder / "plan.yaml")
    write_extract(folder / "more", [record("R-7", "N-1", "N-5")], cut_off=WEEK[2], mode="delta")
    roles = ("officer", "officer", "reader", "builder", "auditor")
    processes = [
        subprocess.Popen([sys.executable, "-c", CROWD, role, str(folder)], cwd=ROOT, text=True, stdout=subprocess.PIPE)
        for role in roles
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * len(roles)
    (folder / "go").touch()
    said = [json.loads(process.communicate()[0]) for process in processes[:2]]
    (folder / "stop").touch()
    said += [json.loads(process.communicate()[0]) for process in processes[2:]]
    yield said, force.reopened()
    force.archive.close()


def told(said: list) -> list:
    """What they were told but that they should try again."""
    return [answer for answer in said if not str(answer).startswith("Conflict: ")]


def test_one_of_two_who_carry_out_a_plan_at_once_does_it(story, crowded):
    """The other is told that it was done, when he has tried again."""
    (one, other, *_), force = crowded
    assert sorted([told(one), told(other)]) == [[["again"]], [["done"]]]
    assert len(force.archive.history.disposals) == 2
    verify.insist(verify.verify(force.archive))
    assert len(list((force.root / "audit_reports" / "certificates").iterdir())) == 2


def test_a_process_that_asks_meanwhile_is_answered_from_one_state(story, crowded):
    """Each answer is that of before or of after, and no later one is of before again."""
    (_, _, reader, *_), _ = crowded

    def bare(answer: str) -> str:  # until when a build was live is what the build that comes says
        return answer.replace(WEEK[2], "")

    seen: dict[tuple[str, str], list[bool]] = {}
    for both in told(reader):
        for who, answers in both:
            for name, answer in answers.items():
                assert bare(answer) in (story.old[name], story.new[name]), (who, name)
                seen.setdefault((who, name), []).append(bare(answer) == story.new[name])
    assert seen.keys() == {(who, name) for who in ("anew", "memory") for name in story.new}
    for (who, name), found in seen.items():
        assert found == sorted(found), (who, name)
        assert found[-1], (who, name)


def test_a_process_that_builds_meanwhile_succeeds_or_is_told_to_try_again(crowded):
    (*_, builder, _), force = crowded
    assert told(builder) == [3, "2026-W04"]
    assert ("N-1", "N-5") in force.pairs(WEEK[2])


def test_a_process_that_verifies_meanwhile_accuses_nobody(crowded):
    (*_, auditor), _ = crowded
    assert set(told(auditor)) == {"verified"}
    assert auditor[-1] == "verified"
