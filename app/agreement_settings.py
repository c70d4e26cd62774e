"""The settings of agreements: the table `[agreements]`."""

from __future__ import annotations

from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.domain.charging import MOST_ATTEMPTS, ChargeAfterEnd, ChargingRules, WhenUnpaid


class AgreementSettings(BaseModel):
    """When and how often users are charged under the agreements that they signed."""

    model_config = ConfigDict(extra="forbid")

    charge_hour: int = Field(default=9, ge=0, le=23)
    """Of the user's day."""
    zone: str = "UTC"
    """Of users for whom the request names no other, `Asia/Shanghai`."""
    attempts: int = Field(default=4, ge=1, le=MOST_ATTEMPTS)
    """Charges of one period; which days they are on depends on why the one before was refused."""
    charges_per_day: int = Field(default=5, ge=1, le=100)
    """Of one user; further ones wait for the next day."""
    when_unpaid: WhenUnpaid = WhenUnpaid.END
    """What becomes of an agreement whose period stays unpaid."""
    signing_minutes: int = Field(default=60, ge=5, le=24 * 60)
    """How long an agreement can be signed."""
    charge_after_end: ChargeAfterEnd = ChargeAfterEnd.CREDIT
    """What becomes of a charge that was under way when its agreement ended, and succeeds all the same."""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError("not a time zone that this machine knows")
        return zone

    def rules(self) -> ChargingRules:
        return ChargingRules(
            hour=self.charge_hour,
            attempts=self.attempts,
            per_day=self.charges_per_day,
            when_unpaid=self.when_unpaid,
            zone=self.zone,
            signing_minutes=self.signing_minutes,
            after_end=self.charge_after_end,
        )
