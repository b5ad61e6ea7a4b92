"""Is the archive what its log says it is? Each stored byte is accounted for, in numbered steps.

     1  the log: each entry and tile, hashed up to the signed head
     2  who signs: each key endorsed by the one before, in the log; archive.json, the key files and log/policy agree
     3  the builds: in order, none missing or repeated, each naming the one before
     4  the files: each stored file against the SHA-256 that the log has for it; which rows each page opened
     5  the statements: digest, signature, and that they say what the log says
     6  the roots: each table of each build, worked out again from the leaves; and the SHA-256 that its statement has
        for the same leaves, so that what answers are checked by is what proofs lead to
     7  the rows: each box opened to its leaf, unless a parent's secret was destroyed
     8  the vault: each shard opened (opening the archive did that), and no secret lost that no disposal destroyed
     9  the disposals: each certificate against the log and its signature, and the holes that it accounts for
    10  what is derived: the catalogue against the log, the figures put away for the next build
    11  what outsiders were shown: each head, its witnesses and time stamps, the heads in the weekly notices
    12  the feeds: none has rows from before a disposal or a restriction, and each has the bytes that were logged
    13  what acts of disclosure keep: papers, saved queries, and the register apart against the acts that carry its head

All steps are taken, whatever the earlier ones found. What is left to the caller: that the heads in step 11 are the
ones that others were shown, which only a witness or an earlier notice can tell.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from provenance import (
    apart,
    asof,
    disposal,
    entries,
    expunging,
    feeds,
    figures,
    heads,
    merkle,
    openings,
    papers,
    publicising,
    reporting,
    rows,
    scheduling,
    stamping,
    statements,
    steps,
    witnessing,
)
from provenance.archive import Archive, Overtaken
from provenance.errors import Missing, ProvenanceError, Tampered
from provenance.steps import Step
from provenance.tables import SOURCE_TABLES, TABLES

Report = Callable[[str, int, int], None]


def verify(archive: Archive, *, label: str | None = None, report: Report = lambda *_: None) -> list[Step]:
    """Check the whole archive, or what one build rests on (steps 1 to 3, 5, 6, and its own files and rows)."""
    with contextlib.suppress(ProvenanceError):  # step 1 says what is wrong
        archive.refresh()
    archive.forget()  # what is on disk is to be looked at, and not what is in memory
    builds = [archive.history.build(label)] if label else list(archive.history.builds)
    return [
        _step(1, "log entries", lambda: _log(archive)),
        _step(2, "who signs", archive.check_signers),
        _step(3, "order of builds", lambda: _order(archive)),
        _step(4, "stored files", lambda: _files(archive, builds if label else None, report)),
        _step(5, "build statements", lambda: _statements(archive, builds)),
        _step(6, "roots of tables", lambda: _roots(archive, builds, report)),
        _step(7, "sealed rows", lambda: _rows(archive, builds if label else None, report)),
        _step(8, "vault", lambda: _vault(archive)),
        _step(9, "disposals", lambda: _disposals(archive)),
        _step(10, "what is derived", lambda: iter([archive.catalogue.differs(archive.log), figures.differs(archive)])),
        _step(11, "heads shown", lambda: _shown(archive)),
        _step(12, "feeds", lambda: feeds.faults(archive)),
        _step(13, "papers of disclosure", lambda: _papers(archive)),
    ]


def verify_row(archive: Archive, leaf: bytes, *, label: str = "") -> tuple[str, list[Step]]:
    """Check one row, by its leaf: in build `label`, or in the last one that has it. Returns that build and the steps.

    Raises Missing when no row of the archive, or none of that build, has this leaf.
    """
    archive.refresh()
    archive.forget()
    table, at = _found(archive, leaf)
    having = [b for b in archive.history.builds if at in archive.index(table).standing(b.number)]
    chosen = [built for built in having if label in ("", built.label)]
    if not chosen:
        had = f"it is in {len(having)}, {having[0].label} to {having[-1].label}" if having else "it is in none"
        raise Missing(f"row {leaf.hex()} of table {table} is not in build {label or 'of this archive'}: {had}")
    built = chosen[-1]
    return built.label, [
        _step(1, "log entries", lambda: _log(archive)),
        _step(2, "who signs", archive.check_signers),
        _step(3, "build statement", lambda: _statements(archive, [built])),
        _step(4, "place in table", lambda: _placed(archive, built, table, at)),
        _step(5, "sealed row", lambda: _opened(archive, table, at)),
    ]


def _found(archive: Archive, leaf: bytes) -> tuple[str, int]:
    for table in TABLES:
        index = archive.index(table)
        if len(at := np.flatnonzero((index.leaf == np.frombuffer(leaf, np.uint8)).all(axis=1))):
            return table, int(at[-1])
    raise Missing(f"row {leaf.hex()} is in no table of this archive: wanted a leaf, 64 hexadecimal digits")


def _placed(archive: Archive, built: entries.Built, table: str, at: int) -> Iterator[str]:
    index = archive.index(table)
    leaves = np.sort(rows.as_keys(index.leaf[index.standing(built.number)]))
    tree = merkle.Tree(np.ascontiguousarray(leaves).view(np.uint8))
    place = int(np.searchsorted(leaves, rows.as_keys(index.leaf[at : at + 1]))[0])
    computed = merkle.root_from_path(index.leaf[at].tobytes(), place, tree.size, tree.path(place)).hex()
    logged = next(t.root for t in built.tables if t.name == table)
    same = computed == logged
    yield "" if same else f"row {place} of table {table} makes root {computed}, logged as {logged}"
    yield _flat_fault(archive, built, table, leaves)


def _opened(archive: Archive, table: str, at: int) -> Iterator[str]:
    """It opens to its leaf; or it died, and the disposal that it died by accounts for it."""
    index = archive.index(table)
    if number := int(index.died[at]):
        certificate = disposal.certificate(archive, archive.history.disposals[number - 1].first.disposal)
        same = expunging.roots_of(archive, number)[0] == certificate.holes
        yield "" if same else f"certificate of disposal {certificate.disposal} accounts for other rows than are gone"
    else:
        archive.sealer.open(table, index.rows(np.array([at])))
        yield ""


def relied_on(archive: Archive) -> list[str]:
    """What a check of this archive by its own keeper rests on, in words."""
    said = [f"the key that signed the head, {archive.vkey}: whoever holds it can sign another history"]
    try:
        said += _outside(archive)
    except ProvenanceError as error:  # step 11 has it as a fault
        said.append(f"nothing from outside the force, since it cannot be read: {error}")
    return said


def _outside(archive: Archive) -> Iterator[str]:
    policy, kept = witnessing.policy_of(archive), heads.Heads(archive.root / "log" / "heads")
    opened = (policy.open(kept.read(size)) for size in reversed(kept.sizes()))
    last = next((head for head in opened if head.cosigned), None)
    if last:
        names = ", ".join(dict.fromkeys(line.name for line in last.cosigned))
        enough = "" if last.quorum_met else ", fewer than the policy wants"
        yield f"{names}, who signed the head of {last.checkpoint.size:,} of {archive.log.size:,} entries{enough}"
    else:
        yield "no witness outside the force: none has signed a head"
    if published := publicising.series(archive):
        yield f"{len(published):,} published heads, the last for {published[-1].label}, as this copy has them"
    else:
        yield "no published head: none has been published"
    if stamps := sum(len(kept.stamps(size)) for size in kept.sizes()):
        yield f"{stamps:,} time stamps, judged by the certificates in log/tsa"
    else:
        yield "no time stamp: all times are by the force's own clock"


def insist(taken: list[Step]) -> None:
    """Raises Tampered with every fault that the steps found."""
    faults = [f"{step.name}: {fault}" for step in taken for fault in step.faults]
    if faults:
        raise Tampered("archive does not verify: " + "; ".join(faults))


def _step(number: int, name: str, look: Callable[[], Iterator[str]]) -> Step:
    """A disposal that comes in between is no fault: the step is taken again, of the archive as it is."""
    return steps.take(number, name, look, again=(Overtaken,))


def _log(archive: Archive) -> Iterator[str]:
    archive.log.verify()
    for _ in range(archive.log.size):
        yield ""


def _order(archive: Archive) -> Iterator[str]:
    before = None
    for place, built in enumerate((act for act in archive.log.acts() if isinstance(act, entries.Built)), start=1):
        if built.number != place:
            yield f"build {built.label} has number {built.number} and is the {place}. in the log"
        elif before and built.cut_off <= before.cut_off:
            yield f"build {built.label} took records up to {built.cut_off}, no later than build {before.label}"
        else:
            yield ""
        before = built


def _files(archive: Archive, builds: list[entries.Built] | None, report: Report) -> Iterator[str]:
    named, at_rest = dict(archive.history.files), archive.history.files_at_rest
    if builds is not None:
        own = {file.path for built in builds for file in built.files}
        named = {path: sha256 for path, sha256 in named.items() if path in own}
    for done, (name, sha256) in enumerate(sorted(named.items())):
        report("Files", done, len(named))
        path = archive.root / name
        if not path.exists():
            yield f"file {name} is not there"
        else:
            # While a disposal is at work, or was cut off, a file is as it was or as it is to be.
            known = {sha256, at_rest.get(name)}
            yield "" if rows.digest(path) in known else f"file {name} has other bytes than those that were logged"
    if builds is None:
        unlogged = archive.unlogged()
        begun = {_begun(archive, path) for path in unlogged if path.parent.parent.name not in _NUMBERED}
        for path in unlogged:
            if _begun(archive, path) is None or len(begun) > 1:
                yield f"file {archive.relative(path)} is in the archive and the log does not know it"
        yield from openings.faults(archive)
        yield from reporting.faults(archive)
    report("Files", len(named), len(named))


_NUMBERED = {
    "received": (*SOURCE_TABLES, "changes"),
    "disposals": ("fates", "again", "gaps", "left_out", "link"),
}


def _begun(archive: Archive, path: Path) -> str | None:
    """Which extract, build or disposal, at work or cut off, would have written this file that the log does not know; or
    None.

    Nothing reads such a file, and the next one writes over it or removes it. There is one writer, so there is one such
    of each at most, and it comes after all that the log knows.
    """
    if path.parent.parent.name in _NUMBERED:
        name, known = path.parent.name, path.suffix == ".part" or path.stem in _NUMBERED[path.parent.parent.name]
        held = archive.history.disposals if path.parent.parent.name == "disposals" else archive.history.extracts
        return name if known and name == f"{len(held) + 1:04d}" else None
    label = re.fullmatch(r"\.?(\d{4}-W(?:0[1-9]|[1-4]\d|5[0-3]))(\.\d+)?\..+", path.name)
    if not label:
        return None
    last = archive.history.builds[-1].label if archive.history.builds else ""
    later = label[1] >= last.split(".")[0] and label[1] + (label[2] or "") != last
    return label[1] + (label[2] or "") if later else None


def _statements(archive: Archive, builds: list[entries.Built]) -> Iterator[str]:
    previous = {later.number: earlier.statement for earlier, later in _pairs(archive.history.builds)}
    kept: dict[str, str] = {}
    for built in builds:
        try:
            stated = asof.Snapshot(archive, built, None).statement
        except Overtaken:
            raise
        except ProvenanceError as error:
            yield str(error)
            continue
        for edition in stated.harm_tables:
            if edition.digest not in kept:
                kept[edition.digest] = _kept_fault(archive, edition)
                yield kept[edition.digest]
        said = (stated.label, stated.number, stated.cut_off, stated.tables, stated.previous)
        wanted = (built.label, built.number, built.cut_off, built.tables, previous.get(built.number, ""))
        yield "" if said == wanted else f"statement of build {built.label} says something else than the log"


def _kept_fault(archive: Archive, edition: statements.Edition) -> str:
    path = archive.harm_file(edition.digest)
    if not path.exists():
        return f"harm table {edition.name} is not kept: wanted {archive.relative(path)}"
    if rows.digest(path) != edition.digest:
        return f"harm table {edition.name} is not the one that was stated: {archive.relative(path)}"
    return ""


def _papers(archive: Archive) -> Iterator[str]:
    separate = apart.acts(archive)
    scheduling.check(archive)
    yield from papers.faults(archive, [act for act in separate if isinstance(act, entries.Scheduled)])


def _pairs(builds: list[entries.Built]) -> Iterator[tuple[entries.Built, entries.Built]]:
    return itertools.pairwise(builds)


def _roots(archive: Archive, builds: list[entries.Built], report: Report) -> Iterator[str]:
    for done, built in enumerate(builds):
        report("Roots", done, len(builds))
        for name in TABLES:
            try:
                leaves = asof.leaves_of(archive, built, name)
                fault = asof.root_fault(archive, built, name, leaves)
                yield fault or _flat_fault(archive, built, name, leaves)
            except Overtaken:
                raise
            except ProvenanceError as error:
                yield str(error)
    report("Roots", len(builds), len(builds))


def _flat_fault(archive: Archive, built: entries.Built, table: str, leaves: np.ndarray) -> str:
    """As `asof.flat_fault`. A statement that cannot be read has its own step, and says nothing here."""
    try:
        stated = archive.stated(built)
    except Overtaken:
        raise
    except ProvenanceError:
        return ""
    return asof.flat_fault(stated, table, leaves)


def _rows(archive: Archive, builds: list[entries.Built] | None, report: Report) -> Iterator[str]:
    for name in TABLES:
        index = archive.index(name)
        at = np.arange(len(index)) if builds is None else index.standing(builds[0].number)
        at = at[index.died[at] == 0]
        if name in SOURCE_TABLES:
            at = at[np.argsort(index.segment[at], kind="stable")]
        size, start = archive.crew.round, 0
        while start < len(at):
            shares = [at[first : first + size] for first in range(start, len(at), size)]
            checked = archive.sealer.check(name, map(index.rows, shares))
            try:
                for share, _ in zip(shares, checked, strict=True):
                    report(f"Rows: {name}", start, len(at))
                    start += len(share)
            except Overtaken:
                raise
            except ProvenanceError:  # of this share, or of the next one, which was being got ready: so ask it alone
                try:
                    list(archive.sealer.check(name, [index.rows(at[start : start + size])]))
                except Overtaken:
                    raise
                except ProvenanceError as error:
                    yield str(error)
                start += size
        for _ in range(len(at)):
            yield ""
        report(f"Rows: {name}", len(at), len(at))


def _vault(archive: Archive) -> Iterator[str]:
    """Secrets that living rows need and the vault lacks: no disposal destroyed them, so the vault lost them."""
    for name in TABLES:
        lost = archive.lost(name)
        yield (
            f"the vault lacks {lost} secrets that rows of table {name} need, and the log disposed of none of them"
            if lost
            else ""
        )


def _disposals(archive: Archive) -> Iterator[str]:
    """Those that are certified; one that was cut off is no fault, and `provenance dispose list` says so."""
    done = archive.history.disposals[: archive.vault.disposals]
    gone = np.array([t for d in done for t in d.nominals + d.records], np.int64)
    held = int(archive.vault.retained(gone).sum())
    yield f"the vault still holds {held} secrets that the log disposed of" if held else ""
    for name in TABLES:
        left = len(archive.index(name).reached(gone))
        yield f"{left} rows of table {name} rest on what the log disposed of" if left else ""
    for act in archive.history.disposals:
        if act.certified is None:
            continue
        try:
            certificate = disposal.certificate(archive, act.first.disposal)
        except Overtaken:
            raise
        except ProvenanceError as error:
            yield str(error)
            continue
        said = (certificate.number, certificate.holes, certificate.heirs, certificate.files)
        wanted = (act.number, *expunging.roots_of(archive, act.number), act.expunged.files)
        yield (
            ""
            if said == wanted
            else f"certificate of disposal {act.first.disposal} accounts for other rows than those that are gone"
        )
        for name in TABLES:
            left = _tokens_left(archive, name, act.number)
            if left:  # perhaps the files were read before they were written again, and certified since
                archive.forget()
                left = _tokens_left(archive, name, act.number)
            yield (
                f"{left} rows of table {name} that disposal {act.first.disposal} certified gone are there"
                if left
                else ""
            )


def _tokens_left(archive: Archive, table: str, number: int) -> int:
    """How many of the rows that died by a disposal still name somebody."""
    index = archive.index(table)
    dead = np.flatnonzero(index.died == number)
    return int(((index.a[dead] != 0) | (index.b[dead] != 0) | (index.ends[dead + 1] > index.ends[dead])).sum())


def _shown(archive: Archive) -> Iterator[str]:
    policy = heads.read_policy(archive.root / "log")
    yield from heads.faults(archive.log, archive.signers(), policy)
    yield from stamping.faults(archive)
    yield from publicising.faults(archive)
