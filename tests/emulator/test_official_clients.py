"""Stripe's own clients, unpatched: the Python and Node SDKs, and the command line."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.emulator import official
from tests.emulator.shop import DAY, KEY, Receiver, Shop, client

PATIENCE_SECONDS = 60

#: What `stripe trigger` is to bring about; its name is the event's.
TRIGGERS = (
    "billing_portal.configuration.created",
    "billing_portal.configuration.updated",
    "billing_portal.session.created",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.created",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "payment_method.attached",
    "payment_method.detached",
    "price.created",
    "price.updated",
    "product.created",
    "product.deleted",
    "product.updated",
)
LIFE = (
    "product.created",
    "price.created",
    "customer.created",
    "customer.subscription.created",
    "invoice.paid",
    "checkout.session.completed",
    "customer.subscription.updated",
    "customer.subscription.deleted",
)

Call = Callable[..., Any]


async def _run(*command: str, home: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=official.environment(home),
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    except TimeoutError:
        process.kill()
        raise
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.parametrize("style", ["sync", "async"])
async def test_a_life_with_the_python_sdk(shop: Shop, receiver: Receiver, style: str) -> None:
    http_client = stripe.RequestsClient() if style == "sync" else stripe.AIOHTTPClient()
    v1 = client(shop.url, http_client).v1

    async def call(service: Any, method: str, *arguments: Any) -> Any:
        if style == "async":
            return await getattr(service, f"{method}_async")(*arguments)
        return await asyncio.to_thread(getattr(service, method), *arguments)

    outcome = await _life(shop, v1, call)
    await shop.control("/deliveries/drain", {"timeout": 20})
    await http_client.close_async() if style == "async" else http_client.close()

    assert outcome == {
        "session": ("complete", "paid", "active"),
        "quantity": 2,
        "invoices": ["paid", "paid"],
        "scheduled": True,
        "canceled": "canceled",
        "refused": ("parameter_unknown", "nmae"),
    }
    assert set(LIFE) <= set(receiver.types)
    assert {event.api_version for event in receiver.events} == {stripe.api_version}


async def _life(shop: Shop, v1: Any, call: Call) -> dict[str, Any]:
    product = await call(v1.products, "create", {"name": "Pro"})
    price = await call(
        v1.prices,
        "create",
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 1500,
            "recurring": {"interval": "month"},
        },
    )
    sold = {
        "mode": "subscription",
        "ui_mode": "embedded_page",
        "return_url": "https://example.com/?session_id={CHECKOUT_SESSION_ID}",
        "line_items": [{"price": price.id, "quantity": 1}],
    }
    session = await call(v1.checkout.sessions, "create", sold)
    await shop.pay(session.id)
    expand = {"expand": ["subscription"]}
    paid = await call(v1.checkout.sessions, "retrieve", session.id, expand)
    subscription = paid.subscription
    (item,) = subscription["items"].data
    change = {"items": [{"id": item.id, "quantity": 2}], "metadata": {"plan": "two"}}
    changed = await call(v1.subscriptions, "update", subscription.id, change)
    await shop.advance(32 * DAY)
    invoices = await call(v1.invoices, "list", {"subscription": subscription.id})
    end = {"cancel_at_period_end": True}
    scheduled = await call(v1.subscriptions, "update", subscription.id, end)
    canceled = await call(v1.subscriptions, "cancel", subscription.id)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await call(v1.customers, "create", {"nmae": "Ada"})
    return {
        "session": (paid.status, paid.payment_status, subscription.status),
        "quantity": changed["items"].data[0].quantity,
        "invoices": [invoice.status for invoice in invoices.data],
        "scheduled": scheduled.cancel_at_period_end,
        "canceled": canceled.status,
        "refused": (refused.value.code, refused.value.param),
    }


async def test_a_life_with_the_node_sdk(shop: Shop, tmp_path: Path) -> None:
    node = official.node()
    script = str(official.FOLDER / "life.js")

    code, out, err = await _run(node, script, shop.url, home=tmp_path)

    assert (code, err) == (0, "")
    outcome = json.loads(out)
    assert set(LIFE) <= set(outcome.pop("events"))
    assert outcome == {
        "api_version": stripe.api_version,
        "session": ["complete", "paid", "paid"],
        "quantity": 2,
        "invoices": ["paid", "paid"],
        "scheduled": True,
        "canceled": "canceled",
        "refused": ["StripeInvalidRequestError", "parameter_unknown", "nmae"],
        "missing": [404, "resource_missing"],
    }


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_the_command_line_triggers(
    shop: Shop, receiver: Receiver, tmp_path: Path, trigger: str
) -> None:
    command = (official.stripe_cli(), "trigger", trigger, "--api-key", KEY, "--api-base", shop.url)

    code, out, err = await _run(*command, home=tmp_path)
    drained = await shop.control("/deliveries/drain", {"timeout": 20})

    assert code == 0, out + err
    assert "Trigger succeeded" in out
    assert drained["drained"]
    assert trigger in receiver.types


def test_the_lock_names_no_place_to_fetch_from() -> None:
    packages = json.loads(official.LOCK.read_text())["packages"]

    assert {name for name in packages if name} == {
        "node_modules/@stripe/cli-linux-x64",
        "node_modules/stripe",
    }
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)
