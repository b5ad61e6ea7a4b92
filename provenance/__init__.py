"""An auditable archive of police network analyses.

    import provenance

    archive = provenance.open("force")
    snapshot = archive.as_of("2026-03-14T10:00")
    snapshot.links(nominal="N-0000123")

Importing this package is cheap; what reads data is imported when an archive is opened.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provenance.api import Archive

__version__ = "1.1.0"


def open(path: str | os.PathLike[str] = ".", *, keys: str | os.PathLike[str] | None = None) -> Archive:
    """The archive in folder `path`. Its keys lie in the folder PATH.keys beside it, unless `keys` says where.

    Raises Missing, Malformed or Tampered (see `provenance.errors`), naming the file.
    """
    from provenance.api import Archive

    return Archive.open(path, keys)
