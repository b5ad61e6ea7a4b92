"""A page as a PDF: the tables and drawings of what it said, with its build, its handling and the advice of its time.

Tagged, as PDF/A-2a and PDF/UA-1. It is set in memory: the data, the drawings and the template go to the typesetter as
bytes, nothing of it is a file, and nothing is asked of a network. What is said goes in as data and is never read as
markup. It does not say who took it, or when: the log does, and the same page gives the same bytes.

Characters that none of the fonts has, and marks that do not show or turn the text around them, are written as their
numbers, `<U+4E2D>`: a name in another script stays one that can be told from others.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from html import unescape
from importlib import resources
from typing import Any

import orjson
import typst

from provenance import exporting, moments
from provenance.asking import THEME_VIEWS, Ask
from provenance.errors import Malformed
from provenance.exporting import Carried
from provenance.sheets import Column, Sheet, sheets
from provenance.viewing import Page
from provenance.web import words
from provenance.web.looks import STATIC, House

_STANDARDS = ["a-2a", "ua-1"]
_ROWS = 200  # of a table on paper; files have them all
_MERGED = {"nominal": ("name", "child"), "a": ("a_name", "a_child", "a_victim"),
           "b": ("b_name", "b_child", "b_victim"), "other": ("other_name", "other_child")}  # fmt: skip
# On paper a table has as many columns as can be read; files have them all.
_LEFT_OUT = {
    "triangles", "severed", "betweenness_left_out", "betweenness_thousandths_rounded", "pagerank_billionths",
    "severity", "severity_unknown", "severity_edition", "harm_edition", "harm_unknown", "expired", "unknown",
    "rank_records",
    "rank_links", "how", "assessed",
}  # fmt: skip
_COLUMNS = 9
_FIRST_OUT = ("other_roles", "subgroup", "witness", "severed_per_mille", "rank_harm", "core", "reach_two", "reduced",
              "grade_scheme", "offence_code", "computed_with_erased", "records")  # fmt: skip
_ALWAYS = {"strength", "before", "after", "value", "links"}
# How the width that numbers leave is shared out among the texts.
_SHARE = {"nominal": 32, "a": 28, "b": 28, "other": 30, "conditions": 22, "shown_as": 22, "record_id": 26,
          "offence": 26, "figure": 24, "network": 28, "role_a": 17, "role_b": 17, "roles": 16, "occurred_at": 14,
          "worked_out": 18,
          "stored": 18, "merged_ids": 30, "asked_as": 20, "grade": 7, "sex": 6, "grade_scheme": 9, "handling": 10,
          "system": 13, "kind": 15, "place": 20}  # fmt: skip
_SAID = re.compile(r"<desc[^>]*>([^<]*)</desc>")
_VIEW_BOX = re.compile(r'viewBox="0 0 (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)"')


def pdf(
    page: Page, with_it: Carried, house: House, *, title: str, banner: Mapping[str, Any], extra: Mapping[str, Any]
) -> bytes:
    """The page on paper. `banner` is as `macros/build.html` has it, `extra` what templates draw besides."""
    said = page.said["said"]
    drawings, files = _drawings(extra, said)
    tables = [
        _table(sheet) for sheet in sheets(page.ask.view, said) if not (drawings and sheet.name.startswith("builds"))
    ]
    counts = [{"number": f"{one['number']:,}", "text": one["text"]} for one in _counts(extra, said)]
    if counts:
        tables = [table for table in tables if table["name"] != "totals"]
    day = moments.instant(with_it.cut_off)
    subject = _subject(page.ask, said)
    # The file's own title, which shows in lists of files, names no one.
    over, heading = (subject, title) if page.ask.view in THEME_VIEWS or not subject else (title, subject)
    small = [table for table in tables if table["name"] in ("nominal", "totals", "figures", "counts")]
    large = [table for table in tables if table not in small]
    pictures = [drawing for drawing in drawings if not drawing["is_chart"]]
    blocks = [*small, *pictures, *large, *(drawing for drawing in drawings if drawing["is_chart"])]
    content = {
        "title": title, "over": over, "heading": heading, "build": with_it.build, "service": house.service,
        "force": house.force, "marking": house.marking, "handling_line": house.handling, "past": bool(banner["past"]),
        "asked": f"As it {'was' if banner['past'] else 'is'} on {banner['asked']}", "facts": _facts(page, banner),
        "handling": exporting.handling_words(with_it.handling),
        "conditions": list(with_it.conditions),
        "counts": counts, "blocks": blocks, "digest": with_it.digest, "root": with_it.root,
        "citation": {"whole": with_it.citation, "short": f"{with_it.build}/{page.ask.view}/{with_it.digest[:16]}"},
        "caveat": {"version": with_it.caveat_version, "paragraphs": [
            " ".join(part.split()) for part in with_it.caveat.strip().split("\n\n")]},
        "date": [day.year, day.month, day.day],
    }  # fmt: skip
    return _set(content, files)


def _set(content: Mapping[str, Any], files: Mapping[str, str]) -> bytes:
    """Typeset, what cannot be printed as its number; where letters fail only side by side, all but ASCII."""
    for fits in (can_print, str.isascii):
        shown = {name: _in_drawing(text, fits) for name, text in files.items()}
        given = {
            "main.typ": resources.files("provenance.web").joinpath("templates/page.typ").read_bytes(),
            "data.json": orjson.dumps(_printable(content, fits)),
            **{name: text.encode() for name, text in shown.items()},
        }
        try:
            made = typst.compile(given, format="pdf", pdf_standards=_STANDARDS, font_paths=_fonts())
        except typst.TypstError as error:
            if "could not be displayed" not in error.message + error.diagnostic or fits is not can_print:
                # Never with the typesetter's own words: they quote what it could not set.
                raise Malformed(
                    "page could not be set as PDF: wanted one whose tables and drawings fit the paper"
                ) from None
        else:
            return made
    raise AssertionError("ASCII can always be printed")


def _printable(value: Any, fits: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else "".join(_shown(c, fits) for c in value)
    if isinstance(value, Mapping):
        return {name: _printable(inner, fits) for name, inner in value.items()}
    return [_printable(inner, fits) for inner in value] if isinstance(value, list | tuple) else value


def _shown(c: str, fits: Any) -> str:
    return c if (c.isprintable() and fits(c)) else f"<U+{ord(c):04X}>"


def _in_drawing(svg: str, fits: Any) -> str:
    """Its letters in our own typeface; one character for each that cannot be printed, since places are measured."""
    svg = svg.replace('font-family="Arial, Helvetica, sans-serif"', 'font-family="Noto Sans"')
    return "".join(c if c.isascii() or (c.isprintable() and fits(c)) else "?" for c in svg)


@functools.cache
def _fonts() -> typst.Fonts:
    """Ours and those that came with the typesetter; none of the machine's, so that each machine sets the same."""
    return typst.Fonts(include_system_fonts=False, font_paths=[STATIC])


@functools.lru_cache(maxsize=20_000)
def can_print(c: str) -> bool:
    """Whether one of the fonts has this character, by the typesetter's own word."""
    try:
        given = {"main.typ": _PROBE, "data.json": orjson.dumps(c)}
        typst.compile(given, format="pdf", pdf_standards=_STANDARDS, font_paths=_fonts())
    except typst.TypstError:
        return False
    return True


_PROBE = b"""#set document(title: "x", date: datetime(year: 2000, month: 1, day: 1))
#set text(lang: "en", font: ("Noto Sans", "Libertinus Serif", "New Computer Modern", "DejaVu Sans Mono"))
#json("data.json")"""


def _facts(page: Page, banner: Mapping[str, Any]) -> list[dict[str, Any]]:
    live = f"{banner['live_from']} to {banner['live_to']}" if banner["live_to"] else f"since {banner['live_from']}"
    losses = (("disposed", "rows disposed of"), ("reduced", "reduced"), ("restricted", "restricted"))
    gone = [f"{banner[name]:,} {said}" for name, said in losses if banner[name]]
    facts = [
        ("Build", banner["label"]), ("Live", live), ("Records up to", banner["cut_off"]),
        ("Checked", banner["verified_words"]),
        ("Since then", ", ".join(gone) or "nothing was removed: this is all that was shown"),
        ("Filters", exporting.filter_words(page)),
    ]  # fmt: skip
    if page.said["case"]:
        facts.append(("Case", f"{page.said['case']}: what is restricted and held for it is shown"))
    found = [{"key": key, "value": value, "code": False} for key, value in facts]
    return [*found, {"key": "Root", "value": banner["root"], "code": True}]


def _subject(ask: Ask, said: Mapping[str, Any]) -> str:
    parts = [words.THEMES[ask.theme]] if ask.theme else []
    if ask.network:
        parts.append(ask.network)
    names = (
        {row["nominal"]: row["nominal_name"] for row in said["people"]}
        if ask.view == "link" and "people" in said
        else {}
    )
    if ask.view in ("nominal", "figures") and "person" in said:
        names[said["nominal"]] = said["person"].get("name", "")
    if ask.view != "search":
        parts.append(" and ".join(f"{who} {names.get(who, '')}".strip() for who in ask.nominals))
    return ", ".join(filter(None, parts))


def _counts(extra: Mapping[str, Any], said: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "counts" in extra:
        return extra["counts"]
    totals = said.get("totals", {})
    names = {"people": "nominals", "links": "links", "networks": "networks", "strength": "points of strength"}
    return [{"number": totals[name], "text": text} for name, text in names.items() if name in totals]


def _drawings(extra: Mapping[str, Any], said: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What is drawn on the page, and the drawings as files that the template names."""
    note = extra.get("map_note", "")
    found = [
        ("Who is linked with whom: the thicker a line, the stronger the link", extra.get("network_drawing", ""), False),
        ("Records behind links, by area" + (f". {note}" if note else ""), extra.get("map", ""), False),
    ]
    found += [
        (drawing["caption"], drawing["svg"], True)
        for drawing in extra.get("drawings", ())
        if any(
            cell not in ("0", "") for row in drawing["rows"] for cell in row[-1:]
        )  # a line along nought says nothing
    ]
    blocks, files = [], {}
    for title, svg, is_chart in found:
        size = _VIEW_BOX.search(str(svg))
        if size:
            width, height = float(size[1]), float(size[2])
            name = f"drawing-{len(files) + 1}.svg"
            files[name] = str(svg)
            share = 68 if is_chart else min(100, int(100 * 0.85 * width / max(height, 1)))
            told = _SAID.search(str(svg))
            alt = f"{title}. {unescape(told[1])}" if told else title
            blocks.append({"kind": "drawing", "title": title, "file": name, "width": share, "alt": alt,
                           "is_chart": is_chart})  # fmt: skip
    return blocks, files


def _table(sheet: Sheet) -> dict[str, Any]:
    """A sheet as paper has it: who is named stands in one cell with what is to be known of them, a column in which
    nothing stands is left out, and what is the same in each row of a theme is said once."""
    place = {column.name: at for at, column in enumerate(sheet.columns)}
    values = {name: {row[at] for row in sheet.rows} for name, at in place.items()}
    same = {name: next(iter(found)) for name, found in values.items() if len(found) == 1}
    behind = "role_a" in place and {"a", "b"} <= same.keys()  # the records of one link
    out = _LEFT_OUT | {name for key, names in _MERGED.items() if key in place for name in names}
    out |= {name for name, found in values.items() if found <= {None, "", 0, "0"}} - _ALWAYS
    out |= (
        {"theme", "unit", "edition"} & same.keys()
        | ({"a", "b"} if behind else set())
        | ({"victim_only"} if "nominal" in place else set())
    )
    out |= {"system"} if "record_id" in place else set()
    shown = [column for column in sheet.columns if column.name not in out]
    for name in _FIRST_OUT:
        if len(shown) > _COLUMNS:
            shown = [column for column in shown if column.name != name]
    rows = [[_cell(row, column, place) for column in shown] for row in sheet.rows[:_ROWS]]
    title = f"{sheet.title}: {words.THEMES[same['theme']].lower()}" if "theme" in same else sheet.title
    note = sheet.note
    if len(sheet.rows) > _ROWS:
        note = f"The first {_ROWS} of {len(sheet.rows):,}; the tables as CSV or Parquet have them all. {note}".strip()
    columns = [
        {"title": f"Role of {same[c.name[-1]]}" if behind and c.name in ("role_a", "role_b") else c.title,
         "number": c.number, "share": _SHARE.get(c.name, 12)}
        for c in shown
    ]  # fmt: skip
    return {"kind": "table", "name": sheet.name, "title": title, "note": note, "columns": columns, "rows": rows}


def _cell(row: Sequence[Any], column: Column, place: Mapping[str, int]) -> str:
    value = row[place[column.name]]
    if column.number:
        return "withheld" if value is None else f"{value:,}"
    if column.name in _MERGED:
        name, child, *victim = _MERGED[column.name]
        marks = ["child"] if child in place and str(row[place[child]]) in ("1", "true", "yes") else []
        if "victim_only" in place and row[place["victim_only"]] == 1 and column.name == "nominal":
            marks.append("victim, and nothing else")
        marks += ["victim" for each in victim if each in place and row[place[each]] == 1]
        text = f"{value} {row[place[name]]}".strip() if name in place else str(value)
        return f"{text} ({', '.join(marks)})" if marks else text
    if column.name == "record_id" and "system" in place:
        return f"{row[place['system']]} {value}"
    if column.name == "kind":
        return words.KINDS.get(value, value)
    if column.name == "occurred_at":
        return str(value)[:10]
    if column.name in ("worked_out", "stored"):
        text = str(value)
        return f"{text[:12]}…" if len(text) == 64 else f"{int(text):,}" if text.isascii() and text.isdigit() else text
    return str(value)
