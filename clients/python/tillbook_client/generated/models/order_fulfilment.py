from enum import StrEnum


class OrderFulfilment(StrEnum):
    EXTERNAL = "external"
    WALLET = "wallet"

    def __str__(self) -> str:
        return str(self.value)
