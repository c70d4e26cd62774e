"""The verbs about agreements: the payer's standing consent to be charged, period after period.

Two kinds of provider have agreements. Where *we* charge (auto-debit), the provider has the verbs below, and an
agreement has our number (`Ref.our_agreement`, decimal digits, at most 19) from the beginning. Where the *store* charges
(subscriptions), there are no verbs: the store sells, collects and tells, and the facts name `Ref.agreement` alone.

What a provider tells of an agreement itself, on any road:

    PENDING     being signed; with `Ref.our_agreement`, and without `Ref.ours`
    FAILED      this signing can never succeed
    SIGNED      in force: `ref.agreement` is the provider's number, `at` the time of signing, `period_end` the end of
                its validity or, in a store, of the paid period; None where it has no end
    PAST_DUE    a store's alone (see `Kind`)
    ENDED       over; `ending` says how

A charge is a payment like any other: its facts name `Ref.ours`, the number of the payment, and `Ref.agreement` too. A
charge is asked about, refunded and closed with the verbs for payments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from app.domain.money import Money
from app.providers.facts import Fact, Intent, Ref, Started


@dataclass(frozen=True, slots=True)
class Terms:
    """An agreement that we want signed. The core stores it before the call; a retry brings the very same values."""

    ref: Ref
    """`our_agreement` is set, and nothing else."""
    money: Money
    """What one period costs, and the most that one charge takes."""
    subject: str
    """For the payer to read, at most 128 characters."""
    product: str
    """The provider's id of the plan where one is configured for the product, else our sku."""
    unit: Literal["day", "month"]
    """A period is `count` of these long. A year is twelve months."""
    count: int
    first_due: date
    """The day, in the provider's own zone, on which the first charge under the agreement is planned."""
    owner: str
    """The user's opaque account token (a UUID as text): safe to hand to a provider."""
    way: str
    """One of `Agreements.agreement_ways`."""
    created_at: datetime
    expires_at: datetime
    """After this it need not be possible to sign any more."""
    notify_url: str
    return_url: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What this way needs besides, as validated by the model in `Agreements.agreement_ways`."""
    first: Intent | None = None
    """Pay and sign together: the payment of the first period, made by the same act of the payer. None: sign alone. Its
    `way` is the agreement's way. The payment may succeed without the agreement, and the agreement without the
    payment."""


@dataclass(frozen=True, slots=True)
class ChargeWindow:
    """When the provider takes the charge of a period, beside the day on which that is due."""

    before: timedelta = timedelta(0)
    """So long before the due day the charge may be asked for at the earliest."""
    after: timedelta = timedelta(days=3)
    """So long after the due moment attempts still make sense; the core may try less long."""
    notice: timedelta = timedelta(0)
    """So long before its charge the payer must have been told by `announce`. 0: no such duty."""


@runtime_checkable
class Agreements(Protocol):
    agreement_ways: Mapping[str, type[BaseModel]]
    """Each way of signing, with the model of what it needs in `Terms.extra` (`NoExtra` for nothing)."""
    paying_ways: frozenset[str]
    """Those of `agreement_ways` that can pay and sign together (`Terms.first`)."""
    charge_window: ChargeWindow

    def sign(self, terms: Terms) -> Started:
        """Begin the signing, or only sign what begins it. The same terms may come again: same agreement. Repeating it
        never makes a second agreement, and never a second payment."""

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        """Take one payment under the agreement `ref`. Both numbers are set, but for an agreement that an earlier system
        signed: `our_agreement` is then the number that it gave, or None. Repeating it with the same
        `intent.ref.ours` is safe: one number is charged at most once.

        What the provider only *accepted* is PENDING, not PAID. Raises Declined with a `refusal` for a definite no,
        Unknown where money may have moved.
        """


@runtime_checkable
class Announces(Protocol):
    """For a provider whose `charge_window.notice` is not 0."""

    def announce(self, ref: Ref, money: Money, due: date) -> None:
        """Have the payer told that this charge is coming on that day. Repeating it is safe. Raises as `charge` does."""


def charge_window(provider: object) -> ChargeWindow:
    """The provider's window; the usual one where the provider has no agreements."""
    window = getattr(provider, "charge_window", None)
    return window if isinstance(window, ChargeWindow) else ChargeWindow()
