"""The database remembers whose it is."""

import pytest

from subscription_state import deployment
from subscription_state.database import Database
from subscription_state.deployment import Deployment
from subscription_state.errors import WrongDeployment


async def bind(
    database: Database, *, livemode: bool = False, account: str | None = None
) -> Deployment:
    return await database.write(
        lambda connection: deployment.bind(connection, livemode=livemode, stripe_account_id=account)
    )


async def remembered(database: Database) -> Deployment | None:
    async with database.read() as connection:
        return await deployment.get(connection)


async def test_a_new_database_belongs_to_nobody(database: Database) -> None:
    assert await remembered(database) is None


@pytest.mark.parametrize("livemode", [False, True])
async def test_it_is_bound_once_and_then_again_by_the_same(
    database: Database, *, livemode: bool
) -> None:
    for _ in range(2):
        bound = await bind(database, livemode=livemode, account="acct_ours")

        assert bound == Deployment(livemode=livemode, stripe_account_id="acct_ours")
        assert await remembered(database) == bound


async def test_the_account_may_be_told_later_than_the_mode(database: Database) -> None:
    assert await bind(database) == Deployment(livemode=False, stripe_account_id=None)

    told = await bind(database, account="acct_ours")

    assert told == Deployment(livemode=False, stripe_account_id="acct_ours")
    assert await remembered(database) == told
    assert await bind(database) == told


@pytest.mark.parametrize(("livemode", "belongs"), [(False, "test"), (True, "live")])
async def test_another_mode_is_refused(database: Database, *, livemode: bool, belongs: str) -> None:
    bound = await bind(database, livemode=livemode)

    with pytest.raises(WrongDeployment, match=f"{belongs} mode"):
        await bind(database, livemode=not livemode, account="acct_ours")

    assert await remembered(database) == bound


async def test_another_account_is_refused(database: Database) -> None:
    bound = await bind(database, account="acct_ours")

    with pytest.raises(WrongDeployment, match="acct_ours"):
        await bind(database, account="acct_theirs")

    assert await remembered(database) == bound
