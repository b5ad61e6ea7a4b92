"""The recipients ledger: what left the force, to whom, when, by whom and under which law; and who is to be told since.

Every pack, schedule, export, answer and report is an item, numbered from 1 and logged before it leaves. When something
in it is corrected, disposed of or restricted, its recipient has to be told without delay (DPA 2018 s.38(5)(c) and
s.48(9)). Who is to be told follows from the log alone, so nothing is forgotten when a program is not running; that a
notice went out is an act. A notice after a disposal or a restriction names the ledger's item and nobody: the recipient
finds it in their own file. What is sent of the register apart is in that register, and so are its notices (R28).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from provenance import affected, apart, entries, moments, papers, reports, scheduling, sets
from provenance.archive import Archive
from provenance.entries import TOKENS_AT_MOST, Sent, packed, unpacked
from provenance.errors import Conflict, Malformed, Missing
from provenance.holding import unnamed

KINDS = {
    "pack": "an answer with its proof",
    "schedule": "MG6C, MG6D or MG6E of a case",
    "export": "a table or a page",
    "answer": "what a partner asked of a list",
    "report": "a product that quotes the archive",
    "subject-access": "what is held about a person, to that person",
}
RECTIFIED, DISPOSED, RESTRICTED, IN_ERROR = "rectified", "disposed", "restricted", reports.IN_ERROR
CAUSES = {
    RECTIFIED: "the source systems corrected or withdrew something in it",
    DISPOSED: "something in it was disposed of",
    RESTRICTED: "something in it was restricted",
    IN_ERROR: "something in it was found to be in error, upon a report",
}
SHOWN, FEED, ORIGIN = "shown", "feed", "origin"  # whom a finding is told to, beside those who were sent something
_OF_THE_SOURCE = ("source-record", "grading", "timing")  # causes of which the source systems' keepers are told
_PAPER = "sent"


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of the ledger."""

    act: Sent  # the first part
    nominals: tuple[int, ...]
    records: tuple[int, ...]
    place: int  # in the log; of an item apart, how many entries there were by its time
    separate: bool = False

    @property
    def number(self) -> int:
        return self.act.number


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody who is to be told, or was."""

    entry: Entry | None  # what they were sent; None where they were shown it, read it in a feed, or it came from them
    recipient: str
    cause: str  # of CAUSES
    reference: str  # a disposal's id, the number of the last extract that corrected something, or of a report
    happened_on: str
    told: entries.Notified | None  # when, and how
    kind: str = ""  # without an entry: SHOWN, FEED or ORIGIN
    pages: int = 0  # SHOWN: how many they were shown or took away

    @property
    def number(self) -> int:
        """Of the ledger's item; 0 for none."""
        return self.entry.number if self.entry else 0

    def is_of_report(self, number: int) -> bool:
        """Whether it is told because of what was found of that report."""
        return self.cause == IN_ERROR and self.reference == str(number)

    @property
    def name(self) -> str:
        """By which a person names it: `3/disposed/0123456789abcdef`, or `shown:ana/in-error/1`."""
        to = str(self.number) if self.entry else f"{self.kind}:{self.recipient}" if self.kind != ORIGIN else ORIGIN
        return f"{to}/{self.cause}/{self.reference}"


def send(
    archive: Archive,
    *,
    what: str,
    title: str,
    recipient: str,
    basis: str,
    digest: str,
    nominals: Iterable[int] = (),
    records: Iterable[int] = (),
    case: str = "",
    upto: int = 0,
    separate: bool = False,
    on: str,
    by: str,
    under: str,
) -> Entry:
    """Log that something is about to leave, before it does; `digest` is the SHA-256 of what leaves, hexadecimal.

    `title` says what it is and names nobody; `nominals` and `records` are the tokens of all whom it is about, by which
    its recipient will be told. Raises Malformed for a kind that there is not, no recipient or basis, or a text that
    names whom it is about; Missing where one of them is gone.
    """
    if what not in KINDS:
        raise Malformed(f"no such kind of thing to send: wanted one of {', '.join(KINDS)}")
    for name, text in (("title", title), ("recipient", recipient), ("basis", basis)):
        if not text.strip():
            raise Malformed(f"{name} of what is sent is empty: wanted one")
    people, crimes = sorted(set(nominals)), sorted(set(records))
    with archive.writing():
        unnamed(archive, [*people, *crimes], title, recipient, basis, case, by, under)
        number = 1 + max((entry.number for entry in sent(archive, separate=separate)), default=0)
        content = papers.leaf(archive, _PAPER, [*people, *crimes], {"number": number, "sha256": digest})
        parts = _parts(people, crimes)
        acts = [
            Sent(
                on=on, by=by, under=under, number=number, part=part, parts=len(parts), what=what, title=title,
                recipient=recipient, basis=basis, case=case, upto=upto, nominals=packed(some), records=packed(others),
                content=content, apart=apart.NOTHING,
            )
            for part, (some, others) in enumerate(parts, start=1)
        ]  # fmt: skip
        if separate:
            apart.append(archive, *acts)
        else:
            archive.append(*(replace(act, apart=apart.commitment(archive, scheduling.told(act))) for act in acts))
        return sent(archive, separate=separate)[-1]


def is_what_was_sent(archive: Archive, entry: Entry, digest: str) -> bool | None:
    """Whether something with this SHA-256 is what the item says; None where nobody can tell any more, since some of
    whom it was about has been disposed of."""
    tokens = np.array([*entry.nominals, *entry.records], np.int64)
    if not archive.vault.retained(tokens).all():
        return None
    content = {"number": entry.number, "sha256": digest}
    return papers.leaf(archive, _PAPER, tokens.tolist(), content) == entry.act.content


def sent(archive: Archive, *, separate: bool = False) -> list[Entry]:
    """Everything that left, in the order of its numbers; with `separate`, of the register apart."""
    archive.refresh()
    if separate:
        before = archive.placed(["Sent", "Received", "Disposed", "Restricted"])
        acts = [act for act in apart.acts(archive) if isinstance(act, Sent)]
        placed = [(max((at for at, other in before if other.on <= act.on), default=-1), act) for act in acts]
    else:
        placed = [(at, act) for at, act in archive.placed(["Sent"]) if isinstance(act, Sent)]
    found: list[Entry] = []
    for at, act in placed:
        people, crimes = tuple(unpacked(act.nominals)), tuple(unpacked(act.records))
        if act.part == 1:
            found.append(Entry(act, people, crimes, at, separate))
        else:
            first = found[-1]
            found[-1] = replace(first, nominals=first.nominals + people, records=first.records + crimes)
    return found


def notices(archive: Archive, *, separate: bool = False) -> list[Notice]:
    """Everyone who is to be told of something, and everyone who was, by item and then by what happened first."""
    gone = archive.placed(["Disposed", "Restricted"])
    extracts = archive.placed(["Received"])
    told = _told(archive, separate)
    wrong = _in_error(archive)
    found = []
    for entry in sent(archive, separate=separate):
        own = {*entry.nominals, *entry.records}
        happened: dict[tuple[str, str], str] = {}
        for at, act in gone:
            if at > entry.place and not own.isdisjoint(unpacked(act.nominals) + unpacked(act.records)):
                cause = DISPOSED if isinstance(act, entries.Disposed) else RESTRICTED
                happened.setdefault((cause, act.disposal), act.on)
        known = [act.extract for at, act in extracts if at <= entry.place]
        corrected = _corrected(archive, entry, max(known, default=0))
        for extract in sorted({number for numbers in corrected.values() for number in numbers}):
            on = next(act.on for _, act in extracts if act.extract == extract)
            if (entry.number, RECTIFIED, str(extract), entry.act.recipient) in told:
                happened[RECTIFIED, str(extract)] = on
        # What nobody has been told of yet is one notice, by the last extract that corrected something.
        done = max((int(reference) for cause, reference in happened if cause == RECTIFIED), default=0)
        later = [number for numbers in corrected.values() for number in numbers if number > done]
        if later:
            happened[RECTIFIED, str(max(later))] = next(act.on for _, act in extracts if act.extract == max(later))
        for begun, ended, report in wrong:
            if begun < entry.place < ended and affected.is_about(archive, report, entry.nominals, entry.records):
                happened[IN_ERROR, str(report.number)] = report.settled[-1].on
        to = entry.act.recipient
        found += [
            Notice(entry, to, cause, reference, on, told.get((entry.number, cause, reference, to)))
            for (cause, reference), on in sorted(happened.items(), key=lambda item: (item[1], item[0]))
        ]
    return found if separate else found + _findings(archive, wrong, told, {})


def shown_to(archive: Archive, user: str, known: dict[int, dict[str, bool | None]]) -> list[Notice]:
    """What one person is to be told, or was, of the pages that they were shown. `known` as for `affected.of_report`, by
    the report's number."""
    archive.refresh()
    every = _findings(archive, _in_error(archive), _told(archive, separate=False), known)
    return [each for each in every if each.kind == SHOWN and each.recipient == user]


def _told(archive: Archive, separate: bool) -> dict[tuple[int, str, str, str], entries.Notified]:
    acts = apart.acts(archive) if separate else archive.acts(["Notified"])
    return {
        (act.number, act.cause, act.reference, act.recipient): act for act in acts if isinstance(act, entries.Notified)
    }


def _in_error(archive: Archive) -> list[tuple[int, int, reports.Report]]:
    """Reports that were found to be in error, each with the places in the log between which what was wrong could leave:
    that of the first build in error, and that of the finding."""
    settled = {act.report: at for at, act in archive.placed(["Settled"]) if isinstance(act, entries.Settled)}
    return [
        (archive.place("Built", report.finding.first) or 0, settled[report.number], report)
        for report in archive.history.reports
        if report.finding and report.finding.finding == IN_ERROR
    ]


def _findings(
    archive: Archive,
    wrong: Sequence[tuple[int, int, reports.Report]],
    told: dict[tuple[int, str, str, str], entries.Notified],
    known: dict[int, dict[str, bool | None]],
) -> list[Notice]:
    """Whom a finding is told to beside the recipients of the ledger's items: who was shown it, who reads it in a feed,
    and the source systems' keepers where the cause lay there (DPA 2018 s.48(7))."""
    found = []
    for _, _, report in wrong:
        reach, finding = affected.of_report(archive, report, known.setdefault(report.number, {})), report.settled[-1]
        to = [(SHOWN, who, sum(act.by == who for _, act in reach.shown)) for who in reach.viewers]
        to += [(FEED, folder, 0) for folder in sorted({act.folder for act in reach.feeds})]
        to += [(ORIGIN, "the keepers of the source systems", 0)] if finding.cause in _OF_THE_SOURCE else []
        for kind, who, pages in to:
            done = told.get((0, IN_ERROR, str(report.number), _addressed(kind, who)))
            found.append(Notice(None, who, IN_ERROR, str(report.number), finding.on, done, kind, pages))
    return found


def _addressed(kind: str, who: str) -> str:
    """How an entry writes to whom a notice without an item went: a user and a folder of one name are two."""
    return who if kind == ORIGIN else f"{kind}:{who}"


def draft(archive: Archive, notice: Notice) -> str:
    """The notice as text, to be signed and sent. It names nobody; of a correction it says which records, by reference,
    where they are still held and in view."""
    if notice.entry is None:
        return _of_a_finding(archive, notice)
    act, name = notice.entry.act, notice.name
    day = moments.london_day(act.on)
    lines = [
        f"To: {act.recipient}",
        f"Notice {name}",
        "",
        f"On {day} we sent you: {act.title} (our reference: recipients ledger, item {notice.entry.number}).",
        f"It was sent under: {act.basis}.",
        "",
    ]
    since = moments.london_day(notice.happened_on)
    if notice.cause == RECTIFIED:
        records = _shown(archive, notice)
        lines += [
            f"Since then, by {since}, something in it was corrected or withdrawn by the system that it came from.",
            "Please do not rely on it as it stands; ask us for it as it is now (Data Protection Act 2018, s.48(9)).",
            *(["", "Records concerned:", *(f"  {record}" for record in records)] if records else []),
        ]
    elif notice.cause == IN_ERROR:
        lines += [
            f"On {since} something in it was found to be in error, upon our report {notice.reference}.",
            *_found(archive, notice),
            "Please do not rely on it as it stands; ask us for it as it is now (Data Protection Act 2018, s.48(9)).",
        ]
    elif notice.cause == DISPOSED:
        lines += [
            f"On {since} something in it was disposed of here, under reference {notice.reference}.",
            "Please erase what you hold of that item and whatever you made of it, or tell us under what duty you keep",
            "it (Data Protection Act 2018, s.48(9) and (10)). The certificate of the disposal is attached; it names",
            "nobody, and this notice cannot.",
        ]
    else:
        lines += [
            f"On {since} something in it was restricted here, under reference {notice.reference}.",
            "Please make no further use of that item but for proceedings that need it, and ask us before you pass it",
            "on (Data Protection Act 2018, s.48(9) and (10)). This notice cannot say what or whom it is about.",
        ]
    return "\n".join([*lines, "", "Please confirm that you have done so, quoting the notice's reference.", ""])


def _of_a_finding(archive: Archive, notice: Notice) -> str:
    report = archive.history.report(int(notice.reference))
    first, number, day = report.settled[-1].first, report.number, moments.london_day(notice.happened_on)
    pages = f"{notice.pages} pages" if notice.pages != 1 else "a page"
    said = {
        SHOWN: f'You were shown {pages} that had to do with it. The page "What I saw" lists what you were shown.',
        FEED: f"The tables in the folder {notice.recipient} had it, from build {first} on.",
        ORIGIN: "It came from a record that a source system holds, or from how one was graded or handed over.",
    }
    ask = {
        SHOWN: "Please do not rely on it, and tell whoever you passed it to.",
        FEED: "Please do not rely on what you made of them, and read them anew.",
        ORIGIN: "Please correct the record, where that is not done yet (Data Protection Act 2018, s.48(7)). Which\n"
        "it is, our data-protection officer tells you under the report's number.",
    }
    lines = [
        f"To: {notice.recipient}",
        f"Notice {notice.name}",
        "",
        f"On {day} something that we showed was found to be in error, upon our report {number}.",
        *_found(archive, notice),
        said[notice.kind],
        "",
        ask[notice.kind],
        "",
    ]
    return "\n".join(lines)


def _found(archive: Archive, notice: Notice) -> list[str]:
    """Of a finding what may be said to everybody: the builds, and the cause by its code."""
    found = archive.history.report(int(notice.reference)).settled[-1]
    right = f"It is right from build {found.carried} on." if found.carried else "No build shows what is right yet."
    return [f"In error from build {found.first} on; the cause: {reports.CAUSES.get(found.cause, found.cause)}.", right]


def notify(archive: Archive, name: str, *, means: str, separate: bool = False, on: str, by: str, under: str) -> Notice:
    """Record that the notice of this name was sent. Raises Missing where there is none, Conflict where it was sent."""
    with archive.writing():
        notice = next((each for each in notices(archive, separate=separate) if each.name == name), None)
        if notice is None:
            raise Missing("no notice of that name: `provenance ledger notices` has them, as ITEM/CAUSE/REFERENCE")
        if notice.told:
            raise Conflict(f"notice {name} was sent on {moments.london_day(notice.told.on)}: wanted one that was not")
        entry = notice.entry
        unnamed(archive, [*entry.nominals, *entry.records] if entry else [], means, by, under)
        to = entry.act.recipient if entry else _addressed(notice.kind, notice.recipient)
        act = entries.Notified(
            on=on, by=by, under=under, number=notice.number, cause=notice.cause, reference=notice.reference,
            recipient=to, means=means,
            content=hashlib.sha256(draft(archive, notice).encode()).hexdigest(),
        )  # fmt: skip
        if separate:
            apart.append(archive, act)
        else:
            archive.append(act)
        return next(each for each in notices(archive, separate=separate) if each.name == name)


def to_whom(archive: Archive, tokens: Iterable[int]) -> list[Entry]:
    """What was sent about any of these, of the open ledger."""
    wanted = set(tokens)
    return [entry for entry in sent(archive) if not wanted.isdisjoint({*entry.nominals, *entry.records})]


def _parts(people: Sequence[int], crimes: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    named = [("n", token) for token in people] + [("r", token) for token in crimes]
    shares = [named[start : start + TOKENS_AT_MOST] for start in range(0, len(named), TOKENS_AT_MOST)] or [[]]
    return [([t for kind, t in share if kind == "n"], [t for kind, t in share if kind == "r"]) for share in shares]


def _corrected(archive: Archive, entry: Entry, known: int) -> dict[int, set[int]]:
    """By token, the extracts after number `known` that replaced or withdrew a row about it."""
    found: dict[int, set[int]] = {}
    for table, tokens in (("record", entry.records), ("involvement", entry.records), ("person", entry.nominals)):
        index, wanted = archive.index(table), np.array(sorted(tokens), np.int64)
        late = np.flatnonzero((index.replaced > known) & (index.died == 0))
        late = late[sets.among(index.a[late], wanted)]
        for token, extract in zip(index.a[late].tolist(), index.replaced[late].tolist(), strict=True):
            found.setdefault(token, set()).add(extract)
    return found


def _shown(archive: Archive, notice: Notice) -> list[str]:
    """References of the records that a correction is about, as far as they may still be said."""
    known = max((act.extract for at, act in archive.placed(["Received"]) if at <= notice.entry.place), default=0)
    corrected = _corrected(archive, notice.entry, known)
    tokens = np.array(sorted(set(corrected) & set(notice.entry.records)), np.int64)
    tokens = tokens[archive.vault.retained(tokens) & ~sets.among(tokens, archive.withheld())]
    return sorted(" ".join(key.split("\x1f")[1:]) for key in archive.vault.keys(tokens).to_pylist())
