from enum import StrEnum


class ListLotsShow(StrEnum):
    ALL = "all"
    LEFT = "left"
    USED_UP = "used_up"

    def __str__(self) -> str:
        return str(self.value)
