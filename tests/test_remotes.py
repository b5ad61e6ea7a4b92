"""What a disposal rewrites follows onto a bucket and over SSH; and what was there is gone from there, for good.

The bucket is moto's server, the other Debian's own OpenSSH with a host key of its own; both on this machine. What is
left on each is looked at from its own side: by another client of the bucket, and in the server's folder.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import dvc_ssh.spec
import pytest
import s3fs
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from dvc.repo import Repo
from fsspec.asyn import sync_wrapper
from moto.s3.models import FakeBucket, S3Backend
from moto.server import ThreadedMotoServer

from pipeline import ssh_remote
from provenance import copies
from provenance.errors import Conflict
from tests.test_copies import LABELS, MARK, REWRITTEN, configure, made, objects, program, renew, rewrite

PREFIX = "rows/files/md5/"
ROLE = "arn:aws:iam::123456789012:role/replicas"
made = made  # the folder with three builds and its two remotes, of test_copies


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "for-tests")
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
        yield patch


# ---- two servers -----------------------------------------------------------------------------------------------------


class S3:
    """A server of buckets, and what it says of one to a client of its own."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, self.port = self.server.get_host_and_port()
        self.endpoint = f"http://{host}:{self.port}"
        self.begun = 0
        # Now and then moto's server takes a request on an old connection and does not answer: it is asked again.
        patient = Config(read_timeout=5, retries={"max_attempts": 4})
        self.client = boto3.client("s3", endpoint_url=self.endpoint, config=patient)

    def begin(self, *, locks: bool = False) -> None:
        """One bucket, empty, of a new name."""
        self.begun += 1
        self.bucket = f"force-{self.begun}"
        where = {"LocationConstraint": "eu-west-2"}
        said = {"CreateBucketConfiguration": where, "ObjectLockEnabledForBucket": locks}
        with contextlib.suppress(self.client.exceptions.BucketAlreadyOwnedByYou):  # asked again, as above
            self.client.create_bucket(Bucket=self.bucket, **said)

    def keep_versions(self, status: str = "Enabled") -> None:
        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": status})

    def put_again(self) -> None:
        """Every object, as it is."""
        for oid, content in self.there().items():
            self.client.put_object(Bucket=self.bucket, Key=f"{PREFIX}{oid[:2]}/{oid[2:]}", Body=content)

    def down(self) -> None:
        self.server.stop()

    def up(self) -> None:
        """On the same port, with all that it held."""
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.server.start()
        s3fs.S3FileSystem.clear_instance_cache()

    def there(self) -> dict[str, bytes]:
        """Every object of today, by its name in DVC."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return {
            key.removeprefix(PREFIX).replace("/", ""): self.client.get_object(Bucket=self.bucket, Key=key)[
                "Body"
            ].read()
            for key in keys
        }

    def ever(self) -> list[bytes]:
        """What every version holds, and "" for each mark of a deletion."""
        said = self.client.list_object_versions(Bucket=self.bucket)
        held = [
            self.client.get_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
            for each in said.get("Versions", ())
        ]
        return held + [b""] * len(said.get("DeleteMarkers", ()))

    def uploads(self) -> int:
        return len(self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ()))


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    served = S3()
    yield served
    served.server.stop()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory, quick: pytest.MonkeyPatch) -> Iterator[ssh_remote.Server]:
    if not shutil.which("sshd", path="/usr/sbin:" + os.environ["PATH"]):
        pytest.skip("no sshd here: openssh-server is one of tests/judges/install.sh")
    served = ssh_remote.start(tmp_path_factory.mktemp("sshd"))
    user = tmp_path_factory.mktemp("user")
    (user / ".ssh").mkdir(mode=0o700)
    (user / ".ssh" / "known_hosts").write_text(served.known_host + "\n")
    quick.setenv("HOME", str(user))
    yield served
    served.stop()


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "home", symlinks=True)


def in_bucket(s3: S3, home: Path) -> None:
    configure(home, f"['remote \"far\"']\n    url = s3://{s3.bucket}/rows\n    endpointurl = {s3.endpoint}\n")


def over_ssh(sshd: ssh_remote.Server, home: Path) -> None:
    shutil.rmtree(sshd.rows)
    sshd.rows.mkdir()
    settings = f"    url = {sshd.url}\n    user = {getpass.getuser()}\n    keyfile = {sshd.home / 'user'}\n"
    configure(home, f"['remote \"far\"']\n{settings}")


def push(home: Path) -> None:
    program(home / "force", "dvc", "push", "-q", "-r", "far", "--all-tags")


def fetched(home: Path) -> dict[str, bytes]:
    """What a new clone gets of each build from the remote `far` alone, by DVC: label and path."""
    clone, got = home / "clone", {}
    program(home, "git", "clone", "-q", str(home / "force"), str(clone))
    shutil.copy(home / "force" / ".dvc" / "config.local", clone / ".dvc" / "config.local")
    for label in LABELS:
        program(clone, "git", "checkout", "-q", f"build/{label}")
        program(clone, "dvc", "pull", "-q", "-r", "far")
        for path in sorted((clone / "store").rglob("*.parquet")):
            got[f"{label} {path.relative_to(clone)}"] = path.read_bytes()
    return got


# ---- both follow -----------------------------------------------------------------------------------------------------


def cleared(got: dict[str, bytes]) -> bool:
    """Whether a clone got every file of every build, and what was dead in none that was rewritten."""
    marked = {name for name, content in got.items() if MARK in content}
    return len(got) == 18 and marked == {name for name in got if name.partition(" ")[2] not in REWRITTEN}


def test_a_bucket_follows(s3, home):
    s3.begin()
    in_bucket(s3, home)
    push(home)
    assert s3.there() == objects(home / "store")
    done = renew(home)
    assert done.remotes["far"] == done.remotes["store"] == 9
    assert s3.there() == objects(home / "store")
    assert cleared(fetched(home))


def test_a_server_reached_by_ssh_follows(sshd, home):
    over_ssh(sshd, home)
    push(home)
    assert objects(sshd.rows) == objects(home / "store")
    done = renew(home)
    assert done.remotes["far"] == done.remotes["store"] == 9
    assert objects(sshd.rows) == objects(home / "store")
    assert cleared(fetched(home))


def test_another_machine_in_the_place_of_the_remote_is_not_believed(sshd, home, tmp_path):
    """It would let anybody in, and say that all is gone; DVC itself would push to it."""
    over_ssh(sshd, home)
    push(home)
    kept = objects(sshd.rows)
    port = sshd.port
    sshd.stop()
    shutil.copytree(sshd.home / "rows", tmp_path / "other" / "rows")
    shutil.copy(sshd.home / "user.pub", tmp_path / "other")
    shutil.copy(sshd.home / "user", tmp_path / "other")
    other = ssh_remote.start(tmp_path / "other", port)
    try:
        with pytest.raises(Conflict, match=r"^DVC remote far does not do what is asked \(HostKeyNotVerifiable\)"):
            renew(home)
    finally:
        other.stop()
        back(sshd)
    renew(home)
    assert objects(sshd.rows) == objects(home / "store") != kept


def back(sshd: ssh_remote.Server) -> None:
    """The same server again, on the same port, for whoever has no connection to it yet."""
    object.__setattr__(sshd, "process", ssh_remote.start(sshd.home, sshd.port).process)
    dvc_ssh.spec.SSHFileSystem.clear_instance_cache()


# ---- what a bucket keeps ---------------------------------------------------------------------------------------------


def test_a_bucket_that_keeps_versions_forgets_them(s3, home):
    """Each object was there twice, one was removed by hand before, and an upload was never completed."""
    s3.begin()
    s3.keep_versions()
    in_bucket(s3, home)
    push(home)
    gone = next(oid for oid, content in sorted(s3.there().items()) if b"2026-W02.link.parquet: as built" in content)
    s3.put_again()
    s3.client.delete_object(Bucket=s3.bucket, Key=f"{PREFIX}{gone[:2]}/{gone[2:]}")
    s3.client.put_object(Bucket=s3.bucket, Key="somebody/elses", Body=MARK)
    begun = s3.client.create_multipart_upload(Bucket=s3.bucket, Key=f"{PREFIX}{gone[:2]}/{gone[2:]}")
    s3.client.upload_part(
        Bucket=s3.bucket, Key=begun["Key"], UploadId=begun["UploadId"], PartNumber=1, Body=b"part of it " + MARK
    )
    assert sum(b"2026-W02.link.parquet: as built " + MARK in content for content in s3.ever()) == 2
    assert s3.uploads() == 1
    done = renew(home)
    assert done.remotes["far"] == 10  # as of the folder beside it, and the upload
    for name in ("2026-W02.link.parquet", "2026-W03.link.parquet"):
        assert not any(f"{name}: as built ".encode() + MARK in content for content in s3.ever())
        assert any(f"{name}: as built ".encode() == content for content in s3.ever()) == (name[:8] == "2026-W03")
    assert s3.ever().count(b"") == 0
    assert s3.uploads() == 0
    assert s3.ever().count(MARK) == 1  # what lies elsewhere in the bucket is somebody's
    assert set(s3.there()) - {"somebodyelses"} == set(objects(home / "store")) - fresh_of(home, gone)


def fresh_of(home: Path, gone: str) -> set[str]:
    """The new form of an object that the bucket had no more: `dvc push` brings it."""
    return {oid for oid, content in objects(home / "store").items() if content == b"2026-W02.link.parquet: as built "}


@pytest.fixture
def suspends(monkeypatch):
    """moto takes a bucket that stopped keeping versions for one that never did, and loses what it kept. In S3 (User
    Guide, objects in versioning-suspended buckets) what is put there, and the mark of a deletion, has the id `null`,
    replaces what had it, and leaves all other versions alone."""
    monkeypatch.setattr(FakeBucket, "is_versioned", property(lambda bucket: bool(bucket.versioning_status)))

    def as_s3(does: Callable[..., Any]) -> Callable[..., Any]:
        def done(backend: S3Backend, bucket_name: str, key_name: str, *rest: Any, **said: Any) -> Any:
            new, bucket = does(backend, bucket_name, key_name, *rest, **said), backend.get_bucket(bucket_name)
            if bucket.versioning_status == "Suspended":
                new._version_id = "null"
                others = [each for each in bucket.keys.getlist(key_name) if each.version_id != "null"]
                bucket.keys.setlist(key_name, [*others, new])
            return new

        return done

    for name in ("put_object", "_set_delete_marker"):
        monkeypatch.setattr(S3Backend, name, as_s3(getattr(S3Backend, name)))


def test_a_bucket_that_kept_versions_once_forgets_them(s3, home, suspends):
    """Each object lies there as a version of the time between and as the null version; of one that was removed since,
    a mark stands in the place of the latter."""
    s3.begin()
    in_bucket(s3, home)
    push(home)  # the null version, before the bucket kept any
    s3.keep_versions()
    s3.put_again()
    s3.keep_versions("Suspended")
    s3.put_again()
    gone = next(oid for oid, content in sorted(s3.there().items()) if b"2026-W02.link.parquet: as built" in content)
    s3.client.delete_object(Bucket=s3.bucket, Key=f"{PREFIX}{gone[:2]}/{gone[2:]}")
    said = s3.client.list_object_versions(Bucket=s3.bucket)
    held = [(each["Key"], each["VersionId"] == "null") for each in said["Versions"]]
    assert len(held) == len(set(held)) == 2 * len(objects(home / "store")) - 1
    assert [each["VersionId"] for each in said["DeleteMarkers"]] == ["null"]
    dead = {name: f"{name}.link.parquet: as built ".encode() + MARK for name in ("2026-W02", "2026-W03")}
    assert [s3.ever().count(content) for content in dead.values()] == [1, 2]
    renew(home)
    assert [s3.ever().count(content) for content in dead.values()] == [0, 0]
    assert s3.ever().count(b"") == 0
    assert set(s3.there()) == set(objects(home / "store")) - fresh_of(home, gone)


def test_a_bucket_that_does_not_let_go_is_named(s3, home):
    """Of one version, because somebody has a claim on it."""
    s3.begin(locks=True)
    in_bucket(s3, home)
    push(home)
    held = next(oid for oid, content in s3.there().items() if b"2026-W03.link.parquet: as built" in content)
    key = f"{PREFIX}{held[:2]}/{held[2:]}"
    s3.client.put_object_legal_hold(Bucket=s3.bucket, Key=key, LegalHold={"Status": "ON"})
    said = rewrite(home / "force")
    with pytest.raises(Conflict, match=r"^DVC remote far does not let go of 1 versions of what was removed: "):
        copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    assert any(MARK in content and b"2026-W03.link.parquet: as built" in content for content in s3.ever())
    s3.client.put_object_legal_hold(Bucket=s3.bucket, Key=key, LegalHold={"Status": "OFF"})
    copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    assert s3.there() == objects(home / "store")
    assert len(s3.ever()) == len(s3.there())


def test_a_bucket_that_locks_or_copies_what_it_holds_is_refused(s3, home):
    s3.begin(locks=True)
    in_bucket(s3, home)
    said = rewrite(home / "force")
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    locked = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.client.put_object_lock_configuration(Bucket=s3.bucket, ObjectLockConfiguration=locked)
    with pytest.raises(Conflict, match=r"^DVC remote far lies in a bucket that locks objects for a time: wanted one"):
        copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    copied, target = s3.bucket, {"Bucket": f"arn:aws:s3:::{s3.bucket}"}
    s3.client.put_bucket_versioning(Bucket=copied, VersioningConfiguration={"Status": "Enabled"})
    s3.begin()
    s3.keep_versions()
    rules = [{"Status": "Enabled", "Prefix": "", "Destination": target}]
    s3.client.put_bucket_replication(Bucket=s3.bucket, ReplicationConfiguration={"Role": ROLE, "Rules": rules})
    (home / "force" / ".dvc" / "config.local").write_text(
        (home / "force" / ".dvc" / "config.local").read_text().replace(copied, s3.bucket)
    )
    with pytest.raises(Conflict, match=r"^DVC remote far lies in a bucket that copies its objects to another one"):
        copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    assert MARK in b"".join(objects(home / "store").values())  # and nothing was begun anywhere else


# ---- cut off ---------------------------------------------------------------------------------------------------------


def cutting(patch: pytest.MonkeyPatch, owner: type, method: str, picked: Callable[..., bool], cut: Callable[[], None]):
    """Have `cut` happen before the call that `picked` picks; the call goes on, to whatever answers then."""
    real = getattr(owner, method)

    async def called(self: Any, *arguments: Any, **named: Any) -> Any:
        if picked(*arguments):
            cut()
        return await real(self, *arguments, **named)

    patch.setattr(owner, method, called)


def nth(number: int, wanted: str = "") -> Callable[..., bool]:
    """The call of this number, of those whose first argument is `wanted`."""
    left = [number]

    def picked(*arguments: Any) -> bool:
        if wanted in ("", arguments[0]):
            left[0] -= 1
            return left[0] == 0
        return False

    return picked


@pytest.mark.parametrize(("method", "number"), [("put_object", 2), ("delete_objects", 2), ("list_object_versions", 2)])
def test_a_bucket_that_goes_away_in_the_middle(s3, home, monkeypatch, method, number):
    """From some call on, nothing answers any more."""
    s3.begin()
    s3.keep_versions()
    in_bucket(s3, home)
    push(home)
    said = rewrite(home / "force")
    begun, away = nth(number, method), []

    def picked(*arguments: Any) -> bool:
        away.extend([True] * begun(*arguments))
        return bool(away)

    def gone() -> None:
        raise EndpointConnectionError(endpoint_url=s3.endpoint)

    with monkeypatch.context() as patch:
        cutting(patch, s3fs.S3FileSystem, "_call_s3", picked, gone)
        patch.setattr(s3fs.S3FileSystem, "call_s3", sync_wrapper(s3fs.S3FileSystem._call_s3))  # made of the one before
        with pytest.raises(Conflict, match=r"^DVC remote far does not do what is asked \(\w+\): wanted to renew every"):
            copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    assert away
    copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    assert s3.there() == objects(home / "store")
    assert len(s3.ever()) == len(s3.there())


@pytest.mark.parametrize(("method", "number"), [("_put_file", 2), ("_rm_file", 4), ("_find", 3)])
def test_a_server_that_goes_away_in_the_middle(sshd, home, monkeypatch, method, number):
    over_ssh(sshd, home)
    push(home)
    said = rewrite(home / "force")
    cut = []
    with monkeypatch.context() as patch:
        cutting(patch, dvc_ssh.spec.SSHFileSystem, method, nth(number), lambda: cut.append(sshd.stop()))
        with pytest.raises(Conflict, match=r"^DVC remote far does not do what is asked \(\w+\): wanted to renew every"):
            copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    assert len(cut) == 1
    back(sshd)
    copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    assert objects(sshd.rows) == objects(home / "store")


def size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # it has its own name by now
        return path.stat().st_size
    return 0


def test_a_push_that_is_cut_off_loses_nothing_and_a_disposal_clears_what_it_left(sshd, home):
    """The line is cut while a large file goes over it, the server's machine with it: part of the file stays there."""
    over_ssh(sshd, home)
    large = home / "force" / "store" / "links" / "2026-W04.link.parquet"
    large.write_bytes(os.urandom(64 << 20))
    program(home / "force", "dvc", "commit", "-q", "-f")
    command = [sys.executable, "-m", "dvc", "push", "-q", "-r", "far"]
    pushing = subprocess.Popen(command, cwd=home / "force", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    last = time.monotonic() + 60
    while (
        not (parts := [path for path in sshd.rows.rglob(".*.tmp") if size(path) > 1 << 20]) and time.monotonic() < last
    ):
        time.sleep(0.01)
    sshd.stop()
    assert pushing.wait(60) != 0
    assert parts
    assert any(path.exists() for path in parts)
    back(sshd)
    program(home / "force", "dvc", "push", "-q", "-r", "far", "--all-tags")
    whole = {oid for oid in objects(sshd.rows) if not oid.endswith(".tmp")}
    assert whole == set(objects(home / "store")) | {oid for oid in whole if oid not in objects(home / "store")}
    assert any(len(content) == 64 << 20 for content in objects(sshd.rows).values())
    renew(home)
    assert not [oid for oid in objects(sshd.rows) if oid.endswith(".tmp")]


def test_a_push_into_a_bucket_that_goes_away_is_completed_by_another(s3, home, monkeypatch):
    s3.begin()
    in_bucket(s3, home)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with monkeypatch.context() as patch:
        cutting(patch, s3fs.S3FileSystem, "_call_s3", nth(5, "put_object"), s3.down)
        with Repo(str(home / "force")) as repo, pytest.raises(Exception, match=r"files? failed|connect|endpoint"):
            repo.push(remote="far", all_tags=True)
    s3.up()
    assert 0 < len(s3.there()) < len(objects(home / "store"))
    push(home)
    assert s3.there() == objects(home / "store")


def test_what_is_read_back_is_what_was_put(sshd, home, monkeypatch):
    """A server that keeps something else, of the same size: said, and put right by the next try."""
    over_ssh(sshd, home)
    push(home)
    said = rewrite(home / "force")
    real = dvc_ssh.spec.SSHFileSystem._put_file

    async def other(self: Any, source: str, target: str, *rest: Any, **named: Any) -> None:
        await real(self, source, target, *rest, **named)
        path = Path(target)
        path.chmod(0o644)
        path.write_bytes(bytes(len(path.read_bytes())))

    with monkeypatch.context() as patch:
        patch.setattr(dvc_ssh.spec.SSHFileSystem, "_put_file", other)
        for _ in range(2):  # the last try is the one that reads what the others left
            with pytest.raises(Conflict, match=r"^DVC remote far has other bytes than those that were put there: try"):
                copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    copies.renew(home / "force", said, on="2026-03-01T09:00:00Z")
    assert objects(sshd.rows) == objects(home / "store")
