"""The ethics report in words, for a committee that knows neither policing nor programs: a first page, eight questions,
an annex. What is said is worked out elsewhere (`ethics`) and only worded here.

A number that is too small to tell reads "0 to 4". The first page lists what somebody must act on or explain, and asks
of the committee what follows from that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from provenance import charts, ethics, fairness
from provenance.charts import Chart
from provenance.web import firstpage, wording, words

_CHANGES_SHOWN = 40
_ACTS = {
    "Built": "Weekly builds made, past weeks' among them", "Published": "Builds put on the dashboard",
    "Withdrawn": "Builds taken off the dashboard", "Failed": "Weekly runs that failed",
    "Confirmed": "Warnings about incoming data that a person let pass", "Received": "Deliveries of records received",
    "Quarantined": "Deliveries that brought back something destroyed, which was kept out",
    "Held": "Legal holds placed", "Progressed": "Legal holds updated", "Released": "Legal holds released",
    "Reviewed": "Decisions to keep something after review", "Restricted": "Disposals that wait for a legal hold",
    "Disposed": "Disposals ordered", "Certified": "Disposals finished and certified",
    "Viewed": "Dashboard pages looked at", "Consulted": "Looks at held material for a case",
    "Exported": "Files taken out", "Recalled": "Files for other programs ended",
    "Traced": "Questions about who looked at what", "Sent": "Things sent to somebody outside",
    "Notified": "Recipients told of a correction", "Asked": "People who asked what is held about them",
    "Answered": "Answers to such people", "Reported": "Errors reported", "Triaged": "Errors taken up",
    "Settled": "Errors settled", "Reproduced": "Builds made again to check them",
    "Issued": "Reports like this one", "Granted": "Rights to look at the dashboard, granted",
    "Revoked": "Rights to look at the dashboard, ended", "Restored": "Restored from a backup",
    "Rekeyed": "Signing key changed", "Relocked": "Key of the vault changed",
}  # fmt: skip
_COUNTS = {
    "recorded": "In the records", "offending": "Suspected", "linked": "Linked", "key": "Key people",
    "harmed": "With harm",
}  # fmt: skip
_GRADES = {  # by scheme, as the record has it
    "3x5x2": "In 3x5x2, the scheme in use, the figure is the source (1 reliable, 2 untested, 3 not reliable) and the "
             "letter the information (A known directly to the source, B known indirectly and borne out, C known "
             "indirectly, D not known, E suspected to be false).",
    "5x5x5": "In 5x5x5, the scheme before it, the letter is the source (A always reliable, B mostly, C sometimes, "
             "D unreliable, E untested) and the figure the information (1 known to be true, 2 known personally to the "
             "source, 3 not so but borne out, 4 cannot be judged, 5 suspected to be false).",
}  # fmt: skip
_HANDLING = {
    scheme: "; ".join(f"{code}: {text}" for code, text in table.items()) + "."
    for scheme, table in words.HANDLING.items()
}
_PAPERS = {
    "technical_report": "how the program works",
    "dpia": "the risks to people whose data is used, and what is done about them",
    "legal_approval": "what the force's lawyers found",
    "accuracy_evaluation": "how often results are right",
    "ethics_advice": "what this committee has said",
    "policy_document": "how sensitive data is used, and for how long",
    "algo_care": "the force's own answers to the eight questions below",
}
_SETTINGS = {  # by the first parts of a key, what a setting is about
    "grading": "Which grades of intelligence count",
    "retention": "When something is reviewed or destroyed",
    "holds": "What is kept for a court or an inquiry",
    "harm": "The harm table",
}


def document(said: Mapping[str, Any]) -> dict[str, Any]:
    """What an ethics report says: the first page, chapters, and an annex."""
    counted = said["tables"]["people-by-part"]["counts"].values()
    every = said["rules"]["themes"]
    themes = {theme: text for theme, text in every.items() if any(theme in cells for cells in counted)} or every
    found = firstpage.findings(said, themes)
    what = wording.period(said["period"])
    owner = said["owner"]
    return {
        "title": "Ethics report on network analyses",
        "what": what,
        "archive": said["archive"],
        "owner": owner["name"] or "The force has given no name",
        "made_on": said["made_on"],
        "records": owner["records"] or "The force has not said what these records are.",
        "facts": firstpage.facts(said, what),
        "findings": [{"kind": each.kind, "text": each.text} for each in found],
        "asks": firstpage.asks(said, found),
        "chapters": [
            _reading(said, themes), _advisory(said), _lawful(said), _granular(said, themes), _owned(said),
            _challengeable(said), _accurate(said, themes), _responsible(said, found), _explainable(said), _annex(said),
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
    """Its first column is text; the others are numbers, or texts where any of them is one but for `0 to 4`. Without
    rows the sentence `empty` stands in its place."""
    rows = [list(row) for row in rows]
    if not rows:
        return _p(f"{title}: {empty[0].lower()}{empty[1:]}")
    numeric = [
        bool(at) and all(isinstance(row[at], int) or str(row[at]).startswith(("0 to ", "too ")) for row in rows)
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
    body = [[text, *(wording.cell(said, counts, row, column) for column in columns)] for row, text in named.items()]
    return _table(title, [first, *columns.values()], body, note, f"{wording.few(said)} in each row.")


# -- chapters ----------------------------------------------------------------------------------------------------------


def _chapter(key: str, title: str, name: str, answer: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """`title` is the question, `name` what ALGO-CARE calls it, `answer` one or two sentences in short."""
    return {"id": key, "title": title, "name": name, "answer": answer, "blocks": blocks}


def _reading(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    least = said["least_count"]
    unused = len(said["rules"]["themes"]) - len(themes)
    points = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in said["rules"]["kind_points"].items())
    few = wording.few(said)
    harmless = "" if wording.people(said, "harmed") else f" Here {few} people have any harm, so that list says little."
    no_records = f" ({wording.plural(unused, 'other theme has', 'other themes have')} no records)" if unused else ""
    blocks = [
        _p("Each week a program reads police records and works out who appears in records with whom. One week's result "
           f"is a build, named by year and week: {said['build']} is of {wording.week(said['build'])}. Trained staff "
           f"see it on a dashboard, by theme: {wording.listed(list(themes.values()))}{no_records}. This report names "
           "no person, record or case. Its chapters are the eight questions of ALGO-CARE, which forces are to ask of "
           "such tools; the letters stand for Advisory, Lawful, Granularity, Ownership, Challengeable, Accuracy, "
           "Responsible and Explainable."),
        _p("A link joins two people who are named in the same record, whatever their part: a victim is linked to the "
           "suspect. It is not an accusation. A network is a group of people joined by links that rest on at least "
           f"{said['rules']['least_records']} records"
           f"{' or on somebody both are linked with' if said['rules']['shared_associate'] else ''}. Strength adds up "
           f"points for each record behind a link, by its kind ({points}), fewer for a victim's part and for doubtful "
           "intelligence. Harm adds up days that a fixed table gives each offence. Neither is a probability, and "
           "neither predicts anything."),
        _p("Key people are the first ten of each theme by strength, links, harm and records."
           f"{harmless} Intelligence is information that somebody passed on and an officer graded. To dispose of "
           "something is to destroy it lawfully in every build that had it; a certificate, signed by the archive, "
           "says that it was done. A legal hold keeps what a court or an inquiry needs; what is due to be destroyed "
           "meanwhile is restricted: out of sight until the hold ends. A figure is withheld where it would tell of "
           "somebody who was destroyed or restricted."),
        _p(f"To protect people, counts are rounded to the nearest {least}; “{few}” is a count too small to tell, and "
           f"may be none. A figure is changed only after it has moved by {least} or more, so figures need not add up. "
           "Acts, such as pages looked at, are counted exactly, but not who was given a right. Annex B has the rule."),
    ]  # fmt: skip
    return _chapter("reading", "How to read this report", "", "", blocks)


def _advisory(said: Mapping[str, Any]) -> dict[str, Any]:
    use = said["use"]
    blocks = [
        _p(f"Pages were looked at {use['views']:,} times, by {wording.plural(use['staff'], 'member')} of staff; "
           f"{use['for_a_case']:,} of those looks were at material held for a case."
           if use["views"] else "Nobody looked at a page of the dashboard in this period, so whether anybody relies on "
           "it cannot be told."),
    ]  # fmt: skip
    if use["views"]:
        blocks.append(_table("Pages looked at", ["Page", "Times"],
                             [[name.replace("-", " "), count] for name, count in use["by_view"].items()]))  # fmt: skip
        blocks.append(_table("In which role", ["Role", "Times"], [list(item) for item in use["by_role"].items()]))
    blocks += [
        _p("These words stood on every page of the dashboard:"),
        *({"kind": "quote", "text": f"“{' '.join(part.split())}”"} for part in said["caveat"].strip().split("\n\n")),
    ]
    return _chapter("advisory", "1. Does a person decide, and does the tool only advise?", "Advisory",
                    "The tool only shows; no page decides anything, and every page says so. Whether officers think for "
                    "themselves this report cannot say: ask the force how it trains them and how it checks.",
                    blocks)  # fmt: skip


def _lawful(said: Mapping[str, Any]) -> dict[str, Any]:
    papers = [
        [p["title"], _PAPERS.get(p["name"], ""), _valid(p), p["state"]] for p in said["papers"]
    ]  # fmt: skip
    holds = said["holds"]
    dated = {ethics.NOW: "In all", ethics.A_YEAR: "Of these, for a year or more"}
    rows = {"due for disposal": "past its destruction date", "due for review": "past the date to look at it again"}
    good = sum(p["state"] == "in force" for p in said["papers"])
    late = any(said["tables"][name]["counts"] for name in ("people-due", "records-due"))
    blocks = [
        _table("Papers that govern the analyses, on the day of the build", ["Paper", "It says", "Valid", "State"],
               papers, "In force: the force has supplied it, and the build's day lies within its days."),
        _counted(said, "people-due", "People, by what the retention rules say today", "What is held about a person is",
                 dated, rows, "The rules say how long things are kept; they are among the settings of annex A."),
        _counted(said, "records-due", "Records, by the same rules", "Records", dated, rows),
        _table("Disposals in this period, by reason", ["Reason", "Disposals", "Of which certified"],
               [[d["reason"].replace("-", " "), d["disposals"], d["certified"]] for d in said["disposals"]]),
        _table("Legal holds", ["Holds", "Number"],
               [["standing now", holds["standing"]], ["placed in this period", holds["placed"]],
                ["released in this period", holds["released"]], ["overdue to be looked at again", holds["overdue"]]])
        if any(holds.values()) else _p("Legal holds: none stands, and none was placed or released in this period."),
    ]  # fmt: skip
    return _chapter("lawful", "2. Is there a purpose and a legal basis, and is nothing kept too long?", "Lawful",
                    f"Purpose and basis stand in papers; {good or 'none'} of the {len(papers)} can be shown to have "
                    "been in force. This report cannot judge them: ask the force's legal services. "
                    + ("Nothing, or almost nothing, is past its date." if not late else
                       "Things are kept past their date" + (", by what the owner says on page 1 is invented: it is not "
                                                            "a real failing." if wording.invented(said) else ".")),
                    blocks)  # fmt: skip


def _valid(paper: Mapping[str, str]) -> str:
    if paper["state"] == "not supplied":
        return "none supplied"
    days = [paper["first_day"] or "any day", paper["last_day"] or "further notice"]
    return f"version {paper['version'] or 'not named'}, {days[0]} to {days[1]}"


def _granular(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    counts = said["tables"]["records-by-source"]["counts"]
    of = said["owner"]["sources"]
    behind = {feed["system"]: feed for feed in said["feeds"]}
    sources = [
        [f"{system}: {kind.lower()}", of.get(system, "the force has not said"), count,
         wording.moment(behind[system]["watermark"]) if system in behind else "not said"]
        for system, cells in counts.items() for kind, count in cells.items()
    ]  # fmt: skip
    left = [
        [f"{what.partition(': ')[0].replace('_', ' ')}: {words.LEFT_OUT.get(what.partition(': ')[2], what)}",
         cells.get("records") or wording.few(said)]
        for what, cells in said["tables"]["records-left-out"]["counts"].items()
    ]  # fmt: skip
    grades = {"may count towards a link": "May count towards a link", "may not": "May not"}
    graded = said["tables"]["records-by-grade"]["counts"]
    blocks = [
        _table("Records, by where they come from", ["System and kind", "What the system is", "Records",
                                                    "Complete up to"], sources),
        _counted(said, "records-by-theme", "Records, by theme (some have several)", "Theme", {"records": "Records"},
                 {**themes, "no theme": "No theme"} if "no theme" in said["tables"]["records-by-theme"]["counts"]
                 else themes),
        _p(" ".join(["Intelligence carries a grade: how reliable its source is, and how well the information is known.",
                     *_of_schemes(said, "records-by-grade", _GRADES), "Which grades count is the force's decision.",
                     "A handling code says with whom the information may be shared.",
                     *_of_schemes(said, "records-by-handling", _HANDLING)])),
        _table("Records, by grade as recorded", ["Grade", *grades.values()], _of_grades(said, graded, grades)),
        _counted(said, "records-by-handling", "Records, by handling code as recorded", "Code", {"records": "Records"}),
        _table("Records that count for nothing or link nobody, and why", ["Source, kind and reason", "Records"], left),
    ]  # fmt: skip
    oldest = max(said["feeds"], key=lambda feed: feed["days_before"], default=None)
    late = oldest and oldest["days_before"] > wording.STALE_DAYS
    return _chapter(
        "granular", "3. Is the data detailed and reliable enough for what is said with it?", "Granularity",
        f"{_of_graded(said)} {_that_link_nobody(said)}"
        + (f"The oldest source was {wording.behind(oldest['days_before'])} behind. " if late else "")
        + "Whether that is enough for the purpose this report cannot say: ask the head of the analysts.", blocks,
    )  # fmt: skip


def _of_graded(said: Mapping[str, Any]) -> str:
    """How many of the records that need a grade may count."""
    graded = [cells for row, cells in said["tables"]["records-by-grade"]["counts"].items() if row != "no grade"]
    may = sum(cells.get("may count towards a link", 0) for cells in graded)
    most = may + sum(cells.get("may not", 0) for cells in graded)
    kinds = wording.listed([kind.replace("_", " ") for kind in said["rules"]["needs_grade"]])
    if not (share := wording.in_hundred(may, most)):
        return f"Too few pieces of {kinds} have a grade to say how many may count. The other records need none."
    return f"Of about {most:,} graded pieces of {kinds}, {share} may count. The other records need no grade."


def _that_link_nobody(said: Mapping[str, Any]) -> str:
    """The share of all records that count for nothing or link nobody, and why, the commonest reason first; ends with a
    space, or is ""."""
    every = sum(sum(cells.values()) for cells in said["tables"]["records-by-source"]["counts"].values())
    why: Counter[str] = Counter()
    for what, cells in said["tables"]["records-left-out"]["counts"].items():
        why[what.partition(": ")[2]] += cells.get("records", 0)
    if not (share := wording.in_hundred(sum(why.values()), every)):
        return ""
    reasons = [f"{words.LEFT_OUT.get(reason, reason)} (about {count:,})" for reason, count in why.most_common()]
    return f"Of all records, {share} count for nothing or link nobody: {'; '.join(reasons)}. "


def _of_grades(said: Mapping[str, Any], graded: Mapping[str, Any], grades: Mapping[str, str]) -> list[list[Any]]:
    """One grade a row; a grade counts or does not, so the column that is too small is a dash in words: none."""
    return [[row, *(wording.cell(said, graded, row, column) for column in grades)] for row in graded]


def _of_schemes(said: Mapping[str, Any], table: str, words_of: Mapping[str, str]) -> list[str]:
    """What the codes of a table mean, of the schemes that it has."""
    rows = said["tables"][table]["counts"]
    return [text for scheme, text in words_of.items() if any(row.startswith(f"{scheme}: ") for row in rows)]


def _or_few(said: Mapping[str, Any], count: int) -> int | str:
    """Of so few people that one of them could be told, only that they are few."""
    return count if count >= said["least_count"] else wording.few(said)


def _owned(said: Mapping[str, Any]) -> dict[str, Any]:
    heads = said["heads"]
    seen = [head for head in heads["shown"] if head["cosigned_by"]]
    acts = [[text, said["acts"][name]] for name, text in _ACTS.items() if name in said["acts"]]
    granted = ", ".join(f"{role.replace('-', ' ')} {_or_few(said, count)}" for role, count in said["granted"].items())
    of_other_weeks = said["acts"].get("Built", 0) - len(said["builds"])
    notes = [f"{of_other_weeks} of the {said['acts'].get('Built')} builds were made afterwards, for earlier weeks."
             ] * (of_other_weeks > 0)  # fmt: skip
    notes += [f"Rights were granted to: {granted}."] * bool(granted)
    notes.append("Other entries of the log, such as its own beginning, are not listed.")
    blocks = [
        _p(f"Everything that is done to the archive is written in a log, which has {heads['size']:,} entries. One "
           "long number, its fingerprint, stands for all of them: it is the seal of the log, and is in annex C. Keep "
           "page 1 and that number. At the next report, have it compared: only who holds an earlier copy can notice a "
           "change. "
           + (f"Outside the force {wording.listed(sorted({name for head in seen for name in head['cosigned_by']}))} "
              f"{wording.has(len({name for head in seen for name in head['cosigned_by']}))} signed one."
              if seen else "Nobody outside the force has signed one yet.")),
        _table("What was done to the archive in this period, by the day it was logged", ["What", "Times"], acts,
               " ".join(notes),
               "Nothing. Builds that were made later, of weeks gone by, count in the period in which they were made."),
    ]  # fmt: skip
    return _chapter("owned", "4. Who owns and controls the tool and its data?", "Ownership",
                    "The force holds the data, the keys and the log. Who owns the program, and whether the force may "
                    "inspect and change it, stands in no paper that this report has seen: ask the force.",
                    blocks)  # fmt: skip


def _challengeable(said: Mapping[str, Any]) -> dict[str, Any]:
    errors = said["errors"]
    time = errors["days_to_settle"]
    rows = [["reported in this period", errors["reported"]], ["settled in this period", errors["settled"]],
            ["open at its end", errors["open"]]]  # fmt: skip
    if time:
        rows += [["days until settled, the middle one", time["median"]], ["days until settled, the longest",
                 time["longest"]]]  # fmt: skip
    any_at_all = errors["reported"] or errors["settled"] or errors["open"]
    blocks = [_table("Errors", ["Reports of an error", "Number"], rows)] if any_at_all else []
    for name, title in (("findings", "What was found"), ("causes", "Where the errors came from")):
        if errors[name]:
            blocks.append(_table(title, [title, "Reports"],
                                 [[k.replace("-", " "), v] for k, v in errors[name].items()]))  # fmt: skip
    asked = said["acts"].get("Asked", 0)
    told = f"{wording.plural(errors['reported'], 'error was', 'errors were')}" if errors["reported"] else "no error was"
    return _chapter(
        "challengeable", "5. Can somebody who is affected, or an expert, question what was said?", "Challengeable",
        "Staff can report any page as wrong; it is then put right at the source, and whoever was given the wrong "
        f"figure is told. In this period {told} reported, and "
        f"{wording.plural(asked, 'person', 'people') if asked else 'nobody'} asked what is held about them. "
        + ("" if said["use"]["views"] or errors["reported"] else
           "Nobody looked at a page either, so that no error was reported proves nothing. ")
        + "How the public is told, and how somebody complains, this report cannot say: ask the data-protection "
        "officer.", blocks,
    )  # fmt: skip


def _accurate(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    hang = {
        "all links": "all links", "rest on one record": "rest on one record",
        "rest on intelligence alone": "rest on intelligence alone", wording.BARE: wording.BARE,
    }  # fmt: skip
    made = [[one["build"], wording.day(one["on"]), one["verdict"]] for one in said["reproductions"]]
    parts = {
        "everybody": "all in the theme", "suspected, never a victim": "suspected, never a victim",
        "suspected in one record, victim in another": "suspected in one record, victim in another",
        "victim and nothing else": "victim and nothing else", "witness, or another part": "witness, or another part",
    }  # fmt: skip
    if "figures withheld" in said["tables"]["people-by-part"]["counts"]:
        parts["figures withheld"] = "figures withheld"
    children = {
        "children, in all": "all children", "children suspected of something": "suspected of something",
        "children who are victims and nothing else": "victims and nothing else",
    }  # fmt: skip
    sizes = {charts_row: charts_row for charts_row in (ethics.tallies.of_line(*each) for each in ethics.tallies.SIZES)}
    everything = {theme: wording.count(said, "links-that-hang", "all links", theme) or 0 for theme in themes}
    one = {theme: wording.count(said, "links-that-hang", "rest on one record", theme) or 0 for theme in themes}
    largest = said["tables"]["people-in-largest"]
    known = wording.largest_is_known(said)
    of_largest = [
        f"{text}: about {count:,}" for theme, text in themes.items()
        if known and (count := largest["counts"].get("largest network", {}).get(theme))
    ]  # fmt: skip
    aged = said["tables"]["groups-by-age-band"]["counts"].get(ethics.EVERYBODY, {}).get("recorded")
    blocks = [
        _h("What links rest on"),
        _counted(said, "links-that-hang", "Links that hang by a thread", "Links that", themes, hang,
                 "If the one record behind a link is wrong, the link is wrong. Such links are shown and marked"
                 f"{', but do not make a network' if _strict(said) else ''}. The figure needs no action by itself: it "
                 "says how careful a reader of the pages has to be."),
        _counted(said, "links-by-records", "Links, by the number of records behind them", "Records", themes,
                 _in_order(said, "links-by-records")),
        _counted(said, "links-by-sources", "Links, by the number of different source systems behind them",
                 "Source systems", themes, _in_order(said, "links-by-sources")),
        _h("Who is in them"),
        _counted(said, "people-by-part", "People in each theme, linked or not, by their part in records", "Part",
                 themes, parts, "Victims and witnesses are there because a record names them beside somebody else."),
        _counted(said, "children-by-part", "Children under 18", "Children", themes, children,
                 "The lower rows are some of the first. The other children are witnesses or have another part (such as "
                 "missing, or an associate in intelligence).")
        if aged else _p("Children under 18: ages are not recorded, so children cannot be counted."),
        _h("How large networks are, and whether they stay"),
        _counted(said, "networks-by-size", "Networks, by the number of people in them", "People in it", themes, sizes,
                 f"People in the largest network: {'; '.join(of_largest)}." if of_largest else ""),
        _counted(said, "networks-that-stayed", f"Networks, compared with {_before(said)}", "Network", themes,
                 _STAYED | ({"stayed, size withheld": "stayed, size withheld"} if "stayed, size withheld"
                            in said["tables"]["networks-that-stayed"]["counts"] else {}))
        if "networks-that-stayed" in said["tables"] else
        _p("There is no build before this one to compare networks with."),
        _p("Below, people in the analysis are all whom a record of the theme names, linked or not. The people whom "
           "page 1 calls linked are those with a link in any theme, so the two figures differ."),
        *_then_and_now(said, themes),
        *_over_time(said, themes),
        _table("Builds of this period made again from their records", ["Build", "When", "Result"], made,
               empty="None, so whether the same records give the same result was not checked."),
    ]  # fmt: skip
    share = wording.in_hundred(sum(one.values()), sum(everything.values()))
    evaluated = any(p["name"] == "accuracy_evaluation" and p["state"] == "in force" for p in said["papers"])
    return _chapter(
        "accurate", "6. How much can what is shown be relied on, and is that checked?", "Accuracy",
        f"{share.capitalize() or 'An unknown share of'} links rest on a single record. "
        + (f"{wording.plural(len(made), 'build was', 'builds were')} made again as a check; " if made else
           "No build was made again as a check; ")
        + ("an evaluation of accuracy is in force." if evaluated else "no evaluation of accuracy is in force."), blocks,
    )  # fmt: skip


def _strict(said: Mapping[str, Any]) -> bool:
    """Whether a link of one record never makes a network."""
    return said["rules"]["least_records"] > 1 and not said["rules"]["shared_associate"]


def _in_order(said: Mapping[str, Any], name: str) -> dict[str, str]:
    """Rows that are numbers or spans of them, the smallest first."""
    rows = said["tables"][name]["counts"]
    return {row: row for row in sorted(rows, key=lambda row: int(row.split(" ")[0].replace(",", "")))}


_OVER = (("people", "People in the analysis"), ("links", "Links"), ("networks", "Networks"))


_STAYED = {
    "stayed, as many people": "stayed, as many people", "stayed, more or fewer people": "grew or shrank",
    "new": "new", "gone": "gone",
}  # fmt: skip


def _before(said: Mapping[str, Any]) -> str:
    """The build that came before this one; without its week where a table by build has not all of them."""
    labels = list(_labels(said, "people"))
    whole = len(labels) == said["build_number"]
    return f"the build before, of {wording.week(labels[-2])}" if whole else "the build before"


def _labels(said: Mapping[str, Any], unit: str) -> dict[str, date]:
    counts = said["tables"][f"{unit}-over-builds"]["counts"]
    return {label: _monday(label) for label in sorted(counts, key=lambda label: (label.partition(".")[0], len(label)))}


def _then_and_now(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[dict[str, Any]]:
    """The build beside those of about a quarter and about a year before, at most three weeks off."""
    found: dict[str, str] = {}
    labels = _labels(said, "people")
    here = _monday(said["build"])
    for name, back in (("A year before", 364), ("A quarter before", 91)):
        near = {abs((here - day).days - back): label for label, day in labels.items() if label != said["build"]}
        if near and min(near) <= 21:
            found[f"{name} ({near[min(near)]})"] = near[min(near)]
    if not found:
        return [_p("There was no build a quarter or a year before to compare with.")]
    found["Now"] = said["build"]
    rows = [
        [f"{title}: {text}" if len(themes) > 1 else title,
         *(wording.cell(said, said["tables"][f"{unit}-over-builds"]["counts"], label, theme)
           for label in found.values())]
        for unit, title in _OVER for theme, text in themes.items()
    ]  # fmt: skip
    return [_table("Then and now", ["", *found], rows)]


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
            said=f"{title} in each weekly build, one line for each theme; the table has the figures.",
        )  # fmt: skip
        beside = f" ({wording.listed(small)}: {wording.few(said)}, not drawn)" if small else ""
        drawn = _figure(f"{title} in each build{beside}", chart)
        drawn["rows"] = [[wording.few(said) if cell == charts.NONE else cell for cell in row] for row in drawn["rows"]]
        found.append(drawn)
    return found


def _monday(label: str) -> date:
    year, _, week = label.partition("-W")
    return date.fromisocalendar(int(year), int(week.partition(".")[0]), 1)


def _responsible(said: Mapping[str, Any], found: Sequence[firstpage.Finding]) -> dict[str, Any]:
    least = said["least_count"]
    blocks = [
        _p("No rule of the analyses uses sex, ethnicity, age or another protected characteristic, and the program "
           "refuses settings that would. Yet a blind rule can fall more heavily on one group, because the records it "
           "reads do. The first drawing of each kind shows the records; the others what the analyses make of them."),
        _p("The dot is the group's share. The bar is how far off that share may be, because counts are rounded and by "
           "chance. The grey band is the same for all people together. Where the bar does not touch the band, the "
           "group's share is higher or lower; the table says so in words, and page 1 lists the group (“not recorded” "
           "is no group). It does not follow that the rule is unfair, nor that the group does more: records show where "
           "police have looked. Of many bars, a few may stand apart by chance alone."
           f"{_example(said)}"),
        *([] if wording.adopted(said) else
          [_p(f"Harm is counted {wording.NOT_ADOPTED}. What is said of it here needs no explanation.")]),
    ]  # fmt: skip
    for characteristic in fairness.CHARACTERISTICS:
        blocks += _of_characteristic(said, characteristic)
    blocks.append(_p(f"Groups of fewer than {ethics.LEAST_OF_GROUP * least} people are left out, and areas of fewer "
                     f"than {ethics.LEAST_OF_AREA * least}: what is said of so few may be about somebody one knows. "
                     "So are people whose records were destroyed or are restricted."))  # fmt: skip
    apart = [each for each in found if each.ask == firstpage.DIFFERENCES]
    blind = wording.blind(said)
    return _chapter(
        "responsible", "7. Is it fair, and does it serve the public interest?", "Responsible",
        ("Some groups stand apart from the whole, and the force owes an explanation. " if apart else
         "No group stands apart from the whole by more than chance and rounding allow. ")
        + (f"By {wording.listed(blind)} nobody can judge. " if blind else "")
        + "Whether the tool serves the public interest no count can say: it is the committee's own question.", blocks,
    )  # fmt: skip


def _example(said: Mapping[str, Any]) -> str:
    """One bar, read aloud; "" where there is none."""
    for characteristic in fairness.CHARACTERISTICS:
        for group, one in said["rates"][characteristic]["linked"].items():
            if "per_mille" in one and group not in (ethics.EVERYBODY, fairness.NOT_RECORDED):
                share, low, high = (_percent(one[name]) for name in ("per_mille", "low", "high"))
                return (f" For example, {wording.group(characteristic, group)}: {one['of']:,} of {one['among']:,} "
                        f"people are linked, which is {share} in 100; the true share may be anything from {low} to "
                        f"{high} in 100.")  # fmt: skip
    return ""


def _percent(per_mille: int) -> str:
    return f"{per_mille // 10}.{per_mille % 10}"


def _of_characteristic(said: Mapping[str, Any], characteristic: str) -> list[dict[str, Any]]:
    name = wording.GROUPS[characteristic]
    blocks = [_h(f"By {name}")]
    shares = said["rates"][characteristic]
    plain = name.removeprefix("recorded ")
    if plain in wording.blind(said):
        return [*blocks, _p(f"Fairness by {plain} cannot be judged, because the records do not say it "
                            f"({wording.few(said)} people).")]  # fmt: skip
    groups = sorted(
        (group for group in shares["linked"] if group not in (ethics.EVERYBODY, fairness.NOT_RECORDED)),
        key=lambda group: _rank(characteristic, group, shares),
    )
    table = said["tables"][f"groups-by-{characteristic.replace(' ', '-')}"]
    if characteristic == "area":
        if not groups:
            least = ethics.LEAST_OF_AREA * said["least_count"]
            return [*blocks, _p(f"No area has {least} people or more, too few to say anything by area.")]
        blocks.append(
            _p(
                f"The {len(groups)} areas with the most people. A person belongs to the area of most of their "
                f"records. {said['owner']['areas'] or 'The force has not said what the codes stand for.'}"
            )
        )
    drawn_of = [*groups, *([fairness.NOT_RECORDED] if fairness.NOT_RECORDED in shares["linked"] else [])]
    too_few = []
    for place, (share, text) in enumerate(wording.SHARES.items()):
        if not any("per_mille" in shares[share][group] for group in groups):
            too_few.append(text[0].lower() + text[1:])
            continue
        if share == "with harm" and not wording.adopted(said):
            text = f"{text} ({wording.NOT_ADOPTED})"
        rows = [_range(wording.group(characteristic, group), shares[share][group]) for group in drawn_of]
        everybody = _range(wording.group(characteristic, ethics.EVERYBODY), shares[share][ethics.EVERYBODY])
        chart = charts.ranges(
            rows, everybody, title=f"{text}, by {name}",
            said="Shares with the span of what they may be, beside that of all; the table has the figures.",
            prefix=f"share-{characteristic.replace(' ', '-')}-{place}",
        )  # fmt: skip
        blocks.append(_figure(text, chart))
    if too_few:
        blocks.append(_p(f"Too few to say anything: {'; '.join(too_few)}."))
    counts = table["counts"]
    # Beside a total, or the people of whom nothing is recorded, a group that is left out could be worked out.
    others = [] if table["left_out"] else [ethics.EVERYBODY, fairness.NOT_RECORDED]
    body = [
        [wording.group(characteristic, group), *(wording.cell(said, counts, group, column) for column in _COUNTS),
         _in_words(shares, group) if group in groups else "–"]
        for group in [*groups, *others] if group in counts
    ]  # fmt: skip
    if not table["left_out"]:
        whole = said["tables"]["people-in-all"]["counts"]
        body.append(["all people", *(wording.cell(said, whole, "people", column) for column in _COUNTS), "–"])
    notes = ["Some groups are left out, and with them the totals, from which they could be worked out."
             ] * table["left_out"]  # fmt: skip
    notes += [f"With harm: {wording.NOT_ADOPTED}."] * (not wording.adopted(said))
    heads = [name.capitalize(), *_COUNTS.values(), "Share beside that of all"]
    blocks.append(_table(f"The counts behind it, by {name}", heads, body, " ".join(notes)))
    return blocks


def _in_words(shares: Mapping[str, Any], group: str) -> str:
    """How the shares of a group stand to those of everybody: which are higher or lower, else that none clearly is."""
    found = {share: shares[share][group]["against"] for share in wording.SHARES}
    apart = [f"{against}: {wording.SHORT[share]}" for share, against in found.items() if against in ("higher", "lower")]
    return "; ".join(apart) or ("no clear difference" if "no clear difference" in found.values() else "too few")


def _rank(characteristic: str, group: str, shares: Mapping[str, Any]) -> Any:
    if characteristic == "age band":
        return fairness.AGE_BANDS.index(group)
    return -shares["linked"][group].get("among", 0), group


def _range(label: str, one: Mapping[str, Any]) -> charts.Range:
    return charts.Range(label, *(one.get(name) for name in ("per_mille", "low", "high")))


def _explainable(said: Mapping[str, Any]) -> dict[str, Any]:
    changes = said["changes"]
    rows = [[c["build"], c["what"], c["before"] or "none", c["after"] or "none"] for c in changes[:_CHANGES_SHOWN]]
    rest = len(changes) - len(rows)
    blocks = [
        _table("How the method changed: settings, tables and program, from build to build",
               ["Build", "What", "Before", "After"], rows,
               f"And {rest} more, in the report's data file." if rest else "", "Nothing changed in this period."),
        *([_p("Code and environment are the program and what it runs on: a change there does not by itself change a "
              "result.")] if {"code", "environment"} & {c["what"] for c in changes} else []),
    ]  # fmt: skip
    return _chapter(
        "explainable", "8. Can it be said, to those affected and to a court, how a result came about?", "Explainable",
        "To a court: it is designed so. Every link names the records behind it, so that each figure can be worked out "
        "again by hand. "
        + ("Builds were made again in this period (chapter 6). " if said["reproductions"] else
           "That was not tested in this period. ")
        + "How it is explained to those affected this report cannot say: ask the data-protection officer.",
        blocks,
    )  # fmt: skip


def _annex(said: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, list[dict[str, str]]] = {}
    for each in said["rules"]["to_confirm"]:
        settings.setdefault(each["key"].partition(".")[0], []).append(each)
    rows = [
        [_SETTINGS.get(section, section), "; ".join(_setting(each["key"]) for each in mine),
         "; ".join(sorted({_TEXTS.get(part, part) for each in mine for part in each["rests_on"].split("; ") if part}))
         or "the makers' own choice"]
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
        _p("Until the force has confirmed them, the choices of the program's makers are used. The makers set these "
           "from memory, without the texts before them."),
        _table(f"Settings to confirm, {len(said['rules']['to_confirm'])} in all",
               ["About", "Settings", "Rest meanwhile on"], rows),
        _h("B. The rule for counts"),
        _p(said["rule"]),
        _h("C. For the technical auditor"),
        _p("Fingerprint of the log:"),
        {"kind": "code", "text": heads["root"]},
        _p(f"Fingerprint of build {said['build']}. "
           + ("What is stored of the build now was compared with it, and is what was stored when it was made and "
              "signed:" if said["verified"] else "Whether what is stored now agrees with it was not checked:")),
        {"kind": "code", "text": said["root"]},
        *([_table("Fingerprints of the log that were published", ["Of", "Signed by", "Time-stamped by",
                                                                  "Enough witnesses"], shown)] if shown else []),
    ]  # fmt: skip
    return _chapter("annex", "Annex", "", "", blocks)


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
