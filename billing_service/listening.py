"""Addresses that the service listens at: announced, refused when taken, or kept for its workers."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import grpc


class PortTaken(Exception):
    """Something else listens there already."""

    def __init__(self, listen: str, variable: str) -> None:
        super().__init__(f"Cannot listen on {listen}: choose another with {variable}.")


#: What is announced of an address.
LISTENING = "listening on"
TAKING_TOKENS = "taking tokens on"

#: What, host and port.
Announced = tuple[str, str, int]


def announce(what: str, host: str, port: int) -> None:
    """Tell whoever started the process, and waits for this line."""
    print(f"billing_service {what} {host}:{port}", flush=True)  # noqa: T201 - see above


def bind(
    server: grpc.aio.Server, listen: str, variable: str, credentials: grpc.ServerCredentials | None
) -> int:
    """Have gRPC served there, in plaintext without credentials; give the port."""
    try:
        if credentials is None:
            return server.add_insecure_port(listen)
        return server.add_secure_port(listen, credentials)
    except RuntimeError as error:
        raise PortTaken(listen, variable) from error


@contextmanager
def kept(listen: str, variable: str) -> Iterator[str]:
    """Keep an address, port 0 settled, for processes that share it; raise `PortTaken`.

    Nobody but them can have it meanwhile: it is bound, and never listened at.
    """
    host, _, port = listen.rpartition(":")
    with ExitStack() as sockets:
        try:
            number = _bound(sockets, host.strip("[]"), int(port))
        except OSError as error:
            raise PortTaken(listen, variable) from error
        yield f"{host}:{number}"


def _bound(sockets: ExitStack, host: str, number: int) -> int:
    for family, kind, _, _, address in socket.getaddrinfo(host, number, type=socket.SOCK_STREAM):
        where = (address[0], number, *address[2:])
        if number:
            _look_whether_free(family, kind, where)
        keeper = sockets.enter_context(socket.socket(family, kind))
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind(where)
        number = keeper.getsockname()[1]
    return number


def _look_whether_free(family: int, kind: int, where: tuple[object, ...]) -> None:
    """Raise `OSError` where others have it: sharing, the keeper would not notice."""
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(where)
