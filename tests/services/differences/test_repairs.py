"""A difference is repaired along the normal road, shown first, and gone when it is compared again; or two persons write
it off."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select

from app.domain.bill_lines import BillLine, LineKind
from app.domain.money import Money
from app.domain.numbers import SLOTS
from app.models.history import Intervention
from app.models.slot_guard import sweep
from app.providers.facts import Fact, Kind, Page, Ref
from app.services.differences.difference_rows import (
    NotDone,
    changes_of,
    note_difference,
    resolve_difference,
    take_difference,
)
from app.services.differences.repairs import Repair, carry_out, plan_repair
from app.services.differences.write_offs import confirm_write_off, propose_write_off
from app.services.facts.assigned import NotAssigned, assign, plan_assignment
from app.services.facts.parked import NotReexamined, list_parked, reexamine
from app.services.refunds import requests
from app.worker import Worker
from tests.support.databases import databases_of, sessions_for
from tests.support.facts import paid_fact, told
from tests.support.faults import Fuse, Injected, fused_engine, raising
from tests.support.settling_house import NOON, SettlingHouse, alien_line, bill_bytes_of, line_of, settling_house
from tests.support.world import World

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> SettlingHouse:
    return settling_house(world)


def history(house: SettlingHouse, number: int) -> list[tuple[str, str]]:
    row = next(row for row in house.listed("all") if row.id == number)
    return [(change.what, change.actor) for change in house.world.core.whole.read(partial(changes_of, row=row))]


def repaired(house: SettlingHouse, number: int, repair: Repair | None = None) -> None:
    plan = plan_repair(house.world.core, number, repair)
    carry_out(house.world.core, plan, actor="wang", reason="looked at the provider's page")


def test_a_payment_that_only_the_bill_tells_is_applied_like_any_other(house: SettlingHouse) -> None:
    payment = house.ordered("alice")
    house.bring("2026-01-02", [line_of(paid_fact(house.world, payment, at=NOON))])
    house.compare()
    row = house.only()
    assert row.type == "status"
    plan = plan_repair(house.world.core, row.id, Repair.APPLY)
    assert (plan.sentence, house.world.coins()) == (f"apply that paid 6.00 CNY is told of T-{payment}", 0)
    repaired(house, row.id, Repair.APPLY)
    with pytest.raises(NotDone, match="it is gone"):
        plan_repair(house.world.core, row.id)
    assert (house.again(row).state, house.world.coins(), house.listed()) == ("gone", 66, [])
    assert history(house, row.id) == [("opened", "worker"), ("repair_apply", "wang"), ("gone", "wang")]
    house.world.assert_balanced()


@ONE_DATABASE
def test_money_of_an_unknown_number_lands_in_suspense_and_a_refund_of_it_follows(house: SettlingHouse) -> None:
    number = "1234567890123456789"
    refund = alien_line("T-nobody", number)
    refund = replace(refund, kind=LineKind.REFUND, amount_minor=-600, refund="R-1", key="refund")
    house.bring("2026-01-02", [alien_line("T-nobody", number), refund])
    house.compare()
    assert sorted(row.type for row in house.listed()) == ["refund_extra", "theirs_not_ours"]
    money = Money(600, "CNY")
    known = Fact(Kind.PAID, Ref(number, "T-nobody"), NOON, money, account="m-1", live=False)
    house.maker.answers["T-nobody"] = (known,)
    for row in sorted(house.listed(), key=lambda row: str(row.type), reverse=True):
        repaired(house, row.id)
    assert (house.listed(), house.world.money("suspense"), house.world.money("clearing:sandbox")) == ([], 0, 0)
    house.world.assert_balanced()


@ONE_DATABASE
def test_the_provider_is_asked_about_a_payment_and_what_it_answers_settles_the_difference(house: SettlingHouse) -> None:
    payment = house.ordered("alice")
    house.world.pay(payment)
    there = house.world.at_provider(payment)
    house.bring("2026-01-02", [alien_line(there.id, str(payment), at=house.world.clock.now())])
    house.compare()
    row = house.only()
    assert plan_repair(house.world.core, row.id).sentence == f"ask sandbox about payment {payment}"
    repaired(house, row.id)
    assert (house.again(row).state, house.world.coins()) == ("gone", 66)


@ONE_DATABASE
def test_a_repair_that_changes_nothing_leaves_the_difference_open_and_others_are_a_persons(
    house: SettlingHouse,
) -> None:
    paid = house.paid("alice")
    house.bring("2026-01-02", [line_of(paid, amount_minor=700)])
    house.compare()
    row = house.only()
    repaired(house, row.id)
    assert house.again(row).state == "open"
    with pytest.raises(NotDone, match="it has: ask, refund"):
        plan_repair(house.world.core, row.id, Repair.APPLY)
    repaired(house, row.id, Repair.REFUND)
    order = house.world.payment(int(paid.ref.ours or 0)).order_id
    [refund] = requests.list_refunds_of_order(house.world.core, order)
    assert (refund.amount_minor, refund.caller) == (600, "wang")
    house.bring("2026-01-02", [line_of(paid), alien_line("T-shop", "shop-1")])
    house.compare()
    with pytest.raises(NotDone, match="not_ours has no such repair"):
        plan_repair(house.world.core, house.only().id)


def test_two_persons_write_a_difference_off_and_the_books_follow_the_bill(house: SettlingHouse) -> None:
    core, paid = house.world.core, house.paid("alice")
    house.bring("2026-01-02", [line_of(paid, amount_minor=450)])
    house.compare()
    number = house.only().id
    with pytest.raises(NotDone, match="nobody has proposed"):
        confirm_write_off(core, number, actor="li")
    with pytest.raises(NotDone, match="needs a reason"):
        propose_write_off(core, number, " ", actor="wang")
    propose_write_off(core, number, "the provider keeps it", actor="wang")
    for same in ("wang", "  Wang "):
        with pytest.raises(NotDone, match="another person"):
            confirm_write_off(core, number, actor=same)
    assert house.world.money("writeoff") == 0
    confirm_write_off(core, number, actor="li")
    with pytest.raises(NotDone, match="it is written_off"):
        confirm_write_off(core, number, actor="li")
    assert (house.world.money("writeoff"), house.world.money("clearing:sandbox")) == (-150, -450)
    assert house.compare().kept.stayed == 1
    assert (house.listed(), house.only("written_off").id) == ([], number)
    house.world.assert_balanced()
    house.bring("2026-01-02", [line_of(paid)])
    house.compare()
    assert house.only().id == number, "what was written off is explained: a person takes the write-off back"


@ONE_DATABASE
def test_who_works_on_a_difference_and_what_he_says_stays_in_its_history(house: SettlingHouse) -> None:
    core = house.world.core
    house.bring("2026-01-02", [alien_line("T-1", None)])
    house.compare()
    number = house.only().id
    take_difference(core, number, actor="wang")
    note_difference(core, number, "asked the provider", actor="wang")
    assert (house.only().state, house.only().owner, house.only().note) == ("in_work", "wang", "asked the provider")
    resolve_difference(core, number, "a test payment", actor="li")
    with pytest.raises(NotDone, match="it is resolved"):
        take_difference(core, number, actor="wang")
    assert [what for what, _ in history(house, number)] == ["opened", "taken", "noted", "resolved"]


@pytest.mark.parametrize("number", ["its slot", "1234567890123456789"])
def test_money_that_only_the_bill_knew_is_given_to_the_order_of_a_user_by_a_person_once(
    house: SettlingHouse, number: str
) -> None:
    """The number that the provider tells lies in the slot of the user, or in another one."""
    core, world = house.world.core, house.world
    payment = house.ordered("alice")
    order = world.payment(payment).order_id
    other = world.payment(house.ordered("bob")).order_id
    ours = str(payment + SLOTS) if number == "its slot" else number
    house.bring("2026-01-02", [alien_line("T-nobody", ours)])
    house.compare()
    row = house.only()
    assert row.type == "theirs_not_ours"
    known = Fact(Kind.PAID, Ref(ours, "T-nobody"), NOON, Money(600, "CNY"), account="m-1", live=False)
    house.maker.answers["T-nobody"] = (known,)
    repaired(house, row.id)
    assert (house.again(row).state, world.money("suspense"), world.coins()) == ("gone", 600, 0)
    [fact] = core.whole.read(partial(list_parked, outcome="parked", limit=10, theirs="T-nobody"))
    plan = plan_assignment(core, fact.id, order)
    assert plan.sentence.startswith(f"give 6.00 CNY of T-nobody to order {order} of user alice (1 ")
    assert (world.money("suspense"), world.coins()) == (600, 0)
    late = plan_assignment(core, fact.id, other)
    assert assign(core, plan, actor="wang", reason="she showed the receipt").outcome == "applied"
    for again in (plan, late):
        with pytest.raises(NotAssigned) if again is late or number == "its slot" else nullcontext():
            assign(core, again, actor="li", reason="again")
    with pytest.raises(NotAssigned, match=r"assigned already|that is decided"):
        plan_assignment(core, fact.id, other)
    assert (world.money("suspense"), world.money("sales"), world.coins(), world.coins("bob")) == (0, 600, 66, 0)
    house.compare()
    assert (house.listed(), core.whole.read(partial(list_parked, outcome="parked", limit=10))) == ([], [])
    told(world, known)  # the provider repeats itself
    assert world.coins() == 66
    refund = replace(known, kind=Kind.REFUNDED, ref=Ref(ours, "T-nobody", refund="R-1"), money=Money(200, "CNY"))
    told(world, refund)
    for _ in range(2):
        told(world, refund)
        Worker(core).run_once()
    assert (world.money("sales"), world.money("clearing:sandbox"), world.coins()) == (400, -400, 66 - 22)
    assert core.whole.read(partial(list_parked, outcome="parked", limit=10)) == []
    [deed] = core.whole.read(lambda tx: tx.execute(select(Intervention.__table__).prefix_with(sweep("operator"))).all())
    assert (deed.what, deed.actor, deed.payment_id) == ("fact_assigned", "wang", payment)
    world.assert_balanced()


@ONE_DATABASE
def test_assigning_that_is_stopped_anywhere_is_gone_on_with_and_credits_once(
    house: SettlingHouse, database_url: str
) -> None:
    core, world = house.world.core, house.world
    order = world.payment(house.ordered("alice")).order_id
    known = Fact(Kind.PAID, Ref("1234567890123456789", "T-1"), NOON, Money(600, "CNY"), account="m-1", live=False)
    told(world, known)
    told(world, replace(known, ref=Ref("1234567890123456790", "T-2"), money=Money(500, "CNY")))
    (first,), (second,) = (
        core.whole.read(partial(list_parked, outcome="parked", limit=1, theirs=n)) for n in ("T-1", "T-2")
    )
    with pytest.raises(NotAssigned, match="other_amount"):
        plan_assignment(core, second.id, order)
    fuse = Fuse(raising)
    engine = fused_engine(database_url, fuse)
    fused = replace(core, databases=databases_of(sessions_for(engine)))
    reasons, steps = set(), 0
    while True:
        steps += 1
        with fuse.armed(steps), suppress(Injected):
            assign(fused, plan_assignment(core, first.id, order), actor="wang", reason="she showed the receipt")
        told(world, known)
        waiting = core.whole.read(partial(list_parked, outcome="parked", limit=10, theirs="T-1"))
        reasons |= {one.reason for one in waiting}
        if not waiting:
            break
        if waiting[0].reason == "assigned":
            with pytest.raises(NotReexamined):
                reexamine(core, first.id)
    engine.dispose()
    assert reasons == {"unknown_number", "assigned"}
    assert (world.coins(), world.money("sales"), world.money("suspense")) == (66, 600, 500)
    world.assert_balanced()


@ONE_DATABASE
def test_a_balance_that_breaks_is_repaired_by_the_bill_that_the_provider_made_anew(house: SettlingHouse) -> None:
    rows = [BillLine(f"F-{n}", LineKind.OTHER, NOON, 100, "CNY", balance_minor=100 * n) for n in (1, 2, 3)]
    house.bring("2026-01-02", [rows[0], rows[2]], feed="funds")
    house.compare()
    row = house.only()
    plan = plan_repair(house.world.core, row.id)
    assert (row.type, plan.repair, "fetch the funds" in plan.sentence) == ("balance", Repair.REREAD, True)
    repaired(house, row.id)
    assert house.again(row).state == "open", "the provider has no other bill"
    house.world.clock.advance(1)
    house.maker.page = Page((), None, (("2026-01-02", bill_bytes_of(rows)),))
    repaired(house, row.id)
    assert house.again(row).state == "gone"
