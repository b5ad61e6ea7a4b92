"""The table by which a case's material is let go: each of its rows as a story, and a twin that walks day by day.

The twin asks of every day whether the law wants the material kept on it. The first day after the last such day is what
`earliest_release` says, or there is none.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import holds, params
from provenance.entries import Happening, Held, NetworkScope, Progressed, Released, packed
from provenance.errors import Conflict, Malformed
from provenance.holds import EVENTS, STATES, Earliest, Hold, earliest_release

TABLE = params.read(Path(__file__).parent.parent / "params.yaml").holds.table
NOW = "2026-11-22"


def case(*events: str) -> list[Happening]:
    """Events written as `convicted 2024-08-31`."""
    return [Happening(event=event, day=day) for event, day in (text.split() for text in events)]


def asked(*events: str, on: str = NOW) -> Earliest:
    return earliest_release(case(*events), on, TABLE)


def told(*events: str, on: str = NOW) -> tuple[str, str]:
    earliest = asked(*events, on=on)
    return earliest.state, earliest.day


TRIAL = "proceedings-instituted 2024-01-08"
CONVICTED = (TRIAL, "convicted 2024-03-15")  # six months end with 15 September
JAILED = (*CONVICTED, "custody-imposed 2024-04-02")


# ---- a story for each state ------------------------------------------------------------------------------------------


def test_while_the_investigation_is_open_there_is_no_day():
    assert told() == ("investigation", "")
    earliest = asked("investigation-opened 2024-01-02")
    assert (earliest.state, earliest.day) == ("investigation", "")
    (step,) = earliest.steps
    assert step.words == (
        "An investigation was opened on 2024-01-02: kept until it is decided whether to institute proceedings."
    )
    assert step.source == "Code of Practice 2020, 5.8, to be confirmed"


def test_a_decision_to_institute_no_proceedings_lets_go_that_day():
    assert told("investigation-opened 2024-01-02", "decided-no-proceedings 2024-02-09") == (
        "investigation", "2024-02-09",
    )  # fmt: skip


def test_an_investigation_opened_again_is_open_even_beside_a_conviction():
    closed = ("investigation-opened 2024-01-02", "decided-no-proceedings 2024-02-09")
    assert told(*closed, "investigation-opened 2025-06-01") == ("investigation", "")
    assert told(*CONVICTED, "investigation-opened 2025-06-01") == ("investigation", "")


def test_once_proceedings_are_instituted_there_is_no_day_until_they_end():
    earliest = asked("investigation-opened 2024-01-02", TRIAL)
    assert (earliest.state, earliest.day) == ("proceedings", "")
    assert earliest.steps[0].words == "Not ended: 1 of 1 proceedings, the last of 2024-01-08."
    assert earliest.steps[0].source == "Code of Practice 2020, 5.9, to be confirmed"


@pytest.mark.parametrize("end", ["acquitted", "not-proceeded-with"])
def test_an_acquittal_or_a_decision_not_to_proceed_lets_go_that_day(end):
    assert told(TRIAL, f"{end} 2024-05-20") == ("proceedings", "2024-05-20")


def test_a_conviction_without_custody_keeps_for_six_months_more():
    earliest = asked(*CONVICTED)
    assert (earliest.state, earliest.day) == ("six-months", "2024-09-16")
    (step,) = earliest.steps
    assert step.words == (
        "6 months from the last conviction, on 2024-03-15, end with 2024-09-15. No custodial sentence or hospital "
        "order is entered."
    )
    assert step.source == "Code of Practice 2020, 5.10, to be confirmed"


def test_in_custody_there_is_no_day():
    earliest = asked(*JAILED)
    assert (earliest.state, earliest.day) == ("custody", "")
    assert earliest.steps[0].words.startswith("Not released or discharged: 1 of 1 custodial sentences or hospital orde")


def test_custody_longer_than_six_months_keeps_until_release():
    earliest = asked(*JAILED, "released-from-custody 2026-01-30")
    assert (earliest.state, earliest.day) == ("custody", "2026-01-30")
    assert earliest.steps[0].words.endswith("end with 2024-09-15, which is no later.")


def test_custody_shorter_than_six_months_keeps_for_the_six_months():
    earliest = asked(*JAILED, "released-from-custody 2024-06-01")
    assert (earliest.state, earliest.day) == ("custody", "2024-09-16")
    assert earliest.steps[0].words.endswith("end with 2024-09-15, which is later.")


@pytest.mark.parametrize(
    ("released", "day"), [("2024-09-15", "2024-09-16"), ("2024-09-16", "2024-09-16"), ("2024-09-17", "2024-09-17")]
)
def test_custody_that_ends_with_the_six_months(released, day):
    assert told(*JAILED, f"released-from-custody {released}") == ("custody", day)


def test_a_hospital_order_keeps_until_discharge_and_a_release_from_custody_does_not_end_it():
    ordered = (*CONVICTED, "hospital-order-made 2024-04-02")
    assert told(*ordered) == ("custody", "")
    assert told(*ordered, "discharged-from-hospital 2025-07-01") == ("custody", "2025-07-01")
    with pytest.raises(Malformed, match="found released-from-custody on 2025-07-01, wanted as many of custody-imposed"):
        asked(*ordered, "released-from-custody 2025-07-01")


def test_an_appeal_in_progress_when_the_period_ends_keeps_until_it_is_determined():
    lodged = (*CONVICTED, "appeal-lodged 2024-04-10")
    earliest = asked(*lodged)
    assert (earliest.state, earliest.day) == ("appeal", "")
    assert [step.state for step in earliest.steps] == ["six-months", "appeal"]
    assert earliest.steps[1].words == "Not determined: 1 of 1 appeals, the last of 2024-04-10."
    assert earliest.steps[1].source == "Code of Practice 2020, 5.11, to be confirmed"
    assert told(*lodged, "appeal-determined 2025-02-03") == ("appeal", "2025-02-03")


def test_an_appeal_determined_before_the_period_ends_lengthens_nothing():
    earliest = asked(*CONVICTED, "appeal-lodged 2024-04-10", "appeal-determined 2024-08-01")
    assert (earliest.state, earliest.day) == ("six-months", "2024-09-16")
    assert earliest.steps[1].words == (
        "The last appeal was determined on 2024-08-01, before the period ended: this lengthens nothing."
    )
    assert told(*JAILED, "appeal-lodged 2024-04-10", "appeal-determined 2025-08-01") == ("custody", "")


def test_an_appeal_lodged_after_the_period_while_the_material_is_still_held_keeps_it():
    """Stricter than the Code, which speaks of an appeal in progress at that point: see `earliest_release`."""
    late = (*CONVICTED, "appeal-lodged 2025-04-10")
    assert told(*late) == ("appeal", "")
    earliest = asked(*late, "appeal-determined 2025-12-01")
    assert (earliest.state, earliest.day) == ("appeal", "2025-12-01")
    assert "or the material was still held then" in earliest.steps[1].words


def test_in_custody_with_an_appeal_the_custody_is_named_first_and_the_appeal_told():
    earliest = asked(*JAILED, "appeal-lodged 2024-04-10")
    assert (earliest.state, earliest.day) == ("custody", "")
    assert [step.state for step in earliest.steps] == ["custody", "appeal"]


def test_while_the_commission_considers_there_is_no_day_and_a_refusal_lets_go():
    applied = (*CONVICTED, "ccrc-applied 2024-08-01")
    earliest = asked(*applied)
    assert (earliest.state, earliest.day) == ("ccrc", "")
    assert earliest.steps[1].words == "The Commission is considering the case, the last time since 2024-08-01."
    assert told(*applied, "ccrc-decided-not-to-refer 2025-05-06") == ("ccrc", "2025-05-06")
    assert told(*applied, "ccrc-decided-not-to-refer 2024-09-01") == ("six-months", "2024-09-16")


def test_a_referral_opens_an_appeal():
    referred = (*CONVICTED, "ccrc-applied 2024-08-01", "ccrc-referred 2025-05-06")
    assert told(*referred) == ("appeal", "")
    assert told(*referred, "appeal-determined 2026-02-02") == ("appeal", "2026-02-02")


# ---- several accused, and events that contradict ---------------------------------------------------------------------


def test_an_acquittal_beside_a_conviction_shortens_nothing():
    both = (TRIAL, TRIAL, "convicted 2024-03-15", "acquitted 2024-04-20")
    assert told(*both) == ("six-months", "2024-09-16")
    assert told(TRIAL, TRIAL, "convicted 2024-03-15", "acquitted 2026-04-20") == ("proceedings", "2026-04-20")


def test_a_second_accused_still_on_trial_keeps_the_case_open():
    assert told(TRIAL, TRIAL, "acquitted 2024-03-15") == ("proceedings", "")


def test_of_two_convictions_the_later_counts_and_of_two_sentences_the_longer():
    both = (TRIAL, TRIAL, "convicted 2024-03-15", "convicted 2024-06-30")
    assert told(*both) == ("six-months", "2024-12-31")
    jailed = (*both, "custody-imposed 2024-07-01", "custody-imposed 2024-07-01", "released-from-custody 2024-08-01")
    assert told(*jailed) == ("custody", "")


def test_a_retrial_opens_the_proceedings_again():
    quashed = (
        *CONVICTED,
        "appeal-lodged 2024-04-10",
        "appeal-determined 2025-02-03",
        "proceedings-instituted 2025-02-03",
    )
    assert told(*quashed) == ("proceedings", "")
    assert told(*quashed, "convicted 2025-06-10") == ("six-months", "2025-12-11")


def test_a_verdict_twice_for_one_accused_is_malformed():
    with pytest.raises(Malformed) as caught:
        asked(TRIAL, "convicted 2024-03-15", "acquitted 2024-04-20")
    assert str(caught.value) == (
        "event has no beginning: found acquitted on 2024-04-20, wanted as many of proceedings-instituted by that day "
        "as of not-proceeded-with or acquitted or convicted: one for each accused; there are 1 and 2"
    )


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (["convicted 2024-01-07", TRIAL], "found convicted on 2024-01-07, wanted as many of proceedings-instituted"),
        (["acquitted 2024-05-01"], "found acquitted on 2024-05-01"),
        (["not-proceeded-with 2024-05-01"], "found not-proceeded-with on 2024-05-01"),
        ([TRIAL, "custody-imposed 2024-05-01"], "found custody-imposed on 2024-05-01, wanted as many of convicted"),
        ([TRIAL, "hospital-order-made 2024-05-01"], "wanted as many of convicted"),
        ([*CONVICTED, "released-from-custody 2024-05-01"], "wanted as many of custody-imposed"),
        ([*JAILED, "discharged-from-hospital 2024-05-01"], "wanted as many of hospital-order-made"),
        ([TRIAL, "appeal-lodged 2024-05-01"], "found appeal-lodged on 2024-05-01, wanted convicted by that day"),
        ([*CONVICTED, "appeal-determined 2024-05-01"], "wanted as many of appeal-lodged or ccrc-referred"),
        ([TRIAL, "ccrc-applied 2024-05-01"], "found ccrc-applied on 2024-05-01, wanted convicted by that day"),
        ([*CONVICTED, "ccrc-referred 2024-05-01"], "wanted as many of ccrc-applied"),
        ([*CONVICTED, "ccrc-decided-not-to-refer 2024-05-01"], "wanted as many of ccrc-applied"),
    ],
)
def test_an_end_without_its_beginning_is_malformed(events, says):
    with pytest.raises(Malformed, match=r"^event has no beginning: ") as caught:
        asked(*events)
    assert says in str(caught.value)


def test_an_event_of_tomorrow_is_malformed_and_one_of_today_is_not():
    with pytest.raises(Malformed) as caught:
        asked(*JAILED, "released-from-custody 2026-11-23")
    assert str(caught.value) == (
        "event is in the future: found released-from-custody on 2026-11-23, wanted a day no later than 2026-11-22"
    )
    assert told(*JAILED, "released-from-custody 2026-11-22") == ("custody", "2026-11-22")


def test_an_event_of_another_version_is_malformed_and_named_by_its_form():
    with pytest.raises(
        Malformed, match=r"^event is not one this version knows: found aaaaaa, wanted investigation-ope"
    ):
        asked("pardon 2024-01-01")


def test_events_may_be_entered_in_any_order_and_those_of_one_day_happened_in_the_order_of_the_law():
    happened = ("convicted", "custody-imposed", "released-from-custody", "proceedings-instituted", "appeal-lodged",
                "appeal-determined")  # fmt: skip
    one_day = [f"{event} 2024-03-15" for event in happened]
    assert told(*one_day) == told(*reversed(one_day)) == ("custody", "2024-09-16")


# ---- months ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("convicted", "day"),
    [
        ("2024-01-15", "2024-07-16"),
        ("2024-08-31", "2025-03-01"),  # February has no 31st: the six months end with its last day, the 28th
        ("2023-08-31", "2024-03-01"),  # and in a leap year with the 29th
        ("2024-08-30", "2025-03-01"),
        ("2024-08-29", "2025-03-01"),
        ("2024-08-28", "2025-03-01"),  # which has a 28th
        ("2024-08-27", "2025-02-28"),
        ("2023-08-29", "2024-03-01"),
        ("2023-08-28", "2024-02-29"),
        ("2024-02-29", "2024-08-30"),  # the 29th, and not the end of the month
        ("2023-02-28", "2023-08-29"),
        ("2024-03-31", "2024-10-01"),
        ("2024-10-31", "2025-05-01"),
        ("2024-12-31", "2025-07-01"),
        ("2024-06-30", "2024-12-31"),
    ],
)
def test_six_months_end_with_the_day_of_the_same_number_or_the_last_of_the_month(convicted, day):
    assert told("proceedings-instituted 2020-01-01", f"convicted {convicted}") == ("six-months", day)


# ---- the twin --------------------------------------------------------------------------------------------------------

ENDS = {"not-proceeded-with", "acquitted", "convicted"}
FIRST = date(2024, 1, 1)
LETS_GO = {
    "not-proceeded-with": "proceedings",
    "acquitted": "proceedings",
    "released-from-custody": "custody",
    "discharged-from-hospital": "custody",
    "appeal-determined": "appeal",
    "ccrc-decided-not-to-refer": "ccrc",
}


def possible(events: list[Happening]) -> bool:
    """Whether each end has its beginning, counted from the first day on."""
    seen: Counter[str] = Counter()
    for happening in sorted(events, key=lambda e: (e.day, list(EVENTS).index(e.event))):
        if happening.event in ("appeal-lodged", "ccrc-applied") and not seen["convicted"]:
            return False
        seen[happening.event] += 1
        if (
            sum(seen[end] for end in ENDS) > seen["proceedings-instituted"]
            or max(seen["custody-imposed"], seen["hospital-order-made"]) > seen["convicted"]
            or seen["released-from-custody"] > seen["custody-imposed"]
            or seen["discharged-from-hospital"] > seen["hospital-order-made"]
            or seen["ccrc-decided-not-to-refer"] + seen["ccrc-referred"] > seen["ccrc-applied"]
            or seen["appeal-determined"] > seen["appeal-lodged"] + seen["ccrc-referred"]
        ):
            return False
    return True


def six_months_over(convicted: date, day: date) -> bool:
    """Whether six calendar months have passed at the end of `day`."""
    months = day.year * 12 + day.month - convicted.year * 12 - convicted.month
    last_of_month = (day + timedelta(days=1)).day == 1
    return months > 6 or (months == 6 and (day.day >= convicted.day or last_of_month))


def kept(events: list[Happening], day: date) -> set[str]:
    """The rows of the table that want the material kept on `day`: what is open at its end, or ends on the day after."""
    text = day.isoformat()
    seen = Counter(happening.event for happening in events if happening.day <= text)
    of = {code: [e.day for e in events if e.event == code and e.day <= text] for code in EVENTS}
    rows = set()
    answers = of["decided-no-proceedings"] + of["proceedings-instituted"]
    decision_to_come = any(e.event == "decided-no-proceedings" and e.day > text for e in events)
    if not answers or decision_to_come or max(of["investigation-opened"], default="") > max(answers):
        rows.add("investigation")
    if seen["proceedings-instituted"] > sum(seen[end] for end in ENDS):
        rows.add("proceedings")
    sentenced = any(e.event in ("custody-imposed", "hospital-order-made") for e in events)
    for convicted in map(date.fromisoformat, of["convicted"]):
        if not six_months_over(convicted, day - timedelta(days=1)):
            rows.add("custody" if sentenced else "six-months")
    if seen["custody-imposed"] + seen["hospital-order-made"] > (
        seen["released-from-custody"] + seen["discharged-from-hospital"]
    ):
        rows.add("custody")
    if seen["appeal-lodged"] + seen["ccrc-referred"] > seen["appeal-determined"]:
        rows.add("appeal")
    if seen["ccrc-applied"] > seen["ccrc-decided-not-to-refer"] + seen["ccrc-referred"]:
        rows.add("ccrc")
    tomorrow = {e.event for e in events if e.day == (day + timedelta(days=1)).isoformat()}
    return rows | {LETS_GO[event] for event in tomorrow & set(LETS_GO)}


lives = st.lists(
    st.tuples(st.sampled_from(list(EVENTS)), st.integers(0, 330).map(lambda n: (FIRST + timedelta(n)).isoformat())),
    max_size=14,
)


@settings(max_examples=400)
@given(lives, st.booleans())
def test_the_twin_agrees(drawn, weeded):
    events = [Happening(event=event, day=day) for event, day in drawn]
    if weeded:  # most lists are impossible as drawn: keep what can be
        events, whole = [], sorted(events, key=lambda e: (e.day, list(EVENTS).index(e.event)))
        for happening in whole:
            events += [happening] if possible([*events, happening]) else []
    on = date(2024, 12, 1)
    if not possible(events):
        with pytest.raises(Malformed, match=r"^event has no beginning: "):
            earliest_release(events, on.isoformat(), TABLE)
        return
    earliest = earliest_release(events, on.isoformat(), TABLE)
    horizon = on + timedelta(days=400)  # by then the months are over, and what is still open stays so
    if still := kept(events, horizon):
        assert (earliest.state, earliest.day) == (next(state for state in STATES if state in still), "")
    else:
        last = next(horizon - timedelta(n) for n in range(2000) if kept(events, horizon - timedelta(n)))
        assert earliest.day == (last + timedelta(days=1)).isoformat()
    assert [step.state for step in earliest.steps] == sorted(
        {step.state for step in earliest.steps}, key=list(STATES).index
    )


@given(lives, st.sampled_from(["proceedings-instituted", "custody-imposed", "appeal-lodged", "ccrc-applied"]))
def test_what_opens_something_never_brings_the_day_forward(drawn, event):
    events: list[Happening] = []
    for code, day in sorted(drawn, key=lambda pair: (pair[1], list(EVENTS).index(pair[0]))):
        happening = Happening(event=code, day=day)
        events += [happening] if possible([*events, happening]) else []
    more = [*events, Happening(event=event, day="2024-12-01")]
    before = earliest_release(events, "2024-12-01", TABLE)
    if before.state == "investigation" or not possible(more):  # proceedings do end an investigation
        return
    after = earliest_release(more, "2024-12-01", TABLE)
    assert after.day == "" or after.day >= before.day > ""


# ---- what acts make of a hold ----------------------------------------------------------------------------------------

WHO = {"on": "2026-01-12T10:00:00Z", "by": "disclosure officer", "under": "CPIA s.23"}


def placed(**said: object) -> Hold:
    fields = {
        "hold": "0123456789abcdef", "case": "24/0113", "basis": "cpia-1996", "nominals": packed([9, 3]),
        "records": packed([7]), "networks": (NetworkScope(network="SOC-2026-W02-001"),), "first_day": "2026-01-01",
        "last_day": "2026-01-31", "everything": 0, "review_on": "2026-06-01", "events": tuple(case(TRIAL)),
    }  # fmt: skip
    return Hold.placed(Held(**WHO, **(fields | said)))


def test_a_hold_is_what_its_acts_say():
    hold = placed()
    assert (hold.id, hold.case, hold.basis, hold.review_on) == (
        "0123456789abcdef",
        "24/0113",
        "cpia-1996",
        "2026-06-01",
    )
    assert (hold.nominals, hold.records, hold.networks) == ((3, 9), (7,), ("SOC-2026-W02-001",))
    assert (hold.first_day, hold.last_day, hold.everything) == ("2026-01-01", "2026-01-31", False)
    assert (hold.placed_on, hold.by, hold.under) == tuple(WHO.values())
    assert (hold.stands, hold.released_on) == (True, "")

    later = WHO | {"on": "2026-02-01T10:00:00Z", "by": "another"}
    earlier_event = tuple(case("investigation-opened 2023-12-01"))
    moved = hold.progressed(Progressed(**later, hold=hold.id, events=earlier_event, review_on="2026-09-01"))
    assert [e.event for e in moved.events] == ["investigation-opened", "proceedings-instituted"]
    assert (moved.review_on, moved.placed_on, moved.by) == ("2026-09-01", WHO["on"], WHO["by"])

    ended = moved.released(Released(**later, hold=hold.id, earliest="2026-02-01", reason="period-ended"))
    assert (ended.stands, ended.released_on) == (False, "2026-02-01T10:00:00Z")
    with pytest.raises(
        Conflict, match=r"^hold 0123456789abcdef was released on 2026-02-01T10:00:00Z: wanted one that st"
    ):
        ended.progressed(Progressed(**later, hold=hold.id, events=(), review_on="2026-09-01"))
    with pytest.raises(Conflict, match=r"^act upon hold fedcba9876543210: found hold 0123456789abcdef"):
        hold.released(Released(**later, hold="fedcba9876543210", earliest="", reason="decided"))


@pytest.mark.parametrize(
    ("less", "covered"),
    [
        ({}, True),
        ({"nominals": packed([3])}, True),
        ({"nominals": packed([3, 4])}, False),
        ({"records": packed([8])}, False),
        ({"networks": ()}, True),
        ({"networks": (NetworkScope(network="SOC-2026-W02-002"),)}, False),
        ({"first_day": "2026-01-02", "last_day": "2026-01-30"}, True),
        ({"first_day": "", "last_day": ""}, True),
        ({"first_day": "2025-12-31"}, False),
        ({"last_day": "2026-02-01"}, False),
        ({"everything": 1, "nominals": "", "records": "", "networks": (), "first_day": "", "last_day": ""}, False),
    ],
)
def test_a_hold_covers_another_when_it_names_all_that_the_other_does(less, covered):
    assert placed().covers(placed(**less)) is covered
    everything = placed(everything=1, nominals="", records="", networks=(), first_day="", last_day="")
    assert everything.covers(placed(**less))


def test_without_days_of_its_own_a_hold_covers_no_days():
    assert not placed(first_day="", last_day="").covers(placed())


def test_the_states_of_the_code_are_those_of_params():
    assert tuple(STATES) == params.HOLD_STATES == tuple(TABLE.rows)
    assert len(STATES) == 6
    assert {code for codes in holds._NEEDS for side in codes for code in side} <= set(EVENTS)
