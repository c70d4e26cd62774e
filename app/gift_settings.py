"""The settings of gifts: the table `[gifts]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.domain.gifts import GiftClawback, GiftLimit, GiftRules

MostCoins = Annotated[int, Field(ge=0, le=2**63 - 1)]


class GiftLimitSettings(BaseModel):
    """The most of one asset, for one gift and for a day of the ledger's zone; not given: no limit."""

    model_config = ConfigDict(extra="forbid")

    gift: MostCoins | None = None
    sent_per_day: MostCoins | None = None
    received_per_day: MostCoins | None = None


class GiftSettings(BaseModel):
    """Whether and how much users may give to each other, and what a refund does about given coins."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = False
    by_users: bool = False
    """Whether the app's clients may give with their user's own token; the backend may in any case."""
    paid: bool = True
    """False: only bonus coins may be given."""
    refundable: bool = True
    """False: a purchase of which coins were given away is refused a refund that the backend asks for."""
    clawback: GiftClawback = GiftClawback.RECEIVER_FIRST
    limits: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")], GiftLimitSettings] = Field(
        default_factory=dict
    )

    def rules(self) -> GiftRules:
        limits = {
            asset: GiftLimit(limit.gift, limit.sent_per_day, limit.received_per_day)
            for asset, limit in self.limits.items()
        }
        return GiftRules(self.enabled, self.by_users, self.paid, self.refundable, self.clawback, limits)
