"""An app that sells coin packs through Tillbook: the requests of its players and of its backend, and of the providers.

A request is data, so that a test can send it in process and a benchmark over a socket, whole and many times.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt

from app.providers import Message
from tests.demo.house import Running
from tests.support.simulated_providers import SimulatedProviders

PACKS = Path(__file__).with_name("packs.toml")
PACK_COINS = {"pack-60": 66, "pack-300": 330}
TOKEN_LIFE = timedelta(hours=12)
WAYS = {"alipay": "app", "wechat": "native", "wechat-v2": "native"}
"""How orders are paid at each provider account. Alipay's `app` is only signed; the others call the provider."""
_NO = re.compile(rb'^fail$|"code": ?"FAIL"|\[FAIL\]')
"""A provider's word for no; the bare letters can stand in a signature."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to the service."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class UnexpectedAnswer(RuntimeError):
    """The service answered with something else than the shop needs."""


class CoinShop:
    """`send` carries a request to the service, in process or over HTTP."""

    def __init__(
        self, running: Running, providers: SimulatedProviders, send: Callable[[HttpRequest], HttpAnswer]
    ) -> None:
        self._running = running
        self.providers = providers
        self.send = send
        self._keys = itertools.count(1)
        self._bearer = cache(self._make_bearer)

    # --- what players ask ---

    def order_request(self, user: str, account: str = "alipay", pack: str = "pack-60") -> HttpRequest:
        document = {"product": pack, "provider_account": account, "way": WAYS[account]}
        return self._post("/v1/orders", document, self._bearer(user))

    def wallet_request(self, user: str) -> HttpRequest:
        return self._get("/v1/wallet", user)

    def statement_request(self, user: str) -> HttpRequest:
        return self._get("/v1/statement?asset=coin&environment=sandbox", user)

    def orders_request(self, user: str) -> HttpRequest:
        return self._get("/v1/orders?limit=20", user)

    def one_order_request(self, user: str, number: str) -> HttpRequest:
        return self._get(f"/v1/orders/{number}", user)

    # --- what the backend asks ---

    def spend_request(self, user: str, amount: int) -> HttpRequest:
        document = {"user": user, "asset": "coin", "amount": amount, "environment": "sandbox", "reference": "sword"}
        return self._post("/v1/spends", document, self._running.backend_key)

    def timeline_request(self, number: str) -> HttpRequest:
        bearer = {"Authorization": f"Bearer {self._running.backend_key}"}
        return HttpRequest("GET", f"/v1/orders/{number}/timeline", bearer)

    def refund_request(self, order: str) -> HttpRequest:
        return self._post("/v1/refunds", {"order": order, "reason": "asked"}, self._running.backend_key)

    # --- what providers say ---

    def paid_order_request(self, order: Mapping[str, Any]) -> HttpRequest:
        """A payer pays the order: the notification of its provider."""
        payment = order["payments"][0]
        account = payment["provider_account"]
        if account == "alipay":
            return notification(account, self.providers.alipay_paid(payment["action"]))
        return notification(account, self.providers.wechat_paid(payment["number"]))

    def store_purchase_request(self, user: str, pack: str = "pack-60") -> HttpRequest:
        """A player buys in the store: the store's notification."""
        product = f"com.example.game.{pack.replace('-', '')}"
        return notification("apple", self.providers.apple_bought(product, self.account_token(user)))

    def store_refund_request(self, user: str) -> HttpRequest:
        """The store gives the money of the player's newest purchase back: the store's notification."""
        return notification("apple", self.providers.apple_refunded(self.account_token(user)))

    # --- what has been done before something is measured ---

    def order(self, user: str, account: str = "alipay", pack: str = "pack-60") -> dict[str, Any]:
        made: dict[str, Any] = self.done(self.order_request(user, account, pack)).json()
        return made

    def bought(self, user: str, account: str = "alipay", pack: str = "pack-60") -> dict[str, Any]:
        """An order that is paid."""
        order = self.order(user, account, pack)
        self.done(self.paid_order_request(order))
        return order

    def account_token(self, user: str) -> str:
        return str(self.done(self._get("/v1/account-token", user)).json()["token"])

    def coins(self, user: str) -> int:
        balances = self.done(self.wallet_request(user)).json()["balances"]
        return sum(int(entry["balance"]) for entry in balances if entry["asset"] == "coin")

    def done(self, request: HttpRequest) -> HttpAnswer:
        """Send it. Raises UnexpectedAnswer if the service did not do it."""
        answer = self.send(request)
        if not is_done(answer):
            raise UnexpectedAnswer(f"{request.method} {request.path}: {answer.status} {answer.body[:500]!r}")
        return answer

    def _get(self, path: str, user: str) -> HttpRequest:
        return HttpRequest("GET", path, {"Authorization": f"Bearer {self._bearer(user)}"})

    def _post(self, path: str, document: Mapping[str, Any], bearer: str) -> HttpRequest:
        headers = {
            "Authorization": f"Bearer {bearer}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"key-{next(self._keys)}",
        }
        return HttpRequest("POST", path, headers, json.dumps(document).encode())

    def _make_bearer(self, user: str) -> str:
        expires = datetime.now(UTC) + TOKEN_LIFE
        return jwt.encode({"sub": user, "exp": expires}, self._running.jwt_secret, algorithm="HS256")


def notification(account: str, message: Message) -> HttpRequest:
    return HttpRequest("POST", f"/webhooks/{account}", dict(message.headers), message.body)


def is_done(answer: HttpAnswer) -> bool:
    """Whether the service did what it was asked; Alipay's and WeChat's word for no comes with status 200, too."""
    return 200 <= answer.status < 300 and not _NO.search(answer.body)
