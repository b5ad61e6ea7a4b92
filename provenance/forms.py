"""Schedules as people file them: the MG6C, MG6D, MG6E and the separate schedule, as HTML, CSV and an editable document.

The columns are those of the forms. What the prosecutor enters is left empty. Text from anywhere is text: nothing in it
is run by a browser, a spreadsheet or a word processor. The same schedule is the same bytes.
"""

from __future__ import annotations

import csv
import html
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from provenance import moments
from provenance.schedules import APART, MG6C, MG6D, WITHDRAWN
from provenance.scheduling import Listed

NOTHING = "Nothing is listed on this schedule."
_MARKS = "Prosecutor: disclosable / clearly not disclosable / inspect"
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "＝",
    "＋",
    "－",
    "＠",
)  # a spreadsheet would work out what begins so
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP file can say


@dataclass(frozen=True, slots=True)
class Form:
    """One schedule, ready to be written."""

    name: str  # of its files
    title: str
    case: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]  # beneath the table
    on: str
    marking: str

    def files(self) -> dict[str, bytes]:
        """Its three files, by name."""
        return {
            f"{self.name}.html": as_html(self), f"{self.name}.csv": as_csv(self), f"{self.name}.docx": as_docx(self),
        }  # fmt: skip


def mg6c(case: str, listed: Sequence[Listed], *, on: str, by: str) -> Form:
    """Unused material that is not sensitive, by its own numbers."""
    ever = sorted((each for each in listed if each.item.act.number), key=lambda each: each.item.act.number)
    lines = tuple(
        (str(e.item.act.number), e.said.description, e.said.location, "")
        if e.schedule == MG6C and e.said
        else (str(e.item.act.number), _absent(e, MG6C), "", "")
        for e in ever
    )
    return Form(
        "mg6c", "MG6C: schedule of relevant non-sensitive unused material", case,
        ("Item", "Description of item", "Location for inspection", _MARKS), lines,
        (f"Disclosure officer: {by}", "Signature:", "Date:"), on, "OFFICIAL",
    )  # fmt: skip


def mg6d(case: str, listed: Sequence[Listed], *, on: str, by: str) -> Form:
    """Sensitive material, with the reasons for each item; a nil schedule where there is none."""
    lines = tuple(
        (str(e.item.act.item), e.said.description, e.said.reasons, e.said.handling, "", "")
        if e.schedule == MG6D and e.said
        else (str(e.item.act.item), _absent(e, MG6D), "", "", "", "")
        for e in listed
    )
    nil = not any(e.schedule == MG6D for e in listed)
    statement = (
        "To the best of my knowledge and belief there is no sensitive material in this case that this schedule is for."
    )
    return Form(
        "mg6d", "MG6D: schedule of relevant sensitive material" + (" (nil)" if nil else ""), case,
        ("Item", "Description of item", "Reasons for sensitivity", "Handling", "Prosecutor: agrees sensitive?",
         "PII application?"),
        lines, (*([statement] if nil else []), f"Disclosure officer: {by}", "Signature:", "Date:"), on,
        "OFFICIAL-SENSITIVE",
    )  # fmt: skip


def mg6e(case: str, listed: Sequence[Listed], *, on: str, by: str) -> Form:
    """The disclosure officer's report: items that may undermine the prosecution or assist the defence."""
    lines = tuple(
        (e.schedule.upper(), str(e.number), e.said.assists, "yes" if e.said.copied else "no")
        for e in listed
        if e.said and e.said.assists and e.schedule in (MG6C, MG6D)
    )
    return Form(
        "mg6e", "MG6E: disclosure officer's report", case,
        ("Schedule", "Item", "Why it may undermine the prosecution or assist the defence", "Copy supplied"), lines,
        ("I certify that, to the best of my knowledge and belief, all relevant material that was retained has been "
         "inspected, viewed or listened to, and revealed to the prosecutor.",
         f"Disclosure officer: {by}", "Signature:", "Date:"), on, "OFFICIAL-SENSITIVE",
    )  # fmt: skip


def separate(case: str, listed: Sequence[Listed], *, on: str, by: str) -> Form:
    """The schedule that is delivered by itself (R28)."""
    lines = tuple(
        (str(e.item.act.item), e.said.description, e.said.reasons, e.said.handling, "", "")
        if e.schedule == APART and e.said
        else (str(e.item.act.item), _absent(e, APART), "", "", "", "")
        for e in listed
    )
    return Form(
        "separate", "Schedule of highly sensitive material: deliver by hand, apart from every other", case,
        ("Item", "Description of item", "Reasons for sensitivity", "Handling", "Prosecutor: agrees sensitive?",
         "PII application?"),
        lines, (f"Disclosure officer: {by}", "Signature:", "Date:"), on, "SECRET",
    )  # fmt: skip


def _absent(each: Listed, schedule: str) -> str:
    """Why a number is on a schedule and its item is not; to the defence, never that it is sensitive."""
    if each.gone:
        return f"[{each.gone}]"
    if schedule == MG6D and each.schedule == MG6C:
        return f"[moved to the MG6C, item {each.item.act.number}]"
    return "[withdrawn]" if each.schedule == WITHDRAWN or schedule == MG6C else "[moved]"


def as_html(form: Form) -> bytes:
    """One page that needs nothing else and asks for nothing."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in form.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>\n" for line in form.lines
    )
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"
    parts = [
        '<!doctype html>\n<html lang="en-GB"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{html.escape(form.title)}</title>",
        "<style>body{font:1rem/1.5 sans-serif;margin:2rem}table{border-collapse:collapse;width:100%}"
        "td,th{border:1px solid #555;padding:.3rem .5rem;text-align:left;vertical-align:top;white-space:pre-wrap}"
        "thead{display:table-header-group}</style></head><body>",
        f"<p>{html.escape(form.marking)}</p><h1>{html.escape(form.title)}</h1>",
        f"<p>Case {html.escape(form.case)}. Drawn up {html.escape(_when(form))}.</p>",
        table if form.lines else f"<p>{NOTHING}</p>",
        *(f"<p>{html.escape(note)}</p>" for note in form.notes),
        "</body></html>\n",
    ]
    return "\n".join(parts).encode()


def as_csv(form: Form) -> bytes:
    """UTF-8 with a mark, for spreadsheets. A cell that one would take for a formula begins with an apostrophe."""
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\r\n")
    writer.writerow(form.columns)
    writer.writerows([_harmless(cell) for cell in line] for line in form.lines)
    return told.getvalue().encode("utf-8-sig")


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.lstrip(" \u00a0\u3000").startswith(_FORMULA) else cell


def as_docx(form: Form) -> bytes:
    """A Word document to edit, landscape, its heading repeated on each page."""
    from docx import Document
    from docx.enum.section import WD_ORIENT
    from docx.oxml import OxmlElement

    document, at = Document(), datetime.fromisoformat(form.on).astimezone(UTC).replace(tzinfo=None)
    said = document.core_properties
    said.title, said.author, said.comments = form.title, "", ""
    said.created = said.modified = at
    said.last_modified_by = ""
    section = document.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = section.page_height, section.page_width
    section.header.paragraphs[0].text = f"{form.marking}   Case {form.case}"
    document.add_heading(form.title, level=1)
    document.add_paragraph(f"Case {form.case}. Drawn up {_when(form)}.")
    if form.lines:
        table = document.add_table(rows=1, cols=len(form.columns), style="Table Grid")
        table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
        for cell, name in zip(table.rows[0].cells, form.columns, strict=True):
            cell.text = name
        for line in form.lines:
            for cell, text in zip(table.add_row().cells, line, strict=True):
                cell.text = text
    else:
        document.add_paragraph(NOTHING)
    for note in form.notes:
        document.add_paragraph(note)
    made = io.BytesIO()
    document.save(made)
    return _timeless(made.getvalue())


def _timeless(document: bytes) -> bytes:
    """The same document with no time of writing in its ZIP file, and its parts in order."""
    told = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document)) as source, zipfile.ZipFile(told, "w", zipfile.ZIP_DEFLATED) as target:
        names = sorted(source.namelist(), key=lambda name: (name != "[Content_Types].xml", name))
        for name in names:
            part = zipfile.ZipInfo(name, _EPOCH)
            part.compress_type, part.external_attr, part.create_system = zipfile.ZIP_DEFLATED, 0o600 << 16, 3
            target.writestr(part, source.read(name))
    return told.getvalue()


def _when(form: Form) -> str:
    return moments.london(moments.instant(form.on))
