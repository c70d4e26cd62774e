"""How long and how large a provider's words may be: the one place that decides it.

What is within these limits can be kept and compared by every database that Tillbook runs on, under the provider's very
own name. A fact that is not is never used: the core writes it down as `unusable`, keeps the message, and alarms.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from app.providers.facts import AGREEMENT_KINDS, Fact

LONGEST_REFERENCE = 255
"""Characters of each number and name in a fact: ours, theirs, refund, agreement, our_agreement, account, product,
owner, spares, replaces, occurrence. There are stores whose purchase tokens have 150 and more."""
LONGEST_CURSOR = 1024
"""Characters of `Page.cursor`."""
LARGEST_QUANTITY = 1_000_000
SHARES = 100_000
"""A fact's `share` is in parts per this many."""
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Moments in a fact: aware, and far enough from the ends of the calendar to be reckoned with."""
TERRITORY = re.compile("[A-Z]{2}", re.ASCII)
"""A fact's `storefront`, and the `territory` of a store's report."""
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""What PostgreSQL refuses in text and JSON: NUL, and halves of characters."""


def fits(text: object, longest: int = LONGEST_REFERENCE) -> bool:
    """Whether it is a text that can be kept whole."""
    return isinstance(text, str) and len(text) <= longest and UNSTORABLE.search(text) is None


def is_usable_moment(moment: datetime) -> bool:
    return moment.tzinfo is not None and EARLIEST <= moment < LATEST


def faults_of(fact: Fact) -> tuple[str, ...]:
    """What is beyond the limits, for people; empty if the fact can be used. Quotes nothing of it."""
    ref, faults = fact.ref, []
    texts = (
        ("ours", ref.ours),
        ("theirs", ref.theirs),
        ("refund", ref.refund),
        ("agreement", ref.agreement),
        ("our_agreement", ref.our_agreement),
        ("account", fact.account),
        ("product", fact.product),
        ("next_product", fact.next_product),
        ("owner", fact.owner),
        ("spares", fact.spares),
        ("replaces", fact.replaces),
        ("occurrence", fact.occurrence),
    )
    for name, text in texts:
        if text is not None and not fits(text):
            faults.append(f"{name} is not a text of at most {LONGEST_REFERENCE} storable characters")
    for name, moment in (("at", fact.at), ("period_end", fact.period_end)):
        if moment is not None and not is_usable_moment(moment):
            faults.append(f"{name} is not an aware moment between {EARLIEST.year} and {LATEST.year}")
    if fact.quantity is not None and not 0 < fact.quantity <= LARGEST_QUANTITY:
        faults.append(f"quantity is not between 1 and {LARGEST_QUANTITY}")
    if fact.share is not None and not 0 <= fact.share <= SHARES:
        faults.append(f"share is not between 0 and {SHARES}")
    if fact.storefront is not None and not TERRITORY.fullmatch(fact.storefront):
        faults.append("storefront is not a country of two letters")
    if fact.shared and (fact.kind not in AGREEMENT_KINDS or fact.owner is not None):
        faults.append("shared is told of what is paid, or with an owner")
    return tuple(faults)
