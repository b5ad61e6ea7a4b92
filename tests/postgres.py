"""A real PostgreSQL server of one's own, on this machine alone: for tests, and to try one out.

    python tests/postgres.py FOLDER

makes a server in FOLDER, or starts the one that is there, prints the address that `provenance database use` asks for,
and runs until it is interrupted. Wants Debian's `postgresql` (tests/judges/install.sh).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

USER, UNPRIVILEGED = "provenance", "postgres"  # in the database; on the machine, where we are root


class Unavailable(Exception):
    """Why no server can be had here."""


def programs() -> Path:
    """Where `initdb` and `postgres` lie, the newest there is."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name)):
        if (folder / "initdb").exists():
            return folder
    if found := shutil.which("initdb"):
        return Path(found).parent
    raise Unavailable("PostgreSQL is not installed (Debian: postgresql)")


class Postgres:
    """A server in a folder; its port and password are drawn when it is made."""

    def __init__(self, folder: Path, *, careful: bool = True) -> None:
        """`careful`: flush to the disk, without which a power cut loses what was committed; a killed process does not.
        Raises Unavailable."""
        self.folder, self.data, self._bin = folder, folder / "data", programs()
        self._as = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            try:
                account = pwd.getpwnam(UNPRIVILEGED)
            except KeyError:
                raise Unavailable(f"there is no user {UNPRIVILEGED}, and PostgreSQL does not run as root") from None
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, account.pw_uid, account.pw_gid)
            if self._quietly("test", "-w", str(folder)).returncode:
                raise Unavailable(f"user {UNPRIVILEGED} may not enter the folder of temporary files")
        if not self.data.exists():
            self._make()
        self.port = int((folder / "port").read_text())
        self.password = (folder / "password").read_text()
        self._careful = careful
        self._server: subprocess.Popen | None = None

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # The colon and the percent sign are what addresses trip over.
        (self.folder / "password").write_text(f"{secrets.token_hex(8)}:/%40@{secrets.token_hex(8)}")
        (self.folder / "password").chmod(0o600)
        if self._as:
            os.chown(self.folder / "password", self._as["user"], self._as["group"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            (self.folder / "port").write_text(str(free.getsockname()[1]))
        done = self._quietly(
            str(self._bin / "initdb"), "-D", str(self.data), "-U", USER, "--auth=scram-sha-256", "--encoding=UTF8",
            "--locale=C.UTF-8", f"--pwfile={self.folder / 'password'}", "--no-sync",
        )  # fmt: skip
        if done.returncode:
            raise Unavailable(f"initdb fails: {done.stderr.strip().splitlines()[-1:]}")

    def address(self, database: str = USER) -> str:
        """For `provenance database use`."""
        return f"postgresql://{USER}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start unless it runs, and wait until it answers."""
        if self._server is not None and self._server.poll() is None:
            return
        said = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": str(self.folder),
            "fsync": "on" if self._careful else "off", "log_min_messages": "error",
        }  # fmt: skip
        with open(self.folder / "log", "ab") as log:
            self._server = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *(f"--{name}={value}" for name, value in said.items())],
                stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self._as,
            )  # fmt: skip
        ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(600):
            if self._server.poll() is not None:
                break
            if self._quietly(*ready).returncode == 0:
                return
            time.sleep(0.05)
        raise Unavailable(f"server does not start: see {self.folder / 'log'}")

    def create(self, database: str) -> str:
        """A new database of this name; its address."""
        self.say("postgres", f'CREATE DATABASE "{database}"')
        return self.address(database)

    def say(self, database: str, statement: str) -> str:
        """What the server's own client prints."""
        return subprocess.run(
            [self._bin / "psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER,
             "-c", statement, database],
            env={**os.environ, "PGPASSWORD": self.password}, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip

    def kill(self) -> None:
        """kill -9 of the server and all that it started, as a power cut would."""
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # or the next start waits to be sure

    def stop(self) -> None:
        """End what is open and stop."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(60)

    def _quietly(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **self._as)


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """A server for tests, in a folder that is removed behind it."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's own folders are closed to every other user
    folder.chmod(0o711)
    server = None
    try:
        server = Postgres(folder / "server", careful=False)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    try:
        server = Postgres(Path(sys.argv[1]).resolve())
        server.start()
    except Unavailable as why:
        sys.exit(f"No server can be had here: {why}")
    with contextlib.suppress(subprocess.CalledProcessError):  # it is there where the server was made before
        server.create(USER)
    print("PostgreSQL is running; Ctrl+C ends it. Its address, for `provenance database use`:")
    print(server.address(), flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would leave the server behind
    server.stop()


if __name__ == "__main__":
    main()
