"""Money that goes back for a period that an earlier system sold: the period ends, and a person books the money."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.chart import FinanceRules
from app.domain.facts import Kind, Ref
from app.domain.money import Money
from app.models.base import AnyRow
from app.services.facts import imported_refunds, parked
from app.services.facts.imported_refunds import FactNotEnded, RefundOfImport
from app.services.finance import journal
from app.services.lookup.timeline import agreement_timeline
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.imported_periods import GROSS, SOLD_UNTIL, paid_before, refund_before, take_over_subscription
from tests.support.world import World

MEI, LI = "operator:mei", "operator:li"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def waiting(house: AgreementHouse) -> list[AnyRow]:
    return list(house.core.whole.read(lambda tx: parked.list_parked(tx, "parked", 10)))


def looked_at(house: AgreementHouse, number: int, price: Money | None = None) -> RefundOfImport:
    return imported_refunds.look_at(house.core, number, price)


def allow_alone(house: AgreementHouse) -> None:
    rules = replace(house.core.rules, finance=FinanceRules(alone_up_to_minor=10_000))
    house.world.core = replace(house.core, rules=rules)


@pytest.mark.parametrize("refund_first", [False, True])
def test_all_of_the_money_ends_what_the_period_made_active_and_two_persons_book_it(
    house: AgreementHouse, refund_first: bool
) -> None:
    take_over_subscription(house)
    house.world.clock.advance(86_400)
    assert house.active() == {"vip": SOLD_UNTIL}
    told = [paid_before(), refund_before(100_000)]
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
    take_over_subscription(house)
    house.world.clock.advance(86_400 * 3)
    for fact in (paid_before(), refund_before(40_000)):
        house.tell(fact, "store")
    assert house.active() == {"vip": SOLD_UNTIL}
    [first] = waiting(house)
    ended = imported_refunds.end_refund(house.core, looked_at(house, first.id), "a part", actor=MEI)
    assert (ended.state, ended.booked_minor) == ("ended", 360)
    house.tell(refund_before(100_000, days=2, number="2"), "store")
    assert house.active() == {}
    [second] = waiting(house)
    ended = imported_refunds.end_refund(house.core, looked_at(house, second.id), "the rest", actor=MEI)
    assert (ended.booked_minor, house.world.money("opening")) == (900, -900)
    house.world.assert_balanced()


@on_sqlite
def test_what_is_undone_is_active_again_and_booked_back(house: AgreementHouse) -> None:
    allow_alone(house)
    take_over_subscription(house)
    house.world.clock.advance(86_400 * 3)
    for fact in (paid_before(), refund_before(100_000)):
        house.tell(fact, "store")
    [row] = waiting(house)
    imported_refunds.end_refund(house.core, looked_at(house, row.id), "gone", actor=MEI)
    house.tell(refund_before(None, days=2, kind=Kind.REFUND_UNDONE), "store")
    assert (house.active(), house.events().count("agreement.refunded")) == ({"vip": SOLD_UNTIL}, 2)
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
    take_over_subscription(house)
    house.world.clock.advance(86_400)
    for fact in (paid_before(price=None), refund_before(None)):
        house.tell(fact, "store")
    [row] = waiting(house)
    with pytest.raises(FactNotEnded, match="told no price"):
        imported_refunds.end_refund(house.core, looked_at(house, row.id), "gone", actor=MEI)
    assert "--price" in imported_refunds.sentence_of(looked_at(house, row.id))
    ended = imported_refunds.end_refund(house.core, looked_at(house, row.id, GROSS), "gone", actor=MEI)
    assert (ended.state, house.world.money("opening"), house.active()) == ("ended", -900, {})


@on_sqlite
def test_a_death_after_the_entry_is_made_good_by_the_same_command_and_a_withdrawn_entry_makes_room(
    house: AgreementHouse,
) -> None:
    take_over_subscription(house)
    house.world.clock.advance(86_400)
    for fact in (paid_before(), refund_before(100_000)):
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
    take_over_subscription(house)
    unknown = house.tell(replace(paid_before(), ref=Ref(theirs="t-9", agreement="nobodys")), "store")
    with pytest.raises(FactNotEnded, match="unknown_number"):
        looked_at(house, unknown.fact_id)
