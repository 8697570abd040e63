"""The installation's own certificate authority, so that browsers give the page the microphone.

``STATE_DIR/tls`` holds ``ca.key`` and ``ca.crt`` (made once; a person installs the certificate in their browser) and
``server.key`` and ``server.crt`` (made again whenever the machine has an address or name that it does not cover yet,
or when it would soon expire).
"""

from __future__ import annotations

import datetime
import ipaddress
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipecatapp.errors import ConfigurationError
from pipecatapp.storage.atomic import replace_file

log = logging.getLogger(__name__)

CA_DAYS = 3650
# Apple refuses server certificates that are valid for longer than 825 days.
SERVER_DAYS = 397
RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the pieces lie."""

    ca_certificate: Path
    certificate: Path
    key: Path


class LocalAuthority:
    """Makes and renews the certificates under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca_key = folder / "ca.key"
        self.files = TlsFiles(folder / "ca.crt", folder / "server.crt", folder / "server.key")

    def ensure(self, names: Sequence[str], addresses: Sequence[str], now: datetime.datetime | None = None) -> bool:
        """Make what is missing, renew what does not fit. Returns whether the server's certificate is a new one.

        Raises:
            ConfigurationError: the folder cannot be written or holds something that is no certificate.
        """
        now = now or datetime.datetime.now(datetime.UTC)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            ca_key, ca = self._load_authority(now)
            if self._still_fits(ca, set(names), set(addresses), now):
                return False
            self._issue(ca_key, ca, names, addresses, now)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"cannot prepare the certificates in {self._folder}: {error}; delete the folder to make new ones "
                "(browsers must then trust the new CA), or set WEB_TLS_PORT=0"
            ) from error
        log.info("made a server certificate for %s", ", ".join([*names, *addresses]))
        return True

    def _load_authority(self, now: datetime.datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        if self._ca_key.exists() and self.files.ca_certificate.exists():
            key = serialization.load_pem_private_key(self._ca_key.read_bytes(), password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{self._ca_key} is not an elliptic-curve key")
            return key, x509.load_pem_x509_certificate(self.files.ca_certificate.read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, f"pipecatapp on {socket.gethostname()}"[:64]),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "pipecatapp local CA"),
            ]
        )
        certificate = (
            _begin_certificate(name, name, key.public_key(), now, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        replace_file(self._ca_key, _encode_key(key), 0o600)
        replace_file(self.files.ca_certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        return key, certificate

    def _still_fits(self, ca: x509.Certificate, names: set[str], addresses: set[str], now: datetime.datetime) -> bool:
        if not (self.files.certificate.exists() and self.files.key.exists()):
            return False
        certificate = x509.load_pem_x509_certificate(self.files.certificate.read_bytes())
        if certificate.not_valid_after_utc - now < datetime.timedelta(days=RENEW_DAYS):
            return False
        try:
            certificate.verify_directly_issued_by(ca)
        except (InvalidSignature, ValueError):  # of an earlier CA, which has the same name
            return False
        key = serialization.load_pem_private_key(self.files.key.read_bytes(), password=None)
        if key.public_key() != certificate.public_key():  # a kill came between the two files
            return False
        covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        has_names = set(covered.get_values_for_type(x509.DNSName))
        has_addresses = {str(address) for address in covered.get_values_for_type(x509.IPAddress)}
        return names <= has_names and addresses <= has_addresses

    def _issue(
        self,
        ca_key: ec.EllipticCurvePrivateKey,
        ca: x509.Certificate,
        names: Sequence[str],
        addresses: Sequence[str],
        now: datetime.datetime,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (names[0] if names else "localhost")[:64])])
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        certificate = (
            _begin_certificate(subject, ca.subject, key.public_key(), now, SERVER_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        replace_file(self.files.key, _encode_key(key), 0o600)
        chain = certificate.public_bytes(serialization.Encoding.PEM) + ca.public_bytes(serialization.Encoding.PEM)
        replace_file(self.files.certificate, chain, 0o644)


def fingerprint(certificate: Path) -> str:
    """The SHA-256 fingerprint, as browsers show it; empty where there is no certificate."""
    if not certificate.exists():
        return ""
    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()


def _begin_certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # A PC whose clock battery is empty may be behind the browser's clock.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _encode_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
