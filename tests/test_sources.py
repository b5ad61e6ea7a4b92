"""The adapters, against the raw files counted a second way: with the csv module and sets, one row after another."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import random
from collections import Counter, defaultdict
from functools import cache
from itertools import combinations
from pathlib import Path
from textwrap import dedent

import pyarrow.compute as pc
import pytest
from click.testing import CliRunner

from pipeline.sources import (
    connect,
    cpd_police_records,
    custody_registers,
    harm_weights,
    infinito_summits,
    stlouis_crime,
)
from pipeline.sources.__main__ import main
from pipeline.sources.overlay import Overlay
from provenance import extracts, harm
from provenance.errors import Conflict, Malformed, Missing

SYSTEMS = stlouis_crime.SYSTEMS | infinito_summits.SYSTEMS | cpd_police_records.SYSTEMS | custody_registers.SYSTEMS
ADAPTERS = {
    "stlouis_crime": stlouis_crime,
    "infinito_summits": infinito_summits,
    "cpd_police_records": cpd_police_records,
    "custody_registers": custody_registers,
    "harm_weights": harm_weights,
}
OLD = "complaints_release_2016-12_scope_1967-1999"
FIRST = "complaints_release_2016-11_scope_2000-2016"
SECOND = "complaints_release_2018-03_scope_2000-2018"
THIRD = "complaints_release_2020-07_scope_2000-2020"
FOURTH = "complaints_release_2022-09_scope_2000-2022"


def silent(text: str) -> None:
    pass


@pytest.fixture
def written(shared, tmp_path_factory):
    """The folder that an adapter wrote from the real data set, written once in a run of the tests."""

    def once(name: str, **options: str) -> Path:
        key = "-".join([name, *options.values()])
        if key not in _WRITTEN:
            _WRITTEN[key] = tmp_path_factory.mktemp(key)
            ADAPTERS[name].adapt(shared / "data" / name, _WRITTEN[key], seed=1, step=silent, **options)
        return _WRITTEN[key]

    return once


_WRITTEN: dict[str, Path] = {}


def read(folder: Path) -> extracts.Extract:
    """As the product reads it; every row taken."""
    extract = extracts.read(folder, systems=SYSTEMS)
    assert extract.rejects.num_rows == 0, extract.rejects.slice(0, 3).to_pylist()
    return extract


def raw(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def in_records(extract: extracts.Extract, *roles: str) -> dict[str, set[str]]:
    """Record id to the people in it, of all roles or those given."""
    found = defaultdict(set)
    columns = (extract.involvements[name].to_pylist() for name in ("record_id", "nominal_id", "role"))
    for record, nominal, role in zip(*columns, strict=True):
        if not roles or role in roles:
            found[record].add(nominal)
    return dict(found)


def by_id(extract: extracts.Extract) -> dict[str, dict[str, str]]:
    return {row["record_id"]: row for row in extract.records.to_pylist()}


def records_of_pairs(in_record: dict[str, set[str]]) -> dict[tuple[str, ...], set[str]]:
    found = defaultdict(set)
    for record, people in in_record.items():
        for pair in combinations(sorted(people), 2):
            found[pair].add(record)
    return found


def pair_records(in_record: dict[str, set[str]]) -> int:
    return sum(len(people) * (len(people) - 1) // 2 for people in in_record.values())


def cells_of(path: Path) -> Counter[tuple[str, ...]]:
    return Counter(tuple(row.values()) for row in raw(path))


# ---- the small sets --------------------------------------------------------------------------------------------------


def test_stlouis_pairs_are_those_of_the_raw_file(written, shared):
    extract = read(written("stlouis_crime") / "stlouis_crime")
    counted = defaultdict(set)
    for row in raw(shared / "data" / "stlouis_crime" / "involvements.csv"):
        counted[f"STL-{row['crime_id']}"].add(f"STL-P{row['person_id']}")
    pairs = records_of_pairs(in_records(extract))
    assert pairs == records_of_pairs(counted)
    assert (len(pairs), pair_records(in_records(extract))) == (2_253, 2_353)
    assert set(extract.records["themes"].to_pylist()) == {"SOC"}


def test_stlouis_dual_role_is_two_involvements(written, shared):
    extract = read(written("stlouis_crime") / "stlouis_crime")
    published = Counter(row["role"] for row in raw(shared / "data" / "stlouis_crime" / "involvements.csv"))
    roles = Counter(extract.involvements["role"].to_pylist())
    both = published["Victim Suspect"]
    assert both == 41
    assert roles == {
        "suspect": published["Suspect"] + both, "victim": published["Victim"] + both, "witness": published["Witness"],
    }  # fmt: skip


def test_infinito_pairs_days_and_doubts_are_those_of_the_raw_files(written, shared):
    extract = read(written("infinito_summits") / "infinito_summits")
    source = shared / "data" / "infinito_summits"
    counted = defaultdict(set)
    for row in raw(source / "attendance.csv"):
        counted[f"INF-{row['event_id']}"].add(f"INF-{row['person_id']}")
    pairs = records_of_pairs(in_records(extract))
    assert pairs == records_of_pairs(counted)
    assert (len(pairs), pair_records(counted)) == (1_619, 2_458)

    told = by_id(extract)
    for row in raw(source / "events.csv"):
        record = told[f"INF-{row['event_id']}"]
        assert record["occurred_at"] == row["date"]
        assert record["source_grade"] + record["assessment_grade"] in (
            ("1C",) if row["date_flag"] == "?" else ("1A", "1B")
        )
        assert (record["handling"] == "C") == bool(record["conditions"])
        assert record["place"] == ""
    assert {record["handling"] for record in told.values()} == {"P", "C"}


def test_custody_registers_lose_whom_the_second_does_not_have(written, shared):
    out, source = written("custody_registers"), shared / "data" / "custody_registers"
    earlier, later = read(out / "nyc-2017-06"), read(out / "nyc-2021-02")
    rows = [raw(source / f"nyc_custody_register_{name}.csv.gz") for name in ("2017-06", "2021-02")]
    stays = [{(row["INMATEID"], row["ADMITTED_DT"]) for row in register} for register in rows]
    assert (earlier.records.num_rows, later.records.num_rows) == (len(stays[0]), len(stays[1])) == (9_239, 5_310)
    held_throughout = set(by_id(earlier)) & set(by_id(later))
    assert len(held_throughout) == len(stays[0] & stays[1]) == 62
    people = [set(extract.nominals["nominal_id"].to_pylist()) for extract in (earlier, later)]
    assert len(people[0] & people[1]) == 587
    assert earlier.mode == later.mode == "full"
    children = Counter(extract["is_child"] for extract in earlier.nominals.to_pylist())
    assert children["1"] == sum(row["AGE"] != "" and int(row["AGE"]) < 18 for row in rows[0]) > 0
    assert pair_records(in_records(earlier)) == pair_records(in_records(later)) == 0


def test_broward_releases_are_the_out_times_but_for_the_placeholder_and_the_impossible(written, shared):
    extract = read(written("custody_registers") / "broward-2016-04")
    kinds = Counter(extract.records["kind"].to_pylist())
    stays = [
        (row[f"{part}_jail_in"], row[f"{part}_jail_out"])
        for row in raw(shared / "data" / "custody_registers" / "broward_jail_episodes_2013-2016.csv.gz")
        for part in "cr"
        if row[f"{part}_jail_in"]
    ]
    still_in = sum(out.startswith("2020-01-01") for _, out in stays)
    reversed_ = sum(out < into for into, out in stays)
    assert (len(stays), still_in, reversed_) == (13_037, 2, 302)
    assert kinds == {"custody": len(stays), "prison_release": len(stays) - still_in - reversed_}
    assert pair_records(in_records(extract)) == 0


def test_harm_table_prices_each_code_in_whole_days(written, shared):
    table = harm.read(written("harm_weights") / harm_weights.FILE, "cchi-2026-subgroup").rows.to_pylist()
    priced = {row["offence_code"]: (row["weight"], row["expired"]) for row in table}
    source = shared / "data" / "harm_weights"
    assert set(priced) == {row["offence_code"] for row in raw(source / "home_office_offence_codes_2018.csv")}
    weights = {row["prc_subgroup"]: float(row["cchi_days"]) for row in raw(source / "cchi_weights_by_subgroup.csv")}
    assert weights["Residential burglary"] == 273.5
    assert priced["28E"] == (274, False)  # half a day goes up
    assert weights["Other sexual offences"] == 182.25
    assert priced["20A"] == (182, False)  # a quarter does not
    assert priced["1/4.1/4.10/4.2"] == (5_475, False)
    assert priced["8L"] == (10, False)  # harassment in 2018, stalking and harassment in 2026
    assert priced["126"] == priced["45"] == (5, False)
    assert {code for code, (_, expired) in priced.items() if expired} == {
        "51", "52", "53B", "53C", "53D", "53E", "53F", "55",
    }  # fmt: skip
    assert all(days > 0 for days, expired in priced.values() if not expired)


# ---- Chicago, together -----------------------------------------------------------------------------------------------


@cache
def named(shared: Path, folder: str, file: str) -> set[tuple[str, str]]:
    """(complaint, UID) of the identified rows."""
    path = shared / "data" / "cpd_police_records" / folder / f"{file}.csv.gz"
    return {(row["cr_id"], row["UID"]) for row in raw(path) if row["UID"]}


def test_complaints_together_name_whom_any_release_names(written, shared):
    out = written("cpd_police_records", releases="together")
    told = in_records(read(out / "cpd-complaints"))
    counted = defaultdict(set)
    for folder, file in ((OLD, "accused"), (FIRST, "accused"), (FIRST, "police_witnesses"), (SECOND, "accused"),
                         (SECOND, "police_witnesses")):  # fmt: skip
        for complaint, uid in named(shared, folder, file):
            counted[f"CR-{complaint}"].add(f"UID-{uid}")
    assert told == counted
    assert sum(map(len, told.values())) == 283_988
    assert len(set().union(*told.values())) == 23_582
    assert len(told) == 138_799
    assert pair_records(told) == 459_477
    assert max(map(len, told.values())) == 192


def test_encounters_and_cases_together_are_those_of_the_raw_files(written, shared):
    out, source = written("cpd_police_records", releases="together"), shared / "data" / "cpd_police_records"
    force = source / "use_of_force_release_2016-09"
    reports = {row["trr_id"]: row for row in raw(force / "subjects.csv.gz")}
    officers, everyone = defaultdict(set), defaultdict(set)
    for row in reports.values():
        everyone[f"TRR-E{row['event_id']}"].add(f"SUBJ-{row['subject_ID']}")
    for row in raw(force / "officers.csv.gz"):
        if row["UID"]:
            officers[f"TRR-E{reports[row['trr_id']]['event_id']}"].add(f"UID-{row['UID']}")
    for event, uids in officers.items():
        everyone[event] |= uids
    extract = read(out / "cpd-force")
    assert in_records(extract) == everyone
    assert in_records(extract, "other") == officers
    assert len(records_of_pairs(officers)) == 34_034
    charged = {
        reports[row["trr_id"]]["subject_ID"] for row in raw(force / "charges.csv.gz") if row["trr_id"] in reports
    }
    assert set().union(*in_records(extract, "arrested").values()) == {f"SUBJ-{subject}" for subject in charged}

    cases = defaultdict(set)
    for row in raw(source / "settlements_release_2017-01" / "case_officers.csv.gz"):
        if row["UID"]:
            cases[f"CIV-{row['case_id']}"].add(f"UID-{row['UID']}")
    extract = read(out / "cpd-civil")
    assert in_records(extract) == cases
    assert len(records_of_pairs(cases)) == 10_212
    grades = Counter(row["source_grade"] + row["assessment_grade"] for row in extract.records.to_pylist())
    assert set(grades) == {"1A", "1B", "1C"}


# ---- Chicago, release by release -------------------------------------------------------------------------------------


def separate(written) -> dict[str, extracts.Extract]:
    if "separate" not in _READ:
        out = written("cpd_police_records", releases="separate")
        _READ["separate"] = {path.parent.name: read(path.parent) for path in sorted(out.glob("*/extract.json"))}
    return _READ["separate"]


_READ: dict[str, dict[str, extracts.Extract]] = {}


def test_releases_follow_one_another(written):
    told = separate(written)
    assert list(told) == [
        "2016-09-force", "2016-11-complaints", "2016-12-complaints", "2017-01-civil", "2018-03-complaints",
        "2018-06-identity", "2020-07-complaints", "2022-09-complaints",
    ]  # fmt: skip
    assert [extract.cut_off for extract in told.values()] == sorted(extract.cut_off for extract in told.values())
    chain = [extract for extract in told.values() if "CPD-COMPLAINTS" in extract.systems]
    assert [extract.mode for extract in chain] == ["full", "delta", "delta", "delta", "delta", "delta"]
    assert [extract.since for extract in chain] == ["", *(extract.cut_off for extract in chain[:-1])]


def present(told: dict[str, extracts.Extract]) -> dict[str, str]:
    """Earlier identifier to present one."""
    rows = told["2018-06-identity"].merges.to_pylist()
    return {row["from_nominal"]: row["into_nominal"] for row in rows if row["into_nominal"] != "split"}


def test_accused_who_are_dropped_and_added_between_2016_and_2018(written, shared):
    told = separate(written)
    now = present(told)
    before, after = (
        {
            (record, now.get(person, person))
            for record, people in in_records(told[name], "suspect").items()
            for person in people
        }
        for name in ("2016-11-complaints", "2018-03-complaints")
    )
    first, second = named(shared, FIRST, "accused"), named(shared, SECOND, "accused")
    listed = {row["cr_id"] for row in raw(shared / "data" / "cpd_police_records" / SECOND / "accused.csv.gz")}
    both = {complaint for complaint, _ in first} & listed
    dropped = {(complaint, uid) for complaint, uid in first - second if complaint in both}
    added = {(complaint, uid) for complaint, uid in second - first if complaint in both}
    assert (len(both), len(dropped), len(added)) == (15_235, 204, 176)  # SOURCE.md

    # Where 2018-03 lists the accused but identifies none of them, the earlier names stand.
    silent_on = both - {complaint for complaint, _ in second}
    kept = {(complaint, uid) for complaint, uid in dropped if complaint in silent_on}
    assert (len(silent_on), len(kept)) == (65, 73)
    restated = {record for record, _ in after}
    assert {pair for pair in before - after if pair[0] in restated} == {
        (f"CR-{complaint}", f"UID-{uid}") for complaint, uid in dropped - kept
    }
    again = {f"CR-{complaint}" for complaint in both}
    assert {pair for pair in after - before if pair[0] in again} == {(f"CR-{c}", f"UID-{u}") for c, u in added}
    assert before == {(f"CR-{complaint}", f"UID-{uid}") for complaint, uid in first}


def test_dates_that_2018_corrects(written, shared):
    told = separate(written)
    source = shared / "data" / "cpd_police_records"
    days = []
    for folder, incident in ((FIRST, "incident_date"), (SECOND, "incident_start_date")):
        found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
        for row in raw(source / folder / "complaints.csv.gz"):
            found[row["cr_id"]][0].add(row["complaint_date"])
            found[row["cr_id"]][1].update({row[incident]} - {""})
        days.append(found)
    both = days[0].keys() & days[1].keys()
    made = {cr for cr in both if days[0][cr][0] != days[1][cr][0]}
    blanked = {cr for cr in both if not days[1][cr][1]}
    happened = {cr for cr in both - blanked if not days[0][cr][1] & days[1][cr][1]}
    assert (len(both), len(made), len(blanked), len(happened)) == (64_776, 279, 425, 366)  # SOURCE.md

    # Of complaints that 2018-03 does not list, its witness file has the day.
    told_apart = {
        row["cr_id"]
        for row in raw(source / SECOND / "police_witnesses.csv.gz")
        if row["cr_id"] not in days[1] and {row["complaint_date"]} != days[0][row["cr_id"]][0]
    }
    earlier, later = by_id(told["2016-11-complaints"]), by_id(told["2018-03-complaints"])
    restated = earlier.keys() & later.keys()
    assert len(restated) > 40_000
    for column, corrected in (("recorded_at", made | told_apart), ("occurred_at", happened)):
        changed = {record for record in restated if earlier[record][column] != later[record][column]}
        assert changed == {f"CR-{cr}" for cr in corrected} & restated
        assert changed


def test_later_releases_restate_the_known_and_name_the_expunged(written, shared):
    told = separate(written)
    source = shared / "data" / "cpd_police_records"
    status = {row["cr_id"]: row["current_status"] for row in raw(source / THIRD / "complaints.csv.gz")}
    known = set()
    for folder, file in ((OLD, "accused"), (FIRST, "accused"), (FIRST, "police_witnesses"), (SECOND, "accused"),
                         (SECOND, "police_witnesses")):  # fmt: skip
        known |= {complaint for complaint, _ in named(shared, folder, file)}
    extract = told["2020-07-complaints"]
    assert set(by_id(extract)) == {f"CR-{cr}" for cr in status.keys() & known}
    expunged = {f"CR-{cr}" for cr, word in status.items() if word == "EXPUNGED"}
    assert len(expunged) == 64_126
    assert set(extract.disposals["id"].to_pylist()) == expunged
    assert pc.unique(extract.disposals["what"]).to_pylist() == ["record"]
    withdrawn = {record for record, row in by_id(extract).items() if row["status"] == "withdrawn"}
    assert withdrawn == {f"CR-{cr}" for cr in known if status.get(cr) == "DELETED"} == {"CR-261241"}
    fourth = {row["cr_id"] for row in raw(source / FOURTH / "complaints.csv.gz")}
    assert set(by_id(told["2022-09-complaints"])) == {f"CR-{cr}" for cr in fourth & known}


def test_identities_change_in_june_2018_as_the_redirect_says(written, shared):
    told = separate(written)
    redirect = raw(shared / "data" / "cpd_police_records" / "identity" / "uid_redirect_v0_v2_2018-06-01.csv.gz")
    olds, news = defaultdict(set), defaultdict(set)
    for row in redirect:
        if row["UID"] and row["old_UID"]:
            olds[row["UID"]].add(row["old_UID"])
            news[row["old_UID"]].add(row["UID"])
    divided = {old: uids for old, uids in news.items() if len(uids) > 1}
    absorbing = {uid: before for uid, before in olds.items() if len(before) > 1}
    assert (len(divided), len(absorbing)) == (2, 9)  # SOURCE.md

    merges = told["2018-06-identity"].merges.to_pylist()
    into = defaultdict(set)
    for row in merges:
        into[row["from_nominal"]].add(row["into_nominal"])
    parts = {f"UID-{uid}" for uids in divided.values() for uid in uids}
    assert {who for who, targets in into.items() if targets == {"split"}} == parts
    assert {(row["from_nominal"], row["into_nominal"]) for row in told["2016-11-complaints"].merges.to_pylist()} == {
        (f"UID-{uid}", f"V0-{old}") for old, uids in divided.items() for uid in uids
    }
    for uid, before in absorbing.items():
        for old in before - divided.keys():
            assert into[f"V0-{old}"] == {f"UID-{uid}"}
    for who, targets in into.items():
        if who not in parts:
            assert targets == {f"UID-{uid}" for uid in news[who.removeprefix("V0-")]}

    # Whoever has an earlier identifier goes by it until then, and by none of them afterwards.
    for name, extract in told.items():
        people = set(extract.involvements["nominal_id"].to_pylist())
        if name < "2018-06":
            assert {person for person in people if person.startswith("V0-")} <= into.keys()
            later_names = {person.removeprefix("UID-") for person in people if person.startswith("UID-")}
            assert all(olds.get(uid, set()) <= divided.keys() or f"UID-{uid}" in parts for uid in later_names)
            assert any(person.startswith("V0-") for person in people)
        else:
            assert not any(person.startswith("V0-") for person in people)


# ---- a register of a few lines, told five times ----------------------------------------------------------------------


# Complaint 1 has officers 11 and 12, and 13 as witness; 2018 drops 12, adds 14 and is silent on the witness. Person 12
# absorbs the earlier 2 and 3, the earlier 7 was two people, 21 and 22, and 14 is new.
LITTLE = {
    f"{OLD}/complaints": """
        cr_id,incident_date,complaint_date,incident_beat,complaint_status
        C9,1919-13-40,1990-05-01,081L,CLO
        C8,,1991-01-01,0,CLO""",
    f"{OLD}/accused": "cr_id,complaint_category,UID\nC9,05A,11\nC8,05A,",
    f"{FIRST}/complaints": """
        cr_id,beat,incident_date,complaint_date
        1,0211,2010-01-01,2010-01-02
        2,211.0,2010-02-01,2010-02-02""",
    f"{FIRST}/accused": """
        cr_id,complaint_category,UID,old_UID
        1,05A-ARRESTEE,11,1
        1,05A-ARRESTEE,12,2
        2,03C-SEARCH,21,7
        2,03C-SEARCH,12,2""",
    f"{FIRST}/police_witnesses": "cr_id,UID\n1,13\n1,",
    f"{SECOND}/complaints": """
        cr_id,incident_start_date,complaint_date,incident_beat,current_complaint_category_code,current_complaint_status
        1,2010-01-01,2010-01-03,212,05B,
        1,2009-12-31,2010-01-03,212,05B,
        2,,2010-02-02,,,CLOSED/FINAL""",
    f"{SECOND}/accused": "cr_id,UID\n1,11\n1,14\n2,",
    f"{SECOND}/police_witnesses": "cr_id,UID,complaint_date\n3,13,2011-01-01",
    f"{THIRD}/complaints": """
        cr_id,current_status,beat,incident_date,complaint_date
        1,DELETED,212,2010-01-01,2010-01-03
        90,EXPUNGED,,2003-05-13,2003-05-29
        3,CLOSED/FINAL,17,2010-12-31,2011-01-01""",
    f"{FOURTH}/complaints": """
        cr_id,incident_date,complaint_date,beat,category_code,current_status
        2,2010-02-01,2010-02-02,211,03C,CLOSED/FINAL""",
    "use_of_force_release_2016-09/reports": """
        trr_id,trr_date,trr_time,beat
        4,2004-07-17,14:47:00,1322
        5,2004-07-17,14:40:00,1321""",
    "use_of_force_release_2016-09/officers": "trr_id,UID,old_UID\n4,11,1\n5,,",
    "use_of_force_release_2016-09/subjects": """
        trr_id,event_id,subject_ID,gender,birth_year
        4,1,1,MALE,1990
        5,1,2,,1986""",
    "use_of_force_release_2016-09/charges": "trr_id,statute\n4,720 ILCS 5",
    "settlements_release_2017-01/case_officers": "case_id,incident_date,UID\n14-CV-1,,12\n14-CV-2,,",
    "identity/officers": "UID,gender\n11,MALE\n12,FEMALE",
    "identity/uid_redirect_v0_v2_2018-06-01": """
        UID,link_UID,old_UID
        11,1,1
        12,2,2
        12,2,3
        13,4,4
        21,7,7
        22,99,7
        14,98,
        ,-999,5""",
}


@pytest.fixture
def little(tmp_path) -> Path:
    for name, text in LITTLE.items():
        path = tmp_path / "from" / f"{name}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress((dedent(text).strip() + "\n").encode()))
    return tmp_path / "from"


def told_by(source: Path, out: Path, releases: str) -> dict[str, extracts.Extract]:
    cpd_police_records.adapt(source, out, seed=1, step=silent, releases=releases)
    return {path.parent.name: read(path.parent) for path in sorted(out.glob("*/extract.json"))}


def test_the_little_register_release_by_release(little, tmp_path):
    told = told_by(little, tmp_path / "out", "separate")
    assert in_records(told["2016-11-complaints"]) == {"CR-1": {"V0-1", "V0-2", "V0-4"}, "CR-2": {"UID-21", "V0-2"}}
    first, second = by_id(told["2016-11-complaints"]), by_id(told["2018-03-complaints"])
    assert [first["CR-1"][name] for name in ("occurred_at", "recorded_at", "place", "offence_code", "status")] == [
        "2010-01-01", "2010-01-02T00:00:00Z", "CPD-211", "CPD-05A", "",
    ]  # fmt: skip
    old = by_id(told["2016-12-complaints"])
    assert list(old) == ["CR-C9"]  # nobody is identified in C8
    assert old["CR-C9"]["occurred_at"] == "1990-05-01"  # no such day: the day of the complaint stands for it
    assert (old["CR-C9"]["recorded_at"], old["CR-C9"]["place"]) == ("1990-04-30T23:00:00Z", "CPD-81L")

    extract = told["2018-03-complaints"]
    assert in_records(extract, "suspect")["CR-1"] == {"V0-1", "UID-14"}  # 12 dropped, 14 new
    assert in_records(extract, "witness") == {"CR-1": {"V0-4"}, "CR-3": {"V0-4"}}  # silent on the witness of 1
    assert in_records(extract)["CR-2"] == {"UID-21", "V0-2"}  # lists an accused whom it does not identify
    assert [second["CR-1"][name] for name in ("occurred_at", "recorded_at", "place", "offence_code")] == [
        "2010-01-01", "2010-01-03T00:00:00Z", "CPD-212", "CPD-05B",
    ]  # fmt: skip  # the incident date is still among those given, so it stands
    assert [second["CR-2"][name] for name in ("occurred_at", "place", "status")] == [
        "2010-02-01",
        "CPD-211",
        "CLOSED/FINAL",
    ]
    assert second["CR-3"]["occurred_at"] == "2011-01-01"

    extract = told["2020-07-complaints"]
    assert in_records(extract) == {"CR-1": {"UID-11", "UID-14", "UID-13"}, "CR-3": {"UID-13"}}
    third = by_id(extract)
    assert (third["CR-1"]["status"], third["CR-3"]["status"]) == ("withdrawn", "CLOSED/FINAL")
    assert (third["CR-3"]["occurred_at"], third["CR-3"]["place"]) == ("2010-12-31", "CPD-17")
    assert [(row["id"], row["system"]) for row in extract.disposals.to_pylist()] == [("CR-90", "CPD-COMPLAINTS")]
    assert in_records(told["2022-09-complaints"]) == {"CR-2": {"UID-21", "UID-12"}}

    before = {(row["from_nominal"], row["into_nominal"]) for row in told["2016-11-complaints"].merges.to_pylist()}
    after = {(row["from_nominal"], row["into_nominal"]) for row in told["2018-06-identity"].merges.to_pylist()}
    assert before == {("UID-21", "V0-7"), ("UID-22", "V0-7")}
    assert after == {
        ("V0-1", "UID-11"), ("V0-2", "UID-12"), ("V0-3", "UID-12"), ("V0-4", "UID-13"), ("UID-21", "split"),
        ("UID-22", "split"),
    }  # fmt: skip


def test_the_little_register_together(little, tmp_path):
    told = told_by(little, tmp_path / "out", "together")
    assert in_records(told["cpd-complaints"]) == {
        "CR-1": {"UID-11", "UID-12", "UID-13", "UID-14"}, "CR-2": {"UID-21", "UID-12"}, "CR-3": {"UID-13"},
        "CR-C9": {"UID-11"},
    }  # fmt: skip
    force = told["cpd-force"]
    assert in_records(force) == {"TRR-E1": {"UID-11", "SUBJ-1", "SUBJ-2"}}
    assert in_records(force, "arrested") == {"TRR-E1": {"SUBJ-1"}}
    record = by_id(force)["TRR-E1"]
    assert (record["occurred_at"], record["place"]) == ("2004-07-17T19:40:00Z", "CPD-1321")  # Chicago is 5 hours behind
    children = {row["nominal_id"]: row["is_child"] for row in force.nominals.to_pylist()}
    assert children == {"SUBJ-1": "1", "SUBJ-2": "", "UID-11": ""}  # 18 years on, either may be true
    case = by_id(told["cpd-civil"])["CIV-14-CV-1"]
    assert (case["occurred_at"], case["recorded_at"]) == ("2017-01-31", "2017-01-31T00:00:00Z")
    note = (tmp_path / "out" / "SOURCE-NOTE.md").read_text()
    assert "| complaints left out, no identified officer in any release | 1 |" in note
    assert "| settled cases left out, no identified officer | 1 |" in note
    assert "| rows left out, no person identifier: police_witnesses of 2016-11 | 1 |" in note
    assert "| complaints whose incident date is the day of the complaint | 1 |" in note


@pytest.mark.parametrize("releases", ["together", "separate"])
def test_the_order_of_source_rows_changes_no_byte(little, tmp_path, releases):
    told_by(little, tmp_path / "one", releases)
    shuffle = random.Random(7)
    for path in sorted(little.rglob("*.csv.gz")):
        header, *rows = gzip.decompress(path.read_bytes()).decode().splitlines()
        shuffle.shuffle(rows)
        path.write_bytes(gzip.compress("\n".join([header, *reversed(rows)]).encode() + b"\n"))
    told_by(little, tmp_path / "two", releases)
    files = [path.relative_to(tmp_path / "one") for path in sorted((tmp_path / "one").rglob("*")) if path.is_file()]
    assert len(files) > 10
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


# ---- the overlay -----------------------------------------------------------------------------------------------------


def draws(source: str, seed: int, column: str, count: int = 3_000) -> list[int]:
    drawn = Overlay(source, seed).draw(column, 10)
    rows = connect().sql(f"SELECT {drawn} FROM (SELECT 'R-' || range AS record_id FROM range({count}))").fetchall()
    return [value for (value,) in rows]


def test_a_draw_hangs_on_seed_source_column_and_record_alone():
    first = draws("a", 1, "place")
    assert first == draws("a", 1, "place")
    assert first[:7] == draws("a", 1, "place", 7)  # whatever other records there are
    for other in (draws("b", 1, "place"), draws("a", 2, "place"), draws("a", 1, "theme")):
        assert sum(x == y for x, y in zip(first, other, strict=True)) < 400  # a tenth agree by chance
    twin = [int(hashlib.sha256(f"1/a/place/R-{n}".encode()).hexdigest()[:12], 16) % 10 for n in range(3_000)]
    assert first == twin
    assert all(220 < times < 380 for times in Counter(first).values())
    assert sorted(set(first)) == list(range(10))


def test_choices_come_as_often_as_they_weigh():
    chosen = Overlay("a", 1).choose("grade", {"it's": 3, "B": 1})
    rows = connect().sql(f"SELECT {chosen} FROM (SELECT 'R-' || range AS record_id FROM range(4000))").fetchall()
    assert set(times := Counter(value for (value,) in rows)) == {"it's", "B"}
    assert 2_850 < times["it's"] < 3_150
    with pytest.raises(Malformed, match="overlay weights choose nothing: column grade: wanted whole numbers from 1"):
        Overlay("a", 1).choose("grade", {"A": 0})


STLOUIS = "person_id,crime_id,role,person_sex_code\n1,1,Suspect,1\n2,1,Victim Suspect,0\n3,2,Witness,1\n1,2,Victim,1\n"


@pytest.fixture
def crimes(tmp_path) -> Path:
    (tmp_path / "crimes").mkdir()
    (tmp_path / "crimes" / "involvements.csv").write_text(STLOUIS)
    return tmp_path / "crimes"


def test_another_seed_changes_listed_cells_and_no_others(crimes, tmp_path):
    listed, told = [], []
    for seed in (1, 2):
        out = tmp_path / str(seed)
        stlouis_crime.adapt(crimes, out, seed=seed, step=silent)
        told.append(read(out / "stlouis_crime"))
        listed.append({tuple(row.values())[:3]: row["value"] for row in raw(out / "stlouis_crime.overlay.csv")})
    one, two = (by_id(extract) for extract in told)
    for record, row in one.items():
        for column, value in row.items():
            named = ("STLOUIS", record, column)
            assert (named in listed[0]) == (column in stlouis_crime._INVENTED)
            assert value == two[record][column] or named in listed[0]
            assert listed[0].get(named, value) == value
    assert listed[0] != listed[1]
    assert told[0].involvements == told[1].involvements
    assert in_records(told[0]) == {"STL-1": {"STL-P1", "STL-P2"}, "STL-2": {"STL-P1", "STL-P3"}}


# ---- bad input, and the door -----------------------------------------------------------------------------------------


def test_a_missing_file_and_a_missing_column_are_named(crimes, little, tmp_path):
    (little / THIRD / "complaints.csv.gz").unlink()
    with pytest.raises(Missing, match=rf"source file is missing: {THIRD}/complaints\.csv\.gz, wanted"):
        cpd_police_records.adapt(little, tmp_path / "out", seed=1, step=silent, releases="together")
    (crimes / "involvements.csv").write_text("person_id,crime_id,role\n1,1,Suspect\n")
    with pytest.raises(Malformed, match="wanted CSV with columns person_id, crime_id, role, person_sex_code") as caught:
        stlouis_crime.adapt(crimes, tmp_path / "out", seed=1, step=silent)
    assert "not in its form: crimes/involvements.csv" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_words_and_rows_that_no_description_has_are_refused(crimes, tmp_path):
    (crimes / "involvements.csv").write_text(STLOUIS + "4,2,Bystander,0\n")
    with pytest.raises(Malformed, match="roles that are not described: 1 rows, wanted one of Suspect, Victim, Witness"):
        stlouis_crime.adapt(crimes, tmp_path / "out", seed=1, step=silent)
    (crimes / "events.csv").write_text("event_id,date,date_flag\nE01,2008-01-01,?\n")
    (crimes / "attendance.csv").write_text("person_id,event_id\nP1,E01\nP2,E99\n")
    with pytest.raises(Malformed, match="meetings that it does not list: 1 attendances, wanted all"):
        infinito_summits.adapt(crimes, tmp_path / "out", seed=1, step=silent)
    codes = "offence_subgroup,offence_code,offence\nArson,56A,Arson\nPiracy,77,Piracy\n"
    (crimes / "home_office_offence_codes_2018.csv").write_text(codes)
    (crimes / "cchi_weights_by_subgroup.csv").write_text("prc_subgroup,cchi_days\nArson,185.0\n")
    with pytest.raises(Malformed, match="offence codes without a weight: found 1, wanted one for"):
        harm_weights.adapt(crimes, tmp_path / "out", seed=1, step=silent)
    assert not (tmp_path / "out").exists()


def test_an_extract_is_not_written_over(crimes, tmp_path):
    stlouis_crime.adapt(crimes, tmp_path / "out", seed=1, step=silent)
    before = cells_of(tmp_path / "out" / "stlouis_crime" / "records.csv")
    with pytest.raises(Conflict, match="extract is there already: stlouis_crime, wanted a new or empty folder"):
        stlouis_crime.adapt(crimes, tmp_path / "out", seed=2, step=silent)
    assert cells_of(tmp_path / "out" / "stlouis_crime" / "records.csv") == before


def test_the_door(crimes, tmp_path):
    run, out = CliRunner().invoke, tmp_path / "out"
    done = run(main, ["stlouis_crime", str(crimes), str(out), "--seed", "3"])
    assert done.exit_code == 0, done.output
    assert "stlouis_crime: written." in done.output
    assert "Invented (overlay, seed 3)" in (out / "SOURCE-NOTE.md").read_text()
    again = run(main, ["stlouis_crime", str(crimes), str(out)])
    assert again.exit_code == 6
    assert "output folder holds something already: out, wanted a new or an empty one" in again.output
    foreign = run(main, ["stlouis_crime", str(crimes), str(tmp_path / "new"), "--releases", "separate"])
    assert foreign.exit_code == 7
    assert "option --releases belongs to cpd_police_records: found it with stlouis_crime" in foreign.output
    nowhere = run(main, ["infinito_summits", str(tmp_path / "none"), str(tmp_path / "new")])
    assert nowhere.exit_code == 5
    assert "source file is missing: none/events.csv" in nowhere.output
    assert run(main, ["nothing", "a", "b"]).exit_code == 2
