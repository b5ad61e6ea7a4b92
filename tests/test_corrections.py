"""A wrong link, from the page on which somebody sees it to the last recipient who is told: R15, R43 and R46 as one story.

Ana and Ivo are shown that N-1 and N-2 are linked; the register of the source has it otherwise. A partner was sent it,
another partner was sent something else, a feed carries it. Uma was shown other people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from dashboard import ANALYST, USERS, Dashboard
from force import Force, record

from provenance import affected, entries, feeding, ledger, reporting, trail, vault, verify, viewing
from provenance.asking import Ask
from provenance.cli import main
from provenance.errors import Conflict, Malformed, Missing, Refused

WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z"]
DAY = [f"2026-02-{day:02d}T09:00:00Z" for day in range(1, 28)]
PEOPLE = [{"nominal_id": f"N-{n}", "name": f"Zebedee {n}"} for n in range(1, 7)]
LINK, OTHER = "/build/2026-W03/link?id=N-1&id=N-2", "/build/2026-W03/nominal?id=N-3"
IVO, UMA, DPO = USERS["intelligence-user"], USERS["retention-officer"], USERS["data-protection-officer"]
FOUND = {"finding": "in-error", "cause": "source-record", "first": "2026-W02", "under": "minute 12", "by": DPO}
pytestmark = pytest.mark.usefixtures("_few_rows")


@dataclass
class Story:
    """The force, its dashboard, and what was said on the way."""

    force: Force
    web: Dashboard
    pages: dict[str, str] = field(default_factory=dict)

    def get(self, who: str, path: str, status: int = 200) -> str:
        answer = self.web.browser(who).get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, who: str, path: str, status: int = 303, **said: str) -> str:
        visitor = self.web.browser(who)
        visitor.headers["origin"] = "http://127.0.0.1:8000"
        token = re.search(r'name="csrf" value="([^"]+)"', visitor.get("/seen").text)[1]
        answer = visitor.post(path, data={"csrf": token, **said}, follow_redirects=False)
        assert answer.status_code == status, answer.text
        return answer.text

    def notices(self) -> dict[str, bool]:
        """By name, and whether each was told."""
        return {each.name: each.told is not None for each in ledger.notices(self.force.archive)}


def token(force: Force, who: str) -> int:
    return int(force.archive.vault.tokens(vault.nominal_keys([who]))[0])


def send(force: Force, recipient: str, people: tuple[str, ...], record_id: str) -> ledger.Entry:
    return ledger.send(
        force.archive, what="pack", title="answer with proof", recipient=recipient, basis="DPA 2018 s.35",
        digest="ab" * 32, nominals=[token(force, who) for who in people],
        records=[affected.token(force.archive, "CONNECT", record_id)], on=DAY[2], by="officer", under="memo",
    )  # fmt: skip


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Two weeks that are wrong, looked at, sent out and fed; the tests below go on from there, in their order."""
    folder = tmp_path_factory.mktemp("corrections")
    force = Force(folder)
    rows = [
        record("R-1", "N-1", "N-2", source_grade="", place="WM-001"),
        record("R-2", "N-1", "N-2"),
        record("R-3", "N-3", "N-4"),
        record("R-4", "N-3", "N-4"),
    ]
    for week in WEEK[:2]:
        force.receive(*rows, cut_off=week, nominals=PEOPLE)
        force.build(week)
    web = Dashboard(force.archive, folder / "sessions")
    made = Story(force, web)
    made.pages["link"] = made.get(ANALYST, LINK)
    made.get(IVO, "/build/2026-W03/nominal?id=N-2")
    made.get(UMA, OTHER)
    made.get(UMA, "/build/2026-W03/SOC/places")  # totals, and nobody's row of the link
    assert web.browser(ANALYST).get(LINK + "&format=csv").status_code == 200
    feeding.feed(force.archive, folder / "bi", theme="", form="csv", on=DAY[1], by="k", under="memo")
    send(force, "Crown Prosecution Service", ("N-1", "N-2"), "R-1")
    send(force, "County Council", ("N-3", "N-4"), "R-3")
    yield made
    web.close()
    force.archive.close()


def test_a_wrong_link_is_reported_found_corrected_and_everybody_is_told(story):
    force, archive = story.force, story.force.archive

    # It is reported from the page, and taken up by somebody else.
    place = re.search(r'href="/report/(\d+)">Report an error', story.pages["link"])[1]
    story.post(ANALYST, f"/report/{place}", wrong="wrong-link", words="R-1 is about somebody else")
    assert "Nobody has settled" in story.get(DPO, "/finding/1")
    with pytest.raises(Refused, match=r"^report 1 would be looked into by the person who made it"):
        reporting.triage(archive, 1, urgency="week", to=ANALYST, on=DAY[3], by="chief", under="memo")
    with pytest.raises(Malformed, match=r"^urgency is not said in a code that there is: wanted one of today, week"):
        reporting.triage(archive, 1, urgency="soon", to="ray", on=DAY[3], by="chief", under="memo")
    reporting.triage(archive, 1, urgency="week", to="ray", on=DAY[3], by="chief", under="memo")
    assert "ray looks into it" in story.get(DPO, "/finding/1")
    assert story.notices() == {}

    # It is found to be in error: the page says so, and what it showed is the same.
    reporting.settle(archive, 1, corrected=False, on=DAY[4], **FOUND)
    digest = lambda page: re.search(r"SHA-256 of what is shown: <code>(\w+)", page)[1]  # noqa: E731
    for where in (LINK, "/build/2026-W02/link?id=N-1&id=N-2"):
        assert "Later found to be in error" in story.get(ANALYST, where)
    assert digest(story.get(ANALYST, LINK)) == digest(story.pages["link"])
    assert "Later found" not in story.get(UMA, OTHER)
    assert "No build shows what is right yet" in ledger.draft(archive, ledger.notices(archive)[0])

    # Everybody who has it is to be told, and nobody who has not.
    waiting = {
        f"shown:{ANALYST}/in-error/1", f"shown:{IVO}/in-error/1", "feed:../bi/in-error/1", "origin/in-error/1",
        "1/in-error/1",
    }  # fmt: skip
    assert story.notices() == dict.fromkeys(sorted(waiting), False)
    assert ledger.shown_to(archive, UMA, {}) == []

    # The source corrects it, the next build carries it: the record is otherwise, so the partner is told of that too.
    force.receive(
        record("R-1", "N-1", "N-5", place="WM-001"), record("R-3", "N-3", "N-4"), record("R-4", "N-3", "N-4"),
        cut_off=WEEK[2], nominals=PEOPLE,
    )  # fmt: skip
    force.build(WEEK[2])
    reporting.settle(archive, 1, corrected=True, carried="2026-W04", on=DAY[5], **FOUND)
    assert set(story.notices()) == waiting | {"1/rectified/3"}
    assert ("N-1", "N-2") not in force.pairs("2026-W04" and WEEK[2])
    assert ("N-1", "N-2") in force.pairs(WEEK[1])

    # The page of the old build says so for ever, without a change to what was shown; the new one does not.
    again = story.get(ANALYST, LINK)
    assert "Later found to be in error" in again
    assert digest(again) == digest(story.pages["link"])
    _, act = viewing.find(archive, f"2026-W03/link/{digest(again)}")
    assert story.web.reader.replay(act).verdict == viewing.SAME
    assert "Later found" not in story.get(ANALYST, "/build/2026-W04/nominal?id=N-1")

    # Who was shown it is told on the dashboard and says that they have read it; the others by the ledger.
    assert "Something that you were shown was found to be in error" in story.get(ANALYST, "/")
    assert "Something that you were shown" not in story.get(UMA, "/")
    assert "is right from build 2026-W04 on" in story.get(ANALYST, "/seen")
    theirs = f"shown:{IVO}/in-error/1"
    assert "Notice is not one of yours" in story.post(ANALYST, "/seen", 403, notice=theirs)
    story.post(ANALYST, "/seen", notice=f"shown:{ANALYST}/in-error/1")
    assert "You confirmed on" in story.get(ANALYST, "/seen")
    assert "Something that you were shown" not in story.get(ANALYST, "/")
    for name, told in story.notices().items():
        if not told:
            ledger.notify(archive, name, means="secure mail", on=DAY[6], by="officer", under="memo")
    assert set(story.notices().values()) == {True}
    with pytest.raises(Conflict, match=rf"^notice {re.escape(theirs)} was sent on"):
        ledger.notify(archive, theirs, means="secure mail", on=DAY[7], by="officer", under="memo")
    assert [fault for step in verify.verify(archive) for fault in step.faults] == []


def test_a_notice_says_what_to_do_and_names_nobody(story):
    texts = {each.name: ledger.draft(story.force.archive, each) for each in ledger.notices(story.force.archive)}
    for name, text in texts.items():
        assert not re.search(r"N-\d|Zebedee", text), name
        assert ("In error from build 2026-W02 on" in text) == name.endswith("in-error/1"), name
    assert "You were shown 3 pages that had to do with it" in texts[f"shown:{ANALYST}/in-error/1"]
    assert "ask us for it as it is now" in texts["1/in-error/1"]
    assert "correct the record" in texts["origin/in-error/1"]
    assert "read them anew" in texts["feed:../bi/in-error/1"]
