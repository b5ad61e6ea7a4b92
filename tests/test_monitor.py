"""Stories of published heads: what the force publishes, and what somebody outside sees who keeps the lines."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provenance import entries, publicising
from provenance.archive import Archive
from provenance.cli import main
from provenance.errors import Malformed, Missing, Tampered
from provenance.keys import SigningKey
from provenance.log import Log
from provenance.notes import COSIGNATURE, Note, Signer, Verifier
from provenance.notices import Notice, parse_series
from provenance.policies import Policy

NAME = "force.example/log"
KEY = SigningKey(NAME, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
DIGEST = "ab" * 32
WHO = {"on": "2026-11-22T12:00:00Z", "by": "tests", "under": "a story"}


def built(label: str, number: int) -> entries.Built:
    return entries.Built(
        **WHO, label=label, number=number, cut_off="2026-11-22T12:00:00Z", extracts=0, rules=DIGEST, statement=DIGEST,
        tables=(entries.Table(name="link", size=0, root=DIGEST),), left_out=(), files=(),
    )  # fmt: skip


def noise(about: str) -> entries.Act:
    return entries.Confirmed(**WHO, extract=0, threshold="drop", reason=about)


class Publisher:
    """A log of its own and the lines that it published; it may lie, since it has the key."""

    def __init__(self, folder: Path, key: Signer = KEY) -> None:
        self.folder, self.key = folder, key
        self.log = Log.create(folder, origin=key.verifier.name, key=key)
        self.lines: list[str] = []
        self._builds = 0
        (folder / "policy").write_text(f"log {key.verifier}\nquorum none\n")

    def week(self, label: str, *, acts: int = 3, publish: bool = True, build: bool = True) -> None:
        """Some acts, a build, and its line."""
        self._builds += build
        more = [noise(f"{label} {n}") for n in range(acts)]
        self.log.append([*more, *([built(label, self._builds)] if build else [])], key=self.key)
        if publish:
            self.publish(label)

    def publish(self, label: str) -> None:
        self.lines.append(str(Notice(label, self.key.verifier.name, self.log.size, self.log.root)))

    def series(self, *lines: str) -> Path:
        path = self.folder.with_name("kept.txt")
        path.write_text("".join(f"{line}\n" for line in lines or self.lines))
        return path


@pytest.fixture
def force(tmp_path):
    return Publisher(tmp_path / "log")


def monitor(series: Path, log: Path | None = None, *more: object, code: int = 0) -> dict:
    words = ["monitor", str(series), "--json", *(["--log", str(log)] if log else []), *map(str, more)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == code, (done.stdout, done.stderr, done.exception)
    return json.loads(done.stdout)


def kinds(told: dict) -> list[tuple[str, str]]:
    return [(finding["kind"], finding["label"]) for finding in told["findings"]]


def test_every_week_was_published_and_the_log_has_them_all(force):
    for number in range(40, 49):
        force.week(f"2026-W{number}", acts=number)
    force.week("2026-W49", publish=False)
    told = monitor(force.series(), force.folder)
    assert told["verified"] is True
    assert [each["label"] for each in told["heads"]] == [f"2026-W{number}" for number in range(40, 49)]
    assert told["log"]["size"] == force.log.size
    assert monitor(force.series())["log"] is None


def test_what_it_says_to_people(force):
    force.week("2026-W46")
    force.week("2026-W48")
    words = ["monitor", str(force.series()), "--log", str(force.folder)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 4
    assert "2026-W48  8 entries  as in the log" in done.stdout
    assert "no head for 2026-W47, between 2026-W46 and 2026-W48; the log has no build" in done.stdout
    assert "2 published heads do NOT hold together." in done.stdout
    assert "get that file elsewhere" in done.stdout
    assert done.stderr == "Tampered: published heads do not hold together: 1 finding, listed above\n"
    assert max(map(len, done.stdout.splitlines())) <= 80
    alone = CliRunner().invoke(main, ["monitor", str(force.series(force.lines[0]))])
    assert alone.exit_code == 0
    assert "Not looked at: whether a log has these heads" in alone.stdout


def test_a_week_was_built_and_not_published(force):
    force.week("2026-W45")
    force.week("2026-W46", publish=False)
    force.week("2026-W47")
    told = monitor(force.series(), force.folder, code=4)
    assert kinds(told) == [("gap", "2026-W46")]
    assert told["findings"][0]["words"].endswith("; the log has a build of 2026-W46")


def test_the_log_was_rolled_back_and_grew_again(force, tmp_path):
    """W46 is published, the log goes back to W45, another W46 is logged; a copy of that log is handed out."""
    force.week("2026-W45")
    shutil.copytree(force.folder, tmp_path / "before")
    force.week("2026-W46")
    kept = list(force.lines)
    shutil.rmtree(force.folder)
    shutil.copytree(tmp_path / "before", force.folder)
    force.log = Log.open(force.folder, vkey=KEY.verifier)
    told = monitor(force.series(*kept), force.folder, code=4)
    assert kinds(told) == [("rollback", "2026-W46")]
    assert told["findings"][0]["words"].startswith("the log has 4 entries, fewer than the 8 of 2026-W46")
    force.week("2026-W46", acts=9)
    told = monitor(force.series(*kept), force.folder, code=4)
    assert kinds(told) == [("fork", "2026-W46"), ("label", "2026-W46")]
    both = monitor(force.series(*kept, force.lines[-1]), force.folder, code=4)
    assert ("repeated", "2026-W46") in kinds(both)


def test_a_log_that_lacks_one_act_lacks_the_head(force, tmp_path):
    force.week("2026-W46", publish=False)
    shutil.copytree(force.folder, tmp_path / "before")
    force.log.append([noise("one more")], key=KEY)
    force.publish("2026-W46")
    told = monitor(force.series(), tmp_path / "before", code=4)
    assert kinds(told) == [("rollback", "2026-W46")]
    assert told["findings"][0]["words"].startswith("the log has 4 entries, fewer than the 5 of 2026-W46")


def test_two_keepers_were_shown_two_histories(force, tmp_path):
    other = Publisher(tmp_path / "other")
    for publisher, reason in ((force, "as it was"), (other, "as it was told")):
        publisher.log.append([noise(reason)], key=KEY)
        publisher.week("2026-W46")
    assert monitor(force.series(), force.folder)["verified"]
    assert kinds(monitor(force.series(), other.folder, code=4)) == [("fork", "2026-W46")]
    told = monitor(force.series(*force.lines, *other.lines), code=4)
    assert kinds(told) == [("repeated", "2026-W46"), ("fork", "2026-W46")]


def test_one_line_was_changed_by_one_entry_s_worth(force):
    for number in (45, 46, 47):
        force.week(f"2026-W{number}")
    label, origin, size, root = force.lines[1].split(" ")
    moved = f"{label} {origin} {int(size) - 1} {root}"
    told = monitor(force.series(force.lines[0], moved, force.lines[2]), force.folder, code=4)
    assert kinds(told) == [("fork", "2026-W46"), ("label", "2026-W46")]


def test_a_head_was_published_under_another_build_s_name(force):
    force.week("2026-W45")
    force.week("2026-W46", build=False)
    told = monitor(force.series(), force.folder, code=4)
    assert kinds(told) == [("label", "2026-W46")]
    assert told["findings"][0]["words"] == "2026-W46: in the first 7 entries the latest build is 2026-W45"


def test_lines_of_another_log(force, tmp_path):
    other = Publisher(
        tmp_path / "other", SigningKey("other", Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34))))
    )
    other.week("2026-W46")
    told = monitor(force.series(*other.lines), other.folder)
    assert told["verified"]
    force.week("2026-W46")
    assert kinds(monitor(force.series(*other.lines), force.folder, code=4)) == [("origin", "2026-W46")]


def test_a_log_that_is_damaged_is_said_beside_the_rest(force):
    force.week("2026-W44")
    force.week("2026-W46", acts=300)
    for path in sorted((force.folder / "tile" / "entries").rglob("*")):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"a story", b"a storm", 1))
    told = monitor(force.series(), force.folder, code=4)
    assert kinds(told) == [("gap", "2026-W45"), ("log", "")]
    (force.folder / "checkpoint").write_bytes(b"")
    assert kinds(monitor(force.series(), force.folder, code=4)) == [("gap", "2026-W45"), ("log", "")]


def test_each_spoilt_byte_of_the_log_s_head_is_found(force):
    force.week("2026-W46")
    series, head = force.series(), (force.folder / "checkpoint").read_bytes()
    for place in range(len(head)):
        (force.folder / "checkpoint").write_bytes(head[:place] + bytes([head[place] ^ 1]) + head[place + 1 :])
        with pytest.raises((Malformed, Tampered)):
            publicising.open_log(force.folder, Policy.parse((force.folder / "policy").read_bytes()))
    (force.folder / "checkpoint").write_bytes(head)
    assert monitor(series, force.folder)["verified"]


def test_whose_key_it_is_comes_from_elsewhere(force, tmp_path):
    force.week("2026-W46")
    policy = tmp_path / "policy"
    policy.write_bytes((force.folder / "policy").read_bytes())
    (force.folder / "policy").unlink()
    assert monitor(force.series(), force.folder, "--policy", policy)["verified"]
    done = CliRunner().invoke(main, ["monitor", str(force.series()), "--log", str(force.folder)])
    assert (done.exit_code, done.stderr.split(":")[0]) == (5, "Missing")
    policy.write_text(f"log {SigningKey(NAME, WITNESS).verifier}\nquorum none\n")
    told = monitor(force.series(), force.folder, "--policy", policy, code=4)
    assert kinds(told) == [("log", "")]


def test_a_quorum_that_is_not_met(force, tmp_path):
    force.week("2026-W46")
    witness = Verifier("ethics.example/witness", WITNESS.public_key().public_bytes_raw(), COSIGNATURE)
    policy = tmp_path / "policy"
    policy.write_text(f"log {KEY.verifier}\nwitness ethics {witness}\nquorum ethics\n")
    told = monitor(force.series(), force.folder, "--policy", policy, code=4)
    assert kinds(told) == [("log", "2026-W46")]
    assert told["log"]["quorum_met"] is False

    class Ethics:
        verifier = witness

        def sign(self, message: bytes) -> bytes:
            at = (2**62).to_bytes(8, "big")  # a clock that is out of its mind
            return at + WITNESS.sign(f"cosignature/v1\ntime {2**62}\n".encode() + message)

    note = Note.parse(force.log.checkpoint)
    cosigned = Note(note.text, note.signatures + Note.signed(note.text, Ethics()).signatures)
    (force.folder / "checkpoint").write_bytes(bytes(cosigned))
    told = monitor(force.series(), force.folder, "--policy", policy)
    assert (told["log"]["cosigned"], told["log"]["quorum_met"]) == (["ethics"], True)
    words = (
        CliRunner()
        .invoke(main, ["monitor", str(force.series()), "--log", str(force.folder), "--policy", str(policy)])
        .stdout
    )
    assert f"Cosigned by ethics, second {2**62} since 1970." in words
    assert "Relied on: the keys in policy." in words


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "no line in it"), ("# nothing yet\n", "no line in it"), ("2026-W46 force\n", "line 1: published head")],
)
def test_a_series_that_is_none(tmp_path, content, words):
    path = tmp_path / "kept.txt"
    path.write_text(content)
    done = CliRunner().invoke(main, ["monitor", str(path)])
    assert done.exit_code == 7
    assert words in done.stderr


def test_a_policy_without_a_log_is_a_slip(force):
    force.week("2026-W46")
    done = CliRunner().invoke(main, ["monitor", str(force.series()), "--policy", str(force.folder / "policy")])
    assert done.exit_code == 2


# -- what the force does


@pytest.fixture
def archive(tmp_path):
    made = Archive.found(tmp_path / "force", tmp_path / "force.keys", name="force", **WHO)
    yield made
    made.close()


def checkpoint(archive: Archive, *more: str, code: int = 0):
    done = CliRunner().invoke(main, ["--archive", str(archive.root), "checkpoint", *more])
    assert done.exit_code == code, (done.stdout, done.stderr, done.exception)
    return done


def test_a_line_is_published_once_per_build_and_an_outsider_s_monitor_agrees(archive, tmp_path):
    lines = []
    for number, label in enumerate(("2026-W45", "2026-W46", "2026-W46.2", "2026-W47"), 1):
        archive.append(built(label, number))
        lines.append(checkpoint(archive).stdout)
        archive.append(noise(f"after {label}"))
        again = checkpoint(archive)
        assert again.stdout == lines[-1]
        assert "1 act logged since" in again.stderr
    kept = tmp_path / "kept.txt"
    kept.write_text("".join(lines))
    assert (archive.root / publicising.SERIES).read_bytes() == kept.read_bytes()
    (tmp_path / "policy").write_text(f"log {archive.log.vkey}\nquorum none\n")
    told = monitor(kept, archive.root / "log", "--policy", tmp_path / "policy")
    assert [each["size"] for each in told["heads"]] == [2, 4, 6, 8]
    assert list(publicising.faults(archive)) == [""] * 4
    assert sorted(path.name for path in (archive.root / "log" / "heads").iterdir() if path.name.isdigit()) == [
        "2", "4", "6", "8",
    ]  # fmt: skip


def test_the_line_as_json_and_the_note(archive):
    archive.append(built("2026-W45", 1))
    head = archive.log.checkpoint
    told = json.loads(checkpoint(archive, "--json").stdout)
    assert (told["label"], told["size"], told["new"], told["logged_since"]) == ("2026-W45", 2, True, 0)
    assert told["note"].encode() == head
    assert told["line"] == checkpoint(archive).stdout.rstrip("\n")
    assert json.loads(checkpoint(archive, "--json").stdout)["new"] is False
    archive.append(noise("later"))
    assert checkpoint(archive, "--note").stdout.encode() == head


def test_without_a_build_there_is_nothing_to_publish(archive):
    assert "no build to publish a head for" in checkpoint(archive, code=5).stderr
    with pytest.raises(Missing):
        publicising.publish(archive)
    assert not (archive.root / publicising.SERIES).exists()


@pytest.mark.parametrize("spoil", ["root", "size", "origin", "label", "torn"])
def test_a_log_that_does_not_bear_out_what_was_published_publishes_nothing_more(archive, spoil):
    archive.append(built("2026-W45", 1))
    checkpoint(archive)
    path = archive.root / publicising.SERIES
    (notice,) = parse_series(path.read_bytes())
    spoilt = {
        "root": str(notice).replace(str(notice).split(" ")[3], "A" * 43 + "="),
        "size": f"{notice} ".replace(" 2 ", " 9 ").rstrip(),
        "origin": str(notice).replace("force", "farce"),
        "label": str(notice).replace("W45", "W44"),
        "torn": str(notice)[:-9],
    }[spoil]
    path.write_text(spoilt + "\n")
    archive.append(built("2026-W46", 2))
    done = checkpoint(archive, code=7 if spoil == "torn" else 4)
    assert path.read_text() == spoilt + "\n"
    if spoil == "torn":
        assert "series of published heads: line 1: published head" in done.stderr
    else:
        assert "published heads do not fit the log, so no further one is published" in done.stderr
        assert [fault for fault in publicising.faults(archive) if fault]


class Broken(Exception):
    """The disk, this once."""


def breaking(patch, at: int) -> list[str]:
    """Let the call numbered `at` fail, of those that make something durable; which calls came."""
    seen: list[str] = []

    def watched(name: str):
        real = getattr(os, name)

        def call(*arguments, **said):
            seen.append(name)
            if len(seen) == at:
                raise Broken
            return real(*arguments, **said)

        return call

    for name in ("fsync", "replace", "mkdir"):
        patch.setattr(os, name, watched(name))
    return seen


def test_wherever_the_disk_fails_the_line_is_published_once(archive, tmp_path):
    """Each call that makes something durable fails in its turn: the series is as it was or has the line, whole."""
    archive.append(built("2026-W45", 1))
    path, failed = archive.root / publicising.SERIES, 0
    folders = (path.parent, archive.root / "log" / "heads")
    while True:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        with pytest.MonkeyPatch.context() as patch:
            calls = breaking(patch, failed + 1)
            try:
                publicising.publish(archive)
            except Broken:
                failed += 1
            else:
                break
        assert calls
        before = path.read_bytes() if path.exists() else b""
        notice = publicising.publish(archive).notice
        assert before in (b"", f"{notice}\n".encode())
        assert path.read_bytes() == f"{notice}\n".encode()
        assert [each.name for each in folders[1].iterdir() if not each.name.startswith(".")] == ["2"]
        assert list(publicising.faults(archive)) == [""]
    assert failed == len(calls) >= 6


def test_a_last_line_without_its_end_is_not_run_together_with_the_next(archive):
    archive.append(built("2026-W45", 1))
    checkpoint(archive)
    path = archive.root / publicising.SERIES
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    archive.append(built("2026-W46", 2))
    checkpoint(archive)
    assert [notice.label for notice in parse_series(path.read_bytes())] == ["2026-W45", "2026-W46"]


def test_a_quorum_is_met_by_a_head_that_was_cosigned_though_the_log_went_on(force, tmp_path):
    from provenance.heads import Heads
    from provenance.keys import SigningKey
    from provenance.notes import cosign, cosigner

    witness = SigningKey.create(tmp_path / "witness.pem", name="ethics.example/witness")
    policy = tmp_path / "policy"
    policy.write_text(f"log {KEY.verifier}\nwitness ethics {cosigner(witness.verifier)}\nquorum ethics\n")
    force.week("2026-W46")
    note = (force.folder / "checkpoint").read_bytes()
    Heads(force.folder / "heads").keep(note + str(cosign(note, witness, 1_770_000_000)).encode(), [KEY.verifier])
    series = force.series()
    force.week("2026-W47")
    told = monitor(series, force.folder, "--policy", policy)
    assert (told["log"]["cosigned"], told["log"]["quorum_met"]) == (["ethics"], True)
    told = monitor(force.series(), force.folder, "--policy", policy, code=4)  # the next week's is not cosigned yet
    assert kinds(told) == [("log", "2026-W47")]
