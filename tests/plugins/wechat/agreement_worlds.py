"""Accounts with templates for auto-debit, in front of the simulator."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from app.domain.money import Money
from app.providers import Fact, Intent, Ref, Terms
from app.providers.testing.conformance import make_intent
from app.providers.testing.doubles import FixedClock
from plugins.wechat.simulated.contracts import Contract
from plugins.wechat.v2.debits import V2Debits
from plugins.wechat.v3.debits import V3Debits
from tests.plugins.wechat.worlds import API_URL, OPENID, PublicKeyWorld, V2Md5World

OURS = "4503599627374593"
NUMBER = "4503599627378689"
WEBHOOK = "https://pay.example.com/webhooks/wechat"
SIGNING_EXTRAS: dict[str, dict[str, str]] = {
    "jsapi": {"openid": OPENID},
    "miniprogram": {"openid": OPENID},
    "app": {},
    "h5": {"client_ip": "203.0.113.7"},
}
SIX = Money(600, "CNY")


class V2DebitWorld(V2Md5World):
    def __init__(self) -> None:
        super().__init__(FixedClock())
        provider = self.make_provider(self.tools())
        assert isinstance(provider, V2Debits)
        self.provider = provider
        self.wechat.plan_url = WEBHOOK

    def settings(self) -> dict[str, Any]:
        return self.config.settings_v2(API_URL, debits=True)

    def signed(self) -> Contract:
        contract = self.wechat.sign(self.provider.sign(terms_for(self.clock)).action)
        self.delivered()
        return contract

    def facts(self) -> list[Fact]:
        """What the notifications of now say."""
        return [fact for message in self.delivered() for fact in self.provider.receive(message).facts]

    def charge(self, number: str = NUMBER, money: Money = SIX) -> tuple[Fact, ...]:
        contract = next(iter(self.wechat.contracts))
        ref = Ref(agreement=contract.contract_id, our_agreement=contract.signing.code)
        return self.provider.charge(ref, charge_intent(self.clock, number, money))


class V3DebitWorld(PublicKeyWorld):
    def __init__(self, **settings: Any) -> None:
        self.changes = settings
        super().__init__(FixedClock())
        provider = self.make_provider(self.tools())
        assert isinstance(provider, V3Debits)
        self.provider = provider
        self.wechat.plan_url = WEBHOOK

    def settings(self) -> dict[str, Any]:
        table = self.config.settings_v3(API_URL, certificates=False, public_key=True, debits=True)
        return table | self.changes

    def signed(self) -> Contract:
        contract = self.wechat.sign(self.provider.sign(terms_for(self.clock)).action)
        self.delivered()
        return contract

    def facts(self) -> list[Fact]:
        """What the notifications of now say."""
        return [fact for message in self.delivered() for fact in self.provider.receive(message).facts]

    def both(self) -> Ref:
        contract = next(iter(self.wechat.contracts))
        return Ref(agreement=contract.contract_id, our_agreement=contract.signing.code)

    def charge(self, number: str = NUMBER, money: Money = SIX) -> tuple[Fact, ...]:
        return self.provider.charge(self.both(), charge_intent(self.clock, number, money))


def terms_for(clock: FixedClock, way: str = "jsapi", **changes: Any) -> Terms:
    """Six yuan a month from the 10th of January on, to be signed within half an hour."""
    terms = Terms(
        ref=Ref(our_agreement=OURS),
        money=SIX,
        subject="金币 monthly 😀",
        product="12536",
        unit="month",
        count=1,
        first_due=date(2026, 1, 10),
        owner="0b9e1a56-7c39-4d2e-8f60-5a1de2c4b7aa",
        way=way,
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(minutes=30),
        notify_url=WEBHOOK,
        return_url="https://shop.example.com/back",
        extra=SIGNING_EXTRAS.get(way, {}),
    )
    return replace(terms, **changes)


def charge_intent(clock: FixedClock, number: str = NUMBER, money: Money = SIX) -> Intent:
    return replace(make_intent(clock, "jsapi", money, extra={}), ref=Ref(ours=number), notify_url=WEBHOOK)
