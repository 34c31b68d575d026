"""Somebody who buys in the storefront, by clicking."""

import re
from dataclasses import dataclass

from playwright.async_api import Page, Response, expect

from demo.stack import Stack
from tests.browser.merchant import button, fill_card, form_in

GOOD = "4242424242424242"


@dataclass(frozen=True)
class Customer:
    page: Page
    stack: Stack
    url: str
    email: str

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def click(self, name: str) -> None:
        await button(self.page, name).click()

    async def follow(self, name: str) -> None:
        await self.page.get_by_role("link", name=name, exact=True).first.click()

    async def sees(self, heading: str) -> None:
        await expect(self.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()

    async def reads(self, text: str) -> None:
        await expect(self.page.get_by_text(text)).to_be_visible()

    async def sign_in(self) -> None:
        await self.page.get_by_label("E-mail address").fill(self.email)
        await self.click("Sign in")

    async def choose(self, plan: str, *, query: str = "") -> str:
        """Come to the form that sells a plan, as a stranger would; give the session's id."""
        await self.go(f"/{query}")
        await self.follow(f"Subscribe to {plan}")
        async with self.page.expect_response("**/create-checkout-session") as answered:
            await self.sign_in()
        return await self._form(await answered.value)

    async def come_back(self, path: str) -> str:
        """Load a page that has the form; give the session's id."""
        async with self.page.expect_response("**/create-checkout-session") as answered:
            await self.go(path)
        return await self._form(await answered.value)

    async def _form(self, answer: Response) -> str:
        await expect(button(form_in(self.page), "Subscribe")).to_be_visible()
        session_id: str = (await answer.json())["clientSecret"].partition("_secret_")[0]
        return session_id

    async def pay(self, number: str = GOOD) -> None:
        form = form_in(self.page)
        await fill_card(form, number, email=None)
        await button(form, "Subscribe").click()

    async def buy(self, plan: str) -> None:
        await self.choose(plan)
        await self.pay()
        await self.sees("Thank you!")

    async def is_refused(self, feature: str) -> None:
        await self.go(f"/features/{feature}")
        await expect(self.page.locator("main .badge")).to_have_text("Closed")

    async def may_use(self, feature: str) -> None:
        await self.go(f"/features/{feature}")
        await expect(self.page.locator("main .badge")).to_have_text("Open")

    @property
    def session_id(self) -> str:
        """The Checkout Session in the address of the return page."""
        found = re.search(r"session_id=(cs_\w+)", self.page.url)
        assert found is not None, self.page.url
        return found.group(1)
