"""provenance monitor"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import as_json, console, emit_json, several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provenance.log import Log
    from provenance.notices import Finding, Notice
    from provenance.policies import Opened, Policy


@click.command()
@click.argument("series", type=click.Path(exists=True, dir_okay=False))
@click.option("--log", "folder", type=click.Path(exists=True, file_okay=False), metavar="DIR", help="A copy of log/.")
@click.option(
    "--policy", "policy_file", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
    help="Whose keys sign the log (default: DIR/policy).",
)  # fmt: skip
@as_json
def monitor(series: str, folder: str | None, policy_file: str | None, as_json: bool) -> None:
    """Check the published heads in SERIES against each other, and against the log.

    For anyone who keeps the weekly notices, one line each; it needs neither an archive nor a key. Missing, repeated and
    reordered weeks, a log that shrank, was forked or is another: each is said, with exit code 4.
    """
    from provenance import heads, notices, publicising
    from provenance.errors import Malformed, Tampered
    from provenance.notices import Finding
    from provenance.policies import Policy

    if policy_file and not folder:
        raise click.UsageError("--policy says whose keys sign the log: say --log DIR as well")
    published = notices.parse_series(Path(series).read_bytes())
    if not published:
        raise Malformed("series of published heads: no line in it, wanted at least one")
    log, opened, against, built = None, None, [], []
    if folder:
        policy = Policy.parse(Path(policy_file).read_bytes()) if policy_file else heads.read_policy(Path(folder))
        try:
            log, opened = publicising.open_log(Path(folder), policy)
            against = publicising.compare(log, published)
            opened = publicising.witnessed(log, policy) or opened
            built = publicising.labels(log) if not any(finding.kind == "log" for finding in against) else []
        except (Malformed, Tampered) as error:
            against.append(Finding("log", "", str(error)))
        if log:
            against += _unwitnessed(log, policy, published)
    found = [*notices.findings(published, built=[label for _, label in built]), *against]
    if as_json:
        emit_json(_described(published, found, log, opened))
    else:
        _show(published, found, log, opened, policy_file)
    if found:
        raise Tampered(f"published heads do not hold together: {several(len(found), 'finding')}, listed above")


def _unwitnessed(log: Log, policy: Policy, published: Sequence[Notice]) -> list[Finding]:
    """What the witnesses have left out: they are to have signed the last published head, or one that continues it."""
    from provenance import publicising
    from provenance.errors import Malformed, Tampered
    from provenance.notices import Finding

    try:
        opened = publicising.witnessed(log, policy)
    except (Malformed, Tampered):
        return []  # said already
    last = published[-1]
    if opened and opened.checkpoint.size >= min(last.size, log.size):
        return []
    words = f"the head of {last.label}, or a later one, lacks the quorum {policy.quorum} of the witnesses"
    return [Finding("log", last.label, words)]


def _described(
    published: Sequence[Notice], found: Sequence[Finding], log: Log | None, opened: Opened | None
) -> dict[str, Any]:
    from provenance.notes import encode_base64

    return {
        "verified": not found,
        "heads": [
            {"label": n.label, "origin": n.origin, "size": n.size, "root": encode_base64(n.root)} for n in published
        ],
        "findings": [{"kind": f.kind, "label": f.label, "words": f.words} for f in found],
        "log": {
            "origin": opened.checkpoint.origin,
            "size": log.size,
            "root": encode_base64(log.root),
            "cosigned": [line.name for line in opened.cosigned],
            "quorum_met": opened.quorum_met,
        }
        if log and opened
        else None,
    }


def _show(
    published: Sequence[Notice], found: Sequence[Finding], log: Log | None, opened: Opened | None, policy: str | None
) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from provenance import notices

    out = console()
    wrong = {finding.label for finding in found}
    good = "as in the log" if log else "fits the others"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for notice in published:
        state = Text("FAULT", style="bold red") if notice.label in wrong else Text(good)
        grid.add_row(notice.label, f"{notice.size:,} entries", state)
    out.print(grid)
    out.print()
    for finding in found:
        out.print(notices.KINDS[finding.kind].upper(), style="bold red")
        out.print(Padding(Text(finding.words), (0, 0, 0, 2), expand=False))
    if found:
        out.print()
    count = several(len(published), "published head")
    out.print(
        f"{count} {'do NOT hold together' if found else 'hold together' if len(published) > 1 else 'is in order'}."
    )
    for line in _relied_on(log, opened, policy):
        out.print(line, markup=False, emoji=False)


def _relied_on(log: Log | None, opened: Opened | None, policy: str | None) -> list[str]:
    if not log or not opened:
        return [
            "Not looked at: whether a log has these heads; --log DIR compares them with a copy of it.",
        ]
    lines = [f"The log: {log.size:,} entries, its head signed by {opened.log.name}."]
    lines += [f"Cosigned by {line.name}, {_moment(line.at)}." for line in opened.cosigned]
    lines.append(
        f"Relied on: the keys in {Path(policy).name}."
        if policy
        else "Relied on: the keys in the log's own policy file; get that file elsewhere and say --policy."
    )
    return lines


def _moment(seconds: int) -> str:
    """By a witness's clock, which may say anything."""
    from provenance import moments

    try:
        return moments.london(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return f"second {seconds} since 1970"
