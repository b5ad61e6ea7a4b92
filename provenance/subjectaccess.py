"""What is held about one person, told to that person: the data, its origin, who was given it, how long it stays.

DPA 2018 s.45(1) and (2). Other people are in it by their role alone. Never in it, and said so: who they are, grades and
handling codes, which are about sources, and places, which may be somebody else's home. What an officer withholds
besides has a ground of s.45(4) and a reason for this very thing; reasons are kept for the Commissioner (s.45(7)) as a
paper, sealed under the person's secret. The month (s.45(3), s.54) runs from the day of receipt to the same day of the
next month, or its last day.

Refused: an answer while something is restricted that nobody gave a ground for, a ground that the law has not.
"""

from __future__ import annotations

import calendar
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from provenance import entries, ledger, moments, papers, reviewing, sets, vault
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.errors import Conflict, Malformed, Missing, Refused
from provenance.holding import unnamed
from provenance.params import Params
from provenance.reviewing import Identities, Subject

GROUNDS = {  # DPA 2018 s.45(4), as amended by the Data (Use and Access) Act 2025 s.88 (read 2026-11-28)
    "inquiry": "s.45(4)(a): to avoid obstructing an official or legal inquiry, investigation or procedure",
    "crime": "s.45(4)(b): to avoid prejudicing the prevention, detection, investigation or prosecution of offences",
    "public-security": "s.45(4)(c): to protect public security",
    "rights-of-others": "s.45(4)(e): to protect the rights and freedoms of others",
}
_LEFT_OUT = "other people, grades and handling codes, and places are left out (s.45(4)(e))"


@dataclass(frozen=True, slots=True)
class Withheld:
    """One thing that is not told, and why. `record` is "" for whatever is restricted."""

    system: str
    record: str
    ground: str
    reason: str
    untold: bool = False  # the answer does not even say that something is withheld (s.45(6))

    def __post_init__(self) -> None:
        if self.ground not in GROUNDS:
            raise Malformed(f"no such ground to withhold on: wanted one of {', '.join(GROUNDS)}")
        if not self.reason.strip():
            raise Malformed("what is withheld has no reason: wanted one for this very thing (s.45(7))")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the log has it."""

    act: entries.Asked
    answered_on: str  # "" while it is open

    def is_late(self, on: str) -> bool:
        """Whether it was not answered in time, on a London day."""
        return (moments.london_day(self.answered_on) if self.answered_on else on) > self.act.due_on


def due_on(received_on: str) -> str:
    """The day by which a request of that day has to be answered."""
    moments.day(received_on)
    day = date.fromisoformat(received_on)
    year, month = day.year + day.month // 12, day.month % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1])).isoformat()


def requests(archive: Archive) -> list[Request]:
    """All requests, in the order in which they were entered."""
    archive.refresh()
    answered = {act.request: act.on for act in archive.acts(["Answered"]) if isinstance(act, entries.Answered)}
    found = (act for act in archive.acts(["Asked"]) if isinstance(act, entries.Asked))
    return [Request(act, answered.get(act.request, "")) for act in found]


def receive(archive: Archive, nominal: str, *, received_on: str, on: str, by: str, under: str) -> Request:
    """Log that a person asked, which starts the month. Raises Missing, or Malformed for a day that is to come."""
    due = due_on(received_on)
    if received_on > moments.london_day(on):
        raise Malformed(f"request was received on {received_on}: wanted {moments.london_day(on)} or before")
    with archive.writing():
        token = Subject("nominal", "", nominal).token(archive)
        own = Identities(archive, restricted=True).members(np.array([token])).tolist()
        unnamed(archive, own, by, under)
        number = 1 + len(requests(archive))
        archive.append(
            entries.Asked(
                on=on, by=by, under=under, request=number, nominals=entries.packed(own), received_on=received_on,
                due_on=due,
            )
        )  # fmt: skip
    return requests(archive)[-1]


def open_request(archive: Archive, nominal: str) -> Request:
    """The oldest request of a person that is not answered. Raises Missing."""
    token = Subject("nominal", "", nominal).token(archive)
    for request in requests(archive):
        if not request.answered_on and token in entries.unpacked(request.act.nominals):
            return request
    raise Missing("no open request of that nominal: wanted --received-on with the day on which it came in")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person is told, and what it is about."""

    said: Mapping[str, Any]
    nominals: tuple[int, ...]
    records: tuple[int, ...]
    builds: int
    withheld: tuple[Withheld, ...]


def answer(archive: Archive, params: Params, nominal: str, *, withheld: Sequence[Withheld] = (), on: str) -> Answer:
    """Gather what is held about a person in every build. Raises Missing, or Refused as the module says."""
    request = open_request(archive, nominal)
    token = Subject("nominal", "", nominal).token(archive)
    own = np.array(Identities(archive).members(np.array([token])).tolist(), np.int64)
    hidden = bool(sets.among(own, archive.withheld()).any()) or _hides(archive, own)
    if hidden and not any(not each.record for each in withheld):
        raise Refused("something about this person is restricted: wanted --restricted with a ground and a reason")
    kept_back = {(each.system, each.record) for each in withheld}
    gathered = _gather(archive, own, kept_back)
    if unknown := {pair for pair in kept_back if pair[1]} - gathered.withheld:
        raise Missing(f"{len(unknown)} of the records to withhold are not held about this person")
    grounds = sorted({each.ground for each in withheld if not each.untold} | {"rights-of-others"})
    given = ledger.to_whom(archive, own.tolist())
    said = {
        "request": request.act.request,
        "received_on": request.act.received_on,
        "due_on": request.act.due_on,
        "answered_on": moments.london_day(on),
        "controller": archive.name,
        "purposes": "prevention, investigation and detection of criminal offences (DPA 2018 s.31)",
        "details": gathered.details,
        "records": gathered.records,
        "figures": gathered.figures,
        "networks": "figures above were computed from the records; each says in which builds it stood",
        "recipients": [
            {"on": moments.london_day(each.act.on), "recipient": each.act.recipient, "basis": each.act.basis}
            for each in given
            if each.act.what != "subject-access"
        ],
        "retention": _retention(archive, params, nominal, on) if not sets.among(own, archive.withheld()).any() else [],
        "withheld": [GROUNDS[ground] for ground in grounds],
        "left_out": _LEFT_OUT,
        "rights": (
            "You may ask for rectification, erasure or restriction (ss.46, 47), complain to the Information "
            "Commissioner (s.165), and apply to a court (s.167)."
        ),
    }
    return Answer(said, tuple(own.tolist()), gathered.tokens, gathered.builds, tuple(withheld))


def log(archive: Archive, given: Answer, *, digest: str, recipient: str, on: str, by: str, under: str) -> int:
    """Log the answer, the reasons for what it withholds, and that it goes out; the number of the ledger's item.

    Before it goes. Raises Conflict for a request that somebody answered meanwhile.
    """
    number = given.said["request"]
    reasons = [
        {"system": w.system, "record": w.record, "ground": w.ground, "reason": w.reason, "untold": w.untold}
        for w in given.withheld
    ]
    with archive.writing():
        if requests(archive)[number - 1].answered_on:
            raise Conflict(f"request {number} was answered meanwhile: wanted one that is open")
        unnamed(archive, given.nominals, by, under, recipient)
        paper = papers.keep(archive, papers.WITHHELD, given.nominals, {"reasons": reasons})
        archive.append(
            entries.Answered(
                on=on, by=by, under=under, request=number, nominals=entries.packed(given.nominals),
                builds=given.builds, paper=paper,
            )
        )  # fmt: skip
    entry = ledger.send(
        archive, what="subject-access", title=f"answer to subject access request {number}", recipient=recipient,
        basis="DPA 2018 s.45", digest=digest, nominals=given.nominals, records=given.records, on=on, by=by,
        under=under,
    )  # fmt: skip
    return entry.number


def reasons(archive: Archive, request: int) -> list[dict[str, Any]] | None:
    """Why something was withheld, for the Commissioner; None once the person has been disposed of."""
    for act in archive.acts(["Answered"]):
        if isinstance(act, entries.Answered) and act.request == request:
            kept = papers.read(archive, papers.WITHHELD, act.paper, entries.unpacked(act.nominals))
            return None if kept is None else kept["reasons"]
    raise Missing(f"request {request} was not answered: there are no reasons")


def page(said: Mapping[str, Any]) -> bytes:
    """The answer as one HTML page that needs nothing else."""
    parts = [
        '<!doctype html><html lang="en-GB"><head><meta charset="utf-8"><title>What we hold about you</title>',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        "<style>body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse}td,th{border:1px solid #777;padding:.2rem .5rem;text-align:left}</style>",
        "</head><body><h1>What we hold about you</h1>",
        f"<p>{_h(said['controller'])}. Request {said['request']}, received on {said['received_on']}, to be answered by "
        f"{said['due_on']}, answered on {said['answered_on']}.</p>",
        f"<h2>Why</h2><p>{_h(said['purposes'])}</p>",
    ]
    for title, key in (
        ("Your details", "details"), ("Records, and where they came from", "records"),
        ("What was concluded from them", "figures"), ("Who was given it", "recipients"),
        ("How long it stays", "retention"),
    ):  # fmt: skip
        parts.append(f"<h2>{title}</h2>{_table(said[key])}")
    parts.append(f"<h2>What is not here</h2><p>{_h(said['left_out'])}</p><ul>")
    parts += [f"<li>{_h(each)}</li>" for each in said["withheld"]]
    parts.append(f"</ul><h2>Your rights</h2><p>{_h(said['rights'])}</p></body></html>\n")
    return "\n".join(parts).encode()


def _table(lines: Sequence[Mapping[str, Any]]) -> str:
    if not lines:
        return "<p>Nothing.</p>"
    heading = "".join(f'<th scope="col">{_h(name.replace("_", " "))}</th>' for name in lines[0])
    body = "".join("<tr>" + "".join(f"<td>{_h(value)}</td>" for value in line.values()) + "</tr>" for line in lines)
    return f"<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>"


def _h(value: Any) -> str:
    return html.escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))


@dataclass(frozen=True, slots=True)
class _Gathered:
    details: list[dict[str, Any]]
    records: list[dict[str, Any]]
    figures: list[dict[str, Any]]
    tokens: tuple[int, ...]  # of the records
    withheld: set[tuple[str, str]]
    builds: int


class _Lines:
    """Things that builds said, each once, with the first and the last build that did."""

    def __init__(self) -> None:
        self._seen: dict[tuple[tuple[str, Any], ...], list[str]] = {}

    def add(self, label: str, **cells: Any) -> None:
        self._seen.setdefault(tuple(cells.items()), [label, label])[1] = label

    def told(self) -> list[dict[str, Any]]:
        return [
            {**dict(cells), "first_build": first, "last_build": last} for cells, (first, last) in self._seen.items()
        ]


def _gather(archive: Archive, own: np.ndarray, kept_back: Iterable[tuple[str, str]]) -> _Gathered:
    details, records, figures = _Lines(), _Lines(), _Lines()
    tokens: set[int] = set()
    kept_back, withheld, builds = set(kept_back), set(), 0
    for built in list(archive.history.builds):
        snapshot = Snapshot(archive, built, None)
        people = snapshot.content("person", snapshot.standing_of("person", own.tolist()))
        parts = snapshot.content("involvement", snapshot.standing_of("involvement", own.tolist()))
        shown = snapshot.content("nominal", snapshot.standing_of("nominal", own.tolist()))
        if not (people.num_rows or parts.num_rows or shown.num_rows):
            continue
        builds += 1
        for row in people.to_pylist():
            details.add(
                built.label,
                **{name: row[name] for name in ("nominal_id", "name", "born", "sex", "ethnicity", "is_child")},
            )
        mine = set(vault.nominal_ids(archive.vault.keys(own)).to_pylist())
        content = {(r["system"], r["record_id"]): r for r in snapshot.records_of(parts).to_pylist()}
        others = _others(snapshot, parts, mine)
        for row in parts.to_pylist():
            pair = (row["system"], row["record_id"])
            if row["nominal_id"] not in mine or pair not in content:
                continue
            if pair in kept_back:
                withheld.add(pair)
                continue
            record = content[pair]
            records.add(
                built.label, origin=row["system"], reference=row["record_id"], kind=record["kind"],
                occurred_at=record["occurred_at"], recorded_at=record["recorded_at"],
                offence_code=record["offence_code"], your_role=row["role"], assessed=row["assessed"],
                others=", ".join(others.get(pair, ())),
            )  # fmt: skip
        keys = vault.record_keys(parts["system"], parts["record_id"])
        tokens.update(archive.vault.tokens(keys).tolist() if parts.num_rows else [])
        for row in shown.to_pylist():
            figures.add(
                built.label, theme=row["theme"], links=_said(row["links"]), strength=_said(row["strength"]),
                records=_said(row["records"]), harm=_said(row["harm"]), harm_table=row["harm_edition"],
            )  # fmt: skip
    return _Gathered(details.told(), records.told(), figures.told(), tuple(sorted(tokens - {0})), withheld, builds)


def _said(figure: int | None) -> int | str:
    return "withheld" if figure is None else figure


def _others(snapshot: Snapshot, parts: pa.Table, mine: set[str]) -> dict[tuple[str, str], list[str]]:
    """By record, the roles of the other people in it."""
    archive = snapshot.archive
    tokens = archive.vault.tokens(vault.record_keys(parts["system"], parts["record_id"])) if parts.num_rows else []
    every = snapshot.content("involvement", snapshot.standing_of("involvement", sorted({int(t) for t in tokens if t})))
    found: dict[tuple[str, str], list[str]] = {}
    for row in every.to_pylist():
        if row["nominal_id"] not in mine:
            found.setdefault((row["system"], row["record_id"]), []).append(row["role"])
    return {pair: sorted(roles) for pair, roles in found.items()}


def _hides(archive: Archive, own: np.ndarray) -> bool:
    """Whether a row about this person is restricted."""
    for table in ("involvement", "link", "person"):
        index = archive.index(table)
        at = sets.distinct(np.concatenate([index.of(token) for token in own.tolist()]))
        at = at[index.died[at] == 0]
        if len(at) and not archive.shown(table, at).all():
            return True
    return False


def _retention(archive: Archive, params: Params, nominal: str, on: str) -> list[dict[str, str]]:
    """When the person is next reviewed or disposed of, and why, step by step."""
    subject = Subject("nominal", "", nominal)
    try:
        found = reviewing.register(archive, params, on=moments.london_day(on), subject=subject)
    except Missing:
        return []
    token = subject.token(archive)
    (line,) = found.line("nominal", token).to_pylist()
    steps = "; ".join(found.explain("nominal", token))
    return [{"due": str(line["due"]), "then": line["action"], "why": steps}]
