"""Certificates for tests, made anew."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HERE = ("localhost", "127.0.0.1")


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A key and a certificate, both as PEM."""

    key: bytes
    certificate: bytes


class Authority:
    """Vouches for others."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        signed = _signed(name, self._key.public_key(), issuer=self._name, key=self._key, hosts=None)
        self.certificate = signed.public_bytes(Encoding.PEM)

    def issue(self, name: str, hosts: tuple[str, ...] = HERE) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _signed(name, key.public_key(), issuer=self._name, key=self._key, hosts=hosts)
        return Certificate(key=_private(key), certificate=signed.public_bytes(Encoding.PEM))


def make_certificate(directory: Path, name: str) -> Certificate:
    """Make a certificate that vouches for itself, and files of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    signed = _signed(name, key.public_key(), issuer=_named(name), key=key, hosts=HERE)
    made = Certificate(key=_private(key), certificate=signed.public_bytes(Encoding.PEM))
    (directory / f"{name}.key").write_bytes(made.key)
    (directory / f"{name}.pem").write_bytes(made.certificate)
    return made


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _signed(
    name: str,
    public: ec.EllipticCurvePublicKey,
    *,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    hosts: tuple[str, ...] | None,
) -> x509.Certificate:
    """Sign a certificate; without hosts, an authority's."""
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=hosts is None, path_length=None), critical=True)
    )
    if hosts is not None:
        names = x509.SubjectAlternativeName([_host(each) for each in hosts])
        made = made.add_extension(names, critical=False)
    return made.sign(key, hashes.SHA256())


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
