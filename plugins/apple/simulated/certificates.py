"""A certificate authority shaped like Apple's, for tests and demos: root and intermediate on P-384, leaf on P-256, with
Apple's marks on intermediate and leaf. Apple's own library accepts what it signs, in its strict mode.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

LEAF_MARK = "1.2.840.113635.100.6.11.1"
INTERMEDIATE_MARK = "1.2.840.113635.100.6.2.1"
_YEAR = timedelta(days=365)
_ASN1_NULL = b"\x05\x00"


@dataclass(frozen=True, slots=True)
class Signer:
    """A leaf key with its chain, ready to sign as the App Store does."""

    x5c: tuple[str, ...]
    root: bytes
    """DER of the root that a verifier has to trust."""
    key: ec.EllipticCurvePrivateKey

    def sign(self, payload: Mapping[str, Any]) -> str:
        """The payload as a compact JWS whose header has `alg` and `x5c` and nothing else."""
        return jwt.encode(dict(payload), self.key, algorithm="ES256", headers={"x5c": list(self.x5c), "typ": None})

    @property
    def trusted_root(self) -> str:
        """As the setting `trusted_roots` takes it."""
        return base64.b64encode(self.root).decode()


def make_signer(
    now: datetime,
    *,
    leaf_mark: str = LEAF_MARK,
    intermediate_mark: str = INTERMEDIATE_MARK,
    leaf_from: timedelta = -_YEAR,
    leaf_until: timedelta = _YEAR,
) -> Signer:
    """A new authority, valid around `now`. The arguments make the chains that a verifier has to refuse."""
    root_key, intermediate_key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    root_name, intermediate_name = _name("Simulated Root CA - G3"), _name("Simulated WWDR G6")
    root = _certificate(root_name, root_key, root_name, root_key, now - 10 * _YEAR, now + 15 * _YEAR, is_ca=True)
    intermediate = _certificate(
        intermediate_name,
        intermediate_key,
        root_name,
        root_key,
        now - 5 * _YEAR,
        now + 10 * _YEAR,
        is_ca=True,
        mark=intermediate_mark,
    )
    leaf = _certificate(
        _name("Simulated App Store Receipt Signing"),
        leaf_key,
        intermediate_name,
        intermediate_key,
        now + leaf_from,
        now + leaf_until,
        is_ca=False,
        mark=leaf_mark,
    )
    chain = tuple(base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in (leaf, intermediate, root))
    return Signer(chain, root.public_bytes(Encoding.DER), leaf_key)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    valid_from: datetime,
    valid_until: datetime,
    *,
    is_ca: bool,
    mark: str = "",
) -> x509.Certificate:
    """OpenSSL's strict mode wants key identifiers, and critical basic constraints and key usage."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid_from)
        .not_valid_after(valid_until)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(_usage(is_ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if mark:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(mark), _ASN1_NULL), critical=False
        )
    return builder.sign(issuer_key, SHA384())


def _usage(is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
