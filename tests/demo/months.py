"""The scenes in which months pass: what is paid period after period, by our charge and by a store's.

The clock of the service, of its worker and of the simulators is moved to the moment at which something is due.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app.providers.http import RequestsClient
from plugins.apple.simulated.device import Device
from plugins.apple.transactions import SUBSCRIPTION
from tests.demo.house import Running
from tests.demo.patience import wait_for
from tests.demo.people import Api, press_pay, say, tell
from tests.demo.simulators import Simulators

VIP_COINS, CLUB_COINS = 100, 50
"""What a period of each of the two products grants (`catalogue.toml`)."""
A_MOMENT = timedelta(minutes=1)
STORE_GRACE_DAYS = 6


class Months:
    """Alice, her agreements, and the time that passes."""

    def __init__(self, running: Running, providers: Simulators, alice: Api, coins: Callable[[], int]) -> None:
        self.running, self.providers, self.alice, self.coins = running, providers, alice, coins
        self.agreement: dict[str, Any] = {}

    # --- what is charged by us ---

    def scene_auto_debit(self) -> None:
        say("10. Auto-debit at Alipay: signed once, renewed twice, refused once, charged after all, cancelled")
        body = {"product": "vip", "provider_account": "alipay", "way": "page", "zone": "Asia/Shanghai"}
        signing = self.agreement = self.alice.post("/v1/agreements", body)
        before = self.coins()
        press_pay(signing["action"]["url"])
        say(f"  alice signs {signing['title']!r} at Alipay, and pays nothing by that: agreement {signing['number']}")
        self._paid(before + VIP_COINS, "the worker has charged the first period")
        for number in (2, 3):
            self._move_to(self._now()["paid_until"], f"month {number} begins")
            self._paid(before + number * VIP_COINS, "renewed: charged once, and its coins are there")

        tell(self.providers.alipay_url, "deductions", refusals=["ACQ.BUYER_BALANCE_NOT_ENOUGH"])
        self._move_to(self._now()["paid_until"], "month 4 begins, and her balance is too low")
        self._status("past_due")
        period = self.alice.get(f"{self._path}/periods")["periods"][0]
        self._show(f"refused ({period['refusal']}); vip goes on for two days of grace")
        self._move_to(period["next_try_at"], "the schedule tries again")
        self._paid(before + 4 * VIP_COINS, "charged under a new number, once")

        self.alice.post(f"{self._path}/cancel", {"at_once": False})
        ends_at = self._now()["cancel_at"]
        self._show(f"she cancels it: it ends with what is paid, on {ends_at[:10]}")
        self._move_to(ends_at, "month 4 is over")
        self._status("ended")
        self._show(f"ended by {self._now()['ended_by']}, and Alipay says so, too")

    # --- what a store charges ---

    def scene_subscription(self) -> None:
        say("11. A subscription of the App Store: renewed twice, in billing retry, collected after all, switched off")
        before = self.coins()
        token = self.alice.get("/v1/account-token")["token"]
        device = Device(RequestsClient(), self.providers.apple_url, self._submit, customer="alice", token=token)
        newest = device.buy("com.example.game.club", product_type=SUBSCRIPTION)
        say(f"  alice subscribes on her telephone, and the app hands the receipt in: transaction {newest}")
        wait_for("the subscription", lambda: self._of_the_store() is not None)
        self.agreement = self._of_the_store() or {}
        self._paid(before + CLUB_COINS, "its first month")
        for number in (2, 3):
            self._move_to(self._now()["paid_until"], f"month {number} begins")
            newest = self._store("renew", newest)
            self._paid(before + number * CLUB_COINS, "renewed by the store, and told by its notification")

        self._move_to(self._now()["paid_until"], "month 4 begins, and her card is refused")
        self._store("fail", newest, grace_days=STORE_GRACE_DAYS)
        self._status("past_due")
        self._show(f"the store tries again and lets her go on, until {self._now()['grace_until'][:10]}")
        self._move_by(timedelta(days=3), "three days later the store has its money")
        newest = self._store("renew", newest, subtype="BILLING_RECOVERY")
        self._paid(before + 4 * CLUB_COINS, "recovered")

        self._store("switch-renewal", newest, on=False)
        wait_for("the word that it ends", lambda: self._now()["renews"] is False)
        self._show("she switches the renewal off, in the store: it ends with what is paid")
        self._move_to(self._now()["paid_until"], "month 4 is over")
        self._store("expire", newest, subtype="VOLUNTARY")
        self._status("ended")
        self._show(f"ended by {self._now()['ended_by']}: nothing was to follow")

    def _submit(self, body: bytes) -> bool:
        answer = self.alice.post("/v1/receipts/apple", json.loads(body))
        return all(purchase["finish"] for purchase in answer["purchases"])

    def _of_the_store(self) -> dict[str, Any] | None:
        listed = self.alice.get("/v1/agreements")["agreements"]
        return next((each for each in listed if each["by_store"]), None)

    def _store(self, command: str, transaction: str, **more: Any) -> str:
        """Something happens in the store; the number of the transaction that it is about from then on."""
        return str(tell(self.providers.apple_url, command, id=transaction, **more)["id"])

    # --- what both show ---

    @property
    def _path(self) -> str:
        return f"/v1/agreements/{self.agreement['number']}"

    def _now(self) -> dict[str, Any]:
        """The agreement as it stands."""
        shown: dict[str, Any] = self.alice.get(self._path)
        return shown

    def _status(self, status: str) -> None:
        wait_for(f"an agreement that is {status}", lambda: self._now()["status"] == status)

    def _paid(self, coins: int, why: str) -> None:
        wait_for(f"{coins} coins ({why})", lambda: self.coins() == coins)
        self._status("active")
        self._show(f"{why}; {coins} coins")

    def _show(self, what: str) -> None:
        """What has happened, and what is active for her after it."""
        found = self.alice.get("/v1/entitlements")["entitlements"]
        active = ", ".join(f"{each['name']} until {each['until'][:10]}" for each in found) or "nothing"
        say(f"  {what}")
        say(f"    the agreement is {self._now()['status']}; active for alice: {active}")

    def _move_to(self, moment: str, why: str) -> None:
        self.running.clock.move_to(datetime.fromisoformat(moment) + A_MOMENT)
        say(f"  {self.running.clock.now():%Y-%m-%d}: {why}")

    def _move_by(self, span: timedelta, why: str) -> None:
        self._move_to((self.running.clock.now() + span).isoformat(), why)
