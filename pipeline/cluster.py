"""A Spark standalone cluster on one machine: a master and its workers, for as long as this program runs.

    python -m pipeline.cluster FOLDER [--workers N]

In FOLDER lie `conf/` (whose file `spark-defaults.conf`, mode 0600, has the secret that all parts of a cluster share),
`work/` and `local/`, where Spark puts, encrypted, what does not fit into memory, and `logs/`. pip's PySpark lacks the
scripts that start a master and a worker; both are classes that its `spark-class` runs. They listen on this machine
alone, and everything that they say to one another is encrypted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click

from provenance import durable
from provenance.errors import Missing, ProvenanceError

HERE = "127.0.0.1"
PORT = 7077  # Spark's own
_PATIENCE = 300  # seconds in which each part must have come up, on a machine however busy
_LEADS, _SERVES = "New state: ALIVE", "Successfully registered with master"  # what their logs then say
_DEFAULTS = """\
spark.authenticate true
spark.authenticate.secret {secret}
spark.network.crypto.enabled true
spark.network.crypto.cipher AES/GCM/NoPadding
spark.network.crypto.saslFallback false
spark.driver.bindAddress {here}
spark.driver.host {here}
spark.driver.memory {driver_memory}
spark.executor.memory {memory}
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that runs: how it is reached, and the processes of its workers."""

    master: str  # spark://HOST:PORT
    conf: Path  # for SPARK_CONF_DIR
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def running(
    folder: Path, *, workers: int = 2, memory: str = "2g", driver_memory: str = "4g", port: int = PORT
) -> Iterator[Cluster]:
    """A cluster of workers with a processor and `memory` each; ended with the block. A secret that lies there is kept.

    Raises Missing where PySpark is not installed, or naming the log of what did not come up.
    """
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise Missing("package pyspark is not installed: wanted `pip install 'provenance[spark]'`")
    home, folder = Path(spec.origin).parent, folder.resolve()
    for name in ("conf", "local", "logs", "work"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    conf = folder / "conf" / "spark-defaults.conf"
    if not conf.exists():
        said = _DEFAULTS.format(secret=secrets.token_hex(32), here=HERE, memory=memory, driver_memory=driver_memory)
        durable.write(conf, said.encode(), mode=0o600)
    told = os.environ | {
        "SPARK_HOME": str(home), "SPARK_CONF_DIR": str(conf.parent), "SPARK_LOCAL_IP": HERE,
        "SPARK_LOCAL_DIRS": str(folder / "local"),
    }  # fmt: skip
    master = f"spark://{HERE}:{port}"
    asked = ["--cores", "1", "--memory", memory, "--work-dir", str(folder / "work"), "--webui-port", "0", master]
    with contextlib.ExitStack() as ending:

        def start(name: str, what: str, *arguments: str) -> subprocess.Popen[bytes]:
            command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{what}", "--host", HERE]
            with open(folder / "logs" / f"{name}.log", "wb") as sink:
                process = subprocess.Popen(
                    [*command, *arguments], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=told, cwd=folder
                )
            ending.callback(_end, process)
            return process

        logs = folder / "logs"
        _await(start("master", "master.Master", "--port", str(port), "--webui-port", "0"), logs / "master.log", _LEADS)
        names = [f"worker-{number}" for number in range(1, workers + 1)]
        started = tuple(start(name, "worker.Worker", *asked) for name in names)
        for name, worker in zip(names, started, strict=True):
            _await(worker, logs / f"{name}.log", _SERVES)
        yield Cluster(master, conf.parent, started)


def _await(process: subprocess.Popen[bytes], log: Path, up: str) -> None:
    end = time.monotonic() + _PATIENCE
    while up not in log.read_text("utf-8", "replace"):
        if process.poll() is not None or time.monotonic() > end:
            raise Missing(f"Spark did not come up: wanted `{up}` in logs/{log.name}; see there. Java is 17 or later?")
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--workers", default=2, show_default=True, help="How many workers, of one processor each.")
@click.option("--memory", default="2g", show_default=True, help="Memory of each worker.")
@click.option("--port", default=PORT, show_default=True, help="Where the master listens.")
def main(folder: str, workers: int, memory: str, port: int) -> None:
    """Run a Spark standalone cluster on this machine, with its files in FOLDER, until Ctrl-C."""
    try:
        with running(Path(folder), workers=workers, memory=memory, port=port) as cluster:
            click.echo(f"Spark master {cluster.master} with {workers} workers. In another terminal:")
            click.echo(f"  export SPARK_CONF_DIR={shlex.quote(str(cluster.conf))}")
            click.echo(f"  provenance build --engine spark --master {cluster.master}")
            click.echo("Ctrl-C ends it.")
            with contextlib.suppress(KeyboardInterrupt):
                while all(worker.poll() is None for worker in cluster.workers):
                    time.sleep(1)
    except ProvenanceError as error:
        click.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
