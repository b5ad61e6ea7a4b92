"""What leaves as a file: the tables of a page, with the words that go with them, and the act that says who took it.

Each file says which build it is of, its root, how it is to be handled (the strictest of everything that its figures
rest on, with all conditions, R13), which advisory words stood with it, and what to quote. In Parquet that is the
file's metadata; CSV has no place for it, so each row carries it in columns that begin with `file_`, and a row that is
cut out of its file still says where it is from.

A spreadsheet takes a cell that begins with = + - or @ for a formula. Text that does, after spaces and marks that do not
show, or that begins with an apostrophe, gets an apostrophe before it; whoever wants the text as it was takes one
apostrophe away from the start of a cell that has one. Whole numbers are left alone. What was withheld is an empty cell.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance import asking, entries, grading, vault
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.sheets import Sheet, sheets
from provenance.viewing import Page

FORMS = ("csv", "parquet")
_OPENS_A_FORMULA = frozenset("=+-@＝＋－＠")
_SETTLED = (1980, 1, 1, 0, 0, 0)  # the moment of every file in a ZIP: the same page gives the same bytes


@dataclass(frozen=True, slots=True)
class Carried:
    """What every file of an export says about itself."""

    archive: str
    build: str
    root: str
    cut_off: str
    caveat_version: str
    caveat: str
    handling: str  # as recorded; "" where no record behind it has any
    conditions: tuple[str, ...]  # each as recorded
    digest: str  # of what the page said
    citation: str

    def short(self) -> dict[str, str]:
        """What a row of a CSV carries, and the metadata of a Parquet file."""
        return {
            "file_build": self.build, "file_root": self.root, "file_handling": self.handling,
            "file_conditions": grading.CONDITIONS_JOINED.join(self.conditions),
            "file_caveat_version": self.caveat_version, "file_citation": self.citation,
        }  # fmt: skip


def carried(snapshot: Snapshot, page: Page, parts: Iterable[tuple[str, str]]) -> Carried:
    """What goes with a page; `parts` are as `handled` found them, of each build that the page speaks of."""
    landing, parts = snapshot.landing_page, sorted(parts)
    handling, _ = grading.strictest(parts, snapshot.archive.handling_order(snapshot.built))
    conditions = tuple(sorted({stated for _, stated in parts if stated}))
    return Carried(
        snapshot.archive.name, snapshot.label, snapshot.root, snapshot.built.cut_off, landing["version"],
        landing["text"], handling, conditions, page.digest, page.citation,
    )  # fmt: skip


def handled(snapshot: Snapshot, page: Page) -> frozenset[tuple[str, str]]:
    """Handling codes and conditions of the records behind what a page says of this build, each pair once.

    A theme's totals rest on every link of the theme, a network's on those of its members, a person's on their own, so
    all of these count, whichever the page lists. Nothing for a subject that this build has not.
    """
    ask = page.ask
    if ask.view in asking.THEME_VIEWS:
        return frozenset(of_links(snapshot, ask.theme))
    if ask.network:
        held = snapshot.nominals(theme=ask.network.split("-")[0])
        people = held.filter(pc.equal(held["network"], ask.network))["nominal"].combine_chunks()
    else:
        named = {snapshot.canonical(who) for who in (*ask.nominals, *_sides(page.said["said"], "near"))}
        people = pa.array(sorted(named), pa.string())
    tokens = snapshot.archive.vault.tokens(vault.nominal_keys(people))
    at = snapshot.standing_of("link", tokens[tokens != 0].tolist())
    found = snapshot.content("link", at)["supports"].to_pylist()
    return frozenset((support["handling"], support["conditions"]) for link in found for support in link)


def of_links(snapshot: Snapshot, theme: str) -> set[tuple[str, str]]:
    """Handling codes and conditions of every record behind the links of a theme, or of all ("")."""
    found: set[tuple[str, str]] = set()
    for batch in snapshot.link_batches(("supports.handling", "supports.conditions"), theme=theme or None):
        for chunk in batch["supports"].chunks:
            each = chunk.flatten()
            pairs = pa.table({"handling": each.field("handling"), "conditions": each.field("conditions")})
            distinct = pairs.group_by(["handling", "conditions"]).aggregate([]).to_pylist()
            found.update((row["handling"], row["conditions"]) for row in distinct)
    return found


def _sides(said: Mapping[str, Any], name: str) -> list[str]:
    parts = (said["before"], said["after"]) if "causes" in said else (said,)
    return [each for part in parts for each in part.get(name, ())]


def log(archive: Archive, page: Page, with_it: Carried, *, form: str, case: str, on: str, by: str, under: str) -> int:
    """Log that a page is about to be handed out as a file, before it is; its place in the log."""
    act = entries.Exported(
        on=on, by=by, under=under, label=page.label, asked=page.ask.logged(), nominals=entries.packed(page.subjects),
        case=case, shown=page.digest, form=form, folder="", caveat=with_it.caveat_version, handling=with_it.handling,
    )  # fmt: skip
    return archive.append(act).start


def name_of(page: Page, suffix: str) -> str:
    """What the file is called: build, view and digest, and nobody's name."""
    return f"{page.label}-{page.ask.view}-{page.digest[:12]}.{suffix}"


def packed(page: Page, with_it: Carried, form: str) -> bytes:
    """The page's tables, one file each of `form`, and a README, as a ZIP. The same page gives the same bytes."""
    found = sheets(page.ask.view, page.said["said"])
    files = {"README.txt": readme(page, with_it, found, form)}
    for place, sheet in enumerate(found, start=1):
        data = csv_of(sheet, with_it) if form == "csv" else parquet_of(sheet, with_it)
        files[f"{place:02d}-{sheet.name}.{form}"] = data
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            about = zipfile.ZipInfo(name, _SETTLED)
            about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            made.writestr(about, data)
    return whole.getvalue()


def csv_of(sheet: Sheet, with_it: Carried) -> bytes:
    """RFC 4180 in UTF-8: every text in quotes, no whole number in any."""
    extra = with_it.short()
    names = [column.name for column in sheet.columns] + list(extra)
    return csv_bytes(names, ((*row, *extra.values()) for row in sheet.rows))


def csv_bytes(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """A header, then rows of text, whole numbers and None."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(["" if cell is None else neutral(cell) if isinstance(cell, str) else int(cell) for cell in row])
    return out.getvalue().encode("utf-8", "surrogatepass")


def neutral(text: str) -> str:
    """Text that no spreadsheet takes for a formula; see the module."""
    bare = text.lstrip("\ufeff\u200b\u200c\u200d\u2060\u00ad \t\r\n\v\f\u00a0\0")
    formula = bare[:1] in _OPENS_A_FORMULA if bare else False
    return f"'{text}" if formula or text[:1] in ("'", "\t", "\r", "\n") else text


def parquet_of(sheet: Sheet, with_it: Carried) -> bytes:
    """Text and 64-bit whole numbers; what goes with the file is its metadata."""
    columns = [
        pa.array([row[place] for row in sheet.rows], pa.int64() if column.number else pa.string())
        for place, column in enumerate(sheet.columns)
    ]
    table = pa.table(columns, names=[column.name for column in sheet.columns])
    return parquet_bytes(table, {**with_it.short(), "file_caveat": with_it.caveat})


def parquet_bytes(table: pa.Table, metadata: Mapping[str, str]) -> bytes:
    """A table with its metadata; the same rows give the same bytes by the same version of Arrow."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(dict(metadata)), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def readme(page: Page, with_it: Carried, found: Sequence[Sheet], form: str) -> bytes:
    """What the files are, how they are to be handled, and what the advice was."""
    lines = [
        f"{page.ask.view} of build {with_it.build}, archive {with_it.archive}", "",
        f"Handling: {handling_words(with_it.handling)}", "Conditions:",
        *(f"  {each}" for each in with_it.conditions or ("none stated",)),
        f"Records up to: {with_it.cut_off}", f"Root of the build: {with_it.root}",
        f"Quote as: {with_it.citation}", f"Filters: {filter_words(page)}", "",
        "Files:",
        *(
            f"  {place:02d}-{sheet.name}.{form}: {sheet.title}, {len(sheet.rows):,} rows"
            for place, sheet in enumerate(found, start=1)
        ),
        "", *_HOW[form], "", f"The advice that stood with this build (version {with_it.caveat_version}):", "",
        with_it.caveat.strip(), "",
    ]  # fmt: skip
    return "\r\n".join(line.replace("\n", "\r\n") for line in lines).encode()


_HOW = {
    "csv": (
        "UTF-8, comma separated (RFC 4180). Text is in quotes and whole numbers are not; what was withheld is empty.",
        "A text that a spreadsheet would take for a formula, or that begins with an apostrophe, has an apostrophe",
        "before it: take that one away to have the text as it was.",
    ),
    "parquet": (
        "Columns are text or 64-bit whole numbers; what was withheld is null. Build, root, handling and advice are in",
        "each file's metadata.",
    ),
}


def handling_words(code: str) -> str:
    """A handling code as people say it."""
    return f"{code} (the strictest of everything this rests on)" if code else "none recorded"


def filter_words(page: Page) -> str:
    """What was asked for beyond the plain view."""
    said = page.ask.parameters()
    words = [
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}" for name, value in said.items()
    ]
    return "; ".join(words) or "none"
