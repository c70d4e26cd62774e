"""Signatures of API v3 (RSASSA-PKCS1-v1_5 with SHA-256) and the AES-256-GCM envelope.

Source: the official pages on request signing (4012365336), on checking answers and notifications (4013053420), and on
decryption; the vectors in the tests reproduce their samples.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from plugins.wechat.documents import Unreadable, optional_text, text

SCHEME = "WECHATPAY2-SHA256-RSA2048"
ENVELOPE_ALGORITHM = "AEAD_AES_256_GCM"
GCM_NONCE_BYTES = 12
MAX_CIPHERTEXT = 1024 * 1024
_PADDING = PKCS1v15()
_HASH = SHA256()


def request_message(method: str, target: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """What a request's signature covers. `target` is path and query exactly as they go on the wire."""
    return f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def answer_message(timestamp: str, nonce: str, body: bytes) -> bytes:
    """What WeChat Pay's signature under an answer or a notification covers."""
    return f"{timestamp}\n{nonce}\n".encode() + body + b"\n"


def client_message(appid: str, timestamp: str, nonce: str, package: str) -> bytes:
    """What the payer's app hands over: `package` is `prepay_id=…` inside WeChat, the bare id in an app."""
    return f"{appid}\n{timestamp}\n{nonce}\n{package}\n".encode()


def sign(key: RSAPrivateKey, message: bytes) -> str:
    """The signature in base64."""
    return base64.b64encode(key.sign(message, _PADDING, _HASH)).decode()


def verify(key: RSAPublicKey, message: bytes, signature: str) -> bool:
    """Whether `signature` is the base64 text, in its only spelling, of the key's signature."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    if len(raw) * 8 != key.key_size or base64.b64encode(raw).decode() != signature:
        return False
    try:
        key.verify(raw, message, _PADDING, _HASH)
    except InvalidSignature:
        return False
    return True


def authorization(mchid: str, serial: str, key: RSAPrivateKey, timestamp: str, nonce: str, message: bytes) -> str:
    """The Authorization header. `serial` is that of the merchant's certificate, never the platform's."""
    fields = {
        "mchid": mchid,
        "nonce_str": nonce,
        "signature": sign(key, message),
        "timestamp": timestamp,
        "serial_no": serial,
    }
    return f"{SCHEME} " + ",".join(f'{name}="{value}"' for name, value in fields.items())


def decrypt(key: AESGCM, resource: Mapping[str, Any]) -> bytes:
    """The plain text of a `resource` or an `encrypt_certificate`. Raises Unreadable."""
    if text(resource, "algorithm") != ENVELOPE_ALGORITHM:
        raise Unreadable("algorithm is not AEAD_AES_256_GCM")
    ciphertext = resource.get("ciphertext")
    if not isinstance(ciphertext, str) or len(ciphertext) > MAX_CIPHERTEXT:
        raise Unreadable("ciphertext is not a text")
    nonce = text(resource, "nonce").encode()
    if len(nonce) != GCM_NONCE_BYTES:
        raise Unreadable("nonce has not 12 bytes")
    try:
        sealed = base64.b64decode(ciphertext, validate=True)
        return key.decrypt(nonce, sealed, optional_text(resource, "associated_data").encode())
    except (InvalidTag, binascii.Error, ValueError):
        raise Unreadable("the ciphertext does not open under the APIv3 key") from None
