"""A quick copy of what the log says, in SQLite: acts by kind, date and label, without reading a million entries.

Derived from the log alone and rebuilt from it whenever it is behind, missing or damaged. Who writes: whoever appended to the log. Nothing is
lost if it is lost. A liar who edits it misleads until `verify` compares it with the log, entry by entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError
from sqlmodel import Field, Session, SQLModel, create_engine, select

from provenance import durable, entries
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
        self._engine: Engine | None = None

    def refresh(self, log: Log) -> None:
        """Catch up with the log; start again where the catalogue holds something else."""
        try:
            head = self._head()
        except DatabaseError:
            head = None
        if head is not None and (head.size, head.root) == (log.size, log.root):
            return
        if head is None or head.size >= log.size:
            self._start_again()
            head = Head(size=0, root=b"")
        with Session(self._open()) as session:
            for at, act in enumerate(log.acts(head.size, log.size), start=head.size):
                session.add(_logged(at, act))
            session.merge(Head(size=log.size, root=log.root))
            session.commit()
        self.close()
        durable.write(self._mark, digest(self.path).encode())

    def acts(self, kinds: Iterable[str], start: int = 0) -> Sequence[entries.Act]:
        """Acts of these kinds from log index `start` on, in log order."""
        with Session(self._open()) as session:
            found = session.exec(
                select(LoggedAct.body)
                .where(LoggedAct.kind.in_(list(kinds)), LoggedAct.index >= start)
                .order_by(LoggedAct.index)
            ).all()
        return [entries.from_bytes(body) for body in found]

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
        if not self.path.exists():
            return ""
        try:
            if self._mark.read_bytes().decode() != digest(self.path):
                return f"{self.path.name} was changed since it was written"
            with Session(self._open()) as session:
                held = session.exec(select(LoggedAct.body).order_by(LoggedAct.index)).all()
        except (DatabaseError, OSError, UnicodeDecodeError):
            return f"{self.path.name} cannot be read"
        finally:
            self.close()
        if held != list(log.entries(0, len(held))):
            return f"{self.path.name} says other things than the log"
        return ""

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def _mark(self) -> Path:
        return self.path.with_suffix(".sha256")

    def _head(self) -> Head | None:
        if not self.path.exists():
            return None
        with Session(self._open()) as session:
            return session.get(Head, 1)

    def _open(self) -> Engine:
        if self._engine is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Statements that fail put their values into the message: hidden, they may be labels of cases.
            self._engine = create_engine(f"sqlite:///{self.path}", hide_parameters=True, connect_args={"timeout": 30})
            SQLModel.metadata.create_all(self._engine, tables=[LoggedAct.__table__, Head.__table__])
        return self._engine

    def _start_again(self) -> None:
        self.close()
        for path in (self.path, self.path.with_name(self.path.name + "-journal"), self._mark):
            path.unlink(missing_ok=True)


def _logged(index: int, act: entries.Act) -> LoggedAct:
    return LoggedAct(
        index=index, kind=getattr(act, "act", type(act).__name__), on=act.on, label=getattr(act, "label", ""), body=entries.to_bytes(act)
    )
