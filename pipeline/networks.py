"""The networks stage: from links to networks and the figures of their people."""

from __future__ import annotations

from pipeline.stage import announced, run, used
from provenance import grouping


def main() -> str:
    """Missing when the link stage of this build has not run here."""
    with announced() as (archive, draft, params, table):
        done = grouping.group(archive, draft, params, table)
        draft.say_made(archive, "networks", used(params, table)["networks"])
    found = f"{done.people:,} people's figures, {done.networks:,} networks"
    return f"Build {draft.label}: {found}, {done.opened:,} rows sealed."


if __name__ == "__main__":
    run(main)
