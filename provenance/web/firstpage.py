"""The first pages of an ethics report, for somebody who knows neither police work nor statistics nor programs: what the
system does, what was found, what is asked of the committee, what is good, what is worrying, and what nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance import ethics, fairness, tallies
from provenance.web import wording

_LEAD, _DPO, _ANALYSTS = (
    "the chief officer who answers for the system", "the force's data-protection officer", "the head of the analysts",
)  # fmt: skip
DIFFERENCES = "What explains each difference between groups?"
SETTINGS = {  # by the first part of a key, what a setting decides
    "grading": "which intelligence counts",
    "retention": "how long things are kept",
    "holds": "what is kept for a court",
    "harm": "how grave a crime is",
}


MEMORY = "The makers set them from memory; nobody has held them against the laws and rules that they name."


@dataclass(frozen=True, slots=True)
class Finding:
    """What a reader should take away. `know`: what was found; `good`; `look`: somebody must act or explain; `unknown`:
    what nobody can tell from here."""

    kind: str
    head: str  # in a few words
    text: str
    who: str = ""  # who is asked
    ask: str = ""


def facts(said: Mapping[str, Any], what: str) -> list[list[str]]:
    cut_off, latest = wording.moment(said["cut_off"]), wording.last_record(said)
    over = said["made_on"] < wording.london(said["end"])
    upto = f"{latest}, long before that" if latest else cut_off
    return [
        ["Covers", what + (". It is not over yet, so the figures will change" if over else "")],
        ["Records up to", upto.removeprefix("the end of ")],
        ["Made on", wording.day(said["made_on"])],
        ["Questions to", said["owner"]["contact"] or "no contact was given"],
    ]


def sections(said: Mapping[str, Any], themes: Mapping[str, str], found: Sequence[Finding]) -> list[dict[str, Any]]:
    """What stands before the chapters, in order."""
    told = {kind: [each for each in found if each.kind == kind] for kind in ("know", "good", "look", "unknown")}
    good = told["good"]
    return [
        {"id": "does", "title": "What this system does", "blocks": _does(said, themes)},
        {"id": "know", "title": "What was found",
         "blocks": [_at_a_glance(said, themes), *([_list("know", told["know"])] if told["know"] else [])]},
        {"id": "asks", "title": "What the committee is asked to do",
         "blocks": [{"kind": "steps", "items": asks(said, found)}]},
        {"id": "good", "title": "What is good", "blocks": [_list("good", good)]},
        {"id": "look", "title": "What is worrying",
         "blocks": [_list("look", told["look"]) if told["look"] else
                    {"kind": "text", "text": "Nothing that this report can see."}]},
        {"id": "unknown", "title": "What is not known", "blocks": [_list("unknown", told["unknown"])]},
    ]  # fmt: skip


def _list(tone: str, found: Sequence[Finding]) -> dict[str, Any]:
    return {"kind": "list", "tone": tone, "items": [[each.head, each.text] for each in found]}


def _does(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[dict[str, Any]]:
    least = said["rules"]["least_records"]
    joined = f"links that rest on at least {least} records" if least > 1 else "links"
    if said["rules"]["shared_associate"]:
        joined += ", or on somebody both are linked with"
    count = "one kind" if len(themes) == 1 else f"{len(themes)} kinds"
    called = "a theme" if len(themes) == 1 else "themes"
    return [
        {"kind": "text", "text":
            "Each week a program reads police records and finds people who are named in the same record. It shows them "
            f"as linked. {_for_example(said)} A link is not an accusation. People joined by "
            f"{joined} are shown together as a network. For each person it adds up links, how strong they are, "
            "records, and harm: how grave the crimes are of which records suspect that person. Staff see the ten "
            "people with the most of each, called key people here. Victims, witnesses and children can be among them; "
            "the screen marks them. The program decides nothing about anybody. This report counts; it names no person "
            f"and no case. It is about {count} of crime, called {called}:"},
        {"kind": "list", "tone": "know",
         "items": [[text, f"– {wording.THEMES[theme]}." if theme in wording.THEMES else ""]
                   for theme, text in themes.items()]},
    ]  # fmt: skip


def _for_example(said: Mapping[str, Any]) -> str:
    """A link as there are some in these records."""
    rows = said["tables"]["people-by-part"]["counts"]
    victims = {"victim and nothing else", "suspected in one record, victim in another"} & rows.keys()
    if victims:
        return "A victim is linked to the suspect, for example."
    return "Two who are suspected together are linked, for example, or a suspect and a witness."


def _at_a_glance(said: Mapping[str, Any], themes: Mapping[str, str]) -> dict[str, Any]:
    """The theme in figures, one a row."""
    few = wording.few(said)

    def told(table: str, row: str, theme: str) -> int | str:
        return wording.count(said, table, row, theme) or few

    aged = wording.aged(said)
    largest = wording.largest_is_known(said)
    heads = ["Kind of crime", "People", *(["Of them under 18"] if aged else []), "Of them only ever victims", "Links",
             "Networks", *(["People in largest network"] if largest else [])]  # fmt: skip
    rows = [
        [text, told("people-by-part", tallies.EVERYBODY, theme),
         *([told("children-by-part", tallies.CHILDREN[0], theme)] if aged else []),
         told("people-by-part", "victim and nothing else", theme), told("links-that-hang", "all links", theme),
         wording.count(said, "networks-over-builds", said["build"], theme) or few,
         *([told("people-in-largest", "largest network", theme)] if largest else [])]
        for theme, text in themes.items()
    ]  # fmt: skip
    least = said["least_count"]
    note = (f"Numbers are rounded to the nearest {least}, so they need not add up. “{few}” is a number too small to "
            "print, and may be none. Both protect people from being recognised.")  # fmt: skip
    if len(themes) > 1:
        note += " The same person can be in more than one row."
    if aged:
        note += " “Under 18” is on the day of the result, not of the event."
    return {"kind": "table", "title": "", "heads": heads, "numeric": [False] + [True] * (len(heads) - 1),
            "rows": [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows],
            "note": note}  # fmt: skip


def findings(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[Finding]:
    """What was found, what is good, what is worrying (the most pressing first), and what is not known."""
    return [*_found(said, themes), *_good(said), *_worrying(said, themes), *_unknown(said)]


# -- what was found ----------------------------------------------------------------------------------------------------


def _found(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[Finding]:
    found = []
    every, linked = wording.people(said), wording.people(said, "linked")
    if every:
        share = wording.in_hundred(linked, every)
        some = f"About {linked:,} of them ({share}) are" if linked else f"{wording.few(said)} of them are"
        suspects = wording.people(said, "offending")
        parts = f" About {suspects:,} are a suspect in some record." if suspects else ""
        if parts and explains_suspected(said):
            parts = f"{parts[:-1]}: who that is, the box above says."
        found.append(Finding("know", "People.", f"About {every:,} people are named in the records. {some} linked to "
                             f"somebody.{parts}"))  # fmt: skip
    everything, one, bare = (
        sum(wording.count(said, "links-that-hang", row, theme) or 0 for theme in themes)
        for row in ("all links", "rest on one record", wording.BARE)
    )
    if share := wording.in_hundred(one, everything):
        text = f"{share[0].upper()}{share[1:]} links rest on a single record. If that record is wrong, so is the link. "
        if bare:
            text += (f"{wording.in_hundred(bare, everything).capitalize()} rest on one piece of intelligence: "
                     "something that the police were told and that nothing else confirms. ")  # fmt: skip
        if wording.strict(said):
            text += ("Links on one record are no fault by themselves: most pairs of people are named together only "
                     "once. They make no network. ")  # fmt: skip
        found.append(Finding("know", "How firm the links are.", text + "Staff have to read the record first."))
    return found


def explains_suspected(said: Mapping[str, Any]) -> bool:
    """Whether the owner says who counts as suspected, in records that are not of crime."""
    return "“suspected”" in said["owner"]["records"].lower()


# -- what is good ------------------------------------------------------------------------------------------------------


def _good(said: Mapping[str, Any]) -> list[Finding]:
    found: list[Finding] = []

    def good(head: str, text: str) -> None:
        found.append(Finding("good", head, text))

    if said["verified"]:
        good("The stored result is unchanged.", "It is the same as what the system signed when it was made.")
    good("Links can be checked.", "The records behind each link are kept with it, so an expert or a court can check "
         "it.")  # fmt: skip
    good("No rule uses sex, ethnicity or age.", "The program refuses settings that would use them to link "
         "people.")  # fmt: skip
    if said["feeds"] and not _stale(said) and not wording.last_record(said):
        good("Records are recent.", f"No record system was more than {wording.STALE_DAYS} days behind.")
    weeks = said["weeks"]
    if weeks["ended"] and weeks["built"] >= weeks["ended"]:
        good("No week is missing.", f"All {weeks['ended']} weeks of the quarter"
             f"{' so far' if weeks['ended'] < weeks['in_period'] else ''} have a result.")  # fmt: skip
    if said["papers"] and not _bad(said):
        good("The papers are in order.", f"All {len(said['papers'])} papers that should govern the system were in force"
             " on the day of the result.")  # fmt: skip
    if not any(said["tables"][name]["counts"] for name in ("people-due", "records-due")):
        good("Nothing is kept too long.", "Nothing, or almost nothing, is past its date.")
    if said["errors"]["settled"] and not said["errors"]["open"]:
        good("Errors are settled.", f"{wording.plural(said['errors']['settled'], 'report')} of an error "
             f"{wording.was(said['errors']['settled'])} settled, and none is open.")  # fmt: skip
    if any(head["cosigned_by"] for head in said["heads"]["shown"]):
        good("Somebody outside keeps watch.", "The logbook of the system was signed outside the force (chapter 4).")
    if said["reproductions"]:
        good("Results were made a second time.", "Whether they came out the same stands in chapter 6.")
    judged = [wording.plain(name) for name in fairness.CHARACTERISTICS if _says_of_linked(said, name)]
    if judged and not _apart(said, "linked"):
        small = any(wording.vague(said, name) for name in fairness.CHARACTERISTICS)
        good("No clear difference was seen between groups.", f"By {wording.listed(judged)}, none is clearly more or "
             f"less often linked than all people in the records{'; for small groups nothing can be said' * small}."
             )  # fmt: skip
    return found


def _says_of_linked(said: Mapping[str, Any], characteristic: str) -> bool:
    """Whether of two groups enough is known to set one beside the other."""
    groups = wording.groups(said["rates"][characteristic]["linked"])
    return len(groups) - len(wording.vague(said, characteristic)) >= 2


# -- what is worrying --------------------------------------------------------------------------------------------------


def _worrying(said: Mapping[str, Any], themes: Mapping[str, str]) -> list[Finding]:
    found: list[Finding] = []

    def look(head: str, text: str, who: str = "", ask: str = "") -> None:
        found.append(Finding("look", head, text, who, ask))

    weeks = said["weeks"]
    if not said["owner"]["records"]:
        look("The records are not described.", "Nobody has said what they are and who answers for them.", _LEAD,
             "What are these records?")  # fmt: skip
    if latest := wording.last_record(said):
        when = wording.day(said["published_on"])
        made = "" if said["acts"].get("Built") else f" It was worked out later, as it would have stood on {when}."
        look("The records are old.", f"None is from this {'quarter' if weeks['in_period'] else 'time'}. The newest is "
             f"of {latest}, so the result is too.{made}", _ANALYSTS, "Why are there no newer records?")  # fmt: skip
    if bad := _bad(said):
        found.append(_papers(said["papers"], bad))
    if not wording.adopted(said):
        look("Harm cannot be relied on.", "Harm adds up how grave the crimes are of which somebody is suspected. It is "
             "counted here with a sample table that no force has adopted.", _LEAD,
             "Which table will the force use to say how grave a crime is?")  # fmt: skip
    if settings := said["rules"]["to_confirm"]:
        about = [SETTINGS.get(key, key) for key in dict.fromkeys(each["key"].partition(".")[0] for each in settings)]
        look(f"{wording.plural(len(settings), 'setting')} of the program {wording.was(len(settings))} never confirmed.",
             f"They decide {wording.listed(about)} (annex A). {MEMORY}",
             _LEAD, "Who will confirm the settings of the program, and when?")  # fmt: skip
    if outgrown := wording.outgrown(said, list(themes)):
        sizes = [f"{most:,} of {every:,} people" + f" ({themes[theme]})" * (len(themes) > 1)
                 for theme, (most, every) in outgrown.items()]  # fmt: skip
        one = len(outgrown) == 1
        look("One network is too large to mean anything." if one else "Some networks are too large to mean anything.",
             f"{'It holds' if one else 'They hold'} {wording.listed(sizes)}. In many records that is to be expected: "
             "chains of links join people who may have nothing to do with each other. It does not show who acts "
             f"together. Staff are warned only above {said['rules']['alarm_share_percent']} in 100 of those who are "
             "linked.", _ANALYSTS,
             "What do staff make of so large a network, and should they be warned sooner?")  # fmt: skip
    if (stale := _stale(said)) and not latest:  # else all are, and the first finding says so
        listed = "; ".join(f"{feed['system']} by {wording.behind(feed['days_before'])}" for feed in stale)
        look("Record systems are behind.", f"Their records end before the result does: {listed}.", _ANALYSTS,
             "Why are the record systems so far behind?")  # fmt: skip
    if weeks["built"] < weeks["ended"]:
        gone = weeks["ended"] - weeks["built"]
        text = f"{gone} of the {wording.plural(weeks['ended'], 'week')} of the quarter"
        text += f"{' so far' if weeks['ended'] < weeks['in_period'] else ''} {wording.has(gone)} no result."
        if weeks["built_since_first"] < weeks["since_first"] * 3 // 4:
            text += f" Since the first result, {weeks['built_since_first']} of {weeks['since_first']} weeks have one."
        if len(weeks["missing"]) <= 3:
            text = f"{text[:-1]}: {wording.listed([wording.week(label) for label in weeks['missing']])}."
        look("Weeks are missing." if gone > 1 else "A week is missing.", text, _ANALYSTS,
             "Why do some weeks have no result?" if gone > 1 else "Why does one week have no result?")  # fmt: skip
    found += _due(said)
    if overdue := said["holds"]["overdue"]:
        look("Legal holds are late.", f"{wording.plural(overdue, 'thing is', 'things are')} kept for a court or an "
             "inquiry and should have been looked at again by now.", _DPO,
             "Why were legal holds not looked at again?")  # fmt: skip
    if still := said["errors"]["open"]:
        look("Errors are open.", f"{wording.plural(still, 'report')} of an error {wording.was(still)} still open.",
             _ANALYSTS, "When will the open errors be settled?")  # fmt: skip
    if not any(head["cosigned_by"] for head in said["heads"]["shown"]):
        look("Nobody outside watches the logbook.", "All that is done to the system is written in a logbook. One long "
             "number in annex C seals it. If the logbook is ever replaced, the number you keep no longer fits.",
             "committee", "Keep this report: next time, have an auditor of your choice compare the long number in "
             "annex C.")  # fmt: skip
    if not said["reproductions"]:
        look("No result was made a second time.", "Nobody checked in this time that the same records give the same "
             "result.", _ANALYSTS, "When will somebody check that the same records give the same result?")  # fmt: skip
    return found + _differences(said)


def _bad(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [paper for paper in said["papers"] if paper["state"] != "in force"]


def _stale(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [feed for feed in said["feeds"] if feed["days_before"] > wording.STALE_DAYS]


def _papers(papers: Sequence[Mapping[str, Any]], bad: Sequence[Mapping[str, Any]]) -> Finding:
    """What is said and asked of the papers that cannot be shown to have been in force."""
    missing = sum(paper["state"] == "not supplied" for paper in bad)
    late = len(bad) - missing
    if missing == len(papers):
        text = (f"None of the {len(papers)} papers that should govern the system was supplied. They may exist "
                "elsewhere: this report cannot tell.")  # fmt: skip
    else:
        what = [f"{missing} {wording.was(missing)} not supplied"] * bool(missing)
        what += [f"{late} {wording.was(late)} out of date or not yet in force"] * bool(late)
        text = f"Of the {len(papers)} papers that should govern the system, {wording.listed(what)}."
    asked = [f"Do{'es' if missing == 1 else ''} the {wording.plural(missing, 'missing paper')} exist"] * bool(missing)
    asked += [f"{'w' if missing else 'W'}ill the {wording.plural(late, 'paper')} not in force be renewed"] * bool(late)
    return Finding("look", "Papers are missing." if missing else "Papers are not in force.", text + " See chapter 2.",
                   _LEAD, f"{', and '.join(asked)}, and by when?")  # fmt: skip


def _due(said: Mapping[str, Any]) -> list[Finding]:
    """What is past its time by the retention rules."""

    def of(row: str, column: str = ethics.NOW) -> tuple[int | None, int | None]:
        return wording.count(said, "people-due", row, column), wording.count(said, "records-due", row, column)

    def both(pair: tuple[int | None, int | None]) -> str:
        people, records = pair
        return " and ".join(
            [f"all data about {people:,} people"] * bool(people) + [f"{records or 0:,} single records"] * bool(records)
        )

    gone, again, parts = of("due for disposal"), of("due for review"), []
    if not any(gone + again):
        return []
    if any(gone):
        old = of("due for disposal", ethics.A_YEAR)
        late = "" if not any(old) else "all of it" if old == gone else both(old)
        parts.append(f"{both(gone)} should have been destroyed by {wording.day(said['made_on'])}.")
        parts += [f"{late} has been late for a year or more."] * bool(late)
        done = sum(each["disposals"] for each in said["disposals"])
        parts.append("Nothing has ever been destroyed." if not said["disposals_so_far"] else
                     f"In this time, {wording.plural(done, 'order')} to destroy something "
                     f"{wording.was(done)} given.")  # fmt: skip
    if any(again):
        parts.append(f"{both(again)} should have been looked at again, to decide whether it is still needed.")
    if (gone[0] or 0) + (again[0] or 0) >= 0.9 * (wording.people(said) or 1):
        parts.append("Together that is nearly everybody.")
    text = " ".join(part[0].upper() + part[1:] for part in parts)
    if wording.invented(said, "retention"):
        text += " The dates were made up for this trial, so it is not a real failing."
        return [Finding("look", "Things are kept too long, by made-up dates.", text)]  # fmt: skip
    return [Finding("look", "Things are kept too long.", text, _DPO,
                    "Why is so much past its date, and when will it be decided?")]  # fmt: skip


def _differences(said: Mapping[str, Any]) -> list[Finding]:
    """Every group of chapter 7 that stands apart."""
    found = []
    shares = ["linked", "key", *(["harmed"] if wording.adopted(said) else [])]
    for of, head in ((shares, "Groups differ in the result."), (["offending"], "Groups differ in the records.")):
        if apart := [text for share in of for text in _apart(said, share)]:
            text = f"{'; '.join(apart)}. Chance and rounding alone do not explain it. It may have a good reason."
            if of == ["offending"] and explains_suspected(said):
                text += " Who counts as suspected, the box on page 1 says."
            found.append(Finding("look", head, text, _ANALYSTS, DIFFERENCES))
    return found


def _apart(said: Mapping[str, Any], share: str) -> list[str]:
    """The groups that stand apart in a share: `Female: less often linked (82 in 100; of all, 90)`."""
    found = []
    for characteristic in fairness.CHARACTERISTICS:
        shares = said["rates"][characteristic][share]
        for group in wording.groups(shares):
            one, every = shares[group], shares.get(ethics.EVERYBODY, {})
            if one["against"] in ("higher", "lower"):
                name = f"area {group}" if characteristic == "area" else wording.group(characteristic, group)
                name = f"people {name}" if characteristic == "age_band" else name
                more = "more" if one["against"] == "higher" else "less"
                mine, all_ = wording.two_in_hundred(one.get("per_mille"), every.get("per_mille"))
                whole = wording.whole(said, characteristic, share)
                beside = f" ({mine} in 100; of {whole}, {all_})" if mine and all_ else ""
                found.append(f"{name[0].upper()}{name[1:]}: {more} often {wording.SHORT[share]}{beside}")
    return found


# -- what is not known -------------------------------------------------------------------------------------------------


def _unknown(said: Mapping[str, Any]) -> list[Finding]:
    found: list[Finding] = []

    def unknown(head: str, text: str, who: str = "", ask: str = "") -> None:
        found.append(Finding("unknown", head, text, who, ask))

    if not any(p["name"] == "accuracy_evaluation" and p["state"] == "in force" for p in said["papers"]):
        unknown("Whether the result is right.", "Nobody has shown how often it is.")
    if not said["use"]["views"]:
        nothing = "" if said["errors"]["reported"] else " So it proves nothing that no error was reported."
        unknown("Whether anybody uses it.", f"Nobody looked at a page in this time.{nothing}", _LEAD,
                "Does anybody use the system?")  # fmt: skip
    if wording.invented(said, "grades"):
        unknown("What real grades would change.", "Intelligence carries a grade: how far it can be trusted. The grades "
                "here were made up, and they decide which intelligence makes a link.")  # fmt: skip
    if blind := wording.blind(said):
        unknown(f"Whether it is fair by {wording.listed(blind)}.", "The records do not say "
                f"{'it' if len(blind) == 1 else 'them'}.", _LEAD,
                "How will fairness be judged where the records are silent?")  # fmt: skip
    text = f"There are too few people to judge {'; or '.join(parts)}." if (parts := _too_few(said)) else ""
    if vague := [f"{len(small)} groups by {wording.plain(name)}" if len(small) > 1 else f"one group by "
                 f"{wording.plain(name)}" for name in fairness.CHARACTERISTICS
                 if (small := wording.vague(said, name))]:  # fmt: skip
        text += f" Of {wording.listed(vague)}, too little is known to say whether they are linked alike."
    if text:
        unknown("Whether it is fair to small groups.", text.strip())
    for gap in filter(None, (wording.gap(said, name) for name in fairness.CHARACTERISTICS)):
        unknown("How those fare of whom too little is recorded.", f"{gap}. They are a gap in the records and no group "
                "of people. The comparison misses them.")  # fmt: skip
    unknown("What the records leave out.", "They show where police have looked. Some people and places are missed. "
            "“All” means all in the records: nobody has compared them with those who live here.")  # fmt: skip
    unknown("How staff use what they see.", "This report cannot tell, nor how they are trained, nor how somebody "
            "affected is told and can complain.", _LEAD, "How are staff trained, and how can somebody affected "
            "complain?")  # fmt: skip
    return found


def _too_few(said: Mapping[str, Any]) -> list[str]:
    """What a reader will look for under fairness, and will not find for want of people: by area, or in a share of which
    most groups are too small."""
    least, none, parts = said["least_count"], [], {"linked": [], "key": []}
    for characteristic in fairness.CHARACTERISTICS:
        shares, plain = said["rates"][characteristic], wording.plain(characteristic)
        if plain in wording.blind(said):
            continue
        if not wording.groups(shares["linked"]):
            fewest = (ethics.LEAST_OF_AREA if characteristic == "area" else ethics.LEAST_OF_GROUP) * least
            none.append(f"anything by {plain} (no {plain} has {fewest} people)")
            continue
        for share, found in parts.items():
            groups = wording.groups(shares[share])
            if 2 * sum("per_mille" not in shares[share][group] for group in groups) >= len(groups):
                found.append(plain)
    gloss = {"linked": "", "key": " (who have the highest figures)"}
    return [
        f"who is {wording.SHORT[share]}{gloss[share]}, by {wording.listed(found)}"
        for share, found in parts.items()
        if found
    ] + none


# -- what is asked -----------------------------------------------------------------------------------------------------


def asks(said: Mapping[str, Any], found: Sequence[Finding]) -> list[dict[str, Any]]:
    """What the committee is asked to do, and whom to ask what; the force's people in the order in which they first come
    up."""
    asks = []
    if any(paper["name"] == "ethics_advice" and paper["state"] != "in force" for paper in said["papers"]):
        asks.append("Advise whether to use, change or stop the system, or say what you need first. Each result names "
                    "your advice; none in force was supplied.")  # fmt: skip
    asks.append("Say whether the system serves the public interest. No figure can answer that.")
    asks += [each.ask for each in found if each.who == "committee"]
    steps: list[dict[str, Any]] = [{"text": text, "items": []} for text in asks]
    for who in (_LEAD, _DPO, _ANALYSTS):
        if mine := list(dict.fromkeys(each.ask for each in found if each.who == who)):
            steps.append({"text": f"Ask {who}:", "items": mine})
    return steps
