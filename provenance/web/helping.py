"""What pages lead to for whoever wants to know more: help, the papers behind a build, what has become of its rows.

The papers are the force's. The log has their digests; a file is served when the archive holds one of that digest, in
`papers/`, and is said to be not supplied when it does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from provenance import access, explaining, rows
from provenance.archive import Archive
from provenance.errors import Missing
from provenance.tables import TABLES
from provenance.web import words
from provenance.web.reader import Reader
from provenance.world import now

# Professional head of intelligence assessment; bounds beyond the first four from memory, unverified.
YARDSTICK = (
    ("Remote chance", "0 to 5 %"),
    ("Highly unlikely", "10 to 20 %"),
    ("Unlikely", "25 to 35 %"),
    ("Realistic possibility", "40 to 50 %"),
    ("Likely or probable", "55 to 75 %"),
    ("Highly likely", "80 to 90 %"),
    ("Almost certain", "95 to 100 %"),
)
SOURCES = (("1", "Reliable"), ("2", "Untested"), ("3", "Not reliable"))
ASSESSMENTS = (
    ("A", "Known directly"),
    ("B", "Known indirectly, and corroborated"),
    ("C", "Known indirectly"),
    ("D", "Not known"),
    ("E", "Suspected to be false"),
)
HANDLING = (("P", "Lawful sharing is permitted"), ("C", "Lawful sharing is permitted with conditions"))
OLDER_SOURCES = (
    ("A", "Always reliable"),
    ("B", "Mostly reliable"),
    ("C", "Sometimes reliable"),
    ("D", "Unreliable"),
    ("E", "Untested source"),
)
OLDER_INTELLIGENCE = (
    ("1", "Known to be true without reservation"),
    ("2", "Known personally to the source but not to the officer"),
    ("3", "Not personally known to the source, but corroborated"),
    ("4", "Cannot be judged"),
    ("5", "Suspected to be false or malicious"),
)
_TABLES = {
    "record": "Records",
    "involvement": "Parts in records",
    "person": "Particulars of people",
    "identity": "Judgements of who is who",
    "order": "Orders to dispose",
    "link": "Links",
    "nominal": "Figures of people",
    "network": "Networks",
}
_SENT = re.compile(r"[\w. -]{1,120}", re.ASCII)
Draw = Callable[..., Response]


class Helping:
    """Handlers of these pages."""

    def __init__(self, reader: Reader, draw: Draw) -> None:
        self.reader, self.draw = reader, draw

    def help(self, request: Request) -> Response:
        """What the words and figures mean, and what they do not."""
        context = {
            "title": "Help",
            "yardstick": YARDSTICK,
            "measures": [
                [name.replace("_", " "), *(text.replace("`", "") for text in said)]
                for name, said in explaining.MEANS.items()
            ],
            "sources": SOURCES,
            "assessments": ASSESSMENTS,
            "handling": HANDLING,
            "older_sources": OLDER_SOURCES,
            "older_intelligence": OLDER_INTELLIGENCE,
            "older_handling": [(code, text[0].upper() + text[1:]) for code, text in words.HANDLING["5x5x5"].items()],
            "conditions": [(code, text[0].upper() + text[1:]) for code, text in words.CONDITIONS.items()],
        }
        return self.draw(request, "help.html", context)

    def since(self, request: Request) -> Response:
        """What has become of the rows of a build."""
        snapshot = self.reader.snapshot(label=request.path_params["label"])
        with self.reader.turn() as archive:
            gone = snapshot.disposed
            disposals = _disposals(archive, snapshot.built.number)
        states = ("disposed", "reduced", "restricted", "computed_with_erased")
        context = {
            "title": f"Build {snapshot.label}, since then",
            "label": snapshot.label,
            "gone": gone,
            "tables": [
                [_TABLES.get(name, name), *(counts.get(state, 0) for state in states)]
                for name, counts in gone["tables"].items()
            ],
            "reasons": [[reason.replace("-", " "), count] for reason, count in gone["reasons"].items()],
            "disposals": disposals,
        }
        return self.draw(request, "since.html", context)

    def papers(self, request: Request) -> Response:
        """The papers that a build names: that of the address, or the one that is live."""
        label = request.query_params.get("build", "")
        snapshot = self.reader.snapshot(label=label) if label else self.reader.snapshot(when=now())
        with self.reader.turn() as archive:
            named = archive.stated(snapshot.built).documents
            held = {paper.digest for paper in named if paper.digest and _file(archive.root, paper.digest)}
        first = "technical_report"  # for which the page is named
        context = {
            "title": "Technical report",
            "label": snapshot.label,
            "papers": [
                {
                    "name": paper.name.replace("_", " ").capitalize(),
                    "version": paper.version or "not supplied",
                    "digest": paper.digest,
                    "href": f"/technical-report/{paper.digest}" if paper.digest in held else None,
                }
                for paper in sorted(named, key=lambda paper: (paper.name != first, paper.name))
            ],
        }
        return self.draw(request, "papers.html", context)

    def paper(self, request: Request) -> Response:
        """The file of one paper that some build names."""
        digest = request.path_params["digest"]
        person = request.state.person
        person.insist(access.NAMES if access.NAMES in person.may else access.AGGREGATES)
        with self.reader.turn() as archive:
            named = any(digest == p.digest for built in archive.history.builds for p in archive.stated(built).documents)
            path = _file(archive.root, digest) if named and digest else None
        if path is None:
            raise Missing("paper is not in the archive: no build names one of that digest, or it was not supplied")
        # As a file to be kept: a page of the force's own making is not run under this service's name.
        name = path.name if _SENT.fullmatch(path.name) else digest
        return FileResponse(path, media_type="application/octet-stream", filename=name)


def _file(root: Path, digest: str) -> Path | None:
    """The file of that SHA-256 among those that the force has put into `papers/`."""
    folder = root / "papers"
    held = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    return next((path for path in held if rows.digest(path) == digest), None)


def _disposals(archive: Archive, number: int) -> list[dict[str, Any]]:
    """The disposals that took rows of this build, with how many and their certificates."""
    taken: dict[int, int] = {}
    for table in TABLES:
        index = archive.index(table)
        numbers, counts = np.unique(index.died[index.standing(number)], return_counts=True)
        for disposal, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            if disposal:
                taken[disposal] = taken.get(disposal, 0) + count
    found = []
    for disposal, count in sorted(taken.items()):
        held = archive.history.disposals[disposal - 1]
        found.append(
            {
                "id": held.first.disposal,
                "on": words.instant(held.first.on),
                "reason": held.first.reason.replace("-", " "),
                "rows": count,
                "certificate": held.certified.certificate if held.certified else "",
            }
        )
    return found
