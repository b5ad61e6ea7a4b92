"""A story with everybody in it: the force, its witness, a time-stamping authority, a keeper of notices, and a court.

Through the commands alone, as each of them would type. The key is replaced on the way.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from force import ROOT, record, write_extract

from provenance.cli import main
from provenance.notes import Note
from provenance.proofs import Proof

if not shutil.which("openssl"):
    pytest.skip("the program openssl is not installed, and it stamps the time in this story", allow_module_level=True)

from test_stamps import Authority

SUNDAY = [f"2026-01-{day}T23:59:59Z" for day in (11, 18)]
CASE = "2026-01-12T10:00:00Z"


class People:
    """Hands on the command line, each with a folder of their own and a clock."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch, self.force = folder, patch, folder / "force"

    def at(self, moment: str) -> None:
        self.patch.setenv("SOURCE_DATE_EPOCH", str(int(datetime.fromisoformat(moment).timestamp())))

    def type(self, *arguments: Any, code: int = 0) -> str:
        done = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done.stdout

    def of_force(self, *arguments: Any, code: int = 0) -> str:
        return self.type("--archive", self.force, *arguments, code=code)

    def week(self, number: int, *rows: dict[str, Any]) -> str:
        """An extract, its build, and the line for the notice."""
        self.at(SUNDAY[number])
        folder = write_extract(
            self.folder / f"extract-{number}", rows, cut_off=SUNDAY[number], mode="delta" if number else "full",
            systems=["CONNECT"],
        )  # fmt: skip
        self.of_force("receive", folder)
        self.of_force("build", "--published-at", SUNDAY[number])
        return self.of_force("checkpoint").strip()

    def cosigned(self, code: int = 0) -> None:
        """A request by mail, signed or not, and the answer that comes back."""
        request, answer = self.folder / "request.txt", self.folder / "answer.txt"
        self.of_force("witness", "request", "--out", request)
        self.type("witness", "sign", self.folder / "ethics", request, "--out", answer, code=code)
        if not code:
            self.of_force("witness", "add", answer)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[People, dict[str, Any]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        people, said = People(tmp_path_factory.mktemp("outsiders"), patch), {}
        people.at("2026-01-01T09:00:00Z")
        people.of_force("init")
        people.type("witness", "init", people.folder / "ethics", "--name", "ethics.example/witness")
        first = json.loads(people.of_force("key", "list", "--json"))["keys"][0]["vkey"]
        people.type("witness", "trust", people.folder / "ethics", first)
        policy = people.force / "log" / "policy"
        witness = (people.folder / "ethics" / "vkey").read_text().strip()
        policy.write_text(f"log {first}\nwitness ethics {witness}\nquorum ethics\n")
        authority = Authority(people.folder)
        people.of_force("timestamp", "authority", "acme", authority.folder / "whole.pem")

        said["lines"] = [people.week(0, record("R-1", "ANN", "BOB"), record("R-2", "ANN", "CAT"))]
        people.cosigned()
        people.of_force("timestamp", "request", "--out", people.folder / "head.tsq")
        (people.folder / "head.tsr").write_bytes(authority.answer((people.folder / "head.tsq").read_bytes()))
        people.of_force("timestamp", "add", "acme", people.folder / "head.tsr")
        people.of_force("asof", CASE, "--nominal", "ANN", "--proof", people.folder / "before")
        shutil.copytree(people.force / "log", people.folder / "old-log")

        people.at("2026-01-15T09:00:00Z")
        people.of_force("key", "rotate", "--reason", "scheduled", "--under", "key plan 2026")
        said["lines"].append(people.week(1, record("R-3", "ANN", "DAN")))
        people.cosigned(code=3)  # the committee was not told of the new key
        second = json.loads(people.of_force("key", "list", "--json"))["keys"][1]["vkey"]
        people.type("witness", "trust", people.folder / "ethics", second)
        people.cosigned()
        people.of_force("asof", CASE, "--nominal", "ANN", "--proof", people.folder / "after")
        people.of_force("asof", "2026-01-19T10:00:00Z", "--nominal", "ANN", "--proof", people.folder / "second")
        said.update(keys=[first, second], witness=witness)
        yield people, said


def checked(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "verify.py", ".", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_the_archive_verifies_and_says_who_vouches_for_it(told):
    people, _ = told
    answer = json.loads(people.of_force("verify", "--json"))
    assert answer["verified"]
    assert [words.split(",")[0].split(" ")[0] for words in answer["relied_on"][1:]] == ["ethics", "2", "1"]


@pytest.mark.parametrize("pack", ["before", "after", "second"])
def test_each_pack_verifies_by_all_that_a_court_may_have(told, pack, tmp_path):
    people, said = told
    (tmp_path / "policy").write_text(
        "".join(f"log {key}\n" for key in said["keys"]) + f"witness ethics {said['witness']}\nquorum ethics\n"
    )
    line = said["lines"][0 if pack == "before" else 1]
    for arguments in ([], ["--policy", str(tmp_path / "policy")], ["--published", line]):
        answer = json.loads(people.type("verify", people.folder / pack, *arguments, "--json"))
        assert answer["verified"], answer
        done = checked(people.folder / pack, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_stamp_is_in_the_pack_and_is_judged_by_openssl(told):
    people, _ = told
    assert (people.folder / "before" / "stamps" / "acme.tsr").exists()
    assert "acme" in checked(people.folder / "before").stdout
    shutil.copytree(people.folder / "before", people.folder / "spoilt", dirs_exist_ok=True)
    stamp = people.folder / "spoilt" / "stamps" / "acme.tsr"
    data = bytearray(stamp.read_bytes())
    data[-40] ^= 1
    stamp.write_bytes(bytes(data))
    sums = people.folder / "spoilt" / "SHA256SUMS"
    import hashlib

    digest = hashlib.sha256(bytes(data)).hexdigest()
    lines = [f"{digest}{line[64:]}" if line.endswith("acme.tsr") else line for line in sums.read_text().splitlines()]
    sums.write_text("\n".join(lines) + "\n")
    assert checked(people.folder / "spoilt").returncode == 4
    assert json.loads(people.type("verify", people.folder / "spoilt", "--json", code=4))["steps"][8]["faults"]


def test_the_keeper_of_the_notices_sees_one_history(told):
    people, said = told
    (people.folder / "kept.txt").write_text("\n".join(said["lines"]) + "\n")
    answer = json.loads(people.type("monitor", people.folder / "kept.txt", "--log", people.force / "log", "--json"))
    assert (answer["verified"], answer["log"]["cosigned"]) == (True, ["ethics"])
    told_of = json.loads(
        people.type("monitor", people.folder / "kept.txt", "--log", people.folder / "old-log", "--json", code=4)
    )
    assert {finding["kind"] for finding in told_of["findings"]} >= {"rollback"}


def test_what_was_signed_by_the_old_key_is_judged_by_it_and_nothing_new_is(told):
    people, said = told
    keys = [json.loads(line.read_bytes())["vkey"] for line in sorted((people.folder / "second" / "log").glob("*.entry"))
            if b'"vkey"' in line.read_bytes()]  # fmt: skip
    assert keys == said["keys"]
    build = json.loads((people.folder / "second" / "statement.json").read_bytes())["signatures"][0]["keyid"]
    assert build == "+".join(said["keys"][1].split("+")[:2])
    built = json.loads((people.folder / "second" / "pack.json").read_bytes())["entries"]["built"]
    proof = Proof.parse((people.folder / "second" / "log" / f"{built}.tlog-proof").read_bytes())
    assert [line.name for line in Note.parse(proof.checkpoint).signatures] == ["force", "ethics.example/witness"]


def test_the_committees_key_was_never_on_the_force_s_machine(told):
    people, _ = told
    secret = (people.folder / "ethics" / "key.pem").read_bytes().split(b"\n")[1]
    for path in [*people.force.rglob("*"), *people.folder.glob("force.keys/*"), *(people.folder / "second").rglob("*")]:
        assert not path.is_file() or secret not in path.read_bytes()


def test_the_parameters_are_those_of_the_house(told):
    people, _ = told
    assert (people.force / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
