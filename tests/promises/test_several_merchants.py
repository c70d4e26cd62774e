"""One address may receive for several merchants: each fact goes to the account whose money it is, or moves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.providers.errors import Misconfigured
from app.providers.facts import Message
from app.providers.registry import Registry, build_accounts
from app.providers.testing.doubles import MemoryKeys
from app.providers.tools import Tools
from app.services.base.idempotency import keyed
from app.services.calls import payment_starts
from app.services.facts import parked
from app.services.payments import orders
from app.services.payments.orders import NewOrder, PayBy
from tests.support.world import OTHER_SECRET, SECRET, World


def table(merchant: str, secret: str, **more: Any) -> dict[str, Any]:
    own = {"base_url": "https://sandbox.test", "merchant": merchant, "secret": secret}
    return {"plugin": "sandbox", "live": False, **own, **more}


def house(world: World, **more: Any) -> World:
    """The world with two merchants; `more` is the first one's further settings."""
    accounts = {"sandbox": table("m-1", SECRET, **more), "branch": table("m-2", OTHER_SECRET)}
    registry = registry_of(world, accounts)
    return replace(world, core=replace(world.core, registry=registry))


def registry_of(world: World, accounts: dict[str, dict[str, Any]]) -> Registry:
    return build_accounts(accounts, lambda _, live: Tools(world.http, world.clock, MemoryKeys(), live=live))


def bought_at_the_branch(world: World) -> int:
    """A payment of the second merchant, paid and not heard of; its number."""
    wanted = NewOrder("alice", "coins-60", 1, PayBy("branch", "page"), "CNY")
    _, payment_id = orders.create_order(world.core, wanted, keyed("user:alice", "k1", "create_order", {}))
    payment_starts.start_payment(world.core, payment_id)
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    return payment_id


def by_the_platform(world: World, payment_id: int, merchant: str = "m-2") -> Message:
    """What the platform signs for its first merchant, and sends to that one's address, about another's payment."""
    document = {"event": "payment", "payment": world.at_provider(payment_id).shown()}
    return world.simulator.notification(merchant, document, world.simulator.signers["m-1"])


def test_a_message_for_a_listed_account_credits_that_accounts_payment_once(world: World) -> None:
    world = house(world, also_for=["branch"])
    payment_id = bought_at_the_branch(world)
    for _ in range(2):
        assert world.receive(by_the_platform(world, payment_id)).status == 200
    assert (world.payment(payment_id).status, world.coins()) == ("paid", 66)
    assert (-world.money("clearing:branch"), world.money("clearing:sandbox")) == (600, 0)
    own = world.simulator.notification("m-2", {"event": "payment", "payment": world.at_provider(payment_id).shown()})
    branch = world.core.registry.get("branch")
    assert branch is not None
    assert branch.provider.receive(own).facts[0].account == "m-2"
    world.assert_balanced()


def test_a_message_for_an_account_that_is_not_listed_never_credits(world: World) -> None:
    world = house(world)
    payment_id = bought_at_the_branch(world)
    world.receive(by_the_platform(world, payment_id))
    assert (world.payment(payment_id).status, world.coins(), world.money("sales")) == ("pending", 0, 0)
    assert world.outcomes()[-1][:2] == ("paid", "parked")


def test_a_merchant_that_is_nobodys_here_stays_with_the_receiving_account(world: World) -> None:
    world = house(world, also_for=["branch"])
    payment_id: int = world.order().payments[0].id
    world.receive(by_the_platform(world, payment_id, "m-9"))
    world.pay(payment_id)
    world.receive(by_the_platform(world, payment_id, "m-9"))
    assert world.coins() == 0
    assert world.outcomes()[-1] == ("paid", "parked", "other_account")


def test_listing_is_one_way(world: World) -> None:
    world = house(world, also_for=["branch"])
    payment_id: int = world.order().payments[0].id
    world.pay(payment_id)
    document = {"event": "payment", "payment": world.at_provider(payment_id).shown()}
    message = world.simulator.notification("m-1", document, world.simulator.signers["m-2"])
    branch = world.core.registry.get("branch")
    assert branch is not None
    assert world.core.registry.whose(branch, branch.provider.receive(message).facts[0].account) is branch


def test_a_fact_that_was_parked_before_its_account_was_listed_is_applied_when_looked_at_again(world: World) -> None:
    before = house(world)
    payment_id: int = before.order().payments[0].id
    before.pay(payment_id)
    stranger = by_the_platform(before, payment_id, "m-2")
    before.receive(stranger)
    assert before.outcomes()[-1] == ("paid", "parked", "other_account")
    waiting = before.core.whole.read(lambda tx: parked.list_parked(tx, "parked", 10))
    after = house(world, also_for=["branch"])
    again = parked.reexamine(after.core, waiting[0].id)
    assert (again.outcome, after.coins()) == ("parked", 0)
    after.assert_balanced()


@pytest.mark.parametrize(
    ("more", "branch", "said"),
    [
        (["shop"], {}, "'shop' is no other provider account"),
        (["sandbox"], {}, "'sandbox' is no other provider account"),
        (["branch"], {"merchant": "m-1"}, "nothing tells them apart"),
        (["branch", "branch"], {}, "nothing tells them apart"),
    ],
)
def test_settings_that_could_not_tell_whose_money_it_is_are_refused(
    world: World, more: list[str], branch: dict[str, Any], said: str
) -> None:
    accounts = {"sandbox": table("m-1", SECRET, also_for=more), "branch": {**table("m-2", OTHER_SECRET), **branch}}
    with pytest.raises(Misconfigured, match=said):
        registry_of(world, accounts)
