"""The publish stage: roots, signed statement, log entry; the announced build goes live."""

from __future__ import annotations

from pipeline.stage import DOOR, announced, other_lock, published_at, run, used
from provenance import figures, publishing
from provenance.cli.doors import now, renewed, surroundings, user


def main() -> str:
    """Conflict when the build would go live before the last one did, or was made by other code, packages or params than
    its statement would say: DVC runs a stage again for params, and not for code."""
    started = now()
    with announced() as (archive, draft, params, table):
        around = surroundings(params, started, user(), other_lock())(draft.label)
        for stage, by in used(params, table).items():
            draft.insist_made(archive, stage, by)
        built = publishing.publish(archive, draft, params, table, around, published_at())
        figures.keep(archive, draft.number)
    with DOOR.archive() as archive:
        renewed(archive)
    return f"Build {built.label} is live. Pin it: git add -A, git commit, git tag -a build/{built.label}, dvc push."


if __name__ == "__main__":
    run(main)
