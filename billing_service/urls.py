"""Which URLs callers may send customers to: no open redirects."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from subscription_state.settings import LOOPBACK_HOSTS

MAX_URL = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}

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
    space, backslashes, and names before an `@`.
    """
    if any(character <= " " or character in "\\\x7f" for character in url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if port is None or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port
