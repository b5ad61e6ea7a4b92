"""The receive stage: every extract in inbox/ that is due by the announced cut-off and was not received yet."""

from __future__ import annotations

from pipeline.stage import DOOR, run
from provenance import extracts, receiving
from provenance.cli.backfill import in_order, record_sets
from provenance.cli.doors import WEEKLY, now, user
from provenance.cli.receive import told, write_rejects
from provenance.cli.weeks import read_week


def main() -> str:
    """Receive what is due; an extract that was received before is passed over."""
    params, _ = DOOR.params()
    cut_off, _ = read_week(DOOR.path)
    (DOOR.path / "store" / "received").mkdir(parents=True, exist_ok=True)
    inbox = DOOR.path / "inbox"
    lines = []
    with DOOR.archive() as archive:
        for folder in in_order(record_sets(inbox)) if inbox.exists() else []:
            extract = extracts.read(folder, systems=params.systems)
            if extract.cut_off > cut_off:
                continue
            rejects = write_rejects(DOOR, extract)
            receipt = receiving.receive(
                archive,
                extract,
                on=now(),
                by=user(),
                under=WEEKLY,
                max_rejects_percent=params.thresholds.max_rejects_percent,
            )
            lines += told(receipt, extract.cut_off, rejects)
    return "\n".join(lines) or "Nothing in inbox/ is due that was not received before."


if __name__ == "__main__":
    run(main)
