"""THE PORT: all that a provider plugin may import from Tillbook (with `app.domain.money`).

A provider is a stateless translator between one outside payment system and the neutral words below. It never touches
the database, locks, timers or Flask; whatever needs a decision is the core's. Start reading at `facts` (the noun; how
long its words may be is in `limits`), then `verbs` (what a provider does), `agreements` (auto-debit and subscriptions),
`errors` (how it fails), `tools` (what it is handed) and `strict_json` (how its documents are read).
`docs/adding-a-provider.md` walks through a whole plugin.
"""

from app.domain.bill_lines import BillContent, BillLine, BillSide, LineKind, StoreCell
from app.domain.payouts import PayoutPart, StorePayout
from app.providers.agreements import Agreements, Announces, ChargeWindow, Terms
from app.providers.client_certificate import ClientCertificate
from app.providers.errors import Declined, Forged, Misconfigured, ProviderError, Retryable, Unknown, UnreadableBill
from app.providers.facts import (
    Ending,
    Fact,
    Intent,
    Kind,
    Message,
    Page,
    PriceIncrease,
    Received,
    Ref,
    Refusal,
    Reply,
    Started,
    key_of,
)
from app.providers.http import HttpClient, HttpResponse
from app.providers.limits import LONGEST_REFERENCE, faults_of, fits
from app.providers.strict_json import UnreadableJson, read_json, read_json_object
from app.providers.tools import Clock, KeyStore, StoredKey, Tools
from app.providers.verbs import (
    Cancels,
    Captures,
    Checks,
    Fulfils,
    NoExtra,
    Plugin,
    Provider,
    ReadsBills,
    ReadsPayouts,
    Refreshes,
    Refunds,
    Scans,
    capabilities,
    least_seconds,
)

__all__ = [
    "LONGEST_REFERENCE",
    "Agreements",
    "Announces",
    "BillContent",
    "BillLine",
    "BillSide",
    "Cancels",
    "Captures",
    "ChargeWindow",
    "Checks",
    "ClientCertificate",
    "Clock",
    "Declined",
    "Ending",
    "Fact",
    "Forged",
    "Fulfils",
    "HttpClient",
    "HttpResponse",
    "Intent",
    "KeyStore",
    "Kind",
    "LineKind",
    "Message",
    "Misconfigured",
    "NoExtra",
    "Page",
    "PayoutPart",
    "Plugin",
    "PriceIncrease",
    "Provider",
    "ProviderError",
    "ReadsBills",
    "ReadsPayouts",
    "Received",
    "Ref",
    "Refreshes",
    "Refunds",
    "Refusal",
    "Reply",
    "Retryable",
    "Scans",
    "Started",
    "StoreCell",
    "StorePayout",
    "StoredKey",
    "Terms",
    "Tools",
    "Unknown",
    "UnreadableBill",
    "UnreadableJson",
    "capabilities",
    "faults_of",
    "fits",
    "key_of",
    "least_seconds",
    "read_json",
    "read_json_object",
]
