"""How large the networks of a build would be by other rules, so that whoever decides can see what a rule does.

A rule that links too readily gives one network of nearly everybody, in which nothing can be seen; one that links too
rarely gives none. Nothing here is stored, and the build keeps the rule that it was made by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from provenance import figures, networks, sets
from provenance import supported as support
from provenance.asof import Snapshot
from provenance.params import Networks, stated
from provenance.records import THEMES

RULES = pa.schema(
    [
        ("theme", pa.string()),
        ("least_records", pa.int64()),
        ("least_strength", pa.int64()),
        ("shared_associate", pa.int64()),  # 1: counts where fewer records do
        ("in_force", pa.int64()),  # 1: the rule that the build was made by
        ("linked", pa.int64()),  # people with any link in the theme
        ("people", pa.int64()),  # of them, those in a network
        ("networks", pa.int64()),
        ("largest", pa.int64()),  # members
        ("alarm", pa.int64()),  # 1: the largest outgrows the share of `linked` that params allow
        ("sizes", pa.list_(pa.int64())),  # networks of 2, 3 to 5, 6 to 10, 11 to 50, 51 to 200, and more members
    ]
)
BOUNDS = (2, 3, 6, 11, 51, 201)  # the least members of each of `sizes`


def candidates(snapshot: Snapshot, *, most_records: int = 3) -> pa.Table:
    """RULES by theme, for one to `most_records` records with and without a shared associate, and the rule in force."""
    rule = stated(snapshot.statement.params).networks
    others = [
        rule.model_copy(update={"least_records": least, "shared_associate": shared})
        for least in range(1, most_records + 1)
        for shared in (False, True)
        if least > 1 or not shared  # every link rests on one record
    ]
    asked = sorted({_key(each): each for each in (rule, *others)}.items())
    found = [_of_theme(snapshot, code, [each for _, each in asked], rule) for code in range(1, len(THEMES) + 1)]
    return pa.concat_tables(found).combine_chunks()


def _of_theme(snapshot: Snapshot, code: int, asked: Sequence[Networks], rule: Networks) -> pa.Table:
    theme, archive = THEMES[code - 1], snapshot.archive
    index, at = archive.index("link"), snapshot.standing("link", THEMES[code - 1])
    at = at[archive.shown("link", at, case=snapshot.case)]
    strength, records = figures.of_links(archive, at)
    sole = figures.sole_records(archive, index, at, records)
    people, ends = np.unique(np.concatenate([index.a[at], index.b[at]]), return_inverse=True)
    a, b = ends[: len(at)].astype(np.int64), ends[len(at) :].astype(np.int64)
    said = []
    for each in asked:
        kept = support.supported(a, b, strength, records, sole, each)
        root = networks.components(a[kept], b[kept], len(people))
        inside = sets.distinct(np.concatenate([a[kept], b[kept]]))
        _, members = np.unique(root[inside], return_counts=True)
        sizes = np.bincount(np.searchsorted(BOUNDS, members, side="right") - 1, minlength=len(BOUNDS))
        largest = int(members.max(initial=0))
        said.append(
            {
                "theme": theme,
                "least_records": each.least_records,
                "least_strength": each.least_strength,
                "shared_associate": int(each.shared_associate),
                "in_force": int(_key(each) == _key(rule)),
                "linked": len(people),
                "people": len(inside),
                "networks": len(members),
                "largest": largest,
                "alarm": int(largest * 100 > each.alarm_share_percent * len(people)),
                "sizes": sizes.tolist(),
            }
        )
    return pa.Table.from_pylist(said if len(people) else [], schema=RULES)


def _key(rule: Networks) -> tuple[int, int, bool]:
    return rule.least_records, rule.least_strength, rule.shared_associate
