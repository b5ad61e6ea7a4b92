"""A copy of what cannot be made again, and the way back from it.

A backup is a folder laid out as the archive is: log, statements, sealed rows, vault, settings, what pages opened and
what was reported of them, reports; with a manifest of every file, signed by the key that signs the log. Not in it: the
keys, which would open it; what is derived; what no act names, as a build at work leaves it; and git's history and DVC's
cache. Those name sealed files by digests that a disposal makes void, so that an old history would stand in the way of
the replay; what git alone knows is who edited the params when, and each build statement has the params that it was made
with. Each backup is whole: two that shared files would be lost together.

Coming back, what the log of the day disposed of is done again before anything is shown (R41): first the secrets, then
the dead rows, which come out as the bytes that were logged, then DVC's copies. Until then the folder holds the
manifest, and nothing opens an archive where that lies; nor, for the same reason, the backup itself.

Who writes: `make`, once, the manifest last; nothing changes a backup afterwards. If it is lost, so is what no other
copy has. A liar who could edit it could make us believe nothing that the log did not say: every byte is compared with
the manifest, and each sealed file with the log. He could offer an old backup for a new one, and nothing in it would
tell, which is why a later log is asked for. A vault, a log and a master key that are all of before a disposal show
what it destroyed: so a copy of the key in escrow is replaced when the key is.

Refused: a log that does not continue the backup's, a vault that a disposal has closed since or that lacks what rows
need, a log that is older than the vault, and a log that names files which nobody has brought.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from provenance import canonical, copies, disposal, durable, entries, expunging, merkle, pins, rows, statements
from provenance.archive import BACKUP, Archive
from provenance.custody import NOTHING, Custody, Unlock
from provenance.disposal import Outcome
from provenance.entries import Count, Digest, Form, Instant, Text, Value, as_json, from_json
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.harm import HarmTable
from provenance.history import History
from provenance.keys import Master
from provenance.log import Log
from provenance.notes import Verifier, decode_base64
from provenance.params import Params
from provenance.tables import TABLES
from provenance.vault import Vault

Report = Callable[[str, int, int], None]
PAYLOAD_TYPE = "application/vnd.provenance.backup+json"
_KEPT_APART = ("log", "builds", "archive.json")  # of what git holds: copied by what the log says of them, or first
_DECISIVE = ("archive.json", "log/", "vault/")
_SAID = ("seen", "reported")  # written while others write too, before the entry that names what is in them
_NAMED_AT_MOST = 20  # files or disposals in one message
_CHUNK = 1 << 20  # bytes
_LOCK = ".writer"  # of durable.one_writer


def _is_inner(value: Any) -> bool:
    parts = value.split("/") if type(value) is str and value.isprintable() and len(value) < 1000 else [""]
    return not {"", ".", ".."} & set(parts) and "\\" not in value


InnerPath = Annotated[str, Form("a path within the archive", _is_inner)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp(Value):
    """A file as it was put away."""

    path: InnerPath
    sha256: Digest
    size: Count  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Value):
    """What a backup holds, and how far its archive was."""

    archive: Text
    made_on: Instant
    by: Text
    log_size: Count
    log_root: Digest
    disposals: Count  # of those in the log, how many were carried out upon the vault
    files: tuple[BackedUp, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class LostTable:
    """A harm table that is not there; what is wanted is the file of this digest, at this path within the archive."""

    edition: str
    sha256: str
    path: str
    builds: tuple[str, ...]  # labels of those that were counted by it


@dataclass(frozen=True, slots=True)
class Restoration:
    """What replaying the log upon a restored archive did."""

    entries: int  # that the log has now
    replayed: int  # disposals that the log has after the backup
    blanked: int  # files from which their rows were removed again
    closed: bool  # the vault was older than the log: secrets were destroyed, and the master key was replaced
    finished: tuple[Outcome, ...]  # disposals that waited for a hold which had ended
    tables_lost: tuple[LostTable, ...]  # what nobody has brought: no harm of these builds is explained without it


# -- there -------------------------------------------------------------------------------------------------------------


def make(archive: Archive, folder: Path, *, on: str, by: str, report: Report = lambda *_: None) -> Manifest:
    """Copy the archive into `folder`, which is new or empty; it is a backup from its last file on, the manifest.

    Raises Conflict while something writes to the archive or `folder` holds anything, Refused for a folder that lies in
    the archive or beside its keys, Missing or Tampered for a file that is not as it was logged; then nothing is left.
    """
    _check_apart(folder, archive)
    with archive.writing(), _filling(folder):
        log = _copy_log(archive, folder)
        named = _named(archive.history)
        wanted: dict[str, Collection[str]] = {name: digests[-1:] for name, digests in named.items()}
        if any(d.certified is None for d in archive.history.disposals):  # cut off between its entry and its files
            wanted |= named
        wanted |= dict.fromkeys(_others(archive, set(named)), ())
        files = list(log)
        for done, name in enumerate(sorted(wanted)):
            report("Copying", done, len(wanted))
            mode = 0o600 if name.startswith("vault/") else 0o644
            files.append(_copied(archive.root / name, folder / name, name, wanted=wanted[name], mode=mode))
        report("Copying", len(wanted), len(wanted))
        manifest = Manifest(
            archive=archive.name,
            made_on=on,
            by=by,
            log_size=archive.log.size,
            log_root=archive.log.root.hex(),
            disposals=archive.vault.disposals,
            files=tuple(files),
        )
        payload = canonical.dumps(as_json(manifest))
        durable.write(folder / BACKUP, statements.enveloped(payload, PAYLOAD_TYPE, archive.signing_key()))
        (folder / _LOCK).unlink()  # a second writer finds the folder full
    return manifest


def _check_apart(folder: Path, archive: Archive) -> None:
    there = folder.resolve()
    if there.is_relative_to(archive.root.resolve()):
        raise Refused(f"backup folder {there.name} lies in the archive itself: wanted one apart, best on another disk")
    if there.is_relative_to(archive.keys.resolve()):
        raise Refused(f"backup folder {there.name} lies with the keys: wanted one apart, for keys and vault never meet")


def _copy_log(archive: Archive, folder: Path) -> list[BackedUp]:
    """The log under one head: a consultation is logged without the archive's lock, and waits here for the log's."""
    with durable.one_writer(archive.root / "log"):
        archive.log.refresh()
        return [
            _copied(archive.root / name, folder / name, name) for name in _within(archive.root, archive.root / "log")
        ]


def _named(history: History) -> dict[str, list[str]]:
    """Every file that the log names, and each SHA-256 that it has had there, first one first."""
    found: dict[str, list[str]] = {}
    acts: list[Any] = [*history.extracts, *history.builds]
    for each in history.disposals:
        acts += [each.first] + ([each.expunged] if each.expunged else [])
        if each.certified:
            found[f"audit_reports/certificates/{each.first.disposal}.json"] = [each.certified.certificate]
    for act in acts:
        for file in act.files:
            found.setdefault(file.path, []).append(file.sha256)
    return found | {f"builds/{built.label}.json": [built.statement] for built in history.builds}


def _others(archive: Archive, named: set[str]) -> Iterator[str]:
    """What belongs to the archive and no entry has the digest of."""
    yield "archive.json"
    yield from (f"vault/{name}" for name in archive.vault.files)
    yield from _within(archive.root, archive.root / "builds" / "harm")
    yield from (inner for name in _SAID for inner in _within(archive.root, archive.root / name))
    yield from _within(archive.root, archive.root / "disclosure")  # what cases ask, and what is said to them: sealed
    for name in pins.COMMITTED:
        if name not in _KEPT_APART and (archive.root / name).exists():
            yield from (inner for inner in _within(archive.root, archive.root / name) if inner not in named)


def _within(root: Path, path: Path) -> list[str]:
    """The file at `path`, or all in the folder, but for locks and what a crash left half written."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    whole = (p for p in found if p.is_file() and p.suffix != ".part" and p.name != _LOCK)
    return [p.relative_to(root).as_posix() for p in whole]


# -- and back ----------------------------------------------------------------------------------------------------------


def opened(folder: Path, keys: Custody) -> Manifest:
    """The manifest of a backup, once the archive's own signature on it has verified.

    Raises Missing where there is none, as in a backup that was cut off, and Tampered. The files are not looked at.
    """
    payload, where = b"", f"{folder.name}/{BACKUP}"
    try:
        data = (folder / BACKUP).read_bytes()
    except FileNotFoundError:
        raise Missing(f"folder {folder.name} is no backup, or one that was cut off: it has no {BACKUP}") from None
    signers = keys.signers("unnamed")
    try:
        # The name under which the key signs is read before it is believed, and believed once the signature verifies.
        name = canonical.loads(decode_base64("DSSE payload", canonical.loads(data)["payload"]))["archive"]
        payload = statements.payload_of(data, PAYLOAD_TYPE, *(Verifier(name, signer.public) for signer in signers))
        manifest = from_json(Manifest, canonical.loads(payload))
    except (Malformed, Tampered, KeyError, TypeError, AttributeError) as error:
        raise Tampered(
            f"backup manifest {where} does not verify: it was changed, or the keys are another archive's: {error}"
        ) from error
    return manifest


def kept(folder: Path, keys: Custody) -> list[tuple[Path, Manifest]]:
    """The whole backups in the folders within `folder` that these keys signed for, newest first."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        with contextlib.suppress(Missing, Tampered):  # cut off, of another archive, or no backup at all
            found.append((path, opened(path, keys)))
    return sorted(found, key=lambda one: (one[1].log_size, one[1].made_on, one[0].name), reverse=True)


def prune(folder: Path, keys: Custody, most: int) -> list[str]:
    """Remove all backups in the folders within `folder` but the newest `most`; the names of those removed.

    A folder that is no whole backup of this archive is left where it is.
    """
    old = [path for path, _ in kept(folder, keys)[most:]]
    for path in old:
        durable.remove(path / BACKUP)  # first: what is left of a removal that was cut off is no backup
        shutil.rmtree(path)
    return [path.name for path in old]


def put_back(
    backup: Path,
    into: Path,
    keys: Path,
    *,
    log: Path | None,
    vault: Path | None = None,
    files: Path | None = None,
    unlock: Unlock = NOTHING,
    report: Report = lambda *_: None,
) -> Manifest:
    """Fill the folder `into`, new or empty, from a backup; it is no archive until `replay` is through.

    Harm tables that later builds were counted by are taken from `files` too, or from wherever a folder `harm` has them.
    `log` is a later copy of the log, None only where there is none; `vault` that of a later backup, to take in the
    place of this one's; `files` another copy of the archive, for what the backup lacks or has as it was before a
    disposal.

    The rest of a restore from the same backup that was cut off is cleared away first; or, if the replay had begun, left
    to it: by then the keys may open no other copy of the vault. Raises as the module says, and leaves nothing.
    """
    custody = Custody(keys, unlock)
    manifest = opened(backup, custody)
    marker = (backup / BACKUP).read_bytes()
    source = vault or backup / "vault"
    if into.resolve().is_relative_to(backup.resolve()):
        raise Refused(f"folder {into.name} lies in the backup: wanted one apart")
    if (into / BACKUP).exists() and (into / BACKUP).read_bytes() == marker:
        with durable.one_writer(into, wait=False):
            if _key_of(source, custody) is None and _key_of(into / "vault", custody) is not None:
                return manifest
            _emptied(into)
    with _filling(into):
        durable.write(into / BACKUP, marker)
        _check_present(backup, [f for f in manifest.files if not (vault and f.path.startswith("vault/"))])
        later = _later_log(backup, manifest, custody, log)
        history = History()
        history.extend(later.acts())
        key = _checked_key(source, custody, backup, manifest, history)
        brought = Vault(source, key)
        if brought.disposals > len(history.disposals):
            raise Refused(
                f"log is older than the vault: it has {len(history.disposals)} disposals, the vault has seen "
                f"{brought.disposals}; wanted the log of the day: --log FOLDER"
            )
        plan = _plan(backup, manifest, later.folder, source, brought.files, history, files)
        for done, (name, (path, wanted)) in enumerate(sorted(plan.items())):
            report("Copying", done, len(plan))
            _copied(path, into / name, name, wanted=wanted, mode=0o600 if name.startswith("vault/") else 0o644)
        report("Copying", len(plan), len(plan))
        with Archive(into, keys, restoring=True, unlock=unlock) as archive:
            if (archive.log.size, archive.log.root) != (later.size, later.root):
                raise Conflict(f"log grew while it was copied: {later.size} entries, then {archive.log.size}")
            if lost := sum(archive.lost(name) for name in TABLES):
                raise Refused(
                    f"vault lacks {lost} secrets that rows need, and no disposal destroyed them: it was taken before "
                    "the last extract that the log has; wanted a later one: --vault FOLDER"
                )
            for lost in _tables_lost(archive):
                _bring_table(archive, lost, files)
    return manifest


def replay(
    into: Path,
    keys: Path,
    params: Params,
    table: HarmTable,
    *,
    on: str,
    by: str,
    under: str,
    unlock: Unlock = NOTHING,
    report: Report = lambda *_: None,
) -> Restoration:
    """Do again upon a folder that `put_back` filled whatever the log disposed of; from then on it is an archive.

    Where git and DVC held the archive, a new history begins. Cut off, or stopped by a DVC remote that does not answer
    (Conflict), it is completed by the same call.
    """
    with durable.one_writer(into, wait=False), Archive(into, keys, restoring=True, unlock=unlock) as archive:
        manifest, digest = opened(into, archive.custody), rows.digest(into / BACKUP)
        since = archive.history.disposals[manifest.disposals :]
        is_pinned = (into / ".dvc").is_dir()
        if is_pinned:
            pins.lay_out(into)
            pins.commit(into, f"archive {archive.name}: as it was backed up", on=on)
        with archive.writing(settling=True):
            closed = disposal.is_unsettled(archive)
            disposal.settle(archive, params)
            blanked = expunging.catch_up(archive, report)
            archive.forget()
            if is_pinned and (into / "dvc.lock").exists():  # without it, there was no build yet
                pins.pin(into, [], f"archive {archive.name}: what was disposed of since is gone", on=on)
                files = {file.path: archive.history.files[file.path] for d in since if d.expunged
                         for file in d.expunged.files}  # fmt: skip
                if files:
                    copies.renew(into, files, on=on, report=report)
        lost = _tables_lost(archive)
        finished = disposal.finish(archive, params, table, on=on, by=by, report=report)
        said = entries.Restored(on=on, by=by, under=under, backup=digest, replayed=len(since))
        last = next(archive.log.acts(archive.log.size - 1))
        if not (isinstance(last, entries.Restored) and last.backup == digest):  # the crash came right behind it
            archive.append(said)
        if is_pinned:
            pins.commit(into, f"archive {archive.name}: restored from a backup", on=on)
        durable.remove(into / BACKUP)
        size = archive.log.size
    (into / _LOCK).unlink(missing_ok=True)
    return Restoration(size, len(since), len(blanked), closed, tuple(finished), lost)


def _tables_lost(archive: Archive) -> tuple[LostTable, ...]:
    """Harm tables that builds state and the archive has not: the log names statements, and these name the tables."""
    found: dict[str, LostTable] = {}
    for built in archive.history.builds:
        for edition in archive.stated(built).harm_tables:
            path = archive.harm_file(edition.digest)
            if not path.exists():
                before = found[edition.digest].builds if edition.digest in found else ()
                found[edition.digest] = LostTable(
                    edition.name, edition.digest, archive.relative(path), (*before, built.label)
                )
    return tuple(found.values())


def _bring_table(archive: Archive, lost: LostTable, files: Path | None) -> None:
    """Take a harm table from the other copy of the archive, or from the tables that a force keeps for its next build.

    It is known by its digest, so where it comes from and what it is called there decides nothing. A restore is not
    refused for one that nobody has: rows, proofs and disposals do without it.
    """
    folders = [folder for folder in (archive.root, files) if folder]
    offers = [files / lost.path] if files else []
    offers += [path for folder in folders for path in sorted((folder / "harm").glob("*.csv"))]
    for path in offers:
        if path.is_file() and rows.digest(path) == lost.sha256:
            _copied(path, archive.root / lost.path, lost.path, wanted=(lost.sha256,))
            return


def _check_present(backup: Path, files: Iterable[BackedUp]) -> None:
    """What decisions rest on is read here, before they are made; the rest while it is copied."""
    for file in files:
        path = backup / file.path
        if not path.is_file():
            raise Missing(f"file {file.path} is not in the backup: its manifest has it with {file.size} bytes")
        if path.stat().st_size != file.size:
            raise Tampered(f"file {file.path} was changed: it has {path.stat().st_size} bytes, wanted {file.size}")
    for file in files:
        if file.path.startswith(_DECISIVE) and (found := rows.digest(backup / file.path)) != file.sha256:
            raise _changed(file.path, found, (file.sha256,))


def _changed(name: str, found: str, wanted: Collection[str]) -> Tampered:
    return Tampered(f"file {name} was changed: its SHA-256 is {found}, wanted {' or '.join(wanted)}")


def _later_log(backup: Path, manifest: Manifest, keys: Custody, folder: Path | None) -> Log:
    """The log to go on with, all of it verified, and to continue the backup's."""
    vkey, *others = keys.signers(manifest.archive)
    before = Log.open(backup / "log", vkey=vkey, also=others)
    if (before.size, before.root.hex()) != (manifest.log_size, manifest.log_root):
        raise Tampered(f"log of the backup has {before.size} entries with another root than its manifest says")
    if folder is None:
        before.verify()
        _check_signer(before, keys)
        return before
    later = Log.open(folder, vkey=vkey, also=others)
    later.verify()
    old, new = sorted((before, later), key=lambda log: log.size)
    try:
        merkle.check_consistency(old.size, old.root, new.size, new.root, new.consistency(old.size))
    except Tampered as error:
        raise Tampered(f"later log does not continue the backup's: it is another history: {error}") from error
    if later.size < before.size:
        raise Refused(
            f"later log is not later than the backup: it has {later.size} entries, the backup's has {before.size}"
        )
    _check_signer(later, keys)
    return later


def _check_signer(log: Log, keys: Custody) -> None:
    """Raises Refused for a log that ends before the key that signs today took over: nobody could go on with it."""
    if log.vkey in keys.retired():
        raise Refused(
            f"log is older than the signing key: it ends with {log.size} entries under key {log.vkey.key_id.hex()}, "
            "from which another has taken over; wanted the log of the day: --log FOLDER"
        )


def _key_of(vault: Path, keys: Custody) -> Master | None:
    """The master key under which this copy of the vault lies, if it is the one of `keys`."""

    def opens(master: Master) -> bool:
        return (vault / "keyring").exists() and Vault.opens(vault, master)

    key = keys.master(opens)
    return key if opens(key) else None


def _checked_key(source: Path, keys: Custody, backup: Path, manifest: Manifest, history: History) -> Master:
    if not (source / "keyring").exists():
        raise Missing(f"the vault's keyring is not there: wanted {source.name}/keyring")
    if (key := _key_of(source, keys)) is not None:
        return key
    seen = manifest.disposals
    if source.parent.resolve() != backup.resolve():
        try:
            seen = opened(source.parent, keys).disposals
        except Missing:  # a vault that was copied by hand
            seen = len(history.disposals)
    closed = [f"{d.first.disposal} of {d.first.on[:10]}" for d in history.disposals[seen:]]
    if closed:
        raise Refused(
            f"vault was taken before {_listed(closed, 'disposal')}. A disposal replaces the master key, and with that "
            "closes every older vault for good: nobody can have back what it destroyed. Wanted the vault of a backup "
            "made since: --vault FOLDER. If there is none, no row can be read again; the proofs stand"
        )
    raise Refused(
        "vault does not open under this master key, and the log tells of no disposal since. Either the key is that of "
        "another archive or time; or it was replaced by `key relock` or `key move`, by a disposal that this log does "
        "not know, or by `receive`, which lets names go that are recognised no longer. Wanted key and vault of one "
        "time, the last: --vault FOLDER, and "
        "the log of the day: --log FOLDER"
    )


def _plan(
    backup: Path,
    manifest: Manifest,
    log: Path,
    vault: Path,
    vault_files: Iterable[str],
    history: History,
    files: Path | None,
) -> dict[str, tuple[Path, Collection[str]]]:
    """For each file of the archive, where it is taken from and which SHA-256 it may have (none: the log answers for it,
    or the vault for itself). Raises Refused with the list of those that nobody has.
    """
    held = {file.path: file for file in manifest.files}
    named = _named(history)
    plan: dict[str, tuple[Path, Collection[str]]] = {
        name: (backup / name, (file.sha256,))
        for name, file in held.items()
        if not name.startswith(("log/", "vault/")) and name not in named
    }
    lacking = []
    for name, digests in sorted(named.items()):
        offers = [(held[name].sha256, backup / name)] if name in held else []
        if files and (not offers or offers[0][0] != digests[-1]) and (files / name).is_file():
            offers.append((rows.digest(files / name), files / name))
        fit = [(digests.index(sha256), sha256, path) for sha256, path in offers if sha256 in digests]
        if not fit:
            lacking.append(name)
            continue
        _, sha256, path = max(fit)
        plan[name] = (path, (sha256,))
    if lacking:
        raise Refused(
            f"log names {_listed(lacking, 'file')} that the backup lacks, of extracts, builds or disposals since it "
            "was made; nothing is restored without them. Fetch them into a clone (`git clone`, `dvc pull`), or find a "
            "later backup, and say --files FOLDER"
        )
    for name in _SAID if files else ():  # of pages since, where they are to be had
        plan |= {inner: (files / inner, ()) for inner in _within(files, files / name) if inner not in held}
    plan |= {f"log/{name}": (log / name, ()) for name in _within(log, log)}
    own = vault.parent.resolve() == backup.resolve()
    for name in vault_files:
        plan[f"vault/{name}"] = (vault / name, (held[f"vault/{name}"].sha256,) if own else ())
    return plan


def _listed(names: list[str], noun: str) -> str:
    more = f" and {len(names) - _NAMED_AT_MOST:,} more" if len(names) > _NAMED_AT_MOST else ""
    return f"{len(names):,} {noun}{'' if len(names) == 1 else 's'} ({', '.join(names[:_NAMED_AT_MOST])}{more})"


# -- both ways ---------------------------------------------------------------------------------------------------------


@contextmanager
def _filling(folder: Path) -> Iterator[None]:
    """A new or empty folder, for one writer; when the block raises, it is as empty as it was, or not there."""
    is_new = not folder.exists()
    if not is_new:
        _insist_empty(folder)  # before a lock is left in a folder that is somebody's
    with durable.one_writer(folder, wait=False):
        _insist_empty(folder)
        try:
            yield
        except BaseException:
            _emptied(folder)
            (folder / _LOCK).unlink()
            if is_new:
                folder.rmdir()
            raise


def _insist_empty(folder: Path) -> None:
    if held := sorted(set(os.listdir(folder)) - {_LOCK}):
        raise Conflict(
            f"folder {folder.name} is not empty: it holds {len(held):,} files or folders"
            + ("" if BACKUP in held else f" and no {BACKUP}, as a backup that was cut off")
            + "; wanted a new folder"
        )


def _emptied(folder: Path) -> None:
    """Remove what lies in the folder, the manifest last: it says whose the rest is."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == BACKUP):
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else durable.remove(path)


def _copied(source: Path, target: Path, name: str, *, wanted: Collection[str] = (), mode: int = 0o644) -> BackedUp:
    """Copy a file durably. Raises Missing, or Tampered when its SHA-256 is none of those `wanted` (none: any)."""
    if not source.is_file():
        raise Missing(f"file {name} is not there: fetch it with `dvc pull` or restore it")
    with open(source, "rb") as read, durable.replacing(target, mode=mode) as staged:
        total, size = hashlib.sha256(), 0
        with open(staged, "wb") as written:
            while part := read.read(_CHUNK):
                total.update(part)
                size += written.write(part)
        if wanted and total.hexdigest() not in wanted:
            raise _changed(name, total.hexdigest(), wanted)
    return BackedUp(path=name, sha256=total.hexdigest(), size=size)
