"""A payment that its provider never ends: unpaid for a week after its time it is given up, without any answer it stays
open until a person closes it; and money that comes all the same is credited by policy (promises 2 and 5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.numbers import slot_of_number
from app.providers.errors import Declined, Unknown
from app.providers.facts import Fact, Kind, Ref
from app.providers.registry import ProviderAccount, Registry
from app.services.calls import payment_closing
from app.services.payments import expiry
from app.services.payments.expiry import NotClosed, close_by_hand
from app.worker import Worker
from tests.support import databases
from tests.support.facts import paid_fact, told
from tests.support.faults import Fuse, Injected, fused_engine, raising
from tests.support.lanes import ABOUT_PAYMENTS, SomeLanes
from tests.support.world import World, build_world

EXPIRY, GRACE, HOUR, DAY = 1800, 900, 3600, 86_400
WEEK = 7 * DAY


@dataclass
class Stubborn:
    """A provider that closes nothing. It says `pending` of every payment, or nothing at all."""

    inner: Any
    refusal: Exception | tuple[Fact, ...]
    silent: bool = False
    asked: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        self.asked += 1
        if self.silent:
            raise Unknown("no answer")
        return (self.pending(ref),)

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        if isinstance(self.refusal, Exception):
            raise self.refusal
        return self.refusal or (self.pending(ref),)

    def pending(self, ref: Ref) -> Fact:
        return Fact(Kind.PENDING, ref, self.inner._clock.now(), account="m-1", live=False)


REFUSALS: dict[str, Exception | tuple[Fact, ...]] = {
    "unknown": Unknown("no answer to that"),
    "a definite no": Declined("it cannot be closed"),
    "a defect": RuntimeError("a plugin's own"),
    "still pending": (),
}


def with_provider(world: World, provider: Any) -> World:
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    return replace(world, core=replace(world.core, registry=registry))


def stubborn(world: World, refusal: str = "unknown", **more: Any) -> World:
    return with_provider(world, Stubborn(world.account.provider, REFUSALS[refusal], **more))


def until(world: World, seconds: float, step: float = 2 * HOUR) -> None:
    """Let the time go by, with a worker that looks in now and then."""
    lanes = SomeLanes(world.core, ABOUT_PAYMENTS)
    end = world.clock.now().timestamp() + seconds
    while (left := end - world.clock.now().timestamp()) > 0:
        world.clock.advance(min(step, left))
        lanes.round()
    lanes.round_of_all()


def overdue(world: World) -> list[int]:
    return [row.id for row in world.core.whole.read(lambda tx: expiry.overdue(tx, 10))]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_is_unpaid_a_week_after_its_time_and_never_closed_is_given_up(world: World, refusal: str) -> None:
    world = stubborn(world, refusal)
    view = world.order()
    payment_id = view.payments[0].id
    until(world, EXPIRY + WEEK - 60, step=DAY)
    assert (world.payment(payment_id).status, overdue(world)) == ("pending", [payment_id])
    assert world.order_row(view.order.id).status == "open"
    with capture_logs() as logged:
        until(world, 60)
    payment = world.payment(payment_id)
    assert (payment.status, payment.problem.partition(":")[0]) == ("closed", "given up")
    assert (world.order_row(view.order.id).status, overdue(world)) == ("expired", [])
    assert [one["payment"] for one in logged if one["event"] == "payment_given_up"] == [payment_id]
    world.assert_balanced()
    assert told(world, paid_fact(world, payment_id)).outcome == "applied", "late money is credited by policy"
    assert (world.coins(), world.order_row(view.order.id).status) == (66, "paid")
    world.assert_balanced()


def test_a_given_up_payment_that_was_paid_after_all_is_found_by_a_late_question(world: World) -> None:
    odd = stubborn(world)
    payment_id = odd.order().payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    until(odd, EXPIRY + WEEK, step=DAY)
    assert world.payment(payment_id).status == "closed"
    until(world, DAY + HOUR, step=HOUR)
    assert world.coins() == 66
    world.assert_balanced()


def test_after_the_late_questions_there_is_silence(world: World) -> None:
    world = stubborn(world)
    payment_id = world.order().payments[0].id
    until(world, EXPIRY + WEEK + 8 * DAY, step=DAY / 2)
    assert world.payment(payment_id).next_query_at is None


def test_a_payment_without_any_answer_is_never_given_up_and_asked_about_daily(world: World) -> None:
    world = stubborn(world, silent=True)
    payment_id = world.order().payments[0].id
    until(world, EXPIRY + WEEK + DAY, step=6 * HOUR)
    before = world.account.provider.asked
    until(world, 10 * DAY, step=6 * HOUR)
    assert 8 <= world.account.provider.asked - before <= 13
    assert world.payment(payment_id).status == "pending"
    assert overdue(world) == [payment_id]


def test_a_payment_that_somebody_called_paid_is_not_given_up(world: World) -> None:
    """The word could not be used: no number of the provider's."""
    world = stubborn(world)
    payment_id = world.order().payments[0].id
    assert told(world, paid_fact(world, payment_id, ref=Ref(ours=str(payment_id)))).outcome == "parked"
    until(world, EXPIRY + WEEK + 2 * DAY, step=DAY)
    assert world.payment(payment_id).status == "pending"
    assert told(world, paid_fact(world, payment_id)).outcome == "applied"
    world.assert_balanced()


def test_another_merchants_word_keeps_no_payment_of_ours_open(world: World) -> None:
    world = stubborn(world)
    payment_id = world.order().payments[0].id
    assert told(world, paid_fact(world, payment_id, account="m-9")).reason == "other_account"
    until(world, EXPIRY + WEEK, step=DAY)
    assert world.payment(payment_id).status == "closed"


def test_giving_up_is_whole_or_not_at_all_wherever_it_is_interrupted(database_url: str) -> None:
    fuse = Fuse(raising)
    engine = fused_engine(database_url, fuse)
    world = stubborn(build_world(engine, databases.sessions_for(engine)))
    at, blown = 0, True
    while blown:
        at += 1
        view = world.order(f"user-{at}")
        payment_id = view.payments[0].id
        world.clock.advance(EXPIRY + WEEK)
        with fuse.armed(at):
            try:
                payment_closing.work_on_payment(world.core, payment_id)
            except Injected:
                ended = (world.payment(payment_id).status, world.order_row(view.order.id).status)
                assert ended in {("pending", "open"), ("closed", "expired")}
            blown = fuse.has_blown
        world.clock.advance(DAY)
        Worker(world.core).run_once()
        assert world.payment(payment_id).status == "closed", f"interrupted at step {at}"
    assert at > 10
    world.assert_balanced()
    engine.dispose()


# --- by hand ---


def test_an_operator_closes_what_is_overdue_and_late_money_still_counts(world: World) -> None:
    odd = stubborn(world, silent=True)
    view = odd.order()
    payment_id = view.payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    until(odd, EXPIRY + GRACE, step=HOUR)
    close_by_hand(odd.core, payment_id, actor="operator:jo", reason="the bank says no")
    payment = world.payment(payment_id)
    assert (payment.status, payment.problem) == ("closed", "closed by hand: operator:jo: the bank says no")
    assert world.order_row(view.order.id).status == "expired"
    assert payment.next_query_at is not None
    world.assert_balanced()
    until(world, DAY, step=HOUR)
    assert (world.coins(), world.order_row(view.order.id).status) == (66, "paid")
    world.assert_balanced()


def test_what_can_still_be_paid_or_has_ended_is_not_closed_by_hand(world: World) -> None:
    payment_id = world.order().payments[0].id
    with pytest.raises(NotClosed, match="can still be paid"):
        close_by_hand(world.core, payment_id, actor="operator:jo", reason="hasty")
    world.clock.advance(EXPIRY + GRACE - 1)
    with pytest.raises(NotClosed, match="can still be paid"):
        close_by_hand(world.core, payment_id, actor="operator:jo", reason="hasty")
    told(world, paid_fact(world, payment_id))
    world.clock.advance(1)
    with pytest.raises(NotClosed, match="it is paid already"):
        close_by_hand(world.core, payment_id, actor="operator:jo", reason="too late")
    with pytest.raises(NotClosed, match="no such payment"):
        close_by_hand(world.core, slot_of_number(payment_id) + 4096, actor="operator:jo", reason="misspelt")
    world.assert_balanced()


def test_an_order_with_another_open_payment_stays_open(world: World) -> None:
    from app.services.base.idempotency import keyed
    from app.services.calls import payment_starts
    from app.services.payments import orders
    from app.services.payments.orders import PayBy

    world = stubborn(world, silent=True)
    view = world.order()
    second = orders.add_payment(
        world.core, "alice", view.order.id, PayBy("sandbox", "qr"), keyed("user:alice", "k2", "add_payment", {})
    )
    payment_starts.start_payment(world.core, second)
    world.clock.advance(EXPIRY + GRACE)
    close_by_hand(world.core, view.payments[0].id, actor="operator:jo", reason="x" * 500)
    assert world.order_row(view.order.id).status == "open"
    close_by_hand(world.core, second, actor="operator:jo", reason="a\x00b")
    assert world.order_row(view.order.id).status == "expired"
    world.assert_balanced()
