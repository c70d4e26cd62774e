"""The simulated providers of one installation, which hand out their signed notifications instead of sending them.

The only module of the benchmarks and of the guard on costs that imports the plugins' simulators.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from app.providers import Message
from plugins.alipay import simulator as alipay
from plugins.alipay.simulated.keys import demo_keys
from plugins.apple import simulator as apple
from plugins.apple.simulated.notifications import as_message
from plugins.wechat import simulator as wechat
from plugins.wechat.simulated.keys import generate_config
from tests.demo.house import free_ports


class SimulatedProviders:
    """Alipay, WeChat Pay (both generations) and the App Store, served on 127.0.0.1 from threads of this process."""

    def __init__(self, *, v2_sign_type: str = "HMAC-SHA256") -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        ports = dict(zip(("alipay", "wechat", "apple"), free_ports(3), strict=True))
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self.alipay_keys = demo_keys()
        self.wechat_config = replace(generate_config(), sign_type=v2_sign_type)
        with mock.patch.dict(os.environ, {"TILLBOOK_ENV": "test"}):
            alipay_app = alipay.create_simulator(alipay.SimulatorConfig(keys=self.alipay_keys, base_url=urls["alipay"]))
            wechat_app = wechat.create_simulator(self.wechat_config, public_url=urls["wechat"])
            apple_app = apple.create_simulator(apple.SimulatorConfig())
        self._alipay = alipay.simulated(alipay_app)
        self._wechat = wechat_app.extensions["wechat"]
        # Signed with the public key of the settings: so nobody has to download platform certificates first.
        self._wechat.situation.kind = "public_key"
        self.store = apple.simulated_store(apple_app)
        self._bought: dict[str, str] = {}
        """The number of each customer's newest purchase in the store, by the token of the user's account."""
        v3 = self.wechat_config.settings_v3(urls["wechat"], certificates=False)
        self.accounts: dict[str, dict[str, Any]] = {
            "alipay": {"plugin": "alipay", "live": False, **self.alipay_keys.settings(f"{urls['alipay']}/gateway.do")},
            "wechat": {"plugin": "wechat", "live": False, **v3},
            "wechat-v2": {"plugin": "wechat", "live": False, **self.wechat_config.settings_v2(urls["wechat"])},
            "apple": {"plugin": "apple", "live": False, "confirm": "no", **self.store.settings(urls["apple"])},
        }
        """Settings of the provider accounts, by name."""
        apps = {"alipay": alipay_app, "wechat": wechat_app, "apple": apple_app}
        self._servers = [_serve(app, ports[name]) for name, app in apps.items()]

    def alipay_paid(self, action: Mapping[str, Any]) -> Message:
        """A payer does what the action says, and Alipay tells."""
        self._alipay.pay(self._alipay.order_of(action))
        return self._alipay.message(self._alipay.notices[-1])

    def wechat_paid(self, payment_number: str) -> Message:
        """A payer pays, and WeChat Pay tells, in the generation in which the order was made."""
        return self._wechat.payment_message(self._wechat.books.pay(payment_number))  # type: ignore[no-any-return]

    def apple_bought(self, product: str, token: str) -> Message:
        """A customer buys in the store's sandbox, and the App Store tells."""
        purchase = self.store.purchases.buy("Sandbox", product, token=token)
        self._bought[token] = purchase.payload["transactionId"]
        return as_message(self.store.notifications.tell("ONE_TIME_CHARGE", "", purchase).signed_payload)

    def apple_refunded(self, token: str) -> Message:
        """The store gives the money of this customer's newest purchase back, and tells."""
        number = self._bought[token]
        purchase = self.store.purchases.refund("Sandbox", number)
        return as_message(self.store.notifications.tell("REFUND", "", purchase).signed_payload)

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _serve(app: Flask, port: int) -> BaseWSGIServer:
    server = make_server("127.0.0.1", port, app, threaded=True)
    threading.Thread(target=server.serve_forever, name=f"simulator-{port}", daemon=True).start()
    return server
