"""Brings a database to the newest schema, and tells whether it is there."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from app.models import distribution
from app.models.slot_watch import MIGRATION_LOCK

FOLDER = Path(__file__).resolve().parents[2] / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The one head of the migrations."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError(f"no migrations in {FOLDER}")
    return head


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None when it is empty."""
    with engine.connect() as connection:
        return revision_of(connection)


def revision_of(connection: Connection) -> str | None:
    """The revision that this connection's database is at; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(engine: Engine) -> str:
    """Run what is missing; the revision reached. Safe to repeat, and to run by two at once (the second waits). In a
    cluster, new tables go to their nodes in the same transaction."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(MIGRATION_LOCK)
        in_cluster = distribution.is_cluster(connection)
        if in_cluster:
            distribution.prepare_changes(connection)
        command.upgrade(_config(connection), "head")
        if in_cluster:
            distribution.distribute_in(connection)
    return newest()
