"""Plays the quarter: sales, uses, refunds, payouts, the worker's rounds, and what goes wrong, by a seed."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from functools import partial

from app.services.base.transaction import Sessions
from tests.quarter.diary import Diary, Sale, Wrong
from tests.quarter.house import A_DAY, CHINA, House, build_house
from tests.quarter.packs import PACKS, Pack
from tests.quarter.tills import AlipayTill, StoreTill, WeChatTill, fetched

STRAY = 4_503_599_627_370_496
"""Numbers from here on look like ours, and are none."""
MORNING, LATER = time(10, 31), time(13, 0)
"""When the bills of the day before are there, and when what waited for a pause of the worker's is done."""
QUIET_DAYS = 3
SALE_OF_WRONGS = PACKS[0]


class Quarter:
    def __init__(self, sessions: Sessions, first: date, days: int, sales: int, seed: int) -> None:
        self.first, self.days, self.sales, self.seed = first, days, sales, seed
        self.chance = random.Random(seed)
        self.house: House = build_house(sessions, datetime.combine(first, time(0, 1), CHINA))
        self.alipay, self.wechat, self.store = AlipayTill(self.house), WeChatTill(self.house), StoreTill(self.house)
        self.tills = (self.alipay, self.wechat)
        self.diary = Diary()
        self.held_back: list[tuple[Wrong, Sale]] = []
        """Payments of which we hear only after their month is closed."""
        self._users, self._strays, self._order = itertools.count(1), itertools.count(STRAY), itertools.count()
        self._turns: Iterator[AlipayTill | WeChatTill | StoreTill] = itertools.cycle((*self.tills, self.store))
        """Each has sales every day: WeChat Pay makes no bill of a day without any, and its pool stays open longer."""
        self._plan: list[tuple[datetime, int, Callable[[], None]]] = []

    # --- time -----------------------------------------------------------------------------------------------------

    def at(self, moment: datetime, what: Callable[[], None]) -> None:
        heapq.heappush(self._plan, (moment, next(self._order), what))

    def on(self, day: int, hour: time) -> datetime:
        return datetime.combine(self.first + day * A_DAY, hour, CHINA)

    def play_until(self, end: datetime) -> None:
        while self._plan and self._plan[0][0] < end:
            moment, _, what = heapq.heappop(self._plan)
            self.house.go_to(moment)
            what()
        self.house.go_to(end)

    def plan_day(self, day: int) -> None:
        self.at(self.on(day, MORNING), self._morning)
        self.at(self.on(day, LATER), self.house.work)
        if day >= self.days:
            return
        for _ in range(self.sales):
            at = self.on(day, time(0, 0)) + timedelta(seconds=self.chance.randrange(120, 86_280))
            self.at(at, self._some_sale)
        if day % 2:
            self.at(self.on(day, time(23, 59, 59)), self._some_sale)
        if day % 3 == 1:
            self.at(self.on(day, time(13)), self._sell_elsewhere)
        if day % 4 == 3:
            self.at(self.on(day, time(15)), self._pay_out)

    def _morning(self) -> None:
        yesterday = (self.house.clock.now() - A_DAY).astimezone(CHINA).date()
        self.wechat.import_trades(yesterday)
        self.house.work()

    # --- what goes well ---------------------------------------------------------------------------------------------

    def new_user(self) -> str:
        return f"user-{next(self._users)}"

    def _some_sale(self) -> None:
        pack = self.chance.choice(PACKS)
        where = next(self._turns)
        sale = where.sell(self.new_user(), pack)
        self.diary.sales.append(sale)
        if pack.days:
            self.at(sale.paid_at + pack.days * A_DAY + timedelta(milliseconds=1), self.house.work)
        for _ in range(self.chance.choice((0, 1, 1, 2))):
            self.at(self._later(sale), lambda: self._use(sale))
        if self.chance.random() < 0.25:
            self.at(self._later(sale), lambda: self._refund(sale))

    def _later(self, sale: Sale) -> datetime:
        hours = 48 if sale.pack.days else 96
        return self.house.clock.now() + timedelta(seconds=self.chance.randrange(600, hours * 3600))

    def _use(self, sale: Sale) -> None:
        """Not after a refund: how many coins are there then is for the wallet to say, not for the diary."""
        there = sale.pack.coins + sale.pack.bonus - sale.coins_used
        if sale.back or there < 1:
            return
        coins = self.chance.choice((there, self.chance.randint(1, there)))
        self.house.use(sale.user, coins)
        sale.uses.append((self.house.clock.now(), coins))

    def _refund(self, sale: Sale) -> None:
        if sale.back or self.house.clock.now() > self.on(self.days, time(0)):
            return
        fen = sale.pack.fen
        if self.chance.random() < 0.5 and not sale.pack.bonus and not sale.pack.days:
            fen = self.chance.randint(1, fen)
        if sale.provider == self.store.name:
            self.store.gives_back(sale)
            return
        till = self.alipay if sale.provider == self.alipay.name else self.wechat
        give = till.refund if self.chance.random() < 0.6 else till.gives_back
        give(sale, fen)

    def _sell_elsewhere(self) -> None:
        """Alipay's account is shared with another system."""
        fen = self.chance.randint(1, 50_000)
        self.alipay.sell_elsewhere(f"WEB{next(self._order)}", fen)
        self.diary.aliens.append((self.alipay.name, fen, self.house.clock.now()))

    def _pay_out(self) -> None:
        for till in self.tills:
            there = till.balance(self.house.clock.now())
            if there > 100:
                self._paid_out(till, there - self.chance.randint(0, 100))

    def pay_everything_out(self) -> None:
        for till in self.tills:
            self._paid_out(till, till.balance(self.house.clock.now()))

    def _paid_out(self, till: AlipayTill | WeChatTill, fen: int) -> None:
        till.pay_out(fen)
        self.diary.payouts.append((till.name, fen, self.house.clock.now()))

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def plan_wrongs(self, first: int, last: int) -> None:
        """One of each type and provider, on days from `first` to `last`, and the wrong fee on the day after."""
        wrongs: list[Callable[[], None]] = [self._late_payment, self._refund_extra, self._not_ours, self._stray]
        wrongs += [self._status]
        for till in self.tills:
            wrongs += [
                self._wrong_row(till, "missing", "ours_not_theirs"),
                self._wrong_row(till, "twice", "duplicate"),
                self._wrong_row(till, "changed", "amount"),
                self._refund_missing(till),
                self._unbalanced(till),
            ]
            self.at(self.on(first, time(16)), partial(self._late_row, till))
        days = list(range(first, last + 1))
        self.at(self.on(last + 1, time(11)), self._wrong_fee)
        for number, wrong in enumerate(wrongs):
            second = self.chance.randrange(8 * 3600, 22 * 3600)
            self.at(self.on(days[number % len(days)], time(0)) + timedelta(seconds=second), wrong)

    def _sale_of(self, till: AlipayTill | WeChatTill, *, told: bool = True, pack: Pack = SALE_OF_WRONGS) -> Sale:
        sale = till.sell(self.new_user(), pack, told=told)
        self.diary.sales.append(sale)
        return sale

    def _planted(self, till: AlipayTill | WeChatTill, type_: str, name: str) -> Wrong:
        wrong = Wrong(till.name, type_, name)
        self.diary.wrongs.append(wrong)
        return wrong

    def _today(self) -> date:
        return self.house.clock.now().astimezone(CHINA).date()

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
            till.spoil(sale.number, "unbalanced", self._today())
            self._planted(till, "ours_not_theirs", sale.number)
            self._planted(till, "balance", self._today().isoformat())

        return do

    def _status(self) -> None:
        """The notification is lost, and answers are wrong: only the bill knows that the payment succeeded."""
        sale = self._sale_of(self.wechat, told=False)
        self._planted(self.wechat, "status", sale.number)

    def _late_payment(self) -> None:
        """As `_status`; and nobody looks at the difference before the month is closed."""
        sale = self._sale_of(self.wechat, told=False)
        self.held_back.append((self._planted(self.wechat, "status", sale.number), sale))

    def _late_row(self, till: AlipayTill | WeChatTill) -> None:
        """The trade bill of the next day has the row: no difference."""
        till.spoil(self._sale_of(till).number, "late", self._today())

    def _wrong_fee(self) -> None:
        """Only the bill told of the payment, and so of its fee; then the bill is made anew with another fee."""
        sale, day = self._sale_of(self.wechat, told=False), self._today()

        def bring() -> None:
            fetched(self.house, self.wechat.name, "trade_bill", day)
            self.wechat.shows_the_truth(sale.number)

        def spoil() -> None:
            self.wechat.spoil(sale.number, "fee", day)
            self.wechat.import_trades(day)
            self._planted(self.wechat, "fee", sale.number)

        self.at(datetime.combine(day + A_DAY, time(10, 5), CHINA), bring)
        self.at(datetime.combine(day + A_DAY, time(12), CHINA), spoil)

    def _refund_extra(self) -> None:
        sale = self._sale_of(self.wechat)
        number = self.wechat.gives_back(sale, 199, told=False)
        self._planted(self.wechat, "refund_extra", number)

    def _not_ours(self) -> None:
        """WeChat Pay's account is not shared with anybody, as far as the settings say."""
        number = self.wechat.sell_elsewhere("", 700)
        self.diary.aliens.append((self.wechat.name, 700, self.house.clock.now()))
        if not self.house.simulators.accounts[self.wechat.name].shared:
            self._planted(self.wechat, "not_ours", number)

    def _stray(self) -> None:
        number = self.alipay.sell_elsewhere(str(next(self._strays)), 4_100)
        self.diary.strays.append((self.alipay.name, 4_100, self.house.clock.now()))
        self._planted(self.alipay, "theirs_not_ours", number)
