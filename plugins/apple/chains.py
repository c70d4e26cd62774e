"""Certificate chains: each new one is verified by Apple's own library, and its leaf key then kept.

The rules (three certificates; the root pinned and never taken from the message; Apple's marks on leaf and intermediate,
without which any developer's certificate under the same root would do; validity at the moment of signing, since old
purchases stay on devices after their leaf expired) are the library's. It verifies the chain anew for every message,
which is most of its cost: three milliseconds against two tenths.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime

from appstoreserverlibrary.signed_data_verifier import VerificationException, _ChainVerifier
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import Certificate, load_der_x509_certificate

from plugins.apple.recent import Recent

KEPT_CHAINS = 64
"""Apple signs with a handful of leaves at a time. Only verified chains are kept, so a stranger cannot fill this."""


class UntrustedChain(Exception):
    """The chain does not lead, at that moment and with Apple's marks, to a root that we trust."""


@dataclass(frozen=True, slots=True)
class TrustedLeaf:
    """The key of a verified chain, and when all of its certificates are valid together."""

    key: ec.EllipticCurvePublicKey
    valid_from: datetime
    valid_until: datetime


class Chains:
    """Verifies chains against fixed roots. Safe to share between threads."""

    def __init__(self, roots: tuple[bytes, ...], *, strict: bool = True, kept: int = KEPT_CHAINS) -> None:
        """`strict=False` is for Apple's published test certificates, which lack the key identifiers of RFC 5280."""
        # The library has no public way to verify a chain by itself; tests/plugins/apple/test_same_as_library.py holds
        # us to its public verifier.
        self._verifier = _ChainVerifier(list(roots), enable_strict_checks=strict)
        self._roots = tuple(load_der_x509_certificate(der) for der in roots)
        self._leaves: Recent[tuple[str, ...], TrustedLeaf] = Recent(kept)

    def key_at(self, x5c: tuple[str, ...], moment: datetime) -> ec.EllipticCurvePublicKey:
        """The leaf's key, if the chain was good at that moment. Raises UntrustedChain."""
        leaf = self._leaves.get(x5c)
        if leaf is None or not leaf.valid_from < moment < leaf.valid_until:
            leaf = self._verify(x5c, moment)
            self._leaves.keep(x5c, leaf)
        return leaf.key

    @property
    def kept(self) -> int:
        """How many verified chains are remembered now."""
        return len(self._leaves)

    def _verify(self, x5c: tuple[str, ...], moment: datetime) -> TrustedLeaf:
        try:
            self._verifier.verify_chain(list(x5c), perform_online_checks=False, effective_date=int(moment.timestamp()))
            leaf, intermediate = (load_der_x509_certificate(b64decode(text, validate=True)) for text in x5c[:2])
            return self._trusted(leaf, intermediate)
        except VerificationException as error:
            raise UntrustedChain(error.status.name) from None
        except ValueError:
            raise UntrustedChain("INVALID_CERTIFICATE") from None

    def _trusted(self, leaf: Certificate, intermediate: Certificate) -> TrustedLeaf:
        key = leaf.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise UntrustedChain("the leaf's key cannot sign ES256")
        chain = [leaf, intermediate, *(root for root in self._roots if root.subject == intermediate.issuer)]
        return TrustedLeaf(
            key,
            max(certificate.not_valid_before_utc for certificate in chain),
            min(certificate.not_valid_after_utc for certificate in chain),
        )
