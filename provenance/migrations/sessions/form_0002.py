"""Each session under a seal, so that who can write to the tables is not who says who is signed on; moments after 2038.

Nobody here has the key to seal what is there: whoever is signed on signs on once more. Tries that failed still count.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.execute("DELETE FROM session")
    op.add_column("session", sa.Column("seal", sa.LargeBinary, nullable=False, server_default=sa.text("''")))
    if op.get_context().dialect.name == "postgresql":  # SQLite's whole numbers have 64 bits already
        for column in ("began", "seen", "window", "asked"):
            op.alter_column("session", column, type_=sa.BigInteger)
        for column in ("id", "at"):
            op.alter_column("attempt", column, type_=sa.BigInteger)
        op.execute("ALTER SEQUENCE attempt_id_seq AS bigint")
