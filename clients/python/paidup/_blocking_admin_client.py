"""The administration's client for code without asyncio."""

from paidup import _admin_calls as _calls
from paidup._blocking_client import BlockingClient, blocking, iterated


class BlockingAdminClient(BlockingClient):
    """Calls the billing service's administration and waits for each answer.

    For the people who run the service and those who help its customers. Make it,
    keep it and close it as a `BlockingBillingClient`.
    """

    explain_entitlement = blocking(_calls.explain_entitlement)
    create_grant = blocking(_calls.create_grant)
    revoke_grant = blocking(_calls.revoke_grant)
    list_grants = blocking(_calls.list_grants)
    iter_grants = iterated(_calls.iter_grants)
    list_events = blocking(_calls.list_events)
    iter_events = iterated(_calls.iter_events)
    replay_event = blocking(_calls.replay_event)
    refresh_account = blocking(_calls.refresh_account)
    link_customer = blocking(_calls.link_customer)
    erase_account = blocking(_calls.erase_account)
    list_audit_entries = blocking(_calls.list_audit_entries)
    iter_audit_entries = iterated(_calls.iter_audit_entries)

    _rpcs = _calls.RPCS
