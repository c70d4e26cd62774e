"""What is read over all databases while a move stands between copy and release: nothing twice, nothing left out in
silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.domain.facts import Fact, Kind, Ref
from app.domain.money import Money
from app.services.agreements.agreement_lists import AgreementFilter, list_agreements
from app.services.base.context import Core, WhatAnswers
from app.services.base.databases import SharedSlots
from app.services.base.list_pages import ListPage, ListPlace
from app.services.base.reported_fact import ReportedFact
from app.services.base.slot_maps import newest_kept
from app.services.events import deliveries, endpoints, feed
from app.services.facts import fact_search, inbox, parked
from app.services.facts.apply import apply_fact
from app.services.gifts.waiting import list_waiting_gifts
from app.services.ledger.transfer_lists import TransferFilter, list_transfers
from app.services.lookup.search import things_named
from app.services.moves.slot_rows import carry_slots
from app.services.payments import expiry
from app.services.payments.order_rows import OrderFilter
from app.services.payments.orders import list_orders
from app.services.refunds.overdue import list_overdue_refunds
from app.services.refunds.refund_lists import RefundFilter, list_refunds
from tests.services.moves.house import DELETING, HIGH, MAP, MOVED, SLOT, STAYS, House, before_commit, blow
from tests.support.faults import Injected
from tests.support.world import START

pytestmark = pytest.mark.one_database
USERS = (MOVED, STAYS, HIGH)


@pytest.fixture
def payments(house: House) -> dict[str, int]:
    """The paid payment of each user, of whom an endpoint is told; and a fact of the moved slot that is parked."""
    wanted = endpoints.NewEndpoint("game", "https://game.test/", (), endpoints.BY_API, "a test")
    house.core.house.transact(lambda tx: endpoints.add_endpoint(tx, wanted))
    paid = {user: house.buys(user) for user in USERS}
    feed.place_events(house.core)
    (row,) = house.core.home.read(endpoints.all_endpoints)
    for place in house.core.everywhere():
        while deliveries.plan_deliveries(place, row):
            pass
    _park(house)
    return paid


def _park(house: House) -> None:
    account = house.core.registry.get("sandbox")
    assert account is not None
    number = house.core.numbers.next(SLOT)
    fact = Fact(Kind.PAID, Ref(ours=str(number), theirs="T-1"), START, Money(600, "CNY"), live=account.live)
    reported = ReportedFact(account, fact, "notification", "m-1")
    house.core.at(SLOT).transact(lambda tx: apply_fact(tx, reported))


def _stop_between_copy_and_deletion(house: House) -> None:
    with before_commit(house.engines["first"], DELETING, blow), pytest.raises(Injected):
        house.move()
    assert house.tables("first") == house.tables("second") != set()
    assert house.maps.is_current()


def _stop_between_deletion_and_release(house: House) -> None:
    _stop_between_copy_and_deletion(house)
    carry_slots(*house.engines.values(), [SLOT], version=newest_kept(house.engines).version)
    assert house.tables("first") == set() != house.tables("second")


def _pages(read: Callable[[ListPlace | None, int], ListPage[object]]) -> Iterator[object]:
    place: ListPlace | None = None
    while True:
        page = read(place, 1)
        assert page.missing == ()
        yield from page.rows
        if page.next is None:
            return
        place = page.next


def _listed(house: House) -> list[list[object]]:
    core = house.core
    return [
        list(_pages(lambda place, rows: list_orders(core, OrderFilter(None), place, rows))),
        list(_pages(lambda place, rows: list_transfers(core, TransferFilter(), place, rows))),
        list(_pages(lambda place, rows: list_refunds(core, RefundFilter(), place, rows))),
        list(_pages(lambda place, rows: list_agreements(core, AgreementFilter(), place, rows))),
    ]


def _delivered(house: House, user: str | None = None) -> tuple[list[str], set[str]]:
    """Whose deliveries are listed, page by page, and what is missing."""
    users, missing, before = list[str](), set[str](), None
    while True:
        page = deliveries.list_deliveries(house.core, "game", status=None, user_id=user, before=before, limit=1)
        users += [row.user_id for row in page.rows]
        missing |= {*page.missing}
        if page.following is None:
            return sorted(users), missing
        before = page.following


WAITING: tuple[Callable[[Core], WhatAnswers[Any]], ...] = (
    lambda core: core.what_answers(lambda tx: expiry.overdue(tx, 9)),
    lambda core: list_overdue_refunds(core, 9),
    lambda core: list_waiting_gifts(core, 9),
    lambda core: core.what_answers(inbox.waiting_messages),
    lambda core: core.what_answers(endpoints.shown_endpoints),
    lambda core: core.what_answers(parked.counts_not_ours),
    lambda core: core.what_answers(lambda tx: fact_search.find_facts(tx, "x")),
)


def test_whatever_waits_for_a_person_is_listed_while_slots_are_moved(house: House) -> None:
    shared = house.core.databases
    assert isinstance(shared, SharedSlots)
    assert [read(house.core).missing for read in WAITING] == [()] * len(WAITING)
    shared.take_over(MAP.numbers, {SLOT})
    assert [read(house.core).missing for read in WAITING] == [("first",)] * len(WAITING)


@pytest.mark.parametrize("stop", [_stop_between_copy_and_deletion, _stop_between_deletion_and_release])
def test_a_move_that_stands_still_shows_nothing_twice_and_says_what_is_missing(
    house: House, payments: dict[str, int], stop: Callable[[House], None]
) -> None:
    listed, (delivered, _) = _listed(house), _delivered(house)
    numbers = {user: house.world.payment(payment).theirs for user, payment in payments.items()}
    stop(house)
    assert _listed(house) == listed
    assert _delivered(house) == ([user for user in delivered if user != MOVED], {"first"})
    assert _delivered(house, HIGH) == ([user for user in delivered if user == HIGH], set())
    for user, found in ((MOVED, []), (STAYS, ["payment"]), (HIGH, ["payment"])):
        answer = things_named(house.core, numbers[user])
        assert ([thing.kind for thing in answer.found], answer.missing) == (found, ("first",))
        answer = things_named(house.core, str(payments[user]))
        assert ([thing.kind for thing in answer.found], bool(answer.missing)) == (found, not found)
    described = house.core.what_answers(lambda tx: fact_search.described(tx, parked.list_parked(tx, "parked", 9)))
    assert (described.found, described.missing) == ([], ("first",))
    shown = house.core.what_answers(endpoints.shown_endpoints)
    assert shown.found[0]["open_deliveries"] == sum(user != MOVED for user in delivered)
    house.move(resume=True)
    assert (_listed(house), _delivered(house)) == (listed, (delivered, set()))
    answer = things_named(house.core, numbers[MOVED])
    assert ([thing.number for thing in answer.found], answer.missing) == ([str(payments[MOVED])], ())
    described = house.core.what_answers(lambda tx: fact_search.described(tx, parked.list_parked(tx, "parked", 9)))
    assert (len(described.found), described.missing) == (1, ())
