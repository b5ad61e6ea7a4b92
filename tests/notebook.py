"""A notebook's cells run in order, as a kernel would run them, in one second and without one.

    python tests/notebook.py FOLDER     docs/analyst.ipynb with what its cells say now

A kernel (nbclient, ipykernel) would bring some thirty packages for what `exec` and a look at the last expression do.
In FOLDER lies `demo/force`, as `sample_force` makes it. A cell whose metadata say what it `wants` keeps the outputs
that it has where that package is not installed: igraph (GPL) and Polars are an analyst's own choice.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import json
import os
import sys
from collections.abc import Iterator
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from force import Force

from pipeline.sample.plan import Plan
from pipeline.sample.weeks import write

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs" / "analyst.ipynb"
WEEKS = 5


def sample_force(folder: Path) -> None:
    """The first weeks of a sample of 2,000 records, each published at seven on the Monday after it."""
    inbox = folder / "inbox"
    write(Plan(records=2_000, weeks=WEEKS, seed=7, monday=date(2025, 11, 17)), inbox)
    (folder / "demo").mkdir()
    force = Force(folder / "demo")
    for extract in sorted(inbox.iterdir()):
        cut_off = json.loads((extract / "extract.json").read_bytes())["cut_off"]
        force.take(extract, on=cut_off)
        force.build(cut_off, f"{cut_off[:10]}T23:59:59Z")
    force.archive.close()


def executed(notebook: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The notebook with the outputs that its cells have in `folder`. What a cell raises, rises."""
    made, names = copy.deepcopy(notebook), {"__name__": "__main__"}
    count = 0
    with contextlib.chdir(folder):
        for cell in made["cells"]:
            if cell["cell_type"] != "code":
                continue
            count += 1
            cell["execution_count"] = count
            if all(find_spec(package) for package in cell["metadata"].get("wants", [])):
                cell["outputs"] = list(_outputs("".join(cell["source"]), names, count))
    return made


def _outputs(source: str, names: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    tree, said, value = ast.parse(source), io.StringIO(), None
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(said):
        exec(compile(tree, f"cell {count}", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), names)
    if said.getvalue():
        yield {"output_type": "stream", "name": "stdout", "text": _lines(said.getvalue())}
    if hasattr(value, "savefig"):
        yield {"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": _lines(_drawn(value))}}
    elif value is not None:
        data = {"text/plain": _lines(repr(value))}
        yield {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data}


def _drawn(figure: Any) -> str:
    """SVG of the same bytes for the same figures."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "provenance", "svg.fonttype": "none"}):
        sink = io.StringIO()
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    return "".join(line.rstrip() + "\n" for line in sink.getvalue().splitlines())


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def written(notebook: dict[str, Any]) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    home = Path(sys.argv[1])
    if not (home / "demo").exists():
        sample_force(home)
    os.environ.pop("COLUMNS", None)
    NOTEBOOK.write_text(written(executed(json.loads(NOTEBOOK.read_text("utf-8")), home)), "utf-8")
