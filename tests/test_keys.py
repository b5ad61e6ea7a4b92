"""One signing key takes over from another: no moment without a reader or a writer, and nobody else becomes a signer.

While a rotation runs, the disk is photographed before and after each step towards it. Each photograph is read, written
to and completed. Then the same on a disk that fails, with other writers meanwhile, and with a liar at the files.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from provenance import backups, canonical, disposal, durable, entries, keys, rekeying, statements, verify
from provenance.archive import Archive
from provenance.cli import main
from provenance.custody import Custody
from provenance.errors import Malformed, Missing, Refused, Tampered
from provenance.keys import SigningKey
from provenance.log import Log
from provenance.notes import Note, Verifier, opened_checkpoint
from provenance.policies import Policy
from tests.force import HARM, PARAMS, Force, record
from tests.test_log_crash import failing, watched
from tests.test_receiving_crash import Tree, at, laid_out, tree

WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z"]
WHO = {"on": "2026-01-19T09:00:00Z", "by": "archivist", "under": "key policy 2"}


def rotate(archive: Archive, reason: str = "scheduled") -> entries.Rekeyed:
    return rekeying.rotate(archive, **WHO, reason=reason)


def consulted(number: int) -> entries.Consulted:
    return entries.Consulted(**WHO, case=f"24/{number}", label="2026-W02", rows=1)


def sound(archive: Archive) -> None:
    verify.insist(verify.verify(archive))


class Told:
    """A week is built, and a nominal disposed of, under the first key; a week is built under the second."""

    def __init__(self, folder: Path) -> None:
        self.force = force = Force(folder)
        shutil.copy(Path(__file__).resolve().parent.parent / "params.yaml", force.root)
        shutil.copytree(Path(__file__).resolve().parent.parent / "harm", force.root / "harm")
        force.receive(record("R-1", "N-1", "N-2"), record("R-2", "N-2", "N-3"), record("R-3", "N-8", "N-9"),
                      cut_off=WEEK[0])  # fmt: skip
        force.build(WEEK[0])
        force.dispose("N-9", on="2026-01-12T09:00:00Z")
        self.disposal = force.archive.history.disposals[0].first.disposal
        self.first = force.archive.vkey
        self.old = (force.keys / "log.pem").read_bytes()
        self.before = tree(folder)
        self.backup = folder.parent / "backup of before"
        backups.make(force.archive, self.backup, on=WEEK[0], by="tests")
        self.said = rotate(force.archive)
        self.after = tree(folder)
        force.receive(record("R-4", "N-3", "N-4"), cut_off=WEEK[1], mode="delta")
        force.build(WEEK[1])
        self.end = tree(folder)
        force.archive.close()


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Told:
    return Told(tmp_path_factory.mktemp("told") / "desk")


def standing(held: Tree, folder: Path) -> Force:
    laid_out(held, folder)
    return at(folder / "force", folder / "force.keys")


# ---- what was signed when --------------------------------------------------------------------------------------------


def test_each_thing_is_judged_by_the_key_of_its_time(told, tmp_path):
    force = standing(told.end, tmp_path / "desk")
    archive = force.archive
    second = Verifier.parse(told.said.vkey)
    assert told.first != second == archive.vkey
    assert archive.signers() == (told.first, second)
    assert archive.history.signers == [(0, str(told.first)), (told.said.place, str(second))]
    assert list(archive.log.acts(told.said.place, told.said.place + 1)) == [told.said]
    assert [archive.history.signer_of(built.label) for built in archive.history.builds] == [told.first, second]
    assert archive.history.signer_of(told.disposal) == told.first
    assert [archive.stated(built).label for built in archive.history.builds] == ["2026-W02", "2026-W03"]
    assert disposal.certificate(archive, told.disposal).number == 1
    head, _ = opened_checkpoint(archive.log.checkpoint, second)
    assert head.size == archive.log.size
    assert Policy.parse((force.root / "log" / "policy").read_bytes()).logs == (told.first, second)
    assert json.loads((force.root / "archive.json").read_bytes()) == {
        "archive": "force", "format": 1, "vkey": str(second),
    }  # fmt: skip
    assert sorted(name for name in told.end if name.startswith("force.keys/")) == [
        "force.keys/log.pem", "force.keys/log.retired", "force.keys/master",
    ]  # fmt: skip
    assert not [name for name, data in told.end.items() if told.old.splitlines()[1] in data]  # the private key is gone
    assert Custody(force.keys).signers("force") == (told.first, second)
    sound(archive)
    force.archive.close()


def test_what_the_old_key_signs_later_is_refused(told, tmp_path, monkeypatch):
    """A build statement and a certificate by the retired key, logged by whoever has both keys."""
    force = standing(told.end, tmp_path / "desk")
    (tmp_path / "old.pem").touch(mode=0o600)
    (tmp_path / "old.pem").write_bytes(told.old)
    old, real = SigningKey.open(tmp_path / "old.pem", name="force"), statements.enveloped
    assert old.verifier == told.first
    monkeypatch.setattr(statements, "enveloped", lambda payload, kind, key: real(payload, kind, old))
    force.receive(record("R-5", "N-1", "N-4"), cut_off=WEEK[2], mode="delta")
    with contextlib.suppress(Tampered):  # once it is logged, it may be asked for
        force.build(WEEK[2])
    force = force.reopened()
    built = force.archive.history.builds[-1]
    assert built.label == "2026-W04"
    with pytest.raises(Tampered, match="build statement does not verify: DSSE envelope: no signature by a known key"):
        force.archive.stated(built)
    force.dispose("N-8", on="2026-01-26T09:00:00Z")
    with pytest.raises(Tampered, match="certificate does not verify: DSSE envelope: no signature by a known key"):
        disposal.certificate(force.archive, force.archive.history.disposals[-1].first.disposal)
    force.archive.close()


def test_keys_take_over_again_and_again(told, tmp_path):
    force = standing(told.before, tmp_path / "desk")
    said = [rotate(force.archive, reason) for reason in keys.REASONS]
    assert [vkey for _, vkey in force.archive.history.signers] == [str(told.first), *(act.vkey for act in said)]
    sound(force.archive)
    spans = force.archive.spans()
    assert [span["reason"] for span in spans] == ["", *keys.REASONS]
    assert [span["entry"] for span in spans] == [0, *(act.place for act in said)]
    with pytest.raises(Malformed, match=r"^reason of a rotation: not one of scheduled, changed-hands, feared-stolen$"):
        rotate(force.archive, "boredom")
    force.archive.close()


def test_a_key_of_somebody_else_rotates_nothing(told, tmp_path):
    force = standing(told.before, tmp_path / "desk")
    other = Force(tmp_path / "other", "force")
    shutil.copy(other.keys / "log.pem", force.keys / "log.pem")
    held = tree(tmp_path / "desk")
    with pytest.raises(Refused, match=r"^log force is signed by another key: [0-9a-f]{8}, wanted [0-9a-f]{8}$"):
        rotate(force.archive)
    assert tree(tmp_path / "desk") == held
    force.archive.close()


# ---- cut off ---------------------------------------------------------------------------------------------------------


def photographed(patch: pytest.MonkeyPatch, folder: Path, act: Callable[[], Any]) -> list[Tree]:
    """Each state that the disk went through while `act` ran."""
    album = [tree(folder)]

    def shoot(_: str, step: Callable[[], Any]) -> Any:
        before = tree(folder)
        done = step()
        for now in (before, tree(folder)):
            if now != album[-1]:
                album.append(now)
        return done

    with watched(patch, shoot):
        act()
    return album


def test_a_rotation_that_was_cut_off_reads_writes_and_completes(told, tmp_path):
    """At each moment: a reader opens it and finds all sound, whoever logs without the lock does, and the next writer
    leaves either the one key or the other, with nothing left over.
    """
    force = standing(told.before, tmp_path / "desk")
    with pytest.MonkeyPatch.context() as patch:
        album = photographed(patch, tmp_path / "desk", lambda: rotate(force.archive))
    force.archive.close()
    assert len(album) > 20
    seen = set()
    for held in album:
        force = standing(held, tmp_path / "desk")
        archive = force.archive
        sound(archive)
        assert archive.is_rotating() == ("force.keys/log.next.pem" in held)
        size, signer = archive.log.size, archive.vkey
        archive.append(consulted(1))
        assert archive.vkey == signer
        sound(archive)
        named = len(json.loads(held["force/archive.json"])) - 3
        with archive.writing():
            pass
        now = tree(tmp_path / "desk")
        rotated = len(archive.history.signers) == 2
        seen.add((named, len(archive.history.signers), signer == told.first, "force.keys/log.next.pem" in held))
        assert archive.vkey == Verifier.parse(archive.history.signers[-1][1])
        assert rotated or signer == told.first
        assert sorted(name for name in now if name.startswith("force.keys/") and not name.endswith(".part")) == [
            "force.keys/log.pem", *["force.keys/log.retired"] * rotated, "force.keys/master",
        ]  # fmt: skip
        assert json.loads(now["force/archive.json"]).keys() == {"archive", "format", "vkey"}
        sound(archive)
        archive.append(consulted(2))
        assert archive.log.size == size + 2
        rotate(archive)
        force = force.reopened()
        sound(force.archive)
        assert len(force.archive.history.signers) == 2 + rotated
        force.archive.close()
    # Not begun; a key; announced; logged; signed again; named alone; done.
    assert seen == {
        (0, 1, True, False), (0, 1, True, True), (1, 1, True, True), (1, 2, True, True), (1, 2, False, True),
        (0, 2, False, True), (0, 2, False, False),
    }  # fmt: skip


@pytest.mark.parametrize("after", [False, True])
def test_a_disk_that_fails_while_keys_change(told, tmp_path, after):
    """And the process goes on with what it had open."""
    for nth in range(1 + after, 500, 2):
        force = standing(told.before, tmp_path / "desk")
        failed = ""
        with pytest.MonkeyPatch.context() as patch, failing(patch, nth, after=after, for_good=False) as steps:
            try:
                rotate(force.archive)
            except OSError as error:
                failed = str(error.errno)
        assert failed in ("", str(errno.EIO))
        if len(steps) < nth:
            break
        force.archive.append(consulted(1))
        with force.archive.writing():
            pass
        sound(force.archive)
        rotate(force.archive)
        sound(force.archive)
        force.archive.close()
    assert nth > 40


def test_a_reader_that_stays_open_follows(told, tmp_path):
    force = standing(told.before, tmp_path / "desk")
    reader = Archive(force.root, force.keys)
    for _ in range(3):
        rotate(force.archive)
        rotate(force.archive)
        reader.refresh()
        assert (reader.vkey, reader.log.size) == (force.archive.vkey, force.archive.log.size)
        reader.append(consulted(1))
        force.archive.refresh()
    sound(reader)
    reader.close()
    force.archive.close()


def test_others_log_while_keys_change(told, tmp_path):
    """Two processes log without the archive's lock while the key changes five times; none is refused or lost."""
    force = standing(told.before, tmp_path / "desk")
    before = force.archive.log.size
    script = """
import sys
from pathlib import Path
from provenance.archive import Archive
from provenance.entries import Consulted
archive = Archive(Path(sys.argv[1]), Path(sys.argv[2]))
print("open", flush=True)
for turn in range(40):
    archive.append(Consulted(on="2026-01-19T09:00:00Z", by=sys.argv[3], under="test", case=f"24/{turn}",
                             label="2026-W02", rows=1))
"""
    others = [
        subprocess.Popen(
            [sys.executable, "-c", script, force.root, force.keys, str(n)], stdout=subprocess.PIPE, text=True
        )
        for n in range(2)
    ]
    for other in others:
        assert other.stdout.readline() == "open\n"
    turns = [rotate(force.archive) for _ in range(5)]
    assert [other.wait(60) for other in others] == [0, 0]
    for other in others:
        other.stdout.close()
    force = force.reopened()
    held = list(force.archive.log.acts(before))
    assert len(held) == 85
    for n in range(2):
        assert [act.case for act in held if act.by == str(n)] == [f"24/{turn}" for turn in range(40)]
    assert [act for act in held if isinstance(act, entries.Rekeyed)] == turns
    assert [held[act.place - before] for act in turns] == turns
    sound(force.archive)
    force.archive.close()


def test_threads_share_a_log_while_keys_change(told, tmp_path):
    """Whoever comes with the key of before is refused, and nothing of theirs is logged."""
    force = standing(told.before, tmp_path / "desk")
    old = force.archive.signing_key()
    log = Log.open(force.root / "log", vkey=old.verifier)
    before, refused = log.size, []

    def write(number: int) -> int:
        done = 0
        for _ in range(20):
            try:
                log.append([consulted(number)], key=old)
                done += 1
            except (Refused, Tampered):
                refused.append(number)
        return done

    with ThreadPoolExecutor(8) as pool:
        counts = [pool.submit(write, number) for number in range(8)]
        said = rotate(force.archive)
        done = sum(count.result() for count in counts)
    assert done + len(refused) == 160
    force.archive.refresh()
    assert force.archive.log.size == before + done + 1
    assert said.place <= before + done
    sound(force.archive)
    force.archive.close()


# ---- liars -----------------------------------------------------------------------------------------------------------


def description(vkey: str, **more: str) -> bytes:
    return canonical.dumps({"archive": "force", "format": 1, "vkey": vkey, **more}) + b"\n"


def thiefs(folder: Path) -> SigningKey:
    return SigningKey.create(folder / "thief.pem", name="force")


def test_archive_json_alone_makes_nobody_a_signer(told, tmp_path):
    """A liar puts a key of his own into archive.json and signs the head, or a longer one, with it."""
    force = standing(told.before, tmp_path / "desk")
    mine, held = thiefs(tmp_path), tree(tmp_path / "desk")
    head = opened_checkpoint(force.archive.log.checkpoint, told.first)[0]
    for logged in (False, True):
        force = standing(held, tmp_path / "desk")
        durable.write(force.root / "archive.json", description(str(mine.verifier)))
        durable.write(force.root / "log" / "checkpoint", bytes(Note.signed(head.text, mine)))
        if logged:
            lies = entries.Rekeyed(
                **WHO, place=head.size, vkey=str(mine.verifier), reason="scheduled",
                endorsement=statements.endorse(mine, head.size, str(mine.verifier)),
            )  # fmt: skip
            Log.open(force.root / "log", vkey=mine.verifier).append([lies], key=mine)
        message = "is not endorsed by the one before it" if logged else "wanted the one that the log names last"
        for _ in range(2):
            with pytest.raises(Tampered, match=message):
                force.archive.refresh()
        with pytest.raises(Tampered, match=message):
            Archive(force.root, force.keys)
        force.archive.close()


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda f, m: (f.keys / "log.retired").unlink(), "key file log.retired lacks 1 of the keys that signed before"),
        (lambda f, m: durable.write(f.keys / "log.pem", m, mode=0o600), "key file log.pem is not the one that the log"),
        (
            lambda f, m: durable.write(
                f.root / "log" / "policy", b"log %s\nquorum none\n" % str(f.archive.vkey).encode()
            ),
            "log/policy lacks a key that signed the log",
        ),
        (lambda f, m: (f.root / "log" / "policy").unlink(), "log/policy is not there"),
        (
            lambda f, m: durable.write(f.root / "archive.json", description(str(f.archive.vkey), more="x")),
            "archive.json says something else than the log",
        ),
    ],
    ids=["retired", "log.pem", "policy", "no policy", "archive.json"],
)
def test_what_does_not_agree_with_the_log_is_named(told, tmp_path, spoil, fault):
    force = standing(told.end, tmp_path / "desk")
    thiefs(tmp_path)
    spoil(force, (tmp_path / "thief.pem").read_bytes())
    found = [step for step in verify.verify(force.archive) if step.number == 2]
    assert any(fault in said for said in found[0].faults), found
    force.archive.close()


def test_a_new_key_that_was_lost_in_between_is_asked_for(told, tmp_path):
    """The log says that it signs: nothing is written under the old one."""
    force = standing(told.before, tmp_path / "desk")
    with pytest.MonkeyPatch.context() as patch:
        album = photographed(patch, tmp_path / "desk", lambda: rotate(force.archive))
    force.archive.close()
    size = force.archive.log.size
    cut = next(held for held in album if Note.parse(held["force/log/checkpoint"]).text.split("\n")[1] == str(size))
    force = standing({n: d for n, d in cut.items() if n != "force.keys/log.next.pem"}, tmp_path / "desk")
    with pytest.raises(Missing, match=r"^key file log\.next\.pem is not there: wanted that of key [0-9a-f]{8}"):
        force.receive(record("R-5", "N-1", "N-4"), cut_off=WEEK[2], mode="delta")
    force.archive.close()


def test_a_list_of_retired_keys_in_another_form(told, tmp_path):
    force = standing(told.end, tmp_path / "desk")
    durable.write(force.keys / "log.retired", b"force+00000000+AAAA\n", mode=0o600)
    with pytest.raises(Malformed, match=r"^key file log\.retired is not a list of public keys, a vkey on each line: "):
        Custody(force.keys).signers("force")
    force.archive.close()


# ---- backups, and the command line -----------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [False, True], ids=["its own log", "the log of the day"])
def test_a_backup_of_before_comes_back_under_the_key_of_today(told, tmp_path, later):
    """With the log of the day; its own ends before the key of today took over, which cannot go on with it."""
    desk = laid_out(told.after, tmp_path / "desk")
    shutil.copytree(desk / "force.keys", tmp_path / "r.keys")
    log = desk / "force" / "log" if later else None
    if not later:
        with pytest.raises(Refused, match=r"^log is older than the signing key: it ends with \d+ entries under key "):
            backups.put_back(told.backup, tmp_path / "r", tmp_path / "r.keys", log=None)
        assert not (tmp_path / "r").exists()
        return
    backups.put_back(told.backup, tmp_path / "r", tmp_path / "r.keys", log=log)
    backups.replay(tmp_path / "r", tmp_path / "r.keys", PARAMS, HARM, **WHO)
    force = at(tmp_path / "r", tmp_path / "r.keys")
    sound(force.archive)
    assert force.archive.vkey == Verifier.parse(told.said.vkey)
    assert Policy.parse((force.root / "log" / "policy").read_bytes()).logs == force.archive.signers()
    force.receive(record("R-4", "N-3", "N-4"), cut_off=WEEK[1], mode="delta")
    force.build(WEEK[1])
    sound(force.archive)
    force.archive.close()


def cli(root: Path, *words: str) -> str:
    done = CliRunner().invoke(main, ["--archive", str(root), "key", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands(told, tmp_path):
    laid_out(told.before, tmp_path / "desk")
    root = tmp_path / "desk" / "force"
    said = json.loads(cli(root, "rotate", "--reason", "feared-stolen", "--under", "incident 7", "--json"))
    assert said["vkey"] != str(told.first)
    assert (said["reason"], said["under"]) == ("feared-stolen", "incident 7")
    listed = json.loads(cli(root, "list", "--json"))
    assert [key["vkey"] for key in listed["keys"]] == [str(told.first), said["vkey"]]
    assert [key["entry"] for key in listed["keys"]] == [0, said["entry"]]
    assert listed["rotation_cut_off"] is False
    shown = cli(root, "list")
    assert f"{told.first}\n{said['vkey']}\n" in shown
    assert "feared-stolen" in shown
    spoken = cli(root, "rotate", "--reason", "scheduled", "--under", "key policy 2")
    assert "provenance witness trust" in spoken
    assert max(len(line) for line in spoken.splitlines() if "+" not in line) <= 80
    (root.with_name("force.keys") / "log.next.pem").touch(mode=0o600)
    shutil.copyfile(root.with_name("force.keys") / "log.pem", root.with_name("force.keys") / "log.next.pem")
    assert "A rotation was cut off. The next command that writes completes it." in cli(root, "list")
