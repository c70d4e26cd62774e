"""The kit's rules for agreements: each broken adapter fails the rules that are meant for its mistake."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.providers import Plugin
from app.providers.testing.conformance import ProviderConformance, World
from app.providers.testing.doubles import FixedClock
from plugins.sandbox.agreements import AgreeingSandbox
from plugins.sandbox.settings import SandboxSettings
from plugins.sandbox.simulator import ChargeConditions
from tests.conformance import broken_agreements as broken
from tests.conformance.test_the_kit_catches import fails, kit_for
from tests.conformance.test_the_traits import ABOUT_AGREEMENTS
from tests.plugins.sandbox.agreeing_world import AgreeingWorld

CAUGHT_BY: dict[type[AgreeingSandbox], tuple[str, ...]] = {
    broken.LacksAWay: ("test_each_way_of_signing_says_what_it_needs",),
    broken.PaysByNoWay: ("test_each_way_of_signing_says_what_it_needs",),
    broken.SignsUnderANewNumber: ("test_an_agreement_waits_for_its_payer",),
    broken.CannotSignTwice: ("test_signing_twice_is_one_agreement",),
    broken.SignedOnceAsked: ("test_an_agreement_waits_for_its_payer",),
    broken.CallbacksLackOurNumber: ("test_a_signed_agreement_is_told_alike_on_every_road",),
    broken.AgreementKeyDiffersByRoad: ("test_a_signed_agreement_is_told_alike_on_every_road",),
    broken.UnknownMeansEnded: ("test_an_unknown_agreement_is_no_fact",),
    broken.OnceSignedAlwaysSigned: (
        "test_an_agreement_that_the_payer_left_has_ended",
        "test_an_end_in_silence_is_found_by_a_query",
    ),
    broken.EveryEndIsOurs: ("test_an_agreement_that_the_payer_left_has_ended",),
    broken.GoesByItsOwnTime: ("test_an_old_message_does_not_revive_an_agreement",),
    broken.GivenUpMeansWaiting: ("test_a_signing_whose_time_is_over_waits_for_nobody",),
    broken.ChargesOfNoAgreement: ("test_one_number_is_charged_once",),
    broken.EndedWhenItWasSigned: ("test_an_agreement_is_told_at_its_own_times",),
    broken.ChargesTenthsOfAYen: ("test_each_currency_is_charged_as_it_was_asked",),
    broken.CannotCancelTwice: ("test_cancelling_ends_an_agreement_once",),
    broken.CancelsNothing: ("test_cancelling_ends_an_agreement_once",),
    broken.TellsTheSignatureAsThePayment: ("test_paying_and_signing_tells_two_things",),
    broken.UnknownWordMeansSigned: (
        "test_an_unknown_status_word_decides_nothing_about_an_agreement",
        "test_an_odd_document_about_an_agreement_does_no_harm",
    ),
    broken.BelievesAnUnsignedAgreement: ("test_a_spoilt_message_about_an_agreement_changes_nothing",),
    broken.ChargesUnderANewNumber: ("test_one_number_is_charged_once",),
    broken.ALostChargeIsDeclined: ("test_one_number_is_charged_once",),
    broken.ALostChargeIsRetryable: ("test_one_number_is_charged_once",),
    broken.ARepeatedChargeIsDeclined: ("test_one_number_is_charged_once",),
    broken.ChargesUnderTheAgreementsNumber: (
        "test_one_number_is_charged_once",
        "test_two_numbers_are_two_charges",
    ),
    broken.AcceptedMeansPaid: ("test_a_charge_that_is_only_accepted_is_pending",),
    broken.RefusalsAreAllAlike: ("test_a_refused_charge_says_why",),
    broken.NoMoneyMeansGone: ("test_a_refused_charge_says_why",),
    broken.AnEndedAgreementIsOutOfMoney: ("test_a_charge_of_an_agreement_that_is_over_says_so",),
    broken.AnnouncesNothing: ("test_an_announcement_reaches_the_payer",),
    broken.AnnouncesOnce: ("test_an_announcement_reaches_the_payer",),
}


def with_adapter(adapter: type[AgreeingSandbox], world: type[World] = AgreeingWorld) -> type[ProviderConformance]:
    return kit_for(type("ItsWorld", (world,), {"plugin": Plugin("sandbox", SandboxSettings, adapter)}))


@pytest.mark.parametrize("adapter", list(CAUGHT_BY), ids=lambda adapter: adapter.__name__)
def test_a_broken_adapter_fails_the_rules_meant_for_it(adapter: type[AgreeingSandbox]) -> None:
    kit = with_adapter(adapter)
    assert [rule for rule in CAUGHT_BY[adapter] if not fails(kit, rule)] == []


def test_every_rule_about_agreements_catches_somebody() -> None:
    assert {rule for rules in CAUGHT_BY.values() for rule in rules} == ABOUT_AGREEMENTS


def test_no_broken_adapter_is_forgotten() -> None:
    made = {item for item in vars(broken).values() if isinstance(item, type) and issubclass(item, AgreeingSandbox)}
    bases = {AgreeingSandbox, broken.RetellingAgreements, broken.WantsANoticeThatNobodyGives}
    assert made - bases == set(CAUGHT_BY)


def test_a_notice_that_nobody_gives_is_caught() -> None:
    class SilentWorld(AgreeingWorld):
        traits = replace(AgreeingWorld.traits, verbs=("capture", "refund", "cancel", "scan", "sign"))

    kit = with_adapter(broken.WantsANoticeThatNobodyGives, SilentWorld)
    assert fails(kit, "test_each_way_of_signing_says_what_it_needs")


def test_a_sound_adapter_keeps_every_rule_where_a_notice_is_wanted() -> None:
    class NoticeWorld(AgreeingWorld):
        def __init__(self, clock: FixedClock) -> None:
            super().__init__(clock, ChargeConditions(timedelta(days=1), timedelta(days=1)))

        def settings(self) -> dict[str, Any]:
            return {**super().settings(), "charge_days_before": 1, "notice_days": 1}

    kit = with_adapter(AgreeingSandbox, NoticeWorld)
    assert [rule for rule in sorted(ABOUT_AGREEMENTS) if fails(kit, rule)] == []


def test_the_rules_for_calls_are_tried_on_charges_too() -> None:
    assert fails(with_adapter(broken.ALostChargeIsDeclined), "test_a_lost_or_spoilt_answer_leaves_it_unknown")
    assert fails(with_adapter(broken.ALostChargeIsRetryable), "test_a_liar_is_not_believed")
