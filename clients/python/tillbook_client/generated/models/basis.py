from enum import StrEnum


class Basis(StrEnum):
    BOOKING = "booking"
    EFFECTIVE = "effective"

    def __str__(self) -> str:
        return str(self.value)
