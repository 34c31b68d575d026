"""What every command has in common: options, clients, and how it fails."""

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import typer

from paidup._blocking_admin_client import BlockingAdminClient
from paidup._blocking_client import BlockingBillingClient
from paidup.cli import failures
from paidup.cli.connection import Connection
from paidup.cli.exit_codes import FAILED, FOR_HELP, NOBODY_READS
from paidup.cli.output import Output


class Session:
    """One run of a command. `with` closes the clients that it opened."""

    def __init__(self, connection: Connection, *, as_json: bool, timeout: float | None) -> None:
        self.connection = connection
        self.out = Output(as_json=as_json)
        #: Each call's own deadline, or the one that was asked for. To be passed on with `**`.
        self.deadline: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        self._opened = ExitStack()

    def billing(self) -> BlockingBillingClient:
        return self._opened.enter_context(BlockingBillingClient(**self.connection.settings()))

    def admin(self) -> BlockingAdminClient:
        return self._opened.enter_context(BlockingAdminClient(**self.connection.settings()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.close()


def _session(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one object, or a line for each of a list.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            envvar="PAIDUP_TIMEOUT",
            metavar="SECONDS",
            help="How long to wait for each answer. Each call has a default of its own.",
        ),
    ] = None,
    address: Annotated[
        str,
        typer.Option(
            envvar="PAIDUP_ADDRESS",
            metavar="HOST:PORT",
            help="Where the service is.",
        ),
    ] = "127.0.0.1:50051",
    tls: Annotated[
        bool | None,
        typer.Option(
            "--tls/--plaintext",
            envvar="PAIDUP_TLS",
            help="Whether to use TLS. Without either: everywhere but on loopback.",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            envvar="PAIDUP_TLS_CA",
            metavar="FILE",
            help="Whom to trust, as PEM, instead of gRPC's own list.",
        ),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            envvar="PAIDUP_TLS_CERT",
            metavar="FILE",
            help="The caller's own certificate, as PEM, where the service asks for one.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            envvar="PAIDUP_TLS_KEY",
            metavar="FILE",
            help="The key of that certificate, as PEM.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar="PAIDUP_TOKEN_FILE",
            metavar="FILE",
            help="The token to call with, read anew before every call. The variable PAIDUP_TOKEN "
            "holds a token itself; no option does.",
        ),
    ] = None,
) -> Session:
    connection = Connection(
        address=address, tls=tls, ca=ca, cert=cert, key=key, token_file=token_file
    )
    return Session(connection, as_json=as_json, timeout=timeout)


_SHARED = inspect.signature(_session).parameters


def register(
    app: typer.Typer, work: Callable[..., int | None], *, name: str = "", ends: str = FOR_HELP
) -> None:
    """Make a command of `work`, whose first argument is the session, with everyone's options.

    What `work` returns is how the process ends; None for 0.
    """

    def command(**arguments: Any) -> None:
        session = _session(**{name: arguments.pop(name) for name in _SHARED})
        raise typer.Exit(_ended(session, lambda: work(session, **arguments)))

    own = [each for each in inspect.signature(work).parameters.values() if each.name != "session"]
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    parameters = [each.replace(kind=keyword_only) for each in (*own, *_SHARED.values())]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = f"{inspect.getdoc(work)}\n\n{ends}"
    app.command(name or work.__name__)(command)


def _ended(session: Session, work: Callable[[], int | None]) -> int:
    try:
        with session:
            return work() or 0
    except BrokenPipeError:
        return NOBODY_READS
    except failures.EXPECTED as error:
        failures.tell(error, as_json=session.out.as_json)
        return FAILED
