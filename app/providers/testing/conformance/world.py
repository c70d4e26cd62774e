"""What a plugin's test file tells the conformance kit: one subclass of `World` with the hooks below.

A world is one fresh outside: the provider (usually the plugin's simulator behind a `WsgiClient`), its keys, its payers,
and a clock. The kit makes a new one for every rule, so a world may keep whatever state it likes.
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from app.domain.money import Money
from app.providers import HttpClient, Intent, KeyStore, Kind, Message, Plugin, Provider, Ref, Tools
from app.providers.registry import build_accounts
from app.providers.testing.conformance.agreement_hooks import AgreementHooks
from app.providers.testing.conformance.bill_hooks import BillHooks
from app.providers.testing.conformance.refund_hooks import RefundHooks
from app.providers.testing.doubles import FixedClock, MemoryKeys

_numbers = itertools.count(4_611_000_000_000_000_001)
"""As long as the core's may get, 19 digits: a plugin that shortens numbers, or makes floats of them, is found out."""
OWNER = "0b9e1a56-7c39-4d2e-8f60-5a1de2c4b7aa"


@dataclass(frozen=True, slots=True)
class Traits:
    """What kind of provider this is. Each departure from the defaults takes rules out of the kit, so it is declared."""

    verbs: tuple[str, ...] = ("refund", "cancel")
    """The optional verbs, exactly as `app.providers.capabilities(provider)` lists them."""
    freshness: timedelta | None = None
    """How far the time that the provider signs may be from ours, before and after. None: it signs no time that could
    go stale (say why in the plugin's README)."""
    freshness_ahead: timedelta | None = None
    """How far ahead of ours that time may be, where it is less than `freshness` (a token that is good for an hour)."""
    messages_prove: bool = True
    """False where messages only name a payment (`Received.asks`), and nothing but a query tells what became of it."""
    takes_back: bool = False
    """True where money also goes back without our refund: from a console, by a store's decision, in a dispute."""
    names_our_number: bool = True
    """False where the provider never learns our payment number (a store): facts then name `theirs` and `owner`."""
    asked_by_our_number: bool = True
    """False where the provider answers questions by its own number only. The core then asks with what `start` said."""
    tells_money: bool = True
    """False where PAID carries no money, since the store sets the price."""
    signs_replies: bool = True
    """False where nothing in an answer to our calls is signed, and TLS is all there is."""
    has_status_words: bool = True
    """False where messages and answers carry no word for the state of a payment."""


class DisputeStep(StrEnum):
    """How far a dispute about a payment has come at the provider."""

    INQUIRY = "inquiry"
    """The payer's bank asks; no money has moved."""
    TAKEN = "taken"
    """The provider took the money back."""
    WON = "won"
    """The merchant has the money again."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Messages during a change of keys, for a provider with these settings and this key store."""

    read: tuple[Message, ...]
    """Genuine PAID messages, at least two: by the old key and by the new one, or with several signatures of which one
    fits, the good one first and the good one last. Where only one key is left, two messages by that one."""
    refused: tuple[Message, ...]
    """Messages whose every signature is of a key that is nobody's, or whose time is over."""
    settings: Mapping[str, Any]
    keys: KeyStore


@dataclass(frozen=True, slots=True)
class Sample:
    """A genuine message and the kinds of the facts that it states, in their order.

    `()`: nothing of interest, or a message that only names a payment.
    """

    message: Message
    kinds: tuple[Kind, ...]
    asks: tuple[Ref, ...] | None = None
    """What the message names without proving it, exactly as `Received.asks` must hold it: a dispute, a bank's answer, a
    refund without its size; also what each message names where `Traits.messages_prove` is False. None: the message
    names nothing of that kind."""


@dataclass(frozen=True, slots=True)
class Document:
    """The content of the genuine message `samples()["paid"]`, laid open, so that the kit can make odd ones of it.

    `content` is what a handler would read after verification (form fields, the JSON document, the decrypted resource,
    the token's payload): a mapping of texts, numbers, mappings and lists. `sign` makes a genuine message of any other
    content, signed with the provider's true key at the world's present time; it returns None for content that the
    format cannot express (a list in a form). `status` is the path of the member that holds the status word, such as
    `("trade", "status")`; it stays empty where messages have none, and where they only name what they are about
    (`Traits.messages_prove`).
    """

    content: Mapping[str, Any]
    sign: Callable[[Mapping[str, Any]], Message | None]
    status: tuple[str, ...] = ()


class SignaturePart(Protocol):
    """One part of a message without which its signature is incomplete."""

    @property
    def name(self) -> str: ...

    def read(self, message: Message) -> str: ...

    def write(self, message: Message, value: str | None) -> Message:
        """The message with that part changed; None removes it altogether."""


@dataclass(frozen=True, slots=True)
class HeaderPart:
    """A header: `HeaderPart("x-signature")`, name in lower case."""

    name: str

    def read(self, message: Message) -> str:
        return message.headers[self.name]

    def write(self, message: Message, value: str | None) -> Message:
        headers = {name: text for name, text in message.headers.items() if name != self.name}
        return replace(message, headers=headers if value is None else headers | {self.name: value})


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A part of the body, found by a regular expression whose group 1 is the value; without the part, the whole match
    is gone: `BodyPart("sign", rb"&sign=([^&]*)")`, `BodyPart("sign", rb"<sign>([^<]*)</sign>")`."""

    name: str
    pattern: bytes

    def read(self, message: Message) -> str:
        return self._match(message)[1].decode("latin-1")

    def write(self, message: Message, value: str | None) -> Message:
        match, body = self._match(message), message.body
        if value is None:
            return replace(message, body=body[: match.start()] + body[match.end() :])
        return replace(message, body=body[: match.start(1)] + value.encode("latin-1") + body[match.end(1) :])

    def _match(self, message: Message) -> re.Match[bytes]:
        match = re.search(self.pattern, message.body, re.DOTALL)
        assert match is not None, f"the pattern of signature part {self.name!r} does not match a genuine message"
        return match


class World(AgreementHooks, BillHooks, RefundHooks, ABC):
    """The hooks. Those marked abstract must be there; the others are for providers that declare the trait."""

    plugin: ClassVar[Plugin]
    """The plugin, as its entry point names it."""
    traits: ClassVar[Traits] = Traits()
    signature_parts: ClassVar[tuple[SignaturePart, ...]]
    """Every part of the genuine PAID message that a valid signature needs; the kit empties, removes and spoils each."""

    def __init__(self, clock: FixedClock) -> None:
        """Make the outside as of `clock.now()`: keys and certificates are valid from before then until long after.

        The kit moves this clock; simulator, messages and provider must all go by it.
        """
        self.clock = clock

    live: bool = False
    """What `Tools.live` is for the provider under test. See `live_world`."""
    left_out: ClassVar[Mapping[str, str]] = {}
    """Why a hook below that rules need is not there, by its name. Its rules are then shown as skipped, with it."""
    dispute_steps: ClassVar[tuple[DisputeStep, ...]] = tuple(DisputeStep)
    """The steps that `dispute` can make."""

    # --- configuration -------------------------------------------------------------------------------------------

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The plugin's own part of `[provider_accounts.<name>]`, secrets included, that goes with this world's keys."""

    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """Every secret text among the settings, exactly as it stands there (passwords, PEM private keys).

        The kit looks for them wherever they must not appear, and requires that each one, emptied, is refused.
        """

    @property
    @abstractmethod
    def http(self) -> HttpClient:
        """The provider, reached properly: usually `WsgiClient(simulator)`, made once."""

    def keys(self) -> KeyStore:
        """A key store as it is in normal running, with the provider's public keys if the plugin keeps them there."""
        return MemoryKeys()

    def make_provider(self, tools: Tools) -> Provider:
        """The provider under test, built the way the service builds it."""
        return self.build(self.settings(), tools)

    def build(self, settings: Mapping[str, Any], tools: Tools) -> Provider:
        """The plugin with these settings, through the registry. Raises Misconfigured for settings that cannot work."""
        table = {"plugin": self.plugin.name, "live": tools.live, **settings}
        registry = build_accounts({"under-test": table}, lambda name, live: tools, {self.plugin.name: self.plugin})
        account = registry.get("under-test")
        assert account is not None
        return account.provider

    # --- payments ------------------------------------------------------------------------------------------------

    @abstractmethod
    def intents(self) -> tuple[Intent, ...]:
        """One valid intent for each of `Provider.ways`, each with a number never used before (see `make_intent`)."""

    def visit(self, intent: Intent) -> None:
        """Let the payer open this started intent without paying, so that the provider surely knows the payment.

        For ways where `start` only signs something; nothing to do where `start` makes the payment.
        """

    @abstractmethod
    def pay(self, intent: Intent) -> tuple[Message, ...]:
        """Let a payer pay this intent at the provider, after the kit called `start` for it.

        Returns the genuine messages that we then get, notifications and receipts, at least one, signed at the present
        time; each of them states PAID, of this payment and no other (or asks about it: `Traits.messages_prove`).
        """

    @abstractmethod
    def payments(self, intent: Intent) -> int:
        """How many payments the provider has now for this intent, paid or not."""

    # --- messages ------------------------------------------------------------------------------------------------

    @abstractmethod
    def samples(self) -> Mapping[str, Sample]:
        """Genuine messages of every situation that the provider tells about, by name, the paid one under `"paid"`.

        All signed by the provider's true key at the present time: closed, refunded, partly refunded, a test message, …
        """

    @abstractmethod
    def document(self) -> Document:
        """The content of a genuine PAID message, and how to sign another content."""

    @abstractmethod
    def forgeries(self) -> Mapping[str, Message]:
        """PAID messages that are not the provider's, by name. All must be refused.

        At least one that is right in everything but the key. Add what your format invites: algorithm `none`, another
        certificate chain, the empty key, a certificate of our own account.
        """

    @abstractmethod
    def foreign(self) -> Mapping[str, Message]:
        """Genuine PAID messages of another merchant of the same provider, by name, at least one.

        Signed as the provider would: with the key that all merchants trust, or else with the other merchant's secret.
        """

    def odd(self) -> Mapping[str, Message]:
        """Further messages with a true signature and an odd body, by name: what `document` cannot express.

        Duplicate members, XML entities, another charset, a compressed body, numbers like `1e400`.
        """
        return {}

    # --- calls ---------------------------------------------------------------------------------------------------

    def liars(self) -> Mapping[str, HttpClient]:
        """Impostors, by name: HTTP clients whose answers are well-formed but not the provider's.

        At least `"another key"` (for instance a second simulator with other keys) and `"unsigned"` (success, without
        the signature). Required where `Traits.signs_replies`.
        """
        return {}

    def refusing(self, code: str) -> HttpClient:
        """The provider, that answers each call with a genuine, signed error of this code, and does nothing."""
        raise NotImplementedError("World.refusing")

    def show_status(self, intent: Intent, word: str) -> None:
        """From now on the provider's answers about this started, visited intent carry `word` as its status.

        For a paid intent where a store knows of no payment before. Required where `Traits.has_status_words`.
        """
        raise NotImplementedError("World.show_status is required where Traits.has_status_words")

    def charged(self, intent: Intent) -> Money | None:
        """What the provider was told to charge for this started intent, in the provider's books, as minor units.

        Two mistakes that cancel each other (an amount scaled wrongly on the way out and on the way in) are seen only
        here. None where the store sets the price, or where the books cannot be read.
        """
        return None

    def private_words(self) -> tuple[str, ...]:
        """Words of the payer that stand in the messages and answers of this world (a name, an account, an e-mail
        address), and that must not be kept: the kit looks for them in every fact and its `raw`."""
        return ()

    def live_world(self) -> World:
        """A world of the live provider, at this world's clock: whatever it says is about money that moves.

        Usually a new world of this class with `live = True`; where the message says whether it is live, a world whose
        messages and answers say so.
        """
        raise NotImplementedError("World.live_world")

    def payable_until(self, intent: Intent) -> datetime | None:
        """Until when the provider was told that this started and visited intent can be paid: read in its own books.

        None for a way that cannot carry a time (say so in the plugin's README).
        """
        raise NotImplementedError("World.payable_until")

    def dispute(self, intent: Intent, step: DisputeStep) -> tuple[Message, ...]:
        """Let the dispute about this paid intent come to this step; the genuine messages that we then get."""
        raise NotImplementedError("World.dispute")

    def spoil_row(self, intent: Intent) -> None:
        """From now on the row of this paid intent in history and bill is one that nobody can read (an amount that is a
        word); the rest of the page is as it was, and authentic."""
        raise NotImplementedError("World.spoil_row")

    def rotations(self) -> Mapping[str, Rotation]:
        """Situations during a change of the provider's keys, by name."""
        raise NotImplementedError("World.rotations")

    def proofs(self) -> tuple[tuple[Message, ...], ...]:
        """Genuine messages in groups, at least two: within a group one proof in several formats (other white space,
        other order of members, something harmless added); two groups are two proofs."""
        raise NotImplementedError("World.proofs")

    def unknown_ref(self) -> Ref:
        """The name of a payment that the provider has never heard of."""
        return Ref(ours=str(next(_numbers)))

    def delivered(self, intent: Intent) -> bool:
        """Whether the provider knows that what was paid with this intent was delivered.

        Required where the provider has `fulfil`.
        """
        raise NotImplementedError("World.delivered is required for a provider with the verb fulfil")

    def history_window(self) -> tuple[datetime, datetime]:
        """After payments were made: let the provider's books close; since and until in which `scan` finds them."""
        return self.clock.now() - timedelta(days=1), self.clock.now() + timedelta(days=1)


def make_intent(
    clock: FixedClock,
    way: str,
    money: Money | None,
    *,
    product: str = "coins-600",
    extra: Mapping[str, Any] | None = None,
) -> Intent:
    """An intent with a number never used before, payable for half an hour from now."""
    return Intent(
        ref=Ref(ours=str(next(_numbers))),
        money=money,
        subject="600 coins & a “gift” / 600 金币",
        product=product,
        quantity=1,
        owner=OWNER,
        way=way,
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(minutes=30),
        notify_url="https://shop.example/webhooks/under-test",
        return_url="https://shop.example/back",
        extra=extra or {},
    )
