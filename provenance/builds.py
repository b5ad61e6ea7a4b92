"""A whole build, or many: the stages one after the other, and what happens when one fails.

A build that fails is logged as failed, so that a question about its week is answered by the build then in effect, and
says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from provenance import draft, entries, figures, grouping, linking, moments, publishing, selection
from provenance.archive import Archive
from provenance.draft import Draft
from provenance.errors import Malformed, ProvenanceError
from provenance.grouping import GroupReport
from provenance.harm import HarmTable
from provenance.linking import LinkReport
from provenance.params import Params
from provenance.publishing import Surroundings

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BuildReport:
    """A build that was published, and what its stages did."""

    built: entries.Built
    links: LinkReport
    groups: GroupReport


def build(
    archive: Archive,
    params: Params,
    table: HarmTable,
    *,
    cut_off: str,
    published_at: str,
    around: Callable[[str], Surroundings],
    report: Report = lambda *_: None,
) -> BuildReport:
    """Make, sign, log and publish one build; `around` is asked for the surroundings when the build is done.

    Raises Refused when a threshold blocks it, Conflict when it runs backwards. On any failure the archive is as it was,
    but for a `Failed` entry.
    """
    with archive.writing():
        coming = draft.next_draft(archive, cut_off)
        try:
            publishing.check(archive, coming, params)
            report("Linking", 0, 3)
            links = linking.link(archive, coming, params, table)
            report("Grouping", 1, 3)
            groups = grouping.group(archive, coming, params, table)
            report("Publishing", 2, 3)
            built = publishing.publish(archive, coming, params, table, around(coming.label), published_at)
            figures.keep(archive, coming.number)
            report("Publishing", 3, 3)
        except ProvenanceError as error:
            fail(archive, coming, error, around(coming.label))
            raise
        except (
            BaseException
        ):  # the disk is full, the user interrupts: nothing is logged, and memory is not to be trusted
            archive.forget()
            raise
        return BuildReport(built, links, groups)


def fail(archive: Archive, coming: Draft, error: ProvenanceError, around: Surroundings) -> None:
    """Log that a build was not made. The reason is a word for the kind of error: its message may quote a path.

    Where it was made and the error came after, nothing is logged, and what it made stays.
    """
    archive.forget()
    archive.refresh()
    if any(built.label == coming.label for built in archive.history.builds):
        return
    archive.sweep()
    archive.append(
        entries.Failed(
            on=around.finished_on,
            by=around.operator,
            under=around.under,
            label=coming.label,
            cut_off=coming.cut_off,
            reason=type(error).__name__.lower(),
        )
    )


def weekly_cut_offs(archive: Archive) -> Sequence[str]:
    """The end of each Sunday in London, as UTC, up to the last extract's cut-off, and that cut-off itself.

    Of a series of extracts, from the first one's cut-off on; of a single record set, from its first record on. Raises
    Malformed when nothing was received.
    """
    held = archive.history.extracts
    if not held:
        raise Malformed("backfill needs a record set: nothing was received")
    last = max(extract.cut_off for extract in held)
    first = min(extract.cut_off for extract in held)
    if first == last:
        first = selection.first_recorded(archive)
    day = moments.instant(first).astimezone(moments.LONDON).date()
    day += timedelta(days=6 - day.weekday())
    ends = []
    while (end := moments.utc(moments.day(day.isoformat())[1] - timedelta(seconds=1))) < last:
        ends.append(end)
        day += timedelta(days=7)
    return [*ends, last]
