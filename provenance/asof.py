"""What the dashboard showed at a moment, and which records stood behind it.

`as of` means the build that was published at that instant: never a later one, and nothing that was learned later. Each
answer says which build that is, when it was live, up to when it took records, its root, whether it verifies, the words
that stood on the landing page, and how many rows have since been disposed of, reduced or restricted.

What was disposed of is nowhere. What is restricted is shown only under the reference of a case that holds it, and the
doors log that. Figures computed with what is gone would tell of it, so they are withheld but for such a case (R35).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import (
    canonical,
    entries,
    geography,
    harm,
    identity,
    lookups,
    merkle,
    moments,
    params,
    propagation,
    rows,
    sets,
    statements,
    vault,
    whereabouts,
)
from provenance.archive import Archive, Overtaken
from provenance.errors import Conflict, Malformed, Missing, Tampered
from provenance.harm import Breakdown
from provenance.history import Publication
from provenance.records import THEMES
from provenance.tables import TABLES, chosen

if TYPE_CHECKING:
    import networkx

_T = TypeVar("_T")
_LABEL = re.compile(r"\d{4}-W\d\d(\.\d+)?", re.ASCII)


class Snapshot:
    """One build, read as it was published; with `case`, also what is restricted and held for that case."""

    def __init__(self, archive: Archive, built: entries.Built, publication: Publication | None, case: str = "") -> None:
        self.archive, self.built, self.publication, self.case = archive, built, publication, case
        self._seen = self.acts

    def __repr__(self) -> str:
        return f"Snapshot({self.label})"

    @property
    def label(self) -> str:
        return self.built.label

    @property
    def root(self) -> str:
        """One digest for the whole build: the RFC 6962 root over its tables, each as name, root and size."""
        return snapshot_root(self.built)

    @cached_property
    def statement(self) -> statements.Statement:
        """The signed build statement. Raises Missing or Tampered."""
        return self.archive.stated(self.built)

    @cached_property
    def landing_page(self) -> Mapping[str, str]:
        """Version and text of the advisory words that every page of this build carried."""
        return json.loads(self.statement.params)["landing_page"]

    @cached_property
    def verified(self) -> bool:
        """Whether the logged entry, the signed statement and the stored leaves agree. Raises nothing."""
        try:
            check(self)
        except (Tampered, Missing, Malformed):
            return False
        return True

    @cached_property
    def disposed(self) -> Mapping[str, Any]:
        """What has become of this build's rows since: how many were `disposed` of, are `reduced` to less, or are
        `restricted` for a case; per table, and the disposed ones by reason code (R19).

        `computed_with_erased` counts figures of people and networks that are withheld because of it.
        """
        tables: dict[str, dict[str, int]] = {}
        reasons: dict[str, int] = {}
        for name in TABLES:
            index, at = self.archive.index(name), self._touched(name)
            numbers, counts = np.unique(index.died[at], return_counts=True)
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
                if number:
                    reason = self.archive.history.disposals[number - 1].first.reason
                    reasons[reason] = reasons.get(reason, 0) + count
            now = self._states(name, at)
            found = {state: int((now == code).sum()) for code, state in _STATES.items()}
            if name in ("nominal", "network"):
                at = at[self.archive.shown(name, at, case=self.case)]
                found["computed_with_erased"] = int(self.is_marked(name, at).sum())
            if any(found.values()):
                tables[name] = {state: count for state, count in found.items() if count}
        totals = {
            state: sum(counts.get(state, 0) for counts in tables.values())
            for state in (*_STATES.values(), "computed_with_erased")
        }
        return {**totals, "tables": tables, "reasons": dict(sorted(reasons.items()))}

    def _touched(self, table: str) -> np.ndarray:
        """Positions of this build's rows that a disposal or a restriction can have touched."""
        if len(self._withheld):
            return self.positions(table)
        index = self.archive.index(table)
        return index.stood(index.touched, self._number)

    @cached_property
    def restricted_rows(self) -> int:
        """How many rows this snapshot can show only because of its case."""
        return sum(
            int((self.archive.shown(name, at, case=self.case) & ~self.archive.shown(name, at)).sum())
            for name in TABLES
            for at in [self.positions(name)]
        )

    def _states(self, table: str, at: np.ndarray) -> np.ndarray:
        """What has become of each row at `at`: 0 nothing, or a code of _STATES."""
        index = self.archive.index(table)
        last = at.copy()
        while len(dead := np.flatnonzero((last >= 0) & (index.died[last] > 0))):
            last[dead] = index.heir[last[dead]]
        now = np.where(last < 0, 1, np.where(last != at, 2, 0)).astype(np.int8)
        here = np.flatnonzero(last >= 0)
        hidden = here[~self.archive.shown(table, last[here], case=self.case)]
        now[hidden] = 3
        if table == "link" and len(hidden):
            fit = hidden[self._reducible(last[hidden])]
            now[fit[self._reduced(last[fit])["owner"].to_numpy()]] = 2
        return now

    def links(self, *, nominal: str | None = None, network: str | None = None, theme: str | None = None) -> pa.Table:
        """Links with their supports, by theme, a and b; of one person, of one network's members, of one theme.

        `reduced` is 1 where a link rested on more when it was shown than it does now.
        """
        return self.content("link", self._linked(nominal, network, theme))

    def _linked(self, nominal: str | None, network: str | None, theme: str | None) -> np.ndarray:
        """Positions of the links of one person, between one network's members, of one theme; of whichever is given."""
        index = self.archive.index("link")
        members = np.zeros(0, np.int64) if network is None else self._members(network)
        if nominal is not None:
            at = self.standing_of("link", [self.token(nominal)], theme)
        elif network is not None:
            at = self.standing_of("link", members, theme)
        else:
            at = self.standing("link", theme)
        if network is not None:
            inside = sets.among(index.a[at], members) & sets.among(index.b[at], members)
            at = at[inside & (index.theme[at] == _code(_theme_of(network)))]
        return at

    def _members(self, network: str) -> np.ndarray:
        """Tokens of the people of a network; of who may not be shown, no link is either."""
        return self.archive.index("nominal").a[self.standing_in("nominal", network)]

    def link_batches(self, columns: Sequence[str], *, theme: str | None = None) -> Iterator[pa.Table]:
        """Some columns of all links (`supports.grade` is within the supports), a share at a time and in no order.

        For a whole build that is not to be in memory at once. Each row is opened to its leaf. Raises Malformed for a
        column that links have not, and Overtaken as every question.
        """
        at = self.standing("link", theme)
        shown = self.archive.shown("link", at, case=self.case)
        index, positions = self.archive.index("link"), at[shown]
        shares = (
            index.rows(positions[start : start + self.archive.crew.round])
            for start in range(0, len(positions), self.archive.crew.round)
        )
        try:
            for batch in self.archive.sealer.read("link", shares, columns):
                self.keep_up()
                yield batch
        except (Missing, Tampered):
            self._insist_not_overtaken()
            raise
        less = at[~shown & self._reducible(at)]
        if len(less):
            yield canonical.columns(
                canonical.rows(self._reduced(less).select(TABLES["link"].columns.names)), chosen("link", columns)
            )

    def nominals(self, *, nominal: str | None = None, network: str | None = None, theme: str | None = None) -> pa.Table:
        """People with their figures, by theme and id.

        `computed_with_erased` is 1 where something that is gone was counted into them; the figures are null then,
        unless they are asked for under a case.
        """
        if nominal is not None:
            at = self.standing_of("nominal", [self.token(nominal)], theme or (_theme_of(network) if network else None))
            if network is not None:
                at = sets.intersection(at, self.standing_in("nominal", network))
        elif network is not None:
            at = self.standing_in("nominal", network, theme or _theme_of(network))
        else:
            at = self.standing("nominal", theme)
        return self.content("nominal", at)

    def networks(self, *, network: str | None = None, theme: str | None = None) -> pa.Table:
        """Networks with their figures, largest first within a theme; figures withheld as for people.

        Raises Missing for an id it has not.
        """
        at = self.standing("network", theme) if network is None else self.standing_in("network", network, theme)
        content = self.content("network", at)
        content = content.sort_by([("theme", "ascending"), ("members", "descending"), ("network", "ascending")])
        if network is not None and not content.num_rows:
            whole = len(self.standing("network"))
            raise Missing(f"build {self.label} has no network of that id: it has {whole} networks")
        return content

    def people(self, nominals: Sequence[str]) -> pa.Table:
        """What the sources said about these nominals themselves, as this build had it."""
        tokens = self.archive.vault.tokens(vault.nominal_keys(pa.array(nominals, pa.string())))
        return self.content("person", self.standing_of("person", tokens[tokens != 0].tolist()))

    def explain(self, a: str, b: str) -> list[dict[str, Any]]:
        """The links between two people, one per theme, each with every record behind it. Raises Missing without any."""
        one, other = self.token(a), self.token(b)
        index, at = self.archive.index("link"), self.standing_of("link", [one])
        pair = ((index.a[at] == one) & (index.b[at] == other)) | ((index.a[at] == other) & (index.b[at] == one))
        found = self.content("link", at[pair]).to_pylist()
        if not found:
            raise Missing(f"build {self.label} has no link between these two nominals")
        answers = [answered(link) for link in found]
        self._cite(support for answer in answers for support in answer["supports"])
        return answers

    def harm(self, nominal: str, theme: str | None = None) -> Breakdown:
        """How a person's harm comes about: every record that counts, by each edition that this build was counted by.

        The editions are those of the build's own statement, read from the files that the archive kept. What was stored
        is worked out again from the records and compared: raises Tampered where they differ. Where something that was
        counted has since been disposed of or restricted, the stored figures are withheld and nothing is compared; for a
        case they are shown, with how many of the records are `gone`. Missing for a nominal, or a table file, that is
        not there.
        """
        stored = self.nominals(nominal=nominal, theme=theme)
        tables = self.archive.harm_tables(self.statement)
        charged = self._charged(nominal, tables)
        charged = charged.filter(pc.is_in(charged["theme"], value_set=stored["theme"].combine_chunks()))
        return harm.compared(self.label, charged, tables, stored)

    def _charged(self, nominal: str, tables: Sequence[harm.HarmTable]) -> pa.Table:
        """The records of one person, under all their ids, that may be shown (`harm.CHARGED`)."""
        who = self.canonical(nominal)
        ids = self.identities.filter(pc.equal(self.identities["canonical"], who))["nominal"].combine_chunks()
        ids = pc.unique(pa.concat_arrays([pa.array([who], pa.string()), ids]))
        tokens = self.archive.vault.tokens(vault.nominal_keys(ids))
        parts = self.content("involvement", self.standing_of("involvement", tokens[tokens != 0].tolist()))
        parts = parts.filter(pc.is_in(parts["nominal_id"], value_set=ids))
        parts = parts.append_column("nominal", pa.array([who] * parts.num_rows, pa.string()))
        records = self.records_of(parts)
        editions = harm.side_by_side(tables)

        def charged() -> pa.Table:
            rules = params.stated(self.statement.params.decode())
            return self.archive.crew.rules(rules, editions).charged(records, parts)

        key = "charged", self.statement.params, editions.identity, _bytes(records), _bytes(parts)
        return self.archive.remembered(key, charged)

    def records_of(self, named: pa.Table) -> pa.Table:
        """The records that rows name by `system` and `record_id`, in the version that this build holds."""
        pairs = named.group_by(["system", "record_id"]).aggregate([])
        tokens = self.archive.vault.tokens(vault.record_keys(pairs["system"], pairs["record_id"]))
        tokens = np.sort(tokens[tokens != 0])
        if len(tokens) <= _FEW:
            return self.content("record", self.standing_of("record", tokens.tolist()))
        at = self.standing("record")
        return self.content("record", at[sets.among(self.archive.index("record").a[at], tokens)])

    def places(
        self,
        network: str | None = None,
        theme: str | None = None,
        nominal: str | None = None,
        *,
        by: Sequence[str] = geography.NETWORKS,
    ) -> pa.Table:
        """Where the records behind links happened, by area code, for each theme and network (`geography.PLACES`).

        Of all links, of those between one network's members, of one theme, of one person. With `by` empty the counts
        are of each area as a whole, in which no record is counted twice. Raises Missing for a network or a nominal that
        this build has not.
        """
        if network is not None:
            self.networks(network=network)
        self.keep_up()
        at = self._linked(nominal, network, theme)
        shown = self.archive.shown("link", at, case=self.case)
        less = at[~shown & self._reducible(at)]
        rules = params.stated(self.statement.params.decode())
        try:
            supports, codes = whereabouts.behind(
                self.archive,
                at[shown],
                (less, self._reduced(less) if len(less) else TABLES["link"].columns.empty_table()),
                self._in_view("record"),
                self._in_view("nominal") if "network" in by else np.zeros(0, np.int64),
                rules.harm.roles,
            )
        except (Missing, Tampered):
            self._insist_not_overtaken()
            raise
        return geography.places(supports, codes, harm.side_by_side(self.archive.harm_tables(self.statement)), by)

    def _in_view(self, table: str) -> np.ndarray:
        """Positions of the rows that may be read and shown."""
        at = self.standing(table)
        return at[self.archive.shown(table, at, case=self.case)]

    def _cite(self, supports: Iterable[dict[str, Any]]) -> None:
        """Add to each support the leaf of the version of its record that this build holds (R10)."""
        supports = list(supports)
        index = self.archive.index("record")
        named = pa.table({name: [s[name] for s in supports] for name in ("system", "record_id")})
        tokens = self.archive.vault.tokens(vault.record_keys(named["system"], named["record_id"]))
        at = self.standing_of("record", tokens[tokens != 0].tolist())
        at = at[self.archive.shown("record", at, case=self.case)]
        leaf_of = {int(index.a[i]): index.leaf[i].tobytes().hex() for i in at}
        for support, token in zip(supports, tokens.tolist(), strict=True):
            if token not in leaf_of:
                raise Tampered(f"build {self.label} has a link without the record behind it: see `provenance verify`")
            support["record_leaf"] = leaf_of[token]

    def canonical(self, nominal: str) -> str:
        """Who `nominal` was judged to be in this build: another id where records were merged, else the same."""
        self.keep_up()
        at = pc.index(self.identities["nominal"], nominal).as_py()
        return nominal if at < 0 else self.identities["canonical"][at].as_py()

    def stands_for(self, nominals: Sequence[str]) -> dict[str, str]:
        """Who each of `nominals` was judged to be in this build."""
        self.keep_up()
        names = pa.array(nominals, pa.string())
        at = pc.index_in(names, value_set=self.identities["nominal"].combine_chunks())
        judged = pc.coalesce(self.identities["canonical"].combine_chunks().take(at), names)
        return dict(zip(nominals, judged.to_pylist(), strict=True))

    def merged_into(self, nominals: Sequence[str]) -> dict[str, str]:
        """Every id that was judged to be one of `nominals` in this build, the id itself among them, and whose it is."""
        self.keep_up()
        held = self.identities.filter(pc.is_in(self.identities["canonical"], value_set=pa.array(nominals, pa.string())))
        merged = dict(zip(*(held[name].to_pylist() for name in ("nominal", "canonical")), strict=True))
        return {nominal: nominal for nominal in nominals} | merged

    def merges_not_made(self, nominals: Sequence[str] | None = None) -> pa.Table:
        """Merges that were proposed up to this build and not made, each with the reason (`identity.BLOCKED`); with
        `nominals`, those that name one of these people, by any id of theirs (R17)."""
        self.keep_up()
        blocked = self._judged.blocked
        if nominals is None:
            return blocked
        ids = pa.array(sorted(self.merged_into(sorted(set(self.stands_for(nominals).values())))), pa.string())
        return blocked.filter(
            pc.or_(*(pc.is_in(blocked[end], value_set=ids) for end in ("from_nominal", "into_nominal")))
        )

    def graph(self, theme: str | None = None) -> networkx.MultiGraph | networkx.Graph:
        """The links as networkx: a Graph of one theme, or a MultiGraph with the theme as key of each edge."""
        import networkx

        people, links = self.nominals(theme=theme).to_pylist(), self.links(theme=theme).to_pylist()
        graph = networkx.Graph() if theme else networkx.MultiGraph()
        for person in people:
            if theme:
                graph.add_node(person["nominal"], **{k: v for k, v in person.items() if k not in ("nominal", "theme")})
            else:
                graph.add_node(person["nominal"])
        for link in links:
            facts = {name: link[name] for name in ("strength", "records", "handling", "conditions", "supports")}
            if theme:
                graph.add_edge(link["a"], link["b"], **facts)
            else:
                graph.add_edge(link["a"], link["b"], key=link["theme"], **facts)
        return graph

    def proof(self, table: str, leaf: bytes) -> dict[str, Any]:
        """That a row of this leaf is in this build: its place in the table, the RFC 6962 path, and the signed root.

        Digests are hexadecimal. The tree is kept in memory, so that further proofs of the same build cost nothing.
        Raises Missing where the build has no such row, Tampered when the path does not make the root that was signed.
        """
        tree, leaves = self.archive.tree(table, self.archive.index(table).standing(self._number), self._number)
        wanted = rows.as_keys(np.frombuffer(leaf, np.uint8).reshape(1, -1)) if len(leaf) == merkle.DIGEST else ()
        place = int(np.searchsorted(rows.as_keys(leaves), wanted)[0]) if len(wanted) else tree.size
        if place == tree.size or leaves[place].tobytes() != leaf:
            raise Missing(f"build {self.label} has no row of that leaf in table {table}: wanted 32 bytes of one it has")
        stated = next(held for held in self.statement.tables if held.name == table)
        path = tree.path(place)
        if merkle.root_from_path(leaf, place, stated.size, path).hex() != stated.root:
            raise Tampered(f"table {table} of build {self.label} does not come to the root that was signed")
        return {
            "table": table,
            "index": place,
            "size": stated.size,
            "root": stated.root,
            "path": [digest.hex() for digest in path],
        }

    def verify(self) -> None:
        """Check this build against the log: its entry, statement and leaves. Raises Tampered naming what differs."""
        check(self)

    def answer(
        self, *, nominal: str | None = None, network: str | None = None, theme: str | None = None
    ) -> dict[str, Any]:
        """The whole answer as plain values, in the form of `asof --json`."""
        if network is not None:
            self.networks(network=network)
        links = self.links(nominal=nominal, network=network, theme=theme).to_pylist()
        people = self.nominals(nominal=nominal, network=network, theme=theme)
        named = sorted({p for p in people["network"].to_pylist() if p})
        groups = self.networks(theme=theme)
        about = None  # of the whole build: everybody, also who has no figures
        if any(asked is not None for asked in (nominal, network, theme)):
            about = [*people["nominal"].to_pylist(), *([nominal] if nominal is not None else [])]
        if nominal is not None or network is not None:
            groups = groups.filter(pc.is_in(groups["network"], value_set=pa.array(named, pa.string())))
        return {
            **self.heading(),
            "nominals": people.to_pylist(),
            "links": [answered(link) for link in links],
            "networks": groups.to_pylist(),
            "merges_not_made": self.merges_not_made(about).to_pylist(),
        }

    def heading(self) -> dict[str, Any]:
        """Which build answers, when it was live, and what is to be known about it."""
        return {
            "build": self.label,
            "published_from": self.publication.start if self.publication else "",
            "published_to": self.publication.end if self.publication else "",
            "cut_off": self.built.cut_off,
            "root": self.root,
            "verified": self.verified,
            "case": self.case,
            "disposed": self.disposed,
            "left_out": [entries.as_json(count) for count in self.built.left_out],
            "caveat": self.landing_page["text"],
            "caveat_version": self.landing_page["version"],
        }

    @property
    def acts(self) -> int:
        """How many acts there are on which rests what may be shown: while it is the same, so is that."""
        return self.archive.history.shifts

    def keep_up(self) -> None:
        """Take in what others have logged: a snapshot may be kept for hours, and shows nothing that has since gone.

        Raises Overtaken when something has, once nothing of it is remembered here.
        """
        self.archive.refresh()
        if (acts := self.acts) != self._seen:
            self._seen = acts
            for name in ("disposed", "restricted_rows", "_judged", "_withheld", "_near_withheld"):
                self.__dict__.pop(name, None)
            raise Overtaken(f"build {self.label} was disposed of or restricted in part since: ask again")

    @property
    def _number(self) -> int:
        return self.built.number

    @cached_property
    def _judged(self) -> identity.Identities:
        """Who was judged to be whom, by the judgements in view alone: no other is told of, nor decides here.

        Builds in a row mostly know of the same ones: the last few answers are kept with the rows.
        """
        at = self.standing("identity")
        at = at[self.archive.shown("identity", at, case=self.case)]
        kept = self.archive.lookups.setdefault("judged", {})
        if (key := at.tobytes()) not in kept:
            found = identity.resolve(self._judgements(at))
            while len(kept) >= _JUDGED:
                kept.pop(next(iter(kept)))
            kept[key] = found
        return kept[key]

    def _judgements(self, at: np.ndarray) -> pa.Table:
        """The rows of `identity` at `at`, each opened once for all builds: every build rests on nearly all of them."""
        self.keep_up()
        held: _Opened = self.archive.lookups.setdefault("judgements", _Opened("identity"))
        return held.take(at, lambda unread: self._unsealed(self.archive.sealer.open, "identity", unread))

    @property
    def identities(self) -> pa.Table:
        """Who stood for somebody else in this build (identity.CANONICAL), by the judgements in view."""
        return self._judged.canonical

    def positions(self, table: str) -> np.ndarray:
        """Positions of the rows that the build had, the dead among them."""
        return self.archive.index(table).standing(self._number)

    def standing(self, table: str, theme: str | None = None) -> np.ndarray:
        """Positions of the rows that may still be read, a dead row's heir in its place."""
        index = self.archive.index(table)
        at = index.living(self.positions(table))
        return at if theme is None else at[index.theme[at] == _code(theme)]

    def standing_of(self, table: str, tokens: Sequence[int], theme: str | None = None) -> np.ndarray:
        """As `standing`, of the rows that speak of one of `tokens`: found from either end, not by looking at all."""
        index = self.archive.index(table)
        at = self._stood(table, index.of(*tokens))
        at = at[sets.among(index.a[at], tokens) | sets.among(index.b[at], tokens)]
        return at if theme is None else at[index.theme[at] == _code(theme)]

    def standing_in(self, table: str, network: str, theme: str | None = None) -> np.ndarray:
        """As `standing`, of the rows of `nominal` or `network` that are of one network: where all rows of all builds
        are known, found without looking which of them the build had."""
        if held := lookups.whole(self.archive, table):
            at = self._stood(table, held.places(network))
        else:
            at = self.standing(table)
            held = lookups.of(self.archive, table, at)
        at = at[held["network"][at] == held.code(network)]
        return at if theme is None else at[self.archive.index(table).theme[at] == _code(theme)]

    def still_shows(self, table: str, at: np.ndarray) -> np.ndarray:
        """Which of the rows at `at` the build shows, be it in the place of dead ones."""
        there = self._stood(table, at)
        return sets.among(at, there[self.archive.shown(table, there, case=self.case)])

    def _stood(self, table: str, at: np.ndarray) -> np.ndarray:
        """Which of the rows at `at`, and of those that took the place of dead ones, the build may still show."""
        index = self.archive.index(table)
        return sets.distinct(index.living(index.stood(sets.union(index.bequests, at), self._number)))

    def _reducible(self, at: np.ndarray) -> np.ndarray:
        """Which links at `at` rest on something restricted while neither of their two people is."""
        index, withheld = self.archive.index("link"), self._withheld
        return ~sets.among(index.a[at], withheld) & ~sets.among(index.b[at], withheld)

    @cached_property
    def _withheld(self) -> np.ndarray:
        return self.archive.withheld(self.case)

    def is_marked(self, table: str, at: np.ndarray) -> np.ndarray:
        """Which figures (of `nominal` or `network`) were computed with what is gone, or is out of view."""
        # A row that stands on in a later build was worked out again for it, without what was gone by then.
        after = np.array([0, *(disposal.after for disposal in self.archive.history.disposals)])
        index = self.archive.index(table)
        return (after[index.marked[at]] >= self._number) | self.is_near_withheld(table, at)

    def marked_people(self) -> np.ndarray:
        """Positions of the figures of people that are shown here and are `is_marked`, found without looking at all:
        they are among the rows that a disposal touched and those of who is near what is out of view."""
        index = self.archive.index("nominal")
        at = index.touched
        if len(self._withheld):
            at = sets.union(at, index.of(*self._near_withheld.tolist()))
        at = self._stood("nominal", at)
        at = at[self.archive.shown("nominal", at, case=self.case)]
        return at[self.is_marked("nominal", at)]

    def is_near_withheld(self, table: str, at: np.ndarray) -> np.ndarray:
        """Which figures (of `nominal` or `network`) would tell of what is restricted and is not for this case."""
        if not len(self._withheld):
            return np.zeros(len(at), bool)
        if table == "nominal":
            return sets.among(self.archive.index(table).a[at], self._near_withheld)
        return self._holds_withheld(at)

    @cached_property
    def _near_withheld(self) -> np.ndarray:
        """Tokens of the people who were linked with, in a record of, or judged the same as what is out of view."""
        found = []
        for table in ("link", "involvement", "identity"):
            index, at = self.archive.index(table), self.standing(table)
            hidden = at[~self.archive.shown(table, at, case=self.case)]
            found += [index.a[hidden], index.b[hidden]]
        near = sets.distinct(np.concatenate(found))
        merged = identity.resolve(self._read("identity", at)).canonical.combine_chunks()  # also what is out of view
        names = pc.is_in(merged["nominal"], value_set=self._names(near))
        canonical = self.archive.vault.tokens(vault.nominal_keys(merged["canonical"].filter(names)))
        return sets.union(near, canonical)

    def _names(self, tokens: np.ndarray) -> pa.Array:
        keys = self.archive.vault.keys(tokens[tokens != 0])
        return vault.nominal_ids(keys.filter(pc.starts_with(keys, "n")))

    def _holds_withheld(self, at: np.ndarray) -> np.ndarray:
        """Which networks had one of the people whose figures are withheld, or who are out of view."""
        people, standing = self.archive.index("nominal"), self.standing("nominal")
        gone = standing[sets.among(people.a[standing], sets.union(self._near_withheld, self._withheld))]
        ids = self.archive.sealer.open("nominal", people.rows(gone))["network"]
        network = self.archive.sealer.open("network", self.archive.index("network").rows(at))["network"]
        return pc.is_in(network, value_set=pc.unique(ids)).to_numpy(zero_copy_only=False)

    def token(self, nominal: str) -> int:
        """What stands for whoever `nominal` was judged to be. Raises Missing where nobody of that id is shown."""
        token = int(self.archive.vault.tokens(vault.nominal_keys(pa.array([self.canonical(nominal)], pa.string())))[0])
        if not token or token in self.archive.history.gone or token in self._withheld:
            raise Missing(
                "no nominal of that id is shown: it was never received, was disposed of, or is restricted for a case"
            )
        return token

    def content(self, table: str, at: np.ndarray) -> pa.Table:
        """The rows at `at` in the columns of `tables.TABLES`, without those that nobody may be shown here."""
        self.keep_up()
        shown = self.archive.shown(table, at, case=self.case)
        content = self._read(table, at[shown])
        if table == "link":
            content = content.append_column("reduced", pa.array(self._is_heir(at[shown]).astype(np.int64)))
            less = at[~shown & self._reducible(at)]
            if len(less):
                content = pa.concat_tables([content, self._reduced(less).drop_columns(["owner"])])
        elif table in _FIGURES:
            marked = self.is_marked(table, at[shown])
            # A case is shown what was computed with what is gone, and not what is restricted for another case.
            hidden = pa.array(self.is_near_withheld(table, at[shown]) if self.case else marked)
            for name in _FIGURES[table]:
                place = content.column_names.index(name)
                withheld = pc.if_else(hidden, pa.scalar(None, pa.int64()), content[name].combine_chunks())
                content = content.set_column(place, name, withheld)
            content = content.append_column("computed_with_erased", pa.array(marked.astype(np.int64)))
        return content.sort_by([(name, "ascending") for name in TABLES[table].key]).combine_chunks()

    def _is_heir(self, at: np.ndarray) -> np.ndarray:
        """Which links at `at` stand in this build for others; in a later one they may stand as their own."""
        found = self.archive.index("link").segment[at] < 0
        if found.any():
            found[found] = ~sets.among(at[found], self.positions("link"))
        return found

    def entries(self, table: str, at: np.ndarray) -> pa.Array:
        """Salt and row of each at `at`, as its leaf was made from. Whether they may be shown is the caller's to ask."""
        return self._unsealed(self.archive.sealer.entries, table, at)

    def _read(self, table: str, at: np.ndarray) -> pa.Table:
        def read(at: np.ndarray) -> pa.Table:
            return self._unsealed(self.archive.sealer.open, table, at)

        if len(at) > _FEW or not self.archive.is_remembering:
            return read(at)
        # Two builds that are compared have mostly the same rows, and the parts of a page ask for some of them again.
        held = self.archive.remembered(("rows", table), lambda: _Opened(table))
        return held.take(at, read)

    def _unsealed(self, opener: Callable[[str, pa.Table], _T], table: str, at: np.ndarray) -> _T:
        try:
            return opener(table, self.archive.index(table).rows(at))
        except (Missing, Tampered):
            self._insist_not_overtaken()
            raise

    def _insist_not_overtaken(self) -> None:
        if self.archive.is_overtaken():
            raise Overtaken(f"build {self.label} was disposed of in part while it was read: ask again") from None

    def _reduced(self, at: np.ndarray) -> pa.Table:
        """Links at `at` without what is restricted, as they are to be shown, and in `owner` which of `at` each was."""
        order = self.archive.handling_order(self.built)
        less = propagation.reduced(self.archive, self._read("link", at), self._withheld, order)
        return less.append_column("reduced", pa.array(np.ones(less.num_rows, np.int64)))


class _Opened:
    """Content of rows of one table that were opened, by position."""

    def __init__(self, table: str) -> None:
        self._at = np.zeros(0, np.int64)  # ascending
        self._content = TABLES[table].columns.empty_table()

    def take(self, at: np.ndarray, read: Callable[[np.ndarray], pa.Table]) -> pa.Table:
        """The rows at `at`, in that order; `read` opens those that are not known yet."""
        unread = sets.difference(at, self._at)
        if len(unread):
            whole = np.concatenate([self._at, unread])
            order = np.argsort(whole)
            content = pa.concat_tables([self._content, read(unread)]).combine_chunks()
            self._at, self._content = whole[order], content.take(pa.array(order))
        if np.array_equal(at, self._at):
            return self._content
        return self._content.take(pa.array(np.searchsorted(self._at, at)))


_JUDGED = 64  # answers to who is whom that are kept
_FEW = 1_000  # rows that are worth remembering: those of a person, not those of a theme
_STATES = {1: "disposed", 2: "reduced", 3: "restricted"}
# What would tell, by a difference, how much of what is gone there was.
_FIGURES = {
    "nominal": (
        "links", "strength", "records", "offending", "victim", "witness", "other", "harm", "harm_unknown", "severity",
        "severity_unknown",
    ),
    "network": ("members", "links", "strength", "harm", "severity"),
}  # fmt: skip


def _bytes(table: pa.Table) -> bytes:
    """A table as bytes: the same for the same rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def asked(archive: Archive, text: str) -> Snapshot:
    """The build of that label, live or not; or the one that was live at that moment, as `as_of`."""
    if not _LABEL.fullmatch(text):
        return as_of(archive, text)
    built = archive.history.build(text)
    live = [publication for publication in archive.history.publications if publication.label == text]
    return Snapshot(archive, built, live[-1] if live else None)


def as_of(archive: Archive, when: str, *, case: str = "") -> Snapshot:
    """The build that was live at `when`: a London time, or an instant with its offset, or a date with one build.

    With `case`, what is restricted and held for that case is shown too; whoever opens that door logs it.

    Raises Missing when nothing was live, Conflict when several builds were live on a date, Malformed for a time that
    is not one.
    """
    if moments.is_date(when):
        live = live_on(archive, when)
        if len(live) > 1:
            spans = ", ".join(f"{p.label} from {moments.london(moments.instant(p.start))}" for p in live)
            raise Conflict(f"date {when} had {len(live)} builds live: {spans}; say the time as well")
        if live:
            return Snapshot(archive, archive.history.build(live[0].label), live[0], case)
        instant = moments.utc(moments.day(when)[0])
    else:
        instant = moments.utc(moments.parse(when))
    publication = archive.history.live(instant)
    if publication is None:
        first = archive.history.publications
        since = (
            f"the first build went live {moments.london(moments.instant(first[0].start))}"
            if first
            else "no build was made"
        )
        raise Missing(f"no build was live at {moments.london(moments.instant(instant))}: {since}")
    return Snapshot(archive, archive.history.build(publication.label), publication, case)


def whole(ask: Callable[[], _T]) -> _T:
    """What `ask` answers, asked again for as long as disposals come between its parts: the old state or the new one."""
    while True:
        try:
            return ask()
        except Overtaken:
            continue


def live_on(archive: Archive, date: str) -> Sequence[Publication]:
    """Every publication that was live at some moment of a London calendar day."""
    start, end = moments.day(date)
    return archive.history.live_between(moments.utc(start), moments.utc(end))


def snapshot_root(built: entries.Built) -> str:
    """See `Snapshot.root`."""
    leaves = b"".join(merkle.leaf_hash(entries.canonical.dumps(entries.as_json(table))) for table in built.tables)
    return merkle.root(leaves).hex()


def check(snapshot: Snapshot) -> None:
    """The steps of `Snapshot.verify`: compute first, compare last."""
    archive, built = snapshot.archive, snapshot.built
    if not archive.is_logged(built):  # 1. the entry itself, hashed up to the signed head
        raise Tampered(f"build {built.label} is not in the log where the catalogue has it")
    stated = snapshot.statement  # 2. the statement: its digest against the entry, its signature against the log's key
    if (stated.label, stated.number, stated.cut_off, stated.tables) != (
        built.label,
        built.number,
        built.cut_off,
        built.tables,
    ):
        raise Tampered(
            f"statement of build {built.label} says another label, number, cut-off or root than its log entry"
        )
    for table in built.tables:  # 3. the leaves on disk
        check_table(archive, built, table.name)


def check_table(archive: Archive, built: entries.Built, name: str) -> None:
    """Compare a table's leaves on disk with what was signed. Raises Tampered; Missing without the statement.

    By their SHA-256 where the statement has it, and by the logged root where it has none: the log names the statement
    by its digest, so one vouches for the leaves as the other does. That a statement's two digests are of the same
    leaves is for `verify` to say.
    """
    stated, leaves = archive.stated(built), leaves_of(archive, built, name)
    fault = flat_fault(stated, name, leaves) if stated.flat(name) else root_fault(archive, built, name, leaves)
    if fault:
        raise Tampered(fault)


def leaves_of(archive: Archive, built: entries.Built, name: str) -> np.ndarray:
    """The leaves of a build's table in byte order, (n, 32), from those on disk."""
    index = archive.index(name)
    return rows.in_byte_order(index.leaf.take(index.standing(built.number), axis=0))


def root_fault(archive: Archive, built: entries.Built, name: str, leaves: np.ndarray) -> str:
    """What is wrong where leaves in byte order have another root than the log has for the table; or ""."""
    computed = len(leaves), archive.crew.root(leaves).hex()
    logged = next(((table.size, table.root) for table in built.tables if table.name == name), (0, "nothing"))
    if computed == logged:
        return ""
    return (
        f"table {name} of build {built.label} has {computed[0]} rows with root {computed[1]}, "
        f"logged as {logged[0]} with root {logged[1]}"
    )


def flat_fault(stated: statements.Statement, name: str, leaves: np.ndarray) -> str:
    """What is wrong where leaves in byte order have another SHA-256 than the statement has for the table; or "".

    Of a statement that has none nothing is wrong.
    """
    computed, said = hashlib.sha256(np.ascontiguousarray(leaves)).hexdigest(), stated.flat(name)
    if said in ("", computed):
        return ""
    return f"table {name} of build {stated.label} has {len(leaves)} rows with SHA-256 {computed}, stated as {said}"


def answered(link: Mapping[str, Any]) -> dict[str, Any]:
    """A link as answers show it: each support with both roles in the order of a and b."""
    supports = [
        {
            **{
                key: value
                for key, value in support.items()
                if key not in ("role_a", "role_b", "sources_a", "sources_b")
            },
            "roles": [support["role_a"], support["role_b"]],
            "sources": [support["sources_a"], support["sources_b"]],
        }
        for support in link["supports"]
    ]
    return {**link, "supports": supports}


def _code(theme: str) -> int:
    if theme not in THEMES:
        raise Malformed(f"theme {theme!r} is not one of {', '.join(THEMES)}")
    return THEMES.index(theme) + 1


def _theme_of(network: str) -> str:
    return network.split("-")[0]
