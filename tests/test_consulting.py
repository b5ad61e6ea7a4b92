"""What is restricted is shown to the case that holds it, by every door; and the log knows before anybody is shown."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from force import PARAMS, Force, record

import provenance
from provenance import asof, entries, holding
from provenance.cli import main
from provenance.errors import Refused

WEEK, DAY = "2026-01-11T23:59:59Z", [f"2026-01-{day}T09:00:00Z" for day in range(12, 16)]
CASE, OTHER = "24/0113", "24/0200"
SAID = {"by": "officer", "under": "a story"}


@pytest.fixture
def force(tmp_path: Path) -> Iterator[Force]:
    """N-1 is restricted: two cases are at work, and one of them holds her."""
    made = Force(tmp_path)
    made.receive(record("R-1", "N-1", "N-2"), record("R-2", "N-2", "N-3"), record("R-3", "N-8", "N-9"), cut_off=WEEK)
    made.build(WEEK)
    for case, nominal in ((CASE, "N-1"), (OTHER, "N-9")):
        holding.place(
            made.archive, PARAMS, case=case, basis="inquiry", nominals=[nominal], review_on="2026-12-01", on=DAY[0],
            **SAID,
        )  # fmt: skip
    assert [outcome.restricted for outcome in made.dispose("N-1", on=DAY[1])] == [1]
    yield made
    made.archive.close()


def consulted(force: Force) -> list[entries.Consulted]:
    force.archive.refresh()
    return list(force.archive.acts(["Consulted"]))


def pairs(links) -> list[tuple[str, str]]:
    return [(link["a"], link["b"]) for link in links.to_pylist()]


def test_python_shows_a_case_what_it_holds_and_the_log_has_it_first(force, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1770000000")
    with provenance.open(force.root) as archive:
        assert pairs(archive.as_of(WEEK).links()) == [("N-2", "N-3"), ("N-8", "N-9")]
        assert consulted(force) == []
        snapshot = archive.as_of(WEEK, case=CASE)
        (act,) = consulted(force)  # nothing was asked of it yet
        assert (act.on, act.by, act.case, act.label) == (
            "2026-02-02T02:40:00Z",
            getpass.getuser(),
            CASE,
            snapshot.label,
        )
        assert act.under == f"disclosure for case {CASE}"
        assert act.rows == snapshot.restricted_rows > 0
        assert pairs(snapshot.links(nominal="N-1")) == [("N-1", "N-2")]
        assert pairs(archive.as_of(WEEK, case=OTHER).links()) == [("N-2", "N-3"), ("N-8", "N-9")]
        assert [(act.case, act.rows) for act in consulted(force)[1:]] == [(OTHER, 0)]


def test_both_doors_say_the_same_to_the_log(force):
    with provenance.open(force.root) as archive:
        archive.as_of(WEEK, case=CASE)
    told = CliRunner().invoke(main, ["--archive", str(force.root), "asof", WEEK, "--case", CASE, "--json"])
    assert told.exit_code == 0, told.output
    one, other = consulted(force)
    assert [(act.by, act.under, act.case, act.label, act.rows) for act in (one, other)] == [
        (one.by, one.under, one.case, one.label, one.rows)
    ] * 2


@pytest.mark.parametrize("case", ["24/9999", "24/0113 ", CASE.replace("0", "O")])
def test_no_case_reads_without_a_hold_that_stands(force, case):
    words = r"^no hold of that case stands: what is restricted is shown only to a case that holds it$"
    with provenance.open(force.root) as archive, pytest.raises(Refused, match=words):
        archive.as_of(WEEK, case=case)
    assert consulted(force) == []


def test_a_snapshot_shows_nothing_more_once_the_hold_has_ended(force):
    with provenance.open(force.root) as archive:
        snapshot = archive.as_of(WEEK, case=CASE)
        (hold,) = (hold.id for hold in force.archive.history.holds.values() if hold.case == CASE)
        holding.release(force.archive, PARAMS, hold, reason="decided", on=DAY[2], **SAID)
        with pytest.raises(asof.Overtaken):
            snapshot.links()
        assert ("N-1", "N-2") not in pairs(snapshot.links())
        with pytest.raises(Refused, match=r"^no hold of that case stands"):
            archive.as_of(WEEK, case=CASE)
    assert len(consulted(force)) == 1


def test_what_the_log_would_not_take_is_not_shown(force, monkeypatch):
    """A full disk, a key that is not there: no entry, no snapshot."""
    with provenance.open(force.root) as archive:
        monkeypatch.setattr(archive._inner, "append", lambda *_: (_ for _ in ()).throw(OSError("No space left")))
        with pytest.raises(OSError, match="No space left"):
            archive.as_of(WEEK, case=CASE)
