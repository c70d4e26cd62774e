"""Agreements of an earlier system: charged on from there, found by the numbers of before, and taken over once."""

from __future__ import annotations

import csv
import io
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.facts import Ending, Fact, Kind, Ref
from app.domain.imported_agreements import agreement_line, owner_line
from app.domain.money import Money
from app.domain.remedies import remedy
from app.providers.agreements import Terms
from app.services.agreements.agreement_lists import AgreementFilter, list_agreements
from app.services.calls.agreement_queries import hint_agreement
from app.services.facts import parked
from app.services.facts.waiting_refunds import look_at_waiting_refunds
from app.services.intake.import_faults import ImportFault
from app.services.intake.imported_agreements import faults_of_agreements, import_agreements
from app.services.intake.imported_owners import faults_of_owners, import_owners
from app.services.lookup.search import things_named
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.debit_provider import Consent
from tests.support.world import START, World

HEAD = "provider_account,provider_number,user,product,status,old_number,paid_until,amount,currency,next_charge_at"
HEAD += ",first_period_at,zone,ended_at,ended_by,signed_at\n"
DEBIT = "debit,agr-7,alice,vip,active,77001,2026-01-10T00:00:00+08:00,15.00,CNY,,,Asia/Shanghai,,,\n"
STORE = "store,original-alice,alice,store-vip,active,,2026-02-02T00:00:00Z,,,,,,,,\n"
JANUARY, FEBRUARY, MARCH = (datetime(2026, month, 2, tzinfo=UTC) for month in (1, 2, 3))
OLD_TOKEN = "00000000-aaaa-4bbb-8ccc-000000000123"

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def cells_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table)))


def take(house: AgreementHouse, *lines: str) -> tuple[int, int]:
    """Check and import these lines, as the command does."""
    read = [agreement_line(cells, house.core.clock.now()) for cells in cells_of(HEAD + "".join(lines))]
    assert list(faults_of_agreements(house.core, enumerate(read, 2))) == []
    return import_agreements(house.core, read)


def faults(house: AgreementHouse, *lines: str) -> list[str]:
    read = [agreement_line(cells, house.core.clock.now()) for cells in cells_of(HEAD + "".join(lines))]
    return list(faults_of_agreements(house.core, enumerate(read, 2)))


def own(house: AgreementHouse, table: str) -> tuple[int, int]:
    read = [owner_line(cells) for cells in cells_of("provider_account,token,user\n" + table)]
    assert list(faults_of_owners(house.core, enumerate(read, 2))) == []
    return import_owners(house.core, read)


def known_to_the_provider(house: AgreementHouse, old: str, theirs: str) -> None:
    """The payer signed it for the earlier system, under that system's number."""
    terms = Terms(
        ref=Ref(our_agreement=old),
        money=Money(1500, "CNY"),
        subject="VIP",
        product="vip",
        unit="month",
        count=1,
        first_due=START.date(),
        owner="",
        way="page",
        created_at=START - timedelta(days=90),
        expires_at=START,
        notify_url="",
    )
    house.debit.consents[old] = Consent(terms, theirs, START - timedelta(days=90))


def number_of(house: AgreementHouse, user: str = "alice") -> int:
    (row,) = list_agreements(house.core, AgreementFilter(user), None, 10).rows
    return int(row.id)


def store_paid(theirs: str, at: datetime, end: datetime, **told: Any) -> Fact:
    names = Ref(theirs=theirs, agreement="original-alice")
    told = {"owner": None, "product": "vip.monthly", "account": "store-app", "live": False, **told}
    return Fact(Kind.PAID, names, at, quantity=1, period_end=end, **told)


def what_became(house: AgreementHouse) -> list[tuple[str, str, str]]:
    query = text("/* sweep: audit */ SELECT content, kind, outcome, reason FROM facts ORDER BY recorded_at, id")
    return [(row.kind, row.outcome, row.reason) for row in house.core.whole.read(lambda tx: tx.execute(query).all())]


def orders(house: AgreementHouse) -> int:
    query = text("/* sweep: audit */ SELECT count(*) FROM orders")
    return int(house.core.whole.read(lambda tx: tx.execute(query).scalar_one()))


def test_it_is_charged_on_from_what_is_paid_and_the_provider_is_asked_by_the_old_number(house: AgreementHouse) -> None:
    known_to_the_provider(house, "77001", "agr-7")
    assert take(house, DEBIT) == (1, 0)
    number, paid_until = number_of(house), datetime(2026, 1, 9, 16, tzinfo=UTC)
    assert house.active() == {"vip": paid_until + timedelta(days=1)}, "the plan's day of grace"
    assert house.events() == [], "the app's backend knows what its users had"
    house.at(paid_until - timedelta(minutes=1))
    assert (len(house.debit.trades), orders(house)) == (0, 0), "paid before the import"
    house.at(paid_until + timedelta(days=1))
    (trade,) = house.debit.trades.values()
    assert (trade.agreement, trade.money) == ("77001", Money(1500, "CNY"))
    assert (house.row(number).paid_until, house.world.coins()) == (datetime(2026, 2, 9, 16, tzinfo=UTC), 100)
    assert [(each.number, each.status) for each in house.periods(number)] == [(0, "free"), (1, "paid")]
    house.later(days=31)
    assert (len(house.debit.trades), house.world.coins()) == (2, 200)
    assert house.row(number).asked_at is not None
    house.world.assert_balanced()


def test_words_about_the_old_number_find_it_though_it_looks_like_a_number_of_ours(house: AgreementHouse) -> None:
    known_to_the_provider(house, "77001", "agr-7")
    take(house, DEBIT)
    (found,) = things_named(house.core, "77001").found
    assert (found.kind, found.user, found.provider_account) == ("agreement", "alice", "debit")
    house.world.clock.advance(120)
    assert hint_agreement(house.core, Ref(our_agreement="77001"), account=house.core.registry.get("debit"))
    house.work()
    assert house.row(number_of(house)).status == "active"
    applied = house.tell(house.debit.user_ends("77001"))
    row = house.row(number_of(house))
    assert (applied.outcome, row.status, row.ended_by) == ("applied", "ended", "payer")
    assert house.tell(house.debit.user_ends("77001")).outcome in ("duplicate", "noted")
    house.later(days=40)
    assert len(house.debit.trades) == 0


@on_sqlite
def test_a_provider_that_tells_its_own_number_alone_is_understood(house: AgreementHouse) -> None:
    take(house, DEBIT.replace(",77001,", ",,"))
    told: dict[str, Any] = {"account": house.debit.account, "live": False}
    both = Ref(agreement="agr-7", our_agreement="77001")  # the file does not name this old number
    assert house.tell(Fact(Kind.SIGNED, both, START - timedelta(days=9), **told)).outcome in ("applied", "noted")
    house.tell(Fact(Kind.ENDED, Ref(agreement="agr-7"), START, ending=Ending.PAYER, **told))
    assert house.row(number_of(house)).status == "ended"


def test_words_that_came_before_the_import_apply_after_it(house: AgreementHouse) -> None:
    known_to_the_provider(house, "77001", "agr-7")
    assert house.tell(house.debit.user_ends("77001")).outcome == "parked"
    renewal = store_paid("t-2", FEBRUARY, MARCH)
    house.world.clock.advance(86_400 * 32)
    assert house.tell(renewal, "store").outcome == "parked"
    take(house, DEBIT, STORE.replace("alice,", "bob,").replace("original-bob", "original-alice"))
    done, _ = parked.look_at_parked(house.core, parked.PARKED_START)
    assert done == 1, "what is older than 30 days is looked at by hand"
    assert house.active("bob") == {"vip": MARCH}
    oldest = house.core.whole.read(lambda tx: parked.list_parked(tx, "parked", 10))
    for row in oldest:
        assert parked.reexamine(house.core, row.id).outcome == "applied"
    assert house.row(number_of(house)).status == "ended"
    assert house.core.whole.read(lambda tx: parked.list_parked(tx, "parked", 10)) == []
    assert parked.look_at_parked(house.core, parked.PARKED_START)[0] == 0
    house.world.assert_balanced()


@on_sqlite
def test_the_next_renewal_credits_the_user_and_periods_of_before_are_not_credited(house: AgreementHouse) -> None:
    take(house, STORE)
    assert house.active() == {"vip": FEBRUARY}
    house.tell(store_paid("t-1", JANUARY, FEBRUARY), "store")
    assert (what_became(house), orders(house)) == ([("paid", "noted", "before_import")], 0)
    house.world.clock.advance(86_400 * 31)
    for _ in range(2):
        house.tell(store_paid("t-2", FEBRUARY, MARCH), "store")
        house.tell(store_paid("t-1", JANUARY, FEBRUARY), "store")
    number = number_of(house)
    assert [(each.number, each.status) for each in house.periods(number)] == [(0, "free"), (1, "paid")]
    assert (house.active(), orders(house)) == ({"vip": MARCH}, 1)
    house.world.assert_balanced()


@on_sqlite
@pytest.mark.parametrize("refund_first", [True, False])
def test_money_that_goes_back_for_a_period_of_before_waits_for_a_person_and_for_no_payment(
    house: AgreementHouse, refund_first: bool
) -> None:
    take(house, STORE)
    paid = store_paid("t-1", JANUARY, FEBRUARY)
    names = replace(paid.ref, refund="1")
    told = [paid, replace(paid, kind=Kind.REFUNDED, ref=names, at=START + timedelta(days=1), share=100_000)]
    for fact in [*(reversed(told) if refund_first else told), *told]:
        house.tell(fact, "store")
    became = set(what_became(house)) - {("refunded", "noted", "told_again_with_its_buyer")}
    assert became == {("paid", "noted", "before_import"), ("refunded", "parked", "refund_before_import")}
    assert look_at_waiting_refunds(house.core, 0) == (0, 0)
    [row] = house.core.whole.read(lambda tx: parked.list_parked(tx, "parked", 10))
    assert "journal entry" in remedy(row.reason)
    house.world.assert_balanced()


@on_sqlite
def test_a_token_of_the_earlier_system_is_its_users_and_no_other_owner(house: AgreementHouse) -> None:
    """By the token alone, by the agreement alone, and by neither."""
    unknown = store_paid("t-0", JANUARY, FEBRUARY, owner=OLD_TOKEN)
    assert house.tell(unknown, "store").outcome == "parked"
    assert own(house, f"store,{OLD_TOKEN.upper()},carol\n") == (1, 0)
    assert own(house, f"store,{OLD_TOKEN},carol\n") == (0, 1)
    assert parked.look_at_parked(house.core, parked.PARKED_START)[0] == 1
    assert house.active("carol") == {"vip": FEBRUARY}
    take(house, "store,original-bob,bob,store-vip,active,,2026-01-01T00:00:00Z,,,,,,,,\n")
    other = store_paid("t-9", JANUARY, FEBRUARY, owner=str(uuid.UUID(int=77)))
    assert house.tell(replace(other, ref=Ref(theirs="t-9", agreement="original-bob")), "store").outcome == "applied"
    assert house.active("bob") == {"vip": FEBRUARY}
    (cells,) = cells_of(f"provider_account,token,user\nstore,{OLD_TOKEN},dave\n")
    (again,) = faults_of_owners(house.core, [(2, owner_line(cells))])
    assert again == "line 2: token: names the user 'carol'"
    house.world.assert_balanced()


@on_sqlite
def test_one_file_again_changes_nothing_and_a_changed_line_is_refused_by_its_field(house: AgreementHouse) -> None:
    known_to_the_provider(house, "77001", "agr-7")
    assert take(house, DEBIT, STORE) == (2, 0)
    house.at(datetime(2026, 1, 11, tzinfo=UTC))
    before = [tuple(row) for row in list_agreements(house.core, AgreementFilter(), None, 10).rows]
    assert take(house, DEBIT, STORE) == (0, 2)
    assert [tuple(row) for row in list_agreements(house.core, AgreementFilter(), None, 10).rows] == before
    later = DEBIT.replace("2026-01-10", "2026-01-11")
    assert faults(house, later) == ["line 2: paid_until: was imported as '2026-01-09T16:00:00+00:00'"]
    assert faults(house, DEBIT.replace("15.00", "16.00")) == ["line 2: amount: was imported as 1500"]
    line = agreement_line(cells_of(HEAD + later)[0], house.core.clock.now())
    with pytest.raises(ImportFault, match="paid_until"):
        import_agreements(house.core, [line])


@on_sqlite
def test_every_fault_is_told_with_its_line_and_nothing_is_written(house: AgreementHouse) -> None:
    house.signed("dora")
    take(house, STORE)
    found = faults(
        house,
        DEBIT,
        DEBIT.replace("alice", "bob"),  # the provider's number of another user's agreement
        DEBIT.replace("agr-7", "agr-8").replace("alice", "bob"),  # the old number, again
        STORE.replace("alice,store", "bob,store"),  # another user has it since the import
        DEBIT.replace("agr-7", "agr-9").replace("77001", "9"),  # a second one about one product
        DEBIT.replace("agr-7", "agr-10").replace("77001", "10").replace("alice", "dora"),  # one in force here
        DEBIT.replace("vip", "platinum"),
        DEBIT.replace("vip", "coins-60"),
        DEBIT.replace("debit", "elsewhere"),
        DEBIT.replace("CNY", "USD"),
        DEBIT.replace("15.00,CNY", ","),
        DEBIT.replace("Asia/Shanghai", "Mars/Base"),
        DEBIT.replace("CNY,,,", "CNY,,2025-12-09T00:00:00+08:00,"),
        STORE.replace("Z,,", "Z,6.00,CNY").replace("CNY,", "CNY", 1),
        DEBIT.replace("alice", "a b"),
    )
    assert [fault.split(":")[0] for fault in found] == [f"line {n}" for n in range(3, 17)]
    assert [fault.split(": ", 1)[1] for fault in found] == [
        "provider_number: as in line 2",
        "old_number: as in line 2",
        "provider_number: belongs to the user 'alice'",
        "product: in force for the user: as in line 2",
        f"product: the agreement {number_of(house, 'dora')} of the user is in force",
        "product: there is no 'platinum'",
        "product: 'coins-60' is no plan",
        "provider_account: there is no 'elsewhere'",
        "currency: 'debit' does not charge USD",
        "amount: what does a period cost?",
        "zone: not a time zone that this service knows",
        "first_period_at: no period that is counted from there begins where the next one does",
        "amount: empty for a subscription that a store charges",
        "user: a user id is 1 to 128 printable ASCII characters without blanks",
    ]
    assert len(list_agreements(house.core, AgreementFilter(), None, 100).rows) == 2


@on_sqlite
def test_what_has_ended_is_known_and_never_charged_and_what_is_past_due_is_charged(house: AgreementHouse) -> None:
    for old, theirs in (("A", "agr-a"), ("B", "agr-b"), ("C", "agr-c")):
        known_to_the_provider(house, old, theirs)
    late = "2026-01-01T00:00:00Z,15.00,CNY,"
    take(
        house,
        f"debit,agr-a,ann,vip,ended,A,{late},,,2026-01-01T12:00:00Z,payer,\n",
        f"debit,agr-b,bea,vip,past_due,B,{late},,,,,\n",
        f"debit,agr-c,cora,vip,paused,C,{late},,,,,\n",
    )
    house.at(datetime(2026, 1, 3, 12, tzinfo=UTC))
    assert [trade.agreement for trade in house.debit.trades.values()] == ["B"]
    assert [house.row(number_of(house, user)).status for user in ("ann", "bea", "cora")] == [
        "ended",
        "active",
        "paused",
    ]
    assert house.active("bea") == {"vip": datetime(2026, 2, 2, tzinfo=UTC)}, "with the plan's day of grace"
    assert house.row(number_of(house, "ann")).next_work_at is None
    # A word of the signing, told late, does not bring back what has ended since.
    told: dict[str, Any] = {"account": house.debit.account, "live": False}
    house.tell(Fact(Kind.SIGNED, Ref(agreement="agr-a", our_agreement="A"), START - timedelta(days=90), **told))
    assert house.row(number_of(house, "ann")).status == "ended"


@on_sqlite
def test_days_are_counted_from_the_very_first_period_in_the_users_zone(house: AgreementHouse) -> None:
    """Signed on the 31st at midnight in Shanghai: after the last of February comes the 31st of March."""
    known_to_the_provider(house, "S", "agr-s")
    first = "2025-12-31T00:00:00+08:00"
    line = f"debit,agr-s,alice,vip,active,S,2026-02-28T00:00:00+08:00,15.00,CNY,,{first},Asia/Shanghai,,,\n"
    take(house, line)
    house.at(datetime(2026, 3, 1, tzinfo=UTC))
    number = number_of(house)
    assert [(each.number, each.status) for each in house.periods(number)] == [(1, "free"), (2, "paid")]
    assert house.row(number).paid_until == datetime(2026, 3, 30, 16, tzinfo=UTC)
    house.at(datetime(2026, 4, 1, tzinfo=UTC))
    assert house.row(number).paid_until == datetime(2026, 4, 29, 16, tzinfo=UTC)
