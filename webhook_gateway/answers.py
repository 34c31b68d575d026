"""Answers, all of them JSON."""

from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from subscription_state.ingest import Outcome
from webhook_gateway.refusals import REFUSALS, Reason

#: When Stripe, or whoever stands between, may try again, in seconds.
RETRY_AFTER = "5"


def outcome(value: Outcome) -> web.Response:
    return json({"outcome": value.value})


def refusal(reason: Reason) -> web.Response:
    told = REFUSALS[reason]
    answer = json(_error(reason), status=told.status)
    if told.status == web.HTTPServiceUnavailable.status_code:
        answer.headers["Retry-After"] = RETRY_AFTER
    if reason in (Reason.BODY_TOO_SLOW, Reason.BODY_TOO_LARGE):
        # The rest of the body would be taken for the next request.
        answer.force_close()
    return answer


def before_a_request(reason: Reason) -> bytes:
    """Give a refusal as it goes over the wire, for a connection that is not kept."""
    told = REFUSALS[reason]
    body = orjson.dumps(_error(reason))
    head = (
        f"HTTP/1.1 {told.status} {HTTPStatus(told.status).phrase}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Retry-After: {RETRY_AFTER}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def readiness(checks: dict[str, str]) -> web.Response:
    ready = all(told == "ok" for told in checks.values())
    return json({"ready": ready, "checks": checks}, status=200 if ready else 503)


def _error(reason: Reason) -> dict[str, Any]:
    return {"error": {"reason": reason.value, "message": REFUSALS[reason].message}}


def json(content: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
