"""provenance explain"""

from __future__ import annotations

from typing import Any

import click

from provenance.cli.doors import Door, as_json, case, console, consulted, emit_json, waiting


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--as-of", "when", default="", metavar="WHEN", help="The moment (default: now).")
@case
@as_json
@click.pass_obj
def explain(door: Door, a: str, b: str, when: str, case: str, as_json: bool) -> None:
    """Why nominals A and B are linked: every record, and what each contributes."""
    from provenance import asof
    from provenance.cli.asof import heading, insist
    from provenance.cli.doors import now

    with door.archive() as archive:

        def ask() -> tuple[Any, list[dict[str, Any]], dict[str, Any]]:
            snapshot = asof.as_of(archive, when or now(), case=case)
            return snapshot, snapshot.explain(a, b), snapshot.heading()

        with waiting("Reading the build and checking its roots"):
            snapshot, links, head = asof.whole(ask)
        consulted(archive, snapshot)
        if as_json:
            emit_json({**head, "links": links})
        else:
            out = console()
            heading(out, head)
            for link in links:
                _show(out, link)
        insist(head)


def _show(out: Any, link: dict[str, Any]) -> None:
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
            f"{s['grade']}{s['handling']} ({s['grade_scheme']})" if s["grade_scheme"] else "-",
            s["contribution"],
        ]
        for s in link["supports"]
    ]
    table(out, "Records", ["record", "kind", "date", "roles", "grade", "points"], rows, len(rows))
    out.print(f"{' + '.join(str(s['contribution']) for s in link['supports'])} = {link['strength']} points\n")
