"""The weekly run as a timer starts it: what it does, what it leaves alone, and with which code it ends.

One archive lives through the weeks of this file, in their order. DVC, which carries files and decides nothing, is left
out.
"""

from __future__ import annotations

import errno
import json
import os
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provenance import backups, durable, pins
from provenance.archive import BACKUP
from provenance.cli import main
from provenance.custody import Custody
from tests.force import record, write_extract
from tests.test_docs import contains

CUT_OFFS = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z", "2026-02-01T23:59:59Z"]
MONDAYS = ["2026-01-12T06:00:00Z", "2026-01-19T06:00:00Z", "2026-01-26T06:00:00Z"]
NEXT_MONDAY = "2026-02-02T06:00:00Z"
FIRST = [record(f"R-{n}", "N-1", f"N-{n + 2}") for n in range(100)]


class Home:
    """An archive, where its backups go, and the clock."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.kept, self.patch = folder / "force", folder / "backups", patch
        self.kept.mkdir()
        self.at(MONDAYS[0])
        assert self.runs("init").exit_code == 0

    def at(self, moment: str) -> None:
        self.patch.setenv("SOURCE_DATE_EPOCH", str(int(datetime.fromisoformat(moment).timestamp())))

    def runs(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["--archive", str(self.root), *arguments])

    def weekly(self, *more: str) -> Result:
        return self.runs("weekly", "--backups", str(self.kept), "--keep", "2", "--empty-inbox", *more)

    def hands_over(self, name: str, week: int, *rows: dict, **said: str) -> Path:
        return write_extract(self.root / "inbox" / name, rows, cut_off=CUT_OFFS[week], **said)

    def health(self) -> dict:
        done = self.runs("health", "--backups", str(self.kept), "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    @property
    def backups(self) -> list[str]:
        return sorted(path.name for path in self.kept.iterdir())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(pins, "_dvc", lambda root, *arguments: (root / ".dvc").mkdir(exist_ok=True))
        yield Home(tmp_path_factory.mktemp("weekly"), patch)


def test_without_any_extract_there_is_nothing_to_build(home):
    done = home.weekly()
    assert done.exit_code == 5
    assert "Missing: no extract was received yet: wanted one in inbox/" in done.stderr


def test_a_week_is_received_built_published_backed_up_and_the_inbox_is_emptied(home):
    home.hands_over("one", 0, *FIRST)
    done = home.weekly()
    assert done.exit_code == 0, done.output
    assert not contains(
        done.stdout, ["Received extract 1", "Build 2026-W02 is live", "2026-W02 force", "Backed up", "Removed"]
    )
    assert not list((home.root / "inbox").iterdir())
    assert (home.root / "audit_reports" / "heads.txt").read_text().startswith("2026-W02 ")
    newest, manifest = backups.kept(home.kept, Custody(home.root.with_name("force.keys")))[0]
    assert newest.name == f"2026-01-12-{manifest.log_size}"
    assert home.runs("verify").exit_code == 0


def test_the_same_again_within_the_week_does_nothing(home):
    before = home.backups
    done = home.weekly()
    assert done.exit_code == 0
    assert "Nothing to build: no extract has come since build 2026-W02" in done.stdout
    assert f"Backed up already: {before[-1]} has all" in done.stdout
    assert home.backups == before


def test_a_week_without_an_extract_is_a_fault_and_so_it_is_for_health(home):
    home.at(MONDAYS[1])
    done = home.weekly()
    assert done.exit_code == 5
    assert "no extract has come since build 2026-W02, whose cut-off is 2026-01-11T23:59:59Z" in done.stderr
    home.at("2026-01-21T06:00:00Z")
    faults = home.health()["faults"]
    assert {"last build is 9 days old", "newest backup is 9 days old"} <= set(faults)
    home.at(MONDAYS[1])


def test_an_extract_that_cannot_be_read_ends_with_its_code_and_stays(home):
    (home.root / "inbox" / "two").mkdir()
    (home.root / "inbox" / "two" / "extract.json").write_text("{")
    done = home.weekly()
    assert done.exit_code == 7
    assert done.stderr.startswith("Malformed: ")
    assert (home.root / "inbox" / "two").exists()


def test_a_blocked_build_ends_with_3_is_backed_up_and_its_extract_stays(home):
    home.hands_over("two", 1, *FIRST[:3])
    done = home.weekly()
    assert done.exit_code == 3, done.output
    assert "Refused: " in done.stderr
    assert "Backed up archive" in done.stdout
    assert (home.root / "inbox" / "two").exists()
    done = home.runs("build", "--confirm", "ward closed, as the source confirmed")
    assert done.exit_code == 0, done.output
    done = home.weekly()  # completes what the first run could not
    assert done.exit_code == 0, done.output
    assert "This extract was received before" in done.stdout
    assert not (home.root / "inbox" / "two").exists()


def test_what_was_killed_while_it_backed_up_is_made_again(home, monkeypatch):
    home.at(MONDAYS[2])
    home.hands_over("three", 2, record("R-90", "N-1", "N-90"), mode="delta", since=CUT_OFFS[1])
    whole = backups._copied

    def killed(source, target, name, **said):
        if name.startswith("store/"):
            raise KeyboardInterrupt
        return whole(source, target, name, **said)

    with monkeypatch.context() as patch:
        patch.setattr(backups, "_copied", killed)
        patch.setattr(backups, "_emptied", lambda folder: None)  # the process is gone: nobody clears up
        patch.setattr(Path, "rmdir", lambda path: None)
        assert home.weekly().exit_code != 0
    (left,) = [path for path in home.kept.iterdir() if not (path / BACKUP).exists()]
    assert (home.root / "inbox" / "three").exists()
    done = home.weekly()
    assert done.exit_code == 0, done.output
    assert (left / BACKUP).exists()
    assert not (home.root / "inbox" / "three").exists()


def test_only_the_last_backups_are_kept_and_nothing_else_is_removed(home):
    (home.kept / "notes").mkdir()
    (home.kept / "notes" / "read me").write_text("of a colleague")
    whole = [name for name in home.backups if (home.kept / name / BACKUP).exists()]
    assert len(whole) == 2
    assert whole[-1].startswith("2026-01-26-")
    assert home.runs("key", "escrow", "none", "--by", "x", "--under", "y").exit_code == 0
    done = home.weekly()
    assert f"Removed older backups: {whole[0]}." in done.stdout, done.output
    assert (home.kept / "notes" / "read me").exists()
    assert whole[1] in home.backups


def test_a_disposal_closes_the_backups_and_health_says_so_until_there_is_another(home):
    plan = home.root.with_name("plan.yaml")
    assert home.health()["backup"] == {"age_seconds": 0, "disposals_since": 0}
    said = ["--under", "MOPI 26/1", "--reason", "mopi-review", "--by", "A", "--out", str(plan)]
    assert home.runs("dispose", "plan", "--nominal", "N-90", *said).exit_code == 0
    assert home.runs("dispose", "carry-out", str(plan), "--by", "B", "--approved-by", "C").exit_code == 0
    found = home.health()
    assert found["backup"]["disposals_since"] == 1
    assert "1 disposals since the newest backup: its vault is closed, make another" in found["faults"]
    assert home.weekly().exit_code == 0
    assert home.health()["backup"] == {"age_seconds": 0, "disposals_since": 0}


def test_a_folder_without_backups_is_a_fault_and_strict_ends_with_3(home, tmp_path):
    done = home.runs("health", "--backups", str(tmp_path), "--strict", "--textfile", str(tmp_path / "force.prom"))
    assert done.exit_code == 3
    assert "look: no backup is in the folder of backups" in done.stdout
    assert "archive is not in order: 2 things to look at, listed above" in done.stderr
    figures = (tmp_path / "force.prom").read_text()
    assert "provenance_backup_age_seconds -1.0" in figures
    assert "provenance_looked_at_seconds 1.7694072e+09" in figures  # MONDAYS[2]
    assert "provenance_verified 1.0" in figures


def test_a_disk_with_less_room_than_a_disposal_may_want_is_a_fault(home, monkeypatch):
    from provenance import health

    stored = home.health()["stored_bytes"]
    assert stored > 1000
    full = type("usage", (), {"free": stored - 1})
    monkeypatch.setattr(health.shutil, "disk_usage", lambda path: full)
    assert any(fault.startswith("disk has ") for fault in home.health()["faults"])


def test_two_at_once_and_the_second_gives_way(home):
    with durable.one_writer(home.root):
        done = home.weekly()
    assert done.exit_code == 6
    assert "Conflict: another process is writing to force" in done.stderr


def test_a_full_disk_is_said_in_words_and_the_run_is_completed_later(home, monkeypatch):
    home.at(NEXT_MONDAY)
    home.hands_over("four", 3, record("R-91", "N-1", "N-91"), mode="delta", since=CUT_OFFS[2])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(durable, "replacing", full)
        done = home.weekly()
    assert done.exit_code == 6
    assert done.stderr == "Conflict: disk has no room left: make some, and give the command again\n"
    done = home.weekly()
    assert done.exit_code == 0, done.output
    assert "Build 2026-W05 is live" in done.stdout


def test_what_would_be_lost_is_not_removed_without_a_backup(home):
    for option in (["--keep", "2"], ["--empty-inbox"]):
        assert home.runs("weekly", *option).exit_code == 2


def test_a_folder_that_is_no_archive_is_left_as_it_is(tmp_path):
    done = CliRunner().invoke(main, ["--archive", str(tmp_path), "weekly"])
    assert done.exit_code == 5
    assert list(tmp_path.iterdir()) == []
