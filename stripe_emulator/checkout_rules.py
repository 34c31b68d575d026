"""What makes a Checkout Session impossible, as rules to read from top to bottom."""

from collections.abc import Callable

from stripe_emulator import one_time_checkout, trials
from stripe_emulator.errors import InvalidRequest, MissingParameter, UnsupportedByEmulator
from stripe_emulator.orders import Sale
from stripe_emulator.parameters import Params
from stripe_emulator.settings import DAY
from stripe_emulator.world import World

EMBEDDED = frozenset({"embedded_page", "elements"})
MOST_ITEMS = 20
LONGEST_TEXT = 1200
LONGEST_REFERENCE = 200
SHORTEST_LIFE = 30 * 60
LONGEST_LIFE = DAY
SOONEST_TRIAL_END = 2 * DAY
#: The modes that are followed, and what each of them alone takes.
DATA_OF_MODE = {"payment": "payment_intent_data", "subscription": "subscription_data"}


def check(world: World, params: Params) -> None:
    for rule in RULES:
        rule(world, params)


def _mode_is_followed(_world: World, params: Params) -> None:
    if params["mode"] not in DATA_OF_MODE:
        raise UnsupportedByEmulator(f"mode={params['mode']}")


def _ui_mode_is_a_page(_world: World, params: Params) -> None:
    ui_mode = params.get("ui_mode", "hosted_page")
    if ui_mode not in ("embedded_page", "hosted_page"):
        raise UnsupportedByEmulator(f"ui_mode={ui_mode}")


def _urls_fit_the_ui_mode(_world: World, params: Params) -> None:
    embedded = params.get("ui_mode", "hosted_page") in EMBEDDED
    wrong = ("success_url", "cancel_url") if embedded else ("return_url", "redirect_on_completion")
    for name in wrong:
        if name in params:
            ui_mode = params.get("ui_mode", "hosted_page")
            raise InvalidRequest(
                f"`{name}` is not allowed when `ui_mode` is `{ui_mode}`.", param=name
            )


def _the_customer_can_return(_world: World, params: Params) -> None:
    if params.get("ui_mode", "hosted_page") not in EMBEDDED:
        if "success_url" not in params:
            raise MissingParameter("success_url")
        return
    never = params.get("redirect_on_completion") == "never"
    if never and "return_url" in params:
        raise InvalidRequest(
            "`return_url` is not allowed when `redirect_on_completion` is `never`.",
            param="return_url",
        )
    if not never and "return_url" not in params:
        raise MissingParameter("return_url")


def _urls_are_urls(_world: World, params: Params) -> None:
    for name in ("success_url", "cancel_url", "return_url"):
        if not params.get(name, "https://").startswith(("https://", "http://")):
            raise InvalidRequest("Not a valid URL", code="url_invalid", param=name)


def _one_customer(world: World, params: Params) -> None:
    given = [name for name in ("customer", "customer_account", "customer_email") if name in params]
    if len(given) > 1:
        raise InvalidRequest(
            f"You may only specify one of these parameters: {', '.join(given)}.", param=given[0]
        )
    if "customer" in params:
        world.customers.referenced(params["customer"], "customer")
    if "customer_creation" in params and params["mode"] == "subscription":
        raise InvalidRequest(
            "`customer_creation` can only be used in `payment` and `setup` mode.",
            param="customer_creation",
        )
    if "customer_update" in params and "customer" not in params:
        raise InvalidRequest(
            "`customer_update` can only be used with `customer`.", param="customer_update"
        )


def _nothing_of_another_mode(_world: World, params: Params) -> None:
    own = DATA_OF_MODE[params["mode"]]
    for name in ("payment_intent_data", "setup_intent_data", "subscription_data"):
        if name in params and name != own:
            raise InvalidRequest(
                f"You can not pass `{name}` in `{params['mode']}` mode.", param=name
            )
    if "invoice_creation" in params:
        raise UnsupportedByEmulator("invoice_creation")
    for name in sorted(params.get("payment_intent_data", {}).keys() - one_time_checkout.FOLLOWED):
        raise UnsupportedByEmulator(f"payment_intent_data[{name}]")


def _texts_are_short(_world: World, params: Params) -> None:
    for name, text in (params.get("custom_text") or {}).items():
        if text and len(text["message"]) > LONGEST_TEXT:
            raise InvalidRequest(
                f"Invalid string: must be at most {LONGEST_TEXT} characters.",
                param=f"custom_text[{name}][message]",
            )
    if len(params.get("client_reference_id", "")) > LONGEST_REFERENCE:
        raise InvalidRequest(
            f"Invalid string: must be at most {LONGEST_REFERENCE} characters.",
            param="client_reference_id",
        )


def _life_is_within_bounds(world: World, params: Params) -> None:
    life = params.get("expires_at", world.clock.now() + LONGEST_LIFE) - world.clock.now()
    if life < SHORTEST_LIFE:
        raise InvalidRequest(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session "
            "creation.",
            param="expires_at",
        )
    if life > LONGEST_LIFE:
        raise InvalidRequest(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            param="expires_at",
        )


def _trial_is_possible(world: World, params: Params) -> None:
    data = params.get("subscription_data", {})
    trial_end = trials.end(world, data, "subscription_data")
    if "trial_end" in data and trial_end and trial_end < world.clock.now() + SOONEST_TRIAL_END:
        raise InvalidRequest(
            "The `trial_end` date has to be at least 2 days in the future.",
            param="subscription_data[trial_end]",
        )


def _subscription_terms_are_known(_world: World, params: Params) -> None:
    given = params.get("subscription_data", {})
    for name in sorted(given.keys() - FOLLOWED_TERMS):
        raise UnsupportedByEmulator(f"subscription_data[{name}]")
    if given.get("billing_mode", {}).get("type", "flexible") != "flexible":
        raise UnsupportedByEmulator("subscription_data[billing_mode][type]=classic")


def _one_discount(_world: World, params: Params) -> None:
    given = params.get("discounts") or []
    if given and "allow_promotion_codes" in params:
        raise InvalidRequest(
            "You may only specify one of these parameters: allow_promotion_codes, discounts.",
            param="allow_promotion_codes",
        )
    if len(given) > 1:
        raise InvalidRequest("You may only specify up to one discount.", param="discounts")


FOLLOWED_TERMS = frozenset(
    {
        "billing_mode",
        "description",
        "metadata",
        "proration_behavior",
        "trial_end",
        "trial_period_days",
        "trial_settings",
    }
)

RULES: tuple[Callable[[World, Params], None], ...] = (
    _mode_is_followed,
    _ui_mode_is_a_page,
    _urls_fit_the_ui_mode,
    _the_customer_can_return,
    _urls_are_urls,
    _one_customer,
    _nothing_of_another_mode,
    _texts_are_short,
    _life_is_within_bounds,
    _trial_is_possible,
    _subscription_terms_are_known,
    _one_discount,
)


def check_sales(sales: list[Sale], mode: str) -> None:
    recurring = [sale for sale in sales if sale.price["recurring"]]
    if mode == "payment" and recurring:
        raise InvalidRequest(
            "You specified `payment` mode but passed a recurring price. Either switch to "
            "`subscription` mode or use only one-time prices.",
            param="line_items",
        )
    if mode == "subscription" and not recurring:
        raise InvalidRequest(
            "You must provide at least one recurring price in `subscription` mode when using "
            "prices.",
            param="line_items",
        )
    if max(len(recurring), len(sales) - len(recurring)) > MOST_ITEMS:
        raise InvalidRequest(
            f"You may only specify up to {MOST_ITEMS} recurring and {MOST_ITEMS} one-time items.",
            param="line_items",
        )
    if len({sale.price["currency"] for sale in sales}) > 1:
        raise InvalidRequest(
            "All prices on a Checkout session must be of the same currency.", param="line_items"
        )
    if len({sale.price["id"] for sale in recurring}) < len(recurring):
        raise InvalidRequest("You cannot sell the same recurring price twice.", param="line_items")
