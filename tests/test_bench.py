"""The bench runs: our archive under the peers' own harness, from the first commit to the certificate, on few links; and
the two programs for outsiders on a small pack.
"""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from bench import growth, influence, page, peers, register, standing
from bench.archive_store import PEERS
from bench.curves import as_markdown

SIZE = {"edges": 1000, "persons": 200, "support": 3000, "weeks": 2}


@pytest.fixture(scope="module")
def run(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """`python -m bench.peers` on a tiny workload, and the folder that it worked in."""
    if not (shared / "peers").is_dir():
        pytest.skip("the folder ../shared/peers with the peers' harness is not here")
    folder = tmp_path_factory.mktemp("peers")
    options = [word for name, count in SIZE.items() for word in (f"--{name}", str(count))]
    done = CliRunner().invoke(peers.main, [*options, "--peers", "", "--folder", str(folder)])
    assert done.exit_code == 0, done.output
    return folder, done


@pytest.fixture(scope="module")
def result(run: tuple[Path, Result]) -> dict[str, Any]:
    """What it measured."""
    return json.loads((run[0] / "results" / "provenance.json").read_text())


def test_the_harness_finds_every_answer_right(result):
    asked = {"read_0", "read_middle", "read_2", "neighbourhood", "neighbourhood_evidence", "diff"}
    assert result["checks"] == dict.fromkeys(asked, True)
    assert result["verify"]["ok"], result["verify"]["faults"]
    assert {name: result["params"][f"{name}_per_week"] for name in ("updated", "added", "removed")} == {
        "updated": 6, "added": 3, "removed": 1,
    }  # fmt: skip


def test_the_workload_has_pairs_with_several_edges_and_ends_both_ways_round(run):
    """Or the answers would say nothing about them."""
    edges = pq.read_table(run[0] / "workload" / "00-edges.parquet")
    pairs = np.stack([edges["a"].to_numpy(), edges["b"].to_numpy()], axis=1)
    assert len(np.unique(pairs, axis=0)) < len(pairs)
    assert (pairs[:, 0] > pairs[:, 1]).any()
    assert (pairs[:, 0] < pairs[:, 1]).any()


def test_the_erased_are_gone_from_every_build_and_the_rest_is_not(result):
    erase = result["erase"]
    assert erase["persons"] == 20
    assert erase["reads_after"] == dict.fromkeys("012", "erased, rest intact")
    assert erase["old_roots_still_verify"] is True
    assert "3 of 3 published roots verify" in erase["notes"]


def test_below_the_api_nothing_of_them_is_left_that_was_there_before(result):
    erase = result["erase"]
    control = erase["residue_before"]
    assert control["rows_with_residue"] > 100
    assert control["raw"]["patterns_found"] == control["raw"]["patterns"] > 40
    assert control["opened_in_the_old_copy"] == 20
    assert erase["residue"]["rows_with_residue"] == erase["residue"]["raw"]["patterns_found"] == 0
    assert erase["residue"]["opened_in_the_old_copy"] == 0


def test_the_disposal_alone_reaches_what_dvc_and_a_remote_carry(result):
    alone = result["disposal_alone"]
    # In the archive, in DVC's cache and in the remote: three times what the harness found in the archive.
    assert alone["residue_before"]["rows_with_residue"] == 3 * result["erase"]["residue_before"]["rows_with_residue"]
    assert alone["residue"]["rows_with_residue"] == alone["residue"]["raw"]["patterns_found"] == 0
    assert 0 < alone["timing"]["unreadable"] < alone["timing"]["certified"]
    assert alone["peak_bytes"] > 2**26


def test_a_changed_byte_is_noticed_and_not_served(result):
    assert "same name, same size" in result["tamper"]["how"]
    assert result["tamper"]["verify"] == "noticed"
    assert result["tamper"]["read"].startswith("refused (Tampered: row ")


def test_our_column_stands_in_the_peers_table_and_each_target_has_its_verdict(run):
    said = run[1].output
    heads = next(line for line in said.splitlines() if line.startswith("| | "))
    assert heads.rstrip("| ").endswith("`provenance`")
    for target, wanted in peers.TARGETS.items():
        line = next(line for line in said.splitlines() if line.strip().startswith(target))
        assert f"(wanted: at most {wanted} " in line
        assert line.endswith(("  met", "  MISSED"))
    for wanted in standing.WANTED:
        (line,) = [line for line in said.splitlines() if line.startswith(f"| {wanted.name} |")]
        assert ("| met |" in line) != ("| **missed** |" in line)


def test_the_page_has_the_table_with_ratios_and_a_plot_of_what_peers_have_too(run, tmp_path):
    """With two results of the peers' own, from the folder beside their harness."""
    home, _ = run
    for name in ("duckdb_scd2", "naive_dvc"):
        shutil.copyfile(PEERS / "results" / f"{name}.json", tmp_path / f"{name}.json")
    shutil.copyfile(home / "results" / "provenance.json", tmp_path / "provenance.json")
    figures = standing.figures(tmp_path)
    diff = next(figure for figure in figures if figure.wanted.name.startswith("difference"))
    assert sorted(diff.peers) == ["duckdb_scd2", "naive_dvc"]
    assert diff.best == ("duckdb_scd2", min(diff.peers.values()))
    (tmp_path / "docs").mkdir()
    standing.write(tmp_path / "docs", figures, "the table", {"cores": 2, "mem_gib": 23.5, "load": [0.1]})
    page = (tmp_path / "docs" / "benchmarks.md").read_text("utf-8")
    assert f"| duckdb_scd2 {diff.best[1]:.3g} ms | {diff.ours / diff.best[1]:.2g} |" in page
    picture = (tmp_path / "docs" / "benchmarks.svg").read_bytes()
    assert b"provenance" in picture
    standing.plot(tmp_path / "again.svg", figures)
    assert (tmp_path / "again.svg").read_bytes() == picture


def test_the_page_and_its_twin_are_measured_on_a_pack_that_they_find_good(tmp_path):
    done = CliRunner().invoke(page.main, ["--rows", "20", "--runs", "1", "--folder", str(tmp_path)])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[1].startswith("a pack of 86 rows ")
    for name, needs in (("verify.html in Chromium", "chromium"), ("verify.py", "openssl")):
        [said] = [line for line in lines if line.startswith(f"{name} ")]
        assert ("10 s)" in said) == ("not measured" not in said)
        assert shutil.which(needs) is None or name != "verify.py" or "not measured" not in said


def test_a_pack_that_is_not_found_good_gives_no_figure(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("the command openssl is not here: verify.py checks signatures with it")
    (tmp_path / "pack.json").write_bytes(b"{}")
    with pytest.raises(SystemExit, match=r"^verify\.py says 'NOT VERIFIED', wanted 'VERIFIED against the published"):
        page._program(tmp_path, "2026-W47 force.example/builds 8 " + "A" * 43 + "=", 1)


def test_without_the_peers_it_says_so_and_stops(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "PEERS", tmp_path / "absent")
    done = CliRunner().invoke(peers.main, ["--folder", str(tmp_path / "home")])
    assert done.exit_code == 1
    assert "the folder ../shared/peers with the peers' harness is not here" in done.output
    assert not (tmp_path / "home").exists()


def test_growth_is_measured_fitted_and_drawn(shared, tmp_path):
    """Each answer at each point is compared with the generator's, or it would have stopped."""
    if not (shared / "peers").is_dir():
        pytest.skip("the folder ../shared/peers with the peers' workload is not here")
    (tmp_path / "docs").mkdir()
    asked = ["--edges", "2000", "--weeks", "5", "--docs", str(tmp_path / "docs"), "--folder", str(tmp_path / "work")]
    done = CliRunner().invoke(growth.main, asked)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "docs" / "growth.md").read_text("utf-8")
    assert "| builds | 2 | 3 | 4 | 5 | each build adds |" in page
    assert "## 2,000 links, with the number of builds" in page
    assert "| people disposed of | 19 |" in page
    assert "| published roots that verified afterwards | 6 |" in page
    assert b"all files, MB" in (tmp_path / "docs" / "growth-2000.svg").read_bytes()
    assert "## With the number of links" not in page


def test_growth_puts_its_sizes_side_by_side(tmp_path):
    one, ten = (growth.Measured([2, 4], *[[1.0 * n, 2.0 * n]] * 9, {"people disposed of": 5.0 * n}) for n in (1, 10))
    growth.write(tmp_path, ten, 20_000)
    growth.write(tmp_path, one, 2_000)
    page = (tmp_path / "growth.md").read_text("utf-8")
    assert "| links | 2,000 | 20,000 | last to the one before |" in page
    assert "| weekly commit, s | 2 | 20 | 10 |" in page
    assert "| people disposed of | 5 | 50 | 10 |" in page
    one.note = "Beside other work."
    growth.write(tmp_path, one, 2_000)
    assert (tmp_path / "growth.md").read_text("utf-8").count("Beside other work.\n\n![") == 1
    assert page.index("## 2,000 links") < page.index("## 20,000 links")


def test_the_line_through_a_curve_is_its_slope():
    found = growth.curves(growth.Measured([2, 4, 6], *[[1.0, 2.0, 3.0]] * 9))
    assert as_markdown("build", [2, 4, 6], found).splitlines()[2] == "| weekly commit, s | 1 | 2 | 3 | 0.5 |"


def test_the_register_is_built_asked_and_disposed_of(shared, tmp_path, monkeypatch):
    """Each answer is the raw extract's, and each root still verifies, or it would have stopped."""
    monkeypatch.setattr(register, "FIRST_SUNDAY", date(1985, 1, 6))  # by when the register was small
    monkeypatch.setattr(register, "_QUESTIONS", 15)
    monkeypatch.setattr(register, "_DISPOSALS", 2)
    (tmp_path / "docs").mkdir()
    asked = ["--weeks", "3", "--docs", str(tmp_path / "docs"), "--folder", str(tmp_path / "work")]
    done = CliRunner().invoke(register.main, asked)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "docs" / "register.md").read_text("utf-8")
    assert "| builds | 2 | 3 | each build adds |" in page
    assert "| disposals | 1 | 2 | each disposal adds |" in page


def test_influence_is_measured_on_a_small_force():
    done = CliRunner().invoke(influence.main, ["--links", "20000"])
    assert done.exit_code == 0, done.output
    assert "betweenness" in done.output
