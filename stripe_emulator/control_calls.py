"""How control calls are read and answered: JSON both ways, and Stripe's body for refusals."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web

from stripe_emulator import ids
from stripe_emulator.api import refusal
from stripe_emulator.checkout_payment import Outcome
from stripe_emulator.errors import InvalidRequest, StripeError
from stripe_emulator.instruments import Decline

Body = dict[str, Any]
Control = Callable[[web.Request, Body], Awaitable[Body]]


def answering(control: Control) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
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


def outcome_of(decline: Decline | None) -> Body:
    outcome = Outcome(outcome="complete")
    if decline is not None:
        outcome = Outcome(
            outcome="declined",
            code=decline.code,
            decline_code=decline.decline_code,
            message=decline.message,
        )
    return asdict(outcome)


def text(body: Body, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"`{name}` takes a string.", param=name)
    return value


def flag(body: Body, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise InvalidRequest(f"`{name}` takes true or false.", param=name)
    return value


def required_flag(body: Body, name: str) -> bool:
    if name not in body:
        raise InvalidRequest(f"`{name}` takes true or false.", param=name)
    return flag(body, name)


def count(body: Body, name: str) -> int | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise InvalidRequest(f"`{name}` takes a whole number from 0.", param=name)
    return value


def seconds(body: Body, name: str, default: float) -> float:
    value = body.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise InvalidRequest(f"`{name}` takes a number of seconds.", param=name)
    return float(value)
