"""The payment page, alone or in a frame. What pressing its button does, `checkout_payment` does."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web

from stripe_emulator import (
    acknowledgement,
    checkout_form,
    checkout_payment,
    checkout_promotion,
    form_answers,
    pages,
    payment_view,
)
from stripe_emulator.emulator import Emulator
from stripe_emulator.errors import InvalidRequest, ResourceMissing, StripeError, Unauthenticated
from stripe_emulator.tables import StripeObject
from stripe_emulator.typed_fields import Incorrect
from stripe_emulator.world import World

Typed = dict[str, Any]
Act = Callable[[World, StripeObject], StripeObject]
Press = Callable[[StripeObject, Typed], Awaitable[StripeObject]]

URL = "/c/pay/{session}"
COMPLETED = "checkout.session.completed"


class PaymentPages:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(URL, pages.on_a_page(self._hosted))
        app.router.add_get("/c/embedded", self._embedded)
        for path, press in (
            ("", self._pay),
            ("/authenticate", self._authenticate),
            ("/promotion_code", self._promotion_code),
        ):
            app.router.add_post(URL + path, self._pressed(press))

    async def _hosted(self, request: web.Request) -> web.Response:
        session = self._open(request.match_info["session"], None)
        return self._show(request, session, None)

    async def _embedded(self, request: web.Request) -> web.Response:
        """Show the form in a frame of the page whose origin the frame's address names."""
        parent = request.query.get("origin", "")
        if not pages.is_origin(parent):
            return pages.refusal(InvalidRequest("The frame's address names no origin."))
        try:
            _check_publishable(request.query.get("key", ""))
            secret = request.query.get("client_secret", "")
            session = self._open(secret.partition("_secret_")[0], secret)
        except StripeError as error:
            return pages.refusal(error, pages.language_of(request, None), parent=parent)
        return self._show(request, session, parent)

    def _open(self, session_id: str, secret: str | None) -> StripeObject:
        """Find a session for whoever may see it: embedded ones only by their client secret."""
        session = self._emulator.world.checkout_sessions.retrieve(session_id)
        known = session["client_secret"]
        if not hmac.compare_digest((known or "").encode(), (secret or "").encode()):
            raise ResourceMissing("checkout.session", session_id)
        return session

    def _show(
        self, request: web.Request, session: StripeObject, parent: str | None
    ) -> web.Response:
        form = checkout_form.describe(self._emulator.world, session)
        language = pages.language_of(request, form["locale"])
        if form["status"] != "open":
            return _over(form, language, parent)
        return pages.page(
            "payment.html",
            language=language,
            parent=parent,
            form=form,
            view=payment_view.of(form),
            secret=session["client_secret"],
        )

    def _pressed(self, press: Press) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            return _json(await self._answer(request, press))

        return handle

    async def _answer(self, request: web.Request, press: Press) -> StripeObject:
        try:
            typed = await _typed(request)
            secret = form_answers.text(typed, "client_secret")
            session = self._open(request.match_info["session"], secret)
            if session["status"] != "open":
                return {"outcome": "over"}
            return await press(session, typed)
        except Incorrect as error:
            return {"outcome": "incorrect", "problems": error.problems}
        except StripeError as error:
            return {"outcome": "declined", "message": error.message}

    async def _pay(self, session: StripeObject, typed: Typed) -> StripeObject:
        form = checkout_form.describe(self._emulator.world, session)
        answers = payment_view.answers(form, typed, self._emulator.world.clock.now())
        return await self._finish(
            session, lambda world: asdict(checkout_payment.pay(world, session, answers))
        )

    async def _authenticate(self, session: StripeObject, typed: Typed) -> StripeObject:
        succeed = form_answers.flag_or_null(typed, "succeed") is True
        return await self._finish(
            session,
            lambda world: asdict(checkout_payment.authenticate(world, session, succeed=succeed)),
        )

    async def _promotion_code(self, session: StripeObject, typed: Typed) -> StripeObject:
        code = form_answers.text(typed, "promotion_code")

        def apply(world: World) -> StripeObject:
            checkout_promotion.apply(world, session, code)
            return session

        try:
            self._emulator.perform(apply)
        except InvalidRequest as error:
            raise Incorrect({"promotion_code": error.message}) from error
        return {"outcome": "priced"}

    async def _finish(
        self, session: StripeObject, act: Callable[[World], StripeObject]
    ) -> StripeObject:
        events = self._emulator.world.events.table
        before = len(events.where(type=COMPLETED))
        outcome = self._emulator.perform(act)
        if outcome["outcome"] != "complete":
            return {"outcome": outcome["outcome"], "message": outcome["message"]}
        await acknowledgement.wait(events.where(type=COMPLETED)[before:])
        form = checkout_form.describe(self._emulator.world, session)
        return {"outcome": "complete", "redirect": payment_view.redirect_of(form)}


def _check_publishable(key: str) -> None:
    if not key.startswith("pk_test_"):
        raise Unauthenticated("The page that shows this form gave no publishable test key.")


def _over(form: StripeObject, language: str, parent: str | None) -> web.Response:
    message = payment_view.OVER[form["status"]]
    address = form["cancel_url"] or form["success_url"]
    return pages.page(
        "message.html",
        language=language,
        parent=parent,
        title=message.title,
        text=message.text,
        link=(address, "Back to the shop") if address and not parent else None,
    )


async def _typed(request: web.Request) -> Typed:
    try:
        typed = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("The form was not sent as JSON.") from error
    if not isinstance(typed, dict):
        raise InvalidRequest("The form was not sent as an object.")
    return typed


def _json(answer: StripeObject) -> web.Response:
    return web.Response(
        body=orjson.dumps(answer),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
