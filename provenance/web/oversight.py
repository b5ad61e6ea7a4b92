"""The pages of oversight: reporting that a page is wrong, what came of it, who was shown what, what one saw oneself.

Refused: a report of a page that somebody else was shown; the trail without a purpose that the law allows, and about a
person to who may see no names. What a reporter says in words is read by who reads the trail and may see names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from provenance import access
from provenance.asking import read_view
from provenance.entries import Viewed
from provenance.errors import Malformed, Missing, Refused
from provenance.ledger import KINDS
from provenance.reporting import WORDS_AT_MOST
from provenance.reports import CAUSES, FINDINGS, URGENCIES, WRONG, Report, due
from provenance.trail import ABOUT, PURPOSES, Line, Question, Reach
from provenance.web import words
from provenance.web.presenting import TITLES
from provenance.web.reader import Reader
from provenance.web.signon import Desk, Person
from provenance.world import now

_LISTED = 200  # lines on one page, the latest
_FIELDS = 16
_ASKED = ("nominal", "user", "label", "case", "first_day", "last_day")
Draw = Callable[..., Response]


class Oversight:
    """Handlers of these pages."""

    def __init__(self, reader: Reader, desk: Desk, draw: Draw) -> None:
        self.reader, self.desk, self.draw = reader, desk, draw

    # -- reports -------------------------------------------------------------------------------------------------------

    def choose(self, request: Request) -> Response:
        """Which page is meant: the last that this person was shown."""
        person: Person = request.state.person
        person.insist(access.REPORT)
        lines = [line for line in self.reader.mine(person.name) if line.view][-20:]
        return self.draw(request, "report-which.html", {"title": "Report an error", "lines": self.told(person, lines)})

    def form(self, request: Request) -> Response:
        """The form about one page that was shown."""
        return self._form(request, {}, "")

    async def report(self, request: Request) -> Response:
        """What the form says, into the log."""
        said = await self._said(request)
        return await run_in_threadpool(self._report, request, said)

    def _report(self, request: Request, said: Mapping[str, str]) -> Response:
        person: Person = request.state.person
        place = int(request.path_params["place"])
        self._own(person, place)
        if said.get("wrong", "") not in WRONG:
            return self._form(request, said, "Select what is wrong", "wrong")
        text = said.get("words", "").replace("\r\n", "\n")
        if len(text.strip()) > WORDS_AT_MOST:
            return self._form(request, said, f"What is wrong must be {WORDS_AT_MOST:,} characters or fewer", "words")
        made = self.reader.report(place, wrong=said["wrong"], words=text, on=now(), by=person.name, under=person.role)
        return RedirectResponse(f"/finding/{made.number}", 303)

    def _form(self, request: Request, said: Mapping[str, str], error: str, field: str = "") -> Response:
        person: Person = request.state.person
        act = self._own(person, int(request.path_params["place"]))
        context = {
            "title": "Report an error",
            "act": act,
            "view": TITLES[read_view(act.asked)],
            "shown_on": words.instant(act.on),
            "place": request.path_params["place"],
            "token": person.csrf,
            "wrong": [{"value": code, "text": text} for code, text in WRONG.items()],
            "said": said,
            "error": {field: error} if error else {},
            "errors": [{"text": error, "href": f"#{field}"}] if error else [],
            "most": WORDS_AT_MOST,
        }
        return self.draw(request, "report.html", context, 400 if error else 200)

    def _own(self, person: Person, place: int) -> Any:
        """The view at a place in the log, if it is this person's."""
        person.insist(access.REPORT)
        act = self.reader.viewed(place)
        if act.by != person.name:
            raise Refused("page was shown to somebody else: wanted one that you were shown yourself")
        return act

    def finding(self, request: Request) -> Response:
        """A report, and what was found."""
        person: Person = request.state.person
        held, text = self.reader.reported(int(request.path_params["number"]))
        is_own = held.act.by == person.name
        if not is_own:
            person.insist(access.TRAIL)
        reach = self.reader.reach(held.number) if held.finding else None
        context = {
            "title": f"Report {held.number}",
            "held": held,
            "taken_up": held.triaged[-1] if held.triaged else None,
            "due": words.day(due(held)) if due(held) else "",
            "urgency": URGENCIES,
            "reach": reach,
            "is_own": is_own,
            "facts": _facts(held),
            "findings": [_finding(found) for found in reversed(held.settled)],
            "reads": is_own or access.NAMES in person.may,
            "text": text,
        }
        return self.draw(request, "finding.html", context)

    # -- the trail -----------------------------------------------------------------------------------------------------

    def mine(self, request: Request) -> Response:
        """What this person was shown themselves."""
        person: Person = request.state.person
        lines = self.reader.mine(person.name)
        context = {
            "title": "What I saw",
            "count": len(lines),
            "lines": self.told(person, lines[-_LISTED:]),
            "token": person.csrf,
            "notices": [
                {
                    "name": each.name,
                    "report": each.reference,
                    "on": words.instant(each.happened_on),
                    "pages": each.pages,
                    "read_on": words.instant(each.told.on) if each.told else "",
                    "found": self.reader.archive.history.report(int(each.reference)).settled[-1],
                    "causes": CAUSES,
                }
                for each in self.reader.notices(person.name)
            ],
        }
        return self.draw(request, "mine.html", context)

    async def acknowledge(self, request: Request) -> Response:
        """That this person has read what was found of pages that they were shown."""
        said = await self._said(request)
        return await run_in_threadpool(self._acknowledge, request, said)

    def _acknowledge(self, request: Request, said: Mapping[str, str]) -> Response:
        person: Person = request.state.person
        self.reader.acknowledge(said.get("notice", ""), on=now(), by=person.name, under=person.role)
        return RedirectResponse("/seen", 303)

    def trail(self, request: Request) -> Response:
        """The questions that may be asked of the trail."""
        request.state.person.insist(access.TRAIL)
        return self._trail(request, {})

    async def trace(self, request: Request) -> Response:
        """The answer to one."""
        said = await self._said(request)
        return await run_in_threadpool(self._trace, request, said)

    def _trace(self, request: Request, said: Mapping[str, str]) -> Response:
        person: Person = request.state.person
        person.insist(access.TRAIL)
        asked = {name: said.get(name, "").strip() for name in _ASKED}
        if said.get("purpose", "") not in PURPOSES:
            return self._trail(request, said, "Select what you read the trail for", "purpose")
        if asked["nominal"]:
            person.insist(access.NAMES)
        try:
            question = Question(**asked)
            found, ids = self.reader.trace(
                question, purpose=said["purpose"], on=now(), by=person.name, under=person.role
            )
        except (Malformed, Missing) as error:
            field = "nominal" if isinstance(error, Missing) else "first_day"
            return self._trail(request, said, str(error)[0].upper() + str(error)[1:], field)
        answer = {
            "count": len(found.lines),
            "untold": found.untold,
            "lines": self.told(person, found.lines[-_LISTED:], ids),
            "about": bool(question.nominal),
            "purpose": PURPOSES[said["purpose"]],
        }
        return self._trail(request, said, answer=answer)

    def _trail(
        self, request: Request, said: Mapping[str, str], error: str = "", field: str = "", answer: Any = None
    ) -> Response:
        person: Person = request.state.person
        context = {
            "title": "Trail",
            "token": person.csrf,
            "purposes": [{"value": code, "text": text[0].upper() + text[1:]} for code, text in PURPOSES.items()],
            "said": {name: said.get(name, "") for name in (*_ASKED, "purpose")},
            "by_name": access.NAMES in person.may,
            "error": {field: error} if error else {},
            "errors": [{"text": error, "href": f"#{field}"}] if error else [],
            "answer": answer,
        }
        return self.draw(request, "trail.html", context, 400 if error else 200)

    # -- what something wrong has reached ------------------------------------------------------------------------------

    def affected(self, request: Request) -> Response:
        """The form: of which record."""
        self._insist(request)
        return self._reach(request, dict(request.query_params))

    async def reached(self, request: Request) -> Response:
        """Everything that rested on it."""
        said = await self._said(request)
        return await run_in_threadpool(self._reached, request, said)

    def _reached(self, request: Request, said: Mapping[str, str]) -> Response:
        person = self._insist(request)
        if said.get("purpose", "") not in PURPOSES:
            return self._reach(request, said, "Select what you read the trail for", "purpose")
        system, record = (said.get(name, "").strip() for name in ("system", "record"))
        try:
            found = self.reader.of_record(
                system, record, purpose=said["purpose"], on=now(), by=person.name, under=person.role
            )
        except Missing as error:
            return self._reach(request, said, str(error)[0].upper() + str(error)[1:], "record")
        return self._reach(request, said, answer=_reach(found, self._shown(found)))

    def _insist(self, request: Request) -> Person:
        person: Person = request.state.person
        person.insist(access.TRAIL)
        person.insist(access.NAMES)
        return person

    def _reach(
        self, request: Request, said: Mapping[str, str], error: str = "", field: str = "", answer: Any = None
    ) -> Response:
        person: Person = request.state.person
        context = {
            "title": "What rested on a record",
            "token": person.csrf,
            "purposes": [{"value": code, "text": text[0].upper() + text[1:]} for code, text in PURPOSES.items()],
            "said": {name: said.get(name, "") for name in ("system", "record", "purpose")},
            "error": {field: error} if error else {},
            "errors": [{"text": error, "href": f"#{field}"}] if error else [],
            "answer": answer,
        }
        return self.draw(request, "affected.html", context, 400 if error else 200)

    def _shown(self, found: Reach) -> list[list[str]]:
        return [
            [
                act.by,
                act.under,
                "was shown it" if isinstance(act, Viewed) else "took it away",
                TITLES[read_view(act.asked)],
                act.label,
                words.instant(act.on),
                f"{place}",
            ]
            for place, act in reversed(found.affected.shown[-_LISTED:])
        ]

    def told(self, person: Person, lines: Sequence[Line], ids: Mapping[int, str] | None = None) -> list[dict[str, Any]]:
        """Lines of the log as pages list them, the latest first; ids only to who may see names."""
        if access.NAMES not in person.may:
            ids = {}
        elif ids is None:
            ids = self.reader.names(lines)
        return [
            {
                "place": line.place,
                "on": words.instant(line.on),
                "by": line.by,
                "under": line.under,
                "kind": line.kind,
                "view": TITLES.get(line.view, line.view),
                "href": f"/seen/{line.place}" if line.shown and line.kind == "was shown" else None,
                "label": line.label,
                "case": line.case,
                "about": [ids[token] for token in line.subjects if token in ids],
                "withheld": sum(token not in ids for token in line.subjects),
                "is_about": line.how == ABOUT,
                "rows": "not to be told" if line.rows is None else line.rows,
            }
            for line in reversed(lines)
        ]

    async def _said(self, request: Request) -> Mapping[str, str]:
        """The fields of a form of this session. Raises Refused for any other."""
        form: FormData = await request.form(max_files=0, max_fields=_FIELDS)
        said = {name: value for name, value in form.items() if isinstance(value, str)}
        self.desk.check_form(request, said.get("csrf", ""))
        return said


def _reach(found: Reach, shown: list[list[str]]) -> dict[str, Any]:
    """What the page lists of an answer."""
    reach, how = found.affected, found.changed
    assert how is not None  # of a record
    return {
        "fate": how.fate,
        "on": words.instant(how.on) if how.on else "",
        "columns": [name.replace("_", " ") for name in how.columns],
        "builds": reach.builds,
        "links": [
            [" and ".join(found.names.get(token, "somebody not named") for token in each.ends), each.theme, each.first,
             each.last]
            for each in reach.links
        ],
        "networks": [[each.name, each.theme, each.first, each.last] for each in reach.networks],
        "people": reach.people,
        "shown": shown,
        "count": len(reach.shown),
        "totals": reach.totals,
        "untold": reach.untold,
        "feeds": [[act.folder, act.label, words.instant(act.on)] for act in reach.feeds],
        "sent": [
            [each.act.recipient, KINDS[each.act.what], each.act.title, str(each.number), words.instant(each.act.on)]
            for each in found.sent
        ],
    }  # fmt: skip


def _facts(held: Report) -> list[dict[str, Any]]:
    act = held.act
    facts = (
        ("Reported on", words.instant(act.on), None),
        ("Reported by", f"{act.by}, {act.under}", None),
        ("Page", TITLES[read_view(act.asked)], f"/seen/{act.view}"),
        ("Build", act.label, f"/build/{act.label}"),
        ("Case", act.case or "none", None),
        ("What is wrong", WRONG.get(act.wrong, act.wrong), None),
        ("Digest of what it said", act.shown, None),
    )
    return [{"key": key, "value": value, "href": href, "action": "Show"} for key, value, href in facts]


def _finding(found: Any) -> dict[str, Any]:
    facts = [("Found by", f"{found.by}, {found.under}"), ("Cause", CAUSES.get(found.cause, found.cause))]
    if found.first:
        facts += [
            ("First build in error", found.first),
            ("Corrected at the source", "yes" if found.corrected else "not yet"),
            ("Build that carries the correction", found.carried or "none yet"),
        ]
    return {
        "on": words.instant(found.on),
        "said": FINDINGS.get(found.finding, found.finding),
        "facts": [{"key": key, "value": value, "href": None, "action": ""} for key, value in facts],
    }
