"""The plugin's part of a provider account's table. What needs a clock or two keys is checked in `v3.credentials`.

`generation` says which API the account speaks. A merchant who has both configures two accounts, since each has its own
secrets and its own webhook.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)

from plugins.wechat.ways import WAYS

OFFICIAL_API = "https://api.mch.weixin.qq.com"
_MCHID = re.compile(r"[0-9]{6,32}", re.ASCII)
_APPID = re.compile(r"wx[0-9a-zA-Z]{6,30}", re.ASCII)
_PUBLIC_KEY_ID = re.compile(r"PUB_KEY_ID_[0-9]{8,64}", re.ASCII)
_PLAN_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_API_URL = re.compile(r"https?://[^/?#\s]+", re.ASCII)
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)


def _is_mchid(value: str) -> str:
    if not _MCHID.fullmatch(value):
        raise ValueError("the merchant number (商户号) is digits only, usually ten")
    return value


def _is_appid(value: str) -> str:
    if not _APPID.fullmatch(value):
        raise ValueError("an appid starts with 'wx', followed by letters and digits")
    return value


def _is_private_key(value: SecretStr) -> SecretStr:
    if "PRIVATE KEY-----" not in value.get_secret_value():
        raise ValueError("give the text of apiclient_key.pem, starting with -----BEGIN PRIVATE KEY-----")
    return value


def _is_certificate(value: str) -> str:
    if "BEGIN CERTIFICATE-----" not in value:
        raise ValueError("give the text of apiclient_cert.pem, starting with -----BEGIN CERTIFICATE-----")
    return value


PrivateKeyPem = Annotated[SecretStr, AfterValidator(_is_private_key)]
CertificatePem = Annotated[str, AfterValidator(_is_certificate)]


class AccountSettings(BaseModel):
    """What both generations need."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    mchid: Annotated[str, AfterValidator(_is_mchid)]
    appid: Annotated[str, AfterValidator(_is_appid)]
    """The official account, mini-program or app that is bound to the merchant. One provider account for each appid."""
    ways: tuple[str, ...] = tuple(WAYS)
    """The products that WeChat Pay has opened for this appid."""
    api_url: str = OFFICIAL_API
    """Another site of WeChat Pay (`https://api2.mch.weixin.qq.com`) or a simulator."""
    refund_notify_url: str = ""
    """Where refund notifications go; empty: to the address set on the merchant site."""
    fund_accounts: tuple[Literal["BASIC", "OPERATION", "FEES"], ...] = ("BASIC",)
    """The balances whose fund flow bills (资金账单) are fetched, each as a feed of its own. What payers pay goes to
    BASIC. Bills of the others can be brought by a person all the same."""
    plan_ids: tuple[str, ...] = ()
    """The templates (代扣模板) that WeChat Pay has given the merchant for auto-debit. Without any the account signs and
    charges no agreements."""

    @field_validator("ways")
    @classmethod
    def _known_ways(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [way for way in value if way not in WAYS]
        if unknown or not value:
            raise ValueError(f"choose from {', '.join(WAYS)}")
        return value

    @field_validator("plan_ids")
    @classmethod
    def _numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_PLAN_ID.fullmatch(each) for each in value) or len(set(value)) != len(value):
            raise ValueError("a plan id (模板 id) is a number; give each once")
        return value

    @field_validator("api_url")
    @classmethod
    def _bare_origin(cls, value: str) -> str:
        if not _API_URL.fullmatch(value):
            raise ValueError("give scheme and host only, like https://api.mch.weixin.qq.com, without a path")
        return value


class V3Settings(AccountSettings):
    """API v3: the merchant's own RSA key pair, and WeChat Pay's keys in one or both of their two forms."""

    generation: Literal["v3"] = "v3"
    merchant_private_key: PrivateKeyPem
    """apiclient_key.pem, the text of the file."""
    merchant_certificate: CertificatePem
    """apiclient_cert.pem, the text of the file; our serial number is read from it."""
    apiv3_key: SecretStr
    """The 32 characters set as 'APIv3 密钥' on the merchant site."""
    platform_public_key_id: str = ""
    """`PUB_KEY_ID_…` (微信支付公钥ID). Empty for merchants that still verify by platform certificates only."""
    platform_public_key: str = ""
    """pub_key.pem, the text of the file that goes with the id."""
    platform_certificates: bool = True
    """Download platform certificates too. Off only when the migration to the public key is finished for good."""
    deduction: Literal["scheduled", "notified"] = "scheduled"
    """How the templates want a deduction announced: planned with WeChat Pay (预约扣费), or by a notice (预扣费通知)."""

    @field_validator("apiv3_key")
    @classmethod
    def _thirty_two_bytes(cls, value: SecretStr) -> SecretStr:
        length = len(value.get_secret_value().encode())
        if length != 32:
            raise ValueError(f"the APIv3 key has exactly 32 characters, this one has {length} bytes")
        return value

    @model_validator(mode="after")
    def _some_way_to_verify(self) -> V3Settings:
        if bool(self.platform_public_key_id) != bool(self.platform_public_key):
            raise ValueError("platform_public_key and platform_public_key_id come together: give both or neither")
        if self.platform_public_key_id and not _PUBLIC_KEY_ID.fullmatch(self.platform_public_key_id):
            raise ValueError("platform_public_key_id looks like PUB_KEY_ID_0000000000000024101100397200000006")
        if not self.platform_public_key_id and not self.platform_certificates:
            raise ValueError("nothing to verify with: give the platform public key, or allow platform certificates")
        return self


class V2Settings(AccountSettings):
    """API v2: one shared secret, and one kind of signature for every order."""

    generation: Literal["v2"]
    api_key: SecretStr
    """The 32 characters set as 'API 密钥' on the merchant site. Not the APIv3 key."""
    sign_type: Literal["MD5", "HMAC-SHA256"] = "HMAC-SHA256"
    """How orders are signed; notifications signed in another way are refused."""
    client_ip: str = "127.0.0.1"
    """Sent as the payer's address where the caller gives none."""
    merchant_private_key: PrivateKeyPem | None = None
    """apiclient_key.pem, the text of the file. Without it and the next there are no refunds through this account."""
    merchant_certificate: CertificatePem | None = None
    """apiclient_cert.pem, the text of the file; shown in TLS where money goes back."""

    @field_validator("api_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        # wechatpy signs happily with an empty key, and then anybody can forge (read in its source, 1.8.18).
        text = value.get_secret_value()
        if len(text) != 32 or not _PRINTABLE.fullmatch(text):
            raise ValueError(f"the API v2 key has exactly 32 printable ASCII characters, this one has {len(text)}")
        return value

    @model_validator(mode="after")
    def _debits_are_signed_with_md5(self) -> V2Settings:
        # The pages of entrustweb, querycontract, deletecontract and pappayapply (2024-11) have no `sign_type`, and
        # refuse what they do not know: requests, answers and notifications are signed with the default.
        if self.plan_ids and self.sign_type != "MD5":
            raise ValueError("auto-debit of API v2 is signed with MD5: set sign_type to MD5, or use another account")
        return self

    @model_validator(mode="after")
    def _certificate_is_whole(self) -> V2Settings:
        if (self.merchant_private_key is None) != (self.merchant_certificate is None):
            raise ValueError("merchant_private_key and merchant_certificate come together: give both or neither")
        return self


def _generation(table: Any) -> str:
    return str(table.get("generation", "v3")) if isinstance(table, dict) else str(getattr(table, "generation", "v3"))


class Settings(
    RootModel[
        Annotated[
            Annotated[V3Settings, Tag("v3")] | Annotated[V2Settings, Tag("v2")],
            Field(),
            Discriminator(
                _generation,
                custom_error_type="generation",
                custom_error_message="generation is 'v3' (the usual one) or 'v2'",
            ),
        ]
    ]
):
    """Either generation's settings; v3 where `generation` is not given."""

    model_config = ConfigDict(hide_input_in_errors=True)
