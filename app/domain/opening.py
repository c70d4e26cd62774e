"""What users had before the service kept their wallets: one line of a table for each lot of coins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from app.domain.import_lines import BadLine, Cells, moment_in
from app.domain.ledger import InvalidTransfer, Lot, Transfer, system, wallet
from app.domain.money import MoneyError, parse_decimal
from app.domain.spending import GRANT

OPENING = "opening"
"""The kind of these transfers, and the system account that they come from: what the house owed from the start."""
SEALED_KINDS = (GRANT, OPENING)
"""Coins that no fact brought into a wallet: nothing else proves that the service booked these transfers."""
COLUMNS = ("id", "user", "asset", "amount", "bonus", "value", "currency", "product", "expires_at", "environment")
"""`id` names the line for ever; `amount` are coins; `bonus` is true or false; `value` is the money that was paid for
these coins, as a decimal text in `currency`, empty where that is not known."""
NEEDED = frozenset({"id", "user", "asset", "amount", "bonus"})
LONGEST_LINE_ID = 64
_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class OpeningLine:
    """Coins that one user had, with where they came from."""

    id: str
    user_id: str
    asset: str
    environment: str
    amount: int
    lot: Lot

    def transfer(self, actor: str) -> Transfer:
        """Raises InvalidTransfer where a text is too long, or the asset is no name of one."""
        return Transfer(
            scope=f"{OPENING}:{self.user_id}",
            key=self.id,
            debit=system(OPENING, self.asset, self.environment),
            credit=wallet(self.user_id, self.asset, self.environment),
            amount=self.amount,
            kind=OPENING,
            reference=self.id,
            actor=actor,
            lot=self.lot,
        )


def opening_line(cells: Cells, now: datetime) -> OpeningLine:
    """The line with these cells, by the names in COLUMNS; a column that is not there is empty. Raises BadLine."""
    try:
        return _line(cells, now)
    except InvalidTransfer as error:
        raise BadLine(str(error)) from None


def _line(cells: Cells, now: datetime) -> OpeningLine:
    name, user, amount = cells["id"], cells["user"], cells["amount"]
    if not name or len(name) > LONGEST_LINE_ID or not name.isprintable():
        raise BadLine(f"id: 1 to {LONGEST_LINE_ID} printable characters")
    if not user or user != user.strip() or not user.isprintable():
        raise BadLine("user: empty, or with blanks around it, or not printable")
    if not _NUMBER.fullmatch(amount):
        raise BadLine(f"amount: not a whole number of coins: {amount[:24]!r}")
    bonus = _TRUTH.get(cells["bonus"].lower())
    if bonus is None:
        raise BadLine(f"bonus: true or false, not {cells['bonus'][:24]!r}")
    value, currency = _value(cells, bonus=bonus)
    lot = Lot(bonus, _expiry(cells, now), "", cells.get("product", ""), value, currency)
    line = OpeningLine(name, user, cells["asset"], cells.get("environment", "") or "live", int(amount), lot)
    line.transfer("check")
    return line


def _value(cells: Cells, *, bonus: bool) -> tuple[int, str]:
    value, currency = cells.get("value", ""), cells.get("currency", "")
    if not value and not currency:
        return 0, ""
    if bonus:
        raise BadLine("value: a bonus has none")
    if not value or not currency:
        raise BadLine("value and currency: one of them is missing")
    try:
        minor = parse_decimal(value, currency).minor
    except MoneyError as error:
        raise BadLine(f"value: {error}") from None
    if minor < 0:
        raise BadLine("value: below zero")
    return (minor, currency) if minor else (0, "")


def _expiry(cells: Cells, now: datetime) -> datetime | None:
    expires_at = moment_in(cells, "expires_at")
    if expires_at is not None and expires_at <= now:
        raise BadLine("expires_at: these coins have expired already")
    return expires_at
