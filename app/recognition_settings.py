"""How the money of unspent coins becomes revenue: part of the table `[finance]`."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.domain.recognition import Allocation, RecognitionRules

Sku = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ExpectedBreakage = Annotated[Decimal, Field(ge=0, lt=1, max_digits=7, decimal_places=6)]


class RecognitionSettings(BaseModel):
    """How the price of a purchase is spread over its coins, and which part of a product's coins will never be used, as
    history shows: for that product breakage is then recognised in proportion to use."""

    model_config = ConfigDict(extra="forbid")

    allocation: Allocation = Allocation.PAID
    expected_breakage: dict[Sku, ExpectedBreakage] = Field(default_factory=dict)

    def recognition(self) -> RecognitionRules:
        expected = {product: Fraction(part) for product, part in self.expected_breakage.items() if part}
        return RecognitionRules(self.allocation, expected)
