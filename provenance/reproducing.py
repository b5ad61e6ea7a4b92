"""Whether a past build comes out the same when it is made again, leaf for leaf; if not, where it differs.

Its sources are chosen again, by its cut-off and by what the log said when it was made; links, people's figures and
networks are made again of them (`remaking`), sealed, and compared with the leaves that were published. Params and harm
tables are those of its statement. After a disposal some rows can be made no more. Those are counted by reason, and
nothing else may be lacking:

    disposed  the secret of somebody or something that the row speaks of is destroyed
    reduced   what a disposal left of the row stands in its place, and that comes out the same
    marked    a figure into which something was counted that has since been erased

The claim is looked at last. What is said of a difference names a table, a leaf, tokens and a field, and no value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import entries, harm, merkle, propagation, remaking, rows, selection, sets, vault
from provenance.archive import Archive, Overtaken
from provenance.draft import Draft
from provenance.errors import Malformed
from provenance.index import Index
from provenance.params import Params, stated
from provenance.remaking import Remade
from provenance.statements import Statement
from provenance.tables import SOURCE_TABLES, TABLES

SAME, BUT_FOR_DISPOSALS, DIFFERS = "same", "same but for disposals", "differs"
LEFT_OUT = "left_out"  # what the log says was left out of a build; no table of its own, and compared like one


@dataclass(frozen=True, slots=True)
class Here:
    """What a build is made again with: the code that runs, and its environment."""

    code: str  # git commit; "" where the code lies in no repository
    package: str  # SHA-256 over the code's files
    environment: str  # as a statement says it


@dataclass(frozen=True, slots=True)
class Count:
    """What became of the rows of one table."""

    table: str
    rows: int  # of the build; all that follow add up to it, but for rows among `differing` that it never had
    same: int
    disposed: int
    reduced: int
    marked: int
    differing: int
    root: str  # over what was made again, with the published leaf of each row that cannot be


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row that is not as it was published."""

    table: str
    leaf: str  # of the published row; "" for one that the build never had, and where a whole table is meant
    tokens: tuple[str, ...]  # whom the row speaks of, as the log writes tokens
    field: str  # the first that differs; "" where there is no such row on one side
    what: str


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A build that was made again, and how it compares."""

    label: str
    verdict: str
    counts: tuple[Count, ...]
    first: Difference | None
    renamed: int  # networks that carry the id they had, since who decided it has been erased in part
    other: tuple[str, ...]  # what it was made again with that is not as its statement says: `code`, `environment`
    here: Here

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        first = self.first
        return {
            "build": self.label,
            "verdict": self.verdict,
            "tables": {
                c.table: {
                    name: getattr(c, name)
                    for name in ("rows", "same", "disposed", "reduced", "marked", "differing", "root")
                }
                for c in self.counts
            },
            "first_difference": {
                "table": first.table,
                "leaf": first.leaf,
                "tokens": list(first.tokens),
                "field": first.field,
                "what": first.what,
            }
            if first
            else None,
            "networks_named_as_published": self.renamed,
            "other_than_stated": list(self.other),
            "code": self.here.code,
            "package": self.here.package,
            "environment": self.here.environment,
        }


def act(found: Mapping[str, Any], *, on: str, by: str, under: str) -> entries.Reproduced:
    """The entry by which the log keeps a verdict, from plain values: the code of another commit may have found it."""
    tables = found["tables"].values()
    return entries.Reproduced(
        on=on,
        by=by,
        under=under,
        label=found["build"],
        verdict=found["verdict"],
        same=sum(count["same"] for count in tables),
        lost=sum(count["disposed"] + count["reduced"] + count["marked"] for count in tables),
        differing=sum(count["differing"] for count in tables),
        code=found["code"],
        package=found["package"],
        environment=found["environment"],
    )


def reproduce(archive: Archive, label: str, here: Here) -> Reproduction:
    """Make a build again and compare. Nothing is logged; see `act`.

    Raises Missing for a build or a harm table that is not there, Tampered for a statement or a stored row that does not
    verify, Malformed for params of another form, and Overtaken when a disposal came meanwhile.
    """
    built = archive.history.build(label)
    statement = archive.stated(built)
    again = _Again(archive, built, statement, *_rules(archive, statement))
    counts, first, renamed = again.compared()
    if archive.is_overtaken():
        raise Overtaken(f"rows of build {label} were disposed of while it was made again: ask again")
    lost = any(count.disposed + count.reduced + count.marked for count in counts)
    said = (("code", statement.package, here.package), ("environment", statement.environment, here.environment))
    return Reproduction(
        label,
        DIFFERS if first else BUT_FOR_DISPOSALS if lost else SAME,
        tuple(counts),
        first,
        renamed,
        tuple(name for name, wanted, found in said if wanted != found),
        here,
    )


def _rules(archive: Archive, statement: Statement) -> tuple[Params, harm.HarmTable]:
    return stated(statement.params), harm.side_by_side(archive.harm_tables(statement))


@dataclass(slots=True)
class _Again:
    """One build, made again."""

    archive: Archive
    built: entries.Built
    statement: Statement
    params: Params
    table: harm.HarmTable

    def compared(self) -> tuple[list[Count], Difference | None, int]:
        """What became of each table, the first difference, and how many networks were named as published."""
        archive, built = self.archive, self.built
        taken = selection.take(archive, archive.history_before(built), built.cut_off, built.number)
        since = archive.history.since(built.number)
        people, disturbed = propagation.to_work_out_again(archive, since)
        made = remaking.remake(
            archive,
            Draft(built.label, built.number, built.cut_off),
            taken,
            self.params,
            self.table,
            before=remaking.networks_of(archive, built.number - 1),
            less=self._shown_only(disturbed),
        )
        renamed = 0
        if since:
            made, renamed = self._named_as_published(made)
        counts, first = [], None
        for name in TABLES:
            if name in SOURCE_TABLES:
                count, odd = self._source(name, taken[name])
            elif name == "link":
                count, odd = self._links(made)
            else:
                count, odd = self._figures(name, made.contents[name], people, is_whole=not since)
            counts.append(count)
            first = first or odd or self._by_root(count)
        if not since:
            first = first or self._by_left_out(made)
        return counts, first, renamed

    # ---- sources -----------------------------------------------------------------------------------------------------

    def _source(self, name: str, taken: np.ndarray) -> tuple[Count, Difference | None]:
        index = self.archive.index(name)
        at = index.standing(self.built.number)
        alive = at[index.died[at] == 0]
        same, dead = sets.intersection(alive, taken), at[index.died[at] > 0]
        gone, come = sets.difference(alive, taken), sets.difference(taken, alive)
        root = self._root(index.leaf[np.concatenate([taken, dead])])
        first = None
        if len(gone):
            first = self._odd(name, _first(index, gone), "", "the build has it, and its cut-off does not take it")
        elif len(come):
            first = self._odd(name, _first(index, come), "", "the build's cut-off takes it, and the build has it not")
        return Count(name, len(at), len(same), len(dead), 0, 0, len(gone) + len(come), root), first

    # ---- links -------------------------------------------------------------------------------------------------------

    def _living(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the build's links, and of what stands in the place of each now: itself, its heir, or -1."""
        index = self.archive.index("link")
        at = index.standing(self.built.number)
        last = at.copy()
        while len(dead := np.flatnonzero((last >= 0) & (index.died[last] > 0))):
            last[dead] = index.heir[last[dead]]
        return at, last

    def _shown_only(self, disturbed: np.ndarray) -> Callable[[pa.Table], pa.Table]:
        """What takes away supports that records give only since a disposal took somebody from them: a crowd that fell
        below the cap links its people, and who was merged into the gone stands alone."""
        if not len(disturbed):
            return lambda supports: supports
        archive, index = self.archive, self.archive.index("link")
        _, last = self._living()
        at = sets.intersection(last[last >= 0], index.resting_on(disturbed))
        shown, _ = propagation.unfolded(archive.sealer.open("link", index.rows(at)))
        known = _joined(shown, ("theme", "a", "b", "system", "record_id"))

        def less(supports: pa.Table) -> pa.Table:
            tokens = archive.vault.tokens(vault.record_keys(_flat(supports["system"]), _flat(supports["record_id"])))
            mine = _joined(supports, ("theme", "a", "b", "system", "record_id"))
            news = pc.invert(pc.is_in(mine, value_set=known)).to_numpy(zero_copy_only=False)
            return remaking.without(supports, sets.among(tokens, disturbed) & news)

        return less

    def _links(self, made: Remade) -> tuple[Count, Difference | None]:
        index = self.archive.index("link")
        at, last = self._living()
        leaves = rows.leaf_matrix(made.links["leaf"])
        ours, theirs = rows.as_keys(leaves), rows.as_keys(index.leaf[last])
        found, gone = sets.among(theirs, ours) & (last >= 0), last < 0
        itself = last == at
        missing, beyond = sets.distinct(last[~found & ~gone]), np.flatnonzero(~sets.among(ours, theirs[~gone]))
        lost = at[~itself & (gone | found)]
        first = None
        if len(missing) or len(beyond):
            contents = made.link_contents(self.params)
            if len(missing):
                first = self._differing("link", _first(index, missing), contents)
            else:
                row = made.links.slice(int(beyond[_least(leaves[beyond])]), 1)
                first = _beyond("link", [row["a"][0].as_py(), row["b"][0].as_py()])
        count = Count(
            "link",
            len(at),
            int((found & itself).sum()),
            int(gone.sum()),
            int((found & ~itself).sum()),
            0,
            int((~found & ~gone).sum()) + len(beyond),
            # What is made again in the place of a reduced row is not what the build's root is over.
            self._root(np.concatenate([leaves[~sets.among(ours, theirs[found & ~itself])], index.leaf[lost]])),
        )
        return count, first

    # ---- people and networks -----------------------------------------------------------------------------------------

    def _figures(
        self, name: str, content: pa.Table, people: np.ndarray, *, is_whole: bool
    ) -> tuple[Count, Difference | None]:
        archive, index = self.archive, self.archive.index(name)
        at = index.standing(self.built.number)
        alive, dead = at[index.died[at] == 0], at[index.died[at] > 0]
        leaves = rows.leaf_matrix(pa.chunked_array([archive.sealer.leaves(name, content)]))
        ours, theirs = rows.as_keys(leaves), rows.as_keys(index.leaf[alive])
        found, extra = sets.among(theirs, ours), np.flatnonzero(~sets.among(ours, theirs))
        missing = alive[~found]
        excused = (index.marked[missing] > 0) | sets.among(index.a[missing], people)
        if name == "network" and not is_whole:
            excused |= self._only_alarm(missing, content)
        marked, odd = missing[excused], missing[~excused]
        extra = self._unexcused(name, content, extra, marked, odd, people, is_whole)
        first = None
        if len(odd):
            first = self._differing(name, _first(index, odd), content)
        elif len(extra):
            row = content.slice(int(extra[_least(leaves[extra])]), 1)
            first = _beyond(name, archive.sealer.subjects(name, row)[0].tolist())
        made = sets.among(ours, theirs)
        made[extra] = True
        root = self._root(np.concatenate([leaves[made], index.leaf[np.concatenate([dead, marked])]]))
        differing = len(odd) + len(extra)
        return Count(name, len(at), int(found.sum()), len(dead), 0, len(marked), differing, root), first

    def _unexcused(
        self,
        name: str,
        content: pa.Table,
        extra: np.ndarray,
        marked: np.ndarray,
        odd: np.ndarray,
        people: np.ndarray,
        is_whole: bool,
    ) -> np.ndarray:
        """Those of the rows `extra` that are no other form of one of `marked` or `odd`, and come of no disposal."""
        key = TABLES[name].key
        known = _joined(self.archive.opened(name, np.concatenate([marked, odd])), key)
        fresh = pc.invert(pc.is_in(_joined(content, key), value_set=known)).to_numpy(zero_copy_only=False)[extra]
        extra = extra[fresh]
        if is_whole or not len(extra) or name != "nominal":
            return extra
        tokens = self.archive.vault.tokens(vault.nominal_keys(_flat(content["nominal"].take(pa.array(extra)))))
        return extra[~sets.among(tokens, people)]

    def _only_alarm(self, missing: np.ndarray, content: pa.Table) -> np.ndarray:
        """Which networks differ in nothing but the alarm, which is a share of all people, the erased among them."""
        names = [name for name in TABLES["network"].columns.names if name != "alarm"]
        ours = _joined(content, names)
        theirs = _joined(self.archive.opened("network", missing), names)
        return pc.is_in(theirs, value_set=ours).to_numpy(zero_copy_only=False)

    def _named_as_published(self, made: Remade) -> tuple[Remade, int]:
        """Networks under the ids that the build gave them, where people that it knew together are together still.

        Which id a network carries was decided by people of whom some are erased: by most members of the build before,
        and by the order of size. A network that nothing was taken from is to have all its people; of one that lost
        somebody, the parts may have come apart, and all of them are called by its id.
        """
        archive, index, groups = self.archive, self.archive.index("nominal"), self.archive.index("network")
        at = index.standing(self.built.number)
        at = at[index.died[at] == 0]
        held = archive.opened("nominal", at)
        every = groups.standing(self.built.number)
        hit = archive.opened("network", every[groups.marked[every] > 0])["network"]
        people = made.contents["nominal"]
        place = pc.index_in(_joined(people, ("theme", "nominal")), value_set=_joined(held, ("theme", "nominal")))
        was = pc.fill_null(_flat(held["network"]).take(place), "")
        now = _flat(people["network"])
        parts = pa.table({"now": now, "was": was}).group_by("now")
        parts = parts.aggregate([("was", "min"), ("was", "max"), ("was", "count")]).filter(pc.field("now") != "")
        sizes = pa.table({"was": _flat(held["network"])}).group_by("was").aggregate([("was", "count")])
        size = pc.index_in(parts["was_min"].combine_chunks(), value_set=sizes["was"].combine_chunks())
        size = sizes["was_count"].combine_chunks().take(size)
        lost = pc.is_in(parts["was_min"], value_set=_flat(hit))
        fit = pc.and_(
            pc.and_(pc.equal(parts["was_min"], parts["was_max"]), pc.not_equal(parts["was_min"], "")),
            pc.or_(lost, pc.equal(parts["was_count"], size)),
        )
        parts, lost = parts.filter(fit), lost.filter(fit)
        renamed = pc.and_(pc.invert(lost), pc.not_equal(parts["now"], parts["was_min"]))
        named = self._renaming(now, parts)
        # Who was cut off from all others is in no network any more, and was in one that lost somebody.
        alone = pc.and_(pc.equal(now, ""), pc.is_in(was, value_set=_flat(hit)))
        column = people.column_names.index("network")
        people = people.set_column(column, "network", pc.if_else(alone, was, named))
        networks = made.contents["network"]
        column = networks.column_names.index("network")
        networks = networks.set_column(column, "network", self._renaming(_flat(networks["network"]), parts))
        networks = networks.filter(pc.invert(pc.is_in(networks["network"], value_set=_flat(hit))))
        contents = {"nominal": people.combine_chunks(), "network": networks.combine_chunks()}
        return replace(made, contents=contents), int(pc.sum(renamed).as_py() or 0)

    @staticmethod
    def _renaming(names: pa.Array, parts: pa.Table) -> pa.Array:
        place = pc.index_in(names, value_set=parts["now"].combine_chunks())
        return pc.coalesce(parts["was_min"].combine_chunks().take(place), names)

    # ---- what is said ------------------------------------------------------------------------------------------------

    def _differing(self, name: str, at: int, content: pa.Table) -> Difference:
        """How the published row at a position differs from the one of `content` with the same key."""
        index, key = self.archive.index(name), TABLES[name].key
        theirs = self.archive.sealer.open(name, index.rows(np.array([at])))
        mine = content.filter(pc.equal(_joined(content, key), _joined(theirs, key)[0]))
        if not mine.num_rows:
            return self._odd(name, at, "", "the build has it, and it is not made again")
        field = _first_field(theirs.to_pylist()[0], mine.to_pylist()[0], TABLES[name].columns.names)
        return self._odd(name, at, field, "another value than the build has")

    def _odd(self, name: str, at: int, field: str, what: str) -> Difference:
        index = self.archive.index(name)
        return Difference(name, index.leaf[at].tobytes().hex(), _tokens([index.a[at], index.b[at]]), field, what)

    def _by_root(self, count: Count) -> Difference | None:
        said = {table.name: (table.size, table.root) for table in self.statement.tables}
        if said.get(count.table) == (count.rows, count.root):
            return None
        return Difference(count.table, "", (), "root", "another size or root than the statement says")

    def _by_left_out(self, made: Remade) -> Difference | None:
        told = {(f"{x['system']} {x['kind']}: {x['reason']}", x["records"], x["people"])
                for x in made.left_out.to_pylist()}  # fmt: skip
        said = {(act.what, act.records, act.people) for act in self.built.left_out}
        if odd := sorted(told ^ said):
            return Difference(LEFT_OUT, "", (), odd[0][0], "other counts of what was left out than the log says")
        return None

    def _root(self, leaves: np.ndarray) -> str:
        return self.archive.crew.root(rows.in_byte_order(leaves)).hex() if len(leaves) else merkle.EMPTY_ROOT.hex()


def _first(index: Index, at: np.ndarray) -> int:
    """The one whose leaf is first in byte order."""
    return int(at[_least(index.leaf[at])])


def _least(leaves: np.ndarray) -> int:
    return int(np.lexsort(leaves.T[::-1])[0])


def _beyond(name: str, tokens: Sequence[int]) -> Difference:
    return Difference(name, "", _tokens(tokens), "", "it is made again, and the build has it not")


def _tokens(tokens: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{int(token):016x}" for token in tokens if token)


def _first_field(theirs: Mapping[str, Any], mine: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first field that differs; of a list of objects the first within it, as `supports.grade`."""
    for name in names:
        one, other = theirs[name], mine[name]
        if one == other:
            continue
        if isinstance(one, list) and len(one) == len(other):
            for first, second in zip(one, other, strict=True):
                for inner in first:
                    if first[inner] != second[inner]:
                        return f"{name}.{inner}"
        return name
    raise Malformed("two rows are compared that say the same, and have other leaves: wanted others")


def _joined(table: pa.Table, names: Sequence[str]) -> pa.Array:
    """One text a row of some columns, by which rows are found again."""
    cells = [_flat(table[name]).cast(pa.string()) for name in names]
    return pc.binary_join_element_wise(*cells, "\x1f")


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column if isinstance(column, pa.Array) else pa.concat_arrays([pa.array([], column.type), *column.chunks])
