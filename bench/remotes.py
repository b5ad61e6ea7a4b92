"""What a year of builds costs on remotes, and whether a disposal reaches them: a bucket that keeps versions, and SSH.

    python -m bench.remotes ARCHIVE FOLDER

ARCHIVE, such as `demo/force` of `make demo`, is copied into FOLDER, which is new, with its keys. All tags are pushed to
both remotes; a nominal is disposed of; then a clone of each remote alone is pulled, the last build and the first, and
log, roots and rows are verified there. Both servers run on this machine, so that the figures are of the product and the
protocol, not of a line. There is no figure unless the roots are those of before and nothing that went is left.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pipeline import ssh_remote
from provenance import disposal, verify
from provenance.archive import Archive
from provenance.cli.doors import Door, keep, now
from provenance.world import user

BUCKET = "force-rows"
_CONFIG = """\
[core]
    remote = bucket
['remote "bucket"']
    url = s3://{bucket}/force
    endpointurl = {endpoint}
['remote "ssh"']
    url = {ssh}
    user = {user}
    keyfile = {keyfile}
"""


@click.command()
@click.argument("archive", type=click.Path(exists=True, file_okay=False))
@click.argument("folder", type=click.Path(exists=False))
def main(archive: str, folder: str) -> None:
    """Print what pushing, disposing and pulling cost."""
    home = Path(folder).resolve()
    root = home / "force"
    shutil.copytree(archive, root, symlinks=True)
    shutil.copytree(f"{archive}.keys", f"{root}.keys")
    client, endpoint, stop = _bucket()
    server = ssh_remote.start(home / "ssh")
    try:
        known(home, server)
        settings = {"bucket": BUCKET, "endpoint": endpoint, "ssh": server.url, "user": user()}
        config = _CONFIG.format(**settings, keyfile=server.home / "user")
        (root / ".dvc" / "config.local").write_text(config)
        size = sum(path.stat().st_size for path in (root / ".dvc" / "cache").rglob("*") if path.is_file())
        click.echo(f"load {os.getloadavg()[0]:.1f}; DVC's cache has {size / 1e6:,.1f} MB")
        for name in ("bucket", "ssh"):
            _timed(f"push of all tags to {name}", lambda name=name: dvc(root, "push", "-r", name, "--all-tags"))
        before = _objects(client, server)
        roots = _disposed(root)
        keep(Door(str(root), None))  # as the command line does: log and certificate into git
        for name in ("bucket", "ssh"):
            _timed(f"push of what is new to {name}", lambda name=name: dvc(root, "push", "-r", name, "--all-tags"))
        after = _objects(client, server)
        gone = [set(was) - set(now) for was, now in zip(before, after, strict=True)]
        kept = _versions(client)
        assert gone[0] == gone[1], "the two remotes lost other objects"
        assert sorted(kept) == sorted(after[0]), "the bucket keeps versions, or marks of deletions"
        for was, now_there, lost in zip(before, after, gone, strict=True):
            assert not any(was[oid] in now_there.values() for oid in lost), "a removed object lies under another name"
        click.echo(f"removed from each: {len(gone[0])} objects of {len(before[0])}; {len(after[0])} are there now")
        for name in ("bucket", "ssh"):
            _timed(f"clone, pull and verify from {name} alone", lambda name=name: _pulled(home, root, name, roots))
    finally:
        server.stop()
        stop()


def _bucket() -> tuple[Any, str, Callable[[], None]]:
    """A bucket that keeps versions: who asks for it, where it is, and how its server is stopped."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "for-trials")
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    served = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client, f"http://{host}:{port}", served.stop


def known(home: Path, server: ssh_remote.Server) -> None:
    """The server's key, known to whoever is asked for it here; git wants a home too."""
    (home / "user" / ".ssh").mkdir(parents=True)
    (home / "user" / ".ssh" / "known_hosts").write_text(server.known_host + "\n")
    os.environ["HOME"] = str(home / "user")


def _disposed(root: Path) -> dict[str, dict[str, str]]:
    """Dispose of the person with most links; the roots of every build, which are what they were."""
    door = Door(str(root), None)
    params, table = door.params()
    with door.archive() as archive:
        roots = _roots(archive)
        person = _most_linked(archive)
        said = {
            "on": now(),
            "by": "planner",
            "under": "a trial",
            "reason": sorted(params.retention.disposal_reasons)[0],
        }
        plan = disposal.plan(archive, params, table, [disposal.Request("nominal", "", person)], **said)
        steps: dict[str, float] = {}

        def report(what: str, done: int, total: int) -> None:
            if done == 0:
                steps[what] = time.perf_counter()
            elif done == total:
                steps[what] = time.perf_counter() - steps[what]

        def carried_out() -> None:
            who = {"by": "records officer", "approved_by": "second person"}
            disposal.carry_out(archive, plan, params, table, on=now(), **who, report=report)

        _timed("disposal, certified", carried_out)
        click.echo(f"  of which DVC and git, with both remotes: {steps['Copies in DVC and git']:.1f} s")
        assert _roots(archive) == roots, "a root changed"
        verify.insist(verify.verify(archive))
    return roots


def _roots(archive: Archive) -> dict[str, dict[str, str]]:
    return {built.label: {table.name: table.root for table in built.tables} for built in archive.history.builds}


def _most_linked(archive: Archive) -> str:
    import numpy as np
    import pyarrow as pa

    from provenance.vault import nominal_ids

    index = archive.index("link")
    tokens, counts = np.unique(np.concatenate([index.a, index.b]), return_counts=True)
    person = tokens[np.argmax(np.where(tokens > 0, counts, 0))]
    return nominal_ids(pa.array(archive.vault.keys(np.array([person])))).to_pylist()[0]


def _pulled(home: Path, root: Path, name: str, roots: dict[str, dict[str, str]]) -> None:
    clone = home / f"from-{name}"
    subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True)
    shutil.copy(root / ".dvc" / "config.local", clone / ".dvc" / "config.local")
    for tag in (f"build/{min(roots)}", "main"):
        subprocess.run(["git", "checkout", "-q", tag], cwd=clone, check=True)
        dvc(clone, "pull", "-r", name)
    for kept in ("vault", "seen", "reported", "disclosure"):  # what neither git nor DVC carries
        if (root / kept).exists():
            shutil.copytree(root / kept, clone / kept)
    with Archive(clone, Path(f"{root}.keys")) as archive:
        assert _roots(archive) == roots, "another root"
        steps = verify.verify(archive)
        faults = [fault for step in steps for fault in step.faults]
        assert not faults, faults[:5]


def dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "-q"], cwd=root, check=True)


def _objects(client: Any, server: ssh_remote.Server) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What both hold, as each has it: by a client of its own, and on the server's disk."""
    bucket = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for each in page.get("Contents", ()):
            bucket[_name(each["Key"])] = client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
    found = (path for path in server.rows.rglob("*") if path.is_file())
    return bucket, {_name(path.as_posix()): path.read_bytes() for path in found}


def _versions(client: Any) -> list[str]:
    """Names of all that the bucket keeps, once for each version and each mark of a deletion."""
    found = []
    for page in client.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        found += [_name(each["Key"]) for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))]
    return found


def _name(path: str) -> str:
    return path.rpartition("files/md5/")[2].replace("/", "")


def _timed(what: str, do: Callable[[], None]) -> None:
    started = time.perf_counter()
    do()
    click.echo(f"{what}: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
