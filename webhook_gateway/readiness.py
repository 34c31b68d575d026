"""Whether the gateway can take events in: what `/readyz` tells."""

import asyncio
from collections.abc import Awaitable, Callable

from subscription_state import deployment, migrate
from subscription_state.database import Database
from subscription_state.errors import StateError
from subscription_state.stopping import Stopping
from webhook_gateway.signing_secrets import SigningSecrets

OK = "ok"
#: How long a check may take, in seconds.
CHECK_TIMEOUT = 3.0
#: How long its result is good for. Strangers may ask as often as they like.
REMEMBER = 0.5


class Readiness:
    """The state of each thing that has to be right; one look at the database at a time."""

    def __init__(self, *, database: Database, secrets: SigningSecrets, stopping: Stopping) -> None:
        self._database = database
        self._secrets = secrets
        self._stopping = stopping
        self._looking = asyncio.Lock()
        self._seen: dict[str, str] = {}
        self._seen_until = 0.0

    async def checks(self) -> dict[str, str]:
        """Tell by name what is `ok` and what is wrong with the rest."""
        return {
            **await self._database_checks(),
            "secrets": OK if self._secrets.current else "There are no signing secrets.",
            "draining": "The gateway is stopping." if self._stopping.asked.is_set() else OK,
        }

    async def _database_checks(self) -> dict[str, str]:
        loop = asyncio.get_running_loop()
        async with self._looking:
            if loop.time() >= self._seen_until:
                self._seen = await self._look()
                self._seen_until = loop.time() + REMEMBER
            return self._seen

    async def _look(self) -> dict[str, str]:
        looks = {
            "database": self._database.ping,
            "migrations": self._is_migrated,
            "deployment": self._is_bound,
        }
        return {name: await _told(look) for name, look in looks.items()}

    async def _is_migrated(self) -> None:
        await migrate.check(self._database)

    async def _is_bound(self) -> None:
        async with self._database.read() as connection:
            if await deployment.get(connection) is None:
                raise StateError("The service has never been started on this database.")


async def _told(look: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            await look()
    except StateError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - not ready, whatever it is; its text may hold SQL
        return f"failed: {type(error).__name__}"
    return OK
