"""The authority of a cluster and the certificates that it issues to the programs of each machine."""

from __future__ import annotations

import datetime
import ipaddress
from typing import Any

from ansible.module_utils.private_folder import PrivateFolder, VaultError
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PROGRAMS = ("consul", "nomad", "nats", "agent")
# Those that only ask: their certificate makes no server of whoever has it.
CLIENTS = ("agent",)
# Browsers' limit, which some libraries keep too.
LEAF_DAYS = 825
# Any run within these last days renews, so a house that runs the playbook every other month never sees one expire.
RENEW_DAYS = 60
AUTHORITY_DAYS = 7300
# Old PCs boot with a clock that is behind.
BACKDATE = datetime.timedelta(days=1)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise VaultError("a key of the vault is not one that this program makes; restore the vault from a backup")
    return key


class Authority:
    """The cluster's own authority, which no browser and no person imports."""

    def __init__(self, vault: PrivateFolder, leaf_days: int = LEAF_DAYS) -> None:
        self._vault = vault
        self._leaf_days = leaf_days
        pem, certificate = vault.read("ca-key.pem"), vault.read("ca.pem")
        if certificate is not None and pem is None:
            raise VaultError(
                f"{vault.path}/ca-key.pem is missing; restore the vault from a backup (pipecatapp restore)"
            )
        # The key is written first, so that a crash in between leaves a key that a certificate can still be made for.
        if pem is None:
            pem = _pem_of(ec.generate_private_key(ec.SECP256R1()))
            vault.write("ca-key.pem", pem)
        self._key = _load_key(pem)
        if certificate is None:
            certificate = self._own_certificate()
            vault.write("ca.pem", certificate)
        self.pem = certificate
        self._certificate = x509.load_pem_x509_certificate(certificate)
        if self._certificate.public_key() != self._key.public_key():
            raise VaultError(f"{vault.path}/ca.pem and ca-key.pem do not belong together; restore both from a backup")

    def _own_certificate(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pipecatapp cluster authority")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        built = (
            self._builder(name, name, self._key.public_key(), AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        return built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(self, subject: x509.Name, issuer: x509.Name, key: Any, days: int) -> x509.CertificateBuilder:
        start = _now() - BACKDATE
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def keep_pair(
        self, place: str, names: list[x509.GeneralName], *, anew: bool = False, serves: bool = True
    ) -> tuple[str, str]:
        """The certificate ``place``.pem and its key, issued where they are missing, expire soon or say other names.

        ``serves``: whether it is a server's, too.
        """
        pem, key = self._vault.read(f"{place}.pem"), self._vault.read(f"{place}.key")
        if anew or pem is None or key is None or not self._serves(pem, key, names):
            fresh = ec.generate_private_key(ec.SECP256R1())
            pem, key = self._issue(fresh, names, serves), _pem_of(fresh)
            self._vault.write(f"{place}.key", key)
            self._vault.write(f"{place}.pem", pem)
        return pem.decode(), key.decode()

    def _issue(self, key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName], serves: bool) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(names[0].value))])
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        uses = [ExtendedKeyUsageOID.SERVER_AUTH] if serves else []
        extended = x509.ExtendedKeyUsage([*uses, ExtendedKeyUsageOID.CLIENT_AUTH])
        built = (
            self._builder(subject, self._certificate.subject, key.public_key(), self._leaf_days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(extended, critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _serves(self, pem: bytes, key: bytes, names: list[x509.GeneralName]) -> bool:
        try:
            found = x509.load_pem_x509_certificate(pem)
            listed = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            found.verify_directly_issued_by(self._certificate)
            whole = found.public_key() == _load_key(key).public_key()
        except (ValueError, TypeError, x509.ExtensionNotFound, VaultError, InvalidSignature):
            return False
        enough = _now() + datetime.timedelta(days=RENEW_DAYS)
        # One that is not valid yet was issued while the clock was wrong.
        return (
            whole
            and set(listed) == set(names)
            and found.not_valid_before_utc <= _now() <= enough <= found.not_valid_after_utc
        )


def certificate_names(role: str, program: str, place: str, node: str, address: str) -> list[x509.GeneralName]:
    """What a program's certificate stands for, first its role: a worker never gets a server's name."""
    addresses = dict.fromkeys(["127.0.0.1", "::1", address])
    return [
        *(x509.DNSName(name) for name in (f"{role}.{place}.{program}", node, "localhost")),
        *(x509.IPAddress(ipaddress.ip_address(text)) for text in addresses),
    ]
