"""Train the dictionary that rows are compressed with (`provenance/rows-1.zdict`), from rows of an invented force.

    python -m bench.dictionary OUT [--records N]

Part of the box format: once an archive is in use, a new dictionary comes beside the old one and never in its place.
Each table gives as many rows as any other, or few large tables would have it to themselves. Half of the rows are as the
sample force has them; in the others every cell that may be empty is left empty at times, because that is what forces'
records are like, and ids are of other lengths.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import zstandard

from provenance import canonical
from provenance.archive import Archive, keys_beside
from provenance.records import KINDS, ROLES
from provenance.tables import TABLES

_SIZE, _LEVEL, _SEED = 32_768, 3, 1
_SEGMENT, _GRAM = (
    1_500,
    6,
)  # bytes: of the sixteen pairs tried, those whose rows came out shortest (docs/decisions/0002)
_MOST = 4_000  # rows of a table
_TIMES = {"link": 6}  # most rows of an archive are links
_ID = re.compile(r"[A-Z0-9/ -]*\d{4,}")


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--records", default=20_000, show_default=True, help="Of the invented force.")
def main(out: Path, records: int) -> None:
    """Write the dictionary, and say what a row of each table comes to with it."""
    with tempfile.TemporaryDirectory(prefix="provenance-bench-") as home:
        inbox, force = Path(home, "inbox"), Path(home, "force")
        _run("pipeline.sample", "--records", str(records), "--weeks", "2", "--seed", "7", "--format", "parquet", inbox)
        for folder in sorted(inbox.iterdir()):
            _run("bench.week", force, folder)
        with Archive(force, keys_beside(force)) as archive:
            rows = {name: _rows(archive, name) for name in TABLES}
    drawn = random.Random(_SEED)
    behind = [support for supports in rows["link"]["supports"].to_pylist() for support in supports]
    texts = {name: _texts(table) for name, table in rows.items()}
    samples = [text for each in texts.values() for text in each]
    for name, table in rows.items():
        varied = [_varied(row, behind, drawn) for row in table.to_pylist() * _TIMES.get(name, 1)]
        samples += _texts(pa.Table.from_pylist(varied, TABLES[name].columns))
    drawn.shuffle(samples)
    trained = zstandard.train_dictionary(_SIZE, samples, k=_SEGMENT, d=_GRAM, level=_LEVEL)
    out.write_bytes(trained.as_bytes())
    compress = zstandard.ZstdCompressor(level=_LEVEL, dict_data=trained, write_dict_id=False).compress
    for name, of_table in texts.items():
        if of_table:
            before, after = (round(float(np.mean([len(f(t)) for t in of_table]))) for f in (bytes, compress))
            click.echo(f"{name:<12} {before:5,} bytes to {after:,}")


def _rows(archive: Archive, name: str) -> pa.Table:
    index = archive.index(name)
    at = np.random.default_rng(_SEED).permutation(len(index))[:_MOST]
    return archive.sealer.open(name, index.rows(at))


def _texts(table: pa.Table) -> list[bytes]:
    return canonical.slices(canonical.rows(table))


def _varied(row: dict[str, Any], behind: list[dict[str, Any]], drawn: random.Random) -> dict[str, Any]:
    """The same row as another force would have it; a link with up to six of the supports `behind` any link.

    Many sources fill in little, and always the same cells with the same words: then so do all supports of the row.
    """
    lean = drawn.random() < 0.6
    usual = {"kind": drawn.choice(KINDS)} | dict.fromkeys(("role_a", "role_b", "role"), drawn.choice(ROLES))
    longest = drawn.randint(4, 9)

    def other(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: other(name, inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [] if lean and key != "supports" else [other(key, inner) for inner in value]
        if lean and key in usual:
            return usual[key]
        if lean and key in ("assessed", "conditions", "grade_scheme", "themes", "status", "mopi_group"):
            return ""
        if isinstance(value, str) and _ID.fullmatch(value):
            return str(drawn.randrange(10**longest))
        return value

    if "supports" in row:
        row = row | {"supports": drawn.sample(behind, drawn.randint(1, 6))}
    return other("", row)


def _run(module: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
