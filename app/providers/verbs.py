"""The verbs of the port. Three are required; each further one is a capability, and is there or is not.

A capability is the method being present, never a stub that raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from app.domain.bill_lines import BillContent, BillSide
from app.domain.money import Money
from app.providers.agreements import Agreements, Announces
from app.providers.facts import Fact, Intent, Message, Page, Received, Ref, Started
from app.providers.tools import Tools


class NoExtra(BaseModel):
    """For a way of paying that needs nothing from the caller besides the order."""

    model_config = ConfigDict(extra="forbid")


class Provider(Protocol):
    """One configured provider account. Stateless: it keeps nothing between calls but parsed keys and caches."""

    account: str
    """Our merchant identity at the provider. A fact whose `account` differs is somebody else's and moves no money."""
    currencies: tuple[str, ...]
    """ISO 4217 codes that can be charged, the usual one first."""
    ways: Mapping[str, type[BaseModel]]
    """Each way of paying, with the model of what it needs in `Intent.extra` (`NoExtra` for nothing).

    A provider may also have `least_seconds: int`: the seconds that must be left until `Intent.expires_at` when `start`
    is called. Without that attribute there is no least.
    """

    def start(self, intent: Intent) -> Started:
        """Make the payment at the provider, or only sign it. The same intent may come again: same payment."""

    def receive(self, message: Message) -> Received:
        """Verify, then read. No I/O of any kind. Raises Forged for everything that is not authentic and fresh."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        """Ask about a payment (`ref.ours` or `ref.theirs`), a refund (with `ref.refund`) or an agreement
        (`ref.is_agreement`).

        `()` means that the provider knows no such thing now; it may know it later.
        """


@runtime_checkable
class Captures(Protocol):
    def capture(self, ref: Ref, money: Money) -> tuple[Fact, ...]:
        """Take the `money` of an AUTHORIZED payment, all that was ordered. Repeating it is safe: one payment is
        captured once, and the facts say PAID again. One that is over is Declined, or the facts say CLOSED."""


@runtime_checkable
class Refunds(Protocol):
    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        """Give `money` of the payment back under the number `ref.refund`. Repeating it with the same number is safe."""


@runtime_checkable
class Cancels(Protocol):
    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        """Shut an unpaid payment, give up an authorised one, or end an agreement (`ref.is_agreement`).

        `()` when the provider knows no such thing (it may still become payable). A payment that turns out to be paid
        is not an error: the facts say so.
        """


@runtime_checkable
class Scans(Protocol):
    feeds: tuple[str, ...]

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        """One page of the history or bill `feed` between two moments."""


@runtime_checkable
class ReadsBills(Protocol):
    bill_feeds: Mapping[str, BillSide]
    """The feeds of `Scans` whose pages carry bills (`Page.files`), and kinds of bill that only a person can bring (a
    file that was downloaded by hand); and what each of them proves. Of several of the side FUNDS, the first one is that
    of the balance into which payers pay."""

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        """Read one document, as it came in `Page.files` or from a person. No I/O: the same bytes are read again in ten
        years. Raises UnreadableBill for a document that fails its own checks (rows counted, columns added up): it says
        nothing then."""


@runtime_checkable
class Fulfils(Protocol):
    def fulfil(self, ref: Ref, report: Mapping[str, Any]) -> None:
        """Tell the provider that the goods were delivered, or answer its question about them. May be told again.

        `report["about"]` is

        - `delivered` (nothing else in it), told once after each purchase where the account says `report_delivery =
          true`;
        - `owner`, with `owner`, the account token of the user: told once of each purchase of which the store named no
          owner, and that a user has claimed (of a period, `ref.agreement` names its agreement); so that later words of
          the store name the user;
        - `consumption`, the answer to a REFUND_ASKED, with `consented` (always True), `asked_at` (ISO 8601),
          `consumed_share` (of the purchase's coins, in parts per 100 000), `delivery` (`delivered`), and `wish`
          (`grant_full`, `grant_prorated`, `decline`) where the account has a `refund_preference`.

        After Declined it is not told again, also where the provider has no use for such a report; after any other error
        it is, for three days (an owner: for seven, a question: for 12 hours).
        """


@runtime_checkable
class Refreshes(Protocol):
    refresh_seconds: int

    def refresh(self) -> None:
        """Renew what is kept in the key store (platform certificates). Called by the worker on a timer, never in a
        request."""


@runtime_checkable
class Checks(Protocol):
    def check(self) -> Iterable[str]:
        """For `tillbook check`: what a person should soon see to, a sentence each (a certificate in the key store that
        ends soon, credentials that fit together but not with each other's account). No network.

        Raises Misconfigured, with a message that a person can act on, for what cannot work. Whatever can be found while
        the account is built belongs into `build`.
        """


def least_seconds(provider: Provider) -> int:
    """The provider takes a payment only if more time than this is left; 0 where it does not say so."""
    return int(getattr(provider, "least_seconds", 0))


def capabilities(provider: Provider) -> tuple[str, ...]:
    """The optional verbs that the provider has, in lower case and a fixed order."""
    optional = {
        "capture": Captures,
        "refund": Refunds,
        "cancel": Cancels,
        "scan": Scans,
        "bills": ReadsBills,
        "fulfil": Fulfils,
        "sign": Agreements,
        "announce": Announces,
        "refresh": Refreshes,
    }
    return tuple(name for name, verb in optional.items() if isinstance(provider, verb))


@dataclass(frozen=True, slots=True)
class Plugin:
    """What the entry point in the group `tillbook.providers` names.

    `settings` reads the account's table in the configuration; secrets are `SecretStr` fields. `build` gets them
    validated and raises Misconfigured, with a message that a person can act on, when they cannot work.
    """

    name: str
    settings: type[BaseModel]
    build: Callable[[Any, Tools], Provider]
