"""What operators and probes ask over HTTP: `/metrics`, `/healthz`, `/readyz`."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from billing_service.readiness import Readiness


def operations_app(readiness: Readiness) -> web.Application:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_request: web.Request) -> web.Response:
        ready = readiness.problem is None
        body = {"ready": ready, "problem": readiness.problem}
        return web.json_response(body, status=200 if ready else 503)

    app = web.Application()
    app.add_routes(
        [web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)]
    )
    return app
