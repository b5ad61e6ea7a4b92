"""What the log says has happened: extracts received, builds made, when each was live.

Values computed from acts, in log order. Nothing here can be edited: to change what was published is to publish again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provenance import entries
from provenance.errors import Missing


@dataclass(frozen=True, slots=True)
class Publication:
    """A stretch of time in which one build was live on the dashboard: [start, end), with end "" while it still is."""

    label: str
    start: str
    end: str


@dataclass
class History:
    """The acts that decide what was shown when."""

    extracts: list[entries.Received] = field(default_factory=list)
    builds: list[entries.Built] = field(default_factory=list)
    failures: list[entries.Failed] = field(default_factory=list)
    confirmations: list[entries.Confirmed] = field(default_factory=list)
    _live: list[tuple[str, str]] = field(default_factory=list)  # instant, label that is live from it on ("" = none)
    _standing: list[str] = field(default_factory=list)  # labels that were published and not withdrawn, in that order

    def extend(self, acts: Iterable[Any]) -> None:
        """Take note of further acts, in log order."""
        for act in acts:
            match act:
                case entries.Received():
                    self.extracts.append(act)
                case entries.Built():
                    self.builds.append(act)
                case entries.Published():
                    self._standing.append(act.label)
                    self._live.append((act.at, act.label))
                case entries.Withdrawn():  # what was live before it is live again
                    self._standing.remove(act.label)
                    self._live.append((act.at, self._standing[-1] if self._standing else ""))
                case entries.Failed():
                    self.failures.append(act)
                case entries.Confirmed():
                    self.confirmations.append(act)

    @property
    def publications(self) -> Sequence[Publication]:
        """In order of time; a moment without any was a moment with nothing on the dashboard."""
        ends = [*(at for at, _ in self._live[1:]), ""]
        return [Publication(label, at, end) for (at, label), end in zip(self._live, ends, strict=False) if label]

    def live(self, instant: str) -> Publication | None:
        """What was on the dashboard at `instant` (UTC): never a later build."""
        at = bisect_right([start for start, _ in self._live], instant) - 1
        if at < 0 or not self._live[at][1]:
            return None
        end = self._live[at + 1][0] if at + 1 < len(self._live) else ""
        return Publication(self._live[at][1], self._live[at][0], end)

    def live_between(self, start: str, end: str) -> Sequence[Publication]:
        """Every publication that was live at some moment of [start, end)."""
        return [p for p in self.publications if p.start < end and (not p.end or p.end > start) and p.start != p.end]

    def build(self, label: str) -> entries.Built:
        """The build of that label. Raises Missing."""
        for built in self.builds:
            if built.label == label:
                return built
        raise Missing(f"build {label} is not in this archive: it has {self._span()}")

    def _span(self) -> str:
        return f"{self.builds[0].label} to {self.builds[-1].label}" if self.builds else "no builds yet"

    @property
    def files(self) -> Mapping[str, str]:
        """Every stored file that the log names, with its SHA-256."""
        named: dict[str, str] = {}
        for act in [*self.extracts, *self.builds]:
            named.update({file.path: file.sha256 for file in act.files})
        return named
