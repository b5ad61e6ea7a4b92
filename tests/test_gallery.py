"""Every macro of the pages on one page, of invented values, in a real browser: seen, heard, by keyboard, on paper."""

from __future__ import annotations

import math

import pytest
from browser import ROOT
from jinja2 import ChoiceLoader, FileSystemLoader
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from provenance.web.looks import POLICY, STATIC, environment

pytestmark = pytest.mark.skipif(
    not (STATIC / "manifest.json").exists(), reason="what pages are drawn with is not built here: `make assets` does"
)

HOSTILE = '<img src=x onerror="document.body.dataset.hit=1">'


def drawing() -> Markup:
    """24 people on a circle, each linked with two others; the first is a victim in a record."""
    at = [(400 + 330 * math.cos(math.tau * i / 24), 260 + 200 * math.sin(math.tau * i / 24)) for i in range(24)]
    links = [(i, (i + step) % 24) for i in range(24) for step in (1, 5)]
    lines = [
        f'<line class="edge" data-ends="n{a} n{b}" x1="{at[a][0]:.1f}" y1="{at[a][1]:.1f}" x2="{at[b][0]:.1f}" '
        f'y2="{at[b][1]:.1f}" stroke="#505a5f" stroke-width="{1 + a % 3}"/>'
        for a, b in links
    ]
    nodes = [
        f'<a data-node="n{i}" href="/nominal/{i}" aria-label="Nominal N-{i:03d}"><circle cx="{x:.1f}" cy="{y:.1f}" '
        f'r="14" fill="#12263f"/><text x="{x:.1f}" y="{y + 30:.1f}" text-anchor="middle">N-{i:03d}</text></a>'
        for i, (x, y) in enumerate(at)
    ]
    return Markup(f'<svg viewBox="0 0 800 520" role="group" aria-label="Network">{"".join(lines + nodes)}</svg>')


def support(record: str, contribution: int, **more) -> dict:
    return {
        "system": "CONNECT", "record": record, "href": f"/record/{record}", "kind": "crime", "on": "3 March 2023",
        "roles": [{"who": "Avery Stone", "role": "suspect"}, {"who": "Jo Reed", "role": "victim"}], "grade": "1AP",
        "scheme": "3x5x2", "handling": "P", "conditions": "", "contribution": contribution, "state": "",
    } | more  # fmt: skip


LINK = {
    "a": {"text": "Avery Stone", "href": "/nominal/1", "victim": False, "child": False},
    "b": {"text": "Jo Reed", "href": "/nominal/2", "victim": True, "child": True},
    "theme": "SOC", "strength": 1042, "unit": "points", "handling": "C",
    "note": "One record behind this link was disposed of on 2 May 2025.",
    "supports": [
        support("R-1", 1000),
        support("I-77", 30, kind="intelligence", system="IMS", grade="B2C", scheme="5x5x5", handling="C",
                state="reduced",
                conditions="Not to be shown to the subject, nor acted on without the originator: " + HOSTILE,
                roles=[{"who": "Avery Stone", "role": "subject"}, {"who": "Jo Reed", "role": "witness"}]),
        support("C-9", 12, kind="custody", grade="", scheme="", handling=""),
    ],
}  # fmt: skip
CONTEXT = {
    "page": {
        "title": "Associations", "service": "Network archive", "force": "Northshire Police",
        "marking": "Official-Sensitive", "handling": "Police intelligence: for the person signed on only",
        "user": {"name": "A. Example", "role": "intelligence user"}, "sign_out": "/sign-out",
        "csrf": "token", "home": "/",
        "navigation": [{"text": text, "href": f"/{text}", "current": text == "Themes"}
                       for text in ("Themes", "Search", "Compare", "What was shown", "Help")],
        "trail": [{"text": "Themes", "href": "/"}, {"text": "Serious and organised crime", "href": None}],
        "reference": {"text": "2023-W11/SOC/associations/5f3a9c20e1b7", "href": "/cite/5f3a", "digest": "5f3a9c20" * 8},
        "footer": [{"text": "Report an error", "href": "/report"}, {"text": "Technical report", "href": "/technical"},
                   {"text": "Help and the yardstick", "href": "/help"}],
        "errors": [{"text": "Say which record or figure", "href": "#where"},
                   {"text": "There is no such day", "href": "#seen-day"}],
    },
    "build": {
        "asked": "Tuesday 14 March 2023 at 10:00", "past": True, "label": "2023-W11", "href": "/build/2023-W11",
        "live_from": "13 March 2023 06:00", "live_to": "20 March 2023 06:00", "cut_off": "12 March 2023 23:59",
        "root": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "verified": True,
        "verified_words": "Its root is in the log, whose head is signed and cosigned; checked today at 08:02.",
        "disposed": 3, "reduced": 1, "restricted": 2, "since_href": "/since", "open": True,
    },
    "moment": {"day": "14", "month": "3", "year": "2023", "time": "10:00"}, "moment_error": "",
    "builds": Markup("").join(
        Markup('<option value="{0}"{1}>{0}, live from week {2} of 2023</option>').format(
            f"2023-W{week:02d}", Markup(" selected" if week == 11 else ""), week)
        for week in range(1, 53)),
    "link": LINK, "other": LINK | {"strength": 12_345}, "hostile": HOSTILE, "svg": drawing(),
    "network_table": Markup("<p>24 people.</p>"),
    "rows": [{"link": "Avery Stone and Jo Reed", "roles": ["suspect", "victim"], "state": "new", "colour": "blue",
              "strength": 1042},
             {"link": HOSTILE, "roles": ["witness"], "state": "", "colour": "", "strength": 87}],
    "pages": {"previous": "/?page=1", "next": "/?page=3", "showing": "51 to 100 of 1,204 links",
              "items": [{"number": 1, "href": "/?page=1", "current": False, "gap": False},
                        {"number": 2, "href": "/?page=2", "current": True, "gap": False},
                        {"number": 0, "href": "", "current": False, "gap": True},
                        {"number": 25, "href": "/?page=25", "current": False, "gap": False}]},
    "sides": [{"asked": "14 March 2023 at 10:00", "label": "2023-W11", "href": "/build/2023-W11", "links": 20117,
               "people": 12483},
              {"asked": "28 November 2026 at 09:00", "label": "2026-W47", "href": "/build/2026-W47", "links": 21900,
               "people": 12790}],
    "changed": [{"text": "Avery Stone and Jo Reed", "href": "/", "kind": "stronger", "before": 1042, "after": 1100,
                 "causes": [{"text": "new records", "change": 70}, {"text": "corrections of records", "change": -12}]},
                {"text": "Sam Hill and Jo Reed", "href": "/", "kind": "gone", "before": 12, "after": None,
                 "causes": [{"text": "records that were disposed of", "change": -12}]}],
}  # fmt: skip


def render(name: str = "gallery.html", **values) -> str:
    env = environment()
    env.loader = ChoiceLoader([env.loader, FileSystemLoader(ROOT / "tests" / "gallery")])
    return env.get_template(name).render(CONTEXT | values)


def gallery() -> Starlette:
    """The page and what it asks for, under the policy of the product."""

    def page(request) -> Response:
        values = {"build": CONTEXT["build"] | {"past": False, "live_to": None}} if "now" in request.query_params else {}
        if "false" in request.query_params:
            values = {"build": CONTEXT["build"] | {"verified": False, "verified_words": "Step 4: the root is another."},
                      "moment_error": "Month must be from 1 to 12"}  # fmt: skip
        return HTMLResponse(render(**values), headers={"Content-Security-Policy": POLICY})

    def evidence(request) -> Response:
        if "HX-Request" not in request.headers:
            return page(request)
        body = '{% from "macros/drawer.html" import evidence %}{{ evidence("later", link) }}'
        return HTMLResponse(
            environment().from_string(body).render(CONTEXT), headers={"Content-Security-Policy": POLICY}
        )

    return Starlette(
        routes=[Route("/", page), Route("/evidence", evidence), Mount("/static", StaticFiles(directory=STATIC))]
    )


@pytest.fixture(scope="module")
def address(served) -> str:
    return served(gallery())


def test_axe_has_nothing_to_say_of_any_state(visit, address):
    visitor = visit(address)
    for query in ("", "?now", "?false"):
        visitor.page.goto("/" + query)
        assert visitor.axe() == []
        visitor.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert visitor.axe() == []


def test_hostile_text_is_text(visit, address):
    visitor = visit(address)
    visitor.page.goto("/")
    assert visitor.page.get_attribute("body", "data-hit") is None
    assert HOSTILE in visitor.page.inner_text("main")
    assert visitor.page.locator("main img").count() == 0


def test_without_scripts_everything_is_there(visit, address):
    page = visit(address, java_script_enabled=False).page
    page.goto("/")
    page.select_option("#build", "2023-W20")
    page.click("text=Show this build")
    assert "build=2023-W20" in page.url
    assert "theme=SOC" in page.url  # the filters go on
    page.goto("/")
    page.click("#link-2 summary")
    page.click("#link-2 a")
    assert page.url.endswith("/evidence")
    page.goto("/")
    page.fill("#day", "20")
    page.press("#day", "Enter")
    assert "day=20&month=3&year=2023&time=10%3A00" in page.url


def test_by_keyboard_alone_a_moment_is_chosen_and_evidence_unfolded(visit, address):
    page = visit(address).page
    page.goto("/?now")
    page.evaluate("document.activeElement.blur()")  # the summary of errors takes the focus when there are any
    page.evaluate("window.getSelection().removeAllRanges(); document.body.tabIndex = -1; document.body.focus();")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
    page.focus("#day")
    for text in ("28", "2", "2023", ""):
        page.keyboard.press("Control+a")
        page.keyboard.type(text) if text else page.keyboard.press("Delete")
        page.keyboard.press("Tab")
    assert page.text_content("#words") == "Tuesday 28 February 2023"
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.id") != "build-range":
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-valuetext')").startswith("2023-W12, live from")
    assert page.input_value("#build") == "2023-W12"
    page.focus("#link-2 summary")
    page.keyboard.press("Enter")
    page.wait_for_selector("#link-2 >> text=Sum of 3 records")
    assert page.locator("#link-2 .app-victim").count() > 2


def test_a_day_that_is_none_is_said_while_it_is_typed(visit, address):
    page = visit(address).page
    page.goto("/")
    for day, month, time, words in (
        ("31", "2", "", "There is no such day."),
        ("1", "3", "9.5", "Wednesday 1 March 2023. The time is written as 14:30."),
        ("1", "3", "9:05", "Wednesday 1 March 2023 at 09:05"),
        ("x", "3", "", ""),
    ):
        page.fill("#day", day)
        page.fill("#month", month)
        page.fill("#time", time)
        assert page.text_content("#words") == words


def test_a_drawing_is_enlarged_moved_and_shown_whole_by_keys_buttons_and_pointer(visit, address):
    page = visit(address).page
    page.goto("/")

    def view() -> list[float]:
        return [float(part) for part in page.get_attribute("#network svg", "viewBox").split()]

    page.focus("#network .app-drawing")
    page.keyboard.press("+")
    assert view() == [80, 52, 640, 416]
    page.keyboard.press("ArrowRight")
    assert view() == [160, 52, 640, 416]
    page.keyboard.press("ArrowRight")
    assert view()[0] == 160  # no further than its edge
    page.keyboard.press("0")
    assert view() == [0, 0, 800, 520]
    page.click("#network >> text=+")
    page.locator("#network svg").scroll_into_view_if_needed()
    box = page.locator("#network svg").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 30, middle[1])
    page.mouse.up()
    assert view()[0] == pytest.approx(80 - 30 * 640 / box["width"], abs=1)
    page.click("#network >> text=Show all")
    assert view() == [0, 0, 800, 520]


def test_a_node_lights_up_what_touches_it_and_arrow_keys_go_to_the_next(visit, address):
    page = visit(address).page
    page.goto("/")
    assert page.locator("#network [data-node][tabindex='0']").count() == 1  # one stop of the Tab key, not 24
    page.focus("[data-node=n0]")
    lit = page.locator("#network .app-above > *")
    assert sorted(lit.locator("text").all_text_contents()) == ["N-000", "N-001", "N-005", "N-019", "N-023"]
    assert page.locator("#network .app-above line").count() == 4
    # A copy is for the eye alone: it takes no focus, leads nowhere and has no name of its own.
    assert page.locator("#network .app-above :is([id], [href], [tabindex], [data-node])").count() == 0
    assert page.locator("#network .app-here text").text_content() == "N-000"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.node") == "n1"
    assert page.locator("#network .app-tracing").count() == 1
    page.keyboard.press("Tab")
    assert page.locator("#network .app-tracing").count() == 0


def test_a_node_that_was_moved_out_of_sight_is_brought_back_when_it_takes_the_focus(visit, address):
    page = visit(address).page
    page.goto("/")
    page.focus("#network .app-drawing")
    for _ in range(6):
        page.keyboard.press("+")
    page.focus("[data-node=n0]")  # at the far right, and the middle was enlarged
    left, _, width, _ = (float(part) for part in page.get_attribute("#network svg", "viewBox").split())
    assert left < 730 < left + width


@pytest.mark.parametrize(("width", "zoom"), [(640, 2), (320, 4)], ids=["200 %", "400 %"])
def test_enlarged_nothing_is_cut_off(visit, address, width, zoom):
    page = visit(address, viewport={"width": width, "height": 450}, device_scale_factor=zoom).page
    page.goto("/")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_paper_the_marking_and_the_build_come_first_and_folded_evidence_is_unfolded(visit, address):
    page = visit(address).page
    page.goto("/?now")
    page.evaluate("document.querySelectorAll('main details').forEach(one => { one.open = false; })")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    for shown in (
        ".app-marking",
        ".app-build__asked",
        ".app-digest",
        "#link-1 >> text=Sum of 3 records",
        "#network svg",
    ):
        assert page.locator(shown).first.is_visible(), shown
    for hidden in (".app-navigation", ".app-tabs", ".app-filters", ".app-build__choose", ".app-drawing__tools"):
        assert not page.is_visible(hidden), hidden
    # The sum stands once, at the end: a browser would repeat a footer on each sheet.
    assert page.eval_on_selector("#link-1 tfoot", "one => getComputedStyle(one).display") == "table-row-group"
    assert page.eval_on_selector("#link-1 a", "one => getComputedStyle(one, '::after').content") == "none"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("main details[open]").count() == 0
    assert page.pdf(format="A4", tagged=True).startswith(b"%PDF")


def test_a_victim_is_said_in_a_word_and_a_shape_and_conditions_come_before_the_record():
    text = render()
    assert 'class="app-victim"><svg' in text
    assert text.index("Handling code C: 1 of 3 records has conditions.") < text.index(
        "Records behind the link of Avery Stone and Jo Reed"
    )
    assert text.index("Conditions of IMS I-77:") < text.index(">IMS I-77</a>")


def test_a_folded_link_says_who_is_a_victim_or_a_child_and_how_it_is_handled():
    folded = render().split('id="link-2"')[1].split("</summary>")[0]
    assert folded.index("Jo Reed") < folded.index("VICTIM") < folded.index("CHILD") < folded.index("12,345")
    assert folded.count("VICTIM") == folded.count("CHILD") == 1  # of two people
    assert "app-handling--c" in folded


def test_the_same_values_give_the_same_page():
    assert render() == render()
