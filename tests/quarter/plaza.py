"""The till of a provider that takes several currencies and whose bills are of days in UTC: the sandbox's own."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from tests.quarter.calendar import A_DAY
from tests.quarter.diary import Return, Sale
from tests.quarter.house import MERCHANT, House
from tests.quarter.packs import Pack
from tests.quarter.tills import fetched


class PlazaTill:
    name = "plaza"
    zone = UTC
    currencies = ("CNY", "USD")

    def __init__(self, house: House) -> None:
        self.house = house
        self.plaza = house.simulators.plaza
        self.desk = self.plaza.bills
        self.wrong_days: set[date] = set()

    def sell(self, user: str, pack: Pack, *, abroad: bool = False) -> Sale:
        currency = "USD" if abroad else "CNY"
        order, number, _ = self.house.order(user, pack.sku, self.name, "page", currency)
        paid = self._found(str(number))
        self.plaza.pay(paid)
        self.house.deliver()
        return Sale(self.name, user, pack, str(number), paid.at, paid.at, str(order), abroad=abroad)

    def gives_back(self, sale: Sale, minor: int) -> str:
        """The provider's own decision. The refund's number."""
        refund = self.plaza.console_refund(self._found(sale.number), minor)
        self.house.deliver()
        return self._noted(sale, refund)

    def refund(self, sale: Sale, minor: int) -> str:
        """The backend asks for the refund, and the provider does it. The refund's number."""
        self.house.refund(int(sale.number), minor)
        refund = self._found(sale.number).refunds[-1]
        self.house.deliver()
        return self._noted(sale, refund)

    def _noted(self, sale: Sale, refund: Any) -> str:
        sale.back.append(Return(str(refund.number), refund.at, refund.amount, refund.at))
        return str(refund.number)

    def _found(self, number: str) -> Any:
        return self.plaza.books.find(MERCHANT, number=number)

    def pay_out(self, minor: int, currency: str) -> None:
        self.desk.pay_out(MERCHANT, minor, currency)

    def balance(self, until: datetime, currency: str) -> int:
        return int(self.desk.balance(MERCHANT, currency, until))

    def spoil(self, sale: Sale, what: str, refund: str = "") -> None:
        """From now on the trade bill has the row of the payment, or of that refund, `missing` or `twice`."""
        there = self._found(sale.number)
        name = f"{there.id}-{refund}-refund" if refund else f"{there.id}-payment"
        {"missing": self.desk.missing, "twice": self.desk.twice}[what].add(f"trades:{name}")
        self.wrong_days.add(self.house.clock.now().astimezone(UTC).date())

    def mend(self) -> None:
        """The provider makes all bills right that are wrong."""
        self.desk.missing.clear()
        self.desk.twice.clear()
        self.desk.made.clear()
        for day in sorted(self.wrong_days):
            start = datetime.combine(day, time(), UTC)
            if start + 2 * A_DAY <= self.house.clock.now():
                fetched(self.house, self.name, "trade_bill", day, UTC)
        self.wrong_days.clear()
