"""The dashboard in a real browser: every view by every role, by mouse, by keyboard, without scripts, and held to axe.

A small force whose sources are hostile in every text field, and a sample force of three weeks for the newcomer's story.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from dashboard import ANALYST, AUDITOR, HEADER, OFFICER, USERS, Dashboard
from force import PARAMS, Force, record
from starlette.datastructures import QueryParams

from pipeline.sample import weeks
from pipeline.sample.plan import Plan
from provenance import holding, moments, reporting
from provenance.errors import Malformed
from provenance.web import passwords, words
from provenance.web.looks import STATIC

pytestmark = [
    pytest.mark.usefixtures("_few_rows"),
    pytest.mark.skipif(
        not (STATIC / "manifest.json").exists(),
        reason="what pages are drawn with is not built here: `make assets` does",
    ),
]

WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z"]
LAST = "/build/2026-W04"
MARKUP = "<img src=x onerror=document.body.dataset.hit=1>"
QUOTED = "\"'><script>document.body.dataset.hit=2</script>"
EVIL = f"ANN{QUOTED}"  # an id
CASE = "24/0113"


def hostile_force(folder: Path) -> Force:
    """Three weeks; each text that a source may choose is markup."""
    force = Force(folder)
    said = {"kind": "intelligence", "offence_code": "", "grade_scheme": "3x5x2", "source_grade": "1"}
    said |= {"assessment_grade": "B", "handling": "C", "conditions": f"Ask first {MARKUP}{QUOTED}", "place": "WM-001"}
    rows = [
        record("R-1", EVIL, "BOB"),
        record(f"R-2{MARKUP}", EVIL, "BOB:victim"),
        record("R-3", EVIL, "CAT", status=MARKUP),
        record("R-4", EVIL, "CAT:victim", place=MARKUP[:40]),
        record("R-5", "BOB", "CAT:witness"),
        record(f"I-1{QUOTED}", "BOB:subject", "CAT:associate", **said),
        record("R-6", "DAN", "EVE:victim", themes="SOC;CL"),
        record("R-7", "DAN", "EVE", themes="SOC;CL"),
    ]
    people = [
        {"nominal_id": EVIL, "name": f"Annabel {MARKUP}", "born": "1990-01-01", "sex": "F", "ethnicity": QUOTED},
        {"nominal_id": "BOB", "name": f"Bobbin {QUOTED}", "is_child": "1"},
        {"nominal_id": "CAT", "name": "Catrin Vexleyholm"},
    ]
    later = record("R-8", "CAT", "DAN", "EVE", recorded_at="2026-01-20T12:00:00Z")
    for number, extract in enumerate((rows[:-1], rows, [*rows, later])):
        force.receive(*extract, cut_off=WEEK[number], nominals=people)
        force.build(WEEK[number])
    holding.place(
        force.archive, PARAMS, case=CASE, basis="inquiry", review_on="2026-09-01", on="2026-02-01T10:00:00Z",
        by="D. Officer", under="Inquiries Act", records=[("CONNECT", "R-3")],
    )  # fmt: skip
    force.dispose("CONNECT R-3", on="2026-02-02T10:00:00Z")
    return force


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("hostile")
    force = hostile_force(folder)
    made = Dashboard(force.archive, folder / "sessions")
    yield made
    made.close()
    force.archive.close()


@pytest.fixture(scope="module")
def address(dashboard, served) -> str:
    return dashboard.reached_at(served(dashboard.app))


@pytest.fixture
def come(address, visit):
    """`come(user)`: somebody of that name, signed on by the proxy."""
    return lambda user=ANALYST, **context: visit(address, extra_http_headers={HEADER: user}, **context)


def network(dashboard: Dashboard) -> str:
    return dashboard.reader.snapshot(label="2026-W04").networks(theme="SOC")["network"][0].as_py()


def every_page(dashboard: Dashboard) -> dict[str, str]:
    """By what a person would call it."""
    from urllib.parse import quote

    evil = quote(EVIL)
    return {
        "start": "/", "day": "/at/2026-01-18", "associations": f"{LAST}/SOC/associations",
        "change": f"{LAST}/SOC/change", "key nominals": f"{LAST}/SOC/key-nominals", "places": f"{LAST}/SOC/places",
        "network": f"{LAST}/network?id={network(dashboard)}", "nominal": f"{LAST}/nominal?id={evil}",
        "filtered": f"{LAST}/nominal?id=CAT&kind=intelligence&role=subject", "child": f"{LAST}/nominal?id=BOB",
        "link": f"{LAST}/link?id=BOB&id=CAT", "figures": f"{LAST}/figures?id={evil}", "search": f"{LAST}/search?q=an",
        "compared": f"{LAST}/nominal?id=CAT&since=2026-W02",
        "compared network": f"{LAST}/network?id={network(dashboard)}&since=2026-W02",
        "missing": f"{LAST}/nominal?id=NOBODY",
        "first": "/build/2026-W02/SOC/change", "empty": f"{LAST}/CSE/key-nominals",
    }  # fmt: skip


# ---- every page, as it is --------------------------------------------------------------------------------------------


def test_every_page_has_no_violation_and_shows_markup_as_text(dashboard, come):
    visitor = come()
    shown = ""
    for name, where in every_page(dashboard).items():
        answer = visitor.page.goto(where)
        assert answer.status == (404 if name == "missing" else 200), name
        assert visitor.axe() == [], name
        assert visitor.page.evaluate("document.body.dataset.hit") is None, name
        assert visitor.page.locator("h1").count() == 1, name
        shown += visitor.page.inner_text("main")
    visitor.forgive("404 (Not Found)")
    for text in (EVIL, f"Annabel {MARKUP}", f"Ask first {MARKUP}{QUOTED}", f"R-2{MARKUP}", f"I-1{QUOTED}", MARKUP[:40]):
        assert text in shown, "a text of the sources is nowhere on the pages, or not as it was written"


def test_no_page_is_wider_than_a_telephone(dashboard, come):
    visitor = come(viewport={"width": 390, "height": 900})
    for name, where in every_page(dashboard).items():
        visitor.page.goto(where)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390, name
    visitor.forgive("404 (Not Found)")


def test_the_banner_says_which_build_and_what_has_become_of_it(come):
    page = come().page
    page.goto("/at/2026-01-12T10:00/SOC/associations")
    banner = page.get_by_role("region", name="Which build answers").inner_text()
    for part in ("As it was on Monday 12 January 2026 at 10:00", "2026-W02", "Verified", "restricted", "reduced",
                  "Sunday 11 January 2026 at 23:59:59 to Sunday 18 January 2026 at 23:59:59"):  # fmt: skip
        assert part in re.sub(r"\s+", " ", banner)
    assert re.search(r"\b[0-9a-f]{64}\b", banner)
    page.goto("/")
    assert "As it is on" in page.get_by_role("region", name="Which build answers").inner_text()


# ---- moments ---------------------------------------------------------------------------------------------------------


def test_picker_and_slider_keep_the_page_and_change_the_build(come):
    page = come().page
    page.goto(f"{LAST}/nominal?id=CAT")
    page.get_by_text("Choose another moment").click()
    page.get_by_label("Day", exact=True).fill("12")
    page.get_by_label("Month", exact=True).fill("1")
    page.get_by_label("Year", exact=True).fill("2026")
    page.get_by_label("Time", exact=False).first.fill("10:00")
    assert "Monday 12 January 2026 at 10:00" in page.locator(".app-picker__words").inner_text()
    page.locator(".app-picker button").click()
    assert page.url.endswith("/at/2026-01-12T10:00/nominal?id=CAT")
    search = page.get_by_role("navigation").get_by_role("link", name="Search")
    assert search.get_attribute("href") == "/at/2026-01-12T10:00/search"  # and not to today
    page.get_by_text("Choose another moment").click()
    slider = page.locator("input[type=range]")
    assert slider.get_attribute("aria-valuetext").startswith("2026-W02")
    slider.focus()
    page.keyboard.press("End")
    assert "2026-W04" in page.locator(".app-slider__says").inner_text()
    page.locator(".app-slider button").click()
    assert page.url.endswith("/at/2026-01-25T23:59:59Z/nominal?id=CAT")
    page.get_by_text("Choose another moment").click()
    page.locator(".app-slider__step").first.click()
    assert "2026-W03" in page.get_by_role("region", name="Which build answers").inner_text()
    assert "id=CAT" in page.url


def test_a_day_that_is_none_is_told_as_it_was_typed():
    with pytest.raises(Malformed, match="no such day in the calendar: found day 31, month 2, year 2026"):
        words.typed(QueryParams("day=31&month=02&year=2026&time=10:00"))


def test_a_day_of_two_builds_asks_which_and_goes_to_the_same_page(come):
    page = come().page
    page.goto("/at/2026-01-18/nominal?id=CAT")
    assert "several builds were live" in page.inner_text("h1")
    page.get_by_role("link", name="2026-W02").click()
    assert "Nominal CAT" in page.inner_text("h1")
    assert "2026-W02" in page.get_by_role("region", name="Which build answers").inner_text()


def test_two_moments_side_by_side_with_the_causes_of_each_change(come):
    page = come().page
    page.goto(f"{LAST}/nominal?id=CAT")
    page.get_by_label("Compare with build").select_option("2026-W02")
    page.get_by_role("button", name="Compare").click()
    assert "two moments side by side" in page.inner_text("h1")
    rows = page.locator("#causes tbody tr")
    assert rows.count() > 2
    for row in rows.all():
        cells = [cell.inner_text().replace(",", "") for cell in row.locator("td, th").all()]
        if all(cell.lstrip("-−").isdigit() for cell in cells[2:]):
            before, after, *causes = (int(cell.replace("−", "-")) for cell in cells[2:])
            assert after - before == sum(causes)


# ---- evidence, search, replay ----------------------------------------------------------------------------------------


def test_the_evidence_drawer_adds_up_and_says_conditions_first(come):
    visitor = come()
    page = visitor.page
    page.goto(f"{LAST}/nominal?id=BOB")
    drawer = page.locator(".app-drawer").filter(has_text="CAT")
    drawer.locator("summary").click()
    drawer.locator(".app-evidence").wait_for()
    text = drawer.inner_text()
    assert text.index("Ask first") < text.index("CONNECT R-5")
    assert "1B" in text
    assert "3x5x2" in text
    assert "witness" in text
    strength = int(re.search(r"([\d,]+) points", drawer.locator("summary").inner_text())[1].replace(",", ""))
    shown = drawer.locator(".app-evidence tbody td:last-child").all_inner_texts()
    assert strength == int(drawer.locator(".app-evidence__sum td").inner_text().replace(",", ""))
    assert sum(int(cell) for cell in shown if cell.strip().isdigit()) in (strength, 2 * strength)
    assert visitor.axe() == []
    assert page.evaluate("document.body.dataset.hit") is None


def test_search_finds_by_name_and_id_and_never_who_is_not_there(come):
    page = come().page
    page.goto("/")
    page.get_by_label("Name or id").fill("vexley")
    page.get_by_role("button", name="Search").click()
    assert page.locator("#found tbody tr").count() == 1
    page.get_by_role("link", name="CAT", exact=True).click()
    assert "Catrin Vexleyholm" in page.inner_text("h1")
    page.goto(f"{LAST}/search?q=zz")
    assert "Nobody of that name or id is in this build" in page.inner_text("main")


def test_what_one_user_saw_is_shown_again_and_held_to_its_digest(dashboard, come):
    page = come().page
    page.goto(f"{LAST}/nominal?id=CAT")
    place = dashboard.archive.log.size - 1
    digest = page.locator(".app-reference code").inner_text()
    officer = come(OFFICER)
    officer.page.goto(f"/seen/{place}")
    text = officer.page.inner_text("main")
    assert "The same page, worked out again, is what was shown" in text
    assert digest in text
    assert ANALYST in text
    assert "2026-W04" in text
    assert officer.axe() == []
    officer.page.get_by_role("link", name="Show View").click()
    assert "Nominal CAT" in officer.page.inner_text("h1")
    page.locator(".app-reference__text").click()  # what is quoted leads back to the page
    assert page.url.endswith("/build/2026-W04/nominal?id=CAT")


# ---- roles -----------------------------------------------------------------------------------------------------------

NAMED, COUNTS = f"{LAST}/nominal?id=CAT", f"{LAST}/SOC/key-nominals"
MAY = {  # what each may open: a person's page, a theme's counts, another's replay, the case's page
    "intelligence-user": (200, 200, 403, 403), "analyst": (200, 200, 403, 403),
    "disclosure-officer": (200, 200, 200, 200),
    "retention-officer": (200, 200, 403, 403), "auditor": (403, 200, 200, 403),
    "data-protection-officer": (200, 200, 200, 403), "administrator": (403, 403, 200, 403),
}  # fmt: skip


@pytest.mark.parametrize("role", MAY)
def test_each_role_sees_what_it_may_and_is_refused_the_rest(dashboard, come, role):
    dashboard.browser(USERS["retention-officer" if role != "retention-officer" else "analyst"]).get(NAMED)
    place = dashboard.archive.log.size - 1
    visitor = come(USERS[role])
    answers = [NAMED, COUNTS, f"/seen/{place}", f"{NAMED}&case={CASE}"]
    assert tuple(visitor.page.goto(where).status for where in answers) == MAY[role]
    for where, status in zip(answers, MAY[role], strict=True):
        visitor.page.goto(where)
        if status == 403:
            assert "Not allowed" in visitor.page.inner_text("h1")
            assert "Vexleyholm" not in visitor.page.content()
    if role == "administrator":  # who is refused is told by a page that anybody can read
        visitor.page.goto(NAMED)
        assert visitor.axe() == []
    visitor.forgive("403 (Forbidden)")


def test_an_auditor_sees_counts_and_no_name_on_any_page(dashboard, come):
    visitor = come(AUDITOR)
    for where in ("/", LAST, *(f"{LAST}/SOC/{view}" for view in ("associations", "change", "key-nominals", "places"))):
        assert visitor.page.goto(where).status == 200
        content = visitor.page.content()
        for name in ("Annabel", "Bobbin", "Catrin", "Vexleyholm", ">CAT<", "id=CAT", "BOB", "DAN"):
            assert name not in content, (where, name)
    assert visitor.axe() == []
    assert "nominals" in visitor.page.goto(COUNTS).text()


def test_a_case_reads_what_is_restricted_for_it_and_another_case_nothing(come):
    officer = come(OFFICER)
    page = officer.page
    page.goto(f"{LAST}/link?id=CAT&id={EVIL.replace('&', '%26').replace('#', '%23')}")
    assert "R-3" not in page.inner_text("main")
    page.goto(f"{page.url}&case={CASE}")
    assert "R-3" in page.inner_text("main")
    assert f"What is restricted is shown for case {CASE}" in page.inner_text("main")
    assert officer.axe() == []
    assert page.goto(page.url.replace("0113", "0999")).status == 403
    officer.forgive("403 (Forbidden)")


# ---- sessions --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by_password(dashboard, served, tmp_path_factory) -> Iterator[tuple[Dashboard, str]]:
    """The same archive, with passwords."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", passwords.Cost(2, 8, 1))
        keys = tmp_path_factory.mktemp("passwords")
        passwords.set_password(keys, ANALYST, "correct horse battery")
        made = Dashboard(dashboard.archive, keys, said={"sign_on": {"by": "local"}})
        yield made, made.reached_at(served(made.app))
        made.close()


def sign_on(page) -> None:
    page.get_by_label("User name").fill(ANALYST)
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign on").click()


def test_a_session_that_expires_asks_again_and_goes_on_where_it_was(by_password, visit):
    dashboard, address = by_password
    visitor = visit(address)
    page = visitor.page
    page.goto(NAMED)
    assert "Sign on" in page.inner_text("h1")
    assert visitor.axe() == []
    page.get_by_label("User name").fill(ANALYST)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign on").click()
    assert "not right" in page.inner_text("main")
    visitor.forgive("401 (Unauthorized)")
    sign_on(page)
    assert "Nominal CAT" in page.inner_text("h1")
    dashboard.later(minutes=16)
    page.reload()
    assert "Sign on" in page.inner_text("h1")
    assert "Vexleyholm" not in page.content()
    sign_on(page)
    assert page.url.endswith(NAMED)
    page.get_by_role("button", name="Sign out").click()
    page.goto(NAMED)
    assert "Sign on" in page.inner_text("h1")


# ---- by keyboard, and without scripts --------------------------------------------------------------------------------


def test_with_the_keyboard_alone_from_the_start_to_the_evidence(come):
    page = come().page
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "govuk-skip-link"
    tab_to(page, "document.activeElement.name === 'q'")
    page.keyboard.type("vexley")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=vexley")
    tab_to(page, "document.activeElement.textContent === 'CAT'")
    page.keyboard.press("Enter")
    page.wait_for_url("**/nominal?id=CAT")
    tab_to(page, "document.activeElement.matches('.app-drawing, .app-drawing *')")
    tab_to(page, "document.activeElement.matches('.app-drawer summary')")
    page.keyboard.press("Enter")
    page.locator(".app-drawer[open] .app-evidence").wait_for()
    tab_to(page, "document.activeElement.closest('.app-reference') !== null")


def tab_to(page, wanted: str, most: int = 80) -> None:
    """Press Tab until the focus is there; each stop is one that can be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(wanted):
            return
    raise AssertionError(f"{most} stops and never there: {wanted}")


def test_without_scripts_everything_is_reached(dashboard, come):
    visitor = come(java_script_enabled=False)
    page = visitor.page
    for where in every_page(dashboard).values():
        page.goto(where)
        assert page.locator("h1").count() == 1
    visitor.forgive("404 (Not Found)")
    page.goto(f"{LAST}/nominal?id=BOB")
    drawer = page.locator(".app-drawer").filter(has_text="CAT")
    drawer.locator("summary").click()
    drawer.get_by_role("link", name="Show the records behind it").click()
    assert "Ask first" in page.inner_text("main")
    page.get_by_text("Choose another moment").click()
    page.locator(".app-slider select").select_option(index=0)
    page.locator(".app-slider button").click()
    assert "2026-W02" in page.get_by_role("region", name="Which build answers").inner_text()


# ---- what went wrong -------------------------------------------------------------------------------------------------


def test_what_rested_on_a_record_and_the_notice_of_an_error_have_no_violation(dashboard, come):
    reader, officer = come(), come(USERS["data-protection-officer"])
    reader.page.goto(NAMED)
    place = dashboard.archive.log.size - 1
    page = officer.page
    page.goto("/affected")
    assert officer.axe() == []
    page.get_by_role("button", name="Show what rested on it").click()
    assert "Select what you read the trail for" in page.inner_text("main")
    assert officer.axe() == []
    officer.forgive("400 (Bad Request)")
    page.get_by_label("System that the record is in").fill("CONNECT")
    page.get_by_label("Record, by its id").fill("R-4")
    page.locator("input[name=purpose]").first.check()
    page.get_by_role("button", name="Show what rested on it").click()
    assert "Who was shown it or took it away" in page.inner_text("main")
    assert ANALYST in page.locator("#shown").inner_text()
    assert officer.axe() == []

    said = {"under": "minute 12", "on": "2026-02-03T10:00:00Z"}
    made = reporting.report(dashboard.archive, place, wrong="wrong-link", words="", by=ANALYST, **said)
    reporting.settle(
        dashboard.archive, made.number, finding="in-error", cause="source-record", corrected=False, first="2026-W02",
        by=USERS["data-protection-officer"], **said,
    )  # fmt: skip
    for where in ("/", "/seen", NAMED):
        reader.page.goto(where)
        assert "found to be in error" in reader.page.inner_text("main").lower(), where
        assert reader.axe() == [], where


# ---- a newcomer ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, served) -> Iterator[str]:
    """The sample force of three weeks up to 15 March."""
    folder = tmp_path_factory.mktemp("sample")
    plan = Plan(records=1_000, weeks=3, seed=7, monday=date(2026, 2, 23))
    weeks.write(plan, folder / "told")
    force = Force(folder)
    for number, week in enumerate(sorted((folder / "told").iterdir())):
        cut_off = moments.utc(plan.cut_off(number))
        force.take(week, on=cut_off)
        force.build(cut_off)
    made = Dashboard(force.archive, folder / "sessions")
    links = made.reader.snapshot(when="2026-03-14T10:00").links(theme="SOC").to_pylist()
    yield made.reached_at(served(made.app)), max(links, key=lambda link: link["strength"])["a"]
    made.close()
    force.archive.close()


def test_a_newcomer_asks_what_was_shown_on_14_march_and_why_in_five_clicks(sample, visit):
    address, who = sample
    page = visit(address, extra_http_headers={HEADER: ANALYST}).page
    page.goto("/")
    clicks = []

    def click(what) -> None:
        what.click()
        clicks.append(what)

    for name, value in (("Day", "14"), ("Month", "3"), ("Year", "2026")):
        page.get_by_label(name, exact=True).fill(value)
    click(page.locator(".app-picker button"))
    page.get_by_label("Name or id").fill(who)
    click(page.get_by_role("button", name="Search"))
    click(page.get_by_role("link", name=who, exact=True))
    click(page.locator(".app-drawer summary").first)
    page.locator(".app-drawer[open] .app-evidence").wait_for()
    banner = page.get_by_role("region", name="Which build answers").inner_text()
    assert "As it was on Saturday 14 March 2026" in re.sub(r"\s+", " ", banner)
    assert "2026-W10" in banner
    assert "the strength of this link" in page.locator(".app-evidence").first.inner_text()
    assert len(clicks) <= 5
