"""One odd row, one document that cannot be read, and what is nobody's here stop no feed and drown nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.money import Money
from app.domain.retries import RETRIES, Retried
from app.domain.status import Outcome
from app.providers.errors import Misconfigured, ProviderError, Retryable, Unknown
from app.providers.facts import Fact, Kind, Page, Ref
from app.providers.registry import ProviderAccount
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.errors import NotFound
from app.services.base.reported_fact import ReportedFact, Road
from app.services.calls import scans
from app.services.facts import inbox, parked
from app.services.facts.owner import tell
from app.services.facts.record import Applied
from app.services.intake import notifications
from tests.promises.test_reexamined import STORE_CATALOGUE, forgotten, store_fact
from tests.support.facts import paid_fact, told
from tests.support.world import World

HOUR = timedelta(hours=1)
SAME_FAILURES = (RETRIES[Retried.HISTORY].most or 0) + 1


@dataclass
class Feed:
    """A provider whose history says what the test says."""

    inner: Any
    pages: dict[str | None, Page | ProviderError] = field(default_factory=dict)
    read: list[tuple[datetime, str | None]] = field(default_factory=list)
    feeds: tuple[str, ...] = ("bill",)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        self.read.append((since, cursor))
        answer = self.pages.get(cursor, Page((), None))
        if isinstance(answer, ProviderError):
            raise answer
        return answer


@dataclass
class Reader:
    world: World
    feed: Feed

    @property
    def account(self) -> ProviderAccount:
        account = self.world.core.registry.get("sandbox")
        assert account is not None
        return account

    def reads(self) -> bool:
        return scans.scan_due(self.world.core, self.account, "bill", HOUR)

    def later(self, span: timedelta = HOUR) -> bool:
        self.world.clock.advance(span.total_seconds())
        return self.reads()

    def row(self) -> Any:
        [row] = self.world.core.whole.read(scans.list_feeds)
        return row

    def shown(self) -> list[tuple[str, str]]:
        return [(row.reason, row.detail) for row in self.world.core.whole.read(inbox.waiting_messages)]


@pytest.fixture
def reader(world: World) -> Reader:
    feed = Feed(world.account.provider)
    account = ProviderAccount("sandbox", "sandbox", False, feed)
    world.serve(account)
    return Reader(world, feed)


def others(number: str, kind: Kind = Kind.PAID, **changes: Any) -> Fact:
    """A sale of another system of the merchant, as a bill lists it."""
    ref = Ref(ours=f"shop-{number}", theirs=f"T-{number}", refund="r" if "refund" in kind else None)
    at = datetime.fromisoformat("2026-01-02T00:00:00+00:00")
    fact = Fact(kind, ref, at, Money(100, "CNY"), account="m-1", live=False)
    return replace(fact, **changes)


# --- odd rows, odd documents ---


def test_rows_that_the_plugin_could_not_read_are_kept_and_shown_once_and_the_rest_counts(reader: Reader) -> None:
    payment_id = reader.world.order().payments[0].id
    reader.feed.pages[None] = Page((paid_fact(reader.world, payment_id),), None, problems=("row 3: no amount", "row 9"))
    for _ in range(3):
        assert reader.later()
    assert reader.world.coins() == 66
    assert sorted(reader.shown()) == [("unreadable_row", "bill: row 3: no amount"), ("unreadable_row", "bill: row 9")]


def test_a_page_full_of_odd_rows_keeps_a_bounded_number_of_them(reader: Reader) -> None:
    reader.feed.pages[None] = Page((), None, problems=tuple(f"row {number}" for number in range(1000)))
    reader.reads()
    rows = reader.world.core.whole.read(lambda tx: inbox.waiting_messages(tx, limit=5000))
    assert len(rows) == scans.MOST_PROBLEMS + 1
    assert any("900 more rows" in row.detail for row in rows)


def test_a_fact_that_cannot_be_applied_is_kept_and_its_page_goes_on(reader: Reader) -> None:
    first, second = (reader.world.order(user, key=user).payments[0].id for user in ("alice", "bob"))
    broken = replace(paid_fact(reader.world, first), raw={"deep": _Unprintable()})
    reader.feed.pages[None] = Page((broken, paid_fact(reader.world, second)), None)
    with capture_logs():
        assert reader.reads()
    assert (reader.world.coins("alice"), reader.world.coins("bob")) == (0, 66)
    assert reader.row().cursor is None, "the feed stands still"


class _Unprintable:
    """What a plugin's own defect may leave in `raw`."""

    def __str__(self) -> str:
        raise ValueError("no text")


@dataclass
class _PrintableLater:
    """Trouble that is over by the second time."""

    times: int = 0

    def __str__(self) -> str:
        self.times += 1
        if self.times == 1:
            raise ValueError("not yet")
        return "text"


def test_a_kept_fact_can_be_told_again(reader: Reader) -> None:
    payment_id = reader.world.order().payments[0].id
    broken = replace(paid_fact(reader.world, payment_id), raw={"deep": _PrintableLater()})
    reader.feed.pages[None] = Page((broken,), None)
    with capture_logs():
        reader.reads()
    assert reader.world.coins() == 0
    [(reason, _)] = reader.shown()
    assert reason == scans.ODD_FACT
    [kept] = reader.world.core.whole.read(inbox.waiting_messages)
    assert notifications.replay(reader.world.core, kept.id).settled
    assert reader.world.coins() == 66
    assert reader.shown() == []
    reader.world.assert_balanced()


def test_a_document_that_can_never_be_read_is_left_and_the_feed_goes_on_behind_it(reader: Reader) -> None:
    reader.feed.pages["day-2"] = Unknown("the bill of 2026-01-01 cannot be read")
    reader.feed.pages[None] = Page((), "day-2")
    with capture_logs():
        assert reader.reads()
        for _ in range(SAME_FAILURES - 2):
            reader.later()
        assert reader.row().cursor == "day-2"
        assert (reader.row().tries, reader.row().problem) == (
            SAME_FAILURES - 1,
            "the bill of 2026-01-01 cannot be read",
        )
        reader.later()
    assert reader.row().cursor is None
    [(reason, _)] = reader.shown()
    assert reason == scans.ODD_WINDOW
    payment_id = reader.world.order().payments[0].id
    reader.feed.pages[None] = Page((paid_fact(reader.world, payment_id),), None)
    reader.later()
    assert reader.world.coins() == 66


def test_a_window_that_was_left_can_be_read_again(reader: Reader) -> None:
    reader.feed.pages[None] = Unknown("cannot be read")
    with capture_logs():
        reader.reads()
        for _ in range(SAME_FAILURES):
            reader.later()
    [kept] = reader.world.core.whole.read(inbox.waiting_messages)
    with pytest.raises(notifications.NotReplayed, match="cannot be read"):
        notifications.replay(reader.world.core, kept.id)
    payment_id = reader.world.order().payments[0].id
    reader.feed.pages[None] = Page((paid_fact(reader.world, payment_id),), None)
    assert notifications.replay(reader.world.core, kept.id).settled
    assert reader.world.coins() == 66
    assert reader.shown() == []


@pytest.mark.parametrize("failure", [Retryable("busy"), None])
def test_a_feed_waits_for_a_provider_that_is_away_or_fails_in_many_ways(
    reader: Reader, failure: ProviderError | None
) -> None:
    with capture_logs():
        for number in range(3 * SAME_FAILURES):
            reader.feed.pages[None] = failure or Unknown(f"another error, {number}")
            reader.later(timedelta(hours=2))
    assert reader.row().cursor == ""
    assert reader.shown() == []


def test_a_person_can_skip_a_window_and_read_it_later(reader: Reader) -> None:
    reader.feed.pages[None] = Page((), "day-2")
    reader.feed.pages["day-2"] = Unknown("cannot be read")
    with capture_logs():
        reader.reads()
    number = scans.skip(reader.world.core, "sandbox", "bill", actor="operator:eve", reason="a bill of zero bytes")
    assert number is not None
    kept = reader.world.core.whole.read(lambda tx: inbox.find_message(tx, number))
    assert kept is not None
    assert "operator:eve: a bill of zero bytes" in kept.detail
    assert reader.shown() == []
    assert reader.row().cursor is None
    with pytest.raises(NotFound):
        scans.skip(reader.world.core, "sandbox", "bill", actor="operator:eve", reason="again")
    payment_id = reader.world.order().payments[0].id
    reader.feed.pages["day-2"] = Page((paid_fact(reader.world, payment_id),), None)
    assert notifications.replay(reader.world.core, number).settled
    assert reader.world.coins() == 66


# --- what is nobody's here ---


def listed(world: World, outcome: str, theirs: str | None = None) -> list[Any]:
    return list(world.core.whole.read(lambda tx: parked.list_parked(tx, outcome, 1000, theirs)))


def tell_by(world: World, fact: Fact, road: Road, account: ProviderAccount | None = None) -> Applied:
    return tell(world.core, ReportedFact(account or world.account, fact, road))


def test_what_other_systems_sold_is_counted_and_neither_alarmed_nor_listed(reader: Reader) -> None:
    kinds = (Kind.PAID, Kind.REFUNDED, Kind.CLOSED, Kind.REFUND_PENDING)
    reader.feed.pages[None] = Page(tuple(others(f"{kind}-{n}", kind) for kind in kinds for n in range(50)), None)
    with capture_logs() as logged:
        assert reader.reads()
    assert [one for one in logged if one["log_level"] in ("warning", "error")] == []
    [line] = [one for one in logged if one["event"] == "scan_lists_others"]
    assert (line["facts"], line["of"]) == (200, 200)
    assert len(logged) < 5, "one line a page"
    assert listed(reader.world, "parked") == []
    assert reader.world.core.whole.read(parked.counts_not_ours) == {"sandbox": 200}
    [found] = listed(reader.world, "not_ours", f"T-{Kind.PAID}-7")
    assert found.content["ours"] == f"shop-{Kind.PAID}-7"
    assert parked.look_at_parked(reader.world.core, parked.PARKED_START) == (0, parked.PARKED_START)
    reader.world.assert_balanced()


def test_a_fact_that_is_not_ours_stays_so_however_often_it_is_listed(reader: Reader) -> None:
    reader.feed.pages[None] = Page((others("1"),), None)
    for _ in range(3):
        reader.later()
    assert [row.outcome for row in listed(reader.world, "not_ours")] == ["not_ours"]


def test_a_provider_that_refuses_us_is_asked_again_when_the_feed_would_be_due_anyway(reader: Reader) -> None:
    reader.feed.pages[None] = Misconfigured("no permission for account bills")
    with capture_logs() as logged:
        assert reader.later()
        assert not reader.later(HOUR - timedelta(seconds=1))
        assert reader.later(timedelta(seconds=1))
    assert [one["log_level"] for one in logged if one["event"] == "provider_call_failed"] == ["error", "error"]
    assert (len(reader.feed.read), reader.row().problem) == (2, "no permission for account bills")
    reader.feed.pages.clear()
    assert reader.later()
    assert (reader.row().cursor, reader.row().problem) == (None, "")


@pytest.mark.parametrize("first", ["scan", "bill"])
def test_what_was_not_ours_is_parked_with_its_money_once_the_provider_tells_it_to_us(world: World, first: Road) -> None:
    fact = others("1")
    assert tell_by(world, fact, first).outcome is Outcome.NOT_OURS
    assert told(world, fact).outcome is Outcome.PARKED
    assert world.money("suspense") == 100
    assert tell_by(world, fact, "bill").outcome is Outcome.PARKED, "a person's list is not shortened by a bill"
    assert [row.outcome for row in listed(world, "parked")] == ["parked"]
    world.assert_balanced()


def test_an_order_that_is_put_back_is_credited_by_the_next_bill(world: World) -> None:
    fact, restore = forgotten(world, "alice")
    assert tell_by(world, fact, "bill").outcome is Outcome.NOT_OURS
    restore()
    assert tell_by(world, fact, "bill").outcome is Outcome.APPLIED
    assert world.coins() == 66
    world.assert_balanced()


def test_a_person_can_have_a_fact_that_is_not_ours_looked_at_again(world: World) -> None:
    fact, restore = forgotten(world, "alice")
    number = tell_by(world, fact, "scan").fact_id
    assert parked.reexamine(world.core, number).outcome is Outcome.NOT_OURS
    restore()
    assert parked.reexamine(world.core, number).outcome is Outcome.APPLIED
    assert world.coins() == 66


def with_two_accounts(world: World, second: str = "sandbox") -> ProviderAccount:
    """One merchant under two names, as the README shows it."""
    first = world.account
    other = ProviderAccount("sandbox-2", second, False, first.provider)
    world.serve(first, other)
    return other


@pytest.mark.parametrize("paid_first", [True, False])
def test_two_accounts_of_one_merchant_do_not_alarm_on_each_others_payments(world: World, paid_first: bool) -> None:
    other = with_two_accounts(world)
    payment_id = world.order().payments[0].id
    fact = paid_fact(world, payment_id)
    if paid_first:
        told(world, fact)
    with capture_logs() as logged:
        for road in ("scan", "bill"):
            assert tell_by(world, fact, road, other).outcome is Outcome.NOT_OURS
        refund = replace(fact, kind=Kind.REFUNDED, ref=replace(fact.ref, refund="r"), money=Money(600, "CNY"))
        assert tell_by(world, refund, "bill", other).outcome is Outcome.NOT_OURS
    assert [one for one in logged if one["log_level"] != "info"] == []
    assert world.payment(payment_id).theirs == (fact.ref.theirs if paid_first else world.at_provider(payment_id).id)
    told(world, fact)
    assert world.coins() == 66
    assert listed(world, "parked") == []
    world.assert_balanced()


def test_another_plugins_word_on_our_payment_is_for_a_person(world: World) -> None:
    other = with_two_accounts(world, second="another")
    fact = paid_fact(world, world.order().payments[0].id)
    assert tell_by(world, fact, "bill", other).outcome is Outcome.PARKED


def test_a_listed_payment_of_ours_that_does_not_match_is_for_a_person(world: World) -> None:
    fact = paid_fact(world, world.order().payments[0].id, money=Money(1, "CNY"))
    applied = tell_by(world, fact, "bill")
    assert (applied.outcome, applied.reason) == (Outcome.PARKED, "other_amount")
    stranger = paid_fact(world, world.order("bob", key="b").payments[0].id, account="m-2")
    assert tell_by(world, stranger, "bill").outcome is Outcome.PARKED


# --- one odd part of a message ---


def test_one_fact_that_cannot_be_applied_does_not_keep_the_rest_of_its_message_waiting(world: World) -> None:
    first, second = (world.order(user, key=user).payments[0].id for user in ("alice", "bob"))
    facts = (replace(paid_fact(world, first), raw={"deep": _Unprintable()}), paid_fact(world, second))
    message = world.notification(second)

    @dataclass
    class Both:
        inner: Any

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def receive(self, told: Any) -> Any:
            return replace(self.inner.receive(told), facts=facts)

    account = ProviderAccount("sandbox", "sandbox", False, Both(world.account.provider))
    world.serve(account)
    with capture_logs():
        assert world.receive(message).status >= 500, "it has to come again"
    assert (world.coins("alice"), world.coins("bob")) == (0, 66)


def test_a_purchase_that_a_history_told_before_its_buyer_was_known_is_not_ours_no_more(world: World) -> None:
    catalogue = parse_catalogue(STORE_CATALOGUE)
    import_products(world.core, catalogue)
    purchase = store_fact(world, "alice")
    assert tell_by(world, purchase, "scan").outcome is Outcome.NOT_OURS
    again = ReportedFact(world.account, purchase, "receipt")
    assert tell(world.core, again, holder="alice").outcome is Outcome.APPLIED
    assert world.coins() == 66
    assert listed(world, "not_ours") == []
    world.assert_balanced()
