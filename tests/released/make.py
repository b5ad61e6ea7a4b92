"""Make the archive that stands for a release: `python tests/released/make.py FOLDER`, with that release's own code.

The first release's is kept in `1.0.0.tar.xz`. Everybody in it is invented, and its keys guard nothing: they are there
so that every later version can be asked to open what the first one wrote (`tests/test_released.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from force import record, write_extract  # noqa: E402

from provenance import __version__, moments  # noqa: E402
from provenance.archive import Archive  # noqa: E402
from provenance.web import passwords, sessions  # noqa: E402
from provenance.web.settings import AttemptLimits, SessionLimits  # noqa: E402

NAME = "released"
WEEKS = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z", "2026-02-01T23:59:59Z")
PEOPLE = [f"N-{n:02}" for n in range(1, 13)]
ASKED_ON = "2026-02-02T09:00:00Z"
SIGNED_ON = 1_770_000_000  # 2026-02-02T02:40:00Z
QUESTIONS = {  # by name, what a later version is asked too; the answers are kept
    **{f"asof {week}": ("asof", week, "--json") for week in WEEKS},
    "nominal": ("asof", WEEKS[3], "--nominal", "N-02", "--harm", "--json"),
    "explain": ("explain", "N-01", "N-02", "--as-of", WEEKS[3], "--json"),
    "diff": ("diff", WEEKS[0], WEEKS[3], "--json"),
    "certificate": ("certificate", "--json"),
    "access": ("access", "list", "--on", "2026-02-02", "--json"),
    "holds": ("hold", "list", "--json"),
    "verify": ("verify", "--json"),
}


def provenance(home: Path, on: str, *arguments: str) -> str:
    """A command, at a moment of the story."""
    done = subprocess.run(
        [sys.executable, "-m", "provenance.cli", "--archive", str(home / NAME), *arguments],
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "SOURCE_DATE_EPOCH": str(int(moments.instant(on).timestamp())),
            **{f"GIT_{who}_{what}": "released" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        },
        cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout


def asked(home: Path) -> dict[str, Any]:
    """What the archive answers to each question."""
    found = {}
    for name, question in QUESTIONS.items():
        if name == "certificate":
            disposal = json.loads(provenance(home, ASKED_ON, "dispose", "list", "--json"))
            question = ("certificate", disposal["disposals"][0]["certificate"], "--json")
        found[name] = json.loads(provenance(home, ASKED_ON, *question))
    return found


def make(home: Path) -> None:
    """Four weeks of a small force: a hold, a disposal, a grant, people signed on; and what it answers."""
    provenance(home, "2026-01-05T09:00:00Z", "init")
    for number, week in enumerate(WEEKS):
        rows = [
            record(
                f"R-{number}-{n}", PEOPLE[n], PEOPLE[(n + 1 + number) % 12],
                f"{PEOPLE[(n + 5) % 12]}:victim", recorded_at=week, themes=("SOC", "CSE", "SOC;CL")[n % 3],
            )
            for n in range(12)
        ]  # fmt: skip
        said = {"mode": "delta", "since": WEEKS[number - 1]} if number else {}
        people = [{"nominal_id": id, "name": f"Invented Person {id[2:]}", "born": "1990-01-31"} for id in PEOPLE]
        folder = write_extract(home / "inbox" / str(number), rows, cut_off=week, nominals=people, **said)
        provenance(home, week, "receive", str(folder))
        provenance(home, week, "build", "--published-at", week)
    monday = "2026-02-02T08:00:00Z"
    by = ("--by", "officer", "--under", "a story")
    kept = ("--case", "26/0001", "--record", "CONNECT", "R-1-3", "--basis", "cpia-1996", "--review-on", "2026-08-01")
    provenance(home, monday, "hold", "add", *kept, "--event", "investigation-opened", "2026-01-20", *by)
    plan, why = str(home / "plan.json"), ("--under", "a story", "--reason", "mopi-review")
    provenance(home, monday, "dispose", "plan", "--nominal", "N-07", *why, "--out", plan)
    provenance(home, monday, "dispose", "carry-out", plan, "--by", "officer", "--approved-by", "second person")
    with Archive(home / NAME, home / f"{NAME}.keys") as archive:
        founder = next(iter(archive.log.acts(0, 1))).by
    provenance(home, monday, "access", "grant", "ana", "--role", "administrator", "--by", founder, "--under", "a story")
    keys = home / f"{NAME}.keys"
    passwords.set_password(keys, "ana", "correct horse battery")
    kept = sessions.Sessions(keys, SessionLimits(), AttemptLimits())
    kept.begin("ana", at=SIGNED_ON)
    kept.attempt("ana", "192.0.2.7", at=SIGNED_ON)
    kept.close()
    provenance(home, monday, "asof", WEEKS[1], "--nominal", "N-02", "--proof", str(home / "proof"))
    with Archive(home / NAME, keys) as archive:
        roots = {built.label: {t.name: t.root for t in built.tables} for built in archive.history.builds}
        head = {"size": archive.log.size, "root": archive.log.root.hex()}
    said = {"version": __version__, "roots": roots, "head": head, "answers": asked(home)}
    (home / "said.json").write_text(json.dumps(said, indent=1, sort_keys=True) + "\n")
    (keys / "README").write_text("Test keys of an archive of invented people: they guard nothing and are public.\n")
    shutil.rmtree(home / "inbox")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
