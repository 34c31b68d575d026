"""Looks with axe-core for what keeps people out of a page."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Frame, Page

from tests import node_packages

FOLDER = Path(__file__).parent / "node"
LOCK = FOLDER / "package-lock.json"
SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"

#: Each frame is looked at by itself; a part in a frame has no landmarks of its own.
RUN = "(rules) => axe.run(document, { iframes: false, resultTypes: ['violations'], rules })"
IN_A_FRAME = {
    name: {"enabled": False} for name in ("landmark-one-main", "page-has-heading-one", "region")
}


@cache
def _axe() -> str:
    reason = node_packages.unavailable(FOLDER)
    if reason:
        pytest.skip(reason)
    return SCRIPT.read_text()


async def barriers(page: Page) -> list[str]:
    """Name each barrier and where it is, by daylight and in the dark; empty is good."""
    found = await _in_frames(page)
    await page.emulate_media(color_scheme="dark")
    found += [f"in the dark: {each}" for each in await _in_frames(page)]
    await page.emulate_media(color_scheme="light")
    return found


async def _in_frames(page: Page) -> list[str]:
    return [each for frame in page.frames for each in await _in(frame)]


async def _in(frame: Frame) -> list[str]:
    await frame.evaluate(_axe())
    result: Any = await frame.evaluate(RUN, IN_A_FRAME if frame.parent_frame else {})
    return [
        f"{violation['id']} at {' '.join(map(str, node['target']))} of {frame.url}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]
