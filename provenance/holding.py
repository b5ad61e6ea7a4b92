"""Holds placed, moved on and released; and which of them reach a nominal or a record.

A row dies with any of its parents, so a hold protects rows, and with them every parent they have: what it names, the
same person under other ids, and whatever shares a row with those. Refused: a hold of nothing, or without a near review;
a release before the day that the law sets (Code of Practice under CPIA 1996, see `holds`); the word of one person that
their own hold was a mistake. Ids are turned into tokens here, and no message repeats one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import holds, identity, moments, sets, staff, vault
from provenance.archive import Archive
from provenance.entries import TOKENS_AT_MOST, Happening, Held, NetworkScope, Progressed, Released, packed
from provenance.errors import Conflict, Malformed, Missing, Refused, shape
from provenance.history import History
from provenance.holds import Earliest, Hold
from provenance.index import Index
from provenance.networks import components
from provenance.params import Basis, Params
from provenance.records import THEMES


def place(
    archive: Archive,
    params: Params,
    *,
    case: str,
    basis: str,
    review_on: str,
    nominals: Sequence[str] = (),
    records: Sequence[tuple[str, str]] = (),
    networks: Sequence[str] = (),
    first_day: str = "",
    last_day: str = "",
    everything: bool = False,
    events: Iterable[Happening] = (),
    on: str,
    by: str,
    under: str,
    draw: Callable[[int], bytes] = os.urandom,
) -> Hold:
    """Hold what is named for `case`: people by id, records by system and id, networks by id in any build, records that
    occurred from `first_day` to `last_day` in London, or all there is.

    Raises Malformed, Missing for what the archive has not, and Refused when the review is further off than params say.
    """
    events = tuple(events)
    with archive.writing():
        _check_scope(nominals, records, networks, first_day, last_day, everything)
        _check_review(params, review_on, on)
        _check_events(params, basis, events, on)
        _check_networks(archive, networks)
        hold = draw(8).hex()
        first, later = _parted(events)
        people = _tokens(archive, "nominal", vault.nominal_keys(pa.array(nominals, pa.string())))
        crimes = _tokens(archive, "record", _record_keys(records))
        act = Held(
            on=on, by=by, under=under, hold=hold, case=case, basis=basis,
            nominals=packed(people),
            records=packed(crimes),
            networks=tuple(NetworkScope(network=network) for network in sorted(set(networks))),
            first_day=first_day, last_day=last_day, everything=int(everything), review_on=review_on, events=first,
        )  # fmt: skip
        unnamed(archive, [*people, *crimes], case, by, under, hold=Hold.placed(act))
        archive.append(act, *_moved_on(hold, later, review_on, on=on, by=by, under=under))
        return archive.history.holds[hold]


def progress(
    archive: Archive,
    params: Params,
    hold: str,
    *,
    events: Iterable[Happening] = (),
    review_on: str = "",
    on: str,
    by: str,
    under: str,
) -> Hold:
    """Enter what happened in the case, set another review ("": as it was), or both.

    Raises Missing for a hold that is not there, Conflict for one that was released, Malformed for an event that cannot
    be, Refused for a review too far off.
    """
    events = tuple(events)
    with archive.writing():
        held = _standing(archive, hold)
        if not events and not review_on:
            raise Malformed(f"hold {hold} is left as it is: wanted an event or another review")
        if review_on:
            _check_review(params, review_on, on)
        _check_events(params, held.basis, (*held.events, *events), on)
        unnamed(archive, (*held.nominals, *held.records), by, under, hold=held)
        first, later = _parted(events)
        moved = [first, *later] if first else [()]
        archive.append(*_moved_on(hold, moved, review_on or held.review_on, on=on, by=by, under=under))
        return archive.history.holds[hold]


def release(archive: Archive, params: Params, hold: str, *, reason: str, on: str, by: str, under: str) -> Hold:
    """End a hold, for one of `holds.REASONS`. What waited for it is disposed of by `disposal.finish`, not here.

    Raises Missing, Conflict for one that was released before, Malformed for a reason that the basis does not know, and
    Refused: before the day of the table, when no other hold holds as much for as long, or when nobody else says it was
    an error.
    """
    with archive.writing():
        held = _standing(archive, hold)
        day = today(on)
        earliest = earliest_release(params, held, on)
        if reason not in holds.REASONS:
            raise Malformed(
                f"reason is not one for a release: found {shape(reason)}, wanted {', '.join(holds.REASONS)}"
            )
        if reason == "decided" and earliest:
            raise Refused(
                f"hold {hold} is not released by decision: basis {held.basis} has a table, reason period-ended"
            )
        if reason == "period-ended":
            _check_period(params, held, earliest, day)
        if reason == "superseded" and not any(
            other.stands and other.id != hold and _supersedes(params, other, held)
            for other in archive.history.holds.values()
        ):
            raise Refused(
                f"hold {hold} is not superseded: wanted a standing hold of case {held.case} of all it names, under "
                f"basis {held.basis} or one that keeps as long, with all {len(held.events)} of its events"
            )
        if reason == "placed-in-error" and staff.is_same(by, held.by):
            raise Refused(
                f"hold {hold} was placed by the person who calls it an error: wanted the word of another, in a name "
                "with letters of one script"
            )
        unnamed(archive, (*held.nominals, *held.records), by, under, hold=held)
        archive.append(
            Released(on=on, by=by, under=under, hold=hold, earliest=earliest.day if earliest else "", reason=reason)
        )
        return archive.history.holds[hold]


def unnamed(archive: Archive, tokens: Iterable[int], *texts: str, hold: Hold | None = None) -> None:
    """Raises Malformed where one of `texts` has the id of one of these in it as a word, in whatever case; or, with
    `hold`, of what that names by its networks, by its days, or by everything.

    Who does what under which authority for which case stays in the log for good, and would outlive the disposal.
    """
    said = archive.vault.named({word for text in texts for word in _words(text)})
    about = np.array(sorted(set(tokens)), np.int64)
    if hold is not None and len(said):
        about = said if hold.everything else sets.union(about, _held(archive, [hold], _by_kind(archive, said)).token)
    if sets.among(said, about).any():
        raise Malformed(
            "text of an act has an id in it that the act is about: the log keeps it for good, wanted others"
        )


def is_word(id: str, text: str) -> bool:
    """Whether `text` has `id` in it and not merely as a part of a longer word, in whatever case."""
    id, text = id.casefold(), text.casefold()
    return id in text and re.search(rf"(?<!\w){re.escape(id)}(?!\w)", text) is not None


def _words(text: str) -> set[str]:
    """All that `is_word` would find in a text, casefolded: whatever begins and ends where a word may."""
    text = text.casefold()
    inner = [False, *(re.match(r"\w", character) is not None for character in text), False]
    starts = [at for at in range(len(text)) if not inner[at]]
    ends = [at for at in range(1, len(text) + 1) if not inner[at + 1]]
    return {text[start:end] for start in starts for end in ends if start < end}


def earliest_release(params: Params, hold: Hold, on: str) -> Earliest | None:
    """From which day on the table lets go of a hold; None where its basis has no table. See `holds`."""
    if basis_of(params, hold.basis).ends_by == "decision":
        return None
    return holds.earliest_release(hold.events, today(on), params.holds.table)


def overdue(history: History, on: str) -> list[Hold]:
    """Standing holds whose day of review has passed, the longest overdue first."""
    day = today(on)
    late = (hold for hold in history.holds.values() if hold.stands and hold.review_on < day)
    return sorted(late, key=lambda hold: hold.review_on)


def today(on: str) -> str:
    """The London day of an instant, or the day that `on` is."""
    return on if moments.is_date(on) else moments.instant(on).astimezone(moments.LONDON).date().isoformat()


def _standing(archive: Archive, hold: str) -> Hold:
    held = archive.history.holds.get(hold)
    if held is None:
        raise Missing(f"no hold of that id: found {shape(hold)}; `provenance hold list` has them")
    if not held.stands:
        raise Conflict(f"hold {hold} was released on {held.released_on}: wanted one that stands")
    return held


def basis_of(params: Params, basis: str) -> Basis:
    """What params say of a basis. Raises Malformed where they have none of that code."""
    try:
        return params.holds.bases[basis]
    except KeyError:
        known = ", ".join(sorted(params.holds.bases))
        raise Malformed(f"basis is not in params: found {shape(basis)}, wanted one of {known}") from None


def _supersedes(params: Params, hold: Hold, before: Hold) -> bool:
    """Whether `hold` keeps for the case of `before` all that it kept, and no shorter.

    A basis that ends by decision keeps for as long as somebody likes: in the place of the table it would let one person
    end what the law keeps. All bases that end by the table share one, so with the same events they keep as long.
    """
    same = hold.basis == before.basis
    by_table = all(basis_of(params, each.basis).ends_by == "table" for each in (hold, before))
    return hold.case == before.case and (same or by_table) and hold.covers(before)


def _check_scope(
    nominals: Sequence[str],
    records: Sequence[tuple[str, str]],
    networks: Sequence[str],
    first_day: str,
    last_day: str,
    everything: bool,
) -> None:
    for end in (first_day, last_day):
        if end:
            moments.day(end)
    if bool(first_day) != bool(last_day) or first_day > last_day:
        raise Malformed(
            f"days of a hold are no range: found {first_day or 'no first'} to {last_day or 'no last'}, wanted both, "
            "in order"
        )
    named = bool(nominals or records or networks or first_day)
    if everything and named:
        raise Malformed("hold on everything names something too: wanted one or the other")
    if not everything and not named:
        raise Malformed("hold names nothing: wanted nominals, records, networks, days, or everything")
    if len(set(nominals)) + len(set(records)) > TOKENS_AT_MOST:
        raise Malformed(
            f"hold names too much: found {len(set(nominals)) + len(set(records)):,} nominals and records, wanted at "
            f"most {TOKENS_AT_MOST:,}; place several, or hold a network or days"
        )


def _check_review(params: Params, review_on: str, on: str) -> None:
    moments.day(review_on)
    day, most = today(on), params.holds.review_at_most_days
    last = (date.fromisoformat(day) + timedelta(days=most)).isoformat()
    if review_on <= day:
        raise Malformed(f"review of a hold has passed: found {review_on}, wanted a day after {day}")
    if review_on > last:
        raise Refused(f"review of a hold is too far off: found {review_on}; params allow {most} days, to {last}")


def _check_events(params: Params, basis: str, events: Sequence[Happening], on: str) -> None:
    if basis_of(params, basis).ends_by == "table":
        holds.earliest_release(events, today(on), params.holds.table)
    elif events:
        raise Malformed(f"basis {basis} has no table: found {len(events)} event(s), wanted none")


def _check_period(params: Params, hold: Hold, earliest: Earliest | None, day: str) -> None:
    if earliest is None:
        raise Malformed(f"basis {hold.basis} has no table: found reason period-ended, wanted decided")
    if not earliest.day or day < earliest.day:
        step = next(step for step in earliest.steps if step.state == earliest.state)
        row = params.holds.table.rows[earliest.state]
        when = f"before {earliest.day}" if earliest.day else "yet"
        raise Refused(
            f"hold {hold.id} may not be released {when}: case {hold.case} is in the state {earliest.state}, kept until "
            f"{row.keep_until} ({step.source}). {step.words}"
        )


def _check_networks(archive: Archive, networks: Sequence[str]) -> None:
    if not networks:
        return
    index = archive.index("network")
    content = archive.sealer.open("network", index.rows(np.flatnonzero(index.died == 0)))
    unknown = sum(network not in set(content["network"].to_pylist()) for network in set(networks))
    if unknown:
        raise Missing(f"no build has a network of that id: {unknown} of the {len(set(networks))} networks named")


def _record_keys(records: Sequence[tuple[str, str]]) -> pa.Array:
    systems, ids = zip(*records, strict=True) if records else ((), ())
    return vault.record_keys(pa.array(systems, pa.string()), pa.array(ids, pa.string()))


def _tokens(archive: Archive, what: str, keys: pa.Array) -> list[int]:
    tokens = archive.vault.tokens(keys)
    if not tokens.all():
        lacking = [str(place) for place in np.flatnonzero(tokens == 0) + 1]
        raise Missing(
            f"no {what} of that id is held: number {', '.join(lacking)} of the {len(tokens)} named; it was never "
            "received, or has been disposed of"
        )
    return tokens.tolist()


def _parted(events: Iterable[Happening]) -> tuple[tuple[Happening, ...], list[tuple[Happening, ...]]]:
    """Events in as many acts as one of them occurs times, since an act names each but once; the first, and the rest."""
    times: dict[str, int] = {}
    acts: list[list[Happening]] = [[]]
    for happening in holds.in_order(events):
        at = times[happening.event] = times.get(happening.event, -1) + 1
        if at == len(acts):
            acts.append([])
        acts[at].append(happening)
    first, *later = map(tuple, acts)
    return first, later


def _moved_on(
    hold: str, acts: Iterable[tuple[Happening, ...]], review_on: str, *, on: str, by: str, under: str
) -> list[Progressed]:
    return [Progressed(on=on, by=by, under=under, hold=hold, events=act, review_on=review_on) for act in acts]


# ---- reach -----------------------------------------------------------------------------------------------------------

# Why a hold reaches something, the nearest reason first.
_EVERYTHING, _NAMED, _NETWORK, _DAYS, _SAME = range(5)
_DIRECT = (
    "all that the archive has is held",
    "is named in the hold",
    "was in a network that is held",
    "occurred in the days that are held",
    "is the same person as a nominal that is held",
)
# The tables whose rows have several parents, by what is reached, and what it shares the row with.
_SHARED = {
    "involvement": {
        ("nominal", "record"): "is in a record that is held",
        ("record", "nominal"): "has a held nominal in it",
    },
    "link": {
        ("nominal", "nominal"): "shares a record with a held nominal",
        ("nominal", "record"): "has a link that rests on a held record",
        ("record", "nominal"): "is behind a link of a held nominal",
        ("record", "record"): "is behind a link together with a held record",
    },
    "identity": {
        ("nominal", "nominal"): "was compared with a held nominal, as to who is who",
    },
}
_WORDS = (*_DIRECT, *(words for pairs in _SHARED.values() for words in pairs.values()))


@dataclass(frozen=True, slots=True)
class Reach:
    """A standing hold that reaches a nominal or record, and why."""

    token: int
    hold: str
    case: str
    words: str  # such as: held for case 24/0113: shares a record with a held nominal


def holds_on(archive: Archive, nominals: np.ndarray, records: np.ndarray) -> dict[int, tuple[str, ...]]:
    """The standing holds that reach each of these tokens, by id in the order placed; tokens that none reaches are left
    out.
    """
    standing, found = _reach(archive, nominals, records)
    pairs = zip(found.token.tolist(), found.hold.tolist(), strict=True)
    return {token: tuple(standing[hold].id for _, hold in of) for token, of in groupby(pairs, key=lambda pair: pair[0])}


def why_held(archive: Archive, nominals: np.ndarray, records: np.ndarray) -> list[Reach]:
    """The same with a reason for each, by token, then in the order in which the holds were placed."""
    standing, found = _reach(archive, nominals, records)
    return [
        Reach(token, standing[hold].id, standing[hold].case, f"held for case {standing[hold].case}: {_WORDS[why]}")
        for token, hold, why in zip(*(part.tolist() for part in (found.token, found.hold, found.why)), strict=True)
    ]


def _reach(archive: Archive, nominals: np.ndarray, records: np.ndarray) -> tuple[Sequence[Hold], _Pairs]:
    """Holds that stand, and which of them reach which tokens, each once and in order."""
    standing = [hold for hold in archive.history.holds.values() if hold.stands]
    asked = sets.distinct(np.concatenate([nominals, records]).astype(np.int64))
    asked = asked[archive.vault.retained(asked) & (asked != vault.ARCHIVE_TOKEN)]
    if not standing or not len(asked):
        return standing, _Pairs.none()
    near = {table: _Near.of(archive.index(table), asked) for table in _SHARED}
    tokens = sets.distinct(np.concatenate([asked, *(shared.token for shared in near.values())]))
    of_kind = _by_kind(archive, tokens)
    held = _held(archive, standing, of_kind)

    inquiry = np.array([place for place, hold in enumerate(standing) if hold.everything], np.int64)
    found = _Pairs(np.repeat(asked, len(inquiry)), np.tile(inquiry, len(asked)), _EVERYTHING)
    found = found.joined_by(held.among(asked))
    for table, kinds in _SHARED.items():
        for (mine, theirs), words in kinds.items():
            through = near[table].reached(held.among(of_kind[theirs]), sets.intersection(asked, of_kind[mine]))
            found = found.joined_by(_Pairs(*through, _WORDS.index(words)))
    return standing, found.nearest()


def _by_kind(archive: Archive, tokens: np.ndarray) -> dict[str, np.ndarray]:
    is_record = pc.starts_with(archive.vault.keys(tokens), "r").to_numpy(zero_copy_only=False)
    return {"record": tokens[is_record], "nominal": tokens[~is_record]}


class _Pairs:
    """Tokens, the place of a hold that reaches each, and why: parallel arrays, with repeats and in no order."""

    def __init__(self, token: np.ndarray, hold: np.ndarray, why: np.ndarray | int) -> None:
        self.token, self.hold, self.why = token, hold, np.broadcast_to(why, len(token))

    @classmethod
    def none(cls) -> _Pairs:
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), 0)

    def joined_by(self, other: _Pairs) -> _Pairs:
        parts = zip((self.token, self.hold, self.why), (other.token, other.hold, other.why), strict=True)
        return _Pairs(*map(np.concatenate, parts))

    def among(self, tokens: np.ndarray) -> _Pairs:
        mine = sets.among(self.token, tokens)
        return _Pairs(self.token[mine], self.hold[mine], self.why[mine])

    def nearest(self) -> _Pairs:
        """Each token and hold once, for the nearest reason, in order."""
        order = np.lexsort((self.why, self.hold, self.token))
        token, hold, why = self.token[order], self.hold[order], self.why[order]
        first = np.ones(len(token), bool)
        first[1:] = (token[1:] != token[:-1]) | (hold[1:] != hold[:-1])
        return _Pairs(token[first], hold[first], why[first])


@dataclass(frozen=True, slots=True)
class _Near:
    """The rows of a table that have something asked about among their parents, with all their parents."""

    row: np.ndarray  # place of a row, repeated for each of its parents
    token: np.ndarray

    @classmethod
    def of(cls, index: Index, asked: np.ndarray) -> _Near:
        at = index.reached(asked)
        counts = index.ends[at + 1] - index.ends[at]
        behind = np.repeat(index.ends[at] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        row = np.concatenate([np.arange(len(at)), np.arange(len(at)), np.repeat(np.arange(len(at)), counts)])
        token = np.concatenate([index.a[at], index.b[at], index.others[behind]])
        return cls(row[token != 0], token[token != 0])

    def reached(self, held: _Pairs, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of `asked` that share a row with what is held, and the places of the holds."""
        parent, by = _matches(self.token, held.token)
        rows_held = np.unique(np.stack([self.row[parent], held.hold[by]], axis=1), axis=0)
        mine = np.flatnonzero(sets.among(self.token, asked))
        parent, by = _matches(self.row[mine], rows_held[:, 0])
        return self.token[mine[parent]], rows_held[by, 1]


def _matches(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of places at which the two hold the same value."""
    order = np.argsort(right, kind="stable")
    low, high = (np.searchsorted(right[order], left, side) for side in ("left", "right"))
    counts = high - low
    places = np.repeat(low - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    return np.repeat(np.arange(len(left)), counts), order[places]


def _held(archive: Archive, standing: Sequence[Hold], of_kind: Mapping[str, np.ndarray]) -> _Pairs:
    """What each hold is on: what it names, wherever that is, and of these tokens what its networks and days take in."""
    named = [(token, place) for place, hold in enumerate(standing) for token in (*hold.nominals, *hold.records)]
    token, place = np.array(named, np.int64).reshape(-1, 2).T
    member, person = _persons(archive, sets.union(of_kind["nominal"], token))
    held = _Pairs(token, place, _NAMED)
    held = held.joined_by(_in_networks(archive, standing, of_kind["nominal"], member, person))
    # The same person under other ids: whoever is in a person that someone held is in.
    one, by = _matches(held.token, member)
    other, of = _matches(person[by], person)
    return held.joined_by(_Pairs(member[of], held.hold[one[other]], _SAME)).joined_by(
        _on_days(archive, standing, of_kind["record"])
    )


def _persons(archive: Archive, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids that some build, or the sources by now, judged to be one person: tokens, and a number for each such person.

    Only of persons who may have one of `tokens` among their ids; a token is in as many as judgements have put it into.
    """
    index = archive.index("identity")
    merges = np.flatnonzero((index.died == 0) & (index.b != 0))
    nodes, ends = np.unique(np.concatenate([index.a[merges], index.b[merges]]), return_inverse=True)
    part = components(*np.split(ends.astype(np.int64), 2), len(nodes)) if len(nodes) else nodes
    judged = nodes[sets.among(part, part[sets.among(nodes, tokens)])]
    at = np.flatnonzero((index.died == 0) & sets.among(index.a, judged))
    content = archive.sealer.open("identity", index.rows(at))
    taken = [sets.among(at, index.standing(built.number)) for built in archive.history.builds]
    members, persons, seen = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.int64)], []
    for state in [*taken, index.replaced[at] == 0]:
        if any(np.array_equal(state, earlier) for earlier in seen[-1:]):
            continue
        seen.append(state)
        table = identity.resolve(content.filter(pa.array(state))).canonical
        ids = [archive.vault.tokens(vault.nominal_keys(table[name].combine_chunks())) for name in table.column_names]
        for member in ids:  # the one who stands for a person is among them
            members.append(member)
            persons.append(np.stack([ids[1], np.full(len(member), len(seen))], axis=1))
    _, person = np.unique(np.concatenate(persons), axis=0, return_inverse=True)
    return np.concatenate(members), person.ravel()


def _in_networks(
    archive: Archive, standing: Sequence[Hold], nominals: np.ndarray, member: np.ndarray, person: np.ndarray
) -> _Pairs:
    """Which of these nominals, or of the same persons, were in a network that a hold names, in any build."""
    scopes = [(network, place) for place, hold in enumerate(standing) for network in hold.networks]
    if not scopes:
        return _Pairs.none()
    alike = member[sets.among(person, person[sets.among(member, nominals)])]
    index = archive.index("nominal")
    themes = [THEMES.index(network.split("-")[0]) + 1 for network, _ in scopes]
    near = sets.among(index.a, sets.union(nominals, alike)) & sets.among(index.theme, themes)
    at = np.flatnonzero(near & (index.died == 0))
    names = archive.sealer.open("nominal", index.rows(at))["network"]
    token, place = [], []
    for network, hold in scopes:
        inside = sets.distinct(index.a[at[pc.equal(names, network).to_numpy()]])
        token.append(inside)
        place.append(np.full(len(inside), hold, np.int64))
    return _Pairs(np.concatenate(token), np.concatenate(place), _NETWORK)


def _on_days(archive: Archive, standing: Sequence[Hold], records: np.ndarray) -> _Pairs:
    """Which of these records occurred, by any of their versions, on the days of a hold, in London."""
    ranges = [(hold, place) for place, hold in enumerate(standing) if hold.first_day]
    if not ranges:
        return _Pairs.none()
    index = archive.index("record")
    at = np.flatnonzero(sets.among(index.a, records) & (index.died == 0))
    when = archive.sealer.open("record", index.rows(at))["occurred_at"]
    timed = pc.greater(pc.utf8_length(when), len(moments.WANTED_DAY))
    token, place = [], []
    for hold, number in ranges:
        start, end = moments.day(hold.first_day)[0], moments.day(hold.last_day)[1]
        on_day = pc.and_(pc.greater_equal(when, hold.first_day), pc.less_equal(when, hold.last_day))
        at_time = pc.and_(pc.greater_equal(when, moments.utc(start)), pc.less(when, moments.utc(end)))
        inside = sets.distinct(index.a[at[pc.if_else(timed, at_time, on_day).to_numpy()]])
        token.append(inside)
        place.append(np.full(len(inside), number, np.int64))
    return _Pairs(np.concatenate(token), np.concatenate(place), _DAYS)
