"""An invoice's own life: draft, open, paid or void; a subscription's is elsewhere."""

from stripe_emulator import attempts, blanks, discounts, ids, invoice_lines, payments
from stripe_emulator.attempts import Attempt
from stripe_emulator.invoice_lines import Line
from stripe_emulator.tables import StripeObject, list_of, snapshot
from stripe_emulator.world import World

#: The customary time in which a renewal's draft may still be changed.
HOUR = 60 * 60


def draft(
    world: World,
    subscription: StripeObject,
    lines: list[Line],
    billing_reason: str,
    *,
    period_start: int | None = None,
    finalizes_at: int | None = None,
    auto_advance: bool = True,
) -> StripeObject:
    """
    Make an invoice that nobody owes yet.

    One with `finalizes_at` opens and is charged by itself then; the others by whoever made them.
    """
    invoice_id = ids.new("in")
    taken_off = discounts.amounts_off(world, subscription, lines)
    row = compose(world, subscription, lines, taken_off, invoice_id)
    row |= {
        "auto_advance": auto_advance,
        "automatically_finalizes_at": finalizes_at,
        "billing_reason": billing_reason,
        "next_payment_attempt": finalizes_at,
        "period_start": world.clock.now() if period_start is None else period_start,
    }
    invoice = world.invoices.add(row)
    discounts.end_used_up(world, subscription, taken_off)
    _sweep_up(world, lines, invoice_id)
    world.events.emit("invoice.created", invoice)
    if finalizes_at is not None:
        world.agenda.wake("invoice", invoice_id, finalizes_at)
    return invoice


def compose(
    world: World,
    subscription: StripeObject,
    lines: list[Line],
    taken_off: list[list[StripeObject]],
    invoice_id: str,
) -> StripeObject:
    """Put an invoice's fields together, without making it; `taken_off` is parallel to `lines`."""
    customer = world.customers[subscription["customer"]]
    discount_amounts = discounts.total(taken_off)
    subtotal = sum(line.amount for line in lines)
    total = subtotal - sum(one["amount"] for one in discount_amounts)
    return {
        **_blank(world, customer, subscription),
        "id": invoice_id,
        "discounts": list(subscription["discounts"]),
        "lines": list_of(
            [
                invoice_lines.line_item(line, invoice_id, subscription, taken)
                for line, taken in zip(lines, taken_off, strict=True)
            ],
            f"/v1/invoices/{invoice_id}/lines",
        ),
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": total,
        "total_discount_amounts": discount_amounts,
        "total_excluding_tax": total,
        **_amounts(total, customer["balance"]),
    }


def _sweep_up(world: World, lines: list[Line], invoice_id: str) -> None:
    for line in lines:
        invoice_item = world.invoice_items.find(line.invoice_item_id)
        if invoice_item is not None:
            invoice_item["invoice"] = invoice_id


def _amounts(total: int, balance: int) -> StripeObject:
    """Set credit on the customer's balance off against the total."""
    amount_due = max(0, total + balance)
    return {
        "amount_due": amount_due,
        "amount_remaining": amount_due,
        "ending_balance": None,
        "starting_balance": balance,
    }


def _blank(world: World, customer: StripeObject, subscription: StripeObject) -> StripeObject:
    now = world.clock.now()
    return {
        **blanks.fresh(blanks.INVOICE),
        "collection_method": subscription["collection_method"],
        "created": now,
        "currency": subscription["currency"],
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": subscription["metadata"],
                "subscription": subscription["id"],
            },
            "type": "subscription_details",
        },
        "period_end": now,
        "test_clock": subscription["test_clock"],
        "webhooks_delivered_at": now,
    }


def finalize(world: World, invoice: StripeObject) -> None:
    """Open the invoice, with a payment intent where there is something to pay."""
    _take_from_balance(world, invoice)
    invoice["status"] = "open"
    invoice["status_transitions"]["finalized_at"] = world.clock.now()
    invoice["automatically_finalizes_at"] = None
    invoice["next_payment_attempt"] = None
    invoice["effective_at"] = world.clock.now()
    invoice["number"] = _next_number(world, invoice["customer"])
    invoice["hosted_invoice_url"] = f"{world.base_url}/i/{invoice['id']}"
    invoice["invoice_pdf"] = f"{world.base_url}/i/{invoice['id']}/pdf"
    world.events.emit("invoice.finalized", invoice)
    if invoice["amount_due"] > 0:
        _await_payment(world, invoice, payments.open_intent(world, invoice))


def _take_from_balance(world: World, invoice: StripeObject) -> None:
    customer = world.customers[invoice["customer"]]
    rest = min(0, invoice["total"] + customer["balance"])
    invoice.update(_amounts(invoice["total"], customer["balance"]), ending_balance=rest)
    with world.events.updating("customer.updated", customer):
        customer["balance"] = rest


def _next_number(world: World, customer_id: str) -> str:
    customer = world.customers[customer_id]
    sequence = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] += 1
    return f"{customer['invoice_prefix']}-{sequence:04d}"


def _await_payment(world: World, invoice: StripeObject, intent: StripeObject) -> None:
    world.invoices_of_intents[intent["id"]] = invoice["id"]
    world.invoice_payments.add(
        {
            "id": ids.new("inpay"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "created": world.clock.now(),
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        }
    )


def intent_of(world: World, invoice: StripeObject) -> StripeObject:
    (invoice_payment,) = world.invoice_payments.of(invoice["id"])
    return world.payment_intents[invoice_payment["payment"]["payment_intent"]]


def attempt(
    world: World, invoice: StripeObject, payment_method: StripeObject | None, *, automatic: bool
) -> Attempt:
    """Try to collect what is open; a failure is noted by `note_failure`, when its end is known."""
    if invoice["amount_due"] == 0:
        _settle(world, invoice)
        world.events.emit("invoice.paid", invoice)
        return attempts.SUCCEEDED
    intent = intent_of(world, invoice)
    return _note(
        world, invoice, payments.confirm(world, intent, payment_method, automatic=automatic)
    )


def authenticate(world: World, invoice: StripeObject, *, succeed: bool) -> Attempt:
    """Let the customer answer what their bank asks."""
    return _note(
        world, invoice, payments.authenticate(world, intent_of(world, invoice), succeed=succeed)
    )


def settle(world: World, invoice: StripeObject) -> Attempt:
    """Let a debit that is on its way succeed or fail."""
    return _note(world, invoice, payments.settle(world, intent_of(world, invoice)))


def _note(world: World, invoice: StripeObject, attempt: Attempt) -> Attempt:
    if attempt.status == "succeeded":
        _mark_paid(world, invoice, attempt)
    elif attempt.status in ("processing", "requires_action"):
        with world.events.updating("invoice.updated", invoice):
            _count(invoice, attempt)
            invoice["next_payment_attempt"] = None
    if intent_of(world, invoice)["status"] == "requires_action":
        world.events.emit("invoice.payment_action_required", invoice)
    return attempt


def _mark_paid(world: World, invoice: StripeObject, attempt: Attempt) -> None:
    with world.events.updating("invoice.updated", invoice):
        _count(invoice, attempt)
        _settle(world, invoice)
    world.events.emit("invoice.paid", invoice)
    world.events.emit("invoice.payment_succeeded", invoice)
    _pay_invoice_payments(world, invoice)


def _count(invoice: StripeObject, attempt: Attempt) -> None:
    # Of the later attempts only Stripe's own are counted.
    counts = attempt.automatic or not invoice["attempted"]
    invoice["attempt_count"] += int(counts and not attempt.late)
    invoice["attempted"] = True


def _settle(world: World, invoice: StripeObject) -> None:
    invoice["amount_paid"] = invoice["amount_due"]
    invoice["amount_remaining"] = 0
    invoice["next_payment_attempt"] = None
    invoice["status"] = "paid"
    invoice["status_transitions"]["paid_at"] = world.clock.now()


def _pay_invoice_payments(world: World, invoice: StripeObject) -> None:
    for invoice_payment in world.invoice_payments.of(invoice["id"]):
        invoice_payment["status"] = "paid"
        invoice_payment["amount_paid"] = invoice_payment["amount_requested"]
        invoice_payment["status_transitions"]["paid_at"] = world.clock.now()
        world.events.emit("invoice_payment.paid", invoice_payment)


def note_failure(
    world: World, invoice: StripeObject, attempt: Attempt, next_attempt: int | None
) -> None:
    before = snapshot(invoice)
    _count(invoice, attempt)
    invoice["next_payment_attempt"] = next_attempt
    world.events.emit("invoice.payment_failed", invoice)
    world.events.emit_change("invoice.updated", before, invoice)
    if next_attempt is not None:
        world.agenda.wake("invoice", invoice["id"], next_attempt)


def void(world: World, invoice: StripeObject, *, cancel_payment: bool = True) -> None:
    invoice["status"] = "void"
    invoice["auto_advance"] = False
    invoice["next_payment_attempt"] = None
    invoice["status_transitions"]["voided_at"] = world.clock.now()
    world.events.emit("invoice.voided", invoice)
    for invoice_payment in world.invoice_payments.of(invoice["id"]):
        invoice_payment["status"] = "canceled"
        invoice_payment["status_transitions"]["canceled_at"] = world.clock.now()
        if cancel_payment:
            payments.cancel(world, intent_of(world, invoice))


def mark_uncollectible(world: World, invoice: StripeObject) -> None:
    invoice["status"] = "uncollectible"
    invoice["auto_advance"] = False
    invoice["next_payment_attempt"] = None
    invoice["status_transitions"]["marked_uncollectible_at"] = world.clock.now()
    world.events.emit("invoice.marked_uncollectible", invoice)


def stop_collecting(world: World, subscription: StripeObject) -> None:
    """Leave unfinished invoices as they are, without another attempt."""
    for invoice in world.invoices.of(subscription["id"]):
        if invoice["status"] in ("draft", "open") and invoice["auto_advance"]:
            with world.events.updating("invoice.updated", invoice):
                invoice["auto_advance"] = False
                invoice["automatically_finalizes_at"] = None
                invoice["next_payment_attempt"] = None
