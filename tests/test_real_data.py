"""Real records through the whole product: received, built, asked again, and counted a second way from the raw files.

The second counts know nothing of the product: the csv module, sets and `itertools`, one row after another. What a data
set's adapter makes of it stands in `test_sources.py`; here it is what the archive says, and when.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
import re
import shutil
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest
from force import HARM, PARAMS, Force, record, surroundings, tables

from pipeline.sample import weeks
from pipeline.sample.plan import Plan
from pipeline.sources import cpd_police_records, custody_registers, harm_weights, infinito_summits, stlouis_crime
from provenance import builds, causes, disposal, entries, extracts, harm, moments, params, publishing, verify
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.errors import Missing, Refused, Tampered
from provenance.harm import HarmTable
from provenance.receiving import Receipt

People = dict[str, set[str]]  # record id to who is in it
Parts = set[tuple[str, str, str]]  # (a, b, record id), a before b: one record's part in one pair

OLD = "complaints_release_2016-12_scope_1967-1999"
FIRST = "complaints_release_2016-11_scope_2000-2016"
SECOND = "complaints_release_2018-03_scope_2000-2018"
THIRD = "complaints_release_2020-07_scope_2000-2020"
FOURTH = "complaints_release_2022-09_scope_2000-2022"
FORCE = "use_of_force_release_2016-09"
CIVIL = "settlements_release_2017-01"


def rules_for(systems: dict[str, tuple[str, ...]], **thresholds: int) -> params.Params:
    """The force's params for other systems: no cap on people, and no threshold but those given."""
    said = PARAMS.model_dump()
    said["systems"] = systems
    said["links"]["people_per_record"] = 0
    loose = {"max_drop_percent": 100, "least_rows": 0, "stale_watermark_days": 36_500, "max_rejects_percent": 0}
    said["thresholds"] = loose | thresholds
    return params.Params.model_validate(said)


def take(force: Force, folder: Path, rules: params.Params) -> tuple[str, Receipt]:
    """Receive an extract, of which every row must be good; its cut-off, and what receiving did."""
    extract = extracts.read(folder, systems=rules.systems)
    assert extract.rejects.num_rows == 0, extract.rejects.slice(0, 3).to_pylist()
    return extract.cut_off, force.take(folder, on=extract.cut_off, systems=rules.systems)


def build(force: Force, rules: params.Params, cut_off: str, *, table: HarmTable = HARM) -> builds.BuildReport:
    """A build published at its cut-off."""
    return builds.build(
        force.archive, rules, table, cut_off=cut_off, published_at=cut_off, around=lambda _: surroundings(cut_off)
    )


def parts_of(links: pa.Table) -> Parts:
    """Each pair of one theme with each of its record ids. None twice, and as many as the link says it rests on."""
    told = supports_of(links, "record_id")
    parts = set(told)
    assert len(parts) == len(told) == pc.sum(links["records"]).as_py()
    held = pc.list_value_length(links["supports"].combine_chunks())
    assert held.equals(links["records"].combine_chunks().cast(held.type))
    return parts


def supports_of(links: pa.Table, *columns: str) -> list[tuple[str, ...]]:
    """Both people of each link with these columns of each of its supports."""
    supports = links["supports"].combine_chunks()
    owner, flat = pc.list_parent_indices(supports), supports.flatten()
    sides = [links[side].combine_chunks().take(owner) for side in "ab"]
    return list(zip(*(c.to_pylist() for c in (*sides, *map(flat.field, columns))), strict=True))


def pairs_in(parts: Parts) -> set[tuple[str, str]]:
    return {(a, b) for a, b, _ in parts}


# ---- the second count ------------------------------------------------------------------------------------------------


def raw(path: Path) -> Iterator[dict[str, str]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return csv.DictReader(io.StringIO(text, newline=""))


def counted(people: People) -> Parts:
    """Everyone in a record with everyone else in it."""
    return {(*pair, name) for name, here in people.items() for pair in combinations(sorted(here), 2)}


def gathered(rows: Iterable[tuple[str, str]]) -> People:
    found = defaultdict(set)
    for name, person in rows:
        found[name].add(person)
    return found


# ---- St. Louis, with the Cambridge index -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cambridge(shared, tmp_path_factory) -> HarmTable:
    out = tmp_path_factory.mktemp("harm")
    harm_weights.adapt(shared / "data" / "harm_weights", out, seed=1, step=lambda _: None)
    return harm.read(out / harm_weights.FILE, "cchi-2026-subgroup")


def priced(rules: params.Params, table: HarmTable) -> params.Params:
    """The rules with `table` as their one edition."""
    edition = {"name": table.edition, "file": harm_weights.FILE, "unit": "days", "sha256": table.sha256}
    said = rules.model_dump()
    said["harm"]["editions"] = (edition,)
    return params.Params.model_validate(said)


@pytest.fixture(scope="module")
def stlouis(shared, cambridge, tmp_path_factory) -> tuple[Force, Path]:
    """The crimes as one build, and the folder that the adapter wrote."""
    home = tmp_path_factory.mktemp("stlouis")
    stlouis_crime.adapt(shared / "data" / "stlouis_crime", home / "told", seed=1, step=lambda _: None)
    rules, force = priced(rules_for(stlouis_crime.SYSTEMS), cambridge), Force(home)
    cut_off, receipt = take(force, home / "told" / "stlouis_crime", rules)
    assert receipt.fresh == {"record": 551, "involvement": 1_517, "person": 829, "identity": 0, "order": 0}
    build(force, rules, cut_off, table=cambridge)
    yield force, home / "told"
    force.archive.close()


def last(force: Force) -> Snapshot:
    return force.as_of(force.archive.history.publications[-1].start)


def test_stlouis_links_are_those_of_the_raw_file(stlouis, shared):
    parts = parts_of(last(stlouis[0]).links())
    rows = raw(shared / "data" / "stlouis_crime" / "involvements.csv")
    assert parts == counted(gathered((f"STL-{row['crime_id']}", f"STL-P{row['person_id']}") for row in rows))
    assert (len(pairs_in(parts)), len(parts)) == (2_253, 2_353)


def days_by_code(source: Path) -> dict[str, int]:
    """Whole days per offence code, from the two published files; half a day goes up."""
    weights = {row["prc_subgroup"]: Decimal(row["cchi_days"]) for row in raw(source / "cchi_weights_by_subgroup.csv")}
    weights["Domestic burglary"] = weights["Residential burglary"]  # its name in 2018
    codes = raw(source / "home_office_offence_codes_2018.csv")
    groups = {row["offence_code"]: row["offence_subgroup"] for row in codes}
    return {
        code: int(weights[group].quantize(Decimal(1), ROUND_HALF_UP))
        for code, group in groups.items()
        if group in weights
    }


def test_stlouis_harm_is_the_suspects_own_by_the_published_weights(stlouis, shared):
    force, told = stlouis
    days = days_by_code(shared / "data" / "harm_weights")
    offence = {
        row["record_id"]: row["value"]
        for row in raw(told / "stlouis_crime.overlay.csv")
        if row["column"] == "offence_code"
    }
    harmed = Counter()
    for row in raw(shared / "data" / "stlouis_crime" / "involvements.csv"):
        if "Suspect" in row["role"]:
            harmed[f"STL-P{row['person_id']}"] += days[offence[f"STL-{row['crime_id']}"]]
    people = {row["nominal"]: row for row in last(force).nominals().to_pylist()}
    assert len(people) == 829
    assert {who: row["harm"] for who, row in people.items() if row["harm"]} == +harmed
    assert max(harmed.values()) > days["1/4.1/4.10/4.2"] == 5_475
    assert {(row["harm_unknown"], row["harm_edition"]) for row in people.values()} == {(0, "cchi-2026-subgroup")}
    snapshot = last(force)
    for who, days_of in harmed.most_common(5):  # compared with what was stored, and with the raw file
        found = snapshot.harm(who)
        assert [row["harm"] for row in found.totals.to_pylist()] == [days_of]
        assert found.totals["stored"].to_pylist() == [days_of]
    areas = snapshot.places(by=())  # a record is in one area, so the areas add up to all records behind links
    linked = {(s["system"], s["record_id"]) for link in snapshot.links().to_pylist() for s in link["supports"]}
    assert sum(areas["records"].to_pylist()) == len(linked) > 0


def test_harm_of_one_person_adds_up_and_what_has_no_price_is_flagged(cambridge, shared, tmp_path):
    days = days_by_code(shared / "data" / "harm_weights")
    assert (days["34A"], days["34B"], days["28E"]) == (365, 365, 274)  # robbery, robbery, burglary of 273.5 days
    force, rules = Force(tmp_path), priced(PARAMS, cambridge)
    force.receive(
        record("R-1", "N-1", "N-2:victim", offence_code="1/4.1/4.10/4.2"),
        record("R-2", "N-1:offender", "N-3", offence_code="34B"),
        record("R-3", "N-1", "N-3:witness", offence_code="28E"),
        record("R-4", "N-1", "N-2", offence_code="99Z"),  # no such code
        record("R-5", "N-1", "N-2", offence_code="55"),  # expired: fraud to 2012/13
        record("R-6", "N-3", "N-2:victim", offence_code=""),
        record("R-7", "N-3:arrested", "N-2", offence_code="34A", kind="custody"),  # the same offence as its crime
        cut_off="2026-01-12T00:00:00Z",
    )
    build(force, rules, "2026-01-12T00:00:00Z", table=cambridge)
    people = {row["nominal"]: row for row in force.as_of("2026-01-13").nominals().to_pylist()}
    assert {who: (row["harm"], row["harm_unknown"]) for who, row in people.items()} == {
        "N-1": (days["1/4.1/4.10/4.2"] + days["34B"] + days["28E"], 2),
        "N-2": (days["34A"], 2),  # as a suspect of; nothing of the homicide whose victim they were
        "N-3": (days["34B"], 1),
    }
    stated = force.as_of("2026-01-13").statement
    assert [(edition.name, edition.digest) for edition in stated.harm_tables] == [
        ("cchi-2026-subgroup", cambridge.sha256)
    ]


# ---- Infinito, week by week ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def infinito(shared, tmp_path_factory) -> Force:
    """One record set, received once, and a build at the end of each week from its first record on."""
    home = tmp_path_factory.mktemp("infinito")
    infinito_summits.adapt(shared / "data" / "infinito_summits", home / "told", seed=1, step=lambda _: None)
    rules, force = rules_for(infinito_summits.SYSTEMS), Force(home)
    take(force, home / "told" / "infinito_summits", rules)
    for cut_off in builds.weekly_cut_offs(force.archive):
        build(force, rules, cut_off)
    yield force
    force.archive.close()


def meetings(shared: Path, until: str) -> People:
    """Who was at the meetings up to a day, the day itself among them."""
    source = shared / "data" / "infinito_summits"
    days = {row["event_id"]: row["date"] for row in raw(source / "events.csv")}
    return gathered(
        (f"INF-{row['event_id']}", f"INF-{row['person_id']}")
        for row in raw(source / "attendance.csv")
        if days[row["event_id"]] <= until
    )


def test_infinito_as_of_any_week_holds_the_meetings_until_then(infinito, shared):
    live = infinito.archive.history.publications
    assert (len(live), live[0].label, live[-1].label) == (107, "2007-W42", "2009-W44")
    seen = []
    for published in [*live[:-1:9], live[-1]]:
        sunday = moments.instant(published.start).astimezone(moments.LONDON).date().isoformat()
        parts = parts_of(infinito.as_of(published.start).links())
        assert parts == counted(meetings(shared, sunday)), published.label
        seen.append(len(pairs_in(parts)))
    assert seen == sorted(seen)
    assert len(set(seen)) > 8
    assert (len(pairs_in(parts)), len(parts)) == (1_619, 2_458)


def test_infinito_a_meeting_is_unknown_until_the_build_after_it(infinito, shared):
    days = [row["date"] for row in raw(shared / "data" / "infinito_summits" / "events.csv")]
    day = next(d for d in sorted(days) if date.fromisoformat(d).weekday() == 2 and d > "2008-06")  # a Wednesday
    met = {name for name, people in meetings(shared, day).items() if len(people) > 1}
    new = met - meetings(shared, f"{day[:-2]}{int(day[-2:]) - 1:02d}").keys()
    assert new
    before, after = (infinito.as_of(f"{when}T12:00") for when in (day, next_monday(day)))
    assert not new & {name for _, _, name in parts_of(before.links())}
    assert new <= {name for _, _, name in parts_of(after.links())}
    assert before.built.cut_off < day < after.built.cut_off


def next_monday(day: str) -> str:
    year, week, _ = date.fromisoformat(day).isocalendar()
    return date.fromordinal(date.fromisocalendar(year, week, 7).toordinal() + 1).isoformat()


# ---- custody, two full registers -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registers(shared, tmp_path_factory) -> tuple[Force, dict[str, set[str]]]:
    """Broward's jail, then New York's register twice; the second has so few people that a person has to let it pass."""
    home, source = tmp_path_factory.mktemp("custody"), shared / "data" / "custody_registers"
    custody_registers.adapt(source, home / "told", seed=1, step=lambda _: None)
    rules, force = rules_for(custody_registers.SYSTEMS, max_drop_percent=20, least_rows=200), Force(home)
    for name in ("broward-2016-04", "nyc-2017-06"):
        cut_off, _ = take(force, home / "told" / name, rules)
        build(force, rules, cut_off)
    cut_off, receipt = take(force, home / "told" / "nyc-2021-02", rules)
    stood = {name: stays(source, name) for name in ("2017-06", "2021-02")}
    same = len(stood["2017-06"].items() & stood["2021-02"].items())  # held throughout, with nothing else about the stay
    assert 0 < same < len(stood["2017-06"].keys() & stood["2021-02"].keys()) == 62
    assert (receipt.fresh["record"], receipt.replaced["record"]) == (5_310 - same, 9_239 - same)

    drop = "NYC-CUSTODY sent 5310 {0}, 42 % fewer than the 9239 before; params allow 20 %"
    with pytest.raises(Refused, match="build 2021-W06 is blocked until a person confirms: ") as refused:
        build(force, rules, cut_off)
    assert all(drop.format(what) in str(refused.value) for what in ("records", "involvements"))
    found = publishing.findings(force.archive, cut_off, rules)
    publishing.confirm(
        force.archive, found, on=cut_off, by="A. Reader", under="a story", reason="the city holds fewer people"
    )
    build(force, rules, cut_off)
    held = {
        name: {f"NYC-{row['INMATEID']}" for row in raw(source / f"nyc_custody_register_{name}.csv.gz")}
        for name in ("2017-06", "2021-02")
    }
    held["broward"] = {
        f"BSO-{row['person_id']}"
        for row in raw(source / "broward_jail_episodes_2013-2016.csv.gz")
        if row["c_jail_in"] or row["r_jail_in"]
    }
    yield force, held
    force.archive.close()


def stays(source: Path, register: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Who was admitted when, to the charge and the status that stand there now."""
    rows = sorted(
        (row["INMATEID"], row["ADMITTED_DT"], row["TOP_CHARGE"], row["INMATE_STATUS_CODE"])
        for row in raw(source / f"nyc_custody_register_{register}.csv.gz")
    )
    return {(who, when): (charge, status) for who, when, charge, status in reversed(rows)}  # of two rows, the least


def test_who_left_the_register_is_gone_from_the_build_on_and_still_there_before(registers):
    force, held = registers
    before, after = force.as_of("2021-02-10"), force.as_of("2021-02-12")
    assert (before.label, after.label) == ("2017-W25", "2021-W06")
    for snapshot, name, count in ((before, "2017-06", 9_238), (after, "2021-02", 5_310)):
        people = {row["nominal"] for row in snapshot.nominals().to_pylist()}
        assert {who for who in people if who.startswith("NYC-")} == held[name]
        assert len(held[name]) == count
        # A full extract speaks for its own system: Broward's people stay.
        assert people - held[name] == held["broward"]
        assert snapshot.links().num_rows == 0
        snapshot.verify()

    left, stays = (min(names) for names in (held["2017-06"] - held["2021-02"], held["2017-06"] & held["2021-02"]))
    assert before.nominals(nominal=left).num_rows == 1
    assert before.people([left, stays])["nominal_id"].to_pylist() == sorted([left, stays])
    assert after.nominals(nominal=left).num_rows == 0
    assert after.people([left, stays])["nominal_id"].to_pylist() == [stays]


def test_the_drop_that_blocked_the_second_register_is_on_record(registers):
    history = registers[0].archive.history
    assert [(act.label, act.reason) for act in history.failures] == [("2021-W06", "refused")]
    assert {(act.threshold, act.reason, act.by) for act in history.confirmations} == {
        (f"drop in {what}", "the city holds fewer people", "A. Reader") for what in ("records", "involvements")
    }


# ---- Chicago, together -----------------------------------------------------------------------------------------------


def test_chicago_complaints_together_are_every_pair_of_every_raw_row(shared, tmp_path):
    source = shared / "data" / "cpd_police_records"
    cpd_police_records.adapt(source, tmp_path / "told", seed=1, step=lambda _: None, releases="together")
    rules, force = rules_for(cpd_police_records.SYSTEMS), Force(tmp_path)
    cut_off, receipt = take(force, tmp_path / "told" / "cpd-complaints", rules)
    assert (receipt.fresh["record"], receipt.fresh["person"]) == (138_799, 23_582)
    report = build(force, rules, cut_off)
    left_out = report.links.left_out.to_pylist()  # nothing but the complaints of one officer
    assert [(row["reason"], row["records"], row["people"]) for row in left_out] == [("one-person", 66_530, 66_530)]
    parts = parts_of(last(force).links())
    force.archive.close()

    files = ((OLD, "accused"), (FIRST, "accused"), (FIRST, "police_witnesses"), (SECOND, "accused"),
             (SECOND, "police_witnesses"))  # fmt: skip
    named = gathered(
        (f"CR-{row['cr_id']}", f"UID-{row['UID']}")
        for folder, file in files
        for row in raw(source / folder / f"{file}.csv.gz")
        if row["UID"]
    )
    assert sum(len(people) == 1 for people in named.values()) == 66_530
    assert max(len(people) for people in named.values()) == 192
    second = counted(named)
    assert (len(second), len(pairs_in(second))) == (459_477, 365_421)
    assert parts == second


# ---- Chicago, release by release -------------------------------------------------------------------------------------

UNREAD = ("victims.csv.gz", "complainants.csv.gz", "civilian_witnesses.csv.gz", "unit_history.csv.gz")  # by the adapter
ONE_IN = 16  # complaints and encounters that take part, beside all that a story below is about; 1 takes minutes
RELEASES = (
    "2016-09-force", "2016-11-complaints", "2016-12-complaints", "2017-01-civil", "2018-03-complaints",
    "2018-06-identity", "2020-07-complaints", "2022-09-complaints",
)  # fmt: skip
# A day on which the build after each release was live.
_DAYS = "2016-11-01", "2016-12-15", "2017-01-15", "2017-12-24", "2018-05-01", "2019-07-01", "2021-01-01", "2023-01-01"
LIVE_ON = dict(zip(RELEASES, _DAYS, strict=True))


@dataclass(frozen=True)
class Chicago:
    """The register as it was told in turn, to the archive and to the second count."""

    force: Force
    source: Path  # the raw files, thinned
    at_the_time: dict[str, pa.Table]  # the links, asked for just after each build
    told: dict[str, People]  # the second count: who is in each record, after each release

    def then(self, release: str) -> Snapshot:
        return self.force.as_of(LIVE_ON[release])

    def parts(self, release: str) -> Parts:
        return counted(self.told[release])


@pytest.fixture(scope="module")
def chicago(shared, tmp_path_factory) -> Chicago:
    home = tmp_path_factory.mktemp("chicago")
    source = thinned(shared / "data" / "cpd_police_records", home / "raw")
    cpd_police_records.adapt(source, home / "told", seed=1, step=lambda _: None, releases="separate")
    rules, force, at_the_time = rules_for(cpd_police_records.SYSTEMS), Force(home), {}
    for release in RELEASES:
        cut_off, _ = take(force, home / "told" / release, rules)
        build(force, rules, cut_off)
        at_the_time[release] = force.as_of(cut_off).links()
    yield Chicago(force, source, at_the_time, told_in_turn(source))
    force.archive.close()


def thinned(source: Path, out: Path) -> Path:
    """The raw files with one complaint and one encounter in ONE_IN, and the complaints that change in a telling way."""
    telling = {complaint for complaint, _ in dropped(source)}
    telling |= dropped_or_added(source) | redated(source).keys() | of_people_judged_anew(source) | deleted(source)
    event_of = {row["trr_id"]: row["event_id"] for row in raw(source / FORCE / "subjects.csv.gz")}
    for path in sorted(path for path in source.rglob("*.csv.gz") if path.name not in UNREAD):
        here = out / path.relative_to(source)
        here.parent.mkdir(parents=True, exist_ok=True)
        rows = as_text(path)
        key = next((name for name in ("cr_id", "trr_id") if name in rows.column_names), None)
        if key:
            kept = [
                name
                for name in pc.unique(rows[key]).to_pylist()
                if name in telling or zlib.crc32(event_of.get(name, name).encode()) % ONE_IN == 0
            ]
            rows = rows.filter(pc.is_in(rows[key], value_set=pa.array(kept, pa.string())))
        with gzip.open(here, "wb", compresslevel=1) as sink:
            pa_csv.write_csv(rows, sink)
    return out


def as_text(path: Path) -> pa.Table:
    with gzip.open(path, "rt", newline="") as handle:
        columns = next(csv.reader(handle))
    kept = pa_csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False)
    return pa_csv.read_csv(path, parse_options=pa_csv.ParseOptions(newlines_in_values=True), convert_options=kept)


@cache
def accused(source: Path, folder: str) -> People:
    return gathered((r["cr_id"], r["UID"]) for r in raw(source / folder / "accused.csv.gz") if r["UID"])


def dropped_or_added(source: Path) -> set[str]:
    """Complaints of which both releases identify accused, and not the same ones."""
    first, second = accused(source, FIRST), accused(source, SECOND)
    return {complaint for complaint in first.keys() & second.keys() if first[complaint] != second[complaint]}


def dropped(source: Path) -> set[tuple[str, str]]:
    """Complaint and accused of 2016 that 2018 has no more, although it has accused of that complaint: 73 of the 204
    because it does not identify them any more.
    """
    present = {row["cr_id"] for row in raw(source / SECOND / "accused.csv.gz")}
    first, second = accused(source, FIRST), accused(source, SECOND)
    return {(r, who) for r in first.keys() & present for who in first[r] - second.get(r, set())}


def redated(source: Path) -> dict[str, tuple[str, str]]:
    """Complaints with one incident day in the release of 2016-11, and another in that of 2018-03."""
    days = [
        gathered((row["cr_id"], row[column]) for row in raw(source / folder / "complaints.csv.gz") if row[column])
        for folder, column in ((FIRST, "incident_date"), (SECOND, "incident_start_date"))
    ]
    single = {cr: (days[0][cr], days[1][cr]) for cr in days[0].keys() & days[1].keys()}
    return {cr: (min(x), min(y)) for cr, (x, y) in single.items() if len(x) == len(y) == 1 and x != y}


@dataclass(frozen=True)
class Redirect:
    """The publisher's table of June 2018, read as SOURCE.md describes it."""

    old_of: dict[str, str]  # present identifier to the earlier one that the person went by
    present: dict[str, str]  # earlier to present, where it names one person
    divided: dict[str, str]  # present to earlier, where the earlier names two people
    absorbing: set[str]  # present identifiers of people who had several earlier ones


def redirect(source: Path) -> Redirect:
    rows = list(raw(source / "identity" / "uid_redirect_v0_v2_2018-06-01.csv.gz"))
    rows = [(row["UID"], row["link_UID"], row["old_UID"]) for row in rows if row["UID"] and row["old_UID"]]
    news, olds = gathered((old, uid) for uid, _, old in rows), gathered((uid, old) for uid, _, old in rows)
    old_of = {uid: old for uid, link, old in rows if len(olds[uid]) == 1 or old == link}
    return Redirect(
        old_of,
        {old: next(iter(uids)) for old, uids in news.items() if len(uids) == 1},
        {uid: old for old, uids in news.items() if len(uids) > 1 for uid in uids},
        {uid for uid, earlier in olds.items() if len(earlier) > 1},
    )


def of_people_judged_anew(source: Path) -> set[str]:
    judged = redirect(source)
    people = judged.absorbing | judged.divided.keys()
    return {cr for folder in (OLD, FIRST, SECOND) for cr, here in accused(source, folder).items() if here & people}


def deleted(source: Path) -> set[str]:
    return {r["cr_id"] for r in raw(source / THIRD / "complaints.csv.gz") if r["current_status"] == "DELETED"}


def told_in_turn(source: Path, gone: frozenset[str] = frozenset(), *, apart: bool = False) -> dict[str, People]:
    """Record id to the people in it, as they were judged to be after each release; without those `gone`, by the id
    that the record itself has. Who was judged to be one of them is gone with them, or `apart`: under their own id.

    Accused and witnesses are separate statements: where a release identifies any of a complaint, they replace the
    earlier ones. A complaint that a release lists is told again with everyone known of it by then; one that is DELETED
    is told no more.
    """
    judged = redirect(source)

    def named(uid: str, old: str = "") -> str:
        """The identifier before June 2018."""
        old = old or judged.old_of.get(uid, "")
        return f"UID-{uid}" if not old or old in judged.divided.values() else f"V0-{old}"

    def rows(folder: str, file: str) -> list[dict[str, str]]:
        return list(raw(source / folder / f"{file}.csv.gz"))

    known: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(dict)  # complaint, role, (present, earlier)
    people: People = {}
    told: dict[str, People] = {}

    event_of = {row["trr_id"]: row["event_id"] for row in rows(FORCE, "subjects")}
    subjects = [(f"TRR-E{row['event_id']}", f"SUBJ-{row['subject_ID']}") for row in rows(FORCE, "subjects")]
    officers = [
        (f"TRR-E{event_of[row['trr_id']]}", named(row["UID"], row["old_UID"]))
        for row in rows(FORCE, "officers")
        if row["UID"]
    ]
    cases = [(f"CIV-{row['case_id']}", named(row["UID"])) for row in rows(CIVIL, "case_officers") if row["UID"]]
    listed = {
        "2016-11-complaints": (FIRST, ("complaints", "accused"), ("accused", "police_witnesses")),
        "2016-12-complaints": (OLD, ("complaints", "accused"), ("accused",)),
        "2018-03-complaints": (SECOND, ("complaints", "police_witnesses"), ("accused", "police_witnesses")),
        "2020-07-complaints": (THIRD, ("complaints",), ()),
        "2022-09-complaints": (FOURTH, ("complaints",), ()),
    }
    for release in RELEASES:
        if release == "2016-09-force":
            people |= gathered(subjects + officers)
        elif release == "2017-01-civil":
            people |= gathered(cases)
        elif release in listed:
            folder, listing, naming = listed[release]
            for file in naming:
                now = gathered((r["cr_id"], (r["UID"], r.get("old_UID", ""))) for r in rows(folder, file) if r["UID"])
                for complaint, here in now.items():
                    known[complaint][file] = {(uid, named(uid, old)) for uid, old in here}
            statuses = [(r["cr_id"], r.get("current_status", "")) for file in listing for r in rows(folder, file)]
            for complaint, status in statuses:
                everyone = set().union(*known[complaint].values()) if complaint in known else set()
                if everyone:
                    people[f"CR-{complaint}"] = {
                        earlier if release < "2018-06" else f"UID-{uid}"
                        for uid, earlier in (everyone if status != "DELETED" else ())
                    }
        told[release] = {}
        for named_record, here in people.items():
            stands = {who: judged_on(release, who, judged) for who in here - gone}
            if here:
                told[release][named_record] = {
                    who if apart and now in gone else now for who, now in stands.items()
                } - gone
    return told


def judged_on(release: str, who: str, judged: Redirect) -> str:
    """Whom an identifier was taken for. The first complaint release says who shares one; the redirect ends that."""
    kind, _, number = who.partition("-")
    if release < "2016-11":
        return who
    if release < "2018-06":
        return f"V0-{judged.divided[number]}" if kind == "UID" and number in judged.divided else who
    return f"UID-{judged.present[number]}" if kind == "V0" else who


@pytest.mark.parametrize("release", RELEASES)
def test_each_build_says_what_had_been_released_and_goes_on_saying_it(chicago, release):
    links = chicago.then(release).links()  # asked for after all the later releases came
    assert links.equals(chicago.at_the_time[release])
    assert parts_of(links) == chicago.parts(release)
    assert links.num_rows > 5_000


def test_builds_of_releases_differ_and_verify(chicago):
    labels = [chicago.then(release).label for release in RELEASES]
    assert labels == [built.label for built in chicago.force.archive.history.builds]
    assert len(set(labels)) == len(RELEASES)
    for release in ("2016-12-complaints", "2018-06-identity"):
        chicago.then(release).verify()


def behind(snapshot: Snapshot, a: str, b: str) -> dict[str, dict]:
    """The supports of the one link between two people, by record id."""
    (link,) = snapshot.explain(a, b)
    return {support["record_id"]: support for support in link["supports"]}


@pytest.mark.parametrize("pair", list(pairwise(RELEASES)), ids="-".join)
def test_the_causes_between_two_releases_are_the_whole_change(chicago, pair):
    """Each link's change against the second count: by who was in which record then, and who came to be whom."""
    before, after = map(chicago.then, pair)
    split = causes.causes(before, after)
    change, rows = np.zeros(split.changes.num_rows, np.int64), split.changes
    for cause in causes.STEPS:
        change += rows[cause].to_numpy()
    assert (change == rows["after"].to_numpy() - rows["before"].to_numpy()).all()
    links = rows.filter(pc.equal(rows["kind"], "link"))
    assert not pc.any(pc.greater(pc.abs(links["disposal"]), 0)).as_py()
    listed = {(a, b) for a, b in zip(links["a"].to_pylist(), links["b"].to_pylist(), strict=True)}
    parts = [chicago.parts(release) for release in pair]
    gone, come = pairs_in(parts[0]) - pairs_in(parts[1]), pairs_in(parts[1]) - pairs_in(parts[0])
    assert gone | come <= listed
    # Every record that one release alone tells of between two people is behind a cause, and what it gave is its amount.
    behind = split.behind.filter(pc.equal(split.behind["kind"], "link"))
    named = set(zip(*(behind[name].to_pylist() for name in ("a", "b", "record_id")), strict=True))
    assert parts[0] ^ parts[1] <= named
    told = [chicago.told[release].keys() for release in pair]
    by_cause = defaultdict(set)
    for cause, record_id in zip(behind["cause"].to_pylist(), behind["record_id"].to_pylist(), strict=True):
        by_cause[cause].add(record_id)
    assert by_cause["new_record"].isdisjoint(told[0])
    assert by_cause["expired"].isdisjoint(told[1])
    assert by_cause["corrected"] <= told[0] & told[1]
    assert ("identity" in by_cause) == (pair[1] == "2018-06-identity")


def test_an_accused_whom_2018_drops_is_linked_until_then_and_not_from_then_on(chicago):
    before, after = chicago.parts("2017-01-civil"), chicago.parts("2018-03-complaints")
    changed = {f"CR-{complaint}" for complaint in dropped_or_added(chicago.source)}
    gone = sorted(part for part in before - after if part[2] in changed)
    assert len(gone) > 100
    still_linked = pairs_in(after)
    alone, among_others = (
        next(part for part in gone if (part[:2] in still_linked) is linked) for linked in (False, True)
    )

    early, late = chicago.then("2017-01-civil"), chicago.then("2018-03-complaints")
    a, b, complaint = alone
    assert set(behind(early, a, b)) == {complaint}
    with pytest.raises(Missing, match=f"build {late.label} has no link between these two nominals"):
        late.explain(a, b)
    partners = [{x["a"], x["b"]} - {a} for x in early.links(nominal=a).to_pylist()]
    assert {b} in partners
    assert {b} not in [{x["a"], x["b"]} - {a} for x in late.links(nominal=a).to_pylist()]

    a, b, complaint = among_others  # the pair keeps the records that name them both
    assert set(behind(early, a, b)) - set(behind(late, a, b)) == {complaint}
    assert set(behind(late, a, b)) == {name for x, y, name in after if (x, y) == (a, b)}


def test_an_accused_whom_2018_adds_is_linked_from_then_on_only(chicago):
    before, after = chicago.parts("2017-01-civil"), chicago.parts("2018-03-complaints")
    changed = {f"CR-{complaint}" for complaint in dropped_or_added(chicago.source)}
    linked = pairs_in(before)
    come = sorted(part for part in after - before if part[2] in changed and part[:2] not in linked)
    assert len(come) > 50
    early, late = chicago.then("2017-01-civil"), chicago.then("2018-03-complaints")
    known = {row["nominal"] for row in early.nominals().to_pylist()}
    a, b, complaint = next(part for part in come if {part[0], part[1]} <= known)
    with pytest.raises(Missing, match=f"build {early.label} has no link between these two nominals"):
        early.explain(a, b)
    assert complaint in behind(late, a, b)
    assert behind(late, a, b)[complaint]["version"] == 2


def test_an_incident_day_that_2018_corrects_stands_as_it_was_told_each_time(chicago):
    days = {f"CR-{complaint}": pair for complaint, pair in redated(chicago.source).items()}
    both = chicago.parts("2017-01-civil") & chicago.parts("2018-03-complaints")
    told = sorted(part for part in both if part[2] in days)
    assert len(told) > 100
    a, b, complaint = told[0]
    for release, version in (("2016-12-complaints", 1), ("2017-01-civil", 1), ("2018-03-complaints", 2)):
        support = behind(chicago.then(release), a, b)[complaint]
        assert (support["occurred_at"], support["version"]) == (days[complaint][version - 1], version)
    shown = {
        release: {row[:3]: row[3] for row in supports_of(chicago.then(release).links(), "record_id", "occurred_at")}
        for release in ("2017-01-civil", "2018-03-complaints")
    }
    for part in told:
        assert (shown["2017-01-civil"][part], shown["2018-03-complaints"][part]) == days[part[2]]


def test_two_identifiers_are_one_person_from_the_redirect_on_and_two_as_of_before(chicago):
    """132448 is V0-32465 in the register to 1999, and in that of 2016 shares V0-11724 with someone else."""
    before, after = chicago.then("2018-03-complaints"), chicago.then("2018-06-identity")
    one, other, now = "V0-32465", "V0-11724", "UID-132448"
    partners = []
    for who in (one, other):
        links = before.links(nominal=who).to_pylist()
        assert links
        partners.append({next(iter({link["a"], link["b"]} - {who})) for link in links})
        assert before.nominals(nominal=who)["nominal"].to_pylist() == [who]
    assert before.canonical(one) == one
    assert before.canonical(now) == other  # as the earlier matching had it

    assert after.canonical(one) == after.canonical(now) == now
    links = after.links(nominal=now)
    assert links.equals(after.links(nominal=one))
    assert after.nominals(nominal=one)["nominal"].to_pylist() == [now]
    present = {f"V0-{old}": f"UID-{uid}" for old, uid in redirect(chicago.source).present.items()}
    met = {next(iter({link["a"], link["b"]} - {now})) for link in links.to_pylist()}
    assert met == {present.get(who, who) for who in set().union(*partners)}
    known_as = {
        source
        for link in links.to_pylist()
        for support in link["supports"]
        for source in support["sources_a" if link["a"] == now else "sources_b"]
    }
    assert known_as == {one}  # the records of 2016 knew them by the present identifier, those to 1999 did not
    assert after.links(nominal=other).num_rows == 0  # nobody's any more
    assert before.links(nominal=other).num_rows == len(partners[1])


def test_a_complaint_that_the_register_deletes_counts_for_nobody_until_it_is_told_again(chicago):
    """261241, of one officer: CLOSED/FINAL in 2018, DELETED in 2020, CLOSED/FINAL again in 2022."""
    named = {name.removeprefix("CR-") for name in chicago.told["2018-06-identity"]}
    assert deleted(chicago.source) & named == {"261241"}
    (officer,) = chicago.told["2018-06-identity"]["CR-261241"]
    records = []
    for release in ("2018-06-identity", "2020-07-complaints", "2022-09-complaints"):
        records.append(sum(chicago.then(release).nominals(nominal=officer)["records"].to_pylist()))
        assert records[-1] == sum(officer in people for people in chicago.told[release].values())
    assert records[0] == records[1] + 1 == records[2]


# ---- Chicago, disposed of --------------------------------------------------------------------------------------------

DRAWN = 1_000  # nominals, beside the complaints of which a release drops an accused
DISPOSED_ON = "2023-01-02T09:00:00Z"


@dataclass(frozen=True)
class Gone:
    """A copy of the register's archive, of which complaints and people were disposed of."""

    force: Force
    records: frozenset[str]
    people: frozenset[str]
    roots: dict[str, str]  # of each build, as published
    before: Path  # the archive as it was, in a copy
    outcome: disposal.Outcome


@pytest.fixture(scope="module")
def gone(chicago, tmp_path_factory) -> Gone:
    home = tmp_path_factory.mktemp("gone")
    for name in ("force", "force.keys"):
        shutil.copytree(chicago.force.folder / name, home / name)
        shutil.copytree(chicago.force.folder / name, home / "before" / name)
    force = object.__new__(Force)
    force.folder, force.root, force.keys, force._extracts = home, home / "force", home / "force.keys", 0
    force.archive = Archive(force.root, force.keys)
    pairs = dropped(chicago.source)
    keys = force.archive.vault.keys(np.delete(force.archive.vault.secrets()[0], 0)).to_pylist()
    nominals = sorted(key[2:] for key in keys if key.startswith("n"))
    held = {key.split("\x1f")[2] for key in keys if key.startswith("r\x1f")}
    records = {f"CR-{r}" for r, _ in pairs} & held
    assert len(pairs) == 204  # as the data's own description counts them
    people = random.Random(7).sample(nominals, DRAWN)
    asked = [disposal.Request("nominal", "", who) for who in people]
    asked += [disposal.Request("record", "CPD-COMPLAINTS", record) for record in sorted(records)]
    rules = rules_for(cpd_police_records.SYSTEMS)
    said = {"on": DISPOSED_ON, "by": "planner", "under": "retention schedule", "reason": "mopi-review"}
    roots = {release: chicago.then(release).root for release in RELEASES}
    plan = disposal.plan(force.archive, rules, HARM, asked, **said)
    assert {line.outcome for line in plan.lines} == {disposal.DISPOSE}
    (outcome,) = disposal.carry_out(
        force.archive, plan, rules, HARM, on=DISPOSED_ON, by="officer", approved_by="second person"
    )
    yield Gone(force.reopened(), frozenset(records), frozenset(people), roots, home / "before", outcome)
    force.archive.close()


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_disposed_of_leaves_every_build_and_every_root_stands(chicago, gone, release):
    told = told_in_turn(chicago.source, gone.people)[release]
    snapshot = gone.force.as_of(LIVE_ON[release])
    assert parts_of(snapshot.links()) == counted({r: here for r, here in told.items() if r not in gone.records})
    assert parts_of(chicago.then(release).links()) != parts_of(snapshot.links())  # the archive beside it has them all
    assert snapshot.root == gone.roots[release]
    assert snapshot.verified
    assert snapshot.disposed["disposed"] > 0


def test_the_disposal_is_certified_and_the_archive_verifies(gone):
    steps = {step.name: step for step in verify.verify(gone.force.archive)}
    assert [step.faults for step in steps.values()] == [()] * len(steps)
    certificate = disposal.certificate(gone.force.archive, gone.outcome.certificate_id)
    assert (certificate.nominals, certificate.records) == (DRAWN, len(gone.records)) == (1_000, len(gone.records))
    assert len(certificate.builds) == len(RELEASES)
    assert certificate.reduced > 0
    assert len(gone.records) > 100


def test_no_byte_of_the_archive_names_them_and_the_vault_did_before(gone):
    sought = {name.encode() for name in gone.people | gone.records}
    named = re.compile(rb"\b[A-Z][A-Z0-9]{1,4}-[A-Z0-9]+")
    for path in sorted(p for p in gone.force.folder.glob("force*/**/*") if p.is_file()):
        assert not sought & set(named.findall(path.read_bytes())), path.name
    with Archive(gone.before / "force", gone.before / "force.keys") as before:
        held = "\n".join(before.vault.keys(np.delete(before.vault.secrets()[0], 0)).to_pylist()).encode()
    assert sought <= set(named.findall(held))  # the control
    now = gone.force.archive.vault
    assert not sought & set(named.findall("\n".join(now.keys(np.delete(now.secrets()[0], 0)).to_pylist()).encode()))


def test_a_copy_from_before_does_not_open_under_the_key_of_today(gone):
    shutil.copytree(gone.before / "force", gone.before / "again")
    with pytest.raises(Tampered, match="the vault's keyring does not open: the master key is another one"):
        Archive(gone.before / "again", gone.force.keys)


def test_the_next_build_is_what_it_would_be_had_they_never_been(chicago, gone):
    cut_off = "2023-01-08T23:59:59Z"
    build(gone.force, rules_for(cpd_police_records.SYSTEMS, stale_watermark_days=10_000), cut_off)
    told = told_in_turn(chicago.source, gone.people, apart=True)[RELEASES[-1]]
    snapshot = gone.force.as_of("2023-01-09T10:00")
    wanted = counted({r: here for r, here in told.items() if r not in gone.records})
    assert parts_of(snapshot.links()) == wanted
    assert snapshot.disposed["disposed"] == 0


# ---- the sample force ------------------------------------------------------------------------------------------------


def test_the_sample_force_is_received_built_verified_and_read_week_by_week(tmp_path):
    plan = Plan(records=2_000, weeks=6, seed=7, monday=date(2025, 11, 17))
    weeks.write(plan, tmp_path / "told")
    force, recorded, seen = Force(tmp_path), {}, []
    for folder in sorted((tmp_path / "told").iterdir()):
        cut_off, _ = take(force, folder, PARAMS)
        build(force, PARAMS, cut_off)
        for row in raw(folder / "records.csv"):
            at = moments.utc(moments.parse(row["recorded_at"]))
            recorded[row["record_id"]] = min(at, recorded.get(row["record_id"], at))
    verify.insist(steps := verify.verify(force.archive))
    # No head was shown outside, no feed is written, and nothing disclosed.
    nothing = ("heads shown", "feeds", "papers of disclosure")
    assert all(step.checked for step in steps if step.name not in nothing)

    force.reopened()
    for week in range(plan.weeks):
        snapshot = force.as_of(moments.utc(plan.cut_off(week)))
        assert (snapshot.label, snapshot.verified) == (plan.label(week), True)
        assert not any(snapshot.disposed.values())
        content = tables(snapshot)
        assert {name: table.num_rows for name, table in content.items()} == {
            table.name: table.size for table in snapshot.built.tables
        }
        assert set(content["link"]["theme"].to_pylist()) == {"SOC", "CSE", "CL"}
        by_theme = [parts_of(snapshot.links(theme=theme)) for theme in ("SOC", "CSE", "CL")]
        rests_on = {name for parts in by_theme for _, _, name in parts}
        assert sum(map(len, by_theme)) == pc.sum(content["link"]["records"]).as_py()
        assert max(recorded[name] for name in rests_on) <= snapshot.built.cut_off
        seen.append(len(rests_on))
        person = content["nominal"]["nominal"][0].as_py()
        assert snapshot.answer(nominal=person)["nominals"][0]["nominal"] == person
    assert seen[-1] > seen[0] > 300
    assert not any(isinstance(act, entries.Failed) for act in force.archive.log.acts())
    force.archive.close()
