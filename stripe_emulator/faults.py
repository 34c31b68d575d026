"""The fault knobs, all off by default."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from stripe_emulator.errors import InvalidRequest

LONGEST_DELAY = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookFaults:
    #: Hold deliveries back until this is off again.
    blocked: bool = False
    #: Throw away what is, or would be, held back.
    drop: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiFaults:
    #: Answer the next `next` calls with this status instead of executing them.
    status: int = 503
    next: int = 0
    #: Let every call wait before it is executed.
    delay_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    webhooks: WebhookFaults = field(default_factory=WebhookFaults)
    api: ApiFaults = field(default_factory=ApiFaults)


Section = TypeVar("Section", WebhookFaults, ApiFaults)


def to_json(faults: Faults) -> dict[str, Any]:
    return asdict(faults)


def from_json(body: dict[str, Any]) -> Faults:
    """Read all the knobs; those not mentioned are off."""
    for name in sorted(body.keys() - {"webhooks", "api"}):
        raise InvalidRequest(f"There is no fault knob `{name}`.", param=name)
    faults = Faults(
        webhooks=_section(WebhookFaults, "webhooks", body.get("webhooks", {})),
        api=_section(ApiFaults, "api", body.get("api", {})),
    )
    _check(faults.api)
    return faults


def _section(kind: type[Section], name: str, given: object) -> Section:
    if not isinstance(given, dict):
        raise InvalidRequest(f"`{name}` takes an object.", param=name)
    known = {knob.name: type(knob.default) for knob in fields(kind)}
    for knob, value in given.items():
        if knob not in known or not _fits(value, known[knob]):
            raise InvalidRequest(
                f"There is no fault knob `{name}.{knob}` that takes {value!r}.",
                param=f"{name}.{knob}",
            )
    return kind(**given)


def _fits(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _check(api: ApiFaults) -> None:
    if not 400 <= api.status <= 599:  # noqa: PLR2004 -- HTTP's errors
        raise InvalidRequest("`api.status` takes an HTTP error.", param="api.status")
    if not 0 <= api.delay_seconds <= LONGEST_DELAY:
        raise InvalidRequest(
            f"`api.delay_seconds` takes 0 to {LONGEST_DELAY}.", param="api.delay_seconds"
        )
    if api.next < 0:
        raise InvalidRequest("`api.next` takes a count.", param="api.next")
