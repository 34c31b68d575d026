"""`watch`: changes as they happen."""

import asyncio
from contextlib import aclosing
from typing import Annotated

import typer
from rich.text import Text

from paidup._client import BillingClient
from paidup._errors import PaidupError
from paidup.cli import failures, wording
from paidup.cli.following import LONGEST_SILENCE, follow
from paidup.cli.json_form import as_json
from paidup.cli.output import Output, clean
from paidup.cli.session import Session
from paidup.v1.billing_service_pb2 import WatchEntitlementsResponse


def watch(
    session: Session,
    accounts: Annotated[
        list[str] | None, typer.Argument(help="Which accounts; all if none is named.")
    ] = None,
    *,
    resume: Annotated[
        str, typer.Option(metavar="REVISION", help="Go on after this revision of an earlier run.")
    ] = "",
) -> None:
    """Print entitlements as they change, until Ctrl-C.

    What named accounts may use now is printed first. A connection that breaks is told on stderr
    and resumed, and nothing is missed; one that cannot be made is an error. --timeout says after
    how many silent seconds a connection counts as broken, 15 if not given.
    """
    asyncio.run(_watch(session, accounts or [], resume))


async def _watch(session: Session, accounts: list[str], resume: str) -> None:
    def interrupted(error: PaidupError) -> None:
        failures.tell(error, as_json=session.out.as_json)

    async with BillingClient(**session.connection.settings()) as client:
        messages = follow(
            client,
            accounts=accounts,
            resume_revision=resume,
            silence=session.deadline.get("timeout", LONGEST_SILENCE),
            interrupted=interrupted,
        )
        async with aclosing(messages):
            async for message in messages:
                _tell(session.out, message)


def _tell(out: Output, message: WatchEntitlementsResponse) -> None:
    if out.as_json:
        out.tell_json(_form(message))
    else:
        out.tell_text(_line(message))


def _form(message: WatchEntitlementsResponse) -> dict[str, object]:
    whole = as_json(message)
    account = whole["account"] or {"account_id": None, "entitlements": []}
    return {
        "kind": message.WhichOneof("kind"),
        **account,
        "revision": message.revision,
        "send_time": whole["send_time"],
    }


def _line(message: WatchEntitlementsResponse) -> Text:
    said = Text(f"{wording.moment(message.send_time)}  ")
    if message.HasField("reset"):
        return said.append("Changes were missed: what was told before holds no longer.", "yellow")
    may_use = [
        f"{wording.subject(each)} ({wording.reason(each)})"
        for each in message.account.entitlements
        if each.entitled
    ]
    said.append(clean(message.account.account_id), style="bold")
    return said.append(clean(f"  {', '.join(may_use) or 'nothing'}"))
