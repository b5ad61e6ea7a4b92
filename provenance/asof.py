"""What the dashboard showed at a moment, and which records stood behind it.

`as of` means the build that was published at that instant: never a later one, and nothing that was learned later. Each
answer says which build that is, when it was live, up to when it took records, its root, whether it verifies, the words
that stood on the landing page, and how many rows have since been disposed of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import entries, identity, merkle, moments, rows, statements, vault
from provenance.archive import Archive
from provenance.errors import Conflict, Malformed, Missing, Tampered
from provenance.history import Publication
from provenance.records import THEMES
from provenance.tables import TABLES

if TYPE_CHECKING:
    import networkx


class Snapshot:
    """One build, read as it was published."""

    def __init__(self, archive: Archive, built: entries.Built, publication: Publication | None) -> None:
        self.archive, self.built, self.publication = archive, built, publication

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
        path = self.archive.statement(self.label)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise Missing(f"statement of build {self.label} is not there: wanted builds/{path.name}") from None
        if rows.digest(path) != self.built.statement:
            raise Tampered(f"statement of build {self.label} is not the one that was logged: builds/{path.name}")
        return statements.open_envelope(data, self.archive.log.vkey)

    @property
    def landing_page(self) -> Mapping[str, str]:
        """Version and text of the advisory words that every page of this build carried."""
        return json.loads(self.statement.params)["landing_page"]

    @cached_property
    def verified(self) -> bool:
        """Whether the logged entry, the signed statement and the roots over the stored leaves agree. Raises nothing."""
        try:
            check(self)
        except (Tampered, Missing, Malformed):
            return False
        return True

    @cached_property
    def disposed(self) -> Mapping[str, int]:
        """How many rows of each table of this build can no longer be read, because a parent's secret was destroyed."""
        found = {}
        for name in TABLES:
            standing = self._standing(name)
            found[name] = int((~readable(self.archive, name, standing)).sum())
        return {name: count for name, count in found.items() if count}

    def links(self, *, nominal: str | None = None, network: str | None = None, theme: str | None = None) -> pa.Table:
        """Links with their supports, by theme, a and b; of one person, of one network's members, of one theme."""
        index = self.archive.index("link")
        at = self._standing("link", theme)
        if nominal is not None:
            token = self._token(nominal)
            at = at[(index.a[at] == token) | (index.b[at] == token)]
        if network is not None:
            members = self.nominals(network=network)
            tokens = self.archive.vault.tokens(vault.nominal_keys(members["nominal"].combine_chunks()))
            at = at[np.isin(index.a[at], tokens) & np.isin(index.b[at], tokens)]
            at = at[index.theme[at] == _code(_theme_of(network))]
        return self._content("link", at)

    def nominals(self, *, nominal: str | None = None, network: str | None = None, theme: str | None = None) -> pa.Table:
        """People with their figures, by theme and id."""
        at = self._standing("nominal", theme or (_theme_of(network) if network else None))
        if nominal is not None:
            at = at[self.archive.index("nominal").a[at] == self._token(nominal)]
        content = self._content("nominal", at)
        return content if network is None else content.filter(pc.equal(content["network"], network))

    def networks(self, *, network: str | None = None, theme: str | None = None) -> pa.Table:
        """Networks with their figures, largest first within a theme. Raises Missing for an id it has not."""
        content = self._content("network", self._standing("network", theme))
        content = content.sort_by([("theme", "ascending"), ("members", "descending"), ("network", "ascending")])
        if network is None:
            return content
        found = content.filter(pc.equal(content["network"], network))
        if not found.num_rows:
            raise Missing(f"build {self.label} has no network of that id: it has {content.num_rows} networks")
        return found

    def people(self, nominals: Sequence[str]) -> pa.Table:
        """What the sources said about these nominals themselves, as this build had it."""
        tokens = self.archive.vault.tokens(vault.nominal_keys(pa.array(nominals, pa.string())))
        at = self._standing("person")
        return self._content("person", at[np.isin(self.archive.index("person").a[at], tokens)])

    def explain(self, a: str, b: str) -> list[dict[str, Any]]:
        """The links between two people, one per theme, each with every record behind it. Raises Missing without any."""
        one, other = self._token(a), self._token(b)
        index, at = self.archive.index("link"), self._standing("link")
        pair = ((index.a[at] == one) & (index.b[at] == other)) | ((index.a[at] == other) & (index.b[at] == one))
        found = self._content("link", at[pair]).to_pylist()
        if not found:
            raise Missing(f"build {self.label} has no link between these two nominals")
        answers = [answered(link) for link in found]
        self._cite(support for answer in answers for support in answer["supports"])
        return answers

    def _cite(self, supports: Iterable[dict[str, Any]]) -> None:
        """Add to each support the leaf of the version of its record that this build holds (R10)."""
        supports = list(supports)
        index, at = self.archive.index("record"), self._standing("record")
        named = pa.table({name: [s[name] for s in supports] for name in ("system", "record_id")})
        tokens = self.archive.vault.tokens(vault.record_keys(named["system"], named["record_id"]))
        leaf_of = {int(index.a[i]): index.leaf[i].tobytes().hex() for i in at[np.isin(index.a[at], tokens)]}
        for support, token in zip(supports, tokens.tolist(), strict=True):
            if token not in leaf_of:
                raise Tampered(f"build {self.label} has a link without the record behind it: see `provenance verify`")
            support["record_leaf"] = leaf_of[token]

    def canonical(self, nominal: str) -> str:
        """Who `nominal` was judged to be in this build: another id where records were merged, else the same."""
        at = pc.index(self._identities["nominal"], nominal).as_py()
        return nominal if at < 0 else self._identities["canonical"][at].as_py()

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

    def verify(self) -> None:
        """Check this build against the log: its entry, statement and roots. Raises Tampered naming what differs."""
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
        if nominal is not None or network is not None:
            groups = groups.filter(pc.is_in(groups["network"], value_set=pa.array(named, pa.string())))
        return {
            **self.heading(),
            "nominals": people.to_pylist(),
            "links": [answered(link) for link in links],
            "networks": groups.to_pylist(),
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
            "disposed": dict(self.disposed),
            "left_out": [entries.as_json(count) for count in self.built.left_out],
            "caveat": self.landing_page["text"],
            "caveat_version": self.landing_page["version"],
        }

    @property
    def _number(self) -> int:
        return self.built.number

    @cached_property
    def _identities(self) -> pa.Table:
        return identity.resolve(self._content("identity", self._standing("identity"))).canonical.combine_chunks()

    def _standing(self, table: str, theme: str | None = None) -> np.ndarray:
        index = self.archive.index(table)
        at = index.standing(self._number)
        return at if theme is None else at[index.theme[at] == _code(theme)]

    def _token(self, nominal: str) -> int:
        token = int(self.archive.vault.tokens(vault.nominal_keys(pa.array([self.canonical(nominal)], pa.string())))[0])
        if not token:
            raise Missing("no nominal of that id is held: it was never received, or has been disposed of")
        return token

    def _content(self, table: str, at: np.ndarray) -> pa.Table:
        at = at[readable(self.archive, table, at)]
        content = self.archive.sealer.open(table, self.archive.index(table).rows(at))
        return content.sort_by([(name, "ascending") for name in TABLES[table].key]).combine_chunks()


def as_of(archive: Archive, when: str) -> Snapshot:
    """The build that was live at `when`: a London time, or an instant with its offset, or a date with one build.

    Raises Missing when nothing was live, Conflict when several builds were live on a date, Malformed for a time that
    is not one.
    """
    if moments.is_date(when):
        live = live_on(archive, when)
        if len(live) > 1:
            spans = ", ".join(f"{p.label} from {moments.london(moments.instant(p.start))}" for p in live)
            raise Conflict(f"date {when} had {len(live)} builds live: {spans}; say the time as well")
        if live:
            return Snapshot(archive, archive.history.build(live[0].label), live[0])
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
    return Snapshot(archive, archive.history.build(publication.label), publication)


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
    for table in built.tables:  # 3. the roots over the leaves on disk
        check_table(archive, built, table.name)


def check_table(archive: Archive, built: entries.Built, name: str) -> None:
    """Work out a table's root from the leaves on disk. Raises Tampered when it is not the logged one."""
    index = archive.index(name)
    leaves = np.sort(rows.as_keys(index.leaf[index.standing(built.number)]))
    computed = len(leaves), merkle.root(np.ascontiguousarray(leaves).view(np.uint8)).hex()
    logged = next(((table.size, table.root) for table in built.tables if table.name == name), (0, "nothing"))
    if computed != logged:
        raise Tampered(
            f"table {name} of build {built.label} has {computed[0]} rows with root {computed[1]}, "
            f"logged as {logged[0]} with root {logged[1]}"
        )


def readable(archive: Archive, table: str, at: np.ndarray) -> np.ndarray:
    """Which of the rows at positions `at` of a table still have the secrets of all their parents."""
    index, held_by = archive.index(table), archive.vault.retained
    held = held_by(index.a[at]) & held_by(index.b[at])
    gone = np.flatnonzero(~held_by(index.others))
    if len(gone):
        held &= ~np.isin(at, np.searchsorted(index.ends, gone, side="right") - 1)
    return held


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


def difference(before: Snapshot, after: Snapshot) -> pa.Table:
    """What changed in the links from one build to another, by theme, a and b.

    `change` is `new`, `gone` or `changed`; `strength_before` and `strength_after` are points (0 where there is no
    link); the record columns list `SYSTEM RECORD` behind the change: those that came, those that went, and those that
    say something else now.
    """
    index = before.archive.index("link")
    old, new = index.standing(before.built.number), index.standing(after.built.number)
    gone = before._content("link", np.setdiff1d(old, new, assume_unique=True)).to_pylist()
    come = after._content("link", np.setdiff1d(new, old, assume_unique=True)).to_pylist()
    sides: dict[tuple[str, str, str], list[Any]] = {}
    for place, links in enumerate((gone, come)):
        for link in links:
            sides.setdefault((link["theme"], link["a"], link["b"]), [None, None])[place] = link
    return pa.Table.from_pylist([_changed(key, *pair) for key, pair in sorted(sides.items())], schema=DIFFERENCE)


DIFFERENCE = pa.schema(
    [
        ("theme", pa.string()),
        ("a", pa.string()),
        ("b", pa.string()),
        ("change", pa.string()),
        ("strength_before", pa.int64()),
        ("strength_after", pa.int64()),
        ("records_come", pa.list_(pa.string())),
        ("records_gone", pa.list_(pa.string())),
        ("records_changed", pa.list_(pa.string())),
    ]
)


def _changed(key: tuple[str, str, str], old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any]:
    behind = [
        {f"{s['system']} {s['record_id']}": s for s in (link or {"supports": []})["supports"]} for link in (old, new)
    ]
    return {
        **dict(zip(("theme", "a", "b"), key, strict=True)),
        "change": "changed" if old and new else "new" if new else "gone",
        "strength_before": old["strength"] if old else 0,
        "strength_after": new["strength"] if new else 0,
        "records_come": sorted(behind[1].keys() - behind[0].keys()),
        "records_gone": sorted(behind[0].keys() - behind[1].keys()),
        "records_changed": sorted(k for k in behind[0].keys() & behind[1].keys() if behind[0][k] != behind[1][k]),
    }


def _code(theme: str) -> int:
    if theme not in THEMES:
        raise Malformed(f"theme {theme!r} is not one of {', '.join(THEMES)}")
    return THEMES.index(theme) + 1


def _theme_of(network: str) -> str:
    return network.split("-")[0]
