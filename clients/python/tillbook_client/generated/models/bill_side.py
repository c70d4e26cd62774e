from enum import StrEnum


class BillSide(StrEnum):
    FUNDS = "funds"
    PROCEEDS = "proceeds"
    SALES = "sales"
    TRADES = "trades"

    def __str__(self) -> str:
        return str(self.value)
