"""A wrong link, from the page on which somebody sees it to the last who is told: R15, R43 and R46 as one story.

Ana and Ivo are shown that N-1 and N-2 are linked; the register of the source has it otherwise. A partner was sent it,
another partner was sent something else, a feed carries it. Uma was shown other people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from click.testing import CliRunner
from dashboard import ANALYST, USERS, Dashboard
from force import Force, record

from provenance import affected, entries, feeding, ledger, reporting, trail, vault, verify, viewing
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


def intelligence(grade: str) -> dict[str, object]:
    """A piece about N-3 and N-4, as its author graded it then."""
    said = {"kind": "intelligence", "offence_code": "", "grade_scheme": "3x5x2", "source_grade": grade}
    return record("I-1", "N-3:subject", "N-4:associate", **said, assessment_grade="B", handling="P")


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
        record("R-1", "N-1", "N-2"),
        record("R-2", "N-1", "N-2"),
        record("R-3", "N-3", "N-4"),
        record("R-4", "N-3", "N-4"),
        intelligence("1"),
    ]
    for week in WEEK[:2]:
        force.receive(*rows, cut_off=week, nominals=PEOPLE)
        force.build(week)
    web = Dashboard(force.archive, folder / "sessions")
    made = Story(force, web)
    made.pages["link"] = made.get(ANALYST, LINK)
    made.get(IVO, "/build/2026-W03/nominal?id=N-2")
    made.get(UMA, OTHER)
    made.get(UMA, "/build/2026-W03/SOC/change")  # totals, and nobody's row
    assert web.browser(ANALYST).get(LINK + "&format=csv").status_code == 200
    feeding.write(force.archive, folder / "bi", theme="", form="csv", on=DAY[1], by="k", under="memo")
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
        record("R-1", "N-1", "N-5"), record("R-3", "N-3", "N-4"), record("R-4", "N-3", "N-4"), intelligence("2"),
        cut_off=WEEK[2], nominals=PEOPLE,
    )  # fmt: skip
    force.build(WEEK[2])
    reporting.settle(archive, 1, corrected=True, carried="2026-W04", on=DAY[5], **FOUND)
    assert set(story.notices()) == waiting | {"1/rectified/3"}
    assert ("N-1", "N-2") not in force.pairs(WEEK[2])
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


# -- what a record has reached -----------------------------------------------------------------------------------------


def run(story: Story, *words: str, status: int = 0) -> str:
    where = ["--archive", str(story.force.root), "--keys", str(story.force.keys)]
    done = CliRunner().invoke(main, [*where, "affected", *words])
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture(scope="module")
def _granted(story):
    from provenance import granting

    archive = story.force.archive
    granting.grant(archive, "chief", role="administrator", on=DAY[0], by="tests", under="founding")
    for user, role in (("dee", "data-protection-officer"), ("aud", "auditor")):
        granting.grant(archive, user, role=role, on=DAY[0], by="chief", under="memo")


@pytest.mark.usefixtures("_granted")
def test_of_a_corrected_and_of_a_withdrawn_record_one_answer_has_all_it_reached(story):
    """R-1 was corrected to be about N-5, R-2 withdrawn; each is asked for by the command, and held to rows opened one
    at a time."""
    archive = story.force.archive
    for record_id, fate, columns in (("R-1", "corrected", ["people"]), ("R-2", "withdrawn", [])):
        size = archive.log.size
        said = json.loads(run(story, "CONNECT", record_id, "--by", "dee", "--purpose", "lawfulness", "--json"))
        assert (said["changed"]["fate"], said["changed"]["columns"], said["changed"]["extract"]) == (fate, columns, 3)
        assert said["builds"] == ["2026-W02", "2026-W03"] == slow_builds(story, record_id)
        assert said["links"] == [
            {"theme": "SOC", "people": ["N-1", "N-2"], "first": "2026-W02", "last": "2026-W03"}
        ] == slow_links(story, record_id)  # fmt: skip
        assert [each["network"] for each in said["networks"]] == slow_networks(story)
        assert said["people"] == 2  # N-1 and N-2
        who = {each["by"] for each in said["shown"]}
        assert who == {ANALYST, IVO}
        assert "Exported" in {each["act"] for each in said["shown"]}
        assert said["totals"] == 1  # of the changes that Uma saw
        assert [each["folder"] for each in said["feeds"]] == ["../bi"]
        sent = [each["recipient"] for each in said["sent"]]
        assert sent == (["Crown Prosecution Service"] if record_id == "R-1" else [])
        archive.refresh()
        (act,) = archive.log.acts(size, archive.log.size)
        assert (type(act), act.purpose, act.by, act.lines) == (entries.Traced, "lawfulness", "dee", len(said["shown"]))
        assert act.nominals == entries.packed([affected.token(archive, "CONNECT", record_id)])


@pytest.mark.usefixtures("_granted")
def test_of_a_regraded_record_it_is_said_what_was_regraded_and_who_saw_it_as_it_was(story):
    said = json.loads(run(story, "CONNECT", "I-1", "--by", "dee", "--purpose", "lawfulness", "--json"))
    assert (said["changed"]["fate"], said["changed"]["columns"]) == ("corrected", ["source_grade"])
    assert (said["builds"], {each["by"] for each in said["shown"]}) == (["2026-W02", "2026-W03"], {UMA})
    assert [each["people"] for each in said["links"]] == [["N-3", "N-4"]]
    assert said["sent"] == []  # the council was sent another record of theirs


def slow_builds(story: Story, record_id: str) -> list[str]:
    """Builds whose links rest on the record, asked one by one."""
    found = []
    for when, label in zip(WEEK, ("2026-W02", "2026-W03", "2026-W04"), strict=True):
        links = story.force.as_of(when).links(theme="SOC").to_pylist()
        if any((x["a"], x["b"]) == ("N-1", "N-2") and record_id in str(x["supports"]) for x in links):
            found.append(label)
    return found


def slow_links(story: Story, record_id: str) -> list[dict[str, object]]:
    builds = slow_builds(story, record_id)
    return [{"theme": "SOC", "people": ["N-1", "N-2"], "first": builds[0], "last": builds[-1]}]


def slow_networks(story: Story) -> list[str]:
    found = set()
    for when in WEEK[:2]:
        people = story.force.as_of(when).nominals(theme="SOC").to_pylist()
        found |= {row["network"] for row in people if row["nominal"] in ("N-1", "N-2")}
    return sorted(found - {""})


@pytest.mark.usefixtures("_granted")
def test_records_that_a_build_was_first_to_take_otherwise_are_listed(story):
    said = json.loads(run(story, "--build", "2026-W04", "--by", "dee", "--json"))
    found = [(each["record_id"], each["fate"]) for each in said["records"]]
    assert found == [("I-1", "corrected"), ("R-1", "corrected"), ("R-2", "withdrawn")]
    assert "CONNECT R-2: withdrawn by its source, received 2026-01-2" in run(
        story, "--build", "2026-W04", "--by", "dee"
    )
    assert json.loads(run(story, "--build", "2026-W03", "--by", "dee", "--json"))["records"] == []


@pytest.mark.usefixtures("_granted")
def test_of_a_report_the_command_says_what_the_notices_say(story):
    said = json.loads(run(story, "--report", "1", "--by", "dee", "--purpose", "integrity", "--json"))
    assert {each["by"] for each in said["shown"]} == {ANALYST, IVO}
    assert [each["recipient"] for each in said["sent"]] == ["Crown Prosecution Service"]
    assert said["changed"] is None
    text = run(story, "--report", "1", "--by", "dee", "--purpose", "integrity")
    assert "2 builds had it so: 2026-W02 to 2026-W03." in text


@pytest.mark.usefixtures("_granted")
def test_who_asks_says_what_for_and_may_see_names(story):
    story.force.archive.refresh()
    size = story.force.archive.log.size
    for words, status in (
        (("CONNECT", "R-1", "--by", "dee"), 2),
        (("CONNECT", "--by", "dee", "--purpose", "integrity"), 2),
        (("CONNECT", "R-1", "--report", "1", "--by", "dee", "--purpose", "integrity"), 2),
        (("CONNECT", "R-1", "--by", "aud", "--purpose", "integrity"), 3),
        (("CONNECT", "R-99", "--by", "dee", "--purpose", "integrity"), 5),
        (("--report", "9", "--by", "dee", "--purpose", "integrity"), 5),
    ):
        run(story, *words, status=status)
    story.force.archive.refresh()
    assert story.force.archive.log.size == size
    with pytest.raises(Malformed, match=r"^purpose is none that DPA"):
        trail.of_record(story.force.archive, "CONNECT", "R-1", purpose="gossip", on=DAY[8], by="dee", under="d")


def test_the_page_has_the_same_answer_and_is_for_who_may(story):
    assert "What rested on a record" in story.get(DPO, "/affected?system=CONNECT&record=R-1")
    assert 'value="R-1"' in story.get(DPO, "/affected?system=CONNECT&record=R-1")
    assert "Select what you read the trail for" in story.post(DPO, "/affected", 400, system="CONNECT", record="R-1")
    refused = story.post(DPO, "/affected", 400, system="CONNECT", record="R-99", purpose="integrity")
    assert "No record of that system and id" in refused
    told = story.post(DPO, "/affected", 200, system="CONNECT", record="R-1", purpose="integrity")
    for words in ("corrected by its source", "N-1 and N-2", "2 builds had it so", "Crown Prosecution Service", "../bi"):
        assert words in told, words
    for who in (ANALYST, USERS["auditor"], USERS["administrator"]):
        story.get(who, "/affected", 403)


def test_who_is_disposed_of_or_restricted_is_in_no_answer(story):
    """Last: it takes N-2 away."""
    archive = story.force.archive
    story.force.dispose("N-2", on=DAY[20])
    found = trail.of_record(archive, "CONNECT", "R-1", purpose="integrity", on=DAY[21], by="dee", under="d")
    assert "N-2" not in found.names.values()
    assert [link for link in found.affected.links if len(found.names.keys() & set(link.ends)) < 2] == []
    assert f"shown:{ANALYST}/in-error/1" in story.notices()  # who was told, stays told
    with pytest.raises(Missing):
        trail.of_record(archive, "CONNECT", "R-77", purpose="integrity", on=DAY[21], by="dee", under="d")
