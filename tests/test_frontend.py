"""What pages are drawn with: built alike each time, asking nobody for anything, and in the wheel."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from browser import ROOT
from jinja2 import UndefinedError

from provenance.errors import Malformed, Missing
from provenance.web.looks import POLICY, STATIC, TEMPLATES, Assets, environment

BUILD = ROOT / "frontend" / "build.py"


def builder():
    spec = importlib.util.spec_from_file_location("frontend_build", BUILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def build():
    module = builder()
    if not module.MODULES.is_dir():
        pytest.skip("the npm packages are not here: `make assets` installs them")
    return module


def test_the_same_packages_and_sources_give_the_same_files(build, tmp_path):
    files = build.built(build.SOURCES, build.MODULES)
    for folder in ("one", "two"):
        build.write(files, tmp_path / folder)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} for folder in ("one", "two"))
    assert one == two
    names = json.loads(one["manifest.json"])
    assert set(one) == {"manifest.json", *names.values()}
    assert f'from "./{names["govuk.js"]}"'.encode() in one[names["provenance.js"]]


def test_a_changed_source_has_a_new_name_and_the_old_file_is_gone(build, tmp_path):
    build.write({"provenance.css": b"p{}"}, tmp_path)
    [before] = tmp_path.glob("*.css")
    build.write({"provenance.css": b"p{color:red}"}, tmp_path)
    [after] = tmp_path.glob("*.css")
    assert before != after


def test_nothing_that_is_served_asks_for_a_typeface_a_crest_or_another_host(build):
    for name, data in build.built(build.SOURCES, build.MODULES).items():
        if name.endswith(".ttf"):
            continue  # for PDF; no page asks for it
        text = data.decode()
        if name.endswith(".css"):
            assert not re.search(r"@font-face|@import|url\((?!data:)|GDS|crest\.svg", text), name
        assert "sourceMappingURL" not in text
    licences = build.licences(build.MODULES).decode()
    assert re.search(r"govuk-frontend 6\.\S+, licence MIT", licences)
    assert re.search(r"htmx\.org 2\.\S+, licence 0BSD", licences)
    assert "SIL OPEN FONT LICENSE" in licences


@pytest.mark.parametrize("asks", ["@import 'x.css';", "p{background:url(/a.png)}", "p{font-family:GDS Transport}"])
def test_a_stylesheet_that_asks_for_a_file_stops_the_build(asks):
    with pytest.raises(ValueError, match="a stylesheet still asks for"):
        builder().stylesheet(asks)


def test_where_npm_reaches_no_registry_it_is_said_what_is_wanted(tmp_path):
    """A copy of the folder without its packages, and an npm that fails as it does without a registry."""
    (tmp_path / "frontend").mkdir()
    for name in ("build.py", "package.json", "package-lock.json"):
        (tmp_path / "frontend" / name).write_bytes((BUILD.parent / name).read_bytes())
    (tmp_path / "bin").mkdir()
    for name in ("node", "npm"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2; exit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    said = subprocess.run(
        [sys.executable, tmp_path / "frontend" / "build.py"], capture_output=True, text=True,
        env=os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert said.returncode == 2
    assert "Wanted: an npm registry that this machine can reach" in said.stderr
    assert "make assets" in said.stderr
    assert "ENOTFOUND" in said.stderr
    assert not (tmp_path / "provenance").exists()


def test_the_lock_pins_each_package_by_digest_and_names_no_host():
    lock = json.loads((BUILD.parent / "package-lock.json").read_text("utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert {"node_modules/govuk-frontend", "node_modules/htmx.org", "node_modules/axe-core"} <= set(packages)
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


def test_without_what_is_built_a_page_is_refused(tmp_path):
    with pytest.raises(Missing, match="is not built: run `make assets`"):
        Assets.read(tmp_path)
    with pytest.raises(Malformed, match=r"a template asks for other\.css"):
        Assets({"provenance.css": "provenance.1.css"})("other.css")


def test_a_wheel_made_without_a_network_holds_what_pages_are_drawn_with(build, tmp_path):
    if not (STATIC / "manifest.json").exists():
        pytest.skip("what pages are drawn with is not built here: `make assets` does")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index",
         "--disable-pip-version-check", "-w", tmp_path / "out", _tree(tmp_path / "tree")],
        check=True, capture_output=True,
    )  # fmt: skip
    [wheel] = (tmp_path / "out").glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {f"provenance/web/static/{path.name}" for path in STATIC.iterdir()} <= inside
    templates = {path.relative_to(ROOT).as_posix() for path in TEMPLATES.rglob("*.html")}
    assert len(templates) > 10
    assert templates <= inside
    assert not [name for name in inside if "node_modules" in name or name.startswith(("frontend", "tests"))]


def _tree(to: Path) -> Path:
    """What set-up leaves, of which a wheel is made: setuptools writes beside its sources."""
    to.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (to / name).write_bytes((ROOT / name).read_bytes())
    for package in ("provenance", "pipeline"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                target = to / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    return to


def test_a_name_that_a_template_was_not_given_is_an_error_and_text_is_escaped():
    pages = environment(Assets({}))
    with pytest.raises(UndefinedError):
        pages.from_string("{{ nobody }}").render()
    with pytest.raises(UndefinedError):
        pages.from_string("{{ build.root }}").render(build={})
    assert pages.from_string("<p>{{ text }}</p>").render(text="<script>") == "<p>&lt;script&gt;</p>"


ALONE = {
    "read-me-first.html",
    "pack-rows.html",
    "document.html",
}  # files that travel alone, under a policy of their own; never served


def test_what_travels_alone_brings_its_style_and_runs_nothing():
    for name in ALONE:
        text = (TEMPLATES / name).read_text("utf-8")
        assert "default-src 'none'" in text
        assert "<script" not in text


def test_no_template_holds_a_script_a_style_or_a_handler_and_each_macro_is_described():
    for path in TEMPLATES.rglob("*.html"):
        if path.name in ALONE:
            continue
        text = path.read_text("utf-8")
        head, _, body = text.partition("#}")
        body = body or text
        for bad in (r"<style", r"<script(?![^>]* src=)", r"\son\w+=", r"\sstyle=", r"https?://", r"\|\s*safe"):
            assert not re.search(bad, body), f"{path.name}: {bad}"
        for macro in re.findall(r"{% macro ([a-z]\w*)\(", body) if path.parent.name == "macros" else ():
            assert head.startswith("{#"), f"{path.name} does not begin by saying what its macros are given"
            assert re.search(rf"\b{macro}\(", head), f"{path.name}: {macro} is not described at its head"
    assert "unsafe" not in POLICY
