"""The simulators of the providers under which we charge, one stage for each protocol."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any
from urllib.parse import parse_qs

from app.domain.facts import Refusal
from app.providers.testing.doubles import FixedClock
from plugins.alipay import plugin as alipay
from plugins.alipay import simulator as alipay_simulator
from plugins.alipay.simulated.keys import DemoKeys, demo_keys
from plugins.sandbox import plugin as sandbox
from plugins.sandbox.simulator import ChargeConditions
from plugins.sandbox.simulator import SimulatorConfig as SandboxConfig
from plugins.sandbox.simulator import create_simulator as create_sandbox
from plugins.wechat import plugin as wechat
from plugins.wechat.simulated.keys import SimulatorConfig, generate_config
from plugins.wechat.simulator import create_simulator
from tests.years.debit_stages import WEBHOOK, DebitStage, Send

URL = "https://provider.test"
SECRET = "a shared secret of the years, long enough for all"


def moment_or_none(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


@cache
def alipay_keys() -> DemoKeys:
    return demo_keys()


@cache
def wechat_config() -> SimulatorConfig:
    return generate_config()


class AlipayStage(DebitStage):
    plugin, way, paying_way = alipay, "page", "app"
    codes: Mapping[Refusal, str] = {
        Refusal.NO_MONEY: "ACQ.BUYER_BALANCE_NOT_ENOUGH",
        Refusal.OVER_LIMIT: "ACQ.BEYOND_PAY_RESTRICTION",
        Refusal.NOT_NOW: "ACQ.CYCLE_PAY_DATE_NOT_MATCH",
        Refusal.OTHER: "ACQ.BUYER_ENABLE_STATUS_FORBID",
    }

    def __init__(self, clock: FixedClock, send: Send, chance: random.Random) -> None:
        super().__init__(clock)
        config = alipay_simulator.SimulatorConfig(
            keys=alipay_keys(),
            base_url=URL,
            clock=clock.now,
            monotonic=lambda: clock.now().timestamp(),
            send=send,
            application_gateway=WEBHOOK,
        )
        self.app = alipay_simulator.create_simulator(config)
        self._alipay = alipay_simulator.simulated(self.app)
        self.faults, self.deliveries = self._alipay.faults, self._alipay.deliveries
        contract = {"product_code": "CYCLE_PAY_AUTH", "sign_scene": "INDUSTRY|DIGITAL_MEDIA"}
        self.settings = alipay_keys().settings(f"{URL}/gateway.do") | {"agreements": contract}
        self._chance = chance

    def watch(self, url: str, body: bytes) -> None:
        asked = {**parse_qs(url.partition("?")[2]), **parse_qs(body.decode())}
        if asked.get("method") != ["alipay.trade.pay"]:
            return
        theirs = json.loads(asked["biz_content"][0])["agreement_params"]["agreement_no"]
        number = self._alipay.gateway.agreements.find(theirs).request.external_no
        refusal = self.refusal_of(number)
        self._alipay.gateway.deductions.refusals = (
            [self.codes.get(refusal, "ACQ.BUYER_ENABLE_STATUS_FORBID")] if refusal else []
        )
        self._alipay.gateway.deductions.waits = self._chance.random() < 0.1

    def settle(self) -> None:
        deductions = self._alipay.gateway.deductions
        deductions.waits = False
        for _, trade in list(self._open.values()):
            if trade.order.agreement_no and trade.status == "WAIT_BUYER_PAY" and self._chance.random() < 0.3:
                can_pay = self.refusal_of(trade.order.external_agreement_no) is None
                (deductions.succeed if can_pay else deductions.give_up)(trade)

    def sign(self, number: str, action: Mapping[str, Any], payment: int | None, *, signs: bool) -> None:
        if payment is None:
            self._alipay.sign(action)
            return
        self._alipay.signs_with_payments = signs
        self._alipay.pay(self._alipay.order_of(action))

    def leave(self, number: str, *, told: bool) -> None:
        self._alipay.application_gateway = WEBHOOK if told else ""
        self._alipay.unsign(number)
        self._alipay.application_gateway = WEBHOOK

    def lapse(self, number: str) -> None:
        agreement = self._alipay.gateway.agreements.find(number)
        agreement.valid_until = self.clock.now()

    def refund(self, number: str, charge: str) -> None:
        self._alipay.refund_by_hand(charge, self._alipay.gateway.trades.find(charge).fen)

    def new_charges(self, seen: int) -> Iterator[tuple[str, str, datetime, Any]]:
        for trade in list(self._alipay.gateway.trades)[seen:]:
            signing = trade.order.signing
            number = signing.external_no if signing else trade.order.external_agreement_no
            yield number, trade.order.out_trade_no, trade.created_at, trade

    def minor(self, thing: Any) -> int:
        return int(thing.fen)

    def paid_at(self, thing: Any) -> datetime | None:
        return moment_or_none(thing.paid_at)

    def is_over(self, thing: Any) -> bool:
        return bool(thing.status == "TRADE_CLOSED")

    def stand(self) -> Iterator[tuple[str, datetime, datetime | None]]:
        for agreement in self._alipay.gateway.agreements:
            has_lapsed = agreement.valid_until is not None and agreement.ended_at is None
            ended_at = agreement.valid_until if has_lapsed else agreement.ended_at
            yield agreement.request.external_no, agreement.signed_at, ended_at


class WeChatStage(DebitStage):
    plugin, way, paying_way = wechat, "jsapi", "app"
    codes: Mapping[Refusal, str] = {
        Refusal.NO_MONEY: "NOTENOUGH",
        Refusal.OVER_LIMIT: "RULELIMIT",
        Refusal.NOT_NOW: "INVALID_REQUEST",
        Refusal.OTHER: "USER_ACCOUNT_ABNORMAL",
    }
    slowest = 3
    """Hours until a deduction that was accepted is carried out."""

    def __init__(self, clock: FixedClock, send: Send, chance: random.Random) -> None:
        super().__init__(clock)
        seconds = lambda: clock.now().timestamp()  # noqa: E731 - one word for the simulator
        self.app = create_simulator(wechat_config(), public_url=URL, now=clock.now, send=send, tick=seconds)
        self._wechat = self.app.extensions["wechat"]
        self._wechat.plan_url, self._wechat.situation.kind = WEBHOOK, "public_key"
        self.faults, self.deliveries = self._wechat.faults, self._wechat.deliveries
        self._chance = chance
        self._due = dict[str, datetime]()
        self._asked = dict[str, datetime]()
        self.settings = self._settings()

    def _settings(self) -> dict[str, Any]:
        settings = wechat_config().settings_v3(URL, certificates=False, public_key=True, debits=True)
        return settings | {"plan_ids": ["12535"]}

    def watch(self, url: str, body: bytes) -> None:
        contract = re.search(rb"contract_id\W+(?:\[CDATA\[)?(Wx[0-9]+)", body)
        if contract is None or not url.endswith(("/transactions/apply", "/pay/pappayapply")):
            return
        number = self._wechat.contracts.find(contract[1].decode()).signing.code
        refusal = self.refusal_of(number)
        # Half of the refusals come at once, the others when the deduction is carried out.
        at_once = [self.codes.get(refusal, "USER_ACCOUNT_ABNORMAL")] if refusal and self._chance.random() < 0.5 else []
        self._wechat.papay_v2.refusals, self._wechat.papay_v3.refusals = list(at_once), list(at_once)

    def settle(self) -> None:
        now = self.clock.now()
        for number, (_, order) in list(self._open.items()):
            if order.state != "ACCEPT":
                continue
            due = self._due.setdefault(number, now + timedelta(hours=self._chance.uniform(0, self.slowest)))
            if now >= due:
                refusal = self.refusal_of(self._code(order))
                if refusal is Refusal.NOT_NOW:  # said of a request, and not of a deduction that was accepted
                    refusal = self.last_refusals[self._code(order)] = None
                self._wechat.deduct(number, self.codes.get(refusal, "USER_ACCOUNT_ABNORMAL") if refusal else "")

    def _code(self, order: Any) -> str:
        if order.signing is not None:
            return str(order.signing.code)
        return str(self._wechat.contracts.find(order.contract_id).signing.code)

    def sign(self, number: str, action: Mapping[str, Any], payment: int | None, *, signs: bool) -> None:
        if payment is None:
            self._wechat.sign(action)
            return
        self._wechat.signs_with_payments = signs
        self._wechat.pay(str(payment))

    def leave(self, number: str, *, told: bool) -> None:
        self._wechat.plan_url = WEBHOOK if told else ""
        self._wechat.end_contract(number)
        self._wechat.plan_url = WEBHOOK

    def lapse(self, number: str) -> None:
        self._wechat.contracts.find(number).expires_at = self.clock.now()

    def refund(self, number: str, charge: str) -> None:
        refund = f"C{charge}"
        self._wechat.refund_on_the_merchant_site(charge, self._wechat.books.orders[charge].total, refund)
        self._wechat.finish_refund(refund)

    def new_charges(self, seen: int) -> Iterator[tuple[str, str, datetime, Any]]:
        for order in islice(self._wechat.books.orders.values(), seen, None):
            yield self._code(order), order.number, self.clock.now(), order

    def minor(self, thing: Any) -> int:
        return int(thing.total)

    def paid_at(self, thing: Any) -> datetime | None:
        return moment_or_none(thing.paid_at)

    def is_over(self, thing: Any) -> bool:
        return thing.state in ("PAYERROR", "CLOSED")

    def stand(self) -> Iterator[tuple[str, datetime, datetime | None]]:
        for contract in self._wechat.contracts:
            has_lapsed = contract.ended_at is None and contract.expires_at <= self.clock.now()
            yield contract.signing.code, contract.signed_at, contract.expires_at if has_lapsed else contract.ended_at


class WeChatV2Stage(WeChatStage):
    slowest = 26

    def _settings(self) -> dict[str, Any]:
        return wechat_config().settings_v2(URL, debits=True) | {"plan_ids": ["12535"]}


class SandboxStage(DebitStage):
    plugin, way, paying_way = sandbox, "page", "page"

    def __init__(self, clock: FixedClock, send: Send, chance: random.Random) -> None:
        super().__init__(clock)
        rules = ChargeConditions(notice=timedelta(days=2))
        config = SandboxConfig({"m-1": SECRET}, URL, clock=clock, send=send, charge_conditions=rules)
        self.app = create_sandbox(config, {"TILLBOOK_ENV": "test"})
        self._sandbox = self.app.extensions["sandbox"]
        self.faults, self.deliveries = self._sandbox.faults, self._sandbox.deliveries
        self._due = dict[str, datetime]()
        self.settings = {"base_url": URL, "merchant": "m-1", "secret": SECRET, "notice_days": 2, "charge_days_after": 8}
        self._chance = chance

    def watch(self, url: str, body: bytes) -> None:
        found = re.search(r"/v1/agreements/(?:id/)?([^/]+)/charges$", url)
        if found is None:
            return
        agreements = self._sandbox.agreements
        number = next(each.number for each in agreements.all_of(None) if found[1] in (each.id, each.number))
        refusal = self.refusal_of(number)
        outcome = "NOT_ANNOUNCED" if refusal is Refusal.NOT_NOW else "CHARGE_REFUSED"
        known = {Refusal.NO_MONEY: "NO_MONEY", Refusal.OVER_LIMIT: "OVER_LIMIT"}
        agreements.next_charges.clear()
        if refusal is not None:
            agreements.next_charges.append(known.get(refusal, outcome))
        elif self._chance.random() < 0.15:
            agreements.next_charges.append("WAITING")

    def settle(self) -> None:
        for number in list(self._open):
            payment = self._sandbox.books.find(None, number=number)  # its time may be over by now
            due = self._due.setdefault(number, self.clock.now() + timedelta(hours=self._chance.uniform(0, 24)))
            if payment.status != "WAITING" or self.clock.now() < due:
                continue
            agreement = next(each for each in self._sandbox.agreements.all_of(None) if each.id == payment.agreement_id)
            if agreement.first is payment:
                continue
            refusal = self.refusal_of(agreement.number)
            if refusal is None:
                self._sandbox.pay(payment)
            else:
                self._sandbox.refuse(payment, "NO_MONEY")

    def _find(self, number: str) -> Any:
        return self._sandbox.agreements.find(None, number=number)

    def sign(self, number: str, action: Mapping[str, Any], payment: int | None, *, signs: bool) -> None:
        self._sandbox.sign(self._find(number))

    def leave(self, number: str, *, told: bool) -> None:
        (self._sandbox if told else self._sandbox.agreements).end(self._find(number), "PAYER")

    def lapse(self, number: str) -> None:
        self._sandbox.agreements.expire(self._find(number))

    def refund(self, number: str, charge: str) -> None:
        payment = self._sandbox.books.find(None, number=charge)
        self._sandbox.console_refund(payment, payment.asked["amount"])

    def new_charges(self, seen: int) -> Iterator[tuple[str, str, datetime, Any]]:
        names = {each.id: each.number for each in self._sandbox.agreements.all_of(None)}
        for payment in self._sandbox.books.all_of("m-1")[seen:]:
            yield names[payment.agreement_id], payment.number, self.clock.now(), payment

    def minor(self, thing: Any) -> int:
        return int(thing.asked["amount"])

    def paid_at(self, thing: Any) -> datetime | None:
        return thing.at if thing.status == "PAID" else None

    def is_over(self, thing: Any) -> bool:
        return thing.status in ("CLOSED", "FAILED")

    def stand(self) -> Iterator[tuple[str, datetime, datetime | None]]:
        for agreement in self._sandbox.agreements.all_of(None):
            if agreement.status in ("ACTIVE", "ENDED"):
                booked = self.books[agreement.number]
                signed_at = booked.signed_at or agreement.at
                is_due = agreement.valid_until is not None and agreement.valid_until <= self.clock.now()
                lapsed = agreement.valid_until if is_due and agreement.status == "ACTIVE" else None
                yield agreement.number, signed_at, agreement.at if agreement.status == "ENDED" else lapsed


DEBIT_STAGES: Mapping[str, type[DebitStage]] = {
    "alipay": AlipayStage,
    "wechat": WeChatStage,
    "wechat-v2": WeChatV2Stage,
    "sandbox": SandboxStage,
}
