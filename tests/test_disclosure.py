"""Schedules, the recipients ledger, list checks and subject access in a small force, as stories and against faults."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import multiprocessing
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docx
import pytest
from click.testing import CliRunner, Result
from force import PARAMS, ROOT, Force, record

from provenance import (
    apart,
    backups,
    durable,
    entries,
    forms,
    holding,
    ledger,
    listing,
    materials,
    papers,
    scheduling,
    subjectaccess,
    verify,
)
from provenance.archive import Archive
from provenance.cli import main
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.schedules import MG6C, MG6D, WITHDRAWN
from provenance.scheduling import Material
from provenance.subjectaccess import Withheld

pytestmark = pytest.mark.usefixtures("_few_rows")

WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z"]
AFTER = ["2026-01-12T10:00:00Z", "2026-01-19T10:00:00Z", "2026-01-26T10:00:00Z"]
CASE = "24/0113"
WHO = {"by": "D. Officer", "under": "CPIA 1996 s.7A"}
PLAIN = "Printed page of the network analysis that shows how often two people were recorded together"
GRADED = {"kind": "intelligence", "grade_scheme": "3x5x2", "source_grade": "1", "assessment_grade": "A"}
PEOPLE = [
    {"nominal_id": "ANN", "name": "Ann Quoxby", "born": "1990-01-31"},
    {"nominal_id": "BOB", "name": "Bob Zephyrine", "born": "1985-05-05"},
    {"nominal_id": "VIC", "name": "Vic Marlowe", "born": "1999-09-09"},
    {"nominal_id": "TWIN", "name": "Ann Quoxby", "born": "1970-07-07"},
    {"nominal_id": "TWIN-2", "name": "Ann Quoxby", "born": "1970-07-07"},
]


def told_by(folder: Path) -> Force:
    """ANN and BOB in two records, one of them conditional intelligence; VIC only ever a victim; TWINs who share a name
    and a date of birth; CAT in a record whose conditions speak of a covert source."""
    force = Force(folder)
    force.receive(
        record("R-1", "ANN", "BOB"),
        record("I-2", "ANN:subject", "BOB:associate", **GRADED, handling="C", conditions="A1"),
        record("R-3", "BOB", "VIC:victim"),
        record("R-4", "TWIN", "TWIN-2"),
        record("I-5", "CAT:subject", "BOB:associate", **GRADED, handling="C", conditions="CHIS: see handler"),
        cut_off=WEEK[0],
        nominals=PEOPLE,
    )
    force.build(WEEK[0])
    return force


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story's archive, to be copied."""
    folder = tmp_path_factory.mktemp("told")
    force = told_by(folder)
    shutil.copy(ROOT / "params.yaml", force.root)
    shutil.copytree(ROOT / "harm", force.root / "harm")
    force.archive.close()
    return folder


@pytest.fixture
def force(told: Path, tmp_path: Path) -> Iterator[Force]:
    """A copy of the story, to go on with."""
    shutil.copytree(told, tmp_path, dirs_exist_ok=True)
    force = Force.__new__(Force)
    force.folder, force.root, force.keys = tmp_path, tmp_path / "force", tmp_path / "force.keys"
    force.archive, force._extracts = Archive(force.root, force.keys), 1
    yield force
    force.archive.close()


def made(force: Force, **named: Any) -> Material:
    return materials.material(force.as_of(AFTER[0], case=CASE), **named)


def enter(force: Force, material: Material, on: str = AFTER[0], case: str = CASE, **said: Any) -> Any:
    said = {"description": PLAIN, "location": "Disclosure unit, box 4", "reasons": "says whom he trusts"} | said
    return scheduling.enter(force.archive, case=case, material=material, on=on, **WHO, **said)


def move(force: Force, item: int, schedule: str, on: str = AFTER[0], case: str = CASE, **said: Any) -> Any:
    said = {"reason": "looked at it", "systems": PARAMS.systems} | said
    if schedule == MG6C:
        said = {"reviewer": "R. Eviewer"} | said
    return scheduling.move(force.archive, case, item, schedule, on=on, **WHO, **said)


def send(force: Force, on: str = AFTER[0], **said: Any) -> ledger.Entry:
    said = {
        "what": "pack", "title": "pack of build 2026-W02", "recipient": "Northshire CPS", "basis": "CPIA 1996 s.3",
        "digest": "ab" * 32,
    } | said  # fmt: skip
    return ledger.send(force.archive, on=on, **WHO, **said)


def token(force: Force, nominal: str) -> int:
    return subjectaccess.Subject("nominal", "", nominal).token(force.archive)


def everything(force: Force) -> bytes:
    """Every byte of the archive."""
    return b"\n".join(path.read_bytes() for path in sorted(force.root.rglob("*")) if path.is_file())


# ---- items -----------------------------------------------------------------------------------------------------------


def test_an_item_begins_on_the_mg6d_moves_by_review_and_keeps_its_numbers(force):
    first = enter(force, made(force, pair=("ANN", "BOB")))
    second = enter(force, made(force, record=("CONNECT", "R-1")))
    assert [(i.act.item, i.act.schedule, i.act.number) for i in (first, second)] == [(1, MG6D, 0), (2, MG6D, 0)]
    assert move(force, 2, MG6C).act.number == 1
    assert move(force, 2, MG6D).act.number == 1
    assert move(force, 1, MG6C).act.number == 2
    assert move(force, 2, MG6C).act.number == 1
    assert enter(force, made(force, nominal="VIC"), on=AFTER[1], case="25/0007").act.item == 1
    assert enter(force.reopened(), made(force, nominal="ANN")).act.item == 3
    listed = scheduling.listed(force.archive, CASE)
    assert [(each.item.act.item, each.schedule, each.number) for each in listed] == [
        (1, MG6C, 2), (2, MG6C, 1), (3, MG6D, 3),
    ]  # fmt: skip
    assert listed[0].item.act.reviewer == "R. Eviewer"
    assert [each.item.act.item for each in scheduling.listed(force.archive, CASE, after=2)] == [3]


def test_handling_is_the_strictest_of_the_contents_and_conditions_come_along(force):
    assert (made(force, record=("CONNECT", "R-1")).handling, made(force, record=("CONNECT", "R-1")).conditions) == (
        "", "",
    )  # fmt: skip
    linked = made(force, pair=("ANN", "BOB"))
    assert (linked.handling, linked.conditions) == ("C", "A1")
    assert made(force, nominal="ANN").handling == "C"
    enter(force, linked)
    (listed,) = scheduling.listed(force.archive, CASE)
    assert (listed.said.handling, listed.said.conditions, listed.said.label) == ("C", "A1", "2026-W02")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"reviewer": ""}, "moved to the MG6C without a reviewer"),
        ({"reviewer": " . "}, "moved to the MG6C without a reviewer"),
        ({"reason": " "}, "moved without a reason"),
        ({"changed": {"description": "Log of covert surveillance of a man"}}, "item 1: .*gives away: technique;"),
        ({"changed": {"location": "with the CHIS handler, shelf B22"}}, "gives away: grade, source;"),
        ({"changed": {"description": "CONNECT MG11"}}, "item 1: its description is thin"),
        ({"changed": {"description": f"{PLAIN}, see I-2"}}, "gives away: source;"),
        ({"changed": {"description": f"{PLAIN} (i-5)."}}, "gives away: source;"),  # not even one of its own
    ],
)
def test_a_move_to_the_mg6c_that_may_not_be_names_the_item_and_not_the_words(force, said, message):
    enter(force, made(force, pair=("ANN", "BOB")))
    with pytest.raises(Refused, match=message) as caught:
        move(force, 1, MG6C, **said)
    assert not any(word in str(caught.value) for word in ("covert", "surveillance", "handler", "B22", "I-2", "i-5"))
    assert scheduling.listed(force.archive, CASE)[0].schedule == MG6D


def test_an_item_gives_reasons_of_its_own(force):
    with pytest.raises(Refused, match="no reasons for sensitivity"):
        enter(force, made(force, nominal="ANN"), reasons=" ")
    enter(force, made(force, nominal="ANN"))
    with pytest.raises(Refused, match="no reasons for sensitivity"):
        move(force, 1, MG6D, changed={"reasons": ""})
    with pytest.raises(Missing, match="case has no item 2: it has 1"):
        move(force, 2, MG6C)
    with pytest.raises(Malformed, match="no such schedule to move to"):
        move(force, 1, "highly-sensitive")


def test_an_item_is_one_thing_of_one_build(force):
    for named in ({}, {"nominal": "ANN", "pair": ("ANN", "BOB")}):
        with pytest.raises(Malformed, match="item is about one thing"):
            made(force, **named)
    with pytest.raises(Missing, match="shows nothing of that"):
        made(force, record=("CONNECT", "R-99"))
    with pytest.raises(Malformed, match="has an id in it"):
        enter(force, made(force, nominal="ANN"), case="24/ANN")


# ---- apart -----------------------------------------------------------------------------------------------------------


def test_what_rests_on_a_covert_source_is_refused_among_the_others(force):
    for named in ({"record": ("CONNECT", "I-5")}, {"pair": ("CAT", "BOB")}, {"nominal": "BOB"}):
        with pytest.raises(Refused, match="wanted it entered apart") as caught:
            enter(force, made(force, **named))
        assert "I-5" not in str(caught.value)
    assert scheduling.listed(force.archive, CASE) == []


def test_what_is_apart_changes_no_number_no_count_and_no_entry_of_the_log(force):
    enter(force, made(force, pair=("ANN", "BOB")))
    before, size = everything(force).count(b"Scheduled"), force.archive.log.size
    item = enter(force, made(force, record=("CONNECT", "I-5")), separate=True)
    assert item.act.item == 1
    send(force, what="schedule", title="separate schedule", case=CASE, upto=1, separate=True)
    assert force.archive.log.size == size
    assert everything(force).count(b"Scheduled") == before
    assert enter(force, made(force, record=("CONNECT", "R-1"))).act.item == 2
    assert len(scheduling.listed(force.archive, CASE)) == 2
    assert [each.schedule for each in scheduling.listed(force.archive, CASE, separate=True)] == ["highly-sensitive"]
    assert ledger.sent(force.archive) == []
    assert len(ledger.sent(force.archive, separate=True)) == 1
    assert scheduling.sent_up_to(force.archive, CASE) == 0
    assert move(force, 1, WITHDRAWN, separate=True).act.schedule == WITHDRAWN


def test_ordinary_schedules_are_the_same_bytes_with_and_without_something_apart(force):
    enter(force, made(force, pair=("ANN", "BOB")))

    def printed() -> dict[str, bytes]:
        listed = scheduling.listed(force.archive, CASE)
        kinds = (forms.mg6c, forms.mg6d, forms.mg6e)
        return {n: d for kind in kinds for n, d in kind(CASE, listed, on=AFTER[1], by="D. Officer").files().items()}

    before = printed()
    enter(force, made(force, record=("CONNECT", "I-5")), separate=True)
    assert printed() == before


def test_the_register_apart_is_held_to_the_log(force):
    place = force.root / "disclosure" / "apart"
    enter(force, made(force, record=("CONNECT", "I-5")), separate=True)
    first = place.read_bytes()
    enter(force, made(force, record=("CONNECT", "R-1")), separate=True)
    enter(force, made(force, pair=("ANN", "BOB")))  # an ordinary act: from here on it cannot be taken back
    scheduling.check(force.archive)
    whole = place.read_bytes()
    for spoilt in (first, whole[:-1] + bytes([whole[-1] ^ 1]), None):
        place.unlink() if spoilt is None else place.write_bytes(spoilt)
        with pytest.raises(Tampered):
            scheduling.listed(force.archive, CASE)
    place.write_bytes(whole)
    assert len(scheduling.listed(force.archive, CASE, separate=True)) == 2
    digests = [act.apart for act in force.archive.acts(["Scheduled"])]
    enter(force, made(force, nominal="ANN"))  # nothing came apart in between, and the digest is another all the same
    assert len({*digests, *(act.apart for act in force.archive.acts(["Scheduled"]))}) == 2


# ---- two at once, and cut off ----------------------------------------------------------------------------------------


def _enter_some(root: str, keys: str, count: int) -> None:
    archive = Archive(Path(root), Path(keys))
    for _ in range(count):
        while True:
            try:
                scheduling.enter(
                    archive, case=CASE, material=Material(), description=PLAIN, location="box", reasons="r",
                    on=AFTER[1], **WHO,
                )  # fmt: skip
                break
            except Conflict:
                continue
    archive.close()


def test_two_processes_that_number_at_once_never_give_one_number_twice(force):
    force.archive.close()
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_enter_some, args=(str(force.root), str(force.keys), 6)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    acts = force.reopened().archive.acts(["Scheduled"])
    assert sorted(act.item for act in acts) == list(range(1, 13))


@pytest.mark.parametrize("where", ["write", "append"])
def test_a_crash_between_the_paper_and_the_entry_uses_no_number_up(force, monkeypatch, where):
    enter(force, made(force, pair=("ANN", "BOB")))
    material = made(force, nominal="ANN")
    with monkeypatch.context() as patch:
        if where == "write":
            patch.setattr(durable, "write", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        else:
            patch.setattr(Archive, "append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            enter(force, material)
    force.reopened()
    assert len(scheduling.listed(force.archive, CASE)) == 1
    assert enter(force, made(force, nominal="ANN")).act.item == 2


# ---- the forms -------------------------------------------------------------------------------------------------------

HOSTILE = "=HYPERLINK(\"x\") <script>alert(1)</script> & 'quoted' words enough to describe it"


def test_the_forms_have_their_columns_and_text_is_text(force):
    enter(force, made(force, pair=("ANN", "BOB")), description=HOSTILE, assists="+shows another suspect")
    enter(force, made(force, record=("CONNECT", "R-1")))
    move(force, 2, MG6C)
    listed = scheduling.listed(force.archive, CASE)
    c, d, e = (kind(CASE, listed, on=AFTER[1], by="D. Officer") for kind in (forms.mg6c, forms.mg6d, forms.mg6e))
    rows = list(csv.reader(io.StringIO(forms.as_csv(d).decode("utf-8-sig"))))
    assert rows[0][:3] == ["Item", "Description of item", "Reasons for sensitivity"]
    assert rows[1][:4] == ["1", f"'{HOSTILE}", "says whom he trusts", "C"]
    assert rows[2][:2] == ["2", "[moved to the MG6C, item 1]"]
    assert list(csv.reader(io.StringIO(forms.as_csv(c).decode("utf-8-sig"))))[1] == [
        "1", PLAIN, "Disclosure unit, box 4", "",
    ]  # fmt: skip
    assert list(csv.reader(io.StringIO(forms.as_csv(e).decode("utf-8-sig"))))[1] == [
        "MG6D", "1", "'+shows another suspect", "no",
    ]  # fmt: skip
    page = forms.as_html(d).decode()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "trusts" not in forms.as_html(c).decode()
    assert "C</td>" not in forms.as_html(c).decode()  # no handling code goes to the defence


def test_the_word_document_opens_has_the_table_and_is_the_same_bytes_each_time(force):
    enter(force, made(force, pair=("ANN", "BOB")), description=HOSTILE)
    form = forms.mg6d(CASE, scheduling.listed(force.archive, CASE), on=AFTER[1], by="D. Officer")
    made_once = forms.as_docx(form)
    opened = docx.Document(io.BytesIO(made_once))
    assert [cell.text for cell in opened.tables[0].rows[1].cells][:3] == ["1", HOSTILE, "says whom he trusts"]
    assert opened.core_properties.created.isoformat() == "2026-01-19T10:00:00+00:00"
    with zipfile.ZipFile(io.BytesIO(made_once)) as parts:
        assert {part.date_time for part in parts.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert forms.as_docx(form) == made_once


def test_a_nil_mg6d_can_be_signed_and_gaps_tell_the_defence_nothing(force):
    nil = forms.mg6d(CASE, [], on=AFTER[1], by="D. Officer")
    assert "(nil)" in nil.title
    assert "no sensitive material" in nil.notes[0]
    assert forms.NOTHING in forms.as_html(nil).decode()
    assert forms.NOTHING in [p.text for p in docx.Document(io.BytesIO(forms.as_docx(nil))).paragraphs]
    for _ in range(3):
        enter(force, made(force, record=("CONNECT", "R-1")))
    move(force, 3, MG6C)
    move(force, 1, MG6C)
    move(force, 3, MG6D)
    lines = forms.mg6c(CASE, scheduling.listed(force.archive, CASE), on=AFTER[1], by="D. Officer").lines
    assert [line[:2] for line in lines] == [("1", "[withdrawn]"), ("2", PLAIN)]


def test_a_pack_for_the_defence_shows_what_is_on_the_mg6c_and_in_no_sensitive_item(force):
    def disclosable():
        return scheduling.disclosable(force.archive, CASE)

    pair, crime = made(force, pair=("ANN", "BOB")), made(force, record=("CONNECT", "R-1"))
    report = made(force, record=("CONNECT", "I-2"))
    for material in (pair, crime, report):
        enter(force, material)
    shown = {leaf for material in (pair, crime, report) for _, leaf in material.leaves}
    assert disclosable().leaves == set()  # by default nothing
    move(force, 1, MG6C)
    assert (disclosable().leaves, disclosable().lacking) == (set(), 1)  # the link would tell of its records
    move(force, 2, MG6C)
    assert disclosable().leaves == {leaf for _, leaf in crime.leaves}  # and of the other one still
    move(force, 3, MG6C)
    assert (disclosable().leaves, disclosable().lacking) == (shown, 0)
    enter(force, crime, separate=True)  # the same row, in another item
    assert disclosable().leaves == {leaf for _, leaf in report.leaves}
    scheduling.move(force.archive, CASE, 1, WITHDRAWN, reason="entered twice", separate=True, on=AFTER[1], **WHO)
    assert disclosable().leaves == shown
    person = made(force, nominal="ANN")
    enter(force, person)
    move(force, 4, MG6C)
    figures = {leaf for table, leaf in person.leaves if table == "nominal"}
    assert disclosable().leaves == shown | figures  # and no other link
    assert len(disclosable().pairs) == 1
    snapshot = force.as_of(AFTER[0])
    rows = list(materials.contents(snapshot, pair.leaves))
    (copy,) = scheduling.edit(
        force.archive, CASE, 1, rows, {"link": {"supports.grade": "the grade"}}, on=AFTER[1], **WHO
    )
    assert set(copy.row["supports"]["grade"]) == {"[edited]"}
    assert pair.leaves[0][1] not in disclosable().leaves  # the copy goes out, and the row as its leaf
    (line,) = scheduling.listed(force.archive, CASE)[0].said.edits
    assert (line["unedited"], line["column"]) == (pair.leaves[0][1], "supports.grade")


# ---- after a disposal ------------------------------------------------------------------------------------------------


def test_who_was_disposed_of_is_nowhere_and_the_number_stays(force):
    enter(force, made(force, pair=("ANN", "BOB")), description=f"{PLAIN}; Quoxby-marker")
    enter(force, made(force, record=("CONNECT", "R-3")))
    paper = scheduling.listed(force.archive, CASE)[0].item.act.paper
    kept = (force.root / "disclosure" / "papers" / paper).read_bytes()
    force.dispose("ANN", on=AFTER[1])
    assert not (force.root / "disclosure" / "papers" / paper).exists()
    listed = scheduling.listed(force.archive, CASE)
    assert [(each.number, each.gone) for each in listed] == [(1, "disposed of"), (2, "")]
    assert "[disposed of]" in forms.as_html(forms.mg6d(CASE, listed, on=AFTER[2], by="D")).decode()
    (force.root / "disclosure" / "papers" / paper).write_bytes(kept)  # a copy from a tape
    assert scheduling.listed(force.archive, CASE)[0].said is None
    assert b"Quoxby" not in everything(force)
    with pytest.raises(Conflict, match="item 1 has been disposed of"):
        move(force, 1, MG6C)
    assert enter(force, made(force, record=("CONNECT", "R-3"))).act.item == 3
    (force.root / "disclosure" / "papers" / paper).unlink()
    verify.insist(verify.verify(force.archive))


def test_what_is_restricted_is_listed_for_the_case_that_holds_it_alone(force):
    for case in (CASE, "25/0007"):
        enter(force, made(force, pair=("ANN", "BOB")), case=case)
    holding.place(
        force.archive, PARAMS, case=CASE, basis="inquiry", review_on="2026-09-01", nominals=["ANN"], on=AFTER[0], **WHO
    )
    force.dispose("ANN", on=AFTER[1])
    assert scheduling.listed(force.archive, CASE)[0].gone == ""
    assert scheduling.listed(force.archive, "25/0007")[0].gone == "restricted"


def test_papers_and_the_register_apart_come_back_with_a_backup(force, tmp_path):
    enter(force, made(force, pair=("ANN", "BOB")))
    enter(force, made(force, record=("CONNECT", "I-5")), separate=True)
    manifest = backups.make(force.archive, tmp_path / "backup", on=AFTER[1], by="tests")
    kept = {file.path for file in manifest.files if file.path.startswith("disclosure/")}
    assert kept == {p.relative_to(force.root).as_posix() for p in (force.root / "disclosure").rglob("*") if p.is_file()}


# ---- the ledger ------------------------------------------------------------------------------------------------------


def test_what_leaves_is_numbered_logged_first_and_known_again_by_its_digest(force):
    entry = send(force, nominals=[token(force, "ANN")], case=CASE)
    assert (entry.number, entry.act.recipient, entry.nominals) == (1, "Northshire CPS", (token(force, "ANN"),))
    assert send(force, what="export").number == 2
    assert ledger.is_what_was_sent(force.archive, entry, "ab" * 32) is True
    assert ledger.is_what_was_sent(force.archive, entry, "cd" * 32) is False
    assert b"ab" * 32 not in everything(force)  # a plain digest could be guessed at
    force.dispose("ANN", on=AFTER[1])
    assert ledger.is_what_was_sent(force.archive, entry, "ab" * 32) is None


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"what": "parcel"}, "no such kind"),
        ({"recipient": " "}, "recipient of what is sent is empty"),
        ({"basis": ""}, "basis of what is sent is empty"),
        ({"title": "all about ann"}, "has an id in it"),
        ({"recipient": "ANN"}, "has an id in it"),
    ],
)
def test_an_item_without_recipient_or_law_or_that_names_a_person_is_refused(force, said, message):
    with pytest.raises(Malformed, match=message) as caught:
        send(force, nominals=[token(force, "ANN")], **said)
    assert not holding.is_word("ann", str(caught.value))
    assert ledger.sent(force.archive) == []


def test_something_about_very_many_people_is_several_entries_and_one_item(force, monkeypatch):
    monkeypatch.setattr(ledger, "TOKENS_AT_MOST", 2)
    people = sorted(token(force, name) for name in ("ANN", "BOB", "VIC", "TWIN", "CAT"))
    send(force, nominals=people)
    assert [(act.part, act.parts) for act in force.archive.acts(["Sent"])] == [(1, 3), (2, 3), (3, 3)]
    (entry,) = ledger.sent(force.archive)
    assert sorted(entry.nominals) == people
    assert send(force).number == 2


def test_a_recipient_is_told_of_a_disposal_by_a_notice_that_names_nobody(force):
    crime = materials.material(force.as_of(AFTER[0]), record=("CONNECT", "R-1"))
    send(force, nominals=[token(force, "ANN")], records=crime.records)
    send(force, nominals=[token(force, "VIC")], recipient="Eastshire Council")
    assert ledger.notices(force.archive) == []
    force.dispose("ANN", on=AFTER[1])
    (notice,) = ledger.notices(force.archive)
    disposal = force.archive.history.disposals[0].first.disposal
    assert notice.name == f"1/disposed/{disposal}"
    draft = ledger.draft(force.archive, notice)
    assert "recipients ledger, item 1" in draft
    assert "Northshire CPS" in draft
    assert not any(word in draft for word in ("ANN", "Quoxby", "R-1", f"{notice.entry.nominals[0]:016x}"))
    told = ledger.notify(force.archive, notice.name, means="by secure mail", on=AFTER[2], **WHO)
    assert told.told.content == hashlib.sha256(draft.encode()).hexdigest()
    with pytest.raises(Conflict, match="was sent on 2026-01-26"):
        ledger.notify(force.archive, notice.name, means="again", on=AFTER[2], **WHO)
    with pytest.raises(Missing, match="no notice of that name"):
        ledger.notify(force.archive, f"2/disposed/{disposal}", means="again", on=AFTER[2], **WHO)
    send(force, nominals=[token(force, "VIC")])  # later than the disposal: nobody to tell
    assert [each.name for each in ledger.notices(force.archive)] == [notice.name]


def test_a_restriction_is_a_notice_and_the_disposal_after_it_another(force):
    send(force, nominals=[token(force, "ANN")])
    hold = holding.place(
        force.archive, PARAMS, case=CASE, basis="inquiry", review_on="2026-09-01", nominals=["ANN"], on=AFTER[0], **WHO
    )
    force.dispose("ANN", on=AFTER[1])
    assert [each.cause for each in ledger.notices(force.archive)] == ["restricted"]
    draft = ledger.draft(force.archive, ledger.notices(force.archive)[0])
    assert not any(word in draft for word in ("ANN", CASE))
    send(force, nominals=[token(force, "ANN")], case=CASE, on=AFTER[1])  # who gets it knows that it is restricted
    assert [each.entry.number for each in ledger.notices(force.archive)] == [1]
    holding.release(force.archive, PARAMS, hold.id, reason="decided", on=AFTER[2], **WHO)
    force.finish(on=AFTER[2])
    told = [(each.entry.number, each.cause) for each in ledger.notices(force.archive)]
    assert told == [(1, "restricted"), (1, "disposed"), (2, "disposed")]


def test_a_correction_is_one_notice_for_all_that_came_since_until_it_is_sent(force):
    crime = materials.material(force.as_of(AFTER[0]), record=("CONNECT", "R-1"))
    send(force, records=crime.records)
    force.receive(
        record("R-1", "ANN", "BOB:witness"), record("R-3", "BOB"), cut_off=WEEK[1], mode="delta", systems=["CONNECT"]
    )
    force.receive(record("R-1", "ANN"), cut_off=WEEK[2], mode="delta", systems=["CONNECT"])
    (notice,) = ledger.notices(force.archive)
    assert notice.name == "1/rectified/3"
    assert "CONNECT R-1" in ledger.draft(force.archive, notice)
    assert "R-3" not in ledger.draft(force.archive, notice)
    ledger.notify(force.archive, notice.name, means="by mail", on=AFTER[2], **WHO)
    assert [each.told is not None for each in ledger.notices(force.archive)] == [True]


# ---- a partner's list ------------------------------------------------------------------------------------------------


def checked(force: Force, text: str) -> list[tuple[str, int | None]]:
    found = listing.check(force.as_of(AFTER[0]), listing.read(io.BytesIO(text.encode())), theme="SOC")
    return [(answer.present, answer.harm) for answer in found.answers]


def test_a_list_is_answered_row_by_row_exactly_and_with_nothing_more(force):
    harm = force.as_of(AFTER[0]).nominals(nominal="BOB", theme="SOC")["harm"][0].as_py()
    assert harm > 0
    assert checked(force, "nominal_id\nBOB\nbob\nNOBODY\nVIC\n") == [("yes", harm), *[("no", None)] * 3]
    assert checked(
        force,
        "name,born\nBob Zephyrine,1985-05-05\nbob zephyrine,1985-05-05\nBob  Zephyrine,1985-05-05\n"
        "Bob Zephyrine,1985-05-06\nVic Marlowe,1999-09-09\nAnn Quoxby,1970-07-07\n",
    ) == [("yes", harm), *[("no", None)] * 4, ("unclear", None)]
    both = listing.check(
        force.as_of(AFTER[0]), listing.read(io.BytesIO(b"nominal_id\nBOB\nVIC\nNOBODY\n")), theme="SOC"
    )
    assert both.as_csv().decode() == f"row,present,harm\n1,yes,{harm}\n2,no,\n3,no,\n"  # a victim reads as a stranger
    assert both.nominals == (token(force, "BOB"),)


def test_a_person_whose_figures_are_withheld_is_unclear_and_who_is_restricted_is_unknown(force):
    holding.place(
        force.archive, PARAMS, case=CASE, basis="inquiry", review_on="2026-09-01", nominals=["ANN"], on=AFTER[0], **WHO
    )
    force.dispose("ANN", on=AFTER[1])
    assert checked(force, "nominal_id\nANN\nBOB\nVIC\n") == [("no", None), ("unclear", None), ("no", None)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "columns in its heading"),
        (b"nominal_id,secret\nBOB,x\n", "2 columns in its heading"),
        (b"nominal_id\nBOB,Zephyrine\n", "line 2: found 2 cells, wanted 1"),
        (b"name,born\nZephyrine,\n", "line 2: wanted an id, or else a name"),
        (b"nominal_id,name,born\nBOB,Zephyrine,1985-05-05\n", "line 2: wanted an id, or else a name"),
        (b"nominal_id\n\xff\xfe\n", "line 2: wanted UTF-8"),
        (b'nominal_id\n"Zephyrine\n', "not CSV"),
    ],
)
def test_a_list_in_another_form_is_refused_without_a_word_of_it(force, data, message):
    with pytest.raises(Malformed, match=message) as caught:
        listing.check(force.as_of(AFTER[0]), listing.read(io.BytesIO(data)), theme="SOC")
    assert not any(word in str(caught.value) for word in ("BOB", "Zephyrine", "secret"))


def test_a_list_is_read_as_it_comes(force):
    """No more than one share of rows is taken before it is answered, and the answers are as many as the rows."""
    taken = 0

    def rows() -> Iterator[listing.Asked]:
        nonlocal taken
        for at in range(12_001):
            taken += 1
            yield listing.Asked(f"X-{at}", "", "")

    assert len(listing.check(force.as_of(AFTER[0]), rows(), theme="SOC").answers) == taken == 12_001


# ---- subject access --------------------------------------------------------------------------------------------------


def asked(force: Force, nominal: str = "ANN", **said: Any) -> subjectaccess.Answer:
    if not any(not each.answered_on for each in subjectaccess.requests(force.archive)):
        subjectaccess.receive(force.archive, nominal, received_on="2026-01-10", on=AFTER[0], **WHO)
    return subjectaccess.answer(force.archive, PARAMS, nominal, on=AFTER[1], **said)


def test_a_person_is_told_what_is_held_its_origin_who_has_it_and_for_how_long_and_nobody_else(force):
    send(force, nominals=[token(force, "ANN")])
    given = asked(force)
    assert (given.said["due_on"], given.said["answered_on"]) == ("2026-02-10", "2026-01-19")
    assert given.said["details"][0]["name"] == "Ann Quoxby"
    assert [(r["origin"], r["reference"], r["your_role"], r["others"]) for r in given.said["records"]] == [
        ("CONNECT", "I-2", "subject", "associate"), ("CONNECT", "R-1", "suspect", "suspect"),
    ]  # fmt: skip
    assert given.said["figures"][0]["links"] == 1
    assert [r["recipient"] for r in given.said["recipients"]] == ["Northshire CPS"]
    assert given.said["retention"][0]["then"] in ("review", "dispose")
    text = json.dumps(given.said) + subjectaccess.page(given.said).decode()
    assert not any(word in text for word in ("BOB", "Zephyrine", '"C"', "A1", "1985"))


def test_what_is_withheld_has_a_ground_and_a_reason_that_is_kept_and_goes_with_the_person(force):
    kept_back = [Withheld("CONNECT", "I-2", "crime", "the inquiry is not known to her")]
    given = asked(force, withheld=kept_back)
    assert [r["reference"] for r in given.said["records"]] == ["R-1"]
    assert any("s.45(4)(b)" in ground for ground in given.said["withheld"])
    assert "the inquiry" not in json.dumps(given.said)
    subjectaccess.log(force.archive, given, digest="ab" * 32, recipient="the person who asked", on=AFTER[1], **WHO)
    assert subjectaccess.reasons(force.archive, 1)[0]["reason"] == "the inquiry is not known to her"
    assert b"the inquiry is" not in everything(force)
    assert [each.act.what for each in ledger.sent(force.archive)] == ["subject-access"]
    with pytest.raises(Conflict, match="request 1 was answered meanwhile"):
        subjectaccess.log(force.archive, given, digest="ab" * 32, recipient="x", on=AFTER[1], **WHO)
    force.dispose("ANN", on=AFTER[2])
    assert subjectaccess.reasons(force.archive, 1) is None
    with pytest.raises(Missing):
        subjectaccess.answer(force.archive, PARAMS, "ANN", on=AFTER[2])


def test_that_something_is_withheld_need_not_be_told(force):
    given = asked(force, withheld=[Withheld("CONNECT", "I-2", "crime", "would tip her off", untold=True)])
    assert not any("s.45(4)(b)" in ground for ground in given.said["withheld"])
    assert "I-2" not in json.dumps(given.said)
    with pytest.raises(Missing, match="1 of the records to withhold are not held"):
        asked(force, withheld=[Withheld("CONNECT", "R-99", "crime", "x")])


def test_what_is_restricted_is_not_told_without_a_ground(force):
    holding.place(
        force.archive, PARAMS, case=CASE, basis="inquiry", review_on="2026-09-01", nominals=["BOB"], on=AFTER[0], **WHO
    )
    force.dispose("CONNECT R-1", on=AFTER[0])
    with pytest.raises(Refused, match="wanted --restricted with a ground and a reason"):
        asked(force)
    given = asked(force, withheld=[Withheld("", "", "inquiry", "held for a case")])
    assert [r["reference"] for r in given.said["records"]] == ["I-2"]
    assert "R-1" not in json.dumps(given.said)


def test_a_request_is_open_until_it_is_answered_and_late_after_its_month(force):
    with pytest.raises(Missing, match="no open request"):
        subjectaccess.answer(force.archive, PARAMS, "ANN", on=AFTER[0])
    with pytest.raises(Malformed, match="received on 2026-01-13: wanted 2026-01-12 or before"):
        subjectaccess.receive(force.archive, "ANN", received_on="2026-01-13", on=AFTER[0], **WHO)
    request = subjectaccess.receive(force.archive, "ANN", received_on="2026-01-10", on=AFTER[0], **WHO)
    assert (request.is_late("2026-02-10"), request.is_late("2026-02-11")) == (False, True)


# ---- the commands ----------------------------------------------------------------------------------------------------


class Desk:
    """The commands at a moment."""

    def __init__(self, force: Force, patch: pytest.MonkeyPatch) -> None:
        self.force, self.patch = force, patch

    def run(self, *arguments: str, code: int = 0) -> Result:
        instant = datetime.fromisoformat(AFTER[1]).astimezone(UTC)
        self.patch.setenv("SOURCE_DATE_EPOCH", str(int(instant.timestamp())))
        result = CliRunner().invoke(main, ["--archive", str(self.force.root), *arguments])
        assert result.exit_code == code, result.output
        self.force.archive.refresh()
        return result

    def answer(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture
def desk(force: Force, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(force, monkeypatch)


_SAID = ("--by", "D. Officer", "--under", "CPIA 1996 s.7A")
_ITEM = ("--description", PLAIN, "--location", "box 4", "--reasons", "says whom he trusts", *_SAID)


def test_an_officer_schedules_prints_sends_and_goes_on(desk, tmp_path):
    assert desk.answer("schedule", "add", CASE, "--as-of", AFTER[0], "--pair", "ANN", "BOB", *_ITEM) == {
        "item": 1, "schedule": "mg6d", "handling": "C",
    }  # fmt: skip
    refused = desk.run("schedule", "add", CASE, "--as-of", AFTER[0], "--record", "CONNECT", "I-5", *_ITEM, code=3)
    assert "wanted it entered apart" in refused.output
    desk.run("schedule", "add", CASE, "--as-of", AFTER[0], "--record", "CONNECT", "I-5", "--apart", *_ITEM)
    desk.run("schedule", "add", CASE, "--as-of", AFTER[0], "--record", "CONNECT", "R-1", *_ITEM)
    moved = desk.run("schedule", "move", CASE, "2", "mg6c", "--reason", "a crime", "--reviewer", "R. Eviewer", *_SAID)
    assert "Item 2 is item 1 of the MG6C." in moved.output
    edited = desk.run(
        "schedule", "edit", CASE, "2", "--strike", "record", "kind", "not needed", "--out", str(tmp_path / "e"), *_SAID
    )
    assert "1 edited copy in e." in edited.output
    assert json.loads((tmp_path / "e").read_text())[0]["row"]["kind"] == "[edited]"
    listed = desk.answer("schedule", "list", CASE)["items"]
    assert [(item["item"], item["schedule"], item["edits"]) for item in listed] == [(1, "mg6d", 0), (2, "mg6c", 1)]
    assert "R. Eviewer" in desk.run("schedule", "list", CASE).output
    desk.run("schedule", "print", CASE, "--out", str(tmp_path / "first"))
    assert {path.name for path in (tmp_path / "first").iterdir()} == {
        f"{form}.{kind}" for form in ("mg6c", "mg6d", "mg6e") for kind in ("html", "csv", "docx")
    }
    desk.run("schedule", "print", CASE, "--out", str(tmp_path / "apart"), "--apart")
    assert {path.name.split(".")[0] for path in (tmp_path / "apart").iterdir()} == {"separate"}
    sent = desk.answer(
        "ledger", "send", str(tmp_path / "first"), "--what", "schedule", "--title", "MG6C to MG6E", "--to", "CPS",
        "--basis", "CPIA 1996 s.4", "--case", CASE, "--upto", "2", *_SAID,
    )  # fmt: skip
    assert (sent["number"], sent["people"], sent["records"]) == (1, 2, 2)
    desk.run("schedule", "add", CASE, "--as-of", AFTER[0], "--nominal", "ANN", *_ITEM)
    more = desk.answer("schedule", "print", CASE, "--out", str(tmp_path / "second"), "--continuation")
    assert [item["item"] for item in more["items"]] == [3]
    assert (
        "wanted another place"
        in desk.run("schedule", "print", CASE, "--out", str(desk.force.root / "x"), code=3).output
    )


def test_a_pack_says_itself_whom_it_is_about_and_a_notice_follows(desk, tmp_path):
    desk.run("asof", AFTER[0], "--nominal", "ANN", "--proof", str(tmp_path / "pack"))
    sent = desk.answer(
        "ledger", "send", str(tmp_path / "pack"), "--what", "pack", "--title", "answer of 12 January", "--to", "CPS",
        "--basis", "CPIA 1996 s.3", *_SAID,
    )  # fmt: skip
    assert (sent["people"], sent["records"]) == (2, 2)
    assert "answer of 12 January" in desk.run("ledger", "list").output
    desk.force.dispose("ANN", on=AFTER[1])
    (notice,) = desk.answer("ledger", "notices", "--out", str(tmp_path / "drafts"))["notices"]
    (draft,) = (tmp_path / "drafts").iterdir()
    assert draft.read_text() == notice["draft"]
    assert "ANN" not in draft.read_text() + draft.name
    desk.run("ledger", "notified", notice["name"], "--means", "secure mail", *_SAID)
    assert desk.answer("ledger", "notices")["notices"] == []
    assert len(desk.answer("ledger", "notices", "--all")["notices"]) == 1


def test_a_list_is_a_disclosure_and_no_name_of_it_is_anywhere(desk, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "list.csv").write_text("name,born\nBob Zephyrine,1985-05-05\nIgnatius Unheardof,1961-01-01\n")
    said = desk.run(
        "check-list", str(tmp_path / "list.csv"), "--theme", "SOC", "--as-of", AFTER[0], "--to", "Eastshire Council",
        "--basis", "Crime and Disorder Act 1998 s.115", "--out", str(tmp_path / "answer"), *_SAID,
    )  # fmt: skip
    assert "2 rows answered in answer: item 1 of the ledger." in said.output
    (tmp_path / "list.csv").unlink()
    shutil.rmtree(desk.force.folder / "inbox")  # the extracts, which have the names in the clear
    rest = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()) + said.output.encode()
    assert b"Unheardof" not in rest
    assert b"Zephyrine" not in rest
    (entry,) = ledger.sent(desk.force.archive)
    assert (entry.act.what, entry.act.recipient) == ("answer", "Eastshire Council")
    assert entry.nominals == (token(desk.force, "BOB"),)
    assert (tmp_path / "answer" / "answer.csv").read_text().splitlines()[2] == "2,no,"
    assert "The build verifies." in (tmp_path / "answer" / "READ-ME-FIRST.txt").read_text()


def test_a_person_asks_and_is_answered_through_the_commands(desk, tmp_path):
    desk.run("subject-access", "ANN", "--received-on", "2026-01-10", *_SAID)
    assert "to be answered by 2026-02-10" in desk.run("ledger", "notices").output
    desk.run(
        "subject-access", "ANN", "--out", str(tmp_path / "answer"), "--withhold", "CONNECT", "I-2", "crime",
        "would tip her off", *_SAID,
    )  # fmt: skip
    assert {path.name for path in (tmp_path / "answer").iterdir()} == {"answer.html", "answer.json"}
    shown = desk.run("subject-access", "ANN", "--reasons").output
    assert "CONNECT I-2: s.45(4)(b)" in shown
    assert "would tip her off" in shown
    assert desk.answer("subject-access", "ANN")["requests"][0]["late"] is False
    assert "--by and --under" in desk.run("subject-access", "ANN", "--received-on", "2026-01-10", code=2).output
    desk.run("subject-access", "NOBODY", code=5)


def test_entries_of_disclosure_are_read_as_they_were_written(force):
    enter(force, made(force, pair=("ANN", "BOB")))
    send(force, nominals=[token(force, "ANN")])
    subjectaccess.receive(force.archive, "ANN", received_on="2026-01-10", on=AFTER[0], **WHO)
    for act in force.archive.acts(["Scheduled", "Sent", "Asked"]):
        assert entries.from_bytes(entries.to_bytes(act)) == act
    assert papers.expunge(force.archive) == 0
    assert apart.acts(force.archive) == []
