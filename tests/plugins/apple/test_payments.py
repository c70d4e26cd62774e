"""The payments table: what is paid is read by the columns' names and checked; what is not paid is not read."""

from __future__ import annotations

import pytest

from app.providers import PayoutPart, UnreadableBill
from plugins.apple.reports.payments import MAX_PAYMENTS_BYTES, read_payments

TITLE = '"iTunes Connect - Payments and Financial Reports\t(July, 2026)",,,,,,,,,,,,\n,,,,,,,,,,,,\n'
NAMES = "Units Sold,Earned,Pre-Tax Subtotal,Input Tax,Adjustments,Withholding Tax,Total Owed,Exchange Rate,Proceeds"
HEAD = f"Country or Region (Currency),{NAMES},Bank Account Currency,\n"
ROWS = (
    '"China (CNY)","120","700.00","700.00","0","0","-20.00","680.00","1.00000","680.00","CNY",\n'
    '"Japan (JPY)","3","300","300","0","0","-61","239","0.04800","11.47","CNY",\n'
    '"Americas (USD)","9","1,050.10","1,050.10","0","-0.10","0","1,050.00","7.10000","7,455.00","CNY",\n'
    '"Rest of World (USD)","1","0.70","0.70","0","0","0","0.70","7.10000","4.97","CNY",\n'
)
PAID = ',,,,,,,,,,,,\n,,,,,,,,,,"8,151.44" CNY,,\n,,,,,,,,,,Paid to SOME BANK -****1299,,\n'
TABLE = TITLE + HEAD + ROWS + PAID
CARRIED = ',,,,,,,,,,,,\n{head}"Norway (NOK)","1","10.64","10.64","0","0","0","10.64","","","CNY",\n,,,,,,,,,,,,\n'


def read(table: str) -> list[tuple[str, int, int, int]]:
    [payout] = read_payments(table.encode())
    assert (payout.period, payout.bank_minor, payout.bank_currency) == ("2026-07", 8151_44, "CNY")
    return [(part.currency, part.paid_minor, part.withheld_minor, part.adjusted_minor) for part in payout.parts]


def test_each_currency_is_what_came_to_the_bank_what_was_withheld_and_what_was_corrected() -> None:
    wanted = [("CNY", 680_00, 20_00, 0), ("JPY", 239, 61, 0), ("USD", 1050_70, 0, -10)]
    assert read(TABLE) == wanted
    assert PayoutPart("USD", 1050_70, 0, -10, 7459_97).settled_minor == 1050_80, (
        "what was earned, in all regions of a currency"
    )
    assert read("\ufeff" + TABLE.replace("\n", "\r\n")) == wanted
    assert read(TABLE + CARRIED.format(head=HEAD)) == wanted, "what is below the threshold is carried over"
    for name in ("Territory", "Region"):
        assert read(TABLE.replace("Country or Region", name)) == wanted


def test_each_currency_says_what_became_of_it_in_the_banks_so_that_the_rate_is_known() -> None:
    [payout] = read_payments(TABLE.encode())
    in_bank = {part.currency: part.bank_minor for part in payout.parts}
    assert in_bank == {"CNY": 680_00, "JPY": 11_47, "USD": 7459_97}
    assert sum(in_bank.values()) == payout.bank_minor


def test_columns_are_found_by_name_and_may_be_missing() -> None:
    head = "Country or Region (Currency),Units Sold,Balance,Earned,Input Tax,Adjustments,Withholding Tax,Total Owed,"
    row = "Mexico (MXN),19,4.00,2999.72,0,479.92,0,3483.64,3483.64,MXN\n"
    paid = ",,\n3483.64 MXN,,\nPaid to SOME BANK\n"
    [payout] = read_payments((TITLE + head + "Proceeds,Bank Account Currency\n" + row + paid).encode())
    assert [(part.paid_minor, part.adjusted_minor, part.settled_minor) for part in payout.parts] == [
        (3483_64, 479_92, 3003_72)
    ], "what was carried over before is paid, too"


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (TITLE + HEAD + ROWS, "nothing is paid yet"),
        (TITLE + HEAD + ROWS + PAID.replace("Paid to", "Estimated"), "nothing is paid yet"),
        (TITLE.replace("July", "Juli") + HEAD + ROWS + PAID, "in English"),
        ("国家或地区 (货币),销量,收入\n", "in English"),
        ("", "in English"),
        (TABLE.replace("8,151.44", "8,151.43"), "do not come to the sum"),
        (TABLE.replace('"680.00","1.0', '"681.00","1.0'), "total owed is not what its columns come to"),
        (TABLE.replace("(JPY)", ""), "names no currency"),
        (TABLE.replace('"11.47","CNY"', '"11.47","EUR"'), "another currency than CNY"),
        (TABLE.replace('"8,151.44" CNY', "much"), "no sum with its currency"),
        (TABLE.replace("Withholding Tax", "Tax"), "without the column 'withholding tax'"),
        (TABLE.replace('"-61"', '"6e1"'), "is no amount"),
        (" " * (MAX_PAYMENTS_BYTES + 1), "larger than any"),
    ],
)
def test_what_is_not_paid_or_not_whole_is_refused(table: str, why: str) -> None:
    with pytest.raises(UnreadableBill, match=why):
        read_payments(table.encode())


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(UnreadableBill, match="no CSV file"):
        read_payments(b"PK\x03\x04\xff\xfe")
