"""provenance reproduce"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import (
    Door,
    as_json,
    code_commit,
    code_history,
    console,
    emit_json,
    engines,
    environment_digest,
    now,
    package_digest,
    progress,
    user,
    working,
)

if TYPE_CHECKING:
    from provenance.archive import Archive
    from provenance.bygone import Report
    from provenance.reproducing import Here
    from provenance.statements import Statement

UNDER = "check of what was published"


@click.command()
@click.argument("label", required=False)
@click.option("--all", "every", is_flag=True, help="Every build of the archive, one after the other.")
@click.option(
    "--code",
    type=click.Choice(["here", "commit"]),
    help="The code that runs, or that of the build's commit with its own lock (default: as the statement needs).",
)
@engines
@click.option("--unlogged", is_flag=True, help="Do not log the verdict.")
@as_json
@click.pass_obj
def reproduce(
    door: Door,
    label: str | None,
    every: bool,
    code: str | None,
    engine: str,
    master: str,
    unlogged: bool,
    as_json: bool,
) -> None:
    """Make the build LABEL again from what it was made of, and compare it row for row.

    Nothing that was stored is changed; the verdict is logged. Rows that rest on what was disposed of are counted by
    reason. Exit code 4 when anything else differs: the first table, row and field are named, and no value.
    """
    from provenance import reproducing
    from provenance.errors import Tampered

    if bool(label) == every:
        raise click.UsageError("say either a LABEL or --all")
    with door.archive() as archive, working(archive, engine, master):
        history = archive.history
        labels = [built.label for built in history.builds] if every else [history.build(str(label)).label]
        found: list[dict[str, Any]] = []
        with progress("Reproducing") as report:
            report("builds", 0, len(labels))
            for done, one in enumerate(_found(door, archive, labels, code, report), start=1):
                found.append(one)
                if not unlogged:
                    archive.append(reproducing.act(one, on=now(), by=user(), under=UNDER))
                report("builds", done, len(labels))
    if as_json:
        emit_json({"builds": found} if every else found[0])
    else:
        for one in found:
            _show(one, whole=not every)
        if every:
            same = sum(one["verdict"] != "differs" for one in found)
            console().print(f"{same} of {len(found)} builds came out as they were published.")
    odd = [one["build"] for one in found if one["verdict"] == "differs"]
    if odd:
        raise Tampered(f"builds that do not come out as they were published: {', '.join(odd)}")


def _found(
    door: Door, archive: Archive, labels: Sequence[str], code: str | None, report: Report
) -> Iterator[dict[str, Any]]:
    """What came of each build, here or by the code of its commit; and by which of the two, with whose packages."""
    from provenance import reproducing

    here = reproducing.Here(code_commit(), package_digest(), environment_digest())
    for label in labels:
        stated = archive.stated(archive.history.build(label))
        fits = (here.package, here.environment) == (stated.package, stated.environment)
        if code == "here" or (code is None and fits):
            yield reproducing.reproduce(archive, label, here).as_json() | {"code_of": "here", "packages_of": "here"}
        else:
            yield _elsewhere(door, stated, here, report)


def _elsewhere(door: Door, stated: Statement, here: Here, report: Report) -> dict[str, Any]:
    """The same by the code of the build's commit, with the packages of its lock: this interpreter's, where they are the
    same, else an environment of their own (`bygone`).

    Raises Missing where the commit or its packages cannot be had, Conflict where it is not the code that ran, and what
    that code itself ends with.
    """
    from provenance import bygone
    from provenance.errors import Conflict, Missing

    home, is_here = (door.path / "index" / "code").resolve(), stated.environment == here.environment
    try:
        tree = bygone.code(home, code_history(), stated.code, report)
        digest = hashlib.sha256((tree / bygone.LOCK).read_bytes()).hexdigest()
        if not is_here and stated.environment != digest:
            raise Missing(
                f"its packages were other than its commit's lock: environment {stated.environment}, the lock is "
                f"{digest}; install those and ask for `--code here`"
            )
        # -E and -s: no package from anywhere else.
        python = [sys.executable] if is_here else [str(bygone.environment(home, tree, report)), "-E", "-s"]
    except Missing as error:
        raise Missing(f"build {stated.label} cannot be made again by its own code: {error}") from error
    with bygone.seen(home, door.path.resolve(), door.keys_path.resolve()) as (root, keys):
        command = [*python, "-m", "provenance.cli", "--archive", str(root), "--keys", str(keys)]
        command += ["reproduce", stated.label, "--code", "here", "--unlogged", "--json"]
        found = _answered(command, tree, stated)
    if found["package"] != stated.package:
        raise Conflict(
            f"code of commit {stated.code} is package {found['package']}: build {stated.label} ran {stated.package}, "
            "an edit that was not committed; ask for `--code here`"
        )
    return found | {"code_of": "commit", "packages_of": "here" if is_here else "lock"}


def _answered(command: list[str], tree: Path, stated: Statement) -> dict[str, Any]:
    """What past code answers. What it ends with instead is raised as the same kind of error."""
    from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered

    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        kinds = {kind.exit_code: kind for kind in (Conflict, Malformed, Missing, Refused, Tampered)}
        said = done.stderr.strip().splitlines()
        raise kinds.get(done.returncode, Missing)(
            f"code of commit {stated.code} did not make build {stated.label} again: {said[-1] if said else 'no word'}"
        ) from None


def _show(found: dict[str, Any], *, whole: bool) -> None:
    out = console()
    out.print(f"Build {found['build']}: {found['verdict']}")
    if found["code_of"] == "commit":
        which = "that are installed: its lock's" if found["packages_of"] == "here" else "of its lock, installed apart"
        out.print(f"  by the code of commit {found['code'][:12]}, with the packages {which}", soft_wrap=True)
    for name, count in found["tables"].items():
        lost = {key: count[key] for key in ("disposed", "reduced", "marked", "differing") if count[key]}
        if whole or lost:
            more = "".join(f", {value:,} {key}" for key, value in lost.items())
            out.print(f"  {name:<12} {count['same']:>10,} of {count['rows']:,} rows the same{more}")
    if first := found["first_difference"]:
        who = f", of {' and '.join(first['tokens'])}" if first["tokens"] else ""
        field = f", field {first['field']}" if first["field"] else ""
        out.print(
            f"  first: table {first['table']}, row {first['leaf'] or '-'}{who}{field}: {first['what']}", soft_wrap=True
        )
    if found["other_than_stated"]:
        out.print(f"  made again with other {' and '.join(found['other_than_stated'])} than the build's")
