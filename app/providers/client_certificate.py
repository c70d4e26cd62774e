"""Showing a certificate of our own in the TLS handshake, for providers that want to see one."""

from __future__ import annotations

import os
import secrets
import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from app.providers.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate and the private key that goes with it, both as PEM text. The key is in no `repr`."""

    chain: str
    """Our certificate first, then those that lead to the authority, if the provider wants them."""
    private_key: str = field(repr=False)

    def check(self) -> None:
        """For start-up. Raises Misconfigured if the two do not load or belong together."""
        tls_context(self)


def tls_context(certificate: ClientCertificate) -> ssl.SSLContext:
    """A client context that shows the certificate; whom it trusts is the caller's to say. Raises Misconfigured."""
    context = create_urllib3_context()
    password = secrets.token_hex(32)
    try:
        # Only written down again here, sealed; whether it is a key and belongs to the certificate, OpenSSL says below.
        key = load_pem_private_key(certificate.private_key.encode(), password=None, unsafe_skip_rsa_key_validation=True)
        sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
        _load(context, certificate.chain.encode() + b"\n" + sealed, password)
    except (ValueError, TypeError, ssl.SSLError):
        raise Misconfigured(
            "the client certificate and its private key do not load, or do not belong together"
        ) from None
    return context


def _load(context: ssl.SSLContext, pem: bytes, password: str) -> None:
    """Python's `ssl` reads certificates from files only, so one exists for a moment; the key in it is encrypted with a
    password that never leaves this process."""
    descriptor, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        context.load_cert_chain(path, password=password)
    finally:
        os.unlink(path)


class CertifiedAdapter(HTTPAdapter):
    """A pool of connections which all show the same certificate, or none. It repeats nothing by itself."""

    def __init__(self, certificate: ClientCertificate | None, pool_size: int) -> None:
        self._context = tls_context(certificate) if certificate is not None else None
        super().__init__(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Called by `requests` once, from its constructor."""
        if self._context is not None:
            options["ssl_context"] = self._context
        super().init_poolmanager(*arguments, **options)
