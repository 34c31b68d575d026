"""Connections to PostgreSQL: how many, how long anything on them may take, and poolers between."""

from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import URL, NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

#: How long one statement may take, in seconds, before its call is given up.
STATEMENT_TIMEOUT = 10.0
#: The same for a migration, which may have to read or write a whole table.
MIGRATION_TIMEOUT = 3600.0
#: How long a transaction may do nothing: a process that is suspended in one must not keep its
#: locks from everybody else.
IDLE_TIMEOUT = 30.0
#: How long a connection may take to be made, in seconds.
CONNECT_TIMEOUT = 5.0
#: How long a call waits for a connection of the pool, in seconds.
POOL_TIMEOUT = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Connections:
    """What one process may take of a PostgreSQL server."""

    #: How many connections are kept once they were needed, and how many more a crowd may have.
    size: int = 10
    overflow: int = 10
    #: Whether a pooler in transaction mode lies between: each transaction may have another session.
    transaction_pooler: bool = False


def engine(url: URL, connections: Connections) -> AsyncEngine:
    """Open the pool that everything but migrations uses."""
    return create_async_engine(
        url,
        pool_size=connections.size,
        max_overflow=connections.overflow,
        pool_timeout=POOL_TIMEOUT,
        pool_pre_ping=True,
        pool_recycle=1800,
        # A fault's text reaches the log, and values hold people's addresses.
        hide_parameters=True,
        connect_args=_arguments(connections, STATEMENT_TIMEOUT),
    )


def patient_engine(url: URL, connections: Connections) -> AsyncEngine:
    """Open connections for migrations, which may take long and are few."""
    return create_async_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args=_arguments(connections, MIGRATION_TIMEOUT),
    )


def _arguments(connections: Connections, timeout: float) -> dict[str, Any]:
    return {
        "timeout": CONNECT_TIMEOUT,
        "command_timeout": timeout,
        **(_without_session(timeout) if connections.transaction_pooler else _session(timeout)),
    }


def _session(timeout: float) -> dict[str, Any]:
    return {"server_settings": {"application_name": "paidup", **_limits(timeout)}}


def _limits(timeout: float) -> dict[str, str]:
    """Give PostgreSQL's names of the limits, in milliseconds."""
    return {
        "statement_timeout": str(round(timeout * 1000)),
        "idle_in_transaction_session_timeout": str(round(IDLE_TIMEOUT * 1000)),
    }


def _without_session(timeout: float) -> dict[str, Any]:
    """Keep nothing that outlives a transaction: no limits, no names for statements."""
    limits = "".join(f" SET LOCAL {name} = {value};" for name, value in _limits(timeout).items())

    class Limiting(_Limiting):
        begin = limits

    return {
        "connection_class": Limiting,
        # asyncpg, told to keep no statements, gives them no names, and sends each once more with
        # its values: both always reach one session.
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "server_settings": {"application_name": "paidup"},
    }


class _Limiting(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """Sends a transaction's limits along with its `BEGIN`: they cost no trip of their own.

    A pooler would refuse a session's limits, or leave them to whoever has the session next.
    """

    #: What is sent behind `BEGIN`.
    begin = ""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's signature
        begins = query.startswith("BEGIN")
        result: str = await super().execute(
            query + self.begin if begins else query, *args, timeout=timeout
        )
        return result
