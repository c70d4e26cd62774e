"""What the tests of the ledger share: a user, some coins, and short names for the usual calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from app.domain.ledger import ISSUANCE, AccountName, Lot, Posted, Refused, Transfer, system, wallet
from app.domain.limits import LedgerRules
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend
from app.services.audit.ledger import AsOf, AuditState, audit_slot
from app.services.base.context import Place, Tx
from app.services.base.transaction import Sessions, read
from app.services.ledger import Balance, Line, balance, post, spend, statement
from app.services.ledger.batches import BatchResult, book_batch
from app.services.ledger.expiry import expire_due
from app.services.ledger.ledger_transaction import LedgerTransaction
from tests.support.ledger_core import books_at

T = TypeVar("T")
P = ParamSpec("P")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class WalletOwner:
    """One user of a ledger, and a clock that stands still until told."""

    _names = itertools.count()
    _slots: ClassVar[set[int]] = set()

    def __init__(self, sessions: Sessions, rules: LedgerRules | None = None) -> None:
        self.sessions = sessions
        names = (f"user-{number}" for number in self._names)
        # A slot of its own: the audit of one user's slot then never speaks of another's.
        self.user = next(name for name in names if slot_of_user(name) not in self._slots)
        self._slots.add(slot_of_user(self.user))
        self.rules = rules or LedgerRules()
        self.now = NOW
        self._keys = itertools.count()

    @property
    def slot(self) -> int:
        return slot_of_user(self.user)

    @property
    def books(self) -> Place:
        """The database, in which it is now, under the rules of this user's ledger."""
        return books_at(self.sessions, self.now, self.rules)

    def wallet(self, asset: str = "coin") -> AccountName:
        return wallet(self.user, asset)

    def do(self, work: Callable[Concatenate[Tx, int, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a service in a transaction of its own: with that, the slot, and the arguments."""
        return self.books.transact(lambda tx: work(tx, self.slot, *args, **kwargs))

    def credit(self, amount: int, *, asset: str = "coin", key: str = "", lot: Lot | None = None) -> Posted:
        issue = system(ISSUANCE, asset)
        transfer = Transfer(
            f"test {self.user}",
            key or self._key(),
            issue,
            self.wallet(asset),
            amount,
            "grant",
            lot=lot or Lot(bonus=False),
        )
        return self.do(post, [transfer])[0]

    def spend(self, amount: int, key: str = "", **more: Any) -> Posted | Refused:
        return self.do(spend, Spend(self.user, more.pop("asset", "coin"), amount, key or self._key(), **more))

    def do_batch(self, items: list[Spend | Transfer]) -> BatchResult:
        return self.books.transact(lambda tx: book_batch(tx, items, all_or_nothing=False))

    def freeze(self) -> None:
        """As the service that freezes does, but for the entry in its own table."""
        wallet_ = self.wallet()

        def work(tx: Tx) -> None:
            with LedgerTransaction(tx, [(self.slot, wallet_)]) as books:
                book = books.book(self.slot, wallet_)
                book.frozen = True
                books.touch(book)

        self.books.transact(work)

    def sweep(self) -> int:
        return expire_due(self.books)

    def balance(self, asset: str = "coin") -> Balance:
        return read(self.sessions, lambda tx: balance(tx, self.slot, self.wallet(asset)))

    def lines(self, asset: str = "coin") -> tuple[Line, ...]:
        return read(self.sessions, lambda tx: statement(tx, self.slot, self.wallet(asset), limit=500)).lines

    def findings(self) -> list[str]:
        """What the audit of the user's slot finds, as `table row: what`."""
        state = AuditState()
        audit_slot(self.sessions, self.slot, state, as_of=AsOf(self.rules, lambda: self.now))
        return [f"{finding.table} {finding.row}: {finding.what}" for finding in state.findings]

    def _key(self) -> str:
        return f"key-{next(self._keys)}"


def code(answer: object) -> str:
    """The code of a refusal; empty for anything else."""
    return answer.code if isinstance(answer, Refused) else ""
