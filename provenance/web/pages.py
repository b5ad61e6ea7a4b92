"""The pages of the dashboard: each asks, logs who is shown what, and only then shows it.

Refused: whoever may not see names, or what is restricted; a case without its hold; an address that does not say what it
is for. What goes wrong is told in the words of the error, which never carry a personal value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from provenance import access, asof, exporting, governing, moments, params
from provenance.asking import THEME_VIEWS, Ask, read_view
from provenance.asof import Snapshot
from provenance.errors import Conflict, Malformed
from provenance.history import Publication
from provenance.maps import Outline
from provenance.reports import Report
from provenance.viewing import Page
from provenance.web import addresses, presenting, printing, words
from provenance.web.addresses import Moment, address
from provenance.web.looks import House
from provenance.web.reader import Reader
from provenance.web.signon import Person
from provenance.world import now

_VERIFIED = {
    True: "The rows of this build give the digest that was signed for it.",
    False: "The rows of this build do not give the digest that was signed for it.",
    None: "It is being checked now: open the page again in a minute.",
}
_DRAWN = 500  # pages whose drawings are kept


@dataclass(frozen=True, slots=True)
class Opened:
    """A build that a request asks about."""

    moment: Moment
    snapshot: Snapshot
    case: str


class Pages:
    """Handlers of the pages about builds."""

    def __init__(
        self,
        reader: Reader,
        draw: Callable[[Request, str, Mapping[str, Any]], Response],
        house: House,
        outline: Outline | None,
    ) -> None:
        self.reader, self.draw, self.house, self.outline = reader, draw, house, outline
        self._drawn: dict[Hashable, dict[str, Any]] = {}

    def view(self, request: Request) -> Response:
        """A view of a theme, or of a network, a nominal or a link."""
        if form := request.query_params.get("format"):
            request.state.person.insist(access.EXPORT)
            if form not in addresses.FORMATS:
                raise Malformed(
                    f"format is none that a page can be had in: wanted one of {', '.join(addresses.FORMATS)}"
                )
        with self.reader.turn():  # so that it waits for the archive once, and not for each thing that is asked of it
            opened = self.opened(request)
            if isinstance(opened, Response):
                return opened
            ask = self.asked(request)
            page = self.reader.page(opened.snapshot, ask)
        place = self.logged(request, opened, page)
        if form:
            return self.exported(request, opened, page, form)
        if request.headers.get("HX-Request") and ask.view == "link":
            return self.draw(request, "evidence.html", self.context(request, opened, page, place))
        template = "compared.html" if ask.since and ask.view != "change" else f"{ask.view}.html"
        return self.draw(request, template, self.context(request, opened, page, place))

    def opened(self, request: Request) -> Opened | Response:
        """The build that was live then; for a day on which there were several, the page that lists them."""
        person: Person = request.state.person
        query, when = request.query_params, request.path_params.get("when", "")
        label, case = request.path_params.get("label", ""), query.get("case", "").strip()
        if case:
            person.insist(access.RESTRICTED, case=case)
        if when and moments.is_date(when):
            live = asof.live_on(self.reader.archive, when)
            if len(live) > 1:
                return self.draw(request, "day.html", {"day": words.day(when), "live": _day(request, live)})
        snapshot = self.reader.snapshot(when=when, label=label, case=case)
        if case:
            self.reader.consult(snapshot, on=now(), by=person.name)
        return Opened(Moment(when, label), snapshot, case)

    def _at(self, when: str) -> Opened:
        return Opened(Moment(when), self.reader.snapshot(when=when), "")

    def asked(self, request: Request) -> Ask:
        """What the address asks for, as far as this person may know it."""
        person: Person = request.state.person
        view, theme = request.path_params["view"], request.path_params.get("theme", "")
        names = access.NAMES in person.may
        if view not in THEME_VIEWS:
            person.insist(access.NAMES)
        elif not names:
            person.insist(access.AGGREGATES)
        return addresses.read(view, theme, request.query_params, names=names)

    def logged(self, request: Request, opened: Opened, page: Page) -> int:
        """Where in the log it stands that this person is shown the page."""
        person: Person = request.state.person
        when = opened.moment.when
        at = "" if not when or moments.is_date(when) else moments.utc(moments.parse(when))
        return self.reader.log(page, case=opened.case, at=at, on=now(), by=person.name, under=person.role)

    def context(self, request: Request, opened: Opened, page: Page, place: int) -> dict[str, Any]:
        """What the templates draw."""
        snapshot, ask, moment, case = opened.snapshot, page.ask, opened.moment, opened.case

        @cache  # a page leads to the same people again and again
        def to(view: str, **subject: Any) -> str:
            return address(moment, Ask(view=view, **subject), case=case)

        def here(**other: Any) -> str:
            return address(moment, _with(ask, other), case=case)

        said = page.said["said"]
        extra = self.extra(opened, page, to, here)
        if "causes" in said:
            earlier = self.reader.before(snapshot, ask.since)
            extra["sides"] = [
                {"asked": words.instant(side.publication.start) if side.publication else "", "label": side.label,
                 "href": address(Moment(label=side.label), _with(ask, {"since": ""})), "figures": figures}
                for side, figures in zip((earlier, snapshot), presenting.sides(said, ask), strict=True)
                if side is not None
            ]  # fmt: skip
        return extra | {
            "said": said,
            "place": place,
            "path": request.url.path,
            "ask": ask,
            "title": presenting.TITLES[ask.view],
            "build": self.banner(opened),
            "choose": self.chooser(opened, ask, request.query_params),
            "search": _search(opened),
            "to": to,
            "here": here,
            "file": lambda form: address(moment, ask, case=case, form=form),
            "tabs_of": [
                {
                    "text": presenting.TITLES[view],
                    "href": to(view, theme=ask.theme, names=ask.names),
                    "current": view == ask.view,
                }
                for view in THEME_VIEWS
            ]
            if ask.view in THEME_VIEWS
            else [],
            "reference": presenting.reference(page, f"/cite/{page.citation}"),
            "caveat": snapshot.landing_page,
            "found_wrong": self.found_wrong(page, case, request.state.person),
            "case": case,
            "may": request.state.person.may,
            "words": words,
        }

    def found_wrong(self, page: Page, case: str, person: Person) -> list[dict[str, Any]]:
        """See `presenting.found_wrong`; whoever reported it, or may see the trail, is led on to the finding."""

        def link(each: Report) -> str | None:
            return f"/finding/{each.number}" if person.name == each.act.by or access.TRAIL in person.may else None

        return presenting.found_wrong(self.reader.in_error(page, case), link)

    def extra(self, opened: Opened, page: Page, to: presenting.To, here: presenting.To) -> dict[str, Any]:
        """What is drawn beside what the page says, worked out once for the same page under the same addresses."""
        key = page.digest, opened.moment, opened.case
        if key not in self._drawn:
            builds = self.reader.archive.history.builds[: opened.snapshot.built.number]
            frame = presenting.Frame(
                to, here, [built.label for built in builds],
                [moments.instant(built.cut_off).date() for built in builds], self.outline,
            )  # fmt: skip
            while len(self._drawn) >= _DRAWN:
                self._drawn.pop(next(iter(self._drawn)), None)
            self._drawn[key] = presenting.extra(page.said["said"], page.ask, frame)
        return dict(self._drawn[key])

    def banner(self, opened: Opened) -> dict[str, Any]:
        """Which build answers, and what has become of it."""
        verified = self.reader.is_verified(opened.snapshot)
        return presenting.banner(
            opened.snapshot, opened.moment.when, verified=verified, verified_words=_VERIFIED[verified]
        )

    def chooser(self, opened: Opened, ask: Ask, query: QueryParams) -> dict[str, Any]:
        """What the picker of the moment and the slider over builds need."""
        archive = self.reader.archive
        live = archive.history.publications
        at = [place for place, p in enumerate(live) if p.label == opened.snapshot.label]
        place = at[-1] if at else -1
        keep = {"view": ask.view, "theme": ask.theme}
        keep |= {"query": urlencode([(k, v) for k, v in query.multi_items() if k not in ("format", "page")])}
        start = opened.snapshot.publication.start if opened.snapshot.publication else ""
        return {
            "action": "/moment",
            "keep": {name: value for name, value in keep.items() if value},
            "value": words.picked(opened.moment.when or start),
            "words": words.moment(opened.moment.when) if opened.moment.when else words.instant(start) if start else "",
            "options": _options(tuple(live), place),
            "earlier": address(Moment(live[place - 1].start), ask, case=opened.case) if place > 0 else None,
            "later": address(Moment(live[place + 1].start), ask, case=opened.case)
            if 0 <= place < len(live) - 1
            else None,
        }

    def moment(self, request: Request) -> Response:
        """The picker and the slider: on to the address that says what they chose."""
        query = request.query_params
        when = query.get("build", "").strip() or words.typed(query)
        view, theme = query.get("view", ""), query.get("theme", "")
        path = Moment(when).path
        if theme and view in THEME_VIEWS:
            path += f"/{theme}/{view}"
        elif view:
            path += f"/{view}"
        rest = query.get("query", "")
        return RedirectResponse(path + (f"?{rest}" if rest else ""), 303)

    def compare(self, request: Request) -> Response:
        """Two moments: on to the later one's page, compared with the earlier one's build."""
        query = request.query_params
        one, other = (self.reader.snapshot(when=words.typed(query, prefix)) for prefix in ("one-", "other-"))
        if one.built.number == other.built.number:
            raise Conflict(f"both moments fall into build {one.label}: there is nothing to compare")
        early, late = sorted((one, other), key=lambda snapshot: snapshot.built.number)
        kept = QueryParams(query.get("query", ""))
        ask = addresses.read(query.get("view", ""), query.get("theme", ""), kept, names=True)
        return RedirectResponse(address(Moment(label=late.label), _with(ask, {"since": early.label})), 303)

    def search(self, request: Request) -> Response:
        """Nominals by name or id, in the build of a moment."""
        request.state.person.insist(access.NAMES)
        asked = request.query_params.get("q", "").strip()
        with self.reader.turn():
            opened = self.opened(request)
            if isinstance(opened, Response):
                return opened
            found = self.reader.search(opened.snapshot, asked) if len(asked) > 1 else []
            page = self.reader.page(opened.snapshot, Ask(view="search", nominals=tuple(found)))
        place = self.logged(request, opened, page)
        return self.draw(request, "search.html", self.context(request, opened, page, place) | {"q": asked})

    def find(self, request: Request) -> Response:
        """Search from anywhere: on to what is live now."""
        query = request.url.query
        return RedirectResponse(f"{Moment(now()).path}/search" + (f"?{query}" if query else ""), 303)

    def front(self, request: Request) -> Response:
        """The landing page: the caveats, and where to go."""
        opened = self.opened(request) if request.path_params else self._at(now())
        if isinstance(opened, Response):
            return opened
        ask = Ask(view="associations", theme="SOC", names=access.NAMES in request.state.person.may)
        built, statement = opened.snapshot.built, opened.snapshot.statement
        return self.draw(
            request,
            "front.html",
            {
                "build": self.banner(opened) | {"open": True},  # to choose the moment is what most come for
                "choose": self.chooser(opened, ask, QueryParams("")) | {"keep": {}},
                "caveat": opened.snapshot.landing_page,
                "themes": [
                    {"text": words.THEMES[theme], "href": address(opened.moment, _with(ask, {"theme": theme}))}
                    for theme in words.THEMES
                ],
                "papers": [
                    [paper["title"], paper["state"], paper["version"] or "-", paper["sha256"] or "-"]
                    for paper in governing.standing(
                        statement, params.stated(statement.params.decode()), moments.london_day(built.cut_off)
                    )
                ],
                "moment": opened.moment,
                "search": _search(opened),
                "may": request.state.person.may,
                "notices": sum(each.told is None for each in self.reader.notices(request.state.person.name)),
            },
        )

    def cite(self, request: Request) -> Response:
        """A permanent reference: on to the page that it names."""
        parts = [request.path_params[name] for name in ("label", "view", "digest")]
        _, act = self.reader.find("/".join(parts))
        ask = self.reader.asked(act)
        return RedirectResponse(address(Moment(label=act.label), ask, case=act.case), 303)

    def seen(self, request: Request) -> Response:
        """What one logged view showed, held to its build again."""
        person: Person = request.state.person
        place = int(request.path_params["place"])
        act = self.reader.viewed(place)
        if act.by != person.name:
            person.insist(access.TRAIL)
        replay = self.reader.replay(act)
        shown = replay.page if access.NAMES in person.may else None
        href = address(Moment(label=act.label), shown.ask, case=act.case) if shown else None
        return self.draw(
            request,
            "seen.html",
            {
                "title": "What was shown",
                "place": place,
                "replay": replay,
                "facts": [
                    {"key": key, "value": value, "href": href, "action": "Show"}
                    for key, value, href in (
                        ("Shown on", words.instant(act.on), None),
                        ("Shown to", act.by, None),
                        ("In the role of", act.under, None),
                        ("View", presenting.TITLES[read_view(act.asked)], href),
                        ("Build", act.label, f"/build/{act.label}"),
                        ("Moment asked for", words.instant(act.at) if act.at else "the build itself", None),
                        ("Case", act.case or "none", None),
                        ("Digest of what it said", act.shown, None),
                        ("Root over the rows behind it", act.leaves, None),
                    )
                ],
            },
        )

    def exported(self, request: Request, opened: Opened, page: Page, form: str) -> Response:
        """A page as a file, once it is made and the log has that this person is handed it."""
        person: Person = request.state.person
        with_it = self.reader.carried(opened.snapshot, page)
        if form == "pdf":
            moment, case = opened.moment, opened.case
            extra = self.extra(
                opened, page, lambda view, **of: address(moment, Ask(view=view, **of), case=case),
                lambda **other: address(moment, _with(page.ask, other), case=case),
            )  # fmt: skip
            title = presenting.TITLES[page.ask.view]
            data = printing.pdf(page, with_it, self.house, title=title, banner=self.banner(opened), extra=extra)
        else:
            data = exporting.packed(page, with_it, form)
        self.reader.take_away(page, with_it, form=form, case=opened.case, on=now(), by=person.name, under=person.role)
        suffix = "pdf" if form == "pdf" else f"{form}.zip"
        return Response(
            data,
            media_type="application/pdf" if form == "pdf" else "application/zip",
            headers={"Content-Disposition": f'attachment; filename="{exporting.name_of(page, suffix)}"'},
        )


def _day(request: Request, live: Sequence[Publication]) -> list[dict[str, str]]:
    """Builds that were live on the day of an address, each with the address of the same page in it."""
    rest = quote(request.url.path[len(f"/at/{request.path_params['when']}") :])
    query = f"?{request.url.query}" if request.url.query else ""
    return [words.live(p) | {"href": Moment(p.start).path + rest + query} for p in live]


def _search(opened: Opened) -> str:
    """Where a search stays in the moment of the page that it is begun from."""
    return f"{opened.moment.path}/search" + (f"?{urlencode({'case': opened.case})}" if opened.case else "")


def _options(live: tuple[Publication, ...], chosen: int) -> Markup:
    """The publications to choose from, oldest first; `chosen` is the place of one, or below 0."""
    listed = list(_listed(live))
    if chosen >= 0:
        listed[chosen] = listed[chosen].replace(Markup('">'), Markup('" selected>'), 1)
    return Markup("").join(listed)


@lru_cache(maxsize=4)
def _listed(live: tuple[Publication, ...]) -> tuple[Markup, ...]:
    """Each an option. There may be hundreds, the same ones on every page: to have a template write them took a tenth of
    a page's time."""
    option = Markup('<option value="{}">{}, live from {}</option>')
    return tuple(option.format(p.start, p.label, words.instant(p.start)) for p in live)


def _with(ask: Ask, other: Mapping[str, Any]) -> Ask:
    fields = {name: getattr(ask, name) for name in Ask.__dataclass_fields__}
    return Ask(**(fields | dict(other)))
