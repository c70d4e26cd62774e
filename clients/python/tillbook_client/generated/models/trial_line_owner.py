from enum import StrEnum


class TrialLineOwner(StrEnum):
    HOUSE = "house"
    USERS = "users"

    def __str__(self) -> str:
        return str(self.value)
