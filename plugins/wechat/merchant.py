"""Who we are at WeChat Pay, and whose money a document is about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Merchant:
    mchid: str
    appid: str
    live: bool

    @property
    def account(self) -> str:
        """`Provider.account`: merchant number and appid."""
        return f"{self.mchid}:{self.appid}"

    def account_of(self, mchid: str, appid: str) -> str:
        """The account that a document names. Documents about refunds name no appid: the merchant number decides."""
        if not appid and mchid == self.mchid:
            return self.account
        return f"{mchid}:{appid}"
