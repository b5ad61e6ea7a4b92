"""The link stage: from the records that the announced build takes to its sealed links."""

from __future__ import annotations

from pipeline.stage import announced, run, used
from provenance import linking, publishing


def main() -> str:
    """Refused when a threshold blocks the build and nobody has confirmed it (`provenance build --confirm`)."""
    with announced() as (archive, draft, params, table):
        publishing.check(archive, draft, params)
        done = linking.link(archive, draft, params, table)
        draft.say_made(archive, "link", used(params, table)["link"])
    return f"Build {draft.label}: {done.records:,} records moved, {done.opened:,} links sealed, {done.closed:,} ended."


if __name__ == "__main__":
    run(main)
