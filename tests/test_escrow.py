"""What is said of a copy of the master key: before a disposal it goes into its certificate, afterwards beside it.

Nobody can look into a safe from here. So no certificate says more than had been said when its disposal was logged, by
whatever path it came about; and what is said later is the word of a named person, about disposals up to a named one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from force import PARAMS, Force, record

from provenance import certificates, disposal, entries, escrow, expunging, holding, verify
from provenance.cli import main
from provenance.errors import Conflict, Malformed, Missing

WEEK, DAY = "2026-01-11T23:59:59Z", [f"2026-01-{day}T09:00:00Z" for day in range(12, 29)]
SAID = {"by": "K. Keeper", "under": "key plan 2026"}


@pytest.fixture
def force(tmp_path: Path) -> Iterator[Force]:
    made = Force(tmp_path)
    made.receive(*(record(f"R-{n}", f"N-{n}", f"N-{n + 1}") for n in range(1, 9)), cut_off=WEEK)
    made.build(WEEK)
    yield made
    made.archive.close()


def said(force: Force, *, held: bool, after: str = "", on: str = DAY[0]) -> entries.Escrowed:
    return escrow.state(force.archive, held=held, after=after, on=on, **SAID)


def gone(force: Force, *subjects: str, on: str = DAY[1]) -> str:
    """Dispose of these; the certificate's id."""
    return force.dispose(*subjects, on=on)[-1].certificate_id


def stated(force: Force, id: str) -> str:
    return disposal.certificate(force.archive, id).escrow


def since(force: Force, number: int) -> str:
    """When the copy from before a disposal was said to be no more."""
    act = force.archive.history.escrow_since(number)
    return act.on if act else ""


def test_of_what_nobody_has_said_the_certificate_says_that_nobody_has(force):
    assert stated(force, gone(force, "N-1")) == "not stated"
    assert force.archive.history.outstanding() == [1]
    said(force, held=False, on=DAY[2])
    assert (since(force, 1), force.archive.history.outstanding()) == (DAY[2], [])


def test_a_copy_is_to_be_replaced_after_each_disposal_until_somebody_says_that_it_is(force):
    said(force, held=True)
    one = gone(force, "N-1")
    two = gone(force, "N-3", on=DAY[2])
    assert [stated(force, id) for id in (one, two)] == ["to be replaced"] * 2
    said(force, held=True, after=one, on=DAY[3])  # a copy that was made between the two
    assert [since(force, 1), since(force, 2)] == [DAY[3], ""]
    assert force.archive.history.outstanding() == [2]
    said(force, held=True, after=two, on=DAY[4])
    assert [since(force, 1), since(force, 2)] == [DAY[3], DAY[4]]
    assert [stated(force, id) for id in (one, two)] == ["to be replaced"] * 2  # a signed word does not change
    assert force.reopened().archive.history.outstanding() == []
    verify.insist(verify.verify(force.archive))


def test_where_no_copy_is_held_none_is_outstanding(force):
    said(force, held=False)
    id = gone(force, "N-1")
    assert (stated(force, id), force.archive.history.outstanding()) == ("none held", [])
    said(force, held=True, after=id, on=DAY[2])  # one was made since
    assert stated(force, gone(force, "N-3", on=DAY[3])) == "to be replaced"
    assert force.archive.history.outstanding() == [2]


def test_a_disposal_that_runs_by_itself_when_its_hold_ends_says_what_had_been_said(force):
    act = {"by": "officer", "under": "a story"}
    held = holding.place(
        force.archive, PARAMS, case="24/0113", basis="inquiry", nominals=["N-1"], records=[], networks=[], first_day="",
        last_day="", everything=False, review_on="2026-12-01", on=DAY[0], **act,
    )  # fmt: skip
    assert [outcome.restricted for outcome in force.dispose("N-1", on=DAY[1])] == [1]
    said(force, held=True, on=DAY[2])
    holding.release(force.archive, PARAMS, held.id, reason="decided", on=DAY[3], **act)
    (done,) = force.finish(on=DAY[3])
    assert stated(force, done.certificate_id) == "to be replaced"


def test_a_disposal_that_was_cut_off_says_what_had_been_said_when_it_was_logged(force, monkeypatch):
    """Whatever is said between the entry and the certificate is said of it, and shown beside it."""
    said(force, held=True)
    with monkeypatch.context() as patch:
        patch.setattr(expunging, "expunge", lambda *_, **__: pytest.fail("cut off"))
        with pytest.raises(pytest.fail.Exception, match="cut off"):
            gone(force, "N-1")
    id = force.reopened().archive.history.disposals[0].first.disposal
    said(force, held=False, on=DAY[2])
    force.finish(on=DAY[3])
    assert (stated(force, id), since(force, 1)) == ("to be replaced", DAY[2])


def test_what_cannot_be_true_is_not_logged(force):
    size = force.archive.log.size
    with pytest.raises(Missing, match=r"^disposal 99999999 is not in this archive: `provenance dispose list` names"):
        said(force, held=True, after="01234567")
    id = gone(force, "N-1")
    size = force.archive.log.size
    with pytest.raises(Malformed, match=r"^escrow: no disposal named, wanted the last one before the copy was made$"):
        said(force, held=True)
    with pytest.raises(Malformed, match=r"^escrow: a disposal named although no copy is held, wanted none$"):
        said(force, held=False, after=id)
    assert force.archive.log.size == size


def test_nobody_says_that_a_copy_is_new_while_the_old_key_still_opens_the_vault(force, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(disposal, "settle", lambda *_: None)
        patch.setattr(disposal, "_finish", lambda *_: pytest.fail("cut off"))
        with pytest.raises(pytest.fail.Exception, match="cut off"):
            gone(force, "N-1")
    id = force.reopened().archive.history.disposals[0].first.disposal
    with pytest.raises(Conflict, match=r"^disposal was cut off before its secrets were destroyed"):
        said(force, held=True, after=id)


def test_a_certificate_has_one_of_three_words_for_it(force):
    held = entries.as_json(disposal.certificate(force.archive, gone(force, "N-1")))
    for word in ("replaced", "", "None held", "none held, or so"):
        with pytest.raises(
            Malformed, match=r"^Certificate\.escrow: .*, wanted none held, to be replaced or not stated$"
        ):
            entries.from_json(certificates.Certificate, held | {"escrow": word})


def test_the_command_line_says_what_is_outstanding_and_shows_both_words(force):
    def run(*arguments: str) -> str:
        told = CliRunner().invoke(main, ["--archive", str(force.root), *arguments], catch_exceptions=False)
        assert told.exit_code == 0, told.output
        return told.stdout

    def answer(*arguments: str) -> Any:
        return json.loads(run(*arguments, "--json"))

    who = ("--by", "K. [b]Keeper[/b]", "--under", "key plan 2026")
    assert run("key", "escrow", "held", *who) == "Logged: a copy of the master key is held.\n"
    id = gone(force, "N-1")
    listed = run("dispose", "list")
    assert f"\n  provenance key escrow held --after {id} --by WHO --under AUTHORITY\n" in listed
    assert "1 disposal since which nobody has said that the copy" in listed
    (item,) = answer("dispose", "list")["disposals"]
    assert (item["escrow"], item["escrow_outstanding"]) == ("to be replaced", True)
    page = " ".join(run("certificate", id).replace("│", "").split())
    assert "a copy of the old master key was held elsewhere, to be replaced; NOT REPLACED YET, as far as" in page
    assert answer("certificate", id)["escrow_since"] is None

    logged = answer("key", "escrow", "held", "--after", id, *who)
    assert (logged["copies"], logged["disposals"], logged["outstanding"]) == (1, 1, 0)
    assert "nobody has said" not in run("dispose", "list")
    page = " ".join(run("certificate", id).replace("│", "").split())
    assert "to be replaced; since then K. [b]Keeper[/b] has said, on" in page
    assert "the copy was replaced and the old one destroyed" in page
    assert answer("certificate", id)["escrow_since"]["by"] == "K. [b]Keeper[/b]"
    assert answer("certificate", id)["escrow"] == "to be replaced"
