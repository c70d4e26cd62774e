from enum import StrEnum


class GiftReason(StrEnum):
    BALANCE_OVERFLOW = "balance_overflow"
    RECEIVER_FROZEN = "receiver_frozen"
    RECEIVER_LIMIT = "receiver_limit"
    VALUE_0 = ""

    def __str__(self) -> str:
        return str(self.value)
