"""Seals of rows: what they cover, with which keys they fit, and that no database changes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from app.domain.seals import SEALED, Seals

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY, NEXT = b"k" * 32, b"n" * 32
KEYED = Seals(KEY, since=NOW)
ROW: dict[str, Any] = {
    "id": 4097,
    "user_id": "alice",
    "environment": "live",
    "sku": "coins-60",
    "quantity": 1,
    "amount_minor": 600,
    "currency": "CNY",
    "grants": [{"asset": "coin", "amount": 60, "bonus": False, "valid_days": None}],
    "created_at": NOW,
    "expires_at": NOW + timedelta(minutes=30),
    "status": "open",
}
OTHER = {
    "id": 8193,
    "user_id": "bob",
    "environment": "sandbox",
    "sku": "coins-61",
    "quantity": 2,
    "amount_minor": 601,
    "currency": "JPY",
    "grants": [{"asset": "coin", "amount": 61, "bonus": False, "valid_days": None}],
    "created_at": NOW + timedelta(seconds=1),
    "expires_at": NOW + timedelta(minutes=31),
}


@pytest.mark.parametrize("column", SEALED["orders"])
def test_every_sealed_column_changes_the_seal(column: str) -> None:
    seal = KEYED.of_row("orders", ROW)
    assert KEYED.fits_row("orders", ROW, seal)
    assert not KEYED.fits_row("orders", {**ROW, column: OTHER[column]}, seal)


def test_what_may_change_later_is_not_sealed() -> None:
    assert KEYED.of_row("orders", {**ROW, "status": "paid"}) == KEYED.of_row("orders", ROW)


def test_the_seal_of_one_table_does_not_fit_another_row() -> None:
    fact = dict.fromkeys(SEALED["facts"]) | {"recorded_at": NOW}
    refund = dict.fromkeys(SEALED["refunds"]) | {"created_at": NOW, "origin": "asked"}
    seals = {KEYED.of_row("facts", fact), KEYED.of_row("refunds", refund), KEYED.of_row("orders", ROW)}
    assert len(seals) == 3


def test_a_database_that_spells_json_and_time_in_its_own_way_keeps_the_seal() -> None:
    seal = KEYED.of_row("orders", {**ROW, "grants": {"b": 1.0, "a": [1e2, "ü", 0.1, True, 1e308]}})
    as_kept = {"a": [100, "ü", 0.1, True, 10**308], "b": 1}
    there = {"grants": json.loads(json.dumps(as_kept)), "created_at": NOW.astimezone(timezone(timedelta(hours=8)))}
    assert KEYED.fits_row("orders", {**ROW, **there}, seal)


def test_a_seal_without_the_key_counts_only_for_what_is_older_than_the_key() -> None:
    forged = Seals().of_row("orders", ROW)
    assert not KEYED.fits_row("orders", ROW, forged)
    older = {**ROW, "created_at": NOW - timedelta(days=1)}
    assert KEYED.fits_row("orders", older, Seals().of_row("orders", older))


def test_a_former_key_still_fits_and_a_strange_one_does_not() -> None:
    rotated = Seals(NEXT, (KEY,), NOW)
    assert rotated.fits_row("orders", ROW, KEYED.of_row("orders", ROW))
    assert not rotated.fits_row("orders", ROW, Seals(b"x" * 32).of_row("orders", ROW))


def test_a_refund_that_the_provider_decided_may_be_sized_later() -> None:
    refund = dict.fromkeys(SEALED["refunds"]) | {"id": 1, "created_at": NOW, "amount_minor": None}
    by_provider, asked = {**refund, "origin": "provider"}, {**refund, "origin": "asked"}
    assert KEYED.of_row("refunds", by_provider) == KEYED.of_row("refunds", {**by_provider, "amount_minor": 5})
    assert KEYED.of_row("refunds", asked) != KEYED.of_row("refunds", {**asked, "amount_minor": 5})
