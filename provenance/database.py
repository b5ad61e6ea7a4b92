"""Where tables lie: in files beside what they are about, or all on one PostgreSQL server.

The key file `database` names the server: `postgresql://USER:PASSWORD@HOST:PORT/NAME`. It lies with the keys, since it
has a password and every door has to go by the same answer: a page that looked for sessions where no command ends them
would let in whoever was shut out. Without the file there is no server. A server on another machine is spoken to over
TLS alone, and believed by the machine's authorities or by those in the key file `database.pem`.

Who writes the tables: the modules whose tables they are, each in transactions that nobody else's cut into; and
`prepared`, which makes them and brings those of an earlier release to their present form (`migrations/`). If the server
is lost, so is who is signed on, and nothing else. What a liar who could edit them could make us believe is for these
modules to say; nothing here believes a table.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from ipaddress import ip_address
from pathlib import Path

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import SQLModel

from provenance.errors import Malformed, Missing
from provenance.keys import read_own

FILE, AUTHORITIES = "database", "database.pem"
SCHEME = "postgresql"
# Whole numbers that may outgrow 32 bits; SQLite's own have 64, and only under this name does it count rows up.
Wide = BigInteger().with_variant(Integer, "sqlite")
_PATIENCE = 30  # seconds that a server may take over one statement
_FIRST = "0001"  # the form of tables that say none: those of release 1.0.0


class Unreached(Missing):
    """The server does not answer, or not as it should: what is asked of it waits until it does."""


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables that belong together, and their form."""

    name: str  # of the folder of their migrations
    tables: tuple[type[SQLModel], ...]
    form: str  # the revision that they have here

    @property
    def lock(self) -> int:
        """What whoever writes to them holds on a server."""
        return int.from_bytes(hashlib.sha256(f"provenance {self.name}".encode()).digest()[:8], "big", signed=True)

    @property
    def stamp(self) -> Table:
        """The table that says which form they have, as Alembic keeps it."""
        column = Column("version_num", String(32), primary_key=True, nullable=False)
        return Table(f"{self.name}_form", MetaData(), column)


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server, and how it is reached. It never shows its password: not in `repr`, not in an error."""

    url: URL
    authorities: Path | None = None

    @classmethod
    def named(cls, said: str, keys: Path) -> Server:
        """The server of a URL. Raises Malformed, which says nothing of what stood there."""
        form = "postgresql://USER:PASSWORD@HOST:PORT/NAME, or ?host=/FOLDER for the socket in a folder"
        try:
            url = make_url(said.strip())
            socket = url.query.get("host", "/")
            whole = url.drivername == SCHEME and url.username and url.database and set(url.query) <= {"host"}
            if not whole or bool(url.host) == bool(url.query) or not str(socket).startswith("/"):
                raise ValueError
        except (ArgumentError, NoSuchModuleError, ValueError):
            raise Malformed(f"address of the database is not in its form: wanted {form}") from None
        authorities = keys / AUTHORITIES
        return cls(url, authorities if authorities.exists() else None)

    @classmethod
    def chosen(cls, keys: Path) -> Server | None:
        """That of the key file, None without one. Raises Refused when others may read it, and Malformed."""
        if not (keys / FILE).exists():
            return None
        try:
            return cls.named(read_own(keys / FILE).decode(), keys)
        except UnicodeDecodeError:
            raise Malformed(f"key file {FILE} is not as it was written: wanted `provenance database use`") from None

    @property
    def place(self) -> str:
        """Where it is, for people: no user and no password."""
        where = self.url.host or str(self.url.query["host"])
        return f"{where}{f':{self.url.port}' if self.url.port else ''}/{self.url.database}"

    def engine(self) -> Engine:
        """A way to it; nothing is asked of it yet. Raises Missing where its driver is not installed."""
        to = {"timeout": _PATIENCE, "application_name": "provenance"}
        if socket := self.url.query.get("host"):
            to["unix_sock"] = f"{socket}/.s.PGSQL.{self.url.port or 5432}"
        elif not _is_here(self.url.host or ""):
            to["ssl_context"] = ssl.create_default_context(cafile=self.authorities)
        url = self.url.set(drivername=f"{SCHEME}+pg8000", query={})
        # A connection that was cut off cannot be closed in order: no reason for a traceback, since what asks is told.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
        try:
            # Values of statements that fail may name people. A connection is tried before use: servers are restarted.
            return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=to)
        except ModuleNotFoundError:
            raise Missing("driver of PostgreSQL is not installed: wanted the extra, provenance[postgresql]") from None

    @contextmanager
    def answering(self, engine: Engine) -> Iterator[None]:
        """Raises Unreached for what goes wrong with the server, whose own words may quote a value and stay here."""
        try:
            yield
        except (DBAPIError, ConnectionError, TimeoutError, ssl.SSLError) as error:  # the driver lets some of these pass
            engine.dispose()  # what was open goes nowhere now
            raise Unreached(
                f"database {self.place} does not answer as it should ({_reason(error)}): wanted it running and open "
                "to this user, then the same again; what was logged is safe"
            ) from None

    def __repr__(self) -> str:
        return f"Server({self.place})"


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(error: BaseException) -> str:
    """The SQLSTATE that the server gave, which is a code of five characters; else the kind of error."""
    inner = error.orig if isinstance(error, DBAPIError) and error.orig else error
    said = inner.args[0] if inner.args else ""
    return f"SQLSTATE {said['C']}" if isinstance(said, dict) and "C" in said else type(inner).__name__


def is_served(engine: Engine) -> bool:
    """Whether an engine's tables lie on a server, and not in a file."""
    return engine.dialect.name == SCHEME


def be_the_one(connection: Connection, schema: Schema) -> None:
    """On a server, wait to be the only one to write to these tables until the transaction ends, however it ends."""
    if is_served(connection.engine):
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": schema.lock})


def form(connection: Connection, schema: Schema) -> str:
    """Which form the tables have: "" where there are none."""
    present = set(inspect(connection).get_table_names())
    if schema.stamp.name in present:
        return connection.execute(select(schema.stamp.c.version_num)).scalar() or _FIRST
    return _FIRST if present & {each.__tablename__ for each in schema.tables} else ""


def prepared(engine: Engine, schema: Schema, *, what: str) -> None:
    """Make the tables where there are none, and bring those of an earlier release to the present form.

    All or nothing, and one at a time. Raises Malformed on a form that this version does not know.
    """
    with engine.connect() as connection:
        if form(connection, schema) == schema.form:
            return
    with engine.begin() as connection:
        be_the_one(connection, schema)
        found = form(connection, schema)
        if not found:
            _make(connection, schema)
        elif found != schema.form:
            _migrate(connection, schema, found, what)


def _make(connection: Connection, schema: Schema) -> None:
    for model in schema.tables:
        table = SQLModel.metadata.tables[model.__tablename__]
        connection.execute(CreateTable(table))
        # `create_all` makes indexes in the order of a set, and a file would differ from run to run.
        for index in sorted(table.indexes, key=lambda index: index.name):
            connection.execute(CreateIndex(index))
    connection.execute(CreateTable(schema.stamp))
    connection.execute(insert(schema.stamp).values(version_num=schema.form))


def _migrate(connection: Connection, schema: Schema, found: str, what: str) -> None:
    # A fifth of a second to import, for what happens once in the life of a release.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    folder = resources.files("provenance").joinpath("migrations")
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder / schema.name).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        ScriptDirectory.from_config(config).get_revision(found)
    except CommandError:
        raise Malformed(
            f"{what} is of form {found[:32]}: this version knows forms up to {schema.form}; wanted the version that "
            "wrote it, or a later one"
        ) from None
    if not inspect(connection).has_table(schema.stamp.name):
        connection.execute(CreateTable(schema.stamp))
        connection.execute(insert(schema.stamp).values(version_num=found))
    config.attributes |= {"connection": connection, "stamp": schema.stamp.name}
    command.upgrade(config, schema.form)
