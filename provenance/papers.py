"""Words that an act rests on and that the log may not hold: descriptions, reasons, what was withheld and why.

Each is sealed under the secrets of everybody and everything that it is about, as a row is, and the log has its leaf. So
a disposal closes it in every copy while the log still shows that there was one, and that it is the one that was kept.

    disclosure/papers/<leaf>    the tokens it is about, a line break, the box

Beside them lie saved queries, `disclosure/<id>.query`, whose digests the log has.

Who writes here: the acts of disclosure, each before its entry. A crash between leaves a paper that no entry names:
nobody reads it, and it goes with those it is about. If a paper is lost, so are its words. A liar who edits one is found
by its leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from provenance import canonical, durable, rows, vault
from provenance.archive import Archive
from provenance.entries import Act, Answered, Requested, Scheduled, packed, unpacked
from provenance.errors import Malformed, Missing, ProvenanceError
from provenance.sealing import leaf_batch, open_batch, seal_batch

FOLDER = "disclosure"
ITEM, WITHHELD = "item", "withheld"  # kinds of papers: label their seals, as a table's name does


def keep(archive: Archive, kind: str, about: Iterable[int], content: Any) -> str:
    """Seal a paper about these tokens (the archive's own where there are none) and return its leaf, once it is on disk.

    Only for a writer. Raises Missing where one of them is gone.
    """
    tokens = _about(about)
    (leaf,), (box,) = seal_batch(kind, [_secret(archive, tokens)], [canonical.dumps(content)])
    durable.write(_path(archive, leaf.hex()), packed(tokens).encode() + b"\n" + box, mode=0o600)
    return leaf.hex()


def leaf(archive: Archive, kind: str, about: Iterable[int], content: Any) -> str:
    """The leaf that `keep` would give, for what is not to be kept: a digest that no guess can be tried on."""
    return leaf_batch(kind, [_secret(archive, _about(about))], [canonical.dumps(content)])[0].hex()


def read(archive: Archive, kind: str, leaf: str, about: Iterable[int]) -> Any | None:
    """A paper's content; None where some of whom it is about has been disposed of.

    Raises Missing for a paper that is not there and should be, Tampered for another one.
    """
    tokens, path = _about(about), _path(archive, leaf)
    if not archive.vault.retained(tokens).all():
        return None
    try:
        box = path.read_bytes().partition(b"\n")[2]
    except FileNotFoundError:
        raise Missing(f"file {archive.relative(path)} is not there: an entry of the log names it") from None
    return canonical.loads(open_batch(kind, [_secret(archive, tokens)], [bytes.fromhex(leaf)], [box])[0])


def expunge(archive: Archive) -> int:
    """Remove the papers about what has been disposed of, once the vault has let go of it; how many there were."""
    count = 0
    for path in sorted((archive.root / FOLDER / "papers").glob("*")):
        head = path.read_bytes().partition(b"\n")[0]
        tokens = np.array(unpacked(head.decode("ascii", "replace")) if path.suffix != ".part" else [], np.int64)
        if len(tokens) and not archive.vault.retained(tokens).all():
            durable.remove(path)
            count += 1
    return count


def faults(archive: Archive, apart: Iterable[Act] = ()) -> Iterator[str]:
    """ "" for each paper and saved query that is as the log has it, a sentence for each that is not; `apart`, acts of
    the register apart, whose papers are never counted (R28).

    What was written since the last backup may be lost by a restore, and that is no fault; nor is a paper whose act was
    cut off, as long as it opens to its own name.
    """
    restored = max((place for place, _ in archive.placed(["Restored"])), default=-1)
    named = set()
    for place, act in archive.placed(["Answered", "Scheduled"]):
        named.add(_paper_of(act)[1])
        yield _fault(archive, act, lost=place < restored)
    for act in apart:
        named.add(_paper_of(act)[1])
        yield from filter(None, [_fault(archive, act, lost=restored >= 0)])
    for path in sorted((archive.root / FOLDER / "papers").glob("*")):
        if path.suffix != ".part" and path.name not in named and not _opens(archive, path):
            yield f"file {archive.relative(path)} is in the archive and the log does not know it"
    for place, act in archive.placed(["Requested"]):
        path = archive.root / FOLDER / f"{act.query}.query" if isinstance(act, Requested) else archive.root
        if not path.is_file():
            yield f"file {archive.relative(path)} is not there" if place > restored else ""
        else:
            same = isinstance(act, Requested) and hashlib.sha256(path.read_bytes()).hexdigest() == act.sealed
            yield "" if same else f"file {archive.relative(path)} has other bytes than those that were logged"


def _fault(archive: Archive, act: Act, *, lost: bool) -> str:
    kind, leaf, about = _paper_of(act)
    path = _path(archive, leaf)
    if not path.is_file() and (lost or not archive.vault.retained(_about(about)).all()):
        return ""
    try:
        said = read(archive, kind, leaf, about)
    except Missing as error:
        return str(error)
    except ProvenanceError as error:
        return f"file {archive.relative(path)}: {error}"
    at_work = archive.history.disposals and archive.history.disposals[-1].certified is None
    if said is None and not at_work:
        return f"file {archive.relative(path)} is still there, and whom it is about has been disposed of"
    return ""


def _paper_of(act: Act) -> tuple[str, str, list[int]]:
    """Kind, leaf and tokens of the paper that an act names."""
    if isinstance(act, Answered):
        return WITHHELD, act.paper, unpacked(act.nominals)
    assert isinstance(act, Scheduled)
    return ITEM, act.paper, unpacked(act.nominals) + unpacked(act.records)


def _opens(archive: Archive, path: Path) -> bool:
    """Whether it is a paper: one whose act was cut off before it was logged, and which nobody reads."""
    try:
        about = unpacked(path.read_bytes().partition(b"\n")[0].decode("ascii", "replace"))
    except (ProvenanceError, ValueError):
        return False
    for kind in (ITEM, WITHHELD):
        try:
            read(archive, kind, path.name, about)
            return True
        except ProvenanceError:
            continue
    return False


def _about(about: Iterable[int]) -> np.ndarray:
    tokens = np.array(sorted(set(about)), np.int64)
    return tokens if len(tokens) else np.array([vault.ARCHIVE_TOKEN], np.int64)


def _secret(archive: Archive, tokens: np.ndarray) -> bytes:
    return rows.joined(archive.vault.secrets_of(tokens), np.array([len(tokens)]))[0].as_py()


def _path(archive: Archive, leaf: str) -> Path:
    if len(leaf) != 64:
        raise Malformed("paper is named by 64 hexadecimal digits")
    return archive.root / FOLDER / "papers" / leaf
