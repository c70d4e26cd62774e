"""What the simulated App Store remembers of its customers' purchases, in each of its environments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from plugins.apple.settings import Environment
from plugins.apple.transactions import CONSUMABLE, SUBSCRIPTION, WHOLE

ACTIVE, EXPIRED, BILLING_RETRY, GRACE_PERIOD, REVOKED = 1, 2, 3, 4, 5
PERIOD = timedelta(days=30)
USUAL_PRICE = 6000
"""Of one piece or one period, in thousandths of CNY."""
_OF_A_REFUND = ("revocationDate", "revocationReason", "revocationType", "revocationPercentage")
_FIRST_ID = {"Production": 300_000_000_000_001, "Sandbox": 2_000_000_000_000_001}


class NoSuchPurchase(LookupError):
    """That environment has no transaction of that number."""


class NotPossible(ValueError):
    """The store does not do that to a purchase in this state."""


@dataclass
class Purchase:
    """One transaction. `payload` is all of a JWSTransaction but the moment of signing."""

    payload: dict[str, Any]
    customer: str
    """`appTransactionId`: one per Apple account and app."""
    finished: bool = False
    modified: int = 0
    status: int = ACTIVE
    renewal: dict[str, Any] = field(default_factory=lambda: {"autoRenewStatus": 1})
    """What its renewal info says of the next period: `gracePeriodExpiresDate`, `expirationIntent`, …"""
    reports: list[dict[str, Any]] = field(default_factory=list)
    """The consumption information that was sent about it."""
    credited_at: int | None = None
    """When an upgrade gave its unused part back, in milliseconds."""
    collected_after_days: int = 0
    """How long the store took to collect the money. It pays by that day, not by the day of the purchase."""
    is_collected: bool = True
    """False: it never could, and pays nothing."""

    @property
    def id(self) -> str:
        return str(self.payload["transactionId"])

    @property
    def environment(self) -> Environment:
        return "Production" if self.payload["environment"] == "Production" else "Sandbox"

    @property
    def is_subscription(self) -> bool:
        return bool(self.payload["type"] == SUBSCRIPTION)


class Purchases:
    """The books of the simulated store, for one app. Changes nothing outside itself."""

    def __init__(self, bundle_id: str, now: Callable[[], datetime]) -> None:
        self._bundle_id = bundle_id
        self._now = now
        self._changes = itertools.count(1)
        self._ids = {name: itertools.count(first) for name, first in _FIRST_ID.items()}
        self._all: dict[tuple[str, str], Purchase] = {}

    def buy(
        self,
        environment: Environment,
        product: str,
        *,
        product_type: str = CONSUMABLE,
        quantity: int = 1,
        token: str | None = None,
        customer: str = "customer-1",
        **more: Any,
    ) -> Purchase:
        """A customer pays. `more` goes into the transaction as it is (`offerDiscountType`, `inAppOwnershipType`)."""
        number = str(next(self._ids[environment]))
        payload: dict[str, Any] = {
            "transactionId": number,
            "originalTransactionId": number,
            "bundleId": self._bundle_id,
            "productId": product,
            "type": product_type,
            "quantity": quantity,
            "purchaseDate": self.milliseconds(),
            "originalPurchaseDate": self.milliseconds(),
            "inAppOwnershipType": "PURCHASED",
            "environment": environment,
            "transactionReason": "PURCHASE",
            "storefront": "CHN",
            "storefrontId": "143465",
            "price": USUAL_PRICE * quantity,
            "currency": "CNY",
            "appTransactionId": customer,
        } | more
        if token is not None:
            payload["appAccountToken"] = token
        purchase = Purchase(payload, customer)
        if purchase.is_subscription:
            self._start_period(purchase)
            purchase.payload["expiresDate"] = more.get("expiresDate", purchase.payload["expiresDate"])
        return self._keep(purchase)

    def renew(self, environment: Environment, number: str) -> Purchase:
        """The next period of a subscription, as a transaction of its own."""
        last = self.find(environment, number)
        if not last.is_subscription or last.payload.get("isUpgraded"):
            raise NotPossible("only a subscription is renewed, and of an upgraded one the new period")
        payload = dict(last.payload) | {
            "transactionId": str(next(self._ids[environment])),
            "productId": last.renewal.get("autoRenewProductId", last.payload["productId"]),
            "purchaseDate": self.milliseconds(),
            "transactionReason": "RENEWAL",
        }
        if "offerType" in payload and "price" in payload:  # what was tried, or cheaper, costs the usual price now
            payload["price"] = USUAL_PRICE * payload["quantity"]
        for name in ("offerType", "offerDiscountType", *_OF_A_REFUND):
            payload.pop(name, None)
        renewed = Purchase(payload, last.customer)
        self._start_period(renewed)
        return self._keep(renewed)

    def upgrade(self, environment: Environment, number: str, product: str) -> Purchase:
        """Another product of the group, at once (also a crossgrade of equal duration): a new period begins, and the
        customer gets the unused part of the running one back. No REFUND tells of that: `isUpgraded` alone does."""
        old = self.find(environment, number)
        if not old.is_subscription or old.payload.get("isUpgraded") or "revocationDate" in old.payload:
            raise NotPossible("only a running subscription is upgraded, and each of its periods once")
        if old.status != ACTIVE or old.payload["expiresDate"] <= self.milliseconds():
            raise NotPossible("the period is over: another product is a new purchase in the group")
        if old.payload["productId"] == product:
            raise NotPossible("the customer has that product")
        new = self.renew(environment, number)
        new.payload |= {"productId": product, "transactionReason": "PURCHASE"}
        old.payload["isUpgraded"] = True
        old.credited_at = self.milliseconds()
        self._changed(old)
        return self._changed(new)

    def share(self, environment: Environment, number: str, member: str) -> Purchase:
        """The customer shares a subscription with a `member` of the family, who gets a transaction with numbers of its
        own, without a token and a price, until the same end."""
        bought = self.find(environment, number)
        if not bought.is_subscription or bought.status not in (ACTIVE, GRACE_PERIOD):
            raise NotPossible("only a subscription that is in force is shared")
        shared = self.buy(
            environment,
            bought.payload["productId"],
            product_type=SUBSCRIPTION,
            customer=member,
            inAppOwnershipType="FAMILY_SHARED",
            expiresDate=bought.payload["expiresDate"],
        )
        for name in ("price", "currency"):
            del shared.payload[name]
        return self._changed(shared)

    def revoke(self, environment: Environment, number: str) -> Purchase:
        """A member of the family has it no more: the customer stopped sharing, or got the money back, or one of them
        left."""
        shared = self.find(environment, number)
        if shared.payload["inAppOwnershipType"] == "PURCHASED":
            raise NotPossible("only what is shared is revoked so")
        shared.payload |= {
            "revocationDate": self.milliseconds(),
            "revocationReason": 0,
            "revocationType": "FAMILY_REVOKE",
        }
        shared.status = REVOKED
        shared.renewal = {"autoRenewStatus": 0}
        return self._changed(shared)

    def share_again(self, environment: Environment, number: str) -> Purchase:
        """What was shared no more is shared again, before the end of its period: the member has the same transaction,
        signed anew without its revocation."""
        shared = self.find(environment, number)
        if shared.status != REVOKED or shared.payload["expiresDate"] <= self.milliseconds():
            raise NotPossible("only what is shared no more, and has not ended, is shared again")
        for name in ("revocationDate", "revocationReason", "revocationType"):
            del shared.payload[name]
        shared.status, shared.renewal = ACTIVE, {"autoRenewStatus": 1}
        return self._changed(shared)

    def restore(self, environment: Environment, number: str) -> Purchase:
        """What is not consumed comes again on another device: another transaction of the same purchase."""
        known = self.find(environment, number)
        if known.payload["type"] == CONSUMABLE:
            raise NoSuchPurchase("a consumable cannot be restored")
        return self._keep(
            Purchase(dict(known.payload) | {"transactionId": str(next(self._ids[environment]))}, known.customer)
        )

    def refund(self, environment: Environment, number: str, percentage: int = WHOLE, reason: int = 0) -> Purchase:
        """Apple gives back so much of the whole, in milliunits of a percent."""
        purchase = self.find(environment, number)
        if not 0 < percentage <= WHOLE or percentage < purchase.payload.get("revocationPercentage", 0):
            raise NotPossible("a refund is a part of the purchase, and no smaller than what was given back before")
        purchase.payload |= {
            "revocationDate": self.milliseconds(),
            "revocationReason": reason,
            "revocationType": "REFUND_FULL" if percentage == WHOLE else "REFUND_PRORATED",
            "revocationPercentage": percentage,
        }
        return self._changed(purchase)

    def reverse(self, environment: Environment, number: str) -> Purchase:
        """The refund is taken back, and every trace of it with it."""
        purchase = self.find(environment, number)
        for name in _OF_A_REFUND:
            purchase.payload.pop(name, None)
        return self._changed(purchase)

    def expire(self, environment: Environment, number: str, intent: int = 1) -> Purchase:
        purchase = self.find(environment, number)
        purchase.status = EXPIRED
        purchase.renewal = {"autoRenewStatus": 0, "expirationIntent": intent}
        return self._changed(purchase)

    def fail(self, environment: Environment, number: str, grace: timedelta = timedelta(0)) -> Purchase:
        """The next period cannot be collected; meanwhile the customer may use it for so long."""
        purchase = self.find(environment, number)
        purchase.status = GRACE_PERIOD if grace else BILLING_RETRY
        purchase.renewal = {"autoRenewStatus": 1, "isInBillingRetryPeriod": True, "expirationIntent": 2}
        if grace:
            purchase.renewal["gracePeriodExpiresDate"] = self.milliseconds() + int(grace.total_seconds()) * 1000
        return self._changed(purchase)

    def switch_renewal(self, environment: Environment, number: str, *, on: bool) -> Purchase:
        purchase = self.find(environment, number)
        purchase.renewal["autoRenewStatus"] = int(on)
        return self._changed(purchase)

    def downgrade(self, environment: Environment, number: str, product: str) -> Purchase:
        """From the next period on it is another product of the group; its own one takes that back."""
        purchase = self.find(environment, number)
        if not purchase.is_subscription or purchase.status != ACTIVE:
            raise NotPossible("only a running subscription is changed")
        purchase.renewal["autoRenewProductId"] = product
        return self._changed(purchase)

    def raise_price(self, environment: Environment, number: str, *, accepted: bool) -> Purchase:
        purchase = self.find(environment, number)
        purchase.renewal["priceIncreaseStatus"] = int(accepted)
        return self._changed(purchase)

    def extend(self, environment: Environment, number: str, longer: timedelta) -> Purchase:
        """The running period ends so much later, as a present."""
        purchase = self.find(environment, number)
        purchase.payload["expiresDate"] += int(longer.total_seconds()) * 1000
        return self._changed(purchase)

    def collect(self, environment: Environment, number: str, after_days: int | None) -> Purchase:
        """The store gets the customer's money so many days after the purchase; None: never."""
        purchase = self.find(environment, number)
        purchase.is_collected, purchase.collected_after_days = after_days is not None, after_days or 0
        return purchase

    def finish(self, environment: Environment, number: str) -> Purchase:
        purchase = self.find(environment, number)
        purchase.finished = True
        return purchase

    def find(self, environment: Environment, number: str) -> Purchase:
        try:
            return self._all[environment, number]
        except KeyError:
            raise NoSuchPurchase(number) from None

    def of_customer(self, environment: Environment, number: str) -> list[Purchase]:
        """All transactions of the customer who made that one, in order of their last change."""
        customer = self.find(environment, number).customer
        found = [one for one in self._in(environment) if one.customer == customer]
        return sorted(found, key=lambda one: one.modified)

    def unfinished(self, environment: Environment, customer: str) -> list[Purchase]:
        """What the customer's device gets again at each start of the app."""
        return [one for one in self._in(environment) if one.customer == customer and not one.finished]

    def all(self) -> list[Purchase]:
        return list(self._all.values())

    def milliseconds(self) -> int:
        now = self._now()
        return int(now.timestamp()) * 1000 + now.microsecond // 1000

    def _in(self, environment: Environment) -> Iterator[Purchase]:
        return (one for one in self._all.values() if one.environment == environment)

    def _start_period(self, purchase: Purchase) -> None:
        purchase.payload["webOrderLineItemId"] = str(next(self._ids[purchase.environment]))
        purchase.payload["subscriptionGroupIdentifier"] = "20000001"
        purchase.payload["expiresDate"] = self.milliseconds() + int(PERIOD.total_seconds()) * 1000

    def _keep(self, purchase: Purchase) -> Purchase:
        self._all[purchase.environment, purchase.id] = purchase
        return self._changed(purchase)

    def _changed(self, purchase: Purchase) -> Purchase:
        purchase.modified = next(self._changes)
        return purchase
