"""Accounts with templates for auto-debit, as the conformance kit needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from app.domain.money import Money
from app.providers import Agreements, Intent, Kind, Message, Ref, Refusal, Terms
from app.providers.testing.conformance import Document, Sample
from app.providers.testing.conformance.agreement_hooks import make_terms
from app.providers.testing.doubles import FixedClock
from tests.plugins.wechat.agreement_worlds import SIGNING_EXTRAS, WEBHOOK
from tests.plugins.wechat.worlds import API_URL, PublicKeyWorld, V2Md5World, WeChatWorld

REFUSED: Mapping[Refusal, str] = {
    Refusal.NO_MONEY: "NOTENOUGH",
    Refusal.OVER_LIMIT: "RULELIMIT",
    Refusal.NOT_NOW: "INVALID_REQUEST",
    Refusal.OTHER: "USER_ACCOUNT_ABNORMAL",
}


class Agreeing(WeChatWorld):
    """What both generations have in common."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__(clock)
        self.wechat.plan_url = WEBHOOK
        self._shop: Agreements | None = None

    def terms(self) -> tuple[Terms, ...]:
        price = Money(600, "CNY")
        return tuple(
            make_terms(self.clock, way, price, product="12536", extra=extra) for way, extra in SIGNING_EXTRAS.items()
        )

    def agree(self, terms: Terms) -> tuple[Message, ...]:
        action = self._merchant().sign(terms).action
        if terms.first is None:
            self.wechat.sign(action)
        else:
            self.wechat.pay(str(terms.first.ref.ours))
        return self.delivered()

    def _merchant(self) -> Agreements:
        """One for all signings, since reading keys takes time."""
        if self._shop is None:
            provider = self.make_provider(self.tools())
            assert isinstance(provider, Agreements)
            self._shop = provider
        return self._shop

    def leave(self, terms: Terms) -> tuple[Message, ...]:
        self.wechat.end_contract(str(terms.ref.our_agreement))
        return self.delivered()

    def settle_charge(self, intent: Intent) -> tuple[Message, ...]:
        self.wechat.deduct(str(intent.ref.ours))
        return self.delivered()

    def agreements(self, terms: Terms) -> int:
        return sum(each.signing.code == terms.ref.our_agreement for each in self.wechat.contracts)

    def hold_charge(self) -> None:
        """Each is only accepted."""

    def refuse_charge(self, refusal: Refusal) -> bool:
        self.wechat.papay_v2.refusals = [REFUSED[refusal]]
        self.wechat.papay_v3.refusals = [REFUSED[refusal]]
        return True

    def lapse(self, terms: Terms) -> None:
        self.wechat.contracts.find(str(terms.ref.our_agreement)).expires_at = self.clock.now()

    def show_agreement_status(self, terms: Terms, word: str) -> None:
        self.wechat.contracts.state_words[str(terms.ref.our_agreement)] = word

    def samples(self) -> Mapping[str, Sample]:
        terms = self.terms()[0]
        signed, ended = self.agree(terms)[0], self.leave(terms)[0]
        told = {"signed": Sample(signed, (Kind.SIGNED,)), "ended": Sample(ended, (Kind.ENDED,))}
        return {**super().samples(), **told}


class AgreeingV2World(Agreeing, V2Md5World):
    traits = replace(V2Md5World.traits, verbs=("cancel", "scan", "bills", "sign"))

    def settings(self) -> dict[str, Any]:
        return self.config.settings_v2(API_URL, debits=True)

    def agreement_document(self) -> Document:
        def sign(content: Mapping[str, Any]) -> Message | None:
            return self.document().sign(content)

        self.agree(self.terms()[0])
        return Document(self.wechat.papay_v2.notified(next(iter(self.wechat.contracts))), sign, status=("change_type",))


class AgreeingV3World(Agreeing, PublicKeyWorld):
    traits = replace(PublicKeyWorld.traits, verbs=("refund", "cancel", "scan", "bills", "sign", "announce"))

    def settings(self) -> dict[str, Any]:
        return self.config.settings_v3(API_URL, certificates=False, public_key=True, debits=True)

    def announced(self, ref: Ref, due: date) -> bool:
        return ref.agreement in self.wechat.papay_v3.announced

    def agreement_document(self) -> Document:
        def sign(content: Mapping[str, Any]) -> Message | None:
            return self.wechat.signer.notification("ENTRUST.SIGN", "entrust", content)

        self.agree(self.terms()[0])
        return Document(self.wechat.papay_v3.shown(next(iter(self.wechat.contracts))), sign, status=("contract_state",))
