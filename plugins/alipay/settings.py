"""What the configuration of an Alipay provider account holds."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

PRODUCTION_GATEWAY = "https://openapi.alipay.com/gateway.do"
SANDBOX_GATEWAY = "https://openapi-sandbox.dl.alipaydev.com/gateway.do"
"""The former host openapi.alipaydev.com, still found in SDK documents, has an expired TLS certificate (2026-09)."""


class AgreementSettings(BaseModel):
    """What the contract on auto-debit says: the table `agreements` of a provider account.

    周期扣款 is CYCLE_PAY_AUTH with CYCLE_PAY_AUTH_P. 商家扣款 is GENERAL_WITHHOLDING with CYCLE_PAY_AUTH_P, or in older
    contracts with GENERAL_WITHHOLDING_P, which has no plan of deductions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    product_code: Literal["CYCLE_PAY_AUTH", "GENERAL_WITHHOLDING"]
    personal_product_code: Literal["CYCLE_PAY_AUTH_P", "GENERAL_WITHHOLDING_P"] = "CYCLE_PAY_AUTH_P"
    sign_scene: str = Field(pattern=r"^INDUSTRY\|[A-Z0-9_]{1,55}$")
    """`INDUSTRY|…`, given in the contract. `DEFAULT|DEFAULT` cannot go with a number of ours (page of
    alipay.user.agreement.page.sign, 2023)."""

    @property
    def has_plan(self) -> bool:
        """Whether Alipay keeps a plan of deductions: one in a period, within five days before its planned date."""
        return self.personal_product_code == "CYCLE_PAY_AUTH_P"

    @model_validator(mode="after")
    def _fits_the_product(self) -> Self:
        if self.product_code == "CYCLE_PAY_AUTH" and not self.has_plan:
            raise ValueError("CYCLE_PAY_AUTH goes with the personal_product_code CYCLE_PAY_AUTH_P")
        return self


class AlipaySettings(BaseModel):
    """One app at one merchant. Every key and certificate may be given as text or as the path of a file.

    Key mode: `app_private_key` and `alipay_public_key`. Certificate mode: `app_private_key` with `app_cert`,
    `alipay_cert` and `alipay_root_cert`, as downloaded from the console.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    app_id: str = Field(pattern=r"^[0-9]{1,32}$")
    seller_id: str = Field(pattern=r"^2088[0-9]{12}$", description="The merchant's account number (PID), 2088…")
    seller_email: str = ""
    gateway: str | None = Field(None, pattern=r"^https?://[^\s?#]+$")
    """Production for a live account and the sandbox for any other, unless given."""
    sign_type: Literal["RSA2"] = "RSA2"
    app_private_key: SecretStr
    alipay_public_key: SecretStr | None = None
    app_cert: SecretStr | None = None
    alipay_cert: SecretStr | None = None
    alipay_root_cert: SecretStr | None = None
    aes_key: SecretStr | None = None
    """Only when content encryption is switched on in the console: 16 bytes as base64."""
    precreate_product_code: Literal["QR_CODE_OFFLINE", "FACE_TO_FACE_PAYMENT", "OFFLINE_PAYMENT"] = "QR_CODE_OFFLINE"
    """By contract: order-code product, or one of the two names of the face-to-face product."""
    goods_type: Literal["0", "1"] | None = "0"
    """`0` says that virtual goods are sold, which bars some credit channels; None leaves it out."""
    agreements: AgreementSettings | None = None
    """Only for a merchant with a contract on auto-debit. Without it the account signs and charges no agreements."""

    @property
    def certificate_mode(self) -> bool:
        return self.app_cert is not None

    @model_validator(mode="after")
    def _one_mode(self) -> Self:
        certificates = (self.app_cert, self.alipay_cert, self.alipay_root_cert)
        given = [c is not None for c in certificates]
        if any(given) and not all(given):
            raise ValueError("certificate mode needs all of app_cert, alipay_cert and alipay_root_cert")
        if any(given) == (self.alipay_public_key is not None):
            raise ValueError("give either alipay_public_key (key mode) or the three certificates, as the console shows")
        return self
