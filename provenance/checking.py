"""Checking a pack: what an answer rests on, from its own folder and whatever the reader brings to it.

     1  files      SHA256SUMS names every file and no other, and each digest is right
     2  head       the log signed the head once; which witnesses did, and whether they are enough
     3  published  a head that was published goes on into this one (only where the reader brings its line)
     4  entries    each log entry is where its proof says, and is what the pack says it is
     5  statement  the build's statement: logged, signed by the key of its time, about this build
     6  rows       each row, and each leaf that is not shown, is under the root of its table
     7  disposals  the certificates: logged, signed, and each hole and reduced row is one that they account for
     8  complete   every link of the nominal is in the pack, and every record behind one, shown or as a bare leaf
     9  time       what time-stamping authorities said of the head

Each step computes first and compares last. What is trusted comes from the reader: a policy, a published line, or both.
Without either the pack's own policy is all there is, and the check says so. Nothing in the pack is believed before it
is checked: it may come from anyone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from provenance import canonical, certificates, entries, merkle, notices, packs, stamps, statements, steps
from provenance.errors import Malformed, Missing, Tampered
from provenance.notes import Checkpoint, Note, Verifier, decode_base64
from provenance.policies import Opened, Policy
from provenance.proofs import AddCheckpoint, Proof
from provenance.records import THEMES
from provenance.steps import Step

_LARGEST = 2**30  # bytes of one file
_SUM = re.compile(r"([0-9a-f]{64})  ([\w.-]+(?:/[\w.-]+)*)", re.ASCII)


@dataclass
class Checked:
    """What the steps found, and what they rest on, in words that a reader is shown."""

    steps: list[Step]
    relied_on: list[str]
    proved: list[str]
    not_proved: list[str]
    said: Mapping[str, Any] = field(default_factory=dict)  # pack.json, {} when it cannot be read
    wanted: str = ""  # where the reader's line is newer than the pack, and nothing else vouches for it: what is needed


def check(folder: Path, *, policy: bytes | None = None, published: str | None = None) -> Checked:
    """Check a pack. `policy` and `published` (a line of a weekly notice) are what the reader got elsewhere.

    Every step is taken, whatever the earlier ones found. Raises Missing when the folder is no pack, Malformed when what
    the reader brought is not in form.
    """
    return _Check(folder, policy, published).run()


class _Check:
    def __init__(self, folder: Path, policy: bytes | None, published: str | None) -> None:
        if not (folder / "pack.json").is_file():
            raise Missing(f"folder {folder.name} is no pack: pack.json is not there")
        self.folder = folder
        self.brought = Policy.parse(policy) if policy is not None else None
        self.line = notices.Notice.parse(published) if published is not None else None
        self._pack: dict[str, Any] | None = None
        self.acts: dict[int, Any] = {}
        self.head: Checkpoint | None = None
        self.opened: Opened | None = None
        self.stamped: list[str] = []
        self.newer, self.carried = False, ()  # whether the reader's line is later than the head; lines in the pack
        self.rows: list[dict[str, Any]] = []
        self.shown: dict[str, dict[str, Any]] = {}  # by leaf, hex: the content of rows that are shown as they were
        self.certified: dict[str, certificates.Certificate] = {}

    def run(self) -> Checked:
        steps = [
            self._step(1, "files", self._files),
            self._step(2, "head", self._signed),
            self._step(3, "published head", self._published),
            self._step(4, "log entries", self._entries),
            self._step(5, "build statement", self._statement),
            self._step(6, "rows", self._rows),
            self._step(7, "disposals", self._disposals),
            self._step(8, "completeness", self._complete),
            self._step(9, "time", self._time),
        ]
        return Checked(
            steps, list(self._relied_on()), list(self._proved(steps)), list(self._not_proved()), self._pack or {},
            self._wanted(),
        )  # fmt: skip

    def _wanted(self) -> str:
        """What would let the pack be compared, where the reader has only a later line."""
        if not (self.newer and self.line and self.head and self._pack) or self.brought:
            return ""
        since = max(self._pack["entries"]["built"], self._pack["entries"]["published"]) + 1
        known = [line.label for line in self.carried if line.size >= since]
        return (
            f"your line is of {self.line.size:,} entries, and this pack was made when the log had {self.head.size:,}. "
            f"Wanted a line of {since:,} to {self.head.size:,} entries"
            + (f", such as that of the notice for {known[-1]}" if known else "")
            + "; or a policy file; or the same pack made anew, after your notice"
        )

    def _step(self, number: int, name: str, look: Callable[[], Iterable[str]]) -> Step:
        return steps.take(number, name, lambda: _in_form(look))

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            if path.is_symlink() or not path.is_file():
                raise Missing(f"file {name} is not there")
            if path.stat().st_size > _LARGEST:
                raise Malformed(f"file {name} has {path.stat().st_size} bytes, wanted at most {_LARGEST}")
            return path.read_bytes()
        except OSError as error:
            raise Missing(f"file {name} cannot be read") from error

    def _files(self) -> Iterator[str]:
        lines = self._text("SHA256SUMS").split("\n")
        wanted: dict[str, str] = {}
        for line in lines[:-1]:
            match = _SUM.fullmatch(line)
            if not match or match[2] in wanted:
                yield "SHA256SUMS has a line in another form than `DIGEST  NAME`, or a name twice"
            elif not packs.KNOWN.fullmatch(match[2]):
                yield f"SHA256SUMS names {match[2]}, which no pack has"
            else:
                wanted[match[2]] = match[1]
        if lines[-1] or list(wanted) != sorted(wanted):
            yield "SHA256SUMS is not in the order of names, each line ended"
        every = (path for path in self.folder.rglob("*") if path.is_symlink() or not path.is_dir())
        there = {path.relative_to(self.folder).as_posix() for path in every}
        for name in sorted(there - {"SHA256SUMS"} - wanted.keys()):
            yield f"file {ascii(name)[1:-1]} is in the pack and SHA256SUMS does not name it"
        for name, digest in wanted.items():
            found = hashlib.sha256(self._read(name)).hexdigest() if name in there else "no such file"
            yield "" if found == digest else f"file {name} has SHA-256 {found}, wanted {digest}"
        stamped = {name[7:-4] for name in there if name.startswith("stamps/")}
        for name in sorted(stamped):
            for kind in ("tsr", "pem"):
                yield "" if f"stamps/{name}.{kind}" in there else f"file stamps/{name}.{kind} is not there"
        said = canonical.loads(self._read("pack.json"))
        packs.Said.model_validate(said)
        self._pack = said
        yield ""

    @property
    def said(self) -> dict[str, Any]:
        """pack.json. Raises Tampered where step 1 could not read it."""
        if self._pack is None:
            raise Tampered("not done: pack.json cannot be read, see step 1")
        return self._pack

    def _text(self, name: str) -> str:
        try:
            return self._read(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(f"file {name} is not UTF-8 at byte {error.start}") from error

    def _signed(self) -> Iterator[str]:
        note = self._read("checkpoint")
        self.head = Checkpoint.parse(Note.parse(note).text)
        policy = self.brought or Policy.parse(self._read("policy"))
        if {key.public for key in policy.logs} & {key.public for key in policy.witnesses}:
            yield "a key of the log is a witness in the policy: nobody vouches for himself"
        self.opened = policy.open(note)
        enough = self.opened.quorum_met or not self.brought  # the pack's own policy is only reported on
        yield "" if enough else "the head lacks the quorum of witnesses that your policy asks for"
        if self.head.origin != self.said["archive"]:
            yield f"the head is of log {self.head.origin}, and pack.json speaks of {self.said['archive']}"
        bare = Note.parse(self._read("head"))
        signed = [line for line in Note.parse(note).signatures if line.by(self.opened.log)]
        yield (
            ""
            if (bare.text, list(bare.signatures)) == (self.head.text, signed)
            else ("file head is not the checkpoint with the log's signature alone")
        )

    def _published(self) -> Iterator[str]:
        """The reader's line; and that the lines and ways in the pack itself are in order, whatever they are worth."""
        head, data = self._known_head(), self._read("heads.txt") if (self.folder / "heads.txt").exists() else b""
        lines = notices.parse_series(data)
        if b"".join(f"{line}\n".encode() for line in lines) != data:
            yield "heads.txt is not lines as they are published, each with its end"
        for line in lines:
            yield self._continues(line, head)
        self.carried = lines
        ways = {path.name for path in (self.folder / "heads").glob("*")}
        for name in sorted(ways - {f"{line.size}.add-checkpoint" for line in [*lines, *filter(None, [self.line])]}):
            yield f"heads/{ascii(name)[1:-1]} starts from no head that heads.txt has"
        if self.line is None:
            return
        built, live = self.said["entries"]["built"], self.said["entries"]["published"]
        if self.line.origin == head.origin and self.line.size > head.size:
            self.newer = True  # nothing is wrong with a pack for what came after it
            return
        if not self.brought and max(built, live) >= self.line.size:
            what = "the build" if built >= self.line.size else "what made the build live"
            yield (
                f"the published head has {self.line.size} entries, and {what} was logged after them: "
                "wanted a line published since, or a policy that you trust"
            )
        elif self.line.label == self.said["build"] and built >= self.line.size:
            yield f"the published head of build {self.line.label} is older than the build of that name in this pack"
        else:
            yield self._continues(self.line, head)

    def _continues(self, line: notices.Notice, head: Checkpoint) -> str:
        """That the log of a published head goes on into the pack's; "" or a sentence."""
        if line.origin != head.origin:
            return f"the published head is of log {line.origin}, and the pack's of {head.origin}"
        if line.size > head.size:
            return f"the published head has {line.size} entries and this pack's only {head.size}"
        if line.size == head.size and line.root != head.root:
            return f"the published head of {line.size} entries has another root than the pack's"
        name = f"heads/{line.size}.add-checkpoint"
        if line.size < head.size or (self.folder / name).exists():
            body = AddCheckpoint.parse(self._read(name))
            if body.old != line.size or body.head != head:
                return f"{name} is not from that head to the pack's"
            body.check(line.root)
        return ""

    def _known_head(self) -> Checkpoint:
        if self.head is None:
            raise Tampered("the head cannot be read: see step 2")
        return self.head

    def _act(self, index: int, kind: Any) -> Any:
        """The entry at `index`, once it is proved and is of that kind."""
        act = self.acts.get(index)
        if not isinstance(act, kind):
            wanted = " or ".join(each.__name__ for each in get_args(kind) or [kind])
            raise Tampered(f"log entry {index} is not proved to be a {wanted} entry")
        return act

    def _entries(self) -> Iterator[str]:
        head, named = self._known_head(), self.said["entries"]
        ended = [named["ended"]] if named["ended"] >= 0 else []
        published = [named["published"]] if named["published"] >= 0 else []
        wanted = sorted({*named["keys"], named["built"], *published, *ended, *named["certified"]})
        there = {path.name for path in (self.folder / "log").glob("*")}
        for name in sorted(there - {f"{index}.{kind}" for index in wanted for kind in ("entry", "tlog-proof")}):
            yield f"log/{ascii(name)[1:-1]} is in the pack and pack.json does not name it"
        for index in wanted:
            proof = Proof.parse(self._read(f"log/{index}.tlog-proof"))
            entry = self._read(f"log/{index}.entry")
            if proof.index != index or proof.checkpoint != self._read("checkpoint"):
                yield f"log/{index}.tlog-proof is of another entry, or under another head"
                continue
            proof.check_under(entry, head)
            self.acts[index] = entries.from_bytes(entry)
            yield ""
        yield from self._as_said(named)

    def _as_said(self, named: Mapping[str, Any]) -> Iterator[str]:
        """That the entries are what pack.json says they are."""
        founded = self._act(0, entries.Founded)
        if founded.archive != self.said["archive"] or named["keys"] != sorted({0, *named["keys"]}):
            yield "pack.json names another archive than the log's first entry, or its keys out of order"
        before = Verifier.parse(founded.vkey)
        for index in named["keys"][1:]:
            act = self._act(index, entries.Rekeyed)
            statements.check_endorsement(act, before)
            yield "" if act.place == index else f"log entry {index} says that it is entry {act.place}"
            before = Verifier.parse(act.vkey)
        if named["certified"] != sorted(set(named["certified"])):
            yield "pack.json has certified entries out of order, or one twice"
        numbers = [self._act(index, entries.Certified).number for index in named["certified"]]
        if numbers != sorted(set(numbers)):
            yield "the certified entries number their disposals out of order, or one twice"
        head = self._known_head()
        turns = {str(self._key_at(size)) for size in (head.size, head.size - 1)}  # in the moment of a change, both
        if self.opened and str(self.opened.log) not in turns:
            yield "the head is signed by a key of the log that was no longer in force"
        built = self._act(named["built"], entries.Built)
        if (built.label, built.number, built.cut_off) != tuple(self.said[k] for k in ("build", "number", "cut_off")):
            yield "pack.json says another build, number or cut-off than the log entry of the build"
        leaves = (merkle.leaf_hash(canonical.dumps(entries.as_json(table))) for table in built.tables)
        if merkle.root(b"".join(leaves)).hex() != self.said["root"]:
            yield "pack.json says another root than the build's tables make"
        start, end = self.said["published_from"], self.said["published_to"]
        if named["published"] >= 0:
            act = self._act(named["published"], entries.Published | entries.Withdrawn)
            again = isinstance(act, entries.Withdrawn) and act.label != built.label  # live again when that one ended
            if act.at != start or (act.label != built.label and not again) or named["published"] < named["built"]:
                yield "pack.json says another publication than the log entry of it"
        elif start:
            yield "pack.json says when the build was published, and no entry proves it"
        if named["ended"] >= 0:
            act = self.acts.get(named["ended"])
            after = named["ended"] > named["published"] >= 0 and end >= start
            ends = isinstance(act, entries.Published) or (
                isinstance(act, entries.Withdrawn) and act.label == built.label
            )
            if not ends or act.at != end or not after:
                yield "pack.json says another end of the publication than the log entry of it"
        elif end:
            yield "pack.json says when the build ceased to be live, and no entry proves it"
        moment = self.said["as_of"]
        if moment and (not start or moment < start or (end and moment >= end)):
            yield f"the moment asked about, {moment}, is not within the time in which the build was live"
        yield ""

    def _key_at(self, index: int) -> Verifier:
        """The log's key in force where entry `index` was logged: a new key signs what comes after its own entry."""
        last = max((i for i in self.said["entries"]["keys"] if i < index), default=0)
        return Verifier.parse(self._act(last, entries.Rekeyed if last else entries.Founded).vkey)

    def _statement(self) -> Iterator[str]:
        index = self.said["entries"]["built"]
        built, data = self._act(index, entries.Built), self._read("statement.json")
        digest = hashlib.sha256(data).hexdigest()
        yield "" if digest == built.statement else f"statement.json has SHA-256 {digest}, logged as {built.statement}"
        stated = statements.open_envelope(data, self._key_at(index))
        said = (stated.label, stated.number, stated.cut_off, stated.tables)
        agrees = said == (built.label, built.number, built.cut_off, built.tables)
        yield "" if agrees else "statement.json says another label, number, cut-off or root than the log entry"
        page = canonical.loads(stated.params)["landing_page"]
        agrees = (page["text"], page["version"]) == (self.said["caveat"], self.said["caveat_version"])
        yield "" if agrees else "pack.json has another advisory text than the build's params"

    def _rows(self) -> Iterator[str]:
        tables = {t.name: t for t in self._act(self.said["entries"]["built"], entries.Built).tables}
        data, before = self._read("rows.jsonl"), ("", -1, b"")
        if data and not data.endswith(b"\n"):
            yield "rows.jsonl does not end with the end of a line"
        for number, text in enumerate(data.split(b"\n")[:-1], start=1):
            row = canonical.loads(text)
            packs.ROW.validate_python(row)
            table, index = tables[row["table"]], row["index"]
            entry = decode_base64("entry", row["entry"]) if "entry" in row else None
            if "withheld" in row:
                leaf = _digest(row["leaf"])
            else:
                leaf = merkle.leaf_hash(entry)
                self.shown[leaf.hex()] = {"table": row["table"], "row": canonical.loads(entry[merkle.DIGEST :])}
            if (row["table"], index) <= before[:2]:
                yield f"rows.jsonl line {number} is out of order, or there twice"
            elif row["table"] == before[0] and leaf <= before[2]:
                yield f"rows.jsonl line {number}: the leaves of a table ascend with their places, and this does not"
            before = row["table"], index, leaf
            root = merkle.root_from_path(leaf, index, table.size, _path(row["path"]))
            self.rows.append({**row, "leaf": leaf.hex(), "bytes": entry})
            same = root.hex() == table.root
            yield (
                ""
                if same
                else f"rows.jsonl line {number}: {self._told(row['table'], entry)} in this pack is not what the force "
                f"signed: its table has root {root.hex()}, logged as {table.root}"
            )

    def _told(self, table: str, entry: bytes | None) -> str:
        """What a row says that it is; of what is not shown, and of another form, only that it is a row."""
        said = canonical.loads(entry[merkle.DIGEST :]) if entry else {}
        names = {
            "link": "the link of {a} and {b} in theme {theme}", "nominal": "the figures of {nominal} in theme {theme}",
            "record": "record {system} {record_id}",
        }  # fmt: skip
        return names.get(table, "a row").format(**said) if said else "a digest"

    def _disposals(self) -> Iterator[str]:
        numbers = {}
        for index in self.said["entries"]["certified"]:
            act = self._act(index, entries.Certified)
            numbers[act.certificate] = index
        for path in sorted((self.folder / "certificates").glob("*.json")):
            data = self._read(f"certificates/{path.name}")
            digest = hashlib.sha256(data).hexdigest()
            if digest not in numbers:
                yield f"certificates/{path.name} has a digest that no entry of the pack logged"
                continue
            certificate = certificates.opened(data, self._key_at(numbers[digest]))
            said = (path.stem, self.said["archive"], self.acts[numbers[digest]].number)
            if (certificate.disposal, certificate.archive, certificate.number) != said:
                yield f"certificates/{path.name} is of another disposal, or of another archive"
            self.certified[certificate.disposal] = certificate
            yield ""
        for row in self.rows:
            if row.get("withheld") == "disposed":
                yield self._hole(row)
            elif row.get("withheld") == "reduced":
                yield self._heirs(row)

    def _certificate(self, disposal: str) -> certificates.Certificate:
        """One that was checked, and that took links from this build."""
        if disposal not in self.certified:
            raise Tampered("a leaf is said to be disposed of without a certificate that was checked")
        found = self.certified[disposal]
        if self.said["build"] not in {build.label for build in found.builds}:
            raise Tampered(f"disposal {disposal} did not reach build {self.said['build']}, by its certificate")
        if "link" not in {count.table for count in found.died if count.rows}:
            raise Tampered(f"disposal {disposal} took no links, by its certificate")
        return found

    def _hole(self, row: Mapping[str, Any]) -> str:
        certificate = self._certificate(row["disposal"])
        size = sum(count.rows for count in certificate.died)
        root = merkle.root_from_path(_digest(row["leaf"]), row["hole"]["index"], size, _path(row["hole"]["path"]))
        same = root.hex() == certificate.holes
        return "" if same else f"leaf {row['leaf']} is not among those that disposal {row['disposal']} accounts for"

    def _heirs(self, row: Mapping[str, Any]) -> str:
        old = _digest(row["leaf"])
        for step in row["heirs"]:
            certificate, new = self._certificate(step["disposal"]), _digest(step["leaf"])
            pair = merkle.leaf_hash(old + new)
            root = merkle.root_from_path(pair, step["index"], certificate.reduced, _path(step["path"]))
            if root.hex() != certificate.heirs:
                return f"leaf {row['leaf']} is reduced in a way that disposal {step['disposal']} does not account for"
            old = new
        if row["heirs"] and merkle.leaf_hash(row["bytes"]) != old:
            return f"what is left of leaf {row['leaf']} is another row than the one certified"
        return ""

    def _complete(self) -> Iterator[str]:
        yield from self._records()
        links = {row["leaf"]: row for row in self.rows if row["table"] == "link"}
        claimed = [item["theme"] for item in self.said["complete"]]
        spoken = sorted(claimed + [item["theme"] for item in self.said["incomplete"]])
        question = self.said["question"]
        if (question["person"] == "") != (question["nominal"] == ""):
            yield "pack.json names who was asked about without the one whose row it is, or the other way round"
        wanted = [theme for theme in THEMES if question["theme"] in ("", theme)] if question["nominal"] else []
        if spoken != sorted(wanted):
            yield "pack.json does not say once of each theme asked about whether its links are complete"
        for item in self.said["complete"]:
            theme, shown = item["theme"], self.shown.get(item["nominal"], {})
            person = shown.get("row", {})
            if shown.get("table") != "nominal" or person["theme"] != theme:
                yield f"theme {theme}: the row of the nominal is not in the pack"
                continue
            listed = [_digest(leaf) for leaf in item["links"]]
            if listed != sorted(set(listed)):
                yield f"theme {theme}: the list of links is out of order, or has one twice"
            if person["nominal"] != self.said["question"]["person"]:
                yield f"theme {theme}: the row is of another nominal than pack.json says the answer is about"
            root = merkle.root(b"".join(listed)).hex()
            if root != person["links_root"]:
                yield f"theme {theme}: the links listed have root {root}, the nominal's row says {person['links_root']}"
            said = {leaf: self._content(row) for leaf, row in links.items() if row["bytes"]}
            theirs = {
                leaf
                for leaf, row in said.items()
                if row["theme"] == theme and person["nominal"] in (row["a"], row["b"])
            }
            for leaf in item["links"]:
                if leaf in said and leaf not in theirs:
                    yield f"theme {theme}: link {leaf} is listed and is not one of this nominal"
                there = leaf in links
                yield (
                    ""
                    if there
                    else (
                        f"theme {theme}: one of the {len(listed):,} links of the nominal is missing: link {leaf} is "
                        "listed and not in the pack"
                    )
                )
            for leaf in sorted(theirs - set(item["links"])):
                yield f"theme {theme}: link {leaf} is shown and not in the nominal's list"

    def _records(self) -> Iterator[str]:
        """That the pack has every record which a link shown names: shown, or as a bare leaf."""
        held = [row for row in self.rows if row["table"] == "record"]
        there = {
            (said["system"], said["record_id"]) for row in held if row["bytes"] for said in [self._content(row)]
        }  # fmt: skip
        links = [self._content(row) for row in self.rows if row["table"] == "link" and row["bytes"]]
        behind = [set(zip(*(link["supports"][c] for c in ("system", "record_id")), strict=True)) for link in links]
        absent = set().union(*behind) - there
        if len(absent) <= sum(row["bytes"] is None for row in held):
            return
        for link, records in zip(links, behind, strict=True):
            if lacking := sorted(records & absent):
                names = ", ".join(" ".join(record) for record in lacking[:3]) + (
                    " and more" if len(lacking) > 3 else ""
                )
                yield (
                    f"{len(lacking)} of the {len(records)} records behind the link of {link['a']} and {link['b']} in "
                    f"theme {link['theme']} are not in the pack: {names}"
                )

    def _content(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What a row says: as it was, or what is left of it."""
        return canonical.loads(row["bytes"][merkle.DIGEST :])

    def _time(self) -> Iterator[str]:
        for path in sorted((self.folder / "stamps").glob("*.tsr")):
            stamp = stamps.Stamp.parse(self._read(f"stamps/{path.name}"))
            at = stamp.check(self._read("head"), self._read(f"stamps/{path.stem}.pem"))
            self.stamped.append(f"{path.stem} at {at}")
            yield ""

    def _relied_on(self) -> Iterator[str]:
        head = self.head
        line = None if self.newer else self.line
        if line:
            yield f"the published head that you gave, of {line.size:,} entries (notice for {line.label})"
        if self.brought:
            yield "the policy that you gave: it names the log's key and the witnesses"
            path = self.folder / "policy"
            if path.is_file() and path.read_bytes() == bytes(self.brought):
                yield (
                    "that you did not take that policy from a pack: this one has the same, which proves nothing then, "
                    "and is as it should be if you got yours elsewhere"
                )
            logs = [log for log in self.brought.logs if head and log.name == head.origin]
            if self.opened and self.opened.log != logs[-1]:
                yield (
                    "an earlier key of the log, which your policy still names: if it was stolen, its line must go, "
                    "and only a witness or a published head vouches for this pack"
                )
        elif line:
            if any(index >= line.size for index in self.acts):
                yield "the policy inside the pack, for what was logged after that head"
        else:
            yield (
                "the policy inside the pack, which came with it: compare its keys with those that you have from "
                "elsewhere, or give a head from a published notice"
            )
        if self.opened and self.opened.cosigned:
            names = ", ".join(dict.fromkeys(line.name for line in self.opened.cosigned))
            met = self.opened.quorum_met
            if self.brought:
                yield f"witnesses who signed the head: {names}; " + (
                    "they are enough" if met else "by the policy they are NOT enough"
                )
            else:  # whoever made the pack may have made these keys too, under any names
                yield (
                    f"witnesses only by the policy inside the pack, which came with it: {names} signed the head; by "
                    f"that policy they are {'enough' if met else 'NOT enough'}. Compare their keys with those that you "
                    "have from elsewhere"
                )
        elif head:
            yield "no witness outside the force signed the head"
        for stamp in self.stamped:
            yield f"time stamp of {stamp}, judged by the certificates inside the pack"
        yield "SHA-256 and Ed25519"

    def _proved(self, steps: list[Step]) -> Iterator[str]:
        if any(step.faults for step in steps):
            return
        build, shown = self.said["build"], sum("withheld" not in row for row in self.rows)
        yield f"the {shown:,} rows shown are rows of build {build}, byte for byte as they were when it was logged"
        if self.said["published_from"]:
            yield f"the log says that build {build} went live at {self.said['published_from']}"
        if self.said["published_to"]:
            yield f"the log says that something else was live from {self.said['published_to']} on"
        for item in self.said["complete"]:
            bare = sum(leaf not in self.shown for leaf in item["links"])
            yield (
                f"theme {item['theme']}: all {len(item['links']):,} links of the nominal are in the pack"
                + (f", {bare:,} of them as bare leaves or with less" if bare else "")
            )
        if self.certified:
            yield f"{len(self.certified):,} signed certificates account for what was disposed of since"

    def _moment(self) -> str:
        moment = self._pack["as_of"] if self._pack else ""
        return f" at {moment}, the moment asked about" if moment else " in between"

    def _not_proved(self) -> Iterator[str]:
        if self.newer and self.line:
            yield (
                f"anything about what the log came to by the notice for {self.line.label}, of {self.line.size:,} "
                "entries: this pack is from before it"
            )
        said = self._pack or {"question": {}, "complete": [], "incomplete": []}
        question = said["question"]
        if question.get("person") != question.get("nominal"):
            yield "that the id asked about was judged to be the person whose row and links are shown"
        for item in said["incomplete"]:
            yield incomplete(item)
        if not said["complete"]:
            yield NOTHING_COMPLETE
        hidden = sum(
            row.get("withheld") in ("restricted", "figures") or row.get("heirs") == []  # reduced, by no certificate
            for row in self.rows
        )
        if hidden:
            yield (
                f"why {hidden:,} rows are withheld: that they are restricted, or reduced by a restriction, or that "
                "figures would tell, is only said"
            )
        sensitive = sum(row.get("withheld") == "sensitive" for row in self.rows)
        if sensitive:
            yield (
                f"what {sensitive:,} rows say that are withheld as sensitive: each keeps its place in the build, and "
                "whether it has to be withheld is for the prosecutor and the court"
            )
        yield "that what the source systems recorded is true, or was graded rightly"
        yield f"that no other build was live{self._moment()}: for that the whole log is needed"
        yield (
            "what only pack.json says: when the pack was made, its handling code and conditions, the case, the network "
            "asked about, and the counts of what has gone from the whole build"
        )
        yield "that what was disposed of is gone from every copy: that is the force's word, under its signature"


NOTHING_COMPLETE = "that nothing was left out: the answer is not about one nominal, or the themes above say why not"


def incomplete(item: Mapping[str, str]) -> str:
    """Why it is not proved of a theme that its links are all there, in words."""
    return f"theme {item['theme']}: {item['why']}"


def _in_form(look: Callable[[], Iterable[str]]) -> Iterator[str]:
    """What `look` yields; what it stumbles over in a pack of another form is said in our words, and nothing of it."""
    try:
        yield from look()
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False)[0]["loc"])) or "the whole"
        raise Malformed(f"field {ascii(place)[1:-1]} is not in the form of a pack") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError):
        raise Malformed("a field is missing, or of another kind than the pack's form has") from None


def _path(digests: Any) -> list[bytes]:
    return [decode_base64("path", digest) for digest in digests]


def _digest(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII):
        raise Malformed("a leaf is not 64 lowercase hexadecimal digits")
    return bytes.fromhex(text)
