"""The analyst's notebook in docs/: it runs from top to bottom, and what it shows is what it would show now."""

from __future__ import annotations

import json
from importlib.util import find_spec

import notebook
import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("notebook")
    notebook.sample_force(found)
    return found


@pytest.fixture(scope="module")
def kept():
    return json.loads(notebook.NOTEBOOK.read_text("utf-8"))


def test_every_cell_says_what_the_notebook_shows(folder, kept, monkeypatch):
    """When it is meant to change: `python tests/notebook.py FOLDER`, and read the difference."""
    monkeypatch.delenv("COLUMNS", raising=False)  # by which pandas would wrap its tables
    before = {path: path.stat().st_mtime_ns for path in sorted((folder / "demo/force/store").rglob("*"))}
    now = notebook.executed(kept, folder)
    for there, here in zip(kept["cells"], now["cells"], strict=True):
        assert here == there, "".join(there["source"])
    assert notebook.NOTEBOOK.read_text("utf-8") == notebook.written(now)
    assert {path: path.stat().st_mtime_ns for path in sorted((folder / "demo/force/store").rglob("*"))} == before


def test_it_shows_what_an_analyst_uses(kept):
    code = "\n".join("".join(cell["source"]) for cell in kept["cells"] if cell["cell_type"] == "code")
    for word in ("as_of(", "to_pandas(", "polars.from_arrow(", ".graph(", "igraph.", ".series(", ".causes(",
                 ".experiment(", ".verify()"):  # fmt: skip
        assert word in code, word
    outputs = [output for cell in kept["cells"] for output in cell.get("outputs", [])]
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs) == 2
    assert all(cell["outputs"] for cell in kept["cells"] if cell.get("metadata", {}).get("wants"))


def test_it_has_the_form_of_a_notebook(kept):
    assert (kept["nbformat"], kept["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in kept["cells"]}) == len(kept["cells"])
    for cell in kept["cells"]:
        fields = {"id", "cell_type", "metadata", "source"}
        assert set(cell) == fields | ({"execution_count", "outputs"} if cell["cell_type"] == "code" else set())


@pytest.mark.skipif(find_spec("nbformat") is None, reason="the package nbformat is not here: it judges notebooks")
def test_nbformat_agrees(kept):
    import nbformat

    nbformat.validate(nbformat.from_dict(kept))
