from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stripe_emulator.agenda import Agenda
from stripe_emulator.clock import Clock
from stripe_emulator.events import EventLog
from stripe_emulator.instruments import Instrument
from stripe_emulator.invoice_lines import Line
from stripe_emulator.orders import Purchase
from stripe_emulator.settings import Settings
from stripe_emulator.signing_secrets import SigningSecret
from stripe_emulator.tables import StripeObject, Table


def subscription_id_of(invoice: StripeObject) -> str:
    return str(invoice["parent"]["subscription_details"]["subscription"])


class Tables:
    """The objects of one account that the API shows."""

    def __init__(self) -> None:
        self.customers = Table("customer")
        self.products = Table("product")
        self.prices = Table("price", owner=lambda price: str(price["product"]))
        self.features = Table("feature")
        self.product_features = Table("product feature")
        self.active_entitlements = Table("active entitlement")
        self.coupons = Table("coupon")
        self.promotion_codes = Table("promotion code")
        self.discounts = Table("discount")
        self.checkout_sessions = Table("checkout.session")
        self.subscriptions = Table("subscription", owner=lambda row: str(row["customer"]))
        self.subscription_items = Table("subscription_item")
        self.invoices = Table("invoice", owner=subscription_id_of)
        self.invoice_items = Table("invoiceitem")
        self.invoice_payments = Table("invoice_payment", owner=lambda row: str(row["invoice"]))
        self.payment_intents = Table("payment_intent")
        self.setup_intents = Table("setup_intent")
        self.charges = Table("charge")
        self.mandates = Table("mandate", owner=lambda row: str(row["payment_method"]))
        self.payment_methods = Table("PaymentMethod")
        self.payment_method_configurations = Table("payment method configuration")
        self.portal_configurations = Table("configuration")
        self.portal_sessions = Table("portal session")
        self.test_clocks = Table("test_clock")
        self.webhook_endpoints = Table("webhook endpoint")

    def find(self, object_id: str) -> StripeObject | None:
        """Look an id up whatever it names; prefixes keep them apart."""
        tables = (value for value in vars(self).values() if isinstance(value, Table))
        return next((row for table in tables if (row := table.find(object_id))), None)


class World(Tables):
    """All that one emulated account holds; `reset` makes another."""

    def __init__(
        self, *, base_url: str, settings: Settings, publish: Callable[[StripeObject], None]
    ) -> None:
        super().__init__()
        self.base_url = base_url
        self.settings = settings
        self.clock = Clock()
        # Everybody's agenda, and that of each test clock by its id.
        self._agendas: dict[str | None, Agenda] = {None: Agenda()}
        self._test_clock_id: str | None = None
        self.events = EventLog(self.clock, publish)
        # What Stripe keeps to itself, by the id of the object that it belongs to.
        self.instruments: dict[str, Instrument] = {}
        #: Payment methods whose owner has proven to their bank who they are.
        self.authenticated: set[str] = set()
        self.invoices_of_intents: dict[str, str] = {}
        self.purchases: dict[str, Purchase] = {}
        self.coupons_as_redeemed: dict[str, StripeObject] = {}
        self.signing_secrets: dict[str, tuple[SigningSecret, ...]] = {}
        self.granted_features: dict[str, tuple[str, ...]] = {}
        #: Active entitlements by customer, then by feature.
        self.entitlements: dict[str, dict[str, StripeObject]] = {}
        #: Prorations that wait for the subscription's next invoice.
        self.pending_lines: dict[str, list[Line]] = {}
        self.products_of_features: dict[str, str] = {}
        self.reminded_of_trial_end: dict[str, int] = {}
        #: Customers whose entitlements may have changed, in the order they did.
        self.unsettled_customers: dict[str, None] = {}

    @property
    def agenda(self) -> Agenda:
        """What is due in the time that is lived in at present."""
        return self._agendas.setdefault(self._test_clock_id, Agenda())

    @contextmanager
    def living_on(self, test_clock: StripeObject | None) -> Iterator[None]:
        """Live in a test clock's time, which stands still; without one, in everybody's."""
        if test_clock is None:
            yield
            return
        outer, self._test_clock_id = self._test_clock_id, test_clock["id"]
        try:
            with self.clock.at(test_clock["frozen_time"]):
                yield
        finally:
            self._test_clock_id = outer

    def test_clock_of(self, row: StripeObject) -> StripeObject | None:
        """Find the test clock that an object lives on, by way of its customer if need be."""
        if row.get("test_clock") is not None:
            return self.test_clocks.find(row["test_clock"])
        for name in ("customer", "subscription", "invoice"):
            owner = self.find(row[name]) if isinstance(row.get(name), str) else None
            if owner is not None:
                return self.test_clock_of(owner)
        return None
