"""The installation's own authority: made once, trusted once, renewed when needed."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.tls import LocalAuthority, fingerprint

pytestmark = pytest.mark.unit

NAMES = ["pc", "pc.local", "localhost"]
ADDRESSES = ["192.168.1.20", "127.0.0.1", "::1"]


def server_certificate(authority: LocalAuthority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.files.certificate.read_bytes())


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    authority = LocalAuthority(tmp_path / "tls")
    assert authority.ensure(NAMES, ADDRESSES)
    return authority


def test_keys_are_readable_by_the_service_alone(authority: LocalAuthority, tmp_path: Path) -> None:
    for name in ("ca.key", "server.key"):
        assert (tmp_path / "tls" / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


def test_the_certificate_is_signed_by_the_authority_and_names_the_machine(authority: LocalAuthority) -> None:
    ca = x509.load_pem_x509_certificate(authority.files.ca_certificate.read_bytes())
    certificate = server_certificate(authority)
    covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    certificate.verify_directly_issued_by(ca)
    assert covered.get_values_for_type(x509.DNSName) == NAMES
    assert [str(address) for address in covered.get_values_for_type(x509.IPAddress)] == ADDRESSES


def test_python_accepts_what_was_made(authority: LocalAuthority) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.files.certificate, authority.files.key)
    client = ssl.create_default_context(cafile=str(authority.files.ca_certificate))

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = context.wrap_bio(outgoing, incoming, server_side=True)
    client_side = client.wrap_bio(incoming, outgoing, server_hostname="pc.local")
    for side in (client_side, server_side, client_side, server_side):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client_side.version() == "TLSv1.3"


def test_a_second_start_changes_nothing(authority: LocalAuthority) -> None:
    before = authority.files.certificate.read_bytes()

    assert not authority.ensure(NAMES, ADDRESSES)
    assert not authority.ensure(NAMES[:1], ADDRESSES[:1])
    assert authority.files.certificate.read_bytes() == before


def test_a_new_address_gets_a_new_certificate_from_the_same_authority(authority: LocalAuthority) -> None:
    ca = authority.files.ca_certificate.read_bytes()

    assert authority.ensure(NAMES, [*ADDRESSES, "10.9.8.7"])

    assert authority.files.ca_certificate.read_bytes() == ca
    covered = server_certificate(authority).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "10.9.8.7" in [str(address) for address in covered.get_values_for_type(x509.IPAddress)]


def test_a_certificate_near_its_end_is_renewed(authority: LocalAuthority) -> None:
    now = datetime.datetime.now(datetime.UTC)

    assert not authority.ensure(NAMES, ADDRESSES, now + datetime.timedelta(days=300))
    assert authority.ensure(NAMES, ADDRESSES, now + datetime.timedelta(days=370))
    assert server_certificate(authority).not_valid_after_utc > now + datetime.timedelta(days=700)


def test_phones_accept_its_lifetime(authority: LocalAuthority) -> None:
    certificate = server_certificate(authority)

    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 398


def test_a_broken_folder_says_what_to_do(authority: LocalAuthority) -> None:
    authority.files.ca_certificate.write_text("nonsense")

    with pytest.raises(ConfigurationError, match="delete the folder"):
        authority.ensure(NAMES, ADDRESSES)


def test_the_fingerprint_is_that_of_the_ca(authority: LocalAuthority, tmp_path: Path) -> None:
    assert len(fingerprint(authority.files.ca_certificate).split(":")) == 32
    assert fingerprint(tmp_path / "none") == ""


def test_a_kill_between_key_and_certificate_is_put_right(authority: LocalAuthority, tmp_path: Path) -> None:
    other = LocalAuthority(tmp_path / "other")
    other.ensure(NAMES, ADDRESSES)
    authority.files.key.write_bytes(other.files.key.read_bytes())
    assert authority.ensure(NAMES, ADDRESSES)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.files.certificate, authority.files.key)


def test_a_new_authority_signs_anew(authority: LocalAuthority, tmp_path: Path) -> None:
    (tmp_path / "tls" / "ca.key").unlink()
    assert authority.ensure(NAMES, ADDRESSES)
    ca = x509.load_pem_x509_certificate(authority.files.ca_certificate.read_bytes())
    server_certificate(authority).verify_directly_issued_by(ca)
    assert not authority.ensure(NAMES, ADDRESSES)
