"""Who may use what: the one place that decides how the service is asked."""

from paidup import BillingClient


class Access:
    """Asks the service each time. Where no answer comes, the error closes the gate."""

    def __init__(self, billing: BillingClient) -> None:
        self._billing = billing

    async def entitled(self, account_id: str, feature: str) -> bool:
        return await self._billing.entitled(account_id, feature=feature)
