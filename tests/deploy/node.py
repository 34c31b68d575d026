"""Containers of the manifests, started as processes of this machine."""

import asyncio
import base64
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from demo.processes import Process, run
from demo.stack import API_KEY, PUBLISHABLE_KEY, settled
from tests.deploy.manifests import Json, Objects, serving

LONGEST_WAIT = 30
SIGNING_SECRET = "whsec_of_the_test"
SERVED_AT = re.compile(r"0\.0\.0\.0:(\d+)")
#: What Services are called, and where they lead.
SERVICES = {"paidup-gateway": 8080, "stripe-emulator:12111": 12111}


@dataclass
class Node:
    """A machine that starts containers, in a directory of its own."""

    objects: Objects
    directory: Path
    #: The secrets that somebody made before, by name and file.
    secrets: dict[str, dict[str, str]]
    #: ConfigMaps that are filled otherwise than in the manifests.
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    _addresses: dict[int, str] = field(default_factory=dict)
    exit: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.exit.aclose()

    def address(self, port: int) -> str:
        """Where a port of a container's is on this machine."""
        if port not in self._addresses:
            self._addresses[port] = settled("127.0.0.1:0")
        return self._addresses[port]

    async def start(self, name: str, owner: str | None = None, **more: str) -> Process:
        container = self.objects.container(name, owner)
        arguments, env = self._mapped(container, owner)
        # Nobody has to be told here that it leaves.
        env |= {"PAIDUP_DRAIN_SECONDS": "0", **more}
        process = await Process.start(name, arguments, env, log=self.log)
        self.exit.push_async_callback(process.stop)
        return process

    async def run(self, name: str, owner: str | None = None) -> None:
        """Run a container that comes to an end, which has to be a good one."""
        await run(*self._mapped(self.objects.container(name, owner), owner))

    def environment(self, name: str) -> dict[str, str]:
        return self._mapped(self.objects.container(name), None)[1]

    def _mapped(self, container: Json, owner: str | None) -> tuple[list[str], dict[str, str]]:
        pod = self.objects.templates[owner]["spec"] if owner else self.objects.pod
        mounts = {
            each["mountPath"]: str(self._volume(pod, each["name"]))
            for each in container.get("volumeMounts", [])
            if each["mountPath"] != "/tmp"
        }
        env = self.objects.environment(container)
        return (
            [self._here(each, mounts) for each in container["args"]],
            {name: self._here(value, mounts) for name, value in env.items()},
        )

    def _here(self, text: str, mounts: dict[str, str]) -> str:
        for path, directory in mounts.items():
            text = text.replace(path, directory)
        for service, port in SERVICES.items():
            text = text.replace(f"http://{service}", f"http://{self.address(port)}")
        return SERVED_AT.sub(lambda found: self.address(int(found.group(1))), text)

    def _volume(self, pod: Json, name: str) -> Path:
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        (volume,) = [each for each in pod["volumes"] if each["name"] == name] or [{}]
        for file, content in self._files(volume).items():
            (directory / file).write_text(content)
        return directory

    def _files(self, volume: Json) -> dict[str, str]:
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            data: dict[str, str] = self.objects.one("ConfigMap", name)["data"]
            return self.maps.get(name, data)
        if "secret" in volume:
            return self._secret(volume["secret"]["secretName"])
        return {}

    def _secret(self, name: str) -> dict[str, str]:
        for each in self.objects.of("Secret"):
            if each["metadata"]["name"] == name:
                return {k: base64.b64decode(v).decode() for k, v in each["data"].items()}
        return self.secrets[name]

    async def probe(self, name: str, kind: str) -> int:
        """Ask what the kubelet would ask."""
        container = self.objects.container(name)
        asked = container[f"{kind}Probe"]["httpGet"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        url = f"http://{self.address(ports[asked['port']])}{asked['path']}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status

    async def until_ready(self, *names: str) -> None:
        """Wait for the containers that are named, else for all that serve."""
        for name in names or [each["name"] for each in serving(self.objects.pod)]:
            async with asyncio.timeout(LONGEST_WAIT):
                while await self.probe(name, "readiness") != 200:
                    await asyncio.sleep(0.05)


def keys(**more: str) -> dict[str, dict[str, str]]:
    """Give what whoever installs it makes before: the files of each secret, by its name."""
    urls = {f"paidup-database-{role}": {"url": url} for role, url in more.items()}
    return {
        # As editors leave it, with a line's end.
        "paidup-stripe": {"api-key": f"{API_KEY}\n", "publishable-key": f"{PUBLISHABLE_KEY}\n"},
        "paidup-webhook": {"signing-secrets": f"{SIGNING_SECRET}\n"},
        **urls,
    }
