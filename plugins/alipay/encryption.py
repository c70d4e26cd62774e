"""AES content encryption, for merchants who switched it on: AES/CBC/PKCS#7 with an IV of zeros, in base64."""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

BLOCK_BITS = 128
_IV = bytes(16)
"""Fixed by the protocol. The text is signed as well, so this hides it from proxies and no more."""


class AesContent:
    """Encrypts and decrypts `biz_content` texts with the key from the console (16 bytes as base64)."""

    def __init__(self, key_base64: str) -> None:
        """Raises ValueError when it is not such a key."""
        key = base64.b64decode(key_base64.strip(), validate=True)
        if len(key) != BLOCK_BITS // 8:
            raise ValueError("not 16 bytes")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(_IV))

    def __repr__(self) -> str:
        return "AesContent(…)"

    def encrypt(self, text: str) -> str:
        padder = PKCS7(BLOCK_BITS).padder()
        padded = padder.update(text.encode()) + padder.finalize()
        encryptor = self._cipher.encryptor()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def decrypt(self, text: str) -> str:
        """Raises ValueError when the text was not made with this key."""
        try:
            decryptor = self._cipher.decryptor()
            padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
            unpadder = PKCS7(BLOCK_BITS).unpadder()
            return (unpadder.update(padded) + unpadder.finalize()).decode()
        except (binascii.Error, ValueError):
            raise ValueError("cannot be decrypted with the configured aes_key") from None
