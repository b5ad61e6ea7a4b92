"""How large networks would be by other rules: against builds that were made by them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from provenance import candidates
from provenance.cli import main
from tests.force import PARAMS, Force, record

WHEN = "2026-01-11T23:59:59Z"
RECORDS = [
    *(record(f"R-{n}", "ANN", "BOB") for n in range(3)),
    *(record(f"S-{n}", "BOB", "CAT") for n in range(2)),
    record("T-1", "CAT", "DAN"),
    record("U-1", "EVE", "FAY"), record("U-2", "FAY", "GUS"), record("U-3", "EVE", "GUS"),
    record("V-1", "HAL", "IDA", "JOY"),
]  # fmt: skip


def made(folder: Path, **rule: int) -> Force:
    """A build of RECORDS by the rule of the params, or by another."""
    folder.mkdir(exist_ok=True)
    force = Force(folder)
    force.receive(*RECORDS, cut_off=WHEN)
    networks = PARAMS.networks.model_copy(update={"alarm_share_percent": 30} | rule)
    force.build(WHEN, rules=PARAMS.model_copy(update={"networks": networks}))
    return force


@pytest.fixture(scope="module")
def force(tmp_path_factory) -> Force:
    return made(tmp_path_factory.mktemp("candidates") / "one")


def test_each_rule_gives_the_networks_that_a_build_by_it_has(force, tmp_path):
    found = candidates.candidates(force.as_of(WHEN)).to_pylist()
    assert [(row["least_records"], row["shared_associate"], row["in_force"]) for row in found] == [
        (1, 0, 0), (2, 0, 1), (2, 1, 0), (3, 0, 0), (3, 1, 0)
    ]  # fmt: skip
    for place, row in enumerate(found):
        rule = {"least_records": row["least_records"], "shared_associate": bool(row["shared_associate"])}
        other = made(tmp_path / str(place), **rule)
        snapshot = other.as_of(WHEN)
        members = snapshot.networks()["members"].to_pylist()
        assert (row["networks"], row["largest"], row["people"]) == (len(members), max(members), sum(members))
        sizes = Counter("2" if n == 2 else "3-5" for n in members)
        assert row["sizes"] == [sizes["2"], sizes["3-5"], 0, 0, 0, 0]
        assert row["alarm"] == max(snapshot.networks()["alarm"].to_pylist())
        assert row["linked"] == 10
        other.archive.close()
    assert {row["networks"] for row in found} == {1, 2, 3}
    assert {row["alarm"] for row in found} == {0, 1}


def test_the_page_fits_and_says_what_json_says(force):
    asked = ["--archive", str(force.root), "--keys", str(force.keys), "networks", WHEN]
    done = CliRunner().invoke(main, asked, env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert all(len(line) <= 80 for line in done.output.splitlines())
    assert "2 records or an associate" in done.output
    assert "In force: 2 records, 1 point or more." in " ".join(done.output.split())
    said = json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout)
    assert said["rules"] == candidates.candidates(force.as_of(WHEN)).to_pylist()
