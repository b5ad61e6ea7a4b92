"""A quick copy of what the log says, in SQL: acts by kind, date and label, without reading a million entries.

Derived from the log alone and rebuilt from it whenever it is missing, unfinished or damaged; damage is remembered, so
that `verify` can say so. It also remembers the log's head: a log that no longer continues it is refused. Who writes:
whoever finds it behind the log, one process at a time. Nothing but that memory is lost if it is lost. Two keep it:

- `InFile`, SQLite in `index/catalogue.sqlite`, with the file's digest beside it, which is compared once an opening. A
  liar who edits both misleads until `verify` compares the acts with the log, entry by entry.
- `OnServer`, PostgreSQL. Others run it, so `index/catalogue.json` has a digest over the acts of each kind, in order;
  whatever is read is hashed and compared before it is believed. Who can write to the server's tables misleads nobody;
  who can edit that file too, until `verify`.

Tables of an earlier release are brought to their present form when the catalogue is next written (`database.prepared`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from sqlalchemy import ARRAY, Engine, Insert, Select, bindparam, delete, func, insert
from sqlalchemy.exc import DatabaseError
from sqlmodel import Field, Session, SQLModel, create_engine, select

from provenance import canonical, database, durable, entries
from provenance.database import Schema, Server, Wide
from provenance.errors import Conflict, Malformed, Tampered
from provenance.log import Log
from provenance.rows import digest

_AT_ONCE = 5_000  # acts that go to the database in one statement


class LoggedAct(SQLModel, table=True):
    """One entry of the log."""

    index: int = Field(primary_key=True, sa_type=Wide)
    kind: str = Field(index=True)
    on: str
    label: str = Field(default="", index=True)
    body: bytes


class Head(SQLModel, table=True):
    """How much of which log the catalogue holds."""

    id: int = Field(default=1, primary_key=True)
    size: int = Field(sa_type=Wide)
    root: bytes
    origin: str = Field(default="", sa_column_kwargs={"server_default": ""})  # "": release 1.0.0 did not say


SCHEMA = Schema("catalogue", (LoggedAct, Head), "0002")


class Damaged(Exception):
    """What was read is not what was written; for `Catalogue` alone, which starts again."""


class Keeper(Protocol):
    """Where the tables are, and how it is known that nobody else wrote to them."""

    name: str  # for people
    remedy: str  # what makes it forget the log that it has seen

    def head(self) -> Head | None:
        """What it holds, None where that is nothing, or cannot be believed."""
        ...

    def seen(self) -> Head | None:
        """The head that it once had of the log, whether or not the acts can be believed."""
        ...

    def ready(self) -> str:
        """Make ready to be written to; what was found damaged, or ""."""
        ...

    def start_again(self) -> None:
        """Believe nothing of what is there: what is taken in next takes its place."""
        ...

    def extend(self, acts: Iterator[LoggedAct], head: Head) -> None:
        """Take in acts and the head after them, all or none."""
        ...

    def read(self, kinds: Collection[str], size: int) -> Sequence[tuple[int, bytes]]:
        """Place and body of the acts of these kinds among the first `size`. Raises Damaged."""
        ...

    def bodies(self) -> list[bytes]:
        """Every act, in order."""
        ...

    def fault(self) -> str:
        """What shows without a look at the acts that it was changed, or ""."""
        ...

    def close(self) -> None: ...


class Catalogue:
    """The acts of an archive, in the folder `index` of it or on a server."""

    def __init__(self, folder: Path, server: Server | None = None) -> None:
        self._folder = folder
        self._keeper: Keeper = OnServer(server, folder) if server else InFile(folder / "catalogue.sqlite")
        self.mended = ""  # what was found damaged, and made again from the log
        self._log: Log | None = None
        self._confirmed: tuple[int, bytes] | None = None  # the head at which it was last found to have all

    def refresh(self, log: Log) -> None:
        """Catch up with the log, or start again where damaged. Raises Tampered on a log that went back, Missing when
        the server does not answer, Malformed on tables of a later version."""
        self._log, wanted = log, _head_of(log)
        if self._confirmed != wanted and not self._is_current(wanted):
            with durable.one_writer(self._folder):
                if not self._is_current(wanted):  # another process may have caught up meanwhile
                    self._catch_up(log, *wanted)
        self._confirmed = wanted

    def _is_current(self, wanted: tuple[int, bytes]) -> bool:
        head = self._keeper.head()
        return head is not None and (head.size, head.root) == wanted

    def _catch_up(self, log: Log, size: int, root: bytes) -> None:
        if found := self._keeper.ready():
            self.mended = f"{found} made again from the log"
        head, seen, origin = self._keeper.head(), self._keeper.seen(), log.vkey.name
        if seen is not None and seen.origin not in ("", origin):
            raise Conflict(
                f"{self._keeper.name} holds the log {seen.origin}, and this is {origin}: wanted a database of its own "
                "for each archive"
            )
        if seen is not None and (seen.size > size or log.root_at(seen.size) != seen.root):
            raise Tampered(
                f"log was rolled back or rewritten: it has {size} entries, and {self._keeper.name} had seen "
                f"{seen.size} with root {seen.root.hex()}; preserve both, and if this log is the one you want, "
                f"{self._keeper.remedy}"
            )
        if head is None:
            self._keeper.start_again()
        at = head.size if head else 0
        acts = (_logged(place, act) for place, act in enumerate(log.acts(at, size), start=at))
        self._keeper.extend(acts, Head(size=size, root=root, origin=origin))

    def acts(self, kinds: Iterable[str]) -> Sequence[entries.Act]:
        """Acts of these kinds, in log order."""
        return [act for _, act in self.placed(kinds)]

    def placed(self, kinds: Iterable[str]) -> Sequence[tuple[int, entries.Act]]:
        """The same, each with its place in the log. Only after `refresh`."""
        wanted, (size, root) = sorted(set(kinds)), self._confirmed
        try:
            found = self._keeper.read(wanted, size)
        except Damaged as damage:
            self.mended = f"{damage} made again from the log"
            with durable.one_writer(self._folder):
                self._keeper.start_again()
                self._catch_up(self._log, size, root)
            found = self._keeper.read(wanted, size)
        return [(place, entries.from_bytes(body)) for place, body in found]

    def differs(self, log: Log) -> str:
        """What is not as the log has it, "" when all is."""
        if self.mended:
            return self.mended
        try:
            if fault := self._keeper.fault():
                return fault
            held = self._keeper.bodies()
        except (DatabaseError, OSError):
            return f"{self._keeper.name} cannot be read"
        finally:
            self.close()
        if len(held) > log.size:  # another process has logged meanwhile, and caught up
            log.refresh()
        if held != list(log.entries(0, min(len(held), log.size))):
            return f"{self._keeper.name} says other things than the log"
        return ""

    def close(self) -> None:
        self._keeper.close()


class InFile:
    """SQLite, and the digest of its file beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"{path.parent.name}/{path.name}"
        self.remedy = "remove the folder index"
        self._engine: Engine | None = None
        self._checked = False
        self._is_formed = False

    def head(self) -> Head | None:
        self._checked = self._checked or self._is_as_written()
        if not self._checked or not self.path.exists():
            return None
        try:
            with Session(self._open()) as session:
                self._is_formed = self._is_formed or database.form(session.connection(), SCHEMA) == SCHEMA.form
                return session.get(Head, 1) if self._is_formed else None
        except DatabaseError:
            return None

    def seen(self) -> Head | None:
        return self.head()

    def ready(self) -> str:
        damage = ""
        if not self._checked:
            if self.path.exists() and self._mark.exists():  # one alone is what a crash leaves
                damage = f"{self.name} and its digest {self._mark.name} disagree: one of them was changed; both were"
            self.start_again()
            self._checked = True
        elif self.path.exists() and not self._is_formed:
            self._mark.unlink(missing_ok=True)
            with contextlib.suppress(DatabaseError):  # then it has no head either, and is started again
                try:
                    database.prepared(self._open(), SCHEMA, what=self.name)
                except Malformed:  # nothing was touched
                    self._settle()
                    raise
            self._settle()
        return damage

    def extend(self, acts: Iterator[LoggedAct], head: Head) -> None:
        self._mark.unlink(missing_ok=True)  # until it is back, whoever opens the catalogue starts again
        database.prepared(self._open(), SCHEMA, what=self.name)
        with Session(self._open()) as session:
            session.add_all(acts)
            session.merge(head)
            session.commit()
        self._settle()

    def read(self, kinds: Collection[str], size: int) -> Sequence[tuple[int, bytes]]:
        with Session(self._open()) as session:
            return [(index, body) for index, _, body in session.exec(_of(kinds, size))]

    def bodies(self) -> list[bytes]:
        if not self.path.exists():
            return []
        with Session(self._open()) as session:
            return list(session.exec(select(LoggedAct.body).order_by(LoggedAct.index)).all())

    def fault(self) -> str:
        if self.path.exists() and self._mark.exists() and not self._is_as_written():
            return f"{self.name} was changed since it was written"  # without a mark, the next to open starts again
        return ""

    def start_again(self) -> None:
        self.close()
        for path in (self.path, self.path.with_name(self.path.name + "-journal"), self._mark):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def _mark(self) -> Path:
        return self.path.with_suffix(".sha256")

    def _is_as_written(self) -> bool:
        return self.path.exists() and self._mark.exists() and self._mark.read_bytes() == digest(self.path).encode()

    def _settle(self) -> None:
        self.close()
        durable.write(self._mark, digest(self.path).encode())

    def _open(self) -> Engine:
        if self._engine is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Statements that fail put their values into the message: hidden, they may be labels of cases.
            self._engine = create_engine(f"sqlite:///{self.path}", hide_parameters=True, connect_args={"timeout": 30})
        return self._engine


@dataclass(frozen=True, slots=True)
class _Mark:
    """What was written to the server: the head, and over the acts of each kind a digest that each act goes into."""

    size: int
    root: str
    kinds: Mapping[str, str]

    def after(self, acts: Sequence[LoggedAct], head: Head) -> _Mark:
        running = dict(self.kinds)
        for act in acts:
            running[act.kind] = _step(running.get(act.kind, ""), act.index, act.body)
        return _Mark(head.size, head.root.hex(), running)


def _step(before: str, index: int, body: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(before) + index.to_bytes(8, "big", signed=True) + body).hexdigest()


class OnServer:
    """PostgreSQL, and what was written to it in a file of the archive: as it was before the last commit, and after it.

    The file is durable before the commit is asked for, so one of the two is what the server has, wherever either of
    them was cut off.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self.name = f"the catalogue in database {server.place}"
        self.remedy = f"empty the table head of database {server.place}"
        self._server, self._path = server, folder / "catalogue.json"
        self._engine: Engine | None = None
        self._is_formed = False
        self._mark: _Mark | None = None  # of the head that was last found, or written

    def head(self) -> Head | None:
        head = self.seen()
        found = [mark for mark in self._marks() if head and (mark.size, mark.root) == (head.size, head.root.hex())]
        self._mark = found[0] if found else None
        return head if found else None

    def seen(self) -> Head | None:
        with self._asking() as session:
            self._is_formed = self._is_formed or database.form(session.connection(), SCHEMA) == SCHEMA.form
            return session.get(Head, 1) if self._is_formed else None

    def ready(self) -> str:
        if not self._is_formed:
            with self._server.answering(self._open()):
                database.prepared(self._open(), SCHEMA, what=self.name)
        if self._marks() and self.seen() and not self.head():
            return self._damage
        return ""

    def extend(self, acts: Iterator[LoggedAct], head: Head) -> None:
        marked = was = self._mark or _Mark(0, "", {})
        with self._asking() as session:
            database.be_the_one(session.connection(), SCHEMA)
            if not was.size:
                session.exec(delete(LoggedAct))
            while some := list(islice(acts, _AT_ONCE)):
                session.execute(_PUT, {name: [getattr(act, name) for act in some] for name in LoggedAct.model_fields})
                marked = marked.after(some, head)
            marked = marked.after((), head)
            session.merge(head)
            session.flush()
            durable.write(self._path, canonical.dumps([asdict(was), asdict(marked)]))
            session.commit()
        self._mark = marked

    def read(self, kinds: Collection[str], size: int) -> Sequence[tuple[int, bytes]]:
        if (mark := self._mark) is None:  # nothing that it could be held to
            raise Damaged(self._damage)
        with self._asking() as session:
            found = session.exec(_of(kinds, mark.size)).all()
        running: dict[str, str] = {}
        for index, kind, body in found:
            running[kind] = _step(running.get(kind, ""), index, body)
        if running != {kind: mark.kinds[kind] for kind in kinds if kind in mark.kinds}:
            raise Damaged(self._damage)
        return [(index, body) for index, _, body in found if index < size]

    def bodies(self) -> list[bytes]:
        with self._asking() as session:
            return list(session.exec(select(LoggedAct.body).order_by(LoggedAct.index)).all())

    def fault(self) -> str:
        return ""

    def start_again(self) -> None:
        durable.remove(self._path)
        self._mark = None

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def _damage(self) -> str:
        return f"{self.name} and its digests {self._path.name} disagree: one of them was changed; both were"

    def _marks(self) -> list[_Mark]:
        """Those in the file; none where somebody has changed its form, and everything is made again."""
        try:
            return [
                _Mark(each["size"], each["root"], each["kinds"]) for each in canonical.loads(self._path.read_bytes())
            ]
        except (FileNotFoundError, Malformed, KeyError, TypeError):
            return []

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Session]:
        with self._server.answering(self._open()), Session(self._open()) as session:
            yield session

    def _open(self) -> Engine:
        if self._engine is None:
            self._engine = self._server.engine()
        return self._engine


def kind(act: entries.Act | entries.Unknown) -> str:
    """What an act is called, one of a later version too."""
    return getattr(act, "act", type(act).__name__)


def _head_of(log: Log) -> tuple[int, bytes]:
    """Size and root of one head, while other threads may take the log further."""
    while True:
        size, root = log.size, log.root
        if size == log.size:
            return size, root


def _logged(index: int, act: entries.Act) -> LoggedAct:
    return LoggedAct(
        index=index, kind=kind(act), on=act.on, label=getattr(act, "label", ""), body=entries.to_bytes(act)
    )


def _of(kinds: Collection[str], size: int) -> Select:
    return (
        select(LoggedAct.index, LoggedAct.kind, LoggedAct.body)
        .where(LoggedAct.kind.in_(kinds), LoggedAct.index < size)
        .order_by(LoggedAct.index)
    )


def _put() -> Insert:
    """Many acts in one statement, a column at a time: ten times as fast as one statement for each."""
    table = LoggedAct.__table__
    columns = [func.unnest(bindparam(column.name, type_=ARRAY(column.type))) for column in table.columns]
    return insert(table).from_select([column.name for column in table.columns], select(*columns))


_PUT = _put()
