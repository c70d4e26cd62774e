"""marks: what happens to an account without moving coins, in a chain of its own

Holds, freezings and refusals that are there already get the marks that they would have left. When a hold was let go of
is not known any more: that mark has the time of the migration. Whose the refusals were is not known either: their marks
are those of one system account in each slot, `refusals`. Hashes are written out here: what a migration did must not
change with the rules.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.models.base import Moment

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

HOLD_BEFORE = "slot, id, account_id, amount, expires_at, reference, created_at, fingerprint"
HOLD_NOW = "slot, id, account_id, amount, expires_at, reference, note, actor, created_at, fingerprint, limited"
LETTING_GO = {"open": "lowered", "released": "released", "expired": "expired", "captured": "finished"}
LONGEST_HOLD = timedelta(days=90)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    op.create_table(
        "marks",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_marks_amount")),
        sa.CheckConstraint("number > 0", name=op.f("ck_marks_number")),
        sa.ForeignKeyConstraint(
            ["slot", "account_id"], ["accounts.slot", "accounts.id"], name=op.f("fk_marks_slot_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("slot", "account_id", "number", name=op.f("pk_marks")),
    )
    op.create_index("ix_marks_slot_subject", "marks", ["slot", "subject"])
    op.add_column("accounts", sa.Column("marks", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("accounts", sa.Column("marks_head", sa.LargeBinary(), nullable=True))
    op.add_column("accounts", sa.Column("open_version", sa.BigInteger(), nullable=True))
    op.add_column("holds", sa.Column("limited", sa.Boolean(), server_default=sa.true(), nullable=False))
    connection = op.get_bind()
    now = datetime.now(UTC)
    for slot in connection.execute(SLOTS).scalars().all():
        _Slot(connection, slot, now).fill()
    _drop("holds", "no_update")
    _guard_update("holds", HOLD_NOW)
    for table in ("marks", "freezes"):
        _guard_update(table, "")
        _guard_delete(table)


def downgrade() -> None:
    for guard in ("no_update", "no_delete", "no_truncate"):
        _drop("freezes", guard)
    _drop("holds", "no_update")
    _guard_update("holds", HOLD_BEFORE)
    op.drop_column("holds", "limited")
    op.drop_column("accounts", "open_version")
    op.drop_column("accounts", "marks_head")
    op.drop_column("accounts", "marks")
    op.drop_table("marks")


# --- guards ---


def _drop(table: str, guard: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER {table}_{guard} ON {table}")
    elif guard != "no_truncate":
        op.execute(f"DROP TRIGGER {table}_{guard}")


def _guard_update(table: str, columns: str) -> None:
    of = f" OF {columns}" if columns else ""
    differ = {"postgresql": "IS DISTINCT FROM", "sqlite": "IS NOT"}.get(op.get_bind().dialect.name, "")
    changed = " OR ".join(f"OLD.{column} {differ} NEW.{column}" for column in columns.split(", ") if column)
    if op.get_bind().dialect.name == "postgresql":
        when = f" WHEN ({changed})" if changed else ""
        call = f"FOR EACH ROW{when} EXECUTE FUNCTION tillbook_refuse()"
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE{of} ON {table} {call}")
    elif op.get_bind().dialect.name == "sqlite":
        when = f" WHEN {changed}" if changed else ""
        body = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE{of} ON {table}{when} {body}")


def _guard_delete(table: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        call = "EXECUTE FUNCTION tillbook_refuse()"
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW {call}")
        op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}")
    elif op.get_bind().dialect.name == "sqlite":
        body = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {body}")


# --- marks of what is there already ---


def _table(name: str, **columns: Any) -> sa.TableClause:
    return sa.table(name, *(sa.column(column, type_) for column, type_ in columns.items()))


INTEGER, TEXT, BYTES, UUID, TIME = sa.BigInteger(), sa.String(), sa.LargeBinary(), sa.Uuid(), Moment()
ACCOUNTS = _table(
    "accounts",
    **{"slot": INTEGER, "id": INTEGER, "user_id": TEXT, "code": TEXT, "asset": TEXT, "environment": TEXT},
    **{"frozen": sa.Boolean(), "head": BYTES, "marks": INTEGER, "marks_head": BYTES},
    **dict.fromkeys(("balance", "held", "floor", "version", "changed_us", "open_lot", "open_left"), INTEGER),
    **dict.fromkeys(("open_rank", "open_order", "day", "day_spent", "month", "month_spent"), INTEGER),
)
HOLDS = _table(
    "holds",
    **{"slot": INTEGER, "id": UUID, "account_id": INTEGER, "amount": INTEGER, "released": INTEGER, "state": TEXT},
    **{"expires_at": TIME, "created_at": TIME, "reference": TEXT, "note": TEXT, "actor": TEXT, "fingerprint": BYTES},
    limited=sa.Boolean(),
)
REFUSALS = _table(
    "refusals",
    **{"slot": INTEGER, "id": UUID, "fingerprint": BYTES, "code": TEXT, "created_at": TIME},
    details=sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
)
FREEZES = _table(
    "freezes",
    **{"slot": INTEGER, "id": INTEGER, "user_id": TEXT, "asset": TEXT, "environment": TEXT, "frozen": sa.Boolean()},
    **{"reason": TEXT, "actor": TEXT, "refund_id": INTEGER, "at": TIME},
)
REFUNDS = _table("refunds", slot=INTEGER, id=INTEGER)
TRANSFERS = _table("transfers", slot=INTEGER, book_id=INTEGER, version=INTEGER, created_at=TIME)
MARKS = _table(
    "marks",
    **{"slot": INTEGER, "account_id": INTEGER, "number": INTEGER, "kind": TEXT, "subject": UUID},
    **{"amount": INTEGER, "at": TIME, "content": BYTES, "hash": BYTES},
)
SLOTS = sa.text(
    "/* sweep: operator */ SELECT slot FROM holds UNION SELECT slot FROM refusals UNION SELECT slot FROM freezes"
)


class _Slot:
    """The rows of one slot."""

    def __init__(self, connection: sa.Connection, slot: int, now: datetime) -> None:
        self.connection = connection
        self.slot = slot
        self.now = now

    def fill(self) -> None:
        held: dict[int, list[Any]] = {}
        for number, holds in groupby(self._rows(HOLDS, "account_id", "created_at", "id"), lambda row: row.account_id):
            held[number] = list(holds)
        freezes = self._rows(FREEZES, "id")
        self._free_holds_of_refunds(held)
        for account in self._rows(ACCOUNTS, "id"):
            marks = [mark for hold in held.get(account.id, ()) for mark in self._of_hold(hold)]
            marks += [_of_freezing(entry) for entry in self._frozen_by(account, freezes)]
            self._write(account, sorted(marks, key=lambda mark: mark["at"]))
        refusals = [_of_refusal(row) for row in self._rows(REFUSALS, "created_at", "id")]
        if refusals:
            self._write(self._account_of_refusals(), refusals)

    def _rows(self, table: sa.TableClause, *order: str) -> Sequence[Any]:
        wanted = sa.select(table).where(table.c.slot == self.slot).order_by(*(table.c[name] for name in order))
        return self.connection.execute(wanted).all()

    def _free_holds_of_refunds(self, held: dict[int, list[Any]]) -> None:
        """The hold of a refund counts for no spend limit. It lasts as long as a hold can, and names its refund."""
        refunds = {str(row.id) for row in self._rows(REFUNDS, "id")}
        for holds in held.values():
            for number, hold in enumerate(holds):
                of_refund = hold.reference in refunds and hold.actor == hold.note == ""
                if of_refund and hold.expires_at - hold.created_at == LONGEST_HOLD:
                    where = (HOLDS.c.slot == self.slot, HOLDS.c.id == hold.id)
                    self.connection.execute(sa.update(HOLDS).where(*where).values(limited=False))
                    holds[number] = self.connection.execute(sa.select(HOLDS).where(*where)).one()

    def _of_hold(self, hold: Any) -> Iterator[dict[str, Any]]:
        same = {"subject": hold.id, "content": bytes(hold.fingerprint)}
        kind = "held" if hold.limited else "reserved"
        yield {**same, "kind": kind, "amount": hold.amount, "at": hold.created_at}
        if hold.released:
            yield {**same, "kind": LETTING_GO[hold.state], "amount": hold.released, "at": self.now}

    def _frozen_by(self, account: Any, freezes: Sequence[Any]) -> list[Any]:
        """The entries that concern a wallet. One of all wallets concerned those that were there at that time."""
        if account.code != "wallet" or not account.user_id:
            return []
        name = (account.user_id, account.environment)
        mine = [entry for entry in freezes if (entry.user_id, entry.environment) == name]
        named = [entry for entry in mine if entry.asset == account.asset]
        since = self._first_posting(account.id)
        there = [e for e in mine if e.asset == account.asset or (e.asset is None and since <= e.at)]
        all_of_them = [entry for entry in mine if entry.asset in (None, account.asset)]
        for entries in (there, all_of_them, named):
            if bool(entries and entries[-1].frozen) == bool(account.frozen):
                return entries
        return there

    def _first_posting(self, account_id: int) -> datetime:
        t = TRANSFERS.c
        first = sa.select(t.created_at).where(t.slot == self.slot, t.book_id == account_id, t.version == 1)
        return self.connection.execute(first).scalar() or self.now

    def _account_of_refusals(self) -> Any:
        number = secrets.randbits(63 - 12) << 12 | self.slot
        name = {"user_id": "", "code": "refusals", "asset": "none", "environment": "live"}
        numbers = {column.name: 0 for column in ACCOUNTS.c if isinstance(column.type, sa.BigInteger)}
        row = {**numbers, **name, "slot": self.slot, "id": number, "frozen": False, "marks_head": None}
        row["head"] = _digest("account-1", self.slot, *name.values())
        self.connection.execute(sa.insert(ACCOUNTS).values(**row))
        a = ACCOUNTS.c
        return self.connection.execute(sa.select(ACCOUNTS).where(a.slot == self.slot, a.id == number)).one()

    def _write(self, account: Any, marks: Sequence[dict[str, Any]]) -> None:
        if not marks:
            return
        head = _digest("marks-1", self.slot, account.user_id, account.code, account.asset, account.environment)
        rows = []
        for number, mark in enumerate(marks, start=1):
            head = _next(head, mark)
            rows.append({**mark, "slot": self.slot, "account_id": account.id, "number": number, "hash": head})
        self.connection.execute(sa.insert(MARKS), rows)
        a = ACCOUNTS.c
        change = sa.update(ACCOUNTS).where(a.slot == self.slot, a.id == account.id)
        self.connection.execute(change.values(marks=len(marks), marks_head=head))


def _of_freezing(entry: Any) -> dict[str, Any]:
    about = (entry.id, entry.user_id, entry.asset, entry.environment, bool(entry.frozen))
    content = _digest("freezing-1", *about, entry.reason, entry.actor, entry.refund_id, _microseconds(entry.at))
    kind = "frozen" if entry.frozen else "unfrozen"
    return {"kind": kind, "subject": uuid.UUID(int=entry.id), "amount": 0, "at": entry.at, "content": content}


def _of_refusal(row: Any) -> dict[str, Any]:
    details = json.dumps(row.details, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    content = _digest("refusal-1", bytes(row.fingerprint).hex(), row.code, details)
    return {"kind": "refused", "subject": row.id, "amount": 0, "at": row.created_at, "content": content}


def _next(head: bytes, mark: dict[str, Any]) -> bytes:
    numbers = mark["amount"].to_bytes(8, "big") + _microseconds(mark["at"]).to_bytes(8, "big")
    return hashlib.sha256(head + mark["content"] + mark["subject"].bytes + numbers + mark["kind"].encode()).digest()


def _digest(*content: object) -> bytes:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()).digest()


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)
