"""Books from before there were marks get them in the migration, and can be proved afterwards as if they always had."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import Engine, inspect, text

from app.models import schema
from app.models.ledger import REFUSALS
from tests.support import databases
from tests.support.tampering import Intruder, Lively, let_everything_pass, unguard
from tests.support.wallet_owner import HOUR, WalletOwner


@pytest.fixture
def engine(empty: Engine) -> Engine:
    return empty


@pytest.fixture
def old(engine: Engine) -> Lively:
    """Books as 0003 kept them: everything that the service does, and then the schema taken back."""
    schema.migrate(engine)
    lively = Lively(WalletOwner(databases.sessions_for(engine))).live()
    lively._freeze(frozen=True)
    lively.owner.now += HOUR
    lively.owner.credit(1, asset="later")
    _add_refund(engine, lively)
    with engine.begin() as connection:
        command.downgrade(schema._config(connection), "0003")
    return lively


def _add_refund(engine: Engine, lively: Lively) -> None:
    """The refund that the reserved coins are for. The migration knows by it that they count for no limit."""
    columns = "slot, id, order_id, payment_id, provider_account, theirs, origin, amount_minor, currency, reason, "
    columns += "policy, status, caller, problem, coins, created_at, queries, next_query_at"
    row = ":slot, :id, 1, 1, 'x', 'x', 'asked', 1, 'CNY', '', 'debt', 'unknown', '', '', '[]', :at, 0, :at"
    values = {"slot": lively.owner.slot, "id": lively.named["refund"], "at": "2026-03-01 00:00:00.000000"}
    with engine.connect() as connection:
        let_everything_pass(connection)
        connection.execute(text(f"INSERT INTO refunds ({columns}) VALUES ({row})"), values)
        connection.commit()
        connection.invalidate()


def _kinds(engine: Engine, slot: int, code: str) -> list[str]:
    query = text(
        "SELECT m.kind FROM marks m JOIN accounts a ON a.slot = m.slot AND a.id = m.account_id "
        "WHERE m.slot = :slot AND a.code = :code AND a.asset IN ('coin', 'none') ORDER BY m.number"
    )
    with engine.connect() as connection:
        return list(connection.execute(query, {"slot": slot, "code": code}).scalars())


def test_old_books_get_their_marks_and_can_be_proved(engine: Engine, old: Lively) -> None:
    assert "marks" not in inspect(engine).get_table_names()
    assert "limited" not in {column["name"] for column in inspect(engine).get_columns("holds")}
    schema.migrate(engine)
    assert old.owner.findings() == []
    kinds = _kinds(engine, old.owner.slot, "wallet")
    assert (kinds.count("held"), kinds.count("reserved")) == (3, 1)
    assert {"released", "finished", "frozen", "unfrozen"} <= set(kinds)
    assert _kinds(engine, old.owner.slot, "refusals") == ["refused"]


def test_work_goes_on_after_the_migration(engine: Engine, old: Lively) -> None:
    schema.migrate(engine)
    old._freeze(frozen=False)
    old.owner.spend(1)
    old.owner.spend(10_000)
    old.owner.credit(5)
    assert old.owner.findings() == []


@pytest.mark.parametrize("what", ["released", "refused", "freeze"])
def test_what_is_older_than_the_marks_is_proved_by_them_too(what: str, engine: Engine, old: Lively) -> None:
    schema.migrate(engine)
    unguard(engine)
    intruder = Intruder(engine, old)
    table = {"released": "holds", "refused": REFUSALS.name, "freeze": "freezes"}[what]
    intruder.run(f"DELETE FROM {table} WHERE slot = :slot AND id = :{what}")
    assert [finding.partition(":")[0] for finding in old.owner.findings()] == [f"{table} {old.named[what]}"]
