"""The signature of API v2, and the envelope of its refund notifications.

Source: the official page `wiki/doc/api` chapter 4_3; the vectors in the tests reproduce its sample. The string to sign
is not injective: a value with `&` and `=` in it looks like further fields. So no value that a person can influence may
carry them when we sign (`values.subject_for_payer`), and a notification must have every field that makes its type.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from plugins.wechat.documents import Unreadable

SignType = Literal["MD5", "HMAC-SHA256"]
TYPE_BY_LENGTH: dict[int, SignType] = {32: "MD5", 64: "HMAC-SHA256"}
AES_BLOCK_BITS = 128


class V2Key:
    """The merchant's API v2 key. Its text is nowhere in `repr`."""

    def __init__(self, api_key: str) -> None:
        self._key = api_key.encode()
        self._refund_key = hashlib.md5(self._key, usedforsecurity=False).hexdigest().encode()

    def __repr__(self) -> str:
        return "V2Key(…)"

    def sign(self, fields: Mapping[str, str], sign_type: SignType) -> str:
        """Upper-case hexadecimal over all fields but `sign` and empty ones, in the order of their bytes."""
        pairs = [f"{name}={value}" for name, value in sorted(fields.items()) if value and name != "sign"]
        message = "&".join(pairs).encode() + b"&key=" + self._key
        if sign_type == "MD5":
            return hashlib.md5(message, usedforsecurity=False).hexdigest().upper()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest().upper()

    def verify(self, fields: Mapping[str, str], expected: SignType) -> bool:
        """Whether the fields are signed, in the way that the account's orders are.

        The signature's length tells its type: HMAC notifications may come without `sign_type`, MD5 ones with it, and it
        is signed like any field (seen in the field, 2019 to 2020).
        """
        signature = fields.get("sign", "")
        if TYPE_BY_LENGTH.get(len(signature)) != expected or fields.get("sign_type", expected) != expected:
            return False
        return hmac.compare_digest(self.sign(fields, expected).encode(), signature.encode())

    def open_refund(self, req_info: str) -> bytes:
        """The XML inside a refund notification. There is no integrity in it: whatever it says is but a hint. Raises
        Unreadable."""
        decryptor = Cipher(AES(self._refund_key), ECB()).decryptor()  # noqa: S305 - the provider's format
        unpadder = PKCS7(AES_BLOCK_BITS).unpadder()
        try:
            padded = decryptor.update(base64.b64decode(req_info, validate=True)) + decryptor.finalize()
            return unpadder.update(padded) + unpadder.finalize()
        except (binascii.Error, ValueError):
            raise Unreadable("req_info does not open under the API v2 key") from None

    def seal_refund(self, plain: bytes) -> str:
        """What `open_refund` opens: for the simulator."""
        padder = PKCS7(AES_BLOCK_BITS).padder()
        encryptor = Cipher(AES(self._refund_key), ECB()).encryptor()  # noqa: S305 - the provider's format
        return base64.b64encode(encryptor.update(padder.update(plain) + padder.finalize())).decode()
