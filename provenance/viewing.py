"""What somebody was shown: each page view is an act, and can be held to its build again for as long as that stands.

A page's digest is the leaf of what it said, salted by the secrets of everything it opened (`sealing`): whoever destroys
one of those makes the digest unguessable, as it does a row's. Beside it stands a root over the leaves of the rows that
were opened. Those leaves stay when rows are disposed of, so a later replay can tell which of them were shown and are
gone lawfully, and that nothing else differs. Which rows they were lies in `seen/`, sealed: places in files, no words.

Who writes here: every process that serves pages. If `seen/` is lost, so is what a page rested on that has since lost
some of it. A liar who edits it is found by the root in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from provenance import asking, canonical, durable, entries, merkle, rows, subjects, themes, vault
from provenance.archive import Archive
from provenance.asking import Ask
from provenance.asof import Snapshot
from provenance.errors import Missing, Tampered
from provenance.sealing import opened_blob, salted, sealed_blob
from provenance.seeing import Seen
from provenance.tables import TABLES

FORM = 1  # of what pages say; a page is said the same way again only by the form that it was shown in
_TABLE = "page"  # labels the digest, as a table's name does
_REFERENCES = pa.schema([("table", pa.int8()), ("segment", pa.int32()), ("row", pa.int32())])
_NAMES = tuple(TABLES)


@dataclass(frozen=True, slots=True)
class Page:
    """What one view of one build says, and what it rests on."""

    ask: Ask
    label: str
    said: dict[str, Any]
    digest: str  # of what it said: the leaf of `entry`
    entry: bytes  # its salt and what it said, by which anybody who is given it can work the digest out
    leaves: str  # root over the leaves of the rows that were opened
    references: bytes  # to those rows; see `_references`
    subjects: tuple[int, ...]  # tokens of the nominals it was asked about

    @property
    def citation(self) -> str:
        """By which an intelligence product quotes it: build, view and digest."""
        return f"{self.label}/{self.ask.view}/{self.digest}"


def page(base: Snapshot, before: Snapshot | None, ask: Ask) -> Page:
    """Work a page out. `before` is the build that it is compared with, None where it is not.

    Raises Missing for what the build has not, and Overtaken as every question.
    """
    snapshot = Seen(base)
    if ask.view in asking.THEME_VIEWS:
        said = themes.answer(snapshot, before, ask)
    else:
        said = subjects.answer(snapshot, before, ask)
    whole = {
        "form": FORM, "view": ask.view, "build": snapshot.label, "root": snapshot.root,
        "cut_off": snapshot.built.cut_off, "case": snapshot.case, "names": int(ask.names),
        "caveat_version": snapshot.landing_page["version"], "filters": ask.parameters(), "said": said,
    }  # fmt: skip
    noted = snapshot.noted()
    tokens, leaves = _parents(base.archive, noted), _leaves(base.archive, noted)
    secrets = base.archive.vault.secrets_of(tokens)
    z = rows.joined(secrets, np.array([len(tokens)]))[0].as_py()
    entry = salted(_TABLE, z, canonical.dumps(whole))
    asked = base.archive.vault.tokens(vault.nominal_keys(pa.array(ask.nominals, pa.string())))
    snapshot.keep_up()
    snapshot.teach()
    return Page(
        ask, snapshot.label, whole, merkle.leaf_hash(entry).hex(), entry, leaves.hex(),
        _references(base.archive, noted), tuple(sorted(asked.tolist())),
    )  # fmt: skip


def log(archive: Archive, shown: Page, *, case: str, at: str, on: str, by: str, under: str) -> int:
    """Log that a page is about to be shown, before it is; its place in the log. `at` is the moment that was asked for,
    "" for a build by its label."""
    keep(archive, shown)
    act = entries.Viewed(
        on=on, by=by, under=under, label=shown.label, at=at, asked=shown.ask.logged(), case=case,
        nominals=entries.packed(shown.subjects), shown=shown.digest, leaves=shown.leaves,
    )  # fmt: skip
    return archive.append(act).start


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of showing a page again."""

    act: entries.Viewed
    verdict: str  # SAME, LESS, OTHER_FORM or DIFFERS
    page: Page | None  # as it is now; None where its subject is gone
    rows: int  # that were opened for it then
    gone: dict[str, int]  # of those, how many were disposed of or are restricted since, by reason
    certificates: tuple[str, ...]  # of the disposals


SAME, LESS, OTHER_FORM, DIFFERS = "same", "lawfully less", "shown in an earlier form", "differs"


def replay(archive: Archive, act: entries.Viewed, shown: Page | None) -> Replay:
    """Hold what was shown to what `shown`, the same view worked out again, says now. None: its subject is not there.

    Raises Missing or Tampered where what `seen/` has of it is not what the log says.
    """
    then = _read(archive, act.leaves)
    gone, certificates = _gone(archive, then, act.case)
    rows_ = sum(map(len, then.values()))
    if shown is not None and shown.digest == act.shown and shown.leaves == act.leaves:
        return Replay(act, SAME, shown, rows_, gone, certificates)
    verdict = LESS if gone else DIFFERS
    if shown is not None and not gone and shown.leaves == act.leaves:
        verdict = OTHER_FORM  # the same rows, said another way: the program is another one
    return Replay(act, verdict, shown, rows_, gone, certificates)


def since(archive: Archive, leaves: str, case: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """How many of the rows that a page opened are not shown any more, by reason; and the ids of the disposals.

    Raises Missing or Tampered where `seen/` has not what the digest says.
    """
    return _gone(archive, _read(archive, leaves), case)


def asked(archive: Archive, act: entries.Viewed) -> Ask:
    """What was asked for. Raises Missing where somebody it asked about is gone."""
    tokens = np.array(entries.unpacked(act.nominals), np.int64)
    if not archive.vault.retained(tokens).all():
        raise Missing("page was about a nominal who has since been disposed of: it cannot be shown again")
    return asking.read(act.asked, vault.nominal_ids(archive.vault.keys(tokens)).to_pylist())


def find(archive: Archive, reference: str) -> tuple[int, entries.Viewed]:
    """The first view that a citation, `BUILD/VIEW/DIGEST` with at least 12 digits of it, names. Raises Missing."""
    label, _, rest = reference.partition("/")
    view, _, digest = rest.partition("/")
    if len(digest) >= 12:
        for place, act in views(archive):
            if act.label == label and act.shown.startswith(digest) and asking.read_view(act.asked) == view:
                return place, act
    raise Missing("no page was shown under that reference: wanted BUILD/VIEW/DIGEST, as the page gives it")


def views(archive: Archive) -> list[tuple[int, entries.Viewed]]:
    """Every page view, with its place in the log, in order."""
    archive.refresh()
    return [(place, act) for place, act in archive.placed(["Viewed"]) if isinstance(act, entries.Viewed)]


def _parents(archive: Archive, noted: dict[str, np.ndarray]) -> np.ndarray:
    """Tokens of everything that the opened rows speak of; the archive's own where that is nothing."""
    sides = [getattr(archive.index(table), side)[at] for table, at in noted.items() for side in "ab"]
    tokens = np.unique(np.concatenate([np.zeros(0, np.int64), *sides]))
    tokens = tokens[tokens != 0]
    return tokens if len(tokens) else np.array([vault.ARCHIVE_TOKEN], np.int64)


def _leaves(archive: Archive, noted: dict[str, np.ndarray]) -> bytes:
    leaves = [archive.index(table).leaf[at] for table, at in noted.items()]
    whole = rows.in_byte_order(np.concatenate([np.zeros((0, 32), np.uint8), *leaves]))
    return merkle.root(np.ascontiguousarray(whole).tobytes())


def _references(archive: Archive, noted: dict[str, np.ndarray]) -> bytes:
    """The rows as (table, segment, row): the same ones for as long as the archive stands."""
    parts = [_REFERENCES.empty_table()]
    for table, at in noted.items():
        index = archive.index(table)
        code = pa.array(np.full(len(at), _NAMES.index(table), np.int8))
        columns = [code, pa.array(index.segment[at], pa.int32()), pa.array(index.row[at], pa.int32())]
        parts.append(pa.table(columns, schema=_REFERENCES))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _REFERENCES, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(pa.concat_tables(parts).combine_chunks())
    return sink.getvalue().to_pybytes()


def _path(archive: Archive, leaves: str) -> Path:
    return archive.root / "seen" / leaves[:2] / leaves[2:]


def keep(archive: Archive, shown: Page) -> None:
    """Put away which rows a page opened, so that it can be told later what has become of them."""
    path = _path(archive, shown.leaves)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        sealed = sealed_blob(archive.vault.archive_secret, f"seen {shown.leaves}", shown.references)
        durable.write(path, sealed, mode=0o600)


def _read(archive: Archive, leaves: str) -> dict[str, np.ndarray]:
    """Positions of the rows that a page opened, by table. Raises Missing, or Tampered where their root is another."""
    try:
        sealed = _path(archive, leaves).read_bytes()
    except FileNotFoundError as error:
        raise Missing(f"file seen/{leaves[:2]}/{leaves[2:]} is missing: which rows a page opened lies in it") from error
    content = opened_blob(archive.vault.archive_secret, f"seen {leaves}", sealed)
    told = pa.ipc.open_stream(content).read_all()
    code = told["table"].to_numpy()
    found = {}
    for number in np.unique(code).tolist():
        mine = np.flatnonzero(code == number)
        index = archive.index(_NAMES[number])
        segment, row = (told[name].to_numpy()[mine] for name in ("segment", "row"))
        found[_NAMES[number]] = index.positions(segment, row)
    if _leaves(archive, found).hex() != leaves:
        raise Tampered(f"file seen/{leaves[:2]}/{leaves[2:]} names rows of another root than the log has for them")
    return found


def _gone(archive: Archive, then: dict[str, np.ndarray], case: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """How many of the rows are not shown any more, by reason; and the ids of the disposals that took some of them."""
    reasons: dict[str, int] = {}
    disposals = set()
    for table, at in then.items():
        index = archive.index(table)
        died = index.died[at]
        for number in died[died > 0].tolist():
            first = archive.history.disposals[number - 1].first
            reasons[first.reason] = reasons.get(first.reason, 0) + 1
            disposals.add(first.disposal)
        marked = index.marked[at[died == 0]]
        for number in marked[marked > 0].tolist():
            reasons["figures withheld"] = reasons.get("figures withheld", 0) + 1
            disposals.add(archive.history.disposals[number - 1].first.disposal)
        hidden = int((~archive.shown(table, at[died == 0], case=case)).sum())
        if hidden:
            reasons["restricted"] = reasons.get("restricted", 0) + hidden
    return dict(sorted(reasons.items())), tuple(sorted(disposals))
