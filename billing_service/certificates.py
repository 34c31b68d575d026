"""The server's certificate, replaced without a restart, and the names in callers' certificates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from billing_service import metrics
from billing_service.watched_file import FileInvalid, WatchedFiles

#: How callers that have no SPIFFE ID are named.
KIND = "dns:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What the server shows of itself, and whose signature it accepts."""

    configuration: grpc.ServerCertificateConfiguration


def parse(contents: Sequence[bytes]) -> Identity:
    """Read certificate chain, key and perhaps the callers' CA, in PEM; raise `FileInvalid`."""
    chain, key, *roots = contents
    certificate = _certificates(chain, "certificate")[0]
    expiry = certificate.not_valid_after_utc
    if expiry <= datetime.now(UTC):
        raise FileInvalid("the certificate has expired")
    if _public(load_pem_private_key(key, None)) != _public(certificate):
        raise FileInvalid("the key is another certificate's")
    for root in roots:
        _certificates(root, "CA")
    metrics.CERTIFICATE_EXPIRY.set(expiry.timestamp())
    pairs = [(key, chain)]
    return Identity(
        configuration=grpc.ssl_server_certificate_configuration(pairs, roots[0] if roots else None)
    )


def _certificates(content: bytes, what: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise FileInvalid(f"the {what} is not one in PEM") from None


def _public(holder: object) -> bytes:
    key = holder.public_key()  # type: ignore[attr-defined]  # both kinds of holder have one
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def credentials(files: WatchedFiles[Identity], *, of_clients: bool) -> grpc.ServerCredentials:
    """Make the credentials of one address; each new connection gets the newest certificate.

    `of_clients` has callers without a certificate refused. Asking for one and doing without
    where there is none is more than grpcio offers.
    """
    given = files.current

    def newest() -> Any:
        # Asked at every handshake; None leaves things as they are.
        nonlocal given
        if files.current is given:
            return None
        given = files.current
        return given.configuration

    return grpc.dynamic_ssl_server_credentials(given.configuration, newest, of_clients)


def caller(auth_context: Mapping[str, Iterable[bytes]]) -> str | None:
    """Name whose certificate a connection was made with: its SPIFFE ID, else its first DNS name.

    None where it was made without one, or where it names nobody.
    """
    for spiffe_id in auth_context.get("peer_spiffe_id", ()):
        return spiffe_id.decode()
    for name in auth_context.get("peer_dns", ()):
        return KIND + name.decode()
    return None
