"""A provider's fact as it reached us, and as it is written down."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from app.domain.facts import Fact, Kind, content_of, key_of
from app.domain.numbers import parse_number, slot_of_number, slot_of_reference, slot_of_user
from app.providers.registry import ProviderAccount
from app.services.base.context import environment_of

Road = Literal["notification", "receipt", "query", "reply", "scan", "bill"]
LONGEST_FACT_KEY = 400


@dataclass(frozen=True)
class ReportedFact:
    """One fact, with the provider account it came through and the road it took."""

    account: ProviderAccount
    fact: Fact
    road: Road
    message_id: str | None = None
    buyer: str | None = None
    """The user whose purchase it is, where the provider is a store that knows no number of ours."""
    neighbour: str | None = None
    """Another user who has a period of the same agreement beside this one: one account at a store may serve several."""
    gone_over_at: datetime | None = None
    """Of what was paid under an agreement that has gone over to another user since: from when on."""
    was_credited_before: bool = False
    """Of what was paid under an imported agreement: an earlier system has credited this period."""
    faults: tuple[str, ...] = ()
    """Why the fact cannot be used (`app.providers.limits`). Then `fact` is only what can be written down of it."""

    @cached_property
    def key(self) -> str:
        """What names the fact. An unusable one has a name of its own: told properly, it is another fact."""
        key = key_of(self.fact)
        if self.faults:
            return self._hashed(json.dumps([key, content_of(self.fact), self.faults], sort_keys=True))
        return key if len(key) <= LONGEST_FACT_KEY else self._hashed(key)

    @cached_property
    def environment(self) -> str:
        return environment_of(self.fact.live)

    @property
    def is_listed(self) -> bool:
        """Whether it comes from a history or a bill, which list what the merchant's other systems sold, too."""
        return self.road in ("scan", "bill")

    @property
    def brings_money(self) -> bool:
        """Whether it is money that came in for us, and that is to be booked where it was told.

        A history or a bill may list what other systems of the same merchant sold: what matches nothing there is not
        ours. A store's purchase without a number of ours is booked with its buyer, in their slot, once they are known.
        """
        told_to_us = not self.is_listed and self.fact.ref.ours is not None
        return self.fact.kind is Kind.PAID and self.fact.money is not None and told_to_us

    def _hashed(self, name: str) -> str:
        # `%` followed by `-` cannot come out of key_of, so this is never the key of another fact.
        return f"{self.fact.kind}:%-{hashlib.sha256(name.encode()).hexdigest()}"

    @cached_property
    def payment_number(self) -> int | None:
        """Our number, if what the provider sent back can be one of ours."""
        return parse_number(self.fact.ref.ours)

    @cached_property
    def agreement_number(self) -> int | None:
        """Our number of an agreement, if what the provider sent back can be one of ours."""
        return parse_number(self.fact.ref.our_agreement)

    @cached_property
    def slot(self) -> int:
        """Where it is recorded: the slot of our number (of the payment, else of the agreement, unless that was
        imported), else the buyer's, else one made from the provider's own reference."""
        number = self.payment_number
        ref = self.fact.ref
        if number is None and ref.our_agreement is not None and ref.ours is None and self.buyer is None:
            number = self.agreement_number
        if number is not None:
            return slot_of_number(number)
        if self.buyer is not None:
            return slot_of_user(self.buyer)
        return slot_of_reference(ref.theirs or ref.ours or ref.agreement or ref.our_agreement or self.key)
