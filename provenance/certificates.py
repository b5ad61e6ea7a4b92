"""The certificate of a disposal: what was destroyed, under what authority, by whom, and how that was verified.

It names kinds, counts, builds, dates and people who decided; never what was disposed of, and nothing that a guess could
be tried on (R33). The holes that it accounts for are the bare leaves of the rows that died: the certificate carries
the RFC 6962 root over them, and over the pairs of leaves where a row lives on with less, so an outsider who has the
segments can check that nothing else changed. A DSSE v1 envelope under the archive's key.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance import canonical, statements
from provenance.entries import (
    Code,
    Count,
    Digest,
    Escrow,
    Id,
    Instant,
    Label,
    StoredFile,
    Text,
    Value,
    as_json,
    from_json,
)
from provenance.errors import Malformed, Tampered
from provenance.notes import Signer, Verifier

PAYLOAD_TYPE = "application/vnd.provenance.certificate+json"
METHOD = (
    "Each row is sealed under the secrets of everything it was derived from. The secrets of what is certified here "
    "were destroyed, and the vault was sealed under a new master key, so that no older copy of it opens. The rows that "
    "rested on them were then removed from the files, from the copies that DVC keeps, and from what is derived. Their "
    "digests stay where they stood, so that every root that was published still verifies."
)
CHECKED = (
    "the vault holds none of the secrets, and opens under the new master key alone",
    "no file has a row left that rests on what was destroyed",
    "each file that was written again has the digest of every row where it stood, and all other rows as they were",
    "each link that is kept with less behind it opens, and agrees with its own digest",
    "no copy that DVC keeps has the files as they were before",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCount(Value):
    """Rows of one table."""

    table: Code
    rows: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRef(Value):
    """A build that had one of the rows."""

    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCount(Value):
    """Objects removed from one DVC remote."""

    remote: Text
    objects: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate(Value):
    """What R36 asks for."""

    disposal: Id
    number: Count
    archive: Text
    nominals: Count
    records: Count
    authority: Text
    reason: Code
    disposed_on: Instant
    certified_on: Instant
    by: Text
    approved_by: Text
    builds: tuple[BuildRef, ...]
    died: tuple[TableCount, ...]  # rows that are gone, those with an heir among them
    reduced: Count  # links that live on with less
    marked: tuple[TableCount, ...]  # figures computed with what has since been erased
    holes: Digest  # RFC 6962, over the leaves of the rows that died, in byte order
    heirs: Digest  # RFC 6962, over old leaf and new leaf together, in byte order
    files: tuple[StoredFile, ...]  # those written again, as they are now
    cache_objects: Count  # removed from DVC's local cache
    remotes: tuple[RemoteCount, ...]
    tags: Count  # of builds, moved to the files as they are now
    escrow: Escrow  # of a copy of the master key from before, by what the force had said when the disposal was logged


def to_bytes(certificate: Certificate) -> bytes:
    """The certificate as canonical JSON, with the method and what was checked in words."""
    return canonical.dumps({**as_json(certificate), "method": METHOD, "checked": list(CHECKED)})


def sign(certificate: Certificate, key: Signer) -> bytes:
    """The certificate in its envelope."""
    return statements.enveloped(to_bytes(certificate), PAYLOAD_TYPE, key)


def opened(data: bytes, *vkeys: Verifier) -> Certificate:
    """The certificate in an envelope. Raises Tampered unless one of `vkeys` signed it and it is in its one form."""
    try:
        payload = statements.payload_of(data, PAYLOAD_TYPE, *vkeys)
        content = canonical.loads(payload)
        certificate = from_json(Certificate, {k: v for k, v in content.items() if k not in ("method", "checked")})
        if to_bytes(certificate) != payload:
            raise Malformed("another method or other checks than those of this form")
    except (Malformed, Tampered, AttributeError) as error:
        raise Tampered(f"certificate does not verify: {error}") from error
    return certificate
