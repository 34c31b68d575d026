"""An HTTP client that holds every answer it gets to the SDK's types, beside passing it on."""

import json
from collections.abc import Mapping
from typing import Any

import stripe

from tests.emulator.resource_types import event_findings, findings

HTTP_ERROR = 400
ERROR_TYPES = {"api_error", "card_error", "idempotency_error", "invalid_request_error"}


def answer_findings(status: int, content: bytes) -> list[str]:
    """What is wrong with the answer to an API call."""
    try:
        body = json.loads(content)
    except ValueError:
        return [f"{status}: no JSON: {content[:60]!r}"]
    if status >= HTTP_ERROR:
        return _error_findings(body)
    if body.get("object") == "event":
        return event_findings(body)
    if body.get("url") == "/v1/events":
        return [found for event in body["data"] for found in event_findings(event)]
    return findings(body)


def _error_findings(body: Any) -> list[str]:
    if not isinstance(body, dict) or body.keys() != {"error"}:
        return [f"no error body: {str(body)[:60]}"]
    error = body["error"]
    unlisted = [] if error.get("type") in ERROR_TYPES else [f"error.type: {error.get('type')!r}"]
    return [
        *unlisted,
        *(f"error.{name}: null" for name in error if error[name] is None),
        *findings(body),
    ]


class CheckedClient(stripe.AIOHTTPClient):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self._found = found

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> Any:
        content, status, answered = await super().request_async(method, url, headers, post_data)
        self._found += answer_findings(status, content)
        return content, status, answered
