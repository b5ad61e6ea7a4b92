"""Whether a build verifies, for the banner: at once where that is quick, else by a process of its own, once.

A large build takes longer to check than anybody waits for a page. Until it is checked the banner says so; what was
found is kept for as long as nothing was disposed of or restricted since.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from provenance.asof import Snapshot

_LAST = 19  # how late it has its turn (nice): pages come first
_AT_ONCE = 200_000  # rows of a build that are checked while somebody waits


class Verdicts:
    """What was found of each build."""

    def __init__(self, root: Path, keys: Path, turn: Callable[[], AbstractContextManager[object]]) -> None:
        """`turn` is the archive's, which one at a time may ask."""
        self._archive = turn
        self._command = [sys.executable, "-m", "provenance.cli", "--archive", str(root), "--keys", str(keys), "verify"]
        self._found: dict[Hashable, bool] = {}
        self._asked: dict[Hashable, Future[int]] = {}
        self._turn = threading.Lock()
        self._worker = ThreadPoolExecutor(1)  # one at a time, so that pages keep a processor

    def of(self, snapshot: Snapshot) -> bool | None:
        """Whether the build verifies, None while that is being worked out."""
        key = snapshot.label, snapshot.acts
        if key not in self._found and sum(table.size for table in snapshot.built.tables) <= _AT_ONCE:
            with self._archive():
                self._found[key] = snapshot.verified
        with self._turn:
            if key not in self._found:
                if key not in self._asked:
                    self._asked[key] = self._worker.submit(self._check, snapshot.label)
                if not self._asked[key].done():
                    return None
                self._found[key] = self._asked.pop(key).result() == 0
            return self._found[key]

    def _check(self, label: str) -> int:
        with subprocess.Popen(
            [*self._command, "--build", label], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as checking:
            os.setpriority(os.PRIO_PROCESS, checking.pid, _LAST)
            if hasattr(os, "sched_setaffinity"):  # on one processor, so that it starts no workers on the others
                os.sched_setaffinity(checking.pid, {max(os.sched_getaffinity(0))})
            return checking.wait()
