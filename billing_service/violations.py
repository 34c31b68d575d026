"""What is wrong with a request, and the rules that fields of many requests share."""

import re

from billing_service.errors import InvalidRequest, Violation
from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as pb

MAX_ACCOUNT_ID = 200
MAX_ID = 255
MAX_LOOKUP_KEY = 200

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")

Rule = re.Pattern[str]


class Violations:
    """Collects what is wrong with one request."""

    def __init__(self) -> None:
        self._found: list[Violation] = []

    def add(self, field: str, description: str) -> None:
        self._found.append(Violation(field=field, description=description))

    def check(self, field: str, ok: bool, description: str) -> None:  # noqa: FBT001 - a claim about the field
        if not ok:
            self.add(field, description)

    def text(
        self,
        field: str,
        value: str,
        *,
        longest: int,
        required: bool = False,
        rule: Rule = PRINTABLE,
    ) -> None:
        """Check a text's presence, length and form."""
        if not value:
            self.check(field, not required, "Is required.")
            return
        if len(value) > longest:
            # A rule may take the square of the length: it never sees what is too long.
            self.add(field, f"Has more than {longest} characters.")
            return
        self.check(field, bool(rule.fullmatch(value)), "Has not the form that it must have.")

    def raise_any(self) -> None:
        if self._found:
            raise InvalidRequest(*self._found)


def account_id(value: str, found: Violations, field: str = "account_id") -> None:
    found.text(field, value, longest=MAX_ACCOUNT_ID, required=True)
    # One that Stripe's events could not name again is none: see `from_stripe.account_of`.
    invisible = bool(PRINTABLE.fullmatch(value)) and not value.isprintable()
    found.check(field, not invisible, "Holds characters that cannot be seen.")


def subject(
    check: pb.CheckEntitlementRequest
    | pb.BatchCheckEntitlementsRequest.Check
    | admin.ExplainEntitlementRequest,
    found: Violations,
    within: str = "",
) -> None:
    named = check.WhichOneof("subject")
    if named is None:
        found.add(f"{within}subject", "A feature or a product is required.")
        return
    found.text(f"{within}{named}", getattr(check, named), longest=MAX_ID, required=True)
