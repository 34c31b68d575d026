"""`check`, `list` and `explain`: what an account may use, and why."""

from paidup.cli import wording
from paidup.cli.arguments import (
    Account,
    AtLeastRevision,
    Feature,
    Fresh,
    Product,
    consistency,
    subject,
)
from paidup.cli.exit_codes import DONE, NOT_ENTITLED
from paidup.cli.session import Session


def check(
    session: Session,
    account: Account,
    feature: Feature = None,
    *,
    product: Product = None,
    at_least_revision: AtLeastRevision = None,
    fresh: Fresh = False,
) -> int:
    """Check whether an account may use something now."""
    answer = session.billing().check_entitlement(
        account_id=account,
        **subject(feature, product),
        **consistency(at_least_revision, fresh=fresh),
        **session.deadline,
    )
    session.out.tell(answer, wording.check)
    return DONE if answer.entitlement.entitled else NOT_ENTITLED


def list_(
    session: Session,
    account: Account,
    *,
    at_least_revision: AtLeastRevision = None,
    fresh: Fresh = False,
) -> None:
    """List what an account may use now: features and products."""
    answer = session.billing().list_entitlements(
        account_id=account,
        **consistency(at_least_revision, fresh=fresh),
        **session.deadline,
    )
    session.out.tell(answer, wording.entitlements)


def explain(
    session: Session, account: Account, feature: Feature = None, *, product: Product = None
) -> None:
    """Explain a decision. Shows the subscriptions, grants and events behind it."""
    answer = session.admin().explain_entitlement(
        account_id=account, **subject(feature, product), **session.deadline
    )
    session.out.tell(answer, wording.explanation)
