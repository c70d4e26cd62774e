"""Every notification type and subtype has its row, and what has none is said to be unknown."""

from __future__ import annotations

import pytest
from appstoreserverlibrary.models.NotificationTypeV2 import NotificationTypeV2
from appstoreserverlibrary.models.Subtype import Subtype

from plugins.apple.mapping import ROWS, Meaning, meaning_of

# What makes coins move, written down a second time: a row changed by mistake shows here.
MOVING = {
    ("ONE_TIME_CHARGE", ""): Meaning.PURCHASE,
    ("SUBSCRIBED", "INITIAL_BUY"): Meaning.SUBSCRIPTION_START,
    ("SUBSCRIBED", "RESUBSCRIBE"): Meaning.SUBSCRIPTION_START,
    ("DID_RENEW", ""): Meaning.PURCHASE,
    ("DID_RENEW", "BILLING_RECOVERY"): Meaning.PURCHASE,
    ("DID_CHANGE_RENEWAL_PREF", "UPGRADE"): Meaning.UPGRADE,
    ("OFFER_REDEEMED", ""): Meaning.REDEEMED,
    ("OFFER_REDEEMED", "UPGRADE"): Meaning.UPGRADE,
    ("OFFER_REDEEMED", "DOWNGRADE"): Meaning.REDEEMED,
    ("REFUND", ""): Meaning.REFUND,
    ("REFUND_REVERSED", ""): Meaning.REFUND_UNDONE,
    ("REVOKE", ""): Meaning.REVOKED,
}


@pytest.mark.parametrize("known", list(NotificationTypeV2))
def test_every_type_that_apples_library_knows_has_a_row(known: NotificationTypeV2) -> None:
    assert any(name == known.value for name, _ in ROWS)


@pytest.mark.parametrize("known", list(Subtype))
def test_every_subtype_that_apples_library_knows_has_a_row(known: Subtype) -> None:
    assert any(subtype == known.value for _, subtype in ROWS)


def test_only_these_rows_move_coins() -> None:
    quiet = {
        Meaning.NOTHING,
        Meaning.UNKNOWN,
        Meaning.ENDED,
        Meaning.PAST_DUE,
        Meaning.STANDING,
        Meaning.REFUND_ASKED,
        Meaning.REFUND_REFUSED,
    }
    assert {row: meaning for row, meaning in ROWS.items() if meaning not in quiet} == MOVING


@pytest.mark.parametrize("spelling", ["REVOKED", "revoke", "", "REFUND ", "SOLD_TO_THE_MOON"])
def test_a_type_of_tomorrow_is_unknown(spelling: str) -> None:
    assert meaning_of(spelling, "") is Meaning.UNKNOWN


def test_a_subtype_of_tomorrow_means_what_all_its_type_means() -> None:
    assert meaning_of("DID_RENEW", "BY_CARRIER_PIGEON") is Meaning.PURCHASE
    assert meaning_of("DID_FAIL_TO_RENEW", "IN_THE_RAIN") is Meaning.PAST_DUE
    assert meaning_of("EXPIRED", "MOON_PHASE") is Meaning.ENDED
    assert meaning_of("DID_CHANGE_RENEWAL_PREF", "SIDEGRADE") is Meaning.UNKNOWN
