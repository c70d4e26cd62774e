"""The kit is worth something only if it fails: each broken adapter fails exactly the rules that its mistake breaks."""

from __future__ import annotations

import pytest

from app.providers import Plugin
from app.providers.testing.conformance import ProviderConformance, World
from app.providers.testing.conformance.kit import names_of_rules
from plugins.sandbox.provider import SandboxProvider
from plugins.sandbox.settings import SandboxSettings
from tests.conformance import broken_adapters as broken
from tests.conformance import broken_conduct as conduct
from tests.conformance import broken_situations as situations
from tests.conformance import broken_stories as stories
from tests.plugins.sandbox.world import SandboxWorld

# The first rule of each is the one meant for it; the others are further consequences of the same mistake.
CAUGHT_BY: dict[type[SandboxProvider], tuple[str, ...]] = {
    # who is believed
    broken.VerifiesNothing: (
        "test_a_forgery_is_refused",
        "test_a_flipped_bit_in_the_body_changes_nothing",
        "test_a_stale_message_is_refused",
        "test_an_empty_or_missing_signature_part_is_refused",
    ),
    broken.AcceptsAnEmptySignature: ("test_an_empty_or_missing_signature_part_is_refused",),
    broken.AcceptsStale: ("test_a_stale_message_is_refused",),
    broken.HasItsOwnClock: (
        "test_the_wall_clock_does_not_matter",
        "test_a_stale_message_is_refused",
        "test_a_payment_is_told_at_its_own_time",
        "test_a_refund_is_told_at_its_own_time",
        "test_a_refund_that_fails_afterwards_is_told",
        "test_a_scan_tells_each_day_of_its_window",
    ),
    broken.IgnoresTheMerchant: ("test_another_merchants_message_is_not_ours",),
    broken.AcknowledgesForgeries: ("test_only_a_stored_message_is_acknowledged",),
    broken.AcceptsAnEmptySecret: ("test_an_empty_secret_is_refused",),
    broken.IgnoresMisspeltSettings: ("test_an_unknown_setting_is_refused",),
    # what is read
    broken.CrashesOnGarbage: (
        "test_garbage_is_refused",
        "test_a_flipped_bit_in_the_body_changes_nothing",
        "test_an_odd_document_does_no_harm",
    ),
    broken.UnknownWordMeansPaid: (
        "test_an_unknown_status_word_means_pending",
        "test_an_unknown_status_word_in_an_answer_means_pending",
    ),
    broken.UnknownWordMeansFailed: (
        "test_an_unknown_status_word_means_pending",
        "test_an_unknown_status_word_in_an_answer_means_pending",
    ),
    broken.PaidWithoutTheirNumber: (
        "test_paid_names_the_payment",
        "test_an_odd_document_does_no_harm",
        "test_paid_has_one_key_on_every_road",
        "test_closing_a_paid_payment_says_paid",
        "test_a_scan_names_payments_by_the_same_key",
        "test_an_odd_row_stops_no_page",
        "test_a_payment_is_told_at_its_own_time",
        "test_a_scan_tells_each_day_of_its_window",
    ),
    broken.RefundsWithoutOurNumber: (
        "test_paid_names_the_payment",
        "test_a_refund_has_one_key_on_every_road",
        "test_a_refund_by_the_provider_is_told_alike_on_every_road",
    ),
    broken.NaiveTimes: (
        "test_times_are_aware_utc",
        "test_a_refund_has_one_key_on_every_road",
        "test_a_refund_by_the_provider_is_told_alike_on_every_road",
        "test_a_dispute_is_told_at_its_own_times",
        "test_a_payment_is_told_at_its_own_time",
        "test_a_refund_is_told_at_its_own_time",
        "test_a_refund_that_fails_afterwards_is_told",
    ),
    broken.RawOfObjects: (
        "test_raw_is_json",
        "test_a_refund_has_one_key_on_every_road",
        "test_a_refund_by_the_provider_is_told_alike_on_every_road",
    ),
    broken.KeyDiffersByRoad: ("test_paid_has_one_key_on_every_road",),
    broken.ReadsYuanAsFen: (
        "test_no_road_contradicts_another",
        "test_a_dispute_that_takes_the_money_is_a_refund",
    ),
    broken.ForgetsOurNumber: (
        "test_a_scan_names_payments_by_the_same_key",
        "test_a_refund_by_the_provider_is_told_alike_on_every_road",
    ),
    broken.ForgetsTheSandbox: ("test_facts_say_that_it_was_a_sandbox",),
    broken.HundredthsOfAYen: (
        "test_each_currency_is_paid_as_it_was_ordered",
        "test_each_currency_is_refunded_as_it_was_paid",
    ),
    broken.ScalesBothWays: (
        "test_each_currency_is_paid_as_it_was_ordered",
        "test_each_currency_is_refunded_as_it_was_paid",
    ),
    broken.ClosedOnceRefunded: ("test_a_refund_by_the_provider_is_told_alike_on_every_road",),
    broken.NumbersRefundsByRoad: ("test_a_refund_by_the_provider_is_told_alike_on_every_road",),
    broken.NamesWhatCannotBeKept: (
        "test_a_genuine_message_says_what_happened",
        "test_an_odd_document_does_no_harm",
    ),
    # what a broken line is made of
    conduct.GuessesFailedOnTimeout: (
        "test_a_lost_or_spoilt_answer_leaves_it_unknown",
        "test_a_liar_is_not_believed",
        "test_an_error_that_nobody_knows_leaves_it_unknown",
    ),
    conduct.GuessesPaidOnTimeout: (
        "test_a_lost_or_spoilt_answer_leaves_it_unknown",
        "test_a_liar_is_not_believed",
        "test_an_error_that_nobody_knows_leaves_it_unknown",
        "test_an_answer_to_another_question_says_nothing_of_this_one",
    ),
    conduct.SaysThatNothingHappened: (
        "test_a_lost_or_spoilt_answer_leaves_it_unknown",
        "test_a_liar_is_not_believed",
        "test_an_error_that_nobody_knows_leaves_it_unknown",
    ),
    conduct.LetsParserErrorsOut: (
        "test_a_lost_or_spoilt_answer_leaves_it_unknown",
        "test_a_liar_is_not_believed",
        "test_an_error_that_nobody_knows_leaves_it_unknown",
    ),
    conduct.DeclinesMidway: (
        "test_a_line_that_breaks_midway_declines_nothing",
        "test_an_error_that_nobody_knows_leaves_it_unknown",
    ),
    conduct.BelievesAProxy: (
        "test_a_lost_or_spoilt_answer_leaves_it_unknown",
        "test_a_liar_is_not_believed",
    ),
    conduct.BelievesAGateway: (
        "test_a_lost_or_spoilt_answer_leaves_it_unknown",
        "test_a_liar_is_not_believed",
    ),
    conduct.NothingThereMeansClosed: ("test_an_unknown_payment_is_no_fact",),
    conduct.BelievesAnUnsignedAnswer: ("test_a_liar_is_not_believed",),
    conduct.BelievesAnotherKey: ("test_a_liar_is_not_believed",),
    # what verbs do
    conduct.CannotStartTwice: ("test_starting_twice_is_one_payment",),
    conduct.RefundsAgainAndAgain: (
        "test_a_repeated_refund_pays_once",
        "test_a_refund_repeated_days_later_pays_once",
        "test_two_refunds_give_back_both",
        "test_a_refund_has_one_key_on_every_road",
        "test_a_refund_that_fails_afterwards_is_told",
        "test_a_refund_that_is_only_accepted_is_pending",
        "test_an_unknown_word_for_a_refund_decides_nothing",
        "test_each_currency_is_refunded_as_it_was_paid",
    ),
    conduct.RefundsAgainTomorrow: (
        "test_a_refund_repeated_days_later_pays_once",
        "test_a_refund_that_fails_afterwards_is_told",
        "test_a_refund_that_is_only_accepted_is_pending",
        "test_an_unknown_word_for_a_refund_decides_nothing",
    ),
    conduct.RefundsAsMuchAsThereIs: (
        "test_more_than_was_paid_is_declined",
        "test_each_currency_is_refunded_as_it_was_paid",
    ),
    conduct.DeclinesToCloseThePaid: ("test_closing_a_paid_payment_says_paid",),
    conduct.StubbedVerb: (
        "test_every_verb_works",
        "test_an_odd_row_stops_no_page",
        "test_an_inquiry_is_no_refund_in_the_history",
        "test_an_answer_about_a_won_dispute_tells_the_refund_too",
        "test_a_refund_by_the_provider_is_told_alike_on_every_road",
        "test_a_scan_names_payments_by_the_same_key",
        "test_a_refused_connection_is_retryable",
        "test_a_lost_or_spoilt_answer_leaves_it_unknown",
        "test_a_line_that_breaks_midway_declines_nothing",
        "test_a_liar_is_not_believed",
        "test_a_payment_is_told_at_its_own_time",
        "test_a_scan_tells_each_day_of_its_window",
        "test_an_error_that_nobody_knows_leaves_it_unknown",
        "test_facts_of_a_live_world_say_that_it_is_live",
    ),
    conduct.UndeclaredVerb: ("test_the_declared_traits_are_true",),
    conduct.TakesAnyExtra: ("test_each_way_says_what_it_needs",),
    # what gets out
    conduct.LogsASecret: ("test_no_secret_is_logged",),
    conduct.LogsASecretInAnEvent: ("test_no_secret_is_logged",),
    conduct.RaisesASecret: ("test_no_secret_is_in_an_exception",),
    conduct.PrintsASecret: ("test_no_secret_is_in_a_repr", "test_no_secret_is_in_what_is_kept"),
    conduct.HoldsSomethingThatPrintsASecret: ("test_no_secret_is_in_a_repr",),
    conduct.KeepsASecret: ("test_no_secret_is_in_what_is_kept",),
    conduct.AsksWhileReceiving: ("test_receive_does_no_io",),
    conduct.ReadsAFileWhileReceiving: ("test_receive_does_no_io",),
    conduct.TakesItsTime: ("test_receive_is_quick",),
    situations.KeepsTheWholeDocument: ("test_no_private_word_is_kept",),
    situations.QuotesARefusal: ("test_no_secret_is_in_an_exception",),
    # what rarely happens
    situations.NothingIsLive: ("test_facts_of_a_live_world_say_that_it_is_live",),
    situations.WonMeansUndoneOnly: (
        "test_an_answer_about_a_won_dispute_tells_the_refund_too",
        "test_a_dispute_is_told_at_its_own_times",
    ),
    situations.UndoneFirst: ("test_an_answer_about_a_won_dispute_tells_the_refund_too",),
    situations.UndoneUnderANumberOfItsOwn: (
        "test_a_won_dispute_is_undone_after_it_was_refunded",
        "test_an_answer_about_a_won_dispute_tells_the_refund_too",
    ),
    situations.DisputesAreNotRefunds: (
        "test_a_dispute_that_takes_the_money_is_a_refund",
        "test_a_won_dispute_is_undone_after_it_was_refunded",
        "test_a_refund_by_the_provider_is_told_alike_on_every_road",
        "test_a_dispute_is_told_at_its_own_times",
    ),
    situations.AnInquiryTakesMoney: (
        "test_an_inquiry_takes_no_money",
        "test_a_dispute_that_takes_the_money_is_a_refund",
    ),
    situations.AnInquiryInTheHistoryTakesMoney: (
        "test_an_inquiry_is_no_refund_in_the_history",
        "test_an_error_that_nobody_knows_leaves_it_unknown",
    ),
    situations.PayableForADay: ("test_the_provider_is_told_when_a_payment_expires",),
    situations.PayableForHalfAnHour: ("test_the_provider_is_told_when_a_payment_expires",),
    situations.StartsWithoutTheTime: ("test_too_little_time_is_refused",),
    situations.DeclinesWhatItMade: ("test_too_little_time_is_refused",),
    situations.TakesTooLittleTimeForUnknown: ("test_too_little_time_is_refused",),
    situations.OneOddRowStopsThePage: ("test_an_odd_row_stops_no_page",),
    situations.OddRowsAreLeftOutInSilence: ("test_an_odd_row_stops_no_page",),
    situations.StopsAtAnOddRow: ("test_an_odd_row_stops_no_page",),
    situations.OddRowsArePaid: (
        "test_an_odd_row_stops_no_page",
        "test_an_error_that_nobody_knows_leaves_it_unknown",
    ),
    # in what size, state and time it is told
    stories.TellsTheTotalAsTheRefund: (
        "test_two_refunds_give_back_both",
        "test_a_refund_that_fails_afterwards_is_told",
    ),
    stories.RefundsTenthsOfAYen: ("test_each_currency_is_refunded_as_it_was_paid",),
    stories.AcceptedMeansRefunded: (
        "test_a_refund_that_is_only_accepted_is_pending",
        "test_an_unknown_word_for_a_refund_decides_nothing",
    ),
    stories.UnknownRefundMeansFailed: ("test_an_unknown_word_for_a_refund_decides_nothing",),
    stories.DoneIsDone: ("test_a_refund_that_fails_afterwards_is_told",),
    stories.AnUnknownErrorIsANo: ("test_an_error_that_nobody_knows_leaves_it_unknown",),
    stories.NamesWhatItAskedFor: (
        "test_an_answer_to_another_question_says_nothing_of_this_one",
        "test_a_liar_is_not_believed",
    ),
    stories.WaitsForEver: ("test_a_payment_whose_time_is_over_is_shut", "test_a_closed_payment_stays_closed"),
    stories.ReadsLocalTimeAsUtc: (
        "test_a_payment_is_told_at_its_own_time",
        "test_a_refund_is_told_at_its_own_time",
        "test_a_dispute_is_told_at_its_own_times",
    ),
    stories.HappenedWhenItWasAsked: (
        "test_a_payment_is_told_at_its_own_time",
        "test_a_refund_is_told_at_its_own_time",
        "test_a_dispute_is_told_at_its_own_times",
    ),
    stories.RefundedWhenPaid: (
        "test_a_refund_is_told_at_its_own_time",
        "test_a_dispute_is_told_at_its_own_times",
    ),
    stories.WonWhenItWasLost: ("test_a_dispute_is_told_at_its_own_times",),
    stories.TakesTheDisputesFeeWithIt: ("test_a_dispute_that_takes_the_money_is_a_refund",),
    stories.TellsWhatIsLeftAsTheFee: ("test_paid_says_what_was_ordered",),
    stories.ReadsTheFirstDay: (
        "test_a_scan_tells_each_day_of_its_window",
        "test_a_payment_is_told_at_its_own_time",
        "test_a_scan_names_payments_by_the_same_key",
        "test_an_odd_row_stops_no_page",
    ),
    stories.TheHistoryIsOfTheSandbox: ("test_facts_of_a_live_world_say_that_it_is_live",),
}


ONE_IN = 8
"""Of the rules that a broken adapter keeps, one in so many is tried: all of them on all took a twelfth of the tests."""


def world_with(adapter: type[SandboxProvider]) -> type[World]:
    """The sandbox's world with this adapter in it."""
    settings = getattr(adapter, "settings_model", SandboxSettings)

    class ItsWorld(SandboxWorld):
        plugin = Plugin("sandbox", settings, adapter)

    return ItsWorld


def rules_to_try(adapter: type[SandboxProvider]) -> set[str]:
    """All rules that it breaks, and a part of the others: a different part for the next adapter."""
    broken_rules = CAUGHT_BY[adapter]
    kept = sorted(set(names_of_rules(kit_for(SandboxWorld))) - set(broken_rules))
    return {*broken_rules, *kept[list(CAUGHT_BY).index(adapter) % ONE_IN :: ONE_IN]}


def failing_rules_in(world: type[World], tried: set[str] | None = None) -> set[str]:
    """The rules that fail in this world, of all, or of those that are to be tried."""
    kit = kit_for(world)
    return {name for name in tried or names_of_rules(kit) if fails(kit, name)}


def kit_for(world: type[World]) -> type[ProviderConformance]:
    class Kit(ProviderConformance):
        world_class = world

    return Kit


def fails(kit: type[ProviderConformance], name: str) -> bool:
    try:
        getattr(kit(), name)()
    except (Exception, pytest.fail.Exception):
        return True
    return False


def test_no_broken_adapter_is_forgotten() -> None:
    bases = {broken.Retelling, conduct.Believing, conduct.Knowing, situations.RewritingDisputes, situations.History}
    made = {
        item
        for module in (broken, conduct, situations, stories)
        for item in vars(module).values()
        if isinstance(item, type) and item.__module__ == module.__name__
    }
    assert {item for item in made if issubclass(item, SandboxProvider)} - bases == set(CAUGHT_BY)


def test_every_rule_meant_for_an_adapter_is_a_rule() -> None:
    assert {rule for rules in CAUGHT_BY.values() for rule in rules} <= set(names_of_rules(kit_for(SandboxWorld)))


def test_the_sound_adapter_fails_no_rule() -> None:
    assert failing_rules_in(world_with(SandboxProvider)) == set()


def test_each_rule_is_tried_on_an_adapter_that_keeps_it() -> None:
    tried = {rule for adapter in CAUGHT_BY for rule in rules_to_try(adapter) - set(CAUGHT_BY[adapter])}
    assert tried == set(names_of_rules(kit_for(SandboxWorld)))


@pytest.mark.parametrize("adapter", list(CAUGHT_BY), ids=lambda adapter: adapter.__name__)
def test_a_broken_adapter_fails_the_rule_meant_for_it(adapter: type[SandboxProvider]) -> None:
    assert failing_rules_in(world_with(adapter), rules_to_try(adapter)) == set(CAUGHT_BY[adapter])
