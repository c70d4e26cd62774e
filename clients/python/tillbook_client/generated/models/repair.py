from enum import StrEnum


class Repair(StrEnum):
    APPLY = "apply"
    ASK = "ask"
    REFUND = "refund"
    REREAD = "reread"

    def __str__(self) -> str:
        return str(self.value)
