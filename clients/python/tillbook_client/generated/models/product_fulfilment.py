from enum import StrEnum


class ProductFulfilment(StrEnum):
    EXTERNAL = "external"
    WALLET = "wallet"

    def __str__(self) -> str:
        return str(self.value)
