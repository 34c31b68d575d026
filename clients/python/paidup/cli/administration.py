"""What those who run the service do: grants, events, and an account as a whole."""

import itertools
import sys
from enum import StrEnum
from typing import Annotated

import typer

from paidup.cli import arguments, wording
from paidup.cli.arguments import Account, RequestId
from paidup.cli.exit_codes import FAILED
from paidup.cli.failures import say
from paidup.cli.output import clean
from paidup.cli.session import Session
from paidup.v1.admin_service_pb2 import EventState

_LISTED_AT_A_TIME = 100


class State(StrEnum):
    """What became of an event."""

    PENDING = "pending"
    APPLIED = "applied"
    SKIPPED = "skipped"
    FAILED = "failed"


_STATES = {
    State.PENDING: EventState.EVENT_STATE_PENDING,
    State.APPLIED: EventState.EVENT_STATE_APPLIED,
    State.SKIPPED: EventState.EVENT_STATE_SKIPPED,
    State.FAILED: EventState.EVENT_STATE_FAILED,
}


def grant(
    session: Session,
    account: Account,
    feature: Annotated[str, typer.Argument(help="A feature's lookup key.")],
    *,
    note: Annotated[str, typer.Option(help="Why it is given.")],
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it ends: a date or a time in ISO 8601, UTC."),
    ] = None,
    request_id: RequestId = None,
) -> None:
    """Grant a feature to an account by hand."""
    answer = session.admin().create_grant(
        account_id=account,
        feature=feature,
        note=note,
        expire_time=None if expires is None else arguments.moment(expires),
        request_id=request_id,
        **session.deadline,
    )
    session.out.tell(answer, wording.granted)


def revoke(
    session: Session,
    grant_id: Annotated[str, typer.Argument(help="The grant, as `grants` lists it.")],
) -> None:
    """End a grant now. To revoke again changes nothing."""
    answer = session.admin().revoke_grant(grant_id=grant_id, **session.deadline)
    session.out.tell(answer, wording.revoked)


def grants(session: Session, account: Account) -> None:
    """List an account's grants. Newest first, ended ones too."""
    listed = session.admin().iter_grants(account_id=account, **session.deadline)
    session.out.tell_each(listed, wording.GRANTS)


def events(
    session: Session,
    *,
    account: Annotated[str | None, typer.Option(metavar="ID", help="Only this account's.")] = None,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 50,
) -> None:
    """List webhook events, newest first."""
    listed = session.admin().iter_events(
        account_id=account,
        state=None if state is None else _STATES[state],
        page_size=min(limit or _LISTED_AT_A_TIME, _LISTED_AT_A_TIME),
        **session.deadline,
    )
    session.out.tell_each(itertools.islice(listed, limit or None), wording.EVENTS)


def replay(
    session: Session,
    event_id: Annotated[str, typer.Argument(help="Stripe's id of the event, evt_….")],
) -> None:
    """Apply a stored event again, as if it came now."""
    answer = session.admin().replay_event(event_id=event_id, **session.deadline)
    session.out.tell(answer, wording.replayed)


def refresh(session: Session, account: Account) -> None:
    """Read an account from Stripe now and save what is found."""
    answer = session.admin().refresh_account(account_id=account, **session.deadline)
    session.out.tell(answer, wording.refreshed)


def link(
    session: Session,
    account: Account,
    customer: Annotated[str, typer.Argument(help="Stripe's id of the customer, cus_….")],
) -> None:
    """Tie a Stripe customer to an account. Neither may be tied to another."""
    answer = session.admin().link_customer(
        account_id=account, customer_id=customer, **session.deadline
    )
    session.out.tell(answer, wording.linked)


def erase(
    session: Session,
    account: Account,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int | None:
    """Erase what is held about an account's people.

    It cannot be undone. Asks first; where nobody can be asked, it does nothing without --yes.
    """
    if not yes and not _confirmed(f"Erase what is held about {account}? It cannot be undone."):
        say("paidup: Nothing was erased.")
        return FAILED
    answer = session.admin().erase_account(account_id=account, **session.deadline)
    session.out.tell(answer, wording.erased)
    return None


def audit(
    session: Session,
    *,
    account: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what concerned this account.")
    ] = None,
    caller: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what this caller changed.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only what calls of it changed, such as CreateGrant."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 50,
) -> None:
    """List what callers changed, newest first."""
    listed = session.admin().iter_audit_entries(
        account_id=account,
        caller=caller,
        method=method,
        page_size=min(limit or _LISTED_AT_A_TIME, _LISTED_AT_A_TIME),
        **session.deadline,
    )
    session.out.tell_each(itertools.islice(listed, limit or None), wording.AUDIT)


def _confirmed(question: str) -> bool:
    """Ask on stderr: stdout is for the answer. Where nobody is there, nobody agrees."""
    sys.stderr.write(f"{clean(question)} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not sys.stdin.isatty():
        # Nobody's return key has ended the line.
        sys.stderr.write("\n")
    return answer.strip().lower() in {"y", "yes"}
