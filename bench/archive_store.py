"""Our archive as one more store of the peers' harness (`../shared/peers/protocol.py`), through the product's functions.

    python -m bench.archive_store measure FOLDER            the whole harness; leaves a copy from before its disposal
    python -m bench.archive_store plan FOLDER ARCHIVE       opens an archive, writes a plan to dispose of the people
    python -m bench.archive_store dispose FOLDER ARCHIVE    opens an archive and carries that plan out

Each is a process of its own over FOLDER/workload, and prints what it measured as JSON, last. `bench.peers` runs them.

Measured: tokens and secrets drawn, each link sealed under its two nominals and its records, segments and change files
durable and digested, roots of all tables, signed statement, log entry under a new head, going live; rows opened and
checked; a disposal with its certificate. Nothing of that is switched off. An edge of the workload is a row of our link
table: its number, network and harm stand in the row's `rule`, everything else where the product has it. Several edges
of the workload may join one pair: here each is a link of another theme.

Not measured: reading extracts, deriving links from records, figures from links (`bench.million` measures those), and
what DVC and git take after each build. So the tables of records, people and networks stay empty, one extract of
nothing is received, and a week costs its links alone.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance import (
    __version__,
    asof,
    canonical,
    comparing,
    custody,
    disposal,
    draft,
    durable,
    extracts,
    figures,
    harm,
    moments,
    params,
    propagation,
    publishing,
    receiving,
    records,
    rows,
    sets,
    vault,
)
from provenance import verify as verification
from provenance.archive import Archive, keys_beside
from provenance.cli.doors import now, surroundings
from provenance.errors import ProvenanceError
from provenance.tables import SUPPORT, TABLES, chosen

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT.parent / "shared" / "peers"
sys.path.append(str(PEERS))  # their modules import one another by bare names

if TYPE_CHECKING:
    from protocol import Build, Diff

BY, APPROVER, UNDER = "bench", "bench, second person", "a measurement"
_SHARE = 60_000  # edges sealed at a time, so that memory follows the share: what `linking` takes, in supports
_SYSTEM = "CONNECT"
_COLUMNS = (
    "theme", "a", "b", "strength", "records", "rule", "supports.record_id", "supports.grade", "supports.occurred_at",
)  # fmt: skip
_SAMPLE = 40  # rows, and people, whose bytes are looked for in every file


class OurStore:
    """The archive lies in `root`/archive, its keys beside it."""

    name = "provenance"

    def __init__(self, root: Path) -> None:
        import common

        self.root = root / "archive"
        self.copy = root.with_name(f"{root.name}-before") / "archive"  # taken before the disposal, and left as it was
        self.params, self.harm = rules()
        self._around = surroundings(self.params, now(), BY)
        self.archive = Archive.found(
            self.root, keys_beside(self.root), name="bench", on=now(), by=BY, under="founding of the archive"
        )
        self._receive()
        self._edges = Edges()
        self._snapshots: dict[int, asof.Snapshot] = {}
        self._sought: Sought | None = None
        self.timing: dict[str, float] = {}  # of the disposal, in seconds
        # The workers' processor time counts while they live. Not as `extra_pids`, which would count their memory twice.
        common.Meter.extra_pids = staticmethod(lambda: [child.pid for child in psutil.Process().children()])

    def versions(self) -> dict[str, str]:
        """What the figures hang on."""
        import cryptography

        return {"provenance": __version__, "cryptography": cryptography.__version__, "pyarrow": pa.__version__}

    def commit(self, build: Build) -> None:
        """One week: touched links found by their tokens, opened, sealed anew with what came; then published."""
        archive, at = self.archive, moments.utc(build.at)
        with archive.writing():
            archive.sweep()
            coming = draft.next_draft(archive, at)
            named = sets.union(_numbers(build.edges_upsert["edge_id"]), _numbers(build.edges_delete))
            ended = self._standing(coming.number - 1, named, build.edges_upsert)
            found = list(archive.sealer.read("link", [archive.index("link").rows(ended)], _COLUMNS))
            old = pa.concat_tables([chosen("link", _COLUMNS).empty_table(), *found])
            edges, support = edges_of(old)
            used = _keyed(old)
            mine = sets.among(_numbers(edges["edge_id"]), named)
            ended = ended[mine]
            kept = support.filter(pc.is_in(support["edge_id"], value_set=_flat(build.edges_upsert["edge_id"])))
            theme = self._edges.take(build.edges_upsert, build.edges_delete, coming.number, set(used[~mine].tolist()))
            sealed = self._sealed(build.edges_upsert, theme, pa.concat_tables([kept, build.support_add]))

            rows.write_segment(
                archive.segment(coming.label, "link"), rows.Sealed("link", sealed.select(rows.SEGMENT.names))
            )
            points = np.stack([_numbers(sealed["strength"]), _numbers(sealed["records"])], axis=1)
            figures.put_links(archive, coming.number, points)
            for name in ("nominal", "network"):
                nothing = archive.sealer.seal(name, TABLES[name].columns.empty_table())
                rows.write_segment(archive.segment(coming.label, name), nothing)
            closed = archive.index("link").references(ended, opened=False)
            for stage in ("records", "links", "networks"):
                changes = closed if stage == "links" else rows.CHANGES.empty_table()
                rows.write_changes(archive.changes(stage, coming.label), changes)
                durable.sync_folder(archive.root / "store" / stage)
            nothing = (s.empty_table() for s in (draft.TALLIES, draft.TALLIES, draft.LEFT_OUT, draft.AFRESH))
            coming.write_tallies(archive, draft.Tallies(True, *nothing))
            publishing.publish(archive, coming, self.params, self.harm, self._around(coming.label), at)

    def read(self, n: int) -> tuple[pa.Table, pa.Table]:
        """The whole build, each row opened to its leaf, and these to the digest that was signed."""
        snapshot = self._snapshot(n)
        asof.check_table(self.archive, snapshot.built, "link")
        parts = [edges_of(batch) for batch in snapshot.link_batches(_COLUMNS)]
        return tuple(pa.concat_tables(side) for side in zip(*parts, strict=True))

    def neighbourhood(self, n: int, person: int, evidence: bool = False) -> tuple[pa.Table, pa.Table | None]:
        """A person's links; their records come with them, asked for or not."""
        edges, support = edges_of(self._snapshot(n).links(nominal=str(person)))
        return edges, support if evidence else None

    def diff(self, n1: int, n2: int) -> Diff:
        """Which links are new, gone and changed; they are known by theme and pair, and the edges' numbers are ours."""
        from protocol import Diff

        changed = comparing.changes(self._snapshot(n1), self._snapshot(n2))
        before, after = (self._edges.numbers(changed, n + 1) for n in (n1, n2))
        same = before == after
        return Diff(after[~same & (after >= 0)], before[~same & (before >= 0)], before[same])

    def proof(self, n: int, edge: int) -> bytes:
        """That this edge's row is in a build, for somebody who has the build's signed statement."""
        index = self.archive.index("link")
        (token,) = self._tokens(self._edges.pairs[[edge], 0])
        at = index.stood(index.of(int(token)), n + 1)
        at = at[index.theme[at] == self._edges.theme[edge] + 1]
        other = self._tokens(self._edges.pairs[[edge], 1])[0]
        (place,) = at[(index.a[at] == token) & (index.b[at] == other)]
        return canonical.dumps(self._snapshot(n).proof("link", index.leaf[place].tobytes()))

    def verify(self, n: int) -> dict[str, Any]:
        """All numbered steps for one build."""
        steps = verification.verify(self.archive, label=self.archive.history.builds[n].label)
        return {
            "ok": not any(step.faults for step in steps),
            "covers": "log, signer, order of builds, digests of files, signed statement, Merkle roots, each row opened "
            "to its leaf, vault, catalogue",
            "faults": [fault for step in steps for fault in step.faults],
        }

    def residue(self, persons: list[int]) -> dict[str, Any]:
        """What every file there is still holds of these people's rows.

        The first look, before the disposal, is the control. It also takes the old copy: a backup of everything but the
        keys (those lie beside it, for `bench.peers` to measure a disposal of its own upon it).
        """
        if self._sought is None:
            self._sought = Sought.of(self.archive, persons)
            shutil.copytree(self.root, self.copy)
            shutil.copytree(keys_beside(self.root), keys_beside(self.copy))
        return self._sought.found_in(self.root) | {"opened_in_the_old_copy": self._opened_in_the_old_copy()}

    def _opened_in_the_old_copy(self) -> int:
        """How many of the people's secrets today's master key finds in the vault of the old copy."""
        try:
            old = vault.Vault(self.copy / "vault", self.archive.custody.master(lambda _: True))
        except ProvenanceError:
            return 0
        return int(old.retained(self._sought.tokens).sum())

    def erase(self, persons: list[int]) -> Erased:
        """Plan and carry out one disposal of all of them."""
        self._snapshots.clear()
        started = time.perf_counter()
        plan = planned(self.archive, persons)
        self.timing = {"plan": time.perf_counter() - started} | carried_out(self.archive, plan)
        return Erased(self.archive, [f"{name}: {seconds:.2f} s" for name, seconds in self.timing.items()])

    def tamper(self, n: int) -> str:
        """One byte of one sealed link of the build, changed by someone who can also set right the file's checksums."""
        index = self.archive.index("link")
        at = index.standing(n + 1)
        place = int(at[self.archive.shown("link", at)][0])
        path, row = index.paths[int(index.segment[place])], int(index.row[place])
        table = pq.read_table(path).select(rows.SEGMENT.names).combine_chunks()
        boxes = canonical.slices(table["box"].chunk(0))
        size, box = path.stat().st_size, boxes[row]
        # A checksum is written in five bytes and, one time in sixteen, in fewer: until the file is as long as it was.
        for change in range(1, 256):
            boxes[row] = box[:-1] + bytes([box[-1] ^ change])
            changed = table.set_column(5, "box", pa.array(boxes, pa.large_binary()))
            rows.write_segment(path, rows.Sealed("link", changed))
            if path.stat().st_size == size:
                break
        same = "same size" if path.stat().st_size == size else "other size"
        return f"segment replaced, one byte of one sealed link changed (same name, {same}, page checksums right)"

    def size(self) -> int:
        """Everything there is: sealed rows, log, statements, vault, index, keys."""
        from common import dir_size

        return dir_size(self.root.parent)

    def close(self) -> None:
        """Let go of workers and files."""
        self.archive.close()

    def _receive(self) -> None:
        """A build cites the feed it took from; this one hands over nothing."""
        import workload

        cut_off = moments.utc(workload.published_at(0))
        extract = extracts.Extract(
            name="nothing",
            cut_off=cut_off,
            mode="full",
            since="",
            systems={_SYSTEM: extracts.Stated(cut_off, 0, 0)},
            **{name: table.schema.empty_table() for name, table in records.TABLES.items()},
            rejects=extracts.REJECTS.empty_table(),
            offered={},
        )
        receiving.receive(self.archive, extract, on=now(), by=BY, under=UNDER, max_rejects_percent=0)

    def _snapshot(self, n: int) -> asof.Snapshot:
        if n not in self._snapshots:
            history = self.archive.history
            self._snapshots[n] = asof.Snapshot(self.archive, history.builds[n], history.publications[n])
        return self._snapshots[n]

    def _standing(self, build: int, named: np.ndarray, upsert: pa.Table) -> np.ndarray:
        """Positions of the rows of all pairs that the change speaks of, found as `linking` finds them."""
        index = self.archive.index("link")
        known = self._edges.pairs[named[named < len(self._edges.pairs)]]
        fresh = np.stack([_numbers(upsert["a"]), _numbers(upsert["b"])], axis=1)
        people, place = np.unique(np.concatenate([known, fresh]), return_inverse=True)
        tokens = self._tokens(people)[place].reshape(-1, 2)
        at = index.standing(build)
        at = at[sets.among(index.a[at], tokens[:, 0]) & sets.among(index.b[at], tokens[:, 1])]
        return at[sets.among(_as_one(np.stack([index.a[at], index.b[at]], axis=1)), _as_one(tokens))]

    def _sealed(self, edges: pa.Table, theme: np.ndarray, support: pa.Table) -> pa.Table:
        order = np.argsort(_numbers(edges["edge_id"]))
        edges, theme = edges.take(pa.array(order)), theme[order]
        support = support.sort_by([("edge_id", "ascending"), ("record_id", "ascending")])
        people = sets.distinct(np.concatenate([_numbers(edges["a"]), _numbers(edges["b"])]))
        records_here = sets.distinct(_numbers(support["record_id"]))
        self.archive.vault.admit(pa.concat_arrays([_nominals(people), _records(records_here)]))
        of = _numbers(support["edge_id"])
        parts = [pa.schema([*rows.SEGMENT, ("strength", pa.int64()), ("records", pa.int64())]).empty_table()]
        for start in range(0, edges.num_rows, _SHARE):
            share = edges.slice(start, _SHARE)
            ends = np.searchsorted(of, _numbers(share["edge_id"]), side="right")
            first = int(np.searchsorted(of, share["edge_id"][0].as_py()))
            mine = support.slice(first, int(ends[-1]) - first)
            counts = np.diff(np.concatenate([[first], ends]))
            content = links_of(share, theme[start : start + _SHARE], mine, counts)
            others = propagation.others_of(self.archive, content)
            sealed = self.archive.sealer.seal("link", content, others, filed=False).rows
            for name in ("strength", "records"):
                sealed = sealed.append_column(name, content[name])
            parts.append(sealed)
        return rows.filed_in_order(pa.concat_tables(parts))

    def _tokens(self, people: np.ndarray) -> np.ndarray:
        return self.archive.vault.tokens(_nominals(people))


class Edges:
    """What the harness's source knows of its edges by number: their ends, and in which builds they stood.

    A link of the product is known by theme and pair, so a second edge of one pair is a link of another theme.
    """

    def __init__(self) -> None:
        self.pairs = np.zeros((0, 2), np.int64)
        self.theme = np.zeros(0, np.int8)  # place in records.THEMES
        self.born = self.died = np.zeros(0, np.int32)  # builds, counted from 1; died 0: it stands
        self._order = self._keys = np.zeros(0, np.int64)  # of all edges, by theme and pair; for `numbers`

    def take(self, upsert: pa.Table, removed: pa.Array, build: int, used: set[bytes]) -> np.ndarray:
        """Take in a week; the theme of each edge upserted. `used`: links of other edges that stand between these."""
        numbers, gone = _numbers(upsert["edge_id"]), _numbers(removed)
        known = len(self.pairs)
        most = max(known, int(numbers.max(initial=-1)) + 1)
        grown = most - known
        self.pairs = np.concatenate([self.pairs, np.zeros((grown, 2), np.int64)])
        self.theme = np.concatenate([self.theme, np.zeros(grown, np.int8)])
        self.born, self.died = (np.concatenate([side, np.zeros(grown, np.int32)]) for side in (self.born, self.died))
        fresh = numbers[numbers >= known]
        ends = np.stack([_numbers(upsert["a"]), _numbers(upsert["b"])], axis=1)
        self.pairs[numbers] = ends
        self.born[fresh], self.died[gone] = build, build
        _, which, many = np.unique(_as_one(self.pairs[fresh]), return_inverse=True, return_counts=True)
        met = np.zeros(len(many), bool)
        met[which[[place for place, n in enumerate(fresh.tolist()) if used and self._key(n) in used]]] = True
        said = set(used)
        for number in fresh[((many > 1) | met)[which]].tolist():
            self.theme[number] = next(
                theme for theme in range(len(records.THEMES)) if self._key(number, theme) not in said
            )
            said.add(self._key(number))
        return self.theme[numbers]

    def _key(self, number: int, theme: int | None = None) -> bytes:
        return _named(int(self.theme[number]) if theme is None else theme, *self.pairs[number].tolist())

    def numbers(self, changed: pa.Table, build: int) -> np.ndarray:
        """The edge that each of these links was in a build, -1 where there was none."""
        a, b = (pc.cast(_flat(changed[name]), pa.int64()).to_numpy() for name in ("a", "b"))
        theme = pc.index_in(_flat(changed["theme"]), pa.array(records.THEMES)).to_numpy()
        if len(self._order) != len(self.pairs):
            keys = self._number_of(self.pairs[:, 0], self.pairs[:, 1], self.theme)
            self._order = np.lexsort((self.born, keys))
            self._keys = keys[self._order]
        wanted, found = self._number_of(a, b, theme), np.full(len(a), -1, np.int64)
        first, last = (np.searchsorted(self._keys, wanted, side=side) for side in ("left", "right"))
        for later in range(int((last - first).max(initial=0))):  # an edge may have come again under another number
            here = np.flatnonzero(first + later < last)
            edge = self._order[first[here] + later]
            stood = (self.born[edge] <= build) & ((self.died[edge] == 0) | (self.died[edge] > build))
            found[here[stood]] = edge[stood]
        return found

    @staticmethod
    def _number_of(a: np.ndarray, b: np.ndarray, theme: np.ndarray) -> np.ndarray:
        return (a * 2**30 + b) * 4 + theme


def _named(theme: int, a: int, b: int) -> bytes:
    return f"{theme} {a} {b}".encode()


def _keyed(links: pa.Table) -> np.ndarray:
    theme = pc.index_in(_flat(links["theme"]), pa.array(records.THEMES)).to_pylist()
    ends = zip(theme, links["a"].to_pylist(), links["b"].to_pylist(), strict=True)
    return np.array([_named(*each) for each in ends], object)


def rules() -> tuple[params.Params, harm.HarmTable]:
    """What comes with the product."""
    read = params.read(ROOT / "params.yaml")
    edition = read.harm.editions[0]
    return read, harm.read(ROOT / edition.file, edition.name, edition.sha256)


def planned(archive: Archive, persons: Sequence[int]) -> disposal.Plan:
    """A plan to dispose of people, as `provenance dispose plan` makes it."""
    requests = [disposal.Request("nominal", "", str(person)) for person in persons]
    return disposal.plan(archive, *rules(), requests, on=now(), by=BY, under=UNDER, reason="mopi-review")


def carried_out(archive: Archive, plan: disposal.Plan) -> dict[str, float]:
    """Carry a plan out, as `provenance dispose carry-out` does; seconds from its start until each thing was so.

    `unreadable`: the vault's new keyring is durable and its old master key gone, so that no copy of anything opens the
    rows. `certified`: all is done. The others are the first word of each piece of work, as the product reports it.
    """
    said: dict[str, float] = {}
    started = time.perf_counter()

    def report(what: str, _done: int, _total: int) -> None:
        said.setdefault(what, time.perf_counter() - started)

    with _replaced(lambda: report("unreadable", 1, 1)):
        disposal.carry_out(archive, plan, *rules(), on=now(), by=BY, approved_by=APPROVER, report=report)
    report("certified", 1, 1)
    return said


@contextlib.contextmanager
def _replaced(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` when a master key has taken the place of another."""
    replace = custody.Custody.replace

    def told(*arguments: Any) -> Any:
        fresh = replace(*arguments)
        tell()
        return fresh

    custody.Custody.replace = told
    try:
        yield
    finally:
        custody.Custody.replace = replace


@dataclass
class Erased:
    """The harness's `Erasure`; the roots are checked when it asks for them, when the clock has stopped."""

    archive: Archive
    notes: list[str] = field(default_factory=list)
    method: str = (
        "log the disposal, destroy the secrets under a new master key, blank the dead rows in their files, verify, "
        "sign a certificate"
    )
    keeps_history: bool = True

    @property
    def old_roots_still_verify(self) -> bool:
        """Whether every build's logged entry, signed statement and roots still agree with the leaves on disk."""
        history = self.archive.history
        sound = 0
        for built, publication in zip(history.builds, history.publications, strict=True):
            with contextlib.suppress(ProvenanceError):
                asof.check(asof.Snapshot(self.archive, built, publication))
                sound += 1
        self.notes.append(f"{sound} of {len(history.builds)} published roots verify")
        return sound == len(history.builds)


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for below the API: people's rows, known from before they were disposed of."""

    tokens: np.ndarray
    leaves: np.ndarray  # of all rows, in every build, that speak of them
    samples: tuple[bytes, ...]  # tokens and boxes, as they lie in a file

    @classmethod
    def of(cls, archive: Archive, persons: Sequence[int]) -> Sought:
        """Of an archive that still has them."""
        index, tokens = archive.index("link"), archive.vault.tokens(_nominals(np.asarray(persons)))
        tokens = np.sort(tokens[tokens != 0])
        at = np.flatnonzero(sets.among(index.a, tokens) | sets.among(index.b, tokens))
        few = at[:: max(1, len(at) // _SAMPLE)][:_SAMPLE]
        some = tokens[:: max(1, len(tokens) // _SAMPLE)][:_SAMPLE]
        samples = canonical.slices(_flat(index.rows(few)["box"])) + [token.tobytes() for token in some]
        return cls(tokens, rows.as_keys(index.leaf[at]), tuple(samples))

    def found_in(self, folder: Path) -> dict[str, Any]:
        """Rows with such a token, or with such a leaf and a box, in any file that is Parquet; samples in any file."""
        from common import raw_residue

        files = found = 0
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and _is_parquet(path)):
            file = pq.ParquetFile(path)
            if file.schema_arrow.names != rows.FILED.names:
                continue
            for table in file.iter_batches(_SHARE, columns=["a", "b", "leaf", "box"]):
                speaks = sets.among(table["a"].to_numpy(), self.tokens) | sets.among(table["b"].to_numpy(), self.tokens)
                filled = pc.greater(pc.binary_length(table["box"]), 0).to_numpy(zero_copy_only=False)
                theirs = sets.among(rows.as_keys(rows.leaf_matrix(table["leaf"])), self.leaves)
                count = int((speaks | (filled & theirs)).sum())
                files, found = files + (count > 0), found + count
        return {
            "files_with_residue": files,
            "rows_with_residue": found,
            "raw": raw_residue(folder, list(self.samples)),
        }


def _is_parquet(path: Path) -> bool:
    with open(path, "rb") as handle:
        return handle.read(4) == b"PAR1"


def links_of(edges: pa.Table, theme: np.ndarray, support: pa.Table, counts: np.ndarray) -> pa.Table:
    """Edges and their support as rows of the link table; `support` in the order of `edges`, `counts` to each."""
    parts = {
        "system": _SYSTEM,
        "record_id": pc.cast(_flat(support["record_id"]), pa.string()),
        "version": 1,
        "kind": "intelligence",
        "occurred_at": pc.cast(_flat(support["date"]), pa.string()),
        "role_a": "subject",
        "role_b": "subject",
        "grade": _flat(support["grade"]),
        "handling": "P",
        "contribution": 1,  # the workload states the sum alone
    }
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    whole = {
        "theme": pa.array(records.THEMES).take(pa.array(theme)),
        "a": pc.cast(_flat(edges["a"]), pa.string()),
        "b": pc.cast(_flat(edges["b"]), pa.string()),
        "strength": _flat(edges["strength"]),
        "records": _flat(edges["n_records"]),
        "handling": "P",
        "rule": pc.binary_join_element_wise(
            pc.cast(_flat(edges["edge_id"]), pa.string()),
            *(pc.cast(pc.index_in(_flat(edges[name]), pa.array(words)), pa.string()) for name, words in _codes()),
            " ",
        ),
        "supports": pa.ListArray.from_arrays(
            offsets, pa.StructArray.from_arrays(_cells(parts, SUPPORT, support.num_rows), fields=list(SUPPORT))
        ),
    }
    columns = TABLES["link"].columns
    return pa.Table.from_arrays(_cells(whole, columns, edges.num_rows), schema=columns)


def edges_of(links: pa.Table) -> tuple[pa.Table, pa.Table]:
    """What `links_of` was given, in the order of the links."""
    import workload

    links = links.combine_chunks()
    told = pc.split_pattern(_flat(links["rule"]), " ")
    number, *codes = (pc.cast(pc.list_element(told, place), pa.int64()) for place in range(3))
    network, harmed = (pa.array(words).take(code) for code, (_, words) in zip(codes, _codes(), strict=True))
    edges = pa.table(
        [number, links["a"], links["b"], links["strength"], links["records"], network, harmed],
        names=workload.EDGE_SCHEMA.names,
    )
    supports = _flat(links["supports"])
    owner, parts = pc.list_parent_indices(supports), supports.flatten()
    support = pa.table(
        [number.take(owner), *(parts.field(name) for name in ("record_id", "grade", "occurred_at"))],
        names=workload.SUPPORT_SCHEMA.names,
    )
    return edges.cast(workload.EDGE_SCHEMA), support.cast(workload.SUPPORT_SCHEMA)


def _codes() -> tuple[tuple[str, np.ndarray], ...]:
    """The workload's words for networks and harms, which stand in a row as numbers, as codes do in records."""
    import workload

    return ("network", workload.NETWORKS), ("harm", workload.HARMS)


def _cells(given: dict[str, Any], fields: Iterable[pa.Field], count: int) -> list[pa.Array]:
    """Columns in the order of `fields`: as given, one value for all, or nothing said."""
    columns: list[pa.Array] = []
    for column in fields:
        value = given.get(column.name, "")
        if isinstance(value, pa.Array):
            columns.append(value.cast(column.type))
        elif pa.types.is_list(column.type):
            columns.append(
                pa.ListArray.from_arrays(pa.array(np.zeros(count + 1), pa.int32()), pa.array([], pa.string()))
            )
        else:
            columns.append(pa.repeat(pa.scalar(value, column.type), count))
    return columns


def measure(folder: Path) -> dict[str, Any]:
    """All that the harness measures, over the workload in `folder`; the store is left in FOLDER/stores."""
    import harness
    from workload import load_truth

    root = folder / "stores" / OurStore.name
    for old in (root, root.with_name(f"{root.name}-before")):
        shutil.rmtree(old, ignore_errors=True)
    root.mkdir(parents=True)
    made: list[OurStore] = []

    def store(at: Path) -> OurStore:
        made.append(OurStore(at))
        return made[0]

    result = harness.measure(store, root, folder, log=lambda line: print(line, flush=True))
    result["erase"]["timing"] = made[0].timing
    result["proof"] = proofs(made[0], load_truth(folder))
    made[0].close()
    return result


def proofs(store: OurStore, truth: dict[str, Any]) -> dict[str, float]:
    """Milliseconds (median) and bytes (at most) of a proof for a row of the middle build, its tree being in memory."""
    middle, took, longest = truth["params"]["weeks"] // 2, [], 0
    known = store._edges
    stood = (known.born > 0) & (known.born <= middle + 1) & ((known.died == 0) | (known.died > middle + 1))
    edges = np.flatnonzero(stood & ~np.isin(known.pairs, truth["erase"]).any(axis=1))
    for edge in edges[:: max(1, len(edges) // _SAMPLE)][: _SAMPLE + 1].tolist():
        started = time.perf_counter()
        proof = store.proof(middle, edge)
        took.append((time.perf_counter() - started) * 1e3)
        longest = max(longest, len(proof))
    return {"ms": float(np.median(took[1:])), "first_ms": took[0], "bytes": longest}


def _nominals(people: np.ndarray) -> pa.Array:
    return vault.nominal_keys(pc.cast(pa.array(people), pa.string()))


def _records(numbers: np.ndarray) -> pa.Array:
    return vault.record_keys(pa.repeat(_SYSTEM, len(numbers)), pc.cast(pa.array(numbers), pa.string()))


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _numbers(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    return column.to_numpy().astype(np.int64)


def _as_one(pairs: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pairs).view("V16").ravel()


def main(verb: str, folder: Path, root: Path | None = None) -> dict[str, Any]:
    """See the module's docstring."""
    if verb == "measure":
        return measure(folder)
    from workload import load_truth

    mark = time.perf_counter()
    took: dict[str, float] = {}

    def lap(name: str) -> None:
        nonlocal mark
        took[name], mark = time.perf_counter() - mark, time.perf_counter()

    with Archive(root, keys_beside(root)) as archive:
        lap("open")
        if verb == "plan":
            plan = planned(archive, load_truth(folder)["erase"])
            lap("plan")
            disposal.write(archive, plan, folder / "plan.yaml")
            lap("write")
            return took
        plan = disposal.read(archive, folder / "plan.yaml")
        lap("read")
        return took | carried_out(archive, plan)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], *(Path(argument).resolve() for argument in sys.argv[2:]))))
