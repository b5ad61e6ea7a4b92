"""The sample force keeps the contract, holds every word of it, has the shapes it claims, and is the same every time."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sample import words
from pipeline.sample.__main__ import main
from pipeline.sample.chance import Stream, pick, uniform
from pipeline.sample.events import draw
from pipeline.sample.people import Groups, nominal_id, twins
from pipeline.sample.plan import Plan
from pipeline.sample.shapes import meeting_people
from pipeline.sample.weeks import write
from provenance import extracts
from provenance.errors import Conflict, Malformed
from provenance.records import KINDS, MOPI_GROUPS, ROLES, SCHEMES, TABLES

MONDAY = date(2025, 11, 17)
LONDON = ZoneInfo("Europe/London")
FILES = ("records", "involvements", "nominals", "merges", "disposals")


@dataclass(frozen=True)
class Handed:
    """One extract as the csv module reads it: the slow, obvious way."""

    label: str
    statement: dict
    tables: dict[str, list[dict[str, str]]]

    @property
    def cut_off(self) -> str:
        return self.statement["cut_off"]

    def people(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        found = defaultdict(list)
        for row in self.tables["involvements"]:
            found[row["system"], row["record_id"]].append((row["nominal_id"], row["role"]))
        return found


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, strict=True))


def _read(out: Path) -> list[Handed]:
    return [
        Handed(
            folder.name,
            json.loads((folder / "extract.json").read_text()),
            {name: _rows(folder / f"{name}.csv") for name in FILES},
        )
        for folder in sorted(out.iterdir())
    ]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write(Plan(records=12_000, weeks=10, seed=7, monday=MONDAY), folder)
    return folder


@pytest.fixture(scope="module")
def weeks(out: Path) -> list[Handed]:
    return _read(out)


def key(row: dict[str, str]) -> tuple[str, str]:
    return row["system"], row["record_id"]


def first_versions(weeks: list[Handed]) -> dict[tuple[str, str], dict[str, str]]:
    versions: dict[tuple[str, str], dict[str, str]] = {}
    for week in weeks:
        for row in week.tables["records"]:
            versions.setdefault(key(row), row)
    return versions


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# ---- the contract ----------------------------------------------------------------------------------------------------


def test_each_extract_is_taken_whole_by_the_door_of_the_archive(out: Path) -> None:
    known = {"CONNECT": KINDS[:3], "LEGACY": KINDS[:3], "PINS": ("prison_release",), "COMPACT": ("missing",)}
    for folder in sorted(out.iterdir()):
        taken = extracts.read(folder, systems=known)
        assert taken.rejects.num_rows == 0, taken.rejects.to_pylist()[:5]
        assert sum(taken.offered.values()) == sum(len(getattr(taken, name)) for name in FILES)


def test_the_columns_are_those_of_the_contract(out: Path) -> None:
    for path in out.rglob("*.csv"):
        with path.open(encoding="utf-8", newline="") as handle:
            assert next(csv.reader(handle)) == TABLES[path.stem].schema.names
    assert {path.name for path in out.rglob("*.*")} == {f"{name}.csv" for name in FILES} | {"extract.json"}


def test_the_first_extract_is_full_and_each_delta_names_the_one_before(weeks: list[Handed]) -> None:
    assert [week.label for week in weeks] == [f"2025-W{n}" for n in range(47, 53)] + [
        f"2026-W0{n}" for n in range(1, 5)
    ]
    assert [week.statement["mode"] for week in weeks] == ["full"] + ["delta"] * 9
    assert "since" not in weeks[0].statement
    assert [week.statement["since"] for week in weeks[1:]] == [week.cut_off for week in weeks[:-1]]


def test_a_cut_off_is_sunday_just_before_midnight_in_london() -> None:
    plan = Plan(records=1_000, weeks=40, seed=1, monday=MONDAY)
    for week in range(40):
        local = plan.cut_off(week).astimezone(LONDON)
        assert (local.isoweekday(), local.hour, local.minute, local.second) == (7, 23, 59, 59)
        assert f"{local.isocalendar().year}-W{local.isocalendar().week:02d}" == plan.label(week)
    assert plan.cut_off(18) == datetime(2026, 3, 29, 22, 59, 59, tzinfo=UTC)  # the clocks went forward that day


def test_what_is_recorded_in_a_week_comes_with_its_extract_and_no_sooner(weeks: list[Handed]) -> None:
    before = ""
    for week in weeks:
        watermarks = {name: system["watermark"] for name, system in week.statement["systems"].items()}
        for row in week.tables["records"]:
            assert before < row["recorded_at"] <= watermarks[row["system"]] <= week.cut_off
            width = len(row["occurred_at"])
            assert width in (10, 20)
            assert row["occurred_at"] <= row["recorded_at"][:width]
        for row in week.tables["merges"] + week.tables["disposals"]:
            assert before < row["at"] <= week.cut_off
        before = week.cut_off


def test_the_stated_counts_are_the_rows(weeks: list[Handed]) -> None:
    for week in weeks:
        for table in ("records", "involvements"):
            counted = Counter(row["system"] for row in week.tables[table])
            assert {name: said[table] for name, said in week.statement["systems"].items()} == {
                name: counted[name] for name in words.SYSTEMS
            }


def test_every_record_has_people_and_everybody_is_known(weeks: list[Handed]) -> None:
    known: set[str] = set()
    for week in weeks:
        nominals = [row["nominal_id"] for row in week.tables["nominals"]]
        assert len(nominals) == len(set(nominals))
        known |= set(nominals)
        people = week.people()
        assert set(people) == {key(row) for row in week.tables["records"]}  # a delta restates those of its records
        for involved in people.values():
            assert len(involved) == len(set(involved))
            assert {nominal for nominal, _ in involved} <= known


def test_a_delta_brings_new_people_and_changed_ones(weeks: list[Handed]) -> None:
    people = {row["nominal_id"]: row for row in weeks[0].tables["nominals"]}
    renamed = 0
    for week in weeks[1:]:
        involved = {nominal for rows in week.people().values() for nominal, _ in rows}
        for row in week.tables["nominals"]:
            before = people.get(row["nominal_id"])
            if before is None:
                assert row["nominal_id"] in involved
            else:
                assert row["name"] != before["name"]
                assert {**row, "name": "", "is_child": ""} == {**before, "name": "", "is_child": ""}
                renamed += 1
            people[row["nominal_id"]] = row
    assert renamed >= 9


def test_under_18_is_counted_at_the_cut_off(weeks: list[Handed]) -> None:
    for week in weeks:
        today = datetime.fromisoformat(week.cut_off).date()
        for row in week.tables["nominals"]:
            if row["born"]:
                born = date.fromisoformat(row["born"])
                had_birthday = (today.month, today.day) >= (born.month, born.day)
                assert row["is_child"] == str(int(today.year - born.year - (not had_birthday) < 18))
            else:
                assert row["is_child"] == ""


def test_grades_and_conditions_keep_their_scheme(weeks: list[Handed]) -> None:
    for week in weeks:
        for row in week.tables["records"]:
            graded = row["source_grade"], row["assessment_grade"], row["handling"]
            if row["kind"] != "intelligence":
                assert row["grade_scheme"] == ""
                assert graded == ("", "", "")
            else:
                assert row["grade_scheme"] == ("5x5x5" if row["system"] == "LEGACY" else "3x5x2")
                scheme = SCHEMES[row["grade_scheme"]]
                for code, codes in zip(graded, (scheme.source, scheme.assessment, scheme.handling), strict=True):
                    assert code in codes
            assert bool(row["conditions"]) == (row["handling"] in ("C", "2", "3", "4", "5"))
            assert (row["place"] == "") == (row["easting"] == "") == (row["northing"] == "")


def test_legacy_ends_where_connect_begins(weeks: list[Handed]) -> None:
    for row in first_versions(weeks).values():
        if row["system"] in ("CONNECT", "LEGACY"):
            assert (row["system"] == "LEGACY") == (row["recorded_at"] < "2021-03-31T23:00:00Z")


# ---- the vocabulary --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_the_smallest_force_holds_every_word(tmp_path: Path, seed: int) -> None:
    write(Plan(records=1_000, weeks=6, seed=seed, monday=MONDAY), tmp_path)
    handed = _read(tmp_path)
    records = [row for week in handed for row in week.tables["records"]]
    involvements = [row for week in handed for row in week.tables["involvements"]]
    assert {row["kind"] for row in records} == set(KINDS)
    assert {row["system"] for row in records} == set(words.SYSTEMS)
    assert {row["role"] for row in involvements} == set(ROLES)
    assert {row["assessed"] for row in involvements} == {"", "fact", "assessment"}
    assert {row["offence_code"] for row in records} == set(words.OFFENCES)
    assert set(words.UNKNOWN_OFFENCES) < set(words.OFFENCES)
    assert {row["themes"] for row in records} == set(words.THEME_SETS)
    assert {row["mopi_group"] for row in records} >= set(MOPI_GROUPS)
    for name, scheme in SCHEMES.items():
        pairs = {(row["source_grade"], row["assessment_grade"]) for row in records if row["grade_scheme"] == name}
        assert pairs == {(source, assessment) for source in scheme.source for assessment in scheme.assessment}
        assert {row["handling"] for row in records if row["grade_scheme"] == name} == set(scheme.handling)
    assert "withdrawn" in {row["status"] for row in records}
    assert max(len({nominal for nominal, _ in people}) for week in handed for people in week.people().values()) > 30
    names = " ".join(row["name"] for week in handed for row in week.tables["nominals"])
    assert all(name in names for name in words.HOSTILE)
    for table in ("merges", "disposals"):
        assert any(week.tables[table] for week in handed)
    assert "split" in {row["into_nominal"] for week in handed for row in week.tables["merges"]}
    assert {row["what"] for week in handed for row in week.tables["disposals"]} == {"nominal", "record"}


# ---- what comes again ------------------------------------------------------------------------------------------------


def test_what_comes_again_says_something_else(weeks: list[Handed]) -> None:
    seen: dict[tuple[str, str], tuple[dict[str, str], list[tuple[str, str]]]] = {}
    changes: Counter[str] = Counter()
    again: Counter[tuple[str, str]] = Counter()
    for week in weeks:
        people = week.people()
        assert len({key(row) for row in week.tables["records"]}) == len(week.tables["records"])
        for row in week.tables["records"]:
            name = key(row)
            if name in seen:
                again[name] += 1
                row_before, people_before = seen[name]
                changed = {column for column in row if row[column] != row_before[column]} - {"recorded_at"}
                assert row["recorded_at"] > row_before["recorded_at"]
                if len(people[name]) < len(people_before):
                    assert set(people[name]) < set(people_before)
                    changed.add("dropped")
                elif people[name] != people_before:
                    assert [nominal for nominal, _ in people[name]] == [nominal for nominal, _ in people_before]
                    changed.add("role")
                assert changed
                assert not changed & {"system", "record_id", "kind", "themes", "place", "grade_scheme", "handling"}
                changes.update(changed)
            seen[name] = row, people[name]
    assert set(changes) >= {"source_grade", "occurred_at", "role", "dropped", "offence_code", "status"}
    assert set(again.values()) == {1}
    assert 0.005 < len(again) / len(seen) < 0.05


def test_merges_join_ids_already_handed_over_and_splits_undo_them(weeks: list[Handed]) -> None:
    known: dict[str, dict[str, str]] = {}
    merged: set[str] = set()
    for week in weeks:
        known |= {row["nominal_id"]: row for row in week.tables["nominals"]}
        for row in sorted(week.tables["merges"], key=lambda row: row["at"]):
            assert row["evidence"]
            assert row["by"]
            assert row["from_nominal"] in known
            if row["into_nominal"] == "split":
                assert row["from_nominal"] in merged
                merged.discard(row["from_nominal"])
            else:
                assert row["from_nominal"] not in merged
                merged.add(row["from_nominal"])
                assert known[row["from_nominal"]]["born"] == known[row["into_nominal"]]["born"]
    assert merged


def test_what_is_disposed_of_was_there_and_does_not_come_again(weeks: list[Handed]) -> None:
    records: set[tuple[str, str]] = set()
    nominals: set[str] = set()
    gone: set[tuple[str, str]] = set()
    for week in weeks:
        here = {key(row) for row in week.tables["records"]}
        people = {("", row["nominal_id"]) for row in week.tables["nominals"] + week.tables["involvements"]}
        assert not gone & (here | people)
        records |= here
        nominals |= {nominal for _, nominal in people}
        for row in week.tables["disposals"]:
            assert row["authority"]
            assert row["reason"]
            name = row["system"], row["id"]
            assert name in records if row["what"] == "record" else not row["system"] and row["id"] in nominals
            assert name not in gone
            gone.add(name)
    assert len(gone) == 2 * 9


# ---- the same again --------------------------------------------------------------------------------------------------


def test_the_same_arguments_give_the_same_bytes_in_two_processes(tmp_path: Path) -> None:
    both = """
import sys
from pipeline.sample.__main__ import main
for form in ("csv", "parquet"):
    arguments = ["--records", "2000", "--weeks", "4", "--seed", "3", "--format", form, f"{sys.argv[1]}/{form}"]
    main(arguments, standalone_mode=False)
"""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", both, str(tmp_path / salt)],
            env={**os.environ, "PYTHONHASHSEED": salt},
            stdout=subprocess.DEVNULL,
        )
        for salt in ("1", "2")
    ]
    assert [run.wait() for run in runs] == [0, 0]
    one, two = digest(tmp_path / "1"), digest(tmp_path / "2")
    assert len(one) > 2 * 4 * 4
    assert one == two


def test_another_seed_gives_other_bytes_in_every_table(tmp_path: Path) -> None:
    for seed in (1, 2):
        write(Plan(records=2_000, weeks=3, seed=seed, monday=MONDAY), tmp_path / str(seed))
    one, two = digest(tmp_path / "1"), digest(tmp_path / "2")
    assert not set(one.values()) & set(two.values())


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    plan = Plan(records=1_500, weeks=3, seed=5, monday=MONDAY)
    assert write(plan, tmp_path / "csv") == write(plan, tmp_path / "parquet", "parquet")
    files = sorted((tmp_path / "parquet").rglob("*.parquet"))
    assert len(files) >= 3 * 3
    for path in files:
        twin = (tmp_path / "csv" / path.relative_to(tmp_path / "parquet")).with_suffix(".csv")
        assert pq.read_table(path).to_pylist() == _rows(twin)
        assert pq.read_schema(path) == TABLES[path.stem].schema


@given(st.integers(1_000, 10_000_000), st.integers(1, 400), st.integers(0, 2**63 - 1))
@settings(max_examples=200, deadline=None)
def test_weeks_and_blocks_share_out_every_record_and_person_once(records: int, weeks: int, seed: int) -> None:
    plan = Plan(records=records, weeks=weeks, seed=seed, monday=MONDAY)
    firsts = [plan.first_record(week) for week in range(weeks + 1)]
    assert firsts[0] == 0
    assert firsts[-1] == records
    assert all(one < next_ for one, next_ in itertools.pairwise(firsts))
    assert firsts[1] >= records * 60 // 100
    if weeks <= 41:
        assert abs(firsts[1] - (records - records * (weeks - 1) / 100)) <= 1
    for week in {0, weeks // 2, weeks - 1}:
        edges = [edge for block in plan.blocks(week) for edge in block]
        assert edges[0] == firsts[week]
        assert edges[-1] == firsts[week + 1]
        assert edges[1:-1:2] == edges[2::2]
    assert plan.newcomers(records) == plan.people - plan.repeaters
    assert plan.people < 2**23  # what `events._PERSON_BITS` makes room for


def test_a_block_needs_no_other_block() -> None:
    plan = Plan(records=70_000, weeks=1, seed=9, monday=MONDAY)
    groups = Groups.of(plan)
    blocks = plan.blocks(0)
    assert len(blocks) == 2
    forwards = [draw(plan, groups, 0, *block) for block in blocks]
    backwards = [draw(plan, groups, 0, *block) for block in reversed(blocks)][::-1]
    for one, two in zip(forwards, backwards, strict=True):
        assert one.records().equals(two.records())
        assert one.involvements().equals(two.involvements())
    assert all(one.recorded[-1] <= two.recorded[0] for one, two in itertools.pairwise(forwards))


def test_ids_are_never_shared(weeks: list[Handed]) -> None:
    ids = nominal_id(np.arange(0, 5_000_000, 7))
    assert len(ids.unique()) == len(ids)
    numbers = [row["record_id"][-8:] for row in first_versions(weeks).values()]
    assert sorted(numbers) == [f"{number:08d}" for number in range(12_000)]
    people: dict[str, dict[str, str]] = {}
    for week in weeks:  # one id, one person: a later row may change the name only
        for row in week.tables["nominals"]:
            before = people.setdefault(row["nominal_id"], row)
            assert [row[cell] for cell in ("born", "sex", "ethnicity")] == [
                before[cell] for cell in ("born", "sex", "ethnicity")
            ]


def test_twins_are_two_ids_in_one_group_or_in_none() -> None:
    plan = Plan(records=100_000, weeks=2, seed=4, monday=MONDAY)
    groups = Groups.of(plan)
    group = np.repeat(np.arange(len(groups.size)), groups.size)
    found = twins(plan, groups)
    inside = found[found < plan.repeaters]
    assert len(inside) > 10
    assert (group[inside] == group[inside - 1]).all()
    assert (found >= plan.repeaters).any()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any), st.floats(0, 1, exclude_max=True))
@settings(max_examples=200, deadline=None)
def test_pick_never_picks_what_has_no_weight(weights: list[int], u: float) -> None:
    chosen = int(pick(np.array([u]), weights)[0])
    assert weights[chosen] > 0
    assert sum(weights[:chosen]) <= u * sum(weights) <= sum(weights[: chosen + 1])


def test_a_persons_draw_is_the_same_in_any_company_and_is_uniform() -> None:
    numbers = np.arange(50_000)
    drawn = uniform(3, Stream.PERSON, 1, numbers)
    assert (uniform(3, Stream.PERSON, 1, numbers[::-7]) == drawn[::-7]).all()
    assert np.allclose(np.quantile(drawn, (0.1, 0.5, 0.9)), (0.1, 0.5, 0.9), atol=0.01)
    other = uniform(3, Stream.PERSON, 2, numbers)
    assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.02
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.02


# ---- the shapes ------------------------------------------------------------------------------------------------------


def sizes_and_repeats(weeks: list[Handed], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """People per record, and records per person over all kinds, by first versions."""
    kinds = {name: row["kind"] for name, row in first_versions(weeks).items()}
    size, repeats, seen = [], Counter(), set()
    for week in weeks:
        for name, involved in week.people().items():
            if name not in seen:
                seen.add(name)
                people = {nominal for nominal, _ in involved}
                repeats.update(people)
                if kinds[name] == kind:
                    size.append(len(people))
    return np.array(size), np.array(list(repeats.values()))


def test_nominals_are_half_the_records_and_repeat_with_a_heavy_tail(weeks: list[Handed]) -> None:
    _, repeats = sizes_and_repeats(weeks, "crime")
    assert 0.47 < len(repeats) / 12_000 < 0.53
    assert np.median(repeats) <= 2
    assert np.quantile(repeats, 0.9) >= 3 * np.median(repeats)
    assert repeats.max() > 8 * repeats.mean()


def test_records_arrive_as_late_as_the_real_ones(weeks: list[Handed]) -> None:
    days = [
        (datetime.fromisoformat(row["recorded_at"]) - datetime.fromisoformat(row["occurred_at"])).total_seconds()
        / 86400
        for row in first_versions(weeks).values()
        if len(row["occurred_at"]) > 10
    ]
    assert np.median(days) == pytest.approx(1, rel=0.1)
    assert np.quantile(days, 0.9) == pytest.approx(22, rel=0.15)
    assert np.quantile(days, 0.99) == pytest.approx(605, rel=0.25)


def test_some_suspects_are_victims_in_the_same_crime(weeks: list[Handed]) -> None:
    involvements = [row for week in weeks for row in week.tables["involvements"] if "CR" in row["record_id"]]
    pairs = {(key(row), row["nominal_id"]) for row in involvements}
    assert 0.02 < (len(involvements) - len(pairs)) / len(pairs) < 0.04


def test_children_go_missing_and_are_exploited(weeks: list[Handed]) -> None:
    child = {row["nominal_id"]: row["is_child"] for week in weeks for row in week.tables["nominals"]}
    missing = [row for week in weeks for row in week.tables["involvements"] if row["role"] == "missing"]
    assert np.mean([child[row["nominal_id"]] == "1" for row in missing]) > 0.5
    themes = {name: row["themes"] for name, row in first_versions(weeks).items()}
    victims = [
        child[row["nominal_id"]]
        for week in weeks
        for row in week.tables["involvements"]
        if row["role"] == "victim" and set(themes[key(row)].split(";")) & {"CSE", "CL"}
    ]
    assert victims.count("1") > 20


def test_people_who_meet_in_two_records_form_small_groups(weeks: list[Handed]) -> None:
    together: Counter[tuple[str, str]] = Counter()
    seen = set()
    for week in weeks:
        for name, involved in week.people().items():
            people = sorted({nominal for nominal, _ in involved})
            if name not in seen and len(people) <= 30:
                together.update((a, b) for i, a in enumerate(people) for b in people[i + 1 :])
            seen.add(name)

    def largest(least: int) -> tuple[int, int]:
        leader: dict[str, str] = {}

        def find(node: str) -> str:
            while leader.setdefault(node, node) != node:
                node = leader[node]
            return node

        for (a, b), count in together.items():
            if count >= least:
                leader[find(a)] = find(b)
        sizes = Counter(find(node) for node in list(leader))
        return max(sizes.values()), len(sizes)

    any_link, _ = largest(1)
    supported, groups = largest(2)
    assert any_link > 3_000
    assert supported < 60
    assert groups > 100


def test_crimes_have_as_many_people_as_in_st_louis(shared: Path, weeks: list[Handed]) -> None:
    with (shared / "data" / "stlouis_crime" / "involvements.csv").open(newline="") as handle:
        real = np.array(list(Counter(row["crime_id"] for row in csv.DictReader(handle)).values()))
    ours, _ = sizes_and_repeats(weeks, "crime")
    assert ours.mean() == pytest.approx(real.mean(), rel=0.1)
    assert ours.max() == real.max() == 18
    for quantile in (0.25, 0.5, 0.75, 0.9):
        assert abs(np.quantile(ours, quantile) - np.quantile(real, quantile)) <= 1


def test_meetings_have_as_many_people_as_the_summits(shared: Path) -> None:
    with (shared / "data" / "infinito_summits" / "attendance.csv").open(newline="") as handle:
        real = np.array(list(Counter(row["event_id"] for row in csv.DictReader(handle)).values()))
    ours = meeting_people(np.linspace(0, 1, 10_000, endpoint=False))
    assert (ours.min(), ours.max()) == (real.min(), real.max()) == (4, 25)
    assert ours.mean() == pytest.approx(real.mean(), rel=0.1)


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_a_week_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    plan = Plan(records=1_000, weeks=2, seed=1, monday=MONDAY)
    kept = tmp_path / "2025-W48" / "extract.json"
    kept.parent.mkdir()
    kept.write_text("{}")
    with pytest.raises(Conflict, match=r"sample extract 2025-W48 is already there: wanted a folder without it"):
        write(plan, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
    done = CliRunner().invoke(main, ["--records", "1000", "--weeks", "2", "--seed", "1", str(tmp_path)])
    assert done.exit_code == Conflict.exit_code
    assert "2025-W48" in done.output


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"records": 999}, "found 999 records, wanted 1000 to 10000000"),
        ({"records": 10_000_001}, "found 10000001 records"),
        ({"weeks": 0}, "found 0, wanted 1 to 400"),
        ({"weeks": 401}, "found 401, wanted 1 to 400"),
        ({"seed": -1}, "found -1, wanted 0 to"),
        ({"monday": date(2025, 11, 18)}, "found 2025-11-18, wanted a Monday"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        Plan(**{"records": 1_000, "weeks": 2, "seed": 1, "monday": MONDAY, **wrong})


@pytest.mark.parametrize("week", ["2025-W54", "2025-47", "2025-W53", "25-W01", "2025-W47-1"])
def test_a_first_week_that_does_not_exist_is_a_usage_error(tmp_path: Path, week: str) -> None:
    arguments = ["--records", "1000", "--weeks", "1", "--seed", "1", "--first-week", week, str(tmp_path)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert week in done.output


def test_the_command_reports_what_it_wrote(tmp_path: Path) -> None:
    arguments = ["--records", "1000", "--weeks", "2", "--seed", "1", "--first-week", "2020-W53", str(tmp_path)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    handed = _read(tmp_path)
    assert [week.label for week in handed] == ["2020-W53", "2021-W01"]
    nominals = {row["nominal_id"] for week in handed for row in week.tables["nominals"]}
    assert f"1,000 records of {len(nominals):,} nominals" in done.output
    assert not list(tmp_path.rglob(".*"))


def test_a_failure_half_way_leaves_no_extract(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(Plan(records=1_000, weeks=2, seed=1, monday=MONDAY), tmp_path, on_progress=stop)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
