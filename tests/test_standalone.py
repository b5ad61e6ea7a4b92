"""verify.py stands alone: it passes what is right, refuses each spoilt pack by the right step, and says no more than
was proved, whatever the files hold.

Packs come from `packs` and `spoilt`, which are written from the published formulas; published vectors judge the parts.
"""

from __future__ import annotations

import ast
import base64
import functools
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from types import ModuleType

import packs
import pytest
import reference
import spoilt
from flips import flipped, lifted
from packs import Files, Story, canonical, good, hostile, policy, sums

PROGRAM = Path(__file__).resolve().parent.parent / "provenance" / "standalone" / "verify.py"

if shutil.which("openssl") is None:
    pytest.skip("the command openssl is not here: verify.py checks signatures with it", allow_module_level=True)


@pytest.fixture(scope="module")
def verify() -> ModuleType:
    spec = importlib.util.spec_from_file_location("standalone_verify", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def openssl(verify):
    """Asked once about each signature, of which thousands here are the same."""

    class Remembering(verify.OpenSSL):
        verifies = functools.cache(verify.OpenSSL.verifies)

    return Remembering()


@pytest.fixture
def check(verify, openssl):
    def checked(files: Files, *lines: str, policy: bytes | None = None, authority: bytes | None = None):
        given = verify.Policy(policy, "policy") if policy is not None else None
        return verify.Check(files, (), verify.given_lines(lines), given, authority, openssl)

    return checked


def write(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def run(*arguments: object, program: Path = PROGRAM, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    command = [python, "-I", str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)


# ---- what is right, and what is spoilt ----


@pytest.mark.parametrize("name", packs.VARIANTS)
def test_a_good_pack_passes_and_says_whether_it_was_compared(check, name):
    story = packs.VARIANTS[name]()
    alone = check(story.files)
    assert alone.faults == []
    assert alone.verified
    assert alone.verdict.startswith("CONSISTENT IN ITSELF")
    assert "Who made this pack" in "\n".join(alone.not_proved())
    if story.published:
        compared = check(story.files, story.lines["covering"])
        assert compared.verdict == "VERIFIED against the published head that you gave"
        assert "Who made this pack" not in "\n".join(compared.not_proved())


@pytest.mark.parametrize("one", spoilt.TABLE, ids=lambda one: one.name)
def test_each_spoilt_pack_is_refused_by_its_step_in_its_words(check, one):
    checked = check(one.make(), one.line, policy=one.policy)
    assert not checked.verified
    assert checked.verdict == "NOT VERIFIED"
    step, file, message = checked.faults[0]
    assert (step, checked.status[step]) == (one.step, "failed")
    assert one.words in f"{file}: {message}"


LATER = f"2026-W49 {packs.ORIGIN} 20 {packs.b64(packs.sha256(b'later'))}"


def test_a_line_newer_than_the_pack_is_neither_a_fault_nor_a_comparison(check, tmp_path):
    """A pack that is sound cannot be called wrong for what came after it; nor is it vouched for."""
    checked = check(good().files, LATER)
    assert (checked.faults, checked.compared) == ([], False)
    assert checked.verdict == "NOT COMPARED: your line is newer than this pack"
    assert "your line is of 20 entries, and this pack was made when the log had 14" in checked.meaning
    assert "you need a line of 8 to 14 entries, such as that of the notice for 2026-W48" in checked.meaning
    for words in ("notice for 2026-W49, of 20 entries: this pack is from before it", "Who made this pack"):
        assert words in "\n".join(checked.not_proved())
    done = run(write(good().files, tmp_path / "pack"), "--published", LATER)
    assert (done.returncode, done.stdout.partition("\n")[0]) == (5, checked.verdict)
    said = json.loads(run(tmp_path / "pack", "--published", LATER, "--json").stdout)
    assert (said["verified"], said["compared"], said["faults"]) == (False, False, [])
    # With something else that vouches for it, the newer line takes nothing away.
    assert check(good().files, LATER, packs.Story().lines["covering"]).verdict.startswith("VERIFIED against")
    assert check(good().files, LATER, policy=policy()).verdict == "VERIFIED under the policy that you gave"
    # And a line that is older than the build stays what it was.
    assert check(good().files, LATER, packs.Story().lines["before"]).verdict == "NOT VERIFIED"
    assert check(good().files, LATER.replace(packs.ORIGIN, "other.example/builds")).verdict == "NOT VERIFIED"


def test_a_record_withheld_in_its_place_is_counted_as_withheld(check):
    def withhold(files: Files) -> None:
        lines = map(json.loads, files["rows.jsonl"].splitlines())
        line = next(line for line in lines if spoilt.is_record(line, "R-00"))
        bare = {**line, "leaf": spoilt.leaf(line), "withheld": "sensitive"}
        del bare["entry"]
        files["rows.jsonl"] = files["rows.jsonl"].replace(canonical(line), canonical(bare))

    checked = check(changed(good(), withhold))
    assert checked.faults == []
    assert any("1 as sensitive unused material" in text for text in checked.not_proved())


def test_what_lies_in_the_pack_cannot_vouch_for_it(tmp_path):
    pack = write(good().files, tmp_path / "pack")
    for option, name in (("--policy", "policy"), ("--published", "heads.txt")):
        done = run(pack, option, pack / name)
        assert done.returncode == 2
        assert "is a file of the pack itself" in done.stderr
    line = packs.Story().lines["covering"]
    elsewhere = write({"lines": f"{line}\n".encode(), "policy": policy()}, tmp_path / "other")
    assert run(pack, "--published", elsewhere / "lines").stdout.startswith("VERIFIED against the published head")
    printed = write(
        {"notice": f"Weekly notice of the force, week 47\n\n{line}\n".encode(), "none": b"2026-W47\n"}, tmp_path
    )
    assert run(pack, "--published", printed / "notice").stdout.startswith("VERIFIED against the published head")
    done = run(pack, "--published", printed / "none")
    assert (done.returncode, done.stderr.count("no line of it is a published head")) == (2, 1)
    done = run(pack, "--policy", elsewhere / "policy")
    assert "The pack has the same one" in " ".join(done.stdout.split())


def test_the_table_has_something_for_every_step():
    assert {one.step for one in spoilt.TABLE} == set(range(1, 10))


def test_a_thousand_faults_are_not_all_named(check):
    checked = check(changed(good(), lambda files: files.update({"rows.jsonl": b"{}\n" * 1000})))
    assert [step for step, _, _ in checked.faults] == [6] * 21
    assert checked.faults[-1][2] == "and more: after 20 faults no more are named"


PROVING = [
    name for name in good().files
    if re.match(r"checkpoint|head$|rows|statement|log/|certificates/|heads/|SHA256SUMS", name)
]  # fmt: skip


@pytest.mark.parametrize("mended", [True, False])
def test_no_byte_of_what_proves_can_be_flipped(check, mended):
    chance = random.Random(7)
    for name in PROVING:
        for _ in range(6):
            files = dict(good().files)
            data = bytearray(files[name])
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            files[name] = bytes(data)
            if mended and name != "SHA256SUMS":
                files["SHA256SUMS"] = sums(files)
            assert not check(files).verified, (name, bytes(data))


def test_files_of_noise_are_refused_without_a_crash(check):
    chance = random.Random(11)
    for name in good().files:
        for data in (
            b"",
            b"\n",
            b"\n\n",
            b"\xff" * 50,
            b"[" * 5000,
            b"{}",
            b'""',
            b"null",
            b"[]",
            chance.randbytes(300),
        ):
            files = {**good().files, name: data}
            files["SHA256SUMS"] = data if name == "SHA256SUMS" else sums(files)
            checked = check(files, good().lines["covering"])
            if name not in ("verify.py", "verify.html", "READ-ME-FIRST.txt", "heads.txt"):
                assert not checked.verified, (name, data[:20])


def values(node, path=()):
    """Where in a JSON value something stands."""
    yield path
    if isinstance(node, dict):
        for key in node:
            yield from values(node[key], (*path, key))
    elif isinstance(node, list):
        for place in range(min(2, len(node))):
            yield from values(node[place], (*path, place))


@pytest.mark.parametrize("wrong", [None, [], {}, -1, "\u202e"], ids=repr)
def test_anything_in_place_of_any_value_of_a_pack_is_taken_without_a_crash(check, wrong):
    said = json.loads(good().files["pack.json"])
    for path in list(values(said))[1:]:
        copy = json.loads(good().files["pack.json"])
        node = copy
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = wrong
        files = {**good().files, "pack.json": canonical(copy)}
        files["SHA256SUMS"] = sums(files)
        check(files)


@pytest.mark.parametrize("wrong", [[], {}, -1, "\u202e"], ids=repr)
@pytest.mark.parametrize("stage", ["statement", "certificate 1"])
def test_a_force_that_signs_anything_gets_no_crash_from_it(check, stage, wrong):
    kept = {}
    Story({stage: lambda value: kept.update(value=json.loads(canonical(value))) or value})
    for path in values(kept["value"]):
        if len(path) > 5:
            continue
        copy = {"": json.loads(canonical(kept["value"]))}
        node = copy
        for step in ("", *path)[:-1]:
            node = node[step]
        node[("", *path)[-1]] = wrong
        check(Story({stage: lambda _, made=copy: made[""]}).files)


# ---- what a clever forger gets said of a pack that passes ----


def sentences(checked) -> str:
    return "\n".join(checked.not_proved())


def changed(story: Story, change) -> Files:
    files = dict(story.files)
    change(files)
    return files | {"SHA256SUMS": sums(files)}


def test_a_pack_made_from_nothing_with_keys_of_its_own_is_no_more_than_consistent(check):
    checked = check(Story(person="somebody who was never in any build").files)
    assert checked.verdict == "CONSISTENT IN ITSELF, but not compared with anything from outside"
    assert "anyone could have made it" in checked.meaning
    assert checked.proved_title == "What the pack shows, if its keys are those of the force"
    assert "The key of the witness ethics.example/witness" in "\n".join(checked.relied())
    assert not any("witness" in sentence for sentence in checked.proved())


def test_a_policy_from_elsewhere_vouches_for_witnesses(check):
    checked = check(good().files, policy=policy())
    assert checked.verdict == "VERIFIED under the policy that you gave"
    assert any(sentence.startswith("The witness ethics.example/witness") for sentence in checked.proved())


def test_an_old_key_that_a_policy_still_names_is_said(check):
    """Who stole it after an ordinary rotation has the log from before it, and makes a build of their own."""
    story = Story(rotated=False, witnesses=False, published=False)
    wanted = f"{story.key.name}+{story.key.hash.hex()}, an earlier key of the log, which your policy still names"
    said = "\n".join(check(story.files, policy=policy(quorum="none")).relied())
    assert wanted in said
    assert "its line must go from the policy" in said
    for files, given in ((good().files, policy()), (story.files, policy(logs=(packs.OLD,), quorum="none"))):
        assert "an earlier key" not in "\n".join(check(files, policy=given).relied())


def test_a_published_head_from_before_the_build_vouches_for_nothing(check, tmp_path):
    """With a policy from elsewhere it is only said; alone it leaves nothing to rely on, and is a fault."""
    checked = check(good().files, good().lines["before"], policy=policy())
    assert checked.verdict == "VERIFIED under the policy that you gave"
    wanted = "That the head published for 2026-W46 covers this build: it is of 4 entries, from before the build"
    assert wanted in sentences(checked)
    both = check(good().files, good().lines["before"], good().lines["covering"])
    assert both.verdict == "VERIFIED against the published head that you gave"
    assert wanted in sentences(both)
    answer = run(write(good().files, tmp_path), "--published", good().lines["before"], "--json")
    assert (answer.returncode, json.loads(answer.stdout)["verified"]) == (4, False)


def test_what_came_after_the_published_head_is_named(check):
    checked = check(good().files, good().lines["covering"])
    assert "covers entries 9 (Certified), 11 (Certified), 12 (Published) of the log" in sentences(checked)
    assert "was still the log's key when it signed the head of this pack" in sentences(checked)
    assert "still the log's key" not in sentences(check(good().files, good().lines["covering"], policy=policy()))
    for word in ("covers entries", "still the log's key"):
        assert word not in sentences(check(good().files, good().lines["now"]))


def test_a_row_that_whoever_carries_the_pack_hid_is_said_to_be_on_their_word(check):
    hide = spoilt.row("", lambda line: spoilt.bare(line, "restricted"))
    checked = check(changed(good(), hide))
    assert checked.verified
    assert "What 4 rows of the build that are not shown would say" in sentences(checked)
    assert "only the word of whoever made the pack" in sentences(checked)
    assert checked.meaning.endswith("4 rows of the build are in the pack without being shown.")


def test_a_pack_that_claims_completeness_for_fewer_themes_says_so(check):
    def unclaimed(pack):
        pack.update(complete=[], incomplete=[{"theme": theme, "why": "because"} for theme in ("SOC", "CSE", "CL")])

    checked = check(changed(good(), spoilt.pack(unclaimed)))
    assert checked.verified
    assert checked.status[8] == "nothing"
    assert "That these are all links of N-100." in sentences(checked)
    assert "No link that the build counted" not in "\n".join(checked.proved())
    checked = check(packs.VARIANTS["a question about one theme"]().files)
    assert "Anything about N-100 in a theme other than SOC." in sentences(checked)


def test_rows_dropped_from_a_network_pass_and_are_said_not_to_be_proved(check):
    story = packs.VARIANTS["a question about a network"]()
    checked = check(changed(story, spoilt.rows(lambda lines: lines[5:])))
    assert checked.verified
    assert "That these are all the rows that answer the question" in sentences(checked)


def test_the_cover_sheet_proves_nothing_of_its_own(check):
    lie = spoilt.pack(lambda pack: pack.update(handling="P", conditions="", made_on="1999-01-01T00:00:00Z") or None)
    checked = check(changed(good(), lie))
    assert checked.verified
    assert "What only pack.json says: when the pack was made, its handling code and conditions" in sentences(checked)


def test_a_merge_and_a_backdated_or_restored_publication_are_said(check):
    said = sentences(check(packs.VARIANTS["a person under another id"]().files))
    assert "That N-1, who was asked about, is the same person as N-100" in said
    said = sentences(check(packs.VARIANTS["published long after"]().files))
    assert "this was put into the log only on 1 February 2027 at 06:00 UTC" in said
    checked = check(packs.VARIANTS["live again after a withdrawal"]().files)
    assert "build 2026-W47.2 was withdrawn" in "\n".join(checked.proved())
    assert "the one that was live again" in sentences(checked)


def test_no_witness_and_too_few_are_said(check):
    assert "no witness that the policy names" in sentences(check(Story(witnesses=False).files))
    assert "fewer witnesses" in sentences(check(packs.VARIANTS["a quorum that is not met"]().files))
    assert "same log" not in sentences(check(good().files))


# ---- the command ----


def test_the_exit_codes_and_the_report(tmp_path):
    pack = write(good().files, tmp_path / "pack")
    passed = run(pack, "--published", f"  {good().lines['covering'].replace(' ', '   ')}  ")
    assert (passed.returncode, passed.stderr) == (0, "")
    assert passed.stdout.startswith("VERIFIED against the published head that you gave\n")
    for title in ("What was proved", "What was relied on", "What was NOT proved"):
        assert f"\n{title}\n" in passed.stdout
    assert max(map(len, passed.stdout.splitlines())) <= 80
    (pack / "rows.jsonl").write_bytes(b"{}\n")
    failed = run(pack)
    assert (failed.returncode, failed.stderr) == (4, "")
    assert failed.stdout.startswith("NOT VERIFIED\n")
    assert "1  FAILED    Files" in failed.stdout
    assert "rows.jsonl: has another SHA-256 than SHA256SUMS has for it" in failed.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "folder nowhere is not there"),
        ([".", "--published", "2026-W47 force.example/builds 8"], "wanted LABEL ORIGIN SIZE ROOT"),
        ([".", "--published", "2026-W47 force.example/builds 08 AAAA"], "without leading zeros"),
        ([".", "--policy", "nowhere"], "policy nowhere cannot be read"),
        ([".", "--policy", str(PROGRAM)], "policy: "),
        (["--proof", str(PROGRAM)], "a proof is checked with --proof, --entry"),
        ([".", "--nonsense"], "unrecognized arguments"),
    ],
)
def test_a_question_that_cannot_be_understood_ends_with_2(arguments, words, tmp_path):
    answer = run(*[tmp_path if argument == "." else argument for argument in arguments])
    assert answer.returncode == 2
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr


def test_without_a_folder_it_checks_the_one_it_lies_in(tmp_path):
    files = {**good().files, "verify.py": PROGRAM.read_bytes()}
    pack = write(files | {"SHA256SUMS": sums(files)}, tmp_path)
    assert run(program=pack / "verify.py").returncode == 0
    assert run().returncode == 2


def test_the_same_answer_as_json(tmp_path):
    pack = write(good().files, tmp_path)
    answer = json.loads(run(pack, "--json").stdout)
    assert (answer["verified"], answer["compared"], answer["faults"]) == (True, False, [])
    assert [step["status"] for step in answer["steps"]] == [*["passed"] * 2, "nothing", *["passed"] * 5, "nothing"]
    (pack / "checkpoint").unlink()
    answer = json.loads(run(pack, "--json").stdout)
    assert (answer["verified"], answer["proved"]) == (False, [])
    assert {"step": 1, "file": "checkpoint", "message": "is not there"} in answer["faults"]


def test_the_rows_are_printed_on_request_and_nothing_of_them_can_act_on_a_terminal(tmp_path):
    story = Story(person=hostile("N-100"), texts=hostile)
    answer = run(write(story.files, tmp_path), "--rows")
    assert answer.returncode == 0
    assert "\\u{001B}[2J" in answer.stdout
    assert "\\u{202E}gnorw" in answer.stdout
    assert "record_id R-00" in answer.stdout
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", answer.stdout)
    for line in answer.stdout.splitlines():
        assert line == line.strip("\r")


def test_a_folder_that_is_not_plain_is_refused(tmp_path):
    pack = write(good().files, tmp_path / "pack")
    (pack / "log" / "0.entry").rename(tmp_path / "elsewhere")
    (pack / "log" / "0.entry").symlink_to(tmp_path / "elsewhere")
    assert "log/0.entry: is not a plain file" in run(pack).stdout
    (pack / "log" / "0.entry").unlink()
    os.mkfifo(pack / "log" / "0.entry")
    assert "log/0.entry: is not a plain file" in run(pack).stdout
    (pack / "log" / "0.entry").unlink()
    (tmp_path / "elsewhere").rename(pack / "log" / "0.entry")
    (pack / "log" / "more").mkdir()
    assert "log/more: is not a plain file" in run(pack).stdout
    (pack / "log" / "more").rmdir()
    (pack / "stamps").symlink_to(tmp_path)
    assert "stamps: is not a plain file" in run(pack).stdout
    (pack / "stamps").unlink()
    (pack / ".DS_Store").write_bytes(b"finder")
    passed = run(pack)
    assert passed.returncode == 0
    assert ".DS_Store was left aside" in passed.stdout
    with open(pack / "rows.jsonl", "r+b") as file:
        file.truncate(2 << 30)  # sparse
    answer = run(pack)
    assert (answer.returncode, answer.stderr) == (4, "")
    assert "the pack is larger than this program reads" in answer.stdout


def test_a_name_of_a_file_that_is_no_text_is_refused_without_a_crash(tmp_path):
    pack = write(good().files, tmp_path)
    try:
        (Path(os.fsdecode(os.fsencode(pack) + b"/\xff\x1b[2J"))).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such name")
    answer = run(pack)
    assert (answer.returncode, answer.stderr) == (4, "")
    assert "\x1b" not in answer.stdout


def test_whoever_stops_reading_sees_no_traceback(tmp_path):
    pack = write(Story(more=200).files, tmp_path)
    reader = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(pack), "--rows"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    reader.stdout.read(10)
    reader.stdout.close()
    assert reader.stderr.read() == b""
    reader.stderr.close()
    reader.wait()


def test_without_an_openssl_that_judges_rightly_it_says_so(tmp_path):
    pack = write(good().files, tmp_path / "pack")
    liar = tmp_path / "bin" / "openssl"
    liar.parent.mkdir()
    for script, words in (("exit 0", "cannot check Ed25519"), ("exit 1", "cannot check Ed25519"), ("", "is not there")):
        liar.write_text(f"#!/bin/sh\n{script}\n")
        liar.chmod(0o755 if script else 0o644)
        answer = subprocess.run(
            [sys.executable, "-I", str(PROGRAM), str(pack)], env={"PATH": str(liar.parent)}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 2
        assert words in answer.stderr


def test_the_oldest_python_that_it_promises_reads_it():
    compile(ast.parse(PROGRAM.read_text("utf-8"), feature_version=(3, 8)), str(PROGRAM), "exec")


def test_the_oldest_python_that_it_promises_runs_it(tmp_path, monkeypatch):
    python = shutil.which("python3.8")
    if manager := shutil.which("pyenv"):  # whose `python3.8` runs only where that version was asked for
        held = subprocess.run([manager, "versions", "--bare"], capture_output=True, text=True, check=False).stdout
        monkeypatch.setenv("PYENV_VERSION", next((v for v in held.split() if v.startswith("3.8.")), ""))
    if python is None or subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("Python 3.8, with which verify.py promises to run, is not installed")
    pack = write(good().files, tmp_path)
    ours = json.loads(run(pack, "--json").stdout)
    theirs = json.loads(run(pack, "--json", python=python).stdout)
    ours.pop("relied_on"), theirs.pop("relied_on")  # which says the version
    assert theirs == ours


def test_it_stands_alone():
    tree = ast.parse(PROGRAM.read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert all(isinstance(node, ast.Import) or node.module == "__future__" for node in ast.walk(tree)
               if isinstance(node, ast.Import | ast.ImportFrom))  # fmt: skip
    assert imported <= sys.stdlib_module_names
    assert not imported & {"socket", "urllib", "http", "ssl", "importlib", "pickle", "ctypes"}


# ---- the parts, against definitions and published vectors ----


def test_every_path_of_every_tree_up_to_64_leaves(verify):
    leaves = [b"%d" % i for i in range(64)]
    for size in range(1, 65):
        root = reference.tree_hash(leaves[:size])
        assert verify.tree_root([verify.leaf_of(leaf) for leaf in leaves[:size]]) == root
        for index in range(size):
            leaf, path = verify.leaf_of(leaves[index]), reference.audit_path(index, leaves[:size])
            assert verify.root_by_path(leaf, index, size, path) == root
            assert verify.root_by_path(leaf, index, size, [*path, root]) is None
            if path:
                assert verify.root_by_path(leaf, index, size, path[:-1]) is None
        assert verify.root_by_path(leaf, size, size, path) is None
        assert verify.root_by_path(leaf, -1, size, path) is None


@pytest.mark.parametrize("first", range(1, 65, 8))
def test_every_bit_of_every_path_of_every_tree_up_to_64_leaves(verify, first, monkeypatch):
    """2,912,256 flips in 2,080 paths; and every other index that one bit makes of the right one."""
    monkeypatch.setattr(verify, "node", lifted(verify.node))
    leaves = [b"%d" % i for i in range(64)]
    for size in range(first, first + 8):
        root = reference.tree_hash(leaves[:size])
        for index in range(size):
            leaf, path = verify.leaf_of(leaves[index]), reference.audit_path(index, leaves[:size])
            for place in flipped(path):
                assert verify.root_by_path(leaf, index, size, path) != root, (size, index, place)
            for bit in range(53):
                assert verify.root_by_path(leaf, index ^ 1 << bit, size, path) != root


@pytest.mark.parametrize("first", range(1, 65, 8))
def test_every_bit_of_every_way_between_heads_up_to_64_leaves(verify, first, monkeypatch):
    """2,830,080 flips in 2,016 pairs."""
    monkeypatch.setattr(verify, "node", lifted(verify.node))
    leaves = [b"%d" % i for i in range(64)]
    roots = [reference.tree_hash(leaves[:size]) for size in range(65)]
    for new in range(first, first + 8):
        for old in range(1, new):
            path = reference.consistency_proof(old, leaves[:new])
            right = roots[old], roots[new]
            assert verify.roots_by_consistency(old, new, roots[old], path) == right
            for place in flipped(path):
                assert verify.roots_by_consistency(old, new, roots[old], path) != right, (old, new, place)


def test_every_byte_of_a_head_is_under_its_signature(verify, openssl):
    """Size, root and origin, of which the digests of a path alone do not tell all."""
    text, bare = good().text, good().files["head"]
    [(raw, _)] = verify.Note(bare, "head").by(verify.Key(packs.NEW.vkey.encode(), "key"))
    assert openssl.verifies(packs.NEW.public, text, raw)
    for place in range(len(text)):
        other = bytearray(text)
        other[place] ^= 1 << place % 8
        assert not openssl.verifies(packs.NEW.public, bytes(other), raw), place


def test_every_way_from_every_head_up_to_64_leaves(verify):
    leaves = [b"%d" % i for i in range(64)]
    roots = [reference.tree_hash(leaves[:size]) for size in range(65)]
    for new in range(2, 65):
        for old in range(1, new):
            path = reference.consistency_proof(old, leaves[:new])
            assert verify.roots_by_consistency(old, new, roots[old], path) == (roots[old], roots[new])
            assert verify.roots_by_consistency(old, new, roots[old - 1], path) != (roots[old - 1], roots[new])
            assert verify.roots_by_consistency(old, new, roots[old], [*path, roots[1]]) is None
            for place in range(len(path)):
                other = [*path[:place], verify.sha256(path[place]), *path[place + 1 :]]
                assert verify.roots_by_consistency(old, new, roots[old], other) != (roots[old], roots[new])


def test_the_published_vectors_of_paths(verify, shared):
    decode = base64.b64decode
    for line in (shared / "vectors" / "merkle" / "inclusion.jsonl").read_text().splitlines():
        probe = json.loads(line)
        leaf, root, path = decode(probe["leafHash"]), decode(probe["root"]), [decode(d) for d in probe["proof"] or ()]
        good = all(len(digest) == 32 for digest in [leaf, root, *path])
        made = verify.root_by_path(leaf, probe["leafIdx"], probe["treeSize"], path)
        assert (good and made == root) != probe["wantErr"], probe.get("desc")


def test_the_published_vectors_of_consistency(verify, shared):
    decode = base64.b64decode
    for line in (shared / "vectors" / "merkle" / "consistency.jsonl").read_text().splitlines():
        probe = json.loads(line)
        old, new, path = probe["size1"], probe["size2"], [decode(d) for d in probe["proof"] or ()]
        if 0 < old < new:  # what the pack's steps ask it about
            roots = decode(probe["root1"]), decode(probe["root2"])
            good = all(len(digest) == 32 for digest in [*roots, *path])
            made = verify.roots_by_consistency(old, new, roots[0], path)
            assert (good and made == roots) != probe["wantErr"], probe.get("desc")


def test_the_sample_log_of_another_maker(shared, tmp_path):
    sample = shared / "vectors" / "sample-log"
    for proof in sorted(sample.glob("*-of-[27].tlog-proof")):
        index, _, size = proof.stem.partition("-of-")
        policy = sample / ("policy" if size == "7" else "policy-log-only")
        arguments = ["--proof", proof, "--entry", sample / f"entry.{index}", "--policy", policy]
        answer = run(*arguments, "--json")
        assert answer.returncode == 0, answer.stdout
        assert f"The entry is number {index} of the " in json.loads(answer.stdout)["proved"][0]
    spoilt_proof = tmp_path / "proof"
    spoilt_proof.write_bytes(proof.read_bytes().replace(b"index 6", b"index 5"))
    answer = run("--proof", spoilt_proof, "--entry", sample / "entry.6", "--policy", sample / "policy")
    assert (answer.returncode, answer.stderr) == (4, "")
    assert answer.stdout.startswith("NOT VERIFIED\n")
    answer = run("--proof", proof, "--entry", sample / "entry.6", "--policy", sample / "policy-both")
    assert answer.returncode == 4
    assert "witnesses that have not cosigned" in answer.stdout


def test_the_published_checkpoints(verify, openssl, shared):
    for probe in json.loads((shared / "vectors" / "checkpoint" / "rekor2.json").read_text()):
        policy = verify.Policy(f"log {probe['log_vkey']}\nquorum none\n".encode(), "policy")
        lines = ["c2sp.org/tlog-proof@v1", f"index {probe['index']}", *probe["proof"], "", probe["checkpoint"]]
        entry = base64.b64decode(probe["entry_base64"])
        try:
            said = verify.check_proof("\n".join(lines).encode(), entry, policy, [], openssl)
        except verify.Fault:
            said = []
        assert bool(said) == probe["ok"], probe["name"]


def test_the_published_notes(verify, openssl, shared):
    for probe in json.loads((shared / "vectors" / "note" / "notes.json").read_text()):
        try:
            note = verify.Note(probe["note"].encode(), "note")
            keys = [verify.Key(vkey.encode(), "key") for vkey in probe["vkeys"]]
            known = [(key, raw) for key in keys for raw, _ in note.by(key)]
            good = known != [] and all(openssl.verifies(key.public, note.text, raw) for key, raw in known)
        except verify.Fault:
            good = False
        assert good == probe["ok"], probe["name"]


# ---- time-stamps ----


def test_the_published_time_stamps(openssl, shared):
    folder = shared / "vectors" / "rfc3161"
    chain = (folder / "ts_chain.pem").read_bytes()
    for name, wanted in {
        "sha256": "2025-05-09T11:58:55+00:00",
        "sha384": "2025-05-09T11:58:55+00:00",
        "sha512": "2025-05-09T11:58:56+00:00",
        "no-embedded-cert": "2025-06-18T08:13:02+00:00",
        "invalid-signature": None,
    }.items():
        at = openssl.stamped((folder / f"response-{name}.tsr").read_bytes(), b"hello", chain, chain)
        assert at == (wanted and datetime.fromisoformat(wanted).timestamp()), name
        assert openssl.stamped((folder / f"response-{name}.tsr").read_bytes(), b"hullo", chain, chain) is None
    assert openssl.stamped(b"noise", b"hello", chain, chain) is None
    assert openssl.stamped((folder / "response-sha256.tsr").read_bytes(), b"hello", chain, b"noise") is None


CONFIG = """
[tsa]
default_tsa = it
[it]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha1, sha256
[ca]
basicConstraints = critical,CA:true
[ext]
extendedKeyUsage = critical,timeStamping
"""


class Authority:
    """A time-stamp authority of our own: `openssl ts`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "config").write_text(CONFIG)
        (folder / "serial").write_text("01\n")
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj",
                 "/CN=Root",                 "-days", "9", "-config", "config", "-extensions", "ca")  # fmt: skip
        self.run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-subj",
                 "/CN=TSA",                  "-config", "config")  # fmt: skip
        self.run("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                 "tsa.pem",                  "-extfile", "config", "-extensions", "ext", "-days", "9")  # fmt: skip
        self.chain = (folder / "tsa.pem").read_bytes() + (folder / "ca.pem").read_bytes()

    def run(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode and "-config" in arguments and "distinguished_name" in done.stderr:
            raise AssertionError(done.stderr)
        assert done.returncode == 0, done.stderr

    def stamp(self, data: bytes, digest: str = "sha256") -> bytes:
        (self.folder / "data").write_bytes(data)
        self.run("ts", "-query", "-data", "data", f"-{digest}", "-cert", "-out", "query")
        self.run("ts", "-reply", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", "reply",
                 "-config", "config", "-section", "it")  # fmt: skip
        return (self.folder / "reply").read_bytes()


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    width = (size.bit_length() + 7) // 8
    return bytes([tag, size] if size < 128 else [tag, 0x80 | width, *size.to_bytes(width, "big")]) + content


def said_beside(response: bytes, words: str) -> bytes:
    """The response with free text in its status, which is outside of all that the authority signed."""
    token = response[response.index(bytes.fromhex("30030201") + b"\0") + 5 :]  # after the status: granted, no more said
    status = der(0x30, der(0x02, b"\0") + der(0x30, der(0x0C, words.encode())))
    return der(0x30, status + token)


def test_the_time_of_a_stamp_is_the_one_that_was_signed(check, openssl, authority):
    head = good().files["head"]
    raw = authority.stamp(head)
    at = openssl.stamped(raw, head, authority.chain, authority.chain)
    assert abs(at - time.time()) < 600
    for words in (
        "ok\nTime stamp: Jan  2 03:04:05 2021 GMT",
        "Time stamp: Jan  2 03:04:05 2021 GMT\nHash Algorithm: sha512\n",
        "granted",
    ):
        forged = said_beside(raw, words)
        assert openssl.stamped(forged, head, authority.chain, authority.chain) == at, words
        files = changed(good(), lambda f, r=forged: f.update({"stamps/tsa.tsr": r, "stamps/tsa.pem": authority.chain}))
        assert "2021" not in "\n".join(check(files, authority=authority.chain).proved())


def test_a_stamp_over_a_digest_that_is_broken_is_none(check, openssl, authority):
    head = good().files["head"]
    weak = said_beside(authority.stamp(head, "sha1"), "ok\nHash Algorithm: sha256")
    for raw in (authority.stamp(head, "sha1"), weak):
        assert openssl.stamped(raw, head, authority.chain, authority.chain) is None
        files = changed(good(), lambda f, r=raw: f.update({"stamps/tsa.tsr": r, "stamps/tsa.pem": authority.chain}))
        assert [(step, name) for step, name, _ in check(files).faults] == [(9, "stamps/tsa.tsr")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


def test_a_stamp_over_the_head_is_checked_and_says_whose_certificates_it_rests_on(check, authority):
    def stamped(data: bytes, chain: bytes = authority.chain) -> Files:
        return changed(good(), lambda f: f.update({"stamps/tsa.tsr": authority.stamp(data), "stamps/tsa.pem": chain}))

    files = stamped(good().files["head"])
    checked = check(files)
    assert (checked.faults, checked.status[9]) == ([], "passed")
    assert "The certificates of the time-stamp authority tsa, which are from the pack" in "\n".join(checked.relied())
    assert "time-stamp" not in "\n".join(checked.proved())
    checked = check(files, authority=authority.chain)
    assert "A time-stamp of tsa shows that the head existed on" in "\n".join(checked.proved())
    foreign = Authority(authority.folder.parent / "two")
    for faulty in (check(files, authority=foreign.chain), check(stamped(good().files["checkpoint"])),
                   check(stamped(good().files["head"], foreign.chain))):  # fmt: skip
        assert [(step, name) for step, name, _ in faulty.faults] == [(9, "stamps/tsa.tsr")]
