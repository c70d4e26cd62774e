"""Plays the quarter: sales, uses, refunds, payouts, the worker's rounds, and what goes wrong, by a seed."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import partial

from app.services.base.transaction import Sessions
from tests.quarter.calendar import A_DAY, CHINA, Calendar
from tests.quarter.diary import NEVER, Diary, Sale, Wrong
from tests.quarter.house import House, build_house
from tests.quarter.packs import PACKS, Pack
from tests.quarter.plaza import PlazaTill
from tests.quarter.tills import AlipayTill, StoreTill, WeChatTill, day_of, fetched

STRAY = 4_503_599_627_370_496
"""Numbers from here on look like ours, and are none."""
MORNING, LATER = time(10, 31), time(13, 0)
"""When the bills of the day before are there, and when what waited for a pause of the worker's is done."""
QUIET_DAYS = 3
"""After the last sales. More where the money needs a week."""
A_WEEK = 7
BANK_DAYS = timedelta(days=4, hours=1)
"""So long a bank takes for some refunds."""
PAID_OUT_WITHIN = 6
"""Days. A payout comes every four days, and leaves a little."""
PAUSE = timedelta(minutes=5)
"""After it the worker looks for bills again."""
SALE_OF_WRONGS = PACKS[0]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Something wrong that nobody mends before its month is closed."""

    wrong: Wrong
    at: datetime
    mend: Callable[[], None] | None = None
    """How the provider mends it, where that is not for us."""


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
        self.held_back: list[HeldBack] = []
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
            self.at(self.on(day, time(15)), self._pay_out)

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
            if there > 100:
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

    # --- what goes wrong --------------------------------------------------------------------------------------------

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
        days = list(range(first, last + 1))
        self.at(self.on(last + 1, time(11)), self._wrong_fee)
        self.at(self.on(last, time(23, 58, 30)), self._status)
        if not self._is_settled_late(self.wechat):
            self.at(self.on(last + 2, time(9)), self._late_fee)
        self.at(self.on(first, time(10, 5)), lambda: self.wechat.brings_a_bill_of_another_merchant(self._yesterday()))
        self.at(self.on(last + 1, time(9)), partial(self.wechat.fund_bills_are_late, True))
        self.at(self.on(last + 3, time(9)), partial(self.wechat.fund_bills_are_late, False))
        for number, wrong in enumerate(wrongs):
            second = self.chance.randrange(8 * 3600, 22 * 3600)
            self.at(self.on(days[number % len(days)], time(0)) + timedelta(seconds=second), wrong)

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

    def _today(self) -> date:
        return self.house.clock.now().astimezone(CHINA).date()

    def _yesterday(self) -> date:
        return self._today() - A_DAY

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
