"""A small force, so that a test reads as a story: who was in which record, what was received, built, asked.

Everything goes through the product's own doors but DVC and git, which a story does not need.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from provenance import (
    asof,
    builds,
    disposal,
    extracts,
    governing,
    harm,
    params,
    publishing,
    receiving,
    records,
    statements,
)
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.custody import IN_FILES, NOTHING, Unlock, Where

ROOT = Path(__file__).resolve().parent.parent
PARAMS = params.read(ROOT / "params.yaml")
HARM = harm.read(ROOT / PARAMS.harm.editions[0].file, PARAMS.harm.editions[0].name)
SYSTEMS = dict(PARAMS.systems)


def record(record_id: str, *people: str, **cells: str) -> dict[str, Any]:
    """A crime of CONNECT with `people` as `ID` or `ID:role`, roles joined with +; any cell may be given."""
    base = dict.fromkeys(records.RECORDS.names, "")
    base |= {
        "system": "CONNECT",
        "record_id": record_id,
        "kind": "crime",
        "occurred_at": "2026-01-05",
        "recorded_at": "2026-01-05T12:00:00Z",
        "offence_code": "34B",
        "themes": "SOC",
        "mopi_group": "3",
        "status": "open",
    }
    unknown = set(cells) - set(base)
    assert not unknown, f"no such cells: {unknown}"
    parts = []
    for person in people:
        nominal, _, roles = person.partition(":")
        parts += [(nominal, role) for role in (roles or "suspect").split("+")]
    return base | cells | {"people": parts}


def write_extract(
    folder: Path,
    rows: Iterable[Mapping[str, Any]],
    *,
    cut_off: str,
    mode: str = "full",
    since: str = "",
    nominals: Iterable[Mapping[str, str]] = (),
    merges: Iterable[Mapping[str, str]] = (),
    disposals: Iterable[Mapping[str, str]] = (),
    systems: Iterable[str] = (),
    watermark: str = "",
) -> Path:
    """An extract in the contract's form, as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(rows)
    parts = [
        {"system": r["system"], "record_id": r["record_id"], "nominal_id": n, "role": role, "assessed": "fact"}
        for r in rows
        for n, role in r["people"]
    ]
    named = sorted({r["system"] for r in rows} | set(systems))
    stated = {
        name: {
            "watermark": watermark or cut_off,
            "records": sum(r["system"] == name for r in rows),
            "involvements": sum(p["system"] == name for p in parts),
        }
        for name in named
    }
    extract = {"cut_off": cut_off, "mode": mode, "systems": stated} | ({"since": since} if since else {})
    (folder / "extract.json").write_text(json.dumps(extract))
    for name, schema, content in (
        ("records", records.RECORDS, rows),
        ("involvements", records.INVOLVEMENTS, parts),
        ("nominals", records.NOMINALS, nominals),
        ("merges", records.MERGES, merges),
        ("disposals", records.DISPOSALS, disposals),
    ):
        content = [dict.fromkeys(schema.names, "") | dict(row) for row in content]
        if content or name in ("records", "involvements"):
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as handle:
                writer = csv.DictWriter(handle, schema.names, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(content)
    return folder


class Force:
    """An archive of its own and the extracts it received; clocks are what the story says."""

    unlock = NOTHING

    def __init__(self, folder: Path, name: str = "force", *, where: Where = IN_FILES, unlock: Unlock = NOTHING) -> None:
        self.folder, self.root, self.unlock = folder, folder / name, unlock
        self.keys = folder / f"{name}.keys"
        self.archive = Archive.found(
            self.root, self.keys, name=name, on="2026-01-01T00:00:00Z", by="tests", under="a story", where=where,
            unlock=unlock,
        )  # fmt: skip
        self._extracts = 0

    @classmethod
    def of(cls, folder: Path, name: str = "force") -> Force:
        """The force that another story left in a folder, or a copy of it."""
        force = cls.__new__(cls)
        force.folder, force.root, force.keys = folder, folder / name, folder / f"{name}.keys"
        force.archive = Archive(force.root, force.keys)
        force._extracts = len(force.archive.history.extracts)
        return force

    def receive(self, *rows: Mapping[str, Any], cut_off: str, **said: Any) -> receiving.Receipt:
        """Write and receive an extract."""
        self._extracts += 1
        folder = write_extract(self.folder / "inbox" / f"extract-{self._extracts}", rows, cut_off=cut_off, **said)
        return self.take(folder, on=cut_off)

    def hand_over(self, handed: Any) -> receiving.Receipt:
        """Receive what the sources hand over (`reference.Handed`), but for their orders."""
        return self.receive(
            *handed.rows, cut_off=handed.cut_off, mode=handed.mode, systems=handed.systems, nominals=handed.nominals,
            merges=handed.merges,
        )  # fmt: skip

    def take(self, folder: Path, *, on: str = "2026-01-01T00:00:00Z", systems: Any = None) -> receiving.Receipt:
        """Receive an extract that lies in a folder."""
        extract = extracts.read(
            folder, systems=SYSTEMS if systems is None else systems, erased=receiving.erased(self.archive, on=on)
        )
        return receiving.receive(
            self.archive,
            extract,
            on=on,
            by="tests",
            under="a story",
            max_rejects_percent=PARAMS.thresholds.max_rejects_percent,
        )

    def build(self, cut_off: str, published_at: str = "", *, rules: params.Params = PARAMS) -> builds.BuildReport:
        """Make and publish a build."""
        return builds.build(
            self.archive,
            rules,
            HARM,
            cut_off=cut_off,
            published_at=published_at or cut_off,
            around=lambda _: surroundings(cut_off),
        )

    def as_of(self, when: str, *, case: str = "") -> Snapshot:
        """What was live at a moment."""
        return asof.as_of(self.archive, when, case=case)

    def plan(self, *subjects: str, on: str, reason: str = "mopi-review") -> disposal.Plan:
        """A plan to dispose of subjects: `N-1` a nominal, `CONNECT R-1` a record."""
        requests = [_request(subject) for subject in subjects]
        said = {"on": on, "by": "planner", "under": "a story", "reason": reason}
        return disposal.plan(self.archive, PARAMS, HARM, requests, **said)

    def carry_out(self, plan: disposal.Plan, *, on: str) -> list[disposal.Outcome]:
        """Carry a plan out, with a second person."""
        return disposal.carry_out(
            self.archive, plan, PARAMS, HARM, on=on, by="records officer", approved_by="second person"
        )

    def dispose(self, *subjects: str, on: str, reason: str = "mopi-review") -> list[disposal.Outcome]:
        """Plan and carry out at once."""
        return self.carry_out(self.plan(*subjects, on=on, reason=reason), on=on)

    def finish(self, *, on: str) -> list[disposal.Outcome]:
        """What was cut off, and what waited for a hold."""
        return disposal.finish(self.archive, PARAMS, HARM, on=on, by="records officer")

    def reopened(self) -> Force:
        """The same force after a restart: nothing is in memory."""
        self.archive.close()
        self.archive = Archive(self.root, self.keys, unlock=self.unlock)
        return self

    def pairs(self, when: str, theme: str = "SOC") -> dict[tuple[str, str], list[str]]:
        """Linked pairs and the record ids behind them."""
        links = self.as_of(when).links(theme=theme).to_pylist()
        return {(x["a"], x["b"]): [s["record_id"] for s in x["supports"]] for x in links}


def _request(subject: str) -> disposal.Request:
    system, _, id = subject.rpartition(" ")
    return disposal.Request("record" if system else "nominal", system, id)


def surroundings(on: str) -> publishing.Surroundings:
    """What a door would say of code and papers."""
    return publishing.Surroundings(
        operator="tests",
        under="a story",
        code="0" * 40,
        package="1" * 64,
        environment="2" * 64,
        machine=statements.Machine(system="none", python="none", threads=1, hash_seed="0", other_lock=""),
        version="0",
        started_on=on,
        finished_on=on,
        documents=tuple(
            statements.Document(name=name, version="1", digest="") for name in governing.papers(PARAMS.governance)
        ),
    )


def tables(snapshot: Snapshot) -> dict[str, pa.Table]:
    """All that a build says, opened, in canonical order."""
    from provenance.tables import TABLES

    return {name: snapshot.content(name, snapshot.standing(name)).select(TABLES[name].columns.names) for name in TABLES}
