"""The lawful destruction of a nominal or a record: planned, shown, carried out by one person and approved by another.

A plan decides, line by line, what goes and what stays and by which rule; carrying it out decides nothing new. It is
worked out again first, and a plan that would now come out differently is refused. What a hold reaches is not destroyed
but restricted: out of every view until the last hold ends, and then it goes by itself; unless something came in about
it meanwhile, or a review kept it: then it stays as it is, and a person decides.

The order of a disposal: the files that say what it reaches; the log entry, from which on nobody is shown what is gone;
the secrets; the tables of feeds; the dead rows in the files; the copies; the check; the certificate. Each
step, found undone, is finished by `finish`, which is also the ordinary way to do it.
"""

from __future__ import annotations

import dataclasses
import hmac
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from provenance import (
    canonical,
    certificates,
    copies,
    durable,
    entries,
    expunging,
    feeds,
    figures,
    holding,
    moments,
    papers,
    propagation,
    reviewing,
    rows,
    selection,
    sets,
    staff,
)
from provenance.archive import Archive
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered, shape
from provenance.harm import HarmTable
from provenance.params import Params
from provenance.records import DISPOSABLE
from provenance.tables import TABLES

Report = Callable[[str, int, int], None]
DISPOSE, RESTRICT, NOTHING = "dispose", "restrict", "nothing to do"
_HEAD = """\
# A plan to dispose of what is listed here, in every weekly build ever made. Read every line, then carry it out:
#   provenance dispose carry-out THIS-FILE --by NAME --approved-by ANOTHER-NAME
# It names what is to be destroyed: keep it where only the two of you can read it. It is removed when it is carried out.
# Edit nothing: a plan that was edited is refused. To change it, make another.
"""


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """One nominal or record that somebody asks to be disposed of."""

    what: str  # nominal or record
    system: str  # "" for a nominal
    id: str

    def __post_init__(self) -> None:
        if self.what not in DISPOSABLE or bool(self.system) != (self.what == "record") or not self.id:
            raise Malformed(
                f"disposal request: a {self.what or 'nothing'}, wanted a nominal, or a record and its system"
            )
        try:
            (self.system + self.id).encode()
        except UnicodeEncodeError:  # an argument in another encoding; no such id was ever received
            raise Malformed("disposal request: an id that is not text in UTF-8") from None


@dataclass(frozen=True, slots=True)
class Line:
    """What is decided about one request, and by which rule."""

    request: Request
    outcome: str
    rule: str
    holds: tuple[str, ...] = ()
    judged: bool = False  # the retention rules asked for it, and are asked again when it is carried out


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, for a second person to read."""

    archive: str
    made_on: str  # UTC
    made_by: str
    under: str
    reason: str
    lines: tuple[Line, ...]
    stays: tuple[str, ...]  # what stays although it is near, and why
    effects: Mapping[str, Any]  # counts of rows and builds
    seen: Mapping[str, int]  # how many extracts and reviews it takes into account
    mark: str  # random: without it nobody could try ids against the plan's digest in the log, whatever else they hold

    def content(self) -> dict[str, Any]:
        """As plain values, in the form of the plan's file."""
        return {
            "archive": self.archive,
            "made_on": self.made_on,
            "made_by": self.made_by,
            "under": self.under,
            "reason": self.reason,
            "lines": [
                {
                    "what": line.request.what,
                    **({"system": line.request.system} if line.request.system else {}),
                    "id": line.request.id,
                    "outcome": line.outcome,
                    "rule": line.rule,
                    **({"holds": list(line.holds)} if line.holds else {}),
                    **({"judged": True} if line.judged else {}),
                }
                for line in self.lines
            ],
            "stays": list(self.stays),
            "effects": dict(self.effects),
            "seen": dict(self.seen),
            "mark": self.mark,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """One disposal that was carried out, or what was restricted in its place (number 0)."""

    certificate_id: str
    number: int
    nominals: int
    records: int
    restricted: int
    again: bool = False  # the plan had been carried out before


def plan(
    archive: Archive,
    params: Params,
    table: HarmTable,
    requests: Iterable[Request],
    *,
    on: str,
    by: str,
    under: str,
    reason: str,
    rules: Mapping[Request, str] | None = None,
    judged: Collection[Request] = (),
    draw: Callable[[int], bytes] = os.urandom,
) -> Plan:
    """Decide what becomes of each request; `rules` says why one is asked for, where it is not by hand.

    `judged` are those for which nobody but the retention rules asks; they are judged again before the plan is carried
    out.

    Raises Malformed for an unknown reason code, no request at all, or an authority that repeats a requested id.
    """
    if reason not in params.retention.disposal_reasons:
        known = ", ".join(sorted(params.retention.disposal_reasons))
        raise Malformed(f"disposal reason is not one of params' retention.disposal_reasons: wanted one of {known}")
    wanted = sorted(set(requests))
    if not wanted:
        raise Malformed("disposal plan has nothing in it: wanted at least one nominal or record")
    if any(holding.is_word(request.id, text) for request in wanted for text in (under, by)):
        raise Malformed(
            "disposal authority has an id in it that is to be disposed of, or the name of who asks has: the log keeps "
            "these words for good, wanted others"
        )
    tokens = _tokens(archive, wanted)
    by_hand = f"ordered by hand, for the reason {reason}: {params.retention.disposal_reasons[reason]}"
    decided = _decided(archive, wanted, tokens, dict.fromkeys(wanted, by_hand) | dict(rules or {}))
    lines = tuple(dataclasses.replace(line, judged=line.request in judged) for line in decided)
    going = tokens[[line.outcome == DISPOSE for line in lines]]
    stays, effects = (*_stays(archive, going), *_said_before(archive, wanted)), _effects(archive, lines, going)
    seen = _seen(archive)
    return Plan(archive.name, on, by, under, reason, lines, stays, effects, seen, draw(16).hex())


def _decided(
    archive: Archive, requests: Sequence[Request], tokens: np.ndarray, rules: Mapping[Request, str]
) -> Iterable[Line]:
    """The rule that holds for each request, first one first."""
    subjects = [(request.what, token) for request, token in zip(requests, tokens.tolist(), strict=True) if token]
    held: dict[int, list[holding.Reach]] = {}
    for reach in holding.why_held(archive, *(_of(subjects, what) for what in DISPOSABLE)):
        held.setdefault(reach.token, []).append(reach)
    for request, token in zip(requests, tokens.tolist(), strict=True):
        why = rules[request]
        if not token:
            yield Line(request, NOTHING, "not held: it was never received, or has been disposed of")
        elif token in held:
            words = "; ".join(reach.words for reach in held[token])
            yield Line(request, RESTRICT, f"{why}; but {words}", tuple(sorted({reach.hold for reach in held[token]})))
        elif token in archive.history.restricted:
            yield Line(request, DISPOSE, f"{why}; it is restricted, and no hold keeps it any more")
        else:
            yield Line(request, DISPOSE, why)


def write(archive: Archive, made: Plan, path: Path) -> None:
    """Write a plan for a second person to read.

    Raises Conflict where a file stands already, and Malformed for a place in the archive's folder or its keys': what
    lies there goes into git and backups, which would remember the names for good.
    """
    real = path.resolve()  # by way of symbolic links too
    for folder, what in ((archive.root, "the archive's folder"), (archive.keys, "the folder of its keys")):
        if folder.resolve() in real.parents:
            raise Malformed(
                f"plan file {path.name} would lie in {what}, whose copies are kept: wanted a place outside of it"
            )
    if path.exists():
        raise Conflict(f"plan file {path.name} is there already: wanted a new name")
    content = made.content() | {"seal": _seal(archive, made)}
    # Marks that turn or hide text would show the second person another id: then everything but ASCII is escaped.
    plain = all((line.request.system + line.request.id).isprintable() for line in made.lines)
    text = yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=plain, width=100)
    durable.write(path, (_HEAD + "\n" + text).encode(), mode=0o600)


def read(archive: Archive, path: Path) -> Plan:
    """The plan in a file. Raises Missing, or Malformed when it was edited, or is of another archive."""
    try:
        content = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    except FileNotFoundError:
        raise Missing(f"plan file {path.name} is not there: `provenance dispose plan` makes one") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise Malformed(f"plan file {path.name} is not a plan: wanted the file that `dispose plan` wrote") from None
    try:
        seal = content.pop("seal")
        made = Plan(
            content["archive"], content["made_on"], content["made_by"], content["under"], content["reason"],
            tuple(
                Line(
                    Request(line["what"], line.get("system", ""), line["id"]), line["outcome"], line["rule"],
                    tuple(line.get("holds", ())), line.get("judged", False),
                )
                for line in content["lines"]
            ),
            tuple(content["stays"]), content["effects"], content["seen"], content["mark"],
        )  # fmt: skip
        sound = made.content() == content and hmac.compare_digest(seal, _seal(archive, made))
    except (KeyError, TypeError, AttributeError, Malformed):
        sound = False
    if not sound:
        raise Malformed(f"plan file {path.name} is not as it was made for this archive: make the plan again")
    return made


def carry_out(
    archive: Archive,
    made: Plan,
    params: Params,
    table: HarmTable,
    *,
    on: str,
    by: str,
    approved_by: str,
    report: Report = lambda *_: None,
) -> list[Outcome]:
    """Do what a plan says. A plan that was carried out before is only finished.

    Raises Refused when the approver is the one who made the plan or carries it out (R48), and Conflict when the plan
    would come out differently now, or when something was since received of what it destroys, or decided to be kept.
    """
    if staff.is_same(approved_by, by) or staff.is_same(approved_by, made.made_by):
        raise Refused(
            "disposal needs a second person: who approves it is neither who asked for it nor who carries it out, and "
            "each name has letters of one script"
        )
    with archive.writing(settling=True):
        settle(archive, params)
        seal = _seal(archive, made)
        before = [o for o in _outcomes(archive) if o[0] == seal]
        if before:
            _finish(archive, params, table, on, by, report)
            return [dataclasses.replace(outcome, again=True) for _, outcome in before]
        asked = [line.request for line in made.lines]
        tokens = _tokens(archive, asked)
        now = _decided(archive, asked, tokens, dict.fromkeys(asked, ""))
        changed = [
            new
            for old, new in zip(made.lines, now, strict=True)
            if (old.outcome, old.holds) != (new.outcome, new.holds)
        ]
        if changed:
            raise Conflict(
                f"plan is out of date: {len(changed)} of its {len(asked)} lines would come out differently now, "
                f"the first as: {changed[0].outcome}; make the plan again"
            )
        if since := len(_known_since(archive, tokens[tokens > 0], **made.seen)):
            raise Conflict(
                f"plan is out of date: since it was made, something came in about {since} of its {len(asked)} lines, "
                "or a review kept them; make the plan again"
            )
        each = zip(made.lines, tokens.tolist(), strict=True)
        judged = [(line.request.what, token) for line, token in each if line.judged and token]
        if since := len(judged) - len(_disposable(archive, params, judged, on)):
            raise Conflict(
                f"plan is out of date: of its {len(asked)} lines the retention rules would now keep {since}, or leave "
                "them to a review; make the plan again"
            )
        holding.unnamed(archive, tokens[tokens > 0].tolist(), by, approved_by, made.under)
        said = {
            "on": on, "by": by, "under": made.under, "disposal": entry_id(), "approved_by": approved_by,
            "reason": made.reason, "plan": seal,
        }  # fmt: skip
        restricted: dict[tuple[tuple[str, ...], bool], list[tuple[str, int]]] = {}
        going = []
        for line, token in zip(made.lines, tokens.tolist(), strict=True):
            if line.outcome == DISPOSE:
                going.append((line.request.what, token))
            elif line.outcome == RESTRICT:
                restricted.setdefault((line.holds, line.judged), []).append((line.request.what, token))
        archive.sweep()  # of a build at work: it rests on what is about to go
        acts: list[entries.Act] = []
        for (holds, by_rules), subjects in sorted(restricted.items()):
            acts += _restricted(subjects, holds, said | {"judged": int(by_rules)}, first=len(acts) + 1)
        if going:
            acts += _disposed(archive, going, said, params, table, report)
        archive.append(*acts)
        settle(archive, params)
        _finish(archive, params, table, on, by, report)
        return [outcome for found, outcome in _outcomes(archive) if found == seal]


def finish(
    archive: Archive, params: Params, table: HarmTable, *, on: str, by: str, report: Report = lambda *_: None
) -> list[Outcome]:
    """Complete every disposal that was cut off, and carry out those whose last hold has ended; returns what it did.

    Where the vault is older than the log, so may the files be: what was expunged from them is expunged again (R41).
    """
    with archive.writing(settling=True):
        if is_unsettled(archive):
            settle(archive, params)
            again = expunging.catch_up(archive, report)
            if again:
                archive.forget()
                copies.renew(archive.root, again, on=on, report=report)
        return _finish(archive, params, table, on, by, report)


def is_unsettled(archive: Archive) -> bool:
    """Whether the log has disposals that were not carried out upon this vault: it is restored, or was cut off."""
    return archive.vault.disposals < len(archive.history.disposals)


def is_waiting(archive: Archive) -> bool:
    """Whether something restricted waits for no hold any more: the release of its last one was cut off.

    From the log alone, since it is asked at each opening. Once `finish` has looked, whatever stays restricted is logged
    with a hold that stands, or with none because a person decides.
    """
    standing = {hold.id for hold in archive.history.holds.values() if hold.stands}
    acts = {id(act): act for act in archive.history.restricted.values()}.values()
    return any(act.holds and standing.isdisjoint(ref.hold for ref in act.holds) for act in acts)


def settle(archive: Archive, params: Params) -> None:
    """Destroy the secrets that the log disposed of, where the vault still has them. Only for a writer."""
    if not is_unsettled(archive):
        return
    waiting = archive.history.disposals[archive.vault.disposals :]
    tokens = np.array(sorted({t for d in waiting for t in d.nominals + d.records}), np.int64)
    # What was logged before counts too: by a clock that was set back, nothing would be recognised for long enough.
    logged = [act.on for act in (*archive.history.extracts, *archive.history.builds, *(d.first for d in waiting))]
    last = moments.instant(max(logged)) + timedelta(days=params.retention.returns_days)
    for path in _derived(archive):
        durable.remove(path)
    archive.vault.drop(tokens, archive.custody, disposals=len(archive.history.disposals), until=moments.utc(last)[:7])
    archive.forget()


def _finish(archive: Archive, params: Params, table: HarmTable, on: str, by: str, report: Report) -> list[Outcome]:
    feeds.strike(archive)  # plain tables that others read; `feeding.renew` writes them again
    _certify_all(archive, on, by, report)
    done: list[Outcome] = []
    waiting = _waiting(archive)
    free, doubted = _released(archive, params, waiting, on)
    for subjects, act in free:
        said = {  # by the two who decided it: whoever released the hold may be the one who approved
            "on": on, "by": act.by, "under": act.under, "disposal": entry_id(), "approved_by": act.approved_by,
            "reason": act.reason, "plan": act.plan,
        }  # fmt: skip
        archive.sweep()
        archive.append(*_disposed(archive, subjects, said, params, table, report))
        settle(archive, params)
        feeds.strike(archive)
        _certify_all(archive, on, by, report)
        done.append(_outcome(archive, archive.history.disposals[-1]))
    if acts := _restricted_anew(archive, waiting, doubted, on):
        archive.append(*acts)
        feeds.strike(archive)
    return done


def _certify_all(archive: Archive, on: str, by: str, report: Report) -> None:
    for disposal in list(archive.history.disposals):
        if disposal.certified is None:
            _certify(archive, disposal.number, on, by, report)
            archive.forget()  # the tokens that are in memory from before the rows were blanked


def _certify(archive: Archive, number: int, on: str, by: str, report: Report) -> None:
    first = archive.history.disposals[number - 1].first
    archive.vault.tidy()
    papers.expunge(archive)
    files = expunging.expunge(archive, number, on=on, by=by, under=first.under, report=report)
    copied = copies.renew(archive.root, files, on=on, report=report)
    expunging.check(archive, number, report)
    holes, heirs = expunging.roots_of(archive, number)
    fates = rows.by_table(rows.read_fates(archive.disposal_file(number, "fates")))
    disposal = archive.history.disposals[number - 1]
    certificate = certificates.Certificate(
        disposal=first.disposal,
        number=number,
        archive=archive.name,
        nominals=len(disposal.nominals),
        records=len(disposal.records),
        authority=first.under,
        reason=first.reason,
        disposed_on=first.on,
        certified_on=on,
        by=first.by,
        approved_by=first.approved_by,
        builds=tuple(certificates.BuildRef(label=label) for label in propagation.builds_with(archive, number)),
        died=_counted(fates, rows.DIED),
        reduced=sum(int((mine["heir"].to_numpy() >= 0).sum()) for mine in fates.values()),
        marked=_counted(fates, rows.MARKED),
        holes=holes,
        heirs=heirs,
        files=disposal.expunged.files,
        cache_objects=copied.cache,
        remotes=tuple(certificates.RemoteCount(remote=name, objects=n) for name, n in copied.remotes.items()),
        tags=len(copied.tags),
        escrow=disposal.escrow,
    )
    path = certificate_path(archive, first.disposal)
    durable.write(path, certificates.sign(certificate, archive.signing_key()))
    archive.append(entries.Certified(on=on, by=by, under=first.under, number=number, certificate=rows.digest(path)))


def certificate_path(archive: Archive, disposal: str) -> Path:
    """Where the certificate of a disposal lies."""
    return archive.root / "audit_reports" / "certificates" / f"{disposal}.json"


def certificate(archive: Archive, disposal: str) -> certificates.Certificate:
    """The certificate of that id, checked against the log and its signature. Raises Missing or Tampered."""
    for held in archive.history.disposals:
        if held.first.disposal == disposal:
            if held.certified is None:
                raise Missing(f"disposal {disposal} has no certificate yet: `provenance dispose resume` completes it")
            path = certificate_path(archive, disposal)
            name = archive.relative(path)
            if not path.exists():
                raise Missing(f"file {name} is not there: the log has it with SHA-256 {held.certified.certificate}")
            if rows.digest(path) != held.certified.certificate:
                raise Tampered(f"file {name} has other bytes than those that were logged")
            return certificates.opened(path.read_bytes(), archive.history.signer_of(disposal))
    raise Missing(f"disposal {shape(disposal)} is not in this archive: `provenance dispose list` names them all")


def entry_id(draw: Callable[[int], bytes] = os.urandom) -> str:
    """A random id, by which a disposal is known and from which nothing can be learned (R33)."""
    return draw(8).hex()


def ordered(archive: Archive) -> dict[Request, str]:
    """What the source systems' orders ask for that is still held, and the rule of each."""
    index = archive.index("order")
    content = selection.contents(archive, "order", np.flatnonzero(archive.shown("order", np.arange(len(index)))))
    return {
        Request(row["what"], row["system"], row["id"]): f"ordered by its source system on {row['at']}, under "
        f"{row['authority']}" + (f": {row['reason']}" if row["reason"] else "")
        for row in content.sort_by("at").to_pylist()
    }


def due(archive: Archive, params: Params, day: str) -> dict[Request, str]:
    """What the retention rules dispose of by themselves by a London day, and the rule of each; of a person all ids."""
    register = reviewing.register(archive, params, on=day)
    found: dict[Request, str] = {}
    for line in register.due().to_pylist():
        if line["action"] == "dispose":
            tokens = register.ids(line["token"]) if line["what"] == "nominal" else [line["token"]]
            words = (
                f"retention rule {line['rule']}: due {line['due']}; `provenance review due --{line['what']}` explains "
                "the date"
            )
            found |= dict.fromkeys(map(_request, archive.vault.keys(np.array(tokens)).to_pylist()), words)
    return found


def _disposed(
    archive: Archive,
    subjects: Sequence[tuple[str, int]],
    said: Mapping[str, Any],
    params: Params,
    table: HarmTable,
    report: Report,
) -> list[entries.Act]:
    """The entries of a disposal, once the files that they name are durable."""
    report("Working out what rests on it", 0, 1)
    number = len(archive.history.disposals) + 1
    found = propagation.reach(archive, np.array([token for _, token in subjects], np.int64), params, table)
    files = {
        archive.disposal_file(number, "fates"): lambda path: rows.write_fates(path, found.fates),
        archive.disposal_file(number, "again"): lambda path: rows.write_table(path, found.again),
        archive.disposal_file(number, "gaps"): lambda path: rows.write_table(path, found.gaps),
        archive.disposal_file(number, "left_out"): lambda path: rows.write_table(path, found.left_out),
    }
    if found.heirs.rows.num_rows:
        files[archive.disposal_file(number, "link")] = lambda path: rows.write_segment(path, found.heirs)
    stored = tuple(entries.StoredFile(path=archive.relative(path), sha256=do(path)) for path, do in files.items())
    durable.sync_folder(archive.root / "store" / "disposals")
    parts = list(_parts(subjects))
    report("Working out what rests on it", 1, 1)
    return [
        entries.Disposed(
            **said, number=number, part=part, parts=len(parts), files=stored if part == 1 else (), **tokens
        )
        for part, tokens in enumerate(parts, start=1)
    ]


def _restricted(
    subjects: Sequence[tuple[str, int]], holds: Sequence[str], said: Mapping[str, Any], *, first: int
) -> list[entries.Act]:
    refs = tuple(entries.HoldRef(hold=hold) for hold in holds)
    return [
        entries.Restricted(**said, part=part, holds=refs, **tokens)
        for part, tokens in enumerate(_parts(subjects), start=first)
    ]


def _parts(subjects: Sequence[tuple[str, int]]) -> Iterable[dict[str, str]]:
    """Subjects in as many parts as entries have room for."""
    ordered = sorted(subjects)
    for start in range(0, len(ordered), entries.TOKENS_AT_MOST):
        part = ordered[start : start + entries.TOKENS_AT_MOST]
        yield {f"{kind}s": entries.packed(token for what, token in part if what == kind) for kind in DISPOSABLE}


def _waiting(archive: Archive) -> list[tuple[str, int, tuple[str, ...]]]:
    """What is restricted, by token, and the holds that reach it now."""
    restricted = archive.history.restricted
    if not restricted:
        return []
    nominals = {t for act in restricted.values() for t in entries.unpacked(act.nominals)}
    subjects = [("nominal" if token in nominals else "record", token) for token in sorted(restricted)]
    reached = holding.holds_on(archive, *(_of(subjects, what) for what in DISPOSABLE))
    return [(what, token, reached.get(token, ())) for what, token in subjects]


def _released(
    archive: Archive, params: Params, waiting: Iterable[tuple[str, int, tuple[str, ...]]], on: str
) -> tuple[list[tuple[list[tuple[str, int]], entries.Restricted]], set[int]]:
    """What is restricted and no longer held, by the plan that asked for it; and tokens of what does not go by itself.

    The plan's two people did not know what came in since, or that a review would keep it, and the rules may judge
    otherwise by now.
    """
    restricted, known = archive.history.restricted, archive.history.known
    free = [(what, token) for what, token, holds in waiting if not holds and restricted[token].holds]
    doubted: set[int] = set()
    for seen in {known[token] for _, token in free}:
        alike = np.array([token for _, token in free if known[token] == seen])
        doubted.update(_known_since(archive, alike, *seen).tolist())
    judged = [(what, token) for what, token in free if restricted[token].judged]
    doubted |= {token for _, token in judged} - set(_disposable(archive, params, judged, on, restricted=True).tolist())
    plans: dict[str, tuple[list[tuple[str, int]], entries.Restricted]] = {}
    for what, token in free:
        if token not in doubted:
            plans.setdefault(restricted[token].plan, ([], restricted[token]))[0].append((what, token))
    return [plans[seal] for seal in sorted(plans)], doubted


def _restricted_anew(
    archive: Archive, waiting: Iterable[tuple[str, int, tuple[str, ...]]], doubted: Collection[int], on: str
) -> list[entries.Act]:
    """Restrictions to log anew: a hold keeps what was restricted before it reached that, and its case may read it; or
    none does, and a person has to decide."""
    more: dict[tuple[entries.Restricted, tuple[str, ...]], list[tuple[str, int]]] = {}
    for what, token, holds in waiting:
        act = archive.history.restricted.get(token)
        if act and (token in doubted or not {held.hold for held in act.holds}.issuperset(holds)):
            more.setdefault((act, holds), []).append((what, token))
    acts: list[entries.Act] = []
    for (act, holds), subjects in more.items():
        said = {
            "on": on, "by": act.by, "under": act.under, "disposal": act.disposal, "approved_by": act.approved_by,
            "reason": act.reason, "plan": act.plan, "judged": act.judged,
        }  # fmt: skip
        acts += _restricted(subjects, holds, said, first=len(acts) + 1)
    return acts


def _seen(archive: Archive) -> dict[str, int]:
    return {"extracts": len(archive.history.extracts), "reviews": len(archive.history.reviews)}


def _known_since(archive: Archive, tokens: np.ndarray, extracts: int, reviews: int) -> np.ndarray:
    """Those of `tokens` of which something came in after so many extracts, or which a later review than so many kept.

    A person is one under all their ids: whatever is known of one of them is known of each.
    """
    same = reviewing.Identities(archive, restricted=True)
    asked = sets.union(tokens, same.members(tokens))
    found = [np.zeros(0, np.int64)]
    for name in ("record", "involvement", "person", "identity"):
        index = archive.index(name)
        at = index.reached(asked)
        at = at[index.segment[at] > extracts]
        found += [index.a[at], index.b[at]]
    for act in archive.history.reviews[reviews:]:
        found.append(np.array(entries.unpacked(act.nominals) + entries.unpacked(act.records), np.int64))
    known = sets.intersection(asked, np.concatenate(found))
    return tokens[sets.among(same.canonical(tokens), sets.distinct(same.canonical(known)))]


def _disposable(
    archive: Archive, params: Params, subjects: Sequence[tuple[str, int]], on: str, *, restricted: bool = False
) -> np.ndarray:
    """Those of these subjects that the retention rules dispose of by themselves, as they judge by now."""
    if not subjects:
        return np.zeros(0, np.int64)
    nominals, records = (_of(subjects, what) for what in DISPOSABLE)
    return reviewing.disposable(archive, params, nominals, records, on=holding.today(on), restricted=restricted)


def _of(subjects: Iterable[tuple[str, int]], wanted: str) -> np.ndarray:
    return np.array([token for what, token in subjects if what == wanted], np.int64)


def _request(key: str) -> Request:
    """What the vault knows by this name."""
    kind, *parts = key.split("\x1f")
    return Request("nominal", "", parts[0]) if kind == "n" else Request("record", *parts)


def _tokens(archive: Archive, requests: Sequence[Request]) -> np.ndarray:
    keys = [f"n\x1f{r.id}" if r.what == "nominal" else f"r\x1f{r.system}\x1f{r.id}" for r in requests]
    return archive.vault.tokens(pa.array(keys, pa.string()))


def _stays(archive: Archive, going: np.ndarray) -> Iterable[str]:
    """What is near and stays, and the rule that keeps it."""
    part, judged = archive.index("involvement"), archive.index("identity")
    alive = (part.died == 0) & sets.among(part.b, going) & ~sets.among(part.a, going)
    if records := len(sets.distinct(part.a[alive])):
        yield (
            f"{_number(records, 'record')} in which these nominals are: the record of an event stays, without them, "
            "for the other people in it"
        )
    alive = (part.died == 0) & sets.among(part.a, going) & ~sets.among(part.b, going)
    if people := len(sets.distinct(part.b[alive])):
        yield f"{_number(people, 'nominal')} in these records: they were not asked for, and their other records stay"
    merged = (judged.died == 0) & (judged.b != 0) & (sets.among(judged.a, going) ^ sets.among(judged.b, going))
    if same := int(merged.sum()):
        yield (
            f"{_number(same, 'judgement')} that one of these nominals is the same person as another id: the other id "
            "was not asked for, and stays under its own name"
        )


def _said_before(archive: Archive, requests: Sequence[Request]) -> Iterable[str]:
    """What the log, which forgets nothing, already says of them by name."""
    texts = {getattr(act, name) for act in archive.acts(_WORDED) for name in _WORDED[type(act).__name__]}
    if named := sum(any(holding.is_word(request.id, text) for text in texts) for request in requests):
        yield (
            f"{_number(named, 'id')} asked for here stands in words that somebody logged (a case, an authority, a "
            "name): the log keeps them for good"
        )


_WORDED = {
    "Held": ("case", "by", "under"),
    "Progressed": ("by", "under"),
    "Released": ("by", "under"),
    "Reviewed": ("by", "under"),
    "Restricted": ("by", "under", "approved_by"),
    "Disposed": ("by", "under", "approved_by"),
    "Confirmed": ("by", "under", "reason"),
    "Escrowed": ("by", "under"),
    "Relocked": ("by", "under"),
    "Granted": ("by", "under", "user", "department", "director"),
    "Revoked": ("by", "under", "user"),
}


def _effects(archive: Archive, lines: Sequence[Line], going: np.ndarray) -> dict[str, Any]:
    dying = {name: archive.index(name).reached(going) for name in TABLES}
    link = archive.index("link")
    fit = dying["link"][~sets.among(link.a[dying["link"]], going) & ~sets.among(link.b[dying["link"]], going)]
    return {
        "to dispose of": sum(line.outcome == DISPOSE for line in lines),
        "to restrict": sum(line.outcome == RESTRICT for line in lines),
        "nothing to do": sum(line.outcome == NOTHING for line in lines),
        "builds": len(propagation.builds_of(archive, dying)),
        "rows that go": {name: len(at) for name, at in dying.items() if len(at)},
        "links that may live on with less": len(fit),
    }


def _seal(archive: Archive, made: Plan) -> str:
    """Keyed, because a plan names what is to be forgotten and its digest stays in the log."""
    return hmac.digest(archive.vault.archive_secret, b"plan\0" + canonical.dumps(made.content()), "sha256").hex()


def _outcomes(archive: Archive) -> list[tuple[str, Outcome]]:
    found = [(d.first.plan, _outcome(archive, d)) for d in archive.history.disposals]
    waiting: dict[str, list[entries.Restricted]] = {}
    for act in archive.history.restricted.values():
        waiting.setdefault(act.plan, []).append(act)
    return found + [(seal, Outcome("", 0, 0, 0, len(acts))) for seal, acts in sorted(waiting.items())]


def _outcome(archive: Archive, disposal: Any) -> Outcome:
    return Outcome(disposal.first.disposal, disposal.number, len(disposal.nominals), len(disposal.records), 0)


def _derived(archive: Archive) -> list[Path]:
    return [*figures.files(archive), *sorted((archive.root / "index").glob("*.tallies"))]


def _counted(fates: Mapping[str, pa.Table], fate: int) -> tuple[certificates.TableCount, ...]:
    counts = {name: int((mine["fate"].to_numpy() == fate).sum()) for name, mine in fates.items()}
    return tuple(certificates.TableCount(table=name, rows=count) for name, count in counts.items() if count)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
