"""Who is signed on: `sessions.sqlite` in the key folder, beside the archive and in none of its copies; or, where the
key file `database` names one, tables on a PostgreSQL server.

A session is 32 random bytes in a cookie, of which the SHA-256 alone is kept: who reads the file can take over nobody's.
It ends when it was idle too long, when it has lasted long enough, and at once when it is ended. Signing on always
begins another one. Before that there may be one of nobody's, which carries what a sign-on under way has to remember.

Who writes: the web application, in any number of processes. If it is lost, everybody signs on again. Each session is
under a seal, whose key is the key file `sessions.key`: a liar who could edit the tables, as whoever runs the server
can, could end sessions, keep one from growing idle and have more passwords tried, but sign on as nobody. The clock is
the caller's: every moment here is seconds since 1970.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Index, event
from sqlmodel import Field, SQLModel, create_engine, delete, func, select
from sqlmodel import Session as Transaction

from provenance import canonical, database, durable
from provenance.database import Schema, Server, Wide
from provenance.errors import Malformed, Refused
from provenance.keys import read_own
from provenance.web.settings import AttemptLimits, SessionLimits

FILE, SEAL = "sessions.sqlite", "sessions.key"
NOBODY_MINUTES = 10  # how long somebody may take over signing on
_ID = 32  # bytes


class TooMany(Refused):
    """Asked too often: try again after so many seconds."""

    def __init__(self, message: str, after: int) -> None:
        super().__init__(message)
        self.after = after


class Kept(SQLModel, table=True):
    """One session."""

    __tablename__ = "session"
    digest: bytes = Field(primary_key=True)  # SHA-256 of what the cookie holds
    user: str = Field(index=True)  # "": nobody yet
    began: int = Field(sa_type=Wide)
    seen: int = Field(sa_type=Wide)
    window: int = Field(sa_type=Wide)  # the minute that `asked` counts
    asked: int = Field(sa_type=Wide)
    pending: bytes  # canonical JSON: what a sign-on under way remembers
    seal: bytes = Field(sa_column_kwargs={"server_default": ""})  # HMAC-SHA256 over all that says whose it is


class Attempt(SQLModel, table=True):
    """Somebody tried to sign on. What is kept of name and address is a digest: neither is needed."""

    __tablename__ = "attempt"
    __table_args__ = (Index("attempt_about", "about", "at"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=Wide)
    about: bytes
    at: int = Field(sa_type=Wide)


SCHEMA = Schema("sessions", (Kept, Attempt), "0002")


@dataclass(frozen=True, slots=True)
class Session:
    """A session, in the hands of the request that brought its cookie."""

    id: bytes  # what the cookie holds: never stored, never logged
    user: str
    began: int
    pending: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Session({self.digest.hex()[:8]})"

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.id).digest()

    @property
    def token(self) -> str:
        """What a form of this session carries, and no other site can know. A key of its own is not needed: whoever
        has the id has the session."""
        return hmac.new(self.id, b"form", hashlib.sha256).hexdigest()

    def is_token(self, said: str) -> bool:
        """In the same time, whatever was said."""
        return hmac.compare_digest(self.token.encode(), said.encode("utf-8", "surrogatepass"))


class Sessions:
    """The sessions of one installation."""

    def __init__(self, keys: Path, limits: SessionLimits, attempts: AttemptLimits) -> None:
        self._keys, self.limits, self.attempts = keys, limits, attempts
        self._server = Server.chosen(keys)
        self._engine: Engine | None = None
        self._seal = b""
        self._opening = threading.Lock()

    def begin(
        self, user: str, *, at: int, pending: Mapping[str, str] | None = None, before: Session | None = None
    ) -> Session:
        """A new session of this person; the one before, whoever's it was, is over."""
        begun = Session(draw(), user, at, dict(pending or {}))
        with self._writing() as transaction:
            if before is not None:
                transaction.exec(delete(Kept).where(Kept.digest == before.digest))
            self._sweep(transaction, at)
            kept = Kept(
                digest=begun.digest, user=user, began=at, seen=at, window=at // 60, asked=0,
                pending=canonical.dumps(begun.pending), seal=b"",
            )  # fmt: skip
            kept.seal = self._sealed(kept)
            transaction.add(kept)
        return begun

    def find(self, id: bytes, *, at: int) -> Session | None:
        """The session of a cookie, if it is not over, and note that it was seen.

        Raises TooMany when it asks more often than it may.
        """
        digest = hashlib.sha256(id).digest()
        with self._writing() as transaction:
            kept = transaction.get(Kept, digest)
            if kept is None:
                return None
            if self._is_over(kept, at) or not hmac.compare_digest(kept.seal, self._sealed(kept)):
                transaction.delete(kept)
                return None
            kept.asked = kept.asked + 1 if kept.window == at // 60 else 1
            kept.window, kept.seen = at // 60, max(kept.seen, at)
            found, asked = Session(id, kept.user, kept.began, canonical.loads(kept.pending)), kept.asked
        if asked > self.limits.requests_per_minute:
            raise TooMany(
                f"session asks more often than {self.limits.requests_per_minute} times a minute: wanted a pause",
                60 - at % 60,
            )
        return found

    def settle(self, session: Session) -> bool:
        """Take what a sign-on under way remembers: true once, and for whoever comes first."""
        with self._writing() as transaction:
            kept = transaction.get(Kept, session.digest)
            if kept is None or kept.pending == b"{}":
                return False
            kept.pending = b"{}"
            kept.seal = self._sealed(kept)
            return True

    def end(self, session: Session) -> None:
        with self._writing() as transaction:
            transaction.exec(delete(Kept).where(Kept.digest == session.digest))

    def end_all(self, user: str) -> int:
        """End every session of this person; how many there were."""
        if self._server is None and not (self._keys / FILE).exists():
            return 0
        with self._writing() as transaction:
            return transaction.exec(delete(Kept).where(Kept.user == user)).rowcount

    def end_everybody(self) -> None:
        """End every session: who signs on does so where sessions are looked for from now on."""
        with self._writing() as transaction:
            transaction.exec(delete(Kept))

    def count(self) -> int:
        """How many there are, of nobody's too, and of those that are over and not yet swept away."""
        with self._writing() as transaction:
            return transaction.exec(select(func.count()).select_from(Kept)).one()

    def attempt(self, user: str, address: str, *, at: int) -> None:
        """Note that somebody tries to sign on, before it is looked at. Raises TooMany, by whose name or from where.

        One transaction counts and notes, so that many tries at once do not slip through together. A try that is turned
        away here is not counted: who never stops trying would otherwise lock the right person out for good.
        """
        limits, start = self.attempts, at - 60 * self.attempts.window_minutes
        wanted = [("user", user, limits.per_user)] if user else []
        wanted.append(("address", address, limits.per_address))
        with self._writing() as transaction:
            transaction.exec(delete(Attempt).where(Attempt.at <= start))
            for what, name, most in wanted:
                about = _about(what, name)
                tried = transaction.exec(select(func.count(), func.min(Attempt.at)).where(Attempt.about == about)).one()
                if tried[0] >= most:
                    raise TooMany(
                        f"sign-on was tried {most} times in {limits.window_minutes} minutes for this {what}: "
                        "wanted a pause",
                        tried[1] - start,
                    )
            transaction.add_all(Attempt(about=_about(what, name), at=at) for what, name, _ in wanted)

    def forgive(self, user: str, address: str) -> None:
        """Who signed on well did not guess: tries under their name are forgotten, and this one from their address.

        The others from there stay: they may be somebody else's, and many may share an address.
        """
        with self._writing() as transaction:
            transaction.exec(delete(Attempt).where(Attempt.about == _about("user", user)))
            last = transaction.exec(
                select(func.max(Attempt.id)).where(Attempt.about == _about("address", address))
            ).one()
            transaction.exec(delete(Attempt).where(Attempt.id == last))

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _is_over(self, kept: Kept, at: int) -> bool:
        lifetime = self.limits.lifetime_minutes if kept.user else NOBODY_MINUTES
        return at - kept.began >= 60 * lifetime or at - kept.seen >= 60 * self.limits.idle_minutes

    def _sweep(self, transaction: Transaction, at: int) -> None:
        """Those that nobody will ever bring again."""
        limits = self.limits
        transaction.exec(
            delete(Kept).where(
                (Kept.began <= at - 60 * limits.lifetime_minutes)
                | (Kept.seen <= at - 60 * limits.idle_minutes)
                | ((Kept.user == "") & (Kept.began <= at - 60 * NOBODY_MINUTES))
            )
        )

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        """All or nothing, with nobody writing in between."""
        with self._opening:
            if self._engine is None:
                self._engine = self._opened()
        with self._answering(self._engine), Transaction(self._engine) as transaction:
            database.be_the_one(transaction.connection(), SCHEMA)
            yield transaction
            transaction.commit()

    def _answering(self, engine: Engine) -> AbstractContextManager[None]:
        return self._server.answering(engine) if self._server else nullcontext()

    def _opened(self) -> Engine:
        engine = self._server.engine() if self._server else _in_file(self._keys / FILE)
        what = f"database {self._server.place}" if self._server else f"key file {FILE}"
        with self._answering(engine):
            database.prepared(engine, SCHEMA, what=what)
        self._seal = _seal_key(self._keys)
        return engine

    def _sealed(self, kept: Kept) -> bytes:
        said = [kept.digest.hex(), kept.user, kept.began, kept.pending.decode()]
        return hmac.digest(self._seal, canonical.dumps(said), "sha256")


def draw() -> bytes:
    """What nobody can guess."""
    return os.urandom(_ID)


def _about(what: str, name: str) -> bytes:
    return hashlib.sha256(canonical.dumps([what, name])).digest()


def _seal_key(keys: Path) -> bytes:
    """The key under which sessions are sealed, drawn by whoever comes first."""
    path = keys / SEAL
    if not path.exists():
        with durable.one_writer(keys):
            if not path.exists():
                durable.write(path, os.urandom(_ID), mode=0o600)
    key = read_own(path)
    if len(key) != _ID:
        raise Malformed(f"key file {SEAL} has {len(key)} bytes: wanted {_ID}; removed, everybody signs on again")
    return key


def _in_file(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives its own files beside it the same mode
    if path.stat().st_mode & 0o077:
        raise Refused(f"key file {path.name} may be read or written by others: wanted mode 0600")
    engine = create_engine(f"sqlite:///{path}", hide_parameters=True, connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # sqlite3 begins nothing by itself: see below
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may take the last sessions, and no more

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # else two that read first and then write refuse one another

    return engine
