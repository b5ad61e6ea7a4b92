"""Who is who: a force's judgements that two nominals are one person, and that they are not.

Each judgement is dated, attributed and reversible, and rests on evidence: a name and a birth date alone are refused
(R17). A split undoes a merge and blocks that merge from then on. What was refused or blocked is listed, never dropped
in silence. Of a circle of merges the last one is blocked, since a circle names no one.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.records import MERGES, SPLIT

CANONICAL = pa.schema([("nominal", pa.string()), ("canonical", pa.string())])
BLOCKED = pa.schema([*MERGES, pa.field("reason", pa.string())])

NO_EVIDENCE = "no-evidence"  # empty, or nothing but words for a name and a birth date
SPLIT_BEFORE = "split-before"  # a person judged these two to be different people
ALREADY_MERGED = "already-merged"  # into someone else; that judgement is split first, so that no merge ends unseen
CLOSES_A_CIRCLE = "closes-a-circle"  # `into_nominal` stands, through earlier merges, for `from_nominal` itself

# What is left of "same name and DOB 1990-01-31" once these words, figures and signs are gone is no evidence. A rule of
# thumb: it cannot tell a name from a reason, so a person still has to read what was written.
_NAME_AND_BIRTH = frozenset(
    re.findall(
        r"[a-z]+",
        """a age alias and are as b based birth birthdate birthdates birthday birthdays born both by d date dates day
        dob dobs exact exactly first fore forename forenames full given have identical in is last match matched matches
        matching middle name named names o of on only or person s same share shared shares sur surname surnames the
        their they this to two with year""",
    )
)


@dataclass(frozen=True, slots=True)
class Identities:
    """`canonical` has a row per nominal that now stands for another; whoever is not in it stands for themselves."""

    canonical: pa.Table  # CANONICAL, by nominal
    blocked: pa.Table  # BLOCKED, in the order of the judgements: what was not applied, and why


def resolve(merges: pa.Table) -> Identities:
    """The identities after all of `merges` (schema MERGES), taken in the order of `at`, then of their content.

    A merge holds until a split of its `from_nominal`; the same merge, in either direction, is blocked from then on. The
    same merge again changes nothing. Chains are followed to their end.
    """
    # Judgements are acts of people: thousands, not millions, and each may depend on the one before. So this walks them;
    # only the chains, which the records multiply, are followed in bulk.
    into: dict[str, str] = {}
    stood_for: Counter[str] = Counter()  # how many were merged into each: a circle closes at one of these only
    split: set[frozenset[str]] = set()
    blocked: list[tuple[int, str]] = []  # which of the judgements, and why
    ordered = merges.select(MERGES.names).sort_by([(name, "ascending") for name in _ORDER])
    columns = (ordered[name].to_pylist() for name in ("from_nominal", "into_nominal", "evidence"))
    for place, (source, target, evidence) in enumerate(zip(*columns, strict=True)):
        if target == SPLIT:
            if source in into:
                target = into.pop(source)
                stood_for[target] -= 1
                split.add(frozenset((source, target)))
        elif not is_evidence(evidence):
            blocked.append((place, NO_EVIDENCE))
        elif frozenset((source, target)) in split:
            blocked.append((place, SPLIT_BEFORE))
        elif into.get(source, target) != target:
            blocked.append((place, ALREADY_MERGED))
        elif source not in into:
            if source == target or (stood_for[source] and _end(into, target) == source):
                blocked.append((place, CLOSES_A_CIRCLE))
            else:
                into[source] = target
                stood_for[target] += 1
    places, reasons = zip(*blocked, strict=True) if blocked else ((), ())
    told = ordered.take(pa.array(places, pa.int64())).append_column("reason", pa.array(reasons, pa.string()))
    return Identities(_follow(into), told.cast(BLOCKED).combine_chunks())


_ORDER = ("at", "from_nominal", "into_nominal", "evidence", "by")


def is_evidence(text: str) -> bool:
    """Whether `text` gives a reason beyond a name and a date of birth (R17)."""
    return bool(set(re.findall(r"[^\W\d_]+", text.casefold())) - _NAME_AND_BIRTH)


def _end(into: dict[str, str], nominal: str) -> str:
    while nominal in into:
        nominal = into[nominal]
    return nominal


def _follow(into: dict[str, str]) -> pa.Table:
    """Pointer jumping: each round halves every chain, so n merges need at most log2(n) + 1 rounds."""
    names = pa.array(sorted(set(into) | set(into.values())), pa.string())
    sources = pc.index_in(pa.array(list(into), pa.string()), names).to_numpy()
    step = np.arange(len(names), dtype=np.int64)
    step[sources] = pc.index_in(pa.array(list(into.values()), pa.string()), names).to_numpy()
    end = step
    for _ in range(len(names).bit_length() + 1):
        end = end[end]
    order = np.sort(sources)
    return pa.table([names.take(order), names.take(end[order])], schema=CANONICAL)
