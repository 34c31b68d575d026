import re
from collections.abc import Callable
from dataclasses import dataclass

from stripe_emulator.errors import UnsupportedByEmulator
from stripe_emulator.parameters import Params
from stripe_emulator.tables import StripeObject

#: Takes the world, the checked parameters and the ids in the path.
#: Values that switch off or unset what is off or unset here anyway.
ASKS_FOR_NOTHING: tuple[object, ...] = (False, "")
Answer = Callable[..., StripeObject]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    method: str
    path: str
    answer: Answer
    accepts: type | None = None
    requires: tuple[str, ...] = ()
    #: Parameters that Stripe knows and that would change the outcome in ways we do not follow.
    unsupported: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def refuse_unsupported(self, params: Params) -> None:
        for name in sorted(self.unsupported & params.keys()):
            if params[name] not in ASKS_FOR_NOTHING:
                raise UnsupportedByEmulator(name)


def placeholders_aside(name: str) -> str:
    """Make `GET /v1/prices/{id}` and `GET /v1/prices/{price}` the same."""
    return re.sub(r"\{[^{}/]*\}", "{}", name)


def get(path: str, answer: Answer, accepts: type | None = None) -> Route:
    return Route(method="GET", path=path, answer=answer, accepts=accepts)


def post(
    path: str,
    answer: Answer,
    accepts: type | None = None,
    *,
    requires: tuple[str, ...] = (),
    unsupported: tuple[str, ...] = (),
) -> Route:
    return Route(
        method="POST",
        path=path,
        answer=answer,
        accepts=accepts,
        requires=requires,
        unsupported=frozenset(unsupported),
    )


def delete(
    path: str, answer: Answer, accepts: type | None = None, *, unsupported: tuple[str, ...] = ()
) -> Route:
    return Route(
        method="DELETE",
        path=path,
        answer=answer,
        accepts=accepts,
        unsupported=frozenset(unsupported),
    )
