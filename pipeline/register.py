"""A public register in the place of a force's records, release by release, and the ethics report of its last quarter.

The complaints, encounters and settled cases of the Chicago police (../shared/data): eight releases, a build after each.
The report goes to audit_reports/chicago-register. Each step is a command that can be typed again.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click
import yaml

from pipeline import demo
from pipeline.sources import cpd_police_records

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "cpd_police_records"
QUARTER = "2022-Q4"
OWNER = {
    "version": "1",
    "name": "A trial on a public register, not a police force's own records",
    "contact": "",
    "records": (
        "These are real records, but not a police force's own: complaints against police officers in Chicago, reports "
        "of force that officers used, and court cases that the city settled. The Invisible Institute published them. "
        "Here they stand in for crime, custody and intelligence records, to try the system on many records. About one "
        "in three of the people are police officers: “suspected” where somebody complained about them, else a witness "
        "or another part. The others are people on whom officers used force: “suspected” where they were charged "
        "then, else another part. So “suspected” mixes officers and the public, and no comparison here tells them "
        "apart. Whoever complained, or was a victim, is not in the records: the register gives them no number. Many "
        "complaints were not upheld, so no figure here says that anybody did anything. Grades, handling codes, dates "
        "of destruction and the theme were made up for the trial."
    ),
    "sources": {
        cpd_police_records.COMPLAINTS: "complaints against police officers, in the place of crime records",
        cpd_police_records.FORCE: "reports of force that officers used, in the place of custody records",
        cpd_police_records.CIVIL: "court cases that the city settled, in the place of intelligence",
    },
    "areas": "Each is a police beat of Chicago, by its number.",
    "invented": ["grades", "retention"],  # see `_INVENTED` in the adapter
}


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--out",
    default=str(ROOT / "audit_reports" / "chicago-register"),
    help="Copy the report to this folder.  [default: audit_reports/chicago-register]",
)
def register(folder: str, out: str) -> None:
    """Build the register's archive in FOLDER and report on its last quarter."""
    if not DATA.is_dir():
        raise click.ClickException("the folder ../shared/data/cpd_police_records is not here: nothing to build")
    home = Path(folder)
    for path in (home / "told", home / "force", home / "force.keys"):
        shutil.rmtree(path, ignore_errors=True)
    archive, told = str(home / "force"), str(home / "told")
    demo.say("1. The register as it was told, release by release.")
    adapter = ["-m", "pipeline.sources", "cpd_police_records", str(DATA), told, "--releases", "separate"]
    demo.run([sys.executable, *adapter], show=f"python {' '.join(adapter)}")
    demo.say("2. An archive, with the params that fit a register.")
    demo.provenance(archive, "init")
    _write_params(Path(archive) / "params.yaml")
    moments = sorted(json.loads(path.read_text())["cut_off"] for path in Path(told).glob("*/extract.json"))
    (home / "cut-offs").write_text("\n".join(moments) + "\n")
    demo.say("3. A build after each release.")
    demo.provenance(archive, "backfill", told, "--cut-offs", str(home / "cut-offs"))
    demo.say("4. The report.")
    demo.provenance(archive, *("report", "ethics", "--quarter", QUARTER, "--under", "An example"), "--out", out)


def _write_params(path: Path) -> None:
    """The project's params for the register's systems, with no cap on people and no threshold that a release of years
    would pass."""
    said = yaml.safe_load(path.read_text("utf-8"))
    said["systems"] = {name: list(kinds) for name, kinds in cpd_police_records.SYSTEMS.items()}
    said["links"]["people_per_record"] = 0
    said["thresholds"] |= {"max_drop_percent": 100, "stale_watermark_days": 36_500}
    said["owner"] = OWNER
    path.write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=120), "utf-8")


if __name__ == "__main__":
    register()
