"""Memory for a server and what runs beside it: what is let go of goes back to the machine, not kept for the next use.

Both the C library and Arrow keep memory that was let go of, which makes a short run quicker. Of a server of a million
links it is 200 MiB that nobody uses (decision 0026).
"""

from __future__ import annotations

import contextlib
import ctypes

import pyarrow as pa

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)
_APART = 256 * 1024  # bytes; blocks from this size on are got from the system one by one, and go back to it
_AT_HAND = 32 * 1024 * 1024  # the same while pages are made, whose blocks are used again at once


def begin() -> None:
    """From now on, in this process and in copies of it. Where the C library has no such setting, Arrow alone."""
    pa.set_memory_pool(pa.system_memory_pool())
    _set(_MMAP_THRESHOLD, _APART)


def settle() -> None:
    """What lasts has its memory by now: what comes is of a page each, and is kept at hand for the next one."""
    _set(_MMAP_THRESHOLD, _AT_HAND)
    _set(_TRIM_THRESHOLD, 2 * _AT_HAND)


def _set(name: int, value: int) -> None:
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(name, value)
