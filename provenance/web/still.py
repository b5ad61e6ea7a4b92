"""A page as a file: the same words, drawings and citation by the same templates, without scripts, forms or a server.

Links between pages that are kept together lead from one file to the other; all others lead to a line that says so.
Nothing in such a file is fetched but the two style sheets beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from provenance import entries, moments
from provenance.asking import THEME_VIEWS, Ask
from provenance.asof import Snapshot
from provenance.maps import Outline
from provenance.viewing import Page
from provenance.web import looks, presenting, words
from provenance.web.looks import House

SHEETS = ("govuk.css", "provenance.css")
_ELSEWHERE = "#not-kept"
_UNCHECKED = "This page is a copy. Whether its rows are those that were signed, verify.html shows, which came with it."
_COPY = (
    "A copy in a disclosure pack: READ-ME-FIRST says what may be done with it."  # the dashboard's own words bind staff
)
_DRAWER = re.compile(rb' *<div class="app-drawer__body" hx-get="#not-kept".*?</div>\n?', re.S)
_DRAWING = re.compile(rb"<svg\b.*?</svg>", re.S)
_NOWHERE = re.compile(rb'<a\b[^>]*?href="#not-kept"[^>]*>(.*?)</a>', re.S)


class Stills:
    """Draws pages into files that lie in one folder, with `look/` beside it."""

    def __init__(self, house: House, outline: Outline | None) -> None:
        self.house, self.outline = house, outline
        self._environment = looks.environment(looks.Assets({name: name for name in SHEETS}))
        self._environment.globals["asset"] = lambda name: f"../look/{name}"

    def sheets(self) -> dict[str, bytes]:
        """The style sheets, and the licences of what others wrote of them, by file name."""
        assets = looks.Assets.read()
        files = {name: name for name in (*SHEETS, "licences.txt")}
        return {name: (looks.STATIC / assets.names[name]).read_bytes() for name in files}

    def draw(
        self,
        snapshot: Snapshot,
        before: Snapshot | None,
        page: Page,
        files: Mapping[tuple[str, Ask], str],
        *,
        seen: str,
    ) -> bytes:
        """One page. `files` names the file of each page kept beside it, by build and what it asks; `seen` says to whom
        and when it was shown, "" for one that is asked about a build."""
        ask, said = page.ask, page.said["said"]

        def to(view: str, **subject: Any) -> str:
            wanted = {
                name: tuple(sorted(value)) if isinstance(value, tuple) else value for name, value in subject.items()
            }
            found = files.get((page.label, Ask(view=view, **wanted)))
            if found is None and "theme" in wanted and view not in THEME_VIEWS:
                found = files.get((page.label, Ask(view=view, **{k: v for k, v in wanted.items() if k != "theme"})))
            return found or _ELSEWHERE

        def here(**_: Any) -> str:
            return _ELSEWHERE

        built = snapshot.archive.history.builds[: snapshot.built.number]
        frame = presenting.Frame(
            to, here, [one.label for one in built], [moments.instant(one.cut_off).date() for one in built], self.outline
        )
        context = presenting.extra(said, ask, frame)
        if "causes" in said:
            context["sides"] = [
                {"asked": words.instant(side.publication.start) if side.publication else "", "label": side.label,
                 "href": _ELSEWHERE, "figures": figures}
                for side, figures in zip((before, snapshot), presenting.sides(said, ask), strict=True)
                if side is not None
            ]  # fmt: skip
        banner = presenting.banner(snapshot, "", verified=None, verified_words=_UNCHECKED) | {
            "href": _ELSEWHERE,
            "since_href": None,
            "verified_state": "A copy: check it with verify.html",
        }
        if seen:
            banner["asked"] = f"build {snapshot.label}, {seen}"
        title = presenting.TITLES[ask.view]
        labels = [page.label] + [ask.since] * bool(ask.since)
        wrong = snapshot.archive.history.in_error(labels, ask.logged(), entries.packed(page.subjects), snapshot.case)
        context |= {
            "found_wrong": presenting.found_wrong(wrong, lambda _: None),
            "said": said, "place": 0, "path": "", "ask": ask, "title": title, "build": banner,
            "to": to, "here": here, "file": lambda form: _ELSEWHERE, "tabs_of": [], "q": "",
            "reference": presenting.reference(page, "#main"), "caveat": snapshot.landing_page, "case": snapshot.case,
            "may": frozenset(), "words": words,
            "page": {
                "title": title, "service": self.house.service, "force": self.house.force, "marking": self.house.marking,
                "handling": _COPY, "user": None, "sign_out": None, "csrf": "", "home": _ELSEWHERE,
                "navigation": [], "trail": [], "reference": presenting.reference(page, "#main"), "footer": [],
                "errors": [], "still": True,
            },
        }  # fmt: skip
        template = "compared.html" if ask.since and ask.view != "change" else f"{ask.view}.html"
        return _unlinked(self._environment.get_template(template).render(context).encode())

    def first_page(self, told: Mapping[str, Any]) -> bytes:
        """READ-ME-FIRST.html of a pack, which needs no other file."""
        return self._environment.get_template("read-me-first.html").render(self._with_words(told)).encode()

    def rows_page(self, told: Mapping[str, Any]) -> bytes:
        """The rows that a pack proves, as a page which needs no other file."""
        return self._environment.get_template("pack-rows.html").render(self._with_words(told)).encode()

    @staticmethod
    def _with_words(told: Mapping[str, Any]) -> dict[str, Any]:
        return {**told, "words": words, "handling_words": words.handling(told["codes"])}


def _unlinked(page: bytes) -> bytes:
    """A page without links that lead nowhere: what they said stays."""
    drawn = _DRAWING.sub(lambda svg: _NOWHERE.sub(rb"<g>\1</g>", svg[0]), _DRAWER.sub(b"", page))
    return _NOWHERE.sub(rb"<span>\1</span>", drawn)
