"""The simulated store and its customers: each subscription goes on by itself, and tells what it does, or cannot."""

from __future__ import annotations

import calendar
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from app.providers.testing.doubles import FixedClock
from plugins.apple import plugin
from plugins.apple.settings import Environment
from plugins.apple.simulated.certificates import Signer, make_signer
from plugins.apple.simulated.purchases import ACTIVE, BILLING_RETRY, EXPIRED, GRACE_PERIOD, Purchase
from plugins.apple.simulator import SimulatorConfig, create_simulator, simulated_store
from plugins.apple.transactions import SUBSCRIPTION
from tests.years.debit_stages import WEBHOOK, Send
from tests.years.store_model import Grace, SharedTime, SoldPeriod, StoreModel, Subscription

URL = "https://store.test"
ENVIRONMENT: Environment = "Sandbox"
MONTHS_OF = {"vip.monthly": 1, "plus.monthly": 1, "gold.monthly": 1, "vip.yearly": 12}
"""All of one group. Another product of one month is had at once, and one of another duration with the next renewal."""
PRODUCTS = tuple(MONTHS_OF)
GRACE = timedelta(days=16)
LONGEST_RETRY = timedelta(days=60)


@cache
def signer_of(year: int) -> Signer:
    return make_signer(datetime(year, 7, 1, tzinfo=UTC), leaf_until=timedelta(days=3000))


@dataclass
class Buyer:
    """A user at the store's customer."""

    name: str
    token: str
    model: StoreModel


@dataclass
class SharedAgain:
    """What the customer will share again, and when."""

    at: datetime
    shared: Purchase
    share: SharedTime
    member: Buyer


@dataclass
class Customer:
    """One account at the store, with one subscription that goes on until somebody ends it."""

    number: str
    buyer: Buyer
    newest: Purchase | None = None
    anchor: datetime | None = None
    month: int = 0
    is_broke: bool = False
    failed_at: datetime | None = None
    next_product: str | None = None
    consents: bool = True
    shared: Purchase | None = None
    """What a member of the family has of it."""
    share: SharedTime | None = None
    again: SharedAgain | None = None
    member: Buyer | None = None

    @property
    def stands(self) -> bool:
        return self.newest is not None and self.newest.status != EXPIRED

    @property
    def ends_at(self) -> datetime:
        assert self.newest is not None
        return moment(self.newest.payload["expiresDate"])


@dataclass
class ProofAtDevice:
    """A proof that a device has not handed in yet."""

    user: str
    body: bytes
    share: SharedTime | None = None
    """What is the user's from the moment at which it is handed in."""


class StoreStage:
    """One app's store."""

    plugin = plugin

    def __init__(self, clock: FixedClock, send: Send, chance: random.Random) -> None:
        self.clock, self._chance = clock, chance
        config = SimulatorConfig(
            now=clock.now,
            monotonic=lambda: clock.now().timestamp(),
            send=send,
            notify_urls={ENVIRONMENT: WEBHOOK},
            signer=signer_of(clock.now().year),
        )
        self.app = create_simulator(config, environ={"TILLBOOK_ENV": "test"})
        self._store = simulated_store(self.app)
        self.faults = self._store.faults
        self.settings = self._store.settings(URL) | {"confirm": "no", "environments": [ENVIRONMENT]}
        self.at_device = list[ProofAtDevice]()

    def watch(self, url: str, body: bytes) -> None:
        """Nothing is charged by us."""

    def deliver(self) -> None:
        self._store.notifications.run_due()

    def _tell(self, customer: Customer, kind: str, subtype: str = "") -> None:
        assert customer.newest is not None
        self._store.notifications.tell(kind, subtype, customer.newest)

    # --- what customers do

    def buy(self, customer: Customer, product: str) -> None:
        """A first purchase, or the subscription taken up again, perhaps by another user of the app."""
        old, token = customer.newest, customer.buyer.token
        self._share_no_more(customer, "EXPIRED")
        if old is None:
            made = self._store.purchases.buy(
                ENVIRONMENT, product, product_type=SUBSCRIPTION, token=token, customer=customer.number
            )
        else:
            made = self._store.purchases.renew(ENVIRONMENT, old.id)
            made.payload |= {"productId": product, "appAccountToken": token, "transactionReason": "PURCHASE"}
        customer.anchor, customer.month, customer.is_broke = self.clock.now(), 0, False
        self._begin(customer, made, self.clock.now())
        customer.next_product, customer.consents, customer.failed_at = None, True, None
        self._tell(customer, "SUBSCRIBED", "INITIAL_BUY" if old is None else "RESUBSCRIBE")
        self._hand_in(customer.buyer, made)

    def take_up(self, customer: Customer, buyer: Buyer) -> None:
        """Another user of the app pays what the store could not collect."""
        if customer.newest is not None:
            self._end_grace(customer)
        customer.buyer = buyer
        self.buy(customer, self._chance.choice(PRODUCTS))

    def upgrade(self, customer: Customer, buyer: Buyer) -> None:
        """Another product at once, perhaps for another user of the app; what is left of the running period goes
        back."""
        old = customer.newest
        assert old is not None
        others = [each for each, months in MONTHS_OF.items() if months == 1 and each != old.payload["productId"]]
        product = self._chance.choice(others)
        if old.status != ACTIVE or old.payload["purchaseDate"] >= self._store.purchases.milliseconds():
            return
        if customer.ends_at <= self.clock.now() or "revocationDate" in old.payload:
            return
        made = self._store.purchases.upgrade(ENVIRONMENT, old.id, product)
        made.renewal["autoRenewStatus"] = 1
        made.payload["appAccountToken"] = buyer.token
        self._booked(customer, old).replaced_at = self.clock.now()
        customer.buyer = buyer
        customer.anchor, customer.month, customer.next_product = self.clock.now(), 0, None
        self._begin(customer, made, self.clock.now())
        self._tell(customer, "DID_CHANGE_RENEWAL_PREF", "UPGRADE")
        self._hand_in(customer.buyer, made)
        if customer.shared is not None:
            following = self._store.purchases.upgrade(ENVIRONMENT, customer.shared.id, product)
            self._share_goes_on(customer, following, "DID_CHANGE_RENEWAL_PREF", "UPGRADE")

    def downgrade(self, customer: Customer) -> None:
        """Another product from the next period on; or all is to stay as it is."""
        assert customer.newest is not None
        has = customer.newest.payload["productId"]
        stays = customer.next_product is not None and self._chance.random() < 0.5
        customer.next_product = None if stays else self._chance.choice([each for each in PRODUCTS if each != has])
        customer.newest.renewal["autoRenewProductId"] = customer.next_product or has
        self._tell(customer, "DID_CHANGE_RENEWAL_PREF", "" if stays else "DOWNGRADE")

    def share(self, customer: Customer, member: Buyer) -> None:
        """Somebody of the family gets it too: nothing was paid for that, whoever hands it in. Or that is over."""
        assert customer.newest is not None
        if customer.shared is not None:
            assert customer.share is not None
            assert customer.member is not None
            again_at = self.clock.now() + timedelta(hours=self._chance.uniform(0, 100))
            if self._chance.random() < 0.6:
                customer.again = SharedAgain(again_at, customer.shared, customer.share, customer.member)
            self._share_no_more(customer, "REVOKE")
            return
        if customer.ends_at <= self.clock.now() or "revocationDate" in customer.newest.payload:
            return
        customer.shared = self._store.purchases.share(ENVIRONMENT, customer.newest.id, f"{customer.number}-family")
        customer.share, customer.member = SharedTime(customer.shared.id), member
        member.model.shares.append(customer.share)
        self._store_says(customer, customer.ends_at)
        self._store.notifications.tell("SUBSCRIBED", "INITIAL_BUY", customer.shared)
        self._hand_in(member, customer.shared, customer.share)

    def _share_goes_on(self, customer: Customer, following: Purchase, kind: str, subtype: str) -> None:
        """The next period of what the member has, until the end of what the customer has."""
        assert customer.newest is not None
        assert customer.member is not None
        following.payload["expiresDate"] = customer.newest.payload["expiresDate"]
        customer.shared = following
        self._store_says(customer, customer.ends_at)
        self._store.notifications.tell(kind, subtype, following)
        if self._chance.random() < 0.5:
            self._hand_in(customer.member, following, customer.share)

    def _share_no_more(self, customer: Customer, kind: str) -> None:
        if customer.shared is None:
            return
        if kind == "REVOKE":
            self._store.purchases.revoke(ENVIRONMENT, customer.shared.id)
        else:
            self._store.purchases.expire(ENVIRONMENT, customer.shared.id, 2)
        self._store_says(customer, None)
        self._store.notifications.tell(kind, "" if kind == "REVOKE" else "BILLING_RETRY", customer.shared)
        customer.shared = customer.share = customer.member = None

    def _share_again(self, customer: Customer) -> None:
        """Under the very transaction that was taken back some time ago, where its period still runs."""
        now, newest = self.clock.now(), customer.newest
        if customer.again is None or now < customer.again.at or newest is None:
            return
        again, customer.again = customer.again, None
        runs = newest.status == ACTIVE and "revocationDate" not in newest.payload and now < customer.ends_at
        if customer.shared is None and runs and again.shared.payload["expiresDate"] == newest.payload["expiresDate"]:
            customer.shared, customer.share, customer.member = again.shared, again.share, again.member
            self._store.purchases.share_again(ENVIRONMENT, again.shared.id)
            self._store_says(customer, customer.ends_at)
            self._store.notifications.tell("SUBSCRIBED", "RESUBSCRIBE", again.shared)
            self._hand_in(again.member, again.shared, again.share)

    def _store_says(self, customer: Customer, until: datetime | None) -> None:
        assert customer.share is not None
        assert customer.shared is not None
        customer.share.said.append((self.clock.now(), str(customer.shared.payload["productId"]), until))

    def switch_off(self, customer: Customer) -> None:
        assert customer.newest is not None
        self._store.purchases.switch_renewal(ENVIRONMENT, customer.newest.id, on=False)
        self._tell(customer, "DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_DISABLED")

    def refund(self, customer: Customer) -> None:
        """Apple gives the whole newest period back, and renews no more."""
        newest = customer.newest
        assert newest is not None
        if "revocationDate" in newest.payload:
            return
        self._store.purchases.refund(ENVIRONMENT, newest.id)
        self._booked(customer, newest).refunded_at = self.clock.now()
        self._tell(customer, "REFUND")
        self.switch_off(customer)
        self._share_no_more(customer, "REVOKE")

    def raise_price(self, customer: Customer) -> None:
        customer.consents = self._chance.random() < 0.5
        self._tell(customer, "PRICE_INCREASE", "PENDING")
        if customer.consents:
            self._tell(customer, "PRICE_INCREASE", "ACCEPTED")

    # --- what the store does by itself

    def go_on(self, customer: Customer) -> None:
        """The store looks at the subscription: renew it, fail to, or let it end."""
        self._share_again(customer)
        newest, now = customer.newest, self.clock.now()
        if newest is None or newest.status == EXPIRED or now < customer.ends_at:
            return
        if newest.status == ACTIVE:
            if not newest.renewal["autoRenewStatus"]:
                self._expire(customer, 1, "VOLUNTARY")
            elif not customer.consents:
                self._expire(customer, 3, "PRICE_INCREASE")
            elif customer.is_broke:
                self._fail(customer)
            else:
                self._renew(customer, customer.ends_at, "")
        elif not customer.is_broke:
            # Collected in the days of grace the calendar stays as it was.
            self._renew(customer, customer.ends_at if newest.status == GRACE_PERIOD else now, "BILLING_RECOVERY")
        elif newest.status == GRACE_PERIOD and now >= moment(newest.renewal["gracePeriodExpiresDate"]):
            newest.status = BILLING_RETRY
            self._end_grace(customer)
            self._tell(customer, "GRACE_PERIOD_EXPIRED")
            if customer.shared is not None:
                customer.shared.status = BILLING_RETRY
                self._store_says(customer, None)
                self._store.notifications.tell("GRACE_PERIOD_EXPIRED", "", customer.shared)
        elif customer.failed_at is not None and now >= customer.failed_at + LONGEST_RETRY:
            self._expire(customer, 2, "BILLING_RETRY")

    def _renew(self, customer: Customer, start: datetime, subtype: str) -> None:
        assert customer.newest is not None
        self._end_grace(customer)
        made = self._store.purchases.renew(ENVIRONMENT, customer.newest.id)
        made.payload["productId"] = customer.next_product or made.payload["productId"]
        made.payload["purchaseDate"] = milliseconds(start)
        if start == self.clock.now():
            customer.anchor, customer.month = start, 0
        customer.next_product, customer.failed_at = None, None
        self._begin(customer, made, start)
        self._tell(customer, "DID_RENEW", subtype)
        if customer.shared is not None:
            following = self._store.purchases.renew(ENVIRONMENT, customer.shared.id)
            following.payload["productId"] = made.payload["productId"]
            self._share_goes_on(customer, following, "DID_RENEW", subtype)

    def _fail(self, customer: Customer) -> None:
        assert customer.newest is not None
        grace = GRACE if self._chance.random() < 0.5 else timedelta(0)
        self._store.purchases.fail(ENVIRONMENT, customer.newest.id, grace)
        customer.failed_at = self.clock.now()
        if grace:
            until = moment(customer.newest.renewal["gracePeriodExpiresDate"])
            self._subscription(customer).graces.append(Grace(self.clock.now(), until))
        self._tell(customer, "DID_FAIL_TO_RENEW", "GRACE_PERIOD" if grace else "")
        if customer.shared is not None:
            self._store.purchases.fail(ENVIRONMENT, customer.shared.id, grace)
            self._store_says(customer, self.clock.now() + grace if grace else None)
            self._store.notifications.tell("DID_FAIL_TO_RENEW", "GRACE_PERIOD" if grace else "", customer.shared)

    def _expire(self, customer: Customer, intent: int, subtype: str) -> None:
        assert customer.newest is not None
        self._end_grace(customer)
        self._store.purchases.expire(ENVIRONMENT, customer.newest.id, intent)
        self._tell(customer, "EXPIRED", subtype)
        self._share_no_more(customer, "EXPIRED")

    # --- books

    def _begin(self, customer: Customer, made: Purchase, start: datetime) -> None:
        """A month by the calendar of the store, counted from the day on which it was bought."""
        assert customer.anchor is not None
        customer.month += MONTHS_OF[made.payload["productId"]]
        year, month = divmod(customer.anchor.year * 12 + customer.anchor.month - 1 + customer.month, 12)
        day = min(customer.anchor.day, calendar.monthrange(year, month + 1)[1])
        end = customer.anchor.replace(year=year, month=month + 1, day=day)
        made.payload["expiresDate"] = milliseconds(end)
        customer.newest = made
        sold = SoldPeriod(made.id, made.payload["productId"], self.clock.now(), start, end)
        self._subscription(customer).periods.append(sold)

    def _subscription(self, customer: Customer) -> Subscription:
        assert customer.newest is not None
        number = str(customer.newest.payload["originalTransactionId"])
        return customer.buyer.model.subscriptions.setdefault(number, Subscription(number))

    def _booked(self, customer: Customer, purchase: Purchase) -> SoldPeriod:
        return next(each for each in self._subscription(customer).periods if each.number == purchase.id)

    def _end_grace(self, customer: Customer) -> None:
        for grace in self._subscription(customer).graces:
            grace.over_at = grace.over_at or self.clock.now()

    def _hand_in(self, buyer: Buyer, made: Purchase, share: SharedTime | None = None) -> None:
        """The device has the transaction, and the app hands it in as soon as it can."""
        proof = {"signed_transactions": [self._store.notifications.signed_transaction(made)]}
        self.at_device.append(ProofAtDevice(buyer.name, json.dumps(proof).encode(), share))


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
