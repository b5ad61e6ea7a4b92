"""Packs that must be refused: each with how it is spoilt, and by which step and in what words it has to be said.

Some are by whoever carries the pack, who can change files and mend SHA256SUMS (`files`, `line`, `row`, `pack`). Others
are by someone who holds the log's key and a free hand before the pack is made (`edits`, by the stage of `packs.Story`):
against them nothing helps but a published head, a witness, or what contradicts itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from packs import (
    BUILD,
    COSIGNED_AT,
    ENDORSEMENT,
    ETHICS,
    FIRST,
    FOREIGN,
    NEW,
    OLD,
    ORIGIN,
    PCC,
    PERSON,
    SECOND,
    Edits,
    Files,
    Key,
    Story,
    Tree,
    b64,
    canonical,
    checkpoint_text,
    entry,
    good,
    leaf_hash,
    link,
    policy,
    sha256,
    sums,
    support,
)


@dataclass(frozen=True)
class Spoilt:
    """`line` is the published head and `policy` the policy file that the verifier is given."""

    name: str
    step: int
    words: str
    files: Callable[[Files], Files | None] | None = None
    edits: Edits = field(default_factory=dict)
    mended: bool = True  # SHA256SUMS is put right again
    line: str = ""
    policy: bytes | None = None
    story: type[Story] = Story

    def make(self) -> Files:
        plain = not self.edits and self.story is Story
        files = dict((good() if plain else self.story(self.edits)).files)
        if self.files:
            made = self.files(files)
            files = files if made is None else made
            if self.mended:
                files["SHA256SUMS"] = sums(files)
        return files


TABLE: list[Spoilt] = []


def spoilt(name: str, step: int, words: str, **how: Any) -> None:
    assert name not in {one.name for one in TABLE}, name
    TABLE.append(Spoilt(name, step, words, **how))


# How files are changed.


def put(name: str, data: bytes) -> Callable[[Files], None]:
    return lambda files: files.update({name: data})


def file(name: str, change: Callable[[bytes], bytes]) -> Callable[[Files], None]:
    return lambda files: files.update({name: change(files[name])})


def swap(name: str, old: bytes, new: bytes) -> Callable[[Files], None]:
    def change(data: bytes) -> bytes:
        assert old in data, (name, old)
        return data.replace(old, new, 1)

    return file(name, change)


def drop(*names: str) -> Callable[[Files], None]:
    return lambda files: [files.pop(name) for name in names] and None


def pack(change: Callable[[dict[str, Any]], Any]) -> Callable[[Files], None]:
    """A change of pack.json; the change may return another object."""

    def done(files: Files) -> None:
        said = json.loads(files["pack.json"])
        made = change(said)
        files["pack.json"] = canonical(said if made is None else made)

    return done


def rows(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Files], None]:
    def done(files: Files) -> None:
        lines = [json.loads(line) for line in files["rows.jsonl"].splitlines()]
        made = change(lines)
        files["rows.jsonl"] = b"".join(canonical(line) + b"\n" for line in (lines if made is None else made))

    return done


def find(lines: list[dict[str, Any]], kind: str, table: str = "link", nth: int = 0) -> dict[str, Any]:
    """The nth line of a table that is withheld as `kind`; "" is shown, "hidden" reduced with nothing to show."""
    wanted = [
        line for line in lines
        if line["table"] == table and line.get("withheld", "") == ("reduced" if kind == "hidden" else kind)
        and (kind not in ("hidden", "reduced") or bool(line["heirs"]) == (kind == "reduced"))
    ]  # fmt: skip
    return wanted[nth]


def row(
    kind: str, change: Callable[[dict[str, Any]], Any], table: str = "link", nth: int = 0
) -> Callable[[Files], None]:
    return rows(lambda lines: change(find(lines, kind, table, nth)) and None)


def flip(text: str, bit: int = 0) -> str:
    """One bit of what base64 holds, flipped."""
    data = bytearray(base64.b64decode(text))
    data[bit // 8] ^= 1 << bit % 8
    return b64(bytes(data))


def flip_in(paths: list[str], place: int = 0, bit: int = 77) -> None:
    paths[place] = flip(paths[place], bit)


def both(*changes: Callable[[Files], Any]) -> Callable[[Files], None]:
    return lambda files: [change(files) for change in changes] and None


def everywhere(change: Callable[[bytes], bytes]) -> Callable[[Files], None]:
    """The checkpoint, wherever the pack has it."""

    def done(files: Files) -> None:
        old = files["checkpoint"]
        for name, data in files.items():
            if name == "checkpoint" or name.endswith(".tlog-proof"):
                files[name] = data.replace(old, change(old))

    return done


def text(note: bytes) -> bytes:
    """What a note's signatures are over."""
    return note[: note.index(b"\n\n") + 1]


def note(size: int) -> bytes:
    """The head of the story's log at another size, rightly signed."""
    said = checkpoint_text(STORY.log, size)
    return said + b"\n" + NEW.line(said)


def spoilt_line(line: bytes, at: int = -20) -> bytes:
    """A signature line with a bit of its signature flipped."""
    name, _, raw = line.rpartition(b" ")
    data = bytearray(base64.b64decode(raw))
    data[at] ^= 1
    return name + b" " + b64(bytes(data)).encode() + b"\n"


def stray(base64_text: bytes) -> bytes:
    """The same bytes in base64, with a bit set beyond them. Wants padding."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    bare = base64_text.rstrip(b"=")
    made = bare[:-1] + letters[letters.index(bare[-1]) + 1 :][:1] + base64_text[len(bare) :]
    assert base64.b64decode(made) == base64.b64decode(base64_text) != b""
    return made


def on_line(place: int, change: Callable[[bytes], bytes | None]) -> Callable[[bytes], bytes]:
    """A change of one line of a file; None takes it out."""

    def done(data: bytes) -> bytes:
        lines = data.split(b"\n")
        made = change(lines[place])
        return b"\n".join([*lines[:place], *([] if made is None else [made]), *lines[place + 1 :]])

    return done


def act(acts: list[tuple], wanted: str, **changes: Any) -> list[tuple]:
    return [(role, on, {**said, **changes} if role == wanted else said) for role, on, said in acts]


def only(acts: list[tuple], wanted: str) -> dict[str, Any]:
    return next(said for role, _, said in acts if role == wanted)


def ended(pack: dict[str, Any], index: int, at: str) -> dict[str, Any]:
    """The pack of a build that was live until the act at `index`, which was at that moment."""
    return {**pack, "as_of": "", "published_to": at, "entries": {**pack["entries"], "ended": index}}


class Stranger(Story):
    """Someone without a key of the force who goes on from its published head: an entry that names a key of his own as
    the log's, and after it certificates and a head that he signs. All that was published before is as it was."""

    def __init__(self, edits: Edits, **rekeyed: Any) -> None:
        def go_on(acts: list[tuple]) -> list[tuple]:
            place = next(i for i, (role, _, _) in enumerate(acts) if role == "published") + 1
            said = {"act": "Rekeyed", "place": place, "vkey": FOREIGN.vkey, "reason": "yearly"}
            mine = said | {"endorsement": b64(bytes(64))} | rekeyed
            return [*acts[:place], ("rekeyed", "2026-11-24T06:00:00Z", mine), *acts[place:]]

        signers = dict.fromkeys(("head signer", "certifier 1", "certifier 2"), lambda _: FOREIGN)
        super().__init__({"acts": go_on, **signers, **edits}, witnesses=False)
        assert self.lines["covering"] == STORY.lines["covering"]

    def _policy(self) -> bytes:
        return b"".join(b"log %s\n" % key.vkey.encode() for key in (OLD, NEW, FOREIGN)) + b"quorum none\n"


class Repeater(Stranger):
    """The same with the one endorsement that the log has, which is of another key at another place."""

    def __init__(self, edits: Edits) -> None:
        super().__init__(edits, endorsement=STORY._rekeyed(4)["endorsement"])


class Borrower(Stranger):
    """The same, and the entry is the force's own change of key once more, place and all."""

    def __init__(self, edits: Edits) -> None:
        super().__init__(edits, **{name: STORY._rekeyed(4)[name] for name in ("place", "vkey", "endorsement")})


def endorsed_by(key: Key, place: int, vkey: str) -> str:
    """An endorsement, whoever gives it."""
    sealed = json.loads(key.envelope(ENDORSEMENT, canonical({"entry": place, "vkey": vkey})))
    return sealed["signatures"][0]["sig"]


def published_first(acts: list[tuple]) -> list[tuple]:
    at = next(i for i, (role, _, _) in enumerate(acts) if role == "built")
    return [*acts[:at], acts[at + 1], acts[at], *acts[at + 2 :]]


def flipped(line: bytes) -> bytes:
    return flip(line.decode()).encode()


class Liar(Key):
    """A key that signs under the hash of the log's."""

    @property
    def hash(self) -> bytes:
        return NEW.hash


class Twice(Story):
    """A force that put one record's row into its tree twice, and shows both."""

    def __init__(self, edits: Edits) -> None:
        super().__init__({"tables": lambda tables: tables | {"record": [tables["record"][0], *tables["record"]]}})

    def _lines(self) -> list[dict[str, Any]]:
        lines = super()._lines()
        twin = next(i for i, leaf in enumerate(self.tables["record"][1:], 1) if leaf == self.tables["record"][i - 1])
        first = next(line for line in lines if line["table"] == "record" and line["index"] == twin - 1)
        return in_order([*lines, {**first, **self.trees["record"].place(twin)}])


def older(files: Files, size: int) -> None:
    """The pack under the head of another size: what is not under it keeps the path that it had."""
    tree, head = Tree(STORY.log.leaves[:size]), note(size)
    for name, data in list(files.items()):
        if name.endswith(".tlog-proof"):
            index = int(name[4:].partition(".")[0])
            lines = data[: data.index(b"\n\n")].split(b"\n")
            if index < size:
                lines = [*lines[:2], *(b64(digest).encode() for digest in tree.path(index))]
            files[name] = b"\n".join(lines) + b"\n\n" + head
        elif name.startswith("heads"):
            del files[name]
    files.update({"checkpoint": head, "head": head})


def in_order(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(lines, key=lambda line: (line["table"], line["index"]))


def leaf(line: dict[str, Any]) -> str:
    return line["leaf"] if "leaf" in line else leaf_hash(base64.b64decode(line["entry"])).hex()


def bare(line: dict[str, Any], kind: str, **more: Any) -> None:
    """A row that was shown, withheld."""
    line.update(leaf=leaf(line), withheld=kind, **more)
    del line["entry"]
    line.pop("computed_with_erased", None)


def is_record(line: dict[str, Any], id: str) -> bool:
    return line["table"] == "record" and json.loads(base64.b64decode(line["entry"])[32:])["record_id"] == id


def exchanged(lines: list[dict[str, Any]]) -> None:
    one, other = find(lines, "restricted"), find(lines, "hidden")
    one["leaf"], other["leaf"] = other["leaf"], one["leaf"]


def passed_off(lines: list[dict[str, Any]]) -> None:
    gone = find(lines, "disposed")
    find(lines, "restricted").update(withheld="disposed", disposal=gone["disposal"], hole=gone["hole"])


def heirs_swapped(lines: list[dict[str, Any]]) -> None:
    one, other = find(lines, "reduced"), find(lines, "reduced", nth=1)
    for name in ("heirs", "entry"):
        one[name], other[name] = other[name], one[name]


def twice(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps of the link that was reduced twice."""
    return next(line["heirs"] for line in lines if len(line.get("heirs", ())) == 2)


def parent(line: dict[str, Any]) -> str:
    """The digest above a bare row's, in its tree."""
    mine, beside = bytes.fromhex(line["leaf"]), base64.b64decode(line["path"][0])
    return sha256(b"\x01" + (beside + mine if line["index"] % 2 else mine + beside)).hex()


STORY = good()
BUILT = STORY.role["built"][0]
FORK = Story({"acts": lambda acts: act(acts, "", by="someone else")})
TOO_LATE = f"{BUILD} {ORIGIN} 5 {b64(STORY.log.hash(0, 5))}"
PROOF = f"log/{BUILT}.tlog-proof"
ENTRY = f"log/{BUILT}.entry"
ADD = f"heads/{BUILT + 2}.add-checkpoint"

# 1. Files.
spoilt(
    "a row changed and the sums left as they were",
    1,
    "has another SHA-256",
    mended=False,
    files=swap("rows.jsonl", b'"table":"record"', b'"table":"recorD"'),
)
spoilt("an extra file, not listed", 1, "is no part of a pack", mended=False, files=put("notes.txt", b"trust me\n"))
spoilt(
    "an extra file, listed: what is beside the proof is not proved",
    1,
    "is no part of a pack",
    files=put("expert-report.pdf", b"verified\n"),
)
spoilt(
    "a file of a known kind that is not listed",
    1,
    "is not listed in SHA256SUMS",
    mended=False,
    files=put("certificates/00000000000000cc.json", b"{}"),
)
spoilt("a listed file is missing", 1, "is listed in SHA256SUMS and is not there", mended=False, files=drop("verify.py"))
spoilt("the policy is missing", 1, "policy: is not there", files=drop("policy"))
spoilt("the sums are missing", 1, "SHA256SUMS: is not there", mended=False, files=drop("SHA256SUMS"))
spoilt(
    "a wrong digest in the sums",
    1,
    "has another SHA-256",
    mended=False,
    files=file("SHA256SUMS", lambda data: (b"0" if data[:1] != b"0" else b"1") + data[1:]),
)
spoilt(
    "sums in capitals",
    1,
    "not a digest, two spaces and a name",
    mended=False,
    files=file("SHA256SUMS", lambda data: data[:64].upper() + data[64:]),
)
spoilt(
    "sums out of order",
    1,
    "out of order or twice",
    mended=False,
    files=file("SHA256SUMS", lambda data: b"".join(reversed(data.splitlines(keepends=True)))),
)
spoilt(
    "sums that name a file outside",
    1,
    "is listed in SHA256SUMS and is not there",
    mended=False,
    files=file("SHA256SUMS", lambda data: b"0" * 64 + b"  ../../etc/passwd\n" + data),
)
spoilt(
    "sums that name themselves",
    1,
    "has another SHA-256",
    mended=False,
    files=file(
        "SHA256SUMS",
        lambda data: data.replace(b"  READ-ME-FIRST.txt\n", b"  READ-ME-FIRST.txt\n" + b"0" * 64 + b"  SHA256SUMS\n"),
    ),
)
spoilt(
    "sums with no end", 1, "wanted lines of a digest", mended=False, files=file("SHA256SUMS", lambda data: data[:-1])
)
for what, change in {
    "a key twice": lambda data: b'{"format":"provenance-pack/1",' + data[1:],
    "spaces": lambda data: data.replace(b":", b": ", 1),
    "a fraction": lambda data: data.replace(b'"number":2', b'"number":2.0'),
    "an exponent": lambda data: data.replace(b'"number":2', b'"number":2e0'),
    "a count too large": lambda data: data.replace(b'"number":2', b'"number":9007199254740993'),
    "ten thousand digits": lambda data: data.replace(b'"number":2', b'"number":' + b"9" * 10_000),
    "minus nothing": lambda data: data.replace(b'"number":2', b'"number":-0'),
    "not a number": lambda data: data.replace(b'"number":2', b'"number":NaN'),
    "null": lambda data: data.replace(b'"number":2', b'"number":null'),
    "bytes that are no text": lambda data: data.replace(b"Advisory", b"\xff\xfe"),
    "half a character": lambda data: data.replace(b"Advisory", b"\\ud800"),
    "a mark of byte order": lambda data: b"\xef\xbb\xbf" + data,
    "a line end": lambda data: data + b"\n",
    "lists deep beyond reading": lambda data: data.replace(b'"number":2', b'"number":' + b"[" * 10**5 + b"]" * 10**5),
    "lists as deep as it may be read": lambda data: data.replace(b'"number":2', b'"number":' + b"[" * 300 + b"]" * 300),
    "nothing at all": lambda data: b"",
    "escapes where none are needed": lambda data: data.replace(b"Advisory", b"\\u0041dvisory"),
}.items():  # fmt: skip
    spoilt(f"pack.json: {what}", 1, "not canonical JSON", files=file("pack.json", change))
for what, edit in {
    "a field more": lambda p: p.update(verified="yes"),
    "a field less": lambda p: p.pop("caveat") and None,
    "an inherited name": lambda p: p.update({"__proto__": {"a": 1}}),
    "a list in place of it": lambda p: [p],
    "text in place of a count": lambda p: p.update(number="2"),
    "true in place of a count": lambda p: p["entries"].update(built=True),
    "a count below nothing": lambda p: p["entries"].update(built=-2),
    "a date in another form": lambda p: p.update(cut_off="2026-11-22"),
    "a root in capitals": lambda p: p.update(root=p["root"].upper()),
    "no person beside the question": lambda p: p["question"].pop("person") and None,
}.items():  # fmt: skip
    spoilt(f"pack.json: {what}", 1, "not in the form that a pack has it", files=pack(edit))
spoilt(
    "pack.json: of a later form",
    1,
    "wanted provenance-pack/1",
    files=pack(lambda p: p.update(format="provenance-pack/2")),
)
spoilt(
    "a theme both complete and incomplete",
    1,
    "a theme twice",
    files=pack(lambda p: p["incomplete"].append({"theme": "SOC", "why": "none"})),
)

for what, moment in {
    "digits of another script": "\u0662\u0660\u0662\u0666-12-01T09:00:00Z",
    "full-width digits": "2026-12-\uff10\uff11T09:00:00Z",
    "no time of any day": "2026-12-01T99:99:99Z",
    "the hour after the last": "2026-12-01T24:00:00Z",
    "a leap second": "2026-12-31T23:59:60Z",
    "a month more": "2026-13-01T09:00:00Z",
    "30 February": "2026-02-30T09:00:00Z",
    "29 February of a year that has none": "2026-02-29T09:00:00Z",
    "the year nought": "0000-12-01T09:00:00Z",
    "a line end after it": "2026-12-01T09:00:00Z\n",
}.items():
    for name in ("made_on", "as_of"):
        spoilt(
            f"pack.json: {name} with {what}",
            1,
            f"{name}: not in the form that a pack has it",
            files=pack(lambda p, name=name, moment=moment: p.update({name: moment})),
        )

# 2. Head.
spoilt("the head signed by a foreign key", 2, "0 signatures by a log key", edits={"head signer": lambda _: FOREIGN})
spoilt(
    "a foreign key under the log key's own hash",
    2,
    "does not verify",
    edits={"checkpoint": lambda note: Liar(ORIGIN, FOREIGN.seed).line(text(note)).join([text(note) + b"\n", b""])},
)
spoilt(
    "two signatures of the log",
    2,
    "2 signatures by a log key",
    edits={"checkpoint": lambda note: note + NEW.line(text(note))},
)
spoilt(
    "signed by the old key and by the new one",
    2,
    "2 signatures by a log key",
    edits={"checkpoint": lambda note: note + OLD.line(text(note))},
)
spoilt(
    "another size under the same signature",
    2,
    "does not verify",
    files=everywhere(lambda note: note.replace(b"\n14\n", b"\n15\n")),
)
spoilt(
    "a size with a leading zero",
    2,
    "without leading zeros",
    edits={"checkpoint text": lambda t: t.replace(b"\n14\n", b"\n014\n")},
)
spoilt("a size with a sign", 2, "not a count", edits={"checkpoint text": lambda t: t.replace(b"\n14\n", b"\n+14\n")})
spoilt(
    "a size beyond all counts",
    2,
    "above 2^53 - 1",
    edits={"checkpoint text": lambda t: t.replace(b"\n14\n", b"\n" + b"9" * 18 + b"\n")},
)
spoilt(
    "a root whose base64 has stray bits",
    2,
    "one canonical form",
    edits={"checkpoint text": lambda t: t[:-45] + stray(t[-45:-1]) + b"\n"},
)
spoilt(
    "a root with bytes missing", 2, "wanted a digest of 32", edits={"checkpoint text": lambda t: t[:-45] + b"AAAA\n"}
)
spoilt(
    "another log's name under this log's key",
    2,
    "wanted that of the log key",
    edits={"checkpoint text": lambda t: t.replace(ORIGIN.encode(), b"other.example/builds")},
)
spoilt("lines that end as on Windows", 2, "signed note", files=everywhere(lambda note: note.replace(b"\n", b"\r\n")))
spoilt("no signature at all", 2, "signature lines, wanted 1", files=everywhere(lambda note: text(note) + b"\n"))
spoilt(
    "a hundred and one signatures",
    2,
    "signature lines, wanted 1",
    files=everywhere(lambda note: note + 100 * Key("x.example", "x").line(text(note))),
)
spoilt(
    "a signature whose base64 has stray bits",
    2,
    "signed note: base64",
    files=everywhere(lambda note: note[:-1].rpartition(b" ")[0] + b" " + stray(note[:-1].rpartition(b" ")[2]) + b"\n"),
)
spoilt(
    "a signature of four bytes",
    2,
    "a signature of 4 bytes",
    files=everywhere(lambda note: note + "— x AAAAAA==\n".encode()),
)
spoilt(
    "a witness's line that does not verify",
    2,
    "does not verify",
    edits={"checkpoint": lambda note: note + spoilt_line(PCC.line(text(note), COSIGNED_AT))},
)
spoilt(
    "a witness's line of another time",
    2,
    "does not verify",
    edits={"checkpoint": lambda note: note + spoilt_line(PCC.line(text(note), COSIGNED_AT), 11)},
)
spoilt(
    "a witness's line over another head",
    2,
    "does not verify",
    edits={"checkpoint": lambda note: note + PCC.line(text(note).replace(b"\n14\n", b"\n13\n"), COSIGNED_AT)},
)
spoilt(
    "a witness's line without a time",
    2,
    "not in the form of a cosignature",
    edits={"checkpoint": lambda note: note + f"— {PCC.name} {b64(PCC.hash + PCC.private.sign(text(note)))}\n".encode()},
)
spoilt(
    "the log's key signs as its own witness",
    2,
    "one key twice",
    edits={
        "policy": lambda data: data.replace(b"group", f"witness self {Key(ORIGIN, NEW.seed, 4).vkey}\ngroup".encode())
    },
)
spoilt(
    "`head` with a cosignature in it",
    2,
    "with the log's signature alone",
    files=lambda f: f.update(head=f["checkpoint"]),
)
spoilt("`head` of another head", 2, "with the log's signature alone", files=lambda f: f.update(head=note(8)))
for what, (words, change) in {
    "no quorum": ("no quorum line", lambda p: p.replace(b"quorum oversight\n", b"")),
    "two quorums": ("one quorum", lambda p: p + b"quorum none\n"),
    "a quorum that comes later": ("not defined before it", lambda p: b"quorum oversight\n" + p),
    "a group that asks for more than it has": ("asks for 3 of 2", lambda p: p.replace(b"any", b"3")),
    "a group that asks for none": ("asks for 0 of 2", lambda p: p.replace(b"any", b"0")),
    "a member twice": ("is a member already", lambda p: p.replace(b"any ethics pcc", b"2 ethics ethics")),
    "a member in two groups": ("is a member already", lambda p: p.replace(b"quorum", b"group g any pcc\nquorum")),
    "a key under two names": (
        "one key twice", lambda p: p.replace(b"group", f"witness e2 {Key('e2', 'ethics', 4).vkey}\ngroup".encode()),
    ),
    "a hash that is not the key's": (
        "not that of its name and key", lambda p: p.replace(OLD.hash.hex().encode(), b"00000000"),
    ),
    "a line of another kind": ("a line that is none of", lambda p: b"trust everyone\n" + p),
    "a witness that signs as a log does": (
        "a key of the wrong kind", lambda p: p.replace(ETHICS.vkey.encode(), Key(ETHICS.name, "ethics").vkey.encode()),
    ),
    "a name twice": ("a name given twice", lambda p: p.replace(b"witness pcc", b"witness ethics")),
    "a control character": ("a control character", lambda p: p.replace(b"any", b"any\x0b")),
    "no last line end": ("no end", lambda p: p[:-1]),
    "no log": ("no log key", lambda p: p[p.index(b"witness"):]),
}.items():  # fmt: skip
    spoilt(f"policy: {what}", 2, words, files=file("policy", change))
spoilt("the policy given has another log", 2, "0 signatures by a log key", policy=policy(logs=(FOREIGN,)))
spoilt(
    "the policy given asks for a witness who did not sign",
    2,
    "witnesses that have not cosigned",
    policy=policy(quorum="pcc"),
)
spoilt(
    "the policy given knows only the key from before the change",
    2,
    "0 signatures by a log key",
    policy=policy(logs=(OLD,)),
)
spoilt(
    "cosignatures taken out, and the policy given asks for them",
    2,
    "witnesses that have not cosigned",
    files=everywhere(lambda note: note[: note.rindex("— ".encode())]),
    policy=policy(),
)

# 3. Published heads.
spoilt(
    "a fork: the published head is of another log that the same key signed",
    3,
    "does not continue",
    line=FORK.lines["covering"],
)
spoilt("a fork of the very same size", 3, "does not continue", line=FORK.lines["now"])
spoilt(
    "a published head of another force",
    3,
    "and this pack is of",
    line=STORY.lines["covering"].replace(ORIGIN, "other.example/builds"),
)
spoilt(
    "a published head to which the pack shows no way",
    3,
    "is not there to show how it continues",
    line=f"2026-W47 {ORIGIN} 10 {b64(STORY.log.hash(0, 10))}",
)
spoilt(
    "a bit of the way flipped",
    3,
    "does not continue",
    files=file(ADD, lambda data: on_line(1, flipped)(data)),
    line=STORY.lines["covering"],
)
spoilt(
    "a way too short",
    3,
    "a path that could not lead",
    files=file(ADD, lambda data: on_line(1, lambda _: None)(data)),
    line=STORY.lines["covering"],
)
spoilt(
    "a way too long",
    3,
    "a path that could not lead",
    files=file(ADD, lambda data: data.replace(b"\n\n", b"\n" + b64(bytes(32)).encode() + b"\n\n", 1)),
    line=STORY.lines["covering"],
)
spoilt(
    "a way from another size",
    3,
    "wanted a first line `old",
    files=file(ADD, lambda data: b"old 9" + data[5:]),
    line=STORY.lines["covering"],
)
spoilt(
    "a way to another head",
    3,
    "leads to another head",
    files=file(ADD, lambda data: data[: data.index(b"\n\n") + 2] + note(13)),
    line=STORY.lines["covering"],
)
spoilt(
    "a way in base64 that is not canonical",
    3,
    "one canonical form",
    files=file(ADD, lambda data: on_line(1, stray)(data)),
)
spoilt(
    "a published line changed in the pack",
    3,
    "does not continue",
    files=file(
        "heads.txt",
        lambda data: on_line(0, lambda line: line[:-10] + (b"A" if line[-10:-9] != b"A" else b"B") + line[-9:])(data),
    ),
)
spoilt(
    "a way that no published line asks for",
    3,
    "is of no head in heads.txt",
    files=lambda f: f.update({"heads/7.add-checkpoint": STORY.add_checkpoint(7)}),
)
spoilt(
    "a published line with two spaces", 3, "wanted LABEL ORIGIN SIZE ROOT", files=swap("heads.txt", b"W47 ", b"W47  ")
)

# 4. Log entries.
spoilt(
    "a published head from before the build, and nothing else to go by",
    4,
    "its head of 4 entries is from before the build of this pack, entry 6: wanted a line published since",
    line=STORY.lines["before"],
)
spoilt(
    "a published head from before the build was live, and nothing else to go by",
    4,
    "its head of 7 entries is from before what made the build of this pack live, entry 7",
    line=(BETWEEN := f"{BUILD} {ORIGIN} 7 {b64(STORY.log.hash(0, 7))}"),
    files=both(
        file("heads.txt", lambda data: data + BETWEEN.encode() + b"\n"),
        put("heads/7.add-checkpoint", STORY.add_checkpoint(7)),
    ),
)
spoilt(
    "the build replaced after its week's head was published",
    4,
    "from before the build of this pack",
    line=TOO_LATE,
    files=both(
        file("heads.txt", lambda data: data + TOO_LATE.encode() + b"\n"),
        put("heads/5.add-checkpoint", STORY.add_checkpoint(5)),
    ),
)
spoilt("an entry changed", 4, "its path leads to another root", files=swap(ENTRY, b'"number":2', b'"number":3'))
spoilt("an entry's place changed", 4, f"is for entry 5, wanted {BUILT}", files=swap(PROOF, b"index 6", b"index 5"))
spoilt(
    "a bit of an entry's path flipped",
    4,
    "its path leads to another root",
    files=file(PROOF, lambda d: on_line(2, flipped)(d)),
)
spoilt(
    "an entry's path too short",
    4,
    "a path that could not be of entry",
    files=file(PROOF, lambda d: on_line(2, lambda _: None)(d)),
)
spoilt("an entry's path with a stray bit", 4, "one canonical form", files=file(PROOF, lambda d: on_line(2, stray)(d)))
spoilt("an index with a leading zero", 4, "without leading zeros", files=swap(PROOF, b"index 6", b"index 06"))
spoilt("a proof of another form", 4, "c2sp.org/tlog-proof@v1", files=swap(PROOF, b"@v1", b"@v2"))
spoilt(
    "the proofs of two entries swapped",
    4,
    "wanted",
    files=lambda f: f.update({PROOF: f["log/0.tlog-proof"], "log/0.tlog-proof": f[PROOF]}),
)
spoilt(
    "one proof under an older head",
    4,
    "under another head",
    files=file(PROOF, lambda d: d[: d.index(b"\n\n") + 2] + note(8)),
)
spoilt(
    "an older head, for which some entries are not there yet",
    4,
    "a path that could not be of entry",
    files=lambda f: older(f, 8),
)
spoilt("an entry missing", 4, "is not there, and pack.json names its entry", files=drop("log/0.entry"))
spoilt(
    "an entry that nothing names",
    4,
    "is of no entry that pack.json names",
    files=lambda f: f.update({"log/1.entry": STORY.entries[1], "log/1.tlog-proof": STORY.proof(1)}),
)
spoilt(
    "the build before in place of the build",
    4,
    "build: 2026-W47, and the log says 2026-W46",
    files=both(
        pack(lambda p: p["entries"].update(built=2)),
        put("log/2.entry", STORY.entries[2]),
        put("log/2.tlog-proof", STORY.proof(2)),
        drop(ENTRY, PROOF),
    ),
)
for what, (words, change) in {
    "another build": ("the log says 2026-W47", lambda p: p.update(build="2026-W48")),
    "another number": ("the log says 2", lambda p: p.update(number=3)),
    "another cut-off": ("the log says 2026-11-22", lambda p: p.update(cut_off="2026-11-29T23:59:59Z")),
    "live from earlier": ("the log says 2026-11-23", lambda p: p.update(published_from="2026-11-20T06:00:00Z")),
    "live for longer": ("the log says 2026-11-30", lambda p: p.update(published_to="2026-12-30T06:00:00Z")),
    "as of before it was live": ("and the build was live from", lambda p: p.update(as_of="2026-11-22T10:00:00Z")),
    "as of when it was over": ("and the build was live from", lambda p: p.update(as_of="2026-11-30T06:00:00Z")),
    "live without an end, and what ended it": ("a date without its log entry", lambda p: p.update(published_to="")),
    "another root": ("and the log's tables make", lambda p: p.update(root="0" * 64)),
    "another force": ("and the head is of", lambda p: p.update(archive="other.example/builds")),
    "a key that is an act of another kind": ("wanted Rekeyed", lambda p: p["entries"].update(keys=[0, 4, BUILT])),
    "the first key left out": ("wanted the key at entry 0", lambda p: p["entries"].update(keys=[4])),
    "keys out of order": ("do not ascend", lambda p: p["entries"].update(keys=[4, 0])),
}.items():  # fmt: skip
    spoilt(f"pack.json: {what}", 4, words, files=pack(change))
spoilt(
    "the same act starts and ends the publication",
    4,
    "cannot both start and end",
    files=both(
        pack(
            lambda p: (
                (p["entries"].update(ended=p["entries"]["published"]), p.update(published_to=p["published_from"]))[:0]
                or None
            )
        ),
        drop("log/12.entry", "log/12.tlog-proof"),
    ),
)
spoilt(
    "never live, and an answer as of a moment",
    4,
    "answers for no moment",
    files=both(
        pack(
            lambda p: (
                (p["entries"].update(ended=-1, published=-1), p.update(published_to="", published_from=""))[:0] or None
            )
        ),
        drop("log/7.entry", "log/7.tlog-proof", "log/12.entry", "log/12.tlog-proof"),
    ),
)
spoilt(
    "a change of the key left out",
    4,
    "and the log's key is",
    files=both(pack(lambda p: p["entries"].update(keys=[0])), drop("log/4.entry", "log/4.tlog-proof")),
)
spoilt("the old key signs on after the change", 4, "and the log's key is", edits={"head signer": lambda _: OLD})
spoilt(
    "a key for another log",
    4,
    "names a key that is not this log's",
    edits={"acts": lambda acts: act(acts, "rekeyed", vkey=Key("other.example", "x").vkey)},
)
spoilt(
    "an archive that was founded under another name",
    4,
    "founds another archive",
    edits={"acts": lambda acts: act(acts, "founded", archive="other.example/builds")},
)
spoilt("published before it was built", 4, "was not built by then", edits={"acts": lambda acts: published_first(acts)})
spoilt(
    "an entry that says a thing twice",
    4,
    "not canonical JSON",
    edits={"entries": lambda e: [*e[:BUILT], b'{"act":"Built",' + e[BUILT][1:], *e[BUILT + 1 :]]},
)
spoilt(
    "a table twice",
    4,
    "a table twice",
    edits={"acts": lambda acts: act(acts, "built", tables=only(acts, "built")["tables"] * 2)},
)
spoilt(
    "one certificate logged twice",
    4,
    "one certificate logged twice",
    edits={"acts": lambda acts: act(acts, "certified", certificate=only(acts, "certified")["certificate"])},
)

spoilt(
    "a stranger's key, in the log after the published head, which nobody endorsed",
    4,
    "did not endorse",
    story=Stranger,
    line=STORY.lines["covering"],
)
spoilt(
    "a stranger's key under the endorsement of another",
    4,
    "did not endorse",
    story=Repeater,
    line=STORY.lines["covering"],
)
spoilt(
    "the force's own change of key, a second time",
    4,
    "Rekeyed.place: 4, wanted 8",
    story=Borrower,
    line=STORY.lines["covering"],
)
for what, (words, changes) in {
    "nobody endorsed": ("did not endorse", {"endorsement": b64(bytes(64))}),
    "endorsed itself": ("did not endorse", {"endorsement": endorsed_by(NEW, 4, NEW.vkey)}),
    "a stranger endorsed": ("did not endorse", {"endorsement": endorsed_by(FOREIGN, 4, NEW.vkey)}),
    "was endorsed for another place": ("did not endorse", {"endorsement": endorsed_by(OLD, 5, NEW.vkey)}),
    "says that it is elsewhere": (
        "Rekeyed.place: 5, wanted 4", {"place": 5, "endorsement": endorsed_by(OLD, 5, NEW.vkey)},
    ),
    "took another's endorsement": ("did not endorse", {"endorsement": endorsed_by(OLD, 4, FOREIGN.vkey)}),
    "has half an endorsement": ("did not endorse", {"endorsement": b64(bytes(32))}),
    "has an endorsement that is no base64": ("not base64", {"endorsement": "***"}),
}.items():  # fmt: skip
    spoilt(f"a key that {what}", 4, words, edits={"acts": lambda acts, new=changes: act(acts, "rekeyed", **new)})

spoilt(
    "a publication that an earlier one ended",
    4,
    "ends a publication before it starts",
    edits={"pack": lambda p: ended(p, 3, "2026-11-16T06:00:00Z")},
)
spoilt(
    "a publication that ended at a moment before it started",
    4,
    "ends a publication before it starts",
    edits={
        "acts": lambda acts: act(acts, "ended", at="2026-11-22T06:00:00Z"),
        "pack": lambda p: ended(p, 12, "2026-11-22T06:00:00Z"),
    },
)

spoilt(
    "an entry that was logged at no time",
    4,
    "on: not in the form",
    edits={"acts": lambda acts: [(r, "2026-02-30T06:00:00Z" if r == "certified" else on, a) for r, on, a in acts]},
)
spoilt(
    "an end at no time",
    4,
    "Published.at: not in the form",
    edits={"acts": lambda acts: act(acts, "ended", at="2026-11-30T25:00:00Z")},
)

# 5. Build statement.
spoilt("the statement changed", 5, "another SHA-256", files=swap("statement.json", b'"payload":"ey', b'"payload":"ez'))
spoilt(
    "the statement of another build, signed in order",
    5,
    "another SHA-256",
    files=lambda f: f.update({"statement.json": NEW.envelope("application/vnd.in-toto+json", b"{}")}),
)
spoilt("a statement signed by the key from before the change", 5, "0 signatures by", edits={"signer": lambda _: OLD})
spoilt("a statement signed by a foreign key", 5, "0 signatures by", edits={"signer": lambda _: FOREIGN})
spoilt(
    "a statement signed by a foreign key that calls itself the log's",
    5,
    "does not verify",
    edits={"signer": lambda _: Liar(ORIGIN, FOREIGN.seed)},
)
spoilt(
    "a statement about other tables",
    5,
    "its subjects are not the tables",
    edits={"statement": lambda s: s["subject"][0]["digest"].update({"rfc6962-sha256": "0" * 64}) or s},
)
spoilt(
    "a statement about fewer tables",
    5,
    "its subjects are not the tables",
    edits={"statement": lambda s: s["subject"].pop() and s},
)
spoilt(
    "a statement with a table twice",
    5,
    "its subjects are not the tables",
    edits={"statement": lambda s: s["subject"].append(s["subject"][0]) or s},
)
spoilt(
    "a statement of another size",
    5,
    "its subjects are not the tables",
    edits={"statement": lambda s: s["subject"][0]["annotations"].update(size=1) or s},
)
spoilt(
    "a statement about another build",
    5,
    "is about another build",
    edits={
        "statement": lambda s: s["predicate"]["buildDefinition"]["externalParameters"].update(label="2026-W46") or s
    },
)
spoilt(
    "a statement in another form",
    5,
    "not an in-toto Statement v1",
    edits={"statement": lambda s: s.update(_type="x") or s},
)
spoilt(
    "a statement that lacks half",
    5,
    "lacks what a build statement has",
    edits={"statement": lambda s: s["predicate"].pop("buildDefinition") and s},
)
spoilt("a statement of text alone", 5, "lacks what a build statement has", edits={"statement": lambda _: "trust me"})
spoilt("advisory words taken out", 5, "caveat: other words", files=pack(lambda p: p.update(caveat="Proof of guilt.")))

# 6. Rows.
spoilt(
    "a row changed",
    6,
    "is not row",
    files=row(
        "", lambda r: r.update(entry=b64(base64.b64decode(r["entry"]).replace(b'"crime"', b'"fraud"'))), "record"
    ),
)
spoilt(
    "a name in a row changed",
    6,
    "is not row",
    files=row(
        "",
        lambda r: r.update(
            entry=b64(
                base64.b64decode(r["entry"])
                .replace(b'"b":"N-2', b'"b":"N-9')
                .replace(b'"b":"N-3', b'"b":"N-9')
                .replace(b'"b":"N-4', b'"b":"N-9')
            )
        ),
    ),
)
spoilt("the salt of a row changed", 6, "is not row", files=row("", lambda r: r.update(entry=flip(r["entry"]))))
spoilt("a row's index changed", 6, "is not row", files=row("", lambda r: r.update(index=r["index"] ^ 1), "record"))
spoilt("a bit of a row's path flipped", 6, "is not row", files=row("", lambda r: flip_in(r["path"])))
spoilt(
    "a row's path too short", 6, "a path that could not be of row", files=row("", lambda r: r["path"].pop() and None)
)
spoilt(
    "a row's path too long",
    6,
    "a path that could not be of row",
    files=row("", lambda r: r["path"].append(b64(bytes(32)))),
)
spoilt(
    "a row's path with a thousand digests",
    6,
    "more than any path has",
    files=row("", lambda r: r.update(path=r["path"] * 200)),
)
spoilt(
    "a row's path with a stray bit",
    6,
    "one canonical form",
    files=row("", lambda r: r["path"].__setitem__(0, stray(r["path"][0].encode()).decode())),
)
spoilt(
    "a row's path in another alphabet",
    6,
    "standard alphabet",
    files=row("", lambda r: r["path"].__setitem__(0, "_" * 43 + "=")),
)
spoilt(
    "a digest too short in a row's path",
    6,
    "wanted a digest of 32",
    files=row("", lambda r: r["path"].__setitem__(0, "AAAA")),
)
spoilt(
    "an index below nothing",
    6,
    "a path that could not be of row",
    files=row("", lambda r: r.update(index=-1), "network"),
)
spoilt(
    "an index beyond the table",
    6,
    "a path that could not be of row",
    files=row("", lambda r: r.update(index=2**53 - 1), "record", 1),
)
spoilt(
    "a row added",
    6,
    "is not row",
    files=rows(
        lambda lines: in_order(
            [*lines, {**find(lines, "", "link"), "entry": b64(entry(link("SOC", PERSON, "N-999", support("R"))))}]
        )
    ),
)
spoilt("a row twice", 6, "out of order, or twice", files=rows(lambda lines: [lines[0], *lines]))
spoilt("rows out of order", 6, "out of order, or twice", files=rows(lambda lines: list(reversed(lines))))
spoilt(
    "a row of a table that the build has not",
    6,
    "a table that the build does not have",
    files=row("", lambda r: r.update(table="verdict"), "record", 1),
)
spoilt(
    "a link passed off as a person's row",
    6,
    "not a row of the table nominal",
    files=rows(lambda lines: in_order([*lines, {**find(lines, "", "link"), "table": "nominal"}])),
)
spoilt("a withheld row's digest swapped", 6, "is not row", files=row("restricted", lambda r: r.update(leaf="0" * 64)))
spoilt("two withheld rows' digests exchanged", 6, "is not row", files=rows(lambda lines: exchanged(lines)))
spoilt(
    "an inner node passed off as a row",
    6,
    "a path that could not be of row",
    files=row("restricted", lambda r: r.update(index=r["index"] // 2, leaf=parent(r), path=r["path"][1:])),
)
spoilt(
    "withheld for a reason that is none",
    6,
    "no reason this program knows",
    files=row("restricted", lambda r: r.update(withheld="embarrassing")),
)
spoilt(
    "a link whose figures are withheld",
    6,
    "has no figures to withhold",
    files=row("restricted", lambda r: r.update(withheld="figures")),
)
spoilt(
    "a record that lives on with less",
    6,
    "only links live on with less",
    files=row("", lambda r: bare(r, "reduced", heirs=[]), "record"),
)
spoilt(
    "content that no certificate pairs with its row",
    6,
    "that no certificate pairs",
    files=row("hidden", lambda r: r.update(entry=b64(entry(link("SOC", PERSON, "N-999", support("R")))))),
)
spoilt(
    "content beside a restricted row",
    6,
    "not in the form",
    files=row("restricted", lambda r: r.update(entry=b64(bytes(40)))),
)
spoilt(
    "a row that is shown and withheld", 6, "not in the form", files=row("", lambda r: r.update(withheld="restricted"))
)
spoilt("a row without content", 6, "wanted a salt and a row", files=row("", lambda r: r.update(entry=b64(bytes(32)))))
spoilt(
    "a row that is not canonical, though it was sealed so",
    6,
    "not canonical JSON",
    edits={
        "entry": lambda made: made.replace(b'"record_id":', b'"record_id": ') if b'"place":"E0100"' in made else made
    },
)
spoilt(
    "a line that is not canonical",
    6,
    "not canonical JSON",
    files=file("rows.jsonl", lambda d: d.replace(b":", b": ", 1)),
)
spoilt(
    "a line that is deep beyond reading",
    6,
    "not canonical JSON",
    files=file("rows.jsonl", lambda d: b"[" * 100_000 + b"\n" + d),
)
spoilt("a last line without its end", 6, "no end", files=file("rows.jsonl", lambda d: d[:-1]))
spoilt("a field more in a row", 6, "not in the form", files=row("", lambda r: r.update(note="see me")))
spoilt("a row that the force put twice into the tree", 6, "a tree that is sorted", story=Twice)

# 7. Disposals.
CERT, OTHER = f"certificates/{FIRST}.json", f"certificates/{SECOND}.json"
spoilt("a certificate changed", 7, "another SHA-256", files=swap(CERT, b'"payload":"ey', b'"payload":"ez'))
spoilt(
    "a certificate under another disposal's name",
    7,
    "is the certificate of another disposal",
    files=lambda f: f.update({CERT: f[OTHER], OTHER: f[CERT]}),
)
spoilt("a certificate missing", 7, "names a certificate that is not in the pack", files=drop(OTHER))
spoilt(
    "a certificate that the log does not have",
    7,
    "not a certificate that the log names",
    files=lambda f: f.update(
        {"certificates/00000000000000cc.json": NEW.envelope("application/vnd.provenance.certificate+json", b"{}")}
    ),
)
spoilt(
    "a certificate signed by the key from before the change", 7, "0 signatures by", edits={"certifier 1": lambda _: OLD}
)
spoilt(
    "a certificate signed by a foreign key",
    7,
    "does not verify",
    edits={"certifier 2": lambda _: Liar(ORIGIN, FOREIGN.seed)},
)
spoilt(
    "a certificate of another archive",
    7,
    "certificate of another disposal",
    edits={"certificate 1": lambda c: c | {"archive": "x"}},
)
spoilt(
    "a certificate that does not name the build",
    7,
    f"took nothing from build {BUILD}",
    edits={"certificate 1": lambda c: c | {"builds": [{"label": "2026-W46"}]}},
)
spoilt(
    "a certificate that took no links",
    7,
    "took no row of table link",
    edits={"certificate 1": lambda c: c | {"died": [{"table": "record", "rows": sum(d["rows"] for d in c["died"])}]}},
)
spoilt(
    "a certificate that counts one more",
    7,
    "is not among the rows",
    edits={"certificate 1": lambda c: c | {"died": [{"table": "link", "rows": 99}]}},
)
spoilt(
    "a certificate with another number than logged",
    7,
    "and the log has it as 1",
    edits={"certificate 1": lambda c: c | {"number": 3}},
)
spoilt(
    "a certificate that counts below nothing",
    7,
    "below nothing",
    edits={"certificate 1": lambda c: c | {"died": [{"table": "link", "rows": -1}]}},
)
spoilt(
    "a certificate that counts beyond all counts",
    7,
    "above 2^53 - 1",
    edits={
        "certificate 1": lambda c: (
            c | {"died": [{"table": "link", "rows": 2**53 - 1}, {"table": "record", "rows": 2**53 - 1}]}
        )
    },
)
spoilt(
    "a certificate that lacks half",
    7,
    "not in the form",
    edits={"certificate 1": lambda c: {k: v for k, v in c.items() if k != "holes"}},
)
spoilt(
    "a certificate without a word of the copy in escrow",
    7,
    "certificate.escrow: not in the form",
    edits={"certificate 2": lambda c: {k: v for k, v in c.items() if k != "escrow"}},
)
spoilt(
    "a certificate that says more of the copy in escrow than anybody can know",
    7,
    "certificate.escrow: not in the form",
    edits={"certificate 2": lambda c: c | {"escrow": "replaced"}},
)
spoilt(
    "a hole's place changed",
    7,
    "is not among the rows",
    files=row("disposed", lambda r: r["hole"].update(index=r["hole"]["index"] ^ 1)),
)
spoilt(
    "a bit of a hole's path flipped",
    7,
    "is not among the rows",
    files=row("disposed", lambda r: flip_in(r["hole"]["path"])),
)
spoilt(
    "a hole under another certificate",
    7,
    "is not among the rows",
    files=row("disposed", lambda r: r.update(disposal=SECOND)),
)
spoilt(
    "a hole under no certificate",
    7,
    "whose certificate is not in the pack",
    files=row("disposed", lambda r: r.update(disposal="0" * 16)),
)
spoilt(
    "a restricted row passed off as disposed of",
    7,
    "is not among the rows",
    files=rows(lambda lines: passed_off(lines)),
)
spoilt(
    "what is left of one row shown for another",
    7,
    "is not what certificate",
    files=rows(lambda lines: heirs_swapped(lines)),
)
spoilt(
    "other content than the certificate's",
    7,
    "its content is not what",
    files=row("reduced", lambda r: r.update(entry=b64(entry(link("SOC", PERSON, "N-600", support("R-99")))))),
)
spoilt(
    "a pair's place changed",
    7,
    "is not what certificate",
    files=row("reduced", lambda r: r["heirs"][0].update(index=r["heirs"][0]["index"] ^ 1)),
)
spoilt(
    "a bit of a pair's path flipped",
    7,
    "is not what certificate",
    files=row("reduced", lambda r: flip_in(r["heirs"][0]["path"])),
)
spoilt(
    "a step of a row reduced twice left out",
    7,
    "is not what certificate",
    files=rows(lambda lines: twice(lines).pop(0) and None),
)
spoilt(
    "the last step of a row reduced twice left out",
    7,
    "its content is not what",
    files=rows(lambda lines: twice(lines).pop() and None),
)
spoilt(
    "the steps of a row reduced twice the other way round",
    7,
    "rows.jsonl",
    files=rows(lambda lines: twice(lines).reverse()),
)

spoilt(
    "a certificate of no time",
    7,
    "certificate.certified_on: not in the form",
    edits={"certificate 1": lambda c: c | {"certified_on": "2026-11-31T09:30:00Z"}},
)

# 8. Completeness.
FIRST_LINK = STORY.mine["SOC"][0].hex()
SOC = 1  # its place in `complete`


def of_soc(change: Callable[[dict[str, Any]], Any]) -> Callable[[Files], None]:
    return pack(lambda p: change(p["complete"][SOC]) and None)


spoilt("a link left out of the list", 8, "not all the links", files=of_soc(lambda c: c["links"].pop()))
spoilt(
    "a link left out of the list and of the rows",
    8,
    "not all the links",
    files=both(
        of_soc(lambda c: c["links"].remove(FIRST_LINK)), rows(lambda lines: [r for r in lines if leaf(r) != FIRST_LINK])
    ),
)
spoilt(
    "a link listed and its row left out",
    8,
    "is not among the rows of the pack",
    files=rows(lambda lines: [r for r in lines if leaf(r) != FIRST_LINK]),
)
spoilt(
    "a withheld link listed and its row left out",
    8,
    "is not among the rows of the pack",
    files=rows(lambda lines: [r for r in lines if r.get("withheld") != "restricted"]),
)
spoilt(
    "a record behind a link left out",
    8,
    "1 of the 2 records behind the link of N-100 and N-200 in theme SOC is not in the pack: CONNECT R-00",
    files=rows(lambda lines: [r for r in lines if not is_record(r, "R-00")]),
)
spoilt(
    "every record left out",
    8,
    "behind the link of N-100 and N-",
    files=rows(lambda lines: [r for r in lines if r["table"] != "record"]),
)
spoilt("all links left out", 8, "0 links are listed of 8, which", files=of_soc(lambda c: c["links"].clear()))
spoilt("a link more in the list", 8, "not all the links", files=of_soc(lambda c: c["links"].append("f" * 64)))
spoilt("the list out of order", 8, "out of order, or one twice", files=of_soc(lambda c: c["links"].reverse()))
spoilt(
    "a link twice in the list",
    8,
    "out of order, or one twice",
    files=of_soc(lambda c: c["links"].insert(0, c["links"][0])),
)
spoilt(
    "the list of another theme",
    8,
    "not all the links",
    files=pack(lambda p: p["complete"][0].update(links=p["complete"][1]["links"])),
)
spoilt(
    "the row of another theme",
    8,
    "the row is of N-100 in theme CSE",
    files=pack(lambda p: p["complete"][1].update(nominal=p["complete"][0]["nominal"])),
)
spoilt(
    "a theme under another name",
    8,
    "the row is of N-100 in theme SOC",
    files=pack(lambda p: p["complete"][1].update(theme="CL-2")),
)
spoilt(
    "another person's name in the question",
    8,
    "wanted N-200",
    files=pack(lambda p: p["question"].update(nominal="N-200", person="N-200")),
)
spoilt(
    "no person's name in the question",
    8,
    "names no person",
    files=pack(lambda p: p["question"].update(nominal="", person="")),
)
spoilt(
    "a question about a nominal with no person whose row it is",
    8,
    "names no person",
    files=pack(
        lambda p: p.update(
            complete=[], incomplete=[{"theme": theme, "why": "none"} for theme in ("SOC", "CSE", "CL")],
            question={**p["question"], "person": ""},
        )
    ),
)  # fmt: skip
spoilt(
    "a person without a question about them",
    8,
    "names no person",
    files=pack(lambda p: p["question"].update(nominal="")),
)
spoilt(
    "a theme that was not asked about",
    8,
    "not the theme that was asked about",
    files=pack(lambda p: p["question"].update(theme="SOC")),
)
spoilt(
    "the person's row is withheld",
    8,
    "the person's row is not shown",
    files=both(row("", lambda r: bare(r, "figures"), "nominal"), row("", lambda r: bare(r, "figures"), "nominal")),
)
spoilt(
    "the person's row is not in the pack",
    8,
    "the person's row is not shown",
    files=rows(lambda lines: [r for r in lines if r["table"] != "nominal"]),
)
spoilt(
    "the force's own row for the person leaves a link out, which the pack shows",
    8,
    "is not one of its links",
    edits={"counted": lambda mine: mine | {"SOC": mine["SOC"][1:]}},
)
spoilt(
    "the force's own row for the person counts a link of others",
    8,
    "is of other people or another theme",
    edits={"counted": lambda mine: mine | {"SOC": [*mine["SOC"], mine["CSE"][0]]}},
)

# 9. Time.
spoilt("a stamp without its certificates", 9, "is not there", files=lambda f: f.update({"stamps/tsa.tsr": b"0"}))
spoilt("certificates without a stamp", 9, "is not there", files=lambda f: f.update({"stamps/tsa.pem": b"0"}))
spoilt(
    "published by the act that published another",
    4,
    "publishes build 2026-W48",
    files=both(
        pack(lambda p: p["entries"].update(published=p["entries"]["ended"])), drop("log/7.entry", "log/7.tlog-proof")
    ),
)
spoilt(
    "a link marked as computed with what is gone",
    6,
    "which a row of this table is not",
    files=row("", lambda r: r.update(computed_with_erased=True)),
)
spoilt(
    "a mark that says nothing",
    6,
    "which a row of this table is not",
    files=row("", lambda r: r.update(computed_with_erased=False), "nominal"),
)
spoilt("a theme passed over", 8, "does not say once of each theme", files=pack(lambda p: p["complete"].pop(0) and None))
spoilt(
    "all themes passed over",
    8,
    "does not say once of each theme",
    files=pack(lambda p: p.update(complete=[], incomplete=[])),
)
spoilt(
    "a theme that there is not",
    8,
    "does not say once of each theme",
    files=pack(lambda p: p["incomplete"].append({"theme": "ABC", "why": "none"})),
)
spoilt(
    "commas in place of a theme",
    8,
    "does not say once of each theme",
    files=pack(lambda p: p.update(complete=[], incomplete=[{"theme": "CL,CSE,SOC", "why": "none"}])),
)
spoilt(
    "themes of nobody",
    8,
    "does not say once of each theme",
    files=pack(lambda p: p.update(complete=[], question={**p["question"], "nominal": "", "person": ""})),
)


class Mislabelled(Key):
    """A key that signs statements under another payload type."""

    def envelope(self, kind: str, payload: bytes) -> bytes:
        return super().envelope("text/plain", payload)


def retold(acts: list[tuple], role: str, **said: str) -> list[tuple]:
    """The log with another act in place of one."""
    return [(mine, on, said if mine == role else told) for mine, on, told in acts]


spoilt("policy: a key in two parts", 2, "not in three parts", files=swap("policy", OLD.vkey.encode(), b"log+key"))
spoilt(
    "policy: a key of a kind that is unknown",
    2,
    "key: not Ed25519",
    files=swap("policy", PCC.vkey.encode(), Key(PCC.name, "pcc", 2).vkey.encode()),
)
spoilt(
    "a signature line with a hyphen in place of its dash",
    2,
    "not in the form of one",
    files=everywhere(lambda note: note + b"- force.example/builds AAAAAAAA\n"),
)
spoilt(
    "a control character in the head",
    2,
    "wanted a text in UTF-8",
    edits={"checkpoint text": lambda t: t + b"extension\x07\n"},
)
spoilt(
    "a head without a root",
    2,
    "wanted lines of an origin, a size and a root",
    edits={"checkpoint text": lambda t: t[:-45]},
)
spoilt(
    "a published line that names no week",
    3,
    "a label that is not a week",
    files=swap("heads.txt", b"2026-W47", b"week-47"),
)
spoilt(
    "a published head of nothing",
    3,
    "of 0 entries",
    files=file("heads.txt", lambda d: f"2026-W01 {ORIGIN} 0 {b64(sha256(b''))}\n".encode() + d),
)
spoilt("published lines without a last end", 3, "the whole: wanted lines", files=file("heads.txt", lambda d: d[:-1]))
spoilt(
    "a way from the head to itself",
    3,
    "wanted none",
    files=lambda f: f.update(
        {"heads/14.add-checkpoint": b"old 14\n" + b64(bytes(32)).encode() + b"\n\n" + f["checkpoint"]}
    ),
)
spoilt(
    "a key whose name has a space",
    4,
    "a name that is empty or has a space",
    edits={"acts": lambda acts: act(acts, "founded", vkey=Key("force example", "x").vkey)},
)
spoilt(
    "an entry that is no act",
    4,
    "is not the record of an act",
    edits={"entries": lambda e: [*e[:9], b'"Certified"', *e[10:]]},
)
spoilt(
    "an entry that says nothing of who did it",
    4,
    "not in the form",
    edits={"entries": lambda e: [*e[:9], b'{"act":"Certified"}', *e[10:]]},
)
spoilt(
    "made live by its own withdrawal",
    4,
    "wanted the act that made it live",
    edits={"acts": lambda acts: retold(acts, "published", act="Withdrawn", label=BUILD, at="2026-11-23T06:00:00Z")},
)
spoilt(
    "ended by the withdrawal of another",
    4,
    "withdraws build 2026-W46",
    edits={"acts": lambda acts: retold(acts, "ended", act="Withdrawn", label="2026-W46", at="2026-11-30T06:00:00Z")},
)
spoilt(
    "made live by an act of another kind",
    4,
    "wanted Published",
    edits={"acts": lambda acts: retold(acts, "published", act="Consulted", label=BUILD, at="2026-11-23T06:00:00Z")},
)
spoilt("a proof without an index", 4, "has no index", files=file(PROOF, on_line(1, lambda _: None)))
spoilt(
    "a statement under another payload type",
    5,
    "another payload type",
    edits={"signer": lambda _: Mislabelled(ORIGIN, NEW.seed)},
)
spoilt("a line that is no row", 6, "not a row", files=file("rows.jsonl", lambda d: b"[]\n" + d))
spoilt("a certificate of text alone", 7, "is not a certificate", edits={"certificate 1": lambda _: "trust me"})
spoilt(
    "disposals that are numbered the other way round",
    7,
    "its disposals are out of order",
    edits={
        "certificate 1": lambda c: c | {"number": 2},
        "certificate 2": lambda c: c | {"number": 1},
        "acts": lambda acts: [
            (role, on, said | {"number": 3 - said["number"]} if role == "certified" else said)
            for role, on, said in acts
        ],
    },
)
