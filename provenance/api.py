"""What an analyst holds in a notebook: one archive, asked about moments.

Tables come as Arrow (`.to_pandas()`, `polars.from_arrow`), graphs as networkx. Nothing here writes,
but for the entry by which the log knows that a case was shown what is restricted for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from provenance import (
    archive,
    asof,
    causes,
    comparing,
    consulting,
    derivation,
    disposal,
    durable,
    experiments,
    explaining,
    hinges,
    verify,
    whatif,
)
from provenance.causes import Split
from provenance.errors import Malformed, Refused
from provenance.experiments import Experiment
from provenance.history import Publication
from provenance.params import Params
from provenance.series import series as over_builds
from provenance.whatif import Without
from provenance.world import now, unlock, user


class Snapshot(asof.Snapshot):
    """One build, with what can be asked about its figures."""

    def explain_link(self, a: str, b: str) -> list[dict[str, Any]]:
        """As `explain`, each link with what it hangs on alone (`explaining.link`)."""
        return explaining.link(self, a, b)

    def explain_network(self, network: str) -> dict[str, Any]:
        """Each figure of a network with what it comes from, and what it hangs on (`explaining.network`)."""
        return explaining.network(self, network)

    def explain_person(self, nominal: str, *, theme: str | None = None) -> list[dict[str, Any]]:
        """Each figure of a person, by theme, with the records, links or formula behind it (`explaining.person`)."""
        return explaining.person(self, nominal, theme=theme)

    def what_if(
        self,
        *,
        without: Without,
        between: tuple[str, str] | None = None,
        network: str | None = None,
        theme: str | None = None,
        by: str | None = None,
    ) -> list[dict[str, Any]] | dict[str, Any] | pa.Table:
        """What would be said without something: of the links `between` two people, of a `network`; or, with `by`, who
        would rank where by a figure within a theme or a network (`whatif.RANKING`)."""
        if between:
            return whatif.link(self, *between, without)
        if by:
            return whatif.ranking(self, by, without, theme=theme or "", network=network or "")
        if network:
            return whatif.network(self, network, without)
        raise Malformed("what is asked is not said: wanted `between`, `network`, or `by` within a theme or network")

    def hangs_on(self, network: str) -> dict[str, Any]:
        """The single records, grades and source systems that a network hangs on (`hinges.sensitivity`)."""
        return hinges.sensitivity(self, network)

    def key_players(self, *, network: str | None = None, theme: str | None = None, most: int = 5) -> dict[str, Any]:
        """The first people by each of several measures, side by side (`explaining.key_players`)."""
        return explaining.key_players(self, network=network, theme=theme, most=most)


class Archive:
    """An open archive, for reading. Use `provenance.open`; closes with the `with` block, or `close()`."""

    def __init__(self, inner: archive.Archive) -> None:
        self._inner = inner

    @classmethod
    def open(cls, path: str | os.PathLike[str], keys: str | os.PathLike[str] | None) -> Archive:
        """As `provenance.open`."""
        root = Path(path)
        inner = archive.Archive(root, Path(keys) if keys else archive.keys_beside(root), unlock=unlock())
        if disposal.is_unsettled(inner) and not durable.is_being_written(root / "store"):
            inner.close()
            raise Refused(
                "archive has disposals that were not carried out upon its vault, as one that was restored: "
                "wanted `provenance dispose resume` first"
            )
        return cls(inner)

    def __repr__(self) -> str:
        return repr(self._inner)

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._inner.close()

    @property
    def publications(self) -> Sequence[Publication]:
        """What was live when, in order of time."""
        return self._inner.history.publications

    def as_of(self, when: str, *, case: str = "") -> Snapshot:
        """The build that was live at `when` (London time unless it has an offset; or a date with a single build).

        With `case`, also what is restricted and held for that case: one entry in the log says so, under the name by
        which the machine knows who asks, before this returns. Raises Refused when no hold of that case stands,
        Missing when nothing was live then, Conflict when several builds were live on a bare date. What is asked
        of the Snapshot raises `asof.Overtaken` (a Conflict) when a disposal came meanwhile: ask again.
        """
        self._inner.refresh()

        def ask() -> Snapshot:
            found = asof.as_of(self._inner, when, case=case)
            if case:
                consulting.consult(self._inner, found, on=now(), by=user())
            return Snapshot(found.archive, found.built, found.publication, case)

        return asof.whole(ask)

    def build(self, label: str) -> Snapshot:
        """A build by its label, such as `2026-W11`, live or not. Raises Missing."""
        self._inner.refresh()
        built = self._inner.history.build(label)
        live = [p for p in self.publications if p.label == label]
        return Snapshot(self._inner, built, live[-1] if live else None)

    def live_on(self, date: str) -> Sequence[Publication]:
        """Every build that was live at some moment of a London calendar day."""
        return asof.live_on(self._inner, date)

    def diff(self, before: str, after: str) -> pa.Table:
        """What changed in the links between two moments, with the records behind each (`comparing.DIFFERENCE`)."""
        return comparing.difference(self.as_of(before), self.as_of(after))

    def changes(self, before: str, after: str) -> pa.Table:
        """Which links changed between two moments, and by how much, without the records behind it: no row is opened."""
        return comparing.changes(self.as_of(before), self.as_of(after))

    def causes(self, before: str, after: str, *, nominal: str | None = None) -> Split:
        """Why figures changed between two moments, or builds by their labels: `.changes` (`causes.CAUSES`), and
        `.behind`, the records; of one nominal and their links alone, or of everything."""
        people = [nominal] if nominal is not None else []
        self._inner.refresh()
        sides = [asof.asked(self._inner, side) for side in (before, after)]
        return causes.causes(*sides, people=people)

    def series(
        self, *, nominal: str = "", network: str = "", figure: str = "strength", last: int | None = None
    ) -> pa.Table:
        """One figure in each published build, or the `last` so many, with the causes of each step (`series.SERIES`)."""
        self._inner.refresh()
        labels = list(dict.fromkeys(publication.label for publication in self.publications))
        builds = sorted(map(self.build, labels), key=lambda snapshot: snapshot.built.number)
        builds = builds[-last:] if last else builds
        return over_builds(builds, nominal=nominal, network=network, figure=figure)

    def experiment(self, label: str, *, params: Params | Mapping[str, Any]) -> Experiment:
        """What a build would say by other params: dotted keys with their values over its own, as
        `{"links.kind_points.crime": 120}`, or whole ones (`params.read`). Nothing is stored or logged."""
        return experiments.experiment(self.build(label), params)

    def lineage(self, label: str, *, form: str = "prov") -> dict[str, Any] | list[dict[str, Any]]:
        """What a build was made of, as PROV-JSON (`prov`) or as OpenLineage events (`openlineage`)."""
        self._inner.refresh()
        return derivation.of(self._inner, label, form)

    def passages(self, before: str, after: str) -> pa.Table:
        """Who passed from which network to which between two moments (`comparing.PASSAGES`)."""
        return comparing.passages(self.as_of(before), self.as_of(after))

    def verify(self) -> None:
        """Check everything that is stored against the log. Raises Tampered naming every fault."""
        verify.insist(verify.verify(self._inner))
