"""A build statement says what a build is and everything that it was made from, under the force's key.

An in-toto Statement v1 with a SLSA v1 provenance predicate, in a DSSE v1 envelope signed with Ed25519. A statement
that lacks anything R01 asks for cannot be made; an envelope that is not in the one form we write, or that no known
key signed, is not opened.

Each table is a subject under two digests, as in-toto allows. One is the root of the tree over its leaves, which is what
the log has too and what a proof leads to. The other is the plain SHA-256 of the same leaves laid end to end, by which
the whole table is checked in a tenth of the time. Statements made before version 1.1 lack it, and stay as they are.

A statement's digest, wherever one is asked for, is the SHA-256 of its envelope as it lies on disk, so `sha256sum`
gives it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

from provenance import canonical
from provenance.entries import (
    Code,
    Count,
    Digest,
    Feed,
    Form,
    Instant,
    Label,
    Rekeyed,
    Table,
    Text,
    Value,
    as_json,
    from_json,
)
from provenance.errors import Malformed, Tampered
from provenance.notes import Signer, Verifier, decode_base64, encode_base64

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENDORSEMENT_TYPE = "application/vnd.provenance.endorsement+json"  # signed as DSSE signs, and kept in the log's entry
BUILD_TYPE = "https://provenance.example/weekly-build/v1"  # our names, not addresses: nothing is fetched from them
BUILDER_ID = "https://provenance.example/builder/v1"
ROOT_DIGEST = "rfc6962-sha256"  # the RFC 6962 root over a table's leaves in byte order, lowercase hexadecimal
FLAT_DIGEST = "sha256"  # in-toto's name for the digest of a file: here of the same leaves, laid end to end

# The papers that R01 and design section 5 name; a force may cite more.
REQUIRED_DOCUMENTS = frozenset({"technical_report", "dpia", "algo_care", "ethics_advice", "policy_document"})


def _is_commit(value: Any) -> bool:
    return type(value) is str and len(value) in (40, 64) and not set(value) - set("0123456789abcdef")


def _is_object(value: Any) -> bool:
    return type(value) is bytes and isinstance(canonical.loads(value), dict)


def _or_empty(annotated: Any) -> Form:
    form: Form = annotated.__metadata__[0]
    return Form(f"{form.wanted}, or nothing", lambda value: value == "" or form.holds(value))


Commit = Annotated[str, Form("a git commit, 40 or 64 lowercase hexadecimal digits", _is_commit)]
Params = Annotated[bytes, Form("canonical JSON of an object", _is_object)]
DigestOrNone = Annotated[str, _or_empty(Digest)]
TextOrNone = Annotated[str, _or_empty(Text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Value):
    """One version of a governance document; without a digest, one that the force has not supplied, which is said."""

    name: Code
    version: TextOrNone
    digest: DigestOrNone  # SHA-256 of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition(Value):
    """One edition of a harm table."""

    name: Text
    digest: Digest  # SHA-256 of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact(Value):
    """One table as if it were a file: its leaves in byte order, laid end to end."""

    table: Code
    sha256: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine(Value):
    """What a build ran on, beside its packages: what may differ where the same build is made again."""

    system: Text  # operating system, processor and C library
    python: Text  # implementation and version
    threads: Count  # processors that the rules and the sealing were spread over
    hash_seed: Text  # PYTHONHASHSEED, "random" where none was set; no figure may depend on it
    other_lock: TextOrNone  # why packages other than the committed lock's were used; "" where they were not


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Value):
    """All of R01, of one build."""

    label: Label
    number: Count  # 1 for the archive's first build
    cut_off: Instant
    feeds: tuple[Feed, ...]
    tables: tuple[Table, ...]
    artifacts: tuple[Artifact, ...]  # of each table; of none, in statements made before version 1.1
    params: Params
    code: Commit
    package: Digest  # over the files of the code that ran, whatever git says
    environment: Digest  # SHA-256 of the lock file, or of the list of what was used instead (`machine.other_lock`)
    machine: Machine
    harm_tables: tuple[Edition, ...]
    documents: tuple[Document, ...]
    previous: DigestOrNone  # of the previous build's statement; only the first build has none
    builder_version: Text
    operator: Text
    started_on: Instant
    finished_on: Instant

    def __post_init__(self) -> None:
        Value.__post_init__(self)
        for name in ("feeds", "tables", "harm_tables"):
            if not getattr(self, name):
                raise Malformed(f"build statement: no {name}, wanted at least one")
        if self.artifacts and [a.table for a in self.artifacts] != [table.name for table in self.tables]:
            raise Malformed("build statement: artifacts of other tables than it names, wanted one of each, or none")
        if lacking := REQUIRED_DOCUMENTS - {document.name for document in self.documents}:
            raise Malformed(f"build statement: no document {', '.join(sorted(lacking))}, wanted each that R01 names")
        if (self.number == 1) != (self.previous == ""):
            raise Malformed(
                f"build statement: build {self.number} {'names a' if self.previous else 'names no'} previous "
                "statement, wanted one for each build but number 1"
            )
        if self.finished_on < self.started_on:
            raise Malformed(f"build statement: finished {self.finished_on}, before it started {self.started_on}")

    def flat(self, table: str) -> str:
        """SHA-256 of a table's leaves in byte order, laid end to end; "" where the statement has none."""
        return next((artifact.sha256 for artifact in self.artifacts if artifact.table == table), "")


def to_bytes(statement: Statement) -> bytes:
    """The in-toto Statement, as canonical JSON."""
    dependencies = [
        {"name": "code", "digest": {"gitCommit": statement.code}},
        {"name": "package", "digest": {"sha256": statement.package}},
        {"name": "environment", "digest": {"sha256": statement.environment}},
        {"name": "params", "digest": {"sha256": hashlib.sha256(statement.params).hexdigest()}},
    ]
    dependencies += [
        {"name": f"harm/{edition.name}", "digest": {"sha256": edition.digest}} for edition in statement.harm_tables
    ]
    dependencies += [
        {"name": f"document/{d.name}", "digest": {"sha256": d.digest}, "annotations": {"version": d.version}}
        for d in statement.documents
        if d.digest
    ]
    # in-toto wants each dependency to have a digest, so a paper that is not there is told apart.
    absent = [{"name": d.name, "version": d.version} for d in statement.documents if not d.digest]
    if statement.previous:
        dependencies.append({"name": "previous", "digest": {"sha256": statement.previous}})
    return canonical.dumps(
        {
            "_type": STATEMENT_TYPE,
            "predicateType": PREDICATE_TYPE,
            "subject": [
                {
                    "name": f"{statement.label}/{table.name}",
                    "digest": {ROOT_DIGEST: table.root, **_flat(statement.flat(table.name))},
                    "annotations": {"size": table.size},
                }
                for table in statement.tables
            ],
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "label": statement.label,
                        "number": statement.number,
                        "cutOff": statement.cut_off,
                        "feeds": [as_json(feed) for feed in statement.feeds],
                    },
                    "internalParameters": {
                        "params": canonical.loads(statement.params),
                        "documentsNotSupplied": absent,
                        "machine": as_json(statement.machine),
                    },
                    "resolvedDependencies": dependencies,
                },
                "runDetails": {
                    "builder": {"id": BUILDER_ID, "version": {"provenance": statement.builder_version}},
                    "metadata": {
                        "invocationId": f"{statement.label}/{statement.number}",
                        "startedOn": statement.started_on,
                        "finishedOn": statement.finished_on,
                        # SLSA v1 asks extensions for a name of this form.
                        "provenance_operator": statement.operator,
                    },
                },
            },
        }
    )


def _flat(sha256: str) -> dict[str, str]:
    return {FLAT_DIGEST: sha256} if sha256 else {}


def from_bytes(data: bytes) -> Statement:
    """Read an in-toto Statement. Raises Malformed unless it is the one way to write that statement."""
    content = canonical.loads(data)
    try:
        definition = content["predicate"]["buildDefinition"]
        external, run = definition["externalParameters"], content["predicate"]["runDetails"]
        dependencies = {dependency["name"]: dependency for dependency in definition["resolvedDependencies"]}
        statement = Statement(
            label=external["label"],
            number=external["number"],
            cut_off=external["cutOff"],
            feeds=tuple(from_json(Feed, feed) for feed in external["feeds"]),
            tables=tuple(
                Table(
                    name=subject["name"].partition("/")[2],
                    size=subject["annotations"]["size"],
                    root=subject["digest"][ROOT_DIGEST],
                )
                for subject in content["subject"]
            ),
            artifacts=tuple(
                Artifact(table=subject["name"].partition("/")[2], sha256=subject["digest"][FLAT_DIGEST])
                for subject in content["subject"]
                if FLAT_DIGEST in subject["digest"]
            ),
            params=canonical.dumps(definition["internalParameters"]["params"]),
            code=dependencies["code"]["digest"]["gitCommit"],
            package=dependencies["package"]["digest"]["sha256"],
            environment=dependencies["environment"]["digest"]["sha256"],
            machine=from_json(Machine, definition["internalParameters"]["machine"]),
            harm_tables=tuple(
                Edition(name=name.removeprefix("harm/"), digest=dependency["digest"]["sha256"])
                for name, dependency in dependencies.items()
                if name.startswith("harm/")
            ),
            documents=tuple(
                Document(
                    name=name.removeprefix("document/"),
                    version=dependency["annotations"]["version"],
                    digest=dependency["digest"]["sha256"],
                )
                for name, dependency in dependencies.items()
                if name.startswith("document/")
            )
            + tuple(
                Document(name=document["name"], version=document["version"], digest="")
                for document in definition["internalParameters"]["documentsNotSupplied"]
            ),
            previous=dependencies["previous"]["digest"]["sha256"] if "previous" in dependencies else "",
            builder_version=run["builder"]["version"]["provenance"],
            operator=run["metadata"]["provenance_operator"],
            started_on=run["metadata"]["startedOn"],
            finished_on=run["metadata"]["finishedOn"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"build statement: incomplete, wanted all fields of R01: {error}") from error
    if to_bytes(statement) != data:
        raise Malformed("build statement: fields that its form does not have, or arrays out of order")
    return statement


def pae(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE v1 signature is over (its pre-authentication encoding).

    It starts with `DSSEv1` and, over our payloads, does not end in a newline as each signed note's text does: so one
    key may sign both, and neither signature passes for the other.
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(statement: Statement, key: Signer) -> bytes:
    """The statement in a signed DSSE envelope. Ed25519 is deterministic: the same statement and key, the same bytes."""
    return enveloped(to_bytes(statement), PAYLOAD_TYPE, key)


def enveloped(payload: bytes, payload_type: str, key: Signer) -> bytes:
    """Any payload in a signed DSSE envelope."""
    signature = {
        "keyid": f"{key.verifier.name}+{key.verifier.key_id.hex()}",
        "sig": encode_base64(key.sign(pae(payload_type, payload))),
    }
    return canonical.dumps({"payload": encode_base64(payload), "payloadType": payload_type, "signatures": [signature]})


def endorse(key: Signer, place: int, vkey: str) -> str:
    """A key's word that from log entry `place` on the key `vkey` signs in its stead; base64, for the entry itself."""
    return encode_base64(key.sign(_endorsed(place, vkey)))


def check_endorsement(act: Rekeyed, before: Verifier) -> None:
    """Raises Tampered unless `before` endorsed the key that the entry names."""
    try:
        Verifier.parse(act.vkey)
        before.verify(_endorsed(act.place, act.vkey), decode_base64("endorsement", act.endorsement))
    except (Malformed, Tampered) as error:
        raise Tampered(f"key of log entry {act.place} is not endorsed by the one before it: {error}") from error


def _endorsed(place: int, vkey: str) -> bytes:
    return pae(ENDORSEMENT_TYPE, canonical.dumps({"entry": place, "vkey": vkey}))


def open_envelope(data: bytes, *vkeys: Verifier) -> Statement:
    """The statement, once a signature by one of `vkeys` has verified.

    Signatures of other keys are no news. Raises Tampered when a known key's signature does not verify, when there is
    none, and when the envelope or the statement is not in its one form.
    """
    try:
        return from_bytes(payload_of(data, PAYLOAD_TYPE, *vkeys))
    except (Malformed, Tampered) as error:
        raise Tampered(f"build statement does not verify: {error}") from error


def payload_of(data: bytes, payload_type: str, *vkeys: Verifier) -> bytes:
    """What an envelope holds, once a signature by one of `vkeys` has verified; errors as for `open_envelope`."""
    known = {f"{vkey.name}+{vkey.key_id.hex()}": vkey for vkey in vkeys}
    try:
        envelope = canonical.loads(data)
        if not isinstance(envelope, dict) or envelope.keys() != {"payload", "payloadType", "signatures"}:
            raise Malformed("DSSE envelope: wanted payload, payloadType and signatures")
        if envelope["payloadType"] != payload_type:
            raise Malformed(f"DSSE envelope: another payload type, wanted {payload_type}")
        payload = decode_base64("DSSE payload", envelope["payload"])
        verified = 0
        for signature in envelope["signatures"]:
            if signature["keyid"] in known:
                raw = decode_base64("DSSE signature", signature["sig"])
                known[signature["keyid"]].verify(pae(payload_type, payload), raw)
                verified += 1
        if not verified:
            raise Tampered(f"DSSE envelope: no signature by a known key, wanted one of {', '.join(sorted(known))}")
        return payload
    except (Malformed, KeyError, TypeError, AttributeError) as error:
        raise Tampered(str(error)) from error
