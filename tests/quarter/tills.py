"""How payers pay, providers decide and bills go wrong, at each provider of the quarter: the simulators' own levers."""

from __future__ import annotations

import itertools
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from app.services.bills import readings
from app.services.bills.kept_bills import BillWindow
from app.services.calls import scans
from plugins.alipay.simulated.bill_office import Planted
from plugins.alipay.simulated.bills import ACCOUNT, TRADE
from plugins.wechat.bills.feeds import FUND_BILL, TRADE_BILL
from tests.quarter.diary import Sale
from tests.quarter.house import A_DAY, CHINA, House
from tests.quarter.packs import Pack

_refunds = itertools.count(1)


class Till(Protocol):
    """A provider in China: payments in CNY, trade bills and account bills."""

    name: str

    def sell(self, user: str, pack: Pack, *, told: bool = True) -> Sale: ...

    def gives_back(self, sale: Sale, fen: int, *, told: bool = True) -> str:
        """The provider's own decision. The refund's number."""

    def refund(self, sale: Sale, fen: int) -> str:
        """The backend asks for the refund, and the provider does it. The refund's number."""

    def sell_elsewhere(self, number: str, fen: int) -> str: ...

    def pay_out(self, fen: int) -> None: ...

    def balance(self, until: datetime) -> int: ...

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


def fetched(house: House, account: str, feed: str, day: date) -> None:
    """`tillbook bills fetch`: one day."""
    window = BillWindow(account, feed, day_start(day), day_start(day) + A_DAY)
    scans.read_range(house.core, house.simulators.accounts[account], window, lambda _: None)


class AlipayTill:
    name = "alipay"

    def __init__(self, house: House) -> None:
        self.house = house
        self.alipay = house.simulators.alipay
        self.office = self.alipay.gateway.bills
        self.office.fees_after = timedelta(seconds=90)
        self.wrong_days: set[tuple[str, date]] = set()

    def sell(self, user: str, pack: Pack, *, told: bool = True) -> Sale:
        number, action = self.house.order(user, pack.sku, self.name, "app")
        if not told:
            self.alipay.faults.lose = 1
        trade = self.alipay.pay(self.alipay.order_of(action))
        self.house.deliver()
        return Sale(self.name, user, pack, str(number), trade.paid_at, trade.paid_at + self.office.fees_after)

    def gives_back(self, sale: Sale, fen: int, *, told: bool = True) -> str:
        if not told:
            self.alipay.faults.lose = 1
        trade = self.alipay.refund_by_hand(sale.number, fen)
        self.house.deliver()
        sale.back.append((trade.refunds[-1].at, fen))
        return str(trade.refunds[-1].request_no)

    def refund(self, sale: Sale, fen: int) -> str:
        self.house.refund(int(sale.number), fen)
        refund = self.alipay.gateway.trades.find(sale.number).refunds[-1]
        self.house.deliver()
        sale.back.append((refund.at, fen))
        return str(refund.request_no)

    def sell_elsewhere(self, number: str, fen: int) -> str:
        self.alipay.sell_elsewhere(number, fen)
        return number

    def pay_out(self, fen: int) -> None:
        self.office.pay_out(fen)

    def balance(self, until: datetime) -> int:
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

    def __init__(self, house: House) -> None:
        self.house = house
        self.wechat = house.simulators.wechat
        self.wrong_days: set[date] = set()

    def sell(self, user: str, pack: Pack, *, told: bool = True) -> Sale:
        number, _ = self.house.order(user, pack.sku, self.name, "native")
        if not told:
            self.wechat.faults.lose = 1
            self.wechat.books.orders[str(number)].shown_state = "NOTPAY"
        order = self.wechat.pay(str(number))
        self.house.deliver()
        return Sale(self.name, user, pack, str(number), order.paid_at, order.settled_at)

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
        sale.back.append((refund.finished_at, fen))
        return number

    def refund(self, sale: Sale, fen: int) -> str:
        self.house.refund(int(sale.number), fen)
        refund = self.wechat.finish_refund(self.wechat.books.orders[sale.number].refunds[-1].number)
        self.house.deliver()
        sale.back.append((refund.finished_at, fen))
        return str(refund.number)

    def sell_elsewhere(self, number: str, fen: int) -> str:
        return str(self.wechat.books.trade_of_another_system(fen).number)

    def pay_out(self, fen: int) -> None:
        self.wechat.funds.pay_out(fen)

    def balance(self, until: datetime) -> int:
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
            case "unbalanced":
                faults.drop(number, feed=FUND_BILL, word="交易")
        self.wrong_days |= {day, day + A_DAY}

    def mend(self) -> None:
        self.wechat.bill_faults.mend()
        for day in sorted(self.wrong_days):
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

    def sell(self, user: str, pack: Pack) -> Sale:
        token = self.house.token(user)
        at = self.house.clock.now()
        bought = self.store.purchases.buy("Sandbox", pack.store_id, token=token, customer=user, price=pack.fen * 10)
        self.store.notifications.tell("ONE_TIME_CHARGE", "", bought)
        self.house.deliver()
        return Sale(self.name, user, pack, bought.id, at, at)

    def gives_back(self, sale: Sale) -> None:
        bought = self.store.purchases.refund("Sandbox", sale.number)
        self.store.notifications.tell("REFUND", "", bought)
        self.house.deliver()
        sale.back.append((self.house.clock.now(), sale.pack.fen))
