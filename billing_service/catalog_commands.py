"""`catalog apply`: show what the file would change at Stripe, ask, and do it."""

from datetime import timedelta
from pathlib import Path

import typer
from rich.console import Console

from billing_service.catalog_file import read_catalog
from billing_service.catalog_plan import plan, read_stripe
from billing_service.composition import open_stripe
from billing_service.mirror import Mirror
from billing_service.readiness import bind
from billing_service.settings import ServiceSettings
from billing_service.stripe_api import LiveStripe
from subscription_state import migrate
from subscription_state.errors import SchemaOutdated, StateUnavailable
from subscription_state.opening import open_database


async def apply(settings: ServiceSettings, file: Path, *, ask: bool) -> bool:
    """Make Stripe hold what the file says; False where the operator said no."""
    wanted = read_catalog(file)
    console = Console(highlight=False)
    stripe = open_stripe(settings)
    try:
        present = await read_stripe(stripe)
        changes = plan(wanted, present)
        if not changes:
            console.print("Nothing to change: Stripe holds all of it.")
            return True
        for change in changes:
            console.print(f"  will {change.description}", markup=False)
        if ask and not typer.confirm(f"Make these {len(changes)} changes?"):
            return False
        for change in changes:
            await change.carry_out(stripe, present)
        console.print(f"Made {len(changes)} changes.")
        await _refresh_mirror(settings, stripe, console)
        return True
    finally:
        await stripe.close()


async def _refresh_mirror(settings: ServiceSettings, stripe: LiveStripe, console: Console) -> None:
    """Let checks see the change at once; a running service would see it at its next read."""
    database = open_database(settings)
    try:
        await migrate.check(database)
        # Another account's catalogue must not replace the one that checks rest on.
        await bind(database, stripe, livemode=settings.livemode)
        await Mirror(database, stripe, interval=timedelta(0)).refresh()
    except (StateUnavailable, SchemaOutdated) as error:
        console.print(f"{error} The service will read the catalogue itself.")
    finally:
        await database.close()
