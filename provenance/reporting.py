"""Reports that a page is wrong: made by who was shown it, looked into by somebody else.

What a reporter says in words may speak of people. It is sealed under the secrets of those whom the page was about; of a
page about nobody in particular, under those of everybody whose rows it opened. So it dies with the first of them who is
disposed of; what was reported, and what was found, stays in the log in codes.

Who writes here: whoever serves pages, into `reported/`, before the entry that names the file. If that is lost, so are
the words. A liar who edits it is found by the digest in the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from provenance import canonical, durable, entries, openings, rows, staff
from provenance.archive import Archive
from provenance.entries import StoredFile
from provenance.errors import Malformed, Missing, Refused, Tampered
from provenance.reports import CAUSES, FINDINGS, IN_ERROR, NO_CAUSE, URGENCIES, WRONG, Report
from provenance.sealing import open_batch, opened_blob, seal_batch, sealed_blob

FOLDER = "reported"
WORDS_AT_MOST = 2_000  # characters
_TABLE = "report"  # labels the seal, as a table's name does


def report(archive: Archive, view: int, *, wrong: str, words: str, on: str, by: str, under: str) -> Report:
    """Log that the page shown at place `view` of the log is wrong, in one of the codes of WRONG.

    Raises Missing where no page was shown there, or where whom it was about is gone; Malformed.
    """
    shown = next(archive.log.acts(view, view + 1), None) if 0 <= view < archive.log.size else None
    if not isinstance(shown, entries.Viewed):
        raise Missing(f"log entry {view} is no page view: wanted the number of one")
    if wrong not in WRONG:
        raise Malformed(f"what is wrong is not said in a code that there is: wanted one of {', '.join(WRONG)}")
    words = words.strip()
    if len(words) > WORDS_AT_MOST:
        raise Malformed(f"report has {len(words):,} characters: wanted at most {WORDS_AT_MOST:,}")
    files = (_keep(archive, shown, words, on=on, by=by),) if words else ()
    act = entries.Reported(
        on=on, by=by, under=under, view=view, label=shown.label, asked=shown.asked, nominals=shown.nominals,
        case=shown.case, shown=shown.shown, wrong=wrong, files=files,
    )  # fmt: skip
    place = archive.append(act).start
    number = sum(at <= place for at, _ in archive.placed(["Reported"]))  # others may have come meanwhile
    return archive.history.report(number)


def triage(archive: Archive, number: int, *, urgency: str, to: str, on: str, by: str, under: str) -> Report:
    """Log how soon a report has to be settled, by a code of URGENCIES, and who looks into it. What is said last holds.

    Raises Missing, Malformed, or Refused where who is to look into it is who made it.
    """
    with archive.writing():
        held = archive.history.report(number)
        if urgency not in URGENCIES:
            raise Malformed(f"urgency is not said in a code that there is: wanted one of {', '.join(URGENCIES)}")
        if staff.is_same(to, held.act.by):
            raise Refused(f"report {number} would be looked into by the person who made it: wanted somebody else")
        archive.append(entries.Triaged(on=on, by=by, under=under, report=number, urgency=urgency, to=to))
    return archive.history.report(number)


def settle(
    archive: Archive,
    number: int,
    *,
    finding: str,
    cause: str,
    corrected: bool,
    first: str = "",
    carried: str = "",
    on: str,
    by: str,
    under: str,
) -> Report:
    """Log what was found of a report, in the codes of FINDINGS and CAUSES.

    `first` is the first build that was in error, that of the page if it is left out; `carried` the build that shows
    what is right, once there is one. Settled again, it is the last that holds. Raises Missing, Malformed, or Refused
    where who settles it is who reported it.
    """
    with archive.writing():
        held = archive.history.report(number)
        _check_codes(finding, cause)
        if staff.is_same(by, held.act.by):
            raise Refused(f"report {number} is settled by the person who made it: wanted somebody else")
        if finding == IN_ERROR:
            first = first or held.act.label
            begins, reported = archive.history.build(first).number, archive.history.build(held.act.label).number
            if begins > reported:
                raise Malformed(f"first build in error is {first}: wanted {held.act.label}, which was shown, or before")
            if carried and archive.history.build(carried).number <= reported:
                raise Malformed(f"correction is carried by {carried}: wanted a build after {held.act.label}")
            if cause == NO_CAUSE:
                raise Malformed(f"error has no cause: wanted one of {', '.join(set(CAUSES) - {NO_CAUSE})}")
        elif first or carried or corrected:
            raise Malformed(f"finding {finding} has nothing to correct: wanted no build and no correction")
        act = entries.Settled(
            on=on, by=by, under=under, report=number, finding=finding, cause=cause, corrected=int(corrected),
            first=first, carried=carried,
        )  # fmt: skip
        archive.append(act)
    return archive.history.report(number)


def words(archive: Archive, held: Report) -> str | None:
    """What the reporter said, "" for nothing; None once one of those under whose secrets it lay is gone.

    Raises Missing where its file is not there, Tampered where it is another one.
    """
    if not held.act.files:
        return ""
    (file,) = held.act.files
    path = archive.root / file.path
    if not path.is_file():
        raise Missing(f"file {file.path} is missing: what was said in report {held.number} lies in it")
    if rows.digest(path) != file.sha256:
        raise Tampered(f"file {file.path} has other bytes than those that were logged")
    said = canonical.loads(opened_blob(archive.vault.archive_secret, _TABLE, path.read_bytes()))
    tokens = np.array(entries.unpacked(said["parents"]), np.int64)
    if not archive.vault.retained(tokens).all():
        return None
    (row,) = open_batch(_TABLE, [_secret(archive, tokens)], [bytes.fromhex(said["leaf"])], [bytes.fromhex(said["box"])])
    return str(canonical.loads(row)["words"])


def faults(archive: Archive) -> Iterator[str]:
    """ "" for each report's file that is as it was logged, a sentence for each that is not. One that was written before
    a restore may be lost with the machine that it lay on; one whose report was cut off is named by its own digest."""
    restored = max((place for place, _ in archive.placed(["Restored"])), default=-1)
    named = {}
    for place, act in archive.placed(["Reported"]):
        for file in act.files if isinstance(act, entries.Reported) else ():
            named[file.path] = file.sha256
            path = archive.root / file.path
            if not path.is_file():
                yield f"file {file.path} is not there" if place > restored else ""
            else:
                same = rows.digest(path) == file.sha256
                yield "" if same else f"file {file.path} has other bytes than those that were logged"
    for path in sorted((archive.root / FOLDER).rglob("*")):
        name = archive.relative(path)
        if path.is_file() and path.suffix != ".part" and name not in named:
            mine = name == _name(rows.digest(path))
            yield "" if mine else f"file {name} is in the archive and the log does not know it"


def _check_codes(finding: str, cause: str) -> None:
    for what, said, codes in (("finding", finding, FINDINGS), ("cause", cause, CAUSES)):
        if said not in codes:
            raise Malformed(f"{what} is not said in a code that there is: wanted one of {', '.join(codes)}")


def _keep(archive: Archive, shown: entries.Viewed, words: str, *, on: str, by: str) -> StoredFile:
    tokens = np.array(entries.unpacked(shown.nominals), np.int64)
    if not len(tokens):
        tokens = openings.parents(archive, openings.read(archive, shown.leaves))
    if not archive.vault.retained(tokens).all():
        raise Missing("page was about somebody who has since been disposed of: there is nothing left to report on")
    row = canonical.dumps({"view": shown.shown, "on": on, "by": by, "words": words})
    (leaf,), (box,) = seal_batch(_TABLE, [_secret(archive, tokens)], [row])
    said = {"parents": entries.packed(tokens.tolist()), "leaf": leaf.hex(), "box": box.hex()}
    sealed = sealed_blob(archive.vault.archive_secret, _TABLE, canonical.dumps(said))
    digest = hashlib.sha256(sealed).hexdigest()
    path = archive.root / _name(digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, sealed, mode=0o600)
    return StoredFile(path=_name(digest), sha256=digest)


def _secret(archive: Archive, tokens: np.ndarray) -> bytes:
    return bytes(rows.joined(archive.vault.secrets_of(tokens), np.array([len(tokens)]))[0].as_py())


def _name(digest: str) -> str:
    return f"{FOLDER}/{digest[:2]}/{digest[2:]}"
