"""The service's commands."""

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop
from rich.console import Console

from billing_service import (
    catalog_commands,
    doctor,
    encryption_commands,
    migrate_command,
    server,
    static_tokens,
    sync_command,
    webhooks_command,
    workers,
)
from billing_service.catalog_file import CatalogInvalid
from billing_service.door import DoorInvalid
from billing_service.errors import BillingError
from billing_service.listening import PortTaken
from billing_service.migrate_command import Part
from billing_service.settings import ServiceSettings
from billing_service.stripe_errors import StripeRefused
from billing_service.sync import AlreadyRunning
from billing_service.webhook_secrets import SecretsUnreadable
from billing_service.webhook_settings import WebhookSettings
from billing_service.webhooks_command import EndpointNotEnsured, Order
from billing_service.worker import REFUSED, WorkerFailed
from subscription_state import logs
from subscription_state import roles as database_roles
from subscription_state.errors import StateError
from subscription_state.opening import open_database
from subscription_state.settings import SettingsInvalid, StateSettings, load

app = typer.Typer(
    help="Paidup's gRPC service. Settings are environment variables: see docs/configuration.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
catalog = typer.Typer(help="Products, prices and features at Stripe.", no_args_is_help=True)
app.add_typer(catalog, name="catalog")
webhooks = typer.Typer(help="Webhook endpoints at Stripe.", no_args_is_help=True)
app.add_typer(webhooks, name="webhooks")

errors = Console(stderr=True, soft_wrap=True)
T = TypeVar("T")

#: What a person can mend; anything else is a fault of ours and shows its traceback.
EXPECTED = (
    StateError,
    BillingError,
    StripeRefused,
    PortTaken,
    DoorInvalid,
    WorkerFailed,
    CatalogInvalid,
    AlreadyRunning,
    SettingsInvalid,
    EndpointNotEnsured,
    SecretsUnreadable,
)
EXIT_FAILED = 1
EXIT_SETTINGS = 2
MOST_WORKERS = 64
#: A gateway follows its file within a second; a mounted secret takes about a minute.
WAIT_SECONDS = 90.0
#: For a job that is started again and again: somebody else is doing it.
EXIT_CODES: dict[type[Exception], int] = {AlreadyRunning: 3, SettingsInvalid: EXIT_SETTINGS}


@app.command()
def serve(
    *,
    processes: Annotated[
        int,
        typer.Option("--workers", min=1, max=MOST_WORKERS, help="Processes that share the port."),
    ] = 1,
) -> None:
    """Serve gRPC until SIGTERM, which finishes the calls in flight first."""
    if processes == 1:
        _run(ServiceSettings, server.serve)
    else:
        _run(ServiceSettings, lambda settings: workers.serve(settings, processes))


@app.command(hidden=True)
def worker(socket: Annotated[Path, typer.Argument(help="Where to answer who started it.")]) -> None:
    """Serve as one of several processes; `serve --workers` starts it."""
    _run(ServiceSettings, lambda settings: server.serve(settings, socket), failed=REFUSED)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="The caller; the policy names it token:NAME.")],
) -> None:
    """Make a token for a caller. Shows it once; only its hash is for the file of tokens."""
    try:
        made = static_tokens.make(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    plain = Console(soft_wrap=True, markup=False, highlight=False)
    plain.print(f"The token, for the caller alone:\n{made.token}")
    plain.print(f"The line for the file that PAIDUP_TOKENS_FILE names:\n{made.line}")


@app.command(name="migrate")
def migrate_(
    *,
    phase: Annotated[
        Part,
        typer.Option(
            help="before: what only adds, to be run before a new version is rolled out. "
            "after: what takes away, to be run when no older version runs any more. "
            "all: both, while nothing runs. A new database gets all.",
        ),
    ] = Part.BEFORE,
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing; end with 1 where this version cannot run."),
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="With --check: wait so many seconds until it can.")
    ] = 0,
) -> None:
    """Bring the database's schema up to date. Repeating it changes nothing."""
    if check:
        _run(StateSettings, lambda settings: migrate_command.check(settings, wait=wait))
    else:
        _run(StateSettings, lambda settings: migrate_command.apply(settings, phase))


@app.command()
def roles(
    file: Annotated[
        Path, typer.Argument(help="deploy/postgresql/roles.sql.", exists=True, dir_okay=False)
    ],
) -> None:
    """Give each process' role its rights on PostgreSQL, as the file says.

    To be run as the database's owner, after `migrate`. Repeating it changes nothing.
    """
    _run(StateSettings, lambda settings: _grant(settings, file.read_text()))
    Console().print("The roles have their rights.")


async def _grant(settings: StateSettings, statements: str) -> None:
    database = open_database(settings)
    try:
        await database_roles.grant(database, statements)
    finally:
        await database.close()


@catalog.command()
def apply(
    file: Annotated[Path, typer.Argument(help="A catalog in TOML.", exists=True, dir_okay=False)],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Create at Stripe what the file names and Stripe lacks: features, products, prices.

    Shows what it will change, and asks. Repeating it changes nothing.
    """
    applied = _run(
        ServiceSettings, lambda settings: catalog_commands.apply(settings, file, ask=not yes)
    )
    raise typer.Exit(0 if applied else 1)


@app.command()
def sync() -> None:
    """Compare every customer with Stripe, and save what differs. Interrupted, it goes on.

    Ends with 1 where some could not be compared, with 3 where another sync is running.
    """
    whole = _run(ServiceSettings, sync_command.sync)
    raise typer.Exit(0 if whole else 1)


@app.command()
def key(file: Annotated[Path, typer.Argument(help="The file to make.", dir_okay=False)]) -> None:
    """Make a file with a new key for PAIDUP_ENCRYPTION_KEY_FILES, readable to its owner alone."""
    sys.exit(encryption_commands.make_key(file))


@app.command()
def reencrypt() -> None:
    """Encrypt every stored body anew with the first key. Interrupted, run it again.

    Ends with 0 when no body needs another key; else with 1, and tells what is left and why.
    """
    whole = _run(StateSettings, encryption_commands.reencrypt)
    raise typer.Exit(0 if whole else 1)


@app.command(name="doctor")
def doctor_(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object, for scripts.")] = False,
    webhook_url: Annotated[
        str, typer.Option(help="Instead of PAIDUP_WEBHOOK_URL: where Stripe delivers.")
    ] = "",
    gateway_url: Annotated[
        str, typer.Option(help="Where the gateway takes the probe, if not there.")
    ] = "",
) -> None:
    """Look for what is wrong: key, database, webhooks, catalogue, portal, customers.

    Ends with 1 where something is a problem; a warning alone ends with 0.
    """
    where = doctor.Where(webhook_url=webhook_url, gateway_url=gateway_url)
    healthy = _run(
        WebhookSettings, lambda settings: doctor.examine(settings, where, as_json=as_json)
    )
    raise typer.Exit(0 if healthy else 1)


@webhooks.command()
def ensure(
    *,
    url: Annotated[
        str, typer.Option(help="Where Stripe delivers; PAIDUP_WEBHOOK_URL unless given.")
    ] = "",
    secret_file: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Where a new endpoint's secret is put, with mode 0600."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make another endpoint, with another secret.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds that the gateway has to take a new secret over.")
    ] = WAIT_SECONDS,
) -> None:
    """Make Stripe's endpoint for the URL what it has to be. Repeating it changes nothing.

    An endpoint of another version, or one to --replace, is disabled once the gateway
    takes events of the one that was made beside it. No secret is ever printed.
    """
    order = Order(
        url=url, secret_file=secret_file, replace=replace, dry_run=dry_run, wait_seconds=wait
    )
    _run(WebhookSettings, lambda settings: webhooks_command.ensure(settings, order))


@webhooks.command(name="list")
def list_() -> None:
    """List the account's webhook endpoints, and what each lacks."""
    _run(WebhookSettings, webhooks_command.show)


S = TypeVar("S", bound=StateSettings)


def _run(
    settings_type: type[S],
    work: Callable[[S], Coroutine[Any, Any, T]],
    *,
    failed: int = EXIT_FAILED,
) -> T:
    """Read the settings, then do the work; what a person can mend is told without a traceback."""
    try:
        settings = load(settings_type)
    except SettingsInvalid as error:
        errors.print(str(error), style="red", markup=False, highlight=False)
        sys.exit(EXIT_SETTINGS)
    logs.configure(settings.log_format)
    try:
        return uvloop.run(work(settings))
    except EXPECTED as error:
        errors.print(str(error), style="red", markup=False, highlight=False)
        sys.exit(EXIT_CODES.get(type(error), failed))
