"""
Stripe's query language, as far as it finds customers and subscriptions.

Clauses such as `email:"ada@example.com"`, `metadata["plan"]:"pro"`, `name~"Ada"` and
`created>1700000000`, with a `-` before to negate one, joined by AND or by OR but not by both.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from stripe import params as accepted

from stripe_emulator.errors import InvalidRequest
from stripe_emulator.pagination import DEFAULT_LIMIT, LARGEST_LIMIT
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get
from stripe_emulator.tables import StripeObject, Table
from stripe_emulator.world import World

CLAUSE = re.compile(
    r"""(?P<negated>-?)
        (?:metadata\[(?P<quote>["'])(?P<key>[^"']{1,40})(?P=quote)\]|(?P<field>[a-z_]+))
        \s*(?P<operator>:|~|>=|<=|>|<)\s*
        (?:"(?P<text>[^"]*)"|'(?P<single>[^']*)'|(?P<number>[0-9]{1,19})|(?P<null>null))""",
    re.VERBOSE | re.IGNORECASE,
)
JOIN = re.compile(r"\s+(?:(?P<word>AND|OR)\s+)?", re.IGNORECASE)
LONGEST_QUERY = 500
SHORTEST_SUBSTRING = 3
FIELDS = {
    "customers": frozenset({"created", "email", "name", "phone"}),
    "subscriptions": frozenset({"canceled_at", "created", "status"}),
}
COMPARE: dict[str, Callable[[int, int], bool]] = {
    ":": int.__eq__,
    "<": int.__lt__,
    "<=": int.__le__,
    ">": int.__gt__,
    ">=": int.__ge__,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    field: str
    #: The key, where the field is `metadata`.
    key: str | None
    operator: str
    #: Null asks for what is missing.
    value: str | int | None
    negated: bool

    def holds(self, row: StripeObject) -> bool:
        return self._matches(row) != self.negated

    def _matches(self, row: StripeObject) -> bool:
        found: str | int | None = (
            row["metadata"].get(self.key) if self.key is not None else row[self.field]
        )
        if found is None or self.value is None:
            return found is None and self.value is None
        if isinstance(found, int):
            wanted = str(self.value)
            return wanted.isdecimal() and COMPARE[self.operator](found, int(wanted))
        if self.operator == "~":
            return str(self.value).casefold() in found.casefold()
        return str(self.value).casefold() == found.casefold()


def parse(query: str, fields: frozenset[str]) -> Callable[[StripeObject], bool]:
    if len(query) > LONGEST_QUERY:
        raise _invalid(f"it has more than {LONGEST_QUERY} characters.")
    clauses, words, position = [], set(), 0
    while True:
        match = CLAUSE.match(query, position)
        if match is None:
            raise _invalid(f"no clause was found at character {position}.")
        clauses.append(_clause(match, fields))
        joint = JOIN.match(query, match.end())
        if joint is None or joint.end() == len(query):
            break
        words.add((joint["word"] or "AND").upper())
        position = joint.end()
    if joint is None and match.end() != len(query):
        raise _invalid(f"something unknown follows at character {match.end()}.")
    if len(words) > 1:
        raise _invalid("AND and OR cannot be mixed.")
    choose = any if words == {"OR"} else all
    return lambda row: choose(clause.holds(row) for clause in clauses)


def _clause(match: re.Match[str], fields: frozenset[str]) -> Clause:
    field = match["field"] or "metadata"
    if match["key"] is None and field not in fields:
        raise _invalid(f"`{field}` cannot be searched for.")
    text = next((one for one in (match["text"], match["single"]) if one is not None), None)
    numeric = field in ("created", "canceled_at")
    if match["operator"] == "~" and (text is None or len(text) < SHORTEST_SUBSTRING or numeric):
        raise _invalid(f"a substring has at least {SHORTEST_SUBSTRING} characters of text.")
    if match["operator"] not in (":", "~") and not numeric:
        raise _invalid(f"`{field}` has no order.")
    return Clause(
        field=field,
        key=match["key"],
        operator=match["operator"],
        value=int(match["number"]) if match["number"] else text,
        negated=bool(match["negated"]),
    )


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(f"The search query could not be understood: {reason}", param="query")


def customers(world: World, params: Params) -> StripeObject:
    return _search(world.customers, "customers", params)


def subscriptions(world: World, params: Params) -> StripeObject:
    return _search(world.subscriptions, "subscriptions", params)


def _search(table: Table, name: str, params: Params) -> StripeObject:
    keep = parse(params["query"], FIELDS[name])
    limit, start = params.get("limit", DEFAULT_LIMIT), params.get("page", "0")
    if not 1 <= limit <= LARGEST_LIMIT:
        raise InvalidRequest(f"Invalid limit: 1 to {LARGEST_LIMIT}.", param="limit")
    if re.fullmatch("[0-9]{1,9}", start) is None:
        raise InvalidRequest("Invalid page: give the `next_page` of an answer.", param="page")
    rows = [row for row in reversed(table.where()) if not row.get("deleted") and keep(row)]
    end = int(start) + limit
    more = len(rows) > end
    return {
        "object": "search_result",
        "data": rows[int(start) : end],
        "has_more": more,
        "next_page": str(end) if more else None,
        "url": f"/v1/{name}/search",
    }


#: Before those that would take `search` for an id.
ROUTES = (
    get("/v1/customers/search", customers, accepted.CustomerSearchParams),
    get("/v1/subscriptions/search", subscriptions, accepted.SubscriptionSearchParams),
)
