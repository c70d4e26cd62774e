"""An account with a contract on auto-debit, as the conformance kit needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from app.providers import Intent, Kind, Message, Refusal, Terms
from app.providers.testing.conformance import Document, Sample
from app.providers.testing.conformance.agreement_hooks import make_terms
from app.providers.testing.doubles import FixedClock
from plugins.alipay.debits import AlipayDebits
from plugins.alipay.simulated.agreements import Agreement
from plugins.alipay.simulated.keys import DemoKeys
from tests.plugins.alipay.actors import Stage, stage
from tests.plugins.alipay.test_agreements import CYCLE, WEBHOOK
from tests.plugins.alipay.test_conformance import PRICE, AlipayWorld, _content

REFUSED: Mapping[Refusal, str] = {
    Refusal.NO_MONEY: "ACQ.BUYER_BALANCE_NOT_ENOUGH",
    Refusal.OVER_LIMIT: "ACQ.BEYOND_PAY_RESTRICTION",
    Refusal.NOT_NOW: "ACQ.CYCLE_PAY_DATE_NOT_MATCH",
    Refusal.OTHER: "ACQ.BUYER_ENABLE_STATUS_FORBID",
}


class AgreeingAlipayWorld(AlipayWorld):
    traits = replace(AlipayWorld.traits, verbs=("refund", "cancel", "scan", "bills", "sign"))
    left_out: ClassVar = AlipayWorld.left_out

    def __init__(self, clock: FixedClock) -> None:
        super().__init__(clock)
        self.stage.alipay.application_gateway = WEBHOOK

    def _stage(self, keys: DemoKeys) -> Stage:
        return stage(keys, clock=self.clock, agreements=CYCLE)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"agreements": CYCLE}

    def terms(self) -> tuple[Terms, ...]:
        return tuple(make_terms(self.clock, way, PRICE) for way in AlipayDebits.agreement_ways)

    def agree(self, terms: Terms) -> tuple[Message, ...]:
        assert isinstance(self.stage.provider, AlipayDebits)
        action = self.stage.provider.sign(terms).action
        if terms.first is None:
            self.stage.alipay.sign(action)
        else:
            self.stage.alipay.pay(self.stage.alipay.order_of(action))
        return tuple(self.stage.notices())

    def leave(self, terms: Terms) -> tuple[Message, ...]:
        self.stage.alipay.unsign(str(terms.ref.our_agreement))
        return tuple(self.stage.notices())

    def settle_charge(self, intent: Intent) -> tuple[Message, ...]:
        book = self.stage.alipay.gateway.deductions
        if book.waits:
            book.waits = False
            book.succeed(self._trade(intent.ref))
        return tuple(self.stage.notices())

    def agreements(self, terms: Terms) -> int:
        book = self.stage.alipay.gateway.agreements
        return sum(each.request.external_no == terms.ref.our_agreement for each in book)

    def hold_charge(self) -> None:
        self.stage.alipay.gateway.deductions.waits = True

    def refuse_charge(self, refusal: Refusal) -> bool:
        self.stage.alipay.gateway.deductions.refusals = [REFUSED[refusal]]
        return True

    def lapse(self, terms: Terms) -> None:
        self._agreement(terms).valid_until = self.clock.now()

    def show_agreement_status(self, terms: Terms, word: str) -> None:
        self.stage.alipay.gateway.agreements.status_words[str(terms.ref.our_agreement)] = word

    def samples(self) -> Mapping[str, Sample]:
        terms = self.terms()[0]
        signed, ended = self.agree(terms)[0], self.leave(terms)[0]
        told = {"signed": Sample(signed, (Kind.SIGNED,)), "ended": Sample(ended, (Kind.ENDED,))}
        return {**super().samples(), **told}

    def agreement_document(self) -> Document:
        return Document(_content(self.agree(self.terms()[0])[0]), self._sign, ("status",))

    def _agreement(self, terms: Terms) -> Agreement:
        return self.stage.alipay.gateway.agreements.find(str(terms.ref.our_agreement))
