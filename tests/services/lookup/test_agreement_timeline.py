"""Everything that happened to an agreement is in its timeline, and the agreement is found by any of its numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.facts import Ending
from app.services.agreements import agreement_requests
from app.services.base.errors import NotFound
from app.services.base.idempotency import Keyed, keyed
from app.services.calls.provider_call import CallEnd
from app.services.lookup.entries import EntryKind, TimelineEntry, sentence
from app.services.lookup.search import things_named
from app.services.lookup.timeline import agreement_timeline, timeline
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def _everything(house: AgreementHouse, number: int) -> list[TimelineEntry]:
    page = agreement_timeline(house.core, number)
    assert page.cursor is None
    return page.entries


def _calls(house: AgreementHouse, number: int) -> list[tuple[str, str | None]]:
    return [(entry.what, entry.outcome) for entry in _everything(house, number) if entry.kind is EntryKind.CALL]


def test_signing_refusal_charge_questions_and_end_are_told_in_order(house: AgreementHouse) -> None:
    house.debit.script.append("no_money")
    number = house.signed()
    house.later(days=1)
    house.later(days=2)
    house.tell(house.debit.user_ends(str(number), Ending.PAYER))
    entries = [entry for entry in _everything(house, number) if entry.kind is not EntryKind.EVENT]
    kinds = [(entry.kind, entry.what, entry.outcome) for entry in entries]
    period = "2026-01-02 03:04 to 2026-02-02 03:04"
    assert kinds[0] == (EntryKind.AGREEMENT_MADE, "vip", None)
    assert kinds[-1] == (EntryKind.AGREEMENT_ENDED, "vip", "payer")
    told = [one for one in kinds if one[1] not in ("query", "pending") and one[0] is not EntryKind.TRANSFER]
    assert told[1:-1] == [
        (EntryKind.FACT, "signed", "applied"),
        (EntryKind.PERIOD, period, "paid"),
        (EntryKind.PAYMENT_MADE, "page", "failed"),
        (EntryKind.CALL, "charge", "declined"),
        (EntryKind.PAYMENT_MADE, "page", "paid"),
        (EntryKind.CALL, "charge", "answered"),
        (EntryKind.FACT, "paid", "applied"),
        (EntryKind.FACT, "ended", "applied"),
    ]
    events = [entry.what for entry in _everything(house, number) if entry.kind is EntryKind.EVENT]
    names = ("agreement.signed", "agreement.past_due", "agreement.renewed", "order.paid", "agreement.ended")
    assert sorted(events) == sorted(names)
    asked = [one for one in _calls(house, number) if one[0] == "query"]
    assert len(asked) >= 2, "an agreement in force is asked about every day"
    assert all(str(number) in sentence(entry) for entry in (entries[0], entries[-1]))


def test_a_call_without_an_answer_is_kept_whatever_it_asked_for(house: AgreementHouse) -> None:
    number = house.signed()
    house.debit.is_down = True
    house.later(days=1, minutes=5)

    def request(user_id: str) -> Keyed:
        return keyed("backend:b", "end", "cancel_agreement", {"user": user_id})

    agreement_requests.request_end(house.core, number, None, request, "backend:b", at_once=True)
    house.work()
    kept = _calls(house, number)
    assert ("query", CallEnd.UNKNOWN) in kept
    assert ("cancel", CallEnd.UNKNOWN) in kept
    house.debit.is_down = False
    house.later(days=1)
    assert ("cancel", CallEnd.ANSWERED) in _calls(house, number)
    assert house.row(number).status == "ended"
    ended = _everything(house, number)[-1]
    assert "by backend:b" in sentence(ended) or ended.kind is EntryKind.EVENT


def test_pages_of_an_agreements_timeline_put_together_are_the_timeline(house: AgreementHouse) -> None:
    number = house.signed()
    for _ in range(3):
        house.later(days=20)
    whole, cursor, found = _everything(house, number), None, list[TimelineEntry]()
    while True:
        page = agreement_timeline(house.core, number, cursor=cursor, limit=3)
        found += page.entries
        cursor = page.cursor
        if cursor is None:
            break
    assert found == whole
    assert len(whole) > 15
    with pytest.raises(NotFound):
        agreement_timeline(house.core, 77)


def test_an_agreement_is_found_by_our_number_and_by_the_providers_and_its_charges_lead_to_their_orders(
    house: AgreementHouse,
) -> None:
    number = house.signed()
    house.later(days=1)
    for text in (str(number), f"agr-{number}"):
        assert [(thing.kind, thing.agreement) for thing in things_named(house.core, text).found] == [
            ("agreement", number)
        ]
    (charge,) = house.payments(number)
    assert [thing.kind for thing in things_named(house.core, f"trade-{charge.id}").found] == ["payment"]
    of_order = timeline(house.core, charge.order_id).entries
    assert [entry.what for entry in of_order if entry.kind is EntryKind.CALL] == ["charge"]
    assert house.world.clock.now() - of_order[0].at < timedelta(days=1)
