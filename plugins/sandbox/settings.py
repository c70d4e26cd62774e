"""What `[provider_accounts.<name>]` may say for this plugin."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from plugins.sandbox.signing import MIN_SECRET_BYTES

MOST_DAYS = 30
"""Of the window of a charge, and of its notice."""


class SandboxSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+$")]
    """Where the provider is, without a path: `http://127.0.0.1:8090`."""
    merchant: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,32}$")]
    """Our merchant id there; it becomes the account of every fact."""
    secret: SecretStr
    """Shared with the provider, at least 32 bytes: signs what both sides say."""
    currencies: tuple[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], ...] = ("CNY", "USD", "JPY")
    charge_days_before: Annotated[int, Field(ge=0, le=MOST_DAYS)] = 0
    """So many days before it is due a charge under an agreement may be asked for."""
    charge_days_after: Annotated[int, Field(ge=1, le=MOST_DAYS)] = 3
    """So many days after it was due attempts still make sense."""
    notice_days: Annotated[int, Field(ge=0, le=MOST_DAYS)] = 0
    """So many days before its charge the payer must have been told, where the merchant's plan demands that."""

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        # An empty secret would make every signature one that anybody can compute.
        if len(secret.get_secret_value().strip().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"at least {MIN_SECRET_BYTES} bytes are needed")
        return secret

    @field_validator("currencies")
    @classmethod
    def _at_least_one(cls, currencies: tuple[str, ...]) -> tuple[str, ...]:
        if not currencies:
            raise ValueError("at least one currency is needed")
        return currencies
