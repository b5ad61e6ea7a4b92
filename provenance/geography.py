"""Where the records behind a network happened: counts by area code, and the boundaries of those areas for a map.

An area and never a point: a record's easting and northing are not read here, and nothing is said of one person's
whereabouts beyond the areas of the records that link them. An area code that the boundaries do not have is listed,
never dropped. Refuses boundaries that are not a GeoJSON FeatureCollection (RFC 7946) of areas in degrees with one code
each.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from provenance import sets
from provenance.errors import Malformed, Missing, Tampered
from provenance.harm import HarmTable, priced
from provenance.records import THEMES

NETWORKS = ("theme", "network")  # by which places are counted, unless areas are wanted as a whole
PLACES = pa.schema(
    [
        ("theme", pa.string()),
        ("network", pa.string()),  # that both people of the link are in; "" where there is none
        ("place", pa.string()),  # area code; "" for records that name none
        ("records", pa.int64()),  # distinct
        ("people", pa.int64()),  # distinct, whom those records link
        ("harm", pa.int64()),  # days, of the records in which one of those people offended, each once; one edition
        ("harm_unknown", pa.int64()),  # such records whose offence the edition does not price
        ("harm_edition", pa.string()),
        ("severity", pa.int64()),  # points, likewise, by the second edition, never added to the first
        ("severity_unknown", pa.int64()),
        ("severity_edition", pa.string()),
    ]
)
_FEW = 1 << 22  # groups that may be: so many are told apart by a mark for each
TOLD = ("records", "people")  # of an area, to whoever may know no one


@dataclass(frozen=True, slots=True)
class Supports:
    """The records behind links, one of each support, as parallel arrays of numbers that are not below 0. A theme is its
    place in THEMES from 1; people and records are numbered by the caller; `network` is a code, 0 unless both are in it.
    """

    theme: np.ndarray
    network: np.ndarray
    a: np.ndarray
    b: np.ndarray
    record: np.ndarray
    place: np.ndarray  # where it happened, a code
    offence: np.ndarray  # what it was, a code
    offended: np.ndarray  # whether one of the two had an offending role in it


@dataclass(frozen=True, slots=True)
class Codes:
    """What the codes of `Supports` stand for."""

    networks: Sequence[str]
    places: Sequence[str]
    offences: Sequence[str]


def places(supports: Supports, codes: Codes, table: HarmTable, by: Sequence[str] = NETWORKS) -> pa.Table:
    """PLACES by `by` (none, or some of theme and network) and place, sorted so; columns that are not asked for are "".

    A record counts once for each group that it is in, so the counts of two groups are not to be added: ask for the
    areas as a whole. Its harm counts where one of the two people offended in it, so that a crime and the custody that
    follows it do not count one offence twice.
    """
    groups, group = _grouped(supports, by)
    people = _span(supports.a, supports.b)
    met = sets.distinct(np.concatenate([group * people + side for side in (supports.a, supports.b)])) // people
    # The last of each run of one record in one group has offended in it where any of them has.
    records = _span(supports.record)
    once = np.sort((group * records + supports.record) * 2 + supports.offended)
    once = once[np.diff(once >> 1, append=-1) != 0]
    of, record = np.divmod(once >> 1, records)
    offence = np.zeros(records, np.int64)
    offence[supports.record] = supports.offence
    counts = {
        "records": np.bincount(of, minlength=len(groups)),
        "people": np.bincount(met, minlength=len(groups)),
    }
    for name, priced_by in (("harm", table), ("severity", table.severity)):
        weights = _weighed(codes.offences, priced_by)
        for column, weight in zip((name, f"{name}_unknown"), weights, strict=True):
            counts[column] = np.zeros(len(groups), np.int64)
            np.add.at(counts[column], of, (once & 1) * weight[offence[record]])
    second = table.severity
    said = {
        "theme": [THEMES[code - 1] if code else "" for code in groups[:, 0].tolist()],
        "network": [codes.networks[code] for code in groups[:, 1].tolist()],
        "place": [codes.places[code] for code in groups[:, 2].tolist()],
        "harm_edition": [table.edition] * len(groups),
        "severity_edition": [second.edition if second else ""] * len(groups),
    }
    found = pa.table({name: pa.array(values) for name, values in (counts | said).items()}).select(PLACES.names)
    return found.cast(PLACES).sort_by([(name, "ascending") for name in (*NETWORKS, "place")]).combine_chunks()


def as_told(told: Mapping[str, Mapping[str, int]]) -> pa.Table:
    """PLACES of areas as a whole, for whoever may know no one (R48): `told` has what may be told, `records` and
    `people` by area. An area is left out where either may not be, since that it has any would be told by its name; and
    harm is null, which may rest on one record however many there are.
    """
    places = sorted(place for place, count in told["records"].items() if count and told["people"].get(place))
    rows = [
        dict.fromkeys(PLACES.names) | dict.fromkeys(NETWORKS, "")
        | {"place": place, "harm_edition": "", "severity_edition": "", **{name: told[name][place] for name in TOLD}}
        for place in places
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=PLACES)


def _grouped(supports: Supports, by: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The different groups, (n, 3) codes of theme, network and place, 0 for what is not asked for; and of which each
    support is."""
    nothing = np.zeros(len(supports.record), np.int64)
    keys = [
        supports.theme if "theme" in by else nothing, supports.network if "network" in by else nothing, supports.place,
    ]  # fmt: skip
    spans = [_span(key) for key in keys]
    held = (keys[0] * spans[1] + keys[1]) * spans[2] + keys[2]
    if np.prod(spans) <= _FEW:
        there = np.zeros(np.prod(spans), bool)
        there[held] = True
        different, group = np.flatnonzero(there), (np.cumsum(there) - 1)[held]
    else:
        different = sets.distinct(held)
        group = np.searchsorted(different, held)
    rest, place = np.divmod(different, spans[2])
    return np.stack([*np.divmod(rest, spans[1]), place], axis=1), group


def _span(*values: np.ndarray) -> int:
    """One more than the largest."""
    return 1 + max(int(each.max(initial=0)) for each in values)


def _weighed(codes: Sequence[str], table: HarmTable | None) -> tuple[np.ndarray, np.ndarray]:
    """What an offence of each code weighs, and whether the edition does not price it."""
    if table is None:
        return np.zeros(len(codes), np.int64), np.zeros(len(codes), np.int64)
    found = priced(pa.array(codes, pa.string()), table)
    return found["weight"].to_numpy(), found["unknown"].to_numpy() + found["expired"].to_numpy()


# -- boundaries --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boundaries:
    """The areas of one file, in the order of their codes."""

    sha256: str  # of the file's bytes
    codes: tuple[str, ...]
    names: tuple[str, ...]  # "" where an area is not named
    geometries: tuple[Mapping[str, Any], ...] = field(repr=False)  # as GeoJSON has them
    attribution: str = ""

    def unknown(self, counts: pa.Table) -> list[str]:
        """Area codes of PLACES that have no boundary here, sorted; the empty one among them."""
        return sorted(set(pc.unique(counts["place"]).to_pylist()) - set(self.codes))

    def named(self, counts: pa.Table) -> pa.Table:
        """PLACES with the column `name`, and `known`: 1 where the area has a boundary here, else 0."""
        at = pc.index_in(counts["place"].combine_chunks(), value_set=pa.array(self.codes, pa.string()))
        names = pc.fill_null(pa.array(self.names, pa.string()).take(at), "")
        return counts.append_column("name", names).append_column("known", pc.is_valid(at).cast(pa.int64()))


def read_boundaries(
    path: Path, *, code_property: str, name_property: str = "", sha256: str = "", attribution: str = ""
) -> Boundaries:
    """The areas in the GeoJSON file `path`, gzipped where it is called so.

    Each feature is a Polygon or MultiPolygon in degrees (WGS 84, longitude first) of closed rings, and the text in its
    `code_property` is its area code. `sha256` is the pinned digest of the file as it lies there, "" where none is.
    Raises Missing; Tampered for another file than the pinned one; Malformed naming the feature by its place from 1.
    RFC 7946, 3.1.6, 3.2, 3.3, 4.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Missing(f"boundary file is missing: wanted {path.name}") from error
    digest = hashlib.sha256(data).hexdigest()
    if sha256 not in ("", digest):
        raise Tampered(f"boundary file is not the pinned one: {path.name} is {digest}, pinned {sha256}")
    try:
        content = orjson.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (OSError, EOFError, zlib.error, orjson.JSONDecodeError) as error:
        raise Malformed(f"boundary file is not JSON: {path.name}: {error}") from error
    kind = content.get("type") if isinstance(content, dict) else type(content).__name__
    features = content.get("features") if isinstance(content, dict) else None
    if kind != "FeatureCollection" or not isinstance(features, list):
        raise Malformed(f"boundary file is not a FeatureCollection: {path.name}: found {kind}, wanted its features")
    areas: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for place, feature in enumerate(features, start=1):
        code, name, geometry = _area(f"{path.name}, feature {place}", feature, code_property, name_property)
        if code in areas:
            raise Malformed(f"boundary code stands twice: {path.name}, feature {place}: found {code}")
        areas[code] = name, geometry
    codes = tuple(sorted(areas))
    return Boundaries(
        digest, codes, tuple(areas[code][0] for code in codes), tuple(areas[code][1] for code in codes), attribution
    )


def _area(at: str, feature: Any, code_property: str, name_property: str) -> tuple[str, str, Mapping[str, Any]]:
    """Code, name and geometry of one feature."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise Malformed(f"boundary is not a feature: {at}: wanted an object of type Feature")
    properties, geometry = feature.get("properties"), feature.get("geometry")
    code = properties.get(code_property) if isinstance(properties, dict) else None
    if not isinstance(code, str) or not code.strip() or code != code.strip():
        raise Malformed(f"boundary has no area code: {at}: found {code!r} in property {code_property}, wanted text")
    name = properties.get(name_property) if name_property else ""
    if not isinstance(name, str):
        raise Malformed(f"boundary has no name: {at}, area {code}: found {name!r} in property {name_property}")
    where = f"{at}, area {code}"
    kind = geometry.get("type") if isinstance(geometry, dict) else geometry
    if kind not in ("Polygon", "MultiPolygon"):
        raise Malformed(f"boundary is not an area: {where}: found {kind}, wanted Polygon or MultiPolygon")
    rings = geometry.get("coordinates")
    polygons = [rings] if kind == "Polygon" else rings
    if not isinstance(polygons, list) or not polygons or not all(isinstance(p, list) and p for p in polygons):
        raise Malformed(f"boundary has no rings: {where}: wanted the coordinates of a {kind}")
    rings = [ring for polygon in polygons for ring in polygon]
    for number, ring in enumerate(rings, start=1):
        _check_ring(f"{where}, ring {number}", ring)
    return code, name, {"type": kind, "coordinates": geometry["coordinates"]}


def _check_ring(at: str, ring: Any) -> None:
    try:
        points = np.array(ring)
    except ValueError:
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or points.dtype.kind not in "if":
        raise Malformed(f"boundary ring is torn: {at}: wanted positions of two numbers each")
    if len(points) < 4:
        raise Malformed(f"boundary ring is too short: {at}: found {len(points)} positions, wanted at least 4")
    if (points[0] != points[-1]).any():
        raise Malformed(
            f"boundary ring is not closed: {at}: begins at {_said(points[0])} and ends at {_said(points[-1])}"
        )
    outside = np.flatnonzero((np.abs(points[:, :2]) > (180, 90)).any(axis=1))
    if len(outside):
        raise Malformed(
            f"boundary lies outside the world: {at}: found {_said(points[outside[0]])}, wanted degrees of longitude "
            "(-180 to 180) and latitude (-90 to 90)"
        )


def _said(point: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in point.tolist())


def geojson(boundaries: Boundaries, areas: pa.Table, groups: pa.Table, said: Mapping[str, Any]) -> bytes:
    """A FeatureCollection of the areas that have counts, in the order of their codes; the same bytes each time.

    `areas` are PLACES of each area as a whole, `groups` those by theme and network, which a feature lists under
    `networks`; `said` is told of the whole collection. An area without a boundary is a feature without a geometry (RFC
    7946, 3.2), and listed under `unknown_areas`.
    """
    shape = dict(zip(boundaries.codes, boundaries.geometries, strict=True))
    inner: dict[str, list[dict[str, Any]]] = {}
    for row in groups.to_pylist():
        inner.setdefault(row.pop("place"), []).append(row)
    features = [
        {
            "type": "Feature",
            "geometry": shape.get(row["place"]),
            "properties": {name: value for name, value in row.items() if name not in NETWORKS}
            | {"networks": inner.get(row["place"], [])},
        }
        for row in boundaries.named(areas).to_pylist()
    ]
    whole = {"type": "FeatureCollection", **said, "attribution": boundaries.attribution}
    whole |= {"boundaries_sha256": boundaries.sha256, "unknown_areas": boundaries.unknown(areas), "features": features}
    return orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE)
