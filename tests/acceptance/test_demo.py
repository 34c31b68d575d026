"""`python -m demo`, as a newcomer runs it."""

import asyncio
import os
import signal
import socket
import sys

import aiohttp
import pytest

VARIABLES = (
    "EMULATOR_LISTEN",
    "PAIDUP_GATEWAY_LISTEN",
    "PAIDUP_GRPC_LISTEN",
    "PAIDUP_METRICS_LISTEN",
    "STOREFRONT_LISTEN",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def env():
    return os.environ | {name: f"127.0.0.1:{free_port()}" for name in VARIABLES}


async def demo(env, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "demo",
        *arguments,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_the_story_is_played_to_its_end(env):
    process = await demo(env, "--once")
    output, _ = await process.communicate()

    text = output.decode()
    assert process.returncode == 0, text
    for step in ("paid", "GRACE_PERIOD", "CANCELED", "done"):
        assert step in text


async def test_a_port_in_use_is_named_with_the_variable_that_moves_it(env):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env["PAIDUP_GATEWAY_LISTEN"] = f"127.0.0.1:{taken.getsockname()[1]}"

        process = await demo(env, "--once")
        output, _ = await process.communicate()

    assert process.returncode == 1
    assert f"{env['PAIDUP_GATEWAY_LISTEN']} is in use" in output.decode()
    assert "PAIDUP_GATEWAY_LISTEN" in output.decode()


async def test_it_serves_a_shop_and_ctrl_c_leaves_nothing_running(env):
    process = await demo(env)
    async with asyncio.timeout(60):
        async for line in process.stdout:
            if b"Serving on" in line:
                break
    shop = f"http://{env['STOREFRONT_LISTEN']}"
    assert shop in line.decode()
    async with aiohttp.ClientSession() as web, web.get(shop) as prices:
        assert "Subscribe to Basic" in await prices.text()

    process.send_signal(signal.SIGINT)
    rest = await process.stdout.read()
    code = await process.wait()

    assert code == 130
    assert b"Traceback" not in rest
    for name in VARIABLES:
        host, _, port = env[name].rpartition(":")
        with socket.socket() as probe:
            assert probe.connect_ex((host, int(port))) != 0, name


async def test_a_process_that_does_not_start_fails_the_demo_with_its_last_lines(env):
    process = await demo(
        env | {"PAIDUP_GRPC_LISTEN": "127.0.0.1:1", "PAIDUP_GRACE_DAYS": "many"}, "--once"
    )
    output, _ = await process.communicate()

    assert process.returncode == 1
    assert "PAIDUP_GRACE_DAYS" in output.decode()
    assert "Traceback" not in output.decode()
