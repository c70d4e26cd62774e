from enum import StrEnum


class AgreementStatus(StrEnum):
    ACTIVE = "active"
    ENDED = "ended"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    SIGNING = "signing"

    def __str__(self) -> str:
        return str(self.value)
