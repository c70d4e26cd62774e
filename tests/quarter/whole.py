"""The whole quarter: it is played, reviewed, repaired, closed and counted."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta

from app.domain.accounting_time import Span, month_span
from app.services.base.transaction import Sessions
from app.services.reports.catalogue import REPORTS
from tests.quarter.house import A_DAY, CHINA
from tests.quarter.play import QUIET_DAYS, Quarter
from tests.quarter.review import Review

REVIEW_EVERY = 6
"""Days. What is wrong is planted in the first half of them, so that its pool is over at the review."""
WRONG_UNTIL = 1


def play_quarter(sessions: Sessions, first: date, days: int, sales: int, seed: int) -> Review:
    """Raises AssertionError where something does not hold."""
    quarter = Quarter(sessions, first, days, sales, seed)
    review = Review(quarter)
    last = days + QUIET_DAYS
    for begin in range(0, days, REVIEW_EVERY):
        if begin + REVIEW_EVERY <= days:
            quarter.plan_wrongs(begin, begin + WRONG_UNTIL)
    for day in range(last + 1):
        quarter.plan_day(day)
        quarter.play_until(quarter.on(day + 1, time(0)) if day < last else quarter.on(day, time(21)))
        if (day + 1) % REVIEW_EVERY == 0 and day < days:
            _review(review)
        if day == days:
            quarter.play_until(quarter.on(day + 1, time(1)))
            quarter.pay_everything_out()
    end = quarter.on(last - 1, time(0))
    _settled(review, first + (last - 2) * A_DAY)
    _close_months(review, first, end)
    return review


def _review(review: Review) -> None:
    review.must_have_found_what_was_planted()
    review.repair_all()
    left = {wrong for wrong, _ in review.quarter.held_back}
    review.repaired += [wrong for wrong in review.quarter.diary.wrongs if wrong not in left]
    review.quarter.diary.wrongs[:] = [wrong for wrong in review.quarter.diary.wrongs if wrong in left]
    assert set(review.found()) == left, f"still open: {review.found()}"


def _settled(review: Review, last: date) -> None:
    review.compare_again(review.quarter.first, last)
    left = review.found() - Counter(wrong for wrong, _ in review.quarter.held_back)
    assert not left, f"open once more: {left}"


def _close_months(review: Review, first: date, end: datetime) -> None:
    """Close the first month, then hear of a payment of that month."""
    quarter = review.quarter
    review.catch_up()
    month = f"{first:%Y-%m}"
    span = month_span(month, CHINA)
    late = [sale for _, sale in quarter.held_back]
    for sale in late:
        sale.told_at = end + 400 * A_DAY
    review.must_agree_with_the_recount(span.until)
    review.close(month)
    before = review.reports(month)
    for row in review.open_rows():
        review.repair(row)
    told_at = quarter.house.clock.now()
    for sale in late:
        sale.told_at = told_at if sale.paid_at < span.until else None
    assert review.found() == {}
    quarter.house.go_to(told_at + 3 * A_DAY + timedelta(hours=1))
    review.catch_up()
    after = review.reports(month)
    changed = {name: (before[name] - after[name], after[name] - before[name]) for name in REPORTS}
    assert after == before, f"reports of a closed month do not change: {changed}"
    review.must_clear(end.astimezone(CHINA).date())
    review.must_know_what_the_store_sold(end.astimezone(CHINA).date() - 3 * A_DAY)
    while span.until < told_at:
        review.must_agree_with_the_recount(span.until)
        review.must_report(span)
        span = month_span(f"{span.until.astimezone(CHINA):%Y-%m}", CHINA)
    last = Span(span.since, datetime.combine(told_at.astimezone(CHINA).date() + A_DAY, time(), CHINA))
    review.must_agree_with_the_recount(last.until)
    review.must_report(last)
    balances = review.balances(last.until)
    for till in quarter.tills:
        assert (balances.get(f"clearing:{till.name}", 0), till.balance(told_at)) == (0, 0), till.name
    review.must_be_balanced()
