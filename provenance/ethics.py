"""What the ethics committee is told of a build or a quarter: counts, rates, acts and papers, and no one by name.

Counts of people, records, links and networks go through `suppression`, held against every report that was issued
before; rates are worked out from the counts as they are told, so that they tell no more. Acts, papers and settings are
told as the log and the signed statements have them. Nothing that is told names a person, a record or a case.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from provenance import (
    asking,
    canonical,
    fairness,
    geography,
    governing,
    holding,
    issuing,
    moments,
    params,
    reviewing,
    suppression,
    tallies,
    witnessing,
)
from provenance import entries as acts_of
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.errors import Malformed, Missing
from provenance.history import Publication
from provenance.params import Params
from provenance.suppression import Cell, Since, Sum, Told
from provenance.tallies import Tally

KIND, AREAS = "ethics", "areas"
FORM = 4
_COUNTED = (  # the acts of a period that are counted, in the order in which they are told
    "Built", "Published", "Withdrawn", "Failed", "Confirmed", "Received", "Quarantined", "Held", "Progressed",
    "Released", "Reviewed", "Restricted", "Disposed", "Certified", "Viewed", "Consulted", "Traced", "Exported",
    "Recalled", "Sent", "Notified", "Asked", "Answered", "Reported", "Triaged", "Settled", "Reproduced", "Issued",
    "Granted", "Revoked", "Restored", "Rekeyed", "Relocked",
)  # fmt: skip


_DUE = {"review": "due for review", "dispose": "due for disposal"}
NOW, A_YEAR = "now", "for a year or more"  # since when something is due
# Who is in a small group can be told by what all or none of it share; a share of so few says nothing either. In least
# counts, of people in the records.
LEAST_OF_GROUP, LEAST_OF_AREA, AREAS_TOLD = 4, 10, 12
EVERYBODY = tallies.EVERYBODY


@dataclass(frozen=True, slots=True)
class Period:
    """What a report is about: a build, with what happened since the one before it went live; or a quarter, with the
    last build that went live in it. `start` is in it and `end` is not; both are instants."""

    name: str
    start: str
    end: str
    built: acts_of.Built
    publication: Publication
    builds: tuple[str, ...]  # labels of those that went live in it


def of_build(archive: Archive, label: str) -> Period:
    """The period of one build. Raises Missing."""
    built = archive.history.build(label)
    publication = _publication(archive, label)
    before = [p.start for p in archive.history.publications if p.start < publication.start]
    start = max(before, default="")
    return Period(label, start, publication.start, built, publication, (label,))


def of_quarter(archive: Archive, name: str) -> Period:
    """A quarter by its name, such as 2026-Q1, in London days. Raises Malformed, or Missing where no build went live."""
    year, _, number = name.partition("-Q")
    if not (len(year) == 4 and year.isdigit() and number in ("1", "2", "3", "4") and year > "0000"):
        raise Malformed(f"quarter is not one: found {name!r}, wanted a year and a quarter, such as 2026-Q1")
    month = 3 * int(number) - 2
    last = (int(year) + (month == 10), (month + 2) % 12 + 1)
    start, end = (moments.utc(moments.day(f"{y:04d}-{m:02d}-01")[0]) for y, m in ((int(year), month), last))
    live = [p for p in archive.history.publications if start <= p.start < end]
    if not live:
        raise Missing(f"no build went live in {name}: wanted a quarter in which one did")
    built = archive.history.build(live[-1].label)
    return Period(name, start, end, built, live[-1], tuple(dict.fromkeys(p.label for p in live)))


def of_areas(snapshot: Snapshot, areas: pa.Table, today: Params, *, on: str) -> dict[str, Any]:
    """Records and people by area (`Snapshot.places`) as they may be told, held against every such answer before it; a
    report as `report` is one, and to be issued like it. Raises Malformed where the params name no least count."""
    least = _least(today)
    before = issuing.earlier(snapshot.archive, AREAS)
    exact = {
        f"{unit}-by-area": Tally(
            "records behind links" if unit == "records" else unit,
            {(place or fairness.NOT_RECORDED, unit): count
             for place, count in zip(areas["place"].to_pylist(), areas[unit].to_pylist(), strict=True)},
        )
        for unit in geography.TOLD
    }  # fmt: skip
    return {
        "report": AREAS,
        "form": FORM,
        "number": len(before) + 1,
        "period": snapshot.label,
        "made_on": moments.london_day(on),
        "archive": snapshot.archive.name,
        "build": snapshot.label,
        "build_number": snapshot.built.number,
        "root": snapshot.root,
        "least_count": least,
        "rule": suppression.rule_in_words(least),
        **_gone_by(snapshot.archive),
        "tables": tell(snapshot, exact, before, least),
    }


def told_of_areas(said: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What such a report tells, records and people by area."""
    return {
        unit: {
            "" if place == fairness.NOT_RECORDED else place: count
            for place, cells in said["tables"][f"{unit}-by-area"]["counts"].items()
            for count in cells.values()
        }
        for unit in geography.TOLD
    }


def _least(today: Params) -> int:
    if today.suppression is None:
        raise Malformed("params.yaml names no least count under suppression: wanted it for reports")
    return today.suppression.least_count


def _publication(archive: Archive, label: str) -> Publication:
    found = [p for p in archive.history.publications if p.label == label]
    if not found:
        raise Missing(f"build {label} never went live: wanted one that did")
    return found[-1]


def report(archive: Archive, period: Period, today: Params, *, on: str) -> dict[str, Any]:
    """The whole report as text and whole numbers. Of what was done it has the day; `start`, `end` and `cut_off` are the
    bounds of a quarter and of a week, and moments of nobody's. Call it within `issuing.alone`: it is held against those
    before.

    `today` are the params in force now: what may be told is judged when it is told. Raises Malformed where they name
    no least count.
    """
    least = _least(today)
    before = issuing.earlier(archive, KIND)
    history = archive.history
    snapshot = Snapshot(archive, period.built, period.publication)
    former = history.builds[period.built.number - 2] if period.built.number > 1 else None
    rules = params.stated(snapshot.statement.params.decode())
    exact = tallies.tallies(snapshot, Snapshot(archive, former, None) if former else None)
    exact |= _left_out(period.built) | _overdue(archive, today, on)
    told = _without_small_groups(tell(snapshot, exact, before, least), before, least)
    told = _with_safe_totals(told, period.built.label, least)
    statement = snapshot.statement
    return {
        "report": KIND,
        "form": FORM,
        "number": len(before) + 1,
        "period": period.name,
        "start": period.start,
        "end": period.end,
        "made_on": moments.london_day(on),
        "archive": archive.name,
        "owner": _owner(rules),
        "build": period.built.label,
        "build_number": period.built.number,
        "builds": list(period.builds),
        "weeks": _weeks(archive, period, on),
        "published_on": moments.london_day(period.publication.start),
        "cut_off": period.built.cut_off,
        "root": snapshot.root,
        "verified": int(snapshot.verified),
        "caveat": snapshot.landing_page["text"],
        "least_count": least,
        "rule": suppression.rule_in_words(least),
        **_gone_by(archive),
        "tables": told,
        "rates": rates(told),
        "rates_on_invented_grades": _on_grades(rules),
        "rules": {
            "themes": dict(sorted(rules.themes.items())),
            "link": rules.links.rule,
            "least_records": rules.networks.least_records,
            "shared_associate": int(rules.networks.shared_associate),
            "alarm_share_percent": rules.networks.alarm_share_percent,
            "needs_grade": sorted(rules.grading.needs_grade),
            "kind_points": dict(sorted(rules.links.kind_points.items())),
            "to_confirm": _to_confirm(rules),
        },
        "harm_editions": [
            {"name": e.name, "sha256": e.digest, "adopted": int(e.name not in _not_adopted(rules))}
            for e in statement.harm_tables
        ],
        "feeds": [
            {
                "system": f.system,
                "complete_to": _last_day(f.watermark),
                "days_before": _days(f.watermark, period.built.cut_off),
            }
            for f in statement.feeds
        ],
        "papers": governing.standing(statement, rules, moments.london_day(period.built.cut_off)),
        "acts": _acts(archive, period),
        "granted": dict(sorted(Counter(act.role for act in _within(archive, period, "Granted")).items())),
        "use": _use(archive, period),
        "disposals": _disposals(archive, period),
        "holds": _holds(archive, period, on),
        "errors": _errors(archive, period),
        "reproductions": _reproductions(archive, period),
        "changes": _changes(archive, period),
        "heads": _heads(archive, period),
    }


# -- what is told of counts --------------------------------------------------------------------------------------------


def tell(
    snapshot: Snapshot, exact: Mapping[str, Tally], before: Sequence[Mapping[str, Any]], least: int
) -> dict[str, Any]:
    """Every table as it is told, by row and column: `counts`, without those of fewer than `least`; `first_told`, of
    each count: number of the build, of disposals, of people disposed of, and a bound of the rows then out of view; and
    `off_by`, by how much any of them may differ from the count."""
    number = snapshot.built.number
    nearest = sorted(before, key=lambda one: (abs(one["build_number"] - number), -one["number"]))
    people, disposals = (len(found) for found in _gone(snapshot.archive))
    out_of_view = {unit: _upper(tallies.hidden(snapshot, unit)) for unit in tallies.UNITS}
    found: dict[str, Any] = {}
    for name, tally in exact.items():
        now = Told(0, number, disposals, people, out_of_view[tally.unit])
        known: dict[tuple[int, int], int] = {}

        def since(told: Told, unit=tally.unit, known=known, now=now) -> Since:
            key = told.build, told.disposals
            if key not in known:
                known[key] = tallies.gone(snapshot, told, unit)
            return Since(known[key] + now.hidden + told.hidden, now.people - told.people)

        cells = {"\x1f".join(cell): count for cell, count in tally.cells.items()}
        earlier = [_earlier(one, name, cells) for one in nearest if name in one["tables"]]
        told = suppression.table_told(cells, earlier, since, least, now)
        slack = [since(one).things for one in told.values() if people - one.people < suppression.CROWD * least]
        off_by = least - 1 + _upper(max(slack, default=0), 64)
        found[name] = {"unit": tally.unit, "off_by": off_by, **_written(told)}
    return found


def _without_small_groups(told: dict[str, Any], before: Sequence[Mapping[str, Any]], least: int) -> dict[str, Any]:
    """The tables with the groups that are large enough to be told, and the areas with the most people. It is judged by
    told counts alone, which no disposal moves.

    Where what they leave of everybody is fewer people than a group may have, everybody is left out too, and with them
    those of whom nothing is recorded; where they leave too few of all people, the smallest of those kept as well.
    """
    found = dict(told)
    people = told["people-in-all"]["counts"].get("people", {}).get("recorded", 0)
    for characteristic in fairness.CHARACTERISTICS:
        name, is_area = _group_table(characteristic), characteristic == "area"
        counts = told[name]["counts"]
        fewest = least * (LEAST_OF_AREA if is_area else LEAST_OF_GROUP)
        groups = counts.keys() - _NO_GROUP
        kept = [row for row in groups if counts[row].get("recorded", 0) >= fewest]
        kept.sort(key=lambda row: (-counts[row]["recorded"], row))
        kept = kept[: AREAS_TOLD if is_area else None]
        # A group that an earlier report left out is told to be small by now, and is not among `groups`.
        left_out = len(kept) < len(groups) or any(one["tables"].get(name, {}).get("left_out") for one in before)

        def rest(total: int, counts=counts, kept=kept) -> int:
            return total - sum(counts[row]["recorded"] for row in kept)

        totals = _NO_GROUP & counts.keys()
        if left_out and rest(counts.get(EVERYBODY, {}).get("recorded", 0)) < fewest:
            totals = frozenset()
            while kept and rest(people) < fewest:
                kept.pop()
        rows = sorted({*kept, *totals})
        found[name] = told[name] | {
            "left_out": int(left_out),
            **{part: {row: told[name][part][row] for row in rows} for part in ("counts", "first_told")},
        }
    return found


def _with_safe_totals(told: dict[str, Any], label: str, least: int) -> dict[str, Any]:
    """The tables with totals from which no small part can be worked out (`suppression.total_told`).

    `unsaid` has the row and the column of those that cannot be told at all, which are no small counts;
    `off_by_of_totals` says by how much a total may differ from its count.
    """
    cells = {
        (name, row, column): count
        for name, table in told.items()
        for row, columns in table["counts"].items()
        for column, count in columns.items()
    }
    sums: dict[Cell, list[Sum]] = {}
    for each in tallies.sums(label):
        if each.parts[0][0] in told:
            sums.setdefault(each.total, []).append(each)
    whole = [(_group_table(by), column) for by in fairness.CHARACTERISTICS for column in tallies.COLUMNS]
    for table, column in whole:
        rows = told[table]["counts"].keys()
        if parts := [(table, row, column) for row in sorted(rows - _NO_GROUP)]:
            # Small groups are left out: whatever the total, there may be people in those.
            people, everybody = ("people-in-all", "people", column), (table, EVERYBODY, column)
            sums.setdefault(people, []).append(Sum(people, tuple(parts), rest=True))
            sums[everybody] = [Sum(everybody, tuple(parts), rest=True)]
    safe = {
        cell: suppression.total_told(cells[cell], ways, cells, least) for cell, ways in sums.items() if cell in cells
    }
    for table, column in whole:
        mine, people = (table, EVERYBODY, column), safe.get(("people-in-all", "people", column))
        if mine in safe and people and not cells.get((table, fairness.NOT_RECORDED, column)):
            # Beside all people it would tell how few the others are: it is told as all people are, or not.
            safe[mine] = people if people == suppression.total_told(people, sums[mine], cells, least) else None
    return {name: _with_totals(name, table, safe, least) for name, table in told.items()}


def _with_totals(name: str, table: Mapping[str, Any], safe: Mapping[Cell, int | None], least: int) -> dict[str, Any]:
    counts = {
        row: {
            column: told
            for column, count in columns.items()
            if (told := safe.get((name, row, column), count)) is not None
        }
        for row, columns in table["counts"].items()
    }
    unsaid = sorted([row, column] for (of, row, column), told in safe.items() if of == name and told is None)
    kept = {row for row, columns in counts.items() if columns}
    first = {
        row: {column: told for column, told in columns.items() if [row, column] not in unsaid}
        for row, columns in table["first_told"].items()
        if row in kept
    }
    return {
        **table, "counts": {row: counts[row] for row in counts if row in kept}, "first_told": first, "unsaid": unsaid,
        "off_by_of_totals": table["off_by"] + least,
    }  # fmt: skip


_NO_GROUP = frozenset({EVERYBODY, fairness.NOT_RECORDED})


def _group_table(characteristic: str) -> str:
    return f"groups-by-{characteristic.replace('_', '-')}"


def _earlier(report: Mapping[str, Any], name: str, cells: Mapping[str, int]) -> dict[str, Told]:
    """What a report told of each cell. One that it did not have was told to be too small: a row that comes up after a
    disposal, such as that of withheld figures, would tell how many somebody was linked with."""
    table = report["tables"][name]
    told = _read(table)
    if name.endswith(tallies.OVER_BUILDS):
        told = _carried(told, cells)
    small = Told(0, report["build_number"], report["disposals_so_far"], report["people_so_far"], 0)
    # A total that was kept back was not told to be too small.
    unsaid = {"\x1f".join(cell) for cell in table.get("unsaid", ())}
    if table.get("left_out"):
        unsaid |= {cell for cell in cells if cell.split("\x1f")[0] in _NO_GROUP} - told.keys()
    return {cell: told.get(cell, small) for cell in {*cells, *told} - unsaid}


def _read(table: Mapping[str, Any]) -> dict[str, Told]:
    return {
        f"{row}\x1f{column}": Told(table["counts"][row].get(column, 0), *first)
        for row, columns in table["first_told"].items()
        for column, first in columns.items()
    }


def _carried(told: dict[str, Told], cells: Mapping[str, int]) -> dict[str, Told]:
    """For a build that an earlier report did not have yet, what it told of the last one that it had: a new build's cell
    is not a new figure, and would show beside the old one who went between the two."""
    found = dict(told)
    for cell in cells.keys() - told.keys():
        label, theme = cell.split("\x1f")
        same = [(row, one) for row, one in ((key.split("\x1f"), one) for key, one in told.items()) if row[1] == theme]
        before = [(row[0], one) for row, one in same if row[0] < label]
        if before:
            found[cell] = max(before, key=lambda each: each[0])[1]
    return found


def _written(told: Mapping[str, Told]) -> dict[str, Any]:
    """Rows of which no count can be told are left out: that there are any would be told by the name alone."""
    counts: dict[str, dict[str, int]] = {}
    first: dict[str, dict[str, list[int]]] = {}
    for cell, one in told.items():
        row, column = cell.split("\x1f")
        counts.setdefault(row, {}).update({column: one.value} if one.value else {})
        first.setdefault(row, {})[column] = [one.build, one.disposals, one.people, one.hidden]
    kept = [row for row, columns in counts.items() if columns]
    return {"counts": {row: counts[row] for row in kept}, "first_told": {row: first[row] for row in kept}}


def _gone(archive: Archive) -> tuple[list[int], list[int]]:
    """What a crowd is counted by: the people disposed of, a disposal of records alone as one; and the disposals."""
    people: list[int] = []
    for each in archive.history.disposals:
        people += each.nominals or [0]
    return people, [each.number for each in archive.history.disposals]


def _gone_by(archive: Archive) -> dict[str, int]:
    people, disposals = _gone(archive)
    return {"disposals_so_far": len(disposals), "people_so_far": len(people)}


def _upper(count: int, first: int = 8) -> int:
    """A bound that is not the count: how many rows a person has who is restricted or gone is nobody's to know."""
    bound = first if count else 0
    while bound < count:
        bound *= 8
    return bound


def rates(told: Mapping[str, Any]) -> dict[str, Any]:
    """For each characteristic, group and rate: the share as the told counts give it, what it may be for all counts that
    they may stand for, and how it stands to that of everybody; or to that of all people, where everybody is not told.
    """
    found: dict[str, Any] = {}
    for characteristic in fairness.CHARACTERISTICS:
        table = told[_group_table(characteristic)]
        counts = table["counts"]
        said: dict[str, Any] = {}
        for of, among in fairness.RATES.items():
            cells = dict(counts)
            if is_of_all_people(table, of):
                cells[EVERYBODY] = told["people-in-all"]["counts"].get("people", {})
            mine = {
                row: fairness.rate(
                    columns.get(of) or 0,
                    columns.get(among) or 0,
                    table["off_by_of_totals" if row == EVERYBODY else "off_by"],
                )
                for row, columns in cells.items()
            }
            everybody = mine.get(EVERYBODY, fairness.rate(0, 0))
            said[of] = {
                row: {
                    **{name: count for name, count in (("of", one.of), ("among", one.among)) if count},
                    **({"per_mille": one.rate, "low": one.low, "high": one.high} if one.rate is not None else {}),
                    "against": "" if row == EVERYBODY else one.against(everybody),
                }
                for row, one in mine.items()
            }
        found[characteristic] = said
    return found


def is_of_all_people(table: Mapping[str, Any], of: str) -> bool:
    """Whether a share of a table of groups is held against all people: of those of whom the characteristic is recorded
    it is not told, lest a small group be worked out."""
    unsaid = [EVERYBODY, of] in table["unsaid"] or [EVERYBODY, fairness.RATES[of]] in table["unsaid"]
    return unsaid or (bool(table["left_out"]) and EVERYBODY not in table["counts"])


def _left_out(built: acts_of.Built) -> dict[str, Tally]:
    cells = {(each.what, "records"): each.records for each in built.left_out}
    return {"records-left-out": Tally("records", cells)}


def _overdue(archive: Archive, rules: Params, on: str) -> dict[str, Tally]:
    """What is due by the retention rules, on the day that the report is made: of people, and of records."""
    today = moments.london_day(on)
    due = reviewing.register(archive, rules, on=today).due()
    cells: dict[str, Counter] = {"nominal": Counter(), "record": Counter()}
    for what, action, since in zip(*(due[name].to_pylist() for name in ("what", "action", "due")), strict=True):
        cells[what][_DUE[action], NOW] += 1
        cells[what][_DUE[action], A_YEAR] += since.isoformat() <= f"{int(today[:4]) - 1:04d}{today[4:]}"
    return {"people-due": Tally("people", +cells["nominal"]), "records-due": Tally("records", +cells["record"])}


# -- what is told of acts ----------------------------------------------------------------------------------------------


def _within(archive: Archive, period: Period, *kinds: str) -> list[Any]:
    return [act for act in archive.acts(kinds) if period.start <= act.on < period.end]


def _acts(archive: Archive, period: Period) -> dict[str, int]:
    found = Counter(_name(act) for act in _within(archive, period, *_COUNTED))
    return {name: found[name] for name in _COUNTED if found[name]}


def _name(act: Any) -> str:
    return act.act if isinstance(act, acts_of.Unknown) else type(act).__name__


def _use(archive: Archive, period: Period) -> dict[str, Any]:
    """Pages that were looked at, by view and by role, and by how many of the staff."""
    views = _within(archive, period, "Viewed")
    by_view = Counter(asking.read_view(act.asked) for act in views)
    by_role = Counter(act.under for act in views)
    return {
        "views": len(views),
        "staff": len({act.by for act in views}),
        "by_view": dict(sorted(by_view.items())),
        "by_role": dict(sorted(by_role.items())),
        "for_a_case": sum(bool(act.case) for act in views) + len(_within(archive, period, "Consulted")),
    }


def _disposals(archive: Archive, period: Period) -> list[dict[str, Any]]:
    """Disposals that were ordered in the period, by reason: how many, and whether each has its certificate. How many
    people and records each reached stands in its certificate."""
    found: dict[str, Counter] = {}
    for each in archive.history.disposals:
        if period.start <= each.first.on < period.end:
            counts = found.setdefault(each.first.reason, Counter())
            counts["disposals"] += 1
            counts["certified"] += each.certified is not None
    return [{"reason": reason, **dict(counts)} for reason, counts in sorted(found.items())]


def _holds(archive: Archive, period: Period, on: str) -> dict[str, int]:
    holds = archive.history.holds.values()
    return {
        "standing": sum(hold.stands for hold in holds),
        "placed": sum(period.start <= hold.placed_on < period.end for hold in holds),
        "released": sum(bool(hold.released_on) and period.start <= hold.released_on < period.end for hold in holds),
        "overdue": len(holding.overdue(archive.history, on)),
        "restricted": int(bool(archive.history.restricted)),
    }


def _errors(archive: Archive, period: Period) -> dict[str, Any]:
    """Reports that a page was wrong, and how long it took until each was last settled, in days."""
    reported = [_said(act) for act in archive.acts(["Reported"])]
    settled: dict[int, dict[str, Any]] = {}
    for act in archive.acts(["Settled"]):
        said = _said(act)
        settled[said["report"]] = said
    made = [n for n, said in enumerate(reported, start=1) if period.start <= said["on"] < period.end]
    closed = [n for n, said in settled.items() if period.start <= said["on"] < period.end and n <= len(reported)]
    days = sorted(_days(reported[n - 1]["on"], settled[n]["on"]) for n in closed)
    return {
        "reported": len(made),
        "settled": len(closed),
        "open": sum(
            said["on"] < period.end and (n not in settled or settled[n]["on"] >= period.end)
            for n, said in enumerate(reported, start=1)
        ),
        "days_to_settle": {"median": days[(len(days) - 1) // 2], "longest": days[-1]} if days else {},
        "findings": dict(sorted(Counter(settled[n]["finding"] for n in closed).items())),
        "causes": dict(sorted(Counter(settled[n]["cause"] for n in closed if settled[n]["cause"]).items())),
    }


def _reproductions(archive: Archive, period: Period) -> list[dict[str, Any]]:
    """Builds of the period that were made again from their records, each with its last verdict."""
    last = {}
    for act in archive.acts(["Reproduced"]):
        said = _said(act)
        if said.get("label") in period.builds:
            day = moments.london_day(said["on"])
            last[said["label"]] = {"build": said["label"], "on": day, "verdict": said.get("verdict", "")}
    return [last[label] for label in sorted(last)]


def _said(act: Any) -> dict[str, Any]:
    return canonical.loads(acts_of.to_bytes(act))


def _changes(archive: Archive, period: Period) -> list[dict[str, Any]]:
    """How the method changed from build to build, for the builds of the period: params by key, and harm tables."""
    found = []
    builds = archive.history.builds
    for label in period.builds:
        built = archive.history.build(label)
        if built.number == 1:
            continue
        old, new = (archive.stated(builds[number - 1]) for number in (built.number - 1, built.number))
        before, after = (_flat(json.loads(one.params)) for one in (old, new))
        keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        tables = sorted({(e.name, e.digest) for e in new.harm_tables} - {(e.name, e.digest) for e in old.harm_tables})
        for key in keys:
            found.append({"build": label, "what": key, "before": before.get(key, ""), "after": after.get(key, "")})
        found += [{"build": label, "what": "harm table", "before": "", "after": name} for name, _ in tables]
        for what, one, other in (("code", old.package, new.package), ("environment", old.environment, new.environment)):
            if one != other:
                found.append({"build": label, "what": what, "before": one[:12], "after": other[:12]})
    return found


def _flat(value: Any, key: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {key: canonical.dumps(value).decode()}
    found: dict[str, str] = {}
    for name, inner in value.items():
        found |= _flat(inner, f"{key}.{name}" if key else name)
    return found


def _to_confirm(rules: Params) -> list[dict[str, str]]:
    """The settings that say that the force has yet to confirm them: their keys, and what they rest on meanwhile."""
    flat = _flat(json.loads(rules.canonical()))
    found = []
    for key in sorted(flat):
        section, _, last = key.rpartition(".")
        if last == "force_to_confirm" and flat[key] == "true":
            rests = flat.get(f"{section}.instrument", "")
            found.append({"key": section, "rests_on": json.loads(rests) if rests else ""})
    found += [{"key": f"harm.editions.{name}", "rests_on": ""} for name in sorted(_not_adopted(rules))]
    return found


def _not_adopted(rules: Params) -> set[str]:
    return {edition.name for edition in rules.harm.editions if edition.force_to_confirm}


def _on_grades(rules: Params) -> list[str]:
    """The shares that rest in part on grades which whoever adapted the records made up."""
    made_up = rules.owner is not None and "grades" in (rules.owner.invented or ())
    return ["linked", "key", "harmed"] if made_up else []


def _owner(rules: Params) -> dict[str, Any]:
    """What the owner says of the archive and its records, as the build carries it; "" where nobody has said it."""
    if rules.owner is None:
        return {"version": "", "name": "", "contact": "", "records": "", "sources": {}, "areas": "", "invented": []}
    return rules.owner.model_dump(mode="json") | {"invented": list(rules.owner.invented or ())}


def _weeks(archive: Archive, period: Period, on: str) -> dict[str, Any]:
    """Weeks of which the Sunday, in London, is in the period; of those, the weeks that had ended by the day of the
    report, those that have a build, and which have none; the same from the archive's first build on. 0 where the period
    is a build."""
    quarter = _sundays(period.start, period.end) if "-Q" in period.name else []
    ended = [label for label in quarter if label in set(_sundays(period.start, min(period.end, on)))]
    labels = {p.label.partition(".")[0] for p in archive.history.publications if p.start <= period.publication.start}
    every = _span(min(labels), max(labels))
    return {
        "in_period": len(quarter), "ended": len(ended), "built": len(labels & {*ended}),
        "missing": [label for label in ended if label not in labels],
        "since_first": every, "built_since_first": len(labels),
    }  # fmt: skip


def _sundays(start: str, end: str) -> list[str]:
    """Labels of the weeks of which the Sunday is among the London days from one instant to before another."""
    first, last = (date.fromisoformat(moments.london_day(each)) for each in (start, end))
    days = (first + timedelta(days=at) for at in range((last - first).days))
    return ["{:04d}-W{:02d}".format(*day.isocalendar()[:2]) for day in days if day.isoweekday() == 7]


def _span(first: str, last: str) -> int:
    """How many weeks there are from one label to another, both counted."""
    monday = [date.fromisocalendar(int(label[:4]), int(label[6:8]), 1) for label in (first, last)]
    return (monday[1] - monday[0]).days // 7 + 1


def _heads(archive: Archive, period: Period) -> dict[str, Any]:
    """The log's head as the report was made, and those that were shown outside."""
    shown = witnessing.shown(archive)
    return {
        "size": archive.log.size,
        "root": archive.log.root.hex(),
        "shown": [
            {"size": head.size, "root": head.root.hex(), "cosigned_by": sorted(line.name for line in head.cosigned),
             "stamped_by": sorted(head.stamps), "enough_witnesses": int(head.quorum_met)}
            for head in shown[-10:]
        ],
    }  # fmt: skip


def _last_day(instant: str) -> str:
    """The London day in which something ended: the day before, where it ended at a midnight. A day and no more, since
    the moment up to which a source is complete may be that of one record."""
    day = moments.london_day(instant)
    if moments.day(day)[0] != moments.instant(instant):
        return day
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def _days(start: str, end: str) -> int:
    return (moments.instant(end) - moments.instant(start)).days
