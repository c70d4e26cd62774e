"""Agreements at the sandbox: signed, charged, refused for every reason, and ended by everybody who can end one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from werkzeug.test import Client

from app.domain.money import Money
from app.providers import (
    ChargeWindow,
    Declined,
    Ending,
    Fact,
    Intent,
    Kind,
    Message,
    Misconfigured,
    Ref,
    Refusal,
    Reply,
    Terms,
    key_of,
)
from app.providers.testing.conformance import make_intent, make_terms
from app.providers.testing.doubles import FixedClock, WsgiClient
from app.providers.testing.doubles import tools as tools_for
from plugins.sandbox import plugin
from plugins.sandbox.agreements import AgreeingSandbox
from plugins.sandbox.settings import SandboxSettings
from plugins.sandbox.simulator import ChargeConditions, Simulator, SimulatorConfig, create_simulator

SECRET = "ours: a secret of more than 32 bytes"
PRICE = Money(600, "CNY")


class Club:
    """A merchant that sells a membership by the month, and a provider of its own."""

    def __init__(self, rules: ChargeConditions | None = None, **settings: int) -> None:
        self.clock, self.inbox = FixedClock(), list[Message]()
        config = SimulatorConfig(
            {"m-1": SECRET}, clock=self.clock, send=self._arrive, charge_conditions=rules or ChargeConditions()
        )
        app = create_simulator(config, {"TILLBOOK_ENV": "test"})
        self.simulator: Simulator = app.extensions["sandbox"]
        self.browser = Client(app)
        self.settings = SandboxSettings(
            base_url="http://sandbox.example", merchant="m-1", secret=SecretStr(SECRET), **settings
        )
        self.provider = AgreeingSandbox(self.settings, tools_for(WsgiClient(app), clock=self.clock))

    def signed(self, **changes: Any) -> Ref:
        terms = replace(make_terms(self.clock, "page", PRICE), **changes)
        self.provider.sign(terms)
        self.control(f"agreements/{terms.ref.our_agreement}/sign")
        return self.provider.query(terms.ref)[0].ref

    def charge(self, ref: Ref, money: Money = PRICE) -> tuple[Intent, tuple[Fact, ...]]:
        intent = make_intent(self.clock, "page", money)
        return intent, self.provider.charge(ref, intent)

    def control(self, path: str, **document: Any) -> Any:
        answer = self.browser.post(f"/_control/{path}", json=document)
        assert answer.status_code == 200, answer.text
        return answer.json

    def told(self) -> list[Fact]:
        """What the notifications say that have come since the last time."""
        self.inbox.clear()
        self.simulator.deliveries.run_due()
        return [fact for message in self.inbox for fact in self.provider.receive(message).facts]

    def _arrive(self, url: str, message: Message) -> Reply:
        self.inbox.append(message)
        return Reply(200, "application/json", b"{}")


def refusal_of(club: Club, ref: Ref, money: Money = PRICE) -> Refusal | None:
    with pytest.raises(Declined) as caught:
        club.charge(ref, money)
    return caught.value.refusal


def test_a_press_on_the_page_signs_and_another_one_ends() -> None:
    club = Club()
    terms = make_terms(club.clock, "page", PRICE)
    started = club.provider.sign(replace(terms, return_url=""))
    page = str(started.action["url"]).removeprefix(club.simulator.config.base_url)
    assert "<button>Sign</button>" in club.browser.get(page).text
    assert club.browser.post(page).status_code == 303
    assert [fact.kind for fact in club.told()] == [Kind.SIGNED]
    assert "<button>End</button>" in club.browser.get(page).text
    assert club.browser.post(f"{page}/end").status_code == 303
    assert [(fact.kind, fact.ending) for fact in club.told()] == [(Kind.ENDED, Ending.PAYER)]
    assert "<button>" not in club.browser.get(page).text


def test_one_press_pays_and_signs() -> None:
    club = Club()
    terms: Terms = make_terms(club.clock, "page", PRICE)
    first = make_intent(club.clock, "page", PRICE)
    started = club.provider.sign(replace(terms, first=first))
    assert [fact.kind for fact in started.facts] == [Kind.PENDING, Kind.PENDING]
    page = str(started.action["url"]).removeprefix(club.simulator.config.base_url)
    assert "<button>Pay and sign</button>" in club.browser.get(page).text
    club.browser.post(page)
    paid, signed = club.told()
    assert (paid.kind, paid.ref.ours) == (Kind.PAID, first.ref.ours)
    assert (signed.kind, signed.ref.our_agreement) == (Kind.SIGNED, terms.ref.our_agreement)
    assert paid.ref.agreement == signed.ref.agreement


def test_the_payment_of_a_signing_can_be_made_without_the_signature() -> None:
    club = Club()
    terms, first = make_terms(club.clock, "page", PRICE), make_intent(club.clock, "page", PRICE)
    club.provider.sign(replace(terms, first=first))
    club.control(f"payments/{first.ref.ours}/pay")
    club.provider.cancel(terms.ref)
    assert [fact.kind for fact in club.provider.query(first.ref)] == [Kind.PAID]
    assert [fact.kind for fact in club.provider.query(terms.ref)] == [Kind.FAILED]


def test_a_signing_that_nobody_finishes_fails_when_its_time_is_over() -> None:
    club = Club()
    terms = make_terms(club.clock, "qr", PRICE)
    assert club.provider.sign(terms).action["type"] == "qr"
    club.clock.advance((terms.expires_at - club.clock.now()).total_seconds())
    (fact,) = club.provider.query(terms.ref)
    assert (fact.kind, fact.at) == (Kind.FAILED, terms.expires_at)
    assert club.browser.post(f"/_control/agreements/{terms.ref.our_agreement}/sign").status_code == 409


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("NO_MONEY", Refusal.NO_MONEY),
        ("OVER_LIMIT", Refusal.OVER_LIMIT),
        ("TOO_EARLY", Refusal.NOT_NOW),
        ("CHARGE_REFUSED", Refusal.OTHER),
        ("AGREEMENT_ENDED", Refusal.AGREEMENT_GONE),
    ],
)
def test_a_charge_is_refused_at_once_or_later_for_each_reason(code: str, refusal: Refusal) -> None:
    club = Club()
    ref = club.signed()
    club.control("charges", next=[code, "WAITING", "PAID"])
    assert refusal_of(club, ref) is refusal
    intent, accepted = club.charge(ref)
    assert [fact.kind for fact in accepted] == [Kind.PENDING]
    club.told()
    club.control(f"payments/{intent.ref.ours}/refuse", refusal=code)
    (failed,) = club.told()
    assert (failed.kind, failed.refusal, failed.cause) == (Kind.FAILED, refusal, code)
    assert club.charge(ref)[1][0].kind is Kind.PAID


def test_more_than_was_agreed_is_over_the_limit() -> None:
    club = Club()
    assert refusal_of(club, club.signed(), Money(601, "CNY")) is Refusal.OVER_LIMIT


def test_a_charge_is_shown_again_though_the_agreement_has_ended_since() -> None:
    club = Club()
    ref = club.signed()
    intent, _ = club.charge(ref)
    club.provider.cancel(ref)
    assert [fact.kind for fact in club.provider.charge(ref, intent)] == [Kind.PAID]
    assert refusal_of(club, ref) is Refusal.AGREEMENT_GONE


def test_a_validity_ends_in_silence() -> None:
    club = Club()
    ref = club.signed()
    club.told()
    club.control(f"agreements/{ref.our_agreement}/expire")
    assert club.told() == []
    (fact,) = club.provider.query(ref)
    assert (fact.kind, fact.ending) == (Kind.ENDED, Ending.TIME)


def test_callbacks_about_agreements_are_lost_repeated_and_late_like_others() -> None:
    club = Club()
    club.control("faults", lose=1)
    lost = club.signed()
    assert club.told() == []
    assert [fact.kind for fact in club.provider.query(lost)] == [Kind.SIGNED]
    club.control("faults", repeat=2)
    repeated = club.signed()
    told = club.told()
    assert {key_of(fact) for fact in told} == {key_of(club.provider.query(repeated)[0])}
    assert len(told) == 3
    club.control("faults", delay=60)
    late = club.signed()
    club.provider.cancel(late)
    assert [fact.kind for fact in club.told()] == [Kind.ENDED]
    club.clock.advance(60)
    (signed,) = club.told()
    assert signed.kind is Kind.SIGNED
    assert signed.at < club.clock.now()


def test_who_ended_it_is_told() -> None:
    club = Club()
    for by, ending in (("PAYER", Ending.PAYER), ("SANDBOX", Ending.PROVIDER), ("MERCHANT", Ending.US)):
        ref = club.signed()
        club.control(f"agreements/{ref.our_agreement}/end", by=by)
        assert [fact.ending for fact in club.provider.query(ref)] == [ending]


def test_a_charge_before_its_time_is_refused() -> None:
    club = Club(ChargeConditions(before=timedelta(days=2)))
    ref = club.signed(first_due=date(2026, 1, 31))
    for due in (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC)):
        club.clock.advance((due - timedelta(days=2, seconds=1) - club.clock.now()).total_seconds())
        assert refusal_of(club, ref) is Refusal.NOT_NOW
        club.clock.advance(1)
        assert club.charge(ref)[1][0].kind is Kind.PAID


def test_a_charge_without_notice_is_refused_and_each_notice_is_good_for_one() -> None:
    club = Club(ChargeConditions(notice=timedelta(days=1)))
    ref = club.signed()
    assert refusal_of(club, ref) is Refusal.NOT_NOW
    for _ in range(2):
        club.provider.announce(ref, PRICE, date(2026, 1, 3))
    assert refusal_of(club, ref) is Refusal.NOT_NOW
    club.clock.advance(86_400)
    assert club.charge(ref)[1][0].kind is Kind.PAID
    assert refusal_of(club, ref) is Refusal.NOT_NOW


def test_a_charge_of_either_period_is_due_by_the_calendar() -> None:
    club = Club()
    ref = club.signed(first_due=date(2024, 1, 31), unit="month", count=1)
    agreement = club.simulator.agreements.find("m-1", theirs=ref.agreement)
    days = [agreement.due(number).date() for number in (0, 1, 2, 13)]
    assert days == [date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31), date(2025, 2, 28)]


def test_the_window_is_that_of_the_settings() -> None:
    club = Club(charge_days_before=5, charge_days_after=4, notice_days=1)
    assert club.provider.charge_window == ChargeWindow(timedelta(days=5), timedelta(days=4), timedelta(days=1))


def test_a_live_account_is_refused() -> None:
    with pytest.raises(Misconfigured, match="moves no money"):
        plugin.build(Club().settings, replace(tools_for(), live=True))


def test_a_number_with_other_terms_is_taken() -> None:
    club = Club()
    terms = make_terms(club.clock, "page", PRICE)
    club.provider.sign(terms)
    with pytest.raises(Declined, match="NUMBER_TAKEN"):
        club.provider.sign(replace(terms, money=Money(700, "CNY")))
