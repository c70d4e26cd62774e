"""Purchases in a store whose coins are with the app's backend: asked for, taken back by share, and reported when the
backend has delivered."""

from __future__ import annotations

from sqlalchemy import Engine, select

from app.domain.numbers import slot_of_user
from app.models.base import AnyRow
from app.models.fulfilments import FULFILMENTS
from app.models.reports import ReportRow
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.accounts.users import record_consent
from app.services.base.transaction import Sessions
from app.worker import Worker
from tests.promises.test_store_purchases import CATALOGUE, PRODUCT, Store
from tests.support.backend_wallets import answer_for
from tests.support.world import START, build_world

SLOT = slot_of_user("alice")


def _fulfilment(store: Store) -> AnyRow:
    return store.core.whole.read(lambda tx: tx.execute(select(FULFILMENTS).where(FULFILMENTS.c.slot == SLOT)).one())


def test_a_purchase_in_a_store_is_delivered_and_taken_back_by_its_share(engine: Engine, sessions: Sessions) -> None:
    store = Store(build_world(engine, sessions), answer_refund_questions=True)
    text = CATALOGUE.replace("[[products]]\n", '[[products]]\nfulfilment = "external"\n')
    import_products(store.core, parse_catalogue(text))
    device = store.device()
    number = device.buy(PRODUCT, quantity=2)
    store.deliver()
    row = _fulfilment(store)
    assert ([unit["due"] for unit in row.units], store.world.coins()) == ([1200], 0)
    answer_for(store.core, row.id, "delivered", 1)
    store.shop.control("refund", id=number, environment="Sandbox", percentage=25_000)
    store.deliver()
    assert [unit["due"] for unit in _fulfilment(store).units] == [900]
    answer_for(store.core, row.id, "taken_back", 2)
    store.shop.control("reverse-refund", id=number, environment="Sandbox")
    store.deliver()
    row = _fulfilment(store)
    assert ([unit["due"] for unit in row.units], row.wishes[-1]) == ([1200], {"asks": "delivery", "answer": ""})
    answer_for(store.core, row.id, "delivered", 3)
    store.core.whole.transact(lambda tx: record_consent(tx, "alice", START))
    device.ask_refund(number)
    store.deliver()
    Worker(store.core).run_once()
    r = ReportRow.__table__.c
    reports = store.core.whole.read(lambda tx: tx.execute(select(r.status, r.problem).where(r.slot == SLOT)).all())
    assert [tuple(report) for report in reports] == [
        ("dropped", "the app's backend has the coins, and alone knows how many are used")
    ]
    assert store.shop.store.purchases.find("Sandbox", number).reports == []
    store.world.assert_balanced()
