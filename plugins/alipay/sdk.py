"""The one place where python-alipay-sdk is used: it builds and signs requests.

What it does wrong is made good here (3.4.0, seen in its source and tried, 2026-11):

- its timestamp is the host's local time without a zone: ours is Beijing time from the given clock;
- its helpers for single methods send `QUICK_WAP_PAY`, which is not documented (`QUICK_WAP_WAY` is), and take floats:
  only its generic entry is used, with business fields from `orders`;
- it re-serialises a dict of business fields with `\\uXXXX`: it is handed the finished JSON text;
- it cannot read the root file's serial number when that has CRLF: the numbers come from `certificates`;
- its transport (no pool, everything in the URL), its reading of answers and its check of signatures are not used.

Importing it calls `logging.config.dictConfig`: that adds a logger of its own, silent without `verbose`, and closes the
handlers that were there before (a file handler opens again by itself).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alipay import AliPay
from cryptography.hazmat.primitives import serialization

from plugins.alipay.credentials import Credentials
from plugins.alipay.formats import beijing_text


class RequestSigner:
    """Turns a method and its business fields into a signed, URL-encoded query string."""

    def __init__(self, app_id: str, credentials: Credentials) -> None:
        self._aes = credentials.aes
        self._common = _common_parameters(credentials)
        self._sdk = _sdk(app_id, _private_pem(credentials), _public_pem(credentials))

    def signed_query(
        self,
        method: str,
        business: Mapping[str, Any],
        at: datetime,
        *,
        notify_url: str = "",
        return_url: str = "",
    ) -> str:
        """The order string itself for app payments; what follows `?` for all others."""
        text = json.dumps(business, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        signed: str = self._sdk.client_api(
            method,
            self._aes.encrypt(text) if self._aes else text,
            timestamp=beijing_text(at),
            notify_url=notify_url,
            return_url=return_url,
            **self._common,
        )
        return signed

    @staticmethod
    def split(signed_query: str) -> tuple[str, bytes]:
        """(URL query, form body) of a signed query: public parameters travel in the URL, `biz_content` in the body.

        `charset` has to be in the URL, or the gateway reads the body as GBK.
        """
        pairs = signed_query.split("&")
        body = [pair for pair in pairs if pair.startswith("biz_content=")]
        return "&".join(pair for pair in pairs if pair not in body), "&".join(body).encode()


@functools.lru_cache(maxsize=32)
def _sdk(app_id: str, private_pem: bytes, public_pem: bytes) -> Any:
    """The SDK keeps nothing but its keys; reading those takes it 70 ms, so once in a process for each app."""
    return AliPay(
        appid=app_id, app_private_key_string=private_pem, alipay_public_key_string=public_pem, sign_type="RSA2"
    )


def _common_parameters(credentials: Credentials) -> dict[str, str]:
    common = {"format": "JSON"}
    if credentials.aes:
        common["encrypt_type"] = "AES"
    if credentials.certificates:
        common["app_cert_sn"] = credentials.certificates.app_sn
        common["alipay_root_cert_sn"] = credentials.certificates.root_sn
    return common


def _private_pem(credentials: Credentials) -> bytes:
    return credentials.app_private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(credentials: Credentials) -> bytes:
    return credentials.alipay_public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
