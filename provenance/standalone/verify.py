#!/usr/bin/env python3
"""Check a pack: what a police force says that its network analysis showed, against the force's public log.

    python3 verify.py PACK                       a folder with pack.json in it, or a disclosure pack (with bagit.txt);
                                                 without PACK, the one this file lies in
    python3 verify.py PACK --published "LINE"    a head from a weekly notice: LABEL ORIGIN SIZE ROOT, or a file of such
    python3 verify.py PACK --policy FILE         whose signatures count, from a file got elsewhere than the pack
    python3 verify.py PACK --tagmanifest HEX     the number on the covering letter, by which every byte is checked
    python3 verify.py --proof FILE --entry FILE  one entry of the log and its .tlog-proof, instead of a pack

One file, on the standard library of Python 3.8 or later and the command line of OpenSSL 3 (`openssl`). It is written
from the published formats and shares no code with the software that makes packs: RFC 6962 and RFC 9162 (trees and
paths), C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy, tlog-proof and tlog-witness, in-toto and DSSE,
RFC 8785 (canonical JSON), RFC 3161 (time-stamps). The form of a pack is in the force's reference manual.

It reads the pack, writes nothing but temporary files for OpenSSL, and asks no network. Everything in the pack is taken
as written by someone who wants to deceive. Exit code: 0 verified, 4 not, 5 not compared (nothing is wrong, and the
published head is newer than the pack), 2 wrongly asked.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import calendar
import datetime
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import unicodedata

FORMAT = "provenance-pack/1"
LARGEST = 2**53 - 1  # the largest count that every reader of JSON keeps exactly; larger ones are refused
MOST_BYTES = 1 << 30  # of all files together
MOST_FILES = 20_000
DEEPEST = 40  # levels of lists and objects in JSON
MOST_FAULTS = 20  # that are named for one step
MOST_SIGNATURES = 100  # of one note; Go's reader has this limit too

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
LEFT_ASIDE = (".DS_Store", "Thumbs.db", "desktop.ini")  # what computers put into folders by themselves
DONE = ("passed", "nothing", "not compared")  # what a step may come to in a pack that verifies
STEPS = {
    1: "Files: each is as SHA256SUMS has it, and there is no other",
    2: "Head: signed by the log, and by which witnesses",
    3: "Published head: the log of that day continues into this one",
    4: "Log entries: each is in the log, where the pack says",
    5: "Build statement: signed, and the one that the log names",
    6: "Rows: each is a row of the build",
    7: "Disposals: each gap is in a signed certificate",
    8: "Completeness: no link is left out, nor a record behind one",
    9: "Time: what time-stamps say of the head",
}
NEEDS = {3: {2}, 4: {1, 2}, 5: {4}, 6: {4}, 7: {4, 6}, 8: {6, 7}, 9: {2}}  # without these, a step cannot be done

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
COUNT = r"(?:0|[1-9][0-9]{0,15})"
KNOWN = re.compile(
    r"pack\.json|rows\.jsonl|checkpoint|head|policy|statement\.json|heads\.txt|SHA256SUMS|verify\.html|verify\.py"
    rf"|READ-ME-FIRST\.txt|log/{COUNT}\.(?:entry|tlog-proof)|certificates/[0-9a-f]{{16}}\.json"
    rf"|heads/{COUNT}\.add-checkpoint|stamps/{NAME}\.(?:tsr|pem)"
)
REQUIRED = ("SHA256SUMS", "pack.json", "rows.jsonl", "checkpoint", "head", "policy", "statement.json")
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
INSTANT_OR_NONE = re.compile(rf"(?:{INSTANT.pattern})?")
WEEK = re.compile(r"[0-9]{4}-W[0-9]{2}(?:\.[1-9][0-9]*)?", re.ASCII)
HEX = re.compile(r"[0-9a-f]{64}")
ID = re.compile(r"[0-9a-f]{16}")
PACK = {
    "format": str,
    "archive": str,
    "build": str,
    "number": int,
    "as_of": INSTANT_OR_NONE,
    "published_from": INSTANT_OR_NONE,
    "published_to": INSTANT_OR_NONE,
    "cut_off": INSTANT,
    "root": HEX,
    "question": {"nominal": str, "person": str, "network": str, "theme": str, "case": str},
    "handling": str,
    "conditions": str,
    "caveat": str,
    "caveat_version": str,
    "made_on": INSTANT,
    "disposed": dict,
    "entries": {"keys": [int], "built": int, "published": int, "ended": int, "certified": [int]},
    "complete": [{"theme": str, "nominal": HEX, "links": [HEX]}],
    "incomplete": [{"theme": str, "why": str}],
}
PLACE = {"index": int, "path": [str]}
ROW = {"table": str, **PLACE}
BARE = {**ROW, "leaf": HEX, "withheld": str}
WITHHELD = {
    "disposed": ({**BARE, "disposal": ID, "hole": PLACE}, ()),
    "reduced": ({**BARE, "heirs": [{"disposal": ID, "leaf": HEX, **PLACE}], "entry": str}, ("entry",)),
    "restricted": (BARE, ()),
    "figures": (BARE, ()),
    "sensitive": (BARE, ()),
}
THEMES = ("SOC", "CSE", "CL")  # one network analysis each
MARKED = "counted what has since been disposed of"
FIGURES = ("nominal", "network")  # tables whose rows have figures that were computed with others' rows
STATEMENT = "application/vnd.in-toto+json"
CERTIFICATE = "application/vnd.provenance.certificate+json"
ESCROW = (  # what a certificate says of a copy of the master key from before the disposal
    ("none held", "that none was held"),
    ("to be replaced", "that one was held, to be replaced"),
    ("not stated", "nothing of it"),
)
ENDORSEMENT = "application/vnd.provenance.endorsement+json"  # what an old key signs of a new one; signed as DSSE signs


class Fault(Exception):
    """Something is not as it has to be: the file, and what was found and wanted."""

    def __init__(self, file, message):
        super().__init__(message)
        self.file, self.message = file, message


class Wrongly(Exception):
    """The question itself could not be understood."""


# --- Text that came from elsewhere ------------------------------------------------------------------------------------


def shown(text, most=1000):
    """Text of the pack on one line, with nothing in it that could move a cursor or turn the reading direction."""
    if not isinstance(text, str):
        text = str(text)
    if len(text) > most:
        text = f"{text[:most]} … ({len(text) - most:,} characters more)"
    if text.isascii() and text.isprintable():
        return text
    hidden = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return "".join(f"\\u{{{ord(c):04X}}}" if unicodedata.category(c) in hidden else c for c in text)


def brief(text):
    """The same, short: for a message."""
    return shown(text, 80)


def number(count, noun):
    """A count and its noun, in words for people."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# --- Strict readers ---------------------------------------------------------------------------------------------------


def from_base64(text, file, thing):
    """RFC 4648, section 4, in its one canonical form."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Fault(file, f"{thing}: not base64 in its standard alphabet") from None
    if base64.b64encode(data) != (text.encode("ascii") if isinstance(text, str) else text):
        raise Fault(file, f"{thing}: base64 that is not in its one canonical form")
    return data


def from_base64_digest(text, file, thing):
    data = from_base64(text, file, thing)
    if len(data) != 32:
        raise Fault(file, f"{thing}: {len(data)} bytes, wanted a digest of 32")
    return data


def from_decimal(text, file, thing):
    """A count as C2SP writes it; bytes or text."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    if not re.fullmatch(r"0|[1-9][0-9]*", text, re.ASCII):
        raise Fault(file, f"{thing}: not a count in plain decimal digits without leading zeros")
    if len(text) > 16 or int(text) > LARGEST:
        raise Fault(file, f"{thing}: a count above 2^53 - 1")
    return int(text)


def _integer(digits):
    if len(digits) > 17:
        raise ValueError
    return int(digits)


def _refuse(_):
    raise ValueError


def check_json(value, deep):
    if deep > DEEPEST:
        raise ValueError
    if isinstance(value, dict):
        for key, item in value.items():
            if not key.isascii():
                raise ValueError
            check_json(item, deep + 1)
    elif isinstance(value, list):
        for item in value:
            check_json(item, deep + 1)
    elif isinstance(value, (bool, str)):
        return
    elif not isinstance(value, int) or abs(value) > LARGEST:
        raise ValueError


def canonical(value):
    """RFC 8785, for what `check_json` lets through."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def from_json(data, file, thing):
    """JSON that was canonical (RFC 8785): text, whole numbers, true and false, lists and objects."""
    try:
        value = json.loads(data.decode("utf-8"), parse_int=_integer, parse_float=_refuse, parse_constant=_refuse)
        check_json(value, 0)
        good = canonical(value) == data
    except (ValueError, RecursionError):
        good = False
    if not good:
        raise Fault(file, f"{thing}: not canonical JSON of text, whole numbers, lists and objects")
    return value


def is_in_calendar(instant):
    """Whether there was or will be such a moment. Leap seconds are none here: no clock of the software shows them."""
    try:
        datetime.datetime(*(int(part) for part in re.findall("[0-9]+", instant)))
    except ValueError:
        return False
    return True


def check_form(value, form, file, where, optional=()):
    """Insist that `value` is of this form: a type, an expression, a list of one form, or exactly these fields."""
    if form in (str, int, dict, bool):
        good = type(value) is form and not (form is int and value < -1)
    elif isinstance(form, re.Pattern):
        good = type(value) is str and form.fullmatch(value) is not None
        if good and value and form in (INSTANT, INSTANT_OR_NONE):
            good = is_in_calendar(value)
    elif isinstance(form, list):
        good = type(value) is list
        if good:
            for item in value:
                check_form(item, form[0], file, where)
    else:
        good = type(value) is dict and set(value) <= set(form) and set(form) - set(optional) <= set(value)
        if good:
            for key in form:
                if key in value:
                    check_form(value[key], form[key], file, f"{where}.{key}" if where else key)
    if not good:
        raise Fault(file, "%s: not in the form that a pack has it" % (where or "the whole"))


# --- Trees: RFC 6962, section 2.1; RFC 9162, sections 2.1.3.2 and 2.1.4.2 ---------------------------------------------


def sha256(data):
    return hashlib.sha256(data).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_of(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def tree_root(leaves):
    """Root over leaf hashes, in the order given."""
    if not leaves:
        return sha256(b"")
    while len(leaves) > 1:
        above = [node(leaves[i], leaves[i + 1]) for i in range(0, len(leaves) - 1, 2)]
        leaves = above + ([leaves[-1]] if len(leaves) % 2 else [])
    return leaves[0]


def root_by_path(leaf, index, size, path):
    """The root that this path makes; None when a path for that place could not look like this."""
    if not 0 <= index < size:
        return None
    place, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if place % 2 or place == last:
            root = node(sibling, root)
            while place % 2 == 0 and place != 0:
                place, last = place // 2, last // 2
        else:
            root = node(root, sibling)
        place, last = place // 2, last // 2
    return root if last == 0 else None


def roots_by_consistency(old, new, old_root, path):
    """Both roots that this path makes; None when it could not look like this. Requires 0 < old < new."""
    path = list(path)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return None
    place, last = old - 1, new - 1
    while place % 2:
        place, last = place // 2, last // 2
    before = after = path[0]
    for digest in path[1:]:
        if last == 0:
            return None
        if place % 2 or place == last:
            before, after = node(digest, before), node(digest, after)
            while place % 2 == 0 and place != 0:
                place, last = place // 2, last // 2
        else:
            after = node(after, digest)
        place, last = place // 2, last // 2
    return (before, after) if last == 0 else None


def digests(texts, file, thing):
    if len(texts) > 64:
        raise Fault(file, f"{thing}: {len(texts)} digests, more than any path has")
    return [from_base64_digest(text, file, thing) for text in texts]


# --- OpenSSL ----------------------------------------------------------------------------------------------------------


class OpenSSL:
    """The `openssl` command; nothing of it is taken on trust before it judged a known signature rightly."""

    def __init__(self):
        self.program = shutil.which("openssl")
        if not self.program:
            raise Wrongly("the command `openssl` is not there: this program needs OpenSSL 3 to check signatures")
        self.version = shown(self._run("version")[1].partition(" (")[0].strip(), 60)
        # RFC 8032, section 7.1, test 2.
        key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        signature = bytes.fromhex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        )
        if not self.verifies(key, b"\x72", signature) or self.verifies(key, b"\x73", signature):
            raise Wrongly(f"this `openssl` ({self.version}) cannot check Ed25519 signatures: wanted OpenSSL 3")

    def _run(self, *arguments):
        try:
            done = subprocess.run(
                [self.program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return 1, ""
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def verifies(self, public, message, signature):
        """Whether this is the Ed25519 signature (RFC 8032) of this raw public key over the message."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("key", "message", "signature")]
            # RFC 8410: the fixed head of a SubjectPublicKeyInfo of Ed25519, then the key.
            for path, data in (
                (paths[0], bytes.fromhex("302a300506032b6570032100") + public),
                (paths[1], message),
                (paths[2], signature),
            ):
                with open(path, "wb") as file:
                    file.write(data)
            code, _ = self._run(
                "pkeyutl",
                "-verify",
                "-pubin",
                "-keyform",
                "DER",
                "-inkey",
                paths[0],
                "-rawin",
                "-in",
                paths[1],
                "-sigfile",
                paths[2],
            )
        return code == 0

    def stamped(self, response, data, certificates, roots):
        """When an RFC 3161 response says that it saw `data`, in seconds since 1970; None when it does not verify.

        The time and the digest are read from the token alone: around it a response has free text that nobody signed,
        and `openssl ts -text` prints that text too. The certificates are judged as of that time: an authority's own
        run out, what it stamped does not.
        """
        with tempfile.TemporaryDirectory() as folder:
            paths = {}
            for name, content in (("tsr", response), ("data", data), ("pem", certificates), ("roots", roots)):
                paths[name] = os.path.join(folder, name)
                with open(paths[name], "wb") as file:
                    file.write(content)
            paths["token"] = os.path.join(folder, "token")
            code, _ = self._run("ts", "-reply", "-in", paths["tsr"], "-token_out", "-out", paths["token"])
            if code != 0:
                return None
            code, text = self._run("ts", "-reply", "-in", paths["token"], "-token_in", "-text")
            imprints = re.findall(r"^Hash Algorithm: (.*?)\r?$", text, re.M)
            times = re.findall(r"^Time stamp: (.*?)\r?$", text, re.M)
            if code != 0 or len(times) != 1 or len(imprints) != 1 or imprints[0] not in ("sha256", "sha384", "sha512"):
                return None
            found = re.fullmatch(r"(\w{3}) +(\d+) (\d\d):(\d\d):(\d\d)(?:\.\d+)? (\d{4}) GMT", times[0], re.ASCII)
            months = [month[:3] for month in MONTHS]
            if not found or found.group(1) not in months:
                return None
            day, hour, minute, second, year = (int(part) for part in found.groups()[1:])
            at = calendar.timegm((year, months.index(found.group(1)) + 1, day, hour, minute, second))
            code, _ = self._run(
                "ts",
                "-verify",
                "-in",
                paths["tsr"],
                "-data",
                paths["data"],
                "-CAfile",
                paths["roots"],
                "-untrusted",
                paths["pem"],
                "-attime",
                str(at),
            )
        return at if code == 0 else None


def when(text):
    """An instant (YYYY-MM-DDTHH:MM:SSZ) in words."""
    month, day = int(text[5:7]), int(text[8:10])
    time_of_day = text[11:16] if text.endswith(":00Z") else text[11:19]
    return f"{day} {MONTHS[month - 1]} {text[:4]} at {time_of_day} UTC" if 1 <= month <= 12 else text


def instant(seconds):
    """Seconds since 1970 in words."""
    if not 0 <= seconds < 253402300800:
        return "a time that no calendar has"
    return when(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)))


# --- C2SP: keys, notes, checkpoints, policies -------------------------------------------------------------------------


class Key:
    """A public key under a name: `name+hash+base64`, as bytes."""

    def __init__(self, vkey, file):
        parts = vkey.split(b"+", 2)
        if len(parts) != 3:
            raise Fault(file, "key: not in three parts, wanted name+hash+base64")
        data = from_base64(parts[2], file, "key")
        self.name, self.kind, self.public = parts[0], data[:1], data[1:]
        if self.kind not in (b"\x01", b"\x04") or len(self.public) != 32:
            raise Fault(file, "key: not Ed25519, nor the cosignature key of a witness")
        if not self.name or re.search(rb"\s", self.name) or not is_text(self.name):
            raise Fault(file, "key: a name that is empty or has a space")
        self.hash = sha256(self.name + b"\n" + data)[:4]
        if parts[1] != binascii.hexlify(self.hash):
            raise Fault(file, "key: a hash that is not that of its name and key")
        self.vkey = vkey

    def __str__(self):
        return "{}+{}".format(brief(self.name.decode("utf-8")), self.hash.hex())


def is_text(data):
    """Whether these bytes are UTF-8 without control characters but newline."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)


class Note:
    """A signed note: its text, and signature lines as (name, key hash, signature)."""

    DASH = "— ".encode()

    def __init__(self, data, file):
        self.file, end = file, data.rfind(b"\n\n")
        if end < 0 or not data.endswith(b"\n") or not is_text(data) or len(data) > 1_000_000:
            raise Fault(file, "signed note: wanted a text in UTF-8, an empty line and signature lines")
        self.text = data[: end + 1]
        lines = data[end + 2 :].split(b"\n")[:-1]
        if not lines or len(lines) > MOST_SIGNATURES:
            raise Fault(file, f"signed note: {len(lines)} signature lines, wanted 1 to {MOST_SIGNATURES}")
        self.signatures = []
        for line in lines:
            name, space, signature = line[len(self.DASH) :].partition(b" ")
            if not line.startswith(self.DASH) or not space or not name or b"+" in name or re.search(rb"\s", name):
                raise Fault(file, "signed note: a signature line that is not in the form of one")
            raw = from_base64(signature, file, "signed note")
            if len(raw) < 5:
                raise Fault(file, f"signed note: a signature of {len(raw)} bytes")
            self.signatures.append((name, raw[:4], raw[4:], line))

    def by(self, key):
        return [(raw, line) for name, hashed, raw, line in self.signatures if (name, hashed) == (key.name, key.hash)]


def dsse(kind, payload):
    """What a DSSE v1 signature is over."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode("ascii"), len(payload), payload)


class Head:
    """What a checkpoint says: the log's name, its number of entries and their root."""

    def __init__(self, text, file):
        lines = text.split(b"\n")[:-1]
        if len(lines) < 3 or not all(lines):
            raise Fault(file, "checkpoint: wanted lines of an origin, a size and a root")
        self.origin, self.size = lines[0], from_decimal(lines[1], file, "checkpoint")
        self.root = from_base64_digest(lines[2], file, "checkpoint")


class Policy:
    """Whose signatures count: c2sp.org/tlog-policy."""

    def __init__(self, data, file):
        self.data, self.file = data, file
        self.logs, self.witnesses, self.groups, self.quorum = [], [], {}, None
        if data and not data.endswith(b"\n"):
            raise Fault(file, "policy: a last line that has no end")
        if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", data):
            raise Fault(file, "policy: a control character")
        names, members, seen = {}, set(), set()
        for line in data.split(b"\n"):
            words = re.split(rb"[ \t]+", line.strip(b" \t"))
            if words == [b""] or words[0].startswith(b"#"):
                continue
            if words[0] == b"log" and len(words) in (2, 3):
                self.logs.append(self._key(words[1], b"\x01", seen))
            elif words[0] == b"witness" and len(words) in (3, 4):
                self._name(words[1], names)
                names[words[1]] = self._key(words[2], b"\x04", seen)
                self.witnesses.append((words[1], names[words[1]]))
            elif words[0] == b"group" and len(words) >= 4:
                self._name(words[1], names)
                inner = words[3:]
                if any(name not in names or name in members for name in inner) or len(set(inner)) < len(inner):
                    raise Fault(file, "policy: a group with a member that is unknown, or is a member already")
                members |= set(inner)
                least = {b"all": len(inner), b"any": 1}.get(words[2])
                least = from_decimal(words[2], file, "policy: group") if least is None else least
                if not 1 <= least <= len(inner):
                    raise Fault(file, f"policy: a group that asks for {least} of {len(inner)}")
                names[words[1]] = (least, inner)
            elif words[0] == b"quorum" and len(words) == 2 and self.quorum is None:
                if words[1] != b"none" and words[1] not in names:
                    raise Fault(file, "policy: a quorum that is not defined before it")
                self.quorum = words[1]
            else:
                raise Fault(file, "policy: a line that is none of log, witness, group and one quorum")
        if self.quorum is None:
            raise Fault(file, "policy: no quorum line")
        self.names = names

    def _key(self, vkey, kind, seen):
        key = Key(vkey, self.file)
        if key.kind != kind:
            raise Fault(self.file, "policy: a key of the wrong kind, wanted a log's to sign and a witness's to cosign")
        if key.public in seen:
            raise Fault(self.file, "policy: one key twice, also under another name")
        seen.add(key.public)
        return key

    def _name(self, name, names):
        if name == b"none" or name in names:
            raise Fault(self.file, "policy: a name given twice, or `none`")

    def is_met(self, cosigned):
        """Whether the witnesses of these names are enough."""
        met = {b"none": True}
        for name, what in self.names.items():  # in the order of definition, so members come before their groups
            if isinstance(what, Key):
                met[name] = name in cosigned
            else:
                met[name] = sum(met[inner] for inner in what[1]) >= what[0]
        return met[self.quorum]


class Line:
    """A head as a weekly notice has it: LABEL ORIGIN SIZE ROOT."""

    def __init__(self, text, file):
        words = text.split(" ")
        if len(words) != 4 or not all(words):
            raise Fault(file, "published head: wanted LABEL ORIGIN SIZE ROOT")
        self.text, self.label, self.origin = text, words[0], words[1]
        if not WEEK.fullmatch(self.label):
            raise Fault(file, "published head: a label that is not a week, like 2026-W47")
        self.size = from_decimal(words[2], file, "published head")
        self.root = from_base64_digest(words[3], file, "published head")
        if self.size == 0:
            raise Fault(file, "published head: of 0 entries")


# --- The nine steps ---------------------------------------------------------------------------------------------------


class Check:
    """One pack, checked. `files` are its bytes by name; `troubles` are faults of the folder itself."""

    def __init__(self, files, troubles=(), lines=(), policy=None, authority=None, openssl=None):
        self.files, self.lines, self.given, self.authority = dict(files), list(lines), policy, authority
        self.openssl = openssl or OpenSSL()
        self.faults = [(1, fault.file, fault.message) for fault in troubles]
        self.status = {}
        self.remarks = {step: [] for step in STEPS}
        self.pack = self.head = self.policy = self.signer = None
        self.cosigned, self.quorum_met, self.covering = [], False, []
        self.newer, self.carried = [], []  # lines given that are later than the pack; lines that the pack carries
        self.acts, self.tables, self.keys, self.certificates = {}, {}, [], {}
        self.rows, self.themes, self.stamps = [], [], []
        for step in STEPS:
            self._do(step)

    @property
    def verified(self):
        return not self.faults and all(status in DONE for status in self.status.values())

    def _do(self, step):
        lacking = sorted(need for need in NEEDS.get(step, ()) if self._stopped(need))
        if lacking:
            self.status[step] = "not done"
            self.remarks[step].append(f"Not done, because of step {lacking[0]}.")
            return
        try:
            getattr(self, f"step_{step}")()
        except Fault as fault:
            self.faults.append((step, fault.file, fault.message))
        if any(found == step for found, _, _ in self.faults):
            self.status[step] = "failed"
        else:
            self.status.setdefault(step, "passed")

    def _stopped(self, step):
        """Whether a step left nothing for others to go on from. A wrong sum alone does not stop them."""
        if step == 1:
            return self.pack is None or any(name not in self.files for name in REQUIRED)
        if step == 2:
            return self.head is None
        return self.status[step] not in DONE

    def _nothing(self, step, remark):
        """There is nothing for this step to check, which is not the same as passing it."""
        self.status[step] = "nothing"
        self.remarks[step].append(remark)

    def _found(self, step, fault):
        """Take in a fault and go on, up to a limit."""
        self.faults.append((step, fault.file, fault.message))
        if sum(found == step for found, _, _ in self.faults) >= MOST_FAULTS:
            raise Fault("", f"and more: after {MOST_FAULTS} faults no more are named")

    def step_1(self):
        for name in LEFT_ASIDE:
            if self.files.pop(name, None) is not None:
                self.remarks[1].append(f"{name} was left aside: computers put it into folders by themselves.")
        for name in sorted(self.files):
            if not KNOWN.fullmatch(name):
                self._found(1, Fault(name, "a file that is no part of a pack"))
        for name in REQUIRED:
            if name not in self.files:
                self._found(1, Fault(name, "is not there"))
        if "SHA256SUMS" in self.files:
            self._sums(self.files["SHA256SUMS"])
        if "pack.json" in self.files:
            pack = from_json(self.files["pack.json"], "pack.json", "the whole")
            check_form(pack, PACK, "pack.json", "")
            if pack["format"] != FORMAT:
                raise Fault("pack.json", "format: {}, wanted {}".format(brief(pack["format"]), FORMAT))
            themes = [item["theme"] for item in pack["complete"] + pack["incomplete"]]
            if len(set(themes)) < len(themes):
                raise Fault("pack.json", "complete: a theme twice")
            self.pack = pack

    def _sums(self, data):
        listed, before = set(), ""
        if not data.endswith(b"\n"):
            raise Fault("SHA256SUMS", "the whole: wanted lines of a digest, two spaces and a name")
        for raw in data[:-1].split(b"\n"):
            found = re.fullmatch(rb"([0-9a-f]{64})  ([ -~]+)", raw)
            if not found:
                raise Fault("SHA256SUMS", "a line that is not a digest, two spaces and a name")
            name = found.group(2).decode("ascii")
            if name <= before:
                raise Fault("SHA256SUMS", f"{brief(name)}: listed out of order or twice")
            before = name
            listed.add(name)
            if name not in self.files:
                self._found(1, Fault(name, "is listed in SHA256SUMS and is not there"))
            elif sha256(self.files[name]) != bytes.fromhex(found.group(1).decode("ascii")):
                self._found(1, Fault(name, "has another SHA-256 than SHA256SUMS has for it"))
        for name in sorted(set(self.files) - listed - {"SHA256SUMS"}):
            self._found(1, Fault(name, "is not listed in SHA256SUMS"))

    def step_2(self):
        for name in ("checkpoint", "head", "policy"):
            if name not in self.files:
                raise Fault(name, "is not there")
        note = Note(self.files["checkpoint"], "checkpoint")
        self.head = Head(note.text, "checkpoint")
        if self.given is None:
            self.policy = Policy(self.files["policy"], "policy")
        else:
            self.policy = self.given
            Policy(self.files["policy"], "policy")  # it is not used, and has to be one all the same
        if not self.policy.logs:
            raise Fault(self.policy.file, "policy: no log key")
        by_log = [(key, raw, line) for key in self.policy.logs for raw, line in note.by(key)]
        if len(by_log) != 1:
            raise Fault(
                "checkpoint",
                "{} by a log key of the policy, wanted exactly 1".format(number(len(by_log), "signature")),
            )
        key, raw, line = by_log[0]
        if not self.openssl.verifies(key.public, note.text, raw):
            raise Fault("checkpoint", f"the signature by the log key {key} does not verify")
        if self.head.origin != key.name:
            raise Fault(
                "checkpoint",
                "origin {}, wanted that of the log key, {}".format(
                    brief(self.head.origin.decode("utf-8")), brief(key.name.decode("utf-8"))
                ),
            )
        if self.files["head"] != note.text + b"\n" + line + b"\n":
            raise Fault("head", "is not the checkpoint with the log's signature alone")
        for name, witness in self.policy.witnesses:
            for raw, _ in note.by(witness):
                if len(raw) != 72 or raw[0] >> 7:
                    raise Fault("checkpoint", f"the line of the witness {witness} is not in the form of a cosignature")
                at = int.from_bytes(raw[:8], "big")
                message = b"cosignature/v1\ntime %d\n" % at + note.text
                if not self.openssl.verifies(witness.public, message, raw[8:]):
                    raise Fault("checkpoint", f"the cosignature by the witness {witness} does not verify")
                if name not in [known for known, _, _ in self.cosigned]:
                    self.cosigned.append((name, witness, at))
        self.quorum_met = self.policy.is_met({name for name, _, _ in self.cosigned})
        if self.given is not None and not self.quorum_met:
            raise Fault("checkpoint", "the policy that you gave asks for witnesses that have not cosigned this head")
        self.signer = key

    def step_3(self):
        published = []
        if "heads.txt" in self.files:
            data = self.files["heads.txt"]
            if not is_text(data) or (data and not data.endswith(b"\n")):
                raise Fault("heads.txt", "the whole: wanted lines of LABEL ORIGIN SIZE ROOT")
            texts = data.decode("utf-8").split("\n")[:-1]
            if len(texts) > MOST_FILES:
                raise Fault("heads.txt", f"{len(texts)} lines, more than this program reads")
            published = [Line(text, "heads.txt") for text in texts]
        sizes = {line.size for line in published}
        for name in self.files:
            found = re.fullmatch(r"heads/([0-9]+)\.add-checkpoint", name)
            if found and int(found.group(1)) not in sizes:
                raise Fault(name, "is of no head in heads.txt")
        for line in published:
            self._continues(line, "heads.txt")
        self.carried = published
        for line in self.lines:
            if line.origin.encode("utf-8") == self.head.origin and line.size > self.head.size:
                self.newer.append(line)
                self.remarks[3].append(
                    f"The line for {brief(line.label)} was not compared: it is newer than this pack, of "
                    f"{entries(line.size)} where the pack's head has {self.head.size:,}."
                )
            else:
                self._continues(line, "the line that you gave")
        if self.lines and len(self.newer) == len(self.lines):
            self.status[3] = "not compared"
        if not self.lines:
            if published:
                self.remarks[3].append(
                    "The pack carries {}. They say nothing until you compare them with the notices themselves.".format(
                        number(len(published), "published head line")
                    )
                )
            self._nothing(3, "No published head line was given, so none was compared.")

    def _continues(self, line, file):
        """Insist that the head of `line` is the head, or a past of it."""
        what = f"the head of {entries(line.size)} for {brief(line.label)}"
        if line.origin.encode("utf-8") != self.head.origin:
            raise Fault(
                file,
                "{}: of the log {}, and this pack is of {}".format(
                    what, brief(line.origin), brief(self.head.origin.decode("utf-8"))
                ),
            )
        if line.size > self.head.size:
            raise Fault(file, f"{what}: later than the head of this pack, which has {self.head.size}")
        name = f"heads/{line.size}.add-checkpoint"
        path = self._add_checkpoint(name, line.size) if name in self.files else None
        if line.size == self.head.size:
            if path:
                raise Fault(name, "a path from the head to itself, wanted none")
            before, after = self.head.root, self.head.root
        else:
            if path is None:
                raise Fault(
                    file,
                    f"{what}: {name} is not there to show how it continues; wanted a line of the build's week or later",
                )
            found = roots_by_consistency(line.size, self.head.size, line.root, path)
            if found is None:
                raise Fault(name, f"a path that could not lead from {line.size} to {self.head.size} entries")
            before, after = found
        if before != line.root or after != self.head.root:
            raise Fault(file, f"{what}: does not continue into the head of this pack")

    def _add_checkpoint(self, name, size):
        proof, blank, note = self.files[name].partition(b"\n\n")
        lines = proof.split(b"\n")
        if not blank or lines[0] != b"old %d" % size:
            raise Fault(name, f"wanted a first line `old {size}`, a path, an empty line and the checkpoint")
        if note not in (self.files["checkpoint"], self.files["head"]):
            raise Fault(name, "leads to another head than that of the pack")
        return digests(lines[1:], name, "path")

    def step_4(self):
        named, places = self.pack["entries"], {}
        if self.pack["archive"].encode("utf-8") != self.head.origin:
            raise Fault(
                "pack.json",
                "archive: {}, and the head is of {}".format(
                    brief(self.pack["archive"]), brief(self.head.origin.decode("utf-8"))
                ),
            )
        ascending = [named["keys"], named["certified"]]
        if any(sorted(set(indexes)) != indexes or any(i < 0 for i in indexes) for indexes in ascending):
            raise Fault("pack.json", "entries: indexes that do not ascend")
        if named["keys"][:1] != [0] or named["built"] < 0:
            raise Fault("pack.json", "entries: wanted the key at entry 0 and the entry of the build")
        for kind in ("keys", "certified"):
            places.update((index, kind) for index in named[kind])
        for kind in ("built", "published", "ended"):
            if named[kind] >= 0:
                places[named[kind]] = kind
        files = {name for name in self.files if name.startswith("log/")}
        wanted = {f"log/{index}.{end}" for index in places for end in ("entry", "tlog-proof")}
        for name in sorted(files - wanted):
            raise Fault(name, "is of no entry that pack.json names")
        for name in sorted(wanted - files):
            raise Fault(name, "is not there, and pack.json names its entry")
        for index in sorted(places):
            self.acts[index] = self._entry(index)
        self._keys(named["keys"])
        self._built(named["built"])
        self._published(named)
        for index in named["certified"]:
            self._act(index, "Certified", {"number": int, "certificate": HEX})
        digests_of = [self.acts[index]["certificate"] for index in named["certified"]]
        if len(set(digests_of)) < len(digests_of):
            raise Fault("pack.json", "entries: one certificate logged twice")

    def _entry(self, index):
        """The act at this place of the log, once its path leads to the head."""
        name, proof = f"log/{index}.entry", f"log/{index}.tlog-proof"
        path = self._proof(self.files[proof], proof, index)
        root = root_by_path(leaf_of(self.files[name]), index, self.head.size, path)
        if root is None:
            raise Fault(proof, f"a path that could not be of entry {index} of {self.head.size}")
        if root != self.head.root:
            raise Fault(name, f"is not entry {index} of the log: its path leads to another root")
        act = from_json(self.files[name], name, "the whole")
        if type(act) is not dict:
            raise Fault(name, "is not the record of an act")
        check_form(
            {key: act.get(key) for key in ("act", "on", "by", "under")},
            {"act": str, "on": INSTANT, "by": str, "under": str},
            name,
            "",
        )
        return act

    def _proof(self, data, file, index):
        """The path of a .tlog-proof, which has to be for this place and under the pack's checkpoint."""
        found, path, note = read_proof(data, file)
        if found != index:
            raise Fault(file, f"is for entry {found}, wanted {index}")
        if note != self.files["checkpoint"]:
            raise Fault(file, "is under another head than `checkpoint`")
        return path

    def _act(self, index, kind, form):
        act, name = self.acts[index], f"log/{index}.entry"
        if act["act"] != kind:
            raise Fault(name, "is an act {}, wanted {}".format(brief(act["act"]), kind))
        check_form({key: act.get(key) for key in form}, form, name, kind)
        return act

    def _keys(self, indexes):
        """Whose signatures were to be believed from which entry on; and that the head is signed by the last of them.

        An entry that names a new key proves nothing by being in the log: whoever makes a head of their own can put one
        there, after all that was published. The key before has to have endorsed it, at that place.
        """
        for index in indexes:
            form = {"vkey": str, "place": int, "endorsement": str} if index else {"vkey": str}
            act = self._act(index, "Rekeyed" if index else "Founded", form)
            name = f"log/{index}.entry"
            if index == 0 and act.get("archive") != self.pack["archive"]:
                raise Fault(name, "founds another archive than pack.json names")
            key = Key(act["vkey"].encode("utf-8"), name)
            if key.kind != b"\x01" or key.name != self.head.origin:
                raise Fault(name, "names a key that is not this log's")
            if index:
                self._endorsed(act, index, self.keys[-1][1])
            self.keys.append((index, key))
        # The head right after a change of keys may still be signed by the key before.
        believed = {self.in_force(self.head.size).vkey, self.in_force(self.head.size - 1 or 1).vkey}
        if self.signer is not None and self.signer.vkey not in believed:
            raise Fault(
                "checkpoint", f"is signed by {self.signer}, and the log's key is {self.in_force(self.head.size)}"
            )

    def _endorsed(self, act, index, before):
        """Insist that `before` signed that the key of this act takes over here."""
        name = f"log/{index}.entry"
        if act["place"] != index:
            raise Fault(name, "Rekeyed.place: {}, wanted {}".format(act["place"], index))
        payload = canonical({"entry": index, "vkey": act["vkey"]})
        signature = from_base64(act["endorsement"], name, "endorsement")
        if not self.openssl.verifies(before.public, dsse(ENDORSEMENT, payload), signature):
            raise Fault(name, f"names a key that the log's key before it, {before}, did not endorse")

    def in_force(self, index):
        """The key that signed when entry `index` was logged."""
        return [key for since, key in self.keys if since < index][-1]

    def _built(self, index):
        act = self._act(
            index,
            "Built",
            {
                "label": str,
                "number": int,
                "cut_off": INSTANT,
                "statement": HEX,
                "tables": [{"name": str, "size": int, "root": HEX}],
            },
        )
        name = f"log/{index}.entry"
        for field, wanted in (("label", "build"), ("number", "number"), ("cut_off", "cut_off")):
            if act[field] != self.pack[wanted]:
                raise Fault("pack.json", f"{wanted}: {brief(self.pack[wanted])}, and the log says {brief(act[field])}")
        for table in act["tables"]:
            if table["name"] in self.tables or table["size"] < 0:
                raise Fault(name, "Built.tables: a table twice, or of no size")
            self.tables[table["name"]] = (table["size"], bytes.fromhex(table["root"]))
        root = tree_root([leaf_of(canonical(table)) for table in act["tables"]]).hex()
        if root != self.pack["root"]:
            raise Fault("pack.json", "root: {}, and the log's tables make {}".format(self.pack["root"], root))
        lines = [line for line in self.lines if line not in self.newer]
        for line in lines:
            if line.size > max(index, self.pack["entries"]["published"]):
                self.covering.append(line)
            elif line.size <= index and line.label == act["label"]:
                raise Fault(
                    "the line that you gave",
                    f"is for build {line.label}, and its head of {line.size} entries is from before {self._late(line)}",
                )
        if lines and not self.covering and self.given is None:
            # Whoever wants to deceive can go on from a true published head under keys of their own.
            line = max(lines, key=lambda one: one.size)
            raise Fault(
                "the line that you gave",
                f"its head of {entries(line.size)} is from before {self._late(line)}: wanted a line published since, "
                "or a policy that you trust",
            )

    def _late(self, line):
        """What came after a published head that does not cover the build."""
        named = self.pack["entries"]
        if line.size <= named["built"]:
            return "the build of this pack, entry {}".format(named["built"])
        return "what made the build of this pack live, entry {}".format(named["published"])

    def _published(self, named):
        pack = self.pack
        start, end, at = pack["published_from"], pack["published_to"], pack["as_of"]
        if (named["published"] < 0) != (start == "") or (named["ended"] < 0) != (end == "") or (end and not start):
            raise Fault("pack.json", "published: a date without its log entry, or an entry without its date")
        if not start:
            if at:
                raise Fault("pack.json", "as_of: a build that was never published answers for no moment")
            return
        index = named["published"]
        name, act = f"log/{index}.entry", self.acts[index]
        if act["act"] == "Withdrawn":  # of a later build: this one was live again
            self._act(index, "Withdrawn", {"label": str, "at": INSTANT})
            if act["label"] == pack["build"]:
                raise Fault(name, "withdraws the build, wanted the act that made it live")
        else:
            self._act(index, "Published", {"label": str, "at": INSTANT})
            if act["label"] != pack["build"]:
                raise Fault(name, f"publishes build {brief(act['label'])}, wanted {brief(pack['build'])}")
        if index <= named["built"]:
            raise Fault(name, "publishes a build that was not built by then")
        if act["at"] != start:
            raise Fault("pack.json", "published_from: {}, and the log says {}".format(start, act["at"]))
        if end:
            name = "log/{}.entry".format(named["ended"])
            act = self.acts[named["ended"]]
            if act["act"] == "Withdrawn":
                self._act(named["ended"], "Withdrawn", {"label": str, "at": INSTANT})
                if act["label"] != pack["build"]:
                    raise Fault(name, "withdraws build {}, wanted {}".format(brief(act["label"]), pack["build"]))
            else:
                self._act(named["ended"], "Published", {"label": str, "at": INSTANT})
                if named["ended"] == index:
                    raise Fault(name, "cannot both start and end the publication")
            if act["at"] != end:
                raise Fault("pack.json", "published_to: {}, and the log says {}".format(end, act["at"]))
            if named["ended"] < index or end < start:
                raise Fault(name, f"ends a publication before it starts: it starts with entry {index}, at {start}")
        if at and (at < start or (end and at >= end)):
            raise Fault("pack.json", "as_of: {}, and the build was live from {} to {}".format(at, start, end or "now"))

    def step_5(self):
        act = self.acts[self.pack["entries"]["built"]]
        data, file = self.files["statement.json"], "statement.json"
        if sha256(data).hex() != act["statement"]:
            raise Fault(file, "is not the statement that the log names for this build: another SHA-256")
        payload = self._opened(data, file, STATEMENT, self.in_force(self.pack["entries"]["built"]))
        try:
            subjects = {
                item["name"]: (item["annotations"]["size"], item["digest"]["rfc6962-sha256"])
                for item in payload["subject"]
            }
            external = payload["predicate"]["buildDefinition"]["externalParameters"]
            said = (external["label"], external["number"], external["cutOff"])
            page = payload["predicate"]["buildDefinition"]["internalParameters"]["params"]["landing_page"]
            caveat, count = (page["text"], page["version"]), len(payload["subject"])
            form = (payload["_type"], payload["predicateType"])
        except (KeyError, TypeError):
            raise Fault(file, "lacks what a build statement has") from None
        if form != ("https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"):
            raise Fault(file, "is not an in-toto Statement v1 with a SLSA v1 predicate")
        wanted = {"{}/{}".format(act["label"], t["name"]): (t["size"], t["root"]) for t in act["tables"]}
        if subjects != wanted or count != len(wanted):
            raise Fault(file, "its subjects are not the tables that the log has")
        if said != (act["label"], act["number"], act["cut_off"]):
            raise Fault(file, "is about another build than the log's entry")
        if caveat != (self.pack["caveat"], self.pack["caveat_version"]):
            raise Fault("pack.json", "caveat: other words, or another version, than the build statement has")

    def _opened(self, data, file, kind, key):
        """The payload of a DSSE envelope, once the signature by `key` has verified."""
        envelope = from_json(data, file, "envelope")
        check_form(envelope, {"payload": str, "payloadType": str, "signatures": [{"keyid": str, "sig": str}]}, file, "")
        if envelope["payloadType"] != kind:
            raise Fault(file, f"envelope: another payload type, wanted {kind}")
        payload = from_base64(envelope["payload"], file, "payload")
        wanted = "{}+{}".format(key.name.decode("utf-8"), key.hash.hex())
        mine = [from_base64(s["sig"], file, "signature") for s in envelope["signatures"] if s["keyid"] == wanted]
        if len(mine) != 1:
            raise Fault(
                file,
                "{} by {}, the key in force when it was logged; wanted exactly 1".format(
                    number(len(mine), "signature"), key
                ),
            )
        if not self.openssl.verifies(key.public, dsse(kind, payload), mine[0]):
            raise Fault(file, f"the signature by {key} does not verify")
        return from_json(payload, file, "payload")

    def step_6(self):
        file, before = "rows.jsonl", None
        data = self.files[file]
        if data and not data.endswith(b"\n"):
            raise Fault(file, "a last line that has no end")
        lines = data.split(b"\n")[:-1]
        for i in range(len(lines)):
            where = "line %s" % (i + 1)
            try:
                row = self._row(lines[i], where)
                if before and (row["table"], row["index"]) <= (before["table"], before["index"]):
                    raise Fault(file, f"{where}: out of order, or twice")
                if before and row["table"] == before["table"] and row["leaf"] <= before["leaf"]:
                    raise Fault(file, f"{where}: its digest is out of order in a tree that is sorted")
            except Fault as fault:
                self._found(6, fault)
                continue
            before = row
            self.rows.append(row)

    def _records(self):
        """Insist that the pack has every record that a link shown names: shown, or as a bare digest."""
        held = [row for row in self.rows if row["table"] == "record"]
        there = {(row["row"]["system"], row["row"]["record_id"]) for row in held if row["row"] is not None}
        behind = [(link, supports_of(link["row"])) for link in self.rows if link["table"] == "link" and link["row"]]
        absent = {record for _, records in behind for record in records} - there
        if len(absent) <= sum(row["row"] is None for row in held):
            return
        for link, records in behind:
            lacking = sorted(set(records) & absent)
            if lacking:
                names = ", ".join(brief(" ".join(record)) for record in lacking[:3])
                self._found(
                    8,
                    Fault(
                        "rows.jsonl",
                        "{} of the {} behind {} {} not in the pack: {}{}".format(
                            len(lacking),
                            number(len(records), "record"),
                            told(link),
                            be(len(lacking)),
                            names,
                            "" if len(lacking) < 4 else " and more",
                        ),
                    ),
                )

    def _row(self, line, where):
        """One row: its place in its table's tree is proved, and what it holds is read. `leaf` is bytes in it."""
        file = "rows.jsonl"
        row = from_json(line, file, where)
        if type(row) is not dict or type(row.get("withheld", "")) is not str:
            raise Fault(file, f"{where}: not a row")
        if "withheld" not in row:
            form, optional = {**ROW, "entry": str, "computed_with_erased": bool}, ("computed_with_erased",)
        elif row["withheld"] in WITHHELD:
            form, optional = WITHHELD[row["withheld"]]
        else:
            raise Fault(
                file, "{}: withheld as {}, which is no reason this program knows".format(where, brief(row["withheld"]))
            )
        check_form(row, form, file, where, optional)
        if not row.get("computed_with_erased", True) or ("computed_with_erased" in row and row["table"] not in FIGURES):
            raise Fault(file, f"{where}: marked as computed with what is gone, which a row of this table is not")
        if row["table"] not in self.tables:
            raise Fault(file, f"{where}: of a table that the build does not have")
        row["where"], content = where, None
        if "entry" in row:
            content = from_base64(row["entry"], file, where)
        if "withheld" not in row:
            row["withheld"], row["leaf"] = "", leaf_of(content)
            row["row"] = self._content(content, row["table"], where)
        else:
            row["leaf"] = bytes.fromhex(row["leaf"])
            row["row"] = None
            if row["withheld"] == "figures" and row["table"] not in FIGURES:
                raise Fault(file, "{}: a {} has no figures to withhold".format(where, brief(row["table"])))
            if row["withheld"] == "reduced" and row["table"] != "link":
                raise Fault(file, f"{where}: only links live on with less")
            if content is not None:
                if not row["heirs"]:
                    raise Fault(file, f"{where}: content that no certificate pairs with the row")
                row["left"] = leaf_of(content)
                row["row"] = self._content(content, row["table"], where)
        size, root = self.tables[row["table"]]
        made = root_by_path(row["leaf"], row["index"], size, digests(row["path"], file, where))
        if made is None:
            raise Fault(file, "{}: a path that could not be of row {} of {}".format(where, row["index"], size))
        if made != root:
            raise Fault(
                file,
                "{}: {} in this pack is not what the force signed: it is not row {} of the build's table {}".format(
                    where, told(row), row["index"], brief(row["table"])
                ),
            )
        return row

    def _content(self, entry, table, where):
        if len(entry) <= 32:
            raise Fault("rows.jsonl", f"{where}: an entry of {len(entry)} bytes, wanted a salt and a row")
        row = from_json(entry[32:], "rows.jsonl", where)
        form = {
            "link": ("theme", "a", "b"), "nominal": ("theme", "nominal", "links_root"),
            "record": ("system", "record_id"),
        }.get(table, ())  # fmt: skip
        good = type(row) is dict and all(type(row.get(column)) is str for column in form)
        if not good or (table == "link" and supports_of(row) is None):
            raise Fault("rows.jsonl", f"{where}: not a row of the table {brief(table)}")
        return row

    def step_7(self):
        named = {self.acts[index]["certificate"]: index for index in self.pack["entries"]["certified"]}
        for name in sorted(name for name in self.files if name.startswith("certificates/")):
            digest = sha256(self.files[name]).hex()
            if digest not in named:
                raise Fault(name, "is not a certificate that the log names: another SHA-256")
            index = named.pop(digest)
            self.certificates[name[13:29]] = self._certificate(name, index)
        if named:
            raise Fault(f"log/{min(named.values())}.entry", "names a certificate that is not in the pack")
        for row in self.rows:
            try:
                if row["withheld"] == "disposed":
                    self._hole(row)
                elif row["withheld"] == "reduced":
                    self._heirs(row)
            except Fault as fault:
                self._found(7, fault)
        if not self.certificates and not any(row["withheld"] in ("disposed", "reduced") for row in self.rows):
            self._nothing(7, "No row of the pack was disposed of.")

    def _certificate(self, name, index):
        said = self._opened(self.files[name], name, CERTIFICATE, self.in_force(index))
        form = {
            "disposal": ID,
            "number": int,
            "archive": str,
            "reduced": int,
            "holes": HEX,
            "heirs": HEX,
            "reason": str,
            "authority": str,
            "certified_on": INSTANT,
            "escrow": re.compile("|".join(word for word, _ in ESCROW)),
        }
        if type(said) is not dict:
            raise Fault(name, "is not a certificate")
        check_form({key: said.get(key) for key in form}, form, name, "certificate")
        for field, inner in (("died", {"table": str, "rows": int}), ("builds", {"label": str})):
            check_form(said.get(field), [inner], name, f"certificate.{field}")
        if said["disposal"] != name[13:29] or said["archive"] != self.pack["archive"]:
            raise Fault(name, "is the certificate of another disposal")
        if said["number"] != self.acts[index]["number"]:
            raise Fault(
                name,
                "is of disposal number {}, and the log has it as {}".format(said["number"], self.acts[index]["number"]),
            )
        if any(item["rows"] < 0 for item in said["died"]) or said["reduced"] < 0:
            raise Fault(name, "counts below nothing")
        if sum(item["rows"] for item in said["died"]) > LARGEST:
            raise Fault(name, "counts above 2^53 - 1")
        return said

    def _named(self, disposal, row, *, first):
        where = row["where"]
        if disposal not in self.certificates:
            raise Fault("rows.jsonl", f"{where}: names disposal {disposal}, whose certificate is not in the pack")
        said = self.certificates[disposal]
        if first and self.pack["build"] not in [item["label"] for item in said["builds"]]:
            raise Fault(
                "rows.jsonl", "{}: disposal {} took nothing from build {}".format(where, disposal, self.pack["build"])
            )
        if not any(item["table"] == row["table"] and item["rows"] for item in said["died"]):
            raise Fault(
                "rows.jsonl", "{}: disposal {} took no row of table {}".format(where, disposal, brief(row["table"]))
            )
        return said

    def _hole(self, row):
        said = self._named(row["disposal"], row, first=True)
        size, where = sum(item["rows"] for item in said["died"]), row["where"]
        path = digests(row["hole"]["path"], "rows.jsonl", where)
        if root_by_path(row["leaf"], row["hole"]["index"], size, path) != bytes.fromhex(said["holes"]):
            raise Fault(
                "rows.jsonl",
                "{}: is not among the rows that certificate {} accounts for".format(where, row["disposal"]),
            )

    def _heirs(self, row):
        leaf, number_before, where = row["leaf"], 0, row["where"]
        for heir in row["heirs"]:
            said = self._named(heir["disposal"], row, first=number_before == 0)
            if said["number"] <= number_before:
                raise Fault("rows.jsonl", f"{where}: its disposals are out of order")
            number_before, after = said["number"], bytes.fromhex(heir["leaf"])
            path = digests(heir["path"], "rows.jsonl", where)
            made = root_by_path(leaf_of(leaf + after), heir["index"], said["reduced"], path)
            if made != bytes.fromhex(said["heirs"]):
                raise Fault(
                    "rows.jsonl",
                    "{}: what is left of it is not what certificate {} pairs it with".format(where, heir["disposal"]),
                )
            leaf = after
        if "left" in row and row["left"] != leaf:
            raise Fault("rows.jsonl", f"{where}: its content is not what the last certificate pairs it with")

    def step_8(self):
        self._records()
        person, file = self.pack["question"]["person"], "pack.json"
        people = {row["leaf"]: row["row"] for row in self.rows if row["table"] == "nominal" and not row["withheld"]}
        links = {row["leaf"]: row for row in self.rows if row["table"] == "link"}
        if (person == "") != (self.pack["question"]["nominal"] == "") or (self.pack["complete"] and not person):
            raise Fault(file, "complete: for a question that names no person")
        asked = self.pack["question"]["theme"]
        for item in self.pack["complete"]:
            theme, listed = item["theme"], [bytes.fromhex(leaf) for leaf in item["links"]]
            what = f"complete, theme {brief(theme)}"
            if asked and theme != asked:
                raise Fault(file, f"{what}: not the theme that was asked about")
            row = people.get(bytes.fromhex(item["nominal"]))
            if row is None:
                raise Fault(file, f"{what}: the person's row is not shown in the pack")
            if (row["nominal"], row["theme"]) != (person, theme):
                raise Fault(
                    file,
                    "{}: the row is of {} in theme {}, wanted {}".format(
                        what, brief(row["nominal"]), brief(row["theme"]), brief(person)
                    ),
                )
            if any(listed[i] >= listed[i + 1] for i in range(len(listed) - 1)):
                raise Fault(file, f"{what}: links out of order, or one twice")
            made = tree_root(listed).hex()
            if made != row["links_root"]:
                count = row.get("links")
                raise Fault(
                    file,
                    "{}: {} {} listed{}, which are not all the links that the person's row commits to".format(
                        what,
                        number(len(listed), "link"),
                        be(len(listed)),
                        f" of {count:,}" if type(count) is int else "",
                    ),
                )
            states = {"": 0, "disposed": 0, "reduced": 0, "restricted": 0, "hidden": 0, "sensitive": 0}
            for leaf in listed:
                if leaf not in links:
                    raise Fault(
                        file,
                        f"{what}: one of the {number(len(listed), 'link')} of {brief(person)} is missing: "
                        f"link {leaf.hex()} is not among the rows of the pack",
                    )
                link = links[leaf]
                if link["row"] is not None and not is_of(link["row"], person, theme):
                    raise Fault(file, f"{what}: link {leaf.hex()} is of other people or another theme")
                states[state_of(link)] += 1
            known = set(listed)
            for leaf, link in links.items():
                if link["row"] is not None and is_of(link["row"], person, theme) and leaf not in known:
                    raise Fault(
                        file, "{}: a link that is shown, {}, is not one of its links".format(what, link["where"])
                    )
            self.themes.append((theme, len(listed), states))
        spoken = sorted(item["theme"] for item in self.pack["complete"] + self.pack["incomplete"])
        if spoken != sorted(theme for theme in THEMES if person and asked in ("", theme)):
            raise Fault(file, "complete: does not say once of each theme asked about whether its links are all there")
        if not self.pack["complete"]:
            self._nothing(8, "The pack does not claim that no link is left out.")

    def step_9(self):
        names = {name[7:-4] for name in self.files if name.startswith("stamps/")}
        for name in sorted(names):
            tsr, pem = f"stamps/{name}.tsr", f"stamps/{name}.pem"
            for wanted in (tsr, pem):
                if wanted not in self.files:
                    raise Fault(wanted, "is not there")
            roots = self.authority if self.authority is not None else self.files[pem]
            at = self.openssl.stamped(self.files[tsr], self.files["head"], self.files[pem], roots)
            if at is None:
                raise Fault(tsr, "is not a time-stamp over `head` by the authority of its certificates")
            self.stamps.append((name, at))
            self.remarks[9].append(f"{name} saw the head on {instant(at)}.")
        if not names:
            self._nothing(9, "The pack has no time-stamp.")

    # --- What that comes to, in words --------------------------------------------------------------------------------

    @property
    def compared(self):
        """Whether something from outside the pack vouches for what it says of its build."""
        return bool(self.covering) or self.given is not None

    @property
    def verdict(self):
        if not self.verified:
            return "NOT VERIFIED"
        if self.covering:
            return "VERIFIED against the published head that you gave"
        if self.given is not None:
            return "VERIFIED under the policy that you gave"
        if self.newer:
            return NOT_COMPARED
        return "CONSISTENT IN ITSELF, but not compared with anything from outside"

    @property
    def meaning(self):
        if not self.verified:
            return "Do not rely on this pack. Keep it as it is, and ask whoever sent it about what is named below."
        counts = self.counts()
        opaque = sum(counts[kind] for kind, _ in OPAQUE)
        withheld = ""
        if opaque:
            withheld = f" {number(opaque, 'row')} of the build {be(opaque)} in the pack without being shown."
        if self.compared:
            return f"Every check passed. What that proves, and what it does not, is said below.{withheld}"
        if self.newer:
            return self.wanted + withheld
        return (
            "Every check passed, but the keys were taken from the pack itself, so anyone could have made it. Compare "
            "it with a head line from a weekly notice of the build's own week or later, or with a policy file that you "
            f"got elsewhere.{withheld}"
        )

    @property
    def wanted(self):
        """What would let a pack be compared whose reader has only a later line."""
        line = min(self.newer, key=lambda one: one.size)
        since = max(self.pack["entries"]["built"], self.pack["entries"]["published"]) + 1
        known = [one for one in self.carried if since <= one.size]
        return (
            f"Nothing was found wrong, and nothing was compared: your line is of {entries(line.size)}, and this pack "
            f"was made when the log had {self.head.size:,}. To compare it you need a line of {since:,} to "
            f"{self.head.size:,} entries"
            + (f", such as that of the notice for {shown(known[-1].label)}" if known else "")
            + "; or a policy file; or the same pack made anew, after your notice: ask whoever sent it."
        )

    @property
    def proved_title(self):
        return "What was proved" if self.compared else "What the pack shows, if its keys are those of the force"

    def proved(self):
        pack, counts, said = self.pack, self.counts(), []
        for line in self.covering:
            how = "is the head of this pack"
            if line.size < self.head.size:
                how = f"continues into the head of this pack, of {entries(self.head.size)}: nothing under it was "
                how += "changed, taken out or put in since"
            said.append(f"The head published for {shown(line.label)}, of {entries(line.size)}, {how}.")
        if self.given is not None:
            said.append(f"The head is signed by {self.signer}, a log key of the policy that you gave.")
            said += [f"The witness {key} cosigned the head on {instant(at)}." for _, key, at in self.cosigned]
        under = "the published head" if self.covering else "the head of this pack"
        said.append(f"Build {shown(pack['build'])} is entry {pack['entries']['built']} of the log, under {under}.")
        said.append(
            "The signed statement of that build is the one that the log names. It took records up to "
            f"{when(pack['cut_off'])}."
        )
        if pack["published_from"]:
            end = (
                f", and that something else was live from {when(pack['published_to'])} on"
                if pack["published_to"]
                else ""
            )
            act, start = self.acts[pack["entries"]["published"]], when(pack["published_from"])
            what = (
                f"build {shown(act['label'])} was withdrawn" if act["act"] == "Withdrawn" else "the build was published"
            )
            said.append(f"The log says that {what} on {start}{end}.")
        tables = ", ".join(shown(number(count, table)) for table, count in sorted(counts["shown"].items()))
        total = sum(counts["shown"].values())
        said.append(
            f"{number(total, 'row')} shown here {be(total)}, byte for byte, what that build held"
            f"{f' ({tables})' if tables else ''}."
        )
        if counts["disposed"]:
            said.append(
                f"{number(counts['disposed'], 'row')} of the build {have(counts['disposed'])} since been disposed of, "
                "under a signed certificate."
            )
        if counts["reduced"]:
            said.append(
                f"{number(counts['reduced'], 'link')} {be(counts['reduced'])} shown with less than the build held; "
                "a signed certificate pairs old and new."
            )
        person = shown(pack["question"]["person"])
        for theme, count, states in self.themes:
            said.append(
                f"No link that the build counted for {person} in theme {shown(theme)} is left out: "
                f"{split(count, states)}."
            )
        if self.authority is not None:
            said += [
                f"A time-stamp of {name} shows that the head existed on {instant(at)}." for name, at in self.stamps
            ]
        return said

    def relied(self):
        said = [f"The published head line that you gave: {shown(line.text)}" for line in self.covering]
        if self.given is not None:
            said.append("The policy file that you gave, which says whose signatures count.")
            if self.given.data == self.files["policy"]:
                said[-1] += (
                    " The pack has the same one: that proves nothing if you took yours from a pack, and is as it "
                    "should be if you got it elsewhere."
                )
            if self.signer is not [key for key in self.given.logs if key.name == self.head.origin][-1]:
                said.append(
                    f"{self.signer}, an earlier key of the log, which your policy still names: if it was stolen, its "
                    "line must go from the policy, and only a witness or a published head vouches for this pack."
                )
        else:
            needed = ". What the published head covers does not need it" if self.covering else ""
            said.append(
                f"The policy inside the pack, which says whose signatures count: {self.signer} signed the head{needed}."
            )
            for _, key, at in self.cosigned:
                said.append(
                    f"The key of the witness {key}, which is from the pack too. By that key the head was cosigned "
                    f"on {instant(at)}."
                )
        if self.authority is None:
            for name, at in self.stamps:
                said.append(
                    f"The certificates of the time-stamp authority {name}, which are from the pack. By them the "
                    f"head existed on {instant(at)}."
                )
        python = "{}.{}".format(*sys.version_info[:2])
        said.append(f"SHA-256 and Ed25519, as computed by Python {python} and {self.openssl.version}.")
        said.append("This program. If it came with the pack, compare it with a copy that you got elsewhere.")
        return said

    def not_proved(self, complete=()):
        """`complete` has builds and persons for whom another proof beside this one says which links are all there."""
        pack, counts, said = self.pack, self.counts(), []
        elsewhere = not pack["complete"] and (pack["build"], pack["question"]["person"]) in complete
        asked, person = shown(pack["question"]["nominal"]), shown(pack["question"]["person"])
        if not self.compared:
            said.append("Who made this pack: the key that signed it was taken from the pack itself.")
        for line in self.newer:
            said.append(
                f"Anything about what the log came to by the notice for {shown(line.label)}, of {entries(line.size)}: "
                "this pack is from before it."
            )
        for line in self.lines:
            if line not in self.covering and line not in self.newer:
                said.append(
                    f"That the head published for {shown(line.label)} covers this build: it is of "
                    f"{entries(line.size)}, from before {self._late(line)}."
                )
        if self.covering:
            covered = max(line.size for line in self.covering)
            late = [f"{index} ({shown(self.acts[index]['act'])})" for index in sorted(self.acts) if index >= covered]
            if late:
                said.append(
                    f"That the published head covers {'entry' if len(late) == 1 else 'entries'} {', '.join(late)} "
                    "of the log: what came later rests on the signature of this pack's head."
                )
                if self.given is None:
                    said.append(
                        f"That {self.signer} was still the log's key when it signed the head of this pack: a change of "
                        "key that the pack leaves out cannot be seen in it."
                    )
        said.append(
            "That what the sources recorded is true, that the force's software worked out the build rightly, with "
            "one row for each person, or that a link means what it seems to."
        )
        if pack["as_of"]:
            said.append(
                f"That no other build was live on {when(pack['as_of'])}, and that the log has no other build of this "
                "name. The pack shows when this one was published, not that nothing came between."
            )
        if pack["published_from"]:
            act = self.acts[pack["entries"]["published"]]
            logged = act["on"]
            if act["act"] == "Withdrawn":
                said.append("That this build was the one that was live again when the other was withdrawn.")
            if logged[:10] > pack["published_from"][:10]:
                said.append(
                    f"That the build was live on {when(pack['published_from'])}: this was put into the log only on "
                    f"{when(logged)}."
                )
        else:
            said.append("That the build was ever live: the pack names no publication.")
        opaque = [f"{counts[kind]:,} {words}" for kind, words in OPAQUE if counts[kind]]
        if opaque:
            total = sum(counts[kind] for kind, _ in OPAQUE)
            said.append(
                f"What {number(total, 'row')} of the build that {be(total)} not shown would say, and why "
                f"{'it is' if total == 1 else 'they are'} withheld ({', '.join(opaque)}): for that there is only "
                "the word of whoever made the pack."
            )
        marked = sum("computed_with_erased" in row for row in self.rows)
        if marked:
            said.append(
                f"Which figures counted what has since been disposed of: the pack marks {number(marked, 'row')}, and "
                "that is the word of whoever made it."
            )
        if counts["disposed"] or counts["reduced"]:
            said.append(
                "That what was disposed of is gone from every copy, and had to be disposed of: the certificate is "
                "the force's word."
            )
        if self.certificates:
            words = [held["escrow"] for held in self.certificates.values()]
            stated = [
                f"{number(words.count(word), 'certificate')} {'says' if words.count(word) == 1 else 'say'} {means}"
                for word, means in ESCROW
                if word in words
            ]
            said.append(
                "Whether a copy of the old master key was kept outside the archive, by which an old backup would still "
                f"open: {', '.join(stated)}."
            )
        if counts["reduced"]:
            said.append(
                "That a link shown with less still has all that may be shown: the certificate is the force's word."
            )
        if asked != person:
            said.append(f"That {asked}, who was asked about, is the same person as {person}, whose links the pack has.")
        if person and not elsewhere:
            for item in pack["incomplete"]:
                said.append(
                    f"That no link of {person} in theme {shown(item['theme'])} is left out. The pack gives as the "
                    f"reason: {shown(item['why'])}"
                )
            if not pack["complete"]:
                said.append(f"That these are all links of {person}.")
            if pack["question"]["theme"]:
                said.append(f"Anything about {person} in a theme other than {shown(pack['question']['theme'])}.")
        elif not person:
            said.append(
                "That these are all the rows that answer the question. That can be proved only for the links of one "
                "person in one theme."
            )
        if not self.cosigned:
            said.append("That everyone is shown the same log: no witness that the policy names cosigned this head.")
        elif not self.quorum_met:
            said.append(
                "That everyone is shown the same log: fewer witnesses cosigned this head than the policy asks for."
            )
        said += self.stamps_not_proved()
        said.append(
            "What only pack.json says: when the pack was made, its handling code and conditions, the network and "
            "the case that were asked about, and the counts of what has gone from the whole build."
        )
        return said

    def stamps_not_proved(self):
        if self.stamps:
            return []
        return ["When the head was made, other than by the force's own clock: the pack has no time-stamp."]

    def counts(self):
        """How many rows are shown, by table; and how many are withheld, by the reason."""
        reasons = ("disposed", "reduced", "restricted", "figures", "hidden", "sensitive")
        found = {"shown": {}, **dict.fromkeys(reasons, 0)}
        for row in self.rows:
            if row["withheld"]:
                found[state_of(row)] += 1
            else:
                found["shown"][row["table"]] = found["shown"].get(row["table"], 0) + 1
        return found


NOT_COMPARED = "NOT COMPARED: your line is newer than this pack"
OPAQUE = (
    ("restricted", "restricted"),
    ("hidden", "reduced by a restriction"),
    ("figures", "with figures that would tell of what is gone"),
    ("sensitive", "as sensitive unused material"),
)


def state_of(row):
    """Why a row is not shown as it was; "hidden" where nothing of what is left of it may be shown either."""
    return "hidden" if row["withheld"] == "reduced" and row["row"] is None else row["withheld"]


def several(names):
    """Names in a row, of which only the first three where there are more."""
    return ", ".join(map(shown, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def be(count):
    return "is" if count == 1 else "are"


def have(count):
    return "has" if count == 1 else "have"


def entries(count):
    return "1 entry" if count == 1 else f"{count:,} entries"


def split(count, states):
    """So many links, and how they are shown."""
    words = (
        ("", "shown as they were"),
        ("reduced", "shown with less"),
        ("disposed", "disposed of"),
        ("restricted", "restricted and not shown"),
        ("hidden", "reduced by a restriction and not shown"),
        ("sensitive", "withheld as sensitive"),
    )
    return ", ".join([number(count, "link"), *(f"{states[key]:,} {said}" for key, said in words if states[key])])


def is_of(link, person, theme):
    return link["theme"] == theme and person in (link["a"], link["b"])


def supports_of(link):
    """The records that a link's row names, as (system, record id), each once; None where it is not in that form."""
    held = link.get("supports")
    parts = [held.get(column) for column in ("system", "record_id")] if type(held) is dict else [None]
    if any(type(part) is not list or any(type(each) is not str for each in part) for part in parts):
        return None
    if len(parts[0]) != len(parts[1]):
        return None
    return sorted({(parts[0][i], parts[1][i]) for i in range(len(parts[0]))})


def told(row):
    """What a row says that it is, for a message; what is not shown is only a row."""
    said = row["row"]
    if said is None:
        return "a digest"
    if row["table"] == "link":
        return "the link of {} and {} in theme {}".format(*(brief(said[key]) for key in ("a", "b", "theme")))
    if row["table"] == "nominal":
        return "the figures of {} in theme {}".format(brief(said["nominal"]), brief(said["theme"]))
    if row["table"] == "record":
        return "record {} {}".format(brief(said["system"]), brief(said["record_id"]))
    return "a row"


def read_proof(data, file):
    """Index, path and checkpoint of a .tlog-proof."""
    proof, blank, note = data.partition(b"\n\n")
    lines = proof.split(b"\n")
    if not blank or lines.pop(0) != b"c2sp.org/tlog-proof@v1":
        raise Fault(file, "is not in the form c2sp.org/tlog-proof@v1")
    if lines and lines[0].startswith(b"extra "):
        from_base64(lines.pop(0)[6:], file, "extra")
    if not lines or not lines[0].startswith(b"index "):
        raise Fault(file, "has no index")
    return from_decimal(lines[0][6:], file, "index"), digests(lines[1:], file, "path"), note


# --- A disclosure pack: many proofs in one bag ------------------------------------------------------------------------

BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
TAG_FILES = ["bag-info.txt", "bagit.txt", "manifest-sha256.txt"]
PROOF = re.compile(r"data/proofs/([A-Za-z0-9][A-Za-z0-9._-]*)/(.+)")
DISCLOSURE = "provenance-disclosure/1"


class Bag:
    """A disclosure pack, checked: the bag's manifests, each proof by itself, and that pages and proofs are those which
    answer.json says they are.
    """

    def __init__(self, files, troubles=(), lines=(), policy=None, authority=None, openssl=None, letter=None):
        self.files, self.openssl, self.letter = dict(files), openssl or OpenSSL(), letter
        self.faults = [(fault.file, fault.message) for fault in troubles]
        self.left_aside = [name for name in list(self.files) if name.rpartition("/")[2] in LEFT_ASIDE]
        for name in self.left_aside:
            del self.files[name]
        self._attempt(self._manifests)
        parts = {}
        for name, data in self.files.items():
            found = PROOF.fullmatch(name)
            if found:
                parts.setdefault(found.group(1), {})[found.group(2)] = data
        self.checks = {name: Check(parts[name], (), lines, policy, authority, self.openssl) for name in sorted(parts)}
        self.views, self.others, self.withheld, self.policy = 0, 0, 0, policy
        self._attempt(self._answer)
        if not self.checks and not self.faults:
            self.faults.append(("data/proofs", "holds no proof, so there is nothing to verify"))

    @property
    def verified(self):
        return not self.faults and all(check.verified for check in self.checks.values())

    @property
    def verdict(self):
        """That of the proof of which least can be said."""
        if not self.verified:
            return "NOT VERIFIED"
        verdicts = [check.verdict for check in self.checks.values()]
        worst = [verdict for verdict in verdicts if not verdict.startswith("VERIFIED")]
        return worst[0] if worst else verdicts[0]

    @property
    def newer(self):
        return self.verdict == NOT_COMPARED

    @property
    def meaning(self):
        if not self.verified:
            return "Do not rely on this pack. Keep it as it is, and ask whoever sent it about what is named below."
        if self.newer:
            return next(check for check in self.checks.values() if check.verdict == NOT_COMPARED).wanted
        if self.compared:
            return "Every check of every proof passed. What that proves, and what it does not, is said below."
        return (
            "Every check passed, but the keys were taken from the pack itself, so anyone could have made it. Give "
            "--published or --policy."
        )

    @property
    def extent(self):
        """Which of the files that was said of; it belongs right beneath the verdict."""
        if self.letter:
            return (
                "Every byte of the pack, its pages and READ-ME-FIRST too, is as it was when the number that you gave "
                "was written down."
            )
        return (
            "The pages and READ-ME-FIRST were not checked; the rows were. With the number from the covering letter "
            "(--tagmanifest) every byte is."
        )

    @property
    def compared(self):
        return self.verified and all(check.compared for check in self.checks.values())

    def _attempt(self, look):
        try:
            look()
        except Fault as fault:
            self.faults.append((fault.file, fault.message))

    def _manifests(self):
        if self.files.get("bagit.txt") != BAGIT:
            raise Fault("bagit.txt", "is not that of a BagIt 1.0 bag in UTF-8")
        tags = self._listed("tagmanifest-sha256.txt")
        found = sha256(self.files["tagmanifest-sha256.txt"]).hex()
        if self.letter and found != self.letter:
            self.faults.append(
                (
                    "tagmanifest-sha256.txt",
                    f"has SHA-256 {found}, and the number that you gave is {self.letter}: this is another pack than "
                    "the letter came with, or something in it was changed",
                )
            )
        payload = self._listed("manifest-sha256.txt")
        if sorted(set(tags) - {"READ-ME-FIRST.txt"}) != TAG_FILES:
            raise Fault("tagmanifest-sha256.txt", "names other files than a pack's")
        for name in sorted(payload):
            if not name.startswith("data/"):
                raise Fault("manifest-sha256.txt", f"names {brief(name)}, which is not under data/")
        listed = {**tags, **payload}
        for name in sorted(listed):
            if name not in self.files:
                self.faults.append((name, "is listed in a manifest and is not there"))
            elif sha256(self.files[name]) != bytes.fromhex(listed[name]):
                self.faults.append((name, "has another SHA-256 than its manifest has for it"))
        for name in sorted(set(self.files) - set(listed) - {"tagmanifest-sha256.txt"}):
            self.faults.append(
                (name, "is in no manifest: it is no part of the pack. Remove it, if you put it there, and check again")
            )

    def _listed(self, name):
        if name not in self.files:
            raise Fault(name, "is not there")
        listed = {}
        if not self.files[name].endswith(b"\n"):
            raise Fault(name, "the whole: wanted lines of a digest, two spaces and a name")
        for raw in self.files[name][:-1].split(b"\n"):
            found = re.fullmatch(rb"([0-9a-f]{64})  ([ -~]+)", raw)
            if not found or found.group(2).decode("ascii") in listed:
                raise Fault(name, "a line that is not a digest, two spaces and a name, or a name twice")
            listed[found.group(2).decode("ascii")] = found.group(1).decode("ascii")
        return listed

    def _answer(self):
        """Each page is the one that answer.json cites, and each proof of the build and subject that it is cited for."""
        file = "data/answer.json"
        if file not in self.files:
            raise Fault(file, "is not there")
        try:
            said = json.loads(self.files[file].decode("utf-8"))
            if said["format"] != DISCLOSURE:
                raise Fault(file, f"format: wanted {DISCLOSURE}")
            items = [
                (item["build"], item["view"], list(item["subject"]), item.get("file"), item.get("digest"),
                 item.get("proof"), item.get("shown"), item.get("withheld"))
                for item in said["answers"]
            ]  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Fault(file, "is not in the form of a disclosure pack") from None
        pages, cited = set(), set()
        for build, view, subject, page, digest, proof, seen, withheld in items:
            if withheld is not None:
                self._withheld(withheld, page, digest)
            if page is not None:
                self._page(str(page), digest, pages)
            if proof is not None:
                cited.add(str(proof))
                self._cited(str(proof), build, view, subject)
            elif page is not None and view in ("nominal", "figures", "link", "network"):
                self.faults.append((file, f"names page {brief(page)} without a proof"))
            if seen is not None:
                self._view(seen, digest)
        there = {name for name in self.files if name.startswith("data/pages/")}
        for name in sorted(there - pages):
            self.faults.append((name, "is a page that answer.json does not name"))
        for name in sorted(set(self.checks) - {proof[len("proofs/") :] for proof in cited}):
            self.faults.append((f"data/proofs/{name}", "is a proof that answer.json does not name"))

    def _withheld(self, why, page, digest):
        if why != "sensitive" or page is not None or not re.fullmatch("[0-9a-f]{64}", str(digest)):
            self.faults.append(("data/answer.json", f"withholds a page as {brief(str(why))}, not as packs do"))
        self.withheld += 1

    def _page(self, page, digest, pages):
        stem = "data/" + page[:-5]
        entry = self.files.get(stem + ".entry")
        pages.update({"data/" + page, stem + ".entry"})
        if "data/" + page not in self.files or entry is None:
            self.faults.append(("data/" + page, "is named in answer.json and is not there"))
        elif leaf_of(entry).hex() != digest:
            self.faults.append((stem + ".entry", "has another digest than answer.json cites"))

    def _cited(self, proof, build, view, subject):
        check = self.checks.get(proof[len("proofs/") :])
        if check is None or check.pack is None:
            self.faults.append(("data/answer.json", f"names {brief(proof)}, which cannot be read"))
            return
        asked = check.pack["question"]
        whom = asked["network"] if view == "network" else asked["nominal"]
        if check.pack["build"] != build or whom not in subject[:1]:
            self.faults.append(("data/answer.json", f"names {brief(proof)} for another build or subject than it is of"))

    def _view(self, seen, digest):
        """To whom a page was shown, by the log's own entry."""
        name = f"data/views/{seen.get('entry') if isinstance(seen, dict) else ''}"
        entry, proof = self.files.get(name + ".entry"), self.files.get(name + ".tlog-proof")
        if entry is None or proof is None:
            self.faults.append((name, "is named in answer.json and is not there"))
            return
        policy = self.policy
        if policy is None:
            of = next((check.files["policy"] for check in self.checks.values() if "policy" in check.files), None)
            if of is None:
                self.faults.append((name, "cannot be checked: no proof in the pack brings a policy"))
                return
            # Its own policy came with it: whether its witnesses are enough is for each proof to say.
            policy = Policy(re.sub(rb"(?m)^quorum .*$", b"quorum none", of), "policy")
        try:
            check_proof(proof, entry, policy, [], self.openssl)
            act = json.loads(entry.decode("utf-8"))
            if (act["act"], act["on"], act["by"]) != ("Viewed", seen["on"], seen["to"]):
                self.faults.append((name + ".entry", "says another view than answer.json"))
            self.others += act["shown"] != digest
        except Fault as fault:
            self.faults.append((f"{name}: {fault.file}", fault.message))
        except (ValueError, KeyError, TypeError):
            self.faults.append((name + ".entry", "is no entry of a page view"))
        self.views += 1

    def merged(self, what, *more):
        """Sentences of all proofs, in order, each once, after the names of the proofs that say it unless all do."""
        by = {}
        for name, check in self.checks.items():
            for text in getattr(check, what)(*more):
                by.setdefault(text, []).append(name)
        return [text if len(names) == len(self.checks) else f"{several(names)}: {text}" for text, names in by.items()]

    def proved(self):
        said = [
            "Every byte of the pack is as it was when the number that you gave was written down: the pages, "
            "READ-ME-FIRST, and all else."
        ] * bool(self.letter)
        said += self.merged("proved")
        if self.views:
            said.append(f"{number(self.views, 'view')} by staff: the log has the entry that says so")
        return said

    def relied(self):
        return ["The number that you gave: it is worth what the way is worth by which it came."] * bool(
            self.letter
        ) + self.merged("relied")

    def not_proved(self):
        complete = {
            (check.pack["build"], check.pack["question"]["person"])
            for check in self.checks.values() if check.pack["complete"]
        }  # fmt: skip
        said = self.merged("not_proved", complete)
        said.append(
            "That the pages are drawn rightly: what is proved are the rows in the proofs"
            + ("" if self.letter else ". A figure that was changed on a page, or in READ-ME-FIRST, is not found here")
        )
        if self.others:
            said.append(
                f"That {number(self.others, 'page')} shown to staff said then what the pack has now: the log has "
                "another digest. data/since.json says what has become of it, and that is the force's word"
            )
        if self.withheld:
            said.append(
                f"What {number(self.withheld, 'page')} withheld as sensitive would say: the pack has the digest of each"
            )
        return said


def bag_report(bag):
    said = [bag.verdict, wrapped(bag.meaning, "", "")] + [wrapped(bag.extent, "", "")] * bag.verified
    said += ["", "The bag and what holds it together"]
    for file, message in bag.faults:
        said.append(wrapped(f"{brief(file)}: {message}", "  !  ", "     "))
    if not bag.faults:
        said.append(f"  passed    {number(len(bag.files), 'file')}")
    said += ["", "Proofs"]
    for name, check in bag.checks.items():
        rows = f"build {shown(check.pack['build'])}, {number(len(check.rows), 'row')}" if check.verified else ""
        said.append(f"  {'passed' if check.verified else 'FAILED':<9} {shown(name)}  {rows}".rstrip())
        for step, file, message in check.faults:
            said.append(wrapped(f"step {step}: {brief(file)}: {message}", "      !  ", "         "))
    if bag.verified:
        for title, sentences in (
            ("What was proved", bag.proved()), ("What was relied on", bag.relied()),
            ("What was NOT proved", bag.not_proved()),
        ):  # fmt: skip
            said += ["", title, *(wrapped(sentence, "  - ", "    ") for sentence in sentences)]
    return "\n".join(said)


def bag_as_json(bag):
    return {
        "verified": bag.verified and not bag.newer,
        "verdict": bag.verdict,
        "compared": bag.compared,
        "faults": [{"file": shown(file), "message": message} for file, message in bag.faults],
        "proofs": {shown(name): as_json(check) for name, check in bag.checks.items()},
        "proved": bag.proved() if bag.verified else [],
        "relied_on": bag.relied() if bag.verified else [],
        "not_proved": bag.not_proved() if bag.verified else [],
    }


# --- A folder, a report -----------------------------------------------------------------------------------------------


def read_folder(folder, deepest=1):
    """The bytes of every file by its name in the folder, and faults of the folder itself. Follows no link."""
    files, troubles, total = {}, [], 0
    waiting = [("", 0)]
    while waiting:
        inner, deep = waiting.pop()
        for item in sorted(os.scandir(os.path.join(folder, inner)), key=lambda item: item.name):
            name = os.path.join(inner, item.name).replace(os.sep, "/")
            kind = item.stat(follow_symlinks=False)
            if stat.S_ISDIR(kind.st_mode) and deep < deepest:
                waiting.append((name, deep + 1))
                continue
            if not stat.S_ISREG(kind.st_mode):
                troubles.append(Fault(name, "is not a plain file"))
                continue
            total += kind.st_size
            if total > MOST_BYTES or len(files) >= MOST_FILES:
                raise Fault(
                    name, f"the pack is larger than this program reads: {MOST_BYTES >> 20} MiB, {MOST_FILES} files"
                )
            with open(item.path, "rb") as file:
                files[name] = file.read(kind.st_size + 1)
    return files, troubles


def wrapped(text, first, rest):
    return textwrap.fill(
        text, 80, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def report(check):
    """What `as_json` has, for people; 80 columns."""
    pack, said = check.pack, [check.verdict, wrapped(check.meaning, "", ""), ""]
    if check.verified:
        made = f"Pack of {shown(pack['archive'])}, build {shown(pack['build'])}, made on {when(pack['made_on'])}"
        question = {key: value for key, value in pack["question"].items() if value and key != "person"}
        asked = [f"{key} {shown(value)}" for key, value in sorted(question.items())]
        asked += [f"as of {when(pack['as_of'])}"] if pack["as_of"] else []
        said += [wrapped(made, "", ""), wrapped(f"Asked: {', '.join(asked) or 'the whole build'}", "", ""), ""]
    for step, title in STEPS.items():
        status = check.status[step]
        said.append(f"{step}  {status if status == 'passed' else status.upper():<9} {title}")
        said += [wrapped(remark, " " * 13, " " * 13) for remark in check.remarks[step]]
        for found, file, message in check.faults:
            if found == step:
                said.append(wrapped(f"{brief(file)}: {message}" if file else message, " " * 10 + "!  ", " " * 13))
    if check.verified:
        for title, sentences in (
            (check.proved_title, check.proved()),
            ("What was relied on", check.relied()),
            ("What was NOT proved", check.not_proved()),
        ):
            said += ["", title, *(wrapped(sentence, "  - ", "    ") for sentence in sentences)]
        said += ["", "Words that the build carried"]
        for paragraph in re.split(r"\n[ \t]*\n", pack["caveat"][:10_000]):
            said.append(wrapped(shown(" ".join(paragraph.split("\n")).strip(), 10_000), "  ", "  "))
    return "\n".join(said)


def rows_as_text(check):
    said = []
    for row in check.rows:
        marks = [f", {row['withheld']}" if row["withheld"] else ""]
        marks += [f", {MARKED}" if "computed_with_erased" in row else ""]
        said.append(f"{shown(row['table'])}, row {row['index']}{''.join(marks)}")
        if row["row"] is None:
            said.append(f"  not shown: {row['leaf'].hex()}")
            continue
        for key, value in row["row"].items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    item = ", ".join(f"{name} {plain(inner)}" for name, inner in item.items() if inner not in ("", []))
                said.append(f"  {shown(key)}: {shown(plain(item))}")
    return "\n".join(said)


def plain(value):
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def as_json(check):
    return {
        "verified": check.verified and check.verdict != NOT_COMPARED,
        "verdict": check.verdict,
        "compared": check.verified and check.compared,
        "steps": [{"step": step, "status": check.status[step], "remarks": check.remarks[step]} for step in STEPS],
        "faults": [{"step": step, "file": shown(file), "message": message} for step, file, message in check.faults],
        "proved": check.proved() if check.verified else [],
        "relied_on": check.relied() if check.verified else [],
        "not_proved": check.not_proved() if check.verified else [],
    }


def check_proof(proof, entry, policy, lines, openssl):
    """One entry and its proof: sentences of what was proved. Raises Fault."""
    index, path, data = read_proof(proof, "proof")
    note = Note(data, "proof")
    head = Head(note.text, "proof")
    root = root_by_path(leaf_of(entry), index, head.size, path)
    if root is None:
        raise Fault("proof", f"a path that could not be of entry {index} of {head.size}")
    if root != head.root:
        raise Fault("entry", f"is not entry {index} of the log: its path leads to another root")
    said = [
        "The entry is number {} of the {} of {}.".format(index, entries(head.size), shown(head.origin.decode("utf-8")))
    ]
    for line in lines:
        if (line.origin.encode("utf-8"), line.size, line.root) != (head.origin, head.size, head.root):
            raise Fault("the line that you gave", "is not the head of this proof")
        said.append(f"The head is the one published for {shown(line.label)}.")
    if policy is not None:
        by_log = [(key, raw) for key in policy.logs for raw, _ in note.by(key)]
        if len(by_log) != 1:
            raise Fault(
                "proof", "{} by a log key of the policy, wanted exactly 1".format(number(len(by_log), "signature"))
            )
        key, raw = by_log[0]
        if key.name != head.origin or not openssl.verifies(key.public, note.text, raw):
            raise Fault("proof", f"the signature by the log key {key} does not verify")
        said.append(f"The head is signed by {key}.")
        cosigned = set()
        for name, witness in policy.witnesses:
            for raw, _ in note.by(witness):
                at = int.from_bytes(raw[:8], "big")
                message = b"cosignature/v1\ntime %d\n" % at + note.text
                if len(raw) != 72 or raw[0] >> 7 or not openssl.verifies(witness.public, message, raw[8:]):
                    raise Fault("proof", f"the cosignature by the witness {witness} does not verify")
                cosigned.add(name)
                said.append(f"The witness {witness} cosigned it on {instant(at)}.")
        if not policy.is_met(cosigned):
            raise Fault("proof", "the policy that you gave asks for witnesses that have not cosigned this head")
    return said


def read_given(path, what):
    try:
        with open(path, "rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise Wrongly(f"{what} {shown(path)} cannot be read: {error.strerror}") from None


def is_within(path, folder):
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path.startswith(folder + os.sep)


def given_lines(texts):
    """Published heads as a person gives them, or a file with some: spaces around and between are no matter."""
    lines = []
    for text in texts:
        if os.path.isfile(text):  # a notice as it was printed has other lines too
            printed = read_given(text, "published").decode("utf-8", "replace").splitlines()
            heads = [one for one in printed if len(one.split()) == 4 and WEEK.fullmatch(one.split()[0])]
            if not heads:
                raise Wrongly(f"{text}: no line of it is a published head, like 2026-W47 ORIGIN 4711 ROOT")
            text = "\n".join(heads)
        for one in text.splitlines():
            if one.strip():
                lines.append(Line(" ".join(one.split()), "the line that you gave"))
    return lines


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Check a pack, or one proof, against a public log.")
    parser.add_argument("pack", nargs="?", help="the folder of the pack; by default the one this program lies in")
    parser.add_argument(
        "--published",
        action="append",
        default=[],
        metavar="LINE",
        help="a head from a weekly notice, LABEL ORIGIN SIZE ROOT, or a file with such lines; may be given again",
    )
    parser.add_argument("--policy", metavar="FILE", help="whose signatures count, got elsewhere than the pack")
    parser.add_argument(
        "--tagmanifest", metavar="HEX", help="the SHA-256 of tagmanifest-sha256.txt, from the covering letter"
    )
    parser.add_argument("--authority", metavar="FILE", help="certificates (PEM) by which time-stamps are judged")
    parser.add_argument("--proof", metavar="FILE", help="a .tlog-proof to check instead of a pack")
    parser.add_argument("--entry", metavar="FILE", help="the entry that --proof is for")
    parser.add_argument("--rows", action="store_true", help="print the rows of a pack that verifies as well")
    parser.add_argument("--json", action="store_true", help="answer as JSON")
    asked = parser.parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        try:
            lines = given_lines(asked.published)
            policy = Policy(read_given(asked.policy, "policy"), "policy") if asked.policy else None
        except Fault as fault:
            raise Wrongly(f"{fault.file}: {fault.message}") from None
        authority = read_given(asked.authority, "authority") if asked.authority else None
        letter = "".join((asked.tagmanifest or "").split()).lower()
        if asked.tagmanifest is not None and not HEX.fullmatch(letter):
            raise Wrongly(f"--tagmanifest: {len(letter)} characters, wanted 64 hexadecimal digits")
        openssl = OpenSSL()
        if asked.proof or asked.entry:
            return answer_proof(asked, policy, lines, openssl)
        folder = asked.pack or os.path.dirname(os.path.abspath(__file__))
        above = os.path.join(os.path.abspath(folder), os.pardir)
        if not os.path.exists(os.path.join(folder, "pack.json")) and os.path.exists(os.path.join(above, "bagit.txt")):
            folder = os.path.normpath(above)  # data/ was named, and the pack is what it lies in
        is_bag = os.path.exists(os.path.join(folder, "bagit.txt"))
        for given in [path for path in (asked.policy, asked.authority, *asked.published) if path]:
            if os.path.isfile(given) and is_within(given, folder):
                raise Wrongly(
                    f"{shown(given)} is a file of the pack itself, and a pack cannot vouch for itself: give one "
                    "that came another way"
                )
        if letter and not is_bag:
            raise Wrongly("--tagmanifest is for a disclosure pack, which has a bagit.txt")
        if not os.path.isdir(folder):
            raise Wrongly(f"folder {shown(folder)} is not there")
        if asked.pack is None and not is_bag and not os.path.exists(os.path.join(folder, "pack.json")):
            raise Wrongly("say which folder: python3 verify.py PACK")
        try:
            files, troubles = read_folder(folder, 4 if is_bag else 1)
        except Fault as fault:
            files, troubles = {}, [fault]
        except OSError as error:
            raise Wrongly(f"folder {shown(folder)} cannot be read: {error.strerror}") from None
        more = {"letter": letter} if is_bag else {}
        check = (Bag if is_bag else Check)(files, troubles, lines, policy, authority, openssl, **more)
    except Wrongly as wrong:
        print(f"verify.py: {wrong}", file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps((bag_as_json if is_bag else as_json)(check), ensure_ascii=False, indent=1))
    else:
        print((bag_report if is_bag else report)(check))
        if asked.rows and check.verified:
            for name, one in check.checks.items() if is_bag else [("", check)]:
                print("\nRows" + (f" of {shown(name)}" if name else "") + "\n\n" + rows_as_text(one))
    if not check.verified:
        return 4
    return 5 if check.verdict == NOT_COMPARED else 0


def answer_proof(asked, policy, lines, openssl):
    if not asked.proof or not asked.entry or not (policy or lines):
        raise Wrongly("a proof is checked with --proof, --entry, and --policy or --published or both")
    proof, entry = read_given(asked.proof, "proof"), read_given(asked.entry, "entry")
    try:
        said, fault = check_proof(proof, entry, policy, lines, openssl), None
    except Fault as found:
        said, fault = [], found
    if asked.json:
        faults = [] if fault is None else [{"file": shown(fault.file), "message": fault.message}]
        print(json.dumps({"verified": fault is None, "faults": faults, "proved": said}, ensure_ascii=False, indent=1))
    elif fault is None:
        print("VERIFIED\n" + "\n".join(wrapped(sentence, "  - ", "    ") for sentence in said))
    else:
        print("NOT VERIFIED\n" + wrapped(f"{fault.file}: {fault.message}", "  !  ", "     "))
    return 0 if fault is None else 4


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 4
    sys.exit(code)
