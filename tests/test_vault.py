"""The vault keeps every secret it ever admitted, through restarts, crashes and two writers, and shows none of them."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from provenance import durable, vault
from provenance.errors import Conflict, Missing, Tampered
from provenance.keys import MasterKey
from provenance.vault import Vault, nominal_keys, record_keys

SECRET = bytes(range(32))
MASTER = MasterKey(SECRET)
ROOT = Path(__file__).resolve().parent.parent


def names(*ids: str) -> pa.Array:
    return nominal_keys(pa.array(ids, pa.string()))


def held(opened: Vault) -> dict[str, tuple[int, bytes]]:
    """All that a vault says, by name."""
    tokens, secrets = opened.secrets()
    keys = opened.keys(tokens[1:]).to_pylist()
    return dict(zip(keys, zip(tokens[1:].tolist(), [row.tobytes() for row in secrets[1:]], strict=True), strict=True))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shards(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.shard")}


# ---- against a dictionary --------------------------------------------------------------------------------------------


class Against(RuleBasedStateMachine):
    """A vault beside a dict: what was admitted once stays, with the token and the secret it had."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.vaults = [Vault.create(self.folder, MASTER)]
        self.archive_secret = self.vaults[0].archive_secret
        self.model: dict[str, tuple[int, bytes]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(ids=st.lists(st.integers(0, 60), max_size=12), records=st.booleans(), who=st.integers(0, 1))
    def admit(self, ids: list[int], records: bool, who: int) -> None:
        """By either of two that have the vault open; ids may be repeated, and known to the other only."""
        opened = self.vaults[who % len(self.vaults)]
        texts = pa.array([f"Ä-{n}" for n in ids], pa.string())
        keys = record_keys(pa.array(["CONNECT"] * len(ids), pa.string()), texts) if records else nominal_keys(texts)
        tokens = opened.admit(keys).tolist()
        now = held(opened)
        for key, token in zip(keys.to_pylist(), tokens, strict=True):
            self.model.setdefault(key, now[key])
            assert token == self.model[key][0] > 0
        assert set(now) <= set(self.model)

    @rule(start=st.integers(0, 100), count=st.integers(1, 40))
    def admit_many(self, start: int, count: int) -> None:
        """Batches of many sizes, so that shards merge in many ways."""
        self.admit(list(range(1000 + start, 1000 + start + count)), False, 0)

    @rule()
    def open_again(self) -> None:
        self.vaults = [Vault(self.folder, MASTER), *self.vaults[:1]]

    @invariant()
    def nothing_is_lost_and_no_two_share(self) -> None:
        fresh = Vault(self.folder, MASTER)
        assert held(fresh) == self.model
        assert fresh.archive_secret == self.archive_secret
        assert (
            len({token for token, _ in self.model.values()})
            == len({s for _, s in self.model.values()})
            == len(self.model)
        )
        every = pa.array([*self.model, "n\x1fnobody"], pa.string())
        tokens = fresh.tokens(every)
        assert tokens.tolist() == [token for token, _ in self.model.values()] + [0]
        assert fresh.retained(np.append(tokens, 12345)).tolist() == [True] * len(every) + [False]
        assert shards(self.folder) == {f"{shard.name}.shard" for shard in fresh._ring.shards}
        assert len(shards(self.folder)) <= 24


TestAgainstADictionary = Against.TestCase
TestAgainstADictionary.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)


def test_many_small_admissions_make_few_shards_and_lose_nothing(tmp_path):
    opened = Vault.create(tmp_path / "vault", MASTER)
    most = 0
    for n in range(70):
        opened.admit(names(f"N-{n}"))
        most = max(most, len(shards(opened.folder)))
    assert most <= 8  # they double: 70 secrets lie in at most seven, and one is being merged
    assert len(held(Vault(opened.folder, MASTER))) == 70


def test_admitting_what_is_known_writes_nothing(tmp_path):
    opened = Vault.create(tmp_path / "vault", MASTER)
    tokens = opened.admit(names("N-1", "N-2", "N-1"))
    before = files(opened.folder)
    assert tokens[0] == tokens[2] != tokens[1]
    assert opened.admit(names("N-2", "N-1")).tolist() == [tokens[1], tokens[0]]
    assert opened.admit(names()).tolist() == []
    assert files(opened.folder) == before


def test_a_nominal_and_a_record_of_one_id_are_two_parents(tmp_path):
    opened = Vault.create(tmp_path / "vault", MASTER)
    every = [names("17"), record_keys(pa.array(["A", "B"]), pa.array(["17", "17"])), names("A\x1f17")]
    tokens = opened.admit(pa.concat_arrays(every))
    assert len(set(tokens.tolist())) == 4


def test_tokens_that_are_drawn_twice_or_zero_are_drawn_again(tmp_path):
    opened = Vault.create(tmp_path / "vault", MASTER)
    first = int(opened.admit(names("N-1"))[0])
    draws = iter(
        [
            np.array([first, 5], np.int64).tobytes(),  # one that is taken
            np.array([6, 6], np.int64).tobytes(),  # one that comes twice
            np.array([0, 7], np.int64).tobytes(),  # the archive's own
            np.array([8, -1], np.int64).tobytes(),  # 63 bits of it are used
        ]
    )
    tokens = opened.admit(names("N-2", "N-3"), lambda size: next(draws, b"\x55" * size))
    assert tokens.tolist() == [8, 2**63 - 1]


def test_the_token_of_a_stranger_has_no_name(tmp_path):
    opened = Vault.create(tmp_path / "vault", MASTER)
    known = opened.admit(names("N-1"))
    with pytest.raises(Missing, match=r"^the vault holds no name for 1 of 2 tokens$"):
        opened.keys(np.append(known, 99))
    assert opened.tokens(names("N-2")).tolist() == [0]
    assert opened.retained(np.array([0, 99])).tolist() == [True, False]


# ---- two at once -----------------------------------------------------------------------------------------------------

ADMITTING = """
import json, sys
from pathlib import Path
import pyarrow as pa
from provenance.keys import MasterKey
from provenance.vault import Vault, nominal_keys
opened = Vault(Path(sys.argv[1]), MasterKey(bytes(range(32))))
print("ready", flush=True)
sys.stdin.readline()
said = {}
for start in range(int(sys.argv[2]), 200, 5):
    ids = [f"N-{n}" for n in range(start, start + 7)]  # each id comes in batches of both
    said.update(zip(ids, opened.admit(nominal_keys(pa.array(ids))).tolist()))
print(json.dumps(said))
"""


def test_two_processes_admitting_at_once_lose_nothing_and_agree(tmp_path):
    folder = tmp_path / "vault"
    first = int(Vault.create(folder, MASTER).admit(names("N-3"))[0])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ADMITTING, str(folder), start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for start in ("0", "3")
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    seen = 0
    while any(process.poll() is None for process in running):
        found = len(held(Vault(folder, MASTER)))  # a reader sees a whole vault at every moment
        assert found >= seen
        seen = found
    said = [json.loads(process.communicate()[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    tokens = {key.split("\x1f")[1]: token for key, (token, _) in held(Vault(folder, MASTER)).items()}
    assert tokens == said[0] | said[1] | {"N-3": first}
    assert said[0] | said[1] == said[1] | said[0]
    assert len(said[0].keys() & said[1].keys()) > 150


def test_a_vault_opened_while_another_merges_its_shards_is_whole(tmp_path, monkeypatch):
    """The keyring was read, and then the shards that it names went."""
    writer = Vault.create(tmp_path / "vault", MASTER)
    writer.admit(names("N-1"))
    read, merged = vault._read_shard, []

    def late(*asked):
        if not merged:
            merged.append(True)
            writer.admit(names("N-2", "N-3"))
        return read(*asked)

    monkeypatch.setattr(vault, "_read_shard", late)
    assert sorted(held(Vault(tmp_path / "vault", MASTER))) == names("N-1", "N-2", "N-3").to_pylist()


# ---- crashes ---------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The machine stops: nothing in the product may catch this."""


class Stopped:
    """Counts durable steps, and stops before or after the nth."""

    def __init__(self, patch: pytest.MonkeyPatch, nth: int, after: bool) -> None:
        self.nth, self.after, self.steps = nth, after, 0
        for name in ("write", "remove"):
            patch.setattr(durable, name, self._counted(getattr(durable, name)))

    def _counted(self, step):
        def wrapped(*asked, **said):
            self.steps += 1
            if self.steps == self.nth and not self.after:
                raise Crash
            step(*asked, **said)
            if self.steps == self.nth:
                raise Crash

        return wrapped


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1), (4, 1), (1, 4), (8, 4, 2, 1, 1)])
def test_a_crash_at_any_durable_step_leaves_the_old_vault_or_the_new(tmp_path, monkeypatch, sizes, after):
    """The last size is what is being admitted; the others lie in shards, some of which it merges."""
    *earlier, count = sizes
    start = Vault.create(tmp_path / "start", MASTER)
    for place, size in enumerate(earlier):
        start.admit(names(*(f"N-{place}-{n}" for n in range(size))))
    old = held(start)
    wanted = [f"N-new-{n}" for n in range(count)]
    for nth in range(1, 30):
        folder = tmp_path / f"crash-{nth}"
        shutil.copytree(start.folder, folder)
        opened = Vault(folder, MASTER)
        with monkeypatch.context() as patch:
            stopped = Stopped(patch, nth, after)
            try:
                opened.admit(names(*wanted))
                break
            except Crash:
                pass
        now = held(Vault(folder, MASTER))
        assert {key: now[key] for key in old} == old
        assert set(now) - set(old) in (set(), set(names(*wanted).to_pylist()))
        # The same process goes on, and so does another; whatever the crash left behind is swept.
        for again in (opened, Vault(folder, MASTER)):
            tokens = again.admit(names(*wanted, f"N-other-{id(again)}"))
            done = held(Vault(folder, MASTER))
            assert {key: done[key] for key in old} == old
            assert [done[key][0] for key in names(*wanted).to_pylist()] == tokens[:-1].tolist()
            assert {key: done[key] for key in now} == now
            assert shards(folder) == {f"{shard.name}.shard" for shard in again._ring.shards}
    assert nth - 1 == stopped.steps >= 2  # a shard, the keyring, and what they replace: every step was stopped at


def test_a_crash_while_a_vault_is_founded_leaves_none_or_one(tmp_path, monkeypatch):
    for after in (False, True):
        folder = tmp_path / f"vault-{after}"
        with monkeypatch.context() as patch:
            Stopped(patch, 1, after)
            with pytest.raises(Crash):
                Vault.create(folder, MASTER)
        if after:
            with pytest.raises(
                Conflict, match=f"^vault vault-{after} holds a keyring already: wanted an empty folder$"
            ):
                Vault.create(folder, MASTER)
            assert held(Vault(folder, MASTER)) == {}
        else:
            with pytest.raises(Missing, match=rf"^the vault's keyring is not there: wanted vault-{after}/keyring$"):
                Vault(folder, MASTER)
            assert held(Vault.create(folder, MASTER)) == {}


# ---- what shows ------------------------------------------------------------------------------------------------------


def test_no_file_and_no_repr_shows_a_secret_a_token_or_a_name(tmp_path):
    opened = Vault.create(tmp_path / "vault", MASTER)
    ids = [f"NOMINAL-{n}-Ödön" for n in range(40)]
    for n in range(0, 40, 10):
        opened.admit(names(*ids[n : n + 10]))
    opened.admit(record_keys(pa.array(["CONNECT"] * 3), pa.array(["CR-1234", "CR-1235", "CR-1236"])))
    tokens, secrets = opened.secrets()
    hidden = [text.encode() for text in [*ids, "NOMINAL", "CONNECT", "CR-123"]]
    hidden += [SECRET, opened.archive_secret, *(row.tobytes() for row in secrets)]
    hidden += [int(token).to_bytes(8, order) for token in tokens[1:] for order in ("little", "big")]
    hidden += [shard.key for shard in opened._ring.shards]
    hidden += [text.encode("utf-16-le") for text in ids]
    written = files(opened.folder)
    assert set(written) == {"keyring", ".writer", *shards(opened.folder)}
    for name, data in written.items():
        for secret in hidden:
            assert secret not in data, name
            assert secret.hex().encode() not in data, name
    # The control: the same search finds them in what was sealed.
    shard = opened._ring.shards[0]
    content = vault.opened_blob(shard.key, f"vault shard {shard.name}", written[f"{shard.name}.shard"])
    found = [secret for secret in hidden if secret in content]
    assert len(found) > 2 * shard.rows
    assert repr(opened) == str(opened) == "Vault(43 parents)"


def test_only_the_owner_may_read_the_files(tmp_path):
    opened = Vault.create(tmp_path / "vault", MASTER)
    opened.admit(names("N-1"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in opened.folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path):
    """A vault of three shards."""
    opened = Vault.create(tmp_path / "vault", MASTER)
    for size in (8, 4, 2):
        opened.admit(names(*(f"N-{size}-{n}" for n in range(size))))
    assert len(shards(opened.folder)) == 3
    return opened


def test_another_master_key_is_refused(filled):
    for secret in (bytes(32), SECRET[:31] + b"\0", SECRET[:31], SECRET + b"\0", b""):
        with pytest.raises(Tampered) as caught:
            Vault(filled.folder, MasterKey(secret))
        assert str(caught.value) == (
            "the vault's keyring does not open: the master key is another one, or a byte of vault/keyring was changed"
        )


def test_each_flipped_byte_is_refused_and_its_file_named(filled):
    for name, data in files(filled.folder).items():
        path = filled.folder / name
        for at in range(len(data)):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
            with pytest.raises(Tampered) as caught:
                Vault(filled.folder, MASTER)
            wanted = "vault/keyring was changed" if name == "keyring" else f"shard vault/{name} does not open: a byte"
            assert wanted in str(caught.value)
        path.write_bytes(data)
    assert len(held(Vault(filled.folder, MASTER))) == 14


def test_a_torn_file_is_refused_and_named(filled):
    for name, data in files(filled.folder).items():
        for cut in range(0, len(data), 7):
            (filled.folder / name).write_bytes(data[:cut])
            with pytest.raises(Tampered, match=name):
                Vault(filled.folder, MASTER)
        (filled.folder / name).write_bytes(data)


def test_a_missing_file_is_named(filled):
    for name in sorted(shards(filled.folder)):
        data = (filled.folder / name).read_bytes()
        (filled.folder / name).unlink()
        with pytest.raises(Missing, match=rf"^shard vault/{name} is not there: wanted vault/{name}$"):
            Vault(filled.folder, MASTER)
        (filled.folder / name).write_bytes(data)
    (filled.folder / "keyring").unlink()
    with pytest.raises(Missing, match=r"^the vault's keyring is not there: wanted vault/keyring$"):
        Vault(filled.folder, MASTER)


def test_one_shard_in_the_place_of_another_is_refused_and_named(filled):
    one, two, _ = sorted(shards(filled.folder))
    shutil.copy(filled.folder / one, filled.folder / two)
    with pytest.raises(Tampered, match=f"^shard vault/{two} does not open: a byte of it was changed$"):
        Vault(filled.folder, MASTER)


def test_a_second_founding_is_refused_and_changes_nothing(filled):
    before = files(filled.folder)
    with pytest.raises(Conflict, match=r"^vault vault holds a keyring already: wanted an empty folder$"):
        Vault.create(filled.folder, MASTER)
    assert files(filled.folder) == before
