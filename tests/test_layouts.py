"""Places of people in a drawing: the same for the same graph, however it is handed over and whoever computes; everybody
inside, nobody on anybody; close people stand close.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import layouts
from provenance.errors import Malformed
from provenance.layouts import SIDE, clearance, place

ROOT = Path(__file__).resolve().parent.parent


def circles(people: int, links: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Links that mostly stay in circles of about twenty, and their weights."""
    chance = random.Random(seed)
    found: dict[tuple[int, int], int] = {}
    while len(found) < links:
        a = chance.randrange(people)
        b = min(a // 20 * 20 + chance.randrange(20), people - 1) if chance.random() < 0.95 else chance.randrange(people)
        if a != b:
            found[min(a, b), max(a, b)] = chance.randrange(1, 100)
    return np.array(list(found)), np.array(list(found.values()))


def closest(at: np.ndarray) -> float:
    """The least distance between two, pair by pair: the slow twin of what the spacing goes by."""
    apart = (at[:, None, :] - at[None, :, :]).astype(float)
    away = np.sqrt((apart**2).sum(axis=-1))
    np.fill_diagonal(away, np.inf)
    return float(away.min())


@st.composite
def graphs(draw) -> tuple[np.ndarray, np.ndarray, int]:
    people = draw(st.integers(1, 40))
    end = st.integers(0, people - 1)
    pairs = draw(st.lists(st.tuples(end, end).filter(lambda pair: pair[0] != pair[1]), max_size=80))
    weight = draw(st.lists(st.integers(0, 10**12), min_size=len(pairs), max_size=len(pairs)))
    return np.array(pairs, int).reshape(-1, 2), np.array(weight, int), people


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_everybody_is_inside_and_clear_of_everybody(graph):
    links, weight, people = graph
    at = place(links, weight, people)
    assert at.shape == (people, 2)
    assert at.dtype == np.int32
    assert at.min() >= 0
    assert at.max() <= SIDE
    if people > 1:
        assert closest(at) >= clearance(people)


@settings(max_examples=40, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_of_links_and_of_their_ends_does_not_matter(graph, chance):
    links, weight, people = graph
    order = list(range(len(links)))
    chance.shuffle(order)
    turned = np.array([links[i][::-1] if chance.random() < 0.5 else links[i] for i in order], int).reshape(-1, 2)
    assert (place(turned, weight[order], people) == place(links, weight, people)).all()


@pytest.mark.parametrize(
    "links",
    [
        [(0, i) for i in range(1, 300)],  # a star: everybody at two steps from everybody
        [(i, i + 1) for i in range(299)],  # a chain
        [(a, b) for a in range(30) for b in range(a)],  # everybody with everybody
        [],
    ],
    ids=["star", "chain", "clique", "nobody with anybody"],
)
def test_extreme_shapes_have_room_for_everybody(links):
    at = place(np.array(links, int).reshape(-1, 2), np.ones(len(links), int), 300)
    assert closest(at) >= clearance(300)


def test_two_thousand_people_are_clear_of_each_other():
    links, weight = circles(2000, 4000)
    assert closest(place(links, weight, 2000)) >= clearance(2000)


def test_whoever_finds_no_room_by_being_pushed_is_lodged(monkeypatch):
    monkeypatch.setattr(layouts, "_SPACINGS", 0)
    links, weight = circles(400, 900)
    assert closest(place(links, weight, 400)) >= clearance(400)


def test_the_mesh_pushes_as_the_sum_over_all_pairs_does(monkeypatch):
    """The slow twin is what small networks get: each pair by itself."""
    chance = np.random.default_rng(5)
    at = chance.integers(0, 40 * 4096, (400, 2)).astype(float)
    at[1::2] = at[::2] + chance.integers(-900, 900, (200, 2))  # near pairs, of which the mesh alone would know little
    mass = 1.0 + chance.integers(0, 3, 400)
    monkeypatch.setattr(layouts, "_ONE_BY_ONE", 400)
    slow = layouts._pushed(at, mass)
    monkeypatch.setattr(layouts, "_ONE_BY_ONE", 0)
    fast = layouts._pushed(at, mass)
    assert np.corrcoef(fast.ravel(), slow.ravel())[0, 1] > 0.995


def test_linked_people_stand_closer_than_others():
    links, weight = circles(400, 900)
    at = place(links, weight, 400).astype(float)
    linked = np.sqrt(((at[links[:, 0]] - at[links[:, 1]]) ** 2).sum(axis=1)).mean()
    everybody = np.sqrt(((at[:, None] - at[None]) ** 2).sum(axis=-1)).mean()
    assert linked < 0.45 * everybody


def test_a_circle_of_friends_is_seen():
    """Two cliques with one link between them: nobody stands nearer to the other clique's middle than to their own."""
    one = [(a, b) for a in range(12) for b in range(a)]
    links = [*one, *((a + 12, b + 12) for a, b in one), (0, 12)]
    at = place(np.array(links), np.ones(len(links), int), 24).astype(float)
    middles = at[:12].mean(axis=0), at[12:].mean(axis=0)
    for person, where in enumerate(at):
        own, other = (np.hypot(*(where - middle)) for middle in (middles if person < 12 else middles[::-1]))
        assert own < other


def test_components_stand_side_by_side():
    links = np.array([(a + 10 * k, b + 10 * k) for k in range(5) for a in range(10) for b in range(a)])
    at = place(links, np.ones(len(links), int), 50)
    boxes = [(at[10 * k : 10 * k + 10].min(axis=0), at[10 * k : 10 * k + 10].max(axis=0)) for k in range(5)]
    for i, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:i]:
            assert (high < other_low).any() or (other_high < low).any()


def test_a_pair_given_twice_counts_once_with_its_heavier_weight():
    links, weight = np.array([(0, 1), (1, 2), (2, 1)]), np.array([3, 1, 9])
    assert (place(links, weight, 3) == place(np.array([(0, 1), (1, 2)]), np.array([3, 9]), 3)).all()


# What the drawings of today look like. On another machine, or with another NumPy, these do not change; a change of the
# method does change them, and then the pictures in the documents are made again.
KNOWN = {
    (50, 80): "45479ac5e3fd3407",
    (400, 800): "6dfc67cf6b6b5ec8",
}


def digest(people: int, links: int) -> str:
    return hashlib.sha256(place(*circles(people, links), people).astype("<i4").tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("size", KNOWN)
def test_places_are_the_known_ones(size):
    assert digest(*size) == KNOWN[size]


def test_another_process_with_another_hash_seed_and_more_threads_gives_the_same_places():
    code = "import sys; sys.path.insert(0, 'tests'); from test_layouts import digest; print(digest(700, 1500))"
    found = set()
    for seed, threads in (("1", "1"), ("2", "2")):
        world = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=world | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout.strip())
    assert found == {digest(700, 1500)}


@pytest.mark.parametrize(
    ("links", "weight", "said"),
    [
        ([(0, 5)], [1], "link ends are beyond the people: found 0 to 5, wanted 0 to 2"),
        ([(1, 1)], [1], "links join a person to themselves: found 1, wanted none"),
        ([(0, 1)], [-1], "weight of a link is below nothing: found -1, wanted 0 or more"),
        ([(0, 1)], [1, 2], "links and weights differ in number: found 1 and 2"),
    ],
)
def test_links_that_do_not_fit_are_refused(links, weight, said):
    with pytest.raises(Malformed) as refused:
        place(np.array(links), np.array(weight), 3)
    assert str(refused.value) == said
