from enum import StrEnum


class ReadReportFileReport(StrEnum):
    JOURNAL = "journal"
    REFUNDS = "refunds"
    SALES = "sales"

    def __str__(self) -> str:
        return str(self.value)
