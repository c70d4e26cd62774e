"""What has to be in the money books, entry by entry: worked out from the diary alone, with fractions and by the
contracts' words. It is the second opinion about Tillbook's books, and shares no code with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import NamedTuple

from tests.quarter.calendar import CHINA, Calendar, FiscalMonth, end_of_bill, fiscal_month
from tests.quarter.diary import Diary, Elsewhere, Return, Sale
from tests.quarter.worth import half_up, steps_of

ALIPAY, WECHAT, STORE, PLAZA = "alipay", "wechat", "apple", "plaza"
RATE = {ALIPAY: Fraction(6, 1000), WECHAT: Fraction(6, 1000), PLAZA: Fraction(6, 1000)}
"""The fee for each payment, rounded half up to the minor unit."""
BILL_ZONE = {ALIPAY: CHINA, WECHAT: CHINA, PLAZA: UTC}
TAX = {"CNY": Fraction(2, 100), "USD": Fraction(0)}
COMMISSION = {"CNY": Fraction(25, 100), "USD": Fraction(30, 100)}
"""What the store's terms say: tax is taken off the price first, then the commission."""
REPORT_COMES = timedelta(days=1)
"""So long after a financial report is due, it is read."""
OF_BREAKAGE = ("expired", "breakage_back")
OF_REVENUE = ("used", "taken_back", *OF_BREAKAGE)


class Entry(NamedTuple):
    """A movement between two accounts of the chart."""

    counts_at: datetime
    kind: str
    debit: str
    credit: str
    currency: str
    minor: int


@dataclass(frozen=True, slots=True)
class Recount:
    diary: Diary
    calendar: Calendar
    gives_fees_back: frozenset[str] = frozenset({WECHAT, PLAZA})
    """Providers whose contract gives the fee back with the payment."""

    # --- entries ----------------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """All of them, in no order."""
        for sale in self.diary.sales:
            yield from self._of_bills(sale)
            if self.knows(sale):
                yield from self._of_facts(sale)
        for alien in self.diary.aliens:
            for at, fen in ((alien.at if alien.provider == ALIPAY else alien.fee_at, alien.fen),):
                yield self._of_bill(at, "others_money", alien.provider, "others", fen)
            yield self._of_bill(alien.fee_at, "others_money", alien.provider, "others", -fee_of(alien))
        for stray in self.diary.strays.values():
            yield self._of_bill(stray.fee_at, "fee", stray.provider, "fees", -fee_of(stray))
            if stray.told_at is not None:
                counts_at = self.calendar.counts_at(stray.at, stray.told_at)
                yield Entry(counts_at, "suspense", f"clearing:{stray.provider}", "suspense", "CNY", stray.fen)
        for provider, minor, currency, at in self.diary.payouts:
            yield self._of_bill(at, "payout", provider, "bank", -minor, currency=currency)
        yield from self._recognised()
        for month, currency, share in self.store_shares():
            yield Entry(month.end, "store_share", f"store_share:{STORE}", f"clearing:{STORE}", currency, share)

    def knows(self, sale: Sale) -> bool:
        return (sale.told_at or sale.paid_at) <= self.calendar.now

    def returns(self, sale: Sale) -> Iterator[tuple[datetime, Return]]:
        """Those that we know of, and when they count."""
        for one in sale.back:
            told_at = one.told_at or one.at
            if told_at <= self.calendar.now:
                yield self.calendar.counts_at(one.at, told_at), one

    def paid_at(self, sale: Sale) -> datetime:
        """When the payment counts."""
        return self.calendar.counts_at(sale.paid_at, sale.told_at or sale.paid_at)

    def _of_facts(self, sale: Sale) -> Iterator[Entry]:
        clearing = f"clearing:{sale.provider}"
        yield Entry(self.paid_at(sale), "payment", clearing, "sales", sale.currency, sale.price)
        for counts_at, one in self.returns(sale):
            yield Entry(counts_at, "refund", "sales", clearing, sale.currency, one.fen)

    def _of_bills(self, sale: Sale) -> Iterator[Entry]:
        """The provider takes its fee whether we know of the purchase or not."""
        if sale.provider == STORE:
            return
        fee = fee_of(sale)
        if sale.fee_told_at is None or sale.fee_told_at <= self.calendar.now:
            yield self._of_bill(sale.fee_at, "fee", sale.provider, "fees", -fee, sale.fee_told_at, sale.currency)
        yield self._of_bill(sale.paid_at, "discount", sale.provider, "discounts", -sale.coupon_fen)
        left = fee
        for one in sale.back:
            coupon = coupon_back(sale, one)
            yield self._of_bill(one.in_bills_at, "discount", sale.provider, "discounts", coupon, one.at)
            if sale.provider not in self.gives_fees_back:
                continue
            if sale.provider == WECHAT:
                fee_back = half_up((one.fen - coupon) * RATE[WECHAT])
            else:
                fee_back = min(left, half_up(Fraction(fee * one.fen, sale.price)))
            left -= fee_back
            yield self._of_bill(one.fee_at, "fee_return", sale.provider, "fees", fee_back, currency=sale.currency)

    def _of_bill(
        self,
        at: datetime,
        kind: str,
        provider: str,
        account: str,
        comes_in: int,
        told_at: datetime | None = None,
        currency: str = "CNY",
    ) -> Entry:
        """Bills are booked by the day."""
        counts_at = self.calendar.counts_at(end_of_bill(at, BILL_ZONE[provider]), told_at or at)
        clearing, other = f"clearing:{provider}", f"{account}:{provider}"
        return Entry(counts_at, f"bill_{kind}", clearing, other, currency, comes_in)

    def _recognised(self) -> Iterator[Entry]:
        for sale in self.known_sales():
            for step in steps_of(sale, self.calendar):
                if step.what in OF_REVENUE and step.minor:
                    of_breakage = step.what in OF_BREAKAGE
                    kind, other = ("breakage", "revenue:breakage") if of_breakage else ("recognised", "revenue:earned")
                    counts_at = self.calendar.end_of(self.calendar.day(step.counts_at))
                    yield Entry(counts_at, kind, "sales", other, sale.currency, -step.minor)

    def known_sales(self) -> Iterator[Sale]:
        return filter(self.knows, self.diary.sales)

    # --- the trial balance ------------------------------------------------------------------------------------------

    def balances(self, until: datetime) -> dict[tuple[str, str], int]:
        """Credit balances by currency and account just before that moment. Accounts that come to nothing are left
        out."""
        sums = Counter[tuple[str, str]]()
        for entry in self.entries():
            if entry.counts_at < until:
                sums[entry.currency, entry.debit] -= entry.minor
                sums[entry.currency, entry.credit] += entry.minor
        return {account: minor for account, minor in sums.items() if minor}

    # --- the store --------------------------------------------------------------------------------------------------

    def store_cells(self) -> Counter[tuple[FiscalMonth, str, str, str, int]]:
        """Units by fiscal month, product, currency, price and sign: what the store's own reports come to."""
        units = Counter[tuple[FiscalMonth, str, str, str, int]]()
        for sale in self.diary.sales:
            if sale.provider == STORE:
                about = (sale.pack.store_id, "US" if sale.abroad else "CN", sale.currency, sale.price)
                units[fiscal_month(sale.paid_at), *about] += 1
                for one in sale.back:
                    units[fiscal_month(one.at), *about] -= 1
        return units

    def reported(self, month: FiscalMonth) -> bool:
        return month.due + REPORT_COMES <= self.calendar.now

    def store_shares(self) -> Iterator[tuple[FiscalMonth, str, int]]:
        """What the store keeps of each fiscal month that it has reported."""
        sums = Counter[tuple[FiscalMonth, str]]()
        for (month, _, _, currency, price), units in self.store_cells().items():
            if self.reported(month):
                sums[month, currency] += units * (price - proceeds_of(price, currency))
        for (month, currency), share in sums.items():
            yield month, currency, share


def fee_of(payment: Sale | Elsewhere) -> int:
    if isinstance(payment, Elsewhere):
        return half_up(payment.fen * RATE[payment.provider])
    return half_up((payment.price - payment.coupon_fen) * RATE[payment.provider])


def coupon_back(sale: Sale, one: Return) -> int:
    """The part of the coupon that goes with a refund: WeChat Pay rounds down, Alipay half up."""
    part = Fraction(sale.coupon_fen * one.fen, sale.price)
    return floor(part) if sale.provider == WECHAT else half_up(part)


def proceeds_of(price: int, currency: str) -> int:
    """Of one unit."""
    return half_up(price * (1 - TAX[currency]) * (1 - COMMISSION[currency]))
