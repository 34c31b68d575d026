"""Who makes the call that is being answered, and under which id.

Context variables: a call has a task of its own, so nothing has to be handed through.
"""

from contextvars import ContextVar

from subscription_state import request_ids

#: Where nobody has to prove who they are: plaintext on loopback without a policy file.
ANYBODY = "unauthenticated"

_caller: ContextVar[str] = ContextVar("caller", default=ANYBODY)


def caller() -> str:
    """Name whoever calls, as the policy file names them."""
    return _caller.get()


def request_id() -> str:
    """Give the call's id; empty outside of a call."""
    return request_ids.current()


def set_caller(name: str) -> None:
    _caller.set(name)


def set_request_id(value: str) -> None:
    request_ids.use(value)
