"""Pausing the collection of a subscription's payments, which leaves its status as it is."""

from collections.abc import Callable

from stripe_emulator import invoices, trials
from stripe_emulator.parameters import Params
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def check(world: World, params: Params) -> None:
    given = params.get("pause_collection") or {}
    if "resumes_at" in given:
        trials.future(world, given["resumes_at"], "pause_collection[resumes_at]")


def write(subscription: StripeObject, params: Params) -> None:
    """Pause or, with an empty string, resume; the caller announces the change."""
    if "pause_collection" not in params:
        return
    given = params["pause_collection"]
    subscription["pause_collection"] = (
        {"behavior": given["behavior"], "resumes_at": given.get("resumes_at")} if given else None
    )


def over(world: World, subscription: StripeObject) -> bool:
    pause = subscription["pause_collection"]
    resumes_at = pause and pause["resumes_at"]
    return resumes_at is not None and bool(resumes_at <= world.clock.now())


def resume(world: World, subscription: StripeObject) -> None:
    with world.events.updating("customer.subscription.updated", subscription):
        subscription["pause_collection"] = None


def dispose(world: World, subscription: StripeObject, invoice: StripeObject) -> None:
    """Do with a new invoice what was asked for while collection is paused."""
    DISPOSE_OF[subscription["pause_collection"]["behavior"]](world, invoice)


def _mark_uncollectible(world: World, invoice: StripeObject) -> None:
    invoices.finalize(world, invoice)
    invoices.mark_uncollectible(world, invoice)


def _void(world: World, invoice: StripeObject) -> None:
    invoices.finalize(world, invoice)
    invoices.void(world, invoice)


DISPOSE_OF: dict[str, Callable[[World, StripeObject], None]] = {
    # It waits for its merchant, who may finalize it when collection goes on.
    "keep_as_draft": lambda _world, _invoice: None,
    "mark_uncollectible": _mark_uncollectible,
    "void": _void,
}
