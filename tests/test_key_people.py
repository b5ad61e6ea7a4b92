"""Who is listed as a key person: the same people in each archive of the same records, and nobody for a figure of 0."""

from __future__ import annotations

import pytest
from force import Force, record

from provenance import standings, vault

CUT = "2026-01-11T23:00:00Z"
PEOPLE = [f"ZN-{n:02d}" for n in range(28)]
pytestmark = pytest.mark.usefixtures("_few_rows")


def listed(folder, *rows) -> set[str]:
    force = Force(folder)
    force.receive(*rows, cut_off=CUT)
    force.build(CUT)
    snapshot = force.as_of(CUT)
    at = standings.key_people(snapshot, standings.shown(snapshot, "nominal", "SOC"))
    keys = force.archive.vault.keys(force.archive.index("nominal").a[at])
    force.archive.close()
    return set(vault.nominal_ids(keys).to_pylist())


def test_where_all_tie_two_archives_of_the_same_records_list_the_same_people(tmp_path):
    """Tokens are drawn by each archive; whoever was recorded first has no advantage either."""
    pairs = [record(f"RC-{n}", *PEOPLE[2 * n : 2 * n + 2]) for n in range(14)]
    found = [listed(tmp_path / name, *pairs) for name in ("one", "other")]
    assert found[0] == found[1]
    assert len(found[0]) == standings.KEY
    assert found[0] != set(PEOPLE[: standings.KEY])


def test_who_ties_by_one_figure_is_ranked_by_the_others(tmp_path):
    """Everybody has two links; by strength the ring of crimes comes first, whoever its people are."""
    rows = [record(f"RC-{n}", PEOPLE[n], PEOPLE[(n + 1) % 10]) for n in range(10)]
    weak = {"kind": "missing", "system": "COMPACT", "offence_code": ""}
    rows += [record(f"RM-{n}", PEOPLE[10 + n], PEOPLE[10 + (n + 1) % 18], **weak) for n in range(18)]
    assert listed(tmp_path, *rows) == set(PEOPLE[:10])


def test_nobody_is_listed_for_having_none(tmp_path):
    """Three people have a crime with harm; the others' crimes have none, and more links and records."""
    harmful = [record("RH-1", "ZN-H1", "ZN-H2"), record("RH-2", "ZN-H2", "ZN-H3")]
    harmless = [record(f"RC-{n}-{m}", PEOPLE[n], PEOPLE[m], offence_code="") for n in range(12) for m in range(n)]
    found = listed(tmp_path, *harmful, *harmless)
    assert {"ZN-H1", "ZN-H2", "ZN-H3"} <= found
    assert len(found) == standings.KEY + 3  # ten by their links, and by harm those three and no more
