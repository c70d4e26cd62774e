"""What a world declares takes rules out of the kit, visibly, and only if it is true."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.providers import (
    Declined,
    Forged,
    Intent,
    KeyStore,
    Message,
    Plugin,
    Received,
    Ref,
    StoredKey,
    Tools,
    Unknown,
)
from app.providers.testing.conformance import Document, ProviderConformance, Sample, Traits, World
from app.providers.testing.conformance.agreement_rules import AgreementRules
from app.providers.testing.conformance.bill_rules import BillRules
from app.providers.testing.conformance.charge_rules import ChargeRules
from app.providers.testing.conformance.kit import names_of_rules
from app.providers.testing.doubles import MemoryKeys
from plugins.sandbox.provider import SandboxProvider
from plugins.sandbox.settings import SandboxSettings
from tests.conformance.test_the_kit_catches import failing_rules_in, kit_for
from tests.plugins.sandbox.world import SandboxWorld

BARE = Traits(
    verbs=(),
    freshness=None,
    names_our_number=False,
    tells_money=False,
    signs_replies=False,
    has_status_words=False,
)


ABOUT_AGREEMENTS, ABOUT_BILLS = (
    {name for group in groups for name in vars(group) if name.startswith("test_")}
    for groups in ((AgreementRules, ChargeRules), (BillRules,))
)
ABOUT_AGREEMENTS |= {"test_an_agreement_is_told_at_its_own_times"}


class KeyedSandbox(SandboxProvider):
    """Reads no message before it has the platform's key, which `refresh` fetches."""

    refresh_seconds = 3600

    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        super().__init__(settings, tools)
        self._keys = tools.keys

    def refresh(self) -> None:
        self._client.call("GET", "/v1/payments/1")
        self._keys.put(StoredKey("platform", b"a public key"))

    def receive(self, message: Message) -> Received:
        if self._keys.get("platform") is None:
            raise Forged("signed with a key that is not here yet")
        return super().receive(message)


class KeepsWhatALiarSays(KeyedSandbox):
    def refresh(self) -> None:
        with contextlib.suppress(Unknown):
            super().refresh()
        self._keys.put(StoredKey("platform", b"a public key"))


class RefreshesNothing(KeyedSandbox):
    def refresh(self) -> None:
        self._client.call("GET", "/v1/payments/1")


def keyed_world(adapter: type[KeyedSandbox]) -> type[World]:
    class KeyedWorld(SandboxWorld):
        plugin = Plugin("sandbox", SandboxSettings, adapter)
        traits = replace(SandboxWorld.traits, verbs=("capture", "refund", "cancel", "scan", "refresh"))

        def keys(self) -> KeyStore:
            keys = MemoryKeys()
            keys.put(StoredKey("platform", b"a public key"))
            return keys

    return KeyedWorld


def test_a_sound_refresh_keeps_every_rule() -> None:
    assert failing_rules_in(keyed_world(KeyedSandbox)) == set()


@pytest.mark.parametrize(
    ("adapter", "rule"),
    [
        (KeepsWhatALiarSays, "test_refresh_believes_no_liar"),
        (RefreshesNothing, "test_refresh_brings_the_keys"),
    ],
)
def test_a_broken_refresh_fails_its_rule(adapter: type[KeyedSandbox], rule: str) -> None:
    assert failing_rules_in(keyed_world(adapter)) == {rule}


class Delivering(SandboxProvider):
    """Tells of a delivery by closing the payment, which a paid one takes and stays as it is."""

    def fulfil(self, ref: Ref, report: Mapping[str, Any]) -> None:
        self._client.call("POST", f"/v1/payments/{ref.ours}/close").document_or_raise()


class DeliversNothing(Delivering):
    def fulfil(self, ref: Ref, report: Mapping[str, Any]) -> None:
        self.query(ref)


class GivesUpADelivery(Delivering):
    """The core tells a declined delivery never again."""

    def fulfil(self, ref: Ref, report: Mapping[str, Any]) -> None:
        try:
            super().fulfil(ref, report)
        except Unknown as error:
            raise Declined("not delivered") from error


class ChokesOnReports(Delivering):
    def fulfil(self, ref: Ref, report: Mapping[str, Any]) -> None:
        if report["about"] != "delivered":
            raise Unknown(f"no report about {report['about']}")
        super().fulfil(ref, report)


def delivering_world(adapter: type[Delivering]) -> type[World]:
    class DeliveringWorld(SandboxWorld):
        plugin = Plugin("sandbox", SandboxSettings, adapter)
        traits = replace(SandboxWorld.traits, verbs=("capture", "refund", "cancel", "scan", "fulfil"))

        def delivered(self, intent: Intent) -> bool:
            return any(url.endswith(f"/{intent.ref.ours}/close") for _, url, _ in self._http.requests)

    return DeliveringWorld


def test_a_sound_delivery_keeps_every_rule() -> None:
    assert failing_rules_in(delivering_world(Delivering)) == set()


@pytest.mark.parametrize(
    ("adapter", "rule"),
    [
        (DeliversNothing, "test_a_delivery_reaches_the_provider"),
        (ChokesOnReports, "test_each_report_is_taken_or_declined"),
    ],
)
def test_a_broken_delivery_fails_its_rule(adapter: type[Delivering], rule: str) -> None:
    assert failing_rules_in(delivering_world(adapter)) == {rule}


def test_a_delivery_that_is_given_up_fails_the_rules_for_calls() -> None:
    assert failing_rules_in(delivering_world(GivesUpADelivery)) == {
        "test_a_lost_or_spoilt_answer_leaves_it_unknown",
        "test_an_error_that_nobody_knows_leaves_it_unknown",
    }


class Naming(SandboxProvider):
    """Whose notifications prove nothing: they only name what they are about."""

    def receive(self, message: Message) -> Received:
        read = super().receive(message)
        return replace(read, facts=(), asks=tuple(fact.ref for fact in read.facts))


class NamingAndProving(Naming):
    def receive(self, message: Message) -> Received:
        return replace(super().receive(message), facts=SandboxProvider.receive(self, message).facts)


def naming_world(adapter: type[Naming]) -> type[World]:
    class NamingWorld(SandboxWorld):
        plugin = Plugin("sandbox", SandboxSettings, adapter)
        traits = replace(SandboxWorld.traits, messages_prove=False)

        def samples(self) -> Mapping[str, Sample]:
            return {name: replace(sample, kinds=()) for name, sample in super().samples().items()}

        def document(self) -> Document:
            return replace(super().document(), status=())

    return NamingWorld


def test_messages_that_only_name_a_payment_keep_every_rule() -> None:
    assert failing_rules_in(naming_world(Naming)) == set()


def test_messages_that_prove_something_after_all_are_caught() -> None:
    assert failing_rules_in(naming_world(NamingAndProving)) == {
        "test_the_declared_traits_are_true",
        "test_a_genuine_message_says_what_happened",
        "test_an_odd_document_does_no_harm",
        "test_the_wall_clock_does_not_matter",
    }


def test_rules_that_cannot_apply_are_not_collected() -> None:
    class BareWorld(SandboxWorld):
        traits = BARE

    gone = set(names_of_rules(ProviderConformance)) - set(names_of_rules(kit_for(BareWorld)))
    assert gone >= ABOUT_AGREEMENTS | ABOUT_BILLS
    assert gone - ABOUT_AGREEMENTS - ABOUT_BILLS == {
        "test_a_closed_payment_stays_closed",
        "test_a_liar_is_not_believed",
        "test_a_delivery_reaches_the_provider",
        "test_each_report_is_taken_or_declined",
        "test_a_refund_by_the_provider_is_told_alike_on_every_road",
        "test_a_refund_has_one_key_on_every_road",
        "test_a_payment_whose_time_is_over_is_shut",
        "test_a_refund_is_told_at_its_own_time",
        "test_an_answer_to_another_question_says_nothing_of_this_one",
        "test_a_refund_that_fails_afterwards_is_told",
        "test_a_refund_that_is_only_accepted_is_pending",
        "test_a_scan_tells_each_day_of_its_window",
        "test_an_unknown_word_for_a_refund_decides_nothing",
        "test_each_currency_is_refunded_as_it_was_paid",
        "test_a_refund_repeated_days_later_pays_once",
        "test_a_repeated_refund_pays_once",
        "test_a_scan_names_payments_by_the_same_key",
        "test_a_stale_message_is_refused",
        "test_a_message_in_a_change_of_keys_is_read",
        "test_a_proof_is_one_in_any_format",
        "test_an_inquiry_is_no_refund_in_the_history",
        "test_an_odd_row_stops_no_page",
        "test_an_unknown_status_word_in_an_answer_means_pending",
        "test_an_unknown_status_word_means_pending",
        "test_closing_a_paid_payment_says_paid",
        "test_closing_an_unknown_payment_closes_nothing",
        "test_each_currency_is_paid_as_it_was_ordered",
        "test_more_than_was_paid_is_declined",
        "test_refresh_believes_no_liar",
        "test_refresh_brings_the_keys",
        "test_two_refunds_give_back_both",
    }


@pytest.mark.parametrize(
    "lie",
    [
        {"freshness": None},
        {"names_our_number": False},
        {"messages_prove": False},
        {"tells_money": False},
        {"has_status_words": False},
        {"signs_replies": False},
        {"verbs": ("refund", "cancel")},
        {"verbs": ("refund", "cancel", "scan", "fulfil")},
    ],
    ids=str,
)
def test_a_false_declaration_is_caught(lie: dict[str, Any]) -> None:
    class LyingWorld(SandboxWorld):
        traits = replace(SandboxWorld.traits, **lie)

    with pytest.raises(AssertionError):
        kit_for(LyingWorld)().test_the_declared_traits_are_true()


@pytest.mark.parametrize(
    "lie",
    [
        {"freshness": timedelta(days=1)},
        {"freshness_ahead": timedelta(days=1)},
        {"freshness_ahead": timedelta(0)},
    ],
    ids=str,
)
def test_a_freshness_that_is_not_so_is_caught(lie: dict[str, Any]) -> None:
    class LyingWorld(SandboxWorld):
        traits = replace(SandboxWorld.traits, **lie)

    with pytest.raises(AssertionError):
        kit_for(LyingWorld)().test_a_stale_message_is_refused()
