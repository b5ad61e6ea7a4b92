"""A process that lasts: what runs so says what it would have said."""

from __future__ import annotations

import subprocess
import sys

SETTLED = """
import numpy as np, pyarrow as pa
from provenance.cli import thrift
thrift.begin()
held = [np.ones(1 << 20, np.uint8) for _ in range(8)]
thrift.settle()
held += [np.ones(1 << 20, np.uint8) for _ in range(8)]
assert pa.array(range(1000)).to_pylist() == list(range(1000))
print(pa.default_memory_pool().backend_name, sum(int(each.sum()) for each in held))
"""


def said(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60)


def test_arrow_allocates_as_the_c_library_does_and_memory_holds_what_was_put_there():
    ran = said("-c", SETTLED)
    assert (ran.returncode, ran.stdout.split()) == (0, ["system", str(16 << 20)]), ran.stderr


def test_a_command_says_what_it_says_without():
    for arguments in (["--version"], ["verify", "--help"], ["verify", "--build", "2026-W01"], ["nonsense"]):
        plain, so = said("-m", "provenance.cli", *arguments), said("-m", "provenance.cli.sparing", *arguments)
        assert (so.returncode, so.stdout, so.stderr) == (plain.returncode, plain.stdout, plain.stderr)
