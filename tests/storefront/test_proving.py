"""The shop proves to the service who it is, as its settings say."""

import asyncio
import os
import sys
from pathlib import Path

import grpc
import pytest

from clients.python.tests.certificates import Authority
from clients.python.tests.proofs import CALLERS, Secrets, asking_for_tokens, exclusive
from tests.docs.pages import ROOT

#: A process takes its time on a busy machine.
SECONDS = 60


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    secrets = Secrets(tmp_path)
    secrets.renew(CALLERS.issue("shop"))
    secrets.put(secrets.token, b"s3cret\n")
    return secrets


async def shop(secrets: Secrets, **env: str) -> asyncio.subprocess.Process:
    files = {
        "CA": secrets.ca,
        "CERTIFICATE": secrets.certificate,
        "KEY": secrets.key,
        "TOKEN": secrets.token,
    }
    own = {f"STOREFRONT_BILLING_{name}_FILE": str(file) for name, file in files.items()}
    fixed = {"STOREFRONT_CATALOG": str(ROOT / "catalog.toml"), "STOREFRONT_LISTEN": "127.0.0.1:0"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "storefront",
        env={**os.environ, **fixed, **own, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_the_shop_shows_its_certificate_and_its_token_and_follows_them(
    secrets: Secrets,
) -> None:
    async with asking_for_tokens("s3cret", exclusive(CALLERS)) as service:
        process = await shop(secrets, STOREFRONT_BILLING=service.address)
        try:
            async with asyncio.timeout(SECONDS):
                stream = await service.streams.get()
                assert stream.caller == "shop"

                secrets.renew(CALLERS.issue("shop, renewed"))
                secrets.put(secrets.token, b"renewed\n")
                service.token = "renewed"
                while stream.caller != "shop, renewed":
                    stream.end(grpc.StatusCode.UNAVAILABLE)
                    stream = await service.streams.get()
        finally:
            process.terminate()
            said, _ = await process.communicate()

    assert process.returncode == 0
    assert b"s3cret" not in said
    assert b"PRIVATE" not in said


async def test_files_of_no_use_end_it_with_their_names(secrets: Secrets) -> None:
    secrets.put(secrets.key, Authority().issue("other").key)

    process = await shop(secrets, STOREFRONT_BILLING="127.0.0.1:1")
    said, _ = await process.communicate()

    assert process.returncode == 2
    [line] = said.decode().splitlines()
    assert line.startswith("STOREFRONT_BILLING_")
    assert str(secrets.key) in line
