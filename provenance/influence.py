"""Who matters in a network, by measures that are integers: each within the person's own network and no further.

Nothing here depends on the order of rows, on names, on other networks, on the clock or on how many processors there
are: sums are of integers, and every division says how it rounds. Betweenness alone is not exact; its column says so.
"""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pyarrow as pa

from provenance import betweenness, cuts, params, sets
from provenance.graphs import Graph, Integers, graph
from provenance.subgroups import subgroups

INFLUENCE = pa.schema(
    [
        ("nominal", pa.string()),
        ("network", pa.string()),
        ("core", pa.int64()),  # the largest k such that the person is in the network's k-core
        ("triangles", pa.int64()),  # pairs of the person's associates who are linked to one another
        ("severed", pa.int64()),  # pairs of other members whom only this person holds together
        ("severed_per_mille", pa.int64()),  # of all pairs of other members; half a thousandth is rounded up
        ("reach_two", pa.int64()),  # people within two links
        ("pagerank_billionths", pa.int64()),  # of the whole network's
        ("betweenness_thousandths_rounded", pa.int64()),  # within one thousandth of the true figure; -1 if left out
        ("betweenness_left_out", pa.int64()),  # 0 it is there, 1 their block is too large, 2 it has too many paths
    ]
)

MEASURED = INFLUENCE.append(pa.field("subgroup", pa.int64()))  # a view, never a fact: see `subgroups`
_TAG = b"provenance influence v1\n"
PAGERANK_STEPS = 100
_DAMPING = 17, 20  # Brin and Page 1998: 0.85
_WHOLE = 10**9 << 31  # a network's PageRank: billionths, with 31 bits beneath; three times this still fits 63 bits
_PATHS = 20_000_000  # paths of two links at a time: about 1 GB


def influence(
    names: pa.Array, network: pa.Array, a: Integers, b: Integers, strength: Integers, *, betweenness_members: int
) -> pa.Table:
    """One row per person who is in a network (INFLUENCE), by name.

    `a[i]`-`b[i]` are the *supported* links of one theme, with points, as places in `names`; `network` stands beside
    `names`, as `networks.networks` gives it ("" is in none). Betweenness is left out for those in a block
    (people on common circles: see `cuts`) of more than `betweenness_members`. Raises Malformed as `graphs.graph` does.
    """
    whole = graph(names, network, a, b, strength)
    triangles, reach = two_steps(whole)
    cut = cuts.cuts(whole)
    between, left_out = betweenness.betweenness(whole, cut, betweenness_members)
    place = pa.array(whole.people)
    table = pa.table(
        [
            names.take(place),
            network.take(place),
            cores(whole),
            triangles,
            cut.severed,
            _per_mille(cut.severed, whole.each(whole.members)),
            reach,
            pagerank(whole),
            between,
            left_out,
        ],
        schema=INFLUENCE,
    )
    return table.sort_by("nominal")


def measured(
    names: pa.Array, network: pa.Array, a: Integers, b: Integers, strength: Integers, rule: params.Networks
) -> pa.Table:
    """What a build measures (MEASURED): influence, and the closer group within the network; arguments as beneath."""
    found = influence(names, network, a, b, strength, betweenness_members=rule.betweenness_members)
    groups = subgroups(names, network, a, b, strength, least_members=rule.subgroup_members)
    return found.append_column(MEASURED.field("subgroup"), groups["subgroup"])


def digests(token: Integers, table: pa.Table) -> dict[str, str]:
    """For each network in a table (MEASURED), SHA-256 in hex over what its people came to, by `token`.

    A network's row carries it, so that figures worked out again are seen to be those of the day. Tokens are random and
    die with a person, so it tells nothing of one who is gone.
    """
    network = table["network"].combine_chunks().dictionary_encode()
    code = network.indices.to_numpy()
    order = np.lexsort((token, code))
    figures = [table[name].to_numpy() for name in MEASURED.names if name not in ("nominal", "network")]
    rows = np.stack([token, *figures], axis=1)[order].astype("<i8")
    bounds = np.searchsorted(code[order], np.arange(len(network.dictionary) + 1))
    return {
        name: hashlib.sha256(_TAG + rows[start:stop].tobytes()).hexdigest()
        for name, (start, stop) in zip(network.dictionary.to_pylist(), itertools.pairwise(bounds), strict=True)
    }


def cores(whole: Graph) -> Integers:
    """Each person's core number (Seidman 1983, Network structure and minimum degree).

    Whoever has the fewest links left is peeled off, all of them at once, round by round; each link is looked at twice.
    """
    degree, left = whole.degree, np.arange(whole.size)
    core, gone, least = np.zeros(whole.size, np.int64), np.zeros(whole.size, bool), 0
    while len(left):
        least = max(least, int(degree[left].min()))
        out = left[degree[left] <= least]
        while len(out):
            core[out], gone[out] = least, True
            near = _associates(whole, out)
            near = near[~gone[near]]
            np.subtract.at(degree, near, 1)
            out = sets.distinct(near[degree[near] <= least])
        left = left[~gone[left]]
    return core


def two_steps(whole: Graph) -> tuple[Integers, Integers]:
    """For each person: the triangles they are in, and how many people are within two links of them.

    Both are read off the number of paths of two links from each person to each other, some people at a time.
    """
    degree, steps = whole.degree, whole.pattern(np.int32)
    triangles, reach = np.zeros(whole.size, np.int64), np.zeros(whole.size, np.int64)
    # Whoever has one link reaches whom their associate does: a hub with its hundred thousand would square otherwise.
    alone = np.flatnonzero(degree == 1)
    reach[alone] = degree[whole.links.indices[whole.links.indptr[alone]]]
    several = np.flatnonzero(degree > 1)
    ends = np.cumsum((whole.pattern() @ degree)[several])
    start = 0
    while start < len(several):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _PATHS, side="right")))
        people = several[start:stop]
        own = steps[people]
        paths = own @ steps
        both = own.multiply(paths).tocsr()
        triangles[people] = both.sum(axis=1, dtype=np.int64) // 2
        # Those at the end of a path, the person among them, and the associates who are at the end of none.
        reach[people] = np.diff(paths.indptr) - 1 + degree[people] - np.diff(both.indptr)
        start = stop
    return triangles, reach


def pagerank(whole: Graph) -> Integers:
    """Each person's PageRank in billionths of the network's, after PAGERANK_STEPS steps from equal shares.

    In each step x(v) becomes floor(3 T / 20 n) + floor(17 y(v) / 20), where T is the whole, n the members, and y(v) the
    sum over links u-v of strength(u, v) * floor(x(u) / strength(u)); that floor keeps every product within x(u), so
    nothing overflows, and what it loses is less than the person's points in 2^31 parts of a billionth. At the end a
    half is rounded up. The shares of a network add up to a billion less what was lost and rounded.
    """
    numerator, denominator = _DAMPING
    share = whole.each(_WHOLE // whole.members)
    floor = whole.each((denominator - numerator) * _WHOLE // (denominator * whole.members))
    points = np.maximum(whole.links.sum(axis=1, dtype=np.int64), 1)  # who has links of 0 points alone passes nothing on
    for _ in range(PAGERANK_STEPS):
        given = whole.links @ (share // points)
        parts, rest = np.divmod(given, denominator)
        share = floor + parts * numerator + rest * numerator // denominator
    return (share + (1 << 30)) >> 31


def _associates(whole: Graph, people: Integers) -> Integers:
    """Everyone linked to each of `people`, one after the other."""
    first = whole.links.indptr[people].astype(np.int64)
    count = whole.links.indptr[people + 1] - first
    at = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
    return whole.links.indices[at].astype(np.int64)


def _per_mille(severed: Integers, members: Integers) -> Integers:
    """Of the pairs of other members: F of Borgatti 2006 (Identifying sets of key players, equation 4), times 1000."""
    pairs = np.maximum((members - 1) * (members - 2) // 2, 1)
    return (2000 * severed + pairs) // (2 * pairs)
