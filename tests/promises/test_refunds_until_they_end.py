"""Refunds are asked about until they have ended: those of others, those that failed, those that no longer fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from app.cli import main
from app.domain.deciding import PaymentPolicy, Surplus
from app.domain.money import Money
from app.domain.proof.anchors import check_of
from app.domain.retries import RETRIES, Retried
from app.providers.errors import Declined, Unknown
from app.providers.facts import Fact, Kind, Ref
from app.services.base.context import Rules
from app.services.base.idempotency import keyed
from app.services.base.transaction import Sessions
from app.services.calls import payment_starts
from app.services.facts import parked
from app.services.payments import orders
from app.services.payments.orders import PayBy
from app.services.refunds import overdue
from app.services.refunds.overdue import NotEnded
from app.worker import Worker
from tests.support.altered_provider import altered
from tests.support.buyer import ROADS, Buyer, target
from tests.support.clean_environment import forget_our_variables
from tests.support.lanes import ABOUT_REFUNDS, SomeLanes
from tests.support.world import World, build_world

DAY = 24 * 3600


def paid_buyer(world: World) -> Buyer:
    buyer = Buyer(world)
    buyer.pay()
    return buyer


def work_for(world: World, hours: int, *, step: int = 1) -> None:
    lanes = SomeLanes(world.core, ABOUT_REFUNDS)
    for _ in range(0, hours, step):
        world.clock.advance(step * 3600)
        lanes.round()
    lanes.round_of_all()


# --- refunds that are not ours ---


@pytest.mark.parametrize("hours", [1, 72])
def test_a_refund_that_is_not_ours_and_in_progress_is_asked_about_until_it_is_done(world: World, hours: int) -> None:
    """A bill lists it as in progress, its own notification is lost."""
    buyer = paid_buyer(world)
    there = world.at_provider(buyer.payment_id)
    world.simulator.books.next_refunds.append("WAITING")
    world.simulator.faults.set(lose=9)
    console = world.simulator.console_refund(there, 600)
    buyer.tell(buyer.fact(Kind.REFUND_PENDING, 1, refund=console.number, money=600), "bill")
    (row,) = buyer.refunds()
    assert (row.origin, row.status, row.number_there, row.amount_minor) == ("provider", "pending", console.number, 600)
    assert (buyer.coins, buyer.account.held) == (66, 0)
    work_for(world, hours)
    assert buyer.refund(row.id).status == "pending"
    world.simulator.decide_refund(there, console, "DONE")
    work_for(world, 3)
    assert (buyer.refund(row.id).status, buyer.coins, buyer.refunded) == ("done", 0, 600)
    buyer.assert_balanced()


def test_a_refund_in_progress_that_is_told_before_its_payment_is_asked_about_too(world: World) -> None:
    buyer = Buyer(world)
    assert buyer.tell(buyer.fact(Kind.REFUND_PENDING, 1, refund="c1", money=100)).reason == "before_payment"
    buyer.tell(buyer.paid())
    assert [(row.status, row.amount_minor) for row in buyer.refunds()] == [("pending", 100)]
    buyer.assert_balanced()


def test_progress_of_a_refund_that_is_not_ours_is_noted_once_however_often_it_is_told(world: World) -> None:
    buyer = paid_buyer(world)
    for road in ROADS:
        buyer.tell(buyer.fact(Kind.REFUND_PENDING, 1, refund="c1", money=100), road)
    assert len(buyer.refunds()) == 1


# --- failed is not final ---


def test_a_refund_that_failed_and_succeeds_later_without_a_word_is_found_within_a_day(world: World) -> None:
    buyer = paid_buyer(world)
    world.simulator.books.next_refunds.append("WAITING")
    refund = buyer.ask(300)
    buyer.work(refund)
    there = world.at_provider(buyer.payment_id)
    world.simulator.decide_refund(there, there.refunds[0], "FAILED")
    world.deliver()
    assert (buyer.refund(refund).status, buyer.account.held) == ("declined", 0)
    work_for(world, 20 * 24, step=24)
    world.simulator.faults.set(lose=9)
    world.simulator.decide_refund(there, there.refunds[0], "DONE")
    work_for(world, 25)
    assert (buyer.refund(refund).status, buyer.coins, buyer.refunded) == ("done", 33, 300)
    buyer.assert_balanced()


def test_a_console_refund_that_failed_is_asked_about_for_thirty_days_and_no_longer(world: World) -> None:
    buyer = paid_buyer(world)
    buyer.tell(buyer.fact(Kind.REFUND_FAILED, 1, refund="c1", money=100), "bill")
    (row,) = buyer.refunds()
    assert row.status == "declined"
    asked = len(world.http.requests)
    work_for(world, 31 * 24, step=12)
    assert buyer.refund(row.id).recheck_at is None
    about = [url for _, url, _ in world.http.requests[asked:] if "/refunds/c1" in url]
    assert len(about) == RETRIES[Retried.FAILED_REFUND].most == 30
    buyer.assert_balanced()


# --- what no longer fits ---


@pytest.mark.parametrize("refusal", [Unknown("who knows"), Declined("not enough left")])
def test_a_refund_that_no_longer_fits_ends_declined_and_its_coins_are_free(world: World, refusal: Exception) -> None:
    """A part was refunded on the merchant's site while we asked for the whole; the provider gives no clear answer."""
    buyer = paid_buyer(world)
    provider = altered(world)
    refund = buyer.ask()
    provider.refusal = refusal
    first = buyer.work(refund)
    assert first == ("declined" if isinstance(refusal, Declined) else "unknown")
    world.simulator.console_refund(world.at_provider(buyer.payment_id), 200)
    world.deliver()
    assert buyer.work(refund) == "declined"
    assert provider.sent == [600]
    assert (buyer.coins, buyer.account.held, buyer.refunded) == (66 - target(200), 0, 200)
    provider.refusal = None
    assert buyer.work(buyer.ask()) == "done"
    assert (buyer.coins, buyer.refunded) == (0, 600)
    buyer.assert_balanced()


def test_a_refund_that_fits_is_never_given_up_for_lack_of_an_answer(world: World) -> None:
    buyer = paid_buyer(world)
    provider = altered(world)
    provider.refusal = Unknown("who knows")
    refund = buyer.ask()
    for _ in range(20):
        assert buyer.work(refund) == "unknown"
    provider.refusal = None
    assert buyer.work(refund) == "done"
    assert set(provider.sent) == {600}


# --- money that nobody asked to have back ---


def _surplus(engine: Engine, sessions: Sessions, policy: Surplus = Surplus.REFUND) -> tuple[Buyer, int]:
    """A buyer whose order is paid, with a second payment that is not told yet."""
    world = build_world(engine, sessions, Rules(policy=PaymentPolicy(surplus=policy)))
    buyer = Buyer(world)
    request = keyed("test", "again", "add_payment", {})
    second = orders.add_payment(world.core, buyer.user, buyer.order_id, PayBy("sandbox", "qr"), request)
    payment_starts.start_payment(world.core, second)
    buyer.pay()
    return buyer, second


def test_an_automatic_refund_asks_only_for_what_is_left(engine: Engine, sessions: Sessions) -> None:
    """A person had refunded a part of the surplus before we heard of it."""
    buyer, second = _surplus(engine, sessions)
    world = buyer.world
    world.simulator.faults.set(lose=9)
    world.pay(second)
    world.simulator.console_refund(world.at_provider(second), 100)
    world.simulator.faults.set(lose=0)
    world.receive(world.notification(second))
    work_for(world, 2)
    rows = {(row.origin, row.amount_minor, row.status) for row in buyer.refunds()}
    assert rows == {("provider", 100, "done"), ("automatic", 500, "done")}
    assert world.at_provider(second).refunded == 600
    assert world.money("surplus") == 0
    buyer.assert_balanced()


def test_an_automatic_refund_that_shrinks_before_it_is_sent_is_sealed_anew(engine: Engine, sessions: Sessions) -> None:
    """The part that a person had refunded is told between the automatic refund and its call."""
    buyer, second = _surplus(engine, sessions)
    world, theirs = buyer.world, buyer.world.at_provider(second).id
    world.simulator.faults.set(lose=9)
    world.pay(second)
    world.simulator.console_refund(world.at_provider(second), 100)
    buyer.tell(replace(buyer.paid(), ref=Ref(str(second), theirs)))
    assert [(row.amount_minor, row.status) for row in buyer.refunds()] == [(600, "created")]
    anchored = [check_of("refunds", row._asdict()) for row in buyer.refunds()]
    console = world.at_provider(second).refunds[0]
    ref = Ref(str(second), theirs, console.number)
    buyer.tell(Fact(Kind.REFUNDED, ref, console.at, Money(100, "CNY"), account="m-1", live=False))
    work_for(world, 2)
    automatic = [row for row in buyer.refunds() if row.origin == "automatic"]
    assert [(row.amount_minor, row.status) for row in automatic] == [(500, "done")]
    assert [check_of("refunds", row._asdict()) for row in automatic] == anchored, "an anchor of before still fits"
    buyer.assert_balanced()


def test_a_surplus_that_was_refunded_leaves_its_list(engine: Engine, sessions: Sessions) -> None:
    """A part is not enough, and a refund that is taken back puts the surplus on the list again."""
    buyer, second = _surplus(engine, sessions, Surplus.HOLD)
    world = buyer.world
    world.pay(second)
    world.receive(world.notification(second))
    theirs = world.at_provider(second).id
    paid = Fact(Kind.REFUNDED, Ref(str(second), theirs, "r1"), buyer.at(1), account="m-1", live=False)

    def listed() -> list[str]:
        return [
            row.content["theirs"] for row in world.core.whole.read(lambda tx: parked.list_parked(tx, "surplus", 100))
        ]

    assert listed() == [theirs]
    buyer.tell(replace(paid, money=Money(100, "CNY")))
    assert listed() == [theirs]
    buyer.tell(replace(paid, ref=Ref(str(second), theirs, "r2"), money=Money(500, "CNY")))
    assert listed() == []
    undone = Fact(Kind.REFUND_UNDONE, Ref(str(second), theirs, "r2"), buyer.at(2), account="m-1", live=False)
    buyer.tell(undone)
    assert listed() == [theirs]
    buyer.assert_balanced()


def test_an_automatic_refund_that_was_refused_for_its_size_is_followed_by_one_of_the_rest(
    engine: Engine, sessions: Sessions
) -> None:
    """The part that was refunded elsewhere becomes known only after the refusal."""
    buyer, second = _surplus(engine, sessions)
    world = buyer.world
    provider = altered(world)
    provider.answers = lambda facts: tuple(fact for fact in facts if fact.kind is Kind.PAID)
    world.simulator.faults.set(lose=9)
    world.pay(second)
    world.simulator.console_refund(world.at_provider(second), 100)
    world.simulator.faults.set(lose=0)
    theirs = world.at_provider(second).id
    paid = replace(buyer.paid(), ref=Ref(str(second), theirs))
    buyer.tell(paid)
    provider.refusal = Declined("more than is left")
    work_for(world, 1)
    assert [(row.amount_minor, row.status) for row in buyer.refunds()] == [(600, "declined")]
    provider.refusal, provider.answers = None, lambda facts: facts
    console = world.at_provider(second).refunds[0]
    told = Fact(
        Kind.REFUNDED,
        Ref(str(second), theirs, console.number),
        console.at,
        Money(100, "CNY"),
        account="m-1",
        live=False,
    )
    buyer.tell(told, "bill")
    work_for(world, 2)
    rows = {(row.origin, row.amount_minor, row.status) for row in buyer.refunds()}
    assert rows == {("automatic", 600, "declined"), ("provider", 100, "done"), ("automatic", 500, "done")}
    assert world.at_provider(second).refunded == 600
    buyer.assert_balanced()


# --- something went back, and nobody says how much ---


def _says_only_that_something_went_back(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    return tuple(replace(fact, refunds_unknown=True) for fact in facts if fact.kind is Kind.PAID)


@pytest.mark.parametrize("minor", [300, 600])
def test_refunds_of_a_payment_that_was_partly_refunded_unheard_are_asked_for(world: World, minor: int) -> None:
    buyer = Buyer(world)
    world.simulator.faults.set(lose=9)
    world.pay(buyer.payment_id)
    world.simulator.console_refund(world.at_provider(buyer.payment_id), minor)
    buyer.tell(replace(buyer.paid(), refunds_unknown=True), "query")
    Worker(world.core).run_once()
    assert (buyer.coins, buyer.refunded) == (66 - target(minor), minor)
    buyer.assert_balanced()


def test_a_paid_payment_whose_provider_says_later_that_something_went_back_is_asked_about(world: World) -> None:
    buyer = paid_buyer(world)
    world.simulator.faults.set(lose=9)
    world.simulator.console_refund(world.at_provider(buyer.payment_id), 300)
    assert buyer.tell(replace(buyer.paid(), refunds_unknown=True), "scan").outcome == "duplicate"
    Worker(world.core).run_once()
    assert (buyer.coins, buyer.refunded) == (33, 300)


def test_where_the_provider_cannot_tell_the_payment_waits_for_the_next_bill_and_is_listed(world: World) -> None:
    buyer = Buyer(world)
    altered(world).answers = _says_only_that_something_went_back
    world.pay(buyer.payment_id)
    buyer.tell(replace(buyer.paid(), refunds_unknown=True), "query")
    assert overdue.list_overdue_refunds(world.core, 10).found.payments == []
    work_for(world, 3)
    (listed,) = overdue.list_overdue_refunds(world.core, 10).found.payments
    assert (listed.id, listed.theirs) == (buyer.payment_id, buyer.theirs)
    buyer.tell(buyer.fact(Kind.REFUNDED, 30, refund="c1", money=300), "bill")
    assert overdue.list_overdue_refunds(world.core, 10).found.payments == []
    assert buyer.coins == 33


# --- people ---


@pytest.fixture
def operator(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `tillbook refunds …` over the test's database, by the real clock: months later."""
    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tillbook.toml").write_text(f'env = "test"\ndatabase_url = "{database_url}"\n')
    return lambda *words: CliRunner().invoke(main, ["refunds", *words])


@pytest.mark.one_database
def test_an_open_refund_is_listed_as_overdue_and_alarmed_once(
    world: World, operator: Callable[..., Result], capsys: pytest.CaptureFixture[str]
) -> None:
    buyer = paid_buyer(world)
    world.simulator.books.next_refunds.append("WAITING")
    refund = buyer.ask(300)
    buyer.work(refund)
    assert overdue.list_overdue_refunds(world.core, 10).found.refunds == []
    capsys.readouterr()
    work_for(world, 5 * 24, step=6)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"refund_overdue"' in line]
    assert [(line["refund"], line["level"]) for line in lines] == [(refund, "error")]
    assert [row.id for row in overdue.list_overdue_refunds(world.core, 10).found.refunds] == [refund]
    shown = operator("overdue")
    assert (shown.exit_code, shown.output.split("  ")[0]) == (0, str(refund))
    assert "pending  3.00 CNY" in shown.output


def test_a_person_ends_a_refund_by_name_and_the_providers_later_word_still_counts(world: World) -> None:
    buyer = paid_buyer(world)
    world.simulator.books.next_refunds.append("WAITING")
    refund = buyer.ask(300)
    buyer.work(refund)
    overdue.end_by_hand(world.core, refund, by="Ann", reason="never sent")
    row = buyer.refund(refund)
    assert (row.status, row.ended_by, row.problem, row.next_query_at) == ("declined", "Ann", "never sent", None)
    assert (buyer.coins, buyer.account.held) == (66, 0)
    buyer.assert_balanced()
    buyer.tell(buyer.fact(Kind.REFUND_PENDING, 30, refund=str(refund)))
    assert buyer.refund(refund).status == "declined"
    there = world.at_provider(buyer.payment_id)
    world.simulator.decide_refund(there, there.refunds[0], "DONE")
    world.deliver()
    assert (buyer.refund(refund).status, buyer.coins, buyer.refunded) == ("done", 33, 300)
    buyer.assert_balanced()
    with pytest.raises(NotEnded, match="done"):
        overdue.end_by_hand(world.core, refund, by="Ann", reason="again")


def test_a_refund_that_is_not_ours_is_ended_by_name_too(world: World) -> None:
    buyer = paid_buyer(world)
    buyer.tell(buyer.fact(Kind.REFUND_PENDING, 1, refund="c1", money=100))
    (row,) = buyer.refunds()
    overdue.end_by_hand(world.core, row.id, by="Ann", reason="a wrong bill")
    assert (buyer.refund(row.id).status, buyer.refund(row.id).next_query_at) == ("declined", None)
    buyer.assert_balanced()


@pytest.mark.one_database
def test_the_command_lists_and_ends_refunds(world: World, operator: Callable[..., Result]) -> None:
    buyer = paid_buyer(world)
    world.simulator.books.next_refunds.append("WAITING")
    refund = buyer.ask(300)
    buyer.work(refund)
    ended = operator("end", str(refund), "--by", "Ann", "--reason", "never sent")
    assert (ended.exit_code, ended.output.splitlines()[-1]) == (0, f"{refund}: ended")
    shown = operator("list").output
    assert "declined" in shown
    assert "never sent" in shown
    unknown = operator("end", "4096", "--by", "Ann", "--reason", "r")
    assert unknown.exit_code == 1
    assert "no such refund" in unknown.output


def test_a_person_stops_the_questions_about_a_refund_that_failed(world: World) -> None:
    buyer = paid_buyer(world)
    buyer.tell(buyer.fact(Kind.REFUND_FAILED, 1, refund="c1", money=100))
    (row,) = buyer.refunds()
    with pytest.raises(NotEnded, match="who you are"):
        overdue.end_by_hand(world.core, row.id, by=" ", reason="r")
    overdue.end_by_hand(world.core, row.id, by="Ann", reason="the bank says no")
    assert buyer.refund(row.id).recheck_at is None
