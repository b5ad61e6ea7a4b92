"""What every drawing is made of: escaped text, ids under a prefix, links that stay here, a frame with a title.

An SVG of presentation attributes and classes: no style attribute, no style element, no script, nothing from elsewhere,
so that it stands in a page under the strictest policy. Whatever text comes in is shown as text. Refuses a prefix, a
class or an address that could be anything else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from markupsafe import Markup, escape

from provenance.errors import Malformed

INK, SOFT, FAINT, PAPER = "#0b0c0c", "#505a5f", "#b1b4b6", "#ffffff"
FONT = 'font-family="Arial, Helvetica, sans-serif"'
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_TOKENS = re.compile(r"(?:[A-Za-z][A-Za-z0-9_-]*(?: [A-Za-z][A-Za-z0-9_-]*)*)?")
# A path of this service, a query or a place in the page: nothing with a scheme or a host.
_HERE = re.compile(r"(?:/(?![/\\])|[?#])[^\x00-\x20\\]*|[A-Za-z0-9][A-Za-z0-9._-]*\.html")
# Marks that turn the order of the text around them, so that a name would read as another.
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C], "\ufffd")
_NARROW, _WIDE = frozenset("fijlrtI.,:;'!|()[]- "), frozenset("mwMWQGODCNHUAV@%&")


def text(value: str) -> str:
    """Escaped for an element and for an attribute in double quotes; what cannot be seen is shown as a lozenge."""
    if not value.isprintable():
        value = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in value)
        value = value.translate(_TURNING)
    return str(escape(value))


def token(value: str) -> str:
    """A prefix of ids. Raises Malformed for anything but letters, digits, - and _, a letter first."""
    if not _TOKEN.fullmatch(value):
        raise Malformed(f"prefix of a drawing is not one word: found {value!r}, wanted letters, digits, - and _")
    return value


def tokens(value: str) -> str:
    """Class names with one space between them, "" for none."""
    if not _TOKENS.fullmatch(value):
        raise Malformed("class names of a drawing are not words: wanted letters, digits, - and _, a space between two")
    return value


def address(value: str) -> str:
    """An address of this service, escaped. The message of the refusal does not repeat it, for it may name a person."""
    if not _HERE.fullmatch(value):
        raise Malformed(
            "address in a drawing leads elsewhere: wanted a path from /, a query from ?, a place from #, or a page "
            "beside it"
        )
    return str(escape(value))


def wide(value: str, size: int) -> int:
    """About how wide a text is in px at a font size, rather too much than too little: no font is asked."""
    tenths = 0
    for c in value:
        if c.isascii():
            tenths += 31 if c in _NARROW else 78 if c in _WIDE else 58
        else:
            tenths += 100 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 70
    return -(-tenths * size // 100)


def cut(value: str, most: int) -> str:
    """The text, or as much of it as `most` characters hold with an ellipsis."""
    return value if len(value) <= most else value[: most - 1].rstrip() + "…"


def number(value: int) -> str:
    """With commas, and a true minus sign."""
    return f"{value:,}".replace("-", "\u2212")


def frame(
    parts: Iterable[str], *, title: str, said: str, prefix: str, width: int, height: int, kind: str, inside: bool
) -> Markup:
    """The whole drawing; `inside` where there are links in it to go to, which a picture could not have."""
    at = token(prefix)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{at}" class="drawing {kind}" viewBox="0 0 {width} {height}" '
        f'width="100%" role="{"group" if inside else "img"}" aria-labelledby="{at}-title" aria-describedby="{at}-said" '
        f'{FONT} font-size="14" fill="{INK}"><title id="{at}-title">{text(title)}</title>'
        f'<desc id="{at}-said">{text(said)}</desc>'
    )
    return Markup(head + "".join(parts) + "</svg>")


def line(x1: int, y1: int, x2: int, y2: int, stroke: str = FAINT, more: str = "") -> str:
    return f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{stroke}" fill="none"{more}/>'


def words(x: int, y: int, value: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}"{more}>{text(value)}</text>'


def flow(widths: Iterable[int], width: int, gap: int = 18) -> list[tuple[int, int]]:
    """(x, row) of each item of a legend, left to right and then the next row."""
    found, x, row = [], 0, 0
    for item in widths:
        if x and x + item > width:
            x, row = 0, row + 1
        found.append((x, row))
        x += item + gap
    return found
