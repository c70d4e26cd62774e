"""A customer's device at the simulated App Store, with an app that behaves as Apple asks: it hands each transaction to
its server and finishes it only when the server has said so; what is not finished comes again at the next start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from app.providers import HttpClient
from plugins.apple.app_receipts import MOST_TRANSACTIONS
from plugins.apple.settings import Environment
from plugins.apple.transactions import CONSUMABLE

Submit = Callable[[bytes], bool]
"""Sends a receipt (`plugins.apple.receipts`) to the app's server. True: the server says that it may be finished."""


class Device:
    """One customer's telephone. It reaches the store by HTTP, so the simulator may run anywhere."""

    def __init__(
        self,
        http: HttpClient,
        store_url: str,
        submit: Submit,
        *,
        environment: Environment = "Sandbox",
        customer: str = "customer-1",
        token: str | None = None,
    ) -> None:
        """`token` is the appAccountToken that the app attaches to purchases, None for an app that does not."""
        self._http = http
        self._store_url = store_url.rstrip("/")
        self._submit = submit
        self._environment = environment
        self._customer = customer
        self.token = token
        self.has_network = True
        self.lost_answers = 0
        """So many of the server's next answers do not reach the device."""

    def buy(
        self, product: str, *, product_type: str = CONSUMABLE, quantity: int = 1, crash: bool = False, **more: Any
    ) -> str:
        """Pay, then hand it in. `crash`: the app dies between the two. Returns the transaction id."""
        wanted = {"product": product, "type": product_type, "quantity": quantity, "token": self.token, "more": more}
        bought = self._ask("buy", **wanted)
        if not crash:
            self._hand_in([bought])
        return str(bought["id"])

    def launch(self) -> list[str]:
        """Start the app: every unfinished transaction comes again, signed anew, and is handed in. Returns their ids."""
        waiting = self._ask("unfinished")["transactions"]
        self._hand_in(waiting)
        return [one["id"] for one in waiting]

    def resubmit(self, number: str) -> bool:
        """Hand one transaction in again, finished or not, with the state that it has now."""
        return self._hand_in([self._ask("show", id=number)])

    def restore(self) -> list[str]:
        """The "restore purchases" button: what is not consumed comes again, as new transactions of old purchases."""
        kept = self._ask("entitlements")["transactions"]
        restored = [self._ask("restore", id=one["id"]) for one in kept]
        self._hand_in(restored)
        return [one["id"] for one in restored]

    def ask_refund(self, number: str, reason: str = "UNINTENDED_PURCHASE") -> None:
        """Ask Apple for the money back; the decision is Apple's (`/_control/refund`, `/_control/decline-refund`)."""
        self._ask("ask-refund", id=number, reason=reason)

    def app_receipt(self) -> str:
        """The receipt that an app of the StoreKit 1 time would send instead."""
        return str(self._ask("app-receipt")["receipt"])

    def lose_network(self) -> None:
        """The way to the app's server is gone; the store's own connection is another one."""
        self.has_network = False

    def find_network(self) -> None:
        self.has_network = True

    def _hand_in(self, transactions: Sequence[dict[str, Any]]) -> bool:
        """Submit all, no more in one receipt than the server takes. True: the server's word to finish came for all."""
        if not transactions or not self.has_network:
            return False
        chunks = [transactions[at : at + MOST_TRANSACTIONS] for at in range(0, len(transactions), MOST_TRANSACTIONS)]
        answers = [self._hand_in_together(chunk) for chunk in chunks]
        return all(answers)

    def _hand_in_together(self, transactions: Sequence[dict[str, Any]]) -> bool:
        """One receipt; its transactions are finished if the server's word to do so arrives."""
        document = {"signed_transactions": [one["signed_transaction"] for one in transactions]}
        may_finish = self._submit(json.dumps(document).encode())
        if self.lost_answers > 0:
            self.lost_answers -= 1
            return False
        if may_finish:
            for one in transactions:
                self._ask("finish", id=one["id"])
        return may_finish

    def _ask(self, command: str, **document: Any) -> dict[str, Any]:
        document = {"environment": self._environment, "customer": self._customer} | document
        answer = self._http.request(
            "POST",
            f"{self._store_url}/_control/{command}",
            headers={"content-type": "application/json"},
            body=json.dumps(document).encode(),
        )
        content = json.loads(answer.body)
        if answer.status != 200 or not isinstance(content, dict):
            raise RuntimeError(f"the simulated store refused {command}: {content}")
        return content
