"""The control surface: what customers, time and misfortune do, as calls for demos and tests."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web

from stripe_emulator import (
    checkout_form,
    checkout_payment,
    checkout_promotion,
    collection,
    due,
    faults,
    form_answers,
    ids,
    portal_actions,
    settings,
    setups,
    signing_secrets,
    webhook_endpoints,
)
from stripe_emulator.api import ENDPOINTS, refusal
from stripe_emulator.checkout_payment import Outcome
from stripe_emulator.emulator import Emulator
from stripe_emulator.errors import InvalidRequest, StripeError
from stripe_emulator.instruments import Decline
from stripe_emulator.settings import DAY
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

Body = dict[str, Any]
Control = Callable[[web.Request, Body], Awaitable[Body]]

PREFIX = "/_emulator"
#: How far simulated time may run ahead of real time.
FURTHEST = 50 * 366 * DAY


class ControlSurface:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def add_to(self, app: web.Application) -> None:
        for method, path, control in (
            ("POST", "/checkout/{session}/pay", self._pay),
            ("POST", "/checkout/{session}/authenticate", self._authenticate),
            ("GET", "/checkout/{session}/form", self._form),
            ("POST", "/checkout/{session}/promotion_code", self._promotion_code),
            ("POST", "/portal/{session}/cancel", self._cancel),
            ("POST", "/portal/{session}/renew", self._renew),
            ("POST", "/portal/{session}/update", self._update),
            ("POST", "/portal/{session}/payment_method", self._payment_method),
            ("POST", "/payment_intents/{intent}/authenticate", self._authenticate_intent),
            ("GET", "/clock", self._clock),
            ("POST", "/clock/advance", self._advance),
            ("GET", "/deliveries", self._deliveries),
            ("POST", "/deliveries/drain", self._drain),
            ("POST", "/events/{event}/resend", self._resend),
            ("GET", "/faults", self._faults),
            ("PUT", "/faults", self._set_faults),
            ("GET", "/faults/counts", self._fault_counts),
            ("GET", "/requests", self._requests),
            ("POST", "/webhook_endpoints/{endpoint}/roll", self._roll),
            ("GET", "/settings", self._settings),
            ("PUT", "/settings", self._set_settings),
            ("POST", "/reset", self._reset),
        ):
            app.router.add_route(method, PREFIX + path, _json(control))

    async def _pay(self, request: web.Request, body: Body) -> Body:
        answers = form_answers.read(body)

        def pay(world: World) -> StripeObject:
            session = world.checkout_sessions.retrieve(request.match_info["session"])
            return asdict(checkout_payment.pay(world, session, answers))

        return self._emulator.perform(pay)

    async def _authenticate(self, request: web.Request, body: Body) -> Body:
        succeed = _required_flag(body, "succeed")

        def authenticate(world: World) -> StripeObject:
            session = world.checkout_sessions.retrieve(request.match_info["session"])
            return asdict(checkout_payment.authenticate(world, session, succeed=succeed))

        return self._emulator.perform(authenticate)

    async def _authenticate_intent(self, request: web.Request, body: Body) -> Body:
        succeed = _required_flag(body, "succeed")

        def authenticate(world: World) -> StripeObject:
            intent = world.payment_intents.retrieve(request.match_info["intent"])
            with world.living_on(world.test_clock_of(intent)):
                return _declined_or_not(collection.answer_bank(world, intent, succeed=succeed))

        return self._emulator.perform(authenticate)

    async def _promotion_code(self, request: web.Request, body: Body) -> Body:
        code = form_answers.text(body, "code")

        def apply(world: World) -> StripeObject:
            session = world.checkout_sessions.retrieve(request.match_info["session"])
            checkout_promotion.apply(world, session, code)
            return checkout_form.describe(world, session)

        return self._emulator.perform(apply)

    async def _form(self, request: web.Request, _body: Body) -> Body:
        def describe(world: World) -> StripeObject:
            session = world.checkout_sessions.retrieve(request.match_info["session"])
            return checkout_form.describe(world, session)

        return self._emulator.perform(describe)

    async def _cancel(self, request: web.Request, body: Body) -> Body:
        immediately = _flag(body, "immediately")
        feedback: Body = {name: body[name] for name in ("comment", "feedback") if name in body}

        def cancel(world: World, session: StripeObject, subscription: StripeObject) -> None:
            portal_actions.cancel(world, session, subscription, immediately=immediately)
            if feedback:
                portal_actions.leave_feedback(world, subscription, feedback)

        return self._in_portal(request, body, cancel)

    async def _renew(self, request: web.Request, body: Body) -> Body:
        return self._in_portal(request, body, portal_actions.renew)

    async def _update(self, request: web.Request, body: Body) -> Body:
        price, quantity = _text(body, "price"), _count(body, "quantity")

        def update(world: World, session: StripeObject, subscription: StripeObject) -> None:
            portal_actions.update(world, session, subscription, price=price, quantity=quantity)

        return self._in_portal(request, body, update)

    def _in_portal(
        self,
        request: web.Request,
        body: Body,
        act: Callable[[World, StripeObject, StripeObject], None],
    ) -> Body:
        named = _text(body, "subscription")

        def perform(world: World) -> StripeObject:
            session = world.portal_sessions.retrieve(request.match_info["session"])
            subscription = portal_actions.subscription_of(world, session, named)
            with world.living_on(world.test_clock_of(subscription)):
                act(world, session, subscription)
            return {"subscription": subscription["id"], "status": subscription["status"]}

        return self._emulator.perform(perform)

    async def _payment_method(self, request: web.Request, body: Body) -> Body:
        instrument = form_answers.instrument(body)
        if instrument is None:
            raise InvalidRequest("Give the card's `number`.", param="number")

        authenticated = form_answers.flag_or_null(body, "authenticate")
        if authenticated is None and setups.needs_authentication(instrument):
            return asdict(Outcome(outcome="requires_action"))

        def put_on_file(world: World) -> StripeObject:
            session = world.portal_sessions.retrieve(request.match_info["session"])
            with world.living_on(world.test_clock_of(session)):
                decline = portal_actions.put_on_file(
                    world, session, instrument, authenticated=authenticated is not False
                )
            return _declined_or_not(decline)

        return self._emulator.perform(put_on_file)

    async def _clock(self, _request: web.Request, _body: Body) -> Body:
        clock = self._emulator.world.clock
        return {"now": clock.now(), "offset": clock.offset}

    async def _advance(self, request: web.Request, body: Body) -> Body:
        seconds = _count(body, "seconds")
        world = self._emulator.world
        if seconds is None or world.clock.offset + seconds > FURTHEST:
            raise InvalidRequest(
                f"`seconds` takes how far to go forward, to {FURTHEST} ahead of now at most.",
                param="seconds",
            )
        due.run(world)
        world.clock.advance(seconds)
        due.run(world)
        return await self._clock(request, body)

    async def _deliveries(self, _request: web.Request, _body: Body) -> Body:
        return {"deliveries": self._emulator.deliveries.to_json()}

    async def _drain(self, _request: web.Request, body: Body) -> Body:
        deliveries = self._emulator.deliveries
        drained = await deliveries.drain(_seconds(body, "timeout", 10.0))
        return {
            "drained": drained,
            "pending": deliveries.count("pending"),
            "held": deliveries.count("held"),
        }

    async def _resend(self, request: web.Request, _body: Body) -> Body:
        world = self._emulator.world
        event = world.events.table.retrieve(request.match_info["event"])
        before = len(self._emulator.deliveries.to_json())
        self._emulator.deliveries.publish(world, event)
        return {"deliveries": self._emulator.deliveries.to_json()[before:]}

    async def _faults(self, _request: web.Request, _body: Body) -> Body:
        return faults.to_json(self._emulator.faults)

    async def _set_faults(self, _request: web.Request, body: Body) -> Body:
        self._emulator.set_faults(faults.from_json(body, ENDPOINTS))
        return faults.to_json(self._emulator.faults)

    async def _fault_counts(self, _request: web.Request, _body: Body) -> Body:
        return {name: self._emulator.fault_counts[name] for name in faults.COUNTED}

    async def _requests(self, _request: web.Request, _body: Body) -> Body:
        return self._emulator.requests.to_json()

    async def _roll(self, request: web.Request, body: Body) -> Body:
        overlap = _seconds(body, "overlap_seconds", signing_secrets.LONGEST_OVERLAP)
        if overlap > signing_secrets.LONGEST_OVERLAP:
            raise InvalidRequest(
                "The old secret lives on for a day at most.", param="overlap_seconds"
            )
        return webhook_endpoints.roll(
            self._emulator.world,
            request.match_info["endpoint"],
            _text(body, "secret") or signing_secrets.new(),
            overlap,
        )

    async def _settings(self, _request: web.Request, _body: Body) -> Body:
        return asdict(self._emulator.world.settings)

    async def _set_settings(self, request: web.Request, body: Body) -> Body:
        world = self._emulator.world
        world.settings = settings.changed(world.settings, body)
        return await self._settings(request, body)

    async def _reset(self, _request: web.Request, _body: Body) -> Body:
        await self._emulator.reset()
        return {}


def _json(control: Control) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            answer = await control(request, _body(await request.read()))
        except StripeError as error:
            return refusal(error, ids.new("req"))
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    return handle


def _body(raw: bytes) -> Body:
    try:
        body = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The body has to be a JSON object.")
    return body


def _declined_or_not(decline: Decline | None) -> Body:
    outcome = Outcome(outcome="complete")
    if decline is not None:
        outcome = Outcome(
            outcome="declined",
            code=decline.code,
            decline_code=decline.decline_code,
            message=decline.message,
        )
    return asdict(outcome)


def _text(body: Body, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"`{name}` takes a string.", param=name)
    return value


def _flag(body: Body, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise InvalidRequest(f"`{name}` takes true or false.", param=name)
    return value


def _required_flag(body: Body, name: str) -> bool:
    if name not in body:
        raise InvalidRequest(f"`{name}` takes true or false.", param=name)
    return _flag(body, name)


def _count(body: Body, name: str) -> int | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise InvalidRequest(f"`{name}` takes a whole number from 0.", param=name)
    return value


def _seconds(body: Body, name: str, default: float) -> float:
    value = body.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise InvalidRequest(f"`{name}` takes a number of seconds.", param=name)
    return float(value)
