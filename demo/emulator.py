"""What the story does in the customer's place, through the emulator's control surface."""

from typing import Any

import aiohttp

Json = dict[str, Any]
TIMEOUT = aiohttp.ClientTimeout(total=60)


class Refused(RuntimeError):
    """The emulator refused; the text has its answer."""


class Emulator:
    """A customer, a clock and a network, all at the emulator's address."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}"
        self._session = aiohttp.ClientSession(self.url, timeout=TIMEOUT)

    async def close(self) -> None:
        await self._session.close()

    async def pay(self, session_id: str, *, number: str, email: str, **more: Any) -> Json:
        """Fill in the payment form."""
        form = {"number": number, "email": email, **more}
        return await self.post(f"/_emulator/checkout/{session_id}/pay", form)

    async def portal(self, portal_session_id: str, action: str, **form: Any) -> Json:
        """Do something in the customer portal."""
        return await self.post(f"/_emulator/portal/{portal_session_id}/{action}", form)

    async def advance(self, *, days: float = 0, hours: float = 0) -> Json:
        """Move Stripe's clock; answers when everything due has happened."""
        seconds = int(days * 86_400 + hours * 3_600)
        return await self.post("/_emulator/clock/advance", {"seconds": seconds})

    async def drain(self, *, timeout_seconds: float = 20) -> Json:
        """Wait until every webhook has been delivered."""
        return await self.post("/_emulator/deliveries/drain", {"timeout": timeout_seconds})

    async def faults(self, faults: Json) -> Json:
        return await self._json("PUT", "/_emulator/faults", faults)

    async def fault_counts(self) -> Json:
        """Tell how many faults of each kind there have been."""
        return await self._json("GET", "/_emulator/faults/counts", None)

    async def deliveries(self) -> Json:
        return await self._json("GET", "/_emulator/deliveries", None)

    async def post(self, path: str, body: Json) -> Json:
        return await self._json("POST", path, body)

    async def _json(self, method: str, path: str, body: Json | None) -> Json:
        async with self._session.request(method, path, json=body) as response:
            answer: Json = await response.json()
            if not response.ok:
                message = f"{method} {path}: {response.status} {answer}"
                raise Refused(message)
            return answer
