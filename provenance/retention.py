"""How long people and records are kept: when each is due for review or disposal, and by which rule (R40).

A person is judged over the whole of their record, in all systems and under all ids that were judged to be theirs. The
strictest group of the records in which they came to notice governs; its years are counted from the last day on which
they did, and an event as victim or witness does not count. Who never came to notice goes with the records they are in.

A record is due when its own years have passed and nobody who came to notice in it is still to be kept. Without such a
person (an undetected crime, a missing episode) its own years decide; intelligence and prison releases are kept also for
those in them who came to notice elsewhere. What its source withdrew is due from then on.

Pure: no file, no clock, no ids. All people and records are judged at once, in columns; the explanation of a date is
built for the one line that asks. A doubt is never settled by disposing: no group, a child, a record that still needs
the person, or an earlier review that kept it, and the line says review.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import sets
from provenance.params import ChildRule, Instrument, Params, Retention
from provenance.records import MOPI_GROUPS

PEOPLE = pa.schema(
    [
        ("born", pa.date32()),  # null where nobody recorded it
        ("child", pa.bool_()),  # the sources say so; matters only without a birth date
        ("reviewed", pa.date32()),  # when a review that kept this person said to look again; null without one
        ("partly_reviewed", pa.bool_()),  # reviews kept some of this person's ids and not all: none of them counts
    ]
)
RECORDS = pa.schema(
    [
        ("kind", pa.string()),
        ("day", pa.date32()),  # of the event, in London
        ("group", pa.string()),  # "" where the source named none
        ("status", pa.string()),
        ("withdrawn", pa.date32()),  # when the source ceased to hand it over; null while it does
        ("reviewed", pa.date32()),
    ]
)
PARTS = pa.schema([("record", pa.int64()), ("person", pa.int64()), ("role", pa.string())])  # rows of the two above

JUDGED = pa.schema(
    [
        ("group", pa.string()),  # that governs; "" for a record without one
        ("last", pa.date32()),  # a person's last day of coming to notice, null for never; a record's event
        ("due", pa.date32()),
        ("action", pa.string()),  # review or dispose
        ("rule", pa.string()),  # that decided the date: one of RULES
    ]
)
RULES = (
    "", "group-1", "group-2", "group-3", "group-4", "age", "under-10", "under-18", "with-its-records", "withdrawn",
    "no-record", "kept-by-review",
)  # fmt: skip
_AGE, _UNDER_10, _UNDER_18, _WITH_RECORDS, _WITHDRAWN, _NO_RECORD, _REVIEWED = range(5, 12)
_NONE = -(2**40)  # no day; earlier than any, so that the later of two days is the one there is
_RANK = 16  # more than there are rules: a day and its rule in one number


@dataclass(frozen=True, slots=True)
class Facts:
    """What is held, as parallel columns. A part says that a person had a role in a record, both by their rows."""

    people: pa.Table  # PEOPLE
    records: pa.Table  # RECORDS
    parts: pa.Table  # PARTS


def source(rule: str, group: str, rules: Retention) -> Instrument:
    """Which instrument says a rule of RULES, for someone whom `group` governs."""
    if rule == "age":
        return rules.groups[group]
    if rule.startswith("group-"):
        return rules.groups[rule.removeprefix("group-")]
    return {
        "under-10": rules.under_10,
        "under-18": rules.under_18,
        "with-its-records": rules.groups["4"],
        "withdrawn": rules.withdrawn,
        "no-record": rules.no_record,
        "kept-by-review": rules.reviews,
    }[rule]


def says(rule: str, group: str, rules: Retention) -> str:
    """A rule of RULES in a sentence."""
    if rule.startswith("group-"):
        of = rules.groups[rule.removeprefix("group-")]
        return f"{of.covers}: {_years(of.clear_years)} clear, then {_THEN[of.action]}."
    return {
        "age": f"Kept until the age of {rules.groups[group or '1'].keep_to_age}, then disposal.",
        "under-10": _of_child(rules.under_10),
        "under-18": _of_child(rules.under_18),
        "with-its-records": "Who never came to notice goes with the records they are in.",
        "withdrawn": f"Withdrawn by its source: {_after(rules.withdrawn.years)}{_THEN[rules.withdrawn.action]}.",
        "no-record": f"In no record that is held: {_THEN[rules.no_record.action]}.",
        "kept-by-review": "A review kept it and named the day of the next one.",
    }[rule]


def _of_child(rule: ChildRule) -> str:
    return f"Younger than {rule.under_age} when last noticed: {_years(rule.at_most_years)}, then {_THEN[rule.action]}."


def _after(years: int) -> str:
    return f"{_years(years)}, then " if years else ""


_THEN = {"review": "review", "dispose": "disposal"}


def plus_years(days: np.ndarray, years: np.ndarray | int) -> np.ndarray:
    """The same day so many years later, as days since 1970; 29 February becomes 1 March where there is none."""
    known = np.where(days == _NONE, 0, days).astype("datetime64[D]")
    months = known.astype("datetime64[M]")
    later = (months + np.asarray(years, np.int64) * 12).astype("datetime64[D]") + (known - months)
    return np.where(days == _NONE, _NONE, later.astype(np.int64))


class Judgement:
    """Every person and record of `facts`, judged on a day. `people` and `records` (JUDGED) have their rows."""

    def __init__(self, facts: Facts, params: Params, *, on: str) -> None:
        self.facts, self.rules = facts, params.retention
        self.on = int(np.datetime64(on, "D").astype(np.int64))
        self._read(params)
        self._clocks()
        self._judge_records()
        self._judge_people()

    # ---- reading -----------------------------------------------------------------------------------------------------

    def _read(self, params: Params) -> None:
        people, records, parts = self.facts.people, self.facts.records, self.facts.parts
        rules, classes = self.rules, params.links.role_classes
        self._born, self._child = _days(people["born"]), _flags(people["child"])
        groups = [rules.groups[name] for name in MOPI_GROUPS]
        self._years = np.array([0, *(group.clear_years for group in groups)])  # by number of the group
        self._ages = np.array([0, *(group.keep_to_age for group in groups)])
        self._reviews = np.array([False, *(group.action == "review" for group in groups)])
        self._day, self._withdrawn = _days(records["day"]), _days(records["withdrawn"])
        group = pc.index_in(records["group"], pa.array(["", *MOPI_GROUPS])).to_numpy()
        self._ungrouped = group == 0
        self._group = np.where(self._ungrouped, int(rules.no_group.treated_as), group)
        self._record, self._person = parts["record"].to_numpy(), parts["person"].to_numpy()
        roles = pc.index_in(parts["role"], pa.array(list(classes))).to_numpy()
        noticed = np.array([role in rules.clear_period.resetting_roles for role in classes])[roles]
        harmed = np.array([name in ("victim", "witness") for name in classes.values()])[roles]
        self._left_out = _flags(pc.is_in(records["status"], pa.array(params.links.statuses_left_out, pa.string())))
        self._when = self._day[self._record]
        self._under_10 = self._younger(self._person, self._when, rules.under_10.under_age)
        self._under_18 = self._younger(self._person, self._when, rules.under_18.under_age)
        self._unless_young = noticed & ~(self._left_out | (self._withdrawn != _NONE))[self._record]
        young = np.where(self._under_10, rules.under_10.resets, np.where(self._under_18, rules.under_18.resets, True))
        self._resets = self._unless_young & young
        follows = _flags(pc.is_in(records["kind"], pa.array(rules.follow_people, pa.string())))
        self._follows = follows[self._record] & ~harmed

    def _younger(self, person: np.ndarray, day: np.ndarray, age: int) -> np.ndarray:
        """Whether each person was younger than `age` on a day. A child without a birth date is under 18, no less."""
        born = self._born[person]
        unborn = self._child[person] & (age == self.rules.under_18.under_age)
        return np.where(born == _NONE, unborn, day < plus_years(born, age))

    def _clocks(self) -> None:
        """When each person who came to notice is due for that alone, and whether that is for review."""
        rules, count = self.rules, self.facts.people.num_rows
        person, record = self._person[self._resets], self._record[self._resets]
        last, group = np.full(count, _NONE), np.full(count, len(MOPI_GROUPS))
        np.maximum.at(last, person, self._when[self._resets])
        np.minimum.at(group, person, self._group[record])
        self._last, self._noticed, self._governing = last, last != _NONE, group
        years, rule, review = self._years[group], group, self._reviews[group]
        for code, child in ((_UNDER_18, rules.under_18), (_UNDER_10, rules.under_10)):
            young = self._younger(np.arange(count), last, child.under_age)
            rule = np.where(young & (child.at_most_years < years), code, rule)
            years = np.where(young, np.minimum(years, child.at_most_years), years)
            review = review | (young & (child.action == "review"))
        self._clear_end = plus_years(last, years)

        first = -_latest(count, self._person, -self._when)
        latest_birth = plus_years(
            np.where(first == -_NONE, _NONE, first), -rules.unknown_birth.years_before_first_event
        )
        born = np.where(self._born == _NONE, latest_birth, self._born)
        age = self._ages[group]
        self._age_end = np.where(age > 0, plus_years(born, age), _NONE)
        self._ages_out = (self._age_end > last) & self._noticed
        ungrouped = _any(count, person, self._ungrouped[record])
        reviewed = _days(self.facts.people["reviewed"])
        # A review keeps nobody for longer than the age up to which the group is kept.
        self._outlived = self._ages_out & (reviewed > self._age_end)
        self._kept_person = np.where(self._outlived, _NONE, reviewed)
        kept = self._kept_person != _NONE
        reached = self._age_end <= np.maximum(self._clear_end, self.on)
        self._aged = self._ages_out & ((reached & ~kept) | self._outlived)
        self._review = (review & ~self._aged) | (ungrouped & (rules.no_group.action == "review")) | kept
        self._clock = np.where(kept, self._kept_person, np.where(self._aged, self._age_end, self._clear_end))
        self._clock_rule = np.where(kept, _REVIEWED, np.where(self._aged, _AGE, rule))

    def keep_until(self, row: int) -> str:
        """The day up to which a person may be kept whatever a review says; "" where age sets none."""
        return _said(self._age_end[row]) if self._ages_out[row] else ""

    # ---- judging -----------------------------------------------------------------------------------------------------

    def _judge_records(self) -> None:
        rules, count = self.rules, self.facts.records.num_rows
        self._own_end = plus_years(self._day, self._years[self._group])
        self._binds = (self._resets | self._follows) & self._noticed[self._person]
        record, person = self._record[self._binds], self._person[self._binds]
        latest = self._own_end * _RANK + self._group
        np.maximum.at(latest, record, self._clock[person] * _RANK + self._clock_rule[person])
        due, rule = latest // _RANK, latest % _RANK
        bound = _any(count, record, np.ones(len(record), bool))
        review = np.where(bound, _any(count, record, self._review[person]), self._reviews[self._group])
        review |= self._ungrouped & (rules.no_group.action == "review")
        young = _any(count, self._record, self._unless_young & self._under_10)
        review |= young & (rules.under_10.action == "review")
        gone = self._withdrawn != _NONE
        due = np.where(gone, plus_years(self._withdrawn, rules.withdrawn.years), due)
        rule = np.where(gone, _WITHDRAWN, rule)
        review = np.where(gone, rules.withdrawn.action == "review", review)
        kept = _days(self.facts.records["reviewed"])
        self._record_kept = kept != _NONE
        self._record_due = np.where(self._record_kept, kept, due)
        rule = np.where(self._record_kept, _REVIEWED, rule)
        self._record_review = review | self._record_kept
        named = np.where(self._ungrouped, 0, self._group)
        self.records = _judged(named, self._day, self._record_due, self._record_review, rule)

    def _judge_people(self) -> None:
        rules, count = self.rules, self.facts.people.num_rows
        follows = _latest(count, self._person, self._record_due[self._record])
        alone, kept = follows == _NONE, self._kept_person != _NONE
        due = np.where(self._noticed, self._clock, np.where(alone, self.on, follows))
        due = np.where(kept, self._kept_person, due)
        rule = np.where(self._noticed, self._clock_rule, np.where(alone, _NO_RECORD, _WITH_RECORDS))
        rule = np.where(kept, _REVIEWED, rule)

        review = _any(count, self._person, self._record_review[self._record])
        seen = _latest(count, self._person, self._when)
        for child in (rules.under_18, rules.under_10):
            review |= self._younger(np.arange(count), seen, child.under_age) & (child.action == "review")
        review = np.where(alone, rules.no_record.action == "review", review)
        review = np.where(self._noticed, self._review, review) | kept

        # What still needs a person: a record in which they did not come to notice, or one that a review kept.
        waits = self._record_due[self._record] > np.maximum(due, self.on)[self._person]
        self._waits = waits & (~self._resets | self._record_kept[self._record])
        self._needed = _any(count, self._person, self._waits)
        self._doubted = self._needed & ~review & (rules.still_needed.action == "review")
        self.people = _judged(self._governing, self._last, due, review | self._doubted, rule)

    # ---- explaining --------------------------------------------------------------------------------------------------

    def explain_person(self, row: int) -> list[str]:
        """How the date of a person came about, step by step, in sentences that name no one."""
        parts = self._parts_of_person(row)
        if not len(parts):
            return ["In no record that is held.", *self._kept_step(row), self._outcome(self.people, row)]
        steps = self._notice_steps(row, parts) if self._noticed[row] else self._following_steps(row, parts)
        steps += self._kept_step(row)
        if self._needed[row]:
            waiting = parts[self._waits[parts]]
            last = waiting[np.argmax(self._record_due[self._record[waiting]])]
            until = _said(self._record_due[self._record[last]])
            steps.append(
                f"Still in {_counted(len(sets.distinct(self._record[waiting])), 'record')} kept for longer, the last "
                f"{self._event(last)}, until {until}."
            )
            if self._doubted[row]:
                steps.append("So a person decides: the records that are due can go without this person.")
        return [*steps, self._outcome(self.people, row)]

    def _notice_steps(self, row: int, parts: np.ndarray) -> list[str]:
        rules, counting = self.rules, parts[self._resets[parts]]
        records = sets.distinct(self._record[counting])
        group = self._governing[row]
        if len(records) == 1:
            steps = [f"MOPI group {group} governs: that of the one record in which this person came to notice."]
        else:
            steps = [
                f"MOPI group {group} governs: the strictest of the {len(records):,} records in which this person came "
                "to notice."
            ]
        bare = int(self._ungrouped[records].sum())
        if bare:
            which = "it" if len(records) == 1 else "one of them" if bare == 1 else f"{bare:,} of them"
            steps.append(self._bare_step(which, bare))
        last = counting[np.argmax(self._when[counting])]
        steps.append(f"Last came to notice {self._event(last)}.")
        later = parts[~self._resets[parts] & (self._when[parts] > self._last[row])]
        if len(later):
            one = later[np.argmax(self._when[later])]
            events = len(sets.distinct(self._record[later]))
            steps.append(
                f"A later event {self._event(one)} does not count."
                if events == 1
                else f"{events:,} later events, the last {self._event(one)}, do not count."
            )
        years = rules.groups[str(group)].clear_years
        for child, young in ((rules.under_18, self._under_18), (rules.under_10, self._under_10)):
            if young[last]:
                years = min(years, child.at_most_years)
                decides = ", and a person decides" if child.action == "review" else ""
                steps.append(f"Younger than {child.under_age} then: {_years(years)} at the most{decides}.")
        steps.append(f"{_years(years).capitalize()} clear {self._ends(self._clear_end[row])}{self._then(int(group))}.")
        if self._age_end[row] != _NONE:
            steps += self._age_steps(row, int(group))
        return steps

    def _age_steps(self, row: int, group: int) -> list[str]:
        age, day = self.rules.groups[str(group)].keep_to_age, _said(self._age_end[row])
        born = f"Born {_said(self._born[row])}" if self._born[row] != _NONE else (
            "No birth date is recorded, so the latest possible one is taken"
        )  # fmt: skip
        said = f"{born}: group {group} is kept until the age of {age}, on {day}"
        if self._outlived[row]:
            return [f"{said}; that day decides, for a review said to look again only after it."]
        if self._aged[row]:
            return [f"{said}; that day decides."]
        if not self._ages_out[row]:
            return [f"{said}; that was not after the last event, so it decides nothing."]
        return [f"{said}; until then reviews decide."]

    def _following_steps(self, row: int, parts: np.ndarray) -> list[str]:
        roles = sorted({self._role(part) for part in parts})
        records = len(sets.distinct(self._record[parts]))
        last = parts[np.argmax(self._record_due[self._record[parts]])]
        where, until = self._event(last, with_role=False), _said(self._record_due[self._record[last]])
        steps = [
            f"Never came to notice in a role that counts: in {_counted(records, 'record')} as {', '.join(roles)}.",
            f"Goes with that record, {where}: it falls due on {until}."
            if records == 1
            else f"Goes with those records; the last to fall due, {where}, does so on {until}.",
        ]
        reviewed = len(sets.distinct(self._record[parts[self._record_review[self._record[parts]]]]))
        if reviewed:
            which = "that record" if records == 1 else f"{reviewed:,} of them"
            steps.append(f"For {which} a person decides, and so for this person.")
        seen = parts[np.argmax(self._when[parts])]
        for child, young in ((self.rules.under_10, self._under_10), (self.rules.under_18, self._under_18)):
            if young[seen] and child.action == "review":
                return [*steps, f"Younger than {child.under_age} at the last event: a person decides."]
        return steps

    def _kept_step(self, row: int) -> list[str]:
        if self._kept_person[row] != _NONE:
            return [f"A review kept this person and said to look again on {_said(self._kept_person[row])}; it decides."]
        if self.facts.people["partly_reviewed"][row].as_py():
            return ["An earlier review was of some ids of this person and not of all, so it does not count."]
        return []

    def explain_record(self, row: int) -> list[str]:
        """How the date of a record came about, step by step, in sentences that name no one."""
        rules = self.rules
        group = rules.groups[str(self._group[row])]
        kind = self._kind(row)
        if self._withdrawn[row] != _NONE:
            steps = [
                f"{kind.capitalize()} of {_said(self._day[row])}. Its source handed it over until "
                f"{_said(self._withdrawn[row])} and does so no more."
            ]
            if rules.withdrawn.years:
                steps.append(f"{_years(rules.withdrawn.years).capitalize()} from then decide.")
        else:
            steps = [f"{kind.capitalize()} of {_said(self._day[row])}, MOPI group {self._group[row]}."]
            if self._ungrouped[row]:
                steps = [f"{kind.capitalize()} of {_said(self._day[row])}.", self._bare_step("it", 1)]
            ends, binding = self._ends(self._own_end[row]), self._binding(row)
            then = "" if len(binding) else self._then(int(self._group[row]))
            steps.append(f"{_years(group.clear_years).capitalize()} from the event {ends}{then}.")
            steps += self._people_steps(row, binding)
        if self._record_kept[row]:
            steps.append(
                f"A review kept this record and said to look again on {_said(self._record_due[row])}; it decides."
            )
        return [*steps, self._outcome(self.records, row)]

    def _binding(self, row: int) -> np.ndarray:
        parts = self._parts_of_record(row)
        return parts[self._binds[parts]]

    def _people_steps(self, row: int, binding: np.ndarray) -> list[str]:
        parts, steps = self._parts_of_record(row), []
        if len(binding):
            people = sets.distinct(self._person[binding])
            longest = people[np.argmax(self._clock[people])]
            whom = "someone who came to notice" if len(people) == 1 else f"{len(people):,} people who came to notice"
            also = "" if self._resets[binding].all() else ", here or elsewhere"
            steps.append(f"Kept for {whom}{also}{'' if len(people) == 1 else '; for one of them longest'}:")
            of = self._parts_of_person(int(longest))
            steps += [f"  {step}" for step in self._notice_steps(int(longest), of) + self._kept_step(int(longest))]
            if self._review[people].any() and not self._review[longest]:
                steps.append("For another of them a person decides, and so for the record.")
        else:
            steps.append("Nobody came to notice in it, so its own years decide.")
        if (self._unless_young[parts] & self._under_10[parts]).any() and self.rules.under_10.action == "review":
            steps.append(
                f"A child under {self.rules.under_10.under_age} is in it as if it had offended: a person decides."
            )
        return steps

    def _bare_step(self, which: str, count: int) -> str:
        rule = self.rules.no_group
        doubt = ", and a person decides" if rule.action == "review" else ""
        has = "has" if count == 1 else "have"
        return f"{which.capitalize()} {has} no MOPI group: treated as group {rule.treated_as}{doubt}."

    def _outcome(self, judged: pa.Table, row: int) -> str:
        due = int(judged["due"][row].cast(pa.int32()).as_py())
        word = "review" if judged["action"][row].as_py() == "review" else "disposal"
        if due > self.on:
            return f"Not due for {word} before {_said(due)}."
        return f"Due for {word} since {_said(due)}."

    def _event(self, part: int, *, with_role: bool = True) -> str:
        record = self._record[part]
        role = f"as {self._role(part)} " if with_role else ""
        why = ""
        if self._withdrawn[record] != _NONE:
            why = ", withdrawn by its source"
        elif self._left_out[record]:
            why = f", {self.facts.records['status'][int(record)].as_py()}"
        elif self._under_10[part]:
            why = f", below the age of {self.rules.under_10.under_age}"
        return f"{role}on {_said(self._day[record])} ({self._kind(int(record))}{why})"

    def _role(self, part: int) -> str:
        return self.facts.parts["role"][int(part)].as_py()

    def _kind(self, record: int) -> str:
        return self.facts.records["kind"][record].as_py().replace("_", " ")

    def _then(self, group: int) -> str:
        return f", after which group {group} is reviewed" if self._reviews[group] else ""

    def _ends(self, day: int) -> str:
        return f"{'ended' if day <= self.on else 'end'} {_said(day)}"

    def _parts_of_person(self, row: int) -> np.ndarray:
        return _filed(self._by_person, row)

    def _parts_of_record(self, row: int) -> np.ndarray:
        return _filed(self._by_record, row)

    @cached_property
    def _by_person(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self._person, kind="stable")
        return order, self._person[order]

    @cached_property
    def _by_record(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self._record, kind="stable")
        return order, self._record[order]


def _judged(group: np.ndarray, last: np.ndarray, due: np.ndarray, review: np.ndarray, rule: np.ndarray) -> pa.Table:
    return pa.table(
        [
            pa.array(["", *MOPI_GROUPS]).take(pa.array(group)),
            _dates(last),
            _dates(due),
            pa.array(["dispose", "review"]).take(pa.array(review.astype(np.int8))),
            pa.array(RULES).take(pa.array(rule)),
        ],
        schema=JUDGED,
    )


def _days(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.int32()).cast(pa.int64()).fill_null(_NONE).to_numpy()


def _dates(days: np.ndarray) -> pa.Array:
    gone = days == _NONE
    return pa.array(np.where(gone, 0, days).astype(np.int32), pa.int32(), mask=gone).cast(pa.date32())


def _flags(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_numpy().astype(bool)


def _any(count: int, at: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """For each of `count` rows whether one of the `flags` that belong to it is set."""
    found = np.zeros(count, bool)
    found[at[flags]] = True
    return found


def _latest(count: int, at: np.ndarray, days: np.ndarray) -> np.ndarray:
    """For each of `count` rows the latest of the `days` that belong to it."""
    found = np.full(count, _NONE)
    np.maximum.at(found, at, days)
    return found


def _filed(order: tuple[np.ndarray, np.ndarray], row: int) -> np.ndarray:
    places, rows = order
    return places[np.searchsorted(rows, row) : np.searchsorted(rows, row, side="right")]


def _said(day: np.int64 | int) -> str:
    return str(np.datetime64(int(day), "D"))


_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _years(count: int) -> str:
    word = _WORDS[count] if count < len(_WORDS) else f"{count}"
    return f"{word} {'year' if count == 1 else 'years'}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
