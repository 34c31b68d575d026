"""What customers do on payment pages, as control calls."""

from dataclasses import asdict

from aiohttp import web

from stripe_emulator import (
    checkout_form,
    checkout_payment,
    checkout_promotion,
    collection,
    control_calls,
    form_answers,
)
from stripe_emulator.control_calls import Body, Control
from stripe_emulator.emulator import Emulator
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


class CheckoutControl:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def routes(self) -> tuple[tuple[str, str, Control], ...]:
        return (
            ("POST", "/checkout/{session}/pay", self._pay),
            ("POST", "/checkout/{session}/authenticate", self._authenticate),
            ("GET", "/checkout/{session}/form", self._form),
            ("POST", "/checkout/{session}/promotion_code", self._promotion_code),
            ("POST", "/payment_intents/{intent}/authenticate", self._authenticate_intent),
        )

    async def _pay(self, request: web.Request, body: Body) -> Body:
        answers = form_answers.read(body)

        def pay(world: World) -> StripeObject:
            session = world.checkout_sessions.retrieve(request.match_info["session"])
            return asdict(checkout_payment.pay(world, session, answers))

        return self._emulator.perform(pay)

    async def _authenticate(self, request: web.Request, body: Body) -> Body:
        succeed = control_calls.required_flag(body, "succeed")

        def authenticate(world: World) -> StripeObject:
            session = world.checkout_sessions.retrieve(request.match_info["session"])
            return asdict(checkout_payment.authenticate(world, session, succeed=succeed))

        return self._emulator.perform(authenticate)

    async def _authenticate_intent(self, request: web.Request, body: Body) -> Body:
        succeed = control_calls.required_flag(body, "succeed")

        def authenticate(world: World) -> StripeObject:
            intent = world.payment_intents.retrieve(request.match_info["intent"])
            with world.living_on(world.test_clock_of(intent)):
                return control_calls.outcome_of(
                    collection.answer_bank(world, intent, succeed=succeed)
                )

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
