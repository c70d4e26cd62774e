"""Money is whole minor units, read and written exactly or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.money import MAX_MINOR, Money, MoneyError, exponent, parse_decimal

currencies = st.sampled_from(["CNY", "USD", "JPY", "KRW", "KWD"])


@given(st.integers(0, MAX_MINOR // 1000), currencies)
def test_what_is_written_reads_back_exactly(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert parse_decimal(money.decimal(), currency) == money


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("6", "CNY", 600), ("6.0", "CNY", 600), ("6.00", "CNY", 600), ("0.01", "CNY", 1), ("0", "CNY", 0),
     ("600", "JPY", 600), ("600.0", "JPY", 600), ("1.234", "KWD", 1234), ("6.000", "CNY", 600),
     ("600", "XOF", 600), ("600", "PYG", 600), ("600", "VND", 600), ("1.5", "IQD", 1500), ("6", "TWD", 600)],
)  # fmt: skip
def test_plain_decimals_are_read(text: str, currency: str, minor: int) -> None:
    assert parse_decimal(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    ["", " 6", "6 ", "6.", ".6", "-6", "+6", "06", "6,00", "6.005", "6e2", "1_0", "NaN", "Infinity", "٦", "6\n", "0x6",
     "6.0000", "9" * 20],
)  # fmt: skip
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        parse_decimal(text, "CNY")


@given(st.text(max_size=12))
def test_no_text_is_read_inexactly(text: str) -> None:
    try:
        money = parse_decimal(text, "CNY")
    except MoneyError:
        return
    whole, _, part = text.partition(".")
    assert money.minor == int(whole) * 100 + int((part + "00")[:2])
    assert set(part[2:]) <= {"0"}


@pytest.mark.parametrize("minor", [-1, MAX_MINOR + 1, 1.0, True, "1", None])
def test_an_amount_is_a_non_negative_63_bit_integer(minor: object) -> None:
    with pytest.raises(MoneyError):
        Money(minor, "CNY")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["", "cny", "CN", "CNYY", "CNÝ", "CNY\n"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    with pytest.raises(MoneyError):
        Money(1, currency)


def test_a_yen_has_no_parts_and_a_dinar_a_thousand() -> None:
    assert [exponent(currency) for currency in ("CNY", "JPY", "KWD")] == [2, 0, 3]
    assert (Money(600, "CNY").decimal(), Money(600, "JPY").decimal(), Money(1234, "KWD").decimal()) == (
        "6.00",
        "600",
        "1.234",
    )
