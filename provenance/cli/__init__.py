"""The command line: one file per command, read when it is used.

Arguments, then the call, then the printing. Exit codes: 0 done, 2 usage, 3 refused, 4 does not verify, 5 missing, 6
conflict, 7 malformed.
"""

from __future__ import annotations

import errno
import sqlite3
from importlib import import_module
from typing import Any

import click

from provenance import __version__
from provenance.errors import Conflict, ProvenanceError

COMMANDS = {  # in the order in which a newcomer meets them
    "init": "Make a folder into an archive.",
    "receive": "Check an extract and seal what is new in it.",
    "build": "Make, sign and publish the weekly build.",
    "weekly": "Receive, build, publish the head, back up: for a timer.",
    "backfill": "Receive a record set and publish past builds from it.",
    "asof": "What the dashboard showed at a moment.",
    "explain": "Why two nominals are linked, and by which records.",
    "diff": "What changed in the links between two moments.",
    "networks": "How large networks are, and would be by other rules.",
    "places": "Where the records behind links happened, by area.",
    "verify": "Check the archive, one build, or a pack that it gave out.",
    "review": "Who and what is due for review or disposal, and what was kept.",
    "hold": "Keep what a case needs from disposal, until it may go.",
    "dispose": "Destroy what must go, in every build ever made.",
    "certificate": "Show the certificate of a disposal.",
    "checkpoint": "The head of the log, as one line to publish.",
    "witness": "Have the head signed by somebody outside the force.",
    "timestamp": "Have the head stamped by a time-stamping authority.",
    "monitor": "Check a series of published heads against a log.",
    "schedule": "Unused material of a case, item by item: MG6C, MG6D, MG6E.",
    "ledger": "What left the force, to whom, and who is to be told since.",
    "check-list": "Answer a partner's list: present or not, and the harm.",
    "subject-access": "What is held about a person, for that person.",
    "database": "Where what is derived is kept: in files, or PostgreSQL.",
    "key": "The keys that sign the log, and a new one.",
    "disclose": "Packs for a case, and whether its answer has changed.",
    "report": "Reports that name no one, for a committee or the public.",
    "access": "Who may look at the pages, and when that was.",
    "health": "How the archive does, for a monitor.",
    "serve": "The dashboard, of today and of any past moment.",
    "cite": "What a permanent reference stands for.",
    "trail": "Who was shown what, and when.",
    "errors": "Reports that a page is wrong, and what was found.",
    "affected": "What a wrong record or page has reached, and who has it.",
    "feed": "Plain tables of the live build, for other programs.",
    "reproduce": "Make a past build again, and see that it is the same.",
    "lineage": "What a build was made of, in forms that others read.",
    "backup": "Copy what cannot be made again.",
    "restore": "Make an archive of a backup, less what has gone since.",
}


class _Lazy(click.Group):
    """Commands imported when named: `--help` stays quick, and `asof` does not pay for what `build` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        module = name.replace("-", "_")
        return getattr(import_module(f"provenance.cli.{module}"), module) if name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ProvenanceError as error:
            self._end(ctx, error)
        except Exception as error:
            if not _is_full(error):
                raise
            self._end(ctx, Conflict("disk has no room left: make some, and give the command again"))

    def _end(self, ctx: click.Context, error: ProvenanceError) -> None:
        click.echo(f"{type(error).__name__}: {error}", err=True)
        ctx.exit(error.exit_code)


def _is_full(error: BaseException | None) -> bool:
    """Whether a disk without room is at the bottom of it, as the system says it or SQLite does."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            return True
        error = error.__cause__
    return False


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.option("--archive", "root", default=".", metavar="DIR", help="The archive's folder (default: this folder).")
@click.option("--keys", default=None, metavar="DIR", help="Where its keys lie (default: DIR.keys beside it).")
@click.version_option(__version__, prog_name="provenance")
@click.pass_context
def main(ctx: click.Context, root: str, keys: str | None) -> None:
    """An auditable archive of network analyses.

    Every weekly build is sealed, signed and logged; every link names the records it rests on.
    """
    from provenance.cli.doors import Door

    ctx.obj = Door(root, keys)
