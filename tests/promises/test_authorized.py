"""Money that is only reserved credits nothing: it is captured under the payment's number, or given up."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from app.domain.money import Money
from app.providers.facts import Fact, Intent, Kind, Message, Received, Ref, Started
from app.providers.registry import ProviderAccount, Registry
from app.providers.testing.doubles import BrokenHttp, MemoryKeys
from app.providers.tools import Tools
from app.providers.verbs import NoExtra
from app.services.base.idempotency import keyed
from app.services.calls import captures, payment_closing, payment_queries
from app.services.calls.payment_queries import Answer, Asked
from app.services.payments import expiry, orders
from app.services.payments.orders import PayBy
from app.worker import Worker
from plugins.sandbox import plugin
from tests.support import processes
from tests.support.facts import paid_fact, told
from tests.support.processes import place_of, run_and_kill
from tests.support.world import SECRET, World


def authorized(world: World, user: str = "alice") -> int:
    """An order whose payer's money is reserved, as we heard; the payment's number."""
    payment_id: int = world.order(user, way="card").payments[0].id
    world.pay(payment_id)
    assert world.receive(world.notification(payment_id)).status == 200
    return payment_id


def of_kind(world: World, payment_id: int, kind: Kind, **changes: Any) -> Fact:
    theirs = world.at_provider(payment_id).id
    return paid_fact(world, payment_id, kind=kind, ref=Ref(str(payment_id), theirs), **changes)


def calls(world: World, verb: str) -> int:
    return sum(url.endswith(f"/{verb}") for _, url, _ in world.http.requests)


def through(world: World, provider: Any) -> World:
    """The house, with another provider in the account's place."""
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    return replace(world, core=replace(world.core, registry=registry))


def with_line(world: World, fault: str) -> World:
    settings = plugin.settings.model_validate({"base_url": "https://sandbox.test", "merchant": "m-1", "secret": SECRET})
    http = BrokenHttp(world.http, fault)
    return through(world, plugin.build(settings, Tools(http=http, clock=world.clock, keys=MemoryKeys(), live=False)))


class WithoutCapture:
    """The sandbox as a plugin wrote it who forgot to capture."""

    ways: Mapping[str, type[BaseModel]] = {"card": NoExtra}

    def __init__(self, inner: Any) -> None:
        self._inner, self.account, self.currencies = inner, inner.account, inner.currencies

    def start(self, intent: Intent) -> Started:
        started: Started = self._inner.start(intent)
        return started

    def receive(self, message: Message) -> Received:
        received: Received = self._inner.receive(message)
        return received

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        facts: tuple[Fact, ...] = self._inner.query(ref)
        return facts


def test_what_is_reserved_is_captured_once_by_the_worker_and_then_credited(world: World) -> None:
    payment_id = authorized(world)
    assert world.payment(payment_id).status == "authorized"
    assert (world.coins(), world.money("sales")) == (0, 0)
    Worker(world.core).run_once()
    assert world.payment(payment_id).status == "paid"
    world.deliver()
    world.clock.advance(3600)
    Worker(world.core).run_once()
    assert (world.coins(), world.money("sales"), calls(world, "capture")) == (66, 600, 1)
    world.assert_balanced()


def test_a_reader_hears_of_the_reserved_money_and_the_worker_captures_it_soon(world: World) -> None:
    payment_id: int = world.order(way="card").payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    world.clock.advance(60)
    payment_queries.ask_if_due(world.core, payment_id)
    assert (world.payment(payment_id).status, calls(world, "capture")) == ("authorized", 0)
    world.clock.advance(3)
    Worker(world.core).run_once()
    assert world.coins() == 66


@pytest.mark.parametrize("order", list(itertools.permutations([Kind.PENDING, Kind.AUTHORIZED, Kind.CLOSED, Kind.PAID])))
@pytest.mark.parametrize("repeats", [1, 2])
def test_whatever_the_order_of_telling_paid_money_is_credited_once(
    world: World, order: tuple[Kind, ...], repeats: int
) -> None:
    payment_id: int = world.order(way="card").payments[0].id
    for kind in order * repeats:
        told(world, of_kind(world, payment_id, kind))
    assert (world.payment(payment_id).status, world.coins(), world.money("sales")) == ("paid", 66, 600)


@pytest.mark.parametrize("order", list(itertools.permutations([Kind.PENDING, Kind.AUTHORIZED, Kind.CLOSED])))
def test_an_authorisation_whose_end_is_told_in_any_order_is_closed_and_never_captured(
    world: World, order: tuple[Kind, ...]
) -> None:
    payment_id: int = world.order(way="card").payments[0].id
    world.pay(payment_id)
    world.simulator.books.close(world.at_provider(payment_id))
    for kind in order:
        told(world, of_kind(world, payment_id, kind))
    Worker(world.core).run_once()
    assert (world.payment(payment_id).status, world.coins()) == ("closed", 0)
    assert (calls(world, "capture"), calls(world, "close")) == (0, 0)


def test_another_amount_that_is_reserved_is_given_up_and_not_captured(world: World) -> None:
    payment_id: int = world.order(way="card").payments[0].id
    world.pay(payment_id)
    told(world, of_kind(world, payment_id, Kind.AUTHORIZED, money=Money(500, "CNY")))
    assert world.payment(payment_id).status == "authorized"
    Worker(world.core).run_once()
    assert world.at_provider(payment_id).status == "CLOSED"
    assert (world.payment(payment_id).status, world.coins(), calls(world, "capture")) == ("closed", 0, 0)
    world.assert_balanced()


def test_another_merchants_authorisation_moves_nothing(world: World) -> None:
    payment_id: int = world.order(way="card").payments[0].id
    applied = told(world, of_kind(world, payment_id, Kind.AUTHORIZED, account="m-9"))
    assert (applied.outcome, applied.reason) == ("parked", "other_account")
    assert world.payment(payment_id).status == "pending"


def test_what_is_reserved_for_an_order_that_is_paid_already_is_given_up(world: World) -> None:
    view = world.order(way="card")
    first = view.payments[0].id
    world.pay(first)
    again = keyed("user:alice", "k2", "add_payment", {})
    other = orders.add_payment(world.core, "alice", view.order.id, PayBy("sandbox", "page"), again)
    told(world, paid_fact(world, other))
    told(world, of_kind(world, first, Kind.AUTHORIZED))
    Worker(world.core).run_once()
    assert world.at_provider(first).status == "CLOSED"
    assert (world.payment(first).status, world.coins(), calls(world, "capture")) == ("closed", 66, 0)
    world.assert_balanced()


def test_what_is_reserved_for_a_payment_that_ended_here_is_given_up_until_the_provider_says_so(world: World) -> None:
    payment_id: int = world.order(way="card").payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    world.clock.advance(1801 + 900)
    expiry.close_by_hand(world.core, payment_id, actor="op", reason="nothing came")
    assert world.payment(payment_id).status == "closed"
    told(world, of_kind(world, payment_id, Kind.AUTHORIZED))
    away = with_line(world, "refused")
    Worker(away.core).run_once()
    assert world.payment(payment_id).next_query_at is not None
    world.clock.advance(4000)
    Worker(world.core).run_once()
    assert world.at_provider(payment_id).status == "CLOSED"
    assert (world.payment(payment_id).status, world.coins(), calls(world, "capture")) == ("closed", 0, 0)
    world.assert_balanced()


def test_an_authorisation_that_runs_out_at_the_provider_closes_the_payment(world: World) -> None:
    payment_id = authorized(world)
    away = with_line(world, "refused")
    Worker(away.core).run_once()
    assert world.payment(payment_id).status == "authorized"
    world.clock.advance(8 * 24 * 3600)
    Worker(world.core).run_once()
    assert (world.payment(payment_id).status, world.coins()) == ("closed", 0)
    assert world.order_row(world.payment(payment_id).order_id).status == "expired"
    world.assert_balanced()


@pytest.mark.parametrize("fault", ["timeout", "timeout_after", "garbage", "empty", "html", "error500"])
def test_a_capture_without_an_answer_is_unknown_and_asked_about_until_it_ends(world: World, fault: str) -> None:
    payment_id = authorized(world)
    row = world.payment(payment_id)
    asked = Asked(Answer.FACTS, row)
    captures.capture_or_give_up(with_line(world, fault).core, asked)
    row = world.payment(payment_id)
    assert (row.status, world.coins()) == ("authorized", 0)
    assert row.problem.startswith(captures.NOT_CAPTURED)
    Worker(world.core).run_once()
    assert (world.payment(payment_id).status, world.coins(), world.money("sales")) == ("paid", 66, 600)
    world.assert_balanced()


def test_a_plugin_that_cannot_capture_leaves_the_payment_waiting_and_shown(world: World) -> None:
    payment_id = authorized(world)
    lame = through(world, WithoutCapture(world.account.provider))
    for _ in range(3):
        Worker(lame.core).run_once()
        world.clock.advance(3600)
    row = world.payment(payment_id)
    assert (row.status, row.problem, world.coins()) == ("authorized", captures.CANNOT_CAPTURE, 0)
    assert row.next_query_at is not None
    assert [late.id for late in world.core.whole.read(partial(expiry.overdue, limit=10))] == [payment_id]
    told(world, of_kind(world, payment_id, Kind.PAID))
    assert world.coins() == 66


@pytest.mark.one_database
@pytest.mark.timeout(300)
def test_a_worker_killed_anywhere_while_capturing_is_followed_by_another(world: World) -> None:
    killed = 0
    with place_of(world) as place:
        for at in range(1, 200):
            authorized(world, f"user-{at}")
            if not run_and_kill(place(), at, processes.work_on_payments):
                break
            killed += 1
            world.clock.advance(61)
            Worker(world.core).run_once()
            assert world.coins(f"user-{at}") == 66
    assert killed >= 8
    world.deliver()
    assert -world.money("clearing:sandbox") == 600 * (killed + 1)
    world.assert_balanced()


def test_two_workers_at_one_moment_capture_once(world: World) -> None:
    payment_id = authorized(world)
    assert payment_closing.work_on_payment(world.core, payment_id)
    assert not payment_closing.work_on_payment(world.core, payment_id)
    assert calls(world, "capture") == 1
