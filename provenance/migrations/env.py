"""What Alembic runs: the migrations of one schema, in the transaction that `database.prepared` has begun."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table=context.config.attributes["stamp"])
context.run_migrations()
