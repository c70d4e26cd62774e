"""The whole quarter: it is played, reviewed, repaired, closed month by month, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from app.domain.accounting_time import Span, month_span
from app.services.base.transaction import Sessions
from tests.quarter.calendar import A_DAY, CHINA
from tests.quarter.play import QUIET_DAYS
from tests.quarter.review import RECOUNTED, Review
from tests.quarter.wrongs import SpoiledQuarter

REVIEW_EVERY = 6
"""Days. What is wrong is planted in the first half of them, so that its pool is over at the review."""
WRONG_UNTIL = 1
CLOSED_AFTER = timedelta(days=9)
"""So long after its end a month is closed at the earliest: its bills are there, and what was wrong is mended."""


def play_quarter(sessions: Sessions, first: date, days: int, sales: int, seed: int, zone: tzinfo = CHINA) -> Review:
    """Raises AssertionError where something does not hold. The last day must lie in another month than the first."""
    quarter = SpoiledQuarter(sessions, first, days, sales, seed, zone)
    months = Months(Review(quarter))
    last = days + quarter.quiet_days
    for begin in range(0, days, REVIEW_EVERY):
        if begin + REVIEW_EVERY <= days:
            quarter.plan_wrongs(begin, begin + WRONG_UNTIL)
    for moment in quarter.plan_missing_payouts():
        quarter.at(moment, months.review.must_miss_a_payout)
    for day in range(last + 1):
        quarter.plan_day(day)
        quarter.play_until(quarter.on(day + 1, time(0)) if day < last else quarter.on(day, time(21)))
        if (day + 1) % REVIEW_EVERY == 0 and day < days:
            _review(months.review)
            months.close_due()
        if day == last - QUIET_DAYS:
            quarter.play_until(quarter.on(day + 1, time(1)))
            quarter.pay_everything_out()
    _settled(months, first + (last - 2) * A_DAY)
    return months.review


def _review(review: Review) -> None:
    review.must_have_found_what_was_planted()
    review.repair_all()
    left = {one.wrong for one in review.quarter.held_back}
    review.repaired += [wrong for wrong in review.quarter.diary.wrongs if wrong not in left]
    review.quarter.diary.wrongs[:] = [wrong for wrong in review.quarter.diary.wrongs if wrong in left]
    assert set(review.found()) == left, f"still open: {review.found()}"


class Months:
    """The months of the quarter, and what was reported about those that are closed."""

    def __init__(self, review: Review) -> None:
        self.review, self.quarter = review, review.quarter
        self.reported: dict[str, dict[str, Any]] = {}
        self.next = self.span_at(self.quarter.house.clock.now())

    def span_at(self, moment: datetime) -> Span:
        return month_span(f"{moment.astimezone(self.quarter.zone):%Y-%m}", self.quarter.zone)

    def close_due(self) -> None:
        """Close a month, then hear of what happened in it and was held back: its reports stay as they are."""
        if self.quarter.house.clock.now() >= self.next.until + CLOSED_AFTER:
            self.close_next()

    def close_next(self) -> None:
        review, span = self.review, self.next
        month = f"{span.since.astimezone(self.quarter.zone):%Y-%m}"
        review.catch_up()
        review.must_balance(span.until)
        review.close(month)
        self.reported[month] = review.reports(month)
        self.next = self.span_at(span.until)
        review.hear_of_what_was_held_back(span.until)
        self.must_stand()

    def must_stand(self) -> None:
        for month, before in self.reported.items():
            after = self.review.reports(month)
            changed = {name: (before[name] - after[name], after[name] - before[name]) for name in RECOUNTED}
            assert after == before, f"reports of a closed month do not change: {changed}"

    def spans(self) -> Iterator[Span]:
        """All months, and of the last one as much as is over."""
        now, span = self.quarter.house.clock.now(), self.span_at(self.quarter.on(0, time(12)))
        while span.until < now:
            yield span
            span = self.span_at(span.until)
        yesterday = (now - A_DAY).astimezone(self.quarter.zone).date()  # of which no revenue is recognised yet
        yield Span(span.since, datetime.combine(yesterday, time(), self.quarter.zone))


def _settled(months: Months, last: date) -> None:
    """What is mended stays mended, and the books are the recount's."""
    review, quarter = months.review, months.quarter
    review.compare_again(quarter.first, last)
    left = review.found() - Counter(one.wrong for one in quarter.held_back)
    assert not left, f"open once more: {left}"
    if not months.reported:
        months.close_next()
    review.hear_of_what_was_held_back(quarter.house.clock.now())
    assert not review.found(), f"open still: {review.found()}"
    quarter.house.go_to(quarter.house.clock.now() + 3 * A_DAY + timedelta(hours=1))
    quarter.house.work()
    review.catch_up()
    months.must_stand()
    review.must_clear(last)
    review.must_know_what_the_store_sold(last - 2 * A_DAY)
    for span in months.spans():
        review.must_balance(span.until)
        review.must_report(span)
    review.must_know_whose_coins_are_unspent()
    review.must_list_each_fee(Span(quarter.on(0, time()), quarter.house.clock.now()))
    balances = review.balances(quarter.house.clock.now())
    for till in quarter.with_balance:
        for currency in till.currencies:
            there = till.balance(quarter.house.clock.now(), currency)
            assert (balances.get((currency, f"clearing:{till.name}"), 0), there) == (0, 0), (till.name, currency)
    review.must_be_balanced()
