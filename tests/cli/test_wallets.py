"""Operators freeze and unfreeze wallets, and what they did stays written down."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.buyer import Buyer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Operator:
    """Runs `tillbook wallets …` in a process of its own."""

    def __init__(self, database_url: str) -> None:
        self.environ = {**os.environ, "TILLBOOK_ENV": "test", "TILLBOOK_DATABASE_URL": database_url}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from app.cli import main; main()", "wallets", *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def operator(database_url: str) -> Operator:
    return Operator(database_url)


def test_an_operator_freezes_and_unfreezes_and_the_history_tells_who_and_why(operator: Operator, world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    where = (buyer.user, "--environment", "sandbox", "--actor", "mei")
    assert operator.run("freeze", *where, "--reason", "chargeback").returncode == 0
    assert getattr(buyer.spend(1), "code", "") == "wallet_frozen"
    assert operator.run("unfreeze", *where, "--reason", "settled").returncode == 0
    assert not buyer.account.frozen
    history = operator.run("history", buyer.user).stdout
    assert "all frozen by operator:mei: chargeback" in history
    assert "all unfrozen by operator:mei: settled" in history


def test_a_misspelt_user_is_no_success(operator: Operator) -> None:
    done = operator.run("freeze", "nobody", "--reason", "r", "--actor", "mei")
    assert done.returncode == 1
    assert "has no wallet" in done.stderr
