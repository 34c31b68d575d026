"""The customer portal as customers see it. What they do there is done by `portal_actions`."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from stripe_emulator import (
    customers,
    pages,
    payment_view,
    portal_actions,
    portal_view,
    typed_fields,
)
from stripe_emulator.checkout_payment import Outcome
from stripe_emulator.emulator import Emulator
from stripe_emulator.errors import InvalidRequest, StripeError
from stripe_emulator.portal_place import Place, see
from stripe_emulator.portal_visits import Visits
from stripe_emulator.tables import StripeObject
from stripe_emulator.typed_fields import Incorrect
from stripe_emulator.world import World

Show = Callable[[Place], Awaitable[web.Response]]

URL = "/p/session/{session}"
ON_SUBSCRIPTION = URL + "/subscriptions/{subscription}"
COOKIE = "portal_visit"
#: What is said after each thing that can be done.
DONE = {
    "canceled": "Your subscription has been canceled.",
    "renewed": "Your subscription goes on.",
    "updated": "Your subscription has been changed.",
    "payment_method": "Your payment method has been changed.",
    "customer": "Your details have been changed.",
}
#: What customers may say, and what the page calls it.
REASONS = {
    "customer_service": "Customer service was not good enough",
    "low_quality": "Quality was not good enough",
    "missing_features": "I need features that are missing",
    "switched_service": "I found an alternative",
    "too_complex": "It is too hard to use",
    "too_expensive": "It is too expensive",
    "unused": "I do not use it enough",
    "other": "Another reason",
}
LONGEST_COMMENT = 500
LONGEST_DETAIL = 256
DETAILS = ("name", "email")
QUANTITY = re.compile(r"[1-9][0-9]{0,5}")


class PortalPages:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._visits = Visits()

    def add_to(self, app: web.Application) -> None:
        for method, path, show in (
            ("GET", URL, _home),
            ("GET", URL + "/done", _confirmation),
            ("GET", ON_SUBSCRIPTION + "/cancel", _ask_to_cancel),
            ("POST", ON_SUBSCRIPTION + "/cancel", self._cancel),
            ("POST", ON_SUBSCRIPTION + "/renew", self._renew),
            ("GET", ON_SUBSCRIPTION + "/update", _choose),
            ("GET", ON_SUBSCRIPTION + "/update/confirm", _ask_to_update),
            ("POST", ON_SUBSCRIPTION + "/update/confirm", self._update),
            ("GET", URL + "/payment_method", _ask_for_payment_method),
            ("POST", URL + "/payment_method", self._put_on_file),
            ("POST", URL + "/payment_method/authenticate", self._authenticate),
            ("GET", URL + "/customer", _ask_for_details),
            ("POST", URL + "/customer", self._change_details),
        ):
            app.router.add_route(method, path, pages.on_a_page(self._let_in(show)))

    def _let_in(self, show: Show) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            place = self._place(request)
            response = await self._show(show, place)
            response.set_cookie(
                COOKIE, place.visit.token, path=place.home, httponly=True, samesite="Lax"
            )
            return response

        return handle

    async def _show(self, show: Show, place: Place) -> web.Response:
        if place.is_off_its_flow:
            return see(place.flow_page or place.home)
        try:
            return await show(place)
        except StripeError as error:
            return pages.refusal(error, place.language, link=(place.home, "Go back"))

    def _place(self, request: web.Request) -> Place:
        world = self._emulator.world
        session = world.portal_sessions.retrieve(request.match_info["session"])
        world.customers.existing(session["customer"])
        token = request.cookies.get(COOKIE, "")
        with world.living_on(world.test_clock_of(session)):
            now = world.clock.now()
        return Place(
            request=request,
            world=world,
            session=session,
            visit=self._visits.enter(session, token, now),
            language=pages.language_of(request, session["locale"]),
        )

    def _perform(self, place: Place, act: Callable[..., None], **arguments: object) -> None:
        """Do what a customer asks for, to one subscription."""

        def answer(world: World, subscription: StripeObject) -> StripeObject:
            act(world, place.session, subscription, **arguments)
            return subscription

        self._emulator.perform(answer, place.subscription)

    async def _cancel(self, place: Place) -> web.Response:
        feedback = _feedback(place, await place.request.post())
        self._perform(place, portal_actions.cancel, immediately=False)
        if feedback:
            self._perform(place, _leave, feedback=feedback)
        return place.done("canceled")

    async def _renew(self, place: Place) -> web.Response:
        self._perform(place, portal_actions.renew)
        return place.done("renewed")

    async def _update(self, place: Place) -> web.Response:
        wanted = _wanted(place, await place.request.post())
        self._perform(place, portal_actions.update, **wanted)
        return place.done("updated")

    async def _put_on_file(self, place: Place) -> web.Response:
        typed = await place.request.post()
        try:
            instrument = typed_fields.instrument(typed, "card", place.world.clock.now())
        except Incorrect as error:
            return _show_payment_method(place, problems=error.problems)
        return self._outcome(place, portal_actions.put_on_file, instrument)

    async def _authenticate(self, place: Place) -> web.Response:
        succeed = (await place.request.post()).get("succeed") == "yes"
        return self._outcome(place, portal_actions.authenticate_setup, succeed=succeed)

    def _outcome(
        self, place: Place, act: Callable[..., Outcome], *arguments: object, **named: object
    ) -> web.Response:
        def answer(world: World, session: StripeObject) -> StripeObject:
            return asdict(act(world, session, *arguments, **named))

        outcome = self._emulator.perform(answer, place.session)
        if outcome["outcome"] == "requires_action":
            return place.show("portal_challenge.html")
        if outcome["outcome"] == "declined":
            return _show_payment_method(place, declined=outcome["message"])
        return place.done("payment_method")

    async def _change_details(self, place: Place) -> web.Response:
        typed = await place.request.post()
        allowed = _changeable(place)
        changes = {name: str(typed[name])[:LONGEST_DETAIL] for name in allowed if name in typed}
        problems = typed_fields.email_problems(changes) if "email" in changes else {}
        if problems:
            return place.show("portal_customer.html", typed=changes, problems=problems)
        self._emulator.perform(customers.update, changes, place.session["customer"])
        return place.done("customer")


async def _home(place: Place) -> web.Response:
    done = DONE.get(place.request.query.get("done", ""))
    return place.show("portal_home.html", done=done, **portal_view.home(place.world, place.session))


async def _confirmation(place: Place) -> web.Response:
    done = DONE.get(place.request.query.get("what", ""), "")
    return place.show("portal_done.html", done=done, confirmation=place.confirmation)


async def _ask_to_cancel(place: Place) -> web.Response:
    plan = portal_view.plan(place.world, place.session, place.subscription)
    if not plan["may_cancel"]:
        raise InvalidRequest("This subscription cannot be canceled here.")
    return place.show("portal_cancel.html", plan=plan, reasons=_reasons(place))


def _reasons(place: Place) -> dict[str, str]:
    asked = _feature(place, "subscription_cancel")["cancellation_reason"]
    return {name: REASONS[name] for name in asked["options"]} if asked["enabled"] else {}


def _feedback(place: Place, typed: Mapping[str, Any]) -> dict[str, str]:
    reasons = _reasons(place)
    if not reasons:
        return {}
    comment = str(typed.get("comment", "")).strip()[:LONGEST_COMMENT]
    given = {"comment": comment, "feedback": str(typed.get("feedback", ""))}
    known = given["feedback"] in reasons
    return {name: text for name, text in given.items() if text and (known or name == "comment")}


def _leave(
    world: World,
    _session: StripeObject,
    subscription: StripeObject,
    *,
    feedback: dict[str, str],
) -> None:
    portal_actions.leave_feedback(world, subscription, feedback)


async def _choose(place: Place) -> web.Response:
    plan = portal_view.plan(place.world, place.session, place.subscription)
    if not plan["may_update"]:
        raise InvalidRequest("This subscription cannot be changed here.")
    offers = portal_view.offers(place.world, place.session, place.subscription)
    return place.show("portal_update.html", plan=plan, offers=offers)


async def _ask_to_update(place: Place) -> web.Response:
    wanted = _wanted(place, place.request.query)
    subscription = place.subscription
    world = place.world
    with world.living_on(world.test_clock_of(place.session)):
        cost = portal_actions.cost_of_update(world, place.session, subscription, **wanted)
    return place.show(
        "portal_confirm.html",
        plan=portal_view.plan(world, place.session, subscription),
        after=portal_view.after_change(world, subscription, **wanted),
        cost=cost,
        wanted=wanted,
    )


def _wanted(place: Place, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Read the change; a flow that is about one change knows it already."""
    flow = place.flow
    if flow is not None and flow["type"] == "subscription_update_confirm":
        given = flow["subscription_update_confirm"]["items"][0]
        return {"price": given.get("price"), "quantity": given.get("quantity")}
    current = place.subscription["items"]["data"][0]
    wanted = {"price": typed.get("price"), "quantity": _quantity(typed)}
    kept = {"price": current["price"]["id"], "quantity": current["quantity"]}
    changed = {name: None if value == kept[name] else value for name, value in wanted.items()}
    if not any(changed.values()):
        raise InvalidRequest("This is the plan that you have.")
    return changed


def _quantity(typed: Mapping[str, Any]) -> int | None:
    given = typed.get("quantity")
    if given in (None, ""):
        return None
    if QUANTITY.fullmatch(str(given)) is None:
        raise InvalidRequest("The quantity has to be a number from 1.", param="quantity")
    return int(str(given))


async def _ask_for_payment_method(place: Place) -> web.Response:
    if not _feature(place, "payment_method_update")["enabled"]:
        raise InvalidRequest("The payment method cannot be changed here.")
    return _show_payment_method(place)


def _show_payment_method(
    place: Place, *, problems: dict[str, str] | None = None, declined: str | None = None
) -> web.Response:
    return place.show(
        "portal_payment_method.html",
        problems=problems or {},
        declined=declined,
        test_instruments=payment_view.INSTRUMENTS["card"],
    )


async def _ask_for_details(place: Place) -> web.Response:
    customer = place.world.customers[place.session["customer"]]
    typed = {name: customer[name] or "" for name in _changeable(place)}
    return place.show("portal_customer.html", typed=typed, problems={})


def _changeable(place: Place) -> list[str]:
    feature = _feature(place, "customer_update")
    if not feature["enabled"]:
        raise InvalidRequest("Your details cannot be changed here.")
    return [name for name in DETAILS if name in feature["allowed_updates"]]


def _feature(place: Place, name: str) -> StripeObject:
    feature: StripeObject = portal_view.features_of(place.world, place.session)[name]
    return feature
