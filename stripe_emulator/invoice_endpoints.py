from stripe import params as accepted

from stripe_emulator import collection, invoices, payment_methods
from stripe_emulator.errors import InvalidRequest, UnsupportedByEmulator
from stripe_emulator.instruments import Decline
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get, post
from stripe_emulator.tables import StripeObject, list_of
from stripe_emulator.world import World, subscription_id_of

URL = "/v1/invoices"
ACTION_REQUIRED = Decline(
    code="invoice_payment_intent_requires_action",
    decline_code=None,
    message="This payment requires additional user action before it can be completed successfully.",
)
PAYMENTS_URL = "/v1/invoice_payments"


def retrieve(world: World, _params: Params, invoice: str) -> StripeObject:
    return world.invoices.retrieve(invoice)


def list_(world: World, params: Params) -> StripeObject:
    keep = matching(params, "collection_method", "customer", "status")
    subscription = params.get("subscription")

    def wanted(invoice: StripeObject) -> bool:
        return keep(invoice) and subscription in (None, subscription_id_of(invoice))

    rows = None if subscription is None else world.invoices.of(subscription)
    return page(world.invoices, params, URL, wanted, rows)


def list_lines(world: World, params: Params, invoice: str) -> StripeObject:
    lines = world.invoices.retrieve(invoice)["lines"]["data"]
    return list_of(lines[: params.get("limit", 10)], f"{URL}/{invoice}/lines")


def pay(world: World, params: Params, invoice: str) -> StripeObject:
    row = world.invoices.retrieve(invoice)
    world.customers.referenced(row["customer"], "customer")
    _refuse_settled(world, row)
    if params.get("paid_out_of_band"):
        raise UnsupportedByEmulator("paid_out_of_band")
    payer = None
    if "payment_method" in params:
        payer = payment_methods.resolve(world, params["payment_method"], "payment_method")
    if row["status"] == "draft":
        invoices.finalize(world, row)
    attempt = collection.collect(world, row, payer)
    if attempt.status == "requires_action":
        raise ACTION_REQUIRED.error()
    if attempt.decline is not None:
        raise attempt.decline.error()
    return row


def _refuse_settled(world: World, invoice: StripeObject) -> None:
    if invoice["status"] == "paid":
        raise InvalidRequest("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] not in ("draft", "open"):
        raise InvalidRequest(
            f"This invoice can no longer be paid: it is {invoice['status']}.",
            code="invoice_not_editable",
        )
    if any(
        world.payment_intents[one["payment"]["payment_intent"]]["status"] == "processing"
        for one in world.invoice_payments.of(invoice["id"])
    ):
        raise InvalidRequest(
            "This invoice has a payment that is still processing.",
            code="payment_intent_unexpected_state",
        )


def finalize(world: World, _params: Params, invoice: str) -> StripeObject:
    row = world.invoices.retrieve(invoice)
    world.customers.referenced(row["customer"], "customer")
    if row["status"] != "draft":
        raise InvalidRequest(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    invoices.finalize(world, row)
    return row


def void(world: World, _params: Params, invoice: str) -> StripeObject:
    row = world.invoices.retrieve(invoice)
    if row["status"] != "open":
        raise InvalidRequest(
            f"You can only void an open invoice; this one is {row['status']}.",
            code="invoice_not_editable",
        )
    invoices.void(world, row)
    return row


def payments_of(world: World, invoice: StripeObject) -> StripeObject:
    url = f"{PAYMENTS_URL}?invoice={invoice['id']}"
    return list_of(world.invoice_payments.of(invoice["id"]), url)


def confirmation_secret_of(world: World, invoice: StripeObject) -> StripeObject | None:
    if not world.invoice_payments.of(invoice["id"]):
        return None
    intent = invoices.intent_of(world, invoice)
    return {"client_secret": intent["client_secret"], "type": "payment_intent"}


def retrieve_payment(world: World, _params: Params, invoice_payment: str) -> StripeObject:
    return world.invoice_payments.retrieve(invoice_payment)


def list_payments(world: World, params: Params) -> StripeObject:
    keep = matching(params, "invoice", "status")
    intent = params.get("payment", {}).get("payment_intent")

    def wanted(row: StripeObject) -> bool:
        return keep(row) and intent in (None, row["payment"]["payment_intent"])

    return page(world.invoice_payments, params, PAYMENTS_URL, wanted)


def retrieve_intent(world: World, _params: Params, intent: str) -> StripeObject:
    return world.payment_intents.retrieve(intent)


ROUTES = (
    get(URL, list_, accepted.InvoiceListParams),
    get(f"{URL}/{{invoice}}", retrieve, accepted.InvoiceRetrieveParams),
    get(f"{URL}/{{invoice}}/lines", list_lines, accepted.InvoiceLineItemListParams),
    post(
        f"{URL}/{{invoice}}/pay",
        pay,
        accepted.InvoicePayParams,
        unsupported=("forgive", "mandate", "off_session", "source"),
    ),
    post(f"{URL}/{{invoice}}/finalize", finalize, accepted.InvoiceFinalizeInvoiceParams),
    post(f"{URL}/{{invoice}}/void", void, accepted.InvoiceVoidInvoiceParams),
    get(PAYMENTS_URL, list_payments, accepted.InvoicePaymentListParams),
    get(
        f"{PAYMENTS_URL}/{{invoice_payment}}",
        retrieve_payment,
        accepted.InvoicePaymentRetrieveParams,
    ),
    get("/v1/payment_intents/{intent}", retrieve_intent, accepted.PaymentIntentRetrieveParams),
)
