"""The flows whose cost is guarded: each is one request to the service in process, prepared by others."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import structlog
from flask import Flask

from app import create_app
from app.worker import Worker
from tests.demo import house
from tests.support.coin_shop import PACKS, CoinShop, HttpAnswer, HttpRequest
from tests.support.counting import Cost, Counter
from tests.support.simulated_providers import SimulatedProviders

ROUNDS = 3
"""Of each flow the cheapest is what counts: some rounds meet what comes once a minute, or a statement's preparation."""
_installations = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Installation:
    """A Tillbook in this process, and a shop that uses it."""

    app: Flask
    shop: CoinShop
    environ: Mapping[str, str]
    """The environment in which a process of the service finds its settings."""
    number: int
    """Part of its users' names: what a process remembers of users must not make a second installation cheaper."""


@contextmanager
def installation(database_url: str, folder: Path) -> Iterator[Installation]:
    """Tillbook over a database that has the schema already. Its settings come from a file, as in production."""
    providers = SimulatedProviders()
    running = house.prepare(folder / "house", 1, providers.accounts)
    running.environ |= {"TILLBOOK_DATABASE_URL": database_url}
    imported = running.tillbook("products", "import", str(PACKS))
    if imported.returncode:
        raise RuntimeError(imported.stderr)
    before = structlog.get_config()
    try:
        with mock.patch.dict(os.environ, running.environ):
            app = create_app()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        yield Installation(
            app, CoinShop(running, providers, partial(_send, app)), running.environ, next(_installations)
        )
    finally:
        structlog.configure(**before)
        app.extensions["tillbook_house"].engine.dispose()
        providers.close()


def _send(app: Flask, request: HttpRequest) -> HttpAnswer:
    answer = app.test_client().open(
        request.path, method=request.method, data=request.body or None, headers=dict(request.headers)
    )
    return HttpAnswer(answer.status_code, answer.data)


Work = Callable[[], object]
Flow = Callable[[int], Work]
"""Prepares a round of a flow, and gives the work that is counted."""


def idle_flows(place: Installation) -> dict[str, Flow]:
    """What is done where nobody ever ordered: nothing is due, whenever the test gets there."""
    worker = Worker(place.app.extensions["tillbook"])
    return {"worker's round, idle": lambda at: worker.run_once}


def flows(place: Installation) -> dict[str, Flow]:
    """Every other guarded flow by its name."""
    shop = place.shop
    player = f"player-{place.number}"

    def sent(request: HttpRequest) -> Work:
        return partial(shop.done, request)

    def paid(account: str, user: str) -> Work:
        return sent(shop.paid_order_request(shop.order(user, account)))

    def repeated(at: int) -> Work:
        request = shop.paid_order_request(shop.order(player))
        shop.done(request)
        return sent(request)

    def told_again(at: int) -> Work:
        """Of a user of its own: the other flows must not meet more lots than they would without this one."""
        request = shop.store_purchase_request(f"repeater-{place.number}")
        shop.done(request)
        return sent(request)

    def refund_told(at: int) -> Work:
        """Of a user of its own, for the same reason."""
        user = f"returner-{place.number}"
        shop.done(shop.store_purchase_request(user))
        return sent(shop.store_refund_request(user))

    def spent(amount: int, packs: int, at: int) -> Work:
        """A spend out of a wallet that got so many packs, each of one paid lot and one bonus lot. Two spends of several
        lots come before: the first one makes the account that the coins go to, the second one reads its number."""
        user = f"spender-{place.number}-{packs}-{at}"
        for _ in range(packs):
            shop.bought(user)
        for before in (1, 10):
            shop.done(shop.spend_request(user, before))
        return sent(shop.spend_request(user, amount))

    return {
        "alipay notification, known user": lambda at: paid("alipay", player),
        "alipay notification, new user": lambda at: paid("alipay", f"new-{place.number}-{at}"),
        "wechat v3 notification": lambda at: paid("wechat", player),
        "wechat v2 notification": lambda at: paid("wechat-v2", player),
        "apple notification": lambda at: sent(shop.store_purchase_request(player)),
        "apple notification, again": told_again,
        "alipay notification, again": repeated,
        "order, only signed": lambda at: sent(shop.order_request(player)),
        "spend, open lot": partial(spent, 2, 1),
        "spend, several lots": partial(spent, 170, 3),
        "wallet": lambda at: sent(shop.wallet_request(player)),
        "statement page": lambda at: sent(shop.statement_request(player)),
        "list of orders": lambda at: sent(shop.orders_request(player)),
        "refund, asked until coins are taken": lambda at: sent(shop.refund_request(shop.bought(player)["number"])),
        "refund, told by the provider": refund_told,
    }


def measure(database_url: str, folder: Path) -> dict[str, Cost]:
    """What each flow costs on that database, in a process that has done each before."""
    counter, costs = Counter(), dict[str, Cost]()
    with counter.watching(), installation(database_url, folder) as place:
        for prepared in (idle_flows(place), flows(place)):
            for at in range(-2, 0):
                for flow in prepared.values():
                    flow(at)()
            for at in range(ROUNDS):
                for name, flow in prepared.items():
                    cost = counter.cost_of(flow(at))
                    costs[name] = cost.least(costs.get(name, cost))
    return costs
