"""Somebody says a page is wrong, somebody else finds out, and the page says so from then on; and who looked is told.

The force has two weeks. N-1 and N-2 are linked by two records, N-3 stands apart. Ana is an analyst, Dee the
data-protection officer, Aud an auditor; they come through a proxy.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from force import HARM, PARAMS, Force, record
from starlette.testclient import TestClient

from provenance import backups, entries, granting, openings, reporting, trail, verify, viewing
from provenance.asking import Ask
from provenance.asof import Snapshot
from provenance.cli import main
from provenance.errors import Malformed, Missing, Refused, Tampered
from provenance.reports import Report, subject
from provenance.trail import ABOUT, NAMED, Question
from provenance.web import passwords
from provenance.web.app import House, application
from provenance.web.reader import Reader
from provenance.web.settings import Settings
from provenance.web.signon import Desk
from provenance.world import now

WEEKS = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z")
DAY = [f"2026-02-{day:02d}T09:00:00Z" for day in range(1, 20)]
NOW = "2026-02-20T09:00:00Z"
WORDS = "The second record is a\nduplicate <script>alert(1)</script> Zebedee"
SAID = {"by": "root", "under": "a story"}
PROXY = Settings.model_validate_json(
    b'{"origin":"https://net.force.example","sign_on":{"by":"proxy","header":"X-Remote-User","addresses":["10.1.2.3"]}}'
)
pytestmark = pytest.mark.usefixtures("_few_rows")


@pytest.fixture
def force(tmp_path: Path) -> Iterator[Force]:
    made = Force(tmp_path)
    rows = [record("R-1", "N-1", "N-2"), record("R-2", "N-1", "N-2"), record("R-3", "N-3", "N-4")]
    for week in WEEKS:
        made.receive(*rows, cut_off=week, nominals=[{"nominal_id": f"N-{n}", "name": f"Zebedee {n}"} for n in (1, 2)])
        made.build(week)
        rows.append(record("R-9", "N-5", "N-6"))
    granting.grant(made.archive, "chief", role="administrator", on="2026-01-20T09:00:00Z", by="tests", under="founding")
    for user, role in (("ana", "analyst"), ("dee", "data-protection-officer"), ("aud", "auditor")):
        granting.grant(made.archive, user, role=role, on="2026-01-21T09:00:00Z", by="chief", under="memo")
    yield made
    made.archive.close()


def look(force: Force, ask: Ask, *, label: str = "2026-W02", on: str = DAY[0], by: str = "ana", case: str = "") -> int:
    """Somebody is shown a page; the entry's place."""
    built = force.archive.history.build(label)
    page = viewing.page(Snapshot(force.archive, built, None, case), None, ask)
    return viewing.log(force.archive, page, case=case, at="", on=on, by=by, under="analyst")


def person(*who: str) -> Ask:
    return Ask(view="nominal" if len(who) == 1 else "link", nominals=who)


def theme(view: str = "associations") -> Ask:
    return Ask(view=view, theme="SOC")


def report(force: Force, place: int, words: str = WORDS, wrong: str = "wrong-figure") -> Report:
    return reporting.report(force.archive, place, wrong=wrong, words=words, on=DAY[1], by="ana", under="analyst")


def settle(force: Force, number: int, **said: object) -> Report:
    given = {
        "finding": "in-error",
        "cause": "source-record",
        "corrected": True,
        "on": DAY[2],
        "by": "dee",
        "under": "m",
    }
    return reporting.settle(force.archive, number, **{**given, **said})


def faults(force: Force) -> list[str]:
    return [fault for step in verify.verify(force.archive) for fault in step.faults]


def everything(root: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


class Web:
    """The dashboard, as people of the story come to it."""

    def __init__(self, force: Force, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1771578000")  # NOW
        self.reader = Reader(force.archive)
        self.desk = Desk(PROXY, force.keys, grants=lambda: force.archive.history.grants, clock=lambda: NOW)
        self.app = application(self.reader, self.desk, House("Network archive", "force", "Official-Sensitive", ""))
        self.clients: dict[str, TestClient] = {}

    def of(self, who: str) -> TestClient:
        if who not in self.clients:
            headers = {"X-Remote-User": who, "origin": PROXY.origin}
            self.clients[who] = TestClient(
                self.app, base_url=PROXY.origin, client=("10.1.2.3", 40_000), headers=headers, follow_redirects=False
            )
        return self.clients[who]

    def get(self, who: str, path: str, status: int = 200) -> str:
        answer = self.of(who).get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, who: str, path: str, status: int = 200, **said: str):
        token = re.search(r'name="csrf" value="([^"]+)"', self.get(who, "/seen"))[1]
        answer = self.of(who).post(path, data={"csrf": token, **said})
        assert answer.status_code == status, answer.text
        return answer


@pytest.fixture
def web(force: Force, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    made = Web(force, monkeypatch)
    yield made
    made.desk.sessions.close()


# -- what is reported, and what becomes of it --------------------------------------------------------------------------


def test_what_a_reporter_says_is_sealed_and_the_log_has_codes_alone(force):
    held = report(force, look(force, person("N-1")))
    assert (held.number, held.act.wrong, held.act.label, held.finding) == (1, "wrong-figure", "2026-W02", None)
    assert held.subject == ("nominals", held.act.nominals)
    assert len(entries.unpacked(held.act.nominals)) == 1
    assert reporting.words(force.archive, held) == WORDS
    assert b"duplicate" not in everything(force.root)
    assert faults(force) == []


def test_the_words_die_with_the_person_and_the_report_stays(force):
    about, other = report(force, look(force, person("N-1"))), report(force, look(force, person("N-3")))
    force.dispose("N-1", on=DAY[3])
    assert reporting.words(force.archive, force.archive.history.report(about.number)) is None
    assert reporting.words(force.archive, force.archive.history.report(other.number)) == WORDS
    assert force.archive.history.report(1).act == about.act
    assert faults(force) == []


def test_words_about_nobody_in_particular_die_with_the_first_whose_row_the_page_opened(force):
    held = report(force, look(force, theme()))
    assert reporting.words(force.archive, held) == WORDS
    force.dispose("N-4", on=DAY[3])
    assert reporting.words(force.archive, held) is None


def test_what_is_gone_can_be_reported_no_more(force):
    place = look(force, person("N-1"))
    force.dispose("N-1", on=DAY[3])
    with pytest.raises(Missing, match=r"^page was about somebody who has since been disposed of"):
        report(force, place)
    assert force.archive.history.reports == []


@pytest.mark.parametrize("view", [0, 10_000, -1])
def test_only_a_page_that_was_shown_is_reported(force, view):
    with pytest.raises(Missing, match=rf"^log entry {view} is no page view"):
        report(force, view)


def test_a_report_says_what_is_wrong_in_a_code_and_not_too_much_in_words(force):
    place = look(force, person("N-1"))
    with pytest.raises(Malformed, match=r"^what is wrong is not said in a code that there is: wanted one of wrong-p"):
        report(force, place, wrong="it stinks")
    with pytest.raises(Malformed, match=r"^report has 2,001 characters: wanted at most 2,000$"):
        report(force, place, words="x" * 2_001)
    assert report(force, place, words=" \n ").act.files == ()


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ({"by": "ANA"}, Refused, r"^report 1 is settled by the person who made it: wanted somebody else$"),
        ({"finding": "guilty"}, Malformed, r"^finding is not said in a code that there is: wanted one of in-error"),
        ({"cause": "none"}, Malformed, r"^error has no cause: wanted one of "),
        ({"first": "2026-W03"}, Malformed, r"^first build in error is 2026-W03: wanted 2026-W02, which was shown"),
        ({"first": "2025-W01"}, Missing, r"^build 2025-W01 is not in this archive"),
        ({"carried": "2026-W02"}, Malformed, r"^correction is carried by 2026-W02: wanted a build after 2026-W02$"),
        ({"finding": "not-in-error"}, Malformed, r"^finding not-in-error has nothing to correct"),
    ],
)
def test_a_finding_that_cannot_be_meant_is_not_logged(force, said, error, message):
    report(force, look(force, person("N-1")))
    with pytest.raises(error, match=message):
        settle(force, 1, **said)
    assert force.archive.history.report(1).settled == ()


def test_a_finding_reaches_the_builds_in_error_and_pages_about_the_same_alone(force):
    held = report(force, look(force, person("N-1")))

    def wrong(label: str, ask: Ask, case: str = "") -> list[int]:
        tokens = force.archive.vault.tokens(viewing.vault.nominal_keys(viewing.pa.array(ask.nominals, "string")))
        packed = entries.packed(tokens.tolist())
        found = force.archive.history.in_error([label], ask.logged(), packed, case)
        return [each.number for each in found]

    assert wrong("2026-W02", person("N-1")) == []
    settle(force, held.number)
    for label in ("2026-W02", "2026-W03"):  # no build carries the correction yet
        assert wrong(label, person("N-1")) == [1]
    settle(force, held.number, carried="2026-W03")
    assert wrong("2026-W02", person("N-1")) == wrong("2026-W02", Ask(view="figures", nominals=("N-1",))) == [1]
    assert wrong("2026-W03", person("N-1")) == []
    for other in (person("N-2"), person("N-1", "N-2"), theme(), Ask(view="search", nominals=("N-1",))):
        assert wrong("2026-W02", other) == [], other
    settle(force, held.number, finding="not-in-error", cause="none", corrected=False)
    assert wrong("2026-W02", person("N-1")) == []
    assert len(force.archive.history.report(1).settled) == 3
    force.reopened()
    assert len(force.archive.history.report(1).settled) == 3


def test_what_a_case_was_shown_is_found_in_error_for_that_case_alone(force):
    held = report(force, look(force, person("N-1")))
    settle(force, held.number)
    held = force.archive.history.reports[0]
    force.archive.history.reports[0] = replace(held, act=replace(held.act, case="24/0113"))
    found = [
        force.archive.history.in_error(["2026-W02"], held.act.asked, held.act.nominals, c) for c in ("", "24/0113")
    ]
    assert [len(each) for each in found] == [0, 1]


def test_subjects_of_pages():
    assert subject(theme().logged(), "") != subject(theme("places").logged(), "")
    assert subject(Ask(view="network", network="SOC-2026-W02-001").logged(), "")[0] == "network"


@pytest.mark.parametrize("damage", ["changed", "removed", "stray"])
def test_verify_accounts_for_what_was_reported(force, damage):
    held = report(force, look(force, person("N-1")))
    path = force.root / held.act.files[0].path
    if damage == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        with pytest.raises(Tampered, match=r"^file reported/\w\w/\w+ has other bytes than those that were logged$"):
            reporting.words(force.archive, held)
    elif damage == "removed":
        path.unlink()
    else:
        (force.root / "reported" / "note.txt").write_text("a name")
    (fault,) = faults(force)
    name = "reported/note.txt" if damage == "stray" else held.act.files[0].path
    assert fault.startswith(f"file {name} ")


@pytest.mark.parametrize("damage", ["changed", "removed", "swapped"])
def test_verify_accounts_for_which_rows_pages_opened(force, damage):
    places = [look(force, person("N-1")), look(force, person("N-3"))]
    one, other = (
        force.root / "seen" / act.leaves[:2] / act.leaves[2:]
        for act in (next(force.archive.log.acts(p, p + 1)) for p in places)
    )
    if damage == "changed":
        one.write_bytes(b"nothing")
    elif damage == "removed":
        one.unlink()
    else:
        shutil.copy(other, one)
    (fault,) = faults(force)
    assert one.name in fault or f"seen {one.parent.name}{one.name}" in fault


# -- who was shown what ------------------------------------------------------------------------------------------------


def ask(force: Force, purpose: str = "integrity", **said: str) -> trail.Answer:
    return trail.trace(force.archive, Question(**said), purpose=purpose, on=DAY[9], by="dee", under="dpo")


def test_a_person_is_found_on_pages_about_them_and_on_pages_that_opened_a_row_of_theirs(force):
    mine, theirs = look(force, person("N-1")), look(force, person("N-3"), on=DAY[1])
    pair, all_ = look(force, person("N-1", "N-2"), by="bob"), look(force, theme("associations"), by="bob")
    found = ask(force, nominal="N-1")
    assert [(line.place, line.how) for line in found.lines] == [(mine, ABOUT), (pair, ABOUT), (all_, NAMED)]
    assert all(line.rows for line in found.lines)
    assert theirs not in {line.place for line in found.lines}
    assert found.untold == 0
    assert [line.place for line in ask(force, nominal="N-3").lines] == [theirs, all_]


def test_questions_by_user_build_case_and_period(force):
    first = look(force, person("N-1"), on="2026-02-01T23:30:00Z")
    second = look(force, person("N-1"), label="2026-W03", on="2026-02-02T00:30:00Z", by="bob")
    places = lambda **said: [line.place for line in ask(force, **said).lines]  # noqa: E731
    assert places() == [first, second]
    assert places(user="bob") == places(label="2026-W03") == places(first_day="2026-02-02") == [second]
    assert places(last_day="2026-02-01") == [first]
    assert places(case="24/0113") == []
    with pytest.raises(Malformed, match=r"^last day 2026-02-01 is before first day 2026-02-02"):
        Question(first_day="2026-02-02", last_day="2026-02-01")
    with pytest.raises(Malformed, match=r"^first day is not a date"):
        Question(first_day="yesterday")


def test_a_day_of_the_trail_is_a_day_in_london(force):
    place = look(force, person("N-1"), on="2026-06-30T23:30:00Z")  # 1 July, 00:30
    assert [line.place for line in ask(force, first_day="2026-07-01").lines] == [place]
    assert ask(force, last_day="2026-06-30").lines == ()


def test_who_reads_the_trail_says_what_for_and_is_in_the_log(force):
    look(force, person("N-1"))
    size = force.archive.log.size
    for purpose in ("", "curiosity", "lawfulness "):
        with pytest.raises(Malformed, match=r"^purpose is none that DPA 2018 s\.62\(4\) allows: wanted one of lawful"):
            ask(force, purpose=purpose)
    with pytest.raises(Missing, match=r"^no nominal of that id is here: it was never received, or was disposed of$"):
        ask(force, nominal="N-99")
    assert force.archive.log.size == size
    ask(force, nominal="N-1", user="ana", first_day="2026-01-01")
    (act,) = force.archive.acts(["Traced"])
    assert (act.purpose, act.by, act.user, act.first_day, act.lines) == ("integrity", "dee", "ana", "2026-01-01", 1)
    assert entries.unpacked(act.nominals)
    assert b"N-1" not in b"".join(force.archive.log.entries())


def test_the_trail_tells_nothing_when_the_log_would_not_take_the_question(force, monkeypatch):
    look(force, person("N-1"))
    monkeypatch.setattr(force.archive, "append", lambda *_: (_ for _ in ()).throw(OSError("No space left")))
    with pytest.raises(OSError, match="No space left"):
        ask(force)


def test_what_a_lost_or_forged_file_would_have_told_is_said_to_be_untold(force):
    place = look(force, theme())
    look(force, person("N-3"))
    act = next(force.archive.log.acts(place, place + 1))
    other = next(force.archive.log.acts(place + 1, place + 2))
    name = lambda leaves: force.root / "seen" / leaves[:2] / leaves[2:]  # noqa: E731
    shutil.copy(name(other.leaves), name(act.leaves))
    assert ask(force, nominal="N-1") == trail.Answer((), 1)


def test_a_disposed_person_is_named_by_no_line_of_the_trail(force):
    look(force, person("N-1", "N-2"))
    force.dispose("N-1", on=DAY[3])
    lines = trail.mine(force.archive, "ana")
    assert sorted(trail.names(force.archive, lines).values()) == ["N-2"]
    assert faults(force) == []


# -- copies ------------------------------------------------------------------------------------------------------------


def test_a_backup_brings_back_what_pages_opened_and_what_was_reported(force, tmp_path):
    place = look(force, person("N-1"))
    held = report(force, place)
    for name in ("params.yaml", "harm"):
        (force.root / name).mkdir(exist_ok=True) if name == "harm" else (force.root / name).touch()
    manifest = backups.make(force.archive, tmp_path / "backup", on=DAY[4], by="tests")
    assert {file.path.split("/")[0] for file in manifest.files} >= {"seen", "reported"}
    later = report(force, look(force, theme()))  # after it, and its words are lost with the machine
    shutil.rmtree(force.root / "reported")
    restored = tmp_path / "restored"
    backups.put_back(tmp_path / "backup", restored, force.keys, log=force.root / "log")
    backups.replay(restored, force.keys, PARAMS, HARM, on=DAY[5], by="tests", under="a story")
    from provenance.archive import Archive

    with Archive(restored, force.keys) as archive:
        assert reporting.words(archive, archive.history.report(held.number)) == WORDS
        assert len(archive.history.reports) == 2
        with pytest.raises(Missing, match=r"^file reported/"):
            reporting.words(archive, archive.history.report(later.number))
        assert [fault for step in verify.verify(archive) for fault in step.faults] == []
        assert list(openings.faults(archive)) != []


# -- the pages ---------------------------------------------------------------------------------------------------------

NOMINAL = "/build/2026-W02/nominal?id=N-1"


def test_from_a_page_to_its_report_to_the_finding_on_the_page(web, force):
    shown = web.get("ana", NOMINAL)
    place = re.search(r'href="/report/(\d+)">Report an error', shown)[1]
    form = web.get("ana", f"/report/{place}")
    assert "Write no names" in form
    refused = web.post("ana", f"/report/{place}", 400, words=WORDS)
    assert "Select what is wrong" in refused.text
    assert "&lt;script&gt;alert(1)" in refused.text
    sent = web.post("ana", f"/report/{place}", 303, wrong="wrong-figure", words=WORDS)
    assert sent.headers["location"] == "/finding/1"
    finding = web.get("ana", "/finding/1")
    assert "The report is in the log" in finding
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Zebedee" in finding
    digest = lambda page: re.search(r"SHA-256 of what is shown: <code>(\w+)", page)[1]  # noqa: E731
    assert "Later found to be in error" not in web.get("ana", NOMINAL)
    settle(force, 1, carried="2026-W03")
    after = web.get("ana", NOMINAL)
    assert "Later found to be in error" in after
    assert 'href="/finding/1"' in after
    assert digest(after) == digest(shown)
    for path in ("/build/2026-W03/nominal?id=N-1", "/build/2026-W02/nominal?id=N-2", "/build/2026-W02/SOC/places"):
        assert "Later found" not in web.get("ana", path)
    both = web.get("ana", "/build/2026-W03/nominal?id=N-1&since=2026-W02")
    assert "Later found to be in error" in both  # one of its sides was
    assert "2026-W03" in web.get("dee", "/finding/1")


def test_who_may_read_a_finding_and_the_words(web, force):
    granting.grant(force.archive, "bob", role="intelligence-user", on=DAY[5], by="chief", under="memo")
    web.get("ana", NOMINAL)
    place = force.archive.log.size - 1
    web.post("ana", f"/report/{place}", 303, wrong="other", words=WORDS)
    settle(force, 1)
    assert "duplicate" in web.get("dee", "/finding/1")
    told = web.get("aud", "/finding/1")
    assert "duplicate" not in told
    assert "for those who may see names" in told
    assert "not allowed to see who was shown what" in web.get("bob", "/finding/1", 403).lower()
    page = web.get("bob", NOMINAL)
    assert "Later found to be in error" in page
    assert "/finding/1" not in page
    assert "Report 2 is not in this archive" in web.get("dee", "/finding/2", 404)


def test_nobody_reports_what_another_was_shown_or_without_the_token_of_their_session(web, force):
    place = look(force, person("N-1"), by="bob")
    assert "Page was shown to somebody else" in web.get("ana", f"/report/{place}", 403)
    web.post("ana", f"/report/{place}", 403, wrong="other")
    web.get("ana", NOMINAL)
    mine = force.archive.log.size - 1
    assert web.of("ana").post(f"/report/{mine}", data={"wrong": "other"}).status_code == 403
    assert web.of("ana").post(f"/report/{mine}", data={"wrong": "other", "csrf": "x"}).status_code == 403
    web.get("ana", "/report/0", 404)
    web.get("chief", f"/report/{mine}", 403)
    assert force.archive.history.reports == []


def test_the_trail_page_wants_a_purpose_and_logs_it(web, force):
    web.get("ana", NOMINAL)
    web.get("ana", "/trail", 403)
    assert 'href="/trail"' not in web.get("ana", "/help")
    assert 'href="/trail"' in web.get("dee", "/trail")
    assert "Select what you read the trail for" in web.post("dee", "/trail", 400, nominal="N-1").text
    assert "No nominal of that id" in web.post("dee", "/trail", 400, nominal="N-99", purpose="integrity").text
    assert force.archive.acts(["Traced"]) == []
    told = web.post("dee", "/trail", purpose="lawfulness", nominal="N-1").text
    assert "1 act" in told
    assert "ana, analyst" in told
    (act,) = force.archive.acts(["Traced"])
    assert (act.by, act.under, act.purpose) == ("dee", "data-protection officer", "lawfulness")


def test_an_auditor_reads_the_trail_and_no_id(web, force):
    web.get("ana", NOMINAL)
    assert 'name="nominal"' not in web.get("aud", "/trail")
    web.post("aud", "/trail", 403, purpose="integrity", nominal="N-1")
    told = web.post("aud", "/trail", purpose="integrity").text
    assert "1 person not named" in told
    assert "N-1" not in told


def test_everybody_sees_what_they_saw_and_nothing_of_others(web, force):
    look(force, person("N-3"), by="bob")
    assert "None." in web.get("ana", "/seen")
    web.get("ana", NOMINAL)
    place = force.archive.log.size - 1
    mine = web.get("ana", "/seen")
    assert f'href="/seen/{place}"' in mine
    assert "N-1" in mine
    assert "N-3" not in mine
    assert "is what was shown" in web.get("ana", f"/seen/{place}")
    assert f'href="/report/{place}"' in web.get("ana", "/report")
    web.get("ana", f"/seen/{look(force, person('N-3'), by='bob')}", 403)


def test_help_papers_and_what_became_of_a_build(web, force):
    told = web.get("aud", "/help")
    for words in ("Realistic possibility", "are not probabilities", "Suspected to be false", "pagerank", "unverified"):
        assert words in told, words
    papers = web.get("ana", "/technical-report?build=2026-W02")
    assert "not supplied" in papers
    assert "Download" not in papers
    assert "Nothing was removed" in web.get("ana", "/build/2026-W02/since")
    (outcome,) = force.dispose("N-1", on=DAY[3])
    since = web.get("ana", "/build/2026-W02/since")
    (disposal,) = force.archive.history.disposals
    assert disposal.first.disposal in since
    assert disposal.certified.certificate in since
    assert "mopi review" in since
    assert "N-1" not in since
    assert outcome is not None
    web.get("ana", "/build/2020-W02/since", 404)


def test_a_paper_is_served_by_its_digest_and_nothing_else_is(web, force, monkeypatch):
    import hashlib

    from provenance import statements
    from provenance.web import helping

    paper, other = b"%PDF-1.7 <script>alert(1)</script>", b"a secret"
    digest, wrong = (hashlib.sha256(x).hexdigest() for x in (paper, other))
    (force.root / "papers").mkdir()
    (force.root / "papers" / "report.pdf").write_bytes(paper)
    (force.root / "papers" / "other.pdf").write_bytes(other)
    real = type(force.archive).stated

    class Stated:
        documents = (statements.Document(name="technical_report", version="3", digest=digest),)

    assert "not in the archive" in web.get("ana", f"/technical-report/{digest}", 404)  # no build names it
    monkeypatch.setattr(type(force.archive), "stated", lambda *_: Stated)
    assert f'href="/technical-report/{digest}"' in web.get("ana", "/technical-report?build=2026-W02")
    answer = web.of("ana").get(f"/technical-report/{digest}")
    assert answer.content == paper
    assert answer.headers["content-disposition"] == 'attachment; filename="report.pdf"'
    for name in (wrong, "..%2F..%2Farchive.json", "report.pdf"):
        web.get("ana", f"/technical-report/{name}", 404)
    (force.root / "papers" / "report.pdf").write_bytes(paper + b"!")
    web.get("ana", f"/technical-report/{digest}", 404)
    assert real is not None
    assert helping.YARDSTICK[0][0] == "Remote chance"


def test_search_from_anywhere_and_short_citations(web, force):
    assert re.match(r"/at/[^/]+/search\?q=Ze", web.of("ana").get("/search?q=Ze").headers["location"])
    shown = web.get("ana", NOMINAL)
    digest = re.search(r"SHA-256 of what is shown: <code>(\w+)", shown)[1]
    for text in (digest, digest[:16], digest[:12]):
        answer = web.of("ana").get(f"/cite/2026-W02/nominal/{text}")
        assert (answer.status_code, answer.headers["location"]) == (303, NOMINAL)
    for text in (digest[:11], "0" * 16, digest[:16].upper()):
        assert "No page was shown under that reference" in web.get("ana", f"/cite/2026-W02/nominal/{text}", 404)


def test_in_a_browser_somebody_signs_on_reports_and_is_told(force, served, visit, monkeypatch):
    """A form says which site it comes from: under `no-referrer` a browser would not say, and each would be refused."""
    monkeypatch.setattr(passwords, "COST", passwords.Cost(2, 8, 1))
    for user in ("ana", "dee"):
        passwords.set_password(force.keys, user, "correct horse battery")
    local = {"by": "local"}
    desk = Desk(
        Settings.model_validate({"origin": "http://localhost", "sign_on": local}), force.keys,
        grants=lambda: force.archive.history.grants, clock=now,
    )  # fmt: skip
    house = House("Network archive", "force", "Official-Sensitive", "")
    base = served(application(Reader(force.archive), desk, house))
    desk.settings = Settings.model_validate({"origin": base, "sign_on": local})

    def signed_on(user: str, path: str):
        visitor = visit(base)
        visitor.page.goto(path)
        visitor.page.fill("#user", user)
        visitor.page.fill("#password", "correct horse battery")
        visitor.page.keyboard.press("Enter")
        visitor.page.wait_for_url(f"**{path}")
        return visitor

    ana = signed_on("ana", NOMINAL)
    ana.page.get_by_role("link", name="Report an error").focus()
    ana.page.keyboard.press("Enter")
    ana.page.wait_for_url("**/report/*")
    assert ana.axe() == []
    ana.page.get_by_label("A figure, a date").focus()
    ana.page.keyboard.press("Space")
    ana.page.get_by_label("Say more").fill(WORDS)
    ana.page.get_by_role("button", name="Send the report").focus()
    ana.page.keyboard.press("Enter")
    ana.page.wait_for_url("**/finding/1")
    assert ana.page.get_by_text("duplicate <script>").is_visible()
    assert ana.axe() == []
    settle(force, 1)
    ana.page.goto(NOMINAL)
    assert ana.page.get_by_role("heading", name="Later found to be in error").is_visible()
    assert ana.axe() == []
    for path in ("/seen", "/report", "/help", "/technical-report", "/build/2026-W02/since"):
        ana.page.goto(path)
        assert ana.axe() == [], path
    dee = signed_on("dee", "/trail")
    assert dee.axe() == []
    dee.page.get_by_label("To verify that").check()
    dee.page.get_by_label("Nominal, by id").fill("N-1")
    dee.page.get_by_role("button", name="Read the trail").click()
    dee.page.get_by_role("link", name="Entry").first.wait_for()
    assert dee.axe() == []


# -- the command line --------------------------------------------------------------------------------------------------


def command(force: Force, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["--archive", str(force.root), *words])
    assert done.exit_code == code, done.output
    return done.output


def test_cite_says_what_a_reference_stands_for_and_what_became_of_it(force):
    place = look(force, person("N-1"))
    digest = next(force.archive.log.acts(place, place + 1)).shown
    reference = f"2026-W02/nominal/{digest[:16]}"
    said = json.loads(command(force, "cite", reference, "--json"))
    assert (said["entry"], said["same"], said["first_shown"], said["address"]) == (place, True, DAY[0], NOMINAL)
    assert said["reference"] == f"2026-W02/nominal/{digest}"
    assert "the same page, worked out again" in command(force, "cite", reference)
    force.dispose("CONNECT R-1", on=DAY[3])
    said = json.loads(command(force, "cite", reference, "--json"))
    assert (said["verdict"], said["same"]) == ("lawfully less", False)
    assert said["gone"]["mopi-review"] > 0
    force.dispose("N-1", on=DAY[4])
    assert json.loads(command(force, "cite", reference, "--json"))["address"] == ""
    assert "whom it was about was disposed of" in command(force, "cite", reference)
    assert "no page was shown under that reference" in command(force, "cite", "2026-W02/nominal/000000000000", code=5)


def test_errors_from_report_to_finding_on_the_command_line(force, tmp_path):
    place = look(force, person("N-1"))
    digest = next(force.archive.log.acts(place, place + 1)).shown
    (tmp_path / "words").write_text(WORDS)
    assert "Nothing is reported." in command(force, "errors", "list")
    made = command(
        force, "errors", "report", f"2026-W02/nominal/{digest[:16]}", "--wrong", "other", "--words",
        str(tmp_path / "words"),
    )  # fmt: skip
    assert "Report 1 is in the log" in made
    assert "OPEN" in command(force, "errors", "list")
    assert "duplicate" in command(force, "errors", "show", "1")
    words = ["errors", "settle", "1", "--finding", "in-error", "--cause", "identity", "--by", "dee", "--under", "memo"]
    assert "in 2 builds, 2026-W02 to 2026-W03" in " ".join(command(force, *words).split())
    shown = json.loads(command(force, "errors", "show", "1", "--json"))
    assert (shown["settled"][0]["cause"], shown["words"]) == ("identity", WORDS)
    assert "Nothing is open." in command(force, "errors", "list", "--open")
    command(force, "errors", "show", "2", code=5)


def test_the_trail_on_the_command_line_wants_somebody_who_may(force):
    look(force, person("N-1"))
    words = ["trail", "--purpose", "integrity", "--nominal", "N-1"]
    told = json.loads(command(force, *words, "--by", "dee", "--json"))
    assert [(act["by"], act["subjects"], act["how"]) for act in told["acts"]] == [("ana", ["N-1"], "about")]
    assert "ana (analyst)" in " ".join(command(force, *words, "--by", "dee").split())
    for who in ("ana", "aud", "nobody"):  # not the trail; not by a name; nobody at all
        assert "not allowed to see who" in command(force, *words, "--by", who, code=3)
    told = command(force, "trail", "--purpose", "integrity", "--by", "aud")
    assert "1 person" in told
    assert "N-1" not in told
    command(force, "trail", "--by", "dee", code=2)
