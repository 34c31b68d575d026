"""What both clients have in common: settings, and how their methods present themselves."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from operator import methodcaller
from typing import Any, get_args

from grpc import StatusCode

from paidup._calls import Rpc
from paidup._channel import Options, arguments
from paidup._endpoint import Endpoint, Tls, Token
from paidup._errors import FailedCall, Unavailable, from_grpc

CLOSED = "The client is closed."

serialize = methodcaller("SerializeToString")


class BaseClient(ABC):
    """A channel's settings, and whether it has been closed."""

    #: What can be called.
    _rpcs: tuple[Rpc[Any], ...]

    def __init__(
        self,
        address: str,
        *,
        tls: Tls | None = None,
        plaintext: bool | None = None,
        token: Token | None = None,
        channel_options: Options = (),
    ) -> None:
        """Prepare to call the service at `address`, which may be any that gRPC resolves.

        The connection is guarded by TLS, with `tls` or else with the roots that
        gRPC brings along; on loopback alone it is plaintext where nothing else is
        said. `plaintext` says so for any address: True for plaintext, False for TLS.

        `token` goes with every call as `authorization: Bearer …`. It is a string or
        a function that returns the current one and does not block. Raises ValueError
        where it would have to leave this machine in plaintext.

        `channel_options` are gRPC's channel arguments, and prevail over Paidup's own.
        """
        self._endpoint = Endpoint(address=address, tls=tls, plaintext=plaintext, token=token)
        self._channel_arguments = arguments(self._endpoint, self._rpcs, channel_options)
        self._closed = False
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Make the channel and what calls each RPC over it."""

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError(CLOSED)

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
