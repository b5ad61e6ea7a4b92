"""One week, as `provenance receive` and `provenance build` do it, without DVC and git: ARCHIVE EXTRACT."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from provenance import builds, extracts, harm, params, receiving
from provenance.archive import Archive, keys_beside
from provenance.cli.doors import now, surroundings

ROOT = Path(__file__).resolve().parent.parent


def main(root: Path, folder: Path) -> None:
    """Found the archive if need be, receive the extract, build and publish; print what each part took."""
    rules = params.read(ROOT / "params.yaml")
    edition = rules.harm.editions[0]
    table = harm.read(ROOT / edition.file, edition.name, edition.sha256)
    if not root.exists():
        Archive.found(root, keys_beside(root), name="bench", on=now(), by="bench", under="a measurement").close()
    took = {}
    mark = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal mark
        took[name] = time.perf_counter() - mark
        mark = time.perf_counter()

    archive = Archive(root, keys_beside(root))
    lap("open")
    extract = extracts.read(folder, systems=rules.systems)
    lap("read")
    receiving.receive(archive, extract, on=now(), by="bench", under="a measurement", max_rejects_percent=5)
    cut_off = extract.cut_off
    del extract
    lap("receive")
    around = surroundings(rules, now(), "bench")
    made = builds.build(archive, rules, table, cut_off=cut_off, published_at=cut_off, around=around)
    lap("build")
    archive.close()
    sizes = {t.name: t.size for t in made.built.tables}
    print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()))
    print(
        f"{sizes['record']:,} records, {sizes['person']:,} nominals, {sizes['link']:,} links; "
        f"sealed {made.links.opened:,} links"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
