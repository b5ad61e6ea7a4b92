"""provenance diff"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, several, waiting

if TYPE_CHECKING:
    from rich.console import Console

    from provenance.causes import Split

_ROWS = 30
_WORDS = {
    "disposal": "disposed of or restricted",
    "expired": "left by their source, or closed by status",
    "identity": "people merged or split",
    "grading": "records graded otherwise",
    "corrected": "another version of a record",
    "new_record": "records that came",
    "method": "params or rules",
    "table": "harm table",
}
_SHORT = dict(zip(_WORDS, ("disp.", "expired", "ident.", "grade", "corr.", "new", "method", "table"), strict=True))


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--causes", "by_cause", is_flag=True, help="Split each change by cause; the causes add up to it.")
@click.option("--nominal", default="", metavar="ID", help="With --causes: of this nominal and their links alone.")
@as_json
@click.pass_obj
def diff(door: Door, before: str, after: str, by_cause: bool, nominal: str, as_json: bool) -> None:
    """What changed in links and networks between BEFORE and AFTER, with the records behind each change.

    Each is a moment, or the label of a build such as 2026-W11.
    """
    from provenance import asof, causes, comparing
    from provenance.cli.asof import insist

    if nominal and not by_cause:
        raise click.UsageError("--nominal goes with --causes")
    with door.archive() as archive:
        first, second = (asof.asked(archive, side) for side in (before, after))
        people = [nominal] if nominal else []
        with waiting(f"Comparing builds {first.label} and {second.label}"):
            split = causes.causes(first, second, people=people) if by_cause else None
            changes = [] if by_cause else comparing.difference(first, second).to_pylist()
            events = [] if by_cause else comparing.events(comparing.passages(first, second)).to_pylist()
            heads = first.heading(), second.heading()
        if split is not None and as_json:
            emit_json({"before": heads[0], "after": heads[1], **_as_json(split)})
        elif as_json:
            emit_json({"before": heads[0], "after": heads[1], "links": changes, "networks": events})
        elif split is not None:
            _show_causes(_headed(heads), split, by_network=not nominal)
        else:
            _show(_headed(heads), changes, events)
        insist(*heads)


def _headed(heads: tuple[dict[str, Any], dict[str, Any]]) -> Console:
    from provenance.cli.asof import heading

    out = console()
    heading(out, heads[0], title="Before", caveat=False)
    heading(out, heads[1], title="After")
    return out


def _show(out: Console, changes: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
    from provenance.cli.asof import table

    for word in ("new", "gone", "changed"):
        out.print(f"  {sum(c['change'] == word for c in changes):>8,} links {word}")
    for word in ("born", "died", "merged", "split"):
        out.print(f"  {sum(e['event'] == word for e in events):>8,} networks {word}")
    biggest = sorted(
        changes, key=lambda c: (-abs(c["strength_after"] - c["strength_before"]), c["theme"], c["a"], c["b"])
    )
    rows = [
        [c["a"], c["b"], c["theme"], c["change"], c["strength_before"], c["strength_after"], _records(c)]
        for c in biggest[:_ROWS]
    ]
    columns = ["nominal", "nominal", "theme", "link is", "before", "after", "records"]
    table(out, "Links, largest change first", columns, rows, len(changes))
    told = [e for e in events if e["event"] != "continued" or e["before"] != e["after"]]
    told.sort(key=lambda e: (-max(len(e["members_before"]), len(e["members_after"])), e["theme"], e["before"]))
    rows = [
        [e["event"], " ".join(e["before"]) or "-", " ".join(e["after"]) or "-",
         len(e["members_before"]), len(e["members_after"])]
        for e in told[:_ROWS]
    ]  # fmt: skip
    table(out, "Networks that came, went, merged or split", ["event", "before", "after", "had", "has"], rows, len(told))


def _records(change: dict) -> str:
    signs = (("+", "records_come"), ("-", "records_gone"), ("~", "records_changed"))
    return " ".join(f"{sign}{len(change[key])}" for sign, key in signs if change[key])


def _as_json(split: Split) -> dict[str, Any]:
    return {
        "causes": split.changes.to_pylist(),
        "behind": split.behind.to_pylist(),
        "method": list(split.method),
        "harm_tables": list(split.editions),
        "severity_tables": list(split.severity_editions),
        "disposals": list(split.disposals),
        "code": [{"commit": s.code, "package": s.package} for s in split.statements],
        "environment": [s.environment for s in split.statements],
    }


def _show_causes(out: Console, split: Split, *, by_network: bool) -> None:
    import pyarrow.compute as pc

    from provenance.cli.asof import table

    links = split.changes.filter(pc.equal(split.changes["kind"], "link"))
    out.print("Points of links that each cause gave and took:")
    for cause, words in _WORDS.items():
        up, down = (pc.sum(side(links[cause], 0)).as_py() or 0 for side in (pc.max_element_wise, pc.min_element_wise))
        if up or down:
            out.print(f"  {up:>+11,} {down:>11,}  {words}")
    if split.method:
        out.print(f"Params that differ: {', '.join(split.method)}", markup=False)
    for what, (old, new) in (("Harm", split.editions), ("Severity", split.severity_editions)):
        if old != new:
            out.print(f"{what} table: {old or 'none'}, then {new or 'none'}", markup=False)
    if split.disposals:
        out.print(f"{several(len(split.disposals), 'disposal')} since the earlier build: their part is what remains.")
    one, other = split.statements
    if one.package != other.package:
        out.print(f"Code: commit {one.code}, then {other.code}; it changed no figure.", soft_wrap=True)
    if one.environment != other.environment:
        out.print(f"Packages: {one.environment}, then {other.environment}; they changed no figure.", soft_wrap=True)
    out.print("Each line adds up: after = before + its causes. A figure withheld is shown as -.\n")
    for kind, title, names in (
        ("link", "Links", ["nominal", "nominal"]),
        ("person", "People", ["nominal", "network"]),
        ("network", "Networks", ["network"]),
    ):
        if kind == "network" and not by_network:
            continue
        mine = split.changes.filter(pc.equal(split.changes["kind"], kind)).to_pylist()
        mine.sort(key=lambda c: (-abs((c["after"] or 0) - (c["before"] or 0)), c["theme"], c["a"], c["b"], c["figure"]))
        shown = mine[:_ROWS]
        used = [cause for cause in _WORDS if any(c[cause] for c in shown)]
        who = [[c["a"], c["b"]][: len(names)] if kind == "link" else [c["a"]] for c in shown]
        figure = [[] if kind == "link" else [f"{c['figure']} {c['b']}".strip()] for c in shown]
        rows = [
            [*who[n], *([c["theme"]] if kind != "network" else []), *figure[n], c["before"], c["after"],
             *(c[cause] for cause in used)]
            for n, c in enumerate(shown)
        ]  # fmt: skip
        columns = (names if kind == "link" else names[:1]) + (["theme"] if kind != "network" else [])
        columns += ([] if kind == "link" else ["figure"]) + ["before", "after", *(_SHORT[cause] for cause in used)]
        table(out, f"{title}, largest change first", columns, rows, len(mine))
