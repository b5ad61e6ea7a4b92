"""What the log says has happened: extracts received, builds made, when each was live.

Values computed from acts, in log order. Nothing here can be edited: to change what was published is to publish again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from provenance import entries, reports
from provenance.access import Grant
from provenance.errors import Missing, Tampered
from provenance.holds import Hold
from provenance.notes import Verifier
from provenance.reports import Report


@dataclass(frozen=True, slots=True)
class Publication:
    """A stretch of time in which one build was live on the dashboard: [start, end), with end "" while it still is."""

    label: str
    start: str
    end: str


@dataclass
class Disposal:
    """One disposal as far as the log has it: ordered, then expunged from the files, then certified."""

    after: int  # how many builds there were
    escrow: str = entries.NOT_STATED  # what had been said of a copy of the master key when it was logged
    told: int = 0  # how often something had been said of one
    acts: list[entries.Disposed] = field(default_factory=list)
    expunged: entries.Expunged | None = None
    certified: entries.Certified | None = None

    @property
    def number(self) -> int:
        return self.acts[0].number

    @property
    def first(self) -> entries.Disposed:
        """The entry that names the files and the people who decided."""
        return self.acts[0]

    @property
    def nominals(self) -> list[int]:
        return [token for act in self.acts for token in entries.unpacked(act.nominals)]

    @property
    def records(self) -> list[int]:
        return [token for act in self.acts for token in entries.unpacked(act.records)]


@dataclass(frozen=True, slots=True)
class StandingFeed:
    """A feed as it was written last, and what could be shown by then."""

    act: entries.Exported
    removals: int  # see History.removals


_SHIFTS = (entries.Held, entries.Released, entries.Restricted, entries.Disposed)
_REMOVALS = (entries.Restricted, entries.Disposed)


@dataclass
class History:
    """The acts that decide what was shown when."""

    # Place in the log and vkey of each key that ever signed: each is in force behind its place, up to the next one's.
    signers: list[tuple[int, str]] = field(default_factory=list)
    extracts: list[entries.Received] = field(default_factory=list)
    builds: list[entries.Built] = field(default_factory=list)
    failures: list[entries.Failed] = field(default_factory=list)
    confirmations: list[entries.Confirmed] = field(default_factory=list)
    reviews: list[entries.Reviewed] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)  # by id, in the order in which they were placed
    disposals: list[Disposal] = field(default_factory=list)  # by number, from 1
    restricted: dict[int, entries.Restricted] = field(default_factory=dict)  # by token, until it is disposed of
    known: dict[int, tuple[int, int]] = field(default_factory=dict)  # by the same: extracts and reviews there were then
    gone: set[int] = field(default_factory=set)  # tokens that were disposed of; the vault may hold them a moment longer
    escrowed: list[entries.Escrowed] = field(default_factory=list)
    is_escrow_stale: bool = False  # a copy that is held was of a master key which has been replaced since, by itself
    shifts: int = 0  # acts that change what may be shown of builds there are: holds, restrictions, disposals
    removals: int = 0  # of these, those after which less is shown to who asks for no case
    grants: list[Grant] = field(default_factory=list)  # who may look, in the order in which it was said
    reports: list[Report] = field(default_factory=list)  # of errors, by number, from 1
    feeds: dict[str, StandingFeed] = field(default_factory=dict)  # by folder, until one is recalled
    timeline: list[tuple[str, int]] = field(default_factory=list)  # ("build" or "disposal", number), in log order
    _signed: dict[str, int] = field(default_factory=dict)  # build's label or disposal's id: which of the signers
    _live: list[tuple[str, str]] = field(default_factory=list)  # instant, label that is live from it on ("" = none)
    _standing: list[str] = field(default_factory=list)  # labels that were published and not withdrawn, in that order

    def extend(self, acts: Iterable[Any]) -> None:
        """Take note of further acts, in log order."""
        for act in acts:
            self.shifts += isinstance(act, _SHIFTS)
            self.removals += isinstance(act, _REMOVALS)
            match act:
                case entries.Founded():
                    self.signers.append((0, act.vkey))
                case entries.Rekeyed():
                    self.signers.append((act.place, act.vkey))
                case entries.Received():
                    self.extracts.append(act)
                case entries.Built():
                    self.builds.append(act)
                    self._signed[act.label] = len(self.signers) - 1
                    self.timeline.append(("build", act.number))
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
                case entries.Reviewed():
                    self.reviews.append(act)
                case entries.Held():
                    self.holds[act.hold] = Hold.placed(act)
                case entries.Progressed():
                    self.holds[act.hold] = self.holds[act.hold].progressed(act)
                case entries.Released():
                    self.holds[act.hold] = self.holds[act.hold].released(act)
                case entries.Restricted():
                    self._restrict(act)
                case entries.Disposed():
                    self._dispose(act)
                case entries.Expunged():
                    disposal = self.disposals[act.number - 1]
                    before = disposal.expunged.files if disposal.expunged else ()
                    disposal.expunged = replace(act, files=before + act.files)
                case entries.Escrowed():
                    self.escrowed.append(act)
                    self.is_escrow_stale = False
                case entries.Relocked():
                    self.is_escrow_stale = bool(self.escrowed and self.escrowed[-1].copies)
                case entries.Exported():
                    if act.folder:
                        self.feeds[act.folder] = StandingFeed(act, self.removals)
                case entries.Recalled():
                    self.feeds.pop(act.folder, None)
                case entries.Granted():
                    self.grants.append(Grant.made(act))
                case entries.Revoked():
                    self.grants = [grant.after(act) for grant in self.grants]
                case entries.Reported():
                    self.reports.append(Report(len(self.reports) + 1, act))
                case entries.Triaged():
                    self.reports[act.report - 1] = self.reports[act.report - 1].taken_up(act)
                case entries.Settled():
                    self.reports[act.report - 1] = self.reports[act.report - 1].after(act)
                case entries.Certified():
                    self.disposals[act.number - 1].certified = act
                    self._signed[self.disposals[act.number - 1].first.disposal] = len(self.signers) - 1

    def _restrict(self, act: entries.Restricted) -> None:
        for token in entries.unpacked(act.nominals) + entries.unpacked(act.records):
            before = self.restricted.get(token)
            if before is None or before.plan != act.plan:  # else it is said again of other holds, and nobody looked
                self.known[token] = len(self.extracts), len(self.reviews)
            self.restricted[token] = act

    def _dispose(self, act: entries.Disposed) -> None:
        if act.part == 1:
            self.disposals.append(Disposal(len(self.builds), self._escrow(), len(self.escrowed)))
            self.timeline.append(("disposal", act.number))
        self.disposals[-1].acts.append(act)
        for token in entries.unpacked(act.nominals) + entries.unpacked(act.records):
            self.restricted.pop(token, None)
            self.gone.add(token)
            self.known.pop(token, None)

    def _escrow(self) -> str:
        """What a disposal that comes now means for the copy in escrow, by what was said last."""
        if not self.escrowed:
            return entries.NOT_STATED
        return entries.TO_BE_REPLACED if self.escrowed[-1].copies else entries.NONE_HELD

    def escrow_since(self, number: int) -> entries.Escrowed | None:
        """The first entry after disposal `number` by which no copy of a master key from before it is held any more."""
        after = self.escrowed[self.disposals[number - 1].told :]
        return next((act for act in after if not act.copies or act.disposals >= number), None)

    def outstanding(self) -> list[int]:
        """Numbers of the disposals since which nobody has said that the copy of the master key is replaced, or that
        there is none."""
        return [
            each.number
            for each in self.disposals
            if each.escrow != entries.NONE_HELD and not self.escrow_since(each.number)
        ]

    @property
    def publications(self) -> Sequence[Publication]:
        """In order of time; a moment without any was a moment with nothing on the dashboard."""
        return _publications(tuple(self._live))

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

    def withheld(self, case: str = "") -> np.ndarray:
        """Tokens of what is restricted, but for what a standing hold of this case keeps; sorted."""
        mine = {hold.id for hold in self.holds.values() if case and hold.case == case and hold.stands}
        restricted = self.restricted.items()
        return np.sort(
            np.array([token for token, act in restricted if mine.isdisjoint(h.hold for h in act.holds)], np.int64)
        )

    def signer_of(self, signed: str) -> Verifier:
        """The key in force when a build, by its label, or a disposal's certificate, by the disposal's id, was logged.

        Raises Missing when none of that name was, Tampered when the log had named no key before it.
        """
        if signed not in self._signed:
            raise Missing(f"nothing of the name {signed} was signed and logged here")
        if self._signed[signed] < 0:
            raise Tampered(f"log names no key before {signed}: wanted Founded as its first entry")
        return Verifier.parse(self.signers[self._signed[signed]][1])

    def build(self, label: str) -> entries.Built:
        """The build of that label. Raises Missing."""
        for built in self.builds:
            if built.label == label:
                return built
        raise Missing(f"build {label} is not in this archive: it has {self._span()}")

    def report(self, number: int) -> Report:
        """The report of an error of that number. Raises Missing."""
        if not 1 <= number <= len(self.reports):
            raise Missing(f"report {number} is not in this archive: it has {len(self.reports)}")
        return self.reports[number - 1]

    def in_error(self, labels: Iterable[str], asked: str, nominals: str, case: str) -> list[Report]:
        """Reports that a page of these builds, about the same, was found to be in error by, and may be told of."""
        numbers = {built.label: built.number for built in self.builds}
        wanted = reports.subject(asked, nominals)
        return [
            each for each in self.reports
            if any(each.is_in_error(label, numbers) for label in labels) and each.act.case in ("", case)
            and wanted is not None and each.subject == wanted
        ]  # fmt: skip

    def _span(self) -> str:
        return f"{self.builds[0].label} to {self.builds[-1].label}" if self.builds else "no builds yet"

    @property
    def files(self) -> Mapping[str, str]:
        """Every stored file that the log names, with the SHA-256 that it has for it last."""
        return self._files(self.disposals)

    @property
    def files_at_rest(self) -> Mapping[str, str]:
        """The same, with the SHA-256 from before a disposal that is logged as expunging and is not yet certified."""
        return self._files([disposal for disposal in self.disposals if disposal.certified])

    def _files(self, expunged: Sequence[Disposal]) -> Mapping[str, str]:
        named: dict[str, str] = {}
        acts = [*self.extracts, *self.builds, *(disposal.first for disposal in self.disposals)]
        acts += [disposal.expunged for disposal in expunged if disposal.expunged]
        for act in acts:
            named.update({file.path: file.sha256 for file in act.files})
        return named

    def since(self, number: int) -> Sequence[Disposal]:
        """The disposals that the log has after build `number` (0: all of them)."""
        start = self.timeline.index(("build", number)) + 1 if number else 0
        return [self.disposals[n - 1] for kind, n in self.timeline[start:] if kind == "disposal"]


@lru_cache(maxsize=4)  # each page asks for all of them
def _publications(live: tuple[tuple[str, str], ...]) -> Sequence[Publication]:
    ends = [*(at for at, _ in live[1:]), ""]
    return tuple(Publication(label, at, end) for (at, label), end in zip(live, ends, strict=False) if label)
