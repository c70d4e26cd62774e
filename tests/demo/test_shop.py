"""The demonstration's shop page: it fits on a phone, and the ways by QR code show one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import segno
from flask import Flask, request
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from app.providers.testing.simulator import Faults
from app.services.base.moved_clock import MovedClock
from tests.demo.house import Running
from tests.demo.shop import STYLE, create_shop
from tests.demo.simulators import Simulators, Storm

CODES = {"alipay": "https://qr.example/abc?d=1", "wechat": "weixin://wxpay/bizpayurl?pr=XyZ"}


def _order(account: str, way: str) -> dict[str, Any]:
    kinds = {"page": {"type": "redirect", "url": "https://cashier.example/1"}}
    action = kinds.get(way, {"type": "qr", "code": CODES[account]})
    return {
        "number": f"12345678901234567{len(account)}",
        "title": "60 coins",
        "status": "open",
        "payments": [{"number": "77", "provider_account": account, "action": action}],
    }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[FlaskClient]:
    """The shop, over an API of two lines for each address it reads."""
    api, made = Flask("api"), {}

    @api.post("/v1/orders")
    def order() -> dict[str, Any]:
        wanted = request.get_json()
        one = _order(wanted["provider_account"], wanted["way"])
        made[one["number"]] = one
        return one

    api.add_url_rule("/v1/orders/<number>", "one", lambda number: made[number])
    api.add_url_rule("/v1/orders", "all", lambda: {"orders": list(made.values())})
    api.add_url_rule("/v1/wallet", "wallet", lambda: {"balances": [{"asset": "coin", "balance": "5"}]})
    api.add_url_rule("/v1/statement", "statement", lambda: {"lines": []})
    api.add_url_rule("/v1/products", "products", lambda: {"products": [{"sku": "c", "title": "60 coins"}]})
    server = make_server("127.0.0.1", 0, api, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    running = Running(tmp_path, url, "s" * 40, "tbk_x", {}, MovedClock(tmp_path / "clock"))
    providers = Simulators({}, Faults(), Storm(), "http://alipay.example", "http://wechat.example", "http://a.example")
    yield create_shop(running, providers).test_client()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("way", ["alipay/precreate", "wechat/native"])
def test_a_way_by_qr_code_draws_the_code_that_the_provider_gave(shop: FlaskClient, way: str) -> None:
    page = shop.post("/buy", data={"product": "c", "way": way}, follow_redirects=True)
    assert page.status_code == 200
    code = CODES[way.partition("/")[0]]
    drawn = _modules(page.text)
    matrix = segno.make(code, micro=False, error="m").matrix
    wanted = {(x, y) for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark}
    assert drawn == wanted
    assert "payer scans it" in page.text


def _modules(page: str) -> set[tuple[int, int]]:
    """The dark squares of the drawing, read from the strokes of its path; the quiet zone of four squares is off."""
    [path] = re.findall(r'<path[^>]* class="qrline"[^>]* d="([^"]*)"|<path[^>]*stroke="#000"[^>]* d="([^"]*)"', page)
    x = y = 0.0
    dark = set()
    for command, numbers in re.findall(r"([Mmh])([-0-9. ]+)", "".join(path)):
        values = [float(number) for number in re.findall(r"-?[0-9.]+", numbers)]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            dark |= {(int(x) + i - 4, int(y) - 4) for i in range(int(values[0]))}
            x += values[0]
    return dark


def test_other_ways_lead_to_the_cashier(shop: FlaskClient) -> None:
    answer = shop.post("/buy", data={"product": "c", "way": "alipay/page"})
    assert unquote(answer.headers["Location"]) == "https://cashier.example/1"
    page = shop.get("/")
    assert 'href="https://cashier.example/1"' in page.text


def test_the_pages_are_told_to_be_as_wide_as_a_phone(shop: FlaskClient) -> None:
    shop.post("/buy", data={"product": "c", "way": "alipay/precreate"})
    for page in (shop.get("/").text, shop.get("/orders/123456789012345676").text):
        assert 'content="width=device-width,initial-scale=1"' in page
        assert "overflow-wrap:anywhere" in page
    assert not re.search(r"(?<!max-)width:\s*\d+(px|rem)", STYLE), "nothing has a width that a phone may not have"
    assert not re.search(r"min-width|nowrap", STYLE)
