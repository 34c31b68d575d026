"""
Web pages of others may not press our buttons.

The emulator listens where every page in the developer's browser can reach it. Programs send
neither of the headers looked at here; browsers send them and let no page forge them.
"""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

from stripe_emulator.errors import ForeignPage

READING = frozenset({"GET", "HEAD", "OPTIONS"})
#: What `Sec-Fetch-Site` says where no other site is involved.
OWN = frozenset({"same-origin", "none"})


def check(request: web.Request) -> None:
    """Refuse a write that a browser sends for a page of another origin."""
    if request.method in READING:
        return
    origin = request.headers.get("Origin")
    if origin is not None and not _is_ours(origin, request.host):
        raise ForeignPage
    if request.headers.get("Sec-Fetch-Site", "none") not in OWN:
        raise ForeignPage


def _is_ours(origin: str, host: str) -> bool:
    """
    Tell whether an `Origin` is the address that was asked.

    A name that its owner made resolve to this machine is theirs, not ours, though the two agree;
    hence only addresses and `localhost`.
    """
    parts = urlsplit(origin)
    return (
        parts.scheme in ("http", "https")
        and parts.netloc == host
        and _is_local(parts.hostname or "")
    )


def _is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
