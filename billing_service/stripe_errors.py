"""The one place where Stripe's errors become ours.

Stripe's own texts stay in the log: they may name keys, settings and people.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus

import aiohttp
import stripe

from billing_service.errors import StripeMisconfigured, StripeUnavailable

log = logging.getLogger(__name__)


class StripeRefused(Exception):
    """Stripe refused a request as it stood (HTTP 400, 402 or 404); whoever asked knows why."""

    def __init__(self, *, status: int, code: str | None, param: str | None) -> None:
        super().__init__(f"Stripe refused the request: {status} {code or ''} {param or ''}")
        self.status = status
        self.code = code
        self.param = param

    @property
    def is_missing(self) -> bool:
        return self.code == "resource_missing"


#: What means that Stripe, or the way to it, is down.
OUTAGES = (stripe.APIConnectionError, stripe.APIError, aiohttp.ClientError, TimeoutError)


def is_outage(error: Exception) -> bool:
    """Tell an absent Stripe from one that answers: a conflict (409) is an answer too."""
    status = getattr(error, "http_status", None)
    answered = status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, OUTAGES) and not answered


@contextmanager
def stripe_errors(operation: str) -> Iterator[None]:
    """Turn what the SDK raises into our errors, and log Stripe's request id."""
    try:
        yield
    except stripe.RateLimitError as error:
        _log(operation, error)
        raise StripeUnavailable(_retry_after(error)) from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        _log(operation, error, level=logging.ERROR)
        raise StripeMisconfigured from error
    except (stripe.InvalidRequestError, stripe.CardError, stripe.IdempotencyError) as error:
        _log(operation, error)
        raise _refused(error) from error
    except OUTAGES as error:
        _log(operation, error)
        raise StripeUnavailable from error


def _refused(error: stripe.StripeError) -> StripeRefused:
    body = error.error
    return StripeRefused(
        status=error.http_status or 0,
        code=(getattr(body, "code", None) or getattr(body, "type", None)) if body else None,
        param=getattr(body, "param", None) if body else None,
    )


def _retry_after(error: stripe.StripeError) -> timedelta | None:
    headers = {str(name).lower(): value for name, value in (error.headers or {}).items()}
    value = headers.get("retry-after", "")
    return timedelta(seconds=min(int(value), 60)) if str(value).isdecimal() else None


def _log(operation: str, error: BaseException, *, level: int = logging.WARNING) -> None:
    log.log(
        level,
        "stripe_call_failed",
        extra={
            "operation": operation,
            "error": type(error).__name__,
            "http_status": getattr(error, "http_status", None),
            "stripe_code": getattr(error, "code", None),
            "stripe_request_id": getattr(error, "request_id", None),
        },
    )
