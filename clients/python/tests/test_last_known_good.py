"""The file that outlives the process."""

import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from clients.python.tests.cache_twins import CACHES, HASTE
from clients.python.tests.scripted_service import running
from clients.python.tests.watched_service import START, Clocks, WatchedService, entitlement
from paidup import Source
from paidup._held import Held, Right
from paidup._last_known_good import UnusableFile, load, save
from paidup._server_time import Clock

NOWHERE = "127.0.0.1:1"
HELD = Held(
    features={"api_access": Right(until=START + 60, reason=1, quantity=2), "reports": Right()},
    products={"prod_basic": Right(quantity=5)},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "entitlements.json"


@pytest.fixture
def unusable(path: Path) -> Path:
    path.write_text("{")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("cache_class", CACHES.values(), ids=CACHES)
async def test_what_was_known_is_known_after_a_restart_without_the_service(
    cache_class: Any, path: Path
) -> None:
    clocks = Clocks()
    settings = {
        "clock": Clock(monotonic=clocks.monotonic, wall=clocks.wall),
        "pace": HASTE,
        "last_known_good_path": path,
    }
    async with running(service_class=WatchedService) as service:
        service.lists["acme"] = [
            entitlement(feature="api_access"),
            entitlement(feature="reports", until=600),
        ]
        async with cache_class(service.address, **settings) as cache:
            assert await cache.check("acme", feature="api_access")
    clocks.passed += 500

    async with cache_class(NOWHERE, **settings) as cache:
        known = cache.peek("acme", feature="api_access")
        assert (known.entitled, known.source) == (True, Source.LAST_KNOWN_GOOD)
        assert known.age == pytest.approx(500, abs=1)
        assert cache.entitled("acme", feature="reports")
        clocks.passed += 101
        assert not cache.entitled("acme", feature="reports")
        clocks.passed += 3600
        assert cache.peek("acme", feature="api_access").source is Source.FALLBACK


def test_what_is_saved_is_loaded(path: Path) -> None:
    save(path, {"acme": (HELD, 5.0)}, wall=START)

    [(account_id, (held, age))] = load(path, wall=START + 10, max_age=60).items()

    assert account_id == "acme"
    assert (held.features, held.products) == (HELD.features, HELD.products)
    assert age == 15
    assert not held.watched
    assert held.fresh_until == float("-inf")


def test_what_is_too_old_is_left_out(path: Path) -> None:
    save(path, {"old": (HELD, 55.0), "new": (HELD, 0.0)}, wall=START)

    assert set(load(path, wall=START + 10, max_age=60)) == {"new"}


def test_only_its_owner_can_read_it_and_nothing_else_is_left(path: Path) -> None:
    previous = os.umask(0)
    try:
        save(path, {"acme": (HELD, 5.0)}, wall=START)
    finally:
        os.umask(previous)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_it_holds_ids_and_moments_only(path: Path) -> None:
    save(path, {"acme": (HELD, 5.0)}, wall=START)

    assert json.loads(path.read_text()) == {
        "version": 1,
        "saved": START,
        "accounts": {
            "acme": {
                "age": 5.0,
                "features": {"api_access": [START + 60, 1, 2], "reports": [None, 0, 0]},
                "products": {"prod_basic": [None, 0, 5]},
            }
        },
    }


def test_without_a_file_nothing_is_known(path: Path) -> None:
    assert load(path, wall=START, max_age=60) == {}


def content(**changes: Any) -> str:
    accounts = {"acme": {"age": 1, "features": {"a": [None, 1, 0]}, "products": {}}}
    return json.dumps({"version": 1, "saved": START, "accounts": accounts} | changes)


UNUSABLE = {
    "empty": "",
    "cut": content()[:40],
    "no object": "[]",
    "other version": content(version=2),
    "of the future": content(saved=START + 1000),
    "no time": content(saved="yesterday"),
    "endless": content(accounts={"a": {"age": 0, "features": {"f": ["X", 1, 0]}, "products": {}}}),
    "not a number": content().replace("[null", "[NaN"),
    "infinite": content().replace("[null", "[Infinity"),
    "deep": "[" * 100_000,
    "accounts are a list": content(accounts=[1]),
    "no products": content(accounts={"acme": {"age": 1, "features": {}}}),
    "no text": "\udcff",
}


@pytest.mark.parametrize("text", UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_that_is_not_understood_is_not_used(path: Path, text: str) -> None:
    path.write_bytes(text.encode(errors="surrogateescape"))
    path.chmod(0o600)

    with pytest.raises(UnusableFile):
        load(path, wall=START, max_age=60)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_used(path: Path, mode: int) -> None:
    save(path, {"acme": (HELD, 0.0)}, wall=START)
    path.chmod(mode)

    with pytest.raises(UnusableFile):
        load(path, wall=START, max_age=60)


def test_a_link_is_not_followed(path: Path) -> None:
    save(path, {"acme": (HELD, 0.0)}, wall=START)
    link = path.with_name("link.json")
    link.symlink_to(path)

    with pytest.raises(UnusableFile):
        load(link, wall=START, max_age=60)


async def test_a_cache_tells_of_a_file_that_it_ignores(
    unusable: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "paidup.cache")

    async with CACHES["asyncio"](NOWHERE, last_known_good_path=unusable, pace=HASTE) as cache:
        assert cache.peek("acme", feature="a").source is Source.FALLBACK

    assert "entitlements.json is not what this version writes." in caplog.text
