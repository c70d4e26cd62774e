"""What the kit asks of a world whose provider has the verbs about agreements; part of `World`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from app.domain.money import Money
from app.providers import Intent, Message, Ref, Refusal, Terms
from app.providers.testing.doubles import FixedClock

if TYPE_CHECKING:
    from app.providers.testing.conformance.world import Document

_numbers = itertools.count(4_611_686_018_427_387_905)
PAYING_OWNER = "0b9e1a56-7c39-4d2e-8f60-5a1de2c4b7aa"


class AgreementHooks:
    """The first four and `agreements` are required where `Traits.verbs` has `sign`. The others may be left out, with a
    reason in `World.left_out`.

    `World.samples` then also has what the provider tells of agreements: `"signed"`, and `"ended"` where it tells that.
    """

    def terms(self) -> tuple[Terms, ...]:
        """Valid terms for each of `Provider.agreement_ways`, each with a number never used before (see `make_terms`).

        For a way of `paying_ways` the kit adds the first payment: `Terms.first`, with the terms' money and extra."""
        raise NotImplementedError("World.terms is required for a provider with the verb sign")

    def agree(self, terms: Terms) -> tuple[Message, ...]:
        """After the kit's `sign`: let the payer sign (and pay, where `terms.first` is there), and let the provider
        learn of both. The genuine messages that we then get, all that there are, signed at the present time."""
        raise NotImplementedError("World.agree is required for a provider with the verb sign")

    def leave(self, terms: Terms) -> tuple[Message, ...]:
        """Let the payer end this signed agreement; the genuine messages that we then get (none, if nobody is told)."""
        raise NotImplementedError("World.leave is required for a provider with the verb sign")

    def settle_charge(self, intent: Intent) -> tuple[Message, ...]:
        """After the kit's `charge`: let the provider take the money, if it has not yet; all genuine messages that we
        have got about this charge, each of which states PAID."""
        raise NotImplementedError("World.settle_charge is required for a provider with the verb sign")

    def agreements(self, terms: Terms) -> int:
        """How many agreements the provider has for these terms, signed or not."""
        raise NotImplementedError("World.agreements is required for a provider with the verb sign")

    def announced(self, ref: Ref, due: date) -> bool:
        """Whether the payer was told of the charge on that day. Required where the provider has `announce`."""
        raise NotImplementedError("World.announced is required for a provider with the verb announce")

    def hold_charge(self) -> None:
        """The provider will only accept the next charge: nothing is decided before `settle_charge`."""
        raise NotImplementedError("World.hold_charge")

    def refuse_charge(self, refusal: Refusal) -> bool:
        """The provider will refuse the next charge for this reason: at once, or so that a query right afterwards says
        FAILED. False: this provider never says this."""
        raise NotImplementedError("World.refuse_charge")

    def lapse(self, terms: Terms) -> None:
        """The validity of this signed agreement ends, and nobody is told."""
        raise NotImplementedError("World.lapse")

    def agreement_document(self) -> Document:
        """The content of the sample `"signed"` laid open, as `World.document` does for the paid one."""
        raise NotImplementedError("World.agreement_document")

    def show_agreement_status(self, terms: Terms, word: str) -> None:
        """From now on the provider's answers about this signed agreement carry `word` as its status."""
        raise NotImplementedError("World.show_agreement_status")

    def unknown_agreement(self) -> Ref:
        """The name of an agreement that the provider has never heard of."""
        return Ref(our_agreement=str(next(_numbers)))


def make_terms(
    clock: FixedClock,
    way: str,
    money: Money,
    *,
    product: str = "pass-monthly",
    extra: Mapping[str, Any] | None = None,
) -> Terms:
    """Terms of a monthly agreement with a number never used before, to be signed within half an hour, due today."""
    now = clock.now()
    return Terms(
        ref=Ref(our_agreement=str(next(_numbers))),
        money=money,
        subject="A monthly pass & a “gift” / 月卡",
        product=product,
        unit="month",
        count=1,
        first_due=now.date(),
        owner=PAYING_OWNER,
        way=way,
        created_at=now,
        expires_at=now + timedelta(minutes=30),
        notify_url="https://shop.example/webhooks/under-test",
        return_url="https://shop.example/back",
        extra=extra or {},
    )
