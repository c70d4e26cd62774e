from enum import StrEnum


class DeliveryStatus(StrEnum):
    DONE = "done"
    FAILED = "failed"
    GIVEN_UP = "given_up"
    WAITING = "waiting"

    def __str__(self) -> str:
        return str(self.value)
