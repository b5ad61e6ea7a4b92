"""On a server, where two archives could share a database: which log the acts are of; places beyond 32 bits.

No question asks for acts by their moment: that index was work at each act for nobody.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.drop_index("ix_loggedact_on", "loggedact")
    op.add_column("head", sa.Column("origin", sa.String, nullable=False, server_default=""))
    if op.get_context().dialect.name == "postgresql":  # SQLite's whole numbers have 64 bits already
        op.alter_column("loggedact", "index", type_=sa.BigInteger)
        op.alter_column("head", "size", type_=sa.BigInteger)
        op.execute("ALTER SEQUENCE loggedact_index_seq AS bigint")
