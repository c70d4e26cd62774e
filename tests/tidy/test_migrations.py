"""What the migrations build is what the models say, on both databases."""

from __future__ import annotations

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from app import models
from app.models import schema
from app.models.base import Base
from tests.support import databases


def test_the_migrations_build_exactly_what_the_models_say(empty: Engine) -> None:
    assert models
    schema.migrate(empty)
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": databases.type_differs})
        assert compare_metadata(context, Base.metadata) == []


def test_constraints_views_and_guards_are_the_same_too(empty: Engine, request: pytest.FixtureRequest) -> None:
    """What autogenerate does not compare: CHECKs, triggers, views."""
    schema.migrate(empty)
    migrated = _shape(empty)
    with empty.begin() as connection:
        for view in inspect(connection).get_view_names():
            connection.execute(text(f"DROP VIEW {view}"))
        connection.execute(text("DROP TABLE alembic_version"))
    Base.metadata.drop_all(empty)
    Base.metadata.create_all(empty)
    assert migrated == _shape(empty)


def _shape(engine: Engine) -> dict[str, object]:
    with engine.connect() as connection:
        found = inspect(connection)
        tables = [table for table in found.get_table_names() if table != "alembic_version"]
        if engine.dialect.name == "sqlite":
            triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        else:
            triggers = connection.execute(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")).scalars().all()
        return {
            "views": sorted(found.get_view_names()),
            "triggers": sorted(triggers),
            **{
                table: sorted((check["name"], _plain(check["sqltext"])) for check in found.get_check_constraints(table))
                for table in tables
            },
        }


def _plain(sql: str) -> str:
    return re.sub(r"[\s()\"]+", "", sql)


def test_migrating_twice_changes_nothing_and_tells_where_it_stands(empty: Engine) -> None:
    assert schema.current(empty) is None
    assert schema.migrate(empty) == schema.migrate(empty) == schema.newest() == schema.current(empty)


def test_there_is_one_line_of_migrations_with_names_in_order() -> None:
    scripts = ScriptDirectory(str(schema.FOLDER))
    assert len(scripts.get_heads()) == 1
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    files = sorted(path.name for path in (schema.FOLDER / "versions").glob("[0-9]*.py"))
    assert [name.split("_")[0] for name in files] == revisions
