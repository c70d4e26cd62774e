"""A store whose messages only name a purchase: its answer to our question decides, and may take days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine

from app.providers import Fact, Intent, Kind, Message, NoExtra, Received, Ref, Reply, Started
from app.providers.registry import ProviderAccount
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.accounts.users import ensure_user
from app.services.base.transaction import Sessions
from app.services.intake import notifications, receipts
from app.services.intake.receipts import Submitted
from app.worker import Worker
from tests.support.world import World, build_world

CATALOGUE = """
[[products]]
sku = "coins-600"
title = "600 coins"
store_ids = { kiosk = "coins.600" }
[[products.grants]]
asset = "coin"
amount = 600
"""


@dataclass
class Kiosk:
    """Knows purchases by token; the buyer of a pending one has still to pay at a counter."""

    account: str = "kiosk"
    currencies: tuple[str, ...] = ()
    ways: Mapping[str, type[BaseModel]] = field(default_factory=lambda: {"store": NoExtra})
    purchases: dict[str, Fact] = field(default_factory=dict)
    refunds: dict[str, Fact] = field(default_factory=dict)

    def start(self, intent: Intent) -> Started:
        return Started({"type": "store_product", "product_id": intent.product})

    def receive(self, message: Message) -> Received:
        return Received((), Reply(200, "text/plain", b"ok"), asks=(Ref(theirs=json.loads(message.body)["token"]),))

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        found = (books.get(ref.theirs or "") for books in (self.purchases, self.refunds))
        return tuple(fact for fact in found if fact is not None)

    def sell(self, token: str, owner: str, kind: Kind) -> None:
        now = datetime(2026, 1, 2, tzinfo=UTC)
        self.purchases[token] = Fact(
            kind, Ref(theirs=token), now, product="coins.600", quantity=1, owner=owner, account=self.account, live=False
        )

    def give_back(self, token: str) -> None:
        purchase = self.purchases[token]
        ref = replace(purchase.ref, refund=f"back-{token}")
        self.refunds[token] = replace(purchase, kind=Kind.REFUNDED, ref=ref, share=100_000)

    def settle(self, token: str, kind: Kind) -> None:
        self.purchases[token] = replace(self.purchases[token], kind=kind)


@dataclass
class Shop:
    world: World
    kiosk: Kiosk

    def buys(self, token: str, kind: Kind) -> None:
        user = self.world.core.whole.transact(lambda tx: ensure_user(tx, "alice"))
        self.kiosk.sell(token, str(user.token), kind)

    def hands_in(self, token: str) -> Submitted:
        return receipts.submit(self.world.core, "kiosk", "alice", json.dumps({"token": token}).encode())

    def is_told_of(self, token: str) -> Reply:
        message = Message("notification", json.dumps({"token": token}).encode())
        account = self.world.core.registry.get("kiosk")
        assert account is not None
        return notifications.receive_notification(self.world.core, account, message)

    def an_hour_later(self) -> None:
        self.world.clock.advance(3_700)
        Worker(self.world.core, ()).run_once()


@pytest.fixture
def shop(engine: Engine, sessions: Sessions) -> Shop:
    world, kiosk = build_world(engine, sessions), Kiosk()
    world.serve(ProviderAccount("kiosk", "kiosk", False, kiosk))
    import_products(world.core, parse_catalogue(CATALOGUE))
    return Shop(world, kiosk)


def test_a_purchase_that_is_still_to_be_paid_is_pending_and_credited_when_it_is(shop: Shop) -> None:
    shop.buys("t-1", Kind.PENDING)
    first = shop.hands_in("t-1")
    assert (first.status, [purchase.status for purchase in first.purchases]) == ("pending", ["pending"])
    assert shop.world.coins("alice") == 0
    shop.kiosk.settle("t-1", Kind.PAID)
    shop.an_hour_later()
    assert shop.world.coins("alice") == 600
    assert [purchase.status for purchase in shop.hands_in("t-1").purchases] == ["credited"]
    assert shop.world.coins("alice") == 600


def test_a_purchase_that_is_never_paid_for_ends_as_unknown_and_asks_no_more(shop: Shop) -> None:
    shop.buys("t-2", Kind.PENDING)
    shop.hands_in("t-2")
    shop.kiosk.settle("t-2", Kind.CLOSED)
    shop.an_hour_later()
    again = shop.hands_in("t-2")
    assert (again.status, [purchase.status for purchase in again.purchases]) == ("settled", ["unknown"])
    assert shop.world.coins("alice") == 0


def test_a_notification_that_only_names_a_purchase_that_is_here_is_asked_about(shop: Shop) -> None:
    shop.buys("t-3", Kind.PAID)
    shop.hands_in("t-3")
    assert shop.world.coins("alice") == 600
    shop.kiosk.give_back("t-3")
    assert shop.is_told_of("t-3").status == 200
    assert shop.world.coins("alice") == 600, "the notification was believed"
    Worker(shop.world.core, ()).run_once()
    assert shop.world.coins("alice") == 0
    shop.world.assert_balanced()


def test_a_notification_that_names_nothing_that_is_here_is_answered_and_moves_nothing(shop: Shop) -> None:
    shop.buys("t-4", Kind.PAID)
    assert shop.is_told_of("t-4").status == 200
    assert shop.is_told_of("nobody's").status == 200
    Worker(shop.world.core, ()).run_once()
    assert shop.world.coins("alice") == 0
