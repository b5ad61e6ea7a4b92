"""provenance asof"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, case, console, consulted, emit_json, now, progress, waiting

if TYPE_CHECKING:
    from rich.console import Console

_ROWS = 20  # of each list on the terminal; --json has them all


@click.command()
@click.argument("when")
@click.option("--nominal", metavar="N", help="One person and their links.")
@click.option("--network", metavar="ID", help="One network, its members and the links between them.")
@click.option("--theme", metavar="T", help="One theme: SOC, CSE or CL.")
@click.option(
    "--key-players", is_flag=True, help="Who comes first by each of several measures, in --network or --theme."
)
@click.option("--harm", is_flag=True, help="With --nominal: each record's harm, by each table.")
@click.option("--proof", metavar="FOLDER", help="Write the answer with its proof, for an outsider, to a new FOLDER.")
@case
@as_json
@click.pass_obj
def asof(
    door: Door,
    when: str,
    nominal: str | None,
    network: str | None,
    theme: str | None,
    key_players: bool,
    harm: bool,
    proof: str | None,
    case: str,
    as_json: bool,
) -> None:
    """What the dashboard showed at WHEN.

    WHEN is a London time such as 2026-03-14T10:00, or carries an offset (Z, +01:00). A bare date lists every build that
    was live on that day, and answers when there was only one.
    """
    from provenance import asof, explaining, hinges, moments

    if key_players and (nominal or proof or not (network or theme)):
        raise click.UsageError("--key-players goes with --network or --theme, and not with --nominal or --proof")
    if harm and nominal is None:
        raise click.UsageError("--harm is asked of one person: name them with --nominal")
    with door.archive() as archive:
        live = asof.live_on(archive, when) if moments.is_date(when) else []
        if len(live) > 1:
            spans = [{"build": p.label, "published_from": p.start, "published_to": p.end} for p in live]
            if as_json:
                emit_json({"live_that_day": spans})
            else:
                _list_day(console(), when, spans)
            return

        def ask() -> tuple[Any, dict[str, Any]]:
            snapshot = asof.as_of(archive, when, case=case)
            if key_players:
                return snapshot, {
                    **snapshot.heading(),
                    "key_players": explaining.key_players(snapshot, network=network, theme=theme),
                }
            answer = snapshot.answer(nominal=nominal, network=network, theme=theme)
            if network is not None:
                answer["hangs_on"] = hinges.sensitivity(snapshot, network)
            if harm and nominal is not None:
                found = snapshot.harm(nominal, theme)
                answer["harm"] = {"totals": found.totals.to_pylist(), "records": found.records.to_pylist()}
            return snapshot, answer

        with waiting("Reading the build and checking its roots"):
            snapshot, answer = asof.whole(ask)
        consulted(archive, snapshot)
        if proof:
            answer["proof"] = _prove(snapshot, when, Path(proof), nominal, network, theme)
        failed = [f for f in archive.history.failures if snapshot.built.cut_off < f.cut_off <= _latest(snapshot, when)]
        answer["failed_since"] = [{"build": f.label, "cut_off": f.cut_off, "reason": f.reason} for f in failed]
        if as_json:
            emit_json(answer)
        else:
            out = console()
            heading(out, answer)
            if key_players:
                _key_players(out, answer["key_players"])
                insist(answer)
                return
            _people(out, answer["nominals"], whole=nominal is None and network is None)
            if harm:
                _harm(out, answer["harm"])
            _links(out, answer["links"])
            if nominal is None:
                _networks(out, answer["networks"])
            merges_not_made(out, answer["merges_not_made"])
            if network is not None:
                hangs_on(out, answer["hangs_on"])
            if proof:
                _proved(out, Path(proof), answer["proof"])
            out.print("[dim]--json lists everything; `provenance explain A B --as-of WHEN` shows the records.[/dim]")
        insist(answer)


def _prove(
    snapshot: Any, when: str, folder: Path, nominal: str | None, network: str | None, theme: str | None
) -> dict[str, Any]:
    import dataclasses

    from provenance import asof, moments, proving

    moment = "" if moments.is_date(when) else moments.utc(moments.parse(when))
    subject = {"nominal": nominal or "", "network": network or "", "theme": theme or ""}
    with progress("Proving") as report:
        made = asof.whole(lambda: proving.prove(snapshot, folder, as_of=moment, on=now(), report=report, **subject))
    return {"folder": str(folder), **dataclasses.asdict(made)}


def _proved(out: Console, folder: Path, made: dict[str, Any]) -> None:
    """What was written, for the person who will hand it over."""
    withheld = f" and {made['withheld']:,} as bare digests" if made["withheld"] else ""
    complete = f"\nComplete   all links of this nominal in {', '.join(made['complete'])}" if made["complete"] else ""
    signed = ", ".join(made["cosigned"]) or "nobody outside the force"
    enough = "" if made["quorum_met"] else " (fewer than the policy wants)"
    out.print(f"Proof      {folder}", markup=False)
    out.print(f"Rows       {made['shown']:,} shown{withheld}{complete}")
    out.print(f"Head       {made['head']:,} entries of the log; signed outside by {signed}{enough}", markup=False)
    out.print("Whoever receives it opens verify.html in it, or runs verify.py; READ-ME-FIRST.txt says how.\n")


def _latest(snapshot: Any, when: str) -> str:
    from provenance import moments

    return moments.utc(moments.day(when)[1] if moments.is_date(when) else moments.parse(when))


def insist(*answers: dict[str, Any]) -> None:
    """Raises Tampered when an answer that was shown does not verify, so that exit codes tell it too."""
    from provenance.errors import Tampered

    for answer in answers:
        if not answer["verified"]:
            raise Tampered(f"build {answer['build']} does not verify: see `provenance verify`")


def heading(
    out: Console, answer: dict[str, Any], *, title: str = "What the dashboard showed", caveat: bool = True
) -> None:
    """Which build answers, and what is to be known about it, before anything it says."""
    from rich.panel import Panel
    from rich.text import Text

    from provenance import moments

    def said(instant: str, otherwise: str) -> str:
        return moments.london(moments.instant(instant)) if instant else otherwise

    verified = "yes: its rows give the digest that was signed" if answer["verified"] else "NO: see `provenance verify`"
    lines = [
        f"Build      {answer['build']}",
        f"Live       {said(answer['published_from'], 'never')} to {said(answer['published_to'], 'now')}",
        f"Records    recorded by {said(answer['cut_off'], '')}",
        f"Root       {answer['root']}",
        f"Verified   {verified}",
    ]
    if "disposed" in answer:
        lines.append(f"Since then {_since(answer['disposed'])}")
    if answer.get("disposed", {}).get("computed_with_erased") and not answer["case"]:
        lines.append("           figures that counted what is out of view are not shown (-)")
    if answer["case"]:
        lines.append(f"Case       {answer['case']}: what is restricted for it is shown; this was logged")
    for failure in answer.get("failed_since", []):
        lines.append(f"Note       build {failure['build']} failed ({failure['reason']}); this one stayed live")
    out.print(Panel(Text("\n".join(lines)), title=title, title_align="left", expand=True))
    if not caveat:
        return
    for paragraph in answer["caveat"].strip().split("\n\n"):
        out.print(" ".join(paragraph.split()), style="italic", markup=False)
    out.print()


def _since(gone: dict[str, Any]) -> str:
    """What has become of the build's rows, in words."""
    said = [
        f"{gone[state]:,} {'row' if gone[state] == 1 else 'rows'} {words}"
        for state, words in (("disposed", "disposed of"), ("reduced", "reduced"), ("restricted", "restricted"))
        if gone[state]
    ]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in gone["reasons"].items())
    return (", ".join(said) or "nothing was disposed of") + (f" ({reasons})" if reasons else "")


def _list_day(out: Console, date: str, spans: list[dict[str, str]]) -> None:
    from provenance import moments

    out.print(f"On {date} {len(spans)} builds were live. Say the time as well:")
    for span in spans:
        end = moments.london(moments.instant(span["published_to"])) if span["published_to"] else "now"
        out.print(f"  {span['build']}  {moments.london(moments.instant(span['published_from']))} to {end}")


# Columns of words. All others are copied from here into the next question, and stay whole.
_WRAPPED = ("shown as", "roles", "name", "what becomes of it", "by kind", "by grade", "who")


def table(out: Console, title: str, columns: list[str], rows: list[list[Any]], total: int) -> None:
    """A plain table; says how much more there is. Text of the sources is shown as text, never as markup.

    Where an id is too long for the terminal, the table is wider: an id, a date or a figure is never cut or broken.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    if not rows:
        out.print(f"{title}: none\n")
        return
    shown = Table(title=f"{title}: {total:,}", title_justify="left", title_style="bold", box=None, pad_edge=False)
    texts = [["-" if v is None else f"{v:,}" if isinstance(v, int) else str(v) for v in row] for row in rows]
    needed = 2 * (len(columns) - 1)
    for column, values, cells in zip(columns, zip(*rows, strict=True), zip(*texts, strict=True), strict=True):
        wrapped, number = column in _WRAPPED, any(isinstance(value, int) for value in values)
        shown.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=not wrapped)
        needed += max(cell_len(part) for cell in (column, *cells) for part in (cell.split() if wrapped else [cell]))
    for row in texts:
        shown.add_row(*map(Text, row))  # not `escape`: it doubles a backslash at the end of an id
    room, out.width = out.width, max(out.width, needed)
    out.print(shown)
    out.width = room
    out.print(f"[dim]and {total - len(rows):,} more[/dim]\n" if total > len(rows) else "")


def _people(out: Console, people: list[dict[str, Any]], *, whole: bool) -> None:
    best = sorted(people, key=lambda p: (-(p["strength"] or 0), p["theme"], p["nominal"]))[:_ROWS]
    rows = [
        [p["nominal"], p["theme"], p["network"] or "-", p["links"], p["strength"], p["harm"], _role(p)] for p in best
    ]
    title = "Nominals, strongest first" if whole else "Nominals"
    columns = ["nominal", "theme", "network", "links", "strength", "harm days", "shown as"]
    if any(p["severity_edition"] for p in best):  # a second table is counted beside the first, in a column of its own
        columns.insert(6, "severity")
        rows = [[*row[:6], p["severity"], row[6]] for row, p in zip(rows, best, strict=True)]
    table(out, title, columns, rows, len(people))


def _harm(out: Console, harm: dict[str, Any]) -> None:
    """A table per edition, and never a sum over two."""
    editions = {(total["edition"], total["unit"]): None for total in harm["totals"]}
    for edition, unit in editions:
        rows = [
            [
                f"{r['system']} {r['record_id']}", r["theme"], r["occurred_at"][:10], r["offence_code"] or "-",
                r["roles"].replace("+", " "), _flag(r) or r["weight"], r["counted"],
            ]
            for r in harm["records"]
            if r["edition"] == edition
        ]  # fmt: skip
        columns = ["record", "theme", "date", "offence", "roles", "weight", "counted"]
        table(out, f"Harm by {edition}, in {unit}", columns, rows, len(rows))
        for total in harm["totals"]:
            if total["edition"] == edition:
                out.print(f"{total['theme']}: {_said(total)}", markup=False)
        out.print()


def _flag(row: dict[str, Any]) -> str:
    return "unknown" if row["unknown"] else "expired" if row["expired"] else ""


def _said(total: dict[str, Any]) -> str:
    said = f"{total['harm']:,} {total['unit']}; {total['unknown']:,} unknown, {total['expired']:,} expired"
    if total["computed_with_erased"]:
        gone = "" if total["gone"] is None else f": {total['gone']:,} records are gone"
        return f"{said}; what the build stored counted what is out of view{gone}"
    return f"{said}; {'as stored' if total['stored'] is not None else 'shown beside, not stored'}"


def _role(person: dict[str, Any]) -> str:
    if person["victim_only"]:
        return "VICTIM"
    named = [
        word
        for word, key in (("suspect or offender", "offending"), ("victim", "victim"), ("witness", "witness"))
        if person[key]
    ]
    return ", ".join(named) or ("see the records" if person["records"] is None else "other")


def _links(out: Console, links: list[dict[str, Any]]) -> None:
    best = sorted(links, key=lambda x: (-x["strength"], x["theme"], x["a"], x["b"]))[:_ROWS]
    columns = ["nominal", "nominal", "theme", "strength", "records", "handling"]
    rows = [[x["a"], x["b"], x["theme"], x["strength"], x["records"], x["handling"] or "-"] for x in best]
    if any(x["reduced"] for x in best):
        columns.append("since then")
        rows = [[*row, "reduced" if x["reduced"] else ""] for row, x in zip(rows, best, strict=True)]
    table(out, "Links, strongest first", columns, rows, len(links))


def _networks(out: Console, networks: list[dict[str, Any]]) -> None:
    rows = [[n["network"], n["members"], n["links"], n["strength"], n["harm"]] for n in networks[:_ROWS]]
    table(out, "Networks", ["network", "members", "links", "strength", "harm days"], rows, len(networks))


def merges_not_made(out: Console, blocked: Sequence[dict[str, Any]]) -> None:
    """Each merge that somebody proposed and that was not made, with the reason; nothing where there is none."""
    from provenance import moments

    for row in blocked[:_ROWS]:
        day = moments.london(moments.instant(row["at"]))
        out.print(
            f"A merge of {row['from_nominal']} into {row['into_nominal']} was proposed on {day} by "
            f"{row['by']}, and was not made: {_NOT_MADE[row['reason']]}.",
            markup=False,
        )
        out.print(f"Its evidence: {row['evidence']}\n", markup=False)
    if len(blocked) > _ROWS:
        out.print(f"[dim]and {len(blocked) - _ROWS:,} more merges that were not made[/dim]\n")


_NOT_MADE = {
    "no-evidence": "a name and a date of birth alone merge no one",
    "split-before": "the two had been judged to be different people",
    "already-merged": "the first had been judged to be someone else, and that stands",
    "closes-a-circle": "the second had been judged to be the first",
}


def becomes(change: str, parts: list[int], loose: int) -> str:
    """What a network comes to, in words."""
    fall = f"{loose:,} {'falls' if loose == 1 else 'fall'} out of it"
    if change == "ends":
        return "it would end: no supported link is left"
    if change == "splits":
        sizes = ", ".join(f"{part:,}" for part in parts[:6]) + (", ..." if len(parts) > 6 else "")
        return f"it would fall apart into {len(parts):,} networks of {sizes}" + (f"; {fall}" if loose else "")
    if change == "smaller":
        return f"it would be smaller: {fall}, {parts[0]:,} stay"
    return "it would stay whole"


def hangs_on(out: Console, note: dict[str, Any]) -> None:
    """The note on a network: what it would not stand without."""
    out.print(f"What network {note['network']} hangs on", style="bold", markup=False, soft_wrap=True)
    for what in note["alone"]:
        out.print(f"It stands on {what} alone.", markup=False)
    for said in note["without"]:
        if said["what"] not in note["alone"]:
            out.print(f"Without {said['what']}, {becomes(said['change'], said['parts'], said['loose'])}.", markup=False)
    worst = [x for x in note["hinges"] if x["change"] != "smaller"]
    fewer = len(note["hinges"]) - len(worst)
    if not note["hinges"]:
        out.print("No single record holds it together.\n")
        return
    if not worst:
        out.print("No single record splits or ends it.")
    if fewer:
        out.print(
            f"{fewer:,} single {'record holds' if fewer == 1 else 'records each hold'} somebody at its edge in it."
        )
    out.print()
    if worst:
        rows = [
            [f"{x['system']} {x['record_id']}", becomes(x["change"], x["parts"], x["loose"])] for x in worst[:_ROWS]
        ]
        table(
            out,
            "Single records without which it ends or falls apart",
            ["record", "what becomes of it"],
            rows,
            len(worst),
        )


_SHORT = {
    "strength": "strength", "harm": "harm", "core": "core", "severed": "severed", "reach_two": "reach",
    "betweenness_thousandths_rounded": "between", "pagerank_billionths": "rank flow",
}  # fmt: skip


def _key_players(out: Console, said: dict[str, Any]) -> None:
    where = f"network {said['network']}" if said["network"] else f"theme {said['theme']}"
    out.print(f"Key players of {where}, {said['people']:,} people", style="bold", markup=False, soft_wrap=True)
    out.print("Each measure stands for itself: they are not added up.\n")
    for measure in said["measures"]:
        out.print(f"{_SHORT[measure['measure']]}: {measure['means']}", markup=False)
    out.print()
    for measure in said["measures"]:
        first = measure["first"]
        rows = [[x["rank"], x["nominal"], x["figure"], "VICTIM" if x["victim_only"] else ""] for x in first]
        table(
            out,
            f"By {_SHORT[measure['measure']]}",
            ["rank", "nominal", measure["measure"], "shown as"],
            rows,
            len(rows),
        )
    names = [measure["measure"] for measure in said["measures"]]
    rows = [
        [x["nominal"] + (" VICTIM" if x["victim_only"] else ""), *(x["ranks"][name] for name in names)]
        for x in said["side_by_side"]
    ]
    table(out, "Side by side, by rank", ["nominal", *(_SHORT[name] for name in names)], rows, len(rows))
    withheld = max((measure["withheld"] for measure in said["measures"]), default=0)
    if withheld:
        out.print(f"{withheld:,} people have figures that counted what is gone or out of view: they are not shown.\n")
