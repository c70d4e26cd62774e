"""The lots of one wallet, proved without a database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from app.domain.ledger import wallet
from app.domain.proof.lots import LotsProof
from app.domain.proof.rows import StoredAccount, StoredLot, StoredPosting

AT = datetime(2026, 3, 1, tzinfo=UTC)
LOT = StoredLot(1, 1, 100, 70, False, None, "", "", 0, "", AT)
WALLET = StoredAccount(
    **{**dict.fromkeys(set(StoredAccount._fields), 0), "id": 1, "name": wallet("alice", "coin")}  # type: ignore[arg-type]
)


def posting(version: int, amount: int, lot: int) -> StoredPosting:
    ids = (1, version, uuid.UUID(int=version), 2, 1)
    return StoredPosting(*ids, amount, 0, lot, AT, None, b"", "grant", "", "", "")


def found(lot: StoredLot | None, *uses: tuple[int, int]) -> list[str]:
    """What is wrong after a credit of 100 that made `lot`, and spends: lot and amount of each."""
    seen: list[str] = []
    proof = LotsProof(WALLET._replace(open_version=None), lambda _table, _row, what: seen.append(what))
    proof.made_by(posting(1, 100, 1), lot)
    for version, (used, amount) in enumerate(uses, start=2):
        proof.use(posting(version, amount, used), -1, ())
    proof.finish(0)
    return seen


def test_a_lot_that_holds_what_spends_left_is_right() -> None:
    assert found(LOT, (1, 10), (1, 20)) == []
    assert found(LOT._replace(remaining=0), (1, 100)) == []


@pytest.mark.parametrize("remaining", [0, 69, 71, 100])
def test_another_rest_than_the_derived_one_is_named(remaining: int) -> None:
    assert found(LOT._replace(remaining=remaining), (1, 30)) == [f"{remaining} remain, derived 70"]


def test_a_lot_that_its_posting_did_not_make_so_is_named() -> None:
    assert found(LOT._replace(granted=101), (1, 30)) == ["it is not as its posting made it"]


def test_a_missing_lot_is_named() -> None:
    assert "the lot that it made is missing" in found(None)


def test_a_spend_of_more_than_the_lot_had_is_named() -> None:
    assert "lot 1 cannot have given or taken 101" in found(LOT, (1, 101))


def test_a_spend_of_a_lot_that_never_was_is_named() -> None:
    assert "lot 5 cannot have given or taken 1" in found(LOT, (1, 30), (5, 1))
