"""Whether a build verifies, for the banner: at once where that is quick, else by a process of its own, once.

A large build takes longer to check than anybody waits for a page. Until it is checked the banner says so; what was
found is kept for as long as nothing was disposed of or restricted since, and is known to every process that answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from provenance.asof import Snapshot

_LAST = 19  # how late it has its turn (nice): pages come first
_AT_ONCE = 200_000  # rows of a build that are checked while somebody waits
_BUILDS = 2**16  # of which the newest verdict is kept: one a week for a thousand years


class Verdicts:
    """What was found of each build."""

    def __init__(self, root: Path, keys: Path, turn: Callable[[], AbstractContextManager[object]]) -> None:
        """`turn` is the archive's, which one at a time may ask."""
        self._archive = turn
        self._command = [
            *(sys.executable, "-m", "provenance.cli.sparing"),
            *("--archive", str(root), "--keys", str(keys), "verify"),
        ]
        # By number: how many acts it rests on, and whether it verifies, as one word. Copies of this process share it.
        self._shared = os.memfd_create("provenance-verdicts", os.MFD_CLOEXEC)
        os.ftruncate(self._shared, 8 * _BUILDS)
        self._found = np.frombuffer(mmap.mmap(self._shared, 8 * _BUILDS), np.int64)
        self._asked: dict[Hashable, Future[None]] = {}
        self._turn = threading.Lock()
        self._worker = ThreadPoolExecutor(1)  # one at a time, so that pages keep a processor

    def of(self, snapshot: Snapshot) -> bool | None:
        """Whether the build verifies, None while that is being worked out."""
        number, label, acts = snapshot.built.number, snapshot.label, snapshot.acts
        if self._said(number, acts) is None and sum(table.size for table in snapshot.built.tables) <= _AT_ONCE:
            with self._archive():
                self._say(number, acts, snapshot.verified)
        with self._turn:
            if self._said(number, acts) is None and (label, acts) not in self._asked:
                self._asked[label, acts] = self._worker.submit(self._checked, number, label, acts)
            if (label, acts) in self._asked and self._asked[label, acts].done():
                self._asked.pop((label, acts)).result()
            return self._said(number, acts)

    def _said(self, number: int, acts: int) -> bool | None:
        when, verdict = divmod(int(self._found[number]), 4)
        return verdict == 3 if verdict and when == acts else None

    def _say(self, number: int, acts: int, verdict: bool) -> None:
        self._found[number] = 4 * acts + 2 + verdict

    def _checked(self, number: int, label: str, acts: int) -> None:
        fcntl.lockf(self._shared, fcntl.LOCK_EX)  # one process at a time; one that ends lets go of it
        try:
            if self._said(number, acts) is None:
                self._say(number, acts, self._check(label) == 0)
        finally:
            fcntl.lockf(self._shared, fcntl.LOCK_UN)

    def _check(self, label: str) -> int:
        with subprocess.Popen(
            [*self._command, "--build", label], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as checking:
            with contextlib.suppress(PermissionError):  # where a service may not set them
                os.setpriority(os.PRIO_PROCESS, checking.pid, _LAST)
                # On one processor, so that it starts no workers on the others.
                os.sched_setaffinity(checking.pid, {max(os.sched_getaffinity(0))})
            return checking.wait()
