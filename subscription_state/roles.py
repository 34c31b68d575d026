"""What each process' role may do on PostgreSQL, as `deploy/postgresql/roles.sql` says."""

import asyncpg

from subscription_state.database import Database
from subscription_state.errors import RolesRefused


async def grant(database: Database, statements: str) -> None:
    """Run the file's statements as the database's owner; raise `RolesRefused`.

    They are in one transaction of their own. Repeating them changes nothing.
    """
    if database.dialect != "postgresql":
        raise RolesRefused("SQLite has no roles: PAIDUP_DATABASE_URL must name PostgreSQL.")
    async with database.driver() as connection:
        try:
            await connection.execute(statements)
        except asyncpg.PostgresError as error:
            # The file holds no secret, so PostgreSQL's words about it hold none.
            raise RolesRefused(f"PostgreSQL refuses the file: {error}") from error
