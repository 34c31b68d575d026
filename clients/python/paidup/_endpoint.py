"""Where the service is, how the way there is guarded, and as whom it is called."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

#: A token, or what gives the current one. A function is called before every call
#: and must not block: read a file that is rotated, do not ask a server.
Token: TypeAlias = str | Callable[[], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """Certificates, each the content of a PEM file."""

    #: Whom to trust. None means the roots that gRPC brings along.
    root_certificates: bytes | None = None
    #: The caller's own key and certificate chain, where the service asks for them.
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("A private key and its certificate chain need each other.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """Certificates as PEM files. When they are renewed, a client connects with the new ones."""

    #: Whom to trust. None means the roots that gRPC brings along.
    ca: str | Path | None = None
    #: The caller's own certificate chain and its key, where the service asks for them.
    certificate: str | Path | None = None
    key: str | Path | None = None

    def __post_init__(self) -> None:
        if (self.key is None) != (self.certificate is None):
            raise ValueError("A private key and its certificate chain need each other.")
        if self.ca is None and self.key is None:
            raise ValueError("Name a file at least, or leave TlsFiles out.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Settings that were checked against each other."""

    address: str
    tls: Tls | TlsFiles | None = None
    #: None means: on loopback only.
    plaintext: bool | None = None
    token: Token | None = field(default=None, repr=False)
    token_file: str | Path | None = None

    def __post_init__(self) -> None:
        if self.tls is not None and self.plaintext:
            raise ValueError("Plaintext and TLS exclude each other.")
        if self.token is not None and self.token_file is not None:
            raise ValueError("Give a token, or the file that it is in.")

    @property
    def on_loopback(self) -> bool:
        """Whether nothing sent there leaves this machine. In doubt, it does."""
        if self.address.startswith(("unix:", "unix-abstract:")):
            return True
        endpoints = re.sub(r"^(dns:///|dns:(?!//)|ipv4:|ipv6:)", "", self.address)
        return all(_is_loopback(_host(endpoint)) for endpoint in endpoints.split(","))

    @property
    def in_plaintext(self) -> bool:
        if self.plaintext is None:
            return self.tls is None and self.on_loopback
        return self.plaintext

    @property
    def shows_token(self) -> bool:
        """Whether a token leaves this machine readable, as behind a mesh that encrypts it."""
        has_token = self.token is not None or self.token_file is not None
        return has_token and self.in_plaintext and not self.on_loopback


def _host(endpoint: str) -> str:
    if endpoint.startswith("["):
        return endpoint[1:].partition("]")[0]
    return endpoint.partition(":")[0]


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
