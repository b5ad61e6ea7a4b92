"""Twenty readers ask while a build is committed and a disposal is carried out: none fails, none sees half.

Each has the archive open for itself, as the processes of a dashboard have. What they may see is worked out before: the
state before the disposal or the one after it, of each build; and of the newest, the build before or the new one.
"""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from force import Force, record

import provenance
from provenance import asof
from provenance.errors import Missing, ProvenanceError
from provenance.vault import Vault

READERS = 20
WEEK = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z")
PEOPLE = [f"N-{n:02}" for n in range(12)]
GONE, STAYS = "N-03", ("N-02", "N-04", "N-05")


def told(folder: Path) -> Force:
    """Two weeks of a small force, and the extract of a third."""
    force = Force(folder)
    for week, cut_off in enumerate(WEEK):
        rows = [
            record(f"R-{week}-{n}", PEOPLE[n], PEOPLE[(n + 1 + week) % len(PEOPLE)], recorded_at=cut_off)
            for n in range(len(PEOPLE))
        ]
        force.receive(*rows, cut_off=cut_off, mode="delta" if week else "full")
        if week < 2:
            force.build(cut_off)
    return force


def answer(archive: provenance.Archive, when: str, nominal: str) -> str:
    """All that is said of one person at a moment, as text; or that nobody of that id is shown."""

    def ask() -> str:
        try:
            said: dict[str, Any] = archive.as_of(when).answer(nominal=nominal)
        except Missing:
            return "nobody"
        assert said["verified"]
        said.pop("published_to")  # of the last build, until another takes its place
        return json.dumps(said, sort_keys=True)

    return asof.whole(ask)


def answers(archive: provenance.Archive) -> dict[tuple[str, str], str]:
    return {(when, nominal): answer(archive, when, nominal) for when in WEEK for nominal in (GONE, *STAYS)}


@pytest.fixture
def force(tmp_path: Path) -> Force:
    made = told(tmp_path)
    yield made
    made.archive.close()


def test_twenty_readers_while_a_build_and_a_disposal_go_on(force, tmp_path):
    allowed: dict[tuple[str, str], set[str]] = {}

    def remember(home: Path) -> None:
        with provenance.open(home) as archive:
            for asked, said in answers(archive).items():
                allowed.setdefault(asked, set()).add(said)

    remember(force.root)
    rehearsal = tmp_path / "rehearsal"
    shutil.copytree(force.root, rehearsal / "force")
    shutil.copytree(force.keys, rehearsal / "force.keys")
    twin = object.__new__(Force)
    twin.folder, twin.root, twin.keys, twin._extracts = rehearsal, rehearsal / "force", rehearsal / "force.keys", 3
    twin.archive = type(force.archive)(twin.root, twin.keys)
    twin.build(WEEK[2])
    remember(twin.root)
    twin.dispose(GONE, on=WEEK[2])
    remember(twin.root)
    twin.archive.close()

    over, wrong, asked_in_all = threading.Event(), [], []

    def read(number: int) -> None:
        try:
            with provenance.open(force.root) as archive:
                turns = 0
                while not over.is_set() or turns < 2:
                    for place, (asked, fit) in enumerate(allowed.items()):
                        if (place + number) % 3 == turns % 3 and (said := answer(archive, *asked)) not in fit:
                            wrong.append((asked, said[:300]))
                    turns += 1
                asked_in_all.append(turns)
                for asked in allowed:
                    if asked[1] == GONE and (said := answer(archive, *asked)) != "nobody":
                        wrong.append((asked, said[:300]))
        except (ProvenanceError, AssertionError, OSError) as error:
            wrong.append((number, repr(error)))

    readers = [threading.Thread(target=read, args=(number,)) for number in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        force.build(WEEK[2])
        force.dispose(GONE, on=WEEK[2])
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert len(asked_in_all) == READERS
    assert {len(fit) for fit in allowed.values()} >= {2, 3}  # both acts changed what is to be seen


def test_who_is_disposed_of_is_missing_before_the_secret_is(force, monkeypatch):
    """Between the entry and the vault: the secret and the rows are still there, and only the log says that they go."""
    asked = []
    drop = Vault.drop

    def stopped(vault: Vault, *said: Any, **more: Any) -> None:
        with provenance.open(force.root) as fresh:
            for when in WEEK[:2]:
                snapshot = fresh.as_of(when)
                assert snapshot.archive.vault.tokens(pa.array([f"n\x1f{GONE}"])).all()  # else there is nothing to show
                for ask in (
                    lambda s: s.token(GONE),
                    lambda s: s.links(nominal=GONE),
                    lambda s: s.nominals(nominal=GONE),
                    lambda s: s.explain("N-02", GONE),
                    lambda s: s.explain(GONE, "N-02"),
                ):
                    with pytest.raises(Missing, match=r"^no nominal of that id is shown: it was never received, was"):
                        ask(snapshot)
                links = snapshot.links()
                ends = {*links["a"].to_pylist(), *links["b"].to_pylist()}
                people = set(snapshot.nominals()["nominal"].to_pylist())
                assert people == set(PEOPLE) - {GONE}
                assert ends == people
                asked.append(when)
        return drop(vault, *said, **more)

    monkeypatch.setattr(Vault, "drop", stopped)
    force.dispose(GONE, on=WEEK[1])
    assert asked == list(WEEK[:2])
