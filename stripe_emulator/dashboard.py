"""The dashboard: what the account holds, as it changes. Its buttons call the control surface."""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from stripe_emulator import amounts, faults, money, pages, subscriptions
from stripe_emulator.control import PREFIX
from stripe_emulator.emulator import Emulator
from stripe_emulator.settings import DAY
from stripe_emulator.subscriptions import ENDED
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

#: How many of each kind are shown, the newest.
MOST_ROWS = 50
#: Renewals fail with this card on file; see the table of cards.
FAILING_CARD = "4000000000000341"
STEPS = (("1 hour", DAY // 24), ("1 day", DAY), ("1 month", 31 * DAY))
VIEWS = (
    ("customers", "Customers"),
    ("subscriptions", "Subscriptions"),
    ("sessions", "Checkout Sessions"),
    ("invoices", "Invoices"),
    ("events", "Events"),
    ("deliveries", "Deliveries"),
)

Row = dict[str, Any]


class Dashboard:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self._page)
        app.router.add_get("/dashboard", self._page)
        app.router.add_get(f"{PREFIX}/dashboard", self._state)

    async def _page(self, _request: web.Request) -> web.Response:
        return pages.page(
            "dashboard.html", steps=STEPS, views=VIEWS, failing_card=FAILING_CARD, most=MOST_ROWS
        )

    async def _state(self, _request: web.Request) -> web.Response:
        world = self._emulator.world
        deliveries = self._emulator.deliveries.to_json()
        state = {
            "now": world.clock.now(),
            "offset": world.clock.offset,
            "blocked": self._emulator.faults.webhooks.blocked,
            "faults": faults.to_json(self._emulator.faults),
            "held": self._emulator.deliveries.count("held"),
            "views": {
                "customers": _newest(world.customers.where(), _customer, world),
                "subscriptions": _newest(world.subscriptions.where(), _subscription, world),
                "sessions": _newest(world.checkout_sessions.where(), _session, world),
                "invoices": _newest(world.invoices.where(), _invoice, world),
                "events": _newest(world.events.table.where(), _event, world),
                "deliveries": _newest(deliveries, _delivery, world),
            },
        }
        return web.Response(
            body=orjson.dumps(state),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )


def _newest(
    rows: list[StripeObject], show: Callable[[World, StripeObject], Row], world: World
) -> Row:
    return {"count": len(rows), "rows": [show(world, row) for row in reversed(rows[-MOST_ROWS:])]}


def _customer(world: World, row: StripeObject) -> Row:
    owned = [] if row.get("deleted") else world.subscriptions.of(row["id"])
    return {
        "id": row["id"],
        "created": row.get("created"),
        "email": row.get("email"),
        "status": "deleted" if row.get("deleted") else "",
        "subscriptions": len(owned),
        "may_fail": any(one["status"] not in ENDED for one in owned),
    }


def _subscription(world: World, row: StripeObject) -> Row:
    items = row["items"]["data"]
    total = sum(amounts.of(item["price"], item["quantity"]) for item in items)
    ended = row["status"] in ENDED
    return {
        "id": row["id"],
        "created": row["created"],
        "customer": row["customer"],
        "plan": ", ".join(subscriptions.product_name(world, item["price"]) for item in items),
        "amount": money.shown(total, row["currency"]),
        "status": row["status"],
        "renews": None if ended or not items else min(item["current_period_end"] for item in items),
        "ends": row["cancel_at"] or row["ended_at"],
        "may_fail": not ended,
    }


def _session(_world: World, row: StripeObject) -> Row:
    return {
        "id": row["id"],
        "created": row["created"],
        "customer": row["customer"],
        "amount": money.shown(row["amount_total"], row["currency"]),
        "status": row["status"],
        "payment_status": row["payment_status"],
        "url": row["url"],
    }


def _invoice(_world: World, row: StripeObject) -> Row:
    return {
        "id": row["id"],
        "created": row["created"],
        "customer": row["customer"],
        "reason": row["billing_reason"],
        "amount": money.shown(row["total"], row["currency"]),
        "status": row["status"],
        "attempts": row["attempt_count"],
    }


def _event(_world: World, row: StripeObject) -> Row:
    return {
        "id": row["id"],
        "created": row["created"],
        "type": row["type"],
        "pending": row["pending_webhooks"],
    }


def _delivery(_world: World, row: StripeObject) -> Row:
    last = row["attempts"][-1] if row["attempts"] else {"at": None, "status": None, "error": None}
    return {
        "id": row["id"],
        "event": row["event"],
        "type": row["type"],
        "url": row["url"],
        "status": row["state"],
        "attempts": len(row["attempts"]),
        "answer": last["error"] if last["status"] is None else str(last["status"]),
    }
