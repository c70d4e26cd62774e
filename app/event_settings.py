"""Settings of what the app's backend is told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from app.domain.event_types import ALL_TYPES, EventType


class EventSettings(BaseModel):
    """Which events are written, and for how long they are kept."""

    model_config = ConfigDict(extra="forbid")

    not_told: frozenset[EventType] = frozenset()
    """Types that the backend does not want. They are never written, and cost nothing."""
    days: int = Field(default=30, ge=1, le=3650)
    """How long events are kept for readers of the feed, and can be sent again."""

    def told(self) -> frozenset[EventType]:
        return ALL_TYPES - self.not_told
