"""provenance explain"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, case, console, consulted, emit_json, several, waiting

if TYPE_CHECKING:
    from rich.console import Console

    from provenance.whatif import Without

_ROWS = 20  # of each list on the terminal; --json has them all


@click.command()
@click.argument("a", metavar="[A]", required=False)
@click.argument("b", metavar="[B]", required=False)
@click.option("--network", metavar="ID", help="A network in the place of A.")
@click.option("--theme", metavar="T", help="One theme: SOC, CSE or CL.")
@click.option("--figure", metavar="F", help="One figure of A only, such as harm; with --without, ranks by it.")
@click.option("--without-record", "records", nargs=2, multiple=True, metavar="SYSTEM ID", help="As if never recorded.")
@click.option(
    "--without-grade", "grades", multiple=True, metavar="G", help="Such as 1C, C (of 3x5x2), 5x5x5:B2, ungraded."
)
@click.option("--without-source", "systems", multiple=True, metavar="SYSTEM", help="Nothing of this source system.")
@click.option("--without-kind", "kinds", multiple=True, metavar="KIND", help="Such as intelligence or custody.")
@click.option("--without-nominal", "nominals", multiple=True, metavar="N", help="As if unknown to the force.")
@click.option("--as-of", "when", default="", metavar="WHEN", help="The moment (default: now).")
@case
@as_json
@click.pass_obj
def explain(
    door: Door,
    a: str | None,
    b: str | None,
    network: str | None,
    theme: str | None,
    figure: str | None,
    records: tuple[tuple[str, str], ...],
    grades: tuple[str, ...],
    systems: tuple[str, ...],
    kinds: tuple[str, ...],
    nominals: tuple[str, ...],
    when: str,
    case: str,
    as_json: bool,
) -> None:
    """Where it comes from: A's figures, the link of A and B, or a network.

    With A alone: each figure of the person with the records, links or formula behind it. With A and B: every record
    behind their links. With --network: its figures, and what it hangs on. With --without: what would be said if
    something had not been there, from what the build stored.
    """
    from provenance import asof
    from provenance.cli.asof import heading, insist
    from provenance.cli.doors import now
    from provenance.whatif import Without

    without = Without(records, grades, systems, nominals, kinds)
    if (a is None) == (network is None):
        raise click.UsageError("name a nominal, two nominals, or --network ID")
    if (b or network) and (theme or figure):
        raise click.UsageError("--theme and --figure go with one nominal")

    with door.archive() as archive:

        def ask() -> tuple[Any, dict[str, Any], dict[str, Any]]:
            snapshot = asof.as_of(archive, when or now(), case=case)
            return snapshot, _answer(snapshot, a, b, network, theme, figure, without), snapshot.heading()

        with waiting("Reading the build and checking its roots"):
            snapshot, answer, head = asof.whole(ask)
        consulted(archive, snapshot)
        if as_json:
            emit_json({**head, **answer})
        else:
            out = console()
            heading(out, head)
            _print(out, answer, figure)
        insist(head)


def _answer(
    snapshot: Any, a: str | None, b: str | None, network: str | None, theme: str | None, figure: str | None,
    without: Without,
) -> dict[str, Any]:  # fmt: skip
    from provenance import explaining, whatif

    said: dict[str, Any]
    if not without:
        if network:
            said = {"figures_of_network": explaining.network(snapshot, network)}
            return {
                **said,
                "merges_not_made": snapshot.merges_not_made(said["figures_of_network"]["people"]).to_pylist(),
            }
        if b:
            said = {"links": explaining.link(snapshot, str(a), b)}
        else:
            said = {"figures_of": explaining.person(snapshot, str(a), theme=theme, figure=figure)}
        return {**said, "merges_not_made": snapshot.merges_not_made([str(a), *([b] if b else [])]).to_pylist()}
    said = {"without": str(without)}
    if b:
        return {**said, "links_without": whatif.link(snapshot, str(a), b, without)}
    if network:
        return {**said, "networks_without": [whatif.network(snapshot, network, without)]}
    return {
        **said,
        "person_without": whatif.person(snapshot, str(a), without, theme=theme, by=figure or "strength"),
    }


def _print(out: Console, answer: dict[str, Any], figure: str | None) -> None:
    from provenance.cli.asof import merges_not_made

    for link in answer.get("links", ()):
        _show(out, link)
    for row in answer.get("figures_of", ()):
        _person(out, row, whole=figure is None)
    if "figures_of_network" in answer:
        _network(out, answer["figures_of_network"])
    merges_not_made(out, answer.get("merges_not_made", ()))
    if "without" in answer:
        out.print(f"Without {answer['without']}:\n", markup=False, style="bold")
    for link in answer.get("links_without", ()):
        _link_without(out, link)
    for network in answer.get("networks_without", ()):
        _network_without(out, network)
    for person in answer.get("person_without", ()):
        _person_without(out, person)


def _person(out: Console, row: dict[str, Any], *, whole: bool) -> None:
    from provenance.cli.asof import table

    out.print(
        f"{row['nominal']}, theme {row['theme']}" + (", shown as VICTIM" if row["victim_only"] else ""),
        markup=False, style="bold", soft_wrap=True,
    )  # fmt: skip
    if row["computed_with_erased"]:
        out.print("Something that was counted here is gone or out of view: what is left is listed.")
    out.print(row["rule"], markup=False)
    out.print()
    for said in row["figures"]:
        _figure(out, said)
    same = sum(said["status"] == "agrees" for said in row["figures"])
    fresh = sum(said["status"] == "worked out" for said in row["figures"])
    out.print(
        f"\n{same:,} of these figures are stored, and were worked out again just now: they are the same."
        + (f" {fresh:,} follow from the links, and were worked out just now." if fresh else "")
        + "\n"
    )
    if not whole:
        return
    listed = [
        [
            f"{r['system']} {r['record_id']}",
            r["occurred_at"][:10],
            "+".join(r["roles"]),
            r["offence_code"] or "-",
            r.get("harm_days"),
            r.get("harm", "-"),
        ]
        for r in row["records"]
    ]
    columns = ["record", "date", "roles", "offence", "days", "harm"]
    table(out, "Records that count", columns, listed[:_ROWS], len(listed))
    if row["left_out"]:
        left = [[f"{r['system']} {r['record_id']}", r["kind"], r["reason"]] for r in row["left_out"]]
        table(out, "Records that count for nothing", ["record", "kind", "why"], left[:_ROWS], len(left))
    links = [
        [
            x["with"],
            x["strength"],
            x["records"],
            "yes" if x["supported"] else "no",
            ", ".join(f"{part['kind'].replace('_', ' ')} {part['points']:,}" for part in x["by_kind"]),
            ", ".join(f"{_scheme(part)} {part['points']:,}" for part in x["by_grade"]),
        ]
        for x in row["links"]
    ]
    columns = ["with", "points", "records", "supported", "by kind", "by grade"]
    table(out, "Links", columns, links[:_ROWS], len(links))


def _network(out: Console, said: dict[str, Any]) -> None:
    from provenance.cli.asof import hangs_on

    out.print(f"Network {said['network']}, theme {said['theme']}", markup=False, style="bold", soft_wrap=True)
    out.print(said["rule"], markup=False)
    out.print()
    for figure in said["figures"]:
        _figure(out, figure)
    out.print()
    hangs_on(out, said["hangs_on"])


def _figure(out: Console, said: dict[str, Any]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    known = said["status"] in ("agrees", "worked out")
    shown = said["worked_out"] if known else said["stored"]
    value = "-" if shown is None else "none" if shown == "" else f"{shown:,}" if isinstance(shown, int) else shown
    mark = " (a view, not a fact)" if said.get("is_view") else ""
    out.print(f"{said['figure']} {value}{mark}", markup=False, style="bold", soft_wrap=True)
    lines = [said["means"], f"How: {said['how']}."]
    if "held_by" in said:
        held = ", ".join(f"{x['with']} ({x['strength']:,})" for x in said["held_by"][:_ROWS])
        more = len(said["held_by"]) - _ROWS
        lines.append(f"Held in it by supported links with {held}{f' and {more:,} more' if more > 0 else ''}.")
    if said.get("is_view"):
        lines.append(f"In it: {_named(said['subgroup_of'], _ROWS)}.")
    if not known:
        lines.append(f"{said['status'][0].upper()}{said['status'][1:]}.")
    out.print(Padding(Text("\n".join(lines)), (0, 0, 0, 2)))


def _link_without(out: Console, link: dict[str, Any]) -> None:
    from provenance.cli.asof import table

    out.print(f"{link['a']} and {link['b']}, theme {link['theme']}", markup=False, style="bold", soft_wrap=True)
    out.print(_link_becomes(link))
    if link["supported_before"] and not link["supported_after"]:
        out.print("It would no longer be supported, so that it would hold no network together.")
    out.print()
    for title, key in (("Records that would go", "supports_gone"), ("Records that would stay", "supports_left")):
        rows = [[f"{s['system']} {s['record_id']}", s["kind"], _graded(s), s["contribution"]] for s in link[key]]
        table(out, title, ["record", "kind", "grade", "points"], rows, len(rows))


def _link_becomes(link: dict[str, Any]) -> str:
    before = f"It has {link['strength_before']:,} points from {several(link['records_before'], 'record')}."
    if link["change"] == "gone":
        return f"The link would be gone. {before}"
    if link["change"] == "unchanged":
        return f"Nothing would change. {before}"
    after = f"{link['strength_after']:,} points from {several(link['records_after'], 'record')}"
    return f"It would be weaker: {after}. {before}"


def _network_without(out: Console, said: dict[str, Any]) -> None:
    from provenance.cli.asof import becomes, table

    parts = [len(part["members"]) for part in said["parts"]]
    words, who = becomes(said["change"], parts, len(said["loose"])), several(said["members"], "member")
    out.print(f"Network {said['network']}, {who}", markup=False, style="bold", soft_wrap=True)
    out.print(f"{words[0].upper()}{words[1:]}.")
    out.print(
        f"{several(said['links_gone'], 'link')} gone, {said['links_weaker']:,} weaker; of {said['links']:,} supported, "
        f"{len(said['links_lost']):,} no longer supported.\n"
    )
    if said["change"] in ("unchanged", "weaker"):
        return
    rows = [
        [part["network"], len(part["members"]), part["links"], part["strength"], _named(part["members"])]
        for part in said["parts"][:_ROWS]
    ]
    table(out, "Parts", ["network", "members", "links", "strength", "who"], rows, len(said["parts"]))
    if said["loose"]:
        out.print(f"In no network any more: {_named(said['loose'], 20)}\n", markup=False)


def _person_without(out: Console, said: dict[str, Any]) -> None:
    from provenance.cli.asof import table

    out.print(f"{said['nominal']}, theme {said['theme']}", style="bold", markup=False, soft_wrap=True)
    changed = [x for x in said["links"] if x["change"] != "unchanged"]
    rows = [[x["with"], x["change"], x["strength_before"], x["strength_after"]] for x in changed[:_ROWS]]
    table(out, "Links that would change", ["with", "change", "points now", "points then"], rows, len(changed))
    if said["network"]:
        _network_without(out, said["network"])
    ranks = [
        [name.replace("_", " "), x["before"], x["after"], x["rank_before"], x["rank_after"]]
        for name, x in said["figures"].items()
    ]
    columns = ["figure", "now", "then", "rank now", "rank then"]
    table(out, "Figures, and ranks within the theme", columns, ranks, len(ranks))


def _graded(support: dict[str, Any]) -> str:
    return f"{support['grade']}{support['handling']} ({support['grade_scheme']})" if support["grade_scheme"] else "-"


def _scheme(part: dict[str, Any]) -> str:
    """A grade; the scheme is said where it is not the current one."""
    return f"{part['grade_scheme']} {part['grade']}".removeprefix("3x5x2 ").strip() or "ungraded"


def _named(people: list[str], most: int = 3) -> str:
    more = f" and {len(people) - most:,} more" if len(people) > most else ""
    return ", ".join(people[:most]) + more


def _show(out: Console, link: dict[str, Any]) -> None:
    from provenance.cli.asof import table

    out.print(
        f"{link['a']} and {link['b']}, theme {link['theme']}: strength {link['strength']:,} points from "
        f"{link['records']:,} record(s)",
        markup=False,
        soft_wrap=True,  # or an id would be broken over two lines
    )
    if link["reduced"]:
        out.print("It rested on more when it was shown; what is gone since is not counted here.")
    handling = f"Handling {link['handling']}" if link["handling"] else "No handling code recorded"
    out.print(f"{handling}{': ' + link['conditions'] if link['conditions'] else ''}\n", markup=False)
    rows = [
        [
            f"{s['system']} {s['record_id']}",
            s["kind"],
            s["occurred_at"][:10],
            " / ".join(s["roles"]),
            _graded(s),
            s["contribution"],
        ]
        for s in link["supports"]
    ]
    table(out, "Records", ["record", "kind", "date", "roles", "grade", "points"], rows, len(rows))
    out.print(f"{' + '.join(str(s['contribution']) for s in link['supports'])} = {link['strength']} points\n")
    for what in link["alone"]:
        out.print(f"It rests on {what} alone.", markup=False, soft_wrap=True)
    out.print()
