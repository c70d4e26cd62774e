"""`make demo`: a real Tillbook on SQLite against simulated providers, told as a transcript.

Everything goes over HTTP between real processes: orders, cashier pages, signed notifications, receipts, spends. With
SERVE=1 the shop page stays up afterwards.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import structlog

from app.providers.http import RequestsClient
from examples.receiving_backend.receiver import Books
from plugins.apple.simulated.device import Device
from tests.demo import house, simulators
from tests.demo.months import Months
from tests.demo.patience import wait_for
from tests.demo.people import Api, backend, player, press_pay, say, tell

FOLDER = Path(os.environ.get("DEMO_FOLDER", house.ROOT / "var")) / "demo"
"""Emptied at the start."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that end the demonstration."""
CATALOGUE = Path(__file__).with_name("catalogue.toml")


class Play:
    """The scenes, each one purchase with something that goes wrong."""

    def __init__(self, running: house.Running, providers: simulators.Simulators, receiver_port: int) -> None:
        self.running = running
        self.providers = providers
        self.alice: Api = player(running, "alice")
        self.paid: dict[str, dict[str, Any]] = {}
        """Orders that later scenes come back to."""
        self.transaction = ""
        self.backend = backend(running)
        self.receiver_port = receiver_port
        endpoint = {"name": "game", "url": f"http://127.0.0.1:{receiver_port}/tillbook"}
        self.secret = str(self.backend.post("/v1/endpoints", endpoint)["secret"])
        self.receiver = running.receive(receiver_port, self.secret)

    def coins(self, user: str = "alice") -> int:
        wallet = self.backend.get("/v1/wallet", user=user)
        return sum(int(entry["balance"]) for entry in wallet["balances"] if entry["asset"] == "coin")

    def order(self, product: str, account: str, way: str, **extra: Any) -> dict[str, Any]:
        body = {"product": product, "provider_account": account, "way": way, "extra": extra}
        order: dict[str, Any] = self.alice.post("/v1/orders", body)
        price = (
            f"{order['amount_minor'] / 100:.2f} {order['currency']}" if order["amount_minor"] else "the store's price"
        )
        action = order["payments"][0]["action"]
        say(f"  alice orders {order['title']!r} for {price}: order {order['number']}, next step {action['type']!r}")
        return order

    def expect(self, coins: int, why: str) -> None:
        wait_for(f"{coins} coins ({why})", lambda: self.coins() == coins)
        say(f"  alice's wallet: {coins} coins ({why})")

    def scene_alipay(self) -> None:
        say("1. Alipay, a payment page: order, cashier, signed notification, coins, spend")
        order = self.paid["page"] = self.order("coins-60", "alipay", "page")
        press_pay(order["payments"][0]["action"]["url"])
        say("  the payer presses «pay» on the cashier page")
        self.expect(60, "the notification was verified and booked")
        spent = self.backend.post(
            "/v1/spends",
            {"user": "alice", "asset": "coin", "amount": 25, "environment": "sandbox", "reference": "sword"},
        )
        say(f"  the game spends 25 coins for a sword: balance {spent['balance']}")
        self.expect(35, "after the spend")

    def scene_lost_notification(self) -> None:
        say("2. Alipay, the notification is lost: the worker's active query finds the payment")
        self.providers.alipay_faults.lose = 1
        order = self.paid["wap"] = self.order("coins-60", "alipay", "wap")
        press_pay(order["payments"][0]["action"]["url"])
        say("  paid, and Alipay's notification never arrives")
        self.expect(95, "found by the worker")
        say("  everything that happened to that order, as whoever helps alice reads it:")
        for entry in self.backend.get(f"/v1/orders/{order['number']}/timeline")["entries"]:
            say(f"    {entry['at'][11:19]}  {entry['text']}")

    def scene_storm(self) -> None:
        say("3. Alipay, the notification arrives fifty times at once")
        order = self.paid["coins-300"] = self.order("coins-300", "alipay", "page")
        self.providers.storm.copies = 50
        press_pay(order["payments"][0]["action"]["url"])
        wait_for("the fifty answers", lambda: len(self.providers.storm.replies) == 50)
        good = sum(reply.status == 200 and reply.body == b"success" for reply in self.providers.storm.replies)
        say(f"  50 notifications sent in parallel, {good} answered «success»")
        self.expect(95 + 330, "credited once: 300 paid and 30 bonus")

    def scene_wechat(self) -> None:
        for number, (account, name) in enumerate((("wechat", "API v3"), ("wechat-v2", "API v2")), start=4):
            say(f"{number}. WeChat Pay {name}, a QR code")
            before = self.coins()
            order = self.paid[account] = self.order("coins-60", account, "native")
            press_pay(f"{self.providers.wechat_url}/_cashier/{order['payments'][0]['number']}")
            self.expect(before + 60, "notified and booked")

    def scene_apple(self) -> None:
        say("6. Apple In-App Purchase: the app crashes before it hands the receipt in")
        token = self.alice.get("/v1/account-token")["token"]
        before = self.coins()
        answers: list[Any] = []

        def submit(body: bytes) -> bool:
            answers.append(self.alice.post("/v1/receipts/apple", json.loads(body)))
            return all(purchase["finish"] for purchase in answers[-1]["purchases"])

        device = Device(RequestsClient(), self.providers.apple_url, submit, customer="alice", token=token)
        self.transaction = device.buy("com.example.game.coins60", crash=True)
        say(f"  paid in the store, transaction {self.transaction}; the app dies")
        self.expect(before + 60, "credited by the store's own notification")
        device.launch()
        purchase = answers[-1]["purchases"][0]
        say(f"  the app starts again and hands the receipt in: {purchase['status']}, finish: {purchase['finish']}")
        self.expect(before + 60, "credited once")

    def scene_refunds(self) -> None:
        say("7. Refunds, on every road")
        before = self.coins()
        storm = self.paid["coins-300"]
        refund = self.backend.post("/v1/refunds", {"order": storm["number"], "amount_minor": 1000, "reason": "demo"})
        say(f"  we give 10.00 of 30.00 CNY back (Alipay): {refund['status']}")
        self.expect(before - 110, "a third of the 330 coins, bonus included")

        self.providers.alipay_faults.timeout_after = 1
        refund = self.backend.post("/v1/refunds", {"order": self.paid["wap"]["number"], "reason": "demo"})
        say(f"  we give 6.00 CNY back, and Alipay's answer is lost after it was done: {refund['status']}")
        path = f"/v1/refunds/{refund['number']}"
        wait_for("the refund", lambda: self.backend.get(path)["status"] == "done")
        say("  asked again under the same number: done, once")
        self.expect(before - 170, "its 60 coins")

        tell(self.providers.alipay_url, "finish", out_trade_no=self.paid["page"]["payments"][0]["number"])
        refund = self.backend.post("/v1/refunds", {"order": self.paid["page"]["number"], "reason": "demo"})
        say(f"  a refund after Alipay's refund window is over: {refund['status']}")
        self.expect(before - 170, "nothing was taken")

        number = self.paid["wechat"]["payments"][0]["number"]
        tell(self.providers.wechat_url, "refund", number=number, refund="console-1", amount=600)
        tell(self.providers.wechat_url, "finish-refund", refund="console-1")
        say("  a person refunds a WeChat payment on the merchant site")
        self.expect(before - 230, "notified, taken back")

        tell(self.providers.apple_url, "refund", id=self.transaction, environment="Sandbox")
        say("  Apple refunds the purchase")
        self.expect(before - 290, "taken back")
        tell(self.providers.apple_url, "reverse-refund", id=self.transaction, environment="Sandbox")
        say("  and takes its refund back")
        self.expect(before - 230, "the coins are back")

    def scene_gifts(self) -> None:
        say("8. Gifts from user to user")
        before = self.coins()
        gift = self._give("alice", "bob", 25)
        say(f"  alice gives bob 25 coins: {gift['status']}; they keep their expiry, value and origin")
        self.expect(before - 25, f"bob has {self.coins('bob')}")
        self._give("bob", "carol", 10)
        self.backend.post("/v1/wallets/freeze", {"user": "carol", "environment": "sandbox", "reason": "demo"})
        gift = self._give("alice", "carol", 5)
        say(f"  carol has 10 of them, and is frozen: a gift to her is {gift['status']} ({gift['reason']})")
        self.expect(before - 25, "back where they came from")

    def _give(self, giver: str, receiver: str, amount: int) -> dict[str, Any]:
        body = {"user": giver, "receiver": receiver, "asset": "coin", "amount": amount, "environment": "sandbox"}
        gift: dict[str, Any] = self.backend.post("/v1/gifts", body)
        return gift

    def scene_told(self) -> None:
        say("9. The game's backend is told of everything, is killed, and misses nothing")
        books = Books(self.running.books_of_receiver)

        def told() -> bool:
            return all(books.balance(user) == self.coins(user) for user in ("alice", "bob", "carol"))

        wait_for("the backend's books", told)
        say(f"  it has applied {books.applied()} events by now, and its books say what the wallets say")
        self.receiver.kill()
        self.receiver.wait()
        before, applied = self.coins(), books.applied()
        order = self.order("coins-60", "alipay", "page")
        press_pay(order["payments"][0]["action"]["url"])
        self.expect(before + 60, "while the backend is dead")
        say(f"  its books still say {books.balance('alice')}")
        self.running.processes.remove(self.receiver)
        self.receiver = self.running.receive(self.receiver_port, self.secret)
        wait_for("the backend's books", told)
        more, there = books.applied() - applied, books.balance("alice")
        say(f"  started again, it takes in {more} events more: alice has {there} there, too")

    def books(self) -> None:
        say("The statement of alice's coins:")
        page = self.backend.get("/v1/statement", user="alice", asset="coin", environment="sandbox")
        for line in page["lines"]:
            say(f"  {line['version']:>3}  {line['kind']:<10} {line['amount']:>6}  balance {line['balance']:>6}")

    def run(self) -> bool:
        """All scenes, the books and the proof; False if the audit found something."""
        for scene in (
            self.scene_alipay,
            self.scene_lost_notification,
            self.scene_storm,
            self.scene_wechat,
            self.scene_apple,
            self.scene_refunds,
            self.scene_gifts,
            self.scene_told,
        ):
            scene()
            say()
        self.receiver.terminate()  # its library refuses messages that are signed in months to come
        self.receiver.wait()
        self.running.processes.remove(self.receiver)
        months = Months(self.running, self.providers, self.alice, self.coins)
        for later in (months.scene_auto_debit, months.scene_subscription):
            later()
            say()
        self.books()
        audit = self.running.tillbook("audit", "--quiet")
        say()
        say(audit.stdout.strip() or audit.stderr.strip())
        return audit.returncode == 0


def end_on(*numbers: signal.Signals) -> None:
    """Let a signal end the program through its `finally`, so that no process of it stays behind."""

    def end(number: int, _: object) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)  # once is enough: a second one must not cut the ending short
        raise SystemExit(128 + number)

    for one in numbers:
        signal.signal(one, end)


def main() -> None:
    end_on(*ENDING)
    os.environ["TILLBOOK_ENV"] = "demo"
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    web, alipay, wechat, apple, shop, receiver = house.free_ports(6)
    started = time.monotonic()
    url = f"http://127.0.0.1:{web}"
    ports = {"alipay": alipay, "wechat": wechat, "apple": apple}
    providers = simulators.start(ports, url, house.empty(FOLDER))
    running = house.prepare(FOLDER, web, providers.accounts, moves_clock=True)
    try:
        for command in (("migrate",), ("products", "import", str(CATALOGUE))):
            done = running.tillbook(*command)
            if done.returncode:
                raise SystemExit(f"tillbook {' '.join(command)}: {done.stderr or done.stdout}")
            say(f"$ tillbook {command[0]}: {done.stdout.strip()}")
        house.serve(running)
        say(f"service, worker and simulators are up on SQLite ({time.monotonic() - started:.1f} s)\n")
        balanced = Play(running, providers, receiver).run()
        if os.environ.get("SERVE"):
            _stay(running, providers, shop)
    finally:
        running.stop()
    sys.exit(0 if balanced else 1)


def _stay(running: house.Running, providers: simulators.Simulators, port: int) -> None:
    """Keep everything up, with a shop page for a person's browser, until interrupted."""
    from tests.demo.shop import create_shop

    app = create_shop(running, providers)
    threading.Thread(target=lambda: app.run("127.0.0.1", port, threaded=True), name="shop", daemon=True).start()
    say(f"\nshop page: http://127.0.0.1:{port}/   API documents: {running.url}/docs/   (Ctrl-C ends it)")
    try:
        threading.Event().wait()
    except SystemExit:
        say("bye")


if __name__ == "__main__":
    main()
