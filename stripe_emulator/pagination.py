from collections.abc import Iterator
from itertools import islice

from stripe_emulator.errors import InvalidRequest, ReferenceMissing
from stripe_emulator.parameters import Params
from stripe_emulator.tables import Keep, StripeObject, Table, list_of

DEFAULT_LIMIT = 10
LARGEST_LIMIT = 100


def page(
    table: Table,
    params: Params,
    url: str,
    keep: Keep,
    rows: list[StripeObject] | None = None,
) -> StripeObject:
    """
    Give one page, newest first, next to the cursor on either side of it.

    `rows`, oldest first, narrow the table down where an index can.
    """
    limit = _limit(params)
    oldest_first = table.where() if rows is None else rows
    wanted = (row for row in _beyond_cursor(oldest_first, table, params) if keep(row))
    found = list(islice(wanted, limit + 1))
    data = found[:limit]
    if "ending_before" in params:
        data.reverse()
    return list_of(data, url, has_more=len(found) > limit)


def matching(params: Params, *names: str) -> Keep:
    """Keep the rows whose fields equal the filters of the same name, and `created` in its range."""
    wanted = {name: params[name] for name in names if name in params}

    def keep(row: StripeObject) -> bool:
        equal = all(row.get(name) == value for name, value in wanted.items())
        return equal and _created_within(row, params.get("created"))

    return keep


BOUNDS = {
    "gt": int.__gt__,
    "gte": int.__ge__,
    "lt": int.__lt__,
    "lte": int.__le__,
}


def _created_within(row: StripeObject, created: int | dict[str, int] | None) -> bool:
    if created is None:
        return True
    if isinstance(created, int):
        return bool(row["created"] == created)
    return all(BOUNDS[name](row["created"], bound) for name, bound in created.items())


def _limit(params: Params) -> int:
    limit: int = params.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= LARGEST_LIMIT:
        raise InvalidRequest(
            f"Invalid limit: must be between 1 and {LARGEST_LIMIT}, not {limit}", param="limit"
        )
    return limit


def _beyond_cursor(
    oldest_first: list[StripeObject], table: Table, params: Params
) -> Iterator[StripeObject]:
    """Walk away from the cursor: back in time, or with `ending_before` forward."""
    if "starting_after" in params and "ending_before" in params:
        raise InvalidRequest(
            "You may only specify one of these parameters: ending_before, starting_after."
        )
    forward = "ending_before" in params
    rows = iter(oldest_first) if forward else reversed(oldest_first)
    cursor = "ending_before" if forward else "starting_after"
    if cursor in params:
        _skip_to(rows, table, params[cursor], cursor)
    return (row for row in rows if not row.get("deleted"))


def _skip_to(rows: Iterator[StripeObject], table: Table, object_id: str, cursor: str) -> None:
    for row in rows:
        if row["id"] == object_id:
            return
    raise ReferenceMissing(table.label, object_id, cursor)
