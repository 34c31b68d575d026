"""Somebody at the storefront, without a browser."""

import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_TOKEN = re.compile(r'name="csrf-token" content="(\w+)"')
_HEADING = re.compile(r"<h1>(.*?)</h1>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Any
    text: str
    json: Any = None

    @property
    def heading(self) -> str:
        found = _HEADING.search(self.text)
        return found.group(1) if found else ""


@dataclass(kw_only=True)
class Visitor:
    web: aiohttp.ClientSession
    url: str
    email: str
    #: Sent with everything.
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._ask("GET", path, headers=headers)

    async def token(self) -> str:
        found = _TOKEN.search((await self.get("/")).text)
        assert found is not None
        return found.group(1)

    async def send(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        """Send a form with the token that belongs to it."""
        data = {"csrf_token": await self.token(), **form}
        return await self._ask("POST", path, data=data, headers=headers)

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        """Send JSON, or bytes as they are, with the token in a header."""
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        named = {"X-CSRF-Token": await self.token(), **headers}
        return await self._ask("POST", path, headers=named, **content)

    async def sign_in(self, **form: str) -> Answer:
        return await self.send("/sign-in", {"email": self.email, **form})

    async def checkout(self, price: str = "basic_monthly") -> str:
        """Give the id of the session that the form would be mounted for."""
        answer = await self.post("/create-checkout-session", {"price": price})
        assert answer.status == 200, answer.text
        session_id: str = answer.json["clientSecret"].partition("_secret_")[0]
        return session_id

    async def _ask(self, method: str, path: str, *, headers: Any, **content: Any) -> Answer:
        asked = self.web.request(
            method,
            self.url + path,
            headers={**self.headers, **headers},
            allow_redirects=False,
            **content,
        )
        async with asked as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return Answer(
                status=response.status,
                headers=response.headers.copy(),
                text=text,
                json=await response.json() if is_json else None,
            )
