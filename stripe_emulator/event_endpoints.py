from stripe import params as accepted

from stripe_emulator.errors import InvalidRequest
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get
from stripe_emulator.settings import DAY
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/events"
MOST_TYPES = 20
LISTED_FOR = 30 * DAY


def retrieve(world: World, _params: Params, event: str) -> StripeObject:
    return world.events.table.retrieve(event)


def list_(world: World, params: Params) -> StripeObject:
    _check(params)
    created = matching(params)
    oldest = world.clock.now() - LISTED_FOR

    def wanted(event: StripeObject) -> bool:
        return (
            event["created"] >= oldest
            and created(event)
            and _of_type(event["type"], params)
            and _delivered_as(event, params.get("delivery_success"))
        )

    return page(world.events.table, params, URL, wanted)


def _check(params: Params) -> None:
    if "type" in params and "types" in params:
        raise InvalidRequest("You may only specify one of these parameters: type, types.")
    if len(params.get("types", ())) > MOST_TYPES:
        raise InvalidRequest(f"You may list up to {MOST_TYPES} types.", param="types")


def _of_type(event_type: str, params: Params) -> bool:
    wanted = params.get("types") or [params.get("type", "*")]
    return any(_matches(event_type, one) for one in wanted)


def _matches(event_type: str, wanted: str) -> bool:
    if wanted.endswith("*"):
        return event_type.startswith(wanted.removesuffix("*"))
    return event_type == wanted


def _delivered_as(event: StripeObject, success: bool | None) -> bool:  # noqa: FBT001 -- Stripe's filter
    return success is None or success is (event["pending_webhooks"] == 0)


ROUTES = (
    get(URL, list_, accepted.EventListParams),
    get(f"{URL}/{{event}}", retrieve, accepted.EventRetrieveParams),
)
