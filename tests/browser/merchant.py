"""The smallest shop with a page: sells by Stripe.js, and takes customers and webhooks back."""

import asyncio
from typing import Any

from aiohttp import web
from playwright.async_api import FrameLocator, Locator, Page

from tests.emulator.shop import Shop

SELLING = """<!doctype html><title>Shop</title>
<body style="margin: 2rem auto; max-width: 64rem; font-family: sans-serif">
<h1>The shop</h1><p id="said"></p><div id="checkout"></div>
<script src="{emulator}/dahlia/stripe.js"></script>
<script type="module">
  const said = document.querySelector("#said");
  window.stripe = Stripe("pk_test_shop");
  window.checkout = await window.stripe.createEmbeddedCheckoutPage({{
    fetchClientSecret: async () => (await fetch("/secret")).text(),
    onComplete: () => {{ said.textContent = "The shop knows."; }},
  }});
  window.checkout.mount("#checkout");
</script>"""


class Merchant:
    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.url = ""
        #: The client secret that the page is given.
        self.secret = ""
        #: Webhooks wait for it; set, they are answered at once.
        self.takes_webhooks = asyncio.Event()
        self.takes_webhooks.set()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._selling)
        app.router.add_get("/secret", self._secret)
        app.router.add_get("/return", self._returned)
        app.router.add_post("/webhooks", self._webhook)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        # Another site than the emulator's, as in life.
        self.url = f"http://localhost:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self.takes_webhooks.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _selling(self, _request: web.Request) -> web.Response:
        text = SELLING.format(emulator=self.shop.url)
        return web.Response(text=text, content_type="text/html")

    async def _secret(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.secret)

    async def _returned(self, request: web.Request) -> web.Response:
        text = f"<!doctype html><h1>Back with {request.query.get('session_id', 'nothing')}</h1>"
        return web.Response(text=text, content_type="text/html")

    async def _webhook(self, request: web.Request) -> web.Response:
        await request.read()
        await self.takes_webhooks.wait()
        return web.Response()

    @property
    def back(self) -> str:
        return f"{self.url}/return?session_id={{CHECKOUT_SESSION_ID}}"

    async def sell(self, price: Any = None, **params: Any) -> Any:
        """Make a session for the page of this shop."""
        session = await self.shop.session(price, **{"return_url": self.back, **params})
        self.secret = session.client_secret
        return session

    async def sell_hosted(self, price: Any = None, **params: Any) -> Any:
        price = price or await self.shop.price()
        return await self.shop.stripe.checkout.sessions.create_async(
            {
                "mode": "subscription",
                "ui_mode": "hosted_page",
                "success_url": self.back,
                "cancel_url": f"{self.url}/",
                "line_items": [{"price": price.id, "quantity": 1}],
                **params,
            }
        )

    async def listen(self) -> None:
        await self.shop.stripe.webhook_endpoints.create_async(
            {"url": f"{self.url}/webhooks", "enabled_events": ["*"]}
        )

    async def session(self, session_id: str) -> Any:
        return await self.shop.stripe.checkout.sessions.retrieve_async(session_id)


Form = Page | FrameLocator


def form_in(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title=Checkout]")


async def fill_card(form: Form, number: str, *, email: str | None = "ada@example.com") -> None:
    if email is not None:
        await form.get_by_label("Email").fill(email)
    await form.get_by_label("Card number").fill(number)
    await form.get_by_label("Expiration date").fill("12 / 34")
    await form.get_by_label("Security code").fill("123")
    await form.get_by_label("Name on the card or account").fill("Ada Lovelace")


def button(form: Form, name: str) -> Locator:
    return form.get_by_role("button", name=name, exact=True)
