"""What both clients have in common: settings, and how their methods present themselves."""

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from google.protobuf.message import Message
from grpc import StatusCode

from paidup._bearer import Bearer
from paidup._calls import WATCH_ENTITLEMENTS, Rpc
from paidup._channel import Options, arguments
from paidup._endpoint import Endpoint, Tls, TlsFiles, Token
from paidup._errors import FailedCall, Unavailable, from_grpc
from paidup._lines import Lines

CLOSED = "The client is closed."

log = logging.getLogger("paidup.credentials")


class BaseClient(ABC):
    """A channel's settings, and whether it has been closed."""

    #: What can be called, and what can be followed.
    _rpcs: tuple[Rpc[Any], ...]
    _streams: tuple[Rpc[Any], ...] = ()
    _lines: Lines[Any]

    def __init__(
        self,
        address: str,
        *,
        tls: Tls | TlsFiles | None = None,
        plaintext: bool | None = None,
        token: Token | None = None,
        token_file: str | Path | None = None,
        channel_options: Options = (),
    ) -> None:
        """Prepare to call the service at `address`, which may be any that gRPC resolves.

        The connection is guarded by TLS, with `tls` or else with the roots that
        gRPC brings along; on loopback alone it is plaintext where nothing else is
        said. `plaintext` says so for any address: True for plaintext, which sends a
        token as it is and so is for a mesh that encrypts; False for TLS.

        `token` goes with every call as `authorization: Bearer …`. It is a string or
        a function that returns the current one and does not block. `token_file`
        names a file instead, which is read anew when it has changed.

        `channel_options` are gRPC's channel arguments, and prevail over Paidup's own.

        Raises ValueError for what contradicts itself, and ValueError or OSError for
        files that cannot be used. Once made, a client keeps what it has read until
        there is something better to read.
        """
        endpoint = Endpoint(
            address=address, tls=tls, plaintext=plaintext, token=token, token_file=token_file
        )
        self._endpoint = endpoint
        self._bearer = Bearer(endpoint)
        self._closed = False
        self._open(arguments(endpoint, self._rpcs, channel_options))
        if endpoint.shows_token:
            log.info("tokens go to %s in plaintext, which a mesh has to encrypt", address)

    @abstractmethod
    def _open(self, channel_arguments: Options) -> None:
        """Make the line that calls go over."""

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError(CLOSED)

    @contextmanager
    def _watching(self, ask: Callable[[], Message]) -> Iterator[Any]:
        """Give a stream of changes, which ends with the block. `ask` makes the request."""
        metadata = self._bearer.metadata()
        with self._lines.borrow() as line:
            call = line.methods[WATCH_ENTITLEMENTS.path](ask(), metadata=metadata)
            try:
                yield call
            finally:
                call.cancel()

    def _failure(self, failed: FailedCall) -> Exception:
        """Return what to raise for a call that failed, perhaps because of `close`."""
        return RuntimeError(CLOSED) if self._closed else from_grpc(failed)

    def _not_ready(self, timeout: float) -> Unavailable:
        return Unavailable(
            f"No server at {self._endpoint.address} was ready within {timeout:g} seconds.",
            code=StatusCode.UNAVAILABLE,
        )


def describe(method: Any, build: Callable[..., object], returns: Any = None) -> None:
    """Have `help()` and the like show `method` as `build`, a method that returns the answer.

    `returns` is a generic type that the answer comes in, if any.
    """
    signature = inspect.signature(build)
    answer = get_args(signature.return_annotation)[-1]
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__name__ = method.__qualname__ = build.__name__
    method.__doc__ = build.__doc__
    method.__signature__ = signature.replace(
        parameters=[this, *signature.parameters.values()],
        return_annotation=returns[answer] if returns else answer,
    )
