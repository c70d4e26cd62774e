"""Every notification type and subtype of App Store Server Notifications V2 (2.23), and what it makes us state.

An event does not imply a new transaction: a billing problem repeats the last one. So the facts always come from the
nested transaction; the row only says which of its statements this event is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Meaning(StrEnum):
    PURCHASE = "purchase"
    """The transaction was paid (and perhaps given back since)."""
    SUBSCRIPTION_START = "subscription_start"
    """Paid, and the subscription is in force."""
    REDEEMED = "redeemed"
    """Paid, perhaps before, and something about the renewal has changed."""
    UPGRADE = "upgrade"
    """Paid, in the place of a running period, whose unused part Apple gives back without another word."""
    REFUND = "refund"
    """The transaction shows how much was given back."""
    REFUND_UNDONE = "refund_undone"
    REFUND_ASKED = "refund_asked"
    REFUND_REFUSED = "refund_refused"
    REVOKED = "revoked"
    """Access was lost: given back, and if it is a subscription, over."""
    ENDED = "ended"
    PAST_DUE = "past_due"
    """The next period could not be collected; the store goes on trying."""
    STANDING = "standing"
    """In force, and something about its renewal or its end has changed, without a payment."""
    NOTHING = "nothing"
    """True, known, and without an effect on money or coins."""
    UNKNOWN = "unknown"
    """No row: stored for a person, and answered like the rest."""


_M = Meaning
ROWS: Mapping[tuple[str, str], Meaning] = MappingProxyType(
    {
        # Consumables, non-consumables, non-renewing subscriptions. In production since 2025-05-27.
        ("ONE_TIME_CHARGE", ""): _M.PURCHASE,
        # Subscriptions.
        ("SUBSCRIBED", "INITIAL_BUY"): _M.SUBSCRIPTION_START,
        ("SUBSCRIBED", "RESUBSCRIBE"): _M.SUBSCRIPTION_START,
        ("DID_RENEW", ""): _M.PURCHASE,
        ("DID_RENEW", "BILLING_RECOVERY"): _M.PURCHASE,
        # An upgrade, or a crossgrade of equal duration, takes effect at once; a downgrade, or a crossgrade of another
        # duration, at the next renewal.
        ("DID_CHANGE_RENEWAL_PREF", "UPGRADE"): _M.UPGRADE,
        ("DID_CHANGE_RENEWAL_PREF", "DOWNGRADE"): _M.STANDING,
        ("DID_CHANGE_RENEWAL_PREF", ""): _M.STANDING,
        # Whichever it is, the transaction is the one in force; a period told before is a fact told before.
        ("OFFER_REDEEMED", "UPGRADE"): _M.UPGRADE,
        ("OFFER_REDEEMED", "DOWNGRADE"): _M.REDEEMED,
        ("OFFER_REDEEMED", ""): _M.REDEEMED,
        # Repeats the last transaction's ids although nothing was paid: service, and no coins.
        ("DID_FAIL_TO_RENEW", "GRACE_PERIOD"): _M.PAST_DUE,
        ("DID_FAIL_TO_RENEW", ""): _M.PAST_DUE,
        # Billing is tried for up to 60 days more, so the subscription is not over: EXPIRED says so.
        ("GRACE_PERIOD_EXPIRED", ""): _M.PAST_DUE,
        ("EXPIRED", "VOLUNTARY"): _M.ENDED,
        ("EXPIRED", "BILLING_RETRY"): _M.ENDED,
        ("EXPIRED", "PRICE_INCREASE"): _M.ENDED,
        ("EXPIRED", "PRODUCT_NOT_FOR_SALE"): _M.ENDED,
        ("EXPIRED", ""): _M.ENDED,
        ("DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_ENABLED"): _M.STANDING,
        # Apple may set it too, after a refund request.
        ("DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_DISABLED"): _M.STANDING,
        # A later end without a payment.
        ("RENEWAL_EXTENDED", ""): _M.STANDING,
        ("RENEWAL_EXTENSION", "SUMMARY"): _M.NOTHING,
        ("RENEWAL_EXTENSION", "FAILURE"): _M.NOTHING,
        ("PRICE_INCREASE", "PENDING"): _M.STANDING,
        ("PRICE_INCREASE", "ACCEPTED"): _M.STANDING,
        # Refunds. REFUND may follow an earlier REFUND_DECLINED.
        ("REFUND", ""): _M.REFUND,
        ("REFUND_REVERSED", ""): _M.REFUND_UNDONE,
        ("REFUND_DECLINED", ""): _M.REFUND_REFUSED,
        ("CONSUMPTION_REQUEST", ""): _M.REFUND_ASKED,
        # A family member lost a shared purchase. Spelled so, though its documents speak of "revoked".
        ("REVOKE", ""): _M.REVOKED,
        # External purchases: only with their own entitlement, and not through the store's money.
        ("EXTERNAL_PURCHASE_TOKEN", "CREATED"): _M.NOTHING,
        ("EXTERNAL_PURCHASE_TOKEN", "UNREPORTED"): _M.NOTHING,
        ("EXTERNAL_PURCHASE_TOKEN", "ACTIVE_TOKEN_REMINDER"): _M.NOTHING,
        # A parent withdrew consent for a child's use of the app (2025-11-04): about the app, not about a purchase.
        ("RESCIND_CONSENT", ""): _M.NOTHING,
        # Advanced Commerce. The change log spells the second of them MIGRATE.
        ("METADATA_UPDATE", ""): _M.NOTHING,
        ("MIGRATION", ""): _M.NOTHING,
        ("MIGRATE", ""): _M.NOTHING,
        ("PRICE_CHANGE", ""): _M.NOTHING,
        # Group purchases (2.23).
        ("UNCLAIM_SEATS", ""): _M.NOTHING,
        ("TEST", ""): _M.NOTHING,
    }
)
_MEANINGS_OF_TYPE: Mapping[str, frozenset[Meaning]] = {
    name: frozenset(meaning for (other, _), meaning in ROWS.items() if other == name) for name, _ in ROWS
}


def meaning_of(notification_type: str, subtype: str) -> Meaning:
    """The row; for a subtype of tomorrow, what all rows of its type agree on; else UNKNOWN."""
    row = ROWS.get((notification_type, subtype))
    if row is not None:
        return row
    agreed = _MEANINGS_OF_TYPE.get(notification_type, frozenset())
    return next(iter(agreed)) if len(agreed) == 1 else Meaning.UNKNOWN
