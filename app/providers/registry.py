"""Finds plugins by entry point and builds the configured provider accounts from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.providers.errors import Misconfigured
from app.providers.tools import Tools
from app.providers.verbs import Plugin, Provider, Scans

ENTRY_POINT_GROUP = "tillbook.providers"
ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """One configured instance of a provider. `name` is ours and appears in URLs and rows."""

    name: str
    plugin: str
    live: bool
    provider: Provider
    scan: Mapping[str, int] = field(default_factory=dict)
    """Minutes between two readings, by feed."""
    report_delivery: bool = False


class AccountSettings(BaseModel):
    """What every provider account's table in the configuration has; the rest of it is the plugin's own."""

    model_config = ConfigDict(extra="allow")

    plugin: str = Field(min_length=1)
    live: bool = True
    scan: dict[str, Annotated[int, Field(ge=1, le=7 * 24 * 60)]] = Field(default_factory=dict)
    """Which histories the worker reads, and every how many minutes: `scan = { refunds = 60 }`."""
    report_delivery: bool = False
    """Tell the provider of each credited purchase that it was delivered, where no client does."""


class Registry:
    """The provider accounts of this process, by name."""

    def __init__(self, accounts: Mapping[str, ProviderAccount]) -> None:
        self._accounts = dict(accounts)

    def get(self, name: str) -> ProviderAccount | None:
        return self._accounts.get(name)

    def __iter__(self) -> Iterator[ProviderAccount]:
        return iter(self._accounts.values())


def installed_plugins() -> dict[str, Plugin]:
    """Every plugin that some installed package offers, ours and third parties' alike."""
    return {entry.name: entry.load() for entry in entry_points(group=ENTRY_POINT_GROUP)}


def build_accounts(
    tables: Mapping[str, Mapping[str, Any]],
    tools_for: Callable[[str, bool], Tools],
    plugins: Mapping[str, Plugin] | None = None,
) -> Registry:
    """Build each `[provider_accounts.<name>]` table. Raises Misconfigured naming account and field."""
    plugins = installed_plugins() if plugins is None else plugins
    return Registry({name: _build_account(name, table, tools_for, plugins) for name, table in tables.items()})


def _build_account(
    name: str, table: Mapping[str, Any], tools_for: Callable[[str, bool], Tools], plugins: Mapping[str, Plugin]
) -> ProviderAccount:
    if not ACCOUNT_NAME.fullmatch(name):
        raise Misconfigured(f"provider account {name!r}: use lower-case letters, digits and '-', at most 32")
    try:
        common = AccountSettings.model_validate(dict(table))
        plugin = plugins.get(common.plugin)
        if plugin is None:
            known = ", ".join(sorted(plugins)) or "none"
            raise Misconfigured(
                f"provider account {name!r}: no plugin {common.plugin!r} is installed (there are: {known})"
            )
        settings = plugin.settings.model_validate(common.model_extra or {})
        provider = plugin.build(settings, tools_for(name, common.live))
    except ValidationError as error:
        raise Misconfigured(f"provider account {name!r}: {_faults(error)}") from None
    except Misconfigured as error:
        if str(error).startswith("provider account"):
            raise
        raise Misconfigured(f"provider account {name!r}: {error}") from None
    feeds = provider.feeds if isinstance(provider, Scans) else ()
    unknown = sorted(set(common.scan) - set(feeds))
    if unknown:
        raise Misconfigured(f"provider account {name!r}: scan: no feed {unknown[0]!r} (there are: {', '.join(feeds)})")
    return ProviderAccount(name, common.plugin, common.live, provider, common.scan, common.report_delivery)


def _faults(error: ValidationError) -> str:
    """Which fields and why, without their values: a value may be a secret."""
    faults = error.errors(include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
