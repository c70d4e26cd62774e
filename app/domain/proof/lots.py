"""Proves the lots of one wallet: what is left of each, and that the open one may be open. No database.

Holds in memory only lots with something left, so a wallet may have been credited any number of times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.lots import SpendOrder, rank
from app.domain.proof.rows import Report, StoredAccount, StoredLot, StoredPosting

CLOCKS_DIFFER_US = 60_000_000
"""How far the clocks of two machines may be apart: what has expired for one has not yet for the other."""
_ORDERS = {order.value: order for order in SpendOrder}


@dataclass(slots=True)
class _Live:
    """A lot with something left, or whose row says so."""

    left: int
    stored: int
    lot: StoredLot | None
    """None for a lot that was used up, forgotten here, and got coins back."""


class LotsProof:
    """What postings make and use, and in the end what must be left."""

    def __init__(self, account: StoredAccount, report: Report) -> None:
        self.account = account
        self.report = report
        self._live: dict[int, _Live] = {}
        self._open: StoredLot | None = None
        self._left_at_opening: int | None = None
        self._last_made = 0

    def made_by(self, posting: StoredPosting, lot: StoredLot | None) -> StoredLot | None:
        """The posting makes a lot, and this is the one that bears its version."""
        if lot is None:
            self.report("transfers", posting.id, "the lot that it made is missing")
            self._live[posting.version] = _Live(posting.amount, posting.amount, None)
            return None
        if lot.granted != posting.amount or lot.created_at != posting.at:
            self._wrong(lot.version, "it is not as its posting made it")
        self._last_made = lot.version
        stored = lot.remaining
        if lot.version == self.account.open_lot:
            self._open, stored = lot, self.account.open_left
        self._live[lot.version] = _Live(posting.amount, stored, lot)
        return lot

    def stray(self, lot: StoredLot) -> None:
        self._wrong(lot.version, "no posting made it")

    def use(self, posting: StoredPosting, sign: int, uses: Sequence[tuple[int, int]]) -> None:
        """The posting takes coins from lots (sign -1), or gives them back (1)."""
        used = uses if posting.lot == 0 else ((posting.lot, posting.amount),)
        if sum(amount for _, amount in used) != posting.amount or (uses and posting.lot):
            self.report("transfers", posting.id, "the lots that it used do not sum to it")
        for version, amount in used:
            live = self._live.get(version)
            if live is None:
                live = self._live[version] = _Live(0, 0, None)
            live.left += sign * amount
            if live.left < 0 or (live.lot is not None and live.left > live.lot.granted):
                self.report("transfers", posting.id, f"lot {version} cannot have given or taken {amount}")
            if live.left == live.stored == 0 and version != self.account.open_lot:
                del self._live[version]

    def at_opening(self) -> None:
        """The posting just walked is the one after which the open lot was opened."""
        live = self._live.get(self.account.open_lot)
        self._left_at_opening = None if live is None else live.left

    def finish(self, now_us: int) -> None:
        """Compare what is stored: in the lots, and in the account about its open one."""
        for version, live in self._live.items():
            if live.left != live.stored:
                self._wrong(version, f"{live.stored} remain, derived {live.left}")
        wrong = self._no_open_lot() if self._open is None else self._open_lot(self._open)
        if wrong:
            self.report("accounts", self.account.id, wrong)
        if self._open is not None:
            self._remaining_of_open(self._open)
            self._is_first(self._open, now_us)

    def _no_open_lot(self) -> str:
        account = self.account
        if account.open_lot:
            return f"its open lot {account.open_lot} does not exist"
        if account.open_left or account.open_rank or account.open_order or account.open_version:
            return "it tells of an open lot, and has none"
        return ""

    def _open_lot(self, lot: StoredLot) -> str:
        """Rank and order belong together. No order means: look again, since another lot came in."""
        account = self.account
        if account.open_order not in (0, *_ORDERS):
            return f"there is no spend order {account.open_order}"
        orders = [_ORDERS[account.open_order]] if account.open_order else list(_ORDERS.values())
        if account.open_rank not in [rank(lot.expires_us, lot.bonus, order) for order in orders]:
            return f"open_rank {account.open_rank} is not that of its open lot"
        if not account.open_order and account.open_version is not None and self._last_made <= account.open_version:
            return "its open lot is to be looked for again, but none came in"
        return ""

    def _remaining_of_open(self, lot: StoredLot) -> None:
        """Its own row says what was left of it when it was opened."""
        if self.account.open_version is None:
            if not self.account.open_left <= lot.remaining <= lot.granted:
                self._wrong(lot.version, f"{lot.remaining} remained when it was opened: that cannot be")
        elif self._left_at_opening is None:
            self.report("accounts", self.account.id, f"there is no posting {self.account.open_version} to open a lot")
        elif lot.remaining != self._left_at_opening:
            self._wrong(lot.version, f"{lot.remaining} remained when it was opened, derived {self._left_at_opening}")

    def _is_first(self, lot: StoredLot, now_us: int) -> None:
        """Nothing that can be spent comes before it."""
        order = _ORDERS.get(self.account.open_order)
        if order is None:
            return
        mine = (rank(lot.expires_us, lot.bonus, order), lot.version)
        for version, live in self._live.items():
            other = live.lot
            if other is None or live.left <= 0 or other.expires_us <= now_us + CLOCKS_DIFFER_US:
                continue
            if (rank(other.expires_us, other.bonus, order), version) < mine:
                self.report("accounts", self.account.id, f"lot {version} comes before its open lot")

    def _wrong(self, version: int, what: str) -> None:
        self.report("lots", f"{self.account.id}/{version}", what)
