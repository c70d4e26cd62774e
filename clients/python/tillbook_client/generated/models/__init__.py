"""Contains all the data models used in inputs/outputs"""

from .account_token import AccountToken
from .agreement import Agreement
from .agreement_action_type_0 import AgreementActionType0
from .agreement_ended_by import AgreementEndedBy
from .agreement_price_increase_type_0 import AgreementPriceIncreaseType0
from .agreement_request import AgreementRequest
from .agreement_request_extra import AgreementRequestExtra
from .agreement_status import AgreementStatus
from .agreements import Agreements
from .attempt import Attempt
from .balance import Balance
from .balance_at import BalanceAt
from .basis import Basis
from .batch import Batch
from .batch_request import BatchRequest
from .bill import Bill
from .bill_side import BillSide
from .bill_status import BillStatus
from .bills import Bills
from .cancel_agreement_request import CancelAgreementRequest
from .capture_request import CaptureRequest
from .cause import Cause
from .cause_by import CauseBy
from .change_plan_request import ChangePlanRequest
from .closing import Closing
from .closing_request import ClosingRequest
from .closing_status import ClosingStatus
from .closings import Closings
from .coins import Coins
from .consent import Consent
from .consent_request import ConsentRequest
from .debit_request import DebitRequest
from .debt import Debt
from .deliveries import Deliveries
from .delivery import Delivery
from .delivery_status import DeliveryStatus
from .difference import Difference
from .difference_change import DifferenceChange
from .difference_reason_request import DifferenceReasonRequest
from .difference_state import DifferenceState
from .difference_type import DifferenceType
from .difference_with_history import DifferenceWithHistory
from .difference_with_history_repairs_item import DifferenceWithHistoryRepairsItem
from .difference_with_history_state import DifferenceWithHistoryState
from .differences import Differences
from .differences_matched import DifferencesMatched
from .end_of_fact_request import EndOfFactRequest
from .endpoint import Endpoint
from .endpoint_origin import EndpointOrigin
from .endpoint_request import EndpointRequest
from .endpoint_status import EndpointStatus
from .endpoint_with_secret import EndpointWithSecret
from .endpoint_with_secret_origin import EndpointWithSecretOrigin
from .endpoint_with_secret_status import EndpointWithSecretStatus
from .endpoints import Endpoints
from .entitlement import Entitlement
from .entitlement_status import EntitlementStatus
from .entitlements import Entitlements
from .entry import Entry
from .entry_kind import EntryKind
from .environment import Environment
from .event import Event
from .event_data import EventData
from .event_type import EventType
from .events import Events
from .fault import Fault
from .freeze import Freeze
from .freeze_request import FreezeRequest
from .freezes import Freezes
from .fulfilment import Fulfilment
from .fulfilment_asks_type_0 import FulfilmentAsksType0
from .fulfilment_request import FulfilmentRequest
from .fulfilment_request_status import FulfilmentRequestStatus
from .fulfilment_status import FulfilmentStatus
from .fulfilments import Fulfilments
from .gift import Gift
from .gift_reason import GiftReason
from .gift_request import GiftRequest
from .gift_status import GiftStatus
from .gifts import Gifts
from .grant import Grant
from .grant_item import GrantItem
from .grant_request import GrantRequest
from .hold import Hold
from .hold_record import HoldRecord
from .hold_record_state import HoldRecordState
from .hold_request import HoldRequest
from .hold_state import HoldState
from .holds import Holds
from .item import Item
from .item_details import ItemDetails
from .journal_entries import JournalEntries
from .journal_entry import JournalEntry
from .journal_entry_request import JournalEntryRequest
from .journal_entry_status import JournalEntryStatus
from .journal_line import JournalLine
from .journal_line_request import JournalLineRequest
from .line import Line
from .list_agreements_format import ListAgreementsFormat
from .list_all_differences_format import ListAllDifferencesFormat
from .list_all_differences_state_type_0 import ListAllDifferencesStateType0
from .list_bills_format import ListBillsFormat
from .list_deliveries_status import ListDeliveriesStatus
from .list_freezes_format import ListFreezesFormat
from .list_fulfilments_format import ListFulfilmentsFormat
from .list_gifts_format import ListGiftsFormat
from .list_holds_format import ListHoldsFormat
from .list_holds_state import ListHoldsState
from .list_journal_entries_format import ListJournalEntriesFormat
from .list_journal_entries_status import ListJournalEntriesStatus
from .list_lots_format import ListLotsFormat
from .list_lots_show import ListLotsShow
from .list_orders_format import ListOrdersFormat
from .list_periods_format import ListPeriodsFormat
from .list_refunds_format import ListRefundsFormat
from .list_transfers_account import ListTransfersAccount
from .list_transfers_format import ListTransfersFormat
from .list_transfers_kind import ListTransfersKind
from .list_transfers_order import ListTransfersOrder
from .lot import Lot
from .lot_kind import LotKind
from .lot_part import LotPart
from .lots import Lots
from .match_request import MatchRequest
from .named import Named
from .named_kind import NamedKind
from .note_request import NoteRequest
from .one_endpoint import OneEndpoint
from .one_endpoint_origin import OneEndpointOrigin
from .one_endpoint_status import OneEndpointStatus
from .order import Order
from .order_fulfilment import OrderFulfilment
from .order_request import OrderRequest
from .order_request_extra import OrderRequestExtra
from .order_status import OrderStatus
from .orders import Orders
from .paid_period import PaidPeriod
from .pause_request import PauseRequest
from .payment import Payment
from .payment_action_type_0 import PaymentActionType0
from .payment_request import PaymentRequest
from .payment_request_extra import PaymentRequestExtra
from .payment_status import PaymentStatus
from .period import Period
from .period_length import PeriodLength
from .period_length_unit import PeriodLengthUnit
from .period_status import PeriodStatus
from .periods import Periods
from .plan import Plan
from .plan_first_prices import PlanFirstPrices
from .plan_unit import PlanUnit
from .policy import Policy
from .posted import Posted
from .problem import Problem
from .product import Product
from .product_fulfilment import ProductFulfilment
from .product_prices import ProductPrices
from .product_store_ids import ProductStoreIds
from .products import Products
from .provider import Provider
from .providers import Providers
from .purchase import Purchase
from .purchase_status import PurchaseStatus
from .read_report_file_report import ReadReportFileReport
from .read_statement_format import ReadStatementFormat
from .read_statement_order import ReadStatementOrder
from .receipt import Receipt
from .receipt_request import ReceiptRequest
from .receipt_status import ReceiptStatus
from .refund import Refund
from .refund_of_import import RefundOfImport
from .refund_of_import_state import RefundOfImportState
from .refund_origin import RefundOrigin
from .refund_request import RefundRequest
from .refund_status import RefundStatus
from .refunds import Refunds
from .repair import Repair
from .repair_plan import RepairPlan
from .repair_request import RepairRequest
from .report_format import ReportFormat
from .resend_request import ResendRequest
from .resent import Resent
from .reversal_of_entry_request import ReversalOfEntryRequest
from .reverse_request import ReverseRequest
from .rotate_request import RotateRequest
from .search import Search
from .secret import Secret
from .spend_item import SpendItem
from .spend_request import SpendRequest
from .statement import Statement
from .take_request import TakeRequest
from .timeline import Timeline
from .transfer import Transfer
from .transfer_details import TransferDetails
from .transfers import Transfers
from .trial_balance import TrialBalance
from .trial_line import TrialLine
from .trial_line_owner import TrialLineOwner
from .trial_sheet import TrialSheet
from .unit import Unit
from .wallet import Wallet
from .way import Way
from .way_extra import WayExtra
from .write_off import WriteOff
from .write_off_entry import WriteOffEntry
from .write_off_state import WriteOffState

__all__ = (
    "AccountToken",
    "Agreement",
    "AgreementActionType0",
    "AgreementEndedBy",
    "AgreementPriceIncreaseType0",
    "AgreementRequest",
    "AgreementRequestExtra",
    "AgreementStatus",
    "Agreements",
    "Attempt",
    "Balance",
    "BalanceAt",
    "Basis",
    "Batch",
    "BatchRequest",
    "Bill",
    "BillSide",
    "BillStatus",
    "Bills",
    "CancelAgreementRequest",
    "CaptureRequest",
    "Cause",
    "CauseBy",
    "ChangePlanRequest",
    "Closing",
    "ClosingRequest",
    "ClosingStatus",
    "Closings",
    "Coins",
    "Consent",
    "ConsentRequest",
    "DebitRequest",
    "Debt",
    "Deliveries",
    "Delivery",
    "DeliveryStatus",
    "Difference",
    "DifferenceChange",
    "DifferenceReasonRequest",
    "DifferenceState",
    "DifferenceType",
    "DifferenceWithHistory",
    "DifferenceWithHistoryRepairsItem",
    "DifferenceWithHistoryState",
    "Differences",
    "DifferencesMatched",
    "EndOfFactRequest",
    "Endpoint",
    "EndpointOrigin",
    "EndpointRequest",
    "EndpointStatus",
    "EndpointWithSecret",
    "EndpointWithSecretOrigin",
    "EndpointWithSecretStatus",
    "Endpoints",
    "Entitlement",
    "EntitlementStatus",
    "Entitlements",
    "Entry",
    "EntryKind",
    "Environment",
    "Event",
    "EventData",
    "EventType",
    "Events",
    "Fault",
    "Freeze",
    "FreezeRequest",
    "Freezes",
    "Fulfilment",
    "FulfilmentAsksType0",
    "FulfilmentRequest",
    "FulfilmentRequestStatus",
    "FulfilmentStatus",
    "Fulfilments",
    "Gift",
    "GiftReason",
    "GiftRequest",
    "GiftStatus",
    "Gifts",
    "Grant",
    "GrantItem",
    "GrantRequest",
    "Hold",
    "HoldRecord",
    "HoldRecordState",
    "HoldRequest",
    "HoldState",
    "Holds",
    "Item",
    "ItemDetails",
    "JournalEntries",
    "JournalEntry",
    "JournalEntryRequest",
    "JournalEntryStatus",
    "JournalLine",
    "JournalLineRequest",
    "Line",
    "ListAgreementsFormat",
    "ListAllDifferencesFormat",
    "ListAllDifferencesStateType0",
    "ListBillsFormat",
    "ListDeliveriesStatus",
    "ListFreezesFormat",
    "ListFulfilmentsFormat",
    "ListGiftsFormat",
    "ListHoldsFormat",
    "ListHoldsState",
    "ListJournalEntriesFormat",
    "ListJournalEntriesStatus",
    "ListLotsFormat",
    "ListLotsShow",
    "ListOrdersFormat",
    "ListPeriodsFormat",
    "ListRefundsFormat",
    "ListTransfersAccount",
    "ListTransfersFormat",
    "ListTransfersKind",
    "ListTransfersOrder",
    "Lot",
    "LotKind",
    "LotPart",
    "Lots",
    "MatchRequest",
    "Named",
    "NamedKind",
    "NoteRequest",
    "OneEndpoint",
    "OneEndpointOrigin",
    "OneEndpointStatus",
    "Order",
    "OrderFulfilment",
    "OrderRequest",
    "OrderRequestExtra",
    "OrderStatus",
    "Orders",
    "PaidPeriod",
    "PauseRequest",
    "Payment",
    "PaymentActionType0",
    "PaymentRequest",
    "PaymentRequestExtra",
    "PaymentStatus",
    "Period",
    "PeriodLength",
    "PeriodLengthUnit",
    "PeriodStatus",
    "Periods",
    "Plan",
    "PlanFirstPrices",
    "PlanUnit",
    "Policy",
    "Posted",
    "Problem",
    "Product",
    "ProductFulfilment",
    "ProductPrices",
    "ProductStoreIds",
    "Products",
    "Provider",
    "Providers",
    "Purchase",
    "PurchaseStatus",
    "ReadReportFileReport",
    "ReadStatementFormat",
    "ReadStatementOrder",
    "Receipt",
    "ReceiptRequest",
    "ReceiptStatus",
    "Refund",
    "RefundOfImport",
    "RefundOfImportState",
    "RefundOrigin",
    "RefundRequest",
    "RefundStatus",
    "Refunds",
    "Repair",
    "RepairPlan",
    "RepairRequest",
    "ReportFormat",
    "ResendRequest",
    "Resent",
    "ReversalOfEntryRequest",
    "ReverseRequest",
    "RotateRequest",
    "Search",
    "Secret",
    "SpendItem",
    "SpendRequest",
    "Statement",
    "TakeRequest",
    "Timeline",
    "Transfer",
    "TransferDetails",
    "Transfers",
    "TrialBalance",
    "TrialLine",
    "TrialLineOwner",
    "TrialSheet",
    "Unit",
    "Wallet",
    "Way",
    "WayExtra",
    "WriteOff",
    "WriteOffEntry",
    "WriteOffState",
)
