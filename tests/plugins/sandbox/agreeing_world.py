"""The sandbox with its agreements, as the conformance kit needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from app.domain.money import Money
from app.providers import Intent, Kind, Message, Ref, Refusal, Terms
from app.providers.testing.conformance import Document, Sample, make_terms
from plugins.sandbox import plugin
from plugins.sandbox.simulated.agreements import SimulatedAgreement
from tests.plugins.sandbox.billing_world import BillingWorld
from tests.plugins.sandbox.world import MERCHANT, PAYER

WORDS = {
    Refusal.NO_MONEY: "NO_MONEY",
    Refusal.OVER_LIMIT: "OVER_LIMIT",
    Refusal.NOT_NOW: "TOO_EARLY",
    Refusal.OTHER: "CHARGE_REFUSED",
}


class AgreeingWorld(BillingWorld):
    plugin = plugin
    traits = replace(BillingWorld.traits, verbs=(*BillingWorld.traits.verbs, "fulfil", "sign", "announce"))

    def samples(self) -> Mapping[str, Sample]:
        return {
            **super().samples(),
            "signed": Sample(self._signed(_told("ACTIVE")), (Kind.SIGNED,)),
            "ended": Sample(self._signed(_told("ENDED", ended_by="PAYER")), (Kind.ENDED,)),
            "not signed in time": Sample(self._signed(_told("ABANDONED")), (Kind.FAILED,)),
        }

    def terms(self) -> tuple[Terms, ...]:
        return tuple(make_terms(self.clock, way, Money(600, "CNY")) for way in ("page", "qr"))

    def agree(self, terms: Terms) -> tuple[Message, ...]:
        self._delivered()
        self.simulator.sign(self._agreement(terms.ref))
        return self._delivered()

    def leave(self, terms: Terms) -> tuple[Message, ...]:
        self._delivered()
        self.simulator.end(self._agreement(terms.ref), "PAYER")
        return self._delivered()

    def settle_charge(self, intent: Intent) -> tuple[Message, ...]:
        self.simulator.pay(self.simulator.books.find(MERCHANT, number=intent.ref.ours))
        return self._delivered()

    def agreements(self, terms: Terms) -> int:
        every = self.simulator.agreements.all_of(MERCHANT)
        return sum(agreement.number == terms.ref.our_agreement for agreement in every)

    def delivered(self, intent: Intent) -> bool:
        return self.simulator.books.find(MERCHANT, number=intent.ref.ours).delivered_at is not None

    def announced(self, ref: Ref, due: date) -> bool:
        return due.isoformat() in self._agreement(ref).announced

    def hold_charge(self) -> None:
        self.simulator.agreements.next_charges.append("WAITING")

    def refuse_charge(self, refusal: Refusal) -> bool:
        self.simulator.agreements.next_charges.append(WORDS[refusal])
        return True

    def lapse(self, terms: Terms) -> None:
        self.simulator.agreements.expire(self._agreement(terms.ref))

    def agreement_document(self) -> Document:
        content = {"merchant": MERCHANT, "live": self.simulator.config.live, **_told("ACTIVE")}
        return Document(content, self._signed_bare, status=("agreement", "status"))

    def show_agreement_status(self, terms: Terms, word: str) -> None:
        self._agreement(terms.ref).status = word

    def _agreement(self, ref: Ref) -> SimulatedAgreement:
        return self.simulator.agreements.find(MERCHANT, number=ref.our_agreement)


def _told(status: str, **changes: Any) -> dict[str, Any]:
    agreement = {
        "id": "sba_77",
        "number": "4611686018427387001",
        "status": status,
        "owner": "0b9e1a56-7c39-4d2e-8f60-5a1de2c4b7aa",
        "plan": "pass-monthly",
        "at": "2026-01-02T03:04:05Z",
        "valid_until": None,
        "ended_by": None,
        "payer": {"email": PAYER},
    }
    return {"event": "agreement", "agreement": agreement | changes}
