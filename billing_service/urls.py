"""Which URLs callers may send customers to: no open redirects."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from subscription_state.settings import LOOPBACK_HOSTS

MAX_URL = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: A name or a bracketed address, and a port: nothing before, between or after.
_HOST_AND_PORT = re.compile(r"([^\[\]@:]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")

Origin = tuple[str, str, int]


class AllowedOrigins:
    """The origins that callers' URLs may have; in test mode loopback besides."""

    def __init__(self, origins: Iterable[str], *, livemode: bool) -> None:
        self._livemode = livemode
        found = (origin_of(origin) for origin in origins)
        self._origins = frozenset(origin for origin in found if origin is not None)

    def allow(self, url: str) -> bool:
        origin = origin_of(url)
        if origin is None:
            return False
        scheme, host, _ = origin
        if not self._livemode and host in LOOPBACK_HOSTS:
            return True
        # Over plain HTTP anybody on the way could read the session's id.
        return scheme == "https" and origin in self._origins


def origin_of(url: str) -> Origin | None:
    """Give scheme, host and port; None for what is not an absolute web address.

    Refuses what browsers read differently than we do: control characters, white
    space, backslashes, names before an `@`, and brackets but for addresses.
    """
    if any(character <= " " or character in "\\\x7f" for character in url):
        return None
    try:
        parts = urlsplit(url)
        port = _DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:
        return None
    web = parts.scheme in _DEFAULT_PORTS and _HOST_AND_PORT.fullmatch(parts.netloc)
    if not web or not port or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port
