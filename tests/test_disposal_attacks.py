"""Ways by which something could have been disposed of that should stay, or stayed that should have gone.

Each was found open by reading, and proved before it was closed.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from force import HARM, PARAMS, SYSTEMS, Force, record, write_extract
from hypothesis import given
from hypothesis import strategies as st

from provenance import asof, disposal, extracts, holding, receiving, reviewing, rows, staff, vault
from provenance.archive import Archive, Overtaken
from provenance.errors import Conflict, Malformed, Refused, Tampered
from provenance.keys import MasterKey

PLANNED, LATER = "2026-03-01T00:00:00Z", "2026-03-05T00:00:00Z"
DECIDED = next(code for code, basis in PARAMS.holds.bases.items() if basis.ends_by == "decision")


@pytest.fixture
def force(tmp_path):
    """Three people, each in two records of one build."""
    force = Force(tmp_path)
    crimes = [record("R-1", "N-1", "N-2"), record("R-2", "N-2", "N-3"), record("R-3", "N-1", "N-3")]
    force.receive(*crimes, cut_off="2026-02-01T00:00:00Z")
    force.build("2026-02-02T00:00:00Z")
    return force


def held(force: Force, *nominals: str) -> str:
    return holding.place(
        force.archive, PARAMS, case="24/0113", basis=DECIDED, nominals=nominals, review_on="2026-04-01",
        on="2026-02-20T00:00:00Z", by="R. Keeper", under="CPIA 1996",
    ).id  # fmt: skip


def came_back(force: Force) -> int:
    """How many rows are kept out of an extract that names N-2 again."""
    again = record("R-9", "N-2", "N-3", recorded_at="2026-03-02T00:00:00Z")
    return force.receive(again, cut_off="2026-03-02T00:00:00Z", mode="delta").returned


# -- what should stay --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "news"),
    [
        (
            "N-2",
            record("R-9", "N-2", "N-3", recorded_at="2026-03-02T00:00:00Z"),
        ),  # another crime: the clock starts anew
        ("CONNECT R-2", record("R-2", "N-2", "N-3", mopi_group="1")),  # it is graver than was thought
        ("CONNECT R-2", record("R-2", "N-2", "N-3", "N-1")),
    ],
)
def test_what_came_in_since_the_plan_is_not_destroyed_with_the_rest(force, subject, news):
    plan = force.plan(subject, on=PLANNED)
    force.receive(news, cut_off="2026-03-02T00:00:00Z", mode="delta")
    with pytest.raises(Conflict, match=r"since it was made, something came in about 1 of its 1 lines"):
        force.carry_out(plan, on=LATER)
    assert force.carry_out(force.plan(subject, on=LATER), on=LATER)[0].number == 1


def test_what_came_in_about_others_or_was_built_since_changes_nothing(force):
    plan = force.plan("N-2", on=PLANNED)
    news = record("R-9", "N-1", "N-3", recorded_at="2026-03-02T00:00:00Z")
    force.receive(news, cut_off="2026-03-02T00:00:00Z", mode="delta")
    force.build("2026-03-03T00:00:00Z")
    assert force.carry_out(plan, on=LATER)[0].nominals == 1


def test_a_review_that_keeps_somebody_stops_an_older_plan(force):
    plan = force.plan("N-1", "N-2", on=PLANNED)
    reviewing.retain(
        force.archive, PARAMS, reviewing.Subject("nominal", "", "N-2"), reason=min(PARAMS.retention.reviews.reasons),
        next_review="2026-12-01", on=PLANNED, by="R. Viewer", under="APP",
    )  # fmt: skip
    with pytest.raises(Conflict, match=r"about 1 of its 2 lines, or a review kept them"):
        force.carry_out(plan, on=PLANNED)


@pytest.mark.parametrize(
    "approver",
    [
        "A. Clerk\u200b", "\u202eA. Clerk", "a clerk", "Ａ．ＣＬＥＲＫ", ".", " ", "\u2060",
        "\u0410. Clerk", "\u13aa. Clerk", "B. Smith\u0430",  # a letter of another script among Latin ones
    ],
)  # fmt: skip
def test_a_second_person_differs_in_more_than_what_does_not_show(force, approver):
    plan = force.plan("N-2", on=PLANNED)
    with pytest.raises(Refused, match="disposal needs a second person"):
        disposal.carry_out(force.archive, plan, PARAMS, HARM, on=LATER, by="A. Clerk", approved_by=approver)
    assert not force.archive.history.disposals


@pytest.mark.parametrize(
    ("one", "other"),
    [("АНТОН", "AHTOH"), ("Ρ. Τ.", "P. T."), ("A. Clerk", "А. Clerk"), ("Ꭺ. Clerk", "B. Other")],
)
def test_letters_that_look_alike_make_no_other_person(one, other):
    assert staff.is_same(one, other)
    assert staff.is_same(other, one)


@pytest.mark.parametrize(
    ("one", "other"), [("André", "Andre"), ("Антон", "Иван"), ("山田 はなこ", "山田 タロウ"), ("PC 7", "PC 71")]
)
def test_names_that_a_reader_tells_apart_are_two(one, other):
    assert not staff.is_same(one, other)
    assert staff.is_same(one, one.upper())


@pytest.mark.parametrize("ends", [True, False])
def test_two_persons_stand_in_the_log_also_when_the_approver_moves_the_hold(force, ends):
    """What waited goes, or is restricted anew, in the name of the two who decided it."""
    hold = held(force, "N-2")
    force.dispose("N-2", on=PLANNED)
    if ends:
        holding.release(force.archive, PARAMS, hold, reason="decided", on=LATER, by="second person", under="CPIA 1996")
    else:
        held(force, "N-3")
    disposal.finish(force.archive, PARAMS, HARM, on=LATER, by="second person")
    history = force.archive.history
    (act,) = [history.disposals[0].first] if ends else set(history.restricted.values())
    assert (act.by, act.approved_by) == ("records officer", "second person")


def test_what_is_dead_is_read_only_from_the_file_that_was_logged(force, monkeypatch):
    """Somebody adds a row to what a disposal reached, after it was logged and before it is expunged."""
    with monkeypatch.context() as patch:
        patch.setattr(disposal, "_certify_all", lambda *_: None)
        force.dispose("N-2", on=PLANNED)
    index = force.archive.index("record")
    (token,) = force.archive.vault.tokens(vault.record_keys(pa.array(["CONNECT"]), pa.array(["R-3"])))
    (at,) = np.flatnonzero(index.a == token)
    path = force.archive.disposal_file(1, "fates")
    fates = rows.read_fates(path)
    more = {"table": "record", "segment": int(index.segment[at]), "row": int(index.row[at]), "fate": rows.DIED}
    rows.write_fates(path, pa.concat_tables([fates, pa.Table.from_pylist([more | {"heir": -1}], schema=fates.schema)]))
    before = rows.digest(index.paths[int(index.segment[at])])
    with pytest.raises(Tampered, match=r"file store/disposals/0001/fates\.parquet is not as it was logged"):
        force.reopened().finish(on=LATER)
    assert rows.digest(index.paths[int(index.segment[at])]) == before


# -- what should have gone ---------------------------------------------------------------------------------------------


def test_ids_cannot_be_tried_against_a_plans_digest_even_with_the_vault_in_hand(force):
    """All that a plan says can be made up but its mark, and that is gone with the plan."""
    plan = force.plan("N-2", on=PLANNED)
    force.carry_out(plan, on=LATER)
    logged = force.archive.history.disposals[0].first.plan
    assert disposal._seal(force.archive, plan) == logged  # the control
    guesses = [dataclasses.replace(plan, mark=mark) for mark in ("", force.plan("N-3", on=PLANNED).mark)]
    assert logged not in [disposal._seal(force.archive, guess) for guess in guesses]
    assert len(bytes.fromhex(plan.mark)) == 16


@pytest.mark.parametrize("under", ["letter about N-2", "N-2", "N-2: see file", "(N-2)"])
def test_the_authority_does_not_repeat_the_id_for_good(force, under):
    wanted = [disposal.Request("nominal", "", "N-2")]
    said = {"on": PLANNED, "by": "planner", "reason": "mopi-review"}
    with pytest.raises(Malformed, match="disposal authority has an id in it") as refused:
        disposal.plan(force.archive, PARAMS, HARM, wanted, under=under, **said)
    assert "N-2" not in str(refused.value)
    assert disposal.plan(force.archive, PARAMS, HARM, wanted, under="order N-21, see IN-2 too", **said).lines


@pytest.mark.parametrize("name", ["case", "by", "under"])
def test_no_words_of_an_act_repeat_an_id_that_it_is_about(force, name):
    words = {"case": "24/0113", "by": "R. Keeper", "under": "APP"} | {name: "letter on n-2"}
    said = {"on": PLANNED, **words}
    scope = {"basis": DECIDED, "nominals": ["N-2"], "review_on": "2026-04-01"}
    size = force.archive.log.size
    with pytest.raises(Malformed, match="text of an act has an id in it that the act is about"):
        holding.place(force.archive, PARAMS, **scope, **said)
    del said["case"]
    if name != "case":
        with pytest.raises(Malformed, match="text of an act has an id in it that the act is about"):
            reviewing.retain(
                force.archive, PARAMS, reviewing.Subject("nominal", "", "N-2"), reason="serious-harm",
                next_review="2026-12-01", **said,
            )  # fmt: skip
        plan = force.plan("N-2", on=PLANNED)
        with pytest.raises(Malformed, match="text of an act has an id in it that the act is about"):
            disposal.carry_out(force.archive, plan, PARAMS, HARM, on=PLANNED, by="clerk of N-2", approved_by="S. Two")
        wanted = [disposal.Request("nominal", "", "N-2")]
        with pytest.raises(Malformed, match="disposal authority has an id in it"):
            disposal.plan(force.archive, PARAMS, HARM, wanted, reason="mopi-review", **said)
        assert force.archive.log.size == size
        hold = held(force, "N-2")
        with pytest.raises(Malformed, match="text of an act has an id in it that the act is about"):
            holding.release(force.archive, PARAMS, hold, reason="decided", **said)


@pytest.mark.parametrize(
    ("scope", "about", "near"),
    [
        ({"networks": ["SOC-2026-W07-001"]}, "N-2", "R-1"),
        ({"first_day": "2026-01-05", "last_day": "2026-01-05"}, "r-2", "N-2"),  # in whatever case
        ({"everything": True}, "R-3", "R-33"),
    ],
    ids=["network", "days", "everything"],
)
def test_no_words_of_a_hold_repeat_an_id_that_it_takes_in_without_naming_it(force, scope, about, near):
    """What a hold merely reaches (`near`), or does not know, is no reason to refuse it."""
    more = [record("R-4", "N-1", "N-2"), record("R-5", "N-2", "N-3"), record("R-6", "N-1", "N-3")]
    force.receive(*more, cut_off="2026-02-09T00:00:00Z", mode="delta")
    force.build("2026-02-09T00:00:00Z")  # the first with a network
    said = {"basis": DECIDED, "review_on": "2026-04-01", "on": PLANNED, "by": "R. Keeper", **scope}
    size = force.archive.log.size
    for words in ({"case": f"re {about}: theft", "under": "CPIA"}, {"case": "24/0113", "under": f"letter ({about})"}):
        with pytest.raises(Malformed, match="text of an act has an id in it that the act is about"):
            holding.place(force.archive, PARAMS, **said, **words)
    assert force.archive.log.size == size
    hold = holding.place(force.archive, PARAMS, **said, case=f"{near} and X{about}", under="CPIA 1996").id
    done = {"on": PLANNED, "by": "Another", "under": f"review of {about}"}
    with pytest.raises(Malformed, match="text of an act has an id in it that the act is about"):
        holding.progress(force.archive, PARAMS, hold, review_on="2026-04-02", **done)
    with pytest.raises(Malformed, match="text of an act has an id in it that the act is about"):
        holding.release(force.archive, PARAMS, hold, reason="decided", **done)
    holding.release(force.archive, PARAMS, hold, reason="decided", **done | {"under": "CPIA 1996"})


@given(st.text("aA-./ ßé9", max_size=9), st.text("aA-./ ßé9", min_size=1, max_size=4))
def test_an_id_is_found_among_the_words_of_a_text_where_it_is_one_of_them(text, id):
    assert (id.casefold() in holding._words(text)) == holding.is_word(id, text)


def test_the_vault_finds_names_by_words_however_they_are_written(tmp_path):
    held = vault.Vault.create(tmp_path / "vault", MasterKey(bytes(32)))
    nominals = vault.nominal_keys(pa.array(["N-1", "Straße 7", "n-2"]))
    tokens = held.admit(pa.concat_arrays([nominals, vault.record_keys(pa.array(["N-1"]), pa.array(["R/ 1"]))]))
    for words, wanted in (({"n-1"}, [0]), ({"strasse 7", "n-2"}, [1, 2]), ({"r/ 1"}, [3]), ({"n"}, []), (set(), [])):
        assert sorted(held.named(words).tolist()) == sorted(tokens[wanted].tolist())


def test_a_plan_says_that_words_logged_before_repeat_an_id(force):
    holding.place(
        force.archive, PARAMS, case="about n-2", basis=DECIDED, nominals=["N-3"], review_on="2026-04-01", on=PLANNED,
        by="R. Keeper", under="CPIA 1996",
    )  # fmt: skip
    words = "1 id asked for here stands in words that somebody logged"
    assert any(line.startswith(words) for line in force.plan("N-2", on=PLANNED).stays)
    assert not any("somebody logged" in line for line in force.plan("N-1", on=PLANNED).stays)


def test_by_a_clock_that_was_set_back_what_is_gone_is_recognised_as_long_as_ever(force):
    force.dispose("N-2", on="1980-01-01T00:00:00Z")  # as SOURCE_DATE_EPOCH is in some shells
    assert came_back(force) == 1


def test_a_clock_that_is_ahead_for_once_does_not_make_the_archive_forget_whom_it_forgot(force):
    force.dispose("N-2", on=PLANNED)
    ahead = record("R-8", "N-1", "N-3", recorded_at="2026-03-01T12:00:00Z")
    folder = force.folder / "ahead"
    write_extract(folder, [ahead], cut_off="2026-03-01T12:00:00Z", mode="delta")
    force.take(folder, on="2099-01-01T00:00:00Z")
    assert came_back(force) == 1


def test_by_a_clock_that_is_ahead_nobody_comes_back_in_the_same_extract(force):
    force.dispose("N-2", on=PLANNED)
    folder = force.folder / "ahead"
    back = record("R-9", "N-2", "N-3", recorded_at="2026-03-02T00:00:00Z")
    write_extract(folder, [back], cut_off="2026-03-02T00:00:00Z", mode="delta")
    assert force.take(folder, on="2099-01-01T00:00:00Z").returned == 1
    assert not force.archive.vault.tokens(vault.nominal_keys(pa.array(["N-2"]))).any()
    # Nor where the rows were read without asking.
    extract = extracts.read(folder, systems=SYSTEMS)
    with pytest.raises(Refused, match="brings back 1 nominals or records that were disposed of"):
        receiving.receive(
            force.archive, extract, on="2099-01-01T00:00:00Z", by="tests", under="a story", max_rejects_percent=1
        )


@pytest.mark.parametrize("is_held", [True, False])
def test_a_snapshot_kept_in_a_notebook_shows_nothing_that_another_process_took_away(force, is_held):
    reader = Archive(force.root, force.keys)
    kept = asof.as_of(reader, "2026-02-03")
    assert [(x["a"], x["b"]) for x in kept.links().to_pylist()] == [("N-1", "N-2"), ("N-1", "N-3"), ("N-2", "N-3")]
    assert kept.disposed["restricted"] == kept.disposed["disposed"] == 0
    if is_held:
        held(force, "N-2")
    force.dispose("N-2", on=PLANNED)
    with pytest.raises(Overtaken, match="ask again"):
        kept.links()
    for question in (kept.nominals, kept.links):
        content = asof.whole(question)
        assert "N-2" not in str(content.to_pylist())
    assert [(x["a"], x["b"]) for x in kept.links().to_pylist()] == [("N-1", "N-3")]
    assert kept.disposed["restricted" if is_held else "disposed"] > 0
    reader.close()


@pytest.mark.parametrize("place", ["root", "root/audit_reports", "keys", "link", "link/audit_reports", "root/../force"])
def test_a_plan_does_not_lie_where_git_and_backups_would_keep_the_names(force, place):
    (force.folder / "link").symlink_to(force.root)
    first, _, rest = place.partition("/")
    folder = {"root": force.root, "keys": force.keys, "link": force.folder / "link"}[first] / rest
    plan = force.plan("N-2", on=PLANNED)
    with pytest.raises(Malformed, match=r"^plan file plan\.yaml would lie in the .*: wanted a place outside"):
        disposal.write(force.archive, plan, folder / "plan.yaml")
    assert not (folder / "plan.yaml").exists()
    disposal.write(force.archive, plan, force.folder / "plan.yaml")


def test_a_plan_shows_a_turned_id_as_what_it_is(force):
    """Right-to-left marks would show the second person another id than the one that goes."""
    plan = force.plan("N-\u202e2", "N-2", on=PLANNED)
    disposal.write(force.archive, plan, force.folder / "plan.yaml")
    text = (force.folder / "plan.yaml").read_text()
    assert text.isascii()
    assert r"N-\u202E2" in text
    assert disposal.read(force.archive, force.folder / "plan.yaml") == plan


@pytest.mark.parametrize(
    "id", ["é" * 200, "- x: [y", "2026-03-01", "null", "a\tb", "a  b" * 50, "#", "'\"", "\u2028", "\ufeff"]
)
def test_a_plan_reads_back_whatever_an_id_looks_like(force, id):
    plan = force.plan(id, on=PLANNED)
    disposal.write(force.archive, plan, force.folder / "plan.yaml")
    assert disposal.read(force.archive, force.folder / "plan.yaml") == plan


def test_an_id_that_is_no_text_is_refused_without_a_word_of_it():
    with pytest.raises(Malformed, match=r"^disposal request: an id that is not text in UTF-8$"):
        disposal.Request("nominal", "", "N-\udcff")
