"""Lines over builds, bars of causes, and a histogram; each with the rows of the table that says the same in words.

Integers as they were published. A figure that is withheld is a gap with a mark under it and never a zero or a line
drawn through; where the method changed there is an upright line with a number, and what changed stands beneath. Series
and causes are told apart by dashes, marks and patterns before they are by colour.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from provenance.errors import Malformed
from provenance.scales import months, ticks
from provenance.shapes import FAINT, INK, PAPER, SOFT, cut, flow, frame, line, number, text, token, wide, words

WITHHELD = "withheld"
NONE = "none"  # no figure in that build


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its table."""

    svg: Markup
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One figure in each build; None where the build has none, or where it is withheld."""

    name: str
    values: tuple[int | None, ...]
    withheld: frozenset[int] = frozenset()  # places of the builds in which it is

    def __post_init__(self) -> None:
        if told := [place for place in self.withheld if self.values[place] is not None]:
            raise Malformed(f"figure is withheld and told: found a value at build {min(told)}, wanted none")


_DASH = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4")
_COLOUR = ("#1d70b8", "#912b88", "#00703c", "#b10e1e", "#505a5f", "#0b0c0c")


def lines(
    dates: Sequence[date],
    builds: Sequence[str],
    series: Sequence[Series],
    *,
    title: str,
    said: str,
    prefix: str,
    unit: str = "",
    changes: Mapping[int, str] | None = None,
    steps: bool = False,
    points: bool = False,
    width: int = 720,
    height: int = 300,
) -> Chart:
    """At most six series over builds, which have a label and a date each, in order.

    `changes` says, by the place of a build, how the method changed with it. `steps` holds a figure until the next
    build, as the dashboard did; `points` draws each build and no line between, for builds that are far apart. From
    260 px a chart is small: fewer ticks, names above in place of beside the ends.
    """
    changes = changes or {}
    if len(series) > len(_DASH):
        raise Malformed(f"chart has too many series: found {len(series)}, wanted at most {len(_DASH)}")
    if any(len(one.values) != len(dates) for one in series) or len(builds) != len(dates):
        raise Malformed("chart's columns differ in length: wanted a label, a date and a value of each series per build")
    if any(one >= other for one, other in itertools.pairwise(dates)):
        raise Malformed("builds of a chart are not in the order of their dates")
    small = width < 480
    told = [value for one in series for value in one.values if value is not None]
    scale = ticks(min([0, *told]), max([1, *told]), 3 if small else 5)
    left = 12 + max(wide(number(value), 13) for value in scale)
    names = [cut(one.name, 28) for one in series]
    right = 14 if small else 16 + max([wide(name, 15) for name in names], default=0)  # they are bold
    key = flow([34 + wide(name, 13) for name in names], width - 16) if small else []
    top = 24 + (20 * (key[-1][1] + 1) + (16 if unit else 0) if key else 0) + (14 if changes else 0)
    bottom = height - 44
    span = max((dates[-1] - dates[0]).days, 1) if dates else 1

    def x(place: int) -> int:
        return left + round((dates[place] - dates[0]).days * (width - left - right) / span)

    def y(value: int) -> int:
        return bottom - round((value - scale[0]) * (bottom - top) / (scale[-1] - scale[0]))

    parts = ['<g class="axes" font-size="13">']
    for value in scale:
        parts.append(line(left, y(value), width - right, y(value), SOFT if value == 0 else FAINT))
        parts.append(words(left - 6, y(value) + 4, number(value), ' text-anchor="end"'))
    if unit:
        parts.append(words(left, top - (26 if changes else 10), unit, f' fill="{SOFT}"'))
    free = 0  # from where on no label of a month stands yet
    for first in months(dates[0], dates[-1], 3 if small else min((width - left - right) // 64, 8)) if dates else []:
        at = left + round((first - dates[0]).days * (width - left - right) / span)
        parts.append(line(at, bottom, at, bottom + 5, SOFT))
        anchor, label = _anchor(at, left, width), f"{first:%b %Y}"
        begins = at - {"start": 0, "middle": wide(label, 13) // 2, "end": wide(label, 13)}[anchor]
        if begins >= free:
            parts.append(words(at, bottom + 20, label, f' text-anchor="{anchor}"'))
            free = begins + wide(label, 13) + 6
    for count, place in enumerate(sorted(changes), start=1):
        parts.append(line(x(place), top - 6, x(place), bottom, INK, ' stroke-dasharray="1 3"'))
        parts.append(f'<circle cx="{x(place)}" cy="{top - 10}" r="8" fill="{INK}"/>')
        more = f' text-anchor="middle" fill="{PAPER}" font-size="11" font-weight="bold"'
        parts.append(words(x(place), top - 6, str(count), more))
    parts.append("</g>")
    ends: list[tuple[int, int]] = []
    for at, one in enumerate(series):
        parts.append(f'<g class="series-{at + 1}" fill="none" stroke="{_COLOUR[at]}">')
        parts.append(f"<title>{text(one.name)}</title>")
        for place in range(len(dates)) if points else ():
            if one.values[place] is not None:
                parts.append(f'<circle cx="{x(place)}" cy="{y(one.values[place])}" r="3.5" fill="{_COLOUR[at]}"/>')
        if not points and (path := _path(one.values, x, y, steps)):
            parts.append(
                f'<path d="{path}" stroke-width="2.5"' + (f' stroke-dasharray="{_DASH[at]}"' if at else "") + "/>"
            )
        for place in sorted(one.withheld):
            cx, cy = x(place), bottom - 8 - 9 * at
            shape = f'<path d="M{cx} {cy - 4}l4 4l-4 4l-4 -4z" fill="{PAPER}" stroke-width="1.5">'
            parts.append(f"{shape}<title>{text(f'{one.name}, {builds[place]}: {WITHHELD}')}</title></path>")
        parts.append("</g>")
        last = next((place for place in reversed(range(len(dates))) if one.values[place] is not None), None)
        if last is not None:
            ends.append((y(one.values[last]), at))
            parts.append(f'<circle cx="{x(last)}" cy="{y(one.values[last])}" r="3.5" fill="{_COLOUR[at]}"/>')
    if small:
        for at, (left_of, row) in enumerate(key):
            parts.append(_dash(8 + left_of, 16 + 20 * row, at))
            parts.append(words(38 + left_of, 20 + 20 * row, names[at], ' font-size="13"'))
    else:
        for base, at in _apart(ends, 17, top, bottom):
            more = f' fill="{_COLOUR[at]}" font-weight="bold"'
            parts.append(words(width - right + 10, base + 5, names[at], more))
    notes = [
        f"{count}  {changes[place]} (from {builds[place]})" for count, place in enumerate(sorted(changes), start=1)
    ]
    if any(one.withheld for one in series):
        notes.append("\u25c7  figure withheld in that build")
    longest = (width - 16) // 7
    parts += [words(8, height + 18 * at, cut(note, longest), ' font-size="13"') for at, note in enumerate(notes)]
    svg = frame(
        parts, title=title, said=said, prefix=prefix, width=width, height=height - 10 + 18 * len(notes),
        kind="lines", inside=False,
    )  # fmt: skip
    columns = ("Build", "Date", *(one.name for one in series), *(["Method"] if changes else []))
    rows = tuple(
        (build, day.isoformat(), *(_told(one, place) for one in series), *([changes.get(place, "")] if changes else []))
        for place, (build, day) in enumerate(zip(builds, dates, strict=True))
    )
    return Chart(svg, columns, rows)


def _anchor(at: int, left: int, width: int) -> str:
    return "start" if at < left + 20 else "end" if at > width - 28 else "middle"


def _told(one: Series, place: int) -> str:
    value = one.values[place]
    return number(value) if value is not None else WITHHELD if place in one.withheld else NONE


def _path(values: Sequence[int | None], x, y, steps: bool) -> str:
    """Runs of values that are there; one that stands alone is a short dash."""
    path, under_way = [], False
    for place, value in enumerate(values):
        if value is None:
            under_way = False
            continue
        alone = not under_way and (place + 1 == len(values) or values[place + 1] is None)
        if alone:
            path.append(f"M{x(place) - 2} {y(value)}h4")
        elif not under_way:
            path.append(f"M{x(place)} {y(value)}")
        else:
            path.append(f"H{x(place)}V{y(value)}" if steps else f"L{x(place)} {y(value)}")
        under_way = True
    return "".join(path)


def _dash(x: int, y: int, at: int) -> str:
    dash = f' stroke-dasharray="{_DASH[at]}"' if at else ""
    return f'<path d="M{x} {y}h24" stroke="{_COLOUR[at]}" stroke-width="2.5"{dash}/>'


def _apart(ends: list[tuple[int, int]], gap: int, top: int, bottom: int) -> list[tuple[int, int]]:
    """Names beside their ends, moved no further than it takes for none to touch another."""
    found: list[tuple[int, int]] = []
    for y, at in sorted(ends):
        found.append((max(y, found[-1][0] + gap if found else top), at))
    over = max(found[-1][0] - bottom, 0) if found else 0
    for place in reversed(range(len(found))):
        y, at = found[place]
        most = bottom if place == len(found) - 1 else found[place + 1][0] - gap
        found[place] = (min(y, most) if over else y, at)
    return found


# -- causes ------------------------------------------------------------------------------------------------------------

# A tint and a pattern each: lines at an angle, dots, a grid, so that they are told apart in black and white.
_LOOKS = (
    ("#1d70b8", ""),
    ("#f3a6c8", "M0 8L8 0M-2 2L2 -2M6 10L10 6"),
    ("#ffdd00", "M0 0L8 8M-2 6L2 10M6 -2L10 2"),
    ("#28a197", "M0 4H8"),
    ("#505a5f", ""),
    ("#f9c9a8", "M4 0V8"),
    ("#ffffff", "M0 4H8M4 0V8"),
    ("#912b88", ""),
)
_DARK = ("#1d70b8", "#505a5f", "#912b88")


@dataclass(frozen=True, slots=True)
class Bar:
    """One change and what it is made of: points by cause, above or below 0, which add up to it."""

    label: str
    parts: Mapping[str, int]


def causes(bars: Sequence[Bar], *, title: str, said: str, prefix: str, unit: str = "", width: int = 720) -> Chart:
    """A bar for each change: what was added lies to the right of 0, what was taken to the left; a tick at the sum.

    Causes are in the order in which they first occur, at most eight; the legend has those that are there.
    """
    token(prefix)
    names = list(dict.fromkeys(name for bar in bars for name in bar.parts))
    if len(names) > len(_LOOKS):
        raise Malformed(f"chart has too many causes: found {len(names)}, wanted at most {len(_LOOKS)}")
    more = [sum(max(value, 0) for value in bar.parts.values()) for bar in bars]
    less = [sum(min(value, 0) for value in bar.parts.values()) for bar in bars]
    scale = ticks(min([0, *less]), max([1, *more]), 6)
    labels = [cut(bar.label, 30) for bar in bars]
    left = 16 + max([wide(label, 14) for label in labels], default=0)
    right = 20 + max([wide(_signed(sum(bar.parts.values())), 15) for bar in bars], default=0)
    found = flow([28 + wide(cut(name, 40), 13) for name in names], width - 16)
    top = 30 + 24 * (found[-1][1] + 1 if found else 0)
    step, bottom = 34, top + 34 * len(bars)

    def x(value: int) -> int:
        return left + round((value - scale[0]) * (width - left - right) / (scale[-1] - scale[0]))

    parts = ["<defs>"]
    for at in range(len(names)):
        tint, strokes = _LOOKS[at]
        parts.append(
            f'<pattern id="{prefix}-cause-{at + 1}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="{tint}"/>'
            f'<path d="{strokes}" stroke="{INK}" stroke-width="1.2"/></pattern>'
        )
    parts.append('</defs><g class="legend" font-size="13">')
    for at, (name, (left_of, row)) in enumerate(zip(names, found, strict=True)):
        swatch = f'width="18" height="14" fill="url(#{prefix}-cause-{at + 1})" stroke="{INK}"'
        parts.append(f'<rect x="{8 + left_of}" y="{6 + 24 * row}" {swatch}/>')
        parts.append(words(32 + left_of, 18 + 24 * row, cut(name, 40)))
    parts.append('</g><g class="axes" font-size="13">')
    for value in scale:
        parts.append(line(x(value), top - 6, x(value), bottom, SOFT if value == 0 else FAINT))
        parts.append(words(x(value), bottom + 18, number(value), ' text-anchor="middle"'))
    if unit:
        parts.append(words(left, bottom + 36, unit, f' fill="{SOFT}"'))
    parts.append("</g>")
    for at, bar in enumerate(bars):
        y, ends = top + step * at, [0, 0]
        parts.append(words(left - 8, y + 18, labels[at], ' text-anchor="end"'))
        for name, value in bar.parts.items():
            if not value:
                continue
            which = value > 0
            start, ends[which] = ends[which], ends[which] + value
            low, high = sorted((x(start), x(ends[which])))
            look = names.index(name)
            parts.append(
                f'<rect x="{low}" y="{y}" width="{max(high - low, 1)}" height="24" stroke="{INK}" stroke-width="0.8" '
                f'fill="url(#{prefix}-cause-{look + 1})">'
                f"<title>{text(f'{bar.label}: {name} {_signed(value)}')}</title></rect>"
            )
            if high - low > wide(_signed(value), 13) + 8 and (_LOOKS[look][0] in _DARK or not _LOOKS[look][1]):
                centred = f' text-anchor="middle" font-size="13" fill="{PAPER}"'
                parts.append(words((low + high) // 2, y + 17, _signed(value), centred))
        net = sum(bar.parts.values())
        parts.append(line(x(net), y - 4, x(net), y + 28, INK, ' stroke-width="3"'))
        parts.append(words(max(x(net), x(ends[1])) + 6, y + 18, _signed(net), ' font-weight="bold"'))
    svg = frame(
        parts, title=title, said=said, prefix=prefix, width=width, height=bottom + (44 if unit else 28),
        kind="causes", inside=False,
    )  # fmt: skip
    rows = tuple(
        (bar.label, *(_signed(bar.parts.get(name, 0)) for name in names), _signed(sum(bar.parts.values())))
        for bar in bars
    )
    return Chart(svg, ("Change", *names, "In all"), rows)


def _signed(value: int) -> str:
    return f"+{number(value)}" if value > 0 else number(value)


# -- how many of each --------------------------------------------------------------------------------------------------


def histogram(
    bins: Sequence[tuple[int, int, int]],
    *,
    title: str,
    said: str,
    prefix: str,
    unit: str = "",
    width: int = 480,
    height: int = 240,
) -> Chart:
    """How many there are from and up to but not including, as `scales.bins` gives them, in order and without a gap."""
    if any(one[1] != other[0] for one, other in itertools.pairwise(bins)):
        raise Malformed("bins of a histogram do not touch: wanted each to begin where the one before ends")
    scale = ticks(0, max([1, *(count for _, _, count in bins)]), 4)
    left = 12 + max(wide(number(value), 13) for value in scale)
    top, bottom, each = 24, height - 44, (width - left - 24) / max(len(bins), 1)
    edges = [low for low, _, _ in bins] + [bins[-1][1]] if bins else []
    every = -(-max([wide(number(edge), 13) + 8 for edge in edges], default=1) // max(int(each), 1))

    def y(count: int) -> int:
        return bottom - round(count * (bottom - top) / scale[-1])

    parts = ['<g class="axes" font-size="13">']
    for value in scale:
        parts.append(line(left, y(value), width - 12, y(value), SOFT if value == 0 else FAINT))
        parts.append(words(left - 6, y(value) + 4, number(value), ' text-anchor="end"'))
    for at, edge in enumerate(edges):
        if at % max(every, 1) == 0:
            parts.append(words(left + round(at * each), bottom + 18, number(edge), ' text-anchor="middle"'))
    if unit:
        parts.append(words(width - 12, bottom + 36, unit, f' text-anchor="end" fill="{SOFT}"'))
    parts.append("</g>")
    for at, (low, high, count) in enumerate(bins):
        x = left + round(at * each)
        thick = max(left + round((at + 1) * each) - x - 2, 1)
        parts.append(
            f'<rect x="{x + 1}" y="{y(count)}" width="{thick}" height="{bottom - y(count)}" fill="{_COLOUR[0]}">'
            f"<title>{text(f'{number(low)} to {number(high - 1)}: {number(count)}')}</title></rect>"
        )
        if count and wide(number(count), 12) <= thick + 2:
            more = ' text-anchor="middle" font-size="12"'
            parts.append(words(x + 1 + thick // 2, y(count) - 4, number(count), more))
    svg = frame(
        parts, title=title, said=said, prefix=prefix, width=width, height=height, kind="histogram", inside=False
    )
    rows = tuple((number(low), number(high - 1), number(count)) for low, high, count in bins)
    return Chart(svg, ("From", "To", "How many"), rows)


# -- shares ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range:
    """A share and the span in which it may lie by chance, per mille; None where there are too few to tell."""

    label: str
    value: int | None
    low: int | None
    high: int | None


_TOO_FEW = "too few to say"


def ranges(rows: Sequence[Range], everybody: Range, *, title: str, said: str, prefix: str, width: int = 720) -> Chart:
    """A dot with its span for each row, beside the span of everybody, which is a grey band behind all of them.

    In percent, in whole ones where the scale has room for ten of them; the table has one place more. Shares stand in a
    column of their own, where no bar reaches; a row without one says so there.
    """
    token(prefix)
    told = [row.high for row in [*rows, everybody] if row.high is not None]
    scale = ticks(0, max([10, *told]), 5)
    labels = [cut(row.label, 30) for row in rows]
    left = 16 + max([wide(label, 14) for label in labels], default=0)
    right, top, step = 24 + wide(_TOO_FEW, 13), 14, 22
    bottom = top + step * len(rows)
    places = int(scale[-1] < 100)

    def x(value: int) -> int:
        return left + round(value * (width - left - right) / scale[-1])

    parts = ['<g class="axes" font-size="13">']
    if everybody.value is not None:
        band = f'x="{x(everybody.low)}" y="{top - 8}" width="{max(x(everybody.high) - x(everybody.low), 2)}"'
        parts.append(f'<rect {band} height="{bottom - top + 8}" fill="#dee0e2"/>')
        parts.append(line(x(everybody.value), top - 8, x(everybody.value), bottom, SOFT, ' stroke-dasharray="4 3"'))
    for value in scale:
        parts.append(line(x(value), bottom, x(value), bottom + 5, SOFT))
        parts.append(words(x(value), bottom + 20, _percent(value, places), ' text-anchor="middle"'))
    parts.append(line(left, bottom, width - right, bottom, SOFT))
    parts.append("</g>")
    for at, row in enumerate(rows):
        y = top + step * at + step // 2
        parts.append(words(left - 10, y + 5, labels[at], ' text-anchor="end"'))
        if row.value is None:
            parts.append(words(width - right + 14, y + 5, _TOO_FEW, f' font-size="13" fill="{SOFT}"'))
            continue
        parts.append(line(x(row.low), y, x(row.high), y, _COLOUR[0], ' stroke-width="3"'))
        parts.append(f'<circle cx="{x(row.value)}" cy="{y}" r="5" fill="{_COLOUR[0]}"/>')
        parts.append(words(width - right + 14, y + 5, _percent(row.value, places), ' font-size="13"'))
    svg = frame(
        parts, title=title, said=said, prefix=prefix, width=width, height=bottom + 30, kind="ranges", inside=False
    )
    table = tuple(
        (
            row.label,
            *((_percent(part, 1) if part is not None else "too few") for part in (row.value, row.low, row.high)),
        )
        for row in [*rows, everybody]
    )
    return Chart(svg, ("Group", "Share", "Lowest by chance", "Highest by chance"), table)


def _percent(per_mille: int, places: int = 0) -> str:
    """What is not all, or not none, is never rounded to it."""
    if places:
        return f"{per_mille // 10}.{per_mille % 10} %"
    if 995 <= per_mille < 1000:
        return "over 99 %"
    return f"{(per_mille + 5) // 10} %" if per_mille >= 5 or not per_mille else "under 1 %"
