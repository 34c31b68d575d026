"""Migrations in two phases: what this version runs on, what it refuses, and what waits for what."""

import ast
from functools import partial

import pytest
from sqlalchemy import Connection, inspect

from subscription_state import migrate
from subscription_state.database import Database
from subscription_state.errors import MigrationBlocked, SchemaOutdated, VersionOutdated
from subscription_state.schema_history import MIGRATIONS, OURS, Phase
from tests.state.future import ADDING, ADDING_AGAIN, TAKING
from tests.state.steps import upgrade_to

#: All that a migration may do that older versions run beside.
ADDS = {"add_column", "batch_alter_table", "create_index", "create_table", "f"}
VERSIONS = sorted((MIGRATIONS / "versions").glob("*.py"))


@pytest.fixture
async def database(empty_database: Database) -> Database:
    """Give a database at this version's schema, and to this test alone."""
    await migrate.upgrade(empty_database)
    return empty_database


async def _columns(database: Database, table: str) -> set[str]:
    def named(connection: Connection) -> set[str]:
        return {column["name"] for column in inspect(connection).get_columns(table)}

    async with database.read() as connection:
        return await connection.run_sync(named)


async def test_this_version_goes_on_beside_one_that_has_added(database: Database) -> None:
    applied = await migrate.upgrade(database, Phase.BEFORE, history=ADDING)

    await migrate.check(database)

    assert applied.applied == "future_1"
    assert await migrate.look(database) == migrate.Standing(applied="future_1")
    assert "invented" in await _columns(database, "subscription")


async def test_this_version_refuses_a_schema_that_lost_what_it_needs(database: Database) -> None:
    await migrate.upgrade(database, history=TAKING)

    with pytest.raises(VersionOutdated, match="at future_2, and with future_2 it lost"):
        await migrate.check(database)
    with pytest.raises(VersionOutdated):
        await migrate.upgrade(database)

    await migrate.check(database, history=TAKING)


async def test_it_still_refuses_when_more_has_been_added_since(database: Database) -> None:
    await migrate.upgrade(database, history=ADDING_AGAIN)

    with pytest.raises(VersionOutdated, match="at future_3, and with future_2 it lost"):
        await migrate.check(database)


async def test_a_version_that_knows_what_was_lost_goes_on(database: Database) -> None:
    await migrate.upgrade(database, history=ADDING_AGAIN)

    await migrate.check(database, history=TAKING)


async def test_the_migrate_of_an_older_version_leaves_a_newer_schema_alone(
    database: Database,
) -> None:
    await migrate.upgrade(database, history=ADDING)

    assert (await migrate.upgrade(database)).applied == "future_1"


async def test_before_takes_nothing_away(database: Database) -> None:
    standing = await migrate.upgrade(database, Phase.BEFORE, history=TAKING)

    assert standing.applied == "future_1"
    assert [each.version for each in standing.pending] == ["future_2"]
    assert "error" in await _columns(database, "touched")
    await migrate.check(database, history=TAKING)


async def test_after_takes_away_what_before_left(database: Database) -> None:
    await migrate.upgrade(database, Phase.BEFORE, history=TAKING)

    standing = await migrate.upgrade(database, Phase.AFTER, history=TAKING)

    assert (standing.applied, standing.pending) == ("future_2", ())
    assert "error" not in await _columns(database, "touched")


async def test_after_waits_for_before(database: Database) -> None:
    with pytest.raises(MigrationBlocked, match="future_1 has not been applied"):
        await migrate.upgrade(database, Phase.AFTER, history=TAKING)

    assert (await migrate.look(database)).applied == OURS.newest


async def test_before_does_not_jump_over_what_takes_away(database: Database) -> None:
    with pytest.raises(MigrationBlocked, match="future_2 takes away"):
        await migrate.upgrade(database, Phase.BEFORE, history=ADDING_AGAIN)

    assert (await migrate.look(database)).applied == OURS.newest
    with pytest.raises(SchemaOutdated, match="future_3 is needed"):
        await migrate.check(database, history=ADDING_AGAIN)


@pytest.mark.parametrize("phase", [Phase.BEFORE, None])
async def test_a_new_database_gets_everything(
    empty_database: Database, phase: Phase | None
) -> None:
    standing = await migrate.upgrade(empty_database, phase, history=ADDING_AGAIN)

    assert (standing.applied, standing.pending) == ("future_3", ())
    with pytest.raises(VersionOutdated):
        await migrate.check(empty_database)


@pytest.mark.parametrize("version", [each.version for each in OURS.migrations[:-1]])
async def test_an_older_schema_is_outdated(empty_database: Database, version: str) -> None:
    await empty_database.run_sync(partial(upgrade_to, version=version))

    with pytest.raises(SchemaOutdated, match=f"at {version}, {OURS.newest} is needed"):
        await migrate.check(empty_database)


async def test_an_unknown_version_with_an_unknown_floor_is_refused(database: Database) -> None:
    def migrate_further(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'whatever'")
        connection.exec_driver_sql("INSERT INTO schema_floor VALUES (1, 'something')")

    await database.run_sync(migrate_further)

    with pytest.raises(VersionOutdated, match="something"):
        await migrate.check(database)


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_that_does_more_than_add_says_so(path) -> None:
    tree = ast.parse(path.read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"op", "batch_op"}
    }
    [phase] = [each.phase for each in OURS.migrations if path.name.startswith(each.version)]

    assert used
    assert used <= ADDS or phase is Phase.AFTER
