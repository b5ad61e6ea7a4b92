"""Why figures changed from one build to another: each change of a link, a person or a network, split by cause (R20).

The causes of a change add up to it, in whole numbers. They are worked out from the builds' own sources and rules, state
by state (`between`), and never taken from what is to be explained: where they do not come to the change that the sealed
rows show, and no logged disposal or restriction touched the thing, that is Tampered, and no cause of its own.

What a disposal took is gone, so its part is known as the remainder only, in figures that it is known to have touched;
where an ordinary view withholds a figure, it withholds this part too, and tells the other causes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import figures, networks, propagation, sets, vault
from provenance.asof import Snapshot
from provenance.between import STEPS, Between, Figures, between
from provenance.draft import COUNTS
from provenance.errors import Tampered
from provenance.harm import HarmTable
from provenance.params import Params
from provenance.records import THEMES
from provenance.statements import Statement
from provenance.supported import SEVERAL

PERSON = ("links", "strength", *COUNTS)
NETWORK = ("members", "links", "strength", "harm", "severity", "alarm")
_WEIGHTS = [PERSON.index("harm"), PERSON.index("severity")]  # of a network they are the sum over its members
MEMBER = "member"  # figure of a person: 1 while in network `b`

# `a` is a nominal or a network; `b` the other nominal of a link, the network of a membership, else "". `before` and
# `after` are 0 where the build has no such thing. Null: withheld, since it counted what is gone; `disposal` then too.
CAUSES = pa.schema(
    [
        *((name, pa.string()) for name in ("theme", "kind", "a", "b", "figure")),
        *((name, pa.int64()) for name in ("before", "after", *STEPS)),
    ]
)
# What one record did to one figure of a link or a person. Of what was disposed of there is none to name. `late`: 1
# where it happened before the earlier build took records, and came after it.
BEHIND = pa.schema(
    [
        *((name, pa.string()) for name in ("theme", "kind", "a", "b", "figure", "cause", "system", "record_id")),
        ("amount", pa.int64()),
        ("late", pa.int64()),
    ]
)
_KEY = ("theme", "kind", "a", "b", "figure")


@dataclass(frozen=True, slots=True)
class Split:
    """The changes between two builds by cause, and what is behind them."""

    changes: pa.Table  # CAUSES, by theme, kind, a, b and figure
    behind: pa.Table  # BEHIND, in the same order, then by cause and record
    method: tuple[str, ...]  # keys of params that decide figures and differ
    editions: tuple[str, str]  # of the harm table, before and after
    severity_editions: tuple[str, str]  # of the second one; "" without
    disposals: tuple[str, ...]  # ids of the disposals since the earlier build
    # What each was made with. Both builds are what the code that runs here gives of their sources, or this split would
    # have been refused: so no part of a change is by other code or other packages, whatever these say.
    statements: tuple[Statement, Statement]


def causes(before: Snapshot, after: Snapshot, *, people: Sequence[str] = (), named: bool = True) -> Split:
    """Every change from one build to the other, by cause. With `people`, of these nominals and their links alone, and
    of no network: the work follows their records then, and not the builds. Unless `named`, `behind` is left empty, for
    who tells how much and not which records.

    Raises Tampered for a change that its records do not account for, and Overtaken as every question.
    """
    held = between(before, after, people=people)
    told = [held.figures(state) for state in held.states]
    few = None if held.focus is None else [_people(snapshot, None, held.focus) for snapshot in (before, after)]
    parts = [_Theme(held, before, after, code, told, few) for code in range(1, len(THEMES) + 1)]
    found, behind = [CAUSES.empty_table()], [BEHIND.empty_table()]
    for part in parts:
        if part.size:
            changed = list(part.changes())
            found += changed
            behind += part.behind(pa.concat_tables(changed)) if named else ()
    before.keep_up()
    after.keep_up()
    order = [(name, "ascending") for name in _KEY]
    since = before.archive.history.since(min(before.built.number, after.built.number))
    first, last = held.states[0], held.states[-1]
    return Split(
        pa.concat_tables(found).sort_by(order).combine_chunks(),
        pa.concat_tables(behind)
        .sort_by([*order, *((n, "ascending") for n in ("cause", "system", "record_id"))])
        .combine_chunks(),
        _differing(first.params, last.params),
        (first.table.edition, last.table.edition),
        (_second(first.table), _second(last.table)),
        tuple(disposal.first.disposal for disposal in since),
        (before.statement, after.statement),
    )


def _second(table: HarmTable) -> str:
    return table.severity.edition if table.severity else ""


def _differing(one: Params, other: Params) -> tuple[str, ...]:
    """Dotted keys of params that decide figures and are not the same."""
    if one is other:
        return ()
    sections = {"themes", "grading", "links", "networks", "harm"}
    return tuple(key for key in one.differing(other) if key.split(".")[0] in sections)


class _Theme:
    """One theme of the comparison: people are places in `tokens`, a link is the number of its pair of places."""

    def __init__(
        self,
        held: Between,
        before: Snapshot,
        after: Snapshot,
        code: int,
        told: Sequence[Figures],
        few: Sequence[pa.Table] | None,
    ) -> None:
        """`told`: figures of each state. `few`: those asked about, in all themes, before and after; None: everybody."""
        self.held, self.archive, self.theme, self.states = held, held.archive, THEMES[code - 1], held.states
        self.before_cut_off = before.built.cut_off
        links = [links_of(snapshot, code, held.focus) for snapshot in (before, after)]
        told = [_of_theme(figures_, code, held.focus) for figures_ in told]
        shown = (
            [_people(snapshot, self.theme, None) for snapshot in (before, after)]
            if few is None
            else [people.filter(pc.equal(people["theme"], self.theme)) for people in few]
        )
        tokens = [part[side] for part in (*links, *(t.link for t in told)) for side in "ab"]
        tokens += [t.count["person"] for t in told] + [people["token"].to_numpy() for people in shown]
        self.tokens = sets.distinct(np.concatenate([*tokens, np.zeros(0, np.int64)]))
        self.size = len(self.tokens)
        if not self.size:
            return
        self.told = told
        self.pairs = [self._pair(part) for part in links]
        self.told_pairs = [self._pair(t.link) for t in told]
        self.keys = sets.distinct(np.concatenate([*self.pairs, *self.told_pairs]))
        self.shown = [self._placed(people) for people in shown]
        self._links(before, after, code, links)
        self._persons()
        if held.focus is None:
            self._networks(before, after)

    def _pair(self, part: Mapping[str, np.ndarray]) -> np.ndarray:
        a, b = (np.searchsorted(self.tokens, part[side]) for side in "ab")
        return a.astype(np.int64) * self.size + b

    def _ends(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.divmod(keys, self.size)

    # ---- links -------------------------------------------------------------------------------------------------------

    def _links(self, before: Snapshot, after: Snapshot, code: int, links: Sequence[Mapping[str, np.ndarray]]) -> None:
        """`self.stood` (2, n, 2) and `self.link` (states, n, 2): points and records of each link, as shown by the two
        builds, and as each state gives them. `self.summed` (n) and `self.link_summed` (states, n): the tokens of its
        records added up, in the first build and in each state; of a link of one record, that one."""
        self.stood = np.zeros((2, len(self.keys), 2), np.int64)
        self.summed = np.zeros(len(self.keys), np.int64)
        for side, (part, pair) in enumerate(zip(links, self.pairs, strict=True)):
            self.stood[side, np.searchsorted(self.keys, pair)] = np.stack([part["strength"], part["records"]], axis=1)
        self.summed[np.searchsorted(self.keys, self.pairs[0])] = links[0]["summed"]
        self.moved = sets.distinct(np.concatenate(self.told_pairs))
        given = np.zeros((len(self.states), len(self.moved), 3), np.int64)
        for state, (t, pair) in enumerate(zip(self.told, self.told_pairs, strict=True)):
            at = np.searchsorted(self.moved, pair)
            np.add.at(given[state], at, _added(t.link["points"], t.link["record"]))
        # A disposal leaves of a link what its other records give; worked out afresh, as the next build does it, it may
        # be more: a crowd that fell below the cap links its people, and who was merged into the gone stands alone.
        more = np.stack(
            [
                self._beyond(snapshot, code, self.told[state], self.told_pairs[state])
                for snapshot, state in ((before, 0), (after, -1))
            ]
        )
        at = np.searchsorted(self.keys, self.moved)
        self.link_summed = given[..., 2] - given[0, :, 2] + self.summed[at] + more[0, :, 2]
        given, more = given[..., :2], more[..., :2]
        self.unsettled = self.moved[(more != 0).any(axis=(0, 2))]
        self.link = given - given[0] + self.stood[0, at] + more[0]
        self.link_steps = self._steps(self.link)
        self.link_steps["disposal"] = self.link_steps["disposal"] + more[0] - more[1]
        change = np.zeros((len(self.keys), 2), np.int64)
        change[at] = sum(self.link_steps.values())
        odd = np.flatnonzero((change != self.stood[1] - self.stood[0]).any(axis=1))
        if len(odd):
            found, wanted = self.stood[1, odd[0], 0] - self.stood[0, odd[0], 0], change[odd[0], 0]
            raise Tampered(
                f"links of theme {self.theme} changed by what no record accounts for: {len(odd)} links, the first by "
                f"{found} points, its records by {wanted}; see `provenance verify` and `provenance reproduce`"
            )

    def _beyond(self, snapshot: Snapshot, code: int, told: Figures, pairs: np.ndarray) -> np.ndarray:
        """(n, 3): what the records that a disposal or restriction disturbed give, less what is shown of them: points,
        records, and their tokens added up."""
        found = np.zeros((len(self.moved), 3), np.int64)
        disturbed, focus = self.held.disturbed, self.held.focus
        if not len(disturbed):
            return found
        mine = sets.among(told.link["record"], disturbed)
        given = _added(told.link["points"][mine], told.link["record"][mine])
        np.add.at(found, np.searchsorted(self.moved, pairs[mine]), given)
        index, at = self.archive.index("link"), _standing(snapshot, "link", self.theme, focus)
        token, owner = index.parents_beside(at)
        at = at[sets.distinct(owner[sets.among(token, disturbed)])]
        supports, _ = propagation.unfolded(snapshot.content("link", at))
        names = vault.record_keys(_flat(supports["system"]), _flat(supports["record_id"]))
        tokens = self.archive.vault.tokens(names)
        mine = sets.among(tokens, disturbed)
        part = {side: self.archive.vault.tokens(vault.nominal_keys(_flat(supports[side])))[mine] for side in "ab"}
        if mine.any():
            key = self._pair(part)
            place = np.minimum(np.searchsorted(self.moved, key), max(len(self.moved) - 1, 0))
            if not len(self.moved) or (self.moved[place] != key).any():
                raise Tampered(f"links of theme {self.theme} rest on records that do not give them")
            np.subtract.at(found, place, _added(supports["contribution"].to_numpy()[mine], tokens[mine]))
        return found

    def _steps(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """What each cause did, from the figures of each state."""
        found = {cause: np.zeros_like(states[0]) for cause in STEPS}
        for state, was, now in zip(self.states[1:], states, states[1:], strict=False):
            found[state.cause] = found[state.cause] + now - was
        return found

    # ---- people ------------------------------------------------------------------------------------------------------

    def _placed(self, people: pa.Table) -> _Shown:
        """The people of one build, by place."""
        at = np.searchsorted(self.tokens, people["token"].to_numpy())
        there, marked = np.zeros((2, self.size), bool)
        there[at], marked[at] = True, people["computed_with_erased"].to_numpy() == 1
        values, known = np.zeros((self.size, len(PERSON)), np.int64), np.ones((self.size, len(PERSON)), bool)
        for place, name in enumerate(PERSON):
            column = _flat(people[name])
            values[at, place] = pc.fill_null(column, 0).to_numpy()
            known[at, place] = pc.is_valid(column).to_numpy(zero_copy_only=False)
        network = np.full(self.size, "", object)
        network[at] = _flat(people["network"]).to_numpy(zero_copy_only=False)
        return _Shown(there, marked, values, known, network)

    def _persons(self) -> None:
        """`self.person` (states, n, len(PERSON)): each person's figures in each state; and the causes of the change."""
        place = np.searchsorted(self.keys, self.moved)
        first = self.stood[0].copy()
        first[place] = self.link[0]
        self.all_links = first  # in the first state
        self.person = np.zeros((len(self.states), self.size, len(PERSON)), np.int64)
        a, b = self._ends(self.keys)
        for end in (a, b):
            np.add.at(self.person[0], (end, 0), (first[:, 1] > 0).astype(np.int64))
            np.add.at(self.person[0], (end, 1), first[:, 0])
        a, b = self._ends(self.moved)
        counts = np.zeros((len(self.states), self.size, len(COUNTS)), np.int64)
        for state, t in enumerate(self.told):
            np.add.at(counts[state], np.searchsorted(self.tokens, t.count["person"]), t.count["counts"])
            if state:
                was, now = self.link[state - 1], self.link[state]
                self.person[state, :, :2] = self.person[state - 1, :, :2]
                for end in (a, b):
                    gained = (now[:, 1] > 0).astype(np.int64) - (was[:, 1] > 0)
                    np.add.at(self.person[state], (end, 0), gained)
                    np.add.at(self.person[state], (end, 1), now[:, 0] - was[:, 0])
        afresh = sets.among(self.tokens, self.held.afresh)
        base = np.where(afresh[:, None], counts[0], self.shown[0].values[:, 2:])
        self.person[:, :, 2:] = base + counts - counts[0]
        touched = afresh | self.shown[0].marked | self.shown[1].marked
        for end in self._ends(self.unsettled):
            touched[end] = True
        for state in self.states:
            if state.cause == "disposal":
                touched[:] = True  # asked for under a case: its rows are here, and in the later build they are not
        self.touched = touched
        mine = np.ones(self.size, bool) if self.held.focus is None else sets.among(self.tokens, self.held.focus)
        self.mine = mine & (self.shown[0].there | self.shown[1].there)
        self.person_steps, self.person_known = self._settled(
            self.person, [s.values for s in self.shown], [s.known for s in self.shown], touched[:, None],
            self.mine[:, None], "people",
        )  # fmt: skip

    def _settled(
        self,
        states: np.ndarray,
        shown: Sequence[np.ndarray],
        known: Sequence[np.ndarray],
        touched: np.ndarray,
        asked: np.ndarray,
        what: str,
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The causes, with the remainder under `disposal` where both sides are `known`: 0, but where `touched`."""
        steps, both = self._steps(states), known[0] & known[1]
        rest = shown[1] - shown[0] - sum(steps.values())
        odd = both & asked & ~touched & (rest != 0)
        if odd.any():
            raise Tampered(
                f"figures of {what} of theme {self.theme} changed by what no record accounts for: {int(odd.sum())} "
                f"figures, the first by {rest[odd][0]} beyond its causes; no disposal that is logged touched them"
            )
        steps["disposal"] = steps["disposal"] + rest
        return steps, both

    # ---- networks ----------------------------------------------------------------------------------------------------

    def _networks(self, before: Snapshot, after: Snapshot) -> None:
        """Networks and who is in them, in each state: the rule of `networks` under that state's params.

        The id of a network in a state between is that of the earlier build's network from which most of its members
        came, as from week to week; the later build's id where it has the later one's very members, or is new.
        """
        ids, was, now = _numbered(self.shown[0].network, self.shown[1].network)
        was, self.renamed = _continued(was, now, len(ids))
        self.network_ids = ids
        names = vault.nominal_ids(self.archive.vault.keys(self.tokens))
        of_state, stats = np.full((len(self.states), self.size), -1, np.int64), []
        links, at = self.all_links.copy(), np.searchsorted(self.keys, self.moved)
        summed = self.summed.copy()
        previous = pa.array(np.append(ids, "")[was], pa.string())
        asked: tuple[Any, ...] = ()
        for state, held in enumerate(self.states):
            links[at], summed[at] = self.link[state], self.link_summed[state]
            harm, severity = self.person[state][:, _WEIGHTS].T
            if state and self._is_as_before(state, asked[1], held.params.networks):
                of_state[state] = of_state[state - 1]
                stats.append(stats[-1])
                continue
            asked = (state, held.params.networks)
            there = links[:, 1] > 0
            a, b = self._ends(self.keys[there])
            sole = np.where(links[there, 1] == 1, summed[there], SEVERAL)
            result = networks.networks(
                self.theme, a, b, links[there, 0], links[there, 1], sole, held.params.networks, names, harm, previous,
                "state",
            )  # fmt: skip
            weighed = networks.over_members(result, severity)
            of_state[state], own = self._named(result, weighed, ids, was, now, is_last=state == len(self.states) - 1)
            stats.append(own)
        self.network = np.stack(stats)
        self.member = of_state
        self.member_ends = was, now
        self.net_shown = [self._stated(snapshot, is_before) for snapshot, is_before in ((before, True), (after, False))]
        # A network is touched with any of its members, and with it those into which it passes.
        marked = self.net_shown[0].marked | self.net_shown[1].marked
        for _ in range(2):
            people = self.touched.copy()
            for side in (was, now):
                inside = side >= 0
                people[inside] |= marked[side[inside]]
            for side in (was, now):
                marked[side[people & (side >= 0)]] = True
        self.net_touched = marked
        self.net_steps, self.net_known = self._settled(
            self.network, [s.values for s in self.net_shown], [s.known for s in self.net_shown], marked[:, None],
            (self.net_shown[0].there | self.net_shown[1].there)[:, None], "networks",
        )  # fmt: skip

    def _is_as_before(self, state: int, rule: Any, now: Any) -> bool:
        return (
            rule == now
            and np.array_equal(self.link[state], self.link[state - 1])
            and np.array_equal(self.link_summed[state], self.link_summed[state - 1])
            and np.array_equal(self.person[state][:, _WEIGHTS], self.person[state - 1][:, _WEIGHTS])
        )

    def _named(
        self,
        result: networks.Result,
        severity: pa.Array,
        ids: np.ndarray,
        was: np.ndarray,
        now: np.ndarray,
        *,
        is_last: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Each person's network by number (-1: none, or one that neither build has), and figures by number."""
        own, of = np.unique(result.nodes["network"].to_numpy(zero_copy_only=False).astype(object), return_inverse=True)
        count = len(ids)
        kept = np.searchsorted(ids, own) if count else np.zeros(len(own), np.int64)
        number = np.where((kept < count) & (ids[np.minimum(kept, count - 1)] == own), kept, -1) if count else kept - 1
        persisted = sets.among(number, sets.distinct(was[was >= 0]))
        number = np.where(persisted, number, -1)
        inside = own != ""
        same_was, same_now = (_same_members(of, side, len(own), count) for side in (was, now))
        into = same_now if is_last else np.where(same_was >= 0, -1, same_now)
        into = np.where(inside, into, -1)
        claimed = np.zeros(count + 1, bool)
        claimed[into[into >= 0]] = True
        fresh = inside & (into < 0) & (number < 0)
        number = np.where(into >= 0, into, np.where((number >= 0) & claimed[number], -1, number))
        # A new network between takes the number of the new one of the later build that has most of its members.
        new = sets.difference(sets.distinct(now[now >= 0]), was)
        met = np.flatnonzero(fresh[of] & sets.among(now, new))
        pair, shared = np.unique(of[met] * np.int64(count + 1) + now[met], return_counts=True)
        mine, theirs = np.divmod(pair, count + 1)
        best = np.lexsort((theirs, -shared, mine))
        best = best[np.unique(mine[best], return_index=True)[1]]
        number[mine[best]] = theirs[best]
        number[~inside] = -1
        figures_ = np.zeros((count + 1, len(NETWORK)), np.int64)
        place = np.searchsorted(own, result.networks["network"].to_numpy(zero_copy_only=False).astype(object))
        told = result.networks.append_column("severity", severity)
        values = np.stack([told[name].to_numpy() for name in NETWORK], axis=1)
        np.add.at(figures_, number[place], values)
        return number[of], figures_[:count]

    def _stated(self, snapshot: Snapshot, is_before: bool) -> _Shown:
        """The networks of one build, by number; those that go on with the same members under the later build's id."""
        held = snapshot.networks(theme=self.theme)
        count = len(self.network_ids)
        names = _flat(held["network"]).to_numpy(zero_copy_only=False).astype(object)
        at = np.searchsorted(self.network_ids, names) if count else np.zeros(len(names), np.int64)
        found = (
            (at < count) & (self.network_ids[np.minimum(at, count - 1)] == names)
            if count
            else np.zeros(len(names), bool)
        )
        held, at = held.filter(pa.array(found)), at[found]  # of one whose members are all gone, nothing is told
        if is_before:
            at = self.renamed[at]
        there, marked = np.zeros((2, count), bool)
        there[at], marked[at] = True, held["computed_with_erased"].to_numpy() == 1
        values, known = np.zeros((count, len(NETWORK)), np.int64), np.ones((count, len(NETWORK)), bool)
        for place, name in enumerate(NETWORK):
            column = _flat(held[name])
            values[at, place] = pc.fill_null(column, 0).to_numpy()
            known[at, place] = pc.is_valid(column).to_numpy(zero_copy_only=False)
        return _Shown(there, marked, values, known, np.zeros(0, object))

    # ---- the answer --------------------------------------------------------------------------------------------------

    def changes(self) -> Iterator[pa.Table]:
        """CAUSES of this theme, in parts."""
        at = np.searchsorted(self.keys, self.moved)
        stood = self.stood[:, at]
        listed = (stood[:, :, 1] > 0).any(axis=0) & self._mine(self.moved)
        steps = {cause: values[:, 0] for cause, values in self.link_steps.items()}
        a, b = self._ends(self.moved)
        known = np.ones(len(self.moved), bool)
        yield self._table("link", a, b, "strength", stood[:, :, 0], (known, known), steps, listed)
        people = np.arange(self.size)
        for place, name in enumerate(PERSON):
            steps = {cause: values[:, place] for cause, values in self.person_steps.items()}
            sides = np.stack([side.values[:, place] for side in self.shown])
            known = self.shown[0].known[:, place], self.shown[1].known[:, place]
            yield self._table("person", people, None, name, sides, known, steps, self.mine)
        if self.held.focus is not None:
            return
        numbers = np.arange(len(self.network_ids))
        there = self.net_shown[0].there | self.net_shown[1].there
        for place, name in enumerate(NETWORK):
            steps = {cause: values[:, place] for cause, values in self.net_steps.items()}
            sides = np.stack([side.values[:, place] for side in self.net_shown])
            known = self.net_shown[0].known[:, place], self.net_shown[1].known[:, place]
            yield self._table("network", numbers, None, name, sides, known, steps, there)
        yield self._memberships()

    def _memberships(self) -> pa.Table:
        """Who came into a network or left one: 1 while in it."""
        was, now = self.member_ends
        person, number = (
            np.concatenate([np.flatnonzero((was != now) & (side >= 0)) for side in (was, now)]),
            np.concatenate([side[(was != now) & (side >= 0)] for side in (was, now)]),
        )
        sides = np.stack([was[person] == number, now[person] == number]).astype(np.int64)
        states = (self.member[:, person] == number).astype(np.int64)
        touched = self.touched[person] | self.net_touched[number]
        every = np.ones(len(person), bool)
        steps, _ = self._settled(states, sides, (every, every), touched, every, "members of networks")
        return self._table("person", person, number, MEMBER, sides, (every, every), steps, every)

    def _table(
        self,
        kind: str,
        a: np.ndarray,
        b: np.ndarray | None,
        figure: str,
        sides: np.ndarray,
        known: tuple[np.ndarray, np.ndarray],
        steps: Mapping[str, np.ndarray],
        listed: np.ndarray,
    ) -> pa.Table:
        """CAUSES of one figure: what changed, what causes offset each other in, and what is withheld on one side."""
        both = known[0] & known[1]
        moved = np.any([value != 0 for cause, value in steps.items() if cause != "disposal"], axis=0)
        moved |= np.where(both, (steps["disposal"] != 0) | (sides[0] != sides[1]), known[0] != known[1])
        at = np.flatnonzero(listed & moved)
        names = self._network_names if kind == "network" else self._names
        other = self._names if kind == "link" else self._network_names
        if not len(at):
            return CAUSES.empty_table()
        columns = [
            pa.array([self.theme] * len(at), pa.string()),
            pa.array([kind] * len(at), pa.string()),
            names(a[at]),
            pa.array([""] * len(at), pa.string()) if b is None else other(b[at]),
            pa.array([figure] * len(at), pa.string()),
            *(pa.array(side[at], mask=~seen[at]) for side, seen in zip(sides, known, strict=True)),
            *(pa.array(steps[c][at], mask=~both[at] if c == "disposal" else None) for c in STEPS),
        ]
        return pa.table(columns, schema=CAUSES)

    def _names(self, at: np.ndarray) -> pa.Array:
        return vault.nominal_ids(self.archive.vault.keys(self.tokens[at]))

    def _network_names(self, numbers: np.ndarray) -> pa.Array:
        return pa.array(self.network_ids[numbers], pa.string())

    def _mine(self, keys: np.ndarray) -> np.ndarray:
        if self.held.focus is None:
            return np.ones(len(keys), bool)
        a, b = self._ends(keys)
        return sets.among(self.tokens[a], self.held.focus) | sets.among(self.tokens[b], self.held.focus)

    def behind(self, changes: pa.Table) -> Iterator[pa.Table]:
        """BEHIND for the links and people in `changes`."""
        for state, (was, now) in enumerate(zip(self.told, self.told[1:], strict=False), start=1):
            cause = self.states[state].cause
            keys, record = (
                np.concatenate([self.told_pairs[state - 1], self.told_pairs[state]]),
                np.concatenate([was.link["record"], now.link["record"]]),
            )
            points = np.concatenate([-was.link["points"], now.link["points"]])
            key, token, amount = _netted(keys, record, points)
            a, b = self._ends(key)
            yield self._told(changes, "link", a, b, "strength", cause, token, amount)
            ends, twice = np.concatenate([a, b]), np.concatenate([token, token])
            person, token, amount = _netted(ends, twice, np.concatenate([amount, amount]))
            yield self._told(changes, "person", person, None, "strength", cause, token, amount)
            people, record = (
                np.concatenate([np.searchsorted(self.tokens, t.count["person"]) for t in (was, now)]),
                np.concatenate([t.count["record"] for t in (was, now)]),
            )
            for place, name in enumerate(COUNTS):
                values = np.concatenate([-was.count["counts"][:, place], now.count["counts"][:, place]])
                person, token, amount = _netted(people, record, values)
                yield self._told(changes, "person", person, None, name, cause, token, amount)

    def _told(
        self,
        changes: pa.Table,
        kind: str,
        a: np.ndarray,
        b: np.ndarray | None,
        figure: str,
        cause: str,
        record: np.ndarray,
        amount: np.ndarray,
    ) -> pa.Table:
        count = len(a)
        if not count:
            return BEHIND.empty_table()
        named = pc.split_pattern(self.archive.vault.keys(record), "\x1f", max_splits=2)
        late = np.zeros(count, np.int64)
        if cause == "new_record":
            happened = self.held.cells(record, "occurred_at")
            late = pc.fill_null(pc.less(happened, self.before_cut_off), False).cast(pa.int64()).to_numpy()
        table = pa.table(
            [
                pa.array([self.theme] * count, pa.string()),
                pa.array([kind] * count, pa.string()),
                self._names(a),
                pa.array([""] * count, pa.string()) if b is None else self._names(b),
                pa.array([figure] * count, pa.string()),
                pa.array([cause] * count, pa.string()),
                *(pc.list_element(named, place) for place in (1, 2)),
                pa.array(amount),
                pa.array(late),
            ],
            schema=BEHIND,
        )
        return table.join(changes.select(_KEY), list(_KEY), join_type="left semi").select(BEHIND.names)


@dataclass(frozen=True, slots=True)
class _Shown:
    """People or networks as a build shows them, by place; `known` is False where a figure is withheld."""

    there: np.ndarray
    marked: np.ndarray
    values: np.ndarray
    known: np.ndarray
    network: np.ndarray


def links_of(snapshot: Snapshot, code: int, focus: np.ndarray | None) -> dict[str, np.ndarray]:
    """Tokens of both people, points and records of every link of a theme that may be shown; and the tokens of its
    records added up. Rows whose figures were put away are not opened."""
    archive, theme = snapshot.archive, THEMES[code - 1]
    index, at = archive.index("link"), _standing(snapshot, "link", theme, focus)
    shown = archive.shown("link", at, case=snapshot.case)
    strength, records = figures.of_links(archive, at[shown])
    found = {"a": index.a[at[shown]], "b": index.b[at[shown]], "strength": strength, "records": records}
    token, owner = index.parents_beside(at[shown])
    mine = archive.index("record").knows(token)  # not the ids by which they knew merged nominals
    found["summed"] = np.zeros(len(strength), np.int64)
    np.add.at(found["summed"], owner[mine], token[mine])
    if not shown.all():  # restricted, or reduced to what is not
        less = snapshot.content("link", at[~shown])
        more = {side: archive.vault.tokens(vault.nominal_keys(_flat(less[side]))) for side in "ab"}
        more |= {name: less[name].to_numpy() for name in ("strength", "records")}
        supports, owner = propagation.unfolded(less)
        more["summed"] = np.zeros(less.num_rows, np.int64)
        names = vault.record_keys(_flat(supports["system"]), _flat(supports["record_id"]))
        np.add.at(more["summed"], owner, archive.vault.tokens(names))
        found = {name: np.concatenate([found[name], more[name]]) for name in found}
    return found


def _people(snapshot: Snapshot, theme: str | None, focus: np.ndarray | None) -> pa.Table:
    """The people's rows of a theme, or of all, with their `token`."""
    content = snapshot.content("nominal", _standing(snapshot, "nominal", theme, focus))
    tokens = snapshot.archive.vault.tokens(vault.nominal_keys(_flat(content["nominal"])))
    return content.append_column("token", pa.array(tokens, pa.int64()))


def _standing(snapshot: Snapshot, table: str, theme: str | None, focus: np.ndarray | None) -> np.ndarray:
    """Positions of the rows of a theme, or of all, that may still be read; with `focus`, those that name one of it."""
    if focus is None:
        return snapshot.standing(table, theme)
    return snapshot.standing_of(table, focus.tolist(), theme)


def _of_theme(told: Figures, code: int, focus: np.ndarray | None) -> Figures:
    here, mine = told.link["theme"] == code, told.count["theme"] == code
    if focus is not None:
        here &= sets.among(told.link["a"], focus) | sets.among(told.link["b"], focus)
        mine &= sets.among(told.count["person"], focus)
    return Figures(
        {name: values[here] for name, values in told.link.items()},
        {name: values[mine] for name, values in told.count.items()},
    )


def _numbered(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All network ids, sorted, and the number of each person's network on both sides, -1 for none."""
    ids = np.unique(np.concatenate([before, after]).astype(object))
    ids = ids[ids != ""]
    sides = [np.where(side == "", -1, np.searchsorted(ids, side)).astype(np.int64) for side in (before, after)]
    return ids, sides[0], sides[1]


def _continued(was: np.ndarray, now: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The earlier networks under the later build's number where they have its very members, and the number of each.

    A network may end and come again under another id in builds between the two: that is no change between them. Where
    another earlier network holds that number and goes on as something else, the earlier number stays.
    """
    inside = np.flatnonzero(was >= 0)
    same = _same_members(np.where(was >= 0, was, count), now, count + 1, count)[:count]
    same[sets.difference(np.arange(count), was[inside])] = -1
    held = sets.distinct(was[inside])
    while True:
        free = same >= 0
        stays = held[~free[held]]
        clash = np.flatnonzero(free & sets.among(same, stays))
        if not len(clash):
            break
        same[clash] = -1
    number = np.where(same >= 0, same, np.arange(count))
    return np.where(was >= 0, np.append(number, -1)[was], -1), number


def _same_members(of: np.ndarray, other: np.ndarray, size: int, count: int) -> np.ndarray:
    """For each of `size` groups that `of` gives, the group of `other` with exactly its members; -1 for none."""
    low, high = np.full(size, count + 1, np.int64), np.full(size, -1, np.int64)
    np.minimum.at(low, of, other)
    np.maximum.at(high, of, other)
    mine = np.bincount(of, minlength=size)
    theirs = np.bincount(other[other >= 0], minlength=count + 2)
    fit = (low == high) & (low >= 0)
    fit &= mine == theirs[np.where(fit, low, -1)]
    return np.where(fit, low, -1)


def _added(points: np.ndarray, record: np.ndarray) -> np.ndarray:
    """What each support adds to its link: (n, 3), points, a record, and that record's token."""
    return np.stack([points, np.ones(len(points), np.int64), record], axis=1)


def _netted(keys: np.ndarray, records: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums by key and record, without those that are 0."""
    order = np.lexsort((records, keys))
    keys, records, values = keys[order], records[order], values[order]
    first = np.ones(len(keys), bool)
    first[1:] = (keys[1:] != keys[:-1]) | (records[1:] != records[:-1])
    sums = np.add.reduceat(values, np.flatnonzero(first)) if len(keys) else values
    some = sums != 0
    return keys[first][some], records[first][some], sums[some]


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column if isinstance(column, pa.Array) else pa.concat_arrays([pa.array([], column.type), *column.chunks])
