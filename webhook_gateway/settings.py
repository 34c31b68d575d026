import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from subscription_state.settings import PREFIX, Listen, StateSettings
from webhook_gateway import signing_secrets


def _hold_secrets(value: SecretStr) -> SecretStr:
    signing_secrets.parse(value.get_secret_value())
    return value


def _only_source(path: Path) -> Path:
    if os.environ.get(f"{PREFIX}WEBHOOK_SECRETS"):
        message = "give the secrets here or in PAIDUP_WEBHOOK_SECRETS, not in both"
        raise ValueError(message)
    return path


class GatewaySettings(StateSettings):
    """What the webhook gateway has to know besides."""

    # An empty secret is a missing one.

    gateway_listen: Listen = Field(
        default="127.0.0.1:8080",
        description="Where Stripe's webhooks are received: `HOST:PORT`. Port 0 takes a free one.",
    )
    webhook_secrets: Annotated[SecretStr, AfterValidator(_hold_secrets)] = Field(
        description="The webhook endpoint's signing secrets (`whsec_…`), comma or line separated. "
        "A signature by any of them is accepted.",
    )
    webhook_secrets_file: Annotated[Path, AfterValidator(_only_source)] | None = Field(
        default=None,
        description="A file that holds the signing secrets instead. It is read again when it "
        "changes, so that rolling a secret needs no restart.",
    )
