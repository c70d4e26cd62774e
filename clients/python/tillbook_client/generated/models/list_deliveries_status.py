from enum import StrEnum


class ListDeliveriesStatus(StrEnum):
    DONE = "done"
    FAILED = "failed"
    GIVEN_UP = "given_up"
    WAITING = "waiting"

    def __str__(self) -> str:
        return str(self.value)
