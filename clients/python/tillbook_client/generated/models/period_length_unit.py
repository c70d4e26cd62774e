from enum import StrEnum


class PeriodLengthUnit(StrEnum):
    DAY = "day"
    MONTH = "month"

    def __str__(self) -> str:
        return str(self.value)
