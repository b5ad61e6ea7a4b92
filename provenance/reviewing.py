"""What is due for review or disposal in an archive, and the reviews that keep some of it (R40).

The facts are the sources' rows as they stand now: the newest version of each record, and what was withdrawn since, for
past builds still hold it. What was disposed of or is restricted is not asked about any more; but what would have gone
with its last hold, had nothing come in about it since, waits for a review. The rules are in `retention`. An earlier
review moves the day to the one it named, and counts for a person only when it, or others beside it, kept all of their
ids.

Refused: a reason that params do not name, a next review that has passed or is further off than params allow, and a
subject that is not held. A review goes into the log as tokens, a code and a day; nothing that was weighed is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import identity, moments, retention, selection, sets, vault
from provenance.archive import Archive
from provenance.entries import Reviewed, packed, unpacked
from provenance.errors import Malformed, Missing, Refused, shape
from provenance.holding import today, unnamed
from provenance.params import Params
from provenance.retention import Facts, Judgement

Report = Callable[[str, int, int], None]
DUE = pa.schema(
    [("what", pa.string()), ("system", pa.string()), ("id", pa.string()), ("token", pa.int64()), *retention.JUDGED]
)
_SHARE = 200_000  # rows opened at a time


@dataclass(frozen=True, slots=True)
class Subject:
    """A person or a record that somebody names; `system` is "" for a person."""

    what: Literal["nominal", "record"]
    system: str
    id: str

    def token(self, archive: Archive) -> int:
        """What stands for it. Raises Missing where the vault knows no such name."""
        ids = pa.array([self.id], pa.string())
        keys = vault.record_keys(pa.array([self.system]), ids) if self.what == "record" else vault.nominal_keys(ids)
        token = int(archive.vault.tokens(keys)[0])
        if not token:
            raise self.missing()
        return token

    def missing(self) -> Missing:
        """What is said of a subject that is not there."""
        return Missing(
            f"no {self.what} of that id is held: it was never received, has been disposed of, or is restricted"
        )


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something restricted that no hold keeps and that does not go by itself: a person decides."""

    subject: Subject
    since: str  # the instant at which that was found
    next_review: str  # as a review since its restriction said; "" without one


def waiting(archive: Archive) -> list[Waiting]:
    """What is restricted and waits for a review, by subject."""
    history = archive.history
    tokens = sorted(token for token, act in history.restricted.items() if not act.holds)
    found = []
    for token, key in zip(tokens, archive.vault.keys(np.array(tokens, np.int64)).to_pylist(), strict=True):
        kind, *parts = key.split("\x1f")
        subject = Subject("nominal", "", parts[0]) if kind == "n" else Subject("record", *parts)
        reviews = history.reviews[history.known[token][1] :]
        days = [act.next_review for act in reviews if token in unpacked(act.nominals) + unpacked(act.records)]
        found.append(Waiting(subject, history.restricted[token].on, days[-1] if days else ""))
    return sorted(found, key=lambda each: (each.subject.what, each.subject.system, each.subject.id))


class Register:
    """Who and what is held, judged on a day. Made for a subject, it judges only that one on all that belongs to it."""

    def __init__(
        self, archive: Archive, judgement: Judgement, people: np.ndarray, records: np.ndarray, ids: Identities
    ) -> None:
        self._archive, self._judgement = archive, judgement
        self._people, self._records, self._ids = people, records, ids  # tokens, ascending, by row of the judgement

    def lines(self) -> pa.Table:
        """All people and records (DUE), those longest due first."""
        judged, names = self._judgement, self._archive.vault
        keys = names.keys(self._records)
        split = pc.split_pattern(keys, "\x1f")
        nobody = pa.array([""] * len(self._people), pa.string())
        parts = [
            (judged.people, "nominal", nobody, vault.nominal_ids(names.keys(self._people)), self._people),
            (judged.records, "record", pc.list_element(split, 1), pc.list_element(split, 2), self._records),
        ]
        found = pa.concat_tables(
            pa.table([pa.array([what] * len(tokens), pa.string()), system, ids, pa.array(tokens), *table], schema=DUE)
            for table, what, system, ids, tokens in parts
        )
        return found.sort_by([(name, "ascending") for name in ("due", "what", "system", "id")])

    def due(self) -> pa.Table:
        """Those lines whose day has come."""
        lines = self.lines()
        return lines.filter(pc.less_equal(lines["due"], pa.scalar(self._judgement.on, pa.int32()).cast(pa.date32())))

    def line(self, what: str, token: int) -> pa.Table:
        """The line of one subject, under any of their ids. Raises Missing."""
        lines = self.lines()
        own = self._own(what, token)
        return lines.filter(pc.and_(pc.equal(lines["what"], what), pc.equal(lines["token"], own)))

    def explain(self, what: str, token: int) -> list[str]:
        """How the date of a line came about, step by step."""
        own = self._own(what, token)
        if what == "record":
            return self._judgement.explain_record(int(np.searchsorted(self._records, own)))
        return self._judgement.explain_person(int(np.searchsorted(self._people, own)))

    def ids(self, token: int) -> list[int]:
        """Tokens of all ids that were judged to be the same person's."""
        return self._ids.members(np.array([token])).tolist()

    def _own(self, what: str, token: int) -> int:
        known = self._people if what == "nominal" else self._records
        own = int(self._ids.canonical(np.array([token]))[0]) if what == "nominal" else token
        if own not in known:
            raise Subject(what, "", "").missing()
        return own


def register(
    archive: Archive, params: Params, *, on: str, subject: Subject | None = None, report: Report = lambda *_: None
) -> Register:
    """Everything held, judged on the London day `on`; or what `subject` needs, which takes a moment where all takes
    a minute. Raises Missing for a subject that is not held.
    """
    moments.day(on)
    held = _Held(archive)
    if subject is not None:
        if not held.has(subject):
            raise subject.missing()
        held.narrow(*_tokens(archive, subject))
    facts, people = held.facts(report)
    found = Register(archive, Judgement(facts, params, on=on), people, held.tokens, held.ids)
    if subject is not None:
        found.line(subject.what, subject.token(archive))
    return found


def disposable(
    archive: Archive, params: Params, nominals: np.ndarray, records: np.ndarray, *, on: str, restricted: bool = False
) -> np.ndarray:
    """Those of these tokens that the rules dispose of by themselves by the London day `on`; a person under all ids.

    What is restricted is out of view, and so not among them, but with `restricted`.
    """
    held = _Held(archive, restricted=restricted)
    held.narrow(nominals, records)
    facts, people = held.facts(lambda *_: None)
    lines = Register(archive, Judgement(facts, params, on=on), people, held.tokens, held.ids).due()
    asked = np.concatenate([nominals, records])
    going = lines.filter(pc.equal(lines["action"], "dispose"))["token"].to_numpy()
    return asked[sets.among(held.ids.canonical(asked), going)]


def _tokens(archive: Archive, subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """A subject as nominals and records."""
    one, none = np.array([subject.token(archive)]), np.zeros(0, np.int64)
    return (one, none) if subject.what == "nominal" else (none, one)


def retain(
    archive: Archive,
    params: Params,
    subject: Subject,
    *,
    reason: str,
    next_review: str,
    on: str,
    by: str,
    under: str,
) -> Reviewed:
    """Log that `subject`, with all ids of a person, was reviewed and kept; it is due again on the day `next_review`.

    What is restricted may be kept too: it stays out of view, and is not disposed of when its last hold ends.

    Raises Malformed, Refused or Missing, as the module says.
    """
    rules = params.retention.reviews
    if reason not in rules.reasons:
        raise Malformed(f"reason is not in params: found {shape(reason)}, wanted one of {', '.join(rules.reasons)}")
    moments.day(next_review)
    day = today(on)
    last = retention.plus_years(np.array([_number(day)]), rules.longest_years).astype("datetime64[D]")[0]
    if next_review <= day:
        raise Refused(f"next review has passed: found {next_review}, wanted a day after {day}")
    if next_review > str(last):
        raise Refused(
            f"next review is too far off: found {next_review}; params allow {rules.longest_years} years, to {last}"
        )
    with archive.writing():
        held = _Held(archive, restricted=True)
        if not held.has(subject):
            raise subject.missing()
        nominals, records = _tokens(archive, subject)
        if subject.what == "nominal":
            held.narrow(nominals, records)
            facts, people = held.facts(lambda *_: None)
            row = int(np.searchsorted(people, held.ids.canonical(nominals)[0]))
            until = Judgement(facts, params, on=day).keep_until(row)
            if until and next_review > until:
                raise Refused(
                    f"next review is after the age up to which this person is kept: found {next_review}, wanted a day "
                    f"no later than {until}"
                )
        unnamed(archive, [*held.ids.members(nominals).tolist(), *records.tolist()], by, under)
        act = Reviewed(
            on=on,
            by=by,
            under=under,
            nominals=packed(held.ids.members(nominals).tolist()),
            records=packed(records.tolist()),
            reason=reason,
            next_review=next_review,
        )
        archive.append(act)
    return act


class Identities:
    """Which ids are judged one person's now, by token; with `restricted`, by judgements that are out of view too."""

    def __init__(self, archive: Archive, *, restricted: bool = False) -> None:
        index = archive.index("identity")
        at = np.flatnonzero(index.replaced == 0)
        merges = selection.contents(archive, "identity", at[_kept(archive, "identity", restricted)[at]])
        table = identity.resolve(merges).canonical
        own, stands = (
            archive.vault.tokens(vault.nominal_keys(table[name].combine_chunks())) for name in table.column_names
        )
        order = np.argsort(own)
        self._own, self._stands = own[order], stands[order]

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        """The id that stands for the person of each."""
        if not len(self._own):
            return tokens
        at = np.searchsorted(self._own, tokens)
        at[at == len(self._own)] = 0
        return np.where(self._own[at] == tokens, self._stands[at], tokens)

    def members(self, tokens: np.ndarray) -> np.ndarray:
        """All ids of the persons of these, ascending."""
        persons = sets.distinct(self.canonical(tokens))
        return sets.union(persons, self._own[sets.among(self._stands, persons)])


def _kept(archive: Archive, table: str, restricted: bool) -> np.ndarray:
    """For each row of a table, whether it is asked: it is in view, or alive where what is `restricted` is asked too."""
    index = archive.index(table)
    return index.died == 0 if restricted else archive.shown(table, np.arange(len(index)))


class _Held:
    """Which rows of the sources are asked: positions of records, of involvements, and of what is said of people."""

    def __init__(self, archive: Archive, *, restricted: bool = False) -> None:
        self._archive, self.ids = archive, Identities(archive, restricted=restricted)
        record, part, person = (archive.index(table) for table in ("record", "involvement", "person"))
        shown = {i.table: _kept(archive, i.table, restricted) for i in (record, part, person)}
        current = np.flatnonzero((record.replaced == 0) & shown["record"])
        # A withdrawn record has its last version marked replaced, and nothing in its place; so have its involvements.
        former = np.flatnonzero((record.replaced != 0) & shown["record"])
        former = former[~sets.among(record.a[former], record.a[current])]
        former = former[::-1][np.unique(record.a[former][::-1], return_index=True)[1]]
        positions = np.concatenate([current, former])
        self._records = positions[np.argsort(record.a[positions])]
        self.tokens = record.a[self._records]
        left = record.replaced[self._records]
        owned = np.flatnonzero(shown["involvement"])
        at = np.searchsorted(self.tokens, part.a[owned])
        at[at == len(self.tokens)] = 0
        known = self.tokens[at] == part.a[owned] if len(self.tokens) else np.zeros(len(owned), bool)
        self._parts = owned[known][part.replaced[owned[known]] == left[at[known]]]
        self._persons = np.flatnonzero((person.replaced == 0) & shown["person"])

    def has(self, subject: Subject) -> bool:
        """Whether anything is asked about this subject."""
        token = subject.token(self._archive)
        if subject.what == "record":
            return token in self.tokens
        own = self.ids.members(np.array([token]))
        involved = sets.among(self._archive.index("involvement").b[self._parts], own).any()
        return bool(involved or sets.among(self._archive.index("person").a[self._persons], own).any())

    def narrow(self, nominals: np.ndarray, records: np.ndarray) -> None:
        """Keep what decides about these: their records, everyone in them, and all records of those."""
        part = self._archive.index("involvement")
        own = self.ids.members(nominals)
        near = sets.union(records, part.a[self._parts[sets.among(part.b[self._parts], own)]])
        people = sets.union(own, self.ids.members(part.b[self._parts[sets.among(part.a[self._parts], near)]]))
        self._parts = self._parts[sets.among(part.b[self._parts], people)]
        kept = sets.among(self.tokens, sets.union(near, part.a[self._parts]))
        self._records, self.tokens = self._records[kept], self.tokens[kept]
        self._persons = self._persons[sets.among(self._archive.index("person").a[self._persons], people)]

    def facts(self, report: Report) -> tuple[Facts, np.ndarray]:
        """What `retention` judges, and the tokens of the people by row. The records' are `tokens`."""
        part, person = self._archive.index("involvement"), self._archive.index("person")
        named = sets.union(part.b[self._parts], person.a[self._persons])
        people = sets.distinct(self.ids.canonical(named))
        parts = pa.table(
            [
                pa.array(np.searchsorted(self.tokens, part.a[self._parts])),
                pa.array(np.searchsorted(people, self.ids.canonical(part.b[self._parts]))),
                self._read("involvement", self._parts, ("role",), report)["role"],
            ],
            schema=retention.PARTS,
        )
        return Facts(self._people(named, people, report), self._facts_of_records(report), parts), people

    def _facts_of_records(self, report: Report) -> pa.Table:
        index = self._archive.index("record")
        content = self._read("record", self._records, ("kind", "occurred_at", "mopi_group", "status"), report)
        cut_offs = ["", *(held.cut_off for held in self._archive.history.extracts)]
        days = pa.array([date.fromisoformat(today(at)) if at else None for at in cut_offs], pa.date32())
        kept = _latest_reviews(self.tokens, [(act.records, act.next_review) for act in self._archive.history.reviews])
        columns = [
            content["kind"],
            london_days(content["occurred_at"]),
            content["mopi_group"],
            content["status"],
            days.take(pa.array(index.replaced[self._records])),
            _dates(kept),
        ]
        return pa.table(columns, schema=retention.RECORDS)

    def _people(self, named: np.ndarray, people: np.ndarray, report: Report) -> pa.Table:
        index = self._archive.index("person")
        content = self._read("person", self._persons, ("born", "is_child"), report)
        row = np.searchsorted(people, self.ids.canonical(index.a[self._persons]))
        said = pc.not_equal(content["born"], "")
        born = np.full(len(people), _NEVER)  # of two dates the later one: it keeps for longer, and treats as a child
        known = _numbers(content["born"].filter(said).cast(pa.date32()))
        np.maximum.at(born, row[said.to_numpy().astype(bool)], known)
        child = np.zeros(len(people), bool)
        child[row[pc.equal(content["is_child"], "1").to_numpy().astype(bool)]] = True
        reviews = [(act.nominals, act.next_review) for act in self._archive.history.reviews]
        mine, at = _latest_reviews(named, reviews), np.searchsorted(people, self.ids.canonical(named))
        first, some, every = np.full(len(people), -_NEVER), np.zeros(len(people), bool), np.ones(len(people), bool)
        np.minimum.at(first, at[mine != _NEVER], mine[mine != _NEVER])
        some[at[mine != _NEVER]] = True
        every[at[mine == _NEVER]] = False
        columns = [
            _dates(born),
            pa.array(child),
            _dates(np.where(some & every, first, _NEVER)),
            pa.array(some & ~every),
        ]
        return pa.table(columns, schema=retention.PEOPLE)

    def _read(self, table: str, positions: np.ndarray, columns: tuple[str, ...], report: Report) -> pa.Table:
        """Columns of rows, opened a share at a time, so that memory holds little of what nobody asked for."""
        shares = [positions[start : start + _SHARE] for start in range(0, len(positions), _SHARE)] or [positions]
        read = []
        for done, share in enumerate(shares):
            report(f"Reading {_NAMES[table]}", done, len(shares))
            read.append(selection.contents(self._archive, table, share).select(columns))
        report(f"Reading {_NAMES[table]}", len(shares), len(shares))
        return pa.concat_tables(read)


_NAMES = {"record": "records", "involvement": "roles", "person": "people"}
_NEVER = -(2**30)  # a number of days before any


def london_days(when: pa.ChunkedArray) -> pa.ChunkedArray:
    """The London day of each date or UTC moment (as records have them), date32."""
    text = pc.utf8_slice_codeunits(when, 0, 10)
    hour = pc.utf8_slice_codeunits(when, 0, 13)
    late = pc.match_substring_regex(hour, "T2[23]$")  # London is never more than two hours ahead of UTC
    hours = pc.unique(hour.filter(late))
    shifted = pa.array([today(f"{each}:00:00Z") for each in hours.to_pylist()], pa.string())
    return pc.coalesce(shifted.take(pc.index_in(hour, value_set=hours)), text).cast(pa.date32())


def _latest_reviews(tokens: np.ndarray, reviews: list[tuple[str, str]]) -> np.ndarray:
    """The day that the last review of each token named, _NEVER without one."""
    found = np.full(len(tokens), _NEVER)
    for kept, day in reviews:  # acts of people: an entry may hold thousands of tokens, and there are few entries
        if kept:
            found[sets.among(tokens, np.array(unpacked(kept), np.int64))] = _number(day)
    return found


def _number(day: str) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def _numbers(days: pa.ChunkedArray) -> np.ndarray:
    return days.cast(pa.int32()).to_numpy().astype(np.int64)


def _dates(days: np.ndarray) -> pa.Array:
    return pa.array(np.where(days == _NEVER, 0, days).astype(np.int32), mask=days == _NEVER).cast(pa.date32())
