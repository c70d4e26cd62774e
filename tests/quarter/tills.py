"""How payers pay, providers decide and bills go wrong, at each provider of the quarter: the simulators' own levers."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Protocol

import pytest

from app.services.bills import readings
from app.services.bills.kept_bills import BillWindow
from app.services.calls import scans
from plugins.alipay.simulated.bill_office import Planted
from plugins.alipay.simulated.bills import ACCOUNT, TRADE
from plugins.wechat.bills.feeds import FUND_BILL, TRADE_BILL
from plugins.wechat.simulated.books import IN_A_WEEK, NEXT_DAY
from tests.quarter.calendar import A_DAY, CHINA
from tests.quarter.diary import NEVER, Elsewhere, Return, Sale
from tests.quarter.house import House
from tests.quarter.packs import Pack

FEE_WORD = "扣除交易手续费"
_refunds = itertools.count(1)


class Till(Protocol):
    """A provider in China: payments in CNY, trade bills and account bills."""

    name: str

    def sell(self, user: str, pack: Pack, *, told: bool = True, coupon: int = 0, charged: bool = False) -> Sale:
        """The payer pays all but a coupon, which is the merchant's own or `charged` to somebody else."""

    def gives_back(self, sale: Sale, fen: int, *, told: bool = True) -> str:
        """The provider's own decision. The refund's number."""

    def refund(self, sale: Sale, fen: int) -> str:
        """The backend asks for the refund, and the provider does it. The refund's number."""

    def sell_elsewhere(self, number: str, fen: int) -> Elsewhere: ...

    def pay_out(self, fen: int, currency: str = "CNY") -> None: ...

    def balance(self, until: datetime, currency: str = "CNY") -> int: ...

    def spoil(self, number: str, what: str, day: date) -> None:
        """From now on the day's trade bill has the row of that number `missing`, `twice`, `changed`, with another
        `fee`, or only on the next day (`late`); or the row is missing in the account bill (`unbalanced`)."""

    def mend(self) -> None:
        """The provider makes all bills right that are wrong."""

    def bring(self, day: date) -> None:
        """Finance brings the bills of that day, as they are now."""


def day_start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CHINA)


def day_of(moment: datetime) -> date:
    return moment.astimezone(CHINA).date()


def fetched(house: House, account: str, feed: str, day: date, zone: tzinfo = CHINA) -> None:
    """`tillbook bills fetch`: one day."""
    start = datetime.combine(day, time(), zone)
    window = BillWindow(account, feed, start, start + A_DAY)
    scans.read_range(house.core, house.simulators.accounts[account], window, lambda _: None)


def _of_another(content: bytes, mchid: bytes) -> bytes:
    is_packed = content[:2] == b"\x1f\x8b"
    text = (gzip.decompress(content) if is_packed else content).replace(mchid, b"1900000999")
    return gzip.compress(text) if is_packed else text


class AlipayTill:
    name = "alipay"
    zone = CHINA
    currencies = ("CNY",)

    def __init__(self, house: House) -> None:
        self.house = house
        self.alipay = house.simulators.alipay
        self.office = self.alipay.gateway.bills
        self.office.fees_after = timedelta(seconds=90)
        self.wrong_days: set[tuple[str, date]] = set()
        self.last_payout = ""

    def sell(self, user: str, pack: Pack, *, told: bool = True, coupon: int = 0, charged: bool = False) -> Sale:
        order, number, action = self.house.order(user, pack.sku, self.name, "app")
        if not told:
            self.alipay.faults.lose = 1
        coupon = 0 if charged else coupon  # Alipay's own coupons leave no trace in what the merchant gets
        self.office.coupons[str(number)] = coupon
        trade = self.alipay.pay(self.alipay.order_of(action))
        self.house.deliver()
        fee_at = trade.paid_at + self.office.fees_after
        told_at = None if told else NEVER
        return Sale(self.name, user, pack, str(number), trade.paid_at, fee_at, str(order), coupon, told_at=told_at)

    def gives_back(self, sale: Sale, fen: int, *, told: bool = True) -> str:
        if not told:
            self.alipay.faults.lose = 1
        trade = self.alipay.refund_by_hand(sale.number, fen)
        self.house.deliver()
        return self._noted(sale, trade.refunds[-1], fen, told=told)

    def refund(self, sale: Sale, fen: int) -> str:
        self.house.refund(int(sale.number), fen)
        refund = self.alipay.gateway.trades.find(sale.number).refunds[-1]
        self.house.deliver()
        return self._noted(sale, refund, fen, told=True)

    def _noted(self, sale: Sale, refund: Any, fen: int, *, told: bool) -> str:
        number = str(refund.request_no)
        fee_at = refund.at + self.office.fees_after
        sale.back.append(Return(number, refund.at, fen, fee_at, None if told else NEVER))
        return number

    def sell_elsewhere(self, number: str, fen: int) -> Elsewhere:
        trade = self.alipay.sell_elsewhere(number, fen)
        return Elsewhere(self.name, number, fen, trade.paid_at, trade.paid_at + self.office.fees_after)

    def pay_out(self, fen: int, currency: str = "CNY") -> None:
        assert currency in self.currencies
        self.last_payout = self.office.pay_out(fen)

    def balance(self, until: datetime, currency: str = "CNY") -> int:
        assert currency in self.currencies
        return int(self.office.balance_fen(until))

    def spoil(self, number: str, what: str, day: date) -> None:
        bill = ACCOUNT if what == "unbalanced" else TRADE
        faults = {"twice": Planted.TWICE, "changed": Planted.CHANGED, "late": Planted.LATE}
        self.office.plant(bill, number, faults.get(what, Planted.MISSING), fen=1_234)
        self.wrong_days |= {(bill, day), (bill, day + A_DAY)}

    def mend(self) -> None:
        self.office.faults.clear()
        for bill, day in sorted(self.wrong_days):
            self.office.make_anew(bill, day.isoformat())
        for day in sorted({day for _, day in self.wrong_days}):
            self.bring(day)
        self.wrong_days.clear()

    def bring(self, day: date) -> None:
        for feed in ("trade_bill", "account_bill"):
            fetched(self.house, self.name, feed, day)


class WeChatTill:
    name = "wechat"
    zone = CHINA
    currencies = ("CNY",)

    def __init__(self, house: House) -> None:
        self.house = house
        self.wechat = house.simulators.wechat
        self.wrong_days: set[date] = set()
        self.kept_wrong: dict[str, date] = {}
        """Payments whose fee an account bill does not have, and the day of that bill."""

    def settles_the_next_day(self) -> None:
        self.wechat.books.settlement = NEXT_DAY

    def settles_after_a_week(self) -> None:
        self.wechat.books.settlement = IN_A_WEEK
        self.house.configure(self.name, settles_within_days=8)

    def fund_bills_are_late(self, late: bool) -> None:
        self.wechat.situation.fund_bill = "creating" if late else ""

    def brings_a_bill_of_another_merchant(self, day: date) -> None:
        """Finance takes the wrong file. Nothing of it is kept."""
        account: Any = self.house.simulators.accounts[self.name]
        mchid = self.wechat.config.mchid.encode()
        for name, content in account.provider.scan(TRADE_BILL, day_start(day), day_start(day) + A_DAY, None).files:
            with pytest.raises(readings.NotReadable, match="another merchant"):
                readings.import_bill(self.house.core, account, TRADE_BILL, name, _of_another(content, mchid))

    def keep_wrong(self, number: str, day: date) -> None:
        """The account bill lacks the fee of that payment, until `release`."""
        self.spoil(number, "fee_missing", day)
        self.kept_wrong[number] = day

    def release(self, number: str) -> None:
        self.wrong_days.add(self.kept_wrong.pop(number))
        self.mend()
        self.house.work()

    def sell(self, user: str, pack: Pack, *, told: bool = True, coupon: int = 0, charged: bool = False) -> Sale:
        order, number, _ = self.house.order(user, pack.sku, self.name, "native")
        if not told:
            self.wechat.faults.lose = 1
            self.wechat.books.orders[str(number)].shown_state = "NOTPAY"
        paid = self.wechat.pay(str(number), coupon, charged=charged)
        self.house.deliver()
        coupon = 0 if charged else coupon
        told_at = None if told else NEVER
        return Sale(
            self.name, user, pack, str(number), paid.paid_at, paid.settled_at, str(order), coupon, told_at=told_at
        )

    def shows_the_truth(self, number: str) -> None:
        """Answers about the order are right again."""
        self.wechat.books.orders[number].shown_state = ""

    def gives_back(self, sale: Sale, fen: int, *, told: bool = True) -> str:
        number = f"by-hand-{next(_refunds)}"
        self.wechat.refund_on_the_merchant_site(sale.number, fen, number)
        if not told:
            self.wechat.faults.lose = 1
        refund = self.wechat.finish_refund(number)
        self.house.deliver()
        return self._noted(sale, refund, told=told)

    def refund(self, sale: Sale, fen: int) -> str:
        self.house.refund(int(sale.number), fen)
        refund = self.wechat.finish_refund(self.wechat.books.orders[sale.number].refunds[-1].number)
        self.house.deliver()
        return self._noted(sale, refund, told=True)

    def slow_refund(self, sale: Sale, fen: int) -> Callable[[], None]:
        """The backend asks for the refund, and the payer's bank takes its time: call what is given back to end that."""
        self.house.refund(int(sale.number), fen)
        asked_at, number = self.house.clock.now(), self.wechat.books.orders[sale.number].refunds[-1].number

        def finish() -> None:
            refund = self.wechat.finish_refund(number)
            self.house.deliver()
            self._noted(sale, refund, told=True)
            sale.back[-1].asked_at = asked_at

        return finish

    def _noted(self, sale: Sale, refund: Any, *, told: bool) -> str:
        fee_at = max(refund.created_at, sale.fee_at)
        told_at = None if told else NEVER
        sale.back.append(Return(str(refund.number), refund.finished_at, refund.amount, fee_at, told_at))
        return str(refund.number)

    def sell_elsewhere(self, number: str, fen: int) -> Elsewhere:
        order = self.wechat.books.trade_of_another_system(fen)
        return Elsewhere(self.name, str(order.number), fen, order.paid_at, order.settled_at)

    def pay_out(self, fen: int, currency: str = "CNY") -> None:
        assert currency in self.currencies
        self.wechat.funds.pay_out(fen)

    def balance(self, until: datetime, currency: str = "CNY") -> int:
        assert currency in self.currencies
        tick = until.resolution
        return sum(one.fen for one in self.wechat.funds.movements(until - tick))

    def spoil(self, number: str, what: str, day: date) -> None:
        faults = self.wechat.bill_faults
        match what:
            case "missing":
                faults.drop(number)
            case "twice":
                faults.double(number)
            case "changed":
                faults.alter(number, {"应结订单金额": "12.34", "订单金额": "12.34"})
            case "late":
                faults.delay(number)
            case "fee":
                faults.alter(number, {"手续费": "0.99000"})
            case "right_fee":
                faults.alter(number, {"手续费": "0.04000"})  # of SALE_OF_WRONGS
            case "time":
                there = self.wechat.books.orders[number].paid_at.astimezone(CHINA) - 5 * A_DAY
                faults.alter(number, {"交易时间": f"{there:%Y-%m-%d %H:%M:%S}"})
            case "currency":
                faults.alter(number, {"货币种类": "USD"})
            case "unbalanced":
                faults.drop(number, feed=FUND_BILL, word="交易")
            case "fee_missing":
                faults.drop(number, feed=FUND_BILL, word=FEE_WORD)
        self.wrong_days |= {day, day + A_DAY}

    def mend(self) -> None:
        self.wechat.bill_faults.mend()
        for number in self.kept_wrong:
            self.wechat.bill_faults.drop(number, feed=FUND_BILL, word=FEE_WORD)
        for day in sorted(self.wrong_days):
            if day_start(day) + 2 * A_DAY <= self.house.clock.now():  # later ones are made right
                self.bring(day)
        self.wrong_days.clear()

    def bring(self, day: date) -> None:
        fetched(self.house, self.name, FUND_BILL, day)
        self.import_trades(day)

    def import_trades(self, day: date) -> None:
        """A person downloads the trade bill, and imports the file."""
        account: Any = self.house.simulators.accounts[self.name]
        for name, content in account.provider.scan(TRADE_BILL, day_start(day), day_start(day) + A_DAY, None).files:
            readings.import_bill(self.house.core, account, TRADE_BILL, name, content)


class StoreTill:
    """The App Store. It decides about refunds alone."""

    name = "apple"

    def __init__(self, house: House) -> None:
        self.house = house
        self.store = house.simulators.store

    def sell(self, user: str, pack: Pack, *, abroad: bool = False) -> Sale:
        sale = Sale(self.name, user, pack, "", self.house.clock.now(), self.house.clock.now(), abroad=abroad)
        place = {"storefront": "USA", "storefrontId": "143441", "currency": "USD"} if abroad else {}
        bought = self.store.purchases.buy(
            "Sandbox", pack.store_id, token=self.house.token(user), customer=user, price=sale.price * 10, **place
        )
        self.store.notifications.tell("ONE_TIME_CHARGE", "", bought)
        self.house.deliver()
        return replace(sale, number=bought.id)

    def gives_back(self, sale: Sale) -> None:
        bought = self.store.purchases.refund("Sandbox", sale.number)
        self.store.notifications.tell("REFUND", "", bought)
        self.house.deliver()
        now = self.house.clock.now()
        sale.back.append(Return(sale.number, now, sale.price, now))
