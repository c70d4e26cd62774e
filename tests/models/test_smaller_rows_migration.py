"""Facts of before their words were compressed are proved after the migration; and the migration can be taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, text

from app.domain.raw_documents import words_in
from app.domain.seals import Seals
from app.models import schema
from app.models.orders import FACTS
from app.models.slot_guard import sweep
from tests.support import databases
from tests.support.facts import paid_fact, told
from tests.support.world import World, build_world

WORDS: dict[str, Any] = {"trade_no": "T 1", "detail": ["ü 㐀", 1, 2.5, None, {"deep": "\\ \" '"}]}


@pytest.fixture
def engine(empty: Engine) -> Engine:
    return empty


@pytest.fixture
def world(engine: Engine) -> World:
    """A paid order."""
    schema.migrate(engine)
    world = build_world(engine, databases.sessions_for(engine))
    told(world, paid_fact(world, world.order().payments[0].id, raw=WORDS))
    return world


def facts(world: World) -> list[dict[str, Any]]:
    wanted = FACTS.select().prefix_with(sweep("audit"))
    return [row._asdict() for row in world.core.whole.read(lambda tx: tx.execute(wanted).all())]


def test_facts_of_an_older_version_keep_their_words_and_their_seals(engine: Engine, world: World) -> None:
    before = {row["id"]: words_in(row["raw"]) for row in facts(world)}
    assert WORDS in before.values()
    sealed = {row["id"]: Seals().of_row("facts", row | {"raw": before[row["id"]]}) for row in facts(world)}
    with engine.begin() as connection:
        command.downgrade(schema._config(connection), "0029")
    with engine.begin() as connection:
        found = connection.execute(text("/* sweep: audit */ SELECT id, raw FROM facts")).all()
        as_json = {row.id: json.loads(row.raw) if isinstance(row.raw, str) else row.raw for row in found}
        assert as_json == before
        for number, seal in sealed.items():
            connection.execute(
                text("/* sweep: audit */ UPDATE facts SET seal = :seal WHERE id = :id"), {"seal": seal, "id": number}
            )
    schema.migrate(engine)
    assert {row["id"]: words_in(row["raw"]) for row in facts(world)} == before
    world.assert_balanced()
