"""short rows: keys of idempotency keep bytes, one row lists several uses of lots, a hash finds the provider's number

Orders written from now on keep their grants as short texts; those of before stay as they are, both forms are read.
PostgreSQL writes the table `idempotency` anew (docs/adr/0060 says for how long), while whoever uses a key waits.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.domain.grants import lengthened

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

PAGE = 500
BEFORE = ("fingerprint VARCHAR(64) NOT NULL", "fields JSON")
AFTER = ("fingerprint BLOB NOT NULL", "fields BLOB")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    connection = op.get_bind()
    op.add_column("lot_uses", sa.Column("more", sa.JSON(none_as_null=True), nullable=True))
    op.drop_index("ix_payments_theirs", "payments")
    op.create_index("ix_payments_theirs", "payments", ["theirs"], postgresql_using="hash")
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.create_function("tillbook_unhex", 1, bytes.fromhex, deterministic=True)
        op.execute(
            "UPDATE /* sweep: operator */ idempotency"
            " SET fingerprint = tillbook_unhex(fingerprint), fields = CAST(fields AS BLOB)"
        )
        _change_types(BEFORE, AFTER)
    else:
        op.execute(
            "ALTER TABLE idempotency ALTER COLUMN fingerprint TYPE bytea USING decode(fingerprint, 'hex'),"
            " ALTER COLUMN fields TYPE bytea USING convert_to(fields::text, 'UTF8')"
        )


def downgrade() -> None:
    """Which field differs is not told any more for keys that were used since."""
    _lengthen_grants()
    _separate_uses()
    op.drop_column("lot_uses", "more")
    op.drop_index("ix_payments_theirs", "payments")
    op.create_index("ix_payments_theirs", "payments", ["theirs", "provider_account"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "UPDATE /* sweep: operator */ idempotency SET fingerprint = lower(hex(fingerprint)),"
            " fields = CASE WHEN substr(fields, 1, 1) = X'7B' THEN CAST(fields AS TEXT) END"
        )
        _change_types(AFTER, BEFORE)
    else:
        op.execute(
            "ALTER TABLE idempotency ALTER COLUMN fingerprint TYPE varchar(64) USING encode(fingerprint, 'hex'),"
            " ALTER COLUMN fields TYPE jsonb"
            " USING CASE WHEN get_byte(fields, 0) = 123 THEN convert_from(fields, 'UTF8')::jsonb END"
        )


def _lengthen_grants() -> None:
    connection = op.get_bind()
    orders = sa.table(
        "orders", sa.column("slot", sa.Integer()), sa.column("id", sa.BigInteger()), sa.column("grants", JSON)
    )
    key, after = sa.tuple_(orders.c.slot, orders.c.id), (-1, -1)
    wanted = sa.select(orders).prefix_with("/* sweep: operator */").order_by(orders.c.slot, orders.c.id).limit(PAGE)
    while page := connection.execute(wanted.where(key > after)).all():
        after = (page[-1].slot, page[-1].id)
        for row in page:
            one = (orders.c.slot == row.slot, orders.c.id == row.id)
            connection.execute(orders.update().where(*one).values(grants=lengthened(row.grants)))


def _separate_uses() -> None:
    """A row for each use, as before. Nothing written is changed: the guards allow no more."""
    connection = op.get_bind()
    numbers = ("account_id", "version", "lot", "amount")
    columns = [sa.column("slot", sa.Integer()), *(sa.column(name, sa.BigInteger()) for name in numbers)]
    uses = sa.table("lot_uses", *columns, sa.column("position", sa.SmallInteger()), sa.column("more", sa.JSON()))
    wanted = sa.select(uses).prefix_with("/* sweep: operator */").where(uses.c.more.is_not(None))
    for row in connection.execute(wanted).all():
        name = {"slot": row.slot, "account_id": row.account_id, "version": row.version}
        for position, (lot, amount) in enumerate(row.more, 1):
            values = {**name, "lot": lot, "position": position, "amount": amount}
            connection.execute(uses.insert().values(values))


def _change_types(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """SQLite changes no column: see 0030, which does the same."""
    connection = op.get_bind()
    kept = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'idempotency'")
    text = str(kept.scalar_one())
    for old, new in zip(before, after, strict=True):
        if old not in text:
            raise RuntimeError("the table idempotency is not as the migrations made it")
        text = text.replace(old, new)
    version = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = 'idempotency'", (text,)
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
