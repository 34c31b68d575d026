"""Which accounts a caller may act for, and which ones a request is about."""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from paidup.v1 import admin_service_pb2, billing_service_pb2

#: At the end of a name in the policy file: whatever goes on from there.
ANY_END = "*"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Accounts by name, and by how their names begin."""

    exact: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "Scope":
        named = set(patterns)
        begun = {each for each in named if each.endswith(ANY_END)}
        return cls(
            exact=frozenset(named - begun),
            prefixes=tuple(sorted(each.removesuffix(ANY_END) for each in begun)),
        )

    def __or__(self, other: "Scope") -> "Scope":
        return Scope(
            exact=self.exact | other.exact,
            prefixes=tuple(sorted({*self.prefixes, *other.prefixes})),
        )

    def __contains__(self, account_id: str) -> bool:
        return account_id in self.exact or account_id.startswith(self.prefixes)

    @property
    def is_all(self) -> bool:
        return "" in self.prefixes


ALL = Scope.of([ANY_END])

_scope: ContextVar[Scope] = ContextVar("scope", default=ALL)


def set_scope(scope: Scope) -> None:
    _scope.set(scope)


def may_act_for(account_id: str) -> bool:
    """Tell whether whoever makes this call may act for the account."""
    return account_id in _scope.get()


Accounts = Callable[[Any], Iterable[str]]


def _one(request: Any) -> Iterable[str]:
    return [request.account_id] if request.account_id else []


#: By method: the accounts that a request names; none means all of them. Methods that are
#: not here are for callers that may act for every account.
NAMED: dict[str, Accounts] = {
    method.name: _one
    for file, service in (
        (billing_service_pb2, "BillingService"),
        (admin_service_pb2, "AdminService"),
    )
    for method in file.DESCRIPTOR.services_by_name[service].methods
    if "account_id" in method.input_type.fields_by_name
} | {
    "BatchCheckEntitlements": lambda request: {each.account_id for each in request.checks},
    "WatchEntitlements": lambda request: request.account_ids,
}
#: It ties whichever customer is named, whose subscriptions may be another account's.
del NAMED["LinkCustomer"]
#: The account is known only where the work is done, which asks `may_act_for`.
ASKED_LATER = frozenset({"RevokeGrant"})


def is_within(scope: Scope, method: str, request: Any) -> bool:
    """Tell whether a request is about accounts of the scope alone."""
    if scope.is_all or method in ASKED_LATER:
        return True
    # What cannot be read names nobody.
    if method not in NAMED or request is None:
        return False
    named = NAMED[method](request)
    return bool(named) and all(each in scope for each in named)
