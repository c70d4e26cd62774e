from enum import StrEnum


class FulfilmentStatus(StrEnum):
    DELIVERED = "delivered"
    REFUSED = "refused"
    TAKEN_BACK = "taken_back"
    WAITING = "waiting"

    def __str__(self) -> str:
        return str(self.value)
