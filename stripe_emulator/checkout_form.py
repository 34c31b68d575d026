"""What a Checkout Session's form has to show and to ask."""

from stripe_emulator import account, checkout_questions, trials
from stripe_emulator.orders import Purchase
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def describe(world: World, session: StripeObject) -> StripeObject:
    """
    Give all that a page needs, and nothing that a customer must not see.

    `email` is the address that is fixed, or null where the form asks for one. `asks_for_payment`
    is false where a payment method may be left out.
    """
    purchase = world.purchases[session["id"]]
    email = checkout_questions.known_email(world, session)
    return {
        "session": session["id"],
        "merchant": account.NAME,
        "status": session["status"],
        "payment_status": session["payment_status"],
        "livemode": session["livemode"],
        "ui_mode": session["ui_mode"],
        "currency": session["currency"],
        "amount_subtotal": session["amount_subtotal"],
        "amount_discount": session["total_details"]["amount_discount"],
        "amount_total": session["amount_total"],
        "line_items": [_line_item(world, item) for item in purchase.line_items],
        "trial_end": trials.end(world, _trial(purchase.subscription_data)),
        "trial_period_days": purchase.subscription_data.get("trial_period_days"),
        "payment_method_types": session["payment_method_types"],
        "asks_for_payment": not checkout_questions.payment_method_is_optional(session),
        "awaits_authentication": purchase.awaited_id is not None,
        "email": email,
        "asks_for_email": email is None,
        "custom_text": _messages(session["custom_text"]),
        "terms_of_service_required": _requires_terms(session),
        "promotion_code": _code(purchase),
        "promotion_codes_allowed": bool(session["allow_promotion_codes"]),
        "submit_type": session["submit_type"] or "subscribe",
        "locale": session["locale"] or "auto",
        "return_url": _filled(session, "return_url"),
        "redirect_on_completion": session["redirect_on_completion"],
        "success_url": _filled(session, "success_url"),
        "cancel_url": _filled(session, "cancel_url"),
        "expires_at": session["expires_at"],
    }


def _trial(terms: StripeObject) -> StripeObject:
    return {name: terms[name] for name in ("trial_end", "trial_period_days") if name in terms}


def _line_item(world: World, item: StripeObject) -> StripeObject:
    price = item["price"]
    product = world.products[price["product"]]
    recurring = price["recurring"]
    return {
        "name": item["description"],
        "description": product.get("description"),
        "quantity": item["quantity"],
        "currency": item["currency"],
        "unit_amount": price["unit_amount"],
        "amount": item["amount_total"],
        "amount_subtotal": item["amount_subtotal"],
        "interval": recurring and recurring["interval"],
        "interval_count": recurring and recurring["interval_count"],
    }


def _messages(custom_text: StripeObject) -> StripeObject:
    return {name: text and text["message"] for name, text in custom_text.items()}


def _code(purchase: Purchase) -> str | None:
    """Give the code that was typed and holds."""
    codes = (redemption.promotion_code for redemption in purchase.redemptions)
    return next((str(code["code"]) for code in codes if code), None)


def _requires_terms(session: StripeObject) -> bool:
    consent = session["consent_collection"] or {}
    return bool(consent.get("terms_of_service") == "required")


def _filled(session: StripeObject, name: str) -> str | None:
    """Put the session's id where the merchant's address asks for it."""
    url: str | None = session[name]
    return url and url.replace("{CHECKOUT_SESSION_ID}", session["id"])
