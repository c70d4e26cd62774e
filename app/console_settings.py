"""Settings of the console: the table `[console]`."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

SHORTEST_SESSION_SECRET = 32
"""Characters of a secret that signs sessions."""


class ConsoleSettings(BaseModel):
    """The operators' pages. Without a secret there are none."""

    model_config = ConfigDict(extra="forbid")

    secret_key: SecretStr | None = None
    """Signs sessions, and keeps the operators' code secrets unreadable for whoever has only the database."""
    former_secret_keys: list[SecretStr] = Field(default_factory=list, max_length=8)
    """They still count, while `secret_key` is replaced."""
    idle_minutes: int = Field(default=30, ge=1, le=24 * 60)
    """After so long without a page, an operator signs in again."""
    session_hours: int = Field(default=12, ge=1, le=24)
    """After so long, an operator signs in again in any case."""

    @model_validator(mode="after")
    def _long_enough(self) -> ConsoleSettings:
        if any(len(each) < SHORTEST_SESSION_SECRET for each in self.secrets):
            raise ValueError(f"a secret key is shorter than {SHORTEST_SESSION_SECRET} characters")
        if self.former_secret_keys and self.secret_key is None:
            raise ValueError("former_secret_keys: only beside a secret_key")
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret keys, the one that counts first; none: there is no console."""
        if self.secret_key is None:
            return ()
        return tuple(key.get_secret_value() for key in (self.secret_key, *self.former_secret_keys))

    @property
    def idle(self) -> timedelta:
        return timedelta(minutes=self.idle_minutes)

    @property
    def longest_session(self) -> timedelta:
        return timedelta(hours=self.session_hours)
