"""Several processes that answer, copies of one that got ready: `provenance serve --workers`, run as a command."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import httpx2
import numpy as np
import psutil
import pytest
from force import Force, record

from provenance import granting, memory
from provenance.asking import Ask
from provenance.errors import Conflict
from provenance.web import looks, processes
from provenance.web.addresses import Moment, address

ROOT = Path(__file__).resolve().parent.parent
WEEK = ["2026-01-05T06:00:00Z", "2026-01-12T06:00:00Z"]
HEADER = "X-Remote-User"

pytestmark = pytest.mark.skipif(
    not (looks.STATIC / "manifest.json").exists(),
    reason="what pages are drawn with is not built here: `make assets` does",
)


@dataclass
class Served:
    """A force whose pages are served, and the process that began those that answer."""

    force: Force
    address: str
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)  # what it wrote about itself, once it has ended

    @property
    def answering(self) -> set[int]:
        """Its copies, and not what they start in turn."""
        return {child.pid for child in psutil.Process(self.process.pid).children() if "serve" in child.cmdline()}

    def page(self, label: str, person: str) -> httpx2.Response:
        """A person's page in a build."""
        return self.ask(address(Moment(label=label), Ask(view="nominal", nominals=(person,))))

    def ask(self, path: str) -> httpx2.Response:
        """On a connection of its own, so that either may answer."""
        return httpx2.get(self.address + path, headers={HEADER: "ola"}, follow_redirects=True, timeout=60)

    def end(self) -> None:
        """As the machine's service manager does."""
        self.process.terminate()
        self.said += self.process.communicate(timeout=60)[1].splitlines()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    force = Force(tmp_path)
    people = [("Ann", "Bea"), ("Bea", "Cid"), ("Cid", "Dan"), ("Ann", "Dan")]
    for week, cut_off in enumerate(WEEK):
        rows = [record(f"R-{week}-{n}", a, b, recorded_at=cut_off) for n, (a, b) in enumerate(people)]
        force.receive(*rows, cut_off=cut_off, mode="delta" if week else "full")
        force.build(cut_off)
    granting.grant(force.archive, "ana", role="administrator", on=WEEK[0], by="tests", under="a story")
    granting.grant(force.archive, "ola", role="analyst", on=WEEK[0], by="ana", under="a story")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    house = ROOT / "pipeline" / "house"
    shutil.copy(house / "params.yaml", force.root)
    shutil.copytree(house / "harm", force.root / "harm")
    (force.root / "web.yaml").write_text(
        f"origin: http://127.0.0.1:{port}\nsign_on: {{by: proxy, header: {HEADER}, addresses: [127.0.0.1]}}\n", "utf-8"
    )
    command = [sys.executable, "-m", "provenance.cli", "--archive", str(force.root), "serve", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--workers", "2"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    found = Served(force, f"http://127.0.0.1:{port}", process)
    try:
        until(lambda: found.ask("/health").status_code == 200)
        yield found
    finally:
        if process.poll() is None:
            found.end()
        force.archive.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something of other processes."""
    for _ in range(1_500):
        with contextlib.suppress(httpx2.TransportError, psutil.Error):
            if holds():
                return
        time.sleep(0.2)
    raise AssertionError("it never came")


def test_both_answer_and_one_that_is_killed_is_replaced(served):
    until(lambda: len(served.answering) == 2)
    page = served.page("2026-W02", "Ann")
    assert page.status_code == 200
    assert "server" not in page.headers  # nor does anything else that uvicorn would say by itself
    assert "Bea" in page.text
    one, other = sorted(served.answering)
    os.kill(one, signal.SIGKILL)
    until(lambda: len(served.answering - {one}) == 2)
    assert other in served.answering
    os.kill(other, signal.SIGKILL)  # so that a replacement answers
    until(lambda: len(served.answering - {one, other}) == 2)
    again = served.page("2026-W02", "Ann")
    assert (again.status_code, "Bea" in again.text) == (200, True)


def test_what_comes_later_is_on_the_pages_of_all(served):
    later = "2026-01-19T06:00:00Z"
    served.force.receive(record("R-late", "Ann", "Eve", recorded_at=later), cut_off=later, mode="delta")
    served.force.build(later)
    assert {"Eve" in served.page("2026-W04", "Ann").text for _ in range(6)} == {True}


def test_after_a_disposal_by_another_process_nobody_is_at_work_who_had_read_of_the_person(served):
    until(lambda: len(served.answering) == 2)
    before = served.answering
    assert {served.page("2026-W02", "Ann").status_code for _ in range(6)} == {200}
    served.force.dispose("Ann", on="2026-01-20T09:00:00Z")
    assert {served.page("2026-W02", "Ann").status_code for _ in range(6)} == {404}
    until(lambda: len(served.answering - before) == 2 and not served.answering & before)
    assert {served.page("2026-W02", "Ann").status_code for _ in range(6)} == {404}
    assert "Cid" in served.page("2026-W02", "Bea").text
    assert not {"Ann", "Bea"} & {word for line in ended(served) for word in line.replace('"', " ").split()}


def test_what_they_say_of_themselves_is_in_one_form_and_names_nobody(served):
    until(lambda: len(served.answering) == 2)
    served.page("2026-W02", "Ann")
    os.kill(min(served.answering), signal.SIGKILL)
    until(lambda: len(served.answering) == 2)
    lines = [json.loads(line) for line in ended(served)]
    assert {line["logger"] for line in lines} == {"gunicorn.error"}  # it had to be replaced
    assert all(set(line) <= {"at", "level", "logger", "event", "kind", "came_through"} for line in lines)
    assert "Ann" not in str(lines)


def ended(served: Served) -> list[str]:
    served.end()
    assert served.process.returncode == 0
    return served.said


class Watched:
    """A reader, and the archive that it reads, of whom it is kept what they were asked to do."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.asked: list[str] = []
        self.fails, self.archive = fails, self

    def prepare(self) -> None:
        self.asked.append("prepare")
        if self.fails:
            raise self.fails

    def forget(self) -> None:
        self.asked.append("forget")

    def close(self) -> None:
        self.asked.append("close")


@pytest.mark.parametrize("fails", [None, Conflict("the database is away"), OSError("disk"), ValueError("a file")])
def test_before_others_are_begun_it_gets_ready_and_goes_on_where_it_cannot(fails):
    reader = Watched(fails)
    processes._Pages(None, reader, {}).reload()
    assert reader.asked == (["prepare", "forget"] if fails else ["prepare"])


def test_what_a_copy_must_not_share_is_let_go_of_first():
    reader, before = Watched(), memory._database(1)
    processes._let_go(reader)
    assert reader.asked == ["close"]
    assert memory._database(1) is not before


def test_of_several_that_see_a_disposal_one_asks_for_others(monkeypatch):
    sent, told = [], np.zeros(1, np.int64)
    monkeypatch.setattr(os, "kill", lambda pid, signal: sent.append((pid, signal)))
    readers = [Watched() for _ in range(3)]
    for reader in readers:
        processes._begin(reader, SimpleNamespace(ppid=os.getppid()), told)
    for disposals in (1, 1, 2):
        for reader in readers:
            reader.on_disposal(disposals)
    assert sent == [(os.getppid(), signal.SIGHUP)] * 2
