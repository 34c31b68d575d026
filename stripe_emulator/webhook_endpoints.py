from stripe import params as accepted

from stripe_emulator import ids, signing_secrets
from stripe_emulator.attributes import merged, picked, write
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.events import API_VERSION
from stripe_emulator.pagination import page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import delete, get, post
from stripe_emulator.signing_secrets import SigningSecret
from stripe_emulator.tables import StripeObject, deleted
from stripe_emulator.world import World

URL = "/v1/webhook_endpoints"


def register(world: World, url: str, secrets: tuple[str, ...], params: Params) -> StripeObject:
    endpoint = world.webhook_endpoints.add(
        {
            "id": ids.new("we"),
            "object": "webhook_endpoint",
            "api_version": params.get("api_version", API_VERSION),
            "application": None,
            "created": world.clock.now(),
            "enabled_events": params.get("enabled_events", ["*"]),
            "livemode": False,
            "metadata": merged({}, params.get("metadata", {})),
            "status": "enabled",
            "url": url,
            **picked(params, "description"),
        }
    )
    sign_with(world, endpoint, secrets)
    return endpoint


def sign_with(world: World, endpoint: StripeObject, secrets: tuple[str, ...]) -> None:
    world.signing_secrets[endpoint["id"]] = tuple(SigningSecret(value=one) for one in secrets)


def create(world: World, params: Params) -> StripeObject:
    _check_url(params["url"])
    if params.get("api_version", API_VERSION) != API_VERSION:
        raise InvalidRequest(f"The emulator speaks {API_VERSION} only.", param="api_version")
    secret = signing_secrets.new()
    endpoint = register(world, params["url"], (secret,), params)
    # The secret is shown this once.
    return {**endpoint, "secret": secret}


def _check_url(url: str) -> None:
    if not url.startswith(("https://", "http://")):
        raise InvalidRequest("Invalid URL: an http or https URL is expected.", param="url")


def retrieve(world: World, _params: Params, endpoint: str) -> StripeObject:
    return world.webhook_endpoints.retrieve(endpoint)


def update(world: World, params: Params, endpoint: str) -> StripeObject:
    row = world.webhook_endpoints.retrieve(endpoint)
    _check_url(params.get("url") or row["url"])
    write(row, params, ("description", "enabled_events", "url"))
    if "disabled" in params:
        row["status"] = "disabled" if params["disabled"] else "enabled"
    return row


def list_(world: World, params: Params) -> StripeObject:
    return page(world.webhook_endpoints, params, URL, lambda _row: True)


def remove(world: World, _params: Params, endpoint: str) -> StripeObject:
    row = world.webhook_endpoints.retrieve(endpoint)
    # Deliveries that are still being tried look at this.
    row["status"] = "disabled"
    world.webhook_endpoints.remove(endpoint)
    return deleted(row)


def roll(world: World, endpoint: str, secret: str, overlap_seconds: float) -> StripeObject:
    """Do what an owner does in the Dashboard: replace the secret, the old one living on a while."""
    world.webhook_endpoints.retrieve(endpoint)
    known = world.signing_secrets[endpoint]
    world.signing_secrets[endpoint] = signing_secrets.rolled(known, secret, overlap_seconds)
    return {"id": endpoint, "secret": secret}


ROUTES = (
    post(
        URL,
        create,
        accepted.WebhookEndpointCreateParams,
        requires=("enabled_events", "url"),
        unsupported=("connect",),
    ),
    get(URL, list_, accepted.WebhookEndpointListParams),
    get(f"{URL}/{{endpoint}}", retrieve, accepted.WebhookEndpointRetrieveParams),
    post(f"{URL}/{{endpoint}}", update, accepted.WebhookEndpointUpdateParams),
    delete(f"{URL}/{{endpoint}}", remove, accepted.WebhookEndpointDeleteParams),
)
