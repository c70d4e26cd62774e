"""The conformance kit, once in key mode and once in certificate mode."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from app.domain.money import Money
from app.providers import HttpClient, Intent, Kind, Message, Ref, StoredKey
from app.providers.testing.conformance import (
    BillDocument,
    BodyPart,
    Document,
    ProviderConformance,
    Rotation,
    Sample,
    Traits,
    World,
    make_intent,
)
from app.providers.testing.doubles import FixedClock, MemoryKeys
from plugins.alipay import plugin
from plugins.alipay.certificates import read_certificates, serial_number
from plugins.alipay.simulated.alipay import FORM_TYPE
from plugins.alipay.simulated.bill_office import BillOffice
from plugins.alipay.simulated.keys import DemoKeys, demo_keys
from plugins.alipay.simulated.signing import SigningSide
from plugins.alipay.simulated.trades import BUYER_LOGON, BusinessFailure, Trade
from tests.plugins.alipay.actors import GATEWAY, JSAPI_EXTRA, Stage, certificate_mode, key_mode, stage, strangers
from tests.plugins.alipay.bill_files import csv_files, zipped
from tests.plugins.alipay.refusing_gateway import RefusingGateway

PRICE = Money(600, "CNY")


@cache
def a_third_party() -> DemoKeys:
    """Keys that are nobody's here, neither in use nor renewed."""
    return demo_keys()


class AlipayWorld(World):
    plugin = plugin
    left_out: ClassVar = {
        "dispute": "a dispute ends in a refund by the merchant or by Alipay; nothing that Alipay sends tells it apart",
        "rotations": "in key mode one key is configured, and a notice names no other",
        "proofs": "a notice is its bytes; nobody hands in a proof",
        "hold_refund": "a refund is done at once; `fund_change` N is tried in test_mapping",
        "fail_refund": "a refund has left the merchant when it is done; one that fails is in test_refunds",
        "show_refund_status": "its words are tried in test_mapping",
    }
    traits = Traits(verbs=("refund", "cancel", "scan", "bills"))
    signature_parts: ClassVar = (
        BodyPart("sign", rb"&sign=([^&]*)"),
        BodyPart("sign_type", rb"&sign_type=([^&]*)"),
    )

    def __init__(self, clock: FixedClock) -> None:
        super().__init__(clock)
        self.stage = self._stage(self._keys())

    def _keys(self) -> DemoKeys:
        return key_mode()

    def _stage(self, keys: DemoKeys) -> Stage:
        return stage(keys, clock=self.clock)

    # --- configuration

    def settings(self) -> dict[str, Any]:
        return self._keys().settings(GATEWAY.replace("http://", "https://") if self.live else GATEWAY)

    def secrets(self) -> tuple[str, ...]:
        return (self._keys().app_private_key,)

    @property
    def http(self) -> HttpClient:
        return self.stage.http

    # --- payments

    def intents(self) -> tuple[Intent, ...]:
        extras: dict[str, dict[str, Any]] = {
            "app": {},
            "wap": {"quit_url": "https://shop.example/quit"},
            "page": {"qr_pay_mode": "2"},
            "precreate": {"client_ip": "203.0.113.9"},
            "jsapi": JSAPI_EXTRA,
        }
        return tuple(make_intent(self.clock, way, PRICE, extra=extra) for way, extra in extras.items())

    def visit(self, intent: Intent) -> None:
        self.stage.opened(intent)

    def pay(self, intent: Intent) -> tuple[Message, ...]:
        return (self.stage.paid(intent),)

    def payments(self, intent: Intent) -> int:
        return sum(trade.order.out_trade_no == intent.ref.ours for trade in self.stage.alipay.gateway.trades)

    def charged(self, intent: Intent) -> Money | None:
        return Money(self._trade(intent.ref).order.fen, "CNY")

    def payable_until(self, intent: Intent) -> datetime | None:
        return self._trade(intent.ref).order.expires_at

    def spoil_row(self, intent: Intent) -> None:
        self._trade(intent.ref).odd_in_bills = True

    def live_world(self) -> World:
        """The account over https at the production gateway; the simulator answers whatever host is named."""
        world = type(self)(self.clock)
        world.live = True
        return world

    def private_words(self) -> tuple[str, ...]:
        """The payer's login, as notices, answers and bills carry it."""
        return (BUYER_LOGON,)

    # --- messages

    def samples(self) -> Mapping[str, Sample]:
        alipay, (first, second, third, *_) = self.stage.alipay, self.intents()
        paid = self.pay(first)[0]
        self.pay(second)
        alipay.refund_by_hand(str(second.ref.ours), 100, "R1")
        partly = self.stage.notices()[0]
        alipay.refund_by_hand(str(second.ref.ours), 500, "R2")
        wholly = self.stage.notices()[0]
        alipay.finish(str(first.ref.ours))
        finished = self.stage.notices()[0]
        self.visit(third)
        alipay.close_by_hand(str(third.ref.ours))
        closed = self.stage.notices()[0]
        return {
            "paid": Sample(paid, (Kind.PAID,)),
            "finished": Sample(finished, (Kind.PAID,)),
            "partly refunded": Sample(partly, (Kind.PAID, Kind.REFUNDED)),
            "wholly refunded": Sample(wholly, (Kind.PAID, Kind.REFUNDED)),
            "closed": Sample(closed, (Kind.CLOSED,)),
            "in gbk": Sample(self._signed(_content(paid), charset="gbk"), (Kind.PAID,)),
            "of another kind": Sample(self._signed(_content(paid) | {"notify_type": "servicewindow"}), ()),
        }

    def document(self) -> Document:
        content = _content(self.pay(self.intents()[0])[0])
        return Document(content, self._sign, ("trade_status",))

    def _sign(self, content: Mapping[str, Any]) -> Message | None:
        fields = dict(content)
        if not all(isinstance(value, str) for value in fields.values()):
            return None
        try:
            return self._signed(fields)
        except UnicodeEncodeError:
            return None

    def _signed(self, fields: Mapping[str, str], *, keys: DemoKeys | None = None, charset: str = "utf-8") -> Message:
        key = keys.alipay_private_key if keys else None
        body = self.stage.alipay.gateway.signed_form(fields, key=key, charset=charset)
        return Message("notification", body.encode(), {"content-type": FORM_TYPE})

    def forgeries(self) -> Mapping[str, Message]:
        paid = self.pay(self.intents()[0])[0]
        fields = _content(paid)
        keys = self._keys()
        own = DemoKeys(keys.app_private_key, keys.app_private_key)
        everything = dict(parse_qsl(paid.body.decode(), keep_blank_values=True))
        return {
            "signed by a stranger": self._signed(fields, keys=strangers()),
            "signed by the app itself": self._signed(fields, keys=own),
            "another amount": _form(everything | {"total_amount": "0.01"}),
            "an older algorithm": _form(everything | {"sign_type": "RSA"}),
            "no base64": _form(everything | {"sign": "abc"}),
            "a field twice": Message("notification", paid.body + b"&trade_status=TRADE_SUCCESS", paid.headers),
        }

    def foreign(self) -> Mapping[str, Message]:
        fields = _content(self.pay(self.intents()[0])[0])
        without_payee = {n: v for n, v in fields.items() if n not in ("seller_id", "seller_email")}
        return {
            "another seller": self._signed(fields | {"seller_id": "2088000000000009"}),
            "another app": self._signed(fields | {"app_id": "2021000000000009"}),
            "another seller by e-mail": self._signed(without_payee | {"seller_email": "other@example.com"}),
            "no seller at all": self._signed(without_payee),
        }

    def odd(self) -> Mapping[str, Message]:
        fields = _content(self.pay(self.intents()[0])[0])
        return {
            "a hidden field": self._signed(fields | {"body": "x&total_amount=0.01"}),
            "a charset of its own": Message(
                "notification", self._signed(fields).body.replace(b"charset=utf-8", b"charset=utf-7")
            ),
        }

    # --- calls

    def liars(self) -> Mapping[str, HttpClient]:
        return {"another key": self._impostor(sign_answers=True), "unsigned": self._impostor(sign_answers=False)}

    def _impostor(self, *, sign_answers: bool) -> HttpClient:
        """Knows the same trades and the app's public key, and lacks Alipay's private key."""
        keys, foreign = self._keys(), strangers()
        false = DemoKeys(keys.app_private_key, foreign.alipay_private_key, keys.certificates)
        other = self._stage(false)
        other.alipay.gateway.trades = self.stage.alipay.gateway.trades
        other.alipay.gateway.sign_answers = sign_answers
        return other.http

    def refusing(self, code: str) -> HttpClient:
        return RefusingGateway(SigningSide(self._keys()), code)

    def show_status(self, intent: Intent, word: str) -> None:
        self.stage.alipay.gateway.status_words[str(intent.ref.ours)] = word

    def settle_refund(self, ref: Ref) -> tuple[Message, ...]:
        """Refunds are done at once; Alipay then tells the original order's address."""
        self.stage.alipay.notify(self._trade(ref))
        return tuple(self.stage.notices())

    def refunded(self, intent: Intent) -> int:
        return self._trade(intent.ref).refunded_fen

    def _trade(self, ref: Ref) -> Trade:
        try:
            return self.stage.alipay.gateway.trades.find(str(ref.ours))
        except BusinessFailure as failure:
            raise AssertionError("no such trade at the simulator") from failure

    def history_window(self) -> tuple[datetime, datetime]:
        """The bill of a day is made the next morning. One day: the world begins at 11 o'clock in Beijing."""
        since = self.clock.now() - timedelta(hours=1)
        self.clock.advance(timedelta(days=3).total_seconds())
        return since, since + timedelta(hours=3)

    # --- bills

    def further_bills(self) -> tuple[BillDocument, ...]:
        """A payout and a quiet day; a file as a person takes it out of the ZIP; the published samples."""
        office = self.stage.alipay.gateway.bills
        office.pay_out(500, 10)
        office.move("转账", -20, remark=BUYER_LOGON)
        office.make_anew("signcustomer", "2026-01-04")
        account = office.bill("signcustomer", "2026-01-04")
        detail = next(text for name, text in csv_files(account).items() if "汇总" not in name)
        return (
            BillDocument("account_bill", "2088_20260104.zip", account),
            BillDocument("account_bill", "20880000000000010156_20260104_账务明细.csv", detail.encode("gbk")),
            BillDocument("account_bill", "2088_20260104.csv", detail.encode()),
            BillDocument("account_bill", "2088_20251231.zip", office.bill("signcustomer", "2025-12-31")),
            BillDocument("trade_bill", "2088_20251231.zip", office.bill("trade", "2025-12-31")),
        )

    def spoilt_bills(self, document: BillDocument) -> Mapping[str, bytes]:
        files = csv_files(document.content) if document.content.startswith(b"PK") else {}
        name = next((name for name in files if "汇总" not in name), "")
        lines = files.get(name, "").splitlines()
        rows = [at for at, line in enumerate(lines) if line[:1].isdigit()]
        if not rows:
            return {}
        first = rows[0]
        amount = next(cell for cell in lines[first].split(",") if re.fullmatch(r"-?[0-9]+[.][0-9]{2}", cell))
        changed = lines[first].replace(amount, "7.77")
        spoilt = {
            "a row removed": [*lines[:first], *lines[first + 1 :]],
            "a row twice": [*lines[: first + 1], *lines[first:]],
            "an amount changed": [*lines[:first], changed, *lines[first + 1 :]],
        }
        return {what: zipped({**files, name: "\n".join(made)}) for what, made in spoilt.items()}

    def foreign_bills(self) -> tuple[BillDocument, ...]:
        office = BillOffice(lambda: (), "2088000000000009", self.clock.now)
        return (
            BillDocument("trade_bill", "2088_20260102.zip", office.bill("trade", "2026-01-02")),
            BillDocument("account_bill", "2088_20260102.zip", office.bill("signcustomer", "2026-01-02")),
        )


class CertifiedWorld(AlipayWorld):
    left_out: ClassVar = {name: reason for name, reason in AlipayWorld.left_out.items() if name != "rotations"}
    traits = Traits(verbs=("refund", "cancel", "scan", "bills", "refresh"))

    def _keys(self) -> DemoKeys:
        return certificate_mode()

    def rotations(self) -> Mapping[str, Rotation]:
        """A notice names no certificate: the old key and the renewed one are tried, and no other."""
        made = self._keys().certificates
        assert made is not None
        keys, renewed = MemoryKeys(), strangers()
        pem = made.renewed(renewed.alipay_private_key, self.clock.now())
        leaf = read_certificates(pem.encode())[0]
        keys.put(StoredKey(serial_number(leaf), pem.encode(), leaf.not_valid_after_utc))
        content = _content(self.pay(self.intents()[0])[0])
        read = self._signed(content), self._signed(content, keys=renewed)
        refused = self._signed(content, keys=a_third_party()), self._signed(content, keys=self._own())
        return {"a renewed certificate": Rotation(read, refused, self.settings(), keys)}

    def _own(self) -> DemoKeys:
        """The app's own key, whose certificate is of the same authority as Alipay's."""
        keys = self._keys()
        return DemoKeys(keys.app_private_key, keys.app_private_key)


def _content(message: Message) -> dict[str, str]:
    """The fields of a notice without those that signing adds."""
    fields = dict(parse_qsl(message.body.decode(), keep_blank_values=True))
    return {name: value for name, value in fields.items() if name not in ("sign", "sign_type", "charset")}


def _form(fields: Mapping[str, str]) -> Message:
    return Message("notification", urlencode(fields).encode(), {"content-type": FORM_TYPE})


class TestKeyMode(ProviderConformance):
    world_class = AlipayWorld


class TestCertificateMode(ProviderConformance):
    world_class = CertifiedWorld
