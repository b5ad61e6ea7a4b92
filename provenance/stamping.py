"""When the log was as it is, in the word of time-stamping authorities that the force does not run.

    log/tsa/NAME.pem           the certificates by which the stamps of authority NAME are judged
    log/heads/SIZE.NAME.tsr    its raw response over a head that was shown, see `heads`

A stamp is judged before it is kept, and again whenever the archive is verified: by certificates that were valid at the
moment of the stamp, so that it is worth as much when they have expired. Further certificates of an authority are put
beside those that are there, which the older stamps need.

Who writes here: `trust` and `add`. If log/tsa is lost, the certificates can be had from the authority again. A liar who
could edit it could make us believe in a stamp of his own making; so whoever doubts the force takes the certificates
from the authority, and judges the raw response with `openssl ts`.

Refused: a stamp over no head that was shown, or by an authority whose certificates are not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from provenance import durable, heads, moments, publicising, stamps
from provenance.archive import Archive
from provenance.errors import Malformed, Missing, ProvenanceError, Refused, Tampered
from provenance.heads import Heads
from provenance.stamps import Stamp

_LARGEST_PEM = 1_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What an authority is asked: to stamp the head of `size` entries."""

    size: int
    body: bytes  # DER; a `.tsq` file, or the body of a POST


@dataclass(frozen=True, slots=True)
class Stamped:
    """One stamp that is kept, judged now."""

    size: int
    label: str  # the latest build that the head commits to, "" when there is none
    authority: str
    at: datetime | None  # UTC; None when it does not verify
    fault: str  # "" when it verifies


def request(archive: Archive) -> Request:
    """Ask for a stamp over the log's head; the head is in log/heads before the request leaves."""
    archive.refresh()
    note = archive.log.checkpoint
    path = _heads(archive).keep(note, archive.signers())
    return Request(int(path.name), stamps.request(heads.bare(note, archive.signers())))


def trust(archive: Archive, name: str, pem: bytes) -> int:
    """Judge the stamps of authority `name` by these certificates and those it has. How many there are now.

    Raises Malformed on a name that is no file's, and on anything but a chain up to a root.
    """
    heads.check_authority(name)
    if len(pem) > _LARGEST_PEM:
        raise Malformed(f"certificates of authority {name}: {len(pem)} bytes, wanted at most {_LARGEST_PEM}")
    stamps.authority(pem)
    path = _certificates(archive, name)
    with durable.one_writer(path.parent):
        every = stamps.joined(*([path.read_bytes()] if path.exists() else []), pem)
        durable.write(path, every)
    return len(stamps.authority(every))


def add(archive: Archive, name: str, raw: bytes) -> Stamped:
    """Keep a response of authority `name`, once it is seen to be good for one of the heads that were shown.

    One of that authority over that head that is there already stays, being the older one, and is the answer.
    """
    certificates = _read_certificates(archive, name)
    stamp = Stamp.parse(raw)
    held = _heads(archive)
    for size in reversed(held.sizes()):
        data = heads.bare(held.read(size), archive.signers())
        if stamp.covers(data):
            stamp.check(data, certificates)
            held.add_stamp(size, name, raw)
            return next(each for each in listed(archive) if (each.size, each.authority) == (size, name))
    raise Refused(
        f"time stamp is over no head that was shown: digest {stamp.imprint.hex()}, wanted that of a file in log/heads; "
        "`provenance timestamp request` writes a request"
    )


def listed(archive: Archive) -> list[Stamped]:
    """Every stamp that is kept, judged now, by size and then by authority."""
    held = _heads(archive)
    stamped = {size: held.stamps(size) for size in held.sizes() if held.stamps(size)}
    built = publicising.labels(archive.log, min(max(stamped, default=0), archive.log.size))
    found = []
    for size, responses in stamped.items():
        for name, raw in responses.items():
            at, fault = None, ""
            try:
                data = heads.bare(held.read(size), archive.signers())
                at = Stamp.parse(raw).check(data, _read_certificates(archive, name))
            except ProvenanceError as error:
                fault = str(error)
            found.append(Stamped(size, publicising.latest_at(built, size), name, at, fault))
    return found


def faults(archive: Archive) -> Iterator[str]:
    """What is wrong with the stamps, for `verify`: "" for each thing that is good, a sentence for each that is not."""
    for stamped in listed(archive):
        name = f"log/heads/{stamped.size}.{stamped.authority}.tsr"
        yield f"time stamp {name}: {stamped.fault}" if stamped.fault else ""
    folder = archive.log.folder / "tsa"
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        if path.name == ".writer" or path.suffix == ".part":  # of durable
            continue
        try:
            if path.suffix != ".pem" or not path.is_file():
                raise Tampered("nothing of this kind is kept there, wanted certificates NAME.pem")
            heads.check_authority(path.stem)
            stamps.authority(path.read_bytes())
        except ProvenanceError as error:
            yield f"time-stamping authority log/tsa/{path.name}: {error}"
        else:
            yield ""


def described(stamped: Stamped) -> str:
    """For people to read: the moment in London, or what is wrong."""
    return f"there by {moments.london(stamped.at)}" if stamped.at else f"does NOT verify: {stamped.fault}"


def _heads(archive: Archive) -> Heads:
    return Heads(archive.log.folder / "heads")


def _certificates(archive: Archive, name: str) -> Path:
    return archive.log.folder / "tsa" / f"{name}.pem"


def _read_certificates(archive: Archive, name: str) -> bytes:
    heads.check_authority(name)
    try:
        return _certificates(archive, name).read_bytes()
    except FileNotFoundError:
        raise Missing(
            f"certificates of time-stamping authority {name} are not there: wanted log/tsa/{name}.pem; "
            "`provenance timestamp authority` puts them there"
        ) from None
