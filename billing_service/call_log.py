"""The log lines of one method's calls: each of them, or one in so many of those that succeed.

Checks come by the thousand a second. What a log is read for is changes and failures,
so these are never left out.
"""

import logging

from billing_service.current_call import caller

log = logging.getLogger(__name__)

#: Methods that change nothing and are called all the time.
OFTEN = frozenset({"CheckEntitlement", "BatchCheckEntitlements", "ListEntitlements"})

#: Of those that succeed, how many there are for each that is logged.
CHECKS_ONE_IN = 1000


class CallLog:
    """Writes of one method's calls."""

    def __init__(self, method: str, *, checks_one_in: int) -> None:
        self._method = method
        self._one_in = checks_one_in if method in OFTEN else 1
        self._unwritten = 0

    def ended(self, code: str, elapsed: float) -> None:
        """Write how a call ended after so many seconds, unless enough like it are written."""
        if code == "OK" and not self._is_next():
            return
        facts = {"code": code, "milliseconds": round(elapsed * 1000, 1)}
        log.info("call", extra={"method": self._method, "caller": caller(), **facts})

    def failed(self, error: Exception) -> None:
        """Write a fault of ours, with its traceback."""
        facts = {"method": self._method, "caller": caller()}
        log.error("call_failed", extra=facts, exc_info=error)

    def _is_next(self) -> bool:
        self._unwritten += 1
        if self._unwritten < self._one_in:
            return False
        self._unwritten = 0
        return True
