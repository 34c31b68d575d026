from stripe import params as accepted

from stripe_emulator.parameters import Params
from stripe_emulator.routing import get
from stripe_emulator.settings import ACCOUNT_ID
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

NAME = "Paidup emulator"


def retrieve(_world: World, _params: Params) -> StripeObject:
    return {
        "id": ACCOUNT_ID,
        "object": "account",
        "business_profile": {"name": NAME, "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": "US",
        "created": 1_700_000_000,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "owner@example.com",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "branding": {
                "icon": None,
                "logo": None,
                "primary_color": None,
                "secondary_color": None,
            },
            "card_payments": {"statement_descriptor_prefix": None},
            "dashboard": {"display_name": NAME, "timezone": "Etc/UTC"},
            "payments": {"statement_descriptor": "PAIDUP EMULATOR"},
        },
        "type": "standard",
    }


def balance(_world: World, _params: Params) -> StripeObject:
    nothing = [{"amount": 0, "currency": "usd", "source_types": {"card": 0}}]
    return {"object": "balance", "available": nothing, "livemode": False, "pending": nothing}


ROUTES = (
    get("/v1/account", retrieve, accepted.AccountRetrieveCurrentParams),
    get("/v1/balance", balance, accepted.BalanceRetrieveParams),
)
