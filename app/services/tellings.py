"""A provider's fact as it reached us, and as it is written down."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.domain.matching import Told
from app.domain.numbers import parse_number, slot_of_number, slot_of_reference, slot_of_user
from app.providers.facts import Fact, key_of
from app.providers.registry import ProviderAccount

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
Road = Literal["notification", "receipt", "query", "reply", "scan", "bill"]
LONGEST_KEY = 400


@dataclass(frozen=True, slots=True)
class Telling:
    """One fact, with the provider account it came through and the road it took."""

    account: ProviderAccount
    fact: Fact
    road: Road
    message_id: str | None = None
    buyer: str | None = None
    """The user whose purchase it is, where the provider is a store that knows no number of ours."""

    @property
    def key(self) -> str:
        return key_of(self.fact)[:LONGEST_KEY]

    @property
    def payment_number(self) -> int | None:
        """Our number, if what the provider sent back can be one of ours."""
        return parse_number(self.fact.ref.ours)

    @property
    def slot(self) -> int:
        """Where it is recorded: the slot of our number, else the buyer's, else one made from the provider's own
        reference."""
        number = self.payment_number
        if number is not None:
            return slot_of_number(number)
        if self.buyer is not None:
            return slot_of_user(self.buyer)
        ref = self.fact.ref
        return slot_of_reference(ref.theirs or ref.ours or ref.agreement or self.key)

    def told(self) -> Told:
        fact = self.fact
        return Told(fact.account, fact.live, fact.ref.theirs, fact.money, fact.product, fact.quantity, fact.owner)


def content_of(fact: Fact) -> dict[str, Any]:
    """The fact as JSON. Field by field comparable with another telling of it; times and causes may differ by road."""
    ref, size = fact.ref, fact.money or fact.total
    return {
        "ours": ref.ours,
        "theirs": ref.theirs,
        "refund": ref.refund,
        "agreement": ref.agreement,
        "amount_minor": fact.money.minor if fact.money else None,
        "currency": size.currency if size else None,
        "total_minor": fact.total.minor if fact.total else None,
        "share": fact.share,
        "product": fact.product,
        "quantity": fact.quantity,
        "owner": fact.owner,
        "account": fact.account,
        "live": fact.live,
    }


def printable(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's words without what PostgreSQL's JSON cannot hold: NUL, lone surrogates, infinity. A strange word
    in somebody's nickname must not keep a payment from being stored."""
    return {_storable_text(str(name)): _storable(value) for name, value in raw.items()}


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, Mapping):
        return printable(value)
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _storable_text(str(value))


def _storable_text(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)
