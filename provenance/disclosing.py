"""The pack: what answers a saved query, written so that a prosecutor can read it and a defence expert can check it.

A bag (`bags`) whose payload is a crate (`crates`): pages as they were shown, the rows behind them with their proofs
(`proving`), what the builds were made from, where each figure comes from (`lineage`), what has gone since, what is
known to be wrong with the code, and two programs that check it without this software. Nothing in it depends on the
clock but what is passed in, so the same query on the same archive gives the same bytes.

One for the defence shows what stands on the MG6C of its case and nothing else (R24, R29): each other row keeps its
leaf, and a page that opened one keeps its digest.

Its making is logged before it has its name: whatever a pack is handed to, the log already has it. While it is made
nothing may be disposed of or restricted, or it is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from provenance import (
    bags,
    canonical,
    checking,
    consulting,
    crates,
    defects,
    durable,
    entries,
    lineage,
    merkle,
    moments,
    openings,
    proving,
    rows,
    scheduling,
    statements,
    viewing,
    watching,
)
from provenance.archive import Archive, Overtaken
from provenance.asking import Ask
from provenance.asof import Snapshot
from provenance.errors import Conflict, Missing, Refused, Tampered
from provenance.notes import decode_base64
from provenance.proofs import Proof
from provenance.queries import Query
from provenance.saving import Saved
from provenance.sealing import keyed_digests
from provenance.watching import Wanted

Report = Callable[[str, int, int], None]
_TITLES = {
    "nominal": "Nominal", "figures": "How the figures come about", "link": "Link", "network": "Network",
    "associations": "Associations", "change": "Change over time", "key-nominals": "Key nominals", "places": "Places",
    "search": "Search",
}  # fmt: skip
PROSECUTOR, DEFENCE = AUDIENCES = ("prosecutor", "defence")
_ITEMISED = ("link", "network", "nominal", "record")  # tables of which items are made; see `materials`
_SUPPORT = dict.fromkeys(("grade", "grade_scheme", "handling", "conditions", "role_a", "role_b", "occurred_at"), "")
_REASON = {"disposed": "disposed of", "reduced": "left with less", "restricted": "restricted"}


class Drawer(Protocol):
    """Who draws pages into files; see `web.still`."""

    def sheets(self) -> dict[str, bytes]: ...

    def draw(
        self, snapshot: Snapshot, before: Snapshot | None, page: viewing.Page, files: Mapping[tuple[str, Ask], str], *,
        seen: str,
    ) -> bytes: ...  # fmt: skip

    def first_page(self, told: Mapping[str, Any]) -> bytes: ...

    def rows_page(self, told: Mapping[str, Any]) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Made:
    """What a pack holds."""

    builds: int
    pages: int
    rows: int  # that are shown, over all proofs
    withheld: int  # as bare digests
    complete: int  # proofs that show that no link is left out
    proofs: int
    handling: str
    conditions: str
    head: int  # entries of the log under the head that everything is proved with
    tag_manifest: str  # SHA-256, by which the pack is named
    logged: int  # place of its entry in the log
    line: str  # of the last weekly notice with which all of it can be compared, "" while there is none
    lacking: int  # links that items on the MG6C name, withheld for a record behind them that is not on it


def make(
    archive: Archive,
    saved: Saved,
    folder: Path,
    drawer: Drawer,
    *,
    audience: str,
    force: str,
    marking: str,
    on: str,
    by: str,
    under: str,
    version: str,
    report: Report = lambda *_: None,
) -> Made:
    """Write the pack of a saved query into a new folder: what is there is whole, and logged.

    It shows all to the PROSECUTOR, and what is on the case's MG6C to the DEFENCE.

    Raises Conflict where the folder is there already, Refused within the archive, without a hold of a case whose
    restricted rows are asked for, or where the defence may see nothing; Missing where nobody whom it asked about is
    left, or no build answers it.
    """
    if saved.query is None:
        raise Missing(f"query {saved.id} asks about nobody who is still there: everybody has been disposed of")
    staged = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    proving.check_place(archive, folder)
    proving.clear(folder)
    case = watching.case_of(saved.query)
    if case:
        for live in watching.builds(archive, saved.query):
            snapshot = Snapshot(archive, archive.history.build(live.label), live, case)
            consulting.consult(archive, snapshot, on=on, by=by)
    while True:
        shifts = archive.history.shifts
        try:
            folder.resolve().parent.mkdir(parents=True, exist_ok=True)
            staged.mkdir(mode=0o700)
            disclosable = _disclosable(archive, saved.act.case) if audience == DEFENCE else None
            pack = _Pack(
                archive, saved, saved.query, staged, drawer, disclosable, force, marking, on, by, version, report
            )
            with archive.remembering():
                made = pack.write()
            durable.sync_all(staged)
            with archive.writing():
                if archive.history.shifts != shifts:
                    raise Overtaken("something was disposed of or restricted while the pack was made")
                if disclosable is not None and scheduling.disclosable(archive, saved.act.case) != disclosable:
                    raise Overtaken("an item was moved to another schedule while the pack was made")
                act = entries.Disclosed(
                    on=on, by=by, under=under, query=saved.id, case=saved.act.case,
                    nominals=pack.about(), pack=mark(archive, made.tag_manifest), handling=made.handling,
                    head=made.head,
                )  # fmt: skip
                place = archive.append(act).start
            staged.rename(folder)
            durable.sync_folder(folder.resolve().parent)
        except Overtaken:
            shutil.rmtree(staged, ignore_errors=True)
            continue
        except OSError as error:
            shutil.rmtree(staged, ignore_errors=True)
            raise Conflict(f"pack {folder.name} cannot be written there: {error.strerror}") from error
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        watching.begin(archive, saved, on=on, by=by, under=under, because=watching.PACK, shown=dict(pack.pages))
        return Made(**{**asdict(made), "logged": place})


def _disclosable(archive: Archive, case: str) -> scheduling.Disclosable:
    """What the defence may be shown. Raises Refused where that is nothing, whatever the reason."""
    found = scheduling.disclosable(archive, case)
    if not found.leaves:
        raise Refused(f"nothing of case {case} may be shown to the defence: wanted an item on its MG6C, with its rows")
    return found


def mark(archive: Archive, tag_manifest: str) -> str:
    """By which the log knows a pack again; whoever has not the vault can try no guess on it."""
    return keyed_digests(archive.vault.archive_secret, [f"pack {tag_manifest}"])[0].hex()


def known(archive: Archive, folder: Path) -> tuple[int, entries.Disclosed]:
    """The log's entry of a pack that this archive made. Raises Missing where there is none."""
    tags = folder / bags.TAGS
    if not tags.is_file():
        raise Missing(f"folder {folder.name} is no pack: {bags.TAGS} is not there")
    wanted = mark(archive, hashlib.sha256(tags.read_bytes()).hexdigest())
    for place, act in archive.placed(["Disclosed"]):
        if isinstance(act, entries.Disclosed) and act.pack == wanted:
            return place, act
    raise Missing(f"pack {folder.name} is none that this archive made: its manifest is another one")


class _Pack:
    """The files of one pack, written into a folder that has not its own name yet."""

    def __init__(
        self, archive: Archive, saved: Saved, query: Query, staged: Path, drawer: Drawer,
        disclosable: scheduling.Disclosable | None, force: str, marking: str, on: str, by: str, version: str,
        report: Report,
    ) -> None:  # fmt: skip
        self.archive, self.saved, self.query, self.drawer = archive, saved, query, drawer
        self.force, self.marking, self.on, self.by, self.report = force, marking, on, by, report
        self.version, self.disclosable = version, disclosable
        self.root, self.data = staged, staged / "data"
        self.case = watching.case_of(query)
        self.opened: dict[str, Snapshot] = {}
        self.pages: dict[Wanted, viewing.Page | None] = {}  # what the query comes to
        self.told: dict[Wanted, viewing.Page | None] = {}  # and what of that the pack speaks of
        self.items: list[dict[str, Any]] = []
        self.proofs: dict[tuple[str, str, tuple[str, ...]], dict[str, Any]] = {}  # by build and subject
        self.subjects = {subject: number for number, subject in enumerate(query.subjects(), start=1)}
        self.files: dict[str, tuple[str, int]] = {}  # SHA-256 and size of each under data/
        self.about_files: dict[str, str] = {}
        self.codes: set[tuple[str, str]] = set()
        self.handled: list[tuple[str, str]] = []
        self.common = proving.Common(archive)

    def write(self) -> Made:
        self._pages()
        if not self.opened:
            raise Missing("query has no answer: no build was live at its moments or in its periods")
        self._proofs()
        self._drawings()
        self._builds()
        views = self._views()
        order = ("", *self.archive.handling_order(self.archive.history.builds[-1]))
        strictest = max(
            (code for code, _ in self.handled), key=lambda c: order.index(c) if c in order else len(order), default=""
        )
        conditions = "; ".join(sorted({part for _, text in self.handled for part in text.split("; ") if part}))
        known = sorted({one.id: one for version in self._versions() for one in defects.of(version)}.items())
        faults = [asdict(one) for _, one in known]
        since = self._since(views)
        self._json("answer.json", self._answer(strictest, conditions), "What was asked, and what answers it")
        self._json("since.json", since, "What has been disposed of or restricted since it was shown")
        self._json("defects.json", {"versions": self._versions(), "defects": faults}, "Known defects of that code")
        self._json("lineage.json", self._lineage(), "From source record to shown figure: W3C PROV-JSON")
        verification = [{"proof": one["name"], **one["checked"]} for one in self._proved()]
        self._json(
            "verification.json", {"made_on": self.on, "proofs": verification}, "The force's own check of each proof"
        )
        for name, data in self.drawer.sheets().items():
            self._put(f"look/{name}", data)
        for name, what in (("verify.py", "program"), ("verify.html", "page")):
            data = resources.files("provenance.standalone").joinpath(name).read_bytes()
            self._put(name, data, f"A {what} that checks this pack and shares nothing with what made it")
        rows_page = self.drawer.rows_page({**self._rows(), "codes": self._codes()})
        self._put("rows.html", rows_page, "The rows that are proved, for people")
        first = self.drawer.first_page(self._told(strictest, conditions, faults, since))
        self._put("READ-ME-FIRST.html", first, "What this is, how to check it, what it does not prove")
        self._put("ro-crate-metadata.json", _pretty(self._crate(conditions)))
        tags = bags.tag_files(self.files, self._info())
        for name, data in tags.items():
            self._write(self.root / name, data)
        made = self._proved()
        return Made(
            builds=len(self.opened), pages=sum("file" in item for item in self.items),
            rows=sum(one["made"].shown for one in made), withheld=sum(one["made"].withheld for one in made),
            complete=sum(bool(one["made"].complete) for one in made), proofs=len(made), handling=strictest,
            conditions=conditions, head=max((one["made"].head for one in made), default=self.archive.log.size),
            tag_manifest=hashlib.sha256(tags[bags.TAGS]).hexdigest(), logged=-1,
            line=self._line(), lacking=self.disclosable.lacking if self.disclosable else 0,
        )  # fmt: skip

    def _line(self) -> str:
        """The last published line that every proof carries."""
        carried = [
            (self.data / "proofs" / one["name"] / "heads.txt").read_text().splitlines() for one in self._proved()
        ]
        return (
            max(set.intersection(*map(set, carried)), key=lambda line: int(line.split(" ")[2]), default="")
            if (carried)
            else ""
        )

    def _codes(self) -> list[str]:
        """Every handling code and condition that stands in the pack."""
        rows_ = [row for one in self._proved() for _, _, row in one["rows"] if row is not None]
        said = [*self.handled, *_handled([lineage.supports(row) if "supports" in row else row for row in rows_])]
        return sorted({part for code, text in said for part in (code, *text.split("; ")) if part})

    def _rows(self) -> dict[str, Any]:
        """What the page of rows says: the rows of each proof by their tables."""
        proofs = []
        for one in self._proved():
            held: dict[str, list[Any]] = {"link": [], "nominal": [], "record": [], "network": []}
            for table, _, row in one["rows"]:
                if row is not None:
                    behind = [_SUPPORT | support for support in lineage.supports(row)] if table == "link" else []
                    held[table].append({**row, "behind": behind} if table == "link" else row)
            asked = one["said"]["question"]
            proofs.append(
                {
                    "name": one["name"], "build": one["label"], "subject": asked["network"] or asked["nominal"],
                    "withheld": one["gone"], "links": sorted(held["link"], key=lambda row: -row["strength"]),
                    "nominals": held["nominal"], "records": held["record"], "networks": held["network"],
                }
            )  # fmt: skip
        return {"marking": self.marking, "case": self.saved.act.case, "proofs": proofs}

    def about(self) -> str:
        """Tokens of everybody whom it was asked about and who is still there."""
        gone = self.archive.history.gone
        return entries.packed(token for token in entries.unpacked(self.saved.act.nominals) if token not in gone)

    # -- files ---------------------------------------------------------------------------------------------------------

    def _put(self, name: str, data: bytes, about: str = "") -> None:
        self._write(self.data / name, data)
        self.files[name] = hashlib.sha256(data).hexdigest(), len(data)
        if about:
            self.about_files[name] = about

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def _json(self, name: str, value: Any, about: str) -> None:
        self._put(name, _pretty(value), about)

    # -- pages and proofs ----------------------------------------------------------------------------------------------

    def _pages(self) -> None:
        asked = watching.wanted(self.archive, self.query)
        for done, one in enumerate(asked):
            self.report("Working out the pages", done, len(asked))
            page = watching.page(self.archive, one, self.case, self.opened)
            self.pages[one] = page
            if self._may_name(one):
                self.told[one] = page
            elif one.place < 0:  # that somebody looked at such a page is not told at all
                self.told[one] = None
        self.report("Working out the pages", len(asked), len(asked))

    def _may_name(self, one: Wanted) -> bool:
        """Whether it may be told that a build has what a page is about: to the defence, of what the MG6C names."""
        found, (kind, ids) = self.disclosable, self._subject(one.ask)
        if found is None or not ids or one.label not in self.opened:
            return True
        if kind == "network":
            return ids[0] in found.networks
        try:
            tokens = frozenset(map(self.opened[one.label].token, ids))
        except Missing:
            return False
        return tokens in found.pairs if kind == "link" else tokens <= found.people

    def _may_show(self, page: viewing.Page) -> bool:
        """Whether all that items are made of, of what a page opened, may be shown; names and totals go with it."""
        if self.disclosable is None:
            return True
        openings.keep(self.archive, page.leaves, page.references)
        opened = openings.read(self.archive, page.leaves)
        mine = {table: at for table, at in opened.items() if table in _ITEMISED}
        return bool(mine) and all(
            proving.may_show(self.archive.index(table), at, self.disclosable.leaves).all() for table, at in mine.items()
        )

    def _file(self, one: Wanted) -> str:
        """A page's file. No name says whom it is about."""
        if one.place >= 0:
            return f"{one.label}-{one.ask.view}-seen-{one.place}.html"
        return f"{one.label}-{one.ask.view}-{self.subjects[self._subject(one.ask)]}.html"

    def _subject(self, ask: Ask) -> tuple[str, tuple[str, ...]]:
        if ask.network:
            return "network", (ask.network,)
        return ("link" if ask.view == "link" else "nominal"), ask.nominals

    def _proofs(self) -> None:
        asked = {
            (one.label, *self._subject(one.ask)): one
            for one, page in self.told.items()
            if page is not None and one.ask.view in ("nominal", "figures", "link", "network")
        }
        for done, (key, one) in enumerate(asked.items()):
            self.report("Proving", done, len(asked))
            label, kind, ids = key
            number = self.subjects.get((kind, ids), 0) or f"seen-{one.place}"
            name = f"{label}-{kind}-{number}"
            subject = {"network": ids[0]} if kind == "network" else dict(zip(("nominal", "other"), ids, strict=False))
            try:
                made = proving.prove(
                    self.opened[label], self.data / "proofs" / name, as_of=self._moment(one), on=self.on,
                    programs=False, disclosable=None if self.disclosable is None else self.disclosable.leaves,
                    common=self.common, **subject,
                )  # fmt: skip
            except Missing:
                continue
            self.proofs[key] = {"name": name, "label": label, "made": made, **self._read(self.data / "proofs" / name)}
        self.report("Proving", len(asked), len(asked))

    def _read(self, folder: Path) -> dict[str, Any]:
        """What a proof holds, from its own files, and what its check says."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            data = path.read_bytes()
            self.files[path.relative_to(self.data).as_posix()] = hashlib.sha256(data).hexdigest(), len(data)
        said = canonical.loads((folder / "pack.json").read_bytes())
        self.handled.append((said["handling"], said["conditions"]))
        checked = checking.check(folder)
        if faults := [fault for step in checked.steps for fault in step.faults]:
            raise Tampered(f"a proof of build {said['build']} does not verify, and no pack is made of it: {faults[0]}")
        lines = [json.loads(line) for line in (folder / "rows.jsonl").read_bytes().split(b"\n")[:-1]]
        return {
            "said": said,
            "rows": [_row(line) for line in lines],
            "gone": _counts(line["withheld"] for line in lines if "withheld" in line),
            "checked": {
                "verified": 1,
                "steps": [{"step": step.number, "name": step.name, "checked": step.checked} for step in checked.steps],
                "proved": checked.proved, "relied_on": checked.relied_on, "not_proved": checked.not_proved,
            },
        }  # fmt: skip

    def _proved(self) -> list[dict[str, Any]]:
        return [self.proofs[key] for key in sorted(self.proofs, key=lambda key: self.proofs[key]["name"])]

    def _moment(self, one: Wanted) -> str:
        """The moment asked about that falls to this build, where there is exactly one."""
        live = one.publication
        if live is None:
            return ""
        at = [
            m
            for m in self.query.moments
            if not moments.is_date(m) and live.start <= m and (not live.end or m < live.end)
        ]
        return at[0] if len(at) == 1 else ""

    def _drawings(self) -> None:
        may = {one: page is not None and self._may_show(page) for one, page in self.told.items()}
        files = {(one.label, one.ask): self._file(one) for one in self.told if may[one]}
        for one, page in self.told.items():
            kind, ids = self._subject(one.ask)
            item: dict[str, Any] = {
                "build": one.label, "view": one.ask.view, "subject": list(ids), "filters": one.ask.parameters(),
            }  # fmt: skip
            if one.ask.theme:
                item["theme"] = one.ask.theme
            if one.place >= 0:
                item["shown"] = self._shown(one.place)
            if one.publication:
                item |= {"published_from": one.publication.start, "published_to": one.publication.end}
            if page is not None and not may[one]:
                item |= {"withheld": "sensitive", "digest": page.digest}
            elif page is not None:
                name = self._file(one)
                seen = item.get("shown")
                before = self._before(one)
                words = (
                    f"as it was shown to {seen['to']} on {moments.london(moments.instant(seen['on']))}" if seen else ""
                )
                drawn = self.drawer.draw(self.opened[one.label], before, page, files, seen=words)
                title = f"{_TITLES[one.ask.view]}, build {one.label}"
                self._put(f"pages/{name}", drawn, f"{title}, as the dashboard shows it")
                self._put(
                    f"pages/{name[:-5]}.entry",
                    page.entry,
                    f"{title}: salt and content, the SHA-256 of a zero byte and which is its digest",
                )
                item |= {
                    "file": f"pages/{name}",
                    "digest": page.digest,
                    "citation": page.citation,
                    "leaves": page.leaves,
                }
                self.handled += list(_handled(page.said["said"]))
            if proof := self.proofs.get((one.label, kind, ids)):
                item["proof"] = f"proofs/{proof['name']}"
            self.items.append(item)

    def _before(self, one: Wanted) -> Snapshot | None:
        if not one.ask.since:
            return None
        return Snapshot(self.archive, self.archive.history.build(one.ask.since), None, self.case)

    def _shown(self, place: int) -> dict[str, Any]:
        act = next(self.archive.log.acts(place, place + 1))
        return {"on": act.on, "to": act.by, "role": act.under, "entry": place}

    def _views(self) -> list[dict[str, Any]]:
        """The log entries that say to whom pages were shown, with proofs; and what came of showing them again."""
        places = sorted({one.place for one in self.told if one.place >= 0})
        found: list[dict[str, Any]] = []
        if not places:
            return found
        note, size = proving.head_over(self.archive, places[-1])
        shown = {one.place: page for one, page in self.told.items() if one.place >= 0}
        for place in places:
            entry = next(self.archive.log.entries(place, place + 1))
            proof = bytes(Proof(place, tuple(self.archive.log.inclusion(place, size)), note))
            self._put(f"views/{place}.entry", entry, "Log entry: to whom a page was shown, and its digest")
            self._put(f"views/{place}.tlog-proof", proof, "Proof that this is that entry of the log")
            act = entries.from_bytes(entry)
            assert isinstance(act, entries.Viewed)
            replay = viewing.replay(self.archive, act, shown[place])
            found.append(
                {
                    "entry": place,
                    "digest": act.shown,
                    "verdict": replay.verdict,
                    "rows": replay.rows,
                    "gone": replay.gone,
                }
            )
        return found

    # -- builds --------------------------------------------------------------------------------------------------------

    def _stated(self, label: str) -> statements.Statement:
        return self.opened[label].statement

    def _versions(self) -> list[str]:
        return sorted({self._stated(label).builder_version for label in self.opened} | {self.version})

    def _builds(self) -> None:
        for label in sorted(self.opened):
            stated, snapshot = self._stated(label), self.opened[label]
            self._put(f"builds/{label}/params.json", stated.params, f"Params of build {label}, as it was made by")
            facts = {
                "build": label, "number": stated.number, "cut_off": stated.cut_off, "root": snapshot.root,
                "builder_version": stated.builder_version, "code": stated.code, "package": stated.package,
                "environment": stated.environment, "operator": stated.operator, "started_on": stated.started_on,
                "finished_on": stated.finished_on, "previous": stated.previous,
                "feeds": [entries.as_json(feed) for feed in stated.feeds],
                "documents": [entries.as_json(paper) for paper in stated.documents],
                "harm_tables": [entries.as_json(edition) for edition in stated.harm_tables],
                "left_out": [entries.as_json(count) for count in snapshot.built.left_out],
                "caveat_version": snapshot.landing_page["version"],
            }  # fmt: skip
            self._json(f"builds/{label}/facts.json", facts, f"What build {label} was made from and by, and its papers")
            for edition in stated.harm_tables:
                name = f"harm/{edition.digest[:16]}.csv"
                if name not in self.files:
                    path = self.archive.harm_file(edition.digest)
                    if not path.exists():
                        raise Missing(f"harm table {edition.name} of build {label} is not kept")
                    self._put(name, path.read_bytes(), f"Harm table {edition.name}")

    def _since(self, views: list[dict[str, Any]]) -> dict[str, Any]:
        """What has since been disposed of or restricted; counts and certificates, and never what."""
        disposals = {act.first.disposal: act for act in self.archive.history.disposals}
        named: set[str] = set()
        for one in self._proved():
            named |= {p.stem for p in (self.data / "proofs" / one["name"] / "certificates").glob("*.json")}
        return {
            "made_on": self.on,
            "subjects_gone": self.saved.lost,
            "builds": [{"build": label, **_plain(self.opened[label].disposed)} for label in sorted(self.opened)],
            "proofs": [{"proof": one["name"], "withheld": gone} for one in self._proved() if (gone := _lost(one))],
            "views": views,
            "disposals": [
                {
                    "disposal": id, "on": disposals[id].first.on, "reason": disposals[id].first.reason,
                    "authority": disposals[id].first.under, "by": disposals[id].first.by,
                    "approved_by": disposals[id].first.approved_by,
                }
                for id in sorted(named)
            ],
        }  # fmt: skip

    def _answer(self, handling: str, conditions: str) -> dict[str, Any]:
        return {
            "format": bags.FORMAT,
            "archive": self.archive.name,
            "query": self.saved.id,
            "asked_on": self.saved.act.on,
            "asked_by": self.saved.act.by,
            "asked_under": self.saved.act.under,
            "asked": self.query.content(),
            "subjects_gone": self.saved.lost,
            "made_on": self.on,
            "handling": handling,
            "conditions": conditions,
            "marking": self.marking,
            "audience": PROSECUTOR if self.disclosable is None else DEFENCE,
            "answers": self.items,
        }

    # -- what it is described by ---------------------------------------------------------------------------------------

    def _lineage(self) -> dict[str, Any]:
        made = lineage.Lineage()
        for label in sorted(self.opened):
            stated = self._stated(label)
            papers = {paper.name: paper.digest or "not supplied" for paper in stated.documents}
            papers["params"] = hashlib.sha256(stated.params).hexdigest()
            facts = {
                "operator": stated.operator, "started_on": stated.started_on, "finished_on": stated.finished_on,
                "version": stated.builder_version, "code": stated.code, "root": self.opened[label].root,
                "cut_off": stated.cut_off, "papers": papers, "tables": {e.name: e.digest for e in stated.harm_tables},
            }  # fmt: skip
            lineage.build(made, label, facts)
        index, versions = self.archive.index("record"), {}
        for at in self._record_rows():
            versions[at[0]] = int(index.segment[at[1]])
        for one in self._proved():
            lineage.rows(made, one["label"], one["rows"])
            for table, leaf, row in one["rows"]:
                if table == "record" and row is not None and leaf in versions:
                    source = lineage.name("record", row["system"], row["record_id"], f"v{row['version']}")
                    lineage.received(made, source, versions[leaf])
        for number in sorted(set(versions.values())):
            act = self.archive.history.extracts[number - 1]
            lineage.extract(made, number, cut_off=act.cut_off, on=act.on, by=act.by, archive=self.archive.name)
        by_name = {f"proofs/{one['name']}": one for one in self._proved()}
        for item in self.items:
            proof = by_name.get(item.get("proof", ""))
            if "file" in item:
                leaves = [leaf for table, leaf, _ in proof["rows"] if table != "record"] if proof else []
                title = f"{_TITLES[item['view']]}, build {item['build']}"
                lineage.page(made, item["digest"], title=title, leaves=leaves)
        return made.document()

    def _record_rows(self) -> list[tuple[str, int]]:
        """Leaf and position of each record row in the proofs."""
        leaves = {
            leaf for one in self._proved() for table, leaf, row in one["rows"] if table == "record" and row is not None
        }
        held = self.archive.index("record").leaf
        return [(held[at].tobytes().hex(), at) for at in rows.with_leaves(held, leaves).tolist()]

    def _crate(self, conditions: str) -> dict[str, Any]:
        builds = []
        for label in sorted(self.opened):
            stated = self._stated(label)
            used = [f"builds/{label}/params.json", *(f"harm/{e.digest[:16]}.csv" for e in stated.harm_tables)]
            made = [f"builds/{label}/facts.json"]
            made += [f"proofs/{one['name']}/rows.jsonl" for one in self._proved() if one["label"] == label]
            builds.append(
                {
                    "label": label,
                    "started_on": stated.started_on,
                    "finished_on": stated.finished_on,
                    "operator": stated.operator,
                    "version": stated.builder_version,
                    "code": stated.code,
                    "used": used,
                    "made": made,
                }
            )
        return crates.metadata(
            title=f"Disclosure pack for case {self.saved.act.case}",
            description="What a police network dashboard showed, with its proofs, in answer to a saved query.",
            force=self.force, made_on=self.on, version=self.version, maker=self.by, builds=builds,
            terms=f"{self.marking}. For the proceedings of case {self.saved.act.case} alone."
            + (f" Conditions: {conditions}" if conditions else ""),
            files={name: size for name, (_, size) in self.files.items()}, about=self.about_files,
        )  # fmt: skip

    def _info(self) -> dict[str, str]:
        return {
            "Source-Organization": self.force,
            "External-Identifier": f"{self.archive.name}/{self.saved.id}",
            "External-Description": f"Disclosure pack for case {self.saved.act.case}. Read data/READ-ME-FIRST.html.",
            "Bagging-Date": self.on[:10],
            "Bag-Software-Agent": f"provenance {self.version}",
        }

    def _told(self, handling: str, conditions: str, faults: list[Any], since: Mapping[str, Any]) -> dict[str, Any]:
        """What READ-ME-FIRST says."""
        pages = [
            {
                "file": item["file"].removeprefix("pages/"),
                "title": _TITLES[item["view"]],
                "subject": " and ".join(item["subject"]) or item.get("theme", ""),
                "build": item["build"],
                "live": _span(item.get("published_from", ""), item.get("published_to", "")),
                "citation": f"{item['build']}/{item['view']}/{item['digest'][:16]}",
                "proof": item.get("proof", "").removeprefix("proofs/"),
                "seen": f"shown to {item['shown']['to']} on {_when(item['shown']['on'])}" if "shown" in item else "",
            }
            for item in self.items
            if "file" in item
        ]
        return {
            "marking": self.marking, "handling": handling, "conditions": conditions, "force": self.force,
            "case": self.saved.act.case, "query": self.saved.id, "made_on": _when(self.on), "asked": self._sentences(),
            "pages": pages,
            "missing": [
                {"subject": f"{_TITLES[item['view']]}: {' and '.join(item['subject'])}", "build": item["build"]}
                for item in self.items if "file" not in item and "withheld" not in item
            ],
            "sensitive": [
                {
                    "subject": f"{_TITLES[item['view']]}: {' and '.join(item['subject'])}", "build": item["build"],
                    "digest": item["digest"],
                }
                for item in self.items if "withheld" in item
            ],
            "audience": PROSECUTOR if self.disclosable is None else DEFENCE,
            "sensitive_rows": sum(one["gone"].get("sensitive", 0) for one in self._proved()),
            "since": list(_in_words(since)),
            "asked_by": self.saved.act.by, "asked_under": self.saved.act.under, "asked_on": _when(self.saved.act.on),
            "made_by": self.by, "codes": self._codes(), "line": self._line(), "log": self.archive.name,
            "size": max((one["made"].head for one in self._proved()), default=self.archive.log.size),
            "views": any(name.startswith("views/") for name in self.files),
            "verifier": self.files["verify.py"][0], "version": self.version,
            "proofs": [
                {
                    "name": one["name"], "shown": one["made"].shown, "withheld": one["made"].withheld,
                    "complete": list(one["made"].complete), "elsewhere": self._elsewhere(one),
                    "incomplete": [f"{c['theme']}: {c['why']}" for c in one["said"]["incomplete"]],
                    "verdict": "verifies",
                }
                for one in self._proved()
            ],
            "builds": [
                {
                    "label": label, "live": self._live(label),
                    "cut_off": _when(stated.cut_off), "version": stated.builder_version,
                    "code": stated.code, "editions": [edition.name for edition in stated.harm_tables],
                    "documents": [
                        f"{paper.name.replace('_', ' ')}: {paper.version or 'version not supplied'}"
                        for paper in stated.documents
                    ],
                }
                for label in sorted(self.opened) for stated in [self._stated(label)]
            ],
            "defects": faults,
        }  # fmt: skip

    def _elsewhere(self, proof: Mapping[str, Any]) -> str:
        """The proof of the same build and person that says which of all their links are there, for one of a link."""
        asked = proof["label"], proof["said"]["question"]["person"]
        other = (
            one["name"] for one in self._proved()
            if one["said"]["complete"] and (one["label"], one["said"]["question"]["person"]) == asked
        )  # fmt: skip
        return "" if proof["said"]["complete"] else next(other, "")

    def _live(self, label: str) -> str:
        """What the log says of when a build was live, and what that is worth."""
        publication = self.opened[label].publication
        if publication is None:
            return f"The log does not say that build {label} was ever live."
        said = f"The log says that build {label} was live {_span(publication.start, publication.end)}."
        placed = self.archive.placed(["Published", "Withdrawn"])
        logged = next((act.on for _, act in placed if getattr(act, "at", "") == publication.start), publication.start)
        if logged[:10] > publication.start[:10]:
            said += f" That was put into the log only on {_when(logged)}, and so rests on the force’s word."
        return said

    def _sentences(self) -> list[str]:
        asked = self.query
        said = [
            f"Purpose: {asked.purpose}"
            if asked.purpose
            else "The words of the purpose are gone with somebody whom they may have named"
        ]
        said += [
            f"What was shown on {m}" if moments.is_date(m) else f"What was shown at {_when(m)}" for m in asked.moments
        ]
        said += [f"What was shown from {first} to {last or 'now'}" for first, last in asked.periods]
        said += [f"About nominal {who}" for who in asked.nominals]
        said += [f"About the link of {a} and {b}" for a, b in asked.links]
        said += [f"About network {network}" for network in asked.networks]
        said += [f"What {who} was shown" for who in asked.viewers]
        if asked.restricted:
            said.append("With what is restricted and held for this case")
        if self.saved.lost:
            said.append(
                f"Of those asked about, {self.saved.lost} have since been disposed of, and nothing is told of them"
            )
        return said


def _row(line: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any] | None]:
    """Table, leaf and content of a line of rows.jsonl; no content where it is a bare digest."""
    if "entry" not in line:
        return line["table"], line["leaf"], None
    entry = decode_base64("entry", line["entry"])
    return line["table"], merkle.leaf_hash(entry).hex(), json.loads(entry[merkle.DIGEST :])


def _lost(proved: Mapping[str, Any]) -> dict[str, int]:
    """Rows of a proof that are not shown for what has happened since; what is sensitive was so before."""
    return {why: count for why, count in proved["gone"].items() if why != "sensitive"}


def _counts(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return dict(sorted(found.items()))


def _handled(said: Any) -> Iterable[tuple[str, str]]:
    """Every handling code with its conditions, wherever on a page it stands."""
    if isinstance(said, dict):
        if isinstance(said.get("handling"), str):
            yield said["handling"], str(said.get("conditions", ""))
        for value in said.values():
            yield from _handled(value)
    elif isinstance(said, list):
        for value in said:
            yield from _handled(value)


def _plain(disposed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: disposed[name] for name in ("disposed", "reduced", "restricted", "computed_with_erased", "reasons")}


def _in_words(since: Mapping[str, Any]) -> Iterable[str]:
    if since["subjects_gone"]:
        yield f"{since['subjects_gone']} of those asked about have been disposed of."
    touched = [one for one in since["builds"] if any(one[state] for state in _REASON)]
    for one in touched:
        counts = ", ".join(f"{one[state]:,} {words}" for state, words in _REASON.items() if one[state])
        why = ", ".join(f"{code} {count:,}" for code, count in one["reasons"].items())
        yield f"Of all rows of build {one['build']}: {counts}" + (f" (reasons: {why})." if why else ".")
    for one in since["proofs"]:
        counts = ", ".join(f"{count:,} {word}" for word, count in one["withheld"].items())
        yield f"In proof {one['proof']}, as bare digests that keep their place: {counts}."
    for one in since["disposals"]:
        yield (
            f"Disposal {one['disposal']} of {_when(one['on'])}, reason {one['reason']}, under {one['authority']}: its "
            "signed certificate is in the proofs."
        )
    for one in since["views"]:
        gone = ", ".join(f"{reason} {count:,}" for reason, count in one["gone"].items())
        yield f"The view in log entry {one['entry']}, shown again: {one['verdict']}" + (f" ({gone})." if gone else ".")
    if not touched and not since["subjects_gone"]:
        yield "Nothing: no row of these builds has been disposed of or restricted."


def _span(start: str, end: str) -> str:
    if not start:
        return "never live"
    return f"{_when(start)} to {_when(end)}" if end else f"since {_when(start)}"


def _when(instant: str) -> str:
    return moments.london(moments.instant(instant))


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
