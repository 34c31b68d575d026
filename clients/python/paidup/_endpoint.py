"""Where the service is, how the way there is guarded, and as whom it is called."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc

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
class Endpoint:
    """Settings that were checked against each other, so that no token leaks later."""

    address: str
    tls: Tls | None = None
    #: None means: on loopback only.
    plaintext: bool | None = None
    token: Token | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.tls is not None and self.plaintext:
            raise ValueError("Plaintext and TLS exclude each other.")
        if self.token is not None and self.in_plaintext and not self.on_loopback:
            raise ValueError("A token would be readable on the way: use TLS.")

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

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Return what guards the channel; None for plaintext."""
        if self.in_plaintext:
            return None
        tls = self.tls or Tls()
        return grpc.ssl_channel_credentials(
            tls.root_certificates, tls.private_key, tls.certificate_chain
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what is sent with a call made now."""
        if self.token is None:
            return ()
        # Files end in a newline, which a header may not hold.
        token = (self.token if isinstance(self.token, str) else self.token()).strip()
        if not token or not token.isascii() or not token.isprintable():
            # gRPC would refuse it too, but quote it.
            raise ValueError("The token is empty or holds what a header cannot carry.")
        return (("authorization", f"Bearer {token}"),)


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
