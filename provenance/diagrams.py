"""A network, drawn: people as marks that lead to their pages, links as lines that lead to theirs.

Shape says the role and a word repeats it, size and thickness say the class of strength, a dashed outline that figures
are withheld; nothing is told by colour alone. A victim is a square wherever they stand and is called a victim. Tab goes
from person to person, key players first; the lines are for the pointer, so the page has to give the same links as a
table. Refuses a strength that is no class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from provenance import layouts
from provenance.errors import Malformed
from provenance.shapes import PAPER, SOFT, address, cut, flow, frame, text, token, tokens, wide, words

STRENGTHS = 5  # classes, 1 the weakest
_WORDS = ("", "very weak", "weak", "middling", "strong", "very strong")
_MARGIN = 28
_LONGEST = 26  # characters of a label; the whole is in its title


class Role(StrEnum):
    """What a person was in the events of this theme: of the events, not of the person."""

    OFFENDING = "offending"
    VICTIM = "victim"
    BOTH = "offending and victim"
    WITNESS = "witness"
    OTHER = "other"


_FILL = {Role.OFFENDING: "#1d70b8", Role.VICTIM: "#912b88", Role.BOTH: "#912b88", Role.WITNESS: "#00703c"}
_VICTIMS = (Role.VICTIM, Role.BOTH)


@dataclass(frozen=True, slots=True)
class Person:
    """One mark."""

    label: str
    href: str
    role: Role
    strength: int  # class, 1 to STRENGTHS
    key: int = 0  # place among the key players from 1, 0 for everybody else
    withheld: bool = False  # figures counted somebody who has since been disposed of
    extra: str = ""  # class names, for filters

    def __post_init__(self) -> None:
        _check(self.strength, "person")

    @property
    def said(self) -> str:
        """What the mark says, in words."""
        key = f", key player {self.key}" if self.key else ""
        figures = "figures withheld" if self.withheld else f"links {_WORDS[self.strength]}"
        return f"{self.label}: {self.role}{key}, {figures}"


@dataclass(frozen=True, slots=True)
class Link:
    """One line, between people by their places."""

    a: int
    b: int
    href: str
    strength: int  # class, 1 to STRENGTHS
    extra: str = ""

    def __post_init__(self) -> None:
        _check(self.strength, "link")


def _check(strength: int, what: str) -> None:
    if not 1 <= strength <= STRENGTHS:
        raise Malformed(f"strength class of a {what} is none: found {strength}, wanted 1 to {STRENGTHS}")


def network(
    people: Sequence[Person],
    links: Sequence[Link],
    at: NDArray[np.integer],
    *,
    title: str,
    said: str,
    prefix: str,
    width: int = 960,
) -> Markup:
    """The drawing, `width` by what the people need, with its legend. `at` is what `layouts.place` gave for them.

    Marks have the ids `{prefix}-n{place}`, lines `{prefix}-l{place}`, by their places in what was given.
    """
    if len(at) != len(people):
        raise Malformed(f"places and people differ in number: found {len(at)} and {len(people)}")
    scale = (width - 2 * _MARGIN) / layouts.SIDE
    low = int(at[:, 1].min()) if len(at) else 0
    places = np.rint((at - (0, low)) * scale).astype(np.int64) + _MARGIN
    xy: list[list[int]] = places.tolist()
    height = max((y for _, y in xy), default=0) + _MARGIN
    largest = min(layouts.clearance(len(people)) * scale / 2, 15.0)
    radius = [round(largest * (0.45 + 0.11 * person.strength), 1) for person in people]
    order = sorted(range(len(people)), key=lambda i: (people[i].key or len(people) + 1, -people[i].strength, i))
    font = 14 if len(people) <= 80 else 12 if len(people) <= 500 else 11
    labels = _labelled(people, order, xy, radius, (width, height), font)
    legend, bottom = _legend(people, links, width, height)
    token(prefix)
    parts = [*_lines(people, links, xy, prefix, largest), f'<g class="people" font-size="{font}">']
    above = [f'<g class="key-labels" font-size="{font}" pointer-events="none" aria-hidden="true">']
    for i in order:
        shown = _label(people[i], labels[i]) if i in labels else ""
        if people[i].key:  # above all marks, which its own mark, first by Tab and so first in the file, cannot be
            above.append(shown)
            shown = ""
        parts.append(_mark(people[i], f"{prefix}-n{i}", *xy[i], radius[i], shown))
    return frame(
        [*parts, "</g>", *above, "</g>", *legend],
        title=title, said=said, prefix=prefix, width=width, height=bottom, kind="network", inside=bool(people),
    )  # fmt: skip


def _lines(
    people: Sequence[Person], links: Sequence[Link], xy: list[list[int]], prefix: str, largest: float
) -> list[str]:
    """Lines in a group for each class, the strongest on top."""
    name = [text(person.label) for person in people]
    parts = ['<g class="links" fill="none">']
    for strength in range(1, STRENGTHS + 1):
        thick = round((0.5 + 0.12 * strength * strength) * min(max(largest / 12, 0.3), 1.2), 2)
        parts.append(f'<g class="strength-{strength}" stroke="{_LINE[strength]}" stroke-width="{thick}">')
        for i, link in enumerate(links):
            if link.strength != strength:
                continue
            (x1, y1), (x2, y2) = xy[link.a], xy[link.b]
            extra = f' class="{tokens(link.extra)}"' if link.extra else ""
            parts.append(
                f'<a id="{prefix}-l{i}" data-ends="{prefix}-n{link.a} {prefix}-n{link.b}"{extra} '
                f'href="{address(link.href)}" tabindex="-1">'
                f"<title>{name[link.a]} and {name[link.b]}: {_WORDS[strength]} link</title>"
                f'<path d="M{x1} {y1}L{x2} {y2}"/></a>'
            )
        parts.append("</g>")
    return [*parts, "</g>"]


_LINE = ("", "#a3a9ac", "#8d9599", "#7d868b", "#62696d", "#383f43")


def _mark(person: Person, at: str, x: int, y: int, r: float, label: str) -> str:
    extra = f" {tokens(person.extra)}" if person.extra else ""
    key = " key" if person.key else ""
    return (
        f'<a id="{at}" data-node="{at}" class="person {_CLASS[person.role]}{key}{extra}" href="{address(person.href)}">'
        f"<title>{text(person.said)}</title>{_shape(person.role, x, y, r, person.withheld)}{label}</a>"
    )


def _label(person: Person, label: tuple[int, int, str, str]) -> str:
    left, base, anchor, said = label
    bold = ' font-weight="bold"' if person.key else ""
    return (
        f'<text x="{left}" y="{base}"{anchor}{bold} stroke="{PAPER}" stroke-width="3" stroke-linejoin="round" '
        f'paint-order="stroke">{text(said)}</text>'
    )


_CLASS = {role: role.value.replace(" ", "-") for role in Role}


def _shape(role: Role, x: int, y: int, r: float, withheld: bool) -> str:
    """Circle, square, square around a circle, triangle or diamond, all about as large, none outside its clearance."""
    if withheld:  # hollow, for dashes around a filled mark cannot be told at this size
        edge = round(max(r / 5, 1), 1)
        dashes = f'stroke-width="{edge}" stroke-dasharray="{edge * 2:g} {edge:g}"'
        look = f'fill="{PAPER}" stroke="{_FILL.get(role, SOFT)}" {dashes}'
        r = r - edge / 2
    else:
        look = f'fill="{_FILL.get(role, SOFT)}"'
    if role is Role.OFFENDING:
        return f'<circle cx="{x}" cy="{y}" r="{r:.3g}" {look}/>'
    if role in _VICTIMS:
        half = r * 0.88
        drawn = f'<rect x="{x - half:.5g}" y="{y - half:.5g}" width="{2 * half:.3g}" height="{2 * half:.3g}" {look}/>'
        if role is Role.BOTH:
            return (
                drawn
                + f'<circle cx="{x}" cy="{y}" r="{r * 0.5:.3g}" fill="{_FILL[Role.VICTIM] if withheld else PAPER}"/>'
            )
        if r >= 7:
            size, ink = round(r * 1.25), _FILL[role] if withheld else PAPER
            drawn += (
                f'<text x="{x}" y="{y + size * 0.36:.5g}" font-size="{size}" font-weight="bold" text-anchor="middle" '
                f'fill="{ink}" aria-hidden="true">V</text>'
            )
        return drawn
    if role is Role.WITNESS:
        return f'<path d="M{x} {y - r:.5g}L{x + r * 0.95:.5g} {y + r * 0.7:.5g}H{x - r * 0.95:.5g}Z" {look}/>'
    return f'<path d="M{x} {y - r:.5g}L{x + r:.5g} {y}L{x} {y + r:.5g}L{x - r:.5g} {y}Z" {look}/>'


# -- labels ------------------------------------------------------------------------------------------------------------

_GRAIN = 2  # px a cell of the paper on which it is noted what is taken


def _labelled(
    people: Sequence[Person],
    order: Sequence[int],
    xy: list[list[int]],
    radius: Sequence[float],
    size: tuple[int, int],
    font: int,
) -> dict[int, tuple[int, int, str, str]]:
    """Where a label fits: x, baseline, anchor and text, by person; no two labels overlap, and none covers a mark.

    In the order given, so that a key player's comes first. Of four sides the first that is free; a key player's label
    rather covers marks than stays away.
    """
    width, height = size
    marks = np.zeros((height // _GRAIN + 2, width // _GRAIN + 2), bool)
    for (x, y), r in zip(xy, radius, strict=True):
        reach = int(r)
        marks[(y - reach) // _GRAIN : (y + reach) // _GRAIN + 1, (x - reach) // _GRAIN : (x + reach) // _GRAIN + 1] = (
            True
        )
    labels = np.zeros_like(marks)
    found: dict[int, tuple[int, int, str, str]] = {}
    for i in order:
        person, (x, y), r = people[i], xy[i], int(radius[i]) + 3
        said = cut(person.label, _LONGEST)
        if person.role in _VICTIMS:
            said += " · victim"
        long = wide(said, font + bool(person.key))
        sides = [
            (x + r, y - font // 2, x + r, ""),
            (x - r - long, y - font // 2, x - r, ' text-anchor="end"'),
            (x - long // 2, y + r - 1, x, ' text-anchor="middle"'),
            (x - long // 2, y - r - font + 1, x, ' text-anchor="middle"'),
        ]
        tries = [(side, True) for side in sides] + [(side, False) for side in sides if person.key]
        for (left, top, base, anchor), beside in tries:
            if left < 2 or top < 2 or left + long > width - 2 or top + font > height - 2:
                continue
            where = (
                slice(top // _GRAIN, (top + font) // _GRAIN + 1),
                slice(left // _GRAIN, (left + long) // _GRAIN + 1),
            )
            if not labels[where].any() and not (beside and marks[where].any()):
                labels[where] = True
                found[i] = base, top + font * 6 // 7, anchor, said
                break
    return found


# -- the legend --------------------------------------------------------------------------------------------------------


def _legend(people: Sequence[Person], links: Sequence[Link], width: int, top: int) -> tuple[list[str], int]:
    """What is on the drawing and no more, and where the legend ends."""
    items: list[tuple[str, str]] = []
    there = {person.role for person in people}
    for role in Role:
        if role in there:
            items.append((_shape(role, 9, -5, 9, False), role.value))
    if any(person.withheld for person in people):
        items.append((_shape(Role.OFFENDING, 9, -5, 9, True), "figures withheld"))
    if any(person.key for person in people):
        items.append(('<text x="0" y="0" font-weight="bold">Aa</text>', "key player"))
    if people:
        sizes = "".join(f'<circle cx="{9 + 12 * i}" cy="-5" r="{3 + 2 * i}" fill="{SOFT}"/>' for i in range(3))
        items.append((f"<g>{sizes}</g>", "    larger: stronger links in all"))
    if links:
        lines = "".join(
            f'<path d="M0 {y}h20" stroke="{_LINE[s]}" stroke-width="{t}"/>' for y, s, t in ((-10, 1, 1), (-3, 5, 4))
        )
        items.append((lines, "thicker: stronger link"))
    found = flow([26 + wide(said, 14) for _, said in items], width - 2 * _MARGIN)
    parts = [f'<g class="legend" transform="translate({_MARGIN} {top + 26})">']
    for (drawn, said), (x, row) in zip(items, found, strict=True):
        pad = 26 if not said.startswith(" ") else 44
        parts.append(f'<g transform="translate({x} {row * 26})">{drawn}{words(pad, 0, said.strip())}</g>')
    rows = found[-1][1] + 1 if found else 0
    return [*parts, "</g>"], top + 14 + rows * 26
