"""The rules about bills fail for each adapter that reads bills wrongly, and only those that its mistake breaks."""

from __future__ import annotations

import pytest

from app.providers import Plugin
from app.providers.testing.conformance import World
from app.providers.testing.conformance.bill_rules import BillRules
from app.providers.testing.conformance.kit import names_of_rules
from plugins.sandbox.bills import BillingSandbox
from plugins.sandbox.settings import SandboxSettings
from tests.conformance import broken_bills as broken
from tests.conformance.test_the_kit_catches import failing_rules_in, kit_for
from tests.plugins.sandbox.billing_world import BillingWorld
from tests.plugins.sandbox.world import SandboxWorld

RULES = {name for name in vars(BillRules) if name.startswith("test_")}
READ, ALIKE, NO_BILL = (
    "test_every_bill_is_read",
    "test_a_bill_is_read_alike_each_time",
    "test_what_is_no_bill_is_not_read",
)
SUMS, FOREIGN = "test_a_bill_that_does_not_add_up_is_not_read", "test_another_merchants_bill_is_not_ours"
AGREES, BALANCE = "test_lines_agree_with_facts", "test_the_balance_follows_the_lines"
DISPUTE = "test_what_a_dispute_took_is_a_refund_in_the_bills"
PRIVATE, NO_IO = "test_no_private_word_is_in_a_line", "test_reading_a_bill_does_no_io"

CAUGHT_BY: dict[type[BillingSandbox], set[str]] = {
    broken.AddsNothingUp: {SUMS, NO_BILL},
    broken.NeedsNoFoot: {NO_BILL, SUMS},
    broken.LetsParserErrorsThrough: {NO_BILL},
    broken.TrustsTheSender: {NO_BILL},
    broken.IsEverybodys: {FOREIGN},
    broken.TakesFundsForTrades: {READ},
    broken.CallsANewWordAProblem: {READ},
    broken.CountsInItsOwnZone: {READ},
    broken.DeclaresAnotherBill: {READ},
    broken.AsksForTheRest: {NO_IO},
    broken.ThinksLong: {NO_BILL},
    broken.NumbersLinesAnew: {ALIKE},
    broken.KeysOfThePayment: {ALIKE},
    broken.LeavesFeesOut: {BALANCE},
    broken.FeesComeIn: {BALANCE, READ},
    broken.TellsAnotherFee: {AGREES},
    broken.DisputesAreOther: {DISPUTE},
    broken.TellsYuan: {AGREES, BALANCE, DISPUTE},
    broken.RefundsWithoutNumber: {AGREES},
    broken.SwapsTheNumbers: {READ},
    broken.KeepsThePayer: {PRIVATE},
    broken.KeepsWholeRemarks: {READ},
    broken.FactsWithoutLines: {AGREES},
}


def world_with(adapter: type[BillingSandbox]) -> type[World]:
    class ItsWorld(BillingWorld):
        plugin = Plugin("sandbox", SandboxSettings, adapter)

    return ItsWorld


def test_no_broken_adapter_is_forgotten() -> None:
    made = {item for item in vars(broken).values() if isinstance(item, type) and item.__module__ == broken.__name__}
    assert {item for item in made if issubclass(item, BillingSandbox)} - {broken.Rewriting} == set(CAUGHT_BY)


def test_the_sound_adapter_breaks_no_rule_and_each_rule_is_broken_by_one() -> None:
    assert failing_rules_in(world_with(BillingSandbox), RULES) == set()
    assert set.union(*CAUGHT_BY.values()) == RULES


def test_rules_about_bills_are_for_providers_that_read_them() -> None:
    assert not RULES & set(names_of_rules(kit_for(SandboxWorld)))
    assert set(names_of_rules(kit_for(BillingWorld))) >= RULES


@pytest.mark.parametrize("adapter", list(CAUGHT_BY), ids=lambda adapter: adapter.__name__)
def test_an_adapter_that_reads_bills_wrongly_breaks_its_rules(adapter: type[BillingSandbox]) -> None:
    assert failing_rules_in(world_with(adapter), RULES) == CAUGHT_BY[adapter]
