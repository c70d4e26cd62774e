"""What the tests of checkpoints share: a database of its own, random bookings at given times, and the naive sums."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select, text

from app.domain.ledger import AccountName, Transfer, system, wallet
from app.domain.numbers import slot_of_user
from app.domain.trial_balance import BalanceHeading, Sums, TrialBalance
from app.models.checkpoints import CHECKPOINTS
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.audit.checkpoints import audit_checkpoints
from app.services.base.transaction import Sessions, read, transact
from app.services.ledger import checkpoints, post
from app.services.ledger.trial_balance import trial_balance
from tests.support.ledger_core import books_at

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY_ONE = START.date()
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOUSE = ("issuance", "clearing:shop", "sales", "revenue", "transit")
USERS = tuple(f"user-{number}" for number in range(12))


@dataclass
class Books:
    """A ledger in a database of its own."""

    sessions: Sessions
    keys: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def book(self, debit: AccountName, credit: AccountName, amount: int, at: datetime) -> None:
        """One transfer in the slot of its user; between accounts of the house, in slot 7."""
        user = debit.user_id or credit.user_id
        transfer = Transfer("test", f"k{next(self.keys)}", debit, credit, amount, "test")
        books_at(self.sessions, at).transact(lambda tx: post(tx, slot_of_user(user) if user else 7, [transfer]))

    def issue(self, amount: int, at: datetime, user: str = "user-0") -> None:
        self.book(system("issuance", "coin"), wallet(user, "coin"), amount, at)

    def book_anything(self, chance: random.Random, at: datetime) -> None:
        """A random transfer: into a wallet, or between two accounts of the house."""
        asset, environment = chance.choice(("coin", "CNY")), chance.choice(("live", "sandbox"))
        debit, credit = (system(code, asset, environment) for code in chance.sample(HOUSE, 2))
        if chance.random() < 0.6:
            credit = wallet(chance.choice(USERS), asset, environment)
        self.book(debit, credit, chance.choice((1, 7, 600, 2**40 + 3, 2**55 + 1)), at)

    def run(self, sql: str, **values: object) -> None:
        """Change a row behind the service's back."""
        transact(self.sessions, lambda s: s.execute(text(sql), values))

    def work(self, now: datetime) -> int:
        """The worker's rounds until nothing is left; how many checkpoints were written."""
        done = 0
        while checkpoints.write_next(self.sessions, now=now):
            done += 1
        return done

    def days(self) -> list[date]:
        """The days of which there are checkpoints."""
        wanted = select(CHECKPOINTS.c.day).distinct().order_by(CHECKPOINTS.c.day)
        return list(read(self.sessions, lambda s: s.scalars(wanted).all()))

    def stored(self) -> list[checkpoints.Checkpoint]:
        days = self.days()
        return read(self.sessions, lambda s: [checkpoints.of_day(s, day) for day in days])

    def assert_checkpoints_are_right(self) -> None:
        """Each is what every row before it says."""
        for one in self.stored():
            assert one.totals == self.naive(one.end - timedelta(microseconds=1)), one.day
        assert self.audited() == []

    def trial(self, now: datetime, at: datetime | None = None) -> TrialBalance:
        return read(self.sessions, lambda s: trial_balance(s, now=now, at=at), snapshot=True)

    def audited(self) -> list[str]:
        return [f"{finding.what} {finding.detail}" for finding in audit_checkpoints(self.sessions)]

    def naive(self, until: datetime | None = None) -> dict[BalanceHeading, Sums]:
        """The sums over all legs up to and including that moment, by reading every row."""
        accounts = {
            (row.slot, row.id): BalanceHeading(row.asset, row.environment, row.user_id != "", row.code)
            for row in read(self.sessions, lambda s: s.execute(select(ACCOUNTS).prefix_with(sweep("audit"))).all())
        }
        sums: dict[BalanceHeading, Sums] = {}
        for row in read(self.sessions, lambda s: s.execute(select(TRANSFERS).prefix_with(sweep("audit"))).all()):
            if until is None or row.created_at <= until:
                for number, leg in ((row.debit_id, Sums(row.amount, 0)), (row.credit_id, Sums(0, row.amount))):
                    heading = accounts[row.slot, number]
                    sums[heading] = sums.get(heading, Sums()) + leg
        return sums


def shown(trial: TrialBalance) -> dict[BalanceHeading, tuple[int, int, int]]:
    """Debits, credits and balance of each line."""
    return {
        BalanceHeading(sheet.asset, sheet.environment, line.of_users, line.code): (
            line.debits,
            line.credits,
            line.balance,
        )
        for sheet in trial.sheets
        for line in sheet.lines
    }


def expected(sums: dict[BalanceHeading, Sums]) -> dict[BalanceHeading, tuple[int, int, int]]:
    return {heading: (one.debits, one.credits, one.balance) for heading, one in sums.items()}
