"""All that proves who is who is renewed under load: nothing is restarted, and nobody notices.

Certificates of both sides, the CA that signs them, a token and the policy are files that change
while calls go on. How the signing secret of webhooks is rolled is in `test_rolling.py`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

import paidup
from billing_service import static_tokens
from demo.stack import Addresses, Stack, settled
from paidup import EntitlementCache, Source, TlsFiles
from tests.acceptance.load import FEATURE, PATIENT, Load
from tests.access.serving import Mounted, replace
from tests.leaks import assert_nothing_leaked
from tests.pki import Authority

SHOP = "spiffe://example.org/ns/shop/sa/web"
#: As often has everybody to call before and after every change, and for as long: a client
#: looks at its files every second.
CALLS = 10
LONGER_THAN_CLIENTS_LOOK_AWAY = 1.5
CHECKS = {"by certificate", "by token", "of the cache"}


def _policy(*others: str) -> str:
    callers = (SHOP, "token:jobs", *others)
    return "".join(f'[[caller]]\nname = "{each}"\nmay_call = ["billing"]\n\n' for each in callers)


class Credentials:
    """Everybody's files, as they are mounted."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        server, shop = self._server(), self._shop()
        self.server = Mounted(folder / "server", **server, **self.trust())
        self.shop = Mounted(folder / "shop", **shop, **self.trust())
        self._server_pair, self._shop_pair = server, shop
        self.policy = folder / "policy.toml"
        self.policy.write_text(_policy())
        self.tokens, self.token = folder / "tokens", folder / "token"
        made = static_tokens.make("jobs")
        self.tokens.write_text(made.line)
        self.token.write_text(made.token)

    def _server(self) -> dict[str, bytes]:
        issued = self.authority.issue_for_server()
        return {"tls.crt": issued.certificate, "tls.key": issued.key}

    def _shop(self) -> dict[str, bytes]:
        issued = self.authority.issue(spiffe=[SHOP])
        return {"tls.crt": issued.certificate, "tls.key": issued.key}

    def trust(self, *others: Authority) -> dict[str, bytes]:
        """Give the certificates of everybody who may sign."""
        return {"ca.crt": b"".join(each.certificate for each in (self.authority, *others))}

    def renew_server(self, trusted: dict[str, bytes]) -> None:
        self._server_pair = self._server()
        self.server.swap(**self._server_pair, **trusted)

    def renew_shop(self, trusted: dict[str, bytes]) -> None:
        self._shop_pair = self._shop()
        self.shop.swap(**self._shop_pair, **trusted)

    def trust_at_both(self, trusted: dict[str, bytes]) -> None:
        self.server.swap(**self._server_pair, **trusted)
        self.shop.swap(**self._shop_pair, **trusted)

    @property
    def shown(self) -> bytes:
        """What the server shows."""
        return self._server_pair["tls.crt"]

    @property
    def settings(self) -> dict[str, str]:
        return {
            "PAIDUP_TLS_CERTIFICATE_FILE": str(self.server / "tls.crt"),
            "PAIDUP_TLS_KEY_FILE": str(self.server / "tls.key"),
            "PAIDUP_TLS_CLIENT_CA_FILE": str(self.server / "ca.crt"),
            "PAIDUP_POLICY_FILE": str(self.policy),
            "PAIDUP_TOKENS_FILE": str(self.tokens),
        }

    @property
    def tls(self) -> TlsFiles:
        return TlsFiles(
            ca=self.shop / "ca.crt", certificate=self.shop / "tls.crt", key=self.shop / "tls.key"
        )


class Rotation:
    """Changes one file after another, and lets calls go on in between."""

    def __init__(self, stack: Stack, files: Credentials, load: Load, token_address: str) -> None:
        self._stack = stack
        self._files = files
        self._load = load
        self._token_address = token_address
        self._changes = 0

    async def renew_certificates(self) -> None:
        files = self._files
        files.renew_server(files.trust())
        await self._taken_over("certificate")
        await self._shown(files.shown)
        files.renew_shop(files.trust())
        await self._go_on()

    async def replace_the_authority(self) -> None:
        """Trust both, have all signed anew, then trust the new one alone."""
        files, old = self._files, self._files.authority
        files.authority = Authority("Paidup's next test CA")
        both = files.trust(old)
        files.trust_at_both(both)
        await self._taken_over("certificate")
        await self._go_on()
        files.renew_server(both)
        await self._taken_over("certificate")
        await self._shown(files.shown)
        files.renew_shop(both)
        await self._go_on()
        files.trust_at_both(files.trust())
        await self._taken_over("certificate")
        await self._go_on()

    async def replace_the_token(self) -> None:
        files = self._files
        made = static_tokens.make("jobs")
        replace(files.tokens, f"{files.tokens.read_text()}\n{made.line}\n")
        await self._taken_over("tokens")
        replace(files.token, made.token)
        await self._go_on()
        replace(files.tokens, made.line)
        await self._taken_over("tokens")
        await self._go_on()

    async def change_the_policy(self) -> None:
        replace(self._files.policy, _policy("spiffe://example.org/ns/shop/sa/more"))
        await self._taken_over("policy")
        await self._go_on()

    async def _taken_over(self, file: str) -> None:
        """Wait until the service says that it has read one more change."""
        self._changes += 1
        async with asyncio.timeout(60):
            while self._told() < self._changes:
                await asyncio.sleep(0.05)
        assert (
            f'"{file}"' in [line for line in self._stack.log if "access_file_changed" in line][-1]
        )

    def _told(self) -> int:
        return sum("access_file_changed" in line for line in self._stack.log)

    async def _shown(self, certificate: bytes) -> None:
        """Wait until who connects anew is shown the certificate."""
        wanted = x509.load_pem_x509_certificate(certificate).serial_number
        host, _, port = self._token_address.rpartition(":")
        address = (host, int(port))
        async with asyncio.timeout(60):
            while await asyncio.to_thread(_serial_at, address) != wanted:
                await asyncio.sleep(0.05)

    async def _go_on(self) -> None:
        """Let everybody call some more."""
        await asyncio.sleep(LONGER_THAN_CLIENTS_LOOK_AWAY)
        wanted = {what: self._load.done[what] + CALLS for what in CHECKS}
        async with asyncio.timeout(60):
            while any(self._load.done[what] < times for what, times in wanted.items()):
                await asyncio.sleep(0.05)


def _serial_at(address: tuple[str, int]) -> int:
    shown = ssl.get_server_certificate(address, timeout=PATIENT)
    return x509.load_pem_x509_certificate(shown.encode()).serial_number


@asynccontextmanager
async def _everybody(stack: Stack, files: Credentials, token_address: str) -> AsyncIterator[Load]:
    """Have checks by certificate, by token and from memory go on."""
    load = Load()
    by_token = TlsFiles(ca=files.shop / "ca.crt")
    async with (
        paidup.BillingClient(stack.service.address, tls=files.tls) as shop,
        paidup.BillingClient(token_address, tls=by_token, token_file=files.token) as jobs,
        EntitlementCache(shop, accounts=["acme"]) as cache,
        asyncio.TaskGroup() as group,
    ):
        await cache.wait_until_ready(timeout=PATIENT)

        async def remembered() -> None:
            decision = await cache.check("acme", feature=FEATURE)
            assert decision.source in {Source.MEMORY, Source.RPC}

        def check(client: paidup.BillingClient):
            return lambda: client.check_entitlement(
                account_id="acme", feature=FEATURE, timeout=PATIENT
            )

        tasks = [
            group.create_task(load.repeat("by certificate", check(shop), 0.02)),
            group.create_task(load.repeat("by token", check(jobs), 0.02)),
            group.create_task(load.repeat("of the cache", remembered, 0.02)),
        ]
        yield load
        for task in tasks:
            task.cancel()


@pytest.mark.timeout(240)
async def test_everything_is_renewed_and_nobody_notices(tmp_path):
    files = Credentials(tmp_path)
    addresses = Addresses(grpc=settled("127.0.0.1:0"))
    token_address = settled("127.0.0.1:0")
    settings = {**files.settings, "PAIDUP_GRPC_TOKEN_LISTEN": token_address}
    url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    async with Stack(database_url=url, addresses=addresses, settings=settings) as stack:
        async with _everybody(stack, files, token_address) as load:
            rotation = Rotation(stack, files, load, token_address)
            await rotation.renew_certificates()
            await rotation.replace_the_authority()
            await rotation.replace_the_token()
            await rotation.change_the_policy()
        print("", f"{len(load.failed)} failures", dict(load.done))  # noqa: T201 - for who runs it by hand

        assert load.failed == []
        assert stack.service.alive
    assert_nothing_leaked(stack)
