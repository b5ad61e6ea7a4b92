"""Whole builds as stories: the incremental build against two slow ones, who was shown what when, and weeks that fail."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import reference
from force import HARM, PARAMS, Force, record, tables
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from reference import Handed

from provenance import asof, entries, publishing, verify
from provenance.asof import Snapshot
from provenance.errors import Conflict, Malformed, Missing, Refused
from provenance.params import Params

DAYS = {row["offence_code"]: row["days"] for row in HARM.rows.to_pylist() if not row["expired"]}
FIRST_SUNDAY = datetime(2026, 1, 4, 23, 59, 59, tzinfo=UTC)


def utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


# What a build says, in a form in which two archives can be compared: networks by the people in them, since their ids tell
# of history, and without the roots over leaves, which rest on each archive's own secrets.


def said(snapshot: Snapshot) -> dict[str, list[str]]:
    rows = {name: table.to_pylist() for name, table in tables(snapshot).items()}
    people: dict[str, set[str]] = {"": set()}
    for row in rows["nominal"]:
        if row["network"]:
            people.setdefault(row["network"], set()).add(row["nominal"])
        assert row.pop("harm_edition") == HARM.edition
        del row["links_root"]
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


# ---- any weeks at all ------------------------------------------------------------------------------------------------

PEOPLE = [f"N{number}" for number in range(1, 10)]
KINDS = {"CONNECT": ("crime", "custody", "intelligence"), "LEGACY": ("crime", "intelligence"), "PINS": ("prison_release",)}
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
        systems = [system for system in KINDS if self.chance.random() < 0.8]
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
            {"nominal_id": name, "name": f"Name of {name}", "sex": self.chance.choice("MFU"), "born": "", "ethnicity": "", "is_child": ""}
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
            offence_code=self.chance.choice(("1", "8N", "no such code", "")), themes=self.chance.choice(("SOC", "CL", "CL;SOC", "CSE", "")),
            grade_scheme=scheme, source_grade=source, assessment_grade=assessment, handling=handling, conditions=conditions,
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


@settings(max_examples=4, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # an example is whole builds: no shrinking
@given(chance=st.randoms(use_true_random=True))
def test_week_by_week_as_at_once_and_as_the_slow_twin(tmp_path_factory, chance):
    weeks = Weeks(chance)
    force = Force(tmp_path_factory.mktemp("weeks"))
    shown: list[tuple[str, dict]] = []
    for _ in range(4):
        handed, cut_off = weeks.week()
        for extract in handed:
            force.receive(
                *extract.rows, cut_off=extract.cut_off, mode=extract.mode, systems=extract.systems,
                nominals=extract.nominals, merges=extract.merges,
            )  # fmt: skip
        force.build(cut_off)
        snapshot = force.as_of(cut_off)
        assert said(snapshot) == plain(reference.build_tables(weeks.handed, cut_off, PARAMS, DAYS))
        links_proved(snapshot)
        shown.append((cut_off, tables(snapshot)))
        if chance.random() < 0.5:
            force.reopened()

    for when, before in shown:
        assert tables(force.as_of(when)) == before
    verify.insist(verify.verify(force.archive))

    at_once = Force(tmp_path_factory.mktemp("at-once"))
    for number, extract in enumerate(weeks.handed, start=1):
        at_once.take(force.folder / "inbox" / f"extract-{number}", on=extract.cut_off)
    at_once.build(cut_off)
    assert said(at_once.as_of(cut_off)) == said(force.as_of(cut_off))
    force.archive.close()
    at_once.archive.close()
