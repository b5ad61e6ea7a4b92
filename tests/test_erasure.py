"""What was disposed of is nowhere: not in a byte of any file, not in an old copy, not to be guessed from what is left.

The archive is made, pushed and disposed of through the command line, as a force would, with git, DVC and a remote. Then
every byte is searched, unpacked and opened with whatever key there is; copies from before are put beside today's keys;
and every guess is tried on every digest. Each search is made before the disposal too, when it must find.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import hmac
import json
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from click.testing import CliRunner

from provenance import asof, canonical, merkle, sealing, verify
from provenance.archive import Archive
from provenance.cli import main
from provenance.errors import Missing, Tampered
from provenance.keys import MasterKey
from provenance.rows import parents_of
from provenance.tables import TABLES
from provenance.vault import Vault, nominal_keys, record_keys
from tests.force import Force, record, write_extract
from tests.test_no_plaintext import COMMITTED

WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z"]
GOING, GONE_RECORD, EARLIER = "ZQGOING-7731", "ZQRECORD-4402", "ZQEARLIER-4401"
STAY = [f"ZQSTAYS-{n:04}" for n in range(7)]
NAME, BORN, PLACE, EASTING = "Zebedee Quillfeather", "1911-11-13", "E01999731", "771133"
WORDS = (GOING, GONE_RECORD, NAME, BORN, PLACE, EASTING, "Dougal", "Zqauthority")  # of what goes, and of nothing else


def crimes() -> list[list[dict]]:
    """Three weeks. The nominal that goes is in four records, the record that goes behind three links in two themes."""
    said = {"place": PLACE, "conditions": "Zqcondition: ask Dougal", "easting": EASTING, "themes": "SOC;CL"}
    return [
        [
            record(EARLIER, GOING, STAY[0]),
            record(GONE_RECORD, STAY[0], STAY[1], STAY[2], **said),
            record("ZQRECORD-1", STAY[0], STAY[1]),
            record("ZQRECORD-2", GOING, f"{STAY[2]}:victim"),
            record("ZQRECORD-3", GOING, STAY[3], STAY[4]),
        ],
        [
            record("ZQRECORD-4", GOING, STAY[5], recorded_at="2026-01-13T12:00:00Z"),
            record("ZQRECORD-5", STAY[2], STAY[6], recorded_at="2026-01-13T12:00:00Z"),
        ],
        [record("ZQRECORD-6", STAY[0], STAY[6], recorded_at="2026-01-20T12:00:00Z")],
    ]


def lay(inbox: Path) -> list[Path]:
    nominals = [{"nominal_id": GOING, "name": NAME, "born": BORN, "sex": "M"}]
    nominals += [{"nominal_id": person, "name": f"Staying {person[-4:]}"} for person in STAY]
    merge = {"from_nominal": STAY[5], "into_nominal": STAY[6], "evidence": "prints", "by": "DI", "at": WEEK[0]}
    order = {"what": "record", "system": "CONNECT", "id": GONE_RECORD, "authority": "Zqauthority", "at": WEEK[0]}
    first, *later = crimes()
    tables = {"nominals": nominals, "merges": [merge], "disposals": [order]}
    return [write_extract(inbox / "0", first, cut_off=WEEK[0], **tables)] + [
        write_extract(inbox / str(n), rows, cut_off=WEEK[n], mode="delta") for n, rows in enumerate(later, start=1)
    ]


# ---- the archive -----------------------------------------------------------------------------------------------------


class House:
    """A folder in which everything is: archive, keys, remote, home, temporary files; and what was said on the way."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.keys = folder, folder / "archive", folder / "archive.keys"
        self.said: dict[str, str] = {}
        for name in ("home", "tmp", "site", "remote", "archive"):
            (folder / name).mkdir(parents=True)
        self.weeks = lay(folder / "inbox")

    def run(self, *arguments: str) -> str:
        done = CliRunner().invoke(main, ["--archive", str(self.root), *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        self.said[f"{len(self.said)} {' '.join(arguments[:2])}"] = done.output
        return done.stdout

    def dvc(self, *arguments: str, folder: Path | None = None) -> None:
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(command, cwd=folder or self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self.said[f"{len(self.said)} dvc {arguments[0]}"] = done.stdout + done.stderr

    def week(self, n: int) -> None:
        self.run("receive", str(self.weeks[n]))
        self.run("build", "--cut-off", WEEK[n], "--published-at", WEEK[n])

    def planned(self, *what: str) -> str:
        said = ("--under", "a board", "--reason", "mopi-review", "--by", "A", "--out", str(self.folder / "plan.yaml"))
        return self.run("dispose", "plan", *what, *said)

    def carried_out(self) -> str:
        """The certificate's id."""
        plan = str(self.folder / "plan.yaml")
        said = self.run("dispose", "carry-out", plan, "--by", "A", "--approved-by", "B", "--json")
        return json.loads(said)["disposals"][0]["certificate"]

    def copied(self, name: str) -> Path:
        """Everything as it is now, put aside: archive with vault and DVC's cache, keys, remote."""
        aside = self.folder.parent / name
        for part in ("archive", "archive.keys", "remote"):
            shutil.copytree(self.folder / part, aside / part, symlinks=True)
        return aside


class Known:
    """What can be known of what is to go, by whoever has all the keys, while it is there."""

    def __init__(self, house: House) -> None:
        with Archive(house.root, house.keys) as archive:
            self.tokens = archive.vault.tokens(subjects()).tolist()
            held, secrets = archive.vault.secrets()
            self.secrets = [secrets[np.searchsorted(held, token)].tobytes() for token in self.tokens]
            self.sealed, self.rows = {}, {}  # per table: rows that rest on it as they lie on disk, and what they say
            for name in TABLES:
                index = archive.index(name)
                self.sealed[name] = index.rows(index.reached(np.sort(self.tokens))).combine_chunks()
                found = archive.sealer.entries(name, self.sealed[name]).to_pylist() if len(self.sealed[name]) else []
                self.rows[name] = [entry[32:] for entry in found]
            self.archive_secret = archive.vault.archive_secret


def subjects() -> pa.Array:
    records = record_keys(pa.array(["CONNECT"]), pa.array([GONE_RECORD]))
    return pa.concat_arrays([nominal_keys(pa.array([GOING])), records])


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    """Two weeks, with a disposal between them; pushed, put aside; then the disposal of these tests; then a week."""
    made = House(tmp_path_factory.mktemp("erasure") / "house")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(made.folder / "home"))
        patch.setenv("TMPDIR", str(made.folder / "tmp"))
        patch.setenv("DVC_SITE_CACHE_DIR", str(made.folder / "site"))
        patch.setattr("tempfile.tempdir", str(made.folder / "tmp"))
        made.run("init", "--name", "force")
        made.dvc("remote", "add", "-d", "store", "../remote")
        made.week(0)
        made.planned("--record", "CONNECT", EARLIER)
        made.carried_out()  # what it left to be worked out again names the nominal that goes now
        made.week(1)
        made.dvc("push", "--all-tags")
        made.planned("--nominal", GOING, "--record", "CONNECT", GONE_RECORD)
        made.plan = (made.folder / "plan.yaml").read_bytes()
        made.known = Known(made)
        made.before = searched(made)
        made.aside = made.copied("aside")
        made.certificate = made.carried_out()
        made.after = searched(made)
        made.run("certificate", made.certificate)
        made.run("dispose", "list")
        made.run("verify")
        made.week(2)
        made.dvc("push", "--all-tags")
        made.later = searched(made)
        yield made


# ---- the search ------------------------------------------------------------------------------------------------------


def unpacked(house: House) -> Iterator[tuple[str, bytes]]:
    """Every file but the extracts, as it is and unpacked; every object of git; and what today's keys open."""
    inbox = house.folder / "inbox"
    for path in sorted(house.folder.rglob("*")):
        if path.is_file() and inbox not in path.parents:
            name = path.relative_to(house.folder).as_posix()
            yield from ((f"{name}, {layer}", data) for layer, data in layers(path))
    yield from objects(house.root)
    yield from opened(house)


def layers(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and what is in them: a Parquet file's columns, a packed file, a signed envelope."""
    data = path.read_bytes()
    yield "as it is", data
    if data[:4] == b"PAR1":
        table = pq.read_table(path)
        yield "footer", repr(table.schema.metadata).encode()
        for field, column in zip(table.schema, table.columns, strict=True):
            flat = column.combine_chunks()
            values = (flat.flatten() if pa.types.is_list(field.type) else flat).to_pylist()
            if pa.types.is_int64(field.type) or pa.types.is_list(field.type):
                yield f"column {field.name}", b"".join(value.to_bytes(8, "little", signed=True) for value in values)
            else:
                yield f"column {field.name}", b"\n".join(v if isinstance(v, bytes) else str(v).encode() for v in values)
    for unpack in (zlib.decompress, gzip.decompress, zstandard.ZstdDecompressor().decompress):
        with contextlib.suppress(zlib.error, gzip.BadGzipFile, EOFError, zstandard.ZstdError):
            yield "unpacked", unpack(data)
    if data[:2] == b'{"' and b'"payload"' in data:
        yield "payload", base64.b64decode(json.loads(data)["payload"])


def objects(repository: Path) -> Iterator[tuple[str, bytes]]:
    """Every object of git, reachable or not, unpacked."""
    said = subprocess.run(
        [*COMMITTED, "cat-file", "--batch-all-objects", "--batch", "--unordered"],
        cwd=repository, capture_output=True, check=True,
    ).stdout  # fmt: skip
    at = 0
    while at < len(said):
        end = said.index(b"\n", at)
        name, kind, size = said[at:end].decode().split(" ")
        data = said[end + 1 : end + 1 + int(size)]
        yield f"git {kind} {name}", data
        if data[:2] == b'{"' and b'"payload"' in data:
            yield f"git {kind} {name}, payload", base64.b64decode(json.loads(data)["payload"])
        at = end + 2 + int(size)


def opened(house: House) -> Iterator[tuple[str, bytes]]:
    """What the keys of today open: the vault, what is derived, and every row that is not dead."""
    with Archive(house.root, house.keys) as archive:
        held = archive.vault
        yield (
            "opened keyring",
            sealing.opened_blob(
                (house.keys / "master").read_bytes(),
                "vault keyring",
                (house.root / "vault/keyring").read_bytes(),
            ),
        )
        yield "opened secrets", held.secrets()[1].tobytes()
        yield "opened tokens", held.secrets()[0].tobytes()
        yield "opened names", "\n".join(held.keys(held.secrets()[0][1:]).to_pylist()).encode()
        for path in (house.root / "index").glob("*.figures"):
            for build in range(len(archive.history.builds) + 1):
                for secret in (held.derived_secret, held.archive_secret):
                    for label in (f"figures {build}", f"figures of links {build}"):
                        with contextlib.suppress(Tampered):
                            yield "opened figures", sealing.opened_blob(secret, label, path.read_bytes())
        for name in TABLES:
            index = archive.index(name)
            alive = index.rows(np.flatnonzero(index.died == 0))
            if alive.num_rows:
                yield f"opened rows of {name}", b"\n".join(archive.sealer.entries(name, alive).to_pylist())


def coded(data: bytes) -> Iterator[bytes]:
    """Base64 of it, as it stands within that of any longer text; without the characters that its neighbours share."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data)
        yield whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]


def forms(house: House) -> dict[str, list[bytes]]:
    """What is searched for, by what it is."""
    known = house.known
    found = {}
    for word in WORDS:
        plain = [word.encode(), word.lower().encode(), word.upper().encode(), word.encode("utf-16-le")]
        found[f"word {word}"] = [*plain, word.encode().hex().encode(), *coded(word.encode())]
    for n, secret in enumerate(known.secrets):
        found[f"secret {n}"] = [secret, secret.hex().encode(), *coded(secret)]
    for n, token in enumerate(known.tokens):
        eight = token.to_bytes(8, "little")
        found[f"token {n}"] = [eight, eight[::-1], f"{token:016x}".encode(), str(token).encode()]
    for name, sealed in known.sealed.items():
        for n, box in enumerate(sealed["box"].to_pylist()):
            found[f"box {name} {n}"] = [box[:48], box[-48:]]
    return found


def searched(house: House) -> dict[str, set[str]]:
    """The places in which each thing is found, by its name; a name without places was found nowhere."""
    wanted = forms(house)
    found: dict[str, set[str]] = {name: set() for name in wanted}
    for place, data in unpacked(house):
        for name, each in wanted.items():
            if any(form in data for form in each):
                found[name].add(place)
    return found


def places(found: dict[str, set[str]], kind: str) -> list[set[str]]:
    return [where for name, where in found.items() if name.startswith(kind)]


# ---- forensic --------------------------------------------------------------------------------------------------------


def test_before_the_disposal_the_search_finds_each_thing_where_it_may_be(house):
    """Control: words in what the keys open, and in the plan; secrets in the vault; tokens and boxes in the segments."""
    for name, found in house.before.items():
        assert found, name
    plan = {place for where in places(house.before, "word") for place in where if place.startswith("plan.yaml")}
    assert plan
    for where in places(house.before, "word"):
        assert {place.split(" ")[0] for place in where} <= {"opened", "plan.yaml,"}
    for where in places(house.before, "secret"):
        assert where == {"opened secrets"}
    for where in places(house.before, "token"):
        stored = {place.split(",")[0] for place in where}
        assert "opened tokens" in stored
        assert {place for place in stored if place.startswith("archive/store/received/")}
        assert {place for place in stored if place.startswith("archive/.dvc/cache/")}
        assert {place for place in stored if place.startswith("remote/")}
    assert any(
        "archive/store/disposals/0001/again.parquet" in p for where in places(house.before, "token") for p in where
    )
    assert len(places(house.before, "box")) > 20
    for where in places(house.before, "box"):
        assert {place.split("/")[0] for place in where if "/" in place} >= {"archive", "remote"}
        assert any(".dvc/cache" in place for place in where)


@pytest.mark.parametrize("when", ["after", "later"])
def test_afterwards_nothing_of_it_is_anywhere(house, when):
    """Nor a week and a push later. Its token stands in the log's own entries, and tells nothing to anybody."""
    found = getattr(house, when)
    for name, where in found.items():
        if not name.startswith("token"):
            assert where == set(), name
    allowed = r"archive/(log/tile/entries/|index/catalogue\.sqlite,|\.git/objects/)|git blob "
    for where in places(found, "token"):
        assert where
        for place in where:
            assert re.match(allowed, place), place


def test_the_git_objects_that_have_a_token_are_the_logs_own_entries(house):
    blobs = {place for where in places(house.later, "token") for place in where if place.startswith("git blob")}
    assert blobs
    held = dict(objects(house.root))
    for blob in blobs:
        assert b'"act":"Disposed"' in held[blob]


def test_the_search_looked_everywhere(house):
    looked = " ".join(place for place, _ in unpacked(house))
    for wanted in (
        "archive/store/disposals/0002/fates.parquet, column segment", "archive/.dvc/cache/files/md5/",
        "archive/.dvc/tmp", "remote/files/md5/", "archive/index/catalogue.sqlite", "archive/vault/keyring", ".shard",
        ".forgotten",
        "archive.keys/master", "archive/audit_reports/certificates/", "json, payload", "git blob", "git tree",
        "git commit", "git tag", "opened keyring", "opened rows of link", "opened figures", "site/",
    ):  # fmt: skip
        assert wanted in looked, wanted


def test_a_full_git_and_dvc_clean_up_brings_nothing_to_light(house):
    """Packed, reflogs and all: nothing was only out of reach."""
    subprocess.run([*COMMITTED, "gc", "-q", "--prune=now"], cwd=house.root, check=True, capture_output=True)
    for name, where in searched(house).items():
        assert where == set() or name.startswith("token"), name


def test_no_command_after_the_plan_says_a_word_of_it(house):
    """What they print may end in a log of the machine. The plan itself was printed for the person who made it."""
    commands = {name: said for name, said in house.said.items() if "dispose plan" not in name}
    assert sum("carry-out" in name for name in commands) == 2
    assert any(GOING in said for said in house.said.values())
    for (name, said), word in ((item, word) for item in commands.items() for word in WORDS):
        assert word not in said, name


def test_nothing_is_left_lying_about(house):
    """No plan, no half of a file, nothing in the temporary folder, and no file of the vault but those it names."""
    left = [path for path in house.folder.rglob("*") if path.is_file() and "inbox" not in path.parts]
    assert not [path for path in left if path.suffix == ".part" or path.name.startswith("plan.yaml")]
    assert not [path for path in (house.folder / "tmp").rglob("*") if path.is_file() and path.stat().st_size]
    assert [path.name for path in house.keys.iterdir() if "next" in path.name] == []
    with Archive(house.root, house.keys) as archive:
        names = {path.name for path in (house.root / "vault").iterdir() if path.name != ".writer"}
        assert names == set(archive.vault.files)
        assert archive.unlogged() == []


def test_what_stays_is_all_there(house):
    """Leaves and roots as they were published, other people's rows, and the links that live on with less."""
    with (
        Archive(house.root, house.keys) as archive,
        Archive(house.aside / "archive", house.aside / "archive.keys") as old,
    ):
        verify.insist(verify.verify(archive))
        assert [built.tables for built in archive.history.builds[:2]] == [built.tables for built in old.history.builds]
        for name, sealed in house.known.sealed.items():
            now = {leaf.tobytes() for leaf in archive.index(name).leaf}
            assert set(sealed["leaf"].to_pylist()) <= now, name
        links = asof.as_of(archive, WEEK[1]).links(theme="SOC").to_pylist()
        assert [(x["a"], x["b"], x["reduced"]) for x in links] == [
            (STAY[0], STAY[1], 1),
            (STAY[2], STAY[6], 0),
            (STAY[3], STAY[4], 0),
        ]


# ---- old copies ------------------------------------------------------------------------------------------------------


class Keys:
    """All that is secret today, and what of it could stand for a secret that is gone."""

    def __init__(self, house: House) -> None:
        self.master = (house.keys / "master").read_bytes()
        self.vault = Vault(house.root / "vault", MasterKey(self.master))
        ring = canonical.loads(
            sealing.opened_blob(self.master, "vault keyring", (house.root / "vault" / "keyring").read_bytes())
        )
        self.ring = {bytes.fromhex(key) for key in re.findall(r'"([0-9a-f]{64})"', json.dumps(ring))}
        self.every = {self.master, *self.ring, *(secret.tobytes() for secret in self.vault.secrets()[1])}
        (self.file,) = (house.root / "vault").glob("*.forgotten")
        opened_by = {key: opens(key, f"vault forgotten {self.file.stem}", self.file.read_bytes()) for key in self.ring}
        ((self.key, self.forgotten),) = ((key, content) for key, content in opened_by.items() if content)


def opens(key: bytes, label: str, sealed: bytes) -> bytes:
    """What is in a sealed file, b"" where this is not its key."""
    with contextlib.suppress(Tampered):
        return sealing.opened_blob(key, label, sealed)
    return b""


@pytest.fixture(scope="module")
def today(house) -> Keys:
    return Keys(house)


def dead_and_living(house: House, table: str) -> tuple[pa.Table, pa.Table]:
    """Rows of a copy of the files from before: those that rest on what is gone, and the others."""
    with Archive(house.aside / "archive", house.aside / "archive.keys") as old:
        index = old.index(table)
        dead = index.reached(np.sort(house.known.tokens))
        others = np.setdiff1d(np.flatnonzero(index.died == 0), dead)
        return index.rows(dead).combine_chunks(), index.rows(others).combine_chunks()


def test_the_copies_from_before_open_with_the_keys_from_before(house):
    """Control: all that is tried below would succeed with what was destroyed."""
    with Archive(house.aside / "archive", house.aside / "archive.keys") as old:
        for table in TABLES:
            dead, living = dead_and_living(house, table)
            assert len(old.sealer.open(table, dead)) == len(dead)
            assert len(old.sealer.open(table, living)) == len(living)
        assert GOING in asof.as_of(old, WEEK[1]).nominals()["nominal"].to_pylist()
        assert sum(len(dead_and_living(house, table)[0]) for table in TABLES) > 20


def test_an_old_vault_and_todays_master_key(house, today):
    with pytest.raises(Tampered, match="the vault's keyring does not open: the master key is another one"):
        Vault(house.aside / "archive" / "vault", MasterKey(today.master))
    old = MasterKey((house.aside / "archive.keys" / "master").read_bytes())
    with pytest.raises(Tampered, match="the vault's keyring does not open: the master key is another one"):
        Vault(house.root / "vault", old)


def test_an_old_vault_and_every_key_that_there_is_today(house, today):
    """Neither its keyring, nor a shard of it that held what is gone, nor the figures that were put away.

    A shard in which nothing died is the same file today. What an earlier disposal left to be recognised, in the same
    month, lies under the same key, and says no more than today's file.
    """
    old, tried = house.aside / "archive", []
    blobs = [("vault keyring", old / "vault" / "keyring")]
    blobs += [(f"vault shard {path.stem}", path) for path in sorted((old / "vault").glob("*.shard"))]
    blobs += [(f"figures {build}", old / "index" / "people.figures") for build in (1, 2)]
    blobs += [(f"figures of links {build}", old / "index" / f"{build:05d}.figures") for build in (1, 2)]
    for label, path in blobs:
        same = house.root / path.relative_to(old)
        if label.startswith("vault shard") and same.exists():
            assert same.read_bytes() == path.read_bytes()
            continue
        tried.append(label.rsplit(" ", 1)[0])
        assert not [key for key in today.every if opens(key, label, path.read_bytes())], label
    assert set(tried) == {"vault", "vault shard", "figures", "figures of links"}
    (before,) = (old / "vault").glob("*.forgotten")
    known = [opens(key, f"vault forgotten {before.stem}", before.read_bytes()) for key in today.every]
    assert [len(each) for each in known if each] == [32]
    assert next(each for each in known if each) in today.forgotten


@pytest.mark.parametrize("table", TABLES)
def test_old_segments_and_todays_vault(house, today, table):
    """No row that rested on what is gone opens, whatever is put in the place of the lost secret; all others do."""
    dead, living = dead_and_living(house, table)
    with Archive(house.root, house.keys) as archive:
        assert len(archive.sealer.open(table, living)) == len(living)
        for at in range(len(dead)):
            with pytest.raises(Missing, match=r"the vault no longer holds [12] of the secrets that these rows need"):
                archive.sealer.open(table, dead.slice(at, 1))
    tokens, secrets = today.vault.secrets()
    held = dict(zip(tokens.tolist(), (secret.tobytes() for secret in secrets), strict=True))
    owners, counts = parents_of(dead)
    starts = np.concatenate([[0], np.cumsum(counts)])
    stand_ins = [b"", bytes(32), *today.ring]
    for at, (leaf, box) in enumerate(zip(dead["leaf"].to_pylist(), dead["box"].to_pylist(), strict=True)):
        parents = owners[starts[at] : starts[at + 1]].tolist()
        assert set(parents) & set(house.known.tokens)
        guesses = [b"".join(held.get(parent, instead) for parent in parents) for instead in stand_ins]
        guesses += [b"".join(hashlib.sha256(b"%d" % p).digest() if p not in held else held[p] for p in parents)]
        for z in guesses:
            with pytest.raises(Tampered, match="does not open to its leaf"):
                sealing.open_batch(table, [z], [leaf], [box])


def test_an_old_archive_beside_todays_vault_and_keys(house, tmp_path):
    """Its log is older than the vault. It answers about nobody who is gone, and the rows of the others open."""
    shutil.copytree(house.aside / "archive", tmp_path / "force")
    shutil.rmtree(tmp_path / "force" / "vault")
    shutil.copytree(house.root / "vault", tmp_path / "force" / "vault")
    with Archive(tmp_path / "force", house.keys) as archive:
        snapshot = asof.as_of(archive, WEEK[1])
        for ask in (snapshot.answer, snapshot.links, lambda: snapshot.explain(GOING, STAY[2])):
            with pytest.raises(Missing):
                ask()
        with pytest.raises(Missing, match="no nominal of that id is"):
            snapshot.links(nominal=GOING)
        found = [fault for step in verify.verify(archive) for fault in step.faults]
        assert any("the vault lacks 2 secrets that rows of table involvement need" in fault for fault in found)
    again = tmp_path / "force" / "store" / "disposals" / "0001" / "again.parquet"
    tokens = pq.read_table(again)["token"].to_numpy()
    named = np.intersect1d(tokens, house.known.tokens)
    assert len(named) == 1  # the earlier disposal had it work the nominal out again
    with Archive(house.root, house.keys) as archive, pytest.raises(Missing, match="no name for 1 of 1 tokens"):
        archive.vault.keys(named)


def test_an_old_clone_and_an_old_remote_beside_todays_vault_and_keys(house, tmp_path):
    """What git and DVC gave a colleague before: the same, and no more."""
    clone = tmp_path / "clone"
    subprocess.run([*COMMITTED, "clone", "-q", str(house.aside / "archive"), str(clone)], check=True)
    config = clone / ".dvc" / "config"
    config.write_text(config.read_text().replace("../../remote", str(house.aside / "remote")))
    house.dvc("pull", "-q", folder=clone)
    shutil.copytree(house.root / "vault", clone / "vault")
    with Archive(clone, house.keys) as archive:
        for table in TABLES:
            dead, living = dead_and_living(house, table)
            index = archive.index(table)
            at = index.reached(np.sort(house.known.tokens))
            assert sorted(leaf.tobytes() for leaf in index.leaf[at]) == sorted(dead["leaf"].to_pylist())
            for one in at.tolist():
                with pytest.raises(Missing, match="the vault no longer holds"):
                    archive.sealer.open(table, index.rows(np.array([one])))
            others = np.setdiff1d(np.flatnonzero(index.died == 0), at)
            assert len(archive.sealer.open(table, index.rows(others))) == len(living)


# ---- guessing --------------------------------------------------------------------------------------------------------


class Outsider:
    """All that somebody sees who has neither vault nor master key, as every eight bytes in a row that are in it.

    Git's objects and Parquet's columns unpacked, hexadecimal and base64 decoded. Digests, cut digests, ids and tokens
    have eight bytes at least; that two numbers of those agree by chance is one in ten thousand million tests.
    """

    def __init__(self, house: House) -> None:
        secret = ("archive.keys/", "opened ", "plan.yaml")
        data = b"\n".join(found for place, found in unpacked(house) if not place.startswith(secret))
        texts = [bytes.fromhex(run.decode()) for run in re.findall(rb"(?<![0-9a-f])(?:[0-9a-f]{2}){8,}", data)]
        for run in re.findall(rb"[\w+/]{12,}", data):
            with contextlib.suppress(ValueError):
                texts.append(base64.b64decode(run + b"=" * (-len(run) % 4)))
        data += b"\n" + b"\n".join(texts)
        starts = [np.frombuffer(data[at : at + (len(data) - at) // 8 * 8], "<u8") for at in range(8)]
        self._seen = np.unique(np.concatenate(starts))

    def matches(self, guesses: Iterable[bytes]) -> list[bytes]:
        """The guesses that can be seen to be right, whole, cut short, or as a token."""
        guesses = list(guesses)
        first = np.frombuffer(b"".join(guess[:8] for guess in guesses), "<u8")
        tokens = first & np.uint64(2**63 - 1)  # in a file the little end comes first, in the log's text the big one
        found = np.zeros(len(first), bool)
        for numbers in (first, tokens, tokens.byteswap()):
            found |= self._seen[np.searchsorted(self._seen, numbers) % len(self._seen)] == numbers
        return [guesses[at] for at in np.flatnonzero(found)]


@pytest.fixture(scope="module")
def outsider(house) -> Outsider:
    return Outsider(house)


def candidates(house: House) -> list[bytes]:
    """Every id there is, in each way in which the format writes one, and all that was ever said of what went."""
    ids = [GOING, *STAY]
    records = [GONE_RECORD, EARLIER, *(f"ZQRECORD-{n}" for n in range(1, 7))]
    said = [word.encode() for word in (*WORDS, *ids, *records, "CONNECT", "a board", "mopi-review")]
    said += [f"n\x1f{id}".encode() for id in ids] + [f"nominal:{id}".encode() for id in ids]
    said += [f"{join.join((*kind, 'CONNECT', id))}".encode() for id in records for join in ("\x1f", " ", ":", "", "/")
             for kind in ((), ("r",), ("record",))]  # fmt: skip
    said += [row for found in house.known.rows.values() for row in found]
    said += [path.read_bytes() for week in house.weeks for path in sorted(week.iterdir())]
    said += [line for week in house.weeks for path in sorted(week.iterdir()) for line in path.read_bytes().splitlines()]
    plan = yaml.safe_load(house.plan)
    plan.pop("seal")
    said += [house.plan, canonical.dumps(plan), canonical.dumps(plan["lines"])]
    said += [canonical.dumps(line) for line in plan["lines"]]
    said += [
        canonical.dumps({key: line[key] for key in ("what", "system", "id") if key in line}) for line in plan["lines"]
    ]
    said += [b"%d" % token for token in house.known.tokens] + [token.to_bytes(8, "big") for token in house.known.tokens]
    said += [f"{token:016x}".encode() for token in house.known.tokens]
    return sorted(set(said))


def hashed(guess: bytes, keys: Iterable[bytes]) -> Iterator[bytes]:
    """Every digest of a guess that the format suggests, with nothing secret in it."""
    for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2s"):
        yield hashlib.new(name, guess).digest()
    for prefix in (b"\0", b"\1", b"\0" + bytes(32), bytes(32), b"plan\0", b"extract\0", b"r\x1f", b"n\x1f"):
        yield hashlib.sha256(prefix + guess).digest()
    yield merkle.leaf_hash(guess)
    yield merkle.root(merkle.leaf_hash(guess))
    yield hashlib.sha256(hashlib.sha256(guess).digest()).digest()
    for key in keys:
        yield hmac.digest(key, guess, "sha256")
        yield hmac.digest(key, b"plan\0" + guess, "sha256")
        yield hmac.digest(key, b"extract\0" + hashlib.sha256(guess).digest(), "sha256")


def leaves(house: House, secrets: Iterable[bytes]) -> Iterator[bytes]:
    """What each row that went would be filed under, if its parents' secrets were these."""
    for table, found in house.known.rows.items():
        _, counts = parents_of(house.known.sealed[table]) if found else (None, ())
        for row, count in zip(found, counts, strict=True):
            for secret in secrets:
                yield from sealing.leaf_batch(table, [secret, secret * int(count)], [row, row])


def known_keys(house: House) -> list[bytes]:
    """What is public, and could have been taken for a key."""
    with Archive(house.root, house.keys) as archive:
        made = [d.first.disposal for d in archive.history.disposals]
        words = ["", "force", str(archive.vkey), "mopi-review", "a board", *made, "provenance row 1", *TABLES]
        heads = [archive.log.root, archive.log.checkpoint, bytes(32)]
        return [word.encode() for word in words] + heads + [bytes.fromhex(id) for id in made]


@pytest.fixture(scope="module")
def guesses(house) -> list[bytes]:
    said, keys = candidates(house), known_keys(house)
    assert len(said) > 200
    found = {digest for guess in said for digest in hashed(guess, keys)}
    found |= {
        name for guess in said for name in sealing.keyed_digests(guess, [GOING, GONE_RECORD, *subjects().to_pylist()])
    }
    found |= set(leaves(house, [b"", bytes(32), *(hashlib.sha256(guess).digest() for guess in said[:80])]))
    return sorted(found)


def test_no_guess_can_be_seen_to_be_right(outsider, guesses):
    """With every id and every word in hand, and all that an outsider could ever see (R33)."""
    assert len(guesses) > 20_000
    assert outsider.matches(guesses) == []


def test_a_guess_is_seen_to_be_right_by_who_has_the_secrets(house, outsider):
    """Control: the same search with the vault from before, over the same rows and the same plan."""
    with Archive(house.aside / "archive", house.aside / "archive.keys") as old:
        tokens, secrets = old.vault.secrets()
    for table, said in house.known.rows.items():
        if said:
            owners, counts = parents_of(house.known.sealed[table])
            each = np.split(secrets[np.searchsorted(tokens, owners)], np.cumsum(counts)[:-1])
            found = sealing.leaf_batch(table, [part.tobytes() for part in each], said)
            assert outsider.matches(found) == found, table
    plan = yaml.safe_load(house.plan)
    plan.pop("seal")
    seal = hmac.digest(house.known.archive_secret, b"plan\0" + canonical.dumps(plan), "sha256")
    assert outsider.matches([seal]) == [seal]
    files = [*(house.root / "audit_reports" / "certificates").iterdir(), house.root / "builds" / "2026-W02.json"]
    assert len(outsider.matches(hashlib.sha256(path.read_bytes()).digest() for path in files)) == 3  # in the log
    parts = [hashlib.md5(path.read_bytes()).digest() for path in (house.root / "store").rglob("*.parquet")]
    assert len(outsider.matches(parts)) == len(parts)  # in DVC's cache, as names of what is sealed
    tokens = [token.to_bytes(8, "little") for token in house.known.tokens]
    assert outsider.matches(tokens) == tokens  # in the log


def test_the_blind_index_knows_a_name_again_only_by_its_key(today, guesses):
    """It lies in the vault, sealed; what it says of a name is keyed by a key that lies in the keyring alone."""
    names = subjects()
    assert today.vault.is_forgotten(names, WEEK[2][:7]).all()
    known = {today.forgotten[at : at + 32] for at in range(0, len(today.forgotten), 32)}
    assert set(sealing.keyed_digests(today.key, names.to_pylist())) < known
    assert not known & set(guesses)


def test_two_archives_of_the_same_records_share_no_digest(tmp_path):
    """The same extracts, the same weeks, the same disposal: no leaf, no token, no tombstone, no root is the same."""
    seen: list[set[bytes]] = []
    for name in ("one", "other"):
        force = Force(tmp_path / name)
        for n, week in enumerate(crimes()[:2]):
            force.receive(*week, cut_off=WEEK[n], mode="delta" if n else "full")
            force.build(WEEK[n])
        force.dispose(GOING, f"CONNECT {GONE_RECORD}", on=WEEK[1])
        found = {leaf.tobytes() for table in TABLES for leaf in force.archive.index(table).leaf}
        assert len(found) > 40
        for path in sorted((force.root / "audit_reports").rglob("*.json")):
            payload = json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))
            found |= {payload[key].encode() for key in ("disposal", "holes", "heirs")}
            found |= {file["sha256"].encode() for file in payload["files"]}
        for act in force.archive.history.disposals[0].acts:
            found |= {act.plan.encode(), *act.nominals.encode().split(), *act.records.encode().split()}
        for built in force.archive.history.builds:
            found |= {table.root.encode() for table in built.tables if table.size}
        seen.append(found | {extract.keyed_digest.encode() for extract in force.archive.history.extracts})
        force.archive.close()
    assert seen[0] & seen[1] == set()
    assert len(seen[0]) == len(seen[1])
