"""`python -m storefront`."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from aiohttp import web

from paidup import EntitlementCache
from storefront import catalog, settings
from storefront.access import Access
from storefront.application import application
from storefront.billing import billing_client
from storefront.settings import Settings
from storefront.shop import Shop

EXIT_FAILED = 1
EXIT_SETTINGS = 2
#: How long stopping waits for requests under way, in seconds.
STOP_TIMEOUT = 10.0


def main() -> None:
    _arguments().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        ours = settings.load(os.environ)
        sold = catalog.read(Path(ours.catalog))
    except (settings.SettingsInvalid, catalog.CatalogInvalid) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_SETTINGS)
    try:
        listening = _listen(ours.listen)
    except OSError as error:
        sys.stderr.write(
            f"Cannot listen on {ours.listen} ({error.strerror}): "
            f"choose another with {settings.PREFIX}LISTEN.\n"
        )
        sys.exit(EXIT_FAILED)
    try:
        asyncio.run(_serve(ours, sold, listening))
    except settings.SettingsInvalid as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_SETTINGS)


def _arguments() -> argparse.ArgumentParser:
    told = (
        f"  {name}\n      {what}\n      Default: {default or 'none'}."
        for name, default, what in settings.described()
    )
    return argparse.ArgumentParser(
        prog="python -m storefront",
        description="Serve a small shop that sells through Paidup.",
        epilog="Settings are environment variables. A file can hold the value of any instead,\n"
        f"and {settings.PREFIX}…_FILE names it.\n\n" + "\n".join(told),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    return socket.create_server((bare, int(port)), family=family)


async def _serve(ours: Settings, sold: catalog.Catalog, listening: socket.socket) -> None:
    stopping = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stopping.set)
    url = f"http://{ours.listen.rpartition(':')[0]}:{listening.getsockname()[1]}"
    async with billing_client(ours) as billing, EntitlementCache(billing) as cache:
        shop = Shop(
            settings=ours,
            public_url=ours.public_url.rstrip("/") or url,
            catalog=sold,
            billing=billing,
            access=Access(billing, cache),
        )
        runner = web.AppRunner(application(shop), access_log=None, shutdown_timeout=STOP_TIMEOUT)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        print(f"storefront listening on {url}", flush=True)  # noqa: T201 - who starts it waits for this
        await stopping.wait()
        await runner.cleanup()


if __name__ == "__main__":
    main()
