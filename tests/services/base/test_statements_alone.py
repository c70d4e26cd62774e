"""Statements of which each is a transaction of its own, on connections that transactions use before and after."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, delete, select

from app.models.catalogue import ProviderKey
from app.services.base.statements import Statement, Transaction
from app.services.base.transaction import Sessions, alone, read, transact
from app.services.base.upsert import insert_if_new, insertion_if_new

_k = ProviderKey.__table__.c
_FORGET = Statement(delete(ProviderKey).where(_k.name == "written-alone"))
_INSERT = insertion_if_new(ProviderKey.__table__)


def _row(name: str) -> dict[str, object]:
    stored_at = datetime(2026, 1, 2, tzinfo=UTC)
    return {"provider_account": "a", "name": name, "value": b"1", "expires_at": None, "stored_at": stored_at}


def _names(sessions: Sessions) -> list[str]:
    return sorted(read(sessions, lambda tx: list(tx.scalars(select(_k.name)))))


def _undone(sessions: Sessions) -> None:
    """A transaction that writes, and fails."""

    def work(tx: Transaction) -> None:
        insert_if_new(tx, ProviderKey.__table__, _row("undone"))
        raise LookupError

    with pytest.raises(LookupError):
        transact(sessions, work)


@pytest.mark.one_database
def test_a_statement_alone_stays_and_the_next_transaction_can_be_undone(sessions: Sessions, engine: Engine) -> None:
    alone(sessions, lambda tx: _INSERT.run(tx, [_row("written-alone")]), Transaction)
    _undone(sessions)
    assert _names(sessions) == ["written-alone"]


@pytest.mark.one_database
def test_what_fails_after_a_statement_alone_undoes_no_statement(sessions: Sessions) -> None:
    def work(tx: Transaction) -> None:
        _INSERT.run(tx, [_row("written-alone")])
        raise LookupError

    with pytest.raises(LookupError):
        alone(sessions, work, Transaction)
    _undone(sessions)
    assert _names(sessions) == ["written-alone"]
    assert alone(sessions, lambda tx: _FORGET.count(tx, {}), Transaction) == 1
    assert _names(sessions) == []
