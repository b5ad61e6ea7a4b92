"""week.yaml: which build `dvc repro` is to make. Written by `build`, or by hand to announce a week."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from provenance import durable, moments
from provenance.errors import Malformed, Missing


@dataclass(frozen=True, slots=True)
class Week:
    """An announced build: its cut-off, and when it goes live, UTC ("": when it is done)."""

    cut_off: str
    published_at: str
    other_lock: str  # why it is made with packages other than the lock's; "" where it is not to be


def write_week(root: Path, cut_off: str, published_at: str) -> None:
    """Announce a build. Times are quoted, since YAML would read them as its own kind."""
    durable.write(root / "week.yaml", f'cut_off: "{cut_off}"\npublished_at: "{published_at}"\n'.encode())


def read_week(root: Path) -> Week:
    """The build that is announced. Raises Missing or Malformed."""
    try:
        week = yaml.safe_load((root / "week.yaml").read_text("utf-8"))
    except FileNotFoundError:
        raise Missing("week.yaml is not there: it names the cut_off and published_at of the build to make") from None
    except yaml.YAMLError:
        raise Malformed("week.yaml is not YAML: wanted two quoted times, cut_off and published_at") from None
    if (
        not isinstance(week, dict)
        or set(week) - {"other_lock"} != {"cut_off", "published_at"}
        or not all(isinstance(value, str) for value in week.values())
    ):
        raise Malformed(
            "week.yaml holds other things than two quoted times, cut_off and published_at, and perhaps other_lock"
        )
    live = week["published_at"]
    return Week(
        moments.utc(moments.instant(week["cut_off"])),
        moments.utc(moments.parse(live)) if live else "",
        week.get("other_lock", ""),
    )
