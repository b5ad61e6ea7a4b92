"""The receive stage: every extract in inbox/ that is due by the announced cut-off and was not received yet."""

from __future__ import annotations

from pipeline.stage import DOOR, run
from provenance import extracts, receiving
from provenance.cli.backfill import in_order, record_sets
from provenance.cli.doors import now
from provenance.cli.receive import take, told
from provenance.cli.weeks import read_week


def main() -> str:
    """Receive what is due; an extract that was received before is passed over."""
    params, _ = DOOR.params()
    cut_off = read_week(DOOR.path).cut_off
    (DOOR.path / "store" / "received").mkdir(parents=True, exist_ok=True)
    inbox = DOOR.path / "inbox"
    lines = []
    with DOOR.archive() as archive:
        for folder in in_order(record_sets(inbox)) if inbox.exists() else []:
            extract = extracts.read(folder, systems=params.systems, erased=receiving.erased(archive, on=now()))
            if extract.cut_off > cut_off:
                continue
            receipt, rejects = take(DOOR, archive, extract, params)
            lines += told(receipt, extract.cut_off, rejects)
    return "\n".join(lines) or "Nothing in inbox/ is due that was not received before."


if __name__ == "__main__":
    run(main)
