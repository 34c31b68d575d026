"""Stripe's test clocks: customers who live in a time of their own, which stands still."""

from stripe.params import test_helpers as accepted

from stripe_emulator import customers, ids, periods
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.pagination import page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import delete, get, post
from stripe_emulator.settings import DAY
from stripe_emulator.subscriptions import ENDED
from stripe_emulator.tables import StripeObject, deleted, snapshot
from stripe_emulator.world import World

URL = "/v1/test_helpers/test_clocks"
#: How far one may be moved at once: so many of the shortest subscription's intervals.
MOST_INTERVALS = 2
WITHOUT_SUBSCRIPTIONS = {"interval": "year", "interval_count": 1}
LIFE = 30 * DAY
FURTHEST = 50 * 366 * DAY
LONGEST_NAME = 300


def create(world: World, params: Params) -> StripeObject:
    _check(world, params)
    now = world.clock.now()
    clock = world.test_clocks.add(
        {
            "id": ids.new("clock"),
            "object": "test_helpers.test_clock",
            "created": now,
            "deletes_after": now + LIFE,
            "frozen_time": params["frozen_time"],
            "livemode": False,
            "name": params.get("name"),
            "status": "ready",
            "status_details": {},
        }
    )
    if "customer" in params:
        _attach(world, world.customers[params["customer"]], clock)
    world.agenda.wake("test_clock", clock["id"], clock["deletes_after"])
    world.events.emit("test_helpers.test_clock.created", clock)
    return clock


def _check(world: World, params: Params) -> None:
    if not 0 <= params["frozen_time"] <= world.clock.now() + FURTHEST:
        raise InvalidRequest("Invalid timestamp.", param="frozen_time")
    if len(params.get("name", "")) > LONGEST_NAME:
        raise InvalidRequest(f"A name has at most {LONGEST_NAME} characters.", param="name")
    if "customer" not in params:
        return
    customer = world.customers.referenced(params["customer"], "customer")
    if customer["test_clock"] is not None or world.subscriptions.of(customer["id"]):
        raise InvalidRequest(
            "Only a customer without test clock and subscriptions can be put on one.",
            param="customer",
        )


def _attach(world: World, customer: StripeObject, clock: StripeObject) -> None:
    with world.events.updating("customer.updated", customer):
        customer["test_clock"] = clock["id"]


def retrieve(world: World, _params: Params, test_clock: str) -> StripeObject:
    return world.test_clocks.retrieve(test_clock)


def list_(world: World, params: Params) -> StripeObject:
    return page(world.test_clocks, params, URL, lambda _clock: True)


def advance(world: World, params: Params, test_clock: str) -> StripeObject:
    """Set the clock going; what is due meanwhile happens as soon as the caller is answered."""
    clock = world.test_clocks.retrieve(test_clock)
    target = params["frozen_time"]
    if target <= clock["frozen_time"]:
        raise InvalidRequest(
            "The test clock's frozen time can only be advanced to a later one.",
            param="frozen_time",
        )
    if target > _furthest(world, clock):
        raise InvalidRequest(
            f"Test clocks can be advanced by {MOST_INTERVALS} intervals of their shortest "
            "subscription at once, or by two years if they have none.",
            param="frozen_time",
        )
    clock["status"] = "advancing"
    clock["status_details"] = {"advancing": {"target_frozen_time": target}}
    world.events.emit("test_helpers.test_clock.advancing", clock)
    answer: StripeObject = snapshot(clock)
    return answer


def _furthest(world: World, clock: StripeObject) -> int:
    now = clock["frozen_time"]
    rhythms = [
        item["price"]["recurring"]
        for subscription in world.subscriptions.where(test_clock=clock["id"])
        if subscription["status"] not in ENDED
        for item in subscription["items"]["data"]
    ]
    return min(_later(now, rhythm) for rhythm in rhythms or [WITHOUT_SUBSCRIPTIONS])


def _later(now: int, rhythm: StripeObject) -> int:
    intervals = MOST_INTERVALS * int(rhythm["interval_count"])
    return periods.containing(now, {**rhythm, "interval_count": intervals}, now).end


def until(clock: StripeObject) -> int:
    """Give the time up to which everything on the clock may happen."""
    advancing = clock["status_details"].get("advancing")
    return int(advancing["target_frozen_time"] if advancing else clock["frozen_time"])


def arrive(world: World, clock: StripeObject) -> None:
    """Let a moving clock stand still again, once everything on its way has happened."""
    if clock["status"] != "advancing":
        return
    clock["frozen_time"] = until(clock)
    clock["status"] = "ready"
    clock["status_details"] = {}
    world.events.emit("test_helpers.test_clock.ready", clock)


def remove(world: World, _params: Params, test_clock: str) -> StripeObject:
    clock = world.test_clocks.retrieve(test_clock)
    with world.living_on(clock):
        for customer in world.customers.where(test_clock=clock["id"]):
            customers.remove(world, {}, customer["id"])
    world.test_clocks.remove(clock["id"])
    world.events.emit("test_helpers.test_clock.deleted", clock)
    return deleted(clock)


def wake(world: World, clock_id: str) -> None:
    clock = world.test_clocks.find(clock_id)
    if clock is not None:
        remove(world, {}, clock_id)


#: Parameters that name something that may live on a clock.
NAMING = ("customer", "subscription")


def of_call(world: World, arguments: tuple[object, ...]) -> StripeObject | None:
    """Find the clock in whose time a call happens, from its parameters and the ids in its path."""
    for argument in arguments:
        given = argument if isinstance(argument, dict) else {"customer": argument}
        clock = world.test_clocks.find(_text(given.get("test_clock")))
        for row in (world.find(_text(given.get(name)) or "") for name in NAMING):
            clock = clock or (world.test_clock_of(row) if row else None)
        if clock is not None:
            return clock
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


ROUTES = (
    post(URL, create, accepted.TestClockCreateParams, requires=("frozen_time",)),
    get(URL, list_, accepted.TestClockListParams),
    get(f"{URL}/{{test_clock}}", retrieve, accepted.TestClockRetrieveParams),
    post(
        f"{URL}/{{test_clock}}/advance",
        advance,
        accepted.TestClockAdvanceParams,
        requires=("frozen_time",),
    ),
    delete(f"{URL}/{{test_clock}}", remove, accepted.TestClockDeleteParams),
)
