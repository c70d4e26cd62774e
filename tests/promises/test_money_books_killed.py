"""Promise 6 for the books of money: `kill -9` while bills are read, compared and booked, days are counted and revenue
is recognised. A later round makes the very books of a house in which nobody was killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from app.domain.bill_lines import LineKind
from app.domain.limits import LedgerRules
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend
from app.services import ledger
from app.services.base.context import Core, Rules
from app.services.bills import readings
from app.worker import Worker
from tests.conftest import create_schema
from tests.services.finance.conftest import CHINA, line
from tests.support import databases
from tests.support.forks import count_steps, kill_at
from tests.support.settling_house import NOON, SettlingHouse, alien_line, bill_bytes_of, line_of, settling_house
from tests.support.world import World, build_world

KILLS = 9
"""How many of the steps are tried, spread over all of them."""
ROUNDS = 3
"""How often the worker comes back, two hours later each time: as many leases are over."""
BOOKS = {
    "transfers": "SELECT t.kind, d.code, c.code, t.amount, t.effective_at, COUNT(*) FROM transfers t"
    " JOIN accounts d ON d.slot = t.slot AND d.id = t.debit_id"
    " JOIN accounts c ON c.slot = t.slot AND c.id = t.credit_id"
    " GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
    "differences": "SELECT type, state, ours, theirs, COUNT(*) FROM differences"
    " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    "readings": "SELECT feed, status, lines, booked_at IS NULL, COUNT(*) FROM bill_readings"
    " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3",
    "lines": "SELECT kind, amount_minor, COUNT(*) FROM bill_lines GROUP BY 1, 2 ORDER BY 1, 2",
}


@dataclass
class Night:
    """A house some days after a day whose two bills have come, and all that the worker makes of them."""

    url: str
    house: SettlingHouse
    documents: dict[str, bytes]

    def run(self, engine: Engine) -> None:
        """A person brings the files, and the worker does what is due."""
        core = self._core(engine)
        for feed, content in self.documents.items():
            readings.import_bill(core, self.house.account, feed, f"{feed} of a day", content)
        Worker(core).run_once()

    def end(self) -> dict[str, list[tuple[Any, ...]]]:
        """The books after the files were brought again, and the worker came back several times."""
        with databases.engine_for(self.url) as engine:
            for _ in range(ROUNDS):
                self.house.world.clock.advance(timedelta(hours=2).total_seconds())
                self.run(engine)
            replace(self.house.world, core=self._core(engine)).assert_balanced()
            with engine.connect() as connection:
                return {
                    name: [tuple(row) for row in connection.execute(text(f"/* sweep: audit */ {query}"))]
                    for name, query in BOOKS.items()
                }

    def _core(self, engine: Engine) -> Core:
        return replace(self.house.world.core, databases=databases.databases_of(databases.sessions_for(engine)))


def _evening(file: Path) -> Callable[[Path], Night]:
    create_schema(f"sqlite:///{file}")
    with databases.engine_for(f"sqlite:///{file}") as engine:
        rules = Rules(ledger=LedgerRules(zone=CHINA))
        house = settling_house(build_world(engine, databases.sessions_for(engine), rules))
        documents = _day(house)
    began = house.world.clock.now()

    def night(copy: Path) -> Night:
        shutil.copyfile(file, copy)
        house.world.clock.advance((began - house.world.clock.now()).total_seconds())
        return Night(f"sqlite:///{copy}", house, documents)

    return night


def _day(house: SettlingHouse) -> dict[str, bytes]:
    """Payments, a refund and a spend; days later bills tell of them, with three lines that are wrong."""
    facts = [house.paid(f"user-{number}") for number in range(4)]
    refund = house.refunded(facts[0], "r-1")
    _spend(house.world, "user-1", 20)
    house.world.clock.advance(timedelta(days=9).total_seconds())
    told = [line_of(fact, fee_minor=-4) for fact in facts[1:3]]  # the bill knows nothing of the fourth
    wrong = line_of(facts[0], amount_minor=500, fee_minor=-4)
    trades = [*told, wrong, line_of(refund), alien_line("t-alien", str(house.ordered("nobody")))]
    funds = [
        *(replace(each, fee_minor=0) for each in trades),
        *(line(f"fee {number}", LineKind.FEE, -4, NOON) for number in range(3)),
        line("payout", LineKind.PAYOUT, -1000, NOON),
    ]
    return {"trade": bill_bytes_of(trades), "funds": bill_bytes_of(funds)}


def _spend(world: World, user: str, amount: int) -> None:
    wanted = Spend(user, "coin", amount, "a spend", environment="sandbox")
    world.core.whole.transact(lambda tx: ledger.spend(tx, slot_of_user(user), wanted))


def test_killed_at_any_step_of_the_night_the_books_of_money_end_as_if_nobody_was_killed(tmp_path: Path) -> None:
    night = _evening(tmp_path / "evening.sqlite3")
    undisturbed = night(tmp_path / "undisturbed.sqlite3")
    steps = count_steps(undisturbed.url, undisturbed.run)
    books = undisturbed.end()
    assert steps > KILLS
    assert all(books.values())
    for at in sorted({1 + number * (steps - 1) // (KILLS - 1) for number in range(KILLS)}):
        killed = night(tmp_path / f"killed-{at}.sqlite3")
        kill_at(killed.url, killed.run, at, steps)
        assert killed.end() == books, f"killed at step {at} of {steps}"
