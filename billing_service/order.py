"""What a caller wants to sell: a CreateCheckoutSession request, read once."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from paidup.v1 import billing_service_pb2 as pb
from subscription_state.from_stripe import ACCOUNT_ID_KEY


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A price, by its id or its lookup key, and how many units of it."""

    price: str
    quantity: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A checkout that somebody asked for; already validated."""

    account_id: str
    lines: tuple[Line, ...]
    hosted: bool
    return_url: str
    success_url: str
    cancel_url: str
    customer_email: str
    trial_period_days: int
    allow_promotion_codes: bool
    locale: str
    custom_text: dict[str, str]
    metadata: dict[str, str]
    allow_additional: bool
    #: Empty where the caller gave none.
    request_id: str

    @property
    def fingerprint(self) -> str:
        """Tell whether a repeated `request_id` asks for the same."""
        wanted = asdict(self)
        del wanted["request_id"]
        return digest(wanted)

    def form_fingerprint(self, price_ids: Sequence[str]) -> str:
        """Tell whether an open session shows the same form: by resolved prices, not by names."""
        wanted = asdict(self)
        for other in ("request_id", "customer_email", "lines", "allow_additional"):
            del wanted[other]
        quantities = [line.quantity for line in self.lines]
        return digest(wanted | {"lines": list(zip(price_ids, quantities, strict=True))})

    @property
    def all_metadata(self) -> dict[str, str]:
        return {**self.metadata, ACCOUNT_ID_KEY: self.account_id}


def order_from_proto(request: pb.CreateCheckoutSessionRequest) -> Order:
    texts = ("submit", "after_submit", "terms_of_service_acceptance")
    custom_text = {name: getattr(request.custom_text, name) for name in texts}
    return Order(
        account_id=request.account_id,
        lines=tuple(Line(price=i.price, quantity=i.quantity or 1) for i in request.line_items),
        hosted=request.ui_mode == pb.UI_MODE_HOSTED_PAGE,
        return_url=request.return_url,
        success_url=request.success_url,
        cancel_url=request.cancel_url,
        customer_email=request.customer_email,
        trial_period_days=request.trial_period_days,
        allow_promotion_codes=request.allow_promotion_codes,
        locale=request.locale,
        custom_text={name: text for name, text in custom_text.items() if text},
        metadata=dict(request.metadata),
        allow_additional=request.allow_additional_subscription,
        request_id=request.request_id.lower(),
    )


def digest(value: Any) -> str:
    """Give a short name for plain data: equal data, equal names."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
