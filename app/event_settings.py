"""Settings of what the app's backend is told, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from app.domain.endpoints import MOST_ENDPOINTS, MOST_SECRETS, DeclaredEndpoint, PushRules, checked_url
from app.domain.event_types import ALL_TYPES, EventType
from app.domain.webhook_signatures import secret_bytes


class EndpointSettings(BaseModel):
    """One place where events are sent. The settings hold its secrets, and only the settings change it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    url: str
    types: frozenset[EventType] = frozenset()
    """Types that are sent there; empty: all."""
    secrets: Annotated[list[SecretStr], Field(min_length=1, max_length=MOST_SECRETS)]
    """Every message is signed with each of them, so a receiver may use the old or the new one while you replace it."""

    @field_validator("secrets")
    @classmethod
    def _secrets(cls, secrets: list[SecretStr]) -> list[SecretStr]:
        for secret in secrets:
            secret_bytes(secret.get_secret_value())
        return secrets


class EventSettings(BaseModel):
    """Which events are written, how long they are kept, and where they are sent."""

    model_config = ConfigDict(extra="forbid")

    not_told: frozenset[EventType] = frozenset()
    """Types that the backend does not want. They are never written, and cost nothing."""
    days: int = Field(default=30, ge=1, le=3650)
    """How long events are kept for readers of the feed, and can be sent again."""
    endpoints: Annotated[list[EndpointSettings], Field(max_length=MOST_ENDPOINTS)] = Field(default_factory=list)
    allow_private_endpoints: bool = False
    """Endpoints may lie in private networks and use plain http."""
    ca_file: str = ""
    """Authorities whose certificates endpoints show, in place of the public ones; a file in PEM."""

    @field_validator("not_told")
    @classmethod
    def _asked_for(cls, types: frozenset[EventType]) -> frozenset[EventType]:
        wishes = sorted(types & {EventType.FULFILMENT_ORDERED, EventType.FULFILMENT_TAKE_BACK})
        if wishes:
            raise ValueError(f"{', '.join(wishes)}: the backend is asked by these events, and by nothing else")
        return types

    @field_validator("ca_file")
    @classmethod
    def _there(cls, path: str) -> str:
        if path and not Path(path).is_file():
            raise ValueError("there is no such file")
        return path

    @model_validator(mode="after")
    def _whole(self) -> EventSettings:
        names = [endpoint.name for endpoint in self.endpoints]
        if len(set(names)) < len(names):
            raise ValueError("endpoints: two have one name")
        for endpoint in self.endpoints:
            try:
                checked_url(endpoint.url, allow_private=self.allow_private_endpoints)
            except ValueError as error:
                raise ValueError(f"endpoints: the url of {endpoint.name}: {error}") from None
        return self

    def told(self) -> frozenset[EventType]:
        return ALL_TYPES - self.not_told

    def push(self) -> PushRules:
        declared = {
            each.name: DeclaredEndpoint(
                each.name, each.url, each.types, tuple(secret.get_secret_value() for secret in each.secrets)
            )
            for each in self.endpoints
        }
        return PushRules(declared, self.allow_private_endpoints, self.ca_file)
