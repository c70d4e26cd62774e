"""Money as whole minor units. No float and no rounding come near it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

MAX_MINOR = 2**63 - 1

# ISO 4217 currencies whose minor unit is not a hundredth; every other one here is.
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
_EXPONENTS = dict.fromkeys(_WHOLE.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,18})(\.[0-9]{1,3})?", re.ASCII)


class MoneyError(ValueError):
    """The text or number is not an exact amount of that currency."""


@dataclass(frozen=True, slots=True)
class Money:
    """A non-negative amount: `minor` units of the ISO 4217 `currency`."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int or not 0 <= self.minor <= MAX_MINOR:
            raise MoneyError(f"not an amount in minor units: {self.minor!r}")
        if not _CURRENCY.fullmatch(self.currency):
            raise MoneyError(f"not an ISO 4217 currency: {self.currency!r}")

    def decimal(self) -> str:
        """The amount as providers write it: `6.00` for 600 CNY, `600` for 600 JPY."""
        digits = exponent(self.currency)
        return f"{Decimal(self.minor).scaleb(-digits):.{digits}f}"


def is_currency_code(text: str) -> bool:
    """Whether the text is written as currencies are: three capital letters."""
    return _CURRENCY.fullmatch(text) is not None


def exponent(currency: str) -> int:
    """How many decimal places the currency's minor unit has (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


def parse_decimal(text: str, currency: str) -> Money:
    """Read a decimal text exactly: `6`, `6.0` and `6.00` are 600 CNY. Raises MoneyError for anything else."""
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise MoneyError("not a plain decimal amount")
    scaled = Decimal(text).scaleb(_EXPONENTS.get(currency, 2))
    if scaled != scaled.to_integral_value():
        raise MoneyError("more decimal places than the currency has")
    return Money(int(scaled), currency)
