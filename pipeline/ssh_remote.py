"""An SSH server of one's own on this machine, to try a DVC remote on: loopback only, its own keys, files only.

    python -m pipeline.ssh_remote FOLDER

It needs OpenSSH's server (Debian: openssh-server), serves until it is stopped, and prints what an archive is told so
that it pushes there. Everything lies in FOLDER: host key, the one key that may log in, and `rows`, the remote.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click
import psutil

from provenance.errors import Conflict, Missing
from provenance.world import user

_WAIT = 10  # seconds until a server answers
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {home}/host
PidFile {home}/sshd.pid
AuthorizedKeysFile {home}/user.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
Subsystem sftp internal-sftp
ForceCommand internal-sftp
AllowTcpForwarding no
AllowAgentForwarding no
X11Forwarding no
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server at work."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def rows(self) -> Path:
        """The remote's folder, as the server's own disk has it."""
        return self.home / "rows"

    @property
    def url(self) -> str:
        return f"ssh://127.0.0.1:{self.port}{self.rows}"

    @property
    def known_host(self) -> str:
        """The line by which SSH knows this server."""
        kind, key, *_ = (self.home / "host.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {key}"

    def stop(self) -> None:
        """End it, as somebody does who pulls a plug: what is under way is cut off."""
        if self.process.poll() is not None:
            return
        server = psutil.Process(self.process.pid)
        every = [server, *server.children(recursive=True)]  # two processes a connection, each in a session of its own
        for process in every:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(every)


def start(home: Path, port: int = 0) -> Server:
    """Serve from `home`, on a port that is free unless one is said. Raises Missing without sshd, Conflict."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Missing("program sshd is not installed: wanted OpenSSH's server (Debian: openssh-server)")
    home = home.resolve()
    (home / "rows").mkdir(parents=True, exist_ok=True)
    for name in ("host", "user"):
        if not (home / name).exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", home / name], check=True)
    port = port or _free()
    (home / "sshd_config").write_text(_CONFIG.format(home=home, port=port))
    if Path(program).parent.parent == Path("/usr") and user() == "root":  # where Debian's drops its privileges to
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    command = [program, "-D", "-e", "-f", str(home / "sshd_config")]
    with (home / "sshd.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
    last = time.monotonic() + _WAIT
    while time.monotonic() < last and process.poll() is None:
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return Server(home, port, process)
        time.sleep(0.02)
    process.kill()
    raise Conflict(f"sshd does not answer on port {port}: {home.name}/sshd.log says why")


def _free() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--port", default=0, metavar="NUMBER", help="Where to listen (default: any that is free).")
def main(folder: str, port: int) -> None:
    """Serve a DVC remote from FOLDER over SSH, on this machine only, until it is stopped (Ctrl-C)."""
    server = start(Path(folder), port)
    click.echo("In the archive's folder, and once:")
    click.echo(f"  echo '{server.known_host}' >> ~/.ssh/known_hosts")
    click.echo(f"  dvc remote add --local -d over-ssh {server.url}")
    click.echo(f"  dvc remote modify --local over-ssh user {user()}")
    click.echo(f"  dvc remote modify --local over-ssh keyfile {server.home / 'user'}")
    click.echo("  dvc remote modify --local over-ssh verify true")
    click.echo("Then, after each build: dvc push --all-tags")
    click.echo(f"Serving {server.rows} until you stop me.")
    try:
        sys.exit(server.process.wait())
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
