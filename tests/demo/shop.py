"""The demonstration's shop page: what an app's own backend and client would do, in one small Flask application."""

from __future__ import annotations

from typing import Any

import segno
from flask import Flask, redirect, render_template_string, request
from werkzeug.wrappers import Response

from tests.demo.house import Running
from tests.demo.people import Refused, backend, player
from tests.demo.simulators import Simulators

USER = "alice"
WAYS = (("alipay", "page", "Alipay page"), ("alipay", "precreate", "Alipay QR"), ("wechat", "native", "WeChat QR (v3)"))
STYLE = """
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}
body,td,th{overflow-wrap:anywhere}h1,h2{line-height:1.2}
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .4rem;text-align:left;border-bottom:1px solid #ddd}
button{font:inherit;padding:.3rem .8rem;margin:.1rem;cursor:pointer;max-width:100%}.error{background:#fee;padding:.6rem}
svg{width:min(18rem,100%);height:auto;display:block}
"""
"""Numbers of orders have 18 digits and more and break where they must: a phone is 320 pixels wide."""
QR_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>Scan to pay</title><style>{{ style }}</style>
<h1>Scan to pay</h1><p>{{ order.title }}, order {{ order.number }}</p>{{ drawing|safe }}
<p>The code says: {{ code }}</p>
<p>A payer scans it with the provider's app. Here that app is <a href="{{ cashier }}">the simulated cashier</a>.</p>
<p><a href="/">Back to the shop</a></p></html>"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>Tillbook demo shop</title>
<style>{{ style }}</style><h1>Coins for {{ user }}: {{ coins }}</h1>
{% if error %}<p class="error">{{ error }}</p>{% endif %}
{% for product in products %}<h2>{{ product.title }}</h2><form method="post" action="/buy">
<input type="hidden" name="product" value="{{ product.sku }}">
{% for account, way, label in ways %}<button name="way" value="{{ account }}/{{ way }}">{{ label }}</button>{% endfor %}
</form>{% endfor %}
<form method="post" action="/spend"><button>Spend 10 coins</button></form>
<h2>Orders</h2><table><tr><th>Order<th>What<th>Status<th></tr>{% for order in orders %}
<tr><td>{{ order.number }}<td>{{ order.title }}<td>{{ order.status }}<td>
{% if order.next %}<a href="{{ order.next }}">pay</a>{% endif %}</tr>{% endfor %}</table>
<h2>Statement</h2><table><tr><th>#<th>Kind<th>Amount<th>Balance</tr>{% for line in lines %}
<tr><td>{{ line.version }}<td>{{ line.kind }}<td>{{ line.amount }}<td>{{ line.balance }}</tr>{% endfor %}</table>
<p><a href="/">Refresh</a> · <a href="{{ docs }}">API documents</a></p></html>"""


def code_of(order: dict[str, Any]) -> str | None:
    """What a QR code for the open order has to say, if it is paid by scanning one."""
    action = order["payments"][-1]["action"] or {}
    return str(action["code"]) if action.get("type") == "qr" else None


def drawing_of(code: str) -> str:
    """The QR code as SVG, with the quiet zone that cameras need."""
    drawn: str = segno.make(code, micro=False, error="m").svg_inline(omitsize=True, light="white")
    return drawn


def create_shop(running: Running, providers: Simulators) -> Flask:
    app = Flask("demo-shop")

    def cashier(order: dict[str, Any]) -> str | None:
        """Where a person pays the open order: in an app the next step would open the provider's own app."""
        payment = order["payments"][-1]
        action = payment["action"] or {}
        if payment["provider_account"].startswith("wechat") and action:
            return f"{providers.wechat_url}/_cashier/{payment['number']}"
        found = action.get("url") or action.get("code")
        return str(found) if found else None

    def next_step(order: dict[str, Any]) -> str | None:
        """A code is shown for scanning; anything else is opened."""
        return f"/orders/{order['number']}" if code_of(order) else cashier(order)

    @app.get("/orders/<number>")
    def scan(number: str) -> str | Response:
        order = player(running, USER).get(f"/v1/orders/{number}")
        code = code_of(order)
        if code is None:
            return redirect("/")
        return render_template_string(
            QR_PAGE, style=STYLE, order=order, code=code, drawing=drawing_of(code), cashier=cashier(order)
        )

    @app.get("/")
    def show() -> str:
        api, admin = player(running, USER), backend(running)
        orders = api.get("/v1/orders", limit="20")["orders"]
        wallet = api.get("/v1/wallet")["balances"]
        statement = admin.get("/v1/statement", user=USER, asset="coin", environment="sandbox")
        return render_template_string(
            PAGE,
            style=STYLE,
            user=USER,
            coins=sum(int(entry["balance"]) for entry in wallet if entry["asset"] == "coin"),
            products=api.get("/v1/products")["products"],
            ways=WAYS,
            orders=[order | {"next": next_step(order)} for order in orders],
            lines=statement["lines"],
            docs=f"{running.url}/docs/",
            error=request.args.get("error", ""),
        )

    @app.post("/buy")
    def buy() -> Response:
        account, way = request.form["way"].split("/")
        body = {
            "product": request.form["product"],
            "provider_account": account,
            "way": way,
            "return_url": request.host_url,
        }
        order = player(running, USER).post("/v1/orders", body)
        return redirect(next_step(order) or "/")

    @app.post("/spend")
    def spend() -> Response:
        body = {"user": USER, "asset": "coin", "amount": 10, "environment": "sandbox", "reference": "shop page"}
        backend(running).post("/v1/spends", body)
        return redirect("/")

    @app.errorhandler(Refused)
    def refused(error: Refused) -> tuple[str, int]:
        return f"<p>{error}</p><p><a href='/'>back</a></p>", 409

    return app
