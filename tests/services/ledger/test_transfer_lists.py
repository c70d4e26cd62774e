"""Transfers as they are read: one, those of a wallet, those of all users within a time."""

from __future__ import annotations

import ast
import importlib
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.ledger import NoSuchEntry, Posted, debt_of, wallet
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend, grant
from app.services import ledger
from app.services.base.list_pages import ListPlace, TimeSpan
from app.services.calls import refund_calls
from app.services.ledger.transfer_lists import ListedTransfer, TransferFilter, list_transfers, view_transfer
from app.web.list_schemas import TRANSFER_KINDS
from tests.support.buyer import Buyer
from tests.support.world import World

ROOT = Path(__file__).resolve().parents[3]


def _listed(world: World, wanted: TransferFilter, size: int = 3) -> list[ListedTransfer]:
    found: list[ListedTransfer] = []
    place: ListPlace | None = None
    while True:
        page = list_transfers(world.core, wanted, place, size)
        found += page.rows
        place = page.next
        if place is None:
            return found


def _grant(world: World, user: str, amount: int, key: str) -> Posted:
    transfer = grant(user, "coin", amount, key, reason="welcome", actor="backend:shop", reference="r")
    return world.core.whole.transact(lambda tx: ledger.post(tx, slot_of_user(user), [transfer]))[0]


def _spend(world: World, user: str, amount: int, key: str) -> Posted:
    request = Spend(user, "coin", amount, key)
    spent = world.core.whole.transact(lambda tx: ledger.spend(tx, slot_of_user(user), request))
    assert isinstance(spent, Posted)
    return spent


def test_a_wallets_transfers_are_listed_by_version_kind_and_time(world: World) -> None:
    start = world.clock.now()
    for number in range(5):
        _grant(world, "alice", 10, f"g{number}")
        _spend(world, "alice", number + 1, f"s{number}")
        world.clock.advance(60)
    account = wallet("alice", "coin")
    every = _listed(world, TransferFilter(account))
    assert [transfer.version for transfer in every] == list(range(1, 11))
    newest = _listed(world, TransferFilter(account, newest_first=True), 4)
    assert newest == every[::-1]
    assert [transfer.amount for transfer in _listed(world, TransferFilter(account, kind="spend"), 1)] == [1, 2, 3, 4, 5]
    span = TimeSpan(start + timedelta(minutes=1), start + timedelta(minutes=3))
    assert [t.version for t in _listed(world, TransferFilter(account, made=span))] == [3, 4, 5, 6]
    assert [t.version for t in _listed(world, TransferFilter(account, kind="grant", made=span, newest_first=True))] == [
        5,
        3,
    ]
    lines = world.core.whole.read(lambda tx: ledger.statement(tx, slot_of_user("alice"), account)).lines
    assert [(t.id, t.kind, t.balance, t.at) for t in every] == [
        (line.transfer, line.kind, line.balance, line.at) for line in lines
    ]
    first = every[0]
    assert (first.debit, first.credit, first.user, first.actor, first.note) == (
        "issuance",
        "wallet",
        "alice",
        "backend:shop",
        "welcome",
    )
    assert _listed(world, TransferFilter(wallet("alice", "gem"))) == []
    assert _listed(world, TransferFilter(wallet("bob", "coin"))) == []


def test_what_a_user_owes_has_transfers_of_its_own(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    request = Spend(buyer.user, "coin", 66, "s", environment="sandbox")
    world.core.whole.transact(lambda tx: ledger.spend(tx, buyer.slot, request))
    number = buyer.ask()
    refund_calls.work_on_refund(world.core, number)
    debt = debt_of(wallet(buyer.user, "coin", "sandbox"))
    assert [(t.kind, t.amount, t.user) for t in _listed(world, TransferFilter(debt))] == [
        ("debt", 60, buyer.user),
        ("debt", 6, buyer.user),
    ]


def _many(world: World) -> tuple[datetime, list[uuid.UUID]]:
    """Transfers of several users, some in one moment, and money of the house: when they began, and all in order."""
    start = world.clock.now()
    for number in range(12):
        _grant(world, f"user-{number % 5}", 10, f"g{number}")
        if number % 3 == 2:
            world.clock.advance(60)
    view = world.order("alice")
    world.pay(view.payments[0].id)
    world.deliver()
    span = TimeSpan(start, world.clock.now() + timedelta(seconds=1))
    every = list_transfers(world.core, TransferFilter(made=span), None, 500).rows
    assert len(every) == 12 + 3
    assert len({(transfer.at, transfer.id) for transfer in every}) == 15
    return start, [t.id for t in sorted(every, key=lambda t: (t.at, t.id.int))]


def test_transfers_of_all_users_are_listed_by_time_each_once(world: World) -> None:
    start, numbers = _many(world)
    whole = TimeSpan(start, world.clock.now() + timedelta(seconds=1))
    for size in (1, 4, 15):
        assert [t.id for t in _listed(world, TransferFilter(made=whole), size)] == numbers
        assert [t.id for t in _listed(world, TransferFilter(made=whole, newest_first=True), size)] == numbers[::-1]
    minute = TimeSpan(start + timedelta(minutes=1), start + timedelta(minutes=2))
    assert [t.id for t in _listed(world, TransferFilter(made=minute))] == numbers[3:6]


def test_transfers_of_all_users_are_found_by_kind_asset_and_environment(world: World) -> None:
    start, _ = _many(world)
    whole = TimeSpan(start, world.clock.now() + timedelta(seconds=1))

    def found(**wanted: Any) -> list[tuple[str, str | None, int]]:
        return [(t.kind, t.user, t.amount) for t in _listed(world, TransferFilter(made=whole, **wanted))]

    assert found(kind="payment") == [("payment", None, 600)]
    assert found(asset="CNY") == [("payment", None, 600)]
    assert sorted(found(environment="sandbox", asset="coin")) == [("bonus", "alice", 6), ("purchase", "alice", 60)]
    assert len(found(kind="grant", environment="live")) == 12
    assert found(kind="grant", environment="sandbox") == []


def test_one_transfer_names_the_lots_that_it_used(world: World) -> None:
    first, second = _grant(world, "alice", 10, "a"), _grant(world, "alice", 10, "b")
    small, large = _spend(world, "alice", 4, "s1"), _spend(world, "alice", 9, "s2")
    for transfer_id, parts in (
        (first.id, [(1, 10)]),
        (second.id, [(2, 10)]),
        (small.id, [(1, 4)]),
        (large.id, [(1, 6), (2, 3)]),
    ):
        found, lots = view_transfer(world.core, "alice", transfer_id)
        assert found.id == transfer_id
        assert [(part.lot, part.amount) for part in lots] == parts


def test_a_transfer_is_read_by_its_user_or_by_who_speaks_for_all(world: World) -> None:
    start, _ = _many(world)
    whole = TimeSpan(start, world.clock.now() + timedelta(seconds=1))
    (money,) = _listed(world, TransferFilter(made=whole, kind="payment"))
    grant_ = _listed(world, TransferFilter(wallet("user-1", "coin")))[0]
    assert view_transfer(world.core, None, money.id)[0].user is None
    assert view_transfer(world.core, "user-1", grant_.id)[0] == grant_
    absent = uuid.UUID(int=grant_.id.int ^ (1 << 90))
    for user, transfer_id in (("alice", money.id), ("user-2", grant_.id), (None, absent)):
        with pytest.raises(NoSuchEntry):
            view_transfer(world.core, user, transfer_id)


def test_every_kind_of_transfer_that_the_code_books_may_be_asked_for() -> None:
    """Each `kind=` of a `Transfer(…)` that is a constant or a name of a module's constant."""
    found: set[str] = set()
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) != "Transfer":
                continue
            kinds = [word.value for word in node.keywords if word.arg == "kind"]
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            for part in (part for kind in kinds for part in ast.walk(kind)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    found.add(part.value)
                elif isinstance(part, ast.Name) and isinstance(getattr(module, part.id, None), str):
                    found.add(getattr(module, part.id))
    assert {"grant", "spend", "payment", "reversal", "expiry"} <= found
    assert found <= set(TRANSFER_KINDS)
