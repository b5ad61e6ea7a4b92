"""Any weeks at all, with disposals, holds, restarts and questions between them, against a plain model in memory.

The model knows each build as the list of its rows and each row's parents, and what the definitions make of them when
something goes or is held; it never asks the product how it links. Many more runs: `make soak`, which sets
HYPOTHESIS_PROFILE=soak. Longer ones, with more steps: `python tests/test_disposal_model.py MINUTES [SEED]`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
import reference
from force import HARM, SYSTEMS, Force, write_extract
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from reference import Handed, Thing
from test_builds import DAYS, PEOPLE, Weeks, influence_proved, links_proved, plain, ruled, utc

from provenance import backups, causes, comparing, disposal, engine, extracts, holding, receiving, vault, verify
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.params import Params
from provenance.tables import TABLES

CROWD = 3  # people a record; so that a record of four is a crowd until one of them is disposed of
RULES = {
    "links": {"people_per_record": CROWD},
    "thresholds": {"stale_watermark_days": 9999},
    "retention": {"returns_days": 30},
}
USUAL = ruled(**RULES)
OTHER = ruled(**RULES | {"links": {"people_per_record": CROWD, "ungraded_percent": 50}})
CASES = ("24/0113", "24/0200")
REASONS = ("mopi-review", "court-order")
FIGURES = {
    "nominal": (
        "links",
        "strength",
        "records",
        "offending",
        "victim",
        "witness",
        "other",
        "harm",
        "harm_unknown",
        "severity",
        "severity_unknown",
    ),
    "network": ("members", "links", "strength", "harm", "severity"),
}


class Sources(Weeks):
    """The systems of `test_builds`, which now and then order a disposal too."""

    def _extract(self, systems: list[str]) -> Handed:
        handed = super()._extract(systems)
        orders = []
        if self.chance.random() < 0.3:
            system = self.chance.choice(systems)
            thing = self.chance.choice([("nominal", "", self.chance.choice(PEOPLE)), ("nominal", "", "never heard of")])
            if self.world[system] and self.chance.random() < 0.7:
                thing = ("record", system, self.chance.choice(sorted(self.world[system])))
            orders.append(
                dict(zip(("what", "system", "id"), thing, strict=True))
                | {"authority": "the source", "reason": "purged", "at": utc(self.now - timedelta(hours=41))}
            )
        return replace(handed, orders=orders)


# ---- the model -------------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """A row of a build: as it was published, what is left of it now, and the reason for which it first lost."""

    said: dict[str, Any]
    now: dict[str, Any] | None
    reason: str = ""


@dataclass
class Published:
    """A build as it was on the day it went live, and what has become of it."""

    label: str
    cut_off: str
    live_from: str
    rules: Params
    root: str
    received: int  # extracts by then
    hidden: frozenset[Thing]  # restricted by then, so not taken
    rows: dict[str, list[Row]]
    near: set[str] = field(default_factory=set)  # people to whom something that is gone was near

    def living(self, table: str) -> list[dict[str, Any]]:
        return [row.now for row in self.rows[table] if row.now is not None]


@dataclass
class Restriction:
    """What waits for a hold: by which plan, why, which holds it was said to wait for (none: for a person to decide),
    and how many extracts the plan's two people knew of."""

    plan: str
    reason: str
    holds: set[str]
    received: int


@dataclass
class Held:
    """A standing hold."""

    case: str
    named: set[Thing]
    networks: set[str]
    days: tuple[str, str] | None
    everything: bool


@dataclass
class Model:
    """What the archive must know, and no more."""

    handed: list[Handed] = field(default_factory=list)  # as accepted, and without what has gone since
    originals: list[tuple[Path, set[Thing]]] = field(default_factory=list)  # extracts as sent; what is gone of each
    builds: list[Published] = field(default_factory=list)
    known: set[Thing] = field(default_factory=set)
    gone: set[Thing] = field(default_factory=set)  # ever disposed of and not there again
    forgotten: dict[Thing, str] = field(default_factory=dict)  # recognised until this month
    restricted: dict[Thing, Restriction] = field(default_factory=dict)
    holds: dict[str, Held] = field(default_factory=dict)  # by id, those that stand
    last: dict[tuple[str, str], tuple] = field(default_factory=dict)  # records as last held
    versions: Counter[tuple[str, str]] = field(default_factory=Counter)
    said: dict[str, Any] = field(default_factory=dict)  # of each person, as last held
    came: list[tuple[int, frozenset[Thing]]] = field(default_factory=list)  # rows: by which extract, and of whom

    # what comes

    def accepts(self, extract: Handed, *, admit: bool) -> tuple[Handed, int]:
        """The extract without what comes back from disposal and nobody admits, and how many rows that keeps out."""
        month = extract.cut_off[:7]
        back = set() if admit else {thing for thing, until in self.forgotten.items() if until >= month} - self.known
        out = 0
        for row in extract.rows:
            whole = reference.parents("record", row) & back
            out += bool(whole)
            out += sum(bool(whole) or name in back for name, _ in set(row["people"]))
        for table, rows in (("person", extract.nominals), ("identity", extract.merges)):
            out += sum(bool(reference.parents(table, row) & back) for row in rows)
        accepted = reference.never_received(extract, back)
        return accepted, out

    def lapse(self, on: str) -> None:
        self.forgotten = {thing: until for thing, until in self.forgotten.items() if until >= on[:7]}

    def receive(self, extract: Handed, path: Path, *, admit: bool) -> int:
        """Take an extract; returns how many rows are kept out."""
        self.lapse(extract.cut_off)
        accepted, out = self.accepts(extract, admit=admit)
        kept_out = self._things(extract) - self._things(accepted)
        rows = {(row["system"], row["record_id"]): row for row in accepted.rows}
        if extract.mode == "full":
            self.last = {k: v for k, v in self.last.items() if k[0] not in extract.systems or k in rows}
        numbered: list[dict] = []
        news: list[set[Thing]] = []
        for key, row in rows.items():
            said = (sorted(set(row["people"])), {name: cell for name, cell in row.items() if name != "people"})
            if self.last.get(key) != said:
                before = self.last.get(key, ([], {}))[0]
                news += [{key}, *({key, name} for name, _ in set(said[0]) - set(before))]
                self.versions[key] += 1
                self.last[key] = said
            numbered.append(row | {"version": self.versions[key]})
        come = self._things(accepted)
        self.known |= come
        self.gone -= come
        for thing in come:
            self.forgotten.pop(thing, None)
        for row in accepted.nominals:
            if self.said.get(row["nominal_id"]) != row:
                news.append({row["nominal_id"]})
                self.said[row["nominal_id"]] = row
        known = [row for earlier in self.handed for row in earlier.merges]
        news += [reference.parents("identity", row) for row in accepted.merges if row not in known]
        self.came += [(len(self.handed) + 1, frozenset(row)) for row in news]
        orders = [row for row in accepted.orders if reference.parents("order", row) <= self.known]
        self.handed.append(replace(accepted, rows=numbered, orders=orders))
        self.originals.append((path, kept_out))
        return out

    @staticmethod
    def _things(extract: Handed) -> set[Thing]:
        found = set().union(*(reference.parents("record", row) for row in extract.rows))
        found |= {name for row in extract.rows for name, _ in row["people"]}
        for table, rows in (("person", extract.nominals), ("identity", extract.merges)):
            found = found.union(*(reference.parents(table, row) for row in rows))
        return found

    # what is built

    def seen(self, received: int, hidden: Set[Thing]) -> list[Handed]:
        """The extracts that a build stands on, without what was not to be taken."""
        return [reference.never_received(extract, hidden) for extract in self.handed[:received]]

    def tables(self, cut_off: str, rules: Params) -> dict[str, list[dict[str, Any]]]:
        seen = self.seen(len(self.handed), set(self.restricted))
        return reference.build_tables(seen, cut_off, rules, DAYS) | {"order": reference.orders_taken(seen, cut_off)}

    # what goes

    def dispose(self, things: Set[Thing], reason: str, on: str) -> list[str]:
        """Let things go from every build; returns the labels of the builds that had a row of them."""
        touched: list[str] = []
        near: set[str] = set()
        for build in self.builds:
            for table, rows in build.rows.items():
                for row in rows:
                    if row.now is None or not reference.parents(table, row.now) & things:
                        continue
                    near |= people_of(table, row.now)
                    row.now = reference.without(table, row.now, things, build.rules)
                    row.reason = row.reason or reason
                    if build.label not in touched:
                        touched.append(build.label)
        for build in self.builds:  # a row that stood in several is marked in all of them
            build.near |= self._same(near)
        self.handed = [reference.never_received(extract, things) for extract in self.handed]
        self.last = {
            key: ([part for part in people if part[0] not in things], cells)
            for key, (people, cells) in self.last.items()
            if key not in things
        }
        for _, kept_out in self.originals:
            kept_out |= things
        self.said = {name: row for name, row in self.said.items() if name not in things}
        self.came = [(number, row) for number, row in self.came if not row & things]
        self.known -= things
        self.gone |= things
        month = utc(datetime.fromisoformat(on) + timedelta(days=USUAL.retention.returns_days))[:7]
        for thing in things:
            self.forgotten[thing] = month
            self.restricted.pop(thing, None)
            self.versions.pop(thing, None)
        return touched

    def _same(self, people: Set[str]) -> set[str]:
        """These people and whoever anybody said was one of them, with evidence or without."""
        found = set(people)
        for _ in PEOPLE:
            for extract in self.handed:
                for row in extract.merges:
                    pair = reference.parents("identity", row)
                    found |= pair if pair & found else set()
        return found

    # what is held

    def holding(self, thing: Thing) -> set[str]:
        """The holds that reach a thing."""
        return {hold for hold in self.holds if thing in self._reached(hold)}

    def _reached(self, hold: str) -> set[Thing]:
        held = self.holds[hold]
        if held.everything:
            return set(self.known)
        named = set(held.named)
        for build in self.builds:
            named |= {row["nominal"] for row in build.living("nominal") if row["network"] in held.networks}
        if held.days:
            first, last = held.days
            named |= {
                (row["system"], row["record_id"])
                for extract in self.handed
                for row in extract.rows
                if first <= row["occurred_at"] <= last
            }
        judged = [build.living("identity") for build in self.builds]
        judged.append([row for extract in self.handed for row in extract.merges])
        same = [person for judgements in judged for person in reference.persons(judgements)]
        shared: list[set[Thing]] = [
            {(row["system"], row["record_id"]), name}
            for extract in self.handed
            for row in extract.rows
            for name, _ in row["people"]
        ]
        shared += [reference.parents("identity", row) for extract in self.handed for row in extract.merges]
        shared += [reference.parents("link", row) for build in self.builds for row in build.living("link")]
        return reference.reached(named, same, shared) & self.known

    def released(self) -> dict[str, set[Thing]]:
        """What no hold keeps any more, by plan. Takes note of holds that have come to reach the rest, and of what a
        person decides anew, since something came in about it that the plan's two people did not know."""
        waiting: dict[str, set[Thing]] = {}
        stands_for = reference.canonical_people([row for extract in self.handed for row in extract.merges])
        for thing, restriction in self.restricted.items():
            holds = self.holding(thing)
            if not holds and restriction.holds and self._is_news(thing, restriction.received, stands_for):
                restriction.holds = set()
            elif not holds and restriction.holds:
                waiting.setdefault(restriction.plan, set()).add(thing)
            elif holds - restriction.holds:
                restriction.holds = holds
        return waiting

    def _is_news(self, thing: Thing, received: int, stands_for: Any) -> bool:
        """Whether something came in about a thing after so many extracts; of a person, under any id."""
        since = set().union(*(row for number, row in self.came if number > received))
        if isinstance(thing, tuple):
            return thing in since
        return stands_for(thing) in {stands_for(name) for name in since if isinstance(name, str)}

    def withheld(self, case: str = "") -> set[Thing]:
        mine = {hold for hold, held in self.holds.items() if held.case == case}
        return {thing for thing, restriction in self.restricted.items() if not restriction.holds & mine}

    def differs(self, build: Published, withheld: Set[Thing]) -> dict[tuple[str, str], tuple[list, list]]:
        """Everyone, by theme and name, whose figures are others than those that the rows in view give; and both.

        A crowd of which one is gone is a crowd no more, but it was then: it still gives that build no link.
        """
        links = self.links(build, withheld)
        seen = self.seen(build.received, build.hidden | withheld)
        now = reference.build_tables(seen, build.cut_off, build.rules, DAYS)["nominal"]
        counted = {(row["theme"], row["nominal"]): row for row in now}
        found = {}
        for row in build.rows["nominal"]:
            key = row.said["theme"], row.said["nominal"]
            own = [link for link in links if link["theme"] == key[0] and key[1] in (link["a"], link["b"])]
            today = {"links": len(own), "strength": sum(link["strength"] for link in own)}
            today = dict.fromkeys(FIGURES["nominal"], 0) | counted.get(key, {}) | today
            both = [row.said[name] for name in FIGURES["nominal"]], [today[name] for name in FIGURES["nominal"]]
            if both[0] != both[1]:
                found[key] = both
        return found

    def links(self, build: Published, withheld: Set[Thing]) -> list[dict[str, Any]]:
        """The links of a build that are in view."""
        left = (reference.without("link", link, withheld, build.rules) for link in build.living("link"))
        return [link for link in left if link]


def people_of(table: str, row: dict[str, Any]) -> set[str]:
    """The people whose figures a row was counted into, by the ids that it has for them."""
    if table == "link":
        return {row["a"], row["b"]}
    return {thing for thing in reference.parents(table, row) if isinstance(thing, str)} if table != "person" else set()


def key_of(thing: Thing) -> str:
    return f"n\x1f{thing}" if isinstance(thing, str) else "r\x1f" + "\x1f".join(thing)


def request_of(thing: Thing) -> disposal.Request:
    return disposal.Request("nominal", "", thing) if isinstance(thing, str) else disposal.Request("record", *thing)


def thing_of(request: disposal.Request) -> Thing:
    return request.id if request.what == "nominal" else (request.system, request.id)


def shown(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """All that an answer says, table by table."""
    return {name: snapshot.content(name, snapshot.standing(name)).to_pylist() for name in TABLES}


def by_key(table: str, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: [str(row[name]) for name in TABLES[table].key])


MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a fifth of the time went into removing files


class Kept(dict):
    """Engines by their rules, of which none is let go."""

    def clear(self) -> None:
        pass


ENGINES = Kept()
SEEN: Counter[str] = Counter()  # what happened in all runs so far

# ---- the machine -----------------------------------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """One force. Hypothesis chooses what happens, a random source of its drawing the details."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory(dir=MEMORY)
        self.force = Force(Path(self.home.name))
        self.model = Model()
        self.backup: Path | None = None
        self.done = Counter[str]()

    @initialize(chance=st.randoms(use_true_random=True))
    def begin(self, chance: Random) -> None:
        self.chance, self.sources = chance, Sources(chance)
        self.receive()
        self.build()
        if chance.random() < 0.5:
            self.hold()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None and self.model.builds:
                self.build()
                self.made_from_scratch()
        finally:
            SEEN.update(self.done)
            self.force.archive.close()
            self.home.cleanup()

    def now(self) -> str:
        """A minute later."""
        self.sources.now += timedelta(minutes=1)
        return utc(self.sources.now)

    @rule()
    def week(self) -> None:
        self.receive()
        self.build()
        self.check()

    @rule()
    def receive(self) -> None:
        for extract in self.sources.week()[0]:
            self.take(extract)

    def take(self, extract: Handed) -> None:
        model, archive = self.model, self.force.archive
        path = write_extract(
            self.force.folder / "inbox" / f"extract-{len(model.originals) + 1}", extract.rows, cut_off=extract.cut_off,
            mode=extract.mode, systems=extract.systems, nominals=extract.nominals, merges=extract.merges,
            disposals=extract.orders,
        )  # fmt: skip
        returning = model.accepts(extract, admit=False)[1]
        admit = bool(returning) and self.chance.random() < 0.2
        read = extracts.read(
            path, systems=SYSTEMS, erased=None if admit else receiving.erased(archive, on=extract.cut_off)
        )
        receipt = receiving.receive(
            archive, read, on=extract.cut_off, by="tests", under="a story", max_rejects_percent=5,
            admit="a reason" if admit else "",
        )  # fmt: skip
        kept_out = model.receive(extract, path, admit=admit)
        assert (receipt.returned, receipt.rejected) == (kept_out, kept_out)
        quarantined = [act for act in archive.acts(["Quarantined"]) if act.extract == receipt.number]
        assert [act.rows for act in quarantined] == ([kept_out] if kept_out else [])
        self.done["kept out"] += bool(kept_out)
        self.done["admitted"] += admit

    @rule()
    @precondition(lambda self: self.model.handed)
    def build(self) -> None:
        self.done["builds"] += 1
        model, archive = self.model, self.force.archive
        self.sources.now += timedelta(hours=1)
        last = model.builds[-1].cut_off if model.builds else ""
        earlier = utc(self.sources.now - timedelta(days=3))
        cut_off = earlier if earlier > last and self.chance.random() < 0.25 else utc(self.sources.now)
        rules = OTHER if self.chance.random() < 0.15 else USUAL
        live_from = self.now()
        self.force.build(cut_off, live_from, rules=rules)
        snapshot = self.force.as_of(live_from)
        found, wanted = shown(snapshot), model.tables(cut_off, rules)

        # Networks persist under ids that the model does not make up; which people each has, it knows.
        members: dict[tuple[str, str], set[str]] = {}
        for row in found["nominal"]:
            members.setdefault((row["theme"], row["network"]), set()).add(row["nominal"])
        ids = {(theme, frozenset(people)): name for (theme, name), people in members.items() if name}
        stated = {row["network"]: row["influence"] for row in found["network"]}
        digests = {key: stated[name] for key, name in ids.items()}
        proofs = {(row["theme"], row["nominal"]): row["links_root"] for row in found["nominal"]}
        for row in wanted["nominal"]:
            row["links_root"] = proofs.get((row["theme"], row["nominal"]))
            row["harm_edition"], row["severity_edition"] = HARM.edition, ""
        for row in wanted["network"]:
            row["influence"] = digests.get((row["theme"], row["network"]))
        for row in wanted["nominal"] + wanted["network"]:
            row["network"] = ids.get((row["theme"], row["network"]), "") if row["network"] else ""
        for table, rows in found.items():
            fresh = [{name: row[name] for name in TABLES[table].columns.names} for row in rows]
            assert by_key(table, fresh) == by_key(table, wanted[table]), table
            assert not any(row.get("reduced") or row.get("computed_with_erased") for row in rows)
        links_proved(snapshot)
        influence_proved(snapshot)
        counted = {count.what: (count.records, count.people) for count in snapshot.built.left_out}
        assert counted == reference.left_out(wanted, rules)
        assert not any(snapshot.disposed[name] for name in ("disposed", "reduced", "restricted", "reasons"))

        model.builds.append(
            Published(
                snapshot.label, cut_off, live_from, rules, snapshot.root, len(model.handed),
                frozenset(model.restricted), {table: [Row(row, row) for row in rows] for table, rows in wanted.items()},
            )
        )  # fmt: skip
        assert archive.history.builds[-1].label == snapshot.label

    @rule()
    @precondition(lambda self: self.model.known)
    def dispose(self) -> None:
        model = self.model
        things = self.some(model.known, self.chance.choice((1, 1, 2, 3)))
        if model.gone and self.chance.random() < 0.2:
            things.append(self.chance.choice(sorted(model.gone, key=str)))
        if self.chance.random() < 0.1:
            things.append("never heard of")
        if model.restricted and self.chance.random() < 0.3:
            things += self.some(model.restricted, 1)
        held = set().union(*(held.named for held in model.holds.values())) & model.known
        if held and self.chance.random() < 0.5:
            things += self.some(held, 1)
        self.carry_out(things)

    @rule()
    @precondition(lambda self: any(extract.orders for extract in self.model.handed))
    def obey(self) -> None:
        """What the source systems ordered."""
        ordered = disposal.ordered(self.force.archive)
        orders = [row for extract in self.model.handed for row in extract.orders]
        wanted = set().union(*(reference.parents("order", row) for row in orders)) - set(self.model.restricted)
        assert {thing_of(request) for request in ordered} == wanted
        if wanted:
            self.carry_out(self.some(wanted, 2))

    def some(self, things: Iterable[Thing], most: int) -> list[Thing]:
        """A few: as many records as nominals, where there are both."""
        nominals = sorted(thing for thing in things if isinstance(thing, str))
        records = sorted(thing for thing in things if isinstance(thing, tuple))
        kinds = [kind for kind in (nominals, records) if kind]
        return [self.chance.choice(self.chance.choice(kinds)) for _ in range(most)]

    def carry_out(self, things: Sequence[Thing]) -> None:
        model, archive = self.model, self.force.archive
        reason, on = self.chance.choice(REASONS), self.now()
        made = disposal.plan(
            archive, USUAL, HARM, [request_of(thing) for thing in things], on=on, by="planner", under="a story",
            reason=reason,
        )  # fmt: skip
        holding_each = {thing: model.holding(thing) for thing in set(things) & model.known}
        wanted = {
            thing: "nothing to do" if thing not in model.known else "restrict" if holding_each[thing] else "dispose"
            for thing in things
        }
        assert {thing_of(line.request): line.outcome for line in made.lines} == wanted
        for line in made.lines:
            assert set(line.holds) == holding_each.get(thing_of(line.request), set())
        before = len(archive.history.disposals)
        done = disposal.carry_out(archive, made, USUAL, HARM, on=self.now(), by="officer", approved_by="second person")

        for thing, holds in holding_each.items():
            if holds:
                act = archive.history.restricted[self.token(thing)]
                model.restricted[thing] = Restriction(act.plan, reason, holds, len(model.handed))
        going = {thing for thing, outcome in wanted.items() if outcome == "dispose"}
        assert len(archive.history.disposals) == before + bool(going)
        assert sum(outcome.nominals + outcome.records for outcome in done) == len(going)
        if going:
            self.certified(before, going, reason)
        self.done["disposed"] += len(going)
        self.done["restricted"] += sum(map(bool, holding_each.values()))
        self.check()

    def certified(self, place: int, things: Set[Thing], reason: str) -> None:
        """One more disposal, in the model and as its certificate tells it."""
        act = self.force.archive.history.disposals[place].first
        touched = self.model.dispose(things, reason, act.on)
        certificate = disposal.certificate(self.force.archive, act.disposal)
        assert [build.label for build in certificate.builds] == sorted(touched)
        assert certificate.nominals == sum(isinstance(thing, str) for thing in things)
        assert certificate.records == len(things) - certificate.nominals
        assert certificate.reason == reason

    def token(self, thing: Thing) -> int:
        return int(self.force.archive.vault.tokens(pa.array([key_of(thing)]))[0])

    @rule()
    @precondition(lambda self: self.model.known and len(self.model.holds) < 3)
    def hold(self) -> None:
        model, chance = self.model, self.chance
        named: set[Thing] = set()
        networks = sorted({row["network"] for b in model.builds for row in b.living("nominal") if row["network"]})
        days, scope, some_networks = None, chance.random(), set()
        if scope < 0.7 or not networks:
            pool = model.restricted if model.restricted and chance.random() < 0.3 else model.known
            named = set(self.some(pool, chance.choice((1, 1, 2))))
        elif scope < 0.9:
            some_networks = {chance.choice(networks)}
        if 0.6 < scope < 0.8:
            first = utc(self.sources.now - timedelta(days=chance.choice((90, 20, 10))))
            days = (first[:10], utc(datetime.fromisoformat(first) + timedelta(days=2))[:10])
        everything = not (named or some_networks or days)
        case, on = chance.choice(CASES), self.now()
        placed = holding.place(
            self.force.archive, USUAL, case=case, basis="inquiry",
            nominals=sorted(thing for thing in named if isinstance(thing, str)),
            records=sorted(thing for thing in named if isinstance(thing, tuple)),
            networks=sorted(some_networks), first_day=days[0] if days else "", last_day=days[1] if days else "",
            everything=everything, review_on=utc(self.sources.now + timedelta(days=100))[:10],
            on=on, by="officer", under="a story",
        )  # fmt: skip
        model.holds[placed.id] = Held(case, named, some_networks, days, everything)
        self.finish()
        self.done["holds"] += 1

    @rule()
    @precondition(lambda self: self.model.holds)
    def release(self) -> None:
        hold = self.chance.choice(list(self.model.holds))
        said = {"on": self.now(), "by": "another", "under": "a story"}
        holding.release(self.force.archive, USUAL, hold, reason="decided", **said)
        del self.model.holds[hold]
        self.finish()

    def finish(self) -> None:
        """What waited for a hold goes when the last one ends, by the plan that asked for it."""
        model, archive = self.model, self.force.archive
        waiting, before = model.released(), len(archive.history.disposals)
        done = disposal.finish(archive, USUAL, HARM, on=self.now(), by="officer")
        assert len(done) == len(waiting)
        for place in range(before, len(archive.history.disposals)):
            things = waiting.pop(archive.history.disposals[place].first.plan)
            self.done["released"] += len(things)
            self.certified(place, things, model.restricted[next(iter(things))].reason)
        assert not waiting
        self.check()

    @rule()
    def again(self) -> None:
        """An extract that was received before is the same extract, whatever has been disposed of since."""
        number = self.chance.randint(1, len(self.model.originals))
        path, size, on = self.model.originals[number - 1][0], self.force.archive.log.size, self.now()
        read = extracts.read(path, systems=SYSTEMS, erased=receiving.erased(self.force.archive, on=on))
        receipt = receiving.receive(self.force.archive, read, on=on, by="tests", under="a story", max_rejects_percent=5)
        assert (receipt.number, receipt.again, self.force.archive.log.size) == (number, True, size)
        self.model.lapse(on)

    @rule()
    def reopen(self) -> None:
        self.force.reopened()
        self.check()

    @rule()
    def back_up(self) -> None:
        self.backup = Path(self.home.name) / f"backup-{self.force.archive.log.size}"
        if not self.backup.exists():
            backups.make(self.force.archive, self.backup, on=self.now(), by="tests")

    @rule()
    @precondition(lambda self: self.backup)
    def restore(self) -> None:
        """An old backup, with the log, the vault and the later files of the day, is the archive of the day."""
        force, into = self.force, Path(self.home.name) / f"restored-{self.done['restored']}"
        shutil.copytree(force.keys, into.with_name(into.name + ".keys"))
        force.archive.close()
        old, force.root, force.keys = force.root, into, into.with_name(into.name + ".keys")
        backups.put_back(self.backup, into, force.keys, log=old / "log", vault=old / "vault", files=old)
        said = {"on": self.now(), "by": "tests", "under": "a story"}
        restored = backups.replay(into, force.keys, USUAL, HARM, **said)
        assert not restored.finished
        assert not self.model.released()  # but for what another hold has come to reach, which was said now
        force.archive = Archive(into, force.keys)
        self.done["restored"] += 1
        self.check()

    @rule()
    @precondition(lambda self: self.model.builds)
    def compare(self) -> None:
        """`diff` of any two builds, why their figures differ, and `explain` of any link."""
        before, after = sorted(self.chance.choices(self.model.builds, k=2), key=lambda build: build.live_from)
        case = self.chance.choice(("", *CASES))
        one, other = (self.force.as_of(build.live_from, case=case) for build in (before, after))
        sides = [
            {(link["theme"], link["a"], link["b"]): link for link in self.model.links(build, self.model.withheld(case))}
            for build in (before, after)
        ]
        wanted = []
        for key in sorted(sides[0].keys() | sides[1].keys()):
            old, new = (side.get(key, {"strength": 0, "supports": []}) for side in sides)
            if old["supports"] != new["supports"]:
                come, gone = ({f"{s['system']} {s['record_id']}": s for s in x["supports"]} for x in (new, old))
                wanted.append(
                    {
                        **dict(zip(("theme", "a", "b"), key, strict=True)),
                        "change": "new" if not gone else "gone" if not come else "changed",
                        "strength_before": old["strength"], "strength_after": new["strength"],
                        "records_come": sorted(come.keys() - gone.keys()),
                        "records_gone": sorted(gone.keys() - come.keys()),
                        "records_changed": sorted(k for k in come.keys() & gone.keys() if come[k] != gone[k]),
                    }
                )  # fmt: skip
        assert comparing.difference(one, other).to_pylist() == wanted
        strengths = {
            key: (change["strength_before"], change["strength_after"])
            for change in wanted
            for key in [(change["theme"], change["a"], change["b"])]
            if change["strength_before"] != change["strength_after"]
        }
        self.split(one, other, strengths)
        self.split(other, one, {key: (after, before) for key, (before, after) in strengths.items()})
        for key, link in self.chance.sample(sorted(sides[1].items()), min(2, len(sides[1]))):
            told = [said for said in other.explain(*key[1:]) if said["theme"] == key[0]]
            assert [[s["record_id"] for s in said["supports"]] for said in told] == [
                [s["record_id"] for s in link["supports"]]
            ]

    def split(self, one: Snapshot, other: Snapshot, strengths: dict[tuple, tuple[int, int]]) -> None:
        """Causes add up to each change, tell every link that changed, and nothing of a figure that is withheld."""
        told = {}
        for row in causes.causes(one, other).changes.to_pylist():
            if row["kind"] == "link" and row["before"] != row["after"]:
                told[row["theme"], row["a"], row["b"]] = row["before"], row["after"]
            if None in (row["before"], row["after"]):
                assert row["disposal"] is None
            else:
                assert sum(row[cause] for cause in causes.STEPS) == row["after"] - row["before"], row
                self.done["split"] += 1
                self.done["split by disposal"] += bool(row["disposal"])
        assert told == strengths

    # what must always hold

    def check(self) -> None:
        archive, model = self.force.archive, self.model
        verify.insist(verify.verify(archive))
        for build in model.builds:
            self.answered(build)
        for case in CASES:
            if model.builds and any(held.case == case for held in model.holds.values()):
                self.answered(self.chance.choice(model.builds), case)
        gone = sorted(map(key_of, model.gone))
        assert not archive.vault.tokens(pa.array(gone, pa.string())).any()
        assert not set(archive.vault.keys(archive.vault.secrets()[0][1:]).to_pylist()) & set(gone)
        restricted = {self.token(thing) for thing in model.restricted}
        assert set(archive.history.restricted) == restricted

    def answered(self, build: Published, case: str = "") -> None:
        """An answer about a past build: every row, every figure, every count of what is not there."""
        model, snapshot = self.model, self.force.as_of(build.live_from, case=case)
        assert (snapshot.label, snapshot.root, snapshot.verified) == (build.label, build.root, True)
        withheld, found = model.withheld(case), shown(snapshot)
        counts: dict[str, Counter[str]] = {table: Counter() for table in TABLES}
        reasons: Counter[str] = Counter()
        guarded: set[str] = set()  # near to what is restricted, and not for this case
        for table, rows in build.rows.items():
            wanted = []
            for row in rows:
                reasons[row.reason] += bool(row.reason)
                if row.now is None:
                    counts[table]["disposed"] += 1
                    continue
                left = reference.without(table, row.now, withheld, build.rules)
                if left != row.now:
                    guarded |= model._same(people_of(table, row.now))
                if left is None:
                    counts[table]["restricted"] += 1
                    continue
                counts[table]["reduced"] += left != row.said
                wanted.append(left | ({"reduced": int(left != row.said)} if table == "link" else {}))
            if table not in FIGURES:
                assert by_key(table, found[table]) == by_key(table, wanted), (build.label, table)
        flagged = self.figures(build, found, withheld, build.near | guarded, guarded if case else None)
        for table, number in flagged.items():
            counts[table]["computed_with_erased"] = number
        tables = {table: {what: n for what, n in each.items() if n} for table, each in counts.items()}
        totals = sum(counts.values(), Counter())
        assert snapshot.disposed == {
            **{what: totals[what] for what in ("disposed", "reduced", "restricted", "computed_with_erased")},
            "tables": {table: each for table, each in tables.items() if each},
            "reasons": {reason: n for reason, n in reasons.items() if n},
        }  # fmt: skip
        bare = model.withheld()
        assert snapshot.restricted_rows == sum(
            bool(parents & bare) and not parents & withheld
            for table in TABLES
            for row in build.living(table)
            for parents in [reference.parents(table, row)]
        )

    def figures(
        self,
        build: Published,
        found: dict[str, list[dict[str, Any]]],
        withheld: Set[Thing],
        near: Set[str],
        guarded: Set[str] | None,
    ) -> dict[str, int]:
        """Figures are as published, or withheld where something that is not there was counted into them: at least
        where they would be others without it, at most near to it. A case (`guarded` is not None) is shown what was
        computed with what is gone, but not what would tell of what is restricted for others. Returns how many are
        marked."""
        differing = self.model.differs(build, withheld)
        telling = set(differing) - set(self.model.differs(build, frozenset()))
        people = {(row.said["theme"], row.said["nominal"]): row for row in build.rows["nominal"]}
        hidden = {key for key, row in people.items() if row.now is None or row.now["nominal"] in withheld}
        wanted = {"nominal": [row.said for key, row in people.items() if key not in hidden]}
        wanted["network"] = [row.said for row in build.rows["network"]]
        marked: dict[str, set[str]] = {}
        for row in found["nominal"]:
            key = row["theme"], row["nominal"]
            assert row["computed_with_erased"] or key not in differing, (
                f"{build.label}: {key} tells of what is gone: {differing[key]}"
            )
            assert not row["computed_with_erased"] or row["nominal"] in near, f"{build.label}: {key} is marked idly"
            marked.setdefault(people[key].said["network"], set()).update([key[1]] * row["computed_with_erased"])
        for row in found["network"]:
            lost = {key[1] for key in hidden if people[key].said["network"] == row["network"]}
            must = lost | {
                name for theme, name in differing if people[theme, name].said["network"] == row["network"]
            }  # fmt: skip
            assert row["computed_with_erased"] or not must, f"{build.label}: {row['network']} tells of what is gone"
            assert not row["computed_with_erased"] or lost or marked.get(row["network"]), row["network"]
        for table in FIGURES:
            rows = [
                row | dict.fromkeys(FIGURES[table] if self.is_hidden(mark, guarded) else ())
                | {"computed_with_erased": mark["computed_with_erased"]}
                for row, mark in zip(by_key(table, wanted[table]), by_key(table, found[table]), strict=True)
            ]  # fmt: skip
            assert by_key(table, found[table]) == rows, (build.label, table)
        if guarded is not None:
            for row in found["nominal"]:
                is_hidden = row["strength"] is None
                assert is_hidden or (row["theme"], row["nominal"]) not in telling, (
                    f"{build.label}: tells a case too much"
                )
                assert not is_hidden or row["nominal"] in guarded, f"{build.label}: tells a case too little"
        return {table: sum(row["computed_with_erased"] for row in found[table]) for table in FIGURES}

    @staticmethod
    def is_hidden(row: dict[str, Any], guarded: Set[str] | None) -> bool:
        """Whether a row's figures are to be withheld; for a case, any of those that are marked may be."""
        return bool(row["computed_with_erased"]) and (guarded is None or row["strength"] is None)

    def made_from_scratch(self) -> None:
        """The last build says what a fresh archive says that was never handed what is gone, or restricted."""
        last, model = self.model.builds[-1], self.model
        with tempfile.TemporaryDirectory(dir=MEMORY) as home:
            fresh = Force(Path(home))
            for number, (path, kept_out) in enumerate(model.originals, start=1):
                out = {key_of(thing) for thing in kept_out | set(model.restricted)}
                read = extracts.read(path, systems=SYSTEMS, erased=lambda _, out=out: partial(is_among, out))
                receiving.receive(
                    fresh.archive, read, on=read.cut_off, by="tests", under="a story", max_rejects_percent=5
                )
                assert len(fresh.archive.history.extracts) == number
            fresh.build(last.cut_off, last.live_from, rules=last.rules)
            one, other = fresh.as_of(last.live_from), self.force.as_of(last.live_from)
            assert bare(shown(one)) == bare(shown(other))
            assert one.built.left_out == other.built.left_out
            fresh.archive.close()


def is_among(out: Set[str], what: str, systems: pa.Array, ids: pa.Array) -> Any:
    keys = vault.nominal_keys(ids) if what == "nominal" else vault.record_keys(systems, ids)
    return pa.array([key in out for key in keys.to_pylist()], pa.bool_()).to_numpy(zero_copy_only=False)


def bare(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """What a build says, but for what tells of the archive's history: versions, ids of networks, digests, orders."""
    people: dict[str, set[str]] = {"": set()}
    for row in rows["nominal"]:
        if row["network"]:
            people.setdefault(row["network"], set()).add(row["nominal"])
    for row in rows["nominal"] + rows["network"]:
        row["network"] = frozenset(people[row["network"]])
        row.pop("links_root", None)
        row.pop("influence", None)
    for row in [*rows["record"], *(support for link in rows["link"] for support in link["supports"])]:
        del row["version"]
    return plain({table: each for table, each in rows.items() if table != "order"})


RUNS = {"house": 10, "soak": 400}[os.environ.get("HYPOTHESIS_PROFILE", "house")]
QUICK = settings(
    max_examples=RUNS,
    stateful_step_count=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # whole builds: no time to shrink
    suppress_health_check=list(HealthCheck),
)


def test_any_weeks_with_disposals_and_holds_are_as_the_plain_model_says():
    run(Machine, QUICK)


def run(machine: type[Machine], how: settings) -> None:
    """Nothing here pulls the plug, so nothing waits for the disk; a few rows need no second thread; and the rules that
    builds take turns in are turned into SQL once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "sched_getaffinity", lambda _: {0})
        patch.setattr(engine, "_kept", ENGINES)
        run_state_machine_as_test(machine, settings=how)


if __name__ == "__main__":
    ends, number = time.monotonic() + 60 * float(sys.argv[1]), int((*sys.argv, 1)[2])
    while time.monotonic() < ends:  # Hypothesis begins each run with the least it can think of, so a run has several
        long = settings(QUICK, max_examples=6, stateful_step_count=30, derandomize=False)
        run(seeded(number)(Machine), long)
        print(f"seed {number} passed: {dict(SEEN)}", flush=True)
        number += 1
