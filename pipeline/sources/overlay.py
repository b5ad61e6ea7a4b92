"""What a source does not say, invented so that it can be told apart and made again.

An invented cell is a function of the seed, the source, the record and the column and of nothing else, so the order of
rows, the number of threads and the other records cannot change it. Refuses weights that choose nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provenance.errors import Malformed


@dataclass(frozen=True, slots=True)
class Overlay:
    """SQL expressions over a query that has a column `record_id`."""

    source: str
    seed: int

    def draw(self, column: str, bound: int) -> str:
        """A whole number from 0 to `bound` - 1.

        Twelve hex digits of a SHA-256, which no version of DuckDB will change as it may its own hash. The remainder
        favours small numbers by less than one in a hundred million for bounds under a million.
        """
        told = f"'{self.seed}/{self.source}/{column}/' || record_id"
        return f"(('0x' || substr(sha256({told}), 1, 12))::UBIGINT % {bound})::INTEGER"

    def choose(self, column: str, weights: Mapping[str, int]) -> str:
        """One of the values, as often as its weight says."""
        total = sum(weights.values())
        if total < 1 or min(weights.values()) < 1:
            raise Malformed(f"overlay weights choose nothing: column {column}: wanted whole numbers from 1")
        drawn, reached, cases = self.draw(column, total), 0, []
        for value, weight in weights.items():
            reached += weight
            cases.append(f"WHEN {drawn} < {reached} THEN '{value.replace(chr(39), chr(39) * 2)}'")
        return f"CASE {' '.join(cases)} END"


# Groups of the Management of Police Information: 1 public protection, 2 other serious, 3 all other offences. The shares
# are a project choice that gives each group enough records for retention to be seen at work.
MOPI_SHARES = {"1": 5, "2": 25, "3": 70}
