"""The kinds of requests that are measured, each prepared before the clock starts."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle, islice

from bench import plain_rows
from bench.place import PLAYERS, SPENDERS, Place
from tests.support.coin_shop import PACK_COINS, CoinShop, HttpRequest

LARGEST_SPEND = 200
REPEATED = 64
"""Notifications that come again: distinct ones, sent in turn."""

Row = Callable[[Place, int], list[HttpRequest]]
"""Makes so many requests of one kind."""


def notifications(account: str) -> Row:
    return lambda place, count: place.ordered(account, count)


def store_notifications(place: Place, count: int) -> list[HttpRequest]:
    return place.bought_in_store(count)


def again(row: Row) -> Row:
    """Those that were applied already."""

    def repeated(place: Place, count: int) -> list[HttpRequest]:
        first = row(place, min(count, REPEATED))
        place.sent_to_both(first)
        return list(islice(cycle(first), count))

    return repeated


def orders(place: Place, count: int) -> list[HttpRequest]:
    return [place.shop.order_request(user) for user in islice(cycle(PLAYERS), count)]


def spends(place: Place, count: int) -> list[HttpRequest]:
    """Of 1 to 200 coins, out of wallets filled with packs of 60 + 6 and 300 + 30 in turn, as much as they need."""
    chance = random.Random(count)
    amounts = [(user, chance.randint(1, LARGEST_SPEND)) for user in islice(cycle(SPENDERS), count)]
    bought: list[HttpRequest] = []
    rows = []
    for user in SPENDERS:
        needed = sum(amount for spender, amount in amounts if spender == user)
        for pack in cycle(PACK_COINS):
            order = place.shop.order(user, "alipay", pack)
            rows.append(plain_rows.open_payment(order | {"product": pack}, user))
            bought.append(place.shop.paid_order_request(order))
            needed -= PACK_COINS[pack]
            if needed <= 0:
                break
    place.seed.payments(rows)
    place.sent_to_both(bought)
    return [place.shop.spend_request(user, amount) for user, amount in amounts]


def of_players(request: Callable[[CoinShop, str], HttpRequest]) -> Row:
    return lambda place, count: [request(place.shop, user) for user in islice(cycle(PLAYERS), count)]


def shown_orders(place: Place, count: int) -> list[HttpRequest]:
    """Paid ones: about an open order the provider would be asked first."""
    paid, rows, shown = [], [], []
    for user in PLAYERS[:REPEATED]:
        order = place.shop.order(user)
        rows.append(plain_rows.open_payment(order | {"product": "pack-60"}, user))
        paid.append(place.shop.paid_order_request(order))
        shown.append(place.shop.one_order_request(user, order["number"]))
    place.seed.payments(rows)
    place.sent_to_both(paid)
    return list(islice(cycle(shown), count))


ROWS: dict[str, Row] = {
    "alipay": notifications("alipay"),
    "wechat-v3": notifications("wechat"),
    "wechat-v2": notifications("wechat-v2"),
    "apple": store_notifications,
    "alipay-again": again(notifications("alipay")),
    "wechat-v3-again": again(notifications("wechat")),
    "wechat-v2-again": again(notifications("wechat-v2")),
    "apple-again": again(store_notifications),
    "order": orders,
    "spend": spends,
    "wallet": of_players(lambda shop, user: shop.wallet_request(user)),
    "statement": of_players(lambda shop, user: shop.statement_request(user)),
    "orders": of_players(lambda shop, user: shop.orders_request(user)),
    "order-shown": shown_orders,
}
