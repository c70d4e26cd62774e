"""Every purchase is found of whose coins a posting took some, also where the posting took of several."""

from __future__ import annotations

from app.domain.ledger import Lot
from app.services.base.transaction import Sessions, read
from app.services.finance.touched_purchases import touched_lots, touched_places
from tests.support.wallet_owner import DAY, WalletOwner

BOUGHT = ("101", "102", "103", "104")


def test_a_spend_over_several_lots_touches_the_purchase_of_each_that_it_used(books: Sessions) -> None:
    owner = WalletOwner(books)
    for payment in BOUGHT:
        owner.credit(10, lot=Lot(bonus=False, payment=payment, value_minor=100, currency="CNY"))
    owner.credit(5, lot=Lot(bonus=False))
    owner.now += DAY
    owner.spend(25)
    at = owner.now
    owner.now += DAY
    owner.spend(20)
    found = read(books, lambda tx: list(touched_places(tx, at, at + DAY)))
    assert [place.payment for place in found if place.slot == owner.slot] == ["101", "102", "103"]
    later = read(books, lambda tx: list(touched_places(tx, at + DAY, at + 2 * DAY)))
    assert [place.payment for place in later if place.slot == owner.slot] == ["103", "104"]
    alone = read(books, lambda tx: list(touched_lots(tx, at + DAY, at + 2 * DAY)))
    assert [lot.version for lot in alone if lot.slot == owner.slot] == [5]
