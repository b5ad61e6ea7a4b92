"""Networks against networkx and a slow twin; names that persist; nothing that depends on order or on other networks."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import networks, params
from provenance.errors import Conflict, Malformed

RULE = params.Networks(
    least_records=2, least_strength=50, shared_associate=False, alarm_share_percent=50, betweenness_members=100,
    subgroup_members=4,
)  # fmt: skip
LABEL = "2026-W47"


@dataclass(frozen=True)
class Link:
    a: str
    b: str
    strength: int = 100
    records: int = 2
    sole: int = networks.support.SEVERAL


def run(links: list[Link], names: list[str], previous=None, harm=None, rule=RULE, label=LABEL) -> networks.Result:
    at = {name: place for place, name in enumerate(names)}
    return networks.networks(
        "SOC",
        np.array([at[link.a] for link in links], np.int64),
        np.array([at[link.b] for link in links], np.int64),
        np.array([link.strength for link in links], np.int64),
        np.array([link.records for link in links], np.int64),
        np.array([link.sole for link in links], np.int64),
        rule,
        pa.array(names, pa.string()),
        np.array([(harm or {}).get(name, 0) for name in names], np.int64),
        pa.array([(previous or {}).get(name, "") for name in names], pa.string()),
        label,
    )


def membership(found: networks.Result) -> dict[str, str]:
    return dict(zip(found.nodes["nominal"].to_pylist(), found.nodes["network"].to_pylist(), strict=True))


def chain(*names: str) -> list[Link]:
    return [Link(*sorted(pair)) for pair in pairwise(names)]


def passages(found: networks.Result) -> list[tuple[str, str, int]]:
    return [(row["before"], row["after"], row["members"]) for row in found.passages.to_pylist()]


def test_a_link_of_one_record_or_few_points_supports_no_network():
    links = [Link("A", "B"), Link("B", "C", records=1), Link("C", "D", strength=49), Link("D", "E", strength=50)]
    found = run(links, list("ABCDEF"))
    assert membership(found) == {
        "A": "SOC-2026-W47-001", "B": "SOC-2026-W47-001", "C": "", "D": "SOC-2026-W47-002", "E": "SOC-2026-W47-002",
        "F": "",
    }  # fmt: skip
    b, c = found.nodes.slice(1, 2).to_pylist()
    assert (b["links"], b["strength"], b["supported_links"], b["supported_strength"]) == (2, 200, 1, 100)
    assert (c["links"], c["strength"], c["supported_links"], c["supported_strength"]) == (2, 149, 0, 0)


def test_new_names_go_by_size_then_strength_then_the_smallest_name():
    links = [*chain("X", "Y", "Z"), Link("C", "D"), Link("A", "B"), Link("E", "F", strength=101)]
    found = run(links, list("ABCDEFXYZ"), harm={"X": 7, "Y": 5, "A": 1})
    assert found.networks.to_pylist() == [
        {"network": "SOC-2026-W47-001", "members": 3, "links": 2, "strength": 200, "harm": 12, "alarm": 0},
        {"network": "SOC-2026-W47-002", "members": 2, "links": 1, "strength": 101, "harm": 0, "alarm": 0},
        {"network": "SOC-2026-W47-003", "members": 2, "links": 1, "strength": 100, "harm": 1, "alarm": 0},
        {"network": "SOC-2026-W47-004", "members": 2, "links": 1, "strength": 100, "harm": 0, "alarm": 0},
    ]
    assert membership(found)["A"] == "SOC-2026-W47-003"


def test_names_persist_through_growth_merge_split_birth_and_death():
    before = (
        dict.fromkeys("ABC", "N1")
        | dict.fromkeys("DE", "N2")
        | dict.fromkeys("GHIJK", "N3")
        | dict.fromkeys("PQ", "N4")
    )
    links = chain(*"ABCDEF") + chain(*"GHI") + chain(*"JK") + chain(*"XY")
    found = run(links, list("ABCDEFGHIJKPQXY"), before)
    now = membership(found)
    assert {now[name] for name in "ABCDEF"} == {"N1"}  # N2 merged into it, F joined
    assert {now[name] for name in "GHI"} == {"N3"}  # the larger part keeps the name
    assert {now[name] for name in "JK"} == {"SOC-2026-W47-001"}
    assert {now[name] for name in "XY"} == {"SOC-2026-W47-002"}
    assert {now[name] for name in "PQ"} == {""}
    assert passages(found) == [
        ("", "N1", 1), ("", "SOC-2026-W47-002", 2), ("N1", "N1", 3), ("N2", "N1", 2), ("N3", "N3", 3),
        ("N3", "SOC-2026-W47-001", 2), ("N4", "", 2),
    ]  # fmt: skip


def test_ties_of_overlap_go_to_the_larger_network_then_to_the_smallest_name():
    assert membership(run(chain(*"AB") + chain(*"CDE"), list("ABCDE"), dict.fromkeys("ABCD", "N1")))["C"] == "N1"
    assert membership(run(chain(*"AB") + chain(*"CD"), list("ABCD"), dict.fromkeys("ABCD", "N1")))["A"] == "N1"
    # Two ids bring as many members into one network: the one that was larger stays.
    both = dict.fromkeys("AB", "N1") | dict.fromkeys("CDE", "N2")
    assert set(membership(run(chain(*"ABCD"), list("ABCDE"), both)).values()) == {"N2", ""}


def test_ids_of_the_same_build_are_not_given_twice():
    with pytest.raises(Conflict, match="network ids of this build exist already: SOC, 2026-W47"):
        run(chain(*"AB"), list("AB"), {"A": "SOC-2026-W47-001"})
    assert membership(run(chain(*"AB"), list("AB"), {"A": "SOC-2026-W46-001"}))["B"] == "SOC-2026-W46-001"


def test_an_outgrown_network_raises_the_alarm():
    names = list("ABCDEFGH")
    half = [*chain(*"ABCD"), *chain(*"EF"), Link("G", "H", records=1)]
    assert [row["alarm"] for row in run(half, names).networks.to_pylist()] == [0, 0]  # 4 of 8 linked people
    assert [row["alarm"] for row in run(half[:-1], names).networks.to_pylist()] == [1, 0]  # 4 of 6


def test_no_people_and_no_links():
    for names in ([], ["A"]):
        found = run([], names)
        assert (found.networks.num_rows, found.nodes.num_rows, found.passages.num_rows) == (0, len(names), 0)
        assert found.networks.schema == networks.NETWORKS
        assert found.nodes.schema == networks.NODES


def test_strength_beyond_what_a_double_holds_is_exact():
    big = 2**53 + 1
    found = run(
        [Link("A", "B", strength=big), Link("B", "C", strength=2)],
        list("ABC"),
        rule=RULE.model_copy(update={"least_strength": 1}),
    )
    assert found.networks["strength"].to_pylist() == [big + 2]
    assert found.nodes["strength"].to_pylist() == [big, big + 2, 2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"a": [0, 1]}, "link columns differ in length: found (2, 1, 1, 1, 1)"),
        ({"b": [2]}, "link ends are beyond the people: found 0 to 2, wanted 0 to 1"),
        ({"a": [-1]}, "link ends are beyond the people: found -1 to 1, wanted 0 to 1"),
        ({"b": [0]}, "links join a person to themselves: found 1, wanted none"),
        ({"names": ["A", "A"]}, "people are named twice: found 2 names, 1 distinct"),
        ({"harm": [1]}, "people's columns differ in length: found 2, 1, 2"),
        ({"previous": [""]}, "people's columns differ in length: found 2, 2, 1"),
    ],
)
def test_what_does_not_fit_is_named(change, says):
    given_ = {
        "a": [0],
        "b": [1],
        "strength": [1],
        "records": [1],
        "sole": [7],
        "names": ["A", "B"],
        "harm": [0, 0],
        "previous": ["", ""],
    }
    given_ |= change
    text = {name: pa.array(given_.pop(name), pa.string()) for name in ("names", "previous")}
    numbers = {name: np.array(column, np.int64) for name, column in given_.items()}
    with pytest.raises(Malformed) as caught:
        networks.networks("SOC", rule=RULE, label=LABEL, **numbers, **text)
    assert says in str(caught.value)


def twin(links: list[Link], names: list[str], previous: dict[str, str], harm: dict[str, int]) -> tuple[dict, list]:
    """By the definition, with networkx: who is in which network, and each network's row, in canonical order."""
    graph, any_link = nx.Graph(), Counter()
    for link in links:
        any_link.update((link.a, link.b))
        if link.records >= RULE.least_records and link.strength >= RULE.least_strength:
            graph.add_edge(link.a, link.b, strength=link.strength)
    parts = [(sorted(part), graph.subgraph(part)) for part in nx.connected_components(graph)]
    parts.sort(key=lambda part: (-len(part[0]), -part[1].size("strength"), part[0][0]))
    bids = defaultdict(list)
    for old in sorted(set(previous.values()) - {""}):
        shares = [sum(previous.get(name) == old for name in part) for part, _ in parts]
        if any(shares):
            best = shares.index(max(shares))
            bids[best].append((-max(shares), -sum(name == old for name in previous.values()), old))
    ids = {place: min(those)[2] for place, those in bids.items()}
    fresh = iter(range(1, len(parts) + 1))
    now, rows = dict.fromkeys(names, ""), []
    for place, (part, inner) in enumerate(parts):
        name = ids.get(place) or f"SOC-{LABEL}-{next(fresh):03d}"
        now |= dict.fromkeys(part, name)
        rows.append(
            {
                "network": name, "members": len(part), "links": inner.number_of_edges(),
                "strength": int(inner.size("strength")), "harm": sum(harm.get(one, 0) for one in part),
                "alarm": int(100 * len(part) > RULE.alarm_share_percent * len(any_link)),
            }
        )  # fmt: skip
    return now, rows


PEOPLE = [f"N{number}" for number in range(12)]


@st.composite
def weeks(draw) -> tuple[list[Link], dict[str, str], dict[str, int]]:
    pairs = [(a, b) for place, a in enumerate(sorted(PEOPLE)) for b in sorted(PEOPLE)[place + 1 :]]
    links = [
        Link(*pair, strength=draw(st.sampled_from([49, 50, 100])), records=draw(st.sampled_from([1, 2, 2, 3])))
        for pair in draw(st.lists(st.sampled_from(pairs), unique=True, max_size=14))
    ]
    previous = {name: draw(st.sampled_from(["", "", "P1", "P2", "P3"])) for name in PEOPLE}
    return links, previous, {name: draw(st.integers(0, 3)) for name in PEOPLE}


@settings(max_examples=300, deadline=None)
@given(weeks(), st.randoms())
def test_as_the_slow_twin_and_in_any_order(week, chance: random.Random):
    links, previous, harm = week
    expected, rows = twin(links, PEOPLE, previous, harm)
    names = list(PEOPLE)
    chance.shuffle(names)
    chance.shuffle(links)
    turned = [Link(link.b, link.a, link.strength, link.records) if chance.random() < 0.5 else link for link in links]
    found = run(turned, names, previous, harm)
    assert membership(found) == expected
    assert found.networks.to_pylist() == rows
    straight = run(sorted(links, key=lambda link: (link.a, link.b)), PEOPLE, previous, harm)
    assert found.networks == straight.networks
    assert found.passages == straight.passages
    assert found.nodes.sort_by("nominal") == straight.nodes.sort_by("nominal")
    moved = Counter((previous[name], expected[name]) for name in PEOPLE if previous[name] or expected[name])
    assert passages(found) == sorted((before, after, members) for (before, after), members in moved.items())


@settings(max_examples=100, deadline=None)
@given(weeks(), st.sampled_from(PEOPLE))
def test_removing_a_person_changes_their_network_and_no_other(week, person):
    links, _, harm = week
    names = {name: name for name in PEOPLE}  # each in a network of their own, so that ids tell who is where
    whole = run(links, PEOPLE, names, harm, rule=RULE.model_copy(update={"alarm_share_percent": 100}))
    rest = [link for link in links if person not in (link.a, link.b)]
    less = run(rest, PEOPLE, names, harm, rule=RULE.model_copy(update={"alarm_share_percent": 100}))
    own = membership(whole)[person]
    kept = [row for row in whole.networks.to_pylist() if row["network"] != own]
    left = {row["network"]: row for row in less.networks.to_pylist()}
    assert all(left[row["network"]] == row for row in kept)
    for name in PEOPLE:
        if membership(whole)[name] != own:
            assert membership(less)[name] == membership(whole)[name]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 9), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12))
def test_components_are_named_by_their_smallest_node(size, edges):
    edges = [(a, b) for a, b in edges if a < size and b < size]
    graph = nx.Graph(edges)
    graph.add_nodes_from(range(size))
    expected = [min(nx.node_connected_component(graph, node)) for node in range(size)]
    a, b = (np.array([edge[side] for edge in edges], np.int64) for side in (0, 1))
    found = networks.components(a, b, size)
    assert found.dtype == np.int64
    assert found.tolist() == expected
