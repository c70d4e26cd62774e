"""The simulator as the outside of a test: for the conformance kit, and for the plugin's own tests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from app.domain.money import Money
from app.providers import HttpClient, Intent, KeyStore, Kind, Message, Reply, StoredKey, Tools
from app.providers.testing import conformance
from app.providers.testing.conformance import BodyPart, Document, HeaderPart, Sample, Traits, World, make_intent
from app.providers.testing.doubles import FixedClock, MemoryKeys, WsgiClient
from plugins.wechat import plugin
from plugins.wechat.simulated.books import Order
from plugins.wechat.simulated.keys import SimulatorConfig, generate_config
from plugins.wechat.simulated.wechat import SimulatedWeChat
from plugins.wechat.simulator import create_simulator
from plugins.wechat.v2.signing import V2Key
from plugins.wechat.v2.xml import write_xml
from tests.plugins.wechat.billing_worlds import BillsOfWeChat
from tests.plugins.wechat.odd_messages import Unsigned, odd_envelopes, odd_xml
from tests.plugins.wechat.refunding_worlds import RefundsOfWeChat, RefusingV2, RefusingV3
from tests.plugins.wechat.rotations import PlatformRotations

FIVE_MINUTES = timedelta(minutes=5)
API_URL = "https://wechat.simulated.example"
OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
EXTRAS: dict[str, dict[str, str]] = {
    "jsapi": {"openid": OPENID},
    "miniprogram": {"openid": OPENID},
    "app": {},
    "native": {},
    "h5": {"client_ip": "203.0.113.7"},
}


@cache
def our_config() -> SimulatorConfig:
    """Keys take time, so all tests share them."""
    return generate_config()


@cache
def other_config() -> SimulatorConfig:
    """Another merchant, or an impostor: everything differs."""
    return generate_config(mchid="1900000222", appid="wxffffffffffffffff")


class WeChatWorld(BillsOfWeChat, RefundsOfWeChat, World):
    """Common to both generations: a simulator whose deliveries end in `inbox`."""

    plugin = plugin
    left_out: ClassVar[Mapping[str, str]] = {
        "dispute": "WeChat Pay tells complaints elsewhere, and money that goes back as a refund",
        "proofs": "a notification is its bytes; nobody hands in a proof",
        "rotations": "one key signs here; the worlds of API v3 with certificates have two",
        "private_words": "the payer appears only as the openid, which belongs to our own app",
    }

    def __init__(self, clock: FixedClock, config: SimulatorConfig | None = None) -> None:
        super().__init__(clock)
        self.config = config or our_config()
        self.inbox: list[Message] = []
        self._http = self._line(self.config)
        self.wechat: SimulatedWeChat = self._app.extensions["wechat"]

    def _line(self, config: SimulatorConfig) -> WsgiClient:
        os.environ.setdefault("TILLBOOK_ENV", "test")
        self._app = create_simulator(config, public_url=API_URL, now=self.clock.now, send=self._send, tick=self._tick)
        return WsgiClient(self._app)

    def _send(self, _: str, message: Message) -> Reply:
        self.inbox.append(message)
        return Reply(200, "text/xml", write_xml({"return_code": "SUCCESS"}))

    def _tick(self) -> float:
        return self.clock.now().timestamp()

    @property
    def http(self) -> HttpClient:
        return self._http

    def tools(self, http: HttpClient | None = None) -> Tools:
        return Tools(http=http or self.http, clock=self.clock, keys=self.keys(), live=False)

    def intents(self) -> tuple[Intent, ...]:
        return tuple(self.intent(way) for way in EXTRAS)

    def intent(self, way: str = "native", fen: int = 600) -> Intent:
        return make_intent(self.clock, way, Money(fen, "CNY"), extra=EXTRAS[way])

    def pay(self, intent: Intent) -> tuple[Message, ...]:
        assert intent.ref.ours is not None
        self.wechat.pay(intent.ref.ours)
        return self.delivered()

    def delivered(self) -> tuple[Message, ...]:
        """What the simulator sends now, as it arrives."""
        self.inbox.clear()
        self.wechat.deliveries.run_due()
        return tuple(self.inbox)

    def payments(self, intent: Intent) -> int:
        return int(intent.ref.ours in self.wechat.books.orders)

    def charged(self, intent: Intent) -> Money | None:
        return Money(self.order_of(intent).total, "CNY")

    def payable_until(self, intent: Intent) -> datetime | None:
        return self.order_of(intent).expires_at

    def spoil_row(self, intent: Intent) -> None:
        self.order_of(intent).odd_in_bills = True

    def live_world(self) -> World:
        """The account with real money; the simulator answers whatever host is named."""
        world = type(self)(self.clock)
        world.live = True
        return world

    def order_of(self, intent: Intent) -> Order:
        return self.wechat.books.orders[str(intent.ref.ours)]

    def liars(self) -> Mapping[str, HttpClient]:
        impostor = replace(other_config(), mchid=self.config.mchid, appid=self.config.appid)
        kept, line = self._app, self._line(impostor)
        self._app = kept
        return {"another key": line, "unsigned": Unsigned(self._http)}

    def show_status(self, intent: Intent, word: str) -> None:
        assert intent.ref.ours is not None
        self.wechat.books.orders[intent.ref.ours].shown_state = word

    def history_window(self) -> tuple[datetime, datetime]:
        """The bill of a day is made the next morning."""
        since = self.clock.now() - timedelta(days=1)
        self.clock.advance(timedelta(days=2).total_seconds())
        return since, self.clock.now() - timedelta(days=1)


class V3World(WeChatWorld):
    """Notifications and answers signed with platform certificates; no public key yet."""

    traits = Traits(verbs=("refund", "cancel", "scan", "bills", "refresh"), freshness=FIVE_MINUTES)
    signature_parts = (
        HeaderPart("wechatpay-timestamp"),
        HeaderPart("wechatpay-nonce"),
        HeaderPart("wechatpay-serial"),
        HeaderPart("wechatpay-signature"),
    )
    certificates, public_key, kind = True, False, "certificate"
    left_out: ClassVar[Mapping[str, str]] = {
        name: reason for name, reason in WeChatWorld.left_out.items() if name != "rotations"
    }

    def __init__(self, clock: FixedClock, config: SimulatorConfig | None = None) -> None:
        super().__init__(clock, config)
        self.wechat.situation.kind = self.kind

    def settings(self) -> dict[str, Any]:
        return self.config.settings_v3(API_URL, certificates=self.certificates, public_key=self.public_key)

    def secrets(self) -> tuple[str, ...]:
        return self.config.merchant.private_pem, self.config.apiv3_key

    def keys(self) -> KeyStore:
        keys = MemoryKeys()
        if self.certificates:
            keys.put(StoredKey(self.config.platform.serial, self.config.platform.certificate_pem.encode()))
        return keys

    def transaction(self) -> dict[str, Any]:
        """The content of a genuine notification of a payment."""
        intent = self.intent()
        self.make_provider(self.tools()).start(intent)
        assert intent.ref.ours is not None
        order = self.wechat.books.pay(intent.ref.ours)
        return self.wechat.v3.transaction(order)

    def samples(self) -> Mapping[str, Sample]:
        paid, notify = self.transaction(), self.wechat.signer.notification
        refund = {
            "mchid": self.config.mchid,
            "out_trade_no": paid["out_trade_no"],
            "transaction_id": paid["transaction_id"],
            "out_refund_no": "81",
            "refund_id": "50300807092021020105990201735",
            "refund_status": "SUCCESS",
            "success_time": paid["success_time"],
            "amount": {"total": 600, "refund": 200, "payer_total": 600, "payer_refund": 200},
        }

        signing = {
            "mchid": self.config.mchid,
            "contract_id": "1",
            "out_contract_code": "2",
            "contract_state": "SIGNED",
        }

        def refund_sample(event: str, status: str, kind: Kind) -> Sample:
            return Sample(notify(event, "refund", refund | {"refund_status": status}), (kind,))

        def trade_sample(kind: Kind, **changes: Any) -> Sample:
            return Sample(notify("TRANSACTION.SUCCESS", "transaction", paid | changes), (kind,))

        return {
            "paid": trade_sample(Kind.PAID),
            "paid with a coupon": trade_sample(Kind.PAID, amount=paid["amount"] | {"payer_total": 1}),
            "paid, then refunded": trade_sample(Kind.PAID, trade_state="REFUND"),
            "a deduction failed": Sample(
                notify("TRANSACTION.FAIL", "transaction", paid | {"trade_state": "PAYERROR", "trade_type": "PAP"}),
                (Kind.FAILED,),
            ),
            "refunded": refund_sample("REFUND.SUCCESS", "SUCCESS", Kind.REFUNDED),
            "refund abnormal": refund_sample("REFUND.ABNORMAL", "ABNORMAL", Kind.REFUND_FAILED),
            "refund closed": refund_sample("REFUND.CLOSED", "CLOSED", Kind.REFUND_FAILED),
            "an agreement": Sample(notify("ENTRUST.SIGN", "entrust", signing), (Kind.SIGNED,)),
            "an agreement of another product": Sample(notify("ENTRUST.SIGN", "entrust", {"contract_id": "1"}), ()),
        }

    def document(self) -> Document:
        def sign(content: Mapping[str, Any]) -> Message | None:
            return self.wechat.signer.notification("TRANSACTION.SUCCESS", "transaction", content)

        return Document(self.transaction(), sign, status=("trade_state",))

    def forgeries(self) -> Mapping[str, Message]:
        paid, signer = self.transaction(), self.wechat.signer
        genuine = signer.notification("TRANSACTION.SUCCESS", "transaction", paid)
        self.wechat.situation.probe_notifications = 1
        probe = signer.notification("TRANSACTION.SUCCESS", "transaction", paid)
        as_merchant = replace(self.config, platform=self.config.merchant, public=self.config.merchant)
        by_us = SimulatedWeChat(as_merchant, now=self.clock.now)
        by_us.situation.kind = self.kind
        ours = by_us.signer.notification("TRANSACTION.SUCCESS", "transaction", paid)
        genuine_serial = genuine.headers["wechatpay-serial"]
        return {
            "another key": signer.forged("TRANSACTION.SUCCESS", "transaction", paid),
            "a probe": probe,
            "our own key under our own number": ours,
            "our own key under the platform's number": replace(
                ours, headers={**ours.headers, "wechatpay-serial": genuine_serial}
            ),
            "an unknown serial number": replace(genuine, headers={**genuine.headers, "wechatpay-serial": "7" * 40}),
            "the other scheme": replace(
                genuine, headers={**genuine.headers, "wechatpay-signature-type": "WECHATPAY2-SM2-WITH-SM3"}
            ),
        }

    def foreign(self) -> Mapping[str, Message]:
        theirs = self.transaction() | {"mchid": "1900000222", "appid": "wxffffffffffffffff"}
        another_app = self.transaction() | {"appid": "wxffffffffffffffff"}
        sealed_for_them = SimulatedWeChat(replace(self.config, apiv3_key="0" * 32), now=self.clock.now)
        sealed_for_them.situation.kind = self.kind
        notify = self.wechat.signer.notification
        return {
            "another merchant, our APIv3 key": notify("TRANSACTION.SUCCESS", "transaction", theirs),
            "our merchant, another appid": notify("TRANSACTION.SUCCESS", "transaction", another_app),
            "another merchant, their APIv3 key": sealed_for_them.signer.notification(
                "TRANSACTION.SUCCESS", "transaction", theirs
            ),
        }

    def odd(self) -> Mapping[str, Message]:
        genuine = self.wechat.signer.notification("TRANSACTION.SUCCESS", "transaction", self.transaction())
        return {name: self.signed(body) for name, body in odd_envelopes(genuine.body).items()}

    def signed(self, body: bytes) -> Message:
        """These very bytes, signed as a notification by WeChat Pay."""
        wanted = self.config.public_key_id if self.kind == "public_key" else ""
        headers = self.wechat.signer.answer_headers(body, wanted)
        return Message("notification", body, {name.lower(): value for name, value in headers.items()})

    def refusing(self, code: str) -> HttpClient:
        return RefusingV3(self.wechat, code)

    def rotations(self) -> Mapping[str, conformance.Rotation]:
        by_turns = PlatformRotations(self.config, self.transaction(), self.clock.now, self.settings(), self.keys)
        certificates = {"two certificates": by_turns.of_certificates()}
        return certificates | ({"the migration": by_turns.to_the_public_key()} if self.public_key else {})


class PublicKeyWorld(V3World):
    """A new merchant: only the platform public key, no certificates, nothing to refresh."""

    traits = Traits(verbs=("refund", "cancel", "scan", "bills"), freshness=FIVE_MINUTES)
    certificates, public_key, kind = False, True, "public_key"
    left_out = WeChatWorld.left_out
    rotations = World.rotations


class MigratingWorld(V3World):
    """In the middle of the migration: both kinds of signatures arrive by turns, and the certificates change, too."""

    certificates, public_key, kind = True, True, "migrating"


class V2World(WeChatWorld):
    """API v2 with HMAC-SHA256. It signs no time, so nothing goes stale; facts are idempotent."""

    traits = Traits(verbs=("cancel", "scan", "bills"))
    signature_parts = (BodyPart("sign", rb"<sign><!\[CDATA\[([^\]]*)\]\]></sign>"),)
    sign_type = "HMAC-SHA256"

    def __init__(self, clock: FixedClock, config: SimulatorConfig | None = None) -> None:
        super().__init__(clock, replace(config or our_config(), sign_type=self.sign_type))

    def settings(self) -> dict[str, Any]:
        return self.config.settings_v2(API_URL)

    def secrets(self) -> tuple[str, ...]:
        return (self.config.api_key,)

    def paid_order(self) -> Order:
        intent = self.intent()
        self.make_provider(self.tools()).start(intent)
        assert intent.ref.ours is not None
        return self.wechat.books.pay(intent.ref.ours)

    def fields(self) -> dict[str, str]:
        return self.wechat.v2.payment_fields(self.paid_order())

    def sign(self, fields: Mapping[str, str], key: V2Key | None = None) -> Message:
        return self.wechat.v2.sign_notification(fields, self.sign_type, key)

    def samples(self) -> Mapping[str, Sample]:
        order = self.paid_order()
        fields = self.wechat.v2.payment_fields(order)
        refund = self.wechat.books.refund(order, f"8{order.number}", 200)
        failed = {"trade_state": "PAYERROR", "trade_type": "PAP", "result_code": "FAIL", "err_code": "NOTENOUGH"}
        contract = {"change_type": "ADD", "contract_id": "1", "contract_code": "2", "mch_id": self.config.mchid}
        contract |= {"operate_time": "2026-01-02 11:04:05"}
        return {
            "paid": Sample(self.sign(fields), (Kind.PAID,)),
            "paid, with sign_type": Sample(self.sign(fields | {"sign_type": self.sign_type}), (Kind.PAID,)),
            "paid with a coupon": Sample(self.sign(fields | {"cash_fee": "1", "coupon_fee": "599"}), (Kind.PAID,)),
            "paid, with an empty element": Sample(self.sign(fields | {"device_info": ""}), (Kind.PAID,)),
            "not paid": Sample(self.sign(fields | {"result_code": "FAIL"}), (Kind.PENDING,)),
            "a deduction failed": Sample(self.sign(fields | failed), (Kind.FAILED,)),
            "a refund to ask about": Sample(self.wechat.refund_message(refund), ()),
            "an agreement": Sample(self.sign(contract), (Kind.SIGNED,)),
        }

    def document(self) -> Document:
        def sign(content: Mapping[str, Any]) -> Message | None:
            storable = all(isinstance(value, str) and _in_xml(value) for value in content.values())
            return self.sign(content) if storable else None

        return Document(self.fields(), sign, status=("result_code",))

    def refusing(self, code: str) -> HttpClient:
        parties = {"appid": self.config.appid, "mch_id": self.config.mchid}
        return RefusingV2(self.wechat, self.sign_type, code, parties)

    def forgeries(self) -> Mapping[str, Message]:
        fields = self.fields()
        other: Any = "MD5" if self.sign_type == "HMAC-SHA256" else "HMAC-SHA256"
        return {
            "another key": self.sign(fields, V2Key("0" * 32)),
            "the empty key": self.sign(fields, V2Key("")),
            "the other kind of signature": self.wechat.v2.sign_notification(fields, other),
            "the other kind announced": self.sign(fields | {"sign_type": other}),
            "no signature": Message("notification", write_xml(fields)),
            "an encrypted refund and no payment": Message("notification", write_xml(fields | {"req_info": "AAAA"})),
        }

    def foreign(self) -> Mapping[str, Message]:
        theirs = self.fields() | {"mch_id": "1900000222", "appid": "wxffffffffffffffff"}
        return {
            "another merchant, their key": self.sign(theirs, V2Key(other_config().api_key)),
            "another merchant, our key": self.sign(theirs),
        }

    def odd(self) -> Mapping[str, Message]:
        body = self.sign(self.fields()).body
        return {name: Message("notification", odd) for name, odd in odd_xml(body).items()}


class V2Md5World(V2World):
    sign_type = "MD5"


class V2RefundingWorld(V2World):
    """With the merchant's certificate, which arrives as if a front server had checked it; `test_tls` has a real one."""

    traits = Traits(verbs=("refund", "cancel", "scan", "bills"))

    def settings(self) -> dict[str, Any]:
        return self.config.settings_v2(API_URL, certificate=True)

    def secrets(self) -> tuple[str, ...]:
        return self.config.api_key, self.config.merchant.private_pem


def _in_xml(value: str) -> bool:
    return all(letter in "\t\n" or " " <= letter < "\ud800" or letter > "\udfff" for letter in value)
