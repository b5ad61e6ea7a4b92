"""A real register, whole, with a build for every week between its releases; then people and complaints leave it.

The releases of the Chicago police are received in turn and built weekly from 2016 to 2022, through the command line,
with git, DVC and a remote. The complaints behind the 204 accused whom a release dropped, and a thousand drawn nominals,
are disposed of, some of them held at first; the command is killed again and again on the way. What must hold of a small
archive (`test_erasure.py`, `test_disposal_faults.py`, `test_backups.py`) is asked of this one.

`make soak` runs it; it takes some twenty minutes on two cores.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from pipeline.sources import cpd_police_records
from provenance import asof, merkle
from provenance.archive import Archive
from provenance.errors import Missing, Tampered
from provenance.tables import TABLES
from provenance.vault import nominal_keys, record_keys
from tests.test_erasure import House, unpacked
from tests.test_real_data import LIVE_ON, RELEASES, Parts, People, counted, dropped, parts_of, told_in_turn

pytestmark = pytest.mark.soak

DRAWN, HELD, SEED = 1_000, 25, 7
CASE = "REGINA-2023-1"
_NAMED = re.compile(rb"\b(?:UID|V0|SUBJ|CR)-[A-Z0-9]+")
# Releases whose next cut-off is far enough away for a day on which one build and no other was live.
ASKED = ("2016-12-complaints", "2017-01-civil", "2018-03-complaints", "2018-06-identity", "2022-09-complaints")


class Register(House):
    """The archive with all that is beside it, and who and what is to go."""

    people: list[str]
    records: list[str]
    told: dict[str, People]  # the second count: who is in each record, after each release
    roots: list[tuple[Any, ...]]  # of each build, as published

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self.root, self.keys = folder, folder / "archive", folder / "archive.keys"
        self.source, self.said = source, {}
        for name in ("home", "tmp", "site", "remote", "archive", "inbox"):
            (self.folder / name).mkdir(parents=True)

    def found(self) -> None:
        """Initialised, received, and built for every week; pushed."""
        cpd_police_records.adapt(
            self.source, self.folder / "inbox" / "told", seed=1, step=lambda _: None, releases="separate"
        )
        self.run("init", "--name", "register")
        params = yaml.safe_load((self.root / "params.yaml").read_text("utf-8"))
        params["systems"] = {system: list(kinds) for system, kinds in cpd_police_records.SYSTEMS.items()}
        params["links"]["people_per_record"] = 0
        params["thresholds"] |= {"max_drop_percent": 100, "least_rows": 0, "stale_watermark_days": 36_500}
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
        self.dvc("remote", "add", "-d", "store", "../remote")
        self.run("backfill", str(self.folder / "inbox" / "told"), "--every", "week")
        self.dvc("push", "--all-tags")

    def opened(self) -> Archive:
        return Archive(self.root, self.keys)

    def parts(self, release: str, *, case: str = "") -> Parts:
        """What was live some time after a release, as an archive opened for it alone answers."""
        with self.opened() as archive:
            return parts_of(asof.as_of(archive, f"{LIVE_ON[release]}T12:00", case=case).links())

    def killed_until_done(self, *command: str, either: Sequence[Parts], disposals: int) -> int:
        """Run a command again and again, killed later each time, and resumed, until it ends; how often it was killed.

        Whoever reads between two attempts sees one of `either`; once there are more than so many `disposals`, what was
        begun is resumed.
        """
        patience, killed = 0.9, 0
        while True:
            process = subprocess.Popen(
                [sys.executable, "-m", "provenance.cli", "--archive", str(self.root), *command],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            try:
                said, _ = process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                killed, patience = killed + 1, patience * 1.25
                with self.opened() as archive:
                    begun = len(archive.history.disposals)
                    assert parts_of(asof.as_of(archive, f"{LIVE_ON[ASKED[0]]}T12:00").links()) in either
                if begun > disposals:
                    command = ("dispose", "resume")
                continue
            assert process.returncode == 0, said
            return killed


@pytest.fixture(scope="module")
def register(shared, tmp_path_factory) -> Iterator[Register]:
    """The archive before anything is disposed of, and who and what will be."""
    made = Register(tmp_path_factory.mktemp("register") / "house", shared / "data" / "cpd_police_records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(made.folder / "home"))
        patch.setenv("TMPDIR", str(made.folder / "tmp"))
        patch.setenv("DVC_SITE_CACHE_DIR", str(made.folder / "site"))
        patch.setattr("tempfile.tempdir", str(made.folder / "tmp"))
        made.found()
        with made.opened() as archive:
            keys = archive.vault.keys(np.delete(archive.vault.secrets()[0], 0)).to_pylist()
            made.roots = [built.tables for built in archive.history.builds]
        known = {key.split("\x1f")[2] for key in keys if key.startswith("r\x1f")}
        made.people = random.Random(SEED).sample(sorted(key[2:] for key in keys if key.startswith("n")), DRAWN)
        made.records = sorted({f"CR-{complaint}" for complaint, _ in dropped(made.source)} & known)
        made.told = told_in_turn(made.source)
        yield made


@dataclass
class Gone:
    """What became of it: killed how often, which certificates, and the state at each station."""

    killed: int
    released: int
    certificates: list[dict]
    waiting: set[str]  # what the hold kept
    while_held: dict[str, Parts]
    for_the_case: dict[str, Parts]
    aside: Path
    known: dict[
        str, tuple[pa.Table, list[bytes]]
    ]  # per table: the rows that go, as they lay on disk, and what they say
    words: set[bytes]
    found_before: set[bytes]
    secrets: np.ndarray  # (n, 32): those of what goes


@pytest.fixture(scope="module")
def gone(register) -> Gone:
    words = {name.encode() for name in (*register.people, *register.records)}
    subjects = pa.concat_arrays([
        nominal_keys(pa.array(register.people)),
        record_keys(pa.array(["CPD-COMPLAINTS"] * len(register.records)), pa.array(register.records)),
    ])  # fmt: skip
    known = {}
    with register.opened() as archive:
        tokens = np.sort(archive.vault.tokens(subjects))
        held, secrets = archive.vault.secrets()
        secrets = secrets[np.searchsorted(held, tokens)]
        for name in TABLES:
            index = archive.index(name)
            sealed = index.rows(index.reached(tokens)).combine_chunks()
            entries = archive.sealer.entries(name, sealed).to_pylist() if len(sealed) else []
            known[name] = (sealed, [entry[32:] for entry in entries])
    found_before = seen_in(register, words)
    register.run("backup", str(register.folder.parent / "backup"))
    aside = register.copied("aside")

    # A case holds some of them: those and whatever shares a row with them are restricted, not destroyed.
    kept = register.people[:HELD]
    hold = json.loads(register.run(
        "hold", "add", "--case", CASE, "--basis", "inquiry", *(word for who in kept for word in ("--nominal", who)),
        "--review-on", "2027-01-01", "--by", "an inspector", "--under", "the inquiry's order", "--json",
    ))  # fmt: skip
    plan = str(register.folder / "plan.yaml")
    register.run(
        "dispose", "plan", *(word for who in register.people for word in ("--nominal", who)),
        *(word for complaint in register.records for word in ("--record", "CPD-COMPLAINTS", complaint)),
        "--under", "retention schedule", "--reason", "mopi-review", "--by", "A", "--out", plan,
    )  # fmt: skip
    lines = yaml.safe_load(Path(plan).read_text("utf-8"))["lines"]
    going = {line["id"] for line in lines if line["outcome"] == "dispose"}
    assert {line["outcome"] for line in lines} == {"dispose", "restrict"}
    everybody = {line["id"] for line in lines}
    either = [register.parts(ASKED[0]), expected(register, everybody, ASKED[0])]
    carry_out = "dispose", "carry-out", plan, "--by", "A", "--approved-by", "B"
    killed = register.killed_until_done(*carry_out, either=either, disposals=0)
    # Cut off, the command cannot remove the plan; it says so, and the person does.
    Path(plan).unlink(missing_ok=True)
    while_held = {release: register.parts(release) for release in ASKED}
    for_the_case = {release: register.parts(release, case=CASE) for release in ASKED}

    release = "hold", "release", hold["hold"], "--reason", "decided", "--by", "an inspector", "--under", "the end of it"
    released = register.killed_until_done(*release, either=[while_held[ASKED[0]]], disposals=1)
    register.dvc("push", "--all-tags")
    listed = json.loads(register.run("dispose", "list", "--json"))
    certificates = [
        json.loads(register.run("certificate", each["certificate"], "--json")) for each in listed["disposals"]
    ]
    waiting = everybody - going
    return Gone(
        killed, released, certificates, waiting, while_held, for_the_case, aside, known, words, found_before, secrets
    )


def expected(register: Register, without: set[str], release: str) -> Parts:
    """The second count, without those people and records."""
    people = frozenset(name for name in without if not name.startswith("CR-"))
    told = told_in_turn(register.source, people)[release]
    return counted({record: here for record, here in told.items() if record not in without})


def seen_in(register: Register, words: set[bytes]) -> set[bytes]:
    """Which of the words stand anywhere: in any byte of any file, unpacked, and in all that today's keys open."""
    return {word for _, data in unpacked(register) for word in words & set(_NAMED.findall(data))}


def test_there_is_a_build_for_every_week_and_all_verify(register, gone):
    said = register.run("verify")
    assert "The archive verifies." in said
    assert len(register.roots) > 300
    with register.opened() as archive:
        assert [built.tables for built in archive.history.builds] == register.roots


@pytest.mark.parametrize("release", ASKED)
def test_what_was_disposed_of_has_left_every_build(register, gone, release):
    """By the second count over the raw files, which knows nothing of archives."""
    parts = register.parts(release)
    everybody = {*register.people, *register.records}
    assert parts == expected(register, everybody, release)
    assert parts < counted(register.told[release])


@pytest.mark.parametrize("release", ASKED)
def test_what_was_held_was_out_of_sight_but_for_its_case(register, gone, release):
    everybody = {*register.people, *register.records}
    assert gone.while_held[release] == expected(register, everybody, release)
    assert gone.for_the_case[release] == expected(register, everybody - gone.waiting, release)
    assert gone.for_the_case[release] > gone.while_held[release]


def test_killed_again_and_again_it_was_carried_out_and_certified_once(register, gone):
    assert gone.killed >= 3
    assert gone.released >= 1
    assert len(gone.certificates) == 2
    nominals, records = (sum(each[what] for each in gone.certificates) for what in ("nominals", "records"))
    assert (nominals, records) == (DRAWN, len(register.records))
    assert len(register.records) > 100
    assert {len(each["builds"]) for each in gone.certificates} == {len(register.roots)}


def test_no_byte_names_them_and_before_every_one_was_found(register, gone):
    assert gone.found_before == gone.words
    assert seen_in(register, gone.words) == set()


def test_no_byte_is_one_of_their_secrets_or_boxes(register, gone):
    """Any eight bytes in a row that begin a secret or a box of theirs, at any place of any file."""
    boxes = [box[:8] for sealed, _ in gone.known.values() for box in sealed["box"].to_pylist()]
    sought = np.unique(np.frombuffer(b"".join([*(s.tobytes()[:8] for s in gone.secrets), *boxes]), "<u8"))
    assert len(sought) > 10_000

    def hits(folder: Path) -> int:
        total = 0
        for path in folder.rglob("*"):
            if path.is_file() and "inbox" not in path.parts:
                data = path.read_bytes()
                for start in range(8):
                    window = np.frombuffer(data[start : start + (len(data) - start) // 8 * 8], "<u8")
                    total += int(np.isin(window, sought).sum())
        return total

    assert hits(register.folder) == 0
    assert hits(gone.aside) >= len(boxes)  # the copies from before: rows in archive, DVC's cache and remote


def test_copies_from_before_open_nothing_under_the_keys_of_today(register, gone):
    with pytest.raises(Tampered, match="the vault's keyring does not open: the master key is another one"):
        Archive(gone.aside / "archive", register.keys)
    with register.opened() as archive:
        for name, (sealed, _) in gone.known.items():
            if len(sealed):
                chance = random.Random(SEED)
                for at in chance.sample(range(len(sealed)), min(50, len(sealed))):
                    with pytest.raises(Missing, match="the vault no longer holds"):
                        archive.sealer.open(name, sealed.slice(at, 1))
    with Archive(gone.aside / "archive", gone.aside / "archive.keys") as old:  # the control
        for name, (sealed, rows) in gone.known.items():
            assert len(old.sealer.open(name, sealed)) == len(rows)


def test_who_has_every_row_in_hand_matches_no_leaf(register, gone):
    """R33, at scale: every content that went, hashed in every way that needs no secret, against all that is left."""
    with register.opened() as archive:
        leaves = {leaf.tobytes() for name in TABLES for leaf in archive.index(name).leaf}
    tried = 0
    for _, rows in gone.known.values():
        for row in rows:
            guesses = (merkle.leaf_hash(row), merkle.leaf_hash(bytes(32) + row), hashlib.sha256(row).digest())
            assert leaves.isdisjoint(guesses)
            tried += len(guesses)
    assert tried > 50 * DRAWN
    dead = {leaf for sealed, _ in gone.known.values() for leaf in sealed["leaf"].to_pylist()}
    assert dead <= leaves  # what is guessed at is there


def test_a_backup_from_before_answers_only_after_the_disposals_are_replayed(register, gone, tmp_path):
    backup, into = register.folder.parent / "backup", tmp_path / "restored"
    shutil.copytree(register.keys, tmp_path / "restored.keys")
    shutil.copytree(register.folder / "remote", tmp_path / "remote")  # where the restored archive looks for it
    command = [sys.executable, "-m", "provenance.cli", "restore", str(backup), str(into)]
    command += ["--log", str(register.root / "log")]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 3, refused.stderr  # its vault is one that the disposal closed
    assert "--vault" in refused.stderr + refused.stdout
    shutil.rmtree(into, ignore_errors=True)
    command += ["--vault", str(register.root / "vault"), "--files", str(register.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Archive(into, tmp_path / "restored.keys") as again:
        for release in ASKED[:2]:
            assert parts_of(asof.as_of(again, f"{LIVE_ON[release]}T12:00").links()) == register.parts(release)


def test_every_release_has_its_day():
    assert set(ASKED) < set(RELEASES)
