"""What goes wrong in the quarter: planted by type, and some of it for no difference at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any

from tests.quarter.calendar import A_DAY, CHINA
from tests.quarter.diary import NEVER, Sale, Wrong
from tests.quarter.packs import PACKS
from tests.quarter.play import A_WEEK, BANK_DAYS, PAUSE, SALE_OF_WRONGS, Quarter
from tests.quarter.plaza import PlazaTill
from tests.quarter.tills import AlipayTill, WeChatTill, day_of, fetched

MISSING_EVERY = 24
"""Days: so often WeChat Pay leaves out a payout."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Something wrong that nobody mends before its month is closed."""

    wrong: Wrong
    at: datetime
    mend: Callable[[], None] | None = None
    """How the provider mends it, where that is not for us."""


class SpoiledQuarter(Quarter):
    def __init__(self, *about: Any) -> None:
        """As for a quarter where all goes well."""
        super().__init__(*about)
        self.held_back: list[HeldBack] = []

    def plan_wrongs(self, first: int, last: int) -> None:
        """One of each type and provider, on days from `first` to `last`, and the wrong fee on the day after."""
        wrongs: list[Callable[[], None]] = [self._late_payment, self._late_refund, self._refund_extra, self._not_ours]
        wrongs += [self._stray, self._status, self._wrong_row(self.wechat, "currency", "currency")]
        wrongs += [partial(self._abroad, "missing"), partial(self._abroad, "twice"), self._refund_missing_abroad]
        wrongs += [self._wrong_row(self.wechat, "time", "late"), self._slow_refund, partial(self._slow_refund, 77)]
        for till in self.tills:
            wrongs += [
                self._wrong_row(till, "missing", "ours_not_theirs"),
                self._wrong_row(till, "twice", "duplicate"),
                self._wrong_row(till, "changed", "amount"),
                self._refund_missing(till),
                self._refund_twice(till),
            ]
            if not self._is_settled_late(till):
                wrongs.append(self._unbalanced(till))
            self.at(self.on(first, time(16)), partial(self._late_row, till))
        if first % 12 == 0:
            self.at(self.on(first + 3, time(15, 5)), self._payout_without_a_row)
        days = list(range(first, last + 1))
        self.at(self.on(last + 1, time(11)), self._wrong_fee)
        self.at(self.on(last, time(23, 58, 30)), self._status)
        if not self._is_settled_late(self.wechat):
            self.at(self.on(last + 2, time(9)), self._late_fee)
        self.at(self.on(first, time(10, 5)), lambda: self.wechat.brings_a_bill_of_another_merchant(self._yesterday()))
        if first % MISSING_EVERY or not first:  # else a payout is missed then, by the newest bill
            self.at(self.on(last + 1, time(9)), partial(self.wechat.fund_bills_are_late, True))
            self.at(self.on(last + 3, time(9)), partial(self.wechat.fund_bills_are_late, False))
        for number, wrong in enumerate(wrongs):
            second = self.chance.randrange(8 * 3600, 22 * 3600)
            self.at(self.on(days[number % len(days)], time(0)) + timedelta(seconds=second), wrong)

    def plan_missing_payouts(self) -> Iterator[datetime]:
        """WeChat Pay leaves out a payout, and it is missed from some day on. Until the next one comes; a review lies
        on neither day. These are the moments between the two."""
        first = () if self.settled_after_a_week else (3,)
        for day in (*first, *range(MISSING_EVERY - 1, self.days, MISSING_EVERY)):
            arrives_after = A_WEEK * self.settled_after_a_week
            self.at(self.on(day - 3 - arrives_after, time(16)), partial(self._sale_of, self.wechat))
            self.at(self.on(day, time(14)), partial(self.pays_nothing_out.add, self.wechat.name))
            self.at(self.on(day, time(16)), partial(self.pays_nothing_out.discard, self.wechat.name))
            yield self.on(day + 4, time(14))

    def _payout_without_a_row(self) -> None:
        """The provider has paid out, and its account bill does not say so: found by the balances around it."""
        self._sale_of(self.alipay)
        now = self.house.clock.now()

        def spoil() -> None:
            self._paid_out(self.alipay, 300, "CNY")
            self.alipay.spoil(self.alipay.last_payout, "unbalanced", self._today())
            self._planted(self.alipay, "balance", self._today().isoformat())

        self.at(now + timedelta(minutes=20), spoil)
        self.at(now + timedelta(minutes=40), lambda: self._sale_of(self.alipay))

    def _is_settled_late(self, till: AlipayTill | WeChatTill) -> bool:
        """What is wrong in its account bills is not to be seen before the review."""
        return till is self.wechat and self.settled_after_a_week

    def _sale_of(self, till: AlipayTill | WeChatTill, *, told: bool = True, coupon: int = 0) -> Sale:
        sale = till.sell(self.new_user(), SALE_OF_WRONGS, told=told, coupon=coupon)
        self.diary.sales.append(sale)
        return sale

    def _sale_abroad(self) -> Sale:
        sale = self.plaza.sell(self.new_user(), PACKS[2], abroad=True)
        self.diary.sales.append(sale)
        return sale

    def _abroad(self, what: str) -> None:
        """A wrong row in another currency."""
        sale = self._sale_abroad()
        self.plaza.spoil(sale, what)
        self._planted(self.plaza, "duplicate" if what == "twice" else "ours_not_theirs", sale.number)

    def _refund_missing_abroad(self) -> None:
        sale = self._sale_abroad()
        number = self.plaza.refund(sale, 250)
        self.plaza.spoil(sale, "missing", number)
        self._planted(self.plaza, "refund_missing", number)

    def _planted(self, till: AlipayTill | WeChatTill | PlazaTill, type_: str, name: str) -> Wrong:
        wrong = Wrong(till.name, type_, name)
        self.diary.wrongs.append(wrong)
        return wrong

    def _wrong_row(self, till: AlipayTill | WeChatTill, what: str, type_: str) -> Callable[[], None]:
        def do() -> None:
            sale = self._sale_of(till)
            till.spoil(sale.number, what, self._today())
            self._planted(till, type_, sale.number)

        return do

    def _refund_missing(self, till: AlipayTill | WeChatTill) -> Callable[[], None]:
        def do() -> None:
            sale = self._sale_of(till)
            number = till.refund(sale, 250)
            till.spoil(number, "missing", self._today())
            self._planted(till, "refund_missing", number)

        return do

    def _refund_twice(self, till: AlipayTill | WeChatTill) -> Callable[[], None]:
        def do() -> None:
            sale = self._sale_of(till)
            till.spoil(till.refund(sale, 120), "twice", self._today())
            self._planted(till, "duplicate", sale.number)

        return do

    def _unbalanced(self, till: AlipayTill | WeChatTill) -> Callable[[], None]:
        """A row between two others: of the last row of a day only the bill of the next day shows that it is missing."""

        def do() -> None:
            self._sale_of(till)
            now = self.house.clock.now()
            self.at(now + timedelta(minutes=20), spoil)
            self.at(
                now + timedelta(minutes=40), lambda: self.diary.sales.append(till.sell(self.new_user(), SALE_OF_WRONGS))
            )

        def spoil() -> None:
            sale = self._sale_of(till)
            moved_on = day_of(sale.paid_at if till is self.alipay else sale.fee_at)
            till.spoil(sale.number, "unbalanced", moved_on)
            self._planted(till, "balance", moved_on.isoformat())

        return do

    def _status(self) -> None:
        """The notification is lost, and answers are wrong: only the bill knows that the payment succeeded."""
        sale = self._sale_of(self.wechat, told=False)
        self._planted(self.wechat, "status", sale.number)

    def _late_payment(self) -> None:
        """As `_status`; and nobody looks at the difference before the month is closed."""
        sale = self._sale_of(self.wechat, told=False)
        self._hold_back(self._planted(self.wechat, "status", sale.number))

    def _hold_back(self, wrong: Wrong, mend: Callable[[], None] | None = None) -> None:
        self.held_back.append(HeldBack(wrong, self.house.clock.now(), mend))

    def _late_fee(self) -> None:
        """The fee of a payment is in the account bill only when it is made anew, after the month was closed."""
        self._sale_of(self.wechat)
        now = self.house.clock.now()
        self.at(now + timedelta(minutes=40), lambda: self._sale_of(self.wechat))

        def spoil() -> None:
            sale = self._sale_of(self.wechat)
            self.wechat.keep_wrong(sale.number, day_of(sale.fee_at))
            sale.fee_told_at = NEVER
            wrong = self._planted(self.wechat, "balance", day_of(sale.fee_at).isoformat())
            self._hold_back(wrong, partial(mend, sale))

        def mend(sale: Sale) -> None:
            self.house.go_to(self.house.clock.now() + PAUSE)
            sale.fee_told_at = self.house.clock.now()
            self.wechat.release(sale.number)

        self.at(now + timedelta(minutes=20), spoil)

    def _late_refund(self) -> None:
        """As `_refund_extra`; and nobody looks at the difference before the month is closed."""
        number = self.wechat.gives_back(self._sale_of(self.wechat), 301, told=False)
        self._hold_back(self._planted(self.wechat, "refund_extra", number))

    def _slow_refund(self, coupon: int = 0) -> None:
        """The bill has it as in progress, and the payer's bank needs days: no difference."""
        sale = self._sale_of(self.wechat, coupon=coupon)
        self.at(self.house.clock.now() + BANK_DAYS, self.wechat.slow_refund(sale, 240))

    def _late_row(self, till: AlipayTill | WeChatTill) -> None:
        """The trade bill of the next day has the row: no difference."""
        till.spoil(self._sale_of(till).number, "late", self._today())

    def _wrong_fee(self) -> None:
        """Only the bill told of the payment, and so of its fee; then the bill is made anew with another fee, as
        it was before, and with the other fee once more."""
        sale, day = self._sale_of(self.wechat, told=False), self._today()

        def bring() -> None:
            fetched(self.house, self.wechat.name, "trade_bill", day)
            self.wechat.shows_the_truth(sale.number)
            sale.told_at = self.house.clock.now()

        def made_anew(fee: str) -> None:
            self.wechat.spoil(sale.number, fee, day)
            self.wechat.import_trades(day)

        noon = datetime.combine(day + A_DAY, time(12), CHINA)
        self.at(datetime.combine(day + A_DAY, time(10, 5), CHINA), bring)
        for number, fee in enumerate(("fee", "right_fee", "fee")):
            self.at(noon + timedelta(minutes=number), partial(made_anew, fee))
        self.at(noon + timedelta(minutes=3), partial(self._planted, self.wechat, "fee", sale.number))

    def _refund_extra(self) -> None:
        sale = self._sale_of(self.wechat)
        number = self.wechat.gives_back(sale, 199, told=False)
        self._planted(self.wechat, "refund_extra", number)

    def _not_ours(self) -> None:
        """WeChat Pay's account is not shared with anybody, as far as the settings say."""
        alien = self.wechat.sell_elsewhere("", 700)
        self.diary.aliens.append(alien)
        if not self.house.simulators.accounts[self.wechat.name].shared:
            self._planted(self.wechat, "not_ours", alien.number)

    def _stray(self) -> None:
        stray = self.alipay.sell_elsewhere(str(next(self._strays)), 4_100)
        self.diary.strays[stray.number] = stray
        self._planted(self.alipay, "theirs_not_ours", stray.number)
