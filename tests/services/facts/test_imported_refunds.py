"""Money that goes back for a period that an earlier system sold: the period ends, and a person books the money."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.chart import FinanceRules
from app.domain.facts import Fact, Kind, Ref
from app.domain.imported_agreements import IMPORTED_COLUMNS, agreement_line
from app.domain.money import Money
from app.models.base import AnyRow
from app.services.facts import imported_refunds, parked
from app.services.facts.imported_refunds import FactNotEnded, RefundOfImport
from app.services.finance import journal
from app.services.intake.imported_agreements import import_agreements
from app.services.lookup.timeline import agreement_timeline
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import START, World

JANUARY, FEBRUARY = (datetime(2026, month, 2, tzinfo=UTC) for month in (1, 2))
PRICE = Money(900, "CNY")
MEI, LI = "operator:mei", "operator:li"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def take_over(house: AgreementHouse) -> None:
    told = {
        **{"provider_account": "store", "provider_number": "original-alice", "user": "alice", "product": "store-vip"},
        **{"status": "active", "paid_until": "2026-02-02T00:00:00Z"},
    }
    cells = dict.fromkeys(IMPORTED_COLUMNS, "") | told
    assert import_agreements(house.core, [agreement_line(cells, house.core.clock.now())]) == (1, 0)


def paid(**told: Any) -> Fact:
    names = Ref(theirs="t-1", agreement="original-alice")
    told = {"owner": None, "product": "vip.monthly", "account": "store-app", "live": False, "price": PRICE, **told}
    return Fact(Kind.PAID, names, JANUARY, quantity=1, period_end=FEBRUARY, **told)


def refund(share: int | None, days: int = 1, number: str = "1", kind: Kind = Kind.REFUNDED) -> Fact:
    told = paid(price=None)
    return replace(
        told, kind=kind, ref=replace(told.ref, refund=number), at=START + timedelta(days=days, hours=-1), share=share
    )


def waiting(house: AgreementHouse) -> list[AnyRow]:
    return list(house.core.whole.read(lambda tx: parked.list_parked(tx, "parked", 10)))


def looked_at(house: AgreementHouse, number: int, price: Money | None = None) -> RefundOfImport:
    return imported_refunds.look_at(house.core, number, price)


def refunds_told(house: AgreementHouse) -> list[bool]:
    return [kind == "agreement.refunded" for kind in house.events()]


def allow_alone(house: AgreementHouse) -> None:
    rules = replace(house.core.rules, finance=FinanceRules(alone_up_to_minor=10_000))
    house.world.core = replace(house.core, rules=rules)


@pytest.mark.parametrize("refund_first", [False, True])
def test_all_of_the_money_ends_what_the_period_made_active_and_two_persons_book_it(
    house: AgreementHouse, refund_first: bool
) -> None:
    take_over(house)
    house.world.clock.advance(86_400)
    assert house.active() == {"vip": FEBRUARY}
    told = [paid(), refund(100_000)]
    for fact in [*(reversed(told) if refund_first else told), *told]:
        house.tell(fact, "store")
    assert house.active() == {}
    assert house.events().count("agreement.refunded") == 1
    [row] = waiting(house)
    found = looked_at(house, row.id)
    assert (found.state, found.refunded_minor, found.rest_minor) == ("open", 900, 900)
    assert "would book 9.00 CNY, debit opening, credit clearing:store" in imported_refunds.sentence_of(found)

    proposed = imported_refunds.end_refund(house.core, found, "the store gave it back", actor=MEI)
    assert (proposed.state, proposed.booked_minor, len(waiting(house))) == ("proposed", 0, 1)
    with pytest.raises(FactNotEnded, match="waits for another person"):
        imported_refunds.end_refund(house.core, looked_at(house, row.id), "again", actor=LI)
    with pytest.raises(journal.NeedsAnother):
        imported_refunds.confirm_end(house.core, proposed, actor="backend:shop/mei")
    for _ in range(2):
        ended = imported_refunds.confirm_end(house.core, proposed, actor=LI)
    assert (ended.state, ended.booked_minor, waiting(house)) == ("ended", 900, [])
    assert (house.world.money("opening"), house.world.money("clearing:store")) == (-900, 900)
    for fact in told:
        house.tell(fact, "store")
    assert (waiting(house), house.active()) == ([], {})
    assert ended.agreement is not None
    deeds = [
        (each.what, each.actor, each.reason)
        for each in agreement_timeline(house.core, ended.agreement.id, cursor=None, limit=100).entries
        if each.kind == "intervention"
    ]
    assert deeds == [("fact_ended", LI, "the store gave it back")]
    house.world.assert_balanced()


@on_sqlite
def test_a_part_ends_nothing_and_only_what_more_goes_back_is_booked(house: AgreementHouse) -> None:
    allow_alone(house)
    take_over(house)
    house.world.clock.advance(86_400 * 3)
    for fact in (paid(), refund(40_000)):
        house.tell(fact, "store")
    assert house.active() == {"vip": FEBRUARY}
    [first] = waiting(house)
    ended = imported_refunds.end_refund(house.core, looked_at(house, first.id), "a part", actor=MEI)
    assert (ended.state, ended.booked_minor) == ("ended", 360)
    house.tell(refund(100_000, days=2, number="2"), "store")
    assert house.active() == {}
    [second] = waiting(house)
    ended = imported_refunds.end_refund(house.core, looked_at(house, second.id), "the rest", actor=MEI)
    assert (ended.booked_minor, house.world.money("opening")) == (900, -900)
    house.world.assert_balanced()


@on_sqlite
def test_what_is_undone_is_active_again_and_booked_back(house: AgreementHouse) -> None:
    allow_alone(house)
    take_over(house)
    house.world.clock.advance(86_400 * 3)
    for fact in (paid(), refund(100_000)):
        house.tell(fact, "store")
    [row] = waiting(house)
    imported_refunds.end_refund(house.core, looked_at(house, row.id), "gone", actor=MEI)
    house.tell(refund(None, days=2, kind=Kind.REFUND_UNDONE), "store")
    assert (house.active(), house.events().count("agreement.refunded")) == ({"vip": FEBRUARY}, 2)
    [undone] = waiting(house)
    assert "would book 9.00 CNY, debit clearing:store, credit opening" in imported_refunds.sentence_of(
        looked_at(house, undone.id)
    )
    ended = imported_refunds.end_refund(house.core, looked_at(house, undone.id), "it came back", actor=MEI)
    assert (ended.state, house.world.money("opening"), waiting(house)) == ("ended", 0, [])
    house.world.assert_balanced()


@on_sqlite
def test_a_price_that_the_store_did_not_tell_is_named_by_the_person(house: AgreementHouse) -> None:
    allow_alone(house)
    take_over(house)
    house.world.clock.advance(86_400)
    for fact in (paid(price=None), refund(None)):
        house.tell(fact, "store")
    [row] = waiting(house)
    with pytest.raises(FactNotEnded, match="told no price"):
        imported_refunds.end_refund(house.core, looked_at(house, row.id), "gone", actor=MEI)
    assert "--price" in imported_refunds.sentence_of(looked_at(house, row.id))
    ended = imported_refunds.end_refund(house.core, looked_at(house, row.id, PRICE), "gone", actor=MEI)
    assert (ended.state, house.world.money("opening"), house.active()) == ("ended", -900, {})


@on_sqlite
def test_a_death_after_the_entry_is_made_good_by_the_same_command_and_a_withdrawn_entry_makes_room(
    house: AgreementHouse,
) -> None:
    take_over(house)
    house.world.clock.advance(86_400)
    for fact in (paid(), refund(100_000)):
        house.tell(fact, "store")
    [row] = waiting(house)
    wrong = imported_refunds.end_refund(house.core, looked_at(house, row.id), "by mistake", actor=MEI)
    assert wrong.waiting is not None
    journal.withdraw_entry(house.core, wrong.waiting.id, actor=MEI)
    proposed = imported_refunds.end_refund(house.core, looked_at(house, row.id), "gone", actor=MEI)
    assert proposed.waiting is not None
    journal.confirm_entry(house.core, proposed.waiting.id, actor=LI)  # and nobody ended the fact
    halfway = looked_at(house, row.id)
    assert (halfway.state, halfway.rest_minor, len(waiting(house))) == ("open", 0, 1)
    ended = imported_refunds.confirm_end(house.core, halfway, actor=LI)
    assert (ended.state, house.world.money("opening"), waiting(house)) == ("ended", -900, [])


@on_sqlite
def test_nothing_else_is_ended_so(house: AgreementHouse) -> None:
    take_over(house)
    unknown = house.tell(replace(paid(), ref=Ref(theirs="t-9", agreement="nobodys")), "store")
    with pytest.raises(FactNotEnded, match="unknown_number"):
        looked_at(house, unknown.fact_id)
