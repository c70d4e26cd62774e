"""Runs migrations on the engine that the caller brings (`attributes["connection"]`), one transaction for all."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from app import models  # noqa: F401 - fills the metadata
from app.models.base import Base

connection: Connection | None = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations through `tillbook migrate`")
context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True, render_as_batch=False)
if connection.dialect.name == "postgresql":
    # As long as the books are large. How long one waits for a lock stays bounded.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
with context.begin_transaction():
    context.run_migrations()
