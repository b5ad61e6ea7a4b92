"""Whole builds as stories: the incremental build against two slow ones, what was shown when, and weeks that fail."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
import reference
from force import HARM, PARAMS, Force, record, tables
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from reference import Handed

from provenance import asof, comparing, crew, entries, influence, merkle, publishing, vault, verify, whatif
from provenance.asof import Snapshot
from provenance.errors import Conflict, Malformed, Missing, Refused
from provenance.params import Params
from provenance.records import NOMINALS
from provenance.tables import TABLES

DAYS = {row["offence_code"]: row["weight"] for row in HARM.rows.to_pylist() if not row["expired"]}
FIRST_SUNDAY = datetime(2026, 1, 4, 23, 59, 59, tzinfo=UTC)


def utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def person(nominal: str, name: str) -> dict[str, str]:
    return {"nominal_id": nominal, "name": name}


# What a build says, in a form in which two archives can be compared: networks by the people in them, since their ids
# tell of history, and without the roots over leaves, which rest on each archive's own secrets.


def said(snapshot: Snapshot) -> dict[str, list[str]]:
    rows = {name: table.to_pylist() for name, table in tables(snapshot).items()}
    people: dict[str, set[str]] = {"": set()}
    for row in rows["nominal"]:
        if row["network"]:
            people.setdefault(row["network"], set()).add(row["nominal"])
        assert row.pop("harm_edition") == HARM.edition
        assert row.pop("severity_edition") == ""
        del row["links_root"]
    for row in rows["network"]:
        del row["influence"]
    for row in rows["nominal"] + rows["network"]:
        row["network"] = frozenset(people[row["network"]])
    del rows["order"]
    return plain(rows)


def plain(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    return {name: sorted(text(row) for row in rows[name]) for name in sorted(rows)}


def text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {text(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, frozenset):
        return text(sorted(value))
    return "[" + ", ".join(map(text, value)) + "]" if isinstance(value, list) else repr(value)


def links_proved(snapshot: Snapshot) -> None:
    """Each person's row carries the RFC 6962 root over the leaves of that person's links, in byte order."""
    index, sealer = snapshot.archive.index("link"), snapshot.archive.sealer
    at = index.standing(snapshot.built.number)
    proofs = sealer.entries("link", index.rows(at)).to_pylist() if len(at) else []
    content = sealer.open("link", index.rows(at)).to_pylist()
    ordered = sorted(zip(proofs, content, strict=True), key=lambda pair: reference.tree_hash([pair[0]]))
    for row in tables(snapshot)["nominal"].to_pylist():
        own = [e for e, link in ordered if link["theme"] == row["theme"] and row["nominal"] in (link["a"], link["b"])]
        assert row["links_root"] == reference.tree_hash(own).hex()


def influence_proved(snapshot: Snapshot) -> None:
    """Each network's row has the digest of what its people come to when it is worked out again, from opened links."""
    stated = {row["network"]: row["influence"] for row in tables(snapshot)["network"].to_pylist()}
    for network, digest in stated.items():
        seen = whatif.view(snapshot, network=network)
        named = pa.array([network] * len(seen.names))
        links = (side[seen.supported] for side in (seen.a, seen.b, seen.strength))
        found = influence.measured(seen.names, named, *links, seen.rule)
        token = snapshot.archive.vault.tokens(vault.nominal_keys(found["nominal"].combine_chunks()))
        assert influence.digests(token, found) == {network: digest}


# ---- any weeks at all ------------------------------------------------------------------------------------------------

PEOPLE = [f"N{number}" for number in range(1, 10)]
KINDS = {
    "CONNECT": ("crime", "custody", "intelligence"),
    "LEGACY": ("crime", "intelligence"),
    "PINS": ("prison_release",),
}
ROLES = ("suspect", "offender", "victim", "witness", "arrested", "associate", "subject")
GRADES = [("", "", "", "", "")] * 3 + [
    ("3x5x2", "1", "A", "P", ""),
    ("3x5x2", "1", "C", "C", "ask first"),
    ("3x5x2", "2", "A", "P", ""),
    ("3x5x2", "1", "E", "P", ""),
    ("5x5x5", "B", "2", "3", "law enforcement only"),
    ("5x5x5", "E", "1", "5", ""),
]


@dataclass
class Weeks:
    """Source systems that live from week to week: records come, are corrected, withdrawn and come back."""

    chance: Random
    now: datetime = FIRST_SUNDAY
    world: dict[str, dict[str, dict]] = field(default_factory=lambda: {system: {} for system in KINDS})
    merged: list[str] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    last: dict[str, datetime] = field(default_factory=dict)

    def week(self) -> tuple[list[Handed], str]:
        """What the systems hand over this week, and the cut-off of its build."""
        self.now += timedelta(days=7)
        # One build in four is cut off before this week's extracts: they wait for the next, unless a system is new.
        cut_off = self.now - timedelta(days=self.chance.choice((0, 0, 0, 3)))
        systems = [system for system in KINDS if self.chance.random() < 0.8] or ["CONNECT"]
        self.chance.shuffle(systems)
        split = self.chance.randint(0, len(systems))
        week = [self._extract(part) for part in (systems[:split], systems[split:]) if part]
        self.handed += week
        return week, utc(cut_off)

    def _extract(self, systems: list[str]) -> Handed:
        cut_off = self.now - timedelta(hours=self.chance.randint(0, 40))
        mode = "delta" if self.chance.random() < 0.5 and all(system in self.last for system in systems) else "full"
        rows: list[dict] = []
        for system in systems:
            changed = self._events(system, cut_off, withdraw=mode == "full")
            held = self.world[system]
            again = [name for name in held if name in changed or mode == "full" or self.chance.random() < 0.1]
            rows += [held[name] for name in again]
            self.last[system] = cut_off
        nominals = [
            dict.fromkeys(NOMINALS.names, "") | person(name, f"Name of {name}") | {"sex": self.chance.choice("MFU")}
            for name in self.chance.sample(PEOPLE, 3)
        ]  # fmt: skip
        return Handed(utc(cut_off), mode, tuple(systems), tuple(rows), nominals, self._judgements(cut_off))

    def _events(self, system: str, until: datetime, *, withdraw: bool) -> set[str]:
        held, changed = self.world[system], set()
        for name in sorted(held):
            event = self.chance.random()
            if event < 0.12 and withdraw:
                del held[name]
            elif event < 0.3:
                held[name] = self._record(system, name, until)
                changed.add(name)
            elif event < 0.4:
                held[name] = held[name] | {"people": self._parts()}
                changed.add(name)
        for _ in range(self.chance.randint(2, 5)):
            name = f"{system[0]}{self.chance.randint(1, 14)}"
            held[name] = self._record(system, name, until)
            changed.add(name)
        return changed

    def _record(self, system: str, name: str, until: datetime) -> dict:
        scheme, source, assessment, handling, conditions = self.chance.choice(GRADES)
        recorded = until - timedelta(hours=self.chance.choice((0, 1, 30, 100, 400)))
        row = record(
            name, system=system, kind=self.chance.choice(KINDS[system]), recorded_at=utc(recorded),
            occurred_at=utc(recorded - timedelta(days=self.chance.choice((0, 3, 90))))[:10],
            offence_code=self.chance.choice(("1", "8N", "no such code", "")),
            themes=self.chance.choice(("SOC", "CL", "CL;SOC", "CSE", "")),
            grade_scheme=scheme, source_grade=source, assessment_grade=assessment,
            handling=handling, conditions=conditions,
            status=self.chance.choice(("open", "open", "open", "cancelled")),
        )  # fmt: skip
        return row | {"people": self._parts()}

    def _parts(self) -> list[tuple[str, str]]:
        people = self.chance.sample(PEOPLE, self.chance.choice((1, 2, 2, 3, 4)))
        return [(name, role) for name in people for role in self.chance.sample(ROLES, self.chance.choice((1, 1, 2)))]

    def _judgements(self, until: datetime) -> list[dict[str, str]]:
        found = []
        for hours in self.chance.sample(range(160), self.chance.choice((0, 0, 1, 2))):
            into, source = sorted(self.chance.sample(PEOPLE, 2))  # into the smaller, so that no circle can close
            if self.merged and self.chance.random() < 0.4:
                source, into = self.chance.choice(self.merged), "split"
            self.merged.append(source)
            evidence = self.chance.choice(("fingerprints", "fingerprints", "same name"))
            at = utc(until - timedelta(hours=hours))
            found.append({"from_nominal": source, "into_nominal": into, "evidence": evidence, "by": "DI", "at": at})
        return found


@settings(max_examples=6, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # whole builds: no time to shrink
@given(chance=st.randoms(use_true_random=True))
def test_week_by_week_as_at_once_and_as_the_slow_twin(tmp_path_factory, chance):
    weeks = Weeks(chance)
    force = Force(tmp_path_factory.mktemp("weeks"))
    shown: list[tuple[str, dict]] = []
    for _ in range(4):
        handed, cut_off = weeks.week()
        for extract in handed:
            force.hand_over(extract)
        force.build(cut_off, rules=ruled(thresholds={"stale_watermark_days": 60}))  # a system may be silent for weeks
        snapshot = force.as_of(cut_off)
        assert said(snapshot) == plain(reference.build_tables(weeks.handed, cut_off, PARAMS, DAYS))
        links_proved(snapshot)
        influence_proved(snapshot)
        shown.append((cut_off, tables(snapshot)))
        if chance.random() < 0.5:
            force.reopened()

    for when, before in shown:
        assert tables(force.as_of(when)) == before
    verify.insist(verify.verify(force.archive))

    at_once = Force(tmp_path_factory.mktemp("at-once"))
    for number, extract in enumerate(weeks.handed, start=1):
        at_once.take(force.folder / "inbox" / f"extract-{number}", on=extract.cut_off)
    at_once.build(cut_off, rules=ruled(thresholds={"stale_watermark_days": 60}))  # some extracts waited for weeks
    assert said(at_once.as_of(cut_off)) == said(force.as_of(cut_off))
    force.archive.close()
    at_once.archive.close()


# ---- one winter, told week by week -----------------------------------------------------------------------------------


def ruled(**sections: dict[str, Any]) -> Params:
    """The shipped params with some keys of some sections changed."""
    whole = PARAMS.model_dump()
    for section, keys in sections.items():
        whole[section] |= keys
    return Params.model_validate(whole)


SMALL = ruled(thresholds={"least_rows": 4})  # so that a drop of a small force's few rows means something
GRADED = {"grade_scheme": "3x5x2", "source_grade": "1", "assessment_grade": "A"}
SECRET = GRADED | {"handling": "C", "conditions": "ask DI Brown"}
OPEN = GRADED | {"handling": "P"}


@dataclass
class Winter:
    """What happened, as the fixture below tells it."""

    force: Force
    refusal: str  # what week 4 was refused for, before somebody confirmed it
    live_after_refusal: str
    shown: dict[str, dict]  # label: what the build said on the day that it was published
    twins: list[Path]  # copies of the archive in which week 5 was built after a restart, with and without the index

    def at(self, label: str) -> Snapshot:
        return self.force.as_of(next(p.start for p in self.force.archive.history.publications if p.label == label))

    def supports(self, label: str, a: str, b: str) -> dict[str, list[str]]:
        """Record ids behind the links of two people, by theme."""
        found = self.at(label).explain(a, b)
        return {link["theme"]: [s["record_id"] for s in link["supports"]] for link in found}


@pytest.fixture(scope="module")
def winter(tmp_path_factory) -> Iterator[Winter]:
    force = Force(tmp_path_factory.mktemp("winter"), "winter")
    shown = {}

    def build(cut_off: str, published_at: str, rules: Params = SMALL) -> None:
        label = force.build(cut_off, published_at, rules=rules).built.label
        shown[label] = tables(force.as_of(published_at))

    met, met_again = record("R1", "N1", "N2", **OPEN), record("R2", "N1", "N2:witness", **SECRET)
    hurt, hurt_again = record("V1", "N3:victim", "N1:offender"), record("V2", "N3:victim")
    alias, away = record("M1", "N9", "N2"), record("P1", "N5", "N6", themes="CL")
    standing = [met, hurt, hurt_again, alias]
    detail = [person("N5", "Five"), person("N8", "Eight")]
    force.receive(*standing, met_again, away, cut_off="2026-01-11T23:59:59Z", nominals=detail)
    build("2026-01-11T23:59:59Z", "2026-01-12T09:00:00Z")

    # R2 and P1 are withdrawn. L1 happened before the first build and was recorded after it. N9 turns out to be N4.
    late = record("L1", "N1", "N4", occurred_at="2026-01-05", recorded_at="2026-01-14T10:00:00Z")
    merge = {
        "from_nominal": "N9",
        "into_nominal": "N4",
        "evidence": "fingerprints",
        "by": "DI Brown",
        "at": "2026-01-15T10:00:00Z",
    }
    force.receive(*standing, late, cut_off="2026-01-18T23:59:59Z", merges=[merge])
    build("2026-01-18T23:59:59Z", "2026-01-19T09:00:00Z")

    # Half of the records are missing: refused, until somebody says that it is right so. N5 is back, in another record.
    force.receive(met, record("P2", "N5", "N1"), cut_off="2026-01-25T23:59:59Z")
    with pytest.raises(Refused) as refused:
        build("2026-01-25T23:59:59Z", "2026-01-26T09:00:00Z")
    live = force.as_of("2026-01-27T12:00").label
    found = publishing.findings(force.archive, "2026-01-25T23:59:59Z", SMALL)
    publishing.confirm(
        force.archive, found, on="2026-01-28T08:00:00Z", by="DI Brown", under="R08", reason="a purge at the source"
    )
    build("2026-01-25T23:59:59Z", "2026-01-28T09:00:00Z")

    # The merge was wrong; and the week is built three times: in this process, after a restart, and without the index.
    split = merge | {"into_nominal": "split", "evidence": "two custody photographs", "at": "2026-01-29T10:00:00Z"}
    force.receive(*standing, late, cut_off="2026-01-30T23:59:59Z", merges=[split])
    twins = []
    for name in ("restarted", "bare"):
        twins.append(force.folder / name)
        shutil.copytree(force.root, twins[-1])
        shutil.copytree(force.keys, force.folder / f"{name}.keys")
    shutil.rmtree(force.folder / "bare" / "index")
    build("2026-01-30T23:59:59Z", "2026-01-31T09:00:00Z")
    for twin in twins:
        other = Force.__new__(Force)
        other.folder, other.root, other.keys = force.folder, twin, force.folder / f"{twin.name}.keys"
        other.archive = asof.Archive(other.root, other.keys)
        other.build("2026-01-30T23:59:59Z", "2026-01-31T09:00:00Z", rules=SMALL)
        other.archive.close()

    # The same records under another rule, in the same week.
    build(
        "2026-01-31T23:59:59Z",
        "2026-02-01T09:00:00Z",
        ruled(links={"ungraded_percent": 50}, thresholds={"least_rows": 4}),
    )
    yield Winter(force, str(refused.value), live, shown, twins)
    force.archive.close()


def test_every_past_build_says_what_it_said_when_it_was_published(winter):
    assert list(winter.shown) == ["2026-W02", "2026-W03", "2026-W04", "2026-W05", "2026-W05.2"]
    for label, before in winter.shown.items():
        assert tables(winter.at(label)) == before
        assert winter.at(label).verified
    winter.force.reopened()
    for label, before in winter.shown.items():
        assert tables(winter.at(label)) == before


def test_a_restart_and_a_lost_index_change_no_byte(winter):
    def bytes_of(root: Path) -> dict[str, bytes]:
        files = [p for folder in ("store", "builds") for p in (root / folder).rglob("*") if "W05.2" not in p.name]
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in files if p.is_file()}

    here, restarted, bare = (bytes_of(root) for root in (winter.force.root, *winter.twins))
    assert len(here) > 30
    assert restarted == here
    assert bare == here
    heads = [(root / "log" / "checkpoint").read_bytes() for root in winter.twins]
    people = [(root / "index" / "people.figures").read_bytes() for root in winter.twins]
    assert heads[0] == heads[1]
    assert people[0] == people[1]
    # Of links that ended before the folder was lost, nobody needed to be told again.
    # What people and networks of an earlier build came to is put away with it, and opened where that is lost.
    every = [sorted(path.name for path in (root / "index").glob("*.figures")) for root in winter.twins]
    kept = [[name for name in names if name.count(".") == 1] for names in every]
    assert set(every[1]) < set(every[0])
    assert kept[0] == kept[1]
    assert len(kept[0]) > 3


def test_an_event_recorded_late_is_in_no_build_before(winter):
    """R07: it happened on 5 January, the source recorded it on the 14th, and no answer for the 12th knows of it."""
    with pytest.raises(Missing, match="build 2026-W02 has no link between these two nominals"):
        winter.supports("2026-W02", "N1", "N4")
    assert winter.supports("2026-W03", "N1", "N4") == {"SOC": ["L1"]}
    (support,) = winter.at("2026-W03").explain("N1", "N4")[0]["supports"]
    assert support["occurred_at"] == "2026-01-05"


def test_less_of_a_link_with_each_record_and_none_without_the_last(winter):
    """R14."""
    strengths = []
    for label in ("2026-W02", "2026-W03"):
        (link,) = winter.at(label).explain("N1", "N2")
        assert link["strength"] == sum(s["contribution"] for s in link["supports"])
        strengths.append(link["strength"])
    assert winter.supports("2026-W02", "N1", "N2") == {"SOC": ["R1", "R2"]}
    assert winter.supports("2026-W03", "N1", "N2") == {"SOC": ["R1"]}
    assert strengths == [120, 100]
    assert winter.supports("2026-W02", "N5", "N6") == {"CL": ["P1"]}
    with pytest.raises(Missing, match="build 2026-W03 has no link between these two nominals"):
        winter.supports("2026-W03", "N5", "N6")


def test_a_link_is_handled_as_the_strictest_of_its_records(winter):
    """R13: until the record with conditions is withdrawn."""
    handling = {}
    for label in ("2026-W02", "2026-W03"):
        (link,) = winter.at(label).explain("N1", "N2")
        handling[label] = link["handling"], link["conditions"]
    assert handling == {"2026-W02": ("C", "ask DI Brown"), "2026-W03": ("P", "")}


def test_a_victim_is_shown_as_a_victim(winter):
    """R16."""
    people = {row["nominal"]: row for row in winter.at("2026-W02").nominals(theme="SOC").to_pylist()}
    assert {name for name, row in people.items() if row["victim_only"]} == {"N3"}
    assert (people["N3"]["records"], people["N3"]["victim"], people["N3"]["harm"]) == (2, 2, 0)
    (link,) = winter.at("2026-W02").explain("N1", "N3")
    assert [s["roles"] for s in link["supports"]] == [["offender", "victim"]]


def test_a_merged_person_answers_to_either_id_from_that_build_until_the_split(winter):
    """R17."""
    assert winter.supports("2026-W02", "N9", "N2") == {"SOC": ["M1"]}
    assert "N9" in winter.at("2026-W02").nominals(theme="SOC")["nominal"].to_pylist()

    merged = winter.at("2026-W03")
    assert merged.canonical("N9") == "N4"
    assert merged.links(nominal="N9") == merged.links(nominal="N4")
    assert merged.nominals(nominal="N9")["nominal"].to_pylist() == ["N4"]
    (link,) = merged.explain("N2", "N9")
    assert [(s["record_id"], s["sources"]) for s in link["supports"]] == [("M1", [[], ["N9"]])]
    assert "N9" not in merged.nominals()["nominal"].to_pylist()

    assert winter.at("2026-W05").canonical("N9") == "N9"
    assert winter.supports("2026-W05", "N9", "N2") == {"SOC": ["M1"]}
    assert winter.at("2026-W03").canonical("N9") == "N4"  # what was shown then is not changed by the split


def test_a_person_is_there_while_in_a_record_that_the_build_takes(winter):
    """N8 was handed over and is in no record; N5 leaves with P1 and is back with P2, and each build keeps its word."""
    for label, there in {"2026-W02": ["N5"], "2026-W03": [], "2026-W04": ["N5"], "2026-W05": []}.items():
        assert winter.at(label).people(["N5", "N8"])["nominal_id"].to_pylist() == there
        winter.at(label).verify()


def test_a_week_that_failed_is_answered_by_the_build_then_in_effect(winter):
    """R06."""
    assert winter.live_after_refusal == "2026-W03"
    assert winter.force.as_of("2026-01-27T12:00").label == "2026-W03"
    (failed,) = winter.force.archive.history.failures
    assert (failed.label, failed.cut_off, failed.reason) == ("2026-W04", "2026-01-25T23:59:59Z", "refused")


def test_a_drop_blocks_a_build_until_a_person_has_confirmed_it(winter):
    """R08: the refusal says how much fell, and the log says who let it pass and why."""
    assert winter.refusal == (
        "build 2026-W04 is blocked until a person confirms: "
        "CONNECT sent 2 records, 60 % fewer than the 5 before; params allow 20 %; "
        "CONNECT sent 4 involvements, 55 % fewer than the 9 before; params allow 20 %"
    )
    confirmed = [act for act in winter.force.archive.log.acts() if isinstance(act, entries.Confirmed)]
    assert [(act.extract, act.threshold, act.by, act.reason) for act in confirmed] == [
        (3, "drop in records", "DI Brown", "a purge at the source"),
        (3, "drop in involvements", "DI Brown", "a purge at the source"),
    ]
    assert winter.force.as_of("2026-01-28T12:00").label == "2026-W04"


def test_other_rules_link_everything_anew_and_the_build_says_so(winter):
    before, after = winter.at("2026-W05"), winter.at("2026-W05.2")
    rules = [built.rules for built in winter.force.archive.history.builds]
    assert len(set(rules[:4])) == 1
    assert rules[4] != rules[0]
    assert before.statement.params != after.statement.params
    changed = comparing.difference(before, after).to_pylist()
    ungraded = {("N1", "N3"), ("N1", "N4"), ("N2", "N9")}
    assert {(row["a"], row["b"]) for row in changed} == ungraded  # R1 is graded and weighs what it did
    assert {(row["change"], row["strength_after"] * 2 == row["strength_before"]) for row in changed} == {
        ("changed", True)
    }


def test_changes_read_without_opening_a_row_are_those_of_the_rows(winter, monkeypatch):
    labels = [built.label for built in winter.force.archive.history.builds]
    pairs = [(winter.at(one), winter.at(other)) for one in labels for other in labels]
    wanted = [comparing.difference(*pair).select(comparing.CHANGES.names) for pair in pairs]
    assert sum(table.num_rows for table in wanted) > 20
    comparing.changes(*pairs[-1])

    def opened(*_):
        raise AssertionError("a row was opened")

    monkeypatch.setattr(winter.force.archive.crew, "begin", opened)
    assert [comparing.changes(*pair) for pair in pairs] == wanted


def test_links_in_batches_are_the_links_and_the_columns_those_asked_for(winter, monkeypatch):
    monkeypatch.setattr(crew, "_ROUND", 1)
    monkeypatch.setattr(winter.force.archive.crew, "size", 1)
    for label in ("2026-W02", "2026-W05"):
        snapshot = winter.at(label)
        whole = snapshot.links()
        parts = list(snapshot.link_batches(["b", "strength", "supports.grade", "a"]))
        assert len(parts) == len(whole)
        found = pa.concat_tables(parts)
        assert found.column_names == ["a", "b", "strength", "supports"]
        said = sorted((r["a"], r["b"], r["strength"], [s["grade"] for s in r["supports"]]) for r in whole.to_pylist())
        assert sorted(
            (r["a"], r["b"], r["strength"], [s["grade"] for s in r["supports"]]) for r in found.to_pylist()
        ) == said  # fmt: skip
    with pytest.raises(Malformed, match=r"^table link has no column supports\.colour: wanted some of "):
        list(snapshot.link_batches(["supports.colour"]))


def test_each_row_of_each_table_is_proved_to_be_in_its_build(winter):
    snapshot = winter.at("2026-W05")
    for name in TABLES:
        index = winter.force.archive.index(name)
        for leaf in index.leaf[snapshot.positions(name)]:
            proof = snapshot.proof(name, leaf.tobytes())
            path = [bytes.fromhex(digest) for digest in proof["path"]]
            computed = merkle.root_from_path(leaf.tobytes(), proof["index"], proof["size"], path).hex()
            (stated,) = (table for table in snapshot.statement.tables if table.name == name)
            assert (computed, proof["size"]) == (stated.root, stated.size)
            assert proof["root"] == stated.root
    for other in (bytes(32), b"\xff" * 32, b"short"):
        with pytest.raises(Missing, match=r"^build 2026-W05 has no row of that leaf in table link"):
            snapshot.proof("link", other)


def test_a_build_cannot_run_backwards(winter):
    archive, size = winter.force.archive, winter.force.archive.log.size
    with pytest.raises(Conflict) as backwards:
        winter.force.build("2026-01-20T00:00:00Z", "2026-02-08T09:00:00Z")
    assert str(backwards.value) == (
        "build with cut-off 2026-01-20T00:00:00Z would run backwards: "
        "build 2026-W05.2 took records up to 2026-01-31T23:59:59Z"
    )
    assert archive.log.size == size


def test_nothing_was_live_before_the_first_build(winter):
    with pytest.raises(Missing) as early:
        winter.force.as_of("2026-01-12T08:59:59Z")
    assert str(early.value) == (
        "no build was live at 12 January 2026, 08:59:59 GMT: the first build went live 12 January 2026, 09:00 GMT"
    )
    assert winter.force.as_of("2026-01-12T09:00:00Z").label == "2026-W02"


def test_the_whole_archive_verifies_after_a_winter(winter):
    steps = verify.verify(winter.force.archive)
    verify.insist(steps)
    assert {step.name: step.checked for step in steps}["order of builds"] == 5


# ---- past builds from record sets that came later --------------------------------------------------------------------


@pytest.fixture(scope="module")
def past(tmp_path_factory) -> Iterator[Force]:
    """Two builds from a record set handed over later; and one when another system's first extract came with news."""
    force = Force(tmp_path_factory.mktemp("past"), "past")
    early = record("R1", "N1", "N2", recorded_at="2026-01-05T10:00:00Z")
    late = record("R2", "N1", "N3", occurred_at="2026-01-05", recorded_at="2026-01-20T10:00:00Z")
    force.receive(early, late, cut_off="2026-02-01T00:00:00Z", nominals=[person("N1", "One"), person("N3", "Three")])
    force.build("2026-01-10T00:00:00Z")
    force.build("2026-01-31T00:00:00Z")
    corrected = early | {"people": [("N1", "suspect"), ("N4", "suspect")]}
    other = record("X1", "N2", "N3", system="LEGACY", recorded_at="2026-02-05T10:00:00Z")
    news = record("R3", "N1", "N5", recorded_at="2026-02-06T10:00:00Z")
    force.receive(corrected, late, news, other, cut_off="2026-03-01T00:00:00Z", nominals=[person("N1", "One, renamed")])
    force.build("2026-02-10T00:00:00Z")
    force.build("2026-03-01T00:00:00Z")
    yield force
    force.archive.close()


def test_a_past_build_takes_what_was_recorded_by_its_cut_off(past):
    assert past.pairs("2026-01-10T12:00") == {("N1", "N2"): ["R1"]}
    assert past.as_of("2026-01-10T12:00").people(["N1", "N3"])["nominal_id"].to_pylist() == ["N1"]
    assert past.pairs("2026-01-31T12:00") == {("N1", "N2"): ["R1"], ("N1", "N3"): ["R2"]}


def test_a_systems_first_extract_tells_a_past_build_nothing_new_of_another_system(past):
    """LEGACY was handed over for the first time together with corrections of CONNECT that came after the cut-off."""
    assert past.pairs("2026-02-10T12:00") == {("N1", "N2"): ["R1"], ("N1", "N3"): ["R2"], ("N2", "N3"): ["X1"]}
    assert past.pairs("2026-03-01T12:00") == {
        ("N1", "N3"): ["R2"], ("N1", "N4"): ["R1"], ("N1", "N5"): ["R3"], ("N2", "N3"): ["X1"],
    }  # fmt: skip
    names = {
        when: past.as_of(when).people(["N1"])["name"].to_pylist() for when in ("2026-02-10T12:00", "2026-03-01T12:00")
    }
    assert names == {"2026-02-10T12:00": ["One"], "2026-03-01T12:00": ["One, renamed"]}
    verify.insist(verify.verify(past.archive))


# ---- when the clocks change ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clocks(tmp_path_factory) -> Iterator[Force]:
    """Published an hour apart, on either side of both changes of London's clocks in 2026; the last was withdrawn."""
    force = Force(tmp_path_factory.mktemp("clocks"), "clocks")
    force.receive(record("R1", "N1", "N2"), cut_off="2026-03-20T12:00:00Z")
    for cut_off, published_at in (
        ("2026-03-20T12:00:00Z", "2026-03-21T09:00:00Z"),
        ("2026-03-28T12:00:00Z", "2026-03-29T00:30:00Z"),
        ("2026-03-28T23:00:00Z", "2026-03-29T01:30:00Z"),
        ("2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("2026-10-24T22:00:00Z", "2026-10-25T01:30:00Z"),
    ):
        force.build(cut_off, published_at)
    force.archive.append(
        entries.Withdrawn(
            on="2026-10-26T09:00:00Z", by="tests", under="a story",
            label="2026-W43.2", at="2026-10-26T09:00:00Z", reason="a fault",
        )
    )  # fmt: skip
    yield force
    force.archive.close()


def test_a_second_build_of_a_week_has_a_number(clocks):
    labels = [built.label for built in clocks.archive.history.builds]
    assert labels == ["2026-W12", "2026-W13", "2026-W13.2", "2026-W43", "2026-W43.2"]


@pytest.mark.parametrize(
    ("when", "label"),
    [
        ("2026-03-29T00:29:59", "2026-W12"),  # GMT, an hour before the clocks go forward at 01:00
        ("2026-03-29T00:30", "2026-W13"),
        ("2026-03-29T00:59:59", "2026-W13"),
        ("2026-03-29T02:00", "2026-W13"),  # BST: a second later
        ("2026-03-29T02:30", "2026-W13.2"),
        ("2026-03-29T01:30Z", "2026-W13.2"),
        ("2026-03-29T01:29:59Z", "2026-W13"),
        ("2026-10-25T01:29:59+01:00", "2026-W13.2"),
        ("2026-10-25T01:30+01:00", "2026-W43"),
        ("2026-10-25T00:30Z", "2026-W43"),
        ("2026-10-25T01:29:59+00:00", "2026-W43"),
        ("2026-10-25T01:30+00:00", "2026-W43.2"),
        ("2026-10-25T02:00", "2026-W43.2"),
    ],
)
def test_an_hour_around_a_change_of_the_clocks_has_one_answer(clocks, when, label):
    assert clocks.as_of(when).label == label


def test_a_time_that_the_clocks_show_twice_or_never_is_refused_with_both_readings(clocks):
    with pytest.raises(Malformed, match=r"show twice .*found 9999-99-99A99:99, say \+01:00 or \+00:00"):
        clocks.as_of("2026-10-25T01:30")
    with pytest.raises(Malformed, match=r"skip .*found 9999-99-99A99:99, say \+00:00 or \+01:00"):
        clocks.as_of("2026-03-29T01:30")


def test_a_date_lists_every_build_that_was_live_on_it(clocks):
    """The day of 23 hours and the day of 25, each from midnight to midnight in London."""
    with pytest.raises(Conflict) as spring:
        clocks.as_of("2026-03-29")
    assert str(spring.value) == (
        "date 2026-03-29 had 3 builds live: 2026-W12 from 21 March 2026, 09:00 GMT, "
        "2026-W13 from 29 March 2026, 00:30 GMT, 2026-W13.2 from 29 March 2026, 02:30 BST; say the time as well"
    )
    assert [p.label for p in asof.live_on(clocks.archive, "2026-10-25")] == ["2026-W13.2", "2026-W43", "2026-W43.2"]
    assert clocks.as_of("2026-03-30").label == "2026-W13.2"
    assert clocks.as_of("2026-10-24").label == "2026-W13.2"


def test_a_withdrawn_build_gives_way_to_the_one_before_and_stays_on_record(clocks):
    assert clocks.as_of("2026-10-26T08:59:59Z").label == "2026-W43.2"
    after = clocks.as_of("2026-10-26T09:00:00Z")
    assert (after.label, after.publication.start, after.publication.end) == ("2026-W43", "2026-10-26T09:00:00Z", "")
    assert [p.label for p in asof.live_on(clocks.archive, "2026-10-26")] == ["2026-W43.2", "2026-W43"]
    assert "2026-W43.2" in [built.label for built in clocks.archive.history.builds]
    verify.insist(verify.verify(clocks.archive))


def test_a_network_whose_links_changed_is_measured_again_and_one_that_nothing_touched_keeps_its_digest(tmp_path):
    """The members stay the same people in both."""
    force = Force(tmp_path)
    first = [record(f"R-{n}", "ANN", "BOB") for n in range(2)] + [record(f"S-{n}", "BOB", "CAT") for n in range(2)]
    first += [record(f"T-{n}", "EVE", "FAY") for n in range(2)]
    force.receive(*first, cut_off="2026-01-11T23:59:59Z")
    force.build("2026-01-11T23:59:59Z")
    force.receive(record("R-9", "ANN", "BOB"), cut_off="2026-01-18T23:59:59Z", mode="delta")
    force.build("2026-01-18T23:59:59Z")
    seen = []
    for when in ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z"):
        snapshot = force.as_of(when)
        influence_proved(snapshot)
        seen.append({row["members"]: row["influence"] for row in snapshot.networks().to_pylist()})
    assert seen[0][3] != seen[1][3]
    assert seen[0][2] == seen[1][2]
    force.archive.close()
