"""What a build comes to in counts, for those who are to know no one: by source, grade, role, theme, size and group.

Exact counts, which do not leave: whoever tells them goes through `suppression` first. Each is of people, records, links
or networks that the build still shows; what was disposed of or is restricted is counted in no build.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import fairness, params, standings, vault
from provenance.asof import Snapshot
from provenance.fairness import NOT_RECORDED
from provenance.params import Params
from provenance.records import THEMES
from provenance.suppression import Sum, Told


def of_line(low: int, high: int | None) -> str:
    """`3 to 5`, `2`, `101 or more`."""
    return f"{low:,} or more" if high is None else f"{low:,}" if low == high else f"{low:,} to {high:,}"


LARGEST = "people in one network"
UNITS = ("people", "records", "records behind links", "links", "networks", LARGEST)
# The tables of the archive by whose rows a count of a unit can fall when something is disposed of.
_TABLES = {
    "people": ("person", "nominal", "involvement"),
    "records": ("record",),
    "records behind links": ("record", "involvement"),  # a record is behind none once it has one person left
    "links": ("link",),
    "networks": ("network",),
    LARGEST: ("network",),
}
_ALL_OF_IT = 8**12  # more people than there are: one who goes may take the largest network apart
SIZES = ((2, 2), (3, 5), (6, 10), (11, 25), (26, 100), (101, 1000), (1001, None))  # members of a network
OVER_BUILDS = "-over-builds"  # tables of one count by build and theme
RECORDS_BEHIND = ((1, 1), (2, 2), (3, 4), (5, 9), (10, None))  # of a link
SOURCES_BEHIND = ((1, 1), (2, 2), (3, None))
EVERYBODY = "everybody"  # in a theme; of groups, those of whom the characteristic is recorded
PARTS = (
    "suspected, never a victim", "suspected in one record, victim in another", "victim and nothing else",
    "witness, or another part", "figures withheld",
)  # fmt: skip
CHILDREN = ("children, in all", "children suspected of something", "children who are victims and nothing else")
STAYED = ("stayed, as many people", "stayed, more or fewer people", "stayed, size withheld", "new")  # and not gone
NOW = "now"  # in the place of the build's label
# What is told in total, by table and row, and the tables whose rows add up to it in each theme.
_PARTITIONS = (
    (
        (("links-that-hang", "all links"), (f"links{OVER_BUILDS}", NOW)),
        {
            "links-by-records": tuple(of_line(*each) for each in RECORDS_BEHIND),
            "links-by-sources": tuple(of_line(*each) for each in SOURCES_BEHIND),
        },
    ),
    ((("people-by-part", EVERYBODY), (f"people{OVER_BUILDS}", NOW)), {"people-by-part": PARTS}),
    (
        ((f"networks{OVER_BUILDS}", NOW),),
        {"networks-by-size": tuple(of_line(*each) for each in SIZES), "networks-that-stayed": STAYED},
    ),
)
COLUMNS = ("recorded", "offending", "linked", "key", "harmed")  # of the tables of groups
_BEHIND = ("theme", "records", "supports.system", "supports.kind")


@dataclass(frozen=True, slots=True)
class Tally:
    """One table of exact counts: by row and column, those that are 0 left out."""

    unit: str  # one of UNITS: what is counted
    cells: Mapping[tuple[str, str], int]


def tallies(snapshot: Snapshot, before: Snapshot | None) -> dict[str, Tally]:
    """Every table of a build by its name; `before` is the build that came before it, for what stayed."""
    rules = params.stated(snapshot.statement.params.decode())
    records = snapshot.content("record", snapshot.standing("record"))
    figures = snapshot.nominals()
    described = _described(snapshot)
    return {
        **_of_records(records, rules),
        **_of_links(snapshot),
        **_of_people(figures, described),
        **_of_networks(snapshot, before),
        **_over_builds(snapshot),
        **_of_groups(snapshot, records, figures, described, rules),
    }


def hidden(snapshot: Snapshot, unit: str) -> int:
    """How many rows by which a unit is counted are out of view in this build: restricted, or near what is."""
    count = 0
    for table in _TABLES[unit]:
        at = snapshot.standing(table)
        count += int((~snapshot.archive.shown(table, at)).sum())
        if table in ("nominal", "network"):
            count += int(snapshot.is_near_withheld(table, at).sum())
    return _reach(unit, count)


def _reach(unit: str, rows: int) -> int:
    """By how much a count may fall when so many rows go."""
    return _ALL_OF_IT if unit == LARGEST and rows else rows


def gone(snapshot: Snapshot, told: Told, unit: str) -> int:
    """How many rows by which a figure counted, when it was first told, have been disposed of since or were computed
    with what was."""
    count = 0
    for table in _TABLES[unit]:
        index = snapshot.archive.index(table)
        at = index.standing(told.build)
        count += int(((index.died[at] > told.disposals) | (index.marked[at] > told.disposals)).sum())
    return _reach(unit, count)


def sums(label: str) -> list[Sum]:
    """The totals among the tables of the build of this label, with their parts; of groups see `sums_of_groups`."""
    found = []
    for theme in THEMES:
        for totals, partitions in _PARTITIONS:
            cells = [(table, row if row != NOW else label, theme) for table, row in totals]
            parts = [tuple((table, row, theme) for row in rows) for table, rows in partitions.items()]
            found += [Sum(cell, each) for cell in cells for each in parts]
        whole, *some = (("children-by-part", row, theme) for row in CHILDREN)
        found.append(Sum(whole, tuple(some), rest=True))
    return found


# -- records and links -------------------------------------------------------------------------------------------------


def _of_records(records: pa.Table, rules: Params) -> dict[str, Tally]:
    columns = ("system", "kind", "grade_scheme", "source_grade", "assessment_grade", "handling", "themes", "status")
    rows = list(zip(*(records[name].to_pylist() for name in columns), strict=True))
    source, grade, handling, themes = Counter(), Counter(), Counter(), Counter()
    for system, kind, scheme, of_source, assessment, code, named, status in rows:
        source[system, kind.replace("_", " ")] += 1
        if scheme:
            admitted = rules.grading.admitted[scheme][of_source][assessment]
            row = f"{scheme}: {of_source}{assessment}"
        else:
            admitted, row = kind not in rules.grading.needs_grade, "no grade"
        counts = admitted and status not in rules.links.statuses_left_out
        grade[row, "may count towards a link" if counts else "may not"] += 1
        handling[f"{scheme}: {code}" if code else "no handling code", "records"] += 1
        for theme in set(named.split(";")) - {""} or {"no theme"}:
            themes[theme, "records"] += 1
    return {
        "records-by-source": Tally("records", source),
        "records-by-grade": Tally("records", grade),
        "records-by-handling": Tally("records", handling),
        "records-by-theme": Tally("records", themes),
    }


def _of_links(snapshot: Snapshot) -> dict[str, Tally]:
    records, sources, hangs = Counter(), Counter(), Counter()
    for batch in snapshot.link_batches(_BEHIND):
        theme = batch["theme"].combine_chunks()
        lists = batch["supports"].combine_chunks()
        owner, flat = pc.list_parent_indices(lists), pc.list_flatten(lists)
        count = batch["records"].to_numpy()
        systems = pa.table({"owner": owner, "system": pc.struct_field(flat, "system")})
        distinct = systems.group_by("owner").aggregate([("system", "count_distinct")]).sort_by("owner")
        several = distinct["system_count_distinct"].to_numpy()
        other = np.zeros(batch.num_rows, np.int64)
        np.add.at(other, owner.to_numpy(), pc.not_equal(pc.struct_field(flat, "kind"), "intelligence").to_numpy(False))
        for name in THEMES:
            mine = pc.equal(theme, name).to_numpy(zero_copy_only=False)
            _banded(records, name, count[mine], RECORDS_BEHIND)
            _banded(sources, name, several[mine], SOURCES_BEHIND)
            intelligence = mine & (other == 0)
            hangs["all links", name] += int(mine.sum())
            hangs["rest on one record", name] += int((mine & (count == 1)).sum())
            hangs["rest on intelligence alone", name] += int(intelligence.sum())
            hangs["rest on one piece of intelligence, which nothing else bears out", name] += int(
                (intelligence & (count == 1)).sum()
            )
    return {
        "links-by-records": Tally("links", +records),
        "links-by-sources": Tally("links", +sources),
        "links-that-hang": Tally("links", +hangs),
    }


def _banded(counts: Counter, column: str, values: np.ndarray, bands: Iterable[tuple[int, int | None]]) -> None:
    for low, high in bands:
        there = (values >= low) & (values <= (high if high is not None else np.iinfo(np.int64).max))
        counts[of_line(low, high), column] += int(there.sum())


# -- people and networks -----------------------------------------------------------------------------------------------


def _of_people(figures: pa.Table, described: Mapping[str, Mapping[str, str | bool]]) -> dict[str, Tally]:
    """Parts that people have in records, by theme. Whose figures are withheld is counted as such and no more."""
    roles, children = Counter(), Counter()
    wanted = ("theme", "nominal", "offending", "victim", "victim_only")
    for theme, nominal, offending, victim, only in zip(*(figures[name].to_pylist() for name in wanted), strict=True):
        roles[EVERYBODY, theme] += 1
        if offending is None:
            roles["figures withheld", theme] += 1
            continue
        if offending and victim:
            roles["suspected in one record, victim in another", theme] += 1
        elif offending:
            roles["suspected, never a victim", theme] += 1
        elif only:
            roles["victim and nothing else", theme] += 1
        else:
            roles["witness, or another part", theme] += 1
        if described.get(nominal, _NOBODY)["child"]:
            children[CHILDREN[0], theme] += 1
            children[CHILDREN[1], theme] += bool(offending)
            children[CHILDREN[2], theme] += bool(only)
    return {"people-by-part": Tally("people", +roles), "children-by-part": Tally("people", +children)}


_NOBODY = {"sex": NOT_RECORDED, "ethnicity": NOT_RECORDED, "age_band": NOT_RECORDED, "child": False}


def _described(snapshot: Snapshot) -> dict[str, dict[str, str | bool]]:
    """Sex, ethnicity, age band on the day of the cut-off, and whether a child, of each of whom a source said it, under
    the id that the build judged them to be; _NOBODY for the others. What is not recorded of that id is taken from those
    that were merged into it, in order: a source that merges two people need not describe the one that stays."""
    day = snapshot.built.cut_off[:10]
    people = snapshot.content("person", snapshot.standing("person"))
    judged = snapshot.stands_for(people["nominal_id"].to_pylist())
    columns = ("nominal_id", "sex", "ethnicity", "born", "is_child")
    rows = sorted(zip(*(people[name].to_pylist() for name in columns), strict=True),
                  key=lambda row: (row[0] != judged[row[0]], row[0]))  # fmt: skip
    merged: dict[str, tuple[str, ...]] = {}
    for who, *said in rows:
        so_far = merged.get(judged[who], ("",) * len(said))
        merged[judged[who]] = tuple(have or more for have, more in zip(so_far, said, strict=True))
    found: dict[str, dict[str, str | bool]] = {}
    for who, (sex, ethnicity, born, flag) in merged.items():
        band = fairness.age_band(born, day)
        child = band in fairness.AGE_BANDS[:2] if band != NOT_RECORDED else flag == "1"
        found[who] = {
            "sex": sex or NOT_RECORDED, "ethnicity": ethnicity or NOT_RECORDED, "age_band": band, "child": child
        }  # fmt: skip
    return found


def _of_networks(snapshot: Snapshot, before: Snapshot | None) -> dict[str, Tally]:
    sizes, stays = Counter(), Counter()
    now = _members(snapshot)
    for (theme, _), members in now.items():
        if members is not None:
            _banded(sizes, theme, np.array([members]), SIZES)
    was = _members(before) if before else {}
    for key in sorted({*now, *was}):
        theme = key[0]
        if key not in was:
            stays["new", theme] += 1
        elif key not in now:
            stays["gone", theme] += 1
        elif now[key] is None or was[key] is None:
            stays["stayed, size withheld", theme] += 1
        else:
            stays["stayed, as many people" if now[key] == was[key] else "stayed, more or fewer people", theme] += 1
    largest = Counter()
    for (theme, _), members in now.items():
        largest["largest network", theme] = max(largest["largest network", theme], members or 0)
    found = {"networks-by-size": Tally("networks", +sizes), "people-in-largest": Tally(LARGEST, +largest)}
    return found | ({"networks-that-stayed": Tally("networks", +stays)} if before else {})


def _members(snapshot: Snapshot) -> dict[tuple[str, str], int | None]:
    networks = snapshot.networks()
    rows = zip(*(networks[name].to_pylist() for name in ("theme", "network", "members")), strict=True)
    return {(theme, network): members for theme, network, members in rows}


def _over_builds(snapshot: Snapshot) -> dict[str, Tally]:
    labels = [built.label for built in snapshot.archive.history.builds[: snapshot.built.number]]
    found: dict[str, Counter] = {unit: Counter() for unit in ("people", "links", "networks")}
    for theme in THEMES:
        series = standings.over_builds(snapshot, theme)
        for unit, cells in found.items():
            cells.update({(label, theme): count for label, count in zip(labels, series[unit], strict=True) if count})
    return {f"{unit}{OVER_BUILDS}": Tally(unit, +cells) for unit, cells in found.items()}


# -- groups ------------------------------------------------------------------------------------------------------------


def _of_groups(
    snapshot: Snapshot,
    records: pa.Table,
    figures: pa.Table,
    described: Mapping[str, Mapping[str, str | bool]],
    rules: Params,
) -> dict[str, Tally]:
    """For each characteristic: how many of a group are in the source records, offend in one, are linked in any theme,
    are key nominals of any, and have harm. Each person once, under the id that the build judged them to be.

    `everybody` is of whom the characteristic is recorded: of the others there may be so many, and so different, that
    every group would differ from a whole with them in it."""
    parts = snapshot.content("involvement", snapshot.standing("involvement"))
    names = pc.unique(parts["nominal_id"]).to_pylist()
    judged = snapshot.stands_for(names)
    offending = {role for role, kind in rules.links.role_classes.items() if kind == "offending"}
    places = {
        (system, record_id): place or NOT_RECORDED
        for system, record_id, place in zip(
            *(records[name].to_pylist() for name in ("system", "record_id", "place")), strict=True
        )
    }
    sets: dict[str, set[str]] = {name: set() for name in COLUMNS}
    areas: dict[str, Counter[str]] = {}
    columns = ("system", "record_id", "nominal_id", "role")
    for system, record_id, nominal, role in zip(*(parts[name].to_pylist() for name in columns), strict=True):
        who = judged[nominal]
        sets["recorded"].add(who)
        if role in offending:
            sets["offending"].add(who)
        areas.setdefault(who, Counter())[places.get((system, record_id), NOT_RECORDED)] += 1
    for nominal, links, harm in zip(*(figures[name].to_pylist() for name in ("nominal", "links", "harm")), strict=True):
        if links:
            sets["linked"].add(nominal)
        if harm:
            sets["harmed"].add(nominal)
    sets["key"] = _key_nominals(snapshot) & sets["linked"]
    sets["harmed"] &= sets["linked"]
    sets["linked"] &= sets["recorded"]
    everybody = sorted(sets["recorded"])
    area = {who: min(found, key=lambda place: (-found[place], place)) for who, found in areas.items()}
    whole = Counter({("people", name): len(members) for name, members in sets.items()})
    found = {"people-in-all": Tally("people", +whole)}
    for characteristic in fairness.CHARACTERISTICS:
        group = (
            area
            if characteristic == "area"
            else {who: described.get(who, _NOBODY)[characteristic] for who in everybody}
        )
        cells: Counter[tuple[str, str]] = Counter()
        for name, members in sets.items():
            for who in members & group.keys():
                cells[str(group[who]), name] += 1
                cells[EVERYBODY, name] += group[who] != NOT_RECORDED
        found[f"groups-by-{characteristic.replace('_', '-')}"] = Tally("people", +cells)
    return found


def _key_nominals(snapshot: Snapshot) -> set[str]:
    """Whom the pages of key nominals list, in any theme."""
    found: set[str] = set()
    for theme in THEMES:
        at = standings.shown(snapshot, "nominal", theme)
        at = at[standings.visible(snapshot, "nominal", at)]
        keys = snapshot.archive.vault.keys(snapshot.archive.index("nominal").a[standings.key_people(snapshot, at)])
        found |= set(vault.nominal_ids(keys).to_pylist())
    return found
