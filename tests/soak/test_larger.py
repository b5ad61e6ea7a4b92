"""A Spark cluster, PostgreSQL and an SSH remote at once: the roots of one machine alone, and an archive that comes back
from the remote (bench/larger.py, on a small force)."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.force import ROOT

pytestmark = pytest.mark.soak


def test_on_all_three_the_roots_are_those_of_one_machine_and_come_back_from_the_remote(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    sizes = ["--records", "1000", "--weeks", "2", "--memory", "1g", "--driver-memory", "1g"]
    command = [sys.executable, "-m", "bench.larger", *sizes, "--port", port, "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last == "The same roots of all tables of 2 builds: embedded, on all three, and pulled back."
