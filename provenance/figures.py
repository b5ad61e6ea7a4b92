"""What the last build's figures were, kept so that next week's build need not open every row again.

Derived from sealed rows and nothing else: tokens, integers, network ids and roots, sealed under the archive's secret,
in `index/`. Where it is missing, older than the last build or damaged, the rows are opened instead and nothing is lost
but time.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from provenance import durable, vault
from provenance.archive import Archive
from provenance.errors import Tampered
from provenance.sealing import opened_blob, sealed_blob
from provenance.tables import TABLES

_PEOPLE = [name for name in TABLES["nominal"].columns.names if name != "nominal"]


def of_links(archive: Archive, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strength and distinct records of the links at `positions`; each row is opened for them once."""
    index = archive.index("link")
    known = archive.figures
    if len(known) < len(index):
        known = np.concatenate([known, np.full((len(index) - len(known), 2), -1, np.int64)])
    unread = positions[known[positions, 0] < 0]
    for part in np.array_split(unread, max(1, len(unread) // 200_000)):
        content = archive.sealer.open("link", index.rows(part))
        known[part, 0], known[part, 1] = content["strength"].to_numpy(), content["records"].to_numpy()
    archive.figures = known
    return known[positions, 0], known[positions, 1]


def keep(archive: Archive, build: int) -> None:
    """Put away the figures of a build that was just published."""
    link, people = archive.index("link"), archive.index("nominal")
    standing, persons = link.standing(build), people.standing(build)
    strength, records = of_links(archive, standing)
    parts = [
        pa.table({"position": standing, "strength": strength, "records": records}),
        archive.opened("nominal", persons).select(_PEOPLE).append_column("position", pa.array(persons)),
    ]
    sink = pa.BufferOutputStream()
    for part in parts:
        with pa.ipc.new_stream(sink, part.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(part.combine_chunks())
    sealed = sealed_blob(archive.vault.derived_secret, f"figures {build}", sink.getvalue().to_pybytes())
    durable.write(archive.root / "index" / "figures", sealed, mode=0o600)


def recall(archive: Archive, build: int) -> None:
    """Take up the figures of build number `build` again, unless they are in memory or cannot be had."""
    path = archive.root / "index" / "figures"
    if len(archive.figures) or not path.exists():
        return
    try:
        source = pa.BufferReader(opened_blob(archive.vault.derived_secret, f"figures {build}", path.read_bytes()))
    except Tampered:  # of another build, or damaged: what it says is in the rows too
        return
    links, people = (pa.ipc.open_stream(source).read_all() for _ in range(2))
    known = np.full((len(archive.index("link")), 2), -1, np.int64)
    at = links["position"].to_numpy()
    known[at, 0], known[at, 1] = links["strength"].to_numpy(), links["records"].to_numpy()
    archive.figures = known
    at = people["position"].to_numpy()
    keys = archive.vault.keys(archive.index("nominal").a[at])
    names = vault.nominal_ids(keys)
    columns = TABLES["nominal"].columns
    archive.remember("nominal", at, people.append_column("nominal", names).select(columns.names).cast(columns))


def differs(archive: Archive) -> str:
    """What is wrong with the figures put away, "" when nothing is: those of an earlier build are only late."""
    path = archive.root / "index" / "figures"
    if not path.exists():
        return ""
    sealed = path.read_bytes()
    for build in range(len(archive.history.builds), 0, -1):
        try:
            opened_blob(archive.vault.derived_secret, f"figures {build}", sealed)
        except Tampered:
            continue
        return ""
    return "index/figures does not open: a byte of it was changed, or it is of a build that the log does not have"
