"""What a run says when our books and the provider's disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class History:
    """What one user did and met, for whoever looks into a disagreement."""

    lines: list[str] = field(default_factory=list)

    def note(self, at: datetime, what: str) -> None:
        self.lines.append(f"{at:%Y-%m-%d %H:%M:%S} {what}")


def counted(happened: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(happened.items()))


class Disagreement(AssertionError):
    def __init__(self, who: str, lines: Sequence[str]) -> None:
        super().__init__("\n".join([who, *lines]))
