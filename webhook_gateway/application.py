"""The gateway's pages, and one place where refusals become answers."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from subscription_state import request_ids
from subscription_state.faults import place_of
from subscription_state.stopping import Stopping
from webhook_gateway import answers, connections
from webhook_gateway.alarms import Alarms
from webhook_gateway.metrics import Metrics
from webhook_gateway.readiness import Readiness
from webhook_gateway.refusals import REFUSALS, Reason, Refused
from webhook_gateway.webhook import StripeWebhook

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: What the router itself refuses.
ROUTER_REASONS = {404: Reason.NOT_FOUND, 405: Reason.METHOD_NOT_ALLOWED}


def application(
    *,
    webhook: StripeWebhook,
    readiness: Readiness,
    metrics: Metrics,
    alarms: Alarms,
    stopping: Stopping,
) -> web.Application:
    """Put the parts together."""
    pages = Pages(readiness=readiness, metrics=metrics)
    answering = Answering(metrics=metrics, alarms=alarms)
    app = web.Application(middlewares=[_sending_away(stopping), answering.answer])
    app.router.add_post("/webhooks/stripe", webhook.receive)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/readyz", pages.readyz)
    app.router.add_get("/metrics", pages.metrics)
    return app


def _sending_away(stopping: Stopping) -> Middleware:
    """End each connection that is used once the gateway is to stop: the next goes elsewhere."""

    @web.middleware
    async def send_away(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if stopping.asked.is_set():
            answer.force_close()
        return answer

    return send_away


class Pages:
    """What operators and orchestrators look at."""

    def __init__(self, *, readiness: Readiness, metrics: Metrics) -> None:
        self._readiness = readiness
        self._metrics = metrics

    async def healthz(self, _request: web.Request) -> web.Response:
        return answers.json({"alive": True})

    async def readyz(self, _request: web.Request) -> web.Response:
        return answers.readiness(await self._readiness.checks())

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._metrics.registry),
            headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4},
        )


class Answering:
    """Gives each request an id, and turns whatever a handler raises into a counted answer."""

    def __init__(self, *, metrics: Metrics, alarms: Alarms) -> None:
        self._metrics = metrics
        self._alarms = alarms

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        sent = request.headers.get(request_ids.HEADER, "")
        request_id = request_ids.given([(request_ids.HEADER, sent)]) or request_ids.new()
        request_ids.use(request_id)
        with connections.working(request):
            answer = await self._answer(request, handler)
        answer.headers[request_ids.HEADER] = request_id
        return answer

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return self._refuse(refused.reason)
        except web.HTTPException as error:
            return self._refuse_route(error)
        except Exception as error:  # noqa: BLE001 - never a traceback, and never a payload in a log
            facts = {"error": type(error).__name__, "error_place": place_of(error)}
            logger.error("webhook_request_failed", extra=facts)  # noqa: TRY400 - likewise
            return self._refuse(Reason.INTERNAL)

    def _refuse_route(self, error: web.HTTPException) -> web.Response:
        answer = self._refuse(ROUTER_REASONS.get(error.status, Reason.BAD_REQUEST))
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer

    def _refuse(self, reason: Reason) -> web.Response:
        self._metrics.refused.labels(reason.value).inc()
        hint = REFUSALS[reason].hint
        if hint is not None:
            self._alarms.warn(f"webhook_{reason}", hint=hint)
        return answers.refusal(reason)
