"""What the stages of `dvc repro` have in common: each is a door, reads the world once, and does one piece of a build.

DVC runs a stage in the archive's folder; the clock, the user and params are read here and nowhere below.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from provenance import draft, world
from provenance.archive import Archive
from provenance.cli.doors import Door, environment_digest, now, package_digest
from provenance.cli.weeks import read_week
from provenance.draft import Draft
from provenance.errors import ProvenanceError, Refused
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


def used(params: Params, table: HarmTable) -> dict[str, str]:
    """By stage, a digest of the code, packages and params that it would be run by now: DVC may have run it before."""
    by = f"{package_digest()} {environment_digest()} {Draft.rules(params, table)}"
    networks = f"{by} {params.networks.model_dump_json()}"
    return {name: hashlib.sha256(said.encode()).hexdigest() for name, said in (("link", by), ("networks", networks))}


def published_at() -> str:
    """When the announced build goes live: as week.yaml says, or now."""
    return read_week(DOOR.path).published_at or now()


def other_lock() -> str:
    """Why the announced build is made with packages other than the lock's; "" where it is not to be."""
    return read_week(DOOR.path).other_lock


def run(stage: Callable[[], str], *, publishes: bool = True) -> None:
    """Run a stage as a program: say what it did, or what stopped it, with the exit code of that.

    Those of the weekly build, which write to the log, are Refused within a `dvc exp run`: it is tried, and not live.
    """
    try:
        if publishes and world.experiment():
            raise Refused("weekly build is run as an experiment of DVC, and would be live: wanted `dvc repro`")
        print(stage())
    except ProvenanceError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
