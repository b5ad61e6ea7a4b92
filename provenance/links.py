"""Who is linked to whom, and by which records: every pair of people in one admitted record, per theme.

A link has no other ground than its supports, so that without the last of them it is gone (R09, R14). A record that is
not admitted, is of one person or is of a crowd supports nothing, and `left_out` counts it by its reason alone.
Victims count as victims (R16). Every figure is a sum of integers over records, so that it can be added up by hand.

The rules are Ibis expressions over the tables of the input contract, which DuckDB runs here and Spark runs elsewhere.
Expressions have no order of rows except where said; nothing is read or written by building one.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from provenance.grading import all_conditions, strictest_handling
from provenance.harm import HarmTable
from provenance.params import CLASSES, Params
from provenance.records import ROLES, SCHEMES
from provenance.tables import SUPPORT

RECORD = ("system", "record_id")
_UNADMITTED = ("status", "no-grade", "grade-not-admitted", "no-theme")  # the record counts for nothing
_UNLINKED = ("one-person", "over-cap")  # the record counts for its people, and links no one
REASONS = _UNADMITTED + _UNLINKED  # in the order in which they are tried; the first that holds is the reason
_ZERO, _FALSE = ibis.literal(0, "int64"), ibis.literal(False)  # where there is no second table
NO_ONE = ibis.literal([], type="array<string>")


def connection(threads: int) -> ibis.BaseBackend:
    """A DuckDB in memory that never spills: plaintext stays in memory, or the query fails for want of it."""
    return ibis.duckdb.connect(":memory:", temp_directory="", threads=threads, autoinstall_known_extensions=False)


def supports(records: ir.Table, involvements: ir.Table, params: Params) -> ir.Table:
    """One row per theme, pair and record: the record's part in the link, with `a` before `b` in byte order.

    `records` is RECORDS with an int64 `version`, one row per record; `involvements` is INVOLVEMENTS with `nominal`, who
    `nominal_id` is now judged to be. `contribution` is in points: the kind's points times the percent of the best pair
    of roles times the percent of the grade, rounded down, at least 1. `assessed` is `assessment` when any part of
    either person is one, `fact` when all are fact, else empty. `sources_a` and `sources_b` are the ids, sorted, under
    which the record knew the person when those are others than `a` and `b`.
    """
    people = _people(involvements, params)
    judged = _judged(records, people, params)
    linking = judged.filter(judged.reason == "")
    # Crowds go before the pairs are made: one record of 10,000 people would be 50 million rows.
    party = people.semi_join(linking, RECORD)
    others = party.view()
    pairs = party.join(
        others,
        [party.system == others.system, party.record_id == others.record_id, party.nominal < others.nominal],
        lname="{name}_a",
        rname="{name}_b",
    )
    pairs = pairs.select(
        *(pairs[f"{name}_a"].name(name) for name in RECORD),
        a=pairs.nominal_a,
        b=pairs.nominal_b,
        role_a=pairs.roles_a,
        role_b=pairs.roles_b,
        classes_a=pairs.classes_a,
        classes_b=pairs.classes_b,
        assessed=ibis.ifelse(
            pairs.some_assessment_a | pairs.some_assessment_b,
            "assessment",
            ibis.ifelse(pairs.all_fact_a & pairs.all_fact_b, "fact", ""),
        ),
        sources_a=pairs.sources_a,
        sources_b=pairs.sources_b,
    )
    best = _best_pairs(params)
    joined = _themed(linking, params).join(pairs, RECORD).join(best, ["classes_a", "classes_b"])
    points = joined.kind.cases(*sorted(params.links.kind_points.items()), else_=0).cast("int64")
    # At most 1,000,000 x 100 x 100, where the floor of a division is exact in every engine, also as doubles.
    product = points * joined.pair_percent * joined.grade_percent
    return joined.select(
        "theme", "a", "b", *RECORD, "version", "kind", "occurred_at", "role_a", "role_b", "assessed", "grade_scheme",
        grade=ibis.ifelse(joined.grade_scheme == "", "", joined.source_grade + joined.assessment_grade),
        handling=joined.handling,
        conditions=joined.conditions,
        contribution=ibis.greatest(product // 10_000, ibis.literal(1, "int64")),
        sources_a=joined.sources_a,
        sources_b=joined.sources_b,
    )  # fmt: skip


def left_out(records: ir.Table, involvements: ir.Table, params: Params) -> ir.Table:
    """How many records gave no link, and how many involved people they hold, per reason, system and kind.

    A record counts once, under the first of REASONS that holds; a person once per record.
    """
    judged = _judged(records, _people(involvements, params), params)
    return (
        judged.filter(judged.reason != "")
        .group_by("reason", "system", "kind")
        .agg(records=lambda t: t.count(), people=lambda t: _total(t.people))
        .select("reason", "system", "kind", "records", "people")
        .order_by("reason", "system", "kind")
    )


def links(supports: ir.Table, handling_order: Sequence[str]) -> ir.Table:
    """One row per theme and pair: what its supports add up to, and the supports, sorted by system and record id.

    `strength` is in points; `handling` is the strictest, by an order from the least strict up, and `conditions` all of
    the supports' (R13).
    """
    key = ("theme", "a", "b")
    # Conditions are rare: gathered apart, they cost nothing where there are none.
    bound = supports.filter(supports.conditions != "")
    bound = bound.group_by(*key).agg(conditions=all_conditions(bound.conditions))
    gathered = supports.group_by(*key).agg(
        records=supports.count(),
        strength=_total(supports.contribution),
        handling=strictest_handling(supports.handling, handling_order),
        # A list of structs sorts by their first fields. Measured: sorting while collecting takes seven times as long.
        supports=ibis.struct({field.name: supports[field.name] for field in SUPPORT}).collect().sort(),
    )
    joined = _left(gathered, bound, key, "conditions")
    return joined.mutate(conditions=ibis.coalesce(joined.conditions, ""))


def tallies(records: ir.Table, involvements: ir.Table, params: Params, harm: HarmTable) -> ir.Table:
    """Per theme and nominal: how many admitted records, in which class of role, the harm in days, and beside it, where
    there is a second table, the severity in its points; each by its own edition, and never added.

    A person who had roles of two classes in a record counts in both. `harm` sums the days of the records in which the
    person had one of `params.harm.roles`; `harm_unknown` counts such records whose offence the edition does not price,
    because the code is absent, unknown or expired; `severity` and `severity_unknown` likewise. Records of one person or
    of a crowd count here too. Every column is a sum over records, so the tallies of disjoint sets of records, under the
    same identities, add up and subtract.
    """
    people = _people(involvements, params)
    judged = _judged(records, people, params)
    admitted = _themed(judged.filter(~judged.reason.isin(_UNADMITTED)), params)
    weights = {name: table for name, table in (("harm", harm), ("severity", harm.severity)) if table}
    priced = admitted
    for name, table in weights.items():
        prices = ibis.memtable(table.rows)
        prices = prices.filter(~prices.expired).select("offence_code", **{name: prices.weight})
        priced = _left(priced, prices, ("offence_code",), name)
    joined = priced.select(*RECORD, "theme", *weights).join(people, RECORD)
    counts = joined.harmful.cast("int64")
    sums = {name: _total(joined[name]) for name in CLASSES}
    for name in ("harm", "severity"):
        weight, bare = (joined[name], joined[name].isnull()) if name in weights else (_ZERO, _FALSE)
        sums |= {name: _total(counts * ibis.coalesce(weight, _ZERO))}
        sums |= {f"{name}_unknown": _total(counts * bare.cast("int64"))}
    return joined.group_by("theme", "nominal").agg(records=joined.count(), **sums)


def charged(records: ir.Table, involvements: ir.Table, params: Params) -> ir.Table:
    """The records that `tallies` adds up, one by one: a row per theme, person and admitted record (`harm.CHARGED`).

    `roles` are those of the person in the record; `counts` is 1 where one of them is of `params.harm.roles`, so that
    the record's harm counts towards the person, and 0 where they were a victim, say.
    """
    people = _people(involvements, params)
    judged = _judged(records, people, params)
    admitted = _themed(judged.filter(~judged.reason.isin(_UNADMITTED)), params)
    admitted = admitted.select(*RECORD, "theme", "kind", "occurred_at", "offence_code")
    joined = admitted.join(people.select(*RECORD, "nominal", "roles", "harmful"), RECORD)
    return joined.select(
        "theme", "nominal", *RECORD, "kind", "occurred_at", "offence_code", "roles",
        counts=joined.harmful.cast("int64"),
    )  # fmt: skip


def _total(column: ir.IntegerColumn) -> ir.IntegerScalar:
    """The sum, as int64. DuckDB's is a HUGEINT, which Parquet holds as a double; Ibis takes it for an int64 and drops a
    cast to that as idle, so the way there is a decimal. Raises in the engine when the sum is beyond int64."""
    return column.sum().cast("decimal(38, 0)").cast("int64")


def _people(involvements: ir.Table, params: Params) -> ir.Table:
    """One row per record and person, however many rows the record has of them."""
    key = (*RECORD, "nominal")
    # Roles as a sum of bits: engines differ in aggregates over bits and lists, and agree in any() and sums.
    bits = [(involvements.role == role).any().cast("int64") * (1 << place) for place, role in enumerate(ROLES)]
    people = involvements.group_by(*key).agg(
        mask=functools.reduce(operator.add, bits),
        some_assessment=(involvements.assessed == "assessment").any(),
        all_fact=(involvements.assessed == "fact").all(),
    )
    merged = involvements.filter(involvements.nominal_id != involvements.nominal)
    merged = merged.group_by(*key).agg(sources=merged.nominal_id.collect(distinct=True).sort())
    people = _left(people.join(_role_sets(params), "mask"), merged, key, "sources")
    return people.mutate(sources=ibis.coalesce(people.sources, NO_ONE)).drop("mask")


def _judged(records: ir.Table, people: ir.Table, params: Params) -> ir.Table:
    """The records with `people`, `grade_percent` and `reason`: why this one gives no link, "" when it does."""
    counted = people.group_by(*RECORD).agg(people=people.count())
    graded = _left(
        records, _grades(params), ("grade_scheme", "source_grade", "assessment_grade"), "admitted", "percent"
    )
    judged = _left(graded, counted, RECORD, "people")
    judged = judged.mutate(people=ibis.coalesce(judged.people, 0))
    ungraded = judged.grade_scheme == ""
    cap = params.links.people_per_record
    holds: dict[str, Any] = {
        "status": judged.status.isin(params.links.statuses_left_out),
        "no-grade": ungraded & judged.kind.isin(params.grading.needs_grade),
        "grade-not-admitted": ~ungraded & ~ibis.coalesce(judged.admitted, False),
        "no-theme": ~functools.reduce(operator.or_, [_has(judged.themes, theme) for theme in sorted(params.themes)]),
        "one-person": judged.people < 2,
        "over-cap": (judged.people > cap) if cap else ibis.literal(False),
    }
    return judged.mutate(
        reason=ibis.cases(*((holds[reason], reason) for reason in REASONS), else_=""),
        grade_percent=ibis.ifelse(ungraded, params.links.ungraded_percent, judged.percent).cast("int64"),
    ).drop("admitted", "percent")


def _has(themes: ir.StringColumn, theme: str) -> ir.BooleanColumn:
    return (";" + themes + ";").contains(f";{theme};")


def _themed(records: ir.Table, params: Params) -> ir.Table:
    """A row per record and theme of it that is analysed."""
    themed = records.mutate(theme=records.themes.split(";").unnest())
    return themed.filter(themed.theme.isin(sorted(params.themes)))


def _left(left: ir.Table, right: ir.Table, key: tuple[str, ...], *columns: str) -> ir.Table:
    """`left` with `columns` of `right`, null where `right` has no such key; never more rows than `left`."""
    joined = left.left_join(right, list(key))
    return joined.select(*left.columns, *columns)


def _role_sets(params: Params) -> ir.Table:
    """Every set of roles, by its bits: as text, its classes by their bits and one by one, and whether it bears harm."""
    rows = []
    for mask in range(1, 1 << len(ROLES)):
        roles = [role for place, role in enumerate(ROLES) if mask >> place & 1]
        classes = {params.links.role_classes[role] for role in roles}
        row: dict[str, Any] = {"mask": mask, "roles": "+".join(sorted(roles))}
        row |= {"classes": sum(1 << place for place, name in enumerate(CLASSES) if name in classes)}
        row |= {name: int(name in classes) for name in CLASSES}
        rows.append(row | {"harmful": not set(roles).isdisjoint(params.harm.roles)})
    whole = dict.fromkeys(("mask", "classes", *CLASSES), "int64")
    return ibis.memtable(rows, schema=whole | {"roles": "string", "harmful": "boolean"})


def _best_pairs(params: Params) -> ir.Table:
    """The percent of the best pair of classes, for every two sets of classes."""
    sets = {bits: [place for place in range(len(CLASSES)) if bits >> place & 1] for bits in range(1, 1 << len(CLASSES))}
    rows = [
        {"classes_a": a, "classes_b": b, "pair_percent": max(_pair(params, x, y) for x in sets[a] for y in sets[b])}
        for a in sets
        for b in sets
    ]
    return ibis.memtable(rows, schema=dict.fromkeys(("classes_a", "classes_b", "pair_percent"), "int64"))


def _pair(params: Params, x: int, y: int) -> int:
    return params.links.role_pairs[f"{CLASSES[min(x, y)]}-{CLASSES[max(x, y)]}"]


def _grades(params: Params) -> ir.Table:
    """Every grade of every scheme: whether it is admitted, and its percent."""
    rows = [
        {
            "grade_scheme": name,
            "source_grade": source,
            "assessment_grade": assessment,
            "admitted": params.grading.admitted[name][source][assessment],
            "percent": params.links.grade_percents[name][source][assessment],
        }
        for name, scheme in SCHEMES.items()
        for source in scheme.source
        for assessment in scheme.assessment
    ]
    text = dict.fromkeys(("grade_scheme", "source_grade", "assessment_grade"), "string")
    return ibis.memtable(rows, schema=text | {"admitted": "boolean", "percent": "int64"})
