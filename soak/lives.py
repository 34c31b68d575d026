"""What the people of an account do, one after the other, for as long as it lasts."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import paidup
from demo.emulator import Emulator, Refused
from paidup import LineItem

RETURN_URL = "http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}"
GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000009995"
#: Can be put on file; every charge fails.
FAILING_CARD = "4000000000000341"
PRICES = ("basic_monthly", "premium_monthly")
TRIAL_DAYS = 7
#: Calls that are refused while half of everything is down are made again this often.
ATTEMPTS = 40

T = TypeVar("T")


@dataclass(kw_only=True)
class Life:
    """One account. What it does is drawn from its own seed."""

    account: str
    chance: Random
    client: paidup.BillingClient
    emulator: Emulator
    #: How many lives act at the same time.
    turn: asyncio.Semaphore
    #: Stripe's ids of prices, by lookup key.
    prices: Mapping[str, str]
    #: What was done, over all lives.
    done: Counter[str]
    customer_id: str = ""
    subscription_id: str = field(default="", init=False)

    async def live(self, *, pause: float) -> None:
        """Buy, then do something now and then, until cancelled."""
        while True:
            async with self.turn:
                await self._something()
            await asyncio.sleep(self.chance.uniform(0, 2 * pause))

    async def _something(self) -> None:
        action = self.chance.choice(self.ACTIONS) if self.subscription_id else Life.purchase
        # What cannot be done any more, such as renewing what has ended, nobody did. Nor can
        # be bought what is still held, as far as the service has heard.
        with suppress(Refused, paidup.AlreadySubscribed):
            await action(self)
            self.done[action.__name__] += 1

    async def purchase(self) -> None:
        session = await self._create_session()
        self.customer_id = session.customer_id
        if self.chance.random() < 0.2:  # noqa: PLR2004
            await self._pay(session.session_id, DECLINED_CARD)
        await self._pay(session.session_id, GOOD_CARD)
        status = await _until_answered(
            lambda: self.client.get_session_status(
                account_id=self.account, session_id=session.session_id
            )
        )
        self.subscription_id = status.subscription_id

    async def _create_session(
        self,
    ) -> "paidup.v1.billing_service_pb2.CreateCheckoutSessionResponse":
        request_id = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        price = self.chance.choice(PRICES)
        trial = TRIAL_DAYS if self.chance.random() < 0.2 else None  # noqa: PLR2004
        return await _until_answered(
            lambda: self.client.create_checkout_session(
                account_id=self.account,
                line_items=[LineItem(price=price)],
                return_url=RETURN_URL,
                trial_period_days=trial,
                request_id=request_id,
            )
        )

    async def _pay(self, session_id: str, number: str) -> None:
        await self.emulator.pay(session_id, number=number, email=f"{self.account}@example.com")

    async def _portal(self, action: str, **form: object) -> None:
        session = await _until_answered(
            lambda: self.client.create_portal_session(account_id=self.account)
        )
        await self.emulator.portal(session.session_id, action, **form)

    async def failing_card(self) -> None:
        """Let the next renewal fail."""
        await self._portal("payment_method", number=FAILING_CARD)

    async def recovery(self) -> None:
        await self._portal("payment_method", number=GOOD_CARD)

    async def change_of_plan(self) -> None:
        await self._portal(
            "update",
            subscription=self.subscription_id,
            price=self.prices[self.chance.choice(PRICES)],
            quantity=self.chance.randint(1, 9),
        )

    async def cancellation(self) -> None:
        await self._portal("cancel", subscription=self.subscription_id)

    async def renewal(self) -> None:
        await self._portal("renew", subscription=self.subscription_id)

    async def end(self) -> None:
        """Cancel at once; the next thing that the account does is to buy again."""
        await self._portal("cancel", subscription=self.subscription_id, immediately=True)
        self.subscription_id = ""

    ACTIONS: tuple[Callable[["Life"], Awaitable[None]], ...] = (
        failing_card,
        recovery,
        change_of_plan,
        cancellation,
        renewal,
        end,
        purchase,
    )


async def _until_answered(call: Callable[[], Awaitable[T]]) -> T:
    """Call again while a part is away, as any caller would."""
    for attempt in range(ATTEMPTS):
        try:
            return await call()
        except paidup.Unavailable:
            await asyncio.sleep(min(0.1 * 2**attempt, 2))
    return await call()
