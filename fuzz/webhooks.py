"""What the gateway faces: signatures, bodies that were signed, and any path and method."""

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import aiohttp
from hypothesis import strategies as st
from yarl import URL

from bench.storm import signature
from fuzz.messages import ODD, texts
from fuzz.oracle import Wrong, check_text
from fuzz.world import World
from subscription_state.from_stripe import API_VERSION

PATH = "/webhooks/stripe"
TYPES = [
    *(f"customer.subscription.{each}" for each in ("created", "updated", "deleted", "paused")),
    *(f"customer.{each}" for each in ("created", "updated", "deleted")),
    *(f"invoice.{each}" for each in ("paid", "payment_failed", "voided", "created")),
    *(f"checkout.session.{each}" for each in ("completed", "expired", "async_payment_failed")),
    "product.updated",
    "entitlements.active_entitlement_summary.updated",
    "nothing.we.know",
]
#: Answers that say who was at fault: the sender, or for a while the gateway.
REFUSALS = frozenset({400, 404, 405, 408, 411, 413, 415, 417, 431, 501})
MOST_DEPTH = 400
ODD_VALUES: list[Any] = [
    None, True, 0, -1, 2**63, 10**30, 1.5, "", [], {}, [None], {"": None}, "active", "\ud800",
    "x" * 5000,
]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """One request to the gateway."""

    body: bytes
    method: str = "POST"
    path: str = PATH
    #: None: as Stripe signs.
    signature: str | None = None


def bodies(world: World) -> st.SearchStrategy[Post]:
    """Draw signed bodies: events with parts replaced or gone, other JSON, and bytes."""
    known = [*world.known.values()]
    return st.one_of(_events(known), _events(known), _json, st.binary(max_size=80)).map(
        lambda body: Post(body=body)
    )


def _events(known: Sequence[str]) -> st.SearchStrategy[bytes]:
    changes = st.lists(
        st.tuples(st.integers(0, 60), st.one_of(st.sampled_from(ODD_VALUES), texts(known))),
        max_size=4,
    )
    return st.builds(_event, st.sampled_from(TYPES), changes, st.integers(-400, 400))


def _event(type_: str, changes: list[tuple[int, Any]], seconds: int) -> bytes:
    event = _whole_event(type_, int(time.time()) + seconds)
    for number, value in changes:
        places = list(_places(event))
        holder, key = places[number % len(places)]
        # A list of its own: put into itself, one that others share would have no end.
        holder[key] = deepcopy(value)
    return json.dumps(event).encode()


def _whole_event(type_: str, created: int) -> dict[str, Any]:
    content = {
        "id": "sub_fuzzed",
        "object": "subscription",
        "customer": "cus_fuzzed",
        "subscription": "sub_fuzzed",
        "status": "active",
        "created": created,
        "metadata": {"account_id": "fuzzed"},
        "items": {
            "has_more": False,
            "data": [{"price": {"id": "price_1", "product": "prod_1"}, "quantity": 1,
                      "current_period_end": created + 1000}],
        },
        "parent": {"subscription_details": {"subscription": "sub_fuzzed"}},
        "billing_reason": "subscription_create",
        "client_reference_id": "fuzzed",
    }  # fmt: skip
    return {
        "id": f"evt_{secrets.token_hex(8)}",
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "livemode": False,
        "type": type_,
        "data": {"object": content, "previous_attributes": {"status": "incomplete"}},
    }


def _places(value: Any) -> Any:
    """Walk all places that hold something: an object or list, and the key in it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, held in list(inner):
        yield value, key
        if isinstance(held, dict | list):
            yield from _places(held)


_json = st.one_of(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode()),
    st.integers(1, MOST_DEPTH).map(lambda depth: b"[" * depth * 100 + b"]" * depth * 100),
    st.integers(1, MOST_DEPTH).map(lambda depth: b'{"a":' * depth * 50 + b"1" + b"}" * depth * 50),
)


def signatures(world: World) -> st.SearchStrategy[Post]:
    """Draw headers beside a body that would do: times, schemes and digests bent or missing."""
    body = json.dumps(_whole_event("customer.updated", int(time.time()))).encode()
    right = signature(body, world.stack.secret)
    time_, _, digest = right.partition(",")
    parts = st.sampled_from(
        [time_, digest, digest[:-1], digest.upper(), "v0=abc", "t=", "t=-1", "t=1e9", "v1=", ",",
         "=", "t=99999999999999999999", "v1=" + "0" * 64, "t=٣", "  ", "\x7f", *ODD[:3]]
    )  # fmt: skip
    built = st.lists(parts, max_size=60).map(",".join)
    headers = st.one_of(
        st.just(right), built, built, st.text(st.characters(codec="latin-1"), max_size=60)
    )
    return headers.map(lambda header: Post(body=body, signature=_sendable(header)))


def _sendable(header: str) -> str:
    """Drop what HTTP clients refuse to send; how a header ends is not drawn here."""
    return "".join(letter for letter in header if letter.isprintable() or letter == "\t")


def pages(_world: World) -> st.SearchStrategy[Post]:
    """Draw any path and method, at either HTTP port."""
    return st.builds(
        Post,
        body=st.binary(max_size=20),
        method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"]),
        path=st.one_of(
            st.sampled_from([PATH, "/healthz", "/readyz", "/metrics", "/", PATH + "/", "/%2e%2e"]),
            st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: "/" + text),
        ),
        signature=st.just(""),
    )


async def send(world: World, post: Post) -> str:
    return await _send(world, world.stack.gateway.address, post)


async def send_to_operations(world: World, post: Post) -> str:
    return await _send(world, world.stack.metrics_address, post)


async def _send(world: World, address: str, post: Post) -> str:
    header = signature(post.body, world.stack.secret) if post.signature is None else post.signature
    url = URL(f"http://{address}").with_path(post.path)
    headers = {"Stripe-Signature": header} if header else {}
    try:
        async with world.session.request(
            post.method, url, data=post.body, headers=headers, allow_redirects=False
        ) as answer:
            text = await answer.text(errors="replace")
    except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise Wrong(f"no answer: {type(error).__name__}") from error
    check_text(text, of="an answer")
    if answer.status != 200 and answer.status not in REFUSALS:  # noqa: PLR2004 - HTTP's own
        raise Wrong(f"answered {answer.status}: {text[:200]}")
    return str(answer.status)
