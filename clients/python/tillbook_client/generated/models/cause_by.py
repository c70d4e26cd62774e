from enum import StrEnum


class CauseBy(StrEnum):
    CALLER = "caller"
    FACT = "fact"
    RULE = "rule"

    def __str__(self) -> str:
        return str(self.value)
