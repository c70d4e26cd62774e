"""A user to whom everything has happened that the ledger knows, and somebody who gets at the database directly."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, text

from app.domain.ledger import Lot, Posted, Transfer, system
from app.domain.spending import Capture, HoldRequest
from app.models.base import Base
from app.models.guards import APPEND_ONLY, IMMUTABLE_COLUMNS
from app.services.ledger import clawback, freezes, post
from app.services.ledger.expiry import DueLots, settle_due
from app.services.ledger.freezes import Change
from app.services.ledger.hold_rows import Held
from app.services.ledger.holds import capture, hold, release
from app.services.ledger.reversals import Reverse, reverse
from tests.support.wallet_owner import DAY, HOUR, WalletOwner

WEEK = 7 * 24 * 3600


@dataclass
class Lively:
    """A bit of everything. Versions of the wallet: lots are made by 1, 2, 3 and 6; the last is the open one."""

    owner: WalletOwner
    named: dict[str, Any] = field(default_factory=dict)
    """Numbers and ids of rows, by short names."""

    def live(self) -> Lively:
        owner = self.owner
        owner.credit(10, lot=Lot(expires_at=owner.now + DAY))  # 1
        owner.credit(10, lot=Lot(bonus=True))  # 2
        owner.credit(100, lot=Lot(bonus=False, payment="P1", product="pack", value_minor=600, currency="CNY"))  # 3
        several = owner.spend(15, reference="order-1")  # 4: lots 1 and 2
        owner.spend(2)  # 5: lot 2
        owner.credit(9, lot=Lot(bonus=True, expires_at=owner.now + DAY))  # 6
        finished = self._hold("finished", 5)
        owner.do(capture, Capture(finished, "c", 2, final=True))  # 7: lot 6
        assert isinstance(several, Posted)
        owner.do(reverse, Reverse(several.id, "r", "mistake", "ann", 3))  # 8
        self._hold("open", 4)
        owner.do(release, self._hold("released", 6))
        self.named["refund"] = 4096 + owner.slot
        owner.do(clawback.reserve, owner.wallet(), 3, self.named["refund"])
        self.named["refused"] = owner.spend(10_000, reference="order-2").id
        owner.credit(50, asset="gem")
        self.named["freeze"] = self._freeze(frozen=True)
        self._freeze(frozen=False)
        owner.now += 2 * DAY
        # Not the worker's sweep over all slots: it would stumble over what other tests have broken.
        due = DueLots(owner.slot, owner.wallet())
        owner.books.transact(lambda tx: settle_due(tx, due))
        paid = Transfer(f"p {owner.user}", "1", system("clearing:x", "CNY"), system("sales", "CNY"), 600, "payment")
        owner.do(post, [paid])
        owner.spend(20)
        owner.now += HOUR
        owner.spend(1)
        return self

    def _hold(self, name: str, amount: int) -> uuid.UUID:
        held = self.owner.do(hold, HoldRequest(self.owner.user, "coin", amount, name, WEEK, reference=name))
        assert isinstance(held, Held)
        self.named[name] = held.id
        return held.id

    def _freeze(self, *, frozen: bool) -> int:
        owner = self.owner
        change = Change(owner.user, "live", None, frozen, "a look at it", "operator:ann")
        return owner.books.transact(lambda tx: freezes.apply(tx, owner.slot, change))


def unguard(engine: Engine) -> None:
    """Get past the triggers."""
    with engine.begin() as connection:
        for table in (*APPEND_ONLY, *IMMUTABLE_COLUMNS):
            for guard in ("no_update", "no_delete"):
                on = f" ON {table}" if engine.dialect.name == "postgresql" else ""
                connection.exec_driver_sql(f"DROP TRIGGER {table}_{guard}{on}")


def let_everything_pass(connection: Connection) -> None:
    """No triggers and foreign keys on PostgreSQL, no foreign keys and CHECK constraints on SQLite."""
    raw = connection.connection.dbapi_connection
    if isinstance(raw, sqlite3.Connection):
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("PRAGMA ignore_check_constraints=ON")
    else:
        connection.execute(text("SET session_replication_role = replica"))


class Intruder:
    """Runs SQL past what the database itself would refuse."""

    def __init__(self, engine: Engine, lively: Lively) -> None:
        self.engine = engine
        self.slot = lively.owner.slot
        self.sqlite = engine.dialect.name == "sqlite"
        self.values = {**lively.named, **self._numbers(), "slot": self.slot, "bytes": b"\x01" * 32}
        self.values["other_slot"] = next(slot for slot in range(4095, 0, -1) if slot not in WalletOwner._slots)
        WalletOwner._slots.add(self.values["other_slot"])
        # Greater than any other: subjects are proved in the order of their ids, and a row that was given another id is
        # two findings, of which the one under its own id then comes first.
        self.values["other_id"] = uuid.UUID(int=(2**128 - 1) & ~0xFFF | self.slot)

    def run(self, edit: str) -> None:
        """Exactly one row, or the test says nothing."""
        used = {name: self._as_stored(value) for name, value in self.values.items() if f":{name}" in edit}
        with self.engine.connect() as connection:
            let_everything_pass(connection)
            assert connection.execute(text(f"/* sweep: audit */ {edit}"), used).rowcount == 1, edit
            connection.commit()
            connection.invalidate()

    def copy(self, table: str, where: str, changes: Mapping[str, str]) -> str:
        """The INSERT of a copy of one row."""
        columns = [column.name for column in Base.metadata.tables[table].columns]
        listed = ", ".join(f'"{column}"' for column in columns)
        chosen = ", ".join(changes.get(column, f'"{column}"') for column in columns)
        return f"INSERT INTO {table} ({listed}) SELECT {chosen} FROM {table} WHERE slot = :slot AND {where}"

    def _as_stored(self, value: Any) -> Any:
        return value.hex if self.sqlite and isinstance(value, uuid.UUID) else value

    def _numbers(self) -> dict[str, Any]:
        """Accounts by code (the wallet of gems as `gem`), and the wallet's postings as `t1`, `t2`, …"""
        accounts = text("SELECT code, asset, id, version, marks FROM accounts WHERE slot = :slot")
        postings = text("SELECT version, id FROM transfers WHERE slot = :slot AND book_id = :book")
        with self.engine.connect() as connection:
            rows = connection.execute(accounts, {"slot": self.slot}).all()
            named = {row.asset if row.asset == "gem" else row.code: row.id for row in rows if row.asset != "CNY"}
            mine = next(row for row in rows if row.id == named["wallet"])
            found = connection.execute(postings, {"slot": self.slot, "book": mine.id}).all()
            named |= {row.code: row.id for row in rows if row.code == "journal"}
        named |= {f"t{row.version}": uuid.UUID(str(row.id)) for row in found}
        return {**named, "last": mine.version, "last_mark": mine.marks}
