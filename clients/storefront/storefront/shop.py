"""What every request needs, put together once."""

from dataclasses import dataclass

from aiohttp import web

from paidup import BillingClient
from storefront.access import Access
from storefront.catalog import Catalog
from storefront.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Shop:
    settings: Settings
    #: The origin at which customers see the shop.
    public_url: str
    catalog: Catalog
    billing: BillingClient
    access: Access


SHOP = web.AppKey("shop", Shop)


def of(request: web.Request) -> Shop:
    return request.app[SHOP]
