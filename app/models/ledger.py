"""The tables of the ledger. `docs/ledger.md` tells how they work together.

Two guards stand behind the code: CHECK constraints, and triggers that refuse to change or delete what is written. No
code depends on the triggers: an engine may lack them.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Connection,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    event,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment, slot_matches_id
from app.models.guards import guard


class Account(Base):
    """An account. Only the rows of users' accounts and journals ever change; system accounts are names."""

    __tablename__ = "accounts"
    __table_args__ = (
        PrimaryKeyConstraint("slot", "id"),
        UniqueConstraint("slot", "user_id", "code", "asset", "environment"),
        slot_matches_id(),
        CheckConstraint("held >= 0", name="held"),
        CheckConstraint("floor <= 0", name="floor"),
        CheckConstraint("balance - held >= floor", name="above_floor"),
        CheckConstraint("open_left >= 0", name="open_left"),
    )

    slot: Mapped[int] = mapped_column(Integer)
    id: Mapped[int] = mapped_column(Big)
    user_id: Mapped[str] = mapped_column(String(128))
    code: Mapped[str] = mapped_column(String(80))
    asset: Mapped[str] = mapped_column(String(16))
    environment: Mapped[str] = mapped_column(String(8))
    frozen: Mapped[bool] = mapped_column(Boolean, default=False)
    balance: Mapped[int] = mapped_column(BigInteger, default=0)
    held: Mapped[int] = mapped_column(BigInteger, default=0)
    floor: Mapped[int] = mapped_column(BigInteger, default=0)
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    changed_us: Mapped[int] = mapped_column(BigInteger, default=0)
    """Time of the last posting, in microseconds since 1970. Never goes back."""
    open_lot: Mapped[int] = mapped_column(BigInteger, default=0)
    """The lot that spends take from now; what is left of it is here, not in its own row. 0: none."""
    open_left: Mapped[int] = mapped_column(BigInteger, default=0)
    open_rank: Mapped[int] = mapped_column(BigInteger, default=0)
    open_order: Mapped[int] = mapped_column(SmallInteger, default=0)
    """The spend order under which the lot was opened. 0: look again, another lot may come first."""
    day: Mapped[int] = mapped_column(Integer, default=0)
    day_spent: Mapped[int] = mapped_column(BigInteger, default=0)
    month: Mapped[int] = mapped_column(Integer, default=0)
    month_spent: Mapped[int] = mapped_column(BigInteger, default=0)
    head: Mapped[bytes] = mapped_column(LargeBinary)
    """The hash of the last posting: the end of the chain."""
    marks: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """How many marks it has."""
    marks_head: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The hash of the last mark: the end of their chain. Null while there is none."""
    open_version: Mapped[int | None] = mapped_column(BigInteger)
    """The version at which the open lot was opened. Null: that was before this was written down."""


class TransferRow(Base):
    """One transfer with both its legs, and the version, balance and hash of its book after it."""

    __tablename__ = "transfers"
    __table_args__ = (
        PrimaryKeyConstraint("slot", "id"),
        ForeignKeyConstraint(["slot", "book_id"], ["accounts.slot", "accounts.id"]),
        UniqueConstraint("slot", "book_id", "version"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("debit_id <> credit_id", name="two_accounts"),
        CheckConstraint("version > 0", name="version"),
        Index(
            "ix_transfers_slot_cause_id",
            "slot",
            "cause_id",
            postgresql_where=text("cause_id IS NOT NULL"),
            sqlite_where=text("cause_id IS NOT NULL"),
        ),
        # For sweeps by time (checkpoints), over all slots. Rows come in the order of time, so PostgreSQL needs to
        # remember only the first and last moment of each megabyte; SQLite has no such index and gets a plain one
        # (docs/adr/0029: what both cost).
        Index(
            "ix_transfers_created_at",
            "created_at",
            postgresql_using="brin",
            postgresql_with={"autosummarize": "on"},
        ),
        # For what was told late (docs/adr/0048): together with the other one it finds the rows that were booked after a
        # moment and happened before it.
        Index(
            "ix_transfers_effective_at",
            "effective_at",
            postgresql_using="brin",
            postgresql_with={"autosummarize": "on"},
            sqlite_where=text("effective_at IS NOT NULL"),
        ),
    )

    slot: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(BigInteger)
    id: Mapped[uuid.UUID] = mapped_column(Uuid)
    book_id: Mapped[int] = mapped_column(BigInteger)
    """The account whose version, balance and chain this row continues: the user's, or the slot's journal."""
    debit_id: Mapped[int] = mapped_column(BigInteger)
    credit_id: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[int] = mapped_column(BigInteger)
    lot: Mapped[int] = mapped_column(BigInteger, default=0)
    """The one lot that was made, used or restored. 0: none, or several, which `uses` has then."""
    created_at: Mapped[datetime] = mapped_column(Moment)
    cause_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    """The hold that this captures, or the transfer that it reverses."""
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    kind: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(String(128), default="")
    note: Mapped[str] = mapped_column(String(255), default="")
    actor: Mapped[str] = mapped_column(String(128), default="")
    effective_at: Mapped[datetime | None] = mapped_column(Moment)
    """When it happened, if that was before it was booked (`app.domain.accounting_time`). Not in the hash: the audit
    derives it from the fact or the bill."""
    uses: Mapped[list[list[int]] | None] = mapped_column(JSON(none_as_null=True))
    """What it took from several lots, or gave back to them: pairs of lot and amount, in the order of their use. In the
    hash. A text on PostgreSQL, too: shorter. Null: one lot or none."""


class LotRow(Base):
    """Coins that came in together. Its name is the wallet's version at the credit that made it."""

    __tablename__ = "lots"
    __table_args__ = (
        PrimaryKeyConstraint("slot", "account_id", "version"),
        ForeignKeyConstraint(["slot", "account_id"], ["accounts.slot", "accounts.id"]),
        CheckConstraint("granted > 0", name="granted"),
        CheckConstraint("remaining BETWEEN 0 AND granted", name="remaining"),
        CheckConstraint("value_minor >= 0", name="value"),
        Index(
            "ix_lots_slot_account_id_left",
            "slot",
            "account_id",
            postgresql_where=text("remaining > 0"),
            sqlite_where=text("remaining > 0"),
        ),
        Index(
            "ix_lots_due",
            "expires_at",
            postgresql_where=text("remaining > 0 AND expires_at IS NOT NULL"),
            sqlite_where=text("remaining > 0 AND expires_at IS NOT NULL"),
        ),
        # Without the slot: a payment's number rises with time and bears its slot (docs/adr/0069).
        Index(
            "ix_lots_payment",
            "payment",
            postgresql_where=text("payment <> ''"),
            sqlite_where=text("payment <> ''"),
        ),
    )

    slot: Mapped[int] = mapped_column(Integer)
    account_id: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger)
    granted: Mapped[int] = mapped_column(BigInteger)
    remaining: Mapped[int] = mapped_column(BigInteger)
    """What is left of it; while it is the account's open lot, what was left when it was opened."""
    bonus: Mapped[bool] = mapped_column(Boolean)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    payment: Mapped[str] = mapped_column(String(64), default="")
    product: Mapped[str] = mapped_column(String(128), default="")
    value_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    currency: Mapped[str] = mapped_column(String(3), default="")
    created_at: Mapped[datetime] = mapped_column(Moment)


class Hold(Base):
    """Coins that are reserved. What is still reserved is `amount - captured - released`."""

    __tablename__ = "holds"
    __table_args__ = (
        PrimaryKeyConstraint("slot", "id"),
        ForeignKeyConstraint(["slot", "account_id"], ["accounts.slot", "accounts.id"]),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("captured >= 0 AND released >= 0 AND captured + released <= amount", name="rest"),
        CheckConstraint("(state = 'open') = (captured + released < amount)", name="open_while_rest"),
        Index(
            "ix_holds_due",
            "expires_at",
            postgresql_where=text("state = 'open'"),
            sqlite_where=text("state = 'open'"),
        ),
        Index("ix_holds_slot_account_id", "slot", "account_id"),
    )

    slot: Mapped[int] = mapped_column(Integer)
    id: Mapped[uuid.UUID] = mapped_column(Uuid)
    account_id: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)
    captured: Mapped[int] = mapped_column(BigInteger, default=0)
    released: Mapped[int] = mapped_column(BigInteger, default=0)
    state: Mapped[str] = mapped_column(String(16), default="open")
    """open, captured (all of it), released (by the caller), expired (by time)."""
    expires_at: Mapped[datetime] = mapped_column(Moment)
    reference: Mapped[str] = mapped_column(String(128), default="")
    note: Mapped[str] = mapped_column(String(255), default="")
    actor: Mapped[str] = mapped_column(String(128), default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    limited: Mapped[bool] = mapped_column(Boolean, server_default=true())
    """Whether it counts for the spend limits. The hold of a refund does not."""


class RefusalRow(Base):
    """A keyed request that was refused, so that it stays refused for that key."""

    __tablename__ = "refusals"
    __table_args__ = (PrimaryKeyConstraint("slot", "id"),)

    slot: Mapped[int] = mapped_column(Integer)
    id: Mapped[uuid.UUID] = mapped_column(Uuid)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    code: Mapped[str] = mapped_column(String(40))
    details: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Moment)


class MarkRow(Base):
    """What happened to an account without moving coins (`app.domain.account_events`), as a chain of each account."""

    __tablename__ = "marks"
    __table_args__ = (
        PrimaryKeyConstraint("slot", "account_id", "number"),
        ForeignKeyConstraint(["slot", "account_id"], ["accounts.slot", "accounts.id"]),
        CheckConstraint("number > 0", name="number"),
        CheckConstraint("amount >= 0", name="amount"),
        Index("ix_marks_slot_subject", "slot", "subject"),
    )

    slot: Mapped[int] = mapped_column(Integer)
    account_id: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[uuid.UUID] = mapped_column(Uuid)
    """The hold, the refused request, or the number of a freezing as a UUID."""
    amount: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Moment)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of what the subject says."""
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class GrantSeal(Base):
    """The seal of coins that a caller, and no fact, brought into a wallet (`app.domain.seals`)."""

    __tablename__ = "grant_seals"
    __table_args__ = (PrimaryKeyConstraint("slot", "transfer_id"),)

    slot: Mapped[int] = mapped_column(Integer)
    transfer_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    seal: Mapped[bytes] = mapped_column(LargeBinary)


ACCOUNTS = Base.metadata.tables["accounts"]
GRANT_SEALS = Base.metadata.tables["grant_seals"]
TRANSFERS = Base.metadata.tables["transfers"]
LOTS = Base.metadata.tables["lots"]
HOLDS = Base.metadata.tables["holds"]
REFUSALS = Base.metadata.tables["refusals"]
MARKS = Base.metadata.tables["marks"]

# --- what is in the database beside the tables; the guards are in `app.models.guards` ---

POSTINGS = """\
CREATE VIEW postings AS
SELECT slot, id AS transfer_id, debit_id AS account_id, -amount AS amount, kind, reference, created_at,
       CASE WHEN book_id = debit_id THEN version END AS version,
       CASE WHEN book_id = debit_id THEN balance END AS balance
FROM transfers
UNION ALL
SELECT slot, id, credit_id, amount, kind, reference, created_at,
       CASE WHEN book_id = credit_id THEN version END,
       CASE WHEN book_id = credit_id THEN balance END
FROM transfers"""


def _create_view(_: Table, connection: Connection, **__: Any) -> None:
    connection.execute(text(POSTINGS))


def _drop_view(_: Table, connection: Connection, **__: Any) -> None:
    connection.execute(text("DROP VIEW IF EXISTS postings"))


for _table in (ACCOUNTS, TRANSFERS, LOTS, HOLDS, REFUSALS, MARKS, GRANT_SEALS):
    event.listen(_table, "after_create", guard)
event.listen(TRANSFERS, "after_create", _create_view)
event.listen(TRANSFERS, "before_drop", _drop_view)
