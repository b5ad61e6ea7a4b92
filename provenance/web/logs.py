"""What the server writes about itself: a line of JSON each, and never what somebody asked or was shown.

Of a message only its fixed words are written, without the values in it; of an error its kind and the places in the code
that it came through, without its message, for both may quote a name or an address that holds one.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import TracebackType

from provenance import moments

_PLACES = 12


class Line(logging.Formatter):
    """One record as a line of JSON: `at`, `level`, `logger`, `event`, and of an error `kind` and `came_through`."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": moments.stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.msg if isinstance(record.msg, str) else type(record.msg).__name__,
        }
        if record.exc_info and record.exc_info[0]:
            said |= {"kind": record.exc_info[0].__name__, "came_through": _came_through(record.exc_info[2])}
        return json.dumps(said)


def configure() -> None:
    """Write what any part of the program logs from now on as such lines, on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Line())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _came_through(trace: TracebackType | None) -> list[str]:
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found[-_PLACES:]
