"""`python -m webhook_gateway`."""

import typer
import uvloop
from pydantic.fields import FieldInfo
from sqlalchemy.exc import ArgumentError

from subscription_state import logs
from subscription_state.database import Database
from subscription_state.opening import open_database
from subscription_state.settings import PREFIX, SettingsInvalid, load
from webhook_gateway import server
from webhook_gateway.settings import GatewaySettings

EXIT_FAILED = 1
EXIT_SETTINGS = 2


def _settings_help() -> str:
    """List the settings; each paragraph is one, as the terminal wraps them."""
    head = (
        "Settings are environment variables. A file can hold the value of any instead, "
        "and PAIDUP_…_FILE names it."
    )
    return "\n\n".join([head, *map(_setting_help, GatewaySettings.model_fields.items())])


def _setting_help(setting: tuple[str, FieldInfo]) -> str:
    name, field = setting
    default = "Required." if field.is_required() else f"Default: {field.default or 'none'}."
    return f"{PREFIX}{name.upper()}: {field.description} {default}"


# Tracebacks are the log's business, and their local variables nobody's.
cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command(epilog=_settings_help())
def serve() -> None:
    """Receive Stripe's webhooks at /webhooks/stripe and write them into the shared state.

    /healthz tells whether the process lives, /readyz whether it can take events
    in, /metrics what it counts. SIGTERM stops it once all that it accepted is
    committed and answered.
    """
    try:
        settings = load(GatewaySettings)
        database = _open(settings)
    except SettingsInvalid as error:
        raise _failure(error, EXIT_SETTINGS) from None
    logs.configure(settings.log_format)
    try:
        uvloop.run(server.serve(settings, database))
    except SettingsInvalid as error:
        raise _failure(error, EXIT_SETTINGS) from None
    except server.CannotListen as error:
        raise _failure(error, EXIT_FAILED) from None


def _open(settings: GatewaySettings) -> Database:
    try:
        return open_database(settings)
    except (ArgumentError, ValueError, OSError) as error:
        # The URL may hold a password, and so may the error's text.
        line = f"{PREFIX}DATABASE_URL: cannot be opened ({type(error).__name__})"
        raise SettingsInvalid(line) from error


def _failure(error: Exception, code: int) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(code)


if __name__ == "__main__":
    cli(prog_name="python -m webhook_gateway")
