"""Whether a build verifies, as the banner says it: worked out by another process, and known to all that answer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from force import Force, record

from provenance.asof import Snapshot
from provenance.web import verdicts
from provenance.web.verdicts import Verdicts

WEEK = ["2026-01-05T06:00:00Z", "2026-01-12T06:00:00Z"]


@pytest.fixture
def force(tmp_path: Path) -> Force:
    force = Force(tmp_path)
    for number, cut_off in enumerate(WEEK):
        row = record(f"R-{number}", "Ann", "Bea", recorded_at=cut_off)
        force.receive(row, cut_off=cut_off, mode="delta" if number else "full")
        force.build(cut_off)
    return force


@pytest.fixture
def large(monkeypatch):
    """Every build counts as one that nobody waits for."""
    monkeypatch.setattr(verdicts, "_AT_ONCE", -1)


def asked(force: Force) -> Verdicts:
    @contextmanager
    def turn():
        yield force.archive

    return Verdicts(force.root, force.keys, turn)


def known(held: Verdicts, snapshot: Snapshot) -> bool:
    """What it comes to."""
    for _ in range(600):
        if (said := held.of(snapshot)) is not None:
            return said
        time.sleep(0.1)
    raise AssertionError("it never came")


def snapshots(force: Force) -> list[Snapshot]:
    return [Snapshot(force.archive, built, None) for built in force.archive.history.builds]


def test_a_small_build_is_checked_at_once(force):
    held = asked(force)
    assert [held.of(each) for each in snapshots(force)] == [True, True]


def test_a_large_one_is_checked_meanwhile_and_one_that_was_changed_is_told(force, large):
    held, (first, last) = asked(force), snapshots(force)
    assert held.of(last) is None
    assert known(held, last) is True
    segment = force.archive.segment(first.label, "link")
    segment.write_bytes(segment.read_bytes()[:-1] + b"?")
    assert known(held, first) is False
    assert held.of(last) is True  # the verdict of when it was asked about


def test_it_is_asked_again_once_something_was_disposed_of(force, large, monkeypatch):
    checked = []
    monkeypatch.setattr(Verdicts, "_check", lambda _, label: checked.append(label) or 0)
    held = asked(force)
    assert known(held, snapshots(force)[1])
    assert held.of(snapshots(force)[1])
    assert checked == ["2026-W03"]
    force.dispose("Ann", on="2026-01-20T09:00:00Z")
    assert known(held, snapshots(force)[1])
    assert checked == ["2026-W03", "2026-W03"]


def test_a_copy_of_the_process_knows_what_another_found_and_checks_nothing_itself(force, large, monkeypatch):
    held, (first, last) = asked(force), snapshots(force)
    monkeypatch.setattr(Verdicts, "_check", lambda _, label: 4 * (label == first.label))
    for snapshot in (first, last):
        in_a_copy(lambda snapshot=snapshot: known(held, snapshot))
    monkeypatch.setattr(Verdicts, "_check", None)
    assert [held.of(first), held.of(last)] == [False, True]


def test_one_process_at_a_time_checks(force, large, monkeypatch, tmp_path):
    """What the second finds done when its turn comes, it does not do again."""
    held, (_, last) = asked(force), snapshots(force)

    def check(_: Verdicts, label: str) -> int:
        time.sleep(1)
        with open(tmp_path / "checked", "a") as told:
            told.write(f"{label}\n")
        return 0

    monkeypatch.setattr(Verdicts, "_check", check)
    copies = [copy(lambda: known(held, last)) for _ in range(3)]
    assert [os.waitpid(each, 0)[1] for each in copies] == [0, 0, 0]
    assert (tmp_path / "checked").read_text() == "2026-W03\n"


def test_where_priorities_may_not_be_set_it_is_checked_all_the_same(force, large, monkeypatch):
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refused)
    assert known(asked(force), snapshots(force)[1]) is True


def in_a_copy(does) -> None:
    assert os.waitpid(copy(does), 0)[1] == 0


def copy(does) -> int:
    """A copy of this process that does something and ends; 0 as its exit code where nothing was raised."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        does()
        code = 0
    finally:
        os._exit(code)


def test_what_another_process_found_while_one_waited_for_its_turn_is_not_looked_for_again(force, monkeypatch):
    held, built = asked(force), snapshots(force)[0]
    monkeypatch.setattr(held, "_check", lambda label: pytest.fail(f"{label} was checked again"))
    held._say(built.built.number, built.acts, False)
    held._checked(built.built.number, built.label, built.acts)
    assert held._said(built.built.number, built.acts) is False


def test_a_process_that_has_checked_and_lives_on_lets_others_check(force, monkeypatch):
    held, built = asked(force), snapshots(force)[0]
    monkeypatch.setattr(held, "_check", lambda _: 0)
    held._checked(built.built.number, built.label, built.acts)
    other = os.fork()
    if not other:  # locks of a process are not its copy's
        with contextlib.suppress(OSError):
            fcntl.lockf(held._shared, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
