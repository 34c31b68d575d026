"""Answers to checks that were asked before in the same bytes.

A backend asks the same of an account again and again. To read such a request, to look it
over, to decide and to write the answer takes longer than all else that the call needs
(`docs/performance.md`), so the answer is kept as it was written, with what it rests on.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf.message import Message

from billing_service import metrics
from billing_service.feed import Feed
from billing_service.memory import Account, Memory
from billing_service.to_proto import revision_to_proto
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.entitlement_pb2 import Entitlement
from subscription_state.catalog import Catalog
from subscription_state.changes import Position

#: Requests that are kept, and their bytes: read and answered, they take some tens of times as much.
#: Callers choose what they ask.
MOST = 10_000
MOST_BYTES = 1024 * 1024

_FROM_MEMORY = metrics.LOOKUPS.labels("memory")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """What was decided, and what that rests on."""

    #: The response without its revision.
    encoded: bytes
    accounts: Mapping[str, Account]
    catalog: Catalog
    made: datetime
    until: datetime | None


class Asked:
    """A request that may come again; who is let in is asked of it as of the message."""

    __slots__ = ("answer", "message")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.answer: _Answer | None = None

    @property
    def account_id(self) -> Any:
        return self.message.account_id

    @property
    def checks(self) -> Any:
        return self.message.checks


class AnswerCache:
    """Answers one method from bytes to bytes: as before where that still holds, else anew.

    An answer holds while the memory is fresh and still has the very accounts and the very
    catalogue that it was decided on, and until the time when it would become another.
    """

    def __init__(
        self,
        feed: Feed,
        memory: Memory,
        response: type[Message],
        entitlements: Callable[[Any], Iterable[Entitlement]],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._feed = feed
        self._memory = memory
        self._response = response
        self._entitlements = entitlements
        self._now = now
        self._asked: dict[bytes, Asked] = {}
        self._size = 0
        self._position: Position | None = None
        self._revision = b""

    def around(self, handler: Any) -> Any:
        """Give a handler, of gRPC's kind, that answers as this one does."""
        read: Callable[[bytes], Any] = handler.request_deserializer
        behavior: Callable[..., Awaitable[Any]] = handler.unary_unary

        async def answer(asked: Asked, context: Any) -> bytes:
            if asked.answer is not None and self._holds(asked.answer):
                _FROM_MEMORY.inc()
                return asked.answer.encoded + self._encoded_revision()
            position, began = self._memory.position, self._now()
            response = await behavior(asked.message, context)
            encoded: bytes = response.SerializeToString()
            # Where the memory went on meanwhile, nobody knows which of its states the answer is
            # of. It does at every read, so what is read for a consistent answer is not kept.
            if self._memory.position is position:
                asked.answer = self._answer(response, began)
            return encoded

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=lambda data: self._asked.get(data) or self._read(data, read),
        )

    def _read(self, data: bytes, read: Callable[[bytes], Any]) -> Asked:
        asked = Asked(read(data))
        if len(self._asked) >= MOST or self._size + len(data) > MOST_BYTES:
            self._asked.clear()
            self._size = 0
        self._asked[data] = asked
        self._size += len(data)
        return asked

    def _holds(self, answer: _Answer) -> bool:
        if not self._feed.is_fresh() or self._memory.catalog is not answer.catalog:
            return False
        now = self._now()
        if now < answer.made or (answer.until is not None and now >= answer.until):
            return False
        # A loop: `all` over a generator takes twice as long, and this is every check.
        for account_id, account in answer.accounts.items():
            if self._memory.find(account_id) is not account:
                return False
        return True

    def _encoded_revision(self) -> bytes:
        """Give the rest of a response, as of now; one message may be written in two parts."""
        position = self._memory.position
        if position is not None and position is not self._position:
            revision = self._response(revision=revision_to_proto(position.revision))
            self._position, self._revision = position, revision.SerializeToString()
        return self._revision

    def _answer(self, response: Any, made: datetime) -> _Answer | None:
        entitlements = list(self._entitlements(response))
        accounts = {each.account_id: self._memory.find(each.account_id) for each in entitlements}
        held = {key: account for key, account in accounts.items() if account is not None}
        if len(held) < len(accounts):
            return None
        ends = [
            each.valid_until_time.ToDatetime(UTC)
            for each in entitlements
            if each.HasField("valid_until_time")
        ]
        response.ClearField("revision")
        return _Answer(
            encoded=response.SerializeToString(),
            accounts=held,
            catalog=self._memory.catalog,
            made=made,
            until=min(ends, default=None),
        )


def answer_caches(
    feed: Feed, memory: Memory, **more: Callable[[], datetime]
) -> dict[str, AnswerCache]:
    """Make one for each method whose answers are worth to be kept, by the method's name."""
    return {
        "CheckEntitlement": AnswerCache(
            feed, memory, pb.CheckEntitlementResponse, lambda one: [one.entitlement], **more
        ),
        "BatchCheckEntitlements": AnswerCache(
            feed, memory, pb.BatchCheckEntitlementsResponse, lambda many: many.entitlements, **more
        ),
    }
