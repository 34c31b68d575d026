"""Lists an account's subscriptions, page by page."""

from dataclasses import dataclass

from billing_service import page_tokens
from subscription_state import subscriptions
from subscription_state.database import Database
from subscription_state.model import StoredSubscription


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some subscriptions, newest first, and where the next ones are."""

    subscriptions: tuple[StoredSubscription, ...]
    #: Empty on the last page.
    next_page_token: str


async def list_page(database: Database, account_id: str, *, size: int, token: str) -> Page:
    """Give one page; raise `InvalidToken` for a token of another list.

    Read whole and cut here: an account has a handful of subscriptions.
    """
    async with database.read() as connection:
        stored = await subscriptions.of_account(connection, account_id)
    # Databases sort letters each in its own way, and a token is compared in ours.
    found = sorted(stored, key=_key, reverse=True)
    of = ("subscriptions", account_id)
    if token:
        after = page_tokens.decode(token, of=of)
        found = [each for each in found if _key(each) < after]
    page, more = found[:size], found[size:]
    return Page(
        subscriptions=tuple(page),
        next_page_token=page_tokens.encode(_key(page[-1]), of=of) if more else "",
    )


def _key(stored: StoredSubscription) -> list[str]:
    subscription = stored.subscription
    return [subscription.create_time.isoformat(), subscription.subscription_id]
