"""The table of modules, as data: a new arrow between two of them is a decision, not an accident.

Rows from the top down; a module imports from the rows beneath it and, within its own row, from what stands to its left.
`docs/decisions/0006-architecture.md` gives the reason for each row. Imports are read from the source, the lazy ones
inside functions among them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

TABLE = {  # row: modules, left to right; the row beneath a row is the next one here
    "doors": """world api provenance web web.settings web.passwords web.sessions web.signon web.looks web.words
                web.addresses web.verdicts web.reader web.presenting web.still web.printing web.wording
                web.firstpage web.committee web.documents web.metrics web.logs web.pages web.oversight web.helping
                web.door web.app web.processes cli.doors cli.weeks cli.init cli.receive cli.build cli.backfill cli.asof
                cli.explain cli.diff cli.networks cli.places cli.verify cli.hold cli.review cli.dispose
                cli.certificate cli.checkpoint cli.witness cli.timestamp cli.monitor cli.database cli.key
                cli.schedule cli.ledger cli.check_list cli.subject_access cli.report cli.access cli.health
                cli.disclose cli.thrift cli.serve cli.feed cli.cite cli.trail cli.errors cli.affected cli.reproduce
                cli.lineage cli.backup cli.restore cli.weekly cli cli.__main__ cli.sparing""",
    "disclosure": "saving watching disclosing",
    "views": """scales shapes layouts diagrams charts maps asking seeing standings themes subjects searching viewing
                forms sheets exporting feeding trail tallies issuing ethics declaring health""",
    "answers": """asof comparing candidates between causes series consulting counted whatif hinges explaining proving
                reproducing experiments derivation verify materials listing subjectaccess""",
    "acts": """papers apart pins bygone buckets copies draft selection lookups figures openings receiving propagation
                whereabouts linking grouping remaking publishing builds holding granting scheduling reporting reviewing
                feeds expunging disposal backups rekeying escrow witnessing publicising stamping affected ledger
                sending""",
    "keeping": """durable keys hsm custody database migrations migrations.env migrations.catalogue
                migrations.catalogue.form_0001 migrations.catalogue.form_0002 migrations.sessions
                migrations.sessions.form_0001 migrations.sessions.form_0002 vault crew spark rows index log heads
                catalogue archive trees""",
    "rules": """merkle tokens notes policies proofs sealing params suppression fairness harm geography tables
                grading identity retention links engine supported networks graphs cuts betweenness subgroups
                influence entries access holds statements governing certificates reports history extracts notices
                stamps steps packs checking queries bags defects crates lineage leaks edits schedules""",
    "words": "errors sets memory canonical moments records staff",
    "apart": "standalone.verify",  # shares nothing with the product, which it checks
}
PLACE = {
    module: (row, column)
    for row, modules in enumerate(reversed(TABLE.values()))
    for column, module in enumerate(modules.split())
}

# What the world says, by the calls that ask it; and who may ask.
WORLD = {
    "the clock": ({"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns",
                   "time.localtime", "time.gmtime"}, {"world.py"}),
    "the user": ({"getpass.getuser", "os.getlogin", "os.getuid", "pwd.getpwuid"}, {"world.py"}),
    # pins.py hands its environment on to git and DVC, which are other programs.
    "the environment": ({"os.environ", "os.getenv", "os.environb", "os.getcwd", "Path.cwd", "Path.home",
                         "os.path.expanduser", "sys.argv"}, {"world.py", "pins.py"}),
    # Keys, secrets and tokens; ids of holds and disposals, which tell nothing of what they are about; salts; sessions.
    "chance": ({"os.urandom", "os.getrandom"},
               {"vault.py", "keys.py", "hsm.py", "custody.py", "holding.py", "disposal.py", "web/passwords.py",
                "web/sessions.py"}),
}  # fmt: skip
APART = set(TABLE["apart"].split())  # programs of their own, which are their own doors
CHANCY = {"random", "secrets", "uuid", "tempfile"}  # modules that draw for themselves, or write where nobody looks


def sources(package: str) -> dict[str, Path]:
    """Module names, as the table has them, and their files."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT / package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or package
        found[name] = path
    return found


def imported(path: Path, package: str) -> Iterator[str]:
    """Names of modules of `package` that a file imports, wherever in it, as the table has them."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}, line {node.lineno}: a relative import hides where it points"
            base = node.module or ""
            # `from provenance import asof` names a module, `from provenance import __version__` the package itself.
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names]
        else:
            continue
        for name in names:
            if name == package or name.startswith(f"{package}."):
                yield name.removeprefix(f"{package}.")


MODULES = {f"{package}.{name}" for package in ("provenance", "pipeline") for name in sources(package)}


def test_the_table_names_every_module_once_and_nothing_else():
    named = [module for modules in TABLE.values() for module in modules.split()]
    assert sorted(named) == sorted(sources("provenance"))


@pytest.mark.parametrize("module", sorted(sources("provenance")))
def test_a_module_imports_from_beneath_or_from_its_left(module):
    row, column = PLACE[module]
    for other in set(imported(sources("provenance")[module], "provenance")) - {module}:
        beneath, left = PLACE[other][0] < row, PLACE[other][0] == row and PLACE[other][1] < column
        assert beneath or left, f"{module} imports {other}, which the table puts above it or to its right"


def test_the_pipeline_imports_the_product_and_never_the_reverse():
    reached = {name for path in sources("pipeline").values() for name in imported(path, "provenance")}
    assert {"linking", "publishing", "grouping"} <= reached  # or this test has stopped seeing imports
    for name, path in sources("provenance").items():
        assert not list(imported(path, "pipeline")), f"{name} imports from pipeline/"


def test_of_the_pipeline_the_product_takes_data_only():
    """`resources.files("pipeline")`: dvc.yaml, params.yaml, the harm table and the lock, and the digest of its code."""
    takers = [
        path.relative_to(ROOT / "provenance").as_posix()
        for path in sources("provenance").values()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value == "pipeline"
    ]
    assert sorted(set(takers)) == ["cli/doors.py", "pins.py"]


def dotted(node: ast.AST) -> str:
    """`datetime.now` of `datetime.now(UTC)`; "" for anything that is not a chain of names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def asks(path: Path) -> set[str]:
    """Dotted names in a file, with what `from x import y` brought in under its full name."""
    tree = ast.parse(path.read_text("utf-8"))
    brought = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found = {dotted(node) for node in ast.walk(tree) if isinstance(node, (ast.Attribute, ast.Name))}
    found |= {brought[name] for name in found if name in brought}
    return found | {".".join(name.split(".")[-2:]) for name in found if name.count(".") > 1}


@pytest.mark.parametrize("what", WORLD)
def test_only_doors_ask_the_world(what):
    calls, admitted = WORLD[what]
    askers = {
        path.relative_to(ROOT / "provenance").as_posix()
        for name, path in sources("provenance").items()
        if name not in APART and asks(path) & calls
    }
    assert askers == admitted


def test_nothing_in_the_product_draws_chance_or_writes_to_a_temporary_folder_of_the_machine():
    for name, path in sources("provenance").items():
        if name in APART:
            continue
        brought = {
            (alias.name if isinstance(node, ast.Import) else node.module).split(".")[0]
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        assert not brought & CHANCY, f"{name} imports {', '.join(sorted(brought & CHANCY))}"


@pytest.mark.parametrize("stage", ["dispose", "receive", "link", "networks", "publish"])
def test_a_stage_of_the_pipeline_takes_clock_and_user_from_the_doors(stage):
    calls = set().union(*(calls for calls, _ in WORLD.values()))
    assert not asks(ROOT / "pipeline" / f"{stage}.py") & calls
