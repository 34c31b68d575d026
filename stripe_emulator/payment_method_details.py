"""How payment methods and charges describe a card or a bank account."""

from collections.abc import Callable

from stripe_emulator import mandates
from stripe_emulator.debits import TEST_BSB
from stripe_emulator.instruments import Card, Debit, Instrument
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

AVERAGE_YEAR = 365 * 24 * 60 * 60 + 6 * 60 * 60


def of_payment_method(world: World, instrument: Instrument) -> StripeObject:
    """Give `type` and the field that is named after it."""
    if isinstance(instrument, Debit):
        return {"type": instrument.type, instrument.type: ACCOUNTS[instrument.type](instrument)}
    return {"type": "card", "card": _card(world, instrument)}


def _card(world: World, card: Instrument) -> StripeObject:
    brand = card.brand if isinstance(card, Card) else "unknown"
    return {
        "brand": brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "US",
        "display_brand": brand,
        "exp_month": 12,
        "exp_year": 1970 + world.clock.now() // AVERAGE_YEAR + 4,
        "fingerprint": f"emulated{card.number[-8:]}",
        "funding": "credit",
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _sepa(debit: Debit) -> StripeObject:
    return {
        "bank_code": debit.number[4:9],
        "branch_code": "",
        "country": debit.number[:2],
        "fingerprint": f"emulated{debit.number[-8:]}",
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": debit.last4,
    }


def _becs(debit: Debit) -> StripeObject:
    return {
        "bsb_number": TEST_BSB,
        "fingerprint": f"emulated{debit.number[-8:]}",
        "last4": debit.last4,
    }


ACCOUNTS: dict[str, Callable[[Debit], StripeObject]] = {
    "au_becs_debit": _becs,
    "sepa_debit": _sepa,
}
SHOWN_OF_CARDS = (
    "brand",
    "checks",
    "country",
    "exp_month",
    "exp_year",
    "fingerprint",
    "funding",
    "last4",
)


def of_charge(world: World, payment_method: StripeObject) -> StripeObject:
    kind = payment_method["type"]
    described = payment_method[kind]
    if kind == "card":
        card = {name: described[name] for name in SHOWN_OF_CARDS}
        return {"card": {**card, "three_d_secure": None, "wallet": None}, "type": "card"}
    mandate = mandates.of(world, payment_method)
    account = {name: value for name, value in described.items() if name != "generated_from"}
    account |= {"expected_debit_date": None, "mandate": mandate and mandate["id"]}
    return {kind: account, "type": kind}
