"""What every test may ask for: the shared data, a home of its own for DVC, a small force."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import browser
import postgres
import psutil
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
MEMORY = Path("/dev/shm")  # a file system in memory, where Linux has one

# Archives wait for the disk at every write, a third of the time that the suite takes; on a file system in memory they
# need not. Crashes are made by hand either way. `--basetemp` and pytest's own variable go before.
if MEMORY.is_dir() and min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) > 8 * 2**30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("house")


# Files that take longest, longest first, by processor time: a worker takes a whole file, and one that came upon these
# last would go on alone for minutes. Whoever makes a file much faster or slower moves it. It changes nothing else.
LONGEST = (
    "dvc", "disposal_faults", "docs", "remotes", "spark", "explain", "bench", "disclosure_packs", "database", "tamper",
    "links", "real_data", "backups", "dashboard", "sources", "causes", "receiving_crash", "reproducing", "environment",
    "cli", "standalone", "disposal_model", "keys", "proofs", "builds", "layouts", "views", "custody", "feeds",
    "standalone_page", "copies", "ethics", "no_plaintext", "whatif", "judges", "gallery", "operations",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))  # as they were, within a file


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets and published vectors beside the project; without it a test is skipped."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("the folder ../shared with real data and published vectors is not here")
    return path


@pytest.fixture(scope="session", autouse=True)
def _quiet_dvc(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["DVC_SITE_CACHE_DIR"] = str(tmp_path_factory.mktemp("dvc-site"))
    os.environ["DVC_NO_ANALYTICS"] = "1"


@pytest.fixture(scope="module")
def _few_rows() -> Iterator[None]:
    """For stories in which nothing pulls the plug: nothing waits for the disk, and a few rows need no second thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "sched_getaffinity", lambda _: {0})
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server for a module's tests, on this machine alone; without one they are skipped, and say why."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(postgres.running())
        except postgres.Unavailable as why:
            pytest.skip(f"no PostgreSQL server can be had: {why}")
        yield started


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """One browser for a module's tests of pages, each of whom has a profile of its own. Closed behind them: what drives
    it lets no other of its kind into the process."""
    with browser.chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[..., str]]:
    """`served(app)`: the address at which an ASGI application answers until the module's tests are done."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(browser.serving(app))


@pytest.fixture
def visit(chromium) -> Iterator[Callable[..., browser.Visitor]]:
    """`visit(address, **context)`: a visitor with a profile of its own. In the end nobody may have offended."""
    visitors = []

    def arrive(address: str, **context) -> browser.Visitor:
        visitors.append(browser.Visitor(chromium, address, **context))
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        visitor.context.close()
    assert [offence for visitor in visitors for offence in visitor.offences] == []
