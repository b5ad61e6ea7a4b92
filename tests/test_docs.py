"""What the pages say is so: marked blocks are run and compared, and the reference names everything there is.

A block `console run` holds commands after `$` and, under each, lines that its output contains, in that order; `…`
stands for whatever comes. A command must end well, but for one that a reader would follow by `; echo $?`. A block
`python run` is run, in one interpreter per page; a block `text` is what it prints.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from pipeline.sample.plan import Plan
from pipeline.sample.weeks import write
from provenance import access, entries, errors, extracts, links, records, tables
from provenance.cli import COMMANDS, main
from provenance.web import settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w[\w ]*)\n(.*?)^```$", re.M | re.S)
LESS = ("explain", "--as-of", "2026-03-14T10:00", "--without-grade", "C")
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `demo/force` as `make demo` leaves it, in the builds that the pages ask about.

    Which builds there are does not change what one says, so four of the 52 will do. Only from the first week's
    networks do ids persist, so that build is among them.
    """
    from datetime import date

    home = tmp_path_factory.mktemp("docs")
    plan = Plan(records=3_000, weeks=52, seed=2026, monday=date.fromisoformat("2025-W47"))
    write(plan, home / "demo" / "all", "csv", lambda done: None)
    (home / "demo" / "inbox").mkdir()
    for week in sorted((home / "demo" / "all").iterdir())[:17]:
        week.rename(home / "demo" / "inbox" / week.name)
    moments = ("2025-11-23T23:59:59Z", "2026-03-01T23:59:59Z", "2026-03-08T23:59:59Z", "2026-03-15T23:59:59Z")
    (home / "moments").write_text("\n".join(moments))
    archive = str(home / "demo" / "force")
    for command in (["init"], ["backfill", str(home / "demo" / "inbox"), "--cut-offs", str(home / "moments")]):
        done = CliRunner().invoke(main, ["--archive", archive, *command], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    return home


class Page:
    """One page being followed by a reader who types everything."""

    def __init__(self, home: Path) -> None:
        self.folder = home
        self.names: dict[str, Any] = {}

    def types(self, line: str) -> str:
        """What a command printed; it must end well, unless its exit code is printed too."""
        line, is_asked, _ = line.partition("; echo $?")
        if line.startswith("cd "):
            self.folder = (self.folder / line.removeprefix("cd ")).resolve(strict=True)
            return ""
        if line.startswith("provenance "):
            with contextlib.chdir(self.folder):
                done = CliRunner().invoke(main, shlex.split(line)[1:], catch_exceptions=False)
            assert is_asked or done.exit_code == 0, f"{line}\n{done.output}"
            return done.output + (f"\n{done.exit_code}" if is_asked else "")
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        who = {f"GIT_{role}_{part}": "docs" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        shell = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env={**os.environ, **who, "PATH": programs},
            capture_output=True,
            text=True,
        )
        assert is_asked or shell.returncode == 0, f"{line}\n{shell.stdout}{shell.stderr}"
        return f"{shell.stdout}{shell.stderr}\n{shell.returncode}" if is_asked else shell.stdout

    def runs(self, code: str) -> str:
        """What a block of Python printed."""
        printed = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            exec(compile(code, "page", "exec"), self.names)
        return printed.getvalue()


def contains(printed: str, wanted: list[str]) -> str:
    """The first of the wanted lines that `printed` has not, in their order; "" when it has all."""
    held, at = " ".join(printed.split()), 0
    for line in wanted:
        pattern = r".*?".join(re.escape(" ".join(part.split())) for part in line.split("…"))
        found = re.compile(pattern).search(held, at)
        if not found:
            return line
        at = found.end()
    return ""


def commands(block: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines under it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(line.strip())
    return found


def marked(page: Path) -> list[tuple[str, str]]:
    """The fences of a page that are to be run or compared."""
    return [
        (kind, body) for kind, body in FENCE.findall(page.read_text("utf-8")) if kind.endswith(" run") or kind == "text"
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if marked(page)], ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page, demo, tmp_path):
    if page.stem == "how-to":  # its recipes change what they work on
        shutil.copytree(demo / "demo", tmp_path / "demo")
        reader = Page(tmp_path)
    elif page.stem == "runbook":  # it makes an archive of its own, to break
        reader = Page(tmp_path)
    else:
        reader = Page(demo)
    printed = ""
    for kind, body in marked(page):
        if kind == "console run":
            for line, wanted in commands(body):
                printed = reader.types(line)
                assert not contains(printed, wanted), f"{line}\nlacks: {contains(printed, wanted)}\n{printed}"
        elif kind == "python run":
            printed = reader.runs(body)
        else:
            wanted = [line for line in body.splitlines() if line.strip()]
            assert not contains(printed, wanted), f"lacks: {contains(printed, wanted)}\n{printed}"


def test_the_comparison_sees_a_line_that_is_not_there_and_one_out_of_order():
    assert contains("a b\nc   d", ["a b", "c d"]) == ""
    assert contains("a b\nc d", ["c d", "a b"]) == "a b"
    assert contains("root abc\nend", ["root …", "end"]) == ""
    assert contains("12 links new", ["23 links new"]) == "23 links new"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{page.name} leads to {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.M)
            anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in anchors, f"{page.name} leads to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_name_only_commands_that_exist(page):
    for name in re.findall(r"(?:`|\$ |^    )provenance (?:--\w+ \S+ )*([a-z][\w-]*)", page.read_text("utf-8"), re.M):
        assert name in COMMANDS, f"{page.name} speaks of `provenance {name}`"


# ---- the reference is whole ------------------------------------------------------------------------------------------


def section(title: str) -> str:
    """The text under a heading of the reference, up to the next of its rank."""
    rank = re.search(rf"^(#+) {re.escape(title)}$", REFERENCE, re.M)
    assert rank, f"docs/reference.md has no section {title}"
    rest = REFERENCE[rank.end() :]
    end = re.search(rf"^#{{1,{len(rank[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def commands_with_arguments() -> dict[str, click.Command]:
    """Every command that takes arguments, under the words that call it: `asof`, `hold add`."""
    found = {}
    for name in COMMANDS:
        command = main.get_command(None, name)
        inner = getattr(command, "commands", None)
        found.update({f"{name} {word}": each for word, each in inner.items()} if inner else {name: command})
    return found


@pytest.mark.parametrize("name", commands_with_arguments())
def test_the_reference_has_every_command_with_its_arguments_and_options(name):
    command = commands_with_arguments()[name]
    text = section(f"provenance {name}")
    for parameter in command.params:
        said = parameter.opts[0] if parameter.param_type_name == "option" else parameter.make_metavar(None)
        assert f"`{said}" in text, f"{name}: {said}"
    described = set(re.findall(r"^\| `(--[\w-]+)", text, re.M))
    assert described == {p.opts[0] for p in command.params if p.param_type_name == "option"}


def test_the_reference_has_the_options_of_every_command():
    for parameter in main.params:
        assert f"`{parameter.opts[0]}" in section("Commands"), parameter.opts[0]


def test_the_reference_has_every_exit_code():
    text = section("Exit codes")
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ProvenanceError)
    ]
    for kind in kinds[1:]:
        assert re.search(rf"^\| {kind.exit_code} \| `{kind.__name__}` ", text, re.M), kind.__name__
    assert {int(code) for code in re.findall(r"^\| (\d) \|", text, re.M)} == {0, 2} | {k.exit_code for k in kinds[1:]}


# Below these the keys are words of the contract or names that a force gives, and not keys of ours.
OPEN_KEYS = {
    "systems", "themes", "grading.admitted", "grading.view_conversion.source", "grading.view_conversion.assessment",
    "grading.view_conversion.handling", "grading.view_conversion.conditions", "links.kind_points",
    "links.role_classes", "links.role_pairs", "links.grade_percents", "holds.bases", "holds.table.rows",
    "retention.groups", "retention.reviews.reasons", "retention.disposal_reasons", "owner.sources",
}  # fmt: skip


def test_the_reference_has_every_key_of_params():
    def keys(value: Any, path: str) -> list[str]:
        if not isinstance(value, dict) or path in OPEN_KEYS:
            return [path]
        return [path, *(key for name, inner in value.items() for key in keys(inner, f"{path}.{name}"))]

    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    named = [key for name, value in params.items() for key in keys(value, name)]
    assert len(named) > 40
    text = section("params.yaml")
    for key in named:
        assert f"`{key}`" in text or any(f"`{parent}.*`" in text for parent in (key, key.rpartition(".")[0])), key
    for edition in params["harm"]["editions"]:
        assert all(f"`{key}`" in text for key in edition)


def test_the_reference_has_every_key_of_the_settings_of_the_web():
    parts = {"sign_on": (settings.Oidc, settings.Proxy, settings.Local), "sessions": (settings.SessionLimits,)}
    parts["attempts"] = (settings.AttemptLimits,)
    keys = {f"{name}.{key}" for name, models in parts.items() for model in models for key in model.model_fields}
    plain = set(settings.Settings.model_fields) - set(parts)
    assert set(re.findall(r"^\| `([a-z_.]+)` \|", section("web.yaml"), re.M)) == plain | keys


def test_the_reference_says_what_each_role_may_do():
    rows = re.findall(r"^\| `([a-z-]+)` \|(.*)\|$", section("provenance access").split("###")[0], re.M)
    said = {code: [cell.strip() == "yes" for cell in cells.split("|")] for code, cells in rows}
    assert said == {code: [one in role.may for one in access.PERMISSIONS] for code, role in access.ROLES.items()}


@pytest.mark.parametrize("name", tables.TABLES)
def test_the_reference_has_every_table_and_column(name):
    table = tables.TABLES[name]
    found = re.search(rf"^\| `{name}` \|(.*)$", section("Tables"), re.M)
    assert found, name
    assert set(re.findall(r"`(\w+)`", found[1].split("|")[0])) == set(table.columns.names)


def test_the_reference_has_every_field_of_a_support():
    found = re.search(r"^\| a support \|(.*)$", section("Tables"), re.M)
    assert set(re.findall(r"`(\w+)`", found[1].split("|")[0])) == {field.name for field in tables.SUPPORT}


@pytest.mark.parametrize("name", records.TABLES)
def test_the_reference_has_every_column_of_the_contract(name):
    found = re.search(rf"^\| `{name}` \|(.*)$", section("Files and columns"), re.M)
    assert re.findall(r"`(\w+)`", found[1].split("|")[0]) == records.TABLES[name].schema.names
    wanted = set(re.findall(r"`(\w+)`", found[1].split("|")[1]))
    assert wanted == set(records.TABLES[name].filled)


def test_the_reference_has_every_word_of_the_contract():
    text = section("Words")
    words = [*records.KINDS, *records.ROLES, *records.THEMES, *records.ASSESSED, *records.DISPOSABLE, *records.SCHEMES]
    assert not [word for word in words if f"`{word}`" not in text]


def test_the_reference_has_every_reason_for_which_a_row_is_turned_away():
    """The reasons are read from the source, so a new one that nobody described fails here."""
    tree = ast.parse((ROOT / "provenance" / "extracts.py").read_text("utf-8"))
    reasons = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[a-z]+(-[a-z]+)+", node.value)
    }
    assert len(reasons) == 30
    reasons.add(extracts.RETURNED)  # one word, so the pattern above does not see it
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section("Why a row is turned away"), re.M)) == reasons


def test_the_reference_has_every_reason_for_which_a_record_gives_no_link():
    assert re.findall(r"^\| `([a-z-]+)` \|", section("Why a record gives no link"), re.M) == list(links.REASONS)


@pytest.mark.parametrize("name", entries.ACTS)
def test_the_reference_has_every_act_with_its_fields(name):
    found = re.search(rf"^\| `{name}` \|(.*)$", section("Acts in the log"), re.M)
    assert found, name
    own = set(entries.declared(entries.ACTS[name])) - set(entries.declared(entries.Act))
    assert set(re.findall(r"`(\w+)`", found[1].split("|")[0])) == own


@pytest.mark.parametrize(
    ("title", "arguments"),
    [
        ("provenance asof", ["asof", "2026-03-14T10:00"]),
        ("provenance explain", ["explain", "N0280559044", "N0370728968", "--as-of", "2026-03-14T10:00"]),
        ("provenance explain", ["explain", "N0280559044", "--as-of", "2026-03-14T10:00"]),
        ("provenance explain", [*LESS, "N0280559044"]),
        ("provenance explain", [*LESS, "N0280559044", "N0370728968"]),
        ("provenance explain", [*LESS, "--network", "SOC-2025-W47-002"]),
        ("provenance asof", ["asof", "2026-03-14T10:00", "--network", "SOC-2025-W47-002"]),
        ("provenance asof", ["asof", "2026-03-14T10:00", "--network", "SOC-2025-W47-002", "--key-players"]),
        ("provenance diff", ["diff", "2026-03-07T10:00", "2026-03-14T10:00"]),
        ("provenance diff", ["diff", "2026-03-07T10:00", "2026-03-14T10:00", "--causes"]),
        ("provenance verify", ["verify", "--build", "2026-W10"]),
    ],
)
def test_the_reference_has_every_key_of_an_answer(title, arguments, demo):
    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | set().union(*map(keys, value.values()), set())
        return set().union(*map(keys, value), set()) if isinstance(value, list) else set()

    archive = str(demo / "demo" / "force")
    said = CliRunner().invoke(main, ["--archive", archive, *arguments, "--json"], catch_exceptions=False).stdout
    text = section(title) + section("Answers as JSON") + section("Tables")
    assert not [key for key in keys(json.loads(said)) if f"`{key}`" not in text]


def test_the_reference_has_every_file_of_an_archive(demo):
    """Each file that an archive holds is described by one line of the list."""
    archive = demo / "demo" / "force"
    text = section("Files of an archive")
    described = [re.sub(r"<[\w-]+>", "*", name) for name in re.findall(r"^\| `([^`]+)` \|", text, re.M)]
    for path in archive.rglob("*"):
        name = path.relative_to(archive).as_posix()
        if path.is_dir() or name.startswith((".git/", ".dvc/")):
            continue
        assert any(Path(name).match(pattern) or name.startswith(pattern.rstrip("*")) for pattern in described), name
