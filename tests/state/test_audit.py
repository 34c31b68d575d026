"""What callers changed: added, listed newest first, dropped when old, and never changed."""

import re
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from subscription_state import audit
from subscription_state.audit import AuditEntry, AuditFilter, AuditPlace
from tests.builders import NOW, SECOND

ROOT = Path(__file__).parents[2]


def _entry(number, **overrides):
    fields = {
        "entry_id": f"audit_{number}",
        "create_time": NOW + number * SECOND,
        "caller": "shop",
        "method": "CreateGrant",
        "account_id": "acme",
        "request_id": f"request_{number}",
        "facts": {"grant_id": f"grant_{number}"},
        **overrides,
    }
    return AuditEntry(**fields)


async def _add(database, *entries):
    for entry in entries:
        await database.write(partial(audit.add, entry=entry))


async def _list(database, limit=10, after=None, **wanted):
    async with database.read() as connection:
        return await audit.newest(connection, AuditFilter(**wanted), limit=limit, after=after)


async def test_entries_are_listed_newest_first_as_they_were_added(database):
    entries = [_entry(number) for number in (2, 1, 3)]
    await _add(database, *entries)

    assert await _list(database) == [entries[2], entries[0], entries[1]]


async def test_of_entries_of_the_same_time_ids_decide(database):
    entries = [_entry(number, create_time=NOW) for number in (2, 1, 3)]
    await _add(database, *entries)

    first = await _list(database, limit=1)
    place = AuditPlace(create_time=NOW, entry_id=first[0].entry_id)

    assert first == [entries[2]]
    assert await _list(database, after=place) == [entries[0], entries[1]]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"account_id": "acme"}, [4, 1]),
        ({"account_id": ""}, [4, 3, 2, 1]),
        ({"caller": "desk"}, [3, 2]),
        ({"method": "RevokeGrant"}, [4, 3]),
        ({"account_id": "globex", "caller": "desk", "method": "RevokeGrant"}, [3]),
        ({"caller": "nobody"}, []),
    ],
)
async def test_only_what_is_wanted_is_listed(database, wanted, found):
    await _add(
        database,
        _entry(1),
        _entry(2, caller="desk", account_id="globex"),
        _entry(3, caller="desk", account_id="globex", method="RevokeGrant"),
        _entry(4, method="RevokeGrant"),
    )

    listed = await _list(database, **wanted)

    assert [each.entry_id for each in listed] == [f"audit_{number}" for number in found]


async def test_an_entry_is_never_replaced(database):
    await _add(database, _entry(1))

    with pytest.raises(Exception, match=r"(?i)unique|busy"):
        await _add(database, _entry(1, caller="somebody else"))

    assert [each.caller for each in await _list(database)] == ["shop"]


async def test_what_is_older_is_dropped_oldest_first_and_no_more_at_a_time(database, monkeypatch):
    monkeypatch.setattr(audit, "BATCH", 2)
    await _add(database, *(_entry(number) for number in range(5)))
    before = NOW + timedelta(seconds=3)

    dropped = [await database.write(partial(audit.drop, before=before)) for _ in range(3)]

    assert dropped == [2, 1, 0]
    assert [each.entry_id for each in await _list(database)] == ["audit_4", "audit_3"]


def test_no_code_of_ours_changes_an_entry():
    told = {
        path.name
        for package in ("billing_service", "webhook_gateway", "subscription_state")
        for path in (ROOT / package).glob("*.py")
        if re.search(r"(update|delete)\(audit_entry\)", path.read_text())
    }
    text = (ROOT / "subscription_state/audit.py").read_text()

    assert told == {"audit.py"}
    assert "update(" not in text
    assert text.count("delete(") == 1
