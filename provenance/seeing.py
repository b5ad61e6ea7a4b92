"""A snapshot that remembers which rows were opened for an answer, so that a page can be held to exactly those."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from provenance import sets
from provenance.asof import Snapshot

# Judgements of who is who are read once for all that a snapshot answers, whatever the page.
_NOT_NOTED = ("identity",)


class Seen(Snapshot):
    """One build as one page asks about it."""

    def __init__(self, base: Snapshot) -> None:
        """A snapshot of its own over what `base` has worked out already, and remembers as `base`."""
        vars(self).update(vars(base))
        self._base = base
        self._noted: dict[str, list[np.ndarray]] = {}

    def content(self, table: str, at: np.ndarray) -> pa.Table:
        """As `Snapshot.content`; what it opened is noted."""
        found = super().content(table, at)
        if table not in _NOT_NOTED:
            self._noted.setdefault(table, []).append(at[self.archive.shown(table, at, case=self.case)])
        return found

    def noted(self) -> dict[str, np.ndarray]:
        """Positions of the rows that were opened, ascending, per table by name."""
        return {table: sets.distinct(np.concatenate(parts)) for table, parts in sorted(self._noted.items())}

    def teach(self) -> None:
        """Leave with the base what was worked out about the build as a whole."""
        known = {name: value for name, value in vars(self).items() if name not in ("_base", "_noted")}
        vars(self._base).update(known)
