"""Influence against networkx and slow twins, on every small graph and on real networks; and nothing but the network
itself, whatever rows, names, processes or other networks stand around it, changes a figure.
"""

from __future__ import annotations

import csv
import hashlib
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations, pairwise
from math import floor
from pathlib import Path

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.generators.atlas import graph_atlas_g

from provenance import betweenness, graphs, influence, subgroups
from provenance.errors import Malformed

ROOT = Path(__file__).resolve().parent.parent
Links = Mapping[tuple[str, str], int]  # two names and the points between them


def arguments(links: Links, chance: random.Random | None = None) -> tuple:
    """What `influence` takes; a network is called after the smallest name in it. With `chance`, in some other order."""
    graph = nx.Graph(list(links))
    network = {}
    for part in nx.connected_components(graph):
        network |= dict.fromkeys(part, f"of {min(part)}")
    names, rows = sorted(graph), [(a, b, points) for (a, b), points in links.items()]
    names.append("Nobody")  # in no network
    if chance:
        chance.shuffle(names)
        chance.shuffle(rows)
        rows = [(b, a, points) if chance.random() < 0.5 else (a, b, points) for a, b, points in rows]
    at = {name: place for place, name in enumerate(names)}
    a, b = (np.array([at[row[side]] for row in rows], np.int64) for side in (0, 1))
    points = np.array([row[2] for row in rows], np.int64)
    ids = [network.get(name, "") for name in names]
    return pa.array(names, pa.string()), pa.array(ids, pa.string()), a, b, points


def run(links: Links, chance: random.Random | None = None, limit: int = 1000) -> pa.Table:
    return influence.influence(*arguments(links, chance), betweenness_members=limit)


def grouped(links: Links, chance: random.Random | None = None, least: int = 4) -> pa.Table:
    return subgroups.subgroups(*arguments(links, chance), least_members=least)


def by_name(table: pa.Table) -> dict[str, dict]:
    return {row.pop("nominal"): row for row in table.to_pylist()}


def as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


# By the definitions, person by person.


def pieces(graph: nx.Graph, person: str) -> list[int]:
    """Sizes of what is left of a network without one person."""
    rest, sizes = set(graph) - {person}, []
    while rest:
        found = edge = {rest.pop()}
        while edge:
            edge = {other for name in edge for other in graph.adj[name]} & rest
            rest -= edge
            found = found | edge
        sizes.append(len(found))
    return sizes


def severed(graph: nx.Graph, sizes: list[int]) -> int:
    others = len(graph) - 1
    return others * (others - 1) // 2 - sum(size * (size - 1) // 2 for size in sizes)


def per_mille(graph: nx.Graph, sizes: list[int]) -> int:
    """1000 F of Borgatti 2006, over whoever is left, rounded half up."""
    left = len(graph) - 1
    if left < 2:
        return 0
    f = 1 - Fraction(sum(size * (size - 1) for size in sizes), left * (left - 1))
    return floor(1000 * f + Fraction(1, 2))


def pageranks(graph: nx.Graph) -> dict[str, int]:
    """The formula of `influence.pagerank`, in Python's own integers, which have no end."""
    whole, count = 10**9 * 2**31, len(graph)
    points = {v: graph.degree(v, weight="points") for v in graph}
    share = dict.fromkeys(graph, whole // count)
    for _ in range(100):
        each = {u: share[u] // points[u] for u in graph}
        given_ = {v: sum(graph[u][v]["points"] * each[u] for u in graph[v]) for v in graph}
        share = {v: 3 * whole // (20 * count) + 17 * given_[v] // 20 for v in graph}
    return {v: floor(Fraction(share[v], 2**31) + Fraction(1, 2)) for v in graph}


def between(graph: nx.Graph) -> dict[str, Fraction]:
    found = dict.fromkeys(graph, Fraction(0))
    for one, other in combinations(graph, 2):
        paths = list(nx.all_shortest_paths(graph, one, other))
        for name, count in Counter(name for path in paths for name in path[1:-1]).items():
            found[name] += Fraction(count, len(paths))
    return found


def agrees(table: pa.Table, links: Links, *, exact_between: bool = True) -> None:
    """Every figure of `table` is the one that the twins give."""
    rows, whole = by_name(table), nx.Graph()
    whole.add_edges_from((a, b, {"points": points}) for (a, b), points in links.items())
    assert sorted(rows) == sorted(whole)
    for part in nx.connected_components(whole):
        graph = nx.Graph(whole.subgraph(part))
        core, triangles, ranks = nx.core_number(graph), nx.triangles(graph), pageranks(graph)
        through = between(graph) if exact_between else nx.betweenness_centrality(graph, normalized=False)
        for name in part:
            row, sizes = rows[name], pieces(graph, name)
            reach = len(nx.single_source_shortest_path_length(graph, name, cutoff=2)) - 1
            expected = (core[name], triangles[name], severed(graph, sizes), per_mille(graph, sizes), reach, ranks[name])
            assert tuple(row[column] for column in influence.INFLUENCE.names[2:8]) == expected, (name, graph.edges)
            assert row["betweenness_left_out"] == betweenness.COMPUTED
            if exact_between:
                assert abs(row["betweenness_thousandths_rounded"] - 1000 * through[name]) <= Fraction(501, 1000)
            else:
                assert abs(row["betweenness_thousandths_rounded"] - 1000 * through[name]) < 0.501


def test_every_graph_of_up_to_seven_people():
    """All of them at once, side by side: networks do not touch one another."""
    chance, links = random.Random(7), {}
    for number, graph in enumerate(graph_atlas_g()):
        for a, b in graph.edges:
            links[f"G{number:04d}-{a}", f"G{number:04d}-{b}"] = chance.choice([1, 1, 2, 3, 7, 400])
    table = run(links, chance)
    agrees(table, links)
    assert table["nominal"].to_pylist() == sorted(table["nominal"].to_pylist())
    assert table.schema == influence.INFLUENCE


def real(shared: Path) -> dict[str, Links]:
    """The real networks beside the project, as links: by data set and kind of tie."""
    found: dict[str, Counter] = {}
    with (shared / "data" / "covert_networks" / "edges.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["mode"] == "1" and row["source"] != row["target"]:
                links = found.setdefault(f"{row['network']}: {row['layer']}", Counter())
                links[tuple(sorted((row["source"], row["target"])))] += max(1, int(float(row["weight"] or 1)))
    for kind in ("meetings", "phone"):
        with (shared / "data" / "montagna" / f"{kind}.csv").open(newline="") as file:
            links = found.setdefault(f"montagna: {kind}", Counter())
            for row in csv.DictReader(file):
                links[tuple(sorted((row["source"], row["target"])))] += int(row["weight"])
    with (shared / "data" / "infinito_summits" / "attendance.csv").open(newline="") as file:
        there: dict[str, set] = {}
        for row in csv.DictReader(file):
            there.setdefault(row["event_id"], set()).add(row["person_id"])
    found["infinito"] = Counter(pair for people in there.values() for pair in combinations(sorted(people), 2))
    return found


def test_real_networks(shared):
    chance = random.Random(3)
    for name, links in real(shared).items():
        agrees(run(links, chance), links, exact_between=False)
        assert grouped(links, chance) == grouped(links), name


def test_pagerank_is_the_one_that_everybody_knows(shared):
    links = real(shared)["montagna: meetings"]
    graph = nx.Graph()
    graph.add_edges_from((a, b, {"weight": points}) for (a, b), points in links.items())
    rows = by_name(run(links))
    for part in nx.connected_components(graph):
        expected = nx.pagerank(graph.subgraph(part), tol=1e-14, max_iter=10_000)
        assert all(abs(rows[name]["pagerank_billionths"] - 1e9 * expected[name]) < 20 for name in part)
        assert abs(sum(rows[name]["pagerank_billionths"] for name in part) - 10**9) <= len(part)


PEOPLE = [f"P{number:02d}" for number in range(14)]
PAIRS = list(combinations(PEOPLE, 2))


@st.composite
def forces(draw) -> Links:
    """A few people and links, in one network or several."""
    pairs = draw(st.lists(st.sampled_from(PAIRS), unique=True, min_size=1, max_size=22))
    return {pair: draw(st.sampled_from([0, 1, 2, 3, 50, 2**40])) for pair in pairs}


@settings(max_examples=150, deadline=None)
@given(forces(), st.randoms(use_true_random=False))
def test_rows_in_any_order_and_links_either_way_round_give_the_same_bytes(links, chance):
    assert as_bytes(run(links, chance)) == as_bytes(run(links))
    assert as_bytes(grouped(links, chance)) == as_bytes(grouped(links))


@settings(max_examples=150, deadline=None)
@given(forces(), st.randoms(use_true_random=False))
def test_figures_follow_people_under_any_other_names(links, chance):
    called = dict(zip(PEOPLE, chance.sample([f"Q{number}" for number in range(99)], len(PEOPLE)), strict=True))
    before, after = by_name(run(links)), by_name(run({(called[a], called[b]): n for (a, b), n in links.items()}))
    for name, row in before.items():
        assert row | {"network": ""} == after[called[name]] | {"network": ""}


@settings(max_examples=150, deadline=None)
@given(forces(), st.sampled_from(PEOPLE))
def test_deleting_a_person_leaves_every_row_of_other_networks_as_it_was(links, person):
    graph = nx.Graph(list(links))
    own = nx.node_connected_component(graph, person) if person in graph else set()
    rest = {pair: points for pair, points in links.items() if person not in pair}
    for measure in (run, grouped):
        before, after = (table.filter(~np.isin(table["nominal"].to_pylist(), sorted(own)))
                         for table in (measure(links), measure(rest)))  # fmt: skip
        assert as_bytes(before) == as_bytes(after)


def test_other_hash_seeds_and_one_thread_or_two_give_the_same_bytes():
    said = set()
    for seed, threads in (("0", "1"), ("4711", "2"), ("77", "1")):
        pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
        environment = os.environ | dict.fromkeys(pools, threads) | {"PYTHONHASHSEED": seed}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, __file__, seed]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1
    assert len(said.pop().split()) == 2


def crowd() -> Links:
    """Several networks of some size, the same in every process."""
    chance, links = random.Random(11), {}
    for number, size in enumerate((3, 40, 40, 200, 500)):
        for _ in range(4 * size):
            a, b = sorted(chance.sample(range(size), 2))
            links[f"C{number}-{a:03d}", f"C{number}-{b:03d}"] = chance.randrange(1, 300)
    return links


def test_figures_that_were_published_stay_as_they_are():
    """A method whose results have left the building is not edited: another one gets columns of its own."""
    table = run(crowd())
    told = hashlib.sha256(
        repr([table.column_names, *map(list, zip(*table.to_pydict().values(), strict=True))]).encode()
    )
    assert told.hexdigest() == "b826f8b561f308577e36df9b06e490ff048b8122e59f396873841f360c9e7ea8"


def test_work_cut_into_small_batches_gives_the_same_bytes(monkeypatch):
    links = crowd()
    whole = as_bytes(run(links))
    monkeypatch.setattr(betweenness, "_CELLS", 700)
    monkeypatch.setattr(influence, "_PATHS", 50)
    assert as_bytes(run(links)) == whole


def chain(length: int) -> Links:
    return {(f"L{a:05d}", f"L{b:05d}"): 1 for a, b in pairwise(range(length))}


def test_a_long_chain():
    length = 3_000
    table = run(chain(length))
    expected = [place * (length - 1 - place) for place in range(length)]
    assert table["severed"].to_pylist() == expected
    assert table["betweenness_thousandths_rounded"].to_pylist() == [1000 * pairs for pairs in expected]
    assert set(table["core"].to_pylist()) == {1}


def test_one_whom_a_hundred_thousand_know():
    size = 100_000
    links = {("Hub", f"S{number:06d}"): 1 for number in range(size)}
    first, *others = run(links, limit=10).to_pylist()
    pairs = size * (size - 1) // 2
    assert (first["severed"], first["severed_per_mille"], first["reach_two"], first["core"]) == (pairs, 1000, size, 1)
    assert first["betweenness_thousandths_rounded"] == 1000 * pairs
    assert {(row["severed"], row["reach_two"], row["betweenness_left_out"]) for row in others} == {(0, size, 0)}


def test_points_beyond_what_a_double_holds_are_exact():
    big = 2**61
    links = {("A", "B"): big + 1, ("B", "C"): 1, ("C", "D"): big // 2}
    agrees(run(links), links)


def ladder(letter: str, length: int) -> Links:
    """Pairs of people, each linked to both of the next: 2 ** (length - 2) shortest paths from end to end, one block."""
    steps = pairwise(range(length))
    return {(f"{letter}{a:03d}{x}", f"{letter}{b:03d}{y}"): 1 for a, b in steps for x in "xy" for y in "xy"}


def test_very_many_paths_are_counted_until_a_thousandth_is_in_doubt():
    agrees(run(ladder("D", 9)), ladder("D", 9))
    graph = nx.Graph(list(ladder("D", 30)))
    exact, found = nx.betweenness_centrality(graph, normalized=False), by_name(run(ladder("D", 30)))
    assert all(abs(row["betweenness_thousandths_rounded"] - 1000 * exact[name]) < 1 for name, row in found.items())
    for length in (60, 200):  # more paths than 63 bits hold
        rows = by_name(run(ladder("D", length) | {("A", "B"): 1, ("B", "C"): 1}))
        assert {
            (row["betweenness_left_out"], row["betweenness_thousandths_rounded"])
            for name, row in rows.items()
            if name not in "ABC"
        } == {(betweenness.TOO_MANY_PATHS, -1)}
        assert [rows[name]["betweenness_thousandths_rounded"] for name in "ABC"] == [0, 1000, 0]


def test_betweenness_stops_at_the_limit_and_says_so_of_whom_it_concerns():
    circle = {(f"O{place}", f"O{(place + 1) % 5}"): 1 for place in range(5)}
    links = circle | {("O0", "X"): 1, ("X", "Y"): 1, ("X", "Z"): 1, ("Y", "Z"): 1}
    agrees(run(links, limit=5), links)
    rows, all_rows = by_name(run(links, limit=4)), by_name(run(links, limit=5))
    for name, row in rows.items():
        if name.startswith("O"):
            assert row["betweenness_left_out"] == betweenness.TOO_LARGE
            assert row["betweenness_thousandths_rounded"] == -1
        else:
            assert row == all_rows[name]
    with pytest.raises(Malformed, match="the limit for betweenness is out of range: found 32768, wanted 0 to 32767"):
        run(links, limit=2**15)


def test_subgroups_are_numbered_by_size_and_stay_within_their_network():
    links = {}
    for letter, size in (("A", 4), ("B", 6), ("C", 5)):
        links |= {(f"{letter}{a}", f"{letter}{b}"): 10 for a, b in combinations(range(size), 2)}
    links |= {("A0", "B0"): 1, ("B1", "C0"): 1, ("Y", "Z"): 1}
    found = {name: row["subgroup"] for name, row in by_name(grouped(links)).items()}
    assert {(name[0], number) for name, number in found.items()} == {
        ("A", 3), ("B", 1), ("C", 2), ("Y", 1), ("Z", 1),
    }  # fmt: skip
    assert set(grouped(links, least=16)["subgroup"].to_pylist()) == {1}


def test_nobody_and_nothing():
    none = np.zeros(0, np.int64)
    for names in ([], ["A"]):
        given_ = pa.array(names, pa.string()), pa.array([""] * len(names), pa.string()), none, none, none
        assert influence.influence(*given_, betweenness_members=9) == influence.INFLUENCE.empty_table()
        assert subgroups.subgroups(*given_, least_members=2) == subgroups.SUBGROUPS.empty_table()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"a": [0]}, "link columns differ in length: found (1, 2, 2), wanted one length"),
        ({"b": [1, 4]}, "link ends are beyond the people: found 0 to 4, wanted 0 to 3"),
        ({"b": [1, 1]}, "links join a person to themselves: found 1, wanted none"),
        ({"strength": [1, -5]}, "points of a link are below nothing: found -5, wanted 0 or more"),
        ({"a": [0, 1], "b": [1, 0]}, "links are given twice: found 2 links, 1 distinct pairs"),
        ({"names": ["A", "B", "C", "A"]}, "people are named twice: found 4 names, 3 distinct"),
        ({"network": ["N", "N", "N"]}, "people's columns differ in length: found 4, 3, wanted one length"),
        ({"network": ["N", "N", "M", ""]}, "links do not stay in one network: found 1, wanted none"),
        ({"network": ["N", "", "N", ""]}, "links do not stay in one network: found 2, wanted none"),
        ({"network": ["N", "N", "N", "N"]}, "networks are not held together by their links: found 2, wanted 1"),
    ],
)
def test_what_does_not_fit_is_named(change, says):
    fits = {"names": list("ABCD"), "network": ["N", "N", "N", ""], "a": [0, 1], "b": [1, 2], "strength": [1, 1]}
    fits |= change
    text = [pa.array(fits[name], pa.string()) for name in ("names", "network")]
    with pytest.raises(Malformed) as caught:
        graphs.graph(*text, *(np.array(fits[name], np.int64) for name in ("a", "b", "strength")))
    assert says in str(caught.value)


def main(seed: str) -> None:
    links = crowd()
    chance = random.Random(seed)
    print(*(hashlib.sha256(as_bytes(measure(links, chance))).hexdigest() for measure in (run, grouped)))


if __name__ == "__main__":
    main(*sys.argv[1:])
