"""Alipay's certificates: reading the files that the console gives, their serial numbers, and a renewed one's chain."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_RSA_SIGNATURES = "1.2.840.113549.1.1."


class NotTrusted(ValueError):
    """The certificate does not lead to Alipay's root, or is not a renewal of the one that was configured."""


def read_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """All readable certificates of a file, in order.

    Block by block, since the root file holds an SM2 certificate that is not strict DER, at which
    `load_pem_x509_certificates` gives up on the whole file (cryptography 50); and whatever stands between the blocks,
    since the file is found with CRLF and without blank lines (python-alipay-sdk then finds no root at all).
    """
    found = []
    for block in _BLOCK.findall(pem):
        try:
            found.append(x509.load_pem_x509_certificate(block))
        except ValueError:
            continue
    return tuple(found)


def serial_number(certificate: x509.Certificate) -> str:
    """Alipay's SN: MD5 of the issuer's name, most specific part first, followed by the serial number in decimal."""
    text = f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def root_serial_number(roots: Sequence[x509.Certificate]) -> str:
    """The SNs of the RSA-signed certificates of the root file, in its order; empty when it has none."""
    return "_".join(serial_number(root) for root in rsa_signed(roots))


def rsa_signed(certificates: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    return tuple(c for c in certificates if c.signature_algorithm_oid.dotted_string.startswith(_RSA_SIGNATURES))


def rsa_key(certificate: x509.Certificate) -> RSAPublicKey:
    """Raises ValueError when the certificate is for another kind of key."""
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the certificate's key is not an RSA key")
    return key


def check_renewal(
    renewed: Sequence[x509.Certificate],
    configured: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    now: datetime,
) -> x509.Certificate:
    """The new Alipay certificate, if it may replace the configured one. Raises NotTrusted.

    One for the same key says nothing new (Alipay renews so as a rule). For another key, leading to the root is not
    enough: the certificates of all merchants' apps are issued by the same authority, and its certificates carry no CA
    constraint (public sandbox files of 2021 and 2023). So subject and issuer must be those of the configured
    certificate, and the authority's own certificate must be issued by a root itself.
    """
    if not renewed:
        raise NotTrusted("no readable certificate came")
    leaf, old = renewed[0], configured[0]
    if leaf.public_key() == old.public_key():
        return leaf
    if leaf.subject != old.subject or leaf.issuer != old.issuer:
        raise NotTrusted("the new certificate has another subject or issuer than the configured one")
    if not leads_to_root(leaf, (*renewed[1:], *configured[1:]), roots, now):
        raise NotTrusted("the new certificate does not lead to the configured root, or is not valid now")
    return leaf


def leads_to_root(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], now: datetime
) -> bool:
    """Whether the certificate is issued by a root, or by one of the others that a root has issued, all valid now."""
    authorities = [certificate for certificate in others if certificate.subject == leaf.issuer]
    chains = [(leaf, root) for root in roots] + [(leaf, a, root) for a in authorities for root in roots]
    return any(_is_chain(chain, now) for chain in chains)


def _is_chain(chain: Sequence[x509.Certificate], now: datetime) -> bool:
    """Whether each is valid now and issued by the next."""
    current = all(c.not_valid_before_utc <= now <= c.not_valid_after_utc for c in chain)
    return current and all(_issued(issuer, subject) for subject, issuer in itertools.pairwise(chain))


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
