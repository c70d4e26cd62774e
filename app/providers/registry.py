"""Finds plugins by entry point and builds the configured provider accounts from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.domain.bill_figures import BillRule
from app.domain.bill_lines import BillSide
from app.domain.settling import POOL, Whose
from app.providers.errors import Misconfigured
from app.providers.tools import Tools
from app.providers.verbs import Fulfils, Plugin, Provider, ReadsBills, Scans
from app.setting_faults import sentences

ENTRY_POINT_GROUP = "tillbook.providers"
LONGEST_PATTERN = 200
MOST_DAYS_TO_SETTLE = 31
ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)


class RefundPreference(StrEnum):
    """What a store hears of us when it asks before a refund that its customer wants."""

    NONE = "none"
    """Nothing: it decides alone."""
    GRANT = "grant"
    DECLINE = "decline"
    BY_CONSUMPTION = "by_consumption"
    """Grant where nothing of the purchase was used, decline where all of it was, a part in between."""


@dataclass(frozen=True)
class ProviderAccount:
    """One configured instance of a provider. `name` is ours and appears in URLs and rows."""

    name: str
    plugin: str
    live: bool
    provider: Provider
    scan: Mapping[str, int] = field(default_factory=dict)
    """Minutes between two readings, by feed."""
    report_delivery: bool = False
    also_for: tuple[str, ...] = ()
    """Other accounts of this plugin whose messages come to this one's address, too."""
    refund_preference: RefundPreference = RefundPreference.NONE
    shared: bool = False
    """Other systems use the account, too: lines of its bills that are not ours are no differences."""
    our_numbers: str = ""
    """A pattern of our numbers in its bills; empty: 63-bit decimal numbers."""
    estimated_share: int = 30
    """Of a store: per cent of the price that it keeps, by estimate."""
    settles_within_days: int = 3
    """So long after a trade its row is in the account bill at the latest."""
    pays_out_within_days: int = 0
    """So long money lies at the provider at the most. 0: nobody expects a payout."""

    @cached_property
    def whose(self) -> Whose:
        """Which lines of its bills can be ours."""
        return Whose(self.shared, self.our_numbers)

    @cached_property
    def main_fund_feed(self) -> str | None:
        """The first account bill that the plugin names: that of the balance into which payers pay, and from which the
        provider pays out. A provider may keep others beside it."""
        feeds = self.provider.bill_feeds.items() if isinstance(self.provider, ReadsBills) else ()
        return next((feed for feed, side in feeds if side is BillSide.FUNDS), None)

    @cached_property
    def bill_rule(self) -> BillRule:
        return BillRule(self.whose, self.main_fund_feed)

    @cached_property
    def lag(self) -> timedelta:
        """So much later than a trade an account bill may tell of it."""
        return max(POOL, timedelta(days=self.settles_within_days))

    @cached_property
    def takes_reports(self) -> bool:
        """Whether the provider has the verb `fulfil`."""
        return isinstance(self.provider, Fulfils)


class AccountSettings(BaseModel):
    """What every provider account's table in the configuration has; the rest of it is the plugin's own."""

    model_config = ConfigDict(extra="allow")

    plugin: str = Field(min_length=1)
    live: bool = True
    scan: dict[str, Annotated[int, Field(ge=1, le=7 * 24 * 60)]] = Field(default_factory=dict)
    """Which histories the worker reads, and every how many minutes: `scan = { refunds = 60 }`."""
    report_delivery: bool = False
    """Tell the provider of each credited purchase that it was delivered, where no client does."""
    also_for: tuple[str, ...] = ()
    """Names of other provider accounts of this plugin, whose messages come to the address of this one, too."""
    refund_preference: RefundPreference = RefundPreference.NONE
    """What we want of a refund about which the store asks us. Told only with what was used, of users who consented."""
    shared: bool = False
    """Other systems use the account at the provider, too: what they take and give back stands in its bills."""
    our_numbers: Annotated[str, Field(max_length=LONGEST_PATTERN)] = ""
    """A pattern (Python's `re`, the whole number) of the merchant order numbers that are ours. Not given: decimal
    numbers below 2^63, as we give out."""

    @field_validator("our_numbers")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error:
            raise ValueError("not a regular expression") from None
        return pattern

    estimated_share: Annotated[int, Field(ge=0, le=100)] = 30
    """Of a store: how many per cent of the price it keeps, commission and taxes together. Reports show what its
    financial report does not tell yet by this estimate, marked as one; nothing is booked by it."""
    settles_within_days: Annotated[int, Field(ge=1, le=MOST_DAYS_TO_SETTLE)] = 3
    """How many days after a trade its money is in the account bill at the latest: one week and a day where the provider
    settles in cycles of a week."""
    pays_out_within_days: Annotated[int, Field(ge=0, le=MOST_DAYS_TO_SETTLE)] = 0
    """After how many days the provider has paid out by itself what lay with it. 0: payouts are made by hand, and none
    is missed."""


class Registry:
    """The provider accounts of this process, by name."""

    def __init__(self, accounts: Mapping[str, ProviderAccount]) -> None:
        self._accounts = dict(accounts)

    def get(self, name: str) -> ProviderAccount | None:
        return self._accounts.get(name)

    def whose(self, receiving: ProviderAccount, told: str | None) -> ProviderAccount:
        """Whose fact it is that names the merchant `told`: the receiving account's, or that of one which it receives
        for. A merchant that is nobody's here stays with the receiving account, which moves no money for it."""
        if told is None or told == receiving.provider.account:
            return receiving
        others = [account for name in receiving.also_for if (account := self._accounts.get(name)) is not None]
        return next((account for account in others if account.provider.account == told), receiving)

    @property
    def bill_rules(self) -> dict[str, BillRule]:
        """By the name of the account."""
        return {account.name: account.bill_rule for account in self}

    def __iter__(self) -> Iterator[ProviderAccount]:
        return iter(self._accounts.values())


def build_accounts(
    tables: Mapping[str, Mapping[str, Any]],
    tools_for: Callable[[str, bool], Tools],
    plugins: Mapping[str, Plugin] | None = None,
) -> Registry:
    """Build each `[provider_accounts.<name>]` table. Raises Misconfigured naming account and field.

    `plugins` stands in for those that are installed.
    """
    find = installed_plugin if plugins is None else partial(_given_plugin, plugins)
    accounts = {name: _build_account(name, table, tools_for, find) for name, table in tables.items()}
    for account in accounts.values():
        _check_also_for(account, accounts)
    return Registry(accounts)


def _check_also_for(receiving: ProviderAccount, accounts: Mapping[str, ProviderAccount]) -> None:
    """Raises Misconfigured unless every account that it receives for is told apart by its merchant identity alone."""
    seen = {receiving.provider.account}
    for name in receiving.also_for:
        where = f"provider account {receiving.name!r}: also_for"
        other = accounts.get(name)
        if other is None or other is receiving:
            raise Misconfigured(f"{where}: {name!r} is no other provider account")
        if (other.plugin, other.live) != (receiving.plugin, receiving.live):
            raise Misconfigured(f"{where}: {name!r} has another plugin, or another value of live")
        if other.provider.account in seen:
            raise Misconfigured(f"{where}: {name!r} is the merchant of another one of them: nothing tells them apart")
        seen.add(other.provider.account)


def installed_plugin(name: str) -> Plugin:
    """The plugin that an installed package offers under this name, ours and third parties' alike.

    No other package is imported: a broken plugin that no account uses stops nobody. Raises Misconfigured.
    """
    entries = list(entry_points(group=ENTRY_POINT_GROUP))
    offers = {entry.value: entry for entry in entries if entry.name == name}
    if not offers:
        raise _not_installed(name, {entry.name for entry in entries})
    if len(offers) > 1:
        raise Misconfigured(f"plugin {name!r} is offered more than once: {', '.join(sorted(offers))}")
    return _loaded(*offers.values())


def _given_plugin(plugins: Mapping[str, Plugin], name: str) -> Plugin:
    if name not in plugins:
        raise _not_installed(name, plugins)
    return plugins[name]


def _not_installed(name: str, there_are: Iterable[str]) -> Misconfigured:
    return Misconfigured(f"no plugin {name!r} is installed (there are: {', '.join(sorted(there_are)) or 'none'})")


def _loaded(entry: EntryPoint) -> Plugin:
    try:
        plugin = entry.load()
    except Exception as error:  # whatever a package does when it is imported
        raise Misconfigured(f"plugin {entry.name!r} ({entry.value}) cannot be imported: {error!r}") from None
    if not isinstance(plugin, Plugin):
        raise Misconfigured(f"plugin {entry.name!r} ({entry.value}) is not an app.providers.Plugin")
    if plugin.name != entry.name:
        raise Misconfigured(f"plugin {entry.name!r} ({entry.value}) calls itself {plugin.name!r}")
    return plugin


def _build_account(
    name: str, table: Mapping[str, Any], tools_for: Callable[[str, bool], Tools], find: Callable[[str], Plugin]
) -> ProviderAccount:
    if not ACCOUNT_NAME.fullmatch(name):
        raise Misconfigured(f"provider account {name!r}: use lower-case letters, digits and '-', at most 32")
    plugin_settings: type[BaseModel] = AccountSettings
    try:
        common = AccountSettings.model_validate(dict(table))
        plugin = find(common.plugin)
        plugin_settings = plugin.settings
        settings = plugin_settings.model_validate(common.model_extra or {})
        provider = plugin.build(settings, tools_for(name, common.live))
    except ValidationError as error:
        raise Misconfigured(f"provider account {name!r}: {'; '.join(sentences(error, plugin_settings))}") from None
    except Misconfigured as error:
        raise Misconfigured(f"provider account {name!r}: {error}") from None
    feeds = provider.feeds if isinstance(provider, Scans) else ()
    unknown = sorted(set(common.scan) - set(feeds))
    if unknown:
        raise Misconfigured(f"provider account {name!r}: scan: no feed {unknown[0]!r} (there are: {', '.join(feeds)})")
    own = (
        *(common.scan, common.report_delivery, common.also_for, common.refund_preference),
        *(common.shared, common.our_numbers, common.estimated_share),
        *(common.settles_within_days, common.pays_out_within_days),
    )
    return ProviderAccount(name, common.plugin, common.live, provider, *own)
