"""What a settlement reads, it reads under the locks of the wallets, though in one flight with them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from app.domain.facts import Kind
from app.domain.ledger import wallet
from app.domain.spending import Spend
from app.domain.status import Outcome
from app.services import ledger
from app.services.base.context import Tx
from app.services.ledger import clawback
from tests.support.buyer import COINS, Buyer
from tests.support.world import World

WHILE_ANOTHER_WAITS = 0.3
"""Seconds for which the wallet is kept locked, so that the settlement comes to wait for the lock."""


def test_what_was_done_to_the_wallet_while_the_settlement_waited_for_its_lock_is_seen(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    refund = buyer.ask(300)
    name = wallet(buyer.user, "coin", "sandbox")
    is_locked, never = threading.Event(), threading.Event()

    def let_go_and_spend(tx: Tx) -> None:
        clawback.release_reserved(tx, buyer.slot, name, refund)
        ledger.spend(tx, buyer.slot, Spend(buyer.user, "coin", COINS, "s", environment="sandbox"))
        tx.flush()
        is_locked.set()
        never.wait(WHILE_ANOTHER_WAITS)

    with ThreadPoolExecutor(2) as pool:
        spent = pool.submit(world.core.at(buyer.slot).transact, let_go_and_spend)
        is_locked.wait(5)
        told = pool.submit(buyer.tell, buyer.fact(Kind.REFUNDED, 1, refund=str(refund), money=300))
        assert told.result().outcome is Outcome.APPLIED
        spent.result()
    # 33 of 66 coins were reserved and are owed back; 60 are spent, 6 are left.
    assert (buyer.coins, buyer.account.held, buyer.debt) == (0, 0, 27)
    buyer.assert_proved()
