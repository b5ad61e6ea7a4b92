"""The door: `python -m pipeline.sample --records N --weeks W --seed S OUT`."""

from __future__ import annotations

import re
import sys
import time
from datetime import date
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.sample.plan import LEAST_RECORDS, MOST_RECORDS, MOST_WEEKS, Plan
from pipeline.sample.weeks import write
from provenance.errors import ProvenanceError

_SILENT_SECONDS = 2  # a bar appears only for work that outlasts this


class IsoWeek(click.ParamType):
    """`2025-W47`, as the Monday it begins with."""

    name = "week"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            if not re.fullmatch(r"\d{4}-W\d{2}", str(value), re.ASCII):
                raise ValueError
            return date.fromisoformat(str(value))  # the Monday
        except ValueError:
            return self.fail(f"found {value!r}, wanted an ISO week such as 2025-W47", param, ctx)


@click.command()
@click.option("--records", type=click.IntRange(LEAST_RECORDS, MOST_RECORDS), required=True, help="Distinct records.")
@click.option("--weeks", type=click.IntRange(1, MOST_WEEKS), required=True, help="Extracts: one full, then deltas.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), required=True, help="The same seed gives the same bytes.")
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.option("--first-week", type=IsoWeek(), default="2025-W47", show_default=True, help="Week of the full extract.")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
def main(records: int, weeks: int, seed: int, form: str, first_week: date, out: Path) -> None:
    """Write the weekly extracts of an invented force to OUT, one folder per week (design, section 6).

    About half as many people as records. Each later week brings 1 % of the records (less beyond 41 weeks, where the
    first keeps 60 %), and corrections of earlier ones.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
    )
    task = bar.add_task("records", total=records)
    started = time.monotonic()

    def show(done: int) -> None:
        bar.update(task, completed=done)
        if console.is_terminal and not bar.live.is_started and time.monotonic() - started > _SILENT_SECONDS:
            bar.start()

    plan = Plan(records=records, weeks=weeks, seed=seed, monday=first_week)
    try:
        totals = write(plan, out, form, show)
    except ProvenanceError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    finally:
        bar.stop()
    click.echo(
        f"{weeks} extracts, {plan.label(0)} to {plan.label(weeks - 1)}, in {out}\n"
        f"{totals.records:,} records of {totals.nominals:,} nominals, {totals.involvements:,} involvements\n"
        f"{totals.again:,} records came again, {totals.merges:,} merges and splits, {totals.disposals:,} disposals"
    )


if __name__ == "__main__":
    main()
