"""A report that a page is wrong, and what was found: which pages say "later found to be in error" (R46).

What was shown is never changed by it. A finding reaches pages about the same subject alone, from the first build that
was in error up to the one that carries the correction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from provenance import canonical, entries, moments

WRONG = {
    "wrong-person": "It is about the wrong person, or takes two people for one",
    "wrong-link": "Two people are linked who should not be, or a link is missing",
    "wrong-figure": "A figure, a date, a grade or a role is wrong",
    "out-of-date": "It was right once, and is not any more",
    "not-to-be-shown": "It should not be shown here, or not to me",
    "other": "Something else is wrong",
}
IN_ERROR = "in-error"
FINDINGS = {
    IN_ERROR: "what was shown was wrong",
    "not-in-error": "what was shown was right",
    "unresolved": "it could not be settled whether it was right",
}
URGENCIES = {  # code: days within which it is to be settled, and what it means; the days are ours, no law's
    "today": (1, "somebody may act on it today, or it should not be shown"),
    "week": (7, "it is to be right in the next build"),
    "month": (31, "it does no harm meanwhile"),
}
NO_CAUSE = "none"
CAUSES = {
    "source-record": "a record in a source system was wrong",
    "grading": "a record was graded wrongly, or its grade was read wrongly",
    "identity": "two people were taken for one, or one for two",
    "timing": "a source handed over too late or too little",
    "method": "a rule of the analysis, or its code",
    "presentation": "the way in which the page says it",
    "access": "it was shown to somebody who should not see it",
    NO_CAUSE: "there is none, or it was not found",
}


@dataclass(frozen=True, slots=True)
class Report:
    """One report as far as the log has it."""

    number: int  # 1 for the log's first
    act: entries.Reported
    settled: tuple[entries.Settled, ...] = ()
    triaged: tuple[entries.Triaged, ...] = ()

    def after(self, act: entries.Settled) -> Report:
        """This report once a finding is logged."""
        return replace(self, settled=(*self.settled, act))

    def taken_up(self, act: entries.Triaged) -> Report:
        """This report once it is logged who looks into it."""
        return replace(self, triaged=(*self.triaged, act))

    @property
    def finding(self) -> entries.Settled | None:
        """What holds; None while nobody has settled it."""
        return self.settled[-1] if self.settled else None

    @property
    def subject(self) -> tuple[str, ...] | None:
        """What the page was about."""
        return subject(self.act.asked, self.act.nominals)

    def is_in_error(self, label: str, numbers: Mapping[str, int]) -> bool:
        """Whether the build of that label is one that was found to be in error; `numbers` has each build's."""
        found = self.finding
        if found is None or found.finding != IN_ERROR or label not in numbers:
            return False
        end = numbers.get(found.carried, max(numbers.values()) + 1)
        return numbers[found.first] <= numbers[label] < end


def subject(asked: str, nominals: str) -> tuple[str, ...] | None:
    """What a logged view is about, whatever its filters: people, a network, or one view of a theme. A search is about
    nobody until somebody is chosen: None."""
    said = canonical.loads(asked.encode())
    if said["view"] == "search":
        return None
    if nominals:
        return "nominals", nominals
    if "network" in said:
        return "network", said["network"]
    return "theme", said["theme"], said["view"]


def due(held: Report) -> str:
    """The day in London by which a report that was taken up is to be settled; "" where it was not, or is settled."""
    if not held.triaged or held.settled:
        return ""
    days, _ = URGENCIES.get(held.triaged[-1].urgency, (0, ""))
    return moments.london_day(moments.utc(moments.instant(held.act.on) + timedelta(days=days)))
