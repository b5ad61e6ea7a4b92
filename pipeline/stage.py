"""What the stages of `dvc repro` have in common: each is a door, reads the world once, and does one piece of a build.

DVC runs a stage in the archive's folder; the clock, the user and params are read here and nowhere below.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from provenance import draft
from provenance.archive import Archive
from provenance.cli.doors import Door, now
from provenance.cli.weeks import read_week
from provenance.draft import Draft
from provenance.errors import ProvenanceError
from provenance.harm import HarmTable
from provenance.params import Params

DOOR = Door(".", None)


@contextmanager
def announced() -> Iterator[tuple[Archive, Draft, Params, HarmTable]]:
    """The archive, the build that week.yaml announces, and the rules; nobody else writes meanwhile."""
    params, table = DOOR.params()
    cut_off = read_week(DOOR.path).cut_off
    with DOOR.archive() as archive, archive.writing():
        yield archive, draft.next_draft(archive, cut_off), params, table


def published_at() -> str:
    """When the announced build goes live: as week.yaml says, or now."""
    return read_week(DOOR.path).published_at or now()


def other_lock() -> str:
    """Why the announced build is made with packages other than the lock's; "" where it is not to be."""
    return read_week(DOOR.path).other_lock


def run(stage: Callable[[], str]) -> None:
    """Run a stage as a program: say what it did, or what stopped it, with the exit code of that."""
    try:
        print(stage())
    except ProvenanceError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
