"""Customers' permission to debit their bank accounts."""

from stripe import params as accepted

from stripe_emulator import ids
from stripe_emulator.instruments import Debit
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def accept(world: World, payment_method: StripeObject) -> None:
    """Note that the customer agreed to debits, where the payment method needs that."""
    if not isinstance(world.instruments[payment_method["id"]], Debit):
        return
    mandate_id = ids.new("mandate")
    reference = ids.opaque(16).upper()
    url = f"{world.base_url}/mandates/{mandate_id}"
    details = {
        "au_becs_debit": {"url": url},
        "sepa_debit": {"reference": reference, "url": url},
    }
    kind = payment_method["type"]
    world.mandates.add(
        {
            "id": mandate_id,
            "object": "mandate",
            "customer_acceptance": {
                "accepted_at": world.clock.now(),
                "online": {"ip_address": "127.0.0.1", "user_agent": "Paidup emulator"},
                "type": "online",
            },
            "livemode": False,
            "multi_use": {},
            "payment_method": payment_method["id"],
            "payment_method_details": {kind: details[kind], "type": kind},
            "status": "active",
            "type": "multi_use",
        }
    )


def of(world: World, payment_method: StripeObject) -> StripeObject | None:
    return next(iter(world.mandates.of(payment_method["id"])), None)


def end(world: World, payment_method: StripeObject) -> None:
    mandate = of(world, payment_method)
    if mandate is not None:
        with world.events.updating("mandate.updated", mandate):
            mandate["status"] = "inactive"


def ended(world: World, payment_method: StripeObject) -> bool:
    mandate = of(world, payment_method)
    return mandate is not None and mandate["status"] == "inactive"


def retrieve(world: World, _params: Params, mandate: str) -> StripeObject:
    return world.mandates.retrieve(mandate)


ROUTES = (get("/v1/mandates/{mandate}", retrieve, accepted.MandateRetrieveParams),)
