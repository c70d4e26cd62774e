from enum import StrEnum


class FulfilmentRequestStatus(StrEnum):
    DELIVERED = "delivered"
    REFUSED = "refused"
    TAKEN_BACK = "taken_back"

    def __str__(self) -> str:
        return str(self.value)
