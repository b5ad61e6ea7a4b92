"""One numbered step of a check: what was looked at, how many, and what was wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """`checked` counts what was looked at; `faults` are sentences, one for each thing that is not as it should be."""

    number: int
    name: str
    checked: int
    faults: tuple[str, ...]
