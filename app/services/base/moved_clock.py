"""A clock that the demonstration and tests move forward, for all processes of an installation at once.

Months of an agreement pass in a minute so. The file is read each time: who moves the clock is another process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

LONGEST_OFFSET_SECONDS = 20 * 366 * 24 * 3600
"""Twenty years: what is further ahead is a mistake."""


@dataclass(frozen=True, slots=True)
class MovedClock:
    """The machine's time, and so many seconds more as the file says; none while there is no such file."""

    file: Path

    @classmethod
    def reading(cls, file: Path) -> MovedClock:
        """The clock of that file. Raises ValueError if the file says no number of seconds."""
        clock = cls(file)
        clock.now()
        return clock

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._offset())

    def move_to(self, moment: datetime) -> None:
        """Let the time be that moment for everybody who reads the file. Time does not go backwards."""
        offset = (moment - datetime.now(UTC)).total_seconds()
        self._write(max(offset, self._offset()))

    def _write(self, seconds: float) -> None:
        written = self.file.with_name(f"{self.file.name}.new")
        written.write_text(f"{seconds:.3f}", encoding="ascii")
        os.replace(written, self.file)  # a reader finds the old number or the new one, and no half of it

    def _offset(self) -> float:
        try:
            text = self.file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return 0.0
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"{self.file} cannot be read") from None
        try:
            seconds = float(text)
        except ValueError:
            raise ValueError(f"{self.file} holds no number of seconds") from None
        if not 0 <= seconds <= LONGEST_OFFSET_SECONDS:
            raise ValueError(f"{self.file} must hold 0 to {LONGEST_OFFSET_SECONDS} seconds")
        return seconds
