"""The dashboard under twenty users at once: how long pages take, of any build, and how much memory the server has.

    python -m bench.pages ARCHIVE [--users N] [--seconds N] [--pause S] [--workers N]

ARCHIVE is served as `provenance serve --workers` does; each user asks for pages of builds, people, networks and links
drawn from it by a seed, one after the other, with a pause before each. Every answer has to be a page. The archive's log
grows by the views, and by the grant of whoever looks. Memory is that of the server's processes and of the one that
checks builds, what several share counted once (proportional set size).
"""

from __future__ import annotations

import contextlib
import http.client
import multiprocessing
import random
import socket
import threading
import time
from collections import defaultdict
from pathlib import Path

import click
import numpy as np
import psutil

from provenance import vault
from provenance.archive import Archive, keys_beside
from provenance.asking import THEME_VIEWS, Ask
from provenance.asof import Snapshot
from provenance.cli.doors import now
from provenance.records import THEMES
from provenance.web.addresses import Moment, address

_USER, _HEADER = "bench", "X-Signed-On"
_SHARES = {
    "nominal": 26, "link": 18, "network": 18, "associations": 7, "change": 7, "key-nominals": 7, "places": 4,
    "search": 5, "figures": 4, "compared": 4,
}  # fmt: skip
_WEEKS = 13  # at most so many lie between two builds that are compared
_SEED = 7


@click.command()
@click.argument("archive", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--users", default=20, show_default=True)
@click.option("--seconds", default=60, show_default=True, help="How long they go on.")
@click.option("--pause", default=1.0, show_default=True, help="Seconds that a user looks at a page, on average.")
@click.option("--workers", default=1, show_default=True, help="Processes that answer.")
def main(archive: Path, users: int, seconds: int, pause: float, workers: int) -> None:
    """Print medians and 95th percentiles by view."""
    asked = drawn(archive, 4_000)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(archive, port, workers))
    server.start()
    wait_for(port)
    memory, over = [0.0], threading.Event()
    watcher = threading.Thread(target=watch, args=(server.pid, memory, over))
    watcher.start()
    took: dict[str, list[float]] = defaultdict(list)
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=use, args=(port, asked[user::users], random.Random(user), pause, until, took))
        for user in range(users)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    watcher.join()
    server.terminate()
    server.join()
    whole = [each for times in took.values() for each in times]
    click.echo(f"{users} users, {len(whole):,} pages in {seconds} s; the server had up to {memory[0]:,.0f} MiB")
    for view, times in [*sorted(took.items()), ("all", whole)]:
        p50, p95, p99 = (float(np.percentile(times, p)) * 1e3 for p in (50, 95, 99))
        click.echo(f"{view:14} {len(times):6,}  p50 {p50:7.0f} ms  p95 {p95:7.0f} ms  p99 {p99:7.0f} ms")


def watch(server: int, most: list[float], over: threading.Event) -> None:
    """The most memory that the server and what it started had at a time, in MiB; asked each second, for it is slow."""
    while not over.wait(1):
        total = 0
        for process in [psutil.Process(server), *psutil.Process(server).children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        most[0] = max(most[0], total / 2**20)


def serve(root: Path, port: int, workers: int) -> None:
    """The application as `provenance serve` has it, with a proxy's word for who is there."""
    import uvicorn

    from provenance.cli import thrift
    from provenance.web import logs, processes
    from provenance.web.app import House, application
    from provenance.web.reader import Reader
    from provenance.web.settings import Proxy, SessionLimits, Settings
    from provenance.web.signon import Desk

    settings = Settings(
        origin=f"http://127.0.0.1:{port}",
        sign_on=Proxy(by="proxy", header=_HEADER, addresses=("127.0.0.1",)),
        sessions=SessionLimits(requests_per_minute=1_000_000),
    )
    thrift.begin()
    with Archive(root, keys_beside(root)) as archive:
        reader = Reader(archive)
        reader.prepare()
        thrift.settle()
        desk = Desk(settings, archive.keys, grants=lambda: list(archive.history.grants), clock=now)
        house = House("Network archive", "Bench", "Official", "")
        app = application(reader, desk, house)
        logs.configure()
        if workers == 1:
            uvicorn.run(app, port=port, log_config=None, **processes.QUIET)
        else:
            processes.run(app, reader, host="127.0.0.1", port=port, workers=workers)


def wait_for(port: int) -> None:
    """Until the server answers."""
    for _ in range(3_000):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise click.ClickException("the server did not answer within ten minutes")


def drawn(root: Path, count: int) -> list[tuple[str, str]]:
    """View and address of so many pages, of builds and subjects drawn evenly."""
    chance = random.Random(_SEED)
    with Archive(root, keys_beside(root)) as archive:
        if not any(grant.user == _USER for grant in archive.history.grants):
            grant(archive)
        snapshots = [Snapshot(archive, built, None) for built in archive.history.builds]
        found = []
        while len(found) < count:
            snapshot = chance.choice(snapshots)
            theme, label = chance.choice(THEMES), Moment(label=snapshot.label)
            links, networks = (snapshot.standing(table, theme) for table in ("link", "network"))
            if not len(links) or not len(networks):
                continue
            index = archive.index("link")
            some = np.array([chance.randrange(len(links)) for _ in range(20)])
            sides = np.stack([index.a[links[some]], index.b[links[some]]], axis=1)
            names = vault.nominal_ids(archive.vault.keys(sides.ravel())).to_pylist()
            held = snapshot.content("network", networks[np.array([chance.randrange(len(networks)) for _ in range(20)])])
            ids = held["network"].to_pylist()
            for place in range(20):
                a, b = names[2 * place], names[2 * place + 1]
                view = chance.choices(list(_SHARES), list(_SHARES.values()))[0]
                if view == "search":
                    found.append((view, f"{label.path}/search?q={a[:6]}"))
                    continue
                if view == "compared":
                    if snapshot.built.number > 1:
                        before = max(1, snapshot.built.number - chance.randint(1, _WEEKS))
                        since = archive.history.builds[before - 1].label
                        found.append((view, address(label, Ask(view="nominal", nominals=(a,), since=since))))
                    continue
                subjects = {"nominal": (a,), "figures": (a,), "link": (a, b)}.get(view, ())
                network = ids[place % len(ids)] if view == "network" else ""
                ask = Ask(view=view, theme=theme if view in THEME_VIEWS else "", network=network, nominals=subjects)
                found.append((view, address(label, ask)))
        return found[:count]


def grant(archive: Archive) -> None:
    """Let the bench look."""
    from provenance import granting

    said = {"department": "Intelligence Department", "director": "", "on": now(), "under": "a measurement"}
    today = now()[:10]
    by = next((held.user for held in archive.history.grants if held.role == "administrator"), "")
    if not by:
        by, founder = "bench administrator", next(iter(archive.log.acts(0, 1))).by
        granting.grant(archive, by, role="administrator", first_day=today, last_day="", by=founder, **said)
    granting.grant(archive, _USER, role="analyst", first_day=today, last_day="", by=by, **said)


def use(
    port: int,
    asked: list[tuple[str, str]],
    chance: random.Random,
    pause: float,
    until: float,
    took: dict[str, list[float]],
) -> None:
    """One user, until the time is up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    cookie = ""
    time.sleep(chance.uniform(0, pause))
    while time.monotonic() < until:
        view, path = asked.pop()
        started = time.perf_counter()
        headers = {_HEADER: _USER} | ({"Cookie": cookie} if cookie else {})
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError):  # idle for longer than the server keeps it
            connection.close()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
        body = answer.read()
        took[view].append(time.perf_counter() - started)
        if answer.status != 200 or b"</html>" not in body:
            raise click.ClickException(f"a page of view {view} was answered with {answer.status}")
        cookie = (answer.headers.get("set-cookie") or cookie).split(";")[0]
        time.sleep(chance.expovariate(1 / pause) if pause else 0)


if __name__ == "__main__":
    main()
