"""What counts as balanced, without a database."""

from __future__ import annotations

from datetime import UTC, datetime

from app.cli.reports import as_table
from app.domain.trial_balance import BalanceHeading, Sums, as_json, draw_up

AT = datetime(2026, 3, 1, tzinfo=UTC)
ISSUANCE = BalanceHeading("coin", "live", False, "issuance")
WALLET, DEBT = BalanceHeading("coin", "live", True, "wallet"), BalanceHeading("coin", "live", True, "debt")
SALES = BalanceHeading("CNY", "live", False, "sales")


def test_sheets_are_by_asset_and_environment_and_the_house_comes_first() -> None:
    sandbox = BalanceHeading("coin", "sandbox", True, "wallet")
    found = draw_up(AT, {WALLET: Sums(0, 5), ISSUANCE: Sums(5, 0), sandbox: Sums(), SALES: Sums()})
    assert [(sheet.asset, sheet.environment) for sheet in found.sheets] == [
        ("CNY", "live"),
        ("coin", "live"),
        ("coin", "sandbox"),
    ]
    assert [line.code for line in found.sheets[1].lines] == ["issuance", "wallet"]
    assert found.balanced


def test_one_leg_without_the_other_is_not_balanced() -> None:
    assert not draw_up(AT, {ISSUANCE: Sums(5, 0)}).balanced


def test_two_accounts_that_are_wrong_by_opposite_amounts_are_not_balanced() -> None:
    totals = {ISSUANCE: Sums(5, 0), WALLET: Sums(0, 5), DEBT: Sums(3, 3)}
    assert draw_up(AT, totals, {WALLET: 5, DEBT: 0}).balanced
    found = draw_up(AT, totals, {WALLET: 7, DEBT: -2})
    assert found.sheets[0].balance == 0
    assert not found.balanced


def test_a_balance_without_any_leg_is_shown() -> None:
    found = draw_up(AT, {}, {WALLET: 9, DEBT: 0})
    assert [(line.code, line.balance, line.difference) for line in found.sheets[0].lines] == [("wallet", 9, 9)]
    assert not found.balanced


def test_the_table_says_what_is_wrong_where_it_is_wrong() -> None:
    found = draw_up(AT, {ISSUANCE: Sums(2**64, 0), WALLET: Sums(0, 2**64)}, {WALLET: 2**64 + 1})
    assert list(as_table(found, UTC)) == [
        "trial balance at 2026-03-01 00:00:00+0000",
        "",
        "coin live",
        "  account                      debits               credits                balance",
        "  issuance       18446744073709551616                     0  -18446744073709551616",
        "  users: wallet                     0  18446744073709551616   18446744073709551617"
        "  differs from its legs by 1",
        "  total          18446744073709551616  18446744073709551616                      1  NOT BALANCED",
    ]


def test_as_json_sums_are_text() -> None:
    found = draw_up(AT, {ISSUANCE: Sums(2**64, 0), WALLET: Sums(0, 2**64)})
    assert as_json(found.sheets[0]) == {
        "asset": "coin",
        "environment": "live",
        "balanced": True,
        "debits": "18446744073709551616",
        "credits": "18446744073709551616",
        "balance": "0",
        "lines": [
            {
                "account": "issuance",
                "owner": "house",
                "debits": "18446744073709551616",
                "credits": "0",
                "balance": "-18446744073709551616",
            },
            {
                "account": "wallet",
                "owner": "users",
                "debits": "0",
                "credits": "18446744073709551616",
                "balance": "18446744073709551616",
            },
        ],
    }
