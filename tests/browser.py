"""A page as a person meets it: an application served on a port of its own, and Debian's Chromium that opens it.

`conftest.py` makes fixtures of it: `served(app)` gives the address, `visit(address, ...)` a `Visitor`.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@contextmanager
def serving(app, wait: float = 20) -> Iterator[str]:
    """`http://127.0.0.1:PORT`, answered by `app` (ASGI) from a thread until the block ends."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until = time.monotonic() + wait
    while not server.started:
        assert thread.is_alive(), "the application did not start"
        assert time.monotonic() < until, f"the application has not started after {wait} s"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(wait)
        listener.close()


@contextmanager
def chromium() -> Iterator:
    """Debian's Chromium by playwright; the test is skipped, saying so, where either is missing."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("chromium is not here: pages are tested in it (`apt-get install chromium`)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not here")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable, args=FLAGS.split())
        yield browser
        browser.close()


class Visitor:
    """Someone at the dashboard, with a browser of their own (`page` is playwright's).

    Whatever the console says, an error of a script, a breach of the policy, a dialog, and a request to any other host
    are `offences`. A page that is meant to be refused says so on the console too: take that out with `forgive`.
    """

    def __init__(self, browser, base: str, **context) -> None:
        self.base = base
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "base_url": base} | context)
        self.page = self.context.new_page()
        self.offences: list[str] = []
        self.page.on("console", lambda message: self.offences.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.offences.append(f"error: {error}"))
        self.page.on("request", self._asked)
        self.page.on("dialog", lambda dialog: self.offences.append(f"dialog: {dialog.message}") or dialog.dismiss())

    def _asked(self, request) -> None:
        if not request.url.startswith((self.base + "/", "data:")):
            self.offences.append(f"request: {request.url}")

    def forgive(self, words: str) -> None:
        self.offences = [offence for offence in self.offences if words not in offence]

    def axe(self) -> list[str]:
        """Each violation of WCAG 2.2 A and AA and of axe's best practice: `rule: where`. Empty is good."""
        if not AXE.exists():
            pytest.skip("axe-core is not here: `make assets` installs it")
        self.page.evaluate(AXE.read_text("utf-8"))
        said = self.page.evaluate("rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", RULES)
        assert len(said["passes"]) > 10, "axe looked at nothing"
        return [f"{rule['id']}: {node['target']}" for rule in said["violations"] for node in rule["nodes"]]

    def shot(self, path: Path) -> Path:
        self.page.screenshot(path=path, full_page=True)
        return path
