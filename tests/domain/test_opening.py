"""Lines of what users had before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.ledger import Lot, system, wallet
from app.domain.opening import BadLine, opening_line

NOW = datetime(2026, 11, 28, tzinfo=UTC)
GOOD = {
    "id": "legacy-7",
    "user": "user-1",
    "asset": "coin",
    "amount": "60",
    "bonus": "false",
    "value": "6.00",
    "currency": "CNY",
    "product": "coins-60",
    "expires_at": "2027-01-01T00:00:00+08:00",
    "environment": "",
}


def test_a_line_is_a_lot_that_comes_from_the_opening_account() -> None:
    line = opening_line(GOOD, NOW)
    transfer = line.transfer("operator:ann")
    assert (transfer.debit, transfer.credit) == (system("opening", "coin"), wallet("user-1", "coin"))
    assert transfer.amount == 60
    expires_at = datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert transfer.lot == Lot(False, expires_at, "", "coins-60", 600, "CNY")


def test_only_five_columns_are_needed_and_what_has_no_value_says_so() -> None:
    cells = {name: GOOD[name] for name in ("id", "user", "asset", "amount", "bonus")}
    assert opening_line(cells, NOW).lot == Lot(False)
    assert opening_line({**cells, "value": "0", "currency": "CNY"}, NOW).lot == Lot(False)


@pytest.mark.parametrize(
    ("cell", "text", "said"),
    [
        ("id", "", "id: 1 to 64"),
        ("id", "x" * 65, "id: 1 to 64"),
        ("user", " user-1", "user: empty, or with blanks"),
        ("user", "u" * 129, "not an account name"),
        ("asset", "co in", "not an asset"),
        ("amount", "-1", "amount: not a whole number"),
        ("amount", "1.5", "amount: not a whole number"),
        ("amount", "٣", "amount: not a whole number"),
        ("amount", "0", "an amount is between 1"),
        ("amount", "9999999999999999999", "an amount is between 1"),
        ("bonus", "yes", "bonus: true or false"),
        ("bonus", "true", "value: a bonus has none"),
        ("value", "6.001", "value: "),
        ("value", "-6.00", "value: "),
        ("value", "6e2", "value: "),
        ("value", "", "value and currency: one of them is missing"),
        ("currency", "cny", "value: "),
        ("expires_at", "2027-01-01", "expires_at: without a time zone"),
        ("expires_at", "soon", "expires_at: not an ISO 8601 time"),
        ("expires_at", "2026-11-28T00:00:00Z", "expires_at: these coins have expired already"),
        ("environment", "test", "not an environment"),
        ("product", "p" * 129, "at too great length"),
    ],
)
def test_a_line_that_cannot_be_booked_says_which_cell_and_why(cell: str, text: str, said: str) -> None:
    with pytest.raises(BadLine) as refused:
        opening_line({**GOOD, cell: text}, NOW)
    assert said in str(refused.value)
