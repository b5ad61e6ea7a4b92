"""When people and records are due: each rule as a story, and every mixture of them against a slow obvious twin."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import params, retention
from provenance.params import Params
from provenance.records import KINDS, MOPI_GROUPS, ROLES
from provenance.retention import Facts, Judgement
from tests.force import PARAMS

TODAY = "2026-11-22"


def person(born: str = "", *, child: bool = False, reviewed: str = "", partly: bool = False) -> dict[str, Any]:
    return {"born": _day(born), "child": child, "reviewed": _day(reviewed), "partly_reviewed": partly}


def event(
    day: str, group: str = "3", kind: str = "crime", *, status: str = "", withdrawn: str = "", reviewed: str = ""
) -> dict[str, Any]:
    return {
        "kind": kind, "day": _day(day), "group": group, "status": status, "withdrawn": _day(withdrawn),
        "reviewed": _day(reviewed),
    }  # fmt: skip


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def facts(people: list[dict[str, Any]], records: list[dict[str, Any]], parts: list[tuple[int, int, str]]) -> Facts:
    """Parts as (record, person, role)."""
    return Facts(
        pa.Table.from_pylist(people, retention.PEOPLE),
        pa.Table.from_pylist(records, retention.RECORDS),
        pa.Table.from_pylist([dict(zip(retention.PARTS.names, part, strict=True)) for part in parts], retention.PARTS),
    )


def judged(
    people: list[dict[str, Any]],
    records: list[dict[str, Any]],
    parts: list[tuple[int, int, str]],
    *,
    on: str = TODAY,
    rules: Params = PARAMS,
) -> Judgement:
    return Judgement(facts(people, records, parts), rules, on=on)


def line(table: pa.Table, row: int = 0) -> tuple[str, str, str]:
    """Due, action and rule of a line."""
    found = table.slice(row, 1).to_pylist()[0]
    return str(found["due"]), found["action"], found["rule"]


def changed(**sections: Any) -> Params:
    """The params that come with the product, with parts of `retention` replaced: `group_3={"action": "review"}`."""
    rules = PARAMS.retention
    groups = dict(rules.groups)
    update: dict[str, Any] = {"groups": groups}
    for name, value in sections.items():
        if name.startswith("group_"):
            groups[name[-1]] = groups[name[-1]].model_copy(update=value)
        elif isinstance(value, dict):
            update[name] = getattr(rules, name).model_copy(update=value)
        else:
            update[name] = value
    return PARAMS.model_copy(update={"retention": rules.model_copy(update=update)})


ADULT = person("1970-06-15")


# ---- the groups ------------------------------------------------------------------------------------------------------


def test_group_3_is_disposed_of_after_six_clear_years():
    found = judged([ADULT], [event("2019-03-02")], [(0, 0, "suspect")])
    assert line(found.people) == line(found.records) == ("2025-03-02", "dispose", "group-3")
    assert found.explain_person(0) == [
        "MOPI group 3 governs: that of the one record in which this person came to notice.",
        "Last came to notice as suspect on 2019-03-02 (crime).",
        "Six years clear ended 2025-03-02.",
        "Due for disposal since 2025-03-02.",
    ]


def test_an_event_as_victim_or_witness_does_not_start_the_clear_period_again():
    records = [event("2019-03-02"), event("2023-01-05"), event("2024-01-05")]
    found = judged([ADULT], records, [(0, 0, "suspect"), (1, 0, "victim"), (2, 0, "witness")])
    assert line(found.people)[0] == "2025-03-02"
    assert line(found.records, 0) == ("2025-03-02", "dispose", "group-3")  # what they did may go
    steps = found.explain_person(0)
    assert "2 later events, the last as witness on 2024-01-05 (crime), do not count." in steps
    # The person is still in two records of others, so nothing removes them from these unseen.
    assert line(found.people)[1] == "review"
    assert "Still in 2 records kept for longer, the last as witness on 2024-01-05 (crime), until 2030-01-05." in steps
    assert steps[-1] == "Due for review since 2025-03-02."


def test_one_later_event_is_told_in_one_sentence():
    found = judged([ADULT], [event("2019-03-02"), event("2023-01-05")], [(0, 0, "suspect"), (1, 0, "victim")])
    assert "A later event as victim on 2023-01-05 (crime) does not count." in found.explain_person(0)


def test_a_later_event_as_suspect_does():
    records = [event("2019-03-02"), event("2023-01-05", kind="custody")]
    found = judged([ADULT], records, [(0, 0, "suspect"), (1, 0, "arrested")])
    assert line(found.people) == ("2029-01-05", "dispose", "group-3")
    assert line(found.records, 0) == ("2029-01-05", "dispose", "group-3")  # the old record is kept with the person
    assert found.explain_person(0)[-1] == "Not due for disposal before 2029-01-05."


def test_the_strictest_group_governs_the_whole_person():
    records = [event("2010-01-01", "2"), event("2015-01-01", "3")]
    found = judged([ADULT], records, [(0, 0, "offender"), (1, 0, "suspect")])
    assert line(found.people) == ("2025-01-01", "review", "group-2")
    assert line(found.records, 1) == ("2025-01-01", "review", "group-2")
    assert found.explain_person(0)[0].startswith("MOPI group 2 governs: the strictest of the 2 records")
    assert "Ten years clear ended 2025-01-01, after which group 2 is reviewed." in found.explain_person(0)


def test_group_1_is_reviewed_every_ten_years_until_the_100th_birthday():
    parts = [(0, 0, "offender")]
    found = judged([person("1950-01-31")], [event("2019-03-02", "1")], parts)
    assert line(found.people) == ("2029-03-02", "review", "group-1")
    assert "Born 1950-01-31: group 1 is kept until the age of 100, on 2050-01-31; until then reviews decide." in (
        found.explain_person(0)
    )
    near = judged([person("1925-05-01")], [event("2019-03-02", "1")], parts)
    assert line(near.people) == ("2025-05-01", "dispose", "age")
    assert "Born 1925-05-01: group 1 is kept until the age of 100, on 2025-05-01; that day decides." in (
        near.explain_person(0)
    )


def test_a_birthday_that_came_while_a_review_was_overdue_decides():
    people, records, parts = [person("1925-05-01")], [event("2005-03-02", "1")], [(0, 0, "offender")]
    assert line(judged(people, records, parts, on="2025-04-30").people) == ("2015-03-02", "review", "group-1")
    assert line(judged(people, records, parts, on="2025-05-01").people) == ("2025-05-01", "dispose", "age")


@pytest.mark.parametrize(
    ("reviewed", "on", "decided"),
    [
        ("2035-06-01", TODAY, ("2026-02-01", "dispose", "age")),
        ("2035-06-01", "2025-01-01", ("2026-02-01", "dispose", "age")),
        ("2026-02-01", TODAY, ("2026-02-01", "review", "kept-by-review")),
        ("2024-01-01", TODAY, ("2024-01-01", "review", "kept-by-review")),
    ],
)
def test_a_review_keeps_nobody_beyond_the_100th_birthday_and_one_day_decides(reviewed, on, decided):
    found = judged([person("1926-02-01", reviewed=reviewed)], [event("2020-01-01", "1")], [(0, 0, "suspect")], on=on)
    assert line(found.people) == decided
    assert len([step for step in found.explain_person(0) if "decides" in step]) == 1
    assert found.keep_until(0) == "2026-02-01"
    assert judged([ADULT], [event("2020-01-01", "2")], [(0, 0, "suspect")]).keep_until(0) == ""


def test_a_100th_birthday_before_the_last_event_decides_nothing():
    found = judged([person("1910-05-01")], [event("2019-03-02", "1")], [(0, 0, "offender")])
    assert line(found.people) == ("2029-03-02", "review", "group-1")
    assert "on 2010-05-01; that was not after the last event, so it decides nothing." in "".join(
        found.explain_person(0)
    )


def test_without_a_birth_date_the_latest_possible_one_is_taken_and_said():
    records = [event("1921-01-01"), event("2019-03-02", "1")]
    found = judged([person()], records, [(0, 0, "victim"), (1, 0, "offender")])
    assert line(found.people) == ("2021-01-01", "dispose", "age")
    assert any("No birth date is recorded, so the latest possible one is taken" in s for s in found.explain_person(0))
    older = changed(unknown_birth={"years_before_first_event": 10})
    again = judged([person()], records, [(0, 0, "victim"), (1, 0, "offender")], rules=older)
    assert line(again.people) == ("2029-03-02", "review", "group-1")  # a hundred before anything happened


def test_no_group_is_never_disposed_of_unseen():
    found = judged([ADULT], [event("2019-03-02", "")], [(0, 0, "suspect")])
    assert line(found.people) == line(found.records) == ("2025-03-02", "review", "group-3")
    assert found.records["group"].to_pylist() == [""]
    assert "It has no MOPI group: treated as group 3, and a person decides." in found.explain_person(0)
    assert "It has no MOPI group: treated as group 3, and a person decides." in found.explain_record(0)
    mixed = judged([ADULT], [event("2019-03-02"), event("2018-01-01", "")], [(0, 0, "suspect"), (1, 0, "suspect")])
    assert line(mixed.people) == ("2025-03-02", "review", "group-3")
    assert "One of them has no MOPI group: treated as group 3, and a person decides." in mixed.explain_person(0)


def test_the_rules_are_data():
    rules = changed(group_3={"clear_years": 7, "action": "review"})
    found = judged([ADULT], [event("2019-03-02")], [(0, 0, "suspect")], rules=rules)
    assert line(found.people) == ("2026-03-02", "review", "group-3")
    assert "Seven years clear ended 2026-03-02, after which group 3 is reviewed." in found.explain_person(0)
    subject = changed(clear_period={"resetting_roles": ("suspect", "subject")})
    records = [event("2019-03-02"), event("2022-01-01", "4", "intelligence")]
    assert line(judged([ADULT], records, [(0, 0, "suspect"), (1, 0, "subject")], rules=subject).people)[0] == (
        "2028-01-01"
    )


# ---- children --------------------------------------------------------------------------------------------------------


def test_a_child_under_ten_has_not_offended():
    found = judged([person("2010-03-02")], [event("2020-03-01")], [(0, 0, "suspect")])
    assert found.people["last"].to_pylist() == [None]
    assert line(found.records) == ("2026-03-01", "review", "group-3")
    assert line(found.people) == ("2026-03-01", "review", "with-its-records")
    assert "A child under 10 is in it as if it had offended: a person decides." in found.explain_record(0)
    of_age = judged([person("2010-03-01")], [event("2020-03-01")], [(0, 0, "suspect")])
    assert of_age.people["last"].to_pylist() == [date(2020, 3, 1)]


def test_a_childhood_record_is_looked_at_after_six_years_and_never_disposed_of_unseen():
    found = judged([person("2002-03-02")], [event("2020-03-01", "2")], [(0, 0, "suspect")])
    assert line(found.people) == ("2026-03-01", "review", "under-18")
    assert "Younger than 18 then: six years at the most, and a person decides." in found.explain_person(0)
    grown = judged([person("2002-03-01")], [event("2020-03-01", "2")], [(0, 0, "suspect")])
    assert line(grown.people) == ("2030-03-01", "review", "group-2")
    petty = judged([person("2002-03-02")], [event("2020-03-01")], [(0, 0, "suspect")])
    assert line(petty.people) == line(petty.records) == ("2026-03-01", "review", "group-3")


def test_a_child_without_a_birth_date_is_treated_as_under_18():
    found = judged([person(child=True)], [event("2020-03-01", "2")], [(0, 0, "suspect")])
    assert line(found.people) == ("2026-03-01", "review", "under-18")
    dated = judged([person("1970-01-01", child=True)], [event("2020-03-01", "2")], [(0, 0, "suspect")])
    assert line(dated.people) == ("2030-03-01", "review", "group-2")  # a birth date says more than a flag


# ---- records ---------------------------------------------------------------------------------------------------------


def test_a_record_waits_for_the_last_of_those_who_came_to_notice_in_it():
    people = [ADULT, ADULT, ADULT]
    records = [event("2015-01-01"), event("2024-01-01")]
    found = judged(people, records, [(0, 0, "suspect"), (0, 1, "offender"), (0, 2, "victim"), (1, 1, "suspect"),
                                     (1, 2, "suspect")])  # fmt: skip
    assert line(found.records, 0) == ("2030-01-01", "dispose", "group-3")
    assert "Kept for 2 people who came to notice; for one of them longest:" in found.explain_record(0)
    assert line(found.people, 0) == ("2021-01-01", "dispose", "group-3")  # who is clear may go before the record
    only_victim = judged(people, records, [(0, 0, "suspect"), (0, 2, "victim"), (1, 2, "suspect")])
    assert line(only_victim.records, 0) == ("2021-01-01", "dispose", "group-3")  # a victim's own record keeps nothing


@pytest.mark.parametrize(
    ("kind", "roles"), [("crime", ["victim"]), ("missing", ["missing", "witness"]), ("intelligence", ["subject"])]
)
def test_a_record_without_an_offender_has_its_own_six_years_and_is_reviewed(kind, roles):
    found = judged([ADULT], [event("2018-05-05", "4", kind)], [(0, 0, role) for role in roles])
    assert line(found.records) == ("2024-05-05", "review", "group-4")
    assert line(found.people) == ("2024-05-05", "review", "with-its-records")
    assert found.explain_record(0) == [
        f"{kind.capitalize()} of 2018-05-05, MOPI group 4.",
        "Six years from the event ended 2024-05-05, after which group 4 is reviewed.",
        "Nobody came to notice in it, so its own years decide.",
        "Due for review since 2024-05-05.",
    ]
    assert found.explain_person(0)[0] == (
        f"Never came to notice in a role that counts: in 1 record as {', '.join(sorted(roles))}."
    )


def test_victims_and_witnesses_stay_with_the_record_they_are_in():
    records = [event("2012-01-01", "2"), event("2024-06-01", "2")]
    found = judged([ADULT, ADULT], records, [(0, 0, "offender"), (1, 0, "offender"), (0, 1, "victim")])
    assert line(found.people, 1) == ("2034-06-01", "review", "with-its-records")


@pytest.mark.parametrize(("kind", "due"), [("intelligence", "2034-01-01"), ("prison_release", "2034-01-01"),
                                           ("missing", "2024-05-05"), ("custody", "2024-05-05")])  # fmt: skip
def test_intelligence_follows_the_group_of_the_crimes_of_its_people(kind, due):
    records = [event("2018-05-05", "4", kind), event("2024-01-01", "2")]
    found = judged([ADULT, ADULT], records, [(0, 0, "subject"), (1, 0, "suspect"), (0, 1, "victim"), (1, 1, "victim")])
    assert line(found.records, 0)[0] == due
    follows = "Kept for someone who came to notice, here or elsewhere:" in found.explain_record(0)
    assert follows is (due == "2034-01-01")
    harmed = judged([ADULT, ADULT], records, [(0, 0, "victim"), (1, 0, "suspect")])
    assert line(harmed.records, 0)[0] == "2024-05-05"


def test_a_cancelled_record_starts_no_clear_period():
    records = [event("2015-01-01"), event("2024-01-01", status="cancelled")]
    found = judged([ADULT], records, [(0, 0, "suspect"), (1, 0, "suspect")])
    assert line(found.people) == ("2021-01-01", "review", "group-3")  # still in the other: a person decides
    assert "A later event as suspect on 2024-01-01 (crime, cancelled) does not count." in found.explain_person(0)


def test_what_its_source_withdrew_is_for_review_from_that_day():
    records = [event("2024-01-01", withdrawn="2026-02-01")]
    found = judged([ADULT], records, [(0, 0, "suspect")])
    assert line(found.records) == ("2026-02-01", "review", "withdrawn")
    assert line(found.people) == ("2026-02-01", "review", "with-its-records")
    assert found.explain_record(0) == [
        "Crime of 2024-01-01. Its source handed it over until 2026-02-01 and does so no more.",
        "Due for review since 2026-02-01.",
    ]


def test_who_is_in_no_record_is_for_review_now():
    found = judged([ADULT], [], [])
    assert line(found.people) == (TODAY, "review", "no-record")
    assert found.explain_person(0) == ["In no record that is held.", f"Due for review since {TODAY}."]


# ---- reviews ---------------------------------------------------------------------------------------------------------


def test_a_review_decides_when_the_next_one_is():
    found = judged([person("1970-06-15", reviewed="2028-01-01")], [event("2015-01-01")], [(0, 0, "suspect")])
    assert line(found.people) == line(found.records) == ("2028-01-01", "review", "kept-by-review")
    assert "A review kept this person and said to look again on 2028-01-01; it decides." in found.explain_person(0)
    of_record = judged([ADULT], [event("2015-01-01", reviewed="2028-01-01")], [(0, 0, "suspect")])
    assert line(of_record.records) == ("2028-01-01", "review", "kept-by-review")
    assert line(of_record.people) == ("2021-01-01", "review", "group-3")  # nobody is taken out of what was kept


def test_a_review_of_some_ids_of_a_person_does_not_count_and_says_so():
    found = judged([person("1970-06-15", partly=True)], [event("2015-01-01")], [(0, 0, "suspect")])
    assert line(found.people) == ("2021-01-01", "dispose", "group-3")
    assert "An earlier review was of some ids of this person and not of all, so it does not count." in (
        found.explain_person(0)
    )


# ---- days ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "years", "wanted"),
    [
        ("2020-02-29", 6, "2026-03-01"),  # never a day short
        ("2020-02-29", 4, "2024-02-29"),
        ("2000-02-29", 100, "2100-03-01"),  # 2100 is no leap year
        ("2019-02-28", 1, "2020-02-28"),
        ("2019-12-31", 10, "2029-12-31"),
        ("1899-03-01", 100, "1999-03-01"),
    ],
)
def test_years_end_on_the_same_day_and_those_of_29_february_on_1_march(day, years, wanted):
    number = np.array([np.datetime64(day, "D").astype(np.int64)])
    assert str(retention.plus_years(number, years).astype("datetime64[D]")[0]) == wanted


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)), st.integers(0, 150))
def test_years_are_those_of_the_calendar(day, years):
    number = np.array([np.datetime64(day, "D").astype(np.int64)])
    assert retention.plus_years(number, years).astype("datetime64[D]").tolist() == [plus(day, years)]


# ---- the twin --------------------------------------------------------------------------------------------------------


def plus(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


class Twin:
    """The rules as a patient clerk applies them, one person or record at a time."""

    def __init__(self, held: Facts, rules: Params, on: date) -> None:
        self.people, self.records = held.people.to_pylist(), held.records.to_pylist()
        self.parts = [tuple(part.values()) for part in held.parts.to_pylist()]
        self.rules, self.classes, self.on = rules.retention, rules.links.role_classes, on
        self.left_out = rules.links.statuses_left_out

    def group(self, record: dict[str, Any]) -> str:
        return record["group"] or self.rules.no_group.treated_as

    def younger(self, of: dict[str, Any], day: date, age: int) -> bool:
        if of["born"] is None:
            return of["child"] and age == self.rules.under_18.under_age
        return day < plus(of["born"], age)

    def counts(self, part: tuple[int, int, str]) -> bool:
        record, of, role = self.records[part[0]], self.people[part[1]], part[2]
        if role not in self.rules.clear_period.resetting_roles:
            return False
        if record["status"] in self.left_out or record["withdrawn"]:
            return False
        for rule in (self.rules.under_10, self.rules.under_18):
            if self.younger(of, record["day"], rule.under_age):
                return rule.resets
        return True

    def noticed(self, n: int) -> list[dict[str, Any]]:
        return [self.records[part[0]] for part in self.parts if part[1] == n and self.counts(part)]

    def clock(self, n: int) -> tuple[date, bool]:
        """Of someone who came to notice: when due, and whether for review."""
        of, events = self.people[n], self.noticed(n)
        rule = self.rules.groups[min(self.group(record) for record in events)]
        last = max(record["day"] for record in events)
        years, review = rule.clear_years, rule.action == "review"
        for child in (self.rules.under_10, self.rules.under_18):
            if self.younger(of, last, child.under_age):
                years = min(years, child.at_most_years)
                review = review or child.action == "review"
        due, reviewed = plus(last, years), of["reviewed"]
        if rule.keep_to_age:
            first = min(self.records[part[0]]["day"] for part in self.parts if part[1] == n)
            born = of["born"] or plus(first, -self.rules.unknown_birth.years_before_first_event)
            birthday = plus(born, rule.keep_to_age)
            if last < birthday and reviewed and birthday < reviewed:
                due, review, reviewed = birthday, False, None
            elif last < birthday and (birthday <= due or birthday <= self.on):
                due, review = birthday, False
        if reviewed:
            return reviewed, True
        if any(not record["group"] for record in events) and self.rules.no_group.action == "review":
            review = True
        return due, review

    def record(self, n: int) -> tuple[date, bool]:
        record = self.records[n]
        if record["reviewed"]:
            return record["reviewed"], True
        if record["withdrawn"]:
            return plus(record["withdrawn"], self.rules.withdrawn.years), self.rules.withdrawn.action == "review"
        rule = self.rules.groups[self.group(record)]
        due, review = plus(record["day"], rule.clear_years), rule.action == "review"
        bound = []
        for part in self.parts:
            if part[0] == n and self.noticed(part[1]):
                follows = record["kind"] in self.rules.follow_people
                harmed = self.classes[part[2]] in ("victim", "witness")
                if self.counts(part) or (follows and not harmed):
                    bound.append(self.clock(part[1]))
        if bound:
            due, review = max(due, *(of[0] for of in bound)), any(of[1] for of in bound)
        if not record["group"] and self.rules.no_group.action == "review":
            review = True
        for part in self.parts:
            young = self.younger(self.people[part[1]], record["day"], self.rules.under_10.under_age)
            offending = part[2] in self.rules.clear_period.resetting_roles and record["status"] not in self.left_out
            if part[0] == n and young and offending and self.rules.under_10.action == "review":
                review = True
        return due, review

    def person(self, n: int) -> tuple[date, str]:
        of, mine = self.people[n], [part for part in self.parts if part[1] == n]
        if self.noticed(n):
            due, review = self.clock(n)
        elif not mine:
            due, review = self.on, self.rules.no_record.action == "review"
        else:
            ends = [self.record(part[0]) for part in mine]
            due, review = max(end[0] for end in ends), any(end[1] for end in ends)
            seen = max(self.records[part[0]]["day"] for part in mine)
            for child in (self.rules.under_10, self.rules.under_18):
                review = review or (self.younger(of, seen, child.under_age) and child.action == "review")
        if of["reviewed"] and not self.noticed(n):
            due, review = of["reviewed"], True
        for part in mine:
            kept = self.records[part[0]]["reviewed"] is not None
            if self.record(part[0])[0] > max(due, self.on) and (kept or not self.counts(part)):
                review = review or self.rules.still_needed.action == "review"
        return due, "review" if review else "dispose"


DAYS = st.one_of(
    st.dates(date(2012, 1, 1), date(2026, 11, 22)), st.sampled_from([date(2016, 2, 29), date(2020, 2, 29)])
)
NEXT = st.one_of(st.none(), st.none(), st.none(), st.dates(date(2024, 1, 1), date(2030, 1, 1)))
PEOPLE = st.fixed_dictionaries(
    {
        "born": st.one_of(
            st.none(), st.dates(date(1912, 1, 1), date(2020, 1, 1)), st.dates(date(1999, 1, 1), date(2015, 1, 1)),
            st.sampled_from([date(1920, 2, 29), date(2004, 2, 29)]),
        ),
        "child": st.booleans(),
        "reviewed": NEXT,
        "partly_reviewed": st.just(False),
    }
)  # fmt: skip
RECORDS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "day": DAYS,
        "group": st.sampled_from(["", *MOPI_GROUPS]),
        "status": st.sampled_from(["", "", "open", "cancelled"]),
        "withdrawn": st.one_of(st.none(), st.none(), st.none(), st.dates(date(2024, 1, 1), date(2026, 1, 1))),
        "reviewed": NEXT,
    }
)
OTHER_RULES = changed(
    group_1={"keep_to_age": 90},
    group_3={"clear_years": 5, "keep_to_age": 60},
    group_4={"action": "dispose"},
    under_10={"resets": True, "at_most_years": 2},
    under_18={"resets": False, "action": "dispose"},
    unknown_birth={"years_before_first_event": 10},
    no_group={"treated_as": "1", "action": "dispose"},
    withdrawn={"years": 1, "action": "dispose"},
    no_record={"action": "dispose"},
    still_needed={"action": "dispose"},
    follow_people=("crime", "missing"),
    clear_period={"resetting_roles": ("suspect", "subject")},
)


@st.composite
def held(draw: st.DrawFn) -> Facts:
    people = draw(st.lists(PEOPLE, min_size=1, max_size=4))
    records = draw(st.lists(RECORDS, max_size=5))
    places = st.tuples(
        st.integers(0, max(len(records) - 1, 0)), st.integers(0, len(people) - 1), st.sampled_from(ROLES)
    )
    parts = draw(st.lists(places, max_size=10, unique=True)) if records else []
    return facts(people, records, parts)


@settings(max_examples=250)
@given(held(), st.dates(date(2020, 1, 1), date(2032, 1, 1)), st.sampled_from([PARAMS, OTHER_RULES]))
def test_all_at_once_is_the_same_as_one_by_one(given_facts, on, rules):
    fast, slow = Judgement(given_facts, rules, on=on.isoformat()), Twin(given_facts, rules, on)
    for n in range(given_facts.people.num_rows):
        found = fast.people.slice(n, 1).to_pylist()[0]
        assert (found["due"], found["action"]) == slow.person(n)
        assert found["last"] == max((record["day"] for record in slow.noticed(n)), default=None)
    for n in range(given_facts.records.num_rows):
        found = fast.records.slice(n, 1).to_pylist()[0]
        due, review = slow.record(n)
        assert (found["due"], found["action"]) == (due, "review" if review else "dispose")


@settings(max_examples=80)
@given(held(), st.sampled_from([PARAMS, OTHER_RULES]))
def test_every_date_is_explained_and_every_review_has_a_reason(given_facts, rules):
    found = Judgement(given_facts, rules, on=TODAY)
    explained = [(found.people, found.explain_person), (found.records, found.explain_record)]
    for table, explain in explained:
        for n, row in enumerate(table.to_pylist()):
            steps = explain(n)
            word = {"review": "review", "dispose": "disposal"}[row["action"]]
            assert steps[-1] in (
                f"Due for {word} since {row['due']}.",
                f"Not due for {word} before {row['due']}.",
            )
            assert (
                row["rule"] == "no-record"
                or any(str(row["due"]) in step for step in steps[:-1])
                or (row["rule"] == "withdrawn")
            )
            if row["action"] == "review" and row["rule"] not in ("withdrawn", "no-record"):
                assert any("a person decides" in s or "is reviewed" in s or "A review kept" in s for s in steps), steps
            assert retention.says(row["rule"], row["group"], rules.retention).endswith(".")
            assert retention.source(row["rule"], row["group"], rules.retention).read


def test_every_rule_has_an_instrument_and_the_params_say_what_the_force_has_to_confirm():
    rules = PARAMS.retention
    unconfirmed = {rule for rule in retention.RULES[1:] if retention.source(rule, "1", rules).force_to_confirm}
    assert unconfirmed == set(retention.RULES[1:]) - {"group-3"}
    assert {rule.read for rule in (retention.source(rule, "1", rules) for rule in retention.RULES[1:])} == {
        "2026-11-22"
    }


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("resetting_roles: [suspect, offender, arrested]", "resetting_roles: [suspect, victim]",
         "retention.clear_period.resetting_roles holds victim, which links.role_classes calls victim"),
        ("resetting_roles: [suspect, offender, arrested]", "resetting_roles: []", "resetting_roles names at least one"),
        ("    under_age: 10\n", "    under_age: 18\n", "under_10.under_age is below under_18.under_age"),
        ('treated_as: "3"', 'treated_as: "5"', "retention.no_group.treated_as: found text; wanted: '1', '2', '3' or"),
        ("      clear_years: 6\n      action: dispose", "      clear_years: 0\n      action: dispose",
         "retention.groups.3.clear_years: found a whole number; wanted: greater than or equal to 1"),
        ("      action: dispose\n", "      action: keep\n", "retention.groups.3.action: found text; wanted: 'review'"),
        ("mopi-review: a review", "MOPI review: a review", "retention.disposal_reasons"),
        ("  returns_days: 365", "  returns_days: yes", "retention.returns_days: found yes or no"),
    ],
)  # fmt: skip
def test_params_that_make_no_sense_are_refused(tmp_path, old, new, says):
    from tests.force import ROOT

    text = (ROOT / "params.yaml").read_text("utf-8")
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(params.Malformed) as caught:
        params.read(tmp_path / "params.yaml")
    assert says in str(caught.value)


def test_an_answer_does_not_depend_on_the_order_of_the_rows():
    rng = np.random.default_rng(7)
    people = [person(str(date(1950, 1, 1) + timedelta(days=int(n)))) for n in rng.integers(0, 25_000, 30)]
    records = [
        event(str(date(2010, 1, 1) + timedelta(days=int(n))), str(n % 5 or "")) for n in rng.integers(0, 6000, 40)
    ]
    drawn = zip(rng.integers(0, 40, 80), rng.integers(0, 30, 80), rng.integers(0, len(ROLES), 80), strict=True)
    parts = [(int(r), int(p), ROLES[role]) for r, p, role in drawn]
    turned = [(39 - r, 29 - p, role) for r, p, role in parts[::-1]]
    one, other = judged(people, records, parts), judged(people[::-1], records[::-1], turned)
    assert one.people.to_pylist() == other.people.to_pylist()[::-1]
    assert one.records.to_pylist() == other.records.to_pylist()[::-1]
