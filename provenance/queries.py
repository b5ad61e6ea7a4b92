"""What a case asks to be told: its reference, moments or periods, people, links, networks, and what staff were shown.

A query names people, and outlives some of them. It is kept by their tokens (`stored`), so that whoever is disposed of
drops out of it and the rest goes on; why it was asked, in words that may name anybody, is for its keeper to seal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance import moments
from provenance.errors import Malformed

_LISTS = ("moments", "periods", "nominals", "links", "networks", "viewers")
SUBJECTS = ("nominal", "link", "network")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One disclosure query. Lists are sorted, and hold nothing twice."""

    case: str
    purpose: str  # "" where somebody it may have named is gone
    moments: tuple[str, ...] = ()  # instants in UTC, or dates
    periods: tuple[tuple[str, str], ...] = ()  # first and last day; the last "" for a period that goes on
    nominals: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()  # pairs of nominals, each in order
    networks: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()  # staff: the pages that they were shown in the periods
    restricted: bool = False  # also what is held for the case and out of view for everybody else

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        if not self.case.strip() or not self.case.isprintable():
            raise Malformed("query names no case: wanted its reference, on one line")
        if not (self.moments or self.periods):
            raise Malformed("query names no time: wanted a moment, or a period from day to day")
        if not (self.nominals or self.links or self.networks or self.viewers):
            raise Malformed("query is about nothing: wanted a nominal, a link, a network, or whose views")
        if self.viewers and not self.periods:
            raise Malformed("query asks for what staff were shown, and for no period: wanted one, from day to day")
        if any(a == b for a, b in self.links):
            raise Malformed("query asks for a link of somebody with themselves: wanted two nominals")

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody whom it names, once."""
        return tuple(sorted({*self.nominals, *(who for pair in self.links for who in pair)}))

    def subjects(self) -> list[tuple[str, tuple[str, ...]]]:
        """What it is about, as kind of SUBJECTS and ids, in a fixed order."""
        return [
            *(("nominal", (who,)) for who in self.nominals),
            *(("link", pair) for pair in self.links),
            *(("network", (network,)) for network in self.networks),
        ]

    def content(self) -> dict[str, Any]:
        """The query as plain values, by the names of its fields."""
        plain = {name: [list(v) if isinstance(v, tuple) else v for v in getattr(self, name)] for name in _LISTS}
        return {"case": self.case, "purpose": self.purpose, "restricted": int(self.restricted), **plain}


def query(
    *, case: str, purpose: str, moments_: Sequence[str] = (), periods: Sequence[tuple[str, str]] = (), **subjects: Any
) -> Query:
    """A query as a person types it: times are London times unless they carry an offset. Raises Malformed."""
    for first, last in periods:
        moments.day(first)
        if last:
            moments.day(last)
        if last and last < first:
            raise Malformed(f"period ends on {last}: wanted {first}, on which it begins, or later")
    when = [moment if moments.is_date(moment) else moments.utc(moments.parse(moment)) for moment in moments_]
    for moment in when:
        if moments.is_date(moment):
            moments.day(moment)
    pairs = tuple((min(pair), max(pair)) for pair in subjects.pop("links", ()))
    return Query(
        case=case, purpose=purpose, moments=tuple(when), periods=tuple(tuple(p) for p in periods), links=pairs,
        **{name: tuple(value) if isinstance(value, list | tuple) else value for name, value in subjects.items()},
    )  # fmt: skip


def stored(asked: Query, token_of: Mapping[str, int]) -> dict[str, Any]:
    """The query without a word that names anybody but staff: tokens in hexadecimal, and no purpose."""

    def token(who: str) -> str:
        return f"{token_of[who]:016x}"

    content = asked.content()
    del content["purpose"]
    return content | {
        "nominals": [token(who) for who in asked.nominals],
        "links": [[token(a), token(b)] for a, b in asked.links],
    }


def restored(content: Mapping[str, Any], id_of: Mapping[int, str], purpose: str) -> tuple[Query | None, int]:
    """What `stored` stored, as far as those whom it names are still there; and how many of its subjects are not.

    None where nothing is left to ask about.
    """
    known = {f"{token:016x}": who for token, who in id_of.items()}
    nominals = [known[token] for token in content["nominals"] if token in known]
    links = [(known[a], known[b]) for a, b in content["links"] if a in known and b in known]
    lost = len(content["nominals"]) + len(content["links"]) - len(nominals) - len(links)
    if not (nominals or links or content["networks"] or content["viewers"]):
        return None, lost
    return (
        Query(
            case=content["case"], purpose=purpose, moments=tuple(content["moments"]),
            periods=tuple((first, last) for first, last in content["periods"]), nominals=tuple(nominals),
            links=tuple((min(pair), max(pair)) for pair in links), networks=tuple(content["networks"]),
            viewers=tuple(content["viewers"]), restricted=bool(content["restricted"]),
        ),
        lost,
    )  # fmt: skip
