"""One who watches, as a caller's cache does: it holds what it was sent, and may lose the end."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from billing_service.watchers import Watchers
from paidup.v1 import billing_service_pb2 as pb
from subscription_state.revision import Revision

Held = dict[str, list[bytes]]


@dataclass
class Watcher:
    """Connects, goes away and comes back, and keeps every message in between."""

    watchers: Watchers
    #: Empty for all.
    account_ids: frozenset[str]
    messages: list[pb.WatchEntitlementsResponse] = field(default_factory=list)
    #: What was known before the first of the messages.
    known: Held = field(default_factory=dict)
    task: "asyncio.Task[None] | None" = None
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    taking: bool = False

    def __post_init__(self) -> None:
        self.reading.set()

    def connect(self) -> None:
        revision = self.revision()
        serving = self.watchers.stream(
            self._take,
            account_ids=self.account_ids,
            resume=Revision.parse(revision) if revision else None,
        )
        self.task = asyncio.create_task(serving)

    async def _take(self, message: bytes) -> None:
        self.taking = True
        await self.reading.wait()
        self.taking = False
        self.messages.append(pb.WatchEntitlementsResponse.FromString(message))

    async def disconnect(self, *, losing: int) -> None:
        """Go away; so many of the last states, and all after them, were sent and never arrived."""
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
        self.task, self.taking = None, False
        states = [n for n, each in enumerate(self.messages) if each.WhichOneof("kind") == "account"]
        if losing and states:
            del self.messages[states[-losing:][0] :]
        if not self.revision():
            # Nothing to go on from: begin as if for the first time.
            self.messages.clear()
            self.known.clear()

    def revision(self) -> str:
        """Give the last revision that came, none of before a reset."""
        last = ""
        for message in self.messages:
            if message.WhichOneof("kind") == "reset":
                last = ""
            last = message.revision or last
        return last

    def was_reset(self) -> bool:
        return any(each.WhichOneof("kind") == "reset" for each in self.messages)

    def held(self) -> Held:
        held = dict(self.known)
        for message in self.messages:
            kind = message.WhichOneof("kind")
            if kind == "reset":
                held.clear()
            if kind == "account":
                held[message.account.account_id] = said(message.account.entitlements)
        return held


def said(entitlements) -> list[bytes]:
    return [each.SerializeToString(deterministic=True) for each in entitlements]
