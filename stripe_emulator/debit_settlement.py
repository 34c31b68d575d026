"""The end of a debit that was on its way."""

from stripe_emulator import checkout_completion, collection
from stripe_emulator.world import World


def wake(world: World, intent_id: str) -> None:
    intent = world.payment_intents[intent_id]
    if intent["status"] != "processing":
        return
    invoice = world.invoices[world.invoices_of_intents[intent_id]]
    attempt = collection.settle(world, invoice)
    checkout_completion.debit_ended(world, invoice, attempt)
