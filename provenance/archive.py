"""One archive: a folder with a log, sealed rows, build statements and a vault, opened for reading or for the next act.

    archive.json  what it is called, and the key that its log is signed with (two, while one takes over)
    log/          every act, in order, under a signed head
    builds/       a signed statement per build, and in builds/harm each harm table that one was counted by
    store/        sealed rows; DVC carries them
    vault/        secrets; never in git, never in DVC
    index/        derived; may be deleted at any time
    params.yaml, harm/, dvc.yaml, week.yaml

The keys lie beside the folder, in FOLDER.keys, so that no copy of the archive holds what opens it. Opening creates
nothing but what is derived.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import canonical, durable, entries, harm, merkle, rows, sets, statements
from provenance.catalogue import Catalogue, kind
from provenance.crew import Crew
from provenance.custody import IN_FILES, NOTHING, Custody, Unlock, Where
from provenance.database import Server, Unreached
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.history import History
from provenance.index import Index
from provenance.keys import SCHEDULED, Master, SigningKey
from provenance.log import Log
from provenance.notes import Verifier
from provenance.policies import Policy
from provenance.rows import Sealer
from provenance.tables import SOURCE_TABLES, TABLES
from provenance.vault import Vault

FORMAT = 1
_REKEYED = b'{"act":"Rekeyed",'  # how such an entry begins: "act" is the first key of every act in canonical order
BACKUP = "backup.json"  # lies in each backup, and in a folder whose restore is not finished: neither is opened (R41)
_DECISIVE = (  # the acts that History reads
    "Founded", "Rekeyed", "Received", "Built", "Published", "Withdrawn", "Failed", "Confirmed", "Held", "Progressed",
    "Released", "Reviewed", "Restricted", "Disposed", "Expunged", "Certified", "Escrowed", "Relocked", "Granted",
    "Revoked", "Exported", "Recalled", "Reported", "Triaged", "Settled",
)  # fmt: skip
_VIEWS = 256  # page views that the catalogue may be behind the log
STAGES = {"link": "links", "nominal": "networks", "network": "networks"}


class Overtaken(Conflict):
    """A disposal came between the parts of an answer: all of it is to be asked for again, of the archive as it is."""


class Draft(Protocol):
    """A build whose files are written, or being written, and which the log does not know yet."""

    label: str
    number: int


_T = TypeVar("_T")


class Archive:
    """An open archive, with all that its acts need; `provenance.open` gives readers a smaller one."""

    def __init__(self, root: Path, keys: Path, *, restoring: bool = False, unlock: Unlock = NOTHING) -> None:
        """Open. Raises Missing, Malformed or Tampered naming the file; Refused for a backup, unless `restoring` it.

        `keys` is the folder of its keys, and `unlock` what it takes to use those that lie in no plain file.
        """
        if not restoring:
            _refuse_backup(root)
        self.root, self.keys = root, keys
        self.custody = Custody(keys, unlock)
        self.name, self._named = _described(root)
        # A log later than the backup may be signed by a key later than archive.json, which comes from the backup.
        self._also = self.custody.signers(self.name) if restoring else ()
        self.log = Log.open(root / "log", vkey=self._named[0], also=[*self._named[1:], *self._also])
        self.vault = self._opened_vault()
        self.crew = Crew()
        self.sealer = Sealer(self.vault, self.crew)
        self._remembered: dict[Hashable, Any] | None = None  # see `remembering`
        self._catalogued = 0  # entries that the catalogue had when it was last asked
        # A copy that is being restored has a log of its own: the server's memory is of the archive that people ask.
        self.catalogue = Catalogue(root / "index", None if restoring else Server.chosen(keys))
        self._statements: dict[tuple[str, Verifier], statements.Statement] = {}  # read, by digest and who signed
        self.refresh()

    @classmethod
    def found(
        cls,
        root: Path,
        keys: Path,
        *,
        name: str,
        on: str,
        by: str,
        under: str,
        where: Where = IN_FILES,
        unlock: Unlock = NOTHING,
    ) -> Archive:
        """A new archive in `root`, its keys drawn `where` they are to be. Raises Conflict where one stands already."""
        _refuse_backup(root)
        if (root / "archive.json").exists():
            raise Conflict(f"folder {root.name} holds an archive already: wanted an empty folder")
        custody = Custody.found(keys, where, name=name, unlock=unlock)
        signing = custody.signing(name)
        Vault.create(root / "vault", custody.master(lambda _: True))
        log = Log.create(root / "log", origin=name, key=signing)
        vkey = str(signing.verifier)
        durable.write(root / "log" / "policy", _policy(b"", [signing.verifier]))
        log.append([entries.Founded(on=on, by=by, under=under, archive=name, format=FORMAT, vkey=vkey)], key=signing)
        durable.write(root / "archive.json", _description(name, signing.verifier))
        return cls(root, keys, unlock=unlock)

    def __repr__(self) -> str:
        return f"Archive({self.name}, {len(self.history.builds)} builds)"

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def employ(self, crew: Crew) -> None:
        """Have `crew` work out the rules, seal and open from now on, in the place of the one that did."""
        self.crew.dismiss()
        self.crew = crew
        self.sealer = Sealer(self.vault, crew)

    def close(self) -> None:
        """Let go of workers and files."""
        self.crew.dismiss()
        self.catalogue.close()

    @contextmanager
    def writing(self, *, settling: bool = False) -> Iterator[None]:
        """Be the only writer. A second one gets Conflict at once; what others wrote before is taken in first.

        Conflict too while secrets that the log disposed of are in the vault, since what comes in could be sealed under
        one of them; only who is `settling` that may write.
        """
        with durable.one_writer(self.root / "store", wait=False):
            self.custody.refresh()
            self.custody.recover(self._opens)
            self.refresh()
            self.settle_keys()
            if self.vault.disposals < len(self.history.disposals) and not settling:
                raise Conflict("disposal was cut off before its secrets were destroyed: `provenance dispose resume`")
            yield

    def append(self, *acts: entries.Act) -> range:
        """Log acts, under one new head. Returns their places in the log."""
        while True:
            self._refresh_log()
            key = self.signing_key()
            try:
                placed = self.log.append(acts, key=key)
                break
            except (Refused, Tampered):  # perhaps another key has taken over meanwhile
                self._refresh_log()
                if self.signing_key().verifier == key.verifier:
                    raise
        self.refresh()
        return placed

    def is_logged(self, act: entries.Built) -> bool:
        """Whether the log itself, hashed up to its signed head, has this act where the catalogue says."""
        place = self.place(type(act).__name__, act.label)
        return place is not None and list(self.log.entries(place, place + 1)) == [entries.to_bytes(act)]

    def signing_key(self) -> SigningKey:
        """The key that signs the log's heads and the build statements: while one takes over, that of this head."""
        self.custody.refresh()
        return self.custody.signing_as(self.vkey)

    @property
    def vkey(self) -> Verifier:
        """The key that signed the log's head."""
        return self.log.vkey

    def signers(self) -> tuple[Verifier, ...]:
        """Every key that has signed the log, in order of time."""
        return tuple(Verifier.parse(vkey) for _, vkey in self.history.signers)

    def spans(self) -> list[dict[str, Any]]:
        """Each key that has signed the log: `vkey`, and when, by whom, why and from which log `entry` on."""
        found = []
        for place, vkey in self.history.signers:
            act = next(self.log.acts(place, place + 1))
            reason = getattr(act, "reason", "")
            found.append(
                {"entry": place, "vkey": vkey, "on": act.on, "by": act.by, "under": act.under, "reason": reason}
            )
        return found

    def _believed(self) -> list[Verifier]:
        """The keys whose signature under a head outsiders are to take: none of before one that may have been stolen."""
        spans = self.spans()
        start = max((n for n, span in enumerate(spans) if span["reason"] not in ("", SCHEDULED)), default=0)
        return [Verifier.parse(span["vkey"]) for span in spans[start:]]

    def is_rotating(self) -> bool:
        """Whether a key is taking over at this moment, or began to and was cut off."""
        return self.custody.is_rotating()

    def announce(self, following: Verifier) -> None:
        """Say in archive.json that this key takes over, before it does, so that readers take a head by either."""
        durable.write(self.root / "archive.json", _description(self.name, self._named[0], following))
        self._read_named()

    def settle_keys(self) -> None:
        """Bring to its end a rotation whose entry is logged, and undo one that is not; only for a writer.

        The log decides, so that it is no matter where the rotation was cut off, or which of the files here came from a
        backup. Where all agrees, nothing is written. Raises Missing when the key that the log names last is not here.
        """
        last, following = self.signers()[-1], self.custody.following(self.name)
        if following is None and (self.root / "archive.json").read_bytes() == _description(self.name, last):
            return
        if following is not None and following.verifier == last:
            self.log.trust(self.vkey, last)
            self.log.sign_again(following)
        elif following is not None:
            self.custody.drop_following()  # nothing was ever signed with it
        if self.vkey != last:
            raise Missing(
                f"{self.custody.said_of_following()} is not there: wanted that of key {last.key_id.hex()}, which signs "
                f"since log entry {self.history.signers[-1][0]}"
            )
        policy = self.root / "log" / "policy"
        held = policy.read_bytes() if policy.exists() else b""
        if (wanted := _policy(held, self._believed(), self.signers())) != held:
            durable.write(policy, wanted)
        durable.write(self.root / "archive.json", _description(self.name, last))
        self._read_named()
        if self.custody.is_rotating():
            self.custody.succeed(self.name)

    def check_signers(self) -> Iterator[str]:
        """Who signed from when to when, by the log itself: "" for each thing that agrees with it, a sentence for each
        that does not. While a rotation is at work, or was cut off, both its keys are as they should be.
        """
        first = next(self.log.acts(0, min(self.log.size, 1)), None)
        if not isinstance(first, entries.Founded):
            yield "the log's first entry does not say who founded the archive, and with which key"
            return
        chain = [Verifier.parse(first.vkey)]
        for index, entry in enumerate(self.log.entries()):
            if entry.startswith(_REKEYED):
                act = entries.from_bytes(entry)
                yield _succession_fault(act, index, chain)
                chain.append(Verifier.parse(act.vkey))
        named, turns = {_description(first.archive, chain[-1])}, {chain[-1]}
        held = self.custody.signers(self.name)
        if self.is_rotating():
            present, following = held[-2:]
            named |= {_description(first.archive, present), _description(first.archive, present, following)}
            turns |= {present} if following == chain[-1] else set()
        said = (self.root / "archive.json").read_bytes()
        yield "" if said in named else "archive.json says something else than the log, of its name or keys"
        yield (
            "" if self.vkey in turns else "the log's head is signed by another key than the one that the log names last"
        )
        key, said = self.custody.signing(self.name), self.custody.said_of_signing()
        yield "" if key.verifier in turns else f"{said} is not the one that the log names last"
        lost = len(set(chain[:-1]) - set(held))
        yield f"key file log.retired lacks {lost} of the keys that signed before" if lost else ""
        before = [vkey for vkey in chain if vkey == self._named[0] or vkey != chain[-1]]
        yield self._policy_fault([vkey for vkey in before if vkey in self._believed()])

    def _policy_fault(self, vkeys: Sequence[Verifier]) -> str:
        try:
            logs = Policy.parse((self.root / "log" / "policy").read_bytes()).logs
        except FileNotFoundError:
            return "file log/policy is not there: it names the keys by which others check the log"
        except Malformed as error:
            return f"log/policy is not as it was written: {error}"
        return "" if set(vkeys) <= set(logs) else "log/policy lacks a key that signed the log"

    def relative(self, path: Path) -> str:
        """A file's name within the archive, as the log writes it."""
        return path.relative_to(self.root).as_posix()

    def index(self, table: str, draft: Draft | None = None) -> Index:
        """All rows of a table, up to the last extract and the last build, or to a draft whose files are written."""
        index, extracts, events, builds = self._indexes.get(table) or (Index(table), 0, 0, 0)
        if table in SOURCE_TABLES:
            for held in self.history.extracts[extracts:]:
                folder = self.root / "store" / "received" / f"{held.extract:04d}"
                if self.relative(folder / f"{table}.parquet") in {file.path for file in held.files}:
                    index.add(held.extract, folder / f"{table}.parquet", since=0)
                index.replace(self._said(folder / "changes.parquet", rows.read_changes, table), held.extract)
        for what, number in self.history.timeline[events:]:
            if what == "disposal":
                self._suffer(index, number)
            elif number > builds:  # the draft that became this build may have been entered already
                self._enter(index, self.history.builds[number - 1].label, number)
                builds = number
        if draft is not None and builds < draft.number:
            self._enter(index, draft.label, draft.number)
            builds = draft.number
        grown = (index, len(self.history.extracts), len(self.history.timeline), builds)
        if self._indexes.get(table, (None, -1))[1:] != grown[1:]:
            self._indexes[table] = grown
            # Files that a disposal rewrote before they were read here lack rows, and the log in memory not yet says so.
            if self.is_overtaken():
                raise Overtaken("rows were disposed of while they were looked up: ask again")
        return index

    def _suffer(self, index: Index, number: int) -> None:
        heirs = self.disposal_file(number, index.table)
        if self.relative(heirs) in {file.path for file in self.history.disposals[number - 1].first.files}:
            index.add(-number, heirs, since=0)
        index.suffer(self._said(self.disposal_file(number, "fates"), rows.read_fates, index.table), number)

    def _enter(self, index: Index, label: str, number: int) -> None:
        if index.table in STAGES:
            index.add(number, self.segment(label, index.table), since=number)
            changes = self.changes(STAGES[index.table], label)
        else:
            changes = self.changes("records", label)
        index.apply(self._said(changes, rows.read_changes, index.table), number)

    def _said(self, path: Path, read: Callable[[Path], pa.Table], table: str) -> pa.Table:
        """What a file of references says of one table. It is read once for all; for one that asks again, once more."""
        if table not in self._references.get(path, ()):
            whole = read(path)
            nothing = whole.schema.empty_table()  # not a slice, which would keep all of it in memory
            self._references[path] = dict.fromkeys(TABLES, nothing) | rows.by_table(whole)
        return self._references[path].pop(table)

    def shown(self, table: str, positions: np.ndarray, *, case: str = "") -> np.ndarray:
        """Which rows at `positions` may be shown: alive, and resting on nothing restricted but for this case."""
        return self.apart_from(table, positions, self.withheld(case))

    def apart_from(self, table: str, positions: np.ndarray, withheld: np.ndarray) -> np.ndarray:
        """Which rows at `positions` are alive and rest on none of the tokens `withheld`, which are sorted."""
        index = self.index(table)
        fit = index.died[positions] == 0
        if len(withheld):
            fit &= ~sets.among(index.a[positions], withheld) & ~sets.among(index.b[positions], withheld)
            fit &= ~sets.among(positions, index.resting_on(withheld))
        return fit

    def withheld(self, case: str = "") -> np.ndarray:
        """Tokens of what is restricted, but for what a standing hold of this case keeps; sorted."""
        return self.history.withheld(case)

    def history_before(self, act: entries.Built) -> History:
        """What the log said when this build was logged."""
        place, found = self.place(type(act).__name__, act.label), History()
        found.extend(held for at, held in self.placed(_DECISIVE) if place is None or at < place)
        return found

    def opened(self, table: str, positions: np.ndarray) -> pa.Table:
        """The content of rows at `positions` of a table's index, in that order.

        Kept in memory for the next question of the same kind: builds in a row ask for nearly the same rows.
        """
        held, content = self._opened.get(table) or (np.zeros(0, np.int64), TABLES[table].columns.empty_table())
        unread = sets.difference(positions, held)
        if len(unread):
            index = self._indexes[table][0]
            content = pa.concat_tables([content, self.sealer.open(table, index.rows(unread))])
            held = np.concatenate([held, unread])
        order = np.argsort(held)
        content = content.take(pa.array(order[np.searchsorted(held[order], positions)])).combine_chunks()
        self._opened[table] = (positions, content)
        return content

    def is_remembered(self, table: str) -> bool:
        """Whether `opened` has something of a table in memory."""
        return table in self._opened

    def remember(self, table: str, positions: np.ndarray, content: pa.Table) -> None:
        """Put content that was opened before where `opened` will find it."""
        self._opened[table] = (positions, content)

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """While one piece of work asks many builds about the same few: what was worked out of the same rows for one
        build (`remembered`) is not worked out again for the next. Nothing of it stays in memory afterwards."""
        before, self._remembered = self._remembered, {}
        try:
            yield
        finally:
            self._remembered = before

    @property
    def is_remembering(self) -> bool:
        return self._remembered is not None

    def remembered(self, key: Hashable, work: Callable[[], _T]) -> _T:
        """What `work` comes to, or came to under the same key while `remembering`. The key names all that it rests on
        but for what may be shown, which acts decide."""
        if self._remembered is None:
            return work()
        whole = self.history.shifts, key
        if whole not in self._remembered:
            self._remembered[whole] = work()
        found: _T = self._remembered[whole]
        return found

    def forget(self) -> None:
        """Drop what is in memory about rows; the next question reads the files again."""
        self._remembered = None if self._remembered is None else {}
        self._indexes: dict[str, tuple[Index, int, int, int]] = {}
        self._opened: dict[str, tuple[np.ndarray, pa.Table]] = {}
        self._references: dict[Path, dict[str, pa.Table]] = {}  # without what tables have taken in
        self.recorded: dict[str, np.ndarray] = {}  # per table, by place in its index: see `selection`
        self._leaves: dict[str, tuple[int, np.ndarray]] = {}  # per table: a build, and its leaves in byte order
        self._tree: tuple[str, int, merkle.Tree, np.ndarray] | None = None
        self.lookups: dict[str, Any] = {}  # what else was worked out of rows: `lookups` per table, others by their name
        self.figures = np.zeros((0, 2), np.int64)  # strength and records of links, by place in their index

    def leaves(self, table: str, build: int, draft: Draft | None = None) -> np.ndarray:
        """The leaves of a build's rows in byte order, (n, 32); from those of the last build asked for, where they are
        in memory, since one week has nearly the leaves of the other."""
        index = self.index(table, draft)
        before, held = self._leaves.get(table, (0, None))
        if held is None:
            found = rows.in_byte_order(index.leaf[index.standing(build)])
        else:
            gone, come = index.between(before, build)
            found = rows.with_changes(held, index.leaf[gone], index.leaf[come])
        self._leaves[table] = build, found
        return found

    def tree(self, table: str, positions: np.ndarray, build: int) -> tuple[merkle.Tree, np.ndarray]:
        """The tree over the leaves of a build's rows, which lie at `positions`, and these in byte order; the last one
        that was asked for is kept."""
        if (self._tree or ("", 0))[:2] != (table, build):
            leaves = rows.in_byte_order(self.index(table).leaf[positions])
            self._tree = table, build, merkle.Tree(leaves), leaves
        return self._tree[2:]

    def lost(self, table: str) -> int:
        """How many secrets the living rows of a table need and the vault lacks: no disposal destroyed them."""
        index = self.index(table)
        alive = index.died == 0
        others = index.others if alive.all() else index.others[np.repeat(alive, np.diff(index.ends))]
        # Each token once: many rows speak of the same people and records.
        named = [pc.unique(pa.array(side)).to_numpy() for side in (index.a[alive], index.b[alive], others)]
        gone = [tokens[~self.vault.retained(tokens)] for tokens in named]
        return len(sets.distinct(np.concatenate(gone)))

    def segment(self, label: str, table: str) -> Path:
        """Where a build's new rows of a derived table lie."""
        return self.root / "store" / STAGES[table] / f"{label}.{table}.parquet"

    def changes(self, stage: str, label: str) -> Path:
        """Where a stage of a build says which rows it opened and closed."""
        return self.root / "store" / stage / f"{label}.changes.parquet"

    def disposal_file(self, number: int, name: str) -> Path:
        """Where a disposal says what it reached (`fates`, `again`, `gaps`, `left_out`) or holds a table's heirs."""
        return self.root / "store" / "disposals" / f"{number:04d}" / f"{name}.parquet"

    def unlogged(self) -> list[Path]:
        """Sealed files and statements that no act names: of a build at work, or of one that failed or was cut off."""
        named = set(self.history.files) | {self.relative(self.statement(built.label)) for built in self.history.builds}
        present = [
            path
            for folder, forms in (("store", ("*.parquet", "*.part")), ("builds", ("*.json", "*.part")))
            for form in forms
            for path in (self.root / folder).rglob(form)
        ]
        staged = {  # a disposal writes files again beside the old ones, and logs them before they take their places
            self.disposal_file(d.number, "fates").parent / "staged" for d in self.history.disposals if not d.certified
        }
        return sorted(p for p in present if self.relative(p) not in named and p.parent not in staged)

    def sweep(self) -> None:
        """Remove what a build that failed or was cut off left behind. Only for a writer, before it writes."""
        index = self.root / "index"
        for path in [*self.unlogged(), *sorted(index.glob("*.tallies")), *sorted(index.glob("*.made"))]:
            durable.remove(path)

    def stated(self, built: entries.Built) -> statements.Statement:
        """A build's signed statement. Raises Missing, or Tampered when it is not the one that was logged."""
        path = self.statement(built.label)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise Missing(f"statement of build {built.label} is not there: wanted builds/{path.name}") from None
        if hashlib.sha256(data).hexdigest() != built.statement:
            raise Tampered(f"statement of build {built.label} is not the one that was logged: builds/{path.name}")
        signer = self.history.signer_of(built.label)
        # The same bytes under the same key say the same: to read them takes a third of the time of a page.
        key = built.statement, signer
        if key not in self._statements:
            self._statements[key] = statements.open_envelope(data, signer)
        return self._statements[key]

    def handling_order(self, built: entries.Built) -> tuple[str, ...]:
        """The handling codes, least strict first, as that build had them."""
        return tuple(canonical.loads(self.stated(built).params)["grading"]["handling_order"])

    def statement(self, label: str) -> Path:
        """A build's signed statement."""
        return self.root / "builds" / f"{label}.json"

    def harm_file(self, digest: str) -> Path:
        """Where the file of a harm table is kept that a build was counted by, under its SHA-256. No personal data."""
        return self.root / "builds" / "harm" / f"{digest}.csv"

    def harm_tables(self, stated: statements.Statement) -> tuple[harm.HarmTable, ...]:
        """The editions that a build was counted by, in the order of its params, which says which of them counted.

        Raises Missing for a file that is not kept, Tampered for one that is not the one that was stated.
        """
        said = canonical.loads(stated.params).get("harm", {}).get("editions", [])
        digests = {edition.name: edition.digest for edition in stated.harm_tables}
        return tuple(
            harm.read(self.harm_file(digests[name]), name, digests[name], edition["unit"])
            for edition in said
            if (name := edition["name"]) in digests
        )

    def _opened_vault(self) -> Vault:
        folder = self.root / "vault"
        while True:
            before = self._keyring()
            self.custody.refresh()
            try:
                return Vault(folder, self.custody.master(self._opens))
            except (Missing, Tampered):  # perhaps a disposal has put another keyring in the place of the one just read
                if self._keyring() == before:
                    raise

    def _keyring(self) -> bytes:
        with contextlib.suppress(FileNotFoundError):
            return (self.root / "vault" / "keyring").read_bytes()
        return b""

    def _opens(self, master: Master) -> bool:
        return Vault.opens(self.root / "vault", master)

    def is_overtaken(self) -> bool:
        """Whether a disposal was logged since this archive took in the log: rows in its memory may be nowhere else."""
        before = len(self.history.disposals)
        self.refresh()
        return len(self.history.disposals) > before

    def refresh(self) -> None:
        """Take in what others have logged since; what they disposed of is in memory no longer."""
        before = getattr(self, "_seen", 0)
        acts = self._logged_since(before)
        if not before:
            self.history = History()
            self.forget()
        self._check_succession(acts)
        self.history.extend(acts)
        self._seen = self.log.size
        if not self.vault.is_current:
            self.vault = self._opened_vault()
            self.sealer = Sealer(self.vault, self.crew)
            self.forget()

    def _logged_since(self, before: int) -> Sequence[entries.Act]:
        """Decisive acts from log index `before` up to the head that is read here, and no further."""
        self._refresh_log()
        if before == self.log.size:
            return ()
        if before and self.log.size - self._catalogued <= _VIEWS:
            acts = list(self.log.acts(before, self.log.size))
            if all(isinstance(act, entries.Viewed) for act in acts):
                return ()  # decides nothing, and many come: the catalogue takes them in with what comes next
        while True:
            size, fault, acts = self.log.size, None, ()
            try:
                with contextlib.nullcontext() if not before else contextlib.suppress(Unreached):
                    self.catalogue.refresh(self.log)  # who has it open reads on from the log while a server is away
                if size > before:
                    acts = self._decisive(before, size)
            except Tampered as error:  # the catalogue knows more than the head that was read
                fault = error
            self._refresh_log()
            self._catalogued = size
            if self.log.size == size:  # else somebody logged meanwhile, and may have told the catalogue: all again
                if fault:
                    raise fault
                return acts

    def _decisive(self, before: int, size: int) -> Sequence[entries.Act]:
        if not before:
            return self.catalogue.acts(_DECISIVE)
        return [act for act in self.log.acts(before, size) if kind(act) in _DECISIVE]  # few, and hashed up to the head

    def placed(self, kinds: Iterable[str]) -> Sequence[tuple[int, entries.Act]]:
        """Acts of these kinds, each with its place in the log, in log order."""
        wanted = frozenset(kinds)
        while True:
            size = self.log.size
            try:
                self.catalogue.refresh(self.log)
                return [(place, act) for place, act in self.catalogue.placed(wanted) if place < size]
            except Unreached:  # then at the pace of the log, which the head that was read continues
                return [(place, act) for place, act in enumerate(self.log.acts(0, size)) if kind(act) in wanted]
            except Tampered:  # the catalogue knows more than the head that was read
                self._refresh_log()
                if self.log.size == size:
                    raise

    def acts(self, kinds: Iterable[str]) -> Sequence[entries.Act]:
        """Acts of these kinds, in log order."""
        return [act for _, act in self.placed(kinds)]

    def place(self, kind: str, label: str) -> int | None:
        """Where in the log the act of this kind and label stands, the last one if there are several."""
        found = [place for place, act in self.placed([kind]) if getattr(act, "label", "") == label]
        return found[-1] if found else None

    def _refresh_log(self) -> None:
        """The log's head as it is on disk, which may be by a key that took over since archive.json was read."""
        while True:
            try:
                return self.log.refresh()
            except Tampered:
                if not self._read_named():
                    raise

    def _read_named(self) -> bool:
        """Read again which keys archive.json names; whether they are others than before."""
        before = self._named
        _, self._named = _described(self.root)
        self.log.trust(*self._named, *self._also)
        return self._named != before

    def _check_succession(self, acts: Iterable[entries.Act]) -> None:
        """Each key in further acts was endorsed by the one before, in the log itself, and the head is by one that is in
        force: archive.json alone makes nobody a signer of this archive. Raises Tampered.
        """
        signers = list(self.signers())
        for act in acts:
            if isinstance(act, entries.Founded):
                signers.append(Verifier.parse(act.vkey))
            elif isinstance(act, entries.Rekeyed):
                for logged in self.log.acts(act.place, min(act.place + 1, self.log.size)):
                    if logged != act or (fault := _succession_fault(act, act.place, signers)):
                        raise Tampered(
                            fault if logged == act else f"log entry {act.place} is not by a key that took over"
                        )
                signers.append(Verifier.parse(act.vkey))
        if self.vkey not in signers[-2:]:
            raise Tampered(
                f"log head is signed by key {self.vkey.key_id.hex()}: wanted the one that the log names last"
            )


def keys_beside(root: Path) -> Path:
    """Where an archive's keys lie unless the door says otherwise: beside it, never in it."""
    root = root.resolve()
    return root.with_name(root.name + ".keys")


def _refuse_backup(root: Path) -> None:
    if (root / BACKUP).exists():
        raise Refused(
            f"folder {root.resolve().name} is a backup, or a restore that was cut off: "
            "wanted `provenance restore`, which replays upon it what was disposed of since"
        )


def _description(name: str, vkey: Verifier, following: Verifier | None = None) -> bytes:
    """archive.json: the key that signs, and the one that is to take over from it if any."""
    content = {"archive": name, "format": FORMAT, "vkey": str(vkey)}
    return canonical.dumps(content | ({"next": str(following)} if following else {})) + b"\n"


def _policy(held: bytes, believed: Iterable[Verifier], signers: Iterable[Verifier] = ()) -> bytes:
    """log/policy with a line for each key that is believed and for no other of the signers; what it says of witnesses
    stays.
    """
    policy, kept = Policy.parse(held or b"quorum none\n"), list(believed)
    for vkey in kept:
        policy = policy.with_log(vkey)
    for vkey in signers:
        if vkey not in kept:
            policy = policy.without_log(vkey)
    return bytes(policy)


def _succession_fault(act: entries.Act | entries.Unknown, place: int, before: Sequence[Verifier]) -> str:
    """What is wrong with the entry at `place`, by which a key takes over from the last of those before; or ""."""
    if not isinstance(act, entries.Rekeyed) or act.place != place:
        return f"log entry {place} is not the one by which a key took over there"
    try:
        statements.check_endorsement(act, before[-1])
    except Tampered as error:
        return str(error)
    following = Verifier.parse(act.vkey)
    if following in before or following.name != before[0].name:
        return f"log entry {place} names a key that signed before, or one of another log: wanted a new one of this"
    return ""


def _described(root: Path) -> tuple[str, tuple[Verifier, ...]]:
    """What archive.json says: the archive's name, and the key of its log, and the one that is to take over if any."""
    try:
        content = canonical.loads((root / "archive.json").read_bytes().rstrip(b"\n"))
        name, form = content["archive"], content["format"]
        vkeys = tuple(Verifier.parse(content[key]) for key in ("vkey", *({"next"} & content.keys())))
    except FileNotFoundError:
        raise Missing(
            f"folder {root.resolve().name} is not an archive: archive.json is not there; `provenance init` makes one"
        ) from None
    except (KeyError, TypeError) as error:
        raise Malformed("archive.json lacks one of archive, format, vkey") from error
    except Malformed as error:
        raise Tampered(f"archive.json is not as it was written: {error}") from error
    if form != FORMAT:
        raise Malformed(f"archive.json is of format {form}: this version reads format {FORMAT}")
    return name, vkeys
