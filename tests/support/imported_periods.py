"""A period of a store's subscription that an earlier system sold, and what the store tells of its refunds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.facts import Fact, Kind, Ref
from app.domain.imported_agreements import IMPORTED_COLUMNS, agreement_line
from app.domain.money import Money
from app.services.intake.imported_agreements import import_agreements
from tests.support.agreement_house import AgreementHouse
from tests.support.world import START

BOUGHT_AT, SOLD_UNTIL = (datetime(2026, month, 2, tzinfo=UTC) for month in (1, 2))
GROSS = Money(900, "CNY")


def take_over_subscription(house: AgreementHouse) -> None:
    told = {
        **{"provider_account": "store", "provider_number": "original-alice", "user": "alice", "product": "store-vip"},
        **{"status": "active", "paid_until": "2026-02-02T00:00:00Z"},
    }
    cells = dict.fromkeys(IMPORTED_COLUMNS, "") | told
    assert import_agreements(house.core, [agreement_line(cells, house.core.clock.now())]) == (1, 0)


def paid_before(**told: Any) -> Fact:
    names = Ref(theirs="t-1", agreement="original-alice")
    told = {"owner": None, "product": "vip.monthly", "account": "store-app", "live": False, "price": GROSS, **told}
    return Fact(Kind.PAID, names, BOUGHT_AT, quantity=1, period_end=SOLD_UNTIL, **told)


def refund_before(share: int | None, days: int = 1, number: str = "1", kind: Kind = Kind.REFUNDED) -> Fact:
    told = paid_before(price=None)
    return replace(
        told, kind=kind, ref=replace(told.ref, refund=number), at=START + timedelta(days=days, hours=-1), share=share
    )
