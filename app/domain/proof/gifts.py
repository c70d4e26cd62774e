"""What the rows of gifts must say: a part is a piece of its lot, and `transit` has what is under way. No database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.domain.gifts import GiftPart
from app.domain.ledger import Lot

Heading = tuple[str, str]
"""Asset and environment."""


def is_piece_of(part: GiftPart, lot: Lot, granted: int) -> bool:
    """Whether the part bears all that the lot says, and its share of the value, but for one unit of rounding."""
    own = replace(part.lot, value_minor=0, currency="") == replace(lot, value_minor=0, currency="")
    currency = part.lot.currency == (lot.currency if part.lot.value_minor else "")
    share = abs(part.lot.value_minor * granted - lot.value_minor * part.amount)
    return own and currency and share <= granted


@dataclass(frozen=True, slots=True)
class TransitSums:
    """What passed through `transit` in one slot, by what the rows there say."""

    left: Counter[Heading] = field(default_factory=Counter)
    """Gifts that left givers here and did not come back, and what recalls took from receivers here."""
    came: Counter[Heading] = field(default_factory=Counter)
    """Gifts that came in here, and what buyers here are owed, or have got, by recalls."""

    def differences(self, legs: Mapping[Heading, int]) -> list[str]:
        """Where the account's legs come to something else."""
        headings = sorted({*self.left, *self.came, *legs})
        return [
            f"transit ({asset} {environment}) is {legs.get((asset, environment), 0)}, derived {derived}"
            for asset, environment in headings
            if (derived := self.left[asset, environment] - self.came[asset, environment])
            != legs.get((asset, environment), 0)
        ]
