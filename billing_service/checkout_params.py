"""A checkout in Stripe's words."""

from collections.abc import Sequence
from typing import Any

from billing_service.order import Order
from billing_service.prices import Price

Json = dict[str, Any]


def checkout_params(order: Order, prices: Sequence[Price], customer_id: str) -> Json:
    """Say what CreateCheckoutSession asks for in the parameters of the pinned API version.

    The account's id is on the session and on the subscription: whichever
    event comes first tells whose it is.
    """
    return {
        "mode": "subscription",
        "customer": customer_id,
        "client_reference_id": order.account_id,
        "line_items": [
            _line_item(price, line.quantity)
            for price, line in zip(prices, order.lines, strict=True)
        ],
        "metadata": order.all_metadata,
        "subscription_data": _subscription_data(order),
        **_page(order),
        **_options(order),
    }


def _line_item(price: Price, quantity: int) -> Json:
    item: Json = {"price": price.price_id}
    return item if price.metered else item | {"quantity": quantity}


def _subscription_data(order: Order) -> Json:
    data: Json = {"metadata": order.all_metadata}
    if order.trial_period_days:
        data["trial_period_days"] = order.trial_period_days
    return data


def _page(order: Order) -> Json:
    if not order.hosted:
        return {"ui_mode": "embedded_page", "return_url": order.return_url}
    page = {"ui_mode": "hosted_page", "success_url": order.success_url}
    return page | ({"cancel_url": order.cancel_url} if order.cancel_url else {})


def _options(order: Order) -> Json:
    options: Json = {
        "allow_promotion_codes": order.allow_promotion_codes or None,
        "locale": order.locale or None,
        "custom_text": {name: {"message": text} for name, text in order.custom_text.items()},
    }
    return {name: value for name, value in options.items() if value}
