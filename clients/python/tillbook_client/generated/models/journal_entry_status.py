from enum import StrEnum


class JournalEntryStatus(StrEnum):
    POSTED = "posted"
    PROPOSED = "proposed"
    WITHDRAWN = "withdrawn"

    def __str__(self) -> str:
        return str(self.value)
