from enum import StrEnum


class RefundOrigin(StrEnum):
    ASKED = "asked"
    AUTOMATIC = "automatic"
    PROVIDER = "provider"

    def __str__(self) -> str:
        return str(self.value)
