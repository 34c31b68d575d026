"""Arguments that several commands have, and how they are read."""

from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import typer

Account: TypeAlias = Annotated[str, typer.Argument(help="Your own id of whoever pays.")]
Feature: TypeAlias = Annotated[str | None, typer.Argument(help="A feature's lookup key.")]
Product: TypeAlias = Annotated[
    str | None, typer.Option(metavar="ID", help="A Stripe product id, instead of a feature.")
]
AtLeastRevision: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--at-least-revision",
        metavar="REVISION",
        help="Ask for an answer at least as fresh as this revision of an earlier one.",
    ),
]
Fresh: TypeAlias = Annotated[
    bool, typer.Option("--fresh", help="Ask for an answer as fresh as the database is now.")
]
RequestId: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="UUID", help="Give the same to repeat a call whose outcome you do not know."
    ),
]


def subject(feature: str | None, product: str | None) -> dict[str, Any]:
    """Return what is asked about, as the client's methods take it."""
    if (feature is None) == (product is None):
        raise typer.BadParameter("Name either a FEATURE or a --product.")
    return {"feature": feature, "product_id": product}


def consistency(at_least_revision: str | None, *, fresh: bool) -> dict[str, Any]:
    """Return how fresh an answer must be, as the client's methods take it."""
    if at_least_revision is not None and fresh:
        raise typer.BadParameter("Ask for either --at-least-revision or --fresh.")
    return {"at_least_revision": at_least_revision, "fully_consistent": fresh}


def moment(text: str) -> datetime:
    """Read an ISO 8601 date or time; UTC where it says nothing else."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no date or time, such as 2027-01-31 or 2027-01-31T12:00:00Z."
        ) from error
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)
