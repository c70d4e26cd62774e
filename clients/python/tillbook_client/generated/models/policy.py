from enum import StrEnum


class Policy(StrEnum):
    DEBT = "debt"
    FORGIVE = "forgive"
    FREEZE = "freeze"

    def __str__(self) -> str:
        return str(self.value)
