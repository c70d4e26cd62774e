"""Promise 7: wallets cannot go below zero by spending, with two hundred spenders at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from app.domain.ledger import Posted
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend
from app.services import ledger
from tests.support.world import World

SPENDERS = 200


def spend(world: World, user: str, amount: int, key: str) -> bool:
    """Whether the coins were given."""
    request = Spend(user, "coin", amount, key, environment="sandbox")
    slot = slot_of_user(user)
    return isinstance(world.core.whole.transact(lambda s: ledger.spend(s, slot, request)), Posted)


def rich(world: World, user: str = "alice") -> None:
    payment_id = world.order(user).payments[0].id
    world.pay(payment_id)
    world.deliver()
    assert world.coins(user) == 66


def test_two_hundred_spenders_for_the_last_coin_and_one_gets_it(world: World) -> None:
    rich(world)
    assert spend(world, "alice", 65, "first")
    with ThreadPoolExecutor(24) as pool:
        given = list(pool.map(lambda number: spend(world, "alice", 1, f"last-{number}"), range(SPENDERS)))
    assert sum(given) == 1
    assert world.coins() == 0
    world.assert_balanced()


def test_two_hundred_spenders_of_all_the_coins_get_each_coin_once(world: World) -> None:
    rich(world)
    with ThreadPoolExecutor(24) as pool:
        given = list(pool.map(lambda number: spend(world, "alice", 1, f"coin-{number}"), range(SPENDERS)))
    assert sum(given) == 66
    assert (world.coins(), world.money("revenue", "coin")) == (0, 66)
    world.assert_balanced()


def test_one_spend_repeated_two_hundred_times_at_once_takes_its_coins_once(world: World) -> None:
    rich(world)
    with ThreadPoolExecutor(24) as pool:
        given = list(pool.map(lambda _: spend(world, "alice", 10, "the same"), range(SPENDERS)))
    assert given == [True] * SPENDERS
    assert world.coins() == 56
    world.assert_balanced()


def test_spending_while_more_is_credited_loses_nothing(world: World) -> None:
    rich(world)
    ids = [world.order(key=f"more-{number}").payments[0].id for number in range(4)]
    for payment_id in ids:
        world.simulator.faults.lose = 1
        world.pay(payment_id)
    messages = [world.notification(payment_id) for payment_id in ids]
    with ThreadPoolExecutor(12) as pool:
        credited = [pool.submit(world.receive, message) for message in messages * 2]
        spends = [pool.submit(spend, world, "alice", 3, f"spend-{number}") for number in range(60)]
        assert {future.result().status for future in credited} == {200}
        taken = sum(3 for future in spends if future.result())
    assert world.coins() == 66 * 5 - taken
    world.assert_balanced()
