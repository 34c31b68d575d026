"""The messages of WatchEntitlements as bytes: an account's is made once for all streams.

A message in protobuf may be put together from parts one after the other, so what is
the same for everybody stays as it was encoded, and each flush adds revision and time.
"""

from collections.abc import Iterable
from datetime import datetime

from billing_service.to_proto import entitlement_to_proto, time_to_proto
from paidup.v1 import billing_service_pb2 as pb
from subscription_state.entitlements import Decision, Subject

_Message = pb.WatchEntitlementsResponse

RESET = _Message(reset=_Message.Reset()).SerializeToString()


def account_part(account_id: str, entitled: Iterable[tuple[Subject, Decision]]) -> bytes:
    held = _Message.AccountEntitlements(
        account_id=account_id,
        entitlements=[entitlement_to_proto(account_id, *each) for each in entitled],
    )
    return _Message(account=held).SerializeToString()


def stamp(revision: str, now: datetime) -> bytes:
    """Give the part that every message ends with; by itself it is a heartbeat."""
    return _Message(revision=revision, send_time=time_to_proto(now)).SerializeToString()


def goodbye(retry_delay_millis: int) -> bytes:
    told = _Message.Goodbye(retry_delay_millis=retry_delay_millis)
    return _Message(goodbye=told).SerializeToString()
