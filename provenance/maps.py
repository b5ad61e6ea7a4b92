"""Areas and how much happened in each, drawn from local boundaries: no tile, no server, no point of anybody.

Five tints with the number printed where it fits; an area whose count is suppressed is hatched, one of which nothing is
known is dotted, and one with nothing is white, so that none can be taken for another. `outlined` works out the shapes
of a boundary file once; a drawing only paints them. Refuses a count below 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from provenance.charts import Chart
from provenance.errors import Malformed
from provenance.geography import Boundaries
from provenance.scales import class_of, classes
from provenance.shapes import INK, PAPER, SOFT, address, flow, frame, number, text, token, wide, words

SUPPRESSED = "suppressed"
NO_DATA = "no data"
_MARGIN = 10
_TINTS = (PAPER, "#d2e2f1", "#9cc3e6", "#5694ca", "#1d70b8", "#003078")
_INKS = (INK, INK, INK, INK, PAPER, PAPER)  # at least 4.5 to 1 upon each


@dataclass(frozen=True, slots=True)
class Outline:
    """The shapes of one boundary file at one width, in the order of its codes."""

    codes: tuple[str, ...]
    names: tuple[str, ...]
    paths: tuple[str, ...] = field(repr=False)
    centres: tuple[tuple[int, int, int], ...] = field(repr=False)  # x, y, and px to the nearest border
    width: int = 0
    height: int = 0
    attribution: str = ""


def outlined(boundaries: Boundaries, width: int = 720) -> Outline:
    """Shapes `width` px wide, north up: longitudes shortened by the cosine of the middle latitude.

    Simplified by rounding to whole px and leaving out what then lies on a straight line. A point is rounded by where it
    lies and by nothing else, so that neighbours still share their border. The cosine is rounded to six places first,
    and nothing else here could differ between machines. Islands smaller than a px vanish; of an area that would vanish
    whole, a px remains.
    """
    areas = [_rings(geometry) for geometry in boundaries.geometries]
    every = np.concatenate([ring for rings in areas for ring in rings]) if areas else np.zeros((1, 2))
    low, high = every.min(axis=0), every.max(axis=0)
    shrink = round(math.cos(math.radians(round(float(low[1] + high[1]) / 2, 3))), 6)
    scale = (width - 2 * _MARGIN) / max(float(high[0] - low[0]) * shrink, 1e-9)
    paths, centres, tall = [], [], 1
    for rings in areas:
        rounded = []
        for ring in rings:
            x = np.rint((ring[:, 0] - low[0]) * (shrink * scale)).astype(np.int64) + _MARGIN
            y = np.rint((high[1] - ring[:, 1]) * scale).astype(np.int64) + _MARGIN
            rounded.append(np.stack((x, y), axis=1))
        tall = max(tall, *(int(ring[:, 1].max()) for ring in rounded))
        kept = [few for ring in rounded if len(few := _straightened(ring)) > 2]
        if not kept:
            x, y = rounded[0][0].tolist()
            kept = [np.array([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)])]
        paths.append("".join(_path(ring) for ring in kept))
        centres.append(_centre(kept))
    return Outline(
        boundaries.codes, boundaries.names, tuple(paths), tuple(centres), width, tall + _MARGIN, boundaries.attribution
    )


def _rings(geometry: Mapping[str, object]) -> list[NDArray[np.float64]]:
    coordinates = geometry["coordinates"]
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    return [np.array(ring, float)[:, :2] for polygon in polygons for ring in polygon]


def _straightened(ring: NDArray[np.int64]) -> NDArray[np.int64]:
    """Without the closing point, points that are the same as the one before, and points on a straight line."""
    ring = ring[:-1]
    while True:
        kept = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]
        before, after = kept - np.roll(kept, 1, axis=0), np.roll(kept, -1, axis=0) - kept
        turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
        # Of points in a row on one line only every other may go at a time, or a spike would leave two of one place.
        if len(kept) < 3 or turns.all():
            return kept if len(kept) > 2 else kept[:0]
        ring = kept[turns]


def _path(ring: NDArray[np.int64]) -> str:
    steps = np.diff(ring, axis=0).tolist()
    return f"M{ring[0, 0]} {ring[0, 1]}l" + " ".join(f"{x} {y}" for x, y in steps) + "z"


def _centre(rings: Sequence[NDArray[np.int64]]) -> tuple[int, int, int]:
    """The one of 15 times 15 points inside that is farthest from the border, and how far."""
    low, high = rings[0].min(axis=0), rings[0].max(axis=0)
    for ring in rings:  # of several islands, the one with the largest box
        if (ring.max(axis=0) - ring.min(axis=0)).prod() > (high - low).prod():
            low, high = ring.min(axis=0), ring.max(axis=0)
    share = (np.arange(15) * 2 + 1) / 30
    x, y = (np.add.outer(low * 1.0, np.zeros(15)) + np.multiply.outer(high - low, share)).tolist()
    points = np.stack(np.meshgrid(np.rint(x), np.rint(y)), axis=-1).reshape(-1, 1, 2)
    one = np.concatenate(rings).astype(float)
    other = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings]).astype(float)
    along, off = other - one, points - one
    part = np.clip((off * along).sum(-1) / np.maximum((along * along).sum(-1), 1), 0, 1)
    gap = off - part[..., None] * along
    away = (gap * gap).sum(-1).min(axis=1)
    crosses = (one[:, 1] > points[..., 1]) != (other[:, 1] > points[..., 1])
    rise = np.where(along[:, 1] == 0, 1, along[:, 1])
    left = points[..., 0] < one[:, 0] + (points[..., 1] - one[:, 1]) * along[:, 0] / rise
    inside = (crosses & left).sum(axis=1) % 2 == 1
    best = int(np.argmax(np.where(inside, np.rint(away * 16), -1)))
    return (*np.rint(points[best, 0]).astype(int).tolist(), math.isqrt(int(away[best])) if inside[best] else 0)


def areas(
    outline: Outline,
    counts: Mapping[str, int | None],
    *,
    title: str,
    said: str,
    prefix: str,
    unit: str,
    hrefs: Mapping[str, str] | None = None,
) -> Chart:
    """The map: `counts` by area code, None where a count is suppressed, no entry where there is no data.

    An area with an address in `hrefs` leads there. Codes of `counts` without a boundary are at the end of the table.
    Raises Malformed for a count below 0.
    """
    token(prefix)
    hrefs = hrefs or {}
    bounds = classes(count for count in counts.values() if count is not None)
    if any(count is not None and count < 0 for count in counts.values()):
        raise Malformed("count of an area is below nothing: wanted 0 or more")
    fills = [f"url(#{prefix}-none)", f"url(#{prefix}-suppressed)"]
    parts = [
        f'<defs><pattern id="{prefix}-suppressed" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect width="6" height="6" fill="{PAPER}"/><path d="M0 6L6 0M-1 1L1 -1M5 7L7 5" stroke="{SOFT}"/></pattern>'
        f'<pattern id="{prefix}-none" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect width="6" height="6" fill="{PAPER}"/><circle cx="3" cy="3" r="1" fill="{SOFT}"/></pattern></defs>'
        f'<g class="areas" stroke="{SOFT}" stroke-width="0.8" stroke-linejoin="round">'
    ]
    numbers, rows, spread = [], [], len(bounds)
    for code, name, path, (x, y, room) in zip(
        outline.codes, outline.names, outline.paths, outline.centres, strict=True
    ):
        count = counts.get(code)
        shade = _shade(count, bounds, spread) if count is not None else 0
        fill = _TINTS[shade] if count is not None else fills[code in counts]
        rows.append((code, name, _told(counts, code)))
        whole = f'<path d="{path}" fill="{fill}" fill-rule="evenodd"/>'
        whole = f"<title>{text(f'{name or code}: {_told(counts, code)}')}</title>{whole}"
        if code in hrefs:
            parts.append(f'<a href="{address(hrefs[code])}">{whole}</a>')
        else:
            parts.append(f"<g>{whole}</g>")
        if count is not None and 2 * room > wide(number(count), 11) and room >= 7:
            numbers.append(f'<text x="{x}" y="{y + 4}" fill="{_INKS[shade]}">{number(count)}</text>')
    parts.append('</g><g class="numbers" font-size="11" text-anchor="middle" pointer-events="none" aria-hidden="true">')
    legend, bottom = _legend(counts, outline, bounds, fills, unit)
    svg = frame(
        [*parts, *numbers, "</g>", *legend],
        title=title, said=said, prefix=prefix, width=outline.width, height=bottom, kind="map",
        inside=any(code in hrefs for code in outline.codes),
    )  # fmt: skip
    rows += [(code, "", _told(counts, code)) for code in sorted(set(counts) - set(outline.codes))]
    return Chart(svg, ("Area code", "Area", unit), tuple(rows))


def _told(counts: Mapping[str, int | None], code: str) -> str:
    if code not in counts:
        return NO_DATA
    return SUPPRESSED if (count := counts[code]) is None else number(count)


def _shade(count: int, bounds: list[int], spread: int) -> int:
    """A tint of five: fewer classes are spread over all of them, so that the highest is always the darkest."""
    at = class_of(count, bounds)
    return 0 if at == 0 else 5 - (spread - at) * 4 // max(spread - 1, 1) if spread > 1 else 5


def _legend(
    counts: Mapping[str, int | None], outline: Outline, bounds: list[int], fills: list[str], unit: str
) -> tuple[list[str], int]:
    items = []
    if 0 in counts.values():
        items.append((PAPER, "0"))
    low = 1
    for at, bound in enumerate(bounds, start=1):
        shade = _shade(bound, bounds, len(bounds))
        items.append((_TINTS[shade], number(bound) if low == bound else f"{number(low)} to {number(bound)}"))
        low = bounds[at - 1] + 1
    if None in counts.values():
        items.append((fills[1], SUPPRESSED))
    if set(outline.codes) - set(counts):
        items.append((fills[0], NO_DATA))
    found = flow([34 + wide(said, 13) for _, said in items], outline.width - 2 * _MARGIN)
    top = outline.height + 18
    parts = [f'<g class="legend" font-size="13">{words(_MARGIN, top, unit)}']
    for (fill, said), (x, row) in zip(items, found, strict=True):
        y = top + 12 + 24 * row
        parts.append(f'<rect x="{_MARGIN + x}" y="{y}" width="24" height="14" fill="{fill}" stroke="{SOFT}"/>')
        parts.append(words(_MARGIN + x + 30, y + 12, said))
    bottom = top + 12 + 24 * (found[-1][1] + 1 if found else 0)
    if outline.attribution:
        parts.append(words(_MARGIN, bottom + 12, outline.attribution, f' font-size="11" fill="{SOFT}"'))
        bottom += 18
    return [*parts, "</g>"], bottom + 4
