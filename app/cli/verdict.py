"""One line of `tillbook check`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    OK = "ok"
    WARNING = "warning"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """What was checked, and how it is."""

    verdict: Verdict
    text: str
