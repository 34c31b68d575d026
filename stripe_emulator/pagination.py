from stripe_emulator.errors import InvalidRequest, ReferenceMissing
from stripe_emulator.parameters import Params
from stripe_emulator.tables import Keep, StripeObject, Table, list_of

DEFAULT_LIMIT = 10
LARGEST_LIMIT = 100


def page(table: Table, params: Params, url: str, keep: Keep) -> StripeObject:
    """Give one page, newest first, next to the cursor on either side of it."""
    limit = _limit(params)
    rows = [row for row in _window(table, params) if not row.get("deleted") and keep(row)]
    data = rows[-limit:] if "ending_before" in params else rows[:limit]
    return list_of(data, url, has_more=len(rows) > limit)


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


def _window(table: Table, params: Params) -> list[StripeObject]:
    rows = table.newest_first()
    if "starting_after" in params and "ending_before" in params:
        raise InvalidRequest(
            "You may only specify one of these parameters: ending_before, starting_after."
        )
    if "starting_after" in params:
        return rows[_position(rows, table, params, "starting_after") + 1 :]
    if "ending_before" in params:
        return rows[: _position(rows, table, params, "ending_before")]
    return rows


def _position(rows: list[StripeObject], table: Table, params: Params, cursor: str) -> int:
    for index, row in enumerate(rows):
        if row["id"] == params[cursor]:
            return index
    raise ReferenceMissing(table.label, params[cursor], cursor)
