"""Where a visitor of the portal is, and where they get to from there."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from stripe_emulator import pages, portal_actions, portal_view
from stripe_emulator.portal_visits import Visit
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

#: Where each flow takes place, after the session's address.
FLOW_PAGES = {
    "customer_update": "/customer",
    "payment_method_update": "/payment_method",
    "subscription_cancel": "/subscriptions/{subscription}/cancel",
    "subscription_update": "/subscriptions/{subscription}/update",
    "subscription_update_confirm": "/subscriptions/{subscription}/update/confirm",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    request: web.Request
    world: World
    session: StripeObject
    visit: Visit
    language: str

    @property
    def home(self) -> str:
        return f"/p/session/{self.session['id']}"

    @property
    def flow(self) -> StripeObject | None:
        """The one thing that the session is for, until it has been done."""
        flow: StripeObject | None = self.session["flow"]
        return None if self.visit.flow_done else flow

    @property
    def flow_page(self) -> str | None:
        if self.flow is None:
            return None
        kind = self.flow["type"]
        named = (self.flow[kind] or {}).get("subscription", "")
        return self.home + FLOW_PAGES[kind].format(subscription=named)

    @property
    def is_off_its_flow(self) -> bool:
        page = self.flow_page
        return page is not None and not self.request.path.startswith(page)

    @property
    def subscription(self) -> StripeObject:
        named = self.request.match_info["subscription"]
        return portal_actions.subscription_of(self.world, self.session, named)

    def show(self, template: str, **context: Any) -> web.Response:
        return pages.page(
            template,
            language=self.language,
            leads_to=(self.session["return_url"], _completion(self.session)["url"]),
            home=self.home,
            in_flow=self.flow is not None,
            return_url=self.session["return_url"],
            features=portal_view.features_of(self.world, self.session),
            **context,
        )

    def done(self, what: str) -> web.Response:
        """Go on after something has been done, as the flow says if it was that."""
        if self.flow is None:
            return see(f"{self.home}?done={what}")
        self.visit.flow_done = True
        completion = _completion(self.session)
        if completion["url"]:
            return see(completion["url"])
        if completion["type"] == "hosted_confirmation":
            return see(f"{self.home}/done?what={what}")
        return see(f"{self.home}?done={what}")

    @property
    def confirmation(self) -> str | None:
        """The merchant's own words after a flow."""
        text: str | None = _completion(self.session)["message"]
        return text


def _completion(session: StripeObject) -> StripeObject:
    after = (session["flow"] or {}).get("after_completion") or {}
    return {
        "type": after.get("type"),
        "url": (after.get("redirect") or {}).get("return_url"),
        "message": (after.get("hosted_confirmation") or {}).get("custom_message"),
    }


def see(address: str) -> web.Response:
    """Answer a form with another page to get."""
    return web.Response(status=303, headers={"Location": address, "Referrer-Policy": "no-referrer"})
