"""How long drawings take: places of people, the SVG of a network and of a map, and Chromium with the first.

    python -m bench.drawings [--runs N]

One thread each, the middle of some runs. The network is invented: circles of people whose links mostly stay inside.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import time
from collections.abc import Callable

import click
import numpy as np

from provenance import diagrams, layouts, maps, scales
from provenance.geography import Boundaries

SIZES = ((50, 80), (400, 800), (2000, 4000))  # people and links
FLAGS = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"


@click.command()
@click.option("--runs", default=5, show_default=True, help="Of each; the middle one is told.")
def main(runs: int) -> None:
    """Print what drawings cost."""
    click.echo(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; milliseconds")
    said = {"title": "Invented", "said": "Invented", "prefix": "d"}
    for people, links in SIZES:
        ends, weight = invented(people, links)
        _tell(
            f"places of {people:,} people, {links:,} links",
            runs,
            lambda e=ends, w=weight, n=people: layouts.place(e, w, n),
        )
        at = layouts.place(ends, weight, people)
        marks, lines = _network(ends, weight, people)
        svg = diagrams.network(marks, lines, at, **said)
        _tell(
            f"  drawn, {len(svg) // 1024:,} KiB", runs, lambda m=marks, k=lines, a=at: diagrams.network(m, k, a, **said)
        )
    _browser(svg, runs)
    boundaries = _squares(300)
    _tell("outlines of 300 areas, once", runs, lambda: maps.outlined(boundaries))
    outline, counts = maps.outlined(boundaries), {code: at for at, code in enumerate(boundaries.codes)}
    _tell("  a map of them", runs, lambda: maps.areas(outline, counts, unit="Records", **said))


def invented(people: int, links: int) -> tuple[np.ndarray, np.ndarray]:
    """Circles of about 25 people; one link in twenty leads out of its circle."""
    chance, found = random.Random(2026), {}
    while len(found) < links:
        a = chance.randrange(people)
        b = min(a // 25 * 25 + chance.randrange(25), people - 1) if chance.random() < 0.95 else chance.randrange(people)
        if a != b:
            found[min(a, b), max(a, b)] = int(chance.paretovariate(1.2) * 5)
    return np.array(list(found)), np.array(list(found.values()))


def _network(ends: np.ndarray, weight: np.ndarray, people: int) -> tuple[list[diagrams.Person], list[diagrams.Link]]:
    roles, bounds = list(diagrams.Role), scales.classes(weight.tolist())
    marks = [
        diagrams.Person(f"Given{i} Family{i}", f"/nominal/{i}", roles[i % 5], i % 5 + 1, key=max(11 - i, 0))
        for i in range(people)
    ]
    classed = [scales.class_of(points, bounds) for points in weight.tolist()]
    lines = [
        diagrams.Link(a, b, f"/link/{a}/{b}", strength) for (a, b), strength in zip(ends.tolist(), classed, strict=True)
    ]
    return marks, lines


def _squares(count: int) -> Boundaries:
    """A patchwork with borders of 40 points."""
    chance, found = random.Random(1), []
    for i in range(count):
        x, y = -2 + 0.02 * (i % 20), 52 + 0.02 * (i // 20)
        steps = [k / 10 * 0.02 for k in range(10)]
        ring = [(x + s, y) for s in steps] + [(x + 0.02, y + s) for s in steps]
        ring += [(x + 0.02 - s, y + 0.02) for s in steps] + [(x, y + 0.02 - s) for s in steps]
        ring = [(a + chance.random() * 0.002, b + chance.random() * 0.002) for a, b in ring]
        found.append({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    codes = tuple(f"A{i:04}" for i in range(count))
    return Boundaries("", codes, codes, tuple(found))


def _tell(name: str, runs: int, work: Callable[[], object]) -> None:
    took = []
    work()
    for _ in range(runs):
        started = time.process_time()
        work()
        took.append(1000 * (time.process_time() - started))
    click.echo(f"{name:<44} {statistics.median(took):>8.1f}")


def _browser(svg: str, runs: int) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        click.echo("Chromium: not measured: chromium is not here (`apt-get install chromium`)")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS.split())
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        took = []
        for _ in range(runs):
            page.set_content("<!doctype html><title>A network</title><main></main>")
            script = """svg => new Promise(done => {
                const begun = performance.now();
                document.querySelector('main').innerHTML = svg;
                requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
            })"""
            took.append(page.evaluate(script, str(svg)))
        browser.close()
    click.echo(f"{'  read and painted by Chromium (wall clock)':<44} {statistics.median(took):>8.1f}")


if __name__ == "__main__":
    main()
