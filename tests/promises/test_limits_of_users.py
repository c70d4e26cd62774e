"""The limits of one user hold under eight requests at the same time, on a database that lets them run at the same
time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.numbers import slot_of_user
from app.services.base.errors import DomainError, TooManyStarts
from app.services.base.idempotency import keyed
from app.services.intake.receipts import MOST_UNPROVEN, MOST_UNSETTLED, TooManyReceipts
from app.services.payments import orders
from app.services.payments.orders import NewOrder, PayBy
from tests.promises.test_receipts_bounded import Kiosk, kiosk  # noqa: F401 - a fixture
from tests.support.world import World

PAGE = PayBy("sandbox", "page")
AT_ONCE = 8


def _refused_at_once(attempt: Callable[[int], object], refusal: type[DomainError]) -> int:
    """How many of eight attempts that begin together meet this refusal. Any other end fails the test."""
    start = threading.Barrier(AT_ONCE)
    ends: list[BaseException | None] = []

    def run(number: int) -> None:
        start.wait()
        try:
            attempt(number)
        except BaseException as error:
            ends.append(error)
        else:
            ends.append(None)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    others = [end for end in ends if end is not None and not isinstance(end, refusal)]
    assert others == []
    return sum(end is not None for end in ends)


@pytest.mark.parametrize("user", ["alice", "bob", "carol"])
def test_attempts_to_pay_different_orders_at_once_do_not_pass_the_limit_of_starts(world: World, user: str) -> None:
    limited = world.with_rules(replace(world.core.rules, most_starts_per_minute=AT_ONCE + 3))
    placed = [
        orders.create_order(
            limited.core, NewOrder(user, "coins-60", 1, PAGE), keyed(f"user:{user}", f"k{number}", "create_order", {})
        )
        for number in range(AT_ONCE)
    ]

    def attempt(number: int) -> None:
        request = keyed(f"user:{user}", f"again{number}", "add_payment", {})
        orders.add_payment(limited.core, user, placed[number].order_id, PAGE, request)

    assert _refused_at_once(attempt, TooManyStarts) == AT_ONCE - 3


@pytest.mark.parametrize("user", ["alice", "bob", "carol"])
def test_receipts_at_once_do_not_pass_the_limit_of_what_waits(kiosk: Kiosk, user: str) -> None:  # noqa: F811
    kiosk.store.away = True
    for number in range(MOST_UNSETTLED - 3):
        kiosk.hands_in(f"n-{number}", user=user)
    refused = _refused_at_once(lambda number: kiosk.hands_in(f"new-{number}", user=user), TooManyReceipts)
    assert refused == AT_ONCE - 3
    assert _waiting(kiosk, user) == (MOST_UNSETTLED, MOST_UNSETTLED)


def test_first_receipts_of_a_user_at_once_do_not_pass_the_limit_of_numbers(kiosk: Kiosk) -> None:  # noqa: F811
    kiosk.store.away = True
    each = MOST_UNPROVEN // 4

    def attempt(number: int) -> object:
        return kiosk.hands_in(*(f"n-{number}-{one}" for one in range(each)))

    assert _refused_at_once(attempt, TooManyReceipts) == AT_ONCE - 4
    assert _waiting(kiosk, "alice") == (4, MOST_UNPROVEN)


def test_ended_receipts_handed_in_again_at_once_do_not_pass_the_limit_of_what_waits(kiosk: Kiosk) -> None:  # noqa: F811
    for number in range(AT_ONCE):
        kiosk.sells(f"old-{number}")
        kiosk.hands_in(f"old-{number}")
    kiosk.store.sold.clear()
    kiosk.world.core.whole.transact(lambda tx: tx.execute(_FORGET, {"slot": slot_of_user("alice")}))
    kiosk.store.away = True
    for number in range(MOST_UNSETTLED - 3):
        kiosk.hands_in(f"n-{number}")
    assert _refused_at_once(lambda number: kiosk.hands_in(f"old-{number}"), TooManyReceipts) == 0, "these are kept"
    assert _waiting(kiosk, "alice") == (MOST_UNSETTLED, MOST_UNSETTLED)


_FORGET = text("UPDATE receipts SET purchases = '[]' WHERE slot = :slot")
"""What became of each purchase: then a receipt that ended has something to ask again."""


def _waiting(kiosk: Kiosk, user: str) -> tuple[int, int]:  # noqa: F811
    wanted = text(
        "SELECT COUNT(*), COALESCE(SUM(unproven), 0) FROM receipts"
        " WHERE slot = :slot AND user_id = :user AND next_try_at IS NOT NULL"
    )
    values = {"slot": slot_of_user(user), "user": user}
    rows: list[Any] = list(kiosk.world.core.whole.read(lambda tx: tx.execute(wanted, values).all()))
    return int(rows[0][0]), int(rows[0][1])
