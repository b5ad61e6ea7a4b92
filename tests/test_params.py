"""`params.yaml` as shipped is whole; each way of getting it wrong is named by its key."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline import demo, register
from provenance import params
from provenance.errors import Malformed, Missing
from provenance.records import KINDS, ROLES, SCHEMES, THEMES

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "params.yaml"


def altered(tmp_path: Path, old: str, new: str) -> Path:
    text = SHIPPED.read_text("utf-8")
    assert text.count(old) >= 1, old
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    return path


def test_what_is_shipped_is_whole_and_says_what_the_paper_says():
    shipped = params.read(SHIPPED)
    admitted = shipped.grading.admitted
    assert {(s, a) for s, row in admitted["3x5x2"].items() for a, yes in row.items() if yes} == {
        ("1", "A"), ("1", "B"), ("1", "C"),
    }  # fmt: skip
    assert {(s, a) for s, row in admitted["5x5x5"].items() for a, yes in row.items() if yes} == {
        (s, a) for s in "AB" for a in "123"
    }
    assert shipped.grading.force_to_confirm
    assert set(shipped.links.kind_points) == set(KINDS)
    assert set(shipped.links.role_classes) == set(ROLES)
    assert set(shipped.themes) == set(THEMES)
    assert len(shipped.links.role_pairs) == 10
    assert shipped.links.people_per_record == 30
    assert shipped.networks.least_records == 2
    assert "solely" in shipped.landing_page.text


def test_what_an_owner_says_is_read_and_names_the_systems_that_are_shipped():
    shipped = params.read(SHIPPED)
    assert (shipped.owner.name, shipped.owner.records) == ("", "")  # a force's own words, and nobody else's
    assert shipped.owner.sources.keys() == shipped.systems.keys()


def test_the_demonstrations_say_what_their_records_are(tmp_path):
    for write, owner in ((demo._write_owner, demo.OWNER), (register._write_params, register.OWNER)):
        path = altered(tmp_path, "", "")
        write(path)
        said = params.read(path)
        assert said.owner.records == owner["records"]
        assert said.owner.name == owner["name"]
        assert said.owner.invented == ("grades", "retention")
    assert set(said.systems) == {"CPD-COMPLAINTS", "CPD-FORCE", "CPD-CIVIL"}


def test_whether_a_harm_table_is_adopted_changes_no_result(tmp_path):
    shipped, adopted = (
        params.read(SHIPPED),
        params.read(altered(tmp_path, "      force_to_confirm: yes # no force", "# no")),
    )
    assert shipped.harm.editions[0].force_to_confirm
    assert adopted.harm.editions[0].force_to_confirm is None
    assert shipped.tallying_digest() == adopted.tallying_digest()
    assert shipped.digest() != adopted.digest()


def test_the_shipped_harm_table_is_the_pinned_one():
    (edition,) = params.read(SHIPPED).harm.editions
    assert hashlib.sha256((ROOT / edition.file).read_bytes()).hexdigest() == edition.sha256


FAULTS = [
    (
        "people_per_record: 30",
        "people_per_record: 30.5",
        "links.people_per_record: found a fraction; wanted: a valid int",
    ),
    (
        "people_per_record: 30",
        "people_per_record: yes",
        "links.people_per_record: found yes or no; wanted: a valid int",
    ),
    (
        "people_per_record: 30",
        'people_per_record: "30"',
        "links.people_per_record: found text; wanted: a valid integer",
    ),
    (
        "people_per_record: 30",
        "people_per_record: -1",
        "links.people_per_record: found a whole number; wanted: greater",
    ),
    ("people_per_record: 30", "people_per_record:", "links.people_per_record: found nothing; wanted: a valid integer"),
    ("offending-victim: 50", "offending-victim: 101", "links.role_pairs.offending-victim: found a whole number"),
    ("offending-victim: 50", "victim-offending: 50", "missing offending-victim; foreign victim-offending"),
    ("D: no, E: no} # reliable", "D: no} # reliable", "admitted.3x5x2.1 needs exactly A, B, C, D, E; missing E"),
    ("D: no, E: no} # reliable", "D: no, E: 0} # reliable", "grading.admitted.3x5x2.1.E: found a whole number"),
    (
        "crime: 100, ",
        "",
        "kind_points needs exactly crime, custody, intelligence, prison_release, missing; missing crime",
    ),
    ("    witness: witness\n", "", "missing witness"),
    ("rule: same-record/1", "rule: same-record/2", "links.rule: found text; wanted: 'same-record/1'"),
    ("  least_records: 2\n", "", "networks.least_records: found nothing; wanted: this key"),
    (
        "  least_records: 2\n",
        "  least_records: 2\n  most: 1\n",
        "networks.most: found a whole number; wanted: no such key",
    ),
    ("roles: [suspect, offender]", "roles: [suspect, victim]", "harm.roles holds victim"),
    ("unit: days", "unit: points", "harm.editions.0.unit: found text; wanted: 'days' or 'severity-points'"),
    (
        '[P, "1", "2", "3", C, "4", "5"]',
        '[P, "1", "2", "3", C, "4"]',
        "handling_order needs exactly P, C, 1, 2, 3, 4, 5",
    ),
    ('[P, "1", "2",', '[P, P, "1", "2",', "handling_order names a code twice"),
    ('D: "3", E: "2"', 'D: "3"', "source needs exactly A, B, C, D, E; missing E"),
    ('sha256: ""', "sha256: abc", "governance.technical_report.sha256: found text; wanted:"),
    ("COMPACT: [missing]", "COMPACT: [absent]", "systems.COMPACT.0: found text; wanted: 'crime', 'custody'"),
    ("  CL: County lines\n", "  CLX: County lines\n", "themes.CLX"),
]


@pytest.mark.parametrize(("old", "new", "says"), FAULTS)
def test_a_fault_is_named_by_its_key(tmp_path, old, new, says):
    with pytest.raises(Malformed) as caught:
        params.read(altered(tmp_path, old, new))
    assert str(caught.value).startswith("params key is wrong: params.yaml: ")
    assert says in str(caught.value)


def test_every_fault_is_told_at_once(tmp_path):
    path = altered(tmp_path, "least_records: 2", "least_records: 0")
    path.write_text(path.read_text("utf-8").replace("max_drop_percent: 20", "max_drop_percent: 120"), "utf-8")
    with pytest.raises(Malformed) as caught:
        params.read(path)
    assert [line.split(": ")[2] for line in str(caught.value).splitlines()] == [
        "networks.least_records", "thresholds.max_drop_percent",
    ]  # fmt: skip


def test_a_repeated_key_is_refused_also_when_one_is_quoted(tmp_path):
    with pytest.raises(Malformed, match=r"params file is not YAML: params.yaml, line \d+: key A occurs twice"):
        params.read(altered(tmp_path, '"1": {A: yes,', '"1": {A: yes, A: no,'))
    with pytest.raises(Malformed, match="key 1 occurs twice"):
        params.read(altered(tmp_path, '"A": {"1": yes,', '"A": {"1": yes, 1: no,'))


def test_a_file_that_is_no_yaml_no_text_or_not_there(tmp_path):
    with pytest.raises(Malformed, match=r"params file is not YAML: params.yaml, line \d+"):
        params.read(altered(tmp_path, "harm:", "harm: ["))
    (tmp_path / "p.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(Malformed, match=r"params file is not UTF-8 text: p\.yaml, byte 0"):
        params.read(tmp_path / "p.yaml")
    (tmp_path / "p.yaml").write_text("")
    with pytest.raises(Malformed, match=r"\(top level\): found nothing"):
        params.read(tmp_path / "p.yaml")
    with pytest.raises(Missing, match=r"wanted absent\.yaml"):
        params.read(tmp_path / "absent.yaml")


def test_digests_change_with_what_they_cover_and_with_nothing_else(tmp_path):
    shipped = params.read(SHIPPED)
    assert len({shipped.digest(), shipped.linking_digest(), shipped.tallying_digest()}) == 3
    same = params.read(altered(tmp_path, "# What the force decides.", "# What we decide."))
    assert same.digest() == shipped.digest()
    for old, new, links, tallies in [
        ("least_records: 2", "least_records: 3", False, False),
        ("roles: [suspect, offender]", "roles: [suspect]", False, True),
        ("crime: 100", "crime: 101", True, True),
        ("D: no, E: no} # reliable", "D: yes, E: no} # reliable", True, True),
        ("  CL: County lines\n", "", True, True),
        ("  CL: County lines\n", "  CL: County drug lines\n", False, False),
        ("version: view-1", "version: view-2", False, False),
    ]:
        other = params.read(altered(tmp_path, old, new))
        assert other.digest() != shipped.digest(), old
        assert (other.linking_digest() != shipped.linking_digest()) is links, old
        assert (other.tallying_digest() != shipped.tallying_digest()) is tallies, old


def test_params_are_frozen_and_every_matrix_is_complete():
    shipped = params.read(SHIPPED)
    with pytest.raises(ValueError, match="frozen"):
        shipped.links.people_per_record = 3
    for matrix in (shipped.grading.admitted, shipped.links.grade_percents):
        pairs = {name: sum(len(row) for row in rows.values()) for name, rows in matrix.items()}
        assert pairs == {"3x5x2": 15, "5x5x5": 25}
        assert set(pairs) == set(SCHEMES)
