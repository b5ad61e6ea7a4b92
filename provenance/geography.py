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

from provenance.errors import Malformed, Missing, Tampered
from provenance.harm import HarmTable, priced

NETWORKS = ("theme", "network")  # by which places are counted, unless areas are wanted as a whole
SUPPORTED = ("system", "record_id", "role_a", "role_b")  # what is read of each support
SUPPORTS = pa.schema([(name, pa.string()) for name in ("theme", "a", "b", *SUPPORTED)])
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
TOLD = ("records", "people")  # of an area, to whoever may know no one
_SUMS = ("harm", "harm_unknown", "severity", "severity_unknown")


def supports(links: pa.Table) -> pa.Table:
    """SUPPORTS, one row for each support of links (theme, a, b, supports)."""
    links = links.combine_chunks()
    lists = links["supports"].combine_chunks()
    owner = pc.list_parent_indices(lists)
    inner = pc.list_flatten(lists)
    return pa.table(
        {name: links[name].combine_chunks().take(owner) for name in ("theme", "a", "b")}
        | {name: pc.struct_field(inner, name) for name in SUPPORTED},
        schema=SUPPORTS,
    )


def places(
    supports: pa.Table,
    records: pa.Table,
    people: pa.Table,
    table: HarmTable,
    roles: Sequence[str],
    by: Sequence[str] = NETWORKS,
) -> pa.Table:
    """PLACES by `by` (none, or some of theme and network) and place, sorted so; columns that are not asked for are "".

    `records` are those that `supports` name (system, record_id, place, offence_code), `people` say each person's
    network (theme, nominal, network). A record counts once for each group that it is in, so the counts of two groups
    are not to be added: ask for the areas as a whole. Its harm counts where one of the two people had one of `roles` in
    it, so that a crime and the custody that follows it do not count one offence twice. Raises Missing for a record that
    is not there.
    """
    at = pc.index_in(_joined(supports, *_RECORD), value_set=_joined(records, *_RECORD))
    if at.null_count:
        raise Missing(f"records behind links are not there: {at.null_count} supports name none, wanted every record")
    one, other = (_network(supports, side, people) for side in ("a", "b"))
    offended = pc.or_(*(pc.match_substring_regex(supports[f"role_{side}"], _any_of(roles)) for side in "ab"))
    whole = pa.table(
        {
            "theme": supports["theme"],
            "network": pc.if_else(pc.equal(one, other), one, ""),
            "place": records["place"].combine_chunks().take(at),
            "record": at,
            "offended": offended.cast(pa.int64()),
            "a": supports["a"],
            "b": supports["b"],
        }
    )
    key = [*by, "place"]
    once = whole.group_by([*key, "record"]).aggregate([("offended", "max")])
    once = once.append_column("records", pa.array(np.ones(once.num_rows, np.int64)))
    codes = records["offence_code"].combine_chunks().take(once["record"].combine_chunks())
    for name, priced_by in (("harm", table), ("severity", table.severity)):
        weight, unknown = _weighed(codes, once["offended_max"], priced_by)
        once = once.append_column(name, weight).append_column(f"{name}_unknown", unknown)
    sums = [("records", "sum"), *((name, "sum") for name in _SUMS)]
    counts = once.group_by(key).aggregate(sums).rename_columns([*key, "records", *_SUMS])
    named = [whole.select([*key, side]).rename_columns([*key, "person"]) for side in "ab"]
    met = pa.concat_tables(named).group_by(key).aggregate([("person", "count_distinct")])
    counts = counts.join(met.rename_columns([*key, "people"]), key)
    missing = [name for name in NETWORKS if name not in by]
    second = table.severity
    said = dict.fromkeys(missing, "")
    said |= {"harm_edition": table.edition, "severity_edition": second.edition if second else ""}
    for name, value in said.items():
        counts = counts.append_column(name, pa.array([value] * counts.num_rows, pa.string()))
    counts = counts.select(PLACES.names).cast(PLACES)
    return counts.sort_by([(name, "ascending") for name in (*NETWORKS, "place")]).combine_chunks()


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


_RECORD = ("system", "record_id")


def _joined(table: pa.Table, *names: str) -> pa.Array:
    return pc.binary_join_element_wise(*(table[name] for name in names), "\x1f").combine_chunks()


def _network(supports: pa.Table, side: str, people: pa.Table) -> pa.Array:
    at = pc.index_in(_joined(supports, "theme", side), value_set=_joined(people, "theme", "nominal"))
    return pc.fill_null(people["network"].combine_chunks().take(at), "")


def _any_of(roles: Sequence[str]) -> str:
    """One of the roles, whole, in a text of roles joined with +. Roles are words of the contract: letters alone."""
    return rf"(^|\+)({'|'.join(sorted(roles)) or '$^'})(\+|$)"


def _weighed(codes: pa.Array, offended: pa.ChunkedArray, table: HarmTable | None) -> tuple[pa.Array, pa.Array]:
    if table is None:
        nothing = pa.array(np.zeros(len(codes), np.int64))
        return nothing, nothing
    found = priced(codes, table)
    return (
        pc.multiply(offended, found["weight"]),
        pc.multiply(offended, pc.add(found["unknown"], found["expired"])),
    )


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
