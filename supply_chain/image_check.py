"""`make image-check`: the Dockerfile's steps in a clean root, and its processes in it.

Debian with its Python stands in for the base image; there is no container
engine. The emulator and the caller stay outside. Needs root and debootstrap, and
says so where they are not there.
"""

import ast
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

import paidup
from demo.emulator import Emulator
from demo.processes import Process, ProcessFailed
from demo.stack import API_KEY, CATALOG, PUBLISHABLE_KEY, ROOT
from paidup import LineItem
from supply_chain import dockerfile, labels
from supply_chain.dockerfile import NotUnderstood
from supply_chain.image import Builder, Image, Network, NotAsDeclared, contained

SUITE = "bookworm"
PACKAGES = "ca-certificates,python3,python3-venv"
#: In the base image, by what Debian has in its place.
LINKS = {"python": "/usr/bin/python3", "python3": "/usr/bin/python3"}
DEBOOTSTRAP_TIMEOUT = 1200
FILE = "file://"
EXIT_FAILED = 1
SECRET = "whsec_of_the_image_check"  # noqa: S105 - nobody's
ACCOUNT = "acme"
FEATURE = "api_access"
CARD = "4242424242424242"
WAIT = 30.0


def main(
    base: Annotated[
        Path | None, typer.Option(help="A root made by debootstrap before, to start from.")
    ] = None,
) -> None:
    """Build what the Dockerfile says in a clean root, and make one paid check in it."""
    reason = _reason_to_skip(base)
    if reason:
        typer.echo(f"Skipped the image: {reason}")
        return
    with tempfile.TemporaryDirectory(prefix="paidup-image-") as work:
        # Whoever the image runs as has to get to it.
        Path(work).chmod(0o755)
        try:
            image = _build(Path(work), base)
            _check_declared(image)
            asyncio.run(_Check(image, _data(Path(work), image)).run())
        except (NotAsDeclared, NotUnderstood, ProcessFailed) as failure:
            typer.echo(str(failure), err=True)
            raise typer.Exit(EXIT_FAILED) from None


def _reason_to_skip(base: Path | None) -> str:
    if os.geteuid() != 0:
        return "only root can make a root directory of its own."
    if base is None and shutil.which("debootstrap") is None:
        return "debootstrap is not here (Debian: apt-get install debootstrap)."
    if shutil.which("unshare") is None or not _may_mount():
        return "this machine does not let root mount anything."
    return ""


def _may_mount() -> bool:
    script = "mount --bind /tmp /tmp && mount -o remount,ro,bind /tmp"
    tried = subprocess.run(  # noqa: S603 - a script of ours
        ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script], capture_output=True, check=False
    )
    return tried.returncode == 0


def _build(work: Path, base: Path | None) -> Image:
    clean = work / "base"
    if base is None:
        _bootstrap(clean)
    else:
        subprocess.run(["/bin/cp", "--archive", str(base), str(clean)], check=True)  # noqa: S603 - likewise
    for name, target in LINKS.items():
        (clean / "usr/local/bin" / name).symlink_to(target)
    builder = Builder(
        base=clean, tree=ROOT, work=work, network=_network(), arguments=labels.build_arguments()
    )
    return builder.build(dockerfile.read((ROOT / "Dockerfile").read_text()))


def _bootstrap(target: Path) -> None:
    include = f"--include={PACKAGES}"
    command = ["debootstrap", "--variant=minbase", include, SUITE, str(target)]
    subprocess.run(command, check=True, timeout=DEBOOTSTRAP_TIMEOUT, stdout=sys.stderr)  # noqa: S603 - likewise


def _network() -> Network:
    """Hand over what pip is configured with here, whatever that is."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    found = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in ("global", ":env:"):
            variable = f"PIP_{key.upper().replace('-', '_')}"
            found[variable] = " ".join(str(ast.literal_eval(value)).split())
    words = [word for value in found.values() for word in value.split()]
    named = [Path(word) for word in words if word.startswith("/")]
    # An index in a directory has its files beside its pages.
    indexes = [Path(word.removeprefix(FILE)).parent for word in words if word.startswith(FILE)]
    paths = [path for path in dict.fromkeys([*named, *indexes]) if path.exists()]
    return Network(environment=found, paths=[*paths, Path("/etc/resolv.conf")])


def _check_declared(image: Image) -> None:
    """See that the image says what orchestrators go by."""
    expected = labels.build_arguments()
    _require(image.user == "65532:65532", f"it runs as {image.user}")
    _require(image.ports == [50051, 8080, 9464], f"it exposes {image.ports}")
    for name in ("version", "revision", "created"):
        told = image.labels.get(f"org.opencontainers.image.{name}")
        _require(told == expected[name.upper()], f"its label of {name} says {told}")
    _tell("built", f"{len(image.labels)} labels, {_megabytes(image)} MB in /opt/paidup")


def _megabytes(image: Image) -> int:
    files = (path for path in image.at("/opt/paidup").rglob("*") if not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.is_file()) // 2**20


def _data(work: Path, image: Image) -> Path:
    """Make the volume, as the image has its directory: owned by whoever it runs as."""
    data = work / "data"
    owner = image.at(image.volumes[0]).stat()
    data.mkdir()
    os.chown(data, owner.st_uid, owner.st_gid)
    shutil.copy(CATALOG, data / "catalog.toml")
    return data


@dataclass
class _Check:
    """The processes of the image, one after the other, and a purchase."""

    image: Image
    data: Path

    async def run(self) -> None:
        gateway = f"127.0.0.1:{_free_port()}"
        webhook = ["--webhook", f"http://{gateway}/webhooks/stripe", "--webhook-secret", SECRET]
        outside = ["stripe_emulator", "--listen", "127.0.0.1:0", *webhook]
        emulator = await Process.start("stripe_emulator", outside, {})
        started = [emulator]
        try:
            settings = _settings(emulator.address, gateway)
            await self._commands(settings)
            started.append(await self._start("webhook_gateway", ["webhook_gateway"], settings))
            service = await self._start("billing_service", self.image.command, settings)
            started.append(service)
            for process in started[1:]:
                self._check_confined(process)
            await _buy(service.address, emulator.address)
        finally:
            codes = [await process.stop() for process in reversed(started)]
        _require(codes == [0] * len(started), f"they ended with {codes} after SIGTERM")
        _tell("stopped", "every process ended with 0 after SIGTERM")

    async def _commands(self, settings: dict[str, str]) -> None:
        migrate = ["billing_service", "migrate"]
        catalog = ["billing_service", "catalog", "apply", "catalog.toml", "--yes"]
        for command in (migrate, catalog):
            line = contained(self.image, self.data, self._entry(command), settings)
            ended = await asyncio.create_subprocess_exec(*line, stdout=asyncio.subprocess.PIPE)
            await ended.communicate()
            _require(ended.returncode == 0, f"{' '.join(command)} ended with {ended.returncode}")
            _tell("ran", " ".join(command))

    def _entry(self, command: Sequence[str]) -> list[str]:
        return [*self.image.entrypoint, *command]

    async def _start(self, name: str, command: list[str], settings: dict[str, str]) -> Process:
        line = contained(self.image, self.data, self._entry(command), settings)
        return await Process.start(name, line, {}, python=())

    def _check_confined(self, process: Process) -> None:
        """Look from outside at who it is, and at what it can write to."""
        here = Path(f"/proc/{process.process.pid}")
        fields = dict(
            line.split(":", 1) for line in (here / "status").read_text().splitlines() if ":" in line
        )
        ids = {*fields["Uid"].split(), *fields["Gid"].split()}
        _require(ids == {"65532"}, f"{process.name} runs as {sorted(ids)}")
        _require(not fields["Groups"].split(), f"{process.name} has groups {fields['Groups']}")
        _require(int(fields["CapEff"], 16) == 0, f"{process.name} has capabilities")
        mounts = [line.split() for line in (here / "mountinfo").read_text().splitlines()]
        within = {each[4]: each[5].split(",")[0] for each in mounts}
        _require(within.get("/") == "ro", f"the root of {process.name} can be written to")
        _require(within.get(self.image.volumes[0]) == "rw", f"{process.name} has no volume")
        _tell("confined", f"{process.name}: user 65532, no capability, read-only root")


def _settings(stripe: str, gateway: str) -> dict[str, str]:
    return {
        "PAIDUP_STRIPE_API_KEY": API_KEY,
        "PAIDUP_STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
        "PAIDUP_STRIPE_API_BASE": f"http://{stripe}",
        "PAIDUP_WEBHOOK_SECRETS": SECRET,
        "PAIDUP_GATEWAY_LISTEN": gateway,
        "PAIDUP_GRPC_LISTEN": "127.0.0.1:0",
        "PAIDUP_METRICS_LISTEN": "127.0.0.1:0",
    }


async def _buy(service: str, stripe: str) -> None:
    """Buy as a customer does; it is entitled by webhook, without a look at the session."""
    customer = Emulator(stripe)
    try:
        async with paidup.BillingClient(service) as client:
            await client.wait_for_ready()
            session = await client.create_checkout_session(
                account_id=ACCOUNT,
                line_items=[LineItem(price="basic_monthly")],
                return_url="http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}",
            )
            await customer.pay(session.session_id, number=CARD, email="ada@example.com")
            async with asyncio.timeout(WAIT):
                while not await client.entitled(ACCOUNT, feature=FEATURE):
                    await asyncio.sleep(0.1)
    finally:
        await customer.close()
    _tell("paid", f"{ACCOUNT} may use {FEATURE}, by webhook")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _require(true: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition, as in an assertion
    if not true:
        raise NotAsDeclared(otherwise)


def _tell(what: str, text: str) -> None:
    typer.echo(f"{what:>10}  {text}")


if __name__ == "__main__":
    typer.run(main)
