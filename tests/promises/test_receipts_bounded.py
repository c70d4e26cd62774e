"""A user who hands in many proofs, or numbers without a proof, costs a bounded number of questions and bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, text

from app.providers import Fact, Intent, Kind, Message, NoExtra, Received, Ref, Reply, Started
from app.providers.errors import Forged, Unknown
from app.providers.registry import ProviderAccount
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.accounts.users import ensure_user
from app.services.base.errors import DomainError
from app.services.base.transaction import Sessions
from app.services.intake import receipts
from app.services.intake.purchases import MOST_CALLS
from app.services.intake.receipts import (
    MOST_DENIALS,
    MOST_UNPROVEN,
    MOST_UNSETTLED,
    Submitted,
    TooManyReceipts,
)
from app.web.errors import ERRORS
from tests.promises.test_stores_that_only_name import CATALOGUE
from tests.support.lanes import ABOUT_RECEIPTS, SomeLanes
from tests.support.web_client import ApiClient, build_client, token
from tests.support.world import World, build_world


@dataclass
class Counter:
    """A store that counts the questions. A proof is `{"proof": NAME, "numbers": […], "noise": …}`."""

    account: str = "kiosk"
    currencies: tuple[str, ...] = ()
    ways: Mapping[str, type[BaseModel]] = field(default_factory=lambda: {"store": NoExtra})
    sold: dict[str, Fact] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    away: bool = False

    def start(self, intent: Intent) -> Started:
        return Started({"type": "store_product", "product_id": intent.product})

    def receive(self, message: Message) -> Received:
        told = json.loads(message.body)
        if "refuse" in told:
            raise Forged("over a limit", code=told["refuse"])
        asks = tuple(Ref(theirs=number) for number in told["numbers"])
        proof = told.get("proof", "")
        return Received((), Reply(200, "text/plain", b"ok"), asks=asks, bearer_proof=bool(proof), proof=proof)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        self.asked.append(ref.theirs or "")
        if self.away:
            raise Unknown("no answer")
        fact = self.sold.get(ref.theirs or "")
        return () if fact is None else (fact,)


@dataclass
class Kiosk:
    world: World
    store: Counter

    @cached_property
    def lanes(self) -> SomeLanes:
        return SomeLanes(self.world.core, ABOUT_RECEIPTS)

    def sells(self, *numbers: str, user: str = "alice") -> None:
        token = str(self.world.core.whole.transact(lambda tx: ensure_user(tx, user)).token)
        for number in numbers:
            self.store.sold[number] = Fact(
                Kind.PAID,
                Ref(theirs=number),
                datetime(2026, 1, 2, tzinfo=UTC),
                product="coins.600",
                quantity=1,
                owner=token,
                account="kiosk",
                live=False,
            )

    def hands_in(self, *numbers: str, user: str = "alice", **more: Any) -> Submitted:
        body = json.dumps({"numbers": numbers, **more}).encode()
        return receipts.submit(self.world.core, "kiosk", user, body)

    def later(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        self.lanes.round()

    def rows(self) -> list[Any]:
        wanted = text("/* sweep: operator */ SELECT status, body, tries FROM receipts ORDER BY id")
        return list(self.world.core.whole.read(lambda tx: tx.execute(wanted).all()))


@pytest.fixture
def kiosk(engine: Engine, sessions: Sessions) -> Kiosk:
    world, store = build_world(engine, sessions), Counter()
    world.serve(ProviderAccount("kiosk", "kiosk", False, store))
    import_products(world.core, parse_catalogue(CATALOGUE))
    return Kiosk(world, store)


def statuses(done: Submitted) -> list[str]:
    return [purchase.status for purchase in done.purchases]


def test_an_invented_number_is_asked_a_handful_of_times_within_minutes_and_ends_as_unknown(kiosk: Kiosk) -> None:
    assert statuses(kiosk.hands_in("invented")) == ["pending"]
    for _ in range(MOST_DENIALS + 3):
        kiosk.later(100)
    assert len(kiosk.store.asked) == MOST_DENIALS
    assert [(row.status, row.body) for row in kiosk.rows()] == [("settled", b"")]
    assert statuses(kiosk.hands_in("invented")) == ["unknown"], "handed in again it is asked about once"
    assert len(kiosk.store.asked) == MOST_DENIALS + 1
    assert [row.status for row in kiosk.rows()] == ["settled"]


def test_a_number_that_becomes_known_after_it_ended_is_credited_when_it_is_handed_in_again(kiosk: Kiosk) -> None:
    kiosk.hands_in("late")
    for _ in range(MOST_DENIALS + 3):
        kiosk.later(100)
    kiosk.sells("late")
    assert statuses(kiosk.hands_in("late")) == ["credited"]
    assert kiosk.world.coins() == 600


def test_a_proved_purchase_that_the_store_does_not_know_yet_is_asked_about_for_days(kiosk: Kiosk) -> None:
    kiosk.hands_in("slow", proof="signed")
    for _ in range(MOST_DENIALS + 20):
        kiosk.later(3700)
    assert [row.status for row in kiosk.rows()] == ["pending"]
    kiosk.sells("slow")
    kiosk.later(5000)
    assert kiosk.world.coins() == 600


def test_a_store_that_does_not_answer_ends_no_number(kiosk: Kiosk) -> None:
    kiosk.store.away = True
    kiosk.hands_in("n-1")
    for _ in range(MOST_DENIALS + 5):
        kiosk.later(3700)
    kiosk.sells("n-1")
    kiosk.store.away = False
    kiosk.later(5000)
    assert kiosk.world.coins() == 600


@pytest.mark.parametrize("proof", ["", "signed"])
def test_one_submission_makes_a_bounded_number_of_calls_and_the_worker_makes_the_rest(kiosk: Kiosk, proof: str) -> None:
    numbers = [f"n-{number}" for number in range(23)]
    kiosk.sells(*numbers)
    done = kiosk.hands_in(*numbers, proof=proof)
    assert len(kiosk.store.asked) == MOST_CALLS
    assert sorted(statuses(done)) == ["credited"] * MOST_CALLS + ["pending"] * (23 - MOST_CALLS)
    for _ in range(6):
        kiosk.later(10)
    assert kiosk.world.coins() == 600 * 23
    assert sorted(kiosk.store.asked) == sorted(numbers), "each was asked about once"
    assert [row.status for row in kiosk.rows()] == ["settled"]
    assert set(statuses(kiosk.hands_in(*numbers, proof=proof))) == {"credited"}
    assert len(kiosk.store.asked) == 23 + MOST_CALLS


def test_among_many_invented_numbers_the_one_that_is_real_has_its_turn(kiosk: Kiosk) -> None:
    kiosk.sells("real")
    numbers = [*(f"invented-{number}" for number in range(MOST_UNPROVEN - 1)), "real"]
    kiosk.hands_in(*numbers)
    for _ in range(100):
        kiosk.later(40)
    assert kiosk.world.coins() == 600
    assert [row.status for row in kiosk.rows()] == ["settled"]
    assert len(kiosk.store.asked) <= MOST_UNPROVEN * (MOST_DENIALS + 1)
    assert min(kiosk.store.asked.count(number) for number in numbers[:-1]) >= MOST_DENIALS - 1


def test_a_user_has_only_so_many_receipts_that_wait(kiosk: Kiosk) -> None:
    kiosk.store.away = True
    for number in range(MOST_UNSETTLED):
        kiosk.hands_in(f"n-{number}")
    with pytest.raises(TooManyReceipts):
        kiosk.hands_in("one-more")
    kiosk.hands_in("n-0"), "what is kept already may be handed in again"
    kiosk.hands_in("n-0", user="bob")
    kiosk.store.away = False
    for _ in range(MOST_DENIALS + 8):
        kiosk.later(3700)
    assert statuses(kiosk.hands_in("one-more")) == ["pending"], "once they are settled there is room"


def test_a_client_over_the_limit_is_told_when_to_come_again(kiosk: Kiosk, engine: Engine) -> None:
    kiosk.store.away = True
    for number in range(MOST_UNSETTLED):
        kiosk.hands_in(f"n-{number}")
    alice = ApiClient(build_client(kiosk.world, engine), token("alice"))
    answer = alice.post("/v1/receipts/kiosk", {"numbers": ["one-more"]})
    assert (answer.status_code, answer.get_json()["code"]) == (429, "too_many_receipts")
    assert int(answer.headers["Retry-After"]) == receipts.TOO_MANY_RETRY_SECONDS
    bob = ApiClient(build_client(kiosk.world, engine), token("bob"))
    assert bob.post("/v1/receipts/kiosk", {"numbers": ["n-1"]}).status_code == 200


def test_a_user_has_only_so_many_numbers_without_a_proof_that_wait(kiosk: Kiosk) -> None:
    kiosk.hands_in(*(f"n-{number}" for number in range(MOST_UNPROVEN)))
    with pytest.raises(TooManyReceipts):
        kiosk.hands_in("one-more")
    kiosk.sells("proved")
    assert statuses(kiosk.hands_in("proved", proof="signed")) == ["credited"], "what is proved is not among them"


def test_one_proof_in_other_bytes_is_one_receipt(kiosk: Kiosk) -> None:
    kiosk.sells("n-1")
    first = kiosk.hands_in("n-1", proof="signed")
    for noise in range(20):
        assert kiosk.hands_in("n-1", proof="signed", noise="x" * noise).receipt == first.receipt
    assert len(kiosk.rows()) == 1


def test_a_receipt_that_is_settled_keeps_no_body(kiosk: Kiosk) -> None:
    kiosk.sells("n-1")
    kiosk.hands_in("n-1", proof="signed", noise="x" * 100_000)
    assert [row.body for row in kiosk.rows()] == [b""]


def test_a_settled_receipt_that_is_open_again_has_its_body_again(kiosk: Kiosk) -> None:
    kiosk.sells("n-1")
    kiosk.hands_in("n-1", proof="signed")
    kiosk.hands_in("n-1", "n-2", proof="signed")
    assert [row.status for row in kiosk.rows()] == ["pending"]
    kiosk.sells("n-2")
    kiosk.later(3700)
    assert kiosk.world.coins() == 1200


@pytest.mark.parametrize(
    ("refused", "status", "shown"),
    [
        ("too_many_transactions", 409, "too_many_transactions"),
        ("receipt_too_large", 413, "receipt_too_large"),
        ("signature", 409, "receipt_refused"),
    ],
)
def test_a_limit_that_an_honest_client_meets_has_its_own_code(
    kiosk: Kiosk, refused: str, status: int, shown: str
) -> None:
    with pytest.raises(DomainError) as raised:
        kiosk.hands_in(refuse=refused)
    assert (ERRORS[raised.value.code][0], raised.value.code) == (status, shown)
