"""Every macro of the pages on one page, of invented values, in a real browser: seen, heard, by keyboard, on paper."""

from __future__ import annotations

import math

import pytest
from browser import ROOT
from jinja2 import ChoiceLoader, FileSystemLoader, UndefinedError
from markupsafe import Markup, escape
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
        f'r="14" fill="#12263f"/><text x="{x:.1f}" y="{y + 30:.1f}" text-anchor="middle" font-size="14">N-{i:03d}</text></a>'
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
    "a": {"text": "Avery Stone", "href": "/nominal/1", "victim": False},
    "b": {"text": "Jo Reed", "href": "/nominal/2", "victim": True},
    "theme": "SOC", "strength": 1042, "unit": "points", "note": "One record behind this link was disposed of on 2 May 2025.",
    "supports": [
        support("R-1", 1000),
        support("I-77", 30, kind="intelligence", system="IMS", grade="B2C", scheme="5x5x5", handling="C", state="reduced",
                conditions="Not to be shown to the subject, nor acted on without the originator: " + HOSTILE,
                roles=[{"who": "Avery Stone", "role": "subject"}, {"who": "Jo Reed", "role": "witness"}]),
        support("C-9", 12, kind="custody", grade="", scheme="", handling=""),
    ],
}  # fmt: skip
CONTEXT = {
    "page": {
        "title": "Associations", "service": "Network archive", "force": "Northshire Police",
        "marking": "Official-Sensitive", "handling": "Police intelligence: for the person signed on only",
        "user": {"name": "A. Example", "role": "intelligence user"}, "sign_out": "/sign-out", "csrf": "token", "home": "/",
        "navigation": [{"text": text, "href": f"/{text}", "current": text == "Themes"}
                       for text in ("Themes", "Search", "Compare", "What was shown", "Help")],
        "trail": [{"text": "Themes", "href": "/"}, {"text": "Serious and organised crime", "href": None}],
        "reference": {"text": "2023-W11/SOC/associations/5f3a9c20e1b7", "href": "/cite/5f3a", "digest": "5f3a9c20" * 8},
        "footer": [{"text": "Report an error", "href": "/report"}, {"text": "Technical report", "href": "/technical"},
                   {"text": "Help and the yardstick", "href": "/help"}],
        "errors": [{"text": "Say which record or figure", "href": "#where"}, {"text": "There is no such day", "href": "#seen-day"}],
    },
    "build": {
        "asked": "Tuesday 14 March 2023 at 10:00", "past": True, "label": "2023-W11", "href": "/build/2023-W11",
        "live_from": "13 March 2023 06:00", "live_to": "20 March 2023 06:00", "cut_off": "12 March 2023 23:59",
        "root": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "verified": True,
        "verified_words": "Its root is in the log, whose head is signed and cosigned; checked today at 08:02.",
        "disposed": 3, "reduced": 1, "restricted": 2, "since_href": "/since", "open": True,
    },
    "moment": {"day": "14", "month": "3", "year": "2023", "time": "10:00"}, "moment_error": "",
    "builds": [{"label": f"2023-W{week:02d}", "words": f"live from week {week} of 2023", "value": f"2023-W{week:02d}"}
               for week in range(1, 53)],
    "link": LINK, "other": LINK | {"strength": 12_345}, "hostile": HOSTILE, "svg": drawing(),
    "network_table": Markup("<p>24 people.</p>"),
    "rows": [{"link": "Avery Stone and Jo Reed", "roles": ["suspect", "victim"], "state": "new", "colour": "blue", "strength": 1042},
             {"link": HOSTILE, "roles": ["witness"], "state": "", "colour": "", "strength": 87}],
    "pages": {"previous": "/?page=1", "next": "/?page=3", "showing": "51 to 100 of 1,204 links",
              "items": [{"number": 1, "href": "/?page=1", "current": False, "gap": False},
                        {"number": 2, "href": "/?page=2", "current": True, "gap": False},
                        {"number": 0, "href": "", "current": False, "gap": True},
                        {"number": 25, "href": "/?page=25", "current": False, "gap": False}]},
    "sides": [{"asked": "14 March 2023 at 10:00", "label": "2023-W11", "href": "/build/2023-W11", "links": 20117, "people": 12483},
              {"asked": "28 November 2026 at 09:00", "label": "2026-W47", "href": "/build/2026-W47", "links": 21900, "people": 12790}],
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


def test_axe_has_nothing_to_say(visit, address):
    visitor = visit(address)
    for query in ("", "?now", "?false"):
        visitor.page.goto("/" + query)
        assert visitor.axe() == []
