"""A quick copy of what the log says, in SQLite: acts by kind, date and label, without reading a million entries.

Derived from the log alone and rebuilt from it whenever it is missing, unfinished or damaged; damage is remembered, so
that `verify` can say so. It also remembers the log's head: a log that no longer continues it is refused. Who writes:
whoever finds it behind the log, one process at a time. Nothing but that memory is lost if it is lost. A liar who edits
it and its digest misleads until `verify` compares it with the log, entry by entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import Field, Session, SQLModel, create_engine, select

from provenance import durable, entries
from provenance.errors import Tampered
from provenance.log import Log
from provenance.rows import digest


class LoggedAct(SQLModel, table=True):
    """One entry of the log."""

    index: int = Field(primary_key=True)
    kind: str = Field(index=True)
    on: str = Field(index=True)
    label: str = Field(default="", index=True)
    body: bytes


class Head(SQLModel, table=True):
    """How much of the log the catalogue holds."""

    id: int = Field(default=1, primary_key=True)
    size: int
    root: bytes


class Catalogue:
    """`index/catalogue.sqlite` of an archive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mended = ""  # what was found damaged, and made again from the log
        self._engine: Engine | None = None
        self._checked = False
        self._confirmed: tuple[int, bytes] | None = None  # the head at which it was last found to have all

    def refresh(self, log: Log) -> None:
        """Catch up with the log, or start again where damaged. Raises Tampered on a log that went back."""
        if self._confirmed == (log.size, log.root) or self._is_current(log):
            self._confirmed = log.size, log.root
            return
        with durable.one_writer(self.path.parent):
            if not self._is_current(log):  # another process may have caught up meanwhile
                self._catch_up(log)

    def _is_current(self, log: Log) -> bool:
        self._checked = self._checked or self._is_as_written()
        head = self._head() if self._checked else None
        return head is not None and (head.size, head.root) == (log.size, log.root)

    def _is_as_written(self) -> bool:
        return self.path.exists() and self._mark.exists() and self._mark.read_bytes() == digest(self.path).encode()

    def _catch_up(self, log: Log) -> None:
        if not self._checked:
            if self.path.exists() and self._mark.exists():  # one alone is what a crash leaves
                self.mended = (
                    f"{self._name} and its digest {self._mark.name} disagree: one of them was changed; "
                    "both were made again from the log"
                )
            self._start_again()
            self._checked = True
        head = self._head()
        if head is not None and (head.size > log.size or log.root_at(head.size) != head.root):
            raise Tampered(
                f"log was rolled back or rewritten: it has {log.size} entries, and {self._name} had seen {head.size} "
                f"with root {head.root.hex()}; preserve both, and if this log is the one you want, "
                "remove the folder index"
            )
        if head is None:
            self._start_again()
            head = Head(size=0, root=b"")
        self._mark.unlink(missing_ok=True)  # until it is back, whoever opens the catalogue starts again
        with Session(self._open()) as session:
            for at, act in enumerate(log.acts(head.size, log.size), start=head.size):
                session.add(_logged(at, act))
            session.merge(Head(size=log.size, root=log.root))
            session.commit()
        self.close()
        durable.write(self._mark, digest(self.path).encode())

    def acts(self, kinds: Iterable[str], start: int = 0) -> Sequence[entries.Act]:
        """Acts of these kinds from log index `start` on, in log order."""
        return [act for _, act in self.placed(kinds, start)]

    def placed(self, kinds: Iterable[str], start: int = 0) -> Sequence[tuple[int, entries.Act]]:
        """The same, each with its place in the log."""
        with Session(self._open()) as session:
            found = session.exec(
                select(LoggedAct.index, LoggedAct.body)
                .where(LoggedAct.kind.in_(list(kinds)), LoggedAct.index >= start)
                .order_by(LoggedAct.index)
            ).all()
        return [(index, entries.from_bytes(body)) for index, body in found]

    def place(self, kind: str, label: str) -> int | None:
        """Where in the log the act of this kind and label stands, the last one if there are several."""
        with Session(self._open()) as session:
            return session.exec(
                select(LoggedAct.index)
                .where(LoggedAct.kind == kind, LoggedAct.label == label)
                .order_by(LoggedAct.index.desc())
            ).first()

    def differs(self, log: Log) -> str:
        """What is not as the log has it, "" when all is."""
        if self.mended or not self.path.exists():
            return self.mended
        try:
            if self._mark.exists() and not self._is_as_written():  # without it, the next to open starts again
                return f"{self._name} was changed since it was written"
            with Session(self._open()) as session:
                held = session.exec(select(LoggedAct.body).order_by(LoggedAct.index)).all()
        except (DatabaseError, OSError):
            return f"{self._name} cannot be read"
        finally:
            self.close()
        if len(held) > log.size:  # another process has logged meanwhile, and caught up
            log.refresh()
        if held != list(log.entries(0, min(len(held), log.size))):
            return f"{self._name} says other things than the log"
        return ""

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def _mark(self) -> Path:
        return self.path.with_suffix(".sha256")

    @property
    def _name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    def _head(self) -> Head | None:
        """None where there is none, or none that this version can read."""
        if not self.path.exists():
            return None
        try:
            with Session(self._open()) as session:
                return session.get(Head, 1)
        except DatabaseError:
            return None

    def _open(self) -> Engine:
        if self._engine is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Statements that fail put their values into the message: hidden, they may be labels of cases.
            self._engine = create_engine(f"sqlite:///{self.path}", hide_parameters=True, connect_args={"timeout": 30})
            with self._engine.begin() as connection:
                for table in (LoggedAct.__table__, Head.__table__):
                    connection.execute(CreateTable(table, if_not_exists=True))
                    # `create_all` makes indexes in the order of a set, and the file would differ from run to run.
                    for index in sorted(table.indexes, key=lambda index: index.name):
                        connection.execute(CreateIndex(index, if_not_exists=True))
        return self._engine

    def _start_again(self) -> None:
        self.close()
        for path in (self.path, self.path.with_name(self.path.name + "-journal"), self._mark):
            path.unlink(missing_ok=True)


def _logged(index: int, act: entries.Act) -> LoggedAct:
    return LoggedAct(
        index=index,
        kind=getattr(act, "act", type(act).__name__),
        on=act.on,
        label=getattr(act, "label", ""),
        body=entries.to_bytes(act),
    )
