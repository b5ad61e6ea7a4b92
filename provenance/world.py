"""The clock, the user and the machine, as every door reads them and nothing else does."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from datetime import UTC, datetime

from provenance import moments
from provenance.custody import UNLOCK, Unlock


def now() -> str:
    """The clock, UTC to the second. SOURCE_DATE_EPOCH stands in for it, so that a run can be repeated byte for byte."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    return moments.utc(datetime.fromtimestamp(int(fixed), UTC) if fixed else datetime.now(UTC))


def system() -> str:
    """Operating system, processor and C library of this machine."""
    return f"{platform.platform()} {platform.machine()}".strip()


def python() -> str:
    """Which Python runs this, by implementation and version."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def workers_python() -> str:
    """The Python that a cluster's workers run: PYSPARK_PYTHON, or this one, where they have it under the same path."""
    return os.environ.get("PYSPARK_PYTHON") or sys.executable


def hash_seed() -> str:
    """What Python's hashes of text are seeded with, as far as it was said."""
    return os.environ.get("PYTHONHASHSEED") or "random"


def experiment() -> str:
    """The name of the DVC experiment that runs this, "" outside of one."""
    return os.environ.get("DVC_EXP_NAME", "")


def unlock() -> Unlock:
    """What the environment hands over to open the places of keys with."""
    return Unlock(**{field: os.environ.get(name, "") for field, name in UNLOCK.items()})


def user() -> str:
    """Who is at the keyboard, as the machine knows them."""
    return getpass.getuser()
