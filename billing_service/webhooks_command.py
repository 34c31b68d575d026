"""`webhooks`: the endpoint at Stripe, made and mended, and its secret put where it is read."""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from billing_service import webhook_secrets
from billing_service.composition import open_stripe
from billing_service.stripe_api import Json, LiveStripe
from billing_service.urls import AllowedOrigins
from billing_service.webhook_endpoints import (
    SECRET_KEY,
    UNSAVED,
    Endpoint,
    Plan,
    fingerprint,
    from_stripe,
    plan,
    read_endpoints,
)
from billing_service.webhook_probe import Answer, probe
from billing_service.webhook_secrets import SecretsUnreadable
from billing_service.webhook_settings import WebhookSettings
from subscription_state.apply import EVENT_TYPES
from subscription_state.from_stripe import API_VERSION

#: How often the gateway is asked whether it knows a new secret, in seconds.
ASK_EVERY = 0.5
DESCRIPTION = "Paidup: made by `webhooks ensure`"


class EndpointNotEnsured(Exception):
    """The endpoint is not as it has to be; the text says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What the operator asked for."""

    url: str
    secret_file: Path | None
    #: Whether to make another endpoint, with another secret, where one is good.
    replace: bool
    dry_run: bool
    #: For how long the gateway is asked whether it knows a new secret.
    wait_seconds: float


async def ensure(settings: WebhookSettings, order: Order) -> None:
    """Make Stripe's endpoint for the URL what it has to be, or raise `EndpointNotEnsured`.

    In an order in which nothing is lost: an old endpoint sends until the gateway has taken an
    event that was signed with the new one's secret.
    """
    order = replace(order, url=order.url or settings.webhook_url)
    _check_url(order.url, livemode=settings.livemode)
    stripe = open_stripe(settings)
    try:
        await _Ensuring(settings, stripe, order).run()
    finally:
        await stripe.close()


def _check_url(url: str, *, livemode: bool) -> None:
    if not url:
        raise EndpointNotEnsured("Say where Stripe is to deliver: --url, or PAIDUP_WEBHOOK_URL.")
    if not AllowedOrigins([url], livemode=livemode).allow(url):
        raise EndpointNotEnsured("The URL must be one of https, in test mode or a loopback's.")


class _Ensuring:
    def __init__(self, settings: WebhookSettings, stripe: LiveStripe, order: Order) -> None:
        self._livemode = settings.livemode
        self._stripe = stripe
        self._order = order
        self._console = Console(highlight=False, soft_wrap=True)

    async def run(self) -> None:
        todo = plan(
            await read_endpoints(self._stripe), self._order.url, replace=self._order.replace
        )
        for change in todo.changes:
            self._say(f"  will {change}")
        self._check_secret(todo)
        if not todo.changes:
            self._say("Nothing to change: the endpoint is as it has to be.")
        elif not self._order.dry_run:
            await self._carry_out(todo)

    def _check_secret(self, todo: Plan) -> None:
        """Refuse before anything is changed what would leave nobody with the secret."""
        file = self._order.secret_file
        if todo.keep is None and file is None:
            raise EndpointNotEnsured(
                "A new endpoint's secret is shown once: say with --secret-file where to keep it."
            )
        if todo.keep is None and file is not None:
            webhook_secrets.check_writable(file)
        if todo.keep is not None and file is not None and not _held(file, todo.keep):
            raise EndpointNotEnsured(
                f"{file} does not hold the secret of {todo.keep.endpoint_id}, and Stripe does not "
                "tell it again. Copy it from the Dashboard, or let --replace make another endpoint."
            )

    async def _carry_out(self, todo: Plan) -> None:
        for each in todo.discard:
            await self._change("delete", each.endpoint_id)
        keep = todo.keep or await self._create()
        if todo.mend:
            await self._change("update", keep.endpoint_id, todo.mend)
        if todo.retire:
            await self._retire(todo.retire, keep)
        self._say(f"{keep.endpoint_id} is as it has to be.")

    async def _create(self) -> Endpoint:
        """Create one whose secret is in the file before this returns, or that is gone again."""
        created = await self._change(
            "create",
            {
                "url": self._order.url,
                "api_version": API_VERSION,
                "enabled_events": sorted(EVENT_TYPES),
                "description": DESCRIPTION,
                "metadata": {SECRET_KEY: UNSAVED},
            },
        )
        try:
            await self._keep_secret(created["secret"])
        except BaseException:
            # Should this fail too, the next run finds it by its metadata.
            with contextlib.suppress(Exception):
                await self._change("delete", created["id"])
            raise
        marked = {"metadata": {SECRET_KEY: fingerprint(created["secret"])}}
        return from_stripe(await self._change("update", created["id"], marked))

    async def _keep_secret(self, secret: str) -> None:
        if self._order.secret_file is None:
            raise EndpointNotEnsured("There is no file for the secret.")
        await asyncio.to_thread(webhook_secrets.add, self._order.secret_file, secret)
        self._say(f"Its secret is in {self._order.secret_file}, before those that were there.")

    async def _retire(self, old: tuple[Endpoint, ...], keep: Endpoint) -> None:
        answer = await self._until_taken(self._secret_of(keep))
        if not answer.taken:
            raise EndpointNotEnsured(
                f"{_ids(old)} still sends beside {keep.endpoint_id}: the gateway did not take an "
                f"event signed with the new one's secret: {answer.text}. Repeat this once it does."
            )
        for each in old:
            await self._change("update", each.endpoint_id, {"disabled": True})

    def _secret_of(self, endpoint: Endpoint) -> str:
        file = self._order.secret_file
        known = webhook_secrets.read(file) if file else webhook_secrets.configured()
        for each in known:
            if fingerprint(each) == endpoint.secret:
                return each
        raise EndpointNotEnsured(
            f"Which secret {endpoint.endpoint_id} signs with is not known here; the others stay: "
            "disable them at Stripe, or give --secret-file."
        )

    async def _until_taken(self, secret: str) -> Answer:
        """Ask until the gateway has read its file again."""
        deadline = asyncio.get_running_loop().time() + self._order.wait_seconds
        while True:
            answer = await probe(self._order.url, secret, livemode=self._livemode)
            if answer.taken or asyncio.get_running_loop().time() > deadline:
                return answer
            await asyncio.sleep(ASK_EVERY)

    async def _change(self, method: str, *arguments: Any) -> Json:
        return await self._stripe.post(self._stripe.v1.webhook_endpoints, method, *arguments)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)


def _held(file: Path, endpoint: Endpoint) -> bool:
    """Tell whether the file may hold its secret; of one that others made nobody can tell."""
    known = webhook_secrets.read(file)
    if endpoint.secret is None:
        return bool(known)
    return endpoint.secret in {fingerprint(each) for each in known}


def _ids(endpoints: tuple[Endpoint, ...]) -> str:
    return ", ".join(each.endpoint_id for each in endpoints)


async def show(settings: WebhookSettings) -> None:
    """Print the account's endpoints, and what each lacks."""
    stripe = open_stripe(settings)
    try:
        endpoints = await read_endpoints(stripe)
    finally:
        await stripe.close()
    table = Table("Endpoint", "URL", "State", "Version", "Events", "Secret")
    for each in endpoints:
        table.add_row(*(escape(cell) for cell in _row(each)))
    Console().print(table)


def _row(endpoint: Endpoint) -> tuple[str, ...]:
    return (
        endpoint.endpoint_id,
        endpoint.url,
        "enabled" if endpoint.enabled else "disabled",
        endpoint.api_version or "the account's",
        f"{len(endpoint.missing)} missing, {len(endpoint.superfluous)} superfluous",
        _secret(endpoint),
    )


def _secret(endpoint: Endpoint) -> str:
    if endpoint.secret == UNSAVED:
        return "never saved"
    try:
        known = {fingerprint(each) for each in webhook_secrets.configured()}
    except SecretsUnreadable:
        known = set()
    return "known here" if endpoint.secret in known else "not known here"
