"""The pure rules: names, identity, the chain, lots in order, limits."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.books import Book
from app.domain.ledger import (
    MAX_AMOUNT,
    AccountName,
    BalanceOverflow,
    InvalidTransfer,
    Lot,
    Transfer,
    genesis,
    microseconds,
    moment_of,
    next_head,
    system,
    wallet,
)
from app.domain.limits import periods, room
from app.domain.lots import LotLeft, SpendOrder, in_spend_order, plan, plan_return, rank, rank_of_now, unspent_value
from app.domain.spending import debit, grant

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRANT = Transfer("s", "k", system("issuance", "coin"), wallet("alice", "coin"), 5, "grant")
SPEND = Transfer("s", "k", wallet("alice", "coin"), system("revenue", "coin"), 5, "spend")


@pytest.mark.parametrize("asset", ["", "9coin", "co in", "x" * 17, "münze", "coin\n"])
def test_an_asset_is_a_short_plain_word(asset: str) -> None:
    with pytest.raises(InvalidTransfer):
        system("revenue", asset)


def test_an_account_needs_a_known_environment_and_a_wallet_needs_a_user() -> None:
    with pytest.raises(InvalidTransfer):
        system("revenue", "coin", "staging")
    with pytest.raises(InvalidTransfer):
        wallet("", "coin")


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT + 1, 1.0, True, "5"])
def test_an_amount_is_a_positive_63_bit_integer(amount: Any) -> None:
    with pytest.raises(InvalidTransfer):
        replace(SPEND, amount=amount)


@pytest.mark.parametrize(
    "change",
    [
        {"credit": wallet("alice", "coin")},
        {"credit": wallet("bob", "coin")},
        {"credit": system("revenue", "gem")},
        {"credit": system("revenue", "coin", "sandbox")},
        {"lot": Lot()},
        {"note": "x" * 256},
    ],
)
def test_what_is_no_transfer_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidTransfer):
        replace(SPEND, **change)


def test_a_transfer_belongs_to_the_book_of_its_user_or_else_to_the_journal() -> None:
    assert GRANT.book == SPEND.book == wallet("alice", "coin")
    money = Transfer("s", "k", system("clearing:x", "CNY"), system("sales", "CNY"), 5, "payment")
    assert money.book == AccountName("", "journal", "CNY", "live")


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 6},
        {"kind": "gift"},
        {"reference": "x"},
        {"note": "x"},
        {"actor": "x"},
        {"cause": uuid.UUID(int=1)},
        {"lot": Lot(bonus=False)},
        {"lot": Lot(expires_at=NOW)},
        {"lot": Lot(payment="1")},
        {"debit": system("other", "coin")},
        {"credit": wallet("bob", "coin")},
        {"key": "k2"},
        {"scope": "s2"},
    ],
)
def test_every_part_of_a_transfer_is_in_its_fingerprint(change: dict[str, Any]) -> None:
    assert replace(GRANT, **change).fingerprint(1) != GRANT.fingerprint(1)


def test_the_same_transfer_has_the_same_fingerprint_and_an_id_in_its_slot() -> None:
    assert replace(GRANT).fingerprint(7) == GRANT.fingerprint(7)
    assert GRANT.id_in(7).int & 4095 == 7
    assert GRANT.id_in(7) != GRANT.id_in(8)


def test_the_canonical_content_is_frozen() -> None:
    """Written out by hand: a change here would break every chain that exists."""
    content = (
        f'["transfer-1","{GRANT.id_in(7).hex}","","issuance","alice","wallet","coin","live",5,"grant","","","",null,'
        '[true,null,"","",0,""]]'
    )
    assert GRANT.fingerprint(7) == sha256(content.encode()).digest()
    assert genesis(7, GRANT.credit) == sha256(b'["account-1",7,"alice","wallet","coin","live"]').digest()


def test_the_chain_hashes_what_it_says() -> None:
    head, content = b"\x01" * 32, b"\x02" * 32
    number = (3).to_bytes(8, "big") + (4).to_bytes(8, "big")
    assert next_head(head, content, 3, 4) == sha256(head + content + number).digest()
    assert next_head(head, content, 3, 4, [(3, 4)]) == sha256(head + content + number * 2).digest()


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact(moment: datetime) -> None:
    assert moment_of(microseconds(moment)) == moment


LOTS = st.lists(
    st.builds(LotLeft, st.integers(1, 99), st.integers(0, 50), st.booleans(), st.integers(1, 5)), max_size=8
)


@given(LOTS, st.integers(1, 200), st.sampled_from(SpendOrder))
def test_a_plan_takes_exactly_the_amount_or_there_is_none(lots: list[LotLeft], amount: int, order: SpendOrder) -> None:
    uses = plan(in_spend_order(lots, order), amount)
    if sum(lot.remaining for lot in lots) < amount:
        assert uses is None
    else:
        assert uses is not None
        assert sum(used for _, used in uses) == amount
        assert all(used > 0 for _, used in uses)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1), st.data())
def test_what_goes_back_goes_to_the_lots_used_last(uses: list[tuple[int, int]], data: st.DataObject) -> None:
    total = sum(amount for _, amount in uses)
    amount = data.draw(st.integers(1, total))
    returned = plan_return(uses, amount)
    assert sum(given for _, given in returned) == amount
    assert [lot for lot, _ in returned] == [lot for lot, _ in reversed(uses)][: len(returned)]
    with pytest.raises(ValueError, match="more goes back"):
        plan_return(uses, total + 1)


def test_expiry_comes_before_kind_and_the_setting_turns_the_kind() -> None:
    bonus, paid, soon = LotLeft(1, 1, True, 9), LotLeft(2, 1, False, 9), LotLeft(3, 1, False, 8)
    assert in_spend_order([paid, bonus, soon], SpendOrder.BONUS_FIRST) == [soon, bonus, paid]
    assert in_spend_order([bonus, paid, soon], SpendOrder.PAID_FIRST) == [soon, paid, bonus]


@given(st.integers(0, 2**60), st.integers(0, 2**60), st.booleans(), st.sampled_from(SpendOrder))
def test_a_rank_tells_whether_a_lot_has_expired(expires: int, now: int, bonus: bool, order: SpendOrder) -> None:
    assert (rank(expires, bonus, order) > rank_of_now(now)) == (expires > now)


@pytest.mark.parametrize(
    ("value", "granted", "remaining", "expected"),
    [(600, 60, 60, 600), (600, 60, 35, 350), (100, 3, 2, 67), (1, 2, 1, 1), (0, 5, 5, 0), (600, 60, 0, 0)],
)
def test_unspent_value_is_rounded_half_up(value: int, granted: int, remaining: int, expected: int) -> None:
    assert unspent_value(value, granted, remaining) == expected


def test_a_day_is_a_day_of_the_zone() -> None:
    beijing = timezone(timedelta(hours=8))
    evening = datetime(2026, 3, 31, 15, 59, tzinfo=UTC)
    assert periods(evening, beijing) == periods(evening - timedelta(hours=1), beijing)
    later = periods(evening + timedelta(minutes=1), beijing)
    assert (later.day, later.month) == (periods(evening, beijing).day + 1, periods(evening, beijing).month + 1)
    assert room(None, 5) == MAX_AMOUNT - 5
    assert room(3, 5) == -2


def test_grants_and_debits_need_a_reason_and_an_actor() -> None:
    for make in (grant, debit):
        with pytest.raises(InvalidTransfer):
            make("alice", "coin", 1, "k", reason="", actor="ann")
        with pytest.raises(InvalidTransfer):
            make("alice", "coin", 1, "k", reason="why", actor="")


def test_an_overflow_leaves_the_book_as_it_was() -> None:
    name = wallet("alice", "coin")
    book = Book(1, 1, name, False, MAX_AMOUNT, 0, 0, 1, 0, 1, MAX_AMOUNT, 0, 1, 0, 0, 0, 0, genesis(1, name))
    before = replace(book)
    with pytest.raises(BalanceOverflow):
        book.credit_lot(1, LotLeft(0, 0, True, 9), b"", SpendOrder.BONUS_FIRST, 5)
    assert book == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"payment": "1" * 65},
        {"product": "x" * 129},
        {"currency": "EURO"},
        {"value_minor": -1},
        {"value_minor": MAX_AMOUNT + 1},
        {"expires_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - that it has no zone is the point
    ],
)
def test_a_lot_that_could_not_be_kept_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidTransfer):
        Lot(**wrong)
