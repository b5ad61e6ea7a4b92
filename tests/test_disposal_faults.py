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
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

import provenance
from provenance import asof, canonical, disposal, durable, entries, verify
from provenance.archive import Archive
from provenance.errors import Conflict, ProvenanceError, Refused
from provenance.vault import Vault
from tests.force import Force, record, write_extract
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
    ("what is derived goes", "without index/figures"),
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
        patch.setattr(os, "urandom", random.Random(3).randbytes)
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
    differed = asof.whole(lambda: asof.difference(*(asof.as_of(archive, when) for when in WEEK[:2])).to_pylist())
    return answers | {"difference": canonical_json(differed)}


def canonical_json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def kept(held: Tree) -> Tree:
    """What is neither derived nor a lock."""
    return {name: data for name, data in held.items() if "force/index/" not in name and not name.endswith(".writer")}


class Story:
    """Two weeks, one record disposed of between them; then a disposal, undisturbed, with photographs of each step."""

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
        self.plan = force.plan(*GOING, on=NOW)
        self.old, self.start = asked(force.archive), tree(self.folder)
        subjects = disposal._tokens(force.archive, [line.request for line in self.plan.lines])
        held, secrets = force.archive.vault.secrets()
        self.secrets = {secrets[np.searchsorted(held, token)].tobytes() for token in subjects.tolist()}
        assert len(self.secrets) == 2
        self.album: list[tuple[str, Tree]] = []

        def photograph(step: str, source: Path, done: bool) -> None:
            now = tree(self.folder)
            if not done and source.suffix == ".part":  # what else is renamed was durable before
                name = source.relative_to(self.folder).as_posix()
                torn = now.pop(name)
                # Whoever comes after a crash is another process, and writes its own parts under another name.
                name = name.replace(f".{os.getpid()}.part", f".{NOBODY}.part")
                self.album.append((f"half of {step}", now | {name: torn[: len(torn) // 2]}))
            elif done:
                self.album.append((step, now))

        with same_draws(), pytest.MonkeyPatch.context() as patch, watched(patch, self.folder, photograph):
            self.outcome = force.carry_out(self.plan, on=NOW)
        self.new, self.end = asked(force.archive), tree(self.folder)
        self.logged = len(self.album)
        verify.insist(verify.verify(force.archive))
        force.archive.close()
        assert all(self.old[name] != self.new[name] for name in self.old)

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
            return force.carry_out(self.plan, on=NOW)

    def check(self, force: Force) -> None:
        """It is as the undisturbed run left it, also to whoever opens it anew, and verifies."""
        now = tree(force.root.parent)
        assert kept(now).keys() == kept(self.end).keys()
        assert [name for name, data in kept(now).items() if data != self.end[name]] == []
        assert not (force.root / "index" / "figures").exists()
        force.reopened()
        assert self.is_done(force.archive)
        verify.insist(verify.verify(force.archive))
        assert not force.archive.unlogged()
        held = {secret.tobytes() for secret in force.archive.vault.secrets()[1]}
        assert not held & self.secrets


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("story"))


def whole(album: list[tuple[str, Tree]]) -> list[tuple[str, Tree]]:
    return [(step, held) for step, held in album if not step.startswith("half of ")]


def test_the_table_lists_every_step_in_order(story):
    """Control: the photographs show each step of the table, and no other."""
    steps = [step for step, _ in whole(story.album)]
    at_step = iter(steps)
    step = next(at_step)
    for name, pattern in STEPS:
        assert fnmatch.fnmatchcase(step, pattern), f"{name}: wanted {pattern}, found {step}"
        while step and fnmatch.fnmatchcase(step, pattern):
            step = next(at_step, "")
    assert not step


# ---- stopped, and opened again ---------------------------------------------------------------------------------------


def test_a_crash_at_any_step_leaves_the_old_state_or_the_new_to_every_reader(story, tmp_path):
    """One who opens the archive, and one who asks through Python; neither changes a byte of it."""
    outcomes, refused = [], []
    for step, held in story.album:
        force = story.at(held, tmp_path / "f")
        outcomes.append(story.is_done(force.archive))
        cut_off = disposal.is_unsettled(force.archive)
        force.archive.close()
        try:
            with provenance.open(force.root, keys=force.keys) as api:
                for when in WEEK[:2]:
                    said = canonical_json(api.as_of(when).answer())
                    assert said == (story.new if outcomes[-1] else story.old)[f"{when} None"], step
        except Refused as error:
            assert "wanted `provenance dispose resume` first" in str(error), step
            refused.append(step)
            assert cut_off, step
        else:
            assert not cut_off, step
        assert kept(tree(tmp_path / "f")) == kept(held), step
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}
    assert refused[0] == "log/checkpoint"
    assert refused[-1] == "half of vault/keyring"


def test_a_disposal_cut_off_at_any_step_is_completed_to_the_same_bytes(story, tmp_path):
    """Log, certificate, segments, vault and keys; and no part of a file is left."""
    for step, held in story.album:
        force = story.at(held, tmp_path / "f")
        story.complete(force)
        try:
            story.check(force)
        except AssertionError as error:
            raise AssertionError(f"cut off at: {step}") from error
        force.archive.close()
