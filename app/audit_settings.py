"""Settings of the audit: the keys that seal rows."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, model_validator

from app.domain.seals import Seals

SHORTEST_KEY = 32
"""Characters of a key that seals rows."""


class AuditSettings(BaseModel):
    """The keys that seal rows: nobody who has only the database can write one."""

    model_config = ConfigDict(extra="forbid")

    key: SecretStr | None = None
    former_keys: list[SecretStr] = Field(default_factory=list)  # they sealed earlier rows
    since: AwareDatetime | None = None  # when the first key was set: from then on the audit wants the seal of a key

    @model_validator(mode="after")
    def _whole(self) -> AuditSettings:
        if any(key and len(key.get_secret_value()) < SHORTEST_KEY for key in (self.key, *self.former_keys)):
            raise ValueError(f"a key is shorter than {SHORTEST_KEY} characters")
        if (self.key is None) != (self.since is None):
            raise ValueError("key and since go together: since is the moment when the first key was set")
        return self

    def seals(self) -> Seals:
        key, former = self.key or SecretStr(""), [each.get_secret_value().encode() for each in self.former_keys]
        return Seals(key.get_secret_value().encode(), tuple(former), self.since)
