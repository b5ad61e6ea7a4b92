"""The dashboard as a web application: who is at the door, what every answer carries, and where each page is.

Every answer forbids to be stored, framed or referred from; pages run no script and no style but their own (`looks`).
What goes wrong is a page too, in the words of the error; of an error that nobody foresaw it says nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from provenance import access
from provenance.database import Unreached
from provenance.errors import Conflict, Malformed, Missing, ProvenanceError, Refused, Tampered
from provenance.maps import Outline
from provenance.web import looks, metrics
from provenance.web.door import SignOn
from provenance.web.helping import Helping
from provenance.web.looks import House
from provenance.web.oversight import Oversight
from provenance.web.pages import Pages
from provenance.web.reader import Reader
from provenance.web.sessions import TooMany
from provenance.web.signon import Desk, NotSignedOn, Person, Visits, sign_on_path

HEADERS = {
    "Content-Security-Policy": looks.POLICY,
    "Cache-Control": "no-store",
    # Not `no-referrer`: with it, browsers hide from us which site a form was sent from, and each would be refused.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_STATUS = {TooMany: 429, Unreached: 503, Missing: 404, Malformed: 400, Refused: 403, Conflict: 409, Tampered: 500}
_OPEN = ("/static/", "/health", "/metrics", "/sign-o")  # answered to whoever asks
_log = logging.getLogger("provenance.web")


def application(reader: Reader, desk: Desk, house: House, outline: Outline | None = None) -> Starlette:
    """The dashboard over an open archive."""
    environment = looks.environment()
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)  # now, and not while the first of those who look waits

    def draw(request: Request, template: str, context: Mapping[str, Any], status: int = 200) -> Response:
        person: Person | None = getattr(request.state, "person", None)
        frame = _frame(request, house, person, context)
        return HTMLResponse(environment.get_template(template).render({**context, "page": frame}), status)

    pages = Pages(reader, draw, house, outline)
    oversight = Oversight(reader, desk, draw)
    helping = Helping(reader, draw)

    async def guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            response = await _let_in(request, desk, call_next)
        except NotSignedOn:
            response = RedirectResponse(
                sign_on_path(str(request.url.path) + (f"?{request.url.query}" if request.url.query else "")), 303
            )
        except TooMany as error:
            response = _failed(request, draw, error)
            response.headers["Retry-After"] = str(error.after)
        except ProvenanceError as error:
            response = _failed(request, draw, error)
        except Exception:
            _log.error("request failed: %s %s", request.method, request.scope.get("endpoint"), exc_info=True)
            response = _failed(request, draw, ProvenanceError("something went wrong that was not foreseen"))
        if not request.url.path.startswith("/static/"):
            response.headers.update(HEADERS)
        return response

    def health(request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    def figures(request: Request) -> Response:
        metrics.admit(request, desk.keys, desk.settings.origin)
        return Response(metrics.text(reader.health(on=desk.clock())), headers={"Content-Type": metrics.FORM})

    def unknown(request: Request, error: Exception) -> Response:
        return _failed(
            request, draw, Missing("page is not one that there is: wanted an address that this service gave")
        )

    routes = [
        Route("/", pages.front),
        Route("/health", health),
        Route("/metrics", figures),
        Route("/moment", pages.moment),
        Route("/compare", pages.compare),
        Route("/cite/{label}/{view}/{digest}", pages.cite),
        Route("/search", pages.find),
        Route("/seen", oversight.mine, methods=["GET"]),
        Route("/seen", oversight.acknowledge, methods=["POST"]),
        Route("/seen/{place:int}", pages.seen),
        Route("/report", oversight.choose),
        Route("/report/{place:int}", oversight.form, methods=["GET"]),
        Route("/report/{place:int}", oversight.report, methods=["POST"]),
        Route("/finding/{number:int}", oversight.finding),
        Route("/trail", oversight.trail, methods=["GET"]),
        Route("/trail", oversight.trace, methods=["POST"]),
        Route("/affected", oversight.affected, methods=["GET"]),
        Route("/affected", oversight.reached, methods=["POST"]),
        Route("/help", helping.help),
        Route("/technical-report", helping.papers),
        Route("/technical-report/{digest}", helping.paper),
        Route("/build/{label}/since", helping.since),
        *SignOn(desk, draw).routes,
    ]
    for base in ("/at/{when}", "/build/{label}"):
        routes += [
            Route(base, pages.front),
            Route(base + "/search", pages.search),
            Route(base + "/{view}", pages.view),
            Route(base + "/{theme}/{view}", pages.view),
        ]
    routes.append(Mount("/static", StaticFiles(directory=looks.STATIC)))
    return Starlette(
        routes=routes,
        middleware=[Middleware(Visits, desk=desk), Middleware(BaseHTTPMiddleware, dispatch=guarded)],
        exception_handlers={HTTPException: unknown},
    )


async def _let_in(request: Request, desk: Desk, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    request.state.person = None
    if not request.url.path.startswith(_OPEN):
        request.state.person = await run_in_threadpool(desk.signed_on, request)
    return await call_next(request)


def _failed(
    request: Request, draw: Callable[[Request, str, Mapping[str, Any], int], Response], error: ProvenanceError
) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return draw(request, "failed.html", {"error": str(error), "status": status, "title": _TITLES[status]}, status)


_TITLES = {
    404: "Not there",
    400: "Not understood",
    403: "Not allowed",
    409: "Something else comes first",
    429: "Too often",
    503: "Not reached",
    500: "Something is wrong",
}


def _frame(request: Request, house: House, person: Person | None, context: Mapping[str, Any]) -> dict[str, Any]:
    """What `layout.html` draws around a page."""
    path = request.url.path
    sees_names = person is not None and access.NAMES in person.may
    reads_trail = person is not None and access.TRAIL in person.may
    shown = context["place"] if "build" in context and "place" in context else ""  # else it is no view of a build
    search = context.get("search", "/search")  # in the moment of the page, where it has one
    footer = [
        {"text": "Report an error", "href": f"/report/{shown}" if shown != "" else "/report"},
        {"text": "Technical report", "href": "/technical-report"},
        {"text": "Help", "href": "/help"},
    ]
    return {
        "title": context.get("title", "Start"),
        "service": house.service,
        "force": house.force,
        "marking": house.marking,
        "handling": house.handling,
        "user": {"name": person.name, "role": person.role} if person else None,
        "sign_out": "/sign-out" if person else None,
        "csrf": person.csrf if person else "",
        "home": "/",
        "navigation": [
            {"text": "Start", "href": "/", "current": path == "/"},
            *([{"text": "Search", "href": search, "current": path.endswith("/search")}] if sees_names else []),
            {"text": "What I saw", "href": "/seen", "current": path.startswith("/seen")},
            *([{"text": "Trail", "href": "/trail", "current": path == "/trail"}] if reads_trail else []),
            {"text": "Help", "href": "/help", "current": path == "/help"},
        ]
        if person
        else [],
        "trail": context.get("trail", []),
        "reference": context.get("reference"),
        "footer": footer if person else [],
        "errors": context.get("errors", []),
        "still": False,
    }
