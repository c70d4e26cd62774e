"""Operators freeze and unfreeze wallets, and what they did stays written down."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from tests.support.buyer import Buyer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Operator = Callable[..., Result]


@pytest.fixture
def operator(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Runs `tillbook wallets …`."""
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    return lambda *words: CliRunner().invoke(main, ["wallets", *words])


def test_an_operator_freezes_and_unfreezes_and_the_history_tells_who_and_why(operator: Operator, world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    where = (buyer.user, "--environment", "sandbox", "--actor", "mei")
    assert operator("freeze", *where, "--reason", "chargeback").exit_code == 0
    assert getattr(buyer.spend(1), "code", "") == "wallet_frozen"
    assert operator("unfreeze", *where, "--reason", "settled").exit_code == 0
    assert not buyer.account.frozen
    history = operator("history", buyer.user).stdout
    assert "all frozen by operator:mei: chargeback" in history
    assert "all unfrozen by operator:mei: settled" in history


def test_a_misspelt_user_is_no_success(operator: Operator) -> None:
    done = operator("freeze", "nobody", "--reason", "r", "--actor", "mei")
    assert done.exit_code == 1
    assert "has no wallet" in done.stderr
