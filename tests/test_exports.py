"""What leaves as a file: every form of every page, with hostile text in it, and who may have it."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from force import Force, record
from starlette.testclient import TestClient

from provenance import access, entries, exporting, viewing
from provenance.access import Grant
from provenance.sheets import Column, Sheet
from provenance.web import app, looks, printing
from provenance.web.looks import House
from provenance.web.reader import Reader
from provenance.web.settings import Settings
from provenance.web.signon import Desk

MARKUP = '#strong[x] <b>"&amp;" $1$ \\ */'
NAMES = {
    "N-1": '=HYPERLINK("x")',
    "N-2": MARKUP,
    "N-3": "＝1+1\u202eevil",
    "N-4": "'quoted 王 \ue000",
    "N-5": " @SUM(A1)",
}
ASKED = "S1: ask first; then wait"
PROXY = Settings.model_validate_json(
    b'{"origin":"https://net.force.example","sign_on":{"by":"proxy","header":"X-Remote-User","addresses":["10.1.2.3"]}}'
)
HOUSE = House("Network archive", "Northshire Police", "Official-Sensitive", "Not to be copied outside.")


def graded(record_id: str, *people: str, **cells: str) -> dict:
    said = {"system": "CONNECT", "kind": "intelligence", "grade_scheme": "3x5x2", "source_grade": "1",
            "assessment_grade": "B", "handling": "P", "offence_code": ""}  # fmt: skip
    return record(record_id, *people, **(said | cells))


@pytest.fixture
def force(tmp_path: Path) -> Force:
    made = Force(tmp_path)
    made.receive(
        record("R-1", "N-1", "N-2"), record("R-2", "N-1", "N-2:victim"), record("R-3", "N-2", "N-3"),
        record("R-4", "N-2", "N-3"), record("R-5", "N-4", "N-5"), record("R-6", "N-4", "N-5"),
        graded("I-1", "N-1", "N-2", handling="C", conditions=ASKED),
        graded("I-2", "N-2", "N-3", handling="C", conditions="A1"),
        graded("I-3", "N-4", "N-5"),
        cut_off="2026-02-01T00:00:00Z",
        nominals=[{"nominal_id": who, "name": name, "is_child": str(int(who == "N-3"))} for who, name in NAMES.items()],
    )  # fmt: skip
    made.build("2026-02-01T00:00:00Z")
    return made


class Desked:
    """The dashboard over a force's archive, with an analyst, a reader who may take nothing away, and an auditor."""

    def __init__(self, force: Force) -> None:
        roles = {"ana": "analyst", "ira": "intelligence-user", "ola": "auditor"}
        grants = [
            Grant(user, role, access.DEPARTMENT, "", "2026-01-01", "", "2026-01-01T09:00:00Z", "k", "memo")
            for user, role in roles.items()
        ]
        desk = Desk(PROXY, force.keys, grants=lambda: grants, clock=lambda: "2026-03-01T10:00:00Z")
        self.client = TestClient(
            app.application(Reader(force.archive), desk, HOUSE), base_url="https://net.force.example",
            client=("10.1.2.3", 50_000),
        )  # fmt: skip

    def get(self, path: str, user: str = "ana"):
        return self.client.get(path, headers={"X-Remote-User": user})


PAGES = {
    "associations": "/SOC/associations?", "change": "/SOC/change?", "key": "/SOC/key-nominals?",
    "places": "/SOC/places?",
    "nominal": "/nominal?id=N-1&", "figures": "/figures?id=N-1&", "link": "/link?id=N-1&id=N-2&",
    "search": "/search?q=N-&", "network": "/network?id=SOC-2026-W05-001&",
}  # fmt: skip


@pytest.fixture
def desk(force: Force) -> Desked:
    return Desked(force)


def label(force: Force) -> str:
    return force.archive.history.builds[-1].label


def address(force: Force, page: str, form: str) -> str:
    network = force.as_of("2026-02-02").networks(theme="SOC")["network"][0].as_py()
    path = PAGES[page].replace("SOC-2026-W05-001", network)
    return f"/build/{label(force)}{path}format={form}"


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        return {name: whole.read(name) for name in whole.namelist()}


def read_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


@pytest.mark.parametrize("page", [page for page in PAGES if page != "search"])
def test_each_page_has_its_tables_as_csv_and_as_parquet_and_both_say_the_same(force, desk, page):
    tables = unzipped(desk.get(address(force, page, "csv")).content)
    twin = unzipped(desk.get(address(force, page, "parquet")).content)
    names = [name for name in tables if name != "README.txt"]
    assert names
    for name in names:
        assert tables[name].count(b"\r\n") == tables[name].count(b"\n")
        rows = read_csv(tables[name])
        table = pq.read_table(pa.BufferReader(twin[name.replace(".csv", ".parquet")]))
        assert len(rows) == table.num_rows > 0
        for field in table.schema:
            assert field.type in (pa.int64(), pa.string())
            for row, value in zip(rows, table[field.name].to_pylist(), strict=True):
                cell = row[field.name]
                if field.type == pa.string():
                    assert not re.match(r"[\s\u202e]*[=+\-@＝]", cell)
                    assert (cell[1:] if cell.startswith("'") else cell) == value
                else:
                    assert cell == ("" if value is None else str(value))
        said = {
            key.decode(): value.decode() for key, value in table.schema.metadata.items() if key.startswith(b"file_")
        }
        assert said.pop("file_caveat").startswith("This is advisory")
        assert {name: row[name] for row in rows for name in said} == {
            name: exporting.neutral(value) for name, value in said.items()
        }
        assert said["file_build"] == label(force)
        assert said["file_root"] == force.as_of("2026-02-02").root


def test_one_record_under_conditions_makes_the_file_so_with_the_conditions_of_all(force, desk):
    def handled(page: str) -> tuple[str, str]:
        tables = unzipped(desk.get(address(force, page, "csv")).content)
        (row,) = {
            (r["file_handling"], r["file_conditions"])
            for name in tables
            if name != "README.txt"
            for r in read_csv(tables[name])
        }
        return row

    assert handled("associations") == handled("network") == ("C", f"A1; {ASKED}")
    # The figures of N-1 rest on their own links alone; the links among those they are linked with are on the page too.
    assert handled("figures") == ("C", ASKED)
    apart = desk.get(f"/build/{label(force)}/nominal?id=N-5&format=csv")
    assert {row["file_handling"] for row in read_csv(unzipped(apart.content)["01-nominal.csv"])} == {"P"}


def test_a_formula_is_none_and_can_be_had_back(force, desk):
    (row,) = read_csv(unzipped(desk.get(address(force, "nominal", "csv")).content)["01-nominal.csv"])
    assert row["name"] == '\'=HYPERLINK("x")'
    for text in ("=1", "+1", "-1", "@x", "  =1", "\u200b@x", "\t1", "＝1", "'=1", "'", "\ufeff-1"):
        assert exporting.neutral(text) == "'" + text
    for text in ("", "a=1", "N-1", "1-1", "O'Brien", "é"):
        assert exporting.neutral(text) == text


def test_a_negative_whole_number_stays_a_number():
    sheet = Sheet("s", "S", (Column("change", "Change", True), Column("t", "T", False)), ((-5, "-5"), (None, "")))
    data = exporting.csv_bytes([c.name for c in sheet.columns], sheet.rows)
    assert data == b'"change","t"\r\n-5,"\'-5"\r\n"",""\r\n'


@pytest.mark.parametrize("form", ["pdf", "csv", "parquet"])
def test_the_same_page_gives_the_same_bytes_to_another_reader_too(force, form):
    for page in ("network", "nominal", "key"):
        one, other = (Desked(force.reopened()).get(address(force, page, form)).content for _ in range(2))
        assert one == other
        assert len(one) > 500


def pdf_text(data: bytes) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("poppler's pdftotext is not on this machine")
    done = subprocess.run(["pdftotext", "-", "-"], input=data, capture_output=True, check=True)
    return " ".join(done.stdout.decode().split())


@pytest.mark.parametrize("page", [page for page in PAGES if page != "search"])
def test_each_page_is_a_tagged_archival_pdf_that_says_what_it_is(force, desk, page):
    response = desk.get(address(force, page, "pdf"))
    assert response.headers["content-type"] == "application/pdf"
    data = response.content
    for claim in (
        rb"<pdfaid:part>2<",
        rb"<pdfaid:conformance>A<",
        rb"<pdfuaid:part>1<",
        b"/StructTreeRoot",
        b"(en-GB)",
    ):
        assert claim in data, claim
    text = pdf_text(data)
    act = force.archive.acts(["Exported"])[-1]
    snapshot = force.as_of("2026-02-02")
    for wanted in ("OFFICIAL-SENSITIVE", "Not to be copied outside.", "Northshire Police", label(force), snapshot.root,
                   act.shown, "This is advisory.", "Handling: C (the strictest",
                   "The rows of this build give the digest"):  # fmt: skip
        assert wanted in text, wanted
    assert f"{label(force)}/" in text


def test_names_are_text_on_paper_whatever_stands_in_them(force, desk):
    text = "".join(pdf_text(desk.get(address(force, "key", "pdf")).content).split())
    wide = "＝" if printing.can_print("＝") else "<U+FF1D>"
    for wanted in (MARKUP, NAMES["N-1"], f"{wide}1+1<U+202E>evil", "(child)", "'quoted <U+738B> <U+E000>"):
        assert "".join(wanted.split()) in text, wanted
    assert b"N-1" not in re.findall(rb"/Title ?\(.*?\)", desk.get(address(force, "nominal", "pdf")).content)[0]


def test_letters_that_no_font_has_side_by_side_are_still_printed():
    content = {"name": "a\u0651b"}
    assert printing._printable(content, str.isascii) == {"name": "a<U+0651>b"}
    assert not printing.can_print("\u738b")
    assert printing.can_print("é")


def test_a_drawing_is_on_paper_with_words_for_who_cannot_see_it(force, desk):
    data = desk.get(address(force, "nominal", "pdf")).content
    assert b"/Figure" in data
    assert b"/Alt" in data


def test_nothing_lies_in_the_temporary_folder_afterwards(force, desk, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.chdir(folder)
    for form in ("pdf", "csv", "parquet"):
        assert desk.get(address(force, "nominal", form)).status_code == 200
    assert not list(folder.iterdir())


def test_who_took_what_is_in_the_log_before_it_is_handed_out_and_names_nobody(force, desk):
    for form in ("pdf", "csv", "parquet"):
        desk.get(address(force, "nominal", form))
    acts = force.archive.acts(["Exported"])
    assert [(act.form, act.by, act.under, act.label, act.handling) for act in acts] == [
        (form, "ana", "analyst", label(force), "C") for form in ("pdf", "csv", "parquet")
    ]
    (token,) = entries.unpacked(acts[0].nominals)
    assert force.archive.vault.keys([token]).to_pylist() == ["n\x1fN-1"]
    assert {act.shown for act in acts} == {act.shown for _, act in viewing.views(force.archive)}
    for act in acts:
        assert "N-1" not in str(act)


def test_what_cannot_be_logged_is_not_handed_out(force, desk, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(exporting, "log", full)
    response = desk.get(address(force, "nominal", "csv"))
    assert response.status_code == 500
    assert b"HYPERLINK" not in response.content


def test_who_may_not_export_is_refused_and_offered_nothing(force, desk):
    seen = len(viewing.views(force.archive))
    for form in ("pdf", "csv", "parquet"):
        refused = desk.get(address(force, "associations", form), "ira")
        assert refused.status_code == 403
        assert "Not allowed to take tables and pages away" in refused.text
        assert desk.get(address(force, "associations", form), "ola").status_code == 403
    assert not force.archive.acts(["Exported"])
    assert len(viewing.views(force.archive)) == seen
    path = f"/build/{label(force)}/SOC/associations"
    assert "format=pdf" not in desk.get(path, "ira").text
    page = desk.get(path).text
    for form in ("pdf", "csv", "parquet"):
        assert f'href="{path}?format={form}"' in page


def test_another_form_is_refused_by_name(force, desk):
    response = desk.get(address(force, "nominal", "xlsx"))
    assert response.status_code == 400
    assert "wanted one of csv, parquet, pdf" in response.text


def test_a_disposed_nominal_is_in_no_export(force, desk):
    before = {page: desk.get(address(force, page, "csv")).content for page in ("associations", "key", "network")}
    assert all(b"N-1" in b"".join(unzipped(data).values()) for data in before.values())  # the control
    force.dispose("N-1", on="2026-03-01T00:00:00Z")
    for page in ("associations", "change", "key", "places"):
        for form in ("csv", "parquet", "pdf"):
            data = desk.get(address(force, page, form)).content
            if form == "pdf":
                said = pdf_text(data)
            else:
                files = unzipped(data)
                said = str([read_csv(d) if n.endswith("csv") else pq.read_table(pa.BufferReader(d)).to_pylist()
                            for n, d in files.items() if n != "README.txt"])  # fmt: skip
            assert "N-1" not in said, (page, form)
            assert "HYPERLINK" not in said
    assert desk.get(f"/build/{label(force)}/nominal?id=N-1&format=pdf").status_code == 404


def test_what_is_withheld_is_an_empty_cell_and_no_nought(force, desk):
    force.dispose("N-1", on="2026-03-01T00:00:00Z")
    tables = unzipped(desk.get(address(force, "key", "csv")).content)
    twin = unzipped(desk.get(address(force, "key", "parquet")).content)
    name = next(name for name in tables if "nominals" in name)
    row = next((row for row in read_csv(tables[name]) if row["nominal"] == "N-2"), None)
    if row is None:  # withheld figures are listed by no measure
        totals = {r["figure"]: r["value"] for r in read_csv(tables["01-totals.csv"])}
        assert totals["figures withheld"] != "0"
    else:
        assert row["strength"] == ""
        held = pq.read_table(pa.BufferReader(twin[name.replace("csv", "parquet")])).to_pylist()
        assert next(r for r in held if r["nominal"] == "N-2")["strength"] is None


@pytest.fixture(autouse=True)
def _built() -> None:
    if not (looks.STATIC / "manifest.json").exists():
        pytest.skip("what pages are drawn with is not built: `make assets`")


def test_a_list_of_links_marks_victims_on_screen_in_files_and_on_paper(tmp_path):
    """BEA is a victim in one record and a suspect in another: no figure of hers says "victim only"."""
    force = Force(tmp_path)
    rows = [record("R-1", "ANN", "BEA:victim"), record("R-2", "ANN", "BEA"), record("R-3", "ANN", "CAT")]
    force.receive(*rows, cut_off="2026-02-01T00:00:00Z")
    force.build("2026-02-01T00:00:00Z")
    desk, path = Desked(force), f"/build/{label(force)}/SOC/associations?"
    shown = desk.get(path).text
    listed = shown[shown.index("Strongest links") :]
    assert listed.count("VICTIM") == 1
    assert listed.index("BEA</a>") < listed.index("VICTIM") < listed.index("CAT</a>")
    (links,) = (
        read_csv(data) for name, data in unzipped(desk.get(path + "format=csv").content).items() if "links" in name
    )
    assert {row["b"]: (row["a_victim"], row["b_victim"]) for row in links} == {"BEA": ("0", "1"), "CAT": ("0", "0")}
    text = " ".join(pdf_text(desk.get(path + "format=pdf").content).split())
    assert "BEA (victim)" in text
    assert "CAT (" not in text
    data = unzipped(desk.get(f"/build/{label(force)}/link?id=ANN&id=BEA&format=csv").content)
    (link,) = (read_csv(each) for name, each in data.items() if "links" in name)
    assert [(row["a_victim"], row["b_victim"]) for row in link] == [("0", "1")]  # and in R-2 she is none
    later = "2026-02-08T00:00:00Z"
    force.receive(*rows[1:], record("R-4", "CAT", "BEA:victim"), cut_off=later)
    force.build(later)
    data = unzipped(desk.get(f"/build/{label(force)}/SOC/change?format=csv").content)
    (changed,) = (read_csv(each) for name, each in data.items() if "links" in name)
    assert {(row["a"], row["b"]): (row["a_victim"], row["b_victim"]) for row in changed} == {
        ("ANN", "BEA"): ("0", "1"), ("BEA", "CAT"): ("1", "0"),
    }  # fmt: skip
