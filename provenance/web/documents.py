"""A report of counts as something to read, in HTML or PDF. What it says comes as text (`committee`), and is set here.

The HTML has its style in it, no script, and asks for no other file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from importlib import resources
from typing import Any

import orjson

from provenance.errors import Malformed
from provenance.web import looks


def html(document: Mapping[str, Any]) -> bytes:
    """The document as one file of HTML."""
    template = looks.environment().get_template("document.html")
    return template.render(document=document, style=looks.stylesheet()).encode()


def pdf(document: Mapping[str, Any]) -> bytes:
    """The document on paper, as tagged PDF. Raises Malformed where it cannot be set."""
    import typst

    drawings: dict[str, bytes] = {}
    chapters = []
    for chapter in document["chapters"]:
        blocks = []
        for block in chapter["blocks"]:
            if block["kind"] == "figure":
                name = f"drawing-{len(drawings)}.svg"
                svg = str(block["svg"]).replace("Arial, Helvetica, sans-serif", "Noto Sans")
                drawings[name] = svg.encode()
                blocks.append({"kind": "figure", "caption": block["caption"], "file": name})
            else:
                blocks.append(block)
        chapters.append({**chapter, "blocks": blocks})
    day = date.fromisoformat(document["made_on"])
    given = {
        "main.typ": resources.files("provenance.web").joinpath("templates/document.typ").read_bytes(),
        "data.json": orjson.dumps({**document, "chapters": chapters, "date": [day.year, day.month, day.day]}),
        **drawings,
    }
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[looks.STATIC])  # the same letters on each machine
    try:
        return typst.compile(given, format="pdf", pdf_standards=["a-2a", "ua-1"], font_paths=fonts)
    except typst.TypstError as error:
        raise Malformed(f"report could not be set as PDF: {error.message}") from None
