"""The arithmetic of one account under its lock: balance, version, chain, lots, what is spent today. No database.

A wallet's coins lie in lots. Spends take from the *open* lot, whose remainder the account carries itself, so that the
usual spend touches one row; the other lots are loaded only when it runs out, expires or may not be the first any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.domain.account_events import Mark, first_head
from app.domain.ledger import EXPIRED, EXPIRY, MAX_AMOUNT, AccountName, BalanceOverflow, Transfer, next_head, system
from app.domain.limits import Periods
from app.domain.lots import LotLeft, SpendOrder, fresh_and_stale, plan, preferring, rank, rank_of_now

RECHECK = 0
"""In place of a spend order: another lot may come before the open one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a posting left in its book."""

    version: int
    balance: int
    lot: int
    uses: Sequence[tuple[int, int]]
    hash: bytes
    at_us: int


@dataclass(slots=True)
class Book:
    """An account that keeps a balance, or a journal. The caller holds the lock on its row."""

    slot: int
    id: int
    name: AccountName
    frozen: bool
    balance: int
    held: int
    floor: int
    version: int
    changed_us: int
    open_lot: int
    open_left: int
    open_rank: int
    open_order: int
    day: int
    day_spent: int
    month: int
    month_spent: int
    head: bytes
    marks: int = 0
    marks_head: bytes | None = None
    """The end of the chain of marks; None while there are none."""
    open_version: int | None = 0
    """The version at which the open lot was opened; None: not known (an account from before this was written down)."""
    lots: dict[int, LotLeft] | None = None
    """Every lot with something left, once loaded; the open one is then closed."""
    written: dict[int, int] = field(default_factory=dict)
    """Remainders that are to be written to the lots' own rows."""

    @property
    def available(self) -> int:
        return self.balance - self.held

    # --- postings ---

    def note(self, fingerprint: bytes, at_us: int) -> Entry:
        """A posting that moves nothing here: the journal only chains it."""
        return self._chained(fingerprint, at_us, 0, 0, ())

    def credit(self, amount: int, fingerprint: bytes, at_us: int) -> Entry:
        """Into an account without lots."""
        return self._chained(fingerprint, at_us, amount, 0, ())

    def credit_lot(self, amount: int, lot: LotLeft, fingerprint: bytes, order: SpendOrder, at_us: int) -> Entry:
        """Into a wallet, as a new lot. The lot gets the new version as its name."""
        empty = self.balance == 0
        lot.version = self.version + 1
        lot.remaining = amount
        entry = self._chained(fingerprint, at_us, amount, lot.version, ())
        if self.lots is not None:
            self.lots[lot.version] = lot
        elif empty and not lot.expired(at_us):
            self._open(lot, order)
        elif self.open_left == 0 or self.open_order != order or rank(lot.expires_us, lot.bonus, order) < self.open_rank:
            self.open_order = RECHECK
        return entry

    def covers(self, amount: int, order: SpendOrder, at_us: int) -> bool:
        """Whether the open lot alone can give it: the usual case, in which no other lot need be looked at."""
        usable = self.open_order == order and self.open_rank > rank_of_now(at_us)
        return self.lots is None and usable and self.open_left >= amount

    def take(self, amount: int, fingerprint: bytes, at_us: int, order: SpendOrder, prefer: int | None = None) -> Entry:
        """Out of a wallet, from its lots in spend order (but `prefer` first). The caller has checked `available`.

        Coins that have expired and are still here are kept by a hold. There are at most as many as are held, so what
        is available is always fresh.
        """
        if prefer is None and self.covers(amount, order, at_us):
            self.open_left -= amount
            return self._chained(fingerprint, at_us, -amount, self.open_lot, ())
        fresh, _ = self._split(order, at_us)
        return self._take_from(preferring(fresh, prefer), amount, fingerprint, at_us)

    def take_held(self, amount: int, fingerprint: bytes, at_us: int, order: SpendOrder) -> Entry:
        """Out of what a hold kept: expired coins that it saved from expiry go first."""
        fresh, stale = self._split(order, at_us)
        return self._take_from([*stale, *fresh], amount, fingerprint, at_us)

    def take_back(self, amount: int, first: Sequence[int], fingerprint: bytes, at_us: int, order: SpendOrder) -> Entry:
        """Out of a wallet, from these lots first (those of a refunded purchase), else as `take_held`."""
        fresh, stale = self._split(order, at_us)
        lots = {lot.version: lot for lot in (*stale, *fresh)}
        named = [lots.pop(version) for version in first if version in lots]
        return self._take_from([*named, *lots.values()], amount, fingerprint, at_us)

    def take_lot(self, version: int, amount: int, fingerprint: bytes, at_us: int) -> Entry:
        """Out of exactly that lot (expiry)."""
        return self._take_from([self._loaded()[version]], amount, fingerprint, at_us)

    def debit(self, amount: int, fingerprint: bytes, at_us: int) -> Entry:
        """Out of an account without lots."""
        return self._chained(fingerprint, at_us, -amount, 0, ())

    def give_back(self, uses: Sequence[tuple[int, int]], fingerprint: bytes, at_us: int) -> Entry:
        """Into a wallet, back into the lots that it came from. They must be loaded."""
        lots = self._loaded()
        for version, amount in uses:
            lots[version].remaining += amount
            self.written[version] = lots[version].remaining
        total = sum(amount for _, amount in uses)
        return self._chained(fingerprint, at_us, total, *_one_or_many(uses))

    # --- lots ---

    def load(self, lots: Iterable[LotLeft]) -> None:
        """Take the lots in hand and close the open one: from now on they tell what is left of each."""
        self.lots = {lot.version: lot for lot in lots}
        if self.open_lot:
            self._close()

    def expiring(self, order: SpendOrder, at_us: int) -> list[tuple[int, int]]:
        """(lot, amount) of what has expired beyond what holds keep: a hold keeps as many coins as it reserves."""
        stale = self._split(order, at_us)[1]
        loose = sum(lot.remaining for lot in stale) - self.held
        due = []
        for lot in stale:
            amount = min(lot.remaining, loose)
            if amount > 0:
                due.append((lot.version, amount))
                loose -= amount
        return due

    def expiry(self, lot: int, amount: int) -> Transfer:
        """What moves so much of a lot out of the wallet. A lot can expire in parts, as holds let go of it, so the
        version is in the key."""
        return Transfer(
            scope="expiry",
            key=f"{self.id}:{lot}:{self.version}",
            debit=self.name,
            credit=system(EXPIRED, self.name.asset, self.name.environment),
            amount=amount,
            kind=EXPIRY,
        )

    def settle(self, order: SpendOrder, at_us: int) -> None:
        """When all is done: open the first usable lot again."""
        if self.lots is None:
            return
        fresh, _ = self._split(order, at_us)
        if fresh:
            self._open(fresh[0], order)

    # --- what a user spends ---

    def moment(self, at_us: int) -> int:
        """When something at that time happens here: not before the last posting, if the clocks of two machines differ.
        It is the time of the posting, and its day and month are those in which a spend counts."""
        return max(self.changed_us, at_us)

    def spent(self, today: Periods) -> tuple[int, int]:
        """How much in the day and the month of that moment; in later ones, if the counters are there already."""
        return (self.day_spent if self.day >= today.day else 0, self.month_spent if self.month >= today.month else 0)

    def count_spent(self, amount: int, today: Periods) -> None:
        """The counters never go back to an earlier day or month: so they are always what the books say about theirs."""
        day, month = self.spent(today)
        if today.day >= self.day:
            self.day, self.day_spent = today.day, min(day + amount, MAX_AMOUNT)
        if today.month >= self.month:
            self.month, self.month_spent = today.month, min(month + amount, MAX_AMOUNT)

    def uncount_spent(self, amount: int, then: Periods) -> None:
        """Coins came back that were spent at `then`: they count no more, if that day or month is still running."""
        if self.day == then.day:
            self.day_spent = max(0, self.day_spent - amount)
        if self.month == then.month:
            self.month_spent = max(0, self.month_spent - amount)

    # --- what moves no coins ---

    def mark(self, mark: Mark) -> bytes:
        """Continue the chain of marks; the new head."""
        self.marks += 1
        self.marks_head = mark.after(self.marks_head or first_head(self.slot, self.name))
        return self.marks_head

    # --- inside ---

    def _loaded(self) -> dict[int, LotLeft]:
        if self.lots is None:
            raise RuntimeError("the lots of this account are not loaded")
        return self.lots

    def _split(self, order: SpendOrder, at_us: int) -> tuple[list[LotLeft], list[LotLeft]]:
        return fresh_and_stale(self._loaded().values(), order, at_us)

    def _take_from(self, lots: Sequence[LotLeft], amount: int, fingerprint: bytes, at_us: int) -> Entry:
        uses = plan(lots, amount)
        if uses is None:
            raise RuntimeError(f"the lots of account {self.id} hold less than its balance; run the audit")
        loaded = self._loaded()
        for version, used in uses:
            loaded[version].remaining -= used
            self.written[version] = loaded[version].remaining
        return self._chained(fingerprint, at_us, -amount, *_one_or_many(uses))

    def _open(self, lot: LotLeft, order: SpendOrder) -> None:
        if self.open_lot not in (0, lot.version):
            self._close()
        self.open_lot, self.open_left, self.open_order = lot.version, lot.remaining, order
        self.open_rank, self.open_version = rank(lot.expires_us, lot.bonus, order), self.version

    def _close(self) -> None:
        self.written[self.open_lot] = self.open_left
        if self.lots is not None and self.open_lot in self.lots:
            self.lots[self.open_lot].remaining = self.open_left
        self.open_lot = self.open_left = self.open_rank = self.open_version = 0
        self.open_order = RECHECK

    def _chained(self, fingerprint: bytes, at_us: int, delta: int, lot: int, uses: Sequence[tuple[int, int]]) -> Entry:
        if self.balance + delta > MAX_AMOUNT:
            raise BalanceOverflow(f"the balance of {self.name.code} in {self.name.asset} would pass 2^63 - 1")
        self.changed_us = max(self.changed_us, at_us)  # as `moment` says
        self.balance += delta
        self.version += 1
        self.head = next_head(self.head, fingerprint, lot, self.changed_us, uses)
        return Entry(self.version, self.balance, lot, uses, self.head, self.changed_us)


def _one_or_many(uses: Sequence[tuple[int, int]]) -> tuple[int, Sequence[tuple[int, int]]]:
    """One lot is named by the transfer itself; several are listed."""
    return (uses[0][0], ()) if len(uses) == 1 else (0, uses)
