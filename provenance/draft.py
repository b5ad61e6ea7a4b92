"""A build that is being made: its label, its cut-off, and what one stage leaves for the next.

Stages may run in one process or, under `dvc repro`, each in its own; so what the link stage learns beyond links (how
many records each person has, in which roles, with what harm) goes to the networks stage through a file. It holds
tokens and integers only, is sealed under the archive's secret, is derived, and is removed when the build is logged.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from provenance import durable, moments
from provenance.archive import Archive
from provenance.errors import Conflict, Missing
from provenance.harm import HarmTable
from provenance.params import Params
from provenance.sealing import opened_blob, sealed_blob

COUNTS = ("records", "offending", "victim", "witness", "other", "harm", "harm_unknown", "severity",
          "severity_unknown")  # fmt: skip
TALLIES = pa.schema([("theme", pa.string()), ("token", pa.int64()), *((name, pa.int64()) for name in COUNTS)])

AFRESH = pa.schema([("token", pa.int64())])

LEFT_OUT = pa.schema(
    [
        ("reason", pa.string()),
        ("system", pa.string()),
        ("kind", pa.string()),
        ("records", pa.int64()),
        ("people", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Tallies:
    """What a change of records adds to each person's counts, and what it takes away."""

    again: bool  # everything was worked out again: earlier counts are to be forgotten
    added: pa.Table  # TALLIES
    removed: pa.Table  # TALLIES
    left_out: pa.Table  # LEFT_OUT of the whole build, not of its changes alone
    afresh: pa.Table  # AFRESH: people whose earlier counts are to be forgotten, because a disposal took from them


@dataclass(frozen=True, slots=True)
class Draft:
    """The next build of an archive."""

    label: str
    number: int
    cut_off: str  # UTC

    @staticmethod
    def rules(params: Params, table: HarmTable) -> str:
        """A digest of what decides links and counts; while it stands, a build may stand on the one before."""
        return hashlib.sha256(f"{params.tallying_digest()} {table.identity}".encode()).hexdigest()

    def relinks(self, archive: Archive, params: Params, table: HarmTable) -> bool:
        """Whether everything is worked out again: the first build, and a build under other rules than the last."""
        builds = archive.history.builds
        return not builds or builds[-1].rules != self.rules(params, table)

    def write_tallies(self, archive: Archive, tallies: Tallies) -> None:
        """Leave the tallies for the networks stage."""
        sink = pa.BufferOutputStream()
        for part, schema in zip(_parts(tallies), (TALLIES, TALLIES, LEFT_OUT, AFRESH), strict=True):
            with pa.ipc.new_stream(sink, schema) as writer:
                writer.write_table(part.select(schema.names).cast(schema))
        content = bytes([tallies.again]) + sink.getvalue().to_pybytes()
        durable.write(self._tallies(archive), sealed_blob(archive.vault.derived_secret, "tallies", content), mode=0o600)

    def read_tallies(self, archive: Archive) -> Tallies:
        """What the link stage left. Raises Missing when it has not run here, or its build was logged already."""
        try:
            sealed = self._tallies(archive).read_bytes()
        except FileNotFoundError:
            raise Missing(
                f"the link stage of build {self.label} left no tallies here: run it again, `dvc repro -f link`"
            ) from None
        content = opened_blob(archive.vault.derived_secret, "tallies", sealed)
        source = pa.BufferReader(content[1:])
        return Tallies(bool(content[0]), *(pa.ipc.open_stream(source).read_all() for _ in range(4)))

    def say_made(self, archive: Archive, stage: str, by: str) -> None:
        """Leave what a stage was run by: a digest of its code, packages and params."""
        durable.write(self._made(archive, stage), by.encode())

    def insist_made(self, archive: Archive, stage: str, by: str) -> None:
        """Raises Conflict where what a stage left was not made by this: then the build is not what would be stated."""
        path = self._made(archive, stage)
        if not path.exists() or path.read_bytes() != by.encode():
            raise Conflict(
                f"stage {stage} of build {self.label} was run by other code, packages or params than publish it: run "
                f"it again, `dvc repro -f {stage}`"
            )

    def clear(self, archive: Archive) -> None:
        """Remove what was left between stages."""
        durable.remove(self._tallies(archive))
        for path in (archive.root / "index").glob(f"{self.label}.*.made"):
            durable.remove(path)

    def _made(self, archive: Archive, stage: str) -> Path:
        return archive.root / "index" / f"{self.label}.{stage}.made"

    def _tallies(self, archive: Archive) -> Path:
        return archive.root / "index" / f"{self.label}.tallies"


def _parts(tallies: Tallies) -> tuple[pa.Table, ...]:
    return tallies.added, tallies.removed, tallies.left_out, tallies.afresh


def next_draft(archive: Archive, cut_off: str) -> Draft:
    """The build that would come next. Raises Conflict when its cut-off is not after the last one's."""
    builds = archive.history.builds
    if builds and cut_off <= builds[-1].cut_off:
        raise Conflict(
            f"build with cut-off {cut_off} would run backwards: build {builds[-1].label} took records up to "
            f"{builds[-1].cut_off}"
        )
    week = moments.iso_week(moments.instant(cut_off))
    same = sum(built.label.split(".")[0] == week for built in builds)
    return Draft(f"{week}.{same + 1}" if same else week, len(builds) + 1, cut_off)
