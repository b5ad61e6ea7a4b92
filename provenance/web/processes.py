"""Several processes for the pages, which share the memory of what was got ready before they began.

The one that begins them opens the archive and has in memory what pages ask (`Reader.prepare`). It answers nobody: the
others are its copies (fork), so that the index of a million links is there once and not once for each. It does without
threads and without open connections when it copies itself, which is when a copy is sound.

What a disposal by another process took away is in the memory of a copy until its next page, and in that of the one
that begins them until a copy tells it (SIGHUP): then it gets ready anew, begins others and ends those.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from uvicorn_worker import UvicornWorker

from provenance import hsm, memory
from provenance.web.reader import Reader

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker
    from starlette.applications import Starlette

_PATIENCE = 60  # seconds that a process may be deaf, with a page that is worked out, before it is replaced

# No access log: addresses name people. No header of a proxy is believed but the one that web.yaml names.
QUIET: Mapping[str, Any] = {"access_log": False, "proxy_headers": False, "server_header": False}


def run(app: Starlette, reader: Reader, *, host: str, port: int, workers: int) -> None:
    """Serve until a signal ends it; a process that dies is replaced. `reader` is what `app` asks, and is prepared."""
    told = np.frombuffer(mmap.mmap(-1, 8), np.int64)  # of how many disposals; the copies share it
    said = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "workers": workers,
        "worker_class": _Worker,
        "logger_class": _Lines,
        "timeout": _PATIENCE,
        "keepalive": 5,
        "preload_app": True,
        "control_socket_disable": True,  # a thread would answer it
        "pre_fork": lambda _arbiter, _worker: _let_go(reader),
        "post_fork": lambda _arbiter, worker: _begin(reader, worker, told),
    }
    _Pages(app, reader, said).run()


class _Pages(BaseApplication):
    def __init__(self, app: Starlette, reader: Reader, said: Mapping[str, Any]) -> None:
        self._app, self._reader, self._said = app, reader, said
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._said.items():
            self.cfg.set(name, value)

    def load(self) -> Starlette:
        return self._app

    def reload(self) -> None:
        """Before others are begun in the place of those there are."""
        super().reload()
        try:
            self._reader.prepare()
        except Exception:  # as while a database is away: they work it out for themselves, and pages go on
            self._reader.forget()
            logging.getLogger(__name__).warning("pages could not be got ready", exc_info=True)


def _let_go(reader: Reader) -> None:
    """Of what a copy must not share: connections, and threads that it would not have."""
    reader.archive.close()
    memory.close()


def _begin(reader: Reader, worker: Worker, told: np.ndarray) -> None:
    """Have a copy log in to its keys anew, and the one that began it know of a disposal, from the first to see it."""

    def tell(disposals: int) -> None:
        if told[0] < disposals and os.getppid() == worker.ppid:
            told[0] = disposals
            os.kill(worker.ppid, signal.SIGHUP)

    hsm.begin_anew()
    reader.on_disposal = tell


class _Worker(UvicornWorker):
    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {**UvicornWorker.CONFIG_KWARGS, **QUIET}


class _Lines(Logger):
    """What gunicorn says goes where all that the program logs goes (`logs`), in the same form."""

    def setup(self, cfg: Any) -> None:
        root = logging.getLogger()
        for log, handlers in ((self.error_log, root.handlers), (self.access_log, [])):
            log.handlers, log.propagate = list(handlers), False
            log.setLevel(root.level)
