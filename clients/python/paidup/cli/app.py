"""The commands, put together, and how the process ends."""

import traceback

import typer

from paidup.cli import administration, checks, own_stderr, selling, watching
from paidup.cli.exit_codes import DONE, FAILED, FOR_HELP_OF_CHECKS, INTERRUPTED
from paidup.cli.failures import say
from paidup.cli.session import register

app = typer.Typer(
    name="paidup",
    help="Ask Paidup what accounts have paid for, and administer it.\n\n"
    "Every command tells its options with --help. Ends with 0, or with 2 after an error; "
    "`check` with 1 where the account is not entitled.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

register(app, checks.check, ends=FOR_HELP_OF_CHECKS)
register(app, checks.list_, name="list")
register(app, checks.explain)
register(app, watching.watch)
register(app, selling.subscriptions)
register(app, selling.checkout)
register(app, selling.portal)
register(app, administration.grant)
register(app, administration.revoke)
register(app, administration.grants)
register(app, administration.events)
register(app, administration.replay)
register(app, administration.refresh)
register(app, administration.link)
register(app, administration.erase)
register(app, administration.audit)


def run() -> int:
    """Do what the command line says; return how the process should end."""
    own_stderr.keep()
    try:
        ended = app(prog_name="paidup", standalone_mode=False)
    except typer.TyperException as error:
        said_of = getattr(error, "ctx", None)
        command = said_of.command_path if said_of is not None else "paidup"
        say(f"paidup: {error.format_message().rstrip('.')}. See {command} --help.")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - a fault of ours must not look like "not entitled", which is 1
        traceback.print_exc()
        return FAILED
    return ended if isinstance(ended, int) else DONE
