"""Who may look: granted in January, revoked in March, and in April the log still says who might look in February."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from force import Force

from provenance import access, entries, granting
from provenance.access import ROLES, Grant
from provenance.cli import main
from provenance.errors import Conflict, Malformed, Missing, Refused

DAY = [f"2026-01-{day:02d}T09:00:00Z" for day in range(1, 32)]  # DAY[0] is the first
ADMIN, OTHER, ANA, OLA = "a.dams@force.example", "o.ther@force.example", "ana.lyst@force.example", "ola@force.example"


@pytest.fixture
def force(tmp_path: Path) -> Iterator[Force]:
    """An archive that `tests` founded on the first of January."""
    made = Force(tmp_path)
    yield made
    made.archive.close()


def grant(force: Force, user: str, role: str, *, on: str = DAY[1], by: str = ADMIN, **said: str) -> Grant:
    return granting.grant(force.archive, user, role=role, on=on, by=by, under="memo 7", **said)


def revoke(force: Force, user: str, role: str, *, on: str, by: str = ADMIN) -> list[Grant]:
    return granting.revoke(force.archive, user, role=role, on=on, by=by, under="memo 8")


def may(force: Force, user: str, on: str) -> frozenset[str]:
    return access.may(force.archive.history.grants, user, on)


@pytest.fixture
def opened(force: Force) -> Force:
    """With an administrator."""
    grant(force, ADMIN, "administrator", on=DAY[0], by="tests")
    return force


# ---- what the roles may do -------------------------------------------------------------------------------------------


def test_an_auditor_and_an_administrator_see_no_name_and_only_the_disclosure_officer_what_is_restricted():
    able = {wanted: {code for code, role in ROLES.items() if wanted in role.may} for wanted in access.PERMISSIONS}
    assert able[access.NAMES] == set(ROLES) - {"auditor", "administrator"}
    assert able[access.RESTRICTED] == {"disclosure-officer"}
    assert able[access.GRANT] == {"administrator"}
    assert able[access.TRAIL] == {"auditor", "disclosure-officer", "data-protection-officer", "administrator"}
    assert able[access.AGGREGATES] == set(ROLES) - {"administrator"}
    assert set().union(*(role.may for role in ROLES.values())) == set(access.PERMISSIONS)


def test_who_holds_two_roles_may_do_what_either_may(opened):
    grant(opened, ANA, "auditor")
    assert access.NAMES not in may(opened, ANA, DAY[1])
    grant(opened, ANA, "intelligence-user")
    assert may(opened, ANA, DAY[1]) == ROLES["auditor"].may | ROLES["intelligence-user"].may


def test_a_refusal_says_what_was_found_and_who_could(opened):
    def said(user: str, wanted: str, on: str = DAY[2], case: str = "") -> str:
        with pytest.raises(Refused) as refused:
            access.insist(opened.archive.history.grants, user, on, wanted, case=case)
        assert user not in str(refused.value)
        return str(refused.value)

    assert said("nobody", access.GRANT) == (
        "not allowed to say who may look: nothing was ever granted to this name, wanted administrator"
    )
    assert said(ADMIN, access.NAMES).startswith(
        "not allowed to see who is in a network, and the records behind it: signed on as administrator, wanted intell"
    )
    grant(opened, OLA, "disclosure-officer", first_day="2026-01-10", last_day="2026-01-12")
    assert "the grant as disclosure officer begins on 2026-01-10, wanted" in said(OLA, access.NAMES, DAY[8])
    assert "the grant as disclosure officer ended on 2026-01-12, wanted" in said(OLA, access.NAMES, DAY[12])
    assert "no case was named" in said(OLA, access.RESTRICTED, DAY[10])
    access.insist(opened.archive.history.grants, OLA, DAY[10], access.RESTRICTED, case="24/0113")


# ---- the story -------------------------------------------------------------------------------------------------------


def test_who_might_look_at_a_past_moment_is_answered_from_the_log_alone(opened):
    grant(opened, ANA, "analyst", on=DAY[1])
    revoke(opened, ANA, "analyst", on=DAY[10])
    grant(opened, ANA, "auditor", on=DAY[20])
    (opened.root / "index" / "catalogue.sqlite").unlink()
    again = opened.reopened()
    assert may(again, ANA, "2026-01-02T08:59:59Z") == frozenset()  # a second before it was said
    assert may(again, ANA, DAY[1]) == ROLES["analyst"].may
    assert may(again, ANA, "2026-01-11T08:59:59Z") == ROLES["analyst"].may
    assert may(again, ANA, DAY[10]) == frozenset()  # at once
    assert may(again, ANA, DAY[25]) == ROLES["auditor"].may


def test_days_are_whole_days_in_london(opened):
    grant(opened, ANA, "analyst", first_day="2026-07-01", last_day="2026-07-02")
    assert not may(opened, ANA, "2026-06-30T22:59:59Z")
    assert may(opened, ANA, "2026-06-30T23:00:00Z")  # midnight, in summer
    assert may(opened, ANA, "2026-07-02T22:59:59Z")
    assert not may(opened, ANA, "2026-07-02T23:00:00Z")


def test_a_look_alike_is_another_person_and_is_granted_nothing(opened):
    grant(opened, ANA, "analyst")
    for alike in (
        "аna.lyst@force.example",
        "ANA.LYST@force.example",
        "ana .lyst@force.example",
        "analyst@force.example",
    ):
        assert not may(opened, alike, DAY[2])
        with pytest.raises((Refused, Malformed)) as error:
            grant(opened, alike, "analyst")
        assert alike not in str(error.value)


@pytest.mark.parametrize("user", [" ana", "ana\u200b", "ａna", "a\u0301na", "...", "рaypal"])
def test_a_name_that_cannot_be_told_from_others_is_granted_nothing(opened, user):
    with pytest.raises(Malformed, match="user name"):
        grant(opened, user, "analyst")


# ---- who may grant ---------------------------------------------------------------------------------------------------


def test_the_first_grant_is_the_founders_to_an_administrator_and_to_somebody_else(force):
    with pytest.raises(Refused, match="not made by whoever founded the archive"):
        grant(force, ADMIN, "administrator", by="somebody", on=DAY[0])
    with pytest.raises(Refused, match="wanted an administrator, from today, without an end"):
        grant(force, ANA, "analyst", by="tests", on=DAY[0])
    with pytest.raises(Refused, match="wanted an administrator, from today, without an end"):
        grant(force, ADMIN, "administrator", by="tests", on=DAY[0], last_day="2026-02-01")
    with pytest.raises(Refused, match="by the person who is to have it"):
        grant(force, "Tests", "administrator", by="tests", on=DAY[0])
    assert force.archive.history.grants == []
    grant(force, ADMIN, "administrator", by="tests", on=DAY[0])


def test_the_founder_grants_once_and_never_again(opened):
    with pytest.raises(Refused, match="nothing was ever granted to this name"):
        grant(opened, OTHER, "administrator", by="tests")
    grant(opened, OTHER, "administrator")
    revoke(opened, ADMIN, "administrator", on=DAY[3], by=OTHER)
    with pytest.raises(Refused, match="last administrator"):
        revoke(opened, OTHER, "administrator", on=DAY[4], by=OTHER)
    with pytest.raises(Refused, match="nothing was ever granted to this name"):
        grant(opened, "k@force.example", "administrator", by="tests", on=DAY[5])


def test_an_administrator_whose_grant_ends_does_not_stand_in_for_the_last_one(opened):
    grant(opened, OTHER, "administrator", last_day="2026-02-01")
    with pytest.raises(Refused, match="last administrator"):
        revoke(opened, ADMIN, "administrator", on=DAY[4], by=OTHER)


def test_an_administrator_grants_nothing_to_themselves_under_any_spelling(opened):
    grant(opened, OTHER, "administrator")
    for by in (OTHER, OTHER.upper()):
        with pytest.raises(Refused, match="by the person who is to have it"):
            grant(opened, OTHER, "disclosure-officer", by=by)


def test_who_is_no_administrator_at_that_moment_neither_grants_nor_revokes(opened):
    grant(opened, ANA, "analyst")
    grant(opened, OTHER, "administrator", first_day="2026-01-10", last_day="2026-01-12")
    for on in (DAY[8], DAY[12]):
        with pytest.raises(Refused, match="not allowed to say who may look: the grant as administrator"):
            grant(opened, OLA, "auditor", on=on, by=OTHER)
    with pytest.raises(Refused, match="signed on as analyst"):
        grant(opened, OLA, "auditor", by=ANA)
    with pytest.raises(Refused, match="signed on as analyst"):
        revoke(opened, ADMIN, "administrator", on=DAY[2], by=ANA)
    grant(opened, OLA, "auditor", on=DAY[11], by=OTHER)


def test_outside_the_intelligence_department_the_director_has_authorised_it(opened):
    with pytest.raises(Refused, match="wanted the Director of Intelligence's"):
        grant(opened, ANA, "analyst", department="Force CID")
    with pytest.raises(Refused, match="wanted the Director of Intelligence's"):
        grant(opened, ANA, "analyst", department="intelligence Department", director="  ")
    made = grant(opened, ANA, "analyst", department="Force CID", director="DoI 26/14")
    assert (made.department, made.director) == ("Force CID", "DoI 26/14")


def test_what_could_not_be_meant(opened):
    with pytest.raises(Malformed, match="grant begins on 2026-01-01: wanted 2026-01-02 or later"):
        grant(opened, ANA, "analyst", first_day="2026-01-01")
    with pytest.raises(Malformed, match="grant ends on 2026-01-04: wanted 2026-01-05"):
        grant(opened, ANA, "analyst", first_day="2026-01-05", last_day="2026-01-04")
    with pytest.raises(Malformed, match="no such role"):
        grant(opened, ANA, "chief")
    with pytest.raises(Missing, match="nothing to revoke"):
        revoke(opened, ANA, "analyst", on=DAY[2])
    grant(opened, ANA, "analyst", last_day="2026-01-10")
    with pytest.raises(Conflict, match="is there for some of these days"):
        grant(opened, ANA, "analyst", first_day="2026-01-10")
    grant(opened, ANA, "analyst", first_day="2026-01-11")  # the next day on: a renewal
    assert len(revoke(opened, ANA, "analyst", on=DAY[2])) == 2
    with pytest.raises(Missing, match="nothing to revoke"):
        revoke(opened, ANA, "analyst", on=DAY[3])


def test_a_role_that_a_later_version_knows_opens_nothing_here(opened):
    opened.archive.append(
        entries.Granted(on=DAY[1], by=ADMIN, under="t", user=ANA, role="visitor", department="x", director="",
                        first_day="2026-01-02", last_day="")
    )  # fmt: skip
    assert not may(opened, ANA, DAY[2])
    assert "signed on as visitor" in access.refusal(opened.archive.history.grants, ANA, DAY[2], access.NAMES)


# ---- the command -----------------------------------------------------------------------------------------------------


def run(force: Force, *arguments: str, on: str = DAY[1], text: str = "") -> Result:
    from datetime import datetime

    clock = str(int(datetime.fromisoformat(on).timestamp()))
    return CliRunner(env={"SOURCE_DATE_EPOCH": clock}).invoke(
        main, ["--archive", str(force.root), "access", *arguments], input=text
    )


def answer(force: Force, *arguments: str, on: str = DAY[1]) -> dict:
    done = run(force, *arguments, "--json", on=on)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


WHO = ("--by", ADMIN, "--under", "memo 7")


def test_the_command_tells_the_story(opened):
    done = run(opened, "grant", ANA, "--role", "analyst", "--until", "2026-01-20", *WHO)
    assert done.output.startswith(f"Granted: {ANA} as analyst, from 2026-01-02, up to 2026-01-20.\nMay see who is in a")
    assert answer(opened, "list", on=DAY[2])["grants"] == [
        {
            "user": ADMIN, "role": "administrator", "may": ["grant", "see-trail"], "department": access.DEPARTMENT,
            "director": "", "first_day": "2026-01-01", "last_day": "", "granted_on": DAY[0], "by": "tests",
            "under": "memo 7", "revoked_on": "", "revoked_by": "", "revoked_under": "",
        },
        {
            "user": ANA, "role": "analyst", "may": sorted(ROLES["analyst"].may), "department": access.DEPARTMENT,
            "director": "", "first_day": "2026-01-02", "last_day": "2026-01-20", "granted_on": DAY[1], "by": ADMIN,
            "under": "memo 7", "revoked_on": "", "revoked_by": "", "revoked_under": "",
        },
    ]  # fmt: skip
    assert run(opened, "revoke", ANA, "--role", "analyst", *WHO, on=DAY[4]).output == (
        f"Revoked: 1 grant to {ANA} as analyst.\n"
    )


def test_the_list_answers_for_a_moment_and_for_a_day(opened):
    run(opened, "grant", ANA, "--role", "analyst", *WHO)
    (ended,) = answer(opened, "revoke", ANA, "--role", "analyst", *WHO, on=DAY[4])["revoked"]
    assert (ended["revoked_on"], ended["revoked_by"]) == (DAY[4], ADMIN)

    def who(when: str) -> list[str]:
        return [each["user"] for each in answer(opened, "list", "--on", when, on=DAY[30])["grants"]]

    assert who("2026-01-01") == [ADMIN]
    assert who("2026-01-02T08:59") == [ADMIN]
    assert who("2026-01-02T09:00") == [ADMIN, ANA]
    assert who("2026-01-05") == [ADMIN, ANA]  # until nine
    assert who("2026-01-05T09:00") == [ADMIN]
    assert who("2026-01-06") == [ADMIN]
    assert who("2025-12-31") == []
    shown = run(opened, "list", "--on", "2026-01-05").stdout
    assert shown.startswith("2 grants on 2026-01-05.")
    assert "revoked" in shown
    assert run(opened, "list", "--on", "2025-12-31").stdout == "0 grants on 2025-12-31.\n"


def test_the_command_refuses_with_its_exit_code_and_names_nobody(opened):
    done = run(opened, "grant", ANA, "--role", "analyst", "--department", "Force CID", *WHO)
    assert (done.exit_code, done.stderr.split(":")[0]) == (3, "Refused")
    assert "Director" in done.stderr
    assert ANA not in done.stderr


def test_a_password_is_for_somebody_granted_is_set_twice_alike_and_lies_with_the_keys(opened, monkeypatch):
    from provenance.web import passwords

    monkeypatch.setattr(passwords, "COST", passwords.Cost(2, 8, 1))
    assert run(opened, "password", ANA, text="correct horse\ncorrect horse\n").exit_code == 5
    assert run(opened, "password", ADMIN, text="short\nshort\n").exit_code == 3
    done = run(opened, "password", ADMIN, text="correct horse\ncorrect horse\n")
    assert done.exit_code == 0, done.output
    assert "horse" not in done.output
    kept = opened.keys / "passwords"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert b"horse" not in kept.read_bytes()
    assert passwords.is_right(opened.keys, ADMIN, "correct horse")
    assert not passwords.is_right(opened.keys, ADMIN, "correct horsf")
