"""Reports of counts that were issued: kept in `audit_reports/`, named by the log, and read again before the next one.

    audit_reports/ethics/2026-Q1.json, .html, .pdf     a second issue of the same period is 2026-Q1-2

Who writes here: whoever issues a report, one at a time. If a file is lost or altered, no further report is made until
it is back: a new report is held against all before it (`suppression`), and could tell a difference that it cannot see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provenance import canonical, durable, entries, rows
from provenance.archive import Archive
from provenance.errors import Missing, Tampered

FOLDER = "audit_reports"


@contextmanager
def alone(archive: Archive) -> Iterator[None]:
    """Be the only one who issues: two reports that did not see each other could tell what neither does."""
    with durable.one_writer(archive.root / FOLDER):
        archive.refresh()
        yield


def earlier(archive: Archive, kind: str) -> list[Mapping[str, Any]]:
    """What every report of a kind said, in the order in which they were issued. Raises Missing or Tampered."""
    found = []
    for act in archive.acts(["Issued"]):
        if act.report != kind:
            continue
        (file,) = (file for file in act.files if file.path.endswith(".json"))
        path = archive.root / file.path
        if not path.exists():
            raise Missing(
                f"report that was issued is not there: wanted {file.path}; without it no further one is made, since "
                "the two could tell a difference"
            )
        if rows.digest(path) != file.sha256:
            raise Tampered(f"report is not the one that was issued: {file.path}")
        found.append(canonical.loads(path.read_bytes().rstrip(b"\n")))
    return found


def issue(
    archive: Archive, said: Mapping[str, Any], drawn: Mapping[str, Callable[[], bytes]], *, on: str, by: str, under: str
) -> list[Path]:
    """Keep a report, its JSON and what is `drawn` of it by suffix, and log it; the files.

    `said` has report, period, number, build. Call it within `alone`.
    """
    again = sum(a.report == said["report"] and a.period == said["period"] for a in archive.acts(["Issued"]))
    base = archive.root / FOLDER / said["report"]
    name = said["period"] + (f"-{again + 1}" if again else "")
    whole = {".json": canonical.dumps(said) + b"\n"} | {suffix: draw() for suffix, draw in drawn.items()}
    paths = []
    for suffix, data in whole.items():
        durable.write(base / f"{name}{suffix}", data)
        paths.append(base / f"{name}{suffix}")
    archive.append(
        entries.Issued(
            on=on, by=by, under=under, report=said["report"], period=said["period"], number=said["number"],
            label=said["build"],
            files=tuple(entries.StoredFile(path=archive.relative(path), sha256=rows.digest(path)) for path in paths),
        )
    )  # fmt: skip
    return paths
