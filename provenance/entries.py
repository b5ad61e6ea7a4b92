"""Each act is one log entry: what happened, when, by whom and under what authority.

Entries are canonical JSON objects. They hold tokens, digests, labels, counts, authority and dates, and have no field
for anything else: no name, no id of a person or a record. An act that is incomplete or in another form is refused,
and so are bytes that are not the one way to write the act they hold. An act of a kind that this version does not know
is kept as it is, so that old software still lists what newer software logged.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from provenance import canonical
from provenance.errors import Malformed, shape


@dataclass(frozen=True, slots=True)
class Form:
    """What a field may hold, and how an error says so."""

    wanted: str
    holds: Callable[[Any], bool]


def _matching(wanted: str, pattern: str, also: Callable[[str], object] = str) -> Form:
    """Text that matches all of `pattern` and that `also` reads without a ValueError."""
    expression = re.compile(pattern, re.ASCII)

    def holds(value: Any) -> bool:
        if type(value) is not str or not expression.fullmatch(value):
            return False
        try:
            also(value)
        except ValueError:
            return False
        return True

    return Form(wanted, holds)


# Instants are text because that is what is hashed, and because text in this form sorts as time does.
Instant = Annotated[
    str,
    _matching("an instant, YYYY-MM-DDTHH:MM:SSZ", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", datetime.fromisoformat),
]
Digest = Annotated[str, _matching("64 lowercase hexadecimal digits", r"[0-9a-f]{64}")]
Label = Annotated[
    str,
    _matching(
        "an ISO week, like 2026-W47, or 2026-W47.2 for its second build",
        r"\d{4}-W\d\d(\.([2-9]|[1-9]\d+))?",
        lambda text: date.fromisocalendar(int(text[:4]), int(text[6:8]), 1),
    ),
]
LabelOrNone = Annotated[
    str,
    _matching(
        "an ISO week, like 2026-W47, or nothing",
        r"(\d{4}-W\d\d(\.([2-9]|[1-9]\d+))?)?",
        lambda text: text and date.fromisocalendar(int(text[:4]), int(text[6:8]), 1),
    ),
]
Code = Annotated[str, _matching("a code of lowercase words, at most 64 characters", r"[a-z][a-z0-9 _-]{0,63}")]
Mode = Annotated[str, _matching("full or delta", r"full|delta")]
Text = Annotated[
    str, _matching("text of one line, 1 to 1000 characters", r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,1000}")
]
TextOrNone = Annotated[
    str,
    _matching("text of one line, at most 1000 characters", r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{0,1000}"),
]
InstantOrNone = Annotated[
    str,
    _matching(
        "an instant, YYYY-MM-DDTHH:MM:SSZ, or nothing",
        r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?",
        lambda text: text and datetime.fromisoformat(text),
    ),
]
RelativePath = Annotated[str, _matching("a path within the archive", r"\w[\w.-]*(/\w[\w.-]*)*")]
Count = Annotated[int, Form("a count, 0 or more", lambda value: type(value) is int and 0 <= value < 2**53)]
Day = Annotated[str, _matching("a day, YYYY-MM-DD", r"\d{4}-\d\d-\d\d", date.fromisoformat)]
DayOrNone = Annotated[str, _matching("a day, or nothing", r"(\d{4}-\d\d-\d\d)?", lambda t: t and date.fromisoformat(t))]
ESCROW = (NONE_HELD, TO_BE_REPLACED, NOT_STATED) = ("none held", "to be replaced", "not stated")
FileForm = Annotated[str, _matching("csv, parquet or pdf", "csv|parquet|pdf")]
Escrow = Annotated[str, _matching(", ".join(ESCROW[:-1]) + f" or {ESCROW[-1]}", "|".join(ESCROW))]
Id = Annotated[str, _matching("16 lowercase hexadecimal digits", r"[0-9a-f]{16}")]
# 63-bit numbers, which JSON's readers would round; as text, four times as many go into one entry as a Value each.
Tokens = Annotated[
    str,
    _matching(
        "tokens of 16 hexadecimal digits, ascending, with a space between",
        r"([0-9a-f]{16}( [0-9a-f]{16})*)?",
        lambda text: _ascending(text.split()),
    ),
]
TOKENS_AT_MOST = 3_000  # in one entry, whose size the log limits
FILES_AT_MOST = 300  # likewise


def _ascending(values: list[str]) -> None:
    if any(one >= other for one, other in pairwise(values)):
        raise ValueError


def packed(tokens: Iterable[int]) -> str:
    """Tokens as the log writes them."""
    return " ".join(f"{token:016x}" for token in sorted(set(tokens)))


def unpacked(tokens: str) -> list[int]:
    """What `packed` packed."""
    return [int(token, 16) for token in tokens.split()]


_V = TypeVar("_V", bound="Value")


class Value:
    """A frozen dataclass whose fields are checked against what they are declared as.

    A field is one of the forms above, another Value, or a tuple of Values, which is kept sorted by the Value's first
    field and holds no two of one name. Raises Malformed naming the field, never its content.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        for name, hint in declared(type(self)).items():
            value = getattr(self, name)
            if get_origin(hint) is tuple:
                object.__setattr__(self, name, self._sorted(name, get_args(hint)[0], value))
            elif isinstance(hint, type) and issubclass(hint, Value):
                if not isinstance(value, hint):
                    raise Malformed(f"{self._named(name)}: a {type(value).__name__}, wanted a {hint.__name__}")
            else:
                form: Form = hint.__metadata__[0]
                if not form.holds(value):
                    raise Malformed(f"{self._named(name)}: {_described(value)}, wanted {form.wanted}")

    def _sorted(self, name: str, item: type[Value], values: Any) -> tuple[Value, ...]:
        if not isinstance(values, tuple) or not all(isinstance(value, item) for value in values):
            raise Malformed(f"{self._named(name)}: wanted a tuple of {item.__name__}")
        first = next(iter(declared(item)))
        ordered = sorted(values, key=lambda value: getattr(value, first))
        if len({getattr(value, first) for value in values}) < len(values):
            raise Malformed(f"{self._named(name)}: two with one {first}, wanted each once")
        return tuple(ordered)

    def _named(self, field: str) -> str:
        return f"{type(self).__name__}.{field}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed(Value):
    """What one source system handed over."""

    system: Text
    watermark: Instant
    records: Count
    involvements: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejects(Value):
    """How many rows were turned away for one reason; which ones is in the rejects report."""

    reason: Code
    count: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Value):
    """One table of a snapshot: the RFC 6962 root over its leaves in byte order."""

    name: Code
    size: Count
    root: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile(Value):
    """A file of the archive as it was when it was logged. What it holds is sealed, so its digest tells nothing."""

    path: RelativePath
    sha256: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Act(Value):
    """Something that happened."""

    on: Instant  # when it was logged
    by: Text  # who did it: a member of staff or a service account
    under: Text  # what authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded(Act):
    """The archive was created; the first entry of every log."""

    archive: Text  # its id, in every copy of it
    format: Count
    vkey: Text  # of the key that signs from here on, until one is Rekeyed


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed(Act):
    """Another key signs from here on. What was signed before stays signed by the key before."""

    place: Count  # of this entry in the log: the span of the new key begins behind it
    vkey: Text
    reason: Code
    endorsement: Text  # of place and vkey by the key before, see `statements.endorse`; base64


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocked(Act):
    """The vault was sealed under another master key, and the one before is destroyed; no disposal asked for it."""

    reason: Code
    custody: Code  # of custody.KINDS: what kind of place the keys lie in from here on


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(Act):
    """An extract came in and its good rows were kept."""

    extract: Count  # the archive's running number of extracts; its folder's name is not logged
    keyed_digest: Digest  # HMAC-SHA-256 over the extract, under a secret of the archive: no guess can be tried on it
    cut_off: Instant
    mode: Mode
    systems: tuple[Feed, ...]
    rejects: tuple[Rejects, ...]
    segment_size: Count
    segment_root: Digest  # RFC 6962, over the leaves of the rows that were new, in byte order
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed(Act):
    """A person let an extract pass a threshold that had blocked it."""

    extract: Count
    threshold: Code
    reason: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut(Value):
    """How many records that a build took gave no link, and how many people they hold; never which (R12)."""

    what: Text  # system, kind and reason, such as `CONNECT intelligence: grade-not-admitted`
    records: Count
    people: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Built(Act):
    """A build was made."""

    label: Label
    number: Count
    cut_off: Instant
    extracts: Count  # how many the archive had received when the build was logged
    rules: Digest  # of what decides links and counts
    statement: Digest  # SHA-256 of the build statement's envelope, as it lies on disk
    tables: tuple[Table, ...]
    left_out: tuple[LeftOut, ...]
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Act):
    """A build went live, until the next one or its withdrawal."""

    label: Label
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn(Act):
    """A build was taken off the dashboard; what is live then is the build before it."""

    label: Label
    at: Instant
    reason: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Act):
    """A week's build did not come about."""

    label: Label
    cut_off: Instant
    reason: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening(Value):
    """A day that counts towards how long a case's material is kept: see `holds.EVENTS`."""

    event: Code
    day: Day


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkScope(Value):
    """A network that a hold names by its id."""

    network: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Act):
    """A case needs material: until the hold is released, its disposal is restriction (CPIA 1996 s.23, Code)."""

    hold: Id
    case: Text
    basis: Code
    nominals: Tokens
    records: Tokens
    networks: tuple[NetworkScope, ...]
    first_day: DayOrNone  # of what occurred; both or neither
    last_day: DayOrNone
    everything: Count  # 1: all that the archive has, as for an inquiry
    review_on: Day
    events: tuple[Happening, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(Act):
    """Something happened in a held case that moves the day from which it may be released, or its review."""

    hold: Id
    events: tuple[Happening, ...]  # none: only the review was moved
    review_on: Day


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Act):
    """A hold has ended."""

    hold: Id
    earliest: DayOrNone  # as computed; nothing where the basis has no table
    reason: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed(Act):
    """A person looked at what is due and decided to keep it (R40)."""

    nominals: Tokens
    records: Tokens
    reason: Code
    next_review: Day


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRef(Value):
    """A hold that a restriction waits for."""

    hold: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Restricted(Act):
    """What was to be disposed of is held: it is out of every view, and only the held cases may read it (R38).

    Logged again where other holds keep it, and without any where none does and a person has to decide, since something
    came in about it, or a review kept it, after it was restricted.
    """

    disposal: Id
    part: Count  # from 1; one carried-out plan may need several entries
    nominals: Tokens
    records: Tokens
    approved_by: Text
    reason: Code
    plan: Digest  # keyed: recognises the plan, and tells nobody without the vault what it said
    judged: Count  # 1: nobody but the retention rules asks for it, and they are asked again before it goes
    holds: tuple[HoldRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposed(Act):
    """Secrets are destroyed: from this entry on, nobody is shown what rested on them (R31 to R36)."""

    disposal: Id  # the tombstone's random id; the certificate has it too
    number: Count  # 1 for the archive's first disposal
    part: Count
    parts: Count
    nominals: Tokens
    records: Tokens
    approved_by: Text
    reason: Code
    plan: Digest
    files: tuple[StoredFile, ...]  # in the first part: what it reached, and the rows that take the place of others


@dataclass(frozen=True, slots=True, kw_only=True)
class Expunged(Act):
    """The dead rows are gone from these files, which are otherwise as they were; their leaves stay.

    Where there are many files, several entries under one head say it.
    """

    number: Count
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified(Act):
    """A disposal was carried out in every copy the archive knows, was verified, and its certificate signed."""

    number: Count
    certificate: Digest  # SHA-256 of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrowed(Act):
    """Who keeps the master key says whether a copy of it is held elsewhere, and that older copies are destroyed."""

    copies: Count  # 0: none is held; 1: one is
    disposals: Count  # the copy is of the key that was in use after so many; 0 also where none is held


@dataclass(frozen=True, slots=True, kw_only=True)
class Consulted(Act):
    """Someone was shown restricted material for a case."""

    case: Text
    label: Label
    rows: Count  # restricted rows that the answer held


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced(Act):
    """A build was made again from what it was made of, and compared with what was published."""

    label: Label
    verdict: Code
    same: Count  # rows of all tables that came out leaf for leaf
    lost: Count  # that cannot be made again, since what they rest on was disposed of
    differing: Count  # that are neither
    code: TextOrNone  # git commit of the code that made it again
    package: Digest  # over the files of that code
    environment: Digest  # of the packages, as in a build's statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed(Act):
    """Someone was shown a page of a build; `under` is the role in which they looked."""

    label: Label
    at: InstantOrNone  # the moment that was asked for; "" where the build was asked for by its label
    asked: Text  # the view and its filters, without the nominals
    nominals: Tokens  # whom it was about, not all whom it named
    case: TextOrNone  # for which it also showed what is restricted
    form: Count  # in which the page said it: `viewing.FORM` of that day
    shown: Digest  # leaf of what it said
    leaves: Digest  # root over the leaves of the rows that were opened for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued(Act):
    """A report of counts was made, to leave: each later one is held against all before it, see `issuing`."""

    report: Code  # its kind
    period: Text  # a quarter, or the label of a build
    number: Count  # of this kind, 1 for the first
    label: Label  # the build that its counts are of
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced(Act):
    """Someone was told who was shown what (DPA 2018 s.62): for which purpose, and what they asked."""

    purpose: Code  # of `trail.PURPOSES`
    nominals: Tokens  # about whom they asked; of what rested on a record, the record's
    user: TextOrNone
    label: LabelOrNone
    case: TextOrNone
    first_day: DayOrNone
    last_day: DayOrNone
    lines: Count  # that they were told


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported(Act):
    """Someone says that a page they were shown is wrong. What they say in words is sealed, and not here."""

    view: Count  # place in the log at which they were shown it
    label: Label
    asked: Text
    nominals: Tokens
    case: TextOrNone
    shown: Digest  # leaf of what it said
    wrong: Code  # of `reports.WRONG`
    files: tuple[StoredFile, ...]  # their words, if any


@dataclass(frozen=True, slots=True, kw_only=True)
class Triaged(Act):
    """A report was taken up: how soon it has to be settled, and who looks into it. What is said last holds."""

    report: Count  # 1 for the log's first
    urgency: Code  # of `reports.URGENCIES`
    to: Text  # who looks into it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Act):
    """A report was looked into. What is settled last of a report is what holds."""

    report: Count  # 1 for the log's first
    finding: Code  # of `reports.FINDINGS`
    cause: Code  # of `reports.CAUSES`
    corrected: Count  # 1: at the source
    first: LabelOrNone  # the first build that was in error
    carried: LabelOrNone  # the build from which on the correction is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(Act):
    """Something was about to leave: a page as a file, or a feed of plain tables, which stands until it is Recalled."""

    label: Label
    asked: Text  # as for Viewed; of a feed its theme
    nominals: Tokens  # as for Viewed
    case: TextOrNone
    shown: Digest  # of a page as for Viewed; of a feed keyed, over its files: no guess can be tried on it
    form: FileForm  # what it was written as
    folder: TextOrNone  # of a feed: where it is written, from the archive's folder on
    caveat: Text  # version of the advisory words that went with it
    handling: TextOrNone  # the strictest of what is in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled(Act):
    """A feed is written no more. Its files are removed, or whoever keeps the folder has said that they are gone."""

    folder: Text
    removed: Count  # 1: here, and 0: the folder was not reached, and somebody answers for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted(Act):
    """A person may look, as somebody of this role: see `access.ROLES`. Who grants it is `by`, and never that person."""

    user: Text  # as they sign on
    role: Code
    department: Text
    director: TextOrNone  # the Director's recorded authorisation, for whoever is outside the Intelligence Department
    first_day: Day
    last_day: DayOrNone  # none: until it is revoked


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked(Act):
    """Every grant of this role to this person ends, with this entry."""

    user: Text
    role: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled(Act):
    """An item of a case's unused material was entered on a schedule, moved, described anew or withdrawn (R24, R25)."""

    case: Text
    item: Count  # the case's running number, which it has on the MG6D; from 1, and never another's
    number: Count  # on the MG6C likewise; 0 while it has never been on it
    schedule: Code  # of schedules.SCHEDULES
    reviewer: TextOrNone  # who judged that it is not sensitive; "" on the MG6D
    nominals: Tokens
    records: Tokens
    paper: Digest  # leaf of what is said of it: see `papers`
    apart: Digest  # holds the separate register to what it said then, and tells nobody what that is: see `apart`


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent(Act):
    """Something left the force: an item of the recipients ledger (R30, R43). Logged before it leaves."""

    number: Count  # of the ledger, from 1
    part: Count  # from 1; one that is about many people needs several entries
    parts: Count
    what: Code  # of ledger.KINDS
    title: Text  # what it was, in words that name nobody
    recipient: Text  # an organisation or an officer
    basis: Text  # the law under which they may have it
    case: TextOrNone
    upto: Count  # of a schedule, the last item on it; else 0
    nominals: Tokens
    records: Tokens
    content: Digest  # leaf of its SHA-256, under the secrets of all whom it is about (the archive's where of nobody)
    apart: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(Act):
    """A recipient was told that something they were sent or shown has been rectified, disposed of or restricted, or was
    found to be in error."""

    number: Count  # of the ledger's item; 0 where they were shown it, read it in a feed, or it came from them
    cause: Code  # of ledger.CAUSES
    reference: Text  # the disposal's id, or the number of the extract that corrected it, or of the report
    recipient: Text
    means: Text  # how it was sent
    content: Digest  # SHA-256 of the notice, which names nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Act):
    """Somebody asked what is held about them (DPA 2018 s.45(1)(b)); the month runs from the day of receipt."""

    request: Count  # from 1
    nominals: Tokens
    received_on: Day
    due_on: Day


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Act):
    """A subject access request was answered; the reasons for what was withheld are kept for the Commissioner."""

    request: Count
    nominals: Tokens
    builds: Count  # that the answer is over
    paper: Digest  # leaf of the recorded reasons (s.45(7)): see `papers`


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined(Act):
    """Rows of an extract spoke of what was disposed of, and were kept out (R41); the rejects report says which."""

    extract: Count
    rows: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Act):
    """The archive was put back from a backup, and the disposals since were replayed upon it."""

    backup: Digest  # SHA-256 of the backup's manifest
    replayed: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested(Act):
    """A disclosure query was saved: what a case asks to be told, now and whenever the answer changes (R22)."""

    query: Id
    case: Text
    nominals: Tokens  # whom it asks about
    sealed: Digest  # SHA-256 of its file, which is sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Value):
    """One reason why an answer is another than before, and how many things it touched."""

    what: Text  # such as `disposal: mopi-review`, `new_record`; never whom
    count: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Rechecked(Act):
    """A saved query was asked again: as it was saved, when its answer had changed, when a person dealt with that."""

    query: Id
    because: Code  # saved, changed, pack or noted
    label: Label  # of the latest build then
    answer: Digest  # keyed: the same for the same answer, and tells nobody without the vault anything
    changes: tuple[Change, ...]
    sealed: Digest  # SHA-256 of the file with its parts, which is sealed
    reason: TextOrNone  # what a person who noted it decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosed(Act):
    """A pack was made, logged before it is handed to anybody; to whom it goes is another act."""

    query: Id
    case: Text
    nominals: Tokens  # whom it was asked about and has something of
    pack: Digest  # keyed, over its tag manifest: recognises the pack, and tells nobody without the vault what it held
    handling: TextOrNone  # strictest of its contents
    head: Count  # entries of the log under the head that it proves everything with


@dataclass(frozen=True, slots=True)
class Unknown:
    """An act of a kind that this version does not know, as it stands in the log."""

    data: bytes
    act: str
    on: str
    by: str
    under: str

    FIELDS: ClassVar[tuple[str, ...]] = ("act", "on", "by", "under")


ACTS: dict[str, type[Act]] = {
    act.__name__: act
    for act in (
        Founded, Rekeyed, Relocked, Received, Confirmed, Built, Published, Withdrawn, Failed, Held, Progressed,
        Released, Reviewed, Restricted, Disposed, Expunged, Certified, Escrowed, Consulted, Reproduced, Viewed,
        Exported, Recalled, Traced, Reported, Triaged, Settled, Issued, Granted, Revoked, Scheduled, Sent, Notified,
        Asked,
        Answered, Quarantined, Restored, Requested, Rechecked, Disclosed,
    )
}  # fmt: skip


def to_bytes(act: Act | Unknown) -> bytes:
    """The act's log entry: canonical JSON."""
    return act.data if isinstance(act, Unknown) else canonical.dumps({"act": type(act).__name__, **as_json(act)})


def from_bytes(data: bytes) -> Act | Unknown:
    """Read an entry. Raises Malformed unless it is the one way to write that act."""
    content = canonical.loads(data)
    if not isinstance(content, dict) or not all(type(content.get(field)) is str for field in Unknown.FIELDS):
        raise Malformed("log entry: wanted an object that says act, on, by and under")
    kind = ACTS.get(content["act"])
    if kind is None:
        return Unknown(data, **{field: content[field] for field in Unknown.FIELDS})
    del content["act"]
    return from_json(kind, content)


def as_json(value: Value) -> dict[str, Any]:
    """The value's fields under their own names; tuples as arrays."""
    content: dict[str, Any] = {}
    for name in declared(type(value)):
        field = getattr(value, name)
        if isinstance(field, tuple):
            content[name] = [as_json(item) for item in field]
        else:
            content[name] = field
    return content


def from_json(kind: type[_V], content: Any) -> _V:
    """The Value whose `as_json` is `content`. Raises Malformed on any other field, or order."""
    fields = declared(kind)
    if not isinstance(content, dict) or content.keys() != fields.keys():
        found = sorted(content) if isinstance(content, dict) else []
        raise Malformed(f"{kind.__name__}: fields {', '.join(map(shape, found))}, wanted {', '.join(fields)}")
    arguments = dict(content)
    for name, hint in fields.items():
        if get_origin(hint) is tuple:
            if not isinstance(content[name], list):
                raise Malformed(f"{kind.__name__}.{name}: wanted an array")
            arguments[name] = tuple(from_json(get_args(hint)[0], item) for item in content[name])
    value = kind(**arguments)
    if as_json(value) != content:
        raise Malformed(f"{kind.__name__}: arrays out of order, wanted each sorted by its first field")
    return value


@functools.cache
def declared(kind: type[Value]) -> dict[str, Any]:
    """Field names of a Value and what each is declared as, in order."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}  # type: ignore[arg-type]


def _described(value: Any) -> str:
    return (shape(value) or "nothing") if type(value) is str else f"a {type(value).__name__}"
