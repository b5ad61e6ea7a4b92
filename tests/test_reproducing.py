"""A past build made again: the same, or exactly where it is not."""

from __future__ import annotations

import shutil

import pytest
from force import HARM, PARAMS, Force, record

from provenance import builds, entries, linking, reproducing
from provenance.errors import Missing
from provenance.reproducing import BUT_FOR_DISPOSALS, DIFFERS, SAME, Here, Reproduction

HERE = Here("0" * 40, "1" * 64, "2" * 64)  # as `force.surroundings` states them
WEEKS = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z", "2026-02-01T23:59:59Z")


def weighing(points: int):
    """PARAMS with another weight of a crime."""
    links = PARAMS.links.model_copy(update={"kind_points": PARAMS.links.kind_points | {"crime": points}})
    return PARAMS.model_copy(update={"links": links})


def crowd(record_id: str, count: int, **cells: str):
    return record(record_id, *(f"C-{n}" for n in range(count)), **cells)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The folder in which the story was told once."""
    folder = tmp_path_factory.mktemp("story")
    tell(folder).archive.close()
    return folder


@pytest.fixture
def force(told, tmp_path) -> Force:
    """A copy of it."""
    shutil.copytree(told, tmp_path / "copy")
    return Force.of(tmp_path / "copy")


def tell(tmp_path) -> Force:
    """Four weeks: a network that grows, people who merge, a record that is regraded, one that goes, one too crowded."""
    force = Force(tmp_path)
    first = [
        record("R-1", "N-1", "N-2"),
        record("R-2", "N-1", "N-2", "N-3:victim"),
        record("R-3", "N-4", "N-5", themes="SOC;CSE"),
        record("R-4", "N-4", "N-5:witness"),
        record("I-1", "N-2:subject", "N-6:associate", kind="intelligence", grade_scheme="3x5x2", source_grade="1",
               assessment_grade="A", handling="P"),
        crowd("R-9", PARAMS.links.people_per_record + 1),
    ]  # fmt: skip
    force.receive(*first, cut_off=WEEKS[0])
    force.build(WEEKS[0])
    second = [*first, record("R-5", "N-3", "N-6", "N-7"), record("R-6", "N-7", "N-8"), record("R-7", "N-8", "N-7")]
    force.receive(*second, cut_off=WEEKS[1])
    force.build(WEEKS[1])
    third = [r if r["record_id"] != "I-1" else r | {"source_grade": "2", "assessment_grade": "B"} for r in second]
    merge = {"from_nominal": "N-8", "into_nominal": "N-2", "evidence": "prints", "by": "bureau", "at": WEEKS[1]}
    force.receive(*third, cut_off=WEEKS[2], merges=[merge])
    force.build(WEEKS[2])
    force.receive(*(r for r in third if r["record_id"] != "R-1"), cut_off=WEEKS[3], merges=[merge])
    force.build(WEEKS[3])
    return force


def made_again(force: Force) -> list[Reproduction]:
    return [reproducing.reproduce(force.archive, built.label, HERE) for built in force.archive.history.builds]


def test_every_build_comes_out_the_same_and_its_roots_with_it(force):
    found = made_again(force)
    assert [one.verdict for one in found] == [SAME] * 4
    for built, one in zip(force.archive.history.builds, found, strict=True):
        assert [(c.table, c.rows, c.root) for c in sorted(one.counts, key=lambda c: c.table)] == [
            (t.name, t.size, t.root) for t in built.tables
        ]
        assert all(c.same == c.rows and not c.differing for c in one.counts), one.counts
        assert (one.first, one.other, one.renamed) == (None, (), 0)
    assert [one.verdict for one in made_again(force.reopened())] == [SAME] * 4  # with nothing in memory


def test_nothing_is_written_and_nobody_admitted(force):
    before = {path: path.read_bytes() for path in sorted(force.root.rglob("*")) if path.is_file()}
    made_again(force)
    after = {path: path.read_bytes() for path in sorted(force.root.rglob("*")) if path.is_file()}
    assert after == before


def test_a_weight_that_was_one_point_off_is_found_with_the_first_link_and_its_field(tmp_path, monkeypatch):
    force = Force(tmp_path)
    force.receive(record("R-1", "N-1", "N-2"), record("R-2", "N-3", "N-4"), cut_off=WEEKS[0])
    real, other = linking.link, weighing(PARAMS.links.kind_points["crime"] + 1)
    monkeypatch.setattr(builds.linking, "link", lambda archive, coming, _, table: real(archive, coming, other, table))
    force.build(WEEKS[0])
    one = reproducing.reproduce(force.archive, "2026-W02", HERE)
    assert one.verdict == DIFFERS
    index = force.archive.index("link")
    leaf = min(index.leaf[at].tobytes().hex() for at in index.standing(1))
    assert (one.first.table, one.first.leaf, one.first.field) == ("link", leaf, "strength")
    assert [len(token) for token in one.first.tokens] == [16, 16]
    counts = {c.table: c for c in one.counts}
    assert (counts["record"].same, counts["record"].differing) == (2, 0)
    assert (counts["link"].same, counts["link"].differing) == (0, 4)  # two that are not made, two made instead


def test_a_source_row_that_the_build_should_not_have_taken_is_found(tmp_path, monkeypatch):
    force = Force(tmp_path)
    late = record("R-2", "N-3", "N-4", recorded_at="2026-01-15T12:00:00Z")
    force.receive(record("R-1", "N-1", "N-2"), late, cut_off=WEEKS[1])
    monkeypatch.setattr("provenance.selection._seconds", lambda _: 2**40)  # whatever was recorded, and when
    force.build(WEEKS[0])
    monkeypatch.undo()
    one = reproducing.reproduce(force.archive, "2026-W02", HERE)
    assert (one.verdict, one.first.table, one.first.what) == (
        DIFFERS, "record", "the build has it, and its cut-off does not take it",
    )  # fmt: skip


def test_other_code_and_other_packages_than_stated_are_named(force):
    one = reproducing.reproduce(force.archive, "2026-W02", Here("", "1" * 64, "3" * 64))
    assert (one.verdict, one.other) == (SAME, ("environment",))
    two = reproducing.reproduce(force.archive, "2026-W02", Here("", "4" * 64, "2" * 64))
    assert (two.verdict, two.other) == (SAME, ("code",))


def test_a_build_that_is_not_there_is_missing(force):
    with pytest.raises(Missing, match="build 2030-W01 is not in this archive: it has 2026-W02 to 2026-W05"):
        reproducing.reproduce(force.archive, "2030-W01", HERE)


@pytest.mark.parametrize("subject", ["N-1", "N-2", "N-3", "N-4", "N-7", "N-8", "C-0", "CONNECT R-1", "CONNECT R-2",
                                     "CONNECT R-5", "CONNECT R-9", "CONNECT I-1"])  # fmt: skip
def test_after_a_disposal_every_build_comes_out_but_for_what_is_lost(force, subject):
    force.dispose(subject, on="2026-02-03T09:00:00Z")
    for one in made_again(force):
        assert one.first is None, (one.first, one.counts)
        assert one.verdict in (SAME, BUT_FOR_DISPOSALS)
        for c in one.counts:
            assert (c.rows, c.differing) == (c.same + c.disposed + c.reduced + c.marked, 0), c
    assert one.verdict == (SAME if subject == "CONNECT R-1" else BUT_FOR_DISPOSALS)  # R-1 was gone by then


def test_what_a_disposal_leaves_of_a_link_is_made_again_as_it_stands_now(force):
    force.dispose("CONNECT R-1", on="2026-02-03T09:00:00Z")
    counts = {c.table: c for c in reproducing.reproduce(force.archive, "2026-W02", HERE).counts}
    assert (counts["record"].disposed, counts["involvement"].disposed) == (1, 2)
    assert (counts["link"].reduced, counts["link"].disposed) == (1, 0)  # N-1 and N-2, by R-2 alone
    assert (counts["nominal"].marked, counts["network"].marked) == (2, 1)


def test_builds_after_a_disposal_and_before_the_next_come_out_too(force):
    force.dispose("N-3", on="2026-02-03T09:00:00Z")
    force.receive(record("R-20", "N-1", "N-6"), mode="delta", since=WEEKS[3], cut_off="2026-02-08T23:59:59Z")
    force.build("2026-02-08T23:59:59Z")
    assert made_again(force)[-1].verdict == SAME
    force.dispose("CONNECT R-20", on="2026-02-10T09:00:00Z")
    assert [one.first for one in made_again(force)] == [None] * 5


def test_a_row_that_changed_for_no_disposal_is_a_failure_even_after_one(tmp_path, monkeypatch):
    force = Force(tmp_path)
    force.receive(record("R-1", "N-1", "N-2"), record("R-2", "N-3", "N-4"), cut_off=WEEKS[0])
    real, other = linking.link, weighing(PARAMS.links.kind_points["crime"] + 1)
    monkeypatch.setattr(builds.linking, "link", lambda archive, coming, _, table: real(archive, coming, other, table))
    force.build(WEEKS[0])
    force.dispose("N-1", on="2026-02-03T09:00:00Z")
    one = reproducing.reproduce(force.archive, "2026-W02", HERE)
    assert (one.verdict, one.first.table, one.first.field) == (DIFFERS, "link", "strength")


def test_the_verdict_is_an_act_with_its_counts(force):
    force.dispose("N-4", on="2026-02-03T09:00:00Z")
    one = reproducing.reproduce(force.archive, "2026-W03", HERE)
    who = {"on": "2026-02-04T09:00:00Z", "by": "ana", "under": "a question of the panel"}
    force.archive.append(reproducing.act(one.as_json(), **who))
    (act,) = force.archive.acts(["Reproduced"])
    assert act == entries.Reproduced(
        **who, label="2026-W03",
        verdict=BUT_FOR_DISPOSALS, same=sum(c.same for c in one.counts),
        lost=sum(c.rows - c.same for c in one.counts), differing=0, code="0" * 40, package="1" * 64,
        environment="2" * 64,
    )  # fmt: skip
    assert HARM.edition in force.archive.stated(force.archive.history.build("2026-W03")).harm_tables[0].name
