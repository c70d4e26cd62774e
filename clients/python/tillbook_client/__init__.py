"""A client of Tillbook's API. `tillbook_client.generated` has an operation and a model for everything in the OpenAPI
document; this page adds what no generator knows.

    from tillbook_client import connect, expect, new_key
    from tillbook_client.generated.api.orders import create_order
    from tillbook_client.generated.models import Order, OrderRequest

    with connect("https://pay.example", "tbk_…") as tillbook:
        wanted = OrderRequest(provider_account="alipay", way="app", product="coins-60", user="alice")
        order = expect(Order, create_order.sync_detailed(client=tillbook, body=wanted, idempotency_key=new_key()))
"""

from __future__ import annotations

from tillbook_client.answers import Refused, expect, expect_nothing
from tillbook_client.connection import connect, new_key
from tillbook_client.repeats import RepeatingTransport, Repeats
from tillbook_client.webhooks import NotGenuine, WebhookSecrets

__all__ = [
    "NotGenuine",
    "Refused",
    "RepeatingTransport",
    "Repeats",
    "WebhookSecrets",
    "connect",
    "expect",
    "expect_nothing",
    "new_key",
]
