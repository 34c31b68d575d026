"""The endpoint's signing secrets, and how they are rolled without a restart."""

import asyncio
import logging
import re
from pathlib import Path

from webhook_gateway.metrics import Metrics

logger = logging.getLogger(__name__)

PREFIX = "whsec_"
#: How often the file is compared with what is known, in seconds. Its content is
#: compared, not its time: a mounted secret changes by a link that is swapped.
FOLLOW_INTERVAL = 1.0

_SEPARATORS = re.compile(r"[,\s]+")


def parse(text: str) -> tuple[bytes, ...]:
    """Read comma or line separated secrets; raise `ValueError` where they are none."""
    secrets = tuple(dict.fromkeys(filter(None, _SEPARATORS.split(text))))
    if not secrets:
        raise ValueError("must hold at least one signing secret")
    if not all(each.startswith(PREFIX) and each != PREFIX for each in secrets):
        raise ValueError(f"must be signing secrets ({PREFIX}…), comma or line separated")
    return tuple(each.encode() for each in secrets)


class SigningSecrets:
    """The secrets that are accepted now."""

    def __init__(self, text: str, *, metrics: Metrics) -> None:
        self.current = parse(text)
        self._metrics = metrics
        self._broken = False

    async def follow(self, path: Path) -> None:
        """Take over what the file holds whenever it changes; never returns."""
        while True:
            await asyncio.sleep(FOLLOW_INTERVAL)
            await self.read_again(path)

    async def read_again(self, path: Path) -> None:
        """Take over the file's secrets; one that cannot be read changes nothing."""
        try:
            secrets = parse(await asyncio.to_thread(path.read_text))
        except (OSError, ValueError) as error:
            self._keep(error)
        else:
            self._take_over(secrets)

    def _keep(self, error: Exception) -> None:
        self._metrics.secrets_reloads.labels("failed").inc()
        if not self._broken:
            logger.error("webhook_secrets_unreadable", extra={"error": type(error).__name__})
        self._broken = True

    def _take_over(self, secrets: tuple[bytes, ...]) -> None:
        self._broken = False
        if secrets == self.current:
            return
        self.current = secrets
        self._metrics.secrets_reloads.labels("changed").inc()
        logger.info("webhook_secrets_changed", extra={"secrets": len(secrets)})
