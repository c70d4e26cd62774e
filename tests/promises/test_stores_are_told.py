"""A store is told whose a purchase is that came without an owner, and what we think of a refund that it asks about."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Engine

from app.domain.numbers import slot_of_user
from app.domain.retries import RETRIES, Retried
from app.domain.spending import Spend
from app.providers.registry import RefundPreference, Registry
from app.providers.testing.doubles import BrokenHttp
from app.services import ledger
from app.services.accounts.users import record_consent
from app.services.base.context import Tx
from app.worker import Worker
from plugins.apple.transactions import SUBSCRIPTION
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.databases import Sessions
from tests.support.world import START, build_world


@pytest.fixture
def store(engine: Engine, sessions: Sessions) -> Store:
    return Store(build_world(engine, sessions))


def _named_owner(store: Store, number: str) -> str | None:
    named: str | None = store.shop.store.purchases.find("Sandbox", number).payload.get("appAccountToken")
    return named


def _spend(tx: Tx, store: Store, spend: Spend) -> None:
    ledger.spend(tx, slot_of_user(spend.user_id), spend)


def test_the_owner_of_a_purchase_without_a_token_is_told_to_the_store_once_it_is_claimed(store: Store) -> None:
    coins = store.device("alice", token=False).buy(PRODUCT)
    gold = store.device("bob", token=False).buy(PRODUCT, product_type=SUBSCRIPTION)
    named = store.device("carol").buy(PRODUCT)
    assert _named_owner(store, coins) is None
    assert store.world.coins("alice") == store.world.coins("bob") == 600
    Worker(store.core).run_once()
    owners = [_named_owner(store, number) for number in (coins, gold, named)]
    assert owners == [store.token(user) for user in ("alice", "bob", "carol")]
    store.world.clock.advance(60)
    Worker(store.core).run_once()
    told = [url for _, url, _ in store.shop.http.requests if url.endswith("/appAccountToken") and "/sandbox/" in url]
    assert len(told) == 2, "once of each, and of a purchase with a token nothing"


def test_a_store_that_cannot_be_reached_is_told_the_owner_later(store: Store) -> None:
    number = store.device("alice", token=False).buy(PRODUCT)
    silent = replace(store.account, provider=store.shop.provider(http=BrokenHttp(store.shop.http, "timeout")))
    Worker(replace(store.core, registry=Registry({"apple": silent}))).run_once()
    assert _named_owner(store, number) is None
    store.world.clock.advance(RETRIES[Retried.OWNER_REPORT].pauses[0] * 1.3)  # the first pause, whatever its jitter
    Worker(store.core).run_once()
    assert _named_owner(store, number) == store.token("alice")


def test_a_question_before_a_refund_is_answered_with_what_the_account_prefers(
    engine: Engine, sessions: Sessions
) -> None:
    store = Store(build_world(engine, sessions), answer_refund_questions=True)
    cases = [
        (RefundPreference.NONE, 150, None),
        (RefundPreference.GRANT, 600, "GRANT_FULL"),
        (RefundPreference.DECLINE, 0, "DECLINE"),
        (RefundPreference.BY_CONSUMPTION, 0, "GRANT_FULL"),
        (RefundPreference.BY_CONSUMPTION, 150, "GRANT_PRORATED"),
        (RefundPreference.BY_CONSUMPTION, 600, "DECLINE"),
    ]
    for n, (preference, used, wish) in enumerate(cases):
        user = f"user-{n}"
        store.account = replace(store.account, refund_preference=preference)
        store.core = store.world.core = replace(store.core, registry=Registry({"apple": store.account}))
        device = store.device(user)
        number = device.buy(PRODUCT)
        store.core.of_user(user).transact(partial(record_consent, user_id=user, moment=START))
        if used:
            spend = partial(_spend, store=store, spend=Spend(user, "coin", used, "s", environment="sandbox"))
            store.core.whole.transact(spend)
        device.ask_refund(number)
        store.deliver()
        Worker(store.core).run_once()
        (report,) = store.shop.store.purchases.find("Sandbox", number).reports
        assert report.get("refundPreference") == wish, (preference, used)
