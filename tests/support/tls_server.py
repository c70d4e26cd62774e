"""An HTTPS server on this machine that wants to see a client certificate, for tests of the one that shows it."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from werkzeug.serving import WSGIRequestHandler, make_server

from app.providers import ClientCertificate

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SHOWN = "SSL_CLIENT_CERT"


@dataclass(frozen=True)
class Authority:
    """Issues certificates that nobody else believes."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, name: str) -> ClientCertificate:
        """A key and a certificate for that name, good for 127.0.0.1 too."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = _builder(name, self.certificate.subject, key).add_extension(address, critical=False)
        signed = certificate.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
        return ClientCertificate(signed, pem_of(key))


def new_authority(name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(name, own, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return Authority(key, builder.sign(key, hashes.SHA256()))


def pem_of(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )


class _Handler(WSGIRequestHandler):
    """Tells the application which certificate was shown, as web servers do."""

    def make_environ(self) -> Any:
        shown = self.connection.getpeercert(binary_form=True)
        return super().make_environ() | ({SHOWN: ssl.DER_cert_to_PEM_cert(shown)} if shown else {})

    def log(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def serving(
    application: WSGIApplication,
    folder: Path,
    *,
    clients: str,
    authority: Authority,
    wants: ssl.VerifyMode = ssl.CERT_REQUIRED,
) -> Iterator[str]:
    """Serves over TLS and yields the address. `clients` are the certificates (PEM) whose holders may come in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = authority.issue("127.0.0.1")
    context.load_cert_chain(_written(folder / "server.pem", own.chain + own.private_key))
    context.load_verify_locations(cadata=clients)
    context.verify_mode = wants
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Handler, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def ca_file(authority: Authority, folder: Path) -> str:
    """For `RequestsClient(ca_file=…)`."""
    return str(_written(folder / "authority.pem", authority.pem))


Echo = Callable[[dict[str, Any], Any], list[bytes]]


def echo(environ: dict[str, Any], start: Any) -> list[bytes]:
    """An application that answers with the certificate it was shown."""
    start("200 OK", [("Content-Type", "text/plain")])
    return [str(environ.get(SHOWN, "")).encode()]
