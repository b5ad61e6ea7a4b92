"""One numbered step of a check: what was looked at, how many, and what was wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from provenance.errors import ProvenanceError


@dataclass(frozen=True, slots=True)
class Step:
    """`checked` counts what was looked at; `faults` are sentences, one for each thing that is not as it should be."""

    number: int
    name: str
    checked: int
    faults: tuple[str, ...]


def take(
    number: int, name: str, look: Callable[[], Iterable[str]], *, again: tuple[type[ProvenanceError], ...] = ()
) -> Step:
    """Take one step: `look` yields "" for each thing that is as it should be, and a sentence for each that is not.

    What it raises is its last fault, but for `again`, upon which the step is taken anew.
    """
    while True:
        checked, faults = 0, []
        try:
            for fault in look():
                checked += 1
                if fault:
                    faults.append(fault)
        except again:
            continue
        except ProvenanceError as error:
            faults.append(str(error))
        return Step(number, name, checked, tuple(faults))
