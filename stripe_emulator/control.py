"""The control surface: what customers, time and misfortune do, as calls for demos and tests."""

from collections.abc import Callable
from dataclasses import asdict

from aiohttp import web

from stripe_emulator import (
    control_calls,
    due,
    faults,
    form_answers,
    portal_actions,
    settings,
    signing_secrets,
    webhook_endpoints,
)
from stripe_emulator.api import ENDPOINTS
from stripe_emulator.checkout_control import CheckoutControl
from stripe_emulator.control_calls import Body
from stripe_emulator.emulator import Emulator
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.instruments import Instrument
from stripe_emulator.settings import DAY
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

PREFIX = "/_emulator"
#: How far simulated time may run ahead of real time.
FURTHEST = 50 * 366 * DAY


class ControlSurface:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def add_to(self, app: web.Application) -> None:
        for method, path, control in (
            *CheckoutControl(self._emulator).routes(),
            ("POST", "/portal/{session}/cancel", self._cancel),
            ("POST", "/portal/{session}/renew", self._renew),
            ("POST", "/portal/{session}/update", self._update),
            ("POST", "/portal/{session}/payment_method", self._payment_method),
            ("POST", "/customers/{customer}/payment_method", self._payment_method_of),
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
            app.router.add_route(method, PREFIX + path, control_calls.answering(control))

    async def _cancel(self, request: web.Request, body: Body) -> Body:
        immediately = control_calls.flag(body, "immediately")
        feedback: Body = {name: body[name] for name in ("comment", "feedback") if name in body}

        def cancel(world: World, session: StripeObject, subscription: StripeObject) -> None:
            portal_actions.cancel(world, session, subscription, immediately=immediately)
            if feedback:
                portal_actions.leave_feedback(world, subscription, feedback)

        return self._in_portal(request, body, cancel)

    async def _renew(self, request: web.Request, body: Body) -> Body:
        return self._in_portal(request, body, portal_actions.renew)

    async def _update(self, request: web.Request, body: Body) -> Body:
        price, quantity = control_calls.text(body, "price"), control_calls.count(body, "quantity")

        def update(world: World, session: StripeObject, subscription: StripeObject) -> None:
            portal_actions.update(world, session, subscription, price=price, quantity=quantity)

        return self._in_portal(request, body, update)

    def _in_portal(
        self,
        request: web.Request,
        body: Body,
        act: Callable[[World, StripeObject, StripeObject], None],
    ) -> Body:
        named = control_calls.text(body, "subscription")

        def perform(world: World) -> StripeObject:
            session = world.portal_sessions.retrieve(request.match_info["session"])
            subscription = portal_actions.subscription_of(world, session, named)
            with world.living_on(world.test_clock_of(subscription)):
                act(world, session, subscription)
            return {"subscription": subscription["id"], "status": subscription["status"]}

        return self._emulator.perform(perform)

    async def _payment_method(self, request: web.Request, body: Body) -> Body:
        instrument = _instrument(body)
        authenticate = form_answers.flag_or_null(body, "authenticate")

        def put_on_file(world: World) -> StripeObject:
            session = world.portal_sessions.retrieve(request.match_info["session"])
            with world.living_on(world.test_clock_of(session)):
                outcome = portal_actions.put_on_file(
                    world, session, instrument, authenticate=authenticate
                )
            return asdict(outcome)

        return self._emulator.perform(put_on_file)

    async def _payment_method_of(self, request: web.Request, body: Body) -> Body:
        instrument = _instrument(body)

        def put_on_file(world: World) -> StripeObject:
            customer = world.customers.existing(request.match_info["customer"])
            with world.living_on(world.test_clock_of(customer)):
                return asdict(portal_actions.put_on_file_of(world, customer, instrument))

        return self._emulator.perform(put_on_file)

    async def _clock(self, _request: web.Request, _body: Body) -> Body:
        clock = self._emulator.world.clock
        return {"now": clock.now(), "offset": clock.offset}

    async def _advance(self, request: web.Request, body: Body) -> Body:
        seconds = control_calls.count(body, "seconds")
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
        drained = await deliveries.drain(control_calls.seconds(body, "timeout", 10.0))
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
        overlap = control_calls.seconds(body, "overlap_seconds", signing_secrets.LONGEST_OVERLAP)
        if overlap > signing_secrets.LONGEST_OVERLAP:
            raise InvalidRequest(
                "The old secret lives on for a day at most.", param="overlap_seconds"
            )
        return webhook_endpoints.roll(
            self._emulator.world,
            request.match_info["endpoint"],
            control_calls.text(body, "secret") or signing_secrets.new(),
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


def _instrument(body: Body) -> Instrument:
    instrument = form_answers.instrument(body)
    if instrument is None:
        raise InvalidRequest("Give the card's `number`.", param="number")
    return instrument
