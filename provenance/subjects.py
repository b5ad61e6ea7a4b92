"""The pages of a network, a nominal and a link: what they say, with every record behind each link.

Filters leave out records, and links that nothing is left of; strengths are then those of what is left, and the page
says so. A victim is told as one wherever they are named. Text and whole numbers only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from provenance import counted, explaining, hinges, sets, standings, themes, vault
from provenance.asking import Ask
from provenance.asof import Snapshot
from provenance.between import STEPS
from provenance.causes import causes
from provenance.errors import Missing
from provenance.records import THEMES
from provenance.themes import WITHHELD, told
from provenance.whatif import MEASURES, view

DRAWN = 2_000  # people whom one picture holds; a larger network opens on its key players
OPENED_ON = 150  # people in the picture of a larger one
_SERIES = {"nominal": ("strength", "links", "harm"), "network": ("members", "strength", "harm")}
_PERSON = (
    "theme", "nominal", "network", "links", "strength", "records", "offending", "victim", "witness", "other",
    "victim_only", "harm", "harm_unknown", "harm_edition", "severity", "severity_unknown", "severity_edition",
    "computed_with_erased",
)  # fmt: skip


def answer(snapshot: Snapshot, before: Snapshot | None, ask: Ask) -> dict[str, Any]:
    """What the page of a network, a nominal or a link says, beside what it said `before`, if that is asked for.

    Raises Missing for a subject that the build has not, and with `before` for one that neither has.
    """
    views: Mapping[str, Callable[[Snapshot, Ask], dict[str, Any]]] = {
        "network": _network, "nominal": _nominal, "figures": _figures, "link": _link, "search": _search,
    }  # fmt: skip
    if before is None:
        return views[ask.view](snapshot, ask)
    sides = []
    for side in (before, snapshot):
        try:
            sides.append(views[ask.view](side, ask))
        except Missing:
            sides.append({})
    if not any(sides):
        raise Missing(f"neither build {before.label} nor build {snapshot.label} has what is asked for")
    return {"since": before.label, "before": sides[0], "after": sides[1], "causes": _causes(before, snapshot, ask)}


def _causes(before: Snapshot, after: Snapshot, ask: Ask) -> dict[str, Any]:
    """Why the figures differ, each difference as the sum of its causes."""
    split = causes(before, after, people=ask.nominals, named=False)
    found = split.changes.to_pylist()
    if ask.network:
        found = [row for row in found if ask.network in (row["a"], row["b"])]
    else:
        names = {after.canonical(who) for who in ask.nominals} | {before.canonical(who) for who in ask.nominals}
        whole = ask.view == "link"
        found = [row for row in found if (all if whole else any)(who in names for who in (row["a"], row["b"]) if who)]
    return {
        "changes": told(found),
        "steps": list(STEPS),
        "method": list(split.method),
        "editions": list(split.editions),
        "disposals": list(split.disposals),
    }


def _search(snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    """Who was found, with the themes and networks that each is in."""
    judged = snapshot.stands_for(ask.nominals)
    tokens = snapshot.archive.vault.tokens(vault.nominal_keys(pa.array(sorted(set(judged.values())), pa.string())))
    groups: dict[str, list[dict[str, str]]] = {}
    for row in snapshot.content("nominal", snapshot.standing_of("nominal", tokens[tokens != 0].tolist())).to_pylist():
        groups.setdefault(row["nominal"], []).append({"theme": row["theme"], "network": row["network"]})
    found = [{"nominal": who, "in": groups.get(judged[who], [])} for who in ask.nominals]
    return {"found": themes.named(snapshot, found, "nominal")}


def _network(snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    (network,) = snapshot.networks(network=ask.network).to_pylist()
    people = snapshot.nominals(network=ask.network).to_pylist()
    links = snapshot.links(network=ask.network).to_pylist()
    told_whole = not network["computed_with_erased"]
    now = view(snapshot, network=ask.network) if told_whole else None
    measured = now.measured if now else {}
    kept = filtered(links, ask)
    players = explaining.key_players(snapshot, network=ask.network, most=5, now=now) if now else None
    table = [
        {name: row[name] for name in _PERSON if name not in ("theme", "network")}
        | {name: measured.get(row["nominal"], {}).get(name) for name in (*MEASURES, "subgroup")}
        for row in people
    ]
    table.sort(key=lambda row: (-(row["strength"] or 0), row["nominal"]))
    drawn = _drawn(table, kept)
    named = themes.named(snapshot, told(table), "nominal")
    return {
        "theme": network["theme"],
        "network": themes.told([network])[0],
        "people": named,
        "links": _linked(kept, drawn),
        "links_kept": len(kept),
        "drawn": drawn,
        "key_players": _players(players),
        "hangs_on": hinges.sensitivity(snapshot, ask.network, now) if now else {},
        "series": _series(snapshot, "network", standings.of_network(snapshot, ask.network)),
        "labels": _labels(snapshot),
    }


def _drawn(people: Sequence[Mapping[str, Any]], links: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whom the picture holds: everybody, or of a large network the strongest and those who stand next to them."""
    if len(people) <= DRAWN:
        return sorted(row["nominal"] for row in people)
    return sorted(row["nominal"] for row in people[:OPENED_ON])


def _linked(links: Sequence[Mapping[str, Any]], drawn: Sequence[str]) -> list[dict[str, Any]]:
    wanted = ("a", "b", "strength", "records", "handling", "conditions", "reduced", "a_victim", "b_victim")
    inside = set(drawn)
    return [{name: row[name] for name in wanted} for row in links if row["a"] in inside and row["b"] in inside]


def _players(found: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if found is None:
        return []
    wanted = ("measure", "means", "how")
    return [{name: measure[name] for name in wanted} | {"first": measure["first"]} for measure in found["measures"]]


def _nominal(snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    (who,) = ask.nominals
    rows_ = snapshot.nominals(nominal=who).to_pylist()
    if not rows_:
        raise Missing(f"build {snapshot.label} has nothing of that nominal")
    canonical = rows_[0]["nominal"]
    links = snapshot.links(nominal=canonical).to_pylist()
    if ask.theme:
        links = [row for row in links if row["theme"] == ask.theme]
    kept = filtered(links, ask)
    kept.sort(key=lambda row: (-row["strength"], row["theme"], row["a"], row["b"]))
    for row in kept:
        row["other"] = row["b"] if row["a"] == canonical else row["a"]
    wanted = ("theme", "a", "b", "other", "strength", "records", "handling", "conditions", "reduced")
    listed = [{name: row[name] for name in wanted} | {"shown_as": _shown_as(row)} for row in kept]
    near = sorted({row["other"] for row in kept}, key=lambda other: (-_points(kept, other), other))[:OPENED_ON]
    return {
        "nominal": canonical,
        "asked_as": who,
        "person": themes.described(snapshot, [canonical]).get(canonical, {}),
        "merged": sorted(set(snapshot.merged_into([canonical])) - {canonical}),
        "figures": told([{name: row[name] for name in _PERSON} for row in rows_]),
        "links": themes.named(snapshot, listed, "other"),
        "between": _between(snapshot, [canonical, *near]),
        "near": near,
        "series": {
            theme: _series(snapshot, "nominal", _positions_of_nominal(snapshot, canonical, theme))
            for theme in sorted({row["theme"] for row in rows_})
        },
        "labels": _labels(snapshot),
    }


def _points(links: Iterable[Mapping[str, Any]], other: str) -> int:
    return sum(row["strength"] for row in links if row["other"] == other)


def _shown_as(link: Mapping[str, Any]) -> list[str]:
    """In which roles the other person is in the records behind a link."""
    side = "role_b" if link["other"] == link["b"] else "role_a"
    return sorted({role for support in link["supports"] for role in support[side].split("+")})


def _between(snapshot: Snapshot, people: Sequence[str]) -> list[dict[str, Any]]:
    """The links among some people, each pair once for each theme, without opening what leads elsewhere."""
    index = snapshot.archive.index("link")
    tokens = snapshot.archive.vault.tokens(vault.nominal_keys(pa.array(people, pa.string())))
    tokens = np.sort(tokens[tokens != 0])
    at = snapshot.standing_of("link", tokens.tolist())
    at = at[sets.among(index.a[at], tokens) & sets.among(index.b[at], tokens)]
    wanted = ("theme", "a", "b", "strength")
    return [{name: row[name] for name in wanted} for row in snapshot.content("link", at).to_pylist()]


def _figures(snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    """How each figure of a nominal comes about, and each record's harm by each table."""
    (who,) = ask.nominals
    explained = explaining.person(snapshot, who, theme=ask.theme or None)
    found = snapshot.harm(who, ask.theme or None)
    canonical = explained[0]["nominal"]
    return {
        "nominal": canonical,
        "person": themes.described(snapshot, [canonical]).get(canonical, {}),
        "explained": _plain(explained),
        "harm": {"totals": told(found.totals.to_pylist()), "records": told(found.records.to_pylist())},
    }


def _plain(value: Any) -> Any:
    """Nothing where there is None: canonical JSON has no null."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return WITHHELD if value is None else int(value) if isinstance(value, bool | np.integer) else value


def _link(snapshot: Snapshot, ask: Ask) -> dict[str, Any]:
    a, b = ask.nominals
    found = snapshot.explain(a, b)
    if ask.theme:
        found = [link for link in found if link["theme"] == ask.theme]
    if not found:
        raise Missing(f"build {snapshot.label} has no link between these two nominals in {ask.theme}")
    rules = counted.rules(snapshot)
    for link in found:
        for support in link["supports"]:
            support["victims"] = [int("victim" in roles.split("+")) for roles in support["roles"]]
        link["supports"].sort(key=lambda s: (s["occurred_at"], s["system"], s["record_id"]))
    people = [found[0]["a"], found[0]["b"]]
    figures = [row for who in people for row in snapshot.nominals(nominal=who).to_pylist()]
    return {
        "people": themes.named(snapshot, [{"nominal": who} for who in people], "nominal"),
        "victim_only": {
            who: int(all(row["victim_only"] for row in figures if row["nominal"] == who)) for who in people
        },
        "links": told(found),
        "rule": explaining.rule(rules),
    }


def filtered(links: Sequence[dict[str, Any]], ask: Ask) -> list[dict[str, Any]]:
    """Links as the filters leave them: fewer records, and the strength of those; weaker ones than asked for are out.

    Whoever is a victim in a record that a filter leaves out is marked as one all the same.
    """
    kept = []
    for link in links:
        link = link | themes.victims_marked(link["supports"])
        if ask.kinds or ask.grades or ask.roles:
            supports = [support for support in link["supports"] if _fits(support, ask)]
            strength = sum(support["contribution"] for support in supports)
            link = link | {"supports": supports, "records": len(supports), "strength": strength}
        if link["supports"] and link["strength"] >= ask.least:
            kept.append(link)
    return kept


def _fits(support: Mapping[str, Any], ask: Ask) -> bool:
    roles = {*support["role_a"].split("+"), *support["role_b"].split("+")}
    grade = support["grade"] if support["grade_scheme"] else "ungraded"
    return (
        (not ask.kinds or support["kind"] in ask.kinds)
        and (not ask.grades or grade in ask.grades)
        and (not ask.roles or not roles.isdisjoint(ask.roles))
    )


def _positions_of_nominal(snapshot: Snapshot, nominal: str, theme: str) -> np.ndarray:
    index = snapshot.archive.index("nominal")
    at = index.of(snapshot.token(nominal))
    return at[index.theme[at] == THEMES.index(theme) + 1]


def _series(snapshot: Snapshot, table: str, at: np.ndarray) -> dict[str, list[Any]]:
    found = standings.of_rows(snapshot, table, at, _SERIES[table])
    return {name: ["" if value is None else value for value in values] for name, values in found.items()}


def _labels(snapshot: Snapshot) -> list[str]:
    return [built.label for built in snapshot.archive.history.builds[: snapshot.built.number]]
