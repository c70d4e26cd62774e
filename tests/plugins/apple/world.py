"""The App Store as the conformance kit and the other tests need it: the simulator, reached without a network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from app.providers import Fact, HttpClient, HttpResponse, Intent, Kind, Message, Provider, Ref, Reply, Tools
from app.providers.testing.conformance import BodyPart, Document, Sample, Traits, World, make_intent
from app.providers.testing.doubles import FixedClock, MemoryKeys, RewritingHttp, WsgiClient
from plugins.apple import plugin
from plugins.apple.settings import AppleSettings, Environment
from plugins.apple.simulated.certificates import Signer, make_signer
from plugins.apple.simulated.notifications import as_message
from plugins.apple.simulated.purchases import Purchase
from plugins.apple.simulator import SimulatorConfig, create_simulator, simulated_store
from plugins.apple.transactions import SUBSCRIPTION

STORE_URL = "http://store.example"
NOTIFY_URL = "http://shop.example/webhooks/apple"
TOKEN = "0b9e1a56-7c39-4d2e-8f60-5a1de2c4b7aa"
TEST = {"TILLBOOK_ENV": "test"}


class Shop:
    """A simulated store, our account at it, and the notifications that it sent us."""

    environment: Environment = "Sandbox"
    """Where purchases are made, unless a test says."""

    def __init__(self, clock: FixedClock | None = None, **config: Any) -> None:
        self.clock = clock or FixedClock()
        self.sent: list[Message] = []
        self.answers: list[int] = []
        """Status codes for the next notifications; 200 when used up."""
        urls = {"Production": NOTIFY_URL, "Sandbox": NOTIFY_URL}
        options: dict[str, Any] = {
            "now": self.clock.now,
            "monotonic": self.seconds,
            "send": self._take,
            "notify_urls": urls,
        } | config
        self.application = create_simulator(SimulatorConfig(**options), environ=TEST)
        self.store = simulated_store(self.application)
        self.http = WsgiClient(self.application)

    def seconds(self) -> float:
        return self.clock.now().timestamp()

    def settings(self, **changes: Any) -> dict[str, Any]:
        return self.store.settings(STORE_URL) | {"confirm": "no"} | changes

    def provider(self, http: HttpClient | None = None, **changes: Any) -> Any:
        tools = Tools(http=http or self.http, clock=self.clock, keys=MemoryKeys(), live=False)
        return plugin.build(AppleSettings.model_validate(self.settings(**changes)), tools)

    def buy(self, product: str = "coins-600", **more: Any) -> Purchase:
        environment = more.pop("environment", self.environment)
        return self.store.purchases.buy(environment, product, **{"token": TOKEN, **more})

    def subscribe(self, **more: Any) -> Purchase:
        return self.buy("gold-monthly", product_type=SUBSCRIPTION, **more)

    def signed(self, purchase: Purchase, signer: Signer | None = None, **changes: Any) -> str:
        payload = {**purchase.payload, "signedDate": self.store.purchases.milliseconds()} | changes
        return (signer or self.store.signer).sign({k: v for k, v in payload.items() if v is not None})

    def receipt(self, purchase: Purchase, **changes: Any) -> Message:
        return receipt(signed_transactions=[self.signed(purchase, **changes)])

    def notification(self, kind: str, subtype: str, purchase: Purchase, **data: Any) -> Message:
        """The notification as it is sent (and sent it is)."""
        self.store.notifications.tell(kind, subtype, purchase, **data)
        self.store.notifications.run_due()
        return self.sent[-1]

    def control(self, command: str, **document: Any) -> dict[str, Any]:
        answer = self.http.request("POST", f"{STORE_URL}/_control/{command}", body=json.dumps(document).encode())
        content: dict[str, Any] = json.loads(answer.body)
        assert answer.status == 200, content
        return content

    def _take(self, url: str, message: Message) -> Reply:
        self.sent.append(message)
        return Reply(self.answers.pop(0) if self.answers else 200, "text/plain", b"")


def receipt(**document: Any) -> Message:
    return Message("receipt", json.dumps(document, separators=(",", ":")).encode())


def facts(provider: Provider, message: Message) -> tuple[Fact, ...]:
    return provider.receive(message).facts


def kinds(found: tuple[Fact, ...]) -> list[str]:
    return [fact.kind.value for fact in found]


def relabelled(jws: str, **header: Any) -> str:
    """The JWS with another header and the old signature."""
    _, payload, signature = jws.split(".")
    return ".".join((base64url(json.dumps(header).encode()), payload, signature))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hmac_signed(payload: Mapping[str, Any], x5c: tuple[str, ...], key: bytes) -> str:
    """What a library that takes the algorithm from the message would check with the certificate as a secret."""
    header = base64url(json.dumps({"alg": "HS256", "x5c": list(x5c)}).encode())
    content = f"{header}.{base64url(json.dumps(payload).encode())}"
    return f"{content}.{base64url(hmac.digest(key, content.encode(), hashlib.sha256))}"


BEGINS_LATER = timedelta(days=28)


class AppleWorld(World):
    """Facts name `theirs` and the owner; the store sets the price; nothing signed here goes stale, since purchases
    wait on devices for as long as their owners do."""

    plugin = plugin
    traits = Traits(
        verbs=("scan", "bills", "payouts", "fulfil"),
        freshness=None,
        names_our_number=False,
        tells_money=False,
        signs_replies=True,
        has_status_words=False,
    )
    signature_parts = (
        BodyPart("header", rb'"(eyJ[A-Za-z0-9_-]+)(?=\.)'),
        BodyPart("payload", rb"\.([A-Za-z0-9_-]+)(?=\.)"),
        BodyPart("signature", rb'\.([A-Za-z0-9_-]+)(?=")'),
    )

    left_out: ClassVar[Mapping[str, str]] = {
        "dispute": "Apple undoes by transaction and names no refund: all that was refunded of it is undone",
        "charged": "the store sets the price",
        "payable_until": "the store sells whenever the user presses its button",
        "spoil_row": "a page of history is one signed document for each transaction, and no table of rows",
        "rotations": "a chain from Apple's root signs; there is no key of ours to change",
        "foreign_bills": "no report says whose it is",
        "private_words": "transactions name nobody: the owner is the token that we attached",
    }

    def __init__(self, clock: FixedClock, environment: Environment = "Sandbox") -> None:
        super().__init__(clock)
        # Near the end of a month of Apple's fiscal calendar: its report is there before the sandbox forgets.
        clock.advance(BEGINS_LATER.total_seconds())
        self._begun = clock.now()
        self.shop = Shop(clock)
        self.shop.environment = self.shop.store.reports.environment = environment
        self._sold: dict[str, int] = {}
        # One that we did not take: each feed has something to tell, and so something to lie about.
        self.shop.answers.append(500)
        given_back = self.shop.store.purchases.refund(self.shop.environment, self.shop.buy("coins-of-another").id)
        given_back.finished = True
        self.shop.store.notifications.tell("REFUND", "", given_back)
        self.shop.store.notifications.run_due()

    def settings(self) -> dict[str, Any]:
        return self.shop.settings()

    def secrets(self) -> tuple[str, ...]:
        return tuple(self.shop.settings()[name] for name in ("private_key", "shared_secret", "connect_private_key"))

    def history_window(self) -> tuple[datetime, datetime]:
        """Reports are made on the next morning, and on the first Friday of the next fiscal month."""
        since = self._begun - timedelta(hours=1)
        left = self._begun + timedelta(days=10) - self.clock.now()
        self.clock.advance(max(0.0, left.total_seconds()))
        return since, since + timedelta(hours=15)

    @property
    def http(self) -> HttpClient:
        return self.shop.http

    def intents(self) -> tuple[Intent, ...]:
        return (make_intent(self.clock, "store", None),)

    def spoilt_bills(self, document: Any) -> Mapping[str, bytes]:
        """Financial reports add themselves up; sales reports have no totals."""
        lines = gzip.decompress(document.content).decode().splitlines(keepends=True)
        rows = [at for at, line in enumerate(lines) if re.search("\t(IA1|IAY)\t", line)]
        if document.feed == "sales_report" or not rows:
            return {}
        at = rows[0]
        changed = re.sub("\t4[.]41\t-?[0-9.]+\t", "\t4.41\t9.99\t", lines[at])
        spoilt = {
            "a row removed": [*lines[:at], *lines[at + 1 :]],
            "a row twice": [*lines[:at], lines[at], *lines[at:]],
            "an amount changed": [*lines[:at], changed, *lines[at + 1 :]],
        }
        return {what: gzip.compress("".join(made).encode()) for what, made in spoilt.items()}

    def pay(self, intent: Intent) -> tuple[Message, ...]:
        purchase = self.shop.buy(intent.product, token=intent.owner)
        self._sold[str(intent.ref.ours)] = self._sold.get(str(intent.ref.ours), 0) + 1
        return self.shop.receipt(purchase), self.shop.notification("ONE_TIME_CHARGE", "", purchase)

    def delivered(self, intent: Intent) -> bool:
        sold = [one for one in self.shop.store.purchases.all() if one.payload["appAccountToken"] == intent.owner]
        return all(one.finished for one in sold)

    def live_world(self) -> World:
        """A store whose purchases are made with real money. What Apple signs says so itself; a live account trusts
        Apple's own root only, which signs nothing here."""
        return type(self)(FixedClock(self._begun - BEGINS_LATER), "Production")

    def proofs(self) -> tuple[tuple[Message, ...], ...]:
        """One transaction handed in with other white space and in the other order of members, and another one."""
        first, second = (self.shop.signed(self.shop.buy()) for _ in range(2))
        written = json.dumps({"signed_transactions": [first]}, indent=2)
        return (
            (receipt(signed_transactions=[first]), Message("receipt", written.encode())),
            (receipt(signed_transactions=[second]),),
        )

    def payments(self, intent: Intent) -> int:
        return self._sold.get(str(intent.ref.ours), 0)

    def samples(self) -> Mapping[str, Sample]:
        shop, coins, gold = self.shop, self.shop.buy(), self.shop.subscribe()
        refunded = shop.store.purchases.refund(shop.environment, shop.buy().id)
        partly = shop.store.purchases.refund(shop.environment, shop.buy(quantity=3).id, 33_333)
        late = shop.store.purchases.fail(shop.environment, shop.subscribe().id, timedelta(days=16))
        ask = shop.notification("CONSUMPTION_REQUEST", "", coins, consumptionRequestReason="OTHER")
        return {
            "paid": Sample(shop.receipt(coins), (Kind.PAID,)),
            "paid, by notification": Sample(shop.notification("ONE_TIME_CHARGE", "", coins), (Kind.PAID,)),
            "subscribed": Sample(shop.notification("SUBSCRIBED", "INITIAL_BUY", gold), (Kind.PAID, Kind.SIGNED)),
            "renewed": Sample(shop.notification("DID_RENEW", "", gold), (Kind.PAID,)),
            "expired": Sample(shop.notification("EXPIRED", "VOLUNTARY", gold), (Kind.ENDED,)),
            "not collected": Sample(shop.notification("DID_FAIL_TO_RENEW", "GRACE_PERIOD", late), (Kind.PAST_DUE,)),
            "not to be renewed": Sample(
                shop.notification("DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_DISABLED", gold), (Kind.SIGNED,)
            ),
            "refunded": Sample(shop.notification("REFUND", "", refunded), (Kind.REFUNDED,)),
            "refunded before it was handed in": Sample(shop.receipt(refunded), (Kind.PAID, Kind.REFUNDED)),
            "partly refunded": Sample(shop.notification("REFUND", "", partly), (Kind.REFUNDED,)),
            "refund reversed": Sample(shop.notification("REFUND_REVERSED", "", coins), (Kind.REFUND_UNDONE,)),
            "refund asked": Sample(ask, (Kind.REFUND_ASKED,)),
            "refund declined": Sample(shop.notification("REFUND_DECLINED", "", coins), (Kind.REFUND_FAILED,)),
            "price increase": Sample(shop.notification("PRICE_INCREASE", "PENDING", gold), (Kind.SIGNED,)),
            "a type of tomorrow": Sample(shop.notification("SOLD_TO_THE_MOON", "", coins), ()),
            "a test": Sample(self._test_message(), ()),
        }

    def document(self) -> Document:
        purchase = self.shop.buy()
        content = {**purchase.payload, "signedDate": self.shop.store.purchases.milliseconds()}
        return Document(content, lambda other: receipt(signed_transactions=[self.shop.store.signer.sign(other)]))

    def forgeries(self) -> Mapping[str, Message]:
        shop, purchase, signer = self.shop, self.shop.buy(), self.shop.store.signer
        genuine, now = shop.signed(purchase), self.clock.now()
        payload = {**purchase.payload, "signedDate": shop.store.purchases.milliseconds()}
        stranger = make_signer(now)
        forged = {
            "another authority": stranger.sign(payload),
            "a genuine chain, another key": Signer(signer.x5c, signer.root, stranger.key).sign(payload),
            "algorithm none": relabelled(genuine, alg="none", x5c=list(signer.x5c)),
            "no algorithm": relabelled(genuine, x5c=list(signer.x5c)),
            "algorithm HS256": hmac_signed(payload, signer.x5c, base64.b64decode(signer.x5c[0])),
            "no chain": relabelled(genuine, alg="ES256"),
            "from Xcode": signer.sign(payload | {"environment": "Xcode"}),
        }
        outer = self.shop.notification("ONE_TIME_CHARGE", "", purchase)
        nested = {"environment": "Sandbox", "bundleId": shop.store.config.bundle_id}
        notification = {
            "notificationType": "ONE_TIME_CHARGE",
            "notificationUUID": "1b2f4f0c-6a43-4c38-9d80-64b07a5bb8a1",
            "signedDate": payload["signedDate"],
            "data": nested | {"signedTransactionInfo": stranger.sign(payload)},
        }
        return {
            **{name: receipt(signed_transactions=[text]) for name, text in forged.items()},
            "a notification of another authority": as_message(stranger.sign(notification)),
            "a genuine notification around a forged transaction": as_message(signer.sign(notification)),
            "a notification handed in as a receipt": replace(outer, source="receipt"),
        }

    def foreign(self) -> Mapping[str, Message]:
        theirs = Shop(self.clock, bundle_id="com.example.other", app_apple_id=99, signer=self.shop.store.signer)
        purchase = theirs.buy()
        return {
            "a transaction of another app": theirs.receipt(purchase),
            "a notification to another app": theirs.notification("ONE_TIME_CHARGE", "", purchase),
        }

    def odd(self) -> Mapping[str, Message]:
        genuine = self.samples()["paid"].message.body
        return {
            "a repeated member": Message("receipt", genuine[:-1] + b"," + genuine[1:]),
            "a byte order mark": Message("receipt", b"\xef\xbb\xbf" + genuine),
            "two kinds of proof": Message("receipt", genuine[:-1] + b',"transaction_id":"1"}'),
        }

    def refusing(self, code: str) -> HttpClient:
        """Errors of the store are not signed; their codes are numbers. A word in the place of one is of tomorrow."""
        body = json.dumps({"errorCode": code, "errorMessage": "no"}).encode()
        refused = HttpResponse(400, {"content-type": "application/json"}, body)
        return RewritingHttp(self.http, lambda answer: refused)

    def liars(self) -> Mapping[str, HttpClient]:
        stranger = make_signer(self.clock.now())
        return {
            "another key": RewritingHttp(self.http, lambda answer: _resigned(answer, stranger)),
            "unsigned": RewritingHttp(self.http, lambda answer: _resigned(answer, None)),
        }

    def unknown_ref(self) -> Ref:
        return Ref(theirs="404404404404404")

    def _test_message(self) -> Message:
        self.shop.store.notifications.send("Sandbox", "TEST")
        self.shop.store.notifications.run_due()
        return self.shop.sent[-1]


def _resigned(answer: HttpResponse, signer: Signer | None) -> HttpResponse:
    """The answer with every signed document in it signed by somebody else, or by nobody."""
    return replace(answer, body=json.dumps(_forged(json.loads(answer.body), signer)).encode())


def _forged(value: Any, signer: Signer | None) -> Any:
    if isinstance(value, dict):
        return {name: _forged(inner, signer) for name, inner in value.items()}
    if isinstance(value, list):
        return [_forged(inner, signer) for inner in value]
    if isinstance(value, str) and value.count(".") == 2 and value.startswith("eyJ"):
        payload = json.loads(base64.urlsafe_b64decode(value.split(".")[1] + "=="))
        return signer.sign(payload) if signer is not None else payload
    return value
