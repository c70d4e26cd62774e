from enum import StrEnum


class FulfilmentAsksType0(StrEnum):
    DELIVERY = "delivery"
    TAKE_BACK = "take_back"

    def __str__(self) -> str:
        return str(self.value)
