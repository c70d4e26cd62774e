from enum import StrEnum


class ReadReportFileReport(StrEnum):
    CONTRACT_LIABILITY = "contract-liability"
    JOURNAL = "journal"
    REFUNDS = "refunds"
    REVENUE = "revenue"
    SALES = "sales"
    SETTLEMENT = "settlement"
    STORE_SALES = "store-sales"

    def __str__(self) -> str:
        return str(self.value)
