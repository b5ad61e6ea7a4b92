"""The clock and the user, as every door reads them and nothing else does."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime

from provenance import moments


def now() -> str:
    """The clock, UTC to the second. SOURCE_DATE_EPOCH stands in for it, so that a run can be repeated byte for byte."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    return moments.utc(datetime.fromtimestamp(int(fixed), UTC) if fixed else datetime.now(UTC))


def user() -> str:
    """Who is at the keyboard, as the machine knows them."""
    return getpass.getuser()
