"""Holds: reserve, capture in parts, release, expiry; and what time does to coins that are held."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from app.domain.ledger import InvalidTransfer, KeyConflict, Lot, NoSuchEntry, Posted, Refused, Transfer, system
from app.domain.limits import LedgerRules, SpendLimit
from app.domain.spending import Capture, HoldRequest, Spend, debit
from app.services.base.context import Tx
from app.services.base.transaction import Sessions, read
from app.services.ledger import balance, balances, post, spend
from app.services.ledger.clawback import hold_of_refund, release_reserved, reserve
from app.services.ledger.hold_rows import Held, find_hold, find_holds
from app.services.ledger.holds import capture, hold, release
from app.services.ledger.ledger_transaction import LedgerTransaction
from tests.support.wallet_owner import DAY, HOUR, NOW, WalletOwner, code


def _hold(owner: WalletOwner, amount: int, key: str = "h", seconds: int = 3600) -> Any:
    return owner.do(hold, HoldRequest(owner.user, "coin", amount, key, seconds, reference="room-1"))


def _capture(owner: WalletOwner, of: Held, amount: int | None = None, key: str = "c", *, final: bool = False) -> Any:
    return owner.do(capture, Capture(of.id, key, amount, final))


def _state(owner: WalletOwner, of: Held) -> tuple[str, int, int, int]:
    found = read(owner.sessions, lambda tx: find_hold(tx, owner.slot, of.id))
    assert found is not None
    return (found.state, found.captured, found.released, found.rest)


def test_held_coins_are_there_but_not_available(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7)
    assert (owner.balance().balance, owner.balance().held, owner.balance().available) == (10, 7, 3)
    assert code(owner.spend(4)) == "insufficient_funds"
    assert isinstance(owner.spend(3), Posted)
    assert _state(owner, held) == ("open", 0, 0, 7)
    assert owner.findings() == []


def test_a_hold_is_captured_in_parts_until_nothing_is_left(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7)
    assert _capture(owner, held, 3, "1").amount == 3
    assert _capture(owner, held, 2, "2").amount == 2
    assert code(_capture(owner, held, 3, "3")) == "hold_exceeded"
    assert _capture(owner, held, None, "4").amount == 2
    assert _state(owner, held) == ("captured", 7, 0, 0)
    assert code(_capture(owner, held, 1, "5")) == "hold_closed"
    assert (owner.balance().balance, owner.balance().held) == (3, 0)
    assert [line.kind for line in owner.lines()] == ["grant", "capture", "capture", "capture"]
    assert owner.findings() == []


def test_a_final_capture_gives_the_rest_back(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7)
    assert _capture(owner, held, 3, final=True).amount == 3
    assert _state(owner, held) == ("captured", 3, 4, 0)
    assert owner.balance().available == 7


def test_a_repeated_capture_takes_nothing_more(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7)
    first = _capture(owner, held, 3)
    again = _capture(owner, held, 3)
    assert (again.id, again.repeated) == (first.id, True)
    with pytest.raises(KeyConflict):
        _capture(owner, held, 4)
    everything = _capture(owner, held, None, "all")
    assert _capture(owner, held, None, "all").amount == everything.amount == 4
    assert owner.balance().balance == 3


def test_a_repeated_hold_is_the_hold_as_it_stands(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7)
    _capture(owner, held, 3)
    owner.now += HOUR / 2
    again = _hold(owner, 7)
    assert (again.id, again.rest, again.repeated) == (held.id, 4, True)
    with pytest.raises(KeyConflict):
        _hold(owner, 8)
    assert owner.balance().held == 4


def test_a_refused_hold_stays_refused(owner: WalletOwner) -> None:
    assert code(_hold(owner, 7)) == "insufficient_funds"
    owner.credit(10)
    assert code(_hold(owner, 7)) == "insufficient_funds"
    assert isinstance(_hold(owner, 7, "h2"), Held)


def test_release_gives_back_and_is_harmless_to_repeat(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7)
    _capture(owner, held, 2)
    assert owner.do(release, held.id).rest == 0
    assert owner.do(release, held.id).repeated
    assert _state(owner, held) == ("released", 2, 5, 0)
    assert owner.balance().available == 8
    assert owner.findings() == []


def test_the_worker_releases_what_ran_out(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7)
    owner.now += HOUR
    assert owner.sweep() >= 1
    assert _state(owner, held) == ("expired", 0, 7, 0)
    assert owner.balance().available == 10
    assert owner.sweep() == 0


def test_a_capture_after_expiry_is_refused_even_before_the_worker_came(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7)
    owner.now += HOUR
    assert code(_capture(owner, held, 7)) == "hold_expired"
    assert _state(owner, held) == ("expired", 0, 7, 0)
    assert code(_capture(owner, held, 7)) == "hold_expired"
    assert owner.balance().available == 10


def test_coins_that_expire_while_held_are_kept_for_the_hold_only(owner: WalletOwner) -> None:
    owner.credit(10, lot=Lot(expires_at=NOW + HOUR))
    owner.credit(10)
    held = _hold(owner, 6, seconds=3 * 24 * 3600)
    owner.now += DAY
    owner.sweep()
    assert owner.balance().balance == 16  # 4 of the 10 that expired are gone, 6 are kept
    assert isinstance(owner.spend(10), Posted)
    assert code(owner.spend(1)) == "insufficient_funds"
    assert _capture(owner, held, 4).amount == 4
    owner.do(release, held.id)
    assert owner.balance().balance == 0  # the last 2 expired as the hold let go of them
    assert [line.kind for line in owner.lines()] == ["grant", "grant", "expiry", "spend", "capture", "expiry"]
    assert owner.findings() == []


def test_kept_coins_do_not_keep_the_worker_busy(owner: WalletOwner) -> None:
    owner.credit(10, lot=Lot(expires_at=NOW + HOUR))
    _hold(owner, 10, seconds=3 * 24 * 3600)
    owner.now += DAY
    owner.sweep()  # whatever other users of this database have due
    assert owner.sweep() == 0
    assert owner.balance().balance == 10


def test_a_hold_counts_for_the_limit_on_the_day_it_is_made(books: Sessions) -> None:
    owner = WalletOwner(books, rules=LedgerRules(limits={"coin": SpendLimit(day=10)}))
    owner.credit(100)
    held = _hold(owner, 8)
    refused = owner.spend(3)
    assert isinstance(refused, Refused)
    assert refused.details["spent"] == 8
    _capture(owner, held, 3, final=True)
    assert isinstance(owner.spend(7), Posted)
    assert code(owner.spend(1)) == "spend_limit"


def test_a_hold_of_nothing_or_for_ever_is_no_hold(owner: WalletOwner) -> None:
    for amount, seconds in ((0, 60), (-1, 60), (1, 0), (1, 91 * 24 * 3600)):
        with pytest.raises(InvalidTransfer):
            HoldRequest(owner.user, "coin", amount, "k", seconds)
    with pytest.raises(InvalidTransfer):
        Capture(uuid.uuid4(), "k", 0)


def test_an_unknown_hold_is_not_found(owner: WalletOwner) -> None:
    with pytest.raises(NoSuchEntry):
        owner.do(capture, Capture(uuid.uuid4(), "k", 1))
    with pytest.raises(NoSuchEntry):
        owner.do(release, uuid.uuid4())


def test_a_spend_after_the_end_of_a_hold_needs_no_worker(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7, seconds=60)
    assert code(owner.spend(10)) == "insufficient_funds"
    owner.now += timedelta(seconds=61)
    assert isinstance(owner.spend(10), Posted)
    assert _state(owner, held) == ("expired", 0, 7, 0)
    assert owner.findings() == []


def test_everybody_who_looks_sees_that_a_hold_is_over(books: Sessions) -> None:
    """A balance, another hold, a debit, a batch, a transfer that must happen."""
    looks: list[Any] = [
        lambda owner: _hold(owner, 10, "other"),
        lambda owner: owner.do(spend, debit(owner.user, "coin", 10, "d", reason="fraud", actor="ann")),
        lambda owner: owner.do_batch([Spend(owner.user, "coin", 10, "b")]).answers[0],
        lambda owner: owner.do(
            post, [Transfer("must", owner.user, owner.wallet(), system("revenue", "coin"), 10, "fee")]
        )[0],
    ]
    for look in looks:
        owner = WalletOwner(books)
        owner.credit(10)
        _hold(owner, 7, seconds=60)
        owner.now += timedelta(seconds=60)
        seen = read(owner.sessions, partial(balance, slot=owner.slot, account=owner.wallet(), at=owner.now))
        all_seen = read(owner.sessions, partial(balances, slot=owner.slot, user_id=owner.user, at=owner.now))
        assert (seen.available, all_seen[0].available) == (10, 10)
        assert isinstance(look(owner), Posted | Held)
        assert owner.findings() == []


def test_a_hold_that_ended_counts_no_more_for_the_limit(books: Sessions) -> None:
    owner = WalletOwner(books, rules=LedgerRules(limits={"coin": SpendLimit(day=10)}))
    owner.credit(100)
    _hold(owner, 8, seconds=60)
    assert code(owner.spend(3)) == "spend_limit"
    owner.now += timedelta(seconds=60)
    assert isinstance(owner.spend(10), Posted)
    assert owner.findings() == []


def test_a_hold_that_somebody_found_over_is_expired_for_its_capture_too(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 7)
    owner.now += HOUR
    owner.spend(9)
    assert code(_capture(owner, held, 7)) == "hold_expired"


def test_the_reservation_of_a_refund_is_no_hold_of_a_caller(owner: WalletOwner) -> None:
    owner.credit(10)
    assert owner.do(reserve, owner.wallet(), 6, 1) == 6
    reserved = hold_of_refund(owner.slot, owner.wallet(), 1)
    with pytest.raises(NoSuchEntry):
        owner.do(release, reserved)
    with pytest.raises(NoSuchEntry):
        owner.do(capture, Capture(reserved, "c"))
    assert owner.balance().held == 6
    owner.do(release_reserved, owner.wallet(), 1)
    assert owner.balance().held == 0
    assert owner.findings() == []


def test_a_frozen_wallet_refuses_a_capture_and_allows_the_operators_debit(owner: WalletOwner) -> None:
    owner.credit(10)
    held = _hold(owner, 4)
    owner.freeze()
    assert code(_capture(owner, held, 2)) == "wallet_frozen"
    assert code(owner.spend(1)) == "wallet_frozen"
    taken = owner.do(spend, debit(owner.user, "coin", 6, "d", reason="fraud", actor="ann"))
    assert isinstance(taken, Posted)
    assert (owner.balance().balance, owner.balance().held) == (4, 4)


@pytest.mark.parametrize("loaded", [0, 1, 2])
def test_holds_that_were_read_before_end_with_those_that_were_not(owner: WalletOwner, loaded: int) -> None:
    owner.credit(10)
    made = [_hold(owner, 3, "first"), _hold(owner, 4, "second")]
    owner.now += 2 * HOUR

    def look(tx: Tx, slot: int) -> None:
        with LedgerTransaction(tx, [(slot, owner.wallet())]) as books:
            books.know_holds(find_holds(tx, slot, [held.id for held in made[:loaded]]))
            books.expire(slot, owner.wallet())

    owner.do(look)
    assert [_state(owner, held) for held in made] == [("expired", 0, 3, 0), ("expired", 0, 4, 0)]
    assert (owner.balance().held, owner.balance().available) == (0, 10)
    assert owner.findings() == []
