"""Two forms that a force fills in about an algorithmic tool, as far as the archive knows the answers (R50).

The ATRS record, by which public bodies publish what tools they use, and the ALGO-CARE questions for policing. What the
archive knows stands with where it is from; what only the force can say is a gap, and listed as one. No answer is
invented: a purpose or a judgement is never drawn from data. Names of fields and questions are in our words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provenance import governing, moments, params
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.errors import Missing


@dataclass(frozen=True, slots=True)
class Answer:
    """One field of a form: what is known, where from, and what the force has to add; "" where there is none of it."""

    section: str
    field: str
    known: str
    source: str
    gap: str


FORMS: Mapping[str, str] = {"atrs": "Algorithmic transparency record", "algo-care": "ALGO-CARE assessment"}


def last(archive: Archive) -> Snapshot:
    """The build that the forms are about: the last one. Raises Missing without any."""
    if not archive.history.builds:
        raise Missing("no build was made yet: wanted one, for the forms say what it was made with")
    return Snapshot(archive, archive.history.builds[-1], None)


def filled(archive: Archive, form: str, *, on: str) -> dict[str, Any]:
    """A form, field by field, with the gaps listed by themselves."""
    answers = (_atrs if form == "atrs" else _algo_care)(archive, last(archive))
    return {
        "form": form, "title": FORMS[form], "archive": archive.name,
        "build": archive.history.builds[-1].label, "made_on": on,
        "answers": [
            {name: getattr(each, name) for name in ("section", "field", "known", "source", "gap")} for each in answers
        ],
        "gaps": [f"{each.section}: {each.field}: {each.gap}" for each in answers if each.gap],
    }  # fmt: skip


def markdown(said: Mapping[str, Any]) -> str:
    """The form to read and to complete."""
    lines = [
        f"# {said['title']}",
        "",
        f"Archive {said['archive']}, build {said['build']}, made {moments.london_day(said['made_on'])}. "
        f"{len(said['gaps'])} of {len(said['answers'])} fields need an answer that only the force can give.",
    ]
    section = ""
    for each in said["answers"]:
        if each["section"] != section:
            section = each["section"]
            lines += ["", f"## {section}"]
        lines += ["", f"**{each['field']}**", ""]
        if each["known"]:
            lines += [f"{each['known']} (from {each['source']})", ""]
        if each["gap"]:
            lines += [f"> To be answered by the force: {each['gap']}", ""]
    lines += ["", "## What is missing", "", *(f"- {gap}" for gap in said["gaps"]), ""]
    return "\n".join(lines)


def _facts(archive: Archive, snapshot: Snapshot) -> dict[str, str]:
    """What both forms ask, in sentences."""
    statement = snapshot.statement
    rules = params.stated(statement.params.decode())
    history = archive.history
    papers = governing.standing(statement, rules, moments.london_day(snapshot.built.cut_off))
    kinds = sorted({kind for of in rules.systems.values() for kind in of})
    weights = ", ".join(
        f"{kind.replace('_', ' ')} {points}" for kind, points in sorted(rules.links.kind_points.items())
    )
    needs = ", ".join(rules.grading.needs_grade) or "no kind of record"
    shared = " or a shared associate by other records" if rules.networks.shared_associate else ""
    return {
        "sources": "; ".join(f"{name}: {_listed(of)}" for name, of in sorted(rules.systems.items())),
        "kinds": _listed(kinds),
        "themes": ", ".join(rules.themes.values()),
        "method": (
            f"Rule {rules.links.rule}: two people named in one record are linked. Points by kind of record: {weights}; "
            f"less by role and grade. Networks join people by links of at least {rules.networks.least_records} "
            f"records{shared}. No model is trained, and no probability is given."
        ),
        "grades": (
            f"{needs} needs a grade that the force admits. "
            + ("The force has yet to confirm which." if rules.grading.force_to_confirm else "")
        ).strip(),
        "harm": ", ".join(edition.name for edition in statement.harm_tables),
        "code": f"version {statement.builder_version}, commit {statement.code[:12] or 'not recorded'}, files "
                f"{statement.package[:12]}, environment {statement.environment[:12]}",
        "papers": "; ".join(f"{p['title']}: {p['version'] or 'no version'}, {p['state']}" for p in papers),
        "missing_papers": ", ".join(p["title"] for p in papers if p["state"] != governing.IN_FORCE),
        "builds": f"{len(history.builds)}, the last on {moments.london_day(history.builds[-1].on)}",
        "retention": f"rules {rules.retention.version}, MOPI groups {', '.join(sorted(rules.retention.groups))}",
        "log": f"{archive.log.size} entries, every act of the archive among them, under a signed head",
        "disposals": f"{len(history.disposals)} disposals, {sum(d.certified is not None for d in history.disposals)} "
                     "of them certified",
        "advice": " ".join(rules.landing_page.text.split()),
        "reports": f"{len(archive.acts(['Issued']))} reports of counts were issued",
        "errors": "{} errors were reported, and {} settlements of them logged".format(
            *(len(archive.acts([kind])) for kind in ("Reported", "Settled"))
        ),
        "protected": "No setting can name sex, ethnicity, age or another protected characteristic: params that do are "
                     "refused when they are read",
    }  # fmt: skip


def _listed(words: Iterable[str]) -> str:
    return ", ".join(word.replace("_", " ") for word in words)


def _atrs(archive: Archive, snapshot: Snapshot) -> list[Answer]:
    known = _facts(archive, snapshot)
    statement, log = "the signed build statement", "the log"
    settings = "params.yaml, as the build carries it"

    def gap(section: str, field: str, wanted: str) -> Answer:
        return Answer(section, field, "", "", wanted)

    who, why, how, data, risk = (
        "Owner and responsibility", "What it is for", "How it works", "Data", "Risks and assessments"
    )  # fmt: skip
    return [
        Answer(who, "Name of the tool", f"Network archive of {archive.name}", "the archive", ""),
        gap(who, "Organisation and contact", "organisation, team, and an address for questions"),
        gap(who, "Senior responsible owner", "role of the person who answers for it"),
        gap(who, "Supplier, if any", "who built, supplies or maintains it, and under which contract"),
        Answer(why, "Description", f"Links people who are named in the same police records, for: {known['themes']}",
               settings, "the purpose in the force's own words"),
        gap(why, "Benefits, and what was done before", "the reason for using it, and the alternatives considered"),
        gap(why, "Scope and scale of use", "how many people use it, and which decisions it informs"),
        Answer(how, "Method", known["method"], settings, ""),
        Answer(how, "Harm tables", known["harm"], statement, ""),
        Answer(how, "Version", known["code"], statement, ""),
        Answer(how, "How often it runs", f"Weekly; builds so far: {known['builds']}", log, ""),
        Answer(how, "Part that a person has", known["advice"], "the words on every page",
               "who decides, after which training, and how somebody appeals"),
        Answer(data, "Sources", known["sources"], settings, "owner of each source, and the agreement to share"),
        Answer(data, "Personal and sensitive data", f"Records of: {known['kinds']}; name, date of birth, sex and "
               "ethnicity as recorded", settings, "the condition for sensitive processing"),
        Answer(data, "Storage and retention", f"Rows are encrypted under secrets of their own; {known['retention']}; "
               f"{known['disposals']}", log, ""),
        Answer(data, "Access", "By role; every page that is looked at is logged", log, "who is given which role"),
        Answer(risk, "Impact assessments and other papers", known["papers"], statement,
               f"the papers that are not in force: {known['missing_papers']}" if known["missing_papers"] else ""),
        Answer(risk, "Bias", known["protected"], settings, "what the force concludes from the ethics reports"),
        gap(risk, "Risks and what is done about them", "the risks as the impact assessment has them"),
    ]  # fmt: skip


def _algo_care(archive: Archive, snapshot: Snapshot) -> list[Answer]:
    known = _facts(archive, snapshot)
    statement, log, settings = "the signed build statement", "the log", "params.yaml, as the build carries it"
    papers = f"the papers that are not in force: {known['missing_papers']}" if known["missing_papers"] else ""
    return [
        Answer("Advisory", "Is the output only advice, and does an officer keep discretion?", known["advice"],
               "the words on every page", "how officers are trained, and how it is checked that they decide"),
        Answer("Lawful", "What is the purpose and the legal basis?", known["papers"], statement,
               "purpose, necessity and proportionality" + (f"; {papers}" if papers else "")),
        Answer("Lawful", "Is data kept no longer than it may be?", f"{known['retention']}; {known['disposals']}", log,
               ""),
        Answer("Granularity", "Is the data good and detailed enough for the purpose?",
               f"Sources: {known['sources']}. {known['grades']}", settings,
               "what the force concludes from chapter 3 of the ethics report"),
        Answer("Ownership", "Does the force own the tool and the right to inspect it?", f"{known['code']}", statement,
               "rights under any contract, and who maintains it"),
        Answer("Challengeable", "Can it be scrutinised, and can those affected question it?",
               f"{known['log']}; {known['errors']}", log, "how the public is told, and how somebody complains"),
        Answer("Accuracy", "Is it accurate enough, and is that checked?", f"{known['reports']}", log,
               "the evaluation of accuracy, and the harm of each kind of error"),
        Answer("Responsible", "Is it fair, ethical and in the public interest?", known["protected"], settings,
               "the committee's opinion"),
        Answer("Explainable", "Can its rules and results be explained?", known["method"], settings,
               "how it is explained to somebody who is affected"),
    ]  # fmt: skip
