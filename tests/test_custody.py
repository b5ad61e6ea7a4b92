"""Keys in files, in files sealed under a key from outside, and in a token: one archive, told the same in each.

The token is SoftHSM's, reached as any device is, by PKCS#11. Then what the operations page has drills for: keys that
move while the disk or the device fails, a key that was read by somebody, one that was lost, a device that is replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from click.testing import CliRunner

from provenance import backups, custody, durable, entries, hsm, keys, rekeying, verify
from provenance.archive import Archive
from provenance.cli import main
from provenance.custody import ENVIRONMENT, FILES, TOKEN, Custody, Unlock, Where
from provenance.errors import Conflict, Malformed, Missing, ProvenanceError, Refused, Tampered
from provenance.keys import LOG, MASTER, NEXT, KeyFiles, SigningKey
from provenance.log import Log
from tests.force import HARM, PARAMS, Force, record, write_extract

WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z"]
WHO = {"on": "2026-01-19T09:00:00Z", "by": "archivist", "under": "key policy 2"}
PIN, KEY, OTHER_KEY = "4711-0815", "5e" * 32, "7a" * 32
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next((path for path in MODULES if Path(path).exists()), "")
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module", autouse=True)
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A device with three tokens, which SoftHSM keeps in a folder."""
    home = tmp_path_factory.mktemp("device")
    (home / "tokens").mkdir()
    (home / "softhsm2.conf").write_text(
        f"directories.tokendir = {home}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(home / "softhsm2.conf"))
        patch.setattr(os, "fsync", lambda _: None)
        for label in ("one", "two", "spare") if MODULE else ():
            pins = ["--pin", PIN, "--so-pin", "12345678"]
            command = ["softhsm2-util", "--init-token", "--free", "--label", label, *pins]
            subprocess.run(command, check=True, capture_output=True)
        yield home


def where(kind: str, token: str = "one") -> Where:
    if kind == TOKEN and not MODULE:
        pytest.skip("no SoftHSM here: softhsm2 is one of tests/judges/install.sh")
    return custody.drawn(kind, **({"module": MODULE, "token": token} if kind == TOKEN else {}))


UNLOCK = Unlock(pin=PIN, key=KEY)


def founded(folder: Path, kind: str, unlock: Unlock = UNLOCK) -> Force:
    """A force of a week, with a person disposed of in it."""
    force = Force(folder, where=where(kind), unlock=unlock)
    shutil.copy(ROOT / "params.yaml", force.root)
    shutil.copytree(ROOT / "harm", force.root / "harm")
    force.receive(record("R-1", "N-1", "N-2"), record("R-2", "N-2", "N-3"), record("R-3", "N-8", "N-9"),
                  cut_off=WEEK[0])  # fmt: skip
    force.build(WEEK[0])
    return force


def sound(archive: Archive) -> None:
    verify.insist(verify.verify(archive))


def held(kept: Force) -> set[str]:
    """Offices whose key is there, wherever keys lie or move to."""
    now = kept.archive.custody
    return {office for office in keys.OFFICES for place in (now._here, now._there) if place.holds(office)}


@pytest.fixture(params=custody.KINDS)
def force(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Force]:
    made = founded(tmp_path / "desk", request.param)
    yield made
    made.archive.close()


# ---- the same in each place ------------------------------------------------------------------------------------------


def test_an_archive_is_the_same_wherever_its_keys_lie(force, tmp_path):
    """Built, disposed of, rotated, relocked, backed up and restored; nothing is left over, and all of it verifies."""
    pairs = force.pairs(WEEK[0])
    backups.make(force.archive, tmp_path / "before", on=WEEK[0], by="tests")
    force.dispose("N-9", on="2026-01-12T09:00:00Z")
    first = force.archive.vkey
    assert rekeying.rotate(force.archive, **WHO, reason="scheduled").vkey != str(first)
    said = rekeying.relock(force.archive, **WHO, reason="changed-hands")
    assert (said.reason, said.custody) == ("changed-hands", force.archive.custody.where.kind)
    assert list(force.archive.log.acts(force.archive.log.size - 1)) == [said]
    force.receive(record("R-4", "N-3", "N-4"), cut_off=WEEK[1], mode="delta")
    force.build(WEEK[1])
    force = force.reopened()
    sound(force.archive)
    assert {pair: at for pair, at in pairs.items() if "N-9" not in pair} == force.pairs(WEEK[0])
    assert held(force) == {LOG, MASTER}
    assert force.archive.custody.retired() == [first]
    backups.make(force.archive, tmp_path / "after", on=WEEK[1], by="tests")
    shutil.copytree(force.keys, tmp_path / "r.keys")
    with pytest.raises(Refused, match=r"^vault was taken before 1 disposal"):
        backups.put_back(
            tmp_path / "before", tmp_path / "r", tmp_path / "r.keys", log=force.root / "log", files=force.root,
            unlock=UNLOCK,
        )  # fmt: skip
    backups.put_back(tmp_path / "after", tmp_path / "r", tmp_path / "r.keys", log=None, unlock=UNLOCK)
    backups.replay(tmp_path / "r", tmp_path / "r.keys", PARAMS, HARM, **WHO, unlock=UNLOCK)
    with Archive(tmp_path / "r", tmp_path / "r.keys", unlock=UNLOCK) as again:
        sound(again)


def test_what_opens_keys_is_nowhere(force):
    """Not in a file, a name, a representation, nor in what a process started here is handed on."""
    force.dispose("N-9", on="2026-01-12T09:00:00Z")
    secret = force.archive.custody
    shown = [repr(each) for each in (secret, secret._here, secret._there, force.archive, UNLOCK, secret.where)]
    shown += [repr(secret.master(lambda _: True)), repr(force.archive.signing_key())]
    for path in force.folder.rglob("*"):
        shown += [str(path)] + ([path.read_bytes().decode("latin-1")] if path.is_file() else [])
    for hidden in (PIN, KEY, bytes.fromhex(KEY).decode("latin-1")):
        assert not [text for text in shown if hidden in text]


def test_git_and_dvc_are_not_told(monkeypatch, tmp_path):
    from provenance import pins

    for name in custody.UNLOCK.values():
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("FOR_ALL", "told")
    handed = pins.handed_on()
    assert handed["FOR_ALL"] == "told"
    assert "a secret" not in handed.values()


# ---- what is not opened ----------------------------------------------------------------------------------------------


def closed(force: Force, unlock: Unlock) -> pytest.ExceptionInfo[ProvenanceError]:
    force.archive.close()
    with pytest.raises(ProvenanceError) as found:
        Archive(force.root, force.keys, unlock=unlock)
    assert PIN not in str(found.value)
    assert KEY not in str(found.value)
    return found


def test_sealed_files_without_their_key_or_with_another(tmp_path):
    force = founded(tmp_path / "desk", ENVIRONMENT)
    names = sorted(path.name for path in force.keys.iterdir())
    mark = force.archive.custody.where.mark
    assert names == ["custody.json", f"log.{mark}.sealed", f"master.{mark}.sealed"]
    assert closed(force, Unlock()).match(
        "^keys are sealed under a key that was not handed over: wanted PROVENANCE_KEY$"
    )
    assert closed(force, Unlock(key=OTHER_KEY)).match(
        rf"^key file master\.{mark}\.sealed does not open: PROVENANCE_KEY has another key, or a byte of the file"
    )
    assert closed(force, Unlock(key="no key")).match("^PROVENANCE_KEY is not a key: wanted 64 hexadecimal digits")
    shutil.copy(force.keys / f"master.{mark}.sealed", force.keys / f"log.{mark}.sealed")  # one for the other
    with Archive(force.root, force.keys, unlock=UNLOCK) as archive, pytest.raises(Refused, match=r"^key file log\."):
        archive.signing_key()


def test_a_token_without_its_pin_or_with_another(tmp_path):
    """The wrong one is tried once: a few of them lock a token."""
    force = founded(tmp_path / "desk", TOKEN)
    tried = []

    class Counted:
        def __init__(self, library: Any) -> None:
            self.library = library

        def get_token(self, **said: Any) -> Any:
            tried.append(said)
            return self.library.get_token(**said)

    def forgotten() -> None:  # as in a process that starts
        for session in hsm._sessions.values():
            if session:
                session.close()
        hsm._sessions.clear()

    real = pkcs11.lib
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pkcs11, "lib", lambda module: Counted(real(module)))
        forgotten()
        assert closed(force, Unlock()).match("^token one wants a PIN: wanted PROVENANCE_PIN$")
        assert tried == []
        assert closed(force, Unlock(pin="0000")).match("^token one does not open with PROVENANCE_PIN: wanted its user")
        assert closed(force, Unlock(pin="0000")).match("^token one has refused PROVENANCE_PIN: it is not tried again")
        assert len(tried) == 1
    forgotten()
    with Archive(force.root, force.keys, unlock=UNLOCK) as archive:
        sound(archive)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"module": "/nowhere/device.so"}, "^PKCS#11 module device.so is not there: wanted the library of the device$"),
        ({"token": "none"}, "^token none is not there, or is there twice: wanted one of that label$"),
        ({"mark": "provenance-00000000"}, "^key master in token one is not there: wanted it under label provenance-"),
        ({"kind": "cloud"}, "^custody of keys: not one of files, environment, token$"),
        ({"kind": "files"}, "^custody of keys: a token has a module and a label, and nothing else has"),
        ({"extra": 1}, "^key file custody.json does not say where keys are: wanted it as it was written$"),
    ],
)
def test_a_custody_that_leads_nowhere_is_named(tmp_path, said, fault):
    force = founded(tmp_path / "desk", TOKEN)
    path = force.keys / "custody.json"
    durable.write(path, json.dumps(json.loads(path.read_bytes()) | said).encode(), mode=0o600)
    assert closed(force, UNLOCK).match(fault)
    path.chmod(0o660)
    assert closed(force, UNLOCK).match("^key file custody.json may be read or written by others: mode 0660")


def test_no_key_of_a_token_can_be_taken_out(tmp_path):
    force = founded(tmp_path / "desk", TOKEN)
    token = force.archive.custody._here
    with token._session() as session:
        for office in (LOG, MASTER):
            key = token._held(session, office)
            assert key[pkcs11.Attribute.SENSITIVE]
            assert key[pkcs11.Attribute.NEVER_EXTRACTABLE]
            assert not key[pkcs11.Attribute.EXTRACTABLE]
            with pytest.raises(pkcs11.AttributeSensitive):
                key[pkcs11.Attribute.VALUE]
    with pytest.raises(Conflict, match=r"^key master in token one is there already: wanted none, so that no key"):
        token.draw_master(MASTER)


# ---- moving ----------------------------------------------------------------------------------------------------------

MOVES = [
    (FILES, ENVIRONMENT), (FILES, TOKEN), (ENVIRONMENT, FILES), (ENVIRONMENT, ENVIRONMENT), (TOKEN, TOKEN),
    (TOKEN, ENVIRONMENT),
]  # fmt: skip
AFTER = Unlock(pin=PIN, key=OTHER_KEY)


class CutOff(Exception):
    """The process ends here."""


WRITTEN = {"custody.json", "log.retired", "keyring", "archive.json", "checkpoint"}  # files that decide about keys


def cut(patch: pytest.MonkeyPatch, nth: int) -> list[str]:
    """End the process right after the nth step that decides about keys, on the disk or in a device; what was done."""
    done: list[str] = []

    def watch(owner: Any, name: str, said: Any) -> None:
        real = getattr(owner, name)

        def step(*arguments: Any, **named: Any) -> Any:
            if len(done) >= nth:
                raise CutOff
            found = real(*arguments, **named)
            if word := said(*arguments):
                done.append(f"{name} {word}")
                if len(done) == nth:
                    raise CutOff
            return found

        patch.setattr(owner, name, step)

    for owner in (KeyFiles, hsm.Token):
        for name in ("draw_signing", "draw_master", "promote", "destroy"):
            watch(owner, name, lambda _, office, *rest: office)
    watch(hsm.Token, "_destroy", lambda _, session, office: office)  # half of what a device has to do for a promotion
    watch(durable, "write", lambda path, *rest: path.name if path.name in WRITTEN else "")
    return done


@pytest.mark.parametrize(("kind", "to"), MOVES, ids=lambda said: said)
def test_keys_move(tmp_path, kind, to):
    force = founded(tmp_path / "desk", kind)
    first, there = force.archive.vkey, where(to, "two")
    force.archive.custody._unlock = Unlock(pin=PIN, key=KEY, next_key=OTHER_KEY)
    old = force.archive.custody._here
    rekeyed, relocked = rekeying.move(force.archive, there, **WHO, reason="changed-hands")
    assert rekeyed.vkey == str(force.archive.vkey) != str(first)
    assert relocked.custody == to
    assert force.archive.custody.where == there
    assert force.archive.custody.moving is None
    assert not [office for office in keys.OFFICES if old.holds(office)]
    assert {path.name for path in force.keys.iterdir()} == {"log.retired", "custody.json"} | {
        FILES: {"log.pem", "master"},
        ENVIRONMENT: {f"log.{there.mark}.sealed", f"master.{there.mark}.sealed"},
        TOKEN: set(),
    }[to]
    force.unlock = AFTER
    force = force.reopened()
    sound(force.archive)
    force.receive(record("R-4", "N-3", "N-4"), cut_off=WEEK[1], mode="delta")
    force.build(WEEK[1])
    force.dispose("N-9", on="2026-01-19T09:00:00Z")
    sound(force.archive)
    assert held(force) == {LOG, MASTER}
    force.archive.close()


@pytest.mark.parametrize("kind", [FILES, TOKEN])
def test_a_move_that_is_cut_off_is_completed_by_the_same_call(tmp_path, kind):
    """There and back, cut off after each step: it opens, a writer writes to it, and the same call ends the move."""
    force = founded(tmp_path / "desk", kind)
    away: tuple[str, str] = (TOKEN, "two")
    steps: set[str] = set()
    for nth in range(1, 60):
        lasts = []
        for to in (away, (kind, "one")):
            there = where(*to)
            with pytest.MonkeyPatch.context() as patch:
                done = cut(patch, nth)
                with contextlib.suppress(CutOff):
                    rekeying.move(force.archive, there, **WHO, reason="scheduled")
            steps |= set(done)
            lasts.append(len(done) < nth)
            force = force.reopened()
            force.archive.append(entries.Consulted(**WHO, case="24/1", label="2026-W02", rows=1))
            if nth % 3 == 0:  # a key that is drawn meanwhile
                rekeying.relock(force.archive, **WHO, reason="scheduled")
            if not force.archive.custody.where.is_at(there):
                rekeying.move(force.archive, there, **WHO, reason="scheduled")
            assert force.archive.custody.moving is None
            assert force.archive.custody.where.is_at(there)
            assert held(force) == {LOG, MASTER}
            assert len(force.archive.custody.retired()) == len(force.archive.signers()) - 1
        if nth % 4 == 0:
            sound(force.archive)
        if all(lasts):
            break
    assert nth > 12
    assert {
        "draw_signing log.next",
        "promote log",
        "write keyring",
        "draw_master master.next",
        "promote master",
    } <= steps
    assert {"_destroy log", "_destroy master"} <= steps
    assert {f"write {name}" for name in WRITTEN} <= steps
    sound(force.archive)
    force.archive.close()


def test_a_move_to_where_nothing_opens_changes_nothing(tmp_path):
    force = founded(tmp_path / "desk", FILES)
    before = {path.name: path.read_bytes() for path in force.keys.iterdir()}
    size = force.archive.log.size
    with pytest.raises(Missing, match=r"^token none is not there"):
        rekeying.move(force.archive, where(TOKEN, "none"), **WHO, reason="scheduled")
    force.archive.custody._unlock = Unlock()
    with pytest.raises(
        Refused, match=r"^keys are sealed under a key that was not handed over: wanted PROVENANCE_NEXT_"
    ):
        rekeying.move(force.archive, where(ENVIRONMENT), **WHO, reason="scheduled")
    with pytest.raises(Conflict, match=r"^keys lie in files of the key folder already: wanted another place"):
        rekeying.move(force.archive, where(FILES), **WHO, reason="scheduled")
    with pytest.raises(Malformed, match=r"^reason of a rotation: not one of scheduled"):
        rekeying.move(force.archive, where(TOKEN, "two"), **WHO, reason="boredom")
    assert json.loads((force.keys / "custody.json").read_bytes())["kind"] == FILES
    (force.keys / "custody.json").unlink()
    assert {path.name: path.read_bytes() for path in force.keys.iterdir()} == before
    assert force.reopened().archive.log.size == size
    force.archive.close()


def test_a_server_that_stays_open_follows_a_move(tmp_path):
    force = founded(tmp_path / "desk", FILES)
    with Archive(force.root, force.keys, unlock=UNLOCK) as reader:
        rekeying.move(force.archive, where(TOKEN, "two"), **WHO, reason="scheduled")
        reader.append(entries.Consulted(**WHO, case="24/1", label="2026-W02", rows=1))
        assert reader.vkey == force.archive.vkey
        sound(reader)
    force.archive.close()


# ---- drills ----------------------------------------------------------------------------------------------------------


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, as a device is asked anew only there."""
    return subprocess.run(
        [sys.executable, "-m", "provenance.cli", *command],
        env=os.environ | environment, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip


def test_drill_the_signing_key_was_read_by_somebody(tmp_path):
    """Somebody has a copy of log.pem, and of the log. What they sign after the rotation is believed by nobody."""
    force = founded(tmp_path / "desk", FILES)
    shutil.copytree(force.root / "log", tmp_path / "their log")
    shutil.copy(force.keys / "log.pem", tmp_path / "stolen.pem")
    stolen = SigningKey.open(tmp_path / "stolen.pem", name="force")
    force.archive.custody._unlock = UNLOCK
    rekeying.move(force.archive, where(TOKEN), **WHO, reason="feared-stolen")
    policy = (force.root / "log" / "policy").read_text()
    assert str(stolen.verifier) not in policy
    assert str(force.archive.vkey) in policy
    theirs = Log.open(tmp_path / "their log", vkey=stolen.verifier)
    theirs.append([entries.Consulted(**WHO, case="24/1", label="2026-W02", rows=1)], key=stolen)
    with pytest.raises(Tampered, match=r"no signature|not signed|signed by"):
        Log.open(tmp_path / "their log", vkey=force.archive.vkey)
    with pytest.raises(Refused, match=r"^log force is signed by another key"):
        force.archive.log.insist_on(stolen)
    sound(force.archive)
    force.archive.close()


def told(force: Force, *arguments: str, code: int = 0) -> str:
    """What a command prints that ends with `code`."""
    done = CliRunner().invoke(main, ["--archive", str(force.root), *arguments], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_drill_the_signing_key_is_lost(tmp_path):
    """Nothing is logged any more, a rotation included, and every question is answered as before. Then it comes back
    from the safe, and another takes over; the copy in the safe signs nothing then."""
    force = founded(tmp_path / "desk", FILES, Unlock())
    force.archive.close()
    later = write_extract(tmp_path / "later", [record("R-4", "N-3", "N-4")], cut_off=WEEK[1], mode="delta")
    asked, rotate = ("asof", "2026-01-12", "--json"), ("key", "rotate", "--reason", "scheduled", "--under", "policy 2")
    answer, log = told(force, *asked), told(force, "key", "list")
    key, safe = force.keys / "log.pem", tmp_path / "safe.pem"
    key.rename(safe)
    for command in (
        rotate,
        ("key", "escrow", "none", "--by", "keeper", "--under", "policy 2"),
        ("receive", str(later)),
    ):
        assert told(force, *command, code=5) == "Missing: key file log.pem is not there: wanted it in force.keys\n"
    verified = told(force, "verify", code=4)
    assert "key file log.pem is not there: wanted it in force.keys" in " ".join(verified.split())
    assert verified.endswith("Tampered: archive does not verify: 1 fault(s), listed above\n")
    assert told(force, *asked) == answer
    shutil.copy(safe, key)
    assert told(force, "key", "list") == log  # nothing of what was tried is in it
    told(force, "verify")
    told(force, *rotate)
    told(force, "verify")
    assert told(force, *asked) == answer
    shutil.copy(safe, key)
    assert told(force, *rotate, code=3).startswith("Refused: log force is signed by another key")


def test_drill_the_master_key_was_read_by_somebody(tmp_path):
    """With a vault of that day they read all of that day, for good. Of what comes after they read nothing, and the
    backups of before come back no more."""
    force = founded(tmp_path / "desk", FILES, Unlock())
    pairs = force.pairs(WEEK[0])
    force.archive.close()
    told(force, "backup", str(tmp_path / "before"))
    theirs = tmp_path / "theirs"
    shutil.copytree(force.root, theirs / "force")
    shutil.copytree(force.keys, theirs / "force.keys", ignore=shutil.ignore_patterns("log.pem"))
    stolen = Force.of(theirs)
    assert stolen.pairs(WEEK[0]) == pairs
    stolen.archive.close()
    said = told(force, "key", "relock", "--reason", "feared-stolen", "--under", "key policy 2")
    assert said.startswith("A new master key opens the vault. The old one is gone")
    told(force, "backup", str(tmp_path / "after"))
    told(force, "key", "escrow", "held", "--by", "keeper", "--under", "key policy 2")
    told(force, "verify")
    old, new = (
        {path.read_bytes() for path in (root / "vault").rglob("*") if path.is_file()}
        for root in (theirs / "force", force.root)
    )
    assert old & new <= {b""}  # or a shard would open by a keyring that they had open
    for later in (force.root, tmp_path / "after"):
        shutil.rmtree(theirs / "force" / "vault")
        shutil.copytree(later / "vault", theirs / "force" / "vault")
        with pytest.raises(Tampered, match=r"^the vault's keyring does not open: the master key is another one"):
            Force.of(theirs)
    restored = []
    for name in ("before", "after"):
        shutil.copytree(force.keys, tmp_path / f"{name}-again.keys")
        command = ["restore", str(tmp_path / name), str(tmp_path / f"{name}-again"), "--log", str(force.root / "log")]
        restored.append(CliRunner().invoke(main, command))
    assert [done.exit_code for done in restored] == [3, 0]
    assert "or it was replaced by `key relock` or" in restored[0].output


def test_drill_the_master_key_is_lost_and_comes_back_from_the_safe(tmp_path):
    force = founded(tmp_path / "desk", FILES, Unlock())
    (tmp_path / "safe").mkdir()
    shutil.copy(force.keys / "master", tmp_path / "safe")
    (force.keys / "master").unlink()
    assert closed(force, Unlock()).match("^key file master is not there: wanted it in force.keys$")
    shutil.copy(tmp_path / "safe" / "master", force.keys)
    force = force.reopened()
    sound(force.archive)
    force.dispose("N-9", on="2026-01-12T09:00:00Z")  # the copy in the safe is of a key that opens nothing now
    shutil.copy(tmp_path / "safe" / "master", force.keys)
    assert closed(force, Unlock()).match("^the vault's keyring does not open: the master key is another one")


def test_drill_the_master_key_is_lost_for_good(tmp_path):
    """No row is read again; the log, the statements and the key that signs are what they were."""
    force = founded(tmp_path / "desk", FILES, Unlock())
    size, vkey = force.archive.log.size, force.archive.vkey
    (force.keys / "master").unlink()
    assert closed(force, Unlock()).match("^key file master is not there")
    log = Log.open(force.root / "log", vkey=vkey)
    log.verify()
    assert log.size == size
    assert Custody(force.keys).signing("force").verifier == vkey


def test_drill_the_device_is_lost_and_its_backup_goes_into_another(tmp_path, device):
    """SoftHSM's folder of tokens is the device; a copy of it is what a device's own backup is."""
    force = founded(tmp_path / "desk", TOKEN)
    force.archive.close()
    home = tmp_path / "new device"
    shutil.copytree(device / "tokens", home / "tokens")
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home}/tokens\n")
    (home / "empty").mkdir()
    (home / "empty.conf").write_text(f"directories.tokendir = {home}/empty\n")
    asked = ("--archive", str(force.root), "verify")
    lost = run(*asked, SOFTHSM2_CONF=str(home / "empty.conf"), PROVENANCE_PIN=PIN)
    assert lost.returncode == Missing.exit_code
    assert "token one is not there" in lost.stderr
    found = run(*asked, SOFTHSM2_CONF=str(home / "softhsm2.conf"), PROVENANCE_PIN=PIN)
    assert found.returncode == 0, found.stderr
    assert PIN not in found.stdout + found.stderr + lost.stdout + lost.stderr


def test_drill_the_device_is_replaced(tmp_path, device):
    """From one token to another, by the command line; a copy of the old device opens nothing then."""
    force = founded(tmp_path / "desk", TOKEN)
    force.archive.close()
    shutil.copytree(device / "tokens", tmp_path / "old" / "tokens")
    before = shutil.copytree(force.keys, tmp_path / "keys of before")
    (tmp_path / "old" / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/old/tokens\n")
    at = ("--archive", str(force.root))
    moving = ("key", "move", "token", "--module", MODULE, "--token", "spare")
    said = run(*at, *moving, "--reason", "changed-hands", "--under", "key policy 3", PROVENANCE_PIN=PIN)
    assert said.returncode == 0, said.stderr
    assert "they lie in token spare" in said.stdout
    listed = json.loads(run(*at, "key", "list", "--json", PROVENANCE_PIN=PIN).stdout)
    assert listed["where"] == {"kind": "token", "module": MODULE, "token": "spare"}
    assert (listed["moving_to"], listed["escrow_stale"], len(listed["keys"])) == (None, False, 2)
    assert run(*at, "verify", PROVENANCE_PIN=PIN).returncode == 0
    old = run(
        *at, "--keys", str(before), "verify", SOFTHSM2_CONF=str(tmp_path / "old/softhsm2.conf"), PROVENANCE_PIN=PIN
    )
    assert old.returncode == Tampered.exit_code
    assert "the vault's keyring does not open: the master key is another one" in old.stderr


def test_the_command_line_says_that_the_copy_in_escrow_is_of_an_older_key(tmp_path, monkeypatch):
    force = founded(tmp_path / "desk", FILES, Unlock())
    force.archive.close()
    who = ("--by", "keeper", "--under", "key policy 2")
    why = ("--reason", "scheduled", "--under", "key policy 2")
    stale = "The copy in escrow is of the old key: replace it, destroy it, and say so (provenance key escrow held).\n"
    assert stale not in told(force, "key", "relock", *why)
    told(force, "key", "escrow", "held", *who)
    assert told(force, "key", "relock", *why).endswith(stale)
    assert "The copy of the master key that is held elsewhere is of an older one" in told(force, "key", "list")
    told(force, "key", "escrow", "held", *who)
    monkeypatch.setenv("PROVENANCE_KEY", KEY)
    assert json.loads(told(force, "key", "move", "environment", *why, "--json"))["escrow_stale"] is True
    told(force, "key", "escrow", "none", *who)
    assert "The private key and the master key lie in sealed files of the key folder.\n" in told(force, "key", "list")
    assert json.loads(told(force, "key", "list", "--json"))["escrow_stale"] is False


def test_an_archive_may_be_founded_with_its_keys_in_a_token(tmp_path, monkeypatch):
    where(TOKEN)
    monkeypatch.setenv("PROVENANCE_PIN", PIN)
    asked = ["--archive", str(tmp_path / "force"), "init", "--keys-in", "token", "--module", MODULE, "--token", "one"]
    done = CliRunner().invoke(main, asked, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "force.keys").iterdir()) == ["custody.json"]
    assert NEXT[LOG] == "log.next"


def test_a_copy_of_a_process_logs_in_to_its_keys_anew(force):
    """As a server of several processes begins them; what the first had opened stays open to it."""
    custody_of, name = force.archive.custody, force.archive.name
    message, before = b"a head", dict(hsm._sessions)
    signed = custody_of.signing(name).sign(message)
    reading, writing = os.pipe()
    copy = os.fork()
    if not copy:
        hsm.begin_anew()
        anew = all(session is None for session in hsm._sessions.values())
        os.write(writing, bytes([anew]) + custody_of.signing(name).sign(message))
        os._exit(0)
    os.waitpid(copy, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        assert said.read() == bytes([True]) + signed
    assert custody_of.signing(name).sign(message) == signed
    assert all(hsm._sessions[at] is session for at, session in before.items())
