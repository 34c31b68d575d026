"""Certificates and service accounts' tokens as tests need them, right ones and wrong ones."""

import ipaddress
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = "paidup"
DAY = timedelta(days=1)

_serials = itertools.count(1000)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A certificate and its key, both in PEM."""

    certificate: bytes
    key: bytes


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """A CA."""

    def __init__(self, name: str = "Paidup test CA") -> None:
        self._name = _name(name)
        self._key = _key()
        builder = self._builder(self._name, self._key.public_key(), datetime.now(UTC) + DAY)
        authority = x509.BasicConstraints(ca=True, path_length=None)
        signed = builder.add_extension(authority, critical=True).sign(self._key, hashes.SHA256())
        self.certificate = signed.public_bytes(Encoding.PEM)

    def issue(
        self,
        *,
        spiffe: Sequence[str] = (),
        dns: Sequence[str] = (),
        ip: Sequence[str] = (),
        expires: datetime | None = None,
        common_name: str = "somebody",
    ) -> Issued:
        """Sign a certificate; it expires in a day unless something else is said."""
        key = _key()
        until = expires or datetime.now(UTC) + DAY
        names: list[x509.GeneralName] = [
            *(x509.UniformResourceIdentifier(each) for each in spiffe),
            *(x509.DNSName(each) for each in dns),
            *(x509.IPAddress(ipaddress.ip_address(each)) for each in ip),
        ]
        builder = self._builder(_name(common_name), key.public_key(), until)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        return Issued(certificate=signed.public_bytes(Encoding.PEM), key=_key_pem(key))

    def issue_for_server(self, **more: Any) -> Issued:
        return self.issue(dns=["localhost"], ip=["127.0.0.1"], **more)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, expires: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(next(_serials))
            .not_valid_before(min(datetime.now(UTC), expires) - DAY)
            .not_valid_after(expires)
        )


@dataclass(kw_only=True)
class Cluster:
    """Signs the tokens of service accounts, as a cluster does."""

    kid: str = "key-1"
    rsa_key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    ec_key: ec.EllipticCurvePrivateKey = field(default_factory=_key)

    @property
    def keys(self) -> list[dict[str, Any]]:
        """The public keys as a JWKS lists them."""
        of_rsa = RSAAlgorithm.to_jwk(self.rsa_key.public_key(), as_dict=True)
        of_ec = ECAlgorithm.to_jwk(self.ec_key.public_key(), as_dict=True)
        return [
            {**of_rsa, "kid": self.kid, "alg": "RS256", "use": "sig"},
            {**of_ec, "kid": f"{self.kid}-ec", "use": "sig"},
        ]

    def token(
        self, subject: str = "system:serviceaccount:shop:web", *, alg: str = "RS256", **claims: Any
    ) -> str:
        """Sign a token that is right, but for what the claims say; None leaves a claim out."""
        key = self.rsa_key if alg == "RS256" else self.ec_key
        kid = self.kid if alg == "RS256" else f"{self.kid}-ec"
        return jwt.encode(self.claims(subject, **claims), key, alg, headers={"kid": kid})

    def claims(self, subject: str, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        right = {"iss": ISSUER, "aud": [AUDIENCE], "sub": subject, "iat": now, "exp": now + 600}
        return {name: value for name, value in (right | claims).items() if value is not None}
