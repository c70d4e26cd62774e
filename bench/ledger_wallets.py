"""Real wallets: packs of 60 + 6 and 300 + 30 coins, spends of 1 to 200, a new pack when the coins run out.

    .venv/bin/python -m bench.ledger_wallets --seconds 5 --rounds 3

Every commit is durable. The line beside it is the plain spend out of one lot of 10^9 coins, measured in turns with it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.orm import sessionmaker

from app.domain.ledger import ISSUANCE, Lot, Posted, Transfer, system, wallet
from app.domain.spending import Spend
from app.services.base.transaction import Sessions
from app.services.ledger import post, spend
from bench import ledger
from tests.support.ledger_core import books_at

USERS = 200
AT = datetime(2026, 3, 1, tzinfo=UTC)
PACKS = ((60, 6, 600), (300, 30, 3000))
MOST = 200


def slot_of(user: int) -> int:
    return user % 16


def buy(sessions: Sessions, user: int, dice: random.Random) -> None:
    """What a paid order books: money, the coins paid for, and the bonus."""
    paid, bonus, cents = dice.choice(PACKS)
    number = uuid.uuid4().hex
    mine, issue = wallet(f"w{user}", "coin"), system(ISSUANCE, "coin")
    order = [
        Transfer("paid", number, system("clearing:bench", "CNY"), system("sales", "CNY"), cents, "payment", number),
        Transfer("coins", number, issue, mine, paid, "purchase", lot=Lot(False, None, number, "pack", cents, "CNY")),
        Transfer("bonus", number, issue, mine, bonus, "bonus", lot=Lot(True, None, number, "pack")),
    ]
    books_at(sessions, AT).transact(lambda tx: post(tx, slot_of(user), order))


def wallets(sessions: Sessions, seconds: float, seed: int) -> tuple[float, float]:
    """Spends and purchases a second in real wallets."""
    dice, spends, bought = random.Random(seed), 0, 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        user = dice.randrange(USERS)
        request = Spend(f"w{user}", "coin", dice.randint(1, MOST), uuid.uuid4().hex)
        answer = books_at(sessions, AT).transact(partial(spend, slot=slot_of(user), request=request))
        spends += isinstance(answer, Posted)
        if not isinstance(answer, Posted):
            buy(sessions, user, dice)
            bought += 1
    return spends / seconds, bought / seconds


def plain(sessions: Sessions, seconds: float, seed: int) -> tuple[float, float]:
    """Spends a second out of one lot."""
    done, ends, dice = 0, time.monotonic() + seconds, random.Random(seed)
    while time.monotonic() < ends:
        ledger.spend_once(sessions, dice.randrange(1000), "revenue")
        done += 1
    return done / seconds, 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    given = parser.parse_args()
    with ledger.database(ledger.server(), 10_000) as url, ledger.engine(url) as engine:
        sessions = sessionmaker(engine, expire_on_commit=False)
        turns: list[Callable[[Sessions, float, int], tuple[float, float]]] = [wallets, plain]
        for measure in turns:
            measure(sessions, 1.0, 0)  # prepares statements, makes accounts
        found: dict[str, list[tuple[float, float]]] = {}
        for number in range(given.rounds):
            for measure in turns:
                found.setdefault(measure.__name__, []).append(measure(sessions, given.seconds, number + 1))
        for name, rounds in found.items():
            spends, bought = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(f"{name}: {spends:.0f} spends and {bought:.0f} purchases a second")


if __name__ == "__main__":
    main()
