from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, Shop


async def found(shop: Shop, query: str, **params: Any) -> list[Any]:
    result = await shop.stripe.customers.search_async({"query": query, **params})
    return [customer.name async for customer in result.auto_paging_iter()]


@pytest.fixture
async def people(shop: Shop) -> Shop:
    for name, plan in (("Ada", "pro"), ("Grace", "pro"), ("Alan", "basic")):
        await shop.stripe.customers.create_async(
            {"name": name, "email": f"{name}@example.com", "metadata": {"plan": plan}}
        )
    await shop.stripe.customers.create_async({"email": "nameless@example.org"})
    return shop


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('email:"ada@example.com"', ["Ada"]),
        ("email:'ADA@EXAMPLE.COM'", ["Ada"]),
        ('email~"example.com"', ["Alan", "Grace", "Ada"]),
        ('metadata["plan"]:"pro"', ["Grace", "Ada"]),
        ('metadata["plan"]:"pro" AND -name:"Ada"', ["Grace"]),
        ('name:"Ada" OR name:"Alan"', ["Alan", "Ada"]),
        ("name:null", [None]),
        ("-name:null", ["Alan", "Grace", "Ada"]),
        ('metadata["plan"]:null', [None]),
        ("created>1", [None, "Alan", "Grace", "Ada"]),
        ("created<1 ", []),
    ],
)
async def test_customers_are_found(people: Shop, query: str, names: list[Any]) -> None:
    assert await found(people, query) == names


async def test_what_is_found_comes_in_pages(people: Shop) -> None:
    first = await people.stripe.customers.search_async({"query": "created>1", "limit": 3})

    assert (len(first.data), first.has_more) == (3, True)
    assert await found(people, "created>1", limit=3) == [None, "Alan", "Grace", "Ada"]


async def test_subscriptions_are_found_by_status_and_metadata(shop: Shop) -> None:
    terms = {"metadata": {"account": "acme"}, "trial_period_days": 7}
    trial = await shop.subscribe(subscription_data=terms)
    await shop.subscribe()

    by_account = await shop.stripe.subscriptions.search_async(
        {"query": "metadata['account']:'acme' AND status:'trialing'"}
    )
    await shop.advance(8 * DAY)
    later = await shop.stripe.subscriptions.search_async({"query": 'status:"trialing"'})

    assert [one.id for one in by_account.data] == [trial.id]
    assert later.data == []


@pytest.mark.parametrize(
    "query",
    [
        "x",
        'phone_number:"1"',
        'email~"ab"',
        'name>"Ada"',
        'name:"Ada" OR name:"Alan" AND name:"Grace"',
        'name:"Ada";',
        'name:"Ada" AND',
        'name:"' + "x" * 500 + '"',
    ],
)
async def test_what_is_no_query_is_refused(shop: Shop, query: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="could not be understood") as refused:
        await shop.stripe.customers.search_async({"query": query})

    assert refused.value.param == "query"


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 101}, {"page": "x"}])
async def test_impossible_pages_are_refused(shop: Shop, params: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.stripe.customers.search_async({"query": "created>1", **params})

    assert refused.value.param in params
