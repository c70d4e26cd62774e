"""Somebody with a console of the database: past every guard of ours."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text

from app.models.guards import APPEND_ONLY, IMMUTABLE_COLUMNS


def edit(engine: Engine, *statements: str, **values: Any) -> None:
    """Run the statements, each of which must touch a row, without triggers and foreign keys."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET session_replication_role = replica"))
        else:
            for table in (*APPEND_ONLY, *IMMUTABLE_COLUMNS):
                connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_update"))
                connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_delete"))
            connection.commit()
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        for statement in statements:
            assert connection.execute(text(f"/* sweep: operator */ {statement}"), values).rowcount >= 1, statement
        connection.commit()
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET session_replication_role = DEFAULT"))
            connection.commit()
        else:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
