"""What an account's people do, in the words of the tests."""

import asyncio
from dataclasses import dataclass
from typing import Any

import paidup
from demo.stack import Stack
from paidup import EntitlementReason, LineItem

EMAIL = "ada@example.com"
RETURN_URL = "http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}"
GOOD_CARD = "4242424242424242"
LONGEST_WAIT = 15


@dataclass(frozen=True)
class Shop:
    stack: Stack
    client: paidup.BillingClient
    account: str
    email: str

    async def checkout(self, *prices: str, **request: Any):
        if "success_url" not in request:
            request.setdefault("return_url", RETURN_URL)
        items = [LineItem(price=price) for price in prices or ("basic_monthly",)]
        return await self.client.create_checkout_session(
            account_id=self.account, line_items=items, **request
        )

    async def pay(self, session_id: str, *, number: str = GOOD_CARD) -> dict[str, Any]:
        return await self.stack.emulator.pay(session_id, number=number, email=self.email)

    async def subscribe(self, *prices: str, **request: Any) -> str:
        """Buy, pay, and wait until the service knows; give the subscription's id."""
        session = await self.checkout(*prices, **request)
        assert (await self.pay(session.session_id))["outcome"] == "complete"
        status = await self.status(session.session_id)
        return status.subscription_id

    async def status(self, session_id: str):
        return await self.client.get_session_status(account_id=self.account, session_id=session_id)

    async def check(self, feature: str = "api_access", **more: Any) -> paidup.Entitlement:
        response = await self.client.check_entitlement(
            account_id=self.account, feature=feature, **more
        )
        return response.entitlement

    async def reason(self, feature: str = "api_access") -> str:
        return reason_of(await self.check(feature, fully_consistent=True))

    async def until(self, reason: str, feature: str = "api_access") -> paidup.Entitlement:
        """Wait until a check gives the reason."""
        seen = ""
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                while seen != reason:
                    entitlement = await self.check(feature)
                    seen = reason_of(entitlement)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            message = f"waited for {reason}, saw {seen}"
            raise AssertionError(message) from None
        return entitlement

    async def portal(self, action: str, **form: Any) -> None:
        session = await self.client.create_portal_session(account_id=self.account)
        await self.stack.emulator.portal(session.session_id, action, **form)


def reason_of(entitlement: paidup.Entitlement) -> str:
    return EntitlementReason.Name(entitlement.reason).removeprefix("ENTITLEMENT_REASON_")
