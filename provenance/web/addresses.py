"""Where each page is: an address names the moment or the build, the view, its subject and its filters.

`/at/MOMENT/...` asks for what was live then; `/build/LABEL/...` for one build, the same for ever. Ids of people stand
in the query, where any text may stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams

from provenance.asking import THEME_VIEWS, Ask
from provenance.errors import Malformed

FORMATS = ("csv", "parquet", "pdf")
_LISTS = {
    "kind": "kinds",
    "grade": "grades",
    "role": "roles",
}  # in an address one of each, as often as there are values


@dataclass(frozen=True, slots=True)
class Moment:
    """What was asked for: a moment as it was written, or a build."""

    when: str = ""  # London time, an instant with its offset, or a date
    label: str = ""

    @property
    def path(self) -> str:
        return f"/build/{quote(self.label)}" if self.label else f"/at/{quote(self.when, safe=':')}"


def address(moment: Moment, ask: Ask, *, case: str = "", form: str = "") -> str:
    """The address of a page, or of the same as a file of one of FORMATS."""
    if ask.view in THEME_VIEWS:
        path, query = f"{moment.path}/{ask.theme}/{ask.view}", []
    else:
        path, query = f"{moment.path}/{ask.view}", [("theme", ask.theme)] if ask.theme else []
    query += [("id", ask.network)] if ask.network else [("id", who) for who in ask.nominals]
    for name, value in ask.parameters().items():
        word = next((word for word, field in _LISTS.items() if field == name), name)
        query += [(word, str(each)) for each in value] if isinstance(value, list) else [(word, str(value))]
    query += [("case", case)] if case else []
    query += [("format", form)] if form else []
    return path + (f"?{urlencode(query)}" if query else "")


def read(view: str, theme: str, query: QueryParams, *, names: bool) -> Ask:
    """The view that an address asks for. Raises Malformed."""
    ids = tuple(query.getlist("id"))
    network = ids[0] if view == "network" and ids else ""
    lists = {field: tuple(each for each in query.getlist(word) if each) for word, field in _LISTS.items()}
    return Ask(
        view=view, theme=theme or query.get("theme", ""), network=network,
        nominals=() if view == "network" else ids, since=query.get("since", ""),
        least=_number(query, "least", 0), page=_number(query, "page", 1), by=query.get("by") or "strength",
        names=names, **lists,
    )  # fmt: skip


def _number(query: QueryParams, name: str, otherwise: int) -> int:
    text = query.get(name, "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Malformed(f"{name} in the address is not a whole number: wanted one of 0 or more")
    return int(text) if text else otherwise
