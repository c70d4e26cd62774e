"""What is tried again: pauses that grow and are bounded, and an end where there is one."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.domain.retries import JITTER, RETRIES, Retried, doubling, is_over, pause_seconds

ROOT = Path(__file__).resolve().parents[2]
jitters = st.floats(0, 1, exclude_max=True)


def test_every_reason_has_its_pauses() -> None:
    assert RETRIES.keys() == set(Retried)
    for retry in RETRIES.values():
        assert list(retry.pauses) == sorted(retry.pauses)
        assert retry.pauses[0] > 0


@given(st.sampled_from(Retried), st.integers(-1, 10_000), jitters)
def test_a_pause_grows_to_the_last_one_and_never_past_it(why: Retried, number: int, jitter: float) -> None:
    retry, pause = RETRIES[why], pause_seconds(why, number, jitter)
    assert max(retry.least, retry.pauses[0] * (1 - JITTER)) <= pause <= retry.pauses[-1] * (1 + JITTER)
    assert pause_seconds(why, number + 1, jitter) >= pause


def test_pauses_double_up_to_the_cap() -> None:
    assert doubling(5, 60) == (5, 10, 20, 40, 60)
    assert doubling(7, 7) == (7,)
    assert [pause_seconds(Retried.OPEN_PAYMENT, number, 0.5) for number in (0, 1, 2, 3, 99)] == [5, 10, 20, 40, 600]
    assert [pause_seconds(Retried.GIFT, number, 0.9) for number in (0, 1, 99)] == [120, 240, 3600]


def test_a_refund_is_asked_about_after_ten_seconds_at_the_earliest() -> None:
    assert pause_seconds(Retried.OPEN_REFUND, 0, 0.0) == 10


def test_it_is_over_after_so_many_pauses_or_so_long() -> None:
    assert [is_over(Retried.FAILED_REFUND, pauses=number) for number in (29, 30)] == [False, True]
    days = [timedelta(days=7), timedelta(days=7, seconds=1)]
    assert [is_over(Retried.RECEIPT, passed=passed) for passed in days] == [False, True]
    assert not is_over(Retried.OPEN_PAYMENT, pauses=10**6, passed=timedelta(days=10**6))


def row_of(why: Retried) -> str:
    """The line of `docs/limits.md` about one reason."""
    retry = RETRIES[why]
    first, last = retry.pauses[:-1], retry.pauses[-1]
    pauses = f"{', '.join(map(str, first))}, then {last}" if first else f"{last}"
    spread = f"±{retry.jitter:.0%}" if retry.jitter else "exactly"
    ends = [f"{retry.most} times"] if retry.most is not None else []
    ends += [str(retry.within).removesuffix(", 0:00:00")] if retry.within is not None else []
    return f"| {why} | {pauses} | {spread} | {', '.join(ends) or 'until it ends'} |"


def test_the_page_of_limits_has_the_table() -> None:
    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    rows = page.partition("## Pauses")[2].partition("\n## ")[0]
    assert [row_of(why) for why in Retried] == [line for line in rows.splitlines() if line.startswith("| ")][1:]


def test_nothing_else_reckons_with_chance_or_with_growing_pauses() -> None:
    """A service that tries again looks into the table: only transactions, which last milliseconds, are spread apart
    from it, and deliveries draw the chance that their rules take."""
    spread = re.compile(
        r"random\.(random|uniform)|\*\* ?(min\()?\(?(tries|row\.tries|attempt)|<< ?(min\()?(tries|asked|row)"
    )
    found = {
        str(path.relative_to(ROOT / "app"))
        for path in (ROOT / "app").rglob("*.py")
        if spread.search(path.read_text(encoding="utf-8"))
    }
    assert found == {
        "services/base/leases.py",
        "services/base/transaction.py",
        "services/calls/payment_queries.py",
        "services/events/delivery_rounds.py",
        "services/events/endpoint_health.py",
    }
