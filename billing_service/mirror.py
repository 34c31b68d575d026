"""Keeps the product → features mirror in step with Stripe."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from billing_service.stripe_api import Json, LiveStripe
from subscription_state import catalog, head
from subscription_state.catalog import Product
from subscription_state.database import Database

log = logging.getLogger(__name__)


class Mirror:
    """Reads products and their features from Stripe when that is due."""

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        *,
        interval: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._interval = interval
        self._now = now

    async def refresh_if_due(self) -> None:
        async with self._database.read() as connection:
            due = await catalog.is_due(connection, older_than=self._now() - self._interval)
        if due:
            await self.refresh()

    async def refresh(self) -> frozenset[str]:
        """Read the catalogue now; give the products whose features changed."""
        ticket = await self._database.write(head.draw)
        products = [await self._product(raw) for raw in await self._stripe.products()]
        changed = await self._database.write(
            lambda connection: catalog.save(connection, products, ticket=ticket, now=self._now())
        )
        if changed:
            log.info("catalog_changed", extra={"products": sorted(changed)})
        return changed

    async def _product(self, raw: Json) -> Product:
        features = await self._stripe.product_features(raw["id"])
        return Product(
            product_id=raw["id"],
            name=raw.get("name") or "",
            features=frozenset(each["entitlement_feature"]["lookup_key"] for each in features),
        )
