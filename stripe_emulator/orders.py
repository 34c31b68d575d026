"""What is sold: the terms on which Checkout or the API makes a subscription."""

from dataclasses import dataclass, field

from stripe_emulator.parameters import Params
from stripe_emulator.tables import StripeObject


@dataclass(frozen=True, kw_only=True, slots=True)
class Sale:
    """One price in some quantity, recurring or once."""

    price: StripeObject
    quantity: int = 1
    metadata: Params = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Redemption:
    """A coupon that is to be redeemed, and by which code."""

    coupon: StripeObject
    promotion_code: StripeObject | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    customer_id: str
    sales: tuple[Sale, ...]
    trial_end: int | None = None
    redemptions: tuple[Redemption, ...] = ()
    checkout_session_id: str | None = None
    #: As given to the API: description, metadata, trial settings and the like.
    terms: Params = field(default_factory=dict)

    @property
    def recurring(self) -> list[Sale]:
        return [sale for sale in self.sales if sale.price["recurring"]]

    @property
    def one_time(self) -> list[Sale]:
        return [sale for sale in self.sales if not sale.price["recurring"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Purchase:
    """What a Checkout Session knows and does not show: what is sold, and to whom so far."""

    sales: tuple[Sale, ...]
    line_items: list[StripeObject]
    subscription_data: Params
    payment_intent_data: Params = field(default_factory=dict)
    redemptions: tuple[Redemption, ...] = ()
    customer_id: str | None = None
    subscription_id: str | None = None
    setup_intent_id: str | None = None
    #: The payment method whose owner the bank wants to hear from.
    awaited_id: str | None = None
    #: What the customer typed last.
    email: str | None = None
