"""An answer, with all that an outsider needs to check it: the pack.

A folder of plain files in published formats: the rows as they were hashed, each with its path to the root of its table;
the build's log entry, its proof and its signed statement; the head that they are under, with what witnesses and
time-stamps say of it; and two programs that check all of that without this software. docs/reference.md lists the files.

What may not be shown is in it as a bare digest, which keeps its place: disposed of (its certificate accounts for it),
living on with less (the certificate pairs old and new), restricted for a case, figures that would tell what is gone, or
sensitive material that whoever receives it may not see.
For one nominal the pack proves that no link is left out: the nominal's row carries the root over all of their links.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import (
    canonical,
    disposal,
    durable,
    expunging,
    heads,
    lookups,
    merkle,
    notices,
    packs,
    propagation,
    rows,
    sets,
    vault,
)
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.entries import Act, Built, Certified, Founded, Published, Rekeyed, Withdrawn
from provenance.errors import Conflict, Refused, Tampered
from provenance.index import Index
from provenance.notes import Checkpoint, encode_base64
from provenance.policies import Opened, Policy
from provenance.proofs import AddCheckpoint, Proof
from provenance.records import THEMES
from provenance.tables import TABLES
from provenance.trees import Trees

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """What a pack holds."""

    shown: int  # rows
    withheld: int
    complete: tuple[str, ...]  # themes in which it proves that no link of the nominal is left out
    head: int  # entries of the log under the head that everything in it is under
    cosigned: tuple[str, ...]  # witnesses who signed that head
    quorum_met: bool


def prove(
    snapshot: Snapshot,
    folder: Path,
    *,
    as_of: str,
    on: str,
    nominal: str = "",
    other: str = "",
    network: str = "",
    theme: str = "",
    programs: bool = True,
    common: Common | None = None,
    disclosable: Set[str] | None = None,
    report: Report = lambda *_: None,
) -> Made:
    """Write the pack of an answer into a new folder: what is there is whole.

    With `other`, only the links between `nominal` and that one, which proves nothing of the rest. Without `programs`,
    a part of something that brings the two verifiers itself, and sees to it that what is written is on disk. `common`
    is what several proofs of one archive share. With `disclosable`, the leaves of the only rows that may be shown: each
    other one is withheld as sensitive.

    Raises Conflict where the folder is there already, and as the answer itself does.
    """
    chosen = _Chosen(snapshot, nominal, other, network, theme, disclosable)
    staged = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        check_place(snapshot.archive, folder)
        clear(folder)
        folder.resolve().parent.mkdir(parents=True, exist_ok=True)
        staged.mkdir(mode=0o700)
    except OSError as error:
        raise Conflict(f"pack {folder.name} cannot be written there: {error.strerror}") from error
    try:
        made = _Pack(snapshot, staged, common or Common(snapshot.archive), disclosable, report).write(
            chosen, as_of, on, programs=programs
        )
        if programs:
            durable.sync_all(staged)
        snapshot.keep_up()  # last: what went meanwhile must not be in it
        staged.rename(folder)
        if programs:
            durable.sync_folder(folder.resolve().parent)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise Conflict(f"pack {folder.name} cannot be written there: {error.strerror}") from error
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return made


def check_place(archive: Archive, folder: Path) -> None:
    """Raises Conflict where something is there already; Refused within the archive, where no disposal would reach a
    pack, and Git or DVC would keep it.
    """
    if folder.exists():
        raise Conflict(f"folder {folder.name} is there already: wanted a new name for the pack")
    for inside in (archive.root.resolve(), archive.keys.resolve()):
        if folder.resolve().is_relative_to(inside):
            raise Refused("a pack is rows in the clear, and is not kept within the archive: wanted another place")


def clear(folder: Path) -> None:
    """Remove what processes that were killed left of writing this pack."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        writer = left.name.split(".")[-2]
        if writer.isdigit() and left.is_dir() and not durable.is_running(int(writer)):
            shutil.rmtree(left, ignore_errors=True)


class Common:
    """What proofs of one archive share, however many builds they are of."""

    def __init__(self, archive: Archive) -> None:
        self.archive, self.trees = archive, Trees(archive)
        self._acts: tuple[int, Sequence[tuple[int, Act]]] = (-1, ())

    def acts(self) -> Sequence[tuple[int, Act]]:
        """The acts that proofs speak of, each with its place, in log order."""
        size = self.archive.log.size
        if self._acts[0] != size:
            placed = self.archive.placed(("Founded", "Rekeyed", "Built", "Published", "Withdrawn", "Certified"))
            self._acts = size, [(at, act) for at, act in placed if at < size]  # others may have logged meanwhile
        return self._acts[1]


class _Chosen:
    """Which rows an answer is about, by table: positions in the index of what the build's root is over."""

    def __init__(
        self, snapshot: Snapshot, nominal: str, other: str, network: str, theme: str, disclosable: Set[str] | None
    ) -> None:
        self.snapshot, self.archive, self.disclosable = snapshot, snapshot.archive, disclosable
        self.person = snapshot.canonical(nominal) if nominal else ""  # another id where records were merged
        self.question = {
            "nominal": nominal, "person": self.person, "network": network, "theme": theme, "case": snapshot.case,
        }  # fmt: skip
        people = snapshot.nominals(nominal=nominal or None, network=network or None, theme=theme or None)
        self._links(nominal, network, theme)
        self.people = self._at("nominal", vault.nominal_keys(people["nominal"].combine_chunks()), people["theme"])
        self.complete: list[dict[str, Any]] = []
        self.incomplete: list[dict[str, str]] = []
        self.guarded: list[int] = []  # themes of which a bare leaf would tell more than may be told
        if other:
            self._between(snapshot.token(other), theme)
            return
        if nominal:
            self._claim(theme)
        self.networks = self._networks(network, theme, people["network"], whole=not (nominal or network))

    def _links(self, nominal: str, network: str, theme: str) -> None:
        """`links`, positions of the build's own rows; `last`, of what is left of each (itself where it lives, -1 where
        nothing is); `themes`, the code of each.
        """
        snapshot, index = self.snapshot, self.archive.index("link")
        every = snapshot.positions("link")
        last = every.copy()
        while len(dead := np.flatnonzero((last >= 0) & (index.died[last] > 0))):
            last[dead] = index.heir[last[dead]]
        themes = np.where(last >= 0, index.theme[last], 0)
        wanted = last >= 0
        if nominal:
            token = snapshot.token(nominal)
            wanted &= (index.a[last] == token) | (index.b[last] == token)
            gone, of, self.untold = propagation.gaps(self.archive, token)
            mine = sets.among(gone, every)
            place = np.searchsorted(every, gone[mine])
            wanted[place], themes[place] = True, of[mine]
        elif network:
            members = snapshot.nominals(network=network)["nominal"].combine_chunks()
            tokens = self.archive.vault.tokens(vault.nominal_keys(members))
            wanted &= sets.among(index.a[last], tokens) & sets.among(index.b[last], tokens)
            theme = theme or network.split("-")[0]
        elif not theme:
            wanted[:] = True
        if theme:
            wanted &= themes == THEMES.index(theme) + 1
        self.links, self.last, self.themes = every[wanted], last[wanted], themes[wanted]

    def _between(self, other: int, asked: str) -> None:
        """Of the nominal's links those with one other, and nothing else of either."""
        index = self.archive.index("link")
        held = self.last >= 0
        held[held] = (index.a[self.last[held]] == other) | (index.b[self.last[held]] == other)
        self.links, self.last, self.themes = self.links[held], self.last[held], self.themes[held]
        self.people = self.networks = np.zeros(0, np.int64)
        self.incomplete = [{"theme": theme, "why": _ONE_LINK} for theme in THEMES if asked in ("", theme)]

    def _claim(self, asked: str) -> None:
        """Per theme the leaves of all links of the nominal, or why that they are all is not proved."""
        snapshot, people, link = self.snapshot, self.archive.index("nominal"), self.archive.index("link")
        for code, theme in enumerate(THEMES, start=1):
            row = self.people[people.theme[self.people] == code]
            if asked not in ("", theme):
                continue
            if not len(row):
                self.incomplete.append({"theme": theme, "why": _NO_ROW})
                continue
            leaves = np.sort(rows.as_keys(link.leaf[self.links[self.themes == code]]))
            whole = np.ascontiguousarray(leaves).view(np.uint8).reshape(-1, merkle.DIGEST)
            said = canonical.loads(snapshot.entries("nominal", row)[0].as_py()[merkle.DIGEST :])["links_root"]
            if snapshot.is_near_withheld("nominal", row)[0]:
                self._guard(code, theme, _RESTRICTED)
            elif not may_show(people, row, self.disclosable)[0]:
                self.incomplete.append({"theme": theme, "why": _SENSITIVE})
            elif merkle.root(whole).hex() == said:
                listed = [leaf.tobytes().hex() for leaf in whole]
                self.complete.append({"theme": theme, "nominal": people.leaf[row[0]].tobytes().hex(), "links": listed})
            elif code in self.untold:
                self._guard(code, theme, _UNTOLD)
            else:
                raise Tampered(
                    f"links of the nominal in build {snapshot.label}, theme {theme}, have root "
                    f"{merkle.root(whole).hex()}: their row says {said}; see `provenance verify`"
                )

    def _guard(self, code: int, theme: str, why: str) -> None:
        self.guarded.append(code)
        self.incomplete.append({"theme": theme, "why": why})

    def _at(self, table: str, keys: pa.Array, themes: pa.ChunkedArray | None) -> np.ndarray:
        index, tokens = self.archive.index(table), self.archive.vault.tokens(keys)
        found = self.snapshot.standing_of(table, tokens[tokens != 0].tolist())
        if themes is None:
            return found
        wanted = set(zip(tokens.tolist(), (THEMES.index(t) + 1 for t in themes.to_pylist()), strict=True))
        mine = zip(index.a[found].tolist(), index.theme[found].tolist(), strict=True)
        return found[[pair in wanted for pair in mine]]

    def _networks(self, network: str, theme: str, named: pa.ChunkedArray, *, whole: bool) -> np.ndarray:
        index, at = self.archive.index("network"), self.snapshot.positions("network")
        if whole:
            return at if not theme else at[index.theme[at] == THEMES.index(theme) + 1]
        held = lookups.of(self.archive, "network", at)
        codes = [held.code(id) for id in pc.unique(named).to_pylist() if id]  # "": people whom no network holds
        return at[sets.among(held["network"][at], codes)]

    def records(self, contents: Iterable[bytes]) -> np.ndarray:
        """Positions of the records that these links (rows as text) name."""
        shown = canonical.table(canonical.packed(contents), TABLES["link"].columns)
        supports, _ = propagation.unfolded(shown)
        named = supports.group_by(["system", "record_id"]).aggregate([])
        at = self._at("record", vault.record_keys(named["system"], named["record_id"]), None)
        return at[self.archive.shown("record", at, case=self.snapshot.case)]


class _Pack:
    """The files of one pack, written into a folder that is not its own yet."""

    def __init__(
        self, snapshot: Snapshot, folder: Path, common: Common, disclosable: Set[str] | None, report: Report
    ) -> None:
        self.snapshot, self.archive, self.folder, self.report = snapshot, snapshot.archive, folder, report
        self.common, self.disclosable = common, disclosable
        self._holes, self._pairs = cache(self._all_holes), cache(self._all_pairs)
        self.disposals: set[int] = set()  # whose certificates are wanted
        self.lines: list[dict[str, Any]] = []

    def write(self, chosen: _Chosen, as_of: str, on: str, *, programs: bool) -> Made:
        snapshot, archive = self.snapshot, self.archive
        contents = self._links(chosen)
        self._figures("nominal", chosen.people, whole=bool(chosen.person))
        self._figures("network", chosen.networks, whole=False)
        self._rows("record", chosen.records(contents))
        self.report("Gathering the proofs", 0, 1)
        indexes = self._indexes()
        head, opened = self._head(
            max(indexes["keys"] + indexes["certified"] + [indexes["built"], indexes["published"]])
        )
        if indexes["ended"] >= opened.checkpoint.size:
            indexes["ended"] = -1
        self._log(indexes, head, opened.checkpoint.size)
        self._published_heads(head, opened.checkpoint, indexes["built"])
        publication, handling, conditions = snapshot.publication, *self._handling(contents)
        self._write(
            "pack.json",
            canonical.dumps(
                {
                    "format": packs.FORMAT,
                    "archive": archive.name,
                    "build": snapshot.label,
                    "number": snapshot.built.number,
                    "as_of": as_of,
                    "published_from": publication.start if publication else "",
                    "published_to": publication.end if publication and indexes["ended"] >= 0 else "",
                    "cut_off": snapshot.built.cut_off,
                    "root": snapshot.root,
                    "question": chosen.question,
                    "handling": handling,
                    "conditions": conditions,
                    "caveat": snapshot.landing_page["text"],
                    "caveat_version": snapshot.landing_page["version"],
                    "made_on": on,
                    "disposed": dict(snapshot.disposed),
                    "entries": indexes,
                    "complete": chosen.complete,
                    "incomplete": chosen.incomplete,
                }
            ),
        )
        self.lines.sort(key=lambda line: (line["table"], line["index"]))
        self._write("rows.jsonl", b"".join(canonical.dumps(line) + b"\n" for line in self.lines))
        self._write("statement.json", archive.statement(snapshot.label).read_bytes())
        for name in ("verify.html", "verify.py", "READ-ME-FIRST.txt") if programs else ():
            self._write(name, resources.files("provenance.standalone").joinpath(name).read_bytes())
        self._sums()
        self.report("Gathering the proofs", 1, 1)
        withheld = sum("withheld" in line for line in self.lines)
        complete = tuple(item["theme"] for item in chosen.complete)
        names = tuple(line.name for line in opened.cosigned)
        return Made(len(self.lines) - withheld, withheld, complete, opened.checkpoint.size, names, opened.quorum_met)

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    def _sums(self) -> None:
        files = sorted(p for p in self.folder.rglob("*") if p.is_file())
        sums = [f"{rows.digest(path)}  {path.relative_to(self.folder).as_posix()}\n" for path in files]
        self._write("SHA256SUMS", "".join(sorted(sums, key=lambda line: line[66:])).encode())

    def _lines(self, table: str, at: np.ndarray) -> list[dict[str, Any]]:
        """A line per row, with its place and path in the table's tree and nothing of the row yet."""
        if not len(at):
            return []
        self.report(f"Tree of table {table}", 0, 1)
        found = self.common.trees.paths(table, self.snapshot.built.number, at)
        self.report(f"Tree of table {table}", 1, 1)
        lines = [{"table": table, "index": place, "path": list(map(encode_base64, path))} for place, path in found]
        self.lines += lines
        return lines

    def _rows(self, table: str, at: np.ndarray) -> list[bytes]:
        """Rows that the archive may show; those that are not disclosable as bare leaves. Returns what is shown."""
        may = self._may(table, at)
        self._bare(table, at[~may], "sensitive")
        at = at[may]
        shown = [entry.as_py() for entry in self.snapshot.entries(table, at)] if len(at) else []
        for line, entry in zip(self._lines(table, at), shown, strict=True):
            line["entry"] = encode_base64(entry)
        return [entry[merkle.DIGEST :] for entry in shown]

    def _may(self, table: str, at: np.ndarray) -> np.ndarray:
        return may_show(self.archive.index(table), at, self.disclosable)

    def _figures(self, table: str, at: np.ndarray, *, whole: bool) -> None:
        """Rows whose figures may tell of what is gone (R35).

        They are shown to a case; with `whole`, since without them nothing proves that an answer is complete, to anyone
        whom they tell of nothing restricted, and marked.
        """
        marked, snapshot = self.snapshot.is_marked(table, at), self.snapshot
        hidden = snapshot.is_near_withheld(table, at) if whole or snapshot.case else marked
        self._rows(table, at[~hidden & ~marked])
        start = len(self.lines)
        self._rows(table, at[~hidden & marked])
        for line in self.lines[start:]:
            if "entry" in line:
                line["computed_with_erased"] = True
        self._bare(table, at[hidden], "figures")

    def _bare(self, table: str, at: np.ndarray, why: str) -> list[dict[str, Any]]:
        lines, leaves = self._lines(table, at), self.archive.index(table).leaf[at]
        for line, leaf in zip(lines, leaves, strict=True):
            line.update(leaf=leaf.tobytes().hex(), withheld=why)
        return lines

    def _links(self, chosen: _Chosen) -> list[bytes]:
        """The links, as rows or as bare leaves; returns the rows that are shown."""
        at, last = chosen.links, chosen.last
        present = last >= 0
        shown = np.zeros(len(at), bool)
        shown[present] = self.archive.shown("link", last[present], case=self.snapshot.case)
        same = last == at
        told = ~sets.among(chosen.themes, chosen.guarded)  # or a bare leaf would tell what the figures may not
        contents = self._rows("link", at[same & shown])
        self._bare("link", at[told & present & ~shown], "restricted")
        contents += self._reduced(at[~same & shown], last[~same & shown])
        gone = at[~present]
        for line, number in zip(
            self._bare("link", gone, "disposed"), self.archive.index("link").died[gone], strict=True
        ):
            holes, tree = self._holes(int(number))
            line.update(disposal=self._disposal(int(number)), hole=_place(tree, holes[bytes.fromhex(line["leaf"])]))
        return contents

    def _reduced(self, at: np.ndarray, last: np.ndarray) -> list[bytes]:
        """Links that live on with less: what they are now, and for each time the certificate's pair of leaves."""
        index, may = self.archive.index("link"), self._may("link", last)
        self._bare("link", at[~may], "sensitive")
        at, last = at[may], last[may]
        left = [entry.as_py() for entry in self.snapshot.entries("link", last)] if len(last) else []
        for line, place, entry in zip(self._bare("link", at, "reduced"), at.tolist(), left, strict=True):
            steps = []
            while index.died[place]:
                heir, number = int(index.heir[place]), int(index.died[place])
                pairs, tree = self._pairs(number)
                old, new = (index.leaf[at].tobytes() for at in (place, heir))
                steps.append({"disposal": self._disposal(number), "leaf": new.hex(), **_place(tree, pairs[old + new])})
                place = heir
            line.update(heirs=steps, entry=encode_base64(entry))
        return [entry[merkle.DIGEST :] for entry in left]

    def _all_holes(self, number: int) -> tuple[dict[bytes, int], merkle.Tree]:
        leaves = expunging.holes(self.archive, number)
        return {leaf.tobytes(): place for place, leaf in enumerate(leaves)}, merkle.Tree(leaves)

    def _all_pairs(self, number: int) -> tuple[dict[bytes, int], merkle.Tree]:
        pairs = expunging.heirs(self.archive, number)
        return {pair: at for at, pair in enumerate(pairs)}, merkle.Tree(b"".join(map(merkle.leaf_hash, pairs)))

    def _disposal(self, number: int) -> str:
        """Its id; the pack will hold its certificate. Raises Conflict while it has none."""
        act = self.archive.history.disposals[number - 1]
        if act.certified is None:
            raise Conflict(
                f"disposal {act.first.disposal} has no certificate yet: it is at work, or was cut off, and then "
                "`provenance dispose resume` completes it"
            )
        self.disposals.add(number)
        return act.first.disposal

    def _handling(self, contents: Iterable[bytes]) -> tuple[str, str]:
        """The strictest handling code of the links that are shown, and all conditions (R13)."""
        order = ("", *self.archive.handling_order(self.snapshot.built))  # "": ungraded, as a crime is
        shown = canonical.table(canonical.packed(contents), TABLES["link"].columns).to_pylist()
        strictest = max((link["handling"] for link in shown), key=order.index, default="")
        conditions = {s["conditions"] for link in shown for s in link["supports"] if s["conditions"]}
        return strictest, "; ".join(sorted(conditions))

    def _indexes(self) -> dict[str, Any]:
        """Where in the log the acts stand that the pack rests on."""
        label, publication, acts = self.snapshot.label, self.snapshot.publication, self.common.acts()
        published = ended = -1
        for at, act in acts:
            if publication is None or not isinstance(act, Published | Withdrawn):
                continue
            mine = act.label == label
            if published >= 0 and ended < 0 and act.at == publication.end and mine == isinstance(act, Withdrawn):
                ended = at
            elif act.at == publication.start and mine == isinstance(act, Published):
                published = at  # or the withdrawal of a later build, after which this one was live again
        return {
            "keys": [at for at, act in acts if isinstance(act, Founded | Rekeyed)],
            "built": next(at for at, act in reversed(acts) if isinstance(act, Built) and act.label == label),
            "published": published,
            "ended": ended,
            "certified": [at for at, act in acts if isinstance(act, Certified) and act.number in self.disposals],
        }

    def _head(self, last: int) -> tuple[bytes, Opened]:
        """The head that everything is under, and who signed it."""
        archive, kept = self.archive, heads.Heads(self.archive.root / "log" / "heads")
        policy = heads.read_policy(archive.root / "log").with_log(archive.vkey)  # a rotation at work adds it there last
        note, size = head_over(archive, last)
        self._write("policy", bytes(policy))
        self._write("checkpoint", note)
        self._write("head", heads.bare(note, archive.signers()))
        for name, stamp in kept.stamps(size).items():
            self._write(f"stamps/{name}.tsr", stamp)
            self._write(f"stamps/{name}.pem", (archive.root / "log" / "tsa" / f"{name}.pem").read_bytes())
        return note, policy.open(note)

    def _log(self, indexes: dict[str, Any], head: bytes, size: int) -> None:
        """Each entry with its proof, and the certificates."""
        log = self.archive.log
        wanted = [*indexes["keys"], *indexes["certified"], indexes["built"], indexes["published"], indexes["ended"]]
        for index in sorted(set(wanted) - {-1}):
            self._write(f"log/{index}.entry", next(log.entries(index, index + 1)))
            self._write(f"log/{index}.tlog-proof", bytes(Proof(index, tuple(log.inclusion(index, size)), head)))
        for number in sorted(self.disposals):
            act = self.archive.history.disposals[number - 1].first
            disposal.certificate(self.archive, act.disposal)  # raises unless it is the one that was logged
            path = disposal.certificate_path(self.archive, act.disposal)
            self._write(f"certificates/{act.disposal}.json", path.read_bytes())

    def _published_heads(self, head: bytes, checkpoint: Checkpoint, built: int) -> None:
        """The lines of the weekly notices that commit to this build, each with the way from it to the pack's head."""
        path = self.archive.root / "audit_reports" / "heads.txt"
        lines = notices.parse_series(path.read_bytes()) if path.exists() else ()
        said = [line for line in lines if built < line.size <= checkpoint.size]
        for size in sorted({line.size for line in said}):
            body = AddCheckpoint(size, tuple(self.archive.log.consistency(size, checkpoint.size)), head)
            self._write(f"heads/{size}.add-checkpoint", bytes(body))
        self._write("heads.txt", "".join(f"{line}\n" for line in said).encode())


def may_show(index: Index, at: np.ndarray, disclosable: Set[str] | None) -> np.ndarray:
    """Which of these rows may be shown, where only the leaves in `disclosable` may; all of them where it is None."""
    if disclosable is None:
        return np.ones(len(at), bool)
    return np.array([leaf.tobytes().hex() in disclosable for leaf in index.leaf[at]], bool)


def head_over(archive: Archive, last: int) -> tuple[bytes, int]:
    """The head to prove things under that stand in the log up to `last`, and its size: the latest that enough witnesses
    have signed, else the one of now."""
    kept = heads.Heads(archive.root / "log" / "heads")
    policy = heads.read_policy(archive.root / "log").with_log(archive.vkey)
    for size in sorted(kept.sizes(), reverse=True):
        if size > last and policy.witnesses and _is_witnessed(policy, kept.read(size)):
            return kept.read(size), size
    size = archive.log.size
    kept.keep(archive.log.checkpoint, archive.signers())
    return kept.read(size), size  # what witnesses there are have perhaps signed it already


def _is_witnessed(policy: Policy, note: bytes) -> bool:
    try:
        return policy.open(note).quorum_met
    except Tampered:  # by a key that the policy names no more
        return False


def _place(tree: merkle.Tree, index: int) -> dict[str, Any]:
    return {"index": index, "path": list(map(encode_base64, tree.path(index)))}


_ONE_LINK = "only links with one other nominal were asked for, and what others there are is not told"
_NO_ROW = "the build has no row of this nominal in this theme; that there is none cannot be proved"
_RESTRICTED = (
    "the proof would tell of something that is restricted for a case, and what rests on that is not in this pack; the "
    "case itself can have it"
)
_SENSITIVE = "the nominal's own row, which says what all the links come to, is withheld as sensitive"
_UNTOLD = (
    "a link of this nominal ended with the disposal of a record, and the proof would tell with whom; what has gone "
    "from this theme is not in this pack"
)
