"""Fills a database with wallets and postings in bulk, as the service would have left them."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

USERS = 100_000
"""Wallets. User `u<n>` lies in slot n modulo 4096: the ledger's functions take the slot from their caller."""

SYSTEM_CODES = ("revenue", "issuance", "expired", *(f"revenue{i}" for i in range(64)))


def slot_of(user: int) -> int:
    return user % 4096


def fill(connection: psycopg.Connection[object], postings: int, users: int = USERS) -> None:
    """`users` wallets with one open lot each, and so many spends, spread evenly over them.

    Hashes are random bytes: the bench measures writing, it does not audit.
    """
    each = max(1, postings // users)
    now_us = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        for number, code in enumerate(SYSTEM_CODES):
            connection.execute(_SYSTEM, {"number": number + 1, "code": code})
        connection.execute(_WALLETS, {"users": users, "each": each, "now_us": now_us})
        connection.execute(_LOTS, {"users": users})
        connection.execute(_TRANSFERS, {"users": users, "each": each})
    connection.autocommit = True
    for table in ("accounts", "transfers", "lots"):
        connection.execute(f"VACUUM (ANALYZE, FREEZE) {table}")
    connection.execute("CHECKPOINT")


_ID = "((%(number)s::bigint << 12) | s)"
_SYSTEM = """
INSERT INTO accounts (slot, id, user_id, code, asset, environment, frozen, balance, held, floor, version, changed_us,
  open_lot, open_left, open_rank, open_order, day, day_spent, month, month_spent, head)
SELECT s, (%(number)s::bigint << 12) | s, '', %(code)s, 'coin', 'live', false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  '\\x00'
FROM generate_series(0, 4095) s"""
_WALLETS = """
INSERT INTO accounts (slot, id, user_id, code, asset, environment, frozen, balance, held, floor, version, changed_us,
  open_lot, open_left, open_rank, open_order, day, day_spent, month, month_spent, head)
SELECT n %% 4096, ((n + 1000)::bigint << 12) | (n %% 4096), 'u' || n, 'wallet', 'coin', 'live', false,
  1000000000000, 0, 0, %(each)s + 1, %(now_us)s, 1, 1000000000000, (2305843009213693952::bigint << 1) | 1, 1,
  0, 0, 0, 0, sha256(int8send(n))
FROM generate_series(0, %(users)s - 1) n ORDER BY n"""
_LOTS = """
INSERT INTO lots (slot, account_id, version, granted, remaining, bonus, expires_at, payment, product, value_minor,
  currency, created_at)
SELECT n %% 4096, ((n + 1000)::bigint << 12) | (n %% 4096), 1, 2000000000000, 1000000000000, false, NULL,
  n::text, 'pack', 600, 'CNY', '2026-01-01Z'
FROM generate_series(0, %(users)s - 1) n ORDER BY n"""
_TRANSFERS = """
INSERT INTO transfers (slot, version, id, book_id, debit_id, credit_id, amount, balance, lot, created_at, cause_id,
  hash, kind, reference, note, actor)
SELECT n %% 4096, v + 1, (lpad(to_hex((random() * 4294967295)::bigint), 8, '0')
    || lpad(to_hex((random() * 281474976710655)::bigint), 12, '0') || lpad(to_hex(n), 9, '0')
    || lpad(to_hex(n %% 4096), 3, '0'))::uuid,
  ((n + 1000)::bigint << 12) | (n %% 4096), ((n + 1000)::bigint << 12) | (n %% 4096), (1::bigint << 12) | (n %% 4096),
  1, 1000000000000, 1, '2026-01-01Z'::timestamptz + v * interval '1 second', NULL, sha256(int8send(n * 1000 + v)),
  'spend', 'order-' || n, '', ''
FROM generate_series(1, %(each)s) v, generate_series(0, %(users)s - 1) n"""
