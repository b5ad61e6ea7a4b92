"""The dispose stage: disposals that were cut off, or that waited for a hold which has ended, are completed."""

from __future__ import annotations

from pipeline.stage import DOOR, run
from provenance import disposal
from provenance.cli.doors import now, renewed, user
from provenance.cli.weeks import read_week
from provenance.errors import Conflict


def main() -> str:
    """Nothing to finish is no fault. What stops a disposal stops the week: no build stands on what should be gone.

    Conflict when it completed one although the announced build is made: DVC looked at the files before they were
    rewritten, and would have that build made again. The next `dvc repro` finds all in order.
    """
    (DOOR.path / "store" / "disposals").mkdir(parents=True, exist_ok=True)
    params, table = DOOR.params()
    cut_off = read_week(DOOR.path).cut_off
    with DOOR.archive() as archive:
        said = [
            f"Disposal {begun.first.disposal} had been cut off; it is complete and certified."
            for begun in archive.history.disposals
            if begun.certified is None
        ]
        said += [
            f"Disposal {done.certificate_id}, for its last hold has ended: {done.nominals:,} nominals, "
            f"{done.records:,} records."
            for done in disposal.finish(archive, params, table, on=now(), by=user())
        ]
        renewed(archive)
        if said and any(cut_off <= built.cut_off for built in archive.history.builds):
            print("\n".join(said))
            raise Conflict("the files of a build that is made were rewritten meanwhile: `dvc repro` again goes on")
    return "\n".join(said) or "No disposal was waiting to be completed."


if __name__ == "__main__":
    run(main)
