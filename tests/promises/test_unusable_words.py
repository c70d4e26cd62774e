"""Promise 2, for words that no database keeps: what a provider tells beyond the limits of the port ends in a named
state, the same on both databases. It is acknowledged, kept, alarmed, and never used; a proper telling credits later."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.money import Money
from app.providers.errors import Declined
from app.providers.facts import Fact, Kind, Message, Page, Received, Ref, Started
from app.providers.limits import LONGEST_REFERENCE
from app.providers.registry import ProviderAccount, Registry
from app.services.base.errors import PaymentDeclined, ProviderUnavailable
from app.services.calls import payment_queries, scans
from app.services.facts import claims, inbox
from app.services.intake import notifications, receipts
from app.services.intake.receipts import Submitted
from tests.support.world import World

NUL, HALF = "a\x00b", "a\ud800b"
LONG = "x" * (LONGEST_REFERENCE + 1)
TEXTS = {"too long": LONG, "far too long": "x" * 70_000, "NUL": NUL, "half a character": HALF}
Change = Callable[[Fact], Fact]


def named(**names: Any) -> Change:
    return lambda fact: replace(fact, ref=replace(fact.ref, **names))


def changed(**changes: Any) -> Change:
    return lambda fact: replace(fact, **changes)


def everywhere(text: str) -> dict[str, Change]:
    """The text in each place where a provider names something."""
    places = {name: named(**{name: text}) for name in ("theirs", "refund", "agreement")}
    return {**places, **{name: changed(**{name: text}) for name in ("account", "product", "owner")}}


UNUSABLE: dict[str, dict[str, Change]] = {
    **{why: everywhere(text) for why, text in TEXTS.items()},
    "moments": {
        "at, without a zone": changed(at=datetime(2026, 1, 1)),  # noqa: DTZ001 - the fault under test
        "at, the first moment": changed(at=datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))),
        "at, the last moment": changed(at=datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))),
        "period_end, the last moment": changed(period_end=datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))),
    },
    "numbers": {
        "quantity, none": changed(quantity=0),
        "quantity, less than none": changed(quantity=-1),
        "quantity, beyond 32 bits": changed(quantity=2**31),
        "quantity, beyond 64 bits": changed(quantity=2**64),
        "share, beyond the whole": changed(share=100_001),
        "share, beyond 64 bits": changed(share=2**70),
    },
}
DEEP: Any = "end"
for _ in range(5_000):
    DEEP = [DEEP]
HARMLESS: dict[str, Change] = {
    "raw, NUL": changed(raw={NUL: NUL, "list": [NUL, {"in": NUL}]}),
    "raw, half a character": changed(raw={HALF: [HALF]}),
    "raw, numbers": changed(raw={"n": [2**63, -(2**64), 10**6000, float("inf"), float("nan"), 1e308]}),
    "raw, deep": changed(raw={"deep": DEEP}),
    "raw, objects": changed(raw={"at": datetime(2026, 1, 1, tzinfo=UTC), "bytes": b"\x00\xff", 1: {1, 2}}),
    "cause, NUL": changed(cause=NUL),
    "cause, long": changed(cause="x" * 10_000),
    "the longest reference": named(theirs="x" * LONGEST_REFERENCE),
    "a reference that is all colons": named(theirs=":" * LONGEST_REFERENCE),
}


class Loose:
    """A plugin that passes on whatever it reads, over the sandbox's signatures: `change` is what its provider says."""

    def __init__(self, inner: Any, change: Change, **received: Any) -> None:
        self.inner, self.change, self.received = inner, change, received

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def receive(self, message: Message) -> Received:
        if message.source == "receipt":
            wrapped = json.loads(message.body)
            message = Message("notification", wrapped["body"].encode(), wrapped["headers"])
        found: Received = self.inner.receive(message)
        return replace(found, **{"facts": tuple(map(self.change, found.facts)), **self.received})

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return tuple(map(self.change, self.inner.query(ref)))

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        page: Page = self.inner.scan(feed, since, until, cursor)
        return replace(page, facts=tuple(map(self.change, page.facts)))


def with_provider(world: World, provider: Any) -> World:
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    return replace(world, core=replace(world.core, registry=registry))


def loose(world: World, change: Change, **received: Any) -> World:
    return with_provider(world, Loose(world.account.provider, change, **received))


def paid(world: World, user: str = "alice") -> tuple[int, Message]:
    payment_id = world.order(user).payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    return payment_id, world.notification(payment_id)


def kept(world: World) -> list[tuple[str, str]]:
    return [(row.reason, row.detail) for row in world.core.whole.read(inbox.waiting_messages)]


def paid_outcomes(world: World) -> list[tuple[str, str]]:
    return [(outcome, reason) for kind, outcome, reason in world.outcomes() if kind == "paid"]


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_payment_told_beyond_the_limits_is_parked_once_and_credited_when_it_is_told_properly(
    world: World, kind: str
) -> None:
    for number, (fault, change) in enumerate(UNUSABLE[kind].items(), start=1):
        user = f"user-{number}"
        payment_id, message = paid(world, user)
        with capture_logs() as logged:
            for _ in range(3):
                reply = loose(world, change).receive(message)
                assert reply.status == 200, f"{fault}: the provider has no reason to repeat it"
        assert paid_outcomes(world)[-1] == ("parked", "unusable"), fault
        assert [one["log_level"] for one in logged if one.get("reason") == "unusable"] == ["warning"], fault
        reason, detail = kept(world)[-1]
        assert (reason, detail.partition("; ")[0]) == ("parked", "unusable"), fault
        assert fault.partition(",")[0] in detail
        assert len(kept(world)) == number, f"{fault}: kept once"
        assert (world.payment(payment_id).status, world.coins(user)) == ("pending", 0), fault
        assert world.receive(message).status == 200
        assert world.coins(user) == 66, fault
    assert world.money("sales") == 600 * len(UNUSABLE[kind])
    world.assert_balanced()


def test_words_that_are_only_kept_for_audit_keep_no_payment_from_being_credited(world: World) -> None:
    for number, (word, change) in enumerate(HARMLESS.items()):
        _, message = paid(world, f"user-{number}")
        for _ in range(2):
            assert loose(world, change).receive(message).status == 200, word
        assert (world.coins(f"user-{number}"), kept(world)) == (66, []), word
    assert paid_outcomes(world) == [("applied", "")] * len(HARMLESS)
    world.assert_balanced()


def test_names_of_the_longest_length_are_used_as_they_are(world: World) -> None:
    longest = "金" * LONGEST_REFERENCE
    payment_id, message = paid(world)
    for _ in range(2):
        assert loose(world, named(theirs=longest)).receive(message).status == 200
    assert paid_outcomes(world) == [("applied", "")]
    assert (world.payment(payment_id).theirs, world.coins()) == (longest, 66)
    world.assert_balanced()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_number_of_ours_that_cannot_be_ours_is_unusable_too(world: World, text: str) -> None:
    odd = loose(world, named(ours=text))
    assert odd.receive(paid(world)[1]).status == 200
    assert paid_outcomes(world) == [("parked", "unusable")]
    world.assert_balanced()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_envelope_of_a_message_may_say_anything(world: World, text: str) -> None:
    """Its id, its note, and the refunds that it only names."""
    payment_id, message = paid(world)
    asks = (Ref(ours=str(payment_id), refund=text), Ref(ours=text), Ref(theirs=text))
    odd = loose(world, changed(), message_id=text, note=f"strange: {text}", asks=asks)
    assert odd.receive(message).status == 200
    assert world.coins() == 66
    assert [reason for reason, _ in kept(world)] == ["unusable", "note"]
    assert odd.receive(replace(message, query_string="a=\x00")).status == 200
    world.assert_balanced()


def test_references_that_differ_only_at_their_end_are_two_facts(world: World) -> None:
    _, message = paid(world)
    for end in ("1", "2", "1"):
        loose(world, named(theirs="x" * 5_000 + end)).receive(message)
    assert paid_outcomes(world) == [("parked", "unusable")] * 2
    assert len(kept(world)) == 2


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_other_kind_of_fact_is_believed_beyond_the_limits_either(world: World, text: str) -> None:
    payment_id, message = paid(world)
    told: list[Kind] = []

    def odd(fact: Fact) -> Fact:
        return Fact(told[-1], Ref(fact.ref.ours, text, text, text), fact.at, fact.money, account="m-1", live=False)

    for kind in set(Kind) - {Kind.PAID}:
        told.append(kind)
        assert loose(world, odd).receive(message).status == 200
        assert (kind, "parked", "unusable") in world.outcomes()
        assert world.payment(payment_id).status == "pending"
    assert world.payment(payment_id).theirs == world.at_provider(payment_id).id
    world.assert_balanced()


# --- the other roads ---


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_query_answered_beyond_the_limits_leaves_the_payment_open_and_asked_about(world: World, text: str) -> None:
    payment_id, _ = paid(world)
    odd = loose(world, named(theirs=text))
    for _ in range(2):
        assert payment_queries.ask(odd.core, payment_id) is not None
    assert paid_outcomes(world) == [("parked", "unusable")]
    assert world.payment(payment_id).status == "pending"
    payment_queries.ask(world.core, payment_id)
    assert world.coins() == 66
    world.assert_balanced()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_history_with_one_unusable_line_is_read_to_its_end(world: World, text: str) -> None:
    first, _ = paid(world)
    second = world.order("bob", key="b").payments[0].id
    world.simulator.faults.lose = 1
    world.pay(second)
    odd = loose(world, lambda fact: named(theirs=text)(fact) if fact.ref.ours == str(first) else fact)
    world.clock.advance(60)
    assert scans.scan_due(odd.core, odd.account, "payments", timedelta(hours=1))
    assert sorted(paid_outcomes(world)) == [("applied", ""), ("parked", "unusable")]
    assert (world.coins("alice"), world.coins("bob")) == (0, 66)
    assert not scans.scan_due(odd.core, odd.account, "payments", timedelta(hours=1)), "it is done for this hour"


@pytest.mark.parametrize("cursor", ["x" * 1025, NUL, HALF])
def test_a_history_that_goes_on_at_a_place_that_cannot_be_kept_is_read_again_later(world: World, cursor: str) -> None:
    class Lost(Loose):
        def scan(self, feed: str, since: datetime, until: datetime, cursor_: str | None) -> Page:
            return replace(super().scan(feed, since, until, cursor_), cursor=cursor)

    paid(world)
    world.clock.advance(60)
    odd = with_provider(world, Lost(world.account.provider, changed()))
    with capture_logs() as logged:
        assert scans.scan_due(odd.core, odd.account, "payments", timedelta(hours=1))
    assert [one["event"] for one in logged if one["log_level"] == "error"] == ["scan_failed"]
    assert world.coins() == 66, "what is on the page counts all the same"
    assert not scans.scan_due(odd.core, odd.account, "payments", timedelta(hours=1))
    world.clock.advance(120)
    assert scans.scan_due(world.core, world.account, "payments", timedelta(hours=1))


# --- receipts ---


def submit(world: World, message: Message) -> Submitted:
    body = json.dumps({"headers": dict(message.headers), "body": message.body.decode()}).encode()
    return receipts.submit(world.core, "sandbox", "alice", body)


def as_in_a_store(fact: Fact) -> Fact:
    return replace(fact, ref=replace(fact.ref, ours=None), owner=None, product="coins-60")


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_receipt_beyond_the_limits_is_held_and_claims_nothing(world: World, kind: str) -> None:
    _, message = paid(world)
    for change in UNUSABLE[kind].values():
        odd = loose(world, lambda fact, change=change: change(as_in_a_store(fact)), bearer_proof=True)
        for _ in range(2):
            done = submit(odd, message)
            assert [(one.status, one.finish) for one in done.purchases] == [("held", False)]
            assert len(done.purchases[0].transaction) <= LONGEST_REFERENCE
    assert set(paid_outcomes(world)) == {("parked", "unusable")}
    assert world.coins() == 0
    world.assert_balanced()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_purchase_that_is_only_named_beyond_the_limits_stays_pending(world: World, text: str) -> None:
    class Silent(Loose):
        def query(self, ref: Ref) -> tuple[Fact, ...]:
            return ()

    asks = (Ref(theirs=text),)
    odd = with_provider(world, Silent(world.account.provider, changed(), asks=asks, facts=()))
    done = submit(odd, paid(world)[1])
    assert (done.status, [one.status for one in done.purchases]) == ("pending", ["pending"])


@pytest.mark.parametrize("length", [1, *range(LONGEST_REFERENCE - 11, LONGEST_REFERENCE + 1)])
def test_a_subscription_is_claimed_under_its_whole_name(world: World, length: int) -> None:
    names = ["x" * (length - 1) + end for end in "ab"]

    references = [("sandbox", "sandbox", claims.agreement_reference(name)) for name in names]
    for reference, user in zip(references, ("alice", "bob"), strict=True):
        claims.claim(world.core, *reference, user)
    assert [claims.owner_of(world.core, *reference) for reference in references] == ["alice", "bob"]


# --- what comes of our own calls ---


@pytest.mark.parametrize("word", [NUL, HALF, ["deep", {"in": NUL}], 2**64])
def test_a_next_step_that_cannot_be_kept_leaves_the_payment_unknown(world: World, word: Any) -> None:
    class Strange(Loose):
        def start(self, intent: Any) -> Started:
            self.inner.start(intent)
            return Started({"type": "qr", "code": word})

    odd = with_provider(world, Strange(world.account.provider, changed()))
    with pytest.raises(ProviderUnavailable) as caught:
        odd.order()
    payment_id = int(caught.value.members["payment"])
    assert world.payment(payment_id).status == "unknown"
    world.order()
    assert world.payment(payment_id).action["type"] == "redirect"


@pytest.mark.parametrize("text", [NUL, HALF, "x" * 5_000])
def test_a_refusal_in_strange_words_is_still_a_refusal(world: World, text: str) -> None:
    class Refusing(Loose):
        def start(self, intent: Any) -> Started:
            raise Declined(text, code=text)

    odd = with_provider(world, Refusing(world.account.provider, changed()))
    with pytest.raises(PaymentDeclined) as caught:
        odd.order()
    assert world.payment(int(caught.value.members["payment"])).status == "failed"


def test_the_kept_message_is_replayed_once_the_plugin_reads_it_properly(world: World) -> None:
    _, message = paid(world)
    loose(world, named(theirs=LONG)).receive(message)
    [row] = world.core.whole.read(inbox.waiting_messages)
    assert str(notifications.replay(world.core, row.id)) == "applied"
    assert (world.coins(), kept(world)) == (66, [])
    world.assert_balanced()


def test_an_amount_that_is_none_cannot_even_be_said() -> None:
    for minor in (-1, 2**63, 1.5):
        with pytest.raises(ValueError, match="amount"):
            Money(minor, "CNY")  # type: ignore[arg-type]
    for currency in ("cny", "CN", "C\x00Y", "CNYY", "ＣＮＹ"):
        with pytest.raises(ValueError, match="currency"):
            Money(1, currency)
