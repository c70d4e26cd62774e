"""Uses of lots had rows of their own; after the migration the transfers list them, and the books are proved as before.
The migration can be taken back, and gives rows of both older forms their place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from app.domain.ledger import Lot
from app.models import schema
from app.services.audit.ledger import seal_of_slot
from app.services.base.transaction import read
from tests.support import databases
from tests.support.tampering import Lively
from tests.support.wallet_owner import DAY, WalletOwner

MARKED = "/* sweep: audit */"
LISTED = f"SELECT {MARKED} version, uses FROM transfers WHERE uses IS NOT NULL ORDER BY version"
ROWS = f"SELECT {MARKED} version, lot, position, amount, more FROM lot_uses ORDER BY version, position"


@pytest.fixture
def engine(empty: Engine) -> Engine:
    return empty


@pytest.fixture
def lively(engine: Engine) -> Lively:
    """Books with spends and reversals of several lots."""
    schema.migrate(engine)
    lively = Lively(WalletOwner(databases.sessions_for(engine))).live()
    lively.owner.spend(lively.owner.balance().available)
    lively.owner.credit(10)
    lively.owner.credit(10, lot=Lot(expires_at=lively.owner.now + DAY))
    lively.owner.spend(15, reference="the younger lot first")
    return lively


def _go_back(engine: Engine) -> None:
    with engine.begin() as connection:
        command.downgrade(schema._config(connection), "0039")


def _rows(engine: Engine, wanted: str) -> list[list[Any]]:
    with engine.connect() as connection:
        found = connection.execute(text(wanted)).all()
    return [[json.loads(one) if isinstance(one, str) else one for one in row] for row in found]


def test_books_of_an_older_version_are_proved_with_the_same_seal(engine: Engine, lively: Lively) -> None:
    def seal(session: Any) -> str:
        return seal_of_slot(session, lively.owner.slot)

    listed, sealed = _rows(engine, LISTED), read(lively.owner.sessions, seal)
    assert [4, [[1, 10], [2, 5]]] in listed
    younger = listed[-1][0] - 1
    assert listed[-1][1:] == [[[younger, 10], [younger - 1, 5]]]
    _go_back(engine)
    before = _rows(engine, ROWS)
    assert before[0] == [4, 1, 0, 10, [[2, 5]]]
    assert len(before) == len(listed)
    # As it was until 2026-11-29: a row for each use.
    with engine.begin() as connection:
        on = "" if engine.dialect.name == "sqlite" else " ON lot_uses"
        connection.execute(text(f"DROP TRIGGER lot_uses_no_update{on}"))
        for edit in (
            f"INSERT INTO lot_uses SELECT slot, account_id, version, {younger - 1}, 1, 5, NULL FROM lot_uses "
            f"WHERE lot = {younger}",
            f"UPDATE lot_uses SET more = NULL WHERE lot = {younger}",
        ):
            connection.execute(text(f"{MARKED} {edit}"))
    schema.migrate(engine)
    assert _rows(engine, LISTED) == listed
    assert read(lively.owner.sessions, seal) == sealed
    assert lively.owner.findings() == []


def test_the_guard_stands_again_after_the_migration_and_after_the_way_back(engine: Engine, lively: Lively) -> None:
    for table in ("transfers", "lot_uses"):
        edit = f"UPDATE {MARKED} {table} SET amount = amount + 1 WHERE slot = {lively.owner.slot}"
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(edit))
        if table == "transfers":
            _go_back(engine)


def test_books_without_uses_of_several_lots_are_migrated_too(engine: Engine) -> None:
    schema.migrate(engine)
    owner = WalletOwner(databases.sessions_for(engine))
    owner.credit(5)
    owner.spend(2)
    _go_back(engine)
    schema.migrate(engine)
    assert owner.findings() == []
    assert _rows(engine, LISTED) == []
