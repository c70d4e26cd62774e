"""The map of the slots, in each database that holds some: whoever has another map must not write there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json


class SlotMapRow(Base):
    """One row in each database."""

    __tablename__ = "slot_map"

    id: Mapped[int] = mapped_column(Big, primary_key=True)
    name: Mapped[str] = mapped_column(String(32))
    """Of this database."""
    version: Mapped[int] = mapped_column(Integer)
    """Rises with each change of the map."""
    document: Mapped[dict[str, Any]] = mapped_column(Json)
    """The map of all databases (`domain.slot_map`)."""

    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("version > 0", name="version"),
    )


SLOT_MAP = Base.metadata.tables["slot_map"]
