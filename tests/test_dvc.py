"""DVC runs the week and carries the rows: a clone, the DVC remote and the vault are the whole archive.

Everything here goes through the programs that a person would type: provenance, dvc, git.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import provenance
from provenance.cli import main
from provenance.errors import Missing, Tampered
from tests.force import record, write_extract

STAGES = ("dispose", "receive", "link", "networks", "publish")


def run(folder: Path, *command: str) -> str:
    """Run a program in a folder, with this interpreter's own programs first on the PATH; returns what it printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cli(archive: Path, *arguments: str) -> str:
    """The command line, in this process."""
    done = CliRunner().invoke(main, ["--archive", str(archive), *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def announce(archive: Path, cut_off: str) -> None:
    (archive / "week.yaml").write_text(f'cut_off: "{cut_off}"\npublished_at: "{cut_off}"\n')


def ran(output: str) -> list[str]:
    """The stages that a `dvc repro` ran."""
    return [stage for stage in STAGES if f"Running stage '{stage}'" in output]


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Two weeks made by `dvc repro` alone, with what it printed: week one, the same again, week two."""
    archive = tmp_path_factory.mktemp("repro") / "force"
    cli(archive, "init")
    write_extract(archive / "inbox" / "one", [record("R-1", "N-1", "N-2")], cut_off="2026-01-11T23:59:59Z")
    write_extract(
        archive / "inbox" / "two",
        [record("R-2", "N-2", "N-3", occurred_at="2026-01-12", recorded_at="2026-01-13T09:00:00Z")],
        cut_off="2026-01-18T23:59:59Z",
        mode="delta",
    )
    said = []
    announce(archive, "2026-01-11T23:59:59Z")
    said.append(run(archive, "dvc", "repro"))
    said.append(run(archive, "dvc", "repro"))
    announce(archive, "2026-01-18T23:59:59Z")
    said.append(run(archive, "dvc", "repro"))
    return archive, said


def test_the_announced_week_runs_the_five_stages_in_order(weekly):
    _, (first, _, _) = weekly
    assert ran(first) == list(STAGES)
    assert "No disposal was waiting to be completed." in first
    assert "Received extract 1, cut off at 2026-01-11T23:59:59Z: 1 new or changed records" in first
    assert "Build 2026-W02: 1 records moved, 1 links sealed, 0 ended." in first
    assert "Build 2026-W02 is live." in first


def test_an_extract_that_is_not_due_yet_waits_in_the_inbox(weekly):
    _, (first, _, _) = weekly
    assert "2026-01-18" not in first


def test_the_same_week_again_runs_nothing(weekly):
    _, (_, again, _) = weekly
    assert ran(again) == []
    assert "Data and pipelines are up to date." in again


def test_the_next_week_runs_again_and_stands_on_the_last(weekly):
    archive, (_, _, second) = weekly
    assert ran(second) == list(STAGES)
    assert "Build 2026-W03 is live." in second
    with provenance.open(archive) as force:
        assert [p.label for p in force.publications] == ["2026-W02", "2026-W03"]
        assert force.as_of("2026-01-17T12:00").links().num_rows == 1
        assert force.as_of("2026-01-19").links().num_rows == 2
        force.verify()


def test_dvc_never_sees_an_extract_or_its_digest(weekly):
    """A plain MD5 of an extract would let anyone test a guess about what it says."""
    archive, _ = weekly
    carried = yaml.safe_load((archive / "dvc.lock").read_text())["stages"]
    paths = {entry["path"] for stage in carried.values() for part in ("deps", "outs") for entry in stage.get(part, [])}
    assert paths == {"store/disposals", "store/received", "store/records", "store/links", "store/networks", "builds"}
    for path in (archive / ".dvc" / "cache").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"R-1" not in content, path.name
            assert b"N-2" not in content, path.name


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks made by `provenance receive` and `build`, and pushed to a DVC remote beside the archive."""
    home = tmp_path_factory.mktemp("pinned")
    archive = home / "force"
    cli(archive, "init")
    for number, cut_off in enumerate(("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z"), start=1):
        rows = [record(f"R-{n}", "N-1", "N-2", f"N-{n + 2}") for n in range(1, number + 1)]
        cli(archive, "receive", str(write_extract(home / f"extract-{number}", rows, cut_off=cut_off)))
        cli(archive, "build", "--published-at", cut_off)
    run(archive, "dvc", "remote", "add", "--local", "-d", "store", str(home / "remote"))
    run(archive, "dvc", "remote", "modify", "--local", "store", "verify", "true")
    run(archive, "dvc", "push", "-q")
    return archive


def test_a_build_leaves_a_pinned_lock_under_a_tag_of_its_name(pinned):
    assert run(pinned, "git", "tag").split() == ["build/2026-W02", "build/2026-W03"]
    assert run(pinned, "git", "cat-file", "-t", "build/2026-W03").strip() == "tag"
    earlier, later = (
        yaml.safe_load(run(pinned, "git", "show", f"build/{label}:dvc.lock"))["stages"]
        for label in ("2026-W02", "2026-W03")
    )
    assert earlier["link"]["params"]["week.yaml"] == {"cut_off": "2026-01-11T23:59:59Z"}
    assert later["link"]["params"]["week.yaml"] == {"cut_off": "2026-01-18T23:59:59Z"}
    assert earlier["receive"]["outs"][0]["md5"] != later["receive"]["outs"][0]["md5"]


def test_after_a_build_neither_git_nor_dvc_has_anything_left_to_do(pinned):
    assert run(pinned, "git", "status", "--porcelain") == ""
    assert "Data and pipelines are up to date." in run(pinned, "dvc", "status")


def test_git_and_the_remote_hold_no_secret(pinned):
    held = set(run(pinned, "git", "ls-files").split())
    assert {"archive.json", "dvc.lock", "week.yaml", "log/checkpoint", "builds/2026-W03.json"} <= held
    assert not [name for name in held if name.startswith(("vault/", "index/", "inbox/", "store/"))]
    master = (pinned.with_name("force.keys") / "master").read_bytes()
    for path in [*(pinned.parent / "remote").rglob("*"), *(pinned / ".git").rglob("*")]:
        if path.is_file():
            assert master not in path.read_bytes(), path.name


def test_an_archive_is_laid_out_as_dvc_lays_out_a_folder(pinned, tmp_path):
    """But for the settings; and what DVC itself writes is all there."""
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "dvc", "init", "-q")
    staged = run(tmp_path, "git", "diff", "--cached", "--name-only").split()
    assert sorted(staged) == [".dvc/.gitignore", ".dvc/config", ".dvcignore"]
    for name in {*staged} - {".dvc/config"}:
        assert (pinned / name).read_text() == (tmp_path / name).read_text(), name
    settings = run(pinned, "dvc", "config", "--project", "--list").split()
    assert settings == [
        "core.analytics=false", "core.check_update=false", "core.autostage=false", "cache.type=reflink,copy",
    ]  # fmt: skip


def cloned(pinned: Path, name: str) -> Path:
    """The archive somewhere else: a git clone, pointed at the remote of the same rows. No vault and no keys yet."""
    clone = pinned.with_name(name)
    run(pinned.parent, "git", "clone", "-q", str(pinned), str(clone))
    run(clone, "dvc", "remote", "add", "--local", "-d", "store", str(pinned.parent / "remote"))
    run(clone, "dvc", "remote", "modify", "--local", "store", "verify", "true")
    return clone


def test_a_clone_the_remote_and_the_vault_are_the_whole_archive(pinned):
    clone = cloned(pinned, "clone")
    run(clone, "dvc", "pull", "-q")
    shutil.copytree(pinned / "vault", clone / "vault")
    shutil.copytree(pinned.with_name("force.keys"), clone.with_name("clone.keys"))

    with provenance.open(pinned) as there, provenance.open(clone) as here:
        for when in ("2026-01-12T09:00", "2026-01-20"):
            assert here.as_of(when).answer() == there.as_of(when).answer()
        assert here.as_of("2026-01-20").root == there.as_of("2026-01-20").root
        here.verify()
    assert "The archive verifies" in cli(clone, "verify")
    assert run(clone, "git", "status", "--porcelain") == ""


def test_a_clone_without_the_vault_opens_for_nobody(pinned):
    clone = cloned(pinned, "bare")
    with pytest.raises(Missing, match="key file master is not there"):
        provenance.open(clone)


def test_a_clone_without_the_rows_says_where_to_get_them(pinned):
    clone = cloned(pinned, "rowless")
    shutil.copytree(pinned / "vault", clone / "vault")
    shutil.copytree(pinned.with_name("force.keys"), clone.with_name("rowless.keys"))
    with (
        provenance.open(clone) as here,
        pytest.raises(Missing, match=r"file store/\S+ is not there: fetch it with `dvc pull`"),
    ):
        here.as_of("2026-01-20").links()


def test_an_edited_remote_is_found_even_where_dvc_delivers_it(pinned):
    """With `verify true` the pull itself fails; where someone left that out, our own digests find it."""
    clone = cloned(pinned, "edited")
    remote = pinned.parent / "edited-remote"
    shutil.copytree(pinned.parent / "remote", remote)
    held = {path.stat().st_size: path for path in remote.rglob("*") if path.is_file() and path.suffix != ".dir"}
    largest = held[max(held)]
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(content)
    run(clone, "dvc", "remote", "modify", "--local", "store", "url", str(remote))
    run(clone, "dvc", "remote", "modify", "--local", "store", "verify", "false")
    run(clone, "dvc", "pull", "-q")
    shutil.copytree(pinned / "vault", clone / "vault")
    shutil.copytree(pinned.with_name("force.keys"), clone.with_name("edited.keys"))
    with provenance.open(clone) as here, pytest.raises(Tampered, match="has other bytes than those that were logged"):
        here.verify()


@pytest.fixture(scope="module")
def disposed(pinned: Path) -> Path:
    """The same archive and remote elsewhere, where a person is then disposed of by `provenance dispose`."""
    archive = shutil.copytree(pinned, pinned.parent / "disposed" / "force", symlinks=True)
    shutil.copytree(pinned.with_name("force.keys"), archive.with_name("force.keys"))
    shutil.copytree(pinned.parent / "remote", archive.with_name("remote"))
    run(archive, "dvc", "remote", "modify", "--local", "store", "url", str(archive.with_name("remote")))
    plan = str(archive.with_name("plan.yaml"))
    said = ["--nominal", "N-3", "--under", "an order", "--reason", "source-disposal", "--by", "A", "--out", plan]
    cli(archive, "dispose", "plan", *said)
    cli(archive, "dispose", "carry-out", plan, "--by", "B", "--approved-by", "C")
    return archive


def carried(folder: Path) -> dict[str, bytes]:
    """Sealed files, or objects of DVC, by name."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_after_a_disposal_git_has_nothing_left_to_do_and_the_rest_is_pushed_as_after_a_build(disposed):
    assert run(disposed, "git", "status", "--porcelain") == ""
    assert "Data and pipelines are up to date." in run(disposed, "dvc", "status")
    assert "Data and pipelines are up to date." in run(disposed, "dvc", "repro")
    run(disposed, "dvc", "push", "-q")


def test_after_a_disposal_no_copy_has_what_the_files_were_and_the_build_is_pulled_as_they_are(pinned, disposed):
    were, are = carried(pinned / "store"), carried(disposed / "store")
    rewritten = {name for name in were if were[name] != are[name]}
    assert any(name.startswith("links/") for name in rewritten)
    for copies in (disposed / ".dvc" / "cache", disposed.with_name("remote")):
        assert not {were[name] for name in rewritten} & set(carried(copies).values())
    clone = disposed.with_name("clone")
    run(disposed.parent, "git", "clone", "-q", str(disposed), str(clone))
    run(clone, "dvc", "remote", "add", "--local", "-d", "store", str(disposed.with_name("remote")))
    run(clone, "git", "checkout", "-q", "build/2026-W03")
    run(clone, "dvc", "pull", "-q")
    pulled = carried(clone / "store")
    assert pulled == {name: are[name] for name in pulled}
    assert rewritten & pulled.keys()


WHAT_IF = """\
stages:
  what-if:
    wdir: ..
    cmd: python -m pipeline.whatif what-if/metrics.json
    params:
      - params.yaml:
          - themes
          - grading
          - links
          - networks
          - harm
    metrics:
      - what-if/metrics.json:
          cache: false
"""


@pytest.fixture(scope="module")
def analyst(pinned: Path) -> Path:
    """A clone of an analyst's, on a branch, with the pipeline that docs/how-to.md gives."""
    clone = cloned(pinned, "analyst")
    run(clone, "dvc", "pull", "-q")
    shutil.copytree(pinned / "vault", clone / "vault")
    shutil.copytree(pinned.with_name("force.keys"), clone.with_name("analyst.keys"))
    run(clone, "git", "checkout", "-q", "-b", "what-if")
    (clone / "what-if").mkdir()
    (clone / "what-if" / "dvc.yaml").write_text(WHAT_IF)
    assert "0 of them other than its own" in run(clone, "dvc", "repro", "what-if/dvc.yaml")
    run(clone, "git", "add", "what-if")
    run(clone, "git", "-c", "user.name=ana", "-c", "user.email=ana@localhost", "commit", "-q", "-m", "as it is")
    return clone


def test_the_pipeline_is_the_one_that_the_how_to_gives():
    said = (Path(__file__).resolve().parent.parent / "docs" / "how-to.md").read_text("utf-8")
    assert "".join(f"    {line}\n" for line in WHAT_IF.splitlines()) in said


def test_an_experiment_of_dvc_is_compared_by_dvc_and_the_archive_knows_nothing_of_it(analyst):
    log = (analyst / "log" / "checkpoint").read_bytes()
    assert "Data and pipelines are up to date." in run(analyst, "dvc", "repro", "what-if/dvc.yaml")
    said = run(
        analyst, "dvc", "exp", "run", "-n", "heavier", "-S", "params.yaml:links.kind_points.crime=150",
        "what-if/dvc.yaml",
    )  # fmt: skip
    assert "1 of them other than its own" in said
    params = json.loads(run(analyst, "dvc", "params", "diff", "--json"))
    assert params["params.yaml"]["links.kind_points.crime"] == {"old": 100, "new": 150, "diff": 50}
    metrics = json.loads(run(analyst, "dvc", "metrics", "diff", "--json"))["what-if/metrics.json"]
    with provenance.open(analyst) as archive:
        found = archive.experiment("2026-W03", params={"links.kind_points.crime": 150}).metrics()
    assert {name: (was["old"], was["new"]) for name, was in metrics.items()} == {
        name: pair for name, pair in found.items() if pair[0] != pair[1]
    }
    assert metrics["strength"]["diff"] > 0
    shown = {row["Experiment"]: row for row in csv.DictReader(run(analyst, "dvc", "exp", "show", "--csv").splitlines())}
    assert shown["heavier"]["strength"] == str(metrics["strength"]["new"])
    assert shown["heavier"]["links.kind_points.crime"] == "150"
    assert (analyst / "log" / "checkpoint").read_bytes() == log


def test_the_weekly_build_is_no_experiment(analyst):
    announce(analyst, "2026-01-25T23:59:59Z")
    log = (analyst / "log" / "checkpoint").read_bytes()
    environment = {**os.environ, "DVC_EXP_NAME": "heavier"}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.link"], cwd=analyst, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 3
    assert "weekly build is run as an experiment of DVC" in done.stderr
    assert (analyst / "log" / "checkpoint").read_bytes() == log


def test_what_a_build_says_it_used_is_what_it_used_where_dvc_skipped_stages(weekly, tmp_path):
    """A third week is cut off before it is published; then other advisory words are put in, and it is published."""
    archive = shutil.copytree(weekly[0], tmp_path / "force", symlinks=True)
    shutil.copytree(weekly[0].with_name("force.keys"), tmp_path / "force.keys")
    (archive / "week.yaml").write_text('cut_off: "2026-01-25T23:59:59Z"\npublished_at: "2020-01-01T00:00:00Z"\n')
    assert "would go live at 2020-01-01" in failed(archive)
    params = (archive / "params.yaml").read_text("utf-8")
    said = 'landing_page:\n  version: "1"'
    (archive / "params.yaml").write_text(params.replace(said, said.replace('"1"', '"2"')), "utf-8")
    announce(archive, "2026-01-25T23:59:59Z")
    made = archive / "index" / "2026-W04.link.made"
    kept = made.read_bytes()
    made.write_bytes(b"0" * 64)  # as code would leave it that has been changed since
    assert "stage link of build 2026-W04 was run by other code, packages or params" in failed(archive)
    made.write_bytes(kept)
    assert ran(run(archive, "dvc", "repro")) == ["publish"]
    assert not made.exists()
    with provenance.open(archive) as force:
        stated = yaml.safe_load(force.build("2026-W04").statement.params)
    assert stated["landing_page"]["version"] == "2"
    assert stated["links"] == yaml.safe_load(params)["links"]
    # It is made again by what was stated, whatever params.yaml says by then.
    heavier = params.replace("kind_points: {crime: 100,", "kind_points: {crime: 101,")
    assert heavier != params
    (archive / "params.yaml").write_text(heavier, "utf-8")
    assert json.loads(cli(archive, "reproduce", "2026-W04", "--json"))["verdict"] == "same"


def failed(archive: Path) -> str:
    """What a `dvc repro` that does not get through says."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["dvc", "repro"], cwd=archive, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode, done.stdout
    return done.stdout + done.stderr
