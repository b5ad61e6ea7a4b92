"""A changed byte in any stored file is found, and the report names the file or the row (R02).

An archive of three builds is damaged in every way that a disk, a careless hand or a liar would: each file in turn, at
its ends, in its middle and at random places. The folder is walked, so a file of a new kind fails here until somebody
has said what finds its damage.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from force import Force, record

from provenance import verify
from provenance.archive import Archive
from provenance.errors import Missing, ProvenanceError, Refused, Tampered

# Every kind of file there is: its path, and what else than its path may name it in the report.
ITS_PATH = ""
KINDS = {
    r"store/received/\d{4}/[a-z]+\.parquet": ITS_PATH,
    r"store/(records|links|networks)/\d{4}-W\d\d\.[a-z]+\.parquet": ITS_PATH,
    r"builds/\d{4}-W\d\d\.json": ITS_PATH,
    r"builds/harm/[0-9a-f]{64}\.csv": ITS_PATH,
    r"log/checkpoint": ITS_PATH,
    r"log/policy": ITS_PATH,
    r"log/tile/(\d+|entries)/\d{3}\.p/\d+": ITS_PATH,
    r"vault/keyring": ITS_PATH,
    r"vault/[0-9a-f]{16}\.shard": ITS_PATH,
    r"archive\.json": ITS_PATH,
    r"index/catalogue\.sqlite": ITS_PATH,
    r"index/catalogue\.sha256": r"index/catalogue\.sqlite and its digest catalogue\.sha256 disagree",
    r"index/(people|\d{5}(\.(nominal|network))?)\.figures": ITS_PATH,
    r"keys/log\.pem": r"(signing key|key file) log\.pem",
    r"keys/master": r"the master key is another one",  # nothing but what it opens can tell; see its length below
}
EMPTY = r"(log|store|vault|index)/\.writer"  # locks: nothing is in them and nothing reads them


@dataclass
class Stored:
    """The files of an archive and of its keys, and how to put them back."""

    root: Path
    keys: Path
    files: dict[str, bytes]

    def path(self, name: str) -> Path:
        return self.keys / name.removeprefix("keys/") if name.startswith("keys/") else self.root / name

    def present(self) -> dict[str, bytes]:
        found = {f"keys/{p.relative_to(self.keys).as_posix()}": p for p in self.keys.rglob("*") if p.is_file()}
        found |= {p.relative_to(self.root).as_posix(): p for p in self.root.rglob("*") if p.is_file()}
        return {name: path.read_bytes() for name, path in sorted(found.items())}

    def put(self, name: str, data: bytes) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as handle:
            handle.write(data)

    def restore(self) -> None:
        present = self.present()
        for name in present.keys() - self.files.keys():
            self.path(name).unlink()
        for name, data in self.files.items():
            if present.get(name) != data:
                self.put(name, data)

    def report(self) -> str:
        """What opening the archive, or verifying it, says; "" when all is well."""
        try:
            with Archive(self.root, self.keys) as archive:
                verify.insist(verify.verify(archive))
        except ProvenanceError as error:
            return str(error)
        return ""

    def report_with(self, name: str, data: bytes) -> str:
        """The report while a file holds this instead."""
        self.put(name, data)
        try:
            return self.report()
        finally:
            self.restore()

    def names(self, report: str, name: str) -> bool:
        """Whether the report names this file."""
        other = next(other for kind, other in KINDS.items() if re.fullmatch(kind, name))
        return bool(re.search(other or re.escape(name), report))


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Iterator[Stored]:
    """Three weeks with people, a merge, an order and a withdrawal: every table has rows, and every kind a file."""
    force = Force(tmp_path_factory.mktemp("tamper"), "force")
    merge = {
        "from_nominal": "N4",
        "into_nominal": "N3",
        "evidence": "fingerprints",
        "by": "DI",
        "at": "2026-01-12T10:00:00Z",
    }
    order = {"what": "nominal", "id": "N9", "authority": "MOPI review", "at": "2026-01-12T10:00:00Z"}
    names = [{"nominal_id": "N1", "name": "One"}, {"nominal_id": "N2", "name": "Two"}]
    weeks = [
        [record("R1", "N1", "N2"), record("R2", "N1", "N2:victim"), record("R3", "N2", "N4")],
        [record("R1", "N1", "N2"), record("R2", "N1", "N2:witness"), record("R4", "N3", "N5", "N6")],
        [record("R1", "N1", "N2"), record("R2", "N1", "N2:witness"), record("R5", "N1", "N7", "N8", "N10")],
    ]
    for week, rows in enumerate(weeks):
        cut_off = f"2026-01-{11 + 7 * week}T23:59:59Z"
        force.receive(
            *rows, cut_off=cut_off, nominals=names, merges=[merge] * (week == 1), disposals=[order] * (week == 1)
        )
        force.build(cut_off)
        force.archive.close()
        shutil.copytree(force.root, force.folder / f"after-{week + 1}")
    stored = Stored(force.root, force.keys, {})
    stored.files = stored.present()
    assert stored.report() == ""
    yield stored
    stored.restore()
    assert stored.report() == ""


@pytest.fixture
def stored(archive) -> Iterator[Stored]:
    yield archive
    archive.restore()


def changed(data: bytes, place: int, bits: int) -> bytes:
    return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]


def files_of(stored: Stored) -> list[str]:
    """All files but the empty locks; fails on a kind that nobody has thought about."""
    names = [name for name in stored.files if not re.fullmatch(EMPTY, name)]
    unknown = [name for name in names if not any(re.fullmatch(kind, name) for kind in KINDS)]
    assert not unknown, f"no expectation for {unknown}: say in KINDS what finds their damage"
    return names


def test_every_kind_of_file_is_here_and_known(stored):
    names = files_of(stored)
    assert [kind for kind in KINDS if not any(re.fullmatch(kind, name) for name in names)] == []
    assert {name for name in stored.files if re.fullmatch(EMPTY, name) and stored.files[name]} == set()


def test_a_changed_byte_is_found_and_its_file_named(stored):
    """First, middle, last and a random one of every file: with dozens of segments, that is many places in each kind."""
    chance = Random(2)
    unseen, flips = [], 0
    for name in files_of(stored):
        data = stored.files[name]
        for place in sorted({0, len(data) // 2, len(data) - 1, chance.randrange(len(data))}):
            bits = chance.choice((0x01, 0x20, 0x80, chance.randint(1, 255)))
            report = stored.report_with(name, changed(data, place, bits))
            if not stored.names(report, name):
                unseen.append((name, place, bits, report))
            flips += 1
    assert unseen == []
    assert flips > 200


def test_the_files_that_people_could_edit_forgive_no_byte(stored):
    """Text, encodings of keys and a tile: those with a form that a lenient reader would forgive a change in."""
    chance = Random(3)
    newest = max(int(name.rsplit("/", 1)[1]) for name in stored.files if name.startswith("log/tile/0/"))
    for name in ("archive.json", "log/checkpoint", "keys/log.pem", f"log/tile/0/000.p/{newest}"):
        data = stored.files[name]
        for place in range(chance.randrange(7), len(data), 7):
            bits = chance.choice((0x01, 0x02, 0x20))
            assert stored.names(stored.report_with(name, changed(data, place, bits)), name), (name, place, bits)


def test_a_file_cut_short_or_grown_is_named(stored):
    """One way for each file in turn, and all four ways for the first file of each kind."""
    names = files_of(stored)
    first = {next(name for name in names if re.fullmatch(kind, name)) for kind in KINDS}
    for number, name in enumerate(names):
        data = stored.files[name]
        ways = [b"", data[: len(data) // 2], data[:-1], data + b"\0"]
        for content in ways if name in first else ways[number % 4 :][:1]:
            report = stored.report_with(name, content)
            if name == "keys/master":
                assert report == f"master key master: {len(content)} bytes, wanted 32"
            else:
                assert stored.names(report, name), (name, len(content), report)


def test_a_file_that_is_gone_is_named_unless_nothing_rests_on_it(stored):
    """What is derived is made again. Narrower tiles were for earlier heads: whoever needs one has a newer one."""
    unmissed = []
    for name in files_of(stored):
        stored.path(name).unlink()
        report = stored.report()
        if report == "":
            unmissed.append(name)
        else:
            assert {"keys/master": "key file master", "keys/log.pem": "key file log.pem"}.get(name, name) in report
        stored.restore()
    width = {
        level: max(int(n.rsplit("/", 1)[1]) for n in stored.files if n.startswith(f"log/tile/{level}/"))
        for level in ("0", "entries")
    }
    earlier = [
        n for n in stored.files if (m := re.fullmatch(r"log/tile/(\w+)/000\.p/(\d+)", n)) and int(m[2]) < width[m[1]]
    ]
    derived = [n for n in stored.files if re.fullmatch(r"index/\w+(\.\w+)*", n)]
    assert sorted(unmissed) == sorted(earlier + derived)


def test_a_lost_index_is_made_again_with_the_same_bytes(stored):
    """All but the figures, which the next build opens the rows for."""
    shutil.rmtree(stored.root / "index")
    assert stored.report() == ""
    made = stored.present()
    other = [name for name in stored.files if made.get(name) != stored.files[name]]
    assert [name for name in other if not re.fullmatch(r"index/(catalogue\.(sqlite|sha256)|.*\.figures)", name)] == []


def test_two_files_that_changed_places_are_named(stored):
    names = files_of(stored)
    swapped = 0
    for kind in KINDS:
        for one, other in pairwise(name for name in names if re.fullmatch(kind, name)):
            if stored.files[one] == stored.files[other]:
                continue
            stored.put(one, stored.files[other])
            stored.put(other, stored.files[one])
            report = stored.report()
            assert stored.names(report, one) or stored.names(report, other), (one, other, report)
            swapped += 1
            stored.restore()
    assert swapped > 30


def test_a_file_that_the_log_does_not_know_is_named(stored):
    """But for those that the next extract or the next build would write: a crash may leave some of one build."""
    segment = stored.files["store/links/2026-W03.link.parquet"]
    for name, data in {
        "store/links/2026-W01.link.parquet": segment,  # before the last build
        "store/links/2026-W99.link.parquet": segment,  # no week at all
        "store/received/0099/record.parquet": segment,
        "store/received/0004/link.parquet": segment,
        "store/foreign.parquet": b"anything",
        "builds/2026-W02.2.json": stored.files["builds/2026-W03.json"],
    }.items():
        stored.put(name, data)
        assert stored.report() == (
            f"archive does not verify: stored files: file {name} is in the archive and the log does not know it"
        )
        stored.restore()
    stored.put("store/links/2026-W05.link.parquet", segment)
    assert stored.report() == ""
    stored.put("store/links/2026-W06.link.parquet", segment)
    report = stored.report()
    assert "file store/links/2026-W05.link.parquet is in the archive and the log does not know it" in report
    assert "file store/links/2026-W06.link.parquet is in the archive and the log does not know it" in report


def test_a_segment_of_an_earlier_build_in_the_place_of_a_later_one_is_named(stored):
    for kind in ("links/{}.link", "links/{}.changes", "networks/{}.nominal", "records/{}.changes"):
        later, earlier = (f"store/{kind.format(label)}.parquet" for label in ("2026-W04", "2026-W03"))
        stored.put(later, stored.files[earlier])
        report = stored.report()
        assert f"stored files: file {later} has other bytes than those that were logged" in report
        assert "of build 2026-W04 has" in report or "changes" not in kind  # and then the roots differ too
        stored.restore()


# ---- going back in time ----------------------------------------------------------------------------------------------


def put_back(stored: Stored, *folders: str) -> None:
    """Make these folders what they were after the second build."""
    for folder in folders:
        shutil.rmtree(stored.root / folder)
        shutil.copytree(stored.root.parent / "after-2" / folder, stored.root / folder)


ROLLED_BACK = (
    r"log was rolled back or rewritten: it has 7 entries, and index/catalogue\.sqlite had seen 10 "
    r"with root [0-9a-f]{64}; "
    "preserve both, and if this log is the one you want, remove the folder index"
)


def test_an_earlier_head_of_the_log_is_refused_by_whoever_saw_the_later_one(stored):
    """The catalogue remembers the head from one opening to the next, and refuses before anything is written."""
    stored.put("log/checkpoint", (stored.root.parent / "after-2" / "log" / "checkpoint").read_bytes())
    for _ in range(2):  # refusing has not made it forget
        with pytest.raises(Tampered, match=ROLLED_BACK):
            Archive(stored.root, stored.keys)
    stored.restore()
    put_back(stored, "log", "store", "builds")
    assert re.fullmatch(ROLLED_BACK, stored.report())


def test_a_log_rewritten_under_the_same_key_is_refused_by_whoever_saw_the_other(stored, tmp_path):
    """The holder of the key can sign another history, as long as the first; the memory of the head differs."""
    other = Force.__new__(Force)
    other.root, other.keys = tmp_path / "other", stored.keys
    shutil.copytree(stored.root.parent / "after-2", other.root)
    with Archive(other.root, other.keys) as archive:
        archive.append(*list(archive.log.acts(1, 4)))
    shutil.rmtree(stored.root / "log")
    shutil.copytree(other.root / "log", stored.root / "log")
    with pytest.raises(Tampered, match=r"it has 10 entries, and index/catalogue\.sqlite had seen 10 with root"):
        Archive(stored.root, stored.keys)


def test_an_earlier_head_without_that_memory_is_seen_by_what_is_left_of_two_builds(stored):
    """What is left of one build looks like a build cut off by a crash, and is not held against the archive."""
    shutil.rmtree(stored.root / "index")
    stored.put("log/checkpoint", (stored.root.parent / "after-1" / "log" / "checkpoint").read_bytes())
    report = stored.report()
    for label in ("2026-W03", "2026-W04"):
        for name in (f"builds/{label}.json", f"store/links/{label}.link.parquet"):
            assert f"stored files: file {name} is in the archive and the log does not know it" in report


def test_a_whole_archive_put_back_in_time_is_seen_only_by_who_remembers_its_head(stored):
    """It is a true archive of that day, and verifies. A witness, or a reader that was open, has seen more."""
    with Archive(stored.root, stored.keys) as remembering:
        put_back(stored, "log", "index", "store", "builds")
        assert stored.report() == ""
        with pytest.raises(Tampered, match="log was rolled back: 7 entries, wanted the 10 seen before"):
            remembering.log.refresh()
        assert "log was rolled back" in str(verify.verify(remembering)[0].faults)


def test_an_earlier_vault_lacks_secrets_and_the_report_says_how_many(stored):
    """No disposal destroyed them: the log has none."""
    put_back(stored, "vault")
    report = stored.report()
    assert "vault: the vault lacks 1 secrets that rows of table record need, and the log disposed of none" in report
    assert "vault: the vault lacks 4 secrets that rows of table link need, and the log disposed of none" in report


def test_an_earlier_keyring_with_the_shards_of_today_names_the_shard(stored):
    stored.put("vault/keyring", (stored.root.parent / "after-1" / "vault" / "keyring").read_bytes())
    assert re.search(r"shard vault/[0-9a-f]{16}\.shard is not there", stored.report())


# ---- what opens it ---------------------------------------------------------------------------------------------------


def test_another_master_key_is_named(stored):
    stored.put("keys/master", bytes(32))
    with pytest.raises(Tampered) as error:
        Archive(stored.root, stored.keys)
    assert str(error.value) == (
        "the vault's keyring does not open: the master key is another one, or a byte of vault/keyring was changed"
    )


def test_a_missing_keyring_shard_or_key_is_named(stored):
    shard = next(name for name in stored.files if name.endswith(".shard"))
    for name, message in {
        "vault/keyring": "the vault's keyring is not there: wanted vault/keyring",
        shard: f"shard {shard} is not there: wanted {shard}",
        "keys/master": "key file master is not there: wanted it in force.keys",
    }.items():
        stored.path(name).unlink()
        with pytest.raises(Missing) as error:
            Archive(stored.root, stored.keys)
        assert str(error.value) == message
        stored.restore()


def test_a_key_that_others_may_read_is_refused(stored):
    stored.path("keys/master").chmod(0o640)
    with pytest.raises(Refused, match="key file master may be read or written by others: mode 0640, wanted 0600"):
        Archive(stored.root, stored.keys)
    stored.path("keys/master").chmod(0o600)


def test_a_signing_key_of_somebody_else_signs_nothing_here(stored, tmp_path):
    other = Force(tmp_path, "force")
    shutil.copy(other.keys / "log.pem", stored.path("keys/log.pem"))
    assert stored.report() == (
        "archive does not verify: who signs: key file log.pem is not the one that the log names last"
    )
    with (
        Archive(stored.root, stored.keys) as archive,
        pytest.raises(Refused, match="log force is signed by another key"),
    ):
        archive.append(*archive.log.acts(0, 1))


def test_an_answer_from_damaged_rows_does_not_call_itself_verified(stored):
    force = Force.__new__(Force)
    force.archive = Archive(stored.root, stored.keys)
    name = "store/links/2026-W04.changes.parquet"
    stored.put(name, stored.files["store/links/2026-W03.changes.parquet"])
    snapshot = force.as_of("2026-01-26T12:00")
    assert not snapshot.verified
    with pytest.raises(Tampered, match="table link of build 2026-W04 has 10 rows with SHA-256"):
        snapshot.verify()
    force.archive.close()
