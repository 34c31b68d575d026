from decimal import ROUND_HALF_UP, Decimal

from stripe_emulator.tables import StripeObject


def of(price: StripeObject, quantity: int) -> int:
    """Give what so many cost, in the currency's minor unit."""
    exact = Decimal(price["unit_amount_decimal"]) * quantity
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))
