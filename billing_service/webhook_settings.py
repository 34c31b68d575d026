"""What the commands that look after the webhook endpoint have to know besides."""

from typing import Annotated

from pydantic import AfterValidator, Field

from billing_service.settings import ServiceSettings
from billing_service.urls import origin_of


def _web_address(value: str) -> str:
    if value and origin_of(value) is None:
        message = "must be a URL, such as https://billing.example.com/webhooks/stripe"
        raise ValueError(message)
    return value


class WebhookSettings(ServiceSettings):
    """Settings of `doctor` and `webhooks`."""

    webhook_url: Annotated[str, AfterValidator(_web_address)] = Field(
        default="",
        description="Where Stripe delivers: the whole URL of the gateway's `/webhooks/stripe` as "
        "it is reached from outside. `doctor` looks for its endpoint at Stripe and sends it a "
        "signed probe; `webhooks ensure` makes that endpoint.",
    )
