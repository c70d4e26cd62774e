"""How much of a purchase is refunded, and what follows for coins: pure rules, in any order of telling."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.clawback import Step, Taken, step_to
from app.domain.facts import Kind
from app.domain.refunding import (
    OPEN_REFUND,
    REFUND_EDGES,
    Clawback,
    RefundCause,
    RefundFact,
    RefundStatus,
    left_to_refund,
    next_refund_status,
    of_amount,
    refunded,
    status_told,
    tells_a_size,
)

START = datetime(2026, 1, 2, tzinfo=UTC)
PAID = 600


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def single(hours: int, minor: int, number: str = "") -> RefundFact:
    return RefundFact(Kind.REFUNDED, number or f"r{hours}", at(hours), money=minor)


def total(hours: int, minor: int) -> RefundFact:
    return RefundFact(Kind.REFUNDED, f"r{hours}", at(hours), total=minor)


def share(hours: int, parts: int) -> RefundFact:
    return RefundFact(Kind.REFUNDED, f"r{hours}", at(hours), share=parts)


def sparing(hours: int, number: str) -> RefundFact:
    return replace(undone(hours), spares=number)


def undone(hours: int, number: str = "") -> RefundFact:
    return RefundFact(Kind.REFUND_UNDONE, number or f"u{hours}", at(hours))


@pytest.mark.parametrize(
    ("facts", "minor"),
    [
        ([], 0),
        ([single(1, 200), single(2, 100)], 300),
        ([total(1, 180), total(2, 360), total(3, 600)], 600),
        ([share(1, 30_000), share(2, 30_000), share(3, 100_000)], 600),
        # A console refund told by its total, then ours told alone: both count, and the first is in no later total.
        ([total(1, 100), single(2, 100)], 200),
        # Ours told alone, then a total that contains it.
        ([single(1, 100), total(2, 250)], 250),
        ([single(1, 400), share(2, 50_000)], 400),
        ([single(1, 500), single(2, 500)], 600),
        ([total(1, 180), undone(2), total(3, 240)], 240),
        ([share(1, 100_000), undone(2)], 0),
        ([single(1, 100), single(2, 200), undone(3, "r1")], 200),
        ([single(1, 100), replace(undone(2), money=40)], 60),
        ([undone(1), single(2, 100)], 100),
        ([share(1, 40_000), share(2, 100_000), sparing(3, "r1")], 240),
        ([share(1, 40_000), sparing(3, "r1")], 240),
        ([share(2, 100_000), sparing(3, "r1")], 0),
        ([single(1, 100), single(2, 200), sparing(3, "r2")], 200),
        ([single(1, 100), sparing(2, "r1"), undone(3)], 0),
        ([single(1, 100), undone(2, "r1"), single(3, 200), sparing(4, "r1")], 0),
    ],
)
def test_what_was_told_adds_up_in_every_order_of_telling(facts: list[RefundFact], minor: int) -> None:
    for order in permutations(facts):
        assert of_amount(refunded(order, PAID).part, PAID) == minor


def test_a_merged_fact_with_single_amount_and_total_counts_once() -> None:
    both = RefundFact(Kind.REFUNDED, "r1", at(1), money=100, total=250)
    assert refunded([both], PAID).part == Fraction(250, PAID)


def test_a_refund_taken_back_by_its_number_does_not_stand() -> None:
    assert refunded([single(1, 100, "a"), single(2, 50, "b"), undone(3, "a")], PAID).standing == {"b"}
    assert refunded([single(1, 100, "a"), undone(3)], PAID).standing == frozenset()


FACTS = st.lists(
    st.one_of(
        st.builds(single, st.integers(0, 20), st.integers(1, PAID)),
        st.builds(total, st.integers(0, 20), st.integers(1, PAID)),
        st.builds(share, st.integers(0, 20), st.integers(0, 100_000)),
        st.builds(undone, st.integers(0, 20)),
    ),
    max_size=7,
    unique_by=lambda fact: (fact.kind, fact.number),
)


@given(FACTS, st.randoms(use_true_random=False))
def test_the_order_of_telling_never_matters_and_no_more_than_all_is_refunded(
    facts: list[RefundFact], random: object
) -> None:
    shuffled = sorted(facts, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert refunded(shuffled, PAID) == refunded(facts, PAID)
    assert 0 <= refunded(facts, PAID).part <= 1


# --- each refund, by all that was told about it ---


def word(kind: Kind, hours: int, number: str, minor: int | None = None) -> RefundFact:
    return RefundFact(kind, number, at(hours), money=minor)


DONE, FAILED, PENDING, UNDONE = Kind.REFUNDED, Kind.REFUND_FAILED, Kind.REFUND_PENDING, Kind.REFUND_UNDONE
R1 = word(DONE, 1, "r1", 200)


@pytest.mark.parametrize(
    ("facts", "part", "statuses"),
    [
        ([R1, word(FAILED, 2, "r1")], 0, {"r1": "declined"}),
        ([word(FAILED, 1, "r1"), word(DONE, 2, "r1", 200)], 200, {"r1": "done"}),
        ([word(FAILED, 1, "r1"), R1], 200, {"r1": "done"}),
        ([word(PENDING, 0, "r1"), R1], 200, {"r1": "done"}),
        ([word(PENDING, 3, "r1"), R1], 200, {"r1": "done"}),
        ([word(PENDING, 0, "r1", 200), word(FAILED, 1, "r1")], 0, {"r1": "declined"}),
        ([R1, word(UNDONE, 2, "r1", 50)], 150, {"r1": "done"}),
        ([R1, word(UNDONE, 2, "r1", 200)], 0, {"r1": "undone"}),
        ([R1, word(UNDONE, 2, "r1", 900), word(DONE, 1, "r2", 90)], 90, {"r1": "undone", "r2": "done"}),
        # Taken back before it was told, by the wrong clock, while another stands.
        ([R1, word(UNDONE, 0, "r2"), word(DONE, 2, "r2", 90)], 200, {"r1": "done", "r2": "undone"}),
        ([R1, word(UNDONE, 3, "r2"), word(PENDING, 2, "r2", 90)], 200, {"r1": "done", "r2": "undone"}),
        # The first total is in the second one, until the first refund is taken back.
        ([total(1, 180), total(2, 360), undone(3, "r1")], 180, {"r1": "undone", "r2": "done"}),
        ([R1, word(FAILED, 3, "r1"), total(2, 300)], 100, {"r1": "declined", "r2": "done"}),
        # A total without its refund's size, known from its first word.
        ([word(PENDING, 0, "r1", 70), word(DONE, 1, "r1")], 70, {"r1": "done"}),
    ],
)
def test_status_and_level_follow_from_the_set_of_facts(
    facts: list[RefundFact], part: int, statuses: dict[str, str]
) -> None:
    for order in permutations(facts):
        now = refunded(order, PAID)
        assert of_amount(now.part, PAID) == part
        assert {number: str(told.status) for number, told in now.refunds.items()} == statuses


def test_a_taking_back_of_one_of_ours_that_is_not_told_yet_leaves_the_others_alone() -> None:
    now = refunded([R1, word(UNDONE, 3, "77")], PAID, {"77": 100})
    assert of_amount(now.part, PAID) == 200
    assert {number: str(told.status) for number, told in now.refunds.items()} == {"r1": "done", "77": "undone"}


def test_two_tellings_of_one_refund_under_two_keys_count_once() -> None:
    assert refunded([R1, RefundFact(DONE, "r1", at(2), total=200)], PAID).part == Fraction(200, PAID)


ANY_WORDS = st.lists(
    st.builds(
        word,
        st.sampled_from([DONE, FAILED, PENDING, UNDONE]),
        st.integers(0, 6),
        st.sampled_from(["a", "b", "c"]),
        st.one_of(st.none(), st.integers(1, PAID)),
    ),
    max_size=9,
    unique_by=lambda fact: (fact.kind, fact.number),
)


@given(ANY_WORDS, st.randoms(use_true_random=False))
def test_no_order_of_telling_changes_any_refund(facts: list[RefundFact], random: object) -> None:
    shuffled = sorted(facts, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert refunded(shuffled, PAID) == refunded(facts, PAID)


@given(ANY_WORDS)
def test_what_stands_of_all_refunds_together_is_the_level(facts: list[RefundFact]) -> None:
    """As long as every size is told, and nothing is taken back by a number that nobody knows."""
    known = {fact.number for fact in facts if fact.kind is DONE and fact.money is not None}
    told = [fact for fact in facts if fact.number in known]
    now = refunded(told, PAID)
    stands = sum((each.part - each.undone for each in now.refunds.values() if each.number in now.standing), Fraction(0))
    assert now.part == min(stands, Fraction(1))


@given(st.integers(1, 10**9), st.integers(0, 100_000))
def test_shares_round_half_up_and_the_whole_is_the_whole(amount: int, parts: int) -> None:
    part = Fraction(parts, 100_000)
    assert of_amount(part, amount) == (2 * parts * amount + 100_000) // 200_000
    assert of_amount(Fraction(1), amount) == amount


def test_a_size_needs_something_to_be_a_part_of() -> None:
    assert tells_a_size(single(1, 5), PAID)
    assert not tells_a_size(single(1, 5), None)
    assert tells_a_size(share(1, 5), None)
    assert not tells_a_size(RefundFact(Kind.REFUNDED, "r", at(1)), PAID)


def test_what_is_left_counts_what_is_under_way() -> None:
    assert left_to_refund(Fraction(1, 3), PAID, 150) == 250
    assert left_to_refund(Fraction(1), PAID, 1) == 0


# --- one step of clawback ---


class Books:
    """A wallet of one purchase, as the ledger would keep it."""

    def __init__(self, coins: int) -> None:
        self.coins, self.debt, self.taken = coins, 0, Taken()

    def to(self, target: int, policy: Clawback) -> None:
        step = step_to(target, self.taken, available=self.coins, debt=self.debt, policy=policy)
        self.coins += step.give_back - step.take
        self.debt += step.owe - step.cancel
        self.taken = Taken(
            self.taken.coins + step.take - step.give_back,
            self.taken.owed + step.owe - step.cancel,
            self.taken.forgiven + step.forgive - step.unforgive,
        )

    def receive(self, coins: int) -> None:
        repaid = min(self.debt, coins)
        self.debt -= repaid
        self.coins += coins - repaid


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), st.integers(0, 60)),
        st.tuples(st.just("spend"), st.integers(0, 60)),
        st.tuples(st.just("receive"), st.integers(1, 40)),
    ),
    max_size=12,
)


@given(MOVES, st.sampled_from([Clawback.DEBT, Clawback.FREEZE]))
def test_with_debt_coins_less_debt_is_what_came_less_what_went(moves: list[tuple[str, int]], policy: Clawback) -> None:
    books, net, target = Books(60), 60, 0
    for move, amount in moves:
        if move == "refund":
            net, target = net + target - amount, amount
            books.to(amount, policy)
        elif move == "spend":
            spent = min(amount, books.coins)
            books.coins, net = books.coins - spent, net - spent
        else:
            books.receive(amount)
            net += amount
        assert (books.coins, books.debt) == (max(net, 0), max(-net, 0))
        assert books.taken.by_refunds == target


@given(MOVES)
def test_forgiving_never_makes_a_debt_and_never_takes_twice(moves: list[tuple[str, int]]) -> None:
    books = Books(60)
    for move, amount in moves:
        if move == "refund":
            before = books.coins
            books.to(amount, Clawback.FORGIVE)
            books.to(amount, Clawback.FORGIVE)
            assert books.coins >= 0
            assert books.debt == 0
            assert books.taken.by_refunds == amount
            assert books.coins - before <= 60
        elif move == "spend":
            books.coins -= min(amount, books.coins)
        else:
            books.receive(amount)


def test_undoing_lets_go_of_what_was_forgiven_before_coins_come_back() -> None:
    books = Books(20)
    books.to(60, Clawback.FORGIVE)
    assert (books.coins, books.taken.forgiven) == (0, 40)
    books.to(30, Clawback.FORGIVE)
    assert (books.coins, books.taken.forgiven) == (0, 10)
    books.to(0, Clawback.FORGIVE)
    assert (books.coins, books.taken.forgiven) == (20, 0)


def test_a_credit_that_an_operator_reversed_is_not_taken_again_and_not_given_back() -> None:
    reversed_before = Taken(reversed=60)
    assert step_to(60, reversed_before, available=100, debt=0, policy=Clawback.DEBT) == Step()
    assert step_to(0, reversed_before, available=100, debt=0, policy=Clawback.DEBT) == Step()


# --- states ---


def test_every_open_state_can_be_declined_and_ended_by_a_person() -> None:
    for status in OPEN_REFUND:
        assert next_refund_status(status, RefundCause.DECLINED) is RefundStatus.DECLINED
        assert next_refund_status(status, RefundCause.ENDED) is RefundStatus.DECLINED


def test_nothing_of_our_own_reopens_an_end() -> None:
    assert {status for status, _ in REFUND_EDGES} == OPEN_REFUND


@pytest.mark.parametrize("current", list(RefundStatus))
def test_the_providers_word_outweighs_ours_but_progress_reopens_nothing(current: RefundStatus) -> None:
    for told in (RefundStatus.DONE, RefundStatus.DECLINED, RefundStatus.UNDONE):
        assert status_told(current, told) is told
    is_open = current in OPEN_REFUND
    assert status_told(current, RefundStatus.PENDING) is (RefundStatus.PENDING if is_open else current)
    assert status_told(current, None) is current


# --- one refund that is done, fails, and is done again ---


def once_more(kind: Kind, hours: int, minor: int | None = None) -> RefundFact:
    return replace(word(kind, hours, "r1", minor), occurrence="2")


@pytest.mark.parametrize(
    ("facts", "part", "status"),
    [
        ([R1, word(FAILED, 2, "r1"), once_more(DONE, 3, 200)], 200, "done"),
        ([R1, word(UNDONE, 2, "r1"), once_more(DONE, 3, 200)], 200, "done"),
        ([R1, word(FAILED, 2, "r1"), once_more(DONE, 3, 200), once_more(FAILED, 4)], 0, "declined"),
        ([R1, word(UNDONE, 2, "r1"), once_more(DONE, 3, 200), once_more(UNDONE, 4)], 0, "undone"),
        ([R1, word(FAILED, 2, "r1"), word(PENDING, 3, "r1"), once_more(DONE, 4, 200)], 200, "done"),
        # A second telling that is told apart by nothing is the first one, whenever a road says it happened.
        ([R1, word(FAILED, 2, "r1"), word(DONE, 3, "r1", 200)], 0, "declined"),
    ],
)
def test_a_refund_stands_as_the_latest_word_says_in_every_order_of_telling(
    facts: list[RefundFact], part: int, status: str
) -> None:
    for order in permutations(facts):
        told = refunded(order, PAID)
        assert of_amount(told.part, PAID) == part
        assert {number: one.status for number, one in told.refunds.items()} == {"r1": status}


def test_the_latest_word_about_the_fee_of_a_dispute_counts_in_every_order_of_telling() -> None:
    charged = replace(R1, dispute_fee=(150, "CNY"))
    waived = replace(word(UNDONE, 2, "r1"), dispute_fee=(0, "CNY"))
    for order in permutations([charged, waived, word(PENDING, 0, "r1")]):
        assert refunded(order, PAID).refunds["r1"].dispute_fee == (0, "CNY")
    assert refunded([R1], PAID).refunds["r1"].dispute_fee is None
