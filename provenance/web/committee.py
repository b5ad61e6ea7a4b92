"""The ethics report in words, for a committee that knows neither policing nor programs: two first pages (`firstpage`),
eight questions, an annex. What is said is worked out elsewhere (`ethics`) and only worded here.

A number that is too small to tell reads "0 to 4". Long tables stand in the annex; whoever reads only as far as the
eighth question has read what there is to decide on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from provenance import charts, ethics, fairness, tallies
from provenance.charts import Chart
from provenance.web import firstpage, wording, words

_CHANGES_SHOWN = 40
_ACTS = {
    "Built": "Weekly results worked out, past weeks' among them",
    "Published": "Weekly results made ready for staff to look at",
    "Withdrawn": "Weekly results taken back", "Failed": "Weekly runs that failed",
    "Confirmed": "Warnings about incoming records that a person let pass", "Received": "Deliveries of records received",
    "Quarantined": "Deliveries that brought back something destroyed, which was kept out",
    "Held": "Legal holds placed", "Progressed": "Legal holds updated", "Released": "Legal holds ended",
    "Reviewed": "Decisions to keep something after looking at it again",
    "Restricted": "Things due to be destroyed that wait for a legal hold",
    "Disposed": "Orders to destroy something", "Certified": "Orders to destroy carried out and certified",
    "Viewed": "Pages looked at", "Consulted": "Looks at held material for a case",
    "Exported": "Files taken out", "Recalled": "Files for other programs ended",
    "Traced": "Questions about who looked at what", "Sent": "Things sent to somebody outside",
    "Notified": "People told of a correction", "Asked": "People who asked what is held about them",
    "Answered": "Answers to such people", "Reported": "Errors reported", "Triaged": "Errors taken up",
    "Settled": "Errors settled", "Reproduced": "Weekly results made again to check them",
    "Issued": "Reports like this one", "Granted": "Staff given the right to look", "Revoked": "Staff no longer let in",
    "Restored": "Restored from a backup", "Rekeyed": "Key that signs changed", "Relocked": "Key that locks changed",
}  # fmt: skip
_GRADES = {  # by scheme, as the record has it
    "3x5x2": "In the grades called 3x5x2, the figure is the source: 1 reliable, 2 untested, 3 not reliable. The letter "
             "is the information: A known directly to the source, B known indirectly and confirmed, C known "
             "indirectly, D not known, E suspected to be false.",
    "5x5x5": "In the older grades called 5x5x5, the letter is the source: A always reliable, B mostly, C sometimes, "
             "D unreliable, E untested. The figure is the information: 1 known to be true, 2 known personally to the "
             "source, 3 not so but confirmed, 4 cannot be judged, 5 suspected to be false.",
}  # fmt: skip
_HANDLING = {
    scheme: " ".join(f"{scheme}, code {code}: {text}." for code, text in table.items())
    for scheme, table in words.HANDLING.items()
}
_PAPERS = {
    "technical_report": "how the program works",
    "dpia": "the risks to people whose data is used, and what is done about them",
    "legal_approval": "what the force's lawyers found",
    "accuracy_evaluation": "how often results are right",
    "ethics_advice": "what this committee has said",
    "policy_document": "how sensitive data is used, and for how long",
    "algo_care": "the force's own answers to the eight questions below (ALGO-CARE is a list of them for police)",
}


def document(said: Mapping[str, Any]) -> dict[str, Any]:
    """What an ethics report says: the first pages in sections, chapters, and an annex."""
    counted = said["tables"]["people-by-part"]["counts"].values()
    every = said["rules"]["themes"]
    themes = {theme: text for theme, text in every.items() if any(theme in cells for cells in counted)} or every
    found = firstpage.findings(said, themes)
    what = wording.period(said["period"])
    owner = said["owner"]
    return {
        "title": "Ethics report on the network system",
        "what": what,
        "archive": said["archive"],
        "owner": owner["name"] or "The force has given no name",
        "made_on": said["made_on"],
        "records": owner["records"] or "The force has not said what these records are.",
        "facts": firstpage.facts(said, what),
        "sections": firstpage.sections(said, themes, found),
        "findings": [{"kind": each.kind, "text": f"{each.head} {each.text}"} for each in found],
        "chapters": [
            _advisory(said), _lawful(said), _granular(said, themes), _owned(said), _challengeable(said),
            _accurate(said, themes), _responsible(said, found), _explainable(said), _annex(said, themes),
        ],
    }  # fmt: skip


# -- pieces ------------------------------------------------------------------------------------------------------------


def _p(text: str) -> dict[str, Any]:
    return {"kind": "text", "text": text}


def _h(text: str) -> dict[str, Any]:
    return {"kind": "heading", "text": text}


def _table(
    title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "", empty: str = "None."
) -> dict[str, Any]:
    """Its first column is text; the others are numbers, or texts where any of them is one but for `0 to 4` and what is
    not said. Without rows the sentence `empty` stands in its place."""
    rows = [list(row) for row in rows]
    if not rows:
        return _p(f"{title}: {empty[0].lower()}{empty[1:]}")
    numeric = [
        bool(at) and all(isinstance(row[at], int) or str(row[at]).startswith(("0 to ", wording.UNSAID)) for row in rows)
        for at in range(len(heads))
    ]
    shown = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    return {"kind": "table", "title": title, "heads": list(heads), "numeric": numeric, "rows": shown, "note": note}


def _figure(caption: str, chart: Chart) -> dict[str, Any]:
    return {
        "kind": "figure", "caption": caption, "svg": chart.svg, "heads": list(chart.columns),
        "rows": [list(row) for row in chart.rows],
    }  # fmt: skip


def _counted(
    said: Mapping[str, Any], name: str, title: str, first: str, columns: Mapping[str, str],
    rows: Mapping[str, str] | None = None, note: str = "",
) -> dict[str, Any]:  # fmt: skip
    """A table of counts as they are told; all of `rows` in order and what they are called, else those that can be told,
    as they come."""
    counts = said["tables"].get(name, {}).get("counts", {})
    named = rows if rows else {row: row for row in counts}
    body = [[text, *(wording.cell(said, name, row, column) for column in columns)] for row, text in named.items()]
    return _table(title, [first, *columns.values()], body, note, f"{wording.few(said)} in each row.")


# -- chapters ----------------------------------------------------------------------------------------------------------


def _chapter(key: str, title: str, answer: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """`title` is the question, `answer` a few sentences in short."""
    return {"id": key, "title": title, "answer": answer, "blocks": blocks}


def _advisory(said: Mapping[str, Any]) -> dict[str, Any]:
    use = said["use"]
    first, *_ = _warning(said)
    blocks = [
        _p("Every page carries a warning. It begins with these words; the whole is in annex D:"),
        {"kind": "quote", "text": first},
        _p(f"Pages were looked at {use['views']:,} times, by {wording.plural(use['staff'], 'member')} of staff. "
           f"{use['for_a_case']:,} of those looks were for a case, at something that is kept for it."
           if use["views"] else "Nobody looked at a page in this time. So nobody can tell whether anybody relies on "
           "them."),
    ]  # fmt: skip
    if use["views"]:
        blocks.append(_table("Pages looked at", ["Page", "Times"],
                             [[name.replace("-", " "), count] for name, count in use["by_view"].items()]))  # fmt: skip
        blocks.append(_table("By whom", ["Role", "Times"],
                             [[role.replace("-", " "), count] for role, count in use["by_role"].items()]))  # fmt: skip
    return _chapter("advisory", "1. Does a person decide, and does the system only advise?",
                    "The system only shows. No page decides anything, and every page says so. Whether staff think for "
                    "themselves this report cannot say: ask how they are trained and checked.", blocks)  # fmt: skip


def _warning(said: Mapping[str, Any]) -> list[str]:
    """The words on every page, one paragraph each."""
    return [f"“{' '.join(part.split())}”" for part in said["caveat"].strip().split("\n\n")]


def _lawful(said: Mapping[str, Any]) -> dict[str, Any]:
    papers = [[p["title"], _PAPERS.get(p["name"], ""), _state(p)] for p in said["papers"]]
    good = sum(p["state"] == "in force" for p in said["papers"])
    late = any(said["tables"][name]["counts"] for name in ("people-due", "records-due"))
    made_up = wording.invented(said, "retention")
    if not late:
        kept = "Nothing, or almost nothing, is kept past its date."
    elif made_up:
        kept = "Things are kept past their date, but the dates were made up for this trial."
    else:
        kept = "Things are kept past their date."
    return _chapter("lawful", "2. Is there a purpose and a legal basis, and is nothing kept too long?",
                    f"The purpose and the legal basis have to stand in papers. {good or 'None'} of the {len(papers)} "
                    f"{wording.was(good or 1)} shown to be in force. Whether they are right is for the force's lawyers "
                    f"to say. {kept}",
                    [_table("Papers that should govern the system", ["Paper", "What it says", "On the day of the "
                                                                     "result"], papers),
                     _kept_too_long(said), *_destroyed(said)])  # fmt: skip


def _state(paper: Mapping[str, str]) -> str:
    if paper["state"] == "not supplied":
        return "not supplied"
    days = [f"from {paper['first_day']}"] * bool(paper["first_day"])
    days += [f"to {paper['last_day']}"] * bool(paper["last_day"])
    return f"{paper['state']}: version {paper['version'] or 'not named'}{', valid ' * bool(days)}{' '.join(days)}"


def _kept_too_long(said: Mapping[str, Any]) -> dict[str, Any]:
    """People and records past their dates, side by side."""
    rows = {"due for disposal": "should have been destroyed", "due for review": "should have been looked at again"}
    columns = [(unit, name) for unit in ("people", "records") for name in (ethics.NOW, ethics.A_YEAR)]
    body = [
        [text, *(wording.cell(said, f"{unit}-due", row, name) for unit, name in columns)]
        for row, text in rows.items()
    ]  # fmt: skip
    if not any(said["tables"][f"{unit}-due"]["counts"] for unit in ("people", "records")):
        return _p("Things past their date: none, or too few to print.")
    late = "Late by a year or more"
    return _table(f"Things past their date, on {wording.day(said['made_on'])}",
                  ["What", "People", late, "Records", late], body,
                  "Rules say how long things are kept, and when somebody has to look whether they are still needed. "
                  "They are among the settings of annex A. People stand for all that is held about them. Records are "
                  "counted for themselves, whomever they name, and may name the same people."
                  + " Here the dates were made up for a trial." * wording.invented(said, "retention"))  # fmt: skip


def _destroyed(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    holds = said["holds"]
    blocks = []
    if said["disposals"]:
        blocks.append(_table(
            "Orders to destroy something in this time", ["Reason", "Orders", "Carried out and certified"],
            [[d["reason"].replace("-", " "), d["disposals"], d["certified"]] for d in said["disposals"]]))  # fmt: skip
    else:
        blocks.append(_p("Nothing was ordered to be destroyed in this time."))
    about = "A legal hold is an order to keep something that a court or an inquiry may need."
    if any(holds.values()):
        blocks.append(_table("Legal holds", ["Holds", "Number"],
                             [["in force now", holds["standing"]], ["placed in this time", holds["placed"]],
                              ["ended in this time", holds["released"]],
                              ["late to be looked at again", holds["overdue"]]], about))  # fmt: skip
    else:
        blocks.append(_p(f"{about} There was none in this time."))
    return blocks


def _granular(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    counts = said["tables"]["records-by-source"]["counts"]
    of = said["owner"]["sources"]
    upto = {feed["system"]: wording.day(feed["complete_to"]) for feed in said["feeds"]}
    sources = [
        [system, of.get(system, "the force has not said"), kind.lower(), count, upto.get(system, "not said")]
        for system, cells in counts.items() for kind, count in cells.items()
    ]  # fmt: skip
    blocks = [
        _table("Where the records come from", ["System", "What the system is", "Kind of record", "Records",
                                               "Newest record"], sources),
        _why_none(said),
    ]  # fmt: skip
    if len(themes) > 1:
        none = {"no theme": "none of them"} if "no theme" in said["tables"]["records-by-theme"]["counts"] else {}
        blocks.insert(1, _counted(said, "records-by-theme", "Records for each kind of crime (one can be for several)",
                                  "Kind of crime", {"records": "Records"}, {**themes, **none}))  # fmt: skip
    oldest = max(said["feeds"], key=lambda feed: feed["days_before"], default=None)
    late = oldest and oldest["days_before"] > wording.STALE_DAYS
    return _chapter(
        "granular", "3. Is the data detailed and reliable enough?",
        f"{_of_graded(said)} {_that_link_nobody(said)}"
        + (f"The oldest record system was {wording.behind(oldest['days_before'])} behind. " if late else "")
        + "Whether that is enough, ask the head of the analysts.", blocks,
    )  # fmt: skip


def _of_graded(said: Mapping[str, Any]) -> str:
    """How many of the records that need a grade may count."""
    graded = [cells for row, cells in said["tables"]["records-by-grade"]["counts"].items() if row != "no grade"]
    may = sum(cells.get("may count towards a link", 0) for cells in graded)
    most = may + sum(cells.get("may not", 0) for cells in graded)
    kinds = wording.listed([kind.replace("_", " ") for kind in said["rules"]["needs_grade"]])
    grade = f"{kinds.capitalize()} (what the police were told) has a grade: how far it can be trusted."
    made_up = " The grades here were made up for a trial." * wording.invented(said, "grades")
    if not (share := wording.in_hundred(may, most)):
        return f"{grade} Too few pieces have a grade to say how many count.{made_up}"
    aside = "; the rest are left aside" if may < most else ""
    return f"{grade} Of about {most:,} graded pieces, {share} count{aside}.{made_up}"


def _reasons(said: Mapping[str, Any]) -> Counter[str]:
    """Why records count for nothing or link nobody, and about how many, of the counts as they are told."""
    why: Counter[str] = Counter()
    for what, cells in said["tables"]["records-left-out"]["counts"].items():
        why[what.partition(": ")[2]] += cells.get("records", 0)
    return why


def _that_link_nobody(said: Mapping[str, Any]) -> str:
    """The share of all records that count for nothing or link nobody; ends with a space, or is ""."""
    every = sum(sum(cells.values()) for cells in said["tables"]["records-by-source"]["counts"].values())
    why = _reasons(said)
    if not (share := wording.in_hundred(sum(why.values()), every)):
        return ""
    return f"Of all records, {share} link nobody. "


def _why_none(said: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        [_WHY.get(reason) or words.LEFT_OUT.get(reason, reason), count]
        for reason, count in _reasons(said).most_common()
    ]
    return _table("Why records link nobody", ["Reason", "About how many records"], rows,
                  empty="None, or too few to print.")  # fmt: skip


_WHY = {  # where the words of the pages would want explaining here
    "no-theme": "it is about none of these kinds of crime",
    "grade-not-admitted": "its grade is too low",
}


def _or_few(said: Mapping[str, Any], count: int) -> int | str:
    """Of so few people that one of them could be told, only that they are few."""
    return count if count >= said["least_count"] else wording.few(said)


def _owned(said: Mapping[str, Any]) -> dict[str, Any]:
    heads = said["heads"]
    seen = sorted({name for head in heads["shown"] for name in head["cosigned_by"]})
    acts = [[text, said["acts"][name]] for name, text in _ACTS.items() if name in said["acts"]]
    granted = ", ".join(f"{role.replace('-', ' ')} {_or_few(said, count)}" for role, count in said["granted"].items())
    made = said["acts"].get("Built", 0)
    of_other_weeks = made - len(said["builds"])
    notes = [f"{of_other_weeks} of the {made} weekly results were worked out afterwards, for earlier weeks."
             ] * (of_other_weeks > 0)  # fmt: skip
    notes += [f"Given the right to look, by role: {granted}."] * bool(granted)
    notes += ["Whoever may look need not have done so: chapter 1 says who did."] * bool(granted)
    outside = (f"Outside the force, {wording.listed(seen)} {wording.has(len(seen))} signed for it." if seen else
               "Nobody outside the force has signed for it yet.")  # fmt: skip
    blocks = [
        _p("Everything that is done to the system is written in a logbook. One long number stands for the whole "
           "logbook, like a seal; it is in annex C. Keep it, and at the next report have an auditor of your choice "
           "compare it: the program has a command for it. Only somebody "
           f"with an older copy can notice that a logbook was replaced. {outside}"),
        _table("What was done in this time, from the logbook", ["What", "Times"], acts, " ".join(notes),
               "Nothing. Results that were worked out later, for past weeks, are counted when they were worked out."),
    ]  # fmt: skip
    return _chapter("owned", "4. Who owns and controls the system and its data?",
                    "The force holds the data, the keys and the logbook. No paper seen here says who owns the program, "
                    "and whether the force may look inside and change it: ask the force.", blocks)  # fmt: skip


def _challengeable(said: Mapping[str, Any]) -> dict[str, Any]:
    errors = said["errors"]
    time = errors["days_to_settle"]
    rows = [["reported in this time", errors["reported"]], ["settled in this time", errors["settled"]],
            ["open at its end", errors["open"]]]  # fmt: skip
    if time:
        rows += [["days until the middle one was settled", time["median"]],
                 ["days until the slowest one was settled", time["longest"]]]  # fmt: skip
    any_at_all = errors["reported"] or errors["settled"] or errors["open"]
    blocks = [_table("Errors", ["Reports of an error", "Number"], rows)] if any_at_all else []
    for name, title in (("findings", "What was found"), ("causes", "Where the errors came from")):
        if errors[name]:
            blocks.append(_table(title, [title, "Reports"],
                                 [[k.replace("-", " "), v] for k, v in errors[name].items()]))  # fmt: skip
    asked = said["acts"].get("Asked", 0)
    told = f"{wording.plural(errors['reported'], 'error was', 'errors were')}" if errors["reported"] else "no error was"
    return _chapter(
        "challengeable", "5. Can somebody who is affected question what was said?",
        "Staff can report any page as wrong. It is then put right where the record was kept, and whoever was given the "
        f"wrong figure is told. In this time {told} reported. "
        f"{wording.plural(asked, 'person', 'people').capitalize() if asked else 'Nobody'} asked what is held about "
        "them. "
        + ("" if said["use"]["views"] or errors["reported"] else
           "Nobody looked at a page either, so that proves nothing. ")
        + "How the public is told, and how somebody complains, ask the data-protection officer.", blocks,
    )  # fmt: skip


def _accurate(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    hang = {
        "all links": "all", "rest on one record": "rest on one record",
        "rest on intelligence alone": "rest on intelligence alone",
        wording.BARE: "rest on one piece of intelligence, and nothing confirms it",
    }  # fmt: skip
    made = [[wording.week(one["build"]), wording.day(one["on"]), one["verdict"]] for one in said["reproductions"]]
    withheld = "figures withheld"
    parts = {
        tallies.EVERYBODY: "all people", "suspected, never a victim": "suspected, never a victim",
        "suspected in one record, victim in another": "suspected in one record, victim in another",
        "victim and nothing else": "victim and nothing else", "witness, or another part": "witness, or another part",
        **({withheld: "not said, to protect somebody"} if withheld in said["tables"]["people-by-part"]["counts"]
           else {}),
    }  # fmt: skip
    children = dict(zip(tallies.CHILDREN, ("all under 18", "suspected of something", "victims and nothing else"),
                        strict=True))  # fmt: skip
    sizes = {row: row for row in (tallies.of_line(*each) for each in tallies.SIZES)}
    everything, one = (
        sum(wording.count(said, "links-that-hang", row, theme) or 0 for theme in themes)
        for row in ("all links", "rest on one record")
    )
    size_withheld = "stayed, size withheld"
    stayed = {
        "stayed, as many people": "stayed, with as many people", "stayed, more or fewer people": "grew or shrank",
        "new": "new", "gone": "gone",
        **({size_withheld: "stayed; its size is not said"}
           if size_withheld in said["tables"].get("networks-that-stayed", {}).get("counts", {}) else {}),
    }  # fmt: skip
    blocks = [
        _counted(said, "links-that-hang", "What links rest on", "Links", themes, hang,
                 "If the one record behind a link is wrong, the link is wrong. Pages mark such links"
                 f"{', and they make no network' if wording.strict(said) else ''}. Nobody has to act on these figures: "
                 "they say how careful a reader of the pages has to be."
                 f" “{wording.few(said)}”, here and below, is a number too small to print."),
        _counted(said, "people-by-part", "People, linked or not, by what the records say of them", "Part",
                 themes, parts, "Victims and witnesses are here because a record names them beside somebody else."
                 + (" Which part each kind of person has here, the box on page 1 says."
                    if firstpage.explains_suspected(said) else "")),
        _counted(said, "children-by-part", "People under 18", "Part", themes, children,
                 "The others under 18 are witnesses or have another part, such as missing. Under 18 is on the day of "
                 "the result; whoever was a child when it happened may be older now.")
        if wording.aged(said) else _p("Ages are not recorded, so nobody can say how many are under 18."),
        _counted(said, "networks-by-size", "Networks, by the number of people in them", "People in the network",
                 themes, sizes, _on_sizes(said, themes)),
        _counted(said, "networks-that-stayed", f"Networks, compared with {_before(said)}", "Network", themes, stayed,
                 "Networks that change much from one result to the next are worth less."
                 + " No newer records came in, so none could change." * bool(wording.last_record(said)))
        if "networks-that-stayed" in said["tables"] else
        _p("There is no result before this one to compare networks with."),
        _table("Results made a second time from the same records", ["Result of", "When", "Outcome"], made,
               empty="None. So nobody checked that the same records give the same result."),
    ]  # fmt: skip
    share = wording.in_hundred(one, everything)
    evaluated = any(p["name"] == "accuracy_evaluation" and p["state"] == "in force" for p in said["papers"])
    return _chapter(
        "accurate", "6. How far can the result be relied on, and is that checked?",
        f"{share[0].upper() + share[1:] if share else 'An unknown share of'} links rest on a single record. "
        + (f"{wording.plural(len(made), 'result was', 'results were')} made again as a check. " if made else
           "No result was made again as a check. ")
        + ("A study of how often the result is right is in force." if evaluated else
           "No study shows how often the result is right."), blocks,
    )  # fmt: skip


def _on_sizes(said: Mapping[str, Any], themes: Mapping[str, str]) -> str:
    """What a network is worth that has outgrown use; "" where none has."""
    if not wording.outgrown(said, list(themes)):
        return ""
    return (f"A network of more than {wording.OUTGROWN} in 100 of all people of its kind of crime does not show who "
            "acts together (page 2).")  # fmt: skip


def _in_order(said: Mapping[str, Any], name: str) -> dict[str, str]:
    """Rows that are numbers or spans of them, the smallest first."""
    rows = said["tables"][name]["counts"]
    return {row: row for row in sorted(rows, key=lambda row: int(row.split(" ")[0].replace(",", "")))}


_OVER = (("people", "People"), ("links", "Links"), ("networks", "Networks"))


def _before(said: Mapping[str, Any]) -> str:
    """The build that came before this one; without its week where a table by build has not all of them."""
    labels = list(_labels(said, "people"))
    whole = len(labels) == said["build_number"]
    return f"the result before, of {wording.week(labels[-2])}" if whole else "the result before"


def _labels(said: Mapping[str, Any], unit: str) -> dict[str, date]:
    counts = said["tables"][f"{unit}-over-builds"]["counts"]
    return {label: _monday(label) for label in sorted(counts, key=lambda label: (label.partition(".")[0], len(label)))}


def _then_and_now(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[dict[str, Any]]:
    """The build beside those of about a quarter and about a year before, at most three weeks off."""
    found: dict[str, str] = {}
    labels = _labels(said, "people")
    here = _monday(said["build"])
    for name, back in (("A year before", 364), ("Three months before", 91)):
        near = {abs((here - day).days - back): label for label, day in labels.items() if label != said["build"]}
        if near and min(near) <= 21:
            found[name] = near[min(near)]
    if not found:
        return [_p("There was no result three months or a year before to compare with.")]
    found["Now"] = said["build"]
    rows = [
        [f"{title}: {text}" if len(themes) > 1 else title,
         *(wording.cell(said, f"{unit}-over-builds", label, theme) for label in found.values())]
        for unit, title in _OVER for theme, text in themes.items()
    ]  # fmt: skip
    heads = [f"{name} ({wording.week(label)})" for name, label in found.items()]
    return [_table("Then and now", ["What", *heads], rows)]


def _over_time(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for unit, title in _OVER:
        counts = said["tables"][f"{unit}-over-builds"]["counts"]
        labels = _labels(said, unit)
        dates = list(labels.values())
        if len(labels) < 2 or len(set(dates)) < len(dates):
            continue
        series, small = [], []
        for theme, text in themes.items():
            values = tuple(counts[label].get(theme) for label in labels)
            series.append(charts.Series(text, values))  # one that is not drawn too, so that each keeps its colour
            if not any(values):
                small.append(text)
        sparse = (dates[-1] - dates[0]).days > 21 * len(dates)
        chart = charts.lines(
            dates, list(labels), series, title=title, prefix=f"over-{unit}", points=sparse, height=220,
            said=f"{title} in each weekly result, one line for each kind of crime; the table has the figures.",
        )  # fmt: skip
        beside = f" ({wording.listed(small)}: {wording.few(said)}, not drawn)" if small else ""
        drawn = _figure(f"{title} in each weekly result{beside}", chart)
        drawn["rows"] = [[wording.few(said) if cell == charts.NONE else cell for cell in row] for row in drawn["rows"]]
        found.append(drawn)
    return found


def _monday(label: str) -> date:
    year, _, week = label.partition("-W")
    return date.fromisocalendar(int(year), int(week.partition(".")[0]), 1)


def _responsible(said: Mapping[str, Any], found: Sequence[firstpage.Finding]) -> dict[str, Any]:
    least = said["least_count"]
    shares = _shares(said)
    made_up = ("Grades of intelligence were made up for this trial, and decide which intelligence makes a link. So "
               "what is said here of linked and key people rests in part on made-up grades."
               if said["rates_on_invented_grades"] else "")  # fmt: skip
    blocks = [
        _p("No rule uses sex, ethnicity, age or another protected characteristic. Yet a blind rule can still fall more "
           "heavily on one group, because the records do. The drawings show it. The first of each kind is about the "
           "records; the others are about what the program makes of them."),
        _p("In each drawing, the dot is the share of a group. Chance and rounding blur it: the true share may lie "
           f"anywhere on the line through the dot. Of 100 such lines, about {fairness.CONFIDENCE} hold it. The dashed "
           "upright is the share of all people in the records of whom it is recorded, and the grey stripe is what that "
           "may be. Of many people line and stripe are so short that they can hardly be seen. Where line and stripe of "
           "a group do not touch, the group differs, and page 1 or 2 says so. That need not be unfair, and the group "
           f"need not do more: records show where police have looked.{_example(said)}"),
        *([_p("Key people have one of the ten highest figures for a kind of crime. The figures are: how many links, "
              "how strong they are, how many records, and how much harm. A link is stronger the more records it has, "
              "and the graver their kind.")] if "key" in shares else []),
        *([_p(made_up)] if made_up else []),
        *([] if wording.adopted(said) else
          [_p("Harm has no drawing here, because no force has adopted the table that it is counted with. It still "
             "counts for who is among the key people.")]),
    ]  # fmt: skip
    for characteristic in fairness.CHARACTERISTICS:
        blocks += _of_characteristic(said, characteristic, shares)
    blocks.append(_p(f"Groups of fewer than {ethics.LEAST_OF_GROUP * least} people are left out, and areas of fewer "
                     f"than {ethics.LEAST_OF_AREA * least}. What is said of so few may be about somebody one knows. "
                     "People whose records were destroyed, or may only be looked at for a court case, are left out "
                     "too."))  # fmt: skip
    apart = [each for each in found if each.ask == firstpage.DIFFERENCES]
    blind = wording.blind(said)
    return _chapter(
        "responsible", "7. Is it fair, and does it serve the public interest?",
        ("Some groups differ from all people together, and the force owes an explanation. " if apart else
         "No group differs from all people together by more than chance and rounding allow. ")
        + (f"By {wording.listed(blind)} nobody can judge. " if blind else "")
        + "Whether the system serves the public interest no figure can say: it is the committee's own question.",
        blocks,
    )  # fmt: skip


def _shares(said: Mapping[str, Any]) -> list[str]:
    """The shares that are worth a drawing: not by a harm table that nobody adopted, nor where no group can be told."""
    drawn = []
    for share in wording.SHARES:
        told = [one for by in fairness.CHARACTERISTICS for group, one in said["rates"][by][share].items()
                if group in wording.groups(said["rates"][by][share]) and "per_mille" in one]  # fmt: skip
        if told and (share != "harmed" or wording.adopted(said)):
            drawn.append(share)
    return drawn


def _example(said: Mapping[str, Any]) -> str:
    """One line of a drawing, read aloud; "" where there is none."""
    for characteristic in fairness.CHARACTERISTICS:
        rates = said["rates"][characteristic]["linked"]
        for group in wording.groups(rates):
            one = rates[group]
            if "per_mille" in one:
                share, low, high = (_percent(one[name]) for name in ("per_mille", "low", "high"))
                return (f" For example, {wording.group(characteristic, group)}: {one['of']:,} of {one['among']:,} "
                        f"people are linked, or {share} in 100. The true share may be anything from {low} to {high} in "
                        "100.")  # fmt: skip
    return ""


def _percent(per_mille: int) -> str:
    return f"{per_mille // 10}.{per_mille % 10}"


def _of_characteristic(said: Mapping[str, Any], characteristic: str, drawn: Sequence[str]) -> list[dict[str, Any]]:
    name = wording.GROUPS[characteristic]
    blocks = [_h(f"By {name}")]
    rates = said["rates"][characteristic]
    plain = wording.plain(characteristic)
    if plain in wording.blind(said):
        return [*blocks, _p(f"The records do not say the {plain} of anybody, or of almost nobody.")]
    groups = sorted(wording.groups(rates["linked"]), key=lambda group: _rank(characteristic, group, rates))
    table = said["tables"][_group_table(characteristic)]
    if characteristic == "area":
        if not groups:
            least = ethics.LEAST_OF_AREA * said["least_count"]
            return [*blocks, _p(f"No area has {least} people or more, too few to say anything by area.")]
        others = "Other areas are neither drawn nor judged. " if table["left_out"] else ""
        codes = said["owner"]["areas"] or "The force has not said what the codes stand for."
        blocks.append(_p(f"The {len(groups)} areas with the most people. {others}A person belongs to the area of most "
                         f"of their records. {codes}"))  # fmt: skip
    too_few = []
    for share in drawn:
        told = sum("per_mille" in rates[share][group] for group in groups)
        text = wording.SHARES[share]
        if 2 * told <= len(groups):
            too_few.append(f"who is {wording.SHORT[share]}")
            continue
        rows = [_range(wording.group(characteristic, group), rates[share][group]) for group in groups]
        everybody = _range(wording.whole(said, characteristic, share), rates[share][ethics.EVERYBODY])
        chart = charts.ranges(
            rows, everybody, title=f"{text}, by {name}",
            said="Shares with the span of what they may be, beside that of all; the table has the figures.",
            prefix=f"share-{characteristic.replace('_', '-')}-{share}",
        )  # fmt: skip
        marked = " (in part by made-up grades)" if share in said["rates_on_invented_grades"] else ""
        blocks.append(_figure(f"{text}{marked}", chart))
    if too_few:
        blocks.append(_p(f"Too few people to draw by {plain}: {wording.listed(too_few)}."))
    return [*blocks, *_of_the_gap(said, characteristic), _behind(said, characteristic, groups, table)]


def _of_the_gap(said: Mapping[str, Any], characteristic: str) -> list[dict[str, Any]]:
    """Of how many a characteristic is not recorded, and how they fare."""
    shares = said["rates"][characteristic]["linked"].get(fairness.NOT_RECORDED, {})
    if not (among := shares.get("among")):
        return []
    plain = wording.plain(characteristic)
    text = wording.gap(said, characteristic) or f"Of {among:,} people the {plain} is not recorded"
    misses = f" What is said by {plain} misses them." if wording.gap(said, characteristic) else ""
    return [_p(f"{text}. They are no group of people but a gap in the records: they are not drawn and not judged."
               f"{misses}")]  # fmt: skip


def _group_table(characteristic: str) -> str:
    return f"groups-by-{characteristic.replace('_', '-')}"


def _behind(
    said: Mapping[str, Any], characteristic: str, groups: Sequence[str], table: Mapping[str, Any]
) -> dict[str, Any]:
    """The counts behind the drawings of a characteristic."""
    columns = {"recorded": "In the records", "offending": "Suspected", "linked": "Linked", "key": "Key people"}
    columns |= {"harmed": "With harm"} if wording.adopted(said) else {}
    rates, counts, name = said["rates"][characteristic], table["counts"], wording.GROUPS[characteristic]
    of = _group_table(characteristic)
    others = [ethics.EVERYBODY, fairness.NOT_RECORDED]
    body = [
        [wording.group(characteristic, group), *(wording.cell(said, of, group, column) for column in columns),
         _in_words(said, rates, group) if group in groups else
         "a gap, not judged" if group == fairness.NOT_RECORDED else "–"]
        for group in [*groups, *others] if group in counts
    ]  # fmt: skip
    note = "Smaller groups are left out." if table["left_out"] else ""
    if table["left_out"] and ethics.EVERYBODY not in counts:
        note = "Groups that are too small are left out, and so are the totals: from them the small could be worked out."
    elif fairness.NOT_RECORDED in counts:
        body.append(["all people", *(wording.cell(said, "people-in-all", "people", column) for column in columns), "–"])
    if any(wording.UNSAID in row for row in body):
        note += " A total is not said where a small number could be worked out from it."
    heads = [name.capitalize(), *columns.values(), "Compared with all"]
    return _table(f"The numbers behind it, by {name}", heads, body, note.strip())


def _in_words(said: Mapping[str, Any], shares: Mapping[str, Any], group: str) -> str:
    """How the shares of a group stand to those of everybody: which are higher or lower, else that none clearly is."""
    seen = [share for share in wording.SHARES if share != "harmed" or wording.adopted(said)]
    found = {share: shares[share][group]["against"] for share in seen}
    often = {"higher": "more", "lower": "less"}
    apart = [f"{often[against]} often {wording.SHORT[share]}" for share, against in found.items() if against in often]
    return "; ".join(apart) or ("no clear difference" if "no clear difference" in found.values() else "too few")


def _rank(characteristic: str, group: str, shares: Mapping[str, Any]) -> Any:
    if characteristic == "age_band":
        return fairness.AGE_BANDS.index(group)
    return -shares["linked"][group].get("among", 0), group


def _range(label: str, one: Mapping[str, Any]) -> charts.Range:
    return charts.Range(label, *(one.get(name) for name in ("per_mille", "low", "high")))


def _explainable(said: Mapping[str, Any]) -> dict[str, Any]:
    changes = said["changes"]
    rows = [[wording.week(c["build"]), c["what"], c["before"] or "none", c["after"] or "none"]
            for c in changes[:_CHANGES_SHOWN]]  # fmt: skip
    rest = len(changes) - len(rows)
    blocks = [
        _table("How the method changed in this time", ["Result of", "What", "Before", "After"], rows,
               f"And {rest} more, in the report's data file." if rest else "", "Not at all."),
        *([_p("Code and environment are the program and what it runs on. A change there does not by itself change a "
              "result.")] if {"code", "environment"} & {c["what"] for c in changes} else []),
    ]  # fmt: skip
    return _chapter(
        "explainable", "8. Can it be explained, to those affected and to a court?",
        "To a court it can: each link names the records behind it, so each figure can be worked out again by hand. "
        + ("That was tried in this time (chapter 6). " if said["reproductions"] else
           "Nobody tried it in this time. ")
        + "How it is explained to those affected, ask the data-protection officer.",
        blocks,
    )  # fmt: skip


# -- annex -------------------------------------------------------------------------------------------------------------


def _annex(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, list[dict[str, str]]] = {}
    for each in said["rules"]["to_confirm"]:
        settings.setdefault(each["key"].partition(".")[0], []).append(each)
    rows = [
        [firstpage.SETTINGS.get(section, section).capitalize(), "; ".join(_setting(each["key"]) for each in mine),
         "; ".join(sorted({_TEXTS.get(part, part) for each in mine for part in each["rests_on"].split("; ") if part}))
         or "nothing: it is the makers' own choice"]
        for section, mine in settings.items()
    ]  # fmt: skip
    heads = said["heads"]
    shown = [
        [f"{head['size']:,} entries", ", ".join(head["cosigned_by"]) or "nobody",
         ", ".join(head["stamped_by"]) or "nobody", "yes" if head["enough_witnesses"] else "no"]
        for head in heads["shown"]
    ]  # fmt: skip
    blocks = [
        _h("A. Settings that wait for the force to confirm"),
        _p(f"Until the force confirms them, the choices of the program's makers are used. {firstpage.MEMORY} The last "
           "column says by which of them each has to be checked."),
        _table(f"Settings to confirm, {len(said['rules']['to_confirm'])} in all",
               ["They decide", "Settings", "What to check them against"], rows),
        _h("B. The rule for numbers"),
        _p(said["rule"]),
        _h("C. Seals, for a technical auditor"),
        _p(f"The logbook, which has {heads['size']:,} entries:"),
        {"kind": "code", "text": heads["root"]},
        _p(f"The result of {wording.week(said['build'])} (build {said['build']}), report number {said['number']}. "
           + ("What is stored now was compared with it and is the same:" if said["verified"] else
              "Whether what is stored now agrees with it was not checked:")),
        {"kind": "code", "text": said["root"]},
        *([_table("Seals of the logbook that were published", ["Of", "Signed by", "Time-stamped by",
                                                               "By enough outsiders"], shown)] if shown else []),
        _h("D. The warning on every page"),
        *({"kind": "quote", "text": part} for part in _warning(said)),
        _h("E. How the figures went from week to week"),
        _p("People are all whom a record names for a kind of crime, linked or not."),
        *_then_and_now(said, themes),
        *_over_time(said, themes),
        _h("F. Links and intelligence in more detail"),
        _counted(said, "links-by-records", "Links, by the number of records behind them", "Records behind the link",
                 themes, _in_order(said, "links-by-records")),
        _counted(said, "links-by-sources", "Links, by the number of record systems that those records come from",
                 "Record systems", themes, _in_order(said, "links-by-sources")),
        *_of_intelligence(said),
        _p("The eight questions are those of ALGO-CARE, a list of questions for police who use such programs. It calls "
           "them, in this order: Advisory, Lawful, Granularity, Ownership, Challengeable, Accuracy, Responsible and "
           "Explainable."),
    ]  # fmt: skip
    return _chapter("annex", "Annex", "", blocks)


def _of_intelligence(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Grades and handling codes as recorded, and what they mean."""
    columns = {"may count towards a link": "May count towards a link", "may not": "May not"}
    made_up = " The grades here were made up for a trial." * wording.invented(said, "grades")
    return [
        _p(" ".join(["Intelligence is graded: how reliable its source is, and how well the information is known."
                     f"{made_up}", *_of_schemes(said, "records-by-grade", _GRADES), "Which grades count is the force's "
                     "decision."])),
        _counted(said, "records-by-grade", "Records, by grade", "Grade", columns),
        _p(" ".join(["A handling code says with whom information may be shared.",
                     *_of_schemes(said, "records-by-handling", _HANDLING)])),
        _counted(said, "records-by-handling", "Records, by handling code", "Code", {"records": "Records"}),
    ]  # fmt: skip


def _of_schemes(said: Mapping[str, Any], table: str, words_of: Mapping[str, str]) -> list[str]:
    """What the codes of a table mean, of the schemes that it has."""
    rows = said["tables"][table]["counts"]
    return [text for scheme, text in words_of.items() if any(row.startswith(f"{scheme}: ") for row in rows)]


def _setting(key: str) -> str:
    """What a setting is about, or the last parts of its key."""
    name = key.rpartition(".")[2]
    if ".groups." in key:
        return f"how long records of {_GROUPS_KEPT.get(name, f'group {name}')} are kept"
    if key.startswith("harm.editions."):
        return f"the table “{name}”"
    return _ABOUT.get(name) or name.replace("_", " ")


_ABOUT = {
    "grading": "the table of grades that may count",
    "clear_period": "the parts in a record, such as suspect, by which the time of keeping starts again",
    "no_group": "records that their source put in no group of offences", "no_record": "people in no record",
    "reviews": "the reasons to keep something that a review may give",
    "still_needed": "people who are also in a record that must be kept", "under_10": "records of children under 10",
    "under_18": "records of children under 18", "unknown_birth": "people without a date of birth",
    "withdrawn": "records that their source withdrew", "investigation": "investigations",
    "proceedings": "proceedings in court", "inquiry": "public inquiries", "litigation": "civil claims",
    "appeal": "appeals", "ccrc": "cases before the Criminal Cases Review Commission", "custody": "time in custody",
    "six-months": "six months from a conviction",
}  # fmt: skip
_GROUPS_KEPT = {  # the groups of offences by which police records are kept
    "1": "the gravest offences and public protection", "2": "other sexual, violent or serious offences",
    "3": "all other offences", "4": "undetected crime, missing people, intelligence, victims and witnesses",
}  # fmt: skip
_TEXTS = {  # by how the settings name it
    "APP Review, retention and disposal": "the College of Policing's guidance on keeping and destroying records",
    "Code of Practice 2020": "the disclosure code of 2020 under the Criminal Procedure and Investigations Act 1996",
    "force paper": "the force's own paper on the analyses",
    "the project's own choice": "the makers' own choice",
}
