"""The door: what is taken is taken unchanged, what is not is named by file, line and reason, and nothing is quoted."""

import csv
import io
import json
import shutil
import tempfile
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import extracts, moments, records
from provenance.errors import Malformed, shape
from provenance.records import TABLES

SYSTEMS = {"CRIME": ("crime", "custody"), "INTEL": ("intelligence",), "PRISON": ()}
CUT_OFF = "2026-07-14T10:00"

Rows = dict[str, list[dict[str, str]]]


def record(record_id: str, **cells: str) -> dict[str, str]:
    row = dict.fromkeys(records.RECORDS.names, "")
    row |= {"system": "CRIME", "record_id": record_id, "kind": "crime"}
    return row | {"occurred_at": "2026-07-01", "recorded_at": "2026-07-02T09:30"} | cells


def involvement(record_id: str, nominal_id: str, role: str = "suspect", **cells: str) -> dict[str, str]:
    return {"system": "CRIME", "record_id": record_id, "nominal_id": nominal_id, "role": role, "assessed": ""} | cells


def nominal(nominal_id: str, **cells: str) -> dict[str, str]:
    return dict.fromkeys(records.NOMINALS.names, "") | {"nominal_id": nominal_id} | cells


GRADED = {"grade_scheme": "5x5x5", "source_grade": "E", "assessment_grade": "4", "handling": "3"}


def sample() -> Rows:
    return {
        "records": [
            record("C-1", themes="SOC;CL", easting="0412345", northing="290000", mopi_group="2", status="open"),
            record("C-2", occurred_at="2026-07-01T23:10", kind="custody"),
            record("I-1", system="INTEL", kind="intelligence", conditions="Ask first,\nthen share", **GRADED),
        ],
        "involvements": [
            involvement("C-1", "N-1"),
            involvement("C-1", "N-2", "victim", assessed="fact"),
            involvement("C-2", "N-1", "arrested"),
            involvement("I-1", "N-3", "subject", system="INTEL", assessed="assessment"),
        ],
        "nominals": [nominal("N-1", name="Ann Other", born="1990-01-31", sex="F", ethnicity="W1", is_child="0")],
        "merges": [
            {"from_nominal": "N-2", "into_nominal": "N-1", "evidence": "prints", "by": "desk", "at": "2026-07-03T12:00"}
        ],
        "disposals": [
            {"what": "record", "system": "CRIME", "id": "C-0", "authority": "MOPI 4", "reason": "", "at": "2026-07-03"}
        ],
    }


def write(folder: Path, tables: Rows, form: str = "csv", **said) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        columns = TABLES[name].schema.names
        if form == "csv":
            with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as handle:
                sheet = csv.DictWriter(
                    handle, columns, lineterminator="\n", quoting=csv.QUOTE_ALL, extrasaction="raise"
                )
                sheet.writeheader()
                sheet.writerows(rows)
        else:
            pq.write_table(pa.Table.from_pylist(rows, TABLES[name].schema), folder / f"{name}.parquet")
    state(folder, tables, **said)
    return folder


def state(folder: Path, tables: Rows, **said) -> None:
    counts = {name: Counter(row["system"] for row in tables.get(name, [])) for name in ("records", "involvements")}
    systems = {
        system: {"watermark": "2026-07-14T09:00", **{name: counts[name][system] for name in counts}}
        for system in ("CRIME", "INTEL")
    }
    statement = {"cut_off": CUT_OFF, "mode": "full", "systems": systems} | said
    (folder / "extract.json").write_text(json.dumps(statement), encoding="utf-8")


def read(folder: Path) -> extracts.Extract:
    return extracts.read(folder, systems=SYSTEMS)


def content(extract: extracts.Extract) -> dict[str, list[dict[str, str]]]:
    return {name: getattr(extract, name).to_pylist() for name in TABLES}


def rejects(extract: extracts.Extract) -> list[tuple]:
    return [tuple(row.values()) for row in extract.rejects.to_pylist()]


@contextmanager
def refused(match: str):
    """Malformed with a message like `match`, and no other error behind it that could quote the file."""
    with pytest.raises(Malformed, match=match) as caught:
        yield
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


# ---- what is taken ---------------------------------------------------------------------------------------------------


def test_a_good_extract(tmp_path):
    told = []
    folder = write(tmp_path / "2026-W29", sample())
    extract = extracts.read(folder, systems=SYSTEMS, progress=lambda *step: told.append(step))
    assert (extract.name, extract.cut_off, extract.mode, extract.since) == (
        "2026-W29", "2026-07-14T09:00:00Z", "full", "",
    )  # fmt: skip
    assert extract.systems == {
        "CRIME": extracts.Stated("2026-07-14T08:00:00Z", 2, 3),
        "INTEL": extracts.Stated("2026-07-14T08:00:00Z", 1, 1),
    }
    assert extract.offered == {
        "records.csv": 3, "involvements.csv": 4, "nominals.csv": 1, "merges.csv": 1, "disposals.csv": 1,
    }  # fmt: skip
    assert rejects(extract) == []
    wanted = sample()
    wanted["records"][0] |= {"themes": "CL;SOC", "easting": "412345", "recorded_at": "2026-07-02T08:30:00Z"}
    wanted["records"][1] |= {"occurred_at": "2026-07-01T22:10:00Z", "recorded_at": "2026-07-02T08:30:00Z"}
    wanted["records"][2] |= {"recorded_at": "2026-07-02T08:30:00Z"}
    wanted["merges"][0]["at"] = "2026-07-03T11:00:00Z"
    wanted["disposals"][0]["at"] = "2026-07-02T23:00:00Z"
    assert content(extract) == wanted
    for name, table in TABLES.items():
        assert getattr(extract, name).schema == table.schema
    assert {what for what, _, _ in told} == {*extract.offered, "checks"}
    assert told[-1] == ("checks", 10, 10)


def test_csv_and_parquet_of_one_content_give_one_extract(tmp_path):
    tables = sample()
    tables["records"].append(record("C-3", kind="murder"))
    first = read(write(tmp_path / "a" / "week", tables))
    second = read(write(tmp_path / "b" / "week", tables, "parquet"))
    for field in ("name", "cut_off", "mode", "since", "systems", *TABLES):
        assert getattr(first, field) == getattr(second, field)
    assert rejects(first) == [
        ("records.csv", 6, "kind", "unknown-kind", "aaaaaa", f"one of {', '.join(records.KINDS)}")
    ]
    assert rejects(second) == [("records.parquet", 4, *rejects(first)[0][2:])]


def test_optional_files_may_be_absent(tmp_path):
    tables = {name: rows for name, rows in sample().items() if TABLES[name].required}
    extract = read(write(tmp_path / "w", tables))
    for name in ("nominals", "merges", "disposals"):
        assert getattr(extract, name).schema == TABLES[name].schema
        assert len(getattr(extract, name)) == 0
    assert set(extract.offered) == {"records.csv", "involvements.csv"}


def test_a_delta_says_what_it_follows(tmp_path):
    extract = read(write(tmp_path / "w", sample(), mode="delta", since="2026-07-07"))
    assert (extract.mode, extract.since) == ("delta", "2026-07-06T23:00:00Z")
    assert read(write(tmp_path / "v", sample(), mode="delta")).since == ""


def test_rows_come_out_in_one_order_and_once(tmp_path):
    tables = sample()
    merge, order = tables["merges"][0], tables["disposals"][0]
    tables["merges"] += [{**merge, "from_nominal": "N-0", "at": "2026-07-04"}, {**merge, "at": "2026-07-04"}]
    tables["disposals"] += [{**order, "what": "nominal", "system": "", "id": "N-7", "at": "2026-07-04"}]
    shuffled = {name: [*reversed(rows), rows[0]] for name, rows in tables.items()}
    first, second = read(write(tmp_path / "a", tables)), read(write(tmp_path / "b", shuffled))
    assert content(first) == content(second)
    assert rejects(second) == []
    assert second.offered["records.csv"] == 4
    assert [row["from_nominal"] for row in second.merges.to_pylist()] == ["N-2", "N-0", "N-2"]  # in time, not by name
    assert [row["id"] for row in second.disposals.to_pylist()] == ["C-0", "N-7"]


def test_parquet_types_come_to_the_text_that_csv_would_have(tmp_path):
    folder = write(tmp_path / "w", sample())
    (folder / "records.csv").unlink()
    (folder / "nominals.csv").unlink()
    london, utc = datetime(2026, 7, 1, 23, 10), datetime(2026, 7, 2, 8, 30, tzinfo=UTC)
    columns = {name: pa.array(["", "", ""]) for name in records.RECORDS.names} | {
        "system": pa.array(["CRIME", "CRIME", "INTEL"]).dictionary_encode(),
        "record_id": pa.array(["C-1", "C-2", "I-1"], pa.large_string()),
        "kind": pa.array(["crime", "custody", "intelligence"]),
        "occurred_at": pa.array([london, None, london], pa.timestamp("us")),
        "recorded_at": pa.array([utc, utc, utc + timedelta(milliseconds=5)], pa.timestamp("ms", tz="UTC")),
        "easting": pa.array([412345, None, -7], pa.int32()),
        "mopi_group": pa.array([1, 2, 9], pa.uint8()),
        "status": pa.nulls(3),
    }
    pq.write_table(pa.table(columns), folder / "records.parquet")
    people = {name: pa.array([""]) for name in records.NOMINALS.names} | {
        "nominal_id": pa.array([17]),
        "born": pa.array([date(1990, 1, 31)]),
        "is_child": pa.array([True]),
    }
    pq.write_table(pa.table(people), folder / "nominals.parquet")
    extract = read(folder)
    (row,) = extract.records.to_pylist()
    assert row["occurred_at"] == "2026-07-01T22:10:00Z"
    assert row["recorded_at"] == "2026-07-02T08:30:00Z"
    assert (row["easting"], row["mopi_group"], row["status"]) == ("412345", "1", "")
    assert [reject[:5] for reject in rejects(extract) if reject[0] == "records.parquet"] == [
        ("records.parquet", 2, "occurred_at", "empty-cell", ""),
        ("records.parquet", 3, "mopi_group", "unknown-mopi-group", "9"),
        ("records.parquet", 3, "recorded_at", "bad-date", "9999-99-99 99:99:99.999A"),
    ]
    assert extract.nominals.to_pylist() == [nominal("17", born="1990-01-31", is_child="1")]


@pytest.mark.parametrize("encode", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_a_byte_order_mark_and_windows_line_ends(tmp_path, encode):
    tables = sample()
    tables["records"][2]["conditions"] = ""
    plain, other = write(tmp_path / "a", tables), write(tmp_path / "b", tables)
    for path in other.glob("*.csv"):
        path.write_bytes(encode(path.read_text(encoding="utf-8")).encode())
    assert content(read(plain)) == content(read(other))


def test_moments_around_the_clock_changes(tmp_path):
    tables = sample()
    tables["records"] = [
        record("C-1", occurred_at="2025-10-26T01:30", recorded_at="2025-10-26T02:30"),
        record("C-2", occurred_at="2026-03-29T01:30", recorded_at="2026-03-29T02:30"),
        record("C-3", occurred_at="2026-03-29T01:30+00:00", recorded_at="2026-03-29"),
    ]
    tables["involvements"] = [involvement(f"C-{n}", "N-1") for n in (1, 2, 3)]
    extract = read(write(tmp_path / "w", tables))
    assert [(row["record_id"], row["occurred_at"], row["recorded_at"]) for row in extract.records.to_pylist()] == [
        ("C-1", "2025-10-26T00:30:00Z", "2025-10-26T02:30:00Z"),  # shown twice: the first of the two
        ("C-3", "2026-03-29T01:30:00Z", "2026-03-29T00:00:00Z"),
    ]
    assert [reject[:5] for reject in rejects(extract)] == [
        ("involvements.csv", 3, "record_id", "record-rejected", "A-9"),
        ("records.csv", 3, "occurred_at", "no-such-time", "9999-99-99A99:99"),
    ]


def test_what_is_odd_but_real_is_kept(tmp_path):
    tables = sample()
    tables["records"] += [
        record("C-5", occurred_at="2026-07-09", recorded_at="2026-07-02"),  # recorded before it happened
        record("C-6", occurred_at="2026-09-01", recorded_at="2026-07-14T10:00"),  # a planned event, at the cut-off
        record("C-7", grade_scheme="3x5x2", source_grade="1", assessment_grade="E", handling="C"),
        record("C-8", grade_scheme="3x5x2", source_grade="3", assessment_grade="A", handling="P", conditions="none"),
        record("C-9", grade_scheme="5x5x5", source_grade="A", assessment_grade="5"),
        record("C-10", themes="CL;CL", easting="-5", northing="-0", status="=1+1", conditions="a\r\nb\tc"),
    ]
    tables["involvements"] += [involvement(f"C-{n}", "N-1") for n in range(5, 11)]
    tables["involvements"] += [involvement("C-5", "N-1", "witness"), involvement("C-5", "N-1", "victim")]
    extract = read(write(tmp_path / "w", tables))
    assert rejects(extract) == []
    rows = {row["record_id"]: row for row in extract.records.to_pylist()}
    assert rows["C-8"]["conditions"] == "none"
    assert [rows["C-10"][column] for column in ("themes", "easting", "northing", "status", "conditions")] == [
        "CL", "-5", "0", "=1+1", "a\r\nb\tc",
    ]  # fmt: skip
    assert [row["role"] for row in extract.involvements.to_pylist() if row["record_id"] == "C-5"] == [
        "suspect", "victim", "witness",
    ]  # fmt: skip


def test_ten_thousand_people_in_one_record_are_read(tmp_path):
    """The cap on people per record is the link rule's, and reported there; the door takes what was handed over."""
    tables = sample()
    tables["involvements"] += [involvement("C-1", f"M-{n}") for n in range(10_000)]
    extract = read(write(tmp_path / "w", tables))
    assert len(extract.involvements) == 10_004
    assert rejects(extract) == []


# ---- rows that are not -----------------------------------------------------------------------------------------------

_ANY_OF = {name: f"one of {', '.join(getattr(records, name))}" for name in ("KINDS", "ROLES", "ASSESSED", "SCHEMES")}

BAD_CELLS = [
    ("records", "kind", "", "empty-cell", "", "a value"),
    ("records", "kind", "Crime", "unknown-kind", "Aaaaa", _ANY_OF["KINDS"]),
    ("records", "kind", "missing", "kind-not-of-system", "aaaaaaa", "one of crime, custody"),
    ("records", "occurred_at", "", "empty-cell", "", "a value"),
    ("records", "occurred_at", "2026-02-30", "bad-date", "9999-99-99", "YYYY-MM-DD or YYYY-MM-DDTHH:MM"),
    ("records", "occurred_at", "01/07/2026", "bad-date", "99/99/9999", "YYYY-MM-DD or YYYY-MM-DDTHH:MM"),
    ("records", "occurred_at", "2026-03-29T01:00", "no-such-time", "9999-99-99A99:99", "+HH:MM"),
    ("records", "recorded_at", "2026-07-14T10:00:01", "after-cut-off", "9999-99-99A99:99:99", "not after"),
    ("records", "themes", "SOC;DRUGS", "unknown-theme", "AAA;AAAAA", "SOC, CSE, CL, joined by ;"),
    ("records", "themes", "SOC;", "unknown-theme", "AAA;", "SOC, CSE, CL, joined by ;"),
    ("records", "grade_scheme", "4x4", "unknown-scheme", "9a9", _ANY_OF["SCHEMES"]),
    ("records", "source_grade", "A", "grade-without-scheme", "A", "a grade_scheme beside it"),
    ("records", "handling", "P", "grade-without-scheme", "A", "a grade_scheme beside it"),
    ("records", "easting", "412.5", "bad-coordinate", "999.9", "whole metres, as an integer"),
    ("records", "northing", "SK 1", "bad-coordinate", "AA 9", "whole metres, as an integer"),
    ("records", "mopi_group", "5", "unknown-mopi-group", "9", "one of 1, 2, 3, 4"),
    ("records", "status", "a\x1bb", "control-character", "a?a", "text"),
    ("records", "status", "a\x85b", "control-character", "a?a", "text"),
    ("records", "conditions", "a\rb", "control-character", "a?a", "text"),
    ("records", "conditions", "x" * 10_001, "cell-too-long", "a" * 24 + "…", "at most 10000 characters"),
    ("involvements", "nominal_id", "", "empty-cell", "", "a value"),
    ("involvements", "nominal_id", " N-1", "id-space", " A-9", "no space at either end"),
    ("involvements", "nominal_id", "N-1\u00a0", "id-space", "A-9?", "no space at either end"),
    ("involvements", "nominal_id", "N" * 201, "id-too-long", "A" * 24 + "…", "at most 200 characters"),
    ("involvements", "nominal_id", "N\x00", "control-character", "A?", "text"),
    ("involvements", "role", "", "empty-cell", "", "a value"),
    ("involvements", "role", "accused", "unknown-role", "aaaaaaa", _ANY_OF["ROLES"]),
    ("involvements", "assessed", "yes", "unknown-assessed", "aaa", _ANY_OF["ASSESSED"]),
    ("involvements", "system", "PRISON", "system-not-in-extract", "AAAAAA", "one of CRIME, INTEL"),
    ("involvements", "record_id", "C-99", "record-not-in-extract", "A-99", "a record of this extract"),
    ("involvements", "record_id", "I-1", "record-not-in-extract", "A-9", "a record of this extract"),  # of INTEL
    ("nominals", "nominal_id", "", "empty-cell", "", "a value"),
    ("nominals", "born", "1990-02-29", "bad-date", "9999-99-99", "YYYY-MM-DD"),
    ("nominals", "born", "1990-01-31T10:00", "bad-date", "9999-99-99A99:99", "YYYY-MM-DD"),
    ("nominals", "born", "2026-07-15", "after-cut-off", "9999-99-99", "a day not after"),
    ("nominals", "is_child", "N", "unknown-flag", "A", "one of 1, 0"),
    ("merges", "evidence", "", "empty-cell", "", "a value"),
    ("merges", "into_nominal", "N-2", "merge-into-itself", "A-9", "another nominal, or split"),
    ("merges", "at", "2026-07-15", "after-cut-off", "9999-99-99", "not after"),
    ("disposals", "what", "person", "unknown-what", "aaaaaa", "one of nominal, record"),
    ("disposals", "system", "", "empty-cell", "", "the record's system"),
    ("disposals", "system", "OTHER", "unknown-system", "AAAAA", "one of CRIME, INTEL, PRISON"),
    ("disposals", "authority", "", "empty-cell", "", "a value"),
    ("disposals", "at", "soon", "bad-date", "aaaa", "YYYY-MM-DD"),
]


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(("table", "column", "value", "reason", "found", "wanted"), BAD_CELLS)
def test_a_bad_cell_is_named_and_its_row_left_out(tmp_path, form, table, column, value, reason, found, wanted):
    """The row is added to good ones, which stay."""
    tables = sample()
    fresh = {"records": record("C-9"), "involvements": involvement("C-1", "N-9"), "nominals": nominal("N-9", sex="F")}
    row = {**fresh.get(table, tables[table][0]), column: value}
    tables[table].append(row)
    before = content(read(write(tmp_path / "a" / "w", sample(), form)))
    extract = read(write(tmp_path / "b" / "w", tables, form))
    assert content(extract) == before
    line = len(tables[table]) + (0 if form == "parquet" else 1 + (table == "records"))  # I-1 has two lines
    (named,) = [reject for reject in rejects(extract) if reject[2] == column]
    assert named[:5] == (f"{table}.{form}", line, column, reason, found)
    assert wanted in named[5]
    assert extract.offered[f"{table}.{form}"] == len(tables[table])


@pytest.mark.parametrize("name", records.SCHEMES)
@pytest.mark.parametrize("column", ["source_grade", "assessment_grade", "handling"])
def test_codes_are_those_of_their_scheme(tmp_path, name, column):
    """Every code of both schemes, and none, in each place of each scheme: 5x5x5 has no source 1, 3x5x2 no source E."""
    scheme, part = records.SCHEMES[name], column.removesuffix("_grade")
    good = {"grade_scheme": name, "source_grade": scheme.source[0], "assessment_grade": scheme.assessment[0]}
    codes = ["1", "2", "3", "4", "5", "6", "A", "B", "C", "D", "E", "F", "P", "a", ""]
    rows = [record(f"G-{place:02}", **{**good, column: code}) for place, code in enumerate(codes)]
    people = [involvement(row["record_id"], "N-1") for row in rows]
    extract = read(write(tmp_path / "w", {"records": rows, "involvements": people}))
    taken = [row[column] for row in extract.records.to_pylist()]
    assert taken == [c for c in codes if c in getattr(scheme, part) or (c == "" and part == "handling")]
    reasons = {reject[3] for reject in rejects(extract) if reject[0] == "records.csv" and reject[4]}
    assert reasons == {"unknown-handling" if part == "handling" else "unknown-grade"}
    empty = [reject[2:4] for reject in rejects(extract) if reject[0] == "records.csv" and not reject[4]]
    assert empty == ([] if part == "handling" else [(column, "grade-missing")])


def test_a_repeated_id_with_another_content_takes_no_side(tmp_path):
    tables = sample()
    tables["records"] += [record("C-1", status="closed"), record("C-2", occurred_at="2026-07-01T23:10", kind="custody")]
    tables["nominals"] += [nominal("N-1", name="Another"), nominal("N-2"), nominal("N-2")]
    extract = read(write(tmp_path / "w", tables))
    assert [row["record_id"] for row in extract.records.to_pylist()] == ["C-2", "I-1"]
    assert [row["nominal_id"] for row in extract.nominals.to_pylist()] == ["N-2"]
    assert [reject[:5] for reject in rejects(extract)] == [
        ("involvements.csv", 2, "record_id", "record-rejected", "A-9"),
        ("involvements.csv", 3, "record_id", "record-rejected", "A-9"),
        ("nominals.csv", 2, "nominal_id", "repeated-id", "A-9"),
        ("nominals.csv", 3, "nominal_id", "repeated-id", "A-9"),
        ("records.csv", 2, "record_id", "repeated-id", "A-9"),
        ("records.csv", 6, "record_id", "repeated-id", "A-9"),
    ]


def test_rows_are_compared_only_once_their_own_cells_are_right(tmp_path):
    tables = sample()
    tables["nominals"] += [nominal("", name="One"), nominal("", name="Two")]
    tables["involvements"].append(involvement("C-99", "N-1", "bystander"))
    assert [reject[:4] for reject in rejects(read(write(tmp_path / "w", tables)))] == [
        ("involvements.csv", 6, "role", "unknown-role"),
        ("nominals.csv", 3, "nominal_id", "empty-cell"),
        ("nominals.csv", 4, "nominal_id", "empty-cell"),
    ]


def test_one_id_in_two_systems_is_two_records(tmp_path):
    tables = sample()
    tables["records"].append(record("C-1", system="INTEL", kind="intelligence"))
    tables["involvements"].append(involvement("C-1", "N-1", system="INTEL"))
    extract = read(write(tmp_path / "w", tables))
    assert rejects(extract) == []
    assert len(extract.records) == 4


def test_the_same_moment_in_two_spellings_is_the_same_row(tmp_path):
    tables = sample()
    tables["records"].append({**tables["records"][0], "themes": "CL;SOC", "recorded_at": "2026-07-02T08:30:00Z"})
    extract = read(write(tmp_path / "w", tables))
    assert rejects(extract) == []
    assert len(extract.records) == 3


def test_a_record_with_nobody_in_it(tmp_path):
    tables = sample()
    tables["records"] += [record("C-7"), record("C-8")]
    tables["involvements"].append(involvement("C-8", "N-1", "bystander"))
    extract = read(write(tmp_path / "w", tables))
    assert content(extract) == content(read(write(tmp_path / "v", sample())))
    assert [reject[:5] for reject in rejects(extract)] == [
        ("involvements.csv", 6, "role", "unknown-role", "aaaaaaaaa"),
        ("records.csv", 6, "record_id", "nobody-in-record", "A-9"),
        ("records.csv", 7, "record_id", "nobody-in-record", "A-9"),
    ]


def test_a_record_of_a_system_that_was_not_announced(tmp_path):
    tables = sample()
    tables["records"].append(record("P-1", system="PRISON", kind="prison_release"))
    extract = read(write(tmp_path / "w", tables))
    assert [reject[:5] for reject in rejects(extract)] == [
        ("records.csv", 6, "system", "system-not-in-extract", "AAAAAA")
    ]


def test_lines_are_those_of_an_editor(tmp_path):
    """Quoted line ends, blank lines and ragged rows are counted; Python's reader is the twin."""
    folder = write(tmp_path / "w", sample())
    records_csv = folder / "records.csv"
    lines = records_csv.read_text(encoding="utf-8").split("\n")
    noise = ['"CRIME","a\nb","c"', "", ",".join([""] * 17), "short"]
    bad = [",".join(record(f"X-{n}", kind=f"k{n}").values()) for n in range(3)]
    several = ",".join(record("X-3", kind="k3", status='"one\ntwo\r\nthree"').values())
    records_csv.write_text("\n".join([lines[0], bad[0], *noise, several, bad[1], *lines[1:], bad[2]]), newline="")
    state(folder, {**sample(), "records": [*sample()["records"], *(record(f"X-{n}") for n in range(4))]})
    extract = read(folder)
    with open(records_csv, encoding="utf-8", newline="") as handle:
        sheet, starts, before = csv.reader(handle), {}, 0
        for row in sheet:
            starts[before + 1], before = row, sheet.line_num
    wanted = [  # the record of kind k3 has line ends within quotes, so the lines below it tell
        (line, "" if len(row) != 17 else "kind", "ragged-row" if len(row) != 17 else "unknown-kind")
        for line, row in starts.items()
        if any(row) and line > 1 and (len(row) != 17 or row[2].startswith("k"))
    ]
    assert len(wanted) == 6
    assert [reject[1:4] for reject in rejects(extract)] == wanted
    ragged = next(reject for reject in rejects(extract) if reject[3] == "ragged-row")
    assert ragged[4:] == ("3 cells", "17 cells")
    assert extract.offered["records.csv"] == 9  # two blank lines are no rows
    assert len(extract.records) == 3


def test_the_rejects_as_a_report(tmp_path):
    tables = sample()
    tables["nominals"].append(nominal("=cmd|'/c calc'!A1 ", is_child="@x"))
    report = extracts.rejects_csv(read(write(tmp_path / "w", tables)).rejects)
    assert list(csv.reader(io.StringIO(report.decode()))) == [
        ["file", "line", "column", "reason", "found", "wanted"],
        ["nominals.csv", "3", "is_child", "unknown-flag", "?a", "one of 1, 0"],
        ["nominals.csv", "3", "nominal_id", "id-space", "?aaa??/a aaaa??A9 ", "no space at either end"],
    ]
    assert extracts.rejects_csv(extracts.REJECTS.empty_table()).count(b"\n") == 1


@settings(deadline=None)
@given(st.lists(st.text(max_size=40)))
def test_forms_are_those_of_shape(texts):
    assert extracts._shapes(pa.chunked_array([texts, []], pa.string())).to_pylist() == [shape(text) for text in texts]


# ---- whole files -----------------------------------------------------------------------------------------------------


def test_a_missing_folder_or_statement(tmp_path):
    with refused(r"^no such extract: nowhere is not a folder, wanted one with extract\.json in it$"):
        read(tmp_path / "nowhere")
    with refused(r"^extract\.json is missing in "):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"^extract\.json is not JSON: the fault is in line 1, column 1, wanted UTF-8 text"),
        ('{"cut_off": ', r"^extract\.json is not JSON: the fault is in line 1, column 13"),
        ('{"mode": "full", "mode": "delta"}', r"^extract\.json is not JSON: the fault is in the text.* each key once$"),
        ("[" * 100_000, r"^extract\.json is not JSON"),
        ("9" * 5_000, r"^extract\.json is not JSON"),
        (b"\xff\xfe{", r"^extract\.json is not JSON: the fault is in the text, wanted UTF-8"),
        ("[]", r"^extract\.json holds no object: found a list$"),
        ("{}", r"^extract\.json: mode is nothing, wanted full or delta$"),
    ],
)
def test_a_statement_that_is_not_json(tmp_path, text, match):
    folder = write(tmp_path / "w", sample())
    (folder / "extract.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with refused(match):
        read(folder)


def _system(**said):
    return {"CRIME": {"watermark": "2026-07-14T09:00", "records": 3, "involvements": 4} | said}


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"mode": "weekly"}, r"^extract\.json: mode is aaaaaa, wanted full or delta$"),
        ({"mode": ["full"]}, r"^extract\.json: mode is a list, wanted"),
        ({"cutoff": "x"}, r"^extract\.json: a key is not known: found 1 \(aaaaaa\), wanted only cut_off, mode"),
        ({"cut_off": "soon"}, r"^extract\.json: cut_off is aaaa: no moment: found aaaa, wanted YYYY"),
        ({"cut_off": None}, r"^extract\.json: cut_off is nothing: no moment"),
        ({"cut_off": 20260714}, r"^extract\.json: cut_off is a number: no moment"),
        ({"cut_off": "2025-10-26T01:30"}, r"^extract\.json: cut_off is .* show twice .* say \+01:00 or \+00:00$"),
        ({"since": "2026-07-07"}, r"^extract\.json: since is given in a full extract, wanted in a delta only$"),
        (
            {"mode": "delta", "since": "2026-07-14T10:00"},
            r"^extract\.json: since is 2026-07-14T09:00:00Z, wanted a moment before the cut_off 2026-07-14T09:00:00Z$",
        ),
        ({"systems": {}}, r"^extract\.json: systems is nothing, wanted an object with at least one system$"),
        ({"systems": ["CRIME"]}, r"^extract\.json: systems is a list, wanted an object"),
        (
            {"systems": {"Crime": {}}},
            r"^extract\.json: a system is not known: found Aaaaa, wanted one of CRIME, INTEL, PRISON$",
        ),
        ({"systems": {"CRIME": 3}}, r"^extract\.json, system CRIME: found a number, wanted an object$"),
        (
            {"systems": {"CRIME": {"watermark": "2026-07-14"}}},
            r"^extract\.json, system CRIME: a key is missing: wanted records, involvements$",
        ),
        ({"systems": _system(rows=1)}, r"^extract\.json, system CRIME: a key is not known: found 1 \(aaaa\)"),
        ({"systems": _system(watermark="")}, r"^extract\.json: watermark of CRIME is nothing: no moment"),
        (
            {"systems": _system(watermark="2026-07-14T10:01")},
            r"system CRIME: watermark is 2026-07-14T09:01:00Z, wanted at most the cut_off 2026-07-14T09:00:00Z$",
        ),
        ({"systems": _system(records=-1)}, r"system CRIME: records is a number, wanted a count of rows$"),
        ({"systems": _system(records=True)}, r"system CRIME: records is true or false, wanted a count of rows$"),
        ({"systems": _system(involvements="4")}, r"system CRIME: involvements is 9, wanted a count of rows$"),
    ],
)
def test_a_statement_that_says_something_else(tmp_path, said, match):
    with refused(match):
        read(write(tmp_path / "w", sample(), **said))


@pytest.mark.parametrize("key", ["cut_off", "systems"])
def test_a_statement_that_leaves_something_out(tmp_path, key):
    folder = write(tmp_path / "w", sample())
    said = json.loads((folder / "extract.json").read_text())
    del said[key]
    (folder / "extract.json").write_text(json.dumps(said))
    with refused(rf"^extract\.json: a key is missing: wanted {key}$"):
        read(folder)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"records": 4}, r"^row counts differ in records\.csv: found 3 of system CRIME, extract\.json states 4$"),
        ({"records": 2}, r"^row counts differ in records\.csv: found 3 of system CRIME, extract\.json states 2$"),
        (
            {"involvements": 9},
            r"^row counts differ in involvements\.csv: found 5 of system CRIME, extract\.json states 9$",
        ),
    ],
)
def test_counts_that_differ(tmp_path, change, match):
    tables = sample()
    for name in ("records", "involvements"):
        tables[name] = [
            {**row, "system": "CRIME", **({"kind": "crime"} if name == "records" else {})} for row in tables[name]
        ]
    tables["involvements"].append(involvement("C-1", "N-5"))
    right = {"records": 3, "involvements": 5}
    assert rejects(read(write(tmp_path / "v", tables, systems=_system(**right)))) == []
    with refused(match):
        read(write(tmp_path / "w", tables, systems=_system(**right | change)))


def test_a_ragged_row_may_be_the_one_that_is_lacking(tmp_path):
    folder = write(tmp_path / "w", sample())
    path = folder / "involvements.csv"
    lines = path.read_text().splitlines()
    lines[2] += ",one more"
    path.write_text("\n".join(lines))
    extract = read(folder)
    assert rejects(extract) == [("involvements.csv", 3, "", "ragged-row", "6 cells", "5 cells")]
    assert extract.offered["involvements.csv"] == 4
    del lines[4]
    path.write_text("\n".join(lines))
    with refused(
        r"^row counts differ in involvements\.csv: found \d of system (CRIME|INTEL), extract\.json states \d$"
    ):
        read(folder)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_missing_doubled_or_unknown(tmp_path, form):
    folder = write(tmp_path / "w", sample(), form)
    moved = (folder / f"records.{form}").rename(folder / "kept")
    with refused(r"^a file is missing in the extract: wanted records\.csv or records\.parquet$"):
        read(folder)
    moved.rename(folder / f"records.{form}")
    (folder / "merges.csv").touch()
    (folder / "merges.parquet").touch()
    with refused(r"^two files for one table: found merges\.csv and merges\.parquet, wanted one of them$"):
        read(folder)
    (folder / "merges.parquet").rename(folder / "Merge.CSV")
    with refused(r"^a file is not known in the extract: found Aaaaa\.AAA, wanted records, involvements"):
        read(folder)


def _edit(folder: Path, edit, name: str = "records.csv") -> Path:
    path = folder / name
    path.write_bytes(edit(path.read_bytes()))
    return folder


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda data: b"", r"^an empty file: records\.csv has no bytes, wanted a header$"),
        (lambda data: data.replace(b',"kind"', b"", 1), r"^a column is missing in records\.csv: wanted kind$"),
        (
            lambda data: data.replace(b'"kind"', b'"Kind "', 1),
            r"^a column is not known in records\.csv: found 1 \(Aaaa \), wanted only system, .*; missing: kind$",
        ),
        (
            lambda data: data.replace(b"\n", b',"surname"\n', 1),
            r"^a column is not known in records\.csv: found 1 \(aaaaaaa\), wanted only system, .*, status$",
        ),
        (
            lambda data: data.split(b"\n", 1)[1],
            r"^a column is not known in records\.csv: found 17 \(AAAAA, A-9, aaaaa, 9999-99-99, 9999-99-99A99:99, …\), "
            r".*missing: system, .*; is the first line the header\?$",
        ),
        (lambda data: data.replace(b'","', b'";"'), r"^a quote out of place: records\.csv at line 1, wanted quotes"),
        (lambda data: data.replace(b'"', b"").replace(b",", b";"), r"^a column is not known in records\.csv: found 1 "),
        (
            lambda data: data.replace(b"\n", b',"kind"\n', 1),
            r"^a column is repeated in records\.csv: found kind more than once, wanted it once$",
        ),
        (lambda data: b"\n" + data, r"^a column is missing in records\.csv: wanted system, "),
        (
            lambda data: data.replace(b"Ask first", b"Ask \xe9"),
            r"^not UTF-8: records\.csv at line 4, wanted UTF-8 text$",
        ),
        (lambda data: data + b"\xc3", r"^not UTF-8: records\.csv at line 6, wanted UTF-8 text$"),
        (lambda data: data.decode().encode("utf-16"), r"^not UTF-8: records\.csv at line 1"),
        (lambda data: data.replace(b'"C-2"', b'"C-2'), r"^a quote out of place: records\.csv at line 3"),
        (lambda data: data.replace(b'"Ask', b'"Ask "now"'), r"^a quote out of place: records\.csv at line 4"),
        (lambda data: data.replace(b'"C-2"', b'x"C-2"'), r"^a quote out of place: records\.csv at line 3"),
        (lambda data: data[:-2], r"^a quote is never closed: records\.csv, wanted one at the end of the cell"),
    ],
)
def test_a_csv_file_that_is_not_one(tmp_path, edit, match):
    with refused(match):
        read(_edit(write(tmp_path / "w", sample()), edit))


def test_faults_are_found_across_the_slices_of_a_scan(tmp_path, monkeypatch):
    """The same lines and faults whatever the size of the slices, down to one byte."""
    good = write(tmp_path / "good", sample())
    _edit(good, lambda data: data.replace(b"Ask first", 'Ask ""é""'.encode()))
    bad = write(tmp_path / "bad", sample())
    _edit(bad, lambda data: data.replace(b"then share", "ééé€€€".encode() + b"\xff\n\n\n"))
    stray = _edit(write(tmp_path / "stray", sample()), lambda data: data.replace(b'"C-2"', b'"C-2" '))
    wanted = content(read(good))
    assert wanted["records"][2]["conditions"].startswith('Ask "é",')
    for size in (*range(1, 24), 1 << 20):
        monkeypatch.setattr(extracts, "_SLICE", size)
        assert content(read(good)) == wanted
        with refused(r"^not UTF-8: records\.csv at line 5"):
            read(bad)
        with refused(r"^a quote out of place: records\.csv at line 3"):
            read(stray)


def test_a_row_longer_than_the_reader_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(extracts, "_BLOCK", 512)
    tables = sample()
    tables["records"][0]["conditions"] = "x" * 2_000
    with refused(r"^a CSV file cannot be read: records\.csv, wanted rows of at most 0 MiB$"):
        read(write(tmp_path / "w", tables))


def test_headers_alone(tmp_path):
    for name, end in (("a", b""), ("b", b"\n")):
        folder = write(tmp_path / name, {"records": [], "involvements": []})
        for file in ("records.csv", "involvements.csv"):
            _edit(folder, lambda data, end=end: data.rstrip(b"\n") + end, file)
        assert read(folder).offered == {"records.csv": 0, "involvements.csv": 0}


@pytest.mark.parametrize("keep", [0, 3, 4, 100, -4, -40])
def test_a_torn_parquet_file(tmp_path, keep):
    folder = write(tmp_path / "w", sample(), "parquet")
    size = (folder / "records.parquet").stat().st_size
    left = keep if keep >= 0 else size + keep
    with refused(rf"^a Parquet file is torn: records\.parquet has {left} bytes, wanted a whole Parquet file$"):
        read(_edit(folder, lambda data: data[:left], "records.parquet"))


def test_a_parquet_file_with_damaged_pages(tmp_path):
    folder = write(tmp_path / "w", sample(), "parquet")
    with refused(r"^a Parquet file is damaged: records\.parquet cannot be read to its end"):
        read(_edit(folder, lambda data: data[:4] + b"\xff" * 64 + data[68:], "records.parquet"))


def test_any_changed_byte_of_a_parquet_file_is_read_or_refused(tmp_path):
    """Arrow fails in many ways on a damaged footer; none of them comes through."""
    folder = write(tmp_path / "w", sample(), "parquet")
    path = folder / "nominals.parquet"
    data = path.read_bytes()
    faults = []
    for place in range(0, len(data), 11):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x80]) + data[place + 1 :])
        try:
            read(folder)
        except Malformed as error:
            faults.append(error)
    assert {"a Parquet file is torn", "a Parquet file is damaged"} <= {str(error).split(":")[0] for error in faults}
    assert all(error.__context__ is None for error in faults)


def test_parquet_pages_are_checked_where_the_writer_left_sums(tmp_path):
    folder = write(tmp_path / "w", sample(), "parquet")
    path = folder / "involvements.parquet"
    pq.write_table(pq.read_table(path), path, compression="none", write_page_checksum=True)
    with refused(r"^a Parquet file is damaged: involvements\.parquet"):
        read(_edit(folder, lambda data: data.replace(b"N-3", b"N-2", 1), path.name))


def test_parquet_text_that_is_not_utf8(tmp_path):
    folder = write(tmp_path / "w", sample(), "parquet")
    table = pq.read_table(folder / "involvements.parquet")
    raw = pa.array([b"N-1", b"\xff", b"N-1", b"N-3"]).view(pa.string())
    pq.write_table(table.set_column(2, "nominal_id", raw), folder / "involvements.parquet")
    with refused(r"^a Parquet file is damaged: involvements\.parquet .* UTF-8 text$"):
        read(folder)


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (pa.array([1.0, 2.0, 3.0]), "double"),
        (pa.array([b"1", b"2", b"3"]), "binary"),
        (pa.array([[1], [2], [3]]), "list"),
        (pa.array([{"Mary": 1}] * 3), "struct"),
        (pa.array([Decimal(1)] * 3), "decimal128"),
    ],
)
def test_parquet_types_that_are_refused(tmp_path, cells, found):
    folder = write(tmp_path / "w", sample(), "parquet")
    table = pq.read_table(folder / "records.parquet")
    place = table.column_names.index("easting")
    pq.write_table(table.set_column(place, "easting", cells), folder / "records.parquet")
    wanted = "wanted text, integer, date, timestamp or boolean"
    with refused(rf"^a column has the wrong type in records\.parquet: easting is {found}, {wanted}$"):
        read(folder)


def test_parquet_columns(tmp_path):
    folder = write(tmp_path / "w", sample(), "parquet")
    table = pq.read_table(folder / "records.parquet")
    for changed, match in (
        (table.drop_columns(["kind"]), r"^a column is missing in records\.parquet: wanted kind$"),
        (table.append_column("kind", table["kind"]), r"^a column is repeated in records\.parquet: found kind"),
        (table.append_column("Smith", table["kind"]), r"^a column is not known in records\.parquet: found 1 \(Aaaaa\)"),
    ):
        pq.write_table(changed, folder / "records.parquet")
        with refused(match):
            read(folder)


def test_reading_writes_nothing(tmp_path):
    folder = write(tmp_path / "w", sample())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    read(folder)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


# ---- hostile text ----------------------------------------------------------------------------------------------------

_HOSTILE = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "", "=HYPERLINK(1)", "@x", "+1", "-1", '"', '""', ",", "a,b", "'; DROP TABLE records; --", "NULL", "NaN",
            "null", "\x00", "a\x00b", "\n", "\r\n", "\r", "a\nb", "\t", " ", "\u202eevil", "\u200f", "\ufeff",
            "\U0001f600", "e\u0301", "é", "\u2028", "x" * 10_000, "x" * 10_001, "\x1f", "\x7f", "\x9f", "%s{0}",
            "../../etc", "<b>",
        ]
    ),
)  # fmt: skip


@st.composite
def hostile(draw) -> Rows:
    """Good rows with hostile text in some cells, any cell."""
    tables = sample()
    for name, rows in tables.items():
        for row in [*rows, *rows]:
            if draw(st.booleans()):
                row[draw(st.sampled_from(TABLES[name].schema.names))] = draw(_HOSTILE)
    return tables


@settings(deadline=None)
@given(hostile())
def test_hostile_text_survives_unchanged_or_is_rejected(tables):
    base = Path(tempfile.mkdtemp())
    try:
        first, second = (read(write(base / form / "w", tables, form)) for form in ("csv", "parquet"))
    finally:
        shutil.rmtree(base)
    assert content(first) == content(second)
    assert [row[2:] for row in rejects(first)] == [row[2:] for row in rejects(second)]
    for name, rows in tables.items():
        rejected = {row["line"] for row in second.rejects.to_pylist() if row["file"] == f"{name}.parquet"}
        taken = [row for line, row in enumerate(filter(lambda row: any(row.values()), rows), 1) if line not in rejected]
        kept = getattr(first, name).to_pylist()
        free = [c for c in TABLES[name].schema.names if c not in ("occurred_at", "recorded_at", "at", "themes")]
        free = [c for c in free if c not in ("easting", "northing")]
        assert {tuple(row[c] for c in free) for row in taken} == {tuple(row[c] for c in free) for row in kept}
        for row in kept:
            for column, cell in row.items():
                assert len(cell) <= records.MAX_CELL
                assert not any((ord(c) < 32 and c not in "\t\r\n") or 127 <= ord(c) < 160 for c in cell)
                assert cell or column not in TABLES[name].filled


# ---- nothing personal in a message -----------------------------------------------------------------------------------

MARKER = "Zq7Mrkx"


def _said(error: BaseException | None) -> str:
    """Everything an exception could print: its own text, and that of each error behind it."""
    if error is None:
        return ""
    return f"{error} {error!r} {error.args}" + _said(error.__cause__) + _said(error.__context__)


def _break(kind: str, folder: Path, name: str, form: str) -> None:
    path = folder / f"{name}.{form}"
    data = path.read_bytes()
    if kind == "torn":
        path.write_bytes(data[: len(data) * 2 // 3])
    elif kind == "bytes":
        path.write_bytes(data.replace(MARKER.encode(), MARKER.encode() + b"\xff"))
    elif kind == "quote":
        path.write_bytes(data.replace(MARKER.encode(), MARKER.encode() + b'"'))
    elif kind == "headless":
        path.write_bytes(data.split(b"\n", 1)[1])
    elif kind == "ragged":
        path.write_bytes(data.replace(MARKER.encode() + b'"', MARKER.encode() + b'","' + MARKER.encode() + b'"'))
    elif kind == "count":
        state(folder, {})
    elif kind == "type":
        table = pq.read_table(path)
        for place, column in enumerate(table.column_names):
            if table[column].to_pylist().count(MARKER):
                cells = pa.array([[cell] for cell in table[column].to_pylist()])
                pq.write_table(table.set_column(place, column, cells), path)


CELLS = [(name, column) for name, table in TABLES.items() for column in table.schema.names]


@pytest.mark.parametrize(
    ("form", "kind"),
    [("csv", k) for k in ("none", "torn", "bytes", "quote", "headless", "ragged", "count")]
    + [("parquet", k) for k in ("none", "torn", "bytes", "type", "count")],
)
def test_no_cell_is_quoted_in_an_error_or_a_reject(tmp_path, form, kind):
    """The marker stands in every cell in turn, alone and beside a cell that is wrong."""
    outcomes = Counter()
    for name, column in CELLS:
        tables = sample()
        row = {**tables[name][0], column: MARKER}
        tables[name] += [
            row,
            {**row, TABLES[name].filled[0]: ""},
            {**row, "record_id": ""} if "record_id" in row else row,
        ]
        folder = write(tmp_path / f"{name}-{column}", tables, form)
        _break(kind, folder, name, form)
        try:
            outcome = extracts.rejects_csv(read(folder).rejects).decode()
            outcomes["read"] += 1
        except Malformed as error:
            outcome = _said(error)
            outcomes["refused"] += 1
        assert MARKER.lower() not in outcome.lower()
    assert outcomes == {"read": len(CELLS)} if kind in ("none", "ragged") else outcomes["refused"]


@pytest.mark.parametrize(
    "change",
    [
        lambda said: {MARKER: 1, **said},
        lambda said: {**said, "mode": MARKER},
        lambda said: {**said, "cut_off": MARKER},
        lambda said: {**said, "mode": "delta", "since": MARKER},
        lambda said: {**said, "systems": {MARKER: {}}},
        lambda said: {**said, "systems": {"CRIME": {MARKER: 1, "watermark": "", "records": 1, "involvements": 1}}},
        lambda said: {**said, "systems": _system(watermark=MARKER)},
        lambda said: {**said, "systems": _system(records=MARKER)},
    ],
)
def test_the_statement_is_not_quoted_either(tmp_path, change):
    folder = write(tmp_path / "w", sample())
    said = json.dumps(change(json.loads((folder / "extract.json").read_text())))
    for text in (said, said[:-1], said.replace(MARKER, MARKER + "\\ud800"), said + MARKER):
        (folder / "extract.json").write_text(text)
        with pytest.raises(Malformed) as caught:
            read(folder)
        assert MARKER.lower() not in _said(caught.value).lower()


def test_headers_and_file_names_are_not_quoted(tmp_path):
    folder = _edit(write(tmp_path / "w", sample()), lambda data: data.replace(b"kind", MARKER.encode(), 1))
    with pytest.raises(Malformed) as caught:
        read(folder)
    assert MARKER.lower() not in _said(caught.value).lower()
    (folder / f"{MARKER}.csv").touch()
    with pytest.raises(Malformed, match=r"^a file is not known") as caught:
        read(folder)
    assert MARKER.lower() not in _said(caught.value).lower()


def test_every_moment_of_the_tables_is_brought_to_utc(tmp_path):
    """The column reading is that of `moments`; here, that no time column was forgotten."""
    extract = read(write(tmp_path / "w", sample()))
    for name, columns in {"records": ["recorded_at"], "merges": ["at"], "disposals": ["at"]}.items():
        for column in columns:
            for text in getattr(extract, name)[column].to_pylist():
                assert moments.utc(moments.parse(text)) == text
                assert text.endswith("Z")
