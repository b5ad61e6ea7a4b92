"""The first page of an ethics report: what it is of, what somebody must act on or explain, what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance import ethics, fairness
from provenance.web import wording

_LEAD, _DPO, _ANALYSTS = (
    "the chief officer who answers for the tool", "the force's data-protection officer", "the head of the analysts",
)  # fmt: skip
DIFFERENCES = "what explains each difference between groups"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a reader should take away. `look`: somebody must act or explain; `know`: context."""

    kind: str
    text: str
    who: str = ""  # who is asked
    ask: str = ""


def facts(said: Mapping[str, Any], what: str) -> list[list[str]]:
    weeks = said["weeks"]
    about = what
    if weeks["in_period"]:
        about = f"{what}: {weeks['built']} of {wording.plural(weeks['in_period'], 'week')} "
        about += f"{wording.has(weeks['built'])} a build"
        if said["made_on"] < said["end"]:
            about += f". The quarter is not over ({weeks['ended']} weeks have ended): provisional"
    linked = wording.people(said, "linked")
    cut_off = wording.moment(said["cut_off"])
    latest = wording.last_record(said)
    return [
        ["About", about + (". It holds no record from that time" if latest else "")],
        ["Figures are of", f"the build of {wording.week(said['build'])}, "
                           + (f"with records up to {latest}, though asked for up to {cut_off}" if latest else
                              f"with records up to {cut_off}")],
        ["People", f"about {wording.people(said) or 0:,} in the records, "
                   f"{f'about {linked:,}' if linked else wording.few(said)} of them linked to somebody"],
        ["Made", f"{wording.day(said['made_on'])}, report number {said['number']} of this archive. "
                 f"Questions to: {said['owner']['contact'] or 'no contact was given'}"],
    ]  # fmt: skip


def findings(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[Finding]:
    """The most pressing first."""
    found: list[Finding] = []

    def look(text: str, who: str = "", ask: str = "") -> None:
        found.append(Finding("look", text, who, ask))

    if not said["owner"]["records"]:
        look("Nobody has said what these records are and who answers for them.", _LEAD, "what the records are")
    if latest := wording.last_record(said):
        made = "" if said["acts"].get("Built") else ", but was made later: the log has no build in this period"
        look(f"This report holds no record from {'the quarter' if said['weeks']['in_period'] else 'its period'}: the "
             f"latest are of {latest}. The build of {wording.week(said['build'])} stands as of "
             f"{wording.day(said['published_from'])}{made}. How old people and sources are is counted to "
             f"{wording.moment(said['cut_off'])}.", _ANALYSTS, "why there are no newer records")  # fmt: skip
    bad = [paper for paper in said["papers"] if paper["state"] != "in force"]
    if bad:
        found.append(_papers(said["papers"], bad))
    for edition in said["harm_editions"]:
        if not edition["adopted"]:
            look(f"Harm figures rest on the table “{edition['name']}”, a sample that no force has adopted: rely on "
                 "none of them.", _LEAD, "which harm table the force adopts")  # fmt: skip
    if settings := said["rules"]["to_confirm"]:
        harm = ", the harm table among them," * any(each["key"].startswith("harm.") for each in settings)
        look(f"{wording.plural(len(settings), 'setting')}{harm} still {'waits' if len(settings) == 1 else 'wait'} for "
             "the force to confirm; until then the choices of the program's makers are used (annex A).", _LEAD,
             "who confirms the settings")  # fmt: skip
    stale = [feed for feed in said["feeds"] if feed["days_before"] > wording.STALE_DAYS]
    if stale:
        listed = "; ".join(f"{feed['system']} by {wording.behind(feed['days_before'])}" for feed in stale)
        look(f"Sources were older than the build: {listed}.", _ANALYSTS, "why sources are so old")
    weeks = said["weeks"]
    if weeks["built"] < weeks["ended"]:
        so_far = " so far" if weeks["ended"] < weeks["in_period"] else ""
        since = ""
        if weeks["built_since_first"] < weeks["since_first"] * 3 // 4:
            since = f"; since the first, {weeks['built_since_first']} of {weeks['since_first']} weeks have one"
        look(f"In {weeks['ended'] - weeks['built']} of the {wording.plural(weeks['ended'], 'week')} of the "
             f"quarter{so_far} no build (one week's result) was made{since}.", _ANALYSTS,
             "why builds are missing")  # fmt: skip
    found += _due(said)
    if said["holds"]["overdue"]:
        look(f"{wording.plural(said['holds']['overdue'], 'legal hold')} should have been looked at again by now.", _DPO,
             "why holds were not looked at again")  # fmt: skip
    if said["errors"]["open"]:
        look(f"{wording.plural(said['errors']['open'], 'report')} of an error {wording.was(said['errors']['open'])} "
             "still open.", _ANALYSTS, "when open errors will be settled")  # fmt: skip
    if not said["use"]["views"]:
        nothing = "" if said["errors"]["reported"] else ", so that no error was reported proves nothing"
        look(f"Nobody looked at a page of the dashboard in this period{nothing}.", _LEAD,
             "whether anybody uses the tool")  # fmt: skip
    if not any(head["cosigned_by"] for head in said["heads"]["shown"]):
        look("What is done to the archive is written in a log. Nobody outside the force has signed for it yet. Keep "
             "this page and annex C: the long number there is the seal of the log, and whoever keeps it can notice if "
             "the log is replaced (chapter 4).", "committee",
             "Keep this page and annex C, and have the long number compared at the next report")  # fmt: skip
    if not said["reproductions"]:
        look("No build was made again in this period to check that the same records give the same result.", _ANALYSTS,
             "when a build will be made again as a check")  # fmt: skip
    found += _unfair(said)
    found += _unsaid(said)
    found.append(Finding("know", "A link joins two people who are named in the same record; it is not an accusation."))
    for theme, text in themes.items():
        everything = wording.count(said, "links-that-hang", "all links", theme)
        one = wording.count(said, "links-that-hang", "rest on one record", theme)
        bare = wording.count(said, "links-that-hang", wording.BARE, theme)
        if share := wording.in_hundred(one, everything):
            sentence = f"{text}: {share} links rest on a single record"
            sentence += f", {wording.in_hundred(bare, everything)} on a single piece of intelligence" if bare else ""
            found.append(Finding("know", sentence + "."))
    found += _largest(said, themes)
    return found


def _papers(papers: Sequence[Mapping[str, Any]], bad: Sequence[Mapping[str, Any]]) -> Finding:
    """What is said and asked of the papers that cannot be shown to have been in force."""
    missing = sum(paper["state"] == "not supplied" for paper in bad)
    late = len(bad) - missing
    if missing == len(papers):
        text = (f"None of the {len(papers)} papers that should govern the analyses was supplied to the archive; this "
                "report does not know whether they exist.")  # fmt: skip
    else:
        what = [f"{missing} {wording.was(missing)} not supplied"] * bool(missing)
        what += [f"{late} {wording.was(late)} out of date or not yet in force"] * bool(late)
        text = (f"{len(papers) - len(bad)} of the {len(papers)} papers that should govern the analyses can be shown to "
                f"have been in force on the day of the build; {wording.listed(what)} (chapter 2).")  # fmt: skip
    asked = [f"whether the {wording.plural(missing, 'paper')} not supplied "
             f"{'exists' if missing == 1 else 'exist'}"] * bool(missing)  # fmt: skip
    asked += [f"new versions of the {wording.plural(late, 'paper')} not in force"] * bool(late)
    return Finding("look", text, _LEAD, f"{wording.listed(asked)}, and by when they will be supplied")


def _unsaid(said: Mapping[str, Any]) -> list[Finding]:
    """What a reader will look for under fairness, and will not find for want of people: by area, or in a share of which
    most groups are too small."""
    least, parts = said["least_count"], []
    seeing = [name for name in fairness.CHARACTERISTICS if wording.plain(name) not in wording.blind(said)]
    for characteristic in seeing:
        shares = said["rates"][characteristic]
        if not wording.groups(shares["linked"]):
            parts.append(f"anything by {wording.plain(characteristic)} (no {wording.plain(characteristic)} has "
                         f"{(ethics.LEAST_OF_AREA if characteristic == 'area' else ethics.LEAST_OF_GROUP) * least} "
                         "people)")  # fmt: skip
            continue
        for share in ("linked", "key nominal"):
            groups = wording.groups(shares[share])
            unsaid = sum("per_mille" not in shares[share][group] for group in groups)
            if 2 * unsaid > len(groups):
                parts.append(f"who is {wording.SHORT[share]}, by {wording.plain(characteristic)}")
    if not parts:
        return []
    return [Finding("know", f"For want of people, fairness cannot be judged here of {'; '.join(parts)} (chapter 7).")]


def _largest(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[Finding]:
    """The share that the largest network of a theme has of the theme's people; none where a disposal hides it."""
    if not wording.largest_is_known(said):
        return []
    told = []
    for theme, text in themes.items():
        largest = wording.count(said, "people-in-largest", "largest network", theme)
        if share := wording.in_hundred(largest, wording.count(said, "people-by-part", "everybody", theme)):
            told.append(f"{text}: about {largest:,} people, {share} of the theme")
    return [Finding("know", f"The largest network. {'; '.join(told)}.")] if told else []


def _due(said: Mapping[str, Any]) -> list[Finding]:
    """What is past its time by the retention rules, in one line."""

    def of(row: str, column: str = ethics.NOW) -> tuple[int | None, int | None]:
        return wording.count(said, "people-due", row, column), wording.count(said, "records-due", row, column)

    def both(pair: tuple[int | None, int | None]) -> str:
        people, records = (f"{count:,}" if count else "" for count in pair)
        return " and ".join(
            [f"what is held about {people} people"] * bool(people) + [f"{records} single records"] * bool(records)
        )

    gone, again = of("due for disposal"), of("due for review")
    if not any(gone + again):
        return []
    parts = [f"As at {wording.day(said['made_on'])}:"]
    if any(gone):
        old = of("due for disposal", ethics.A_YEAR)
        late = (
            ""
            if not any(old)
            else ", all of it by a year or more"
            if old == gone
            else f" (by a year or more: {both(old)})"
        )
        done = sum(each["disposals"] for each in said["disposals"])
        parts.append(f"{both(gone)} is past its destruction date{late}. "
                     + ("None has ever been destroyed." if not said["disposals_so_far"] else
                        f"In this period {wording.plural(done, 'disposal was', 'disposals were')} ordered.")
                     )  # fmt: skip
    if any(again):
        parts.append(f"{both(again)} should have been looked at again.".capitalize())
    if (gone[0] or 0) + (again[0] or 0) >= 0.9 * (wording.people(said) or 1):
        parts.append("Together that is nearly everybody in the archive.")
    if wording.invented(said):
        parts.append("This rests on what the owner, above, says is invented: it is not a real failing.")
        return [Finding("look", " ".join(parts))]
    return [Finding("look", " ".join(parts), _DPO, "why so much is past its date, and when it will be decided")]


def _unfair(said: Mapping[str, Any]) -> list[Finding]:
    """Every group of chapter 7 that stands apart, and every characteristic by which nobody can judge."""
    found, adopted = [], wording.adopted(said)
    for shares, what in (
        (["linked", "key nominal", *(["with harm"] if adopted else [])], "In the analyses"),
        (["offending in a source record"], "In the records themselves"),
    ):
        if said_of := [text for share in shares for text in _apart(said, share)]:
            found.append(Finding("look", f"{what}, these groups differ from the whole by more than chance and rounding "
                                 f"allow: {'; '.join(said_of)} (chapter 7).", _ANALYSTS,
                                 DIFFERENCES))  # fmt: skip
    if not adopted and (said_of := _apart(said, "with harm")):
        found.append(Finding("know", f"Harm is counted {wording.NOT_ADOPTED}. By it, {'; '.join(said_of)}."))
    if blind := wording.blind(said):
        found.append(Finding("look", f"Fairness by {wording.listed(blind)} cannot be judged, because the records do "
                             f"not say it ({wording.few(said)} people).", _LEAD,
                             "how fairness will be judged where records are silent"))  # fmt: skip
    return found


def _apart(said: Mapping[str, Any], share: str) -> list[str]:
    """The groups that stand apart in a share: `less often linked: Female`."""
    found = []
    for against, more in (("higher", "more"), ("lower", "less")):
        groups = [
            f"area {group}" if characteristic == "area" else wording.group(characteristic, group)
            for characteristic in fairness.CHARACTERISTICS
            for group, one in said["rates"][characteristic][share].items()
            if one["against"] == against and group != fairness.NOT_RECORDED
        ]
        if groups:
            found.append(f"{more} often {wording.SHORT[share]}: {', '.join(groups)}")
    return found


def asks(said: Mapping[str, Any], found: Sequence[Finding]) -> list[str]:
    """What the committee is asked to do, of whom; the force's people in the order in which they first come up."""
    asks = []
    if any(paper["name"] == "ethics_advice" and paper["state"] != "in force" for paper in said["papers"]):
        asks.append("Give its own advice, or say what it needs first: that paper is not in force.")
    asks.append("Say whether the tool serves the public interest, which no count can say (chapter 7).")
    asks += [each.ask + "." for each in found if each.who == "committee"]
    for who in (_LEAD, _DPO, _ANALYSTS):
        if mine := list(dict.fromkeys(each.ask for each in found if each.who == who)):
            asks.append(f"Ask {who}: {'; '.join(mine)}.")
    return asks
