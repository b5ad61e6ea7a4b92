"""What a build would have said without a record, a grade, a source system, a person or a kind of record.

Answered from the supports that are stored in the links' rows, by the params that the build itself states, without a
rebuild: contributions are added up again, the rule for supported links is asked again, and so are the networks and
whatever is measured in them. Taking something away never makes a link: a record that was left out for its crowd stays
left out when a person of the crowd goes. Only the theme concerned is read, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import counted, influence, networks, propagation, sets, vault
from provenance import supported as support
from provenance.asof import Snapshot
from provenance.errors import Malformed, Missing
from provenance.params import Params
from provenance.records import KINDS, SCHEMES
from provenance.supported import SEVERAL, Integers

MEASURES = tuple(name for name in influence.INFLUENCE.names if name not in ("nominal", "network"))
FIGURES = ("links", "strength", *counted.COUNTS, *MEASURES)  # by which people can be ranked
RANKING = pa.schema(
    [
        ("nominal", pa.string()),
        ("before", pa.int64()),  # null where the figure is withheld, or the person is in no network
        ("after", pa.int64()),
        ("rank_before", pa.int64()),  # 1 is the most; people of one figure share a rank
        ("rank_after", pa.int64()),
    ]
)
UNCHANGED, WEAKER, GONE = "unchanged", "weaker", "gone"  # of a link
SMALLER, SPLITS, ENDS = "smaller", "splits", "ends"  # of a network


@dataclass(frozen=True, slots=True)
class Without:
    """What is to be thought away; everything that any of these names."""

    records: tuple[tuple[str, str], ...] = ()  # system and record id
    grades: tuple[str, ...] = ()  # `1C`, `C` (an assessment), `1` (a source) of 3x5x2; or `5x5x5:B2`; `ungraded`
    systems: tuple[str, ...] = ()
    nominals: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for grade in self.grades:
            _grade(grade)
        for kind in self.kinds:
            if kind not in KINDS:
                raise Malformed(f"kind of record is not one of {', '.join(KINDS)}: found {kind!r}")

    def __bool__(self) -> bool:
        return any((self.records, self.grades, self.systems, self.nominals, self.kinds))

    def __str__(self) -> str:
        said = [f"record {system} {record}" for system, record in self.records]
        said += [f"anything graded {grade}" if grade != "ungraded" else "anything ungraded" for grade in self.grades]
        said += [f"source system {system}" for system in self.systems]
        said += [f"nominal {nominal}" for nominal in self.nominals]
        said += [f"any {kind.replace('_', ' ')} record" for kind in self.kinds]
        return " or ".join(said)

    def takes(self, supports: pa.Table) -> np.ndarray:
        """Which rows of a table with a support's columns (and `a`, `b`, if there are nominals) go."""
        gone = np.zeros(supports.num_rows, bool)
        for system, record in self.records:
            gone |= _mask(pc.and_(pc.equal(supports["system"], system), pc.equal(supports["record_id"], record)))
        for grade in self.grades:
            scheme, pattern = _grade(grade)
            if not scheme:
                gone |= _mask(pc.equal(supports["grade_scheme"], ""))
                continue
            named = pc.match_substring_regex(supports["grade"], pattern)
            gone |= _mask(pc.and_(pc.equal(supports["grade_scheme"], scheme), named))
        for name, values in (("system", self.systems), ("kind", self.kinds)):
            gone |= _mask(pc.is_in(supports[name], value_set=pa.array(values, pa.string())))
        for side in "ab" if self.nominals else "":
            gone |= _mask(pc.is_in(supports[side], value_set=pa.array(self.nominals, pa.string())))
        return gone


NOTHING = Without()


@dataclass(frozen=True)
class View:
    """One theme, or one network, of a build: as it is, or as it would be without something."""

    theme: str
    rule: Any  # params.Networks
    names: pa.Array  # of its people, sorted
    before: pa.Array  # the network that each was shown in
    a: Integers  # places in `names`, one a link
    b: Integers
    strength: Integers
    records: Integers
    sole: Integers
    supports: pa.Table  # tables.SUPPORTS, of these links, a record a row
    owner: Integers  # for each support, its link

    def without(self, without: Without) -> View:
        """The same with less; links that nothing is left of stay in it, with no record and no strength."""
        keep = ~without.takes(self.supports)
        supports, owner = self.supports.filter(pa.array(keep)), self.owner[keep]
        named = pa.array(without.nominals, pa.string())
        before = pc.if_else(pc.is_in(self.names, value_set=named), "", self.before)
        added = added_up(supports, owner, len(self.a))
        return View(self.theme, self.rule, self.names, before, self.a, self.b, *added, supports, owner)

    @cached_property
    def stands(self) -> np.ndarray:
        """Which links rest on anything."""
        return self.records > 0

    @cached_property
    def supported(self) -> np.ndarray:
        """Which links make networks."""
        found = np.zeros(len(self.a), bool)
        at = np.flatnonzero(self.stands)
        found[at] = support.supported(
            self.a[at], self.b[at], self.strength[at], self.records[at], self.sole[at], self.rule
        )
        return found

    @cached_property
    def grouped(self) -> networks.Result:
        """The networks, under the ids that they were shown by; a part that has none is `THEME-without-NNN`."""
        at = np.flatnonzero(self.stands)
        return networks.networks(
            self.theme, self.a[at], self.b[at], self.strength[at], self.records[at], self.sole[at], self.rule,
            self.names, np.zeros(len(self.names), np.int64), self.before, "without",
        )  # fmt: skip

    @cached_property
    def network(self) -> pa.Array:
        """The network of each of `names`, "" for none."""
        return self.grouped.nodes["network"].combine_chunks()

    @cached_property
    def measures(self) -> pa.Table:
        """What a build measures (influence.MEASURED), of everybody who is in a network."""
        at = self.supported
        return influence.measured(self.names, self.network, self.a[at], self.b[at], self.strength[at], self.rule)

    @cached_property
    def measured(self) -> Mapping[str, Mapping[str, int]]:
        """MEASURES of everybody who is in a network."""
        return {row["nominal"]: row for row in self.measures.to_pylist()}

    def figure(self, name: str) -> dict[str, int]:
        """`links`, `strength` or one of MEASURES, of everybody who has it."""
        if name in ("links", "strength"):
            return dict(zip(self.names.to_pylist(), self.grouped.nodes[name].to_pylist(), strict=True))
        return {nominal: row[name] for nominal, row in self.measured.items()}

    def place(self, nominal: str) -> int:
        """Where a person is among `names`; -1 where they are not."""
        return int(pc.index(self.names, nominal).as_py())


def view(snapshot: Snapshot, *, theme: str = "", network: str = "") -> View:
    """A theme of a build; with `network`, that network's people and the links between them."""
    params = counted.rules(snapshot)
    links = snapshot.links(network=network or None, theme=theme or None).combine_chunks()
    people = snapshot.nominals(network=network or None, theme=theme or None)
    ends = pa.concat_arrays([links["a"].combine_chunks(), links["b"].combine_chunks()])
    shown = people["nominal"].combine_chunks()
    names = pc.unique(pa.concat_arrays([shown, ends])).sort()
    at = pc.index_in(names, value_set=shown)
    before = pc.fill_null(people["network"].combine_chunks().take(at), "")
    a, b = (pc.index_in(links[side].combine_chunks(), value_set=names).to_numpy().astype(np.int64) for side in "ab")
    supports, owner = propagation.unfolded(links)
    added = added_up(supports, owner, links.num_rows)
    return View(theme or network.split("-")[0], params.networks, names, before, a, b, *added, supports, owner)


def link(snapshot: Snapshot, a: str, b: str, without: Without) -> list[dict[str, Any]]:
    """What becomes of the links between two people, one per theme: gone, weaker or unchanged."""
    without = known(snapshot, without)
    rule = counted.rules(snapshot).networks
    found = []
    for now in snapshot.explain(a, b):
        one, other = now["a"], now["b"]
        pair = pa.Table.from_pylist(
            [{**{k: v for k, v in s.items() if k in _ASKED}, "a": one, "b": other} for s in now["supports"]]
        )
        gone = without.takes(pair)
        left = [s for s, away in zip(now["supports"], gone.tolist(), strict=True) if not away]
        strength = sum(s["contribution"] for s in left)
        change = GONE if not left else WEAKER if len(left) < len(now["supports"]) else UNCHANGED
        found.append(
            {
                "theme": now["theme"],
                "a": one,
                "b": other,
                "change": change,
                "strength_before": now["strength"],
                "strength_after": strength,
                "records_before": now["records"],
                "records_after": len(left),
                **_supported(snapshot, now, without, rule, len(left), strength),
                "supports_gone": [s for s, away in zip(now["supports"], gone.tolist(), strict=True) if away],
                "supports_left": left,
            }
        )
    return found


def network(snapshot: Snapshot, network: str, without: Without) -> dict[str, Any]:
    """What becomes of a network: which parts it falls into, who is in none any more, and each member's measures."""
    snapshot.networks(network=network)
    now = view(snapshot, network=network)
    then = now.without(known(snapshot, without))
    names = now.names.to_pylist()
    ids, inside = then.network.to_pylist(), now.network.to_pylist()
    parts: dict[str, list[str]] = {}
    for name, part in zip(names, ids, strict=True):
        parts.setdefault(part, []).append(name)
    loose = [name for name in parts.pop("", []) if inside[now.place(name)]]
    figures = {row["network"]: row for row in then.grouped.networks.to_pylist()}
    lost = np.flatnonzero(now.supported & ~then.supported)
    weaker = int((then.stands & (then.records < now.records)).sum())
    return {
        "network": network,
        "theme": now.theme,
        "without": str(without),
        "change": becomes(len(names), [len(part) for part in parts.values()], len(lost)),
        "members": len(names),
        "links": int(now.supported.sum()),
        "strength": int(now.strength[now.supported].sum()),
        "parts": [
            {"network": id, "members": part, "links": figures[id]["links"], "strength": figures[id]["strength"]}
            for id, part in sorted(parts.items(), key=lambda item: (-len(item[1]), item[1]))
        ],
        "loose": loose,
        "links_gone": int((now.stands & ~then.stands).sum()),
        "links_weaker": weaker,
        "links_lost": [{"a": names[now.a[i]], "b": names[now.b[i]]} for i in lost.tolist()],
        "measures": [
            {
                "nominal": name,
                "before": {m: now.measured[name][m] for m in MEASURES} if name in now.measured else None,
                "after": {m: then.measured[name][m] for m in MEASURES} if name in then.measured else None,
            }
            for name in names
        ],
    }


def ranking(
    snapshot: Snapshot, figure: str, without: Without, *, theme: str = "", network: str = "",
) -> pa.Table:  # fmt: skip
    """RANKING of the people of a theme or a network by one of FIGURES, as it is and as it would be; by rank before.

    Raises Malformed for a figure that there is not.
    """
    if figure not in FIGURES:
        raise Malformed(f"figure is not one of {', '.join(FIGURES)}: found {figure!r}")
    theme = theme or network.split("-")[0]
    without = known(snapshot, without)
    people = snapshot.nominals(theme=theme).to_pylist()
    asked = [row["nominal"] for row in people if not network or row["network"] == network]
    if figure in counted.COUNTS:
        before = {row["nominal"]: row[figure] for row in people}
        away = _counted_away(snapshot, theme, without)
        left = {row["nominal"]: (row["records"], away.get(row["nominal"], {})) for row in people}
        after = {
            name: None if before[name] is None else before[name] - gone.get(figure, 0)
            for name, (records, gone) in left.items()
            if records is None or records > gone.get("records", 0)
        }
    else:
        now = view(snapshot, theme=theme)
        before, after = _figures(people, now, now.without(without), figure)
    return _ranking(asked, before, after, without)


def _figures(
    people: Sequence[Mapping[str, Any]], now: View, then: View, figure: str
) -> tuple[dict[str, int | None], dict[str, int | None]]:
    """A figure of everybody who has it, before and after; null where it is withheld."""
    before, after = dict[str, int | None](now.figure(figure)), dict[str, int | None](then.figure(figure))
    for row in people:
        if row["strength"] is None:
            before[row["nominal"]] = after[row["nominal"]] = None
    return before, after


def _ranking(
    asked: Sequence[str], before: Mapping[str, int | None], after: Mapping[str, int | None], without: Without
) -> pa.Table:
    stay = [nominal for nominal in asked if nominal not in without.nominals]
    first, second = ranked({n: before.get(n) for n in asked}), ranked({n: after.get(n) for n in stay})
    kept = set(stay)
    rows = [(n, before.get(n), after.get(n) if n in kept else None, first.get(n), second.get(n)) for n in asked]
    rows.sort(key=lambda row: (row[3] is None, row[3], row[0]))
    return pa.table([list(column) for column in zip(*rows, strict=True)] or [[]] * len(RANKING), schema=RANKING)


def person(
    snapshot: Snapshot, nominal: str, without: Without, *, theme: str | None = None, by: str = "strength",
) -> list[dict[str, Any]]:  # fmt: skip
    """What becomes of a person's links, network and figures, per theme; and of their rank in the theme by `by`."""
    without = known(snapshot, without)
    rows_of = snapshot.nominals(nominal=nominal, theme=theme).to_pylist()
    if not rows_of:
        raise Missing(f"build {snapshot.label} has no figures of that nominal")
    found = []
    for row in rows_of:
        who, theme = row["nominal"], row["theme"]
        now = view(snapshot, theme=theme)
        then, me = now.without(without), now.place(who)
        mine = np.flatnonzero((now.a == me) | (now.b == me))
        names = now.names.to_pylist()
        figures = {}
        people = snapshot.nominals(theme=theme).to_pylist()
        everybody = [row["nominal"] for row in people]
        for name in dict.fromkeys(("links", "strength", "severed", "reach_two", "core", by)):
            if name in counted.COUNTS:
                table = ranking(snapshot, name, without, theme=theme)
            else:
                table = _ranking(everybody, *_figures(people, now, then, name), without)
            ranked_by = table.to_pylist()
            figures[name] = next(
                {k: v for k, v in r.items() if k != "nominal"} for r in ranked_by if r["nominal"] == who
            )
        found.append(
            {
                "nominal": who,
                "theme": theme,
                "links": [
                    {
                        "with": names[int(now.a[i] + now.b[i] - me)],
                        "strength_before": int(now.strength[i]),
                        "strength_after": int(then.strength[i]),
                        "change": GONE
                        if not then.records[i]
                        else WEAKER
                        if then.records[i] < now.records[i]
                        else UNCHANGED,
                    }
                    for i in mine.tolist()
                ],
                "network": network(snapshot, row["network"], without) if row["network"] else None,
                "figures": figures,
            }
        )
    return found


def known(snapshot: Snapshot, without: Without) -> Without:
    """`without` with everybody's own id. Raises Malformed when it names nothing, Missing for what the build has not."""
    if not without:
        raise Malformed("nothing is named to be thought away: wanted a record, grade, source system, nominal or kind")
    if without.records:
        named = pa.table({"system": [s for s, _ in without.records], "id": [r for _, r in without.records]})
        tokens = snapshot.archive.vault.tokens(
            vault.record_keys(*(named[n].combine_chunks() for n in named.column_names))
        )
        at = snapshot.standing_of("record", tokens[tokens != 0].tolist()) if tokens.any() else np.zeros(0, np.int64)
        at = at[snapshot.archive.shown("record", at, case=snapshot.case)]
        if not sets.among(tokens, snapshot.archive.index("record").a[at]).all():
            raise Missing(f"build {snapshot.label} has no record of that system and id")
    feeds = {feed.system for feed in snapshot.statement.feeds}
    for system in without.systems:
        if system not in feeds:
            raise Malformed(f"source system is not one of this build's: wanted {', '.join(sorted(feeds))}")
    for nominal in without.nominals:
        snapshot.token(nominal)
    nominals = tuple(snapshot.canonical(nominal) for nominal in without.nominals)
    return Without(without.records, without.grades, without.systems, nominals, without.kinds)


def _supported(
    snapshot: Snapshot, link: Mapping[str, Any], without: Without, rule: Any, records: int, strength: int
) -> dict[str, bool]:
    """Whether a link counts for networks, before and after."""
    if rule.shared_associate:  # what stands around it counts too
        now = view(snapshot, theme=link["theme"])
        at = np.flatnonzero((now.a == now.place(link["a"])) & (now.b == now.place(link["b"])))
        sides = (now.supported[at], now.without(without).supported[at])
    else:
        sides = [
            (count >= rule.least_records, points >= rule.least_strength)
            for count, points in ((link["records"], link["strength"]), (records, strength))
        ]
    return {f"supported_{when}": all(map(bool, side)) for when, side in zip(("before", "after"), sides, strict=True)}


_ASKED = ("system", "record_id", "kind", "grade_scheme", "grade")


def added_up(supports: pa.Table, owner: Integers, links: int) -> tuple[Integers, Integers, Integers]:
    """Strength, distinct records and the sole record of each link."""
    strength, records, sole = np.zeros(links, np.int64), np.zeros(links, np.int64), np.full(links, SEVERAL, np.int64)
    np.add.at(strength, owner, supports["contribution"].to_numpy())
    np.add.at(records, owner, 1)  # a record is in a link's supports once
    number = numbered(supports)
    alone = records[owner] == 1
    sole[owner[alone]] = number[alone]
    return strength, records, sole


def numbered(supports: pa.Table) -> Integers:
    """A number for each support's record."""
    key = pc.binary_join_element_wise(supports["system"], supports["record_id"], "\x1f")
    return key.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)


def _mask(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    return (
        pc.fill_null(column, False).to_numpy(zero_copy_only=False)
        if isinstance(column, pa.Array)
        else column.to_numpy()
    )


def _grade(grade: str) -> tuple[str, str]:
    """The scheme that a grade is of, and a pattern for the codes it means; no scheme for `ungraded`."""
    if grade == "ungraded":
        return "", ""
    scheme, _, code = grade.rpartition(":")
    scheme = scheme or "3x5x2"
    codes = SCHEMES.get(scheme)
    if codes and code in codes.source:
        return scheme, f"^{code}.$"
    if codes and code in codes.assessment:
        return scheme, f"^.{code}$"
    if codes and len(code) == 2 and code[0] in codes.source and code[1] in codes.assessment:
        return scheme, f"^{code}$"
    raise Malformed("grade is none of its scheme: wanted such as 1C, C or 1 (of 3x5x2), 5x5x5:B2, or ungraded")


def becomes(members: int, parts: list[int], lost: int) -> str:
    """What becomes of a network of so many members that falls into `parts` and loses `lost` of its links."""
    if not parts:
        return ENDS
    if len(parts) > 1:
        return SPLITS
    return SMALLER if parts[0] < members else UNCHANGED if not lost else WEAKER


def _counted_away(snapshot: Snapshot, theme: str, without: Without) -> dict[str, Mapping[str, int]]:
    """By how much each person's counts fall."""
    params: Params = counted.rules(snapshot)
    if not (without.records or without.grades or without.systems or without.kinds):
        return {}  # who else was in a record does not change what it counts for
    at = snapshot.standing("record")
    at = at[snapshot.archive.shown("record", at, case=snapshot.case)]
    content = snapshot.content("record", at)
    content = content.append_column(
        "grade", pc.binary_join_element_wise(content["source_grade"], content["assessment_grade"], "")
    )
    gone = content.filter(
        pa.array(Without(without.records, without.grades, without.systems, (), without.kinds).takes(content))
    )
    tokens = snapshot.archive.vault.tokens(
        vault.record_keys(gone["system"].combine_chunks(), gone["record_id"].combine_chunks())
    )
    parts = counted.of_records(snapshot, tokens) if len(tokens) else []
    added = counted.added(parts, params, counted.prices(snapshot))
    return {nominal: count for (held, nominal), count in added.items() if held == theme}


def ranked(figures: Mapping[str, int | None]) -> dict[str, int]:
    """Ranks of those who have the figure: 1 for the most, and one more than there are people with more."""
    ordered = sorted((value for value in figures.values() if value is not None), reverse=True)
    first: dict[int, int] = {}
    for place, value in enumerate(ordered, start=1):
        first.setdefault(value, place)
    return {nominal: first[value] for nominal, value in figures.items() if value is not None}
