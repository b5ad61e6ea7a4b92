"""A feed: the live build's nominals, links, supports and networks as plain tables, for the force's own tools to read.

The act is logged first and the tables are written after it, so that nothing leaves unlogged; what was cut off between
is written by the next `renew`. Both are done as the only writer, so no disposal comes between reading a row and writing
it. What is restricted is in no feed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from provenance import canonical, durable, entries, exporting, feeds, grading
from provenance.archive import Archive
from provenance.asof import Snapshot, whole
from provenance.errors import Malformed, Missing
from provenance.records import THEMES

_PERSON = (
    "theme", "nominal", "network", "links", "strength", "records", "offending", "victim", "witness", "other",
    "victim_only", "harm", "harm_unknown", "harm_edition", "severity", "severity_unknown", "severity_edition",
    "computed_with_erased",
)  # fmt: skip
_LINK = ("theme", "a", "b", "strength", "records", "handling", "conditions", "reduced")
_SUPPORT = (
    "system", "record_id", "kind", "occurred_at", "role_a", "role_b", "assessed", "grade_scheme", "grade", "handling",
    "conditions", "contribution",
)  # fmt: skip
_NETWORK = (
    "theme", "network", "members", "links", "strength", "harm", "severity", "alarm", "computed_with_erased",
)  # fmt: skip
COLUMNS: Mapping[str, str] = {
    "theme": "SOC, CSE or CL", "nominal": "id of the nominal", "name": "as the sources have it",
    "child": "1 where a source says that the nominal is under 18", "network": "id of the network; empty for none",
    "a": "id of one nominal", "b": "id of the other; a comes before b", "links": "number of links",
    "strength": "points: a sum of the records' contributions, and no probability", "records": "number of records",
    "offending": "records in which the nominal is suspect, offender or arrested",
    "victim": "records in which the nominal is a victim", "witness": "records in which the nominal is a witness",
    "other": "records in which the nominal has another role",
    "victim_only": "1 where the nominal is named as a victim and as nothing else", "harm": "days, by harm_edition",
    "harm_unknown": "offences that harm_edition lacks", "harm_edition": "the table that harm is counted by",
    "severity": "weight, by severity_edition", "severity_unknown": "offences that severity_edition lacks",
    "severity_edition": "the table that severity is counted by",
    "computed_with_erased": "1 where the figures are withheld (empty), since they counted what has since gone",
    "handling": "handling code as recorded; of a link the strictest", "conditions": "of handling, as recorded",
    "reduced": "1 where some of what stood behind the link has since gone", "system": "source system",
    "record_id": "id of the record there", "kind": "crime, custody, intelligence, prison_release or missing",
    "occurred_at": "when it happened", "role_a": "roles of a in the record, joined with +", "role_b": "the same of b",
    "assessed": "fact or assessment", "grade_scheme": "3x5x2 or 5x5x5; empty for ungraded",
    "grade": "as recorded, by that scheme", "contribution": "points that the record gives the link",
    "members": "number of nominals", "alarm": "1 where the network holds more of its theme than params allow",
    "feed_build": "the build that the row is of", "feed_handling": "the strictest handling code in the feed",
    "feed_caveat_version": "of the advice in README.md",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Renewed:
    """What came of writing feeds again."""

    written: tuple[str, ...]  # places
    missed: tuple[str, ...]  # places that were not reached


def write(archive: Archive, folder: Path, *, theme: str, form: str, on: str, by: str, under: str) -> entries.Exported:
    """Write the live build's tables to a folder, which is a feed from then on. Raises as `feeds.place_of`, and Missing
    where nothing is live."""
    if theme not in ("", *THEMES) or form not in feeds.FORMS:
        raise Malformed(f"feed: wanted a theme of {', '.join(THEMES)}, or none, and one of {', '.join(feeds.FORMS)}")
    with archive.writing():
        place = feeds.place_of(archive, folder)
        if not feeds.is_ours(archive, folder):  # marked before anything else, so that it can be found and cleared
            durable.write(folder / feeds.MARK, feeds.mark(archive))
        return _write(archive, place, theme=theme, form=form, on=on, by=by, under=under)


def renew(archive: Archive, *, on: str, by: str) -> Renewed:
    """Write again every feed that is behind: an act took something away, tables are missing, or another build is live.

    A folder that is not reached is left for the next time.
    """
    written, missed = [], []
    if not archive.history.feeds:
        return Renewed((), ())
    with archive.writing():
        live = archive.history.live(on)
        behind = feeds.waiting(archive)
        for place, feed in sorted(archive.history.feeds.items()):
            if place not in behind and live is not None and feed.act.label == live.label:
                continue
            if not feeds.clear(archive, place):
                missed.append(place)
            elif live is not None:
                act = feed.act
                theme = str(canonical.loads(act.asked.encode()).get("theme", ""))
                try:
                    _write(archive, place, theme=theme, form=act.form, on=on, by=by, under=act.under)
                except OSError:  # it went away in between
                    missed.append(place)
                    continue
                written.append(place)
    return Renewed(tuple(written), tuple(missed))


def _write(archive: Archive, place: str, *, theme: str, form: str, on: str, by: str, under: str) -> entries.Exported:
    live = archive.history.live(on)
    if live is None:
        raise Missing("no build is live, so there is nothing to feed: `provenance build` first")
    snapshot = Snapshot(archive, archive.history.build(live.label), live)
    parts = whole(lambda: exporting.of_links(snapshot, theme))
    handling, conditions = grading.strictest(parts, archive.handling_order(snapshot.built))
    about = {
        "archive": archive.name, "build": snapshot.label, "root": snapshot.root, "cut_off": snapshot.built.cut_off,
        "theme": theme, "handling": handling, "conditions": conditions,
        "caveat_version": snapshot.landing_page["version"], "caveat": snapshot.landing_page["text"],
        "disposed": snapshot.disposed["disposed"], "reduced": snapshot.disposed["reduced"],
        "restricted": snapshot.disposed["restricted"],
    }  # fmt: skip
    tables = whole(lambda: _tables(snapshot, theme))
    constant = {"feed_build": snapshot.label, "feed_handling": handling,
                "feed_caveat_version": str(about["caveat_version"])}  # fmt: skip
    files = {}
    for name, table in tables.items():
        for column, value in constant.items():
            table = table.append_column(column, pa.array([value] * table.num_rows, pa.string()))
        files[f"{name}.{form}"] = _bytes(table, form, about)
    sizes = {name: table.num_rows for name, table in tables.items()}
    files[feeds.ABOUT] = canonical.dumps({**about, "rows": sizes}) + b"\n"
    files[feeds.README] = _readme(about, tables, form)
    act = entries.Exported(
        on=on, by=by, under=under, label=snapshot.label,
        asked=canonical.dumps({"view": "feed"} | ({"theme": theme} if theme else {})).decode(), nominals="", case="",
        shown=feeds.digest(archive, files), form=form, folder=place, caveat=str(about["caveat_version"]),
        handling=handling,
    )  # fmt: skip
    archive.append(act)
    feeds.clear(archive, place)
    folder = feeds.folder_of(archive, place)
    for name, data in files.items():
        durable.write(folder / name, data, mode=0o640)
    return act


def _tables(snapshot: Snapshot, theme: str) -> dict[str, pa.Table]:
    wanted = theme or None
    people = snapshot.nominals(theme=wanted)
    known = snapshot.people(pc.unique(people["nominal"]).to_pylist())
    at = pc.index_in(people["nominal"], known["nominal_id"].combine_chunks())
    is_child = pc.is_in(known["is_child"], pa.array(["1", "true", "yes"]))
    people = people.select(_PERSON)
    people = people.add_column(2, "name", pc.fill_null(pc.take(known["name"], at), ""))
    people = people.add_column(3, "child", pc.fill_null(pc.take(is_child, at), False).cast(pa.int64()))
    links = snapshot.links(theme=wanted)
    supports = links["supports"].combine_chunks()
    each, owner = supports.flatten(), pc.list_parent_indices(supports)
    behind = [links[name].combine_chunks().take(owner) for name in ("theme", "a", "b")]
    behind += [each.field(name) for name in _SUPPORT]
    return {
        "nominals": people,
        "links": links.select(_LINK),
        "supports": pa.table(behind, names=["theme", "a", "b", *_SUPPORT]),
        "networks": snapshot.networks(theme=wanted).select(_NETWORK),
    }


def _bytes(table: pa.Table, form: str, about: Mapping[str, object]) -> bytes:
    if form == "csv":
        columns = [column.to_pylist() for column in table.columns]
        return exporting.csv_bytes(table.column_names, zip(*columns, strict=True))
    said = {
        f"feed_{name}": str(about[name])
        for name in ("build", "root", "handling", "conditions", "caveat_version", "caveat")
    }
    return exporting.parquet_bytes(table, said)


def _readme(about: Mapping[str, object], tables: Mapping[str, pa.Table], form: str) -> bytes:
    lines = [
        f"# Build {about['build']} of archive {about['archive']}, as plain tables", "",
        f"- Handling: **{about['handling'] or 'none recorded'}**, the strictest of everything in these tables.",
        f"- Conditions: {about['conditions'] or 'none stated'}",
        f"- Records up to {about['cut_off']}; root of the build `{about['root']}`",
        f"- Theme: {about['theme'] or 'all'}",
        f"- Of this build {about['disposed']} rows have been disposed of, {about['reduced']} are reduced and "
        f"{about['restricted']} restricted. None of those is here.", "",
        "These files are written again whenever something in them is disposed of or restricted, and with each build. "
        "Keep no copy of them: read them where they are, or have what you copy removed with them.", "",
        f"## The advice that stood with this build (version {about['caveat_version']})", "",
        str(about["caveat"]).strip(), "",
    ]  # fmt: skip
    for name, table in tables.items():
        lines += [f"## {name}.{form}", "", "| column | type | means |", "| --- | --- | --- |"]
        lines += [
            f"| {field.name} | {'whole number' if pa.types.is_int64(field.type) else 'text'} | {COLUMNS[field.name]} |"
            for field in table.schema
        ]
        lines += [f"| {extra} | text | {COLUMNS[extra]} |" for extra in COLUMNS if extra.startswith("feed_")] + [""]
    if form == "csv":
        lines += ["Text that a spreadsheet would take for a formula, or that begins with an apostrophe, has an "
                  "apostrophe before it.", ""]  # fmt: skip
    return "\n".join(lines).encode()
