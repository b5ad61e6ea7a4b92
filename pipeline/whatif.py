"""A stage of an analyst's own pipeline: what the last build would say by the params that lie here, as metrics of DVC.

Whole numbers into the file that is named: of no person, and of nothing that the archive keeps. `dvc exp run -S` sets
other params, and `dvc params diff` and `dvc metrics diff` show the two beside each other.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipeline.stage import DOOR, run
from provenance import durable, experiments
from provenance.asof import Snapshot
from provenance.errors import Missing


def main() -> str:
    """Missing where there is no build; Malformed for params that name other harm tables than the build."""
    params, _ = DOOR.params()
    with DOOR.archive() as archive:
        if not archive.history.builds:
            raise Missing("archive has no build to try other params on")
        found = experiments.experiment(Snapshot(archive, archive.history.builds[-1], None), params)
    metrics = {name: after for name, (_, after) in found.metrics().items()}
    durable.write(Path(sys.argv[1]), (json.dumps(metrics, indent=1, sort_keys=True) + "\n").encode())
    return f"Build {found.label} by these params: {len(found.changed)} of them other than its own. Nothing was stored."


if __name__ == "__main__":
    run(main, publishes=False)
