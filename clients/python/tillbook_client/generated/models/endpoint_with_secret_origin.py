from enum import StrEnum


class EndpointWithSecretOrigin(StrEnum):
    API = "api"
    OPERATOR = "operator"
    SETTINGS = "settings"

    def __str__(self) -> str:
        return str(self.value)
