"""The policy: which caller may call what, and for which accounts. Who is not in it may nothing."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated

from google.protobuf.descriptor import ServiceDescriptor
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from billing_service.account_scope import ALL, ANY_END, Scope
from billing_service.watched_file import FileInvalid
from paidup.v1 import admin_service_pb2, billing_service_pb2

MOST_CALLERS = 10_000
#: How many callers' rights are remembered: those that called last.
REMEMBERED = 1000


def _methods(service: ServiceDescriptor) -> frozenset[str]:
    return frozenset(method.name for method in service.methods)


#: A service's methods by the word for all of them.
GROUPS = {
    "billing": _methods(billing_service_pb2.DESCRIPTOR.services_by_name["BillingService"]),
    "admin": _methods(admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"]),
}
METHODS = frozenset().union(*GROUPS.values())

#: By method: the accounts for which it may be called. A method that is not there may not.
Rights = Mapping[str, Scope]


def _ends_clearly(name: str) -> str:
    if ANY_END in name[:-1]:
        raise ValueError(f"may hold {ANY_END} at its end only")
    return name


def _is_callable(name: str) -> str:
    if name not in GROUPS and name not in METHODS:
        raise ValueError(f"{name} is neither a method nor one of {', '.join(GROUPS)}")
    return name


Name = Annotated[
    str, Field(min_length=1, max_length=2048, pattern=r"^\S+$"), AfterValidator(_ends_clearly)
]
Account = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_ends_clearly)]
Callable_ = Annotated[str, AfterValidator(_is_callable)]


class CallerEntry(BaseModel):
    """What one caller, or all whose names begin alike, may call."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name
    may_call: Annotated[list[Callable_], Field(min_length=1)]
    #: Without it, every account.
    accounts: Annotated[list[Account], Field(min_length=1)] | None = None

    def covers(self, caller: str) -> bool:
        if self.name.endswith(ANY_END):
            return caller.startswith(self.name.removesuffix(ANY_END))
        return caller == self.name

    @property
    def scope(self) -> Scope:
        return ALL if self.accounts is None else Scope.of(self.accounts)

    @property
    def methods(self) -> Iterable[str]:
        for word in self.may_call:
            yield from GROUPS.get(word, [word])


class _PolicyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    caller: Annotated[list[CallerEntry], Field(max_length=MOST_CALLERS)] = []


class Policy:
    """Answers what a caller may; where several entries cover it, everything that any allows."""

    def __init__(self, entries: Iterable[CallerEntry]) -> None:
        self._entries = tuple(entries)
        #: Of this policy alone, so that another begins with nothing remembered.
        self.rights = lru_cache(maxsize=REMEMBERED)(self._rights)

    def _rights(self, caller: str) -> Rights:
        rights: dict[str, Scope] = {}
        for entry in self._entries:
            if entry.covers(caller):
                for method in entry.methods:
                    rights[method] = rights.get(method, Scope()) | entry.scope
        return MappingProxyType(rights)


def parse(contents: Sequence[bytes]) -> Policy:
    """Read a policy in TOML; raise `FileInvalid` with all that is wrong."""
    (content,) = contents
    try:
        return Policy(_PolicyFile.model_validate(tomllib.loads(content.decode())).caller)
    except UnicodeDecodeError:
        raise FileInvalid("is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise FileInvalid(str(error)) from None
    except ValidationError as error:
        raise FileInvalid("; ".join(_problems(error))) from None


def _problems(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in problem["loc"])
        yield f"{place}: {problem['msg'].removeprefix('Value error, ')}"
