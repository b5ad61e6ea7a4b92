"""What comes back from a backup is what may still be shown: whatever was disposed of since is disposed of again first.

The story: two weeks are built and backed up; a person and a record are disposed of; it is backed up again, and a third
week is built. Then each backup is put back, with the master key, the log and the vault of then and of now.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import provenance
from provenance import backups, builds, canonical, disposal, durable, entries, harm, rows, statements, verify
from provenance.archive import BACKUP, Archive
from provenance.backups import Restoration
from provenance.cli import main
from provenance.cli.doors import Door
from provenance.custody import Custody
from provenance.errors import Conflict, Missing, ProvenanceError, Refused, Tampered
from provenance.keys import SigningKey
from provenance.params import Params
from tests.force import HARM, PARAMS, Force, record, surroundings, write_extract
from tests.test_dvc import run
from tests.test_receiving_crash import Tree, at, full_at, laid_out, photographed, tree

ROOT = Path(__file__).resolve().parent.parent
WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z"]
FIRST = [
    record("R-1", "N-1", "N-2"),
    record("R-2", "N-1", "N-2"),
    record("R-3", "N-2", "N-3:victim", themes="SOC;CL"),
    record("R-4", "N-4", "N-5"),
    record("R-5", "N-4", "N-5"),
]
GONE = ("N-2", "CONNECT R-5")
DISPOSED = "2026-02-01T10:00:00Z"
NOW = "2026-03-01T09:00:00Z"
BEFORE = {("N-1", "N-2"): ["R-1", "R-2"], ("N-2", "N-3"): ["R-3"], ("N-4", "N-5"): ["R-4", "R-5", "R-6"]}
AFTER = {("N-4", "N-5"): ["R-4", "R-6"]}
LATER = {("N-4", "N-5"): ["R-4", "R-6"], ("N-6", "N-7"): ["R-7"]}


class Story:
    """One archive through its life, and what was put away on the way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.force = force = Force(folder)
        shutil.copy(ROOT / "params.yaml", force.root)
        shutil.copytree(ROOT / "harm", force.root / "harm")
        force.receive(*FIRST, cut_off=WEEK[0])
        force.build(WEEK[0])
        force.receive(record("R-6", "N-4", "N-5"), cut_off=WEEK[1], mode="delta")
        force.build(WEEK[1])
        self.tokens = disposal._tokens(force.archive, sorted(map(_request, GONE)))
        held, secrets = force.archive.vault.secrets()
        self.secrets = [secrets[np.searchsorted(held, token)].tobytes() for token in self.tokens.tolist()]
        self.backup = {"then": self.make("backup then")}
        self.master = {"then": (force.keys / "master").read_bytes()}
        (self.done,) = force.dispose(*GONE, on=DISPOSED)
        self.master["now"] = (force.keys / "master").read_bytes()
        self.backup["now"] = self.make("backup now")
        self.live = tree(force.root)
        # What somebody fetched who wanted no more than the backup lacks: the segments must come from the backup.
        self.clone = folder / "clone"
        for part in ("store/disposals", "audit_reports"):
            shutil.copytree(force.root / part, self.clone / part)
        force.receive(record("R-7", "N-6", "N-7"), cut_off=WEEK[2], mode="delta")
        force.build(WEEK[2])
        self.backup["later"] = self.make("backup later")
        force.archive.close()

    def make(self, name: str) -> Path:
        backups.make(self.force.archive, self.folder / name, on=NOW, by="tests")
        return self.folder / name

    def keys(self, folder: Path, when: str = "now") -> Path:
        """The keys, with the master key of a time."""
        keys = shutil.copytree(self.force.keys, folder / "restored.keys")
        (keys / "master").write_bytes(self.master[when])
        return keys


def _request(subject: str) -> disposal.Request:
    system, _, id = subject.rpartition(" ")
    return disposal.Request("record" if system else "nominal", system, id)


@pytest.fixture(scope="module", autouse=True)
def no_power_cut():
    """Nothing here pulls the plug: waiting for the disk is left out, the order of the writes is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("story"))


def replayed(root: Path, keys: Path) -> Restoration:
    return backups.replay(root, keys, PARAMS, HARM, on=NOW, by="tests", under="a story")


def restored(backup: Path, root: Path, keys: Path, **said: Path | None) -> Restoration:
    backups.put_back(backup, root, keys, **({"log": None} | said))
    return replayed(root, keys)


def forgotten(story: Story, root: Path, keys: Path) -> None:
    """Nothing of what was disposed of can be read: not by the doors, and not by whoever has all bytes and the keys."""
    every = tree(root) | {f"keys/{name}": data for name, data in tree(keys).items()}
    for name, data in every.items():
        for secret in story.secrets:
            assert secret not in data, name
            assert secret.hex().encode() not in data, name
    with Archive(root, keys) as archive:
        assert not archive.vault.retained(story.tokens).any()
        names = archive.vault.keys(archive.vault.secrets()[0][1:]).to_pylist()
        assert "n\x1fN-1" in names  # control: the others are there
        assert not {"n\x1fN-2", "r\x1fCONNECT\x1fR-5"} & set(names)
    tokens = {token.to_bytes(8, "little") for token in story.tokens.tolist()}
    for path in (root / "store").rglob("*.parquet"):
        if path.name not in ("fates.parquet",):
            assert not [t for t in tokens if t in path.read_bytes()], path.name


def same_store(root: Path, wanted: Tree) -> None:
    """Byte for byte what the disposal left in the archive at the time."""
    mine = {name: data for name, data in tree(root).items() if name.startswith("store/") and ".writer" not in name}
    assert mine == {n: d for n, d in wanted.items() if n.startswith("store/") and ".writer" not in n}


# ---- what a backup is ------------------------------------------------------------------------------------------------


def test_a_backup_holds_what_cannot_be_made_again_and_no_key(story):
    held = tree(story.backup["now"])
    live = {n: d for n, d in story.live.items() if not n.startswith("index/") and not n.endswith(".writer")}
    assert {name: data for name, data in held.items() if name != BACKUP} == live
    assert {"archive.json", "params.yaml", "log/checkpoint", "vault/keyring", "builds/2026-W03.json"} <= set(held)
    assert f"audit_reports/certificates/{story.done.certificate_id}.json" in held
    secrets = [*tree(story.force.keys).values(), story.master["now"]]
    assert not [name for name, data in held.items() if any(secret in data for secret in secrets)]


def test_the_manifest_has_every_file_and_the_head_of_the_log(story):
    manifest = backups.opened(story.backup["now"], Custody(story.force.keys))
    held = tree(story.backup["now"])
    assert {file.path: file.size for file in manifest.files} == {n: len(d) for n, d in held.items() if n != BACKUP}
    assert all(rows.digest(story.backup["now"] / file.path) == file.sha256 for file in manifest.files)
    assert (manifest.archive, manifest.made_on, manifest.by, manifest.disposals) == ("force", NOW, "tests", 1)
    assert held["log/checkpoint"].split(b"\n")[1] == str(manifest.log_size).encode()
    assert backups.opened(story.backup["then"], Custody(story.force.keys)).disposals == 0


def test_the_same_archive_gives_the_same_backup(story, tmp_path):
    force = at(laid_out(story.live, tmp_path / "force"), story.keys(tmp_path))
    backups.make(force.archive, tmp_path / "again", on=NOW, by="tests")
    force.archive.close()
    assert tree(tmp_path / "again") == tree(story.backup["now"])


@pytest.mark.parametrize(
    ("name", "damage", "kind", "words"),
    [
        (
            "store/links/2026-W02.link.parquet",
            "changed",
            Tampered,
            "file store/links/2026-W02.link.parquet was changed",
        ),
        ("store/links/2026-W02.link.parquet", "lost", Missing, "file store/links/2026-W02.link.parquet is not there"),
        ("builds/2026-W02.json", "changed", Tampered, "file builds/2026-W02.json was changed"),
    ],
)
def test_an_archive_that_is_not_as_it_was_logged_is_not_backed_up(story, tmp_path, name, damage, kind, words):
    force = at(laid_out(story.live, tmp_path / "force"), story.keys(tmp_path))
    if damage == "lost":
        (force.root / name).unlink()
    else:
        flip(force.root / name)
    with pytest.raises(kind, match=words):
        backups.make(force.archive, tmp_path / "backup", on=NOW, by="tests")
    force.archive.close()
    assert not (tmp_path / "backup").exists()


def test_what_a_build_at_work_has_written_is_not_backed_up(story, tmp_path):
    force = at(laid_out(story.live, tmp_path / "force"), story.keys(tmp_path))
    (force.root / "store/links/2026-W04.link.parquet").write_bytes(b"half a build")
    (force.root / "store/links/.2026-W04.link.parquet.7.part").write_bytes(b"half a file")
    (force.root / "audit_reports/.rejects.csv.7.part").write_bytes(b"half a report")
    (force.root / "store/disposals/0001/staged").mkdir()
    (force.root / "store/disposals/0001/staged/x").write_bytes(b"left over")
    backups.make(force.archive, tmp_path / "backup", on=NOW, by="tests")
    force.archive.close()
    assert tree(tmp_path / "backup") == tree(story.backup["now"])


def test_a_backup_goes_into_a_new_folder_apart_from_archive_and_keys(story, tmp_path):
    force = at(laid_out(story.live, tmp_path / "force"), story.keys(tmp_path))
    for folder, words in ((force.root / "b", "in the archive itself"), (force.keys / "b", "lies with the keys")):
        with pytest.raises(Refused, match=words):
            backups.make(force.archive, folder, on=NOW, by="tests")
        assert not folder.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("not yours")
    with pytest.raises(Conflict, match=r"folder mine is not empty: it holds 1 files or folders and no backup\.json"):
        backups.make(force.archive, tmp_path / "mine", on=NOW, by="tests")
    assert tree(tmp_path / "mine") == {"letter": b"not yours"}
    with force.archive.writing(), pytest.raises(Conflict, match="another process is writing to store"):
        backups.make(force.archive, tmp_path / "backup", on=NOW, by="tests")
    force.archive.close()


# ---- then and now ----------------------------------------------------------------------------------------------------

OLD_KEY = "vault does not open under this master key, and the log tells of no disposal since"
CLOSED = r"vault was taken before 1 disposal \(ID of 2026-02-01\)\. A disposal replaces the master key"
OLD_LOG = "later log is not later than the backup: it has 7 entries, the backup's has 10"
BEHIND = "log is older than the vault: it has 0 disposals, the vault has seen 1"

# Backup, master key, log and vault of before the disposal (then) or after it (now): what opens, or why nothing does.
CELLS = {
    ("then", "then", "then", "then"): "all of then",  # nothing here tells of the disposal: see the module
    ("then", "then", "then", "now"): OLD_KEY,
    ("then", "then", "now", "then"): "replayed, keys replaced",
    ("then", "then", "now", "now"): OLD_KEY,
    ("then", "now", "then", "then"): OLD_KEY,
    ("then", "now", "then", "now"): BEHIND,
    ("then", "now", "now", "then"): CLOSED,
    ("then", "now", "now", "now"): "replayed",
    ("now", "then", "then", "then"): OLD_LOG,
    ("now", "then", "then", "now"): OLD_LOG,
    ("now", "then", "now", "then"): "as it was, keys replaced",
    ("now", "then", "now", "now"): OLD_KEY,
    ("now", "now", "then", "then"): OLD_LOG,
    ("now", "now", "then", "now"): OLD_LOG,
    ("now", "now", "now", "then"): CLOSED,
    ("now", "now", "now", "now"): "as it was",
}


def test_the_table_has_every_cell():
    assert set(CELLS) == set(product(("then", "now"), repeat=4))


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_backup_master_log_and_vault_of_then_and_now(story, tmp_path, cell):
    base, master, log, vault = cell
    keys, root = story.keys(tmp_path, master), tmp_path / "restored"
    said = {"log": story.backup[log] / "log", "files": story.clone}
    if vault != base:
        said["vault"] = story.backup[vault] / "vault"
    wanted = CELLS[cell]
    before = tree(keys)
    if wanted in (OLD_KEY, CLOSED, OLD_LOG, BEHIND):
        with pytest.raises(Refused, match=wanted.replace("ID", story.done.certificate_id)):
            backups.put_back(story.backup[base], root, keys, **said)
        assert not root.exists()
        assert tree(keys) == before
        return
    done = restored(story.backup[base], root, keys, **said)
    assert (tree(keys) == before) == ("keys replaced" not in wanted)
    assert done.closed == ("keys replaced" in wanted)
    force = at(root, keys)
    verify.insist(verify.verify(force.archive))
    act = next(force.archive.log.acts(done.entries - 1))
    manifest = rows.digest(story.backup[base] / BACKUP)
    assert act == entries.Restored(on=NOW, by="tests", under="a story", backup=manifest, replayed=done.replayed)
    assert not (root / BACKUP).exists()
    assert not (root / ".writer").exists()
    if wanted == "all of then":
        assert force.pairs(WEEK[1]) == BEFORE
    else:
        assert done.replayed == (base == "then")
        assert (done.blanked > 0) == (base == "then")
        assert force.pairs(WEEK[1]) == AFTER
        same_store(root, story.live)
        forgotten(story, root, keys)
    force.archive.close()


def test_the_forensic_search_finds_what_is_there(story, tmp_path):
    """Control, on the one cell in which nothing tells of the disposal."""
    keys = story.keys(tmp_path, "then")
    restored(story.backup["then"], tmp_path / "restored", keys)
    with pytest.raises(AssertionError):
        forgotten(story, tmp_path / "restored", keys)
    with Archive(tmp_path / "restored", keys) as archive:
        assert archive.vault.retained(story.tokens).all()
        assert "n\x1fN-2" in archive.vault.keys(story.tokens).to_pylist()


def test_rows_come_out_of_an_old_backup_as_the_bytes_that_were_logged(story, tmp_path):
    """Blanking is deterministic: the log's digests of two months ago are those of the files blanked today."""
    keys = story.keys(tmp_path, "then")
    old = {name: data for name, data in tree(story.backup["then"]).items() if name.startswith("store/")}
    assert [name for name, data in old.items() if data != story.live[name]]  # the disposal had rewritten some
    done = restored(story.backup["then"], tmp_path / "r", keys, log=story.backup["now"] / "log", files=story.clone)
    with Archive(tmp_path / "r", keys) as archive:
        logged = {file.path: file.sha256 for file in archive.history.disposals[0].expunged.files}
        assert done.blanked == len(logged) > 3
        assert {name: rows.digest(tmp_path / "r" / name) for name in logged} == logged
        assert all(rows.digest(story.backup["then"] / name) != sha256 for name, sha256 in logged.items())


def test_a_restored_archive_goes_on_as_if_nothing_had_happened(story, tmp_path):
    """The week that was built on the archive is built on the restored one, with the same links and people."""
    keys = story.keys(tmp_path, "then")
    restored(story.backup["then"], tmp_path / "r", keys, log=story.backup["now"] / "log", files=story.clone)
    force = at(tmp_path / "r", keys)
    force.receive(record("R-7", "N-6", "N-7"), cut_off=WEEK[2], mode="delta")
    force.build(WEEK[2])
    assert force.pairs(WEEK[2]) == LATER
    folder = write_extract(tmp_path / "back", [record("R-9", "N-1", "N-2")], cut_off=NOW, mode="delta")
    returned = force.take(folder, on=NOW).returned  # the vault of before the disposal knows the name again, too
    assert returned == 1
    verify.insist(verify.verify(force.archive))
    force.archive.close()


# ---- what came after the backup --------------------------------------------------------------------------------------


def test_a_log_that_names_files_which_nobody_has_is_refused_with_the_list(story, tmp_path):
    keys = story.keys(tmp_path)
    with pytest.raises(Refused) as refused:
        backups.put_back(story.backup["now"], tmp_path / "r", keys, log=story.backup["later"] / "log")
    assert str(refused.value).startswith(
        "log names 10 files (builds/2026-W04.json, store/links/2026-W04.changes.parquet"
    )
    assert "`dvc pull`" in str(refused.value)
    assert not (tmp_path / "r").exists()


DEARER = "offence_code,offence,days,expired\n34B,Robbery,400,\n"


@pytest.mark.parametrize("where", ["builds/harm", "harm", "nowhere"])
def test_a_harm_table_of_after_the_backup_is_brought_or_named(tmp_path, where):
    """The log names builds and their statements; only these name the table. It is known by its digest alone."""
    live = Force(tmp_path / "live")
    live.receive(*FIRST, cut_off=WEEK[0])
    live.build(WEEK[0])
    old = tmp_path / "backup"
    backups.make(live.archive, old, on=NOW, by="tests")
    (tmp_path / "dearer.csv").write_text(DEARER)
    table = harm.read(tmp_path / "dearer.csv", "dearer")
    edition = {"name": "dearer", "file": "harm/dearer.csv", "unit": "days", "sha256": table.sha256}
    rules = Params.model_validate(PARAMS.model_dump() | {"harm": PARAMS.harm.model_dump() | {"editions": (edition,)}})
    live.receive(record("R-6", "N-1", "N-2"), cut_off=WEEK[1], mode="delta")
    said = {"cut_off": WEEK[1], "published_at": WEEK[1], "around": lambda _: surroundings(WEEK[1])}
    builds.build(live.archive, rules, table, **said)
    before = live.as_of(WEEK[1]).harm("N-1").totals
    live.archive.close()
    clone = shutil.copytree(live.root, tmp_path / "clone")
    lost = f"builds/harm/{table.sha256}.csv"
    if where != "builds/harm":
        (clone / lost).unlink()
    if where == "harm":
        (clone / "harm").mkdir()
        (clone / "harm" / "decoy.csv").write_text(DEARER.replace("400", "401"))
        shutil.copy(tmp_path / "dearer.csv", clone / "harm" / "z.csv")
    keys = shutil.copytree(live.keys, tmp_path / "r.keys")
    done = restored(old, tmp_path / "r", keys, log=clone / "log", files=clone, vault=clone / "vault")
    force = at(tmp_path / "r", keys)
    assert force.as_of(WEEK[0]).harm("N-1").totals.num_rows
    if where == "nowhere":
        assert done.tables_lost == (backups.LostTable("dearer", table.sha256, lost, ("2026-W03",)),)
        assert force.pairs(WEEK[1])["N-1", "N-2"] == ["R-1", "R-2", "R-6"]
        with pytest.raises(Missing, match="harm table is missing: edition dearer"):
            force.as_of(WEEK[1]).harm("N-1")
        shutil.copy(tmp_path / "dearer.csv", tmp_path / "r" / lost)
    else:
        assert done.tables_lost == ()
    assert force.as_of(WEEK[1]).harm("N-1").totals.equals(before)
    verify.insist(verify.verify(force.archive))
    force.archive.close()


def test_the_command_names_a_harm_table_that_nobody_brought(tmp_path):
    force = Force(tmp_path)
    shutil.copy(ROOT / "params.yaml", force.root)
    shutil.copytree(ROOT / "harm", force.root / "harm")
    force.receive(*FIRST, cut_off=WEEK[0])
    force.build(WEEK[0])
    backups.make(force.archive, tmp_path / "b", on=NOW, by="tests")
    force.receive(record("R-6", "N-1", "N-2"), cut_off=WEEK[1], mode="delta")
    (tmp_path / "dearer.csv").write_text(DEARER)
    beside = harm.side_by_side([HARM, harm.read(tmp_path / "dearer.csv", "dearer")])
    editions = [{"name": t.edition, "file": "f.csv", "unit": t.unit, "sha256": t.sha256} for t in beside.all]
    rules = PARAMS.model_dump() | {"harm": PARAMS.harm.model_dump() | {"editions": (*editions,)}}
    said = {"cut_off": WEEK[1], "published_at": WEEK[1], "around": lambda _: surroundings(WEEK[1])}
    builds.build(force.archive, Params.model_validate(rules), beside, **said)
    force.archive.harm_file(beside.beside[0].sha256).unlink()
    force.archive.close()
    shutil.copytree(force.keys, tmp_path / "r.keys")
    live = ("--log", force.root / "log", "--files", force.root, "--vault", force.root / "vault")
    code, told = cli("restore", tmp_path / "b", tmp_path / "r", *live)
    assert code == 0, told
    assert "Harm table dearer is in no folder that was named." in told
    assert f"builds/harm/{beside.beside[0].sha256}.csv: the file with that SHA-256" in told


def test_a_vault_of_before_the_last_extract_is_refused(story, tmp_path):
    """No disposal has closed it; but rows of people who came since would be lost, and nobody decided that."""
    keys, said = story.keys(tmp_path), {"log": story.backup["later"] / "log", "files": story.backup["later"]}
    with pytest.raises(Refused, match=r"vault lacks \d+ secrets that rows need, and no disposal destroyed them"):
        backups.put_back(story.backup["now"], tmp_path / "r", keys, **said)
    assert not (tmp_path / "r").exists()
    restored(story.backup["now"], tmp_path / "r", keys, **said, vault=story.backup["later"] / "vault")
    force = at(tmp_path / "r", keys)
    assert force.pairs(WEEK[2]) == LATER
    verify.insist(verify.verify(force.archive))
    force.archive.close()


def test_files_are_taken_from_a_copy_only_as_the_log_has_them(story, tmp_path):
    shutil.copytree(story.backup["later"], tmp_path / "clone")
    flip(tmp_path / "clone" / "store/links/2026-W04.link.parquet")
    with pytest.raises(Refused, match=r"log names 1 file \(store/links/2026-W04.link.parquet\) that the backup lacks"):
        backups.put_back(
            story.backup["now"], tmp_path / "r", story.keys(tmp_path), log=story.backup["later"] / "log",
            files=tmp_path / "clone",
        )  # fmt: skip


def test_a_disposal_that_was_cut_off_is_backed_up_and_completed_on_coming_back(story, tmp_path, monkeypatch):
    """The vault has forgotten already, the files have not: the backup is made as it is, and restoring ends the work."""
    for moment in ("stage", "swap"):
        keys = story.keys(tmp_path / moment, "then")
        restored(story.backup["then"], tmp_path / moment / "force", keys)
        force = at(tmp_path / moment / "force", keys)
        with monkeypatch.context() as patch:
            patch.setattr(disposal.expunging, moment, _stopped)
            with pytest.raises(OSError, match="stopped"):
                force.dispose(*GONE, on=DISPOSED)
        force.reopened()
        backups.make(force.archive, tmp_path / moment / "backup", on=NOW, by="tests")
        force.archive.close()
        done = restored(tmp_path / moment / "backup", tmp_path / moment / "back", keys)
        assert done.blanked == (0 if moment == "stage" else 5)
        back = at(tmp_path / moment / "back", keys)
        assert back.archive.history.disposals[0].certified
        assert back.pairs(WEEK[1]) == AFTER
        verify.insist(verify.verify(back.archive))
        back.archive.close()


def _stopped(*_args, **_said):
    raise OSError("stopped")


# ---- what is not believed --------------------------------------------------------------------------------------------


def flip(path: Path, place: int = -1) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place if place >= 0 else len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def test_a_byte_changed_in_any_file_of_a_backup_is_found_and_the_file_named(story, tmp_path):
    keys = story.keys(tmp_path)
    backup = shutil.copytree(story.backup["now"], tmp_path / "backup")
    names = sorted(tree(backup))
    assert len(names) > 30
    for name in names:
        whole = (backup / name).read_bytes()
        flip(backup / name)
        with pytest.raises(Tampered) as found:
            backups.put_back(backup, tmp_path / "r", keys, log=None)
        named = f"backup manifest backup/{BACKUP} does not verify" if name == BACKUP else f"file {name} was changed"
        assert str(found.value).startswith(named), name
        assert not (tmp_path / "r").exists()
        (backup / name).write_bytes(whole)
    restored(backup, tmp_path / "r", keys)


def test_a_file_that_is_lost_or_shorter_is_named_and_one_that_was_added_is_left_where_it_is(story, tmp_path):
    keys = story.keys(tmp_path)
    backup = shutil.copytree(story.backup["now"], tmp_path / "backup")
    (backup / "builds/2026-W09.json").write_text("{}")
    (backup / "params.yaml").rename(tmp_path / "params.yaml")
    with pytest.raises(Missing, match=r"file params.yaml is not in the backup"):
        backups.put_back(backup, tmp_path / "r", keys, log=None)
    (backup / "params.yaml").write_bytes((tmp_path / "params.yaml").read_bytes()[:-1])
    with pytest.raises(Tampered, match=r"file params.yaml was changed: it has \d+ bytes, wanted \d+"):
        backups.put_back(backup, tmp_path / "r", keys, log=None)
    shutil.copy(tmp_path / "params.yaml", backup)
    restored(backup, tmp_path / "r", keys)
    assert not (tmp_path / "r/builds/2026-W09.json").exists()


def test_a_manifest_of_another_key_or_form_is_not_believed(story, tmp_path):
    other = Force(tmp_path, "other")
    other.archive.close()
    with pytest.raises(Tampered, match="it was changed, or the keys are another archive's"):
        backups.put_back(story.backup["now"], tmp_path / "r", other.keys, log=None)
    key = SigningKey.open(story.force.keys / "log.pem", name="force")
    backup = shutil.copytree(story.backup["now"], tmp_path / "backup")
    content = canonical.loads(statements.payload_of((backup / BACKUP).read_bytes(), backups.PAYLOAD_TYPE, key.verifier))
    for path in ("../outside", "/etc/x", "a//b", "./a", "a\\b"):
        content["files"][0]["path"] = path
        data = statements.enveloped(canonical.dumps(content), backups.PAYLOAD_TYPE, key)
        (backup / BACKUP).write_bytes(data)
        with pytest.raises(Tampered, match=r"BackedUp\.path: .* wanted a path within the archive"):
            backups.put_back(backup, tmp_path / "r", story.force.keys, log=None)
    with pytest.raises(Missing, match=r"folder clone is no backup, or one that was cut off: it has no backup\.json"):
        backups.put_back(story.clone, tmp_path / "r", story.force.keys, log=None)


def test_a_log_that_does_not_continue_the_backups_is_another_history(story, tmp_path):
    """Signed by the same key; longer than the backup's, as long, or shorter."""
    keys = story.keys(tmp_path, "then")
    restored(story.backup["then"], tmp_path / "fork", keys)
    force = at(tmp_path / "fork", keys)
    for _ in range(4):
        with pytest.raises(Tampered, match="later log does not continue the backup's: it is another history"):
            backups.put_back(story.backup["now"], tmp_path / "r", story.force.keys, log=force.root / "log")
        force.archive.append(entries.Consulted(on=NOW, by="t", under="t", case="1", label="2026-W02", rows=0))
    assert force.archive.log.size > backups.opened(story.backup["now"], Custody(story.force.keys)).log_size
    flip(force.root / "log/checkpoint", 8)
    with pytest.raises(Tampered, match="log/checkpoint"):
        backups.put_back(story.backup["now"], tmp_path / "r", story.force.keys, log=force.root / "log")
    force.archive.close()
    assert not (tmp_path / "r").exists()


# ---- every door ------------------------------------------------------------------------------------------------------

DOORS: dict[str, Callable[[Path, Path], object]] = {
    "provenance.open": lambda root, keys: provenance.open(root, keys=keys),
    "archive.Archive": lambda root, keys: Archive(root, keys),
    "cli.doors": lambda root, keys: Door(str(root), str(keys)).archive().__enter__(),
    "init": lambda root, keys: Archive.found(root, keys, name="x", on=NOW, by="t", under="t"),
}


@pytest.mark.parametrize("door", DOORS)
def test_no_door_opens_a_backup_or_what_is_not_wholly_restored(story, tmp_path, door):
    keys = story.keys(tmp_path, "then")
    backups.put_back(story.backup["then"], tmp_path / "r", keys, log=story.backup["now"] / "log", files=story.clone)
    for folder in (tmp_path / "r", story.backup["then"]):
        before = tree(folder)
        with pytest.raises(Refused, match=f"folder {folder.name} is a backup, or a restore that was cut off"):
            DOORS[door](folder, keys)
        assert tree(folder) == before
    replayed(tmp_path / "r", keys)
    if door != "init":
        DOORS[door](tmp_path / "r", keys)


def by_hand(story: Story, folder: Path) -> tuple[Path, Path]:
    """An archive put back without `restore`: store, vault and master key of before the disposal, the log of the day."""
    root, keys = shutil.copytree(story.backup["then"], folder / "restored"), story.keys(folder, "then")
    (root / BACKUP).unlink()
    shutil.rmtree(root / "log")
    shutil.copytree(story.backup["now"] / "log", root / "log")
    shutil.copytree(story.clone, root, dirs_exist_ok=True)
    return root, keys


def test_an_archive_put_back_by_hand_is_refused_to_readers_until_it_is_completed(story, tmp_path):
    root, keys = by_hand(story, tmp_path)
    with Archive(root, keys) as archive:  # what each door looks at first
        assert disposal.is_unsettled(archive)
        assert archive.vault.retained(story.tokens).all()
    with pytest.raises(Refused, match="archive has disposals that were not carried out upon its vault"):
        provenance.open(root, keys=keys)
    done = CliRunner().invoke(main, ["--archive", str(root), "asof", WEEK[1], "--json"], catch_exceptions=False)
    assert [(x["a"], x["b"]) for x in json.loads(done.stdout)["links"]] == list(AFTER)
    same_store(root, story.live)
    forgotten(story, root, keys)
    with provenance.open(root, keys=keys) as archive:
        archive.verify()


def test_a_file_that_was_changed_since_is_not_blanked_but_preserved(story, tmp_path):
    """Well formed, and with the right leaves, but with other boxes: what is destroyed was published, or it stays."""
    root, keys = by_hand(story, tmp_path)
    path = root / "store/received/0001/record.parquet"
    table = pq.read_table(path).select(rows.SEGMENT.names)
    boxes = [bytes([box[0] ^ 1]) + box[1:] for box in table["box"].to_pylist()]
    rows.write_segment(path, rows.Sealed("record", table.set_column(5, "box", pa.array(boxes, pa.large_binary()))))
    before = path.read_bytes()
    with Archive(root, keys) as archive, pytest.raises(Tampered) as found:
        disposal.finish(archive, PARAMS, HARM, on=NOW, by="tests")
    assert (
        str(found.value) == "file store/received/0001/record.parquet is in no form that the log has for it: preserve it"
    )
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*part"))


@pytest.mark.parametrize("stage", ["dispose", "receive", "link", "networks", "publish"])
def test_no_stage_of_the_pipeline_builds_on_an_archive_put_back_by_hand(story, tmp_path, stage):
    root, keys = by_hand(story, tmp_path)
    (root / "week.yaml").write_text(f'cut_off: "{WEEK[2]}"\npublished_at: "{WEEK[2]}"\n')
    with contextlib.chdir(root), contextlib.suppress(ProvenanceError):
        importlib.import_module(f"pipeline.{stage}").main()
    forgotten(story, root, keys)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


# ---- crashes ---------------------------------------------------------------------------------------------------------


def test_a_crash_while_backing_up_leaves_a_whole_backup_or_none(story, tmp_path):
    force = at(laid_out(story.live, tmp_path / "force"), story.keys(tmp_path))
    with pytest.MonkeyPatch.context() as patch, photographed(patch, tmp_path / "backups") as album:
        backups.make(force.archive, tmp_path / "backups" / "one", on=NOW, by="tests")
    force.archive.close()
    assert len(album) > 60
    wholes = 0
    for moment, held in album:
        folder = laid_out(held, tmp_path / "found") / "one"
        if held.get(f"one/{BACKUP}"):
            assert held | {"one/.writer": b""} == album[-1][1] | {"one/.writer": b""}, moment
            wholes += 1
            continue
        with pytest.raises(Missing, match="is no backup, or one that was cut off"):
            backups.put_back(folder, tmp_path / "r", force.keys, log=None)
    assert wholes == 2  # with its lock, and without
    assert not (tmp_path / "r").exists()


def test_a_crash_while_restoring_is_completed_by_restoring_again(story, tmp_path):
    """At each moment the folder is refused, or is the archive with all disposals replayed; keys and vault fit again."""
    desk = tmp_path / "desk"
    keys = story.keys(desk, "then")
    said = {"log": story.backup["now"] / "log", "files": story.clone}
    with pytest.MonkeyPatch.context() as patch, photographed(patch, desk) as album:
        restored(story.backup["then"], desk / "restored", keys, **said)
    moments = [moment for moment, _ in album]
    wanted = ["within backup.json", "within link.parquet", "within keyring", "within master.next", "within checkpoint"]
    assert set(wanted) <= set(moments)
    blanking = next(moment for moment in moments if moment.endswith(".again.part"))
    assert moments.index("within master.next") < moments.index(blanking)  # the secrets go first
    end = tree(desk)
    replaying = next(i for i, (_, held) in enumerate(album) if "restored.keys/.master.next" in str(list(held)))
    seen = set()
    for moment, held in album[:replaying:9] + album[replaying::2] + album[-3:]:
        laid_out(held, desk)
        root = desk / "restored"
        if (root / BACKUP).exists():
            with pytest.raises(Refused, match="or a restore that was cut off"):
                Archive(root, keys)
            restored(story.backup["then"], root, keys, **said)
            seen.add("refused")
        elif not (root / "archive.json").exists():  # nothing but a lock, or half a manifest, or not even the folder
            shutil.rmtree(root, ignore_errors=True)
            restored(story.backup["then"], root, keys, **said)
            seen.add("begun")
        else:
            seen.add("done")
        assert not list(keys.glob("*.next")), moment
        force = at(root, keys)
        assert force.pairs(WEEK[1]) == AFTER, moment
        assert [type(act) for act in force.archive.log.acts()].count(entries.Restored) == 1, moment
        force.archive.close()
        same_store(root, story.live)
        now = tree(desk)
        assert {n for n in now if "shard" not in n and "forgotten" not in n} - {"restored/.writer"} == {
            n for n in end if "shard" not in n and "forgotten" not in n
        }, moment
    assert seen == {"begun", "refused", "done"}
    forgotten(story, root, keys)


def fills(act: Callable[[], object]) -> bool:
    """Whether there was no room left for it."""
    try:
        act()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return True
    return False


@pytest.mark.parametrize("after", [False, True])
def test_a_full_disk_leaves_nothing_that_looks_like_a_backup(story, tmp_path, after):
    force = at(laid_out(story.live, tmp_path / "force"), story.keys(tmp_path))
    for nth in range(1 + after, 80, 6):
        with pytest.MonkeyPatch.context() as patch, full_at(patch, nth, after) as steps:
            if not fills(lambda: backups.make(force.archive, tmp_path / "backup", on=NOW, by="tests")):
                assert len(steps) < nth
                break
        assert not (tmp_path / "backup").exists(), nth
    assert nth > 20
    force.archive.close()
    assert tree(tmp_path / "backup") == tree(story.backup["now"])


@pytest.mark.parametrize("after", [False, True])
def test_a_full_disk_while_restoring(story, tmp_path, after):
    keys = story.keys(tmp_path, "then")
    root, said = tmp_path / "r", {"log": story.backup["now"] / "log", "files": story.clone}
    outcomes = set()
    for nth in range(1 + after, 120, 4):
        shutil.rmtree(root, ignore_errors=True)
        (keys / "master.next").unlink(missing_ok=True)
        (keys / "master").write_bytes(story.master["then"])
        with pytest.MonkeyPatch.context() as patch, full_at(patch, nth, after) as steps:
            if not fills(lambda: restored(story.backup["then"], root, keys, **said)):
                assert len(steps) < nth
                break
        outcomes.add(root.exists())
        if root.exists() and (root / BACKUP).exists():  # what is there by then is kept: the keys may open no other
            with pytest.raises(Refused):
                Archive(root, keys)
            restored(story.backup["then"], root, keys, **said)
            forgotten(story, root, keys)
    assert outcomes == {True, False}
    forgotten(story, root, keys)


# ---- two at once, and the command line -------------------------------------------------------------------------------


def test_two_at_once_and_one_of_them_gives_way(story, tmp_path):
    keys = story.keys(tmp_path, "then")
    with durable.one_writer(tmp_path / "r"), pytest.raises(Conflict, match="another process is writing to r"):
        backups.put_back(story.backup["then"], tmp_path / "r", keys, log=None)
    shutil.rmtree(tmp_path / "r")
    (tmp_path / "r.keys").mkdir()
    for path in keys.iterdir():
        shutil.copy2(path, tmp_path / "r.keys")
    command = [sys.executable, "-m", "provenance.cli", "restore", str(story.backup["then"]), str(tmp_path / "r"),
               "--log", str(story.backup["now"] / "log"), "--files", str(story.clone)]  # fmt: skip
    both = [
        subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate() for process in both]
    assert 0 in [process.returncode for process in both], said
    force = at(tmp_path / "r", tmp_path / "r.keys")
    verify.insist(verify.verify(force.archive))
    assert force.pairs(WEEK[1]) == AFTER
    force.archive.close()


def cli(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    return done.exit_code, done.output


def test_the_commands_say_what_they_did(story, tmp_path):
    laid_out(story.live, tmp_path / "force")
    shutil.copytree(story.force.keys, tmp_path / "force.keys")
    (tmp_path / "force.keys" / "master").write_bytes(story.master["now"])
    code, said = cli("--archive", tmp_path / "force", "backup", tmp_path / "b")
    assert code == 0
    assert "Backed up archive force: 52 files, 0.1 MB, in " in said
    assert "The keys are not in it." in said
    assert cli("--archive", tmp_path / "force", "backup", tmp_path / "b")[0] == 6
    shutil.copytree(story.keys(tmp_path, "then"), tmp_path / "r.keys")
    code, said = cli("restore", story.backup["then"], tmp_path / "r")
    assert code == 3
    assert said.startswith("Refused: restore wants to know what was disposed of since the backup: say --log DIR")
    log, files = ("--log", tmp_path / "b" / "log"), ("--files", tmp_path / "b")
    assert cli("restore", story.backup["then"], tmp_path / "r", *log, "--no-later-log")[0] == 3
    code, said = cli("restore", story.backup["then"], tmp_path / "r", *log, *files)
    assert code == 0
    assert "Replayed from it: 1 disposals since the backup." in said
    assert "replace any copy of the key that is held in escrow." in said
    shutil.copytree(tmp_path / "force.keys", tmp_path / "s.keys")
    code, said = cli("restore", tmp_path / "b", tmp_path / "s", "--no-later-log", "--json")
    assert code == 0
    assert json.loads(said) == {
        "archive": "force", "made_on": json.loads(said)["made_on"], "entries": 11, "replayed": 0, "blanked": 0,
        "keys_replaced": False, "disposals": [], "tables_lost": [],
    }  # fmt: skip
    code, said = cli("--archive", tmp_path / "s", "verify")
    assert (code, "The archive verifies." in said) == (0, True), said


# ---- with DVC and git ------------------------------------------------------------------------------------------------


def objects(folder: Path) -> set[str]:
    """MD5s of what a cache or remote of DVC holds."""
    return {p.parent.name + p.name for p in (folder / "files" / "md5").rglob("*") if p.is_file()}


def md5s(root: Path) -> set[str]:
    return {hashlib.md5(p.read_bytes()).hexdigest() for p in (root / "store").rglob("*.parquet")}


def test_copies_that_dvc_keeps_follow_a_restored_archive(tmp_path):
    """The backup, the master key and DVC's remote are of before the disposal; the log is of the day."""
    root, back, remote = tmp_path / "force", tmp_path / "back", tmp_path / "remote"
    remote.mkdir()

    def typed(*arguments: str | Path) -> str:
        code, said = cli(*arguments)
        assert code == 0, said
        return said

    typed("--archive", root, "init")
    run(root, "dvc", "remote", "add", "-d", "store", str(remote))
    typed("--archive", root, "receive", write_extract(tmp_path / "one", FIRST, cut_off=WEEK[0]))
    typed("--archive", root, "build", "--published-at", WEEK[0])
    run(root, "dvc", "push", "-q")
    typed("--archive", root, "backup", tmp_path / "b")
    shutil.copytree(tmp_path / "force.keys", tmp_path / "back.keys")
    shutil.copytree(remote, tmp_path / "old")
    plan = ("--nominal", "N-2", "--record", "CONNECT", "R-5", "--under", "t", "--reason", "mopi-review")
    typed("--archive", root, "dispose", "plan", *plan, "--out", tmp_path / "plan")
    typed("--archive", root, "dispose", "carry-out", tmp_path / "plan", "--by", "A", "--approved-by", "B")
    for part in ("store/disposals", "audit_reports"):
        shutil.copytree(root / part, tmp_path / "clone" / part)
    shutil.rmtree(remote)
    command = ("restore", tmp_path / "b", back, "--log", root / "log", "--files", tmp_path / "clone")
    code, said = cli(*command)
    assert code == 6  # the remote is not there: nothing is said to be restored, and nothing is opened
    assert said.startswith("Conflict: DVC remote store does not do what is asked (ENOENT)")
    assert cli("--archive", back, "asof", WEEK[0])[0] == 3
    shutil.copytree(tmp_path / "old", remote)
    old = md5s(tmp_path / "b")
    assert len(objects(remote) & old) == len(old)
    assert "Replayed from it: 1 disposals" in typed(*command)
    stale = old - md5s(back)
    assert md5s(back) == md5s(root)
    assert len(stale) > 3
    for store in (remote, back / ".dvc" / "cache"):
        assert not objects(store) & stale
    assert "The archive verifies." in typed("--archive", back, "verify")
    assert run(back, "git", "status", "--short") == ""
    assert "up to date" in run(back, "dvc", "status")
    second = [record("R-7", "N-6", "N-7", occurred_at="2026-01-12", recorded_at="2026-01-13T09:00:00Z")]
    typed("--archive", back, "receive", write_extract(tmp_path / "two", second, cut_off=WEEK[1], mode="delta"))
    typed("--archive", back, "build", "--published-at", WEEK[1])
    assert "The archive verifies." in typed("--archive", back, "verify")
