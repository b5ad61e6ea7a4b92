"""Disclosure packs: each is judged by programs that nobody here wrote, and each spoilt one is refused by name.

One force tells the story: two builds, a witness's policy, a query about ANN and her link with BOB. What changes the
archive is done to a copy.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from force import PARAMS, Force, record
from spoilt import flip

from provenance import (
    access,
    asof,
    bags,
    canonical,
    defects,
    disclosing,
    entries,
    granting,
    holding,
    materials,
    merkle,
    papers,
    proving,
    queries,
    reporting,
    saving,
    scheduling,
    trees,
    verify,
    viewing,
    watching,
)
from provenance.archive import Archive
from provenance.asking import Ask
from provenance.asof import Snapshot
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.schedules import MG6C
from provenance.web.still import House, Stills

WEEK = [f"2026-01-{day}T23:59:59Z" for day in (11, 18, 25)]
ON = "2026-02-02T10:00:00Z"
ROOT = Path(__file__).resolve().parent.parent
VERIFY = ROOT / "provenance" / "standalone" / "verify.py"
HOUSE = House("Network archive", "Force of tests", "Official-Sensitive", "")
C = {"kind": "intelligence", "grade_scheme": "3x5x2", "source_grade": "1", "assessment_grade": "A", "handling": "C"}
FIRST = [
    record("R-1", "ANN", "BOB", "CAT"), record("R-2", "ANN", "BOB"), record("R-3", "ANN", "DAN"),
    record("R-4", "ANN", "EVE", conditions="ask first", **C), record("R-9", "GUS", "HAL"),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _quick(_few_rows: None) -> None:
    """Nothing here pulls the plug."""


def ask(**more: Any) -> queries.Query:
    given = {"nominals": ["ANN"], "links": [("BOB", "ANN")]} | more
    return queries.query(
        case="26/0113", purpose="Defence request about ANN", moments_=given.pop("moments_", ["2026-01-12T10:00"]),
        periods=given.pop("periods", [("2026-01-11", "2026-01-20")]), **given,
    )  # fmt: skip


class Told:
    """An archive of two builds, and its saved query."""

    def __init__(self, folder: Path) -> None:
        self.force = Force(folder)
        self.force.receive(*FIRST, cut_off=WEEK[0], nominals=[{"nominal_id": "ANN", "name": "Ann Quoxby"}])
        self.force.build(WEEK[0])
        self.force.receive(
            *FIRST, record("R-5", "ANN", "FAY"), cut_off=WEEK[1], nominals=[{"nominal_id": "ANN", "name": "Ann Quoxby"}]
        )
        self.force.build(WEEK[1])
        self.older = folder / "older"  # a proof under an earlier head
        snapshot = self.force.as_of("2026-01-19T10:00:00Z")
        proving.prove(snapshot, self.older, as_of="", on=ON, nominal="ANN")
        self.saved = self.save(ask())

    @property
    def archive(self) -> Archive:
        return self.force.archive

    def save(self, query: queries.Query) -> saving.Saved:
        saved = saving.save(self.archive, query, on=ON, by="officer", under="CPIA 1996 s.7A")
        watching.begin(self.archive, saved, on=ON, by="officer", under="CPIA 1996 s.7A")
        return saved

    def make(
        self, folder: Path, saved: saving.Saved | None = None, audience: str = disclosing.PROSECUTOR
    ) -> disclosing.Made:
        found = saving.find(self.archive, (saved or self.saved).id)
        return disclosing.make(
            self.archive, found, folder, Stills(HOUSE, None), audience=audience, force=HOUSE.force,
            marking=HOUSE.marking, on=ON, by="officer", under="CPIA 1996 s.7A", version="0.1.0",
        )  # fmt: skip

    def enter(self, *, to: str = "", case: str = "26/0113", **what: Any) -> int:
        """An item of a thing in the second build, moved to a schedule if one is named; its number."""
        snapshot = self.force.as_of("2026-01-19T10:00:00Z", case=what.pop("hold", ""))
        who = {"on": ON, "by": "officer", "under": "CPIA 1996 s.23"}
        item = scheduling.enter(
            self.archive, case=case, material=materials.material(snapshot, **what), location="Disclosure unit",
            description="Figures and associations that a dashboard of the force showed in January",
            reasons="It may lead to somebody who has spoken to the police", **who,
        )  # fmt: skip
        if to:
            scheduling.move(
                self.archive, case, item.act.item, to, reviewer="R. Viewer", reason="looked at this item alone", **who
            )
        return item.act.item

    def look(self) -> watching.Told:
        return watching.look(self.archive, saving.find(self.archive, self.saved.id), on=ON, by="officer", under="duty")

    def copied(self, folder: Path) -> Told:
        """The same archive, to change."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("force", "force.keys"):
            shutil.copytree(self.force.folder / name, folder / name)
        other = object.__new__(Told)
        other.force, other.saved = object.__new__(Force), self.saved
        other.force.folder, other.force.root, other.force.keys = folder, folder / "force", folder / "force.keys"
        other.force.archive, other.force._extracts = Archive(other.force.root, other.force.keys), 10
        return other


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(tmp_path_factory.mktemp("told"))


@pytest.fixture(scope="module")
def pack(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs") / "pack"
    told.copied(folder.with_name("copy")).make(folder)
    return folder


@pytest.fixture
def changed(told: Told, tmp_path: Path) -> Iterator[Told]:
    other = told.copied(tmp_path / "copy")
    yield other
    other.archive.close()


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / "data" / name).read_bytes())


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / "data" / "verify.py"), str(folder), *arguments], capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


# ---- judges that nobody here wrote -----------------------------------------------------------------------------------


def test_sha256sum_agrees_with_the_manifest(pack):
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not here")
    for name in (bags.MANIFEST, bags.TAGS):
        done = subprocess.run(
            ["sha256sum", "-c", "--strict", name], cwd=pack, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_bagit_says_that_the_bag_is_valid(pack):
    bagit = pytest.importorskip("bagit", reason="the package bagit is not here: it judges bags")
    bag = bagit.Bag(str(pack))
    bag.validate()
    assert bag.info["External-Identifier"].startswith("force/")


def test_the_crate_is_a_process_run_crate(pack, shared, tmp_path):
    pytest.importorskip("rocrate_validator", reason="the package roc-validator is not here: it judges crates")
    from rocrate_validator import models, services

    at = shared / "vectors" / "ro-crate"
    context = f"https://w3id.org/ro/crate/1.1/context={at / 'context-1.1.jsonld'}"
    cache = tmp_path / "cache"
    subprocess.run([sys.executable, str(at / "warm_cache.py"), str(cache), context], check=True)
    settings = services.ValidationSettings(
        rocrate_uri=str(pack / "data"), profile_identifier="process-run-crate",
        requirement_severity=models.Severity.RECOMMENDED, offline=True, cache_path=str(cache),
    )  # fmt: skip
    result = services.validate(settings)
    assert [issue.message for issue in result.get_issues()] == []


def test_the_lineage_is_prov(pack):
    prov = pytest.importorskip("prov.model", reason="the package prov is not here: it judges lineage")
    document = prov.ProvDocument.deserialize(str(pack / "data" / "lineage.json"))
    kinds = {type(each).__name__ for each in document.get_records()}
    assert {"ProvEntity", "ProvActivity", "ProvAgent", "ProvDerivation", "ProvGeneration", "ProvUsage"} <= kinds


def test_a_shown_figure_leads_to_its_source_records_and_to_the_extract_that_brought_them(pack):
    said = read(pack, "lineage.json")
    page = next(item for item in read(pack, "answer.json")["answers"] if item["view"] == "nominal")
    used = lambda of: {d["prov:usedEntity"] for d in said["wasDerivedFrom"].values() if d["prov:generatedEntity"] == of}  # noqa: E731
    reached, waiting = set(), [f"page:{page['digest']}"]
    while waiting:
        one = waiting.pop()
        waiting += used(one) - reached
        reached |= used(one)
    records = {said["entity"][name].get("prov:label") for name in reached if name.startswith("record:")}
    assert {"CONNECT R-1", "CONNECT R-2", "CONNECT R-3", "CONNECT R-4"} <= records
    brought = {g["prov:entity"]: g["prov:activity"] for g in said["wasGeneratedBy"].values()}
    assert brought["record:CONNECT.R-1.v1"] == "extract:1"


def test_both_verifiers_pass_it_and_say_what_rests_on_nothing_from_outside(pack):
    found = bags.check(pack)
    assert [step.faults for step in found.steps if step.faults] == []
    assert any("all 4 links of the nominal are in the pack" in text for text in found.proved)
    done = alone(pack)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("CONSISTENT IN ITSELF")


def test_the_page_that_stands_alone_passes_it_and_refuses_a_spoilt_one(pack, chromium, tmp_path):
    broken = shutil.copytree(pack, tmp_path / "broken")
    SPOILT["row changed"][0](broken)
    mend(broken)
    context = chromium.new_context(offline=True)
    page = context.new_page()
    for folder, verdict in ((pack, "CONSISTENT IN ITSELF"), (broken, "NOT VERIFIED")):
        page.goto((folder / "data" / "verify.html").as_uri())
        page.wait_for_selector("body[data-ready]")
        page.set_input_files("#folder", str(folder))
        page.click("#check")
        page.wait_for_selector("body[data-done=yes]", timeout=60_000)
        assert verdict in page.inner_text("#verdict")
    assert "2026-W03-nominal-1" in page.inner_text("#result")
    context.close()


def test_read_me_first_and_the_pages_stand_by_themselves(pack, chromium):
    """No script, nothing from another host, nothing on the console; a link between pages leads to the other page."""
    context, offences = chromium.new_context(offline=True, java_script_enabled=False), []
    page = context.new_page()
    page.on("console", lambda message: offences.append(message.text))
    page.on("requestfailed", lambda request: offences.append(request.url))
    page.goto((pack / "data" / "READ-ME-FIRST.html").as_uri())
    assert "A link is not evidence that anybody did anything" in page.inner_text("main")
    assert "Conditions, all of which bind you: ask first" in page.inner_text("main")
    page.click("text=Nominal: ANN >> nth=0")
    assert "Ann Quoxby" in page.inner_text("main")
    assert offences == []
    context.close()
    for path in (pack / "data").rglob("*.html"):
        if path.name != "verify.html":
            assert "<script" not in path.read_text("utf-8"), path.name
            assert "not-kept" not in path.read_text("utf-8"), path.name  # no link leads nowhere
            assert "Not checked yet" not in path.read_text("utf-8"), path.name
    rows_ = (pack / "data/rows.html").read_text("utf-8")
    assert "ANN and BOB, theme Serious and organised crime: 200 points from 2 records" in rows_
    assert "may be shared lawfully under conditions" in rows_
    said = (pack / "data/READ-ME-FIRST.html").read_text("utf-8")
    assert "No weekly notice was published between its last build and its making" in said
    assert "Asked by officer on" in said
    assert (pack / "READ-ME-FIRST.txt").read_bytes().startswith(b"Open data/READ-ME-FIRST.html")


# ---- what is in it ---------------------------------------------------------------------------------------------------


def test_a_pack_holds_what_its_reader_needs(pack, told):
    said = read(pack, "answer.json")
    assert (said["handling"], said["conditions"]) == ("C", "ask first")
    assert {(item["build"], item["view"]) for item in said["answers"]} == {
        (build, view) for build in ("2026-W02", "2026-W03") for view in ("nominal", "figures", "link")
    }
    for item in said["answers"]:
        entry = (pack / "data" / f"{item['file'][:-5]}.entry").read_bytes()
        assert merkle.leaf_hash(entry).hex() == item["digest"]
        assert canonical.loads(entry[32:])["build"] == item["build"]
        assert item["digest"] in (pack / "data" / item["file"]).read_text("utf-8")
    facts = read(pack, "builds/2026-W02/facts.json")
    assert {paper["name"] for paper in facts["documents"]} >= {"technical_report", "dpia"}
    stated = told.archive.stated(told.archive.history.build("2026-W02"))
    assert (pack / "data" / "builds/2026-W02/params.json").read_bytes() == stated.params
    for edition in stated.harm_tables:
        data = (pack / "data" / f"harm/{edition.digest[:16]}.csv").read_bytes()
        assert hashlib.sha256(data).hexdigest() == edition.digest
    assert {one["id"] for one in read(pack, "defects.json")["defects"]} == {one.id for one in defects.of("0.1.0")}
    assert all(one["verified"] for one in read(pack, "verification.json")["proofs"])
    assert read(pack, "since.json")["builds"][0]["disposed"] == 0


def test_the_page_is_the_dashboards(pack, told):
    """What the pack's page says is what the dashboard's own page would be logged with."""
    item = next(i for i in read(pack, "answer.json")["answers"] if (i["build"], i["view"]) == ("2026-W03", "nominal"))
    snapshot = asof.as_of(told.archive, "2026-01-19T10:00:00Z")
    assert viewing.page(snapshot, None, Ask(view="nominal", nominals=("ANN",))).digest == item["digest"]


def test_a_link_alone_tells_nothing_of_the_others(pack):
    lines = (pack / "data/proofs/2026-W03-link-2/rows.jsonl").read_bytes().splitlines()
    rows_ = [canonical.loads(base64.b64decode(json.loads(line)["entry"])[32:]) for line in lines]
    assert {(row["a"], row["b"]) for row in rows_ if "a" in row} == {("ANN", "BOB")}
    assert {row["record_id"] for row in rows_ if "record_id" in row} == {"R-1", "R-2"}


def test_the_same_query_on_the_same_archive_gives_the_same_bytes(told, tmp_path):
    sums = []
    for seed in ("1", "2"):
        at = tmp_path / seed
        told.copied(at).archive.close()
        shutil.copy(ROOT / "params.yaml", at / "force")
        environment = os.environ | {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": "1770026400", "PYTHONPATH": str(ROOT)}
        command = ["-m", "provenance.cli", "--archive", str(at / "force"), "disclose", "make", told.saved.id]
        command += ["--out", str(at / "pack"), "--for", "prosecutor", "--by", "officer", "--under", "CPIA 1996 s.7A"]
        done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        sums.append({p.relative_to(at): p.read_bytes() for p in sorted((at / "pack").rglob("*")) if p.is_file()})
    assert sums[0] == sums[1]
    assert len(sums[0]) > 50


def test_a_pack_is_logged_before_it_is_there_and_known_again(changed, tmp_path):
    made = changed.make(tmp_path / "pack")
    place, act = disclosing.known(changed.archive, tmp_path / "pack")
    assert place == made.logged
    assert (act.case, act.query, act.handling, act.by) == ("26/0113", changed.saved.id, "C", "officer")
    assert made.tag_manifest not in act.pack  # nobody without the vault can try a guess on it
    assert entries.unpacked(act.nominals) == entries.unpacked(changed.saved.act.nominals)
    (tmp_path / "pack" / bags.TAGS).write_bytes(b"another\n")
    with pytest.raises(Missing, match="none that this archive made"):
        disclosing.known(changed.archive, tmp_path / "pack")


def test_a_pack_is_not_written_over_another_nor_into_the_archive(changed, tmp_path):
    (tmp_path / "there").mkdir()
    before = changed.archive.log.size
    with pytest.raises(Conflict, match="there already"):
        changed.make(tmp_path / "there")
    with pytest.raises(Refused, match="not kept within the archive"):
        changed.make(changed.force.root / "pack")
    assert changed.archive.log.size == before


# ---- spoilt packs ----------------------------------------------------------------------------------------------------

PROOF = "data/proofs/2026-W03-nominal-1"


def mend(folder: Path) -> None:
    """What whoever carries a pack can do: make every checksum again."""
    for proof in (folder / "data" / "proofs").iterdir():
        names = sorted(
            p.relative_to(proof).as_posix() for p in proof.rglob("*") if p.is_file() and p.name != "SHA256SUMS"
        )
        lines = [f"{hashlib.sha256((proof / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
        (proof / "SHA256SUMS").write_text("".join(lines))
    files = {
        p.relative_to(folder / "data").as_posix(): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_size)
        for p in (folder / "data").rglob("*")
        if p.is_file()
    }
    info = dict(line.split(": ", 1) for line in (folder / "bag-info.txt").read_text().splitlines())
    del info["Payload-Oxum"]
    for name, data in bags.tag_files(files, info).items():
        (folder / name).write_bytes(data)


def lines_of(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Path], None]:
    def done(folder: Path) -> None:
        path = folder / PROOF / "rows.jsonl"
        rows_ = [json.loads(line) for line in path.read_bytes().splitlines()]
        change(rows_)
        path.write_bytes(b"".join(canonical.dumps(row) + b"\n" for row in rows_))

    return done


def swap(name: str, other: str) -> Callable[[Path], None]:
    return lambda folder: shutil.copy(folder / "data/proofs" / other, folder / PROOF / name) and None


def answer_of(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def done(folder: Path) -> None:
        said = read(folder, "answer.json")
        change(said)
        (folder / "data/answer.json").write_text(json.dumps(said))

    return done


def a_link_left_out(folder: Path) -> None:
    """A link dropped from the rows and from the list of all links."""
    kept: dict[str, str] = {}

    def drop(rows_: list[dict[str, Any]]) -> None:
        at = next(i for i, row in enumerate(rows_) if row["table"] == "link")
        kept["leaf"] = merkle.leaf_hash(base64.b64decode(rows_.pop(at)["entry"])).hex()

    lines_of(drop)(folder)
    path = folder / PROOF / "pack.json"
    said = json.loads(path.read_bytes())
    for claim in said["complete"]:
        claim["links"] = [leaf for leaf in claim["links"] if leaf != kept["leaf"]]
    path.write_bytes(canonical.dumps(said))


def an_older_checkpoint(folder: Path) -> None:
    older = folder.parent / "older"
    for name in ("checkpoint", "head"):
        shutil.copy(older / name, folder / PROOF / name)


def a_foreign_key(folder: Path) -> None:
    path = folder / PROOF / "checkpoint"
    lines = path.read_text("utf-8").split("\n")
    name, _, signature = lines[-2].rpartition(" ")
    lines[-2] = f"{name} {flip(signature, 200)}"
    path.write_text("\n".join(lines), "utf-8")
    shutil.copy(path, folder / PROOF / "head")


def first(table: str) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    return lambda rows_: next(row for row in rows_ if row["table"] == table)


def a_record_left_out(folder: Path) -> None:
    """A record behind a link dropped from the rows."""
    lines_of(lambda rows_: rows_.remove(first("record")(rows_)))(folder)


SPOILT: dict[str, tuple[Callable[[Path], Any], str, str]] = {  # how, and the words of the product and of verify.py
    "row changed": (
        lines_of(lambda rows_: first("link")(rows_).update(entry=flip(first("link")(rows_)["entry"], 8 * 200))),
        "", "step 6",
    ),
    "row added": (
        lines_of(lambda rows_: rows_.append(dict(rows_[-1]))), "is out of order, or there twice", "step 6",
    ),
    "row dropped": (
        lines_of(lambda rows_: rows_.remove(first("link")(rows_))), "is listed and not in the pack", "step 8",
    ),
    "record left out": (a_record_left_out, "behind the link of ANN and", "behind the link of ANN and"),
    "link left out": (a_link_left_out, "the nominal's row says", "step 8"),
    "older checkpoint": (an_older_checkpoint, "under another head", "step 4"),
    "foreign key": (a_foreign_key, "signature", "step 2"),
    "swapped statement": (
        swap("statement.json", "2026-W02-nominal-1/statement.json"), "logged as", "step 5",
    ),
    "page changed": (
        lambda folder: (folder / "data/pages/2026-W03-nominal-1.entry").write_bytes(b"another"),
        "has another digest than", "has another digest than",
    ),
    "proof of another build": (
        answer_of(lambda said: [i.update(proof="proofs/2026-W02-nominal-1") for i in said["answers"][-1:]]),
        "for another build or subject than it is of", "for another build or subject than it is of",
    ),
    "page without its proof": (
        answer_of(lambda said: said["answers"][0].pop("proof")), "without a proof", "without a proof",
    ),
    "page smuggled in": (
        lambda folder: (folder / "data/pages/2026-W03-nominal-9.html").write_text("made up"),
        "does not name", "does not name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_pack_is_refused_by_name(name, pack, told, tmp_path):
    how, words, alone_words = SPOILT[name]
    broken = shutil.copytree(pack, tmp_path / "broken")
    shutil.copytree(told.older, tmp_path / "older")
    how(broken)
    mend(broken)
    faults = [fault for step in bags.check(broken).steps for fault in step.faults]
    assert faults
    assert any(words in fault for fault in faults), faults
    done = alone(broken)
    assert done.returncode == 4
    assert done.stdout.startswith("NOT VERIFIED")
    assert alone_words in " ".join(done.stdout.split())


def figure_on_a_page(folder: Path) -> None:
    path = folder / "data/pages/2026-W03-link-2.html"
    path.write_text(path.read_text("utf-8").replace("points", "thousand points", 1), "utf-8")


def handling_in_read_me_first(folder: Path) -> None:
    path = folder / "data/READ-ME-FIRST.html"
    path.write_text(path.read_text("utf-8").replace("ask first", "hand it to anybody", 1), "utf-8")


@pytest.mark.parametrize("how", [figure_on_a_page, handling_in_read_me_first])
def test_a_changed_page_is_found_by_the_number_on_the_covering_letter_alone(how, pack, tmp_path, chromium):
    """The rows say nothing of a page; without the number each verifier says that it did not look."""
    number = hashlib.sha256((pack / bags.TAGS).read_bytes()).hexdigest()
    assert alone(pack, "--tagmanifest", f" {number.upper()[:32]} {number[32:]}").returncode == 0
    assert "Every byte of the pack, its pages" in " ".join(alone(pack, "--tagmanifest", number).stdout.split())
    assert any("every byte is as it was" in text for text in bags.check(pack, letter=number).proved)
    broken = shutil.copytree(pack, tmp_path / "broken")
    how(broken)
    mend(broken)
    done = alone(broken)
    assert done.returncode == 0
    assert "The pages and READ-ME-FIRST were not checked" in " ".join(done.stdout.split()[:60])
    assert any("READ-ME-FIRST says: what is proved are the rows" in text for text in bags.check(broken).not_proved)
    done = alone(broken, "--tagmanifest", number)
    assert done.returncode == 4
    assert "this is another pack than the letter came with" in " ".join(done.stdout.split())
    assert bags.check(broken, letter=number).steps[0].faults[0].startswith(f"{bags.TAGS} has SHA-256")
    page = chromium.new_page()
    for folder, words in ((broken, "this is another pack than the letter came with"), (pack, "Every byte of the pack")):
        page.goto((folder / "data" / "verify.html").as_uri())
        page.wait_for_selector("body[data-ready]")
        page.set_input_files("#folder", str(folder))
        page.fill("#letter", number)
        page.click("#check")
        page.wait_for_selector("body[data-done=yes]", timeout=60_000)
        assert words in page.inner_text("#result")
    page.close()


def test_no_proof_of_a_pack_takes_back_what_another_proves(pack):
    for said in (bags.check(pack).not_proved, json.loads(alone(pack, "--json").stdout)["not_proved"]):
        assert not any("theme SOC" in text for text in said), said
        assert any("theme CSE" in text and "nominal-1" in text and "link-2" not in text for text in said), said


def test_a_byte_changed_without_new_checksums_is_named(pack, tmp_path):
    broken = shutil.copytree(pack, tmp_path / "broken")
    (broken / "data/READ-ME-FIRST.html").write_text("something else")
    assert any("READ-ME-FIRST.html has SHA-256" in fault for fault in bags.faults(broken))
    assert "READ-ME-FIRST.html: has another SHA-256" in " ".join(alone(broken).stdout.split())


# ---- for the defence -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def for_defence(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On the MG6C: ANN's and BOB's figures, their link with both of its records, and ANN's link with DAN without its
    record. On the MG6D: ANN's link with EVE."""
    folder = tmp_path_factory.mktemp("defence") / "pack"
    other = told.copied(folder.with_name("copy"))
    with pytest.raises(Refused, match="nothing of case 26/0113 may be shown to the defence"):
        other.make(folder, audience=disclosing.DEFENCE)
    for item in ({"nominal": "ANN"}, {"nominal": "BOB"}, {"pair": ("ANN", "BOB")}, {"pair": ("ANN", "DAN")}):
        other.enter(**item, to=MG6C)
    for id in ("R-1", "R-2"):
        other.enter(record=("CONNECT", id), to=MG6C)
    other.enter(pair=("ANN", "EVE"))
    asked = ask(links=[("BOB", "ANN"), ("ANN", "DAN"), ("ANN", "EVE"), ("ANN", "FAY")])
    made = other.make(folder, other.save(asked), audience=disclosing.DEFENCE)
    assert made.lacking == 1  # the officer is told that DAN's link waits for its record
    return folder


def every_byte(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each file of a pack as it is, and whatever in it is base64 as what that says."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield path.name, path.read_bytes()
        for word in re.findall(rb"[A-Za-z0-9+/]{61,}", path.read_bytes()):  # longer than a digest
            yield path.name, base64.b64decode(word[: len(word) // 4 * 4])


def lines(folder: Path, proof: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "data/proofs" / proof / "rows.jsonl").read_bytes().splitlines()]


def test_a_pack_for_the_defence_withholds_what_is_not_on_the_mg6c_and_keeps_its_leaf(for_defence):
    assert read(for_defence, "answer.json")["audience"] == "defence"
    rows_ = lines(for_defence, "2026-W03-nominal-1")
    assert sorted((row["table"], row.get("withheld", "")) for row in rows_) == sorted(
        [("link", ""), ("nominal", ""), ("network", "sensitive")] + [("link", "sensitive")] * 4 + [("record", "")] * 2
    )
    (claim,) = [json.loads((for_defence / PROOF / "pack.json").read_bytes())["complete"][0]]
    assert len(claim["links"]) == 5  # those withheld are counted, and in their places
    assert {row["leaf"] for row in rows_ if row["table"] == "link" and "withheld" in row} < set(claim["links"])


def test_no_byte_of_a_pack_for_the_defence_tells_of_a_record_that_is_not_on_the_mg6c(for_defence, pack):
    """Not the number of one, nor who is in one: but for whom the question itself names."""

    def found(folder: Path, words: bytes) -> set[str]:
        return {name for name, data in every_byte(folder) if "verify" not in name and re.search(words, data)}

    assert found(for_defence, rb"\bR-[12]\b") >= {"rows.jsonl", "lineage.json"}  # it looks where they would be
    assert found(pack, rb"\bR-[3-9]\b") >= {"rows.jsonl", "lineage.json"}
    assert found(for_defence, rb"\bR-[3-9]\b") == set()
    assert found(for_defence, rb"\bCAT\b") == set()
    assert found(for_defence, rb"\bask first\b") == set()
    assert found(for_defence, rb"\b(EVE|FAY)\b") == {"answer.json", "READ-ME-FIRST.html"}  # what was asked


def test_what_no_item_names_is_to_the_defence_as_what_there_is_not(for_defence):
    """A digest of the page, or a proof of it, would say that the link is there."""
    for item in read(for_defence, "answer.json")["answers"]:
        told_ = {"withheld", "digest", "proof", "file"} & item.keys()
        assert (told_ == set()) == (item["view"] == "link" and item["subject"][1] in ("EVE", "FAY")), item
    said = (for_defence / "data/READ-ME-FIRST.html").read_text("utf-8")
    assert "Whether the build has something of them is not told" in said


def test_a_page_that_rests_on_something_sensitive_is_withheld_and_keeps_its_digest(for_defence, pack):
    whole = {(i["build"], i["view"]): i for i in read(pack, "answer.json")["answers"]}
    mine = [i for i in read(for_defence, "answer.json")["answers"] if i["view"] != "link" or "BOB" in i["subject"]]
    held = {(i["build"], i["view"]): i for i in mine}
    assert {key for key, item in held.items() if "file" in item} == {("2026-W03", "link")}
    withheld = held["2026-W03", "nominal"]
    assert (withheld["withheld"], withheld["digest"]) == ("sensitive", whole["2026-W03", "nominal"]["digest"])
    said = (for_defence / "data/READ-ME-FIRST.html").read_text("utf-8")
    assert "This pack is for the defence" in said
    assert withheld["digest"] in said
    assert "This pack is for the prosecutor" in (pack / "data/READ-ME-FIRST.html").read_text("utf-8")
    assert read(for_defence, "since.json")["proofs"] == []  # nothing has happened to what is withheld


def test_every_verifier_says_that_rows_are_withheld_as_sensitive(for_defence, chromium):
    found = bags.check(for_defence)
    assert [step.faults for step in found.steps if step.faults] == []
    assert any("rows say that are withheld as sensitive" in text for text in found.not_proved)
    assert any("all 5 links of the nominal are in the pack, 4 of them as bare leaves" in text for text in found.proved)
    done = alone(for_defence)
    said = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout
    assert "5 links, 1 shown as they were, 4 withheld as sensitive" in said
    assert "5 as sensitive unused material" in said
    assert "7 pages withheld as sensitive" in said
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.goto((for_defence / "data/verify.html").as_uri())
    page.wait_for_selector("body[data-ready]")
    page.set_input_files("#folder", str(for_defence))
    page.click("#check")
    page.wait_for_selector("body[data-done=yes]", timeout=60_000)
    text = " ".join(page.inner_text("#result").split())
    assert "CONSISTENT IN ITSELF" in page.inner_text("#verdict")
    for words in ("4 withheld as sensitive", "5 as sensitive unused material", "7 pages withheld as sensitive"):
        assert words in text
    context.close()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda item: item.update(withheld="mislaid"), "withholds a page as"),
        (lambda item: item.update(digest="0"), "withholds a page as"),
    ],
)
def test_a_page_is_withheld_for_no_other_reason(how, words, for_defence, tmp_path):
    broken = shutil.copytree(for_defence, tmp_path / "broken")
    answer_of(lambda said: how(next(item for item in said["answers"] if "withheld" in item)))(broken)
    mend(broken)
    assert any(words in fault for step in bags.check(broken).steps for fault in step.faults)
    assert words in " ".join(alone(broken).stdout.split())


def test_what_stands_apart_is_withheld_as_anything_that_no_item_names(changed, tmp_path):
    changed.enter(nominal="ANN", to=MG6C)
    snapshot = changed.force.as_of("2026-01-19T10:00:00Z")
    made = materials.material(snapshot, pair=("ANN", "FAY"))
    changed.make(tmp_path / "before", audience=disclosing.DEFENCE)
    scheduling.enter(
        changed.archive, case="26/0113", material=made, description="what may cost a life", location="safe",
        reasons="it may cost a life", separate=True, on=ON, by="officer", under="CPIA 1996 s.23",
    )  # fmt: skip
    changed.make(tmp_path / "after", audience=disclosing.DEFENCE)
    kinds = [
        {row.get("withheld") for row in lines(tmp_path / name, "2026-W03-nominal-1")} for name in ("before", "after")
    ]
    assert kinds == [{None, "sensitive"}] * 2
    assert all(b"FAY" not in path.read_bytes() for path in (tmp_path / "after/data/proofs").rglob("*.jsonl"))


def test_an_item_moved_while_the_pack_is_made_makes_it_again(changed, tmp_path, monkeypatch):
    changed.enter(nominal="ANN", to=MG6C)
    late, proofs = [], disclosing._Pack._proofs

    def moved(self: Any) -> None:
        proofs(self)
        if not late:
            late.append(changed.enter(pair=("ANN", "EVE")))

    monkeypatch.setattr(disclosing._Pack, "_proofs", moved)
    changed.make(tmp_path / "pack", audience=disclosing.DEFENCE)
    assert all(b"EVE" not in path.read_bytes() for path in (tmp_path / "pack/data/proofs").rglob("*.jsonl"))


def test_a_networks_totals_are_an_item(changed, tmp_path):
    (network,) = changed.force.as_of("2026-01-19T10:00:00Z").networks()["network"].to_pylist()[:1]
    changed.enter(network=network, to=MG6C)
    saved = changed.save(ask(nominals=[], links=[], networks=[network]))
    changed.make(tmp_path / "pack", saved, audience=disclosing.DEFENCE)
    shown_ = {row["table"] for row in lines(tmp_path / "pack", "2026-W03-network-1") if "entry" in row}
    assert shown_ == {"network"}
    assert alone(tmp_path / "pack").returncode == 0


# ---- saved queries ---------------------------------------------------------------------------------------------------


def test_what_is_saved_names_nobody_in_the_clear(told):
    for path in told.force.root.rglob("*"):
        if (path.is_file() and path.parts[-2] in ("disclosure", "seen", "log")) or "disclosure" in path.parts:
            data = path.read_bytes() if path.is_file() else b""
            for word in (b"ANN", b"BOB", b"Defence request"):
                assert word not in data, path.name


def test_a_saved_query_comes_back_as_it_was(told):
    assert saving.find(told.archive, told.saved.id[:6]).query == ask()
    with pytest.raises(Missing, match="0 saved queries"):
        saving.find(told.archive, "ffffffff")


def test_the_same_query_is_not_saved_twice_in_one_second(changed):
    before = changed.archive.log.size
    with pytest.raises(Conflict, match="was saved in this second already"):
        changed.save(ask())
    assert changed.archive.log.size == before


def test_a_query_that_cannot_be_meant_is_refused(told):
    with pytest.raises(Missing, match="1 of the 1 nominals asked about are not there"):
        saving.save(told.archive, ask(nominals=["NOBODY"], links=[]), on=ON, by="o", under="u")
    for words, more in (
        ("names no time", {"moments_": [], "periods": []}),
        ("is about nothing", {"nominals": [], "links": []}),
        ("for no period", {"viewers": ["ana"], "periods": []}),
        ("with themselves", {"links": [("ANN", "ANN")]}),
        ("period ends on", {"periods": [("2026-02-01", "2026-01-01")]}),
    ):
        with pytest.raises(Malformed, match=words):
            ask(**more)


def test_a_query_file_that_was_swapped_is_found(changed):
    path = changed.force.root / "disclosure" / f"{changed.saved.id}.query"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Tampered, match="not the one that was logged"):
        saving.every(changed.archive)


# ---- the continuing duty ---------------------------------------------------------------------------------------------


def test_nothing_is_told_while_nothing_has_changed(changed):
    before = changed.archive.log.size
    assert changed.look().changes == {}
    assert changed.archive.log.size == before


def test_a_new_record_and_a_correction_are_told_with_their_causes(changed):
    corrected = [record("R-2", "ANN", "CAT") if row["record_id"] == "R-2" else row for row in FIRST]
    changed.force.receive(*corrected, record("R-5", "ANN", "FAY"), record("R-6", "ANN", "IVY"), cut_off=WEEK[2])
    changed.force.build(WEEK[2])
    changes = changed.look().changes
    assert {"since then: corrected", "since then: new_record"} <= changes.keys()
    logged = [act for act in changed.archive.acts(["Rechecked"]) if act.because == watching.CHANGED]
    assert {change.what for change in logged[0].changes} == set(changes)
    changed.look()
    assert len([a for a in changed.archive.acts(["Rechecked"]) if a.because == watching.CHANGED]) == 1  # told once
    saved = saving.find(changed.archive, changed.saved.id)
    watching.begin(
        changed.archive, saved, on=ON, by="o", under="u", because=watching.NOTED, reason="nothing new for the defence"
    )
    assert changed.look().changes == {}


def test_a_build_that_touches_nobody_asked_about_changes_nothing(changed):
    changed.force.receive(*FIRST, record("R-5", "ANN", "FAY"), record("R-10", "GUS", "HAL"), cut_off=WEEK[2],
                          nominals=[{"nominal_id": "ANN", "name": "Ann Quoxby"}])  # fmt: skip
    changed.force.build(WEEK[2])
    assert changed.look().changes == {}


def test_packs_before_and_after_a_disposal_tell_the_same_but_for_what_is_gone(changed, tmp_path):
    changed.make(tmp_path / "before")
    assert changed.look().changes == {}  # the pack is of the answer as it is
    changed.force.dispose("DAN", on="2026-02-03T10:00:00Z")
    changes = changed.look().changes
    assert any(what.startswith("gone: mopi-review") for what in changes), changes
    changed.make(tmp_path / "after")
    assert [step.faults for step in bags.check(tmp_path / "after").steps if step.faults] == []
    assert alone(tmp_path / "after").returncode == 0
    assert [step.faults for step in bags.check(tmp_path / "before").steps if step.faults] == []
    then, now = (shown(tmp_path / name) for name in ("before", "after"))
    assert now < then
    assert {row for row in then - now if b"DAN" not in row} == set()
    assert all(b"DAN" not in path.read_bytes() for path in (tmp_path / "after").rglob("*") if path.is_file())
    since = read(tmp_path / "after", "since.json")
    assert [one["reason"] for one in since["disposals"]] == ["mopi-review"]
    assert {p["withheld"].get("disposed") for p in since["proofs"]} == {1}
    said = (tmp_path / "after/data/READ-ME-FIRST.html").read_text("utf-8")
    assert "1 disposed" in said
    assert "reason mopi-review" in said


def shown(folder: Path) -> set[bytes]:
    """Every link shown in a pack's proofs, as a row."""
    found = set()
    for path in (folder / "data" / "proofs").glob("*/rows.jsonl"):
        for line in path.read_bytes().splitlines():
            row = json.loads(line)
            if row["table"] == "link" and "entry" in row:
                found.add(path.parent.name.encode() + b" " + base64.b64decode(row["entry"])[32:])
    return found


def test_a_query_outlives_one_of_those_it_asks_about(changed, tmp_path):
    changed.force.dispose("BOB", on="2026-02-03T10:00:00Z")
    saved = saving.find(changed.archive, changed.saved.id)
    assert saved.lost == 1
    assert saved.query.nominals == ("ANN",)
    assert saved.query.links == ()
    assert saved.query.purpose == ""  # the words may have named BOB
    assert changed.look().changes["disposal: somebody asked about"] == 1
    changed.make(tmp_path / "pack")
    assert read(tmp_path / "pack", "answer.json")["subjects_gone"] == 1
    assert all(b"BOB" not in path.read_bytes() for path in (tmp_path / "pack").rglob("*") if path.is_file())
    changed.force.dispose("ANN", on="2026-02-04T10:00:00Z")
    assert saving.find(changed.archive, changed.saved.id).query is None
    assert changed.look().is_changed
    with pytest.raises(Missing, match="asks about nobody who is still there"):
        changed.make(tmp_path / "none")


def test_what_is_restricted_is_in_a_pack_only_with_a_hold_of_its_case_and_is_logged(changed, tmp_path):
    saved = changed.save(ask(restricted=True))
    with pytest.raises(Refused, match="no hold of that case stands"):
        changed.make(tmp_path / "pack", saved)
    assert not (tmp_path / "pack").exists()


def test_what_staff_were_shown_is_in_the_pack_with_the_logs_own_entry(changed, tmp_path):
    archive = changed.archive
    day = "2026-01-19T09:00:00Z"
    granting.grant(archive, "chief", role=access.ADMINISTRATOR, on="2026-01-02T00:00:00Z", by="tests", under="a story")
    snapshot = changed.force.as_of("2026-01-19T09:00:00Z")
    for nominal in ("ANN", "GUS"):
        page = viewing.page(snapshot, None, Ask(view="nominal", nominals=(nominal,)))
        viewing.log(archive, page, case="", at=day, on=day, by="ana", under="analyst")
    saved = changed.save(ask(moments_=[], links=[], viewers=["ana"], periods=[("2026-01-19", "2026-01-19")]))
    changed.make(tmp_path / "pack", saved)
    items = [item for item in read(tmp_path / "pack", "answer.json")["answers"] if "shown" in item]
    assert [(item["subject"], item["shown"]["to"], item["shown"]["on"]) for item in items] == [(["ANN"], "ana", day)]
    place = items[0]["shown"]["entry"]
    act = json.loads((tmp_path / f"pack/data/views/{place}.entry").read_bytes())
    assert act["shown"] == items[0]["digest"]  # what was shown then is what the pack shows
    assert read(tmp_path / "pack", "since.json")["views"][0]["verdict"] == viewing.SAME
    done = alone(tmp_path / "pack")
    assert done.returncode == 0, done.stdout
    assert "1 view by staff" in " ".join(done.stdout.split())
    entry = tmp_path / f"pack/data/views/{place}.entry"
    entry.write_bytes(entry.read_bytes().replace(b'"ana"', b'"eve"'))
    mend(tmp_path / "pack")
    assert alone(tmp_path / "pack").returncode == 4


def test_a_pack_under_a_hold_has_what_is_restricted_and_no_other_has(changed, tmp_path):
    hold = holding.place(
        changed.archive, PARAMS, case="26/0113", basis="cpia-1996", review_on="2026-06-01",
        nominals=["ANN", "DAN"], on=ON, by="officer", under="CPIA 1996 s.23",
    )  # fmt: skip
    changed.force.dispose("DAN", on="2026-02-03T10:00:00Z")
    assert changed.look().changes == {"gone: restricted": 4}  # a link, on two pages of two builds
    changed.make(tmp_path / "without")
    assert all(b"DAN" not in path.read_bytes() for path in (tmp_path / "without/data/proofs").rglob("*.jsonl"))
    before = len(list(changed.archive.acts(["Consulted"])))
    saved = changed.save(ask(restricted=True))
    changed.make(tmp_path / "with", saved)
    assert any(b"DAN" in row for row in shown(tmp_path / "with"))
    assert len(list(changed.archive.acts(["Consulted"]))) > before  # each read of it is logged (R38)
    for name in ("with", "without"):
        assert [step.faults for step in bags.check(tmp_path / name).steps if step.faults] == []
        assert alone(tmp_path / name).returncode == 0
    assert "With what is restricted and held for this case" in (tmp_path / "with/data/READ-ME-FIRST.html").read_text()
    holding.release(changed.archive, PARAMS, hold.id, reason="placed-in-error", on=ON, by="another", under="CPIA 1996")
    with pytest.raises(Refused, match="no hold of that case stands"):
        changed.make(tmp_path / "later", saved)


def test_a_pack_of_networks_and_of_what_somebody_was_shown_of_them(changed, tmp_path):
    day = "2026-01-19T09:00:00Z"
    granting.grant(changed.archive, "chief", role=access.ADMINISTRATOR, on=ON, by="tests", under="a story")
    snapshot = changed.force.as_of(day)
    networks = snapshot.networks()["network"].to_pylist()
    for network in networks:
        page = viewing.page(snapshot, None, Ask(view="network", network=network))
        viewing.log(changed.archive, page, case="", at=day, on=day, by="ana", under="analyst")
    period = [("2026-01-19", "2026-01-19")]
    saved = changed.save(
        ask(moments_=[], periods=period, nominals=[], links=[], networks=networks[:1], viewers=["ana"])
    )
    changed.make(tmp_path / "pack", saved)
    items = read(tmp_path / "pack", "answer.json")["answers"]
    assert [(item["view"], item["subject"], "shown" in item) for item in items] == [
        ("network", networks[:1], False), ("network", networks[:1], True),
    ]  # fmt: skip
    assert items[0]["digest"] == items[1]["digest"]  # it is shown today as it was then
    assert [step.faults for step in bags.check(tmp_path / "pack").steps if step.faults] == []
    done = alone(tmp_path / "pack")
    assert done.returncode == 0, done.stdout
    assert "1 view by staff" in done.stdout
    assert "shown to staff said then" not in done.stdout
    changed.force.dispose("DAN", on="2026-02-03T10:00:00Z")
    changed.make(tmp_path / "later", saved)
    assert "That 1 page shown to staff said then what the pack has now" in " ".join(
        alone(tmp_path / "later").stdout.split()
    )


def test_a_report_of_an_error_and_what_was_found_of_it_are_told(changed):
    def view(nominal: str, on: str) -> int:
        page = viewing.page(changed.force.as_of(on), None, Ask(view="nominal", nominals=(nominal,)))
        return viewing.log(changed.archive, page, case="", at=on, on=on, by="ana", under="analyst")

    day = "2026-01-19T09:00:00Z"
    granting.grant(changed.archive, "chief", role=access.ADMINISTRATOR, on=ON, by="tests", under="a story")
    said = {"words": "not her", "on": ON, "by": "ana", "under": "analyst"}
    reporting.report(changed.archive, view("GUS", day), wrong="wrong-person", **said)
    assert changed.look().changes == {}  # GUS is asked about by nobody
    held = reporting.report(changed.archive, view("ANN", day), wrong="wrong-person", **said)
    assert changed.look().changes == {"error reported": 1}
    reporting.settle(
        changed.archive, held.number, finding="in-error", cause="identity", corrected=False, on=ON, by="o", under="u"
    )
    assert changed.look().changes == {"error reported": 1, "error report settled: in-error": 1}
    saved = saving.find(changed.archive, changed.saved.id)
    watching.begin(changed.archive, saved, on=ON, by="o", under="u", because=watching.NOTED, reason="the defence knows")
    assert changed.look().changes == {}
    reporting.settle(
        changed.archive, held.number, finding="not-in-error", cause="none", corrected=False, on=ON, by="o", under="u"
    )
    assert changed.look().changes == {"error report settled: not-in-error": 1}


def test_an_answer_whose_act_was_cut_off_is_told_as_new_and_a_forged_one_is_found(changed):
    saved = saving.find(changed.archive, changed.saved.id)
    saving.keep_answer(changed.archive, saved.id, {"latest": "", "then": {}, "now": {}, "lost": 0, "shifts": 0})
    assert changed.look().is_changed
    path = changed.force.root / "disclosure" / f"{saved.id}.answer"
    path.write_bytes(flip_byte(path.read_bytes()))
    with pytest.raises(Tampered, match="does not open"):
        changed.look()


def flip_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


# ---- papers ----------------------------------------------------------------------------------------------------------


def papers_step(told_: Told) -> list[str]:
    told_.archive.refresh()
    (step,) = [step for step in verify.verify(told_.archive) if step.number == 13]
    assert step.name == "papers of disclosure"
    return list(step.faults)


def test_verify_looks_at_every_paper_and_query(changed):
    changed.enter(nominal="ANN", to=MG6C)
    changed.enter(pair=("ANN", "EVE"))
    assert papers_step(changed) == []
    folder = changed.force.root / "disclosure"
    paper, other = sorted((folder / "papers").iterdir())[:2]
    kept = {path: path.read_bytes() for path in (paper, folder / f"{changed.saved.id}.query")}
    paper.write_bytes(flip_byte(kept[paper]))
    assert [paper.name in fault for fault in papers_step(changed)] == [True]
    paper.write_bytes(other.read_bytes())
    assert [paper.name in fault for fault in papers_step(changed)] == [True]
    paper.unlink()
    assert papers_step(changed) == [f"file disclosure/papers/{paper.name} is not there: an entry of the log names it"]
    paper.write_bytes(kept[paper])
    papers.keep(changed.archive, papers.ITEM, [], {"an act": "that was cut off"})
    assert papers_step(changed) == []
    (folder / "papers" / ("0" * 64)).write_bytes(b"slipped in")
    assert papers_step(changed) == [f"file disclosure/papers/{'0' * 64} is in the archive and the log does not know it"]
    (folder / "papers" / ("0" * 64)).unlink()
    query = folder / f"{changed.saved.id}.query"
    query.write_bytes(flip_byte(kept[query]))
    assert papers_step(changed) == [f"file disclosure/{query.name} has other bytes than those that were logged"]
    query.unlink()
    assert papers_step(changed) == [f"file disclosure/{query.name} is not there"]


def test_a_disposal_leaves_no_fault_among_papers_and_a_paper_that_came_back_is_found(changed):
    changed.enter(nominal="ANN", to=MG6C)
    folder = changed.force.root / "disclosure" / "papers"
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    changed.force.dispose("BOB", on="2026-02-03T10:00:00Z")
    assert list(folder.iterdir()) == []
    assert papers_step(changed) == []
    path, data = next(iter(kept.items()))
    path.write_bytes(data)
    assert papers_step(changed) == [
        f"file disclosure/papers/{path.name} is still there, and whom it is about has been disposed of"
    ]


# ---- parts -----------------------------------------------------------------------------------------------------------


def test_a_path_is_the_same_as_the_whole_trees(tmp_path):
    """Over builds of more rows than one block, with the upper part as the build put it away, gone, and spoilt."""
    force = Force(tmp_path)
    rows_ = [record(f"R-{n}", f"N-{n}", f"N-{n + 1}") for n in range(700)]
    for week in (0, 1):
        force.receive(*rows_[: 600 + 100 * week], cut_off=WEEK[week])
        force.build(WEEK[week])
    folder = force.root / "index" / "trees"
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(kept) == [
        f"{table}-000{number}" for table in ("involvement", "link", "nominal", "record") for number in (1, 2)
    ]
    for spoilt in (None, lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x")):
        if spoilt:
            for number in (1, 2):
                spoilt(folder / f"link-000{number}")
        found = trees.Trees(force.archive)
        for built in force.archive.history.builds:
            snapshot = Snapshot(force.archive, built, None)
            at = snapshot.positions("link")[::97]
            leaves = [force.archive.index("link").leaf[place].tobytes() for place in at.tolist()]
            for leaf, (place, path) in zip(leaves, found.paths("link", built.number, at), strict=True):
                wanted = snapshot.proof("link", leaf)
                assert (place, [digest.hex() for digest in path]) == (wanted["index"], wanted["path"])
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept


def test_a_disk_that_is_full_when_the_build_is_logged_takes_nothing_from_it(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    force = Force(tmp_path)
    force.receive(record("R-1", "N-1", "N-2"), cut_off=WEEK[0])
    monkeypatch.setattr(trees, "keep", full)
    force.build(WEEK[0])
    assert [built.number for built in force.archive.history.builds] == [1]
    assert len(Snapshot(force.archive, force.archive.history.builds[0], None).positions("link")) == 1


def test_the_table_of_defects_is_whole_and_knows_versions():
    assert len(defects.known()) >= 3
    one = defects.known()[0]
    fixed = defects.Defect(
        **{name: getattr(one, name) for name in one.__dataclass_fields__} | {"until_version": "0.10.0"}
    )
    assert [fixed.touches(version) for version in ("0.0.9", "0.1.0", "0.9.9", "0.10.0", "1.0.0")] == [
        False, True, True, False, False,
    ]  # fmt: skip
    with pytest.raises(Malformed, match="other fields"):
        defects.read(b'{"format":"provenance-defects/1","defects":[{"id":"x"}]}')


def test_a_bag_is_checked_file_by_file(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_bytes(b"one")
    sums = {"a": (hashlib.sha256(b"one").hexdigest(), 3)}
    for name, data in bags.tag_files(sums, {"Source-Organization": "x"}).items():
        (tmp_path / name).write_bytes(data)
    assert set(bags.faults(tmp_path)) == {""}
    (tmp_path / "data/b").write_bytes(b"two")
    assert any(fault.startswith("file data/b is in the bag and no manifest") for fault in bags.faults(tmp_path))
    (tmp_path / "data/a").unlink()
    assert "file data/a is not there" in set(bags.faults(tmp_path))
    with pytest.raises(Malformed, match="printable"):
        bags.tag_files(sums, {"Source-Organization": "x\nPayload-Oxum: 0.0"})
