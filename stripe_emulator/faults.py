"""The fault knobs, all off by default, and what each of them takes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NoReturn

from stripe_emulator.errors import InvalidRequest
from stripe_emulator.routing import placeholders_aside

LONGEST_DELAY = 120
LONGEST_VERSION = 50
MOST_FAILURES = 1_000_000
HTTP_ERRORS = range(400, 600)
HIGHEST_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookFaults:
    #: Hold deliveries back until this is off again.
    blocked: bool = False
    #: Throw away what is, or would be, held back.
    drop: bool = False
    #: The share of deliveries that are made once more.
    duplicate: float = 0.0
    #: The share of deliveries that are never made.
    drop_share: float = 0.0
    #: The share of deliveries that wait a moment, so that later ones overtake them.
    reorder: float = 0.0
    #: The longest that a delivery waits before it is first tried, and the share that does.
    delay_seconds: float = 0.0
    delay_share: float = 0.0
    #: Date all events of a burst to its first second.
    same_second: bool = False
    wrong_secret: bool = False
    #: Send events as an endpoint that is pinned to this version would get them.
    api_version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteFaults:
    #: Answer the next `next` calls with this status instead of executing them.
    status: int = 503
    next: int = 0
    #: Let every call wait before it is executed.
    delay_seconds: float = 0.0
    #: The share that is answered 429, without being executed.
    rate_limited: float = 0.0
    #: The share that is answered 500, half of it after the call was executed.
    failing: float = 0.0
    #: The share that is never answered, half of it after the call was executed.
    timeout_share: float = 0.0
    #: The share whose answer breaks off in the middle.
    cut_share: float = 0.0
    #: The share that is executed at once and answered so much later.
    slow_seconds: float = 0.0
    slow_share: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    #: The same seed and the same requests meet the same faults.
    seed: int = 0
    webhooks: WebhookFaults = field(default_factory=WebhookFaults)
    api: RouteFaults = field(default_factory=RouteFaults)
    #: Instead of `api`, for single endpoints: `GET /v1/subscriptions`.
    routes: Mapping[str, RouteFaults] = field(default_factory=dict)

    def of(self, route: str) -> RouteFaults:
        return self.routes.get(route, self.api)

    def with_one_failure_less(self, route: str) -> "Faults":
        if route not in self.routes:
            return replace(self, api=replace(self.api, next=self.api.next - 1))
        fewer = replace(self.routes[route], next=self.routes[route].next - 1)
        return replace(self, routes={**self.routes, route: fewer})


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    takes: str
    allows: Callable[[Any], bool]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


FLAG = Rule(takes="true or false", allows=lambda value: isinstance(value, bool))
SHARE = Rule(
    takes="a share from 0 to 1", allows=lambda value: _is_number(value) and 0 <= value <= 1
)
SECONDS = Rule(
    takes=f"0 to {LONGEST_DELAY} seconds",
    allows=lambda value: _is_number(value) and 0 <= value <= LONGEST_DELAY,
)
STATUS = Rule(
    takes="an HTTP error", allows=lambda value: type(value) is int and value in HTTP_ERRORS
)
COUNT = Rule(
    takes=f"a count up to {MOST_FAILURES}",
    allows=lambda value: type(value) is int and 0 <= value <= MOST_FAILURES,
)
VERSION = Rule(
    takes="an API version",
    allows=lambda value: isinstance(value, str) and len(value) <= LONGEST_VERSION,
)
SEED = Rule(
    takes="a whole number from 0",
    allows=lambda value: type(value) is int and 0 <= value <= HIGHEST_SEED,
)

OF_WEBHOOKS: dict[str, Rule] = {
    "blocked": FLAG,
    "drop": FLAG,
    "duplicate": SHARE,
    "drop_share": SHARE,
    "reorder": SHARE,
    "delay_seconds": SECONDS,
    "delay_share": SHARE,
    "same_second": FLAG,
    "wrong_secret": FLAG,
    "api_version": VERSION,
}
OF_API: dict[str, Rule] = {
    "status": STATUS,
    "next": COUNT,
    "delay_seconds": SECONDS,
    "rate_limited": SHARE,
    "failing": SHARE,
    "timeout_share": SHARE,
    "cut_share": SHARE,
    "slow_seconds": SECONDS,
    "slow_share": SHARE,
}
#: What `GET /_emulator/faults/counts` tells.
COUNTED = (
    "delivered",
    "duplicated",
    "dropped",
    "delayed",
    "reordered",
    "wrongly_signed",
    "rate_limited",
    "failed",
    "timed_out",
    "cut",
    "slowed",
)
#: A call meets one of these at most, so their shares add up.
EXCLUSIVE = ("rate_limited", "failing", "timeout_share", "cut_share")


def to_json(faults: Faults) -> dict[str, Any]:
    routes = {route: asdict(knobs) for route, knobs in faults.routes.items()}
    return {
        "seed": faults.seed,
        "webhooks": asdict(faults.webhooks),
        "api": {**asdict(faults.api), "routes": routes},
    }


def from_json(body: dict[str, Any], endpoints: Collection[str]) -> Faults:
    """Read all the knobs; those not mentioned are off."""
    _check({"seed": SEED}, {name: body[name] for name in body.keys() - {"webhooks", "api"}})
    webhooks, api = _object(body, "webhooks"), _object(body, "api")
    _check(OF_WEBHOOKS, webhooks, "webhooks.")
    _check_pair(webhooks, "webhooks.", "delay_share", "delay_seconds")
    return Faults(
        seed=body.get("seed", 0),
        webhooks=WebhookFaults(**webhooks),
        api=_api({name: value for name, value in api.items() if name != "routes"}, "api."),
        routes=_routes(_object(api, "routes", "api."), endpoints),
    )


def _routes(given: dict[str, Any], endpoints: Collection[str]) -> dict[str, RouteFaults]:
    named = {placeholders_aside(endpoint): endpoint for endpoint in endpoints}
    for route in given:
        if placeholders_aside(route) not in named:
            _refuse(f"There is no endpoint {route[:80]!r} here.", "api.routes")
    return {
        named[placeholders_aside(route)]: _api(
            _object(given, route, "api.routes."), f"api.routes.{route}."
        )
        for route in given
    }


def _api(knobs: dict[str, Any], path: str) -> RouteFaults:
    _check(OF_API, knobs, path)
    _check_pair(knobs, path, "slow_share", "slow_seconds")
    if sum(knobs.get(name, 0) for name in EXCLUSIVE) > 1:
        names = ", ".join(f"`{path}{name}`" for name in EXCLUSIVE)
        _refuse(f"{names} add up to more than 1.", path + EXCLUSIVE[0])
    return RouteFaults(**knobs)


def _check(rules: Mapping[str, Rule], given: dict[str, Any], path: str = "") -> None:
    for name, value in sorted(given.items()):
        if name not in rules:
            _refuse(f"There is no fault knob `{path}{name}`.", path + name)
        if not rules[name].allows(value):
            _refuse(f"`{path}{name}` takes {rules[name].takes}, not {value!r}.", path + name)


def _check_pair(given: dict[str, Any], path: str, share: str, seconds: str) -> None:
    if bool(given.get(share)) != bool(given.get(seconds)):
        _refuse(f"`{path}{share}` and `{path}{seconds}` take effect together only.", path + share)


def _object(given: dict[str, Any], name: str, path: str = "") -> dict[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, dict):
        _refuse(f"`{path}{name}` takes an object.", path + name)
    return value


def _refuse(reason: str, param: str) -> NoReturn:
    raise InvalidRequest(reason, param=param)
