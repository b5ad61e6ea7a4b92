"""Where the records behind links happened, gathered from what is known of every row (`lookups`): no row is opened.

People and records are small numbers here, so that half a million are told apart without sorting tokens. Which rows a
build shows is its own to say; `geography` counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from provenance import geography, lookups, propagation, sets, vault
from provenance.archive import Archive
from provenance.errors import Missing
from provenance.index import Index
from provenance.records import THEMES

_KEPT = "numbers"  # beside the lookups, which go when rows do


def behind(
    archive: Archive,
    links: np.ndarray,
    reduced: tuple[np.ndarray, pa.Table],
    records: np.ndarray,
    people: np.ndarray,
    roles: Sequence[str],
) -> tuple[geography.Supports, geography.Codes]:
    """The records behind links, one of each support, and where each happened.

    Positions of rows that may be shown: `links` whole, and `reduced` to the rows beside them, whose `owner` says which
    of its positions each was; the `records` of the build; and its `people`, by whose networks links are told apart, or
    none where that is not asked. `roles` are those that offend. Raises Missing where a record is not among `records`.
    """
    index, numbers = archive.index("link"), prepare(archive)
    held = lookups.of(archive, "link", links)
    place, owner = index.places_beside(links)
    at = np.flatnonzero(held["roles"][place])
    link, record, said = links[owner[at]], numbers.beside[place[at]], held["roles"][place[at]]
    if len(reduced[0]):
        parts = _reduced(archive, numbers, reduced, held.words["roles"])
        link, record, said = (np.concatenate(each) for each in zip((link, record, said), parts, strict=True))
    row = np.full(numbers.records + 1, -1, np.int64)  # one more, for what is no record
    row[numbers.record[records]] = records
    row = row[record]
    if (lost := np.count_nonzero(row < 0)) > 0:
        raise Missing(f"records behind links are not there: {lost} supports name none, wanted every record")
    happened = lookups.of(archive, "record", sets.distinct(row))
    network, networks = _networks(archive, numbers, link, people)
    supports = geography.Supports(
        theme=index.theme[link].astype(np.int64), network=network, a=numbers.a[link], b=numbers.b[link],
        record=record, place=happened["place"][row], offence=happened["offence_code"][row],
        offended=acted(held.words["roles"], roles)[said],
    )  # fmt: skip
    places, offences = (happened.words[name].all() for name in ("place", "offence_code"))
    return supports, geography.Codes(networks, places, offences)


def acted(words: lookups.Words, roles: Sequence[str]) -> np.ndarray:
    """For each text of `roles` whether one of the two people had one of these roles."""
    wanted = set(roles)
    return np.array([bool(wanted & set(word.replace(lookups.BETWEEN, "+").split("+"))) for word in words.all()])


def _reduced(
    archive: Archive, numbers: Numbers, reduced: tuple[np.ndarray, pa.Table], words: lookups.Words
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Link, number of the record and code of the roles, of each support that is left."""
    at, links = reduced
    each, owner = propagation.unfolded(links)
    keys = vault.record_keys(each["system"].combine_chunks(), each["record_id"].combine_chunks())
    record = numbers.of_records(archive.vault.tokens(keys))
    return at[links["owner"].to_numpy()[owner]], record, words.coded(lookups.roles_of(links))


def _networks(
    archive: Archive, numbers: Numbers, link: np.ndarray, people: np.ndarray
) -> tuple[np.ndarray, Sequence[str]]:
    """For each link the code of the network that both its people are in, 0 for none; and what codes stand for."""
    index, theme = archive.index("nominal"), archive.index("link").theme[link]
    held = lookups.of(archive, "nominal", people)
    # Whom no link has is the last number, which no link asks for.
    network = np.zeros((len(THEMES) + 1, numbers.people + 1), np.int64)
    network[index.theme[people], numbers.of_people(index.a[people])] = held["network"][people]
    one, other = (network[theme, side[link]] for side in (numbers.a, numbers.b))
    return np.where(one == other, one, 0), held.words["network"].all()


class Numbers:
    """The people and the records behind links as small numbers, so that they are told apart without sorting tokens."""

    def __init__(self, links: Index, records: Index) -> None:
        self.made_of = len(links), len(records)
        self._records, self._people = sets.distinct(records.a), sets.union(links.a, links.b)
        self.records, self.people = len(self._records), len(self._people)
        self.record = self.of_records(records.a)  # of each row of the records
        self.beside = self.of_records(links.others)  # of each further parent of a link
        self.a, self.b = self.of_people(links.a), self.of_people(links.b)  # of each link

    def of_records(self, tokens: np.ndarray) -> np.ndarray:
        """The number of each, int64; `records` for what is none."""
        return _places_among(self._records, tokens)

    def of_people(self, tokens: np.ndarray) -> np.ndarray:
        """The number of each, int64; `people` for whom no link has."""
        return _places_among(self._people, tokens)


def _places_among(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Where each value stands among the ordered ones, int64; their count where it does not."""
    order = np.argsort(values)  # to look up millions one after the other in their order is many times as fast
    found = np.searchsorted(ordered, values[order])
    there = found < len(ordered)
    there[there] = ordered[found[there]] == values[order][there]
    place = np.empty(len(values), np.int64)
    place[order] = np.where(there, found, len(ordered))
    return place


def prepare(archive: Archive) -> Numbers:
    """Have the numbers in memory: the same ones until rows come."""
    links, records = archive.index("link"), archive.index("record")
    held: Numbers | None = archive.lookups.get(_KEPT)
    if held is None or held.made_of != (len(links), len(records)):
        held = archive.lookups[_KEPT] = Numbers(links, records)
    return held
