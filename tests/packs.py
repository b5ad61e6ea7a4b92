"""A maker of packs, from the published formulas alone: hashlib, and `cryptography` to sign. It imports nothing of the
product, so that a verifier which agrees with the product's own packs and with these has been read twice.

The story: a force's archive of two builds. One person is asked about, N-100. Of their links in SOC some are as they
were, one was disposed of, two live on with less (one of them twice), one is restricted and one reduced by a
restriction; in CSE all are as they were; in CL the figures are withheld. The log's key was changed between the builds,
two witnesses cosign, and heads were published. Each part can be changed before what commits to it is made: `edits` are
functions by the name of a stage, so a forger who holds the key is as easily written as one who edits files.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Files = dict[str, bytes]
Edits = Mapping[str, Callable[[Any], Any]]

ORIGIN = "force.example/builds"
PERSON = "N-100"
BUILD = "2026-W47"
AS_OF = "2026-11-25T10:00:00Z"
FIRST, SECOND = "00000000000000a1", "00000000000000b2"  # the two disposals
CAVEAT = "Advisory only. A link shows that two people were named in one record; it does not show wrongdoing."


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry)


# RFC 6962, section 2.1, over leaf hashes: by the definition, each subtree worked out once.


class Tree:
    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self._known: dict[tuple[int, int], bytes] = {}

    def hash(self, start: int = 0, end: int | None = None) -> bytes:
        """MTH(D[start:end])."""
        end = len(self.leaves) if end is None else end
        if start == end:
            return sha256(b"")
        if end - start == 1:
            return self.leaves[start]
        if (start, end) not in self._known:
            middle = start + _split(end - start)
            self._known[start, end] = sha256(b"\x01" + self.hash(start, middle) + self.hash(middle, end))
        return self._known[start, end]

    def path(self, m: int, start: int = 0, end: int | None = None) -> list[bytes]:
        """PATH(m, D[start:end])."""
        end = len(self.leaves) if end is None else end
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if start + m < middle:
            return [*self.path(m, start, middle), self.hash(middle, end)]
        return [*self.path(m - (middle - start), middle, end), self.hash(start, middle)]

    def proof(self, m: int) -> list[bytes]:
        """PROOF(m, D)."""
        return self._subproof(m, 0, len(self.leaves), True)

    def _subproof(self, m: int, start: int, end: int, known: bool) -> list[bytes]:
        if m == end - start:
            return [] if known else [self.hash(start, end)]
        k = _split(end - start)
        if m <= k:
            return [*self._subproof(m, start, start + k, known), self.hash(start + k, end)]
        return [*self._subproof(m - k, start + k, end, False), self.hash(start, start + k)]

    def place(self, index: int) -> dict[str, Any]:
        return {"index": index, "path": [b64(digest) for digest in self.path(index)]}


def _split(count: int) -> int:
    k = 1
    while k * 2 < count:
        k *= 2
    return k


# C2SP signed-note, tlog-checkpoint, tlog-cosignature; DSSE.


@dataclass(frozen=True)
class Key:
    name: str
    seed: str
    kind: int = 1

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(sha256(self.seed.encode()))

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def hash(self) -> bytes:
        return sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public)[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.hash.hex()}+{b64(bytes([self.kind]) + self.public)}"

    def line(self, text: bytes, at: int = 0) -> bytes:
        """The signature line of a note; with the key of a witness, its cosignature as of `at`."""
        if self.kind == 1:
            signature = self.private.sign(text)
        else:
            signature = at.to_bytes(8, "big") + self.private.sign(b"cosignature/v1\ntime %d\n" % at + text)
        return f"— {self.name} {b64(self.hash + signature)}\n".encode()

    def envelope(self, kind: str, payload: bytes) -> bytes:
        pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        signature = {"keyid": f"{self.name}+{self.hash.hex()}", "sig": b64(self.private.sign(pae))}
        return canonical({"payload": b64(payload), "payloadType": kind, "signatures": [signature]})


OLD, NEW = Key(ORIGIN, "the first key"), Key(ORIGIN, "the second key")
FOREIGN = Key(ORIGIN, "a key of someone else")
ETHICS, PCC = Key("ethics.example/witness", "ethics", 4), Key("pcc.example/witness", "pcc", 4)
COSIGNED_AT = 1_795_000_000  # 2026-11-18
STATEMENT, CERTIFICATE = "application/vnd.in-toto+json", "application/vnd.provenance.certificate+json"
ENDORSEMENT = "application/vnd.provenance.endorsement+json"


def policy(*, logs: tuple[Key, ...] = (OLD, NEW), quorum: str = "oversight") -> bytes:
    lines = [f"log {key.vkey}" for key in logs]
    lines += [f"witness ethics {ETHICS.vkey}", f"witness pcc {PCC.vkey}", "group oversight any ethics pcc"]
    return ("\n".join([*lines, f"quorum {quorum}"]) + "\n").encode()


def checkpoint_text(tree: Tree, size: int) -> bytes:
    return f"{ORIGIN}\n{size}\n{b64(tree.hash(0, size))}\n".encode()


def sums(files: Files) -> bytes:
    names = sorted(name for name in files if name != "SHA256SUMS")
    return "".join(f"{sha256(files[name]).hex()}  {name}\n" for name in names).encode()


# Rows.


def entry(row: dict[str, Any], salt: str = "") -> bytes:
    content = canonical({name: by_name(cell) for name, cell in row.items() if cell not in ("", [])})
    return sha256(b"salt" + salt.encode() + content) + content


def by_name(cell: Any) -> Any:
    """Several objects as a row has them: each name once, with a list; without it where all are empty."""
    if not (isinstance(cell, list) and cell and isinstance(cell[0], dict)):
        return cell
    lists = {name: [one[name] for one in cell] for name in cell[0]}
    return {name: values for name, values in lists.items() if any(value not in ("", []) for value in values)}


def support(record: str, *, handling: str = "P", conditions: str = "", contribution: int = 30) -> dict[str, Any]:
    return {
        "assessed": "fact", "conditions": conditions, "contribution": contribution, "grade": f"1A{handling}",
        "grade_scheme": "3x5x2", "handling": handling, "kind": "crime", "occurred_at": "2026-03-04T21:30:00Z",
        "record_id": record, "role_a": "suspect", "role_b": "offender", "sources_a": [], "sources_b": [],
        "system": "CONNECT", "version": 1,
    }  # fmt: skip


def link(theme: str, a: str, b: str, *supports: dict[str, Any]) -> dict[str, Any]:
    return {
        "theme": theme, "a": min(a, b), "b": max(a, b), "strength": sum(s["contribution"] for s in supports),
        "records": len(supports), "handling": min(s["handling"] for s in supports),
        "conditions": "; ".join(sorted({s["conditions"] for s in supports} - {""})), "rule": "co-named",
        "supports": list(supports),
    }  # fmt: skip


def nominal(theme: str, person: str, leaves: list[bytes]) -> dict[str, Any]:
    counts = dict.fromkeys(
        ("offending", "victim", "witness", "other", "victim_only", "harm", "harm_unknown", "strength", "records"), 3
    )
    return {
        **counts, "theme": theme, "nominal": person, "network": f"{theme}-2026-W01-001", "links": len(leaves),
        "harm_edition": "cambridge-2020", "links_root": Tree(sorted(leaves)).hash().hex(),
    }  # fmt: skip


class Story:
    """One pack, made stage by stage; `files` is what is in it."""

    def __init__(
        self,
        edits: Edits | None = None,
        *,
        person: str = PERSON,
        more: int = 0,
        witnesses: bool = True,
        rotated: bool = True,
        published: bool = True,
        live: bool = True,
        question: dict[str, str] | None = None,
        texts: Callable[[str], str] = str,
    ) -> None:
        self.edits, self.person, self.more, self.texts = dict(edits or {}), person, more, texts
        self.witnesses, self.rotated, self.published, self.live = witnesses, rotated, published, live
        self.question = question or {"nominal": person, "network": "", "theme": "", "case": ""}
        self.key = NEW if rotated else OLD
        self._rows()
        self._certificates()
        self._log()
        self._head()
        self.files = self._files()

    def _edit(self, stage: str, value: Any) -> Any:
        return self.edits[stage](value) if stage in self.edits else value

    def _rows(self) -> None:
        me, say = self.person, self.texts
        tables: dict[str, list[bytes]] = {"link": [], "nominal": [], "network": [], "person": [], "record": []}
        self.state: dict[bytes, dict[str, Any]] = {}  # of a row in the pack, by leaf: how it is shown
        self.mine: dict[str, list[bytes]] = {"SOC": [], "CSE": [], "CL": []}

        def add(table: str, row: dict[str, Any], **state: Any) -> bytes:
            made = self._edit("entry", entry(row))
            tables[table].append(made)
            if state:
                self.state[leaf_hash(made)] = {"table": table, "made": made, **state}
            return leaf_hash(made)

        secret = say("not to be copied")
        for i in range(3):
            parts = [support(f"R-{i}{j}", handling="C" if j else "P", conditions=secret if j else "") for j in range(2)]
            self.mine["SOC"].append(add("link", link("SOC", me, f"N-20{i}", *parts), kind="shown"))
        for i in range(2):
            self.mine["CSE"].append(add("link", link("CSE", me, f"N-30{i}", support(f"R-3{i}")), kind="shown"))
        self.mine["CL"].append(add("link", link("CL", me, "N-400", support("R-40")), kind="shown"))
        gone = link("SOC", me, "N-500", support("R-50"))
        self.mine["SOC"].append(add("link", gone, kind="disposed", disposal=FIRST))
        once = [link("SOC", me, "N-600", *(support(f"R-6{j}") for j in range(n))) for n in (2, 1)]
        self.mine["SOC"].append(add("link", once[0], kind="reduced", heirs=[(FIRST, entry(once[1]))]))
        twice = [link("SOC", me, "N-700", *(support(f"R-7{j}") for j in range(n))) for n in (3, 2, 1)]
        heirs = [(FIRST, entry(twice[1])), (SECOND, entry(twice[2]))]
        self.mine["SOC"].append(add("link", twice[0], kind="reduced", heirs=heirs))
        self.mine["SOC"].append(add("link", link("SOC", me, "N-800", support("R-80")), kind="restricted"))
        hidden = link("SOC", me, "N-900", support("R-90"), support("R-91"))
        self.mine["SOC"].append(add("link", hidden, kind="hidden"))
        for i in range(self.more):
            row = link("SOC", me, f"N-1{i:05}", support(f"R-1{i:05}"), support(f"S-1{i:05}"))
            self.mine["SOC"].append(add("link", row, kind="shown"))
        for i in range(40 + 2 * self.more):  # what others' links say is not in the pack
            add("link", link("SOC", f"N-5{i:05}", f"N-6{i:05}", support(f"T-{i}")))
        self.mine = self._edit("counted", self.mine)  # what the person's rows commit to
        for theme in ("SOC", "CSE"):
            add("nominal", nominal(theme, me, self.mine[theme]), kind="shown", marked=theme == "SOC")
        add("nominal", nominal("CL", me, self.mine["CL"]), kind="figures")
        for i in range(20):
            add("nominal", nominal("SOC", f"N-20{i}", []))
        network = {"theme": "SOC", "network": "SOC-2026-W01-001", "members": 9, "links": 11, "strength": 330, "harm": 9}
        add("network", {**network, "alarm": 0}, kind="shown")
        add("network", {**network, "network": "SOC-2026-W01-002", "alarm": 0})
        add("record", {"system": "CONNECT", "record_id": "R-00", "kind": "crime", "place": say("E0100")}, kind="shown")
        add("record", {"system": "CONNECT", "record_id": "R-01", "kind": "crime", "place": ""}, kind="shown")
        for id in sorted(self._behind() - {"R-00", "R-01"}):
            add("record", {"system": "CONNECT", "record_id": id, "kind": "crime"}, kind="shown")
        for i in range(5):
            add("person", {"nominal_id": f"N-{i}", "name": "not in the pack"})
        self.tables = {
            name: sorted(leaf_hash(made) for made in entries) for name, entries in self._edit("tables", tables).items()
        }
        self.trees = {name: Tree(leaves) for name, leaves in self.tables.items()}

    def _behind(self) -> set[str]:
        """The records that the links shown name, as they were or with what is left."""
        made = [state["heirs"][-1][1] if "heirs" in state else state["made"] for state in self.state.values()
                if state["table"] == "link" and state["kind"] in ("shown", "reduced")]  # fmt: skip
        return {id for one in made for id in json.loads(one[32:])["supports"]["record_id"]}

    def _certificates(self) -> None:
        """What each disposal destroyed, and what took its place; each under its two roots."""
        pairs: dict[str, list[bytes]] = {FIRST: [], SECOND: []}
        died: dict[str, list[bytes]] = {FIRST: [], SECOND: []}
        for leaf, state in self.state.items():
            if state["kind"] == "disposed":
                died[state["disposal"]].append(leaf)
            before = leaf
            for disposal, made in state.get("heirs", ()):
                died[disposal].append(before)
                pairs[disposal].append(before + leaf_hash(made))
                before = leaf_hash(made)
        for disposal in (FIRST, SECOND):
            died[disposal] += [sha256(f"{disposal}, another row {i}".encode()) for i in range(5)]
        self.holes = {disposal: Tree(sorted(leaves)) for disposal, leaves in died.items()}
        self.pairs = {disposal: sorted(both) for disposal, both in pairs.items()}
        self.heirs = {disposal: Tree([leaf_hash(both) for both in made]) for disposal, made in self.pairs.items()}
        self.certificates = {}
        for number, disposal in enumerate((FIRST, SECOND), start=1):
            payload = {
                "disposal": disposal, "number": number, "archive": ORIGIN, "nominals": 1, "records": 2,
                "authority": self.texts("MOPI review 2026/14"), "reason": "clear period ended",
                "disposed_on": "2026-11-26T09:00:00Z", "certified_on": "2026-11-26T09:30:00Z",
                "by": self.texts("A. Retention"), "approved_by": self.texts("B. Approver"),
                "builds": [{"label": "2026-W46"}, {"label": BUILD}],
                "died": [
                    {"table": "link", "rows": len(self.holes[disposal].leaves) - 2}, {"table": "record", "rows": 2}
                ],
                "reduced": len(self.pairs[disposal]), "marked": [], "holes": self.holes[disposal].hash().hex(),
                "heirs": self.heirs[disposal].hash().hex(), "files": [], "cache_objects": 1, "remotes": [], "tags": 2,
                "escrow": "none held" if number == 1 else "to be replaced", "method": "destroyed", "checked": ["all"],
            }  # fmt: skip
            payload = self._edit(f"certificate {number}", payload)
            signer = self._edit(f"certifier {number}", self.key)
            self.certificates[disposal] = signer.envelope(CERTIFICATE, canonical(payload))

    def _built(self) -> dict[str, Any]:
        named = [
            {"name": name, "size": len(tree.leaves), "root": tree.hash().hex()}
            for name, tree in sorted(self.trees.items())
        ]
        flat = {name: sha256(b"".join(tree.leaves)).hex() for name, tree in self.trees.items()}
        page = {"version": "v3", "text": self.texts(CAVEAT)}
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": "https://slsa.dev/provenance/v1",
            "subject": [
                {
                    "name": f"{BUILD}/{t['name']}",
                    "digest": {"rfc6962-sha256": t["root"], "sha256": flat[t["name"]]},
                    "annotations": {"size": t["size"]},
                }
                for t in named
            ],
            "predicate": {
                "buildDefinition": {
                    "buildType": "https://provenance.example/weekly-build/v1",
                    "externalParameters": {
                        "label": BUILD, "number": 2, "cutOff": "2026-11-22T23:59:59Z",
                        "feeds": [{
                            "system": "CONNECT", "watermark": "2026-11-22T23:00:00Z", "records": 3, "involvements": 6,
                        }],
                    },
                    "internalParameters": {
                        "params": {"landing_page": page},
                        "documentsNotSupplied": [
                            {"name": name, "version": "1"} for name in (
                                "algo_care", "dpia", "ethics_advice", "policy_document", "technical_report",
                            )
                        ],
                        "machine": {
                            "system": "none", "python": "none", "threads": 1, "hash_seed": "0", "other_lock": "",
                        },
                    },
                    "resolvedDependencies": [
                        {"name": "code", "digest": {"gitCommit": "0" * 40}},
                        *(
                            {"name": name, "digest": {"sha256": digit * 64}}
                            for name, digit in (("package", "1"), ("environment", "2"))
                        ),
                        {"name": "params", "digest": {"sha256": sha256(canonical({"landing_page": page})).hex()}},
                        {"name": "harm/cambridge-2020", "digest": {"sha256": "3" * 64}},
                        {"name": "previous", "digest": {"sha256": "0" * 64}},
                    ],
                },
                "runDetails": {
                    "builder": {"id": "https://provenance.example/builder/v1", "version": {"provenance": "0"}},
                    "metadata": {
                        "invocationId": f"{BUILD}/2", "startedOn": "2026-11-23T05:00:00Z",
                        "finishedOn": "2026-11-23T05:30:00Z", "provenance_operator": self.texts("weekly job"),
                    },
                },
            },
        }  # fmt: skip
        payload = canonical(self._edit("statement", statement))
        self.statement = self._edit("signer", self.key).envelope(STATEMENT, payload)
        return {
            "act": "Built", "label": BUILD, "number": 2, "cut_off": "2026-11-22T23:59:59Z", "extracts": 2,
            "rules": "0" * 64, "statement": sha256(self.statement).hex(), "tables": named, "left_out": [], "files": [],
        }  # fmt: skip

    def _rekeyed(self, place: int) -> dict[str, Any]:
        sealed = json.loads(OLD.envelope(ENDORSEMENT, canonical({"entry": place, "vkey": NEW.vkey})))
        endorsement = sealed["signatures"][0]["sig"]
        return {"act": "Rekeyed", "place": place, "vkey": NEW.vkey, "reason": "yearly", "endorsement": endorsement}

    def _log(self) -> None:
        day = "2026-11-{:02}T06:00:00Z".format
        earlier = {"cut_off": "2026-11-15T23:59:59Z", "statement": "0" * 64, "tables": []}
        acts = [
            ("founded", day(2), {"act": "Founded", "archive": ORIGIN, "format": 1, "vkey": OLD.vkey}),
            ("", day(9), {"act": "Received", "extract": 1}),
            ("", day(16), {"act": "Built", "label": "2026-W46", "number": 1, **earlier}),
            ("", day(16), {"act": "Published", "label": "2026-W46", "at": day(16)}),
            *([("rekeyed", day(17), self._rekeyed(4))] * self.rotated),
            ("", day(22), {"act": "Received", "extract": 2}),
            ("built", day(23), self._built()),
            ("published", day(23), {"act": "Published", "label": BUILD, "at": day(23)}),
            ("", day(26), {"act": "Disposed", "disposal": FIRST, "number": 1}),
            ("certified", day(26), {"act": "Certified", "number": 1, "certificate": self._digest(FIRST)}),
            ("", day(27), {"act": "Disposed", "disposal": SECOND, "number": 2}),
            ("certified", day(27), {"act": "Certified", "number": 2, "certificate": self._digest(SECOND)}),
            ("ended", day(30), {"act": "Published", "label": "2026-W48", "at": day(30)}),
            ("", day(30), {"act": "Consulted", "case": "24/0113", "label": BUILD, "rows": 2}),
        ]
        acts = self._edit("acts", acts)
        said = {"by": self.texts("weekly job"), "under": self.texts("Data Protection Act 2018")}
        self.entries = self._edit("entries", [canonical({"on": on, **said, **act}) for _, on, act in acts])
        self.role = {}
        for index, (role, _, _) in enumerate(acts):
            self.role.setdefault(role, []).append(index)
        self.log = Tree([leaf_hash(made) for made in self.entries])

    def _digest(self, disposal: str) -> str:
        return sha256(self.certificates[disposal]).hex()

    def _head(self) -> None:
        size = len(self.entries)
        self.text = self._edit("checkpoint text", checkpoint_text(self.log, size))
        self.bare = self.text + b"\n" + self._edit("head signer", self.key).line(self.text)
        cosigned = b"".join(key.line(self.text, COSIGNED_AT) for key in ((ETHICS,) if self.witnesses else ()))
        self.checkpoint = self._edit("checkpoint", self.bare + cosigned)
        last = self.role["built"][-1]
        self.lines = {  # what the weekly notices said
            "before": f"2026-W46 {ORIGIN} 4 {b64(self.log.hash(0, 4))}",
            "covering": f"2026-W47 {ORIGIN} {last + 2} {b64(self.log.hash(0, last + 2))}",
            "now": f"2026-W48 {ORIGIN} {size} {b64(self.log.hash())}",
        }

    def _files(self) -> Files:
        size, edit = len(self.entries), self._edit
        one = {role: indexes[-1] for role, indexes in self.role.items()}
        complete = [
            {
                "theme": theme,
                "nominal": self._nominal(theme).hex(),
                "links": [x.hex() for x in sorted(self.mine[theme])],
            }
            for theme in ("CSE", "SOC")
            if self.question["theme"] in ("", theme)
        ]
        asked = self.person in (self.question["nominal"], self.question.get("person"))
        tables = json.loads(self.entries[one["built"]])["tables"]
        pack = {
            "format": "provenance-pack/1", "archive": ORIGIN, "build": BUILD, "number": 2,
            "as_of": AS_OF if self.live else "", "published_from": "2026-11-23T06:00:00Z" if self.live else "",
            "published_to": "2026-11-30T06:00:00Z" if self.live else "", "cut_off": "2026-11-22T23:59:59Z",
            "root": Tree([leaf_hash(canonical(t)) for t in tables]).hash().hex(),
            "question": {"person": self.question["nominal"], **self.question},
            "handling": "C", "conditions": self.texts("not to be copied"), "caveat": self.texts(CAVEAT),
            "caveat_version": "v3", "made_on": "2026-12-01T09:00:00Z",
            "disposed": {"disposed": 6, "reduced": 2, "restricted": 3, "computed_with_erased": 2, "tables": {},
                         "reasons": {"clear period ended": 6}},
            "entries": {
                "keys": [0, *self.role.get("rekeyed", [])], "built": one["built"],
                "published": one["published"] if self.live else -1, "ended": one["ended"] if self.live else -1,
                "certified": self.role["certified"],
            },
            "complete": complete if asked else [],
            "incomplete": (
                [{"theme": "CL", "why": self.texts("their figures are withheld")}]
                if asked and not self.question["theme"] else []
            ),
        }  # fmt: skip
        pack = edit("pack", pack)
        files = {
            "pack.json": canonical(pack),
            "rows.jsonl": b"".join(canonical(row) + b"\n" for row in edit("rows", self._lines())),
            "checkpoint": self.checkpoint,
            "head": self.bare,
            "policy": edit("policy", self._policy()),
            "statement.json": self.statement,
            "READ-ME-FIRST.txt": b"Open verify.html.\n",
            "verify.py": b"# a copy\n",
            "verify.html": b"<!doctype html>\n",
        }
        indexes = pack["entries"]
        for index in {
            *indexes["keys"],
            indexes["built"],
            indexes["published"],
            indexes["ended"],
            *indexes["certified"],
        }:
            if 0 <= index < size:
                files[f"log/{index}.entry"] = self.entries[index]
                files[f"log/{index}.tlog-proof"] = self.proof(index)
        files |= {f"certificates/{disposal}.json": made for disposal, made in self.certificates.items()}
        if self.published:
            files["heads.txt"] = "".join(f"{line}\n" for line in self.lines.values()).encode()
            for line in self.lines.values():
                old = int(line.split(" ")[2])
                if old < size:
                    files[f"heads/{old}.add-checkpoint"] = self.add_checkpoint(old)
        return files | {"SHA256SUMS": sums(files)}

    def _policy(self) -> bytes:
        logs = (OLD, NEW) if self.rotated else (OLD,)
        return (
            policy(logs=logs)
            if self.witnesses
            else b"".join(b"log %s\n" % k.vkey.encode() for k in logs) + b"quorum none\n"
        )

    def _nominal(self, theme: str) -> bytes:
        [leaf] = [
            leaf for leaf, state in self.state.items()
            if state["table"] == "nominal" and json.loads(state["made"][32:])["theme"] == theme
        ]  # fmt: skip
        return leaf

    def proof(self, index: int) -> bytes:
        lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *map(b64, self.log.path(index)), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    def add_checkpoint(self, old: int) -> bytes:
        return "\n".join([f"old {old}", *map(b64, self.log.proof(old)), "", ""]).encode() + self.bare

    def _lines(self) -> list[dict[str, Any]]:
        lines = []
        for leaf, state in self.state.items():
            table = state["table"]
            line = {"table": table, **self.trees[table].place(self.tables[table].index(leaf))}
            kind = state["kind"]
            if kind == "shown":
                line["entry"] = b64(state["made"])
                line |= {"computed_with_erased": True} if state.get("marked") else {}
            else:
                line |= {"leaf": leaf.hex(), "withheld": "reduced" if kind == "hidden" else kind}
            if kind == "disposed":
                holes = self.holes[state["disposal"]]
                line |= {"disposal": state["disposal"], "hole": holes.place(holes.leaves.index(leaf))}
            if kind == "hidden":
                line["heirs"] = []
            if kind == "reduced":
                line["heirs"], before = [], leaf
                for disposal, made in state["heirs"]:
                    after = leaf_hash(made)
                    place = self.heirs[disposal].place(self.pairs[disposal].index(before + after))
                    line["heirs"].append({"disposal": disposal, "leaf": after.hex(), **place})
                    before = after
                line["entry"] = b64(state["heirs"][-1][1])
            lines.append(line)
        return sorted(lines, key=lambda line: (line["table"], line["index"]))


HOSTILE = (
    "<img src=x onerror=alert(1)>", "</script><script>document.body.dataset.hit=1</script>", "\x1b[2J\x1b[31mVERIFIED",
    "\u202egnorw si siht", "a\u0000b\u0007", "\u2028{{7*7}}", "javascript:alert(1)", "\U0001f600" * 400,
    "=cmd|' /C calc'!A0",
)  # fmt: skip


def hostile(text: str) -> str:
    """The same text, with something of all that has ever been put where text was expected."""
    return f"{text} {' '.join(HOSTILE)}"


@cache
def good() -> Story:
    """The story as it is."""
    return Story()


VARIANTS: dict[str, Callable[[], Story]] = {
    "the whole story": good,
    "one key, no witness, nothing published": lambda: Story(rotated=False, witnesses=False, published=False),
    "a build that was never live": lambda: Story(live=False),
    "a question about a network": lambda: Story(
        question={"nominal": "", "network": "SOC-2026-W01-001", "theme": "", "case": "24/0113"}
    ),
    "a person under another id": lambda: Story(
        question={"nominal": "N-1", "person": PERSON, "network": "", "theme": "", "case": ""}
    ),
    "hostile text wherever text may be": lambda: Story(person=hostile(PERSON), texts=hostile),
    "a question about one theme": lambda: Story(
        question={"nominal": PERSON, "network": "", "theme": "SOC", "case": ""}
    ),
    "many links": lambda: Story(more=80),
    "no rows at all": lambda: Story({"rows": lambda _: [], "pack": _empty}, question=_NOBODY),
    "a quorum that is not met": lambda: Story({"policy": lambda _: policy(quorum="pcc")}),
    "published long after": lambda: Story({"acts": _late}),
    "live again after a withdrawal": lambda: Story({"acts": _withdrawn}),
    "a statement made before version 1.1": lambda: Story({"statement": _of_1_0}),
}
_NOBODY = {"nominal": "", "network": "", "theme": "", "case": ""}


def _of_1_0(statement: dict[str, Any]) -> dict[str, Any]:
    for subject in statement["subject"]:
        del subject["digest"]["sha256"]
    return statement


def _empty(pack: dict[str, Any]) -> dict[str, Any]:
    return {**pack, "complete": [], "incomplete": []}


def _late(acts: list[tuple]) -> list[tuple]:
    return [(role, "2027-02-01T06:00:00Z" if role == "published" else on, act) for role, on, act in acts]


def _withdrawn(acts: list[tuple]) -> list[tuple]:
    again = {"act": "Withdrawn", "label": "2026-W47.2", "at": "2026-11-23T06:00:00Z", "reason": "wrong cut-off"}
    return [(role, on, again if role == "published" else act) for role, on, act in acts]
