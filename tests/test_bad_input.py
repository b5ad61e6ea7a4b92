"""What cannot be right is refused, with what was found and what was wanted, and leaves every byte of the archive."""

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from provenance import verify
from provenance.entries import Failed, Received, Rejects
from provenance.errors import Conflict, Malformed, Missing, ProvenanceError, Refused
from tests.force import SYSTEMS, Force, record, write_extract

WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z", "2026-02-01T23:59:59Z"]
NOMINAL = {"nominal_id": "N-1", "name": "Secret Name", "born": "1990-01-31"}


def base() -> list[dict]:
    """What each extract of these tests has besides the one bad thing."""
    return [record("R-1", "N-1", "N-2"), record("R-2", "N-1", "N-2"), record("R-3", "N-2", "N-3:victim")]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file, and every folder as itself: a new empty folder is a change too."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else b"folder" for p in folder.rglob("*")}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A force with one week received and built; every refused extract is offered to this one."""
    force = Force(tmp_path_factory.mktemp("force"))
    force.receive(*base(), cut_off=WEEK[0], nominals=[NOMINAL])
    force.build(WEEK[0])
    yield force
    force.archive.close()


@pytest.fixture
def refused(published, tmp_path):
    """Offer an extract, see it refused, and see that nothing at all has changed; returns the message."""

    def offer(folder: Path, kind: type[ProvenanceError] = Malformed, **said) -> str:
        held, pairs = tree(published.root), published.pairs(WEEK[1])
        with pytest.raises(kind) as caught:
            published.take(folder, on=WEEK[1], **said)
        assert type(caught.value) is kind
        assert tree(published.root) == held
        for force in (published, published.reopened()):
            assert force.pairs(WEEK[1]) == pairs
            verify.insist(verify.verify(force.archive))
        assert tree(published.root) == held
        for secret in ("N-1", "R-1", "Secret Name", "Zaphod"):
            assert secret not in str(caught.value)
        return str(caught.value)

    return offer


def extract(folder: Path, *more: dict, **said) -> Path:
    return write_extract(folder / "week", [*base(), *more], **({"cut_off": WEEK[1]} | said))


def as_parquet(folder: Path, name: str) -> Path:
    """The same table in Parquet."""
    path = folder / f"{name}.csv"
    options = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(pa.csv.read_csv(path).column_names, pa.string()), strings_can_be_null=False
    )
    pq.write_table(pa.csv.read_csv(path, convert_options=options), folder / f"{name}.parquet")
    path.unlink()
    return folder / f"{name}.parquet"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


# ---- faults of a whole file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "column"), [("records", "kind"), ("records", "themes"), ("involvements", "role"), ("nominals", "born")]
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_missing_column(refused, tmp_path, name, column, form):
    folder = extract(tmp_path, nominals=[NOMINAL])
    path = as_parquet(folder, name) if form == "parquet" else folder / f"{name}.csv"
    if form == "parquet":
        pq.write_table(pq.read_table(path).drop_columns([column]), path)
    else:
        held = pa.csv.read_csv(path).drop_columns([column])
        pa.csv.write_csv(held, path)
    assert refused(folder) == f"a column is missing in {name}.{form}: wanted {column}"


def test_a_column_too_many(refused, tmp_path):
    folder = extract(tmp_path)
    edit(folder / "records.csv", "system,", "Zaphod,system,")
    message = refused(folder)
    assert message.startswith(
        "a column is not known in records.csv: found 1 (Aaaaaa), wanted only system, record_id, kind"
    )


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["records", "involvements"])
def test_a_torn_parquet_file(refused, tmp_path, name, keep):
    folder = extract(tmp_path)
    path = as_parquet(folder, name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    size = path.stat().st_size
    assert refused(folder) == f"a Parquet file is torn: {name}.parquet has {size} bytes, wanted a whole Parquet file"


def test_a_damaged_parquet_file(refused, tmp_path):
    folder = extract(tmp_path)
    path = as_parquet(folder, "records")
    table = pq.read_table(path)
    pq.write_table(
        table, path, write_page_checksum=True, compression="none", use_dictionary=False, write_statistics=False
    )
    data = path.read_bytes()
    at = data.index(b"CONNECT")
    path.write_bytes(data[:at] + b"K" + data[at + 1 :])
    assert refused(folder) == (
        "a Parquet file is damaged: records.parquet cannot be read to its end, wanted whole pages of UTF-8 text"
    )


def test_a_csv_file_that_ends_within_a_cell(refused, tmp_path):
    folder = extract(tmp_path, record("R-9", "N-9", conditions='"Ask first", then share'))
    path = folder / "records.csv"
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b", then share")])
    assert "records.csv" in refused(folder)


def test_a_file_that_is_not_there(refused, tmp_path):
    folder = extract(tmp_path)
    (folder / "involvements.csv").unlink()
    assert refused(folder) == "a file is missing in the extract: wanted involvements.csv or involvements.parquet"


def test_counts_that_differ_from_what_the_source_states(refused, tmp_path):
    """A file that lost its last line is a whole CSV file all the same."""
    folder = extract(tmp_path)
    lines = (folder / "records.csv").read_text().splitlines(keepends=True)
    (folder / "records.csv").write_text("".join(lines[:-1]))
    assert refused(folder) == "row counts differ in records.csv: found 2 of system CONNECT, extract.json states 3"


def test_an_unknown_system(refused, tmp_path):
    folder = write_extract(tmp_path / "week", [record("R-9", "N-9", system="ZAPHOD")], cut_off=WEEK[1])
    assert refused(folder) == (
        f"extract.json: a system is not known: found AAAAAA, wanted one of {', '.join(sorted(SYSTEMS))}"
    )


def test_a_bad_date_in_the_statement(refused, tmp_path):
    folder = extract(tmp_path, cut_off="2026-02-30")
    message = refused(folder)
    assert message.startswith("extract.json: cut_off is 9999-99-99")
    folder = extract(tmp_path / "b", watermark="2026-01-19T00:00:00Z")
    assert refused(folder) == (
        "extract.json, system CONNECT: watermark is 2026-01-19T00:00:00Z, "
        "wanted at most the cut_off 2026-01-18T23:59:59Z"
    )


# ---- faults of a row, too many of them -------------------------------------------------------------------------------

GRADED = {
    "kind": "intelligence",
    "grade_scheme": "3x5x2",
    "source_grade": "1",
    "assessment_grade": "A",
    "handling": "P",
}
KINDS = "crime, custody, intelligence, prison_release, missing"
ROLES = "suspect, offender, victim, witness, arrested, released, missing, associate, subject, other"
MOMENT = "YYYY-MM-DD or YYYY-MM-DDTHH:MM"

BAD_RECORDS = [
    ({"occurred_at": "2026-02-30"}, "occurred_at", "bad-date", "9999-99-99", MOMENT),
    ({"occurred_at": "05/01/2026"}, "occurred_at", "bad-date", "99/99/9999", MOMENT),
    ({"recorded_at": "yesterday"}, "recorded_at", "bad-date", "aaaaaaaaa", MOMENT),
    (
        {"recorded_at": "2026-01-19T00:00:00Z"},
        "recorded_at",
        "after-cut-off",
        "9999-99-99A99:99:99A",
        "a moment not after",
    ),
    (
        {"recorded_at": "2025-03-30T01:30"},
        "recorded_at",
        "no-such-time",
        "9999-99-99A99:99",
        "a time that London's clocks",
    ),
    (GRADED | {"source_grade": "E"}, "source_grade", "unknown-grade", "A", "one of 1, 2, 3"),
    (GRADED | {"assessment_grade": "5"}, "assessment_grade", "unknown-grade", "9", "one of A, B, C, D, E"),
    (GRADED | {"handling": "5"}, "handling", "unknown-handling", "9", "one of P, C"),
    (GRADED | {"grade_scheme": "4x4"}, "grade_scheme", "unknown-scheme", "9a9", "one of 3x5x2, 5x5x5"),
    ({"kind": "murder"}, "kind", "unknown-kind", "aaaaaa", f"one of {KINDS}"),
    ({"kind": "prison_release"}, "kind", "kind-not-of-system", "aaaaaa_aaaaaaa", "one of crime, custody, intelligence"),
    ({"themes": "SOC;DRUGS"}, "themes", "unknown-theme", "AAA;AAAAA", "SOC, CSE, CL, joined by ;"),
    ({"mopi_group": "5"}, "mopi_group", "unknown-mopi-group", "9", "one of 1, 2, 3, 4"),
]


@pytest.mark.parametrize(("cells", "column", "reason", "found", "wanted"), BAD_RECORDS)
def test_a_bad_cell_of_a_record_among_few(refused, tmp_path, cells, column, reason, found, wanted):
    """One of ten rows, and its involvement with it: more than the 5 % that params let through."""
    message = refused(extract(tmp_path, record("R-9", "N-9", **cells)))
    assert message.startswith("extract week has 2 rejected rows of 11: params let at most 5 % through. The first: ")
    assert "involvements.csv line 8, column record_id: record-rejected, found 'A-9', wanted a record" in message

    lonely = extract(tmp_path / "other", record("R-9", **cells))
    message = refused(lonely)
    named = f"records.csv line 5, column {column}: {reason}, found {found!r}, wanted {wanted}"
    assert message.startswith(
        f"extract week has 1 rejected rows of 10: params let at most 5 % through. The first: {named}"
    )


def test_an_unknown_role(refused, tmp_path):
    message = refused(extract(tmp_path, record("R-9", "N-9", "N-8:Zaphod")))
    assert message == (
        "extract week has 1 rejected rows of 12: params let at most 5 % through. The first: "
        f"involvements.csv line 9, column role: unknown-role, found 'Aaaaaa', wanted one of {ROLES}"
    )


def test_a_row_of_a_system_that_the_extract_does_not_state(refused, tmp_path):
    folder = extract(tmp_path)
    with open(folder / "records.csv", "a") as handle:
        handle.write("LEGACY,R-9,crime,2026-01-05,2026-01-05,,SOC,,,,,,,,,,\n")
    message = refused(folder)
    assert "records.csv line 5, column system: system-not-in-extract, found 'AAAAAA', wanted one of CONNECT" in message


def test_a_duplicate_record_with_another_content(refused, tmp_path):
    message = refused(extract(tmp_path, record("R-1", status="closed")))
    assert message.startswith("extract week has 4 rejected rows of 10: params let at most 5 % through. The first: ")
    assert "involvements.csv line 2, column record_id: record-rejected, found 'A-9'" in message
    alone = write_extract(
        tmp_path / "alone",
        [record("R-1"), record("R-1", status="closed"), record("R-1", status="gone")],
        cut_off=WEEK[1],
    )
    assert refused(alone) == (
        "extract alone has 3 rejected rows of 3: params let at most 5 % through. The first: "
        "records.csv line 2, column record_id: repeated-id, found 'A-9', wanted each id once, or the same row again"
    )


def test_a_duplicate_record_with_the_same_content_is_one_record(tmp_path):
    force = Force(tmp_path)
    folder = write_extract(tmp_path / "week", [record("R-1", "N-1", "N-2")] * 2, cut_off=WEEK[0])
    receipt = force.take(folder)
    assert (receipt.fresh["record"], receipt.fresh["involvement"], receipt.rejected) == (1, 2, 0)


def test_a_record_with_nobody_in_it(refused, tmp_path):
    assert refused(extract(tmp_path, record("R-9"))) == (
        "extract week has 1 rejected rows of 10: params let at most 5 % through. The first: "
        "records.csv line 5, column record_id: nobody-in-record, found 'A-9', wanted at least one accepted involvement"
    )


def test_a_refused_extract_of_many_new_people_leaves_the_vault_alone(refused, tmp_path):
    """Whoever is in a refused extract was never admitted: the vault would tell that they were in it."""
    many = [record(f"R-1{n:03}", f"N-1{n:03}", f"N-2{n:03}", status="open" if n % 3 else "a\tb") for n in range(50)]
    bad = [record(f"R-2{n:03}", f"N-3{n:03}", kind="murder") for n in range(20)]
    assert refused(extract(tmp_path, *many, *bad)).startswith("extract week has 40 rejected rows of ")


# ---- a few bad rows: the rest is received ----------------------------------------------------------------------------


def test_rejected_rows_within_the_allowed_percent_are_counted_by_reason_and_the_rest_is_received(tmp_path):
    force = Force(tmp_path)
    good = [record(f"G-{n:03}", "N-1", "N-2") for n in range(60)]
    bad = [
        record("B-1", kind="murder"),
        record("B-2", occurred_at="2026-02-30"),
        record("B-3", occurred_at="31-01-2026"),
        record("B-4", "N-1", "N-2:Zaphod", "N-3"),
        record("B-5"),
        record("B-6", "N-9", **GRADED | {"source_grade": "E"}),
    ]
    receipt = force.receive(*good, *bad, cut_off=WEEK[0])
    assert (receipt.number, receipt.again, receipt.rejected) == (1, False, 7)
    assert (receipt.fresh["record"], receipt.fresh["involvement"]) == (61, 122)
    *_, act = force.archive.log.acts()
    assert isinstance(act, Received)
    assert act.rejects == (
        Rejects(reason="bad-date", count=2),
        Rejects(reason="nobody-in-record", count=1),
        Rejects(reason="record-rejected", count=1),
        Rejects(reason="unknown-grade", count=1),
        Rejects(reason="unknown-kind", count=1),
        Rejects(reason="unknown-role", count=1),
    )
    (feed,) = act.systems  # what the source stated, the rejected among it
    assert (feed.system, feed.records, feed.involvements) == ("CONNECT", 66, 124)
    assert act.segment_size == 61 + 122
    force.build(WEEK[0])
    linked = force.pairs(WEEK[0])
    assert linked[("N-1", "N-2")] == [f"G-{n:03}" for n in range(60)]
    assert linked[("N-1", "N-3")] == ["B-4"]
    assert len(linked) == 2
    verify.insist(verify.verify(force.archive))
    force.archive.close()


def test_the_allowed_percent_is_of_all_rows_offered_and_inclusive(tmp_path):
    """Of 20 rows one is 5 %, which is let through; of 19 it is more."""
    rows = [record(f"R-{n}", "N-1") for n in range(9)]
    force = Force(tmp_path)
    nineteen = [*rows[1:], record("R-X", "N-1", "N-2:Zaphod")]
    at_most = write_extract(tmp_path / "a", [*nineteen, record("R-Y", "N-1")], cut_off=WEEK[0])
    extra = write_extract(tmp_path / "b", nineteen, cut_off=WEEK[0])
    before = tree(force.root)
    with pytest.raises(Malformed, match=r"^extract b has 1 rejected rows of 19: params let at most 5 % through"):
        force.take(extra)
    after = tree(force.root)
    assert {name: data for name, data in after.items() if name not in ("store", "store/.writer")} == before
    assert force.take(at_most).rejected == 1
    force.archive.close()


def test_ten_thousand_people_in_one_record_are_linked_to_no_one_and_counted(tmp_path):
    force = Force(tmp_path)
    crowd = record("R-CROWD", *(f"P-{n:05}" for n in range(10_000)), "N-1")
    receipt = force.receive(*base(), crowd, cut_off=WEEK[0])
    assert receipt.fresh["involvement"] == 10_007
    made = force.build(WEEK[0])
    assert made.links.left_out.to_pylist() == [
        {"reason": "over-cap", "system": "CONNECT", "kind": "crime", "records": 1, "people": 10_001}
    ]
    assert force.pairs(WEEK[0]) == {("N-1", "N-2"): ["R-1", "R-2"], ("N-2", "N-3"): ["R-3"]}
    people = force.as_of(WEEK[0]).nominals()
    assert people.num_rows == 10_003
    figures = {row["nominal"]: (row["records"], row["links"]) for row in people.to_pylist()}
    assert (figures["P-00000"], figures["P-09999"], figures["N-1"]) == ((1, 0), (1, 0), (3, 1))
    verify.insist(verify.verify(force.archive))
    force.archive.close()


# ---- extracts out of order -------------------------------------------------------------------------------------------


def test_a_delta_of_a_system_that_was_never_received(refused, tmp_path):
    rows = [record("I-1", "N-9", system="LEGACY"), record("R-9", "N-9")]
    folder = write_extract(tmp_path / "week", rows, cut_off=WEEK[1], mode="delta")
    assert refused(folder, Conflict) == (
        "delta extract week stands on nothing: system LEGACY was never received; wanted a full extract first"
    )


def test_a_delta_upon_an_empty_archive(tmp_path):
    force = Force(tmp_path)
    before = tree(force.root)
    with pytest.raises(
        Conflict, match=r"^delta extract extract-1 stands on nothing: system CONNECT was never received"
    ):
        force.receive(*base(), cut_off=WEEK[0], mode="delta")
    assert {name: data for name, data in tree(force.root).items() if name not in ("store", "store/.writer")} == before
    assert not force.archive.history.extracts
    force.archive.close()


def test_a_delta_upon_a_week_that_was_never_received(refused, tmp_path):
    folder = extract(tmp_path, record("R-9", "N-9"), cut_off=WEEK[2], mode="delta", since=WEEK[1])
    assert refused(folder, Conflict) == (
        f"delta extract week stands on {WEEK[1]}, which was never received: CONNECT was last received up to {WEEK[0]}"
    )


def test_a_delta_upon_the_week_that_was_received_is_taken(tmp_path):
    force = Force(tmp_path)
    force.receive(*base(), cut_off=WEEK[0])
    assert force.receive(record("R-9", "N-9"), cut_off=WEEK[1], mode="delta", since=WEEK[0]).fresh["record"] == 1
    with pytest.raises(Conflict, match=f"stands on {WEEK[0]}, which was never received: CONNECT was last .* {WEEK[1]}"):
        force.receive(record("R-10", "N-9"), cut_off=WEEK[2], mode="delta", since=WEEK[0])
    force.archive.close()


@pytest.mark.parametrize("mode", ["full", "delta"])
def test_an_extract_whose_cut_off_runs_backwards(refused, tmp_path, mode):
    folder = extract(tmp_path, record("R-9", "N-9"), cut_off="2026-01-10T00:00:00Z", mode=mode)
    assert refused(folder, Conflict) == (
        "extract week runs backwards: its cut-off is 2026-01-10T00:00:00Z, "
        "CONNECT was last received up to 2026-01-11T23:59:59Z"
    )


def test_a_build_that_runs_backwards(published):
    held = tree(published.root)
    for cut_off in (WEEK[0], "2026-01-02T00:00:00Z"):
        with pytest.raises(
            Conflict, match=f"^build with cut-off {cut_off} would run backwards: build 2026-W02 .* {WEEK[0]}$"
        ):
            published.build(cut_off)
    assert tree(published.root) == held


def test_the_same_extract_twice_is_received_once(published, tmp_path):
    """Also when its rows come in another order, as Parquet, or under another folder's name."""
    held = tree(published.root)
    again = write_extract(tmp_path / "again", reversed(base()), cut_off=WEEK[0], nominals=[NOMINAL])
    for turn in range(2):
        receipt = published.take(again, on=WEEK[1])
        assert (receipt.number, receipt.again, dict(receipt.fresh), dict(receipt.replaced)) == (1, True, {}, {})
        assert tree(published.root) == held
        if not turn:
            as_parquet(again, "records")
    published.reopened()
    assert published.take(again, on=WEEK[1]).again


def test_an_extract_that_states_another_watermark_is_not_the_same(tmp_path):
    """The rows are those of before; that the source is complete up to a later moment is news."""
    force = Force(tmp_path)
    force.receive(*base(), cut_off=WEEK[0], watermark="2026-01-01T00:00:00Z")
    receipt = force.receive(*base(), cut_off=WEEK[0], watermark=WEEK[0])
    assert (receipt.number, receipt.again, receipt.fresh["record"]) == (2, False, 0)
    assert [feed.watermark for feed in force.archive.history.extracts[-1].systems] == [WEEK[0]]
    force.archive.close()


# ---- builds that do not come about -----------------------------------------------------------------------------------


def test_a_blocked_build_leaves_only_its_failure_in_the_log(tmp_path):
    force = Force(tmp_path)
    force.receive(*base(), cut_off=WEEK[0])
    force.build(WEEK[0])
    force.receive(record("R-9", "N-8", "N-9"), cut_off=WEEK[3], mode="delta", watermark="2026-01-12T00:00:00Z")
    held = tree(force.root)
    with pytest.raises(Refused) as caught:
        force.build(WEEK[3])
    assert str(caught.value) == (
        "build 2026-W05 is blocked until a person confirms: CONNECT is complete only up to 2026-01-12T00:00:00Z, "
        "20 days before the cut-off; params allow 14"
    )
    unchanged(force, held, "refused")
    assert force.as_of(WEEK[3]).label == "2026-W02"


def test_a_build_that_would_go_live_before_the_last_one_leaves_only_its_failure_in_the_log(tmp_path):
    """This is found out when its rows are written already: they are removed again."""
    force = Force(tmp_path)
    force.receive(*base(), cut_off=WEEK[0])
    force.build(WEEK[0], published_at=WEEK[2])
    force.receive(record("R-9", "N-8", "N-9"), cut_off=WEEK[1], mode="delta")
    held = tree(force.root)
    with pytest.raises(Conflict) as caught:
        force.build(WEEK[1])
    assert str(caught.value) == (f"build 2026-W03 would go live at {WEEK[1]}: build 2026-W02 went live at {WEEK[2]}")
    unchanged(force, held, "conflict")
    force.build(WEEK[1], published_at=WEEK[3])
    assert set(force.pairs(WEEK[3])) == {("N-1", "N-2"), ("N-2", "N-3"), ("N-8", "N-9")}
    verify.insist(verify.verify(force.archive))


def unchanged(force: Force, held: dict[str, bytes], reason: str) -> None:
    """Nothing is different but the log, which has one entry more, and what is derived from it."""
    *_, last = force.archive.log.acts()
    assert isinstance(last, Failed)
    assert last.reason == reason
    now = tree(force.root)
    assert {n: d for n, d in now.items() if n.split("/")[0] not in ("log", "index")} == {
        n: d for n, d in held.items() if n.split("/")[0] not in ("log", "index")
    }
    assert not [name for name in now if name.endswith(".tallies")]
    verify.insist(verify.verify(force.reopened().archive))


# ---- an archive that is not as it was --------------------------------------------------------------------------------


def test_an_archive_that_was_damaged_says_which_file(published, tmp_path):
    """One byte of each file, flipped; opening names some of them at once, `verify` names every one."""
    root, keys = tmp_path / "force", published.keys
    shutil.copytree(published.root, root)
    force = object.__new__(Force)
    force.folder, force.root, force.keys, force._extracts = tmp_path, root, keys, 0
    for name, data in tree(root).items():
        if data == b"folder" or not data or name.startswith("index/"):  # what is derived has tests of its own
            continue
        for at in sorted({0, len(data) // 3, len(data) // 2, len(data) - 1}):
            (root / name).write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
            said = damage(force)
            assert named(name) in said, (name, at, said)
        (root / name).write_bytes(data)
    assert damage(force) == ""


def named(name: str) -> str:
    """How messages call a file: a statement by its build, all others by their path."""
    return name if not re.match("builds/[^/]*$", name) else "2026-W02"


def damage(force: Force) -> str:
    """All that opening and verifying say against an archive."""
    from provenance.archive import Archive

    try:
        with Archive(force.root, force.keys) as archive:
            return "; ".join(fault for step in verify.verify(archive) for fault in step.faults)
    except ProvenanceError as error:
        return str(error)


def test_an_archive_with_another_master_key_or_without_one_says_so(published, tmp_path):
    from provenance.archive import Archive

    keys = tmp_path / "keys"
    shutil.copytree(published.keys, keys)
    (keys / "master").write_bytes(bytes(32))
    with pytest.raises(ProvenanceError, match=r"^the vault's keyring does not open: the master key is another one"):
        Archive(published.root, keys)
    (keys / "master").unlink()
    with pytest.raises(Missing, match=r"^key file master is not there: wanted it in keys$"):
        Archive(published.root, keys)


def test_an_extract_statement_with_a_key_twice_is_no_statement(refused, tmp_path):
    folder = extract(tmp_path)
    said = json.loads((folder / "extract.json").read_text())
    text = json.dumps(said)[:-1] + ', "mode": "full"}'
    (folder / "extract.json").write_text(text)
    assert refused(folder) == (
        "extract.json is not JSON: the fault is in the text, wanted UTF-8 text and each key once"
    )
