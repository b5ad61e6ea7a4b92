"""A report of counts as something to read: chapters of sentences, tables and drawings, in HTML or PDF.

What is said is worked out elsewhere (`ethics`, `declaring`) and only worded here. A number that cannot be told reads
"fewer than 5". The HTML has its style in it, no script, and asks for no other file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib import resources
from typing import Any

import orjson

from provenance import charts, fairness, moments
from provenance.charts import Chart
from provenance.errors import Malformed
from provenance.web import looks, words

_CHANGES_SHOWN = 40
_AREAS_SHOWN = 12
_PAPERS = {
    "in force": "in force", "not supplied": "not supplied", "not yet in force": "not yet in force", "lapsed": "lapsed"
}  # fmt: skip
_REASONS = {
    "status": "the source had withdrawn or cancelled it",
    "no-grade": "intelligence without a grade",
    "grade-not-admitted": "its grade is not among those the force admits",
    "no-theme": "it belongs to none of the themes",
    "one-person": "it names one person only, so it links nobody",
    "over-cap": "it names so many people that being in it together means little",
}
_ACTS = {
    "Built": "Networks built", "Published": "Networks put on the dashboard",
    "Withdrawn": "Networks taken off the dashboard", "Failed": "Weekly runs that failed",
    "Confirmed": "Warnings about incoming data that a person let pass", "Received": "Deliveries of records received",
    "Quarantined": "Deliveries that brought back something disposed of, which was kept out",
    "Held": "Legal holds placed", "Progressed": "Legal holds updated", "Released": "Legal holds released",
    "Reviewed": "Decisions to keep something after review", "Restricted": "Disposals that wait for a legal hold",
    "Disposed": "Disposals ordered", "Certified": "Disposals finished and certified",
    "Viewed": "Dashboard pages looked at", "Consulted": "Looks at held material for a case",
    "Exported": "Files taken out", "Recalled": "Files for other programs ended",
    "Traced": "Questions about who looked at what", "Sent": "Things sent to somebody outside",
    "Notified": "Recipients told of a correction", "Asked": "People who asked what is held about them",
    "Answered": "Answers to such people", "Reported": "Errors reported", "Triaged": "Errors taken up",
    "Settled": "Errors settled", "Reproduced": "Networks made again to check them",
    "Issued": "Reports like this one", "Granted": "Rights to look, granted", "Revoked": "Rights to look, ended",
    "Restored": "Restored from a backup", "Rekeyed": "Signing key changed",
    "Relocked": "Key of the vault changed",
}  # fmt: skip
_GROUPS = {"sex": "sex", "ethnicity": "recorded ethnicity", "age band": "age", "area": "area"}
_SHARES = {
    "offending in a source record": "Recorded as a suspect, offender or arrested person, of everybody in the records",
    "linked": "Linked to somebody, of everybody in the records",
    "key nominal": "On a list of key people, of those who are linked",
    "with harm": "With a harm figure above 0, of those who are linked",
}
_IN_DRAWINGS = {"SOC": "Organised crime", "CSE": "Child exploitation"}  # where a longer name is cut
_GRADES = {  # by scheme, as the record has it
    "3x5x2": "In 3x5x2, the scheme in use, the figure is the source (1 reliable, 2 untested, 3 not reliable) and the "
             "letter the information (A known directly to the source, B known indirectly and borne out, C known "
             "indirectly, D not known, E suspected to be false).",
    "5x5x5": "In 5x5x5, the scheme before it, the letter is the source (A always reliable, B mostly, C sometimes, "
             "D unreliable, E untested) and the figure the information (1 known to be true, 2 known personally to the "
             "source, 3 not so but borne out, 4 cannot be judged, 5 suspected to be false).",
}  # fmt: skip
_HANDLING = {
    "3x5x2": "P: it may be shared lawfully; C: only under conditions.",
    "5x5x5": "1 to 5, of the earlier scheme: 1 with other law enforcement, 2 with others in the United Kingdom, "
             "3 with law enforcement abroad, 4 within the force alone, 5 only as its author says.",
}  # fmt: skip


def html(document: Mapping[str, Any]) -> bytes:
    """The document as one file of HTML."""
    template = looks.environment().get_template("document.html")
    return template.render(document=document, style=looks.stylesheet()).encode()


def pdf(document: Mapping[str, Any]) -> bytes:
    """The document on paper, as tagged PDF. Raises Malformed where it cannot be set."""
    import typst

    drawings: dict[str, bytes] = {}
    chapters = []
    for chapter in document["chapters"]:
        blocks = []
        for block in chapter["blocks"]:
            if block["kind"] == "figure":
                name = f"drawing-{len(drawings)}.svg"
                svg = str(block["svg"]).replace("Arial, Helvetica, sans-serif", "Noto Sans")
                drawings[name] = svg.encode()
                blocks.append({"kind": "figure", "caption": block["caption"], "note": block["note"], "file": name})
            else:
                blocks.append(block)
        chapters.append({**chapter, "blocks": blocks})
    day = date.fromisoformat(moments.london_day(document["made_on"]))
    given = {
        "main.typ": resources.files("provenance.web").joinpath("templates/document.typ").read_bytes(),
        "data.json": orjson.dumps({**document, "chapters": chapters, "date": [day.year, day.month, day.day]}),
        **drawings,
    }
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[looks.STATIC])  # the same letters on each machine
    try:
        return typst.compile(given, format="pdf", pdf_standards=["a-2a", "ua-1"], font_paths=fonts)
    except typst.TypstError as error:
        raise Malformed(f"report could not be set as PDF: {error.message}") from None


# -- pieces ------------------------------------------------------------------------------------------------------------


def _p(text: str) -> dict[str, Any]:
    return {"kind": "text", "text": text}


def _h(text: str) -> dict[str, Any]:
    return {"kind": "heading", "text": text}


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> dict[str, Any]:
    """Its first column is text; the others are numbers, or texts where any of them is one but for `fewer than`."""
    rows = [list(row) for row in rows]
    numeric = [
        bool(at) and all(isinstance(row[at], int) or str(row[at]).startswith(("fewer", "too", "-")) for row in rows)
        for at in range(len(heads))
    ]
    shown = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    return {"kind": "table", "title": title, "heads": list(heads), "numeric": numeric, "rows": shown, "note": note}


def _figure(caption: str, chart: Chart, note: str = "") -> dict[str, Any]:
    return {
        "kind": "figure", "caption": caption, "svg": chart.svg, "note": note,
        "heads": list(chart.columns), "rows": [list(row) for row in chart.rows],
    }  # fmt: skip


def _counted(
    said: Mapping[str, Any], name: str, title: str, first: str, columns: Mapping[str, str],
    rows: Mapping[str, str] | None = None, note: str = "", least: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """A table of counts as they are told; `rows` in order and what they are called, else as they come."""
    counts = said["tables"][name]["counts"] if name in said["tables"] else {}
    few = f"fewer than {said['least_count']}"
    named = {row: text for row, text in rows.items() if row in counts} if rows else {row: row for row in counts}
    body = [[text, *(counts[row].get(column) or few for column in columns)] for row, text in named.items()]
    lost = f" Rows in which every count is under {said['least_count']} are left out." if least and not rows else ""
    return _table(title, [first, *columns.values()], body, (note + lost).strip())


def _count(said: Mapping[str, Any], table: str, row: str, column: str) -> int | None:
    return said["tables"].get(table, {}).get("counts", {}).get(row, {}).get(column)


def _share(of: int | None, among: int | None) -> str:
    """`about 8 in 100`, of counts as they are told; "" where either is too small."""
    if not of or not among:
        return ""
    return f"about {min((200 * of + among) // (2 * among), 100)} in 100"


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


# -- the ethics report -------------------------------------------------------------------------------------------------


def ethics(said: Mapping[str, Any]) -> dict[str, Any]:
    """What an ethics report says, in chapters."""
    counted = said["tables"]["people-by-part"]["counts"].values()
    every = said["rules"]["themes"]
    themes = {theme: text for theme, text in every.items() if any(theme in cells for cells in counted)} or every
    chapters = [
        _reading(said, every), _advisory(said), _lawful(said), _granular(said, themes), _owned(said),
        _challengeable(said), _accurate(said, themes), _responsible(said), _explainable(said),
    ]  # fmt: skip
    what = f"Quarter {said['period']}" if "-Q" in said["period"] else f"Week {said['period']}"
    return {
        "title": "Ethics report on the network analyses",
        "what": what,
        "archive": said["archive"],
        "made_on": said["made_on"],
        "facts": [
            ["About", f"{what}: {_plural(len(said['builds']), 'weekly build')}"],
            [
                "Counts are of",
                f"the build of week {said['build']}, on the dashboard from {words.instant(said['published_from'])}",
            ],
            ["Records up to", words.instant(said["cut_off"])],
            ["Made", f"{words.instant(said['made_on'])}, report number {said['number']}"],
            [
                "Check",
                "what is stored of that build is what was signed and logged when it was made, byte for byte"
                if said["verified"]
                else "THE BUILD IS NOT WHAT WAS SIGNED AND LOGGED",
            ],
        ],
        "findings": _findings(said, themes),
        "chapters": chapters,
        "root": said["root"],
    }


def _findings(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[dict[str, str]]:
    """What a reader should take away, worst first. `look`: somebody should act or explain; `know`: context."""
    found = []
    if not said["verified"]:
        found.append(
            ("look", "What is stored of the build is not what was signed and logged. Stop, and preserve what is there.")
        )
    bad = [paper for paper in said["papers"] if paper["state"] != "in force"]
    if bad:
        listed = "; ".join(f"{paper['title']} ({paper['state']})" for paper in bad)
        found.append(("look", f"{'None' if len(bad) == len(said['papers']) else len(said['papers']) - len(bad)} of the "
                              f"{len(said['papers'])} papers that should govern the analyses can be shown to have been "
                              f"in force. Lacking: {listed}."))  # fmt: skip
    if said["rules"]["force_to_confirm"]:
        found.append(("look", f"{_plural(said['rules']['force_to_confirm'], 'setting')} of the analyses "
                              f"{'is' if said['rules']['force_to_confirm'] == 1 else 'are'} still waiting for the "
                              "force to confirm, among them which grades of intelligence count."))  # fmt: skip
    if said["holds"]["overdue"]:
        found.append(("look", f"{_plural(said['holds']['overdue'], 'legal hold')} should have been looked at again by "
                              "now and have not been."))  # fmt: skip
    for table, what in (("people-due", "What is held about some {} people is"), ("records-due", "Some {} records are")):
        for row, cells in said["tables"].get(table, {}).get("counts", {}).items():
            sentence = f"{what.format(format(cells['now'], ','))} {_DUE[row]} by the force's retention rules"
            found.append(("look", f"{sentence}, on the day of this report."))
    if said["errors"]["open"]:
        found.append(("look", f"{_plural(said['errors']['open'], 'report')} of an error "
                              f"{'was' if said['errors']['open'] == 1 else 'were'} still open."))  # fmt: skip
    differing = [
        f"{_group(characteristic, group)} ({'more' if one['against'] == 'higher' else 'less'} often {_SHORT[share]})"
        for characteristic in ("sex", "ethnicity", "age band")
        for share, groups in said["rates"][characteristic].items()
        if share != "offending in a source record"
        for group, one in groups.items()
        if one["against"] in ("higher", "lower") and group != fairness.NOT_RECORDED
    ]
    if differing:
        found.append(("look", f"Some groups differ from everybody by more than chance would explain: "
                              f"{'; '.join(differing)}. Chapter 7 has the figures and what they can and cannot "
                              "mean."))  # fmt: skip
    for theme, text in themes.items():
        everything = _count(said, "links-that-hang", "all links", theme)
        one = _count(said, "links-that-hang", "rest on one record", theme)
        bare = _count(said, "links-that-hang", _BARE, theme)
        if share := _share(one, everything):
            sentence = f"{text}: {share} links rest on a single record"
            sentence += f", and {_share(bare, everything)} on a single piece of intelligence" if bare else ""
            found.append(("know", sentence + "."))
    return [{"kind": kind, "text": text} for kind, text in found]


_DUE = {"due for review": "due to be looked at again", "due for disposal": "due to be destroyed"}
_BARE = "rest on one piece of intelligence, which nothing else bears out"
_SHORT = {"linked": "linked", "key nominal": "on a list of key people", "with harm": "with a harm figure"}


def _reading(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    listed = ", ".join(themes.values())
    return {
        "id": "reading", "title": "How to read this report", "question": "",
        "blocks": [
            _p("Each week a program reads police records and works out who appears in records with whom. One week's "
               f"result is called a build, and named by its year and week: {said['build']} is this report's. It is "
               f"shown to trained staff on a dashboard, for {len(themes)} themes: {listed}. This report says what "
               "went in, what came out, who used it, and whether anything in it should worry you. It names no person, "
               "record or case."),
            _p("A link joins two people who are named in the same record, whatever their part in it: a victim is "
               "linked to the suspect. A link is not an accusation. A network is a group of people joined by links "
               f"that rest on at least {said['rules']['least_records']} records"
               f"{' or on somebody both people are linked with' if said['rules']['shared_associate'] else ''}. "
               "The strength of a link is a sum of points for the records behind it. Harm is a sum of days: a fixed "
               "table gives each offence in a person's records its days, as a rule those in prison from which a court "
               "would start. Neither is a probability, and neither predicts what anybody will do."),
            _p("Key people are the first ten of each theme by strength, by links, by harm and by records, as the "
               "dashboard lists them. To dispose of something is to destroy it lawfully, in every build that had it; a "
               "legal hold keeps what a court or an inquiry needs from that. Intelligence is information that somebody "
               "passed on and an officer graded; the other records are of things that were reported or done."),
            _p(said["rule"]),
            _p("Acts (pages looked at, holds, disposals, errors) are counted exactly. A dash stands for none, or for "
               "what the force has not said."),
        ],
    }  # fmt: skip


def _advisory(said: Mapping[str, Any]) -> dict[str, Any]:
    use = said["use"]
    blocks = [
        _p("These words stood on every page of the dashboard:"),
        *({"kind": "quote", "text": " ".join(part.split())} for part in said["caveat"].strip().split("\n\n")),
        _p(f"Pages were looked at {use['views']:,} times, by {_plural(use['staff'], 'member')} of staff; "
           f"{use['for_a_case']:,} of those looks were at material held for a case."
           if use["views"] else "Nobody looked at a page of the dashboard in this period."),
    ]  # fmt: skip
    if use["views"]:
        blocks.append(_table("Pages looked at", ["Page", "Times"],
                             [[name.replace("-", " "), count] for name, count in use["by_view"].items()]))  # fmt: skip
        blocks.append(_table("In which role", ["Role", "Times"], [list(item) for item in use["by_role"].items()]))
    return {
        "id": "advisory", "title": "1. Advisory",
        "question": "Does a person decide, and does the tool only advise?", "blocks": blocks,
    }  # fmt: skip


def _lawful(said: Mapping[str, Any]) -> dict[str, Any]:
    papers = [
        [p["title"], p["version"] or "-", f"{p['first_day'] or 'any day'} to {p['last_day'] or 'any day'}"
         if p["first_day"] or p["last_day"] else "-", _PAPERS[p["state"]]]
        for p in said["papers"]
    ]  # fmt: skip
    holds = said["holds"]
    blocks = [
        _h("Papers that govern the analyses"),
        _p("Each build names the papers it was made under. A paper counts as in force if the force has supplied it and "
           "the build's date lies within its days."),
        _table("Papers", ["Paper", "Version", "Holds", "On the day of the build"], papers),
        _h("What was kept, and what was destroyed"),
        _table("Disposals in this period, by reason", ["Reason", "Disposals", "Of which certified"],
               [[d["reason"].replace("-", " "), d["disposals"], d["certified"]] for d in said["disposals"]],
               "How many people and records each reached stands in its certificate, and not here."),
        _table("Legal holds, which keep material for a court or an inquiry", ["", "Holds"],
               [["standing now", holds["standing"]], ["placed in this period", holds["placed"]],
                ["released in this period", holds["released"]], ["overdue for review", holds["overdue"]]]),
        _counted(said, "people-due", "People whose time for review or disposal has come", "", {"now": "People"}),
        _counted(said, "records-due", "Records whose time for review or disposal has come", "", {"now": "Records"}),
    ]  # fmt: skip
    return {
        "id": "lawful", "title": "2. Lawful",
        "question": "Is there a purpose and a legal basis, and is nothing kept for longer than it may be?",
        "blocks": blocks,
    }  # fmt: skip


def _granular(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    named = {**themes, "no theme": "No theme"}
    counts = said["tables"]["records-by-source"]["counts"]
    few = f"fewer than {said['least_count']}"
    sources = [[f"{system}: {kind}", count] for system, cells in counts.items() for kind, count in cells.items()]
    left = [
        [f"{what.partition(': ')[0].replace('_', ' ')}: {_REASONS.get(what.partition(': ')[2], what)}",
         cells.get("records", few)]
        for what, cells in said["tables"]["records-left-out"]["counts"].items()
    ]  # fmt: skip
    grades = {"may count towards a link": "May count towards a link", "may not": "May not"}
    blocks = [
        _table("Records, by where they come from", ["Source and kind", "Records"], sources,
               "Before the colon stands the force's name for the system that a record comes from."),
        _table("How fresh each source was when the build was made", ["Source", "Complete up to", "Days behind"],
               [[f["system"], words.instant(f["watermark"]), f["days_before"]] for f in said["feeds"]],
               "Days behind: between the moment up to which the source was complete and that up to which the build "
               "takes records."),
        _counted(said, "records-by-theme", "Records, by theme", "Theme", {"records": "Records"}, named,
                 "A record may belong to several themes."),
        _counted(said, "records-by-grade", "Records, by grade", "Grade as recorded", grades,
                 note=" ".join(["Intelligence carries a grade: how reliable its source is, and how well the "
                                "information is known.", *_of_schemes(said, "records-by-grade", _GRADES),
                                "Which grades count is the force's decision."])),
        _counted(said, "records-by-handling", "Records, by handling code", "Code as recorded", {"records": "Records"},
                 note=" ".join(["A handling code says with whom the information may be shared.",
                                *_of_schemes(said, "records-by-handling", _HANDLING)])),
        _table("Records that count for nothing or link nobody, and why", ["Source, kind and reason", "Records"], left),
    ]  # fmt: skip
    return {
        "id": "granular", "title": "3. Granularity",
        "question": "Is the data detailed and reliable enough for what is said with it?", "blocks": blocks,
    }  # fmt: skip


def _of_schemes(said: Mapping[str, Any], table: str, words_of: Mapping[str, str]) -> list[str]:
    """What the codes of a table mean, of the schemes that it has."""
    rows = said["tables"][table]["counts"]
    return [text for scheme, text in words_of.items() if any(row.startswith(f"{scheme}: ") for row in rows)]


def _owned(said: Mapping[str, Any]) -> dict[str, Any]:
    heads = said["heads"]
    rows = [
        [f"{head['size']:,} entries", ", ".join(head["cosigned_by"]) or "nobody",
         ", ".join(head["stamped_by"]) or "nobody", "yes" if head["enough_witnesses"] else "no"]
        for head in heads["shown"]
    ]  # fmt: skip
    blocks = [
        _p("The force owns the program, its settings and its results, and can inspect every line of it. Every act on "
           f"the archive is an entry in a log that cannot be changed unseen: it had {heads['size']:,} entries when "
           "this report was made."),
        {"kind": "code", "text": f"head of the log  {heads['root']}"},
        _p("The head is one number that stands for every entry of the log: whoever has noted it down can tell later if "
           "any was changed or taken out. "
           + ("Witnesses outside the force who signed a head make it impossible to replace what came before it."
              if rows else "It has been shown to no witness outside the force yet, so that nobody else could tell if "
                           "the whole log were replaced.")),
    ]  # fmt: skip
    if rows:
        blocks.append(_table("Heads shown outside", ["Head", "Signed by", "Time-stamped by", "Enough witnesses"], rows))
    acts = [[_ACTS[name], count] for name, count in said["acts"].items()]
    blocks.append(_table("What was done to the archive in this period", ["What", "Times"], acts,
                         "By the date on which it was logged. Builds of past weeks that were made later are counted "
                         "when they were made."))  # fmt: skip
    return {
        "id": "owned", "title": "4. Ownership", "question": "Who owns and controls the tool and its data?",
        "blocks": blocks,
    }  # fmt: skip


def _challengeable(said: Mapping[str, Any]) -> dict[str, Any]:
    errors = said["errors"]
    time = errors["days_to_settle"]
    rows = [["reported in this period", errors["reported"]], ["settled in this period", errors["settled"]],
            ["open at its end", errors["open"]]]  # fmt: skip
    if time:
        rows += [["days until settled, the middle one", time["median"]], ["days until settled, the longest",
                 time["longest"]]]  # fmt: skip
    blocks = [
        _p(
            "Anybody who is shown a page can report it as wrong. A report is looked into, put right at the source, and "
            "everybody who was given the wrong figure is told."
        ),
        _table("Errors", ["", "Number"], rows),
    ]
    for name, title in (("findings", "What was found"), ("causes", "Where the errors came from")):
        if errors[name]:
            blocks.append(_table(title, ["", "Reports"], [[k.replace("-", " "), v] for k, v in errors[name].items()]))
    return {
        "id": "challengeable", "title": "5. Challengeable",
        "question": "Can somebody who is affected, or an expert, question what was said?", "blocks": blocks,
    }  # fmt: skip


def _accurate(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    hang = {
        "all links": "All links", "rest on one record": "rest on one record",
        "rest on intelligence alone": "rest on intelligence alone", _BARE: _BARE,
    }  # fmt: skip
    made = [[one["build"], words.instant(one["on"]), one["verdict"]] for one in said["reproductions"]]
    parts = (
        "everybody", "suspected, never a victim", "suspected in one record, victim in another",
        "victim and nothing else", "witness, or another part", "figures withheld",
    )  # fmt: skip
    children = ("children, in all", "children suspected of something", "children who are victims and nothing else")
    blocks = [
        _h("What links rest on"),
        _counted(said, "links-that-hang", "Links that hang by a thread", "Links that", themes, hang,
                 "If the one record behind a link is wrong, the link is wrong. Such links are shown, and marked; "
                 f"whether they join people into a network, the rule says: {_joining(said)}."),
        _counted(said, "links-by-records", "Links, by the number of records behind them", "Records", themes,
                 _in_order(said, "links-by-records")),
        _counted(said, "links-by-sources", "Links, by the number of different source systems behind them",
                 "Source systems", themes, _in_order(said, "links-by-sources")),
        _h("Who is in them"),
        _counted(said, "people-by-part", "People, by the part they have in records", "Part", themes,
                 {part: part for part in parts},
                 "A victim or a witness is in the analysis because a record names them beside somebody else. Each "
                 "person is in one row. Figures are withheld where they would tell of somebody who has been disposed "
                 "of."),
        _counted(said, "children-by-part", "Children under 18, by the part they have", "Part", themes,
                 {part: part for part in children},
                 "The two lower rows are some of the first; the other children are witnesses, or have another part."),
        _h("How large networks are, and whether they stay"),
        _counted(said, "networks-by-size", "Networks, by the number of people in them", "People", themes,
                 _in_order(said, "networks-by-size")),
        _counted(said, "networks-that-stayed", "Networks, compared with the build before", "Network", themes),
        *_over_time(said, themes),
        _h("Builds that were made again"),
        _table("Builds of this period made again from their records", ["Build", "When", "Result"], made,
               "" if made else "A build that is made again from the same records should come out the same, byte for "
                               "byte. None of this period has been."),
    ]  # fmt: skip
    return {
        "id": "accurate", "title": "6. Accuracy",
        "question": "How much can what is shown be relied on, and is that checked?", "blocks": blocks,
    }  # fmt: skip


def _joining(said: Mapping[str, Any]) -> str:
    least = said["rules"]["least_records"]
    shared = ", or on fewer where the two share somebody else" if said["rules"]["shared_associate"] else ""
    return f"a link does that rests on {least} records or more{shared}" if least > 1 else "every link does"


def _in_order(said: Mapping[str, Any], name: str) -> dict[str, str]:
    """Rows that are numbers or spans of them, the smallest first."""
    rows = said["tables"][name]["counts"]
    return {row: row for row in sorted(rows, key=lambda row: int(row.split(" ")[0].replace(",", "")))}


def _over_time(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for unit, title in (("people", "People who are linked"), ("links", "Links"), ("networks", "Networks")):
        counts = said["tables"][f"{unit}-over-builds"]["counts"]
        labels = sorted(counts, key=lambda label: (label.partition(".")[0], len(label), label))
        dates = [_monday(label) for label in labels]
        if len(labels) < 2 or len(set(dates)) < len(dates):
            continue
        series = []
        for theme, text in themes.items():
            values = tuple(counts[label].get(theme) for label in labels)
            hidden = frozenset(at for at, value in enumerate(values) if value is None)
            series.append(charts.Series(_IN_DRAWINGS.get(theme, text), values, hidden))
        last = f"{labels[0]} to {labels[-1]}"
        chart = charts.lines(
            dates, labels, series, title=f"{title}, {last}",
            said=f"{title} in each weekly build, one line for each theme; the table has the figures.",
            prefix=f"over-{unit}",
        )  # fmt: skip
        found.append(_figure(f"{title} in each build, {last}", chart,
                             f"Rounded, so that small steps do not show. A figure is withheld where it is under "
                             f"{said['least_count']}."))  # fmt: skip
    return found


def _monday(label: str) -> date:
    year, _, week = label.partition("-W")
    return date.fromisocalendar(int(year), int(week.partition(".")[0]), 1)


def _group(characteristic: str, group: str) -> str:
    if characteristic == "sex":
        return words.SEXES.get(group, group)
    if characteristic == "age band" and group != fairness.NOT_RECORDED:
        return f"aged {group}"
    if characteristic == "ethnicity" and group != fairness.NOT_RECORDED:
        return words.known("ethnicity", group) if group in words.ETHNICITIES else f"code {group}"
    return group


def _responsible(said: Mapping[str, Any]) -> dict[str, Any]:
    blocks = [
        _p("No rule of the analyses uses sex, ethnicity, age or any other protected characteristic, and the program "
           "refuses settings that would. Yet a rule that is blind to a characteristic can still fall more heavily on "
           "one group, because the records it reads do. The first drawing of each group shows the records themselves; "
           "the others show what the analyses add to that."),
        _p("In each drawing the dot is the group's share and the bar the span in which it may lie by chance alone (19 "
           "times in 20). The grey band is everybody of whom the characteristic is recorded. A bar that does not touch "
           "the band is a difference that chance "
           "does not explain. It does not follow that the rule is unfair, nor that the group does more: records show "
           "where police have looked. It is a question to which the force owes an answer. Where many bars are looked "
           "at, a few may stand apart by chance."),
    ]  # fmt: skip
    for characteristic in fairness.CHARACTERISTICS:
        blocks.append(_h(f"By {_GROUPS[characteristic]}"))
        shares = said["rates"][characteristic]
        if "everybody" not in shares["linked"]:
            blocks.append(_p("The sources do not record it, or of too few people to say anything."))
            continue
        groups = sorted(
            (group for group in shares["linked"] if group != "everybody"),
            key=lambda group: (group == fairness.NOT_RECORDED, _rank(characteristic, group, shares)),
        )
        left = len(groups)
        if characteristic == "area":
            groups = [group for group in groups if "among" in shares["linked"][group]][:_AREAS_SHOWN]
            blocks.append(_p(f"The {len(groups)} areas with the most people, of {left} that can be shown at all, by "
                             "the codes that the force has for them. A person belongs to the area of most of their "
                             "records."))  # fmt: skip
        for place, (share, text) in enumerate(_SHARES.items()):
            told = [group for group in groups if "per_mille" in shares[share][group]]
            if not told:
                blocks.append(_p(f"{text}: too few in every group to say anything."))
                continue
            rows = [_range(_group(characteristic, group), shares[share][group]) for group in groups]
            everybody = _range("everybody", shares[share]["everybody"])
            chart = charts.ranges(
                rows, everybody, title=f"{text}, by {_GROUPS[characteristic]}",
                said="Shares with the span of chance, beside that of everybody; the table has the figures.",
                prefix=f"share-{characteristic.replace(' ', '-')}-{place}",
            )  # fmt: skip
            blocks.append(_figure(text, chart))
        few = f"fewer than {said['least_count']}"
        counts = said["tables"][f"groups-by-{characteristic.replace(' ', '-')}"]["counts"]
        names = {
            "recorded": "In the records",
            "offending": "Suspected",
            "linked": "Linked",
            "key": "Key people",
            "harmed": "With harm",
        }
        body = [
            [_group(characteristic, group), *(counts[group].get(name) or few for name in names)]
            for group in [*groups, "everybody"]
            if group in counts
        ]
        blocks.append(_table(f"The counts behind it, by {_GROUPS[characteristic]}", ["Group", *names.values()], body))
    blocks.append(
        _p("Left out of these figures: people whose records have been disposed of or are restricted; and from the last "
           "column, whoever's harm figure is withheld. People of whom a source did not record a characteristic are a "
           "group of their own.")
    )  # fmt: skip
    return {
        "id": "responsible", "title": "7. Responsible",
        "question": "Is it fair, and does it serve the public interest?", "blocks": blocks,
    }  # fmt: skip


def _rank(characteristic: str, group: str, shares: Mapping[str, Any]) -> Any:
    if characteristic == "age band":
        return fairness.AGE_BANDS.index(group)
    return -shares["linked"][group].get("among", 0), group


def _range(label: str, one: Mapping[str, Any]) -> charts.Range:
    return charts.Range(label, *(one.get(name) for name in ("per_mille", "low", "high")))


def _explainable(said: Mapping[str, Any]) -> dict[str, Any]:
    changes = said["changes"]
    rows = [[c["build"], c["what"], c["before"] or "-", c["after"] or "-"] for c in changes[:_CHANGES_SHOWN]]
    rest = len(changes) - len(rows)
    blocks = [
        _p("Every link names the records behind it, and every figure can be worked out again by hand from a page that "
           "lists what counted and what did not. Harm is counted by "
           f"{' and '.join('the table “' + edition['name'] + '”' for edition in said['harm_editions'])}."),
        _h("How the method changed"),
        _table("Settings, tables and program, from build to build", ["Build", "What", "Before", "After"], rows,
               f"And {rest} more, in the report's data file." if rest else "" if rows else
               "Nothing changed in this period."),
        *([_p("Code and environment are the program and what it runs on: a change there does not by itself change a "
              "result.")] if {"code", "environment"} & {c["what"] for c in changes} else []),
    ]  # fmt: skip
    return {
        "id": "explainable", "title": "8. Explainable",
        "question": "Can it be said, to those affected and to a court, how a result came about?", "blocks": blocks,
    }  # fmt: skip
