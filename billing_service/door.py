"""What gRPC is served with: its addresses' credentials, and who is let in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc

from billing_service import certificates, policy_file, service_tokens, static_tokens
from billing_service.access import Access
from billing_service.access_settings import AccessSettings
from billing_service.callers import Callers
from billing_service.service_tokens import Keys, ServiceTokens
from billing_service.settings import split
from billing_service.watched_file import FileInvalid, WatchedFiles

T = TypeVar("T")


class DoorInvalid(Exception):
    """Files that say who may call cannot be used; one line a problem."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """How to be reached, and by whom."""

    #: None lets everybody in: plaintext on loopback, or what a mesh guards.
    access: Access | None = None
    #: Of `PAIDUP_GRPC_LISTEN`; None for plaintext.
    credentials: grpc.ServerCredentials | None = None
    #: Of `PAIDUP_GRPC_TOKEN_LISTEN`.
    token_credentials: grpc.ServerCredentials | None = None


class _Files:
    """Opens files, and remembers what is wrong with all of them."""

    def __init__(self) -> None:
        self.opened: list[WatchedFiles[Any]] = []
        self.problems: list[str] = []

    def open(
        self, kind: str, *paths: Path | None, parse: Callable[[Sequence[bytes]], T]
    ) -> WatchedFiles[T] | None:
        """Open those that are set; None where none is, or where they cannot be used."""
        named = [each for each in paths if each is not None]
        if not named:
            return None
        try:
            files = WatchedFiles(kind, named, parse)
        except FileInvalid as error:
            self.problems.append(str(error))
            return None
        self.opened.append(files)
        return files


def open_door(settings: AccessSettings) -> Door:
    """Read every file that says who may call; raise `DoorInvalid` with all that is wrong."""
    files = _Files()
    tokens = files.open("tokens", settings.tokens_file, parse=static_tokens.parse)
    keys = files.open("jwks", settings.jwt_jwks_file, parse=service_tokens.parse)
    policy = files.open("policy", settings.policy_file, parse=policy_file.parse)
    tls = (settings.tls_certificate_file, settings.tls_key_file, settings.tls_client_ca_file)
    pair = files.open("certificate", *tls, parse=certificates.parse)
    if files.problems:
        raise DoorInvalid("\n".join(files.problems))
    callers = Callers(tokens=tokens, service_tokens=_service_tokens(settings, keys))
    of_clients = settings.tls_client_ca_file is not None
    return Door(
        access=Access(callers, policy, files.opened) if policy else None,
        credentials=certificates.credentials(pair, of_clients=of_clients) if pair else None,
        token_credentials=certificates.credentials(pair, of_clients=False) if pair else None,
    )


def _service_tokens(
    settings: AccessSettings, keys: WatchedFiles[Keys] | None
) -> ServiceTokens | None:
    if keys is None:
        return None
    return ServiceTokens(keys, issuers=split(settings.jwt_issuers), audience=settings.jwt_audience)
