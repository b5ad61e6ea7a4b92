"""The catalogue as release 1.0.0 had it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    op.create_table(
        "loggedact",
        sa.Column("index", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("on", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    for column in ("kind", "label", "on"):
        op.create_index(f"ix_loggedact_{column}", "loggedact", [column])
    op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
    )
