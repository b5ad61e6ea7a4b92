"""A real pack, spoilt in each way that its files allow, is refused at the step that says so; by `verify.py` as well.

Whoever spoils a pack makes its checksums again, so step 1 alone would find nothing. `spoilt.py` has the same for packs
whose maker also holds the keys.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import packs
import pytest
import spoilt
from click.testing import CliRunner
from force import Force, record
from packs import VARIANTS

from provenance import canonical, certificates, checking, expunging, heads, notices, proving, verify
from provenance.asof import Snapshot
from provenance.cli import main
from provenance.errors import Malformed, Missing
from provenance.keys import SigningKey
from provenance.notes import cosign, cosigner

WEEK = [f"2026-01-{day}T23:59:59Z" for day in (11, 18)]
LATER = "2026-02-02T10:00:00Z"
ASKED = "2026-01-12T10:00:00Z"
VERIFY = Path(checking.__file__).parent / "standalone" / "verify.py"


@pytest.fixture(scope="module", autouse=True)
def _no_power_cut() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


class Told:
    """An archive with two builds and two disposals, a witness, published heads; and the pack about ANN."""

    def __init__(self, folder: Path) -> None:
        self.force = Force(folder)
        archive = self.force.archive
        self.witness = SigningKey.create(folder / "witness.pem", name="ethics.example/witness")
        policy = f"log {archive.vkey}\nwitness ethics {cosigner(self.witness.verifier)}\nquorum ethics\n"
        (self.force.root / "log" / "policy").write_text(policy)
        first = [
            record("R-1", "ANN", "BOB", "CAT"), record("R-2", "ANN", "BOB"), record("R-3", "ANN", "DAN"),
            record("R-4", "ANN", "EVE", themes="SOC;CL"),
        ]  # fmt: skip
        self.force.receive(*first, cut_off=WEEK[0])
        self.early = self.head("2025-W52")
        self.force.build(WEEK[0])
        self.line = self.publish("2026-W02")
        self.force.receive(*first, record("R-5", "ANN", "FAY"), cut_off=WEEK[1])
        self.force.build(WEEK[1])
        self.other = folder / "other"
        self.prove(self.other, "2026-01-19T10:00:00Z")  # before anything is gone
        self.force.dispose("DAN", on=LATER)
        self.force.dispose("CONNECT R-2", on=LATER)
        self.cosign()
        self.pack = folder / "pack"
        self.prove(self.pack, ASKED)
        self.policy = policy.encode()

    def prove(self, folder: Path, moment: str) -> None:
        proving.prove(self.force.as_of(moment), folder, as_of=moment, on=LATER, nominal="ANN")

    def head(self, label: str) -> str:
        log = self.force.archive.log
        return str(notices.Notice(label, self.force.archive.name, log.size, log.root))

    def publish(self, label: str) -> str:
        path = self.force.root / "audit_reports" / "heads.txt"
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as series:
            series.write(self.head(label) + "\n")
        heads.Heads(self.force.root / "log" / "heads").keep(
            self.force.archive.log.checkpoint, [self.force.archive.vkey]
        )
        return self.head(label)

    def cosign(self) -> None:
        note = self.force.archive.log.checkpoint
        self.keep(note + str(cosign(note, self.witness, 1_770_000_000)).encode())

    def keep(self, note: bytes) -> None:
        heads.Heads(self.force.root / "log" / "heads").keep(note, [self.force.archive.vkey])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(tmp_path_factory.mktemp("told"))


def faults(checked: checking.Checked) -> dict[int, tuple[str, ...]]:
    return {step.number: step.faults for step in checked.steps if step.faults}


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(VERIFY), str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_pack_as_it_was_made_verifies_with_every_anchor(told):
    for anchor in (
        {},
        {"policy": told.policy},
        {"published": told.line},
        {"policy": told.policy, "published": told.line},
    ):
        checked = checking.check(told.pack, **anchor)
        assert faults(checked) == {}
        assert checked.proved
        inside = [said for said in checked.relied_on if said.startswith("the policy inside the pack")]
        assert bool(inside) == ("policy" not in anchor)  # with a line alone, for what was logged after it
        said = "\n".join(checked.relied_on)
        assert ("witnesses who signed the head: ethics; they are enough" in said) == ("policy" in anchor)
        own = "witnesses only by the policy inside the pack, which came with it: ethics signed the head; by that policy"
        assert (own in said) == ("policy" not in anchor)


def test_the_stand_alone_program_agrees(told, tmp_path):
    (tmp_path / "policy").write_bytes(told.policy)
    for anchor in ([], ["--policy", str(tmp_path / "policy")], ["--published", told.line]):
        done = alone(told.pack, *anchor)
        assert done.returncode == 0, done.stdout + done.stderr
    inside = subprocess.run([sys.executable, "verify.py"], cwd=told.pack, capture_output=True, check=False, timeout=60)
    assert inside.returncode == 0


def test_who_stole_a_key_that_was_replaced_cannot_forge_under_the_policy_of_today(told, tmp_path):
    from provenance import rekeying
    from provenance.archive import Archive

    for name in ("force", "thief"):
        shutil.copytree(told.force.root, tmp_path / name / "force")
        shutil.copytree(told.force.keys, tmp_path / name / "force.keys")
    ours = Archive(tmp_path / "force" / "force", tmp_path / "force" / "force.keys")
    said = {"on": LATER, "by": "tests", "under": "a story"}
    rekeying.rotate(ours, **said, reason="feared-stolen")
    policy = (ours.root / "log" / "policy").read_bytes()
    assert policy.count(b"log ") == 1
    assert b"witness ethics" in policy
    assert verify.verify(ours)[1].faults == verify.verify(ours)[10].faults == ()
    proving.prove(Snapshot(ours, ours.history.builds[0], None), tmp_path / "ours", as_of="", on=LATER, nominal="ANN")
    assert faults(checking.check(tmp_path / "ours", policy=policy.replace(b"quorum ethics", b"quorum none"))) == {}
    ours.close()
    thief = Archive(tmp_path / "thief" / "force", tmp_path / "thief" / "force.keys")
    (thief.root / "log" / "policy").write_text(f"log {thief.vkey}\nquorum none\n")
    proving.prove(Snapshot(thief, thief.history.builds[0], None), tmp_path / "theirs", as_of="", on=LATER)
    forged = checking.check(tmp_path / "theirs", policy=policy.replace(b"quorum ethics", b"quorum none"))
    assert 2 in faults(forged)
    thief.close()


# ---- spoilt ---------------------------------------------------------------------------------------------------------


class Spoilt:
    """A copy of the pack to be spoilt; `seal` makes the checksums right again."""

    def __init__(self, folder: Path, other: Path) -> None:
        self.folder, self.other = folder, other

    def edit(self, name: str, change: Callable[[Any], Any]) -> None:
        """A JSON file, by its value."""
        path = self.folder / name
        path.write_bytes(canonical.dumps(change(json.loads(path.read_bytes()))))

    def lines(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]] | None]) -> None:
        path = self.folder / "rows.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        changed = change(lines)
        kept = lines if changed is None else changed
        path.write_bytes(b"".join(canonical.dumps(line) + b"\n" for line in kept))

    def said(self, **values: Any) -> None:
        self.edit("pack.json", lambda said: said | values)

    def bytes(self, name: str, change: Callable[[bytes], bytes]) -> None:
        (self.folder / name).write_bytes(change((self.folder / name).read_bytes()))

    def take(self, name: str) -> None:
        """That file of another pack."""
        shutil.copy(self.other / name, self.folder / name)

    def seal(self) -> None:
        files = sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file())
        sums = [
            f"{hashlib.sha256((self.folder / n).read_bytes()).hexdigest()}  {n}\n" for n in files if n != "SHA256SUMS"
        ]
        (self.folder / "SHA256SUMS").write_text("".join(sums))


def first(lines: list[dict[str, Any]], table: str, withheld: str = "") -> dict[str, Any]:
    return next(line for line in lines if line["table"] == table and line.get("withheld", "") == withheld)


def content(line: dict[str, Any]) -> dict[str, Any]:
    return json.loads(base64.b64decode(line["entry"])[32:])


def rewritten(line: dict[str, Any], **cells: Any) -> None:
    made = base64.b64decode(line["entry"])
    line["entry"] = base64.b64encode(made[:32] + canonical.dumps(json.loads(made[32:]) | cells)).decode()


def flipped(text: str) -> str:
    """Base64 with one bit of what it holds flipped."""
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(bytes(data)).decode()


def _strength(p: Spoilt) -> None:
    p.lines(lambda lines: rewritten(first(lines, "link"), strength=1))


def _withheld_as(state: str) -> Callable[[Spoilt], None]:
    def spoil(p: Spoilt) -> None:
        def change(lines: list[dict[str, Any]]) -> None:
            line, gone = first(lines, "link"), first(lines, "link", "disposed")
            line["leaf"] = hashlib.sha256(b"\0" + base64.b64decode(line.pop("entry"))).hexdigest()
            line["withheld"] = state
            if state == "disposed":
                line.update(disposal=gone["disposal"], hole=gone["hole"])

        p.lines(change)

    return spoil


def _left_out(p: Spoilt) -> None:
    """A link is taken out of the rows and out of the list."""
    gone = []

    def change(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        line = first(lines, "link")
        gone.append(hashlib.sha256(b"\0" + base64.b64decode(line["entry"])).hexdigest())
        return [other for other in lines if other is not line]

    p.lines(change)
    p.edit("pack.json", lambda said: said | {
        "complete": [item | {"links": [x for x in item["links"] if x not in gone]} for item in said["complete"]]
    })  # fmt: skip


def _reduced_further(p: Spoilt) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        rewritten(first(lines, "link", "reduced"), strength=1)

    p.lines(change)


def _heir_of_another(p: Spoilt) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        line, other = first(lines, "link", "reduced"), first(lines, "link")
        leaf = hashlib.sha256(b"\0" + base64.b64decode(other["entry"])).hexdigest()
        line["entry"] = other["entry"]
        line["heirs"][-1]["leaf"] = leaf

    p.lines(change)


def _hole_elsewhere(p: Spoilt) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        line, other = first(lines, "link", "disposed"), first(lines, "link", "reduced")
        line["disposal"] = other["heirs"][0]["disposal"]

    p.lines(change)


def _proof_of_another(p: Spoilt) -> None:
    p.edit("pack.json", lambda said: said | {"entries": said["entries"] | {"built": said["entries"]["published"]}})


def _foreign_head(p: Spoilt) -> None:
    key = SigningKey.create(p.folder.parent / f"{p.folder.name}.pem", name="force")
    from provenance.notes import Checkpoint, Note

    text = Note.parse((p.folder / "checkpoint").read_bytes()).text
    Checkpoint.parse(text)
    for name in ("checkpoint", "head"):
        p.bytes(name, lambda _: bytes(Note.signed(text, key)))


def _older_head(p: Spoilt) -> None:
    for name in ("checkpoint", "head"):
        p.take(name)


# what is spoilt: how, and the steps that may refuse it (the first one must)
SPOILT: dict[str, tuple[Callable[[Spoilt], None], tuple[int, ...]]] = {
    "a row is changed": (_strength, (6, 8)),
    "a row is there twice": (lambda p: p.lines(lambda lines: [lines[0], *lines]), (6,)),
    "rows are out of order": (lambda p: p.lines(lambda lines: [lines[-1], *lines[:-1]]), (6,)),
    "a row has another place": (lambda p: p.lines(lambda lines: lines[0].update(index=lines[0]["index"] + 1)), (6,)),
    "a path has a bit flipped": (
        lambda p: p.lines(lambda lines: lines[0]["path"].__setitem__(0, flipped(lines[0]["path"][0]))), (6,),
    ),
    "a path is one short": (lambda p: p.lines(lambda lines: lines[0]["path"].pop() and None), (6,)),
    "a row is of another table": (lambda p: p.lines(lambda lines: first(lines, "link").update(table="record")), (6,)),
    "a row of another build": (lambda p: p.take("rows.jsonl"), (6, 8)),
    "a leaf is hidden as disposed of": (_withheld_as("disposed"), (7,)),
    "a leaf is hidden for no reason there is": (_withheld_as("lost"), (6,)),
    "a disposed leaf has another certificate": (_hole_elsewhere, (7,)),
    "a reduced link is rewritten": (_reduced_further, (7,)),
    "a reduced link has another's heir": (_heir_of_another, (7,)),
    "a certificate is missing": (
        lambda p: next((p.folder / "certificates").iterdir()).unlink(), (7, 1),
    ),
    "a certificate is changed": (
        lambda p: p.bytes(next((p.folder / "certificates").iterdir()).relative_to(p.folder).as_posix(),
                          lambda data: data.replace(b'"sig":"', b'"sig":"A', 1)), (7,),
    ),
    "a link is left out of rows and list": (_left_out, (8,)),
    "a link is left out of the list": (
        lambda p: p.edit("pack.json", lambda said: said | {
            "complete": [item | {"links": item["links"][1:]} for item in said["complete"]]}), (8,),
    ),
    "a link is left out of the rows": (
        lambda p: p.lines(lambda lines: [x for x in lines if x is not first(lines, "link", "disposed")]), (8,),
    ),
    "a theme is passed over": (
        lambda p: p.edit("pack.json", lambda said: said | {"complete": said["complete"][1:]}), (8,),
    ),
    "the list is of another theme": (
        lambda p: p.edit("pack.json", lambda said: said | {
            "complete": [item | {"theme": "CSE"} for item in said["complete"][:1]]}), (8,),
    ),
    "the answer is about somebody else": (
        lambda p: p.edit("pack.json", lambda said: said | {
            "question": said["question"] | {"nominal": "BOB", "person": "BOB"}}), (8,),
    ),
    "another build is claimed": (lambda p: p.said(build="2026-W03"), (4,)),
    "another cut-off is claimed": (lambda p: p.said(cut_off="2026-01-10T23:59:59Z"), (4,)),
    "another root is claimed": (lambda p: p.said(root="0" * 64), (4,)),
    "another publication is claimed": (lambda p: p.said(published_from="2026-01-11T00:00:00Z"), (4,)),
    "another end is claimed": (lambda p: p.said(published_to="2026-01-30T00:00:00Z"), (4,)),
    "a moment outside the publication": (lambda p: p.said(as_of="2026-01-20T00:00:00Z"), (4,)),
    "another advisory text": (lambda p: p.said(caveat="all of this is certain"), (5,)),
    "a log entry is changed": (
        lambda p: p.bytes(f"log/{json.loads((p.folder / 'pack.json').read_bytes())['entries']['built']}.entry",
                          lambda data: data.replace(b"2026-W02", b"2026-W01")), (4,),
    ),
    "entries change places": (_proof_of_another, (4,)),
    "the statement of another build": (lambda p: p.take("statement.json"), (5,)),
    "a head of another key": (_foreign_head, (2,)),
    "an older head": (_older_head, (4,)),
    "the head has two signatures of the log": (
        lambda p: p.bytes("checkpoint", lambda data: data + data.split(b"\n\n")[1].split(b"\n")[0] + b"\n"), (2,),
    ),
    "a witness's line is spoilt": (
        lambda p: p.bytes("checkpoint", lambda data: data[:-8] + b"AAAA" + data[-4:]), (2,),
    ),
    "pack.json is not canonical": (lambda p: p.bytes("pack.json", lambda data: b" " + data), (2,)),
    "pack.json is of another form": (lambda p: p.said(format="provenance-pack/2"), (2,)),
    "pack.json lacks a field": (
        lambda p: p.edit("pack.json", lambda said: {k: v for k, v in said.items() if k != "entries"}), (4,),
    ),
    "pack.json has a list where a count belongs": (
        lambda p: p.edit("pack.json", lambda said: said | {"entries": said["entries"] | {"built": []}}), (4,),
    ),
    "pack.json is nested a hundred thousand deep": (
        lambda p: p.bytes("pack.json", lambda _: b"[" * 100_000 + b"]" * 100_000), (2,),
    ),
    "rows.jsonl is no JSON": (lambda p: p.bytes("rows.jsonl", lambda data: b"\xff\n" + data), (6,)),
    "a row of a table there is not": (lambda p: p.lines(lambda lines: lines[0].update(table="harm")), (6,)),
    "a row number is enormous": (lambda p: p.lines(lambda lines: lines[-1].update(index=2**52)), (6,)),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_pack_is_refused(told, tmp_path, what):
    spoil, steps = SPOILT[what]
    shutil.copytree(told.pack, tmp_path / "pack")
    spoilt = Spoilt(tmp_path / "pack", told.other)
    spoil(spoilt)
    spoilt.seal()
    checked = checking.check(tmp_path / "pack", policy=told.policy)
    assert steps[0] in faults(checked), faults(checked)
    assert checked.proved == []
    done = alone(tmp_path / "pack", "--policy", str(told.force.root / "log" / "policy"))
    assert done.returncode == 4, done.stdout + done.stderr
    assert done.stderr == "" or "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "more.txt").write_text("x"), "file more.txt is in the pack and SHA256SUMS does not"),
        (lambda folder: (folder / "head").unlink(), "file head has SHA-256 no such file"),
        (lambda folder: (folder / "verify.py").write_text("print('verified')"), "file verify.py has SHA-256"),
        (lambda folder: (folder / "link").symlink_to("/etc/hostname"), "file link is in the pack"),
    ],
)
def test_a_file_more_or_less_or_changed_is_found_by_the_checksums(told, tmp_path, spoil, said):
    shutil.copytree(told.pack, tmp_path / "pack")
    spoil(tmp_path / "pack")
    assert any(fault.startswith(said) for fault in faults(checking.check(tmp_path / "pack"))[1])
    assert alone(tmp_path / "pack").returncode == 4


def test_a_published_head_that_does_not_fit_is_said(told):
    _, origin, size, root = told.line.split(" ")
    for line, said in (
        (told.early, "the build was logged after them"),
        (f"2026-W02 elsewhere {size} {root}", "is of log elsewhere"),
        (f"2026-W02 {origin} {size} {base64.b64encode(bytes(32)).decode()}", "entries have root"),
    ):
        assert said in " ".join(faults(checking.check(told.pack, published=line))[3])
        assert alone(told.pack, "--published", line).returncode == 4


def test_a_line_newer_than_the_pack_is_neither_a_fault_nor_a_comparison(told):
    size = told.force.archive.log.size
    line = f"2026-W09 {told.line.split(' ')[1]} {size + 5} {told.line.split(' ')[3]}"
    found = checking.check(told.pack, published=line)
    assert faults(found) == {}
    assert f"your line is of {size + 5} entries, and this pack was made when the log had {size}" in found.wanted
    assert any("this pack is from before it" in text for text in found.not_proved)
    assert not any("published head that you gave" in text for text in found.relied_on)
    assert checking.check(told.pack, published=told.line).wanted == ""
    assert alone(told.pack, "--published", line).returncode == 5
    done = CliRunner().invoke(main, ["verify", str(told.pack), "--published", line])
    assert done.exit_code == 5
    assert "NOT COMPARED: nothing was found wrong" in " ".join(done.output.split())


def test_what_the_reader_brings_must_be_in_form(told, tmp_path):
    with pytest.raises(Malformed, match="published head"):
        checking.check(told.pack, published="2026-W02")
    with pytest.raises(Malformed, match="policy"):
        checking.check(told.pack, policy=b"log nobody\n")
    with pytest.raises(Missing, match=r"is no pack: pack\.json is not there"):
        checking.check(tmp_path)


def test_a_forger_cannot_extend_a_published_head_under_keys_of_his_own(told, tmp_path):
    """He has the true log up to a published head, and a key that he made; his build comes after that head."""
    from provenance.archive import Archive

    forged = Force(tmp_path, "force")  # of the same name: an archive of his own cannot have the true past
    forged.receive(record("R-1", "ANN", "XAV"), cut_off=WEEK[0])
    forged.build(WEEK[0])
    forged.archive.close()
    archive = Archive(forged.root, forged.keys)
    snapshot = forged.reopened().as_of(ASKED)
    proving.prove(snapshot, tmp_path / "pack", as_of=ASKED, on=LATER, nominal="ANN")
    assert faults(checking.check(tmp_path / "pack")) == {}  # it rests on his policy, and says so
    assert 3 in faults(checking.check(tmp_path / "pack", published=told.line))
    assert 2 in faults(checking.check(tmp_path / "pack", policy=told.policy))
    archive.close()


# Refused at another step than by the stand-alone programs, which sort some faults otherwise.
ELSEWHERE = {
    "the policy is missing": 2,
    "a theme both complete and incomplete": 8,
    "a size beyond all counts": 4,
    "the build replaced after its week's head was published": 3,
    "a published head from before the build, and nothing else to go by": 3,
    "a published head from before the build was live, and nothing else to go by": 3,
    "one certificate logged twice": 7,
    "certificates without a stamp": 1,
    "disposals that are numbered the other way round": 4,
}


@pytest.fixture
def judged(tmp_path, monkeypatch) -> Callable[..., checking.Checked]:
    """Check the files of an independent maker, whose certificates are worded otherwise."""
    monkeypatch.setattr(certificates, "METHOD", "destroyed")
    monkeypatch.setattr(certificates, "CHECKED", ("all",))

    def check(files: dict[str, bytes], **brought: Any) -> checking.Checked:
        shutil.rmtree(tmp_path / "pack", ignore_errors=True)
        for name, data in files.items():
            path = tmp_path / "pack" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return checking.check(tmp_path / "pack", **brought)

    return check


# The log takes no such text in the fields of an act, so this checker does not either.
ADMITTED = [name for name in VARIANTS if name != "hostile text wherever text may be"]


@pytest.mark.parametrize("name", ADMITTED)
def test_packs_of_an_independent_maker_are_accepted(judged, name):
    assert faults(judged(VARIANTS[name]().files)) == {}


def test_a_witness_whom_the_pack_alone_names_is_no_assurance(judged):
    """Whoever carries the pack puts a key of their own in the place of the witness's, under the same name."""
    story = VARIANTS["the whole story"]()
    mine = packs.Key(packs.ETHICS.name, "a key of the carrier's", 4)
    text = story.files["head"][: story.files["head"].index(b"\n\n") + 1]
    before, after = story.files["checkpoint"], story.files["head"] + mine.line(text, 1)
    files = {name: data.replace(before, after) for name, data in story.files.items()}
    files["policy"] = files["policy"].replace(packs.ETHICS.vkey.encode(), mine.vkey.encode())
    files["SHA256SUMS"] = packs.sums(files)
    found = judged(files, published=story.lines["now"])
    assert faults(found) == {}  # all that is said of the log is true, as the published head shows
    [said] = [said for said in found.relied_on if "ethics" in said]
    assert said.startswith("witnesses only by the policy inside the pack, which came with it: ethics signed the head")
    assert said.endswith("Compare their keys with those that you have from elsewhere")


def test_rows_that_no_certificate_accounts_for_are_counted_as_withheld_on_a_word(judged):
    def hide(lines: list[dict[str, Any]]) -> None:
        for _ in range(3):
            spoilt.bare(spoilt.find(lines, ""), "reduced", heirs=[])

    files = dict(VARIANTS["a question about a network"]().files)
    spoilt.rows(hide)(files)
    files["SHA256SUMS"] = packs.sums(files)
    for pack, count in ((VARIANTS["a question about a network"]().files, 3), (files, 6)):
        found = judged(pack)
        assert faults(found) == {}
        assert any(said.startswith(f"why {count} rows are withheld: that they are") for said in found.not_proved)


@pytest.mark.parametrize("step", sorted({one.step for one in spoilt.TABLE}))
def test_whatever_its_maker_who_holds_the_keys_spoils_is_refused(judged, step):
    """The table of the stand-alone programs, tried on this checker as well."""
    for one in (one for one in spoilt.TABLE if one.step == step):
        found = judged(one.make(), policy=one.policy, published=one.line or None)
        assert ELSEWHERE.get(one.name, one.step) in faults(found), one.name
        assert found.proved == [], one.name


# ---- on the command line --------------------------------------------------------------------------------------------


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


def test_the_command_says_what_was_proved_and_what_was_not(told, tmp_path):
    done = run("verify", str(told.pack), "--published", told.line)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 80
    for said in ("The pack verifies.", "What was proved:", "What that rests on:", "What was NOT proved:"):
        assert said in done.output
    answer = json.loads(run("verify", str(told.pack), "--json").stdout)
    assert answer["verified"] is True
    assert [step["step"] for step in answer["steps"]] == list(range(1, 10))
    shutil.copytree(told.pack, tmp_path / "pack")
    (tmp_path / "pack" / "rows.jsonl").write_bytes(b"")
    done = run("verify", str(tmp_path / "pack"))
    assert (done.exit_code, "The pack does NOT verify." in done.output) == (4, True)


def test_nothing_in_a_pack_acts_on_the_terminal(told, tmp_path):
    shutil.copytree(told.pack, tmp_path / "pack")
    spoilt = Spoilt(tmp_path / "pack", told.other)
    why = {"why": "\x1b[2J\x1b[HThe pack verifies."}
    spoilt.edit("pack.json", lambda said: said | {
        "archive": "\x1b[2Jforce", "incomplete": [item | why for item in said["incomplete"]],
    })  # fmt: skip
    spoilt.seal()
    shown = run("verify", str(tmp_path / "pack")).output
    assert "\x1b" not in shown
    assert "\\u{001B}[2J" in shown


def test_what_is_for_a_pack_is_refused_without_one(told):
    for arguments in (["--published", told.line], [str(told.pack), "--build", "2026-W02"]):
        assert run("--archive", str(told.force.root), "verify", *arguments).exit_code == 2


def test_the_answer_writes_its_proof(told, tmp_path):
    root = str(told.force.root)
    done = run("--archive", root, "asof", ASKED, "--nominal", "ANN", "--proof", str(tmp_path / "pack"))
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "Complete all links of this nominal in SOC, CL" in said
    assert "signed outside by ethics" in said
    assert faults(checking.check(tmp_path / "pack", policy=told.policy)) == {}
    done = run("--archive", root, "asof", ASKED, "--nominal", "ANN", "--proof", str(tmp_path / "pack"))
    assert (done.exit_code, done.stderr[:34]) == (6, "Conflict: folder pack is there alr")
    done = run("--archive", root, "asof", ASKED, "--proof", str(tmp_path / "whole"), "--json")
    assert json.loads(done.stdout)["proof"]["complete"] == []


def test_sha256sum_agrees_with_the_checksums(told):
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=told.pack, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# ---- one row of an archive ------------------------------------------------------------------------------------------


def test_a_row_is_checked_by_its_leaf_in_each_build_that_has_it(told):
    lines = [json.loads(line) for line in (told.pack / "rows.jsonl").read_text().splitlines()]
    leaf = hashlib.sha256(b"\0" + base64.b64decode(first(lines, "link")["entry"])).hexdigest()  # in both builds
    root = str(told.force.root)
    answer = json.loads(run("--archive", root, "verify", "--row", leaf, "--json").stdout)
    assert (answer["verified"], answer["build"]) == (True, "2026-W03")
    assert [(step["name"], step["checked"] > 0) for step in answer["steps"]] == [
        ("log entries", True), ("who signs", True), ("build statement", True), ("place in table", True),
        ("sealed row", True),
    ]  # fmt: skip
    done = run("--archive", root, "verify", "--row", leaf, "--build", "2026-W02")
    assert "The row verifies in build 2026-W02." in done.output
    assert "ethics, who signed the head of" in " ".join(done.output.split())
    assert run("--archive", root, "verify", "--row", "0" * 64).exit_code == 5
    assert run("--archive", root, "verify", "--row", "17").exit_code == 7


def test_a_row_that_is_gone_is_accounted_for_by_its_certificate(told, monkeypatch):
    lines = [json.loads(line) for line in (told.pack / "rows.jsonl").read_text().splitlines()]
    gone = first(lines, "link", "disposed")["leaf"]
    assert json.loads(run("--archive", str(told.force.root), "verify", "--row", gone, "--json").stdout)["verified"]
    whole = expunging.roots_of
    monkeypatch.setattr(expunging, "roots_of", lambda *said: ("0" * 64, whole(*said)[1]))
    done = run("--archive", str(told.force.root), "verify", "--row", gone)
    assert (done.exit_code, "accounts for other rows" in " ".join(done.output.split())) == (4, True)
