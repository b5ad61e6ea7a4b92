"""How pages are drawn: the templates, the files they are drawn with, and the policy that a browser holds them to.

Text from anywhere is text: everything is escaped, and a name that a template was not given is an error rather than
an empty place on a page that somebody relies on. Pages are written for `POLICY`: no script or style of theirs stands
inside the page, and nothing is asked of another host.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from provenance.errors import Malformed, Missing

TEMPLATES = Path(__file__).resolve().parent / "templates"
STATIC = Path(__file__).resolve().parent / "static"
PREFIX = "/static/"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True, slots=True)
class House:
    """What is said on every page of an installation."""

    service: str
    force: str
    marking: str
    handling: str


@dataclass(frozen=True, slots=True)
class Assets:
    """The built files of `static/` (frontend/build.py), by the names that templates use."""

    names: dict[str, str]

    @classmethod
    def read(cls, static: Path = STATIC) -> Assets:
        try:
            return cls(json.loads((static / "manifest.json").read_text("utf-8")))
        except FileNotFoundError as error:
            raise Missing("what pages are drawn with is not built: run `make assets`, or install a wheel") from error

    def __call__(self, name: str) -> str:
        """Where a page asks for it. The name changes whenever a byte of it does."""
        if name not in self.names:
            raise Malformed(f"a template asks for {name}, found {', '.join(sorted(self.names))}")
        return PREFIX + self.names[name]


def stylesheet(static: Path = STATIC) -> str:
    """All rules of the pages as one text, for a file that is to stand alone. They ask for no other file."""
    assets = Assets.read(static)
    return "\n".join((static / assets.names[name]).read_text("utf-8") for name in ("govuk.css", "provenance.css"))


def environment(assets: Assets | None = None) -> Environment:
    """Templates, and what each of them may call: `asset("provenance.css")`, `1234 | thousands`."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["asset"] = assets or Assets.read()
    made.filters["thousands"] = thousands
    return made


def thousands(number: int) -> str:
    """12,345: published figures are integers, and no one's locale is asked."""
    return f"{number:,d}"
