from enum import StrEnum


class ReadReportFileReport(StrEnum):
    ADJUSTMENTS = "adjustments"
    CHART = "chart"
    CLEARING = "clearing"
    CONTRACT_LIABILITY = "contract-liability"
    DEFERRED_REVENUE = "deferred-revenue"
    FEES = "fees"
    JOURNAL = "journal"
    REFUNDS = "refunds"
    REVENUE = "revenue"
    SALES = "sales"
    SETTLEMENT = "settlement"
    STORE_SALES = "store-sales"
    TRIAL_BALANCE = "trial-balance"
    UNSPENT = "unspent"

    def __str__(self) -> str:
        return str(self.value)
