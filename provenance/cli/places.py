"""provenance places"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, case, console, consulted, emit_json, now, user, waiting

if TYPE_CHECKING:
    from rich.console import Console

    from provenance.geography import Boundaries

_COUNTS_OF_ROWS = ("disposed", "left_out")  # of a heading: small numbers, too
_UNDER = "areas for whoever may know no one"
_ROWS = 20  # on the terminal; --json and --geojson have them all


@click.command()
@click.argument("when")
@click.option("--nominal", metavar="N", help="Of one person's links.")
@click.option("--network", metavar="ID", help="Of the links between one network's members.")
@click.option("--theme", metavar="T", help="Of one theme: SOC, CSE or CL.")
@click.option("--geojson", metavar="FILE", help="Write the areas with their boundaries to a new FILE, for a map.")
@click.option("--suppress", is_flag=True, help="Areas for whoever may know no one: told as in a report, and logged.")
@case
@as_json
@click.pass_obj
def places(
    door: Door,
    when: str,
    nominal: str | None,
    network: str | None,
    theme: str | None,
    geojson: str | None,
    suppress: bool,
    case: str,
    as_json: bool,
) -> None:
    """Where the records behind the links of WHEN happened, by area.

    Areas only, never a point. The boundaries are those that params.yaml names under geography; without them areas have
    a code and no name. FILE is personal data where the question named a person or a network. With --suppress the answer
    is kept and logged, and held against every such answer before it: no two tell who was disposed of in between.
    """
    from provenance import asof, durable, ethics, geography, issuing, params
    from provenance.cli.asof import heading, insist
    from provenance.errors import Conflict, Malformed

    asked = {"nominal": nominal, "network": network, "theme": theme}
    if suppress and (case or any(asked.values())):
        raise click.UsageError("--suppress goes with all links, and not with --nominal, --network, --theme or --case")
    # Of today's params, as the boundaries are: what may be told is judged when it is told.
    today = params.read(door.path / "params.yaml") if suppress else None
    bounds = boundaries(door)
    if geojson and not bounds:
        raise Malformed("params.yaml names no boundaries under geography: wanted them for --geojson")
    if geojson and Path(geojson).exists():
        raise Conflict(f"file {Path(geojson).name} is there already: wanted a new one")
    with door.archive() as archive:

        def ask() -> tuple[Any, Any, Any, dict[str, Any]]:
            snapshot = asof.as_of(archive, when, case=case)
            areas = snapshot.places(**asked, by=())
            groups = areas.slice(0, 0) if suppress else snapshot.places(**asked)
            return snapshot, areas, groups, snapshot.heading()

        with waiting("Reading the links and the records behind them"):
            snapshot, areas, groups, head = asof.whole(ask)
        consulted(archive, snapshot)
        told: dict[str, Any] = {}
        if today is not None:
            insist(head)
            with issuing.alone(archive):
                told = ethics.of_areas(snapshot, areas, today, on=now())
                issuing.issue(archive, told, {}, on=now(), by=user(), under=_UNDER)
            areas = geography.as_told(ethics.told_of_areas(told))
            head = {name: value for name, value in head.items() if name not in _COUNTS_OF_ROWS}
        said = {name: value for name, value in asked.items() if value}
        unknown = bounds.unknown(areas) if bounds else []
        if bounds:
            areas = bounds.named(areas)
        if geojson and bounds:
            insist(head)  # what does not verify is shown and said, and is not put into a file that goes elsewhere
            about = {"build": head["build"], "root": head["root"], "caveat": head["caveat"], "asked": said}
            durable.write(Path(geojson), geography.geojson(bounds, areas.select(geography.PLACES.names), groups, about))
        if as_json:
            rows = areas.drop_columns(list(geography.NETWORKS)).to_pylist()
            emit_json(
                {
                    **head, "asked": said, "areas": rows, "networks": groups.to_pylist(), "unknown_areas": unknown,
                    "attribution": bounds.attribution if bounds else "",
                    **({"least_count": told["least_count"], "rule": told["rule"]} if told else {}),
                }
            )  # fmt: skip
        else:
            out = console()
            heading(out, head, title="Where the records behind links happened")
            _show(out, areas.to_pylist())
            if told:
                out.print(f"{told['rule']}\n")
            if unknown:
                listed = ", ".join(code or "(none recorded)" for code in unknown)
                out.print(f"No boundary for {len(unknown)}: {listed}\n", markup=False)
            if geojson and bounds:
                out.print(f"Written    {geojson}: {areas.num_rows:,} areas", markup=False)
            if bounds:
                out.print(bounds.attribution, markup=False)
        insist(head)


def boundaries(door: Door) -> Boundaries | None:
    """The boundaries that params name, if they name any. They are not part of any build: a map may be drawn anew."""
    from provenance import geography, params

    said = params.read(door.path / "params.yaml").geography
    if said is None:
        return None
    return geography.read_boundaries(
        door.path / said.file, code_property=said.code_property, name_property=said.name_property,
        sha256=said.sha256, attribution=said.attribution,
    )  # fmt: skip


def _show(out: Console, areas: list[dict[str, Any]]) -> None:
    from provenance.cli.asof import table

    best = sorted(areas, key=lambda area: (-(area["records"] or 0), area["place"]))[:_ROWS]
    columns = {"area": [area["place"] or "(none recorded)" for area in best]}
    is_counted = not any(area["harm"] is None for area in best)
    if any(area.get("name") for area in best):
        columns["name"] = [area["name"] or "-" for area in best]
    columns |= {word: [area[word] for area in best] for word in ("records", "people")}
    if is_counted:
        columns["harm days"] = [area["harm"] for area in best]
        if any(area["severity_edition"] for area in best):
            columns["severity"] = [area["severity"] for area in best]
        columns["no weight"] = [area["harm_unknown"] for area in best]
    table(
        out,
        "Areas, most records first",
        list(columns),
        [list(row) for row in zip(*columns.values(), strict=True)],
        len(areas),
    )
    if any(area["harm_unknown"] for area in best):
        out.print("no weight: records whose offence the harm table does not know, or calls expired.\n")
