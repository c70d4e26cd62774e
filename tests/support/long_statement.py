"""A wallet with a long statement, for tests of what is sent while it is read."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import insert

from app.domain.ledger import system, wallet
from app.domain.numbers import slot_of_user
from app.models.ledger import TRANSFERS
from app.services.ledger import accounts
from tests.support.world import World


def write_statement(world: World, user: str, lines: int) -> None:
    """A wallet with so many lines, written straight into the table: who reads them does not look at their chain."""
    slot = slot_of_user(user)
    name = wallet(user, "coin")

    def work(tx: Any) -> None:
        locked = accounts.lock_accounts(tx, [(slot, name), (slot, system("revenue", "coin"))])
        book, revenue = locked.books[slot, name].id, locked.numbers[slot, system("revenue", "coin")]
        row = {
            "slot": slot,
            "book_id": book,
            "debit_id": book,
            "credit_id": revenue,
            "amount": 1,
            "balance": 1,
            "created_at": tx.now,
            "hash": b"",
            "kind": "spend",
            "note": "n" * 200,
        }
        versions = range(1, lines + 1)
        rows = [{**row, "version": v, "id": uuid.UUID(int=uuid.uuid4().int & ~0xFFF | slot)} for v in versions]
        tx.execute(insert(TRANSFERS), rows)

    world.core.whole.transact(work)
