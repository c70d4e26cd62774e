from enum import StrEnum


class ListTransfersAccount(StrEnum):
    DEBT = "debt"
    WALLET = "wallet"

    def __str__(self) -> str:
        return str(self.value)
