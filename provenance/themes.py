"""The four views of a theme: who is associated with whom, what changed, who is key, and where.

Each answers with what the page says, as text and whole numbers, and opens no row but of those it lists. `ask.names`
False leaves out whoever could be told apart: what is then left are counts (R48).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from provenance import comparing, lookups, params, sets, standings, suppression, vault
from provenance.asking import Ask
from provenance.asof import Snapshot

ROWS = 20  # of a list on one page
WITHHELD = "withheld"  # in place of a figure that would tell of what is gone or out of view
LEAST = 5  # of a count that is told to whoever may know no one, of builds whose settings say nothing else
_SUMS = ("strength", "harm")  # of points, and of days


def answer(snapshot: Snapshot, before: Snapshot | None, ask: Ask) -> dict[str, Any]:
    """What the page of a theme view says; `before` is the build that changes are counted from, where there is one."""
    views: Mapping[str, Callable[[], dict[str, Any]]] = {
        "associations": lambda: _associations(snapshot, ask),
        "change": lambda: _change(snapshot, before, ask),
        "key-nominals": lambda: _key_nominals(snapshot, ask),
        "places": lambda: _places(snapshot, ask),
    }
    said = {"theme": ask.theme, **views[ask.view]()}
    return said if ask.names else said | _coarse(said, _least(snapshot))


def _least(snapshot: Snapshot) -> int:
    """By the build's own settings, so that the page can be worked out again whatever they are today."""
    held = params.stated(snapshot.statement.params.decode()).suppression
    return held.least_count if held else LEAST


def _coarse(said: Mapping[str, Any], least: int) -> dict[str, Any]:
    """What is said otherwise to whoever may know no one (R48): counts as a first report tells them (`suppression`), no
    row of fewer than `least` people or records, and no sum of points or days, which may rest on one record."""

    def near(counts: Any) -> Any:
        if isinstance(counts, Mapping):
            return {name: near(value) for name, value in counts.items()}
        return [near(value) for value in counts] if isinstance(counts, list) else suppression.nearest(counts, least)

    def rows(name: str, kept: Sequence[str], *counted: str) -> list[dict[str, Any]]:
        """Rows of which each count is 0 or may be told, and one may be."""
        found = []
        for row in said[name]:
            values = [row[column] for column in counted]
            if all(isinstance(n, int) and (not n or n >= least) for n in values) and any(values):
                told_ = {column: row[column] for column in kept} | {c: near(row[c]) for c in counted}
                found.append(dict.fromkeys(row, WITHHELD) | told_)
        return found

    coarse: dict[str, Any] = {"least_count": least}
    counts = ("totals", "series", "links", "people", "withheld", "victims_only", "spread")
    coarse |= {name: near(said[name]) for name in counts if name in said}
    for name in ("totals", "series"):
        for total in _SUMS:
            coarse.get(name, {}).pop(total, None)
    if "strength" in said:
        coarse["strength"] = dict.fromkeys(said["strength"], WITHHELD)
    if "places" in said:
        coarse["places"] = rows("places", ("place", "harm_edition", "severity_edition"), "records", "people")
    if "totals" in said:
        coarse["networks"] = rows("networks", ("network",), "members", "links")
    elif "networks" in said:
        coarse["networks"] = rows("networks", ("network",), "members_before", "members_after")
    return coarse


def told(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as a page says them: what is withheld says so."""
    return [{name: WITHHELD if value is None else value for name, value in row.items()} for row in rows]


def described(snapshot: Snapshot, nominals: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Name, date of birth and whether a child, of each of `nominals` of whom a source said so."""
    wanted = ("name", "born", "sex", "ethnicity", "is_child")
    found = snapshot.people(sorted(set(nominals))).to_pylist() if nominals else []
    return {row["nominal_id"]: {name: row[name] for name in wanted} for row in found}


def named(snapshot: Snapshot, rows: Sequence[dict[str, Any]], *columns: str) -> list[dict[str, Any]]:
    """`rows` with `COLUMN_name` and `COLUMN_child` beside each column of nominals."""
    people = described(snapshot, [row[column] for row in rows for column in columns])
    nobody = {"name": "", "is_child": ""}
    return [
        row
        | {f"{column}_name": people.get(row[column], nobody)["name"] for column in columns}
        | {f"{column}_child": people.get(row[column], nobody)["is_child"] for column in columns}
        for row in rows
    ]


def _totals(snapshot: Snapshot, theme: str) -> dict[str, int]:
    return {name: values[-1] for name, values in standings.over_builds(snapshot, theme).items()}


def _associations(snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    skip = (ask.page - 1) * ROWS
    networks = standings.shown(snapshot, "network", ask.theme)
    by = ask.by if ask.by in lookups.COLUMNS["network"] else "strength"
    listed = standings.first(snapshot, "network", networks, by, ROWS, skip)
    content = {row["network"]: row for row in snapshot.content("network", listed).to_pylist()}
    held = lookups.of(snapshot.archive, "network", listed)
    order = [held.words["network"][code] for code in held["network"][listed].tolist()]
    found: dict[str, Any] = {
        "totals": _totals(snapshot, ask.theme),
        "networks": told([_network(content[network]) for network in order]),
    }
    if not ask.names:
        return found
    links = standings.shown(snapshot, "link", ask.theme)
    strongest, count = standings.strongest(snapshot, links, ROWS, skip, ask.least)
    return found | {"links": links_listed(snapshot, strongest), "links_found": count}


def _network(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: row[name]
        for name in ("network", "members", "links", "strength", "harm", "severity", "alarm", "computed_with_erased")
    }


def links_listed(snapshot: Snapshot, at: np.ndarray) -> list[dict[str, Any]]:
    """Links at `at` as lists show them, strongest first."""
    wanted = ("theme", "a", "b", "strength", "records", "handling", "conditions", "reduced")
    links = snapshot.content("link", at).to_pylist()
    rows = [{name: row[name] for name in wanted} | victims_marked(row["supports"]) for row in links]
    rows.sort(key=lambda row: (-row["strength"], row["a"], row["b"]))
    return named(snapshot, rows, "a", "b")


def victims_marked(supports: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """`a_victim` and `b_victim`: 1 for whoever is a victim in one of the records behind a link."""
    return {
        f"{side}_victim": int(any("victim" in support[f"role_{side}"].split("+") for support in supports))
        for side in "ab"
    }


def people_listed(snapshot: Snapshot, at: np.ndarray) -> list[dict[str, Any]]:
    """People at `at` of the nominal table as lists show them, by id."""
    return named(snapshot, told([_person(row) for row in snapshot.content("nominal", at).to_pylist()]), "nominal")


def _person(row: Mapping[str, Any]) -> dict[str, Any]:
    wanted = (
        "nominal", "network", "links", "strength", "records", "offending", "victim", "witness", "other", "victim_only",
        "harm", "severity", "computed_with_erased",
    )  # fmt: skip
    return {name: row[name] for name in wanted}


def _change(snapshot: Snapshot, before: Snapshot | None, ask: Ask) -> dict[str, Any]:
    series = standings.over_builds(snapshot, ask.theme)
    labels = [built.label for built in snapshot.archive.history.builds[: snapshot.built.number]]
    said: dict[str, Any] = {"labels": labels, "series": series, "since": before.label if before else ""}
    if before is None:
        return said
    changed = comparing.changes(before, snapshot).to_pylist()
    changed = [row for row in changed if row["theme"] == ask.theme]
    said["links"] = {word: sum(row["change"] == word for row in changed) for word in ("new", "gone", "changed")}
    said["strength"] = {
        word: sum(row["strength_after"] - row["strength_before"] for row in changed if row["change"] == word)
        for word in ("new", "gone", "changed")
    }
    said["networks"] = _networks_changed(before, snapshot, ask.theme)
    if not ask.names:
        return said
    changed.sort(key=lambda row: (-abs(row["strength_after"] - row["strength_before"]), row["a"], row["b"]))
    listed = [{name: row[name] for name in row if name != "theme"} for row in changed[:ROWS]]
    marks = [_victims_between(side, ask.theme, listed) for side in (before, snapshot)]
    for row in listed:
        of_both = [mark.get((row["a"], row["b"]), {}) for mark in marks]
        row |= {name: max(mark.get(name, 0) for mark in of_both) for name in ("a_victim", "b_victim")}
    return said | {"links_listed": named(snapshot, listed, "a", "b"), "people": _movers(before, snapshot, ask.theme)}


def _victims_between(
    snapshot: Snapshot, theme: str, pairs: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], dict[str, int]]:
    """As `victims_marked`, of the links that a build has between these pairs, by pair."""
    people = sorted({pair[side] for pair in pairs for side in "ab"})
    tokens = snapshot.archive.vault.tokens(vault.nominal_keys(pa.array(people, pa.string())))
    known = dict(zip(people, tokens.tolist(), strict=True))
    wanted = {frozenset((known[pair["a"]], known[pair["b"]])) for pair in pairs}
    at = snapshot.standing_of("link", [token for token in known.values() if token], theme)
    index = snapshot.archive.index("link")
    sides = zip(index.a[at].tolist(), index.b[at].tolist(), strict=True)
    at = at[np.array([frozenset(pair) in wanted for pair in sides], bool)]
    links = snapshot.content("link", at).to_pylist()
    return {(link["a"], link["b"]): victims_marked(link["supports"]) for link in links}


def _networks_changed(before: Snapshot, after: Snapshot, theme: str) -> list[dict[str, Any]]:
    """Networks whose figures differ, by how many members came or went; 0 members where a side has no such network."""
    sides = []
    for snapshot in (before, after):
        at = standings.shown(snapshot, "network", theme)
        held = lookups.of(snapshot.archive, "network", at)
        at = at[standings.visible(snapshot, "network", at)]
        sides.append(
            {held.words["network"][c]: p for c, p in zip(held["network"][at].tolist(), at.tolist(), strict=True)}
        )
    old, new = sides
    held = lookups.of(after.archive, "network", np.array(sorted({*old.values(), *new.values()}), np.int64))
    rows = []
    for network in sorted({*old, *new}):
        if old.get(network) == new.get(network):
            continue
        row: dict[str, Any] = {"network": network}
        for name in ("members", "strength", "harm"):
            row[f"{name}_before"] = int(held[name][old[network]]) if network in old else 0
            row[f"{name}_after"] = int(held[name][new[network]]) if network in new else 0
        rows.append(row)
    rows.sort(key=lambda r: (-abs(r["members_after"] - r["members_before"]),
                             -abs(r["strength_after"] - r["strength_before"]), r["network"]))  # fmt: skip
    return rows[:ROWS]


def _movers(before: Snapshot, after: Snapshot, theme: str) -> dict[str, list[dict[str, Any]]]:
    """People whose strength rose and fell most, and whose harm rose most."""
    index = after.archive.index("nominal")
    sides = []
    for snapshot in (before, after):
        at = standings.shown(snapshot, "nominal", theme)
        sides.append(at[standings.visible(snapshot, "nominal", at)])
    old, new = (sets.difference(one, other) for one, other in (sides, sides[::-1]))
    tokens = sets.distinct(np.concatenate([index.a[old], index.a[new]]))
    change, value = {}, {}
    for name in ("strength", "harm"):
        value[name] = np.zeros((2, len(tokens)), np.int64)
        for side, at in enumerate((old, new)):
            held = lookups.of(after.archive, "nominal", at)
            value[name][side, np.searchsorted(tokens, index.a[at])] = held[name][at]
        change[name] = value[name][1] - value[name][0]
    found = {}
    for title, name, sign in (("gained", "strength", 1), ("lost", "strength", -1), ("harm_rose", "harm", 1)):
        moved = sign * change[name]
        order = np.lexsort((tokens, -moved))[: standings.KEY]
        order = order[moved[order] > 0]
        ids = vault.nominal_ids(after.archive.vault.keys(tokens[order])).to_pylist()
        rows = [
            {"nominal": who, "before": int(value[name][0, place]), "after": int(value[name][1, place])}
            for who, place in zip(ids, order.tolist(), strict=True)
        ]
        rows.sort(key=lambda row: (-abs(row["after"] - row["before"]), row["nominal"]))
        found[title] = named(after, rows, "nominal")
    return found


def _key_nominals(snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    at = standings.shown(snapshot, "nominal", ask.theme)
    told_at = at[standings.visible(snapshot, "nominal", at)]
    held = lookups.of(snapshot.archive, "nominal", told_at)
    said: dict[str, Any] = {"people": len(at), "withheld": len(at) - len(told_at), "measures": list(standings.MEASURES)}
    said["victims_only"] = int(held["victim_only"][told_at].sum())
    said["spread"] = {name: _spread(held[name][told_at]) for name in standings.MEASURES}
    if not ask.names:
        return said
    chosen = standings.key_people(snapshot, told_at)
    listed = {row["nominal"]: row for row in people_listed(snapshot, chosen)}
    ids = vault.nominal_ids(snapshot.archive.vault.keys(snapshot.archive.index("nominal").a[chosen])).to_pylist()
    for name in standings.MEASURES:
        ahead = len(told_at) - np.searchsorted(np.sort(held[name][told_at]), held[name][chosen], side="right")
        for who, more in zip(ids, ahead.tolist(), strict=True):
            listed[who].setdefault("ranks", {})[name] = more + 1
    order = sorted(listed.values(), key=lambda row: (row["ranks"][ask.by], row["nominal"]))
    return said | {"listed": order}


def _spread(values: np.ndarray) -> list[int]:
    """How many people have a figure of 0, of 1 to 9, of 10 to 99, and so on."""
    return np.bincount(np.searchsorted(10 ** np.arange(18), values, side="right")).tolist()


def _places(snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    rows = snapshot.places(theme=ask.theme, by=()).to_pylist()
    rows.sort(key=lambda row: (-row["records"], row["place"]))
    wanted = ("place", "records", "people", "harm", "harm_unknown", "harm_edition", "severity", "severity_edition")
    return {"places": [{name: row[name] for name in wanted} for row in rows]}
