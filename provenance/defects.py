"""Known defects of each version of this code, a table in a file that grows: what was wrong, and what it touched (R30).

Nothing is taken out of it. A defect that was put right ends with the version that put it right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources

import orjson

from provenance.errors import Malformed

FORMAT = "provenance-defects/1"


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is known to be wrong, or weaker than a reader would think."""

    id: str
    found_on: str
    from_version: str
    until_version: str  # the first version without it; "" while there is none
    where: str
    what: str
    effect: str
    advice: str

    def touches(self, version: str) -> bool:
        """Whether code of this version has it."""
        return _key(self.from_version) <= _key(version) and (
            not self.until_version or _key(version) < _key(self.until_version)
        )


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def read(data: bytes) -> tuple[Defect, ...]:
    """The table. Raises Malformed on any other field than a defect has, and on an id twice."""
    content, names = orjson.loads(data), [field.name for field in fields(Defect)]
    if content.get("format") != FORMAT:
        raise Malformed(f"table of defects is not of format {FORMAT}")
    found = content["defects"]
    if any(list(one) != names or not all(type(value) is str for value in one.values()) for one in found):
        raise Malformed(f"a known defect has other fields than {', '.join(names)}")
    if len({one["id"] for one in found}) < len(found):
        raise Malformed("two known defects have one id")
    return tuple(Defect(**one) for one in found)


@cache
def known() -> tuple[Defect, ...]:
    """All that this version of the code knows of itself and of those before it."""
    return read(resources.files("provenance").joinpath("defects.json").read_bytes())


def of(version: str) -> list[Defect]:
    """The known defects of one version."""
    return [defect for defect in known() if defect.touches(version)]
