"""The providers of the demonstration: each plugin's simulator, served on a port of its own from this process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from app.providers import Clock, Message, Reply
from app.providers.testing.simulator import Faults, send_over_http
from plugins.alipay import simulator as alipay
from plugins.alipay.simulated.keys import demo_keys
from plugins.apple import simulator as apple
from plugins.wechat import simulator as wechat
from plugins.wechat.simulated.keys import generate_config

SPEED = 60.0
"""Providers repeat their notifications after minutes; here after seconds."""


AUTO_DEBIT = {
    "product_code": "GENERAL_WITHHOLDING",
    "personal_product_code": "GENERAL_WITHHOLDING_P",
    "sign_scene": "INDUSTRY|GAME_CHARGE",
}
"""商家扣款 without a plan of deductions."""


@dataclass
class Storm:
    """Sends a notification many times at once when told to, as retries and a replaying attacker may."""

    copies: int = 1
    replies: list[Reply] = field(default_factory=list)

    def send(self, url: str, message: Message) -> Reply:
        copies, self.copies = self.copies, 1
        if copies == 1:
            return send_over_http(url, message)
        with ThreadPoolExecutor(copies) as pool:
            self.replies = list(pool.map(lambda _: send_over_http(url, message), range(copies)))
        return self.replies[-1]


@dataclass
class Simulators:
    """What the demonstration needs to know about its providers."""

    accounts: dict[str, dict[str, Any]]
    """Settings of the provider accounts, by name; after a dot the name of a table inside."""
    alipay_faults: Faults
    storm: Storm
    alipay_url: str
    wechat_url: str
    apple_url: str


def start(ports: dict[str, int], tillbook_url: str, clock: Clock) -> Simulators:
    """Serve all of them until the process ends, by that clock. The keys are made now and forgotten then."""
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    storm, keys = Storm(), demo_keys()
    alipay_config = alipay.SimulatorConfig(
        keys=keys, base_url=urls["alipay"], speed=SPEED, send=storm.send, hang_seconds=1.0, clock=clock.now
    )
    alipay_app = alipay.create_simulator(alipay_config)
    alipay.simulated(alipay_app).deliveries.start()
    wechat_config = generate_config()
    wechat_app = wechat.create_simulator(wechat_config, public_url=urls["wechat"], speed=SPEED, now=clock.now)
    wechat_app.extensions["wechat"].deliveries.start()
    notify = f"{tillbook_url}/webhooks/apple"
    apple_app = apple.create_simulator(
        apple.SimulatorConfig(notify_urls={"Production": notify, "Sandbox": notify}, speed=SPEED * 60, now=clock.now)
    )
    store = apple.simulated_store(apple_app)
    for deliveries in store.notifications.deliveries.values():
        deliveries.start()
    for name, app in (("alipay", alipay_app), ("wechat", wechat_app), ("apple", apple_app)):
        _serve(app, ports[name])
    accounts = {
        "alipay": {"plugin": "alipay", "live": False, **keys.settings(f"{urls['alipay']}/gateway.do")},
        "alipay.agreements": dict(AUTO_DEBIT),
        "wechat": {"plugin": "wechat", "live": False, **wechat_config.settings_v3(urls["wechat"])},
        "wechat-v2": {"plugin": "wechat", "live": False, **wechat_config.settings_v2(urls["wechat"])},
        "apple": {"plugin": "apple", "live": False, "confirm": "no", **store.settings(urls["apple"])},
    }
    faults = alipay.simulated(alipay_app).faults
    return Simulators(accounts, faults, storm, urls["alipay"], urls["wechat"], urls["apple"])


def _serve(app: Flask, port: int) -> BaseWSGIServer:
    server = make_server("127.0.0.1", port, app, threaded=True)
    threading.Thread(target=server.serve_forever, name=f"simulator-{port}", daemon=True).start()
    return server
