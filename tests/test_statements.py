"""Acts and build statements: complete or not made, one way to write each, and nothing opens that was not signed."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from provenance import canonical, entries, statements
from provenance.entries import Feed, Rejects, StoredFile, Table
from provenance.errors import Malformed, Tampered
from provenance.keys import SigningKey
from provenance.statements import Artifact, Document, Edition, Statement

KEY = SigningKey("force.example/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = SigningKey("force.example/log", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
DIGEST = hashlib.sha256(b"a file").hexdigest()
FLAT = hashlib.sha256(b"leaves").hexdigest()
NOON = "2026-11-22T12:00:00Z"
WHO = {"on": NOON, "by": "duty analyst", "under": "weekly build instruction 4"}
ID = "00c0ffee00c0ffee"
TOKENS = "0000000000000007 7fffffffffffffff"
FEED = Feed(system="NICHE", watermark=NOON, records=10, involvements=25)

ACTS = [
    entries.Founded(**WHO, archive="force.example/log", format=1, vkey=str(KEY.verifier)),
    entries.Received(
        **WHO,
        extract=3,
        keyed_digest=DIGEST,
        cut_off=NOON,
        mode="delta",
        systems=(Feed(system="Ätna", watermark=NOON, records=0, involvements=0), FEED),
        rejects=(Rejects(reason="unknown-grade", count=2), Rejects(reason="bad date", count=1)),
        segment_size=35,
        segment_root=DIGEST,
        files=(StoredFile(path="store/received/0003/record.parquet", sha256=DIGEST),),
    ),
    entries.Confirmed(
        **WHO, extract=3, threshold="drop in records", reason="bank holiday: half the custody desks shut"
    ),
    entries.Built(
        **WHO,
        label="2026-W47",
        number=1,
        cut_off=NOON,
        extracts=3,
        rules=DIGEST,
        statement=DIGEST,
        tables=(Table(name="link", size=7, root=DIGEST), Table(name="network", size=0, root=DIGEST)),
        left_out=(entries.LeftOut(what="NICHE intelligence: grade-not-admitted", records=4, people=9),),
        files=(),
    ),
    entries.Published(**WHO, label="2026-W47.2", at=NOON),
    entries.Withdrawn(**WHO, label="2026-W53", at=NOON, reason="custody feed was last week's"),
    entries.Failed(**WHO, label="2026-W47", cut_off=NOON, reason="blocked"),
    entries.Held(
        **WHO,
        hold=ID,
        case="26/0113",
        basis="cpia-1996",
        nominals=entries.packed([7, 2**63 - 1]),
        records="",
        networks=(entries.NetworkScope(network="SOC-2026-W02-001"), entries.NetworkScope(network="CL-2026-W02-004")),
        first_day="2026-01-31",
        last_day="2026-02-28",
        everything=0,
        review_on="2027-01-22",
        events=(
            entries.Happening(event="proceedings-instituted", day="2026-03-02"),
            entries.Happening(event="investigation-opened", day="2026-03-01"),
        ),
    ),
    entries.Progressed(**WHO, hold=ID, events=(), review_on="2027-03-22"),
    entries.Released(**WHO, hold=ID, earliest="", reason="decided"),
    entries.Reviewed(**WHO, nominals="", records=TOKENS, reason="serious-harm", next_review="2031-11-22"),
    entries.Restricted(
        **WHO,
        disposal=ID,
        part=1,
        nominals=TOKENS,
        records="",
        approved_by="S. Inspector",
        reason="mopi-clear-period",
        plan=DIGEST,
        judged=1,
        holds=(entries.HoldRef(hold="f" * 16), entries.HoldRef(hold=ID)),
    ),
    entries.Disposed(
        **WHO,
        disposal=ID,
        number=1,
        part=2,
        parts=2,
        nominals=TOKENS,
        records=entries.packed([3]),
        approved_by="S. Inspector",
        reason="mopi-clear-period",
        plan=DIGEST,
        files=(),
    ),
    entries.Expunged(**WHO, number=1, files=(StoredFile(path="store/links/2026-W02.link.parquet", sha256=DIGEST),)),
    entries.Certified(**WHO, number=1, certificate=DIGEST),
    entries.Escrowed(**WHO, copies=1, disposals=1),
    entries.Relocked(**WHO, reason="changed-hands", custody="token"),
    entries.Consulted(**WHO, case="26/0113", label="2026-W47", rows=12),
    entries.Granted(
        **WHO,
        user="a.quoxby",
        role="analyst",
        department="Force CID",
        director="DoI 26/14",
        first_day="2026-11-16",
        last_day="",
    ),
    entries.Revoked(**WHO, user="a.quoxby", role="analyst"),
    entries.Reproduced(
        **WHO,
        label="2026-W47",
        verdict="same",
        same=12,
        lost=0,
        differing=0,
        code="",
        package=DIGEST,
        environment=DIGEST,
    ),
    entries.Viewed(
        **WHO,
        label="2026-W47",
        at=NOON,
        asked='{"view":"nominal"}',
        nominals=TOKENS,
        case="",
        form=1,
        shown=DIGEST,
        leaves=DIGEST,
    ),
    entries.Exported(
        **WHO,
        label="2026-W47",
        asked='{"view":"nominal"}',
        nominals=TOKENS,
        case="26/0113",
        shown=DIGEST,
        form="pdf",
        folder="",
        caveat="2",
        handling="C",
    ),
    entries.Recalled(**WHO, folder="../bi", removed=1),
    entries.Traced(
        **WHO,
        purpose="integrity",
        nominals=TOKENS,
        user="a.quoxby",
        label="",
        case="",
        first_day="2026-11-01",
        last_day="",
        lines=3,
    ),
    entries.Reported(
        **WHO,
        view=7,
        label="2026-W47",
        asked='{"view":"nominal"}',
        nominals=TOKENS,
        case="",
        shown=DIGEST,
        wrong="wrong-person",
        files=(),
    ),
    entries.Triaged(**WHO, report=1, urgency="week", to="d. officer"),
    entries.Settled(**WHO, report=1, finding="in-error", cause="identity", corrected=1, first="2026-W40", carried=""),
    entries.Issued(**WHO, report="ethics", period="2026-Q4", number=1, label="2026-W47", files=()),
    entries.Scheduled(
        **WHO,
        case="26/0113",
        item=4,
        number=1,
        schedule="mg6c",
        reviewer="S. Inspector",
        nominals=TOKENS,
        records="",
        paper=DIGEST,
        apart=DIGEST,
    ),
    entries.Sent(
        **WHO,
        number=2,
        part=1,
        parts=1,
        what="pack",
        title="Pack of 22 November",
        recipient="Crown Prosecution Service",
        basis="CPIA 1996 s.3",
        case="26/0113",
        upto=4,
        nominals=TOKENS,
        records="",
        content=DIGEST,
        apart=DIGEST,
    ),
    entries.Notified(
        **WHO,
        number=2,
        cause="disposal",
        reference=ID,
        recipient="Crown Prosecution Service",
        means="post",
        content=DIGEST,
    ),
    entries.Asked(**WHO, request=1, nominals=TOKENS, received_on="2026-11-01", due_on="2026-12-01"),
    entries.Answered(**WHO, request=1, nominals=TOKENS, builds=52, paper=DIGEST),
    entries.Requested(**WHO, query=ID, case="26/0113", nominals=TOKENS, sealed=DIGEST),
    entries.Rechecked(
        **WHO,
        query=ID,
        because="changed",
        label="2026-W47",
        answer=DIGEST,
        changes=(entries.Change(what="new_record", count=2),),
        sealed=DIGEST,
        reason="",
    ),
    entries.Disclosed(**WHO, query=ID, case="26/0113", nominals=TOKENS, pack=DIGEST, handling="C", head=812),
    entries.Quarantined(**WHO, extract=3, rows=2),
    entries.Restored(**WHO, backup=DIGEST, replayed=1),
    entries.Rekeyed(
        **WHO,
        place=9,
        vkey=str(OTHER.verifier),
        reason="scheduled",
        endorsement=statements.endorse(KEY, 9, str(OTHER.verifier)),
    ),
]

DOCUMENTS = (
    Document(name="algo_care", version="2026-02", digest=DIGEST),
    Document(name="dpia", version="3.1", digest=DIGEST),
    Document(name="ethics_advice", version="", digest=""),
    Document(name="policy_document", version="7", digest=""),
    Document(name="technical_report", version="1.0", digest=DIGEST),
)
STATEMENT = Statement(
    label="2026-W47",
    number=2,
    cut_off=NOON,
    feeds=(FEED,),
    tables=(Table(name="link", size=7, root=DIGEST), Table(name="nominal", size=4, root=DIGEST)),
    artifacts=(Artifact(table="link", sha256=FLAT), Artifact(table="nominal", sha256=DIGEST)),
    params=canonical.dumps({"links": {"cap": 40}, "themes": ["CL", "CSE", "SOC"]}),
    code="0123456789abcdef0123456789abcdef01234567",
    package=DIGEST,
    environment=DIGEST,
    machine=statements.Machine(system="Linux", python="CPython 3.11.2", threads=2, hash_seed="0", other_lock=""),
    harm_tables=(Edition(name="Cambridge 2020", digest=DIGEST),),
    documents=DOCUMENTS,
    previous=DIGEST,
    builder_version="0.1.0",
    operator="duty analyst",
    started_on=NOON,
    finished_on="2026-11-22T12:03:00Z",
)

EARLIER = dataclasses.replace(STATEMENT, artifacts=())


@pytest.mark.parametrize("act", ACTS, ids=lambda act: type(act).__name__)
def test_an_act_comes_back_as_it_was(act):
    data = entries.to_bytes(act)
    assert canonical.loads(data)["act"] == type(act).__name__
    assert entries.from_bytes(data) == act
    assert entries.to_bytes(entries.from_bytes(data)) == data


def test_every_kind_of_act_is_tested_here():
    assert {type(act).__name__ for act in ACTS} == set(entries.ACTS)


def test_order_of_the_given_parts_does_not_show():
    received = ACTS[1]
    assert [feed.system for feed in received.systems] == ["NICHE", "Ätna"]
    assert [reject.reason for reject in received.rejects] == ["bad date", "unknown-grade"]
    again = dataclasses.replace(received, systems=received.systems[::-1], rejects=received.rejects[::-1])
    assert entries.to_bytes(again) == entries.to_bytes(received)


def test_an_act_of_a_later_version_is_kept_as_it_is():
    data = canonical.dumps({"act": "Foreseen", **WHO, "what": [1, {"a": "b"}]})
    act = entries.from_bytes(data)
    assert act == entries.Unknown(data=data, act="Foreseen", **WHO)
    assert entries.to_bytes(act) == data


def edited(act: entries.Act, **changes: object) -> bytes:
    content = {**canonical.loads(entries.to_bytes(act)), **changes}
    return canonical.dumps({name: value for name, value in content.items() if value is not ...})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"canonical JSON expected"),
        (b"[]", r"log entry: wanted an object that says act, on, by and under"),
        (edited(ACTS[4], by=...), r"log entry: wanted an object that says act, on, by and under"),
        (edited(ACTS[4], at=...), r"Published: fields aa, aaaaa, aa, aaaaa, wanted on, by, under, label, at"),
        (edited(ACTS[4], name="x"), r"Published: fields "),
        (entries.to_bytes(ACTS[4]) + b"\n", r"canonical JSON expected"),
        (edited(ACTS[1], systems={}), r"Received\.systems: wanted an array"),
        (edited(ACTS[1], systems=[5]), r"Feed: fields , wanted system, watermark, records, involvements"),
        (
            edited(ACTS[1], systems=canonical.loads(entries.to_bytes(ACTS[1]))["systems"][::-1]),
            r"Received: arrays out of order, wanted each sorted by its first field",
        ),
    ],
)
def test_an_entry_is_written_in_one_way(data, message):
    with pytest.raises(Malformed, match=f"^{message}"):
        entries.from_bytes(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"on": "2026-11-22T12:00:00+00:00"}, r"Published\.on: 9999-99-99A99:99:99\?99:9…, wanted an instant"),
        ({"on": "2026-02-30T12:00:00Z"}, r"Published\.on: 9999-99-99A99:99:99A, wanted an instant"),
        ({"on": "2026-11-22T12:00:60Z"}, r"Published\.on: "),
        ({"by": ""}, r"Published\.by: nothing, wanted text of one line"),
        ({"by": "two\nlines"}, r"Published\.by: aaa\?aaaaa, wanted text of one line"),
        ({"under": None}, r"Published\.under: a NoneType, wanted text of one line"),
        ({"label": "2025-W53"}, r"Published\.label: 9999-A99, wanted an ISO week"),
        ({"label": "2026-W47.1"}, r"Published\.label: 9999-A99\.9, wanted an ISO week"),
    ],
)
def test_an_act_that_is_wrong_cannot_be_made(changes, message):
    with pytest.raises(Malformed, match=f"^{message}"):
        dataclasses.replace(ACTS[4], **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extract": True}, r"Received\.extract: a bool, wanted a count"),
        ({"segment_size": -1}, r"Received\.segment_size: a int, wanted a count, 0 or more"),
        ({"keyed_digest": DIGEST.upper()}, r"Received\.keyed_digest: .*wanted 64 lowercase hexadecimal digits"),
        ({"mode": "both"}, r"Received\.mode: aaaa, wanted full or delta"),
        ({"systems": [FEED]}, r"Received\.systems: wanted a tuple of Feed"),
        ({"systems": (FEED, FEED)}, r"Received\.systems: two with one system, wanted each once"),
    ],
)
def test_a_receipt_that_is_wrong_cannot_be_made(changes, message):
    with pytest.raises(Malformed, match=f"^{message}"):
        dataclasses.replace(ACTS[1], **changes)


def act(kind: type[entries.Act]) -> entries.Act:
    """The one act of this kind above."""
    return next(each for each in ACTS if type(each) is kind)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (entries.Held, {"hold": "C0FFEE"}, r"Held\.hold: A9AAAA, wanted 16 lowercase hexadecimal digits"),
        (entries.Held, {"case": ""}, r"Held\.case: nothing, wanted text of one line"),
        (entries.Held, {"first_day": "2026-02-30"}, r"Held\.first_day: 9999-99-99, wanted a day, or nothing"),
        (entries.Held, {"review_on": ""}, r"Held\.review_on: nothing, wanted a day, YYYY-MM-DD"),
        (entries.Held, {"everything": True}, r"Held\.everything: a bool, wanted a count"),
        (entries.Held, {"networks": ("SOC-1",)}, r"Held\.networks: wanted a tuple of NetworkScope"),
        (entries.Progressed, {"events": None}, r"Progressed\.events: wanted a tuple of Happening"),
        (entries.Progressed, {"review_on": "soon"}, r"Progressed\.review_on: aaaa, wanted a day, YYYY-MM-DD"),
        (entries.Released, {"earliest": None}, r"Released\.earliest: a NoneType, wanted a day, or nothing"),
        (entries.Released, {"reason": "Because"}, r"Released\.reason: Aaaaaaa, wanted a code of lowercase words"),
        (entries.Reviewed, {"records": " ".join(reversed(TOKENS.split()))}, r"Reviewed\.records: .*, ascending, with"),
        (entries.Reviewed, {"nominals": "N-1"}, r"Reviewed\.nominals: A-9, wanted tokens of 16 hexadecimal digits"),
        (entries.Restricted, {"holds": (ID,)}, r"Restricted\.holds: wanted a tuple of HoldRef"),
        (
            entries.Restricted,
            {"holds": (entries.HoldRef(hold=ID), entries.HoldRef(hold=ID))},
            r"Restricted\.holds: two with one hold, wanted each once",
        ),
        (entries.Restricted, {"nominals": TOKENS + " " + TOKENS}, r"Restricted\.nominals: .*, ascending, with"),
        (entries.Disposed, {"nominals": TOKENS.replace(" ", "  ")}, r"Disposed\.nominals: .*, with a space between"),
        (entries.Disposed, {"nominals": TOKENS + " 1"}, r"Disposed\.nominals: .*, wanted tokens of 16"),
        (entries.Disposed, {"disposal": ""}, r"Disposed\.disposal: nothing, wanted 16 lowercase hexadecimal digits"),
        (entries.Disposed, {"approved_by": ""}, r"Disposed\.approved_by: nothing, wanted text of one line"),
        (entries.Disposed, {"plan": "plan.yaml"}, r"Disposed\.plan: aaaa\.aaaa, wanted 64 lowercase hexadecimal"),
        (entries.Expunged, {"number": -1}, r"Expunged\.number: a int, wanted a count, 0 or more"),
        (entries.Certified, {"certificate": ""}, r"Certified\.certificate: nothing, wanted 64 lowercase hexadecimal"),
        (entries.Consulted, {"label": "W47"}, r"Consulted\.label: A99, wanted an ISO week"),
        (entries.Consulted, {"rows": 1.0}, r"Consulted\.rows: a float, wanted a count"),
        (entries.Quarantined, {"rows": "2"}, r"Quarantined\.rows: 9, wanted a count, 0 or more"),
        (entries.Restored, {"backup": DIGEST[1:]}, r"Restored\.backup: .*, wanted 64 lowercase hexadecimal digits"),
    ],
)
def test_a_disposal_or_a_hold_that_is_wrong_cannot_be_logged(kind, changes, message):
    with pytest.raises(Malformed, match=f"^{message}"):
        dataclasses.replace(act(kind), **changes)


@given(st.sets(st.integers(1, 2**63 - 1), max_size=20))
def test_tokens_are_written_in_one_way_and_come_back(tokens):
    text = entries.packed(tokens)
    assert entries.unpacked(text) == sorted(tokens)
    assert entries.packed(reversed(entries.unpacked(text))) == text
    assert dataclasses.replace(act(entries.Reviewed), records=text).records == text


def test_the_most_tokens_of_an_entry_are_within_what_the_log_takes():
    most = entries.packed(range(entries.TOKENS_AT_MOST))
    entry = entries.to_bytes(dataclasses.replace(act(entries.Disposed), nominals=most, records=""))
    assert 50_000 < len(entry) < 60_000  # of 65,535: room is left for the names, the authority and the files


def test_the_most_files_of_an_entry_are_within_what_the_log_takes():
    files = tuple(
        StoredFile(path=f"store/received/{number:06d}/involvement.parquet", sha256=DIGEST)
        for number in range(entries.FILES_AT_MOST)
    )
    assert len(entries.to_bytes(dataclasses.replace(act(entries.Expunged), files=files))) < 50_000


@pytest.mark.parametrize("kind", [entries.Held, entries.Reviewed, entries.Restricted, entries.Disposed])
def test_no_act_of_a_disposal_has_room_for_a_name_or_an_id(kind):
    """People and records are tokens: any text that is not made of them is refused (R33)."""
    for field in ("nominals", "records"):
        with pytest.raises(Malformed, match=rf"^{kind.__name__}\.{field}: "):
            dataclasses.replace(act(kind), **{field: "Ada Quoxby"})


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../keys/master", "store/../../x", "store//x", "store/", "", ".writer"]
)
def test_a_stored_file_lies_within_the_archive(path):
    with pytest.raises(Malformed, match=r"^StoredFile\.path: .*wanted a path within the archive$"):
        StoredFile(path=path, sha256=DIGEST)


def test_a_statement_says_all_of_r01_where_in_toto_and_slsa_want_it():
    content = json.loads(statements.to_bytes(STATEMENT))
    assert content["_type"] == "https://in-toto.io/Statement/v1"
    assert content["predicateType"] == "https://slsa.dev/provenance/v1"
    assert content["subject"][0] == {
        "name": "2026-W47/link",
        "digest": {"rfc6962-sha256": DIGEST, "sha256": FLAT},
        "annotations": {"size": 7},
    }
    definition = content["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["cutOff"] == NOON
    assert definition["internalParameters"]["params"]["links"] == {"cap": 40}
    assert [d["name"] for d in definition["internalParameters"]["documentsNotSupplied"]] == [
        "ethics_advice",
        "policy_document",
    ]
    assert [dependency["name"] for dependency in definition["resolvedDependencies"]] == [
        "code",
        "package",
        "environment",
        "params",
        "harm/Cambridge 2020",
        "document/algo_care",
        "document/dpia",
        "document/technical_report",
        "previous",
    ]
    assert all(dependency["digest"] for dependency in definition["resolvedDependencies"])
    run = content["predicate"]["runDetails"]
    assert run["builder"]["version"] == {"provenance": "0.1.0"}
    assert run["metadata"] == {
        "invocationId": "2026-W47/2",
        "startedOn": NOON,
        "finishedOn": "2026-11-22T12:03:00Z",
        "provenance_operator": "duty analyst",
    }


def test_a_statement_made_before_version_1_1_has_no_plain_digests_and_comes_back_as_it_was():
    data = statements.to_bytes(EARLIER)
    assert {tuple(subject["digest"]) for subject in json.loads(data)["subject"]} == {("rfc6962-sha256",)}
    assert statements.to_bytes(statements.from_bytes(data)) == data
    assert (EARLIER.flat("link"), STATEMENT.flat("link"), STATEMENT.flat("record")) == ("", FLAT, "")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Statement)])
def test_a_missing_field_rejects_the_build(field):
    fields = {f.name: getattr(STATEMENT, f.name) for f in dataclasses.fields(Statement)}
    del fields[field]
    with pytest.raises(TypeError, match=f"missing 1 required keyword-only argument: '{field}'"):
        Statement(**fields)
    with pytest.raises(Malformed, match=rf"^Statement\.{field}: "):
        Statement(**fields, **{field: None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"previous": ""}, "build statement: build 2 names no previous statement"),
        ({"number": 1}, "build statement: build 1 names a previous statement"),
        ({"tables": ()}, "build statement: no tables, wanted at least one"),
        ({"artifacts": STATEMENT.artifacts[1:]}, "build statement: artifacts of other tables than it names"),
        ({"harm_tables": ()}, "build statement: no harm_tables, wanted at least one"),
        ({"documents": DOCUMENTS[2:]}, "build statement: no document algo_care, dpia, wanted each that R01 names"),
        ({"finished_on": "2026-11-22T11:59:59Z"}, "build statement: finished 2026-11-22T11:59:59Z, before it started"),
        ({"code": "main"}, r"Statement\.code: aaaa, wanted a git commit"),
        ({"params": b"[]"}, r"Statement\.params: a bytes, wanted canonical JSON of an object"),
        ({"params": b'{"a": 1}'}, "canonical JSON expected"),
    ],
)
def test_a_statement_that_is_wrong_cannot_be_made(changes, message):
    with pytest.raises(Malformed, match=f"^{message}"):
        dataclasses.replace(STATEMENT, **changes)


@pytest.mark.parametrize("statement", [STATEMENT, dataclasses.replace(STATEMENT, number=1, previous=""), EARLIER])
def test_what_is_signed_opens_again(statement):
    envelope = statements.sign(statement, KEY)
    assert statements.open_envelope(envelope, KEY.verifier) == statement
    assert statements.open_envelope(envelope, OTHER.verifier, KEY.verifier) == statement
    assert statements.sign(statement, KEY) == envelope
    raw = json.loads(envelope)
    payload = base64.b64decode(raw["payload"])
    Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().verify(
        base64.b64decode(raw["signatures"][0]["sig"]),
        b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" " + payload,
    )


ENVELOPE = statements.sign(STATEMENT, KEY)


@given(st.integers(0, len(ENVELOPE) * 8 - 1))
def test_one_changed_bit_and_the_envelope_does_not_open(at):
    spoilt = bytearray(ENVELOPE)
    spoilt[at // 8] ^= 1 << at % 8
    with pytest.raises(Tampered, match=r"^build statement does not verify: "):
        statements.open_envelope(bytes(spoilt), KEY.verifier)


def enveloped(payload: bytes, *keys: SigningKey, kind: str = statements.PAYLOAD_TYPE) -> bytes:
    signatures = [
        {
            "keyid": f"{key.verifier.name}+{key.verifier.key_id.hex()}",
            "sig": base64.b64encode(key.sign(statements.pae(kind, payload))).decode(),
        }
        for key in keys
    ]
    return canonical.dumps(
        {"payload": base64.b64encode(payload).decode(), "payloadType": kind, "signatures": signatures}
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (enveloped(statements.to_bytes(STATEMENT), OTHER), "DSSE envelope: no signature by a known key, wanted one of"),
        (enveloped(statements.to_bytes(STATEMENT)), "DSSE envelope: no signature by a known key"),
        (enveloped(statements.to_bytes(STATEMENT), KEY, kind="text/plain"), "DSSE envelope: another payload type"),
        (enveloped(b"{}", KEY), "build statement: incomplete, wanted all fields of R01: 'predicate'"),
        (enveloped(b"[]", KEY), "build statement: incomplete"),
        (
            enveloped(statements.to_bytes(STATEMENT).replace(b',"sha256":"%s"' % FLAT.encode(), b""), KEY),
            "build statement: artifacts of other tables than it names",
        ),
        (
            enveloped(statements.to_bytes(STATEMENT).replace(FLAT.encode(), FLAT.upper().encode()), KEY),
            r"Artifact\.sha256: .*wanted 64 lowercase hexadecimal digits",
        ),
        (
            enveloped(statements.to_bytes(STATEMENT).replace(b'{"_type"', b'{"A":1,"_type"'), KEY),
            "build statement: fields that its form does not have",
        ),
        (ENVELOPE + b"\n", "canonical JSON expected"),
        (b"[]", "DSSE envelope: wanted payload, payloadType and signatures"),
        (ENVELOPE.replace(b'"signatures":[', b'"signatures":[5,'), "'int' object"),
    ],
)
def test_an_envelope_is_written_in_one_way(data, message):
    with pytest.raises(Tampered, match=f"^build statement does not verify: {message}"):
        statements.open_envelope(data, KEY.verifier)


def test_a_second_signature_by_an_unknown_key_is_no_news():
    assert statements.open_envelope(enveloped(statements.to_bytes(STATEMENT), OTHER, KEY), KEY.verifier) == STATEMENT


def test_the_dsse_specification_s_own_vector(shared):
    """Its key is P-256, which we do not sign with: `cryptography` judges what our PAE says was signed."""
    vector = json.loads((shared / "vectors" / "dsse" / "protocol-example.json").read_text())
    pae = statements.pae(vector["payloadType"], vector["payload"].encode())
    assert pae == vector["pae"].encode()
    key = ec.EllipticCurvePublicNumbers(int(vector["key"]["X"]), int(vector["key"]["Y"]), ec.SECP256R1()).public_key()
    raw = base64.b64decode(vector["envelope"]["signatures"][0]["sig"])
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(signature, pae, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(signature, pae + b" ", ec.ECDSA(hashes.SHA256()))
