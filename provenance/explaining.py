"""Why a person's row says what it says: each figure as a list of records or links, or as a formula with its numbers.

Every figure is worked out again before the stored one is looked at, and held against it last: a difference is Tampered.
Where something that was counted has since been disposed of or is restricted, it cannot be worked out again, and the
answer says so. No figure here is a mixture of others: people are listed by several measures side by side, never by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from provenance import counted, hinges, influence, merkle, rows, sets, vault, whatif
from provenance.asof import Snapshot
from provenance.errors import Malformed, Missing, Tampered
from provenance.harm import HarmTable
from provenance.networks import components
from provenance.params import CLASSES, Params
from provenance.records import THEMES
from provenance.whatif import MEASURES, View

# What each figure means, in a sentence; and how it is worked out, in a formula.
MEANS: Mapping[str, tuple[str, str]] = {
    "records": ("How many records of this theme name the person.", "the number of records listed"),
    "offending": (
        "In how many of them as someone who is said to have offended.",
        "records in which one of the person's roles is of the class `offending`",
    ),
    "victim": ("In how many as a victim.", "records in which one of the person's roles is of the class `victim`"),
    "witness": ("In how many as a witness.", "records in which one of the person's roles is of the class `witness`"),
    "other": ("In how many in another role.", "records in which one of the person's roles is of the class `other`"),
    "victim_only": (
        "1 when the person is in these records as a victim and as nothing else.",
        "victim = records, and offending = witness = other = 0",
    ),
    "harm": (
        "The weight, in days, of the offences in which the person is a suspect or offender; never that of what was "
        "done to them.",
        "the sum of the days of those records' offence codes in one edition of the harm table",
    ),
    "harm_unknown": (
        "How many of those records have an offence that the table does not price, so that they add nothing.",
        "such records whose offence code is absent, unknown to the edition or expired in it",
    ),
    "severity": (
        "The weight of the same offences by a second table, in its own points. The two are never added.",
        "the sum of the points of those records' offence codes in the second edition",
    ),
    "severity_unknown": (
        "How many of those records have an offence that the second table does not price.",
        "such records whose offence code is absent, unknown to the edition or expired in it",
    ),
    "links": ("With how many people a record of this theme links the person.", "the number of links listed"),
    "strength": (
        "How much stands behind those links, in points.",
        "the sum over the links of the sum over their records of the points of each",
    ),
    "network": ("The group of people whom supported links join to the person.", "see the rule"),
    "core": (
        "How deep in the thick of it: the largest k such that the person belongs to a group each of whom has k "
        "associates within it.",
        "Seidman 1983: whoever has fewer than k supported links is taken away until nobody has",
    ),
    "triangles": (
        "How many pairs of the person's associates are associates of each other.",
        "pairs of associates with a supported link between them",
    ),
    "severed": (
        "How many pairs of other members could no longer reach each other if this person were taken away.",
        "((n - 1)^2 - the sum of the squares of the pieces that are left) / 2, in a network of n",
    ),
    "severed_per_mille": (
        "The same, of every thousand pairs of other members.",
        "1000 x severed / ((n - 1)(n - 2) / 2), half a thousandth rounded up (Borgatti 2006)",
    ),
    "reach_two": (
        "How many people are an associate, or an associate of an associate.",
        "people within two supported links",
    ),
    "pagerank_billionths": (
        "Where a rumour that keeps being passed on would most often be: associates who are themselves well placed "
        "count for more.",
        "share of the network in billionths after 100 steps of x = 15 % of an equal share + 85 % of what associates "
        "pass on in proportion to strength",
    ),
    "betweenness_thousandths_rounded": (
        "How many shortest chains between two other members lead through the person; two chains of one length count "
        "half each.",
        "the sum over pairs of others of (shortest paths through the person / shortest paths), in thousandths, "
        "rounded (Freeman 1977)",
    ),
    "betweenness_left_out": (
        "Why there is no such figure: 0 there is one, 1 too many people hang together, 2 too many paths.",
        "1 where more people are on common circles than the build's `networks.betweenness_members`",
    ),
    "subgroup": (
        "A view to look at, and never a fact or evidence: which of the closer groups within the network the person was "
        "sorted into, numbered from 1, the largest first.",
        "the Leiden method, by modularity over the points of supported links; its lots are drawn by the network itself",
    ),
    "links_root": (
        "One digest over all of the person's links, by which an outsider can see that none was left out.",
        "RFC 6962 root over the leaves of the links' rows, in byte order",
    ),
}
# And the figures of a network's row: over supported links and over its members.
OF_NETWORK: Mapping[str, tuple[str, str]] = {
    "members": ("How many people supported links join.", "the number of people listed"),
    "links": ("How many supported links join them.", "the number of supported links"),
    "strength": ("How much stands behind those links, in points.", "the sum of the points of the supported links"),
    "harm": ("The weight, in days, of what its members are said to have done.", "the sum of the members' harm"),
    "severity": (
        "The weight of the same by a second table, in its own points. The two are never added.",
        "the sum of the members' severity",
    ),
}
VIEWS = ("subgroup",)  # figures that are a way to look at a network: no list of records stands behind them
AGREES, WORKED_OUT, CANNOT = "agrees", "worked out", "cannot be worked out again"
PLAYERS = ("strength", "harm", "core", "severed", "reach_two", "betweenness_thousandths_rounded")
WITHIN = "pagerank_billionths"  # a share of one network, so that people of two cannot be compared by it


def person(
    snapshot: Snapshot, nominal: str, *, theme: str | None = None, figure: str | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """A person's rows, one per theme, each figure (or the one `figure`) with what it comes from.

    Raises Missing where the person has no row, and Tampered where a figure that can be worked out again is another.
    """
    if theme is not None and theme not in THEMES:
        raise Malformed(f"theme {theme!r} is not one of {', '.join(THEMES)}")
    if figure is not None and figure not in MEANS:
        raise Malformed(f"figure {figure!r} is not one of {', '.join(MEANS)}")
    found = snapshot.nominals(nominal=nominal, theme=theme).to_pylist()
    if not found:
        raise Missing(f"build {snapshot.label} has no figures of that nominal{f' in {theme}' if theme else ''}")
    params = counted.rules(snapshot)
    prices = counted.prices(snapshot)
    parts = counted.of_people(snapshot, [found[0]["nominal"]])
    explained = [_Row(snapshot, params, prices, row, parts).explained() for row in found]
    if figure is not None:
        for said in explained:
            said["figures"] = [held for held in said["figures"] if held["figure"] == figure]
    return explained


def key_players(
    snapshot: Snapshot, *, network: str | None = None, theme: str | None = None, most: int = 5, now: View | None = None
) -> dict[str, Any]:
    """The first `most` people by each of several measures, side by side; in a network, or in a whole theme.

    `now` is the network or theme as `whatif.view` gives it, for whoever has it at hand. Each measure stands for itself
    and is not mixed with another. A person whose figure is withheld has none.
    """
    if not network and not theme:
        raise Malformed("key players are asked for within one network or one theme: found neither")
    if network:
        snapshot.networks(network=network)
    now = now or whatif.view(snapshot, network=network or "", theme="" if network else theme or "")
    people = {row["nominal"]: row for row in snapshot.nominals(network=network, theme=theme).to_pylist()}
    asked = (*PLAYERS, WITHIN) if network else PLAYERS
    measures, ranks = [], {}
    for name in asked:
        figures = {
            who: row[name] if name in row else now.measured[who][name] if who in now.measured else None
            for who, row in people.items()
        }
        if name.startswith("betweenness"):
            figures = {who: None if value == -1 else value for who, value in figures.items()}
        ranks[name] = whatif.ranked(figures)
        means, how = MEANS[name]
        ordered = sorted((rank, who) for who, rank in ranks[name].items() if figures[who])
        cut = [who for rank, who in ordered if rank <= most]
        measures.append(
            {
                "measure": name,
                "means": means,
                "how": how,
                "first": [
                    {
                        "rank": ranks[name][who],
                        "nominal": who,
                        "figure": figures[who],
                        "victim_only": people[who]["victim_only"],
                    }
                    for who in cut[: 4 * most]
                ],
                "withheld": sum(row["computed_with_erased"] for row in people.values()),
            }
        )
    named = sorted({row["nominal"] for measure in measures for row in measure["first"]})
    return {
        "network": network or "",
        "theme": now.theme,
        "people": len(people),
        "measures": measures,
        "side_by_side": [
            {
                "nominal": who,
                "network": people[who]["network"],
                "victim_only": people[who]["victim_only"],
                "ranks": {name: ranks[name].get(who) for name in asked},
            }
            for who in named
        ],
    }


def link(snapshot: Snapshot, a: str, b: str) -> list[dict[str, Any]]:
    """The links between two people (`Snapshot.explain`), each with what it hangs on `alone` (`hinges.alone`)."""
    return [{**found, "alone": hinges.alone(found["supports"])} for found in snapshot.explain(a, b)]


def network(snapshot: Snapshot, network: str) -> dict[str, Any]:
    """A network's row, each figure with what it comes from, and what the network hangs on (`hinges.sensitivity`).

    Raises Missing for one that this build has not, and Tampered as `person` does.
    """
    (row,) = snapshot.networks(network=network).to_pylist()
    now = whatif.view(snapshot, network=network)
    people = {held["nominal"]: held for held in snapshot.nominals(network=network).to_pylist()}
    terms: dict[str, list[int]] = {"strength": now.strength[now.supported].tolist()}
    terms |= {name: [held[name] or 0 for held in people.values()] for name in ("harm", "severity")}
    found = {"members": len(people), "links": len(terms["strength"])}
    found |= {name: sum(values) for name, values in terms.items()}
    figures = []
    for name, (means, how) in OF_NETWORK.items():
        how = f"{how}: {_sum(sorted(terms[name], reverse=True))}" if name in terms else how
        said = {"figure": name, "worked_out": found[name], "means": means, "how": how, "stored": row[name]}
        if row["computed_with_erased"]:
            said["status"] = f"{CANNOT}: something that was counted has since been disposed of or is restricted"
        elif row[name] != found[name]:
            raise Tampered(
                f"figure {name} of a network in theme {row['theme']} of build {snapshot.label} is {found[name]} when "
                f"it is worked out again, stored as {row[name]}: see `provenance verify`"
            )
        else:
            said["status"] = AGREES
        figures.append(said)
    return {
        "network": network,
        "theme": row["theme"],
        "computed_with_erased": row["computed_with_erased"],
        "rule": rule(counted.rules(snapshot)),
        "figures": figures,
        "people": sorted(people),
        "hangs_on": hinges.sensitivity(snapshot, network),
    }


class _Row:
    """One row of the nominal table, being worked out again."""

    def __init__(
        self, snapshot: Snapshot, params: Params, prices: HarmTable, row: Mapping[str, Any],
        parts: Sequence[counted.Part],
    ) -> None:  # fmt: skip
        self.snapshot, self.params, self.row = snapshot, params, row
        self.nominal, self.theme, self.network = row["nominal"], row["theme"], row["network"]
        self.prices = prices
        self.parts = [part for part in parts if self.theme in part.record["themes"].split(";")]
        gone = snapshot.disposed
        lost = sum(gone[state] for state in ("disposed", "reduced", "restricted"))
        self.since = f"{CANNOT}: {lost:,} rows of this build have since been disposed of, reduced or restricted"
        self.whole = not row["computed_with_erased"]
        self.figures: list[dict[str, Any]] = []

    def explained(self) -> dict[str, Any]:
        """The row with everything behind it."""
        records, left_out = self._records()
        links = self._links()
        self._network()
        self._root()
        return {
            "nominal": self.nominal,
            "theme": self.theme,
            "network": self.network,
            "victim_only": self.row["victim_only"],
            "computed_with_erased": self.row["computed_with_erased"],
            "harm_edition": self.row["harm_edition"],
            "rule": rule(self.params),
            "figures": self.figures,
            "records": records,
            "left_out": left_out,
            "links": links,
        }

    @cached_property
    def view(self) -> View:
        """The person's network."""
        return whatif.view(self.snapshot, network=self.network)

    def _say(self, name: str, value: Any, how: str = "", *, comparable: bool = True, **behind: Any) -> None:
        """File a figure that was worked out, and only now look at what is stored."""
        means, formula = MEANS[name]
        said = {"figure": name, "worked_out": value, "means": means, "how": how or formula, **behind}
        stored = self.row.get(name)
        said["stored"] = stored
        if not comparable:
            said["status"] = self.since
        elif name not in self.row:
            said["status"] = WORKED_OUT  # held against the digest in the network's row, which has no figure of a person
        elif stored != value:
            raise Tampered(
                f"figure {name} of a person in theme {self.theme} of build {self.snapshot.label} is {value} when it "
                f"is worked out again, stored as {stored}: see `provenance verify`"
            )
        else:
            said["status"] = AGREES
        self.figures.append(said)

    def _records(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        listed, left_out = [], []
        for part in self.parts:
            record = part.record
            said = {name: record[name] for name in ("system", "record_id", "kind", "occurred_at", "offence_code")}
            said |= {"roles": list(part.roles), "grade_scheme": record["grade_scheme"]}
            said |= {"grade": record["source_grade"] + record["assessment_grade"], "record_leaf": part.leaf}
            if reason := counted.left_out(part, self.params):
                left_out.append({**said, "reason": reason})
                continue
            said["counted_as"] = counted.classes(part, self.params)
            for table, figure in self._tables():
                amount, why = counted.weight(part, self.params, table)
                said |= {f"{figure}_{'days' if figure == 'harm' else 'points'}": amount, figure: why}
            listed.append(said)
        total: Mapping[str, int] = Counter(name for said in listed for name in said["counted_as"])
        said = {"comparable": self.whole}
        self._say("records", len(listed), **said)
        for name in CLASSES:
            self._say(name, total[name], **said)
        only = total["victim"] == len(listed) and not any(total[name] for name in CLASSES if name != "victim")
        self._say("victim_only", int(only), **said)
        for table, figure in self._tables():
            unit = "days" if figure == "harm" else "points"
            priced = [s[f"{figure}_{unit}"] for s in listed if s[figure] == counted.COUNTED]
            self._say(figure, sum(priced), f"{_sum(priced)} {unit}, in edition {table.edition}", **said)
            self._say(f"{figure}_unknown", sum(s[figure] in counted.UNPRICED for s in listed), **said)
        if not self.prices.severity:
            for figure in ("severity", "severity_unknown"):
                self._say(figure, 0, "params name no second table", **said)
        return listed, left_out

    def _tables(self) -> Iterator[tuple[HarmTable, str]]:
        """Each harm table that counts, and under which figure."""
        yield self.prices, "harm"
        if self.prices.severity:
            yield self.prices.severity, "severity"

    def _links(self) -> list[dict[str, Any]]:
        held = self._associates() if self.network else {}
        listed = []
        for link in self.snapshot.links(nominal=self.nominal, theme=self.theme).to_pylist():
            supports = link["supports"]
            points = [s["contribution"] for s in supports]
            if sum(points) != link["strength"] or len(supports) != link["records"]:
                raise Tampered(
                    f"link in theme {self.theme} of build {self.snapshot.label} has {len(supports)} records of "
                    f"{sum(points)} points, stored as {link['records']} of {link['strength']}"
                )
            kinds, grades = Counter[str](), Counter[tuple[str, str]]()
            for support in supports:
                kinds[support["kind"]] += support["contribution"]
                grades[support["grade_scheme"], support["grade"]] += support["contribution"]
            other = link["b"] if link["a"] == self.nominal else link["a"]
            listed.append(
                {
                    "with": other,
                    "strength": link["strength"],
                    "records": link["records"],
                    "by_kind": [{"kind": kind, "points": count} for kind, count in sorted(kinds.items())],
                    "by_grade": [
                        {"grade_scheme": scheme, "grade": grade, "points": count}
                        for (scheme, grade), count in sorted(grades.items())
                    ],
                    "supported": int(other in held),
                    "reduced": link["reduced"],
                }
            )
        listed.sort(key=lambda x: (-x["strength"], x["with"]))
        self._say("links", len(listed), comparable=self.whole)
        terms = [x["strength"] for x in listed]
        self._say("strength", sum(terms), f"{_sum(terms)} points", comparable=self.whole)
        return listed

    def _associates(self) -> dict[str, int]:
        """The people whom a supported link joins to this one, and its points."""
        now, me = self.view, self.view.place(self.nominal)
        names = now.names.to_pylist()
        at = np.flatnonzero(now.supported & ((now.a == me) | (now.b == me)))
        return {names[int(now.a[i] + now.b[i] - me)]: int(now.strength[i]) for i in at.tolist()}

    def _network(self) -> None:
        if not self.network:
            links = whatif.view(self.snapshot, theme=self.theme) if self.params.networks.shared_associate else None
            self._say("network", self._alone(links), comparable=self.whole)
            return
        now = self.view
        (shown,) = self.snapshot.networks(network=self.network).to_pylist()
        comparable = self.whole and not shown["computed_with_erased"]
        held = self._associates()
        me = now.place(self.nominal)
        whole = len(now.grouped.networks) == 1 and bool(held)
        behind = {"held_by": [{"with": who, "strength": points} for who, points in sorted(held.items())]}
        found = now.network[me].as_py() if whole else f"{len(now.grouped.networks)} networks"
        self._say("network", found, comparable=comparable, members=len(now.names), **behind)
        if self.nominal not in now.measured:
            return
        measured, n = now.measured[self.nominal], len(now.names)
        pieces, near, second = _pieces(now, me), sorted(held), self._second(held)
        core, mine = measured["core"], measured["subgroup"]
        how = {
            "severed": f"({n - 1}^2 - {_squares(pieces)}) / 2, for {n} members",
            "severed_per_mille": f"1000 x {measured['severed']:,} / {max((n - 1) * (n - 2) // 2, 1):,}, rounded",
            "reach_two": f"{len(near)} associates + {len(second)} of theirs",
            "triangles": f"of {len(near) * (len(near) - 1) // 2:,} pairs of associates",
            "core": f"{self._in_core(held, core)} of {len(near)} associates are in the {core}-core too",
        }
        behind_each: dict[str, dict[str, Any]] = {
            "severed": {"pieces": pieces},
            "reach_two": {"associates": near, "associates_of_associates": second},
            "pagerank_billionths": {"passed_on_by": near},
            "subgroup": {
                "is_view": 1,
                "subgroup_of": sorted(who for who, row in now.measured.items() if row["subgroup"] == mine),
            },
        }
        if n < self.params.networks.subgroup_members:
            how["subgroup"] = f"a network of fewer than {self.params.networks.subgroup_members} is one group"
        if comparable:
            self._insist_on(shown["influence"])
        for name in (*MEASURES, *VIEWS):
            self._say(name, measured[name], how.get(name, ""), comparable=comparable, **behind_each.get(name, {}))

    def _insist_on(self, digest: str) -> None:
        """What the network's people came to is what its row was sealed with. Raises Tampered."""
        measures = self.view.measures
        tokens = self.snapshot.archive.vault.tokens(vault.nominal_keys(measures["nominal"].combine_chunks()))
        computed = influence.digests(tokens, measures).get(self.network, "")
        if computed != digest:
            raise Tampered(
                f"measures in a network of theme {self.theme} of build {self.snapshot.label} have the digest "
                f"{computed} when they are worked out again, stored as {digest}: see `provenance verify`"
            )

    def _alone(self, theme: View | None) -> str:
        """ "" as the network of somebody whom no supported link holds, or what it is that holds them."""
        rule = self.params.networks
        if theme is not None:
            me = theme.place(self.nominal)
            return "" if me < 0 or not (theme.supported & ((theme.a == me) | (theme.b == me))).any() else "a network"
        links = self.snapshot.links(nominal=self.nominal, theme=self.theme).to_pylist()
        held = any(x["records"] >= rule.least_records and x["strength"] >= rule.least_strength for x in links)
        return "a network" if held else ""

    def _in_core(self, held: Mapping[str, int], core: int) -> int:
        return sum(self.view.measured[who]["core"] >= core for who in held)

    def _second(self, held: Mapping[str, int]) -> list[str]:
        now, names = self.view, self.view.names.to_pylist()
        places = np.array([now.place(who) for who in held], np.int64)
        a, b = now.a[now.supported], now.b[now.supported]
        far = np.concatenate([b[sets.among(a, places)], a[sets.among(b, places)]])
        return sorted({names[i] for i in far.tolist()} - set(held) - {self.nominal})

    def _root(self) -> None:
        index, number = self.snapshot.archive.index("link"), self.snapshot.built.number
        at = index.stood(index.of(self.snapshot.token(self.nominal)), number)
        at = at[index.theme[at] == THEMES.index(self.theme) + 1]
        leaves = rows.in_byte_order(index.leaf[at])
        root = merkle.root(np.ascontiguousarray(leaves).tobytes()).hex()
        self._say("links_root", root, comparable=self.whole, leaves=len(at))


def rule(params: Params) -> str:
    """When a link is supported and what a network is, in this build's own numbers."""
    of = params.networks
    said = (
        f"A link is supported when it rests on at least {of.least_records} distinct records and "
        f"{of.least_strength} points"
    )
    if of.shared_associate:
        said += (
            ", or, with those points, when both people share an associate through links of as many points, no two of "
            "the three resting on the same single record"
        )
    return f"{said}; a network is everybody of one theme whom supported links join, directly or through others."


def _pieces(now: View, me: int) -> list[int]:
    """How many people are left in each piece when one is taken away."""
    kept = now.supported & (now.a != me) & (now.b != me)
    root = components(now.a[kept], now.b[kept], len(now.names))
    return sorted(np.bincount(np.delete(root, me))[sets.distinct(np.delete(root, me))].tolist(), reverse=True)


def _sum(terms: Sequence[int]) -> str:
    if not terms:
        return "0"
    shown = " + ".join(f"{term:,}" for term in terms[:12])
    more = f" + {len(terms) - 12:,} more" if len(terms) > 12 else ""
    return f"{shown}{more} = {sum(terms):,}" if len(terms) > 1 else shown


def _squares(pieces: Sequence[int]) -> str:
    if len(pieces) > 8:
        return f"the squares of {len(pieces):,} pieces, {sum(piece * piece for piece in pieces):,}"
    return " - ".join(f"{piece:,}^2" for piece in pieces)
