"""What a row of a provider's bill says, in neutral words. Plugins read bills into lines; the core keeps the lines, ties
them to payments and refunds, and books the fees and payouts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from app.domain.money import MAX_MINOR


class BillSide(StrEnum):
    """What a bill proves."""

    TRADES = "trades"
    """Payments and refunds, each with its fee. Two bills of this side name the same payments."""
    FUNDS = "funds"
    """Every change of the merchant's balance at the provider: payments, refunds, fees, payouts and all the rest."""
    SALES = "sales"
    """A store's units by product, territory and day: no payment is named, and the amounts are estimates."""
    PROCEEDS = "proceeds"
    """A store's own account of what it pays: collected units, with what is left after its share and taxes."""


class LineKind(StrEnum):
    PAYMENT = "payment"
    REFUND = "refund"
    FEE = "fee"
    """What the provider takes for its service, where that is a row of its own."""
    FEE_RETURN = "fee_return"
    """A fee that the provider gives back."""
    PAYOUT = "payout"
    """From the balance to the merchant's bank account."""
    TRANSFER = "transfer"
    """Between the balance and another account: a top-up from the bank, money sent to a person or a company."""
    SHARE = "share"
    """A part of a payment that is passed on to another merchant."""
    ADJUSTMENT = "adjustment"
    """A correction by the provider, such as a refund that failed and comes back."""
    OTHER = "other"
    """A word that the plugin does not know. Never an error: the balance depends on it."""


@dataclass(frozen=True, slots=True)
class StoreCell:
    """What a line of a store's report adds up: stores name no single purchase."""

    product: str
    """The store's product id."""
    territory: str
    """Where it was sold: ISO 3166-1, two letters."""
    units: int
    """Sold, or given back where negative."""
    price_minor: int
    """What a customer paid for one unit, in minor units of `price_currency`; never negative."""
    price_currency: str


@dataclass(frozen=True, slots=True)
class BillLine:
    """One row. Amounts are minor units of `currency` from the merchant's side: positive comes in, negative goes out."""

    key: str
    """Names the row for as long as the provider tells of it: a bill that is fetched again has the same keys. At most
    128 characters."""
    kind: LineKind
    at: datetime
    """When it happened, by the bill: aware, UTC."""
    amount_minor: int
    """Gross: of a payment what was ordered, of a refund what the payer gets back. Of a line of PROCEEDS, what the store
    pays."""
    currency: str
    fee_minor: int = 0
    """The fee in a column of this row: negative where the provider takes it, positive where it gives it back."""
    discount_minor: int = 0
    """The part of the order that the merchant gave away himself (a coupon that the provider does not make good), and
    that never reaches his balance: negative on a payment, positive on a refund."""
    balance_minor: int | None = None
    """The balance after this row, where the bill says so."""
    ours: str | None = None
    """Our payment number, as given in `Intent.ref.ours`: what the bill shows as the merchant's order number."""
    theirs: str | None = None
    """The provider's number of the payment, as in `Ref.theirs`."""
    refund: str | None = None
    """Of a refund: its number, as in the `Ref.refund` of its facts."""
    related: str | None = None
    """Of a fee, a share or an adjustment: the number of what it belongs to, where that is no payment or refund."""
    undecided: bool = False
    """The bill says that it was asked for, not that it succeeded."""
    word: str = ""
    """The provider's own word for the kind of row, at most 64 characters."""
    note: str = ""
    """The provider's remark, for people, at most 255 characters. No personal data."""
    cell: StoreCell | None = None
    """Of SALES and PROCEEDS."""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("a line's time needs a time zone")
        for amount in (self.amount_minor, self.fee_minor, self.discount_minor, self.balance_minor or 0):
            if type(amount) is not int or abs(amount) > MAX_MINOR:
                raise ValueError("a line's amounts are whole minor units")

    @property
    def net_minor(self) -> int:
        """What the row does to the merchant's balance."""
        return self.amount_minor + self.fee_minor + self.discount_minor


@dataclass(frozen=True, slots=True)
class BillContent:
    """A bill that has been checked as a whole (rows counted, columns added up, account and period compared) and whose
    rows can be read one after another."""

    side: BillSide
    account: str | None
    """Whose bill: in the form of `Provider.account`. None where the bill does not say."""
    since: datetime
    until: datetime
    """The time it covers: aware, UTC, half open."""
    zone: str
    """IANA name of the zone in which the provider's days begin."""
    lines: Iterable[BillLine]
    """In the order of the bill. Read lazily: a bill may have a million rows."""
    problems: tuple[str, ...] = ()
    """Rows that could not be read, for people. A bill with problems is kept and shown, and books nothing."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many rows are no business of ours, by the reason, for people: a vendor's report lists other apps too. They
    were counted in the checks, and give no lines."""
