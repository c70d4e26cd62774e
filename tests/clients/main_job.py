"""The whole main job with the client that openapi-python-client makes with its own options: order, pay, wallet, spend,
refund. Run as a program of its own, since the generator names its package as ours is named."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import httpx
from tillbook_client import AuthenticatedClient
from tillbook_client.api.orders import create_order, list_products, read_order
from tillbook_client.api.refunds import create_refund, read_refund
from tillbook_client.api.wallets import create_spend, read_wallet
from tillbook_client.models import (
    Environment,
    Order,
    OrderRequest,
    OrderStatus,
    Posted,
    Problem,
    Products,
    Refund,
    RefundRequest,
    RefundStatus,
    SpendRequest,
    Wallet,
)

PATIENCE_SECONDS = 60
T = TypeVar("T")


def a(kind: type[T], answer: object) -> T:
    assert isinstance(answer, kind), answer
    return answer


def wait_for(read: Callable[[], T], ready: Callable[[T], bool]) -> T:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not ready(found := read()):
        assert time.monotonic() < ends, found
        time.sleep(0.2)
    return found


def coins(client: AuthenticatedClient) -> int:
    wallet = a(Wallet, read_wallet.sync(client=client, user="bob"))
    return sum(one.balance for one in wallet.balances if one.environment == Environment.SANDBOX)


def main() -> dict[str, object]:
    with AuthenticatedClient(os.environ["SERVICE_URL"], os.environ["BACKEND_KEY"]) as client:
        sku = a(Products, list_products.sync(client=client)).products[0].sku
        wanted = OrderRequest(provider_account="sandbox", way="page", product="coins-60", user="bob")
        order = a(Order, create_order.sync(client=client, body=wanted, idempotency_key=str(uuid.uuid4())))
        action = order.payments[0].action
        assert action is not None
        assert httpx.post(action["url"]).status_code == 303
        paid = wait_for(
            lambda: a(Order, read_order.sync(order.number, client=client)), lambda one: one.status == OrderStatus.PAID
        )
        bought = coins(client)
        spend = SpendRequest(asset="coin", amount=25, user="bob", environment=Environment.SANDBOX)
        spent = a(Posted, create_spend.sync(client=client, body=spend, idempotency_key="sword"))
        again = a(Posted, create_spend.sync(client=client, body=spend, idempotency_key="sword"))
        refused = a(Problem, create_spend.sync(client=client, body=spend, idempotency_key=""))
        back = RefundRequest(reason="asked by the user", order=order.number, amount_minor=300)
        refund = a(Refund, create_refund.sync(client=client, body=back, idempotency_key=str(uuid.uuid4())))
        done = wait_for(
            lambda: a(Refund, read_refund.sync(refund.number, client=client)),
            lambda one: one.status == RefundStatus.DONE,
        )
        return {
            "sku": sku,
            "paid": paid.paid_at is not None,
            "bought": bought,
            "spent": spent.balance,
            "repeated": again.repeated,
            "refused": refused.code,
            "refunded": done.amount_minor,
            "taken": done.coins[0].taken,
            "left": coins(client),
        }


if __name__ == "__main__":
    print(json.dumps(main()))  # noqa: T201 - the test reads it
