"""When a trial ends, from whichever parameter says so."""

from stripe_emulator.errors import InvalidRequest
from stripe_emulator.parameters import Params
from stripe_emulator.settings import DAY
from stripe_emulator.world import World

MOST_DAYS = 730
FURTHEST = 5 * 366 * DAY


def end(world: World, params: Params, path: str = "") -> int | None:
    """Check both parameters; `path` is where they are, such as `subscription_data`."""
    days, moment = params.get("trial_period_days"), params.get("trial_end")
    if days is not None and moment is not None:
        raise InvalidRequest(
            "You may only specify one of these parameters: trial_end, trial_period_days.",
            param=_param(path, "trial_end"),
        )
    if days is not None:
        return _after(world, days, _param(path, "trial_period_days"))
    if moment is None or moment == "now":
        return None
    return future(world, moment, _param(path, "trial_end"))


def _after(world: World, days: int, param: str) -> int:
    if not 1 <= days <= MOST_DAYS:
        raise InvalidRequest(f"Trials take 1 to {MOST_DAYS} days, not {days}.", param=param)
    return world.clock.now() + days * DAY


def future(world: World, moment: int, param: str) -> int:
    """Check a time that has to lie ahead, and not absurdly far."""
    if moment <= world.clock.now():
        raise InvalidRequest("Invalid timestamp: must be in the future.", param=param)
    if moment > world.clock.now() + FURTHEST:
        raise InvalidRequest(
            "Invalid timestamp: can be no more than five years in the future.", param=param
        )
    return moment


def _param(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name
