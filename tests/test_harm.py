"""A harm table is whole days per code, pinned, or it is refused with the line at fault."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from provenance import harm
from provenance.errors import Malformed, Missing, Tampered

HEAD = "offence_code,offence,days,expired\n"
ILLUSTRATIVE = Path(__file__).parent.parent / "harm" / "illustrative.csv"


def table(tmp_path: Path, rows: str, head: str = HEAD) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(head + rows, "utf-8")
    return path


def test_a_table_is_read_in_the_order_of_its_codes(tmp_path):
    path = table(tmp_path, '49,"Theft, other",3,\n19C,Rape,2400,\n62,Old offence,9,yes\n')
    read = harm.read(path, "trial")
    assert read.rows.to_pylist() == [
        {"offence_code": "19C", "offence": "Rape", "weight": 2400, "expired": False},
        {"offence_code": "49", "offence": "Theft, other", "weight": 3, "expired": False},
        {"offence_code": "62", "offence": "Old offence", "weight": 9, "expired": True},
    ]
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert harm.read(path, "trial", read.sha256) == read


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("49,Theft,3.5,\n", "days are not whole days from 0 to 36525: t.csv, line 2: found '3.5'"),
        ("49,Theft,3.0,\n", "found '3.0'"),
        ("49,Theft,-3,\n", "found '-3'"),
        ("49,Theft,,\n", "found ''"),
        ("49,Theft,1e3,\n", "found '1e3'"),
        ("49,Theft,٣,\n", "found '٣'"),
        ("49,Theft,007,\n", "found '007'"),
        ("49,Theft,36526,\n", "found '36526'"),
        ("49,Theft,3,\n45,Theft,4,\n49,Theft,3,\n", "code stands twice: t.csv, line 4: found 49"),
        (",Theft,3,\n", "code is empty or padded: t.csv, line 2"),
        (" 49,Theft,3,\n", "code is empty or padded: t.csv, line 2: found ' 49'"),
        ("49,Theft,3,perhaps\n", "expired is yes or empty: t.csv, line 2: found 'perhaps'"),
        ("49,Theft,3\n", "row is torn: t.csv, line 2: found 3 cells, wanted 4"),
        ("49,Theft, home,3,\n", "row is torn: t.csv, line 2: found 5 cells, wanted 4"),
        ('49,"Theft,3,\n', "is not CSV in UTF-8: t.csv"),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, says):
    with pytest.raises(Malformed) as caught:
        harm.read(table(tmp_path, rows), "trial")
    assert str(caught.value).startswith("harm table ")
    assert says in str(caught.value)


def test_a_whole_file_fault_is_named(tmp_path):
    with pytest.raises(Malformed, match="found code, days, wanted offence_code, offence, days, expired"):
        harm.read(table(tmp_path, "", "code,days\n"), "trial")
    with pytest.raises(Malformed, match="an empty file"):
        harm.read(table(tmp_path, "", ""), "trial")
    with pytest.raises(Missing, match=r"edition trial, wanted absent.csv"):
        harm.read(tmp_path / "absent.csv", "trial")


def test_another_file_than_the_pinned_one_is_refused(tmp_path):
    path = table(tmp_path, "49,Theft,3,\n")
    pinned = harm.read(path, "trial").sha256
    path.write_text(HEAD + "49,Theft,4,\n")
    with pytest.raises(Tampered, match=f"edition trial, t.csv is [0-9a-f]+, pinned {pinned}"):
        harm.read(path, "trial", pinned)


def test_a_table_without_rows_prices_nothing(tmp_path):
    assert harm.read(table(tmp_path, ""), "trial").rows.num_rows == 0


def test_the_illustrative_table_covers_the_sample_force():
    codes = harm.read(ILLUSTRATIVE, "illustrative").rows["offence_code"].to_pylist()
    offences = "1 2 5D 8N 10A 17A 19C 22B 28A 34B 36 45 46 48 49 56A 58D 66 70 92A 92D 106"
    assert sorted(codes) == sorted(offences.split())
