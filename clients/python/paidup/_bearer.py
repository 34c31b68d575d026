"""The token that says who calls."""

from collections.abc import Callable
from pathlib import Path

from paidup._endpoint import Endpoint
from paidup._followed_files import FollowedFiles, read_bounded


class Bearer:
    """What goes with each call as `authorization: Bearer …`; perhaps nothing."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Read the token's file, if it is in one. Raises OSError or ValueError."""
        token = endpoint.token
        if endpoint.token_file is not None:
            token = token_in(Path(endpoint.token_file))
        self._token: Callable[[], str] | None = token if callable(token) else None
        # What does not change is not looked at for each call.
        self._fixed = token if isinstance(token, str) else None

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what is sent with a call made now."""
        token = self._fixed if self._token is None else self._token()
        if token is None:
            return ()
        return (("authorization", f"Bearer {sendable(token)}"),)


def token_in(file: Path, *, interval: float = 1.0) -> Callable[[], str]:
    """Return what gives the token in a file, looked at once in `interval` seconds."""

    def read() -> str:
        try:
            return sendable(read_bounded(file).decode(errors="replace"))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    return FollowedFiles([file], read, interval=interval).current


def sendable(token: str) -> str:
    """Return the token as a header can carry it. Raises ValueError, which does not show it."""
    # Files end in a newline, which a header may not hold.
    bare = token.strip()
    if not bare or not bare.isascii() or not bare.isprintable():
        # gRPC would refuse it too, but quote it.
        raise ValueError("The token is empty or holds what a header cannot carry.")
    return bare
