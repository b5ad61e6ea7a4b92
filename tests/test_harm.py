"""A harm table is whole weights per code, pinned; harm breaks down by record and edition, and is never added across."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow.compute as pc
import pytest
from force import PARAMS, Force, record, surroundings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources import harm_weights
from provenance import builds, disposal, harm, params, verify
from provenance.errors import Malformed, Missing, Tampered

HEAD = "offence_code,offence,days,expired\n"
ILLUSTRATIVE = Path(__file__).parent.parent / "harm" / "illustrative.csv"


def table(tmp_path: Path, rows: str, head: str = HEAD) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(head + rows, "utf-8")
    return path


def test_a_table_is_read_in_the_order_of_its_codes(tmp_path):
    path = table(tmp_path, '49,"Theft, other",3,\n19C,Rape,2400,\n62,Old offence,9,yes\n')
    read = harm.read(path, "trial")
    assert read.rows.to_pylist() == [
        {"offence_code": "19C", "offence": "Rape", "weight": 2400, "expired": False},
        {"offence_code": "49", "offence": "Theft, other", "weight": 3, "expired": False},
        {"offence_code": "62", "offence": "Old offence", "weight": 9, "expired": True},
    ]
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert harm.read(path, "trial", read.sha256) == read


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("49,Theft,3.5,\n", "days are not whole days from 0 to 36525: t.csv, line 2: found '3.5'"),
        ("49,Theft,3.0,\n", "found '3.0'"),
        ("49,Theft,-3,\n", "found '-3'"),
        ("49,Theft,,\n", "found ''"),
        ("49,Theft,1e3,\n", "found '1e3'"),
        ("49,Theft,٣,\n", "found '٣'"),
        ("49,Theft,007,\n", "found '007'"),
        ("49,Theft,36526,\n", "found '36526'"),
        ("49,Theft,3,\n45,Theft,4,\n49,Theft,3,\n", "code stands twice: t.csv, line 4: found 49"),
        (",Theft,3,\n", "code is empty or padded: t.csv, line 2"),
        (" 49,Theft,3,\n", "code is empty or padded: t.csv, line 2: found ' 49'"),
        ("49,Theft,3,perhaps\n", "expired is yes or empty: t.csv, line 2: found 'perhaps'"),
        ("49,Theft,3\n", "row is torn: t.csv, line 2: found 3 cells, wanted 4"),
        ("49,Theft, home,3,\n", "row is torn: t.csv, line 2: found 5 cells, wanted 4"),
        ('49,"Theft,3,\n', "is not CSV in UTF-8: t.csv"),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, says):
    with pytest.raises(Malformed) as caught:
        harm.read(table(tmp_path, rows), "trial")
    assert str(caught.value).startswith("harm table ")
    assert says in str(caught.value)


def test_a_whole_file_fault_is_named(tmp_path):
    with pytest.raises(Malformed, match="found code, days, wanted offence_code, offence, days, expired"):
        harm.read(table(tmp_path, "", "code,days\n"), "trial")
    with pytest.raises(Malformed, match="an empty file"):
        harm.read(table(tmp_path, "", ""), "trial")
    with pytest.raises(Missing, match=r"edition trial, wanted absent.csv"):
        harm.read(tmp_path / "absent.csv", "trial")


def test_another_file_than_the_pinned_one_is_refused(tmp_path):
    path = table(tmp_path, "49,Theft,3,\n")
    pinned = harm.read(path, "trial").sha256
    path.write_text(HEAD + "49,Theft,4,\n")
    with pytest.raises(Tampered, match=f"edition trial, t.csv is [0-9a-f]+, pinned {pinned}"):
        harm.read(path, "trial", pinned)


def test_a_table_without_rows_prices_nothing(tmp_path):
    assert harm.read(table(tmp_path, ""), "trial").rows.num_rows == 0


def test_the_illustrative_table_covers_the_sample_force():
    codes = harm.read(ILLUSTRATIVE, "illustrative").rows["offence_code"].to_pylist()
    offences = "1 2 5D 8N 10A 17A 19C 22B 28A 34B 36 45 46 48 49 56A 58D 66 70 92A 92D 106"
    assert sorted(codes) == sorted(offences.split())


# ---- editions side by side -------------------------------------------------------------------------------------------

POINTS = "offence_code,offence,weight,expired\n"
DAYS = "34B,Robbery,365,\n49,Theft,3,\n62,Old,9,yes\n"
SCORES = "34B,Robbery,746,\n92A,Drugs,57,\n49,Theft,40,yes\n"  # made up: the published weights were not at hand


@pytest.fixture(scope="module")
def editions(tmp_path_factory) -> tuple[harm.HarmTable, harm.HarmTable, harm.HarmTable]:
    """Two editions in days and one in points."""
    home = tmp_path_factory.mktemp("editions")
    for name, text in (("a", HEAD + DAYS), ("b", HEAD + DAYS.replace("365", "400")), ("c", POINTS + SCORES)):
        (home / f"{name}.csv").write_text(text, "utf-8")
    return (
        harm.read(home / "a.csv", "days-1"),
        harm.read(home / "b.csv", "days-2"),
        harm.read(home / "c.csv", "points-1", unit=harm.SEVERITY),
    )


def test_harm_of_two_editions_is_never_added():
    day, other = harm.Harm(365, "days-1", harm.DAYS), harm.Harm(5, "days-1", harm.DAYS)
    assert day + other == harm.added([day, other]) == harm.Harm(370, "days-1", harm.DAYS)
    for foreign in (harm.Harm(1, "days-2", harm.DAYS), harm.Harm(1, "days-1", harm.SEVERITY)):
        with pytest.raises(Malformed, match="harm is not added across editions: found days-1 in days and days-"):
            day + foreign
        with pytest.raises(Malformed, match="wanted one edition"):
            harm.added([day, other, foreign])
    for number in (0, 5, 1.5):
        with pytest.raises(TypeError):
            day + number
    with pytest.raises(TypeError):
        sum([day, other])  # begins at a bare 0, which is of no edition
    with pytest.raises(Malformed, match="harm of nothing is of no edition"):
        harm.added([])


def test_a_table_of_points_has_a_column_of_its_own_and_wider_bounds(tmp_path):
    path = table(tmp_path, "1,Murder,40000,\n", POINTS)
    assert harm.read(path, "points", unit=harm.SEVERITY).rows["weight"].to_pylist() == [40_000]
    with pytest.raises(
        Malformed, match="found offence_code, offence, weight, expired, wanted offence_code, offence, d"
    ):
        harm.read(path, "points")
    with pytest.raises(
        Malformed, match=r"harm table weight are not whole numbers from 0 to 100000: t.csv, line 2: fou"
    ):
        harm.read(table(tmp_path, "1,Murder,100001,\n", POINTS), "points", unit=harm.SEVERITY)
    with pytest.raises(Malformed, match="harm unit is not known: found hours, wanted one of days, severity-points"):
        harm.read(path, "points", unit="hours")


def test_the_first_edition_in_days_counts_and_the_others_stand_beside_it(editions):
    one, two, points = editions
    both = harm.side_by_side([points, two, one])
    assert [held.edition for held in both.all] == ["days-2", "points-1", "days-1"]
    assert (both.severity.edition, one.severity) == ("points-1", None)
    with pytest.raises(Malformed, match="needs an edition in days: found points-1 in severity-points, wanted at least"):
        harm.side_by_side([points])
    with pytest.raises(Malformed, match="stand side by side once each: found days-1, days-1"):
        harm.side_by_side([one, one])


def priced(*tables: harm.HarmTable) -> tuple[params.Params, harm.HarmTable]:
    """Params that name these tables, and the tables as the door would give them."""
    said = PARAMS.model_dump(mode="json", exclude_none=True)
    said["harm"]["editions"] = [
        {"name": held.edition, "file": f"harm/{held.edition}.csv", "unit": held.unit, "sha256": held.sha256}
        for held in tables
    ]
    return params.stated(json.dumps(said)), harm.side_by_side(tables)


def build(force: Force, cut_off: str, *tables: harm.HarmTable) -> None:
    rules, table = priced(*tables)
    builds.build(
        force.archive, rules, table, cut_off=cut_off, published_at=cut_off, around=lambda _: surroundings(cut_off)
    )


WEEKS = ("2026-01-12T00:00:00Z", "2026-01-19T00:00:00Z", "2026-01-26T00:00:00Z")
STORY = (
    record("R-1", "ANN", "BEN:victim", offence_code="34B"),
    record("R-2", "ANN:offender", "BEN", offence_code="49"),
    record("R-3", "ANN:victim", "BEN", offence_code="34B"),
    record("R-4", "ANN", "CAT", offence_code="62"),  # expired in days
    record("R-5", "ANN", "CAT", offence_code="99Z"),  # unknown to both
    record("R-6", "ANN:arrested", "CAT:witness", offence_code="34B", kind="custody"),
    record("R-7", "ANN", "CAT:witness", offence_code="34B", themes="CL"),
)


def totalled(found: harm.Breakdown) -> dict[tuple[str, str], tuple]:
    return {
        (row["theme"], row["edition"]): tuple(row[n] for n in ("harm", "unknown", "expired", "stored", "gone"))
        for row in found.totals.to_pylist()
    }


def test_harm_breaks_down_by_record_and_edition_and_comes_to_what_was_stored(editions, tmp_path):
    one, two, points = editions
    force = Force(tmp_path)
    force.receive(*STORY, cut_off=WEEKS[0])
    build(force, WEEKS[0], one, points, two)
    snapshot = force.as_of(WEEKS[0])
    (row,) = snapshot.nominals(nominal="ANN", theme="SOC").to_pylist()
    assert (row["harm"], row["harm_unknown"], row["harm_edition"]) == (368, 2, "days-1")
    assert (row["severity"], row["severity_unknown"], row["severity_edition"]) == (746, 3, "points-1")
    found = snapshot.harm("ANN")
    assert totalled(found) == {
        ("CL", "days-1"): (365, 0, 0, 365, 0),
        ("CL", "points-1"): (746, 0, 0, 746, 0),
        ("CL", "days-2"): (400, 0, 0, None, 0),  # shown beside, not what counted
        ("SOC", "days-1"): (368, 1, 1, 368, 0),
        ("SOC", "points-1"): (746, 2, 1, 746, 0),
        ("SOC", "days-2"): (403, 1, 1, None, 0),
    }
    shown = {
        (row["record_id"], row["edition"]): (
            row["roles"], row["counts"], row["offence"], row["weight"], row["counted"], row["unknown"], row["expired"],
        )
        for row in found.records.filter(pc.equal(found.records["theme"], "SOC")).to_pylist()
    }  # fmt: skip
    assert len(shown) == 6 * 3
    assert shown["R-1", "days-1"] == ("suspect", 1, "Robbery", 365, 365, 0, 0)
    assert shown["R-2", "points-1"] == ("offender", 1, "Theft", 0, 0, 0, 1)
    assert shown["R-3", "days-1"] == ("victim", 0, "Robbery", 365, 0, 0, 0)  # never theirs
    assert shown["R-4", "days-1"] == ("suspect", 1, "Old", 0, 0, 0, 1)
    assert shown["R-5", "days-2"] == ("suspect", 1, "", 0, 0, 1, 0)
    assert shown["R-6", "days-1"] == ("arrested", 0, "Robbery", 365, 0, 0, 0)
    assert [r["harm"] for r in snapshot.harm("BEN", "SOC").totals.to_pylist()] == [368, 746, 403]
    (network,) = snapshot.networks(theme="SOC").to_pylist()
    people = snapshot.nominals(network=network["network"])
    assert (network["harm"], network["severity"]) == (
        pc.sum(people["harm"]).as_py(),
        pc.sum(people["severity"]).as_py(),
    )
    assert {(e.name, e.digest) for e in snapshot.statement.harm_tables} == {
        (held.edition, held.sha256) for held in (one, points, two)
    }


def test_a_past_build_is_broken_down_by_the_edition_of_its_own_statement(editions, tmp_path):
    one, two, _ = editions
    force = Force(tmp_path)
    force.receive(*STORY, cut_off=WEEKS[0])
    build(force, WEEKS[0], one)
    build(force, WEEKS[1], two)
    assert force.archive.harm_file(one.sha256).read_bytes() == (HEAD + DAYS).encode()
    force = force.reopened()
    assert totalled(force.as_of(WEEKS[0]).harm("ANN", "SOC")) == {("SOC", "days-1"): (368, 1, 1, 368, 0)}
    assert totalled(force.as_of(WEEKS[1]).harm("ANN", "SOC")) == {("SOC", "days-2"): (403, 1, 1, 403, 0)}
    kept = force.archive.harm_file(one.sha256)
    kept.write_bytes((HEAD + DAYS.replace("365", "366")).encode())
    with pytest.raises(Tampered, match=f"not the pinned one: edition days-1, .* pinned {one.sha256}"):
        force.as_of(WEEKS[0]).harm("ANN")
    assert any("harm table days-1 is not the one that was stated" in fault for fault in faults(force))
    kept.unlink()
    with pytest.raises(Missing, match="harm table is missing: edition days-1, wanted"):
        force.as_of(WEEKS[0]).harm("ANN")
    assert any("harm table days-1 is not kept: wanted builds/harm/" in fault for fault in faults(force))
    assert totalled(force.as_of(WEEKS[1]).harm("ANN", "SOC"))["SOC", "days-2"][0] == 403
    with pytest.raises(Missing, match="no nominal of that id is shown"):
        force.as_of(WEEKS[1]).harm("NOBODY")


def faults(force: Force) -> list[str]:
    return [fault for step in verify.verify(force.archive) for fault in step.faults]


def test_a_stored_figure_that_does_not_come_about_is_tampered(editions, tmp_path, monkeypatch):
    one, _, _ = editions
    force = Force(tmp_path)
    force.receive(*STORY, cut_off=WEEKS[0])
    build(force, WEEKS[0], one)
    snapshot = force.as_of(WEEKS[0])
    true = snapshot.nominals(nominal="ANN", theme="SOC")
    for column, said in (("harm", "harm by edition days-1 in SOC, found 368, stored 369"),
                         ("harm_unknown", "records without a weight by edition days-1 in SOC, found 2, stored 3"),
                         ("records", "records out of view by edition days-1 in SOC, found 1, stored 0")):  # fmt: skip
        place = true.column_names.index(column)
        more = true.set_column(place, column, pc.add(true[column], 1))
        monkeypatch.setattr(snapshot, "nominals", lambda more=more, **_: more)
        with pytest.raises(Tampered, match=said):
            snapshot.harm("ANN", "SOC")


def test_after_a_disposal_what_remains_is_shown_and_the_next_build_compares_again(editions, tmp_path):
    one, _, points = editions
    force = Force(tmp_path)
    rules, table = priced(one, points)
    force.receive(*STORY, cut_off=WEEKS[0])
    build(force, WEEKS[0], one, points)
    request = disposal.Request("record", "CONNECT", "R-1")
    plan = disposal.plan(
        force.archive, rules, table, [request], on=WEEKS[0], by="planner", under="a story", reason="mopi-review"
    )
    disposal.carry_out(force.archive, plan, rules, table, on=WEEKS[0], by="officer", approved_by="second person")
    snapshot = force.as_of(WEEKS[0])
    found = snapshot.harm("ANN", "SOC")
    assert totalled(found) == {("SOC", "days-1"): (3, 1, 1, None, None), ("SOC", "points-1"): (0, 2, 1, None, None)}
    assert set(found.totals["computed_with_erased"].to_pylist()) == {1}
    assert "R-1" not in found.records["record_id"].to_pylist()
    assert snapshot.disposed["tables"]["record"] == {"disposed": 1}  # of the whole build: how many are gone
    case = force.as_of(WEEKS[0], case="24/0113").harm("ANN", "SOC")  # where the figures are shown, so is the rest
    assert totalled(case)["SOC", "days-1"] == (3, 1, 1, 368, 1)
    force.receive(*STORY[1:], cut_off=WEEKS[1])
    build(force, WEEKS[1], one, points)
    assert totalled(force.as_of(WEEKS[1]).harm("ANN", "SOC"))["SOC", "days-1"] == (3, 1, 1, 3, 0)


def test_records_of_a_merged_person_count_under_whom_they_were_judged_to_be(editions, tmp_path):
    one, _, _ = editions
    force = Force(tmp_path)
    merge = {
        "from_nominal": "CAT",
        "into_nominal": "ANN",
        "evidence": "prints",
        "by": "x",
        "at": "2026-01-06T00:00:00Z",
    }
    force.receive(*STORY, cut_off=WEEKS[0], merges=[merge])
    build(force, WEEKS[0], one)
    snapshot = force.as_of(WEEKS[0])
    assert totalled(snapshot.harm("CAT", "SOC")) == totalled(snapshot.harm("ANN", "SOC"))
    roles = {row["record_id"]: row["roles"] for row in snapshot.harm("CAT", "SOC").records.to_pylist()}
    assert roles["R-6"] == "arrested+witness"


CODES = ("34B", "49", "62", "92A", "")
ROLES = ("suspect", "offender", "arrested", "victim", "witness")


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(CODES),
            st.sampled_from(["SOC", "CSE", "SOC;CL"]),
            st.dictionaries(st.sampled_from("ABC"), st.sets(st.sampled_from(ROLES), min_size=1), min_size=1),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_the_breakdown_and_the_stored_figures_are_the_slow_obvious_sums(editions, tmp_path_factory, rows):
    one, two, points = editions
    force = Force(tmp_path_factory.mktemp("twin"))
    force.receive(
        *(
            record(f"R-{n}", *(f"{who}:{'+'.join(sorted(had))}" for who, had in people.items()),
                   offence_code=code, themes=themes)
            for n, (code, themes, people) in enumerate(rows)
        ),
        cut_off=WEEKS[0],
    )  # fmt: skip
    build(force, WEEKS[0], one, points, two)
    snapshot = force.as_of(WEEKS[0])
    wanted: dict = {}
    for code, themes, people in rows:
        for theme in themes.split(";"):
            for who, had in people.items():
                for held in (one, points, two):
                    sums = wanted.setdefault((theme, who, held.edition), [0, 0, 0])
                    row = next((r for r in held.rows.to_pylist() if r["offence_code"] == code), None)
                    if had & {"suspect", "offender"}:
                        sums[0] += row["weight"] if row and not row["expired"] else 0
                        sums[1] += row is None
                        sums[2] += bool(row and row["expired"])
    found = {
        (row["theme"], row["nominal"], row["edition"]): [row["harm"], row["unknown"], row["expired"]]
        for who in {who for _, _, people in rows for who in people}
        for row in snapshot.harm(who).totals.to_pylist()
    }
    assert found == wanted
    for row in snapshot.nominals().to_pylist():
        key = row["theme"], row["nominal"]
        assert [row["harm"], row["harm_unknown"]] == [wanted[*key, "days-1"][0], sum(wanted[*key, "days-1"][1:])]
        assert [row["severity"], row["severity_unknown"]] == [
            wanted[*key, "points-1"][0], sum(wanted[*key, "points-1"][1:]),
        ]  # fmt: skip
    force.archive.close()


# ---- the importer ----------------------------------------------------------------------------------------------------


def imported(tmp_path: Path, rows: str) -> Path:
    (tmp_path / "from").mkdir(exist_ok=True)
    (tmp_path / "from" / "severity_weights.csv").write_text(POINTS + rows)
    harm_weights.adapt(tmp_path / "from", tmp_path / "to", seed=1, step=lambda _: None)
    return tmp_path / "to" / harm_weights.SEVERITY_FILE


def test_a_table_of_weights_is_imported_in_whole_points(tmp_path):
    path = imported(tmp_path, "49,Theft,2.5,\n1,Murder,7979,\n62,Old,,yes\n5D,Other,2.499,\n")
    assert path.read_text().splitlines()[1:] == ['"1","Murder",7979,""', '"49","Theft",3,""', '"5D","Other",2,""',
                                                 '"62","Old",0,"yes"']  # fmt: skip
    assert harm.read(path, "made-up", unit=harm.SEVERITY).rows.num_rows == 4
    assert "| weights rounded | 2 |" in (tmp_path / "to" / "SOURCE-NOTE.md").read_text()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("49,Theft,-1,\n", "weights that are no number from 0 up that cannot be read: found 1, wanted such as 7979"),
        ("49,Theft,,\n", "weights that are no number"),
        (",Theft,1,\n", "rows without a code that cannot be read: found 1"),
        ("49,Theft,1,no\n", "expired marks that cannot be read: found 1, wanted yes or empty"),
        ("49,Theft,1,\n49,Theft,2,\n", "codes that stand twice: found 1, wanted each code once"),
        ("49,Theft,100001,\n", "harm table weight are not whole numbers from 0 to 100000"),
    ],
)
def test_weights_that_cannot_be_read_are_refused(tmp_path, rows, says):
    with pytest.raises(Malformed, match=says):
        imported(tmp_path, rows)
