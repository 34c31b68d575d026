import base64
import json
from datetime import timedelta

import pytest
import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from billing_service import page_tokens
from billing_service.errors import InvalidToken
from billing_service.subscription_lists import list_page
from subscription_state import customers, subscriptions
from tests.builders import NOW, a_subscription

texts = st.lists(st.text(), min_size=1, max_size=3)


@given(key=texts, of=texts)
def test_a_token_gives_its_key_back(key, of):
    assert page_tokens.decode(page_tokens.encode(key, of=of), of=of) == key


@given(key=texts, of=texts, other=texts)
def test_a_token_of_another_list_is_refused(key, of, other):
    token = page_tokens.encode(key, of=of)
    if other != of:
        with pytest.raises(InvalidToken):
            page_tokens.decode(token, of=other)


def _token(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(token=st.text(min_size=1) | st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True))
@example(token="é")
@example(token="A")
@example(token=_token([]))
@example(token=_token({}))
@example(token=_token({"a": 1}))
@example(token=_token(7))
@example(token=_token("text"))
@example(token=_token(None))
@example(token=_token(["digest", 7]))
@example(token="x" * 100_000)
@example(token=base64.b64encode(b"[" * 50_000).decode().rstrip("="))
@example(token=base64.b64encode(b"[" + b"9" * 9_000 + b"]").decode().rstrip("="))
def test_what_is_no_token_is_refused(token):
    with pytest.raises(InvalidToken):
        page_tokens.decode(token, of=("subscriptions", "a"))


def test_a_token_whose_key_is_not_text_is_refused():
    digest = json.loads(base64.urlsafe_b64decode(page_tokens.encode([], of=("a",)) + "=="))[0]

    with pytest.raises(InvalidToken):
        page_tokens.decode(_token([digest, 7]), of=("a",))


@pytest.mark.parametrize(
    ("asked", "given_"), [(0, 20), (1, 1), (100, 100), (101, 100), (2**31, 100)]
)
def test_a_page_has_the_size_that_was_asked_for_within_bounds(asked, given_):
    assert page_tokens.page_size(asked) == given_


@pytest_asyncio.fixture(loop_scope="session")
async def sorted_otherwise(database):
    """A database that sorts letters without regard to case, as many an operator's does."""

    async def work(connection):
        found = await connection.execute(
            text("SELECT sql FROM sqlite_master WHERE name = 'subscription'")
        )
        made_by = str(found.scalar_one())
        column = "subscription_id VARCHAR"
        assert column in made_by
        await connection.execute(text("DROP TABLE subscription"))
        await connection.execute(text(made_by.replace(column, f"{column} COLLATE NOCASE")))

    await database.write(work)
    return database


@pytest.mark.asyncio(loop_scope="session")
async def test_pages_hold_every_subscription_once_whatever_the_databases_order(sorted_otherwise):
    made = [
        a_subscription(subscription_id=f"sub_{name}", create_time=NOW - timedelta(days=days))
        for days, name in enumerate(["aB", "Ac", "b", "C", "aa"], start=0)
    ]
    made += [a_subscription(subscription_id=f"sub_{name}") for name in ("xB", "Xc", "y", "Z", "xa")]

    async def work(connection):
        await customers.lock(connection, ["cus_1"])
        await customers.link(connection, "cus_1", "acct_1")
        for each in made:
            await subscriptions.save(connection, each, freshness={})

    await sorted_otherwise.write(work)
    seen, token = [], ""
    for _ in made:
        page = await list_page(sorted_otherwise, "acct_1", size=1, token=token)
        seen += [each.subscription.subscription_id for each in page.subscriptions]
        token = page.next_page_token
        if not token:
            break

    assert sorted(seen) == sorted(each.subscription_id for each in made)
    newest_first = sorted(made, key=lambda each: (each.create_time, each.subscription_id))
    assert seen == [each.subscription_id for each in reversed(newest_first)]
