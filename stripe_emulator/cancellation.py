"""Scheduling a subscription's end, and thinking better of it."""

from stripe_emulator import trials
from stripe_emulator.attributes import unset_if_empty
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.parameters import Params
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def apply(world: World, subscription: StripeObject, params: Params) -> None:
    """Write what the parameters say about the end; the caller announces the change."""
    given = [name for name in ("cancel_at", "cancel_at_period_end") if name in params]
    if len(given) > 1 and params["cancel_at"] != "":
        raise InvalidRequest(
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end."
        )
    if "cancel_at_period_end" in params:
        end = _last_period_end(subscription) if params["cancel_at_period_end"] else None
        schedule(world, subscription, end, at_period_end=params["cancel_at_period_end"])
    elif "cancel_at" in params:
        end = _moment(world, subscription, params["cancel_at"])
        schedule(world, subscription, end, at_period_end=False)
    if "cancellation_details" in params:
        subscription["cancellation_details"] |= details(params["cancellation_details"])


def details(given: Params) -> Params:
    return {name: unset_if_empty(value) for name, value in given.items()}


def schedule(
    world: World, subscription: StripeObject, end: int | None, *, at_period_end: bool
) -> None:
    """Note when it ends, or with no `end` that it goes on."""
    subscription["cancel_at"] = end
    subscription["cancel_at_period_end"] = at_period_end
    subscription["canceled_at"] = None if end is None else world.clock.now()
    subscription["cancellation_details"]["reason"] = (
        None if end is None else "cancellation_requested"
    )


def at_period_end(world: World, subscription: StripeObject) -> None:
    """Cancel as the portal does."""
    flagged = world.settings.portal_cancels_with == "cancel_at_period_end"
    schedule(world, subscription, _last_period_end(subscription), at_period_end=flagged)


def _moment(world: World, subscription: StripeObject, given: int | str) -> int | None:
    if isinstance(given, int):
        return trials.future(world, given, "cancel_at")
    return {
        "": None,
        "min_period_end": min(_period_ends(subscription)),
        "max_period_end": _last_period_end(subscription),
        "max_billed_until": _last_period_end(subscription),
    }[given]


def _last_period_end(subscription: StripeObject) -> int:
    return max(_period_ends(subscription))


def _period_ends(subscription: StripeObject) -> list[int]:
    return [item["current_period_end"] for item in subscription["items"]["data"]]
