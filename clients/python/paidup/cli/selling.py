"""`subscriptions`, `checkout` and `portal`: what an account has bought, and where it pays."""

import re
from enum import StrEnum
from typing import Annotated

import typer

from paidup.cli import wording
from paidup.cli.arguments import Account, RequestId
from paidup.cli.session import Session
from paidup.v1.billing_service_pb2 import LineItem, PortalFlow, UiMode


class Flow(StrEnum):
    """What the portal opens with."""

    PAYMENT_METHOD_UPDATE = "payment-method-update"
    SUBSCRIPTION_CANCEL = "subscription-cancel"
    SUBSCRIPTION_UPDATE = "subscription-update"


_FLOWS = {
    Flow.PAYMENT_METHOD_UPDATE: PortalFlow.PORTAL_FLOW_PAYMENT_METHOD_UPDATE,
    Flow.SUBSCRIPTION_CANCEL: PortalFlow.PORTAL_FLOW_SUBSCRIPTION_CANCEL,
    Flow.SUBSCRIPTION_UPDATE: PortalFlow.PORTAL_FLOW_SUBSCRIPTION_UPDATE,
}


def subscriptions(session: Session, account: Account) -> None:
    """List an account's subscriptions. Newest first, ended ones too."""
    listed = session.billing().iter_subscriptions(account_id=account, **session.deadline)
    session.out.tell_each(listed, wording.SUBSCRIPTIONS)


def checkout(
    session: Session,
    account: Account,
    prices: Annotated[
        list[str],
        typer.Argument(help="Price ids or lookup keys; PRICE=3 for three units.", metavar="PRICE…"),
    ],
    *,
    success_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="For a page of Stripe's: where it leads after payment."),
    ] = None,
    cancel_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="For a page of Stripe's: where giving up leads."),
    ] = None,
    return_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="For a form in a page of yours: where it leads. Holds {CHECKOUT_SESSION_ID}.",
        ),
    ] = None,
    email: Annotated[str | None, typer.Option(help="The address that a new customer gets.")] = None,
    trial_days: Annotated[
        int | None, typer.Option(min=1, help="Free days before the first payment.")
    ] = None,
    promotion_codes: Annotated[
        bool, typer.Option("--promotion-codes", help="Let promotion codes be entered.")
    ] = False,
    locale: Annotated[str | None, typer.Option(help="The form's language, such as fr.")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="For session and subscription. May be repeated."),
    ] = None,
    additional: Annotated[
        bool, typer.Option("--additional", help="Also if the account holds it already.")
    ] = False,
    request_id: RequestId = None,
) -> None:
    """Create a Checkout Session. The account's open one for the same items is given again.

    With --success-url it is a page of Stripe's to send the customer to, with --return-url a form
    that stripe.js mounts in a page of yours. That needs the client secret, which lets whoever has
    it pay as this customer: it is printed with --json alone. Keep it out of logs.
    """
    if (success_url is None) == (return_url is None):
        raise typer.BadParameter("Name either a --success-url or a --return-url.")
    answer = session.billing().create_checkout_session(
        account_id=account,
        line_items=[_line_item(price) for price in prices],
        ui_mode=UiMode.UI_MODE_HOSTED_PAGE if success_url else UiMode.UI_MODE_EMBEDDED_PAGE,
        success_url=success_url,
        cancel_url=cancel_url,
        return_url=return_url,
        customer_email=email,
        trial_period_days=trial_days,
        allow_promotion_codes=promotion_codes,
        locale=locale,
        metadata=dict(_pair(entry) for entry in metadata or ()),
        allow_additional_subscription=additional,
        request_id=request_id,
        **session.deadline,
    )
    session.out.tell(answer, wording.checkout)


def portal(
    session: Session,
    account: Account,
    *,
    return_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the portal's way back leads.")
    ] = None,
    flow: Annotated[Flow | None, typer.Option(help="What the portal opens with.")] = None,
    subscription: Annotated[
        str | None, typer.Option(metavar="ID", help="The subscription that the flow is about.")
    ] = None,
    locale: Annotated[str | None, typer.Option(help="The portal's language, such as fr.")] = None,
) -> None:
    """Create a session of the customer portal.

    Its URL works once, soon, and for whoever has it: hand it to nobody but the customer.
    """
    answer = session.billing().create_portal_session(
        account_id=account,
        return_url=return_url,
        flow=None if flow is None else _FLOWS[flow],
        subscription_id=subscription,
        locale=locale,
        **session.deadline,
    )
    session.out.tell(answer, wording.portal)


def _line_item(text: str) -> LineItem:
    counted = re.fullmatch(r"(.+)=(\d{1,18})", text)
    if counted is None:
        return LineItem(price=text)
    return LineItem(price=counted[1], quantity=int(counted[2]))


def _pair(entry: str) -> tuple[str, str]:
    key, equals, value = entry.partition("=")
    if not equals:
        raise typer.BadParameter(f"{entry!r} is no KEY=VALUE.")
    return key, value
