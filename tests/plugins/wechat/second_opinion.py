"""The protocols once more, straight on `cryptography` and `hashlib`, so that the plugin is not checked by itself."""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def rsa_sign(key: RSAPrivateKey, message: str) -> str:
    return base64.b64encode(key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def rsa_verifies(key: RSAPublicKey, message: str, signature: str) -> bool:
    try:
        key.verify(base64.b64decode(signature), message.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def gcm_open(key: str, nonce: str, associated_data: str, ciphertext: str) -> bytes:
    sealed = base64.b64decode(ciphertext)
    return AESGCM(key.encode()).decrypt(nonce.encode(), sealed, associated_data.encode())


def v2_sign(fields: dict[str, str], key: str, sign_type: str) -> str:
    named = [f"{name}={fields[name]}" for name in sorted(fields, key=str.encode) if fields[name] and name != "sign"]
    message = "&".join([*named, f"key={key}"]).encode()
    if sign_type == "MD5":
        return hashlib.new("md5", message).hexdigest().upper()
    return hmac.digest(key.encode(), message, "sha256").hex().upper()
