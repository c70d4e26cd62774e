from enum import StrEnum


class OneEndpointOrigin(StrEnum):
    API = "api"
    OPERATOR = "operator"
    SETTINGS = "settings"

    def __str__(self) -> str:
        return str(self.value)
