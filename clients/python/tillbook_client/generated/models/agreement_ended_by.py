from enum import StrEnum


class AgreementEndedBy(StrEnum):
    NEVER_SIGNED = "never_signed"
    PAYER = "payer"
    PROVIDER = "provider"
    TIME = "time"
    UNPAID = "unpaid"
    US = "us"
    VALUE_0 = ""

    def __str__(self) -> str:
        return str(self.value)
