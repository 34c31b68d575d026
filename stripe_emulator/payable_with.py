"""Which kinds of payment method Stripe offers by itself, for a currency and within filters."""

from stripe_emulator.errors import InvalidRequest
from stripe_emulator.parameters import Params

#: Cards take every currency; debits only their own.
DEBITS_BY_CURRENCY = {"aud": ("au_becs_debit",), "eur": ("sepa_debit",)}


def eligible(currency: str) -> list[str]:
    return ["card", *DEBITS_BY_CURRENCY.get(currency, ())]


def offered(params: Params, currency: str, switched_on: list[str]) -> list[str]:
    """Leave of the eligible what is switched on and a Checkout Session's parameters allow."""
    kinds = [kind for kind in eligible(currency) if kind in switched_on]
    allowed = params.get("allowed_payment_method_types") or kinds
    excluded = params.get("excluded_payment_method_types") or ()
    left = [kind for kind in kinds if kind in allowed and kind not in excluded]
    if not left:
        raise InvalidRequest("No valid payment method types for this Checkout Session.")
    return left
