"""Which Stripe account and mode the database belongs to."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.errors import WrongDeployment
from subscription_state.tables import deployment
from subscription_state.upsert import insert_or_ignore

DEPLOYMENT_ID = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """One Stripe account in one mode."""

    livemode: bool
    #: Stripe's id (`acct_…`); None until it was read from Stripe.
    stripe_account_id: str | None


async def get(connection: AsyncConnection) -> Deployment | None:
    """Get what the database was bound to; None before the first start of the service."""
    row = (await connection.execute(select(deployment))).first()
    if row is None:
        return None
    return Deployment(livemode=row.livemode, stripe_account_id=row.stripe_account_id)


async def bind(
    connection: AsyncConnection, *, livemode: bool, stripe_account_id: str | None = None
) -> Deployment:
    """Bind the database, or raise `WrongDeployment` where it is bound to another.

    The account's id may be given later than the mode; it is remembered then.
    """
    row = {"deployment_id": DEPLOYMENT_ID, "livemode": livemode}
    await connection.execute(insert_or_ignore(connection, deployment, row))
    bound = await get(connection)
    if bound is None or bound.livemode != livemode:
        raise WrongDeployment(f"The database belongs to Stripe's {_mode(not livemode)} mode.")
    if stripe_account_id in (None, bound.stripe_account_id):
        return bound
    if bound.stripe_account_id is not None:
        raise WrongDeployment(f"The database belongs to Stripe account {bound.stripe_account_id}.")
    await connection.execute(update(deployment).values(stripe_account_id=stripe_account_id))
    return Deployment(livemode=livemode, stripe_account_id=stripe_account_id)


def _mode(livemode: bool) -> str:  # noqa: FBT001 - the value is the whole argument
    return "live" if livemode else "test"
