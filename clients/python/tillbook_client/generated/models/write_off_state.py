from enum import StrEnum


class WriteOffState(StrEnum):
    GONE = "gone"
    IN_WORK = "in_work"
    MATCHED = "matched"
    OPEN = "open"
    RESOLVED = "resolved"
    WRITTEN_OFF = "written_off"

    def __str__(self) -> str:
        return str(self.value)
