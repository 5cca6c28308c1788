"""Certificates and passwords of a stack that asks for both: an authority of its own, one certificate for this machine.

Made when first needed and kept beside the data (DEVSTACK_SECURE=1): nothing of it is in the repository.
"""

from __future__ import annotations

import ipaddress
import secrets
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ADMINISTRATOR = "admin"
VALID_DAYS = 365


class Security:
    """What the servers of one stack share.  Files: `ca`, `certificate`, `key`, and `pair` with both of the latter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca = folder / "ca.pem"
        self.certificate = folder / "server.pem"
        self.key = folder / "server.key"
        self.pair = folder / "server-pair.pem"

    @property
    def password(self) -> str:
        """The administrator's at Kafka and MongoDB."""
        return self._secret("password")

    @property
    def mongo_key(self) -> Path:
        """The file that the members of a MongoDB replica set share."""
        self._secret("mongo.key")
        return self._folder / "mongo.key"

    def exists(self) -> bool:
        """Whether it was made before."""
        return self.pair.exists()

    def wipe(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def prepare(self) -> None:
        """Make what is missing."""
        if self.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority_key, own_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority_name = _name("Development stack")
        authority = (
            _begun(authority_name, authority_name, authority_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        own = (
            _begun(_name("localhost"), authority_name, own_key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        certificate = own.public_bytes(Encoding.PEM)
        key = own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.ca.write_bytes(authority.public_bytes(Encoding.PEM))
        self.certificate.write_bytes(certificate)
        write_private(self.key, key)
        write_private(self.pair, key + certificate)

    def _secret(self, name: str) -> str:
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, secrets.token_hex(24).encode())
        return path.read_text()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
    )
