"""Plays the quarter: sales, uses, refunds, payouts, the worker's rounds, and what goes wrong, by a seed."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from functools import partial

from app.services.base.transaction import Sessions
from tests.quarter.calendar import A_DAY, CHINA, Calendar
from tests.quarter.diary import Diary, Sale
from tests.quarter.house import House, build_house
from tests.quarter.packs import PACKS, Pack
from tests.quarter.plaza import PlazaTill
from tests.quarter.tills import AlipayTill, StoreTill, WeChatTill

STRAY = 4_503_599_627_370_496
"""Numbers from here on look like ours, and are none."""
MORNING, LATER = time(10, 31), time(13, 0)
"""When the bills of the day before are there, and when what waited for a pause of the worker's is done."""
QUIET_DAYS = 3
"""After the last sales. More where the money needs a week."""
A_WEEK = 7
BANK_DAYS = timedelta(days=4, hours=1)
"""So long a bank takes for some refunds."""
PAID_OUT_WITHIN = 5
"""Days. A payout comes every four days, and leaves a little."""
PAYS_OUT_AT = time(15)
PAUSE = timedelta(minutes=5)
"""After it the worker looks for bills again."""
SALE_OF_WRONGS = PACKS[0]


class Quarter:
    def __init__(self, sessions: Sessions, first: date, days: int, sales: int, seed: int, zone: tzinfo = CHINA) -> None:
        self.first, self.days, self.sales, self.seed, self.zone = first, days, sales, seed, zone
        self.chance = random.Random(seed)
        self.house: House = build_house(sessions, datetime.combine(first, time(0, 1), CHINA), zone)
        self.alipay, self.wechat, self.store = AlipayTill(self.house), WeChatTill(self.house), StoreTill(self.house)
        self.plaza = PlazaTill(self.house)
        self.tills = (self.alipay, self.wechat)
        """Those of China, with their coupons and faults."""
        self.with_balance = (*self.tills, self.plaza)
        self.diary = Diary()
        self.alipay.office.gives_fees_back = bool(seed % 2)
        self.house.configure(self.wechat.name, pays_out_within_days=PAID_OUT_WITHIN)
        self.settled_after_a_week = seed % 4 == 0
        if self.settled_after_a_week:
            self.wechat.settles_after_a_week()
        elif seed % 3 == 0:
            self.wechat.settles_the_next_day()
        self.pays_nothing_out = set[str]()
        """Names of providers that leave out the payouts that are due."""
        self._users, self._strays, self._order = itertools.count(1), itertools.count(STRAY), itertools.count()
        self._reserved = set[str]()
        self._turns: Iterator[AlipayTill | WeChatTill | StoreTill] = itertools.cycle((*self.tills, self.store))
        """Each has sales every day: WeChat Pay makes no bill of a day without any, and its pool stays open longer."""
        self._plan: list[tuple[datetime, int, Callable[[], object]]] = []

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.zone, self.house.clock.now(), tuple(self.diary.closed))

    @property
    def quiet_days(self) -> int:
        return QUIET_DAYS + A_WEEK * self.settled_after_a_week

    @property
    def gives_fees_back(self) -> frozenset[str]:
        of_alipay = {self.alipay.name} if self.alipay.office.gives_fees_back else set[str]()
        return frozenset({self.wechat.name, self.plaza.name} | of_alipay)

    # --- time -----------------------------------------------------------------------------------------------------

    def at(self, moment: datetime, what: Callable[[], object]) -> None:
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
        for _ in range(1 + self.sales // 6):
            at = self.on(day, time(0)) + timedelta(seconds=self.chance.randrange(120, 86_280))
            self.at(at, partial(self._some_sale, self.plaza))
        if day % 2:
            self.at(self.on(day, time(23, 59, 59)), self._some_sale)
        if day % 3 == 1:
            self.at(self.on(day, time(13)), self._sell_elsewhere)
        if day % 4 == 3:
            self.at(self.on(day, PAYS_OUT_AT), self._pay_out)

    def _today(self) -> date:
        return self.house.clock.now().astimezone(CHINA).date()

    def _yesterday(self) -> date:
        return self._today() - A_DAY

    def _morning(self) -> None:
        self.wechat.import_trades(self._yesterday())
        self.house.work()

    # --- what goes well ---------------------------------------------------------------------------------------------

    def new_user(self) -> str:
        return f"user-{next(self._users)}"

    def _some_sale(self, where: PlazaTill | None = None) -> None:
        pack = self.chance.choice(PACKS)
        self._sell(next(self._turns) if where is None else where, pack)

    def _sell(self, where: AlipayTill | WeChatTill | StoreTill | PlazaTill, pack: Pack) -> None:
        if isinstance(where, StoreTill | PlazaTill):
            sale = where.sell(self.new_user(), pack, abroad=bool(pack.cents) and self.chance.random() < 0.3)
        else:
            coupon = self.chance.randint(1, pack.fen - 1) if self.chance.random() < 0.1 else 0
            sale = where.sell(self.new_user(), pack, coupon=coupon, charged=self.chance.random() < 0.3)
        self.diary.sales.append(sale)
        if pack.days:
            self.at(sale.paid_at + pack.days * A_DAY + timedelta(milliseconds=1), self.house.work)
        for _ in range(self.chance.choice((0, 1, 1, 2))):
            self.at(self._later(sale), lambda: self._use(sale))
        fate = self.chance.random()
        if fate < 0.25:
            self.at(self._later(sale), lambda: self._refund(sale))
        elif fate < 0.3:
            self.at(self._later(sale) + self.chance.choice((4, 35)) * A_DAY, lambda: self._refund(sale))
        elif fate < 0.35:
            self.at(self._later(sale), lambda: self._give(sale))
        elif fate < 0.4:
            self.at(self._later(sale), lambda: self._reserve(sale))

    def _later(self, sale: Sale) -> datetime:
        hours = 48 if sale.pack.days else 96
        return self.house.clock.now() + timedelta(seconds=self.chance.randrange(600, hours * 3600))

    def _use(self, sale: Sale) -> None:
        """Not after a refund: how many coins are there then is for the wallet to say, not for the diary."""
        there = self._there(sale)
        if there < 1:
            return
        coins = self.chance.choice((there, self.chance.randint(1, there)))
        self.house.use(sale.user, coins)
        sale.uses.append((self.house.clock.now(), coins))

    def _there(self, sale: Sale) -> int:
        """Coins that the user may use, as far as the diary knows: none after a refund or a gift."""
        over = sale.pack.days and self.house.clock.now() >= sale.paid_at + sale.pack.days * A_DAY
        if sale.back or sale.given or sale.user in self._reserved or over:
            return 0
        return sale.pack.coins + sale.pack.bonus - sale.coins_used

    def _give(self, sale: Sale) -> None:
        """Paid coins alone: a bonus is given first, and bears no value."""
        there = self._there(sale)
        if there < 1 or sale.pack.bonus:
            return
        friend, coins = self.new_user(), self.chance.randint(1, there)
        self.house.give(sale.user, friend, coins)
        sale.given = (friend, coins)

    def _reserve(self, sale: Sale) -> None:
        """A hold, whose coins are taken days later: perhaps in the next month, when this one is closed."""
        there = self._there(sale)
        if there < 1 or sale.pack.days:
            return
        self._reserved.add(sale.user)
        coins, days = self.chance.randint(1, there), self.chance.choice((1, 3, 20))
        hold = self.house.reserve(sale.user, coins, 40 * 86_400)

        def take() -> None:
            self.house.take_reserved(sale.user, hold)
            sale.uses.append((self.house.clock.now(), coins))

        self.at(self.house.clock.now() + days * A_DAY, take)

    def _refund(self, sale: Sale) -> None:
        left = sale.price - sale.returned
        if (
            not left
            or sale.given
            or sale.user in self._reserved
            or self.house.clock.now() > self.on(self.days, time(0))
        ):
            return
        fen = left
        if self.chance.random() < 0.5 and not sale.pack.bonus and not sale.pack.days:
            fen = self.chance.randint(1, left)
            self.at(self._later(sale), lambda: self._refund(sale))
        if sale.provider == self.store.name:
            self.store.gives_back(sale)
            return
        till = next(till for till in self.with_balance if till.name == sale.provider)
        give = till.refund if self.chance.random() < 0.6 else till.gives_back
        give(sale, fen)

    def _sell_elsewhere(self) -> None:
        """Alipay's account is shared with another system."""
        fen = self.chance.randint(1, 50_000)
        self.diary.aliens.append(self.alipay.sell_elsewhere(f"WEB{next(self._order)}", fen))

    def _pay_out(self) -> None:
        for till, currency, there in self._balances():
            if there > 100 and till.name not in self.pays_nothing_out:
                self._paid_out(till, there - self.chance.randint(0, 100), currency)

    def pay_everything_out(self) -> None:
        for till, currency, there in self._balances():
            if there:
                self._paid_out(till, there, currency)

    def _balances(self) -> Iterator[tuple[AlipayTill | WeChatTill | PlazaTill, str, int]]:
        for till in self.with_balance:
            for currency in till.currencies:
                yield till, currency, till.balance(self.house.clock.now(), currency)

    def _paid_out(self, till: AlipayTill | WeChatTill | PlazaTill, minor: int, currency: str) -> None:
        till.pay_out(minor, currency)
        self.diary.payouts.append((till.name, minor, currency, self.house.clock.now()))
