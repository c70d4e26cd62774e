"""Promise 11: a payment of which something went back, and nobody says how much, is asked about on our own clock until a
refund is told or a person ends the question by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from app.cli import main
from app.domain.retries import RETRIES, Retried
from app.providers.errors import Unknown
from app.providers.facts import Fact, Kind, Ref
from app.providers.registry import ProviderAccount, Registry
from app.services.calls.reference_queries import raise_ask
from app.services.refunds import overdue
from app.services.refunds.overdue import NotEnded
from app.worker import Worker
from tests.support.buyer import Buyer
from tests.support.lanes import ABOUT_REFUNDS, SomeLanes
from tests.support.world import World

DAY = timedelta(days=1)


@dataclass
class Reticent:
    """A provider that says of a payment that something went back, and for a while not how much."""

    inner: Any
    tells_sizes: bool = False
    silent: bool = False
    asked: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        self.asked += 1
        if self.silent:
            raise Unknown("no answer")
        facts: tuple[Fact, ...] = self.inner.query(ref)
        if self.tells_sizes:
            return facts
        return tuple(replace(fact, refunds_unknown=True) for fact in facts if fact.kind is Kind.PAID)


@dataclass
class Unsized:
    """A payment that was refunded in part at its provider, which says only that. It is held meanwhile."""

    world: World
    provider: Reticent
    buyer: Buyer

    def works(self, days: int, step: timedelta = timedelta(hours=12)) -> None:
        lanes = SomeLanes(self.world.core, ABOUT_REFUNDS)
        for _ in range(int(days * DAY / step)):
            self.world.clock.advance(step.total_seconds())
            lanes.round()
        lanes.round_of_all()

    def listed(self) -> list[Any]:
        return overdue.list_overdue_refunds(self.world.core, 10).found.payments

    def next_ask(self) -> Any:
        wanted = text("/* sweep: operator */ SELECT next_try_at FROM asks")
        return self.world.core.whole.read(lambda tx: tx.execute(wanted).scalar_one())


def reticent(world: World) -> Reticent:
    """Such a provider in the place of the sandbox."""
    provider = Reticent(world.account.provider)
    world.core = replace(
        world.core, registry=Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    )
    return provider


@pytest.fixture
def unsized(world: World) -> Unsized:
    provider = reticent(world)
    buyer = Buyer(world)
    world.simulator.faults.set(lose=99)
    world.pay(buyer.payment_id)
    world.simulator.console_refund(world.at_provider(buyer.payment_id), 300)
    world.clock.advance(60)
    Worker(world.core).run_once()  # the payment is heard of by our own query
    assert (buyer.coins, str(world.payment(buyer.payment_id).status)) == (0, "held")
    return Unsized(world, provider, buyer)


def test_it_is_asked_until_its_provider_tells_the_size(unsized: Unsized) -> None:
    unsized.works(20)
    assert unsized.provider.asked > 20, "asked at least once a day, and nobody repeated anything"
    assert [row.id for row in unsized.listed()] == [unsized.buyer.payment_id]
    unsized.provider.tells_sizes = True
    unsized.works(2)
    assert (unsized.buyer.coins, unsized.buyer.refunded, unsized.listed()) == (33, 300, [])
    assert unsized.next_ask() is None
    unsized.buyer.assert_balanced()


def test_it_is_asked_a_bounded_number_of_times(unsized: Unsized) -> None:
    unsized.works(12, timedelta(hours=2))
    most = RETRIES[Retried.UNANSWERED_QUESTION].most
    assert most is not None
    assert most < unsized.provider.asked <= most + 12


def test_a_bill_that_tells_the_refund_ends_the_question(unsized: Unsized) -> None:
    unsized.works(3)
    unsized.buyer.tell(unsized.buyer.fact(Kind.REFUNDED, 30, refund="c1", money=300), "bill")
    assert (unsized.buyer.coins, unsized.listed()) == (33, [])
    unsized.works(2)
    assert unsized.next_ask() is None
    asked = unsized.provider.asked
    unsized.works(3)
    assert unsized.provider.asked == asked


def test_a_provider_that_is_away_for_days_is_asked_when_it_is_back(unsized: Unsized) -> None:
    unsized.provider.silent = True
    unsized.works(6, timedelta(hours=3))
    unsized.provider.silent, unsized.provider.tells_sizes = False, True
    unsized.works(2)
    assert (unsized.buyer.coins, unsized.buyer.refunded) == (33, 300)


def test_a_refused_refund_of_ours_does_not_end_the_question(world: World) -> None:
    """The provider knows nothing of a refund that it refused: what went back is another one."""
    provider = reticent(world)
    unsized = Unsized(world, provider, Buyer(world))
    unsized.buyer.pay()
    world.simulator.faults.set(lose=99)
    world.simulator.console_refund(world.at_provider(unsized.buyer.payment_id), 300)
    refund = unsized.buyer.ask(300)
    overdue.end_by_hand(world.core, refund, by="Ann", reason="never sent")
    unsized.buyer.tell(replace(unsized.buyer.paid(), refunds_unknown=True), "scan")
    unsized.works(3)
    assert [row.id for row in unsized.listed()] == [unsized.buyer.payment_id]
    unsized.provider.tells_sizes = True
    unsized.works(2)
    assert unsized.buyer.coins == 33


def test_a_person_ends_the_question_and_the_same_word_does_not_raise_it_again(unsized: Unsized) -> None:
    unsized.works(2)
    overdue.end_by_hand(unsized.world.core, unsized.buyer.payment_id, by="Ann", reason="a test of the merchant")
    asked = unsized.provider.asked
    unsized.buyer.tell(replace(unsized.buyer.paid(), refunds_unknown=True), "scan")
    unsized.works(3)
    assert (unsized.provider.asked, unsized.listed(), unsized.next_ask()) == (asked, [], None)
    with pytest.raises(NotEnded, match="no such refund"):
        overdue.end_by_hand(unsized.world.core, unsized.buyer.payment_id, by="Ann", reason="again")
    assert raise_ask(unsized.world.core, unsized.world.account, Ref(ours=str(unsized.buyer.payment_id)))
    unsized.works(1)
    assert unsized.provider.asked > asked, "a message that names the payment is news"


@pytest.mark.one_database
def test_the_command_lists_and_ends_the_question(
    unsized: Unsized, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tillbook.toml").write_text(f'env = "test"\ndatabase_url = "{database_url}"\n')
    operator: Callable[..., Result] = lambda *words: CliRunner().invoke(main, ["refunds", *words])  # noqa: E731
    unsized.works(1)
    number = str(unsized.buyer.payment_id)
    assert f"payment {number}" in operator("overdue").output
    ended = operator("end", number, "--by", "Ann", "--reason", "seen on the merchant's page")
    assert (ended.exit_code, ended.output.splitlines()[-1]) == (0, f"{number}: ended")
    assert number not in operator("overdue").output
