"""The ways of paying, the same five in both generations, and what each needs from the caller."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _is_address(value: str) -> str:
    if value:
        ipaddress.ip_address(value)
    return value


Address = Annotated[str, Field(max_length=45), AfterValidator(_is_address)]


class PayerAddress(BaseModel):
    """The payer's IP address, where the caller knows it."""

    model_config = ConfigDict(extra="forbid")

    client_ip: Address = ""


class InsideWeChat(PayerAddress):
    """Paying inside WeChat: the payer is named by their openid, which is another one for every appid."""

    openid: str = Field(pattern=r"^[0-9A-Za-z_\-]{1,128}$")


class MobileBrowser(PayerAddress):
    """Paying from a browser outside WeChat: it refuses payers whose address differs from the one given here."""

    client_ip: Annotated[str, Field(min_length=2, max_length=45), AfterValidator(_is_address)]
    system: str = Field(default="Wap", pattern=r"^(Wap|iOS|Android)$")


WAYS: dict[str, type[PayerAddress]] = {
    "jsapi": InsideWeChat,
    "miniprogram": InsideWeChat,
    "app": PayerAddress,
    "native": PayerAddress,
    "h5": MobileBrowser,
}
