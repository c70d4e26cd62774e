"""What a world tells the kit about bills, where its provider has them (`ReadsBills`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BillDocument:
    """One document of a feed of `ReadsBills.bill_feeds`, as it comes in `Page.files` or from a person."""

    feed: str
    name: str
    content: bytes


class BillHooks:
    """Hooks of `World`. The documents that `Scans.scan` brings are read without any of them."""

    def further_bills(self) -> tuple[BillDocument, ...]:
        """Genuine documents of this account that no feed brings, or not in this world: kinds that only a person can
        bring, older layouts, a day on which nothing happened, a payout, a row of a kind that no table has. Each reads
        without problems. No rule looks at what is in no document."""
        return ()

    def spoilt_bills(self, document: BillDocument) -> Mapping[str, bytes]:
        """This document made wrong, in the provider's own format, by what was done to it: a row removed, a row there
        twice, an amount changed. All else is as it was, so that only its own totals (or a check sum) betray it."""
        raise NotImplementedError("World.spoilt_bills")

    def foreign_bills(self) -> tuple[BillDocument, ...]:
        """Genuine documents of another merchant of the same provider, at least one of each feed whose documents say
        whose they are."""
        raise NotImplementedError("World.foreign_bills")
