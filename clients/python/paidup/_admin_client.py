"""The administration's client for asyncio."""

from paidup import _admin_calls as _calls
from paidup._client import AsyncioClient, awaited, iterated


class AdminClient(AsyncioClient):
    """Calls the billing service's administration from asyncio.

    For the people who run the service and those who help its customers. Make it,
    keep it and close it as a `BillingClient`.
    """

    explain_entitlement = awaited(_calls.explain_entitlement)
    create_grant = awaited(_calls.create_grant)
    revoke_grant = awaited(_calls.revoke_grant)
    list_grants = awaited(_calls.list_grants)
    iter_grants = iterated(_calls.iter_grants)
    list_events = awaited(_calls.list_events)
    iter_events = iterated(_calls.iter_events)
    replay_event = awaited(_calls.replay_event)
    refresh_account = awaited(_calls.refresh_account)
    link_customer = awaited(_calls.link_customer)
    erase_account = awaited(_calls.erase_account)
    list_audit_entries = awaited(_calls.list_audit_entries)
    iter_audit_entries = iterated(_calls.iter_audit_entries)

    _rpcs = _calls.RPCS
