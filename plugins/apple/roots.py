"""The one root that signs for the App Store, and a check that it is the one."""

from __future__ import annotations

import base64
import hashlib

from app.providers import Misconfigured

# Apple Root CA - G3, P-384, valid 2014-04-30 to 2039-04-30, from https://www.apple.com/certificateauthority/ (2026-11).
# Intermediates change (G6 today), so only the root is pinned.
APPLE_ROOT_CA_G3_SHA256 = "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179"
_APPLE_ROOT_CA_G3 = """
MIICQzCCAcmgAwIBAgIILcX8iNLFS5UwCgYIKoZIzj0EAwMwZzEbMBkGA1UEAwwSQXBwbGUgUm9vdCBDQSAtIEczMSYwJAYDVQQL
DB1BcHBsZSBDZXJ0aWZpY2F0aW9uIEF1dGhvcml0eTETMBEGA1UECgwKQXBwbGUgSW5jLjELMAkGA1UEBhMCVVMwHhcNMTQwNDMw
MTgxOTA2WhcNMzkwNDMwMTgxOTA2WjBnMRswGQYDVQQDDBJBcHBsZSBSb290IENBIC0gRzMxJjAkBgNVBAsMHUFwcGxlIENlcnRp
ZmljYXRpb24gQXV0aG9yaXR5MRMwEQYDVQQKDApBcHBsZSBJbmMuMQswCQYDVQQGEwJVUzB2MBAGByqGSM49AgEGBSuBBAAiA2IA
BJjpLz1AcqTtkyJygRMc3RCV8cWjTnHcFBbZDuWmBSp3ZHtfTjjTuxxEtX/1H7YyYl3J6YRbTzBPEVoA/VhYDKX1DyxNB0cTddqX
l5dvMVztK517IDvYuVTZXpmkOlEKMaNCMEAwHQYDVR0OBBYEFLuw3qFYM4iapIqZ3r6966/ayySrMA8GA1UdEwEB/wQFMAMBAf8w
DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2gAMGUCMQCD6cHEFl4aXTQY2e3v9GwOAEZLuN+yRhHFD/3meoyhpmvOwgPUnPWT
xnS4at+qIxUCMG1mihDK1A3UT82NQz60imOlM27jbdoXt2QfyFMm+YhidDkLF1vLUagM6BgD56KyKA==
"""


def pinned(der: bytes, sha256: str = APPLE_ROOT_CA_G3_SHA256) -> bytes:
    """The certificate, if its SHA-256 fingerprint is the pinned one. Raises Misconfigured otherwise."""
    if hashlib.sha256(der).hexdigest() != sha256:
        raise Misconfigured("the root certificate in the code is not the pinned one: the installation was altered")
    return der


def apple_root() -> bytes:
    """Apple Root CA - G3 in DER, checked against its fingerprint."""
    return pinned(base64.b64decode(_APPLE_ROOT_CA_G3))
