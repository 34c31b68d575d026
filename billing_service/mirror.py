"""Keeps the product → features mirror in step with Stripe."""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from billing_service.stripe_api import Json, LiveStripe
from subscription_state import catalog, head
from subscription_state.catalog import Product
from subscription_state.database import Database
from subscription_state.entitlements import MOST_GRACE_DAYS

log = logging.getLogger(__name__)

#: In a product's metadata at Stripe.
GRACE_KEY = "paidup_grace_days"
_DAYS = re.compile(r"[0-9]{1,3}")


class Mirror:
    """Reads products and their features from Stripe when that is due."""

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        *,
        interval: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Build it; `changed` is called after each commit that changed the catalogue."""
        self._changed = changed
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
        edited = await self._database.write(
            lambda connection: catalog.save(connection, products, ticket=ticket, now=self._now())
        )
        if edited:
            self._changed()
            log.info("catalog_changed", extra={"products": sorted(edited)})
        return edited

    async def _product(self, raw: Json) -> Product:
        features = await self._stripe.product_features(raw["id"])
        return Product(
            product_id=raw["id"],
            name=raw.get("name") or "",
            features=frozenset(each["entitlement_feature"]["lookup_key"] for each in features),
            grace_days=_grace_days(raw),
        )


def _grace_days(raw: Json) -> int | None:
    """Read the product's own days of grace; what is no number of days decides nothing."""
    told = (raw.get("metadata") or {}).get(GRACE_KEY)
    if told is None:
        return None
    if _DAYS.fullmatch(told) and int(told) <= MOST_GRACE_DAYS:
        return int(told)
    log.warning("grace_days_not_understood", extra={"product_id": raw["id"]})
    return None
