"""A year of weekly builds of the sample force, and the question the product is for: what was shown then, and why?

Each step is a command that a newcomer can type again; the demo prints it before it runs it.
"""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click

from provenance.web import passwords
from provenance.world import user

RECORDS, WEEKS, SEED = 3_000, 52, 2026
WHEN = "2026-03-14T10:00"
# In the words of whoever invented the force: what a real one says in `params.yaml`, under `owner`.
OWNER = {
    "name": "The sample force, which is invented",
    "records": (
        "Every person, record and event here is invented. A program drew them at random, so that the system can be "
        "tried out without anybody's data. Nothing in this report is about a real person."
    ),
    "areas": "Each is an invented part of the invented force's area, by its number.",
    "invented": ["grades", "retention"],
}


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--weeks", default=WEEKS, show_default=True, help="How many weekly builds to make.")
def demo(folder: str, weeks: int) -> None:
    """Make the sample force in FOLDER and ask it about a past date."""
    home = Path(folder)
    for path in (home / "inbox", home / "force", home / "force.keys"):
        shutil.rmtree(path, ignore_errors=True)
    started = time.monotonic()
    archive = str(home / "force")

    say(
        "1. An invented force: a year of extracts from five kinds of record, three themes, with errors put right later."
    )
    sizes = ["--records", str(RECORDS), "--weeks", str(weeks), "--seed", str(SEED), str(home / "inbox")]
    run([sys.executable, "-m", "pipeline.sample", *sizes], show=shlex.join(["python", "-m", "pipeline.sample", *sizes]))
    say("2. An archive: a log, a vault, and keys that lie beside it.")
    provenance(archive, "init")
    _write_owner(Path(archive) / "params.yaml")
    say(f"3. {weeks} weekly builds, each sealed, signed, logged and live from the end of its week.")
    provenance(archive, "backfill", str(home / "inbox"), "--every", "week")
    when = WHEN if weeks == WEEKS else _last(archive)
    say(f"4. What did the dashboard show at {when}, for the strongest network?")
    answer = json.loads(_quietly(archive, "asof", when, "--json"))
    network = max(answer["networks"], key=lambda n: (n["strength"], n["network"]))["network"]
    provenance(archive, "asof", when, "--network", network)
    inside = json.loads(_quietly(archive, "asof", when, "--network", network, "--json"))["links"]
    link = max(inside, key=lambda x: (x["strength"], x["a"], x["b"]))
    say("5. Why are these two linked? Every record, with its grade as recorded, and what it contributes.")
    provenance(archive, "explain", link["a"], link["b"], "--as-of", when)
    say("6. Does it all verify? Every stored byte, against the signed log.")
    provenance(archive, "verify")
    say("7. Who may look at the pages? An administrator says so; each grant is in the log.")
    word = _let_in(archive, home / "force.keys")
    first, second = ("2026-03-07T10:00", WHEN) if weeks == WEEKS else (when, when)
    click.echo(
        f"""
{"-" * 78}
Shown: {weeks} builds made in {time.monotonic() - started:.0f} seconds; what was live at {when}; the records behind
one link; a check of every stored byte. No name, no id and no record lies in the
clear anywhere in {archive}: the secrets are in its vault, the key in {archive}.keys.

Next, the dashboard, of any moment of that year:
  source .venv/bin/activate
  provenance --archive {archive} serve
and sign on at http://localhost:8000 as `analyst`, `disclosure` or `auditor`; the password of each, drawn for this
demonstration, is  {word}

Or on the command line:
  provenance --archive {archive} diff {first} {second}
  provenance --archive {archive} asof {when} --nominal {link["a"]}
  python -c "import provenance; print(provenance.open('{archive}').as_of('{when}').graph('SOC'))"
  docs/tutorial-disclosure-officer.md, docs/tutorial-analyst.md
{"-" * 78}"""
    )


def _let_in(archive: str, keys: Path) -> str:
    """Grant three roles, and give each of them one password, which is returned."""
    word = secrets.token_urlsafe(12)
    by, under = user(), "the demonstration"
    provenance(archive, "access", "grant", "administrator", "--role", "administrator", "--by", by, "--under", under)
    for name, role in (("analyst", "analyst"), ("disclosure", "disclosure-officer"), ("auditor", "auditor")):
        provenance(archive, "access", "grant", name, "--role", role, "--by", "administrator", "--under", under)
        passwords.set_password(keys, name, word)
    return word


def _write_owner(params: Path) -> None:
    """The owner's words, in the lines that the params have for them."""
    text = params.read_text("utf-8")
    for key, said in OWNER.items():
        empty = json.dumps(type(said)())
        text = text.replace(f"\n  {key}: {empty}\n", f"\n  {key}: {json.dumps(said)}\n")
    params.write_text(text, "utf-8")


def say(text: str) -> None:
    """The heading of a step."""
    click.echo("\n" + click.style(text, bold=True))


def provenance(archive: str, *arguments: str) -> None:
    """One command of the product, printed and run. Ends the program where it fails."""
    command = [sys.executable, "-m", "provenance.cli", "--archive", archive, *arguments]
    run(command, show=shlex.join(["provenance", "--archive", archive, *arguments]))


def run(command: list[str], *, show: str) -> None:
    """A command, printed as `show` and run. Ends the program where it fails."""
    click.echo(click.style(f"$ {show}", dim=True))
    sys.stdout.flush()
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def _quietly(archive: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "provenance.cli", "--archive", archive, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _last(archive: str) -> str:
    from provenance import open as opened

    with opened(archive) as force:
        return force.publications[-1].start


if __name__ == "__main__":
    demo()
