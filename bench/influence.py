"""What each measure of influence costs on ten million supported links: CPU seconds and peak memory, one by one.

    python -m bench.influence [--links N] [--limit MEMBERS] [--largest MEMBERS]

The force is made up: one network of 150,000 people with a million links, and networks from 2 to 3,000 people whose
number falls with their size; with --largest, none of more than so many people, as the rule of two records leaves them
(399 on the synthetic force on which that rule was chosen). Within a network people know their neighbours in
a ring, a few know somebody across it, and a few know very many. Each step is a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import betweenness, cuts, graphs, influence, sets, subgroups

GIANT = 150_000, 1_000_000  # people and links of the one network that has outgrown use
WANTED = {"all but betweenness": 120, "betweenness": 120}  # CPU seconds, from the issue that asked for them
SUBGROUPS_FROM = 6  # members
Integers = graphs.Integers


def force(links: int, largest: int = 0, seed: int = 1) -> tuple[Integers, Integers, Integers, Integers]:
    """About so many links `a`-`b`, with their strength; and each person's network. `largest` 0: with the giant."""
    chance = np.random.default_rng(seed)
    links = links * 6 // 5  # about a sixth are drawn twice
    giant = 0 if largest else min(GIANT[1], links // 10)
    sizes, wanted = ([giant * GIANT[0] // GIANT[1]], [giant]) if giant else ([], [])
    left = links - giant
    while left > 0:  # a few rounds of very many networks
        some = np.minimum((2 * (1 - chance.random(200_000)) ** -0.9).astype(np.int64), largest or 3_000)
        ties = np.where(some < 4, some * (some - 1) // 2, some * 4 - 6)
        kept = np.cumsum(ties) <= left
        if not kept.any():
            break
        sizes.extend(some[kept].tolist())
        wanted.extend(ties[kept].tolist())
        left -= int(ties[kept].sum())
    members, ties = np.array(sizes, np.int64), np.array(wanted, np.int64)
    start = np.cumsum(members) - members
    # A chain holds each network together; then neighbours, a few far ones, and a few whom many know.
    network = np.repeat(np.arange(len(members)), members)
    person = np.arange(members.sum())
    chain = person[person != start[network]]
    more = np.repeat(np.arange(len(members)), np.maximum(ties - members + 1, 0))
    size = members[more]
    one = (chance.random(len(more)) * size).astype(np.int64)
    near = one + 2 + (chance.random(len(more)) ** 2 * 10).astype(np.int64)
    far = (chance.random(len(more)) ** 3 * size).astype(np.int64)
    other = np.where(chance.random(len(more)) < 0.75, near % size, far)
    a = np.concatenate((chain - 1, start[more] + np.minimum(one, other)))
    b = np.concatenate((chain, start[more] + np.maximum(one, other)))
    pairs = sets.distinct((a * len(person) + b)[a != b])
    a, b = np.divmod(pairs, len(person))
    return a, b, chance.integers(1, 400, len(a)), network


def columns(people: int, network: Integers, seed: int = 2) -> tuple[pa.Array, pa.Array]:
    """Names, in an order that says nothing of who is in which network, and ids of networks."""
    names = np.char.mod("N%08d", np.random.default_rng(seed).permutation(people))
    return pa.array(names, pa.string()), pa.array(np.char.mod("SOC-2026-W47-%07d", network), pa.string())


@click.command()
@click.option("--links", default=10_000_000, show_default=True)
@click.option(
    "--limit", default=2_000, show_default=True, help="People in a block up to which betweenness is computed."
)
@click.option("--largest", default=0, help="No network of more people than this (default: 3,000, and one giant).")
def main(links: int, limit: int, largest: int) -> None:
    """Print what each measure costs."""
    with tempfile.TemporaryDirectory(prefix="provenance-bench-") as folder:
        path = Path(folder) / "force.npz"
        a, b, strength, network = force(links, largest)
        members = np.bincount(network)
        np.savez(path, a=a, b=b, strength=strength, network=network)
        click.echo(
            f"{len(a):,} links, {len(network):,} people, {len(members):,} networks; the largest have "
            + ", ".join(f"{size:,}" for size in np.sort(members)[:-6:-1])
        )
        del a, b, strength, network
        spent: dict[str, float] = dict.fromkeys(WANTED, 0.0)
        for name in STEPS:
            command = [sys.executable, "-m", "bench.influence", "one", name, str(path), str(limit)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            seconds, peak = float(said[0]), float(said[1])
            click.echo(f"{name:<14} {seconds:7.1f} s CPU  {peak:5.2f} GiB peak  {' '.join(said[2:])}")
            if name != "sub-groups":
                spent["betweenness" if name == "betweenness" else "all but betweenness"] += seconds
        for name, seconds in spent.items():
            click.echo(f"{name}: {seconds:.1f} s CPU  (wanted: under {WANTED[name]} s)")


def one(name: str, path: str, limit: str) -> None:
    """Run one step in this process, and print its CPU seconds, its peak memory in GiB, and a word on the end."""
    given = _told(path)
    if name == "graph":
        _spent(lambda: graphs.graph(*given))
    elif name == "sub-groups":
        found = _spent(lambda: subgroups.subgroups(*given, least_members=SUBGROUPS_FROM))
        print(f"at most {pc.max(found['subgroup']).as_py():,} in a network")
    else:
        whole = graphs.graph(*given)
        del given
        found = _spent(lambda: STEPS[name](whole, int(limit)))
        if name == "betweenness":
            reasons = np.bincount(found[1], minlength=3)
            print(f"people: {reasons[0]:,} computed, {reasons[1]:,} too large, {reasons[2]:,} too many paths")


def _told(path: str) -> tuple[pa.Array, pa.Array, Integers, Integers, Integers]:
    with np.load(path) as file:
        a, b, strength, network = (file[column] for column in ("a", "b", "strength", "network"))
    return *columns(len(network), network), a, b, strength


def _spent(work: Callable[[], Any]) -> Any:
    started = time.process_time()
    found = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{time.process_time() - started:.2f} {peak / 2**30:.2f}")
    return found


STEPS: dict[str, Callable] = {
    "graph": graphs.graph,
    "core": lambda whole, _: influence.cores(whole),
    "two steps": lambda whole, _: influence.two_steps(whole),
    "cuts": lambda whole, _: cuts.cuts(whole),
    "pagerank": lambda whole, _: influence.pagerank(whole),
    "betweenness": lambda whole, limit: betweenness.betweenness(whole, cuts.cuts(whole), limit),
    "sub-groups": subgroups.subgroups,
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(*sys.argv[2:])
    else:
        main()
