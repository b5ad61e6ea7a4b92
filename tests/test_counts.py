"""What a certificate's counts tell to somebody who tries every candidate on them (R33, R36); see decision 0009.

With a list of all ids: nothing, since the numbers are the same whoever of them it was. With all contents in the clear
too: whose disposal would come to these counts, which may be one person alone. That is why counts say nothing that the
sealed files do not say to whoever counts their blank rows; a certificate without them would hide nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from force import Force, record

from provenance import certificates, disposal, entries

WEEK, DAY = "2026-01-11T23:59:59Z", "2026-01-12T09:00:00Z"
PEOPLE = [f"N-{n}" for n in range(1, 9)]
# N-1 stands in three records, as nobody else does; the others in one each.
CRIMES = (("N-1", "N-2"), ("N-1", "N-3"), ("N-1", "N-4"), ("N-5", "N-6"), ("N-7", "N-8"))
RANDOM = {"disposal", "holes", "heirs", "files"}  # fields of a certificate that are drawn, or digests under what is


def told(folder: Path, names: Mapping[str, str]) -> Force:
    """One week in which everybody has another name."""
    force = Force(folder)
    rows = [record(f"R-{n}", *(names[person] for person in pair)) for n, pair in enumerate(CRIMES)]
    force.receive(*rows, cut_off=WEEK, nominals=[{"nominal_id": name} for name in names.values()])
    force.build(WEEK)
    return force


def certified(force: Force, person: str) -> certificates.Certificate:
    return disposal.certificate(force.archive, force.dispose(person, on=DAY)[0].certificate_id)


def counted(certificate: certificates.Certificate) -> dict[str, int]:
    return {count.table: count.rows for count in certificate.died}


@pytest.mark.parametrize("seed", range(3))
def test_who_has_the_list_of_all_ids_alone_learns_nothing_from_the_numbers(tmp_path, seed):
    """The same force with other names, longer and shorter, in another order: the same certificate, number by number."""
    mixed = random.Random(seed).sample([f"{'X' * n}-{n}" for n in range(1, 9)], 8)
    said: list[dict[str, Any]] = []
    for folder, names in (
        ("one", dict(zip(PEOPLE, PEOPLE, strict=True))),
        ("other", dict(zip(PEOPLE, mixed, strict=True))),
    ):
        force = told(tmp_path / folder, names)
        content = entries.as_json(certified(force, names["N-1"]))
        said.append({name: value for name, value in content.items() if name not in RANDOM})
        said[-1]["files"] = [file["path"] for file in content["files"]]
        force.archive.close()
    assert said[0] == said[1]
    assert said[0]["died"]


@pytest.mark.parametrize(("person", "alike"), [("N-1", ["N-1"]), ("N-7", PEOPLE[1:])])
def test_who_has_all_contents_too_finds_those_whose_disposal_comes_to_these_counts(tmp_path, person, alike):
    """Known and kept (0009): one person with counts of her own is found by them, one of seven alike is not."""
    force = told(tmp_path, dict(zip(PEOPLE, PEOPLE, strict=True)))
    tried = {guess: force.plan(guess, on=DAY).effects["rows that go"] for guess in PEOPLE}
    found = counted(certified(force, person))
    assert [guess for guess, rows in tried.items() if rows == found] == alike
    force.archive.close()


def test_the_counts_are_in_the_sealed_files_for_whoever_counts_the_blank_rows(tmp_path):
    """Without a key, a vault or a log: so a certificate that hid them would hide nothing, and could not be checked."""
    force = told(tmp_path, dict(zip(PEOPLE, PEOPLE, strict=True)))

    def blank() -> Counter[str]:
        found: Counter[str] = Counter()
        for path in (force.root / "store").rglob("*.parquet"):
            held = pq.read_table(path)
            if "box" in held.column_names:
                found[path.name.split(".")[-2]] += sum(size == 0 for size in held["size"].to_pylist())
        return +found

    assert not blank()
    certificate = certified(force, "N-1")
    assert dict(blank()) == counted(certificate)
    assert sum(blank().values()) > certificate.nominals
    force.archive.close()
