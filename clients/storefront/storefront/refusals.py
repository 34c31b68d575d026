"""What customers are told when something cannot be done. Whatever fails, nothing opens."""

import logging
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from paidup import PaidupError, Unavailable
from storefront import languages
from storefront.pages import message

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: What scripts ask for; they cannot read pages.
_FOR_SCRIPTS = re.compile(r"/create-checkout-session|/session-status|/.*/state")

#: What is said for each status: a title and a text.
SAID = {
    400: ("That was not understood", "Please go back and try again."),
    401: ("Please sign in again", "You have been signed out."),
    403: ("This page is too old", "Please go back, load it again, and repeat what you did."),
    404: ("There is nothing here", "The address may be mistyped, or is not yours to see."),
    405: ("That was not understood", "Please go back and try again."),
    413: ("That was too much", "Please go back and try again."),
    421: ("That was not understood", "Please go back and try again."),
    500: ("Something went wrong on our side", "We have been told, and look into it."),
    503: (
        "We cannot ask about payments at the moment",
        "Nothing has been charged by this. Please try again in a moment.",
    ),
}
RETRY_AFTER = "5"


def answers_script(request: web.Request) -> bool:
    return _FOR_SCRIPTS.fullmatch(request.path) is not None


def refusal(request: web.Request, status: int) -> web.Response:
    title, text = SAID.get(status, SAID[500])
    if answers_script(request):
        said = languages.words(languages.of(request))
        response = web.json_response({"error": f"{said(title)}. {said(text)}"}, status=status)
    else:
        response = message(request, title, text, status=status)
    if status == web.HTTPServiceUnavailable.status_code:
        response.headers["Retry-After"] = RETRY_AFTER
    return response


async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer, decently where it fails."""
    try:
        return await handler(request)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as refused:
        return refusal(request, refused.status_code)
    except Unavailable as error:
        # The class and the reason only: texts may quote what the customer sent.
        logger.warning("The billing service cannot be asked: %s", type(error).__name__)
        return refusal(request, 503)
    except PaidupError as error:
        logger.error("The billing service refused: %s %s", type(error).__name__, error.reason_name)  # noqa: TRY400 - a traceback tells nothing more
        return refusal(request, 500)
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        return refusal(request, 500)
